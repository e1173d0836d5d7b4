/* Table metadata, parsed strictly: what the reference reader refuses is refused
 * here too, with the place named. */
#include "base/order.h"
#include "base/str.h"
#include "iceberg/metadata_internal.h"
#include "iceberg/schema.h"

#include <string.h>

/* --- Snapshots --- */

static size_t metadata_snapshot_size(const struct doc_node *node, const struct doc_node *summary)
{
    /* Decoded texts are never longer than the JSON, terminators included,
     * since every text had two quotation marks. */
    size_t pairs = summary ? summary->count : 0;
    return sizeof(struct metadata_snapshot) + pairs * sizeof(struct iceberg_pair) + 2 * (node->raw_length + 1);
}

static const char *metadata_place(char **at, const char *text, size_t length)
{
    char *out = *at;
    memcpy(out, text, length);
    out[length] = '\0';
    *at += length + 1;
    return out;
}

static enum tn_code metadata_fill_summary(struct iceberg_snapshot *snapshot, struct iceberg_pair *pairs, char **at,
                                          const struct doc_node *summary, const char *what, struct tn_error *err)
{
    snapshot->operation = "";
    snapshot->summary = pairs;
    for (const struct doc_node *item = summary ? summary->first : NULL; item; item = item->next) {
        if (item->kind != DOC_STRING)
            return tn_fail(err, TN_ECORRUPT, "%s: snapshot summary \"%.60s\" must be text", what, item->key);
        const char *value = metadata_place(at, item->text, item->text_length);
        if (tn_streq(item->key, "operation")) {
            snapshot->operation = value;
            continue;
        }
        pairs[snapshot->summary_count].key = metadata_place(at, item->key, item->key_length);
        pairs[snapshot->summary_count++].value = value;
    }
    return TN_OK;
}

static enum tn_code metadata_fill_snapshot(struct iceberg_snapshot *snapshot, struct iceberg_pair *pairs, char *at,
                                           const struct doc_node *node, const char *what, struct tn_error *err)
{
    const char *list = NULL;
    const struct doc_node *summary = doc_get(node, "summary");
    snapshot->json = metadata_place(&at, node->raw, node->raw_length);
    snapshot->json_length = node->raw_length;
    snapshot->parent_id = ICEBERG_NONE;
    snapshot->schema_id = ICEBERG_NONE;
    TN_TRY(doc_need_i64(node, "snapshot-id", what, &snapshot->id, err));
    TN_TRY(doc_need_i64(node, "timestamp-ms", what, &snapshot->timestamp_ms, err));
    TN_TRY(doc_take_i64(node, "parent-snapshot-id", what, &snapshot->parent_id, err));
    TN_TRY(doc_take_i64(node, "sequence-number", what, &snapshot->sequence_number, err));
    TN_TRY(doc_take_i32(node, "schema-id", what, &snapshot->schema_id, err));
    TN_TRY(doc_take_text(node, "manifest-list", what, &list, err));
    if (list)
        snapshot->manifest_list = metadata_place(&at, list, strlen(list));
    if (summary && summary->kind != DOC_OBJECT)
        return tn_fail(err, TN_ECORRUPT, "%s: a snapshot's \"summary\" is not an object", what);
    return metadata_fill_summary(snapshot, pairs, &at, summary, what, err);
}

struct metadata_snapshot *metadata_snapshot_new(const struct doc_node *node, const char *what, enum tn_code *ret_code,
                                                struct tn_error *err)
{
    if (node->kind != DOC_OBJECT) {
        *ret_code = tn_fail(err, TN_ECORRUPT, "%s: a snapshot is not an object", what);
        return NULL;
    }
    const struct doc_node *summary = doc_get(node, "summary");
    size_t pairs = summary ? summary->count : 0;
    struct metadata_snapshot *snapshot = tn_calloc(1, metadata_snapshot_size(node, summary));
    struct iceberg_pair *list = (struct iceberg_pair *)(void *)(snapshot + 1);
    atomic_init(&snapshot->refs, 1);
    *ret_code = metadata_fill_snapshot(&snapshot->shown, list, (char *)(list + pairs), node, what, err);
    if (*ret_code != TN_OK) {
        free(snapshot);
        return NULL;
    }
    return snapshot;
}

