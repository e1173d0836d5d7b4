/* The last small changes of rows, in memory, by the snapshot that they made.
 *
 * A follower goes from its snapshot to the newest one along the parents; every
 * one on the way must be here, or be one that changes no row (a compaction).
 * Each change knows what it was made on, so that the way can be gone when the
 * dataset has let go of snapshots meanwhile.
 */
#include "dataset/recent.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define ROWS_MOST  ((size_t)1000) /* of one change; more is read from its files */
#define CHAIN_MOST ((size_t)1 << 16)
#define BUCKETS    4096

struct entry {
    struct entry *next; /* newer */
    struct entry *bucket_next;
    atomic_size_t references;
    struct tn_arena *arena;
    char *name, *uuid;
    int64_t snapshot_id;
    int64_t *parents; /* the snapshot before, and where that changed no row the one before it, and so on */
    size_t parent_count;
    int32_t schema_id;
    size_t bytes;
    struct dataset_recent_row *rows;
    size_t count;
};

struct dataset_recent {
    pthread_mutex_t mutex;
    struct entry *first, *last;     /* oldest, newest */
    struct entry *buckets[BUCKETS]; /* by snapshot */
    size_t bytes, most;
};

struct dataset_recent_hold {
    struct entry **entries;
    size_t count, capacity;
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

static struct entry **bucket_of(struct dataset_recent *recent, int64_t snapshot_id)
{
    return &recent->buckets[tn_hash64(&snapshot_id, sizeof snapshot_id, 0) % BUCKETS];
}

static void drop_oldest(struct dataset_recent *recent)
{
    struct entry *entry = recent->first;
    struct entry **link = bucket_of(recent, entry->snapshot_id);
    while (*link != entry)
        link = &(*link)->bucket_next;
    *link = entry->bucket_next;
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

size_t dataset_recent_bytes(struct dataset_recent *recent)
{
    (void)pthread_mutex_lock(&recent->mutex);
    size_t bytes = recent->bytes;
    (void)pthread_mutex_unlock(&recent->mutex);
    return bytes;
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

static bool changes_no_row(const struct iceberg_snapshot *snapshot)
{
    return tn_streq(snapshot->operation, "replace");
}

/* The newest, and the ones before it until one changed rows. */
static size_t walk_parents(const struct iceberg_metadata *before, int64_t *ret)
{
    size_t count = 0;
    const struct iceberg_snapshot *snapshot = before->current;
    while (snapshot && count < before->snapshot_count) {
        if (ret)
            ret[count] = snapshot->id;
        count++;
        snapshot = changes_no_row(snapshot) ? iceberg_metadata_snapshot(before, snapshot->parent_id) : NULL;
    }
    return count;
}

static void put_parents(struct entry *entry, const struct iceberg_metadata *before)
{
    entry->parent_count = walk_parents(before, NULL);
    entry->parents = TN_ARENA_ARRAY(entry->arena, int64_t, entry->parent_count + 1);
    (void)walk_parents(before, entry->parents);
}

static void put_entry(struct dataset_recent *recent, struct entry *entry)
{
    struct entry **bucket = bucket_of(recent, entry->snapshot_id);
    (void)pthread_mutex_lock(&recent->mutex);
    if (recent->last)
        recent->last->next = entry;
    else
        recent->first = entry;
    recent->last = entry;
    entry->bucket_next = *bucket;
    *bucket = entry;
    recent->bytes += entry->bytes;
    while (recent->bytes > recent->most)
        drop_oldest(recent);
    (void)pthread_mutex_unlock(&recent->mutex);
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
    put_parents(entry, before);
    entry->bytes = sizeof *entry + tn_arena_reserved(entry->arena);
    atomic_init(&entry->references, 1);
    put_entry(recent, entry);
}

/* ---- readers ------------------------------------------------------------------------- */

static struct entry *find(struct dataset_recent *recent, const char *name, const struct iceberg_metadata *metadata,
                          int64_t snapshot_id)
{
    for (struct entry *entry = *bucket_of(recent, snapshot_id); entry; entry = entry->bucket_next)
        if (entry->snapshot_id == snapshot_id && entry->schema_id == metadata->schema->id &&
            tn_streq(entry->uuid, metadata->uuid) && tn_str_equal_nocase(entry->name, name))
            return entry;
    return NULL;
}

static bool is_made_on(const struct entry *entry, int64_t snapshot_id)
{
    for (size_t i = 0; i < entry->parent_count; i++)
        if (entry->parents[i] == snapshot_id)
            return true;
    return false;
}

/* Past those that changed no row; *ret_there when one of them is `from`. */
static int64_t skip_unchanged(const struct iceberg_metadata *metadata, int64_t from, int64_t at, bool *ret_there)
{
    for (size_t i = 0; i <= metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *snapshot = iceberg_metadata_snapshot(metadata, at);
        *ret_there = at == from;
        if (*ret_there || !snapshot || !changes_no_row(snapshot))
            return at;
        at = snapshot->parent_id;
    }
    return at;
}

/* The entries on the way back from `to`, newest first. */
static bool take_chain(struct dataset_recent *recent, const char *name, const struct iceberg_metadata *metadata,
                       int64_t from, int64_t to, struct dataset_recent_hold *hold)
{
    bool there;
    int64_t at = skip_unchanged(metadata, from, to, &there);
    while (!there) {
        struct entry *entry = hold->count < CHAIN_MOST ? find(recent, name, metadata, at) : NULL;
        if (!entry || entry->parent_count == 0)
            return false;
        atomic_fetch_add(&entry->references, 1);
        TN_GROW(hold->entries, hold->count, hold->capacity);
        hold->entries[hold->count++] = entry;
        there = is_made_on(entry, from);
        at = entry->parents[entry->parent_count - 1];
    }
    return true;
}

void dataset_recent_unhold(struct dataset_recent_hold *hold)
{
    if (!hold)
        return;
    for (size_t i = 0; i < hold->count; i++)
        entry_unref(hold->entries[i]);
    free(hold->entries);
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
