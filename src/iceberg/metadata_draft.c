/* A new version made of an old one: the changes, then the JSON. */
#include "base/id.h"
#include "base/str.h"
#include "iceberg/metadata_internal.h"
#include "iceberg/schema.h"

#include <string.h>

struct metadata_draft {
    struct metadata *next; /* counted arrays are taken over at the end */
    struct iceberg_metadata *base;
    struct iceberg_pair *properties;
    size_t property_count, property_capacity;
    struct metadata_schema **schemas;
    size_t schema_count, schema_capacity;
    struct metadata_snapshot **snapshots;
    size_t snapshot_count, snapshot_capacity;
    struct iceberg_ref *refs;
    size_t ref_count, ref_capacity;
    struct iceberg_log_entry *log;
    size_t log_count, log_capacity;
    const struct metadata_schema *current_schema;
    const struct metadata_snapshot *current;
};

static struct metadata_draft *metadata_draft_empty(void)
{
    struct metadata_draft *draft = tn_calloc(1, sizeof *draft);
    draft->next = tn_calloc(1, sizeof *draft->next);
    atomic_init(&draft->next->refs, 1);
    draft->next->arena = tn_arena_new();
    return draft;
}

void metadata_draft_free(struct metadata_draft *draft)
{
    if (!draft)
        return;
    for (size_t i = 0; i < draft->snapshot_count; i++)
        metadata_snapshot_unref(draft->snapshots[i]);
    for (size_t i = 0; i < draft->schema_count; i++)
        metadata_schema_unref(draft->schemas[i]);
    free(draft->properties);
    free(draft->schemas);
    free(draft->snapshots);
    free(draft->refs);
    free(draft->log);
    iceberg_metadata_unref(draft->base);
    if (draft->next)
        iceberg_metadata_unref(&draft->next->shown);
    free(draft);
}

/* --- Copying the base --- */

static void draft_push_schema(struct metadata_draft *draft, struct metadata_schema *schema)
{
    TN_GROW(draft->schemas, draft->schema_count, draft->schema_capacity);
    draft->schemas[draft->schema_count++] = schema;
}

static void draft_push_snapshot(struct metadata_draft *draft, struct metadata_snapshot *snapshot)
{
    TN_GROW(draft->snapshots, draft->snapshot_count, draft->snapshot_capacity);
    draft->snapshots[draft->snapshot_count++] = snapshot;
}

static struct metadata_raw draft_copy_raw(struct tn_arena *arena, const struct metadata_raw *raw)
{
    return (struct metadata_raw){raw->key ? tn_arena_strdup(arena, raw->key) : NULL,
                                 tn_arena_strndup(arena, raw->json, raw->length), raw->length};
}

static const struct iceberg_spec *draft_copy_spec(struct tn_arena *arena, const struct iceberg_spec *spec)
{
    struct iceberg_spec *copy = tn_arena_alloc(arena, sizeof *copy);
    struct iceberg_partition_field *fields = TN_ARENA_ARRAY(arena, struct iceberg_partition_field, spec->field_count);
    *copy = *spec;
    copy->fields = fields;
    for (size_t i = 0; i < spec->field_count; i++) {
        fields[i] = spec->fields[i];
        fields[i].name = tn_arena_strdup(arena, spec->fields[i].name);
        fields[i].transform = tn_arena_strdup(arena, spec->fields[i].transform);
    }
    return copy;
}

static void draft_copy_specs(struct metadata_draft *draft, const struct metadata *base)
{
    struct tn_arena *arena = draft->next->arena;
    size_t count = base->shown.spec_count;
    const struct iceberg_spec **specs = TN_ARENA_ARRAY(arena, const struct iceberg_spec *, count);
    draft->next->specs = TN_ARENA_ARRAY(arena, struct metadata_raw, count);
    for (size_t i = 0; i < count; i++) {
        specs[i] = draft_copy_spec(arena, base->shown.specs[i]);
        draft->next->specs[i] = draft_copy_raw(arena, &base->specs[i]);
    }
    draft->next->shown.specs = specs;
    draft->next->orders = draft_copy_raw(arena, &base->orders);
    draft->next->others = TN_ARENA_ARRAY(arena, struct metadata_raw, base->other_count);
    for (size_t i = 0; i < base->other_count; i++)
        draft->next->others[i] = draft_copy_raw(arena, &base->others[i]);
    draft->next->other_count = base->other_count;
}

