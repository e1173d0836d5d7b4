/* Which hot copies there are, who reads them, and how much they take.
 *
 * A reader holds a version, a version holds its table and its bitmaps: nothing
 * that a running statement names goes away under it. What is evicted counts
 * against the budget until its last reader is done.
 */
#include "dataset/hot_internal.h"

#include <inttypes.h>
#include <string.h>

#define USES_TO_FILL 3
#define WINDOW_NS    UINT64_C(60000000000)
#define FILL_TRIES   3 /* a compaction may come between */

struct dataset_hot *dataset_hot_new(uint64_t memory_bytes)
{
    struct dataset_hot *hot = tn_calloc(1, sizeof *hot);
    pthread_mutex_init(&hot->mutex, NULL);
    pthread_mutex_init(&hot->fill_mutex, NULL);
    pthread_cond_init(&hot->idle, NULL);
    hot->state.budget = memory_bytes;
    return hot;
}

/* ---- tables -------------------------------------------------------------------- */

struct hot_table *hot_table_new(struct dataset_hot *hot, struct engine *engine, const struct iceberg_schema *schema)
{
    struct hot_table *table = tn_calloc(1, sizeof *table);
    table->references = 1;
    table->hot = hot;
    table->engine = engine;
    table->arena = tn_arena_new();
    table->schema_id = schema->id;
    table->schema = iceberg_schema_copy(table->arena, schema);
    pthread_mutex_init(&table->growing, NULL);
    pthread_mutex_lock(&hot->mutex);
    table->serial = ++hot->serial;
    pthread_mutex_unlock(&hot->mutex);
    return table;
}

void hot_table_unref(struct hot_table *table)
{
    if (!table || atomic_fetch_sub(&table->references, 1) != 1)
        return;
    hot_tables_drop(table);
    pthread_mutex_lock(&table->hot->mutex);
    table->hot->state.bytes -= table->bytes;
    pthread_mutex_unlock(&table->hot->mutex);
    hot_keys_free(table->keys);
    pthread_mutex_destroy(&table->growing);
    tn_arena_free(table->arena);
    free(table->files);
    free(table->slots);
    free(table->runs);
    free(table);
}

void hot_count_keys(struct hot_table *table)
{
    uint64_t bytes = table->keys ? hot_keys_bytes(table->keys) : 0;
    pthread_mutex_lock(&table->hot->mutex);
    table->bytes += bytes - table->keys_bytes; /* modulo 2^64: right also when they shrink */
    table->hot->state.bytes += bytes - table->keys_bytes;
    table->keys_bytes = bytes;
    pthread_mutex_unlock(&table->hot->mutex);
}

static uint32_t *find_slot(const struct hot_table *table, const char *path)
{
    size_t at = (size_t)tn_hash64(path, strlen(path), 0) & (table->slot_count - 1);
    while (table->slots[at] && !tn_streq(table->files[table->slots[at] - 1].path, path))
        at = (at + 1) & (table->slot_count - 1);
    return &table->slots[at];
}

size_t hot_table_find_file(const struct hot_table *table, const char *path)
{
    return table->slot_count && *find_slot(table, path) ? (size_t)*find_slot(table, path) - 1 : SIZE_MAX;
}

size_t hot_table_add_file(struct hot_table *table, const char *path, int64_t offset, bool dense, bool delta)
{
    if (table->file_count * 2 >= table->slot_count) {
        free(table->slots);
        table->slot_count = table->slot_count ? 2 * table->slot_count : 64;
        table->slots = tn_calloc(table->slot_count, sizeof *table->slots);
        for (size_t i = 0; i < table->file_count; i++)
            *find_slot(table, table->files[i].path) = (uint32_t)i + 1;
    }
    TN_GROW(table->files, table->file_count, table->file_capacity);
    table->files[table->file_count] = (struct hot_file){
        .path = tn_arena_strdup(table->arena, path), .offset = offset, .dense = dense, .delta = delta};
    *find_slot(table, path) = (uint32_t)table->file_count + 1;
    return table->file_count++;
}

