/* Rows one by one: what becomes of them, who sees what, what the journal says. */
#include "dataset/cells.h"
#include "journal/journal.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataset/test_support.h"

/* ---- a table of (id BIGINT key, name VARCHAR, n BIGINT) ----------------------------- */

static void make_table(struct fixture *f, const char *sql, const char *key)
{
    static const struct dataset_column columns[] = {{.name = "id", .sql_type = "BIGINT"},
                                                    {.name = "name", .sql_type = "VARCHAR"},
                                                    {.name = "n", .sql_type = "BIGINT"}};
    append_rows(f, "t", columns, 3, key, sql);
}

#define THREE "SELECT i::BIGINT AS id, 'n' || i AS name, i * 10 AS n FROM range(1, 4) t(i)"

static struct engine_cell number(int64_t value)
{
    return (struct engine_cell){.integer = value};
}

static struct engine_cell text(const char *value)
{
    struct engine_cell cell = {0};
    cell.text.data = value;
    cell.text.length = strlen(value);
    return cell;
}

static const struct engine_cell nothing = {.null = true};
static const int32_t all_ids[] = {1, 2, 3};

static struct dataset_rows request(enum dataset_rows_op op, const struct engine_cell *cells, size_t rows)
{
    return (struct dataset_rows){.op = op,
                                 .field_ids = all_ids,
                                 .column_count = op == DATASET_ROWS_DELETE ? 1 : 3,
                                 .cells = cells,
                                 .row_count = rows,
                                 .actor = "ann",
                                 .source = "api"};
}

static enum tn_code upsert(struct fixture *f, int64_t id, const char *name, int64_t n, struct dataset_commit *ret,
                           struct tn_error *err)
{
    const struct engine_cell cells[] = {number(id), name ? text(name) : nothing, number(n)};
    const struct dataset_rows rows = request(DATASET_ROWS_UPSERT, cells, 1);
    return dataset_rows_write(&f->lake, "t", &rows, ret, err);
}

static int64_t newest_id(struct fixture *f)
{
    struct tn_error err = {0};
    ICEBERG_AUTO_METADATA *metadata = NULL;
    must(catalog_load(f->lake.catalog, "t", &metadata, &err), &err);
    return metadata->current ? metadata->current->id : 0;
}

static void note_finding(void *context, const struct iceberg_finding *finding)
{
    (void)context;
    if (finding->fatal)
        fail_msg("%s at %s: %s", finding->rule, finding->where, finding->text);
}

static void check_table(struct fixture *f)
{
    struct tn_error err = {0};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *metadata = NULL;
    must(catalog_load(f->lake.catalog, "t", &metadata, &err), &err);
    const struct iceberg_table table = catalog_table(f->lake.catalog, arena, "t");
    must(iceberg_check(&table, metadata, note_finding, NULL, &err), &err);
}

/* ---- one writer -------------------------------------------------------------------- */

