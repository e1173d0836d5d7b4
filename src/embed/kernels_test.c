#include "embed/test_support.h"

static const char *const names[] = {"avx2", "avx2exact", "avxvnni", "vnni256", "avx512vnni", "neondot"};

static void assert_near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("got %.9g, want %.9g (within %g)", got, want, tolerance);
}

/* Extremes first: saturation and a wrong sign would show there. Steps of 1 and
 * nothing added make the outputs the integer sums themselves. */
static void check_sums(const struct embed_kernels *k, uint32_t outputs, uint32_t inputs, size_t rows, int kind)
{
    size_t weights = (size_t)outputs * inputs;
    int8_t *codes = aligned_alloc(64, weights);
    TN_AUTO_FREE uint8_t *x = tn_malloc(rows * inputs);
    TN_AUTO_FREE uint8_t *room = tn_malloc(rows * inputs);
    TN_AUTO_FREE float *ones = tn_calloc(outputs + rows, sizeof *ones);
    TN_AUTO_FREE float *zeros = tn_calloc(outputs + rows, sizeof *zeros);
    TN_AUTO_FREE float *got = tn_calloc(rows * outputs, sizeof *got);
    TN_AUTO_FREE float *want = tn_calloc(rows * outputs, sizeof *want);
    assert_non_null(codes);
    for (size_t i = 0; i < weights; i++)
        codes[i] = kind == 0 ? 127 : kind == 1 ? -127 : (int8_t)(test_random() * 127);
    for (size_t i = 0; i < rows * inputs; i++)
        x[i] = kind < 2 ? (uint8_t)k->steps : (uint8_t)((test_random() + 1) / 2 * (k->steps + 0.99));
    for (size_t i = 0; i < outputs + rows; i++)
        ones[i] = 1;
    /* Sums feed the correction that signed dot products need. */
    const struct embed_matrix m = {outputs, inputs, codes, ones, zeros, zeros, NULL};
    const struct embed_rows r = {x, ones, zeros, rows, room};
    k->multiply(&m, &r, got);
    embed_kernels_scalar.multiply(&m, &r, want);
    assert_memory_equal(got, want, rows * outputs * sizeof *got);
    free(codes);
}

static void test_integer_sums_are_exact(void **state)
{
    (void)state;
    for (size_t t = 0; t < TN_COUNT(names); t++) {
        const struct embed_kernels *k = embed_kernels_named(names[t]);
        if (!k)
            continue;
        for (int kind = 0; kind < 4; kind++)
            for (size_t rows = 1; rows <= 31; rows++)
                check_sums(k, 128, 64, rows, kind);
        check_sums(k, 64, 1536, 7, 0);
        check_sums(k, 64, 1536, 7, 1);
        check_sums(k, 64, 384, 3, 2);
    }
}

static void test_codes_agree(void **state)
{
    (void)state;
    enum { ROWS = 5, N = 128 };
    float x[ROWS * N], step[ROWS], low[ROWS], want_step[ROWS], want_low[ROWS];
    uint8_t codes[ROWS * N], want[ROWS * N];
    for (size_t i = 0; i < TN_COUNT(x); i++)
        x[i] = i / N == 3 ? 0.25F : (float)(test_random() * (i % 40 == 0 ? 20 : 1));
    struct embed_outlier apart[ROWS * EMBED_OUTLIERS];
    size_t count = embed_kernels_scalar.quantise(x, ROWS, N, want, want_step, want_low, apart);
    assert_true(count > 0);
    float rest[ROWS * N] = {0};
    for (size_t i = 0; i < count; i++)
        rest[apart[i].row * N + apart[i].column] = apart[i].rest;
    assert_true(want_step[3] == 0.0F && want_low[3] == 0.25F);
    for (size_t i = 0; i < TN_COUNT(x); i++)
        assert_near((double)(want_low[i / N] + want_step[i / N] * (float)want[i] + rest[i]), (double)x[i],
                    0.51 * (double)want_step[i / N] + 1e-6);
    for (size_t t = 0; t < TN_COUNT(names); t++) {
        const struct embed_kernels *k = embed_kernels_named(names[t]);
        if (!k)
            continue;
        assert_int_equal(k->quantise(x, ROWS, N, codes, step, low, apart), count);
        for (size_t i = 0; i < TN_COUNT(x); i++) {
            assert_true(codes[i] <= k->steps);
            if (k->steps == 255)
                assert_in_range(codes[i] + 1 - want[i], 0, 2); /* one step where a half is rounded */
        }
    }
}

