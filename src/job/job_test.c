/* Jobs while one process lives: order, numbers, states, what people ask for. */
#include "job/test_support.h"

static void test_life(void **state)
{
    struct stage *stage = stage_begin(*state, 1);
    struct job_name job = submit(stage, "gate", "one", 0);
    await(atomic_load(&stage->begun) == 1);
    assert_string_equal(state_of(stage, job.id), "running");
    atomic_store(&stage->open, true);
    assert_int_equal(wait_end(stage, job.id), JOB_DONE);
    TN_AUTO_JSON *document = look(stage, job.id);
    assert_string_equal(json_string_value(json_object_get(document, "subject")), "one");
    assert_string_equal(json_string_value(json_object_get(document, "actor")), "ann");
    assert_int_equal(json_integer_value(json_object_get(document, "attempts")), 1);
    assert_non_null(json_string_value(json_object_get(document, "started")));
    assert_non_null(json_string_value(json_object_get(document, "ended")));
    assert_true(json_is_null(json_object_get(document, "error")));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(document, "result"), "runs")), 1);

    enum job_state ended;
    TN_AUTO_JSON *result = NULL;
    assert_ok(job_outcome(stage->service, job.id, &ended, &result, NULL, &test_err));
    assert_int_equal(ended, JOB_DONE);
    assert_int_equal(json_integer_value(json_object_get(result, "runs")), 1);
    struct job_totals totals;
    job_totals(stage->service, &totals);
    assert_int_equal(totals.done, 1);
    assert_int_equal(totals.running + totals.queued, 0);
    stage_end(stage);
}

static void test_failure(void **state)
{
    struct stage *stage = stage_begin(*state, 1);
    struct job_name job = submit(stage, "broken", NULL, 0);
    assert_int_equal(wait_end(stage, job.id), JOB_FAILED);
    enum job_state ended;
    struct tn_error error = {0};
    json_t *result = NULL;
    assert_ok(job_outcome(stage->service, job.id, &ended, &result, &error, &test_err));
    assert_null(result);
    assert_int_equal(error.code, TN_EUNREADABLE);
    assert_string_equal(error.detail, "page 3 cannot be read");
    assert_string_equal(error.hint, "repair it");
    assert_int_equal(job_cancel(stage->service, job.id, NULL), TN_ECONFLICT);
    assert_int_equal(job_pause(stage->service, job.id, NULL), TN_ECONFLICT);
    /* Once more. */
    assert_ok(job_resume(stage->service, job.id, &test_err));
    assert_int_equal(wait_end(stage, job.id), JOB_FAILED);
    TN_AUTO_JSON *document = look(stage, job.id);
    assert_int_equal(json_integer_value(json_object_get(document, "attempts")), 2);
    TN_AUTO_BUF text = {0};
    struct tn_json writer = tn_json_writer(&text);
    assert_ok(job_log(stage->service, job.id, &writer, &test_err));
    TN_AUTO_JSON *log = NULL;
    assert_ok(tn_json_parse(text.data, text.len, 1 << 20, "log", &log, &test_err));
    assert_int_equal(json_array_size(log), 2);
    stage_end(stage);
}

static void test_unknown(void **state)
{
    struct stage *stage = stage_begin(*state, 1);
    char id[JOB_ID_TEXT] = "untouched";
    const struct job_request request = {.kind = "nothing"};
    struct tn_error err = {0};
    assert_int_equal(job_submit(stage->service, &request, id, &err), TN_EUNSUPPORTED);
    assert_non_null(strstr(err.detail, "nothing"));
    assert_string_equal(id, "untouched");
    for (int with_file = 0; with_file < 2; with_file++) {
        TN_AUTO_BUF text = {0};
        struct tn_json writer = tn_json_writer(&text);
        assert_int_equal(job_get(stage->service, "0193", &writer, NULL), TN_ENOTFOUND);
        assert_int_equal(job_log(stage->service, "0193", &writer, NULL), TN_ENOTFOUND);
        assert_int_equal(job_cancel(stage->service, "0193", NULL), TN_ENOTFOUND);
        assert_int_equal(job_resume(stage->service, "0193", NULL), TN_ENOTFOUND);
        (void)submit(stage, "broken", NULL, 0);
    }
    stage_end(stage);
}

