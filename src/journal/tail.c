/* The batches that are not rolled yet, as a list and as a table of the engine.
 *
 * A commit adds to the list alone. The table is brought up to date when
 * somebody asks for the journal, so that commits pay nothing for it. Rows of
 * the table are numbered by batch: a relation names the numbers that it means,
 * and goes on meaning them while newer ones arrive.
 */
#include "journal/journal_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FILES_AT_ONCE 512
#define KEPT_AT_ONCE  4096 /* batches whose events are in memory yet */
#define EVENTS_MOST   50000

void journal_tail_add(struct journal *journal, const struct tail_batch *entry)
{
    pthread_mutex_lock(&journal->mutex);
    bool known = false;
    for (size_t i = journal->tail_count; i > 0 && !known; i--)
        known = journal->tail[i - 1].snapshot_id == entry->snapshot_id &&
                tn_streq(journal->tail[i - 1].uuid, entry->uuid);
    bool keeps = !known && entry->kept && journal->kept_bytes + journal_kept_bytes(entry->kept) <= JOURNAL_KEPT_BYTES;
    if (known) {
        free(entry->key);
    } else {
        TN_GROW(journal->tail, journal->tail_count, journal->tail_capacity);
        struct tail_batch *added = &journal->tail[journal->tail_count++];
        *added = *entry;
        added->kept = keeps ? entry->kept : NULL;
        journal->kept_bytes += journal_kept_bytes(added->kept);
    }
    pthread_mutex_unlock(&journal->mutex);
    if (!keeps)
        journal_kept_free(entry->kept);
}

bool journal_tail_has(struct journal *journal, const char *uuid, int64_t snapshot_id)
{
    bool found = false;
    pthread_mutex_lock(&journal->mutex);
    for (size_t i = journal->tail_count; i > 0 && !found; i--)
        found = journal->tail[i - 1].snapshot_id == snapshot_id && tn_streq(journal->tail[i - 1].uuid, uuid);
    pthread_mutex_unlock(&journal->mutex);
    return found;
}

bool journal_tail_has_key(struct journal *journal, const char *key)
{
    bool found = false;
    pthread_mutex_lock(&journal->mutex);
    for (size_t i = 0; i < journal->tail_count && !found; i++)
        found = tn_streq(journal->tail[i].key, key);
    pthread_mutex_unlock(&journal->mutex);
    return found;
}

void journal_tail_forget(struct journal *journal, int64_t number)
{
    size_t kept = 0;
    pthread_mutex_lock(&journal->mutex);
    for (size_t i = 0; i < journal->tail_count; i++) {
        if (journal->tail[i].number > 0 && journal->tail[i].number <= number)
            free(journal->tail[i].key);
        else
            journal->tail[kept++] = journal->tail[i];
    }
    journal->tail_count = kept;
    pthread_mutex_unlock(&journal->mutex);
}

/* ---- what earlier processes left ------------------------------------------- */

static void scan_table(struct journal *journal, const struct iceberg_metadata *metadata)
{
    int64_t mark = journal_mark(journal, metadata->uuid);
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *snapshot = metadata->snapshots[i];
        const char *key = iceberg_snapshot_summary(snapshot, JOURNAL_S_BATCH);
        if (!key || snapshot->sequence_number <= mark)
            continue;
        struct tail_batch entry = {
            .key = tn_strdup(key),
            .sequence = snapshot->sequence_number,
            .snapshot_id = snapshot->id,
            .timestamp_ms = snapshot->timestamp_ms,
            .events = (uint64_t)iceberg_snapshot_count(snapshot, JOURNAL_S_EVENTS, 0),
        };
        snprintf(entry.uuid, sizeof entry.uuid, "%s", metadata->uuid);
        journal_tail_add(journal, &entry);
    }
}

