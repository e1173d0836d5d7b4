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

/* Tables that a module above gives: names that no dataset may have. Outlives
 * the lake's queries. */
struct dataset_extra {
    const char *const *names;
    size_t name_count;
    void *context;
    enum tn_code (*resolve)(void *context, const struct engine_table_ref *ref, struct tn_arena *arena,
                            struct engine_relation *ret, struct tn_error *err);
    const struct dataset_extra *next; /* further tables, of another module; may be NULL */
};

/* The parts of an open lake that the modules above work with. Filled and
 * owned by whoever opened them; borrowed by everybody else. */
struct lake {
    struct store *store;
    struct catalog *catalog;
    struct engine *engine;
    struct tn_pool *pool;
    const struct tn_config *config;
    struct dataset_relations *relations; /* may be NULL: nothing is remembered then */
    struct journal *journal;             /* may be NULL in tests: nothing is journaled then */
    struct dataset_hot *hot;             /* may be NULL: nothing is held in memory then */
    struct dataset_replays *replays;     /* may be NULL: forgotten moments are not told again */
    struct dataset_rows_queues *queues;  /* may be NULL: each write of rows is a commit of its own */
    struct dataset_recent *recent;       /* may be NULL: what small writes changed is read from files */
    const struct dataset_extra *extra;   /* may be NULL: there are no tables but datasets and the journal */
    const struct dataset_extra *calls;   /* table functions that a module above gives; may be NULL */
};

/* SELECTs for snapshots, remembered because a busy dataset is asked for the
 * same one thousands of times a second. Thread-safe. */
struct dataset_relations *dataset_relations_new(void) __attribute__((returns_nonnull));
void dataset_relations_free(struct dataset_relations *relations); /* before engine_close: it holds bitmaps of it */
TN_DEFINE_CLEANUP(struct dataset_relations, dataset_relations_free)
size_t dataset_relations_bytes(struct dataset_relations *relations);         /* of what delete files say */
uint64_t dataset_relations_small_bytes(struct dataset_relations *relations); /* of small files' rows, in the engine */

/* ---- reading ----------------------------------------------------------- */

/* For struct engine_query_options. `lake` must outlive the query's start. */
struct engine_resolver dataset_resolver(struct lake *lake);

/* Moments whose snapshot was thinned, rebuilt from the journal into scratch
 * files, the last ones asked for. Thread-safe. */
struct dataset_replays;
struct dataset_replays *dataset_replays_new(void) __attribute__((returns_nonnull));
void dataset_replays_free(struct dataset_replays *replays);
TN_DEFINE_CLEANUP(struct dataset_replays, dataset_replays_free)

/* ---- writing ----------------------------------------------------------- */

struct dataset_column {
    const char *name;          /* SQL-friendly and unique */
    const char *original_name; /* as in the source; may equal name */
    const char *sql_type;      /* as DuckDB names it */
};

enum dataset_mode { DATASET_APPEND, DATASET_REPLACE, DATASET_UPSERT };

/* Who changes something, through which door ("api", "cli"), why, for whose work
 * and by which request: what the journal says of it. Texts are borrowed for the
 * call; all but the actor may be NULL. */
struct dataset_who {
    const char *actor, *source, *reason, *workspace, *request_id;
};

/* Who did it and from what; texts are borrowed for the call. */
struct dataset_lineage {
    const char *ingest_id;
    const char *source;       /* file name, "rows", ... */
    const char *content_hash; /* hex; NULL when there is none */
    const char *options_hash;
    const char *actor;
    const char *reason, *workspace; /* may be NULL */
    const char *request_id;
    const char *door; /* rows of a request: "api", "cli"; those of a new dataset are journaled one by one. NULL: a file */
    uint64_t source_bytes;
    uint64_t rejected_rows;
    int64_t started_us;
    /* A property of the dataset that the commit sets, also when no row differs
     * from what is there; NULL: none. */
    const char *property, *property_value;
};

/* What became of the rows of a write. */
struct dataset_counts {
    uint64_t inserted, updated, unchanged, deleted;
};

struct dataset_commit {
    int64_t snapshot_id;
    uint64_t rows;  /* written by this commit */
    bool unchanged; /* somebody committed the same content meanwhile: nothing was written */
    struct dataset_counts counts;
};

struct dataset_write;

/* Plans a write. A new dataset takes the columns as they are; an existing one
 * takes them by name: missing ones become NULL, new ones are added, numbers
 * widen. TN_ESCHEMA lists every difference that does not fit. */
enum tn_code dataset_write_begin(struct lake *lake, const char *name, enum dataset_mode mode,
                                 const struct dataset_column *columns, size_t count, struct dataset_write **ret,
                                 struct tn_error *err) TN_CHECKED;
