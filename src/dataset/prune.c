/* A query's conditions in the table's own terms.
 *
 * Leaving a file out must never change an answer, so a condition counts only
 * where the engine's comparison and that of the bounds are the same one:
 *   - the literal's kind must be the column's (an integer against text is
 *     compared by casts that bounds know nothing of);
 *   - FLOAT is left alone: whether 0.1 means the float or the double nearest
 *     to it is the engine's business;
 *   - the engine sorts NaN above all numbers, and bounds leave NaN out, so
 *     "greater than" says nothing about a file's doubles.
 */
#include "dataset/dataset_internal.h"

#include <string.h>

static bool kinds_agree(enum iceberg_kind column, enum engine_literal literal)
{
    switch (column) {
    case ICEBERG_INT:
    case ICEBERG_LONG:
        return literal == ENGINE_LITERAL_INTEGER;
    case ICEBERG_DOUBLE:
    case ICEBERG_DECIMAL:
        return literal == ENGINE_LITERAL_INTEGER || literal == ENGINE_LITERAL_NUMBER;
    case ICEBERG_STRING:
        return literal == ENGINE_LITERAL_TEXT;
    case ICEBERG_DATE:
        return literal == ENGINE_LITERAL_TEXT || literal == ENGINE_LITERAL_DATE;
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        return literal == ENGINE_LITERAL_TEXT || literal == ENGINE_LITERAL_DATE ||
               literal == ENGINE_LITERAL_TIMESTAMP;
    default:
        return false;
    }
}

static bool nan_matters(const struct iceberg_type *type, enum engine_compare compare)
{
    return type->kind == ICEBERG_DOUBLE && (compare == ENGINE_GREATER || compare == ENGINE_GREATER_EQUAL);
}

static bool convert_value(struct tn_arena *arena, const struct iceberg_type *type, const struct engine_value *value,
                          struct iceberg_bytes *ret)
{
    if (!kinds_agree(type->kind, value->kind))
        return false;
    const char *text = value->text;
    bool moment = type->kind == ICEBERG_TIMESTAMP || type->kind == ICEBERG_TIMESTAMPTZ;
    if (moment && strlen(text) == strlen("2024-01-31"))
        text = tn_arena_printf(arena, "%s 00:00:00", text);
    return iceberg_value_parse(arena, type, text, strlen(text), ret, NULL) == TN_OK;
}

static bool convert(struct tn_arena *arena, const struct iceberg_schema *schema, const struct engine_predicate *from,
                    struct iceberg_predicate *ret)
{
    static const enum iceberg_op ops[] = {
        [ENGINE_EQUAL] = ICEBERG_EQ,   [ENGINE_LESS] = ICEBERG_LT,          [ENGINE_LESS_EQUAL] = ICEBERG_LE,
        [ENGINE_GREATER] = ICEBERG_GT, [ENGINE_GREATER_EQUAL] = ICEBERG_GE, [ENGINE_IN] = ICEBERG_IN,
    };
    const struct iceberg_field *field = iceberg_schema_find(schema, from->column, true);
    if (!field || nan_matters(field->type, from->compare))
        return false;
    struct iceberg_bytes *values = TN_ARENA_ARRAY(arena, struct iceberg_bytes, from->value_count);
    for (size_t i = 0; i < from->value_count; i++)
        if (!convert_value(arena, field->type, &from->values[i], &values[i]))
            return false;
    *ret = (struct iceberg_predicate){
        .field_id = field->id, .op = ops[from->compare], .values = values, .value_count = from->value_count};
    return true;
}

size_t dataset_predicates(struct tn_arena *arena, const struct iceberg_schema *schema,
                          const struct engine_table_ref *ref, const struct iceberg_predicate **ret)
{
    struct iceberg_predicate *predicates = TN_ARENA_ARRAY(arena, struct iceberg_predicate, ref->predicate_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < ref->predicate_count; i++)
        count += convert(arena, schema, &ref->predicates[i], &predicates[count]);
    *ret = predicates;
    return count;
}
