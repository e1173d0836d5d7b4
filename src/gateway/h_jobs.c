/* Jobs: look at them, steer them. */
#include "gateway/gateway_internal.h"

#define JOBS_DEFAULT 100
#define JOBS_MAX     1000

enum tn_code h_job_list(struct request *request, struct tn_error *err)
{
    uint64_t limit = JOBS_DEFAULT;
    char last[JOB_ID_TEXT] = "";
    const char *state = http_param(&request->target, "state"), *cursor = http_param(&request->target, "cursor");
    TN_TRY(request_param_u64(request, "limit", JOBS_MAX, &limit, err));
    if (limit == 0)
        return tn_fail(err, TN_EREQUEST, "limit must be from 1 to %d", JOBS_MAX);
    if (cursor && strlen(cursor) != JOB_ID_TEXT - 1)
        return tn_fail(err, TN_EREQUEST, "cursor is not one that this list gave");
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "items");
    TN_TRY(job_list(request->gateway->jobs, state, cursor, (size_t)limit, &json, last, err));
    tn_json_kstr(&json, "next_cursor", last[0] ? last : NULL);
    tn_json_close(&json, '}');
    return TN_OK;
}

static enum tn_code answer_job(struct request *request, struct tn_error *err)
{
    struct tn_json json = reply_json(request);
    return job_get(request->gateway->jobs, request->match.captures[0], &json, err);
}

enum tn_code h_job_get(struct request *request, struct tn_error *err)
{
    uint64_t seconds = 0, version;
    enum job_state state;
    const char *id = request->match.captures[0];
    TN_TRY(request_param_u64(request, "wait", 3600, &seconds, err));
    TN_TRY(job_wait(request->gateway->jobs, id, UINT64_MAX, 0, &state, &version, err));
    if (seconds == 0 || job_state_ended(state))
        return answer_job(request, err);
    event_wait(request, id, seconds, answer_job);
    return TN_OK;
}

typedef enum tn_code steer_fn(struct job_service *service, const char *id, struct tn_error *err);

static enum tn_code steer(struct request *request, steer_fn *fn, struct tn_error *err)
{
    TN_TRY(fn(request->gateway->jobs, request->match.captures[0], err));
    return answer_job(request, err);
}

enum tn_code h_job_cancel(struct request *request, struct tn_error *err)
{
    return steer(request, job_cancel, err);
}

enum tn_code h_job_change(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    int64_t priority = 0;
    const struct tn_json_field fields[] = {{.name = "priority",
                                            .kind = TN_JSON_INT,
                                            .ret = &priority,
                                            .required = true,
                                            .min = -JOB_PRIORITY_MOST,
                                            .max = JOB_PRIORITY_MOST}};
    TN_TRY(request_json(request, &body, err));
    TN_TRY(tn_json_read(body, "request body", fields, TN_COUNT(fields), err));
    TN_TRY(job_prioritise(request->gateway->jobs, request->match.captures[0], (int)priority, err));
    return answer_job(request, err);
}

enum tn_code h_job_pause(struct request *request, struct tn_error *err)
{
    return steer(request, job_pause, err);
}

enum tn_code h_job_resume(struct request *request, struct tn_error *err)
{
    return steer(request, job_resume, err);
}

enum tn_code h_job_log(struct request *request, struct tn_error *err)
{
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "items");
    TN_TRY(job_log(request->gateway->jobs, request->match.captures[0], &json, err));
    tn_json_kstr(&json, "next_cursor", NULL);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_job_events(struct request *request, struct tn_error *err)
{
    return event_stream(request, request->match.captures[0], err);
}
