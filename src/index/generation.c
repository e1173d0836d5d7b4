/* Generations of an index: folded, rolled back, measured. */
#include "index/index_internal.h"

#include <inttypes.h>
#include <math.h>

#define SAMPLES_MAX 1000

/* Under work. */
static enum tn_code held(struct index_service *service, const char *name, struct logical **ret,
                         struct vector_index **ret_vectors, struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    TN_TRY(logical_find(service, name, &logical, err));
    TN_TRY(files_open(logical, err));
    pthread_mutex_lock(&logical->work);
    struct vector_index *vectors = atomic_load(&logical->vectors);
    if (!vectors) {
        pthread_mutex_unlock(&logical->work);
        return tn_fail(err, TN_EUNAVAILABLE, "index \"%s\" has no chunks yet", logical->definition.name);
    }
    *ret_vectors = vectors;
    *ret = TN_TAKE(logical);
    return TN_OK;
}

enum tn_code index_fold(struct index_service *service, const char *name, struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    struct vector_index *vectors = NULL;
    const struct vector_build_options options = {.low_priority = true, .threads = 1};
    struct vector_build_report report;
    TN_TRY(held(service, name, &logical, &vectors, err));
    enum tn_code code = vector_index_fold(vectors, &options, &report, err);
    if (code == TN_OK)
        code = vector_index_prune(vectors, err);
    pthread_mutex_unlock(&logical->work);
    return code;
}

enum tn_code index_rollback(struct index_service *service, const char *name, struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    struct vector_index *vectors = NULL;
    TN_TRY(held(service, name, &logical, &vectors, err));
    enum tn_code code = vector_index_rollback(vectors, err);
    pthread_mutex_unlock(&logical->work);
    return code;
}

/* ---- evaluation --------------------------------------------------------------------- */

struct evaluation {
    uint32_t k;
    uint64_t samples;
    double found, wanted, first; /* of the true nearest: how many were found */
    uint64_t nanoseconds[SAMPLES_MAX];
};

static enum tn_code compare(struct vector_searcher *searcher, const float *query, double recall,
                            struct evaluation *evaluation, struct vector_hit *hits, struct tn_error *err)
{
    struct vector_hit *truth = hits + evaluation->k;
    const struct vector_params quick = {.k = evaluation->k, .recall = (float)recall};
    const struct vector_params exact = {.k = evaluation->k, .mode = VECTOR_MODE_EXACT};
    size_t count = 0, true_count = 0;
    uint64_t start = tn_mono_ns();
    TN_TRY(vector_search(searcher, query, &quick, hits, &count, NULL, err));
    evaluation->nanoseconds[evaluation->samples++] = tn_mono_ns() - start;
    TN_TRY(vector_search(searcher, query, &exact, truth, &true_count, NULL, err));
    /* By distance: of two that are equally near either may be returned. */
    for (size_t i = 0; i < true_count; i++)
        evaluation->found += i < count && hits[i].distance <= truth[true_count - 1].distance;
    evaluation->wanted += (double)true_count;
    evaluation->first += count > 0 && hits[0].distance <= truth[0].distance;
    return TN_OK;
}

/* Queries near the vectors of chunks, evenly spread. */
static enum tn_code run_samples(struct logical *logical, struct vector_searcher *searcher, uint32_t samples,
                                struct evaluation *evaluation, struct tn_error *err)
{
    const uint32_t dimension = logical->definition.dimension;
    TN_AUTO_FREE struct vector_hit *hits = tn_calloc(2 * (size_t)evaluation->k, sizeof *hits);
    TN_AUTO_FREE float *query = tn_calloc(dimension, sizeof *query);
    struct vector_index *vectors = atomic_load(&logical->vectors);
    int64_t limit = atomic_load(&logical->next_chunk), step = TN_MAX(limit / samples, 1);
    for (int64_t id = 0; id < limit && evaluation->samples < samples; id += step) {
        if (vector_index_get(vectors, id, query, NULL) != TN_OK)
            continue;
        /* Not a stored vector itself: those are found too easily. */
        for (uint32_t i = 0; i < dimension; i++)
            query[i] += 0.3F / sqrtf((float)dimension) * sinf((float)(id + 1) * (float)(i + 1));
        TN_TRY(compare(searcher, query, logical->definition.recall_target, evaluation, hits, err));
    }
    return TN_OK;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void put_evaluation(const struct logical *logical, struct evaluation *evaluation, uint64_t generation,
                           struct tn_json *out)
{
    size_t count = (size_t)evaluation->samples;
    static const struct {
        const char *name;
        double share;
    } shares[] = {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}};
    if (count > 1)
        qsort(evaluation->nanoseconds, count, sizeof *evaluation->nanoseconds, by_size);
    tn_json_open(out, '{');
    tn_json_kstr(out, "index", logical->definition.name);
    tn_json_ki64(out, "generation", (int64_t)generation);
    tn_json_ki64(out, "samples", (int64_t)count);
    tn_json_ki64(out, "k", evaluation->k);
    tn_json_kf64(out, "recall_target", logical->definition.recall_target);
    tn_json_kf64(out, "recall", evaluation->wanted > 0 ? evaluation->found / evaluation->wanted : 1);
    tn_json_kf64(out, "recall_at_1", count > 0 ? evaluation->first / (double)count : 1);
    tn_json_key(out, "latency_us");
    tn_json_open(out, '{');
    for (size_t i = 0; i < TN_COUNT(shares); i++)
        tn_json_kf64(
            out, shares[i].name,
            count > 0 ? (double)evaluation->nanoseconds[(size_t)(shares[i].share * (double)(count - 1))] / 1000 : 0);
    tn_json_close(out, '}');
    tn_json_close(out, '}');
}

enum tn_code index_evaluate(struct index_service *service, const char *name, uint32_t samples, uint32_t k,
                            struct tn_json *out, struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    TN_AUTO_FREE struct evaluation *evaluation = tn_calloc(1, sizeof *evaluation);
    struct reader *reader = NULL;
    evaluation->k = k ? TN_MIN(k, (uint32_t)INDEX_K_MAX) : 10;
    TN_TRY(logical_find(service, name, &logical, err));
    TN_TRY(files_open(logical, err));
    pthread_rwlock_rdlock(&logical->gate);
    enum tn_code code = TN_OK;
    uint64_t generation = 0;
    if (!atomic_load(&logical->open) || !atomic_load(&logical->vectors))
        code = tn_fail(err, TN_EUNAVAILABLE, "index \"%s\" has no chunks yet", logical->definition.name);
    if (code == TN_OK)
        code = files_reader(logical, &reader, err);
    if (code == TN_OK) {
        struct vector_index_info info;
        vector_index_info(atomic_load(&logical->vectors), &info);
        generation = info.generation;
        code = run_samples(logical, reader->searcher, samples ? TN_MIN(samples, (uint32_t)SAMPLES_MAX) : 100,
                           evaluation, err);
    }
    files_reader_back(logical, reader);
    pthread_rwlock_unlock(&logical->gate);
    TN_TRY(code);
    put_evaluation(logical, evaluation, generation, out);
    return TN_OK;
}
