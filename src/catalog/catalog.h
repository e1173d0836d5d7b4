/* catalog: which datasets a lake has, what they are called, what is known
 * about them. The only authority on names and on the newest version of each.
 *
 * A dataset is one Iceberg table under datasets/<name>/. What people say about
 * it (owner, description, tags, sensitivity) and what Tarn notes (original
 * column names, key) are properties of that table, so a description commits as
 * safely as a row and travels with it. Where rows came from (lineage) stands in
 * the summary of the snapshot that brought them.
 *
 * One process owns a lake (see the gateway), so the newest version of a table
 * is what this process committed last; it is read from the store once and kept.
 *
 * Threads: any thread may call anything. A version of a table is an immutable,
 * reference-counted struct iceberg_metadata; readers keep theirs while newer
 * ones appear. Writers of one dataset take its lock for the commit alone:
 * catalog_lock_dataset, never two of them at a time.
 */
#ifndef TARN_CATALOG_CATALOG_H
#define TARN_CATALOG_CATALOG_H

#include "base/base.h"
#include "iceberg/iceberg.h"
#include "store/store.h"

struct catalog;

#define CATALOG_NAME_MAX 128

enum tn_code catalog_open(struct store *store, struct catalog **ret, struct tn_error *err) TN_CHECKED;
void catalog_close(struct catalog *catalog);
TN_DEFINE_CLEANUP(struct catalog, catalog_close)
struct store *catalog_store(struct catalog *catalog);

/* Letters, digits and underscores, not beginning with a digit, at most
 * CATALOG_NAME_MAX bytes, lower case; no name that SQL or Tarn reserves. */
enum tn_code catalog_check_name(const char *name, struct tn_error *err) TN_CHECKED;
/* The one spelling under which a dataset is kept, of a name in any case. */
void catalog_exact_name(const char *name, char out[CATALOG_NAME_MAX + 1]);
/* The nearest valid name for any text ("Q3 Hours (final).csv" becomes
 * q3_hours_final); the arena's. */
char *catalog_name_from(struct tn_arena *arena, const char *text) __attribute__((returns_nonnull));

/* Names in byte order, the arena's. */
enum tn_code catalog_list(struct catalog *catalog, struct tn_arena *arena, const char *const **ret, size_t *ret_count,
                          struct tn_error *err) TN_CHECKED;
/* The newest version; iceberg_metadata_unref when done. TN_EDATASET with a
 * suggestion when there is no such dataset; names match in any case. */
enum tn_code catalog_load(struct catalog *catalog, const char *name, struct iceberg_metadata **ret,
                          struct tn_error *err) TN_CHECKED;

/* Serialises writers of one dataset, existing or not. */
struct catalog_lock;
struct catalog_lock *catalog_lock_dataset(struct catalog *catalog, const char *name) __attribute__((returns_nonnull));
void catalog_unlock(struct catalog_lock *lock);
TN_DEFINE_CLEANUP(struct catalog_lock, catalog_unlock)
/* Makes a version that was just committed the one that catalog_load gives.
 * Takes a reference of its own. */
void catalog_publish(struct catalog *catalog, const char *name, struct iceberg_metadata *metadata);
/* catalog_load for whoever holds the dataset's lock, with its exact name:
 * *ret is NULL when there is no such table. */
enum tn_code catalog_load_locked(struct catalog *catalog, const char *name, struct iceberg_metadata **ret,
                                 struct tn_error *err) TN_CHECKED;
/* Forgets the dataset; its files and history stay and catalog_undrop brings
 * it back as it was. */
enum tn_code catalog_drop(struct catalog *catalog, const char *name, struct tn_error *err) TN_CHECKED;
enum tn_code catalog_undrop(struct catalog *catalog, const char *name, struct tn_error *err) TN_CHECKED;
/* Where the dataset lies, for the functions of iceberg.h; the prefix is the
 * arena's. */
struct iceberg_table catalog_table(struct catalog *catalog, struct tn_arena *arena, const char *name);

/* "datasets/<name>", the arena's. */
char *catalog_prefix(struct tn_arena *arena, const char *name) __attribute__((returns_nonnull));

