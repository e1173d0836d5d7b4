/* Services and kinds of jobs for the tests of this module. */
#ifndef TARN_JOB_TEST_SUPPORT_H
#define TARN_JOB_TEST_SUPPORT_H

#include "base/test_support.h"
#include "job/job.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LONG_MS 60000 /* longer than any test takes that goes well */

/* What the kinds of a test share. */
struct stage {
    struct job_service *service;
    atomic_int begun, ended; /* runs of "gate" and others */
    atomic_bool open;        /* lets "gate" go on */
    atomic_int away;         /* "away" is so often not there */
    atomic_int most, inside; /* at once */
    char order[400];         /* subjects, as they began */
    pthread_mutex_t lock;
};

static inline void nap(void)
{
    const struct timespec time = {.tv_nsec = 1000000};
    (void)nanosleep(&time, NULL);
}

/* Waits for something that will be so. */
#define await(condition)                                                                                             \
    do {                                                                                                             \
        for (uint64_t end_ = tn_mono_ns() + LONG_MS * UINT64_C(1000000); !(condition); nap())                        \
            if (tn_mono_ns() > end_)                                                                                 \
                fail_msg("never: %s", #condition);                                                                   \
    } while (0)

static inline void note_begin(struct stage *stage, const char *subject)
{
    (void)pthread_mutex_lock(&stage->lock);
    size_t length = strlen(stage->order);
    (void)snprintf(stage->order + length, sizeof stage->order - length, "%s%s", length ? " " : "", subject);
    (void)pthread_mutex_unlock(&stage->lock);
    int inside = atomic_fetch_add(&stage->inside, 1) + 1;
    for (int most = atomic_load(&stage->most); inside > most;)
        if (atomic_compare_exchange_weak(&stage->most, &most, inside))
            break;
    atomic_fetch_add(&stage->begun, 1);
}

static inline enum tn_code note_end(struct stage *stage, enum tn_code code)
{
    atomic_fetch_sub(&stage->inside, 1);
    atomic_fetch_add(&stage->ended, 1);
    return code;
}

/* Runs until the stage is open, or until it is told to stop. */
static inline enum tn_code run_gate(struct job_run *run, void *context, struct tn_error *err)
{
    struct stage *stage = context;
    const char *subject = json_string_value(json_object_get(job_run_arguments(run), "name"));
    note_begin(stage, subject ? subject : "-");
    job_run_log(run, "the gate is reached");
    while (!atomic_load(&stage->open)) {
        if (job_run_stopping(run))
            return note_end(stage, tn_fail(err, TN_ECANCELLED, "stopped"));
        nap();
    }
    TN_AUTO_JSON *result = json_pack("{s:i}", "runs", atomic_load(&stage->begun));
    job_run_result(run, result);
    return note_end(stage, TN_OK);
}

/* As stubborn as some calls into libraries are. */
static inline enum tn_code run_deaf(struct job_run *run, void *context, struct tn_error *err)
{
    struct stage *stage = context;
    (void)run;
    (void)err;
    note_begin(stage, "deaf");
    while (!atomic_load(&stage->open))
        nap();
    return note_end(stage, TN_OK);
}

static inline enum tn_code run_away(struct job_run *run, void *context, struct tn_error *err)
{
    struct stage *stage = context;
    (void)run;
    atomic_fetch_add(&stage->begun, 1);
    if (atomic_fetch_sub(&stage->away, 1) > 0)
        return tn_fail(err, TN_EUNAVAILABLE, "the model server does not answer");
    return TN_OK;
}

static inline enum tn_code run_broken(struct job_run *run, void *context, struct tn_error *err)
{
    (void)context;
    job_run_log(run, "about to break");
    (void)tn_fail(err, TN_EUNREADABLE, "page 3 cannot be read");
    tn_error_hint(err, "repair it");
    return TN_EUNREADABLE;
}

/* {"to":N,"file":PATH,"die":K}: appends the numbers 0 to N-1, each in one
 * checkpoint; dies as by kill -9 behind K of them. */
static inline enum tn_code run_count(struct job_run *run, void *context, struct tn_error *err)
{
    const json_t *arguments = job_run_arguments(run), *checkpoint = job_run_checkpoint(run);
    json_int_t to = json_integer_value(json_object_get(arguments, "to"));
    json_int_t die = json_integer_value(json_object_get(arguments, "die"));
    const char *path = json_string_value(json_object_get(arguments, "file"));
    bool immortal = context != NULL;
    json_int_t at = checkpoint ? json_integer_value(json_object_get(checkpoint, "at")) : 0;
    job_run_progress(run, (uint64_t)at, (uint64_t)to, "numbers");
    while (at < to) {
        if (job_run_stopping(run))
            return tn_fail(err, TN_ECANCELLED, "stopped");
        FILE *file = fopen(path, "a");
        if (!file)
            return tn_fail(err, TN_EIO, "cannot open %s", path);
        (void)fprintf(file, "%lld\n", (long long)at++);
        (void)fclose(file);
        TN_AUTO_JSON *state = json_pack("{s:I}", "at", at);
        TN_TRY(job_run_save(run, state, err));
        job_run_progress(run, (uint64_t)at, (uint64_t)to, "numbers");
        if (!immortal && at == die)
            _exit(9);
    }
    return TN_OK;
}

static inline struct stage *stage_new(const char *folder, unsigned running)
{
    struct stage *stage = tn_calloc(1, sizeof *stage);
    (void)pthread_mutex_init(&stage->lock, NULL);
    const struct job_options options = {
        .folder = folder, .running_most = running, .wait_first_ms = 2, .wait_most_ms = 20};
    assert_ok(job_service_open(&options, &stage->service, &test_err));
    job_kind_add(stage->service, "gate", run_gate, stage);
    job_kind_add(stage->service, "deaf", run_deaf, stage);
    job_kind_add(stage->service, "away", run_away, stage);
    job_kind_add(stage->service, "broken", run_broken, stage);
    job_kind_add(stage->service, "count", run_count, stage);
    return stage;
}

static inline struct stage *stage_begin(const char *folder, unsigned running)
{
    struct stage *stage = stage_new(folder, running);
    assert_ok(job_service_start(stage->service, &test_err));
    return stage;
}

static inline void stage_end(struct stage *stage)
{
    job_service_close(stage->service);
    (void)pthread_mutex_destroy(&stage->lock);
    free(stage);
}

struct job_name {
    char id[JOB_ID_TEXT];
};

static inline struct job_name submit(struct stage *stage, const char *kind, const char *name, int priority)
{
    struct job_name job;
    TN_AUTO_JSON *arguments = json_pack("{s:s?}", "name", name);
    const struct job_request request = {
        .kind = kind, .subject = name, .arguments = arguments, .priority = priority, .actor = "ann"};
    assert_ok(job_submit(stage->service, &request, job.id, &test_err));
    return job;
}

static inline json_t *look(struct stage *stage, const char *id)
{
    TN_AUTO_BUF text = {0};
    struct tn_json writer = tn_json_writer(&text);
    json_t *document = NULL;
    assert_ok(job_get(stage->service, id, &writer, &test_err));
    assert_ok(tn_json_parse(text.data, text.len, 1 << 20, "job", &document, &test_err));
    return document;
}

/* The state's word, static. */
static inline const char *state_of(struct stage *stage, const char *id)
{
    TN_AUTO_JSON *document = look(stage, id);
    enum job_state state = JOB_QUEUED;
    assert_true(job_state_parse(json_string_value(json_object_get(document, "state")), &state));
    return job_state_word(state);
}

static inline enum job_state wait_end(struct stage *stage, const char *id)
{
    enum job_state state = JOB_QUEUED;
    uint64_t version = 0;
    for (uint64_t end = tn_mono_ns() + LONG_MS * UINT64_C(1000000); tn_mono_ns() < end;) {
        assert_ok(job_wait(stage->service, id, version, 1000, &state, &version, &test_err));
        if (job_state_ended(state))
            return state;
    }
    fail_msg("job %s never ended", id);
    return state;
}

#endif
