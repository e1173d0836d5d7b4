/* Ground truth by brute force over raw vectors. */
#include "vector/memory.h"
#include "vector/space.h"
#include "vector/tool/tool.h"

#include <math.h>
#include <string.h>

struct near {
    float distance;
    int64_t row;
};

struct finding {
    const struct vector_rows *base;
    enum vector_metric metric;
    const float *queries; /* prepared; padded to a multiple of four with zeros */
    uint64_t count;
    uint32_t k;
    int64_t *rows;
    float *distances;
    const float *norms; /* of base rows: length (cosine) or squared length (l2) */
    atomic_uint_least64_t next;
    atomic_bool failed;
};

static const float *base_row(const struct vector_rows *base, uint64_t i, float *scratch)
{
    const unsigned char *p = (const unsigned char *)base->data + i * base->stride;
    if (base->type == VECTOR_F32 && (uintptr_t)p % sizeof(float) == 0)
        return (const void *)p;
    if (base->type == VECTOR_F32) {
        memcpy(scratch, p, base->dims * sizeof *scratch);
        return scratch;
    }
    for (uint32_t d = 0; d < base->dims; d++) {
        uint16_t half;
        memcpy(&half, p + 2 * (size_t)d, 2);
        scratch[d] = vector_half_to_float(half);
    }
    return scratch;
}

static void keep(struct near *best, uint32_t *count, uint32_t k, float distance, int64_t row)
{
    uint32_t n = *count;
    if (n == k) {
        if (!(distance < best[n - 1].distance))
            return;
        n--;
    } else {
        (*count)++;
    }
    while (n > 0 && best[n - 1].distance > distance) {
        best[n] = best[n - 1];
        n--;
    }
    best[n] = (struct near){distance, row};
}

#define TOGETHER 32U /* queries per pass over the rows */

static void find_worker(void *context, uint32_t worker)
{
    struct finding *f = context;
    const struct vector_kernels *k = vector_kernels_get();
    uint32_t dims = f->base->dims;
    (void)worker;
    TN_AUTO_FREE struct near *best = tn_realloc_array(NULL, (size_t)TOGETHER * f->k, sizeof *best);
    TN_AUTO_FREE float *scratch = tn_calloc(dims, sizeof *scratch);
    for (uint64_t q; (q = atomic_fetch_add(&f->next, TOGETHER)) < f->count;) {
        uint32_t counts[TOGETHER] = {0};
        for (uint64_t i = 0; i < f->base->count; i++) {
            const float *row = base_row(f->base, i, scratch);
            for (uint32_t j = 0; j < TOGETHER && q + j < f->count; j += 4) {
                float dots[4];
                k->dot_f32_x4(row, f->queries + (q + j) * dims, dims, dims, dots);
                for (uint32_t l = 0; l < 4 && q + j + l < f->count; l++) {
                    float d = f->metric == VECTOR_COSINE ? 1 - dots[l] * f->norms[i]
                              : f->metric == VECTOR_L2   ? f->norms[i] - 2 * dots[l]
                                                         : -dots[l];
                    keep(best + (size_t)(j + l) * f->k, &counts[j + l], f->k, d, (int64_t)i);
                }
            }
        }
        for (uint32_t j = 0; j < TOGETHER && q + j < f->count; j++)
            for (uint32_t i = 0; i < f->k; i++) {
                f->rows[(q + j) * f->k + i] = i < counts[j] ? best[(size_t)j * f->k + i].row : -1;
                f->distances[(q + j) * f->k + i] = i < counts[j] ? best[(size_t)j * f->k + i].distance : INFINITY;
            }
    }
}

enum tn_code truth_find(const struct vector_rows *base, enum vector_metric metric, const float *queries,
                        uint64_t query_count, uint32_t k, uint32_t threads, int64_t *ret_rows, float *ret_distances,
                        struct tn_error *err)
{
    uint32_t dims = base->dims;
    const struct vector_kernels *kernels = vector_kernels_get();
    TN_AUTO_FREE float *prepared = tn_try_malloc((query_count + 4) * dims * sizeof *prepared);
    TN_AUTO_FREE float *norms = tn_try_malloc(base->count * sizeof *norms);
    TN_AUTO_FREE float *scratch = tn_calloc(dims, sizeof *scratch);
    if (!prepared || !norms)
        return tn_fail(err, TN_ENOMEM, "not enough memory for the truth");
    memset(prepared, 0, (query_count + 4) * dims * sizeof *prepared);
    struct space space;
    space_init(&space, metric, dims, 4, false, 1);
    for (uint64_t i = 0; i < query_count; i++)
        if (space_prepare(&space, queries + i * dims, prepared + i * dims) == SPACE_NOT_FINITE)
            return tn_fail(err, TN_EREFUSED, "query %llu is not finite", (unsigned long long)i);
    for (uint64_t i = 0; i < base->count; i++) {
        const float *row = base_row(base, i, scratch);
        float norm2 = kernels->dot_f32(row, row, dims);
        norms[i] = metric == VECTOR_COSINE ? (norm2 > 0 ? 1 / sqrtf(norm2) : 0) : norm2;
    }
    struct finding f = {base, metric, prepared, query_count, k, ret_rows, ret_distances, norms, 0, false};
    parallel_run(threads, false, find_worker, &f);
    if (metric == VECTOR_L2)
        for (uint64_t i = 0; i < query_count * k; i++) {
            const float *q = prepared + i / k * dims;
            ret_distances[i] = sqrtf(fmaxf(0, ret_distances[i] + kernels->dot_f32(q, q, dims)));
        }
    return TN_OK;
}

enum tn_code command_truth(const struct arguments *a, struct tn_error *err)
{
    TN_CLEANUP(input_release) struct input base_file = {0};
    TN_CLEANUP(input_release) struct input query_file = {0};
    TN_AUTO_FREE float *queries = NULL;
    struct vector_rows base = {0};
    if (!a->out)
        return tn_fail(err, TN_EUSAGE, "truth needs --out FILE");
    TN_TRY(input_open(a->files[0], &base_file, err));
    TN_TRY(input_rows(&base_file, a->files[0], &base, err));
    TN_TRY(input_open(a->files[1], &query_file, err));
    TN_TRY(input_floats(&query_file, a->files[1], 0, &queries, err));
    if (query_file.columns != base.dims)
        return tn_fail(err, TN_EUNREADABLE, "%s and %s differ in dimensions", a->files[0], a->files[1]);
    if (a->limit)
        base.count = TN_MIN(base.count, a->limit);
    uint32_t k = (uint32_t)a->k;
    TN_AUTO_FREE int64_t *rows = tn_realloc_array(NULL, query_file.rows * k, sizeof *rows);
    TN_AUTO_FREE float *distances = tn_realloc_array(NULL, query_file.rows * k, sizeof *distances);
    uint32_t threads = a->threads ? (uint32_t)a->threads : (uint32_t)tn_cpu_count();
    uint64_t start = tn_mono_ns();
    TN_TRY(truth_find(&base, a->metric, queries, query_file.rows, k, threads, rows, distances, err));
    double seconds = (double)(tn_mono_ns() - start) * 1e-9;
    TN_TRY(output_write(a->out, rows, INPUT_I64, query_file.rows, k, err));
    if (a->distances_out)
        TN_TRY(output_write(a->distances_out, distances, INPUT_F32, query_file.rows, k, err));
    struct report r;
    report_begin(&r, a->json);
    report_int(&r, "queries", query_file.rows);
    report_real(&r, "seconds", seconds);
    report_end(&r);
    return TN_OK;
}
