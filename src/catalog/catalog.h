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
 * catalog_lock_dataset. Nobody who holds one takes another: those who need
 * several (a rename, a commit to several tables) take them all at once by
 * catalog_lock_datasets, which does it in the order of the names.
 *
 * Namespaces. Other engines name a table by a namespace and a name, Tarn by one
 * dataset name. What Tarn makes lies in the namespace `default` under its own
 * name; the table t of the namespace ns is the dataset ns__t. Where
 * that is not all there is to say (renames, names that differ in case, names
 * no dataset could have), the names document says it: docs/formats/names.md.
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
/* Of manifests and their lists, decoded. */
size_t catalog_metadata_bytes(struct catalog *catalog);

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
/* iceberg_tx_commit under the dataset's lock, with its exact name. A commit that
 * failed may have come to be all the same (an fsync behind it did not work): the
 * next catalog_load looks. The caller publishes after a success. */
enum tn_code catalog_tx_commit(struct catalog *catalog, const char *name, struct iceberg_tx *tx,
                               struct iceberg_metadata **ret, struct tn_error *err) TN_CHECKED;
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

/* ---- changes as they happen -------------------------------------------------- */

/* A number that grows whenever some table gets another version. */
uint64_t catalog_changes(struct catalog *catalog);
/* Returns when that number is above `seen`, or after timeout_ms: the number of
 * that moment. Whoever looks at the tables after taking a number, and waits
 * with it, misses nothing. */
uint64_t catalog_wait(struct catalog *catalog, uint64_t seen, uint64_t timeout_ms);
/* Ends all waits under way, as a change would. */
void catalog_wake(struct catalog *catalog);

/* The locks of several datasets, each once, in the order of their names. */
struct catalog_locks;
struct catalog_locks *catalog_lock_datasets(struct catalog *catalog, const char *const *names, size_t count)
    __attribute__((returns_nonnull));
void catalog_unlock_all(struct catalog_locks *locks);
TN_DEFINE_CLEANUP(struct catalog_locks, catalog_unlock_all)
/* Carries out transactions that a crash interrupted. For whoever owns the lake
 * alone, before anything else is done with it. */
enum tn_code catalog_recover(struct catalog *catalog, struct tn_error *err) TN_CHECKED;

/* ---- namespaces and identifiers ------------------------------------------ */

/* A namespace is its parts joined by this byte, as in the REST catalog. */
#define CATALOG_SEPARATOR      '\x1f'
#define CATALOG_DEFAULT        "default"
#define CATALOG_IDENTIFIER_MAX 255 /* bytes of a part or a name */
#define CATALOG_NAMESPACE_MAX  1024
/* Its parts as a JSON array. */
void catalog_put_namespace(struct tn_json *json, const char *space);
#define CATALOG_NAMESPACE_PARTS 16

/* "a.b", for messages; the arena's. */
const char *catalog_namespace_text(struct tn_arena *arena, const char *space) __attribute__((returns_nonnull));
/* TN_ENOTFOUND "Namespace does not exist: a.b". */
enum tn_code catalog_namespace_check(struct catalog *catalog, const char *space, struct tn_error *err) TN_CHECKED;
/* Those directly below `parent` ("": the outermost), in byte order, the arena's. */
enum tn_code catalog_namespace_list(struct catalog *catalog, const char *parent, struct tn_arena *arena,
                                    const char *const **ret, size_t *ret_count, struct tn_error *err) TN_CHECKED;
/* Parents must exist. TN_EEXISTS. `properties`: an object of strings, or NULL. */
enum tn_code catalog_namespace_create(struct catalog *catalog, const char *space, const json_t *properties,
                                      struct tn_error *err) TN_CHECKED;
/* TN_ECONFLICT while it has tables or namespaces; `default` stays. */
enum tn_code catalog_namespace_drop(struct catalog *catalog, const char *space, struct tn_error *err) TN_CHECKED;
/* Its properties, the caller's. */
enum tn_code catalog_namespace_properties(struct catalog *catalog, const char *space, json_t **ret,
                                          struct tn_error *err) TN_CHECKED;
/* `removals`: an array of names, `updates`: an object of strings; either may be
 * NULL. The arrays of names (the caller's) say what was done. */
enum tn_code catalog_namespace_update(struct catalog *catalog, const char *space, const json_t *removals,
                                      const json_t *updates, json_t **ret_updated, json_t **ret_removed,
                                      json_t **ret_missing, struct tn_error *err) TN_CHECKED;

