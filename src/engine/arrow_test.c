/* The framing of Arrow streams, read back by an independent small reader. That
 * Arrow's own readers accept them is shown by the system tests. */
#include "engine/engine_test_support.h"

static struct fixture fixture;

static int setup(void **state)
{
    (void)state;
    return fixture_open(&fixture, UINT64_C(256) << 20, 4);
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&fixture);
    return 0;
}

static uint64_t number(const unsigned char *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = size; i--;)
        value = value << 8 | at[i];
    return value;
}

/* Where field `index` of the table at `table` lies; NULL when it is absent. */
static const unsigned char *field(const unsigned char *table, size_t index)
{
    const unsigned char *vtable = table - (int32_t)number(table, 4);
    size_t offset = 4 + 2 * index < number(vtable, 2) ? (size_t)number(vtable + 4 + 2 * index, 2) : 0;
    return offset ? table + offset : NULL;
}

static const unsigned char *follow(const unsigned char *offset)
{
    return offset + number(offset, 4);
}

struct summary {
    unsigned schemas, batches, ends, fields, nodes, buffers;
    uint64_t rows, largest_batch;
};

static void read_batch(const unsigned char *batch, uint64_t body, struct summary *summary)
{
    uint64_t rows = number(field(batch, 0), 8);
    const unsigned char *nodes = follow(field(batch, 1));
    const unsigned char *buffers = follow(field(batch, 2));
    summary->rows += rows;
    summary->largest_batch = TN_MAX(summary->largest_batch, rows);
    summary->nodes = (unsigned)number(nodes, 4);
    summary->buffers = (unsigned)number(buffers, 4);
    uint64_t end = 0;
    for (unsigned i = 0; i < summary->buffers; i++) {
        uint64_t offset = number(buffers + 4 + 16 * i, 8), length = number(buffers + 12 + 16 * i, 8);
        assert_int_equal(offset % 8, 0);
        assert_true(offset >= end);
        end = offset + length;
    }
    assert_true(end <= body);
    for (unsigned i = 0; i < summary->nodes; i++)
        assert_true(number(nodes + 4 + 16 * i + 8, 8) <= number(nodes + 4 + 16 * i, 8));
}

static struct summary read_stream(const struct tn_buf *stream)
{
    struct summary summary = {0};
    const unsigned char *bytes = (const unsigned char *)stream->data;
    size_t at = 0;
    while (at < stream->len) {
        assert_true(stream->len - at >= 8);
        assert_int_equal(number(bytes + at, 4), UINT32_MAX);
        uint64_t size = number(bytes + at + 4, 4);
        assert_int_equal(size % 8, 0);
        at += 8;
        if (!size) {
            summary.ends++;
            continue;
        }
        assert_true(stream->len - at >= size);
        const unsigned char *message = follow(bytes + at);
        uint64_t kind = number(field(message, 1), 1), body = number(field(message, 3), 8);
        const unsigned char *header = follow(field(message, 2));
        assert_int_equal(number(field(message, 0), 2), 4); /* version 5 */
        assert_int_equal(body % 8, 0);
        if (kind == 1) {
            summary.schemas++;
            summary.fields = (unsigned)number(follow(field(header, 1)), 4);
            assert_int_equal(summary.batches, 0);
        } else {
            assert_int_equal(kind, 3);
            summary.batches++;
            read_batch(header, body, &summary);
        }
        at += size + body;
    }
    assert_int_equal(at, stream->len);
    return summary;
}

static struct summary stream_of(const char *sql)
{
    struct engine_query_options options = fixture_query(&fixture, sql);
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    if (fixture_fill(&fixture, &options, ENGINE_ARROW, &out, &err) != TN_OK)
        fail_msg("%s: %s", sql, err.detail);
    return read_stream(&out);
}

static void test_frames(void **state)
{
    (void)state;
    struct summary summary = stream_of("SELECT n, label FROM numbers");
    assert_int_equal(summary.schemas, 1);
    assert_int_equal(summary.ends, 1);
    assert_int_equal(summary.fields, 2);
    assert_int_equal(summary.rows, 100000);
    /* Gathered: far fewer batches than chunks of 2,048 rows, none too large. */
    assert_true(summary.batches >= 2 && summary.batches < 10);
    assert_true(summary.largest_batch <= 65536 + 2048);
    assert_int_equal(summary.nodes, 2);
    assert_int_equal(summary.buffers, 5);
}

static void test_shapes(void **state)
{
    (void)state;
    struct summary none = stream_of("SELECT 1 AS a, 'x' AS b WHERE false");
    assert_int_equal(none.schemas, 1);
    assert_int_equal(none.batches, 0);
    assert_int_equal(none.ends, 1);
    /* list, item, struct, member, map, entries, key, value, null */
    struct summary nested = stream_of("SELECT [1, NULL] AS l, {'a': 'x'} AS s, MAP {'k': 1} AS m, NULL AS n");
    assert_int_equal(nested.fields, 4);
    assert_int_equal(nested.nodes, 9);
    assert_int_equal(nested.buffers, 2 + 2 + 1 + 3 + 2 + 1 + 3 + 2);
    assert_int_equal(nested.rows, 1);
}

static void test_too_wide(void **state)
{
    (void)state;
    struct engine_query_options options =
        fixture_query(&fixture, "SELECT 170141183460469231731687303715884105727::HUGEINT AS big");
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    assert_int_equal(fixture_fill(&fixture, &options, ENGINE_ARROW, &out, &err), TN_EUNSUPPORTED);
    assert_non_null(strstr(err.detail, "big"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_too_wide),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
