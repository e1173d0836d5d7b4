/* Parquet files for tables: sources, statistics and their traps, splits,
 * cancel, two copies at once. */
#include "engine/engine_test_support.h"

#include <math.h>
#include <pthread.h>
#include <sys/stat.h>

static struct fixture fixture;

static int setup(void **state)
{
    (void)state;
    return fixture_open(&fixture, UINT64_C(1) << 30, 4);
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&fixture);
    return 0;
}

static const char *path_of(struct tn_arena *arena, const char *name)
{
    return tn_path_join(arena, fixture.folder, name);
}

static const struct engine_column_stats *stats_of(const struct engine_file_stats *stats, const char *path)
{
    for (size_t i = 0; i < stats->column_count; i++) {
        if (tn_streq(stats->columns[i].path, path))
            return &stats->columns[i];
    }
    fail_msg("no statistics of %s", path);
    return NULL;
}

/* ---- sources ------------------------------------------------------------ */

/* Rows 0..count-1 with every kind; every fifth value is NULL. */
struct counter {
    int64_t next, count, fail_at;
};

static const struct engine_column counter_columns[] = {
    {.name = "b", .type = {.kind = ENGINE_BOOLEAN}},
    {.name = "i", .type = {.kind = ENGINE_INTEGER}},
    {.name = "n", .type = {.kind = ENGINE_BIGINT}},
    {.name = "x", .type = {.kind = ENGINE_DOUBLE}},
    {.name = "d9", .type = {.kind = ENGINE_DECIMAL, .width = 9, .scale = 2}},
    {.name = "d38", .type = {.kind = ENGINE_DECIMAL, .width = 38, .scale = 2}},
    {.name = "day", .type = {.kind = ENGINE_DATE}},
    {.name = "ts", .type = {.kind = ENGINE_TIMESTAMP}},
    {.name = "tz", .type = {.kind = ENGINE_TIMESTAMPTZ}},
    {.name = "t", .type = {.kind = ENGINE_TIME}},
    {.name = "s", .type = {.kind = ENGINE_VARCHAR}},
    {.name = "bl", .type = {.kind = ENGINE_BLOB}},
    {.name = "u", .type = {.kind = ENGINE_UUID}},
};

static void put_row(struct engine_batch *batch, size_t row, int64_t value)
{
    struct engine_vector *v = batch->columns;
    char text[64];
    unsigned char uuid[16] = {0};
    __extension__ __int128 wide = value;
    if (value % 5 == 4) {
        for (size_t i = 0; i < batch->column_count; i++)
            engine_vector_put_null(&v[i], row);
        return;
    }
    ((uint8_t *)v[0].data)[row] = value % 2 == 0;
    ((int32_t *)v[1].data)[row] = (int32_t)value;
    ((int64_t *)v[2].data)[row] = value;
    ((double *)v[3].data)[row] = (double)value / 2;
    ((int32_t *)v[4].data)[row] = (int32_t)value;
    memcpy((char *)v[5].data + row * 16, &wide, 16);
    ((int32_t *)v[6].data)[row] = (int32_t)value;
    for (size_t i = 7; i < 10; i++)
        ((int64_t *)v[i].data)[row] = value;
    int length =
        snprintf(text, sizeof text, value % 2 ? "row %lld" : "a much longer text for row %lld", (long long)value);
    engine_vector_put_string(&v[10], row, text, (size_t)length);
    engine_vector_put_string(&v[11], row, "\0\xff", 2);
    uuid[15] = (unsigned char)value;
    engine_vector_put_uuid(&v[12], row, uuid);
}

static enum tn_code fill_counter(void *context, struct engine_batch *batch, struct tn_error *err)
{
    struct counter *counter = context;
    size_t rows = 0;
    while (rows < batch->capacity && counter->next < counter->count) {
        if (counter->next == counter->fail_at) {
            tn_fail(err, TN_EREJECTS, "row %lld is odd", (long long)counter->next);
            tn_error_hint(err, "look at it");
            return TN_EREJECTS;
        }
        put_row(batch, rows++, counter->next++);
    }
    batch->rows = rows;
    return TN_OK;
}

static enum tn_code copy_counter(int64_t count, int64_t fail_at, const char *path, struct tn_arena *arena,
                                 struct engine_file_stats *stats, struct tn_error *err)
{
    struct counter counter = {.count = count, .fail_at = fail_at};
    struct engine_source source = {counter_columns, TN_COUNT(counter_columns), &counter, fill_counter};
    struct engine_copy copy = {
        .select = "SELECT * FROM tarn_source()", .source = &source, .local_path = path, .row_group_rows = 50000};
    return engine_copy_parquet(fixture.engine, &copy, arena, stats, err);
}

static bool take_line(void *context, size_t count, const char *const *values)
{
    for (size_t i = 0; i < count; i++)
        tn_buf_printf(context, "%s|", values[i] ? values[i] : "-");
    tn_buf_putc(context, '\n');
    return true;
}

static void expect_trusted(const char *sql, const char *want)
{
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    if (engine_run(fixture.engine, sql, take_line, &out, &err) != TN_OK)
        fail_msg("%s: %s", sql, err.detail);
    assert_string_equal(out.data, want);
}

