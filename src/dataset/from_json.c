/* JSON back to values. A nested value is cast to its type with texts where the
 * engine reads our writing otherwise (the carrier), and these are converted
 * place by place: bare casts take base64 for the bytes themselves. */
#include "dataset/from_json.h"

static bool is_moment(enum iceberg_kind kind)
{
    return kind == ICEBERG_DATE || kind == ICEBERG_TIMESTAMP || kind == ICEBERG_TIMESTAMPTZ;
}

static bool is_bytes(enum iceberg_kind kind)
{
    return kind == ICEBERG_BINARY || kind == ICEBERG_FIXED;
}

static bool wants_carrier(const struct iceberg_type *type)
{
    for (size_t i = 0; i < type->field_count; i++)
        if (wants_carrier(type->fields[i].type))
            return true;
    return is_moment(type->kind) || is_bytes(type->kind);
}

static const struct iceberg_type *carrier_of(struct tn_arena *arena, const struct iceberg_type *type)
{
    static const struct iceberg_type text = {.kind = ICEBERG_STRING};
    if (!wants_carrier(type))
        return type;
    if (type->field_count == 0)
        return &text;
    struct iceberg_type *carrier = tn_arena_alloc(arena, sizeof *carrier);
    struct iceberg_field *fields = TN_ARENA_ARRAY(arena, struct iceberg_field, type->field_count);
    *carrier = *type;
    for (size_t i = 0; i < type->field_count; i++) {
        fields[i] = type->fields[i];
        fields[i].type = carrier_of(arena, type->fields[i].type);
    }
    carrier->fields = fields;
    return carrier;
}

void from_json_text(struct tn_arena *arena, const struct iceberg_type *type, const char *text, struct tn_buf *out)
{
    if (is_bytes(type->kind))
        tn_buf_printf(out, "from_base64(%s)", text);
    else if (is_moment(type->kind))
        tn_buf_printf(out, "CAST(ltrim(%s, '+') AS %s)", text, catalog_sql_type(arena, type));
    else
        tn_buf_printf(out, "CAST(%s AS %s)", text, catalog_sql_type(arena, type));
}

static void put_value(struct tn_arena *arena, const struct iceberg_type *type, const char *value, size_t depth,
                      struct tn_buf *out);

static const char *member_of(struct tn_arena *arena, const char *value, const char *name)
{
    TN_AUTO_BUF text = {0};
    tn_buf_printf(&text, "struct_extract(%s, ", value);
    tn_buf_put_sql_string(&text, name);
    tn_buf_putc(&text, ')');
    return tn_arena_strndup(arena, text.data, text.len);
}

/* struct_pack of NULLs is no NULL. */
static void put_struct(struct tn_arena *arena, const struct iceberg_type *type, const char *value, size_t depth,
                       struct tn_buf *out)
{
    tn_buf_printf(out, "CASE WHEN %s IS NULL THEN NULL ELSE struct_pack(", value);
    for (size_t i = 0; i < type->field_count; i++) {
        tn_buf_puts(out, i ? ", " : "");
        tn_buf_put_sql_name(out, type->fields[i].name);
        tn_buf_puts(out, " := ");
        put_value(arena, type->fields[i].type, member_of(arena, value, type->fields[i].name), depth, out);
    }
    tn_buf_puts(out, ") END");
}

static void put_list(struct tn_arena *arena, const struct iceberg_type *type, const char *value, size_t depth,
                     struct tn_buf *out)
{
    const char *item = tn_arena_printf(arena, "item%zu", depth);
    tn_buf_printf(out, "list_transform(%s, lambda %s: ", value, item);
    put_value(arena, type->fields[0].type, item, depth + 1, out);
    tn_buf_putc(out, ')');
}

static void put_map(struct tn_arena *arena, const struct iceberg_type *type, const char *value, size_t depth,
                    struct tn_buf *out)
{
    const char *entry = tn_arena_printf(arena, "item%zu", depth);
    tn_buf_printf(out, "map_from_entries(list_transform(map_entries(%s), lambda %s: struct_pack(k := ", value, entry);
    put_value(arena, type->fields[0].type, member_of(arena, entry, "key"), depth + 1, out);
    tn_buf_puts(out, ", v := ");
    put_value(arena, type->fields[1].type, member_of(arena, entry, "value"), depth + 1, out);
    tn_buf_puts(out, ")))");
}

static void put_value(struct tn_arena *arena, const struct iceberg_type *type, const char *value, size_t depth,
                      struct tn_buf *out)
{
    if (!wants_carrier(type))
        tn_buf_puts(out, value);
    else if (type->kind == ICEBERG_STRUCT)
        put_struct(arena, type, value, depth, out);
    else if (type->kind == ICEBERG_LIST)
        put_list(arena, type, value, depth, out);
    else if (type->kind == ICEBERG_MAP)
        put_map(arena, type, value, depth, out);
    else
        from_json_text(arena, type, value, out);
}

void from_json_nested(struct tn_arena *arena, const struct iceberg_type *type, const char *json, struct tn_buf *out)
{
    const char *carrier = catalog_sql_type(arena, carrier_of(arena, type));
    if (!wants_carrier(type)) {
        tn_buf_printf(out, "CAST(%s AS %s)", json, carrier);
        return;
    }
    /* A list of one, so that the cast is computed once however often it is named. */
    tn_buf_printf(out, "list_transform([CAST(%s AS %s)], lambda item0: ", json, carrier);
    put_value(arena, type, "item0", 1, out);
    tn_buf_puts(out, ")[1]");
}
