/* The strict validator: entries of manifests, and what they add up to. */
#include "base/str.h"
#include "iceberg/check_internal.h"
#include "iceberg/schema.h"
#include "iceberg/value.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void check_totals_release(struct check_totals *totals)
{
    tx_paths_release(&totals->live);
    free(totals->deletes);
}

/* A column may be gone from the current schema and live on in an old one. */
static const struct iceberg_field *check_field(const struct check *check, int32_t id)
{
    for (size_t i = check->metadata->schema_count; i-- > 0;) {
        const struct iceberg_field *field = iceberg_schema_field(check->metadata->schemas[i], id);
        if (field)
            return field;
    }
    return NULL;
}

static bool check_is_nan(const struct iceberg_type *type, struct iceberg_bytes value)
{
    return (type->kind == ICEBERG_FLOAT || type->kind == ICEBERG_DOUBLE) && isnan(value_get_f64(value));
}

static void check_bounds(struct check *check, const char *path, const struct iceberg_field *field,
                         const struct iceberg_stats *stats)
{
    const struct iceberg_bytes bounds[] = {stats->lower, stats->upper};
    for (size_t i = 0; i < TN_COUNT(bounds); i++) {
        if (!bounds[i].data)
            continue;
        if (!iceberg_value_valid(field->type, bounds[i])) {
            check_report(check, true, "bound", path, "a bound of \"%s\" is not a value of its type", field->name);
            return;
        }
        if (check_is_nan(field->type, bounds[i])) {
            check_report(check, true, "bound-nan", path, "a bound of \"%s\" is NaN", field->name);
            return;
        }
    }
    if (stats->lower.data && stats->upper.data && iceberg_value_compare(field->type, stats->lower, stats->upper) > 0)
        check_report(check, true, "bound-order", path, "the bounds of \"%s\" are swapped", field->name);
}

static void check_stats(struct check *check, const struct iceberg_file *file)
{
    for (size_t i = 0; i < file->stats_count; i++) {
        const struct iceberg_stats *stats = &file->stats[i];
        const struct iceberg_field *field = check_field(check, stats->field_id);
        if (i && stats->field_id == file->stats[i - 1].field_id)
            check_report(check, true, "stats-twice", file->path, "statistics of column %d stand twice",
                         stats->field_id);
        if (stats->value_count < ICEBERG_NONE || stats->null_count < ICEBERG_NONE ||
            stats->nan_count < ICEBERG_NONE ||
            (stats->value_count >= 0 &&
             (stats->null_count > stats->value_count || stats->nan_count > stats->value_count)))
            check_report(check, true, "stats-counts", file->path, "counts of column %d contradict each other",
                         stats->field_id);
        if (file->content != ICEBERG_DATA)
            continue;
        if (!field)
            check_report(check, false, "stats-column", file->path, "statistics of the unknown column %d",
                         stats->field_id);
        else if (iceberg_kind_nested(field->type->kind))
            check_report(check, false, "stats-column", file->path, "statistics of \"%s\", which is not a leaf",
                         field->name);
        else
            check_bounds(check, file->path, field, stats);
    }
}

static void check_delete_file(struct check *check, const struct iceberg_file *file)
{
    const struct iceberg_stats *paths = iceberg_file_stats(file, ICEBERG_DELETE_PATH_ID);
    if (file->sort_order_id > 0)
        check_report(check, false, "delete-sort-order", file->path, "a delete file with a sort order");
    if (!file->referenced_data_file)
        return;
    const struct iceberg_bytes target = {(const uint8_t *)file->referenced_data_file,
                                         strlen(file->referenced_data_file)};
    const struct iceberg_type *text = iceberg_type_of(ICEBERG_STRING);
    if (paths && paths->lower.data && paths->upper.data &&
        (iceberg_value_compare(text, paths->lower, target) > 0 ||
         iceberg_value_compare(text, target, paths->upper) > 0))
        check_report(check, true, "delete-target", file->path,
                     "it deletes rows of %s, by the bounds of its paths of another file", file->referenced_data_file);
    else if (!paths || !value_same(paths->lower, target) || !value_same(paths->upper, target))
        check_report(check, false, "delete-bounds", file->path,
                     "the bounds of file_path are not the referenced data file, which some clients go by");
}

