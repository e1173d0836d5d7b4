/* The binary forms: numeric, vectors, arrays, the stream of COPY. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/test_support.h"
#include "postgres/postgres.h"

#include <math.h>

/* A numeric from its groups, as servers send it. */
static size_t make_numeric(unsigned char *out, int weight, unsigned sign, unsigned scale, const uint16_t *groups,
                           size_t count)
{
    const uint16_t head[] = {(uint16_t)count, (uint16_t)weight, (uint16_t)sign, (uint16_t)scale};
    size_t length = 0;
    for (size_t i = 0; i < 4 + count; i++) {
        uint16_t value = i < 4 ? head[i] : groups[i - 4];
        out[length++] = (unsigned char)(value >> 8);
        out[length++] = (unsigned char)value;
    }
    return length;
}

static void test_numeric(void **state)
{
    (void)state;
    static const struct {
        int weight;
        unsigned sign, shown;
        uint16_t groups[12];
        size_t count;
        unsigned scale;
        enum postgres_numeric want;
        const char *unscaled, *text;
    } cases[] = {
        {0, 0, 0, {0}, 0, 2, POSTGRES_EXACT, "0", "0"},
        {0, 0, 2, {12, 3400}, 2, 2, POSTGRES_EXACT, "1234", "12.34"},
        {0, 0x4000, 4, {12, 3400}, 2, 4, POSTGRES_EXACT, "-123400", "-12.3400"},
        {0, 0, 4, {12, 3456}, 2, 2, POSTGRES_INEXACT, "", "12.3456"},
        {-1, 0, 4, {1}, 1, 4, POSTGRES_EXACT, "1", "0.0001"},
        {-2, 0, 8, {1}, 1, 4, POSTGRES_INEXACT, "", "0.00000001"},
        {-2, 0, 8, {100}, 1, 6, POSTGRES_EXACT, "1", "0.00000100"},
        {2, 0, 0, {1}, 1, 0, POSTGRES_EXACT, "100000000", "100000000"},
        {9,
         0,
         0,
         {99, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999},
         10,
         0,
         POSTGRES_EXACT,
         "99999999999999999999999999999999999999",
         "99999999999999999999999999999999999999"},
        {9, 0, 0, {100}, 1, 0, POSTGRES_INEXACT, "", "100000000000000000000000000000000000000"},
        {8, 0, 0, {1}, 1, 10, POSTGRES_INEXACT, "", "100000000000000000000000000000000"},
        {0, 0xC000, 0, {0}, 0, 2, POSTGRES_SPECIAL, "", "NaN"},
        {0, 0xD000, 0, {0}, 0, 2, POSTGRES_SPECIAL, "", "Infinity"},
        {0, 0xF000, 0, {0}, 0, 2, POSTGRES_SPECIAL, "", "-Infinity"},
        {0, 0x1234, 0, {1}, 1, 2, POSTGRES_MALFORMED, "", NULL},
        {0, 0, 0, {10000}, 1, 2, POSTGRES_MALFORMED, "", NULL},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        unsigned char bytes[64];
        size_t length =
            make_numeric(bytes, cases[i].weight, cases[i].sign, cases[i].shown, cases[i].groups, cases[i].count);
        postgres_wide value = 77;
        assert_int_equal(postgres_read_numeric(bytes, length, cases[i].scale, &value), cases[i].want);
        if (cases[i].want == POSTGRES_EXACT) {
            char text[64];
            postgres_wide magnitude = value < 0 ? -value : value;
            size_t at = sizeof text - 1;
            text[at] = '\0';
            do
                text[--at] = (char)('0' + (int)(magnitude % 10));
            while ((magnitude /= 10) != 0);
            if (value < 0)
                text[--at] = '-';
            assert_string_equal(text + at, cases[i].unscaled);
        } else {
            assert_true(value == 77);
        }
        TN_AUTO_BUF shown = {0};
        assert_int_equal(postgres_numeric_text(bytes, length, &shown), cases[i].text != NULL);
        if (cases[i].text)
            assert_string_equal(shown.data, cases[i].text);
        for (size_t cut = 0; cut < length; cut++)
            assert_int_equal(postgres_read_numeric(bytes, cut, 2, &value), POSTGRES_MALFORMED);
    }
}

/* All halves go to float and back; floats between two go to the nearer, ties to even. */
static void test_half(void **state)
{
    (void)state;
    for (uint32_t half = 0; half <= 0xffff; half++) {
        float value = postgres_half_to_float((uint16_t)half);
        if (isnan(value))
            assert_true(isnan(postgres_half_to_float(postgres_float_to_half(value))));
        else
            assert_int_equal(postgres_float_to_half(value), half);
    }
    assert_true(postgres_half_to_float(0x3c00) == 1.0f && postgres_half_to_float(0x0001) == 0x1p-24f);
    assert_int_equal(postgres_float_to_half(1.0f + 0x1p-11f), 0x3c00);
    assert_int_equal(postgres_float_to_half(1.0f + 3 * 0x1p-11f), 0x3c02);
    assert_int_equal(postgres_float_to_half(0x1p-25f), 0);
    assert_int_equal(postgres_float_to_half(0x1.8p-25f), 1);
    assert_int_equal(postgres_float_to_half(65519.0f), 0x7bff);
    assert_int_equal(postgres_float_to_half(65520.0f), 0x7c00);
    assert_int_equal(postgres_float_to_half(-1e10f), 0xfc00);
}

