/* With a lake: rolled into the table, read as SQL, made again from both; imports. */
#include "base/test_support.h"
#include "outcome/outcome_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Instead of the library's: the table's fsyncs fail from the n-th on, as they do on a
 * disk that breaks. The store calls it on threads of its own. */
static atomic_int fsyncs_seen, fsyncs_fail_from;
static _Atomic(const char *) fsyncs_of = "";

int fsync(int fd)
{
    char link[64], path[4096];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[TN_MAX(length, 0)] = '\0';
    if (strstr(path, "outcomes/events") && tn_str_ends_with(path, atomic_load(&fsyncs_of))) {
        int from = atomic_load(&fsyncs_fail_from), seen = atomic_fetch_add(&fsyncs_seen, 1) + 1;
        if (from > 0 && seen >= from) {
            errno = EIO;
            return -1;
        }
    }
    return (int)syscall(SYS_fsync, fd);
}

/* The n-th and all that follow; 0: all is well. Of paths that end so. */
static void fail_fsyncs(int from, const char *of)
{
    atomic_store(&fsyncs_of, of);
    atomic_store(&fsyncs_seen, 0);
    atomic_store(&fsyncs_fail_from, from);
}

struct fixture {
    const char *folder;
    struct lake lake;
    struct outcome_store *store;
};

static void open_all(struct fixture *f)
{
    assert_ok(tn_random_init(&test_err));
    assert_ok(store_open_local(f->folder, &f->lake.store, &test_err));
    assert_ok(catalog_open(f->lake.store, &f->lake.catalog, &test_err));
    const char *folders[] = {f->folder};
    const struct engine_options options = {
        .threads = 2, .temp_folder = "", .readable_folders = folders, .readable_count = 1};
    assert_ok(engine_open(&options, &f->lake.engine, &test_err));
    TN_AUTO_FREE char *folder = tn_asprintf("%s/outcomes", f->folder);
    const struct outcome_options outcomes = {.folder = folder, .lake = &f->lake};
    assert_ok(outcome_open(&outcomes, &f->store, &test_err));
    f->lake.extra = outcome_tables(f->store);
}

static void close_all(struct fixture *f)
{
    outcome_close(f->store);
    engine_close(f->lake.engine);
    catalog_close(f->lake.catalog);
    store_close(f->lake.store);
    *f = (struct fixture){.folder = f->folder};
}

static void record(struct fixture *f, size_t count, const char *model, const char *key)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct outcome_event *events = TN_ARENA_ARRAY(arena, struct outcome_event, count);
    struct outcome_recorded done;
    for (size_t i = 0; i < count; i++)
        events[i] = (struct outcome_event){.task_type = "t",
                                           .model_id = model,
                                           .success = i % 4 != 0,
                                           .timeout = i % 8 == 0,
                                           .tokens_used = (int64_t)i,
                                           .cost_usd = 0.5,
                                           .key = key ? tn_arena_printf(arena, "%s%zu", key, i) : NULL,
                                           .source = "test"};
    assert_ok(outcome_record(f->store, events, count, &done, &test_err));
    assert_int_equal(done.recorded, count);
}

/* The rows of a query as JSON. */
static void expect(struct fixture *f, const char *sql, const char *want)
{
    TN_AUTO_BUF got = {0};
    const struct engine_query_options options = {
        .sql = sql, .sql_length = strlen(sql), .resolver = dataset_resolver(&f->lake)};
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    assert_ok(engine_query_start(f->lake.engine, &options, &query, &test_err));
    TN_CLEANUP(engine_writer_free_p) struct engine_writer *writer = engine_writer_new(query, ENGINE_JSON_ROWS);
    for (bool done = false; !done;)
        assert_ok(engine_writer_fill(writer, 65536, &got, &done, &test_err));
    assert_string_equal(got.data ? got.data : "", want);
}

static void check_sound(struct fixture *f, int64_t events)
{
    struct outcome_check check;
    assert_ok(outcome_check(f->store, false, &check, &test_err));
    if (!check.sound)
        fail_msg("%s", check.text);
    assert_int_equal(check.events, events);
}

