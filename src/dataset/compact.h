/* compact.h: what a compaction rewrites, and how. Private to dataset.
 *
 *   compact_policy.c   which files, from a plan alone
 *   compact_deletes.c  many delete files of one data file become one
 *   compact.c          groups of data files become one file each
 *   compact_moved.c    rows that were deleted meanwhile
 */
#ifndef TARN_DATASET_COMPACT_H
#define TARN_DATASET_COMPACT_H

#include "dataset/dataset.h"

/* Data files that become one. */
struct compact_group {
    const struct iceberg_plan_file *files;
    size_t count;
};

struct compact_choice {
    struct compact_group *groups;
    size_t group_count;
    const struct iceberg_plan_file **merges; /* whose own delete files become one */
    size_t merge_count;
    size_t files; /* data and delete files that would be replaced */
    size_t tired; /* data files with too many deleted rows among them */
};

/* Rows of delete files that name this file alone. */
int64_t compact_deleted_rows(const struct iceberg_plan_file *file);
bool compact_is_small(const struct iceberg_plan_file *file);
bool compact_is_own_delete(const struct iceberg_plan_file *file, size_t at);
/* The group's files go; so do delete files that name rows of several data files
 * and of no other file than these. `now` is the version that is committed upon. */
void compact_remove_shared(struct iceberg_tx *tx, const struct iceberg_plan *now, const struct iceberg_plan *group,
                           struct tn_arena *arena);

/* What the debt of a table asks for; the arena's. After it was done, the same
 * question has an empty answer: each run of files shrinks to one. */
struct compact_limits {
    size_t many;          /* files, and delete files of one data file, that are worth a merge; at least 2 */
    double deleted_share; /* of a file's rows, above which it is written anew */
};
#define COMPACT_MANY  8
#define COMPACT_SHARE 0.2
void compact_choose_debt(const struct iceberg_metadata *metadata, const struct iceberg_plan *plan,
                         const struct compact_limits *limits, struct tn_arena *arena, struct compact_choice *ret);
/* All that can be better: small files, and whatever has deletes. */
void compact_choose_all(const struct iceberg_plan *plan, struct tn_arena *arena, struct compact_choice *ret);

/* dataset_debt, by other limits. */
enum tn_code compact_debt(struct lake *lake, const char *name, const struct compact_limits *limits,
                          struct dataset_debt *ret, struct tn_error *err) TN_CHECKED;

/* One commit that gives each of these data files one delete file for the many
 * that it has. Rows stay as they are, and where they are. What others changed
 * meanwhile is left alone and counted as lost. */
enum tn_code compact_merge_deletes(struct lake *lake, const char *name, struct iceberg_metadata *base,
                                   const struct iceberg_plan_file *const *files, size_t count, const char *actor,
                                   struct dataset_compacted *result, struct tn_error *err) TN_CHECKED;

#endif
