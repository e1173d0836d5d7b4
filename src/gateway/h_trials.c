/* Trials: ordered, listed, promoted; generations, and back. The list is a query
 * of the SQL table `trials`, under the guard like any. */
#include "gateway/gateway_internal.h"

#include <inttypes.h>

#define TRIALS_DEFAULT 100
#define TRIALS_MAX     1000

/* ---- one more ---------------------------------------------------------------------- */

static enum tn_code take_params(const json_t *params, struct index_trial *wish, struct tn_error *err)
{
    int64_t m = 0, build = 0, ef = 0, bits = 0;
    struct index_trial taken = {.samples = wish->samples};
    const struct tn_json_field fields[] = {
        {.name = "M", .kind = TN_JSON_INT, .ret = &m, .min = 4, .max = 64},
        {.name = "ef_construction", .kind = TN_JSON_INT, .ret = &build, .min = 8, .max = 2000},
        {.name = "ef", .kind = TN_JSON_INT, .ret = &ef, .min = 1, .max = 4096},
        {.name = "recall_target", .kind = TN_JSON_DOUBLE, .ret = &taken.recall_target},
        {.name = "code_bits", .kind = TN_JSON_INT, .ret = &bits, .min = 4, .max = 8},
        {.name = "raw", .kind = TN_JSON_STRING, .ret = &taken.raw},
    };
    if (params)
        TN_TRY(tn_json_read(params, "params", fields, TN_COUNT(fields), err));
    taken.degree = (uint32_t)m;
    taken.ef_construction = (uint32_t)build;
    taken.ef = (uint32_t)ef;
    taken.code_bits = (uint32_t)bits;
    *wish = taken;
    return TN_OK;
}

enum tn_code h_trial_start(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    struct index_trial wish = {0};
    const char *index = NULL, *reason = NULL;
    json_t *params = NULL;
    int64_t samples = 0;
    char job[JOB_ID_TEXT];
    TN_TRY(request_json(request, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "index", .kind = TN_JSON_STRING, .ret = &index, .required = true},
        {.name = "params", .kind = TN_JSON_OBJECT, .ret = &params},
        {.name = "samples", .kind = TN_JSON_INT, .ret = &samples, .min = 1, .max = 1000},
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &reason},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    wish.samples = (uint32_t)samples;
    TN_TRY(take_params(params, &wish, err));
    TN_TRY(index_trial_order(request->gateway->indexes, index, &wish, request->actor.name, job, err));
    return job_reply(request, job, err);
}

/* ---- the list -------------------------------------------------------------------------- */

/* "-p95_us,recall_at_10": names of columns, those with '-' from the largest. */
static enum tn_code put_columns(struct request *request, const char *parameter, bool ordered, struct tn_buf *out,
                                struct tn_error *err)
{
    const char *words = http_param(&request->target, parameter);
    for (size_t count = 0; words && *words; count++) {
        bool down = ordered && *words == '-';
        words += down;
        size_t length = strspn(words, "abcdefghijklmnopqrstuvwxyz0123456789_");
        if (length == 0 || (words[length] != ',' && words[length] != '\0'))
            return tn_fail(err, TN_EREQUEST, "%s is a list of columns of the table trials, such as %s", parameter,
                           ordered ? "-recall_at_10,p95_us" : "m,ef_construction");
        tn_buf_puts(out, count ? ", " : "");
        tn_buf_put_sql_name(out, tn_arena_strndup(request->arena, words, length));
        tn_buf_puts(out, down ? " DESC NULLS LAST" : ordered ? " ASC NULLS LAST" : "");
        words += length + (words[length] == ',');
    }
    return TN_OK;
}

/* What the filter leaves of this index; $1 is its name. */
static enum tn_code put_where(struct request *request, struct tn_buf *out, struct tn_error *err)
{
    const char *filter = http_param(&request->target, "filter"), *safe;
    tn_buf_puts(out, " FROM trials WHERE \"index\" = $1");
    if (!filter || !filter[0])
        return TN_OK;
    TN_TRY(engine_guard_predicate(request->gateway->lake.engine, filter, strlen(filter), request->arena, &safe, NULL,
                                  err));
    tn_buf_printf(out, " AND (%s)", safe);
    return TN_OK;
}

static void put_lines(struct tn_json *json, const char *key, const struct tn_buf *lines, uint64_t most)
{
    tn_json_key(json, key);
    tn_json_open(json, '[');
    for (const char *at = lines->data, *end = at + lines->len; at && at < end && most > 0; most--) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = newline ? (size_t)(newline - at) : (size_t)(end - at);
        tn_json_raw(json, at, length);
        at += length + 1;
    }
    tn_json_close(json, ']');
}

static size_t count_lines(const struct tn_buf *lines)
{
    size_t count = 0;
    for (size_t i = 0; i < lines->len; i++)
        count += lines->data[i] == '\n';
    return count;
}

