/* Pointers: commits/<N>, created once each, never changed.
 *
 * Whoever creates commits/<N+1> has committed; N+1 follows the version that the
 * commit was built on, so a commit on an old version finds its number taken.
 * Old pointers are removed in ascending order only, which keeps that true: a
 * writer that creates N+1 and still finds its own base N there knows that N
 * was the newest (docs/formats/table.md has the argument).
 */
#include "base/hash.h"
#include "base/id.h"
#include "base/str.h"
#include "iceberg/table_internal.h"

#include <inttypes.h>
#include <string.h>

#define POINTER_MOST_PATCHES 4096               /* what is read; fewer are written */
#define POINTER_MAX_BYTES    ((size_t)64 << 10) /* a patch of control characters alone fits */

const char *table_pointer_key(struct tn_arena *arena, const struct iceberg_table *table, int64_t version)
{
    return tn_arena_printf(arena, "%s/commits/%" PRId64, table->prefix, version);
}

const char *table_metadata_key(struct tn_arena *arena, const struct iceberg_table *table, int64_t version)
{
    char uuid[TN_UUID_TEXT];
    return tn_arena_printf(arena, "%s/metadata/%05" PRId64 "-%s.metadata.json", table->prefix, version,
                           tn_uuid4(uuid));
}

static void pointer_write_patch(const struct table_pointer *pointer, struct tn_json *json)
{
    tn_json_ki64(json, "checkpoint", pointer->checkpoint);
    tn_json_key(json, "patch");
    tn_json_open(json, '[');
    for (size_t i = 0; i < pointer->patch_count; i++) {
        const struct metadata_part *part = &pointer->patch[i];
        if (part->text) {
            tn_json_strn(json, part->text, part->length);
            continue;
        }
        tn_json_open(json, '[');
        tn_json_int(json, (int64_t)part->offset);
        tn_json_int(json, (int64_t)part->length);
        tn_json_close(json, ']');
    }
    tn_json_close(json, ']');
}

static void pointer_write_origin(const struct table_pointer *pointer, struct tn_json *json)
{
    const struct iceberg_origin *origin = &pointer->origin;
    tn_json_key(json, "origin");
    tn_json_open(json, '{');
    tn_json_ki64(json, "at-ms", origin->at_ms);
    if (origin->actor)
        tn_json_kstr(json, "actor", origin->actor);
    if (origin->agent)
        tn_json_kstr(json, "agent", origin->agent);
    if (origin->request_id)
        tn_json_kstr(json, "request-id", origin->request_id);
    tn_json_key(json, "snapshots");
    tn_json_open(json, '[');
    for (size_t i = 0; i < pointer->origin_snapshot_count; i++)
        tn_json_int(json, pointer->origin_snapshots[i]);
    tn_json_close(json, ']');
    tn_json_close(json, '}');
}

void table_pointer_write(const struct table_pointer *pointer, struct tn_buf *out)
{
    char sum[16];
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "tarn-pointer", 1);
    tn_json_ki64(&json, "version", pointer->version);
    tn_json_kstr(&json, "attempt", pointer->attempt);
    if (pointer->dropped)
        tn_json_kbool(&json, "dropped", true);
    if (pointer->metadata) {
        (void)snprintf(sum, sizeof sum, "%08" PRIx32, pointer->crc32c);
        tn_json_kstr(&json, "metadata", pointer->metadata);
        tn_json_ki64(&json, "length", pointer->length);
        tn_json_kstr(&json, "crc32c", sum);
    }
    if (pointer->checkpoint)
        pointer_write_patch(pointer, &json);
    if (pointer->origin.at_ms)
        pointer_write_origin(pointer, &json);
    tn_json_close(&json, '}');
    tn_buf_putc(out, '\n');
}

static enum tn_code pointer_parse_part(const struct doc_node *node, const char *what, struct metadata_part *ret,
                                       struct tn_error *err)
{
    const struct doc_node *offset = node->kind == DOC_ARRAY ? node->first : NULL;
    if (node->kind == DOC_STRING) {
        *ret = (struct metadata_part){.text = node->text, .length = node->text_length};
        return TN_OK;
    }
    if (!offset || node->count != 2 || offset->kind != DOC_INT || offset->next->kind != DOC_INT ||
        offset->integer < 0 || offset->next->integer < 0)
        return tn_fail(err, TN_ECORRUPT, "%s: a part of \"patch\" is neither a text nor [offset, length]", what);
    *ret = (struct metadata_part){.offset = (size_t)offset->integer, .length = (size_t)offset->next->integer};
    return TN_OK;
}

