/* compact_rows.h: a compaction whose rows are in memory. Private to dataset.
 *
 * Nearly all compactions merge files of one row each, which this process has
 * just written. Their rows are in fresh.h, their deletes in deletes.h; what is
 * not there is read. No file is staged and the engine writes none. */
#ifndef TARN_DATASET_COMPACT_ROWS_H
#define TARN_DATASET_COMPACT_ROWS_H

#include "dataset/cells.h"
#include "dataset/compact.h"
#include "dataset/hot.h"

#define COMPACT_FOLLOW_ROWS 4096 /* of a group that hot copies follow row by row */

/* The live rows of files, in the order of the file that takes their place. */
struct compact_rows;
/* *ret is NULL when they are too many, or hold what only the engine can write. The files stay the caller's and
 * outlive it. */
enum tn_code compact_rows_load(struct lake *lake, const struct iceberg_metadata *base,
                               const struct iceberg_plan_file *files, size_t count, struct compact_rows **ret,
                               struct tn_error *err) TN_CHECKED;
void compact_rows_free(struct compact_rows *rows);
TN_DEFINE_CLEANUP(struct compact_rows, compact_rows_free)
size_t compact_rows_count(const struct compact_rows *rows);

/* The new file's bytes; *ret has no path yet. At least one row. */
enum tn_code compact_rows_write(const struct compact_rows *rows, struct tn_arena *arena, struct tn_buf *out,
                                struct iceberg_file *ret, struct tn_error *err) TN_CHECKED;
/* What hot copies are told: where each of the rows went. The arena's and the rows'. */
void compact_rows_tell(const struct compact_rows *rows, struct tn_arena *arena, struct dataset_change *ret);
/* Where rows of the old files went that these plan files' deletes take out (some of those that were loaded, each
 * with the deletes that are meant); ascending, each once, the arena's. *ret_done: false when they are too many. */
enum tn_code compact_rows_find(const struct compact_rows *rows, const struct iceberg_plan_file *files, size_t count,
                               struct tn_arena *arena, int64_t **ret, size_t *ret_count, bool *ret_done,
                               struct tn_error *err) TN_CHECKED;
/* After the commit: the new file's rows take the place of the old ones' in memory. */
void compact_rows_keep(const struct compact_rows *rows, const char *path);

/* A plan's files by their path. The arena's; borrows the plan. */
struct compact_index;
struct compact_index *compact_index_new(struct tn_arena *arena, const struct iceberg_plan *plan);
const struct iceberg_plan_file *compact_index_find(const struct compact_index *index, const char *path);

#endif
