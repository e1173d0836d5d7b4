/* The bridge between DuckDB's names of types and Iceberg's types.
 *
 * Iceberg v2 has fewer types. What it lacks is stored as the nearest type that
 * holds every value, never as one that loses any: unsigned and tiny integers
 * widen, HUGEINT becomes DECIMAL(38,0), what has no counterpart becomes text.
 * The one loss is TIMESTAMP_NS, cut to microseconds: ingest warns of it.
 */
#include "catalog/catalog.h"

#include <string.h>

struct scanner {
    struct tn_arena *arena;
    const char *at, *end;
    unsigned depth;
    struct tn_error *err;
};

static enum tn_code scan_type(struct scanner *s, const struct iceberg_type **ret);

static void scan_space(struct scanner *s)
{
    while (s->at < s->end && *s->at == ' ')
        s->at++;
}

static bool scan_char(struct scanner *s, char c)
{
    scan_space(s);
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static enum tn_code scan_fail(const struct scanner *s, const char *what)
{
    return tn_fail(s->err, TN_EUNSUPPORTED, "cannot read the type near \"%.40s\": %s", s->at, what);
}

/* A word of letters, digits and underscores, or a "quoted name". */
static enum tn_code scan_name(struct scanner *s, const char **ret)
{
    scan_space(s);
    TN_AUTO_BUF name = {0};
    if (s->at < s->end && *s->at == '"') {
        for (s->at++; s->at < s->end; s->at++) {
            if (*s->at == '"' && !(s->at + 1 < s->end && s->at[1] == '"'))
                break;
            if (*s->at == '"')
                s->at++;
            tn_buf_putc(&name, *s->at);
        }
        if (s->at == s->end)
            return scan_fail(s, "a quote is not closed");
        s->at++;
    } else {
        while (s->at < s->end &&
               (*s->at == '_' || (*s->at >= '0' && *s->at <= '9') ||
                (tn_ascii_lower(*s->at) >= 'a' && tn_ascii_lower(*s->at) <= 'z') || (*s->at & 0x80)))
            tn_buf_putc(&name, *s->at++);
    }
    if (name.len == 0)
        return scan_fail(s, "a name is missing");
    *ret = tn_arena_strndup(s->arena, name.data, name.len);
    return TN_OK;
}

static enum tn_code scan_number(struct scanner *s, int max, int *ret)
{
    scan_space(s);
    int value = 0;
    const char *start = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9' && value <= max)
        value = value * 10 + (*s->at++ - '0');
    if (s->at == start || value > max)
        return scan_fail(s, "a number is missing or too large");
    *ret = value;
    return TN_OK;
}

static const struct {
    const char *word;
    enum iceberg_kind kind;
} words[] = {
    {"BOOLEAN", ICEBERG_BOOLEAN},
    {"BOOL", ICEBERG_BOOLEAN},
    {"TINYINT", ICEBERG_INT},
    {"SMALLINT", ICEBERG_INT},
    {"INTEGER", ICEBERG_INT},
    {"INT", ICEBERG_INT},
    {"UTINYINT", ICEBERG_INT},
    {"USMALLINT", ICEBERG_INT},
    {"UINTEGER", ICEBERG_LONG},
    {"BIGINT", ICEBERG_LONG},
    {"FLOAT", ICEBERG_FLOAT},
    {"REAL", ICEBERG_FLOAT},
    {"DOUBLE", ICEBERG_DOUBLE},
    {"DATE", ICEBERG_DATE},
    {"TIME", ICEBERG_TIME},
    {"TIMESTAMP", ICEBERG_TIMESTAMP},
    {"DATETIME", ICEBERG_TIMESTAMP},
    {"TIMESTAMP_S", ICEBERG_TIMESTAMP},
    {"TIMESTAMP_MS", ICEBERG_TIMESTAMP},
    {"TIMESTAMP_NS", ICEBERG_TIMESTAMP},
    {"TIMESTAMPTZ", ICEBERG_TIMESTAMPTZ},
    {"VARCHAR", ICEBERG_STRING},
    {"TEXT", ICEBERG_STRING},
    {"UUID", ICEBERG_UUID},
    {"BLOB", ICEBERG_BINARY},
    {"BYTEA", ICEBERG_BINARY},
    {"JSON", ICEBERG_STRING},
    {"INTERVAL", ICEBERG_STRING},
    {"BIT", ICEBERG_STRING},
    {"TIMETZ", ICEBERG_STRING},
    {"TIME_NS", ICEBERG_TIME},
    {"BIGNUM", ICEBERG_STRING},
    {"VARINT", ICEBERG_STRING},
};

/* STRUCT(a BIGINT, "b c" VARCHAR) and MAP(K, V), after the word. */
static enum tn_code scan_members(struct scanner *s, bool map, const struct iceberg_type **ret)
{
    struct iceberg_field fields[256];
    size_t count = 0;
    if (!scan_char(s, '('))
        return scan_fail(s, "( is missing");
    do {
        if (count == TN_COUNT(fields))
            return scan_fail(s, "a struct has more than 256 members");
        struct iceberg_field *field = &fields[count];
        *field = (struct iceberg_field){0};
        if (map)
            field->name = count == 0 ? "key" : "value";
        else
            TN_TRY(scan_name(s, &field->name));
        field->required = map && count == 0;
        TN_TRY(scan_type(s, &field->type));
        count++;
    } while (scan_char(s, ','));
    if (!scan_char(s, ')') || (map && count != 2))
        return scan_fail(s, map ? "a map has one key and one value" : ") is missing");
    struct iceberg_type *type = tn_arena_alloc(s->arena, sizeof *type);
    struct iceberg_field *copy = TN_ARENA_ARRAY(s->arena, struct iceberg_field, count);
    memcpy(copy, fields, count * sizeof *copy);
    type->kind = map ? ICEBERG_MAP : ICEBERG_STRUCT;
    type->fields = copy;
    type->field_count = count;
    *ret = type;
    return TN_OK;
}

/* Behind TIME and TIMESTAMP. */
static bool scan_with_time_zone(struct scanner *s)
{
    static const char text[] = "WITH TIME ZONE";
    scan_space(s);
    if ((size_t)(s->end - s->at) < sizeof text - 1 || strncasecmp(s->at, text, sizeof text - 1) != 0)
        return false;
    s->at += sizeof text - 1;
    return true;
}

/* Text in parentheses that matters to nobody here: the values of an ENUM. */
static enum tn_code scan_skip_parentheses(struct scanner *s)
{
    if (!scan_char(s, '('))
        return TN_OK;
    bool quoted = false;
    for (int open = 1; s->at < s->end; s->at++) {
        if (*s->at == '\'')
            quoted = !quoted;
        else if (!quoted && *s->at == '(')
            open++;
        else if (!quoted && *s->at == ')' && --open == 0) {
            s->at++;
            return TN_OK;
        }
    }
    return scan_fail(s, ") is missing");
}

static enum tn_code scan_decimal(struct scanner *s, const struct iceberg_type **ret)
{
    int precision = 18, scale = 3;
    if (scan_char(s, '(')) {
        scale = 0;
        TN_TRY(scan_number(s, 38, &precision));
        if (scan_char(s, ','))
            TN_TRY(scan_number(s, 38, &scale));
        if (!scan_char(s, ')') || precision < 1 || scale > precision)
            return scan_fail(s, "a decimal is DECIMAL(precision, scale) with scale <= precision <= 38");
    }
    *ret = iceberg_type_decimal(s->arena, precision, scale);
    return TN_OK;
}

static enum tn_code scan_plain(struct scanner *s, const struct iceberg_type **ret)
{
    const char *word;
    TN_TRY(scan_name(s, &word));
    if (tn_str_equal_nocase(word, "DECIMAL") || tn_str_equal_nocase(word, "NUMERIC"))
        return scan_decimal(s, ret);
    if (tn_str_equal_nocase(word, "UBIGINT") || tn_str_equal_nocase(word, "HUGEINT") ||
        tn_str_equal_nocase(word, "UHUGEINT")) {
        *ret = iceberg_type_decimal(s->arena, tn_str_equal_nocase(word, "UBIGINT") ? 20 : 38, 0);
        return TN_OK;
    }
    if (tn_str_equal_nocase(word, "STRUCT") || tn_str_equal_nocase(word, "MAP"))
        return scan_members(s, tn_str_equal_nocase(word, "MAP"), ret);
    if (tn_str_equal_nocase(word, "ENUM")) {
        TN_TRY(scan_skip_parentheses(s));
        *ret = iceberg_type_of(ICEBERG_STRING);
        return TN_OK;
    }
    if (tn_streq(word, "NULL")) { /* the type of a column of nothing but NULL */
        *ret = iceberg_type_of(ICEBERG_STRING);
        return TN_OK;
    }
    for (size_t i = 0; i < TN_COUNT(words); i++) {
        if (!tn_str_equal_nocase(word, words[i].word))
            continue;
        enum iceberg_kind kind = words[i].kind;
        if (kind == ICEBERG_TIMESTAMP && scan_with_time_zone(s))
            kind = ICEBERG_TIMESTAMPTZ;
        else if (kind == ICEBERG_TIME && scan_with_time_zone(s))
            kind = ICEBERG_STRING;
        *ret = iceberg_type_of(kind);
        return TN_OK;
    }
    return tn_fail(s->err, TN_EUNSUPPORTED, "tables cannot hold the type \"%s\"", word);
}

static enum tn_code scan_type(struct scanner *s, const struct iceberg_type **ret)
{
    if (++s->depth > 32)
        return scan_fail(s, "the type is nested more than 32 deep");
    const struct iceberg_type *type;
    TN_TRY(scan_plain(s, &type));
    while (scan_char(s, '[')) { /* LIST "[]" and ARRAY "[768]" are both lists */
        int length;
        if (s->at < s->end && *s->at != ']')
            TN_TRY(scan_number(s, 1 << 20, &length));
        if (!scan_char(s, ']'))
            return scan_fail(s, "] is missing");
        type = iceberg_type_list(s->arena, 0, false, type);
    }
    s->depth--;
    *ret = type;
    return TN_OK;
}

enum tn_code catalog_type_from_sql(struct tn_arena *arena, const char *text, const struct iceberg_type **ret,
                                   struct tn_error *err)
{
    struct scanner s = {.arena = arena, .at = text, .end = text + strlen(text), .err = err};
    const struct iceberg_type *type;
    TN_TRY(scan_type(&s, &type));
    scan_space(&s);
    if (s.at != s.end)
        return scan_fail(&s, "there is something behind the type");
    *ret = type;
    return TN_OK;
}

const char *catalog_sql_type(struct tn_arena *arena, const struct iceberg_type *type)
{
    TN_AUTO_BUF out = {0};
    iceberg_type_put_sql(type, &out);
    return tn_arena_strndup(arena, out.data, out.len);
}
