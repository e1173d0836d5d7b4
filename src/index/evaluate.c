/* Recall and latency of a generation, on queries that it was not tuned with:
 * made ones, near the vectors of chunks and none of them, and recorded ones,
 * that people asked. Truth is exact search over the same rows, kept for as long
 * as neither queries nor data change. */
#include "index/trial.h"

#include <math.h>

#define SAME_DISTANCE 1e-6 /* of two rows that are equally near either may be found */

void truth_release(struct truth *truth)
{
    free(truth->ids);
    free(truth->least);
    *truth = (struct truth){0};
}

/* ---- queries ---------------------------------------------------------------------- */

static uint32_t make_queries(struct logical *logical, struct vector_index *vectors, uint32_t wanted, float *rows)
{
    const uint32_t dimension = logical->definition.dimension;
    int64_t limit = atomic_load(&logical->next_chunk), step = TN_MAX(limit / TN_MAX(wanted, 1U), 1);
    uint32_t count = 0;
    for (int64_t id = 0; id < limit && count < wanted; id += step) {
        float *query = rows + (size_t)count * dimension;
        if (vector_index_get(vectors, id, query, NULL) != TN_OK)
            continue;
        /* Not a stored vector itself: those are found too easily. */
        for (uint32_t i = 0; i < dimension; i++)
            query[i] += 0.3F / sqrtf((float)dimension) * sinf((float)(id + 1) * (float)(i + 1));
        count++;
    }
    return count;
}

enum tn_code queries_choose(struct logical *logical, struct vector_index *vectors, uint32_t samples,
                            struct queries *ret, struct tn_error *err)
{
    const size_t dimension = logical->definition.dimension;
    TN_AUTO_FREE float *rows = tn_calloc(samples, dimension * sizeof *rows);
    struct queries made = {0};
    made.recorded = (uint32_t)asked_take(logical->tuning->asked, samples / 2, rows);
    made.made = make_queries(logical, vectors, samples - made.recorded, rows + made.recorded * dimension);
    made.count = made.recorded + made.made;
    if (made.count == 0)
        return tn_fail(err, TN_EUNAVAILABLE, "index \"%s\" has no chunks to ask for", logical->definition.name);
    made.hash = tn_hash64(rows, made.count * dimension * sizeof *rows, 1);
    made.rows = TN_TAKE(rows);
    *ret = made;
    return TN_OK;
}

/* ---- truth --------------------------------------------------------------------------- */

static enum tn_code look_up(const struct logical *logical, struct tn_error *err)
{
    if (atomic_load(&logical->tuning->stopping) > 0 || logical_stopping(logical, NULL))
        return logical_stopped(logical, err);
    return TN_OK;
}

static enum tn_code find_truth(const struct logical *logical, struct vector_searcher *searcher,
                               const struct queries *queries, uint32_t k, struct truth *ret, struct tn_error *err)
{
    const uint32_t dimension = logical->definition.dimension;
    const struct vector_params exact = {.k = k, .mode = VECTOR_MODE_EXACT};
    TN_AUTO_FREE struct vector_hit *hits = tn_calloc(k, sizeof *hits);
    for (uint32_t q = 0; q < queries->count; q++) {
        size_t count = 0;
        TN_TRY(look_up(logical, err));
        TN_TRY(vector_search(searcher, queries->rows + (size_t)q * dimension, &exact, hits, &count, NULL, err));
        for (size_t i = 0; i < k; i++)
            ret->ids[(size_t)q * k + i] = i < count ? hits[i].id : -1;
        ret->least[q] = count > 0 ? (double)hits[count - 1].distance : 0;
    }
    return TN_OK;
}

/* The kept one, or a new one in its place. Under truth_lock. */
static enum tn_code take_truth(struct logical *logical, struct vector_index *subject,
                               struct vector_searcher *searcher, const struct queries *queries, uint32_t k,
                               struct tn_error *err)
{
    struct truth *kept = &logical->tuning->truth;
    struct vector_index_info info;
    vector_index_info(subject, &info);
    if (kept->ids && kept->queries == queries->hash && kept->last_change == info.last_change && kept->k == k &&
        kept->count == queries->count)
        return TN_OK;
    struct truth fresh = {.queries = queries->hash, .last_change = info.last_change, .count = queries->count, .k = k};
    fresh.ids = tn_calloc((size_t)queries->count * k, sizeof *fresh.ids);
    fresh.least = tn_calloc(queries->count, sizeof *fresh.least);
    enum tn_code code = find_truth(logical, searcher, queries, k, &fresh, err);
    if (code != TN_OK) {
        truth_release(&fresh);
        return code;
    }
    truth_release(kept);
    *kept = fresh;
    return TN_OK;
}

