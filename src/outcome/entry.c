/* One line of the log: an outcome, or an aggregate that somebody else made. */
#include "outcome/log.h"
#include "outcome/outcome_internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

const char *outcome_time_text(int64_t us, char out[TN_TIME_TEXT])
{
    int64_t second = us / 1000000, fraction = us % 1000000;
    if (fraction < 0) {
        fraction += 1000000;
        second--;
    }
    char whole[TN_TIME_TEXT];
    (void)tn_time_format(second * 1000000, whole);
    snprintf(out, TN_TIME_TEXT, "%.*s.%06" PRId64 "Z", (int)strcspn(whole, "Z"), whole, fraction);
    return out;
}

/* ---- judging ---------------------------------------------------------------- */

static enum tn_code check_text(const char *what, const char *text, bool required, struct tn_error *err)
{
    if (!text && !required)
        return TN_OK;
    size_t length = text ? strlen(text) : 0;
    if (length == 0)
        return tn_fail(err, TN_EREQUEST, "%s is missing or empty", what);
    if (length > OUTCOME_TEXT_MAX)
        return tn_fail(err, TN_EREQUEST, "%s has %zu bytes; at most %d are kept", what, length, OUTCOME_TEXT_MAX);
    if (tn_utf8_valid_prefix(text, length) != length)
        return tn_fail(err, TN_EREQUEST, "%s is not valid UTF-8", what);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return tn_fail(err, TN_EREQUEST, "%s has a control character at byte %zu", what, i + 1);
    return TN_OK;
}

static enum tn_code check_count(const char *what, int64_t value, struct tn_error *err)
{
    if (value < 0 || value > TN_JSON_MAX_SAFE)
        return tn_fail(err, TN_EREQUEST, "%s must be from 0 to 2^53, not %" PRId64, what, value);
    return TN_OK;
}

enum tn_code outcome_entry_check(const struct outcome_entry *entry, struct tn_error *err)
{
    TN_TRY(check_text("task_type", entry->task_type, true, err));
    TN_TRY(check_text("model_id", entry->model_id, true, err));
    TN_TRY(check_text("key", entry->key, false, err));
    TN_TRY(check_text("source", entry->source, entry->import, err));
    TN_TRY(check_count("successes", entry->successes, err));
    TN_TRY(check_count("failures", entry->failures, err));
    TN_TRY(check_count("timeouts", entry->timeouts, err));
    TN_TRY(check_count(entry->import ? "totalTokens" : "tokens_used", entry->tokens, err));
    if (!(isfinite(entry->cost) && entry->cost >= 0 && entry->cost <= 1e15))
        return tn_fail(err, TN_EREQUEST, "%s must be a number from 0 to 1e15",
                       entry->import ? "totalCost" : "cost_usd");
    if (entry->timeouts > entry->failures)
        return tn_fail(err, TN_EREQUEST, "%s",
                       entry->import ? "there are more timeouts than failures; a timeout is a failure"
                                     : "an outcome cannot both succeed and time out");
    if (entry->time_us != LOG_NO_TIME && (entry->time_us < 0 || entry->time_us >= INT64_C(253402300800000000)))
        return tn_fail(err, TN_EREQUEST, "the time must be between the years 1970 and 9999");
    return TN_OK;
}

/* ---- writing ---------------------------------------------------------------- */

static void put_field(struct tn_buf *out, const char *name, const char *text)
{
    if (!text)
        return;
    tn_buf_puts(out, name);
    tn_json_quote(out, text, strlen(text));
}

static void put_count(struct tn_buf *out, const char *name, int64_t value)
{
    tn_buf_puts(out, name);
    tn_format_i64(out, value);
}

