/* One request to a provider: a turn, attempts, and what came of them. */
#include "model/model_internal.h"

#include <errno.h>
#include <sys/stat.h>

enum { NAP_MS = 50 };

/* What an attempt came to. */
struct attempt {
    enum tn_code code;
    enum model_outcome outcome;
    bool again; /* it may pass */
    uint64_t retry_after_ms;
};

/* ---- the key ---------------------------------------------------------------------------- */

/* Read anew for each call, so that a key can be changed without a restart. */
static enum tn_code read_key(const struct model_provider *provider, struct tn_buf *ret, struct tn_error *err)
{
    struct stat info;
    const char *path = provider->key_file;
    if (!path[0])
        return TN_OK;
    if (stat(path, &info) != 0) {
        (void)tn_fail_errno(err, errno, "cannot read the key of %s in %s", provider->name, path);
        tn_error_hint(err, "ai.%s.key_file names it", provider->name);
        return TN_ECONFIG;
    }
    if (info.st_mode & 077) {
        (void)tn_fail(err, TN_ECONFIG, "others may read the key of %s in %s (mode %03o)", provider->name, path,
                      (unsigned)info.st_mode & 0777U);
        tn_error_hint(err, "chmod 600 %s; and if they may have read it, get a new key", path);
        return TN_ECONFIG;
    }
    if (tn_file_read(path, MODEL_KEY_MAX, ret, err) != TN_OK)
        return TN_ECONFIG;
    while (ret->len > 0 && (unsigned char)ret->data[ret->len - 1] <= ' ')
        ret->data[--ret->len] = '\0';
    for (size_t i = 0; i < ret->len; i++)
        if ((unsigned char)ret->data[i] <= ' ' || ret->data[i] == 0x7f)
            return tn_fail(err, TN_ECONFIG, "%s must hold the key of %s and nothing else, in one line", path,
                           provider->name);
    return TN_OK;
}

static void release_key(struct tn_buf *key)
{
    if (key->data)
        explicit_bzero(key->data, key->cap);
    tn_buf_release(key);
}

/* ---- what a status means -------------------------------------------------------------------- */

static struct attempt judge_status(const struct model_provider *provider, const struct model_http_reply *reply,
                                   struct tn_error *err)
{
    char said[240];
    struct attempt attempt = {.outcome = MODEL_NEUTRAL, .retry_after_ms = reply->retry_after_ms};
    model_error_text(reply->body.data ? reply->body.data : "", reply->body.len, said, sizeof said);
    const char *why = said[0] ? said : "it does not say why";
    long status = reply->status;
    if (status == 429) {
        attempt.again = true;
        attempt.code = tn_fail(err, TN_EUNAVAILABLE, "%s has too much to do (status 429): %s", provider->name, why);
        tn_error_hint(err, "fewer calls at once: ai.concurrency");
    } else if (status >= 500 || status == 408) {
        attempt.again = true;
        attempt.outcome = MODEL_FAILED;
        attempt.code = tn_fail(err, TN_EUNAVAILABLE, "%s failed (status %ld): %s", provider->name, status, why);
    } else if (status == 401 || status == 403) {
        attempt.code =
            tn_fail(err, TN_EUPSTREAM, "%s does not let us in (status %ld): %s", provider->name, status, why);
        tn_error_hint(err, provider->kind == MODEL_OLLAMA
                               ? "no key is sent to it: look at what stands before the server of ai.ollama.url"
                               : "a key for it stands in the file that ai.openai.key_file names");
    } else if (status == 404) {
        attempt.code = tn_fail(err, TN_ENOTFOUND, "%s does not have that (status 404): %s", provider->name, why);
        if (provider->kind == MODEL_OLLAMA)
            tn_error_hint(err, "`ollama pull NAME` fetches a model");
    } else if (status >= 400) {
        attempt.code =
            tn_fail(err, TN_EREFUSED, "%s refuses the request (status %ld): %s", provider->name, status, why);
    } else {
        attempt.code = tn_fail(err, TN_EUPSTREAM, "%s answers with status %ld, which is none that we know",
                               provider->name, status);
        tn_error_hint(err, "look at ai.%s.url: redirects are not followed", provider->name);
    }
    return attempt;
}

