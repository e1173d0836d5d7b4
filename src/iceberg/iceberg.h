/* iceberg: Apache Iceberg tables, format v2, read and written by our own code.
 *
 * A table is a folder of immutable objects in a store. Nothing is ever changed
 * in place; a commit adds objects and then creates ONE pointer,
 * `<prefix>/commits/<N>`, create-only, so that of two writers exactly one wins.
 * The newest pointer names the metadata file that is the table:
 *
 *     pointer N -> metadata JSON -> snapshot -> manifest list -> manifests -> data and delete files
 *
 * docs/formats/table.md tells what is written, byte by byte.
 *
 * The usual ways through this header:
 *
 *   read     iceberg_table_load -> iceberg_plan_new -> files and their deletes
 *   append   iceberg_table_load -> iceberg_tx_new -> iceberg_tx_add_file ... -> iceberg_tx_commit
 *   create   iceberg_table_create (version 1, no snapshot yet)
 *
 * Ownership. Structures come in three sorts. Plain values (struct iceberg_type,
 * _field, _schema, _file, _stats) live in an arena, the caller's or that of the
 * object that shows them, and are read-only once built. iceberg_metadata is
 * reference counted. iceberg_tx and iceberg_plan are freed by their owner.
 *
 * Threads. iceberg_metadata and everything it shows is immutable and may be
 * shared; its count is atomic. iceberg_cache is internally locked. iceberg_tx
 * and iceberg_plan belong to one thread at a time (a finished plan is
 * read-only and may be read by many).
 *
 * Errors. What a foreign writer may do but we do not read is TN_EUNSUPPORTED
 * and names the feature; bytes that contradict the format are TN_ECORRUPT and
 * name the object and the place; a lost race is TN_ECONFLICT.
 */
#ifndef TARN_ICEBERG_ICEBERG_H
#define TARN_ICEBERG_ICEBERG_H

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct store_batch;
struct store_batch;

/* --- Types and schemas --------------------------------------------------- */

enum iceberg_kind {
    ICEBERG_BOOLEAN,
    ICEBERG_INT,
    ICEBERG_LONG,
    ICEBERG_FLOAT,
    ICEBERG_DOUBLE,
    ICEBERG_DECIMAL,
    ICEBERG_DATE,
    ICEBERG_TIME,
    ICEBERG_TIMESTAMP,
    ICEBERG_TIMESTAMPTZ,
    ICEBERG_STRING,
    ICEBERG_UUID,
    ICEBERG_FIXED,
    ICEBERG_BINARY,
    ICEBERG_STRUCT,
    ICEBERG_LIST,
    ICEBERG_MAP,
    ICEBERG_UNSUPPORTED, /* of a later format; `text` keeps its name */
};

struct iceberg_type {
    enum iceberg_kind kind;
    int precision, scale; /* decimal */
    int length;           /* fixed */
    const char *text;     /* unsupported: its JSON, as found */
    /* struct: its fields; list: one, "element"; map: two, "key" and "value". */
    const struct iceberg_field *fields;
    size_t field_count;
};

struct iceberg_field {
    int32_t id;
    bool required;
    const char *name;
    const char *doc; /* or NULL */
    const struct iceberg_type *type;
    const char *defaults; /* v3's initial-default and write-default as JSON members, kept as found; or NULL */
};

struct iceberg_schema {
    int32_t id;
    const struct iceberg_field *fields;
    size_t field_count;
    const int32_t *identifier_ids; /* the key's columns, in their order */
    size_t identifier_count;
};

/* The type of a primitive word: "long", "decimal(10, 2)", "fixed[16]"; words of
 * later formats become ICEBERG_UNSUPPORTED. Never NULL. */
const struct iceberg_type *iceberg_type_parse(struct tn_arena *arena, const char *word)
    __attribute__((returns_nonnull));
/* A type without parameters; static. */
const struct iceberg_type *iceberg_type_of(enum iceberg_kind kind) __attribute__((returns_nonnull));
const struct iceberg_type *iceberg_type_decimal(struct tn_arena *arena, int precision, int scale)
    __attribute__((returns_nonnull));
/* The element's id may be 0: iceberg_schema_assign_ids gives it one. */
const struct iceberg_type *iceberg_type_list(struct tn_arena *arena, int32_t element_id, bool element_required,
                                             const struct iceberg_type *element) __attribute__((returns_nonnull));
/* For people and messages: "decimal(10, 2)", "list<string>", "struct<a: int>". */
void iceberg_type_format(const struct iceberg_type *type, struct tn_buf *out);
/* As the SQL engine names it: "DECIMAL(10,2)", "VARCHAR[]". */
void iceberg_type_put_sql(const struct iceberg_type *type, struct tn_buf *out);
bool iceberg_type_equal(const struct iceberg_type *a, const struct iceberg_type *b); /* ids and names too */

/* Strict parse of the schema JSON object; checks ids for uniqueness and depth. */
enum tn_code iceberg_schema_parse(struct tn_arena *arena, const char *json, size_t length,
                                  const struct iceberg_schema **ret, struct tn_error *err) TN_CHECKED;