void outcome_entry_put(const struct outcome_entry *entry, struct tn_buf *out)
{
    char time[TN_TIME_TEXT];
    put_field(out, "{\"task_type\":", entry->task_type);
    put_field(out, ",\"model_id\":", entry->model_id);
    if (entry->import) {
        put_count(out, ",\"successes\":", entry->successes);
        put_count(out, ",\"failures\":", entry->failures);
        put_count(out, ",\"timeouts\":", entry->timeouts);
    } else {
        put_count(out, ",\"success\":", entry->successes);
        put_count(out, ",\"timeout\":", entry->timeouts);
    }
    put_count(out, ",\"tokens\":", entry->tokens);
    tn_buf_puts(out, ",\"cost\":");
    tn_format_f64(out, entry->cost);
    if (entry->time_us != LOG_NO_TIME)
        put_field(out, ",\"time\":", outcome_time_text(entry->time_us, time));
    put_field(out, ",\"key\":", entry->key);
    put_field(out, ",\"source\":", entry->source);
    tn_buf_puts(out, "}\n");
}

/* ---- reading ---------------------------------------------------------------- */

enum tn_code outcome_entry_read(struct tn_arena *arena, const char *line, size_t length, struct outcome_entry *ret,
                                struct tn_error *err)
{
    TN_AUTO_JSON *object = NULL;
    struct outcome_entry entry = {.time_us = LOG_NO_TIME};
    int64_t success = -1, successes = -1;
    const char *time = NULL;
    const struct tn_json_field fields[] = {
        {.name = "task_type", .kind = TN_JSON_STRING, .ret = &entry.task_type, .required = true},
        {.name = "model_id", .kind = TN_JSON_STRING, .ret = &entry.model_id, .required = true},
        {.name = "success", .kind = TN_JSON_INT, .ret = &success, .min = 0, .max = 1},
        {.name = "timeout", .kind = TN_JSON_INT, .ret = &entry.timeouts, .min = 0, .max = 1},
        {.name = "successes", .kind = TN_JSON_INT, .ret = &successes},
        {.name = "failures", .kind = TN_JSON_INT, .ret = &entry.failures},
        {.name = "timeouts", .kind = TN_JSON_INT, .ret = &entry.timeouts},
        {.name = "tokens", .kind = TN_JSON_INT, .ret = &entry.tokens, .required = true},
        {.name = "cost", .kind = TN_JSON_DOUBLE, .ret = &entry.cost, .required = true},
        {.name = "time", .kind = TN_JSON_STRING, .ret = &time},
        {.name = "key", .kind = TN_JSON_STRING, .ret = &entry.key},
        {.name = "source", .kind = TN_JSON_STRING, .ret = &entry.source},
    };
    enum tn_code code = tn_json_parse(line, length, LOG_PAYLOAD_MAX, "log line", &object, err);
    if (code == TN_OK)
        code = tn_json_read(object, "log line", fields, TN_COUNT(fields), err);
    if (code == TN_OK && (success < 0) == (successes < 0))
        code = tn_fail(err, TN_ECORRUPT, "log line: neither an outcome nor an import");
    if (code == TN_OK && time && !tn_time_parse(time, &entry.time_us))
        code = tn_fail(err, TN_ECORRUPT, "log line: \"%.40s\" is no time", time);
    if (code == TN_OK && success >= 0 && !time)
        code = tn_fail(err, TN_ECORRUPT, "log line: an outcome without a time");
    entry.import = success < 0;
    entry.successes = entry.import ? successes : success;
    if (!entry.import)
        entry.failures = 1 - success;
    if (code == TN_OK)
        code = outcome_entry_check(&entry, err);
    if (code != TN_OK)
        return TN_ECORRUPT;
    entry.task_type = tn_arena_strdup(arena, entry.task_type);
    entry.model_id = tn_arena_strdup(arena, entry.model_id);
    entry.key = entry.key ? tn_arena_strdup(arena, entry.key) : NULL;
    entry.source = entry.source ? tn_arena_strdup(arena, entry.source) : NULL;
    *ret = entry;
    return TN_OK;
}
