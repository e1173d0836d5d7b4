/* Two models side by side, and days one after another. */
#include "outcome/outcome_internal.h"
#include "outcome/stats.h"

#include <inttypes.h>
#include <string.h>

/* ---- challenger and incumbent ------------------------------------------------------ */

static const struct outcome_model *find_model(const struct outcome_model *models, size_t count, const char *model_id)
{
    for (size_t i = 0; i < count; i++)
        if (tn_streq(models[i].model_id, model_id))
            return &models[i];
    return NULL;
}

static enum tn_code named(const struct outcome_model *models, size_t count, const char *model_id,
                          const struct outcome_model **ret, struct tn_error *err)
{
    *ret = model_id ? find_model(models, count, model_id) : NULL;
    if (!model_id || *ret)
        return TN_OK;
    (void)tn_fail(err, TN_ENOTFOUND, "nothing is known of the model \"%.200s\" at this task type", model_id);
    tn_error_hint(err, "`tarn outcomes rank` lists the models");
    return TN_ENOTFOUND;
}

/* models: best lower bound first. */
static enum tn_code pick_pair(const struct outcome_ab_options *options, const struct outcome_model *models,
                              size_t count, const struct outcome_model **incumbent,
                              const struct outcome_model **challenger, struct tn_error *err)
{
    TN_TRY(named(models, count, options->incumbent, incumbent, err));
    TN_TRY(named(models, count, options->challenger, challenger, err));
    for (size_t i = 0; i < count && !*incumbent; i++)
        if (models[i].trials >= options->min_samples && &models[i] != *challenger)
            *incumbent = &models[i];
    const struct outcome_model *best = NULL;
    for (size_t i = 0; i < count; i++)
        if (&models[i] != *incumbent && (!best || models[i].upper_bound > best->upper_bound))
            best = &models[i];
    *challenger = *challenger ? *challenger : best;
    if (!*incumbent || !*challenger || *incumbent == *challenger) {
        (void)tn_fail(err, TN_ENOTFOUND,
                      "there are not two models to compare at \"%.200s\", one of them with %" PRId64 " trials",
                      options->task_type, options->min_samples);
        tn_error_hint(err, "record more outcomes, or lower min_samples");
        return TN_ENOTFOUND;
    }
    return TN_OK;
}

/* The counts of one model from a moment on, from the events. */
static enum tn_code count_since(struct outcome_db *db, int64_t since_us, struct outcome_model *model,
                                struct tn_error *err)
{
    TN_CLEANUP(db_finalize_p) sqlite3_stmt *statement = NULL;
    char time[TN_TIME_TEXT];
    bool row = false;
    TN_TRY(db_prepare(db,
                      "SELECT count(*), total(success), total(timeout), total(tokens_used), total(cost_usd) "
                      "FROM model_outcomes WHERE task_type = ?1 AND model_id = ?2 AND timestamp >= ?3",
                      &statement, err));
    db_bind_text(statement, 1, model->task_type);
    db_bind_text(statement, 2, model->model_id);
    db_bind_text(statement, 3, outcome_time_text(since_us, time));
    TN_TRY(db_step(db, statement, &row, err));
    model->successes = sqlite3_column_int64(statement, 1);
    model->failures = sqlite3_column_int64(statement, 0) - model->successes;
    model->timeouts = sqlite3_column_int64(statement, 2);
    model->total_tokens = sqlite3_column_int64(statement, 3);
    model->total_cost = sqlite3_column_double(statement, 4);
    outcome_model_finish(model);
    return TN_OK;
}

static void judge_pair(struct outcome_ab *ab, double alpha)
{
    const struct outcome_model *a = &ab->incumbent, *b = &ab->challenger;
    bool small = stats_is_small(a->successes, a->trials, b->successes, b->trials);
    ab->test = small ? "fisher" : "z";
    ab->p_value = small ? stats_fisher(a->successes, a->trials, b->successes, b->trials)
                        : stats_z_test(a->successes, a->trials, b->successes, b->trials);
    ab->significant = ab->p_value < alpha;
    ab->verdict = !ab->significant                    ? "not_significant"
                  : b->success_rate > a->success_rate ? "challenger_better"
                                                      : "incumbent_better";
}

