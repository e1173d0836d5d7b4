/* What changed, out of memory: the rows of small writes, told by those who wrote
 * them, as documents. No file is read and no SELECT runs; where something is
 * not known any more, or of a type whose text only the engine knows, the
 * caller asks the engine. */
#include "index/index_internal.h"

#include <inttypes.h>

static bool find_field(const struct iceberg_schema *schema, const char *name, size_t *ret)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (tn_str_equal_nocase(schema->fields[i].name, name)) {
            *ret = i;
            return true;
        }
    return false;
}

/* The text that CAST AS VARCHAR would make is ours only for these. */
static bool is_plain(enum engine_kind kind)
{
    return kind == ENGINE_BIGINT || kind == ENGINE_INTEGER || kind == ENGINE_VARCHAR;
}

static bool find_places(const struct definition *definition, const struct iceberg_schema *schema, struct recent *ret)
{
    if (schema->identifier_count == 0 || schema->identifier_count > TN_COUNT(ret->key) || definition->vector_column)
        return false;
    for (size_t i = 0; i < schema->identifier_count; i++) {
        const struct iceberg_field *field = iceberg_schema_field(schema, schema->identifier_ids[i]);
        if (!field || !find_field(schema, field->name, &ret->key[i].place))
            return false;
        ret->key[i].kind = dataset_cell_kind(field->type->kind);
        if (!is_plain(ret->key[i].kind))
            return false;
    }
    ret->key_count = schema->identifier_count;
    for (size_t i = 0; i < definition->column_count; i++)
        if (!find_field(schema, definition->columns[i], &ret->columns[i]) ||
            dataset_cell_kind(schema->fields[ret->columns[i]].type->kind) != ENGINE_VARCHAR)
            return false;
    return true;
}

bool recent_open(struct logical *logical, const struct iceberg_metadata *metadata, int64_t from, int64_t to,
                 struct recent *ret)
{
    const struct definition *definition = &logical->definition;
    *ret = (struct recent){0};
    return find_places(definition, metadata->schema, ret) &&
           dataset_recent_rows(logical->service->lake, definition->dataset, metadata, from, to, RECENT_ROWS,
                               &ret->rows, &ret->count, &ret->hold);
}

void recent_release(struct recent *recent)
{
    dataset_recent_unhold(TN_TAKE(recent->hold));
}

/* As key_sql of read.c has it. */
void recent_doc_id(const struct recent *recent, const struct engine_cell *cells, struct tn_buf *out)
{
    tn_buf_clear(out);
    for (size_t i = 0; i < recent->key_count; i++) {
        const struct engine_cell *cell = &cells[recent->key[i].place];
        if (i > 0)
            tn_buf_putc(out, ',');
        if (recent->key[i].kind != ENGINE_VARCHAR) {
            tn_buf_printf(out, "%" PRId64, cell->integer);
            continue;
        }
        for (size_t at = 0; at < cell->text.length; at++) {
            char c = cell->text.data[at];
            if (recent->key_count > 1 && (c == ',' || c == '\\'))
                tn_buf_putc(out, '\\');
            tn_buf_putc(out, c);
        }
    }
}
