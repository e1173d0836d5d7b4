/* deletes.h: position deletes as bitmaps. Private to dataset. Threads: any. */
#ifndef TARN_DATASET_DELETES_H
#define TARN_DATASET_DELETES_H

#include "dataset/dataset.h"

/* What delete files say, remembered because they never change. */
struct dataset_deletes;
struct dataset_deletes *dataset_deletes_new(void) __attribute__((returns_nonnull));
void dataset_deletes_free(struct dataset_deletes *deletes);

/* What a delete file that was just written takes out of its one data file, so
 * that it need not be read. NULL is fine. */
void dataset_deletes_note(struct dataset_deletes *deletes, const char *delete_path, const char *data_path,
                          const int64_t *positions, size_t count);

/* How much is remembered. */
struct dataset_deletes_state {
    size_t count, bytes;
};
struct dataset_deletes_state dataset_deletes_state(struct dataset_deletes *deletes);

/* One bitmap for each file of the plan that has deletes, numbered from
 * *ret_first on in the plan's order; they are there until *ret is let go.
 * *ret is NULL when there are none, or when they would be too large. */
enum tn_code dataset_deletes_hold(struct lake *lake, struct dataset_deletes *deletes, const struct iceberg_plan *plan,
                                  uint64_t *ret_first, struct engine_hold **ret, struct tn_error *err) TN_CHECKED;

/* Calls `gone` for each row that the delete files of the plan take out; a row
 * may come more than once. *ret_done is false, and nothing was called, when there would be too many. */
enum tn_code dataset_deletes_each(struct lake *lake, struct dataset_deletes *deletes, const struct iceberg_plan *plan,
                                  void (*gone)(void *context, size_t file, int64_t row), void *context,
                                  bool *ret_done, struct tn_error *err) TN_CHECKED;

#endif