/* The key: "id" or "a,b", names of columns; before the first file. A new or
 * replaced dataset takes it (a replaced one that is given none keeps its own, and
 * refuses files without those columns); an existing one has it already or refuses
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
/* The caller has seen that no key is there twice among the rows of its files
 * (they rose): the commit does not look again. */
void dataset_write_keys_differ(struct dataset_write *write);

/* One commit on top of whatever others have committed meanwhile. TN_ECONFLICT
 * when one of them gave this write's new columns another shape: begin again. When lineage has
 * a content hash and the dataset already holds the same content with the same
 * options (see dataset_find_content), nothing is written: ret->unchanged. */
enum tn_code dataset_write_commit(struct dataset_write *write, const struct dataset_lineage *lineage,
                                  struct dataset_commit *ret, struct tn_error *err) TN_CHECKED;

/* ---- rows, one by one --------------------------------------------------- */

/* Small writes: rows given as cells. Each is typed and checked by the caller
 * (ingest/rows.h reads JSON into them); one request is all or nothing.
 *
 * Merge on read: a commit adds one data file with the new rows and one
 * position-delete file for each data file that lost rows; nothing is rewritten.
 * A replaced row that equals the old one writes nothing. Every changed field is
 * journaled in the same commit. Requests for one dataset that arrive while a
 * commit is under way go together into the next one, in the order of their
 * arrival: each sees the rows as the one before left them. The call returns
 * when the commit with its rows is durable and visible to the next query.
 *
 * TN_EREFUSED: a key twice in a request, a key that is there already
 * (DATASET_ROWS_APPEND), named; no key where one is needed. TN_EPRECONDITION:
 * if_snapshot is not the newest any more. TN_ENOTFOUND: PATCH of a key that is not there. */
enum dataset_rows_op {
    DATASET_ROWS_APPEND, /* new rows; with a key: none of them may exist */
    DATASET_ROWS_UPSERT, /* insert or replace by key; columns that are not given become NULL */
    DATASET_ROWS_PATCH,  /* the given columns of rows that exist */
    DATASET_ROWS_DELETE, /* by key: the cells are key values alone */
    DATASET_ROWS_WHERE,  /* delete what meets `predicate` */
};

#define DATASET_ROWS_MAX 100000 /* of one request; more is a file for ingest with mode=upsert */

struct dataset_rows {
    enum dataset_rows_op op;
    const int32_t *field_ids; /* which columns of the schema the cells are; key columns among them */
    size_t column_count;
    const struct engine_cell *cells; /* row_count x column_count; texts borrowed */
    size_t row_count;
    const char *predicate;                       /* as the user wrote it; judged inside */
    int64_t if_snapshot;                         /* 0: whatever is newest */
    bool ignore_missing;                         /* DELETE of a key that is not there is fine */
    const char *actor;                           /* whose token */
    const char *source;                          /* "api", "cli" */
    const char *reason, *workspace, *request_id; /* may be NULL */
};

/* The record with this key (cells in the key's order) as the journal's `entity` names it, behind `out`. */
enum tn_code dataset_put_entity(const struct iceberg_schema *schema, const struct engine_cell *key,
                                struct tn_buf *out, struct tn_error *err) TN_CHECKED;
/* How a column of that kind stands in a cell. */
enum engine_kind dataset_cell_kind(enum iceberg_kind kind);

struct dataset_rows_queues;
struct dataset_rows_queues *dataset_rows_queues_new(void) __attribute__((returns_nonnull));
void dataset_rows_queues_free(struct dataset_rows_queues *queues);
TN_DEFINE_CLEANUP(struct dataset_rows_queues, dataset_rows_queues_free)

/* Blocks until durable. ret->snapshot_id is the newest snapshot even when nothing had to be written. */
enum tn_code dataset_rows_write(struct lake *lake, const char *name, const struct dataset_rows *rows,
                                struct dataset_commit *ret, struct tn_error *err) TN_CHECKED;
/* Makes the columns of `key` ("id", "a,b") the dataset's key when every row has one of its own; refused otherwise
 * with the first key that is there twice, or NULL. */
enum tn_code dataset_set_key(struct lake *lake, const char *name, const char *key, const struct dataset_who *who,
                             struct tn_error *err) TN_CHECKED;
/* The same for rows that are about to be upserted: refused, and nothing left
 * behind, when they would be. *ret_snapshot is the newest one afterwards, for their if_snapshot. */
enum tn_code dataset_set_key_for(struct lake *lake, const char *name, const char *key,
                                 const struct dataset_rows *rows, int64_t *ret_snapshot,
                                 struct tn_error *err) TN_CHECKED;

/* ---- what small writes have just changed ------------------------------------------ */

