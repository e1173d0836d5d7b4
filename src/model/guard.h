/* What stands between a call and its provider: so many at once, a breaker, and
 * how long to wait before trying again. Times are given, never read, so that
 * tests need no clock; only the wait for a turn is real. */
#ifndef TARN_MODEL_GUARD_H
#define TARN_MODEL_GUARD_H

#include "base/base.h"

#include <pthread.h>

enum model_breaker { MODEL_CLOSED, MODEL_OPEN, MODEL_PROBING };
enum model_outcome {
    MODEL_WORKED,
    MODEL_FAILED,  /* the provider is to blame: away, slow, 5xx */
    MODEL_NEUTRAL, /* it answered, and said no */
};

enum {
    MODEL_FAILURES_TO_OPEN = 5,
    MODEL_FIRST_PAUSE_MS = 2000, /* doubles with each probe that fails */
    MODEL_LONGEST_PAUSE_MS = 60000,
};

struct model_guard {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    unsigned limit, running, waiting; /* waiting: in the foreground */
    unsigned failures_in_row;
    uint64_t open_until_ms, pause_ms; /* pause_ms 0: closed */
    bool probing;
    uint64_t calls, failures;
    char problem[240]; /* of the last failure */
};

/* Flags are raised by other threads. */
static inline bool model_cancelled(const volatile bool *cancel)
{
    return cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED);
}

void model_guard_init(struct model_guard *guard, unsigned limit);
void model_guard_release(struct model_guard *guard);

/* A turn: waits for one (work in the foreground goes first), or says
 * TN_EUNAVAILABLE at once while the breaker is open. `now_ms` is asked again
 * after a wait. Each turn ends in model_guard_leave. */
enum tn_code model_guard_enter(struct model_guard *guard, const char *who, enum tn_priority priority,
                               uint64_t (*now_ms)(void *context), void *context, const volatile bool *cancel,
                               struct tn_error *err) TN_CHECKED;
/* `problem` is kept for people when the outcome is a failure. */
void model_guard_leave(struct model_guard *guard, enum model_outcome outcome, uint64_t now_ms, const char *problem);
enum model_breaker model_guard_state(struct model_guard *guard, uint64_t now_ms);

/* Milliseconds before attempt number `attempt` (1 is the first retry): from 250
 * doubling to 10 s, of that a random half; never less than what the provider
 * asked for (retry_after_ms, at most a minute). */
uint64_t model_retry_delay(unsigned attempt, uint64_t retry_after_ms, uint64_t random);

#endif
