/* Many queries over several threads, each with a searcher of its own. */
#include "vector/index.h"

#include "base/clock.h"

struct batch {
    struct vector_index *index;
    const float *queries;
    size_t count;
    uint32_t dims;
    const struct vector_params *params;
    struct vector_hit *hits;
    size_t *counts;
    struct vector_stats *stats;
    uint64_t *nanoseconds;
    atomic_size_t next;
    atomic_int failure;
    struct tn_error error;
};

static void batch_fail(struct batch *b, enum tn_code code, const struct tn_error *error)
{
    int expected = TN_OK;
    if (atomic_compare_exchange_strong(&b->failure, &expected, (int)code))
        b->error = *error;
}

static void batch_worker(void *context, uint32_t worker)
{
    struct batch *b = context;
    struct tn_error error = {0};
    (void)worker;
    TN_CLEANUP(vector_searcher_free_p) struct vector_searcher *searcher = NULL;
    enum tn_code code = vector_searcher_new(b->index, &searcher, &error);
    uint64_t mark = tn_mono_ns();
    while (code == TN_OK && atomic_load_explicit(&b->failure, memory_order_relaxed) == TN_OK) {
        size_t i = atomic_fetch_add_explicit(&b->next, 1, memory_order_relaxed);
        if (i >= b->count)
            break;
        code = vector_search(searcher, b->queries + i * b->dims, b->params, b->hits + i * b->params->k, &b->counts[i],
                             b->stats ? &b->stats[i] : NULL, &error);
        if (b->nanoseconds) {
            uint64_t now = tn_mono_ns();
            b->nanoseconds[i] = now - mark;
            mark = now;
        }
    }
    if (code != TN_OK)
        batch_fail(b, code, &error);
}

enum tn_code vector_search_batch(struct vector_index *index, const float *queries, size_t query_count,
                                 const struct vector_params *params, uint32_t threads, struct vector_hit *hits,
                                 size_t *counts, struct vector_stats *stats, uint64_t *nanoseconds,
                                 struct tn_error *err)
{
    struct vector_index_info info;
    vector_index_info(index, &info);
    struct batch b = {.index = index,
                      .queries = queries,
                      .count = query_count,
                      .dims = info.dims,
                      .params = params,
                      .hits = hits,
                      .counts = counts,
                      .stats = stats,
                      .nanoseconds = nanoseconds};
    parallel_run(TN_MAX(threads, 1U), false, batch_worker, &b);
    if (atomic_load(&b.failure) != TN_OK && err)
        *err = b.error;
    return (enum tn_code)atomic_load(&b.failure);
}
