/* Two connections, and locks: who holds them is told. */
#include "reembed/reembed_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define LOCK_CLASS  0x7461726e /* "tarn": first half of the advisory lock's key */
#define LOOK_NS     UINT64_C(300000000)
#define PAUSE_STEPS 20

void run_note(struct run *run, enum reembed_kind kind, const char *format, ...)
{
    TN_AUTO_BUF text = {0};
    va_list args;
    if (!run->observer || !run->observer->event)
        return;
    va_start(args, format);
    tn_buf_vprintf(&text, format, args);
    va_end(args);
    const struct reembed_event event = {.kind = kind, .text = text.data};
    run->observer->event(run->observer->context, &event);
}

bool run_stopping(struct run *run)
{
    return run->observer && run->observer->stopping && run->observer->stopping(run->observer->context);
}

/* ---- what the writing connection waits for ----------------------------------------------- */

static void look_for_blockers(struct run *run)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(
        &sql,
        "SELECT a.pid, coalesce(a.usename, '?'), coalesce(nullif(a.application_name, ''), '?'),"
        " coalesce(a.state, a.backend_type), coalesce(extract(epoch FROM now() - a.xact_start)::bigint, 0),"
        " left(a.query, 80) FROM pg_locks l, unnest(pg_blocking_pids(l.pid)) p JOIN pg_stat_activity a ON"
        " a.pid = p WHERE NOT l.granted AND l.relation = %" PRIu32 " AND l.pid IN (SELECT o.pid FROM pg_locks o"
        " WHERE o.locktype = 'advisory' AND o.granted AND o.classid = %d AND o.objid = %" PRIu32 ") LIMIT 1",
        run->target.oid, LOCK_CLASS, run->target.oid);
    if (postgres_query(run->eye, sql.data, NULL, 0, POSTGRES_TEXT, &found, NULL) != TN_OK ||
        postgres_rows(found) == 0)
        return;
    (void)snprintf(run->blocker, sizeof run->blocker,
                   "process %s (user %s, application %s, %s, its transaction is %s s old): %s",
                   postgres_value(found, 0, 0), postgres_value(found, 0, 1), postgres_value(found, 0, 2),
                   postgres_value(found, 0, 3), postgres_value(found, 0, 4), postgres_value(found, 0, 5));
}

static void look_at_index(struct run *run)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(
        &sql,
        "SELECT phase || CASE WHEN current_locker_pid > 0 THEN ' (process ' || current_locker_pid || ')' ELSE ''"
        " END, blocks_done, blocks_total FROM pg_stat_progress_create_index WHERE relid = %" PRIu32,
        run->target.oid);
    if (postgres_query(run->eye, sql.data, NULL, 0, POSTGRES_TEXT, &found, NULL) != TN_OK ||
        postgres_rows(found) == 0)
        return;
    const struct reembed_event event = {.kind = REEMBED_INDEX,
                                        .text = postgres_value(found, 0, 0),
                                        .done = (uint64_t)postgres_value_i64(found, 0, 1),
                                        .total = (uint64_t)postgres_value_i64(found, 0, 2)};
    if (run->observer && run->observer->event)
        run->observer->event(run->observer->context, &event);
}

/* Called while the writing connection waits; the other one is free then. */
static bool watching(void *context)
{
    struct run *run = context;
    uint64_t now = tn_mono_ns();
    if (run->watch != WATCH_NOTHING && run->eye && postgres_alive(run->eye) && now - run->watched_ns > LOOK_NS) {
        run->watched_ns = now;
        if (run->watch == WATCH_LOCK)
            look_for_blockers(run);
        else
            look_at_index(run);
    }
    return run_stopping(run);
}

static bool stopping(void *context)
{
    return run_stopping(context);
}

/* ---- connections --------------------------------------------------------------------------- */

static enum tn_code open_one(const struct reembed_plan *plan, bool (*stop)(void *), void *context,
                             const char *settings, struct postgres **ret, struct tn_error *err)
{
    const struct postgres_options options = {
        .url = plan->url, .password_file = plan->password_file, .stopping = stop, .context = context};
    TN_CLEANUP(postgres_close_p) struct postgres *pg = NULL;
    TN_TRY(postgres_open(&options, &pg, err));
    /* Limits for an application's queries are none for hours of index building. A policy that hides rows must be an
     * error: what was not read would lose its vector. */
    TN_TRY(postgres_run(
        pg, "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET row_security = off", err));
    TN_TRY(postgres_run(pg, settings, err));
    /* Now, so that what is no size is refused before hours of encoding. */
    if (plan->maintenance_work_mem) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        TN_TRY(postgres_runf(pg, err, "SET maintenance_work_mem = %s",
                             postgres_quote_text(arena, plan->maintenance_work_mem)));
    }
    *ret = TN_TAKE(pg);
    return TN_OK;
}