/* ---- versions -------------------------------------------------------------------- */

static void version_free(struct engine_hold *hold)
{
    struct hot_version *version = (struct hot_version *)hold;
    if (version->gone_id)
        engine_live_remove(version->table->engine, version->gone_id, 1);
    if (version->delta_id)
        engine_live_remove(version->table->engine, version->delta_id, 1);
    engine_bitmap_unref(version->gone);
    engine_bitmap_unref(version->gone_delta);
    hot_table_unref(version->table);
    free(version);
}

struct hot_version *hot_version_new(struct hot_table *table, int64_t snapshot_id, struct engine_bitmap *gone,
                                    struct engine_bitmap *gone_delta, uint64_t delta_rows)
{
    struct hot_version *version = tn_calloc(1, sizeof *version);
    atomic_fetch_add(&table->references, 1);
    *version = (struct hot_version){
        .hold = {.references = 1, .free = version_free},
        .table = table,
        .snapshot_id = snapshot_id,
        .gone = gone,
        .gone_delta = gone_delta,
        .gone_id = gone ? engine_live_add(table->engine, &gone, 1) : 0,
        .delta_id = gone_delta ? engine_live_add(table->engine, &gone_delta, 1) : 0,
        .delta_rows = delta_rows,
    };
    pthread_mutex_lock(&table->hot->mutex);
    version->number = ++table->hot->serial;
    pthread_mutex_unlock(&table->hot->mutex);
    return version;
}

struct hot_version *hot_newest(const struct hot_copy *copy)
{
    return copy->version_count ? copy->versions[copy->version_count - 1] : NULL;
}

/* ---- copies ------------------------------------------------------------------------ */

struct hot_copy *hot_find(struct dataset_hot *hot, const char *name)
{
    struct hot_copy *copy = hot->copies;
    while (copy && !tn_streq(copy->name, name))
        copy = copy->next;
    return copy;
}

struct hot_dropped hot_take_out(struct hot_copy *copy)
{
    struct hot_dropped dropped = {.table = copy->table, .queued = copy->queued, .count = copy->version_count};
    memcpy(dropped.versions, copy->versions, sizeof copy->versions);
    copy->table = NULL;
    copy->queued = (struct hot_queue){0};
    copy->version_count = 0;
    return dropped;
}

void hot_let_go(struct hot_dropped *dropped)
{
    if (dropped->queued.first) { /* somebody may be doing it just now */
        pthread_mutex_lock(&dropped->table->growing);
        hot_queue_clear(&dropped->queued);
        pthread_mutex_unlock(&dropped->table->growing);
    }
    for (size_t i = 0; i < dropped->count; i++)
        engine_hold_unref(&dropped->versions[i]->hold);
    hot_table_unref(dropped->table);
}

bool hot_make_room(struct dataset_hot *hot, const struct hot_copy *keep, uint64_t bytes)
{
    for (;;) {
        pthread_mutex_lock(&hot->mutex);
        if (hot->state.bytes + bytes <= hot->state.budget) {
            pthread_mutex_unlock(&hot->mutex);
            return true;
        }
        struct hot_copy *victim = NULL;
        for (struct hot_copy *copy = hot->copies; copy; copy = copy->next)
            if (copy != keep && copy->table && !copy->pinned && (!victim || copy->used < victim->used))
                victim = copy;
        struct hot_dropped dropped = {0};
        if (victim) {
            dropped = hot_take_out(victim);
            victim->uses = 0;
            hot->state.evictions++;
        }
        pthread_mutex_unlock(&hot->mutex);
        if (!victim)
            return false;
        hot_let_go(&dropped);
    }
}

