/* Recording, the log, keys, crashes, many at once, degraded mode; without a lake. */
#include "base/test_support.h"
#include "outcome/outcome_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct outcome_store *open_store(void **state)
{
    struct outcome_store *store = NULL;
    assert_ok(tn_random_init(&test_err));
    TN_AUTO_FREE char *folder = tn_asprintf("%s/outcomes", (const char *)*state);
    const struct outcome_options options = {.folder = folder};
    assert_ok(outcome_open(&options, &store, &test_err));
    return store;
}

static struct outcome_event event(const char *task, const char *model, bool success)
{
    return (struct outcome_event){
        .task_type = task, .model_id = model, .success = success, .tokens_used = 100, .cost_usd = 0.25};
}

static struct outcome_recorded record(struct outcome_store *store, struct outcome_event one)
{
    struct outcome_recorded done = {0};
    assert_ok(outcome_record(store, &one, 1, &done, &test_err));
    return done;
}

static struct outcome_model model_of(struct outcome_store *store, const char *task, const char *model)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct outcome_model *models, found = {0};
    size_t count;
    assert_ok(outcome_rank(store, task, 0, OUTCOME_BY_RATE, arena, &models, &count, &test_err));
    for (size_t i = 0; i < count; i++)
        if (tn_streq(models[i].model_id, model))
            found = models[i];
    found.task_type = found.model_id = found.last_used = NULL;
    return found;
}

/* The aggregate equals a recount; how many outcomes there are. */
static int64_t check_sound(struct outcome_store *store)
{
    struct outcome_check check;
    assert_ok(outcome_check(store, false, &check, &test_err));
    if (!check.sound)
        fail_msg("%s", check.text);
    return check.events;
}

/* ---- plain -------------------------------------------------------------------------- */

static void test_nothing_is_made_before_the_first(void **state)
{
    TN_CLEANUP(outcome_close_p) struct outcome_store *store = open_store(state);
    TN_AUTO_FREE char *folder = tn_asprintf("%s/outcomes", (const char *)*state);
    assert_int_equal(model_of(store, "t", "m").trials, 0);
    assert_int_equal(access(folder, F_OK), -1);
    assert_false(outcome_state(store).exists);
}

static void test_record_and_rank(void **state)
{
    TN_CLEANUP(outcome_close_p) struct outcome_store *store = open_store(state);
    for (int i = 0; i < 45; i++)
        (void)record(store, event("execute-task", "gpt-4o", i >= 3));
    for (int i = 0; i < 3; i++)
        (void)record(store, event("execute-task", "new", true));
    (void)record(store, event("plan-slice", "gpt-4o", true));
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct outcome_model *models;
    size_t count;
    assert_ok(outcome_rank(store, "execute-task", 3, OUTCOME_BY_RATE, arena, &models, &count, &test_err));
    assert_int_equal(count, 2);
    assert_string_equal(models[0].model_id, "new");
    assert_true(models[1].successes == 42 && models[1].failures == 3 && models[1].total_tokens == 4500);
    assert_true(models[1].lower_bound > 0.82 && models[1].lower_bound < 0.83);
    assert_ok(outcome_rank(store, "execute-task", 3, OUTCOME_BY_BOUND, arena, &models, &count, &test_err));
    assert_string_equal(models[0].model_id, "gpt-4o");
    assert_ok(outcome_rank(store, "execute-task", 4, OUTCOME_BY_RATE, arena, &models, &count, &test_err));
    assert_int_equal(count, 1);
    assert_int_equal(check_sound(store), 49);
}

static void test_ties_go_to_the_cheaper(void **state)
{
    TN_CLEANUP(outcome_close_p) struct outcome_store *store = open_store(state);
    for (int i = 0; i < 6; i++) {
        struct outcome_event dear = event("t", "a-dear", i % 2), cheap = event("t", "z-cheap", i % 2);
        cheap.cost_usd = 0.01;
        (void)record(store, dear);
        (void)record(store, cheap);
    }
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct outcome_model *models;
    size_t count;
    assert_ok(outcome_rank(store, "t", 0, OUTCOME_BY_RATE, arena, &models, &count, &test_err));
    assert_string_equal(models[0].model_id, "z-cheap");
    for (int i = 0; i < 20; i++)
        (void)record(store, event("t", "a-dear", true));
    assert_ok(outcome_rank(store, "t", 0, OUTCOME_BY_RATE, arena, &models, &count, &test_err));
    assert_string_equal(models[0].model_id, "a-dear");
    assert_ok(outcome_rank(store, "t", 0, OUTCOME_BY_COST, arena, &models, &count, &test_err));
    assert_string_equal(models[0].model_id, "z-cheap");
}

