/* DuckDB's types: their spelling, and the kinds that cross the border. */
#include "engine/engine_internal.h"

static const char *simple_name(duckdb_type type)
{
    static const struct {
        duckdb_type type;
        const char *name;
    } names[] = {
        {DUCKDB_TYPE_BOOLEAN, "BOOLEAN"},
        {DUCKDB_TYPE_TINYINT, "TINYINT"},
        {DUCKDB_TYPE_SMALLINT, "SMALLINT"},
        {DUCKDB_TYPE_INTEGER, "INTEGER"},
        {DUCKDB_TYPE_BIGINT, "BIGINT"},
        {DUCKDB_TYPE_UTINYINT, "UTINYINT"},
        {DUCKDB_TYPE_USMALLINT, "USMALLINT"},
        {DUCKDB_TYPE_UINTEGER, "UINTEGER"},
        {DUCKDB_TYPE_UBIGINT, "UBIGINT"},
        {DUCKDB_TYPE_FLOAT, "FLOAT"},
        {DUCKDB_TYPE_DOUBLE, "DOUBLE"},
        {DUCKDB_TYPE_TIMESTAMP, "TIMESTAMP"},
        {DUCKDB_TYPE_DATE, "DATE"},
        {DUCKDB_TYPE_TIME, "TIME"},
        {DUCKDB_TYPE_TIME_NS, "TIME_NS"},
        {DUCKDB_TYPE_INTERVAL, "INTERVAL"},
        {DUCKDB_TYPE_HUGEINT, "HUGEINT"},
        {DUCKDB_TYPE_UHUGEINT, "UHUGEINT"},
        {DUCKDB_TYPE_VARCHAR, "VARCHAR"},
        {DUCKDB_TYPE_BLOB, "BLOB"},
        {DUCKDB_TYPE_TIMESTAMP_S, "TIMESTAMP_S"},
        {DUCKDB_TYPE_TIMESTAMP_MS, "TIMESTAMP_MS"},
        {DUCKDB_TYPE_TIMESTAMP_NS, "TIMESTAMP_NS"},
        {DUCKDB_TYPE_UUID, "UUID"},
        {DUCKDB_TYPE_BIT, "BIT"},
        {DUCKDB_TYPE_TIME_TZ, "TIME WITH TIME ZONE"},
        {DUCKDB_TYPE_TIMESTAMP_TZ, "TIMESTAMP WITH TIME ZONE"},
        {DUCKDB_TYPE_BIGNUM, "BIGNUM"},
        {DUCKDB_TYPE_SQLNULL, "\"NULL\""},
    };
    for (size_t i = 0; i < TN_COUNT(names); i++) {
        if (names[i].type == type)
            return names[i].name;
    }
    return "UNKNOWN";
}

static void put_child(duckdb_logical_type child, char *name, struct tn_buf *out)
{
    if (name && *name) {
        bool plain = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(name);
        if (plain)
            tn_buf_puts(out, name);
        else
            tn_buf_put_sql_name(out, name);
        tn_buf_putc(out, ' ');
    }
    duckdb_free(name);
    engine_type_text(child, out);
    duckdb_destroy_logical_type(&child);
}

static void put_members(duckdb_logical_type type, struct tn_buf *out)
{
    bool fields = duckdb_get_type_id(type) == DUCKDB_TYPE_STRUCT;
    idx_t count = fields ? duckdb_struct_type_child_count(type) : duckdb_union_type_member_count(type);
    tn_buf_puts(out, fields ? "STRUCT(" : "UNION(");
    for (idx_t i = 0; i < count; i++) {
        if (i)
            tn_buf_puts(out, ", ");
        if (fields)
            put_child(duckdb_struct_type_child_type(type, i), duckdb_struct_type_child_name(type, i), out);
        else
            put_child(duckdb_union_type_member_type(type, i), duckdb_union_type_member_name(type, i), out);
    }
    tn_buf_putc(out, ')');
}

