/* Commits to several tables: a record first, then each table's pointer.
 *
 * transactions/<id> is created once and holds the pointers' keys and bytes.
 * With it the commit stands; whoever opens the lake after a crash creates the
 * pointers that are missing, and removes the record. */
#include "catalog/catalog_internal.h"

#include <string.h>

#define RECORD_MAX_BYTES ((size_t)64 << 20)

enum outcome { OURS, ABSENT, FOREIGN, PAST };

static enum tn_code pointer_exists(struct catalog *catalog, const char *key, size_t folder, int64_t version,
                                   bool *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    return store_exists(catalog->store, tn_arena_printf(arena, "%.*s%lld", (int)folder, key, (long long)version), ret,
                        err);
}

/* What stands at a pointer's key. Pointers are removed from the oldest on, so
 * one that is not there and has nothing before it may be long past. */
static enum tn_code look(struct catalog *catalog, const char *key, const char *pointer, enum outcome *ret,
                         struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    const char *slash = strrchr(key, '/');
    size_t folder = slash ? (size_t)(slash - key) + 1 : 0;
    int64_t version = 0;
    bool before = true, behind = false;
    enum tn_code code = store_get(catalog->store, key, RECORD_MAX_BYTES, &text, err);
    if (code == TN_OK) {
        *ret = text.len == strlen(pointer) && memcmp(text.data, pointer, text.len) == 0 ? OURS : FOREIGN;
        return TN_OK;
    }
    if (code != TN_ENOTFOUND)
        return code;
    if (!slash || !tn_parse_i64(slash + 1, &version) || version < 1)
        return tn_fail(err, TN_ECORRUPT, "%s is no pointer", key);
    if (version > 1)
        TN_TRY(pointer_exists(catalog, key, folder, version - 1, &before, err));
    TN_TRY(pointer_exists(catalog, key, folder, version + 1, &behind, err));
    *ret = before && !behind ? ABSENT : PAST;
    return TN_OK;
}

/* Readers must look again at a table whose pointer was created behind them. */
static void forget_cached(struct catalog *catalog, const char *key)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct entry **entries = NULL;
    size_t count = entry_all(catalog, arena, &entries);
    for (size_t i = 0; i < count; i++) {
        const char *prefix = entry_place_of(catalog, arena, entries[i]).prefix;
        size_t length = strlen(prefix);
        if (strncmp(key, prefix, length) == 0 && strncmp(key + length, "/commits/", 9) == 0)
            entry_forget(catalog, entries[i]);
    }
}

/* --- Carrying out a record --- */

static enum tn_code carry_out(struct catalog *catalog, const struct transaction_part *parts, size_t count,
                              struct tn_error *err)
{
    size_t ours = 0, foreign = 0;
    for (size_t i = 0; i < count; i++) {
        enum outcome outcome = ABSENT;
        TN_TRY(look(catalog, parts[i].key, parts[i].pointer, &outcome, err));
        ours += outcome == OURS;
        foreign += outcome == FOREIGN || outcome == PAST;
    }
    if (foreign > 0) { /* a record that came back after it was removed: done, or never begun */
        if (ours > 0 && ours + foreign == count)
            TN_LOG(TN_LOG_WARN, "transaction.old", TN_FS("key", parts[0].key));
        return TN_OK;
    }
    for (size_t i = 0; i < count; i++) {
        enum tn_code code =
            store_create(catalog->store, parts[i].key, parts[i].pointer, strlen(parts[i].pointer), err);
        if (code != TN_EEXISTS) /* ours from the time before the crash */
            TN_TRY(code);
        TN_FAULT("transaction.between_pointers");
    }
    return TN_OK;
}

static enum tn_code read_record(const json_t *root, const char *what, struct tn_arena *arena,
                                struct transaction_part **ret, size_t *ret_count, struct tn_error *err)
{
    const json_t *list = json_object_get(root, "parts"), *item;
    size_t count = json_array_size(list), i;
    struct transaction_part *parts = TN_ARENA_ARRAY(arena, struct transaction_part, count + 1);
    if (json_integer_value(json_object_get(root, "tarn-transaction")) != 1 || count == 0)
        return tn_fail(err, TN_ECORRUPT, "%s is no transaction's record, or one of a later version", what);
    json_array_foreach(list, i, item)
    {
        parts[i].key = json_string_value(json_object_get(item, "key"));
        parts[i].pointer = json_string_value(json_object_get(item, "pointer"));
        if (!parts[i].key || !parts[i].pointer || store_check_key(parts[i].key, NULL) != TN_OK)
            return tn_fail(err, TN_ECORRUPT, "%s: part %zu is damaged", what, i + 1);
    }
    *ret = parts;
    *ret_count = count;
    return TN_OK;
}