static enum tn_code ask_items(struct request *request, const json_t *params, uint64_t limit, uint64_t offset,
                              struct tn_buf *ret, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    TN_AUTO_BUF order = {0};
    TN_TRY(put_columns(request, "sort", true, &order, err));
    tn_buf_puts(&sql, "SELECT *");
    TN_TRY(put_where(request, &sql, err));
    tn_buf_printf(&sql, " ORDER BY %s%srecord DESC LIMIT %" PRIu64 " OFFSET %" PRIu64, order.len ? order.data : "",
                  order.len ? ", " : "", limit + 1, offset);
    return ask_lines(request, sql.data, params, ret, err);
}

/* Of those that are trials: how many, how well, at what price; by the values of `by`. */
static enum tn_code ask_aggregates(struct request *request, const json_t *params, struct tn_buf *ret,
                                   struct tn_error *err)
{
    static const char *const measured[] = {"recall_at_1", "recall_at_10",  "p50_us",      "p95_us",
                                           "p99_us",      "build_seconds", "cpu_seconds", "bytes_resident"};
    TN_AUTO_BUF sql = {0};
    TN_AUTO_BUF by = {0};
    TN_TRY(put_columns(request, "by", false, &by, err));
    tn_buf_printf(&sql, "SELECT %s%scount(*) AS trials", by.len ? by.data : "", by.len ? ", " : "");
    for (size_t i = 0; i < TN_COUNT(measured); i++)
        tn_buf_printf(&sql, ", {'min': min(%s), 'avg': avg(%s), 'max': max(%s)} AS %s", measured[i], measured[i],
                      measured[i], measured[i]);
    tn_buf_puts(&sql, ", arg_max(trial, (recall_at_10, -p95_us)) AS best_trial");
    TN_TRY(put_where(request, &sql, err));
    tn_buf_puts(&sql, " AND kind = 'trial'");
    if (by.len)
        tn_buf_printf(&sql, " GROUP BY %s ORDER BY %s", by.data, by.data);
    return ask_lines(request, sql.data, params, ret, err);
}

enum tn_code h_trials(struct request *request, struct tn_error *err)
{
    char name[INDEX_NAME_MAX + 1];
    uint64_t limit = TRIALS_DEFAULT, offset = 0;
    TN_AUTO_BUF items = {0};
    TN_AUTO_BUF aggregates = {0};
    TN_TRY(index_exact_name(request->gateway->indexes, request->match.captures[0], name, err));
    TN_TRY(request_param_u64(request, "limit", TRIALS_MAX, &limit, err));
    TN_TRY(request_param_u64(request, "cursor", UINT32_MAX, &offset, err));
    TN_AUTO_JSON *params = json_pack("[s]", name);
    TN_TRY(ask_items(request, params, limit, offset, &items, err));
    TN_TRY(ask_aggregates(request, params, &aggregates, err));
    bool more = count_lines(&items) > limit;
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    put_lines(&json, "items", &items, limit);
    put_lines(&json, "aggregates", &aggregates, UINT64_MAX);
    tn_json_kstr(&json, "next_cursor", more ? tn_arena_printf(request->arena, "%" PRIu64, offset + limit) : NULL);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_trials_compact(struct request *request, struct tn_error *err)
{
    struct tn_json json = reply_json(request);
    return index_trials_compact(request->gateway->indexes, request->match.captures[0], &json, err);
}

/* ---- which one serves -------------------------------------------------------------------- */

static enum tn_code take_change(struct request *request, json_t **body, struct index_change *ret, bool may_force,
                                struct tn_error *err)
{
    const struct tn_json_field fields[] = {
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &ret->reason},
        {.name = "force", .kind = TN_JSON_BOOL, .ret = &ret->force},
    };
    ret->actor = request->actor.name;
    TN_TRY(request_optional_json(request, body, err));
    TN_TRY(tn_json_read(*body, "request", fields, may_force ? 2 : 1, err));
    if (ret->reason && strlen(ret->reason) > 2000)
        return tn_fail(err, TN_EREQUEST, "a reason has at most 2000 characters");
    return TN_OK;
}

enum tn_code h_promote(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    struct index_change change = {0};
    uint64_t trial;
    if (!tn_parse_u64(request->match.captures[1], &trial) || trial == 0)
        return tn_fail(err, TN_EREQUEST, "a trial's id is a number, as GET /hnsw/trials/{index} gives it");
    TN_TRY(take_change(request, &body, &change, true, err));
    struct tn_json json = reply_json(request);
    return index_promote(request->gateway->indexes, request->match.captures[0], trial, &change, &json, err);
}

enum tn_code h_rollback(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    struct index_change change = {0};
    TN_TRY(take_change(request, &body, &change, false, err));
    struct tn_json json = reply_json(request);
    return index_rollback(request->gateway->indexes, request->match.captures[0], &change, &json, err);
}

enum tn_code h_generations(struct request *request, struct tn_error *err)
{
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "items");
    TN_TRY(index_generations(request->gateway->indexes, request->match.captures[0], &json, err));
    tn_json_kstr(&json, "next_cursor", NULL);
    tn_json_close(&json, '}');
    return TN_OK;
}