static void test_what_cannot_be_is_refused_as_a_whole(void **state)
{
    TN_CLEANUP(outcome_close_p) struct outcome_store *store = open_store(state);
    struct outcome_recorded done;
    struct outcome_event events[3] = {event("t", "m", true), event("t", "m", true), event("t", "", true)};
    assert_int_equal(outcome_record(store, events, 3, &done, &test_err), TN_EREQUEST);
    assert_non_null(strstr(test_err.detail, "outcome 3: model_id"));
    events[2] = event("t", "m", true);
    events[2].timeout = true;
    assert_int_equal(outcome_record(store, events, 3, &done, &test_err), TN_EREQUEST);
    events[2] = event("t", "m\n", true);
    assert_int_equal(outcome_record(store, events, 3, &done, &test_err), TN_EREQUEST);
    events[2] = event("t", "m", true);
    events[2].tokens_used = -1;
    assert_int_equal(outcome_record(store, events, 3, &done, &test_err), TN_EREQUEST);
    assert_int_equal(model_of(store, "t", "m").trials, 0);
}

/* ---- keys --------------------------------------------------------------------------- */

static void test_a_key_counts_once(void **state)
{
    TN_CLEANUP(outcome_close_p) struct outcome_store *store = open_store(state);
    struct outcome_event one = event("t", "m", true);
    one.key = "run-1";
    assert_int_equal(record(store, one).recorded, 1);
    assert_int_equal(record(store, one).duplicates, 1);
    struct outcome_event batch[] = {one, event("t", "m", false), one};
    struct outcome_recorded done;
    batch[1].key = "run-2";
    assert_ok(outcome_record(store, batch, 3, &done, &test_err));
    assert_true(done.recorded == 1 && done.duplicates == 2);
    one.success = false;
    assert_int_equal(outcome_record(store, &one, 1, &done, &test_err), TN_ECONFLICT);
    batch[0] = event("t", "m", true);
    batch[0].key = "run-3";
    batch[2] = one; /* the conflict takes the whole batch with it */
    assert_int_equal(outcome_record(store, batch, 3, &done, &test_err), TN_ECONFLICT);
    outcome_close(TN_TAKE(store));
    store = open_store(state);
    one.success = true;
    assert_int_equal(record(store, one).duplicates, 1);
    assert_int_equal(check_sound(store), 2);
}

/* ---- the log ------------------------------------------------------------------------ */

static void test_the_file_is_made_again(void **state)
{
    struct outcome_store *store = open_store(state);
    for (int i = 0; i < 30; i++) {
        struct outcome_event one = event("t", i % 3 ? "a" : "b", i % 2);
        TN_AUTO_FREE char *key = tn_asprintf("k%d", i);
        one.key = key;
        (void)record(store, one);
    }
    struct outcome_model before = model_of(store, "t", "a");
    outcome_close(store);
    TN_AUTO_FREE char *file = tn_asprintf("%s/outcomes/outcomes.sqlite", (const char *)*state);
    assert_int_equal(unlink(file), 0);
    store = open_store(state);
    struct outcome_model after = model_of(store, "t", "a");
    assert_memory_equal(&before, &after, sizeof before);
    struct outcome_event again = event("t", "b", false);
    again.key = "k0";
    assert_int_equal(record(store, again).duplicates, 1);
    assert_int_equal(check_sound(store), 30);
    outcome_close(store);
}

static void test_rubbish_is_put_aside(void **state)
{
    struct outcome_store *store = open_store(state);
    (void)record(store, event("t", "m", true));
    outcome_close(store);
    TN_AUTO_FREE char *file = tn_asprintf("%s/outcomes/outcomes.sqlite", (const char *)*state);
    assert_ok(tn_file_replace(file, "this is no database, however long one looks at it", 49, 0600, &test_err));
    store = open_store(state);
    assert_false(outcome_state(store).degraded);
    assert_int_equal(model_of(store, "t", "m").successes, 1);
    outcome_close(store);
}

static char *segment_of(void **state)
{
    return tn_asprintf("%s/outcomes/log/0000000000000001.log", (const char *)*state);
}

static void test_a_torn_end_is_cut(void **state)
{
    struct outcome_store *store = open_store(state);
    (void)record(store, event("t", "m", true));
    (void)record(store, event("t", "m", true));
    outcome_close(store);
    TN_AUTO_FREE char *file = segment_of(state);
    struct stat info;
    assert_int_equal(stat(file, &info), 0);
    TN_AUTO_FREE char *database = tn_asprintf("%s/outcomes/outcomes.sqlite", (const char *)*state);
    for (off_t cut = info.st_size - 1; cut > info.st_size / 2; cut -= 7) {
        assert_int_equal(truncate(file, cut), 0);
        assert_int_equal(unlink(database), 0);
        store = open_store(state);
        assert_int_equal(check_sound(store), 1);
        assert_int_equal(record(store, event("t", "m", false)).last_id, 2);
        assert_int_equal(check_sound(store), 2);
        outcome_close(store);
        assert_int_equal(stat(file, &info), 0);
        cut = TN_MIN(cut, info.st_size);
    }
}

