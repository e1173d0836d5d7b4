/* Inserting nodes, in parallel.
 *
 * Node 0 is the entry and the nodes of every upper layer are a prefix, so a
 * node finds the upper layers complete or nearly so and the entry never moves.
 * A node searches the layers below its own for candidates, keeps a diverse
 * few, and is then linked back by each of them.
 *
 * Lists have slack: they hold half as many links again as they will keep and
 * are pruned once when full instead of at every addition, which is most of
 * what makes this faster than pruning a full list each time. Readers take no
 * lock: a list that is being rewritten under them still holds valid nodes. One
 * lock is held at a time, by the writer of that list.
 */
#include "vector/build.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>

struct inserter {
    struct builder *b;
    struct walk walk;
    struct pool_entry *copy;
    struct select_scratch select;
    _Alignas(64) int8_t steps[SPACE_PADDED_MAX];
};

static void list_lock(struct builder *b, uint32_t node)
{
    while (__atomic_exchange_n(&b->locks[node], 1, __ATOMIC_ACQUIRE))
        sched_yield();
}

static void list_unlock(struct builder *b, uint32_t node)
{
    __atomic_store_n(&b->locks[node], 0, __ATOMIC_RELEASE);
}

struct score_query graph_node_query(const struct builder *b, uint32_t node, int8_t *steps, float *ret_base)
{
    uint32_t n = b->space.padded;
    const uint8_t *code = (const uint8_t *)b->codes.data + (size_t)node * n;
    const struct code_factor *factors = b->factors.data;
    for (uint32_t i = 0; i < n; i += 8) {
        uint64_t eight;
        memcpy(&eight, code + i, 8);
        eight ^= UINT64_C(0x8080808080808080);
        memcpy(steps + i, &eight, 8);
    }
    *ret_base = factors[node].add;
    return (struct score_query){.codes = b->codes.data,
                                .factors = factors,
                                .stride = n,
                                .query = steps,
                                .dims = n,
                                .scale = factors[node].mul / 2,
                                .bias = 128.0F * (float)b->code_sums[node],
                                .ahead = 0};
}

/* Near to one already kept means reachable through it. Equality counts as
 * near, so that equal rows do not fill each other's lists. */
static bool covered(const struct builder *b, const struct pool_entry *candidate, uint32_t kept,
                    struct select_scratch *scratch)
{
    float base;
    struct score_query q = graph_node_query(b, candidate->node, scratch->steps, &base);
    for (uint32_t i = 0; i < kept; i += 4) {
        uint32_t n = TN_MIN(kept - i, 4U);
        b->space.kernels->score_u8(&q, scratch->kept + i, n, scratch->scores);
        for (uint32_t j = 0; j < n; j++)
            if (base + scratch->scores[j] <= candidate->distance)
                return true;
    }
    return false;
}

uint32_t graph_select(const struct builder *b, struct pool_entry *candidates, size_t count, uint32_t want,
                      struct select_scratch *scratch)
{
    uint32_t kept = 0;
    size_t i = 0;
    for (; i < count && kept < want; i++) {
        if (covered(b, &candidates[i], kept, scratch))
            continue;
        scratch->kept[kept] = candidates[i].node;
        struct pool_entry chosen = candidates[i];
        memmove(candidates + kept + 1, candidates + kept, (i - kept) * sizeof *candidates);
        candidates[kept++] = chosen;
    }
    return kept;
}

static int by_distance(const void *a, const void *b)
{
    const struct pool_entry *x = a;
    const struct pool_entry *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

static void list_write(uint32_t *list, float *distances, const struct pool_entry *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        __atomic_store_n(&list[1 + i], from[i].node, __ATOMIC_RELAXED);
        distances[i] = from[i].distance;
    }
    __atomic_store_n(&list[0], count, __ATOMIC_RELEASE);
}

