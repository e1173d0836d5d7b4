/* Bodies that go to a handler while they arrive.
 *
 * The event thread copies what it gets into `upload_in`; a task swaps that for
 * its own empty buffer and feeds the handler. When the handler is slower than
 * the network, the buffer fills, the connection is suspended, and TCP tells
 * the client to wait. Two buffers of UPLOAD_BUFFER bytes are all there is.
 *
 * An upload that has failed is still read to its end: libmicrohttpd cannot
 * answer in the middle of a body, and a client that is cut off would never
 * see why. */
#include "gateway/gateway_internal.h"

#define UPLOAD_BUFFER ((size_t)1 << 20)
#define UPLOAD_START  ((size_t)128 << 10) /* a task is worth starting for */

static void upload_task(void *argument);

static void start_locked(struct request *request)
{
    if (request->task_running)
        return;
    request->task_running = true;
    request->refs++;
    tn_pool_submit(request->gateway->requests, TN_FOREGROUND, upload_task, request);
}

static bool over_limit(const struct request *request, size_t more)
{
    uint64_t max = request->gateway->limits.max_upload;
    return max > 0 && atomic_load(&request->body_bytes) + more > max;
}

bool upload_take(struct request *request, const char *bytes, size_t *count)
{
    (void)pthread_mutex_lock(&request->lock);
    if (request->stream_failed || over_limit(request, *count)) {
        if (!request->stream_failed) {
            request->stream_failed = true;
            (void)tn_fail(&request->error, TN_ETOOLARGE, "the file is larger than %llu bytes",
                          (unsigned long long)request->gateway->limits.max_upload);
            tn_error_hint(&request->error, "the setting ingest.max_size");
        }
        *count = 0;
        (void)pthread_mutex_unlock(&request->lock);
        return true;
    }
    size_t taken = TN_MIN(*count, UPLOAD_BUFFER - request->upload_in.len);
    tn_buf_append(&request->upload_in, bytes, taken);
    *count -= taken;
    if (request->upload_in.len >= UPLOAD_START)
        start_locked(request);
    if (*count > 0)
        request_suspend_locked(request);
    (void)pthread_mutex_unlock(&request->lock);
    return true;
}

void upload_end(struct request *request)
{
    (void)pthread_mutex_lock(&request->lock);
    request->stream_ended = true;
    request_suspend_locked(request);
    start_locked(request);
    (void)pthread_mutex_unlock(&request->lock);
}

/* Feeds what is in upload_work. */
static enum tn_code feed(struct request *request, struct tn_error *err)
{
    if (!request->upload_started) {
        request->upload_started = true;
        /* A form's boundary is another one each time, so that a repetition would look different. */
        if (request->idempotency_header && !http_media_is(request->content_type, "multipart/form-data")) {
            request->upload_hash = tn_arena_alloc(request->arena, sizeof *request->upload_hash);
            tn_hash_init(request->upload_hash);
        }
        TN_TRY(request->match.route->start(request, err));
    }
    if (request->upload_work.len == 0 || !request->upload_feed)
        return TN_OK;
    if (request->upload_hash)
        tn_hash_update(request->upload_hash, request->upload_work.data, request->upload_work.len);
    return request->upload_feed(request, request->upload_work.data, request->upload_work.len, err);
}

static void note_failure(struct request *request, const struct tn_error *err)
{
    (void)pthread_mutex_lock(&request->lock);
    if (!request->stream_failed) {
        request->stream_failed = true;
        request->error = *err;
    }
    (void)pthread_mutex_unlock(&request->lock);
}

/* Whether there is more to do; swaps the next bytes in. */
static bool next(struct request *request, bool *ret_finish)
{
    (void)pthread_mutex_lock(&request->lock);
    bool more = request->upload_in.len > 0;
    *ret_finish = !more && request->stream_ended;
    tn_buf_clear(&request->upload_work);
    if (more) {
        struct tn_buf empty = request->upload_work;
        request->upload_work = request->upload_in;
        request->upload_in = empty;
    } else if (!*ret_finish) {
        request->task_running = false;
    }
    if (!request->stream_ended)
        request_resume_locked(request);
    (void)pthread_mutex_unlock(&request->lock);
    return more;
}

static void upload_task(void *argument)
{
    struct request *request = argument;
    bool finish = false;
    tn_log_set_request(request->id);
    while (next(request, &finish)) {
        struct tn_error err = {0};
        if (!request->stream_failed && feed(request, &err) != TN_OK)
            note_failure(request, &err);
    }
    tn_log_set_request(NULL);
    if (finish) {
        struct tn_error err = {0};
        if (!request->stream_failed && feed(request, &err) != TN_OK) /* an empty body was never started */
            note_failure(request, &err);
        request->failed = request->stream_failed;
        request_run(request);
    }
    request_unref(request);
}

enum tn_code ingests_count_in(struct gateway *gateway, bool *counted, struct tn_error *err)
{
    *counted = true;
    if (atomic_fetch_add(&gateway->ingests, 1) < gateway->limits.max_ingests)
        return TN_OK;
    (void)tn_fail(err, TN_EBUSY, "%d ingests are running already", gateway->limits.max_ingests);
    tn_error_hint(err, "try again in a moment, or raise the setting ingest.max_running");
    return TN_EBUSY;
}

void ingests_count_out(struct gateway *gateway)
{
    atomic_fetch_sub(&gateway->ingests, 1);
}
