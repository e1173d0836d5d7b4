/* The threads: which job is next, its run, and what follows from its end. */
#include "job/job_internal.h"

#define RETRY_NS   UINT64_C(1000000000)
#define FOREVER_NS UINT64_C(3600000000000)

void job_wait_cond(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t timeout_ns)
{
    (void)tn_cond_wait_until(cond, lock, tn_mono_ns() + TN_MIN(timeout_ns, FOREVER_NS));
}

/* ---- which is next ------------------------------------------------------------------ */

/* Whether another of its kind works on the same thing. */
static bool is_held_up(const struct job_service *service, const struct job *job)
{
    for (const struct job *other = service->active; other; other = other->next)
        if (other->state == JOB_RUNNING && job->subject && other->subject && tn_streq(other->kind, job->kind) &&
            tn_streq(other->subject, job->subject))
            return true;
    return false;
}

static bool goes_before(const struct job *a, const struct job *b)
{
    return a->priority != b->priority ? a->priority > b->priority : strcmp(a->id, b->id) < 0;
}

/* NULL: none; then *ret_wait_ns is when to look again. Lock held. */
static struct job *next_job(const struct job_service *service, uint64_t *ret_wait_ns)
{
    struct job *best = NULL;
    uint64_t now = tn_mono_ns();
    *ret_wait_ns = FOREVER_NS;
    for (struct job *job = service->active; job; job = job->next) {
        if ((job->state != JOB_QUEUED && job->state != JOB_WAITING) || (service->options.only_new && !job->mine))
            continue;
        if (job->not_before_ns > now)
            *ret_wait_ns = TN_MIN(*ret_wait_ns, job->not_before_ns - now);
        else if ((!best || goes_before(job, best)) && !is_held_up(service, job))
            best = job;
    }
    return best;
}

/* ---- beginning ------------------------------------------------------------------------ */

/* File lock held. What cannot be written is not begun. */
static bool begin(struct job_service *service, struct job *job)
{
    struct tn_error err = {0};
    struct job copy = job_copy(service, job);
    if (!job_kind_find(service, job->kind)) {
        (void)tn_fail(&err, TN_EUNSUPPORTED, "no job of the kind \"%.60s\" can run here", job->kind);
        job_copy_fail(&copy, &err);
    } else {
        copy.state = JOB_RUNNING;
        copy.reason = NULL;
        copy.attempts++;
        copy.started_us = tn_now_us();
        copy.not_before_ns = 0;
        copy.not_before_ms = 0;
    }
    bool runs = copy.state == JOB_RUNNING;
    if (job_commit(service, job, &copy, &err) == TN_OK)
        return runs;
    TN_LOG(TN_LOG_WARN, "jobs.not_begun", TN_FS("job", job->id), TN_FS("detail", err.detail));
    (void)pthread_mutex_lock(&service->lock);
    job->not_before_ns = tn_mono_ns() + RETRY_NS;
    (void)pthread_mutex_unlock(&service->lock);
    return false;
}

/* A job that is marked as running now, or NULL when there was none after all. */
static struct job *take_job(struct job_service *service)
{
    uint64_t wait;
    (void)pthread_mutex_lock(&service->file);
    (void)pthread_mutex_lock(&service->lock);
    struct job *job = service->closing ? NULL : next_job(service, &wait);
    (void)pthread_mutex_unlock(&service->lock);
    if (job && !begin(service, job))
        job = NULL;
    if (job) {
        struct job_run *run = tn_calloc(1, sizeof *run);
        run->service = service;
        run->job = job;
        (void)pthread_mutex_lock(&service->lock);
        job->run = run;
        job->rate = (struct job_rate){0};
        if (service->closing) {
            atomic_store(&run->stopped, true);
            atomic_store(&run->stop, true);
        }
        (void)pthread_mutex_unlock(&service->lock);
    }
    (void)pthread_mutex_unlock(&service->file);
    return job;
}

