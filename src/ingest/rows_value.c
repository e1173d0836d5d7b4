/* Values of requests. */
#include "ingest/rows_value.h"

#include "ingest/json_parse.h"
#include "ingest/json_records.h"
#include "ingest/typed.h"

#include "dataset/dataset.h"

#include <float.h>
#include <math.h>
#include <sodium.h>
#include <string.h>

static struct engine_type engine_type_of(const struct iceberg_type *type)
{
    return (struct engine_type){dataset_cell_kind(type->kind), (uint8_t)type->precision, (uint8_t)type->scale};
}

/* ---- bare text ---------------------------------------------------------------- */

static bool take_real(const struct iceberg_type *type, double value, struct engine_cell *ret, const char **ret_why)
{
    if (type->kind == ICEBERG_FLOAT) {
        if (isfinite(value) && fabs(value) > (double)FLT_MAX) {
            *ret_why = "out of the range of FLOAT";
            return false;
        }
        value = (double)(float)value;
    }
    ret->real = value;
    return true;
}

static bool special_real(const char *text, size_t length, double *ret)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"NaN", (double)NAN}, {"Infinity", (double)INFINITY}, {"-Infinity", -(double)INFINITY}};
    for (size_t i = 0; i < TN_COUNT(words); i++)
        if (strlen(words[i].word) == length && memcmp(words[i].word, text, length) == 0) {
            *ret = words[i].value;
            return true;
        }
    return false;
}