/* The highest priority first, the oldest within one; never more than wanted at once. */
static void test_order(void **state)
{
    struct stage *stage = stage_new(*state, 1);
    (void)submit(stage, "gate", "c", 0);
    (void)submit(stage, "gate", "d", 0);
    (void)submit(stage, "gate", "e", -5);
    (void)submit(stage, "gate", "a", 7);
    struct job_name last = submit(stage, "gate", "b", 7);
    atomic_store(&stage->open, true);
    assert_ok(job_service_start(stage->service, &test_err));
    assert_int_equal(wait_end(stage, last.id), JOB_DONE);
    await(atomic_load(&stage->ended) == 5);
    assert_string_equal(stage->order, "a b c d e");
    assert_int_equal(stage->most, 1);
    stage_end(stage);
}

/* A job that waits is moved before and behind the others; one that has ended is not. */
static void test_moved_forward_and_back(void **state)
{
    struct stage *stage = stage_new(*state, 1);
    (void)submit(stage, "gate", "b", 0);
    struct job_name last = submit(stage, "gate", "c", 0), first = submit(stage, "gate", "a", 0);
    struct tn_error err = {0};
    assert_ok(job_prioritise(stage->service, first.id, 5, &test_err));
    assert_ok(job_prioritise(stage->service, last.id, -JOB_PRIORITY_MOST, &test_err));
    assert_int_equal(job_prioritise(stage->service, last.id, JOB_PRIORITY_MOST + 1, &err), TN_EREQUEST);
    assert_int_equal(job_prioritise(stage->service, "0193", 1, &err), TN_ENOTFOUND);
    atomic_store(&stage->open, true);
    assert_ok(job_service_start(stage->service, &test_err));
    assert_int_equal(wait_end(stage, last.id), JOB_DONE);
    assert_string_equal(stage->order, "a b c");
    assert_int_equal(job_prioritise(stage->service, last.id, 1, &err), TN_ECONFLICT);
    stage_end(stage);
}

static void test_at_once(void **state)
{
    struct stage *stage = stage_begin(*state, 3);
    char name[20];
    for (int i = 0; i < 8; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        (void)submit(stage, "gate", name, 0);
    }
    await(atomic_load(&stage->begun) == 3);
    struct job_totals totals;
    job_totals(stage->service, &totals);
    assert_int_equal(totals.running, 3);
    assert_int_equal(totals.queued, 5);
    atomic_store(&stage->open, true);
    await(atomic_load(&stage->ended) == 8);
    assert_int_equal(stage->most, 3);
    stage_end(stage);
}

/* Two jobs of one kind about one thing do not run beside each other. */
static void test_one_subject(void **state)
{
    struct stage *stage = stage_begin(*state, 3);
    struct job_name first = submit(stage, "gate", "same", 0), second = submit(stage, "gate", "same", 0);
    struct job_name other = submit(stage, "gate", "other", 0);
    await(atomic_load(&stage->begun) == 2);
    assert_string_equal(state_of(stage, first.id), "running");
    assert_string_equal(state_of(stage, second.id), "queued");
    assert_string_equal(state_of(stage, other.id), "running");
    atomic_store(&stage->open, true);
    assert_int_equal(wait_end(stage, second.id), JOB_DONE);
    stage_end(stage);
}

static void test_cancel(void **state)
{
    struct stage *stage = stage_begin(*state, 1);
    struct job_name running = submit(stage, "gate", "r", 0), queued = submit(stage, "gate", "q", 0);
    await(atomic_load(&stage->begun) == 1);
    assert_ok(job_cancel(stage->service, queued.id, &test_err));
    assert_string_equal(state_of(stage, queued.id), "cancelled");
    assert_ok(job_cancel(stage->service, queued.id, &test_err));
    assert_ok(job_cancel(stage->service, running.id, &test_err));
    assert_int_equal(wait_end(stage, running.id), JOB_CANCELLED);
    enum job_state ended;
    struct tn_error error = {0};
    json_t *result = NULL;
    assert_ok(job_outcome(stage->service, running.id, &ended, &result, &error, &test_err));
    assert_int_equal(error.code, TN_ECANCELLED);
    assert_int_equal(job_resume(stage->service, running.id, NULL), TN_ECONFLICT);
    assert_int_equal(atomic_load(&stage->begun), 1);
    stage_end(stage);
}

