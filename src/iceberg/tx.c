/* Transactions: what is asked for, and how it becomes a version. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/id.h"
#include "base/str.h"
#include "iceberg/schema.h"
#include "iceberg/tx_internal.h"

#include <inttypes.h>
#include <string.h>

/* JSON tells an integer up to 2^53 as a number and others as a text: of a
 * thousand snapshots one had an id of another type than all others. */
static int64_t new_snapshot_id(void)
{
    for (;;) {
        int64_t id = tn_random_i63();
        if (id > TN_JSON_MAX_SAFE)
            return id;
    }
}

struct iceberg_tx *iceberg_tx_new(const struct iceberg_table *table, const struct iceberg_metadata *base)
{
    struct iceberg_tx *tx = tn_calloc(1, sizeof *tx);
    tx->table = *table;
    tx->base = iceberg_metadata_ref(base);
    tx->batch = store_batch_new(table->store);
    tx->arena = tn_arena_new();
    tx->snapshot_id = new_snapshot_id();
    tx->start_id = ICEBERG_NONE;
    held_add_tx(tx);
    return tx;
}

/* Forgets an attempt. What it wrote goes, unless it may have been published. */
static void tx_drop_attempt(struct iceberg_tx *tx)
{
    for (size_t i = 0; tx->visible && !tx->finished && i < tx->written_count; i++) {
        enum tn_code ignored = store_delete(tx->table.store, tx->written[i], NULL);
        (void)ignored;
    }
    for (size_t i = 0; i < tx->object_count; i++)
        manifest_object_unref(tx->objects[i]);
    metadata_draft_free(TN_TAKE(tx->draft));
    iceberg_metadata_unref(TN_TAKE(tx->next));
    tn_arena_free(TN_TAKE(tx->attempt));
    tx_paths_release(&tx->found);
    tx->written_count = tx->object_count = tx->row_count = 0;
    tx->manifest_count = 0;
    tx->plus = tx->minus = (struct tx_counts){0};
    tx->visible = false;
}

void iceberg_tx_free(struct iceberg_tx *tx)
{
    if (!tx)
        return;
    tx_drop_attempt(tx);
    held_drop_tx(tx);
    store_batch_free(tx->batch);
    tx_paths_release(&tx->removed);
    free((void *)tx->removed_list);
    free((void *)tx->written);
    free(tx->added);
    free(tx->properties);
    free(tx->summary);
    free(tx->tags);
    free(tx->forgotten);
    free(tx->thinned);
    free(tx->objects);
    free(tx->rows);
    iceberg_metadata_unref(tx->base);
    tn_arena_free(tx->arena);
    free(tx);
}

struct store_batch *iceberg_tx_batch(struct iceberg_tx *tx)
{
    return tx->batch;
}

int64_t iceberg_tx_snapshot_id(const struct iceberg_tx *tx)
{
    return tx->snapshot_id;
}

const char *iceberg_tx_table_uuid(const struct iceberg_tx *tx)
{
    return tx->base->uuid;
}

const char *iceberg_tx_new_file(struct iceberg_tx *tx, struct tn_arena *arena, const char *suffix,
                                const char **ret_key)
{
    return iceberg_new_file_uri(arena, &tx->table, tx->base, suffix, ret_key);
}

int32_t iceberg_tx_schema_id(const struct iceberg_tx *tx)
{
    if (!tx->schema)
        return tx->base->schema->id;
    TN_CLEANUP(metadata_draft_free_p) struct metadata_draft *draft = metadata_draft_new(tx->base);
    const char *json;
    if (metadata_draft_set_schema(draft, tx->schema, NULL) != TN_OK)
        return ICEBERG_NONE; /* commit will say why */
    return metadata_draft_schema(draft, &json)->id;
}

const struct iceberg_spec *iceberg_tx_spec(const struct iceberg_tx *tx)
{
    static const struct iceberg_spec whole = {0};
    const struct iceberg_spec *spec = iceberg_metadata_spec(tx->base, tx->base->default_spec_id);
    return spec ? spec : &whole;
}

/* --- What is asked for --- */