/* ---- measuring --------------------------------------------------------------------------- */

struct measuring {
    struct logical *logical;
    struct vector_index *exact;
    const struct queries *queries;
    const struct truth *truth;
    struct vector_hit *hits;
    float *row;
    double found, wanted, first, distances;
    uint64_t window;
    uint64_t *nanoseconds;
};

/* A row that is not among the true ones may be as near as the last of them. */
static bool is_as_near(struct measuring *m, const float *query, int64_t id, double least)
{
    double product = 0, length = 0;
    if (vector_index_get(m->exact, id, m->row, NULL) != TN_OK)
        return false;
    for (uint32_t d = 0; d < m->logical->definition.dimension; d++) {
        product += (double)query[d] * (double)m->row[d];
        length += (double)query[d] * (double)query[d];
    }
    return 1 - product / sqrt(length) <= least + SAME_DISTANCE;
}

static bool is_true(struct measuring *m, uint32_t q, int64_t id, uint32_t among)
{
    const int64_t *ids = m->truth->ids + (size_t)q * m->truth->k;
    for (uint32_t i = 0; i < among; i++)
        if (ids[i] == id)
            return true;
    return among == m->truth->k &&
           is_as_near(m, m->queries->rows + (size_t)q * m->logical->definition.dimension, id, m->truth->least[q]);
}

static void judge(struct measuring *m, uint32_t q, size_t count)
{
    uint32_t k = m->truth->k, there = 0;
    const int64_t *ids = m->truth->ids + (size_t)q * k;
    while (there < k && ids[there] >= 0)
        there++;
    for (size_t i = 0; i < count && i < there; i++)
        m->found += is_true(m, q, m->hits[i].id, k);
    m->wanted += there;
    /* The nearest: found anywhere in front of what is farther, so in the first place. */
    m->first += there == 0 || (count > 0 && is_true(m, q, m->hits[0].id, 1));
}

static enum tn_code ask_all(struct measuring *m, struct vector_searcher *searcher, const struct vector_params *params,
                            bool judged, struct tn_error *err)
{
    const uint32_t dimension = m->logical->definition.dimension;
    for (uint32_t q = 0; q < m->queries->count; q++) {
        struct vector_stats stats = {0};
        size_t count = 0;
        TN_TRY(look_up(m->logical, err));
        uint64_t start = tn_mono_ns();
        TN_TRY(
            vector_search(searcher, m->queries->rows + (size_t)q * dimension, params, m->hits, &count, &stats, err));
        m->nanoseconds[q] = tn_mono_ns() - start;
        m->distances += stats.distances;
        m->window += stats.window;
        if (judged)
            judge(m, q, count);
    }
    return TN_OK;
}

static void sum_up(struct measuring *m, struct measured *ret)
{
    uint32_t count = m->queries->count;
    if (count > 1)
        qsort(m->nanoseconds, count, sizeof *m->nanoseconds, tn_order_u64);
    double last = count - 1;
    *ret = (struct measured){
        .window = (uint32_t)(m->window / count),
        .recall_at_1 = m->first / count,
        .recall_at_k = m->wanted > 0 ? m->found / m->wanted : 1,
        .p50_us = (double)m->nanoseconds[(size_t)(0.5 * last)] / 1000,
        .p95_us = (double)m->nanoseconds[(size_t)(0.95 * last)] / 1000,
        .p99_us = (double)m->nanoseconds[(size_t)(0.99 * last)] / 1000,
        .mean_distances = m->distances / count,
    };
}

