/* The strict validator: metadata, manifest lists, manifests. Stricter than any
 * client, because each client is lenient in another place. */
#include "base/hash.h"
#include "base/str.h"
#include "iceberg/check_internal.h"
#include "iceberg/schema.h"

#include <inttypes.h>
#include <string.h>

void check_report(struct check *check, bool fatal, const char *rule, const char *where, const char *format, ...)
{
    TN_AUTO_BUF text = {0};
    va_list args;
    va_start(args, format);
    tn_buf_vprintf(&text, format, args);
    va_end(args);
    const struct iceberg_finding finding = {.fatal = fatal, .rule = rule, .where = where, .text = text.data};
    check->each(check->context, &finding);
}

bool check_is_finding(enum tn_code code)
{
    return code == TN_ECORRUPT || code == TN_EUNSUPPORTED || code == TN_ENOTFOUND || code == TN_ETOOLARGE;
}

/* --- Metadata --- */

/* Java refuses the whole table when a key's column may be NULL or is no plain value. */
static void check_identifiers(struct check *check, const struct iceberg_schema *schema, const char *where)
{
    for (size_t i = 0; i < schema->identifier_count; i++) {
        const struct iceberg_field *field = iceberg_schema_field(schema, schema->identifier_ids[i]);
        if (!field)
            check_report(check, true, "identifier-field", where, "schema %d has the unknown key column %d",
                         schema->id, schema->identifier_ids[i]);
        else if (!field->required || iceberg_kind_nested(field->type->kind) || field->type->kind == ICEBERG_FLOAT ||
                 field->type->kind == ICEBERG_DOUBLE)
            check_report(check, true, "identifier-field", where,
                         "\"%s\" of schema %d cannot be a key: it is optional, nested or a float", field->name,
                         schema->id);
    }
}

static void check_history(struct check *check, const struct iceberg_metadata *metadata, const char *where)
{
    size_t count = metadata->snapshot_log_count;
    for (size_t i = 1; i < count; i++)
        if (metadata->snapshot_log[i].timestamp_ms + 60000 < metadata->snapshot_log[i - 1].timestamp_ms)
            check_report(check, true, "snapshot-log-order", where, "the snapshot log goes back in time at entry %zu",
                         i);
    if (count && metadata->last_updated_ms + 60000 < metadata->snapshot_log[count - 1].timestamp_ms)
        check_report(check, true, "last-updated-ms", where, "last-updated-ms is before the newest snapshot");
    if (count && metadata->current && metadata->snapshot_log[count - 1].snapshot_id != metadata->current->id)
        check_report(check, false, "snapshot-log", where, "the snapshot log does not end with the current snapshot");
    const struct iceberg_ref *main_ref = iceberg_metadata_ref_named(metadata, "main");
    if (metadata->current && !main_ref)
        check_report(check, true, "ref-main", where, "there is a current snapshot and no ref \"main\"");
    else if (main_ref && (!metadata->current || main_ref->snapshot_id != metadata->current->id))
        check_report(check, true, "ref-main", where, "the ref \"main\" is not the current snapshot");
    for (size_t i = 0; i < metadata->ref_count; i++)
        if (!iceberg_metadata_snapshot(metadata, metadata->refs[i].snapshot_id))
            check_report(check, true, "ref", where, "the ref \"%s\" names a snapshot that is not there",
                         metadata->refs[i].name);
}

static void check_metadata(struct check *check)
{
    const struct iceberg_metadata *metadata = check->metadata;
    const char *where = metadata->uri ? metadata->uri : "metadata";
    for (size_t i = 0; i < metadata->schema_count; i++) {
        check_identifiers(check, metadata->schemas[i], where);
        if (iceberg_schema_highest_id(metadata->schemas[i]) > metadata->last_column_id)
            check_report(check, true, "last-column-id", where, "schema %d has column ids above last-column-id %d",
                         metadata->schemas[i]->id, metadata->last_column_id);
    }
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *snapshot = metadata->snapshots[i];
        if (snapshot->schema_id == ICEBERG_NONE)
            check_report(check, false, "snapshot-schema-id", where, "snapshot %" PRId64 " has no schema-id",
                         snapshot->id);
        else if (!iceberg_metadata_schema(metadata, snapshot->schema_id))
            check_report(check, true, "snapshot-schema-id", where, "snapshot %" PRId64 " has the unknown schema %d",
                         snapshot->id, snapshot->schema_id);
        if (snapshot->operation[0] == '\0')
            check_report(check, true, "summary-operation", where, "snapshot %" PRId64 " has no operation",
                         snapshot->id);
        if (i && snapshot->sequence_number <= metadata->snapshots[i - 1]->sequence_number &&
            metadata->format_version > 1)
            check_report(check, true, "sequence-number", where,
                         "snapshot %" PRId64 " does not have a higher sequence number than the one before",
                         snapshot->id);
    }
    check_history(check, metadata, where);
}

/* --- Avro files --- */

