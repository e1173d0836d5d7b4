/* A request's life, from its line to the last byte of its answer. */
#include "gateway/gateway_internal.h"

#include <microhttpd.h>

/* Bytes of a body that nobody wants: read and thrown away up to here, so that
 * the client gets to see the answer; beyond it the connection is cut. */
#define DISCARD_MAX ((uint64_t)4 << 20)

struct request *request_new(struct gateway *gateway, struct MHD_Connection *mhd, const char *raw_target)
{
    struct request *request = tn_calloc(1, sizeof *request);
    request->gateway = gateway;
    request->mhd = mhd;
    request->arena = tn_arena_new();
    request->raw_target = tn_arena_strdup(request->arena, raw_target);
    request->started_ns = tn_mono_ns();
    request->reply.fd = -1;
    request->refs = 1;
    request->match.index = SIZE_MAX;
    (void)pthread_mutex_init(&request->lock, NULL);
    return request;
}

void request_ref(struct request *request)
{
    (void)pthread_mutex_lock(&request->lock);
    request->refs++;
    (void)pthread_mutex_unlock(&request->lock);
}

static void request_free(void *argument)
{
    struct request *request = argument;
    if (request->upload)
        request->upload_free(request->upload);
    reply_release(&request->reply);
    tn_buf_release(&request->body);
    tn_buf_release(&request->upload_in);
    tn_buf_release(&request->upload_work);
    tn_buf_release(&request->stream_back);
    tn_arena_free(request->arena);
    (void)pthread_mutex_destroy(&request->lock);
    free(request);
}

void request_unref(struct request *request)
{
    (void)pthread_mutex_lock(&request->lock);
    bool last = --request->refs == 0;
    /* What ends a query or an ingest may wait for it: not on an event thread.
     * Only the last one may look: until then these belong to somebody. */
    bool slow = last && (request->upload || request->reply.stream.free);
    (void)pthread_mutex_unlock(&request->lock);
    if (last && slow)
        tn_pool_submit(request->gateway->requests, TN_FOREGROUND, request_free, request);
    else if (last)
        request_free(request);
}

void request_suspend_locked(struct request *request)
{
    request->suspended = true;
    MHD_suspend_connection(request->mhd);
}

void request_resume_locked(struct request *request)
{
    if (!request->suspended)
        return;
    request->suspended = false;
    MHD_resume_connection(request->mhd);
}

/* ---- cancelling ------------------------------------------------------------ */

void request_cancel(struct request *request, enum cancel_reason reason)
{
    (void)pthread_mutex_lock(&request->lock);
    if (request->cancelled == CANCEL_NONE) {
        request->cancelled = reason;
        atomic_store(&request->cancel, true);
        if (request->cancel_fn)
            request->cancel_fn(request->cancel_context);
    }
    (void)pthread_mutex_unlock(&request->lock);
}

void request_on_cancel(struct request *request, void (*fn)(void *), void *context)
{
    (void)pthread_mutex_lock(&request->lock);
    request->cancel_fn = fn;
    request->cancel_context = context;
    if (fn && request->cancelled != CANCEL_NONE)
        fn(context);
    (void)pthread_mutex_unlock(&request->lock);
}

void request_explain_cancel(struct request *request, struct tn_error *err)
{
    if (err->code != TN_ECANCELLED)
        return;
    (void)pthread_mutex_lock(&request->lock);
    enum cancel_reason reason = request->cancelled;
    (void)pthread_mutex_unlock(&request->lock);
    if (reason == CANCEL_DEADLINE) {
        (void)tn_fail(err, TN_ETIMEOUT, "the request did not end within its time");
        tn_error_hint(err, "ask for less, or raise timeout_ms or the setting sql.timeout");
    } else if (reason == CANCEL_SHUTDOWN) {
        (void)tn_fail(err, TN_EUNAVAILABLE, "the server is stopping");
    } else if (reason == CANCEL_CLIENT) {
        (void)tn_fail(err, TN_ECANCELLED, "the request was cancelled");
    }
}

/* ---- the task -------------------------------------------------------------- */

/* Takes the answer of an earlier request with the same Idempotency-Key, if
 * there is one; *ret_go says whether the handler must run. */
static enum tn_code keep_begin(struct request *request, bool *ret_go, struct tn_error *err)
{
    *ret_go = true;
    if (!request->idempotency_header || request->keep_answer)
        return TN_OK;
    struct idempotency_answer answer;
    const void *body = request->body.data;
    size_t length = request->body.len;
    unsigned char digest[TN_HASH_BYTES];
    if (request->upload_hash) {
        tn_hash_final(request->upload_hash, digest);
        body = digest;
        length = sizeof digest;
    }
    request->kept_key = idempotency_key_of(request->actor.id, request->match.route->id, request->idempotency_header,
                                           request->raw_target, body, length);
    enum tn_code code = idempotency_begin(request->gateway->kept, &request->kept_key, request->arena, &answer, err);
    if (code == TN_OK) {
        request->keep_answer = true;
        return TN_OK;
    }
    *ret_go = false;
    if (code != TN_EEXISTS)
        return code;
    reply_status(request, answer.status, answer.media);
    tn_buf_append(&request->reply.body, answer.body, answer.length);
    if (answer.etag[0])
        reply_header(request, "ETag", tn_arena_strdup(request->arena, answer.etag));
    reply_header(request, "Idempotency-Replayed", "true");
    return TN_OK;
}