/* Clients find a delete file's data file by these bounds: the whole path. */
static void tx_complete_delete_stats(struct iceberg_tx *tx, struct iceberg_file *file)
{
    const char *target = file->referenced_data_file;
    struct iceberg_stats *stats = TN_ARENA_ARRAY(tx->arena, struct iceberg_stats, file->stats_count + 1);
    if (file->stats_count)
        memcpy(stats, file->stats, file->stats_count * sizeof *stats);
    size_t at = 0;
    while (at < file->stats_count && stats[at].field_id != ICEBERG_DELETE_PATH_ID)
        at++;
    if (at == file->stats_count) {
        stats[file->stats_count++] = (struct iceberg_stats){.field_id = ICEBERG_DELETE_PATH_ID,
                                                            .column_size = ICEBERG_NONE,
                                                            .value_count = file->record_count,
                                                            .null_count = 0,
                                                            .nan_count = ICEBERG_NONE};
    }
    stats[at].lower = stats[at].upper = (struct iceberg_bytes){(const uint8_t *)target, strlen(target)};
    file->stats = stats;
}

enum tn_code iceberg_tx_add_file(struct iceberg_tx *tx, const struct iceberg_file *file, struct tn_error *err)
{
    if (file->content == ICEBERG_EQUALITY_DELETES)
        return tn_fail(err, TN_EUNSUPPORTED, "equality deletes are not written: %s", file->path);
    if (file->record_count <= 0 || file->size_bytes <= 0)
        return tn_fail(err, TN_EINTERNAL, "%s has no rows or no bytes, and clients refuse such files", file->path);
    struct iceberg_file *copy = tn_arena_alloc(tx->arena, sizeof *copy);
    manifest_copy_file(tx->arena, file, copy);
    if (copy->content == ICEBERG_POSITION_DELETES) {
        copy->sort_order_id = ICEBERG_NONE; /* the format reserves it for data */
        if (copy->referenced_data_file)
            tx_complete_delete_stats(tx, copy);
    }
    if (copy->stats_count) {
        struct iceberg_stats *stats = (struct iceberg_stats *)(uintptr_t)copy->stats;
        qsort(stats, copy->stats_count, sizeof *stats, manifest_stats_order);
    }
    TN_GROW(tx->added, tx->added_count, tx->added_capacity);
    tx->added[tx->added_count++] = copy;
    return TN_OK;
}

void iceberg_tx_remove_file(struct iceberg_tx *tx, const char *path)
{
    const char *copy = tn_arena_strdup(tx->arena, path);
    if (!tx_paths_add(&tx->removed, copy))
        return;
    TN_GROW(tx->removed_list, tx->removed_count, tx->removed_capacity);
    tx->removed_list[tx->removed_count++] = copy;
}

void iceberg_tx_remove_all(struct iceberg_tx *tx)
{
    tx->remove_all = true;
}

enum tn_code iceberg_tx_start_from(struct iceberg_tx *tx, int64_t snapshot_id, struct tn_error *err)
{
    if (!iceberg_metadata_snapshot(tx->base, snapshot_id))
        return tn_fail(err, TN_ESNAPSHOT, "no snapshot %" PRId64 " in %s", snapshot_id, tx->table.prefix);
    tx->start_id = snapshot_id;
    return TN_OK;
}

void iceberg_tx_mark_rewrite(struct iceberg_tx *tx)
{
    tx->rewrite = true;
}

void iceberg_tx_set_schema(struct iceberg_tx *tx, const struct iceberg_schema *schema)
{
    tx->schema = iceberg_schema_copy(tx->arena, schema);
}

void iceberg_tx_set_property(struct iceberg_tx *tx, const char *key, const char *value)
{
    TN_GROW(tx->properties, tx->property_count, tx->property_capacity);
    tx->properties[tx->property_count++] =
        (struct iceberg_pair){tn_arena_strdup(tx->arena, key), value ? tn_arena_strdup(tx->arena, value) : NULL};
}

void iceberg_tx_set_summary(struct iceberg_tx *tx, const char *key, const char *value)
{
    const char *copy = tn_arena_strdup(tx->arena, value);
    for (size_t i = 0; i < tx->summary_count; i++) {
        if (tn_streq(tx->summary[i].key, key)) {
            tx->summary[i].value = copy;
            return;
        }
    }
    TN_GROW(tx->summary, tx->summary_count, tx->summary_capacity);
    tx->summary[tx->summary_count++] = (struct iceberg_pair){tn_arena_strdup(tx->arena, key), copy};
}

void iceberg_tx_set_tag(struct iceberg_tx *tx, const char *name, int64_t snapshot_id)
{
    TN_GROW(tx->tags, tx->tag_count, tx->tag_capacity);
    tx->tags[tx->tag_count++] = (struct tx_tag){tn_arena_strdup(tx->arena, name), snapshot_id};
}

