/* Thinning: the newest snapshots stay, older ones become hourly, then daily.
 *
 * What is forgotten leaves a gap in the sequence numbers of those that stay,
 * for every snapshot has the number after the one before it. So nothing needs
 * to be written down about what was forgotten.
 */
#include "base/clock.h"
#include "iceberg/tx_internal.h"

enum { THIN_MOST = 1024 }; /* in one commit: a long history goes in several */

static const int64_t hour_ms = INT64_C(3600) * 1000, day_ms = INT64_C(24) * 3600 * 1000;

/* Is it the last of its hour or day? The one behind it tells, for those in
 * front of it are older. */
static bool thin_is_last(const struct iceberg_thinning *thinning, const struct iceberg_snapshot *snapshot,
                         const struct iceberg_snapshot *behind, int64_t now)
{
    int64_t age = now - snapshot->timestamp_ms;
    if (age > thinning->daily_ms)
        return false;
    int64_t unit = age <= thinning->hourly_ms ? hour_ms : day_ms;
    return snapshot->timestamp_ms / unit != behind->timestamp_ms / unit;
}

static bool thin_is_held(const struct iceberg_tx *tx, const struct iceberg_snapshot *snapshot)
{
    bool held = snapshot == tx->base->current || snapshot->id == tx->start_id;
    for (size_t i = 0; i < tx->base->ref_count && !held; i++)
        held = tx->base->refs[i].snapshot_id == snapshot->id;
    for (size_t i = 0; i < tx->tag_count && !held; i++)
        held = tx->tags[i].snapshot_id == snapshot->id;
    for (size_t i = 0; i < tx->forgotten_count && !held; i++) /* goes without us */
        held = tx->forgotten[i] == snapshot->id;
    return held;
}

size_t iceberg_tx_thin(struct iceberg_tx *tx, const struct iceberg_thinning *thinning)
{
    const struct iceberg_metadata *base = tx->base;
    size_t count = base->snapshot_count;
    int64_t now = TN_MAX(tx->timestamp_ms ? tx->timestamp_ms : tn_now_ms(), base->last_updated_ms);
    tx->thinned_count = 0;
    if (thinning->keep_newest == 0)
        return 0;
    for (size_t i = 0; i + thinning->keep_newest < count && tx->thinned_count < THIN_MOST; i++) {
        const struct iceberg_snapshot *snapshot = base->snapshots[i];
        if (thin_is_last(thinning, snapshot, base->snapshots[i + 1], now) || thin_is_held(tx, snapshot) ||
            (thinning->may_forget && !thinning->may_forget(thinning->context, snapshot)))
            continue;
        TN_GROW(tx->thinned, tx->thinned_count, tx->thinned_capacity);
        tx->thinned[tx->thinned_count++] = snapshot->id;
    }
    if (tx->thinned_count <= thinning->slack)
        tx->thinned_count = 0;
    return tx->thinned_count;
}

/* Format 1 has no sequence numbers: there the parents tell. */
static bool thin_has_child(const struct iceberg_metadata *metadata, const struct iceberg_snapshot *snapshot)
{
    for (size_t i = 0; i < metadata->snapshot_count; i++)
        if (metadata->snapshots[i]->parent_id == snapshot->id)
            return true;
    return false;
}

bool iceberg_metadata_thinned_after(const struct iceberg_metadata *metadata, const struct iceberg_snapshot *snapshot)
{
    int64_t next = metadata->last_sequence_number + 1;
    if (snapshot->sequence_number == 0)
        return snapshot != metadata->snapshots[metadata->snapshot_count - 1] && !thin_has_child(metadata, snapshot);
    for (size_t i = metadata->snapshot_count; i-- > 0;)
        if (metadata->snapshots[i]->sequence_number > snapshot->sequence_number)
            next = TN_MIN(next, metadata->snapshots[i]->sequence_number);
    return next > snapshot->sequence_number + 1;
}
