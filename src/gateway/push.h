/* Answers that are made by a call which hands out pieces (a language model)
 * instead of being asked for them: the call runs on a thread of its own, and
 * what it writes waits in a bounded queue for the stream. */
#ifndef TARN_GATEWAY_PUSH_H
#define TARN_GATEWAY_PUSH_H

#include "gateway/gateway_internal.h"

struct push;

struct push_job {
    void *context;
    /* On the thread of its own; what it returns after the first byte is told
     * by `fail`, before it as a problem document. */
    enum tn_code (*run)(void *context, struct push *push, struct tn_error *err);
    /* Says in the answer's own format that it broke off. */
    void (*fail)(void *context, const struct tn_error *error, const char *request_id, struct tn_buf *out);
    void (*free)(void *context);
};

/* Makes the request's answer a stream of what the job writes, and takes the
 * job; TN_EBUSY when too many run. On failure the job is the caller's. */
enum tn_code push_begin(struct request *request, const char *media, const struct push_job *job,
                        struct tn_error *err) TN_CHECKED;
/* From within `run`: waits while the client is slow. TN_ECANCELLED when nobody
 * wants the rest. */
enum tn_code push_write(struct push *push, const char *bytes, size_t count);

#endif