#define TOTALS  "SELECT count(*), sum(success), sum(timeout), sum(tokens_used) FROM model_outcomes"
#define STATS   "SELECT model_id, successes, failures, timeouts, total_tokens, total_cost FROM model_stats ORDER BY 1"
#define ALL_IDS "SELECT count(DISTINCT id), min(id), max(id) FROM model_outcomes"

static void test_rolled_and_not_are_one_table(void **state)
{
    struct fixture f = {.folder = *state};
    open_all(&f);
    expect(&f, TOTALS, "[0,null,null,null]");
    record(&f, 8, "a", "k");
    expect(&f, TOTALS, "[8,6,1,28]");
    assert_ok(outcome_roll(f.store, true, &test_err));
    expect(&f, TOTALS, "[8,6,1,28]");
    record(&f, 4, "b", NULL);
    expect(&f, STATS, "[\"a\",6,2,1,28,4],[\"b\",3,1,1,6,2]");
    expect(&f, ALL_IDS, "[12,1,12]");
    assert_int_equal(outcome_state(f.store).rolled_id, 8);
    check_sound(&f, 12);
    close_all(&f);
    open_all(&f);
    expect(&f, STATS, "[\"a\",6,2,1,28,4],[\"b\",3,1,1,6,2]");
    assert_ok(outcome_roll(f.store, true, &test_err));
    assert_ok(outcome_roll(f.store, true, &test_err));
    expect(&f, TOTALS, "[12,9,2,34]");
    check_sound(&f, 12);
    close_all(&f);
}

/* Twelve rolls are two merges and a rest; nothing is lost or doubled. */
static void test_small_files_are_merged(void **state)
{
    struct fixture f = {.folder = *state};
    open_all(&f);
    for (int i = 0; i < 12; i++) {
        record(&f, 10, "a", NULL);
        assert_ok(outcome_roll(f.store, true, &test_err));
    }
    TN_AUTO_BUF files = {0};
    bool any;
    assert_ok(outcome_put_files(f.store, &files, &any, &test_err));
    size_t count = 0;
    for (const char *at = files.data; at && (at = strstr(at, ".parquet")); at++)
        count++;
    assert_true(any && count < 8);
    expect(&f, ALL_IDS, "[120,1,120]");
    check_sound(&f, 120);
    close_all(&f);
}

static void remove_database(const struct fixture *f)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < TN_COUNT(ends); i++) {
        TN_AUTO_FREE char *path = tn_asprintf("%s/outcomes/outcomes.sqlite%s", f->folder, ends[i]);
        (void)unlink(path);
    }
}

static void test_made_again_from_table_and_log(void **state)
{
    struct fixture f = {.folder = *state};
    open_all(&f);
    record(&f, 20, "a", "k");
    assert_ok(outcome_roll(f.store, true, &test_err));
    record(&f, 20, "b", "l");
    close_all(&f);
    remove_database(&f);
    open_all(&f);
    check_sound(&f, 40);
    /* The keys came back as well: one from the table, one from the log. */
    struct outcome_event again[] = {
        {.task_type = "t", .model_id = "a", .success = true, .tokens_used = 1, .cost_usd = 0.5, .key = "k1"},
        {.task_type = "t", .model_id = "b", .success = true, .tokens_used = 1, .cost_usd = 0.5, .key = "l1"}};
    struct outcome_recorded done;
    assert_ok(outcome_record(f.store, again, 2, &done, &test_err));
    assert_int_equal(done.duplicates, 2);
    /* Without the log: what is rolled, and no id is given twice. */
    close_all(&f);
    remove_database(&f);
    TN_AUTO_FREE char *log = tn_asprintf("%s/outcomes/log", f.folder);
    assert_ok(tn_remove_tree(log, &test_err));
    open_all(&f);
    check_sound(&f, 20);
    record(&f, 1, "c", NULL);
    expect(&f, ALL_IDS, "[21,1,21]");
    check_sound(&f, 21);
    close_all(&f);
}

/* Each child checks what the one before it left. This process opens the engine
 * behind all of them, and this test comes first: the engine's allocator does not like forks. */
