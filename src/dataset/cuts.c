/* Where the past was cut by expiring snapshots.
 *
 * What thinning forgets is told again across the gap that it leaves. What is
 * expired need not be: a file was brought in there, somebody went back, a
 * branch lay between. The sequence numbers of such snapshots are kept as a property
 * of the table, set by the commit that expires them: no events are applied
 * across them, and the first snapshot behind them stays. One between two that
 * are kept says it for all behind it.
 */
#include "dataset/moment.h"
#include "journal/journal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct cuts {
    int64_t *items;
    size_t count, capacity;
};

static void cuts_free(struct cuts *cuts)
{
    free(cuts->items);
}

static void add(struct cuts *cuts, int64_t sequence)
{
    TN_GROW(cuts->items, cuts->count, cuts->capacity);
    cuts->items[cuts->count++] = sequence;
}

/* The first one behind each of those that stay. */
static void put_first(const struct cuts *staying, const struct cuts *cuts, struct tn_buf *out)
{
    size_t base = 0, last = 0;
    for (size_t i = 0; i < cuts->count; i++) {
        while (base < staying->count && staying->items[base] < cuts->items[i])
            base++;
        if (base == last) /* nothing older stays, or it is told already */
            continue;
        tn_buf_printf(out, "%s%" PRId64, out->len > 0 ? "," : "", cuts->items[i]);
        last = base;
    }
}

static void take_cuts(const struct moment_order *order, struct cuts *cuts)
{
    for (size_t i = 0; i < order->cut_count; i++)
        add(cuts, order->cuts[i]);
}

const char *dataset_cuts(struct lake *lake, const struct iceberg_metadata *metadata, const int64_t *ids, size_t count,
                         struct tn_arena *arena)
{
    TN_CLEANUP(cuts_free) struct cuts staying = {0};
    TN_CLEANUP(cuts_free) struct cuts cuts = {0};
    TN_CLEANUP(moment_order_release) struct moment_order order;
    TN_AUTO_BUF text = {0};
    TN_AUTO_FREE int64_t *going = tn_calloc(count + 1, sizeof *going);
    moment_order_init(&order, metadata);
    take_cuts(&order, &cuts);
    if (count > 0)
        memcpy(going, ids, count * sizeof *going);
    qsort(going, count, sizeof *going, tn_order_i64);
    for (size_t i = 0; i < order.count; i++) {
        const struct iceberg_snapshot *snapshot = order.items[i];
        if (!bsearch(&snapshot->id, going, count, sizeof *going, tn_order_i64))
            add(&staying, snapshot->sequence_number);
        else if (!moment_may_forget(lake->journal, &order, snapshot))
            add(&cuts, snapshot->sequence_number);
    }
    if (cuts.count == 0)
        return NULL;
    qsort(cuts.items, cuts.count, sizeof *cuts.items, tn_order_i64);
    put_first(&staying, &cuts, &text);
    const char *before = iceberg_metadata_property(metadata, DATASET_P_CUTS), *after = text.data ? text.data : "";
    return tn_streq(after, before ? before : "") ? NULL : tn_arena_strdup(arena, after);
}
