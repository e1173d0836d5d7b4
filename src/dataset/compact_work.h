/* compact_work.h: a group of files while it is compacted, for the two files that do it. Private to dataset. */
#ifndef TARN_DATASET_COMPACT_WORK_H
#define TARN_DATASET_COMPACT_WORK_H

#include "dataset/compact.h"
#include "dataset/compact_rows.h"

struct compaction {
    struct lake *lake;
    const char *name;
    const struct dataset_compaction *options;
    struct tn_arena *arena;
    struct dataset_compacted result;
};

/* Where rows that some delete files name lie in the new file. */
struct compact_moved {
    int64_t *items; /* ascending */
    size_t count, capacity;
    const char **keys; /* of the delete files; the run's arena's */
    size_t key_count;
};

struct compact_work {
    struct compaction *run;
    struct iceberg_metadata *base;
    struct iceberg_table table;
    struct iceberg_plan *plan; /* of a later try: its files are the plan's */
    const struct iceberg_plan_file *files;
    size_t count;
    struct dataset_change change; /* for hot copies */
    bool told;                    /* it has all rows */
    struct dataset_moves *moves;  /* the same, and of more rows, by their places; may be NULL */
    char *placed;                 /* staging file with the old places; NULL: not written */
    char *written;                /* the new file, until the commit's batch owns it */
    struct compact_moved early;   /* found before the lock was taken */
    struct iceberg_file file;
    /* Instead of both files: the rows, and the new file's bytes. */
    struct compact_rows *rows;
    struct tn_buf object;
};

/* Before the dataset's lock is taken: looks for the rows that were deleted since the old files were read, so that
 * writers wait for little afterwards. Without success all of it is done under the lock. */
void compact_find_moved(struct compact_work *group);
/* Under the dataset's lock, into the commit: deletes that the old files have gained since they were read move to the
 * new file. Small groups rather begin again (TN_EBUSY): then hot copies know what became of each row. TN_ECONFLICT
 * when one of the files is gone. */
enum tn_code compact_add_moved(const struct compact_work *group, struct iceberg_tx *tx,
                               const struct iceberg_plan *now, struct tn_error *err) TN_CHECKED;

#endif