static void test_a_roll_that_dies(void **state)
{
    static const char *const points[] = {"outcome.before_roll", "outcome.after_roll"};
    struct fixture f = {.folder = *state};
    for (size_t i = 0; i < TN_COUNT(points); i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)setenv("TARN_FAULT", points[i], 1);
            tn_fault_init();
            open_all(&f);
            check_sound(&f, 10 * (int64_t)i);
            record(&f, 10, "a", NULL);
            _exit(outcome_roll(f.store, true, NULL) == TN_OK ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    open_all(&f);
    check_sound(&f, 20);
    assert_ok(outcome_roll(f.store, true, &test_err));
    expect(&f, ALL_IDS, "[20,1,20]");
    check_sound(&f, 20);
    close_all(&f);
}

/* The pointer was made and the fsync of its folder failed: nobody knows whether the
 * roll will last. While it does, each entry is there once; the next roll goes on from it. */
static void test_a_roll_of_which_nobody_knows(void **state)
{
    struct fixture f = {.folder = *state};
    open_all(&f);
    for (int i = 0; i < 10; i++) { /* beyond the eighth: files are merged as well */
        record(&f, 10, "a", NULL);
        fail_fsyncs(1, "/commits");
        assert_int_equal(outcome_roll(f.store, true, &test_err), TN_EIO);
        assert_true(atomic_load(&fsyncs_seen) > 0);
        record(&f, 1, "b", NULL);
        TN_AUTO_FREE char *want = tn_asprintf("[%d,1,%d]", 11 * i + 11, 11 * i + 11);
        expect(&f, ALL_IDS, want); /* reads go on while it lasts */
        fail_fsyncs(0, "");
        expect(&f, ALL_IDS, want);
        if (i % 3 == 2) {
            close_all(&f);
            remove_database(&f);
            open_all(&f);
        } else {
            assert_ok(outcome_roll(f.store, true, &test_err));
            assert_int_equal(outcome_state(f.store).rolled_id, 11 * i + 11);
        }
        expect(&f, ALL_IDS, want);
        check_sound(&f, 11 * (int64_t)i + 11);
    }
    close_all(&f);
}

/* Each fsync of a roll in turn, with all that follow it. */
static void test_each_fsync_of_a_roll(void **state)
{
    struct fixture f = {.folder = *state};
    int64_t count = 0;
    bool met = true;
    open_all(&f);
    for (int from = 1; met; from++) {
        record(&f, 3, "a", NULL);
        count += 3;
        fail_fsyncs(from, "");
        enum tn_code code = outcome_roll(f.store, true, NULL);
        met = atomic_load(&fsyncs_seen) >= from;
        assert_int_equal(code, met ? TN_EIO : TN_OK);
        fail_fsyncs(0, "");
        check_sound(&f, count);
        assert_ok(outcome_roll(f.store, true, &test_err));
        TN_AUTO_FREE char *want = tn_asprintf("[%" PRId64 ",1,%" PRId64 "]", count, count);
        expect(&f, ALL_IDS, want);
    }
    assert_true(count >= 9);
    close_all(&f);
    remove_database(&f);
    open_all(&f);
    check_sound(&f, count);
    close_all(&f);
}

/* ---- imports -------------------------------------------------------------------------- */

static struct outcome_imported import(struct fixture *f, const char *text, const char *source)
{
    TN_AUTO_JSON *document = NULL;
    struct outcome_imported done = {0};
    assert_ok(tn_json_parse(text, strlen(text), 1 << 20, "document", &document, &test_err));
    assert_ok(outcome_import_json(f->store, document, source, &done, &test_err));
    outcome_imported_release(&done);
    return done;
}

static void test_an_import_replaces_what_its_source_said(void **state)
{
    struct fixture f = {.folder = *state};
    open_all(&f);
    record(&f, 4, "a", NULL);
    assert_int_equal(import(&f, "{\"t\":{\"a\":{\"successes\":10,\"failures\":2}}}", "x").taken, 1);
    assert_int_equal(import(&f, "{\"t\":{\"a\":{\"successes\":1,\"failures\":1}}}", "y").taken, 1);
    expect(&f, STATS, "[\"a\",14,4,1,6,2]");
    assert_int_equal(import(&f, "{\"t\":{\"a\":{\"successes\":10,\"failures\":2}}}", "x").unchanged, 1);
    assert_ok(outcome_roll(f.store, true, &test_err));
    assert_int_equal(import(&f, "{\"t\":{\"a\":{\"successes\":20,\"failures\":3}}}", "x").taken, 1);
    expect(&f, STATS, "[\"a\",24,5,1,6,2]");
    check_sound(&f, 4);
    close_all(&f);
    remove_database(&f);
    open_all(&f);
    expect(&f, STATS, "[\"a\",24,5,1,6,2]");
    check_sound(&f, 4);
    close_all(&f);
}

static void test_wrong_entries_are_told_and_left_out(void **state)
{
    struct fixture f = {.folder = *state};
    TN_AUTO_JSON *document = NULL;
    struct outcome_imported done = {0};
    static const char text[] =
        "{\"t\":{\"good\":{\"successes\":2,\"failures\":1,\"timeouts\":1,\"totalTokens\":7,\"totalCost\":0.5,"
        "\"lastUsed\":\"2026-01-02T03:04:05Z\"},\"odd\":{\"successes\":1,\"failures\":0,\"mood\":3},"
        "\"text\":{\"successes\":\"2\",\"failures\":1},\"half\":{\"successes\":1},\"minus\":{\"successes\":-1,"
        "\"failures\":0},\"late\":{\"successes\":0,\"failures\":1,\"timeouts\":2},\"list\":[],"
        "\"\":{\"successes\":1,\"failures\":1}},\"u\":7}";
    open_all(&f);
    assert_ok(tn_json_parse(text, strlen(text), 1 << 20, "document", &document, &test_err));
    assert_ok(outcome_import_json(f.store, document, "old", &done, &test_err));
    assert_true(done.taken == 2 && done.refused == 7 && done.unchanged == 0);
    size_t refusals = 0, unknown = 0;
    for (size_t i = 0; i < json_array_size(done.problems); i++) {
        const json_t *problem = json_array_get(done.problems, i);
        refusals += json_is_true(json_object_get(problem, "refused"));
        const char *field = json_string_value(json_object_get(problem, "field"));
        unknown += field && tn_streq(field, "mood");
    }
    assert_true(refusals == 7 && unknown == 1);
    outcome_imported_release(&done);
    expect(&f, STATS, "[\"good\",2,1,1,7,0.5],[\"odd\",1,0,0,0,0]");
    check_sound(&f, 0);
    close_all(&f);
}

/* ---- choosing ------------------------------------------------------------------------- */

static void test_choose(void **state)
{
    struct fixture f = {.folder = *state};
    static const char *const models[] = {"x", "a", "b"};
    struct outcome_choice choice;
    open_all(&f);
    assert_ok(outcome_choose(f.store, "t", models, 3, 0, 1, &choice, &test_err));
    assert_true(choice.index == 0 && choice.trials == 0 && choice.why[0]);
    record(&f, 40, "b", NULL);
    assert_ok(outcome_choose(f.store, "t", models, 3, 0, 1, &choice, &test_err));
    assert_true(choice.index == 2 && !choice.explored && choice.trials == 40);
    size_t explored = 0, others[3] = {0};
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct outcome_choice same;
        assert_ok(outcome_choose(f.store, "t", models, 3, 0.2, seed, &choice, &test_err));
        assert_ok(outcome_choose(f.store, "t", models, 3, 0.2, seed, &same, &test_err));
        assert_true(choice.index == same.index);
        assert_true(choice.explored == (choice.index != 2));
        explored += choice.explored;
        others[choice.index]++;
    }
    assert_in_range(explored, 150, 250);
    assert_in_range(others[0], 60, 140);
    assert_int_equal(outcome_choose(f.store, "t", models, 0, 0, 1, &choice, &test_err), TN_EREQUEST);
    close_all(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_a_roll_that_dies),
        FOLDER_TEST(test_rolled_and_not_are_one_table),
        FOLDER_TEST(test_small_files_are_merged),
        FOLDER_TEST(test_made_again_from_table_and_log),
        FOLDER_TEST(test_a_roll_of_which_nobody_knows),
        FOLDER_TEST(test_each_fsync_of_a_roll),
        FOLDER_TEST(test_an_import_replaces_what_its_source_said),
        FOLDER_TEST(test_wrong_entries_are_told_and_left_out),
        FOLDER_TEST(test_choose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
