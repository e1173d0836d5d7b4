/* Held against the truth: the aggregate against a recount, the database against
 * the log and the table. */
#include "outcome/outcome_internal.h"

#include <inttypes.h>
#include <string.h>

struct sums {
    int64_t events, successes, timeouts, tokens, keys, imports;
};

static void say(struct outcome_check *check, const char *format, ...) TN_PRINTF(2, 3);
static void say(struct outcome_check *check, const char *format, ...)
{
    size_t used = strlen(check->text);
    va_list args;
    va_start(args, format);
    if (used + 2 < sizeof check->text) {
        if (used > 0) {
            memcpy(check->text + used, "; ", 3);
            used += 2;
        }
        (void)vsnprintf(check->text + used, sizeof check->text - used, format, args);
    }
    va_end(args);
    check->sound = false;
}

/* ---- sums, twice --------------------------------------------------------------------- */

static enum tn_code sum_database(struct outcome_db *db, struct sums *ret, int64_t *ret_models, struct tn_error *err)
{
    TN_CLEANUP(db_finalize_p) sqlite3_stmt *statement = NULL;
    bool row = false;
    TN_TRY(
        db_prepare(db,
                   "SELECT count(*), coalesce(sum(success), 0), coalesce(sum(timeout), 0), "
                   "coalesce(sum(tokens_used), 0), (SELECT count(*) FROM outcome_keys), "
                   "(SELECT count(*) FROM outcome_imports), (SELECT count(*) FROM model_stats) FROM model_outcomes",
                   &statement, err));
    TN_TRY(db_step(db, statement, &row, err));
    *ret = (struct sums){
        .events = sqlite3_column_int64(statement, 0),
        .successes = sqlite3_column_int64(statement, 1),
        .timeouts = sqlite3_column_int64(statement, 2),
        .tokens = sqlite3_column_int64(statement, 3),
        .keys = sqlite3_column_int64(statement, 4),
        .imports = sqlite3_column_int64(statement, 5),
    };
    *ret_models = sqlite3_column_int64(statement, 6);
    return TN_OK;
}

static bool take_sums(void *context, size_t count, const char *const *values)
{
    struct sums *sums = context;
    int64_t *const places[] = {&sums->events, &sums->successes, &sums->timeouts,
                               &sums->tokens, &sums->keys,      &sums->imports};
    for (size_t i = 0; i < count && i < TN_COUNT(places); i++)
        if (!values[i] || !tn_parse_i64(values[i], places[i]))
            *places[i] = 0;
    return true;
}

static enum tn_code sum_truth(struct outcome_store *store, struct sums *ret, struct tn_error *err)
{
    TN_AUTO_BUF entries = {0};
    TN_AUTO_BUF sql = {0};
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *hold = NULL;
    int64_t last;
    pthread_mutex_lock(&store->rolling);
    enum tn_code code = outcome_entries_sql(store, &entries, &hold, &last, err);
    pthread_mutex_unlock(&store->rolling);
    TN_TRY(code);
    tn_buf_printf(&sql,
                  "SELECT count(*) FILTER (NOT imported), coalesce(sum(successes) FILTER (NOT imported), 0)::BIGINT, "
                  "coalesce(sum(timeouts) FILTER (NOT imported), 0)::BIGINT, coalesce(sum(tokens) FILTER (NOT "
                  "imported), 0)::BIGINT, count(\"key\") FILTER (NOT imported), count(DISTINCT (source, task_type, "
                  "model_id)) FILTER (imported) FROM (%s)",
                  entries.data);
    return engine_run(store->lake->engine, sql.data, take_sums, ret, err);
}

/* ---- checking ---------------------------------------------------------------------------- */

static enum tn_code compare_with_truth(struct outcome_store *store, const struct sums *seen,
                                       struct outcome_check *check, bool *ret_differs, struct tn_error *err)
{
    struct sums truth = {0};
    if (!store->lake)
        return TN_OK;
    TN_TRY(sum_truth(store, &truth, err));
    *ret_differs = memcmp(&truth, seen, sizeof truth) != 0;
    if (*ret_differs)
        say(check,
            "SQLite has %" PRId64 " outcomes with %" PRId64 " successes, log and table have %" PRId64
            " with %" PRId64,
            seen->events, seen->successes, truth.events, truth.successes);
    return TN_OK;
}

static enum tn_code check_locked(struct outcome_store *store, bool repair, struct outcome_check *ret,
                                 struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *broken = "";
    bool differs = false;
    struct sums seen;
    TN_TRY(log_follow(&store->log, err));
    atomic_store(&store->last_id, store->log.last_id);
    TN_TRY(outcome_catch_up(store, store->db, err));
    TN_TRY(db_examine(store->db, arena, &broken, err));
    if (broken[0])
        say(ret, "SQLite finds its file damaged: %s", broken);
    TN_TRY(db_recount(store->db, repair, &ret->wrong, err));
    if (ret->wrong > 0)
        say(ret, "%" PRId64 " aggregates differ from a recount of the outcomes", ret->wrong);
    TN_TRY(sum_database(store->db, &seen, &ret->models, err));
    TN_TRY(compare_with_truth(store, &seen, ret, &differs, err));
    if (repair && (differs || broken[0])) {
        TN_TRY(outcome_rebuild(store, err));
        TN_TRY(sum_database(store->db, &seen, &ret->models, err));
    }
    ret->events = seen.events;
    ret->repaired = repair && !ret->sound;
    return TN_OK;
}

enum tn_code outcome_check(struct outcome_store *store, bool repair, struct outcome_check *ret, struct tn_error *err)
{
    struct outcome_check check = {.sound = true};
    pthread_mutex_lock(&store->writing);
    enum tn_code code = outcome_ready(store, false, err);
    if (code == TN_OK)
        code = log_lock(&store->log, err);
    if (code == TN_OK) {
        code = check_locked(store, repair, &check, err);
        log_unlock(&store->log);
    }
    pthread_mutex_unlock(&store->writing);
    if (code == TN_OK || code == TN_ENOTFOUND) {
        *ret = check;
        return TN_OK;
    }
    return code;
}
