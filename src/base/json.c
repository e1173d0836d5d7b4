/* Strict JSON documents: parsing, dumping, reading of request objects. */
#include "base/json.h"

#include "base/str.h"

#include <string.h>

static enum tn_code fail_at(struct tn_error *err, int line, int column, const char *what, const char *message)
{
    (void)tn_fail(err, TN_EJSON, "%s is not valid JSON (line %d, column %d): %s", what, line, column, message);
    if (err) {
        err->line = line;
        err->column = column;
    }
    return TN_EJSON;
}

/* What Jansson does not refuse: it recurses deeper than we want (brackets
 * outside of strings count), and it takes a NUL byte for the end of the text,
 * whatever stands behind it. */
static enum tn_code check_text(const char *text, size_t length, const char *what, struct tn_error *err)
{
    bool in_string = false, escaped = false;
    unsigned depth = 0;
    int line = 1, column = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        column++;
        if (c == '\0') {
            return fail_at(err, line, column, what, "a NUL byte");
        } else if (c == '\n') {
            line++;
            column = 0;
        } else if (in_string) {
            if (escaped)
                escaped = false;
            else if (c == '\\')
                escaped = true;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > TN_JSON_MAX_DEPTH)
                return fail_at(err, line, column, what, "nested too deeply");
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return TN_OK;
}

static enum tn_code parse(const char *text, size_t length, size_t max_bytes, const char *what, size_t flags,
                          json_t **ret, struct tn_error *err)
{
    if (length > max_bytes) {
        (void)tn_fail(err, TN_ETOOLARGE, "%s has %zu bytes; at most %zu are allowed", what, length, max_bytes);
        return TN_ETOOLARGE;
    }
    TN_TRY(check_text(text, length, what, err));
    json_error_t problem;
    json_t *json = json_loadb(length ? text : "", length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | flags, &problem);
    if (!json) {
        switch (json_error_code(&problem)) {
        case json_error_null_character:
        case json_error_null_byte_in_key:
            return fail_at(err, problem.line, problem.column, what, "a text contains the character U+0000");
        case json_error_out_of_memory:
            return tn_fail(err, TN_ENOMEM, "not enough memory for %s", what);
        default:
            return fail_at(err, problem.line, problem.column, what, problem.text);
        }
    }
    *ret = json;
    return TN_OK;
}

enum tn_code tn_json_parse(const char *text, size_t length, size_t max_bytes, const char *what, json_t **ret,
                           struct tn_error *err)
{
    return parse(text, length, max_bytes, what, 0, ret, err);
}

enum tn_code tn_json_parse_zeros(const char *text, size_t length, size_t max_bytes, const char *what, json_t **ret,
                                 struct tn_error *err)
{
    return parse(text, length, max_bytes, what, JSON_ALLOW_NUL, ret, err);
}

/* A real stays a real when it is read back: 1.0, not 1. */
static void dump_real(struct tn_buf *out, double value)
{
    size_t start = out->len;
    tn_format_f64(out, value);
    if (!strpbrk(out->data + start, ".eE"))
        tn_buf_puts(out, ".0");
}

static void dump_object(const json_t *json, struct tn_buf *out)
{
    tn_buf_putc(out, '{');
    bool first = true;
    /* Jansson's iterators want a mutable object; nothing is changed. */
    union {
        const json_t *given;
        json_t *wanted;
    } object = {.given = json};
    for (void *at = json_object_iter(object.wanted); at; at = json_object_iter_next(object.wanted, at)) {
        if (!first)
            tn_buf_putc(out, ',');
        first = false;
        const char *key = json_object_iter_key(at);
        tn_json_quote(out, key, strlen(key));
        tn_buf_putc(out, ':');
        tn_json_dump(json_object_iter_value(at), out);
    }
    tn_buf_putc(out, '}');
}

void tn_json_dump(const json_t *json, struct tn_buf *out)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        dump_object(json, out);
        break;
    case JSON_ARRAY:
        tn_buf_putc(out, '[');
        for (size_t i = 0; i < json_array_size(json); i++) {
            if (i)
                tn_buf_putc(out, ',');
            tn_json_dump(json_array_get(json, i), out);
        }
        tn_buf_putc(out, ']');
        break;
    case JSON_STRING:
        tn_json_quote(out, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER:
        tn_format_i64(out, json_integer_value(json));
        break;
    case JSON_REAL:
        dump_real(out, json_real_value(json));
        break;
    case JSON_TRUE:
        tn_buf_puts(out, "true");
        break;
    case JSON_FALSE:
        tn_buf_puts(out, "false");
        break;
    case JSON_NULL:
        tn_buf_puts(out, "null");
        break;
    }
}

static const char *type_word(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    default:
        return "null";
    }
}

