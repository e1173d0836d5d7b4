/* Avro: golden bytes, every codec, and files that are cut or damaged anywhere. */
#include "iceberg/avro.h"
#include "iceberg/test_support.h"

#include <zlib.h>
#include <zstd.h>

static int open_arena(void **state)
{
    *state = tn_arena_new();
    return tn_random_init(&test_err) == TN_OK ? 0 : -1;
}

static int close_arena(void **state)
{
    tn_arena_free(*state);
    return 0;
}

#define ARENA_TEST(function) cmocka_unit_test_setup_teardown(function, open_arena, close_arena)

static const char simple_schema[] =
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":["
    "{\"name\":\"a\",\"type\":\"long\",\"field-id\":1},"
    "{\"name\":\"b\",\"type\":[\"null\",\"string\"],\"default\":null,\"field-id\":2},"
    "{\"name\":\"c\",\"type\":{\"type\":\"array\",\"items\":\"int\",\"element-id\":4},\"field-id\":3}]}";

static const struct {
    int64_t value;
    const char *hex;
} varints[] = {
    {0, "00"},
    {-1, "01"},
    {1, "02"},
    {63, "7e"},
    {64, "8001"},
    {-64, "7f"},
    {-65, "8101"},
    {8192, "808001"},
    {INT64_MAX, "feffffffffffffffff01"},
    {INT64_MIN, "ffffffffffffffffff01"},
};

static void numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(varints); i++) {
        TN_AUTO_BUF out = {0};
        char hex[32];
        int64_t back = 0;
        avro_put_varint(&out, varints[i].value);
        tn_hex_encode(out.data, out.len, hex);
        assert_string_equal(hex, varints[i].hex);
        struct avro_in in = {(const uint8_t *)out.data, (const uint8_t *)out.data + out.len, "test", &test_err};
        assert_ok(avro_read_varint(&in, &back));
        assert_true(back == varints[i].value);
        for (size_t cut = 0; cut < out.len; cut++) {
            in = (struct avro_in){(const uint8_t *)out.data, (const uint8_t *)out.data + cut, "test", &test_err};
            assert_code(avro_read_varint(&in, &back), TN_ECORRUPT);
        }
    }
    static const uint8_t too_long[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    struct avro_in in = {too_long, too_long + sizeof too_long, "test", &test_err};
    int64_t back = 0;
    assert_code(avro_read_varint(&in, &back), TN_ECORRUPT);
}

static void write_records(struct avro_writer *writer, int count)
{
    for (int i = 0; i < count; i++) {
        avro_put_varint(&writer->block, i);
        if (i % 2) {
            avro_put_some(&writer->block);
            avro_put_text(&writer->block, "odd");
        } else {
            avro_put_null(&writer->block);
        }
        avro_put_varint(&writer->block, 2);
        avro_put_varint(&writer->block, i);
        avro_put_varint(&writer->block, -i);
        avro_put_varint(&writer->block, 0);
        assert_ok(avro_writer_end_record(writer, &test_err));
    }
    assert_ok(avro_writer_finish(writer, &test_err));
}

/* Reads a file of write_records; anything but TN_OK is returned. */
static enum tn_code read_records(struct tn_arena *arena, const void *bytes, size_t length, int *ret_count,
                                 struct tn_error *err)
{
    TN_CLEANUP(avro_reader_release) struct avro_reader reader = {0};
    bool more = true;
    *ret_count = 0;
    TN_TRY(avro_reader_open(&reader, arena, bytes, length, "test.avro", err));
    for (;;) {
        int64_t a = -1;
        const char *b = "";
        struct avro_items items = {0};
        int32_t item = 0, sum = 0;
        TN_TRY(avro_reader_next(&reader, &more));
        if (!more)
            return TN_OK;
        if (reader.type->kind != AVRO_RECORD || reader.type->count != 3)
            return tn_fail(err, TN_ECORRUPT, "another schema");
        TN_TRY(avro_get_i64(&reader.in, reader.type->fields[0].type, &a));
        TN_TRY(avro_get_text(&reader.in, reader.type->fields[1].type, arena, &b));
        while (avro_unwrap(reader.type->fields[2].type)->kind == AVRO_ARRAY) {
            TN_TRY(avro_items_next(&reader.in, &items, &more));
            if (!more)
                break;
            TN_TRY(avro_get_i32(&reader.in, reader.type->fields[2].type->parts[0], &item));
            sum += item;
        }
        if (a != *ret_count || sum != 0 || !tn_streq(b, a % 2 ? "odd" : ""))
            return tn_fail(err, TN_ECORRUPT, "wrong values");
        (*ret_count)++;
    }
}