static void check_form(struct check *check, const struct manifest_object *object)
{
    const struct manifest_form *form = &object->form;
    if (!form->codec)
        check_report(check, true, "codec", object->uri, "the file does not name its codec; some clients then fail");
    if (form->ids_by_name)
        check_report(check, true, "field-id", object->uri, "a field or list element has no id");
    if (form->null_not_first)
        check_report(check, true, "null-first-union", object->uri, "an optional field does not have null first");
}

static void check_header(struct check *check, const struct manifest_row *row, const struct manifest_object *manifest)
{
    const struct manifest_form *form = &manifest->form;
    const char *content = row->content == MANIFEST_DELETES ? "deletes" : "data";
    const struct iceberg_schema *schema = NULL;
    struct tn_error err = {0};
    if (!form->header_schema ||
        iceberg_schema_parse(check->arena, form->header_schema, strlen(form->header_schema), &schema, &err) != TN_OK)
        check_report(check, true, "manifest-schema", manifest->uri, "the header has no table schema: %s", err.detail);
    if (check->metadata->format_version < 2)
        return;
    if (!form->header_format_version || tn_streq(form->header_format_version, "1"))
        check_report(check, false, "manifest-format", manifest->uri, "the header does not say format 2 or later");
    /* ClickHouse leaves these two out and everybody reads on; a wrong one misleads. */
    if (!form->header_content || !tn_streq(form->header_content, content))
        check_report(check, form->header_content != NULL, "manifest-content", manifest->uri,
                     "the header does not say \"%s\"", content);
    int64_t spec_id = ICEBERG_NONE;
    if (!form->header_spec_id || !tn_parse_i64(form->header_spec_id, &spec_id) || spec_id != row->spec_id)
        check_report(check, form->header_spec_id != NULL, "manifest-spec", manifest->uri,
                     "the header's partition-spec-id is not %d", row->spec_id);
}

static void check_counts(struct check *check, const struct manifest_row *row, const struct manifest_object *manifest)
{
    int64_t files[3] = {0}, rows[3] = {0}, least = INT64_MAX;
    for (size_t i = 0; i < manifest->count; i++) {
        const struct manifest_entry *entry = &manifest->entries[i];
        files[entry->status]++;
        rows[entry->status] += entry->file.record_count;
        if (entry->status != MANIFEST_DELETED)
            least = TN_MIN(least, entry->file.sequence_number);
    }
    if (row->added_files != files[MANIFEST_ADDED] || row->existing_files != files[MANIFEST_EXISTING] ||
        row->deleted_files != files[MANIFEST_DELETED])
        check_report(check, true, "manifest-counts", manifest->uri, "the list's file counts are not the manifest's");
    if (row->added_rows != rows[MANIFEST_ADDED] || row->existing_rows != rows[MANIFEST_EXISTING] ||
        row->deleted_rows != rows[MANIFEST_DELETED])
        check_report(check, true, "manifest-counts", manifest->uri, "the list's row counts are not the manifest's");
    if (row->min_sequence_number > least)
        check_report(check, true, "min-sequence-number", manifest->uri,
                     "min_sequence_number %" PRId64 " is above that of a live file, %" PRId64,
                     row->min_sequence_number, least);
}

static enum tn_code check_length(struct check *check, const char *uri, int64_t want, struct tn_error *err)
{
    const char *key = NULL;
    uint64_t size = 0;
    TN_TRY(iceberg_resolve(check->arena, check->table, check->metadata, uri, &key, err));
    enum tn_code code = store_head(check->table->store, key, &size, err);
    if (code == TN_ENOTFOUND) {
        check_report(check, true, "missing", uri, "the file is not there");
        return TN_OK;
    }
    TN_TRY(code);
    if ((int64_t)size != want)
        check_report(check, true, "length", uri, "the file has %" PRIu64 " bytes, and %" PRId64 " are recorded", size,
                     want);
    return TN_OK;
}

/* What a list says of a manifest. Lists copy it from one another. */
static const char *row_text(struct check *check, const struct manifest_row *row)
{
    TN_AUTO_BUF text = {0};
    tn_buf_printf(&text,
                  "%" PRId64 " %d %d %" PRId64 " %" PRId64 " %" PRId64 " %d %d %d %" PRId64 " %" PRId64 " %" PRId64,
                  row->length, row->spec_id, row->content, row->sequence_number, row->min_sequence_number,
                  row->added_snapshot_id, row->added_files, row->existing_files, row->deleted_files, row->added_rows,
                  row->existing_rows, row->deleted_rows);
    for (size_t i = 0; i < row->partition_count; i++) {
        const struct manifest_field_summary *field = &row->partitions[i];
        tn_buf_printf(&text, " %d %d %016" PRIx64 " %016" PRIx64, field->contains_null, field->contains_nan,
                      tn_hash64(field->lower.data, field->lower.length, field->lower.data != NULL),
                      tn_hash64(field->upper.data, field->upper.length, field->upper.data != NULL));
    }
    tn_buf_printf(&text, " %s", row->path);
    return tn_arena_strndup(check->arena, text.data, text.len);
}

