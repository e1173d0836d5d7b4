/* Walks over a finished graph, scans over its codes, and the exact ranking of
 * what they find. */
#include "vector/search.h"

#include <math.h>
#include <stdlib.h>

enum tn_code scratch_fit(struct scratch *s, const struct generation *g, size_t pool, size_t ranked,
                         struct tn_error *err)
{
    if (s->walk.marks_size < g->nodes) {
        block_free(&s->marks, NULL);
        s->walk.marks_size = 0;
        TN_TRY(block_alloc(&s->marks, (uint64_t)g->nodes + 64, NULL, "a searcher", err));
        s->walk.marks = s->marks.data;
        s->walk.marks_size = g->nodes;
        s->walk.epoch = 0;
    }
    if (s->pool_capacity < pool + 1) {
        struct pool_entry *larger = realloc(s->walk.pool, (pool + 1) * sizeof *larger);
        if (!larger)
            return tn_fail(err, TN_ENOMEM, "not enough memory for %zu candidates", pool);
        s->walk.pool = larger;
        s->pool_capacity = pool + 1;
    }
    if (s->ranked_capacity < ranked + 1) {
        struct ranked *larger = realloc(s->ranked, (ranked + 1) * sizeof *larger);
        if (!larger)
            return tn_fail(err, TN_ENOMEM, "not enough memory for %zu results", ranked);
        s->ranked = larger;
        s->ranked_capacity = ranked + 1;
    }
    return TN_OK;
}

void scratch_release(struct scratch *s)
{
    block_free(&s->marks, NULL);
    free(s->walk.pool);
    free(s->ranked);
    free(s->gathered);
    memset(s, 0, sizeof *s);
}

struct score_query scratch_scorer(const struct scratch *s, const struct generation *g, const struct hot *hot)
{
    return (struct score_query){.codes = hot->codes,
                                .factors = hot->factors,
                                .stride = space_code_bytes(&g->space),
                                .query = s->query.steps,
                                .dims = g->space.padded,
                                .scale = s->query.scale,
                                .bias = s->query.bias,
                                .ahead = hot->ahead};
}

static struct link_view layer(const struct generation *g, const struct hot *hot, uint32_t level)
{
    uint32_t degree = level ? g->header.degree : 2 * g->header.degree;
    return (struct link_view){.base = level ? hot->upper[level - 1] : hot->links,
                              .stride = degree,
                              .degree = degree,
                              .limit = level ? g->header.level_nodes[level - 1] : g->nodes,
                              .counted = false};
}

/* Down the upper layers to where the walk of the lowest begins. */
static void enter(struct scratch *s, const struct generation *g, const struct hot *hot, const struct score_query *q)
{
    struct walk *walk = &s->walk;
    score_function *score = generation_scorer(g);
    uint32_t entry = 0;
    float distance;
    score(q, &entry, 1, &distance);
    walk->distances++;
    for (uint32_t level = g->header.levels; level > 0; level--) {
        struct link_view view = layer(g, hot, level);
        entry = walk_greedy(walk, &view, q, score, entry, &distance);
    }
    (void)walk_mark(walk, entry);
    (void)walk_insert(walk, distance, entry);
}

static void take_probe(const struct scratch *s, struct vector_stats *stats)
{
    const struct walk *walk = &s->walk;
    float base = s->query.base;
    stats->probe_first = walk->count > 0 ? base + walk->pool[0].distance : NAN;
    stats->probe_tenth = walk->count > 9 ? base + walk->pool[9].distance : NAN;
    stats->probe_sixteenth = walk->count > 15 ? base + walk->pool[15].distance : NAN;
}

#define PROBE_HOPS 16U

/* The first searches on a mapping find its pages on disk; later ones would only
 * pay for asking. */
#define COLD_SEARCHES 64U

static bool is_cold(const struct generation *g)
{
    atomic_uint *searches = (atomic_uint *)(uintptr_t)&g->cold_searches; /* a statistic, not the file */
    if (atomic_load_explicit(searches, memory_order_relaxed) >= COLD_SEARCHES)
        return false;
    unsigned before = atomic_fetch_add_explicit(searches, 1, memory_order_relaxed);
    if (before == 0)
        generation_fetch_first(g);
    return before < COLD_SEARCHES;
}

