/* What the catalog says about a dataset, as JSON. */
#include "catalog/catalog_internal.h"

#include <stdlib.h>
#include <string.h>

#define LINEAGE_SHOWN 50

json_t *catalog_column_notes(const struct iceberg_metadata *metadata)
{
    const char *text = iceberg_metadata_property(metadata, CATALOG_P_COLUMNS);
    json_t *notes = NULL;
    if (text && tn_json_parse(text, strlen(text), (size_t)16 << 20, CATALOG_P_COLUMNS, &notes, NULL) == TN_OK &&
        json_is_object(notes))
        return notes;
    json_decref(notes);
    return json_object();
}

json_t *catalog_column_note_of(json_t *notes, int32_t field_id)
{
    char id[16];
    snprintf(id, sizeof id, "%d", field_id);
    json_t *note = json_object_get(notes, id);
    if (!note) {
        json_object_set_new(notes, id, json_object());
        note = json_object_get(notes, id);
    }
    return note;
}

const char *catalog_column_note(const json_t *columns, int32_t field_id, const char *what)
{
    char id[16];
    snprintf(id, sizeof id, "%d", field_id);
    return json_string_value(json_object_get(json_object_get(columns, id), what));
}

static void write_time_ms(struct tn_json *out, const char *key, int64_t ms)
{
    char text[TN_TIME_TEXT];
    tn_json_kstr(out, key, tn_time_format(ms * 1000, text));
}

static void write_schema(struct tn_json *out, const struct iceberg_metadata *metadata)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_JSON *notes = catalog_column_notes(metadata);
    tn_json_key(out, "schema");
    tn_json_open(out, '[');
    for (size_t i = 0; i < metadata->schema->field_count; i++) {
        const struct iceberg_field *field = &metadata->schema->fields[i];
        const char *original = catalog_column_note(notes, field->id, "original_name");
        const char *description = catalog_column_note(notes, field->id, "description");
        tn_json_open(out, '{');
        tn_json_kstr(out, "name", field->name);
        tn_json_kstr(out, "type", catalog_sql_type(arena, field->type));
        tn_json_kbool(out, "nullable", !field->required);
        tn_json_kstr(out, "original_name", original ? original : field->name);
        tn_json_ki64(out, "field_id", field->id);
        tn_json_kstr(out, "description", description ? description : field->doc);
        tn_json_kstr(out, "sensitivity", catalog_column_note(notes, field->id, "sensitivity"));
        tn_json_close(out, '}');
    }
    tn_json_close(out, ']');
}

static void write_key(struct tn_json *out, const struct iceberg_schema *schema)
{
    tn_json_key(out, "key");
    if (schema->identifier_count == 0) {
        tn_json_null(out);
        return;
    }
    tn_json_open(out, '[');
    for (size_t i = 0; i < schema->identifier_count; i++) {
        const struct iceberg_field *field = iceberg_schema_field(schema, schema->identifier_ids[i]);
        tn_json_str(out, field ? field->name : NULL);
    }
    tn_json_close(out, ']');
}

static void write_tags(struct tn_json *out, const struct iceberg_metadata *metadata)
{
    const char *tags = iceberg_metadata_property(metadata, CATALOG_P_TAGS);
    tn_json_key(out, "tags");
    if (tags)
        tn_json_raw(out, tags, strlen(tags)); /* written by catalog_patch as a JSON array */
    else
        tn_json_raw(out, "[]", 2);
}

/* Rows that a reader sees, by the totals: right for what Tarn writes. Others
 * leave deletes behind whose data file is gone. */
static int64_t live_rows(const struct iceberg_snapshot *snapshot)
{
    if (!snapshot)
        return 0;
    int64_t rows = iceberg_snapshot_count(snapshot, "total-records", 0);
    int64_t deleted = iceberg_snapshot_count(snapshot, "total-position-deletes", 0);
    return rows > deleted ? rows - deleted : 0;
}

static bool deletes_of_one_file(const struct iceberg_file *file)
{
    const struct iceberg_stats *paths = iceberg_file_stats(file, ICEBERG_DELETE_PATH_ID);
    return file->referenced_data_file || (paths && paths->lower.data && paths->lower.length == paths->upper.length &&
                                          memcmp(paths->lower.data, paths->upper.data, paths->lower.length) == 0);
}

static int by_address(const void *a, const void *b)
{
    const void *x = *(const void *const *)a, *y = *(const void *const *)b;
    return (x > y) - (x < y);
}