static enum tn_code scan_tables(struct journal *journal, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *const *names;
    size_t count;
    TN_TRY(catalog_list(journal->catalog, arena, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        ICEBERG_AUTO_METADATA *metadata = NULL;
        struct tn_error one = {0};
        if (catalog_load(journal->catalog, names[i], &metadata, &one) == TN_OK)
            scan_table(journal, metadata);
        else
            TN_LOG(TN_LOG_WARN, "journal.table_skipped", TN_FS("dataset", names[i]), TN_FS("error", one.detail));
    }
    return TN_OK;
}

bool journal_parse_note(const char *name, struct tail_batch *ret)
{
    char *end;
    if (strlen(name) <= TN_UUID_TEXT || name[TN_UUID_TEXT - 1] != '/' || memchr(name, '/', TN_UUID_TEXT - 1))
        return false;
    int64_t sequence = strtoll(name + TN_UUID_TEXT, &end, 10);
    if (*end != '-')
        return false;
    int64_t snapshot_id = strtoll(end + 1, &end, 10);
    /* Only as it is written: no two names may stand for one batch. */
    TN_AUTO_FREE char *written =
        tn_asprintf("%.*s%" PRId64 "-%" PRId64 ".parquet", TN_UUID_TEXT, name, sequence, snapshot_id);
    if (!tn_streq(written, name))
        return false;
    memcpy(ret->uuid, name, TN_UUID_TEXT - 1);
    ret->uuid[TN_UUID_TEXT - 1] = '\0';
    ret->sequence = sequence;
    ret->snapshot_id = snapshot_id;
    return true;
}

/* A foreign commit's batch is deleted after the roll that took it: one that is
 * both there and rolled was left by a crash in between. */
static enum tn_code scan_foreign(void *context, const struct store_object *object, struct tn_error *err)
{
    struct journal *journal = context;
    struct tail_batch entry = {0};
    bool told = false;
    if (!journal_parse_note(object->key + strlen(JOURNAL_FOREIGN), &entry))
        return TN_OK;
    TN_TRY(journal_events_tell(journal, entry.uuid, entry.snapshot_id, &told, err));
    if (told)
        return store_delete(journal->store, object->key, err);
    entry.key = tn_strdup(object->key);
    entry.events = 1;
    journal_tail_add(journal, &entry);
    return TN_OK;
}

static enum tn_code scan(struct journal *journal, struct tn_error *err)
{
    if (journal->scanned)
        return TN_OK;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    enum tn_code code = iceberg_table_load(&journal->table, NULL, &metadata, err);
    if (code != TN_OK && code != TN_ENOTFOUND)
        return code;
    if (code == TN_OK)
        journal_set_events(journal, TN_TAKE(metadata));
    TN_TRY(scan_tables(journal, err));
    TN_TRY(store_list(journal->store, JOURNAL_FOREIGN, scan_foreign, journal, err));
    journal->scanned = true;
    return TN_OK;
}

/* ---- commits that nobody told of --------------------------------------------- */

void journal_tail_doubt(struct journal *journal, const char *dataset)
{
    bool known = false;
    pthread_mutex_lock(&journal->mutex);
    for (size_t i = 0; i < journal->doubt_count && !known; i++)
        known = tn_streq(journal->doubts[i], dataset);
    if (!known) {
        TN_GROW(journal->doubts, journal->doubt_count, journal->doubt_capacity);
        journal->doubts[journal->doubt_count++] = tn_strdup(dataset);
    }
    pthread_mutex_unlock(&journal->mutex);
}

static char *take_doubt(struct journal *journal)
{
    pthread_mutex_lock(&journal->mutex);
    char *dataset = journal->doubt_count > 0 ? journal->doubts[--journal->doubt_count] : NULL;
    pthread_mutex_unlock(&journal->mutex);
    return dataset;
}

static enum tn_code settle_doubts(struct journal *journal, struct tn_error *err)
{
    for (;;) {
        TN_AUTO_FREE char *dataset = take_doubt(journal);
        ICEBERG_AUTO_METADATA *metadata = NULL;
        if (!dataset)
            return TN_OK;
        /* Not by catalog_load: it may wait for a writer that waits for the journal. */
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        const struct iceberg_table table = catalog_table(journal->catalog, arena, dataset);
        enum tn_code code = iceberg_table_load(&table, NULL, &metadata, err);
        if (code == TN_OK) {
            scan_table(journal, metadata);
        } else if (code != TN_ENOTFOUND) {
            journal_tail_doubt(journal, dataset);
            return code;
        }
    }
}

/* ---- the engine's table ---------------------------------------------------- */

static enum tn_code make_table(struct journal *journal, struct tn_error *err)
{
    if (journal->tail_made)
        return TN_OK;
    TN_AUTO_BUF sql = {0};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    tn_buf_puts(&sql, "CREATE TABLE " TAIL_TABLE "(batch BIGINT");
    for (size_t i = 0; i < JOURNAL_COLUMNS; i++) {
        const struct iceberg_field *field = &journal_schema()->fields[i];
        tn_buf_printf(&sql, ", %s %s", field->name, catalog_sql_type(arena, field->type));
    }
    tn_buf_putc(&sql, ')');
    TN_TRY(engine_run(journal->engine, sql.data, NULL, NULL, err));
    journal->tail_made = true;
    return TN_OK;
}

/* The next batches that are not in the table, all of them kept or none;
 * numbers them. Their events stay: only a load lets go of them. */
static size_t take_unloaded(struct journal *journal, struct tn_arena *arena, struct tail_batch *ret)
{
    size_t count = 0, most = 1;
    uint64_t events = 0;
    int64_t number = journal->last_number;
    pthread_mutex_lock(&journal->mutex);
    for (size_t i = 0; i < journal->tail_count && count < most; i++) {
        const struct tail_batch *batch = &journal->tail[i];
        if (batch->number > 0)
            continue;
        if (count == 0)
            most = batch->kept ? KEPT_AT_ONCE : FILES_AT_ONCE;
        events += batch->events;
        if (count > 0 && (!batch->kept != !ret[0].kept || (batch->kept && events > EVENTS_MOST)))
            break;
        ret[count] = *batch;
        ret[count].key = tn_arena_strdup(arena, batch->key);
        ret[count++].number = ++number;
    }
    pthread_mutex_unlock(&journal->mutex);
    return count;
}

static void mark_loaded(struct journal *journal, size_t count)
{
    pthread_mutex_lock(&journal->mutex);
    for (size_t i = 0; i < journal->tail_count && count > 0; i++) {
        struct tail_batch *batch = &journal->tail[i];
        if (batch->number > 0)
            continue;
        batch->number = ++journal->last_number;
        journal->kept_bytes -= journal_kept_bytes(batch->kept);
        journal_kept_free(TN_TAKE(batch->kept));
        count--;
    }
    pthread_mutex_unlock(&journal->mutex);
}

static enum tn_code insert_text(struct journal *journal, const struct tail_batch *batches, size_t count,
                                struct tn_arena *arena, struct tn_buf *sql, struct tn_error *err)
{
    tn_buf_puts(sql, "INSERT INTO " TAIL_TABLE
                     " BY NAME SELECT v.number AS batch, r.* EXCLUDE (sequence, ts), v.sequence, "
                     "coalesce(make_timestamptz(nullif(v.ms, 0) * 1000), r.ts) AS ts FROM read_parquet([");
    for (size_t i = 0; i < count; i++) {
        char *path;
        TN_TRY(store_needed_path(journal->store, arena, batches[i].key, &path, err));
        tn_buf_puts(sql, i ? ", " : "");
        tn_buf_put_sql_string(sql, path);
    }
    tn_buf_puts(sql, "]) r JOIN (VALUES ");
    for (size_t i = 0; i < count; i++)
        tn_buf_printf(sql, "%s(%zu::UBIGINT, %" PRId64 "::BIGINT, %" PRId64 "::BIGINT, %" PRId64 "::BIGINT)",
                      i ? ", " : "", i, batches[i].number, batches[i].sequence, batches[i].timestamp_ms);
    tn_buf_puts(sql, ") v(place, number, sequence, ms) ON r.file_index = v.place");
    return TN_OK;
}

/* How many of them went in stands in *count. */
static enum tn_code insert(struct journal *journal, const struct tail_batch *batches, size_t *count,
                           struct tn_arena *arena, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    struct tn_error full;
    /* Kept events go in by a file of their own. Where the disk takes none, reading the journal must work all the
     * same: the batches lie there. */
    if (batches[0].kept && journal_kept_insert(journal, batches, *count, arena, &full) == TN_OK)
        return TN_OK;
    *count = TN_MIN(*count, (size_t)FILES_AT_ONCE);
    TN_TRY(insert_text(journal, batches, *count, arena, &sql, err));
    return engine_run(journal->engine, sql.data, NULL, NULL, err);
}

enum tn_code journal_tail_load(struct journal *journal, struct tn_error *err)
{
    TN_TRY(scan(journal, err));
    TN_TRY(settle_doubts(journal, err));
    TN_TRY(make_table(journal, err));
    for (;;) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        struct tail_batch *batches = TN_ARENA_ARRAY(arena, struct tail_batch, KEPT_AT_ONCE);
        size_t count = take_unloaded(journal, arena, batches);
        if (count == 0)
            return TN_OK;
        TN_TRY(insert(journal, batches, &count, arena, err));
        mark_loaded(journal, count);
    }
}