static void draft_copy_counted(struct metadata_draft *draft, const struct metadata *base)
{
    for (size_t i = 0; i < base->shown.schema_count; i++) {
        (void)atomic_fetch_add_explicit(&base->schemas[i]->refs, 1, memory_order_relaxed);
        draft_push_schema(draft, base->schemas[i]);
        if (base->schemas[i]->shown == base->shown.schema)
            draft->current_schema = base->schemas[i];
    }
    for (size_t i = 0; i < base->shown.snapshot_count; i++) {
        (void)atomic_fetch_add_explicit(&base->snapshots[i]->refs, 1, memory_order_relaxed);
        draft_push_snapshot(draft, base->snapshots[i]);
        if (&base->snapshots[i]->shown == base->shown.current)
            draft->current = base->snapshots[i];
    }
}

struct metadata_draft *metadata_draft_new(const struct iceberg_metadata *base)
{
    struct metadata_draft *draft = metadata_draft_empty();
    const struct metadata *inner = metadata_of(base);
    struct tn_arena *arena = draft->next->arena;
    draft->base = iceberg_metadata_ref(base);
    draft->next->shown = *base; /* numbers; every pointer is replaced below or at the end */
    draft->next->shown.uuid = tn_arena_strdup(arena, base->uuid);
    draft->next->shown.location = tn_arena_strdup(arena, base->location);
    draft->next->shown.schema_count = draft->next->shown.snapshot_count = 0;
    draft->next->last_partition_id = inner->last_partition_id;
    draft_copy_specs(draft, inner);
    draft_copy_counted(draft, inner);
    for (size_t i = 0; i < base->property_count; i++)
        metadata_draft_set_property(draft, base->properties[i].key, base->properties[i].value);
    for (size_t i = 0; i < base->ref_count; i++) {
        TN_GROW(draft->refs, draft->ref_count, draft->ref_capacity);
        struct iceberg_ref *ref = &draft->refs[draft->ref_count++];
        *ref = base->refs[i];
        ref->name = tn_arena_strdup(arena, base->refs[i].name);
        ref->json = tn_arena_strndup(arena, base->refs[i].json, base->refs[i].json_length);
    }
    draft->log_capacity = draft->log_count = base->snapshot_log_count;
    draft->log = tn_realloc_array(NULL, draft->log_capacity + 1, sizeof *draft->log);
    if (draft->log_count)
        memcpy(draft->log, base->snapshot_log, draft->log_count * sizeof *draft->log);
    return draft;
}

enum tn_code metadata_draft_create(const struct iceberg_schema *schema, int32_t last_column_id, const char *location,
                                   int64_t timestamp_ms, struct metadata_draft **ret, struct tn_error *err)
{
    static const char no_spec[] = "{\"spec-id\":0,\"fields\":[]}", no_order[] = "[{\"order-id\":0,\"fields\":[]}]";
    static const struct iceberg_spec unpartitioned = {0};
    static const struct iceberg_spec *const specs[] = {&unpartitioned};
    TN_CLEANUP(metadata_draft_free_p) struct metadata_draft *draft = metadata_draft_empty();
    struct metadata *next = draft->next;
    char uuid[TN_UUID_TEXT];
    next->shown.format_version = 2;
    next->shown.uuid = tn_arena_strdup(next->arena, tn_uuid4(uuid));
    next->shown.location = tn_arena_strdup(next->arena, location);
    next->shown.last_updated_ms = timestamp_ms;
    next->shown.last_column_id = last_column_id;
    next->shown.specs = specs;
    next->shown.spec_count = 1;
    next->last_partition_id = 999;
    next->specs = TN_ARENA_ARRAY(next->arena, struct metadata_raw, 1);
    next->specs[0] = (struct metadata_raw){NULL, no_spec, sizeof no_spec - 1};
    next->orders = (struct metadata_raw){NULL, no_order, sizeof no_order - 1};
    TN_TRY(metadata_draft_set_schema(draft, schema, err));
    *ret = TN_TAKE(draft);
    return TN_OK;
}