/* The same by the deletes that stand beside a live data file. */
static int64_t planned_rows(const struct iceberg_plan *plan)
{
    int64_t rows = 0;
    const struct iceberg_file **shared = NULL;
    size_t count = 0, capacity = 0;
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct iceberg_plan_file *planned = &plan->files[i];
        int64_t deleted = 0;
        for (size_t k = 0; k < planned->delete_count; k++) {
            if (deletes_of_one_file(planned->deletes[k])) {
                deleted += planned->deletes[k]->record_count;
                continue;
            }
            TN_GROW(shared, count, capacity);
            shared[count++] = planned->deletes[k];
        }
        rows += planned->file->record_count - TN_MIN(deleted, planned->file->record_count);
    }
    if (count > 0)
        qsort((void *)shared, count, sizeof *shared, by_address);
    for (size_t i = 0; i < count; i++)
        rows -= i > 0 && shared[i] == shared[i - 1] ? 0 : shared[i]->record_count;
    free((void *)shared);
    return TN_MAX(rows, 0);
}

static int64_t count_rows(struct catalog *catalog, const char *name, const struct iceberg_metadata *metadata)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_PLAN *plan = NULL;
    struct tn_error ignored = {0}; /* what cannot be planned cannot be read either; the totals will do */
    if (!metadata->current || iceberg_snapshot_count(metadata->current, "total-delete-files", 1) == 0)
        return live_rows(metadata->current);
    const struct iceberg_table table = catalog_table(catalog, arena, name);
    if (iceberg_plan_new(&table, metadata, NULL, NULL, 0, &plan, &ignored) != TN_OK)
        return live_rows(metadata->current);
    return planned_rows(plan);
}

static void write_size(struct catalog *catalog, const char *name, struct tn_json *out,
                       const struct iceberg_metadata *metadata)
{
    const struct iceberg_snapshot *now = metadata->current;
    tn_json_ki64(out, "rows", count_rows(catalog, name, metadata));
    tn_json_ki64(out, "bytes", now ? iceberg_snapshot_count(now, "total-files-size", 0) : 0);
    tn_json_ki64(out, "files", now ? iceberg_snapshot_count(now, "total-data-files", 0) : 0);
    tn_json_ki64(out, "delete_files", now ? iceberg_snapshot_count(now, "total-delete-files", 0) : 0);
}

static void write_snapshot_id(struct tn_json *out, const struct iceberg_snapshot *snapshot)
{
    tn_json_key(out, "snapshot_id");
    if (snapshot)
        tn_json_i64(out, snapshot->id); /* beyond 2^53: a string, as all integers are */
    else
        tn_json_null(out);
}

/* The summary's own keys that carry a number, under the names of the API. */
static void write_provenance(struct tn_json *out, const struct iceberg_snapshot *snapshot)
{
    static const struct {
        const char *key, *name;
        bool number;
    } shown[] = {
        {CATALOG_S_INGEST, "ingest_id", false},   {CATALOG_S_SOURCE, "source", false},
        {CATALOG_S_HASH, "content_hash", false},  {CATALOG_S_BYTES, "source_bytes", true},
        {CATALOG_S_ROWS, "rows", true},           {CATALOG_S_REJECTED, "rejected_rows", true},
        {CATALOG_S_ACTOR, "actor", false},        {CATALOG_S_REASON, "reason", false},
        {CATALOG_S_REQUEST, "request_id", false}, {CATALOG_S_STARTED, "started_at", false},
        {CATALOG_S_TOOK_MS, "took_ms", true},
    };
    for (size_t i = 0; i < TN_COUNT(shown); i++) {
        const char *value = iceberg_snapshot_summary(snapshot, shown[i].key);
        if (!value)
            continue;
        if (shown[i].number)
            tn_json_ki64(out, shown[i].name, iceberg_snapshot_count(snapshot, shown[i].key, 0));
        else
            tn_json_kstr(out, shown[i].name, value);
    }
}

static void write_lineage(struct tn_json *out, const struct iceberg_metadata *metadata)
{
    tn_json_key(out, "lineage");
    tn_json_open(out, '[');
    size_t shown = 0;
    for (size_t i = metadata->snapshot_count; i-- > 0 && shown < LINEAGE_SHOWN;) {
        const struct iceberg_snapshot *snapshot = metadata->snapshots[i];
        if (!iceberg_snapshot_summary(snapshot, CATALOG_S_SOURCE))
            continue;
        tn_json_open(out, '{');
        write_snapshot_id(out, snapshot);
        write_time_ms(out, "committed_at", snapshot->timestamp_ms);
        tn_json_kstr(out, "operation", snapshot->operation);
        write_provenance(out, snapshot);
        tn_json_close(out, '}');
        shown++;
    }
    tn_json_close(out, ']');
}