/* A manifest by itself: once for each different thing that lists say of it. */
static enum tn_code check_manifest(struct check *check, const struct manifest_row *row,
                                   const struct manifest_object *manifest, struct tn_error *err)
{
    if (!tx_paths_add(&check->manifests, row_text(check, row)))
        return TN_OK;
    TN_TRY(check_length(check, row->path, row->length, err));
    check_form(check, manifest);
    check_header(check, row, manifest);
    check_counts(check, row, manifest);
    check_partitions(check, row, manifest);
    for (size_t i = 0; i < manifest->count; i++) {
        const struct manifest_entry *entry = &manifest->entries[i];
        TN_TRY(check_entry(check, row, entry, err));
        if (entry->status == MANIFEST_DELETED)
            continue;
        if (tx_paths_has(&check->files, entry->file.path))
            continue;
        (void)tx_paths_add(&check->files, tn_arena_strdup(check->arena, entry->file.path));
        TN_TRY(check_length(check, entry->file.path, entry->file.size_bytes, err));
    }
    return TN_OK;
}

/* --- Snapshots --- */

static void check_row(struct check *check, const struct iceberg_snapshot *snapshot, const struct manifest_row *row)
{
    if (row->sequence_number > snapshot->sequence_number || row->min_sequence_number > row->sequence_number)
        check_report(check, true, "sequence-number", row->path,
                     "sequence numbers %" PRId64 " and %" PRId64 " do not fit snapshot %" PRId64,
                     row->min_sequence_number, row->sequence_number, snapshot->id);
    const struct iceberg_spec *spec = iceberg_metadata_spec(check->metadata, row->spec_id);
    if (spec && row->partition_count && row->partition_count != spec->field_count)
        check_report(check, true, "partition-summaries", row->path, "%zu field summaries for %zu partition fields",
                     row->partition_count, spec->field_count);
    if (spec && !row->partition_count && spec->field_count)
        check_report(check, false, "partition-summaries", row->path, "no field summaries for a partitioned table");
}

static enum tn_code check_rows(struct check *check, const struct iceberg_snapshot *snapshot,
                               const struct manifest_object *list, struct check_totals *totals, struct tn_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        TN_CLEANUP(manifest_object_unref_p) struct manifest_object *manifest = NULL;
        struct tn_error cause = {0};
        const struct manifest_row *row = &list->rows[i];
        check_row(check, snapshot, row);
        enum tn_code code = table_open_manifest(check->table, check->metadata, row, &manifest, &cause);
        if (check_is_finding(code)) {
            check_report(check, true, "manifest", row->path, "%s", cause.detail);
            continue;
        }
        if (code != TN_OK)
            return tn_fail(err, code, "%s", cause.detail);
        TN_TRY(check_manifest(check, row, manifest, err));
        for (size_t k = 0; k < manifest->count; k++)
            if (manifest->entries[k].status != MANIFEST_DELETED)
                check_count_entry(check, totals, snapshot, &manifest->entries[k].file);
    }
    return TN_OK;
}

static enum tn_code check_snapshot(struct check *check, const struct iceberg_snapshot *snapshot, struct tn_error *err)
{
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *list = NULL;
    TN_CLEANUP(check_totals_release) struct check_totals totals = {0};
    struct tn_error cause = {0};
    enum tn_code code = table_open_list(check->table, check->metadata, snapshot, &list, &cause);
    if (check_is_finding(code)) {
        check_report(check, true, "manifest-list", snapshot->manifest_list ? snapshot->manifest_list : "metadata",
                     "%s", cause.detail);
        return TN_OK;
    }
    if (code != TN_OK)
        return tn_fail(err, code, "%s", cause.detail);
    check_form(check, list);
    TN_TRY(check_rows(check, snapshot, list, &totals, err));
    TN_TRY(check_deletes(check, snapshot, list, &totals, err));
    check_compare_totals(check, &totals, snapshot);
    return TN_OK;
}

/* --- Orphans --- */

static void check_orphan(void *context, const char *key, int64_t size)
{
    check_report(context, false, "orphan", key, "no version of the table uses this object (%" PRId64 " bytes)", size);
}

static void check_release(struct check *check)
{
    tx_paths_release(&check->manifests);
    tx_paths_release(&check->files);
    tn_arena_free(check->arena);
}

enum tn_code iceberg_check(const struct iceberg_table *table, const struct iceberg_metadata *metadata,
                           iceberg_finding_fn *each, void *context, struct tn_error *err)
{
    /* What the cache holds was decoded from other bytes, perhaps long ago. */
    const struct iceberg_table uncached = {table->store, table->prefix, NULL};
    TN_CLEANUP(check_release)
    struct check check = {
        .table = &uncached, .metadata = metadata, .arena = tn_arena_new(), .each = each, .context = context};
    check_metadata(&check);
    for (size_t i = 0; i < metadata->snapshot_count; i++)
        TN_TRY(check_snapshot(&check, metadata->snapshots[i], err));
    struct tn_error cause = {0};
    enum tn_code code = iceberg_table_orphans(&uncached, 0, false, check_orphan, &check, &cause);
    if (code == TN_OK || check_is_finding(code)) /* then it was reported above */
        return TN_OK;
    return tn_fail(err, code, "%s", cause.detail);
}
