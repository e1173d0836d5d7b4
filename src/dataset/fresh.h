/* fresh.h: the rows of files that were just written. Private to dataset.
 * Threads: any. */
#ifndef TARN_DATASET_FRESH_H
#define TARN_DATASET_FRESH_H

#include "dataset/cells.h"

/* Small writes leave a file each, and compactions read all of them soon. To
 * open one costs as much as reading ten thousand rows of a large one, so what
 * was written stays in memory for a while, oldest out first. A cache: without
 * it the files are read. */
struct dataset_fresh;
struct dataset_fresh *dataset_fresh_new(void) __attribute__((returns_nonnull));
void dataset_fresh_free(struct dataset_fresh *fresh);

/* Rows in the file's order. Never changes once it is there. */
struct fresh_file {
    const struct engine_cell *cells; /* count x width */
    size_t count, width;
};
/* Copies the rows of a file that is about to be committed; one that is too large is left out. NULL for fresh is fine,
 * here and below. */
void dataset_fresh_note(struct dataset_fresh *fresh, const char *path, const struct cells_shape *shape,
                        const struct engine_cell *const *rows, size_t count);
/* NULL when it is not there, or was written with another schema. dataset_fresh_unref it. */
const struct fresh_file *dataset_fresh_find(struct dataset_fresh *fresh, const char *path, int32_t schema_id);
void dataset_fresh_unref(const struct fresh_file *file);
/* It is of no version to come: its room is for others. */
void dataset_fresh_forget(struct dataset_fresh *fresh, const char *path);

#endif
