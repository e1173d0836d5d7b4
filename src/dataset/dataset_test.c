/* Rows in, rows out, on a real store and the real engine. */
#include "dataset/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char folder[64];
    struct lake lake;
};

static void must(enum tn_code code, const struct tn_error *err)
{
    if (code != TN_OK)
        fail_msg("%s: %s (%s)", tn_code_word(code), err->detail, err->hint);
}

static void open_lake(struct fixture *f)
{
    struct tn_error err = {0};
    must(tn_random_init(&err), &err);
    must(store_open_local(f->folder, &f->lake.store, &err), &err);
    must(catalog_open(f->lake.store, &f->lake.catalog, &err), &err);
    const char *folders[] = {f->folder};
    const struct engine_options options = {
        .threads = 2, .temp_folder = "", .readable_folders = folders, .readable_count = 1};
    must(engine_open(&options, &f->lake.engine, &err), &err);
    f->lake.relations = dataset_relations_new();
}

static void close_lake(struct fixture *f)
{
    dataset_relations_free(f->lake.relations);
    engine_close(f->lake.engine);
    catalog_close(f->lake.catalog);
    store_close(f->lake.store);
}

static int set_up(void **state)
{
    struct fixture *f = tn_calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/tarn-dataset-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    open_lake(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close_lake(f);
    assert_int_equal(tn_remove_tree(f->folder, NULL), TN_OK);
    free(f);
    return 0;
}

static const struct dataset_column people[] = {
    {.name = "id", .original_name = "ID", .sql_type = "BIGINT"},
    {.name = "name", .original_name = "name", .sql_type = "VARCHAR"},
};

static const struct dataset_lineage nothing_special = {.ingest_id = "i1", .source = "test", .actor = "tester"};

/* Writes the rows of one SELECT as one commit. */
static enum tn_code write_rows(struct lake *lake, const char *name, enum dataset_mode mode,
                               const struct dataset_column *columns, size_t count, const char *sql,
                               const struct dataset_lineage *lineage, struct dataset_commit *ret,
                               struct tn_error *err)
{
    TN_CLEANUP(dataset_write_free_p) struct dataset_write *write = NULL;
    TN_TRY(dataset_write_begin(lake, name, mode, columns, count, &write, err));
    TN_TRY(dataset_write_file(write, 0, NULL, sql, NULL, NULL, err));
    return dataset_write_commit(write, lineage, ret, err);
}

/* The answer as JSON rows. */
static enum tn_code ask(struct lake *lake, const char *sql, const char *at, struct tn_buf *out, struct tn_error *err)
{
    const struct engine_query_options options = {
        .sql = sql, .sql_length = strlen(sql), .default_at = at, .resolver = dataset_resolver(lake)};
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    TN_TRY(engine_query_start(lake->engine, &options, &query, err));
    TN_CLEANUP(engine_writer_free_p) struct engine_writer *writer = engine_writer_new(query, ENGINE_JSON_ROWS);
    for (bool done = false; !done;)
        TN_TRY(engine_writer_fill(writer, 65536, out, &done, err));
    return TN_OK;
}

static void expect(struct fixture *f, const char *sql, const char *want)
{
    TN_AUTO_BUF got = {0};
    struct tn_error err = {0};
    must(ask(&f->lake, sql, NULL, &got, &err), &err);
    assert_string_equal(got.data ? got.data : "", want);
}

static void test_append_and_read(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    must(write_rows(&f->lake, "people", DATASET_APPEND, people, 2, "SELECT 1 AS id, 'Ada' AS name", &nothing_special,
                    &commit, &err),
         &err);
    assert_int_equal(commit.rows, 1);
    assert_false(commit.unchanged);
    expect(f, "SELECT id, name FROM people", "[1,\"Ada\"]");
    must(write_rows(&f->lake, "people", DATASET_APPEND, people, 2, "SELECT 2 AS id, 'Bob' AS name", &nothing_special,
                    &commit, &err),
         &err);
    expect(f, "SELECT count(*), max(id) FROM People", "[2,2]");

    close_lake(f); /* and again, from what is on disk alone */
    open_lake(f);
    expect(f, "SELECT id, name FROM people ORDER BY id DESC", "[2,\"Bob\"],[1,\"Ada\"]");
}

static void test_columns_come_and_widen(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    static const struct dataset_column narrow[] = {{.name = "id", .sql_type = "INTEGER"},
                                                   {.name = "x", .sql_type = "FLOAT"}};
    static const struct dataset_column wide[] = {{.name = "id", .sql_type = "BIGINT"},
                                                 {.name = "x", .sql_type = "DOUBLE"},
                                                 {.name = "tags", .sql_type = "VARCHAR[]"}};
    must(write_rows(&f->lake, "t", DATASET_APPEND, narrow, 2, "SELECT 1::INTEGER AS id, 0.5::FLOAT AS x",
                    &nothing_special, &commit, &err),
         &err);
    must(write_rows(&f->lake, "t", DATASET_APPEND, wide, 3, "SELECT 5000000000 AS id, 0.25 AS x, ['a','b'] AS tags",
                    &nothing_special, &commit, &err),
         &err);
    must(write_rows(&f->lake, "t", DATASET_APPEND, narrow, 1, "SELECT 2::INTEGER AS id", &nothing_special, &commit,
                    &err),
         &err);
    expect(f, "SELECT id, x, tags FROM t ORDER BY id", "[1,0.5,null],[2,null,null],[5000000000,0.25,[\"a\",\"b\"]]");
}

static void test_what_does_not_fit_is_listed(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    must(write_rows(&f->lake, "people", DATASET_APPEND, people, 2, "SELECT 1 AS id, 'Ada' AS name", &nothing_special,
                    &commit, &err),
         &err);
    static const struct dataset_column odd[] = {{.name = "id", .sql_type = "VARCHAR"},
                                                {.name = "name", .sql_type = "DATE"}};
    struct dataset_write *write = NULL;
    assert_int_equal(dataset_write_begin(&f->lake, "people", DATASET_APPEND, odd, 2, &write, &err), TN_ESCHEMA);
    assert_null(write);
    assert_non_null(strstr(err.detail, "id"));
    assert_non_null(strstr(err.detail, "name"));
    expect(f, "SELECT count(*) FROM people", "[1]");
}

static void test_replace_changes_types_and_keeps_history(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit first, second;
    must(write_rows(&f->lake, "people", DATASET_APPEND, people, 2, "SELECT 1 AS id, 'Ada' AS name", &nothing_special,
                    &first, &err),
         &err);
    static const struct dataset_column other[] = {{.name = "id", .sql_type = "VARCHAR"},
                                                  {.name = "city", .sql_type = "VARCHAR"}};
    must(write_rows(&f->lake, "people", DATASET_REPLACE, other, 2, "SELECT 'x7' AS id, 'Oslo' AS city",
                    &nothing_special, &second, &err),
         &err);
    expect(f, "SELECT * FROM people", "[\"x7\",\"Oslo\"]");
    TN_AUTO_BUF then = {0};
    char at[32];
    snprintf(at, sizeof at, "%lld", (long long)first.snapshot_id);
    must(ask(&f->lake, "SELECT * FROM people", at, &then, &err), &err);
    assert_string_equal(then.data, "[1,\"Ada\"]");
}

static void test_same_content_once(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit a, b, c;
    struct dataset_lineage lineage = nothing_special;
    lineage.content_hash = "abc";
    lineage.options_hash = "o1";
    const char *sql = "SELECT 1 AS id, 'Ada' AS name";
    must(write_rows(&f->lake, "people", DATASET_APPEND, people, 2, sql, &lineage, &a, &err), &err);
    must(write_rows(&f->lake, "people", DATASET_APPEND, people, 2, sql, &lineage, &b, &err), &err);
    assert_true(b.unchanged);
    assert_int_equal(a.snapshot_id, b.snapshot_id);
    expect(f, "SELECT count(*) FROM people", "[1]");
    lineage.options_hash = "o2"; /* the same bytes, read in another way */
    must(write_rows(&f->lake, "people", DATASET_APPEND, people, 2, sql, &lineage, &c, &err), &err);
    assert_false(c.unchanged);
    expect(f, "SELECT count(*) FROM people", "[2]");

    struct dataset_known known;
    must(dataset_find_content(&f->lake, "people", DATASET_APPEND, "abc", "o1", &known, &err), &err);
    assert_int_equal(known.snapshot_id, a.snapshot_id);
    assert_int_equal(dataset_find_content(&f->lake, "people", DATASET_REPLACE, "abc", "o1", &known, NULL),
                     TN_ENOTFOUND);
    lineage.options_hash = "o1"; /* replacing two loads by one of them is a change, once */
    must(write_rows(&f->lake, "people", DATASET_REPLACE, people, 2, sql, &lineage, &c, &err), &err);
    assert_false(c.unchanged);
    must(write_rows(&f->lake, "people", DATASET_REPLACE, people, 2, sql, &lineage, &c, &err), &err);
    assert_true(c.unchanged);
    expect(f, "SELECT count(*) FROM people", "[1]");
}

static void test_no_rows_make_an_empty_dataset(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    must(write_rows(&f->lake, "people", DATASET_APPEND, people, 2, "SELECT 1 AS id, 'Ada' AS name WHERE false",
                    &nothing_special, &commit, &err),
         &err);
    assert_int_equal(commit.rows, 0);
    expect(f, "SELECT count(*), count(name) FROM people", "[0,0]");
    must(write_rows(&f->lake, "people", DATASET_APPEND, people, 2, "SELECT 1 AS id, 'Ada' AS name", &nothing_special,
                    &commit, &err),
         &err);
    expect(f, "SELECT name FROM people", "[\"Ada\"]");
}

static bool count_file(void *context, const char *name)
{
    (void)name;
    ++*(int *)context;
    return true;
}

static void test_abandoned_write_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_write *write = NULL;
    must(dataset_write_begin(&f->lake, "gone", DATASET_APPEND, people, 2, &write, &err), &err);
    must(dataset_write_file(write, 0, NULL, "SELECT 1 AS id, 'Ada' AS name", NULL, NULL, &err), &err);
    dataset_write_free(write);
    struct tn_buf out = {0};
    assert_int_equal(ask(&f->lake, "SELECT * FROM gone", NULL, &out, &err), TN_EDATASET);
    tn_buf_release(&out);
    int folders = 0;
    must(store_list_folders(f->lake.store, "datasets", count_file, &folders, &err), &err);
    assert_int_equal(folders, 0);
    uint64_t removed = 99;
    must(store_clean_staging(f->lake.store, 0, &removed, &err), &err);
    assert_int_equal(removed, 0);
}

