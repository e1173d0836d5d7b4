/* What the file holds through the end of a process, and what a damaged one does. */
#include "job/job_internal.h"
#include "job/test_support.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs `body` in a process of its own; its exit status. */
static int in_child(int (*body)(const char *folder, const char *id), const char *folder, const char *id)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(body(folder, id));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The child's own service; "count" dies in it where its arguments say so. */
static int serve_to_death(const char *folder, const char *id)
{
    struct job_service *service = NULL;
    const struct job_options options = {.folder = folder};
    if (job_service_open(&options, &service, NULL) != TN_OK)
        return 1;
    job_kind_add(service, "count", run_count, NULL);
    if (job_service_start(service, NULL) != TN_OK)
        return 2;
    for (enum job_state state = JOB_QUEUED; !job_state_ended(state);) {
        uint64_t version = 0;
        if (job_wait(service, id, UINT64_MAX, 60000, &state, &version, NULL) != TN_OK)
            return 3;
    }
    return 4;
}

static struct job_name submit_count(const char *folder, int to, int die)
{
    struct job_name job;
    struct stage *stage = stage_new(folder, 1);
    TN_AUTO_FREE char *path = tn_asprintf("%s/numbers", folder);
    TN_AUTO_JSON *arguments = json_pack("{s:i, s:i, s:s}", "to", to, "die", die, "file", path);
    const struct job_request request = {.kind = "count", .subject = "numbers", .arguments = arguments};
    assert_ok(job_submit(stage->service, &request, job.id, &test_err));
    stage_end(stage);
    return job;
}

static void check_numbers(const char *folder, int to)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/numbers", folder);
    TN_AUTO_BUF text = {0}, want = {0};
    for (int i = 0; i < to; i++)
        tn_buf_printf(&want, "%d\n", i);
    assert_ok(tn_file_read(path, 1 << 20, &text, &test_err));
    assert_string_equal(text.data, want.data);
}

/* Killed behind a checkpoint, it goes on there: each number once. */
static void test_resume(void **state)
{
    const char *folder = *state;
    struct job_name job = submit_count(folder, 50, 17);
    assert_int_equal(in_child(serve_to_death, folder, job.id), 9);
    struct stage *stage = stage_begin(folder, 1);
    assert_int_equal(wait_end(stage, job.id), JOB_DONE);
    check_numbers(folder, 50);
    TN_AUTO_JSON *document = look(stage, job.id);
    assert_int_equal(json_integer_value(json_object_get(document, "attempts")), 2);
    stage_end(stage);
}

static int die_begun(const char *folder, const char *id)
{
    (void)setenv("TARN_FAULT", "job.begun", 1);
    tn_fault_init();
    return serve_to_death(folder, id);
}

static void die_at_begin(const char *folder, const char *id)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(die_begun(folder, id));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

/* Three deaths in a row are enough; a checkpoint between begins the row anew. */
static void test_deadly(void **state)
{
    const char *folder = *state;
    struct job_name job = submit_count(folder, 30, 12);
    die_at_begin(folder, job.id);
    die_at_begin(folder, job.id);
    assert_int_equal(in_child(serve_to_death, folder, job.id), 9); /* the third, but it got on */
    die_at_begin(folder, job.id);
    struct stage *stage = stage_new(folder, 1);
    assert_ok(job_service_start(stage->service, &test_err));
    assert_int_equal(wait_end(stage, job.id), JOB_DONE);
    check_numbers(folder, 30);
    stage_end(stage);

    TN_AUTO_FREE char *path = tn_asprintf("%s/numbers", folder);
    assert_int_equal(unlink(path), 0);
    job = submit_count(folder, 10, 0);
    for (int i = 0; i < 3; i++)
        die_at_begin(folder, job.id);
    stage = stage_begin(folder, 1);
    assert_int_equal(wait_end(stage, job.id), JOB_FAILED);
    TN_AUTO_JSON *document = look(stage, job.id);
    const json_t *error = json_object_get(document, "error");
    assert_non_null(strstr(json_string_value(json_object_get(error, "detail")), "3 times in a row"));
    /* A person may think otherwise. */
    assert_ok(job_resume(stage->service, job.id, &test_err));
    assert_int_equal(wait_end(stage, job.id), JOB_DONE);
    check_numbers(folder, 10);
    stage_end(stage);
}