enum tn_code connect_for_looking(const struct reembed_plan *plan, struct postgres **ret, struct tn_error *err)
{
    return open_one(plan, NULL, NULL, "SET application_name = 'tarn reembed (looking)'", ret, err);
}

/* Batches may be lost by a crash of the server, as long as their order is not:
 * the next run looks how far they go. Commits that matter say otherwise. */
enum tn_code run_connect(struct run *run, struct tn_error *err)
{
    TN_TRY(open_one(run->plan, watching, run, "SET application_name = 'tarn reembed'; SET synchronous_commit = off",
                    &run->pg, err));
    return open_one(run->plan, stopping, run,
                    "SET application_name = 'tarn reembed (reading)'; SET default_transaction_read_only = on",
                    &run->eye, err);
}

enum tn_code run_claim(struct run *run, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *got = NULL, *who = NULL;
    const char *key = tn_arena_printf(run->arena, "%d, %d", LOCK_CLASS, (int32_t)run->target.oid);
    TN_TRY(postgres_query(run->pg, tn_arena_printf(run->arena, "SELECT pg_try_advisory_lock(%s)", key), NULL, 0,
                          POSTGRES_TEXT, &got, err));
    if (postgres_value_bool(got, 0, 0))
        return TN_OK;
    const char *sql = tn_arena_printf(
        run->arena,
        "SELECT a.pid, coalesce(a.usename, '?'), a.backend_start::text FROM pg_locks l JOIN pg_stat_activity a ON "
        "a.pid ="
        " l.pid WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %d AND l.objid = %" PRIu32,
        LOCK_CLASS, run->target.oid);
    TN_TRY(postgres_query(run->pg, sql, NULL, 0, POSTGRES_TEXT, &who, err));
    bool known = postgres_rows(who) > 0;
    (void)tn_fail(err, TN_EBUSY, "%s: another run is at work on %s (process %s of the server, user %s, since %s)",
                  postgres_label(run->pg), run->target.relation, known ? postgres_value(who, 0, 0) : "?",
                  known ? postgres_value(who, 0, 1) : "?", known ? postgres_value(who, 0, 2) : "?");
    tn_error_hint(err, "wait for its end; if its client is gone, the server ends what it was doing, and the next run "
                       "goes on behind it");
    return TN_EBUSY;
}

/* ---- the table's lock ------------------------------------------------------------------------- */

static enum tn_code give_up(struct run *run, struct tn_error *err)
{
    (void)tn_fail(err, TN_EBUSY, "%s: no lock on %s within %u times %" PRIu64 " ms; it is held by %s",
                  postgres_label(run->pg), run->target.relation, run->plan->lock_tries, run->plan->lock_timeout_ms,
                  run->blocker[0] ? run->blocker : "somebody who was gone when it was looked");
    tn_error_hint(err,
                  "let it end, or SELECT pg_terminate_backend(PROCESS); then run again: what was encoded is kept");
    return TN_EBUSY;
}

/* Those who queued up behind our request get through. */
static void pause_between(struct run *run)
{
    run_note(run, REEMBED_NOTE, "%s is locked by %s; trying again", run->target.relation,
             run->blocker[0] ? run->blocker : "somebody");
    for (int i = 0; i < PAUSE_STEPS && !run_stopping(run); i++)
        (void)nanosleep(&(struct timespec){.tv_nsec = 100000000L}, NULL);
}

static enum tn_code try_lock(struct run *run, const char *sql, bool keep, struct tn_error *err)
{
    TN_TRY(postgres_begin(run->pg, POSTGRES_READ_COMMITTED, err));
    run->watch = WATCH_LOCK;
    run->watched_ns = tn_mono_ns();
    enum tn_code code = postgres_set_timeouts(run->pg, 0, run->plan->lock_timeout_ms, err);
    if (code == TN_OK)
        code = postgres_run(run->pg, sql, err);
    run->watch = WATCH_NOTHING;
    if (code == TN_OK && !keep)
        code = postgres_commit(run->pg, err);
    if (code != TN_OK)
        postgres_rollback(run->pg);
    return code;
}

static enum tn_code lock_with(struct run *run, const char *sql, bool keep, struct tn_error *err)
{
    run->blocker[0] = '\0';
    for (unsigned tried = 1;; tried++) {
        enum tn_code code = try_lock(run, sql, keep, err);
        if (code != TN_EBUSY)
            return code;
        if (tried >= TN_MAX(run->plan->lock_tries, 1U))
            return give_up(run, err);
        pause_between(run);
    }
}

enum tn_code run_lock_table(struct run *run, const char *mode, struct tn_error *err)
{
    const char *sql = tn_arena_printf(run->arena, "LOCK TABLE %s IN %s MODE; SET LOCAL synchronous_commit = on",
                                      run->target.relation, mode);
    return lock_with(run, sql, true, err);
}

enum tn_code run_locking(struct run *run, const char *sql, struct tn_error *err)
{
    return lock_with(run, sql, false, err);
}
