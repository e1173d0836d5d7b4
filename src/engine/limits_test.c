/* What keeps one query from harming the others: time, cancel, memory, disk,
 * and results larger than memory. */
#include "engine/engine_test_support.h"

#include <pthread.h>
#include <sys/resource.h>

/* Never ends by itself; hands out no row. */
#define ENDLESS "SELECT sum(a.range * b.range + c.range) FROM range(1000000) a, range(1000000) b, range(1000000) c"
/* Hands out rows for ever. */
#define ENDLESS_ROWS "SELECT a.range + b.range FROM range(10000000) a, range(10000000) b"

static struct fixture fixture;

static int setup(void **state)
{
    (void)state;
    return fixture_open(&fixture, UINT64_C(200) << 20, 8);
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&fixture);
    return 0;
}

static void test_timeout(void **state)
{
    (void)state;
    struct engine_query_options options = fixture_query(&fixture, ENDLESS);
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    options.timeout_ms = 50;
    assert_int_equal(fixture_fill(&fixture, &options, ENGINE_NDJSON, &out, &err), TN_ETIMEOUT);
    assert_non_null(strstr(err.detail, "50"));
    /* While rows flow the deadline holds too: one that leaves time for the start. */
    options = fixture_query(&fixture, ENDLESS_ROWS);
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    enum tn_code code = TN_ETIMEOUT;
    for (options.timeout_ms = 50; code == TN_ETIMEOUT; options.timeout_ms *= 2)
        code = engine_query_start(fixture.engine, &options, &query, &err);
    assert_int_equal(code, TN_OK);
    TN_CLEANUP(engine_writer_free_p) struct engine_writer *writer = engine_writer_new(query, ENGINE_CSV);
    bool done = false;
    while (code == TN_OK && !done) {
        tn_buf_clear(&out);
        code = engine_writer_fill(writer, 65536, &out, &done, &err);
    }
    assert_int_equal(code, TN_ETIMEOUT);
    fixture_expect(&fixture, "SELECT count(*) FROM numbers", "[100000]");
}

struct canceller {
    struct engine_query *query;
    atomic_bool go;
};

static void *cancel_when_told(void *argument)
{
    struct canceller *canceller = argument;
    while (!atomic_load(&canceller->go))
        usleep(500);
    engine_query_cancel(canceller->query);
    return NULL;
}

static void test_cancel(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        struct engine_query_options options = fixture_query(&fixture, ENDLESS_ROWS);
        struct canceller canceller = {0};
        struct tn_error err = {0};
        assert_int_equal(engine_query_start(fixture.engine, &options, &canceller.query, &err), TN_OK);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, cancel_when_told, &canceller), 0);
        struct engine_writer *writer = engine_writer_new(canceller.query, ENGINE_JSON_ROWS);
        TN_AUTO_BUF out = {0};
        bool done = false;
        enum tn_code code = TN_OK;
        for (unsigned i = 0; code == TN_OK; i++) {
            if (i == round)
                atomic_store(&canceller.go, true);
            tn_buf_clear(&out);
            code = engine_writer_fill(writer, 4096, &out, &done, &err);
        }
        pthread_join(thread, NULL);
        assert_int_equal(code, TN_ECANCELLED);
        engine_writer_free(writer);
        engine_query_free(canceller.query);
        /* The same connection serves the next query as if nothing had been. */
        fixture_expect(&fixture, "SELECT count(*), max(label) FROM numbers", "[100000,\"row 99999\"]");
    }
}

static void *raise_flag(void *argument)
{
    usleep(30000);
    atomic_store((atomic_bool *)argument, true);
    return NULL;
}

static void test_cancel_start(void **state)
{
    (void)state;
    atomic_bool cancel = false;
    struct engine_query_options options = fixture_query(&fixture, ENDLESS);
    options.cancel = &cancel;
    struct tn_error err = {0};
    struct engine_query *query = NULL;
    TN_AUTO_BUF out = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, raise_flag, &cancel), 0);
    assert_int_equal(fixture_fill(&fixture, &options, ENGINE_CSV, &out, &err), TN_ECANCELLED);
    pthread_join(thread, NULL);
    /* Raised before the start: nothing begins. */
    options = fixture_query(&fixture, "SELECT 1");
    options.cancel = &cancel;
    assert_int_equal(engine_query_start(fixture.engine, &options, &query, &err), TN_ECANCELLED);
    fixture_expect(&fixture, "SELECT 1", "[1]");
}

static void test_memory(void **state)
{
    (void)state;
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    /* A list cannot be spilled. */
    assert_int_equal(fixture_rows(&fixture,
                                  "SELECT len(list(range::VARCHAR || 'some more text')) FROM range(30000000)", &out,
                                  &err),
                     TN_ENOMEM);
    assert_non_null(strstr(err.hint, "sql.memory"));
    fixture_expect(&fixture, "SELECT 1", "[1]");
}