static bool take_bytes(struct tn_arena *arena, const struct iceberg_type *type, const char *text, size_t length,
                       struct engine_cell *ret, const char **ret_why)
{
    unsigned char *bytes = tn_arena_alloc(arena, length + 1);
    size_t count;
    const char *end;
    *ret_why = "not base64";
    if (sodium_base642bin(bytes, length + 1, text, length, NULL, &count, &end, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != text + length)
        return false;
    if (type->kind == ICEBERG_FIXED && count != (size_t)type->length) {
        *ret_why = "of another length than the column's bytes";
        return false;
    }
    ret->text.data = (const char *)bytes;
    ret->text.length = count;
    return true;
}

/* A timestamp without zone may be written as UTC, which changes no digit. */
static bool take_timestamp(const char *text, size_t length, struct engine_cell *ret)
{
    int64_t us;
    if (!typed_timestamp(text, length, TYPED_YMD, false, &us) &&
        !(length > 0 && text[length - 1] == 'Z' && typed_timestamp(text, length, TYPED_YMD, true, &us)))
        return false;
    ret->integer = us;
    return true;
}

/* 1e-05 as 0.00001: how other programs write small and large numbers. Digits are
 * moved, none is made up, so a decimal stays exact. Anything else as it is. */
static const char *plain_digits(struct tn_arena *arena, const char *text, size_t *length)
{
    enum { EXPONENT_MAX = 100, DIGITS_MAX = 200 };
    const char *end = text + *length, *e = memchr(text, 'e', *length);
    int64_t exponent;
    e = e ? e : memchr(text, 'E', *length);
    if (!e || *length > DIGITS_MAX)
        return text;
    const char *power = tn_arena_strndup(arena, e + 1 + (e + 1 < end && e[1] == '+'),
                                         (size_t)(end - e - 1) - (e + 1 < end && e[1] == '+'));
    if (!tn_parse_i64(power, &exponent) || exponent < -EXPONENT_MAX || exponent > EXPONENT_MAX)
        return text;
    TN_AUTO_BUF digits = {0};
    const char *p = text + (*text == '-'), *point = memchr(p, '.', (size_t)(e - p));
    int64_t whole = (point ? point : e) - p + exponent; /* digits before the point */
    for (int64_t at = whole; at < 0; at++)
        tn_buf_putc(&digits, '0');
    for (; p < e; p++)
        if (*p != '.')
            tn_buf_putc(&digits, *p);
    whole = TN_MAX(whole, 0);
    while ((int64_t)digits.len < whole)
        tn_buf_putc(&digits, '0');
    const char *made = tn_arena_printf(arena, "%s%.*s.%s", *text == '-' ? "-" : "", (int)whole,
                                       digits.len ? digits.data : "", digits.len ? digits.data + whole : "");
    *length = strlen(made);
    return made;
}

/* Said of this column, where typed_parse knows its kind alone. */
static const char *plain_why(struct tn_arena *arena, const struct iceberg_type *type, const char *text, size_t length,
                             const char *why)
{
    size_t digits = *text == '-';
    switch (type->kind) {
    case ICEBERG_DECIMAL:
        return tn_arena_printf(arena, "not a DECIMAL(%d,%d)", (int)type->precision, (int)type->scale);
    case ICEBERG_DATE:
        return "not a date (2024-01-31)";
    case ICEBERG_TIMESTAMPTZ:
        return "not a timestamp with a time zone (2024-01-31T14:30:00Z)";
    case ICEBERG_LONG:
        while (digits < length && text[digits] >= '0' && text[digits] <= '9')
            digits++;
        return digits == length && length > 1 ? "out of the range of 64 bits" : why;
    default:
        return why;
    }
}

/* Any type that typed_parse knows. */
static bool take_typed(struct tn_arena *arena, const struct iceberg_type *type, const char *text, size_t length,
                       struct engine_cell *ret, const char **ret_why)
{
    const struct typed_target target = {.type = engine_type_of(type), .order = TYPED_YMD};
    union typed_value value;
    if (length == 0 || text[0] == ' ' || text[length - 1] == ' ' || text[0] == '\t' || text[length - 1] == '\t') {
        *ret_why = "empty, or with spaces around it";
        return false;
    }
    if (type->kind == ICEBERG_DECIMAL)
        text = plain_digits(arena, text, &length);
    if (!typed_parse(&target, text, length, &value, ret_why)) {
        *ret_why = plain_why(arena, type, text, length, *ret_why);
        return false;
    }
    switch (target.type.kind) {
    case ENGINE_DATE:
        ret->integer = value.days;
        return true;
    case ENGINE_DOUBLE:
        return take_real(type, value.real, ret, ret_why);
    case ENGINE_DECIMAL:
        ret->decimal = value.decimal;
        return true;
    case ENGINE_UUID:
        memcpy(ret->uuid, value.uuid, sizeof ret->uuid);
        return true;
    default:
        ret->integer = value.integer;
        return true;
    }
}

bool rows_value_text(struct tn_arena *arena, const struct iceberg_type *type, const char *text, size_t length,
                     struct engine_cell *ret, const char **ret_why)
{
    struct engine_cell cell = {0};
    bool good;
    double real;
    switch (type->kind) {
    case ICEBERG_STRING:
        cell.text.data = text;
        cell.text.length = length;
        good = true;
        break;
    case ICEBERG_BINARY:
    case ICEBERG_FIXED:
        good = take_bytes(arena, type, text, length, &cell, ret_why);
        break;
    case ICEBERG_BOOLEAN:
        *ret_why = "not true or false";
        cell.integer = length == 4;
        good = (length == 4 && memcmp(text, "true", 4) == 0) || (length == 5 && memcmp(text, "false", 5) == 0);
        break;
    case ICEBERG_TIMESTAMP:
        *ret_why = "not a timestamp without a zone (2024-01-31T14:30:00)";
        good = take_timestamp(text, length, &cell);
        break;
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        good = special_real(text, length, &real) ? take_real(type, real, &cell, ret_why)
                                                 : take_typed(arena, type, text, length, &cell, ret_why);
        break;
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
    case ICEBERG_UNSUPPORTED:
        *ret_why = "cannot be written as text";
        return false;
    default:
        good = take_typed(arena, type, text, length, &cell, ret_why);
    }
    if (good)
        *ret = cell;
    return good;
}

/* ---- JSON: plain types ------------------------------------------------------------ */

/* The text between the quotes, its escapes undone. */
static const char *string_text(struct tn_arena *arena, const char *text, size_t *length)
{
    const char *inner = text + 1;
    size_t inner_length = *length - 2;
    if (!memchr(inner, '\\', inner_length)) {
        *length = inner_length;
        return inner;
    }
    char *out = tn_arena_alloc(arena, inner_length + 1);
    *length = json_unescape(inner, inner_length, out);
    return out;
}

static bool take_string(struct tn_arena *arena, const struct iceberg_type *type, const char *text, size_t length,
                        struct engine_cell *ret, const char **ret_why)
{
    if (json_has_lone_surrogate(text + 1, length - 2)) {
        *ret_why = "a text with half of a surrogate pair (\\ud800 to \\udfff), which is no character";
        return false;
    }
    const char *inner = string_text(arena, text, &length);
    double ignored;
    if (length > 0 && memchr(inner, '\0', length)) {
        *ret_why = "a text with the character U+0000, which many readers of tables take for its end";
        return false;
    }
    if (type->kind == ICEBERG_BOOLEAN) {
        *ret_why = "a string where true or false is wanted";
        return false;
    }
    if ((type->kind == ICEBERG_FLOAT || type->kind == ICEBERG_DOUBLE) && !special_real(inner, length, &ignored)) {
        *ret_why = "a string where a number is wanted";
        return false;
    }
    return rows_value_text(arena, type, inner, length, ret, ret_why);
}

static bool wants_number(enum iceberg_kind kind)
{
    return kind == ICEBERG_INT || kind == ICEBERG_LONG || kind == ICEBERG_FLOAT || kind == ICEBERG_DOUBLE ||
           kind == ICEBERG_DECIMAL;
}

static bool take_plain(struct tn_arena *arena, const struct iceberg_type *type, const char *text, size_t length,
                       struct engine_cell *ret, const char **ret_why)
{
    switch (*text) {
    case '"':
        return take_string(arena, type, text, length, ret, ret_why);
    case 't':
    case 'f':
        *ret_why = "true or false in a column of another type";
        return type->kind == ICEBERG_BOOLEAN && rows_value_text(arena, type, text, length, ret, ret_why);
    case '[':
    case '{':
        *ret_why = "an array or object where a plain value is wanted";
        return false;
    default:
        *ret_why = type->kind == ICEBERG_STRING ? "a number where a string is wanted: put it in quotes"
                                                : "a number in a column of another type";
        return wants_number(type->kind) && rows_value_text(arena, type, text, length, ret, ret_why);
    }
}

/* ---- JSON: lists, structs, maps ------------------------------------------------------ */

/* Nested values are kept as the JSON that answers would show, so that equal
 * values are equal texts: checked to the leaves, members in the type's order,
 * no spaces. */
struct nest {
    struct tn_arena *arena;
    struct tn_buf *out;
    const char *end;
    const char *why;
};

static bool nest_value(struct nest *nest, const struct iceberg_type *type, const char *p);

static bool nest_leaf(struct nest *nest, const struct iceberg_type *type, const char *p, size_t length)
{
    struct engine_cell cell = {0};
    if (!take_plain(nest->arena, type, p, length, &cell, &nest->why))
        return false;
    const struct engine_column column = {.name = "", .type = engine_type_of(type)};
    if (type->kind == ICEBERG_FLOAT && isfinite(cell.real))
        tn_format_f32(nest->out, (float)cell.real);
    else
        engine_cell_json(&column, &cell, nest->out);
    return true;
}

static const char *skip(const struct nest *nest, const char *p)
{
    return json_skip_space(p, nest->end);
}

static const char *behind(const struct nest *nest, const char *p)
{
    return json_take_value(p, nest->end, JSON_RECORDS_DEPTH);
}

static bool nest_list(struct nest *nest, const struct iceberg_type *type, const char *p)
{
    if (*p != '[') {
        nest->why = "not an array";
        return false;
    }
    tn_buf_putc(nest->out, '[');
    p = skip(nest, p + 1);
    for (bool first = true; *p != ']'; first = false) {
        if (!first)
            tn_buf_putc(nest->out, ',');
        if (type->fields[0].required && *p == 'n') {
            nest->why = "a list with a null where none may be";
            return false;
        }
        if (!nest_value(nest, type->fields[0].type, p))
            return false;
        p = skip(nest, behind(nest, p));
        if (*p == ',')
            p = skip(nest, p + 1);
    }
    tn_buf_putc(nest->out, ']');
    return true;
}

/* One member: its name and where its value begins; what is behind it. */
struct member {
    const char *name;
    size_t length;
    const char *value, *next;
};

static struct member take_member(const struct nest *nest, const char *p)
{
    struct member member;
    bool escaped;
    const char *stop = json_take_string(p + 1, nest->end, &escaped);
    member.length = (size_t)(stop - p);
    member.name = string_text(nest->arena, p, &member.length);
    p = skip(nest, stop);
    member.value = skip(nest, p + 1);
    p = skip(nest, behind(nest, member.value));
    member.next = *p == ',' ? skip(nest, p + 1) : p;
    return member;
}

static bool nest_struct(struct nest *nest, const struct iceberg_type *type, const char *p)
{
    if (*p != '{') {
        nest->why = "not an object";
        return false;
    }
    const char **values = TN_ARENA_ARRAY(nest->arena, const char *, type->field_count + 1);
    for (p = skip(nest, p + 1); *p != '}';) {
        const struct member member = take_member(nest, p);
        size_t at = 0;
        while (at < type->field_count && !(strlen(type->fields[at].name) == member.length &&
                                           memcmp(type->fields[at].name, member.name, member.length) == 0))
            at++;
        if (at == type->field_count || values[at]) {
            nest->why = tn_arena_printf(nest->arena, "an object with the member \"%.*s\" %s",
                                        (int)TN_MIN(member.length, (size_t)60), member.name,
                                        at == type->field_count ? "that the column's type does not have" : "twice");
            return false;
        }
        values[at] = member.value;
        p = member.next;
    }
    tn_buf_putc(nest->out, '{');
    for (size_t i = 0; i < type->field_count; i++) {
        const struct iceberg_field *field = &type->fields[i];
        if (field->required && (!values[i] || *values[i] == 'n')) {
            nest->why =
                tn_arena_printf(nest->arena, "an object without \"%.60s\", which must have a value", field->name);
            return false;
        }
        if (i)
            tn_buf_putc(nest->out, ',');
        tn_json_quote(nest->out, field->name, strlen(field->name));
        tn_buf_putc(nest->out, ':');
        if (!values[i])
            tn_buf_puts(nest->out, "null");
        else if (!nest_value(nest, field->type, values[i]))
            return false;
    }
    tn_buf_putc(nest->out, '}');
    return true;
}

struct map_key {
    const char *text;
    size_t length;
};

static int compare_keys(const void *a, const void *b)
{
    const struct map_key *left = a, *right = b;
    int order = memcmp(left->text, right->text, TN_MIN(left->length, right->length));
    return order ? order : (left->length > right->length) - (left->length < right->length);
}

/* The engine takes no map with a key twice. */
static bool keys_differ(struct nest *nest, const struct tn_buf *bytes)
{
    size_t count = bytes->len / sizeof(struct map_key);
    struct map_key *keys = TN_ARENA_ARRAY(nest->arena, struct map_key, count + 1);
    if (count > 0)
        memcpy(keys, bytes->data, bytes->len);
    qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 1; i < count; i++)
        if (compare_keys(&keys[i - 1], &keys[i]) == 0) {
            nest->why = tn_arena_printf(nest->arena, "a map with the key \"%.*s\" twice",
                                        (int)TN_MIN(keys[i].length, (size_t)60), keys[i].text);
            return false;
        }
    return true;
}

