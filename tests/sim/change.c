/* Changes: drawn at random from what a table holds, put into a transaction. */
#include "tests/sim/change.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A file as the SQL engine would stage it: written, not fsynced. */
static enum tn_code stage(struct sim *sim, int process, const unsigned char *bytes, size_t count, char **ret_path)
{
    TN_TRY(store_stage_path(sim->stores[process], sim->arena, ".parquet", ret_path, &sim->err));
    return change_write_plain(*ret_path, bytes, count, &sim->err);
}

/* In one of the four ways that there are. */
static enum tn_code put_data(struct sim *sim, int process, struct iceberg_tx *tx, const char *key)
{
    unsigned char bytes[12008];
    size_t count = sim_size(key);
    char *path = NULL;
    sim_bytes(key, bytes, count);
    switch (dice_below(&sim->dice, 4)) {
    case 0:
        return store_put(sim->stores[process], key, bytes, count, &sim->err);
    case 1:
        TN_TRY(stage(sim, process, bytes, count, &path));
        return store_put_file(sim->stores[process], key, path, &sim->err);
    case 2:
        TN_TRY(stage(sim, process, bytes, count, &path));
        return store_batch_put_file(iceberg_tx_batch(tx), key, path, &sim->err);
    default:
        return store_batch_put(iceberg_tx_batch(tx), key, bytes, count, &sim->err);
    }
}

static enum tn_code add_file(struct sim *sim, int process, struct iceberg_tx *tx, struct sim_file *file)
{
    const char *key = NULL;
    file->path =
        iceberg_tx_new_file(tx, sim->arena, file->content == ICEBERG_DATA ? ".parquet" : "-deletes.parquet", &key);
    TN_TRY(put_data(sim, process, tx, key));
    const struct iceberg_file described = {.content = file->content,
                                           .path = file->path,
                                           .record_count = file->rows,
                                           .size_bytes = (int64_t)sim_size(key),
                                           .sort_order_id = 0,
                                           .referenced_data_file = file->target};
    return iceberg_tx_add_file(tx, &described, &sim->err);
}

/* What the table should be when this commits; the number goes with it. */
const struct sim_version *change_try(struct sim *sim, struct iceberg_tx *tx, const struct sim_version *base,
                                     const struct sim_change *change)
{
    char number[16];
    int attempt = ++sim->attempts;
    (void)snprintf(number, sizeof number, "%d", attempt);
    if (sim_makes_snapshot(change))
        iceberg_tx_set_summary(tx, SIM_NUMBER, number);
    else
        iceberg_tx_set_property(tx, SIM_NUMBER, number);
    return sim_apply(sim, base, change, attempt, iceberg_tx_snapshot_id(tx));
}

/* The change into the transaction; the files' paths into the change. */
enum tn_code change_fill(struct sim *sim, int process, struct iceberg_tx *tx, struct sim_change *change)
{
    struct sim_file *added = TN_ARENA_ARRAY(sim->arena, struct sim_file, change->added_count + 1);
    for (size_t i = 0; i < change->added_count; i++) {
        added[i] = change->added[i];
        TN_TRY(add_file(sim, process, tx, &added[i]));
    }
    change->added = added;
    for (size_t i = 0; i < change->removed_count; i++)
        iceberg_tx_remove_file(tx, change->removed[i]);
    if (change->remove_all)
        iceberg_tx_remove_all(tx);
    if (change->rewrite)
        iceberg_tx_mark_rewrite(tx);
    if (change->start)
        TN_TRY(iceberg_tx_start_from(tx, change->start->id, &sim->err));
    if (change->tag.name[0])
        iceberg_tx_set_tag(tx, change->tag.name, change->tag.id);
    if (change->forgotten)
        iceberg_tx_forget_snapshot(tx, change->forgotten);
    if (change->extra) {
        unsigned char bytes[12008];
        size_t count = sim_size(change->extra);
        sim_bytes(change->extra, bytes, count);
        TN_TRY(store_batch_put(iceberg_tx_batch(tx), change->extra, bytes, count, &sim->err));
        iceberg_tx_set_summary(tx, SIM_EXTRA, change->extra);
    }
    return TN_OK;
}

/* --- Drawn at random --- */

static void draw_extra(struct sim *sim, struct sim_change *change)
{
    if (dice_one_in(&sim->dice, 2))
        change->extra = tn_arena_printf(sim->arena, "journal/batches/%016" PRIx64 ".ndjson", dice_next(&sim->dice));
}

static struct sim_file *draw_data(struct sim *sim, struct sim_change *change, size_t most)
{
    size_t count = 1 + dice_below(&sim->dice, most);
    /* Room for a delete file beside each. */
    struct sim_file *files = TN_ARENA_ARRAY(sim->arena, struct sim_file, count * 2 + 2);
    for (size_t i = 0; i < count; i++)
        files[i] = (struct sim_file){.content = ICEBERG_DATA, .rows = 1 + (int64_t)dice_below(&sim->dice, 100)};
    change->added = files;
    change->added_count = count;
    return files;
}

