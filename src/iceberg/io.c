/* From paths in metadata to objects in the store, and manifests through the
 * cache. */
#include "base/id.h"
#include "base/str.h"
#include "iceberg/table_internal.h"

#include <string.h>

enum tn_code iceberg_resolve(struct tn_arena *arena, const struct iceberg_table *table,
                             const struct iceberg_metadata *metadata, const char *uri, const char **ret_key,
                             struct tn_error *err)
{
    char *key = NULL;
    if (store_key_of_uri(table->store, arena, uri, &key, NULL) == TN_OK) {
        *ret_key = key;
        return TN_OK;
    }
    /* The lake's folder has moved, and the table still has the old path in it:
     * what lies below its location lies below its prefix now. A location with
     * another end was chosen elsewhere by another engine. */
    size_t length = strlen(metadata->location), prefix = strlen(table->prefix);
    while (length && metadata->location[length - 1] == '/')
        length--;
    bool moved_here = length > prefix && metadata->location[length - prefix - 1] == '/' &&
                      strncmp(metadata->location + length - prefix, table->prefix, prefix) == 0;
    if (moved_here && strncmp(uri, metadata->location, length) == 0 && uri[length] == '/') {
        const char *moved = tn_arena_printf(arena, "%s%s", table->prefix, uri + length);
        if (store_check_key(moved, NULL) == TN_OK) {
            *ret_key = moved;
            return TN_OK;
        }
    }
    (void)tn_fail(err, TN_EUNSUPPORTED, "the table's file %s lies outside of the lake", uri);
    tn_error_hint(err, "only files below the lake's folder are read");
    return TN_EUNSUPPORTED;
}

const char *table_base_uri(struct tn_arena *arena, const struct iceberg_table *table,
                           const struct iceberg_metadata *metadata)
{
    char *key = NULL;
    if (store_key_of_uri(table->store, arena, metadata->location, &key, NULL) != TN_OK)
        return store_uri(table->store, arena, table->prefix);
    size_t length = strlen(metadata->location);
    while (length && metadata->location[length - 1] == '/')
        length--;
    return tn_arena_strndup(arena, metadata->location, length);
}

const char *iceberg_new_file_uri(struct tn_arena *arena, const struct iceberg_table *table,
                                 const struct iceberg_metadata *metadata, const char *suffix, const char **ret_key)
{
    char uuid[TN_UUID_TEXT];
    const char *uri =
        tn_arena_printf(arena, "%s/data/%s%s", table_base_uri(arena, table, metadata), tn_uuid7(uuid), suffix);
    char *key = NULL;
    if (store_key_of_uri(table->store, arena, uri, &key, NULL) != TN_OK)
        key = tn_arena_printf(arena, "%s/data/%s%s", table->prefix, uuid, suffix);
    *ret_key = key;
    return uri;
}

enum tn_code table_read_uri(const struct iceberg_table *table, const struct iceberg_metadata *metadata,
                            const char *uri, size_t max_bytes, struct tn_buf *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *key = NULL;
    TN_TRY(iceberg_resolve(arena, table, metadata, uri, &key, err));
    enum tn_code code = store_get(table->store, key, max_bytes, ret, err);
    if (code == TN_ENOTFOUND) {
        (void)tn_fail(err, TN_ECORRUPT, "the table refers to %s, which is not there", uri);
        tn_error_hint(err, "something outside of Tarn removed it; restore it from a backup, or go back to a snapshot "
                           "that does not need it");
        return TN_ECORRUPT;
    }
    return code;
}

static enum tn_code say_what_helps(enum tn_code code, struct tn_error *err)
{
    if (code == TN_ECORRUPT)
        tn_error_hint(err,
                      "the file is damaged: restore it from a backup, or go back to a snapshot that does not need "
                      "it (`tarn doctor --deep` tells what else is damaged)");
    return code;
}

enum tn_code table_open_list(const struct iceberg_table *table, const struct iceberg_metadata *metadata,
                             const struct iceberg_snapshot *snapshot, struct manifest_object **ret,
                             struct tn_error *err)
{
    if (!snapshot->manifest_list)
        return tn_fail(err, TN_EUNSUPPORTED, "snapshot %lld lists its manifests inside the metadata (format 1)",
                       (long long)snapshot->id);
    TN_CLEANUP(manifest_object_unref_p)
    struct manifest_object *object = cache_get(table->cache, snapshot->manifest_list);
    if (!object) {
        TN_AUTO_BUF bytes = {0};
        TN_TRY(table_read_uri(table, metadata, snapshot->manifest_list, TABLE_MANIFEST_MAX_BYTES, &bytes, err));
        TN_TRY(
            say_what_helps(manifest_list_decode(bytes.data, bytes.len, snapshot->manifest_list, &object, err), err));
        cache_put(table->cache, object);
    }
    if (!object->is_list)
        return tn_fail(err, TN_ECORRUPT, "%s is used as a manifest and as a manifest list", snapshot->manifest_list);
    *ret = TN_TAKE(object);
    return TN_OK;
}

enum tn_code table_open_manifest(const struct iceberg_table *table, const struct iceberg_metadata *metadata,
                                 const struct manifest_row *row, struct manifest_object **ret, struct tn_error *err)
{
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *object = cache_get(table->cache, row->path);
    if (!object) {
        TN_AUTO_BUF bytes = {0};
        const struct iceberg_spec *spec = iceberg_metadata_spec(metadata, row->spec_id);
        if (!spec)
            return tn_fail(err, TN_ECORRUPT, "%s is of partition spec %d, which the table does not have", row->path,
                           row->spec_id);
        if (row->key_metadata.data)
            return tn_fail(err, TN_EUNSUPPORTED, "%s is encrypted", row->path);
        TN_TRY(table_read_uri(table, metadata, row->path, TABLE_MANIFEST_MAX_BYTES, &bytes, err));
        TN_TRY(say_what_helps(manifest_decode(bytes.data, bytes.len, row->path, row, spec, &object, err), err));
        cache_put(table->cache, object);
    }
    if (object->is_list)
        return tn_fail(err, TN_ECORRUPT, "%s is used as a manifest and as a manifest list", row->path);
    *ret = TN_TAKE(object);
    return TN_OK;
}
