/* moves.h: where a compaction puts rows, by the places that they had. Private to dataset. */
#ifndef TARN_DATASET_MOVES_H
#define TARN_DATASET_MOVES_H

#include "dataset/dataset.h"

/* Made before the dataset's lock is taken, so that whoever holds it looks a row
 * up instead of asking the engine, and leads a file's rows to their new
 * places at once instead of one by one. Counted. Filled by one thread, and
 * read by any from then on. */
struct dataset_moves;
struct dataset_moved_file {
    const char *path; /* the moves' */
    uint32_t *places; /* by the old position: 1 and the new one; 0: there is no such row any more */
    uint64_t count;
};

/* For the rows of these files. NULL when there are too many. */
struct dataset_moves *dataset_moves_new(const struct iceberg_plan_file *files, size_t count);
struct dataset_moves *dataset_moves_ref(struct dataset_moves *moves);
void dataset_moves_unref(struct dataset_moves *moves);
/* What they take, about. */
uint64_t dataset_moves_bytes(const struct dataset_moves *moves);

/* NULL: the path is none of theirs. */
struct dataset_moved_file *dataset_moves_file(const struct dataset_moves *moves, const char *path);
/* False when the file has no such position. */
bool dataset_moved_put(struct dataset_moved_file *file, int64_t position, uint32_t place) TN_CHECKED;
/* The new position, or -1. */
int64_t dataset_moved_place(const struct dataset_moved_file *file, int64_t position);

#endif
