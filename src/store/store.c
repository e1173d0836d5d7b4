/* The front of every store: keys are checked and work is counted here. */
#include "store/store.h"

#include "base/str.h"
#include "store/store_internal.h"

#include <string.h>

static enum tn_code fail_key(const char *key, const char *why, struct tn_error *err)
{
    (void)tn_fail(err, TN_EREQUEST, "\"%.200s\" cannot be the key of an object: %s", key, why);
    tn_error_hint(err, "keys look like \"datasets/calls/data/1.parquet\"");
    return TN_EREQUEST;
}

static const char *part_problem(const char *part, size_t length)
{
    if (length == 0)
        return "it has an empty part (a '/' in front, behind or twice)";
    if (length > STORE_MAX_PART)
        return "a part of it is longer than 255 bytes";
    if ((length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.'))
        return "\".\" and \"..\" are not allowed in it";
    return NULL;
}

enum tn_code store_check_key(const char *key, struct tn_error *err)
{
    size_t length = strnlen(key, STORE_MAX_KEY + 1);
    if (length > STORE_MAX_KEY)
        return fail_key(key, "it is longer than 1024 bytes", err);
    if (tn_utf8_valid_prefix(key, length) != length)
        return fail_key(key, "it is not valid UTF-8", err);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)key[i];
        if (c < 0x20 || c == 0x7F)
            return fail_key(key, "it contains a control character", err);
    }
    for (const char *part = key;;) {
        const char *end = strchrnul(part, '/');
        const char *problem = part_problem(part, (size_t)(end - part));
        if (problem)
            return fail_key(key, problem, err);
        if (part == key && (size_t)(end - part) == sizeof STORE_STAGING - 1 &&
            memcmp(part, STORE_STAGING, sizeof STORE_STAGING - 1) == 0)
            return fail_key(key, "\"" STORE_STAGING "\" belongs to the store", err);
        if (!*end)
            return TN_OK;
        part = end + 1;
    }
}

void store_close(struct store *store)
{
    if (store)
        store->ops->close(store);
}

void store_sync_threads(struct store *store, size_t threads)
{
    store->ops->sync_threads(store, threads);
}

char *store_uri(struct store *store, struct tn_arena *arena, const char *key)
{
    return store->ops->uri(store, arena, key);
}

enum tn_code store_key_of_uri(struct store *store, struct tn_arena *arena, const char *uri, char **ret_key,
                              struct tn_error *err)
{
    const char *key = store->ops->below_root(store, uri);
    if (!key || store_check_key(key, NULL) != TN_OK) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *scratch = tn_arena_new();
        (void)tn_fail(err, TN_ENOTFOUND, "%.300s lies outside of the store %.300s", uri,
                      store_uri(store, scratch, ""));
        tn_error_hint(err, "was the lake moved or copied from another folder?");
        return TN_ENOTFOUND;
    }
    *ret_key = tn_arena_strdup(arena, key);
    return TN_OK;
}

enum tn_code store_put(struct store *store, const char *key, const void *bytes, size_t count, struct tn_error *err)
{
    TN_CLEANUP(store_batch_free_p) struct store_batch *batch = store_batch_new(store);
    TN_TRY(store_batch_put(batch, key, bytes, count, err));
    return store_batch_flush(batch, err);
}

enum tn_code store_put_hint(struct store *store, const char *key, const void *bytes, size_t count,
                            struct tn_error *err)
{
    TN_CLEANUP(store_batch_free_p) struct store_batch *batch = store_batch_new(store);
    batch->hint = true;
    TN_TRY(store_batch_put(batch, key, bytes, count, err));
    return store_batch_flush(batch, err);
}

void store_put_hint_soon(struct store *store, const char *key, const void *bytes, size_t count)
{
    if (store_check_key(key, NULL) != TN_OK)
        return;
    STORE_COUNT(store, puts, 1);
    store->ops->hint_soon(store, key, bytes, count);
}

enum tn_code store_create(struct store *store, const char *key, const void *bytes, size_t count, struct tn_error *err)
{
    TN_CLEANUP(store_batch_free_p) struct store_batch *batch = store_batch_new(store);
    return store_batch_commit(batch, key, bytes, count, err);
}

