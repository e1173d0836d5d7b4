/* Tables: create, load, drop. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/str.h"
#include "iceberg/table_internal.h"

#include <inttypes.h>
#include <string.h>

enum { LOAD_TRIES = 10 };

/* --- Load --- */

enum tn_code table_metadata_place(const struct iceberg_table *table, const struct table_pointer *pointer,
                                  struct tn_arena *arena, const char **ret_key, const char **ret_uri,
                                  struct tn_error *err)
{
    const char *key = NULL, *uri = pointer->metadata;
    if (strchr(uri, ':')) {
        char *found = NULL;
        TN_TRY(store_key_of_uri(table->store, arena, uri, &found, err));
        key = found;
    } else {
        key = tn_arena_printf(arena, "%s/%s", table->prefix, uri);
        uri = store_uri(table->store, arena, key);
    }
    *ret_key = key;
    if (ret_uri)
        *ret_uri = uri;
    return TN_OK;
}

static enum tn_code table_fail_metadata(const struct iceberg_table *table, const struct table_pointer *pointer,
                                        const char *key, bool there, struct tn_error *err)
{
    if (there) {
        (void)tn_fail(err, TN_ECORRUPT, "%s is not what version %" PRId64 " committed (%" PRId64 " bytes)", key,
                      pointer->version, pointer->length);
        tn_error_hint(err, "the file was changed or damaged; restore it from a backup");
        return TN_ECORRUPT;
    }
    (void)tn_fail(err, TN_ECORRUPT, "version %" PRId64 " of %s is committed, but its metadata file %s is not there",
                  pointer->version, table->prefix, key);
    tn_error_hint(err, "something outside of Tarn removed it; restore it from a backup");
    return TN_ECORRUPT;
}

/* The file's bytes. One that a power failure took is made again, and put where
 * it was: other engines read it too. */
static enum tn_code table_read_metadata(const struct iceberg_table *table, const struct table_pointer *pointer,
                                        const char *key, struct tn_buf *ret, struct tn_error *err)
{
    enum tn_code code = store_get(table->store, key, ICEBERG_METADATA_MAX_BYTES, ret, err);
    if (code != TN_OK && code != TN_ENOTFOUND)
        return code;
    if (code == TN_OK && table_pointer_fits(pointer, ret))
        return TN_OK;
    if (!pointer->checkpoint)
        return table_fail_metadata(table, pointer, key, code == TN_OK, err);
    ret->len = 0;
    TN_TRY(table_rebuild(table, pointer, ret, err));
    enum tn_code ignored = store_put(table->store, key, ret->data, ret->len, NULL); /* a lake may be read-only */
    (void)ignored;
    return TN_OK;
}

static enum tn_code table_load_pointed(const struct iceberg_table *table, const struct table_pointer *pointer,
                                       struct tn_arena *arena, struct iceberg_metadata **ret, struct tn_error *err)
{
    TN_AUTO_BUF json = {0};
    const char *key = NULL, *uri = NULL;
    TN_TRY(table_metadata_place(table, pointer, arena, &key, &uri, err));
    TN_TRY(table_read_metadata(table, pointer, key, &json, err));
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(iceberg_metadata_parse(json.data, json.len, uri, &metadata, err));
    struct metadata *inner = metadata_of(metadata);
    inner->shown.version = pointer->version;
    inner->shown.key = tn_arena_strdup(inner->arena, key);
    /* Nobody knows whether what was only read is on disk: the next commit writes
     * its metadata in full and durably, and patches begin behind that one. */
    inner->checkpoint = 0;
    held_add_version(table->store, metadata);
    *ret = TN_TAKE(metadata);
    return TN_OK;
}

static enum tn_code table_absent(const struct iceberg_table *table, const char *why, struct tn_error *err)
{
    return tn_fail(err, TN_ENOTFOUND, "no table at %s%s", table->prefix, why);
}

static enum tn_code table_load_version(const struct iceberg_table *table, int64_t version,
                                       struct iceberg_metadata **ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct table_pointer pointer;
    TN_TRY(table_pointer_read(table, version, arena, &pointer, err));
    if (pointer.dropped)
        return table_absent(table, ": it was dropped", err);
    return table_load_pointed(table, &pointer, arena, ret, err);
}