void iceberg_schema_json(const struct iceberg_schema *schema, struct tn_buf *out);
const struct iceberg_schema *iceberg_schema_copy(struct tn_arena *arena, const struct iceberg_schema *schema)
    __attribute__((returns_nonnull));
/* Fresh ids from first_id on, top level first (as other writers do); names
 * must be unique without regard to case. *ret_last_id is the highest given. */
enum tn_code iceberg_schema_assign_ids(struct tn_arena *arena, const struct iceberg_schema *schema, int32_t first_id,
                                       const struct iceberg_schema **ret, int32_t *ret_last_id,
                                       struct tn_error *err) TN_CHECKED;
/* NULL when there is none. By name: top-level columns, the exact name first,
 * then, with any_case, one that differs in ASCII case only. By id: nested too. */
const struct iceberg_field *iceberg_schema_find(const struct iceberg_schema *schema, const char *name, bool any_case);
const struct iceberg_field *iceberg_schema_field(const struct iceberg_schema *schema, int32_t id);
int32_t iceberg_schema_highest_id(const struct iceberg_schema *schema);

/* What `current` must become so that rows with the columns `incoming` fit
 * (matched by name; their ids are ignored, also inside structs):
 *   a column not there yet is added at the end, optional, with a fresh id;
 *   int widens to long, float to double, decimal to a higher precision;
 *   an incoming int fits a long or double column, a float a double, a decimal one of higher
 *   precision and equal scale, without a change;
 *   a required column that is missing or optional in `incoming` becomes optional,
 *   identifier columns excepted.
 * Anything else is TN_ESCHEMA, and the detail lists each difference. *ret is
 * `current` itself when nothing changes; else its id is `current->id` still:
 * the commit gives it a new one. last_column_id is the table's. */
enum tn_code iceberg_schema_evolve(struct tn_arena *arena, const struct iceberg_schema *current,
                                   const struct iceberg_schema *incoming, int32_t last_column_id,
                                   const struct iceberg_schema **ret, struct tn_error *err) TN_CHECKED;

/* --- Values and bounds (the specification's Appendix D) ------------------ */

struct iceberg_bytes {
    const uint8_t *data; /* NULL: absent */
    size_t length;
};

/* The single-value form of `text`: decimal numbers; true/false/1/0;
 * "2024-01-31", "13:45:00.5", "2024-01-31 13:45:00.5" (timestamptz with an
 * offset or taken as UTC); uuid; hex for binary and fixed; strings as they
 * are. TN_EREQUEST for what the type cannot hold, and for nested types. */
enum tn_code iceberg_value_parse(struct tn_arena *arena, const struct iceberg_type *type, const char *text,
                                 size_t length, struct iceberg_bytes *ret, struct tn_error *err) TN_CHECKED;
/* The same text back; for people. Wrong lengths print as hex. */
void iceberg_value_format(const struct iceberg_type *type, struct iceberg_bytes value, struct tn_buf *out);
/* Does it have the length and content that the type demands (a bound written
 * before int became long still counts)? */
bool iceberg_value_valid(const struct iceberg_type *type, struct iceberg_bytes value);
/* <0, 0, >0 in the type's order; both must be valid. NaN sorts last. */
int iceberg_value_compare(const struct iceberg_type *type, struct iceberg_bytes a, struct iceberg_bytes b);

/* A column's smallest or largest value made into a bound: strings and binary
 * cut to 16 code points or bytes (upper ones incremented), -0.0 and +0.0
 * widened. {NULL} when there can be no bound: NaN, an upper string that cannot
 * be incremented, a nested type. */
struct iceberg_bytes iceberg_bound_lower(struct tn_arena *arena, const struct iceberg_type *type,
                                         struct iceberg_bytes value);
struct iceberg_bytes iceberg_bound_upper(struct tn_arena *arena, const struct iceberg_type *type,
                                         struct iceberg_bytes value);

/* --- Files --------------------------------------------------------------- */

#define ICEBERG_NONE (-1) /* "not known" for counts, "none" for ids */

/* What is known of one leaf column of one file. */
struct iceberg_stats {
    int32_t field_id;
    int64_t column_size; /* bytes on disk; ICEBERG_NONE = unknown, here and below */
    int64_t value_count; /* NULLs included; of a list: its elements */
    int64_t null_count;
    int64_t nan_count;
    struct iceberg_bytes lower, upper; /* as iceberg_bound_* makes them */
};

enum iceberg_content { ICEBERG_DATA = 0, ICEBERG_POSITION_DELETES = 1, ICEBERG_EQUALITY_DELETES = 2 };

struct iceberg_file {
    enum iceberg_content content;
    const char *path;   /* a URI, byte for byte as the table has it */
    const char *format; /* "PARQUET"; NULL means that */
    int64_t record_count;
    int64_t size_bytes;                /* exact */
    const struct iceberg_stats *stats; /* sorted by field_id */
    size_t stats_count;
    const int64_t *split_offsets; /* where row groups start, ascending */
    size_t split_count;
    int32_t sort_order_id;            /* ICEBERG_NONE = unknown */
    const char *referenced_data_file; /* position deletes of one data file: its path; else NULL */
    const int32_t *equality_ids;
    size_t equality_count;
    /* The partition, one value per field of the spec; {NULL} is NULL. */
    int32_t spec_id;
    const struct iceberg_bytes *partition;
    size_t partition_count;
    /* Given by the commit; when adding, sequence_number > 0 keeps an old one (compaction). */
    int64_t snapshot_id, sequence_number, file_sequence_number;
};

