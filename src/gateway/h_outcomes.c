/* Model outcomes over HTTP. */
#include "gateway/outcomes.h"
#include "outcome/outcome.h"

#include <inttypes.h>

#define DAY_US INT64_C(86400000000)

/* ---- parameters ------------------------------------------------------------------ */

static enum tn_code param_text(const struct request *request, const char *name, const char **ret,
                               struct tn_error *err)
{
    *ret = http_param(&request->target, name);
    if (!*ret || !**ret)
        return tn_fail(err, TN_EREQUEST, "the parameter %s is needed", name);
    return TN_OK;
}

static enum tn_code param_share(const struct request *request, const char *name, double fallback, double *ret,
                                struct tn_error *err)
{
    const char *text = http_param(&request->target, name);
    *ret = fallback;
    if (text && (!tn_parse_double(text, ret) || !(*ret >= 0 && *ret <= 1)))
        return tn_fail(err, TN_EREQUEST, "%s must be a number from 0 to 1, not \"%.60s\"", name, text);
    return TN_OK;
}

static enum tn_code param_samples(struct request *request, uint64_t fallback, int64_t *ret, struct tn_error *err)
{
    uint64_t samples = fallback;
    TN_TRY(request_param_u64(request, "min_samples", (uint64_t)TN_JSON_MAX_SAFE, &samples, err));
    *ret = (int64_t)samples;
    return TN_OK;
}

/* ---- in -------------------------------------------------------------------------- */

enum tn_code h_outcomes_record(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    struct outcome_recorded done = {0};
    if (request->content_type && !http_media_is(request->content_type, "application/json"))
        return tn_fail(err, TN_EMEDIA, "the body must be application/json, not %.100s", request->content_type);
    TN_TRY(tn_json_parse(request->body.data ? request->body.data : "", request->body.len,
                         request->gateway->limits.max_body, "request body", &body, err));
    TN_TRY(outcome_record_json(request->gateway->outcomes, body, "api", &done, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "recorded", (int64_t)done.recorded);
    tn_json_ki64(&json, "duplicates", (int64_t)done.duplicates);
    tn_json_ki64(&json, "last_id", done.last_id);
    tn_json_kbool(&json, "degraded", done.degraded);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_outcomes_import(struct request *request, struct tn_error *err)
{
    struct outcome_store *outcomes = request->gateway->outcomes;
    TN_CLEANUP(outcome_imported_release) struct outcome_imported done = {0};
    const char *dataset = http_param(&request->target, "dataset");
    const char *source = http_param(&request->target, "source");
    if (dataset) {
        if (source)
            return tn_fail(err, TN_EREQUEST, "a dataset is a source itself: leave out the parameter source");
        TN_TRY(outcome_import_dataset(outcomes, dataset, &done, err));
    } else {
        TN_AUTO_JSON *body = NULL;
        TN_TRY(request_json(request, &body, err));
        TN_TRY(outcome_import_json(outcomes, body, source ? source : "api", &done, err));
    }
    struct tn_json json = reply_json(request);
    TN_AUTO_BUF problems = {0};
    tn_json_dump(done.problems, &problems);
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "taken", (int64_t)done.taken);
    tn_json_ki64(&json, "unchanged", (int64_t)done.unchanged);
    tn_json_ki64(&json, "refused", (int64_t)done.refused);
    tn_json_key(&json, "problems");
    tn_json_raw(&json, problems.data, problems.len);
    tn_json_close(&json, '}');
    return TN_OK;
}

/* ---- out ------------------------------------------------------------------------- */

static void put_models(struct request *request, const struct outcome_model *models, size_t count)
{
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "items");
    tn_json_open(&json, '[');
    for (size_t i = 0; i < count; i++)
        outcome_model_json(&models[i], &json);
    tn_json_close(&json, ']');
    tn_json_kstr(&json, "next_cursor", NULL);
    tn_json_close(&json, '}');
}

enum tn_code h_outcomes_rank(struct request *request, struct tn_error *err)
{
    const char *task_type, *by = http_param(&request->target, "by");
    enum outcome_order order = OUTCOME_BY_RATE;
    struct outcome_model *models;
    size_t count;
    int64_t min_samples;
    uint64_t limit = UINT64_MAX;
    TN_TRY(param_text(request, "task_type", &task_type, err));
    TN_TRY(param_samples(request, OUTCOME_MIN_SAMPLES, &min_samples, err));
    TN_TRY(request_param_u64(request, "limit", 10000, &limit, err));
    if (by && !outcome_order_parse(by, &order))
        return tn_fail(err, TN_EREQUEST, "by must be rate, bound, cost or tokens, not \"%.60s\"", by);
    TN_TRY(outcome_rank(request->gateway->outcomes, task_type, min_samples, order, request->arena, &models, &count,
                        err));
    put_models(request, models, (size_t)TN_MIN((uint64_t)count, limit));
    return TN_OK;
}

