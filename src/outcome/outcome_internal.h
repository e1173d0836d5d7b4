/* Inside outcome.
 *
 *   log.c frame.c entry.c  the append log
 *   db.c                   SQLite, made of the log
 *   store.c                open, close, degraded mode, catching up
 *   record.c               requests, keys, group commit
 *   rank.c compare.c choose.c stats.c   what is read from it
 *   import.c transfer.c    aggregates from elsewhere, and to elsewhere
 *   roll.c tables.c        the Iceberg table, and SQL over both
 *   check.c                held against the truth
 */
#ifndef TARN_OUTCOME_OUTCOME_INTERNAL_H
#define TARN_OUTCOME_OUTCOME_INTERNAL_H

#include "outcome/db.h"
#include "outcome/log.h"
#include "outcome/outcome.h"

#include <pthread.h>
#include <stdatomic.h>

struct outcome_request;
struct outcome_tail;

/* Locks, in this order: writing, rolling, readers_lock; queue_lock alone. */
struct outcome_store {
    struct lake *lake;
    const char *folder, *log_folder, *db_path; /* the arena's */
    struct tn_arena *arena;

    pthread_mutex_t queue_lock;
    pthread_cond_t queue_done;
    struct outcome_request *first, **end; /* waiting, in the order of their coming */
    bool leading;                         /* somebody commits a group */

    pthread_mutex_t writing; /* log, db */
    atomic_bool exists;      /* the folder and the log are open */
    struct outcome_log log;
    struct outcome_db *db; /* the file, or the temporary one when degraded */
    atomic_bool degraded;
    int64_t retry_us; /* when the file is tried again */

    pthread_mutex_t readers_lock;
    struct outcome_db *readers; /* idle connections to the file */
    uint64_t readers_epoch;     /* counts up when the file is another one */

    pthread_mutex_t rolling; /* everything below */
    bool table_known;
    /* A roll's commit failed, perhaps only in telling, or somebody else's came first: the
     * next roll looks. Who reads goes on with `rolled`; the log still has what it lacks. */
    bool table_doubted;
    struct iceberg_table table;
    struct iceberg_metadata *rolled; /* newest version; NULL: nothing was rolled */
    struct outcome_tail *tail;       /* what is not rolled, as a file for the engine */
    atomic_llong rolled_id, last_id;
    atomic_bool roll_queued;
    struct dataset_extra tables;
};

/* ---- store.c ------------------------------------------------------------------ */

/* The folder, the log and a database, with everything applied. `writing` held.
 * The log's lock not held. TN_ENOTFOUND when nothing was ever recorded and create is off. */
enum tn_code outcome_ready(struct outcome_store *store, bool create, struct tn_error *err) TN_CHECKED;
/* The database went bad while it was used: on with a temporary one. `writing` held. */
enum tn_code outcome_degrade(struct outcome_store *store, const struct tn_error *why,
                             struct tn_error *err) TN_CHECKED;
/* Applies to `db` what it does not have. `writing` held. */
enum tn_code outcome_catch_up(struct outcome_store *store, struct outcome_db *db, struct tn_error *err) TN_CHECKED;
/* Begins with an empty database. `writing` held. */
enum tn_code outcome_rebuild(struct outcome_store *store, struct tn_error *err) TN_CHECKED;

/* A connection to read from. TN_ENOTFOUND: there is nothing. While it is degraded,
 * the connection is the writer's and `writing` is held until it is given back. */
struct outcome_reader {
    struct outcome_store *store;
    struct outcome_db *db;
    uint64_t epoch;
    bool writers;
};
enum tn_code outcome_reader_take(struct outcome_store *store, struct outcome_reader *ret,
                                 struct tn_error *err) TN_CHECKED;
void outcome_reader_give(struct outcome_reader *reader);
#define OUTCOME_AUTO_READER TN_CLEANUP(outcome_reader_give) struct outcome_reader

/* Always with six digits, so that texts sort as times do. */
const char *outcome_time_text(int64_t us, char out[TN_TIME_TEXT]);

/* ---- record.c ----------------------------------------------------------------- */

/* Through the group commit. For imports, entries that change nothing are left out
 * and count as duplicates. */
enum tn_code outcome_submit(struct outcome_store *store, const struct outcome_entry *entries, size_t count,
                            struct outcome_recorded *ret, struct tn_error *err) TN_CHECKED;

/* ---- rank.c ------------------------------------------------------------------- */

/* Fills what follows from the counts. */
void outcome_model_finish(struct outcome_model *model);

/* ---- import.c ----------------------------------------------------------------- */

/* Reads entries out of a document, reporting what is wrong. All in the arena. */
enum tn_code outcome_import_read(const json_t *document, const char *source, struct tn_arena *arena,
                                 struct outcome_entry **ret, size_t *ret_count, struct outcome_imported *report,
                                 struct tn_error *err) TN_CHECKED;
/* folder/model-performance.json, once. Never fails: what goes wrong is logged. */
void outcome_import_old_file(struct outcome_store *store);

/* ---- roll.c, tables.c --------------------------------------------------------- */

extern const struct iceberg_schema outcome_schema;
/* Learns what is rolled. `rolling` held. */
enum tn_code outcome_table_load(struct outcome_store *store, struct tn_error *err) TN_CHECKED;
/* Rolled entries with from <= id, in order. `rolling` not held. */
enum tn_code outcome_rolled_each(struct outcome_store *store, int64_t from, log_entry_fn *each, void *context,
                                 struct tn_error *err) TN_CHECKED;
/* "['<path>', ...]" of the files; false when there are none. `rolling` held. */
enum tn_code outcome_put_files(struct outcome_store *store, struct tn_buf *out, bool *ret_any,
                               struct tn_error *err) TN_CHECKED;
/* Log entries from < id <= to as a Parquet file; *ret_rows. */
enum tn_code outcome_write_parquet(struct outcome_store *store, int64_t from, int64_t to, const char *path,
                                   bool field_ids, struct tn_arena *arena, struct engine_file_stats *ret,
                                   struct tn_error *err) TN_CHECKED;
void outcome_tables_init(struct outcome_store *store);
void outcome_tail_release(struct outcome_store *store);
/* The entries as one SELECT; *ret_hold is the caller's. */
enum tn_code outcome_entries_sql(struct outcome_store *store, struct tn_buf *out, struct engine_hold **ret_hold,
                                 int64_t *ret_last_id, struct tn_error *err) TN_CHECKED;

#endif