/* Statistics of `file` for a column, or NULL. */
const struct iceberg_stats *iceberg_file_stats(const struct iceberg_file *file, int32_t field_id);

/* The ids that position-delete files use for their two columns. */
#define ICEBERG_DELETE_PATH_ID 2147483546
#define ICEBERG_DELETE_POS_ID  2147483545

/* --- Small files --------------------------------------------------------- */

/* Whole Parquet files of few rows, made in memory: a commit of single rows
 * cannot wait for a query engine to write one. One row group; what is larger is
 * refused with TN_ETOOLARGE, and belongs to a writer that streams. */
#define ICEBERG_SMALL_MAX_ROWS  ((size_t)100000)
#define ICEBERG_SMALL_MAX_BYTES ((size_t)32 << 20) /* of all cells together */

/* Whether iceberg_small_write can write rows of this schema: at least one
 * column, and all of primitive types. */
bool iceberg_small_can(const struct iceberg_schema *schema);
/* Appends a Parquet file of `rows` rows, at least one, to `out`. cells: rows x
 * field_count, row after row, each in the single-value form of its column's
 * type, {NULL} for NULL; read during the call only. *ret says what is in it: as
 * of a data file with exact counts, sorted statistics and NO path, which the
 * caller gives; in the arena. TN_EREFUSED, with the column and the row (counted
 * from 1), for a NULL in a required column and for a cell that is no value of
 * its type; TN_EUNSUPPORTED for a schema that iceberg_small_can denies. On
 * failure `out` has the length that it had. */
enum tn_code iceberg_small_write(struct tn_arena *arena, const struct iceberg_schema *schema,
                                 const struct iceberg_bytes *cells, size_t rows, struct tn_buf *out,
                                 struct iceberg_file *ret, struct tn_error *err) TN_CHECKED;
/* The same for a position-delete file of one data file. data_path: as the table
 * has it, byte for byte; positions: ascending, each once, TN_EREFUSED if not.
 * *ret has referenced_data_file set, in the arena. */
enum tn_code iceberg_small_deletes(struct tn_arena *arena, const char *data_path, const int64_t *positions,
                                   size_t count, struct tn_buf *out, struct iceberg_file *ret,
                                   struct tn_error *err) TN_CHECKED;

/* --- Metadata: one version of a table ------------------------------------ */

struct iceberg_pair {
    const char *key, *value;
};

struct iceberg_snapshot {
    int64_t id;
    int64_t parent_id; /* ICEBERG_NONE = none */
    int64_t sequence_number;
    int64_t timestamp_ms;
    const char *manifest_list;          /* URI; NULL in some v1 tables */
    const char *operation;              /* "append", "replace", "overwrite", "delete"; "" when absent */
    int32_t schema_id;                  /* ICEBERG_NONE = not said */
    const struct iceberg_pair *summary; /* without "operation" */
    size_t summary_count;
    const char *json; /* this snapshot's object, byte for byte */
    size_t json_length;
};

struct iceberg_ref {
    const char *name;
    int64_t snapshot_id;
    bool is_tag;
    const char *json; /* its object, byte for byte */
    size_t json_length;
};

struct iceberg_partition_field {
    int32_t source_id, field_id;
    const char *name;
    const char *transform; /* "identity", "bucket[16]", "day", ... */
};

struct iceberg_spec {
    int32_t id;
    const struct iceberg_partition_field *fields;
    size_t field_count;
};

struct iceberg_log_entry {
    int64_t timestamp_ms;
    int64_t snapshot_id; /* snapshot log */
    const char *file;    /* metadata log */
};

/* Immutable. Everything it points to lives as long as the object. */
struct iceberg_metadata {
    int64_t version; /* N of the pointer commits/<N>; 0 when not loaded through one */
    const char *key; /* where the JSON lies in the store; NULL when parsed from memory */
    const char *uri; /* the same as a URI: "metadata-location" */
    int format_version;
    const char *uuid;
    const char *location;
    int64_t last_sequence_number;
    int64_t last_updated_ms;
    int32_t last_column_id;
    const struct iceberg_schema *schema; /* the current one */
    const struct iceberg_schema *const *schemas;
    size_t schema_count;
    const struct iceberg_spec *const *specs;
    size_t spec_count;
    int32_t default_spec_id;
    int32_t default_sort_order_id;
    const struct iceberg_pair *properties;
    size_t property_count;
    const struct iceberg_snapshot *current;          /* NULL: no data yet */
    const struct iceberg_snapshot *const *snapshots; /* in the file's order: oldest first in ours */
    size_t snapshot_count;
    const struct iceberg_ref *refs;
    size_t ref_count;
    const struct iceberg_log_entry *snapshot_log; /* which snapshot was current from when on */
    size_t snapshot_log_count;
    const struct iceberg_log_entry *metadata_log; /* earlier metadata files */
    size_t metadata_log_count;
};