/* Adds `node` to the list of `to`, pruning it first when it is full. */
static void link_back(struct inserter *in, uint32_t level, uint32_t to, uint32_t node, float distance)
{
    struct builder *b = in->b;
    uint32_t cap = level ? b->cap : b->cap0;
    uint32_t *list = graph_list(b, level, to);
    float *distances = (float *)(level ? b->distances[level - 1].data : b->distances0.data) + (size_t)to * cap;
    list_lock(b, to);
    uint32_t count = list[0];
    bool known = false;
    for (uint32_t i = 1; i <= count && !known; i++)
        known = list[i] == node;
    if (!known && count == cap) {
        struct pool_entry all[LINKS_MAX + 1];
        for (uint32_t i = 0; i < count; i++)
            all[i] = (struct pool_entry){distances[i], list[1 + i]};
        all[count] = (struct pool_entry){distance, node};
        qsort(all, count + 1, sizeof *all, by_distance);
        uint32_t kept = graph_select(b, all, count + 1, level ? b->degree : 2 * b->degree, &in->select);
        list_write(list, distances, all, kept);
    } else if (!known) {
        __atomic_store_n(&list[1 + count], node, __ATOMIC_RELAXED);
        distances[count] = distance;
        __atomic_store_n(&list[0], count + 1, __ATOMIC_RELEASE);
    }
    list_unlock(b, to);
}

/* Candidates of one layer are in walk.pool; links `node` both ways. */
static void link_layer(struct inserter *in, uint32_t level, uint32_t node)
{
    struct builder *b = in->b;
    size_t count = 0;
    for (size_t i = 0; i < in->walk.count; i++) {
        struct pool_entry e = in->walk.pool[i];
        e.node &= ~NODE_EXPANDED;
        if (e.node != node)
            in->copy[count++] = e;
    }
    uint32_t kept = graph_select(b, in->copy, count, b->degree, &in->select);
    uint32_t cap = level ? b->cap : b->cap0;
    float *distances = (float *)(level ? b->distances[level - 1].data : b->distances0.data) + (size_t)node * cap;
    uint32_t *list = graph_list(b, level, node);
    list_lock(b, node);
    if (list[0] == 0) {
        list_write(list, distances, in->copy, kept);
        list_unlock(b, node);
    } else { /* somebody linked here already: through an upper layer */
        list_unlock(b, node);
        for (uint32_t i = 0; i < kept; i++)
            link_back(in, level, node, in->copy[i].node, in->copy[i].distance);
    }
    for (uint32_t i = 0; i < kept; i++)
        link_back(in, level, in->copy[i].node, node, in->copy[i].distance);
}

static uint32_t node_level(const struct builder *b, uint32_t node)
{
    uint32_t level = 0;
    while (level < b->levels && node < b->level_nodes[level])
        level++;
    return level;
}

/* Walks go by the codes that will be searched, which are half as long as
 * those that distances between rows are taken from; their scores order nodes
 * alike, so that only what a walk found need be scored again. */
static struct score_query walk_query(const struct builder *b, uint32_t node, const struct score_query *exact)
{
    struct score_query q = *exact;
    if (b->space.code_bits == 4) {
        q.codes = b->search_codes.data;
        q.factors = b->search_factors.data;
        q.stride = space_code_bytes(&b->space);
        q.bias = 7.5F * (float)b->code_sums[node];
    }
    q.ahead = 8;
    return q;
}

/* The pool's estimates become distances, in order. */
static void rescore(struct inserter *in, const struct score_query *exact, float base)
{
    struct walk *walk = &in->walk;
    struct score_query q = *exact;
    q.ahead = 6;
    for (size_t i = 0; i < walk->count; i += BLOCK_MAX) {
        size_t n = TN_MIN(walk->count - i, (size_t)BLOCK_MAX);
        for (size_t j = 0; j < n; j++)
            walk->nodes[j] = walk->pool[i + j].node & ~NODE_EXPANDED;
        in->b->space.kernels->score_u8(&q, walk->nodes, n, walk->scores);
        for (size_t j = 0; j < n; j++)
            walk->pool[i + j] = (struct pool_entry){base + walk->scores[j], walk->nodes[j]};
    }
    for (size_t i = 1; i < walk->count; i++) { /* nearly sorted already */
        struct pool_entry e = walk->pool[i];
        size_t at = i;
        for (; at > 0 && walk->pool[at - 1].distance > e.distance; at--)
            walk->pool[at] = walk->pool[at - 1];
        walk->pool[at] = e;
    }
}