static void test_names_and_suggestions(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    must(write_rows(&f->lake, "people", DATASET_APPEND, people, 2, "SELECT 1 AS id, 'Ada' AS name", &nothing_special,
                    &commit, &err),
         &err);
    TN_AUTO_BUF out = {0};
    assert_int_equal(ask(&f->lake, "SELECT * FROM peeple", NULL, &out, &err), TN_EDATASET);
    assert_non_null(strstr(err.hint, "people"));
    TN_AUTO_BUF json = {0};
    struct tn_json writer = tn_json_writer(&json);
    must(catalog_describe(f->lake.catalog, "PEOPLE", &writer, &err), &err);
    assert_non_null(strstr(json.data, "\"original_name\":\"ID\""));
    assert_non_null(strstr(json.data, "\"rows\":1"));
    assert_non_null(strstr(json.data, "\"source\":\"test\""));
}

static void test_patch_and_drop(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    must(write_rows(&f->lake, "people", DATASET_APPEND, people, 2, "SELECT 1 AS id, 'Ada' AS name", &nothing_special,
                    &commit, &err),
         &err);
    TN_AUTO_JSON *patch = json_pack("{s:s, s:[s], s:{s:{s:s}}}", "owner", "hr", "tags", "core", "columns", "name",
                                    "sensitivity", "pii");
    must(catalog_patch(f->lake.catalog, "people", patch, &err), &err);
    TN_AUTO_JSON *bad = json_pack("{s:s}", "ownr", "hr");
    assert_int_equal(catalog_patch(f->lake.catalog, "people", bad, &err), TN_EFIELD);
    TN_AUTO_BUF json = {0};
    struct tn_json writer = tn_json_writer(&json);
    must(catalog_describe(f->lake.catalog, "people", &writer, &err), &err);
    assert_non_null(strstr(json.data, "\"owner\":\"hr\""));
    assert_non_null(strstr(json.data, "\"tags\":[\"core\"]"));
    assert_non_null(strstr(json.data, "\"sensitivity\":\"pii\""));
    expect(f, "SELECT name FROM people", "[\"Ada\"]");

    must(catalog_drop(f->lake.catalog, "people", &err), &err);
    TN_AUTO_BUF out = {0};
    assert_int_equal(ask(&f->lake, "SELECT * FROM people", NULL, &out, &err), TN_EDATASET);
    must(catalog_undrop(f->lake.catalog, "people", &err), &err);
    expect(f, "SELECT name FROM people", "[\"Ada\"]");
}

