/* The store: opened, degraded, caught up, closed. */
#include "outcome/outcome_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_US    INT64_C(5000000)
#define APPLY_CHUNK 4096

/* ---- catching up ---------------------------------------------------------------- */

/* Entries gathered for one transaction. */
struct chunk {
    struct outcome_db *db;
    struct tn_arena *arena;
    struct outcome_entry entries[APPLY_CHUNK];
    size_t count;
};

static enum tn_code flush_chunk(struct chunk *chunk, struct tn_error *err)
{
    if (chunk->count > 0)
        TN_TRY(db_apply(chunk->db, chunk->entries, chunk->count, err));
    chunk->count = 0;
    tn_arena_reset(chunk->arena);
    return TN_OK;
}

static enum tn_code gather(void *context, const struct outcome_entry *entry, struct tn_error *err)
{
    struct chunk *chunk = context;
    struct outcome_entry *copy = &chunk->entries[chunk->count++];
    *copy = *entry;
    copy->task_type = tn_arena_strdup(chunk->arena, entry->task_type);
    copy->model_id = tn_arena_strdup(chunk->arena, entry->model_id);
    copy->key = entry->key ? tn_arena_strdup(chunk->arena, entry->key) : NULL;
    copy->source = entry->source ? tn_arena_strdup(chunk->arena, entry->source) : NULL;
    return chunk->count == APPLY_CHUNK ? flush_chunk(chunk, err) : TN_OK;
}

enum tn_code outcome_catch_up(struct outcome_store *store, struct outcome_db *db, struct tn_error *err)
{
    int64_t applied, oldest, last = store->log.last_id;
    TN_TRY(db_applied(db, &applied, err));
    if (applied >= last)
        return TN_OK;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_FREE struct chunk *chunk = tn_malloc(sizeof *chunk);
    chunk->db = db;
    chunk->arena = arena;
    chunk->count = 0;
    TN_TRY(log_oldest(store->log_folder, &oldest, err));
    if (oldest == 0 || oldest > applied + 1) { /* what came before the log lies in the table */
        TN_TRY(outcome_rolled_each(store, applied + 1, gather, chunk, err));
        TN_TRY(flush_chunk(chunk, err));
        TN_TRY(db_applied(db, &applied, err));
    }
    TN_TRY(log_read(store->log_folder, applied + 1, last, gather, chunk, err));
    return flush_chunk(chunk, err);
}

/* ---- the file and its stand-in ---------------------------------------------------- */

static void drop_readers(struct outcome_store *store)
{
    pthread_mutex_lock(&store->readers_lock);
    store->readers_epoch++;
    while (store->readers) {
        struct outcome_db *reader = store->readers;
        store->readers = reader->next;
        db_close(reader);
    }
    pthread_mutex_unlock(&store->readers_lock);
}

/* A broken file is kept beside; the new one is made of the log. */
static enum tn_code put_aside(struct outcome_store *store, const struct tn_error *why, struct tn_error *err)
{
    TN_AUTO_FREE char *aside = tn_asprintf("%s.broken-%" PRId64, store->db_path, tn_now_ms());
    TN_LOG(TN_LOG_WARN, "outcome.database_broken", TN_FS("error", why->detail), TN_FS("kept_as", aside));
    drop_readers(store);
    if (rename(store->db_path, aside) != 0)
        return tn_fail_errno(err, errno, "cannot put the broken %s aside", store->db_path);
    for (size_t i = 0; i < 2; i++) {
        TN_AUTO_FREE char *side = tn_asprintf("%s%s", store->db_path, i ? "-shm" : "-wal");
        (void)unlink(side);
    }
    return TN_OK;
}

static enum tn_code open_and_fill(struct outcome_store *store, const char *path, struct outcome_db **ret,
                                  struct tn_error *err)
{
    struct outcome_db *opened = NULL;
    TN_TRY(db_open(path, &opened, err));
    TN_CLEANUP(db_close_p) struct outcome_db *db = opened;
    TN_TRY(outcome_catch_up(store, db, err));
    *ret = TN_TAKE(db);
    return TN_OK;
}