/* ---- what was asked for before the process died --------------------------------------- */

static int steer_and_die(const char *folder, const char *id, bool cancel)
{
    static struct stage stage;
    const struct job_options options = {.folder = folder};
    if (job_service_open(&options, &stage.service, NULL) != TN_OK)
        return 1;
    job_kind_add(stage.service, "deaf", run_deaf, &stage);
    if (job_service_start(stage.service, NULL) != TN_OK)
        return 2;
    while (atomic_load(&stage.begun) == 0)
        nap();
    if ((cancel ? job_cancel : job_pause)(stage.service, id, NULL) != TN_OK)
        return 3;
    return 9;
}

static int cancel_and_die(const char *folder, const char *id)
{
    return steer_and_die(folder, id, true);
}

static int pause_and_die(const char *folder, const char *id)
{
    return steer_and_die(folder, id, false);
}

static void test_wish_survives(void **state)
{
    static const char *const words[] = {"cancelled", "paused"};
    for (int i = 0; i < 2; i++) {
        struct stage *stage = stage_new(*state, 1);
        struct job_name job = submit(stage, "deaf", NULL, 0);
        stage_end(stage);
        assert_int_equal(in_child(i ? pause_and_die : cancel_and_die, *state, job.id), 9);
        stage = stage_begin(*state, 1);
        assert_string_equal(state_of(stage, job.id), words[i]);
        stage_end(stage);
    }
}

/* ---- files that are not what they should be ------------------------------------------------ */

static void write_file(const char *folder, const char *name, const void *bytes, size_t count)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/%s", folder, name);
    assert_ok(tn_file_replace(path, bytes, count, 0600, &test_err));
}

static bool exists(const char *folder, const char *name)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void check_works(const char *folder)
{
    struct stage *stage = stage_begin(folder, 1);
    atomic_store(&stage->open, true);
    struct job_name job = submit(stage, "gate", "x", 0);
    assert_int_equal(wait_end(stage, job.id), JOB_DONE);
    stage_end(stage);
}

static void test_garbage(void **state)
{
    unsigned char bytes[9000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 37 + (i >> 5));
    write_file(*state, "jobs.db", bytes, sizeof bytes);
    check_works(*state);
    assert_true(exists(*state, "jobs.db.damaged"));
    check_works(*state);
}

/* Damaged in the middle: every page in turn is overwritten. None may crash the
 * service, and whatever it finds, it works afterwards. */
static void test_torn_pages(void **state)
{
    const char *folder = *state;
    struct stage *stage = stage_new(folder, 1);
    for (int i = 0; i < 40; i++)
        (void)submit(stage, "gate", "a subject that takes some room in its page", 0);
    stage_end(stage);
    TN_AUTO_FREE char *path = tn_asprintf("%s/jobs.db", folder);
    TN_AUTO_BUF whole = {0};
    assert_ok(tn_file_read(path, 1 << 22, &whole, &test_err));
    size_t pages = whole.len / 4096, damaged = 0;
    assert_true(pages >= 4);
    for (size_t page = 0; page < pages; page++) {
        TN_AUTO_BUF torn = {0};
        tn_buf_append(&torn, whole.data, whole.len);
        memset(torn.data + page * 4096 + (page ? 0 : 100), 0x5a, 1500);
        write_file(folder, "jobs.db", torn.data, torn.len);
        check_works(folder);
        damaged += exists(folder, "jobs.db.damaged");
        TN_AUTO_FREE char *aside = tn_asprintf("%s/jobs.db.damaged", folder);
        (void)unlink(aside);
    }
    assert_true(damaged >= pages - 1);
}

