/* Jobs as JSON; waiting for them. */
#include "job/job_internal.h"

static const char *const state_words[] = {"queued", "running", "waiting", "paused", "done", "failed", "cancelled"};

const char *job_state_word(enum job_state state)
{
    return state_words[state];
}

bool job_state_parse(const char *word, enum job_state *ret)
{
    for (size_t i = 0; i < TN_COUNT(state_words); i++)
        if (tn_streq(word, state_words[i])) {
            *ret = (enum job_state)i;
            return true;
        }
    return false;
}

/* ---- as JSON --------------------------------------------------------------------------- */

static void write_time(struct tn_json *out, const char *key, int64_t us)
{
    char time[TN_TIME_TEXT];
    tn_json_kstr(out, key, us > 0 ? tn_time_format(us, time) : NULL);
}

static void write_number(struct tn_json *out, const char *key, bool known, double value)
{
    if (known) {
        tn_json_kf64(out, key, value);
        return;
    }
    tn_json_key(out, key);
    tn_json_null(out);
}

static void write_raw(struct tn_json *out, const char *key, const char *json)
{
    tn_json_key(out, key);
    if (json)
        tn_json_raw(out, json, strlen(json));
    else
        tn_json_null(out);
}

static double rounded(double value)
{
    /* Three digits after the point say more than anyone needs; large values keep their whole part. */
    return value < 1e12 ? (double)(int64_t)(value * 1000 + 0.5) / 1000 : value;
}

static void write_progress(const struct job *job, struct tn_json *out)
{
    double rate = job->state == JOB_RUNNING ? job_rate_now(&job->rate, tn_mono_ns()) : 0;
    bool known = rate > 1e-6;
    tn_json_key(out, "progress");
    tn_json_open(out, '{');
    tn_json_key(out, "done");
    tn_json_u64(out, job->done);
    tn_json_key(out, "total");
    if (job->total > 0)
        tn_json_u64(out, job->total);
    else
        tn_json_null(out);
    tn_json_kstr(out, "unit", job->unit[0] ? job->unit : NULL);
    write_number(out, "rate", known, rounded(rate));
    write_number(out, "seconds_left", known && job->total >= job->done && job->total > 0,
                 known ? rounded((double)(job->total - TN_MIN(job->done, job->total)) / rate) : 0);
    tn_json_close(out, '}');
}

void job_write(const struct job *job, struct tn_json *out)
{
    tn_json_open(out, '{');
    tn_json_kstr(out, "id", job->id);
    tn_json_kstr(out, "kind", job->kind);
    tn_json_kstr(out, "subject", job->subject);
    tn_json_kstr(out, "state", job_state_word(job->state));
    tn_json_kstr(out, "reason", job->reason);
    tn_json_ki64(out, "priority", job->priority);
    write_progress(job, out);
    write_time(out, "created", job->created_us);
    write_time(out, "started", job->started_us);
    write_time(out, "ended", job->ended_us);
    write_time(out, "tries_again", job->state == JOB_WAITING ? job->not_before_ms * 1000 : 0);
    tn_json_key(out, "attempts");
    tn_json_u64(out, job->attempts);
    tn_json_ki64(out, "memory_reserved_bytes", job->run ? (int64_t)job->run->reserved : 0);
    write_raw(out, "result", job->result);
    write_raw(out, "error", job->error);
    tn_json_kstr(out, "actor", job->actor);
    tn_json_kstr(out, "request_id", job->request_id);
    tn_json_close(out, '}');
}

/* ---- looking -------------------------------------------------------------------------------- */

static bool write_active(struct job_service *service, const char *id, struct tn_json *out)
{
    (void)pthread_mutex_lock(&service->lock);
    const struct job *job = job_find(service, id);
    if (job)
        job_write(job, out);
    (void)pthread_mutex_unlock(&service->lock);
    return job != NULL;
}

