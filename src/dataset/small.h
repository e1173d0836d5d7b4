/* small.h: the rows of small files in memory. Private to dataset. Threads: any. */
#ifndef TARN_DATASET_SMALL_H
#define TARN_DATASET_SMALL_H

#include "dataset/deletes.h"

/* Opening a file of one row costs as much as reading some ten thousand rows of
 * a large one. So the rows of a dataset's small files are read once, into a
 * table of the engine that only grows: the next version adds those of its new
 * files. A version's rows in it are those whose bit says so. A cache: it has a
 * budget, and without it the files are read. */
struct dataset_smalls;
struct dataset_smalls *dataset_smalls_new(void) __attribute__((returns_nonnull));
/* Before engine_close, and when nobody holds anything of it. */
void dataset_smalls_free(struct dataset_smalls *smalls);

uint64_t dataset_smalls_bytes(struct dataset_smalls *smalls); /* of the rows in memory */

struct small_part {
    const char *sql;          /* the live rows of some of the plan's files, with the schema's columns; the arena's */
    bool *taken;              /* for each file of the plan: whether it is one of them; the arena's */
    struct engine_hold *hold; /* of what the text names; NULL: nothing was taken */
};
enum tn_code dataset_smalls_take(struct lake *lake, struct dataset_smalls *smalls, struct dataset_deletes *deletes,
                                 const struct iceberg_plan *plan, const struct iceberg_schema *schema,
                                 struct tn_arena *arena, struct small_part *ret, struct tn_error *err) TN_CHECKED;

#endif
