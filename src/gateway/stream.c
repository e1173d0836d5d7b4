/* Answers computed while they are sent.
 *
 * Two buffers: libmicrohttpd copies out of the front one (reply.body) while a
 * fill task computes the back one. A fill task runs only while the back buffer
 * is empty, and ends when it is full: a client that does not read holds two
 * buffers and its connection, and no thread. When the rows have ended the
 * stream is freed at once, by the task, whatever the client does.
 *
 * A fill that adds nothing and does not say that it is done has nothing yet
 * (events that have not happened). The stream then rests, without a task and
 * without a thread, until stream_wake.
 *
 * An error after the first byte cannot change the status any more. The body
 * then ends in a message of its own format, and the transfer is cut instead of
 * ended, so that every client sees a broken answer. */
#include "gateway/gateway_internal.h"

#define STREAM_TARGET ((size_t)256 << 10)

static void stream_free(struct request *request)
{
    struct stream stream = request->reply.stream;
    (void)pthread_mutex_lock(&request->lock);
    request->reply.stream = (struct stream){0};
    (void)pthread_mutex_unlock(&request->lock);
    if (stream.free)
        stream.free(stream.context);
}

void stream_begin(struct request *request)
{
    struct tn_error err = {0};
    struct reply *reply = &request->reply;
    bool done = false;
    enum tn_code code = reply->stream.fill(reply->stream.context, STREAM_TARGET, &reply->body, &done, &err);
    if (code == TN_OK && !done)
        return;
    stream_free(request);
    if (code == TN_OK)
        return;
    err.code = code;
    request_explain_cancel(request, &err);
    reply_error(request, &err);
}

static void wake_locked(struct request *request);

static void fill_task(void *argument)
{
    struct request *request = argument;
    struct stream *stream = &request->reply.stream;
    struct tn_error err = {0};
    bool done = false;
    tn_log_set_request(request->id);
    enum tn_code code = stream->fill(stream->context, STREAM_TARGET, &request->stream_back, &done, &err);
    if (code != TN_OK) {
        err.code = code;
        request_explain_cancel(request, &err);
        TN_LOG(TN_LOG_WARN, "http.broken_answer", TN_FS("code", tn_code_word(err.code)), TN_FS("detail", err.detail));
        stream->fail(stream->context, &err, request->id, &request->stream_back);
    }
    if (code != TN_OK || done)
        stream_free(request);
    tn_log_set_request(NULL);
    (void)pthread_mutex_lock(&request->lock);
    request->stream_filling = false;
    if (code == TN_OK && !done && request->stream_back.len == 0) {
        request->stream_resting = true;
        if (request->stream_woken)
            wake_locked(request);
    } else {
        request->stream_ready = true;
        request->stream_failed = code != TN_OK;
        request->stream_ended = code != TN_OK || done;
        request_resume_locked(request);
    }
    (void)pthread_mutex_unlock(&request->lock);
    request_unref(request);
}

static void start_filling_locked(struct request *request)
{
    if (request->stream_filling || request->stream_ready || request->stream_ended || request->stream_resting)
        return;
    request->stream_filling = true;
    request->stream_woken = false;
    request->refs++;
    tn_pool_submit(request->gateway->requests, TN_FOREGROUND, fill_task, request);
}

static void wake_locked(struct request *request)
{
    request->stream_resting = false;
    start_filling_locked(request);
}

void stream_wake(struct request *request)
{
    (void)pthread_mutex_lock(&request->lock);
    if (request->refs == 0) {
        /* It is being freed, and its stream waits for whoever calls here. */
    } else if (request->stream_resting) {
        wake_locked(request);
    } else {
        request->stream_woken = true; /* what runs now may have looked too early */
    }
    (void)pthread_mutex_unlock(&request->lock);
}

static void swap_locked(struct request *request)
{
    struct tn_buf empty = request->reply.body;
    tn_buf_clear(&empty);
    request->reply.body = request->stream_back;
    request->stream_back = empty;
    request->sent_at = 0;
    request->stream_ready = false;
}

ssize_t stream_read(struct request *request, char *out, size_t max)
{
    ssize_t result = STREAM_WAIT;
    (void)pthread_mutex_lock(&request->lock);
    if (request->sent_at == request->reply.body.len && request->stream_ready)
        swap_locked(request);
    start_filling_locked(request);
    size_t left = request->reply.body.len - request->sent_at;
    if (left > 0) {
        size_t count = TN_MIN(left, max);
        memcpy(out, request->reply.body.data + request->sent_at, count);
        request->sent_at += count;
        atomic_fetch_add(&request->bytes_out, count);
        result = (ssize_t)count;
    } else if (request->stream_ended) {
        result = request->stream_failed ? STREAM_BREAK : STREAM_END;
    } else {
        request_suspend_locked(request);
    }
    (void)pthread_mutex_unlock(&request->lock);
    return result;
}
