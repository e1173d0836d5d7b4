#include "dataset/readable.h"
#include "dataset/dataset_internal.h"

#include <inttypes.h>
#include <string.h>

bool dataset_file_is_as_is(const struct iceberg_file *file, int32_t schema_id)
{
    char suffix[48];
    snprintf(suffix, sizeof suffix, DATASET_FILE_SUFFIX, schema_id);
    return tn_str_ends_with(file->path, suffix);
}

static enum tn_code check_types(const struct iceberg_schema *schema, struct tn_error *err)
{
    if (schema->field_count == 0)
        return tn_fail(err, TN_EUNSUPPORTED, "the table has no columns");
    for (size_t i = 0; i < schema->field_count; i++) {
        if (!*schema->fields[i].name)
            return tn_fail(err, TN_EUNSUPPORTED, "column %zu of the table has no name", i + 1);
        if (schema->fields[i].type->kind == ICEBERG_UNSUPPORTED)
            return tn_fail(err, TN_EUNSUPPORTED, "column \"%s\" has the type %s, which Tarn does not read yet",
                           schema->fields[i].name, schema->fields[i].type->text);
    }
    return TN_OK;
}

/* --- What was called otherwise inside of a struct --- */

static const struct iceberg_field *child_by_id(const struct iceberg_type *type, int32_t id)
{
    for (size_t i = 0; i < type->field_count; i++)
        if (type->fields[i].id == id)
            return &type->fields[i];
    return NULL;
}

static bool has_child_named(const struct iceberg_type *type, const char *name)
{
    for (size_t i = 0; i < type->field_count; i++)
        if (tn_str_equal_nocase(type->fields[i].name, name))
            return true;
    return false;
}

/* The field below `now` whose values the reader would not find in a file of
 * `old`, or would take from another field: it goes by names there, where
 * columns go by their ids. NULL: there is none. */
static const struct iceberg_field *find_renamed(const struct iceberg_type *old, const struct iceberg_type *now)
{
    bool common = old->kind != ICEBERG_STRUCT;
    if (old->kind != now->kind)
        return NULL;
    for (size_t i = 0; i < now->field_count; i++) {
        const struct iceberg_field *field = &now->fields[i], *was = child_by_id(old, field->id);
        common = common || has_child_named(old, field->name);
        if (was ? !tn_str_equal_nocase(was->name, field->name) : has_child_named(old, field->name))
            return field;
        const struct iceberg_field *below = was ? find_renamed(was->type, field->type) : NULL;
        if (below)
            return below;
    }
    return common || now->field_count == 0 ? NULL : &now->fields[0];
}

static enum tn_code check_renamed(const struct iceberg_schema *old, const struct iceberg_schema *now,
                                  struct tn_error *err)
{
    for (size_t i = 0; i < now->field_count; i++) {
        const struct iceberg_field *was = iceberg_schema_field(old, now->fields[i].id);
        const struct iceberg_field *renamed = was ? find_renamed(was->type, now->fields[i].type) : NULL;
        if (!renamed)
            continue;
        tn_fail(err, TN_EUNSUPPORTED,
                "column \"%s\": its field \"%s\" was renamed or replaced after files were written, and Tarn finds "
                "fields inside of a struct by their names alone",
                now->fields[i].name, renamed->name);
        tn_error_hint(err, "read it with the engine that changed it, or copy it there into a new table");
        return TN_EUNSUPPORTED;
    }
    return TN_OK;
}

/* Whether files of the plan can be of that schema: it is not younger than the
 * one that is read, or some snapshot until then was written with it. */
static bool is_of_then(const struct iceberg_plan *plan, const struct iceberg_schema *schema, int32_t id)
{
    const struct iceberg_metadata *metadata = plan->metadata;
    bool then = id <= schema->id || !plan->snapshot;
    for (size_t i = 0; i < metadata->snapshot_count && !then; i++)
        then = metadata->snapshots[i]->schema_id == id &&
               metadata->snapshots[i]->sequence_number <= plan->snapshot->sequence_number;
    return then;
}

/* Of our own files the name says which schema they have; others may have any.
 * A part of a plan that was looked at comes without the metadata. */
static enum tn_code check_nested(const struct iceberg_plan *plan, const struct iceberg_schema *schema,
                                 struct tn_error *err)
{
    const struct iceberg_metadata *metadata = plan->metadata;
    bool nested = false;
    for (size_t i = 0; i < schema->field_count; i++)
        nested = nested || schema->fields[i].type->field_count > 0;
    for (size_t i = 0; nested && metadata && i < metadata->schema_count; i++) {
        const struct iceberg_schema *old = metadata->schemas[i];
        enum tn_code code = is_of_then(plan, schema, old->id) ? check_renamed(old, schema, err) : TN_OK;
        for (size_t k = 0; k < plan->file_count && code != TN_OK; k++)
            if (!strstr(plan->files[k].file->path, DATASET_FILE_MARK) ||
                dataset_file_is_as_is(plan->files[k].file, old->id))
                return code;
    }
    return TN_OK;
}

enum tn_code dataset_check_readable(const struct iceberg_plan *plan, const struct iceberg_schema *schema,
                                    struct tn_error *err)
{
    TN_TRY(check_types(schema, err));
    return check_nested(plan, schema, err);
}