/* null: as the lake says. */
static void write_auto_embed(struct tn_json *out, const struct iceberg_metadata *metadata)
{
    const char *word = iceberg_metadata_property(metadata, CATALOG_P_AUTO_EMBED);
    if (word)
        tn_json_kbool(out, "auto_embed", tn_streq(word, "true"));
    else
        tn_json_kstr(out, "auto_embed", NULL);
}

enum tn_code catalog_describe(struct catalog *catalog, const char *name, struct tn_json *out, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(catalog_load(catalog, name, &metadata, err));
    char exact[CATALOG_NAME_MAX + 1];
    catalog_exact_name(name, exact);
    tn_json_open(out, '{');
    tn_json_kstr(out, "name", exact);
    tn_json_kstr(out, "format", "iceberg");
    write_size(catalog, exact, out, metadata);
    write_snapshot_id(out, metadata->current);
    tn_json_ki64(out, "snapshots", (int64_t)metadata->snapshot_count);
    tn_json_ki64(out, "version", metadata->version);
    if (metadata->snapshot_count > 0)
        write_time_ms(out, "created_at", metadata->snapshots[0]->timestamp_ms);
    write_time_ms(out, "updated_at", metadata->last_updated_ms);
    tn_json_kstr(out, "owner", iceberg_metadata_property(metadata, CATALOG_P_OWNER));
    tn_json_kstr(out, "description", iceberg_metadata_property(metadata, CATALOG_P_DESCRIPTION));
    tn_json_kstr(out, "sensitivity", iceberg_metadata_property(metadata, CATALOG_P_SENSITIVITY));
    write_auto_embed(out, metadata);
    write_tags(out, metadata);
    write_key(out, metadata->schema);
    write_schema(out, metadata);
    write_lineage(out, metadata);
    tn_json_kstr(out, "uuid", metadata->uuid);
    tn_json_kstr(out, "location", metadata->location);
    tn_json_kstr(out, "metadata_location", metadata->uri);
    tn_json_close(out, '}');
    return TN_OK;
}

enum tn_code catalog_summarize(struct catalog *catalog, const char *name, struct tn_json *out, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(catalog_load(catalog, name, &metadata, err));
    char exact[CATALOG_NAME_MAX + 1];
    catalog_exact_name(name, exact);
    tn_json_open(out, '{');
    tn_json_kstr(out, "name", exact);
    write_size(catalog, exact, out, metadata);
    tn_json_ki64(out, "columns", (int64_t)metadata->schema->field_count);
    write_snapshot_id(out, metadata->current);
    write_time_ms(out, "updated_at", metadata->last_updated_ms);
    tn_json_kstr(out, "owner", iceberg_metadata_property(metadata, CATALOG_P_OWNER));
    tn_json_kstr(out, "description", iceberg_metadata_property(metadata, CATALOG_P_DESCRIPTION));
    tn_json_kstr(out, "sensitivity", iceberg_metadata_property(metadata, CATALOG_P_SENSITIVITY));
    write_tags(out, metadata);
    tn_json_close(out, '}');
    return TN_OK;
}

enum tn_code catalog_snapshots(struct catalog *catalog, const char *name, int64_t before, size_t most,
                               struct tn_json *out, int64_t *ret_more, struct tn_error *err)
{
    size_t shown = 0;
    int64_t last = 0, more = 0;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(catalog_load(catalog, name, &metadata, err));
    tn_json_open(out, '[');
    for (size_t i = metadata->snapshot_count; i-- > 0;) {
        const struct iceberg_snapshot *snapshot = metadata->snapshots[i];
        if (snapshot->sequence_number >= before)
            continue;
        if (shown++ == most) {
            more = last;
            break;
        }
        last = snapshot->sequence_number;
        tn_json_open(out, '{');
        write_snapshot_id(out, snapshot);
        write_time_ms(out, "committed_at", snapshot->timestamp_ms);
        tn_json_kstr(out, "operation", snapshot->operation);
        tn_json_kbool(out, "current", snapshot == metadata->current);
        tn_json_ki64(out, "total_rows", live_rows(snapshot));
        tn_json_ki64(out, "added_rows", iceberg_snapshot_count(snapshot, "added-records", 0));
        tn_json_ki64(out, "total_files", iceberg_snapshot_count(snapshot, "total-data-files", 0));
        write_provenance(out, snapshot);
        tn_json_close(out, '}');
    }
    tn_json_close(out, ']');
    *ret_more = more;
    return TN_OK;
}