struct iceberg_metadata *iceberg_metadata_ref(const struct iceberg_metadata *metadata)
    __attribute__((returns_nonnull));
void iceberg_metadata_unref(struct iceberg_metadata *metadata);
TN_DEFINE_CLEANUP(struct iceberg_metadata, iceberg_metadata_unref)
#define ICEBERG_AUTO_METADATA TN_CLEANUP(iceberg_metadata_unref_p) struct iceberg_metadata

#define ICEBERG_METADATA_MAX_BYTES ((size_t)256 << 20)
/* Strict parse of a table's JSON, formats 1 to 3 (unknown keys are kept). `uri`
 * names it in errors and becomes ->uri. */
enum tn_code iceberg_metadata_parse(const char *json, size_t length, const char *uri, struct iceberg_metadata **ret,
                                    struct tn_error *err) TN_CHECKED;
/* The JSON of the file, byte for byte, as LoadTableResult wants it. Borrowed. */
const char *iceberg_metadata_json(const struct iceberg_metadata *metadata, size_t *ret_length);

/* NULL when there is none. */
const struct iceberg_snapshot *iceberg_metadata_snapshot(const struct iceberg_metadata *metadata,
                                                         int64_t snapshot_id);
const struct iceberg_ref *iceberg_metadata_ref_named(const struct iceberg_metadata *metadata, const char *name);
/* The snapshot that was current at that time or, where that one has been
 * forgotten, the nearest kept one before it; NULL before the first one. */
const struct iceberg_snapshot *iceberg_metadata_as_of(const struct iceberg_metadata *metadata, int64_t timestamp_ms);
/* Were snapshots forgotten between this one and the next one kept? Then what
 * iceberg_metadata_as_of gave is not exact for all of its time: the state of a
 * moment in the gap is this snapshot and the changes since (the journal's). */
bool iceberg_metadata_thinned_after(const struct iceberg_metadata *metadata, const struct iceberg_snapshot *snapshot);
const struct iceberg_schema *iceberg_metadata_schema(const struct iceberg_metadata *metadata, int32_t schema_id);
/* The schema in force at a snapshot (the current one where it does not say). */
const struct iceberg_schema *iceberg_metadata_schema_at(const struct iceberg_metadata *metadata,
                                                        const struct iceberg_snapshot *snapshot);
const struct iceberg_spec *iceberg_metadata_spec(const struct iceberg_metadata *metadata, int32_t spec_id);
const char *iceberg_metadata_property(const struct iceberg_metadata *metadata, const char *key);
/* A summary's value, and the same as a number (fallback when absent or odd). */
const char *iceberg_snapshot_summary(const struct iceberg_snapshot *snapshot, const char *key);
int64_t iceberg_snapshot_count(const struct iceberg_snapshot *snapshot, const char *key, int64_t fallback);

/* --- Partitions ---------------------------------------------------------- */

enum iceberg_transform_kind {
    ICEBERG_IDENTITY,
    ICEBERG_VOID,
    ICEBERG_BUCKET,
    ICEBERG_TRUNCATE,
    ICEBERG_YEAR,
    ICEBERG_MONTH,
    ICEBERG_DAY,
    ICEBERG_HOUR,
};

/* One field of a spec, ready to be computed. */
struct iceberg_transform {
    enum iceberg_transform_kind kind;
    int64_t width; /* of bucket and truncate */
    size_t column; /* which of the schema's columns it is made of */
    const struct iceberg_type *source;
};

/* A spec on top of a schema; borrows both. */
struct iceberg_partitioner {
    int32_t spec_id;
    const struct iceberg_transform *fields;
    size_t field_count;
    const struct iceberg_type *const *types; /* of the results */
};
/* Whether the specification lets a column of the type have that transform; one
 * whose name is not known fits everything, as for other engines. */
bool iceberg_transform_fits(const char *text, const struct iceberg_type *type);
/* TN_EUNSUPPORTED names the field whose transform, type or column we cannot
 * compute. */
enum tn_code iceberg_partitioner_init(struct tn_arena *arena, const struct iceberg_spec *spec,
                                      const struct iceberg_schema *schema, struct iceberg_partitioner *ret,
                                      struct tn_error *err) TN_CHECKED;
/* The partition of a row. sources: the value of each field's column in the
 * single-value form, {NULL} for NULL. What it gives may borrow from them. */
void iceberg_partition_of(const struct iceberg_partitioner *partitioner, struct tn_arena *arena,
                          const struct iceberg_bytes *sources, struct iceberg_bytes *ret);
/* Some order of partitions of one spec; 0: the same. By value, also where a
 * column was widened since; NULL first. types may be NULL, or have NULLs. */
int iceberg_partition_compare(const struct iceberg_type *const *types, const struct iceberg_bytes *a,
                              const struct iceberg_bytes *b, size_t count);
/* The 32-bit hash of a value that is not NULL, before it is a bucket's number. */
int32_t iceberg_hash(const struct iceberg_type *type, struct iceberg_bytes value);

