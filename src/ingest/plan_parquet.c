/* Parquet: the engine reads the spooled file itself; only names and the types
 * that tables do not have are put right. */
#include "ingest/ingest_internal.h"

#include "ingest/names.h"

#include <string.h>

/* What a table holds for a type that Iceberg does not have. */
static const char *table_type(struct tn_arena *arena, const char *type)
{
    static const struct {
        const char *from, *to;
    } types[] = {
        {"TINYINT", "INTEGER"},          {"SMALLINT", "INTEGER"},       {"UTINYINT", "INTEGER"},
        {"USMALLINT", "INTEGER"},        {"UINTEGER", "BIGINT"},        {"UBIGINT", "DECIMAL(20,0)"},
        {"HUGEINT", "DECIMAL(38,0)"},    {"UHUGEINT", "DECIMAL(38,0)"}, {"INTERVAL", "VARCHAR"},
        {"TIME WITH TIME ZONE", "TIME"}, {"TIMESTAMP_S", "TIMESTAMP"},  {"TIMESTAMP_MS", "TIMESTAMP"},
        {"TIMESTAMP_NS", "TIMESTAMP"},   {"TIME_NS", "TIME"},           {"BIT", "VARCHAR"},
        {"BIGNUM", "VARCHAR"},           {"VARINT", "VARCHAR"},         {"JSON", "VARCHAR"},
        {"\"NULL\"", "VARCHAR"},         {"NULL", "VARCHAR"},
    };
    for (size_t i = 0; i < TN_COUNT(types); i++)
        if (tn_streq(types[i].from, type))
            return types[i].to;
    if (tn_str_starts_with(type, "ENUM("))
        return "VARCHAR";
    /* FLOAT[768] is an array of fixed length: a list for tables. */
    const char *bracket = strrchr(type, '[');
    if (bracket && bracket[1] != ']' && tn_str_ends_with(type, "]")) {
        char *element = tn_arena_strndup(arena, type, (size_t)(bracket - type));
        return tn_arena_printf(arena, "%s[]", table_type(arena, element));
    }
    if (bracket && bracket > type && tn_str_ends_with(type, "[]") && !strchr(type, '(')) {
        char *element = tn_arena_strndup(arena, type, (size_t)(bracket - type));
        return tn_arena_printf(arena, "%s[]", table_type(arena, element));
    }
    return type;
}

static enum tn_code describe(struct ingest *ingest, struct engine_column **ret, size_t *ret_count,
                             struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT * FROM read_parquet(");
    tn_buf_put_sql_string(&sql, ingest->spool.path);
    tn_buf_putc(&sql, ')');
    struct tn_error inner = {0};
    enum tn_code code = engine_describe(ingest->lake->engine, sql.data, ingest->arena, ret, ret_count, &inner);
    if (code == TN_OK)
        return TN_OK;
    if (code != TN_ESQL && code != TN_EIO && code != TN_EINTERNAL && code != TN_EUNSUPPORTED && code != TN_ECORRUPT) {
        if (err)
            *err = inner;
        return code;
    }
    tn_fail(err, TN_EUNREADABLE, "the Parquet file cannot be read: %.300s", inner.detail);
    tn_error_hint(err, "the file may be cut off or damaged: export or download it again");
    return TN_EUNREADABLE;
}

static void make_select(struct ingest *ingest)
{
    struct load_plan *plan = &ingest->plan;
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT ");
    for (size_t i = 0; i < plan->count; i++) {
        tn_buf_puts(&sql, i ? ", CAST(" : "CAST(");
        tn_buf_put_sql_name(&sql, plan->columns[i].original);
        tn_buf_printf(&sql, " AS %s) AS ", plan->columns[i].target.sql_type);
        tn_buf_put_sql_name(&sql, plan->columns[i].name);
    }
    tn_buf_puts(&sql, " FROM read_parquet(");
    tn_buf_put_sql_string(&sql, ingest->spool.path);
    tn_buf_putc(&sql, ')');
    plan->parquet_select = tn_arena_strndup(ingest->arena, sql.data, sql.len);
}

enum tn_code ingest_plan_parquet(struct ingest *ingest, struct tn_error *err)
{
    struct engine_column *found;
    size_t count;
    struct load_plan *plan = &ingest->plan;
    TN_TRY(describe(ingest, &found, &count, err));
    const char **originals = TN_ARENA_ARRAY(ingest->arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++)
        originals[i] = found[i].name;
    const char **names = names_clean(ingest->arena, originals, count, true);
    plan->columns = TN_ARENA_ARRAY(ingest->arena, struct load_column, count + 1);
    plan->count = count;
    for (size_t i = 0; i < count; i++)
        plan->columns[i] = (struct load_column){
            .cell = i,
            .name = names[i],
            .original = originals[i],
            .target = {.type = {.kind = ENGINE_OTHER}, .sql_type = table_type(ingest->arena, found[i].type_text)},
        };
    for (size_t i = 0; i < ingest->override_count; i++) {
        struct load_column *column = NULL;
        for (size_t c = 0; c < count; c++)
            if (tn_streq(plan->columns[c].original, ingest->overrides[i].name) ||
                tn_str_equal_nocase(plan->columns[c].name, ingest->overrides[i].name))
                column = &plan->columns[c];
        if (!column)
            return tn_fail(err, TN_EREQUEST, "types: the file has no column \"%s\"", ingest->overrides[i].name);
        column->target.sql_type = ingest->overrides[i].target.sql_type;
    }
    make_select(ingest);
    return TN_OK;
}