void *job_worker(void *argument)
{
    struct job_service *service = argument;
    tn_thread_stand_behind(service->options.cpus); /* queries go first */
    (void)pthread_mutex_lock(&service->lock);
    while (!service->closing) {
        uint64_t wait;
        if (!next_job(service, &wait)) {
            job_wait_cond(&service->wake, &service->lock, wait);
            continue;
        }
        (void)pthread_mutex_unlock(&service->lock);
        struct job *job = take_job(service);
        if (job)
            job_run_execute(service, job);
        (void)pthread_mutex_lock(&service->lock);
    }
    (void)pthread_mutex_unlock(&service->lock);
    return NULL;
}

/* ---- ending ---------------------------------------------------------------------------- */

/* Twice as long each time, and never two at the same moment. */
static uint64_t pause_ms(const struct job_options *options, unsigned waits)
{
    uint64_t pause = options->wait_first_ms << TN_MIN(waits, 20u);
    pause = TN_MIN(pause, options->wait_most_ms);
    return pause * 3 / 4 + tn_random_u64() % (pause / 2 + 1);
}

static void copy_wait(const struct job_service *service, struct job *copy, const struct tn_error *error)
{
    uint64_t pause = pause_ms(&service->options, copy->waits++);
    copy->state = JOB_WAITING;
    copy->reason = tn_strdup(error->detail);
    copy->not_before_ms = tn_now_ms() + (int64_t)pause;
    copy->not_before_ns = tn_mono_ns() + pause * 1000000;
}

/* It was asked to stop, and did. */
static void copy_stop(struct job *copy)
{
    enum job_wish wish = copy->wish;
    if (wish == JOB_WISH_CANCEL) {
        job_copy_end(copy, JOB_CANCELLED);
        return;
    }
    copy->state = wish == JOB_WISH_PAUSE ? JOB_PAUSED : JOB_QUEUED;
    copy->wish = JOB_WISH_NONE;
    copy->reason = NULL;
}

static void copy_done(struct job_run *run, struct job *copy)
{
    copy->result = run->result ? tn_strdup(run->result) : NULL;
    if (!copy->again || copy->wish == JOB_WISH_CANCEL) {
        job_copy_end(copy, JOB_DONE);
        return;
    }
    copy->state = copy->wish == JOB_WISH_PAUSE ? JOB_PAUSED : JOB_QUEUED;
    copy->wish = JOB_WISH_NONE;
    copy->again = false;
    copy->reason = NULL;
}

/* Which state follows from how its function returned. */
static void decide(struct job_run *run, enum tn_code code, const struct tn_error *error, bool closing,
                   struct job *copy)
{
    copy->deaths = 0;
    if (code == TN_OK)
        copy_done(run, copy);
    else if (code == TN_ECANCELLED && atomic_load(&run->stopped))
        copy_stop(copy);
    else if (code != TN_EUNAVAILABLE && code != TN_EBUSY)
        job_copy_fail(copy, error);
    else if (copy->wish != JOB_WISH_NONE || closing)
        copy_stop(copy);
    else
        copy_wait(run->service, copy, error);
}

static void log_end(const struct job *copy, const struct tn_error *error)
{
    if (copy->state == JOB_FAILED)
        TN_LOG(TN_LOG_WARN, "jobs.failed", TN_FS("job", copy->id), TN_FS("kind", copy->kind),
               TN_FS("subject", copy->subject), TN_FS("code", tn_code_word(error->code)),
               TN_FS("detail", error->detail));
    else
        TN_LOG(TN_LOG_INFO, "jobs.stopped", TN_FS("job", copy->id), TN_FS("kind", copy->kind),
               TN_FS("subject", copy->subject), TN_FS("state", job_state_word(copy->state)),
               TN_FS("reason", copy->reason));
}