/* Found or made. */
static struct hot_copy *need_copy(struct dataset_hot *hot, const char *name)
{
    struct hot_copy *copy = hot_find(hot, name);
    if (copy)
        return copy;
    copy = tn_calloc(1, sizeof *copy);
    copy->name = tn_strdup(name);
    copy->next = hot->copies;
    hot->copies = copy;
    return copy;
}

/* ---- filling in the background -------------------------------------------------------- */

struct job {
    struct lake lake; /* a copy: who asked may have had one of its own, and be gone by now */
    char *name;
    bool catch_up; /* else fill */
};

/* All that is queued by now. */
static enum tn_code catch_up(struct lake *lake, const char *name, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(catalog_load(lake->catalog, name, &metadata, err));
    pthread_mutex_lock(&lake->hot->mutex);
    struct hot_copy *copy = hot_find(lake->hot, name);
    copy->catching_up = false;
    int64_t snapshot_id = copy->queued.last ? copy->queued.last->after_id : 0;
    pthread_mutex_unlock(&lake->hot->mutex);
    if (snapshot_id)
        hot_catch_up(lake, name, metadata, snapshot_id);
    return TN_OK;
}

static void run_job(void *argument)
{
    struct job *job = argument;
    struct dataset_hot *hot = job->lake.hot;
    struct tn_error err = {0};
    pthread_mutex_lock(&hot->mutex);
    bool closing = hot->closing;
    pthread_mutex_unlock(&hot->mutex);
    enum tn_code code = closing ? TN_OK : TN_ECONFLICT;
    for (int left = FILL_TRIES; code == TN_ECONFLICT && left > 0; left--)
        code = (job->catch_up ? catch_up : hot_fill)(&job->lake, job->name, &err);
    if (code != TN_OK)
        TN_LOG(TN_LOG_DEBUG, "cache.fill", TN_FS("dataset", job->name), TN_FS("error", err.detail));
    free(job->name);
    free(job);
    pthread_mutex_lock(&hot->mutex);
    hot->running--;
    pthread_cond_broadcast(&hot->idle);
    pthread_mutex_unlock(&hot->mutex);
}

/* The next three under the mutex. */
static void submit_job(struct lake *lake, const struct hot_copy *copy, bool to_catch_up)
{
    lake->hot->running++;
    struct job *job = tn_malloc(sizeof *job);
    *job = (struct job){*lake, tn_strdup(copy->name), to_catch_up};
    tn_pool_submit(lake->pool, TN_BACKGROUND, run_job, job);
}

static void submit(struct lake *lake, struct hot_copy *copy)
{
    uint64_t now = tn_mono_ns();
    if (!lake->pool || lake->hot->closing || copy->filling || now < copy->retry_ns)
        return;
    copy->let_go = false;
    copy->retry_ns = now + WINDOW_NS / 6; /* not again at once, whatever becomes of it */
    submit_job(lake, copy, false);
}

void hot_start_catching_up(struct lake *lake, struct hot_copy *copy)
{
    if (!lake->pool || lake->hot->closing || copy->catching_up)
        return;
    copy->catching_up = true;
    submit_job(lake, copy, true);
}

void hot_start_filling(struct lake *lake, const char *name)
{
    pthread_mutex_lock(&lake->hot->mutex);
    struct hot_copy *copy = hot_find(lake->hot, name);
    if (copy && !copy->let_go) /* between the change and here */
        submit(lake, copy);
    pthread_mutex_unlock(&lake->hot->mutex);
}

void dataset_hot_free(struct dataset_hot *hot)
{
    if (!hot)
        return;
    pthread_mutex_lock(&hot->mutex);
    hot->closing = true;
    while (hot->running > 0)
        pthread_cond_wait(&hot->idle, &hot->mutex);
    pthread_mutex_unlock(&hot->mutex);
    while (hot->copies) {
        struct hot_copy *copy = hot->copies;
        struct hot_dropped dropped = hot_take_out(copy);
        hot->copies = copy->next;
        hot_let_go(&dropped);
        hot_queue_clear(&copy->pending);
        free(copy->name);
        free(copy->uuid);
        free(copy);
    }
    pthread_cond_destroy(&hot->idle);
    pthread_mutex_destroy(&hot->fill_mutex);
    pthread_mutex_destroy(&hot->mutex);
    free(hot);
}

