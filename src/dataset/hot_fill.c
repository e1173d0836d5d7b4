/* From the files of the newest version to tables of the engine.
 *
 * Commits go on meanwhile. What they change is recorded from the moment at
 * which the version was taken, and done to the new table before it is shown:
 * both ends of that stretch lie under the dataset's lock.
 */
#include "dataset/hot_internal.h"
#include "dataset/width.h"

#include <inttypes.h>
#include <string.h>

#define EARLY_ROUNDS 2

struct filling {
    struct lake *lake;
    const char *name;
    struct tn_arena *arena;
    struct hot_copy *copy;
    struct iceberg_metadata *metadata;
    struct iceberg_plan *plan;
    struct hot_table *table;
    struct hot_version *version;
};

/* ---- how much it will take ------------------------------------------------------ */

/* What the engine needs for the rows, from above: columns at their width, and
 * texts as if the files held them at a third of their size. */
static uint64_t estimate(const struct iceberg_plan *plan, const struct iceberg_schema *schema)
{
    uint64_t width = DATASET_PLACE_WIDTH;
    for (size_t i = 0; i < schema->field_count; i++)
        width += dataset_width(schema->fields[i].type);
    return HOT_TABLE_BYTES + (uint64_t)plan->record_count * width + 3 * (uint64_t)plan->size_bytes;
}

/* ---- the table ----------------------------------------------------------------------- */

static enum tn_code create_tables(const struct filling *filling, struct tn_error *err)
{
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *hold = NULL;
    TN_AUTO_BUF sql = {0};
    TN_TRY(dataset_files_sql(filling->lake, filling->plan, filling->table->schema, DATASET_WITH_NUMBERS, &sql, &hold,
                             err));
    return hot_tables_create(filling->table, sql.data, (uint64_t)filling->plan->record_count, err);
}

/* What the table is said to take, modulo 2^64: right also when it becomes less. */
static void count_more(struct hot_table *table, uint64_t more)
{
    pthread_mutex_lock(&table->hot->mutex);
    table->bytes += more;
    table->hot->state.bytes += more;
    pthread_mutex_unlock(&table->hot->mutex);
}

/* The guess gives way to what the rows take, once they are there. */
static enum tn_code measure(const struct filling *filling, struct tn_error *err)
{
    struct hot_table *table = filling->table;
    uint64_t bytes = table->bytes;
    TN_TRY(hot_tables_measure(table, (uint64_t)filling->plan->record_count, &bytes, err));
    count_more(table, bytes - table->bytes);
    return TN_OK;
}

static enum tn_code read_files(struct filling *filling, struct tn_error *err)
{
    struct hot_table *table = filling->table;
    for (size_t i = 0; i < filling->plan->file_count; i++)
        hot_table_add_file(table, filling->plan->files[i].file->path, 0, false, false);
    TN_TRY(hot_places_read(table, err));
    count_more(table, hot_places_bytes(table));
    return TN_OK;
}

/* ---- keys ------------------------------------------------------------------------------ */

#define KEYS_ROW_BYTES 96 /* of a row beside its values */

static enum tn_code take_keyed(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    const struct hot_table *table = context;
    int64_t file = cells[0].integer;
    if (file < 0 || (size_t)file >= table->file_count)
        return tn_fail(err, TN_EINTERNAL, "a hot copy has rows of file %" PRId64, file);
    const struct dataset_place place = {table->files[file].path, cells[1].integer};
    hot_keys_add(table->keys, &place, cells + 2);
    return TN_OK;
}

/* Keys are a convenience of writers: nobody else's copy goes for them. */
static bool want_keys(const struct filling *filling)
{
    struct dataset_hot *hot = filling->lake->hot;
    struct hot_copy *copy = filling->copy;
    uint64_t bytes = 3 * (uint64_t)filling->plan->size_bytes + filling->table->rows * KEYS_ROW_BYTES;
    pthread_mutex_lock(&hot->mutex);
    bool wanted = filling->metadata->schema->identifier_count && (copy->pinned || copy->wants_keys);
    bool room = hot->state.bytes + bytes <= hot->state.budget;
    copy->no_room = wanted && !room;
    pthread_mutex_unlock(&hot->mutex);
    return wanted && room;
}

