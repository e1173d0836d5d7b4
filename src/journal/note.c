/* Events of what is no commit of rows: a dataset is dropped, described, renamed.
 *
 * They lie beside foreign commits' batches and are rolled with them. A number
 * below zero, which no snapshot has, stands for the snapshot and makes the key
 * unique; whoever reads the journal is shown none.
 */
#include "journal/journal_internal.h"

#include <inttypes.h>
#include <string.h>

#define NO_TABLE "00000000-0000-0000-0000-000000000000"
#define TRIES    16

static int64_t new_number(void)
{
    char uuid[TN_UUID_TEXT];
    return -(int64_t)(tn_hash64(tn_uuid7(uuid), TN_UUID_TEXT - 1, 0) >> 2) - 1;
}

static char *key_of(const char *folder, const struct tail_batch *entry)
{
    return tn_asprintf("%s%s/%" PRId64 "-%" PRId64 ".parquet", folder, entry->uuid, entry->sequence,
                       entry->snapshot_id);
}

static struct journal_batch *make_batch(const char *dataset, const struct journal_event *events, size_t count)
{
    struct journal_batch *batch = journal_batch_new(dataset);
    for (size_t i = 0; i < count; i++)
        journal_batch_add(batch, &events[i]);
    return batch;
}

static void entry_init(struct tail_batch *entry, const char *table_uuid, int64_t sequence, size_t count)
{
    *entry = (struct tail_batch){.sequence = sequence, .events = count};
    snprintf(entry->uuid, sizeof entry->uuid, "%s", table_uuid ? table_uuid : NO_TABLE);
}

static enum tn_code put_object(struct journal *journal, const char *folder, const struct journal_batch *batch,
                               struct tail_batch *entry, int64_t time_us, struct tn_error *err)
{
    TN_AUTO_BUF object = {0};
    TN_TRY(journal_batch_encode(batch, entry->uuid, entry->snapshot_id, entry->sequence, time_us, &object, err));
    TN_AUTO_FREE char *key = key_of(folder, entry);
    TN_TRY(store_create(journal->store, key, object.data, object.len, err));
    entry->key = TN_TAKE(key);
    return TN_OK;
}

static enum tn_code put_new(struct journal *journal, const char *folder, const struct journal_batch *batch,
                            struct tail_batch *entry, struct tn_error *err)
{
    enum tn_code code = TN_EEXISTS;
    for (int left = TRIES; code == TN_EEXISTS && left > 0; left--) {
        entry->snapshot_id = new_number();
        code = put_object(journal, folder, batch, entry, tn_now_us(), err);
    }
    return code;
}

/* A note that has its number. */
static enum tn_code put_listed(struct journal *journal, const struct journal_batch *batch, struct tail_batch *entry,
                               int64_t time_us, struct tn_error *err)
{
    pthread_rwlock_rdlock(&journal->noting);
    enum tn_code code = put_object(journal, JOURNAL_FOREIGN, batch, entry, time_us, err);
    if (code == TN_OK)
        journal_tail_add(journal, entry);
    pthread_rwlock_unlock(&journal->noting);
    return code;
}

enum tn_code journal_note(struct journal *journal, const char *dataset, const char *table_uuid, int64_t sequence,
                          const struct journal_event *events, size_t count, struct tn_error *err)
{
    if (!journal || count == 0)
        return TN_OK;
    TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = make_batch(dataset, events, count);
    struct tail_batch entry;
    entry_init(&entry, table_uuid, sequence, count);
    pthread_rwlock_rdlock(&journal->noting);
    enum tn_code code = put_new(journal, JOURNAL_FOREIGN, batch, &entry, err);
    if (code == TN_OK)
        journal_tail_add(journal, &entry);
    pthread_rwlock_unlock(&journal->noting);
    return code;
}

/* ---- main, moved without a commit ------------------------------------------------ */

/* Walks the snapshots beside the log: nearly always the next entry has the next one. */
static const struct iceberg_snapshot *logged(const struct iceberg_metadata *metadata, size_t entry, size_t *next)
{
    int64_t id = metadata->snapshot_log[entry].snapshot_id;
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        size_t at = (*next + i) % metadata->snapshot_count;
        if (metadata->snapshots[at]->id == id) {
            *next = at + 1;
            return metadata->snapshots[at];
        }
    }
    return NULL;
}

