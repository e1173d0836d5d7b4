/* moment.h: which rows a moment of a dataset means, and a SELECT of them.
 * Private to dataset. One answer for AT and as_of, changes() and restore.
 *
 * A moment is a snapshot's id, a time, the name of a tag or branch, or what an
 * answer called a state without a snapshot: "replay-N", the one behind the commit with
 * the sequence number N. The state that it means is a snapshot
 * that is kept or, where the one that was current then has been forgotten, the
 * nearest older one and the journal's events since: always exactly the rows of
 * that moment, never those of a neighbour. What cannot be told exactly is
 * refused.
 *
 *   moment.c   which state
 *   replay.c   the journal's events, folded into what became of each key
 *   forget.c   which snapshots need not be kept for it
 *   order.c    the snapshots in the order of their commits, and the cuts between them
 *   cuts.c     what explicit expiry took out of it
 *   replays.c  folds that were made, while somebody may ask for them again
 */
#ifndef TARN_DATASET_MOMENT_H
#define TARN_DATASET_MOMENT_H

#include "dataset/dataset_internal.h"

enum moment_kind { MOMENT_NOW, MOMENT_START, MOMENT_VERSION, MOMENT_TIME, MOMENT_COMMIT, MOMENT_NAME };

struct moment {
    enum moment_kind kind; /* MOMENT_START: before everything */
    int64_t snapshot_id;
    int64_t time_us;
    int64_t sequence; /* MOMENT_COMMIT: of that commit */
    const char *name; /* borrowed */
};

struct moment_state {
    const struct iceberg_snapshot *snapshot; /* the metadata's; NULL: no rows were there yet */
    int64_t replay_to;                       /* sequence number that events are applied up to; 0: none are */
    bool is_branch;                          /* it goes on, with the columns of today: a tag has those of its time */
};

/* As engine_at_read; besides, "0" is before everything, and "replay-N" is no name. TN_EREQUEST. */
enum tn_code moment_parse(const char *text, struct moment *ret, struct tn_error *err) TN_CHECKED;
/* Whether a text means something else wherever a moment is named: a tag of that name could not be asked for. */
bool moment_is_reserved(const char *text);
/* What a state without a snapshot is called; the arena's. */
char *moment_replay_name(struct tn_arena *arena, int64_t sequence) __attribute__((returns_nonnull));
/* Which one a table in a query means. */
struct moment moment_of(const struct engine_table_ref *ref);
/* TN_ESNAPSHOT when there never was such a snapshot, when the table has no tag or branch of that
 * name, and when the moment is not kept and cannot be told again. */
enum tn_code moment_find(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                         const struct moment *moment, struct moment_state *ret, struct tn_error *err) TN_CHECKED;

/* A state's rows are a snapshot's, or they are told. What is told stands in
 * a scratch file that is there until `hold` is let go. */
struct moment_told {
    struct engine_hold hold;
    uint64_t number; /* no two of a process have the same */
    char uuid[TN_UUID_TEXT];
    int64_t from, to; /* sequence numbers: of the snapshot that it begins with, of the moment */
    char *path;       /* (entity, gone, row_json, fields); NULL: nothing changed */
    bool removes;     /* rows without a key went: they are found by their values */
    uint64_t used;
};
/* Only for a state with replay_to. *ret is the caller's reference (engine_hold_unref of its hold). */
enum tn_code moment_tell(struct lake *lake, const struct iceberg_metadata *metadata, const struct moment_state *state,
                         struct moment_told **ret, struct tn_error *err) TN_CHECKED;
void moment_told_unref(struct moment_told **told);

/* Which rows of a told state: all; those alone that the events told; or, of the
 * snapshot, those that the events replaced or removed. */
enum moment_part { MOMENT_ALL, MOMENT_CHANGED, MOMENT_REPLACED };
/* A trusted SELECT of a told state with the columns of `schema`, which may be a
 * later one than the state's own. `placed`: tarn_path and tarn_pos stand in front, as
 * of dataset_placed_sql; rows that events told have the path '' and no position. */
enum tn_code moment_told_sql(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                             const struct moment_state *state, const struct moment_told *told,
                             const struct iceberg_schema *schema, enum moment_part part, bool placed,
                             struct tn_buf *out, struct tn_error *err) TN_CHECKED;

/* replay.c: the fold as a file; told->path and told->removes are set. */
enum tn_code moment_fold(struct lake *lake, const struct iceberg_metadata *metadata, struct moment_told *told,
                         struct tn_error *err) TN_CHECKED;

/* order.c: for whoever asks about many snapshots of one table. Zeroed it is empty. */
struct moment_order {
    const struct iceberg_metadata *metadata; /* borrowed */
    const struct iceberg_snapshot **items;   /* by sequence number */
    int64_t *cuts;                           /* of DATASET_P_CUTS, ascending */
    size_t count, cut_count, cut_capacity;
};
void moment_order_init(struct moment_order *order, const struct iceberg_metadata *metadata);
void moment_order_release(struct moment_order *order);
/* The nearest neighbours of a sequence number, each the first of its equals; NULL at the ends. */
const struct iceberg_snapshot *moment_before(const struct moment_order *order, int64_t sequence);
const struct iceberg_snapshot *moment_after(const struct moment_order *order, int64_t sequence);
/* Whether something that was expired and cannot be told lies between two
 * commits: `from` < sequence number <= `to`. */
bool moment_is_cut(const struct moment_order *order, int64_t from, int64_t to);

/* forget.c: whether a snapshot may be thinned: its moment can be told exactly
 * from what stays. `journal` may be NULL: then no. */
bool moment_may_forget(struct journal *journal, const struct moment_order *order,
                       const struct iceberg_snapshot *snapshot);

/* Of several things one; takes both over, either may be NULL. */
struct engine_hold *moment_hold_both(struct engine_hold *a, struct engine_hold *b);

#endif
