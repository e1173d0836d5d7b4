/* rows_internal.h: what the parts of row writes share. Private to dataset.
 *
 *   rows_group.c   callers become groups; one of them works for all
 *   rows_attempt.c one group on one version: look up, apply, commit
 *   rows_lookup.c  the rows of a group's keys
 *   rows_apply.c   what requests do to rows, in memory
 *   rows_events.c  what happened, for the journal
 *   rows_commit.c  files, journal and pointer in one commit
 *   rows_files.c   the files of a commit of rows
 *   rows_where.c   deletes of more rows than are held one by one
 */
#ifndef TARN_DATASET_ROWS_INTERNAL_H
#define TARN_DATASET_ROWS_INTERNAL_H

#include "dataset/hot.h"
#include "dataset/rows_apply.h"
#include "journal/journal.h"

#include <semaphore.h>

/* One caller's request and its answer. */
struct rows_call {
    struct rows_request request;
    struct dataset_commit commit;
    enum tn_code code;
    struct tn_error error;
    /* While it waits (rows_group.c). */
    bool done;
    sem_t woken;
    struct rows_call *next;
};

/* rows_attempt.c: does the first of `calls`, as many as go together into one
 * commit; *ret_done says how many, at least one. Each of them has its code and
 * answer then, whatever became of it. The caller holds the dataset's lock. */
void rows_do(struct lake *lake, const char *name, struct rows_call *const *calls, size_t count, size_t *ret_done);

/* rows_lookup.c: tells the overlay which rows its keys have in the version. */
enum tn_code rows_look_up(struct lake *lake, const char *name, struct iceberg_metadata *newest,
                          struct rows_overlay *overlay, struct tn_error *err) TN_CHECKED;

/* rows_files.c: the files of one commit, put into the transaction's batch. Their
 * keys are kept: after a lost race they lie in the store and are deleted. */
struct rows_files {
    struct lake *lake;
    struct tn_arena *arena;
    struct iceberg_tx *tx;
    const char **keys;
    size_t count, capacity;
};
void rows_files_init(struct rows_files *files, struct lake *lake, struct tn_arena *arena, struct iceberg_tx *tx);
void rows_files_release(struct rows_files *files);
/* Removes what reached the store. Never fails: clean-up finds the rest. */
void rows_files_drop(struct rows_files *files);
/* One data file for each partition; *ret_path is its path in the table, the
 * arena's; of several, NULL. */
enum tn_code rows_files_add(struct rows_files *files, const struct cells_shape *shape,
                            const struct engine_cell *const *rows, size_t count, const char **ret_path,
                            struct tn_error *err) TN_CHECKED;
/* The same of the rows of a trusted SELECT of the schema's columns; without rows none. */
enum tn_code rows_files_add_sql(struct rows_files *files, const struct iceberg_schema *schema, const char *select,
                                struct tn_error *err) TN_CHECKED;
/* One position-delete file; positions ascending, each once. */
enum tn_code rows_files_remove(struct rows_files *files, const char *data_path, const int64_t *positions,
                               size_t count, struct tn_error *err) TN_CHECKED;
/* The same from the rows of a trusted SELECT of (file_path VARCHAR, pos BIGINT)
 * in order, however many. */
enum tn_code rows_files_remove_sql(struct rows_files *files, const char *data_path, const char *select,
                                   struct tn_error *err) TN_CHECKED;
/* One position-delete file for each data file that a local Parquet file of
 * (tarn_path, tarn_pos) names. `where` may leave rows of it out. */
enum tn_code rows_files_remove_listed(struct rows_files *files, const char *local_path, const char *where,
                                      uint64_t *ret_rows, struct tn_error *err) TN_CHECKED;

/* rows_events.c */
/* The events of one row that became another; NULL: it was not there, or is not
 * any more. `common` says who and why. */
void rows_tell(const struct cells_shape *shape, const struct engine_cell *from, const struct engine_cell *to,
               const struct journal_event *common, struct journal_batch *batch);
void rows_put_events(const struct rows_overlay *overlay, struct rows_call *const *calls, struct journal_batch *batch);

/* rows_commit.c: makes the overlay's changes the newest version. TN_ECONFLICT:
 * somebody else was first, nothing happened. */
enum tn_code rows_commit(struct lake *lake, const char *name, struct iceberg_metadata *newest,
                         const struct rows_overlay *overlay, struct rows_call *const *calls, size_t count,
                         int64_t *ret_snapshot, struct tn_error *err) TN_CHECKED;
/* Whether Tarn can write rows of this table at all. */
enum tn_code rows_check_writable(const struct iceberg_metadata *metadata, struct tn_error *err) TN_CHECKED;
/* Looks for a version that somebody else committed, and makes it the one that
 * the catalog gives. */
enum tn_code rows_refresh(struct lake *lake, const char *name, const struct iceberg_metadata *known,
                          struct tn_error *err) TN_CHECKED;

/* rows_where.c: a delete by predicate that concerns more rows than are journaled
 * one by one: set-wise, one event. `predicate` is guarded. */
enum tn_code rows_delete_many(struct lake *lake, const char *name, struct iceberg_metadata *newest,
                              const char *predicate, struct rows_call *call, struct tn_error *err) TN_CHECKED;

#endif
