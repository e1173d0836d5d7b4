/* dataset: rows in, rows out. Turns Iceberg snapshots into relations that the
 * engine reads, and engine output into commits.
 *
 * Reading: dataset_resolver gives the engine, for each table a query names,
 * a SELECT over exactly the files of one snapshot with its deletes applied.
 *
 * Writing: one struct dataset_write is one commit. It plans the schema first
 * (refusing with a list of differences), then takes any number of files, from
 * several threads at once, then commits: data durable, manifests durable,
 * metadata durable, pointer. Nothing is visible before the pointer; a write
 * that is freed without commit leaves nothing but files that clean-up knows.
 */
#ifndef TARN_DATASET_DATASET_H
#define TARN_DATASET_DATASET_H

#include "base/base.h"
#include "catalog/catalog.h"
#include "engine/engine.h"

/* The parts of an open lake that the modules above work with. Filled and
 * owned by whoever opened them; borrowed by everybody else. */
struct lake {
    struct store *store;
    struct catalog *catalog;
    struct engine *engine;
    struct tn_pool *pool;
    const struct tn_config *config;
    struct dataset_relations *relations; /* may be NULL: nothing is remembered then */
};

/* SELECTs for snapshots, remembered because a busy dataset is asked for the
 * same one thousands of times a second. Thread-safe. */
struct dataset_relations *dataset_relations_new(void) __attribute__((returns_nonnull));
void dataset_relations_free(struct dataset_relations *relations);
TN_DEFINE_CLEANUP(struct dataset_relations, dataset_relations_free)

/* ---- reading ----------------------------------------------------------- */

/* For struct engine_query_options. `lake` must outlive the query's start. */
struct engine_resolver dataset_resolver(struct lake *lake);

/* ---- writing ----------------------------------------------------------- */

struct dataset_column {
    const char *name;          /* SQL-friendly and unique */
    const char *original_name; /* as in the source; may equal name */
    const char *sql_type;      /* as DuckDB names it */
};

enum dataset_mode { DATASET_APPEND, DATASET_REPLACE };

/* Who did it and from what; texts are borrowed for the call. */
struct dataset_lineage {
    const char *ingest_id;
    const char *source;       /* file name, "rows", ... */
    const char *content_hash; /* hex; NULL when there is none */
    const char *options_hash;
    const char *actor;
    const char *reason; /* may be NULL */
    const char *request_id;
    uint64_t source_bytes;
    uint64_t rejected_rows;
    int64_t started_us;
};

struct dataset_commit {
    int64_t snapshot_id;
    uint64_t rows;  /* written by this commit */
    bool unchanged; /* somebody committed the same content meanwhile: nothing was written */
};

struct dataset_write;

/* Plans a write. A new dataset takes the columns as they are; an existing one
 * takes them by name: missing ones become NULL, new ones are added, numbers
 * widen. TN_ESCHEMA lists every difference that does not fit. */
enum tn_code dataset_write_begin(struct lake *lake, const char *name, enum dataset_mode mode,
                                 const struct dataset_column *columns, size_t count, struct dataset_write **ret,
                                 struct tn_error *err) TN_CHECKED;
/* The key: "id" or "a,b", names of columns; before the first file. A new or
 * replaced dataset takes it; an existing one has it already or refuses
 * (TN_ESCHEMA). A NULL in a key column refuses the commit (TN_EREFUSED). That
 * keys are unique is upheld by writes by key, not here. */
enum tn_code dataset_write_set_key(struct dataset_write *write, const char *key, struct tn_error *err) TN_CHECKED;
/* Aborts unless committed; files already written are deleted. */
void dataset_write_free(struct dataset_write *write);
TN_DEFINE_CLEANUP(struct dataset_write, dataset_write_free)

/* Writes one data file from a source whose columns are those of begin, by name.
 * A source column may be of a narrower type than begin said: it is cast, and
 * JSON text is parsed where begin said a list, struct or map. `order` places the file among the others: rows read
 * back in that order. A source without rows adds no file. Several threads may call this at once. With from_sql
 * instead of source, the rows of that trusted SELECT. */
enum tn_code dataset_write_file(struct dataset_write *write, size_t order, const struct engine_source *source,
                                const char *from_sql, bool (*cancelled)(void *), void *cancel_context,
                                struct tn_error *err) TN_CHECKED;
uint64_t dataset_write_rows(const struct dataset_write *write);

/* One commit on top of whatever others have committed meanwhile. TN_ECONFLICT
 * when one of them gave this write's new columns another shape: begin again. When lineage has
 * a content hash and the dataset already holds the same content with the same
 * options (see dataset_find_content), nothing is written: ret->unchanged. */
enum tn_code dataset_write_commit(struct dataset_write *write, const struct dataset_lineage *lineage,
                                  struct dataset_commit *ret, struct tn_error *err) TN_CHECKED;

/* Whether a live ingest brought these bytes with these options: its snapshot
 * id, rows and rejected rows, or TN_ENOTFOUND. Content from before the newest
 * replace no longer counts; for a replace, only content that is the whole
 * dataset does. */
struct dataset_known {
    int64_t snapshot_id;
    uint64_t rows, rejected_rows;
    char ingest_id[TN_UUID_TEXT];
};
enum tn_code dataset_find_content(struct lake *lake, const char *name, enum dataset_mode mode,
                                  const char *content_hash, const char *options_hash, struct dataset_known *ret,
                                  struct tn_error *err) TN_CHECKED;

/* The dataset's columns as begin would compare them; the arena's. */
enum tn_code dataset_columns(struct lake *lake, const char *name, struct tn_arena *arena, struct dataset_column **ret,
                             size_t *ret_count, struct tn_error *err) TN_CHECKED;

#endif