/* Without a file there are no jobs. */
static enum tn_code need_job(struct job_service *service, const char *id, struct tn_error *err)
{
    TN_TRY(job_service_need_left(service, err));
    return service->db ? TN_OK : job_unknown(id, err);
}

/* The job, when it has ended. */
static enum tn_code get_ended(struct job_service *service, const char *id, struct job **ret, struct tn_error *err)
{
    (void)pthread_mutex_lock(&service->file);
    enum tn_code code = need_job(service, id, err);
    if (code == TN_OK)
        code = job_db_get(service->db, id, ret, err);
    (void)pthread_mutex_unlock(&service->file);
    return code;
}

enum tn_code job_get(struct job_service *service, const char *id, struct tn_json *out, struct tn_error *err)
{
    TN_CLEANUP(job_free_p) struct job *job = NULL;
    if (write_active(service, id, out))
        return TN_OK;
    TN_TRY(get_ended(service, id, &job, err));
    job_write(job, out);
    return TN_OK;
}

struct list {
    struct job_service *service;
    struct tn_json *out;
    size_t limit, count;
    char last[JOB_ID_TEXT];
    bool more;
};

static void list_one(void *context, struct job *row)
{
    struct list *list = context;
    if (list->count == list->limit) {
        list->more = true;
    } else {
        list->count++;
        memcpy(list->last, row->id, sizeof list->last);
        if (!write_active(list->service, row->id, list->out))
            job_write(row, list->out);
    }
    job_free(row);
}

enum tn_code job_list(struct job_service *service, const char *state, const char *before_id, size_t limit,
                      struct tn_json *out, char ret_last[JOB_ID_TEXT], struct tn_error *err)
{
    enum job_state wanted = JOB_QUEUED;
    if (state && !job_state_parse(state, &wanted))
        return tn_fail(err, TN_EREQUEST,
                       "state must be queued, running, waiting, paused, done, failed or cancelled, not \"%.60s\"",
                       state);
    struct list list = {.service = service, .out = out, .limit = limit};
    tn_json_open(out, '[');
    (void)pthread_mutex_lock(&service->file);
    enum tn_code code = job_service_need_left(service, err);
    if (code == TN_OK && service->db)
        code = job_db_list(service->db, state ? (int)wanted : -1, before_id, limit + 1, list_one, &list, err);
    (void)pthread_mutex_unlock(&service->file);
    TN_TRY(code);
    tn_json_close(out, ']');
    if (ret_last)
        memcpy(ret_last, list.more ? list.last : "", list.more ? sizeof list.last : 1);
    return TN_OK;
}

enum tn_code job_log(struct job_service *service, const char *id, struct tn_json *out, struct tn_error *err)
{
    TN_CLEANUP(job_free_p) struct job *job = NULL;
    (void)pthread_mutex_lock(&service->file);
    enum tn_code code = need_job(service, id, err);
    if (code == TN_OK)
        code = job_db_get(service->db, id, &job, err);
    if (code == TN_OK)
        code = job_db_log(service->db, id, out, err);
    (void)pthread_mutex_unlock(&service->file);
    return code;
}

enum tn_code job_peek(struct job_service *service, const char *id, enum job_state *ret_state, uint64_t *ret_version,
                      struct tn_error *err)
{
    (void)pthread_mutex_lock(&service->lock);
    const struct job *job = job_find(service, id);
    if (job) {
        *ret_state = job->state;
        *ret_version = job->version;
    }
    (void)pthread_mutex_unlock(&service->lock);
    return job ? TN_OK : tn_fail(err, TN_ENOTFOUND, "job %.60s has ended, or never was", id);
}