static bool kind_fits(const json_t *value, enum tn_json_kind kind, const char **ret_wanted)
{
    switch (kind) {
    case TN_JSON_STRING:
        *ret_wanted = "a text";
        return json_is_string(value);
    case TN_JSON_INT:
        *ret_wanted = "a whole number";
        return json_is_integer(value);
    case TN_JSON_DOUBLE:
        *ret_wanted = "a number";
        return json_is_number(value);
    case TN_JSON_BOOL:
        *ret_wanted = "true or false";
        return json_is_boolean(value);
    case TN_JSON_ARRAY:
        *ret_wanted = "an array";
        return json_is_array(value);
    case TN_JSON_OBJECT:
        *ret_wanted = "an object";
        return json_is_object(value);
    case TN_JSON_ANY:
        break;
    }
    *ret_wanted = "a value";
    return true;
}

static enum tn_code check_field(const json_t *value, const char *what, const struct tn_json_field *field,
                                struct tn_error *err)
{
    const char *wanted;
    if (!kind_fits(value, field->kind, &wanted))
        return tn_fail(err, TN_EREQUEST, "%s: field \"%s\" must be %s, not %s", what, field->name, wanted,
                       type_word(value));
    if (field->kind == TN_JSON_INT && field->min < field->max) {
        json_int_t number = json_integer_value(value);
        if (number < field->min || number > field->max)
            return tn_fail(err, TN_EREQUEST, "%s: field \"%s\" must be between %lld and %lld, not %lld", what,
                           field->name, (long long)field->min, (long long)field->max, (long long)number);
    }
    return TN_OK;
}

static enum tn_code fail_unknown(const char *key, const char *what, const struct tn_json_field *fields, size_t count,
                                 struct tn_error *err)
{
    (void)tn_fail(err, TN_EFIELD, "%s: unknown field \"%s\"", what, key);
    TN_AUTO_FREE const char **names = tn_calloc(count, sizeof *names);
    TN_AUTO_BUF all = {0};
    for (size_t i = 0; i < count; i++) {
        names[i] = fields[i].name;
        tn_buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = tn_suggest(key, names, count);
    if (near)
        tn_error_hint(err, "did you mean \"%s\"?", near);
    else if (count)
        tn_error_hint(err, "the fields are: %s", all.data);
    else
        tn_error_hint(err, "no fields are expected here");
    return TN_EFIELD;
}

static const struct tn_json_field *find_field(const char *key, const struct tn_json_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (tn_streq(fields[i].name, key))
            return &fields[i];
    }
    return NULL;
}

/* null where a field is optional means "not given", as many clients write it. */
static json_t *given_value(const json_t *object, const struct tn_json_field *field)
{
    json_t *value = json_object_get(object, field->name);
    bool may_be_absent = !field->required && field->kind != TN_JSON_ANY;
    return may_be_absent && json_is_null(value) ? NULL : value;
}

static void assign(json_t *value, const struct tn_json_field *field)
{
    switch (field->kind) {
    case TN_JSON_STRING:
        *(const char **)field->ret = json_string_value(value);
        break;
    case TN_JSON_INT:
        *(int64_t *)field->ret = json_integer_value(value);
        break;
    case TN_JSON_DOUBLE:
        *(double *)field->ret = json_number_value(value);
        break;
    case TN_JSON_BOOL:
        *(bool *)field->ret = json_is_true(value);
        break;
    case TN_JSON_ANY:
    case TN_JSON_ARRAY:
    case TN_JSON_OBJECT:
        *(json_t **)field->ret = value;
        break;
    }
}

enum tn_code tn_json_read(const json_t *object, const char *what, const struct tn_json_field *fields, size_t count,
                          struct tn_error *err)
{
    if (!json_is_object(object))
        return tn_fail(err, TN_EREQUEST, "%s must be a JSON object, not %s", what,
                       object ? type_word(object) : "nothing");
    union {
        const json_t *given;
        json_t *wanted;
    } walked = {.given = object};
    for (void *at = json_object_iter(walked.wanted); at; at = json_object_iter_next(walked.wanted, at)) {
        const char *key = json_object_iter_key(at);
        if (!find_field(key, fields, count))
            return fail_unknown(key, what, fields, count, err);
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *value = given_value(object, &fields[i]);
        if (value)
            TN_TRY(check_field(value, what, &fields[i], err));
        else if (fields[i].required)
            return tn_fail(err, TN_EREQUEST, "%s: field \"%s\" is missing", what, fields[i].name);
    }
    for (size_t i = 0; i < count; i++) {
        json_t *value = given_value(object, &fields[i]);
        if (value)
            assign(value, &fields[i]);
    }
    return TN_OK;
}
