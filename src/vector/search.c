/* vector_search: the contract of k over a generation and its delta.
 *
 * The generation's part picks a strategy from how many rows qualify:
 *
 *   everything          the walk
 *   few                 gather: score the codes of all that qualify
 *   a good share        the walk, wider by the share, filtered late
 *   in between          the two-hop walk, seeded from rows that qualify, unless
 *                       a probe finds them rare where the query is
 *
 * and falls back to a scan of codes when the answer is short, which is what
 * makes "exactly k" hold whatever the estimate was. Then zero rows and the
 * delta's rows are merged in, and hits are cut per group.
 */
#include "vector/index.h"

#include <math.h>
#include <stdlib.h>

#define GATHER_ROWS 6000U /* below it a gather is as fast as any walk */
#define LATE_SHARE  0.05F
#define SEEDS       64U

struct searching {
    struct vector_searcher *searcher;
    struct index_state *state;
    const struct vector_params *params;
    struct admission admission;
    uint32_t k;
    uint32_t window;
    struct vector_stats *stats;
    struct tn_error *err;
};

static enum tn_code hits_reserve(struct vector_searcher *s, size_t want, struct tn_error *err)
{
    if (want <= s->hits_capacity)
        return TN_OK;
    struct vector_hit *larger = realloc(s->hits, want * sizeof *larger);
    if (!larger)
        return tn_fail(err, TN_ENOMEM, "not enough memory for %zu hits", want);
    s->hits = larger;
    s->hits_capacity = want;
    return TN_OK;
}

static bool nearer(struct vector_hit a, struct vector_hit b)
{
    return a.distance < b.distance || (!(b.distance < a.distance) && a.id < b.id);
}

/* Keeps the searcher's hits ascending and at most k. */
static void add_hit(struct searching *q, int64_t id, float distance)
{
    struct vector_searcher *s = q->searcher;
    struct vector_hit hit = {id, distance};
    size_t n = s->hit_count;
    if (n == q->k) {
        if (!nearer(hit, s->hits[n - 1]))
            return;
        n--;
    } else {
        s->hit_count++;
    }
    while (n > 0 && nearer(hit, s->hits[n - 1])) {
        s->hits[n] = s->hits[n - 1];
        n--;
    }
    s->hits[n] = hit;
}

/* Ranked nodes become rows. */
static void take_ranked(struct searching *q)
{
    const struct generation *g = q->state->generation;
    const struct scratch *s = &q->searcher->scratch;
    for (size_t i = 0; i < s->ranked_count; i++) {
        uint32_t node = s->ranked[i].node;
        if (!g->first) {
            add_hit(q, g->ids[node], s->ranked[i].distance);
            continue;
        }
        uint32_t end = TN_MIN(g->first[node + 1], g->rows);
        for (uint32_t row = g->first[node]; row < end; row++)
            if (admission_row(&q->admission, row))
                add_hit(q, g->ids[row], s->ranked[i].distance);
    }
}

static enum tn_code run_scan(struct searching *q, const uint32_t *nodes, size_t count)
{
    const struct generation *g = q->state->generation;
    struct scratch *s = &q->searcher->scratch;
    const struct admit *admit = admission_admit(&q->admission);
    size_t all = nodes ? count : g->nodes;
    size_t capacity = TN_MIN(all, 2 * (size_t)q->k + 32);
    TN_TRY(scratch_fit(s, g, capacity, q->k, q->err));
    s->ranked_count = 0;
    if (capacity == 0)
        return TN_OK;
    search_codes(s, g, nodes, count, nodes ? NULL : admit, capacity, q->stats);
    search_rerank(s, g, q->k, 0, 3 * RERANK_SIGMAS, nodes ? NULL : admit, q->stats);
    return TN_OK;
}

static enum tn_code run_gather(struct searching *q)
{
    q->stats->strategy = VECTOR_STRATEGY_GATHER;
    if (!admission_lists(&q->admission))
        return run_scan(q, NULL, 0);
    struct scratch *s = &q->searcher->scratch;
    size_t count;
    TN_TRY(scratch_fit(s, q->state->generation, q->k, q->k, q->err));
    TN_TRY(admission_list(&q->admission, s, &count, q->err));
    s->ranked_count = 0;
    return count ? run_scan(q, s->gathered, count) : TN_OK;
}

