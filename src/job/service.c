/* The service opened and closed; changes of jobs written and published. */
#include "job/job_internal.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WEEK_MS UINT64_C(604800000)
#define GB      (UINT64_C(1) << 30)
/* Old jobs are forgotten after so many new ends. */
#define FORGET_EVERY 256

/* ---- jobs in memory ------------------------------------------------------------ */

void job_free(struct job *job)
{
    if (!job)
        return;
    free(job->kind);
    free(job->subject);
    free(job->actor);
    free(job->request_id);
    free(job->reason);
    free(job->result);
    free(job->error);
    free(job);
}

struct job *job_find(struct job_service *service, const char *id)
{
    for (struct job *job = service->active; job; job = job->next)
        if (tn_streq(job->id, id))
            return job;
    return NULL;
}

void job_add_active(struct job_service *service, struct job *job)
{
    (void)pthread_mutex_lock(&service->lock);
    job->next = service->active;
    service->active = job;
    service->active_count++;
    (void)pthread_cond_signal(&service->wake);
    (void)pthread_mutex_unlock(&service->lock);
}

static void free_active(struct job_service *service)
{
    while (service->active) {
        struct job *job = service->active;
        service->active = job->next;
        job_free(job);
    }
    service->active_count = 0;
}

/* The clock's number, so that it goes on growing behind a crash that lost the last ones. */
void job_touch(struct job_service *service, struct job *job)
{
    uint64_t now = (uint64_t)tn_now_us();
    job->version = TN_MAX(job->version + 1, now);
    (void)pthread_cond_broadcast(&service->changed);
}

struct job job_copy(struct job_service *service, const struct job *job)
{
    (void)pthread_mutex_lock(&service->lock);
    struct job copy = *job;
    (void)pthread_mutex_unlock(&service->lock);
    return copy;
}

static void drop_text(char *of_copy, const char *of_job)
{
    if (of_copy != of_job)
        free(of_copy);
}

void job_copy_drop(struct job *copy, const struct job *job)
{
    drop_text(copy->reason, job->reason);
    drop_text(copy->result, job->result);
    drop_text(copy->error, job->error);
}

void job_error_json(const struct tn_error *error, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "code", tn_code_word(error->code));
    tn_json_kstr(&json, "detail", error->detail);
    tn_json_kstr(&json, "hint", error->hint[0] ? error->hint : NULL);
    tn_json_close(&json, '}');
}

void job_copy_end(struct job *copy, enum job_state state)
{
    copy->state = state;
    copy->ended_us = tn_now_us();
    copy->reason = NULL;
    copy->wish = JOB_WISH_NONE;
    copy->again = false;
}

void job_copy_fail(struct job *copy, const struct tn_error *error)
{
    TN_AUTO_BUF text = {0};
    job_error_json(error, &text);
    job_copy_end(copy, JOB_FAILED);
    copy->error = tn_buf_take(&text);
}

/* ---- publishing ------------------------------------------------------------------ */

static void take_text(char **of_job, char *of_copy)
{
    if (*of_job != of_copy)
        free(*of_job);
    *of_job = of_copy;
}

static void unlink_active(struct job_service *service, struct job *job)
{
    struct job **at = &service->active;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    service->active_count--;
    service->done += job->state == JOB_DONE;
    service->failed += job->state == JOB_FAILED;
    service->cancelled += job->state == JOB_CANCELLED;
}

static void forget_old(struct job_service *service)
{
    struct tn_error err = {0};
    if (service->ends++ % FORGET_EVERY != 0)
        return;
    int64_t before = tn_now_us() - (int64_t)TN_MIN(service->options.keep_ended_ms, (uint64_t)INT64_MAX / 4000) * 1000;
    if (job_db_forget(service->db, before, &err) != TN_OK)
        TN_LOG(TN_LOG_WARN, "jobs.not_forgotten", TN_FS("detail", err.detail));
}