void metadata_snapshot_unref(struct metadata_snapshot *snapshot)
{
    if (snapshot && atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) == 1)
        free(snapshot);
}

/* --- Schemas --- */

struct metadata_schema *metadata_schema_new(const struct doc_node *node, const char *what, enum tn_code *ret_code,
                                            struct tn_error *err)
{
    struct metadata_schema *schema = tn_calloc(1, sizeof *schema);
    atomic_init(&schema->refs, 1);
    schema->arena = tn_arena_new();
    *ret_code = schema_of_doc(schema->arena, node, what, &schema->shown, err);
    if (*ret_code != TN_OK) {
        metadata_schema_unref(schema);
        return NULL;
    }
    schema->json = tn_arena_strndup(schema->arena, node->raw, node->raw_length);
    schema->json_length = node->raw_length;
    return schema;
}

void metadata_schema_unref(struct metadata_schema *schema)
{
    if (!schema || atomic_fetch_sub_explicit(&schema->refs, 1, memory_order_acq_rel) != 1)
        return;
    tn_arena_free(schema->arena);
    free(schema);
}

/* --- The document --- */

struct metadata_reader {
    struct metadata *metadata;
    struct tn_arena *scratch;
    const struct doc_node *root;
    const char *what;
    struct tn_error *err;
};

static struct metadata_raw metadata_copy_raw(struct tn_arena *arena, const char *key, const struct doc_node *node)
{
    return (struct metadata_raw){key ? tn_arena_strdup(arena, key) : NULL,
                                 tn_arena_strndup(arena, node->raw, node->raw_length), node->raw_length};
}

static const struct doc_node *metadata_optional(struct metadata_reader *in, const char *key)
{
    const struct doc_node *node = doc_get(in->root, key);
    return doc_is_null(node) ? NULL : node;
}

static enum tn_code metadata_array(struct metadata_reader *in, const char *key, const struct doc_node **ret)
{
    *ret = metadata_optional(in, key);
    return *ret ? doc_need(in->root, key, DOC_ARRAY, in->what, ret, in->err) : TN_OK;
}

static enum tn_code metadata_parse_scalars(struct metadata_reader *in)
{
    struct metadata *metadata = in->metadata;
    struct iceberg_metadata *shown = &metadata->shown;
    const char *uuid = "", *location = NULL;
    int32_t version = 0;
    TN_TRY(doc_need_i32(in->root, "format-version", in->what, &version, in->err));
    if (version < 1 || version > 3)
        return tn_fail(in->err, TN_EUNSUPPORTED, "%s: table format version %d (1 to 3 are known)", in->what, version);
    shown->format_version = version;
    if (version == 1)
        TN_TRY(doc_take_text(in->root, "table-uuid", in->what, &uuid, in->err));
    else
        TN_TRY(doc_need_text(in->root, "table-uuid", in->what, &uuid, in->err));
    TN_TRY(doc_need_text(in->root, "location", in->what, &location, in->err));
    shown->uuid = tn_arena_strdup(metadata->arena, uuid);
    shown->location = tn_arena_strdup(metadata->arena, location);
    if (version > 1)
        TN_TRY(doc_need_i64(in->root, "last-sequence-number", in->what, &shown->last_sequence_number, in->err));
    TN_TRY(doc_need_i64(in->root, "last-updated-ms", in->what, &shown->last_updated_ms, in->err));
    TN_TRY(doc_need_i32(in->root, "last-column-id", in->what, &shown->last_column_id, in->err));
    if (shown->last_sequence_number < 0 || shown->last_column_id < 0)
        return tn_fail(in->err, TN_ECORRUPT, "%s: a counter is negative", in->what);
    return TN_OK;
}

