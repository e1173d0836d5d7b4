/* Waiting for jobs without holding a thread.
 *
 * Who waits stands in a list that the watch goes through ten times a second: a
 * parked request (?wait=SECONDS) goes on when its job has ended, a stream of
 * events is woken when its job has another version, a quarter of a second
 * apart at most, or when it is time for a sign of life. What a client gets is
 * the job as it is then, not a queue of what it was: a slow reader costs its
 * buffers, misses what lies between, and always sees the end. */
#include "gateway/gateway_internal.h"

#define PACE_NS  UINT64_C(250000000)
#define RETRY_MS 2000

struct event {
    struct event *prev, *next;
    struct request *request;
    char job[JOB_ID_TEXT];
    bool parked, linked;
    uint64_t seen;          /* version */
    uint64_t due_ns;        /* at the latest */
    uint64_t not_before_ns; /* pace */
};

static void link_event(struct event *event)
{
    struct gateway *gateway = event->request->gateway;
    (void)pthread_mutex_lock(&gateway->event_lock);
    event->next = gateway->events;
    if (event->next)
        event->next->prev = event;
    gateway->events = event;
    event->linked = true;
    (void)pthread_mutex_unlock(&gateway->event_lock);
}

static void unlink_locked(struct gateway *gateway, struct event *event)
{
    *(event->prev ? &event->prev->next : &gateway->events) = event->next;
    if (event->next)
        event->next->prev = event->prev;
    event->prev = event->next = NULL;
    event->linked = false;
}

static bool is_due(struct gateway *gateway, const struct event *event, uint64_t now)
{
    enum job_state state;
    uint64_t version;
    if (now >= event->due_ns || atomic_load(&gateway->draining) || atomic_load(&event->request->cancel))
        return true;
    if (now < event->not_before_ns)
        return false;
    if (job_peek(gateway->jobs, event->job, &state, &version, NULL) != TN_OK)
        return true; /* it has ended */
    return !event->parked && version != event->seen;
}

void event_tick(struct gateway *gateway)
{
    uint64_t now = tn_mono_ns();
    (void)pthread_mutex_lock(&gateway->event_lock);
    for (struct event *event = gateway->events, *next; event; event = next) {
        next = event->next;
        if (!is_due(gateway, event, now))
            continue;
        if (event->parked) {
            unlink_locked(gateway, event);
            tn_pool_submit(gateway->requests, TN_FOREGROUND, request_run_parked, event->request);
        } else {
            event->not_before_ns = now + PACE_NS;
            stream_wake(event->request);
        }
    }
    (void)pthread_mutex_unlock(&gateway->event_lock);
}

/* ---- parked requests --------------------------------------------------------------- */

void event_wait(struct request *request, const char *id, uint64_t seconds, route_handler *then)
{
    struct event *event = tn_arena_alloc(request->arena, sizeof *event);
    *event =
        (struct event){.request = request, .parked = true, .due_ns = tn_mono_ns() + seconds * UINT64_C(1000000000)};
    (void)snprintf(event->job, sizeof event->job, "%s", id);
    request->event = event;
    request->parked = then;
}

void event_park(struct request *request)
{
    request_ref(request);
    link_event(request->event);
}

static enum tn_code reply_accepted(struct request *request, const char *id, enum job_state state)
{
    const char *href = tn_arena_printf(request->arena, "/jobs/%s", id);
    struct tn_json json = reply_json(request);
    reply_status(request, 202, "application/json");
    reply_header(request, "Location", href);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "job_id", id);
    tn_json_kstr(&json, "href", href);
    tn_json_kstr(&json, "state", job_state_word(state));
    tn_json_close(&json, '}');
    return TN_OK;
}

static enum tn_code reply_outcome(struct request *request, struct tn_error *err)
{
    struct job_service *jobs = request->gateway->jobs;
    const char *id = request->event->job;
    TN_AUTO_JSON *result = NULL;
    struct tn_error failure = {0};
    enum job_state state;
    uint64_t version;
    if (job_peek(jobs, id, &state, &version, NULL) == TN_OK)
        return reply_accepted(request, id, state);
    TN_TRY(job_outcome(jobs, id, &state, &result, &failure, err));
    if (state != JOB_DONE) {
        if (err)
            *err = failure;
        return failure.code;
    }
    if (!result) {
        struct tn_json json = reply_json(request);
        return job_get(jobs, id, &json, err);
    }
    reply_status(request, 200, "application/json");
    tn_json_dump(result, &request->reply.body);
    return TN_OK;
}