static enum tn_code pointer_parse_patch(struct tn_arena *arena, const struct doc_node *root, const char *what,
                                        struct table_pointer *pointer, struct tn_error *err)
{
    const struct doc_node *list = NULL;
    TN_TRY(doc_take_i64(root, "checkpoint", what, &pointer->checkpoint, err));
    if (pointer->checkpoint == 0)
        return TN_OK;
    if (pointer->checkpoint < 0 || pointer->checkpoint >= pointer->version ||
        pointer->version - pointer->checkpoint > POINTER_MOST_PATCHES)
        return tn_fail(err, TN_ECORRUPT, "%s: \"checkpoint\" %lld does not fit version %lld", what,
                       (long long)pointer->checkpoint, (long long)pointer->version);
    TN_TRY(doc_need(root, "patch", DOC_ARRAY, what, &list, err));
    struct metadata_part *parts = TN_ARENA_ARRAY(arena, struct metadata_part, list->count);
    for (const struct doc_node *node = list->first; node; node = node->next)
        TN_TRY(pointer_parse_part(node, what, &parts[pointer->patch_count++], err));
    pointer->patch = parts;
    return TN_OK;
}

static enum tn_code pointer_parse_origin(struct tn_arena *arena, const struct doc_node *root, const char *what,
                                         struct table_pointer *pointer, struct tn_error *err)
{
    const struct doc_node *origin = doc_get(root, "origin"), *list = NULL;
    if (doc_is_null(origin))
        return TN_OK;
    TN_TRY(doc_need_i64(origin, "at-ms", what, &pointer->origin.at_ms, err));
    TN_TRY(doc_take_text(origin, "actor", what, &pointer->origin.actor, err));
    TN_TRY(doc_take_text(origin, "agent", what, &pointer->origin.agent, err));
    TN_TRY(doc_take_text(origin, "request-id", what, &pointer->origin.request_id, err));
    TN_TRY(doc_need(origin, "snapshots", DOC_ARRAY, what, &list, err));
    int64_t *ids = TN_ARENA_ARRAY(arena, int64_t, list->count + 1);
    for (const struct doc_node *node = list->first; node; node = node->next)
        if (node->kind == DOC_INT)
            ids[pointer->origin_snapshot_count++] = node->integer;
    pointer->origin_snapshots = ids;
    return TN_OK;
}

enum tn_code table_pointer_parse(struct tn_arena *arena, const char *text, size_t length, const char *what,
                                 struct table_pointer *ret, struct tn_error *err)
{
    const struct doc_node *root = NULL;
    struct table_pointer pointer = {0};
    int64_t format = 0;
    const char *sum = NULL;
    TN_TRY(doc_parse(arena, text, length, what, &root, err));
    TN_TRY(doc_need_i64(root, "tarn-pointer", what, &format, err));
    if (format != 1)
        return tn_fail(err, TN_EUNSUPPORTED, "%s: pointer format %lld is of a later version", what,
                       (long long)format);
    TN_TRY(doc_need_i64(root, "version", what, &pointer.version, err));
    TN_TRY(doc_need_text(root, "attempt", what, &pointer.attempt, err));
    const struct doc_node *dropped = doc_get(root, "dropped");
    pointer.dropped = dropped && dropped->kind == DOC_TRUE;
    if (!pointer.dropped) {
        uint8_t bytes[4];
        TN_TRY(doc_need_text(root, "metadata", what, &pointer.metadata, err));
        TN_TRY(doc_need_i64(root, "length", what, &pointer.length, err));
        TN_TRY(doc_need_text(root, "crc32c", what, &sum, err));
        if (strlen(sum) != 8 || !tn_hex_decode(sum, bytes, sizeof bytes))
            return tn_fail(err, TN_ECORRUPT, "%s: \"crc32c\" must be 8 hex digits", what);
        pointer.crc32c = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
        TN_TRY(pointer_parse_patch(arena, root, what, &pointer, err));
        TN_TRY(pointer_parse_origin(arena, root, what, &pointer, err));
    }
    *ret = pointer;
    return TN_OK;
}

