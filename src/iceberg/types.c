#include "base/str.h"
#include "iceberg/schema.h"

#include <stdio.h>
#include <string.h>

static const char *const type_words[] = {
    [ICEBERG_BOOLEAN] = "boolean",
    [ICEBERG_INT] = "int",
    [ICEBERG_LONG] = "long",
    [ICEBERG_FLOAT] = "float",
    [ICEBERG_DOUBLE] = "double",
    [ICEBERG_DECIMAL] = "decimal",
    [ICEBERG_DATE] = "date",
    [ICEBERG_TIME] = "time",
    [ICEBERG_TIMESTAMP] = "timestamp",
    [ICEBERG_TIMESTAMPTZ] = "timestamptz",
    [ICEBERG_STRING] = "string",
    [ICEBERG_UUID] = "uuid",
    [ICEBERG_FIXED] = "fixed",
    [ICEBERG_BINARY] = "binary",
    [ICEBERG_STRUCT] = "struct",
    [ICEBERG_LIST] = "list",
    [ICEBERG_MAP] = "map",
    [ICEBERG_UNSUPPORTED] = "unsupported",
};

#define PLAIN(k) [k] = {.kind = k}
static const struct iceberg_type type_plain[] = {
    PLAIN(ICEBERG_BOOLEAN),     PLAIN(ICEBERG_INT),    PLAIN(ICEBERG_LONG), PLAIN(ICEBERG_FLOAT),
    PLAIN(ICEBERG_DOUBLE),      PLAIN(ICEBERG_DATE),   PLAIN(ICEBERG_TIME), PLAIN(ICEBERG_TIMESTAMP),
    PLAIN(ICEBERG_TIMESTAMPTZ), PLAIN(ICEBERG_STRING), PLAIN(ICEBERG_UUID), PLAIN(ICEBERG_BINARY),
    PLAIN(ICEBERG_UNSUPPORTED),
};

bool iceberg_kind_nested(enum iceberg_kind kind)
{
    return kind == ICEBERG_STRUCT || kind == ICEBERG_LIST || kind == ICEBERG_MAP;
}

const char *iceberg_kind_word(enum iceberg_kind kind)
{
    return type_words[kind];
}

const struct iceberg_type *iceberg_type_of(enum iceberg_kind kind)
{
    bool plain = (size_t)kind < TN_COUNT(type_plain) && type_plain[kind].kind == kind;
    return &type_plain[plain ? kind : ICEBERG_UNSUPPORTED];
}

const struct iceberg_type *iceberg_type_decimal(struct tn_arena *arena, int precision, int scale)
{
    struct iceberg_type *type = tn_arena_alloc(arena, sizeof *type);
    *type = (struct iceberg_type){.kind = ICEBERG_DECIMAL, .precision = precision, .scale = scale};
    return type;
}

const struct iceberg_type *iceberg_type_list(struct tn_arena *arena, int32_t element_id, bool element_required,
                                             const struct iceberg_type *element)
{
    struct iceberg_field *field = tn_arena_alloc(arena, sizeof *field);
    *field =
        (struct iceberg_field){.id = element_id, .required = element_required, .name = "element", .type = element};
    struct iceberg_type *type = tn_arena_alloc(arena, sizeof *type);
    *type = (struct iceberg_type){.kind = ICEBERG_LIST, .fields = field, .field_count = 1};
    return type;
}

/* "(10, 2)" or "[16]": one or two small numbers in brackets, spaces allowed. */
static bool type_arguments(const char *text, char open, char close, int *ret, int count)
{
    int values[2] = {0, 0};
    if (*text++ != open)
        return false;
    for (int i = 0; i < count; i++) {
        while (*text == ' ')
            text++;
        const char *digits = text;
        for (; *text >= '0' && *text <= '9'; text++) {
            values[i] = values[i] * 10 + (*text - '0');
            if (values[i] > 100000000)
                return false;
        }
        if (text == digits)
            return false;
        while (*text == ' ')
            text++;
        if (*text++ != (i + 1 < count ? ',' : close))
            return false;
    }
    if (*text != '\0')
        return false;
    memcpy(ret, values, sizeof *ret * (size_t)count);
    return true;
}

const struct iceberg_type *iceberg_type_parse(struct tn_arena *arena, const char *word)
{
    for (size_t i = 0; i < TN_COUNT(type_plain); i++)
        if (type_plain[i].kind == (enum iceberg_kind)i && i != ICEBERG_UNSUPPORTED && tn_streq(type_words[i], word))
            return &type_plain[i];
    struct iceberg_type *type = tn_arena_alloc(arena, sizeof *type);
    int arguments[2];
    if (tn_str_starts_with(word, "decimal") && type_arguments(word + 7, '(', ')', arguments, 2) &&
        arguments[0] >= 1 && arguments[0] <= 38 && arguments[1] <= arguments[0]) {
        *type = (struct iceberg_type){.kind = ICEBERG_DECIMAL, .precision = arguments[0], .scale = arguments[1]};
    } else if (tn_str_starts_with(word, "fixed") && type_arguments(word + 5, '[', ']', arguments, 1) &&
               arguments[0] >= 1) {
        *type = (struct iceberg_type){.kind = ICEBERG_FIXED, .length = arguments[0]};
    } else {
        TN_AUTO_BUF quoted = {0};
        tn_json_quote(&quoted, word, strlen(word));
        *type = (struct iceberg_type){.kind = ICEBERG_UNSUPPORTED,
                                      .text = tn_arena_strndup(arena, quoted.data, quoted.len)};
    }
    return type;
}

