/* Data that behaves like embeddings, and how hard it is to search.
 *
 * Points are drawn around cluster centres (sizes by Zipf) in a latent space of
 * 96 dimensions, sent through a random tanh layer into D dimensions with a
 * falling spectrum and a common mean, and made unit length. Queries "like" the
 * rows come from the same draw; queries "unlike" them (out of distribution)
 * have extra noise in the latent space. Printed with the data: local intrinsic
 * dimension, relative contrast, hubness, so that a reader can tell whether an
 * index was given an easy time.
 */
#include "vector/memory.h"
#include "vector/space.h"
#include "vector/tool/tool.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LATENT 96U
#define HIDDEN 256U

struct model {
    uint32_t dims, clusters;
    uint64_t seed;
    float noise, ood;
    float *centres, *spread, *weights1, *bias1, *weights2, *bias2;
    double *shares; /* cumulative */
};

struct rng {
    uint64_t state;
    float spare;
    bool has_spare;
};

static double uniform(struct rng *r)
{
    r->state = space_mix64(r->state);
    return ((double)(r->state >> 11) + 0.5) * 0x1p-53;
}

static float normal(struct rng *r)
{
    if (r->has_spare) {
        r->has_spare = false;
        return r->spare;
    }
    double radius = sqrt(-2 * log(uniform(r)));
    double angle = 2 * M_PI * uniform(r);
    r->spare = (float)(radius * sin(angle));
    r->has_spare = true;
    return (float)(radius * cos(angle));
}

static void model_init(struct model *m, const struct arguments *a)
{
    struct rng r = {.state = a->seed};
    m->dims = (uint32_t)a->dims;
    m->clusters = (uint32_t)TN_MAX(UINT64_C(64), a->rows / 300);
    m->seed = a->seed;
    m->noise = (float)a->noise;
    m->centres = tn_realloc_array(NULL, (size_t)m->clusters * LATENT, sizeof(float));
    m->spread = tn_realloc_array(NULL, m->clusters, sizeof(float));
    m->shares = tn_realloc_array(NULL, m->clusters, sizeof(double));
    m->weights1 = tn_realloc_array(NULL, (size_t)HIDDEN * LATENT, sizeof(float));
    m->bias1 = tn_realloc_array(NULL, HIDDEN, sizeof(float));
    m->weights2 = tn_realloc_array(NULL, (size_t)m->dims * HIDDEN, sizeof(float));
    m->bias2 = tn_realloc_array(NULL, m->dims, sizeof(float));
    for (size_t i = 0; i < (size_t)m->clusters * LATENT; i++)
        m->centres[i] = normal(&r);
    for (size_t i = 0; i < (size_t)HIDDEN * LATENT; i++)
        m->weights1[i] = 2 * normal(&r) / sqrtf(LATENT);
    for (uint32_t i = 0; i < HIDDEN; i++)
        m->bias1[i] = normal(&r) * 0.5F;
    for (uint32_t h = 0; h < HIDDEN; h++)
        for (uint32_t d = 0; d < m->dims; d++)
            m->weights2[(size_t)d * HIDDEN + h] = normal(&r) * powf((float)h + 1, -0.42F);
    for (uint32_t d = 0; d < m->dims; d++)
        m->bias2[d] = normal(&r) * 0.6F;
    double sum = 0;
    for (uint32_t c = 0; c < m->clusters; c++) {
        m->spread[c] = 0.72F * expf(0.4F * normal(&r));
        sum += pow(c + 5.0, -0.8);
        m->shares[c] = sum;
    }
    for (uint32_t c = 0; c < m->clusters; c++)
        m->shares[c] /= sum;
}

static void model_release(struct model *m)
{
    free(m->centres);
    free(m->spread);
    free(m->shares);
    free(m->weights1);
    free(m->bias1);
    free(m->weights2);
    free(m->bias2);
}

static void draw(const struct model *m, uint64_t stream, uint64_t number, float ood, float *out)
{
    const struct vector_kernels *k = vector_kernels_get();
    struct rng r = {.state = space_mix64(m->seed * 31 + stream) ^ space_mix64(number)};
    float z[LATENT], h[HIDDEN];
    double u = uniform(&r);
    uint32_t low = 0;
    uint32_t high = m->clusters - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (m->shares[middle] < u)
            low = middle + 1;
        else
            high = middle;
    }
    for (uint32_t l = 0; l < LATENT; l++)
        z[l] = m->centres[(size_t)low * LATENT + l] + normal(&r) * m->spread[low] + (ood > 0 ? ood * normal(&r) : 0);
    for (uint32_t i = 0; i < HIDDEN; i++)
        h[i] = tanhf(m->bias1[i] + k->dot_f32(m->weights1 + (size_t)i * LATENT, z, LATENT));
    double norm2 = 0;
    for (uint32_t d = 0; d < m->dims; d++) {
        out[d] = m->bias2[d] + k->dot_f32(m->weights2 + (size_t)d * HIDDEN, h, HIDDEN) + m->noise * normal(&r);
        norm2 += (double)out[d] * (double)out[d];
    }
    for (uint32_t d = 0; d < m->dims; d++)
        out[d] = (float)((double)out[d] / sqrt(norm2));
}

struct drawing {
    const struct model *m;
    uint64_t stream, count;
    float ood;
    float *out;
    atomic_uint_least64_t next;
};

static void draw_worker(void *context, uint32_t worker)
{
    struct drawing *d = context;
    (void)worker;
    for (uint64_t i; (i = atomic_fetch_add(&d->next, 64)) < d->count;)
        for (uint64_t j = i; j < TN_MIN(i + 64, d->count); j++)
            draw(d->m, d->stream, j, d->ood, d->out + j * d->m->dims);
}