/* A schema that has the columns which a spec is made of: `preferred`, or one of
 * the table's older ones, since columns go and files stay. NULL: none has, or
 * the spec has a transform that we do not know; nothing of that spec is written. */
const struct iceberg_schema *iceberg_spec_schema(struct tn_arena *arena, const struct iceberg_metadata *metadata,
                                                 const struct iceberg_spec *spec,
                                                 const struct iceberg_schema *preferred);

/* --- Tables -------------------------------------------------------------- */

/* Decoded manifests and manifest lists, least recently used out first; they
 * are immutable, so nothing ever goes stale. One per process is right. */
struct iceberg_cache;
struct iceberg_cache *iceberg_cache_new(size_t max_bytes) __attribute__((returns_nonnull));
void iceberg_cache_free(struct iceberg_cache *cache); /* after all users */
TN_DEFINE_CLEANUP(struct iceberg_cache, iceberg_cache_free)
struct iceberg_cache_state {
    size_t bytes, max_bytes, entries;
    uint64_t hits, misses;
};
struct iceberg_cache_state iceberg_cache_state(struct iceberg_cache *cache);

/* Where a table lies; a plain value that callers keep and pass by address.
 * What it points to must outlive every tx and plan made with it. */
struct iceberg_table {
    struct store *store;
    const char *prefix;          /* "datasets/calls", no slash at the end */
    struct iceberg_cache *cache; /* or NULL */
};

/* Version 1: schema, properties, no snapshot. Ids of `schema` are assigned
 * afresh. TN_EEXISTS when there is a table. Set unless given: see
 * docs/formats/table.md. */
enum tn_code iceberg_table_create(const struct iceberg_table *table, const struct iceberg_schema *schema,
                                  const struct iceberg_pair *properties, size_t property_count,
                                  struct iceberg_metadata **ret, struct tn_error *err) TN_CHECKED;
/* The newest version. `known`, a version loaded before, or NULL, makes it one
 * probe when nothing has changed: *ret is then another reference to it.
 * Without it the folder of pointers is listed. TN_ENOTFOUND when there is no
 * table. */
enum tn_code iceberg_table_load(const struct iceberg_table *table, const struct iceberg_metadata *known,
                                struct iceberg_metadata **ret, struct tn_error *err) TN_CHECKED;
enum tn_code iceberg_table_exists(const struct iceberg_table *table, bool *ret, struct tn_error *err) TN_CHECKED;
/* Makes the table not exist: a last pointer says "dropped". All files stay, and
 * iceberg_table_undrop brings it back; a create in the same place starts a new
 * table behind it. TN_ECONFLICT when it changed since `base`. */
enum tn_code iceberg_table_drop(const struct iceberg_table *table, const struct iceberg_metadata *base,
                                struct tn_error *err) TN_CHECKED;
/* The version before the drop becomes the newest. TN_ENOTFOUND unless the
 * newest pointer is a drop. */
enum tn_code iceberg_table_undrop(const struct iceberg_table *table, struct iceberg_metadata **ret,
                                  struct tn_error *err) TN_CHECKED;

/* A URI for a new data file: "<location>/data/<uuid7><suffix>". The caller
 * writes it through the store; `ret_key` is its key there. */
const char *iceberg_new_file_uri(struct tn_arena *arena, const struct iceberg_table *table,
                                 const struct iceberg_metadata *metadata, const char *suffix, const char **ret_key)
    __attribute__((returns_nonnull));
/* The store key of a path found in this table. Paths below the table's own
 * location resolve below its prefix, also after the lake's folder has moved. */
enum tn_code iceberg_resolve(struct tn_arena *arena, const struct iceberg_table *table,
                             const struct iceberg_metadata *metadata, const char *uri, const char **ret_key,
                             struct tn_error *err) TN_CHECKED;

/* --- Transactions -------------------------------------------------------- */

/* Collects changes on top of `base` (referenced) and commits them as one new
 * version. Values passed in are copied. Nothing becomes visible before the
 * commit. Data files either lie in the store by then, or, better, were put into
 * the transaction's own batch, and become durable with everything else in one
 * round of fsyncs. */
struct iceberg_tx;
struct iceberg_tx *iceberg_tx_new(const struct iceberg_table *table, const struct iceberg_metadata *base)
    __attribute__((returns_nonnull));
/* The first commit of a table that does not exist yet: schema (its ids are
 * assigned afresh from 1, as iceberg_schema_assign_ids gives them) and first
 * rows become visible together, so that a crash cannot leave an empty table
 * behind. TN_EEXISTS when there is a table; commit fails with TN_ECONFLICT when
 * somebody else made it meanwhile. */
enum tn_code iceberg_tx_new_table(const struct iceberg_table *table, const struct iceberg_schema *schema,
                                  struct iceberg_tx **ret, struct tn_error *err) TN_CHECKED;
/* As iceberg_new_file_uri, also for a table that is only being made. */
const char *iceberg_tx_new_file(struct iceberg_tx *tx, struct tn_arena *arena, const char *suffix,
                                const char **ret_key) __attribute__((returns_nonnull));
