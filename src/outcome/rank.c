/* Rankings: the aggregates of a task type, best first; and who should go. */
#include "outcome/outcome_internal.h"
#include "outcome/stats.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const struct {
    const char *word;
    enum outcome_order order;
} orders[] = {
    {"rate", OUTCOME_BY_RATE}, {"bound", OUTCOME_BY_BOUND}, {"cost", OUTCOME_BY_COST}, {"tokens", OUTCOME_BY_TOKENS}};

bool outcome_order_parse(const char *word, enum outcome_order *ret)
{
    for (size_t i = 0; i < TN_COUNT(orders); i++)
        if (tn_streq(orders[i].word, word)) {
            *ret = orders[i].order;
            return true;
        }
    return false;
}

void outcome_model_finish(struct outcome_model *model)
{
    model->trials = model->successes + model->failures;
    double trials = (double)model->trials;
    model->success_rate = model->trials > 0 ? (double)model->successes / trials : (double)NAN;
    model->lower_bound = stats_wilson_lower(model->successes, model->trials, STATS_Z95);
    model->upper_bound = stats_wilson_upper(model->successes, model->trials, STATS_Z95);
    model->average_tokens = model->trials > 0 ? (double)model->total_tokens / trials : 0;
    model->average_cost = model->trials > 0 ? model->total_cost / trials : 0;
    model->cost_per_success = model->successes > 0 ? model->total_cost / (double)model->successes : (double)NAN;
}

/* ---- order ----------------------------------------------------------------------- */

