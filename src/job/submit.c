/* Jobs submitted and steered. */
#include "job/job_internal.h"

/* ---- submitting ---------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && tn_streq(a, b));
}

static char *copy_text(const char *text)
{
    return text ? tn_strdup(text) : NULL;
}

/* A job that does what is asked for. File lock held. */
static struct job *find_same(struct job_service *service, const struct job_request *request)
{
    for (struct job *job = service->active; job; job = job->next)
        if (job->wish != JOB_WISH_CANCEL && tn_streq(job->kind, request->kind) &&
            same_text(job->subject, request->subject))
            return job;
    return NULL;
}

static enum tn_code join_same(struct job_service *service, struct job *same, const struct job_request *request,
                              struct tn_error *err)
{
    struct job copy = job_copy(service, same);
    bool again = copy.again || (request->again && copy.state == JOB_RUNNING);
    int priority = TN_MAX(copy.priority, request->priority);
    if (again == copy.again && priority == copy.priority && copy.mine)
        return TN_OK;
    copy.again = again;
    copy.priority = priority;
    copy.mine = true;
    return job_commit(service, same, &copy, err);
}

static enum tn_code add_new(struct job_service *service, const struct job_request *request, const char *arguments,
                            char ret_id[JOB_ID_TEXT], struct tn_error *err)
{
    if (service->active_count >= JOB_ACTIVE_MOST) {
        (void)tn_fail(err, TN_EBUSY, "%d jobs wait or run already", JOB_ACTIVE_MOST);
        tn_error_hint(err, "wait for some to end, or cancel them");
        return TN_EBUSY;
    }
    TN_CLEANUP(job_free_p) struct job *job = tn_calloc(1, sizeof *job);
    (void)tn_uuid7(job->id);
    job->kind = tn_strdup(request->kind);
    job->subject = copy_text(request->subject);
    job->actor = copy_text(request->actor);
    job->request_id = copy_text(request->request_id);
    job->priority = request->priority;
    job->created_us = tn_now_us();
    job->version = (uint64_t)job->created_us;
    job->mine = true;
    TN_TRY(job_db_insert(service->db, job, arguments, err));
    memcpy(ret_id, job->id, sizeof job->id);
    job_add_active(service, TN_TAKE(job));
    return TN_OK;
}

static enum tn_code submit_locked(struct job_service *service, const struct job_request *request,
                                  const char *arguments, char ret_id[JOB_ID_TEXT], struct tn_error *err)
{
    TN_TRY(job_service_need_file(service, err));
    struct job *same = request->once ? find_same(service, request) : NULL;
    if (!same)
        return add_new(service, request, arguments, ret_id, err);
    TN_TRY(join_same(service, same, request, err));
    memcpy(ret_id, same->id, sizeof same->id);
    return TN_OK;
}

enum tn_code job_submit(struct job_service *service, const struct job_request *request, char ret_id[JOB_ID_TEXT],
                        struct tn_error *err)
{
    TN_AUTO_BUF arguments = {0};
    if (!job_kind_find(service, request->kind))
        return tn_fail(err, TN_EUNSUPPORTED, "no job of the kind \"%.60s\" can run here", request->kind);
    if (request->arguments)
        tn_json_dump(request->arguments, &arguments);
    else
        tn_buf_puts(&arguments, "{}");
    if (arguments.len > JOB_JSON_MAX)
        return tn_fail(err, TN_ETOOLARGE, "the arguments of a job take %zu bytes, at most %zu may", arguments.len,
                       JOB_JSON_MAX);
    (void)pthread_mutex_lock(&service->file);
    enum tn_code code = submit_locked(service, request, arguments.data, ret_id, err);
    (void)pthread_mutex_unlock(&service->file);
    return code;
}

/* ---- steering ------------------------------------------------------------------------ */

static enum tn_code refuse_state(const struct job *job, const char *what, struct tn_error *err)
{
    return tn_fail(err, TN_ECONFLICT, "job %s cannot be %s: it is %s", job->id, what, job_state_word(job->state));
}

/* A running job's function is told; what follows, follows from its return. */
static enum tn_code wish_of_running(struct job_service *service, struct job *job, enum job_wish wish,
                                    struct tn_error *err)
{
    struct job copy = job_copy(service, job);
    if (copy.wish == wish || copy.wish == JOB_WISH_CANCEL)
        return copy.wish == wish || wish == JOB_WISH_PAUSE ? TN_OK : refuse_state(job, "resumed any more", err);
    copy.wish = wish;
    copy.reason = wish == JOB_WISH_NONE ? NULL : tn_strdup(wish == JOB_WISH_PAUSE ? "pausing" : "cancelling");
    copy.mine |= wish == JOB_WISH_NONE;
    TN_TRY(job_commit(service, job, &copy, err));
    if (wish != JOB_WISH_NONE)
        atomic_store(&job->run->stopped, true);
    atomic_store(&job->run->stop, wish != JOB_WISH_NONE);
    return TN_OK;
}

