/* Log lines: built in memory, written by one write(2). */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Atomic int lowest_level = TN_LOG_INFO;
static atomic_bool as_json;
static _Thread_local char current_request[64];

static const char *const level_words[] = {"debug", "info", "warn", "error", "off"};

void tn_log_configure(enum tn_log_level lowest, bool json)
{
    atomic_store_explicit(&lowest_level, (int)lowest, memory_order_relaxed);
    atomic_store_explicit(&as_json, json, memory_order_relaxed);
}

bool tn_log_level_parse(const char *word, enum tn_log_level *ret)
{
    for (size_t i = 0; i < TN_COUNT(level_words); i++) {
        if (tn_streq(word, level_words[i])) {
            *ret = (enum tn_log_level)i;
            return true;
        }
    }
    return false;
}

bool tn_log_enabled(enum tn_log_level level)
{
    return level != TN_LOG_OFF && (int)level >= atomic_load_explicit(&lowest_level, memory_order_relaxed);
}

void tn_log_set_request(const char *request_id)
{
    size_t length = request_id ? strnlen(request_id, sizeof current_request - 1) : 0;
    if (length)
        memcpy(current_request, request_id, length);
    current_request[length] = '\0';
}

const char *tn_log_request(void)
{
    return current_request[0] ? current_request : NULL;
}

/* Milliseconds, always three digits: columns line up. */
static void put_time(struct tn_buf *line)
{
    int64_t now = tn_now_ms();
    int32_t days = (int32_t)(now / 86400000);
    unsigned rest = (unsigned)(now % 86400000);
    int year;
    unsigned month, day;
    tn_civil_from_days(days, &year, &month, &day);
    tn_buf_printf(line, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month, day, rest / 3600000, rest / 60000 % 60,
                  rest / 1000 % 60, rest % 1000);
}

/* Bare when nobody could misread it, else quoted as in JSON. */
static void put_plain(struct tn_buf *line, const char *text)
{
    size_t length = strlen(text);
    bool bare = length > 0 && tn_utf8_valid_prefix(text, length) == length;
    for (size_t i = 0; bare && i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bare = c > ' ' && c != '"' && c != '=' && c != '\\' && c != 0x7F;
    }
    if (bare)
        tn_buf_append(line, text, length);
    else
        tn_json_quote(line, text, length);
}

static void put_text_value(struct tn_buf *line, const struct tn_field *field)
{
    switch (field->kind) {
    case TN_FIELD_STRING:
        if (field->s)
            put_plain(line, field->s);
        else
            tn_buf_putc(line, '-');
        break;
    case TN_FIELD_INT:
        tn_format_i64(line, field->i);
        break;
    case TN_FIELD_DOUBLE:
        if (isfinite(field->d))
            tn_format_f64(line, field->d);
        else
            tn_buf_puts(line, isnan(field->d) ? "nan" : field->d > 0 ? "inf" : "-inf");
        break;
    case TN_FIELD_BOOL:
        tn_buf_puts(line, field->i ? "true" : "false");
        break;
    case TN_FIELD_SECRET:
        tn_buf_puts(line, "***");
        break;
    }
}

static void put_text_line(struct tn_buf *line, enum tn_log_level level, const char *event,
                          const struct tn_field *fields, size_t count)
{
    put_time(line);
    tn_buf_putc(line, ' ');
    tn_buf_puts(line, level_words[level]);
    tn_buf_putc(line, ' ');
    put_plain(line, event);
    if (current_request[0]) {
        tn_buf_puts(line, " request=");
        put_plain(line, current_request);
    }
    for (size_t i = 0; i < count; i++) {
        tn_buf_putc(line, ' ');
        put_plain(line, fields[i].key);
        tn_buf_putc(line, '=');
        put_text_value(line, &fields[i]);
    }
}

static void put_json_value(struct tn_json *json, const struct tn_field *field)
{
    switch (field->kind) {
    case TN_FIELD_STRING:
        tn_json_str(json, field->s);
        break;
    case TN_FIELD_INT:
        tn_json_i64(json, field->i);
        break;
    case TN_FIELD_DOUBLE:
        tn_json_f64(json, field->d);
        break;
    case TN_FIELD_BOOL:
        tn_json_bool(json, field->i != 0);
        break;
    case TN_FIELD_SECRET:
        tn_json_str(json, "***");
        break;
    }
}

static void put_json_line(struct tn_buf *line, enum tn_log_level level, const char *event,
                          const struct tn_field *fields, size_t count)
{
    struct tn_json json = tn_json_writer(line);
    tn_json_open(&json, '{');
    tn_json_key(&json, "time");
    TN_AUTO_BUF now = {0};
    put_time(&now);
    tn_json_strn(&json, now.data, now.len);
    tn_json_kstr(&json, "level", level_words[level]);
    tn_json_kstr(&json, "event", event);
    if (current_request[0])
        tn_json_kstr(&json, "request", current_request);
    for (size_t i = 0; i < count; i++) {
        tn_json_key(&json, fields[i].key);
        put_json_value(&json, &fields[i]);
    }
    tn_json_close(&json, '}');
}

void tn_log_fields(enum tn_log_level level, const char *event, const struct tn_field *fields, size_t count)
{
    if (!tn_log_enabled(level))
        return;
    int saved = errno;
    TN_AUTO_BUF line = {0};
    if (atomic_load_explicit(&as_json, memory_order_relaxed))
        put_json_line(&line, level, event, fields, count);
    else
        put_text_line(&line, level, event, fields, count);
    tn_buf_putc(&line, '\n');
    /* A log that cannot be written must not stop the work it reports. */
    ssize_t written = write(STDERR_FILENO, line.data, line.len);
    (void)written;
    errno = saved;
}