static void test_source(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *path = path_of(arena, "source.parquet");
    struct engine_file_stats stats = {0};
    struct tn_error err = {0};
    if (copy_counter(120001, -1, path, arena, &stats, &err) != TN_OK)
        fail_msg("%s", err.detail);
    assert_int_equal(stats.rows, 120001);
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(stats.size_bytes, file.st_size);
    assert_int_equal(stats.column_count, TN_COUNT(counter_columns));
    assert_int_equal(stats.split_count, 3);
    assert_int_equal(stats.split_offsets[0], 4);
    assert_true(stats.split_offsets[1] > 4 && stats.split_offsets[2] > stats.split_offsets[1]);
    assert_int_equal(stats_of(&stats, "\"n\"")->null_count, 24000);
    assert_int_equal(stats_of(&stats, "\"n\"")->value_count, 120001);
    assert_string_equal(stats_of(&stats, "\"n\"")->min, "0");
    assert_string_equal(stats_of(&stats, "\"n\"")->max, "120000");
    assert_true(stats_of(&stats, "\"n\"")->max_exact && stats_of(&stats, "\"n\"")->min_exact);
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql,
                  "SELECT count(*), count(n), sum(n), sum(x), sum(d9), sum(d38), max(day), max(ts), max(tz), max(t), "
                  "max(s), max(bl), max(u), bool_and(n IS NULL OR s = CASE WHEN n %% 2 = 1 THEN 'row ' ELSE 'a much "
                  "longer text for row ' END || n),"
                  "bool_and(n IS NULL OR n = file_row_number) FROM read_parquet('%s', file_row_number := true)",
                  path);
    expect_trusted(sql.data, "120001|96001|5760024000|2880012000|57600240.00|57600240.00|2298-07-20|"
                             "1970-01-01T00:00:00.12|1970-01-01T00:00:00.12Z|00:00:00.12|row 99997|AP8=|"
                             "00000000-0000-0000-0000-0000000000ff|true|true|\n");
}

static void test_source_fails(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *path = path_of(arena, "failed.parquet");
    struct engine_file_stats stats = {.rows = 77};
    struct tn_error err = {0};
    assert_int_equal(copy_counter(50000, 30000, path, arena, &stats, &err), TN_EREJECTS);
    assert_string_equal(err.detail, "row 30000 is odd");
    assert_string_equal(err.hint, "look at it");
    assert_int_equal(stats.rows, 77);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(copy_counter(0, -1, path, arena, &stats, &err), TN_OK);
    assert_int_equal(stats.rows, 0);
    assert_int_equal(stats.split_count, 0);
    /* Without a source the function says so. */
    assert_int_equal(engine_run(fixture.engine, "FROM tarn_source()", NULL, NULL, &err), TN_EINTERNAL);
}

static enum tn_code copy_select(const char *select, const char *field_ids, const char *path, struct tn_arena *arena,
                                struct engine_file_stats *stats, struct tn_error *err)
{
    struct engine_copy copy = {.select = select, .field_ids = field_ids, .local_path = path};
    return engine_copy_parquet(fixture.engine, &copy, arena, stats, err);
}

/* What Iceberg's bounds are made of, and where DuckDB's numbers mislead. */
static void test_stats_traps(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *path = path_of(arena, "traps.parquet");
    struct engine_file_stats stats = {0};
    struct tn_error err = {0};
    enum tn_code code = copy_select(
        "SELECT * FROM (VALUES (1, 0.0::DOUBLE, 'NaN'::DOUBLE, repeat('z', 300), repeat('\xC3\xA9', 300), "
        "TIMESTAMPTZ '2024-01-01 00:00:00+02', [1, 2], {'a': 1}, 'x'::BLOB, NULL::INTEGER, 1.5::DOUBLE), "
        "(2, -0.0::DOUBLE, 1.0, 'a', 'b', TIMESTAMPTZ '2024-01-02 00:00:00+00', [3], {'a': 2}, 'y'::BLOB, NULL, "
        "2.5)) "
        "t(id, zero, nan, long, wide, tz, l, s, b, nothing, x)",
        "{id: 1, zero: 2, nan: 3, long: 4, wide: 5, tz: 6, l: {__duckdb_field_id: 7, element: 8}, s: "
        "{__duckdb_field_id: "
        "9, a: 10}, b: 11, nothing: 12, x: 13}",
        path, arena, &stats, &err);
    if (code != TN_OK)
        fail_msg("%s", err.detail);
    assert_int_equal(stats.split_count, 1);
    assert_int_equal(stats.split_offsets[0], 4);
    /* Both zeros come back as the same text: the caller widens them. */
    const struct engine_column_stats *zero = stats_of(&stats, "\"zero\"");
    assert_string_equal(zero->min, zero->max);
    /* NaN is counted and is in no bound that a reader may trust. */
    const struct engine_column_stats *nan_column = stats_of(&stats, "\"nan\"");
    assert_int_equal(nan_column->nan_count, 1);
    assert_int_equal(stats_of(&stats, "\"x\"")->nan_count, 0);
    assert_string_equal(stats_of(&stats, "\"x\"")->max, "2.5");
    /* A long maximum is cut and made larger; it must not pass for exact. */
    const struct engine_column_stats *longer = stats_of(&stats, "\"long\"");
    assert_string_equal(longer->min, "a");
    assert_true(longer->min_exact);
    assert_false(longer->max && longer->max_exact && strlen(longer->max) < 300);
    /* With long text beyond ASCII a bound may be missing; exactness follows. */
    const struct engine_column_stats *wide = stats_of(&stats, "\"wide\"");
    assert_false(!wide->max && wide->max_exact);
    assert_false(wide->max && wide->max_exact && strlen(wide->max) < 600);
    /* Times are UTC. */
    assert_non_null(strstr(stats_of(&stats, "\"tz\"")->min, "2023-12-31 22:00:00"));
    assert_string_equal(stats_of(&stats, "\"l\".\"element\"")->max, "3");
    assert_string_equal(stats_of(&stats, "\"s\".\"a\"")->max, "2");
    assert_string_equal(stats_of(&stats, "\"b\"")->max, "79"); /* hexadecimal */
    assert_int_equal(stats_of(&stats, "\"nothing\"")->null_count, 2);
    assert_null(stats_of(&stats, "\"nothing\"")->min);
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(
        &sql, "SELECT string_agg(name || '=' || field_id, ',') FROM parquet_schema('%s') WHERE field_id IS NOT NULL",
        path);
    expect_trusted(sql.data, "id=1,zero=2,nan=3,long=4,wide=5,tz=6,l=7,element=8,s=9,a=10,b=11,nothing=12,x=13|\n");
}