static enum tn_code draw_file(const struct model *m, const struct arguments *a, const char *name, uint64_t stream,
                              uint64_t count, float ood, struct tn_error *err)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s.%s.npy", a->files[0], name);
    float *rows = tn_try_malloc(count * m->dims * sizeof *rows);
    if (!rows)
        return tn_fail(err, TN_ENOMEM, "not enough memory for %llu rows", (unsigned long long)count);
    struct drawing d = {.m = m, .stream = stream, .count = count, .ood = ood, .out = rows};
    parallel_run(a->threads ? (uint32_t)a->threads : (uint32_t)tn_cpu_count(), false, draw_worker, &d);
    enum tn_code code = output_write(path, rows, INPUT_F32, count, m->dims, err);
    free(rows);
    return code;
}

/* Intrinsic dimension by maximum likelihood over the k nearest; contrast of
 * the mean distance to the tenth; hubness as the skew of how often a row is
 * among somebody's k nearest. */
static void describe(struct report *r, const char *name, const int64_t *truth, const float *distances, uint64_t count,
                     uint32_t k, uint64_t rows, double mean_distance)
{
    double lid = 0, tenth = 0;
    TN_AUTO_FREE uint32_t *often = tn_calloc(rows, sizeof *often);
    for (uint64_t q = 0; q < count; q++) {
        double far = sqrt(2 * fmax(1e-9, (double)distances[q * k + k - 1]));
        double sum = 0;
        for (uint32_t i = 0; i + 1 < k; i++)
            sum += log(sqrt(2 * fmax(1e-9, (double)distances[q * k + i])) / far);
        lid += -(double)(k - 1) / sum;
        tenth += (double)distances[q * k + TN_MIN(9U, k - 1)];
        for (uint32_t i = 0; i < TN_MIN(10U, k); i++)
            often[truth[q * k + i]]++;
    }
    double mean = 0, m2 = 0, m3 = 0;
    for (uint64_t i = 0; i < rows; i++)
        mean += often[i];
    mean /= (double)rows;
    for (uint64_t i = 0; i < rows; i++) {
        double d = often[i] - mean;
        m2 += d * d;
        m3 += d * d * d;
    }
    double n = (double)rows;
    TN_AUTO_FREE char *key1 = tn_asprintf("%s_intrinsic_dimension", name);
    TN_AUTO_FREE char *key2 = tn_asprintf("%s_contrast", name);
    TN_AUTO_FREE char *key3 = tn_asprintf("%s_hubness", name);
    report_real(r, key1, lid / (double)count);
    report_real(r, key2, sqrt(mean_distance / (tenth / (double)count)));
    report_real(r, key3, m2 > 0 ? (m3 / n) / pow(m2 / n, 1.5) : 0);
}

static double mean_distance(const struct vector_rows *base, const float *queries, uint64_t count)
{
    double sum = 0;
    const float *rows = base->data;
    for (uint64_t i = 0; i < 20000; i++)
        sum += 1 - (double)vector_kernels_get()->dot_f32(rows + (size_t)(space_mix64(i) % base->count) * base->dims,
                                                         queries + (size_t)(i % count) * base->dims, base->dims);
    return sum / 20000;
}

static enum tn_code add_truth(const struct arguments *a, struct report *r, const struct vector_rows *base,
                              const char *name, struct tn_error *err)
{
    TN_CLEANUP(input_release) struct input input = {0};
    TN_AUTO_FREE float *queries = NULL;
    TN_AUTO_FREE char *path = tn_asprintf("%s.%s.npy", a->files[0], name);
    TN_AUTO_FREE char *out = tn_asprintf("%s.%s.truth.npy", a->files[0], name);
    uint32_t k = (uint32_t)TN_MIN(UINT64_C(100), base->count);
    TN_TRY(input_open(path, &input, err));
    TN_TRY(input_floats(&input, path, 0, &queries, err));
    TN_AUTO_FREE int64_t *truth = tn_realloc_array(NULL, input.rows * k, sizeof *truth);
    TN_AUTO_FREE float *distances = tn_realloc_array(NULL, input.rows * k, sizeof *distances);
    TN_TRY(truth_find(base, VECTOR_COSINE, queries, input.rows, k,
                      a->threads ? (uint32_t)a->threads : (uint32_t)tn_cpu_count(), truth, distances, err));
    describe(r, name, truth, distances, input.rows, k, base->count, mean_distance(base, queries, input.rows));
    return output_write(out, truth, INPUT_I64, input.rows, k, err);
}

enum tn_code command_generate(const struct arguments *a, struct tn_error *err)
{
    if (a->rows < 100 || a->dims < 2 || a->queries == 0)
        return tn_fail(err, TN_EUSAGE, "generate needs --rows of at least 100");
    struct report r;
    TN_CLEANUP(model_release) struct model m = {0};
    model_init(&m, a);
    TN_TRY(draw_file(&m, a, "base", 1, a->rows, 0, err));
    TN_TRY(draw_file(&m, a, "like", 2, a->queries, 0, err));
    TN_TRY(draw_file(&m, a, "unlike", 3, a->queries, (float)a->ood, err));
    TN_CLEANUP(input_release) struct input input = {0};
    TN_AUTO_FREE char *path = tn_asprintf("%s.base.npy", a->files[0]);
    struct vector_rows base = {0};
    TN_TRY(input_open(path, &input, err));
    TN_TRY(input_rows(&input, path, &base, err));
    report_begin(&r, a->json);
    report_int(&r, "rows", base.count);
    report_int(&r, "dimensions", base.dims);
    report_int(&r, "clusters", m.clusters);
    enum tn_code code = add_truth(a, &r, &base, "like", err);
    if (code == TN_OK)
        code = add_truth(a, &r, &base, "unlike", err);
    report_end(&r);
    return code;
}
