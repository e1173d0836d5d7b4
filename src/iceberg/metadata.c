/* Versions of a table: life and look-up. */
#include "base/str.h"
#include "iceberg/metadata_internal.h"

#include <pthread.h>
#include <string.h>

#define SPARE_ROOMS 2
#define ROOM_LEAST  ((size_t)128 << 10)
#define ROOM_MOST   ((size_t)4 << 20)

static pthread_mutex_t spare_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tn_buf spare_rooms[SPARE_ROOMS]; /* guarded by spare_lock; empty */

void metadata_take_room(struct tn_buf *json, size_t bytes)
{
    size_t step = (size_t)256 << 10;
    if (bytes < ROOM_LEAST) {
        (void)tn_buf_reserve(json, bytes);
        return;
    }
    (void)pthread_mutex_lock(&spare_lock);
    for (size_t i = 0; i < SPARE_ROOMS && !json->data; i++)
        if (spare_rooms[i].cap > bytes) {
            *json = spare_rooms[i];
            spare_rooms[i] = (struct tn_buf){0};
        }
    (void)pthread_mutex_unlock(&spare_lock);
    if (!json->data) /* in steps, so that the next versions fit too */
        (void)tn_buf_reserve(json, (bytes + step) / step * step);
}

void metadata_leave_room(struct tn_buf *json)
{
    struct tn_buf gone = *json;
    *json = (struct tn_buf){0};
    if (gone.cap >= ROOM_LEAST && gone.cap <= ROOM_MOST) {
        gone.len = 0;
        (void)pthread_mutex_lock(&spare_lock);
        size_t least = 0;
        for (size_t i = 1; i < SPARE_ROOMS; i++)
            if (spare_rooms[i].cap < spare_rooms[least].cap)
                least = i;
        struct tn_buf other = spare_rooms[least];
        if (gone.cap >= other.cap) {
            spare_rooms[least] = gone;
            gone = other;
        }
        (void)pthread_mutex_unlock(&spare_lock);
    }
    tn_buf_release(&gone);
}

struct iceberg_metadata *iceberg_metadata_ref(const struct iceberg_metadata *metadata)
{
    struct metadata *inner = metadata_of(metadata);
    (void)atomic_fetch_add_explicit(&inner->refs, 1, memory_order_relaxed);
    return &inner->shown;
}

static void crowd_unref(struct metadata_crowd *crowd)
{
    if (!crowd || atomic_fetch_sub_explicit(&crowd->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < crowd->count; i++)
        metadata_snapshot_unref(crowd->snapshots[i]);
    free(crowd);
}

static void snapshots_ref(struct metadata_snapshot *const *snapshots, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)atomic_fetch_add_explicit(&snapshots[i]->refs, 1, memory_order_relaxed);
}

void metadata_share_snapshots(const struct metadata *base, struct metadata *next)
{
    size_t count = base->shown.snapshot_count, counted = base->crowd ? base->crowd->count : 0;
    memcpy(next->snapshots, base->snapshots, count * sizeof(*next->snapshots));
    if (count - counted < METADATA_CROWD_BEHIND) {
        next->crowd = base->crowd;
        if (next->crowd)
            (void)atomic_fetch_add_explicit(&next->crowd->refs, 1, memory_order_relaxed);
        snapshots_ref(base->snapshots + counted, count - counted);
        return;
    }
    next->crowd = tn_malloc(sizeof *next->crowd + count * sizeof(*next->crowd->snapshots));
    atomic_init(&next->crowd->refs, 1);
    next->crowd->count = count;
    memcpy(next->crowd->snapshots, base->snapshots, count * sizeof(*next->crowd->snapshots));
    snapshots_ref(base->snapshots, count);
}