void iceberg_tx_forget_snapshot(struct iceberg_tx *tx, int64_t snapshot_id)
{
    TN_GROW(tx->forgotten, tx->forgotten_count, tx->forgotten_capacity);
    tx->forgotten[tx->forgotten_count++] = snapshot_id;
}

void iceberg_tx_set_time(struct iceberg_tx *tx, int64_t timestamp_ms)
{
    tx->timestamp_ms = timestamp_ms;
}

const struct iceberg_snapshot *tx_start(const struct iceberg_tx *tx)
{
    return tx->start_id == ICEBERG_NONE ? tx->base->current : iceberg_metadata_snapshot(tx->base, tx->start_id);
}

/* --- The new version --- */

static bool tx_changes_rows(const struct iceberg_tx *tx)
{
    return tx->added_count || tx->removed_count || tx->remove_all || tx->start_id != ICEBERG_NONE;
}

/* Everything but rows and the summary: what metadata_next cannot do. */
static bool tx_changes_metadata(const struct iceberg_tx *tx)
{
    return tx->schema || tx->property_count || tx->tag_count || tx->forgotten_count || tx->thinned_count;
}

static bool tx_makes_snapshot(const struct iceberg_tx *tx)
{
    /* A transaction of summary keys alone (an ingest of nothing) makes a
     * snapshot too: that is where they live. */
    return tx_changes_rows(tx) || tx->summary_count;
}

static bool tx_changes_anything(const struct iceberg_tx *tx)
{
    return tx_makes_snapshot(tx) || tx_changes_metadata(tx);
}

const struct iceberg_schema *tx_schema(const struct iceberg_tx *tx, const char **ret_json)
{
    return tx->draft ? metadata_draft_schema(tx->draft, ret_json) : metadata_current_schema(tx->base, ret_json);
}

static enum tn_code tx_draft_changes(struct iceberg_tx *tx, struct tn_error *err)
{
    for (size_t i = 0; i < tx->property_count; i++)
        metadata_draft_set_property(tx->draft, tx->properties[i].key, tx->properties[i].value);
    for (size_t i = 0; i < tx->tag_count; i++)
        TN_TRY(metadata_draft_set_tag(tx->draft, tx->tags[i].name, tx->tags[i].snapshot_id, err));
    for (size_t i = 0; i < tx->forgotten_count; i++)
        TN_TRY(metadata_draft_forget_snapshot(tx->draft, tx->forgotten[i], err));
    for (size_t i = 0; i < tx->thinned_count; i++)
        TN_TRY(metadata_draft_forget_snapshot(tx->draft, tx->thinned[i], err));
    return TN_OK;
}

static enum tn_code tx_build_snapshot(struct iceberg_tx *tx, int64_t timestamp_ms, struct tn_buf *out,
                                      struct tn_error *err)
{
    const char *list_uri = NULL, *schema_json = NULL;
    TN_FAULT("commit.before_manifest");
    tx->sequence_number = tx->base->last_sequence_number + 1;
    TN_TRY(tx_build_manifests(tx, &list_uri, err));
    return tx_snapshot_json(tx, list_uri, timestamp_ms, tx_schema(tx, &schema_json)->id, out, err);
}

/* The version itself: the short way where it will do, else the general one. */
static enum tn_code tx_build_version(struct iceberg_tx *tx, const struct tn_buf *snapshot, int64_t now,
                                     struct tn_error *err)
{
    int64_t version = tx->base->version + 1;
    const char *key = table_metadata_key(tx->attempt, &tx->table, version);
    const char *uri = store_uri(tx->table.store, tx->attempt, key);
    if (!tx->draft)
        TN_TRY(metadata_next(tx->base, snapshot->data, snapshot->len, version, key, uri, now, &tx->next, err));
    if (tx->next)
        return TN_OK;
    if (!tx->draft)
        tx->draft = metadata_draft_new(tx->base);
    if (snapshot->len)
        TN_TRY(metadata_draft_add_snapshot(tx->draft, snapshot->data, snapshot->len, err));
    TN_TRY(tx_draft_changes(tx, err));
    return metadata_draft_finish(tx->draft, version, key, uri, now, &tx->next, err);
}

/* The metadata file needs no fsync when the pointer says how to make it again
 * from one that had it. That one must not fall off the log meanwhile. */