static void test_pause(void **state)
{
    struct stage *stage = stage_begin(*state, 1);
    struct job_name job = submit(stage, "gate", "r", 0), next = submit(stage, "gate", "n", 0);
    await(atomic_load(&stage->begun) == 1);
    assert_ok(job_pause(stage->service, next.id, &test_err));
    assert_ok(job_pause(stage->service, job.id, &test_err));
    await(tn_streq(state_of(stage, job.id), "paused"));
    assert_string_equal(state_of(stage, next.id), "paused");
    assert_ok(job_pause(stage->service, job.id, &test_err));
    atomic_store(&stage->open, true);
    assert_int_equal(atomic_load(&stage->begun), 1);
    assert_ok(job_resume(stage->service, job.id, &test_err));
    assert_int_equal(wait_end(stage, job.id), JOB_DONE);
    assert_string_equal(state_of(stage, next.id), "paused");
    assert_ok(job_cancel(stage->service, next.id, &test_err));
    assert_string_equal(state_of(stage, next.id), "cancelled");
    stage_end(stage);
}

/* A pause that is withdrawn before the function has seen it, or just after. */
static void test_pause_withdrawn(void **state)
{
    struct stage *stage = stage_begin(*state, 1);
    struct job_name deaf = submit(stage, "deaf", NULL, 0);
    await(atomic_load(&stage->begun) == 1);
    assert_ok(job_pause(stage->service, deaf.id, &test_err));
    TN_AUTO_JSON *document = look(stage, deaf.id);
    assert_string_equal(json_string_value(json_object_get(document, "state")), "running");
    assert_string_equal(json_string_value(json_object_get(document, "reason")), "pausing");
    assert_ok(job_resume(stage->service, deaf.id, &test_err));
    atomic_store(&stage->open, true);
    assert_int_equal(wait_end(stage, deaf.id), JOB_DONE);

    atomic_store(&stage->open, false);
    struct job_name job = submit(stage, "gate", "r", 0);
    await(atomic_load(&stage->begun) == 2);
    for (int i = 0; i < 20; i++) {
        assert_ok(job_pause(stage->service, job.id, &test_err));
        assert_ok(job_resume(stage->service, job.id, &test_err));
    }
    atomic_store(&stage->open, true);
    assert_int_equal(wait_end(stage, job.id), JOB_DONE);
    stage_end(stage);
}

/* Who did not listen, and ended well, has ended well. */
static void test_cancel_too_late(void **state)
{
    struct stage *stage = stage_begin(*state, 1);
    struct job_name job = submit(stage, "deaf", NULL, 0);
    await(atomic_load(&stage->begun) == 1);
    assert_ok(job_cancel(stage->service, job.id, &test_err));
    assert_int_equal(job_resume(stage->service, job.id, NULL), TN_ECONFLICT);
    assert_ok(job_pause(stage->service, job.id, &test_err));
    atomic_store(&stage->open, true);
    assert_int_equal(wait_end(stage, job.id), JOB_DONE);
    stage_end(stage);
}

static void test_waiting(void **state)
{
    struct stage *stage = stage_begin(*state, 1);
    atomic_store(&stage->away, 4);
    struct job_name job = submit(stage, "away", NULL, 0);
    assert_int_equal(wait_end(stage, job.id), JOB_DONE);
    assert_int_equal(atomic_load(&stage->begun), 5);
    stage_end(stage);

    /* With long pauses it stays, says why, holds nobody up, and tries at once when told. */
    stage = stage_new(*state, 1);
    job_service_close(stage->service);
    const struct job_options options = {.folder = *state, .wait_first_ms = 600000, .wait_most_ms = 600000};
    assert_ok(job_service_open(&options, &stage->service, &test_err));
    job_kind_add(stage->service, "away", run_away, stage);
    job_kind_add(stage->service, "gate", run_gate, stage);
    assert_ok(job_service_start(stage->service, &test_err));
    atomic_store(&stage->away, 1);
    job = submit(stage, "away", NULL, 0);
    await(tn_streq(state_of(stage, job.id), "waiting"));
    TN_AUTO_JSON *document = look(stage, job.id);
    assert_string_equal(json_string_value(json_object_get(document, "reason")), "the model server does not answer");
    assert_non_null(json_string_value(json_object_get(document, "tries_again")));
    atomic_store(&stage->open, true);
    struct job_name other = submit(stage, "gate", "x", 0);
    assert_int_equal(wait_end(stage, other.id), JOB_DONE);
    assert_string_equal(state_of(stage, job.id), "waiting");
    assert_ok(job_resume(stage->service, job.id, &test_err));
    assert_int_equal(wait_end(stage, job.id), JOB_DONE);
    stage_end(stage);
}

