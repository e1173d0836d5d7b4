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

#define WIDTHS    4
#define DISTANCES 4

void generation_tune(struct generation *g, const atomic_bool *stop)
{
    static const uint32_t widths[WIDTHS] = {1, 2, 3, 4};
    static const uint32_t distances[DISTANCES] = {4, 8, 12, 20};
    uint32_t count = TN_MIN(g->header.samples, 48U);
    if (count < 8 || g->nodes < 20000)
        return;
    struct scratch *s = aligned_alloc(64, (sizeof *s + 63) / 64 * 64);
    if (!s)
        return;
    memset(s, 0, sizeof *s);
    uint32_t window = calibration_window(&g->calibration, 10, 0.95F);
    uint64_t best[WIDTHS * DISTANCES] = {0};
    if (scratch_fit(s, g, search_capacity(window, 10), 10, NULL) == TN_OK) {
        struct hot trial = *atomic_load(&g->hot);
        size_t winner = 0;
        for (int round = 0; round < 3; round++)
            for (size_t i = 0; i < TN_COUNT(best) && !atomic_load(stop); i++) {
                trial.expand = widths[i / DISTANCES];
                trial.ahead = distances[i % DISTANCES];
                uint64_t taken = time_samples(s, g, &trial, window, count);
                best[i] = round == 0 ? taken : TN_MIN(best[i], taken);
            }
        for (size_t i = 1; i < TN_COUNT(best); i++)
            if (best[i] < best[winner])
                winner = i;
        if (!atomic_load(stop)) {
            g->tuned = trial;
            g->tuned.expand = widths[winner / DISTANCES];
            g->tuned.ahead = distances[winner % DISTANCES];
            atomic_store(&g->hot, &g->tuned);
        }
    }
    scratch_release(s);
    free(s);
}
