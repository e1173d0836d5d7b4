/* The log of an index's trials: objects that are written once, a line for each
 * record, below vectors/<index>/trials/ (docs/formats/trial-log.md). The number
 * of a record is that of its object, whose creation has one winner. */
#include "index/trial.h"

#include <inttypes.h>

#define OBJECT_MAX ((size_t)64 << 20)

static const char *folder_key(const struct logical *logical, struct tn_arena *arena)
{
    return tn_arena_printf(arena, "vectors/%s/trials", logical->definition.name);
}

static const char *object_key(const struct logical *logical, struct tn_arena *arena, uint64_t record)
{
    return tn_arena_printf(arena, "%s/%012" PRIu64 ".jsonl", folder_key(logical, arena), record);
}

void trial_log_release(struct trial_log *log)
{
    tn_arena_free(log->arena);
    free(log->items);
    *log = (struct trial_log){0};
}

/* ---- loading ---------------------------------------------------------------------- */

static enum tn_code take(void *context, const struct trial_record *record, struct tn_error *err)
{
    struct trial_log *log = context;
    (void)err;
    TN_GROW(log->items, log->count, log->capacity);
    log->items[log->count++] = *record;
    return TN_OK;
}

struct loading {
    struct logical *logical;
    struct trial_log *log;
};

static enum tn_code load_object(void *context, const struct store_object *object, struct tn_error *err)
{
    struct loading *loading = context;
    struct trial_log *log = loading->log;
    TN_AUTO_BUF text = {0};
    log->objects++;
    TN_TRY(store_get(loading->logical->service->lake->store, object->key, OBJECT_MAX, &text, err));
    return trial_records_read(text.data, text.len, log->arena, take, log, &log->damaged, err);
}

static int by_record(const void *a, const void *b)
{
    const struct trial_record *x = a, *y = b;
    return x->record < y->record ? -1 : x->record > y->record;
}

/* A compaction that was cut short leaves records twice. */
static void sort_out(struct trial_log *log)
{
    size_t kept = 0;
    if (log->count > 1)
        qsort(log->items, log->count, sizeof *log->items, by_record);
    for (size_t i = 0; i < log->count; i++)
        if (kept == 0 || log->items[kept - 1].record != log->items[i].record)
            log->items[kept++] = log->items[i];
    log->count = kept;
}

enum tn_code trial_log_load(struct logical *logical, struct tn_error *err)
{
    struct trial_log *log = &logical->tuning->log;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    if (log->loaded)
        return TN_OK;
    struct trial_log fresh = {.arena = tn_arena_new()};
    struct loading loading = {logical, &fresh};
    const char *prefix = tn_arena_printf(arena, "%s/", folder_key(logical, arena));
    enum tn_code code = store_list(logical->service->lake->store, prefix, load_object, &loading, err);
    if (code != TN_OK) {
        trial_log_release(&fresh);
        return code;
    }
    sort_out(&fresh);
    fresh.loaded = true;
    if (fresh.damaged > 0)
        TN_LOG(TN_LOG_WARN, "index.trials_damaged", TN_FS("index", logical->definition.name),
               TN_FI("lines", fresh.damaged));
    *log = fresh;
    return TN_OK;
}

/* ---- adding --------------------------------------------------------------------------- */

enum tn_code trial_log_add(struct logical *logical, struct trial_record *record, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_BUF line = {0};
    struct trial_record copy;
    TN_TRY(trial_log_load(logical, err));
    struct trial_log *log = &logical->tuning->log;
    record->record = log->count > 0 ? log->items[log->count - 1].record : 0;
    enum tn_code code;
    do { /* a number may be taken by a line that cannot be read */
        record->record++;
        if (tn_streq(record->kind, "trial"))
            record->trial = record->record;
        line.len = 0;
        trial_record_write(record, &line);
        tn_buf_putc(&line, '\n');
        code = store_create(logical->service->lake->store, object_key(logical, arena, record->record), line.data,
                            line.len, err);
    } while (code == TN_EEXISTS);
    TN_TRY(code);
    TN_TRY(trial_record_read(line.data, line.len - 1, log->arena, &copy, err));
    log->objects++;
    return take(log, &copy, err);
}

/* ---- compacting -------------------------------------------------------------------------- */

struct listing {
    struct tn_arena *arena;
    const char **keys;
    size_t count, capacity;
};

static enum tn_code note_key(void *context, const struct store_object *object, struct tn_error *err)
{
    struct listing *listing = context;
    (void)err;
    TN_GROW(listing->keys, listing->count, listing->capacity);
    listing->keys[listing->count++] = tn_arena_strdup(listing->arena, object->key);
    return TN_OK;
}

/* All but `spared` (NULL: all). */
static enum tn_code delete_objects(struct logical *logical, const char *spared, struct tn_arena *arena,
                                   struct tn_error *err)
{
    struct store *store = logical->service->lake->store;
    struct listing listing = {.arena = arena};
    const char *prefix = tn_arena_printf(arena, "%s/", folder_key(logical, arena));
    enum tn_code code = store_list(store, prefix, note_key, &listing, err);
    for (size_t i = 0; i < listing.count && code == TN_OK; i++)
        if (!spared || !tn_streq(listing.keys[i], spared))
            code = store_delete(store, listing.keys[i], err);
    free(listing.keys);
    return code;
}

enum tn_code trial_log_compact(struct logical *logical, size_t *ret_objects, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_BUF text = {0};
    TN_TRY(trial_log_load(logical, err));
    struct trial_log *log = &logical->tuning->log;
    *ret_objects = log->objects;
    if (log->count == 0 || log->objects == 1)
        return TN_OK;
    for (size_t i = 0; i < log->count; i++) {
        trial_record_write(&log->items[i], &text);
        tn_buf_putc(&text, '\n');
    }
    /* Under the name of the last: numbers go on behind it. */
    const char *key = object_key(logical, arena, log->items[log->count - 1].record);
    TN_TRY(store_put(logical->service->lake->store, key, text.data, text.len, err));
    TN_TRY(delete_objects(logical, key, arena, err));
    log->objects = 1;
    log->damaged = 0;
    return TN_OK;
}

enum tn_code trial_log_drop(struct logical *logical, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    trial_log_release(&logical->tuning->log);
    return delete_objects(logical, NULL, arena, err);
}
