/* One thread that stops statements: deadlines, and cancels that somebody else
 * asked for.
 *
 * duckdb_interrupt sets a flag on a connection, which DuckDB clears when the
 * next phase begins. So the watchdog repeats it every few milliseconds while
 * the statement is busy, and the statement itself looks at `stop` between the
 * phases: whichever sees it first ends it.
 */
#include "engine/engine_internal.h"

#include <errno.h>

#define REPEAT_NS UINT64_C(3000000)  /* while one must be stopped */
#define POLL_NS   UINT64_C(20000000) /* while one has a flag of its caller's to look at */

struct watchdog {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool ending;
    uint64_t planned; /* when the thread looks next by itself */
    struct engine_watch *first;
};

/* Looks at one watch; returns when it wants to be looked at again. */
static uint64_t look(struct engine_watch *watch, uint64_t now)
{
    if (watch->cancel && atomic_load(watch->cancel)) {
        int running = ENGINE_RUNNING;
        atomic_compare_exchange_strong(&watch->stop, &running, ENGINE_STOP_CANCEL);
    }
    if (watch->cancelled && watch->cancelled(watch->cancel_context)) {
        int running = ENGINE_RUNNING;
        atomic_compare_exchange_strong(&watch->stop, &running, ENGINE_STOP_CANCEL);
    }
    if (watch->deadline_ns && now >= watch->deadline_ns) {
        int running = ENGINE_RUNNING;
        atomic_compare_exchange_strong(&watch->stop, &running, ENGINE_STOP_TIMEOUT);
    }
    if (atomic_load(&watch->stop) != ENGINE_RUNNING) {
        if (!atomic_load(&watch->busy))
            return UINT64_MAX;
        duckdb_interrupt(watch->connection);
        return now + REPEAT_NS;
    }
    uint64_t next = watch->deadline_ns ? watch->deadline_ns : UINT64_MAX;
    return watch->cancel || watch->cancelled ? TN_MIN(next, now + POLL_NS) : next;
}

static void *run(void *argument)
{
    struct watchdog *watchdog = argument;
    pthread_mutex_lock(&watchdog->lock);
    while (!watchdog->ending) {
        uint64_t now = tn_mono_ns();
        uint64_t next = UINT64_MAX;
        for (struct engine_watch *watch = watchdog->first; watch; watch = watch->next)
            next = TN_MIN(next, look(watch, now));
        watchdog->planned = next;
        (void)tn_cond_wait_until(&watchdog->wake, &watchdog->lock, next);
    }
    pthread_mutex_unlock(&watchdog->lock);
    return NULL;
}

enum tn_code watchdog_new(struct watchdog **ret, struct tn_error *err)
{
    struct watchdog *watchdog = tn_calloc(1, sizeof *watchdog);
    pthread_mutex_init(&watchdog->lock, NULL);
    tn_cond_init(&watchdog->wake);
    int failed = pthread_create(&watchdog->thread, NULL, run, watchdog);
    if (failed) {
        pthread_cond_destroy(&watchdog->wake);
        pthread_mutex_destroy(&watchdog->lock);
        free(watchdog);
        return tn_fail_errno(err, failed, "cannot start the thread that stops queries");
    }
    *ret = watchdog;
    return TN_OK;
}

void watchdog_free(struct watchdog *watchdog)
{
    if (!watchdog)
        return;
    pthread_mutex_lock(&watchdog->lock);
    watchdog->ending = true;
    pthread_cond_signal(&watchdog->wake);
    pthread_mutex_unlock(&watchdog->lock);
    pthread_join(watchdog->thread, NULL);
    pthread_cond_destroy(&watchdog->wake);
    pthread_mutex_destroy(&watchdog->lock);
    free(watchdog);
}

void watchdog_arm(struct watchdog *watchdog, struct engine_watch *watch)
{
    pthread_mutex_lock(&watchdog->lock);
    watch->previous = NULL;
    watch->next = watchdog->first;
    if (watch->next)
        watch->next->previous = watch;
    watchdog->first = watch;
    /* Usually somebody's earlier deadline is planned already. */
    uint64_t wanted = watch->cancel || watch->cancelled ? 0 : watch->deadline_ns ? watch->deadline_ns : UINT64_MAX;
    if (wanted < watchdog->planned)
        pthread_cond_signal(&watchdog->wake);
    pthread_mutex_unlock(&watchdog->lock);
}

void watchdog_disarm(struct watchdog *watchdog, struct engine_watch *watch)
{
    pthread_mutex_lock(&watchdog->lock);
    if (watch->previous)
        watch->previous->next = watch->next;
    else
        watchdog->first = watch->next;
    if (watch->next)
        watch->next->previous = watch->previous;
    pthread_mutex_unlock(&watchdog->lock);
}

void watchdog_stop(struct watchdog *watchdog, struct engine_watch *watch, enum engine_stop reason)
{
    int running = ENGINE_RUNNING;
    atomic_compare_exchange_strong(&watch->stop, &running, (int)reason);
    pthread_mutex_lock(&watchdog->lock);
    pthread_cond_signal(&watchdog->wake);
    pthread_mutex_unlock(&watchdog->lock);
}

enum tn_code engine_watch_check(struct engine_watch *watch, struct tn_error *err)
{
    if (watch->cancel && atomic_load(watch->cancel)) {
        int running = ENGINE_RUNNING;
        atomic_compare_exchange_strong(&watch->stop, &running, ENGINE_STOP_CANCEL);
    }
    switch (atomic_load(&watch->stop)) {
    case ENGINE_STOP_TIMEOUT: {
        char text[32];
        tn_fail(err, TN_ETIMEOUT, "the query did not end within %s", tn_format_duration(watch->timeout_ms, text));
        tn_error_hint(err, "Narrow it with a filter or a LIMIT, or allow it more time (timeout_ms, sql.timeout).");
        return TN_ETIMEOUT;
    }
    case ENGINE_STOP_CANCEL:
        return tn_fail(err, TN_ECANCELLED, "the query was cancelled");
    default:
        return TN_OK;
    }
}

enum tn_code engine_watch_enter(struct engine_watch *watch, struct tn_error *err)
{
    atomic_store(&watch->busy, true);
    enum tn_code code = engine_watch_check(watch, err);
    if (code != TN_OK)
        atomic_store(&watch->busy, false);
    return code;
}

void engine_watch_leave(struct engine_watch *watch)
{
    atomic_store(&watch->busy, false);
}
