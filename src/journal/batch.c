/* A batch of events in the making, and its object. */
#include "journal/journal_internal.h"

#include <inttypes.h>
#include <string.h>

#define CELLS_AT_ONCE 64

struct journal_batch {
    char *dataset;
    char *key; /* of the object, once attached */
    struct tn_arena *arena;
    struct iceberg_bytes *cells; /* events x JOURNAL_COLUMNS; what the attaching knows is filled in then */
    size_t count, capacity;
};

struct journal_batch *journal_batch_new(const char *dataset)
{
    struct journal_batch *batch = tn_calloc(1, sizeof *batch);
    batch->dataset = tn_strdup(dataset);
    batch->arena = tn_arena_new();
    return batch;
}

void journal_batch_free(struct journal_batch *batch)
{
    if (!batch)
        return;
    free(batch->dataset);
    free(batch->key);
    free(batch->cells);
    tn_arena_free(batch->arena);
    free(batch);
}

size_t journal_batch_count(const struct journal_batch *batch)
{
    return batch->count;
}

const char *journal_batch_key(const struct journal_batch *batch)
{
    return batch->key;
}

static struct iceberg_bytes text_n(struct tn_arena *arena, const char *text, size_t length)
{
    if (!text)
        return (struct iceberg_bytes){0};
    return (struct iceberg_bytes){(const uint8_t *)tn_arena_memdup(arena, text, length), length};
}

static struct iceberg_bytes text(struct tn_arena *arena, const char *value)
{
    return text_n(arena, value, value ? strlen(value) : 0);
}

/* The single-value form: eight bytes, the lowest first. */
static struct iceberg_bytes number(struct tn_arena *arena, int64_t value)
{
    uint8_t *bytes = tn_arena_alloc(arena, sizeof value);
    for (size_t i = 0; i < sizeof value; i++)
        bytes[i] = (uint8_t)((uint64_t)value >> (8 * i));
    return (struct iceberg_bytes){bytes, sizeof value};
}

void journal_batch_add(struct journal_batch *batch, const struct journal_event *event)
{
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity ? batch->capacity * 2 : CELLS_AT_ONCE;
        batch->cells = tn_realloc_array(batch->cells, batch->capacity, JOURNAL_COLUMNS * sizeof *batch->cells);
    }
    struct tn_arena *arena = batch->arena;
    struct iceberg_bytes *cells = batch->cells + batch->count * JOURNAL_COLUMNS;
    char id[TN_UUID_TEXT];
    memset(cells, 0, JOURNAL_COLUMNS * sizeof *cells);
    cells[COLUMN_EVENT_ID] = text(arena, tn_uuid7(id));
    cells[COLUMN_DATASET] = text(arena, batch->dataset);
    cells[COLUMN_ENTITY] = text_n(arena, event->entity, event->entity_length);
    cells[COLUMN_OPERATION] = text(arena, event->operation);
    cells[COLUMN_FIELD] = text(arena, event->field);
    cells[COLUMN_OLD_VALUE] = text_n(arena, event->old_value, event->old_length);
    cells[COLUMN_NEW_VALUE] = text_n(arena, event->new_value, event->new_length);
    cells[COLUMN_ACTOR] = text(arena, event->actor);
    cells[COLUMN_SOURCE] = text(arena, event->source);
    cells[COLUMN_REASON] = text(arena, event->reason);
    cells[COLUMN_WORKSPACE] = text(arena, event->workspace);
    cells[COLUMN_REQUEST_ID] = text(arena, event->request_id);
    cells[COLUMN_ORDINAL] = number(arena, (int64_t)batch->count);
    if (event->rows > 0)
        cells[COLUMN_ROWS] = number(arena, (int64_t)event->rows);
    batch->count++;
}

enum tn_code journal_batch_encode(const struct journal_batch *batch, const char *table_uuid, int64_t snapshot_id,
                                  int64_t sequence, int64_t time_us, struct tn_buf *out, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const struct iceberg_bytes now = number(arena, time_us), snapshot = number(arena, snapshot_id);
    const struct iceberg_bytes order = number(arena, sequence), uuid = text(arena, table_uuid);
    for (size_t i = 0; i < batch->count; i++) {
        struct iceberg_bytes *cells = batch->cells + i * JOURNAL_COLUMNS;
        cells[COLUMN_TS] = now;
        cells[COLUMN_SNAPSHOT_ID] = snapshot;
        cells[COLUMN_SEQUENCE] = order;
        cells[COLUMN_TABLE_UUID] = uuid;
    }
    struct iceberg_file file;
    return iceberg_small_write(arena, journal_schema(), batch->cells, batch->count, out, &file, err);
}

enum tn_code journal_batch_attach(struct journal_batch *batch, struct iceberg_tx *tx, bool replayable,
                                  struct tn_error *err)
{
    if (batch->count == 0)
        return TN_OK;
    char uuid[TN_UUID_TEXT], count[24];
    free(batch->key);
    batch->key = tn_asprintf(JOURNAL_BATCHES "%s/%" PRId64 "-%s.parquet", batch->dataset, iceberg_tx_snapshot_id(tx),
                             tn_uuid7(uuid));
    TN_AUTO_BUF object = {0};
    TN_TRY(journal_batch_encode(batch, iceberg_tx_table_uuid(tx), iceberg_tx_snapshot_id(tx), 0, tn_now_us(), &object,
                                err));
    TN_TRY(store_batch_put(iceberg_tx_batch(tx), batch->key, object.data, object.len, err));
    snprintf(count, sizeof count, "%zu", batch->count);
    iceberg_tx_set_summary(tx, JOURNAL_S_BATCH, batch->key);
    iceberg_tx_set_summary(tx, JOURNAL_S_EVENTS, count);
    if (replayable)
        iceberg_tx_set_summary(tx, JOURNAL_S_ROWS, "1");
    return TN_OK;
}

/* Whether the commit before this one is in the list or rolled. It is not when
 * another process made it: two that each think that the lake is theirs. */
static bool follows_known(struct journal *journal, const struct iceberg_metadata *committed)
{
    if (committed->snapshot_count < 2)
        return true;
    const struct iceberg_snapshot *before = committed->snapshots[committed->snapshot_count - 2];
    return !iceberg_snapshot_summary(before, JOURNAL_S_BATCH) ||
           journal_tail_has(journal, committed->uuid, before->id) ||
           before->sequence_number <= journal_mark(journal, committed->uuid);
}

void journal_batch_committed(struct journal *journal, struct journal_batch *batch,
                             const struct iceberg_metadata *committed)
{
    if (!journal || !batch->key || (committed && !committed->current))
        return;
    if (!committed || !follows_known(journal, committed))
        journal_tail_doubt(journal, batch->dataset);
    if (!committed)
        return;
    struct tail_batch entry = {
        .key = tn_strdup(batch->key),
        .sequence = committed->current->sequence_number,
        .snapshot_id = committed->current->id,
        .timestamp_ms = committed->current->timestamp_ms,
        .events = batch->count,
    };
    snprintf(entry.uuid, sizeof entry.uuid, "%s", committed->uuid);
    entry.kept = journal_kept_new(batch->cells, batch->count, &entry);
    journal_tail_add(journal, &entry);
}