enum tn_code job_commit(struct job_service *service, struct job *job, struct job *copy, struct tn_error *err)
{
    bool durable = copy->state != JOB_RUNNING || copy->wish != JOB_WISH_NONE || copy->again;
    copy->version = TN_MAX(copy->version + 1, (uint64_t)tn_now_us());
    enum tn_code code = job_db_update(service->db, copy, durable, err);
    if (code != TN_OK) {
        job_copy_drop(copy, job);
        return code;
    }
    bool ended = job_state_ended(copy->state);
    (void)pthread_mutex_lock(&service->lock);
    job->state = copy->state;
    job->wish = copy->wish;
    job->again = copy->again;
    job->mine |= copy->mine;
    take_text(&job->reason, copy->reason);
    take_text(&job->result, copy->result);
    take_text(&job->error, copy->error);
    job->deaths = copy->deaths;
    job->waits = copy->waits;
    job->attempts = copy->attempts;
    job->not_before_ms = copy->not_before_ms;
    job->not_before_ns = copy->not_before_ns;
    job->started_us = copy->started_us;
    job->ended_us = copy->ended_us;
    job->priority = copy->priority;
    if (ended)
        unlink_active(service, job);
    job_touch(service, job);
    (void)pthread_cond_broadcast(&service->wake);
    (void)pthread_mutex_unlock(&service->lock);
    if (ended) {
        job_free(job);
        forget_old(service);
    }
    return TN_OK;
}

/* ---- what an earlier process left ---------------------------------------------------- */

static void fail_deadly(struct job *copy)
{
    struct tn_error error = {0};
    (void)tn_fail(&error, TN_EINTERNAL,
                  "the process ended %d times in a row while this job ran, without a checkpoint between",
                  JOB_DEATHS_MOST);
    tn_error_hint(&error, "look into the server's log; resuming the job tries again");
    job_copy_fail(copy, &error);
}

static void settle_left(struct job_service *service, struct job *job)
{
    struct tn_error err = {0};
    struct job copy = *job;
    if (job->wish == JOB_WISH_CANCEL) {
        job_copy_end(&copy, JOB_CANCELLED);
    } else if (++copy.deaths >= JOB_DEATHS_MOST) {
        fail_deadly(&copy);
    } else {
        copy.state = job->wish == JOB_WISH_PAUSE ? JOB_PAUSED : JOB_QUEUED;
        copy.wish = JOB_WISH_NONE;
        copy.reason = copy.state == JOB_QUEUED ? tn_strdup("the process ended while it ran") : NULL;
    }
    TN_LOG(TN_LOG_INFO, "jobs.left_running", TN_FS("job", job->id), TN_FS("kind", job->kind),
           TN_FS("subject", job->subject), TN_FS("now", job_state_word(copy.state)));
    /* Not written (a full disk): it counts as queued for this process all the same. */
    if (job_commit(service, job, &copy, &err) != TN_OK) {
        TN_LOG(TN_LOG_WARN, "jobs.not_written", TN_FS("detail", err.detail));
        (void)pthread_mutex_lock(&service->lock);
        job->state = JOB_QUEUED;
        job->deaths++;
        (void)pthread_cond_signal(&service->wake);
        (void)pthread_mutex_unlock(&service->lock);
    }
}

static void take_left(void *context, struct job *job)
{
    struct job_service *service = context;
    int64_t left_ms = job->not_before_ms - tn_now_ms();
    uint64_t most = service->options.wait_most_ms;
    uint64_t wait = left_ms > 0 ? TN_MIN((uint64_t)left_ms, most) : 0;
    job->not_before_ns = tn_mono_ns() + wait * 1000000;
    job_add_active(service, job);
}

enum tn_code job_service_need_file(struct job_service *service, struct tn_error *err)
{
    if (service->db)
        return TN_OK;
    TN_CLEANUP(job_db_close_p) struct job_db *db = NULL;
    TN_TRY(job_db_open(service->options.folder, &db, err));
    enum tn_code code = job_db_active(db, take_left, service, err);
    if (code != TN_OK) {
        (void)pthread_mutex_lock(&service->lock);
        free_active(service);
        (void)pthread_mutex_unlock(&service->lock);
        return code;
    }
    service->db = TN_TAKE(db);
    for (struct job *job = service->active, *next; job; job = next) {
        next = job->next;
        if (job->state == JOB_RUNNING)
            settle_left(service, job);
    }
    forget_old(service);
    return TN_OK;
}