/* The id that the schema of this commit has or will have (after set_schema). */
int32_t iceberg_tx_schema_id(const struct iceberg_tx *tx);
/* Frees it. Manifests and metadata of an attempt that was not published are
 * deleted. Data files are not: those that reached the store (after a lost race
 * they have) are the caller's to delete, or iceberg_table_orphans finds them.
 * NULL is fine. */
void iceberg_tx_free(struct iceberg_tx *tx);
TN_DEFINE_CLEANUP(struct iceberg_tx, iceberg_tx_free)

/* The batch that the commit flushes: put data files, and whatever else must
 * become durable with the commit, into it (store_batch_put_file). The tx's. */
struct store_batch *iceberg_tx_batch(struct iceberg_tx *tx) __attribute__((returns_nonnull));

/* Adds a data or position-delete file, as `content` says. Files without rows
 * are refused, as are equality deletes. Statistics need not be sorted; those of
 * the two columns of a delete file for one data file are completed, and it gets
 * the spec and the partition of that data file. */
enum tn_code iceberg_tx_add_file(struct iceberg_tx *tx, const struct iceberg_file *file,
                                 struct tn_error *err) TN_CHECKED;
/* Takes a live file out, and delete files that belong to it alone. Commit fails
 * with TN_ECONFLICT when it is not live. */
void iceberg_tx_remove_file(struct iceberg_tx *tx, const char *path);
/* Takes everything out that is there now: "replace" mode of an ingest. */
void iceberg_tx_remove_all(struct iceberg_tx *tx);
/* The content starts from an older snapshot instead of the newest (restore).
 * TN_ESNAPSHOT when it is not there. */
enum tn_code iceberg_tx_start_from(struct iceberg_tx *tx, int64_t snapshot_id, struct tn_error *err) TN_CHECKED;
/* The rows stay the same (compaction): operation "replace". */
void iceberg_tx_mark_rewrite(struct iceberg_tx *tx);
/* A schema made by iceberg_schema_evolve (or with new identifier ids, docs,
 * names); it gets the next free id, or that of an equal one. */
void iceberg_tx_set_schema(struct iceberg_tx *tx, const struct iceberg_schema *schema);
void iceberg_tx_set_property(struct iceberg_tx *tx, const char *key, const char *value); /* NULL removes */
void iceberg_tx_set_summary(struct iceberg_tx *tx, const char *key, const char *value);
/* Tags keep a snapshot for ever; a NONE id removes the tag. */
void iceberg_tx_set_tag(struct iceberg_tx *tx, const char *name, int64_t snapshot_id);
/* Forgets a snapshot (thinning, expiry): not the current one, none that a tag
 * or branch holds. Its files are left to iceberg_table_orphans. */
void iceberg_tx_forget_snapshot(struct iceberg_tx *tx, int64_t snapshot_id);

/* How many snapshots a table keeps by itself. The newest keep_newest stay; of
 * those before them the last of each hour (UTC) up to an age of hourly_ms, then
 * the last of each day up to daily_ms. The current one stays, and any that a
 * tag or branch holds. */
struct iceberg_thinning {
    size_t keep_newest; /* 0: nothing is thinned */
    size_t slack;       /* so many may come together before a commit forgets them all */
    int64_t hourly_ms, daily_ms;
    /* False keeps a snapshot all the same; NULL: none. Called for a few at every commit. */
    bool (*may_forget)(void *context, const struct iceberg_snapshot *snapshot);
    void *context;
};
/* 1,000; one commit in 96 does the work; hours for a week, days for ever. */
#define ICEBERG_THINNING_DEFAULT                                                                                     \
    {                                                                                                                \
        .keep_newest = 1000, .slack = 95, .hourly_ms = INT64_C(7) * 24 * 3600 * 1000, .daily_ms = INT64_MAX          \
    }
/* Marks what this commit is to forget and returns how many: usually none, so
 * that it may be called for every commit; at most 1,024. Call it last. A rebase
 * takes the marks back (whoever was first has thinned, or the next commit
 * will); thinning is never a reason for a conflict. */
size_t iceberg_tx_thin(struct iceberg_tx *tx, const struct iceberg_thinning *thinning);
/* Stands in the pointer and the snapshot; default: now. For tests. */
void iceberg_tx_set_time(struct iceberg_tx *tx, int64_t timestamp_ms);
/* The id that the new snapshot will have (also after a rebase); data files may
 * carry it in their names. */
int64_t iceberg_tx_snapshot_id(const struct iceberg_tx *tx);
/* Whether a transaction of this process that makes, or made, that snapshot has
 * not been freed: what it has put beside the table is not to be swept yet. */
bool iceberg_tx_is_open(int64_t snapshot_id);
/* What new data files are of: the default spec of the base. */
const struct iceberg_spec *iceberg_tx_spec(const struct iceberg_tx *tx) __attribute__((returns_nonnull));
/* The table's uuid, also of one that is only being made. The tx's. */
const char *iceberg_tx_table_uuid(const struct iceberg_tx *tx) __attribute__((returns_nonnull));

