/* The end of a build: slack pruned away, every node reachable, new numbers.
 *
 * Reachable means: from node 0 along the lowest layer. A node that is not gets
 * a link from a reachable neighbour of its own with room in its list. Where
 * none has room, a link is replaced that some other list also holds, and the
 * walk is repeated, since that may cut something else off; it ends because
 * every round links at least one node from a list with room, or gives up
 * replacing links that were put there by an earlier round.
 */
#include "vector/build.h"

#include <stdlib.h>

struct finisher {
    struct builder *b;
    uint32_t level;
    uint32_t keep;
    uint32_t cap;
};

static int by_distance(const void *a, const void *b)
{
    const struct pool_entry *x = a;
    const struct pool_entry *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

static void shrink_list(const struct finisher *f, uint32_t node, struct select_scratch *scratch)
{
    struct builder *b = f->b;
    uint32_t *list = graph_list(b, f->level, node);
    float *distances =
        (float *)(f->level ? b->distances[f->level - 1].data : b->distances0.data) + (size_t)node * f->cap;
    uint32_t count = list[0];
    struct pool_entry all[LINKS_MAX];
    for (uint32_t i = 0; i < count; i++)
        all[i] = (struct pool_entry){distances[i], list[1 + i]};
    qsort(all, count, sizeof *all, by_distance); /* nearest first, also where nothing is pruned */
    uint32_t kept = count > f->keep ? graph_select(b, all, count, f->keep, scratch) : count;
    list[0] = kept;
    for (uint32_t i = 0; i < kept; i++) {
        list[1 + i] = all[i].node;
        distances[i] = all[i].distance;
    }
}

static void shrink_worker(void *context, uint32_t worker)
{
    const struct finisher *f = context;
    struct builder *b = f->b;
    struct select_scratch *scratch = aligned_alloc(64, (sizeof *scratch + 63) / 64 * 64);
    if (!scratch) {
        atomic_store(&b->failure, TN_ENOMEM);
        return;
    }
    for (;;) {
        uint64_t start = atomic_fetch_add(&b->next, 256);
        if (start >= b->phase_total || !build_goes_on(b, worker))
            break;
        uint64_t end = TN_MIN(start + 256, b->phase_total);
        for (uint64_t node = start; node < end; node++)
            shrink_list(f, (uint32_t)node, scratch);
    }
    free(scratch);
}

/* Marks what node 0 reaches; returns how many. `queue` holds all nodes. */
static uint32_t mark_reachable(const struct builder *b, uint8_t *seen, uint32_t *queue)
{
    memset(seen, 0, b->nodes);
    uint32_t head = 0;
    uint32_t tail = 0;
    queue[tail++] = 0;
    seen[0] = 1;
    while (head < tail) {
        const uint32_t *list = graph_list(b, 0, queue[head++]);
        for (uint32_t i = 1; i <= list[0]; i++)
            if (!seen[list[i]]) {
                seen[list[i]] = 1;
                queue[tail++] = list[i];
            }
    }
    return tail;
}

/* A reachable node that can take a link to `node`: one of its own neighbours,
 * or of theirs; with room if there is one, the nearest otherwise. */
static uint32_t find_host(const struct builder *b, const uint8_t *seen, uint32_t node, uint32_t keep)
{
    const uint32_t *own = graph_list(b, 0, node);
    uint32_t fallback = NODE_NONE;
    for (uint32_t i = 1; i <= own[0]; i++) {
        uint32_t near = own[i];
        if (seen[near] && graph_list(b, 0, near)[0] < keep)
            return near;
        if (seen[near] && fallback == NODE_NONE)
            fallback = near;
    }
    for (uint32_t i = 1; i <= own[0]; i++) {
        const uint32_t *list = graph_list(b, 0, own[i]);
        for (uint32_t j = 1; j <= list[0]; j++)
            if (list[j] != node && seen[list[j]] && graph_list(b, 0, list[j])[0] < keep)
                return list[j];
    }
    return fallback;
}

/* `host` links to `node`: in a free place, or in place of its last link that
 * is not `pinned` (made by this pass). False when there is no such link. */
static bool give_link(struct builder *b, uint32_t host, uint32_t node, uint32_t keep, uint8_t *pinned)
{
    uint32_t *list = graph_list(b, 0, host);
    if (list[0] < keep) {
        list[1 + list[0]] = node;
        list[0]++;
    } else {
        uint32_t at = list[0];
        while (at > 0 && pinned[list[at]])
            at--;
        if (at == 0)
            return false;
        list[at] = node;
    }
    pinned[node] = 1;
    return true;
}

/* An isolated node: the first reachable one with room takes it. */
static uint32_t any_host(const struct builder *b, const uint8_t *seen, uint32_t keep)
{
    for (uint32_t i = 0; i < b->nodes; i++)
        if (seen[i] && graph_list(b, 0, i)[0] < keep)
            return i;
    return 0;
}

#define REPAIR_ROUNDS 64

static enum tn_code repair(struct builder *b, struct tn_error *err)
{
    uint32_t keep = 2 * b->degree;
    uint8_t *seen = tn_try_malloc(2 * (size_t)b->nodes);
    uint32_t *queue = tn_try_malloc((size_t)b->nodes * sizeof *queue);
    enum tn_code code = TN_OK;
    if (!seen || !queue) {
        code = tn_fail(err, TN_ENOMEM, "not enough memory to check the graph");
    } else {
        uint8_t *pinned = seen + b->nodes;
        memset(pinned, 0, b->nodes);
        uint32_t reached = mark_reachable(b, seen, queue);
        for (int round = 0; reached < b->nodes && round < REPAIR_ROUNDS; round++) {
            for (uint32_t node = 0; node < b->nodes; node++) {
                if (seen[node])
                    continue;
                uint32_t host = find_host(b, seen, node, keep);
                if (host == NODE_NONE || !give_link(b, host, node, keep, pinned))
                    (void)give_link(b, any_host(b, seen, keep), node, keep, pinned);
                seen[node] = 1; /* and through it, what it reaches: found by the next round */
                b->repaired++;
            }
            reached = mark_reachable(b, seen, queue);
        }
        if (reached < b->nodes)
            code = tn_fail(err, TN_EINTERNAL, "%u of %u nodes stay unreachable", b->nodes - reached, b->nodes);
    }
    free(queue);
    free(seen);
    return code;
}

enum tn_code graph_finish(struct builder *b, struct tn_error *err)
{
    for (uint32_t level = 0; level <= b->levels; level++) {
        struct finisher f = {b, level, level ? b->degree : 2 * b->degree, level ? b->cap : b->cap0};
        build_phase(b, VECTOR_PHASE_REPAIR, level ? b->level_nodes[level - 1] : b->nodes);
        parallel_run(b->threads, b->options->low_priority, shrink_worker, &f);
        TN_TRY(build_outcome(b, err));
    }
    return repair(b, err);
}

/* ---- order ---- */

/* The cell of each node of one layer that is not in the layer above (`low`
 * nodes, numbered already): the new number of its nearest neighbour there, or
 * of a neighbour's. `low` where there is none. */
static void find_cells(const struct builder *b, uint32_t level, uint32_t low, uint32_t high,
                       const uint32_t *new_of_old, uint32_t *cell)
{
    uint32_t homeless = 0;
    for (uint32_t node = low; node < high; node++) {
        const uint32_t *list = graph_list(b, level, node);
        cell[node] = NODE_NONE;
        for (uint32_t i = 1; i <= list[0] && cell[node] == NODE_NONE; i++)
            if (list[i] < low)
                cell[node] = new_of_old[list[i]];
        homeless += cell[node] == NODE_NONE;
    }
    for (uint32_t before = homeless + 1; homeless && homeless < before;) {
        before = homeless;
        for (uint32_t node = low; node < high; node++) {
            const uint32_t *list = graph_list(b, level, node);
            for (uint32_t i = 1; i <= list[0] && cell[node] == NODE_NONE; i++)
                if (list[i] >= low && cell[list[i]] != NODE_NONE) {
                    cell[node] = cell[list[i]];
                    homeless--;
                }
        }
    }
    for (uint32_t node = low; node < high && homeless; node++)
        if (cell[node] == NODE_NONE)
            cell[node] = low;
}

/* In layers from the top, so that each stays a prefix; within a layer by the
 * nearest node of the layer above, whose order is decided by then. So nodes
 * that a walk reads together lie together, in cache and on disk. */
void graph_order(const struct builder *b, uint32_t *ret_new_of_old)
{
    uint32_t *cell = tn_realloc_array(NULL, b->nodes, sizeof *cell);
    uint32_t *start = tn_realloc_array(NULL, (size_t)b->nodes + 2, sizeof *start);
    uint32_t low = b->levels ? b->level_nodes[b->levels - 1] : TN_MIN(b->nodes, 1U);
    for (uint32_t node = 0; node < low; node++)
        ret_new_of_old[node] = node;
    for (uint32_t level = b->levels ? b->levels : 1; level-- > 0;) {
        uint32_t high = level ? b->level_nodes[level - 1] : b->nodes;
        find_cells(b, level, low, high, ret_new_of_old, cell);
        memset(start, 0, ((size_t)low + 2) * sizeof *start);
        for (uint32_t node = low; node < high; node++)
            start[cell[node] + 1]++;
        for (uint32_t c = 1; c <= low + 1; c++)
            start[c] += start[c - 1];
        for (uint32_t node = low; node < high; node++)
            ret_new_of_old[node] = low + start[cell[node]]++;
        low = high;
    }
    free(start);
    free(cell);
}
