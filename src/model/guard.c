/* Turns, the breaker, and pauses between attempts. */
#include "model/guard.h"

#include <stdio.h>

enum {
    LOOK_MS = 50, /* how often a waiting call looks whether it was cancelled */
    FIRST_DELAY_MS = 250,
    LONGEST_DELAY_MS = 10000,
    LONGEST_WISH_MS = 60000,
};

void model_guard_init(struct model_guard *guard, unsigned limit)
{
    *guard = (struct model_guard){.limit = limit};
    (void)pthread_mutex_init(&guard->lock, NULL);
    tn_cond_init(&guard->freed);
}

void model_guard_release(struct model_guard *guard)
{
    (void)pthread_cond_destroy(&guard->freed);
    (void)pthread_mutex_destroy(&guard->lock);
}

static enum tn_code refuse_locked(const struct model_guard *guard, const char *who, uint64_t now,
                                  struct tn_error *err)
{
    uint64_t wait = guard->open_until_ms > now ? guard->open_until_ms - now : 0;
    char in[32];
    enum tn_code code = tn_fail(err, TN_EUNAVAILABLE, "%s did not answer lately and is left alone for %s: %s", who,
                                wait > 0 ? tn_format_duration(wait, in) : "a probe", guard->problem);
    tn_error_hint(err, "it is tried again by itself; `tarn model providers` shows its state");
    return code;
}

static bool is_open(const struct model_guard *guard, uint64_t now)
{
    return guard->pause_ms > 0 && (guard->probing || now < guard->open_until_ms);
}

static bool has_turn(const struct model_guard *guard, enum tn_priority priority)
{
    return guard->running < guard->limit && (priority == TN_FOREGROUND || guard->waiting == 0);
}

static void wait_locked(struct model_guard *guard, enum tn_priority priority)
{
    unsigned mine = priority == TN_FOREGROUND;
    guard->waiting += mine;
    (void)tn_cond_wait_until(&guard->freed, &guard->lock, tn_mono_ns() + LOOK_MS * UINT64_C(1000000));
    guard->waiting -= mine;
}

enum tn_code model_guard_enter(struct model_guard *guard, const char *who, enum tn_priority priority,
                               uint64_t (*now_ms)(void *context), void *context, const volatile bool *cancel,
                               struct tn_error *err)
{
    enum tn_code code = TN_OK;
    (void)pthread_mutex_lock(&guard->lock);
    uint64_t now = now_ms(context);
    while (!has_turn(guard, priority) && !is_open(guard, now) && !model_cancelled(cancel)) {
        wait_locked(guard, priority);
        now = now_ms(context);
    }
    if (model_cancelled(cancel))
        code = tn_fail(err, TN_ECANCELLED, "cancelled while waiting for %s", who);
    else if (is_open(guard, now))
        code = refuse_locked(guard, who, now, err);
    if (code == TN_OK) {
        guard->probing = guard->pause_ms > 0;
        guard->running++;
        guard->calls++;
    }
    (void)pthread_mutex_unlock(&guard->lock);
    return code;
}

static void fail_locked(struct model_guard *guard, uint64_t now, const char *problem)
{
    guard->failures++;
    guard->failures_in_row++;
    (void)snprintf(guard->problem, sizeof guard->problem, "%s", problem);
    if (guard->failures_in_row < MODEL_FAILURES_TO_OPEN)
        return;
    guard->pause_ms =
        guard->pause_ms == 0 ? MODEL_FIRST_PAUSE_MS : TN_MIN(guard->pause_ms * 2, (uint64_t)MODEL_LONGEST_PAUSE_MS);
    guard->open_until_ms = now + guard->pause_ms;
}

void model_guard_leave(struct model_guard *guard, enum model_outcome outcome, uint64_t now_ms, const char *problem)
{
    (void)pthread_mutex_lock(&guard->lock);
    guard->running--;
    /* Calls that were under way when the breaker opened say nothing new. */
    bool late = guard->pause_ms > 0 && !guard->probing;
    if (outcome == MODEL_FAILED && !late) {
        fail_locked(guard, now_ms, problem);
    } else if (outcome == MODEL_FAILED) {
        guard->failures++;
    } else if (outcome == MODEL_WORKED || guard->probing) {
        guard->failures_in_row = 0;
        guard->pause_ms = 0;
    }
    guard->probing = false;
    (void)pthread_cond_broadcast(&guard->freed);
    (void)pthread_mutex_unlock(&guard->lock);
}

enum model_breaker model_guard_state(struct model_guard *guard, uint64_t now_ms)
{
    (void)pthread_mutex_lock(&guard->lock);
    enum model_breaker state = guard->pause_ms == 0            ? MODEL_CLOSED
                               : now_ms < guard->open_until_ms ? MODEL_OPEN
                                                               : MODEL_PROBING;
    (void)pthread_mutex_unlock(&guard->lock);
    return state;
}

uint64_t model_retry_delay(unsigned attempt, uint64_t retry_after_ms, uint64_t random)
{
    uint64_t whole = (uint64_t)FIRST_DELAY_MS << TN_MIN(attempt > 0 ? attempt - 1 : 0, 10U);
    whole = TN_MIN(whole, (uint64_t)LONGEST_DELAY_MS);
    uint64_t delay = whole / 2 + random % (whole / 2 + 1);
    return TN_MAX(delay, TN_MIN(retry_after_ms, (uint64_t)LONGEST_WISH_MS));
}