static void test_array(void **state)
{
    (void)state;
    struct postgres_array array = {0};
    const float values[] = {1.5f, -2.0f, 0.25f};
    float back[3];
    size_t count = 0;
    postgres_array_begin(&array, 16999);
    postgres_array_add_vector(&array, values, 3);
    postgres_array_add_null(&array);
    postgres_array_add_halfvec(&array, values, 3);
    struct postgres_param param = postgres_array_param(&array);
    struct postgres_elements elements;
    assert_true(postgres_read_array(param.data, param.length, &elements));
    assert_int_equal(elements.type, 16999);
    assert_int_equal(elements.count, 3);
    struct postgres_field field;
    assert_true(postgres_read_element(&elements, &field));
    assert_true(postgres_read_vector(field.data, (size_t)field.length, back, 3, &count));
    assert_memory_equal(values, back, sizeof values);
    assert_false(postgres_read_vector(field.data, (size_t)field.length, back, 2, &count));
    assert_true(postgres_read_element(&elements, &field));
    assert_int_equal(field.length, -1);
    assert_true(postgres_read_element(&elements, &field));
    assert_true(postgres_read_halfvec(field.data, (size_t)field.length, back, 3, &count));
    assert_memory_equal(values, back, sizeof values);
    assert_false(postgres_read_element(&elements, &field));
    for (size_t cut = 0; cut < 20; cut++)
        assert_false(postgres_read_array(param.data, cut, &elements));
    postgres_array_begin(&array, POSTGRES_INT8); /* used again */
    postgres_array_add_i64(&array, -5);
    param = postgres_array_param(&array);
    assert_true(postgres_read_array(param.data, param.length, &elements));
    assert_int_equal(elements.count, 1);
    postgres_array_release(&array);
}

/* "1|NULL|", "22||": two rows of two columns. */
static void make_copy(struct tn_buf *out)
{
    static const char rows[] = "\0\2\0\0\0\1"
                               "1\377\377\377\377"
                               "\0\2\0\0\0\2"
                               "22\0\0\0\0";
    postgres_copy_header(out);
    tn_buf_append(out, rows, sizeof rows - 1);
    postgres_copy_trailer(out);
}

static void read_copy(const struct tn_buf *copy, size_t piece, struct tn_buf *shown)
{
    struct postgres_copy_reader reader = {0};
    for (size_t at = 0; at < copy->len; at += piece) {
        bool row = true;
        /* Out of a buffer of its own: what is read beyond it shows. */
        size_t length = TN_MIN(piece, copy->len - at);
        TN_AUTO_FREE char *message = tn_malloc(length);
        memcpy(message, copy->data + at, length);
        postgres_copy_feed(&reader, message, length);
        for (;;) {
            struct postgres_field fields[2];
            assert_ok(postgres_copy_row(&reader, fields, 2, &row, &test_err));
            if (!row)
                break;
            for (size_t i = 0; i < 2; i++) {
                if (fields[i].length < 0)
                    tn_buf_puts(shown, "NULL");
                else
                    tn_buf_append(shown, fields[i].data, (size_t)fields[i].length);
                tn_buf_putc(shown, '|');
            }
        }
    }
    assert_true(reader.ended);
    postgres_copy_release(&reader);
}

static void test_copy_cut_anywhere(void **state)
{
    (void)state;
    TN_AUTO_BUF copy = {0};
    make_copy(&copy);
    for (size_t piece = 1; piece <= copy.len; piece++) {
        TN_AUTO_BUF shown = {0};
        read_copy(&copy, piece, &shown);
        assert_string_equal(shown.data, "1|NULL|22||");
    }
}

static enum tn_code read_bytes(const char *bytes, size_t length, size_t columns)
{
    struct postgres_copy_reader reader = {.max_row_bytes = 64};
    struct postgres_field fields[8];
    bool row = true;
    enum tn_code code = TN_OK;
    postgres_copy_feed(&reader, bytes, length);
    while (row && code == TN_OK)
        code = postgres_copy_row(&reader, fields, columns, &row, &test_err);
    postgres_copy_release(&reader);
    return code;
}

static void test_copy_refused(void **state)
{
    (void)state;
    TN_AUTO_BUF copy = {0};
    make_copy(&copy);
    assert_int_equal(read_bytes(copy.data, copy.len, 2), TN_OK);
    assert_int_equal(read_bytes(copy.data, copy.len, 3), TN_ECORRUPT);
    assert_int_equal(read_bytes("PGCOPX\n", 7, 2), TN_ECORRUPT);
    copy.data[11] = 1; /* a flag that nobody knows */
    assert_int_equal(read_bytes(copy.data, copy.len, 2), TN_ECORRUPT);
    copy.data[11] = 0;
    copy.data[21] = (char)0x80; /* a negative length that is not NULL */
    assert_int_equal(read_bytes(copy.data, copy.len, 2), TN_ECORRUPT);
    copy.data[21] = 0x7f; /* longer than a row may be */
    TN_AUTO_BUF more = {0};
    tn_buf_append(&more, copy.data, 30);
    for (size_t i = 0; i < 100; i++)
        tn_buf_putc(&more, 'x');
    assert_int_equal(read_bytes(more.data, more.len, 2), TN_ECORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numeric),           cmocka_unit_test(test_half),         cmocka_unit_test(test_array),
        cmocka_unit_test(test_copy_cut_anywhere), cmocka_unit_test(test_copy_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
