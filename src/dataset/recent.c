/* The last small changes of rows, in memory, by the snapshot that they made.
 *
 * A follower goes from its snapshot to the newest one along the parents; every
 * one on the way must be here, or be one that changes no row (a compaction).
 */
#include "dataset/recent.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define ROWS_MOST  ((size_t)1000) /* of one change; more is read from its files */
#define CHAIN_MOST 256

struct entry {
    struct entry *next; /* newer */
    atomic_size_t references;
    struct tn_arena *arena;
    char *name, *uuid;
    int64_t snapshot_id;
    int32_t schema_id;
    size_t bytes;
    struct dataset_recent_row *rows;
    size_t count;
};

struct dataset_recent {
    pthread_mutex_t mutex;
    struct entry *first, *last; /* oldest, newest */
    size_t bytes, most;
};

struct dataset_recent_hold {
    struct entry *entries[CHAIN_MOST];
    size_t count;
    struct dataset_recent_row *rows;
};

static void entry_unref(struct entry *entry)
{
    if (atomic_fetch_sub(&entry->references, 1) > 1)
        return;
    tn_arena_free(entry->arena);
    free(entry);
}

struct dataset_recent *dataset_recent_new(size_t memory_bytes)
{
    struct dataset_recent *recent = tn_calloc(1, sizeof *recent);
    (void)pthread_mutex_init(&recent->mutex, NULL);
    recent->most = memory_bytes;
    return recent;
}

static void drop_oldest(struct dataset_recent *recent)
{
    struct entry *entry = recent->first;
    recent->first = entry->next;
    if (!recent->first)
        recent->last = NULL;
    recent->bytes -= entry->bytes;
    entry_unref(entry);
}

void dataset_recent_free(struct dataset_recent *recent)
{
    if (!recent)
        return;
    while (recent->first)
        drop_oldest(recent);
    (void)pthread_mutex_destroy(&recent->mutex);
    free(recent);
}

/* ---- writers ------------------------------------------------------------------------- */

static size_t row_bytes(const struct cells_shape *shape, const struct engine_cell *row)
{
    size_t bytes = shape->width * sizeof *row + sizeof(struct dataset_recent_row);
    for (size_t i = 0; i < shape->width; i++) {
        enum engine_kind kind = shape->columns[i].type.kind;
        if (!row[i].null && (kind == ENGINE_VARCHAR || kind == ENGINE_BLOB || kind == ENGINE_OTHER))
            bytes += row[i].text.length;
    }
    return bytes;
}

static size_t rows_bytes(const struct cells_shape *shape, const struct engine_cell *const *rows, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += row_bytes(shape, rows[i]);
    return bytes;
}

static void put_rows(struct entry *entry, const struct cells_shape *shape, const struct engine_cell *const *rows,
                     size_t count, bool removed)
{
    for (size_t i = 0; i < count; i++)
        entry->rows[entry->count++] =
            (struct dataset_recent_row){.removed = removed, .cells = cells_copy(shape, entry->arena, rows[i])};
}

void recent_note(struct dataset_recent *recent, const char *name, const struct iceberg_metadata *before,
                 const struct iceberg_metadata *after, const struct recent_change *change)
{
    size_t count = change->removed_count + change->added_count;
    if (count > ROWS_MOST || before->schema->id != after->schema->id || !after->current)
        return;
    size_t bytes = sizeof(struct entry) + rows_bytes(change->shape, change->removed, change->removed_count) +
                   rows_bytes(change->shape, change->added, change->added_count);
    if (bytes > recent->most / 4)
        return;
    struct entry *entry = tn_calloc(1, sizeof *entry);
    entry->arena = tn_arena_new_small();
    entry->name = tn_arena_strdup(entry->arena, name);
    entry->uuid = tn_arena_strdup(entry->arena, after->uuid);
    entry->snapshot_id = after->current->id;
    entry->schema_id = after->schema->id;
    entry->rows = TN_ARENA_ARRAY(entry->arena, struct dataset_recent_row, count + 1);
    put_rows(entry, change->shape, change->removed, change->removed_count, true);
    put_rows(entry, change->shape, change->added, change->added_count, false);
    entry->bytes = sizeof *entry + tn_arena_reserved(entry->arena);
    atomic_init(&entry->references, 1);
    (void)pthread_mutex_lock(&recent->mutex);
    if (recent->last)
        recent->last->next = entry;
    else
        recent->first = entry;
    recent->last = entry;
    recent->bytes += entry->bytes;
    while (recent->bytes > recent->most)
        drop_oldest(recent);
    (void)pthread_mutex_unlock(&recent->mutex);
}

/* ---- readers ------------------------------------------------------------------------- */

static struct entry *find(const struct dataset_recent *recent, const char *name,
                          const struct iceberg_metadata *metadata, int64_t snapshot_id)
{
    for (struct entry *entry = recent->first; entry; entry = entry->next)
        if (entry->snapshot_id == snapshot_id && entry->schema_id == metadata->schema->id &&
            tn_streq(entry->uuid, metadata->uuid) && tn_str_equal_nocase(entry->name, name))
            return entry;
    return NULL;
}

/* The entries on the way back from `to`, newest first. */
static bool take_chain(const struct dataset_recent *recent, const char *name, const struct iceberg_metadata *metadata,
                       int64_t from, int64_t to, struct dataset_recent_hold *hold)
{
    for (size_t steps = 0; to != from; steps++) {
        const struct iceberg_snapshot *snapshot = iceberg_metadata_snapshot(metadata, to);
        if (!snapshot || steps >= CHAIN_MOST)
            return false;
        if (!tn_streq(snapshot->operation, "replace")) {
            struct entry *entry = find(recent, name, metadata, to);
            if (!entry)
                return false;
            atomic_fetch_add(&entry->references, 1);
            hold->entries[hold->count++] = entry;
        }
        to = snapshot->parent_id;
    }
    return true;
}

void dataset_recent_unhold(struct dataset_recent_hold *hold)
{
    if (!hold)
        return;
    for (size_t i = 0; i < hold->count; i++)
        entry_unref(hold->entries[i]);
    free(hold->rows);
    free(hold);
}

bool dataset_recent_rows(struct lake *lake, const char *name, const struct iceberg_metadata *metadata, int64_t from,
                         int64_t to, size_t most, struct dataset_recent_row **ret, size_t *ret_count,
                         struct dataset_recent_hold **ret_hold)
{
    struct dataset_recent *recent = lake->recent;
    if (!recent || from == 0)
        return false;
    TN_CLEANUP(dataset_recent_unhold_p) struct dataset_recent_hold *hold = tn_calloc(1, sizeof *hold);
    (void)pthread_mutex_lock(&recent->mutex);
    bool whole = take_chain(recent, name, metadata, from, to, hold);
    (void)pthread_mutex_unlock(&recent->mutex);
    size_t count = 0;
    for (size_t i = 0; i < hold->count; i++)
        count += hold->entries[i]->count;
    if (!whole || count > most)
        return false;
    hold->rows = tn_calloc(count + 1, sizeof *hold->rows);
    count = 0;
    for (size_t i = hold->count; i-- > 0;) {
        memcpy(hold->rows + count, hold->entries[i]->rows, hold->entries[i]->count * sizeof *hold->rows);
        count += hold->entries[i]->count;
    }
    *ret = hold->rows;
    *ret_count = count;
    *ret_hold = TN_TAKE(hold);
    return true;
}