static enum tn_code measure_with(struct measuring *m, struct vector_index *subject, struct vector_searcher *searcher,
                                 const struct vector_params *params, struct measured *ret, struct tn_error *err)
{
    TN_TRY(take_truth(m->logical, subject, searcher, m->queries, params->k, err));
    m->truth = &m->logical->tuning->truth;
    /* Once to bring all of it into memory, and once for the clock. */
    TN_TRY(ask_all(m, searcher, params, true, err));
    m->distances = 0;
    m->window = 0;
    TN_TRY(ask_all(m, searcher, params, false, err));
    sum_up(m, ret);
    return TN_OK;
}

enum tn_code measure(struct logical *logical, struct vector_index *subject, struct vector_index *exact,
                     const struct queries *queries, uint32_t k, uint32_t ef, double recall, struct measured *ret,
                     struct tn_error *err)
{
    TN_CLEANUP(vector_searcher_free_p) struct vector_searcher *searcher = NULL;
    TN_AUTO_FREE struct vector_hit *hits = tn_calloc(k, sizeof *hits);
    TN_AUTO_FREE float *row = tn_calloc(logical->definition.dimension, sizeof *row);
    TN_AUTO_FREE uint64_t *nanoseconds = tn_calloc(queries->count, sizeof *nanoseconds);
    struct measuring m = {
        .logical = logical, .exact = exact, .queries = queries, .hits = hits, .row = row, .nanoseconds = nanoseconds};
    const struct vector_params params = {.k = k, .recall = (float)recall, .window = ef};
    TN_TRY(vector_searcher_new(subject, &searcher, err));
    pthread_mutex_lock(&logical->tuning->truth_lock);
    enum tn_code code = measure_with(&m, subject, searcher, &params, ret, err);
    pthread_mutex_unlock(&logical->tuning->truth_lock);
    return code;
}

/* ---- of the active one, for people ------------------------------------------------------------ */

static void put_measured(const struct logical *logical, const struct vector_index_info *info,
                         const struct queries *queries, uint32_t k, const struct measured *measured,
                         struct tn_json *out)
{
    tn_json_open(out, '{');
    tn_json_kstr(out, "index", logical->definition.name);
    tn_json_ki64(out, "generation", (int64_t)info->generation);
    tn_json_ki64(out, "samples", queries->count);
    tn_json_ki64(out, "made_queries", queries->made);
    tn_json_ki64(out, "recorded_queries", queries->recorded);
    tn_json_ki64(out, "k", k);
    tn_json_kf64(out, "recall_target", atomic_load(&logical->tuning->recall_target));
    tn_json_ki64(out, "ef", measured->window);
    tn_json_kf64(out, "recall", measured->recall_at_k);
    tn_json_kf64(out, "recall_at_1", measured->recall_at_1);
    tn_json_kf64(out, "mean_distances", measured->mean_distances);
    tn_json_key(out, "latency_us");
    tn_json_open(out, '{');
    tn_json_kf64(out, "p50", measured->p50_us);
    tn_json_kf64(out, "p95", measured->p95_us);
    tn_json_kf64(out, "p99", measured->p99_us);
    tn_json_close(out, '}');
    tn_json_close(out, '}');
}

static enum tn_code evaluate(struct logical *logical, struct vector_index *vectors, uint32_t samples, uint32_t k,
                             struct tn_json *out, struct tn_error *err)
{
    struct queries queries;
    struct measured measured;
    struct vector_index_info info;
    TN_TRY(queries_choose(logical, vectors, samples, &queries, err));
    TN_AUTO_FREE float *rows = queries.rows;
    TN_TRY(measure(logical, vectors, vectors, &queries, k, atomic_load(&logical->tuning->ef),
                   atomic_load(&logical->tuning->recall_target), &measured, err));
    vector_index_info(vectors, &info);
    put_measured(logical, &info, &queries, k, &measured, out);
    return TN_OK;
}

enum tn_code index_evaluate(struct index_service *service, const char *name, uint32_t samples, uint32_t k,
                            struct tn_json *out, struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    struct vector_index *vectors;
    samples = samples ? TN_MIN(samples, (uint32_t)TRIAL_SAMPLES_MAX) : 100;
    k = k ? TN_MIN(k, (uint32_t)INDEX_K_MAX) : TRIAL_K;
    TN_TRY(logical_find(service, name, &logical, err));
    TN_TRY(users_enter(logical, &vectors, err));
    enum tn_code code = evaluate(logical, vectors, samples, k, out, err);
    users_leave(logical);
    return code;
}