/* ---- what is known beside the rows ------------------------------------- */

/* Properties of the table and keys of a snapshot's summary. */
#define CATALOG_P_OWNER       "tarn.owner"
#define CATALOG_P_DESCRIPTION "tarn.description"
#define CATALOG_P_TAGS        "tarn.tags"        /* JSON array of strings */
#define CATALOG_P_SENSITIVITY "tarn.sensitivity" /* public internal financial pii phi */
#define CATALOG_P_COLUMNS     "tarn.columns"     /* {"<field id>":{"original_name","sensitivity","description"}} */

#define CATALOG_S_INGEST   "tarn.ingest-id"
#define CATALOG_S_SOURCE   "tarn.source"
#define CATALOG_S_HASH     "tarn.content-hash"
#define CATALOG_S_OPTIONS  "tarn.options-hash"
#define CATALOG_S_BYTES    "tarn.source-bytes"
#define CATALOG_S_ROWS     "tarn.rows"
#define CATALOG_S_REJECTED "tarn.rejected-rows"
#define CATALOG_S_ACTOR    "tarn.actor"
#define CATALOG_S_REASON   "tarn.reason"
#define CATALOG_S_REQUEST  "tarn.request-id"
#define CATALOG_S_STARTED  "tarn.started-at"
#define CATALOG_S_TOOK_MS  "tarn.took-ms"
#define CATALOG_S_MODE     "tarn.mode" /* "replace" where the commit replaced everything */
#define CATALOG_S_RESTORED "tarn.restored-from" /* snapshot id that a restore made the newest again */

/* Writes the dataset's description as one JSON object: name, rows, bytes,
 * files, schema with types and original names, owner, description, tags,
 * sensitivity, key, lineage (newest first), snapshot, created and updated. */
enum tn_code catalog_describe(struct catalog *catalog, const char *name, struct tn_json *out,
                              struct tn_error *err) TN_CHECKED;
/* The same in one line's worth of fields, for lists. */
enum tn_code catalog_summarize(struct catalog *catalog, const char *name, struct tn_json *out,
                               struct tn_error *err) TN_CHECKED;
/* The snapshots as a JSON array, newest first. */
enum tn_code catalog_snapshots(struct catalog *catalog, const char *name, struct tn_json *out,
                               struct tn_error *err) TN_CHECKED;

/* PATCH: owner, description, tags, sensitivity, columns {name: {description,
 * sensitivity}}; null removes. Unknown fields are refused. One commit. */
enum tn_code catalog_patch(struct catalog *catalog, const char *name, const json_t *patch,
                           struct tn_error *err) TN_CHECKED;

/* The type that a table uses for a column of DuckDB's type `text`: the nearest
 * one that holds every value (HUGEINT: decimal(38,0); ENUM, JSON, INTERVAL:
 * text). TN_EUNSUPPORTED for what has no such type. */
enum tn_code catalog_type_from_sql(struct tn_arena *arena, const char *text, const struct iceberg_type **ret,
                                   struct tn_error *err) TN_CHECKED;
/* What is noted of the columns (CATALOG_P_COLUMNS), to read or to change and
 * write back: the caller's, an object, empty when nothing is. */
json_t *catalog_column_notes(const struct iceberg_metadata *metadata) __attribute__((returns_nonnull));
/* The note of one column in them, made when there is none; borrowed. */
json_t *catalog_column_note_of(json_t *notes, int32_t field_id) __attribute__((returns_nonnull));
/* What the engine says of a file that it wrote for `schema`, in Iceberg's terms;
 * the path is the caller's to set. In the arena. */
struct engine_file_stats;
void catalog_file_stats(struct tn_arena *arena, const struct iceberg_schema *schema,
                        const struct engine_file_stats *written, struct iceberg_file *ret);
/* DuckDB's name of an Iceberg type ("DECIMAL(12,2)", "VARCHAR[]"); the arena's. */
const char *catalog_sql_type(struct tn_arena *arena, const struct iceberg_type *type)
    __attribute__((returns_nonnull));

#endif
