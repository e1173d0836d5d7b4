/* What hot copies take: how their rows lie in memory, what is said of it, and
 * the budget that they keep to. */
#include "dataset/hot_test_support.h"

#include <unistd.h>

/* ---- the budget ----------------------------------------------------------------------- */

/* With nothing in memory, and that budget. */
static void begin_anew(struct fixture *f, uint64_t budget)
{
    dataset_relations_free(f->lake.relations);
    f->lake.relations = NULL;
    dataset_hot_free(f->lake.hot);
    f->lake.hot = dataset_hot_new(budget);
}

static void put_half(struct fixture *f, int round)
{
    char name[32];
    struct engine_cell cells[100];
    struct tn_error err = {0};
    struct dataset_commit commit;
    snprintf(name, sizeof name, "round %d", round);
    for (int i = 0; i < 50; i++) {
        cells[2 * i] = (struct engine_cell){.integer = i};
        cells[2 * i + 1] = text(name);
    }
    const struct dataset_rows rows = {.op = DATASET_ROWS_UPSERT,
                                      .field_ids = ids,
                                      .column_count = 2,
                                      .cells = cells,
                                      .row_count = 50,
                                      .actor = "test",
                                      .source = "test"};
    must(dataset_rows_write(&f->lake, "t", &rows, &commit, &err), &err);
}

static void test_least_recently_used_goes_first(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    make_table(f, "a", HUNDRED, NULL, false);
    make_table(f, "b", HUNDRED, NULL, false);
    make_table(f, "c", HUNDRED, NULL, false);
    f->lake.pool = NULL;
    pin(f, "a");
    uint64_t one = dataset_hot_state(f->lake.hot).bytes;
    begin_anew(f, 2 * one + one / 2);
    pin(f, "a");
    pin(f, "b");
    /* Both are held on purpose: nobody goes for a third. */
    assert_int_equal(dataset_hot_pin(&f->lake, "c", &err), TN_ENOMEM);
    assert_non_null(strstr(err.detail, "more than is free"));
    dataset_hot_evict(&f->lake, "a");
    pin(f, "c");
    assert_false(is_hot(f, "a", 0));
    assert_true(is_hot(f, "b", 0));
    assert_true(is_hot(f, "c", 0));
    struct dataset_hot_state now = dataset_hot_state(f->lake.hot);
    assert_in_range(now.bytes, 1, now.budget);
    expect(f, "SELECT count(*) FROM a", "[100]");
}

/* What it is said to take grows with the rows that were added, and not with itself. */
static void test_a_copy_that_follows_is_counted_as_it_is(void **state)
{
    struct fixture *f = *state;
    make_table(f, "t", HUNDRED, "id", false);
    pin(f, "t");
    uint64_t first = dataset_hot_state(f->lake.hot).bytes;
    for (int round = 0; round < 60; round++) {
        put_half(f, round);
        (void)is_hot(f, "t", 0); /* who reads makes it follow */
    }
    assert_in_range(dataset_hot_state(f->lake.hot).bytes, 1, 200 * first + ((uint64_t)4 << 20));
}

/* What grows lets go of others, and at last of itself: the budget is hard, also for what is pinned. */
static void test_a_copy_that_grows_keeps_to_the_budget(void **state)
{
    struct fixture *f = *state;
    make_table(f, "other", HUNDRED, NULL, false);
    make_table(f, "t", HUNDRED, "id", false);
    f->lake.pool = NULL;
    pin(f, "t");
    uint64_t one = dataset_hot_state(f->lake.hot).bytes;
    begin_anew(f, 3 * one);
    pin(f, "other");
    pin(f, "t");
    bool held = true;
    for (int round = 0; round < 2000 && held; round++) {
        put_half(f, round);
        (void)is_hot(f, "t", 0); /* who reads makes it follow */
        struct dataset_hot_state now = dataset_hot_state(f->lake.hot);
        assert_in_range(now.bytes, 1, now.budget);
        held = is_hot(f, "t", 0);
    }
    assert_false(held);
    assert_true(is_hot(f, "other", 0));
    same_both_ways(f, ALL, NULL);
}