enum tn_code store_put_file(struct store *store, const char *key, const char *local_path, struct tn_error *err)
{
    TN_TRY(store_check_key(key, err));
    STORE_COUNT(store, puts, 1);
    return store->ops->put_file(store, key, local_path, err);
}

enum tn_code store_stage_path(struct store *store, struct tn_arena *arena, const char *suffix, char **ret_path,
                              struct tn_error *err)
{
    if (strchr(suffix, '/') || strlen(suffix) > 64)
        return tn_fail(err, TN_EINTERNAL, "\"%.80s\" cannot end the name of a staging file", suffix);
    return store->ops->stage_path(store, arena, suffix, ret_path, err);
}

enum tn_code store_get(struct store *store, const char *key, size_t max_bytes, struct tn_buf *ret,
                       struct tn_error *err)
{
    TN_TRY(store_check_key(key, err));
    STORE_COUNT(store, gets, 1);
    size_t before = ret->len;
    TN_TRY(store->ops->get(store, key, max_bytes, ret, err));
    STORE_COUNT(store, bytes_read, ret->len - before);
    return TN_OK;
}

enum tn_code store_read(struct store *store, const char *key, uint64_t offset, size_t count, void *out,
                        struct tn_error *err)
{
    TN_TRY(store_check_key(key, err));
    STORE_COUNT(store, reads, 1);
    TN_TRY(store->ops->read(store, key, offset, count, out, err));
    STORE_COUNT(store, bytes_read, count);
    return TN_OK;
}

enum tn_code store_head(struct store *store, const char *key, uint64_t *ret_size, struct tn_error *err)
{
    TN_TRY(store_check_key(key, err));
    return store->ops->head(store, key, ret_size, err);
}

enum tn_code store_exists(struct store *store, const char *key, bool *ret, struct tn_error *err)
{
    uint64_t size;
    enum tn_code code = store_head(store, key, &size, err);
    if (code != TN_OK && code != TN_ENOTFOUND)
        return code;
    if (err)
        *err = (struct tn_error){0};
    *ret = code == TN_OK;
    return TN_OK;
}

enum tn_code store_local_path(struct store *store, struct tn_arena *arena, const char *key, char **ret_path,
                              struct tn_error *err)
{
    TN_TRY(store_check_key(key, err));
    return store->ops->local_path(store, arena, key, ret_path, err);
}

enum tn_code store_needed_path(struct store *store, struct tn_arena *arena, const char *key, char **ret_path,
                               struct tn_error *err)
{
    enum tn_code code = store_local_path(store, arena, key, ret_path, err);
    if (code != TN_ENOTFOUND)
        return code;
    (void)tn_fail(err, TN_ECORRUPT, "the lake refers to \"%s\", which is not there", key);
    tn_error_hint(err, "something outside of Tarn removed it: restore it from a backup; "
                       "`tarn doctor --deep` tells what else is missing");
    return TN_ECORRUPT;
}

/* A prefix is the beginning of a key: its last part may be cut or empty. */
static enum tn_code check_prefix(const char *prefix, struct tn_error *err)
{
    const char *slash = strrchr(prefix, '/');
    if (!slash)
        return TN_OK;
    if (strlen(prefix) > STORE_MAX_KEY)
        return fail_key(prefix, "it is longer than 1024 bytes", err);
    TN_AUTO_FREE char *folder = tn_strndup(prefix, (size_t)(slash - prefix));
    return store_check_key(folder, err);
}

enum tn_code store_list(struct store *store, const char *prefix, store_list_fn *callback, void *context,
                        struct tn_error *err)
{
    TN_TRY(check_prefix(prefix, err));
    STORE_COUNT(store, lists, 1);
    return store->ops->list(store, prefix, callback, context, err);
}

enum tn_code store_list_folders(struct store *store, const char *key, store_folder_fn *callback, void *context,
                                struct tn_error *err)
{
    if (*key)
        TN_TRY(store_check_key(key, err));
    STORE_COUNT(store, lists, 1);
    return store->ops->list_folders(store, key, callback, context, err);
}