/* Within one call of a function DuckDB counts nothing: the process's bound
 * ends such a query. Last, since it holds for the rest of the process. */
static void test_process_bound(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* their allocators end the process when they get no memory */
#endif
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_DATA, &before), 0);
    engine_bound_process(fixture.engine);
    struct rlimit after;
    assert_int_equal(getrlimit(RLIMIT_DATA, &after), 0);
    assert_true(after.rlim_cur < before.rlim_cur && after.rlim_cur > UINT64_C(1) << 30);
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    assert_int_equal(fixture_rows(&fixture, "SELECT len(range(10000000 * 90))", &out, &err), TN_ENOMEM);
    assert_non_null(strstr(err.hint, "sql.memory"));
    fixture_expect(&fixture, "SELECT count(*) FROM numbers", "[100000]");
    assert_int_equal(setrlimit(RLIMIT_DATA, &before), 0);
}

static void test_disk(void **state)
{
    (void)state;
    char folder[] = "/tmp/tarn-spill-XXXXXX";
    assert_non_null(mkdtemp(folder));
    const char *folders[] = {folder};
    const struct engine_options options = {.memory_bytes = UINT64_C(60) << 20,
                                           .temp_folder = folder,
                                           .temp_bytes = 1 << 20,
                                           .threads = 2,
                                           .readable_folders = folders,
                                           .readable_count = 1};
    struct engine *engine = NULL;
    assert_int_equal(engine_open(&options, &engine, NULL), TN_OK);
    struct engine_query_options query_options = {
        .sql = "SELECT hash(range)::VARCHAR AS h, range FROM range(6000000) ORDER BY h"};
    query_options.sql_length = strlen(query_options.sql);
    struct fixture other = {.engine = engine};
    struct tn_error err = {0};
    TN_AUTO_BUF out = {0};
    enum tn_code code = fixture_fill(&other, &query_options, ENGINE_CSV, &out, &err);
    if (code != TN_EDISKFULL && code != TN_ENOMEM)
        fail_msg("%s %s", tn_code_word(code), err.detail);
    assert_non_null(strstr(err.hint, "sql."));
    engine_close(engine);
    assert_int_equal(tn_remove_tree(folder, NULL), TN_OK);
}

/* Ten million rows leave through a few hundred kilobytes. */
static void test_streaming(void **state)
{
    (void)state;
    struct engine_query_options options = fixture_query(
        &fixture, "SELECT range AS id, 'a text that is not short, row ' || range AS label FROM range(10000000)");
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    assert_int_equal(engine_query_start(fixture.engine, &options, &query, NULL), TN_OK);
    TN_CLEANUP(engine_writer_free_p) struct engine_writer *writer = engine_writer_new(query, ENGINE_ARROW);
    TN_AUTO_BUF out = {0};
    struct rusage before, after;
    bool done = false;
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    uint64_t bytes = 0;
    while (!done) {
        tn_buf_clear(&out);
        assert_int_equal(engine_writer_fill(writer, 262144, &out, &done, NULL), TN_OK);
        bytes += out.len;
    }
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_int_equal(engine_query_rows(query), 10000000);
    assert_true(bytes > UINT64_C(400) << 20);
    /* Sanitizers multiply every allocation; the whole result is still larger
     * by far. ru_maxrss is in kilobytes. */
    assert_true((uint64_t)(after.ru_maxrss - before.ru_maxrss) * 1024 < bytes / 3);
}

struct worker {
    pthread_t thread;
    unsigned number;
    unsigned failed;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (unsigned i = 0; i < 40; i++) {
        char sql[200], want[64];
        TN_AUTO_BUF out = {0};
        bool old = (i + worker->number) % 2;
        (void)snprintf(sql, sizeof sql, "SELECT count(*), %u FROM candidates%s, numbers WHERE n < %u", i % 3,
                       old ? " AT (VERSION => 1)" : "", i + 1);
        (void)snprintf(want, sizeof want, "[%u,%u]", (old ? 1 : 3) * (i + 1), i % 3);
        struct tn_error err = {0};
        enum tn_code code = fixture_rows(&fixture, sql, &out, &err);
        worker->failed += code != TN_OK || !tn_streq(out.data, want);
    }
    return NULL;
}

static void test_side_by_side(void **state)
{
    (void)state;
    struct worker workers[6] = {0};
    for (unsigned i = 0; i < TN_COUNT(workers); i++) {
        workers[i].number = i;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < TN_COUNT(workers); i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].failed, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streaming),    cmocka_unit_test(test_timeout),       cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_start), cmocka_unit_test(test_memory),        cmocka_unit_test(test_disk),
        cmocka_unit_test(test_side_by_side), cmocka_unit_test(test_process_bound),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