static void test_rows_change_and_the_journal_says_so(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    make_table(f, THREE, "id");
    must(upsert(f, 2, "two", 20, &commit, &err), &err);
    assert_int_equal(commit.counts.updated, 1);
    assert_int_equal(commit.snapshot_id, newest_id(f));
    must(upsert(f, 9, NULL, 90, &commit, &err), &err);
    assert_int_equal(commit.counts.inserted, 1);

    static const int32_t some[] = {3, 1};
    const struct engine_cell patch_cells[] = {number(33), number(3)};
    const struct dataset_rows patch = {.op = DATASET_ROWS_PATCH,
                                       .field_ids = some,
                                       .column_count = 2,
                                       .cells = patch_cells,
                                       .row_count = 1,
                                       .actor = "bob",
                                       .source = "cli",
                                       .reason = "typo"};
    must(dataset_rows_write(&f->lake, "t", &patch, &commit, &err), &err);
    assert_int_equal(commit.counts.updated, 1);
    const struct engine_cell gone = number(1);
    const struct dataset_rows delete = request(DATASET_ROWS_DELETE, &gone, 1);
    must(dataset_rows_write(&f->lake, "t", &delete, &commit, &err), &err);
    assert_int_equal(commit.counts.deleted, 1);

    expect(f, "SELECT * FROM t ORDER BY id", "[2,\"two\",20],[3,\"n3\",33],[9,null,90]");
    expect(
        f,
        "SELECT entity, operation, field, old_value, new_value, actor, source, reason FROM journal "
        "WHERE entity IS NOT NULL ORDER BY sequence, ordinal",
        "[\"2\",\"update\",\"name\",\"\\\"n2\\\"\",\"\\\"two\\\"\",\"ann\",\"api\",null],"
        "[\"9\",\"insert\",null,null,\"{\\\"id\\\":9,\\\"name\\\":null,\\\"n\\\":90}\",\"ann\",\"api\",null],"
        "[\"3\",\"update\",\"n\",\"30\",\"33\",\"bob\",\"cli\",\"typo\"],"
        "[\"1\",\"delete\",null,\"{\\\"id\\\":1,\\\"name\\\":\\\"n1\\\",\\\"n\\\":10}\",null,\"ann\",\"api\",null]");
    check_table(f);
}

static void test_what_is_equal_writes_nothing(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    make_table(f, THREE, "id");
    int64_t before = newest_id(f);
    must(upsert(f, 2, "n2", 20, &commit, &err), &err);
    assert_true(commit.unchanged);
    assert_int_equal(commit.counts.unchanged, 1);
    assert_int_equal(commit.snapshot_id, before);
    assert_int_equal(newest_id(f), before);
}

static void refused(struct fixture *f, const struct dataset_rows *rows, enum tn_code code, const char *why)
{
    struct tn_error err = {0};
    struct dataset_commit commit = {.snapshot_id = 77};
    int64_t before = newest_id(f);
    assert_int_equal(dataset_rows_write(&f->lake, "t", rows, &commit, &err), code);
    if (!strstr(err.detail, why))
        fail_msg("\"%s\" is not in: %s", why, err.detail);
    assert_int_equal(commit.snapshot_id, 77);
    assert_int_equal(newest_id(f), before);
}

static void test_what_is_refused_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    make_table(f, THREE, "id");
    const struct engine_cell two[] = {number(7), text("a"), number(1), number(2), text("b"), number(2)};
    struct dataset_rows rows = request(DATASET_ROWS_APPEND, two, 2);
    refused(f, &rows, TN_EREFUSED, "the key 2 is there already");
    const struct engine_cell same[] = {number(7), text("a"), number(1), number(7), text("b"), number(2)};
    rows = request(DATASET_ROWS_UPSERT, same, 2);
    refused(f, &rows, TN_EREFUSED, "the key 7 is there twice: in rows 1 and 2");
    const struct engine_cell hole[] = {nothing, text("a"), number(1)};
    rows = request(DATASET_ROWS_UPSERT, hole, 1);
    refused(f, &rows, TN_EREFUSED, "\"id\"");
    const struct engine_cell missing[] = {number(70), text("a"), number(1)};
    rows = request(DATASET_ROWS_PATCH, missing, 1);
    refused(f, &rows, TN_ENOTFOUND, "no row has the key 70");
    rows = request(DATASET_ROWS_DELETE, missing, 1);
    refused(f, &rows, TN_ENOTFOUND, "no row has the key 70");
    rows = request(DATASET_ROWS_UPSERT, missing, 1);
    rows.if_snapshot = newest_id(f) + 1;
    refused(f, &rows, TN_EPRECONDITION, "newest snapshot");
    rows.if_snapshot = 0;
    rows.field_ids = (const int32_t[]){1, 2, 44};
    refused(f, &rows, TN_ESCHEMA, "not in the dataset any more");
    rows = request(DATASET_ROWS_WHERE, NULL, 0);
    rows.predicate = "id IN (SELECT 1)";
    struct tn_error err = {0};
    struct dataset_commit commit;
    assert_int_not_equal(dataset_rows_write(&f->lake, "t", &rows, &commit, &err), TN_OK);
    expect(f, "SELECT count(*), sum(n) FROM t", "[3,60]");
    expect(f, "SELECT count(*) FROM journal WHERE entity IS NOT NULL", "[0]");
}