/* ---- open, start, close ----------------------------------------------------------------- */

static void init_locks(struct job_service *service)
{
    tn_cond_init(&service->wake);
    tn_cond_init(&service->changed);
    (void)pthread_mutex_init(&service->file, NULL);
    (void)pthread_mutex_init(&service->lock, NULL);
}

static void fill_defaults(struct job_options *options)
{
    unsigned cpus = (unsigned)tn_cpu_count();
    if (options->running_most == 0)
        options->running_most = 1;
    if (options->keep_ended_ms == 0)
        options->keep_ended_ms = WEEK_MS;
    if (options->memory_bytes == 0)
        options->memory_bytes = GB;
    if (options->cpus == 0 || options->cpus > cpus)
        options->cpus = cpus;
    if (options->wait_first_ms == 0)
        options->wait_first_ms = 1000;
    if (options->wait_most_ms == 0)
        options->wait_most_ms = 300000;
}

enum tn_code job_service_need_left(struct job_service *service, struct tn_error *err)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/jobs.db", service->options.folder);
    return service->db || access(path, F_OK) != 0 ? TN_OK : job_service_need_file(service, err);
}

static void open_left(struct job_service *service)
{
    struct tn_error err = {0};
    (void)pthread_mutex_lock(&service->file);
    enum tn_code code = job_service_need_left(service, &err);
    (void)pthread_mutex_unlock(&service->file);
    if (code != TN_OK)
        TN_LOG(TN_LOG_WARN, "jobs.unavailable", TN_FS("detail", err.detail), TN_FS("hint", err.hint));
}

enum tn_code job_service_open(const struct job_options *options, struct job_service **ret, struct tn_error *err)
{
    TN_TRY(tn_random_init(err));
    struct job_service *service = tn_calloc(1, sizeof *service);
    service->options = *options;
    service->options.folder = service->folder = tn_strdup(options->folder);
    fill_defaults(&service->options);
    init_locks(service);
    open_left(service);
    *ret = service;
    return TN_OK;
}

void job_kind_add(struct job_service *service, const char *kind, job_function *function, void *context)
{
    TN_GROW(service->kinds, service->kind_count, service->kind_capacity);
    service->kinds[service->kind_count++] = (struct job_kind){kind, function, context};
}

const struct job_kind *job_kind_find(const struct job_service *service, const char *kind)
{
    for (size_t i = 0; i < service->kind_count; i++)
        if (tn_streq(service->kinds[i].name, kind))
            return &service->kinds[i];
    return NULL;
}

enum tn_code job_service_start(struct job_service *service, struct tn_error *err)
{
    if (service->options.idle)
        return TN_OK;
    service->threads = tn_calloc(service->options.running_most, sizeof *service->threads);
    /* Signals are for the main thread. */
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = 0;
    while (service->thread_count < service->options.running_most && failure == 0) {
        failure = pthread_create(&service->threads[service->thread_count], NULL, job_worker, service);
        if (failure == 0)
            service->thread_count++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure == 0 ? TN_OK : tn_fail_errno(err, failure, "cannot start a thread for jobs");
}

void job_service_stop(struct job_service *service)
{
    (void)pthread_mutex_lock(&service->lock);
    service->closing = true;
    for (struct job *job = service->active; job; job = job->next)
        if (job->run) {
            atomic_store(&job->run->stopped, true);
            atomic_store(&job->run->stop, true);
        }
    (void)pthread_cond_broadcast(&service->wake);
    (void)pthread_cond_broadcast(&service->changed);
    (void)pthread_mutex_unlock(&service->lock);
}

void job_service_close(struct job_service *service)
{
    if (!service)
        return;
    job_service_stop(service);
    for (size_t i = 0; i < service->thread_count; i++)
        (void)pthread_join(service->threads[i], NULL);
    job_db_close(service->db);
    free_active(service);
    (void)pthread_cond_destroy(&service->wake);
    (void)pthread_cond_destroy(&service->changed);
    (void)pthread_mutex_destroy(&service->file);
    (void)pthread_mutex_destroy(&service->lock);
    free(service->threads);
    free(service->kinds);
    free(service->folder);
    free(service);
}