/* One try; file lock held. A job that begins anew has no checkpoint any more. */
static enum tn_code write_end(struct job_run *run, enum tn_code code, const struct tn_error *error,
                              struct tn_error *err)
{
    struct job_service *service = run->service;
    struct job *job = run->job;
    struct job copy = job_copy(service, job);
    bool anew = code == TN_OK && copy.again && copy.wish != JOB_WISH_CANCEL;
    (void)pthread_mutex_lock(&service->lock);
    bool closing = service->closing;
    (void)pthread_mutex_unlock(&service->lock);
    decide(run, code, error, closing, &copy);
    if (anew) {
        enum tn_code failure = job_db_checkpoint(service->db, &copy, NULL, err);
        if (failure != TN_OK) {
            job_copy_drop(&copy, job);
            return failure;
        }
    }
    TN_FAULT("job.before_end");
    log_end(&copy, error);
    (void)pthread_mutex_lock(&service->lock);
    job->run = NULL;
    (void)pthread_mutex_unlock(&service->lock);
    enum tn_code failure = job_commit(service, job, &copy, err);
    if (failure != TN_OK) {
        (void)pthread_mutex_lock(&service->lock);
        job->run = run;
        (void)pthread_mutex_unlock(&service->lock);
    }
    return failure;
}

/* Returns whether the service closes: then the job is left to the next process. */
static bool rest_closing(struct job_run *run)
{
    struct job_service *service = run->service;
    (void)pthread_mutex_lock(&service->lock);
    if (!service->closing)
        job_wait_cond(&service->wake, &service->lock, RETRY_NS);
    bool closing = service->closing;
    (void)pthread_mutex_unlock(&service->lock);
    if (!closing)
        return false;
    (void)pthread_mutex_lock(&service->file);
    (void)pthread_mutex_lock(&service->lock);
    run->job->run = NULL;
    (void)pthread_mutex_unlock(&service->lock);
    (void)pthread_mutex_unlock(&service->file);
    return true;
}

/* The end must get into the file: until it does (a full disk), the job counts
 * as running, and says why. A process that ends meanwhile begins it again. */
static void end(struct job_run *run, enum tn_code code, const struct tn_error *error)
{
    struct job_service *service = run->service;
    for (bool told = false;;) {
        struct tn_error err = {0};
        (void)pthread_mutex_lock(&service->file);
        enum tn_code failure = write_end(run, code, error, &err);
        if (failure != TN_OK && !told) {
            (void)pthread_mutex_lock(&service->lock);
            free(run->job->reason);
            run->job->reason = tn_asprintf("its end cannot be recorded: %s", err.detail);
            job_touch(service, run->job);
            (void)pthread_mutex_unlock(&service->lock);
            TN_LOG(TN_LOG_WARN, "jobs.end_not_written", TN_FS("job", run->job->id), TN_FS("detail", err.detail));
            told = true;
        }
        (void)pthread_mutex_unlock(&service->file);
        if (failure == TN_OK)
            return;
        if (rest_closing(run))
            return;
    }
}

static enum tn_code read_body(struct job_run *run, struct tn_error *err)
{
    TN_AUTO_FREE char *arguments = NULL;
    TN_AUTO_FREE char *checkpoint = NULL;
    (void)pthread_mutex_lock(&run->service->file);
    enum tn_code code = job_db_body(run->service->db, run->job->id, &arguments, &checkpoint, err);
    (void)pthread_mutex_unlock(&run->service->file);
    TN_TRY(code);
    TN_TRY(tn_json_parse(arguments ? arguments : "{}", arguments ? strlen(arguments) : 2, JOB_JSON_MAX,
                         "the job's arguments", &run->arguments, err));
    if (!checkpoint)
        return TN_OK;
    return tn_json_parse(checkpoint, strlen(checkpoint), JOB_JSON_MAX, "the job's checkpoint", &run->checkpoint, err);
}

void job_run_execute(struct job_service *service, struct job *job)
{
    struct tn_error error = {0};
    struct job_run *run = job->run;
    const struct job_kind *kind = job_kind_find(service, job->kind);
    TN_LOG(TN_LOG_INFO, "jobs.begun", TN_FS("job", job->id), TN_FS("kind", job->kind), TN_FS("subject", job->subject),
           TN_FI("attempt", job->attempts));
    TN_FAULT("job.begun");
    enum tn_code code = read_body(run, &error);
    if (code == TN_OK)
        code = kind->function(run, kind->context, &error);
    (void)!job_run_reserve(run, 0, NULL); /* giving back never fails */
    error.code = code;
    end(run, code, &error);
    json_decref(run->arguments);
    json_decref(run->checkpoint);
    free(run->result);
    free(run);
}