/* --- Changes --- */

void metadata_draft_set_property(struct metadata_draft *draft, const char *key, const char *value)
{
    size_t at = 0;
    while (at < draft->property_count && !tn_streq(draft->properties[at].key, key))
        at++;
    if (!value) {
        if (at == draft->property_count)
            return;
        draft->property_count--;
        memmove(draft->properties + at, draft->properties + at + 1,
                (draft->property_count - at) * sizeof *draft->properties);
        return;
    }
    if (at == draft->property_count) {
        TN_GROW(draft->properties, draft->property_count, draft->property_capacity);
        draft->properties[draft->property_count++].key = tn_arena_strdup(draft->next->arena, key);
    }
    draft->properties[at].value = tn_arena_strdup(draft->next->arena, value);
}

enum tn_code metadata_draft_set_schema(struct metadata_draft *draft, const struct iceberg_schema *schema,
                                       struct tn_error *err)
{
    int32_t id = 0;
    for (size_t i = 0; i < draft->schema_count; i++) {
        const struct iceberg_schema *known = draft->schemas[i]->shown;
        if (schema_same(known, schema)) {
            draft->current_schema = draft->schemas[i];
            return TN_OK;
        }
        id = TN_MAX(id, known->id + 1);
    }
    struct iceberg_schema numbered = *schema;
    numbered.id = id;
    TN_AUTO_BUF json = {0};
    iceberg_schema_json(&numbered, &json);
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *scratch = tn_arena_new();
    const struct doc_node *node = NULL;
    enum tn_code code = TN_OK;
    TN_TRY(doc_parse(scratch, json.data, json.len, "the new schema", &node, err));
    struct metadata_schema *added = metadata_schema_new(node, "the new schema", &code, err);
    if (!added)
        return code;
    draft_push_schema(draft, added);
    draft->current_schema = added;
    int32_t highest = iceberg_schema_highest_id(added->shown);
    draft->next->shown.last_column_id = TN_MAX(draft->next->shown.last_column_id, highest);
    return TN_OK;
}

const struct iceberg_schema *metadata_draft_schema(const struct metadata_draft *draft, const char **ret_json)
{
    *ret_json = draft->current_schema->json;
    return draft->current_schema->shown;
}

static struct iceberg_ref *draft_find_ref(struct metadata_draft *draft, const char *name)
{
    for (size_t i = 0; i < draft->ref_count; i++)
        if (tn_streq(draft->refs[i].name, name))
            return &draft->refs[i];
    return NULL;
}

/* Points a ref to another snapshot; what else its object says stays. */
static enum tn_code draft_point_ref(struct metadata_draft *draft, const char *name, const char *type,
                                    int64_t snapshot_id, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *scratch = tn_arena_new();
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    struct iceberg_ref *ref = draft_find_ref(draft, name);
    const struct doc_node *old = NULL;
    if (ref)
        TN_TRY(doc_parse(scratch, ref->json, ref->json_length, name, &old, err));
    tn_json_open(&json, '{');
    tn_json_key(&json, "snapshot-id");
    tn_json_int(&json, snapshot_id);
    if (!doc_get(old, "type"))
        tn_json_kstr(&json, "type", type);
    for (const struct doc_node *node = old ? old->first : NULL; node; node = node->next) {
        if (tn_streq(node->key, "snapshot-id"))
            continue;
        tn_json_key(&json, node->key);
        tn_json_raw(&json, node->raw, node->raw_length);
    }
    tn_json_close(&json, '}');
    if (!ref) {
        TN_GROW(draft->refs, draft->ref_count, draft->ref_capacity);
        ref = &draft->refs[draft->ref_count++];
        *ref =
            (struct iceberg_ref){.name = tn_arena_strdup(draft->next->arena, name), .is_tag = tn_streq(type, "tag")};
    }
    ref->snapshot_id = snapshot_id;
    ref->json = tn_arena_strndup(draft->next->arena, text.data, text.len);
    ref->json_length = text.len;
    return TN_OK;
}