static struct attempt judge_failure(enum tn_code code)
{
    struct attempt attempt = {.code = code, .outcome = MODEL_NEUTRAL};
    if (code == TN_EUNAVAILABLE || code == TN_ETIMEOUT)
        attempt.outcome = MODEL_FAILED;
    attempt.again = code == TN_EUNAVAILABLE;
    return attempt;
}

/* ---- attempts ------------------------------------------------------------------------------------ */

static struct attempt attempt_once(struct model_provider *provider, const struct model_exchange *x, uint64_t timeout,
                                   struct tn_error *err)
{
    TN_CLEANUP(release_key) struct tn_buf key = {0};
    TN_CLEANUP(model_http_reply_release) struct model_http_reply reply = {0};
    enum tn_code code = read_key(provider, &key, err);
    const struct model_http_request request = {
        .method = x->method,
        .path = x->path,
        .body = x->body,
        .body_length = x->body_length,
        .key = key.len > 0 ? key.data : NULL,
        .timeout_ms = timeout,
        .max_answer = x->max_answer,
        .cancel = x->cancel,
        .sink = x->sink,
        .context = x->context,
    };
    if (code == TN_OK)
        code = provider->send(provider->transport, &request, &reply, err);
    if (code == TN_OK && reply.status != 200)
        return judge_status(provider, &reply, err);
    if (code == TN_OK)
        code = x->sink ? x->end(x->context, err)
                       : x->read(x->context, reply.body.data ? reply.body.data : "", reply.body.len, err);
    return code == TN_OK ? (struct attempt){.code = TN_OK, .outcome = MODEL_WORKED} : judge_failure(code);
}

static bool is_cancelled(const struct model_exchange *x)
{
    return model_cancelled(x->cancel);
}

/* False when there is no time left for it. */
static bool pause_before(struct model_provider *provider, const struct model_exchange *x, uint64_t delay,
                         uint64_t until)
{
    const struct model_clock *clock = &provider->clock;
    uint64_t now = clock->now_ms(clock->context);
    if (now + delay >= until)
        return false;
    uint64_t end = now + delay;
    while (now < end && !is_cancelled(x)) {
        clock->sleep_ms(clock->context, TN_MIN(end - now, (uint64_t)NAP_MS));
        now = clock->now_ms(clock->context);
    }
    return true;
}

static struct attempt attempt_in_turn(struct model_provider *provider, const struct model_exchange *x, uint64_t until,
                                      struct tn_error *err)
{
    const struct model_clock *clock = &provider->clock;
    enum tn_code code = model_guard_enter(&provider->guard, provider->name, x->priority, clock->now_ms,
                                          clock->context, x->cancel, err);
    if (code != TN_OK)
        return (struct attempt){.code = code};
    uint64_t now = clock->now_ms(clock->context);
    struct attempt attempt = {.code = TN_ETIMEOUT, .outcome = MODEL_NEUTRAL};
    if (now >= until)
        (void)tn_fail(err, TN_ETIMEOUT, "%s had no turn free in time", provider->name);
    else
        attempt = attempt_once(provider, x, until - now, err);
    model_guard_leave(&provider->guard, attempt.outcome, clock->now_ms(clock->context), err->detail);
    return attempt;
}

enum tn_code model_exchange(struct model_provider *provider, const struct model_exchange *exchange,
                            struct tn_error *err)
{
    const struct model_clock *clock = &provider->clock;
    struct tn_error mine = {0};
    struct tn_error *e = err ? err : &mine;
    uint64_t timeout = exchange->timeout_ms ? exchange->timeout_ms : provider->timeout_ms;
    uint64_t until = clock->now_ms(clock->context) + timeout;
    for (unsigned tries = 0;; tries++) {
        struct attempt attempt = attempt_in_turn(provider, exchange, until, e);
        if (attempt.code == TN_OK || !attempt.again || tries >= provider->retries)
            return attempt.code;
        if (exchange->again && !exchange->again(exchange->context))
            return attempt.code;
        uint64_t delay = model_retry_delay(tries + 1, attempt.retry_after_ms, clock->random(clock->context));
        if (!pause_before(provider, exchange, delay, until))
            return attempt.code;
        if (is_cancelled(exchange))
            return tn_fail(e, TN_ECANCELLED, "cancelled between two attempts");
    }
}