static void test_copy_fails(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct engine_file_stats stats = {0};
    struct tn_error err = {0};
    const char *path = path_of(arena, "cast.parquet");
    assert_int_equal(
        copy_select("SELECT CAST('x' || range AS INTEGER) FROM range(3)", NULL, path, arena, &stats, &err), TN_ESQL);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_not_equal(copy_select("SELECT 1", NULL, "/etc/tarn.parquet", arena, &stats, &err), TN_OK);
    assert_int_not_equal(copy_select("SELECT 1", NULL, path_of(arena, "no/such/folder.parquet"), arena, &stats, &err),
                         TN_OK);
}

static bool cancel_now(void *context)
{
    atomic_bool *asked = context;
    atomic_store(asked, true);
    return true;
}

static void test_copy_cancel(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *path = path_of(arena, "cancelled.parquet");
    atomic_bool asked = false;
    struct engine_copy copy = {.select = "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b",
                               .local_path = path,
                               .cancelled = cancel_now,
                               .cancel_context = &asked};
    struct engine_file_stats stats = {0};
    struct tn_error err = {0};
    assert_int_equal(engine_copy_parquet(fixture.engine, &copy, arena, &stats, &err), TN_ECANCELLED);
    assert_true(atomic_load(&asked));
    assert_int_equal(access(path, F_OK), -1);
}

/* Two copies whose sources each wait until the other has begun: were one
 * serialised behind the other, neither would end. */
struct meeting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned arrived;
};
struct half {
    struct meeting *meeting;
    struct counter counter;
    const char *path;
    bool met;
    enum tn_code code;
    uint64_t rows;
};

static enum tn_code fill_half(void *context, struct engine_batch *batch, struct tn_error *err)
{
    struct half *half = context;
    if (!half->met) {
        half->met = true;
        pthread_mutex_lock(&half->meeting->lock);
        half->meeting->arrived++;
        pthread_cond_broadcast(&half->meeting->changed);
        while (half->meeting->arrived < 2)
            pthread_cond_wait(&half->meeting->changed, &half->meeting->lock);
        pthread_mutex_unlock(&half->meeting->lock);
    }
    return fill_counter(&half->counter, batch, err);
}

static void *run_half(void *argument)
{
    struct half *half = argument;
    struct tn_arena *arena = tn_arena_new();
    struct engine_source source = {counter_columns, TN_COUNT(counter_columns), half, fill_half};
    struct engine_copy copy = {
        .select = "SELECT n, s FROM tarn_source()", .source = &source, .local_path = half->path};
    struct engine_file_stats stats = {0};
    half->code = engine_copy_parquet(fixture.engine, &copy, arena, &stats, NULL);
    half->rows = stats.rows;
    tn_arena_free(arena);
    return NULL;
}

static void test_two_copies(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct meeting meeting = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct half halves[2];
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        halves[i] = (struct half){.meeting = &meeting,
                                  .counter = {.count = 100000 + (int64_t)i, .fail_at = -1},
                                  .path = path_of(arena, i ? "two.parquet" : "one.parquet")};
        assert_int_equal(pthread_create(&threads[i], NULL, run_half, &halves[i]), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(halves[i].code, TN_OK);
        assert_int_equal(halves[i].rows, 100000 + i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source),     cmocka_unit_test(test_source_fails), cmocka_unit_test(test_stats_traps),
        cmocka_unit_test(test_copy_fails), cmocka_unit_test(test_copy_cancel),  cmocka_unit_test(test_two_copies),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