static enum tn_code run_walk(struct searching *q, uint32_t window, bool two_hop)
{
    const struct generation *g = q->state->generation;
    struct scratch *s = &q->searcher->scratch;
    const struct admit *admit = admission_admit(&q->admission);
    struct walk_plan plan = {.window = window,
                             .capacity = search_capacity(window, q->k),
                             .patience = q->params->patience,
                             .k = q->k,
                             .cost = admit ? 2 * q->admission.matches + 4096 : 0,
                             .admit = admit};
    uint32_t seeds[SEEDS];
    TN_TRY(scratch_fit(s, g, plan.capacity, q->k, q->err));
    if (two_hop) {
        plan.seeds = seeds;
        plan.seed_count = admission_seeds(&q->admission, seeds, SEEDS);
        search_two_hop(s, g, &plan, q->stats);
    } else {
        search_walk(s, g, &plan, q->stats);
    }
    search_rerank(s, g, q->k, q->params->rerank, RERANK_SIGMAS, admit, q->stats);
    return TN_OK;
}

static size_t admitted_in_pool(const struct searching *q)
{
    const struct walk *walk = &q->searcher->scratch.walk;
    const struct admit *admit = &q->admission.admit;
    size_t count = 0;
    for (size_t i = 0; i < walk->count; i++)
        count += admit->node(admit, walk->pool[i].node & ~NODE_EXPANDED);
    return count;
}

/* The walk, made wider until as many candidates qualify as an unfiltered walk
 * would have had; false when that is not in sight. */
static enum tn_code run_late(struct searching *q, bool *ret_enough)
{
    float share = fmaxf(q->admission.selectivity, LATE_SHARE);
    double window = ceil((double)((float)q->window / share));
    size_t want = (size_t)fmax(q->k, 0.8 * q->window);
    *ret_enough = false;
    for (int tries = 0; tries < 3 && window <= 4096; tries++) {
        TN_TRY(run_walk(q, (uint32_t)window, false));
        size_t got = admitted_in_pool(q);
        if (got >= want || q->searcher->scratch.walk.count == q->state->generation->nodes) {
            *ret_enough = true;
            return TN_OK;
        }
        window *= fmin(4, fmax(1.5, 1.3 * (double)want / (double)(got + 1)));
    }
    return TN_OK;
}

/* Whether rows that qualify are about as frequent near the query as they are
 * everywhere. Where they are not, the nearest of them lie on the rim of a
 * region that a walk cannot see into, and only a look at all of them is sure. */
static enum tn_code probe_share(struct searching *q, bool *ret_usual)
{
    uint32_t window = (uint32_t)fmin(256, fmax(32, 4 / (double)q->admission.selectivity));
    TN_TRY(run_walk(q, window, false));
    double expected = (double)q->admission.selectivity * (double)q->searcher->scratch.walk.count;
    *ret_usual = 4 * (double)admitted_in_pool(q) >= expected;
    return TN_OK;
}

static enum tn_code search_filtered(struct searching *q)
{
    const struct generation *g = q->state->generation;
    uint64_t matches = q->admission.matches;
    bool enough = false;
    /* A scan tests and scores every node; a gather lists those that pass. */
    uint64_t gather = TN_MAX(GATHER_ROWS, 8 * (uint64_t)q->k);
    if (matches <= gather && (admission_lists(&q->admission) || g->nodes <= 8 * gather))
        return run_gather(q);
    if (q->admission.selectivity >= LATE_SHARE) {
        q->stats->strategy = VECTOR_STRATEGY_LATE;
        TN_TRY(run_late(q, &enough));
    } else {
        bool usual = false;
        if (q->admission.selectivity > 0)
            TN_TRY(probe_share(q, &usual));
        if (usual) {
            q->stats->strategy = VECTOR_STRATEGY_TWO_HOP;
            TN_TRY(run_walk(q, TN_MAX(2 * q->window, 4 * q->k), true));
            enough = q->stats->stop == VECTOR_STOP_WINDOW;
        }
    }
    if (!enough || q->searcher->scratch.ranked_count < q->k) {
        q->stats->fell_back = true;
        return run_gather(q);
    }
    return TN_OK;
}