static void test_a_broken_middle_is_no_end(void **state)
{
    struct outcome_store *store = open_store(state);
    (void)record(store, event("t", "m", true));
    (void)record(store, event("t", "m", true));
    outcome_close(store);
    TN_AUTO_FREE char *file = segment_of(state);
    TN_AUTO_CLOSE int fd = open(file, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "X", 1, 70), 1);
    store = open_store(state);
    const struct outcome_event one = event("t", "m", true);
    struct outcome_recorded done;
    assert_int_equal(outcome_record(store, &one, 1, &done, &test_err), TN_ECORRUPT);
    assert_non_null(strstr(test_err.detail, "before its end"));
    outcome_close(store);
}

/* ---- crashes ------------------------------------------------------------------------- */

static void crash_at(void **state, const char *point, struct outcome_event one)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)setenv("TARN_FAULT", point, 1);
        tn_fault_init();
        struct outcome_store *store = open_store(state);
        struct outcome_recorded done;
        struct outcome_event batch[2] = {one, one};
        _exit(outcome_record(store, batch, 2, &done, NULL) == TN_OK ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status))
        fail_msg("%s was not passed", point);
}

/* Neither or both, and always what was acknowledged. */
static void test_crashes(void **state)
{
    static const struct {
        const char *point;
        int64_t outcomes; /* that the crashed batch of two left */
    } points[] = {
        {"outcome.half_written", 0}, {"outcome.before_sync", 2},   {"outcome.logged", 2},
        {"outcome.between", 2},      {"outcome.before_commit", 2}, {"outcome.applied", 2},
    };
    int64_t want = 1;
    struct outcome_store *store = open_store(state);
    (void)record(store, event("t", "m", true));
    outcome_close(store);
    for (size_t i = 0; i < TN_COUNT(points); i++) {
        crash_at(state, points[i].point, event("t", "m", false));
        want += points[i].outcomes;
        store = open_store(state);
        assert_int_equal(check_sound(store), want);
        struct outcome_model model = model_of(store, "t", "m");
        assert_int_equal(model.trials, want);
        assert_int_equal(model.failures, want - 1);
        (void)record(store, event("t", "m", false));
        assert_int_equal(model_of(store, "t", "m").trials, ++want);
        outcome_close(store);
    }
}

/* Between the append and the transaction SQLite alone, looked at by somebody
 * else, has neither event nor aggregate. */
static void test_sqlite_sees_neither(void **state)
{
    struct outcome_store *store = open_store(state);
    (void)record(store, event("t", "m", true));
    outcome_close(store);
    crash_at(state, "outcome.between", event("t", "m", true));
    TN_AUTO_FREE char *file = tn_asprintf("%s/outcomes/outcomes.sqlite", (const char *)*state);
    struct outcome_db *db;
    int64_t wrong, applied;
    assert_ok(db_open(file, &db, &test_err));
    assert_ok(db_applied(db, &applied, &test_err));
    assert_ok(db_recount(db, false, &wrong, &test_err));
    assert_true(applied == 1 && wrong == 0);
    db_close(db);
}

/* ---- many at once --------------------------------------------------------------------- */

enum { THREADS = 8, PROCESSES = 8, EACH = 60 };

static void *record_many(void *argument)
{
    struct outcome_store *store = argument;
    for (int i = 0; i < EACH; i++) {
        struct outcome_event one = event("t", i % 2 ? "a" : "b", i % 3 == 0);
        struct outcome_recorded done;
        if (outcome_record(store, &one, 1, &done, NULL) != TN_OK)
            return argument;
        if (i % 10 == 0)
            (void)model_of(store, "t", "a");
    }
    return NULL;
}

static bool run_threads(struct outcome_store *store)
{
    pthread_t threads[THREADS];
    bool good = true;
    for (size_t i = 0; i < THREADS; i++)
        good = pthread_create(&threads[i], NULL, record_many, store) == 0 && good;
    for (size_t i = 0; i < THREADS; i++) {
        void *failed;
        (void)pthread_join(threads[i], &failed);
        good = good && !failed;
    }
    return good;
}