/* A commit's entry has the time of its snapshot. The entry's own, made of what it says, is the note's number. */
static int64_t move_number(const struct iceberg_metadata *metadata, const struct iceberg_log_entry *entry)
{
    char text[128];
    int length = snprintf(text, sizeof text, "%s %" PRId64 " %" PRId64, metadata->uuid, entry->timestamp_ms,
                          entry->snapshot_id);
    return -(int64_t)(tn_hash64(text, (size_t)length, 0) >> 2) - 1;
}

static enum tn_code is_noted(struct journal *journal, const char *uuid, int64_t number, bool *ret,
                             struct tn_error *err)
{
    *ret = false;
    pthread_mutex_lock(&journal->working);
    enum tn_code code = journal_tail_load(journal, err);
    if (code == TN_OK)
        *ret = journal_tail_has(journal, uuid, number);
    if (code == TN_OK && !*ret)
        code = journal_events_tell(journal, uuid, number, ret, err);
    pthread_mutex_unlock(&journal->working);
    return code;
}

void journal_moving(struct journal *journal, struct journal_mover *mover)
{
    if (!journal)
        return;
    pthread_mutex_lock(&journal->mutex);
    mover->next = journal->movers;
    journal->movers = mover;
    pthread_mutex_unlock(&journal->mutex);
}

void journal_moved(struct journal *journal, const struct journal_mover *mover)
{
    if (!journal)
        return;
    pthread_mutex_lock(&journal->mutex);
    struct journal_mover **at = &journal->movers;
    while (*at && *at != mover)
        at = &(*at)->next;
    if (*at)
        *at = mover->next;
    pthread_mutex_unlock(&journal->mutex);
}

/* Who is at it right now, for those who only see that it was done. */
static struct journal_event find_mover(struct journal *journal, const char *dataset, int64_t snapshot_id,
                                       struct tn_arena *arena)
{
    struct journal_event by = {.actor = "iceberg client"};
    pthread_mutex_lock(&journal->mutex);
    for (const struct journal_mover *mover = journal->movers; mover; mover = mover->next)
        if (mover->snapshot_id == snapshot_id && tn_streq(mover->dataset, dataset)) {
            by.actor = tn_arena_strdup(arena, mover->by.actor);
            by.request_id = tn_arena_strdup(arena, mover->by.request_id);
        }
    pthread_mutex_unlock(&journal->mutex);
    return by;
}

/* `sequence`: of the newest commit before it. */
static enum tn_code note_move(struct journal *journal, const char *dataset, const struct iceberg_metadata *metadata,
                              const struct iceberg_log_entry *log, const struct iceberg_snapshot *target,
                              int64_t sequence, const struct journal_event *by, struct tn_error *err)
{
    bool noted = false;
    TN_AUTO_BUF value = {0};
    struct tn_json json = tn_json_writer(&value);
    struct tail_batch entry;
    entry_init(&entry, metadata->uuid, sequence, 1);
    entry.snapshot_id = move_number(metadata, log);
    TN_TRY(is_noted(journal, entry.uuid, entry.snapshot_id, &noted, err));
    if (noted)
        return TN_OK;
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "snapshot_id", target->id);
    tn_json_ki64(&json, "sequence", target->sequence_number);
    tn_json_close(&json, '}');
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct journal_event event = by ? *by : find_mover(journal, dataset, target->id, arena);
    event.operation = "rollback";
    event.source = "iceberg client";
    event.new_value = value.data;
    event.new_length = value.len;
    TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = make_batch(dataset, &event, 1);
    enum tn_code code = put_listed(journal, batch, &entry, log->timestamp_ms * 1000, err);
    return code == TN_EEXISTS ? TN_OK : code;
}

static enum tn_code note_moves(struct journal *journal, const char *dataset, const struct iceberg_metadata *metadata,
                               const struct journal_event *by, struct tn_error *err)
{
    size_t next = 0;
    int64_t sequence = 0;
    pthread_mutex_lock(&journal->mutex);
    int64_t noted_ms = journal_looked_mark(journal, metadata->uuid)->moved_ms, newest_ms = noted_ms;
    pthread_mutex_unlock(&journal->mutex);
    for (size_t i = 0; i < metadata->snapshot_log_count; i++) {
        const struct iceberg_log_entry *entry = &metadata->snapshot_log[i];
        const struct iceberg_snapshot *target = logged(metadata, i, &next);
        if (!target)
            continue;
        bool moved = entry->timestamp_ms != target->timestamp_ms || target->sequence_number < sequence;
        if (moved && entry->timestamp_ms > noted_ms) {
            TN_TRY(note_move(journal, dataset, metadata, entry, target, TN_MAX(sequence, target->sequence_number), by,
                             err));
            newest_ms = TN_MAX(newest_ms, entry->timestamp_ms);
        }
        sequence = TN_MAX(sequence, target->sequence_number);
    }
    pthread_mutex_lock(&journal->mutex);
    struct rolled_mark *mark = journal_looked_mark(journal, metadata->uuid);
    mark->moved_ms = TN_MAX(mark->moved_ms, newest_ms);
    pthread_mutex_unlock(&journal->mutex);
    return TN_OK;
}