/* A table as another engine leaves it: a delete file that names two rows. */
static void test_position_deletes_are_honoured(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    must(write_rows(&f->lake, "people", DATASET_APPEND, people, 2,
                    "SELECT i AS id, 'n' || i AS name FROM range(10) r(i)", &nothing_special, &commit, &err),
         &err);
    must(write_rows(&f->lake, "people", DATASET_APPEND, people, 2,
                    "SELECT i AS id, 'n' || i AS name FROM range(10, 20) r(i)", &nothing_special, &commit, &err),
         &err);
    struct iceberg_table table = catalog_table(f->lake.catalog, arena, "people");
    struct iceberg_metadata *base = NULL;
    must(catalog_load(f->lake.catalog, "people", &base, &err), &err);
    struct iceberg_plan *plan = NULL;
    must(iceberg_plan_new(&table, base, NULL, NULL, 0, &plan, &err), &err);
    assert_int_equal(plan->file_count, 2);
    const char *target = plan->files[0].file->path;

    struct iceberg_tx *tx = iceberg_tx_new(&table, base);
    const char *key;
    const char *uri = iceberg_tx_new_file(tx, arena, "-deletes.parquet", &key);
    char *staged;
    must(store_stage_path(f->lake.store, arena, ".parquet", &staged, &err), &err);
    const struct engine_copy copy = {
        .select = tn_arena_printf(arena, "SELECT '%s' AS file_path, pos::BIGINT AS pos FROM (VALUES (2), (7)) v(pos)",
                                  target),
        .field_ids = "{'file_path': 2147483546, 'pos': 2147483545}",
        .local_path = staged,
    };
    struct engine_file_stats stats;
    must(engine_copy_parquet(f->lake.engine, &copy, arena, &stats, &err), &err);
    must(store_batch_put_file(iceberg_tx_batch(tx), key, staged, &err), &err);
    const struct iceberg_bytes path = {(const uint8_t *)target, strlen(target)};
    const struct iceberg_stats bounds[] = {{.field_id = ICEBERG_DELETE_PATH_ID,
                                            .column_size = -1,
                                            .value_count = 2,
                                            .null_count = 0,
                                            .nan_count = -1,
                                            .lower = path,
                                            .upper = path}};
    const struct iceberg_file deletes = {.content = ICEBERG_POSITION_DELETES,
                                         .path = uri,
                                         .record_count = 2,
                                         .size_bytes = (int64_t)stats.size_bytes,
                                         .stats = bounds,
                                         .stats_count = 1,
                                         .sort_order_id = ICEBERG_NONE,
                                         .referenced_data_file = target};
    must(iceberg_tx_add_file(tx, &deletes, &err), &err);
    struct iceberg_metadata *done = NULL;
    must(iceberg_tx_commit(tx, &done, &err), &err);
    catalog_publish(f->lake.catalog, "people", done);

    expect(f, "SELECT count(*), sum(id) FROM people", "[18,181]");
    expect(f, "SELECT id FROM people WHERE id IN (2, 3, 7, 12, 17) ORDER BY id", "[3],[12],[17]");
    TN_AUTO_BUF json = {0};
    struct tn_json writer = tn_json_writer(&json);
    must(catalog_describe(f->lake.catalog, "people", &writer, &err), &err);
    assert_non_null(strstr(json.data, "\"rows\":18"));
    iceberg_metadata_unref(done);
    iceberg_tx_free(tx);
    iceberg_plan_free(plan);
    iceberg_metadata_unref(base);
}