static void test_threads_lose_nothing(void **state)
{
    TN_CLEANUP(outcome_close_p) struct outcome_store *store = open_store(state);
    assert_true(run_threads(store));
    assert_int_equal(check_sound(store), THREADS * EACH);
    assert_int_equal(model_of(store, "t", "a").trials + model_of(store, "t", "b").trials, THREADS * EACH);
}

static void test_processes_lose_nothing(void **state)
{
    pid_t children[PROCESSES];
    for (size_t i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            struct outcome_store *store = open_store(state);
            bool good = record_many(store) == NULL;
            outcome_close(store);
            _exit(good ? 0 : 1);
        }
    }
    for (size_t i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    TN_CLEANUP(outcome_close_p) struct outcome_store *store = open_store(state);
    assert_int_equal(check_sound(store), PROCESSES * EACH);
}

/* One process is killed again and again while another records. */
static void test_a_process_that_dies_disturbs_nobody(void **state)
{
    TN_CLEANUP(outcome_close_p) struct outcome_store *store = open_store(state);
    (void)record(store, event("t", "m", true));
    static const char *const points[] = {"outcome.half_written", "outcome.logged", "outcome.between"};
    int64_t want = 1;
    for (size_t i = 0; i < TN_COUNT(points); i++) {
        crash_at(state, points[i], event("t", "m", true));
        (void)record(store, event("t", "m", true));
        want += 1 + (i > 0 ? 2 : 0);
        assert_int_equal(model_of(store, "t", "m").trials, want);
    }
    assert_int_equal(check_sound(store), want);
}

/* ---- degraded ------------------------------------------------------------------------- */

static void test_degraded_and_back(void **state)
{
    struct outcome_store *store = open_store(state);
    (void)record(store, event("t", "m", true));
    outcome_close(store);
    TN_AUTO_FREE char *file = tn_asprintf("%s/outcomes/outcomes.sqlite", (const char *)*state);
    TN_AUTO_FREE char *away = tn_asprintf("%s.away", file);
    assert_int_equal(rename(file, away), 0);
    assert_int_equal(mkdir(file, 0700), 0); /* nobody can open a folder as a database */
    store = open_store(state);
    assert_true(outcome_state(store).degraded);
    assert_int_equal(model_of(store, "t", "m").trials, 1);
    struct outcome_event one = event("t", "m", false);
    one.key = "k";
    struct outcome_recorded done = record(store, one);
    assert_true(done.degraded && done.recorded == 1);
    assert_int_equal(record(store, one).duplicates, 1);
    assert_int_equal(check_sound(store), 2);
    assert_int_equal(rmdir(file), 0);
    store->retry_us = 0;
    (void)record(store, event("t", "m", true));
    assert_false(outcome_state(store).degraded);
    assert_int_equal(check_sound(store), 3);
    outcome_close(store);
    struct outcome_db *db;
    int64_t applied;
    assert_ok(db_open(file, &db, &test_err));
    assert_ok(db_applied(db, &applied, &test_err));
    assert_int_equal(applied, 3);
    db_close(db);
}

static void test_check_repairs(void **state)
{
    TN_CLEANUP(outcome_close_p) struct outcome_store *store = open_store(state);
    for (int i = 0; i < 5; i++)
        (void)record(store, event("t", "m", i % 2));
    assert_int_equal(sqlite3_exec(store->db->handle, "UPDATE model_stats SET successes = 99", NULL, NULL, NULL), 0);
    struct outcome_check check;
    assert_ok(outcome_check(store, false, &check, &test_err));
    assert_true(!check.sound && check.wrong == 1 && !check.repaired);
    assert_ok(outcome_check(store, true, &check, &test_err));
    assert_true(!check.sound && check.repaired);
    assert_int_equal(model_of(store, "t", "m").successes, 2);
    assert_int_equal(check_sound(store), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_nothing_is_made_before_the_first),
        FOLDER_TEST(test_record_and_rank),
        FOLDER_TEST(test_ties_go_to_the_cheaper),
        FOLDER_TEST(test_what_cannot_be_is_refused_as_a_whole),
        FOLDER_TEST(test_a_key_counts_once),
        FOLDER_TEST(test_the_file_is_made_again),
        FOLDER_TEST(test_rubbish_is_put_aside),
        FOLDER_TEST(test_a_torn_end_is_cut),
        FOLDER_TEST(test_a_broken_middle_is_no_end),
        FOLDER_TEST(test_crashes),
        FOLDER_TEST(test_sqlite_sees_neither),
        FOLDER_TEST(test_threads_lose_nothing),
        FOLDER_TEST(test_processes_lose_nothing),
        FOLDER_TEST(test_a_process_that_dies_disturbs_nobody),
        FOLDER_TEST(test_degraded_and_back),
        FOLDER_TEST(test_check_repairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