static bool nest_map(struct nest *nest, const struct iceberg_type *type, const char *p)
{
    if (*p != '{') {
        nest->why = "not an object";
        return false;
    }
    TN_AUTO_BUF keys = {0};
    tn_buf_putc(nest->out, '{');
    p = skip(nest, p + 1);
    for (bool first = true; *p != '}'; first = false) {
        const struct member member = take_member(nest, p);
        const struct map_key known = {member.name, member.length};
        tn_buf_append(&keys, &known, sizeof known);
        struct engine_cell key;
        if (!rows_value_text(nest->arena, type->fields[0].type, member.name, member.length, &key, &nest->why))
            return false;
        if (!first)
            tn_buf_putc(nest->out, ',');
        tn_json_quote(nest->out, member.name, member.length);
        tn_buf_putc(nest->out, ':');
        if (!nest_value(nest, type->fields[1].type, member.value))
            return false;
        p = member.next;
    }
    tn_buf_putc(nest->out, '}');
    return keys_differ(nest, &keys);
}

static bool nest_value(struct nest *nest, const struct iceberg_type *type, const char *p)
{
    const char *stop = behind(nest, p);
    if (*p == 'n') {
        tn_buf_puts(nest->out, "null");
        return true;
    }
    switch (type->kind) {
    case ICEBERG_LIST:
        return nest_list(nest, type, p);
    case ICEBERG_STRUCT:
        return nest_struct(nest, type, p);
    case ICEBERG_MAP:
        return nest_map(nest, type, p);
    default:
        return nest_leaf(nest, type, p, (size_t)(stop - p));
    }
}

bool rows_value_json(struct tn_arena *arena, const struct iceberg_type *type, const char *text, size_t length,
                     struct engine_cell *ret, const char **ret_why)
{
    if (*text == 'n') {
        *ret = (struct engine_cell){.null = true};
        return true;
    }
    if (type->field_count == 0)
        return take_plain(arena, type, text, length, ret, ret_why);
    TN_AUTO_BUF out = {0};
    struct nest nest = {.arena = arena, .out = &out, .end = text + length};
    if (!nest_value(&nest, type, text)) {
        *ret_why = nest.why;
        return false;
    }
    *ret = (struct engine_cell){0};
    ret->text.data = tn_arena_strndup(arena, out.data, out.len);
    ret->text.length = out.len;
    return true;
}