static enum tn_code finish_one(void *context, const struct store_object *object, struct tn_error *err)
{
    struct catalog *catalog = context;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_BUF text = {0};
    TN_AUTO_JSON *root = NULL;
    struct transaction_part *parts = NULL;
    size_t count = 0;
    TN_TRY(store_get(catalog->store, object->key, RECORD_MAX_BYTES, &text, err));
    TN_TRY(tn_json_parse(text.data, text.len, RECORD_MAX_BYTES, object->key, &root, err));
    TN_TRY(read_record(root, object->key, arena, &parts, &count, err));
    TN_TRY(carry_out(catalog, parts, count, err));
    for (size_t i = 0; i < count; i++)
        forget_cached(catalog, parts[i].key);
    TN_LOG(TN_LOG_INFO, "transaction.finished", TN_FS("record", object->key), TN_FI("tables", count));
    return store_delete(catalog->store, object->key, err);
}

enum tn_code transaction_finish_all(struct catalog *catalog, struct tn_error *err)
{
    /* A record must be there to stay before a pointer follows from it. */
    enum tn_code code = store_sync_folder(catalog->store, "transactions", err);
    if (code == TN_OK)
        code = store_list(catalog->store, "transactions/", finish_one, catalog, err);
    if (code != TN_OK) {
        atomic_store(&catalog->unfinished, true);
        tn_error_context(err, "a commit to several tables waits to be finished");
        return code;
    }
    atomic_store(&catalog->unfinished, false);
    return TN_OK;
}

enum tn_code catalog_recover(struct catalog *catalog, struct tn_error *err)
{
    return transaction_finish_all(catalog, err);
}

/* --- Making one --- */

static void write_record(const struct transaction_part *parts, size_t count, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "tarn-transaction", 1);
    tn_json_key(&json, "parts");
    tn_json_open(&json, '[');
    for (size_t i = 0; i < count; i++) {
        tn_json_open(&json, '{');
        tn_json_kstr(&json, "key", parts[i].key);
        tn_json_kstr(&json, "pointer", parts[i].pointer);
        tn_json_close(&json, '}');
    }
    tn_json_close(&json, ']');
    tn_json_close(&json, '}');
    tn_buf_putc(out, '\n');
}

/* The versions that it follows must be there to stay before the record is: a
 * pointer whose writer failed may be visible and not durable, and without it
 * the record could not be carried out. */
static enum tn_code make_bases_durable(struct catalog *catalog, const struct transaction_part *parts, size_t count,
                                       struct tn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        TN_AUTO_FREE char *folder = tn_strdup(parts[i].key);
        char *slash = strrchr(folder, '/');
        if (!slash)
            return tn_fail(err, TN_EINTERNAL, "%s is no pointer", parts[i].key);
        *slash = '\0';
        TN_TRY(store_sync_folder(catalog->store, folder, err));
    }
    return TN_OK;
}

enum tn_code transaction_run(struct catalog *catalog, const struct transaction_part *parts, size_t count,
                             struct tn_error *err)
{
    char id[TN_UUID_TEXT], key[64];
    TN_AUTO_BUF text = {0};
    for (size_t i = 0; i < count; i++) {
        enum outcome outcome = ABSENT;
        TN_TRY(look(catalog, parts[i].key, parts[i].pointer, &outcome, err));
        if (outcome != ABSENT)
            return tn_fail(err, TN_ECONFLICT, "%s was changed by somebody else at the same time",
                           parts[i].entry->name);
    }
    TN_TRY(make_bases_durable(catalog, parts, count, err));
    write_record(parts, count, &text);
    (void)snprintf(key, sizeof key, "transactions/%s", tn_uuid7(id));
    TN_FAULT("transaction.before_record");
    enum tn_code code = store_create(catalog->store, key, text.data, text.len, err);
    if (code == TN_OK) {
        TN_FAULT("transaction.after_record");
        code = carry_out(catalog, parts, count, err);
    }
    if (code != TN_OK) { /* the record may stand: it must be settled before anything else is committed */
        atomic_store(&catalog->unfinished, true);
        tn_error_context(err,
                         "whether this commit to %zu tables will stand is not known; the next write settles it, "
                         "load the tables then",
                         count);
        return code;
    }
    TN_FAULT("transaction.before_forget");
    enum tn_code ignored = store_delete(catalog->store, key, NULL); /* one that stays is seen to be done */
    (void)ignored;
    return TN_OK;
}