/* prepare: manifests, list and metadata, durable. publish: the pointer. A
 * commit is both with fewer fsyncs; two tables commit together by preparing
 * both first. With nothing to change, commit returns the base.
 *
 * TN_ECONFLICT from publish or commit means that somebody else was first, and
 * nothing of this transaction is visible. Retry:
 *
 *     while ((code = iceberg_tx_commit(tx, &done, err)) == TN_ECONFLICT && tries--) {
 *         TN_TRY(iceberg_table_load(table, base, &newest, err));
 *         TN_TRY(iceberg_tx_rebase(tx, newest, err));
 *     }
 *
 * Any other failure of publish leaves the outcome unknown when the store could
 * not say (the error's text tells); the files then stay. */
enum tn_code iceberg_tx_prepare(struct iceberg_tx *tx, struct tn_error *err) TN_CHECKED;
enum tn_code iceberg_tx_publish(struct iceberg_tx *tx, struct iceberg_metadata **ret,
                                struct tn_error *err) TN_CHECKED;
enum tn_code iceberg_tx_commit(struct iceberg_tx *tx, struct iceberg_metadata **ret, struct tn_error *err) TN_CHECKED;
/* Puts the same changes on a newer base. Appends always rebase. A removal
 * rebases when its file is still live and no newer delete file touches it;
 * position deletes when their data file is still live; a schema when the
 * current one has not changed. TN_ECONFLICT names what is in the way: build a
 * new transaction then. */
enum tn_code iceberg_tx_rebase(struct iceberg_tx *tx, const struct iceberg_metadata *newest,
                               struct tn_error *err) TN_CHECKED;

/* --- Changes that other engines ask for ---------------------------------- */

/* Who asked for a version, where that was not Tarn itself. It stands in the
 * pointer file, because a client's snapshot is never altered. */
struct iceberg_origin {
    const char *actor;      /* the token's name; NULL: not known, here and below */
    const char *agent;      /* User-Agent */
    const char *request_id; /* of the HTTP request */
    int64_t at_ms;          /* 0: there is no origin */
};
/* Who committed a snapshot. TN_ENOTFOUND when it was Tarn, or when the pointer
 * that knew is gone. Reads pointers from the newest on, so ask soon. */
enum tn_code iceberg_snapshot_origin(const struct iceberg_table *table, const struct iceberg_metadata *metadata,
                                     int64_t snapshot_id, struct tn_arena *arena, struct iceberg_origin *ret,
                                     struct tn_error *err) TN_CHECKED;

/* The two arrays of a commit in the REST catalog's words, JSON, borrowed; NULL
 * counts as empty. */
struct iceberg_change {
    const char *space, *table; /* the identifier; parts joined by 0x1F. NULL where the request has none */
    const char *requirements, *updates;
    size_t requirements_length, updates_length;
};
/* A CommitTableRequest, or (`several`) a CommitTransactionRequest; the arena's,
 * with pieces of `text` borrowed. TN_EREQUEST. */
enum tn_code iceberg_changes_read(struct tn_arena *arena, const char *text, size_t length, bool several,
                                  struct iceberg_change **ret, size_t *ret_count, struct tn_error *err) TN_CHECKED;
/* The metadata with those snapshots only that a branch or tag points to. */
enum tn_code iceberg_metadata_json_refs(const struct iceberg_metadata *metadata, struct tn_buf *out,
                                        struct tn_error *err) TN_CHECKED;
/* Does it ask for a table that is not there yet (assert-create)? */
bool iceberg_change_creates(const struct iceberg_change *change);
/* What `base` (NULL: no table) becomes; nothing is written. *ret is another
 * reference to `base` when nothing changes. TN_ECONFLICT: a requirement does
 * not hold, or a sequence number is stale. TN_EREQUEST: anything that would
 * make metadata which a reader refuses; also a manifest list or manifest that
 * is not there or not what it should be. Unknown members of the metadata stay. */
enum tn_code iceberg_change_apply(const struct iceberg_table *table, const struct iceberg_metadata *base,
                                  int64_t version, const struct iceberg_change *change, struct iceberg_metadata **ret,
                                  struct tn_error *err) TN_CHECKED;
/* The first version that a CreateTableRequest describes; ids are assigned
 * afresh. Nothing is written. */
enum tn_code iceberg_change_create(const struct iceberg_table *table, int64_t version, const char *request,
                                   size_t length, struct iceberg_metadata **ret, struct tn_error *err) TN_CHECKED;
/* A version whose metadata file exists already, in the lake. */
enum tn_code iceberg_change_register(const struct iceberg_table *table, int64_t version, const char *uri,
                                     struct iceberg_metadata **ret, struct tn_error *err) TN_CHECKED;
/* The version that a create has here: one behind the newest, dropped or not. */
enum tn_code iceberg_table_next_version(const struct iceberg_table *table, int64_t *ret,
                                        struct tn_error *err) TN_CHECKED;
/* Commits: the metadata file (unless `written`) and the pointer. TN_ECONFLICT
 * when the version is taken; nothing of it is visible then. */
enum tn_code iceberg_version_publish(const struct iceberg_table *table, const struct iceberg_metadata *base,
                                     const struct iceberg_metadata *next, bool written,
                                     const struct iceberg_origin *origin, struct tn_error *err) TN_CHECKED;