void iceberg_type_format(const struct iceberg_type *type, struct tn_buf *out)
{
    switch (type->kind) {
    case ICEBERG_DECIMAL:
        tn_buf_printf(out, "decimal(%d, %d)", type->precision, type->scale);
        return;
    case ICEBERG_FIXED:
        tn_buf_printf(out, "fixed[%d]", type->length);
        return;
    case ICEBERG_UNSUPPORTED:
        tn_buf_puts(out, type->text ? type->text : "unsupported");
        return;
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        break;
    default:
        tn_buf_puts(out, type_words[type->kind]);
        return;
    }
    tn_buf_printf(out, "%s<", type_words[type->kind]);
    for (size_t i = 0; i < type->field_count; i++) {
        tn_buf_puts(out, i ? ", " : "");
        if (type->kind == ICEBERG_STRUCT)
            tn_buf_printf(out, "%s: ", type->fields[i].name);
        iceberg_type_format(type->fields[i].type, out);
    }
    tn_buf_putc(out, '>');
}

void iceberg_type_put_sql(const struct iceberg_type *type, struct tn_buf *out)
{
    static const char *const names[] = {
        [ICEBERG_BOOLEAN] = "BOOLEAN",
        [ICEBERG_INT] = "INTEGER",
        [ICEBERG_LONG] = "BIGINT",
        [ICEBERG_FLOAT] = "FLOAT",
        [ICEBERG_DOUBLE] = "DOUBLE",
        [ICEBERG_DATE] = "DATE",
        [ICEBERG_TIME] = "TIME",
        [ICEBERG_TIMESTAMP] = "TIMESTAMP",
        [ICEBERG_TIMESTAMPTZ] = "TIMESTAMP WITH TIME ZONE",
        [ICEBERG_STRING] = "VARCHAR",
        [ICEBERG_UUID] = "UUID",
        [ICEBERG_FIXED] = "BLOB",
        [ICEBERG_BINARY] = "BLOB",
        [ICEBERG_UNSUPPORTED] = "VARCHAR",
    };
    switch (type->kind) {
    case ICEBERG_DECIMAL:
        tn_buf_printf(out, "DECIMAL(%d,%d)", type->precision, type->scale);
        return;
    case ICEBERG_LIST:
        iceberg_type_put_sql(type->fields[0].type, out);
        tn_buf_puts(out, "[]");
        return;
    case ICEBERG_MAP:
    case ICEBERG_STRUCT:
        tn_buf_puts(out, type->kind == ICEBERG_MAP ? "MAP(" : "STRUCT(");
        for (size_t i = 0; i < type->field_count; i++) {
            if (i > 0)
                tn_buf_puts(out, ", ");
            if (type->kind == ICEBERG_STRUCT) {
                tn_buf_put_sql_name(out, type->fields[i].name);
                tn_buf_putc(out, ' ');
            }
            iceberg_type_put_sql(type->fields[i].type, out);
        }
        tn_buf_putc(out, ')');
        return;
    default:
        tn_buf_puts(out, names[type->kind]);
    }
}

static bool type_text_equal(const char *a, const char *b)
{
    return a == b || (a && b && tn_streq(a, b));
}

static bool type_fields_equal(const struct iceberg_field *a, const struct iceberg_field *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (a[i].id != b[i].id || a[i].required != b[i].required || !tn_streq(a[i].name, b[i].name) ||
            !type_text_equal(a[i].doc, b[i].doc) || !type_text_equal(a[i].defaults, b[i].defaults) ||
            !iceberg_type_equal(a[i].type, b[i].type))
            return false;
    return true;
}

bool iceberg_type_equal(const struct iceberg_type *a, const struct iceberg_type *b)
{
    if (a == b)
        return true;
    return a->kind == b->kind && a->precision == b->precision && a->scale == b->scale && a->length == b->length &&
           a->field_count == b->field_count && type_text_equal(a->text, b->text) &&
           type_fields_equal(a->fields, b->fields, a->field_count);
}

bool schema_same(const struct iceberg_schema *a, const struct iceberg_schema *b)
{
    if (a->field_count != b->field_count || a->identifier_count != b->identifier_count)
        return false;
    for (size_t i = 0; i < a->identifier_count; i++)
        if (a->identifier_ids[i] != b->identifier_ids[i])
            return false;
    return type_fields_equal(a->fields, b->fields, a->field_count);
}
