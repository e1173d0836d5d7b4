/* Which snapshots may be thinned: those whose moments can still be told exactly
 * from what stays.
 *
 * A moment is told from the newest kept snapshot before it and the events of
 * every commit in between. So those commits must follow from each other (nobody
 * went back to an older state there, no branch lies between), must all have
 * their events, and the schema must be the one of the snapshot that stays.
 */
#include "dataset/moment.h"
#include "journal/journal.h"

/* Where one between them was thinned, it followed: else it had stayed. Of what was
 * expired the cuts tell. */
static bool follows(const struct moment_order *order, const struct iceberg_snapshot *before,
                    const struct iceberg_snapshot *after)
{
    if (after->sequence_number == before->sequence_number + 1)
        return after->parent_id == before->id;
    return !moment_is_cut(order, before->sequence_number, after->sequence_number);
}

/* Events that are a part of the commit must be rolled: the snapshot names them.
 * Those of rewrites came after it, as objects of their own. */
static bool is_told(struct journal *journal, const struct iceberg_metadata *metadata,
                    const struct iceberg_snapshot *snapshot)
{
    const char *rows = iceberg_snapshot_summary(snapshot, JOURNAL_S_ROWS);
    if (rows && tn_streq(rows, "1"))
        return snapshot->sequence_number <= journal_rolled_to(journal, metadata->uuid);
    return tn_streq(snapshot->operation, "replace") &&
           snapshot->sequence_number <= journal_looked_to(journal, metadata->uuid);
}

bool moment_may_forget(struct journal *journal, const struct moment_order *order,
                       const struct iceberg_snapshot *snapshot)
{
    if (!journal || !is_told(journal, order->metadata, snapshot))
        return false;
    const struct iceberg_snapshot *before = moment_before(order, snapshot->sequence_number);
    const struct iceberg_snapshot *after = moment_after(order, snapshot->sequence_number);
    return before && after && follows(order, before, snapshot) && follows(order, snapshot, after) &&
           before->schema_id == snapshot->schema_id;
}
