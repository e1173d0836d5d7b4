/* From what a group leaves behind to the next version of the table. */
#include "dataset/dataset_internal.h"
#include "dataset/partition.h"
#include "dataset/recent.h"
#include "dataset/rows_internal.h"

#include <inttypes.h>
#include <string.h>

enum tn_code rows_check_writable(const struct iceberg_metadata *metadata, struct tn_error *err)
{
    if (metadata->format_version != 2)
        return tn_fail(err, TN_EUNSUPPORTED, "the table has format version %d, and only version 2 is written",
                       metadata->format_version);
    return partition_check(metadata, err);
}

enum tn_code rows_refresh(struct lake *lake, const char *name, const struct iceberg_metadata *known,
                          struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct iceberg_table table = catalog_table(lake->catalog, arena, name);
    ICEBERG_AUTO_METADATA *newest = NULL;
    enum tn_code code = iceberg_table_load(&table, known, &newest, err);
    if (code != TN_OK && code != TN_ENOTFOUND)
        return code;
    catalog_publish(lake->catalog, name, newest);
    return TN_OK;
}

/* ---- what changes --------------------------------------------------------------- */

struct removed {
    struct dataset_place place;
    const struct engine_cell *row;
};

struct outcome {
    const struct engine_cell **added; /* in the order of their first change */
    size_t added_count;
    struct removed *removed; /* by file, then position */
    size_t removed_count;
};

static int by_place(const void *a, const void *b)
{
    const struct dataset_place *x = &((const struct removed *)a)->place, *y = &((const struct removed *)b)->place;
    int order = strcmp(x->path, y->path);
    return order ? order : (x->pos > y->pos) - (x->pos < y->pos);
}

/* Every row that a change was logged for is written anew, even when it came
 * back to what it was: the journal's events and the rows then say the same. */
static struct outcome collect(struct tn_arena *arena, const struct rows_overlay *overlay)
{
    struct outcome outcome = {
        .added = TN_ARENA_ARRAY(arena, const struct engine_cell *, overlay->change_count + 1),
        .removed = TN_ARENA_ARRAY(arena, struct removed, overlay->change_count + 1),
    };
    bool *seen = TN_ARENA_ARRAY(arena, bool, overlay->entry_count + 1);
    for (size_t i = 0; i < overlay->change_count; i++) {
        size_t at = overlay->changes[i].entry;
        const struct rows_entry *entry = &overlay->entries[at];
        if (seen[at])
            continue;
        seen[at] = true;
        if (entry->before)
            outcome.removed[outcome.removed_count++] = (struct removed){entry->place, entry->before};
        if (entry->now)
            outcome.added[outcome.added_count++] = entry->now;
    }
    if (outcome.removed_count > 1)
        qsort(outcome.removed, outcome.removed_count, sizeof *outcome.removed, by_place);
    return outcome;
}

static enum tn_code put_removed(struct rows_files *files, struct tn_arena *arena, const struct outcome *outcome,
                                struct tn_error *err)
{
    int64_t *positions = TN_ARENA_ARRAY(arena, int64_t, outcome->removed_count + 1);
    for (size_t i = 0; i < outcome->removed_count;) {
        const char *path = outcome->removed[i].place.path;
        size_t count = 0;
        for (; i < outcome->removed_count && tn_streq(outcome->removed[i].place.path, path); i++)
            positions[count++] = outcome->removed[i].place.pos;
        TN_TRY(rows_files_remove(files, path, positions, count, err));
    }
    return TN_OK;
}

/* ---- the summary ------------------------------------------------------------------ */

static const char *common(struct rows_call *const *calls, size_t count, size_t offset)
{
    const char *text = NULL;
    for (size_t i = 0; i < count; i++) {
        if (calls[i]->code != TN_OK)
            continue;
        const char *value = *(const char *const *)((const char *)calls[i]->request.rows + offset);
        if (text && (!value || !tn_streq(text, value)))
            return NULL;
        text = value;
    }
    return text;
}

/* Short: it is repeated in each of a thousand snapshots. What differs between
 * the requests of the group stands in the journal alone. */
static void set_summary(struct iceberg_tx *tx, struct rows_call *const *calls, size_t count)
{
    const struct {
        const char *key;
        size_t offset;
    } texts[] = {{CATALOG_S_ACTOR, offsetof(struct dataset_rows, actor)},
                 {CATALOG_S_SOURCE, offsetof(struct dataset_rows, source)},
                 {CATALOG_S_REASON, offsetof(struct dataset_rows, reason)},
                 {CATALOG_S_REQUEST, offsetof(struct dataset_rows, request_id)}};
    for (size_t i = 0; i < TN_COUNT(texts); i++) {
        const char *text = common(calls, count, texts[i].offset);
        if (text)
            iceberg_tx_set_summary(tx, texts[i].key, text);
    }
    uint64_t rows = 0;
    char number[24];
    for (size_t i = 0; i < count; i++)
        if (calls[i]->code == TN_OK)
            rows += calls[i]->commit.rows;
    snprintf(number, sizeof number, "%" PRIu64, rows);
    iceberg_tx_set_summary(tx, CATALOG_S_ROWS, number);
}