void iceberg_metadata_unref(struct iceberg_metadata *metadata)
{
    if (!metadata)
        return;
    struct metadata *inner = metadata_of(metadata);
    if (atomic_fetch_sub_explicit(&inner->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (inner->held_store)
        held_drop_version(inner);
    for (size_t i = inner->crowd ? inner->crowd->count : 0; i < inner->shown.snapshot_count; i++)
        metadata_snapshot_unref(inner->snapshots[i]);
    crowd_unref(inner->crowd);
    for (size_t i = 0; i < inner->shown.schema_count; i++)
        metadata_schema_unref(inner->schemas[i]);
    free(inner->snapshots);
    free(inner->schemas);
    metadata_leave_room(&inner->json);
    tn_arena_free(inner->arena);
    iceberg_metadata_unref(inner->origin);
    free(inner);
}

const struct iceberg_schema *metadata_current_schema(const struct iceberg_metadata *metadata, const char **ret_json)
{
    const struct metadata *inner = metadata_of(metadata);
    for (size_t i = 0; i < metadata->schema_count; i++)
        if (inner->schemas[i]->shown == metadata->schema)
            *ret_json = inner->schemas[i]->json;
    return metadata->schema;
}

const char *iceberg_metadata_json(const struct iceberg_metadata *metadata, size_t *ret_length)
{
    const struct metadata *inner = metadata_of(metadata);
    *ret_length = inner->json.len;
    return inner->json.data;
}

const struct iceberg_snapshot *iceberg_metadata_snapshot(const struct iceberg_metadata *metadata, int64_t snapshot_id)
{
    /* Newest first: that is what is asked for most. */
    for (size_t i = metadata->snapshot_count; i-- > 0;)
        if (metadata->snapshots[i]->id == snapshot_id)
            return metadata->snapshots[i];
    return NULL;
}

const struct iceberg_ref *iceberg_metadata_ref_named(const struct iceberg_metadata *metadata, const char *name)
{
    for (size_t i = 0; i < metadata->ref_count; i++)
        if (tn_streq(metadata->refs[i].name, name))
            return &metadata->refs[i];
    return NULL;
}

const struct iceberg_snapshot *iceberg_metadata_as_of(const struct iceberg_metadata *metadata, int64_t timestamp_ms)
{
    /* The log knows of restores; snapshots alone do not. */
    for (size_t i = metadata->snapshot_log_count; i-- > 0;) {
        const struct iceberg_log_entry *entry = &metadata->snapshot_log[i];
        if (entry->timestamp_ms > timestamp_ms)
            continue;
        const struct iceberg_snapshot *snapshot = iceberg_metadata_snapshot(metadata, entry->snapshot_id);
        if (snapshot)
            return snapshot;
    }
    /* It begins behind what was forgotten last. */
    const struct iceberg_snapshot *best = NULL;
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *snapshot = metadata->snapshots[i];
        if (snapshot->timestamp_ms <= timestamp_ms && (!best || snapshot->timestamp_ms >= best->timestamp_ms))
            best = snapshot;
    }
    return best;
}

const struct iceberg_schema *iceberg_metadata_schema(const struct iceberg_metadata *metadata, int32_t schema_id)
{
    for (size_t i = 0; i < metadata->schema_count; i++)
        if (metadata->schemas[i]->id == schema_id)
            return metadata->schemas[i];
    return NULL;
}

const struct iceberg_schema *iceberg_metadata_schema_at(const struct iceberg_metadata *metadata,
                                                        const struct iceberg_snapshot *snapshot)
{
    const struct iceberg_schema *schema = NULL;
    if (snapshot && snapshot != metadata->current && snapshot->schema_id != ICEBERG_NONE)
        schema = iceberg_metadata_schema(metadata, snapshot->schema_id);
    return schema ? schema : metadata->schema;
}

const struct iceberg_spec *iceberg_metadata_spec(const struct iceberg_metadata *metadata, int32_t spec_id)
{
    for (size_t i = 0; i < metadata->spec_count; i++)
        if (metadata->specs[i]->id == spec_id)
            return metadata->specs[i];
    return NULL;
}

static const char *metadata_pair(const struct iceberg_pair *pairs, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (tn_streq(pairs[i].key, key))
            return pairs[i].value;
    return NULL;
}

const char *iceberg_metadata_property(const struct iceberg_metadata *metadata, const char *key)
{
    return metadata_pair(metadata->properties, metadata->property_count, key);
}

const char *iceberg_snapshot_summary(const struct iceberg_snapshot *snapshot, const char *key)
{
    return metadata_pair(snapshot->summary, snapshot->summary_count, key);
}

int64_t iceberg_snapshot_count(const struct iceberg_snapshot *snapshot, const char *key, int64_t fallback)
{
    const char *text = iceberg_snapshot_summary(snapshot, key);
    int64_t value = 0;
    return text && tn_parse_i64(text, &value) && value >= 0 ? value : fallback;
}

static void metadata_put_log(struct tn_json *json, const char *member, const struct iceberg_log_entry *entries,
                             size_t count)
{
    tn_json_key(json, member);
    tn_json_open(json, '[');
    for (size_t i = 0; i < count; i++) {
        tn_json_open(json, '{');
        tn_json_key(json, "timestamp-ms");
        tn_json_int(json, entries[i].timestamp_ms);
        if (entries[i].file) {
            tn_json_kstr(json, "metadata-file", entries[i].file);
        } else {
            tn_json_key(json, "snapshot-id");
            tn_json_int(json, entries[i].snapshot_id);
        }
        tn_json_close(json, '}');
    }
    tn_json_close(json, ']');
}

void metadata_put_logs(struct tn_json *json, const struct iceberg_log_entry *snapshots, size_t snapshot_count,
                       const struct iceberg_log_entry *files, size_t file_count)
{
    metadata_put_log(json, "snapshot-log", snapshots, snapshot_count);
    metadata_put_log(json, "metadata-log", files, file_count);
}