static void insert_node(struct inserter *in, uint32_t node)
{
    struct builder *b = in->b;
    struct walk *walk = &in->walk;
    float base;
    struct score_query exact = graph_node_query(b, node, in->steps, &base);
    struct score_query q = walk_query(b, node, &exact);
    score_function *score = b->space.code_bits == 4 ? b->space.kernels->score_u4 : b->space.kernels->score_u8;

    uint32_t entry = 0;
    float distance;
    score(&q, &entry, 1, &distance);
    uint32_t own = node_level(b, node);
    for (uint32_t level = b->levels; level > own; level--) {
        struct link_view view = graph_view(b, level);
        entry = walk_greedy(walk, &view, &q, score, entry, &distance);
    }
    struct pool_entry starts[4] = {{distance, entry}};
    size_t start_count = 1;
    for (uint32_t level = own + 1; level-- > 0;) {
        struct link_view view = graph_view(b, level);
        walk_begin(walk, b->ef, b->ef);
        (void)walk_mark(walk, node);
        for (size_t i = 0; i < start_count; i++)
            if (walk_mark(walk, starts[i].node))
                (void)walk_insert(walk, starts[i].distance, starts[i].node);
        while (walk_waits(walk))
            (void)walk_round(walk, &view, &q, score, 4);
        start_count = TN_MIN(walk->count, TN_COUNT(starts));
        for (size_t i = 0; i < start_count; i++)
            starts[i] = (struct pool_entry){walk->pool[i].distance, walk->pool[i].node & ~NODE_EXPANDED};
        rescore(in, &exact, base);
        link_layer(in, level, node);
    }
}

static void insert_worker(void *context, uint32_t worker)
{
    struct builder *b = context;
    struct inserter *in = aligned_alloc(64, (sizeof *in + 63) / 64 * 64);
    uint8_t *marks = calloc(b->nodes, 1);
    struct pool_entry *pool = calloc(2 * ((size_t)b->ef + 1), sizeof *pool);
    if (!in || !marks || !pool) {
        atomic_store(&b->failure, TN_ENOMEM);
    } else {
        memset(in, 0, sizeof *in);
        in->b = b;
        in->walk.pool = pool;
        in->walk.marks = marks;
        in->walk.marks_size = b->nodes;
        in->copy = pool + b->ef + 1;
        for (;;) {
            uint64_t node = atomic_fetch_add(&b->next, 1);
            if (node >= b->phase_total || !build_goes_on(b, worker))
                break;
            insert_node(in, (uint32_t)node);
            atomic_fetch_add_explicit(&b->done, 1, memory_order_relaxed);
        }
    }
    free(pool);
    free(marks);
    free(in);
}

static enum tn_code allocate_lists(struct builder *b, struct tn_error *err)
{
    /* With their count, lists of the default degree fill three cache lines. */
    b->cap0 = 3 * b->degree - 1;
    b->cap = b->degree + b->degree / 2;
    uint64_t n = b->nodes;
    TN_TRY(block_alloc(&b->links0, n * (b->cap0 + 1) * 4, &b->budget, "the graph", err));
    TN_TRY(block_alloc(&b->distances0, n * b->cap0 * 4, &b->budget, "the graph", err));
    for (uint32_t l = 0; l < b->levels; l++) {
        n = b->level_nodes[l];
        TN_TRY(block_alloc(&b->links[l], n * (b->cap + 1) * 4, &b->budget, "the graph", err));
        TN_TRY(block_alloc(&b->distances[l], n * b->cap * 4, &b->budget, "the graph", err));
    }
    b->locks = tn_try_malloc(b->nodes);
    if (!b->locks)
        return tn_fail(err, TN_ENOMEM, "not enough memory for the graph's locks");
    memset(b->locks, 0, b->nodes);
    return TN_OK;
}

/* How many nodes one thread inserts before the others join: in a graph of a
 * few nodes, threads would not see each other's. */
#define ALONE 1024U

enum tn_code graph_build(struct builder *b, struct tn_error *err)
{
    TN_TRY(allocate_lists(b, err));
    uint32_t alone = TN_MIN(b->nodes, ALONE);
    build_phase(b, VECTOR_PHASE_GRAPH, alone);
    atomic_store(&b->next, 1); /* node 0 is there already */
    parallel_run(1, b->options->low_priority, insert_worker, b);
    TN_TRY(build_outcome(b, err));
    if (alone < b->nodes) {
        build_phase(b, VECTOR_PHASE_GRAPH, b->nodes);
        atomic_store(&b->next, alone);
        atomic_store(&b->done, alone);
        parallel_run(b->threads, b->options->low_priority, insert_worker, b);
        TN_TRY(build_outcome(b, err));
    }
    return TN_OK;
}
