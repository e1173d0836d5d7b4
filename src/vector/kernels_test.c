#include "vector/kernels.h"
#include "vector/test_support.h"

static const char *const names[] = {"avx2", "avx512", "neon", "neondot"};

static void fill(uint8_t *code, int8_t *query, size_t n, int kind)
{
    for (size_t i = 0; i < n; i++) {
        code[i] = kind == 0 ? 255 : kind == 1 ? 0 : (uint8_t)random_u64();
        query[i] = kind == 0 ? 127 : kind == 1 ? -127 : (int8_t)(random_u64() % 255 - 127);
        if (kind == 3)
            query[i] = i % 2 ? -128 : 127;
    }
}

/* Saturation would show at the extremes, a wrong tail at odd lengths. */
static void test_integer_kernels_are_exact(void **state)
{
    (void)state;
    _Alignas(64) uint8_t code[4160];
    _Alignas(64) int8_t query[4160];
    for (size_t t = 0; t < TN_COUNT(names); t++) {
        const struct vector_kernels *k = vector_kernels_named(names[t]);
        if (!k)
            continue;
        for (size_t n = 64; n <= 4160; n += 64)
            for (int kind = 0; kind < 5; kind++) {
                fill(code, query, n, kind);
                assert_int_equal(k->dot_u8(code, query, n), vector_kernels_scalar.dot_u8(code, query, n));
                assert_int_equal(k->dot_u4(code, query, n), vector_kernels_scalar.dot_u4(code, query, n));
            }
    }
}

static void assert_near(float got, float want, float scale)
{
    if (!(fabsf(got - want) <= 1e-5F * scale))
        fail_msg("got %g, want %g (scale %g)", (double)got, (double)want, (double)scale);
}

static void test_float_kernels_agree(void **state)
{
    (void)state;
    static float a[4200], b[4 * 4200];
    static uint16_t h[4200];
    for (size_t i = 0; i < TN_COUNT(b); i++)
        b[i] = random_normal();
    for (size_t i = 0; i < TN_COUNT(a); i++) {
        a[i] = random_normal();
        h[i] = vector_float_to_half(a[i]);
    }
    for (size_t t = 0; t < TN_COUNT(names); t++) {
        const struct vector_kernels *k = vector_kernels_named(names[t]);
        if (!k)
            continue;
        for (size_t n = 0; n < 4200; n += n < 140 ? 1 : 317) {
            const struct vector_kernels *s = &vector_kernels_scalar;
            float scale = 10 + 3 * (float)n;
            assert_near(k->dot_f32(a, b, n), s->dot_f32(a, b, n), scale);
            assert_near(k->l2_f32(a, b, n), s->l2_f32(a, b, n), scale);
            assert_near(k->dot_f16(h, b, n), s->dot_f16(h, b, n), scale);
            assert_near(k->l2_f16(h, b, n), s->l2_f16(h, b, n), scale);
            float got[4], want[4];
            k->dot_f32_x4(a, b, 4200, n, got);
            s->dot_f32_x4(a, b, 4200, n, want);
            for (int j = 0; j < 4; j++)
                assert_near(got[j], want[j], scale);
        }
    }
}

static void test_rotation_parts_agree(void **state)
{
    (void)state;
    _Alignas(64) static float x[4160], y[4160], c[4160];
    static int8_t p[4160], q[4160];
    uint32_t bits[130];
    for (size_t i = 0; i < TN_COUNT(bits); i++)
        bits[i] = (uint32_t)random_u64();
    for (size_t t = 0; t < TN_COUNT(names); t++) {
        const struct vector_kernels *k = vector_kernels_named(names[t]);
        if (!k)
            continue;
        for (size_t n = 64; n <= 4096; n += 64) {
            for (size_t i = 0; i < n; i++) {
                x[i] = y[i] = random_normal();
                c[i] = 0.1F * random_normal();
            }
            k->flip(x, bits, n);
            vector_kernels_scalar.flip(y, bits, n);
            assert_memory_equal(x, y, n * sizeof *x);
            k->mix(x, n);
            vector_kernels_scalar.mix(y, n);
            for (size_t i = 0; i < n; i++)
                assert_near(x[i], y[i], 1);
            if ((n & (n - 1)) == 0) {
                k->fht(x, n);
                vector_kernels_scalar.fht(y, n);
                for (size_t i = 0; i < n; i++)
                    assert_near(x[i], y[i], 10);
            }
            memcpy(y, x, n * sizeof *x);
            float s1, s2, n1, n2;
            int32_t sum1, sum2;
            k->center_s8(x, c, n, p, &s1, &sum1, &n1);
            vector_kernels_scalar.center_s8(y, c, n, q, &s2, &sum2, &n2);
            assert_near(s1, s2, 1);
            assert_near(n1, n2, n2 + 1);
            int32_t total = 0;
            for (size_t i = 0; i < n; i++) {
                assert_in_range(p[i] - q[i] + 1, 0, 2);
                total += p[i];
            }
            assert_int_equal(total, sum1);
        }
    }
}

