/* Metadata files that a power failure took.
 *
 * Most commits write their metadata file without an fsync. What is durable is
 * the pointer, which says how the file follows from the one of the version
 * before it, and every so often a file in full: the checkpoint. The checksum
 * in each pointer proves every step.
 */
#include "base/hash.h"
#include "iceberg/table_internal.h"

#include <inttypes.h>

enum tn_code table_patch(const struct tn_buf *base, const struct metadata_part *parts, size_t count,
                         struct tn_buf *ret, struct tn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct metadata_part *part = &parts[i];
        if (!part->text && (part->offset > base->len || part->length > base->len - part->offset))
            return tn_fail(err, TN_ECORRUPT, "a patch copies bytes %zu to %zu of %zu", part->offset,
                           part->offset + part->length, base->len);
        if (part->length > ICEBERG_METADATA_MAX_BYTES - ret->len)
            return tn_fail(err, TN_ECORRUPT, "a patch makes more than %zu bytes", ICEBERG_METADATA_MAX_BYTES);
        tn_buf_append(ret, part->text ? part->text : base->data + part->offset, part->length);
    }
    return TN_OK;
}

static enum tn_code rebuild_lost(const struct iceberg_table *table, int64_t version, int64_t step,
                                 struct tn_error *err)
{
    (void)tn_fail(err, TN_ECORRUPT,
                  "the metadata file of version %" PRId64
                  " of %s is damaged, and so is what it could be made of again "
                  "(version %" PRId64 ")",
                  version, table->prefix, step);
    tn_error_hint(err, "the lake's files were changed or damaged; restore the table from a backup");
    return TN_ECORRUPT;
}

/* The checkpoint's own file. */
static enum tn_code rebuild_start(const struct iceberg_table *table, int64_t version, struct tn_arena *arena,
                                  struct tn_buf *ret, struct tn_error *err)
{
    struct table_pointer pointer;
    TN_TRY(table_pointer_read(table, version, arena, &pointer, err));
    if (pointer.dropped || pointer.checkpoint)
        return tn_fail(err, TN_ECORRUPT, "version %" PRId64 " of %s is not a checkpoint", version, table->prefix);
    const char *key = NULL;
    TN_TRY(table_metadata_place(table, &pointer, arena, &key, NULL, err));
    TN_TRY(store_get(table->store, key, ICEBERG_METADATA_MAX_BYTES, ret, err));
    if (!table_pointer_fits(&pointer, ret))
        return tn_fail(err, TN_ECORRUPT, "%s is not what was committed", key);
    return TN_OK;
}

static enum tn_code rebuild_step(const struct iceberg_table *table, int64_t version, struct tn_buf *json,
                                 struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_BUF next = {0};
    struct table_pointer pointer;
    TN_TRY(table_pointer_read(table, version, arena, &pointer, err));
    (void)tn_buf_reserve(&next, json->len + METADATA_PATCH_MAX_BYTES);
    TN_TRY(table_patch(json, pointer.patch, pointer.patch_count, &next, err));
    if (!table_pointer_fits(&pointer, &next))
        return tn_fail(err, TN_ECORRUPT, "the patch of version %" PRId64 " does not give what was committed",
                       version);
    tn_buf_release(json);
    *json = next;
    next = (struct tn_buf){0};
    return TN_OK;
}

enum tn_code table_rebuild(const struct iceberg_table *table, const struct table_pointer *pointer, struct tn_buf *ret,
                           struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_BUF json = {0};
    int64_t version = pointer->checkpoint;
    enum tn_code code = rebuild_start(table, version, arena, &json, err);
    while (code == TN_OK && version < pointer->version)
        code = rebuild_step(table, ++version, &json, err);
    if (code == TN_ECORRUPT || code == TN_ENOTFOUND)
        return rebuild_lost(table, pointer->version, version, err);
    TN_TRY(code);
    tn_buf_append(ret, json.data, json.len);
    return TN_OK;
}