static enum tn_code write_keyed(struct lake *lake, enum dataset_mode mode, const char *sql, const char *key,
                                struct tn_error *err)
{
    TN_CLEANUP(dataset_write_free_p) struct dataset_write *write = NULL;
    struct dataset_commit commit;
    TN_TRY(dataset_write_begin(lake, "people", mode, people, 2, &write, err));
    if (key)
        TN_TRY(dataset_write_set_key(write, key, err));
    TN_TRY(dataset_write_file(write, 0, NULL, sql, NULL, NULL, err));
    return dataset_write_commit(write, &nothing_special, &commit, err);
}

static void expect_key(struct fixture *f, const char *want)
{
    TN_AUTO_BUF json = {0};
    struct tn_error err = {0};
    struct tn_json writer = tn_json_writer(&json);
    must(catalog_describe(f->lake.catalog, "people", &writer, &err), &err);
    if (!strstr(json.data, want))
        fail_msg("%s is not in %s", want, json.data);
}

static void test_key_is_kept_and_held_to(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    static const char one[] = "SELECT 1 AS id, 'Ada' AS name", two[] = "SELECT 2 AS id, 'Bob' AS name";
    static const char hole[] = "SELECT NULL::BIGINT AS id, 'Eve' AS name";
    assert_int_equal(write_keyed(&f->lake, DATASET_APPEND, one, "nobody", &err), TN_EREQUEST);
    assert_int_equal(write_keyed(&f->lake, DATASET_APPEND, one, "id,ID", &err), TN_EREQUEST);
    assert_int_equal(write_keyed(&f->lake, DATASET_APPEND, hole, "id", &err), TN_EREFUSED);
    must(write_keyed(&f->lake, DATASET_APPEND, one, "ID", &err), &err);
    expect_key(f, "\"key\":[\"id\"]");
    must(write_keyed(&f->lake, DATASET_APPEND, two, "id", &err), &err);
    assert_int_equal(write_keyed(&f->lake, DATASET_APPEND, two, NULL, &err), TN_EREFUSED);
    assert_non_null(strstr(err.detail, "the key 2 is there already"));
    assert_int_equal(write_keyed(&f->lake, DATASET_APPEND, two, "name", &err), TN_ESCHEMA);
    assert_int_equal(write_keyed(&f->lake, DATASET_APPEND, hole, NULL, &err), TN_EREFUSED);
    expect(f, "SELECT count(*) FROM people", "[2]");

    must(write_keyed(&f->lake, DATASET_REPLACE, one, NULL, &err), &err); /* the same columns keep it */
    expect_key(f, "\"key\":[\"id\"]");
    must(write_keyed(&f->lake, DATASET_REPLACE, one, "name, id", &err), &err);
    expect_key(f, "\"key\":[\"name\",\"id\"]");
    close_lake(f);
    open_lake(f);
    expect_key(f, "\"key\":[\"name\",\"id\"]");
    expect(f, "SELECT * FROM people", "[1,\"Ada\"]");
}