static void test_a_condition_that_holds(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    make_table(f, THREE, "id");
    const struct engine_cell cells[] = {number(2), text("now"), number(0)};
    struct dataset_rows rows = request(DATASET_ROWS_UPSERT, cells, 1);
    rows.if_snapshot = newest_id(f);
    must(dataset_rows_write(&f->lake, "t", &rows, &commit, &err), &err);
    refused(f, &rows, TN_EPRECONDITION, "newest snapshot");
    const struct engine_cell missing = number(70);
    rows = request(DATASET_ROWS_DELETE, &missing, 1);
    rows.ignore_missing = true;
    must(dataset_rows_write(&f->lake, "t", &rows, &commit, &err), &err);
    assert_int_equal(commit.counts.deleted, 0);
}

static const struct dataset_who ann = {.actor = "ann"}, tidy = {.actor = "ann", .reason = "tidy"};

static void test_rows_without_a_key(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    make_table(f, THREE, NULL);
    const struct engine_cell cells[] = {number(1), text("a"), number(1), number(1), text("a"), number(1)};
    struct dataset_rows rows = request(DATASET_ROWS_APPEND, cells, 2);
    must(dataset_rows_write(&f->lake, "t", &rows, &commit, &err), &err);
    assert_int_equal(commit.counts.inserted, 2);
    rows.op = DATASET_ROWS_UPSERT;
    refused(f, &rows, TN_EREFUSED, "has no key");
    rows = request(DATASET_ROWS_WHERE, NULL, 0);
    rows.predicate = "id = 1 AND n < 10";
    must(dataset_rows_write(&f->lake, "t", &rows, &commit, &err), &err);
    assert_int_equal(commit.counts.deleted, 2);
    expect(f, "SELECT id FROM t ORDER BY id", "[1],[2],[3]");
    assert_int_equal(dataset_set_key(&f->lake, "t", "nobody", &ann, &err), TN_EREQUEST);
    must(dataset_set_key(&f->lake, "t", "id", &tidy, &err), &err);
    must(upsert(f, 1, "one", 1, &commit, &err), &err);
    assert_int_equal(commit.counts.updated, 1);
    check_table(f);
}

static void test_a_key_must_fit_the_rows(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    make_table(f, "SELECT i // 2 AS id, CASE WHEN i < 5 THEN 'x' END AS name, i AS n FROM range(10) t(i)", NULL);
    assert_int_equal(dataset_set_key(&f->lake, "t", "id", &ann, &err), TN_EREFUSED);
    assert_non_null(strstr(err.detail, "5 keys are there more than once, the first is 0"));
    assert_int_equal(dataset_set_key(&f->lake, "t", "n,name", &ann, &err), TN_EREFUSED);
    assert_non_null(strstr(err.detail, "\"name\""));
    assert_non_null(strstr(err.detail, "NULL in 5 rows"));
    must(dataset_set_key(&f->lake, "t", "id, n", &ann, &err), &err);
    must(dataset_set_key(&f->lake, "t", "id, n", &ann, &err), &err);
    const struct engine_cell cells[] = {number(0), text("new"), number(1)};
    const struct dataset_rows rows = request(DATASET_ROWS_UPSERT, cells, 1);
    struct dataset_commit commit;
    must(dataset_rows_write(&f->lake, "t", &rows, &commit, &err), &err);
    assert_int_equal(commit.counts.updated, 1);
    expect(f, "SELECT entity, old_value, new_value FROM journal WHERE entity IS NOT NULL",
           "[\"[0,1]\",\"\\\"x\\\"\",\"\\\"new\\\"\"]");
    expect(f, "SELECT operation, new_value FROM journal WHERE operation = 'schema'",
           "[\"schema\",\"{\\\"old_key\\\":[],\\\"key\\\":[\\\"id\\\",\\\"n\\\"]}\"]");
    check_table(f);
}