enum tn_code iceberg_table_load(const struct iceberg_table *table, const struct iceberg_metadata *known,
                                struct iceberg_metadata **ret, struct tn_error *err)
{
    int64_t version = 0, newer = 0;
    TN_TRY(table_newest_version(table, known ? known->version : 0, &version, err));
    if (version == 0)
        return table_absent(table, "", err);
    if (known && known->version == version) {
        *ret = iceberg_metadata_ref(known);
        return TN_OK;
    }
    /* Writers may be so fast that the version falls off the log, and its files
     * go, while it is being read here. */
    for (int tries = 0;; tries++) {
        enum tn_code code = table_load_version(table, version, ret, err);
        if (code == TN_OK || tries == LOAD_TRIES)
            return code;
        if (table_newest_version(table, version, &newer, NULL) != TN_OK || newer <= version)
            return code;
        version = newer;
    }
}

enum tn_code iceberg_table_exists(const struct iceberg_table *table, bool *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    int64_t version = 0;
    struct table_pointer pointer = {.dropped = true};
    TN_TRY(table_newest_version(table, 0, &version, err));
    if (version > 0)
        TN_TRY(table_pointer_read(table, version, arena, &pointer, err));
    *ret = !pointer.dropped;
    return TN_OK;
}

/* --- Create --- */

static enum tn_code table_first_version(const struct iceberg_table *table, int64_t *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct table_pointer pointer = {0};
    TN_TRY(table_newest_version(table, 0, ret, err));
    if (*ret > 0)
        TN_TRY(table_pointer_read(table, *ret, arena, &pointer, err));
    if (*ret > 0 && !pointer.dropped)
        return tn_fail(err, TN_EEXISTS, "there is a table at %s already", table->prefix);
    (*ret)++;
    return TN_OK;
}

static enum tn_code table_draft(const struct iceberg_table *table, const struct iceberg_schema *schema,
                                const struct iceberg_pair *properties, size_t property_count, int64_t version,
                                bool written, struct iceberg_metadata **ret, struct tn_error *err)
{
    /* Every commit writes a metadata file: without this they would pile up. */
    static const struct iceberg_pair defaults[] = {{METADATA_DELETE_PROPERTY, "true"}};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(metadata_draft_free_p) struct metadata_draft *draft = NULL;
    const struct iceberg_schema *numbered = NULL;
    int32_t last_id = 0;
    int64_t now = tn_now_ms();
    TN_TRY(iceberg_schema_assign_ids(arena, schema, 1, &numbered, &last_id, err));
    const char *location = store_uri(table->store, arena, table->prefix);
    TN_TRY(metadata_draft_create(numbered, last_id, location, now, &draft, err));
    for (size_t i = 0; i < TN_COUNT(defaults); i++)
        metadata_draft_set_property(draft, defaults[i].key, defaults[i].value);
    for (size_t i = 0; i < property_count; i++)
        metadata_draft_set_property(draft, properties[i].key, properties[i].value);
    if (!written)
        return metadata_draft_finish(draft, version, NULL, NULL, now, ret, err);
    const char *key = table_metadata_key(arena, table, version);
    return metadata_draft_finish(draft, version, key, store_uri(table->store, arena, key), now, ret, err);
}

/* The transaction's base is the empty table, as it would stand one version
 * before: known to nobody, written nowhere. */
enum tn_code iceberg_tx_new_table(const struct iceberg_table *table, const struct iceberg_schema *schema,
                                  struct iceberg_tx **ret, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *empty = NULL;
    int64_t version = 0;
    TN_TRY(store_check_key(table->prefix, err));
    TN_TRY(table_first_version(table, &version, err));
    TN_TRY(table_draft(table, schema, NULL, 0, version - 1, false, &empty, err));
    *ret = iceberg_tx_new(table, empty);
    return TN_OK;
}