static const char *draw_target(struct sim *sim, const struct sim_snapshot *snapshot)
{
    size_t first = snapshot && snapshot->file_count ? dice_below(&sim->dice, snapshot->file_count) : 0;
    for (size_t i = 0; snapshot && i < snapshot->file_count; i++) {
        const struct sim_file *file = &snapshot->files[(first + i) % snapshot->file_count];
        if (file->content == ICEBERG_DATA)
            return file->path;
    }
    return NULL;
}

static void draw_append(struct sim *sim, const struct sim_version *base, struct sim_change *change)
{
    (void)base;
    (void)draw_data(sim, change, 3);
    draw_extra(sim, change);
}

/* New rows and the positions of those they replace. */
static void draw_upsert(struct sim *sim, const struct sim_version *base, struct sim_change *change)
{
    struct sim_file *files = draw_data(sim, change, 1);
    const char *last = NULL;
    for (int i = 0; i < 2; i++) {
        const char *target = draw_target(sim, base->current);
        if (!target || (last && tn_streq(target, last)))
            break;
        files[change->added_count++] =
            (struct sim_file){.content = ICEBERG_POSITION_DELETES, .rows = 1, .target = target};
        last = target;
    }
    draw_extra(sim, change);
}

static void draw_replace(struct sim *sim, const struct sim_version *base, struct sim_change *change)
{
    (void)base;
    (void)draw_data(sim, change, 2);
    change->remove_all = true;
    draw_extra(sim, change);
}

/* Some files become one; their deletes go with them. */
static void draw_compaction(struct sim *sim, const struct sim_version *base, struct sim_change *change)
{
    for (size_t i = 0; i < 4; i++) {
        const char *target = draw_target(sim, base->current);
        bool known = target == NULL;
        for (size_t k = 0; k < change->removed_count && !known; k++)
            known = tn_streq(change->removed[k], target);
        if (!known)
            change->removed[change->removed_count++] = target;
    }
    (void)draw_data(sim, change, 1);
    change->rewrite = change->removed_count > 0;
}

static void draw_restore(struct sim *sim, const struct sim_version *base, struct sim_change *change)
{
    if (base->snapshot_count)
        change->start = base->snapshots[dice_below(&sim->dice, base->snapshot_count)];
    draw_extra(sim, change);
}

static void draw_tag(struct sim *sim, const struct sim_version *base, struct sim_change *change)
{
    if (base->tag_count && dice_one_in(&sim->dice, 3)) {
        change->tag = base->tags[dice_below(&sim->dice, base->tag_count)];
        change->tag.id = ICEBERG_NONE;
    } else if (base->snapshot_count) {
        (void)snprintf(change->tag.name, sizeof change->tag.name, "t%d", (int)dice_below(&sim->dice, 3));
        change->tag.id = base->snapshots[dice_below(&sim->dice, base->snapshot_count)]->id;
    }
}

static void draw_forget(struct sim *sim, const struct sim_version *base, struct sim_change *change)
{
    for (size_t i = 0; i < base->snapshot_count; i++) {
        const struct sim_snapshot *snapshot = base->snapshots[i];
        bool held = snapshot == base->current || dice_one_in(&sim->dice, 3);
        for (size_t k = 0; k < base->tag_count; k++)
            held = held || base->tags[k].id == snapshot->id;
        if (!held) {
            change->forgotten = snapshot->id;
            return;
        }
    }
}

static void draw_property(struct sim *sim, const struct sim_version *base, struct sim_change *change)
{
    (void)sim;
    (void)base;
    (void)change; /* the number alone */
}

static const struct {
    const char *name;
    void (*draw)(struct sim *sim, const struct sim_version *base, struct sim_change *change);
} kinds[] = {
    {"append", draw_append},      {"append", draw_append},
    {"upsert", draw_upsert},      {"upsert", draw_upsert},
    {"upsert", draw_upsert},      {"replace", draw_replace},
    {"compact", draw_compaction}, {"compact", draw_compaction},
    {"restore", draw_restore},    {"tag", draw_tag},
    {"forget", draw_forget},      {"forget", draw_forget},
    {"property", draw_property},
};

const char *change_draw(struct sim *sim, const struct sim_version *base, struct sim_change *ret)
{
    size_t kind = dice_below(&sim->dice, TN_COUNT(kinds));
    *ret = (struct sim_change){0};
    kinds[kind].draw(sim, base, ret);
    return kinds[kind].name;
}

void change_draw_append(struct sim *sim, struct sim_change *ret)
{
    *ret = (struct sim_change){0};
    draw_append(sim, NULL, ret);
}