static enum tn_code metadata_parse_schemas(struct metadata_reader *in)
{
    struct metadata *metadata = in->metadata;
    const struct doc_node *list = NULL, *single = metadata_optional(in, "schema");
    TN_TRY(metadata_array(in, "schemas", &list));
    bool legacy = !list && single && metadata->shown.format_version == 1;
    if (!legacy && (!list || list->count == 0))
        return tn_fail(in->err, TN_ECORRUPT, "%s: \"schemas\" is missing or empty", in->what);
    size_t count = legacy ? 1 : list->count;
    metadata->schemas = tn_calloc(count, sizeof(*metadata->schemas));
    const struct iceberg_schema **shown = TN_ARENA_ARRAY(metadata->arena, const struct iceberg_schema *, count);
    metadata->shown.schemas = shown;
    int32_t current = 0;
    if (!legacy)
        TN_TRY(doc_need_i32(in->root, "current-schema-id", in->what, &current, in->err));
    for (const struct doc_node *node = legacy ? single : list->first; node; node = legacy ? NULL : node->next) {
        enum tn_code code = TN_OK;
        struct metadata_schema *schema = metadata_schema_new(node, in->what, &code, in->err);
        if (!schema)
            return code;
        size_t at = metadata->shown.schema_count++;
        metadata->schemas[at] = schema;
        shown[at] = schema->shown;
        if (legacy || schema->shown->id == current)
            metadata->shown.schema = schema->shown;
    }
    if (!metadata->shown.schema)
        return tn_fail(in->err, TN_ECORRUPT, "%s: current-schema-id %d is not among the schemas", in->what, current);
    return TN_OK;
}

static enum tn_code metadata_parse_spec(struct metadata_reader *in, const struct doc_node *fields, int32_t id,
                                        const struct iceberg_spec **ret)
{
    struct tn_arena *arena = in->metadata->arena;
    struct iceberg_spec *spec = tn_arena_alloc(arena, sizeof *spec);
    struct iceberg_partition_field *list = TN_ARENA_ARRAY(arena, struct iceberg_partition_field, fields->count);
    spec->id = id;
    spec->fields = list;
    for (const struct doc_node *node = fields->first; node; node = node->next) {
        struct iceberg_partition_field *field = &list[spec->field_count];
        const char *name = NULL, *transform = NULL;
        field->field_id = (int32_t)(1000 + spec->field_count++); /* v1 may leave it out */
        if (doc_get(node, "source-ids") && !doc_get(node, "source-id"))
            field->source_id = ICEBERG_NONE; /* v3: a transform of several columns */
        else
            TN_TRY(doc_need_i32(node, "source-id", in->what, &field->source_id, in->err));
        TN_TRY(doc_take_i32(node, "field-id", in->what, &field->field_id, in->err));
        TN_TRY(doc_need_text(node, "name", in->what, &name, in->err));
        TN_TRY(doc_need_text(node, "transform", in->what, &transform, in->err));
        field->name = tn_arena_strdup(arena, name);
        field->transform = tn_arena_strdup(arena, transform);
    }
    *ret = spec;
    return TN_OK;
}

static enum tn_code metadata_parse_specs(struct metadata_reader *in)
{
    struct metadata *metadata = in->metadata;
    const struct doc_node *list = NULL, *single = NULL;
    TN_TRY(metadata_array(in, "partition-specs", &list));
    TN_TRY(metadata_array(in, "partition-spec", &single));
    bool legacy = !list && single && metadata->shown.format_version == 1;
    if (!legacy && (!list || list->count == 0))
        return tn_fail(in->err, TN_ECORRUPT, "%s: \"partition-specs\" is missing or empty", in->what);
    size_t count = legacy ? 1 : list->count;
    const struct iceberg_spec **shown = TN_ARENA_ARRAY(metadata->arena, const struct iceberg_spec *, count);
    metadata->specs = TN_ARENA_ARRAY(metadata->arena, struct metadata_raw, count);
    metadata->shown.specs = shown;
    if (legacy) {
        metadata->shown.spec_count = 1;
        return metadata_parse_spec(in, single, 0, &shown[0]);
    }
    TN_TRY(doc_need_i32(in->root, "default-spec-id", in->what, &metadata->shown.default_spec_id, in->err));
    for (const struct doc_node *node = list->first; node; node = node->next) {
        size_t at = metadata->shown.spec_count++;
        const struct doc_node *fields = NULL;
        int32_t id = 0;
        TN_TRY(doc_need_i32(node, "spec-id", in->what, &id, in->err));
        TN_TRY(doc_need(node, "fields", DOC_ARRAY, in->what, &fields, in->err));
        TN_TRY(metadata_parse_spec(in, fields, id, &shown[at]));
        metadata->specs[at] = metadata_copy_raw(metadata->arena, NULL, node);
    }
    if (!iceberg_metadata_spec(&metadata->shown, metadata->shown.default_spec_id))
        return tn_fail(in->err, TN_ECORRUPT, "%s: default-spec-id %d is not among the partition specs", in->what,
                       metadata->shown.default_spec_id);
    return TN_OK;
}