enum tn_code job_reply(struct request *request, const char *id, struct tn_error *err)
{
    uint64_t seconds = 0;
    TN_TRY(request_param_u64(request, "wait", 3600, &seconds, err));
    if (seconds > 0) {
        event_wait(request, id, seconds, reply_outcome);
        return TN_OK;
    }
    enum job_state state;
    uint64_t version;
    TN_TRY(job_wait(request->gateway->jobs, id, UINT64_MAX, 0, &state, &version, err));
    return reply_accepted(request, id, state);
}

/* ---- Server-Sent Events ---------------------------------------------------------------- */

struct event_stream {
    struct event event;
    uint64_t sent_version; /* 0: nothing yet */
    enum job_state sent_state;
};

static void put_event(struct event_stream *stream, uint64_t version, enum job_state state, const struct tn_buf *json,
                      struct tn_buf *out)
{
    bool same = stream->sent_version != 0 && stream->sent_state == state;
    tn_buf_printf(out, "id: %llu\nevent: %s\ndata: ", (unsigned long long)version,
                  job_state_ended(state) ? "end"
                  : same                 ? "progress"
                                         : "state");
    tn_buf_append(out, json->data, json->len);
    tn_buf_puts(out, "\n\n");
}

/* When the list next has a reason to call. */
static void set_due(struct event_stream *stream, uint64_t version)
{
    struct gateway *gateway = stream->event.request->gateway;
    (void)pthread_mutex_lock(&gateway->event_lock);
    stream->event.seen = version;
    stream->event.due_ns = tn_mono_ns() + gateway->limits.heartbeat_ns;
    (void)pthread_mutex_unlock(&gateway->event_lock);
}

static enum tn_code events_fill(void *context, size_t target, struct tn_buf *out, bool *ret_done,
                                struct tn_error *err)
{
    struct event_stream *stream = context;
    struct request *request = stream->event.request;
    struct job_service *jobs = request->gateway->jobs;
    TN_AUTO_BUF text = {0};
    enum job_state state;
    uint64_t version;
    (void)target;
    if (atomic_load(&request->gateway->draining) || atomic_load(&request->cancel)) {
        *ret_done = true; /* who still listens comes again */
        return TN_OK;
    }
    TN_TRY(job_wait(jobs, stream->event.job, UINT64_MAX, 0, &state, &version, err));
    if (version != stream->sent_version) {
        struct tn_json json = tn_json_writer(&text);
        TN_TRY(job_get(jobs, stream->event.job, &json, err));
        put_event(stream, version, state, &text, out);
        stream->sent_version = version;
        stream->sent_state = state;
        set_due(stream, version);
    } else if (tn_mono_ns() >= stream->event.due_ns) {
        tn_buf_puts(out, ":\n\n");
        set_due(stream, version);
    }
    *ret_done = job_state_ended(state);
    return TN_OK;
}

static void events_fail(void *context, const struct tn_error *error, const char *request_id, struct tn_buf *out)
{
    TN_AUTO_BUF text = {0};
    (void)context;
    problem_write(error, request_id, &text);
    tn_buf_puts(out, "event: error\ndata: ");
    tn_buf_append(out, text.data, text.len);
    tn_buf_puts(out, "\n\n");
}

static void events_free(void *context)
{
    struct event_stream *stream = context;
    struct gateway *gateway = stream->event.request->gateway;
    (void)pthread_mutex_lock(&gateway->event_lock);
    unlink_locked(gateway, &stream->event);
    (void)pthread_mutex_unlock(&gateway->event_lock);
    free(stream);
}

enum tn_code event_stream(struct request *request, const char *id, struct tn_error *err)
{
    enum job_state state;
    uint64_t version, known = 0;
    TN_TRY(job_wait(request->gateway->jobs, id, UINT64_MAX, 0, &state, &version, err));
    if (request->last_event_id && !tn_parse_u64(request->last_event_id, &known))
        known = 0;
    if (job_state_ended(state) && known == version) {
        reply_status(request, 204, NULL); /* tells browsers not to come again */
        return TN_OK;
    }
    struct event_stream *stream = tn_calloc(1, sizeof *stream);
    stream->event.request = request;
    (void)snprintf(stream->event.job, sizeof stream->event.job, "%s", id);
    if (known == version) {
        stream->sent_version = version;
        stream->sent_state = state;
    }
    stream->event.due_ns = tn_mono_ns() + request->gateway->limits.heartbeat_ns;
    reply_status(request, 200, "text/event-stream");
    reply_header(request, "X-Accel-Buffering", "no");
    tn_buf_printf(&request->reply.body, "retry: %d\n\n", RETRY_MS);
    request->reply.stream =
        (struct stream){.context = stream, .fill = events_fill, .fail = events_fail, .free = events_free};
    link_event(&stream->event);
    return TN_OK;
}