void search_walk(struct scratch *s, const struct generation *g, const struct walk_plan *plan,
                 struct vector_stats *stats)
{
    const struct hot *hot = plan->hot ? plan->hot : atomic_load_explicit(&g->hot, memory_order_acquire);
    struct walk *walk = &s->walk;
    struct score_query q = scratch_scorer(s, g, hot);
    score_function *score = generation_scorer(g);
    struct link_view links = layer(g, hot, 0);
    walk_begin(walk, plan->window, plan->capacity);
    walk->fetch = NULL;
    uint32_t expand = hot->expand;
    if (hot == &g->cold && is_cold(g)) {
        walk->fetch = generation_fetch_nodes;
        walk->fetch_context = g;
        expand = EXPAND_MAX; /* waiting for a disk, few wide rounds are faster */
    }
    enter(s, g, hot, &q);
    uint32_t rounds_without = 0;
    bool probed = false;
    stats->stop = VECTOR_STOP_WINDOW;
    while (walk_waits(walk)) {
        if (__builtin_expect(walk->fetch != NULL, 0))
            generation_fetch_links(g, walk, 2 * EXPAND_MAX);
        size_t best = walk_round(walk, &links, &q, score, expand);
        if (!probed && walk->hops >= PROBE_HOPS) {
            take_probe(s, stats);
            probed = true;
        }
        rounds_without = best < plan->k ? 0 : rounds_without + 1;
        if (plan->patience && rounds_without >= plan->patience) {
            stats->stop = VECTOR_STOP_PATIENCE;
            break;
        }
        if (plan->cost && walk->distances > plan->cost) {
            stats->stop = VECTOR_STOP_COST;
            break;
        }
    }
    stats->hops += walk->hops;
    stats->distances += walk->distances;
    stats->visited += walk->distances;
}

/* Collects admitted nodes up to two links away; those that are not admitted
 * are looked through once, not scored. */
static size_t collect_two_hop(struct walk *walk, const struct link_view *links, const struct admit *admit,
                              uint32_t node, size_t n)
{
    const uint32_t *list = links->base + node * links->stride;
    for (uint32_t i = 0; i < links->degree && list[i] < links->limit; i++) {
        uint32_t near = list[i];
        if (!walk_mark(walk, near))
            continue;
        walk->visited++;
        if (admit->node(admit, near)) {
            walk->nodes[n++] = near;
            if (n == BLOCK_MAX)
                return n;
            continue;
        }
        const uint32_t *beyond = links->base + near * links->stride;
        for (uint32_t j = 0; j < links->degree && beyond[j] < links->limit; j++) {
            if (walk->marks[beyond[j]] == walk->epoch || !admit->node(admit, beyond[j]))
                continue;
            (void)walk_mark(walk, beyond[j]);
            walk->visited++;
            walk->nodes[n++] = beyond[j];
            if (n == BLOCK_MAX)
                return n;
        }
    }
    return n;
}

void search_two_hop(struct scratch *s, const struct generation *g, const struct walk_plan *plan,
                    struct vector_stats *stats)
{
    const struct hot *hot = atomic_load_explicit(&g->hot, memory_order_acquire);
    struct walk *walk = &s->walk;
    struct score_query q = scratch_scorer(s, g, hot);
    score_function *score = generation_scorer(g);
    struct link_view links = layer(g, hot, 0);
    walk_begin(walk, plan->window, plan->capacity);
    walk->fetch = NULL;
    enter(s, g, hot, &q);
    if (!plan->admit->node(plan->admit, walk->pool[0].node)) {
        /* The way in may be looked through, but not returned. */
        uint32_t entry = walk->pool[0].node;
        walk->count = walk->cursor = 0;
        size_t n = collect_two_hop(walk, &links, plan->admit, entry, 0);
        score(&q, walk->nodes, n, walk->scores);
        for (size_t i = 0; i < n; i++)
            (void)walk_insert(walk, walk->scores[i], walk->nodes[i]);
    }
    for (size_t i = 0; i < plan->seed_count; i += BLOCK_MAX) {
        size_t n = 0;
        for (size_t j = i; j < plan->seed_count && n < BLOCK_MAX; j++)
            if (walk_mark(walk, plan->seeds[j]))
                walk->nodes[n++] = plan->seeds[j];
        score(&q, walk->nodes, n, walk->scores);
        walk->distances += (uint32_t)n;
        for (size_t j = 0; j < n; j++)
            (void)walk_insert(walk, walk->scores[j], walk->nodes[j]);
    }
    stats->stop = VECTOR_STOP_WINDOW;
    while (walk_waits(walk)) {
        uint32_t node = walk_pop(walk);
        walk->hops++;
        size_t n = collect_two_hop(walk, &links, plan->admit, node, 0);
        score(&q, walk->nodes, n, walk->scores);
        walk->distances += (uint32_t)n;
        for (size_t i = 0; i < n; i++)
            if (walk_insert(walk, walk->scores[i], walk->nodes[i]) < walk->cursor + 2)
                walk_prefetch_links(&links, walk->nodes[i]);
        if (plan->cost && walk->distances > plan->cost) {
            stats->stop = VECTOR_STOP_COST;
            break;
        }
    }
    stats->hops += walk->hops;
    stats->distances += walk->distances;
    stats->visited += walk->visited;
}