enum tn_code journal_note_moves(struct journal *journal, const char *dataset, const struct iceberg_metadata *metadata,
                                const struct journal_event *by, struct tn_error *err)
{
    if (!journal || !metadata->uuid)
        return TN_OK;
    pthread_mutex_lock(&journal->moving);
    enum tn_code code = note_moves(journal, dataset, metadata, by, err);
    pthread_mutex_unlock(&journal->moving);
    return code;
}

/* ---- what is about to be done ------------------------------------------------ */

enum tn_code journal_intend(struct journal *journal, const char *dataset, const char *table_uuid, int64_t sequence,
                            const struct journal_event *events, size_t count, struct journal_intent *ret,
                            struct tn_error *err)
{
    *ret = (struct journal_intent){0};
    if (!journal || count == 0)
        return TN_OK;
    TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = make_batch(dataset, events, count);
    struct tail_batch entry;
    entry_init(&entry, table_uuid, sequence, count);
    TN_TRY(put_new(journal, JOURNAL_INTENDED, batch, &entry, err));
    memcpy(ret->uuid, entry.uuid, sizeof ret->uuid);
    ret->sequence = sequence;
    ret->number = entry.snapshot_id;
    free(entry.key);
    return TN_OK;
}

/* A note of the intent's own number: who comes second finds it there. */
static enum tn_code put_intended(struct journal *journal, const char *dataset, const struct journal_intent *intent,
                                 const struct journal_event *events, size_t count, int64_t time_us,
                                 struct tn_error *err)
{
    TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = make_batch(dataset, events, count);
    struct tail_batch entry;
    entry_init(&entry, intent->uuid, intent->sequence, count);
    entry.snapshot_id = intent->number;
    enum tn_code code = put_listed(journal, batch, &entry, time_us, err);
    return code == TN_EEXISTS ? TN_OK : code;
}

enum tn_code journal_note_intended(struct journal *journal, const char *dataset, const struct journal_intent *intent,
                                   const struct journal_event *events, size_t count, struct tn_error *err)
{
    if (!journal || intent->number == 0)
        return TN_OK;
    struct tail_batch entry;
    entry_init(&entry, intent->uuid, intent->sequence, 0);
    entry.snapshot_id = intent->number;
    if (count > 0)
        TN_TRY(put_intended(journal, dataset, intent, events, count, tn_now_us(), err));
    TN_FAULT("journal.note_put");
    TN_AUTO_FREE char *key = key_of(JOURNAL_INTENDED, &entry);
    return store_delete(journal->store, key, err);
}

/* ---- what a process that died was about to do ----------------------------------- */

void journal_put_described(struct tn_buf *out, const struct iceberg_metadata *metadata, const char *member)
{
    TN_AUTO_FREE char *key = tn_asprintf("tarn.%s", member);
    const char *text = iceberg_metadata_property(metadata, key);
    bool json = tn_streq(key, CATALOG_P_TAGS) || tn_streq(key, CATALOG_P_COLUMNS);
    if (!text)
        tn_buf_puts(out, "null");
    else if (json)
        tn_buf_puts(out, text);
    else
        tn_json_quote(out, text, strlen(text));
}

void journal_put_tag(struct tn_buf *out, const struct iceberg_metadata *metadata, const char *name)
{
    const struct iceberg_ref *ref = iceberg_metadata_ref_named(metadata, name);
    struct tn_json json = tn_json_writer(out);
    if (ref)
        tn_json_i64(&json, ref->snapshot_id);
    else
        tn_json_null(&json);
}

#define INTENT_COLUMNS                                                                                               \
    "dataset, operation, field, old_value, new_value, actor, source, reason, workspace, request_id, "                \
    "CAST(epoch_us(ts) AS BIGINT)"
enum { INTENT_TEXTS = 10, INTENT_EVENTS_MAX = 64 };

struct resuming {
    struct tn_arena *arena;
    const char *dataset;
    struct journal_event events[INTENT_EVENTS_MAX];
    size_t count;
    int64_t time_us;
};