/* ---- the memory budget ----------------------------------------------------------- */

#define MEMORY ((uint64_t)1000)

/* Takes 600 of 1000 bytes; "all" wants more than there is. */
static enum tn_code run_hungry(struct job_run *run, void *context, struct tn_error *err)
{
    struct stage *stage = context;
    const char *name = json_string_value(json_object_get(job_run_arguments(run), "name"));
    if (tn_streq(name, "all"))
        return job_run_reserve(run, MEMORY + 1, err);
    TN_TRY(job_run_reserve(run, 600, err));
    note_begin(stage, name);
    while (!atomic_load(&stage->open) && !job_run_stopping(run))
        nap();
    return note_end(stage, TN_OK);
}

static uint64_t reserved(const struct stage *stage)
{
    struct job_totals totals;
    job_totals(stage->service, &totals);
    return totals.reserved_bytes;
}

/* Of this job, as everybody may see it. */
static int64_t reserved_by(const struct stage *stage, const char *id)
{
    TN_AUTO_BUF text = {0};
    TN_AUTO_JSON *job = NULL;
    struct tn_json json = tn_json_writer(&text);
    assert_ok(job_get(stage->service, id, &json, &test_err));
    assert_ok(tn_json_parse(text.data, text.len, text.len, "job", &job, &test_err));
    return json_integer_value(json_object_get(job, "memory_reserved_bytes"));
}

static void sees_running(const struct stage *stage, const char *id, int64_t bytes)
{
    TN_AUTO_BUF text = {0};
    TN_AUTO_JSON *jobs = NULL;
    struct tn_json json = tn_json_writer(&text);
    job_running(stage->service, &json);
    assert_ok(tn_json_parse(text.data, text.len, text.len, "jobs", &jobs, &test_err));
    assert_int_equal(json_array_size(jobs), 1);
    const json_t *one = json_array_get(jobs, 0);
    assert_string_equal(json_string_value(json_object_get(one, "id")), id);
    assert_int_equal(json_integer_value(json_object_get(one, "memory_reserved_bytes")), bytes);
}

static void test_memory_is_reserved(void **state)
{
    struct stage *stage = stage_new(*state, 2);
    job_service_close(stage->service);
    const struct job_options options = {
        .folder = *state, .running_most = 2, .memory_bytes = MEMORY, .wait_first_ms = 2, .wait_most_ms = 20};
    assert_ok(job_service_open(&options, &stage->service, &test_err));
    job_kind_add(stage->service, "hungry", run_hungry, stage);
    assert_ok(job_service_start(stage->service, &test_err));
    struct job_name first = submit(stage, "hungry", "one", 0);
    await(reserved(stage) == 600);
    assert_int_equal(reserved_by(stage, first.id), 600);
    sees_running(stage, first.id, 600);
    struct job_name second = submit(stage, "hungry", "two", 0);
    await(tn_streq(state_of(stage, second.id), "waiting"));
    assert_int_equal(reserved(stage), 600);
    struct job_name glutton = submit(stage, "hungry", "all", 0);
    assert_int_equal(wait_end(stage, glutton.id), JOB_FAILED);
    atomic_store(&stage->open, true);
    assert_int_equal(wait_end(stage, first.id), JOB_DONE);
    assert_int_equal(wait_end(stage, second.id), JOB_DONE);
    assert_int_equal(reserved(stage), 0);
    assert_int_equal(reserved_by(stage, first.id), 0);
    assert_int_equal(atomic_load(&stage->most), 1);
    stage_end(stage);
}

/* ---- once ---------------------------------------------------------------------- */

static struct job_name submit_once(struct stage *stage, const char *subject, bool again)
{
    struct job_name job;
    const struct job_request request = {.kind = "gate", .subject = subject, .once = true, .again = again};
    assert_ok(job_submit(stage->service, &request, job.id, &test_err));
    return job;
}

struct racer {
    struct stage *stage;
    struct job_name jobs[50];
    pthread_t thread;
};

static void *race(void *argument)
{
    struct racer *racer = argument;
    for (size_t i = 0; i < TN_COUNT(racer->jobs); i++)
        racer->jobs[i] = submit_once(racer->stage, "raced", false);
    return NULL;
}