/* Negative when a comes first; NAN comes last. */
static int less_first(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

static int compare(const struct outcome_model *a, const struct outcome_model *b, enum outcome_order order)
{
    int by_task = strcmp(a->task_type, b->task_type), way = 0;
    if (by_task != 0)
        return by_task;
    if (order == OUTCOME_BY_RATE)
        way = less_first(-a->success_rate, -b->success_rate);
    else if (order == OUTCOME_BY_COST)
        way = less_first(a->cost_per_success, b->cost_per_success);
    else if (order == OUTCOME_BY_TOKENS)
        way = less_first(a->average_tokens, b->average_tokens);
    way = way ? way : less_first(-a->lower_bound, -b->lower_bound);
    way = way ? way : less_first(a->average_cost, b->average_cost);
    way = way ? way : less_first(a->average_tokens, b->average_tokens);
    return way ? way : strcmp(a->model_id, b->model_id);
}

#define ORDERED_BY(name, order)                                                                                      \
    static int name(const void *a, const void *b)                                                                    \
    {                                                                                                                \
        return compare(a, b, order);                                                                                 \
    }
ORDERED_BY(by_rate, OUTCOME_BY_RATE)
ORDERED_BY(by_bound, OUTCOME_BY_BOUND)
ORDERED_BY(by_cost, OUTCOME_BY_COST)
ORDERED_BY(by_tokens, OUTCOME_BY_TOKENS)

static int (*const compares[])(const void *, const void *) = {
    [OUTCOME_BY_RATE] = by_rate,
    [OUTCOME_BY_BOUND] = by_bound,
    [OUTCOME_BY_COST] = by_cost,
    [OUTCOME_BY_TOKENS] = by_tokens,
};

/* ---- reading --------------------------------------------------------------------- */

#define MODELS                                                                                                       \
    "SELECT task_type, model_id, successes, failures, timeouts, total_tokens, total_cost, last_used "                \
    "FROM model_stats WHERE successes + failures >= ?2 AND "

static enum tn_code read_models(struct outcome_db *db, const char *task_type, int64_t min_samples,
                                struct tn_arena *arena, struct outcome_model **ret, size_t *ret_count,
                                struct tn_error *err)
{
    TN_CLEANUP(db_finalize_p) sqlite3_stmt *statement = NULL;
    TN_TRY(db_prepare(db, task_type ? MODELS "task_type = ?1" : MODELS "?1 IS NULL", &statement, err));
    struct outcome_model *models = NULL;
    size_t count = 0, capacity = 0;
    bool row = true;
    enum tn_code code = TN_OK;
    db_bind_text(statement, 1, task_type);
    (void)sqlite3_bind_int64(statement, 2, min_samples);
    while ((code = db_step(db, statement, &row, err)) == TN_OK && row) {
        TN_GROW(models, count, capacity);
        models[count] = (struct outcome_model){
            .task_type = db_text(statement, 0, arena),
            .model_id = db_text(statement, 1, arena),
            .successes = sqlite3_column_int64(statement, 2),
            .failures = sqlite3_column_int64(statement, 3),
            .timeouts = sqlite3_column_int64(statement, 4),
            .total_tokens = sqlite3_column_int64(statement, 5),
            .total_cost = sqlite3_column_double(statement, 6),
            .last_used = db_text(statement, 7, arena),
        };
        outcome_model_finish(&models[count++]);
    }
    if (code == TN_OK) {
        *ret = TN_ARENA_ARRAY(arena, struct outcome_model, count + 1);
        if (count > 0)
            memcpy(*ret, models, count * sizeof *models);
        *ret_count = count;
    }
    free(models);
    return code;
}

enum tn_code outcome_rank(struct outcome_store *store, const char *task_type, int64_t min_samples,
                          enum outcome_order order, struct tn_arena *arena, struct outcome_model **ret,
                          size_t *ret_count, struct tn_error *err)
{
    OUTCOME_AUTO_READER reader = {0};
    enum tn_code code = outcome_reader_take(store, &reader, err);
    if (code == TN_ENOTFOUND) {
        *ret = TN_ARENA_ARRAY(arena, struct outcome_model, 1);
        *ret_count = 0;
        return TN_OK;
    }
    TN_TRY(code);
    TN_TRY(read_models(reader.db, task_type, min_samples, arena, ret, ret_count, err));
    if (*ret_count > 1)
        qsort(*ret, *ret_count, sizeof **ret, compares[order]);
    return TN_OK;
}

void outcome_model_json(const struct outcome_model *model, struct tn_json *out)
{
    tn_json_open(out, '{');
    tn_json_kstr(out, "task_type", model->task_type);
    tn_json_kstr(out, "model_id", model->model_id);
    tn_json_ki64(out, "successes", model->successes);
    tn_json_ki64(out, "failures", model->failures);
    tn_json_ki64(out, "timeouts", model->timeouts);
    tn_json_ki64(out, "trials", model->trials);
    tn_json_kreal(out, "success_rate", model->success_rate);
    tn_json_kreal(out, "lower_bound", model->lower_bound);
    tn_json_kreal(out, "upper_bound", model->upper_bound);
    tn_json_ki64(out, "total_tokens", model->total_tokens);
    tn_json_kreal(out, "total_cost", model->total_cost);
    tn_json_kreal(out, "average_tokens", model->average_tokens);
    tn_json_kreal(out, "average_cost", model->average_cost);
    tn_json_kreal(out, "cost_per_success", model->cost_per_success);
    tn_json_kstr(out, "last_used", model->last_used);
    tn_json_close(out, '}');
}

/* ---- demotion -------------------------------------------------------------------- */

static const char *why_demote(const struct outcome_demotion *demotion, double threshold, int64_t min_samples,
                              struct tn_arena *arena)
{
    const struct outcome_model *model = &demotion->model;
    if (model->trials < min_samples)
        return tn_arena_printf(arena, "%" PRId64 " trials are fewer than %" PRId64, model->trials, min_samples);
    return tn_arena_printf(arena, "succeeded in %.1f %% of %" PRId64 " trials, %s %.1f %%%s",
                           100 * model->success_rate, model->trials, demotion->demote ? "below" : "at or above",
                           100 * threshold,
                           demotion->certain  ? "; its upper bound is below as well"
                           : demotion->demote ? "; its upper bound is not: chance may have done it"
                                              : "");
}

enum tn_code outcome_should_demote(struct outcome_store *store, const char *task_type, const char *model_id,
                                   double threshold, int64_t min_samples, struct tn_arena *arena,
                                   struct outcome_demotion *ret, struct tn_error *err)
{
    struct outcome_model *models;
    size_t count;
    struct outcome_demotion demotion = {.model = {.task_type = task_type, .model_id = model_id}};
    TN_TRY(outcome_rank(store, task_type, 0, OUTCOME_BY_RATE, arena, &models, &count, err));
    for (size_t i = 0; i < count; i++)
        if (tn_streq(models[i].model_id, model_id))
            demotion.model = models[i];
    outcome_model_finish(&demotion.model);
    bool enough = demotion.model.trials > 0 && demotion.model.trials >= min_samples;
    demotion.demote = enough && demotion.model.success_rate < threshold;
    demotion.certain = demotion.demote && demotion.model.upper_bound < threshold;
    demotion.why = why_demote(&demotion, threshold, TN_MAX(min_samples, (int64_t)1), arena);
    *ret = demotion;
    return TN_OK;
}