enum tn_code check_entry(struct check *check, const struct manifest_row *row, const struct manifest_entry *entry,
                         struct tn_error *err)
{
    const struct iceberg_file *file = &entry->file;
    (void)err;
    if (entry->status != MANIFEST_DELETED && file->record_count == 0)
        check_report(check, false, "empty-file", file->path, "a file without rows, which some clients cannot read");
    if (file->sequence_number > row->sequence_number || file->file_sequence_number > row->sequence_number)
        check_report(check, true, "sequence-number", file->path, "its sequence number is above its manifest's");
    if (entry->status == MANIFEST_ADDED && file->snapshot_id != row->added_snapshot_id)
        check_report(check, true, "added-snapshot", file->path,
                     "added by snapshot %" PRId64 " in a manifest of snapshot %" PRId64, file->snapshot_id,
                     row->added_snapshot_id);
    if (entry->status == MANIFEST_DELETED && file->snapshot_id != row->added_snapshot_id)
        check_report(check, false, "deleted-snapshot", file->path,
                     "deleted by snapshot %" PRId64 " in a manifest of snapshot %" PRId64, file->snapshot_id,
                     row->added_snapshot_id);
    for (size_t i = 1; i < file->split_count; i++)
        if (file->split_offsets[i] <= file->split_offsets[i - 1])
            check_report(check, false, "split-offsets", file->path, "split offsets do not ascend");
    if (file->split_count && file->split_offsets[file->split_count - 1] >= file->size_bytes)
        check_report(check, true, "split-offsets", file->path, "a split offset lies behind the file's end");
    check_stats(check, file);
    if (file->content != ICEBERG_DATA)
        check_delete_file(check, file);
    return TN_OK;
}

/* --- Sums --- */

/* Named, or, as some writers say it, by bounds of its paths that are equal. */
static const char *check_delete_target(struct check *check, const struct iceberg_file *file)
{
    const struct iceberg_stats *paths = iceberg_file_stats(file, ICEBERG_DELETE_PATH_ID);
    if (tx_delete_target(file) || file->content != ICEBERG_POSITION_DELETES)
        return tx_delete_target(file);
    if (!paths || !paths->lower.data || !value_same(paths->lower, paths->upper))
        return NULL;
    return tn_arena_strndup(check->arena, (const char *)paths->lower.data, paths->lower.length);
}

void check_count_entry(struct check *check, struct check_totals *totals, const struct iceberg_snapshot *snapshot,
                       const struct iceberg_file *file)
{
    const char *path = tn_arena_strdup(check->arena, file->path);
    if (!tx_paths_add(&totals->live, path))
        check_report(check, true, "path-twice", file->path, "the file stands twice in snapshot %" PRId64,
                     snapshot->id);
    totals->bytes += file->size_bytes;
    if (file->content == ICEBERG_DATA) {
        totals->data_files++;
        totals->records += file->record_count;
        return;
    }
    totals->delete_files++;
    *(file->content == ICEBERG_POSITION_DELETES ? &totals->position_deletes : &totals->equality_deletes) +=
        file->record_count;
    struct iceberg_file *copy = tn_arena_alloc(check->arena, sizeof *copy);
    manifest_copy_file(check->arena, file, copy);
    struct check_delete found = {.file = copy, .target = check_delete_target(check, copy)};
    if (!found.target)
        return;
    TN_GROW(totals->deletes, totals->delete_count, totals->delete_capacity);
    totals->deletes[totals->delete_count++] = found;
}

static void check_total(struct check *check, const struct iceberg_snapshot *snapshot, const char *key, int64_t want)
{
    const char *text = iceberg_snapshot_summary(snapshot, key);
    if (!text)
        check_report(check, false, "totals", snapshot->manifest_list, "snapshot %" PRId64 " does not say %s",
                     snapshot->id, key);
    else if (iceberg_snapshot_count(snapshot, key, ICEBERG_NONE) != want)
        check_report(check, true, "totals", snapshot->manifest_list,
                     "snapshot %" PRId64 " says %s = %s, and it is %" PRId64, snapshot->id, key, text, want);
}

void check_compare_totals(struct check *check, const struct check_totals *totals,
                          const struct iceberg_snapshot *snapshot)
{
    check_total(check, snapshot, "total-records", totals->records);
    check_total(check, snapshot, "total-data-files", totals->data_files);
    check_total(check, snapshot, "total-delete-files", totals->delete_files);
    check_total(check, snapshot, "total-position-deletes", totals->position_deletes);
    check_total(check, snapshot, "total-equality-deletes", totals->equality_deletes);
    check_total(check, snapshot, "total-files-size", totals->bytes);
}