enum tn_code outcome_ab(struct outcome_store *store, const struct outcome_ab_options *options, struct tn_arena *arena,
                        struct outcome_ab *ret, struct tn_error *err)
{
    struct outcome_model *models;
    const struct outcome_model *incumbent = NULL, *challenger = NULL;
    size_t count;
    TN_TRY(outcome_rank(store, options->task_type, 0, OUTCOME_BY_BOUND, arena, &models, &count, err));
    TN_TRY(pick_pair(options, models, count, &incumbent, &challenger, err));
    struct outcome_ab ab = {.incumbent = *incumbent, .challenger = *challenger};
    if (options->since_us > 0) {
        OUTCOME_AUTO_READER reader = {0};
        TN_TRY(outcome_reader_take(store, &reader, err));
        TN_TRY(count_since(reader.db, options->since_us, &ab.incumbent, err));
        TN_TRY(count_since(reader.db, options->since_us, &ab.challenger, err));
    }
    judge_pair(&ab, options->alpha > 0 ? options->alpha : 0.05);
    *ret = ab;
    return TN_OK;
}

/* ---- trends ------------------------------------------------------------------------ */

#define TRENDS                                                                                                       \
    "SELECT date(timestamp) AS day, model_id, count(*), total(success), total(timeout), total(tokens_used), "        \
    "total(cost_usd) FROM model_outcomes WHERE task_type = ?1 AND timestamp >= ?2 AND (?3 IS NULL OR model_id = "    \
    "?3) "                                                                                                           \
    "GROUP BY day, model_id ORDER BY day DESC, model_id"

static enum tn_code read_days(struct outcome_db *db, sqlite3_stmt *statement, struct tn_arena *arena,
                              struct outcome_day **days, size_t *count, struct tn_error *err)
{
    size_t capacity = 0;
    for (bool row = true;;) {
        TN_TRY(db_step(db, statement, &row, err));
        if (!row)
            return TN_OK;
        TN_GROW(*days, *count, capacity);
        struct outcome_day *day = &(*days)[(*count)++];
        *day = (struct outcome_day){
            .day = db_text(statement, 0, arena),
            .model_id = db_text(statement, 1, arena),
            .attempts = sqlite3_column_int64(statement, 2),
            .wins = sqlite3_column_int64(statement, 3),
            .timeouts = sqlite3_column_int64(statement, 4),
            .tokens = sqlite3_column_int64(statement, 5),
            .cost = sqlite3_column_double(statement, 6),
        };
        day->success_rate = (double)day->wins / (double)day->attempts;
    }
}

enum tn_code outcome_trends(struct outcome_store *store, const char *task_type, const char *model_id,
                            int64_t since_us, struct tn_arena *arena, struct outcome_day **ret, size_t *ret_count,
                            struct tn_error *err)
{
    OUTCOME_AUTO_READER reader = {0};
    struct outcome_day *days = NULL;
    size_t count = 0;
    char time[TN_TIME_TEXT];
    enum tn_code code = outcome_reader_take(store, &reader, err);
    if (code == TN_OK) {
        TN_CLEANUP(db_finalize_p) sqlite3_stmt *statement = NULL;
        TN_TRY(db_prepare(reader.db, TRENDS, &statement, err));
        db_bind_text(statement, 1, task_type);
        db_bind_text(statement, 2, outcome_time_text(since_us, time));
        db_bind_text(statement, 3, model_id);
        code = read_days(reader.db, statement, arena, &days, &count, err);
    } else if (code == TN_ENOTFOUND) {
        code = TN_OK;
    }
    if (code == TN_OK) {
        *ret = TN_ARENA_ARRAY(arena, struct outcome_day, count + 1);
        if (count > 0)
            memcpy(*ret, days, count * sizeof *days);
        *ret_count = count;
    }
    free(days);
    return code;
}