enum tn_code metadata_draft_add_snapshot(struct metadata_draft *draft, const char *json, size_t length,
                                         struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *scratch = tn_arena_new();
    const struct doc_node *node = NULL;
    enum tn_code code = TN_OK;
    TN_TRY(doc_parse(scratch, json, length, "the new snapshot", &node, err));
    struct metadata_snapshot *snapshot = metadata_snapshot_new(node, "the new snapshot", &code, err);
    if (!snapshot)
        return code;
    draft_push_snapshot(draft, snapshot);
    draft->current = snapshot;
    draft->next->shown.last_sequence_number =
        TN_MAX(draft->next->shown.last_sequence_number, snapshot->shown.sequence_number);
    TN_GROW(draft->log, draft->log_count, draft->log_capacity);
    draft->log[draft->log_count++] =
        (struct iceberg_log_entry){.timestamp_ms = snapshot->shown.timestamp_ms, .snapshot_id = snapshot->shown.id};
    return draft_point_ref(draft, "main", "branch", snapshot->shown.id, err);
}

static size_t draft_find_snapshot(const struct metadata_draft *draft, int64_t id)
{
    size_t at = 0;
    while (at < draft->snapshot_count && draft->snapshots[at]->shown.id != id)
        at++;
    return at;
}

enum tn_code metadata_draft_forget_snapshot(struct metadata_draft *draft, int64_t id, struct tn_error *err)
{
    size_t at = draft_find_snapshot(draft, id);
    if (at == draft->snapshot_count)
        return tn_fail(err, TN_ESNAPSHOT, "no snapshot %lld", (long long)id);
    if (draft->snapshots[at] == draft->current)
        return tn_fail(err, TN_EREFUSED, "snapshot %lld is the current one", (long long)id);
    for (size_t i = 0; i < draft->ref_count; i++)
        if (draft->refs[i].snapshot_id == id)
            return tn_fail(err, TN_EREFUSED, "snapshot %lld is held by the %s \"%s\"", (long long)id,
                           draft->refs[i].is_tag ? "tag" : "branch", draft->refs[i].name);
    metadata_snapshot_unref(draft->snapshots[at]);
    draft->snapshot_count--;
    memmove(draft->snapshots + at, draft->snapshots + at + 1,
            (draft->snapshot_count - at) * sizeof(*draft->snapshots));
    /* The specification: what stands before a forgotten one goes too, or it
     * would seem to have been current for longer than it was. */
    size_t kept = 0;
    for (size_t i = 0; i < draft->log_count; i++) {
        if (draft->log[i].snapshot_id == id)
            kept = 0;
        else
            draft->log[kept++] = draft->log[i];
    }
    draft->log_count = kept;
    return TN_OK;
}

enum tn_code metadata_draft_set_tag(struct metadata_draft *draft, const char *name, int64_t snapshot_id,
                                    struct tn_error *err)
{
    struct iceberg_ref *ref = draft_find_ref(draft, name);
    if (ref && !ref->is_tag)
        return tn_fail(err, TN_EREFUSED, "\"%s\" is a branch", name);
    if (snapshot_id == ICEBERG_NONE) {
        if (!ref)
            return tn_fail(err, TN_ENOTFOUND, "no tag \"%s\"", name);
        *ref = draft->refs[--draft->ref_count];
        return TN_OK;
    }
    if (draft_find_snapshot(draft, snapshot_id) == draft->snapshot_count)
        return tn_fail(err, TN_ESNAPSHOT, "no snapshot %lld", (long long)snapshot_id);
    if (tn_streq(name, "main"))
        return tn_fail(err, TN_EREFUSED, "\"main\" is the table's branch and cannot be a tag");
    return draft_point_ref(draft, name, "tag", snapshot_id, err);
}