static enum tn_code read_keys(struct filling *filling, struct tn_error *err)
{
    struct hot_table *table = filling->table;
    if (!want_keys(filling))
        return TN_OK;
    TN_TRY(hot_keys_new(table->schema, &table->keys, err));
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT tarn_file, tarn_pos");
    for (size_t i = 0; i < table->schema->field_count; i++) {
        tn_buf_puts(&sql, ", ");
        tn_buf_put_sql_name(&sql, table->schema->fields[i].name);
    }
    tn_buf_printf(&sql, " FROM " HOT_BASE, (unsigned long long)table->serial);
    const struct engine_select select = {.sql = sql.data};
    TN_TRY(engine_select(filling->lake->engine, &select, NULL, NULL, NULL, take_keyed, table, err));
    table->keys_snapshot = filling->metadata->current->id;
    hot_count_keys(table);
    return TN_OK;
}

/* ---- before and after ------------------------------------------------------------------ */

static bool has_name(const struct iceberg_schema *schema, const char *name)
{
    return iceberg_schema_find(schema, name, true) != NULL;
}

static enum tn_code check(const struct filling *filling, struct tn_error *err)
{
    const struct iceberg_metadata *metadata = filling->metadata;
    if (!metadata || !metadata->current)
        return tn_fail(err, TN_EREFUSED, "dataset \"%s\" has no rows to hold", filling->name);
    if (has_name(metadata->schema, "tarn_file") || has_name(metadata->schema, "tarn_pos") ||
        has_name(metadata->schema, "rowid"))
        return tn_fail(err, TN_EUNSUPPORTED, "dataset \"%s\" has a column whose name hot copies need", filling->name);
    return TN_OK;
}

/* Takes the version; from here on changes are recorded. */
static enum tn_code begin(struct filling *filling, struct tn_error *err)
{
    struct lake *lake = filling->lake;
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(lake->catalog, filling->name);
    TN_TRY(catalog_load_locked(lake->catalog, filling->name, &filling->metadata, err));
    TN_TRY(check(filling, err));
    pthread_mutex_lock(&lake->hot->mutex);
    filling->copy = hot_find(lake->hot, filling->name);
    bool wanted = filling->copy && !filling->copy->let_go; /* not when that was while it was queued */
    if (wanted) {
        hot_queue_clear(&filling->copy->pending);
        filling->copy->filling = true;
    } else {
        filling->copy = NULL;
    }
    pthread_mutex_unlock(&lake->hot->mutex);
    return wanted ? TN_OK : tn_fail(err, TN_ENOTFOUND, "nobody asks for dataset \"%s\" any more", filling->name);
}

static enum tn_code fill_table(struct filling *filling, struct tn_error *err)
{
    struct lake *lake = filling->lake;
    const struct iceberg_metadata *metadata = filling->metadata;
    struct iceberg_table place = catalog_table(lake->catalog, filling->arena, filling->name);
    TN_TRY(iceberg_plan_new(&place, metadata, metadata->current, NULL, 0, &filling->plan, err));
    uint64_t bytes = estimate(filling->plan, metadata->schema);
    if (!hot_make_room(lake->hot, filling->copy, bytes)) {
        char text[32];
        tn_fail(err, TN_ENOMEM, "dataset \"%s\" would take about %s of memory, more than is free for hot copies",
                filling->name, tn_format_size(bytes, text));
        tn_error_hint(err, "Raise the setting cache.memory, or evict another dataset.");
        return TN_ENOMEM;
    }
    filling->table = hot_table_new(lake->hot, lake->engine, metadata->schema);
    count_more(filling->table, bytes);
    TN_TRY(create_tables(filling, err));
    TN_TRY(measure(filling, err));
    TN_TRY(read_files(filling, err));
    TN_TRY(read_keys(filling, err));
    filling->version = hot_version_new(filling->table, metadata->current->id, NULL, NULL, 0);
    return TN_OK;
}

static const struct hot_pending *last_recorded(const struct filling *filling)
{
    struct dataset_hot *hot = filling->lake->hot;
    pthread_mutex_lock(&hot->mutex);
    const struct hot_pending *last = filling->copy->pending.last;
    pthread_mutex_unlock(&hot->mutex);
    return last;
}

/* The first change behind the table's version; NULL: there is none up to `last`. */
static const struct hot_pending *first_behind(const struct filling *filling, const struct hot_pending *last)
{
    const struct hot_pending *at = last ? filling->copy->pending.first : NULL;
    while (at && at->before_id != filling->version->snapshot_id)
        at = at == last ? NULL : at->next;
    return at;
}

