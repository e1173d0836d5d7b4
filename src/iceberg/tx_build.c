/* The manifests of a commit: new files in new ones, removals by rewriting those
 * that hold them, the rest by copying rows of the old list. */
#include "base/id.h"
#include "base/str.h"
#include "iceberg/tx_internal.h"
#include "iceberg/value.h"

#include <inttypes.h>
#include <string.h>

void tx_push_row(struct iceberg_tx *tx, const struct manifest_row *row)
{
    TN_GROW(tx->rows, tx->row_count, tx->row_capacity);
    tx->rows[tx->row_count++] = *row;
}

enum tn_code tx_put_object(struct iceberg_tx *tx, const char *uri, const void *bytes, size_t count,
                           struct tn_error *err)
{
    const char *key = NULL;
    TN_TRY(iceberg_resolve(tx->attempt, &tx->table, tx->base, uri, &key, err));
    TN_TRY(store_batch_put(tx->batch, key, bytes, count, err));
    TN_GROW(tx->written, tx->written_count, tx->written_capacity);
    tx->written[tx->written_count++] = key;
    return TN_OK;
}

static void tx_keep_object(struct iceberg_tx *tx, struct manifest_object *object)
{
    TN_GROW(tx->objects, tx->object_count, tx->object_capacity);
    tx->objects[tx->object_count++] = object;
}

const char *tx_delete_target(const struct iceberg_file *file)
{
    if (file->content != ICEBERG_POSITION_DELETES)
        return NULL;
    return file->referenced_data_file;
}

/* A delete file whose path bounds are equal belongs to that one data file too;
 * some writers say it only so. */
static bool tx_targets_removed(const struct iceberg_tx *tx, const struct iceberg_file *file)
{
    const char *target = tx_delete_target(file);
    if (target)
        return tx_paths_has(&tx->removed, target);
    const struct iceberg_stats *stats = iceberg_file_stats(file, ICEBERG_DELETE_PATH_ID);
    if (file->content != ICEBERG_POSITION_DELETES || !stats || !stats->lower.data ||
        !value_same(stats->lower, stats->upper))
        return false;
    TN_AUTO_FREE char *path = tn_strndup((const char *)stats->lower.data, stats->lower.length);
    return tx_paths_has(&tx->removed, path);
}

static bool tx_removes(const struct iceberg_tx *tx, const struct iceberg_file *file)
{
    return tx->remove_all || tx_paths_has(&tx->removed, file->path) || tx_targets_removed(tx, file);
}

static void tx_count(struct tx_counts *counts, const struct iceberg_file *file)
{
    counts->files[file->content]++;
    counts->rows[file->content] += file->record_count;
    counts->bytes += file->size_bytes;
}

/* --- New manifests --- */

const struct iceberg_schema *tx_spec_schema(const struct iceberg_tx *tx, const struct iceberg_spec *spec,
                                            const char **ret_json)
{
    const struct iceberg_schema *schema = tx_schema(tx, ret_json);
    const struct iceberg_schema *found = iceberg_spec_schema(tx->attempt, tx->base, spec, schema);
    if (!found || found == schema)
        return schema; /* without a column of the spec, the manifest is refused */
    TN_AUTO_BUF json = {0};
    iceberg_schema_json(found, &json);
    *ret_json = tn_arena_strndup(tx->attempt, json.data, json.len);
    return found;
}

static enum tn_code tx_open_build(struct iceberg_tx *tx, struct manifest_build *build, enum manifest_content content,
                                  int32_t spec_id, struct tn_error *err)
{
    const struct iceberg_spec *spec = iceberg_metadata_spec(tx->base, spec_id);
    const char *json = NULL;
    if (!spec)
        return tn_fail(err, TN_EINTERNAL, "%s has no partition spec %d", tx->table.prefix, spec_id);
    const struct iceberg_schema *schema = tx_spec_schema(tx, spec, &json);
    return manifest_build_open(build, tx->attempt, content, schema, json, spec, NULL, err);
}