/* The rows that the last writes of rows removed and added, in memory: whoever
 * follows a dataset gets them without reading a file. A few megabytes, the
 * oldest go first; losing them costs time and changes no answer. Thread-safe. */
struct dataset_recent;
struct dataset_recent *dataset_recent_new(size_t memory_bytes) __attribute__((returns_nonnull));
void dataset_recent_free(struct dataset_recent *recent);
size_t dataset_recent_bytes(struct dataset_recent *recent);
TN_DEFINE_CLEANUP(struct dataset_recent, dataset_recent_free)

struct dataset_recent_row {
    bool removed;                    /* else added; a changed row is removed, then added */
    const struct engine_cell *cells; /* one for each column of the schema */
};
/* The rows that commits changed between two snapshots of `metadata`, at most `most`, oldest
 * first; their texts live until *ret_hold is let go (dataset_recent_unhold), also when there are none. False, and
 * nothing to let go, when some commit between is not known any more, or the schema was another one then. */
struct dataset_recent_hold;
bool dataset_recent_rows(struct lake *lake, const char *name, const struct iceberg_metadata *metadata, int64_t from,
                         int64_t to, size_t most, struct dataset_recent_row **ret, size_t *ret_count,
                         struct dataset_recent_hold **ret_hold);
void dataset_recent_unhold(struct dataset_recent_hold *hold);
TN_DEFINE_CLEANUP(struct dataset_recent_hold, dataset_recent_unhold)

/* ---- past and future ----------------------------------------------------- */

/* Makes the state of a snapshot id, of a time (RFC 3339) or of a tag the newest one: a
 * new snapshot; nothing is destroyed. Exactly that state, also where its snapshot
 * was thinned; TN_ESNAPSHOT when there was none, or it cannot be told any more. With
 * if_snapshot: TN_EPRECONDITION when that is not the newest one any more. */
enum tn_code dataset_restore(struct lake *lake, const char *name, const char *as_of, int64_t if_snapshot,
                             const struct dataset_who *who, struct dataset_commit *ret,
                             struct tn_error *err) TN_CHECKED;

/* A tag names a snapshot and keeps it. Names that a moment reads as something else
 * (numbers, times, "replay-N") are refused, as are those of branches. One that is
 * there already, at another snapshot, is moved only when that is said: TN_EEXISTS. The
 * rows do not change; the journal tells "tag.set" and "tag.drop". */
#define DATASET_TAG_MAX 255
struct dataset_tag {
    const char *name;
    const char *as_of; /* a moment that has a snapshot of its own; NULL: the newest one */
    bool move;
};
struct dataset_tagged {
    const char *status; /* "created", "moved", "unchanged", "dropped" */
    int64_t snapshot_id, committed_us;
};
enum tn_code dataset_tag_set(struct lake *lake, const char *name, const struct dataset_tag *tag,
                             const struct dataset_who *who, struct dataset_tagged *ret,
                             struct tn_error *err) TN_CHECKED;
enum tn_code dataset_tag_drop(struct lake *lake, const char *name, const char *tag, const struct dataset_who *who,
                              struct dataset_tagged *ret, struct tn_error *err) TN_CHECKED;
/* Says so: TN_ENOTFOUND. */
enum tn_code dataset_tag_unknown(const char *name, const char *tag, struct tn_error *err) TN_CHECKED;

/* Journals the commits of other engines that are not in the journal yet, with
 * the changes of rows between their snapshots; large ones with their counts
 * alone. Cheap when there is nothing to do. */
enum tn_code dataset_journal_foreign(struct lake *lake, const char *name, struct tn_error *err) TN_CHECKED;

/* ---- upkeep -------------------------------------------------------------- */

/* What small writes leave behind, and what it costs readers. */
struct dataset_debt {
    uint64_t data_files, small_files, delete_files;
    uint64_t rows, deleted_rows; /* rows: the live ones */
    uint64_t bytes;
    uint64_t snapshots;
    uint64_t due_files;   /* data and delete files that upkeep would replace by now */
    uint64_t tired_files; /* data files of which too many rows are deleted */
    int64_t compacted_us; /* when a compaction was last committed; 0: never */
};
enum tn_code dataset_debt(struct lake *lake, const char *name, struct dataset_debt *ret,
                          struct tn_error *err) TN_CHECKED;

/* Merges small files and applied deletes into larger files, sorted by the key.
 * Files are rewritten group by group, each group a commit of its own, so that
 * the memory and the work that a lost race costs stay small. Writers go on
 * meanwhile and win: rows that they delete from a file while it is rewritten
 * are deleted from the new one too, in the commit that brings it; a file that
 * they remove ends the group without harm. */