static enum tn_code move_keys(struct hot_table *table, const struct hot_pending *first,
                              const struct hot_pending *last, struct tn_error *err)
{
    for (const struct hot_pending *at = first;; at = at->next) {
        if (!at->followable || (at != last && at->next->before_id != at->after_id))
            return tn_fail(err, TN_ECONFLICT, "the dataset changed in another way meanwhile");
        if (table->keys && !hot_keys_apply(table->keys, &at->change)) {
            hot_keys_free(table->keys);
            table->keys = NULL;
        }
        if (at == last)
            break;
    }
    table->keys_snapshot = last->after_id;
    return TN_OK;
}

/* Does to the table what was done to the dataset meanwhile. More may be recorded while it works, behind `last`. */
static enum tn_code catch_up(struct filling *filling, struct tn_error *err)
{
    const struct hot_pending *last = last_recorded(filling), *first = first_behind(filling, last);
    struct hot_version *versions[HOT_VERSIONS];
    size_t count;
    if (!first)
        return TN_OK;
    TN_TRY(move_keys(filling->table, first, last, err));
    TN_TRY(hot_apply(filling->lake, filling->name, filling->metadata, filling->version, first, last, versions, &count,
                     err));
    engine_hold_unref(&filling->version->hold);
    filling->version = versions[count - 1];
    for (size_t i = 0; i + 1 < count; i++)
        engine_hold_unref(&versions[i]->hold);
    return TN_OK;
}

/* Shows the table. */
static enum tn_code end(struct filling *filling, struct tn_error *err)
{
    struct lake *lake = filling->lake;
    struct dataset_hot *hot = lake->hot;
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(lake->catalog, filling->name);
    TN_TRY(catch_up(filling, err));
    ICEBERG_AUTO_METADATA *newest = NULL;
    TN_TRY(catalog_load_locked(lake->catalog, filling->name, &newest, err));
    if (!newest || !newest->current || newest->current->id != filling->version->snapshot_id ||
        newest->schema->id != filling->table->schema_id || !tn_streq(newest->uuid, filling->metadata->uuid))
        return tn_fail(err, TN_ECONFLICT, "the dataset changed in another way meanwhile");
    pthread_mutex_lock(&hot->mutex);
    struct hot_copy *copy = filling->copy;
    if (copy->let_go) {
        pthread_mutex_unlock(&hot->mutex);
        return tn_fail(err, TN_ECANCELLED, "the hot copy of \"%s\" was let go while it was filled", filling->name);
    }
    struct hot_dropped dropped = hot_take_out(copy);
    free(copy->uuid);
    copy->uuid = tn_strdup(filling->metadata->uuid);
    copy->table = TN_TAKE(filling->table);
    hot_publish(copy, TN_TAKE(filling->version));
    hot->state.fills++;
    pthread_mutex_unlock(&hot->mutex);
    hot_let_go(&dropped);
    return TN_OK;
}

static void filling_release(struct filling *filling)
{
    struct dataset_hot *hot = filling->lake->hot;
    if (filling->copy) {
        pthread_mutex_lock(&hot->mutex);
        filling->copy->filling = false;
        hot_queue_clear(&filling->copy->pending);
        pthread_mutex_unlock(&hot->mutex);
    }
    if (filling->version)
        engine_hold_unref(&filling->version->hold);
    hot_table_unref(filling->table);
    iceberg_plan_free(filling->plan);
    iceberg_metadata_unref(filling->metadata);
    tn_arena_free(filling->arena);
}

enum tn_code hot_fill(struct lake *lake, const char *name, struct tn_error *err)
{
    struct dataset_hot *hot = lake->hot;
    pthread_mutex_lock(&hot->fill_mutex);
    struct filling filling = {.lake = lake, .name = name, .arena = tn_arena_new()};
    enum tn_code code = begin(&filling, err);
    if (code == TN_OK)
        code = fill_table(&filling, err);
    /* Most of it without the dataset's lock, so that writers wait for little in the end. */
    for (int n = 0; code == TN_OK && n < EARLY_ROUNDS; n++)
        code = catch_up(&filling, err);
    if (code == TN_OK)
        code = end(&filling, err);
    filling_release(&filling);
    pthread_mutex_unlock(&hot->fill_mutex);
    return code;
}