static void put_enum(duckdb_logical_type type, struct tn_buf *out)
{
    uint32_t count = duckdb_enum_dictionary_size(type);
    tn_buf_puts(out, "ENUM(");
    for (uint32_t i = 0; i < count; i++) {
        char *word = duckdb_enum_dictionary_value(type, i);
        if (i)
            tn_buf_puts(out, ", ");
        tn_buf_put_sql_string(out, word);
        duckdb_free(word);
    }
    tn_buf_putc(out, ')');
}

static bool put_alias(duckdb_logical_type type, struct tn_buf *out)
{
    char *alias = duckdb_logical_type_get_alias(type);
    bool known = alias && *alias;
    if (known)
        tn_buf_puts(out, alias);
    duckdb_free(alias);
    return known;
}

void engine_type_text(duckdb_logical_type type, struct tn_buf *out)
{
    duckdb_type id = duckdb_get_type_id(type);
    if (put_alias(type, out))
        return;
    switch (id) {
    case DUCKDB_TYPE_DECIMAL:
        tn_buf_printf(out, "DECIMAL(%u,%u)", duckdb_decimal_width(type), duckdb_decimal_scale(type));
        return;
    case DUCKDB_TYPE_LIST:
        put_child(duckdb_list_type_child_type(type), NULL, out);
        tn_buf_puts(out, "[]");
        return;
    case DUCKDB_TYPE_ARRAY:
        put_child(duckdb_array_type_child_type(type), NULL, out);
        tn_buf_printf(out, "[%llu]", (unsigned long long)duckdb_array_type_array_size(type));
        return;
    case DUCKDB_TYPE_MAP:
        tn_buf_puts(out, "MAP(");
        put_child(duckdb_map_type_key_type(type), NULL, out);
        tn_buf_puts(out, ", ");
        put_child(duckdb_map_type_value_type(type), NULL, out);
        tn_buf_putc(out, ')');
        return;
    case DUCKDB_TYPE_STRUCT:
    case DUCKDB_TYPE_UNION:
        put_members(type, out);
        return;
    case DUCKDB_TYPE_ENUM:
        put_enum(type, out);
        return;
    default:
        tn_buf_puts(out, simple_name(id));
    }
}

static const struct {
    duckdb_type type;
    enum engine_kind kind;
} kinds[] = {
    {DUCKDB_TYPE_BOOLEAN, ENGINE_BOOLEAN},
    {DUCKDB_TYPE_INTEGER, ENGINE_INTEGER},
    {DUCKDB_TYPE_BIGINT, ENGINE_BIGINT},
    {DUCKDB_TYPE_DOUBLE, ENGINE_DOUBLE},
    {DUCKDB_TYPE_DECIMAL, ENGINE_DECIMAL},
    {DUCKDB_TYPE_DATE, ENGINE_DATE},
    {DUCKDB_TYPE_TIME, ENGINE_TIME},
    {DUCKDB_TYPE_TIMESTAMP, ENGINE_TIMESTAMP},
    {DUCKDB_TYPE_TIMESTAMP_TZ, ENGINE_TIMESTAMPTZ},
    {DUCKDB_TYPE_VARCHAR, ENGINE_VARCHAR},
    {DUCKDB_TYPE_BLOB, ENGINE_BLOB},
    {DUCKDB_TYPE_UUID, ENGINE_UUID},
};

struct engine_type engine_type_of(duckdb_logical_type type)
{
    duckdb_type id = duckdb_get_type_id(type);
    struct engine_type result = {.kind = ENGINE_OTHER};
    for (size_t i = 0; i < TN_COUNT(kinds); i++) {
        if (kinds[i].type == id)
            result.kind = kinds[i].kind;
    }
    if (id == DUCKDB_TYPE_DECIMAL) {
        result.width = duckdb_decimal_width(type);
        result.scale = duckdb_decimal_scale(type);
    }
    return result;
}

duckdb_logical_type engine_type_make(struct engine_type type)
{
    if (type.kind == ENGINE_DECIMAL)
        return duckdb_create_decimal_type(type.width, type.scale);
    for (size_t i = 0; i < TN_COUNT(kinds); i++) {
        if (kinds[i].kind == type.kind)
            return duckdb_create_logical_type(kinds[i].type);
    }
    return NULL;
}