static void test_once_raced(void **state)
{
    struct stage *stage = stage_begin(*state, 2);
    static struct racer racers[4];
    for (size_t i = 0; i < TN_COUNT(racers); i++) {
        racers[i].stage = stage;
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < TN_COUNT(racers); i++)
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
    for (size_t i = 0; i < TN_COUNT(racers); i++)
        for (size_t k = 0; k < TN_COUNT(racers[i].jobs); k++)
            assert_string_equal(racers[i].jobs[k].id, racers[0].jobs[0].id);
    struct job_name other = submit_once(stage, "another", false);
    assert_string_not_equal(other.id, racers[0].jobs[0].id);
    atomic_store(&stage->open, true);
    assert_int_equal(wait_end(stage, racers[0].jobs[0].id), JOB_DONE);
    assert_int_equal(wait_end(stage, other.id), JOB_DONE);
    assert_int_equal(atomic_load(&stage->begun), 2);
    struct job_name later = submit_once(stage, "raced", false);
    assert_string_not_equal(later.id, racers[0].jobs[0].id);
    assert_int_equal(wait_end(stage, later.id), JOB_DONE);
    stage_end(stage);
}

/* What is asked for while the job runs is done behind it, by the same job. */
static void test_once_again(void **state)
{
    struct stage *stage = stage_begin(*state, 1);
    struct job_name job = submit_once(stage, "again", true);
    await(atomic_load(&stage->begun) == 1);
    for (int i = 0; i < 3; i++)
        assert_string_equal(submit_once(stage, "again", true).id, job.id);
    atomic_store(&stage->open, true);
    assert_int_equal(wait_end(stage, job.id), JOB_DONE);
    assert_int_equal(atomic_load(&stage->begun), 2);
    stage_end(stage);
}

/* Cancelled, and not yet ended: what is asked for now is another job. */
static void test_once_beside_cancelled(void **state)
{
    struct stage *stage = stage_begin(*state, 2);
    const struct job_request request = {.kind = "deaf", .subject = "s", .once = true};
    struct job_name first, second;
    assert_ok(job_submit(stage->service, &request, first.id, &test_err));
    await(atomic_load(&stage->begun) == 1);
    assert_ok(job_cancel(stage->service, first.id, &test_err));
    assert_ok(job_submit(stage->service, &request, second.id, &test_err));
    assert_string_not_equal(first.id, second.id);
    assert_string_equal(state_of(stage, second.id), "queued");
    atomic_store(&stage->open, true);
    assert_int_equal(wait_end(stage, second.id), JOB_DONE);
    stage_end(stage);
}

/* ---- looking ---------------------------------------------------------------------- */

static json_t *list(struct stage *stage, const char *state, const char *before, size_t limit, char last[JOB_ID_TEXT])
{
    TN_AUTO_BUF text = {0};
    struct tn_json writer = tn_json_writer(&text);
    json_t *document = NULL;
    assert_ok(job_list(stage->service, state, before, limit, &writer, last, &test_err));
    assert_ok(tn_json_parse(text.data, text.len, 1 << 20, "list", &document, &test_err));
    return document;
}

static void test_list(void **state)
{
    struct stage *stage = stage_new(*state, 1);
    char last[JOB_ID_TEXT] = "", seen[5][JOB_ID_TEXT];
    TN_AUTO_JSON *none = list(stage, NULL, NULL, 10, last);
    assert_int_equal(json_array_size(none), 0);
    for (size_t i = 0; i < TN_COUNT(seen); i++)
        memcpy(seen[i], submit(stage, "gate", "x", 0).id, JOB_ID_TEXT);
    assert_ok(job_cancel(stage->service, seen[2], &test_err));
    size_t found = 0;
    const char *before = NULL;
    do {
        TN_AUTO_JSON *page = list(stage, NULL, before, 2, last);
        for (size_t i = 0; i < json_array_size(page); i++)
            assert_string_equal(json_string_value(json_object_get(json_array_get(page, i), "id")),
                                seen[TN_COUNT(seen) - 1 - found++]);
        before = last;
    } while (last[0]);
    assert_int_equal(found, TN_COUNT(seen));
    TN_AUTO_JSON *queued = list(stage, "queued", NULL, 10, last);
    assert_int_equal(json_array_size(queued), 4);
    TN_AUTO_JSON *cancelled = list(stage, "cancelled", NULL, 10, NULL);
    assert_int_equal(json_array_size(cancelled), 1);
    TN_AUTO_BUF text = {0};
    struct tn_json writer = tn_json_writer(&text);
    assert_int_equal(job_list(stage->service, "weary", NULL, 1, &writer, NULL, NULL), TN_EREQUEST);
    stage_end(stage);
}