/* The dataset behind an identifier, the arena's. TN_EDATASET "Table does not
 * exist: ns.t" when nothing has that name, also where there is no namespace. */
enum tn_code catalog_dataset_named(struct catalog *catalog, const char *space, const char *table,
                                   struct tn_arena *arena, const char **ret, struct tn_error *err) TN_CHECKED;
/* The identifier of a dataset; the arena's. */
void catalog_identifier_of(struct catalog *catalog, const char *dataset, struct tn_arena *arena,
                           const char **ret_space, const char **ret_table);
/* The names of the tables that a namespace has, in byte order, the arena's. */
enum tn_code catalog_tables_in(struct catalog *catalog, const char *space, struct tn_arena *arena,
                               const char *const **ret, size_t *ret_count, struct tn_error *err) TN_CHECKED;
/* One step that cannot be half done. TN_EDATASET, TN_EEXISTS, TN_ENOTFOUND (the
 * namespace). Versions, history and files stay where they are. */
enum tn_code catalog_rename(struct catalog *catalog, const char *space, const char *table, const char *to_space,
                            const char *to_table, struct tn_error *err) TN_CHECKED;

/* ---- what other engines ask for -------------------------------------------- */

struct catalog_identifier {
    const char *space, *table;
};
/* A CreateTableRequest, JSON. With `stage` nothing is written but the folder
 * for the client's first files. TN_EEXISTS "Table already exists: ns.t". */
enum tn_code catalog_create(struct catalog *catalog, struct catalog_identifier id, const char *request, size_t length,
                            bool stage, const struct iceberg_origin *origin, struct iceberg_metadata **ret,
                            struct tn_error *err) TN_CHECKED;
/* A table whose metadata file is in the lake already. */
enum tn_code catalog_register(struct catalog *catalog, struct catalog_identifier id, const char *metadata_uri,
                              bool overwrite, const struct iceberg_origin *origin, struct iceberg_metadata **ret,
                              struct tn_error *err) TN_CHECKED;
/* All of the changes or none, also across a crash. ret has room for `count`
 * versions. TN_ECONFLICT: certainly none. */
struct catalog_change {
    struct catalog_identifier id;
    struct iceberg_change change;
};
#define CATALOG_CHANGES_MAX 256
enum tn_code catalog_commit(struct catalog *catalog, const struct catalog_change *changes, size_t count,
                            const struct iceberg_origin *origin, struct iceberg_metadata **ret,
                            struct tn_error *err) TN_CHECKED;
/* Drop, and with it every file of the table's own folder. */
enum tn_code catalog_purge(struct catalog *catalog, const char *dataset, struct tn_error *err) TN_CHECKED;

/* ---- what is known beside the rows ------------------------------------- */

/* Properties of the table and keys of a snapshot's summary. */
#define CATALOG_P_OWNER       "tarn.owner"
#define CATALOG_P_DESCRIPTION "tarn.description"
#define CATALOG_P_TAGS        "tarn.tags"        /* JSON array of strings */
#define CATALOG_P_SENSITIVITY "tarn.sensitivity" /* public internal financial pii phi */
#define CATALOG_P_AUTO_EMBED  "tarn.auto-embed"  /* true: it wants a search index; false: it wants none */
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
#define CATALOG_S_MODE     "tarn.mode"          /* "replace" where the commit replaced everything */
#define CATALOG_S_RESTORED "tarn.restored-from" /* snapshot id that a restore made the newest again */

/* Writes the dataset's description as one JSON object: name, rows, bytes,
 * files, schema with types and original names, owner, description, tags,
 * sensitivity, key, lineage (newest first), snapshot, created and updated. */
enum tn_code catalog_describe(struct catalog *catalog, const char *name, struct tn_json *out,
                              struct tn_error *err) TN_CHECKED;
/* The same in one line's worth of fields, for lists. */
enum tn_code catalog_summarize(struct catalog *catalog, const char *name, struct tn_json *out,
                               struct tn_error *err) TN_CHECKED;
/* The snapshots with a sequence number below `before`, `most` of them at most, as a
 * JSON array, newest first. *ret_more: the number of the last one, when there are more; else 0. */
enum tn_code catalog_snapshots(struct catalog *catalog, const char *name, int64_t before, size_t most,
                               struct tn_json *out, int64_t *ret_more, struct tn_error *err) TN_CHECKED;

/* PATCH: owner, description, tags, sensitivity, auto_embed, columns {name: {description,
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