/* The same in steps, for several tables at once: the metadata file into a
 * batch; the pointer's key (returned) and bytes, the arena's; the hint. */
enum tn_code iceberg_version_put(const struct iceberg_metadata *next, struct store_batch *batch,
                                 struct tn_error *err) TN_CHECKED;
const char *iceberg_version_pointer(struct tn_arena *arena, const struct iceberg_table *table,
                                    const struct iceberg_metadata *base, const struct iceberg_metadata *next,
                                    const struct iceberg_origin *origin, const char **ret_text)
    __attribute__((returns_nonnull));
void iceberg_version_hint(const struct iceberg_table *table, const struct iceberg_metadata *next);

/* --- Planning ------------------------------------------------------------ */

enum iceberg_op {
    ICEBERG_LT,
    ICEBERG_LE,
    ICEBERG_EQ,
    ICEBERG_NE,
    ICEBERG_GE,
    ICEBERG_GT,
    ICEBERG_IN,
    ICEBERG_IS_NULL,
    ICEBERG_NOT_NULL,
};

/* All predicates of a plan must hold for a row to matter. Values are in the
 * single-value form of the field's type (iceberg_value_parse). */
struct iceberg_predicate {
    int32_t field_id;
    enum iceberg_op op;
    const struct iceberg_bytes *values;
    size_t value_count; /* 1; any for IN; 0 for the NULL tests */
};

struct iceberg_plan_file {
    const struct iceberg_file *file;
    const char *key;                           /* of the file in the store */
    const struct iceberg_file *const *deletes; /* position-delete files that may have rows for it */
    const char *const *delete_keys;
    size_t delete_count;
};

struct iceberg_plan {
    const struct iceberg_metadata *metadata;
    const struct iceberg_snapshot *snapshot; /* NULL: an empty table */
    const struct iceberg_schema *schema;     /* in force at the snapshot */
    const struct iceberg_plan_file *files;   /* in order of sequence number, then path */
    size_t file_count;
    size_t pruned_count;  /* data files left out by the predicates */
    int64_t record_count; /* rows in `files`, before deletes */
    int64_t size_bytes;
    size_t deleted_file_count; /* of `files`, how many have deletes */
};

/* The live files of a snapshot (NULL: the current one) that may hold rows for
 * all the predicates. TN_EUNSUPPORTED when the table uses what we do not read
 * (equality deletes, deletion vectors, format 3, files other than Parquet). The
 * plan holds what it shows until it is freed. */
enum tn_code iceberg_plan_new(const struct iceberg_table *table, const struct iceberg_metadata *metadata,
                              const struct iceberg_snapshot *snapshot, const struct iceberg_predicate *predicates,
                              size_t predicate_count, struct iceberg_plan **ret, struct tn_error *err) TN_CHECKED;
void iceberg_plan_free(struct iceberg_plan *plan);
TN_DEFINE_CLEANUP(struct iceberg_plan, iceberg_plan_free)
#define ICEBERG_AUTO_PLAN TN_CLEANUP(iceberg_plan_free_p) struct iceberg_plan

/* --- Upkeep -------------------------------------------------------------- */

/* Called with the store key of every object that the version reaches: metadata
 * files of its log, lists, manifests, data and delete files of all snapshots.
 * Keys come once each. */
typedef void iceberg_key_fn(void *context, const char *key, int64_t size_bytes);
enum tn_code iceberg_table_reachable(const struct iceberg_table *table, const struct iceberg_metadata *metadata,
                                     iceberg_key_fn *each, void *context, struct tn_error *err) TN_CHECKED;
/* Objects of the table's metadata, data and commits folders that the NEWEST
 * version does not reach and that are older than min_age_ms (at least 10 while
 * commits are under way: files are stamped by a clock of ticks): left by crashes,
 * lost races and forgotten snapshots. Deleted when `remove` is set, after
 * `each` (which may be NULL) saw them.
 *
 * Commits and readers go on meanwhile. Never an orphan is
 *   what a version that this process holds reaches (a plan, a transaction's
 *     base, anything with a reference), also when the newest one has forgotten it;
 *   what was put into the batch of a transaction that this process has open;
 *   what became visible less than min_age_ms ago: that covers other processes,
 *     and files put into the store before there was a transaction. Be generous
 *     with it where there are any (an hour); readers in other processes that
 *     hold forgotten snapshots are not known here. */
enum tn_code iceberg_table_orphans(const struct iceberg_table *table, int64_t min_age_ms, bool remove,
                                   iceberg_key_fn *each, void *context, struct tn_error *err) TN_CHECKED;

/* Our strict validator, stricter than any client. Returns TN_OK when it could
 * look at everything, however much it found. */
struct iceberg_finding {
    bool fatal;        /* a reader will fail or answer wrongly; else only untidy */
    const char *rule;  /* a stable word: "total-records", "null-first-union" */
    const char *where; /* the object's key or URI */
    const char *text;
};
typedef void iceberg_finding_fn(void *context, const struct iceberg_finding *finding);
enum tn_code iceberg_check(const struct iceberg_table *table, const struct iceberg_metadata *metadata,
                           iceberg_finding_fn *each, void *context, struct tn_error *err) TN_CHECKED;

#endif
