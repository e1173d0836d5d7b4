/* What happened to the rows between two states, read off the states. */
#include "dataset/changes.h"

#include <string.h>

struct side {
    struct iceberg_plan *plan; /* NULL: nothing was there, or it is told */
    struct moment_told *told;  /* of a state whose snapshot is gone */
    const struct moment_state *state;
    struct iceberg_plan part; /* its files that the other side has not as they are */
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

/* Where changes are looked for. */
struct compared {
    struct lake *lake;
    const char *name;
    const struct iceberg_metadata *metadata;
    const struct iceberg_schema *schema;
};

static enum tn_code put_side(const struct compared *compared, const struct side *side, struct tn_buf *out,
                             struct tn_error *err)
{
    if (side->told)
        return moment_told_sql(compared->lake, compared->name, compared->metadata, side->state, side->told,
                               compared->schema, MOMENT_ALL, true, out, err);
    return dataset_placed_files_sql(compared->lake, &side->part, compared->schema, out, err);
}

/* WITH: both sides' rows that lie where the other side has none. */
static enum tn_code put_sides(const struct compared *compared, const struct side *was, const struct side *is,
                              struct tn_buf *out, struct tn_error *err)
{
    tn_buf_puts(out, "WITH was_all AS (");
    TN_TRY(put_side(compared, was, out, err));
    tn_buf_puts(out, "), is_all AS (");
    TN_TRY(put_side(compared, is, out, err));
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

static void side_release(struct side *side)
{
    iceberg_plan_free(side->plan);
    moment_told_unref(&side->told);
}

static enum tn_code side_open(const struct compared *compared, const struct moment_state *state, struct side *ret,
                              struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct iceberg_table table = catalog_table(compared->lake->catalog, arena, compared->name);
    ret->state = state;
    if (!state->snapshot)
        return TN_OK;
    if (state->replay_to)
        return moment_tell(compared->lake, compared->metadata, state, &ret->told, err);
    return iceberg_plan_new(&table, compared->metadata, state->snapshot, NULL, 0, &ret->plan, err);
}

enum tn_code changes_wide_sql(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                              const struct moment_state *from, const struct moment_state *to,
                              const struct iceberg_schema *schema, struct tn_buf *out, struct engine_hold **ret_hold,
                              struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const struct compared compared = {lake, name, metadata, schema};
    TN_CLEANUP(side_release) struct side was = {0};
    TN_CLEANUP(side_release) struct side is = {0};
    TN_TRY(side_open(&compared, from, &was, err));
    TN_TRY(side_open(&compared, to, &is, err));
    /* A file of a told side may hold rows that are not told as they are there. */
    keep_different(&was, is.plan, arena);
    keep_different(&is, was.plan, arena);
    TN_TRY(put_sides(&compared, &was, &is, out, err));
    if (schema->identifier_count > 0)
        put_keyed(schema, out);
    else
        put_keyless(arena, schema, out);
    *ret_hold = moment_hold_both(engine_hold_ref(was.told ? &was.told->hold : NULL),
                                 engine_hold_ref(is.told ? &is.told->hold : NULL));
    return TN_OK;
}

/* The columns of the wide form are numbered: the names stand in it twice. */
static void put_numbered(struct tn_buf *out, size_t from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tn_buf_printf(out, "%sc%zu", i ? ", " : "", from + i);
}

enum tn_code changes_sql(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                         const struct moment_state *from, const struct moment_state *to, struct tn_arena *arena,
                         const char **ret, struct engine_hold **ret_hold, struct tn_error *err)
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
    TN_TRY(changes_wide_sql(lake, name, metadata, from, to, schema, &out, ret_hold, err));
    tn_buf_puts(&out, ") wide(change, ");
    put_numbered(&out, 0, 2 * schema->field_count);
    tn_buf_putc(&out, ')');
    *ret = tn_arena_strndup(arena, out.data, out.len);
    return TN_OK;
}