static void test_scores_agree_and_stay_in_block(void **state)
{
    (void)state;
    enum { NODES = 40 };
    for (size_t dims = 64; dims <= 832; dims += 64) {
        _Alignas(64) static uint8_t codes[NODES * 832];
        _Alignas(64) static int8_t query[832];
        struct code_factor factors[NODES];
        uint32_t nodes[NODES];
        for (size_t i = 0; i < sizeof codes; i++)
            codes[i] = (uint8_t)random_u64();
        for (size_t i = 0; i < dims; i++)
            query[i] = (int8_t)(random_u64() % 255 - 127);
        for (uint32_t i = 0; i < NODES; i++) {
            nodes[i] = NODES - 1 - i;
            factors[i] = (struct code_factor){random_unit(), random_unit()};
        }
        struct score_query q = {codes, factors, dims, query, dims, 0.01F, 77, 3};
        for (size_t t = 0; t < TN_COUNT(names); t++) {
            const struct vector_kernels *k = vector_kernels_named(names[t]);
            if (!k)
                continue;
            for (size_t n = 0; n <= NODES; n++) {
                float got[NODES + 1], want[NODES + 1];
                got[n] = want[n] = 123;
                k->score_u8(&q, nodes, n, got);
                vector_kernels_scalar.score_u8(&q, nodes, n, want);
                for (size_t i = 0; i < n; i++)
                    assert_near(got[i], want[i], 1 + fabsf(want[i]));
                k->score_u4(&q, nodes, n, got);
                vector_kernels_scalar.score_u4(&q, nodes, n, want);
                for (size_t i = 0; i < n; i++)
                    assert_near(got[i], want[i], 1 + fabsf(want[i]));
                assert_true(got[n] == 123.0F);
            }
        }
    }
}

static void test_halves(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = vector_half_to_float((uint16_t)h);
        if (isnan(f))
            assert_true((h & 0x7C00) == 0x7C00 && (h & 0x3FF));
        else
            assert_int_equal(vector_float_to_half(f), h);
    }
    assert_int_equal(vector_float_to_half(65519.0F), 0x7BFF);
    assert_int_equal(vector_float_to_half(65520.0F), 0x7C00);
    assert_int_equal(vector_float_to_half(-1e30F), 0xFC00);
    assert_int_equal(vector_float_to_half(1e-30F), 0);
    assert_int_equal(vector_float_to_half(0x1.004p0F), 0x3C01);
    assert_int_equal(vector_float_to_half(0x1.002p0F), 0x3C00); /* a tie goes to even */
}

static void test_a_table_is_chosen(void **state)
{
    (void)state;
    assert_non_null(vector_kernels_get());
    assert_ptr_equal(vector_kernels_named("scalar"), &vector_kernels_scalar);
    assert_null(vector_kernels_named("abacus"));
    const char *forced = getenv("TARN_VECTOR_KERNELS");
    if (forced && vector_kernels_named(forced))
        assert_string_equal(vector_instruction_set(), forced);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integer_kernels_are_exact),
        cmocka_unit_test(test_float_kernels_agree),
        cmocka_unit_test(test_rotation_parts_agree),
        cmocka_unit_test(test_scores_agree_and_stay_in_block),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_a_table_is_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
