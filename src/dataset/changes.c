/* What happened to the rows between two snapshots, read off the snapshots. */
#include "dataset/changes.h"

#include <string.h>

struct side {
    const struct iceberg_plan *plan; /* NULL: nothing was there */
    struct iceberg_plan part;        /* its files that the other side has not as they are */
    struct iceberg_plan_file *files;
};

static bool same_deletes(const struct iceberg_plan_file *a, const struct iceberg_plan_file *b)
{
    if (a->delete_count != b->delete_count)
        return false;
    for (size_t i = 0; i < a->delete_count; i++) {
        bool found = false;
        for (size_t k = 0; k < b->delete_count && !found; k++)
            found = tn_streq(a->delete_keys[i], b->delete_keys[k]);
        if (!found)
            return false;
    }
    return true;
}

static bool has_as_it_is(const struct iceberg_plan *plan, const struct iceberg_plan_file *file)
{
    for (size_t i = 0; plan && i < plan->file_count; i++)
        if (tn_streq(plan->files[i].key, file->key))
            return same_deletes(&plan->files[i], file);
    return false;
}

static void keep_different(struct side *side, const struct iceberg_plan *other, struct tn_arena *arena)
{
    size_t count = side->plan ? side->plan->file_count : 0, kept = 0;
    side->files = TN_ARENA_ARRAY(arena, struct iceberg_plan_file, count + 1);
    for (size_t i = 0; i < count; i++)
        if (!has_as_it_is(other, &side->plan->files[i]))
            side->files[kept++] = side->plan->files[i];
    if (side->plan)
        side->part = *side->plan;
    side->part.files = side->files;
    side->part.file_count = kept;
}

static void put_names(struct tn_buf *out, const struct iceberg_schema *schema, const char *prefix)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        tn_buf_printf(out, "%s%s", i ? ", " : "", prefix);
        tn_buf_put_sql_name(out, schema->fields[i].name);
    }
}

/* WITH: both sides' rows that lie where the other side has none. */
static enum tn_code put_sides(struct lake *lake, const struct side *was, const struct side *is,
                              const struct iceberg_schema *schema, struct tn_buf *out, struct tn_error *err)
{
    tn_buf_puts(out, "WITH was_all AS (");
    TN_TRY(dataset_placed_files_sql(lake, &was->part, schema, out, err));
    tn_buf_puts(out, "), is_all AS (");
    TN_TRY(dataset_placed_files_sql(lake, &is->part, schema, out, err));
    tn_buf_puts(out, "), was AS (SELECT * FROM was_all ANTI JOIN is_all USING (tarn_path, tarn_pos)), "
                     "now AS (SELECT * FROM is_all ANTI JOIN was_all USING (tarn_path, tarn_pos)) ");
    return TN_OK;
}

/* change, new values, old values */
static void put_keyed(const struct iceberg_schema *schema, struct tn_buf *out)
{
    tn_buf_puts(out, "SELECT CASE WHEN w.tarn_path IS NULL THEN 'insert' WHEN n.tarn_path IS NULL THEN 'delete' "
                     "ELSE 'update' END AS change, ");
    put_names(out, schema, "n.");
    tn_buf_puts(out, ", ");
    put_names(out, schema, "w.");
    tn_buf_puts(out, " FROM was w FULL JOIN now n ON ");
    for (size_t i = 0; i < schema->identifier_count; i++) {
        const struct iceberg_field *field = iceberg_schema_field(schema, schema->identifier_ids[i]);
        tn_buf_puts(out, i ? " AND w." : "w.");
        tn_buf_put_sql_name(out, field->name);
        tn_buf_puts(out, " = n.");
        tn_buf_put_sql_name(out, field->name);
    }
    tn_buf_puts(out, " WHERE w.tarn_path IS NULL OR n.tarn_path IS NULL");
    for (size_t i = 0; i < schema->field_count; i++) {
        tn_buf_puts(out, " OR w.");
        tn_buf_put_sql_name(out, schema->fields[i].name);
        tn_buf_puts(out, " IS DISTINCT FROM n.");
        tn_buf_put_sql_name(out, schema->fields[i].name);
    }
}