static enum tn_code metadata_parse_orders(struct metadata_reader *in)
{
    struct metadata *metadata = in->metadata;
    const struct doc_node *list = NULL;
    metadata->last_partition_id = 999;
    TN_TRY(doc_take_i32(in->root, "last-partition-id", in->what, &metadata->last_partition_id, in->err));
    TN_TRY(metadata_array(in, "sort-orders", &list));
    TN_TRY(
        doc_take_i32(in->root, "default-sort-order-id", in->what, &metadata->shown.default_sort_order_id, in->err));
    if (!list && metadata->shown.format_version == 1)
        return TN_OK;
    if (!list || list->count == 0)
        return tn_fail(in->err, TN_ECORRUPT, "%s: \"sort-orders\" is missing or empty", in->what);
    metadata->orders = metadata_copy_raw(metadata->arena, NULL, list);
    for (const struct doc_node *node = list->first; node; node = node->next) {
        int32_t id = 0;
        TN_TRY(doc_need_i32(node, "order-id", in->what, &id, in->err));
        if (id == metadata->shown.default_sort_order_id)
            return TN_OK;
    }
    return tn_fail(in->err, TN_ECORRUPT, "%s: default-sort-order-id %d is not among the sort orders", in->what,
                   metadata->shown.default_sort_order_id);
}

static enum tn_code metadata_parse_properties(struct metadata_reader *in)
{
    struct metadata *metadata = in->metadata;
    const struct doc_node *object = metadata_optional(in, "properties");
    if (!object)
        return TN_OK;
    TN_TRY(doc_need(in->root, "properties", DOC_OBJECT, in->what, &object, in->err));
    struct iceberg_pair *pairs = TN_ARENA_ARRAY(metadata->arena, struct iceberg_pair, object->count);
    metadata->shown.properties = pairs;
    for (const struct doc_node *node = object->first; node; node = node->next) {
        if (node->kind != DOC_STRING)
            return tn_fail(in->err, TN_ECORRUPT, "%s: property \"%.60s\" must be text", in->what, node->key);
        pairs[metadata->shown.property_count++] = (struct iceberg_pair){tn_arena_strdup(metadata->arena, node->key),
                                                                        tn_arena_strdup(metadata->arena, node->text)};
    }
    return TN_OK;
}

static enum tn_code metadata_check_ids(struct metadata_reader *in)
{
    const struct iceberg_metadata *shown = &in->metadata->shown;
    TN_AUTO_FREE int64_t *ids = tn_calloc(shown->snapshot_count + 1, sizeof *ids);
    for (size_t i = 0; i < shown->snapshot_count; i++)
        ids[i] = shown->snapshots[i]->id;
    qsort(ids, shown->snapshot_count, sizeof *ids, tn_order_i64);
    for (size_t i = 1; i < shown->snapshot_count; i++)
        if (ids[i] == ids[i - 1])
            return tn_fail(in->err, TN_ECORRUPT, "%s: two snapshots have the id %lld", in->what, (long long)ids[i]);
    return TN_OK;
}