/* Two values far from the others leave them their codes, and what the codes of
 * the two leave out is in the product all the same. */
static void test_outliers_are_set_apart(void **state)
{
    (void)state;
    enum { N = 384, OUTPUTS = 64 };
    float x[N], step, low, got[OUTPUTS], scale[OUTPUTS], zeros[OUTPUTS] = {0}, sums[OUTPUTS] = {0};
    uint8_t codes[N], room[N];
    struct embed_outlier apart[EMBED_OUTLIERS];
    int8_t *weights = aligned_alloc(64, (size_t)OUTPUTS * N);
    assert_non_null(weights);
    for (size_t i = 0; i < N; i++)
        x[i] = (float)test_random();
    x[5] = 90.0F;
    x[202] = -70.0F;
    for (size_t i = 0; i < (size_t)OUTPUTS * N; i++)
        weights[i] = (int8_t)(test_random() * 127);
    for (size_t n = 0; n < OUTPUTS; n++) {
        scale[n] = 0.01F;
        for (size_t i = 0; i < N; i++)
            sums[n] += 0.01F * (float)weights[n / 16 * 16 * N + i / 4 * 64 + n % 16 * 4 + i % 4];
    }
    const struct embed_matrix m = {OUTPUTS, N, weights, scale, sums, zeros, NULL};
    for (size_t t = 0; t <= TN_COUNT(names); t++) {
        const struct embed_kernels *k = t == TN_COUNT(names) ? &embed_kernels_scalar : embed_kernels_named(names[t]);
        if (!k)
            continue;
        assert_int_equal(k->quantise(x, 1, N, codes, &step, &low, apart), 2);
        assert_true(apart[0].column == 5 && apart[1].column == 202 && step < 0.02F);
        const struct embed_rows rows = {codes, &step, &low, 1, room};
        k->multiply(&m, &rows, got);
        k->correct(&m, apart, 2, got);
        for (size_t n = 0; n < OUTPUTS; n++) {
            double want = 0;
            for (size_t i = 0; i < N; i++)
                want += 0.01 * (double)x[i] * weights[n / 16 * 16 * N + i / 4 * 64 + n % 16 * 4 + i % 4];
            assert_near((double)got[n], want, 0.5);
        }
    }
    /* A row of many such is coded as it is. */
    for (size_t i = 0; i < EMBED_OUTLIERS + 1; i++)
        x[i * 40] = 90.0F;
    assert_int_equal(embed_kernels_get()->quantise(x, 1, N, codes, &step, &low, apart), 0);
    free(weights);
}

/* Values that are no numbers give some code, never undefined behaviour. */
static void test_codes_of_nonsense(void **state)
{
    (void)state;
    float x[64] = {0}, step, low;
    uint8_t codes[64];
    x[1] = NAN;
    x[20] = INFINITY;
    x[40] = -INFINITY;
    struct embed_outlier apart[EMBED_OUTLIERS];
    (void)embed_kernels_scalar.quantise(x, 1, 64, codes, &step, &low, apart);
    (void)embed_kernels_get()->quantise(x, 1, 64, codes, &step, &low, apart);
    embed_kernels_get()->gelu(x, 64);
}

static void test_gelu_is_exact(void **state)
{
    (void)state;
    float x[1024];
    for (size_t t = 0; t <= TN_COUNT(names); t++) {
        const struct embed_kernels *k = t ? embed_kernels_named(names[t - 1]) : &embed_kernels_scalar;
        if (!k)
            continue;
        for (size_t i = 0; i < TN_COUNT(x); i++)
            x[i] = ((float)i - 512) / 40;
        k->gelu(x, TN_COUNT(x));
        for (size_t i = 0; i < TN_COUNT(x); i++) {
            double v = ((double)i - 512) / 40;
            assert_near((double)x[i], v / 2 * (1 + erf(v / sqrt(2))), 1e-6 * (1 + fabs(v)));
        }
    }
}