/* ---- reading ----------------------------------------------------------------------------- */

static struct hot_version *find_version(const struct hot_copy *copy, const struct iceberg_metadata *metadata,
                                        const struct iceberg_snapshot *snapshot, const struct iceberg_schema *schema)
{
    if (!copy->table || copy->table->schema_id != schema->id || !tn_streq(copy->uuid, metadata->uuid))
        return NULL;
    for (size_t i = copy->version_count; i-- > 0;)
        if (copy->versions[i]->snapshot_id == snapshot->id)
            return copy->versions[i];
    return NULL;
}

/* Under the mutex. */
static void count_use(struct lake *lake, struct hot_copy *copy, bool hit)
{
    struct dataset_hot *hot = lake->hot;
    uint64_t now = tn_mono_ns();
    copy->used = ++hot->clock;
    if (now - copy->window_ns > WINDOW_NS) {
        copy->window_ns = now;
        copy->uses = 0;
    }
    copy->uses++;
    hot->state.hits += hit;
    hot->state.misses += !hit;
    if (!hit && copy->uses >= USES_TO_FILL)
        submit(lake, copy);
}

struct hot_version *hot_hold(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                             const struct iceberg_snapshot *snapshot, const struct iceberg_schema *schema)
{
    struct dataset_hot *hot = lake->hot;
    if (!hot || !hot->state.budget || !snapshot)
        return NULL;
    pthread_mutex_lock(&hot->mutex);
    struct hot_copy *copy = need_copy(hot, name);
    struct hot_version *version = find_version(copy, metadata, snapshot, schema);
    if (!version && hot_is_queued(copy, metadata, snapshot->id)) {
        pthread_mutex_unlock(&hot->mutex);
        hot_catch_up(lake, name, metadata, snapshot->id);
        pthread_mutex_lock(&hot->mutex);
        version = find_version(copy, metadata, snapshot, schema);
    }
    if (version)
        engine_hold_ref(&version->hold);
    if (version || snapshot == metadata->current)
        count_use(lake, copy, version != NULL);
    pthread_mutex_unlock(&hot->mutex);
    return version;
}

static void put_part(const struct hot_version *version, bool delta, struct tn_buf *out)
{
    const struct hot_table *table = version->table;
    uint64_t id = delta ? version->delta_id : version->gone_id;
    tn_buf_puts(out, "SELECT ");
    for (size_t i = 0; i < table->schema->field_count; i++) {
        tn_buf_puts(out, i ? ", t." : "t.");
        tn_buf_put_sql_name(out, table->schema->fields[i].name);
    }
    tn_buf_puts(out, " FROM ");
    tn_buf_printf(out, delta ? HOT_DELTA : HOT_BASE, (unsigned long long)table->serial);
    tn_buf_puts(out, " t");
    if (id)
        tn_buf_printf(out, " WHERE tarn_live(%" PRIu64 ", t.rowid)", id);
}

bool dataset_hot_version(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                         const struct iceberg_snapshot *snapshot, const struct iceberg_schema *schema,
                         struct tn_arena *arena, struct dataset_hot_version *ret)
{
    struct hot_version *version = hot_hold(lake, name, metadata, snapshot, schema);
    if (!version)
        return false;
    TN_AUTO_BUF sql = {0};
    put_part(version, false, &sql);
    if (version->delta_rows) {
        tn_buf_puts(&sql, " UNION ALL ");
        put_part(version, true, &sql);
    }
    *ret = (struct dataset_hot_version){
        .sql = tn_arena_strndup(arena, sql.data, sql.len),
        .variant = tn_arena_printf(arena, "hot%" PRIu64, version->number),
        .hold = &version->hold,
    };
    return true;
}