/* What is told against what the engine came to hold. */
static void expect_measured(struct fixture *f, const char *name, const char *sql)
{
    struct engine_usage before, after;
    uint64_t told = dataset_hot_state(f->lake.hot).bytes;
    make_table(f, name, sql, NULL, false);
    engine_usage(f->lake.engine, &before);
    pin(f, name);
    engine_usage(f->lake.engine, &after);
    uint64_t held = after.memory_bytes - before.memory_bytes;
    told = dataset_hot_state(f->lake.hot).bytes - told;
    assert_in_range(told, held - held / 4, held + held / 2);
}

static void test_what_a_copy_takes_is_measured(void **state)
{
    struct fixture *f = *state;
    f->lake.pool = NULL;
    expect_measured(f, "long", "SELECT i::BIGINT AS id, repeat(md5(i::VARCHAR), 5) AS name FROM range(250000) t(i)");
    expect_measured(f, "few", "SELECT i::BIGINT AS id, 'city ' || (i % 50) AS name FROM range(1000000) t(i)");
    expect_measured(f, "same", "SELECT i::BIGINT AS id, repeat('x', 200) AS name FROM range(1000000) t(i)");
}

static void test_without_budget_nothing_is_held(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    make_table(f, "t", HUNDRED, "id", false);
    dataset_hot_free(f->lake.hot);
    f->lake.hot = dataset_hot_new(0);
    assert_int_equal(dataset_hot_pin(&f->lake, "t", &err), TN_ENOMEM);
    assert_false(is_hot(f, "t", 0));
    expect(f, "SELECT count(*) FROM t", "[100]");
}

/* ---- how rows lie ---------------------------------------------------------------------- */

/* Texts that repeat and texts that do not, with and without NULL, bytes, lists and a name that needs quotes. */
#define MIXED                                                                                                        \
    "SELECT i::BIGINT AS id, CASE WHEN i % 7 > 0 THEN 'city ' || (i % 30) END AS city, 'c' || (i % 3) AS \"a b\", "  \
    "'unlike ' || i * 7919 AS unlike, CASE WHEN i % 5 > 0 THEN repeat('x', i::INT % 90) || i END AS long, "          \
    "encode('b' || (i % 4)) AS bytes, ['t' || (i % 5)] AS tags, (i / 2)::DECIMAL(9,2) AS price "                     \
    "FROM range(40000) t(i)"

static void make_mixed(struct fixture *f)
{
    static const struct dataset_column columns[] = {
        {.name = "id", .sql_type = "BIGINT"},      {.name = "city", .sql_type = "VARCHAR"},
        {.name = "a b", .sql_type = "VARCHAR"},    {.name = "unlike", .sql_type = "VARCHAR"},
        {.name = "long", .sql_type = "VARCHAR"},   {.name = "bytes", .sql_type = "BLOB"},
        {.name = "tags", .sql_type = "VARCHAR[]"}, {.name = "price", .sql_type = "DECIMAL(9,2)"}};
    append_rows(f, "t", columns, TN_COUNT(columns), "id", MIXED);
}

static bool take_text(void *context, size_t count, const char *const *values)
{
    for (size_t i = 0; i < count; i++)
        tn_buf_printf(context, "%s ", values[i] ? values[i] : "NULL");
    return true;
}

/* What a SELECT that Tarn wrote gives. */
static void expect_trusted(struct fixture *f, const char *sql, const char *expected)
{
    struct tn_error err = {0};
    TN_AUTO_BUF out = {0};
    must(engine_run(f->lake.engine, sql, take_text, &out, &err), &err);
    assert_string_equal(out.data ? out.data : "", expected);
}

#define DATABASES "SELECT count(*) FROM duckdb_databases() WHERE database_name LIKE 'hot:%'"

