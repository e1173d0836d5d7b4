/* Encodings, compression and column names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingest/encoding.h"
#include "ingest/inflate.h"
#include "ingest/names.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

static void convert(enum encoding from, const char *bytes, size_t length, size_t piece, struct tn_buf *out)
{
    struct encoding_state state = {.from = from};
    for (size_t at = 0; at < length; at += piece)
        encoding_convert(&state, bytes + at, TN_MIN(piece, length - at), out);
    encoding_finish(&state, out);
}

#define BYTES(text) text, sizeof(text) - 1

static void test_encodings(void **state)
{
    (void)state;
    static const struct {
        enum encoding from;
        const char *bytes;
        size_t length;
        const char *text;
    } cases[] = {
        {ENCODING_UTF16LE, BYTES("a\0\xE9\0"), "a\xC3\xA9"},
        {ENCODING_UTF16BE, BYTES("\0a\0\xE9"), "a\xC3\xA9"},
        {ENCODING_UTF16LE, BYTES("\x3D\xD8\x00\xDE"), "\xF0\x9F\x98\x80"},
        {ENCODING_UTF16LE,
         BYTES("\x3D\xD8"
               "a\0"),
         "\xEF\xBF\xBD"
         "a"},
        {ENCODING_UTF16LE, BYTES("\x00\xDE"), "\xEF\xBF\xBD"},
        {ENCODING_UTF16LE, BYTES("a\0b"), "a\xEF\xBF\xBD"},
        {ENCODING_WINDOWS_1252, BYTES("\x80 \xE9 \x96"), "\xE2\x82\xAC \xC3\xA9 \xE2\x80\x93"},
        {ENCODING_WINDOWS_1252, BYTES("\x81"), "\xC2\x81"},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++)
        for (size_t piece = 1; piece <= 4; piece++) {
            TN_AUTO_BUF out = {0};
            convert(cases[i].from, cases[i].bytes, cases[i].length, piece, &out);
            if (strcmp(out.data, cases[i].text) != 0)
                fail_msg("case %zu in pieces of %zu: \"%s\"", i, piece, out.data);
        }
}

static void test_detection(void **state)
{
    (void)state;
    size_t mark;
    assert_int_equal(encoding_detect((const unsigned char *)"\xEF\xBB\xBF"
                                                            "a",
                                     4, &mark),
                     ENCODING_UTF8);
    assert_int_equal(mark, 3);
    assert_int_equal(encoding_detect((const unsigned char *)"\xFF\xFE"
                                                            "a",
                                     4, &mark),
                     ENCODING_UTF16LE);
    assert_int_equal(encoding_detect((const unsigned char *)"\0a\0,\0b\0\n", 8, &mark), ENCODING_UTF16BE);
    assert_int_equal(encoding_detect((const unsigned char *)"a\0,\0b\0\n", 8, &mark), ENCODING_UTF16LE);
    assert_int_equal(encoding_detect((const unsigned char *)"a,b\n1,2\n", 8, &mark), ENCODING_AUTO);
    assert_int_equal(mark, 0);
}

static enum tn_code collect(void *context, const char *bytes, size_t count, struct tn_error *err)
{
    (void)err;
    tn_buf_append(context, bytes, count);
    return TN_OK;
}

static void gzip_bytes(const char *text, struct tn_buf *out)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    char copy[64], packed[256];
    memcpy(copy, text, strlen(text));
    stream.next_in = (Bytef *)copy;
    stream.avail_in = (uInt)strlen(text);
    stream.next_out = (Bytef *)packed;
    stream.avail_out = sizeof packed;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    tn_buf_append(out, packed, sizeof packed - stream.avail_out);
    deflateEnd(&stream);
}

static enum tn_code unpack(const struct tn_buf *packed, size_t length, size_t piece, struct tn_buf *out)
{
    struct inflate *inflate =
        inflate_new(inflate_detect((const unsigned char *)packed->data, packed->len), collect, out);
    enum tn_code code = TN_OK;
    for (size_t at = 0; at < length && code == TN_OK; at += piece)
        code = inflate_push(inflate, packed->data + at, TN_MIN(piece, length - at), NULL);
    if (code == TN_OK)
        code = inflate_finish(inflate, NULL);
    inflate_free(inflate);
    return code;
}

static void test_compressed(void **state)
{
    (void)state;
    TN_AUTO_BUF gzip = {0};
    TN_AUTO_BUF zstd = {0};
    gzip_bytes("a,b\n", &gzip);
    gzip_bytes("1,2\n", &gzip);
    for (int i = 0; i < 2; i++) {
        char packed[256];
        size_t count = ZSTD_compress(packed, sizeof packed, i ? "1,2\n" : "a,b\n", 4, 3);
        tn_buf_append(&zstd, packed, count);
    }
    const struct tn_buf *const files[] = {&gzip, &zstd};
    for (size_t f = 0; f < 2; f++)
        for (size_t piece = 1; piece <= files[f]->len; piece++) {
            TN_AUTO_BUF out = {0};
            assert_int_equal(unpack(files[f], files[f]->len, piece, &out), TN_OK);
            assert_string_equal(out.data, "a,b\n1,2\n");
        }
    TN_AUTO_BUF out = {0};
    assert_int_equal(unpack(&gzip, gzip.len - 3, 7, &out), TN_EUNREADABLE);
    assert_int_equal(unpack(&zstd, zstd.len - 3, 7, &out), TN_EUNREADABLE);
    gzip.data[gzip.len - 12] ^= 0x55;
    assert_int_equal(unpack(&gzip, gzip.len, 7, &out), TN_EUNREADABLE);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const originals[] = {"id",
                                            "First Name",
                                            "  Zip-Code ",
                                            "",
                                            "a",
                                            "A",
                                            "a",
                                            "2019",
                                            "\xF0\x9F\x8E\x89",
                                            "%%%",
                                            "gr\303\266\303\237e",
                                            "x.y",
                                            "\xE2\x82\xAC price",
                                            "___",
                                            NULL,
                                            "a_2"};
    static const char *const names[] = {"id",
                                        "First_Name",
                                        "Zip_Code",
                                        "column_4",
                                        "a",
                                        "A_2",
                                        "a_3",
                                        "_2019",
                                        "column_9",
                                        "column_10",
                                        "gr\303\266\303\237e",
                                        "x_y",
                                        "price",
                                        "column_14",
                                        "column_15",
                                        "a_2_2"};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char **got = names_clean(arena, originals, TN_COUNT(originals), false);
    for (size_t i = 0; i < TN_COUNT(names); i++)
        assert_string_equal(got[i], names[i]);
    static const char *const dotted[] = {"a.b", "a.b c", "a..b", "."};
    got = names_clean(arena, dotted, 4, true);
    assert_string_equal(got[0], "a.b");
    assert_string_equal(got[1], "a.b_c");
    assert_string_equal(got[2], "a.b_2");
    assert_string_equal(got[3], "column_4");
}

/* Before the first letter there is no text that could be cut. */
static void test_names_without_a_letter_first(void **state)
{
    (void)state;
    static const char *const originals[] = {"#", "-\302\262", "", ".", "id"};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    for (int dotted = 0; dotted < 2; dotted++) {
        const char **got = names_clean(arena, originals, TN_COUNT(originals), dotted);
        assert_string_equal(got[0], "column_1");
        assert_string_equal(got[3], "column_4");
        assert_string_equal(got[4], "id");
    }
}

static void test_long_and_many_names(void **state)
{
    (void)state;
    char text[301];
    memset(text, 'x', 300);
    text[300] = '\0';
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char **originals = TN_ARENA_ARRAY(arena, const char *, 3000);
    for (size_t i = 0; i < 3000; i++)
        originals[i] = text;
    const char **got = names_clean(arena, originals, 3000, false);
    for (size_t i = 0; i < 3000; i++) {
        assert_true(strlen(got[i]) <= NAMES_MAX_BYTES);
        assert_true(i == 0 || strcmp(got[i], got[i - 1]) != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_detection),
        cmocka_unit_test(test_compressed),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_names_without_a_letter_first),
        cmocka_unit_test(test_long_and_many_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
