/* A dataset as documents: the SQL that says which row is which. */
#include "index/index_internal.h"

#include <inttypes.h>

void relation_release(struct relation *relation)
{
    engine_hold_unref(TN_TAKE(relation->made.hold));
    iceberg_metadata_unref(TN_TAKE(relation->metadata));
}

/* One column: its text. Several: joined by commas, those in the values escaped. */
static const char *key_sql(const struct iceberg_schema *schema, struct tn_arena *arena)
{
    TN_AUTO_BUF out = {0};
    bool several = schema->identifier_count > 1;
    tn_buf_puts(&out, several ? "concat_ws(','" : "");
    for (size_t i = 0; i < schema->identifier_count; i++) {
        const struct iceberg_field *field = iceberg_schema_field(schema, schema->identifier_ids[i]);
        tn_buf_puts(&out, several ? ", replace(replace(" : "");
        tn_buf_puts(&out, "CAST(");
        tn_buf_put_sql_name(&out, field->name);
        tn_buf_puts(&out, " AS VARCHAR)");
        tn_buf_puts(&out, several ? ", '\\', '\\\\'), ',', '\\,')" : "");
    }
    tn_buf_puts(&out, several ? ")" : "");
    return tn_arena_strdup(arena, out.data);
}

/* No key: what is indexed is what the document is. */
static const char *content_sql(const struct definition *definition, struct tn_arena *arena)
{
    TN_AUTO_BUF out = {0};
    tn_buf_puts(&out, "md5(concat_ws(chr(31), ''");
    for (size_t i = 0; i < definition->column_count; i++) {
        tn_buf_puts(&out, ", coalesce(");
        tn_buf_put_sql_name(&out, definition->columns[i]);
        tn_buf_puts(&out, ", '')");
    }
    if (definition->vector_column) {
        tn_buf_puts(&out, ", coalesce(CAST(");
        tn_buf_put_sql_name(&out, definition->vector_column);
        tn_buf_puts(&out, " AS VARCHAR), '')");
    }
    tn_buf_puts(&out, "))");
    return tn_arena_strdup(arena, out.data);
}

enum tn_code relation_open(struct logical *logical, int64_t snapshot, struct tn_arena *arena, struct relation *ret,
                           struct tn_error *err)
{
    const struct definition *definition = &logical->definition;
    struct lake *lake = logical->service->lake;
    AUTO_RELATION made = {0};
    TN_TRY(dataset_open(logical, &made.metadata, err));
    const struct engine_resolver resolver = dataset_resolver(lake);
    bool now = snapshot == 0 || (made.metadata->current && made.metadata->current->id == snapshot);
    const struct engine_table_ref ref = {.name = definition->dataset,
                                         .at = now && !made.metadata->current ? ENGINE_AT_NOW : ENGINE_AT_VERSION,
                                         .at_version =
                                             now && made.metadata->current ? made.metadata->current->id : snapshot};
    TN_TRY(resolver.resolve(resolver.context, &ref, arena, &made.made, err));
    made.keyed = made.metadata->schema->identifier_count > 0;
    made.doc_id = made.keyed ? key_sql(made.metadata->schema, arena) : content_sql(definition, arena);
    *ret = made;
    made = (struct relation){0};
    return TN_OK;
}

static bool has_column(const struct iceberg_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (tn_str_equal_nocase(schema->fields[i].name, name))
            return true;
    return false;
}

enum tn_code dataset_check_columns(const struct logical *logical, const struct iceberg_metadata *metadata,
                                   struct tn_error *err)
{
    const struct definition *definition = &logical->definition;
    const char *missing = NULL;
    for (size_t i = 0; i < definition->column_count && !missing; i++)
        missing = has_column(metadata->schema, definition->columns[i]) ? NULL : definition->columns[i];
    if (!missing && definition->vector_column && !has_column(metadata->schema, definition->vector_column))
        missing = definition->vector_column;
    if (!missing)
        return TN_OK;
    return tn_fail(err, TN_ESCHEMA,
                   "dataset \"%s\" has no column \"%s\" any more: it was dropped or renamed; drop the index and make "
                   "it anew over the columns there are",
                   definition->dataset, missing);
}

enum tn_code dataset_snapshot(struct logical *logical, int64_t *ret, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(dataset_open(logical, &metadata, err));
    *ret = metadata->current ? metadata->current->id : 0;
    return TN_OK;
}

enum tn_code relation_changes(struct logical *logical, int64_t from, int64_t to, struct tn_arena *arena,
                              struct engine_relation *ret, struct tn_error *err)
{
    const struct engine_resolver resolver = dataset_resolver(logical->service->lake);
    const struct engine_value arguments[] = {
        {.kind = ENGINE_LITERAL_TEXT, .text = logical->definition.dataset},
        {.kind = ENGINE_LITERAL_INTEGER, .text = tn_arena_printf(arena, "%" PRId64, from)},
        {.kind = ENGINE_LITERAL_INTEGER, .text = tn_arena_printf(arena, "%" PRId64, to)},
    };
    const struct engine_table_ref ref = {
        .name = "changes", .arguments = arguments, .argument_count = TN_COUNT(arguments)};
    struct tn_error why = {0};
    *ret = (struct engine_relation){0};
    if (from == 0)
        return TN_OK;
    enum tn_code code = resolver.resolve(resolver.context, &ref, arena, ret, &why);
    if (code == TN_OK)
        return TN_OK;
    *ret = (struct engine_relation){0};
    if (code == TN_ESNAPSHOT)
        return TN_OK;
    if (err)
        *err = why;
    return code;
}