static void test_norms_agree(void **state)
{
    (void)state;
    enum { ROWS = 3, N = 192 };
    float x[ROWS * N], y[ROWS * N], added[ROWS * N], gain[N], shift[N];
    const struct embed_norm norm = {gain, shift};
    for (size_t i = 0; i < N; i++) {
        gain[i] = 1 + 0.2F * (float)test_random();
        shift[i] = 0.2F * (float)test_random();
    }
    for (size_t t = 0; t <= TN_COUNT(names); t++) {
        const struct embed_kernels *k = t ? embed_kernels_named(names[t - 1]) : &embed_kernels_scalar;
        if (!k)
            continue;
        for (size_t i = 0; i < ROWS * N; i++) {
            y[i] = x[i] = (float)(5 + 3 * test_random());
            added[i] = (float)test_random();
        }
        k->normalise(x, added, ROWS, N, &norm, 1e-12F);
        for (size_t row = 0; row < ROWS; row++) {
            double mean = 0, square = 0;
            for (size_t i = row * N; i < (row + 1) * N; i++)
                mean += (double)(y[i] + added[i]) / N;
            for (size_t i = row * N; i < (row + 1) * N; i++)
                square += pow((double)(y[i] + added[i]) - mean, 2) / N;
            for (size_t i = 0; i < N; i++)
                assert_near((double)x[row * N + i],
                            ((double)(y[row * N + i] + added[row * N + i]) - mean) / sqrt(square) * (double)gain[i] +
                                (double)shift[i],
                            1e-4);
        }
    }
}

static void check_attention(const struct embed_kernels *k, size_t rows, size_t dims)
{
    enum { ROWS = 70, DIMS = 64, PADDED = 96 };
    static float qkv[ROWS * 3 * DIMS], out[ROWS * DIMS], keys[DIMS * PADDED], values[ROWS * DIMS];
    static float scores[EMBED_QUERY_ROWS * PADDED];
    struct embed_attention a = {qkv,  qkv + dims, qkv + 2 * dims, 3 * dims, rows,   dims,
                                0.2F, out,        dims,           keys,     values, scores};
    for (size_t i = 0; i < rows * 3 * dims; i++)
        qkv[i] = 3 * (float)test_random();
    k->attend(&a);
    for (size_t r = 0; r < rows; r++) {
        double sum = 0, want[DIMS] = {0};
        for (size_t j = 0; j < rows; j++) {
            double dot = 0;
            for (size_t d = 0; d < dims; d++)
                dot += (double)a.queries[r * a.stride + d] * (double)a.keys[j * a.stride + d];
            double weight = exp(dot * 0.2);
            sum += weight;
            for (size_t d = 0; d < dims; d++)
                want[d] += weight * (double)a.values[j * a.stride + d];
        }
        for (size_t d = 0; d < dims; d++)
            assert_near((double)out[r * dims + d], want[d] / sum, 2e-4);
    }
}

static void test_attention_agrees(void **state)
{
    (void)state;
    for (size_t t = 0; t <= TN_COUNT(names); t++) {
        const struct embed_kernels *k = t ? embed_kernels_named(names[t - 1]) : &embed_kernels_scalar;
        if (!k)
            continue;
        for (size_t rows = 1; rows <= 70; rows += rows < 6 ? 1 : 13) {
            check_attention(k, rows, 32);
            check_attention(k, rows, 64);
        }
    }
}

static void test_a_table_is_chosen(void **state)
{
    (void)state;
    assert_non_null(embed_kernels_get());
    assert_ptr_equal(embed_kernels_named("scalar"), &embed_kernels_scalar);
    assert_null(embed_kernels_named("abacus"));
    const char *forced = getenv("TARN_EMBED_KERNEL");
    if (forced && embed_kernels_named(forced))
        assert_string_equal(embed_kernels_get()->name, forced);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integer_sums_are_exact), cmocka_unit_test(test_codes_agree),
        cmocka_unit_test(test_outliers_are_set_apart), cmocka_unit_test(test_codes_of_nonsense),
        cmocka_unit_test(test_gelu_is_exact),          cmocka_unit_test(test_norms_agree),
        cmocka_unit_test(test_attention_agrees),       cmocka_unit_test(test_a_table_is_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