static enum tn_code search_generation(struct searching *q)
{
    const struct generation *g = q->state->generation;
    struct scratch *s = &q->searcher->scratch;
    const struct admit *admit = admission_admit(&q->admission);
    s->ranked_count = 0;
    if (g->nodes == 0)
        return TN_OK;
    enum vector_mode mode = q->params->mode;
    if (mode == VECTOR_MODE_EXACT) {
        q->stats->strategy = VECTOR_STRATEGY_EXACT;
        TN_TRY(scratch_fit(s, g, 1, q->k, q->err));
        search_exact(s, g, q->k, admit, q->stats);
        return TN_OK;
    }
    /* A walk to most of the nodes costs more than all the codes in order. */
    if (mode == VECTOR_MODE_SCAN ||
        (mode == VECTOR_MODE_AUTO && (uint64_t)q->window * 8 >= g->nodes && !q->admission.filter)) {
        q->stats->strategy = VECTOR_STRATEGY_SCAN;
        return run_scan(q, NULL, 0);
    }
    if (admit && mode == VECTOR_MODE_AUTO)
        return search_filtered(q);
    q->stats->strategy = admit ? VECTOR_STRATEGY_LATE : VECTOR_STRATEGY_GRAPH;
    TN_TRY(run_walk(q, q->window, false));
    if (s->ranked_count < TN_MIN(q->k, g->nodes)) {
        q->stats->fell_back = true;
        return run_gather(q);
    }
    return TN_OK;
}

/* Zero rows are at distance 1: they matter when the k-th is not nearer. */
static void add_zeros(struct searching *q)
{
    const struct generation *g = q->state->generation;
    struct vector_searcher *s = q->searcher;
    if (g->zeros == 0 || (s->hit_count == q->k && s->hits[q->k - 1].distance < 1))
        return;
    for (uint32_t row = g->rows - g->zeros; row < g->rows; row++)
        if (admission_row(&q->admission, row))
            add_hit(q, g->ids[row], 1);
}

static float delta_distance(const struct searching *q, const struct delta_segment *seg, uint32_t i)
{
    const struct space *space = &q->state->generation->space;
    if (seg->zero[i])
        return 1;
    const float *row = seg->rows + i * q->state->delta->row_stride;
    const float *query = q->searcher->scratch.query.prepared;
    if (space->metric == VECTOR_L2)
        return space->kernels->l2_f32(row, query, space->dims);
    float product = space->kernels->dot_f32(row, query, space->dims);
    return space->metric == VECTOR_COSINE ? 1 - product : -product;
}

/* Scores one segment's visible rows and keeps candidates in the pool. */
static void scan_segment(struct searching *q, uint32_t at, uint32_t rows)
{
    struct scratch *s = &q->searcher->scratch;
    struct walk *walk = &s->walk;
    const struct generation *g = q->state->generation;
    const struct delta_segment *seg = delta_at(q->state->delta, at * DELTA_SEGMENT);
    struct score_query scorer = scratch_scorer(s, g, &g->cold);
    scorer.codes = seg->codes;
    scorer.factors = seg->factors;
    scorer.ahead = 0;
    for (uint32_t i = 0; i < rows;) {
        size_t n = 0;
        for (; i < rows && n < BLOCK_MAX; i++) {
            if (!delta_seen(seg, i, q->admission.instant) ||
                (q->admission.filter && !filter_passes(q->admission.filter, seg->ids[i])))
                continue;
            if (seg->zero[i])
                add_hit(q, seg->ids[i], 1);
            else
                walk->nodes[n++] = i;
        }
        generation_scorer(g)(&scorer, walk->nodes, n, walk->scores);
        for (size_t j = 0; j < n; j++)
            if (walk->count < walk->capacity || walk->scores[j] < walk->pool[walk->count - 1].distance)
                (void)walk_insert(walk, walk->scores[j], at * DELTA_SEGMENT + walk->nodes[j]);
        q->stats->delta_scanned += (uint32_t)n;
    }
}

