/* The snapshots of a table in the order of their commits. */
#include "dataset/moment.h"

#include <stdlib.h>

static int by_sequence(const void *a, const void *b)
{
    const struct iceberg_snapshot *const *x = a, *const *y = b;
    return tn_order_i64(&(*x)->sequence_number, &(*y)->sequence_number);
}

/* The next number of "12,34", or 0 at the end and at whatever is none. */
static int64_t next_of(const char **text)
{
    char *end = NULL;
    if (!*text || **text < '0' || **text > '9')
        return 0;
    int64_t number = strtoll(*text, &end, 10);
    *text = *end == ',' ? end + 1 : NULL;
    return number;
}

static bool is_sorted(const struct moment_order *order)
{
    for (size_t i = 1; i < order->count; i++)
        if (order->items[i - 1]->sequence_number > order->items[i]->sequence_number)
            return false;
    return true;
}

void moment_order_init(struct moment_order *order, const struct iceberg_metadata *metadata)
{
    const char *text = iceberg_metadata_property(metadata, DATASET_P_CUTS);
    *order = (struct moment_order){.metadata = metadata, .count = metadata->snapshot_count};
    order->items = tn_calloc(order->count + 1, sizeof *order->items);
    for (size_t i = 0; i < order->count; i++)
        order->items[i] = metadata->snapshots[i];
    if (!is_sorted(order))
        qsort((void *)order->items, order->count, sizeof(struct iceberg_snapshot *), by_sequence);
    for (int64_t cut = next_of(&text); cut > 0; cut = next_of(&text)) {
        TN_GROW(order->cuts, order->cut_count, order->cut_capacity);
        order->cuts[order->cut_count++] = cut;
    }
    if (order->cut_count > 0)
        qsort(order->cuts, order->cut_count, sizeof *order->cuts, tn_order_i64);
}

void moment_order_release(struct moment_order *order)
{
    free((void *)order->items);
    free(order->cuts);
    *order = (struct moment_order){0};
}

/* How many have a smaller number. */
static size_t count_before(const struct moment_order *order, int64_t sequence)
{
    size_t low = 0, high = order->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (order->items[middle]->sequence_number < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct iceberg_snapshot *moment_before(const struct moment_order *order, int64_t sequence)
{
    size_t count = count_before(order, sequence);
    return count > 0 ? order->items[count_before(order, order->items[count - 1]->sequence_number)] : NULL;
}

const struct iceberg_snapshot *moment_after(const struct moment_order *order, int64_t sequence)
{
    size_t count = sequence == INT64_MAX ? order->count : count_before(order, sequence + 1);
    return count < order->count ? order->items[count] : NULL;
}

bool moment_is_cut(const struct moment_order *order, int64_t from, int64_t to)
{
    size_t low = 0, high = order->cut_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (order->cuts[middle] <= from)
            low = middle + 1;
        else
            high = middle;
    }
    return low < order->cut_count && order->cuts[low] <= to;
}
