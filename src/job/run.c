/* What a job's function may call. */
#include "job/job_internal.h"

#include <stdio.h>

#define WRITE_EVERY_NS UINT64_C(1000000000)

const char *job_run_id(const struct job_run *run)
{
    return run->job->id;
}

const json_t *job_run_arguments(const struct job_run *run)
{
    return run->arguments;
}

const json_t *job_run_checkpoint(const struct job_run *run)
{
    return run->checkpoint;
}

bool job_run_stopping(const struct job_run *run)
{
    return atomic_load_explicit(&run->stop, memory_order_relaxed);
}

bool job_run_stopping_fn(void *run)
{
    return job_run_stopping(run);
}

uint64_t job_run_memory(const struct job_run *run)
{
    return run->service->options.memory_bytes / run->service->options.running_most;
}

unsigned job_run_threads(const struct job_run *run)
{
    return TN_MAX(1u, run->service->options.cpus / run->service->options.running_most);
}

enum tn_code job_run_reserve(struct job_run *run, uint64_t bytes, struct tn_error *err)
{
    struct job_service *service = run->service;
    char wanted[32], all[32];
    uint64_t most = service->options.memory_bytes;
    if (bytes > most) {
        (void)tn_fail(err, TN_ETOOLARGE, "this takes %s of memory, and all jobs together may take %s",
                      tn_format_size(bytes, wanted), tn_format_size(most, all));
        tn_error_hint(err, "raise the setting jobs.memory");
        return TN_ETOOLARGE;
    }
    (void)pthread_mutex_lock(&service->lock);
    uint64_t others = service->reserved - run->reserved;
    bool fits = bytes <= most - others;
    if (fits) {
        service->reserved = others + bytes;
        run->reserved = bytes;
    }
    (void)pthread_mutex_unlock(&service->lock);
    if (fits)
        return TN_OK;
    return tn_fail(err, TN_EBUSY, "other jobs have taken %s of the %s of memory, and this takes %s",
                   tn_format_size(others, (char[32]){0}), tn_format_size(most, all), tn_format_size(bytes, wanted));
}

/* ---- checkpoints ------------------------------------------------------------------- */

static enum tn_code save_locked(struct job_run *run, const char *text, struct tn_error *err)
{
    struct job_service *service = run->service;
    struct job copy = job_copy(service, run->job);
    copy.deaths = copy.waits = 0; /* it gets on */
    copy.version = TN_MAX(copy.version + 1, (uint64_t)tn_now_us());
    TN_TRY(job_db_checkpoint(service->db, &copy, text, err));
    (void)pthread_mutex_lock(&service->lock);
    run->job->deaths = run->job->waits = 0;
    run->noted_ns = tn_mono_ns();
    job_touch(service, run->job);
    (void)pthread_mutex_unlock(&service->lock);
    return TN_OK;
}

enum tn_code job_run_save(struct job_run *run, const json_t *state, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    tn_json_dump(state, &text);
    if (text.len > JOB_JSON_MAX)
        return tn_fail(err, TN_ETOOLARGE, "a checkpoint of job %s takes %zu bytes, at most %zu may", run->job->id,
                       text.len, JOB_JSON_MAX);
    (void)pthread_mutex_lock(&run->service->file);
    enum tn_code code = save_locked(run, text.data, err);
    (void)pthread_mutex_unlock(&run->service->file);
    return code;
}

/* ---- progress ------------------------------------------------------------------------ */

/* So that a restart shows how far it was. Without waiting for others' files:
 * the next call comes soon. */
static void write_progress(struct job_run *run)
{
    struct job_service *service = run->service;
    if (pthread_mutex_trylock(&service->file) != 0)
        return;
    struct job copy = job_copy(service, run->job);
    if (job_db_update(service->db, &copy, false, NULL) != TN_OK)
        TN_LOG(TN_LOG_DEBUG, "jobs.progress_not_written", TN_FS("job", run->job->id));
    (void)pthread_mutex_unlock(&service->file);
}

void job_run_progress(struct job_run *run, uint64_t done, uint64_t total, const char *unit)
{
    struct job_service *service = run->service;
    struct job *job = run->job;
    uint64_t now = tn_mono_ns();
    (void)pthread_mutex_lock(&service->lock);
    job->done = done;
    job->total = total;
    (void)snprintf(job->unit, sizeof job->unit, "%s", unit ? unit : "");
    job_rate_note(&job->rate, done, now);
    job_touch(service, job);
    bool due = now - run->noted_ns >= WRITE_EVERY_NS;
    if (due)
        run->noted_ns = now;
    (void)pthread_mutex_unlock(&service->lock);
    if (due)
        write_progress(run);
}

/* ---- log and result ---------------------------------------------------------------------- */

void job_run_log(struct job_run *run, const char *format, ...)
{
    struct tn_error err = {0};
    TN_AUTO_BUF text = {0};
    va_list args;
    va_start(args, format);
    tn_buf_vprintf(&text, format, args);
    va_end(args);
    if (text.len > JOB_LOG_TEXT) {
        text.len = tn_utf8_floor(text.data, text.len, JOB_LOG_TEXT - 3);
        text.data[text.len] = '\0';
        tn_buf_puts(&text, "...");
    }
    (void)pthread_mutex_lock(&run->service->file);
    enum tn_code code = job_db_log_add(run->service->db, run->job->id, text.data ? text.data : "", &err);
    (void)pthread_mutex_unlock(&run->service->file);
    if (code != TN_OK)
        TN_LOG(TN_LOG_WARN, "jobs.log_not_written", TN_FS("job", run->job->id), TN_FS("text", text.data),
               TN_FS("detail", err.detail));
}

void job_run_result(struct job_run *run, const json_t *result)
{
    TN_AUTO_BUF text = {0};
    tn_json_dump(result, &text);
    if (text.len > JOB_JSON_MAX) {
        job_run_log(run, "the result takes %zu bytes, too many to be kept", text.len);
        return;
    }
    free(run->result);
    run->result = tn_buf_take(&text);
}
