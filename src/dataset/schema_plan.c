/* What a write means for a table's schema. */
#include "dataset/dataset_internal.h"

#include <string.h>

static enum tn_code incoming_schema(struct tn_arena *arena, const struct dataset_column *columns, size_t count,
                                    const struct iceberg_schema **ret, struct tn_error *err)
{
    if (count == 0)
        return tn_fail(err, TN_EREQUEST, "a dataset needs at least one column");
    struct iceberg_field *fields = TN_ARENA_ARRAY(arena, struct iceberg_field, count);
    for (size_t i = 0; i < count; i++) {
        fields[i].name = tn_arena_strdup(arena, columns[i].name);
        enum tn_code code = catalog_type_from_sql(arena, columns[i].sql_type, &fields[i].type, err);
        if (code != TN_OK) {
            tn_error_context(err, "column \"%s\"", columns[i].name);
            return code;
        }
    }
    struct iceberg_schema *schema = tn_arena_alloc(arena, sizeof *schema);
    schema->fields = fields;
    schema->field_count = count;
    *ret = schema;
    return TN_OK;
}

static const struct iceberg_schema *schema_of_one(struct tn_arena *arena, const struct iceberg_schema *like,
                                                  const struct iceberg_field *field)
{
    struct iceberg_schema *one = tn_arena_alloc(arena, sizeof *one);
    one->id = like->id;
    one->fields = field;
    one->field_count = 1;
    return one;
}

/* A replace keeps the columns that it also brings and that can hold what it
 * brings (so that their ids, and what is noted of them, live on); the others
 * leave the schema, and a column whose type does not fit starts anew. */
static const struct iceberg_schema *columns_kept(struct tn_arena *arena, const struct iceberg_metadata *base,
                                                 const struct iceberg_schema *incoming)
{
    const struct iceberg_schema *now = base->schema;
    struct iceberg_field *fields = TN_ARENA_ARRAY(arena, struct iceberg_field, now->field_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < now->field_count; i++) {
        const struct iceberg_field *match = iceberg_schema_find(incoming, now->fields[i].name, true);
        const struct iceberg_schema *evolved;
        if (match && iceberg_schema_evolve(arena, schema_of_one(arena, now, &now->fields[i]),
                                           schema_of_one(arena, incoming, match), base->last_column_id, &evolved,
                                           NULL) == TN_OK)
            fields[count++] = now->fields[i];
    }
    struct iceberg_schema *kept = tn_arena_alloc(arena, sizeof *kept);
    kept->id = now->id;
    kept->fields = fields;
    kept->field_count = count;
    bool key_stays = true;
    for (size_t i = 0; i < now->identifier_count; i++)
        key_stays = key_stays && iceberg_schema_field(kept, now->identifier_ids[i]);
    if (key_stays) {
        kept->identifier_ids = now->identifier_ids;
        kept->identifier_count = now->identifier_count;
    }
    return kept;
}

static enum tn_code refuse_unevolvable(struct tn_error *err)
{
    tn_error_hint(err, "load it into a dataset of its own, give types= that fit, or use mode=replace");
    return TN_ESCHEMA;
}

enum tn_code dataset_plan_schema(struct tn_arena *arena, const struct iceberg_metadata *base, enum dataset_mode mode,
                                 const struct dataset_column *columns, size_t count, struct schema_plan *ret,
                                 struct tn_error *err)
{
    const struct iceberg_schema *incoming = NULL, *target = NULL;
    TN_TRY(incoming_schema(arena, columns, count, &incoming, err));
    if (!base) {
        int32_t last;
        TN_TRY(iceberg_schema_assign_ids(arena, incoming, 1, &target, &last, err));
    } else {
        const struct iceberg_schema *from =
            mode == DATASET_REPLACE ? columns_kept(arena, base, incoming) : base->schema;
        enum tn_code code = iceberg_schema_evolve(arena, from, incoming, base->last_column_id, &target, err);
        if (code == TN_ESCHEMA)
            return refuse_unevolvable(err);
        TN_TRY(code);
    }
    ret->target = target;
    ret->incoming = incoming;
    return TN_OK;
}

static void put_field_id(struct tn_buf *out, const struct iceberg_field *field)
{
    tn_buf_put_sql_string(out, field->name);
    if (field->type->field_count == 0) {
        tn_buf_printf(out, ": %d", field->id);
        return;
    }
    tn_buf_printf(out, ": {'__duckdb_field_id': %d", field->id);
    for (size_t i = 0; i < field->type->field_count; i++) {
        tn_buf_puts(out, ", ");
        put_field_id(out, &field->type->fields[i]);
    }
    tn_buf_putc(out, '}');
}

const char *dataset_field_ids(struct tn_arena *arena, const struct iceberg_schema *schema)
{
    TN_AUTO_BUF out = {0};
    tn_buf_putc(&out, '{');
    for (size_t i = 0; i < schema->field_count; i++) {
        tn_buf_puts(&out, i ? ", " : "");
        put_field_id(&out, &schema->fields[i]);
    }
    tn_buf_putc(&out, '}');
    return tn_arena_strndup(arena, out.data, out.len);
}

static const struct iceberg_field *find_fixed(const struct iceberg_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_type *type = fields[i].type;
        if (type->kind == ICEBERG_FIXED)
            return &fields[i];
        const struct iceberg_field *below = find_fixed(type->fields, type->field_count);
        if (below)
            return below;
    }
    return NULL;
}

enum tn_code dataset_check_engine_writes(const struct iceberg_schema *schema, struct tn_error *err)
{
    const struct iceberg_field *field = find_fixed(schema->fields, schema->field_count);
    if (!field)
        return TN_OK;
    tn_fail(
        err, TN_EUNSUPPORTED,
        "\"%s\" has the type fixed[%d]: Tarn writes such columns only a few rows at a time, and not in a table with "
        "nested columns",
        field->name, field->type->length);
    tn_error_hint(err, "write fewer rows at once, or use the engine that made the table");
    return TN_EUNSUPPORTED;
}