static enum tn_code tx_put_metadata(struct iceberg_tx *tx, struct tn_error *err)
{
    struct metadata *next = metadata_of(tx->next);
    int64_t from = metadata_of(tx->base)->checkpoint;
    size_t length = 0, most = TN_MIN((size_t)TABLE_MOST_PATCHES, tx->next->metadata_log_count);
    const char *json = iceberg_metadata_json(tx->next, &length);
    bool soft = next->patch_count && next->patch_bytes <= METADATA_PATCH_MAX_BYTES && from > 0 &&
                tx->next->version - from <= (int64_t)most;
    next->checkpoint = soft ? from : tx->next->version;
    if (soft)
        TN_TRY(store_batch_put_soft(tx->batch, tx->next->key, json, length, err));
    else
        TN_TRY(store_batch_put(tx->batch, tx->next->key, json, length, err));
    TN_GROW(tx->written, tx->written_count, tx->written_capacity);
    tx->written[tx->written_count++] = tn_arena_strdup(tx->attempt, tx->next->key);
    return TN_OK;
}

/* Everything but the pointer into the batch. */
static enum tn_code tx_build(struct iceberg_tx *tx, struct tn_error *err)
{
    TN_AUTO_BUF snapshot = {0};
    tx_drop_attempt(tx);
    if (tx->base->format_version != 2) {
        (void)tn_fail(err, TN_EUNSUPPORTED, "%s has format version %d, and only version 2 is written",
                      tx->table.prefix, tx->base->format_version);
        return TN_EUNSUPPORTED;
    }
    tx->attempt = tn_arena_new();
    if (tx_changes_metadata(tx) || !tx_makes_snapshot(tx))
        tx->draft = metadata_draft_new(tx->base);
    int64_t now = tx->timestamp_ms ? tx->timestamp_ms : tn_now_ms();
    now = TN_MAX(now, tx->base->last_updated_ms); /* a clock that went back must not order commits wrongly */
    if (tx->schema)
        TN_TRY(metadata_draft_set_schema(tx->draft, tx->schema, err));
    if (tx_makes_snapshot(tx))
        TN_TRY(tx_build_snapshot(tx, now, &snapshot, err));
    TN_FAULT("commit.before_metadata");
    TN_TRY(tx_build_version(tx, &snapshot, now, err));
    return tx_put_metadata(tx, err);
}

/* --- Publishing --- */

/* Is the pointer that is there ours? TN_OK, TN_ECONFLICT (somebody else's),
 * TN_ENOTFOUND (none), or why it cannot be known. */
static enum tn_code tx_pointer_owner(struct iceberg_tx *tx, const struct table_pointer *pointer)
{
    struct table_pointer found;
    TN_TRY(table_pointer_read(&tx->table, pointer->version, tx->attempt, &found, NULL));
    return tn_streq(found.attempt, pointer->attempt) ? TN_OK : TN_ECONFLICT;
}

static enum tn_code tx_lost(struct iceberg_tx *tx, struct tn_error *err)
{
    return tn_fail(err, TN_ECONFLICT, "%s was changed by another writer since version %" PRId64, tx->table.prefix,
                   tx->base->version);
}

static void tx_say_unknown(struct iceberg_tx *tx, int64_t version, struct tn_error *err)
{
    tn_error_context(err, "whether version %" PRId64 " of %s was committed is not known; load the table to see",
                     version, tx->table.prefix);
}

/* See pointer.c: a base whose pointer is gone was not the newest. The pointer
 * is there by now, so nothing that it names may go before it does. */
static enum tn_code tx_check_base(struct iceberg_tx *tx, const char *pointer_key, struct tn_error *err)
{
    bool there = true;
    enum tn_code code = TN_OK;
    tx->finished = true;
    if (tx->base->version > 0)
        code =
            store_exists(tx->table.store, table_pointer_key(tx->attempt, &tx->table, tx->base->version), &there, err);
    if (code == TN_OK && there)
        return TN_OK;
    if (code == TN_OK)
        code = store_delete(tx->table.store, pointer_key, err);
    if (code != TN_OK) {
        tx_say_unknown(tx, tx->next->version, err);
        return code;
    }
    tx->finished = false;
    return tx_lost(tx, err);
}