/* --- The JSON --- */

static void draft_key_int(struct tn_json *json, const char *key, int64_t value)
{
    tn_json_key(json, key);
    tn_json_int(json, value);
}

static void draft_write_head(const struct metadata *next, struct tn_json *json)
{
    const struct iceberg_metadata *shown = &next->shown;
    draft_key_int(json, "format-version", shown->format_version);
    tn_json_kstr(json, "table-uuid", shown->uuid);
    tn_json_kstr(json, "location", shown->location);
    draft_key_int(json, "last-sequence-number", shown->last_sequence_number);
    draft_key_int(json, "last-updated-ms", shown->last_updated_ms);
    draft_key_int(json, "last-column-id", shown->last_column_id);
    draft_key_int(json, "current-schema-id", shown->schema->id);
    tn_json_key(json, "schemas");
    tn_json_open(json, '[');
    for (size_t i = 0; i < shown->schema_count; i++)
        tn_json_raw(json, next->schemas[i]->json, next->schemas[i]->json_length);
    tn_json_close(json, ']');
    draft_key_int(json, "default-spec-id", shown->default_spec_id);
    tn_json_key(json, "partition-specs");
    tn_json_open(json, '[');
    for (size_t i = 0; i < shown->spec_count; i++)
        tn_json_raw(json, next->specs[i].json, next->specs[i].length);
    tn_json_close(json, ']');
    draft_key_int(json, "last-partition-id", next->last_partition_id);
    draft_key_int(json, "default-sort-order-id", shown->default_sort_order_id);
    tn_json_key(json, "sort-orders");
    tn_json_raw(json, next->orders.json, next->orders.length);
    tn_json_key(json, "properties");
    tn_json_open(json, '{');
    for (size_t i = 0; i < shown->property_count; i++)
        tn_json_kstr(json, shown->properties[i].key, shown->properties[i].value);
    tn_json_close(json, '}');
}

static void draft_write_history(const struct metadata *next, struct tn_json *json)
{
    const struct iceberg_metadata *shown = &next->shown;
    if (shown->current)
        draft_key_int(json, "current-snapshot-id", shown->current->id);
    tn_json_key(json, "refs");
    tn_json_open(json, '{');
    for (size_t i = 0; i < shown->ref_count; i++) {
        tn_json_key(json, shown->refs[i].name);
        tn_json_raw(json, shown->refs[i].json, shown->refs[i].json_length);
    }
    tn_json_close(json, '}');
    tn_json_key(json, "snapshots");
    tn_json_open(json, '[');
    for (size_t i = 0; i < shown->snapshot_count; i++)
        tn_json_raw(json, shown->snapshots[i]->json, shown->snapshots[i]->json_length);
    tn_json_close(json, ']');
    metadata_put_logs(json, shown->snapshot_log, shown->snapshot_log_count, shown->metadata_log,
                      shown->metadata_log_count);
}

static void draft_write(struct metadata *next, size_t expected_bytes)
{
    (void)tn_buf_reserve(&next->json, expected_bytes);
    struct tn_json json = tn_json_writer(&next->json);
    tn_json_open(&json, '{');
    draft_write_head(next, &json);
    draft_write_history(next, &json);
    for (size_t i = 0; i < next->other_count; i++) {
        tn_json_key(&json, next->others[i].key);
        tn_json_raw(&json, next->others[i].json, next->others[i].length);
    }
    tn_json_close(&json, '}');
}

/* --- Finishing --- */

