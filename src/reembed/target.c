/* The table as the server describes it. Only reads. */
#include "reembed/reembed_internal.h"

#include <inttypes.h>

void split_name(struct tn_arena *arena, const char *name, const char **ret_schema, const char **ret_name)
{
    const char *dot = strchr(name, '.');
    *ret_schema = dot ? tn_arena_strndup(arena, name, (size_t)(dot - name)) : NULL;
    *ret_name = dot ? dot + 1 : name;
}

static const char *kept(struct tn_arena *arena, const struct postgres_result *result, size_t row, size_t column)
{
    return tn_arena_strdup(arena, postgres_value(result, row, column));
}

/* The tables that could have been meant. */
static void hint_tables(struct postgres *pg, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    TN_AUTO_BUF names = {0};
    if (postgres_query(
            pg,
            "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'p') AND EXISTS (SELECT 1 "
            "FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = c.oid AND NOT "
            "a.attisdropped AND t.typname IN ('vector', 'halfvec')) ORDER BY 1 LIMIT 8",
            NULL, 0, POSTGRES_TEXT, &found, NULL) != TN_OK)
        return;
    for (size_t i = 0; i < postgres_rows(found); i++)
        tn_buf_printf(&names, "%s%s", i ? ", " : "", postgres_value(found, i, 0));
    if (names.len)
        tn_error_hint(err, "tables with vectors: %s", names.data);
    else
        tn_error_hint(err, "no table here has a vector column; is this the right database?");
}

static enum tn_code look_table(struct postgres *pg, const struct reembed_plan *plan, struct tn_arena *arena,
                               struct target *ret, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    const char *schema, *name;
    split_name(arena, plan->table, &schema, &name);
    const struct postgres_param params[] = {postgres_text(name), postgres_text(schema)};
    TN_TRY(postgres_query(
        pg,
        "SELECT c.oid, n.nspname, c.relname, c.relkind = 'p' OR EXISTS (SELECT 1 FROM pg_inherits i WHERE c.oid IN"
        " (i.inhparent, i.inhrelid)), pg_has_role(c.relowner, 'USAGE'),"
        " has_schema_privilege(n.oid, 'CREATE'), has_database_privilege(current_database(), 'TEMP'),"
        " has_table_privilege(c.oid, 'SELECT'), pg_is_in_recovery() OR"
        " current_setting('transaction_read_only') = 'on', pg_get_userbyid(c.relowner), current_user, "
        "quote_ident(n.nspname)"
        " || '.' || quote_ident(c.relname)"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')"
        " AND c.relname = $1::text AND CASE WHEN $2::text IS NULL THEN pg_table_is_visible(c.oid)"
        " ELSE n.nspname = $2::text END",
        params, TN_COUNT(params), POSTGRES_TEXT, &found, err));
    if (postgres_rows(found) == 0) {
        (void)tn_fail(err, TN_ENOTFOUND, "%s: there is no table %s", postgres_label(pg), plan->table);
        hint_tables(pg, err);
        return TN_ENOTFOUND;
    }
    ret->oid = (uint32_t)postgres_value_i64(found, 0, 0);
    ret->schema = kept(arena, found, 0, 1);
    ret->name = kept(arena, found, 0, 2);
    ret->relation = kept(arena, found, 0, 11);
    ret->partitioned = postgres_value_bool(found, 0, 3);
    ret->owner = postgres_value_bool(found, 0, 4);
    ret->may_create = postgres_value_bool(found, 0, 5);
    ret->may_temp = postgres_value_bool(found, 0, 6);
    ret->may_read = postgres_value_bool(found, 0, 7);
    ret->read_only = postgres_value_bool(found, 0, 8);
    ret->owner_name = kept(arena, found, 0, 9);
    ret->user = kept(arena, found, 0, 10);
    return TN_OK;
}

/* ---- columns ---------------------------------------------------------------------- */

enum {
    COLUMN_NAME,
    COLUMN_NUMBER,
    COLUMN_OID,
    COLUMN_TYPMOD,
    COLUMN_NOT_NULL,
    COLUMN_TYPE,
    COLUMN_SCHEMA,
    COLUMN_SHOWN,
    COLUMN_QUOTED
};

static enum tn_code find_column(const struct postgres_result *columns, const struct target *target, const char *flag,
                                const char *name, struct tn_arena *arena, size_t *ret, struct tn_error *err)
{
    size_t count = postgres_rows(columns);
    const char **names = TN_ARENA_ARRAY(arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        names[i] = postgres_value(columns, i, COLUMN_NAME);
        if (tn_streq(names[i], name)) {
            *ret = i;
            return TN_OK;
        }
    }
    TN_AUTO_BUF list = {0};
    for (size_t i = 0; i < count && i < 20; i++)
        tn_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    (void)tn_fail(err, TN_ENOTFOUND, "table %s has no column %s", target->relation, name);
    tn_error_hint(err, "it has %s; say which with --%s", list.data ? list.data : "none", flag);
    return TN_ENOTFOUND;
}