/* ---- the commit --------------------------------------------------------------------- */

static void follow(struct lake *lake, const char *name, const struct iceberg_metadata *newest,
                   const struct iceberg_metadata *done, const struct cells_shape *shape,
                   const struct outcome *outcome, const char *added_path, struct tn_arena *arena)
{
    if (!lake->hot)
        return;
    if (outcome->added_count > 0 && !added_path) { /* in several files */
        dataset_hot_follow(lake, name, newest, done, NULL);
        return;
    }
    size_t width = shape->width, key_width = shape->key_count;
    struct engine_cell *added = TN_ARENA_ARRAY(arena, struct engine_cell, outcome->added_count * width + 1);
    struct dataset_place *removed = TN_ARENA_ARRAY(arena, struct dataset_place, outcome->removed_count + 1);
    struct engine_cell *keys = TN_ARENA_ARRAY(arena, struct engine_cell, outcome->removed_count * key_width + 1);
    for (size_t i = 0; i < outcome->added_count; i++)
        memcpy(added + i * width, outcome->added[i], width * sizeof *added);
    for (size_t i = 0; i < outcome->removed_count; i++) {
        removed[i] = outcome->removed[i].place;
        cells_key_of(shape, outcome->removed[i].row, keys + i * key_width);
    }
    const struct dataset_change change = {.removed = removed,
                                          .removed_keys = keys,
                                          .removed_count = outcome->removed_count,
                                          .added_path = added_path,
                                          .added = added,
                                          .added_rows = outcome->added_count};
    dataset_hot_follow(lake, name, newest, done, &change);
}

static void remember(struct lake *lake, const char *name, const struct iceberg_metadata *newest,
                     const struct iceberg_metadata *done, const struct cells_shape *shape,
                     const struct outcome *outcome, struct tn_arena *arena)
{
    if (!lake->recent)
        return;
    const struct engine_cell **removed =
        TN_ARENA_ARRAY(arena, const struct engine_cell *, outcome->removed_count + 1);
    for (size_t i = 0; i < outcome->removed_count; i++)
        removed[i] = outcome->removed[i].row;
    const struct recent_change change = {.shape = shape,
                                         .removed = removed,
                                         .removed_count = outcome->removed_count,
                                         .added = outcome->added,
                                         .added_count = outcome->added_count};
    recent_note(lake->recent, name, newest, done, &change);
}

enum tn_code rows_commit(struct lake *lake, const char *name, struct iceberg_metadata *newest,
                         const struct rows_overlay *overlay, struct rows_call *const *calls, size_t count,
                         int64_t *ret_snapshot, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const struct outcome outcome = collect(arena, overlay);
    const char *added_path = NULL;
    struct iceberg_table table = catalog_table(lake->catalog, arena, name);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&table, newest);
    TN_CLEANUP(rows_files_release) struct rows_files files;
    rows_files_init(&files, lake, arena, tx);
    if (outcome.added_count)
        TN_TRY(rows_files_add(&files, overlay->shape, outcome.added, outcome.added_count, &added_path, err));
    TN_TRY(put_removed(&files, arena, &outcome, err));
    TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = journal_batch_new(name);
    if (lake->journal) {
        rows_put_events(overlay, calls, batch);
        TN_TRY(journal_batch_attach(batch, tx, true, err));
    }
    TN_FAULT("rows.files_put");
    set_summary(tx, calls, count);
    ICEBERG_AUTO_METADATA *done = NULL;
    TN_FAULT("rows.before_commit");
    enum tn_code code = catalog_tx_commit(lake->catalog, name, tx, &done, err);
    if (code == TN_ECONFLICT)
        rows_files_drop(&files);
    else if (code != TN_OK)
        journal_batch_committed(lake->journal, batch, NULL);
    TN_TRY(code);
    TN_FAULT("rows.after_commit");
    remember(lake, name, newest, done, overlay->shape, &outcome, arena); /* before those who follow are woken */
    catalog_publish(lake->catalog, name, done);
    follow(lake, name, newest, done, overlay->shape, &outcome, added_path, arena);
    if (lake->journal)
        journal_batch_committed(lake->journal, batch, done);
    TN_FAULT("rows.before_answer");
    *ret_snapshot = done->current->id;
    return TN_OK;
}