/* The copy's table when it has the keys of exactly this version; held. */
static struct hot_table *hold_keys(struct lake *lake, const char *name, const struct iceberg_metadata *metadata)
{
    struct dataset_hot *hot = lake->hot;
    struct hot_table *table = NULL;
    pthread_mutex_lock(&hot->mutex);
    struct hot_copy *copy = need_copy(hot, name);
    copy->wants_keys = true;
    if (copy->table && copy->table->keys && tn_streq(copy->uuid, metadata->uuid) &&
        copy->table->schema_id == metadata->schema->id && copy->table->keys_snapshot == metadata->current->id) {
        table = copy->table;
        atomic_fetch_add(&table->references, 1);
    }
    bool hit = table || (copy->table && copy->no_room); /* nothing to fill for */
    count_use(lake, copy, hit);
    pthread_mutex_unlock(&hot->mutex);
    return table;
}

bool dataset_hot_find(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                      const struct engine_cell *keys, size_t count, dataset_found_fn *each, void *context,
                      enum tn_code *ret_code, struct tn_error *err)
{
    if (!lake->hot || !lake->hot->state.budget || !metadata->current || !metadata->schema->identifier_count)
        return false;
    TN_CLEANUP(hot_table_unref_p) struct hot_table *table = hold_keys(lake, name, metadata);
    if (!table)
        return false;
    *ret_code = hot_keys_find(table->keys, keys, count, each, context, err);
    return true;
}

/* ---- by hand ------------------------------------------------------------------------------- */

enum tn_code dataset_hot_pin(struct lake *lake, const char *name, struct tn_error *err)
{
    struct dataset_hot *hot = lake->hot;
    if (!hot)
        return tn_fail(err, TN_EUNAVAILABLE, "nothing is held in memory here");
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(catalog_load(lake->catalog, name, &metadata, err));
    char exact[CATALOG_NAME_MAX + 1];
    catalog_exact_name(name, exact);
    pthread_mutex_lock(&hot->mutex);
    struct hot_copy *copy = need_copy(hot, exact);
    copy->pinned = true;
    copy->let_go = false;
    bool held = metadata->current && (find_version(copy, metadata, metadata->current, metadata->schema) ||
                                      hot_is_queued(copy, metadata, metadata->current->id));
    pthread_mutex_unlock(&hot->mutex);
    if (held || !metadata->current)
        return TN_OK;
    enum tn_code code = hot_fill(lake, exact, err);
    if (code != TN_OK) {
        pthread_mutex_lock(&hot->mutex);
        copy->pinned = false;
        pthread_mutex_unlock(&hot->mutex);
    }
    return code;
}

void dataset_hot_evict(struct lake *lake, const char *name)
{
    struct dataset_hot *hot = lake->hot;
    if (!hot)
        return;
    char exact[CATALOG_NAME_MAX + 1];
    catalog_exact_name(name, exact);
    pthread_mutex_lock(&hot->mutex);
    struct hot_copy *copy = hot_find(hot, exact);
    struct hot_dropped dropped = {0};
    if (copy) {
        hot->state.evictions += copy->table != NULL;
        dropped = hot_take_out(copy);
        copy->pinned = false;
        copy->let_go = true;
        copy->uses = 0;
    }
    pthread_mutex_unlock(&hot->mutex);
    hot_let_go(&dropped);
}

struct dataset_hot_state dataset_hot_state(struct dataset_hot *hot)
{
    struct dataset_hot_state state = {0};
    if (!hot)
        return state;
    pthread_mutex_lock(&hot->mutex);
    state = hot->state;
    for (const struct hot_copy *copy = hot->copies; copy; copy = copy->next)
        state.datasets += copy->table != NULL;
    pthread_mutex_unlock(&hot->mutex);
    return state;
}