struct dataset_compaction {
    bool debt_only;       /* only what is due: runs of small files, tired files, many deletes; else all */
    size_t many;          /* with debt_only: files that are worth a merge; 0: 8 */
    double deleted_share; /* of a file's rows that makes it tired; 0: 0.2 */
    const char *actor, *reason, *request_id;
    bool (*cancelled)(void *context); /* between groups; may be NULL */
    void *cancel_context;
};
struct dataset_compacted {
    uint64_t files_before, files_after; /* of those that were rewritten, delete files that were merged too */
    uint64_t rows, deleted_rows, bytes; /* written; dropped for good from the newest version; written */
    uint64_t groups, lost_groups;       /* committed; given up */
    int64_t snapshot_id;                /* the newest afterwards */
};
enum tn_code dataset_compact(struct lake *lake, const char *name, const struct dataset_compaction *options,
                             struct dataset_compacted *ret, struct tn_error *err) TN_CHECKED;

/* Forgets snapshots that are older than a time and not among the newest `keep`;
 * never the current one, nor one that a tag or branch holds. The journal is
 * rolled first and keeps their events. With `preview` nothing changes. */
struct dataset_expiry {
    int64_t older_than_us;
    size_t keep;
    bool preview;
    struct dataset_who who;
};
struct dataset_expired {
    uint64_t snapshots, kept;
    int64_t oldest_us, newest_us; /* of those that go */
};
enum tn_code dataset_expire(struct lake *lake, const char *name, const struct dataset_expiry *options,
                            struct dataset_expired *ret, struct tn_error *err) TN_CHECKED;
/* A property of the table: sequence numbers, "12,345", of expired snapshots that
 * the journal's events are not applied across. Whoever forgets snapshots by `ids`
 * sets it in the same commit to what dataset_cuts says: the arena's text, "" for
 * none, NULL where nothing changes. The journal is rolled before. */
#define DATASET_P_CUTS "tarn.cuts"
const char *dataset_cuts(struct lake *lake, const struct iceberg_metadata *metadata, const int64_t *ids, size_t count,
                         struct tn_arena *arena);

/* One thread that keeps the lake's debt small: compacts what passes a limit,
 * thins old snapshots, rolls the journal, removes orphans. Starts by itself
 * nothing that a query waits for. */
struct dataset_upkeep;
struct dataset_upkeep_options {
    uint64_t interval_ms;
    size_t compact_files;   /* small files and delete files at which a dataset is compacted */
    double compact_deleted; /* share of deleted rows at which it is */
    size_t keep_snapshots;  /* the newest so many stay; of older ones ... */
    int64_t keep_hourly_ms; /* ... the last of each hour, up to this age, ... */
    int64_t keep_daily_ms;  /* ... and of each day, up to this one */
    uint64_t orphan_grace_ms;
};
enum tn_code dataset_upkeep_start(struct lake *lake, const struct dataset_upkeep_options *options,
                                  struct dataset_upkeep **ret, struct tn_error *err) TN_CHECKED;
/* Ends what it does at the next good moment, and waits. NULL is fine. */
void dataset_upkeep_stop(struct dataset_upkeep *upkeep);
struct dataset_upkeep_state {
    uint64_t compactions, lost_groups, thinned_snapshots, orphans, orphan_bytes, rolls, failures;
    int64_t last_run_us;
    char running[160]; /* what it does now: "compact calls"; "" when it rests */
};
struct dataset_upkeep_state dataset_upkeep_state(struct dataset_upkeep *upkeep);

/* ---- the hot cache (hot.h tells how) ------------------------------------- */

struct dataset_hot *dataset_hot_new(uint64_t memory_bytes) __attribute__((returns_nonnull));
/* Waits for fillings under way. Before engine_close. */
void dataset_hot_free(struct dataset_hot *hot);
TN_DEFINE_CLEANUP(struct dataset_hot, dataset_hot_free)
/* Fills now and keeps while there is room (pin), or lets it go. */
enum tn_code dataset_hot_pin(struct lake *lake, const char *name, struct tn_error *err) TN_CHECKED;
void dataset_hot_evict(struct lake *lake, const char *name);
struct dataset_hot_state {
    uint64_t bytes, budget, hits, misses, fills, evictions;
    size_t datasets;
};
struct dataset_hot_state dataset_hot_state(struct dataset_hot *hot);

/* For the validator: how many rows of a data file do not lie in the partition
 * that its entry names. TN_EUNSUPPORTED when the spec is one that Tarn does not
 * compute; any other error says that the file cannot be read. */
enum tn_code dataset_count_astray(struct engine *engine, const struct iceberg_metadata *metadata,
                                  const struct iceberg_file *file, const char *local_path, uint64_t *ret,
                                  struct tn_error *err) TN_CHECKED;

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