static enum tn_code open_file(struct outcome_store *store, struct outcome_db **ret, struct tn_error *err)
{
    struct tn_error why = {0};
    int64_t applied = 0;
    enum tn_code code = open_and_fill(store, store->db_path, ret, &why);
    if (code == TN_OK && db_applied(*ret, &applied, NULL) == TN_OK && applied > store->log.last_id) {
        /* The file knows more than the truth: it belongs to another log. */
        db_close(*ret);
        code = tn_fail(&why, TN_ECORRUPT, "outcomes.sqlite has entries up to %" PRId64 " and the log up to %" PRId64,
                       applied, store->log.last_id);
    }
    if (code == TN_ECORRUPT && strstr(why.detail, "outcomes.sqlite")) {
        TN_TRY(put_aside(store, &why, err));
        return open_and_fill(store, store->db_path, ret, err);
    }
    if (code != TN_OK && err)
        *err = why;
    return code;
}

enum tn_code outcome_degrade(struct outcome_store *store, const struct tn_error *why, struct tn_error *err)
{
    TN_LOG(TN_LOG_ERROR, "outcome.degraded", TN_FS("error", why->detail), TN_FS("file", store->db_path),
           TN_FS("meaning", "outcomes go to the log alone and are merged when the file opens again"));
    db_close(TN_TAKE(store->db));
    drop_readers(store);
    atomic_store(&store->degraded, true);
    store->retry_us = tn_now_us() + RETRY_US;
    return open_and_fill(store, "", &store->db, err);
}

/* With the log's lock: other processes neither append nor make the file meanwhile. */
static enum tn_code open_database(struct outcome_store *store, struct tn_error *err)
{
    struct tn_error why = {0};
    struct outcome_db *db = NULL;
    TN_TRY(log_follow(&store->log, err));
    if (open_file(store, &db, &why) == TN_OK) {
        if (atomic_load(&store->degraded))
            TN_LOG(TN_LOG_INFO, "outcome.recovered", TN_FS("file", store->db_path),
                   TN_FI("last_id", store->log.last_id));
        db_close(store->db);
        store->db = db;
        atomic_store(&store->degraded, false);
        return TN_OK;
    }
    if (!store->db)
        return outcome_degrade(store, &why, err);
    store->retry_us = tn_now_us() + RETRY_US;
    return TN_OK;
}

/* ---- the folder --------------------------------------------------------------------- */

static enum tn_code open_log(struct outcome_store *store, bool create, struct tn_error *err)
{
    struct stat info;
    if (atomic_load(&store->exists))
        return TN_OK;
    if (!create && stat(store->folder, &info) != 0 && errno == ENOENT)
        return tn_fail(err, TN_ENOTFOUND, "no outcome was ever recorded");
    pthread_mutex_lock(&store->rolling);
    enum tn_code code = outcome_table_load(store, err); /* the ids that are used up */
    pthread_mutex_unlock(&store->rolling);
    TN_TRY(code);
    TN_TRY(tn_mkdirs(store->log_folder, 0700, err));
    TN_TRY(tn_fsync_dir(store->folder, err));
    TN_TRY(log_open(store->log_folder, atomic_load(&store->rolled_id), &store->log, err));
    atomic_store(&store->last_id, store->log.last_id);
    atomic_store(&store->exists, true);
    return TN_OK;
}

enum tn_code outcome_ready(struct outcome_store *store, bool create, struct tn_error *err)
{
    TN_TRY(open_log(store, create, err));
    if (store->db && !(atomic_load(&store->degraded) && tn_now_us() >= store->retry_us))
        return TN_OK;
    TN_TRY(log_lock(&store->log, err));
    enum tn_code code = open_database(store, err);
    atomic_store(&store->last_id, store->log.last_id);
    log_unlock(&store->log);
    return code;
}

enum tn_code outcome_rebuild(struct outcome_store *store, struct tn_error *err)
{
    TN_TRY(db_clear(store->db, err));
    return outcome_catch_up(store, store->db, err);
}

