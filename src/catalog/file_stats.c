/* From the engine's statistics of a Parquet file to Iceberg's.
 *
 * The engine names leaf columns by quoted path ("l"."element") and gives
 * values as text; Iceberg wants field ids and single-value bytes. A bound that
 * cannot be trusted is left out: readers then scan, which is always right.
 */
#include "catalog/catalog.h"
#include "engine/engine.h"

#include <string.h>

/* One "quoted" part of a path; returns what is behind it and its dot. */
static const char *path_part(struct tn_arena *arena, const char *path, const char **ret_name)
{
    TN_AUTO_BUF name = {0};
    if (*path == '"') {
        for (path++; *path && !(*path == '"' && path[1] != '"'); path++) {
            if (*path == '"')
                path++;
            tn_buf_putc(&name, *path);
        }
        if (*path == '"')
            path++;
    } else {
        while (*path && *path != '.')
            tn_buf_putc(&name, *path++);
    }
    if (*path == '.')
        path++;
    *ret_name = tn_arena_strndup(arena, name.data ? name.data : "", name.len);
    return path;
}

static const struct iceberg_field *field_in(const struct iceberg_field *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (tn_streq(fields[i].name, name))
            return &fields[i];
    return NULL;
}

/* Maps are written as a list "key_value" of pairs: that level has no field. */
static const struct iceberg_field *field_at_path(struct tn_arena *arena, const struct iceberg_schema *schema,
                                                 const char *path)
{
    const struct iceberg_field *field = NULL;
    while (*path) {
        const char *name;
        path = path_part(arena, path, &name);
        if (!field)
            field = field_in(schema->fields, schema->field_count, name);
        else if (!(field->type->kind == ICEBERG_MAP && tn_streq(name, "key_value")) &&
                 !(field->type->kind == ICEBERG_LIST && tn_streq(name, "list")))
            field = field_in(field->type->fields, field->type->field_count, name);
        if (!field)
            return NULL;
    }
    return field;
}

static bool is_float(const struct iceberg_type *type)
{
    return type->kind == ICEBERG_FLOAT || type->kind == ICEBERG_DOUBLE;
}

/* The engine sorts NaN above all numbers, so a NaN hides the largest one; a
 * blob's text is cut in ways that are not worth following. */
static bool bounds_usable(const struct iceberg_type *type)
{
    return type->kind != ICEBERG_BINARY && type->kind != ICEBERG_FIXED;
}

static void put_bounds(struct tn_arena *arena, const struct iceberg_type *type,
                       const struct engine_column_stats *from, struct iceberg_stats *to)
{
    if (!bounds_usable(type))
        return;
    struct iceberg_bytes value;
    if (from->min && iceberg_value_parse(arena, type, from->min, strlen(from->min), &value, NULL) == TN_OK)
        to->lower = iceberg_bound_lower(arena, type, value);
    bool nan_hides_max = is_float(type) && from->nan_count != 0;
    if (from->max && !nan_hides_max &&
        iceberg_value_parse(arena, type, from->max, strlen(from->max), &value, NULL) == TN_OK)
        to->upper = iceberg_bound_upper(arena, type, value);
}

static int by_field_id(const void *a, const void *b)
{
    const struct iceberg_stats *x = a, *y = b;
    return (x->field_id > y->field_id) - (x->field_id < y->field_id);
}

void catalog_file_stats(struct tn_arena *arena, const struct iceberg_schema *schema,
                        const struct engine_file_stats *written, struct iceberg_file *ret)
{
    struct iceberg_stats *stats = TN_ARENA_ARRAY(arena, struct iceberg_stats, written->column_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < written->column_count; i++) {
        const struct engine_column_stats *from = &written->columns[i];
        const struct iceberg_field *field = field_at_path(arena, schema, from->path);
        if (!field || field->type->field_count > 0) /* figures are of leaves */
            continue;
        struct iceberg_stats *to = &stats[count++];
        *to = (struct iceberg_stats){
            .field_id = field->id,
            .column_size = from->size_bytes,
            .value_count = from->value_count,
            .null_count = from->null_count,
            .nan_count = is_float(field->type) ? from->nan_count : ICEBERG_NONE,
        };
        put_bounds(arena, field->type, from, to);
    }
    qsort(stats, count, sizeof *stats, by_field_id);
    *ret = (struct iceberg_file){
        .content = ICEBERG_DATA,
        .format = "PARQUET",
        .record_count = (int64_t)written->rows,
        .size_bytes = (int64_t)written->size_bytes,
        .stats = stats,
        .stats_count = count,
        .split_offsets = written->split_offsets,
        .split_count = written->split_count,
        .sort_order_id = ICEBERG_NONE,
    };
}