static void golden_file(void **state)
{
    static const uint8_t sync[AVRO_SYNC_BYTES] = "0123456789abcdef";
    TN_CLEANUP(avro_writer_release) struct avro_writer writer;
    const struct iceberg_pair pair = {"k", "v"};
    avro_writer_open(&writer, "\"long\"", &pair, 1, false, sync);
    avro_put_varint(&writer.block, 7);
    assert_ok(avro_writer_end_record(&writer, &test_err));
    assert_ok(avro_writer_finish(&writer, &test_err));
    static const char want[] = "Obj\1\x06\x16"
                               "avro.schema\x0c\"long\"\x14"
                               "avro.codec\x08null\x02k\x02v\x00"
                               "0123456789abcdef\x02\x02\x0e"
                               "0123456789abcdef";
    assert_int_equal(writer.out.len, sizeof want - 1);
    assert_memory_equal(writer.out.data, want, sizeof want - 1);
    TN_CLEANUP(avro_reader_release) struct avro_reader reader = {0};
    assert_ok(avro_reader_open(&reader, *state, writer.out.data, writer.out.len, "golden", &test_err));
    assert_string_equal(avro_reader_pair(&reader, "k"), "v");
    assert_null(avro_reader_pair(&reader, "none"));
}

static void round_trips(void **state)
{
    static const int counts[] = {0, 1, 7, 100000}; /* the last one makes several blocks */
    for (int deflate = 0; deflate < 2; deflate++) {
        for (size_t i = 0; i < TN_COUNT(counts); i++) {
            TN_CLEANUP(avro_writer_release) struct avro_writer writer;
            int count = -1;
            avro_writer_open(&writer, simple_schema, NULL, 0, deflate, NULL);
            write_records(&writer, counts[i]);
            assert_ok(read_records(*state, writer.out.data, writer.out.len, &count, &test_err));
            assert_int_equal(count, counts[i]);
        }
    }
}

/* Any cut and any changed byte is an error or, where it does no harm, the same
 * records; never a crash, and never more of them. */
static void damage_is_noticed(void **state)
{
    (void)state;
    for (int deflate = 0; deflate < 2; deflate++) {
        TN_CLEANUP(avro_writer_release) struct avro_writer writer;
        avro_writer_open(&writer, simple_schema, NULL, 0, deflate, NULL);
        size_t header = writer.out.len;
        write_records(&writer, 20);
        for (size_t cut = 0; cut < writer.out.len; cut++) {
            TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
            TN_AUTO_FREE char *copy = tn_malloc(cut + 1);
            int count = 0;
            memcpy(copy, writer.out.data, cut);
            enum tn_code code = read_records(arena, copy, cut, &count, &test_err);
            assert_true(code == TN_ECORRUPT || (cut == header && code == TN_OK && count == 0));
        }
        for (size_t at = 0; at < writer.out.len; at++) {
            TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
            int count = 0;
            writer.out.data[at] ^= 0x41;
            enum tn_code code = read_records(arena, writer.out.data, writer.out.len, &count, &test_err);
            assert_true(count <= 20);
            if (at < 4 || at >= writer.out.len - 16)
                assert_int_equal(code, TN_ECORRUPT);
            writer.out.data[at] ^= 0x41;
        }
    }
}

/* A file whose one block was compressed by something else. */
static enum tn_code read_codec(struct tn_arena *arena, const char *codec, const void *packed, size_t length,
                               int *ret_count)
{
    TN_AUTO_BUF file = {0};
    tn_buf_append(&file, "Obj\1", 4);
    avro_put_varint(&file, 2);
    avro_put_text(&file, "avro.schema");
    avro_put_text(&file, simple_schema);
    avro_put_text(&file, "avro.codec");
    avro_put_text(&file, codec);
    avro_put_varint(&file, 0);
    tn_buf_append(&file, "0123456789abcdef", 16);
    avro_put_varint(&file, 20);
    avro_put_bytes(&file, packed, length);
    tn_buf_append(&file, "0123456789abcdef", 16);
    return read_records(arena, file.data, file.len, ret_count, &test_err);
}

static void other_codecs(void **state)
{
    TN_AUTO_BUF records = {0};
    char packed[4096];
    int count = 0;
    for (int i = 0; i < 20; i++) { /* as write_records, without a file around */
        avro_put_varint(&records, i);
        if (i % 2) {
            avro_put_some(&records);
            avro_put_text(&records, "odd");
        } else {
            avro_put_null(&records);
        }
        avro_put_varint(&records, 2);
        avro_put_varint(&records, i);
        avro_put_varint(&records, -i);
        avro_put_varint(&records, 0);
    }
    size_t length = ZSTD_compress(packed, sizeof packed, records.data, records.len, 3);
    assert_ok(read_codec(*state, "zstandard", packed, length, &count));
    assert_int_equal(count, 20);
    assert_code(read_codec(*state, "zstandard", packed, length - 1, &count), TN_ECORRUPT);
    /* Snappy: two literals by hand, and the checksum behind. */
    TN_AUTO_BUF snappy = {0};
    for (size_t n = records.len;; n >>= 7) {
        tn_buf_putc(&snappy, (char)(n > 127 ? (n & 127) | 128 : n));
        if (n <= 127)
            break;
    }
    size_t half = records.len / 2;
    assert_true(half > 4 && half <= 256 && records.len - half <= 256);
    tn_buf_putc(&snappy, (char)(60 << 2));
    tn_buf_putc(&snappy, (char)(half - 1));
    tn_buf_append(&snappy, records.data, half);
    tn_buf_putc(&snappy, (char)(60 << 2));
    tn_buf_putc(&snappy, (char)(records.len - half - 1));
    tn_buf_append(&snappy, records.data + half, records.len - half);
    uint32_t sum = (uint32_t)crc32(0, (const Bytef *)records.data, (uInt)records.len);
    for (int shift = 24; shift >= 0; shift -= 8)
        tn_buf_putc(&snappy, (char)(sum >> shift));
    assert_ok(read_codec(*state, "snappy", snappy.data, snappy.len, &count));
    assert_int_equal(count, 20);
    snappy.data[10] ^= 1;
    assert_code(read_codec(*state, "snappy", snappy.data, snappy.len, &count), TN_ECORRUPT);
    assert_code(read_codec(*state, "xz", packed, length, &count), TN_EUNSUPPORTED);
    assert_non_null(strstr(test_err.detail, "xz"));
}

