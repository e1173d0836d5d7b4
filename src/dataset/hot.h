/* hot.h: datasets held in memory as tables of the engine.
 *
 * A hot copy belongs to one version of a dataset and moves on with it: a table
 * with the rows as they were when it was filled (base), one with rows added
 * since (delta), and for each a bitmap of rows that are gone. A reader of
 * version V gets the SELECT for V; the tables only grow, and bitmaps are
 * replaced, never changed, so that readers of older versions go on undisturbed
 * until the copy is filled anew. Losing a copy changes no answer.
 *
 * A commit leaves its change in a queue; the reader who first wants the version
 * does all that is queued to the tables at once, so writers run no statement.
 * What writers look rows up by is moved on by the commit itself (hot_keys.h).
 *
 * Filled in the background after repeated use or by dataset_hot_pin, least
 * recently used out first under a hard budget (setting cache.memory, default a
 * quarter of the machine's). Threads: any.
 */
#ifndef TARN_DATASET_HOT_H
#define TARN_DATASET_HOT_H

#include "dataset/find.h"
#include "dataset/moves.h"

struct dataset_hot;

/* What a commit changed, told by who made it; spares reading it back. */
struct dataset_change {
    const struct dataset_place *removed;
    const struct engine_cell *removed_keys; /* of the same rows: as many cells as the schema has key columns */
    size_t removed_count;
    const char *added_path; /* the one new data file; NULL: none */
    const struct engine_cell *added;
    size_t added_rows; /* rows x columns of the schema */
    /* The same rows lie in other files: row i of `removed` is now row i of added_path, if it is still there. Or
     * nothing else is set, and where they went is not said. */
    bool moved;
    struct dataset_moves *moves; /* the same of moved rows, for rows by key; borrowed; may be NULL */
};

/* After a commit, under the dataset's lock: the copy of `before` becomes one of
 * `after`. Without `change`, or when it cannot follow, the copy is dropped and
 * filled anew in the background when it was pinned or is in use. Never fails:
 * a cache may be lost. */
void dataset_hot_follow(struct lake *lake, const char *name, const struct iceberg_metadata *before,
                        const struct iceberg_metadata *after, const struct dataset_change *change);

/* A version out of the hot copy. What the texts name is there until `hold` is
 * let go (engine_hold_unref). */
struct dataset_hot_version {
    const char *sql;     /* the rows, with the schema's columns; the arena's */
    const char *variant; /* for struct engine_relation; the arena's */
    struct engine_hold *hold;
};
/* False when it is not held. Counts as a use; repeated uses start the filling. */
bool dataset_hot_version(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                         const struct iceberg_snapshot *snapshot, const struct iceberg_schema *schema,
                         struct tn_arena *arena, struct dataset_hot_version *ret);

/* The rows of some keys in the newest version, as dataset_find_keys gives them,
 * without a statement. False when it is not held: *ret_code says nothing then.
 * Counts as a use. Under the dataset's lock. */
bool dataset_hot_find(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                      const struct engine_cell *keys, size_t count, dataset_found_fn *each, void *context,
                      enum tn_code *ret_code, struct tn_error *err);

#endif
