/* The strict validator: partition values beside their summaries, and delete
 * files beside the data files that they name. */
#include "base/str.h"
#include "iceberg/check_internal.h"
#include "iceberg/value.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* --- Partitions --- */

static bool partition_is_nan(const struct iceberg_type *type, struct iceberg_bytes value)
{
    return (type->kind == ICEBERG_FLOAT || type->kind == ICEBERG_DOUBLE) && isnan(value_get_f64(value));
}

/* A summary that leaves out a value makes clients skip the whole manifest. */
static bool partition_covered(const struct iceberg_type *type, const struct manifest_field_summary *summary,
                              struct iceberg_bytes value)
{
    if (!value.data)
        return summary->contains_null;
    if (partition_is_nan(type, value))
        return summary->contains_nan != 0;
    return summary->lower.data && summary->upper.data && iceberg_value_valid(type, summary->lower) &&
           iceberg_value_valid(type, summary->upper) && iceberg_value_compare(type, summary->lower, value) <= 0 &&
           iceberg_value_compare(type, value, summary->upper) <= 0;
}

static void check_partition(struct check *check, const struct manifest_row *row, const struct iceberg_spec *spec,
                            const struct iceberg_type **types, const struct iceberg_file *file)
{
    for (size_t i = 0; i < spec->field_count && i < file->partition_count; i++) {
        struct iceberg_bytes value = file->partition[i];
        if (!types[i])
            continue;
        if (value.data && !iceberg_value_valid(types[i], value))
            check_report(check, true, "partition-value", file->path, "\"%s\" does not hold a value of its type",
                         spec->fields[i].name);
        else if (i < row->partition_count && !partition_covered(types[i], &row->partitions[i], value))
            check_report(check, true, "partition-summaries", row->path,
                         "the summary of \"%s\" does not cover the partition of %s", spec->fields[i].name,
                         file->path);
    }
}

/* The column that a field was made from may be gone from the current schema. */
static const struct iceberg_type **partition_types(const struct check *check, const struct iceberg_spec *spec)
{
    const struct iceberg_metadata *metadata = check->metadata;
    const struct iceberg_type **types = manifest_partition_types(check->arena, spec, metadata->schema);
    for (size_t i = metadata->schema_count; i-- > 0;) {
        const struct iceberg_type **older = manifest_partition_types(check->arena, spec, metadata->schemas[i]);
        for (size_t k = 0; k < spec->field_count; k++)
            if (!types[k])
                types[k] = older[k];
    }
    return types;
}

void check_partitions(struct check *check, const struct manifest_row *row, const struct manifest_object *manifest)
{
    const struct iceberg_spec *spec = iceberg_metadata_spec(check->metadata, row->spec_id);
    if (!spec) {
        check_report(check, true, "partition-spec", row->path, "the table has no partition spec %d", row->spec_id);
        return;
    }
    if (spec->field_count == 0)
        return;
    const struct iceberg_type **types = partition_types(check, spec);
    for (size_t i = 0; i < manifest->count; i++)
        if (manifest->entries[i].status != MANIFEST_DELETED)
            check_partition(check, row, spec, types, &manifest->entries[i].file);
}

/* --- Delete files --- */

static int delete_order(const void *a, const void *b)
{
    const struct check_delete *x = a, *y = b;
    return strcmp(x->target, y->target);
}

static bool same_partition(struct check *check, const struct iceberg_file *a, const struct iceberg_file *b)
{
    const struct iceberg_spec *spec = iceberg_metadata_spec(check->metadata, a->spec_id);
    if (a->spec_id != b->spec_id || a->partition_count != b->partition_count)
        return false;
    bool typed = spec && spec->field_count == a->partition_count && a->partition_count > 0;
    return iceberg_partition_compare(typed ? partition_types(check, spec) : NULL, a->partition, b->partition,
                                     a->partition_count) == 0;
}

static void check_pair(struct check *check, const struct iceberg_file *deletes, const struct iceberg_file *data)
{
    if (!same_partition(check, deletes, data))
        check_report(check, true, "delete-partition", deletes->path,
                     "it does not lie in the partition of %s, so that clients overlook it", data->path);
    if (deletes->sequence_number < data->sequence_number)
        check_report(check, false, "delete-sequence", deletes->path,
                     "it is older than %s, and so deletes nothing of it", data->path);
    if (deletes->record_count > data->record_count)
        check_report(check, false, "delete-count", deletes->path,
                     "it deletes %" PRId64 " rows of %s, which has %" PRId64, deletes->record_count, data->path,
                     data->record_count);
}

static void check_data_file(struct check *check, struct check_totals *totals, const struct iceberg_file *file)
{
    size_t low = 0, high = totals->delete_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(totals->deletes[middle].target, file->path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < totals->delete_count && tn_streq(totals->deletes[low].target, file->path); low++) {
        totals->deletes[low].found = true;
        check_pair(check, totals->deletes[low].file, file);
    }
}

enum tn_code check_deletes(struct check *check, const struct iceberg_snapshot *snapshot,
                           const struct manifest_object *list, struct check_totals *totals, struct tn_error *err)
{
    if (totals->delete_count == 0)
        return TN_OK;
    qsort(totals->deletes, totals->delete_count, sizeof *totals->deletes, delete_order);
    for (size_t i = 0; i < list->count; i++) {
        TN_CLEANUP(manifest_object_unref_p) struct manifest_object *manifest = NULL;
        if (list->rows[i].content != MANIFEST_DATA)
            continue;
        enum tn_code code = table_open_manifest(check->table, check->metadata, &list->rows[i], &manifest, err);
        if (check_is_finding(code)) /* reported when it was looked at first */
            continue;
        TN_TRY(code);
        for (size_t k = 0; k < manifest->count; k++)
            if (manifest->entries[k].status != MANIFEST_DELETED)
                check_data_file(check, totals, &manifest->entries[k].file);
    }
    for (size_t i = 0; i < totals->delete_count; i++)
        if (!totals->deletes[i].found)
            check_report(check, false, "dangling-delete", totals->deletes[i].file->path,
                         "it deletes rows of a file that snapshot %" PRId64 " does not have", snapshot->id);
    return TN_OK;
}