static void draft_extend_log(struct metadata_draft *draft)
{
    const struct iceberg_metadata *base = draft->base;
    struct iceberg_metadata *shown = &draft->next->shown;
    shown->metadata_log = NULL;
    shown->metadata_log_count = 0;
    if (!base)
        return;
    const char *text = NULL;
    for (size_t i = 0; i < draft->property_count; i++)
        if (tn_streq(draft->properties[i].key, METADATA_LOG_PROPERTY))
            text = draft->properties[i].value;
    size_t limit = metadata_log_limit(text);
    size_t total = base->metadata_log_count + (base->uri != NULL);
    size_t count = TN_MIN(total, limit), skip = total - count;
    struct iceberg_log_entry *log = TN_ARENA_ARRAY(draft->next->arena, struct iceberg_log_entry, count);
    for (size_t i = 0; i < count; i++) {
        bool last = skip + i == base->metadata_log_count;
        log[i] = last ? (struct iceberg_log_entry){.timestamp_ms = base->last_updated_ms, .file = base->uri}
                      : base->metadata_log[skip + i];
        log[i].file = tn_arena_strdup(draft->next->arena, log[i].file);
    }
    shown->metadata_log = log;
    shown->metadata_log_count = count;
}

/* The draft's growing arrays become the version's own. */
static void draft_settle(struct metadata_draft *draft)
{
    struct metadata *next = draft->next;
    struct iceberg_metadata *shown = &next->shown;
    struct tn_arena *arena = next->arena;
    const struct iceberg_schema **schemas = TN_ARENA_ARRAY(arena, const struct iceberg_schema *, draft->schema_count);
    for (size_t i = 0; i < draft->schema_count; i++)
        schemas[i] = draft->schemas[i]->shown;
    const struct iceberg_snapshot **snapshots =
        TN_ARENA_ARRAY(arena, const struct iceberg_snapshot *, draft->snapshot_count);
    for (size_t i = 0; i < draft->snapshot_count; i++)
        snapshots[i] = &draft->snapshots[i]->shown;
    struct iceberg_pair *pairs = TN_ARENA_ARRAY(arena, struct iceberg_pair, draft->property_count);
    struct iceberg_ref *refs = TN_ARENA_ARRAY(arena, struct iceberg_ref, draft->ref_count);
    struct iceberg_log_entry *log = TN_ARENA_ARRAY(arena, struct iceberg_log_entry, draft->log_count);
    if (draft->property_count)
        memcpy(pairs, draft->properties, draft->property_count * sizeof *pairs);
    if (draft->ref_count)
        memcpy(refs, draft->refs, draft->ref_count * sizeof *refs);
    if (draft->log_count)
        memcpy(log, draft->log, draft->log_count * sizeof *log);
    shown->schemas = schemas;
    shown->schema_count = draft->schema_count;
    shown->schema = draft->current_schema->shown;
    shown->snapshots = snapshots;
    shown->snapshot_count = draft->snapshot_count;
    shown->current = draft->current ? &draft->current->shown : NULL;
    shown->properties = pairs;
    shown->property_count = draft->property_count;
    shown->refs = refs;
    shown->ref_count = draft->ref_count;
    shown->snapshot_log = log;
    shown->snapshot_log_count = draft->log_count;
    next->schemas = TN_TAKE(draft->schemas);
    next->snapshots = TN_TAKE(draft->snapshots);
    draft->schema_count = draft->snapshot_count = 0;
}

enum tn_code metadata_draft_finish(struct metadata_draft *draft, int64_t version, const char *key, const char *uri,
                                   int64_t timestamp_ms, struct iceberg_metadata **ret, struct tn_error *err)
{
    struct metadata *next = draft->next;
    struct iceberg_metadata *shown = &next->shown;
    shown->version = version;
    shown->key = key ? tn_arena_strdup(next->arena, key) : NULL;
    shown->uri = uri ? tn_arena_strdup(next->arena, uri) : NULL;
    shown->last_updated_ms = TN_MAX(shown->last_updated_ms, timestamp_ms);
    draft_extend_log(draft);
    draft_settle(draft);
    size_t expected = 4096;
    if (draft->base)
        expected += metadata_of(draft->base)->json.len;
    draft_write(next, expected);
    if (next->json.len > ICEBERG_METADATA_MAX_BYTES)
        return tn_fail(err, TN_ETOOLARGE, "table metadata grew to %zu MB; expire old snapshots",
                       next->json.len >> 20);
    draft->next = NULL;
    *ret = shown;
    return TN_OK;
}