static enum tn_code set_state(struct job_service *service, struct job *job, enum job_state state,
                              struct tn_error *err)
{
    struct job copy = job_copy(service, job);
    copy.state = state;
    copy.reason = NULL;
    copy.mine |= state == JOB_QUEUED;
    if (state == JOB_CANCELLED)
        job_copy_end(&copy, state);
    if (state == JOB_QUEUED) {
        copy.waits = copy.deaths = 0;
        copy.not_before_ns = 0;
        copy.not_before_ms = 0;
    }
    return job_commit(service, job, &copy, err);
}

static enum tn_code revive(struct job_service *service, struct job *ended, struct tn_error *err)
{
    if (ended->state != JOB_FAILED)
        return refuse_state(ended, "resumed", err);
    if (service->active_count >= JOB_ACTIVE_MOST)
        return tn_fail(err, TN_EBUSY, "%d jobs wait or run already", JOB_ACTIVE_MOST);
    struct job copy = *ended;
    copy.state = JOB_QUEUED;
    copy.error = copy.reason = NULL;
    copy.waits = copy.deaths = 0;
    copy.ended_us = 0;
    copy.version = (uint64_t)tn_now_us();
    TN_TRY(job_db_update(service->db, &copy, true, err));
    job_copy_drop(ended, &copy);
    ended->error = ended->reason = NULL;
    struct job *job = tn_calloc(1, sizeof *job);
    *job = copy;
    job->mine = true;
    *ended = (struct job){0}; /* its texts went on */
    job_add_active(service, job);
    return TN_OK;
}

static enum tn_code steer_ended(struct job_service *service, const char *id, enum job_wish wish, struct tn_error *err)
{
    TN_CLEANUP(job_free_p) struct job *job = NULL;
    TN_TRY(job_db_get(service->db, id, &job, err));
    if (wish == JOB_WISH_NONE)
        return revive(service, job, err);
    if (wish == JOB_WISH_CANCEL && job->state == JOB_CANCELLED)
        return TN_OK;
    return refuse_state(job, wish == JOB_WISH_CANCEL ? "cancelled" : "paused", err);
}

static enum tn_code steer_locked(struct job_service *service, const char *id, enum job_wish wish,
                                 struct tn_error *err)
{
    static const enum job_state resting[] = {
        [JOB_WISH_NONE] = JOB_QUEUED, [JOB_WISH_PAUSE] = JOB_PAUSED, [JOB_WISH_CANCEL] = JOB_CANCELLED};
    TN_TRY(job_service_need_file(service, err));
    struct job *job = job_find(service, id);
    if (!job)
        return steer_ended(service, id, wish, err);
    if (job->state == JOB_RUNNING)
        return wish_of_running(service, job, wish, err);
    if (job->state == resting[wish] && (wish != JOB_WISH_NONE || job->mine))
        return TN_OK;
    return set_state(service, job, resting[wish], err);
}

static enum tn_code steer(struct job_service *service, const char *id, enum job_wish wish, struct tn_error *err)
{
    (void)pthread_mutex_lock(&service->file);
    enum tn_code code = steer_locked(service, id, wish, err);
    (void)pthread_mutex_unlock(&service->file);
    return code;
}

enum tn_code job_cancel(struct job_service *service, const char *id, struct tn_error *err)
{
    return steer(service, id, JOB_WISH_CANCEL, err);
}

enum tn_code job_pause(struct job_service *service, const char *id, struct tn_error *err)
{
    return steer(service, id, JOB_WISH_PAUSE, err);
}

enum tn_code job_resume(struct job_service *service, const char *id, struct tn_error *err)
{
    return steer(service, id, JOB_WISH_NONE, err);
}

static enum tn_code prioritise_locked(struct job_service *service, const char *id, int priority, struct tn_error *err)
{
    TN_TRY(job_service_need_file(service, err));
    struct job *job = job_find(service, id);
    if (!job) {
        TN_CLEANUP(job_free_p) struct job *ended = NULL;
        TN_TRY(job_db_get(service->db, id, &ended, err));
        return refuse_state(ended, "moved forward or back", err);
    }
    struct job copy = job_copy(service, job);
    copy.priority = priority;
    return job_commit(service, job, &copy, err);
}

enum tn_code job_prioritise(struct job_service *service, const char *id, int priority, struct tn_error *err)
{
    if (priority < -JOB_PRIORITY_MOST || priority > JOB_PRIORITY_MOST)
        return tn_fail(err, TN_EREQUEST, "priority must be from -%d to %d", JOB_PRIORITY_MOST, JOB_PRIORITY_MOST);
    (void)pthread_mutex_lock(&service->file);
    enum tn_code code = prioritise_locked(service, id, priority, err);
    (void)pthread_mutex_unlock(&service->file);
    return code;
}
