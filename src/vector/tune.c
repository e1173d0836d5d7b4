/* Round width and prefetch distance, chosen by trial on the sample queries.
 *
 * What is best depends on the memory behind the graph more than on the graph:
 * a machine with a large cache wants narrow rounds, a slow memory wide ones.
 * Every choice gives the same contract; only time differs.
 */
#include "vector/search.h"

#include "base/clock.h"

#include <stdlib.h>

static uint64_t time_samples(struct scratch *s, const struct generation *g, const struct hot *hot, uint32_t window,
                             uint32_t count)
{
    struct vector_stats stats = {0};
    struct walk_plan plan = {.hot = hot, .window = window, .k = 10, .capacity = search_capacity(window, 10)};
    uint64_t start = tn_mono_ns();
    for (uint32_t i = 0; i < count; i++)
        if (space_query_set(&g->space, g->samples + (size_t)i * g->space.dims, &s->query) == SPACE_FINE)
            search_walk(s, g, &plan, &stats);
    return tn_mono_ns() - start;
}

#define CHOICES   16
#define FINALISTS 4
#define ROUNDS    3
#define LEAST     8U                /* samples that tell choices apart */
#define TURN_NS   UINT64_C(6000000) /* of one choice: a tenth of a second in all */

struct choice {
    uint32_t width;
    uint32_t distance;
    uint64_t best; /* nanoseconds of its fastest turn */
};

static int by_best(const void *a, const void *b)
{
    const struct choice *one = a, *other = b;
    return one->best < other->best ? -1 : one->best > other->best;
}

/* Every choice has one turn, the fastest ones have more. False: stopped. */
static bool rank(struct scratch *s, const struct generation *g, struct hot *trial, uint32_t window,
                 struct choice choices[CHOICES], const atomic_bool *stop)
{
    uint32_t count = TN_MIN(g->header.samples, 48U);
    uint64_t whole = time_samples(s, g, trial, window, count); /* also wakes caches */
    if (whole > TURN_NS)
        count = TN_MAX(LEAST, (uint32_t)((uint64_t)count * TURN_NS / whole));
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < (round == 0 ? CHOICES : FINALISTS); i++) {
            if (atomic_load(stop))
                return false;
            trial->expand = choices[i].width;
            trial->ahead = choices[i].distance;
            choices[i].best = TN_MIN(choices[i].best, time_samples(s, g, trial, window, count));
        }
        qsort(choices, CHOICES, sizeof *choices, by_best);
    }
    return true;
}

void generation_tune(struct generation *g, const atomic_bool *stop)
{
    static const uint32_t widths[] = {1, 2, 3, 4};
    static const uint32_t distances[] = {4, 8, 12, 20};
    if (g->header.samples < LEAST || g->nodes < 20000)
        return;
    struct scratch *s = aligned_alloc(64, (sizeof *s + 63) / 64 * 64);
    if (!s)
        return;
    memset(s, 0, sizeof *s);
    struct choice choices[CHOICES];
    for (size_t i = 0; i < CHOICES; i++)
        choices[i] = (struct choice){.width = widths[i / TN_COUNT(distances)],
                                     .distance = distances[i % TN_COUNT(distances)],
                                     .best = UINT64_MAX};
    uint32_t window = calibration_window(&g->calibration, 10, 0.95F);
    struct hot trial = *atomic_load(&g->hot);
    if (scratch_fit(s, g, search_capacity(window, 10), 10, NULL) == TN_OK &&
        rank(s, g, &trial, window, choices, stop)) {
        g->tuned = trial;
        g->tuned.expand = choices[0].width;
        g->tuned.ahead = choices[0].distance;
        atomic_store(&g->hot, &g->tuned);
    }
    scratch_release(s);
    free(s);
}
