/* From calls that write to streams that are read (see push.h). */
#include "gateway/push.h"

#include <errno.h>

enum { QUEUE_MAX = 256 << 10 };

struct push {
    struct request *request;
    struct push_job job;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct tn_buf queue;
    bool ended, closed; /* closed: nobody reads any more */
    enum tn_code code;
    struct tn_error err;
};

static void *run_job(void *argument)
{
    struct push *push = argument;
    struct tn_error err = {0};
    tn_log_set_request(push->request->id);
    enum tn_code code = push->job.run(push->job.context, push, &err);
    (void)pthread_mutex_lock(&push->lock);
    push->code = code;
    push->err = err;
    push->ended = true;
    (void)pthread_cond_broadcast(&push->changed);
    (void)pthread_mutex_unlock(&push->lock);
    return NULL;
}

enum tn_code push_write(struct push *push, const char *bytes, size_t count)
{
    (void)pthread_mutex_lock(&push->lock);
    while (push->queue.len >= QUEUE_MAX && !push->closed)
        (void)pthread_cond_wait(&push->changed, &push->lock);
    bool wanted = !push->closed && !atomic_load(&push->request->cancel);
    if (wanted) {
        tn_buf_append(&push->queue, bytes, count);
        (void)pthread_cond_broadcast(&push->changed);
    }
    (void)pthread_mutex_unlock(&push->lock);
    return wanted ? TN_OK : TN_ECANCELLED;
}

static enum tn_code fill(void *context, size_t target, struct tn_buf *out, bool *ret_done, struct tn_error *err)
{
    struct push *push = context;
    (void)target; /* what is there goes out at once: people read along */
    (void)pthread_mutex_lock(&push->lock);
    while (push->queue.len == 0 && !push->ended)
        (void)pthread_cond_wait(&push->changed, &push->lock);
    tn_buf_append(out, push->queue.data ? push->queue.data : "", push->queue.len);
    bool empty = push->queue.len == 0;
    tn_buf_clear(&push->queue);
    bool done = push->ended && (empty || push->code == TN_OK);
    enum tn_code code = done ? push->code : TN_OK;
    if (code != TN_OK && err)
        *err = push->err;
    (void)pthread_cond_broadcast(&push->changed);
    (void)pthread_mutex_unlock(&push->lock);
    *ret_done = done;
    return code;
}

static void fail(void *context, const struct tn_error *error, const char *request_id, struct tn_buf *out)
{
    struct push *push = context;
    push->job.fail(push->job.context, error, request_id, out);
}

static void release(struct push *push)
{
    push->job.free(push->job.context);
    atomic_fetch_sub(&push->request->gateway->pushes, 1);
    tn_buf_release(&push->queue);
    (void)pthread_cond_destroy(&push->changed);
    (void)pthread_mutex_destroy(&push->lock);
    free(push);
}

static void push_free(void *context)
{
    struct push *push = context;
    (void)pthread_mutex_lock(&push->lock);
    push->closed = true;
    (void)pthread_cond_broadcast(&push->changed);
    (void)pthread_mutex_unlock(&push->lock);
    (void)pthread_join(push->thread, NULL);
    release(push);
}

enum tn_code push_begin(struct request *request, const char *media, const struct push_job *job, struct tn_error *err)
{
    struct gateway *gateway = request->gateway;
    if (atomic_fetch_add(&gateway->pushes, 1) >= GATEWAY_PUSHES_MAX) {
        atomic_fetch_sub(&gateway->pushes, 1);
        return tn_fail(err, TN_EBUSY, "%d answers are being streamed already", GATEWAY_PUSHES_MAX);
    }
    struct push *push = tn_calloc(1, sizeof *push);
    push->request = request;
    push->job = *job;
    (void)pthread_mutex_init(&push->lock, NULL);
    (void)pthread_cond_init(&push->changed, NULL);
    int failed = pthread_create(&push->thread, NULL, run_job, push);
    if (failed) {
        push->job.free = free; /* the job remains the caller's */
        push->job.context = NULL;
        release(push);
        return tn_fail_errno(err, failed, "cannot start a thread");
    }
    reply_status(request, 200, media);
    request->reply.stream = (struct stream){.context = push, .fill = fill, .fail = fail, .free = push_free};
    return TN_OK;
}