/* Snappy's back-references, overlapping ones too: "ab" and then eight more. */
static void snappy_copies(void **state)
{
    static const uint8_t packed[] = {10, 1 << 2, 'a', 'b', (8 - 4) << 2 | 1, 2};
    TN_AUTO_BUF file = {0}, out = {0};
    uint32_t sum = (uint32_t)crc32(0, (const Bytef *)"ababababab", 10);
    (void)state;
    tn_buf_append(&file, packed, sizeof packed);
    for (int shift = 24; shift >= 0; shift -= 8)
        tn_buf_putc(&file, (char)(sum >> shift));
    assert_ok(avro_decompress("snappy", (const uint8_t *)file.data, file.len, "t", &out, &test_err));
    assert_string_equal(out.data, "ababababab");
    static const uint8_t wild[] = {10, 1 << 2, 'a', 'b', (8 - 4) << 2 | 1, 3, 0, 0, 0, 0};
    assert_code(avro_decompress("snappy", wild, sizeof wild, "t", &out, &test_err), TN_ECORRUPT);
    static const uint8_t bomb[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0};
    assert_code(avro_decompress("snappy", bomb, sizeof bomb, "t", &out, &test_err), TN_EUNSUPPORTED);
}

static void bombs_are_bounded(void **state)
{
    /* 200 MB of zeros are 200 kB of deflate. */
    TN_AUTO_FREE char *zeros = calloc(1, (size_t)200 << 20);
    TN_AUTO_BUF packed = {0}, out = {0};
    (void)state;
    assert_non_null(zeros);
    assert_ok(avro_deflate(zeros, (size_t)200 << 20, &packed, &test_err));
    assert_code(avro_decompress("deflate", (const uint8_t *)packed.data, packed.len, "t", &out, &test_err),
                TN_EUNSUPPORTED);
}

static const char *const bad_schemas[] = {
    "",
    "\"nothing\"",
    "[]",
    "{}",
    "{\"type\":\"record\",\"name\":\"r\"}",
    "{\"type\":\"record\",\"fields\":[]}",
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\"}]}",
    /* a type inside itself */
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"r\"}]}",
    "{\"type\":\"array\"}",
    "{\"type\":\"fixed\",\"name\":\"f\",\"size\":-1}",
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"int\",\"field-id\":\"1\"}]}",
};

static void bad_schemas_are_refused(void **state)
{
    for (size_t i = 0; i < TN_COUNT(bad_schemas); i++) {
        const struct avro_type *type = NULL;
        assert_code(avro_schema_parse(*state, bad_schemas[i], strlen(bad_schemas[i]), "s", &type, &test_err),
                    TN_ECORRUPT);
        assert_null(type);
    }
    /* Types used twice inside types used twice: 2^40 fields of no bytes. */
    TN_AUTO_BUF doubling = {0};
    const struct avro_type *type = NULL;
    tn_buf_puts(&doubling, "[{\"type\":\"record\",\"name\":\"r0\",\"fields\":[]}");
    for (int i = 0; i < 40; i++)
        tn_buf_printf(&doubling,
                      ",{\"type\":\"record\",\"name\":\"r%d\",\"fields\":[{\"name\":\"a\",\"type\":\"r%d\"},"
                      "{\"name\":\"b\",\"type\":\"r%d\"}]}",
                      i + 1, i, i);
    tn_buf_putc(&doubling, ']');
    assert_code(avro_schema_parse(*state, doubling.data, doubling.len, "s", &type, &test_err), TN_ECORRUPT);
    assert_non_null(strstr(test_err.detail, "too large"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA_TEST(numbers),           ARENA_TEST(golden_file),
        ARENA_TEST(round_trips),       ARENA_TEST(damage_is_noticed),
        ARENA_TEST(other_codecs),      ARENA_TEST(snappy_copies),
        ARENA_TEST(bombs_are_bounded), ARENA_TEST(bad_schemas_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