enum tn_code table_pointer_read(const struct iceberg_table *table, int64_t version, struct tn_arena *arena,
                                struct table_pointer *ret, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    const char *key = table_pointer_key(arena, table, version);
    TN_TRY(store_get(table->store, key, POINTER_MAX_BYTES, &text, err));
    struct table_pointer pointer;
    TN_TRY(table_pointer_parse(arena, text.data, text.len, key, &pointer, err));
    if (pointer.version != version)
        return tn_fail(err, TN_ECORRUPT, "%s says that it is version %" PRId64, key, pointer.version);
    *ret = pointer;
    return TN_OK;
}

struct table_pointer table_pointer_for(struct tn_arena *arena, const struct iceberg_table *table,
                                       const struct iceberg_metadata *metadata)
{
    char uuid[TN_UUID_TEXT];
    size_t prefix = strlen(table->prefix), length = 0;
    const char *json = iceberg_metadata_json(metadata, &length);
    bool below = strncmp(metadata->key, table->prefix, prefix) == 0 && metadata->key[prefix] == '/';
    const struct metadata *inner = metadata_of(metadata);
    bool patched = inner->checkpoint > 0 && inner->checkpoint < metadata->version;
    return (struct table_pointer){
        .version = metadata->version,
        .metadata = tn_arena_strdup(arena, below ? metadata->key + prefix + 1 : metadata->uri),
        .attempt = tn_arena_strdup(arena, tn_uuid4(uuid)),
        .length = (int64_t)length,
        .crc32c = inner->snapshots_length ? inner->crc32c : tn_crc32c(0, json, length),
        .checkpoint = patched ? inner->checkpoint : 0,
        .patch = patched ? inner->patch : NULL,
        .patch_count = patched ? inner->patch_count : 0,
    };
}

bool table_pointer_fits(const struct table_pointer *pointer, const struct tn_buf *json)
{
    return (int64_t)json->len == pointer->length && tn_crc32c(0, json->data, json->len) == pointer->crc32c;
}

/* --- The newest one --- */

static enum tn_code pointer_exists(const struct iceberg_table *table, int64_t version, bool *ret,
                                   struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    return store_exists(table->store, table_pointer_key(arena, table, version), ret, err);
}

struct pointer_listing {
    size_t skip; /* bytes of "<prefix>/commits/" */
    int64_t highest;
};

static enum tn_code pointer_listed(void *context, const struct store_object *object, struct tn_error *err)
{
    struct pointer_listing *listing = context;
    int64_t version = 0;
    (void)err;
    if (tn_parse_i64(object->key + listing->skip, &version))
        listing->highest = TN_MAX(listing->highest, version);
    return TN_OK;
}

static enum tn_code pointer_list(const struct iceberg_table *table, int64_t *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *folder = tn_arena_printf(arena, "%s/commits/", table->prefix);
    struct pointer_listing listing = {.skip = strlen(folder)};
    TN_TRY(store_list(table->store, folder, pointer_listed, &listing, err));
    *ret = listing.highest;
    return TN_OK;
}

enum tn_code table_newest_version(const struct iceberg_table *table, int64_t known, int64_t *ret,
                                  struct tn_error *err)
{
    int64_t version = known;
    bool there = false;
    if (version > 0)
        TN_TRY(pointer_exists(table, version, &there, err));
    if (!there) /* nothing known, or pointers that old are gone */
        TN_TRY(pointer_list(table, &version, err));
    there = version > 0;
    while (there) {
        TN_TRY(pointer_exists(table, version + 1, &there, err));
        version += there;
    }
    *ret = version;
    return TN_OK;
}

void table_write_hint(const struct iceberg_table *table, const struct iceberg_metadata *metadata)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *name = strrchr(metadata->key, '/');
    name = name ? name + 1 : metadata->key;
    size_t length = strlen(name), suffix = strlen(".metadata.json");
    if (!tn_str_ends_with(name, ".metadata.json"))
        return;
    const char *key = tn_arena_printf(arena, "%s/metadata/version-hint.text", table->prefix);
    store_put_hint_soon(table->store, key, name, length - suffix);
}