enum tn_code outcome_open(const struct outcome_options *options, struct outcome_store **ret, struct tn_error *err)
{
    (void)err; /* so far nothing can fail here that would not fail again when it is needed */
    TN_CLEANUP(outcome_close_p) struct outcome_store *store = tn_calloc(1, sizeof *store);
    store->arena = tn_arena_new();
    store->lake = options->lake;
    store->folder = tn_arena_strdup(store->arena, options->folder);
    store->log_folder = tn_path_join(store->arena, store->folder, "log");
    store->db_path = tn_path_join(store->arena, store->folder, "outcomes.sqlite");
    store->log = (struct outcome_log){.fd = -1, .lock_fd = -1};
    store->end = &store->first;
    (void)pthread_mutex_init(&store->queue_lock, NULL);
    (void)pthread_cond_init(&store->queue_done, NULL);
    (void)pthread_mutex_init(&store->writing, NULL);
    (void)pthread_mutex_init(&store->readers_lock, NULL);
    (void)pthread_mutex_init(&store->rolling, NULL);
    outcome_tables_init(store);
    struct tn_error why = {0};
    pthread_mutex_lock(&store->writing);
    enum tn_code code = outcome_ready(store, false, &why);
    pthread_mutex_unlock(&store->writing);
    if (code == TN_OK)
        outcome_import_old_file(store);
    else if (code != TN_ENOTFOUND)
        TN_LOG(TN_LOG_ERROR, "outcome.unavailable", TN_FS("error", why.detail), TN_FS("hint", why.hint));
    *ret = TN_TAKE(store);
    return TN_OK;
}

void outcome_close(struct outcome_store *store)
{
    if (!store)
        return;
    drop_readers(store);
    db_close(store->db);
    log_close(&store->log);
    outcome_tail_release(store);
    iceberg_metadata_unref(store->rolled);
    (void)pthread_mutex_destroy(&store->rolling);
    (void)pthread_mutex_destroy(&store->readers_lock);
    (void)pthread_mutex_destroy(&store->writing);
    (void)pthread_cond_destroy(&store->queue_done);
    (void)pthread_mutex_destroy(&store->queue_lock);
    tn_arena_free(store->arena);
    free(store);
}

struct outcome_state outcome_state(struct outcome_store *store)
{
    return (struct outcome_state){
        .exists = atomic_load(&store->exists),
        .degraded = atomic_load(&store->degraded),
        .last_id = atomic_load(&store->last_id),
        .rolled_id = atomic_load(&store->rolled_id),
    };
}

/* ---- readers --------------------------------------------------------------------------- */

static enum tn_code take_idle(struct outcome_store *store, struct outcome_reader *ret, struct tn_error *err)
{
    struct outcome_reader reader = {.store = store};
    pthread_mutex_lock(&store->readers_lock);
    reader.epoch = store->readers_epoch;
    reader.db = store->readers;
    if (reader.db)
        store->readers = reader.db->next;
    pthread_mutex_unlock(&store->readers_lock);
    if (!reader.db)
        TN_TRY(db_open_reader(store->db_path, &reader.db, err));
    *ret = reader;
    return TN_OK;
}

enum tn_code outcome_reader_take(struct outcome_store *store, struct outcome_reader *ret, struct tn_error *err)
{
    if (!atomic_load(&store->exists) || atomic_load(&store->degraded)) {
        pthread_mutex_lock(&store->writing);
        enum tn_code code = outcome_ready(store, false, err);
        if (code == TN_OK && atomic_load(&store->degraded)) {
            *ret = (struct outcome_reader){.store = store, .db = store->db, .writers = true};
            return TN_OK; /* with `writing` held */
        }
        pthread_mutex_unlock(&store->writing);
        TN_TRY(code);
    }
    return take_idle(store, ret, err);
}

void outcome_reader_give(struct outcome_reader *reader)
{
    struct outcome_store *store = reader->store;
    if (!store)
        return;
    if (reader->writers) {
        pthread_mutex_unlock(&store->writing);
        return;
    }
    pthread_mutex_lock(&store->readers_lock);
    bool keep = reader->epoch == store->readers_epoch;
    if (keep) {
        reader->db->next = store->readers;
        store->readers = reader->db;
    }
    pthread_mutex_unlock(&store->readers_lock);
    if (!keep)
        db_close(reader->db);
}
