/* What a partition transform yields: the types of a spec's fields. */
#include "base/str.h"
#include "iceberg/manifest.h"

#include <string.h>

static const struct iceberg_type *partition_type(const struct iceberg_partition_field *field,
                                                 const struct iceberg_schema *schema)
{
    static const struct {
        const char *transform;
        enum iceberg_kind kind;
    } fixed_kinds[] = {{"year", ICEBERG_INT}, {"month", ICEBERG_INT}, {"hour", ICEBERG_INT}, {"day", ICEBERG_DATE}};
    const struct iceberg_field *source = iceberg_schema_field(schema, field->source_id);
    for (size_t i = 0; i < TN_COUNT(fixed_kinds); i++)
        if (tn_streq(field->transform, fixed_kinds[i].transform))
            return iceberg_type_of(fixed_kinds[i].kind);
    if (tn_str_starts_with(field->transform, "bucket["))
        return iceberg_type_of(ICEBERG_INT);
    if (source && (tn_streq(field->transform, "identity") || tn_streq(field->transform, "void") ||
                   tn_str_starts_with(field->transform, "truncate[")))
        return source->type;
    return NULL;
}

const struct iceberg_type **manifest_partition_types(struct tn_arena *arena, const struct iceberg_spec *spec,
                                                     const struct iceberg_schema *schema)
{
    const struct iceberg_type **types = TN_ARENA_ARRAY(arena, const struct iceberg_type *, spec->field_count);
    for (size_t i = 0; i < spec->field_count; i++)
        types[i] = partition_type(&spec->fields[i], schema);
    return types;
}