static enum tn_code metadata_parse_snapshots(struct metadata_reader *in)
{
    struct metadata *metadata = in->metadata;
    struct iceberg_metadata *shown = &metadata->shown;
    const struct doc_node *list = NULL;
    TN_TRY(metadata_array(in, "snapshots", &list));
    size_t count = list ? list->count : 0;
    metadata->snapshots = tn_calloc(count + 1, sizeof(*metadata->snapshots));
    const struct iceberg_snapshot **pointers =
        TN_ARENA_ARRAY(metadata->arena, const struct iceberg_snapshot *, count);
    shown->snapshots = pointers;
    for (const struct doc_node *node = list ? list->first : NULL; node; node = node->next) {
        enum tn_code code = TN_OK;
        struct metadata_snapshot *snapshot = metadata_snapshot_new(node, in->what, &code, in->err);
        if (!snapshot)
            return code;
        metadata->snapshots[shown->snapshot_count] = snapshot;
        pointers[shown->snapshot_count++] = &snapshot->shown;
        if (snapshot->shown.sequence_number > shown->last_sequence_number)
            return tn_fail(in->err, TN_ECORRUPT, "%s: snapshot %lld has sequence number %lld, above the table's %lld",
                           in->what, (long long)snapshot->shown.id, (long long)snapshot->shown.sequence_number,
                           (long long)shown->last_sequence_number);
    }
    TN_TRY(metadata_check_ids(in));
    int64_t current = ICEBERG_NONE;
    TN_TRY(doc_take_i64(in->root, "current-snapshot-id", in->what, &current, in->err));
    if (current == ICEBERG_NONE)
        return TN_OK;
    shown->current = iceberg_metadata_snapshot(shown, current);
    if (!shown->current)
        return tn_fail(in->err, TN_ECORRUPT, "%s: current-snapshot-id %lld is not among the snapshots", in->what,
                       (long long)current);
    return TN_OK;
}

static enum tn_code metadata_parse_refs(struct metadata_reader *in)
{
    struct metadata *metadata = in->metadata;
    struct iceberg_metadata *shown = &metadata->shown;
    const struct doc_node *object = metadata_optional(in, "refs");
    if (!object)
        return TN_OK;
    TN_TRY(doc_need(in->root, "refs", DOC_OBJECT, in->what, &object, in->err));
    struct iceberg_ref *refs = TN_ARENA_ARRAY(metadata->arena, struct iceberg_ref, object->count);
    shown->refs = refs;
    for (const struct doc_node *node = object->first; node; node = node->next) {
        struct iceberg_ref *ref = &refs[shown->ref_count++];
        const char *type = "branch";
        TN_TRY(doc_need_i64(node, "snapshot-id", in->what, &ref->snapshot_id, in->err));
        TN_TRY(doc_take_text(node, "type", in->what, &type, in->err));
        struct metadata_raw raw = metadata_copy_raw(metadata->arena, node->key, node);
        ref->name = raw.key;
        ref->is_tag = tn_streq(type, "tag");
        ref->json = raw.json;
        ref->json_length = raw.length;
        if (!iceberg_metadata_snapshot(shown, ref->snapshot_id))
            return tn_fail(in->err, TN_ECORRUPT, "%s: ref \"%.60s\" names the unknown snapshot %lld", in->what,
                           ref->name, (long long)ref->snapshot_id);
        if (tn_streq(ref->name, "main") && (!shown->current || shown->current->id != ref->snapshot_id))
            return tn_fail(in->err, TN_ECORRUPT, "%s: ref \"main\" is not the current snapshot", in->what);
    }
    return TN_OK;
}