enum tn_code iceberg_table_create(const struct iceberg_table *table, const struct iceberg_schema *schema,
                                  const struct iceberg_pair *properties, size_t property_count,
                                  struct iceberg_metadata **ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(store_batch_free_p) struct store_batch *batch = store_batch_new(table->store);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_AUTO_BUF text = {0};
    int64_t version = 0;
    size_t length = 0;
    TN_TRY(store_check_key(table->prefix, err));
    TN_TRY(table_first_version(table, &version, err));
    TN_TRY(table_draft(table, schema, properties, property_count, version, true, &metadata, err));
    const char *json = iceberg_metadata_json(metadata, &length);
    metadata_of(metadata)->checkpoint = version;
    struct table_pointer pointer = table_pointer_for(arena, table, metadata);
    table_pointer_write(&pointer, &text);
    TN_TRY(store_batch_put(batch, metadata->key, json, length, err));
    enum tn_code code = store_batch_commit(batch, table_pointer_key(arena, table, version), text.data, text.len, err);
    if (code == TN_EEXISTS) {
        enum tn_code ignored = store_delete(table->store, metadata->key, NULL);
        (void)ignored;
        return tn_fail(err, TN_EEXISTS, "another writer created a table at %s first", table->prefix);
    }
    TN_TRY(code);
    held_add_version(table->store, metadata);
    table_write_hint(table, metadata);
    *ret = TN_TAKE(metadata);
    return TN_OK;
}

/* --- Drop --- */

static enum tn_code table_put_pointer(const struct iceberg_table *table, const struct table_pointer *pointer,
                                      struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_BUF text = {0};
    table_pointer_write(pointer, &text);
    enum tn_code code =
        store_create(table->store, table_pointer_key(arena, table, pointer->version), text.data, text.len, err);
    if (code == TN_EEXISTS)
        return tn_fail(err, TN_ECONFLICT, "%s was changed by somebody else at the same time", table->prefix);
    return code;
}

enum tn_code iceberg_table_drop(const struct iceberg_table *table, const struct iceberg_metadata *base,
                                struct tn_error *err)
{
    char uuid[TN_UUID_TEXT];
    int64_t newest = 0;
    TN_TRY(table_newest_version(table, base->version, &newest, err));
    if (newest != base->version)
        return tn_fail(err, TN_ECONFLICT, "%s is at version %" PRId64 ", not %" PRId64, table->prefix, newest,
                       base->version);
    const struct table_pointer pointer = {.version = newest + 1, .dropped = true, .attempt = tn_uuid4(uuid)};
    return table_put_pointer(table, &pointer, err);
}

enum tn_code iceberg_table_undrop(const struct iceberg_table *table, struct iceberg_metadata **ret,
                                  struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *metadata = NULL;
    char uuid[TN_UUID_TEXT];
    int64_t version = 0;
    struct table_pointer pointer = {0};
    TN_TRY(table_newest_version(table, 0, &version, err));
    if (version > 0)
        TN_TRY(table_pointer_read(table, version, arena, &pointer, err));
    if (!pointer.dropped || version < 2)
        return tn_fail(err, TN_ENOTFOUND, "no dropped table at %s", table->prefix);
    TN_TRY(table_pointer_read(table, version - 1, arena, &pointer, err));
    if (pointer.dropped)
        return tn_fail(err, TN_ECORRUPT, "%s was dropped twice", table->prefix);
    /* As the version that it was: what a crash took is made again from there. */
    TN_TRY(table_load_pointed(table, &pointer, arena, &metadata, err));
    pointer.version = version + 1;
    pointer.attempt = tn_uuid4(uuid);
    metadata_of(metadata)->shown.version = pointer.version;
    if (pointer.checkpoint) { /* a patch fits behind its own base only */
        size_t length = 0;
        const char *json = iceberg_metadata_json(metadata, &length);
        TN_TRY(store_put(table->store, metadata->key, json, length, err));
        pointer.checkpoint = 0;
    }
    metadata_of(metadata)->checkpoint = pointer.version;
    TN_TRY(table_put_pointer(table, &pointer, err));
    *ret = TN_TAKE(metadata);
    return TN_OK;
}