enum tn_code h_outcomes_dashboard(struct request *request, struct tn_error *err)
{
    struct outcome_model *models;
    size_t count;
    int64_t min_samples;
    TN_TRY(param_samples(request, 0, &min_samples, err));
    TN_TRY(outcome_rank(request->gateway->outcomes, http_param(&request->target, "task_type"), min_samples,
                        OUTCOME_BY_RATE, request->arena, &models, &count, err));
    put_models(request, models, count);
    return TN_OK;
}

enum tn_code h_outcomes_demote(struct request *request, struct tn_error *err)
{
    const char *task_type, *model_id;
    double threshold;
    int64_t min_samples;
    struct outcome_demotion demotion;
    TN_TRY(param_text(request, "task_type", &task_type, err));
    TN_TRY(param_text(request, "model_id", &model_id, err));
    TN_TRY(param_share(request, "threshold", OUTCOME_DEMOTE_THRESHOLD, &threshold, err));
    TN_TRY(param_samples(request, OUTCOME_MIN_SAMPLES, &min_samples, err));
    TN_TRY(outcome_should_demote(request->gateway->outcomes, task_type, model_id, threshold, min_samples,
                                 request->arena, &demotion, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kbool(&json, "demote", demotion.demote);
    tn_json_kbool(&json, "certain", demotion.certain);
    tn_json_kstr(&json, "why", demotion.why);
    tn_json_key(&json, "model");
    outcome_model_json(&demotion.model, &json);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_outcomes_ab(struct request *request, struct tn_error *err)
{
    const struct http_target *target = &request->target;
    const char *since = http_param(target, "since");
    struct outcome_ab ab;
    struct outcome_ab_options options = {
        .incumbent = http_param(target, "incumbent"),
        .challenger = http_param(target, "challenger"),
    };
    TN_TRY(param_text(request, "task_type", &options.task_type, err));
    TN_TRY(param_share(request, "alpha", 0.05, &options.alpha, err));
    TN_TRY(param_samples(request, OUTCOME_MIN_SAMPLES, &options.min_samples, err));
    if (since && (!tn_time_parse(since, &options.since_us) || options.since_us <= 0))
        return tn_fail(err, TN_EREQUEST, "since must be a time such as 2026-01-31T12:00:00Z, not \"%.60s\"", since);
    TN_TRY(outcome_ab(request->gateway->outcomes, &options, request->arena, &ab, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "incumbent");
    outcome_model_json(&ab.incumbent, &json);
    tn_json_key(&json, "challenger");
    outcome_model_json(&ab.challenger, &json);
    tn_json_kreal(&json, "p_value", ab.p_value);
    tn_json_kstr(&json, "test", ab.test);
    tn_json_kbool(&json, "significant", ab.significant);
    tn_json_kstr(&json, "verdict", ab.verdict);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_outcomes_trends(struct request *request, struct tn_error *err)
{
    const char *task_type;
    uint64_t days = 30;
    struct outcome_day *items;
    size_t count;
    TN_TRY(param_text(request, "task_type", &task_type, err));
    TN_TRY(request_param_u64(request, "days", 36500, &days, err));
    int64_t since_us = TN_MAX(tn_now_us() - (int64_t)days * DAY_US, (int64_t)0);
    TN_TRY(outcome_trends(request->gateway->outcomes, task_type, http_param(&request->target, "model_id"), since_us,
                          request->arena, &items, &count, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "items");
    tn_json_open(&json, '[');
    for (size_t i = 0; i < count; i++) {
        tn_json_open(&json, '{');
        tn_json_kstr(&json, "day", items[i].day);
        tn_json_kstr(&json, "model_id", items[i].model_id);
        tn_json_ki64(&json, "attempts", items[i].attempts);
        tn_json_ki64(&json, "wins", items[i].wins);
        tn_json_ki64(&json, "timeouts", items[i].timeouts);
        tn_json_kreal(&json, "success_rate", items[i].success_rate);
        tn_json_ki64(&json, "tokens", items[i].tokens);
        tn_json_kreal(&json, "cost", items[i].cost);
        tn_json_close(&json, '}');
    }
    tn_json_close(&json, ']');
    tn_json_kstr(&json, "next_cursor", NULL);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_outcomes_export(struct request *request, struct tn_error *err)
{
    int64_t min_samples;
    TN_TRY(param_samples(request, OUTCOME_EXPORT_MIN_SAMPLES, &min_samples, err));
    struct tn_json json = reply_json(request);
    return outcome_export_json(request->gateway->outcomes, min_samples, &json, err);
}

enum tn_code h_outcomes_check(struct request *request, struct tn_error *err)
{
    const char *text = http_param(&request->target, "repair");
    bool repair = false;
    struct outcome_check check;
    if (text && !tn_parse_bool(text, &repair))
        return tn_fail(err, TN_EREQUEST, "repair must be true or false, not \"%.60s\"", text);
    TN_TRY(outcome_check(request->gateway->outcomes, repair, &check, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kbool(&json, "sound", check.sound);
    tn_json_kbool(&json, "repaired", check.repaired);
    tn_json_ki64(&json, "events", check.events);
    tn_json_ki64(&json, "models", check.models);
    tn_json_ki64(&json, "wrong", check.wrong);
    tn_json_kstr(&json, "text", check.text);
    tn_json_close(&json, '}');
    return TN_OK;
}
