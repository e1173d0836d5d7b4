/* What the tests of this folder share: data, temporary folders, truth. */
#ifndef TARN_VECTOR_TEST_SUPPORT_H
#define TARN_VECTOR_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fs.h"
#include "vector/space.h"
#include "vector/vector.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define must(expr)                                                                                                   \
    do {                                                                                                             \
        struct tn_error *must_err = &test_error;                                                                     \
        enum tn_code must_code = (expr);                                                                             \
        if (must_code != TN_OK)                                                                                      \
            fail_msg("%s: %s (%s)", #expr, must_err->detail, must_err->hint);                                        \
    } while (0)

/* ThreadSanitizer and emulators run these tests ten to fifty times slower. There
 * they take fewer rows and rounds, and leave out nothing that is done: every
 * path of every test is still taken. TARN_TEST_SMALL=1 asks for it elsewhere. */
#if defined(__SANITIZE_THREAD__)
#define TEST_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TEST_UNDER_TSAN 1
#endif
#endif
#ifndef TEST_UNDER_TSAN
#define TEST_UNDER_TSAN 0
#endif

static inline bool test_is_small(void)
{
    return TEST_UNDER_TSAN || getenv("TARN_TEST_SMALL");
}

static inline size_t test_size(size_t full, size_t small)
{
    return test_is_small() ? small : full;
}

static struct tn_error test_error;
static uint64_t test_random = 42;

static inline uint64_t random_u64(void)
{
    test_random = space_mix64(test_random);
    return test_random;
}

static inline float random_unit(void)
{
    return (float)((double)(random_u64() >> 11) * 0x1p-53);
}

/* Roughly normal: enough for data. */
static inline float random_normal(void)
{
    float sum = 0;
    for (int i = 0; i < 6; i++)
        sum += random_unit();
    return (sum - 3) * 1.41F;
}

/* Rows around a few centres; `spread` 1 hides the centres. */
static inline float *random_rows(size_t count, uint32_t dims, float spread)
{
    enum { CENTRES = 16 };
    float *centres = malloc(CENTRES * dims * sizeof *centres);
    float *rows = malloc((count + 1) * dims * sizeof *rows);
    uint64_t kept = test_random;
    test_random = dims; /* the same centres for all rows of a length */
    for (size_t i = 0; i < (size_t)CENTRES * dims; i++)
        centres[i] = random_normal();
    test_random = kept;
    for (size_t i = 0; i < count; i++) {
        const float *c = centres + random_u64() % CENTRES * dims;
        for (uint32_t d = 0; d < dims; d++)
            rows[i * dims + d] = c[d] + spread * random_normal();
    }
    free(centres);
    return rows;
}

/* A folder that is removed by temporary_remove. */
static inline char *temporary_folder(void)
{
    const char *root = getenv("TMPDIR");
    char *path = tn_asprintf("%s/tarn-vector-test-XXXXXX", root ? root : "/tmp");
    assert_non_null(mkdtemp(path));
    return path;
}

static inline void temporary_remove(char *path)
{
    must(tn_remove_tree(path, &test_error));
    free(path);
}

static inline double true_distance(enum vector_metric metric, const float *a, const float *b, uint32_t dims)
{
    double dot = 0, aa = 0, bb = 0, l2 = 0;
    for (uint32_t d = 0; d < dims; d++) {
        dot += (double)a[d] * (double)b[d];
        aa += (double)a[d] * (double)a[d];
        bb += (double)b[d] * (double)b[d];
        l2 += ((double)a[d] - (double)b[d]) * ((double)a[d] - (double)b[d]);
    }
    if (metric == VECTOR_L2)
        return sqrt(l2);
    if (metric == VECTOR_INNER_PRODUCT)
        return -dot;
    return aa > 0 && bb > 0 ? 1 - dot / sqrt(aa * bb) : 1;
}

static inline int by_double(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The k-th smallest true distance among rows for which alive[i] (NULL: all);
 * +infinity when there are fewer. */
static inline double true_kth(enum vector_metric metric, const float *rows, size_t count, uint32_t dims,
                              const float *query, size_t k, const bool *alive)
{
    double *all = malloc((count + 1) * sizeof *all);
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (!alive || alive[i])
            all[n++] = true_distance(metric, rows + i * dims, query, dims);
    qsort(all, n, sizeof *all, by_double);
    double kth = n >= k ? all[k - 1] : INFINITY;
    free(all);
    return kth;
}

static inline void assert_hits_sound(const struct vector_hit *hits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(hits[i].distance <= INFINITY); /* and no NaN */
        if (i > 0)
            assert_true(hits[i - 1].distance <= hits[i].distance);
        for (size_t j = 0; j < i; j++)
            assert_true(hits[j].id != hits[i].id);
    }
}

/* Share of hits that are as near as the true k-th. */
static inline double hits_recall(const struct vector_hit *hits, size_t count, double kth, size_t k)
{
    size_t good = 0;
    for (size_t i = 0; i < count; i++)
        if ((double)hits[i].distance <= kth + 1e-4 * (1 + fabs(kth)))
            good++;
    return (double)good / (double)k;
}

static inline struct vector_index *open_warm(const char *path)
{
    struct vector_open_options options = {.warm_now = true};
    struct vector_index *index = NULL;
    must(vector_index_open(path, &options, &index, &test_error));
    return index;
}

#endif