static void keep_end(struct request *request)
{
    if (!request->keep_answer)
        return;
    struct idempotency_answer answer = {.status = request->reply.status,
                                        .media = request->reply.media,
                                        .body = request->reply.body.data,
                                        .length = request->reply.body.len};
    for (size_t i = 0; i < request->reply.header_count; i++)
        if (tn_streq(request->reply.headers[i].name, "ETag"))
            (void)snprintf(answer.etag, sizeof answer.etag, "%s", request->reply.headers[i].value);
    bool plain = !request->reply.stream.fill && request->reply.fd < 0;
    idempotency_end(request->gateway->kept, &request->kept_key, plain ? &answer : NULL);
    request->keep_answer = false;
}

static void settle(struct request *request, enum tn_code code, struct tn_error *err)
{
    if (code != TN_OK) {
        err->code = code;
        request_explain_cancel(request, err);
        reply_error(request, err);
    }
    keep_end(request);
}

/* Everything between the request and its reply, unless the handler parked the
 * request (event.c). Errors become the reply. */
static void run_handler(struct request *request)
{
    struct tn_error err = {0};
    enum tn_code code = request->failed ? request->error.code : TN_OK;
    bool go = true;
    if (request->failed)
        err = request->error;
    if (code == TN_OK)
        code = request_check_spare(request, &err);
    if (code == TN_OK)
        code = keep_begin(request, &go, &err);
    if (code == TN_OK && go) {
        code = request->match.route->handler(request, &err);
        if (code == TN_OK && request->reply.stream.fill)
            stream_begin(request);
    }
    if (code == TN_OK && request->parked)
        return;
    request->parked = NULL;
    settle(request, code, &err);
}

static void answer_is_there(struct request *request)
{
    (void)pthread_mutex_lock(&request->lock);
    request->done = true;
    request_resume_locked(request);
    (void)pthread_mutex_unlock(&request->lock);
}

void request_run(struct request *request)
{
    tn_log_set_request(request->id);
    run_handler(request);
    tn_log_set_request(NULL);
    if (request->parked)
        event_park(request);
    else
        answer_is_there(request);
}

void request_run_parked(void *argument)
{
    struct request *request = argument;
    struct tn_error err = {0};
    route_handler *then = request->parked;
    request->parked = NULL;
    tn_log_set_request(request->id);
    settle(request, then(request, &err), &err);
    tn_log_set_request(NULL);
    answer_is_there(request);
    request_unref(request);
}

static void run_task(void *argument)
{
    struct request *request = argument;
    request_run(request);
    request_unref(request);
}

/* ---- event thread ---------------------------------------------------------- */

static bool discard(struct request *request, size_t *count)
{
    request->discarded += *count;
    *count = 0;
    return request->discarded <= DISCARD_MAX;
}

bool request_take_body(struct request *request, const char *bytes, size_t *count)
{
    size_t offered = *count;
    if (request->failed || request->body_kind == BODY_DISCARD) {
        atomic_fetch_add(&request->body_bytes, offered);
        return discard(request, count);
    }
    if (request->body_kind == BODY_UPLOAD) {
        bool well = upload_take(request, bytes, count);
        atomic_fetch_add(&request->body_bytes, offered - *count);
        return well;
    }
    atomic_fetch_add(&request->body_bytes, offered);
    if (request->body.len + offered > request->gateway->limits.max_body) {
        request->failed = true;
        (void)tn_fail(&request->error, TN_ETOOLARGE, "the body is larger than %zu bytes",
                      request->gateway->limits.max_body);
        tn_error_hint(&request->error, "the setting server.max_body");
        return discard(request, count);
    }
    tn_buf_append(&request->body, bytes, offered);
    *count = 0;
    return true;
}

bool request_continue(struct request *request)
{
    if (request->answered)
        return true;
    (void)pthread_mutex_lock(&request->lock);
    bool done = request->done;
    (void)pthread_mutex_unlock(&request->lock);
    request->body_ended = true;
    if (!done && !request->failed && request->body_kind == BODY_UPLOAD) {
        upload_end(request);
        return true;
    }
    if (!done && !request->failed && !(request->match.route->flags & ROUTE_INLINE)) {
        request_ref(request);
        (void)pthread_mutex_lock(&request->lock);
        request_suspend_locked(request);
        (void)pthread_mutex_unlock(&request->lock);
        tn_pool_submit(request->gateway->requests, TN_FOREGROUND, run_task, request);
        return true;
    }
    if (!done)
        run_handler(request);
    request->answered = true;
    return reply_queue(request);
}

static const char *ending(struct request *request, bool well)
{
    static const char *const words[] = {"broken", "cancelled", "gone", "timed_out", "stopping"};
    (void)pthread_mutex_lock(&request->lock);
    enum cancel_reason reason = request->cancelled;
    (void)pthread_mutex_unlock(&request->lock);
    return well && reason == CANCEL_NONE ? "ok" : words[reason];
}

void request_completed(struct request *request, bool well)
{
    uint64_t took = tn_mono_ns() - request->started_ns;
    uint64_t sent = atomic_load(&request->bytes_out);
    unsigned status = request->reply.status;
    const struct route *route = request->match.route;
    watch_request_ended(request);
    metrics_request(request->gateway->metrics, request->match.index, status, took, sent);
    tn_log_set_request(request->id[0] ? request->id : NULL);
    TN_LOG(status >= 500 ? TN_LOG_WARN : TN_LOG_DEBUG, "http.request", TN_FS("method", request->method),
           TN_FS("route", route ? route->path : NULL), TN_FI("status", status), TN_FS("ended", ending(request, well)),
           TN_FI("took_us", took / 1000), TN_FI("bytes_in", atomic_load(&request->body_bytes)),
           TN_FI("bytes_out", sent), TN_FS("actor", request->actor.id[0] ? request->actor.name : NULL));
    tn_log_set_request(NULL);
    if (!well)
        request_cancel(request, CANCEL_GONE);
    (void)pthread_mutex_lock(&request->lock);
    request->gone = true;
    (void)pthread_mutex_unlock(&request->lock);
    request_unref(request);
}