static void test_other_versions(void **state)
{
    static const char *const changes[] = {"PRAGMA user_version=7", "PRAGMA application_id=1",
                                          "ALTER TABLE job RENAME COLUMN wish TO hope"};
    for (size_t i = 0; i < TN_COUNT(changes); i++) {
        check_works(*state);
        TN_AUTO_FREE char *path = tn_asprintf("%s/jobs.db", (char *)*state);
        sqlite3 *other = NULL;
        assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_exec(other, changes[i], NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(other), SQLITE_OK);
        check_works(*state);
        TN_AUTO_FREE char *aside = tn_asprintf("%s.damaged", path);
        assert_int_equal(unlink(aside), 0);
    }
}

/* A file that cannot be opened refuses jobs, with a reason, and nothing else;
 * once it can be, they are taken. */
static void test_not_writable(void **state)
{
    TN_AUTO_FREE char *folder = tn_asprintf("%s/state", (char *)*state);
    TN_AUTO_FREE char *path = tn_asprintf("%s/jobs.db", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    struct stage *stage = stage_begin(folder, 1);
    const struct job_request request = {.kind = "gate"};
    struct tn_error err = {0};
    char id[JOB_ID_TEXT];
    assert_int_equal(job_submit(stage->service, &request, id, &err), TN_EIO);
    assert_non_null(strstr(err.detail, "jobs.db"));
    assert_true(err.hint[0] != '\0');
    struct job_totals totals;
    job_totals(stage->service, &totals);
    assert_int_equal(totals.queued, 0);
    assert_int_equal(rmdir(path), 0);
    atomic_store(&stage->open, true);
    struct job_name job = submit(stage, "gate", "x", 0);
    assert_int_equal(wait_end(stage, job.id), JOB_DONE);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    stage_end(stage);
}

/* A lake without jobs has no file of them. */
static void test_no_file_without_jobs(void **state)
{
    struct stage *stage = stage_begin(*state, 1);
    TN_AUTO_BUF text = {0};
    struct tn_json writer = tn_json_writer(&text);
    assert_ok(job_list(stage->service, NULL, NULL, 10, &writer, NULL, &test_err));
    assert_string_equal(text.data, "[]");
    stage_end(stage);
    assert_false(exists(*state, "jobs.db"));
}

/* Ended jobs go when their time has come, with their logs; others stay. */
static void test_forgotten(void **state)
{
    check_works(*state);
    struct stage *stage = stage_new(*state, 1);
    struct job_name queued = submit(stage, "gate", "y", 0);
    stage_end(stage);
    nap();
    nap();
    struct job_service *service = NULL;
    const struct job_options options = {.folder = *state, .keep_ended_ms = 1};
    assert_ok(job_service_open(&options, &service, &test_err));
    assert_ok(job_service_start(service, &test_err)); /* "gate" is no kind here: the job fails */
    enum job_state end = JOB_QUEUED;
    uint64_t version = 0;
    while (!job_state_ended(end))
        assert_ok(job_wait(service, queued.id, version, 1000, &end, &version, &test_err));
    assert_int_equal(end, JOB_FAILED);
    TN_AUTO_BUF text = {0};
    struct tn_json writer = tn_json_writer(&text);
    assert_ok(job_list(service, "done", NULL, 10, &writer, NULL, &test_err));
    assert_string_equal(text.data, "[]");
    job_service_close(service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_resume),        FOLDER_TEST(test_deadly),
        FOLDER_TEST(test_wish_survives), FOLDER_TEST(test_garbage),
        FOLDER_TEST(test_torn_pages),    FOLDER_TEST(test_other_versions),
        FOLDER_TEST(test_not_writable),  FOLDER_TEST(test_no_file_without_jobs),
        FOLDER_TEST(test_forgotten),
    };
    tn_log_configure(TN_LOG_OFF, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
