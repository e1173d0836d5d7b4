/* Decoded manifests and lists as counted objects, and copies of their parts. */
#include "iceberg/manifest.h"

#include <string.h>

struct manifest_object *manifest_object_new(const char *uri, bool is_list)
{
    struct manifest_object *object = tn_calloc(1, sizeof *object);
    atomic_init(&object->refs, 1);
    object->arena = tn_arena_new_small();
    object->is_list = is_list;
    object->uri = tn_arena_strdup(object->arena, uri);
    return object;
}

void manifest_object_ref(struct manifest_object *object)
{
    (void)atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed);
}

void manifest_object_unref(struct manifest_object *object)
{
    if (!object || atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel) != 1)
        return;
    tn_arena_free(object->arena);
    free(object->entries);
    free(object->rows);
    free(object);
}

int manifest_stats_order(const void *a, const void *b)
{
    const struct iceberg_stats *x = a, *y = b;
    return (x->field_id > y->field_id) - (x->field_id < y->field_id);
}

static const void *manifest_copy_array(struct tn_arena *arena, const void *from, size_t count, size_t size)
{
    void *copy = tn_arena_alloc(arena, tn_size_mul(count, size) + 1);
    if (count)
        memcpy(copy, from, count * size);
    return copy;
}

static struct iceberg_bytes manifest_copy_bytes(struct tn_arena *arena, struct iceberg_bytes from)
{
    if (from.data)
        from.data = manifest_copy_array(arena, from.data, from.length, 1);
    return from;
}

static const char *manifest_copy_text(struct tn_arena *arena, const char *text)
{
    return text ? tn_arena_strdup(arena, text) : NULL;
}

void manifest_copy_file(struct tn_arena *arena, const struct iceberg_file *from, struct iceberg_file *to)
{
    *to = *from;
    to->path = manifest_copy_text(arena, from->path);
    to->format = manifest_copy_text(arena, from->format);
    to->referenced_data_file = manifest_copy_text(arena, from->referenced_data_file);
    to->split_offsets = manifest_copy_array(arena, from->split_offsets, from->split_count, sizeof(int64_t));
    to->equality_ids = manifest_copy_array(arena, from->equality_ids, from->equality_count, sizeof(int32_t));
    struct iceberg_stats *stats = TN_ARENA_ARRAY(arena, struct iceberg_stats, from->stats_count);
    for (size_t i = 0; i < from->stats_count; i++) {
        stats[i] = from->stats[i];
        stats[i].lower = manifest_copy_bytes(arena, from->stats[i].lower);
        stats[i].upper = manifest_copy_bytes(arena, from->stats[i].upper);
    }
    to->stats = stats;
    struct iceberg_bytes *partition = TN_ARENA_ARRAY(arena, struct iceberg_bytes, from->partition_count);
    for (size_t i = 0; i < from->partition_count; i++)
        partition[i] = manifest_copy_bytes(arena, from->partition[i]);
    to->partition = partition;
}

void manifest_copy_row(struct tn_arena *arena, const struct manifest_row *from, struct manifest_row *to)
{
    *to = *from;
    to->path = manifest_copy_text(arena, from->path);
    to->key_metadata = manifest_copy_bytes(arena, from->key_metadata);
    struct manifest_field_summary *fields =
        TN_ARENA_ARRAY(arena, struct manifest_field_summary, from->partition_count);
    for (size_t i = 0; i < from->partition_count; i++) {
        fields[i] = from->partitions[i];
        fields[i].lower = manifest_copy_bytes(arena, from->partitions[i].lower);
        fields[i].upper = manifest_copy_bytes(arena, from->partitions[i].upper);
    }
    to->partitions = fields;
}

const struct iceberg_stats *iceberg_file_stats(const struct iceberg_file *file, int32_t field_id)
{
    const struct iceberg_stats wanted = {.field_id = field_id};
    return file->stats_count ? bsearch(&wanted, file->stats, file->stats_count, sizeof wanted, manifest_stats_order)
                             : NULL;
}
