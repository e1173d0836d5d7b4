/* Type overrides. */
#include "ingest/overrides.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *word;
    enum engine_kind kind;
    const char *sql_type;
} types[] = {
    {"text", ENGINE_VARCHAR, "VARCHAR"},
    {"varchar", ENGINE_VARCHAR, "VARCHAR"},
    {"string", ENGINE_VARCHAR, "VARCHAR"},
    {"json", ENGINE_VARCHAR, "VARCHAR"},
    {"int", ENGINE_INTEGER, "INTEGER"},
    {"integer", ENGINE_INTEGER, "INTEGER"},
    {"bigint", ENGINE_BIGINT, "BIGINT"},
    {"long", ENGINE_BIGINT, "BIGINT"},
    {"double", ENGINE_DOUBLE, "DOUBLE"},
    {"float", ENGINE_DOUBLE, "FLOAT"},
    {"real", ENGINE_DOUBLE, "FLOAT"},
    {"bool", ENGINE_BOOLEAN, "BOOLEAN"},
    {"boolean", ENGINE_BOOLEAN, "BOOLEAN"},
    {"date", ENGINE_DATE, "DATE"},
    {"time", ENGINE_TIME, "TIME"},
    {"timestamp", ENGINE_TIMESTAMP, "TIMESTAMP"},
    {"datetime", ENGINE_TIMESTAMP, "TIMESTAMP"},
    {"timestamptz", ENGINE_TIMESTAMPTZ, "TIMESTAMP WITH TIME ZONE"},
    {"timestamp with time zone", ENGINE_TIMESTAMPTZ, "TIMESTAMP WITH TIME ZONE"},
    {"uuid", ENGINE_UUID, "UUID"},
};

static bool decimal_target(struct tn_arena *arena, const char *text, struct typed_target *ret)
{
    unsigned width = 18, scale = 3;
    int used = 0;
    if (strncasecmp(text, "decimal", 7) != 0 && strncasecmp(text, "numeric", 7) != 0)
        return false;
    const char *rest = text + 7;
    if (*rest && sscanf(rest, "(%2u,%2u)%n", &width, &scale, &used) != 2) {
        scale = 0;
        if (sscanf(rest, "(%2u)%n", &width, &used) != 1)
            return false;
    }
    if (*rest && (used == 0 || rest[used] != '\0'))
        return false;
    if (width < 1 || width > 38 || scale > width)
        return false;
    *ret = (struct typed_target){
        .type = {.kind = ENGINE_DECIMAL, .width = (uint8_t)width, .scale = (uint8_t)scale},
        .sql_type = tn_arena_printf(arena, "DECIMAL(%u,%u)", width, scale),
        .null_words = true,
    };
    return true;
}

bool overrides_target(struct tn_arena *arena, const char *sql_type, struct typed_target *ret)
{
    for (size_t i = 0; i < TN_COUNT(types); i++)
        if (tn_str_equal_nocase(types[i].word, sql_type)) {
            *ret = (struct typed_target){
                .type = {.kind = types[i].kind},
                .sql_type = types[i].sql_type,
                .null_words = types[i].kind != ENGINE_VARCHAR,
                .json = tn_streq(types[i].word, "json"),
            };
            return true;
        }
    if (decimal_target(arena, sql_type, ret))
        return true;
    if (tn_str_ends_with(sql_type, "[]")) {
        *ret = (struct typed_target){
            .type = {.kind = ENGINE_VARCHAR}, .sql_type = tn_arena_strdup(arena, sql_type), .list = true};
        return true;
    }
    return false;
}

/* Copies one part, up to an unescaped stop character outside of parentheses. */
static const char *take_part(struct tn_arena *arena, const char **p, const char *stops)
{
    TN_AUTO_BUF part = {0};
    int depth = 0;
    for (; **p; (*p)++) {
        if (**p == '\\' && (*p)[1]) {
            (*p)++;
        } else {
            depth += (**p == '(') - (**p == ')');
            if (depth <= 0 && strchr(stops, **p))
                break;
        }
        if (part.len || **p != ' ')
            tn_buf_putc(&part, **p);
    }
    while (part.len && part.data[part.len - 1] == ' ')
        part.len--;
    return tn_arena_strndup(arena, part.data ? part.data : "", part.len);
}

static enum tn_code unknown_type(const char *name, const char *word, struct tn_error *err)
{
    const char *words[TN_COUNT(types) + 1];
    for (size_t i = 0; i < TN_COUNT(types); i++)
        words[i] = types[i].word;
    words[TN_COUNT(types)] = "decimal";
    tn_fail(err, TN_EREQUEST, "types: column \"%s\" has the unknown type \"%s\"", name, word);
    const char *near = tn_suggest(word, words, TN_COUNT(words));
    if (near)
        tn_error_hint(err, "did you mean %s?", near);
    else
        tn_error_hint(err, "types are text, int, bigint, double, decimal(p,s), date, timestamp, timestamptz, time, "
                           "bool, json, uuid");
    return TN_EREQUEST;
}

static enum tn_code take_format(struct tn_arena *arena, const char **p, struct override *override,
                                struct tn_error *err)
{
    const char *format = take_part(arena, p, ","), *why;
    enum engine_kind kind = override->target.type.kind;
    if (kind != ENGINE_DATE && kind != ENGINE_TIME && kind != ENGINE_TIMESTAMP && kind != ENGINE_TIMESTAMPTZ)
        return tn_fail(err, TN_EREQUEST, "types: column \"%s\": only dates and times take a format", override->name);
    if (!typed_format_check(format, &why)) {
        tn_fail(err, TN_EREQUEST, "types: column \"%s\": the format \"%s\" %s", override->name, format, why);
        tn_error_hint(err, "formats are written as for strptime: %%d/%%m/%%Y, %%Y-%%m-%%d %%H:%%M:%%S");
        return TN_EREQUEST;
    }
    override->target.format = format;
    return TN_OK;
}

static enum tn_code take_entry(struct tn_arena *arena, const char **p, struct override *ret, struct tn_error *err)
{
    ret->name = take_part(arena, p, ":,");
    if (*ret->name == '\0' || **p != ':') {
        tn_fail(err, TN_EREQUEST, "types: \"%s\" is not name:type", ret->name);
        tn_error_hint(err, "write types=zip:text,hired:date:%%d/%%m/%%Y");
        return TN_EREQUEST;
    }
    (*p)++;
    const char *word = take_part(arena, p, ":,");
    if (!overrides_target(arena, word, &ret->target) || ret->target.list)
        return unknown_type(ret->name, word, err);
    if (**p == ':') {
        (*p)++;
        TN_TRY(take_format(arena, p, ret, err));
    }
    return TN_OK;
}

enum tn_code overrides_parse(struct tn_arena *arena, const char *text, struct override **ret, size_t *ret_count,
                             struct tn_error *err)
{
    size_t room = 1, count = 0;
    if (strlen(text) > (64U << 10))
        return tn_fail(err, TN_EREQUEST, "types: longer than 64 KB");
    for (const char *p = text; *p; p++)
        room += *p == ',';
    struct override *list = TN_ARENA_ARRAY(arena, struct override, room);
    for (const char *p = text; *p;) {
        TN_TRY(take_entry(arena, &p, &list[count], err));
        for (size_t i = 0; i < count; i++)
            if (tn_str_equal_nocase(list[i].name, list[count].name))
                return tn_fail(err, TN_EREQUEST, "types: column \"%s\" is there twice", list[count].name);
        count++;
        if (*p == ',')
            p++;
    }
    *ret = list;
    *ret_count = count;
    return TN_OK;
}
