/* Lines of the log of trials. One table says what a record holds: it is written,
 * read and shown in SQL by it. */
#include "index/trial_record.h"

#include <inttypes.h>
#include <math.h>

enum kind { NUMBER, SIGNED, REAL, TEXT, TRUTH, TIME, HEX };

struct member {
    const char *name;
    enum kind kind;
    size_t offset;
};

#define MEMBER(kind_, field)                                                                                         \
    {                                                                                                                \
#field, kind_, offsetof(struct trial_record, field)                                                          \
    }
static const struct member members[] = {
    MEMBER(NUMBER, record),
    MEMBER(TEXT, kind),
    MEMBER(TEXT, index),
    MEMBER(NUMBER, trial),
    {"time", TIME, offsetof(struct trial_record, time_us)},
    MEMBER(TEXT, actor),
    MEMBER(TEXT, reason),
    MEMBER(TEXT, job),
    MEMBER(TRUTH, forced),
    MEMBER(NUMBER, generation),
    MEMBER(NUMBER, before),
    MEMBER(HEX, seed),
    {"m", NUMBER, offsetof(struct trial_record, degree)},
    MEMBER(NUMBER, ef_construction),
    MEMBER(NUMBER, ef),
    MEMBER(NUMBER, code_bits),
    MEMBER(REAL, recall_target),
    MEMBER(TEXT, raw),
    MEMBER(TEXT, model),
    MEMBER(TEXT, model_version),
    MEMBER(SIGNED, snapshot_id),
    MEMBER(NUMBER, rows),
    MEMBER(NUMBER, dimension),
    MEMBER(NUMBER, last_change),
    MEMBER(REAL, build_seconds),
    MEMBER(REAL, cpu_seconds),
    MEMBER(NUMBER, peak_memory),
    MEMBER(NUMBER, bytes_on_disk),
    MEMBER(NUMBER, bytes_resident),
    MEMBER(NUMBER, made_queries),
    MEMBER(NUMBER, recorded_queries),
    MEMBER(NUMBER, window),
    MEMBER(REAL, recall_at_1),
    MEMBER(REAL, recall_at_10),
    MEMBER(REAL, p50_us),
    MEMBER(REAL, p95_us),
    MEMBER(REAL, p99_us),
    MEMBER(REAL, mean_distances),
    MEMBER(NUMBER, active_generation),
    MEMBER(REAL, active_recall_at_1),
    MEMBER(REAL, active_recall_at_10),
    MEMBER(REAL, active_p50_us),
    MEMBER(REAL, active_p95_us),
    MEMBER(REAL, active_p99_us),
    MEMBER(NUMBER, cpus),
    MEMBER(NUMBER, memory),
    MEMBER(TEXT, processor),
    MEMBER(TEXT, instruction_set),
};

static const void *at(const struct trial_record *record, const struct member *member)
{
    return (const char *)record + member->offset;
}

/* ---- written -------------------------------------------------------------------- */

static void write_member(const struct trial_record *record, const struct member *member, struct tn_json *json)
{
    char text[TN_TIME_TEXT];
    tn_json_key(json, member->name);
    switch (member->kind) {
    case NUMBER:
        tn_json_int(json, (int64_t) * (const uint64_t *)at(record, member));
        break;
    case SIGNED:
        tn_json_int(json, *(const int64_t *)at(record, member));
        break;
    case REAL:
        tn_json_f64(json, *(const double *)at(record, member));
        break;
    case TEXT:
        tn_json_str(json, *(const char *const *)at(record, member));
        break;
    case TRUTH:
        tn_json_bool(json, *(const bool *)at(record, member));
        break;
    case TIME:
        tn_json_str(json, tn_time_format(*(const int64_t *)at(record, member), text));
        break;
    case HEX:
        snprintf(text, sizeof text, "%016" PRIx64, *(const uint64_t *)at(record, member));
        tn_json_str(json, text);
        break;
    }
}

/* What says nothing is left out: a promotion has no times of a build. */
static bool is_empty(const struct trial_record *record, const struct member *member)
{
    switch (member->kind) {
    case TEXT: {
        const char *text = *(const char *const *)at(record, member);
        return !text || !text[0];
    }
    case REAL: {
        double value = *(const double *)at(record, member);
        return !(value < 0 || value > 0);
    }
    case TRUTH:
        return !*(const bool *)at(record, member);
    default:
        return *(const uint64_t *)at(record, member) == 0;
    }
}