static void test_many_rows_by_predicate(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    make_table(f, "SELECT i AS id, 'n' || i AS name, i % 10 AS n FROM range(160000) t(i)", "id");
    must(upsert(f, 5, "n", 1, &commit, &err), &err);
    struct dataset_rows rows = request(DATASET_ROWS_WHERE, NULL, 0);
    rows.predicate = "n < 7";
    must(dataset_rows_write(&f->lake, "t", &rows, &commit, &err), &err);
    assert_int_equal(commit.counts.deleted, 112000);
    expect(f, "SELECT count(*), min(n) FROM t", "[48000,7]");
    expect(f, "SELECT operation, rows FROM journal WHERE entity IS NULL ORDER BY sequence DESC LIMIT 1",
           "[\"delete\",112000]");
    rows.predicate = "n < 9";
    must(dataset_rows_write(&f->lake, "t", &rows, &commit, &err), &err);
    assert_int_equal(commit.counts.deleted, 32000);
    expect(f, "SELECT count(*) FROM journal WHERE operation = 'delete' AND entity IS NOT NULL", "[32000]");
    check_table(f);
}

/* ---- many writers ------------------------------------------------------------------- */

#define WRITERS 8
#define TURNS   12

struct writer {
    struct fixture *f;
    pthread_t thread;
    int number;
    int failed;
};

static void *write_same_key(void *context)
{
    struct writer *writer = context;
    for (int turn = 0; turn < TURNS; turn++) {
        struct dataset_commit commit = {0};
        struct tn_error err = {0};
        enum tn_code code = upsert(writer->f, 1, "same", writer->number * 1000 + turn, &commit, &err);
        writer->failed += code != TN_OK || commit.counts.updated != 1 || commit.snapshot_id == 0;
        /* Keys of its own, and one that everybody wants to be the first to add. */
        const struct engine_cell own[] = {number(100 + writer->number * 100 + turn), text("own"), number(1)};
        struct dataset_rows rows = request(DATASET_ROWS_APPEND, own, 1);
        writer->failed += dataset_rows_write(&writer->f->lake, "t", &rows, &commit, &err) != TN_OK;
        const struct engine_cell first[] = {number(10000 + turn), text("first"), number(writer->number)};
        rows = request(DATASET_ROWS_APPEND, first, 1);
        code = dataset_rows_write(&writer->f->lake, "t", &rows, &commit, &err);
        writer->failed += code != TN_OK && code != TN_EREFUSED;
    }
    return NULL;
}

static void run_writers(struct fixture *f, void *(*work)(void *))
{
    struct writer writers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.f = f, .number = i};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, work, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
        assert_int_equal(writers[i].failed, 0);
    }
}

static void test_writers_of_one_key_are_all_there(void **state)
{
    struct fixture *f = *state;
    make_table(f, THREE, "id");
    run_writers(f, write_same_key);
    TN_AUTO_BUF want = {0};
    tn_buf_printf(&want, "[%d]", WRITERS * TURNS);
    expect(f, "SELECT count(*) FROM t WHERE name = 'own'", want.data);
    expect(f, "SELECT count(*) FROM journal WHERE entity = '1' AND field = 'n'", want.data);
    tn_buf_clear(&want);
    tn_buf_printf(&want, "[%d,%d]", TURNS, TURNS);
    expect(f, "SELECT count(*), count(DISTINCT id) FROM t WHERE name = 'first'", want.data);
    /* Each change of the key begins where the one before it ended. */
    expect(f,
           "SELECT count(*) FROM (SELECT old_value, lag(new_value) OVER (ORDER BY sequence, ordinal) AS before "
           "FROM journal WHERE entity = '1' AND field = 'n') WHERE before IS NOT NULL AND before <> old_value",
           "[0]");
    expect(f,
           "SELECT (SELECT n FROM t WHERE id = 1) = (SELECT new_value::BIGINT FROM journal WHERE entity = '1' AND "
           "field = 'n' ORDER BY sequence DESC, ordinal DESC LIMIT 1)",
           "[true]");
    check_table(f);
}