static enum tn_code metadata_parse_logs(struct metadata_reader *in)
{
    struct metadata *metadata = in->metadata;
    struct iceberg_metadata *shown = &metadata->shown;
    const struct doc_node *snapshots = NULL, *files = NULL;
    TN_TRY(metadata_array(in, "snapshot-log", &snapshots));
    TN_TRY(metadata_array(in, "metadata-log", &files));
    struct iceberg_log_entry *list =
        TN_ARENA_ARRAY(metadata->arena, struct iceberg_log_entry, snapshots ? snapshots->count : 0);
    for (const struct doc_node *node = snapshots ? snapshots->first : NULL; node; node = node->next) {
        struct iceberg_log_entry *entry = &list[shown->snapshot_log_count++];
        TN_TRY(doc_need_i64(node, "timestamp-ms", in->what, &entry->timestamp_ms, in->err));
        TN_TRY(doc_need_i64(node, "snapshot-id", in->what, &entry->snapshot_id, in->err));
    }
    shown->snapshot_log = list;
    list = TN_ARENA_ARRAY(metadata->arena, struct iceberg_log_entry, files ? files->count : 0);
    for (const struct doc_node *node = files ? files->first : NULL; node; node = node->next) {
        struct iceberg_log_entry *entry = &list[shown->metadata_log_count++];
        const char *file = NULL;
        TN_TRY(doc_need_i64(node, "timestamp-ms", in->what, &entry->timestamp_ms, in->err));
        TN_TRY(doc_need_text(node, "metadata-file", in->what, &file, in->err));
        entry->file = tn_arena_strdup(metadata->arena, file);
    }
    shown->metadata_log = list;
    return TN_OK;
}

/* Members that no code here interprets are kept as they are. */
static void metadata_keep_others(struct metadata_reader *in)
{
    static const char *const known[] = {
        "format-version",        "table-uuid",      "location",          "last-sequence-number",
        "last-updated-ms",       "last-column-id",  "schemas",           "current-schema-id",
        "partition-specs",       "default-spec-id", "last-partition-id", "sort-orders",
        "default-sort-order-id", "properties",      "snapshots",         "refs",
        "current-snapshot-id",   "snapshot-log",    "metadata-log",
    };
    struct metadata *metadata = in->metadata;
    metadata->others = TN_ARENA_ARRAY(metadata->arena, struct metadata_raw, in->root->count);
    for (const struct doc_node *node = in->root->first; node; node = node->next) {
        bool skip = false;
        for (size_t i = 0; i < TN_COUNT(known) && !skip; i++)
            skip = tn_streq(known[i], node->key);
        if (!skip)
            metadata->others[metadata->other_count++] = metadata_copy_raw(metadata->arena, node->key, node);
    }
}

static enum tn_code metadata_parse_all(struct metadata_reader *in, const char *json, size_t length)
{
    TN_TRY(doc_parse(in->scratch, json, length, in->what, &in->root, in->err));
    if (in->root->kind != DOC_OBJECT)
        return tn_fail(in->err, TN_ECORRUPT, "%s: table metadata must be a JSON object", in->what);
    TN_TRY(metadata_parse_scalars(in));
    TN_TRY(metadata_parse_schemas(in));
    TN_TRY(metadata_parse_specs(in));
    TN_TRY(metadata_parse_orders(in));
    TN_TRY(metadata_parse_properties(in));
    TN_TRY(metadata_parse_snapshots(in));
    TN_TRY(metadata_parse_refs(in));
    TN_TRY(metadata_parse_logs(in));
    metadata_keep_others(in);
    return TN_OK;
}

enum tn_code iceberg_metadata_parse(const char *json, size_t length, const char *uri, struct iceberg_metadata **ret,
                                    struct tn_error *err)
{
    const char *what = uri ? uri : "table metadata";
    if (length > ICEBERG_METADATA_MAX_BYTES)
        return tn_fail(err, TN_EUNSUPPORTED, "%s: %zu MB of table metadata (the limit is %zu MB)", what, length >> 20,
                       ICEBERG_METADATA_MAX_BYTES >> 20);
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *scratch = tn_arena_new();
    struct metadata *metadata = tn_calloc(1, sizeof *metadata);
    ICEBERG_AUTO_METADATA *owner = &metadata->shown;
    atomic_init(&metadata->refs, 1);
    metadata->arena = tn_arena_new();
    metadata->shown.uri = uri ? tn_arena_strdup(metadata->arena, uri) : NULL;
    struct metadata_reader in = {.metadata = metadata, .scratch = scratch, .what = what, .err = err};
    TN_TRY(metadata_parse_all(&in, json, length));
    tn_buf_append(&metadata->json, json, length);
    *ret = TN_TAKE(owner);
    return TN_OK;
}