static enum tn_code tx_create_pointer(struct iceberg_tx *tx, bool with_batch, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    const struct table_pointer pointer = table_pointer_for(tx->attempt, &tx->table, tx->next);
    const char *key = table_pointer_key(tx->attempt, &tx->table, pointer.version);
    table_pointer_write(&pointer, &text);
    TN_FAULT("commit.before_pointer");
    tx->visible = true;
    enum tn_code code = with_batch ? store_batch_commit(tx->batch, key, text.data, text.len, err)
                                   : store_create(tx->table.store, key, text.data, text.len, err);
    if (code != TN_OK) {
        enum tn_code owner = tx_pointer_owner(tx, &pointer);
        if (code == TN_EEXISTS && owner == TN_ECONFLICT)
            return tx_lost(tx, err);
        if (owner == TN_ENOTFOUND || owner == TN_ECONFLICT)
            return code;
        if (code != TN_EEXISTS || owner != TN_OK) {
            tx->finished = true;
            tx_say_unknown(tx, pointer.version, err);
            return code == TN_EEXISTS ? TN_EIO : code;
        }
    }
    return tx_check_base(tx, key, err);
}

/* Metadata files that fell off the log, and the pointers that named them, one
 * of each at a commit. The pointers go in ascending order (pointer.c says why),
 * which store_trim_soon keeps, and no commit waits for either. */
static void tx_prune(struct iceberg_tx *tx)
{
    const char *wanted = iceberg_metadata_property(tx->next, METADATA_DELETE_PROPERTY);
    const struct iceberg_metadata *base = tx->base, *next = tx->next;
    if (!wanted || !tn_streq(wanted, "true"))
        return;
    size_t total = base->metadata_log_count + (base->uri != NULL), dropped = total - next->metadata_log_count;
    for (size_t i = 0; i < dropped && i < base->metadata_log_count; i++) {
        const char *key = NULL;
        if (iceberg_resolve(tx->attempt, &tx->table, base, base->metadata_log[i].file, &key, NULL) != TN_OK)
            continue;
        store_delete_soon(tx->table.store, key);
    }
    int64_t old = next->version - (int64_t)next->metadata_log_count - 1;
    if (dropped && old > 0)
        store_trim_soon(tx->table.store, tn_arena_printf(tx->attempt, "%s/commits", tx->table.prefix), old);
}

static enum tn_code tx_publish(struct iceberg_tx *tx, bool with_batch, struct iceberg_metadata **ret,
                               struct tn_error *err)
{
    enum tn_code code = tx_create_pointer(tx, with_batch, err);
    if (code == TN_ECONFLICT)
        tx_drop_attempt(tx); /* clients that read folders must not find it */
    TN_TRY(code);
    TN_FAULT("commit.after_pointer");
    tx->finished = true;
    held_add_version(tx->table.store, tx->next);
    table_write_hint(&tx->table, tx->next);
    for (size_t i = 0; i < tx->object_count; i++)
        cache_put(tx->table.cache, tx->objects[i]);
    tx_prune(tx);
    *ret = iceberg_metadata_ref(tx->next);
    return TN_OK;
}

/* What an old base refers to may be gone by now: a lost race, not damage. */
static enum tn_code tx_build_or_lose(struct iceberg_tx *tx, struct tn_error *err)
{
    int64_t newest = 0;
    enum tn_code code = tx_build(tx, err);
    if (code != TN_ECORRUPT || table_newest_version(&tx->table, tx->base->version, &newest, NULL) != TN_OK ||
        newest <= tx->base->version)
        return code;
    return tx_lost(tx, err);
}

enum tn_code iceberg_tx_prepare(struct iceberg_tx *tx, struct tn_error *err)
{
    TN_TRY(tx_build_or_lose(tx, err));
    tx->visible = true;
    return store_batch_flush(tx->batch, err);
}

enum tn_code iceberg_tx_publish(struct iceberg_tx *tx, struct iceberg_metadata **ret, struct tn_error *err)
{
    if (!tx->next || tx->finished)
        return tn_fail(err, TN_EINTERNAL, "publish without prepare");
    return tx_publish(tx, false, ret, err);
}

enum tn_code iceberg_tx_commit(struct iceberg_tx *tx, struct iceberg_metadata **ret, struct tn_error *err)
{
    if (tx->finished)
        return tn_fail(err, TN_EINTERNAL, "a transaction commits once");
    if (!tx_changes_anything(tx)) {
        *ret = iceberg_metadata_ref(tx->base);
        return TN_OK;
    }
    TN_TRY(tx_build_or_lose(tx, err));
    return tx_publish(tx, true, ret, err);
}