enum tn_code tx_put_manifest(struct iceberg_tx *tx, struct manifest_build *build, struct tn_error *err)
{
    char uuid[TN_UUID_TEXT];
    struct manifest_row row;
    TN_TRY(manifest_build_finish(build, err));
    row = build->row;
    row.path =
        tn_arena_printf(tx->attempt, "%s/metadata/%s-m%u.avro", table_base_uri(tx->attempt, &tx->table, tx->base),
                        tn_uuid7(uuid), tx->manifest_count++);
    row.sequence_number = tx->sequence_number;
    row.min_sequence_number = TN_MIN(row.min_sequence_number, tx->sequence_number);
    row.added_snapshot_id = tx->snapshot_id;
    const struct tn_buf *bytes = &build->writer.out;
    TN_TRY(tx_put_object(tx, row.path, bytes->data, bytes->len, err));
    /* Reading it back costs microseconds, fills the cache, and proves that what
     * is about to be committed can be read. */
    struct manifest_object *object = NULL;
    TN_TRY(manifest_decode(bytes->data, bytes->len, row.path, &row, build->spec, &object, err));
    tx_keep_object(tx, object);
    tx_push_row(tx, &row);
    return TN_OK;
}

static enum tn_code tx_check_stats(const struct iceberg_schema *schema, const struct iceberg_file *file,
                                   struct tn_error *err)
{
    for (size_t i = 0; i < file->stats_count && file->content == ICEBERG_DATA; i++) {
        const struct iceberg_stats *stats = &file->stats[i];
        const struct iceberg_field *field = iceberg_schema_field(schema, stats->field_id);
        if (!field)
            return tn_fail(err, TN_EINTERNAL, "%s has statistics of column %d, which the table does not have",
                           file->path, stats->field_id);
        if ((stats->lower.data && !iceberg_value_valid(field->type, stats->lower)) ||
            (stats->upper.data && !iceberg_value_valid(field->type, stats->upper)))
            return tn_fail(err, TN_EINTERNAL, "%s: a bound of column \"%s\" is not of its type", file->path,
                           field->name);
    }
    return TN_OK;
}

/* The added files of one kind and spec. */
static enum tn_code tx_write_added(struct iceberg_tx *tx, enum manifest_content content, int32_t spec_id,
                                   struct tn_error *err)
{
    TN_CLEANUP(manifest_build_release) struct manifest_build build = {0};
    const char *json = NULL;
    const struct iceberg_schema *schema = tx_schema(tx, &json);
    TN_TRY(tx_open_build(tx, &build, content, spec_id, err));
    for (size_t i = 0; i < tx->added_count; i++) {
        struct iceberg_file file = *tx->added[i];
        if ((file.content != ICEBERG_DATA) != (content == MANIFEST_DELETES) || file.spec_id != spec_id)
            continue;
        TN_TRY(tx_check_stats(schema, &file, err));
        if (file.partition_count != build.spec->field_count)
            return tn_fail(err, TN_EINTERNAL, "%s has %zu partition values, and spec %d has %zu fields", file.path,
                           file.partition_count, spec_id, build.spec->field_count);
        file.snapshot_id = tx->snapshot_id;
        TN_TRY(manifest_build_add(&build, MANIFEST_ADDED, &file, err));
        tx_count(&tx->plus, &file);
    }
    return tx_put_manifest(tx, &build, err);
}

static enum tn_code tx_write_all_added(struct iceberg_tx *tx, struct tn_error *err)
{
    TN_CLEANUP(tx_paths_release) struct tx_paths paths = {0};
    for (size_t i = 0; i < tx->added_count; i++) {
        const struct iceberg_file *file = tx->added[i];
        if (!tx_paths_add(&paths, file->path))
            return tn_fail(err, TN_EINTERNAL, "%s is added twice", file->path);
        bool first = true; /* of its kind and spec */
        for (size_t k = 0; k < i && first; k++)
            first = (tx->added[k]->content == ICEBERG_DATA) != (file->content == ICEBERG_DATA) ||
                    tx->added[k]->spec_id != file->spec_id;
        if (first)
            TN_TRY(tx_write_added(tx, file->content == ICEBERG_DATA ? MANIFEST_DATA : MANIFEST_DELETES, file->spec_id,
                                  err));
    }
    return TN_OK;
}

/* --- Removals --- */

