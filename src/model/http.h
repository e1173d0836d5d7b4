/* Requests to providers, over libcurl. Connections are kept and used again;
 * redirects are not followed, so that a key goes nowhere else; answers are
 * bounded. Nothing here retries. */
#ifndef TARN_MODEL_HTTP_H
#define TARN_MODEL_HTTP_H

#include "base/base.h"

struct model_http;

/* `url` begins with http:// or https://; a path behind the host is kept. */
enum tn_code model_http_new(const char *url, struct model_http **ret, struct tn_error *err) TN_CHECKED;
void model_http_free(struct model_http *http);

struct model_http_request {
    const char *method, *path; /* "POST", "/api/embed" */
    const char *body;          /* JSON; NULL for none */
    size_t body_length;
    const char *key; /* for "Authorization: Bearer"; NULL for none */
    uint64_t timeout_ms;
    size_t max_answer;
    const volatile bool *cancel;
    /* Takes the body of a 200 as it comes; NULL: it is kept in the reply. */
    enum tn_code (*sink)(void *context, const char *bytes, size_t count, struct tn_error *err);
    void *context;
};

struct model_http_reply {
    long status;
    uint64_t retry_after_ms; /* 0: nothing was said */
    struct tn_buf body;      /* of other answers than 200: their beginning */
};
void model_http_reply_release(struct model_http_reply *reply);

/* TN_OK with whatever status came. TN_EUNAVAILABLE when nobody answers or the
 * answer breaks off, TN_ETIMEOUT, TN_ECANCELLED, TN_EUPSTREAM for one too large, or what the sink
 * said. Any thread. */
enum tn_code model_http_send(struct model_http *http, const struct model_http_request *request,
                             struct model_http_reply *ret, struct tn_error *err) TN_CHECKED;

#endif