static enum tn_code add_delta(struct searching *q)
{
    const struct delta *d = q->state->delta;
    struct scratch *s = &q->searcher->scratch;
    uint32_t count = d ? atomic_load_explicit(&d->count, memory_order_acquire) : 0;
    if (count == 0)
        return TN_OK;
    size_t capacity = q->params->mode == VECTOR_MODE_EXACT ? count : TN_MIN((size_t)count, 2 * (size_t)q->k + 32);
    TN_TRY(scratch_fit(s, q->state->generation, capacity, q->k, q->err));
    walk_begin(&s->walk, 0, capacity);
    for (uint32_t at = 0; at * DELTA_SEGMENT < count; at++)
        scan_segment(q, at, TN_MIN(count - at * DELTA_SEGMENT, DELTA_SEGMENT));
    float slack = 3 * RERANK_SIGMAS * s->query.sigma;
    for (size_t i = 0; i < s->walk.count; i++) {
        uint32_t row = s->walk.pool[i].node;
        float estimate = s->query.base + s->walk.pool[i].distance;
        if (q->params->mode != VECTOR_MODE_EXACT && q->searcher->hit_count == q->k &&
            estimate - slack > q->searcher->hits[q->k - 1].distance)
            break;
        const struct delta_segment *seg = delta_at(d, row);
        add_hit(q, seg->ids[row % DELTA_SEGMENT], delta_distance(q, seg, row % DELTA_SEGMENT));
        q->stats->reranked++;
    }
    return TN_OK;
}

/* The k nearest qualifying rows, in the searcher's hits, internal distances.
 * The query must be set. */
static enum tn_code search_rows(struct searching *q, uint32_t k)
{
    q->k = k;
    q->searcher->hit_count = 0;
    TN_TRY(hits_reserve(q->searcher, (size_t)k + 1, q->err));
    q->window = q->params->window;
    float recall = q->params->recall > 0 ? q->params->recall : 0.95F;
    if (q->window == 0)
        q->window = calibration_window(&q->state->generation->calibration, k, recall);
    q->window = TN_MIN(TN_MAX(q->window, k), VECTOR_WINDOW_MAX);
    q->stats->window = q->window;
    q->stats->fell_back = false;
    TN_TRY(search_generation(q));
    take_ranked(q);
    add_zeros(q);
    return add_delta(q);
}

static uint64_t rows_at_most(const struct index_state *state)
{
    return state->generation->rows + (state->delta ? atomic_load(&state->delta->live) : 0);
}

/* Keeps at most max_per_group hits of a group; returns how many are left. */
static size_t cut_groups(const struct vector_params *p, struct vector_hit *hits, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t group = p->group_of(p->group_context, hits[i].id);
        uint32_t same = 0;
        for (size_t j = 0; j < kept && same < p->max_per_group; j++)
            same += p->group_of(p->group_context, hits[j].id) == group;
        if (same < p->max_per_group)
            hits[kept++] = hits[i];
        if (kept == p->k)
            break;
    }
    return kept;
}

/* More and more of the nearest, until enough groups are among them. */
static enum tn_code search_groups(struct searching *q)
{
    struct vector_searcher *s = q->searcher;
    uint64_t all = rows_at_most(q->state);
    uint64_t k = TN_MIN((uint64_t)q->params->k * 4, all);
    for (;;) {
        TN_TRY(search_rows(q, (uint32_t)TN_MAX(k, 1)));
        bool complete = s->hit_count < k || k >= all;
        s->hit_count = cut_groups(q->params, s->hits, s->hit_count);
        if (s->hit_count >= q->params->k || complete)
            return TN_OK;
        k = TN_MIN(k * 8, all);
    }
}

static enum tn_code check_params(const struct vector_params *p, bool range, struct tn_error *err)
{
    if (!range && (p->k == 0 || p->k > VECTOR_K_MAX))
        return tn_fail(err, TN_EREQUEST, "k is %u; 1 to %d are possible", p->k, VECTOR_K_MAX);
    if (!(p->recall >= 0 && p->recall < 1))
        return tn_fail(err, TN_EREQUEST, "recall must be at least 0 and below 1; exact mode has recall 1");
    if (p->window > VECTOR_WINDOW_MAX)
        return tn_fail(err, TN_EREQUEST, "window is %u; at most %d is possible", p->window, VECTOR_WINDOW_MAX);
    if (p->max_per_group && !p->group_of)
        return tn_fail(err, TN_EREQUEST, "max_per_group needs group_of");
    return TN_OK;
}