static enum tn_code run_lines(struct job_run *run, void *context, struct tn_error *err)
{
    (void)context;
    (void)err;
    char wide[3000];
    memset(wide, 'w', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    for (int i = 0; i < 450; i++)
        job_run_log(run, "line %d", i);
    job_run_log(run, "%s", wide);
    assert_true(job_run_memory(run) == (uint64_t)1 << 30);
    assert_true(job_run_threads(run) >= 1);
    return TN_OK;
}

static void test_log_bounded(void **state)
{
    struct stage *stage = stage_new(*state, 1);
    job_kind_add(stage->service, "lines", run_lines, stage);
    assert_ok(job_service_start(stage->service, &test_err));
    struct job_name job = submit(stage, "lines", NULL, 0);
    assert_int_equal(wait_end(stage, job.id), JOB_DONE);
    TN_AUTO_BUF text = {0};
    struct tn_json writer = tn_json_writer(&text);
    TN_AUTO_JSON *log = NULL;
    assert_ok(job_log(stage->service, job.id, &writer, &test_err));
    assert_ok(tn_json_parse(text.data, text.len, 1 << 20, "log", &log, &test_err));
    assert_int_equal(json_array_size(log), 200);
    assert_string_equal(json_string_value(json_object_get(json_array_get(log, 0), "text")), "line 251");
    assert_int_equal(json_string_length(json_object_get(json_array_get(log, 199), "text")), 1000);
    stage_end(stage);
}

static void test_progress(void **state)
{
    struct stage *stage = stage_begin(*state, 1);
    TN_AUTO_FREE char *path = tn_asprintf("%s/numbers", (char *)*state);
    TN_AUTO_JSON *arguments = json_pack("{s:i, s:s}", "to", 20, "file", path);
    const struct job_request request = {.kind = "count", .arguments = arguments};
    struct job_name job;
    enum job_state now = JOB_QUEUED;
    uint64_t version = 0, before = 0;
    assert_ok(job_submit(stage->service, &request, job.id, &test_err));
    while (!job_state_ended(now)) {
        assert_ok(job_wait(stage->service, job.id, version, LONG_MS, &now, &version, &test_err));
        assert_true(version > before);
        before = version;
    }
    TN_AUTO_JSON *document = look(stage, job.id);
    const json_t *progress = json_object_get(document, "progress");
    assert_int_equal(json_integer_value(json_object_get(progress, "done")), 20);
    assert_int_equal(json_integer_value(json_object_get(progress, "total")), 20);
    assert_string_equal(json_string_value(json_object_get(progress, "unit")), "numbers");
    /* A wait that nothing ends. */
    struct job_name gate = submit(stage, "gate", "g", 0);
    await(atomic_load(&stage->begun) == 1);
    assert_ok(job_peek(stage->service, gate.id, &now, &version, &test_err));
    assert_ok(job_wait(stage->service, gate.id, version + 1000000000, 5, &now, &version, &test_err));
    assert_int_equal(now, JOB_RUNNING);
    assert_int_equal(job_peek(stage->service, job.id, &now, &version, NULL), TN_ENOTFOUND);
    stage_end(stage);
}

/* ---- the end --------------------------------------------------------------------------- */

static void test_close_while_running(void **state)
{
    struct stage *stage = stage_begin(*state, 2);
    struct job_name running = submit(stage, "gate", "r", 0), asked = submit(stage, "gate", "p", 0);
    struct job_name queued = submit(stage, "gate", "q", 0);
    await(atomic_load(&stage->begun) == 2);
    assert_ok(job_pause(stage->service, asked.id, &test_err));
    job_service_close(stage->service);
    assert_int_equal(atomic_load(&stage->inside), 0);
    (void)pthread_mutex_destroy(&stage->lock);
    free(stage);

    stage = stage_new(*state, 1);
    atomic_store(&stage->open, true);
    assert_ok(job_service_start(stage->service, &test_err));
    assert_int_equal(wait_end(stage, running.id), JOB_DONE);
    assert_int_equal(wait_end(stage, queued.id), JOB_DONE);
    assert_string_equal(state_of(stage, asked.id), "paused");
    TN_AUTO_JSON *document = look(stage, running.id);
    assert_int_equal(json_integer_value(json_object_get(document, "attempts")), 2);
    stage_end(stage);
}

/* A command that opens a lake for a moment does its own work alone. */
static void test_only_new(void **state)
{
    struct stage *stage = stage_new(*state, 1);
    struct job_name old = submit(stage, "gate", "old", 0), wanted = submit_once(stage, "wanted", false);
    stage_end(stage);

    stage = stage_new(*state, 1);
    job_service_close(stage->service);
    const struct job_options options = {.folder = *state, .only_new = true};
    assert_ok(job_service_open(&options, &stage->service, &test_err));
    job_kind_add(stage->service, "gate", run_gate, stage);
    atomic_store(&stage->open, true);
    assert_ok(job_service_start(stage->service, &test_err));
    struct job_name mine = submit(stage, "gate", "mine", -9);
    assert_string_equal(submit_once(stage, "wanted", false).id, wanted.id);
    assert_int_equal(wait_end(stage, mine.id), JOB_DONE);
    assert_int_equal(wait_end(stage, wanted.id), JOB_DONE);
    assert_string_equal(state_of(stage, old.id), "queued");
    assert_ok(job_resume(stage->service, old.id, &test_err));
    assert_int_equal(wait_end(stage, old.id), JOB_DONE);
    stage_end(stage);
}

/* Many threads do everything at once; nothing is lost. */
static void *storm(void *argument)
{
    struct racer *racer = argument;
    for (size_t i = 0; i < TN_COUNT(racer->jobs); i++) {
        char name[20];
        (void)snprintf(name, sizeof name, "%zu", i % 7);
        racer->jobs[i] = submit(racer->stage, i % 3 ? "gate" : "away", name, (int)(i % 2));
        const char *id = racer->jobs[i].id;
        (void)!(i % 5 ? TN_OK : job_pause(racer->stage->service, id, NULL));
        (void)!(i % 4 ? TN_OK : job_cancel(racer->stage->service, id, NULL));
        (void)!(i % 5 ? TN_OK : job_resume(racer->stage->service, id, NULL));
        TN_AUTO_JSON *document = look(racer->stage, id);
        assert_non_null(document);
    }
    return NULL;
}

static void test_storm(void **state)
{
    struct stage *stage = stage_begin(*state, 3);
    static struct racer racers[3];
    atomic_store(&stage->open, true);
    atomic_store(&stage->away, 20);
    for (size_t i = 0; i < TN_COUNT(racers); i++) {
        racers[i].stage = stage;
        assert_int_equal(pthread_create(&racers[i].thread, NULL, storm, &racers[i]), 0);
    }
    for (size_t i = 0; i < TN_COUNT(racers); i++)
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
    for (size_t i = 0; i < TN_COUNT(racers); i++)
        for (size_t k = 0; k < TN_COUNT(racers[i].jobs); k++) {
            enum job_state end = wait_end(stage, racers[i].jobs[k].id);
            assert_true(end == JOB_DONE || (end == JOB_CANCELLED && k % 4 == 0));
        }
    struct job_totals totals;
    job_totals(stage->service, &totals);
    assert_int_equal(totals.done + totals.cancelled, TN_COUNT(racers) * TN_COUNT(racers[0].jobs));
    stage_end(stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_life),
        FOLDER_TEST(test_failure),
        FOLDER_TEST(test_unknown),
        FOLDER_TEST(test_order),
        FOLDER_TEST(test_moved_forward_and_back),
        FOLDER_TEST(test_at_once),
        FOLDER_TEST(test_one_subject),
        FOLDER_TEST(test_cancel),
        FOLDER_TEST(test_pause),
        FOLDER_TEST(test_pause_withdrawn),
        FOLDER_TEST(test_cancel_too_late),
        FOLDER_TEST(test_waiting),
        FOLDER_TEST(test_memory_is_reserved),
        FOLDER_TEST(test_once_raced),
        FOLDER_TEST(test_once_again),
        FOLDER_TEST(test_once_beside_cancelled),
        FOLDER_TEST(test_list),
        FOLDER_TEST(test_log_bounded),
        FOLDER_TEST(test_progress),
        FOLDER_TEST(test_close_while_running),
        FOLDER_TEST(test_only_new),
        FOLDER_TEST(test_storm),
    };
    tn_log_configure(TN_LOG_OFF, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