void trial_record_write(const struct trial_record *record, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    for (size_t i = 0; i < TN_COUNT(members); i++)
        if (!is_empty(record, &members[i]))
            write_member(record, &members[i], &json);
    tn_json_close(&json, '}');
}

/* ---- read ------------------------------------------------------------------------- */

static bool read_hex(const char *text, uint64_t *ret)
{
    uint64_t value = 0;
    if (!text || strlen(text) != 16)
        return false;
    for (size_t i = 0; i < 16; i++) {
        const char *digits = "0123456789abcdef", *digit = strchr(digits, text[i]);
        if (!digit)
            return false;
        value = value << 4 | (uint64_t)(digit - digits);
    }
    *ret = value;
    return true;
}

static bool read_member(const json_t *value, const struct member *member, struct tn_arena *arena,
                        struct trial_record *ret)
{
    void *to = (char *)ret + member->offset;
    switch (member->kind) {
    case NUMBER:
        *(uint64_t *)to = (uint64_t)json_integer_value(value);
        return json_is_integer(value) && json_integer_value(value) >= 0;
    case SIGNED:
        *(int64_t *)to = json_integer_value(value);
        return json_is_integer(value);
    case REAL:
        *(double *)to = json_number_value(value);
        return json_is_number(value) && isfinite(json_number_value(value));
    case TEXT:
        if (json_is_string(value))
            *(const char **)to = tn_arena_strdup(arena, json_string_value(value));
        return json_is_string(value);
    case TRUTH:
        *(bool *)to = json_is_true(value);
        return json_is_boolean(value);
    case TIME:
        return json_is_string(value) && tn_time_parse(json_string_value(value), to);
    case HEX:
        return read_hex(json_string_value(value), to);
    }
    return false;
}

static bool is_whole(const struct trial_record *record)
{
    return record->record > 0 && record->generation > 0 && record->index[0] &&
           (tn_streq(record->kind, "trial") || tn_streq(record->kind, "promotion") ||
            tn_streq(record->kind, "rollback"));
}

enum tn_code trial_record_read(const char *line, size_t length, struct tn_arena *arena, struct trial_record *ret,
                               struct tn_error *err)
{
    TN_AUTO_JSON *document = NULL;
    struct trial_record record = {0};
    TN_TRY(tn_json_parse(line, length, TRIAL_LINE_MAX, "trial", &document, err));
    for (size_t i = 0; i < TN_COUNT(members); i++) {
        const json_t *value = json_object_get(document, members[i].name);
        if (members[i].kind == TEXT)
            *(const char **)((char *)&record + members[i].offset) = "";
        if (value && !read_member(value, &members[i], arena, &record))
            return tn_fail(err, TN_ECORRUPT, "a trial's \"%s\" is not what it should be", members[i].name);
    }
    if (!json_is_object(document) || !is_whole(&record))
        return tn_fail(err, TN_ECORRUPT, "a line is no record of a trial");
    *ret = record;
    return TN_OK;
}

enum tn_code trial_records_read(const char *text, size_t length, struct tn_arena *arena, trial_record_fn *each,
                                void *context, size_t *damaged, struct tn_error *err)
{
    for (size_t from = 0; from < length;) {
        const char *newline = memchr(text + from, '\n', length - from);
        size_t end = newline ? (size_t)(newline - text) : length;
        struct trial_record record;
        if (end > from) {
            if (trial_record_read(text + from, end - from, arena, &record, NULL) == TN_OK)
                TN_TRY(each(context, &record, err));
            else
                (*damaged)++;
        }
        from = end + 1;
    }
    return TN_OK;
}

/* ---- in SQL ------------------------------------------------------------------------- */

void trial_record_columns(struct tn_buf *out)
{
    static const char *const types[] = {
        [NUMBER] = "BIGINT", [SIGNED] = "BIGINT",    [REAL] = "DOUBLE", [TEXT] = "VARCHAR",
        [TRUTH] = "BOOLEAN", [TIME] = "TIMESTAMPTZ", [HEX] = "VARCHAR"};
    tn_buf_putc(out, '{');
    for (size_t i = 0; i < TN_COUNT(members); i++)
        tn_buf_printf(out, "%s\"%s\":\"%s\"", i ? "," : "", members[i].name, types[members[i].kind]);
    tn_buf_putc(out, '}');
}