static enum tn_code tx_rewrite_manifest(struct iceberg_tx *tx, const struct manifest_row *row,
                                        const struct manifest_object *manifest, struct tn_error *err)
{
    TN_CLEANUP(manifest_build_release) struct manifest_build build = {0};
    TN_TRY(tx_open_build(tx, &build, (enum manifest_content)row->content, row->spec_id, err));
    for (size_t i = 0; i < manifest->count; i++) {
        const struct manifest_entry *entry = &manifest->entries[i];
        struct iceberg_file file = entry->file;
        if (entry->status == MANIFEST_DELETED)
            continue; /* of an older snapshot */
        bool removed = tx_removes(tx, &file);
        if (removed) {
            file.snapshot_id = tx->snapshot_id;
            tx_count(&tx->minus, &file);
            (void)tx_paths_add(&tx->found, tn_arena_strdup(tx->attempt, entry->file.path)); /* the manifest goes */
        }
        TN_TRY(manifest_build_add(&build, removed ? MANIFEST_DELETED : MANIFEST_EXISTING, &file, err));
    }
    return tx_put_manifest(tx, &build, err);
}

/* Rewrites the manifest of `row` if something of it goes; *ret_touched says. */
static enum tn_code tx_remove_from(struct iceberg_tx *tx, const struct manifest_row *row, bool *ret_touched,
                                   struct tn_error *err)
{
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *manifest = NULL;
    TN_TRY(table_open_manifest(&tx->table, tx->base, row, &manifest, err));
    bool touched = false;
    for (size_t i = 0; i < manifest->count && !touched; i++)
        touched = manifest->entries[i].status != MANIFEST_DELETED && tx_removes(tx, &manifest->entries[i].file);
    *ret_touched = touched;
    return touched ? tx_rewrite_manifest(tx, row, manifest, err) : TN_OK;
}

static enum tn_code tx_check_found(struct iceberg_tx *tx, struct tn_error *err)
{
    for (size_t i = 0; i < tx->removed_count; i++)
        if (!tx_paths_has(&tx->found, tx->removed_list[i]))
            return tn_fail(err, TN_ECONFLICT, "%s is no longer a file of %s", tx->removed_list[i], tx->table.prefix);
    return TN_OK;
}

/* --- All together --- */

static bool tx_row_is_live(const struct manifest_row *row)
{
    return row->added_files != 0 || row->existing_files != 0; /* unknown counts as live */
}

static enum tn_code tx_carry_rows(struct iceberg_tx *tx, const struct manifest_object *list, struct tn_error *err)
{
    const struct manifest_row **kept = TN_ARENA_ARRAY(tx->attempt, const struct manifest_row *, list->count);
    size_t kept_count = 0;
    bool removes = tx->removed_count || tx->remove_all;
    for (size_t i = 0; i < list->count; i++) {
        const struct manifest_row *row = &list->rows[i];
        bool touched = false;
        if (!tx_row_is_live(row))
            continue;
        if (removes)
            TN_TRY(tx_remove_from(tx, row, &touched, err));
        if (!touched)
            kept[kept_count++] = row;
    }
    return tx_keep_rows(tx, kept, kept_count, err);
}

enum tn_code tx_build_manifests(struct iceberg_tx *tx, const char **ret_list, struct tn_error *err)
{
    TN_AUTO_BUF bytes = {0};
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *old = NULL;
    char uuid[TN_UUID_TEXT];
    const struct iceberg_snapshot *start = tx_start(tx);
    if (tx->start_id != ICEBERG_NONE && !start)
        return tn_fail(err, TN_ECONFLICT, "snapshot %" PRId64 " is no longer there", tx->start_id);
    if (start)
        TN_TRY(table_open_list(&tx->table, tx->base, start, &old, err));
    TN_TRY(tx_place_deletes(tx, old, err));
    TN_TRY(tx_write_all_added(tx, err));
    if (start)
        TN_TRY(tx_carry_rows(tx, old, err));
    TN_TRY(tx_check_found(tx, err));
    int64_t parent = tx->base->current ? tx->base->current->id : ICEBERG_NONE;
    TN_TRY(manifest_list_encode(tx->rows, tx->row_count, tx->snapshot_id, parent, tx->sequence_number, NULL, &bytes,
                                err));
    const char *uri =
        tn_arena_printf(tx->attempt, "%s/metadata/snap-%" PRId64 "-1-%s.avro",
                        table_base_uri(tx->attempt, &tx->table, tx->base), tx->snapshot_id, tn_uuid4(uuid));
    TN_TRY(tx_put_object(tx, uri, bytes.data, bytes.len, err));
    struct manifest_object *list = NULL;
    TN_TRY(manifest_list_decode(bytes.data, bytes.len, uri, &list, err));
    tx_keep_object(tx, list);
    *ret_list = uri;
    return TN_OK;
}
