/* Commits of other engines: of one table or of several. */
#include "catalog/catalog_internal.h"

#include <string.h>

struct part {
    const struct catalog_change *change;
    struct entry *entry;
    struct iceberg_table table;
    struct iceberg_metadata *base, *next; /* counted; equal: nothing changes */
};

struct parts {
    struct part *items;
    size_t count;
};

static void parts_release(struct parts *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        iceberg_metadata_unref(parts->items[i].base);
        iceberg_metadata_unref(parts->items[i].next);
    }
    free(parts->items);
}

static enum tn_code find_entry(struct catalog *catalog, struct part *part, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct catalog_identifier id = part->change->id;
    if (iceberg_change_creates(&part->change->change))
        return identifier_new(catalog, id, &part->entry, err);
    part->entry = identifier_entry(catalog, id.space, id.table);
    if (!part->entry)
        return tn_fail(err, TN_EDATASET, "Table does not exist: %s.%s", catalog_namespace_text(arena, id.space),
                       id.table);
    return TN_OK;
}

static enum tn_code apply(struct catalog *catalog, struct part *part, struct tn_arena *arena, struct tn_error *err)
{
    int64_t version = part->base ? part->base->version + 1 : 0;
    part->table = entry_table(catalog, arena, part->entry);
    if (!part->base)
        TN_TRY(iceberg_table_next_version(&part->table, &version, err));
    return iceberg_change_apply(&part->table, part->base, version, &part->change->change, &part->next, err);
}

/* The entry's lock is held. */
static enum tn_code prepare(struct catalog *catalog, struct part *part, struct tn_arena *arena, struct tn_error *err)
{
    struct catalog_identifier id = part->change->id;
    TN_TRY(entry_read_locked(catalog, part->entry, &part->base, err));
    if (!part->base && !iceberg_change_creates(&part->change->change))
        return tn_fail(err, TN_EDATASET, "Table does not exist: %s.%s", catalog_namespace_text(arena, id.space),
                       id.table);
    TN_TRY(apply(catalog, part, arena, err));
    if (part->base) {
        if (tn_streq(part->base->location, part->next->location))
            return TN_OK;
        return identifier_check_location(catalog, part->entry, part->next->location, err);
    }
    return identifier_claim(catalog, part->entry, part->next->location, err);
}

static enum tn_code commit_together(struct catalog *catalog, struct part **changed, size_t count,
                                    const struct iceberg_origin *origin, struct tn_arena *arena, struct tn_error *err)
{
    TN_CLEANUP(store_batch_free_p) struct store_batch *batch = store_batch_new(catalog->store);
    struct transaction_part *parts = TN_ARENA_ARRAY(arena, struct transaction_part, count);
    for (size_t i = 0; i < count; i++) {
        TN_TRY(iceberg_version_put(changed[i]->next, batch, err));
        parts[i].entry = changed[i]->entry;
        parts[i].key = iceberg_version_pointer(arena, &changed[i]->table, changed[i]->base, changed[i]->next, origin,
                                               &parts[i].pointer);
    }
    TN_TRY(store_batch_flush(batch, err));
    enum tn_code code = transaction_run(catalog, parts, count, err);
    /* While its outcome is open, readers go on with what they had; writers settle
     * it first, and then all look again. */
    bool look_again = code == TN_ECONFLICT || !atomic_load(&catalog->unfinished);
    for (size_t i = 0; code != TN_OK && look_again && i < count; i++)
        entry_forget(catalog, changed[i]->entry);
    TN_TRY(code);
    for (size_t i = 0; i < count; i++)
        iceberg_version_hint(&changed[i]->table, changed[i]->next);
    return TN_OK;
}

static enum tn_code publish(struct catalog *catalog, const struct parts *parts, const struct iceberg_origin *origin,
                            struct tn_arena *arena, struct tn_error *err)
{
    struct part **changed = TN_ARENA_ARRAY(arena, struct part *, parts->count + 1);
    struct entry **entries = TN_ARENA_ARRAY(arena, struct entry *, parts->count + 1);
    struct iceberg_metadata **versions = TN_ARENA_ARRAY(arena, struct iceberg_metadata *, parts->count + 1);
    size_t count = 0;
    for (size_t i = 0; i < parts->count; i++) {
        if (parts->items[i].next == parts->items[i].base)
            continue;
        changed[count] = &parts->items[i];
        entries[count] = parts->items[i].entry;
        versions[count++] = parts->items[i].next;
    }
    if (count == 1)
        TN_TRY(entry_publish(catalog, entries[0], &changed[0]->table, changed[0]->base, changed[0]->next, false,
                             origin, err));
    else if (count > 1)
        TN_TRY(commit_together(catalog, changed, count, origin, arena, err));
    entry_set_all(catalog, entries, versions, count);
    return TN_OK;
}

enum tn_code catalog_commit(struct catalog *catalog, const struct catalog_change *changes, size_t count,
                            const struct iceberg_origin *origin, struct iceberg_metadata **ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(parts_release) struct parts parts = {tn_calloc(count + 1, sizeof(struct part)), count};
    const char **names = TN_ARENA_ARRAY(arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        parts.items[i].change = &changes[i];
        TN_TRY(find_entry(catalog, &parts.items[i], err));
        names[i] = parts.items[i].entry->name;
        for (size_t k = 0; k < i; k++)
            if (parts.items[k].entry == parts.items[i].entry)
                return tn_fail(err, TN_EREQUEST, "the table %s stands in the transaction twice", names[i]);
    }
    TN_CLEANUP(catalog_unlock_all_p) struct catalog_locks *locks = catalog_lock_datasets(catalog, names, count);
    for (size_t i = 0; i < count; i++)
        TN_TRY(prepare(catalog, &parts.items[i], arena, err));
    TN_TRY(publish(catalog, &parts, origin, arena, err));
    for (size_t i = 0; i < count; i++)
        ret[i] = iceberg_metadata_ref(parts.items[i].next);
    return TN_OK;
}