enum tn_code job_wait(struct job_service *service, const char *id, uint64_t version, uint64_t timeout_ms,
                      enum job_state *ret_state, uint64_t *ret_version, struct tn_error *err)
{
    uint64_t now = tn_mono_ns(), until = now + TN_MIN(timeout_ms, UINT64_C(86400000)) * 1000000;
    (void)pthread_mutex_lock(&service->lock);
    const struct job *job;
    while ((job = job_find(service, id)) && job->version <= version && now < until && !service->closing) {
        job_wait_cond(&service->changed, &service->lock, until - now);
        now = tn_mono_ns();
    }
    if (job) {
        *ret_state = job->state;
        *ret_version = job->version;
    }
    (void)pthread_mutex_unlock(&service->lock);
    if (job)
        return TN_OK;
    TN_CLEANUP(job_free_p) struct job *ended = NULL;
    TN_TRY(get_ended(service, id, &ended, err));
    *ret_state = ended->state;
    *ret_version = ended->version;
    return TN_OK;
}

/* ---- what came of it --------------------------------------------------------------------------- */

static void read_error(const struct job *job, struct tn_error *ret)
{
    TN_AUTO_JSON *error = NULL;
    if (job->state == JOB_CANCELLED) {
        (void)tn_fail(ret, TN_ECANCELLED, "job %s was cancelled", job->id);
        return;
    }
    if (!job->error || tn_json_parse(job->error, strlen(job->error), JOB_JSON_MAX, "error", &error, NULL) != TN_OK) {
        (void)tn_fail(ret, TN_EINTERNAL, "job %s failed", job->id);
        return;
    }
    const char *word = json_string_value(json_object_get(error, "code"));
    const char *detail = json_string_value(json_object_get(error, "detail"));
    const char *hint = json_string_value(json_object_get(error, "hint"));
    (void)tn_fail(ret, word ? tn_code_from_word(word) : TN_EINTERNAL, "%s", detail ? detail : "the job failed");
    if (hint)
        tn_error_hint(ret, "%s", hint);
}

enum tn_code job_outcome(struct job_service *service, const char *id, enum job_state *ret_state, json_t **ret_result,
                         struct tn_error *ret_error, struct tn_error *err)
{
    TN_CLEANUP(job_free_p) struct job *job = NULL;
    TN_TRY(get_ended(service, id, &job, err));
    if (!job_state_ended(job->state))
        return tn_fail(err, TN_ECONFLICT, "job %s has not ended: it is %s", id, job_state_word(job->state));
    json_t *result = NULL;
    if (job->state == JOB_DONE && job->result)
        TN_TRY(tn_json_parse(job->result, strlen(job->result), JOB_JSON_MAX, "the job's result", &result, err));
    if (job->state != JOB_DONE && ret_error)
        read_error(job, ret_error);
    *ret_state = job->state;
    *ret_result = result;
    return TN_OK;
}

void job_totals(struct job_service *service, struct job_totals *ret)
{
    struct job_totals totals = {.running_most = service->options.running_most,
                                .cpus = service->options.cpus,
                                .memory_bytes = service->options.memory_bytes};
    (void)pthread_mutex_lock(&service->lock);
    totals.reserved_bytes = service->reserved;
    for (const struct job *job = service->active; job; job = job->next) {
        totals.queued += job->state == JOB_QUEUED;
        totals.running += job->state == JOB_RUNNING;
        totals.waiting += job->state == JOB_WAITING;
        totals.paused += job->state == JOB_PAUSED;
    }
    totals.done = service->done;
    totals.failed = service->failed;
    totals.cancelled = service->cancelled;
    (void)pthread_mutex_unlock(&service->lock);
    *ret = totals;
}

void job_running(struct job_service *service, struct tn_json *out)
{
    tn_json_open(out, '[');
    (void)pthread_mutex_lock(&service->lock);
    for (const struct job *job = service->active; job; job = job->next) {
        if (!job->run)
            continue;
        tn_json_open(out, '{');
        tn_json_kstr(out, "id", job->id);
        tn_json_kstr(out, "kind", job->kind);
        tn_json_kstr(out, "subject", job->subject);
        tn_json_ki64(out, "memory_reserved_bytes", (int64_t)job->run->reserved);
        tn_json_close(out, '}');
    }
    (void)pthread_mutex_unlock(&service->lock);
    tn_json_close(out, ']');
}