enum tn_code store_delete(struct store *store, const char *key, struct tn_error *err)
{
    TN_TRY(store_check_key(key, err));
    STORE_COUNT(store, deletes, 1);
    return store->ops->remove(store, key, err);
}

void store_delete_soon(struct store *store, const char *key)
{
    if (store_check_key(key, NULL) != TN_OK)
        return;
    STORE_COUNT(store, deletes, 1);
    store->ops->remove_soon(store, key);
}

void store_trim_soon(struct store *store, const char *folder, int64_t last)
{
    if (last > 0 && store_check_key(folder, NULL) == TN_OK)
        store->ops->trim_soon(store, folder, last);
}

void store_trim_stop(struct store *store, const char *folder)
{
    store->ops->trim_stop(store, folder);
}

enum tn_code store_sync_folder(struct store *store, const char *key, struct tn_error *err)
{
    TN_TRY(store_check_key(key, err));
    return store->ops->sync_folder(store, key, err);
}

struct store_batch *store_batch_new(struct store *store)
{
    return store->ops->batch_new(store);
}

static enum tn_code check_batch(const struct store_batch *batch, struct tn_error *err)
{
    if (batch->failed)
        return tn_fail(err, TN_EINTERNAL, "a batch whose flush failed cannot be used again");
    return TN_OK;
}

enum tn_code store_batch_put(struct store_batch *batch, const char *key, const void *bytes, size_t count,
                             struct tn_error *err)
{
    TN_TRY(check_batch(batch, err));
    TN_TRY(store_check_key(key, err));
    TN_TRY(batch->store->ops->batch_put(batch, key, bytes, count, err));
    STORE_COUNT(batch->store, puts, 1);
    STORE_COUNT(batch->store, bytes_written, count);
    return TN_OK;
}

enum tn_code store_batch_put_soft(struct store_batch *batch, const char *key, const void *bytes, size_t count,
                                  struct tn_error *err)
{
    batch->soft = true;
    enum tn_code code = store_batch_put(batch, key, bytes, count, err);
    batch->soft = false;
    return code;
}

enum tn_code store_batch_put_file(struct store_batch *batch, const char *key, const char *local_path,
                                  struct tn_error *err)
{
    TN_TRY(check_batch(batch, err));
    TN_TRY(store_check_key(key, err));
    STORE_COUNT(batch->store, puts, 1);
    return batch->store->ops->batch_put_file(batch, key, local_path, err);
}

enum tn_code store_batch_flush(struct store_batch *batch, struct tn_error *err)
{
    TN_TRY(check_batch(batch, err));
    enum tn_code code = batch->store->ops->batch_finish(batch, NULL, NULL, 0, err);
    batch->failed = code != TN_OK;
    return code;
}

enum tn_code store_batch_commit(struct store_batch *batch, const char *key, const void *bytes, size_t count,
                                struct tn_error *err)
{
    TN_TRY(check_batch(batch, err));
    TN_TRY(store_check_key(key, err));
    STORE_COUNT(batch->store, creates, 1);
    enum tn_code code = batch->store->ops->batch_finish(batch, key, bytes, count, err);
    batch->failed = code != TN_OK && code != TN_EEXISTS;
    if (code == TN_OK)
        STORE_COUNT(batch->store, bytes_written, count);
    return code;
}

void store_batch_free(struct store_batch *batch)
{
    if (batch)
        batch->store->ops->batch_free(batch);
}

enum tn_code store_clean_staging(struct store *store, uint64_t older_than_ms, uint64_t *ret_removed,
                                 struct tn_error *err)
{
    return store->ops->clean_staging(store, older_than_ms, ret_removed, err);
}

struct store_counters store_counters(const struct store *store)
{
    const struct store_counters *now = &store->counters;
#define READ(what) .what = __atomic_load_n(&now->what, __ATOMIC_RELAXED)
    return (struct store_counters){READ(puts),   READ(creates),      READ(gets),          READ(reads),
                                   READ(lists),  READ(deletes),      READ(bytes_written), READ(bytes_read),
                                   READ(fsyncs), READ(trim_failures)};
#undef READ
}