static enum tn_code take_event(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct resuming *resuming = context;
    const char *texts[INTENT_TEXTS];
    (void)err;
    if (resuming->count == INTENT_EVENTS_MAX)
        return TN_OK;
    for (size_t i = 0; i < INTENT_TEXTS; i++)
        texts[i] = cells[i].null ? NULL : tn_arena_strndup(resuming->arena, cells[i].text.data, cells[i].text.length);
    resuming->dataset = texts[0];
    resuming->time_us = cells[INTENT_TEXTS].integer;
    resuming->events[resuming->count++] = (struct journal_event){.operation = texts[1],
                                                                 .field = texts[2],
                                                                 .old_value = texts[3],
                                                                 .old_length = texts[3] ? strlen(texts[3]) : 0,
                                                                 .new_value = texts[4],
                                                                 .new_length = texts[4] ? strlen(texts[4]) : 0,
                                                                 .actor = texts[5],
                                                                 .source = texts[6],
                                                                 .reason = texts[7],
                                                                 .workspace = texts[8],
                                                                 .request_id = texts[9]};
    return TN_OK;
}

/* Leaves the events of what was done, by the state that is there now: a dataset
 * that has its name no more was dropped or renamed, a value that is another one
 * was changed. */
static enum tn_code keep_done(struct journal *journal, const struct journal_intent *intent, struct resuming *resuming,
                              struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *now = NULL;
    size_t kept = 0;
    enum tn_code code = catalog_load(journal->catalog, resuming->dataset, &now, err);
    if (code != TN_OK && code != TN_EDATASET)
        return code;
    bool there = now && tn_streq(now->uuid, intent->uuid);
    for (size_t i = 0; i < resuming->count; i++) {
        struct journal_event event = resuming->events[i];
        TN_AUTO_BUF value = {0};
        bool leaves = tn_streq(event.operation, "drop") || tn_streq(event.operation, "rename");
        if (leaves == there)
            continue;
        if (there && event.field) {
            if (tn_streq(event.operation, "describe"))
                journal_put_described(&value, now, event.field);
            else
                journal_put_tag(&value, now, event.field);
            if (event.old_value && tn_streq(event.old_value, value.data))
                continue;
            event.new_value = tn_arena_strndup(resuming->arena, value.data, value.len);
            event.new_length = value.len;
        }
        resuming->events[kept++] = event;
    }
    resuming->count = kept;
    return TN_OK;
}

static enum tn_code resume_one(struct journal *journal, const char *key, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct resuming *resuming = tn_arena_alloc(arena, sizeof *resuming);
    struct journal_intent intent = {0};
    struct tail_batch entry = {0};
    char *path;
    if (!journal_parse_note(key + strlen(JOURNAL_INTENDED), &entry))
        return TN_OK;
    memcpy(intent.uuid, entry.uuid, sizeof intent.uuid);
    intent.sequence = entry.sequence;
    intent.number = entry.snapshot_id;
    resuming->arena = arena;
    TN_AUTO_BUF sql = {0};
    TN_TRY(store_local_path(journal->store, arena, key, &path, err));
    tn_buf_puts(&sql, "SELECT " INTENT_COLUMNS " FROM read_parquet(");
    tn_buf_put_sql_string(&sql, path);
    tn_buf_puts(&sql, ") ORDER BY ordinal");
    const struct engine_select select = {.sql = sql.data};
    TN_TRY(engine_select(journal->engine, &select, NULL, NULL, NULL, take_event, resuming, err));
    if (resuming->count > 0)
        TN_TRY(keep_done(journal, &intent, resuming, err));
    if (resuming->count > 0)
        TN_TRY(put_intended(journal, resuming->dataset, &intent, resuming->events, resuming->count, resuming->time_us,
                            err));
    return store_delete(journal->store, key, err);
}

static enum tn_code resume_object(void *context, const struct store_object *object, struct tn_error *err)
{
    struct journal *journal = context;
    struct tn_error lost = {0};
    (void)err;
    if (resume_one(journal, object->key, &lost) != TN_OK)
        TN_LOG(TN_LOG_ERROR, "journal.intent_unread", TN_FS("key", object->key), TN_FS("error", lost.detail));
    return TN_OK;
}

enum tn_code journal_resume(struct journal *journal, struct tn_error *err)
{
    return store_list(journal->store, JOURNAL_INTENDED, resume_object, journal, err);
}