static size_t files_in(const char *definition)
{
    size_t count = 0;
    for (const char *at = definition; (at = strstr(at, ".parquet'")) != NULL; at++)
        count++;
    return count;
}

static struct engine_relation resolve_with(struct fixture *f, const struct engine_predicate *predicates, size_t count,
                                           struct tn_arena *arena)
{
    struct tn_error err = {0};
    struct engine_relation relation = {0};
    struct lake files = f->lake;
    files.relations = NULL; /* nothing out of memory */
    const struct engine_resolver resolver = dataset_resolver(&files);
    const struct engine_table_ref ref = {.name = "log", .predicates = predicates, .predicate_count = count};
    must(resolver.resolve(resolver.context, &ref, arena, &relation, &err), &err);
    return relation;
}

/* Files that cannot matter are left out, and no answer changes by it. */
static void test_conditions_leave_files_out(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    static const struct dataset_column columns[] = {{.name = "day", .sql_type = "DATE"},
                                                    {.name = "n", .sql_type = "BIGINT"},
                                                    {.name = "x", .sql_type = "DOUBLE"},
                                                    {.name = "who", .sql_type = "VARCHAR"}};
    for (int i = 0; i < 12; i++) {
        const char *sql = tn_arena_printf(arena,
                                          "SELECT DATE '2024-01-01' + %d AS day, %d + r AS n, CASE WHEN r = 3 THEN "
                                          "'NaN'::DOUBLE ELSE %d END AS x, 'p%02d' AS who FROM range(10) t(r)",
                                          i, i * 10, i, i);
        must(write_rows(&f->lake, "log", DATASET_APPEND, columns, 4, sql, &nothing_special, &commit, &err), &err);
    }
    const struct engine_value forty = {.kind = ENGINE_LITERAL_INTEGER, .text = "40"},
                              text40 = {.kind = ENGINE_LITERAL_TEXT, .text = "40"};
    const struct engine_value day = {.kind = ENGINE_LITERAL_DATE, .text = "2024-01-03"},
                              names[] = {{.kind = ENGINE_LITERAL_TEXT, .text = "p01"},
                                         {.kind = ENGINE_LITERAL_TEXT, .text = "p07"}};
    const struct engine_predicate cases[] = {
        {"N", ENGINE_GREATER_EQUAL, &forty, 1}, {"n", ENGINE_LESS, &forty, 1},   {"day", ENGINE_EQUAL, &day, 1},
        {"who", ENGINE_IN, names, 2},           {"n", ENGINE_EQUAL, &text40, 1}, {"x", ENGINE_GREATER, &forty, 1},
        {"nothing", ENGINE_EQUAL, &forty, 1},
    };
    static const size_t left[] = {8, 4, 1, 2, 12, 12, 12};
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        const struct engine_relation relation = resolve_with(f, &cases[i], 1, arena);
        assert_int_equal(files_in(relation.definition), left[i]);
        assert_int_equal(relation.variant != NULL, left[i] < 12);
    }
    expect(f, "SELECT count(*) FROM log WHERE n >= 40", "[80]");
    expect(f, "SELECT count(*) FROM log WHERE n >= 40 AND day = DATE '2024-01-06'", "[10]");
    expect(f, "SELECT count(*) FROM log WHERE who IN ('p01', 'p07')", "[20]");
    expect(f, "SELECT count(*) FROM log WHERE x > 1000", "[12]");
    expect(f, "SELECT count(*) FROM log l WHERE 110 <= l.n AND l.n BETWEEN 0 AND 115", "[6]");
    expect(f, "SELECT count(*), (SELECT count(*) FROM log) FROM log WHERE n < 5", "[5,120]");
    expect(f, "SELECT (SELECT max(n) FROM log WHERE n < 20), (SELECT min(n) FROM log WHERE n > 50)", "[19,51]");
    expect(f, "WITH late AS (FROM log WHERE n >= 110) SELECT count(*) FROM late", "[10]");
    expect(f, "SELECT count(*) FROM log WHERE n > 30 OR n < 5", "[94]");
    expect(f, "SELECT count(*) FROM log WHERE NOT n > 30", "[31]");
    expect(f, "SELECT count(*) FROM log", "[120]"); /* and the whole again on the same connection */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_append_and_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_columns_come_and_widen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_does_not_fit_is_listed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replace_changes_types_and_keeps_history, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_same_content_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_rows_make_an_empty_dataset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_abandoned_write_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_and_suggestions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_patch_and_drop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_position_deletes_are_honoured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_conditions_leave_files_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_key_is_kept_and_held_to, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