void search_codes(struct scratch *s, const struct generation *g, const uint32_t *nodes, size_t count,
                  const struct admit *admit, size_t capacity, struct vector_stats *stats)
{
    const struct hot *hot = atomic_load_explicit(&g->hot, memory_order_acquire);
    struct walk *walk = &s->walk;
    struct score_query q = scratch_scorer(s, g, hot);
    score_function *score = generation_scorer(g);
    walk_begin(walk, 0, capacity);
    walk->fetch = NULL;
    size_t all = nodes ? count : g->nodes;
    for (size_t i = 0; i < all;) {
        size_t n = 0;
        for (; i < all && n < BLOCK_MAX; i++) {
            uint32_t node = nodes ? nodes[i] : (uint32_t)i;
            if (!admit || admit->node(admit, node))
                walk->nodes[n++] = node;
        }
        score(&q, walk->nodes, n, walk->scores);
        stats->distances += (uint32_t)n;
        for (size_t j = 0; j < n; j++)
            if (walk->count < walk->capacity || walk->scores[j] < walk->pool[walk->count - 1].distance)
                (void)walk_insert(walk, walk->scores[j], walk->nodes[j]);
    }
    stats->visited += (uint32_t)all;
    stats->stop = VECTOR_STOP_ALL;
}

/* Keeps `ranked` ascending by distance, then node, and at most k long. */
static void rank(struct scratch *s, uint32_t k, float distance, uint32_t node)
{
    struct ranked *r = s->ranked;
    size_t n = s->ranked_count;
    if (n == k) {
        if (!(distance < r[n - 1].distance))
            return;
        n--;
    } else {
        s->ranked_count++;
    }
    while (n > 0 && (r[n - 1].distance > distance)) {
        r[n] = r[n - 1];
        n--;
    }
    r[n] = (struct ranked){distance, node};
}

static inline void prefetch_raw(const struct generation *g, uint32_t node)
{
    const char *p = generation_raw(g, node & ~NODE_EXPANDED);
    for (uint32_t o = 0; o < g->header.raw_stride; o += 64)
        __builtin_prefetch(p + o);
}

void search_rerank(struct scratch *s, const struct generation *g, uint32_t k, uint32_t limit, float sigmas,
                   const struct admit *admit, struct vector_stats *stats)
{
    const struct walk *walk = &s->walk;
    float slack = sigmas * s->query.sigma;
    uint32_t read = 0;
    s->ranked_count = 0;
    if (walk->fetch)
        generation_fetch_raw(g, walk->pool, TN_MIN(walk->count, (size_t)k + k / 2));
    for (size_t i = 0; i < TN_MIN(walk->count, (size_t)2); i++)
        prefetch_raw(g, walk->pool[i].node);
    for (size_t i = 0; i < walk->count; i++) {
        uint32_t node = walk->pool[i].node & ~NODE_EXPANDED;
        if (s->ranked_count == k) {
            float estimate = s->query.base + walk->pool[i].distance;
            if (estimate - slack > s->ranked[k - 1].distance || (limit && read >= limit))
                break;
        }
        if (i + 2 < walk->count)
            prefetch_raw(g, walk->pool[i + 2].node);
        if (admit && !admit->node(admit, node))
            continue;
        rank(s, k, generation_distance(g, node, s->query.prepared), node);
        read++;
    }
    stats->reranked += read;
}

void search_exact(struct scratch *s, const struct generation *g, uint32_t k, const struct admit *admit,
                  struct vector_stats *stats)
{
    s->ranked_count = 0;
    for (uint32_t node = 0; node < g->nodes; node++) {
        if (admit && !admit->node(admit, node))
            continue;
        rank(s, k, generation_distance(g, node, s->query.prepared), node);
        stats->reranked++;
    }
    stats->visited += g->nodes;
    stats->stop = VECTOR_STOP_ALL;
}