static enum tn_code begin_search(struct searching *q, const float *query)
{
    const struct generation *g = q->state->generation;
    struct scratch *s = &q->searcher->scratch;
    TN_TRY(scratch_fit(s, g, 1, 1, q->err));
    enum space_kind kind = space_query_set(&g->space, query, &s->query);
    if (kind == SPACE_NOT_FINITE)
        return tn_fail(q->err, TN_EREQUEST, "the query vector is not finite or too large");
    if (kind == SPACE_ZERO)
        return tn_fail(q->err, TN_EREQUEST, "the query vector is zero: under cosine it has no direction");
    const struct delta *d = q->state->delta;
    uint32_t instant = d ? atomic_load_explicit(&d->now, memory_order_acquire) : 0;
    *q->stats = (struct vector_stats){
        .generation = q->state->number, .probe_first = NAN, .probe_tenth = NAN, .probe_sixteenth = NAN};
    admission_init(&q->admission, g, d, instant, q->params->filter);
    q->stats->selectivity = q->admission.selectivity;
    return TN_OK;
}

static enum tn_code search_entered(struct searching *q, const float *query, struct vector_hit *hits,
                                   size_t *ret_count)
{
    struct vector_searcher *s = q->searcher;
    TN_TRY(begin_search(q, query));
    if (q->params->max_per_group)
        TN_TRY(search_groups(q));
    else
        TN_TRY(search_rows(q, q->params->k));
    for (size_t i = 0; i < s->hit_count; i++) {
        hits[i].id = s->hits[i].id;
        hits[i].distance = space_public_distance(&q->state->generation->space, s->hits[i].distance);
    }
    *ret_count = s->hit_count;
    return TN_OK;
}

/* Lets the background begin (index_state.c). */
static void leave(struct vector_searcher *searcher)
{
    struct vector_index *index = searcher->index;
    state_leave(searcher);
    if (__builtin_expect(!atomic_load_explicit(&index->answered, memory_order_relaxed), 0))
        atomic_store(&index->answered, true);
}

enum tn_code vector_search(struct vector_searcher *searcher, const float *query, const struct vector_params *params,
                           struct vector_hit *hits, size_t *ret_count, struct vector_stats *ret_stats,
                           struct tn_error *err)
{
    TN_TRY(check_params(params, false, err));
    struct vector_stats stats;
    struct searching q = {.searcher = searcher, .params = params, .stats = &stats, .err = err};
    q.state = state_enter(searcher);
    enum tn_code code = search_entered(&q, query, hits, ret_count);
    leave(searcher);
    if (code == TN_OK && ret_stats)
        *ret_stats = stats;
    return code;
}

static enum tn_code range_entered(struct searching *q, const float *query, float limit, size_t capacity,
                                  size_t *ret_count, bool *ret_more)
{
    struct vector_searcher *s = q->searcher;
    TN_TRY(begin_search(q, query));
    uint64_t all = rows_at_most(q->state);
    uint64_t k = TN_MIN((uint64_t)64, all);
    for (;;) {
        TN_TRY(search_rows(q, (uint32_t)k));
        size_t within = s->hit_count;
        while (within > 0 && s->hits[within - 1].distance > limit)
            within--;
        bool complete = within < s->hit_count || s->hit_count < k || k >= all;
        if (complete || within > capacity) {
            *ret_count = TN_MIN(within, capacity);
            *ret_more = within > capacity;
            return TN_OK;
        }
        k = TN_MIN(k * 4, all);
    }
}

enum tn_code vector_search_range(struct vector_searcher *searcher, const float *query, float distance,
                                 const struct vector_params *params, struct vector_hit *hits, size_t capacity,
                                 size_t *ret_count, bool *ret_more, struct vector_stats *ret_stats,
                                 struct tn_error *err)
{
    TN_TRY(check_params(params, true, err));
    if (!isfinite(distance))
        return tn_fail(err, TN_EREQUEST, "the distance is not finite");
    struct vector_stats stats;
    struct searching q = {.searcher = searcher, .params = params, .stats = &stats, .err = err};
    q.state = state_enter(searcher);
    size_t count = 0;
    bool more = false;
    const struct space *space = &q.state->generation->space;
    enum tn_code code = range_entered(&q, query, space_internal_distance(space, distance), capacity, &count, &more);
    for (size_t i = 0; code == TN_OK && i < count; i++)
        hits[i] = (struct vector_hit){searcher->hits[i].id, space_public_distance(space, searcher->hits[i].distance)};
    leave(searcher);
    if (code != TN_OK)
        return code;
    *ret_count = count;
    *ret_more = more;
    if (ret_stats)
        *ret_stats = stats;
    return TN_OK;
}