static void *write_or_delete(void *context)
{
    struct writer *writer = context;
    for (int turn = 0; turn < TURNS; turn++) {
        struct dataset_commit commit = {0};
        struct tn_error err = {0};
        writer->failed += upsert(writer->f, 500, "x", writer->number * 100 + turn, &commit, &err) != TN_OK;
        const struct engine_cell key = number(500);
        struct dataset_rows rows = request(DATASET_ROWS_DELETE, &key, 1);
        rows.ignore_missing = true;
        if (turn % 2)
            writer->failed += dataset_rows_write(&writer->f->lake, "t", &rows, &commit, &err) != TN_OK;
        rows = request(DATASET_ROWS_WHERE, NULL, 0);
        rows.predicate = "id = 501";
        if (turn % 5 == 4)
            writer->failed += dataset_rows_write(&writer->f->lake, "t", &rows, &commit, &err) != TN_OK;
    }
    return NULL;
}

static void test_a_row_that_comes_and_goes(void **state)
{
    struct fixture *f = *state;
    make_table(f, THREE, "id");
    run_writers(f, write_or_delete);
    /* Inserts and deletes alternate: never two of a kind in a row. */
    expect(f,
           "SELECT count(*) FROM (SELECT operation, lag(operation) OVER (ORDER BY sequence, ordinal) AS before "
           "FROM journal WHERE entity = '500' AND operation <> 'update') WHERE operation = before",
           "[0]");
    expect(f,
           "SELECT (SELECT count(*) FROM t WHERE id = 500) = sum(CASE operation WHEN 'insert' THEN 1 WHEN 'delete' "
           "THEN -1 ELSE 0 END) FROM journal WHERE entity = '500'",
           "[true]");
    check_table(f);
}

/* ---- somebody else ------------------------------------------------------------------- */

static void foreign_commit(struct fixture *f)
{
    struct tn_error err = {0};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *metadata = NULL, *done = NULL;
    must(catalog_load(f->lake.catalog, "t", &metadata, &err), &err);
    const struct iceberg_table table = catalog_table(f->lake.catalog, arena, "t");
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&table, metadata);
    iceberg_tx_set_summary(tx, "by", "somebody else");
    must(iceberg_tx_commit(tx, &done, &err), &err);
}

static void test_another_writer_came_first(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    struct dataset_commit commit;
    make_table(f, THREE, "id");
    int64_t before = newest_id(f);
    foreign_commit(f); /* the catalog does not know of it */
    const struct engine_cell cells[] = {number(2), text("late"), number(0)};
    struct dataset_rows rows = request(DATASET_ROWS_UPSERT, cells, 1);
    rows.if_snapshot = before;
    assert_int_equal(dataset_rows_write(&f->lake, "t", &rows, &commit, &err), TN_EPRECONDITION);
    foreign_commit(f);
    must(upsert(f, 2, "two", 2, &commit, &err), &err);
    expect(f, "SELECT name FROM t WHERE id = 2", "[\"two\"]");
    expect(f, "SELECT count(*) FROM journal WHERE entity = '2'", "[2]");
    check_table(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows_change_and_the_journal_says_so, set_up_for_rows,
                                        tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_what_is_equal_writes_nothing, set_up_for_rows, tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_what_is_refused_leaves_no_trace, set_up_for_rows, tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_a_condition_that_holds, set_up_for_rows, tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_rows_without_a_key, set_up_for_rows, tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_a_key_must_fit_the_rows, set_up_for_rows, tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_many_rows_by_predicate, set_up_for_rows, tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_writers_of_one_key_are_all_there, set_up_for_rows, tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_a_row_that_comes_and_goes, set_up_for_rows, tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_another_writer_came_first, set_up_for_rows, tear_down_for_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