static void take_vector_column(const struct postgres_result *columns, size_t row, struct tn_arena *arena,
                               struct target *ret)
{
    ret->vector_number = (int)postgres_value_i64(columns, row, COLUMN_NUMBER);
    ret->vector_not_null = postgres_value_bool(columns, row, COLUMN_NOT_NULL);
    ret->typmod = (int)postgres_value_i64(columns, row, COLUMN_TYPMOD);
    ret->type = kept(arena, columns, row, COLUMN_TYPE);
    ret->type_schema = kept(arena, columns, row, COLUMN_SCHEMA);
    ret->half = tn_streq(ret->type, "halfvec");
    ret->is_vector = ret->half || tn_streq(ret->type, "vector");
    ret->column_type = ret->is_vector && ret->typmod > 0 ? tn_arena_printf(arena, "%s(%d)", ret->type, ret->typmod)
                       : ret->is_vector                  ? ret->type
                                                         : kept(arena, columns, row, COLUMN_SHOWN);
}

static enum tn_code look_columns(struct postgres *pg, const struct reembed_plan *plan, struct tn_arena *arena,
                                 struct target *ret, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *columns = NULL, *unique = NULL;
    size_t id = 0, text = 0, vector = 0;
    const char *sql = tn_arena_printf(
        arena,
        "SELECT a.attname, a.attnum, a.atttypid, a.atttypmod, a.attnotnull, t.typname, n.nspname,"
        " format_type(a.atttypid, a.atttypmod), quote_ident(a.attname) FROM pg_attribute a JOIN pg_type t ON t.oid = "
        "a.atttypid JOIN"
        " pg_namespace n ON n.oid = t.typnamespace WHERE a.attrelid = %" PRIu32 " AND a.attnum > 0 AND NOT"
        " a.attisdropped ORDER BY a.attnum",
        ret->oid);
    TN_TRY(postgres_query(pg, sql, NULL, 0, POSTGRES_TEXT, &columns, err));
    TN_TRY(find_column(columns, ret, "id-column", plan->id_column, arena, &id, err));
    TN_TRY(find_column(columns, ret, "text-column", plan->text_column, arena, &text, err));
    TN_TRY(find_column(columns, ret, "vector-column", plan->vector_column, arena, &vector, err));
    ret->id = kept(arena, columns, id, COLUMN_QUOTED);
    ret->text = kept(arena, columns, text, COLUMN_QUOTED);
    ret->vector = kept(arena, columns, vector, COLUMN_QUOTED);
    ret->id_oid = (uint32_t)postgres_value_i64(columns, id, COLUMN_OID);
    ret->id_type = kept(arena, columns, id, COLUMN_SHOWN);
    ret->id_not_null = postgres_value_bool(columns, id, COLUMN_NOT_NULL);
    take_vector_column(columns, vector, arena, ret);
    sql = tn_arena_printf(
        arena,
        "SELECT 1 FROM pg_index i WHERE i.indrelid = %" PRIu32 " AND i.indisunique AND i.indisvalid AND"
        " i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = %" PRId64,
        ret->oid, postgres_value_i64(columns, id, COLUMN_NUMBER));
    TN_TRY(postgres_query(pg, sql, NULL, 0, POSTGRES_TEXT, &unique, err));
    ret->id_unique = postgres_rows(unique) > 0;
    return TN_OK;
}

/* ---- what the column shall be --------------------------------------------------------- */

/* halfvec where vector cannot be indexed any more: what queries give as a
 * vector is taken as a halfvec by itself, so that they find the index. */
static enum tn_code choose_type(struct postgres *pg, uint32_t dimension, struct tn_arena *arena, struct target *ret,
                                struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *types = NULL;
    const struct postgres_param params[] = {postgres_text(ret->type_schema)};
    TN_TRY(postgres_query(pg,
                          "SELECT t.typname, t.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE"
                          " n.nspname = $1::text AND t.typname IN ('vector', 'halfvec')",
                          params, 1, POSTGRES_TEXT, &types, err));
    uint32_t vector = 0, halfvec = 0;
    for (size_t i = 0; i < postgres_rows(types); i++)
        *(tn_streq(postgres_value(types, i, 0), "vector") ? &vector : &halfvec) =
            (uint32_t)postgres_value_i64(types, i, 1);
    ret->has_halfvec = halfvec != 0;
    ret->new_half = ret->half || (dimension > HNSW_VECTOR_MOST && ret->has_halfvec);
    ret->new_oid = ret->new_half ? halfvec : vector;
    const char *type = ret->new_half ? "halfvec" : "vector";
    ret->new_base = postgres_quote_table(arena, ret->type_schema, type);
    ret->new_type = tn_arena_printf(arena, "%s(%" PRIu32 ")", ret->new_base, dimension);
    ret->new_shown = tn_arena_printf(arena, "%s(%" PRIu32 ")", type, dimension);
    ret->changes_type = ret->typmod != (int)dimension || ret->half != ret->new_half;
    return TN_OK;
}

enum tn_code target_look(struct postgres *pg, const struct reembed_plan *plan, uint32_t dimension,
                         struct tn_arena *arena, struct target *ret, struct tn_error *err)
{
    struct target target = {0};
    TN_TRY(look_table(pg, plan, arena, &target, err));
    TN_TRY(look_columns(pg, plan, arena, &target, err));
    if (!target.is_vector) {
        (void)tn_fail(err, TN_EREQUEST, "column %s of %s is of type %s, not one of pgvector's", target.vector,
                      target.relation, target.column_type);
        tn_error_hint(err, "name the column with the vectors by --vector-column");
        return TN_EREQUEST;
    }
    TN_TRY(choose_type(pg, dimension, arena, &target, err));
    TN_TRY(target_indexes(pg, plan, arena, &target, err));
    TN_TRY(target_dependents(pg, arena, &target, err));
    *ret = target;
    return TN_OK;
}