static void put_nulls(struct tn_buf *out, struct tn_arena *arena, const struct iceberg_schema *schema)
{
    for (size_t i = 0; i < schema->field_count; i++)
        tn_buf_printf(out, "%sCAST(NULL AS %s)", i ? ", " : "", catalog_sql_type(arena, schema->fields[i].type));
}

static void put_keyless(struct tn_arena *arena, const struct iceberg_schema *schema, struct tn_buf *out)
{
    tn_buf_puts(out, "SELECT 'delete' AS change, ");
    put_nulls(out, arena, schema);
    tn_buf_puts(out, ", * FROM (SELECT ");
    put_names(out, schema, "");
    tn_buf_puts(out, " FROM was EXCEPT ALL SELECT ");
    put_names(out, schema, "");
    tn_buf_puts(out, " FROM now) UNION ALL SELECT 'insert', *, ");
    put_nulls(out, arena, schema);
    tn_buf_puts(out, " FROM (SELECT ");
    put_names(out, schema, "");
    tn_buf_puts(out, " FROM now EXCEPT ALL SELECT ");
    put_names(out, schema, "");
    tn_buf_puts(out, " FROM was)");
}

enum tn_code changes_wide_sql(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                              const struct iceberg_snapshot *from, const struct iceberg_snapshot *to,
                              const struct iceberg_schema *schema, struct tn_buf *out, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_PLAN *was_plan = NULL;
    ICEBERG_AUTO_PLAN *is_plan = NULL;
    struct iceberg_table table = catalog_table(lake->catalog, arena, name);
    if (from)
        TN_TRY(iceberg_plan_new(&table, metadata, from, NULL, 0, &was_plan, err));
    TN_TRY(iceberg_plan_new(&table, metadata, to, NULL, 0, &is_plan, err));
    struct side was = {.plan = was_plan}, is = {.plan = is_plan};
    keep_different(&was, is_plan, arena);
    keep_different(&is, was_plan, arena);
    TN_TRY(put_sides(lake, &was, &is, schema, out, err));
    if (schema->identifier_count > 0)
        put_keyed(schema, out);
    else
        put_keyless(arena, schema, out);
    return TN_OK;
}

/* The columns of the wide form are numbered: the names stand in it twice. */
static void put_numbered(struct tn_buf *out, size_t from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tn_buf_printf(out, "%sc%zu", i ? ", " : "", from + i);
}

enum tn_code dataset_changes_sql(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                                 const struct iceberg_snapshot *from, const struct iceberg_snapshot *to,
                                 struct tn_arena *arena, const char **ret, struct tn_error *err)
{
    const struct iceberg_schema *schema = metadata->schema;
    TN_AUTO_BUF out = {0};
    tn_buf_puts(&out, "SELECT change");
    for (size_t i = 0; i < schema->field_count; i++) {
        tn_buf_printf(&out, ", CASE WHEN change = 'delete' THEN c%zu ELSE c%zu END AS ", schema->field_count + i, i);
        tn_buf_put_sql_name(&out, schema->fields[i].name);
    }
    tn_buf_puts(&out, ", CASE WHEN change <> 'insert' THEN struct_pack(");
    for (size_t i = 0; i < schema->field_count; i++) {
        tn_buf_puts(&out, i ? ", " : "");
        tn_buf_put_sql_name(&out, schema->fields[i].name);
        tn_buf_printf(&out, " := c%zu", schema->field_count + i);
    }
    tn_buf_puts(&out, ") END AS before FROM (");
    TN_TRY(changes_wide_sql(lake, name, metadata, from, to, schema, &out, err));
    tn_buf_puts(&out, ") wide(change, ");
    put_numbered(&out, 0, 2 * schema->field_count);
    tn_buf_putc(&out, ')');
    *ret = tn_arena_strndup(arena, out.data, out.len);
    return TN_OK;
}