static void test_texts_that_repeat_are_dictionaries(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    TN_AUTO_BUF name = {0}, sql = {0};
    make_mixed(f);
    pin(f, "t");
    assert_true(is_hot(f, "t", 0));
    must(engine_run(f->lake.engine, "SELECT database_name FROM duckdb_databases() WHERE database_name LIKE 'hot:%'",
                    take_text, &name, &err),
         &err);
    tn_buf_printf(
        &sql,
        "SELECT column_name, string_agg(DISTINCT compression, '+') FROM pragma_storage_info('\"%.*s\".main.base') "
        "WHERE segment_type IN ('VARCHAR', 'BLOB') AND NOT contains(column_path, '1') "
        "AND column_name <> 'tags' GROUP BY 1 ORDER BY 1",
        (int)name.len - 1, name.data);
    expect_trusted(f, sql.data,
                   "a b DICT_FSST bytes Uncompressed city DICT_FSST long Uncompressed unlike Uncompressed ");
    same_both_ways(f, ALL, NULL);
    same_both_ways(f, "SELECT city, \"a b\", count(*), sum(price), min(\"long\") FROM t GROUP BY ALL ORDER BY ALL",
                   NULL);
    same_both_ways(f, "SELECT count(*) FROM t WHERE city = 'city 3' OR city IS NULL OR upper(\"a b\") = 'C2'", NULL);
    same_both_ways(f, "SELECT typeof(city), typeof(bytes), typeof(unlike), typeof(tags) FROM t LIMIT 1", NULL);
}

static void test_a_copy_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    make_mixed(f);
    pin(f, "t");
    expect_trusted(f, DATABASES, "1 ");
    dataset_hot_evict(&f->lake, "t");
    expect_trusted(f, DATABASES, "0 ");
    pin(f, "t");
    erase(f, 3);
    erase(f, 39999);
    assert_true(is_hot(f, "t", 0));
    same_both_ways(f, ALL, NULL);
    same_both_ways(f, "SELECT city, count(*) FROM t GROUP BY ALL ORDER BY ALL", NULL);
}

/* An engine of its own that does not spill. */
static struct engine *small_engine(uint64_t memory_bytes)
{
    struct tn_error err = {0};
    const struct engine_options options = {.threads = 1, .memory_bytes = memory_bytes, .temp_folder = ""};
    struct engine *engine = NULL;
    must(engine_open(&options, &engine, &err), &err);
    return engine;
}

#define LARGE                                                                                                        \
    "SELECT 0::INTEGER AS tarn_file, i AS tarn_pos, i AS id, 'city ' || (i % 3) AS city, 'x' AS \"a b\", "           \
    "md5('' || i) || md5('-' || i) AS unlike, md5('+' || i) AS long, NULL::BLOB AS bytes, "                          \
    "NULL::VARCHAR[] AS tags, NULL::DECIMAL(9,2) AS price FROM range(400000) t(i)"

/* Encoding takes more memory than the plain table: where there is none, the copy is plain. */
static void test_a_copy_is_plain_where_memory_is_short(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct engine_usage plain;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    make_mixed(f);
    must(catalog_load(f->lake.catalog, "t", &metadata, &err), &err);

    TN_CLEANUP(engine_close_p) struct engine *plenty = small_engine((uint64_t)1 << 30);
    must(engine_run(plenty, "CREATE TABLE plain AS " LARGE, NULL, NULL, &err), &err);
    engine_usage(plenty, &plain);

    TN_CLEANUP(engine_close_p) struct engine *little = small_engine(plain.memory_bytes + plain.memory_bytes / 4);
    struct hot_table *table = hot_table_new(f->lake.hot, little, metadata->schema);
    must(hot_tables_create(table, LARGE, 400000, &err), &err);
    TN_AUTO_BUF sql = {0}, out = {0};
    tn_buf_printf(&sql, "SELECT count(*) FROM " HOT_BASE, (unsigned long long)table->serial);
    tn_buf_printf(&sql, "; SELECT string_agg(DISTINCT compression, '+') FROM pragma_storage_info('" HOT_BASE "')",
                  (unsigned long long)table->serial);
    must(engine_run(little, sql.data, take_text, &out, &err), &err);
    assert_string_equal(out.data, "400000 Uncompressed ");
    hot_table_unref(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_least_recently_used_goes_first),        TEST(test_a_copy_that_follows_is_counted_as_it_is),
        TEST(test_a_copy_that_grows_keeps_to_the_budget), TEST(test_what_a_copy_takes_is_measured),
        TEST(test_without_budget_nothing_is_held),        TEST(test_texts_that_repeat_are_dictionaries),
        TEST(test_a_copy_leaves_nothing_behind),          TEST(test_a_copy_is_plain_where_memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
