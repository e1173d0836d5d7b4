/* What commits changed waits here until a reader wants its version.
 *
 * A writer copies its change and goes on; a statement for each would be the
 * most expensive part of its commit. The reader who comes first does all that
 * waits with one statement. Long queues are worked off in the background.
 */
#include "dataset/hot_internal.h"

#include <string.h>

#define FOLLOW_MAX_ROWS ((size_t)20000) /* of one change; more is filled anew */
#define QUEUE_MANY      1000            /* changes, and rows, at which a job does them */
#define QUEUE_MANY_ROWS ((size_t)20000)
#define QUEUE_MAX_ROWS  ((size_t)200000)

/* ---- queues ------------------------------------------------------------------------------------ */

static void pending_free(struct hot_pending *pending)
{
    tn_arena_free(pending->arena);
    free(pending);
}

void hot_queue_clear(struct hot_queue *queue)
{
    while (queue->first) {
        struct hot_pending *pending = queue->first;
        queue->first = pending->next;
        pending_free(pending);
    }
    *queue = (struct hot_queue){0};
}

/* Many rows lie in few files, whose paths are told with each of them. */
#define COPIED_PATHS 256
struct copied_path {
    const char *from, *to;
};

static const char *copy_path(struct tn_arena *arena, struct copied_path *copied, const char *path)
{
    struct copied_path *at = &copied[(size_t)tn_hash64(&path, sizeof path, 0) % COPIED_PATHS];
    if (at->from != path)
        *at = (struct copied_path){path, tn_arena_strdup(arena, path)};
    return at->to;
}

static bool copy_change(struct hot_pending *pending, const struct iceberg_schema *schema,
                        const struct dataset_change *change)
{
    struct cells_shape shape;
    struct tn_arena *arena = pending->arena;
    if (cells_shape_init(&shape, arena, schema, NULL) != TN_OK)
        return false;
    struct dataset_place *removed = TN_ARENA_ARRAY(arena, struct dataset_place, change->removed_count + 1);
    struct engine_cell *added = TN_ARENA_ARRAY(arena, struct engine_cell, change->added_rows * shape.width + 1);
    struct copied_path copied[COPIED_PATHS] = {0};
    for (size_t i = 0; i < change->removed_count; i++)
        removed[i] =
            (struct dataset_place){copy_path(arena, copied, change->removed[i].path), change->removed[i].pos};
    for (size_t i = 0; i < change->added_rows; i++)
        memcpy(added + i * shape.width, cells_copy(&shape, arena, change->added + i * shape.width),
               shape.width * sizeof *added);
    pending->change = (struct dataset_change){
        .removed = removed,
        .removed_keys =
            change->removed_keys ? cells_copy_keys(&shape, arena, change->removed_keys, change->removed_count) : NULL,
        .removed_count = change->removed_count,
        .added_path = change->added_path ? tn_arena_strdup(arena, change->added_path) : NULL,
        .added = added,
        .added_rows = change->added_rows,
        .moved = change->moved,
    };
    return true;
}

void hot_queue_add(struct hot_queue *queue, const struct iceberg_metadata *before,
                   const struct iceberg_metadata *after, const struct dataset_change *change)
{
    struct hot_pending *pending = tn_calloc(1, sizeof *pending);
    pending->arena = tn_arena_new_small();
    pending->before_id = before->current ? before->current->id : 0;
    pending->after_id = after->current ? after->current->id : 0;
    size_t rows = change ? change->removed_count + change->added_rows : 0;
    queue->rows += rows;
    queue->count++;
    pending->followable = change && rows <= FOLLOW_MAX_ROWS && queue->rows <= QUEUE_MAX_ROWS &&
                          before->schema->id == after->schema->id && copy_change(pending, after->schema, change);
    if (queue->last)
        queue->last->next = pending;
    else
        queue->first = pending;
    queue->last = pending;
}

bool hot_follows_move(const struct dataset_change *change)
{
    return change->removed_count > 0 && change->removed_count <= FOLLOW_MAX_ROWS;
}

static const struct hot_pending *find(const struct hot_queue *queue, int64_t snapshot_id)
{
    const struct hot_pending *pending = queue->first;
    while (pending && pending->after_id != snapshot_id)
        pending = pending->next;
    return pending;
}

bool hot_is_queued(const struct hot_copy *copy, const struct iceberg_metadata *metadata, int64_t snapshot_id)
{
    return copy->table && tn_streq(copy->uuid, metadata->uuid) && copy->table->schema_id == metadata->schema->id &&
           find(&copy->queued, snapshot_id);
}

/* ---- catching up --------------------------------------------------------------------------------- */

/* What there is to do, with the table's `growing` held: entries are only
 * appended by others until they are taken off. */
struct catching {
    struct hot_copy *copy;
    struct hot_table *table;
    struct hot_version *from;
    const struct hot_pending *first, *last;
    struct hot_version *versions[HOT_VERSIONS];
    size_t count;
};

static bool start(struct dataset_hot *hot, struct catching *catching, int64_t snapshot_id)
{
    pthread_mutex_lock(&hot->mutex);
    struct hot_copy *copy = catching->copy;
    const struct hot_pending *last = copy->table == catching->table ? find(&copy->queued, snapshot_id) : NULL;
    if (last) {
        catching->from = hot_newest(copy);
        engine_hold_ref(&catching->from->hold);
        catching->first = copy->queued.first;
        catching->last = last;
    }
    pthread_mutex_unlock(&hot->mutex);
    return last != NULL;
}

/* What is done leaves the queue. */
static struct hot_pending *take_off(struct hot_queue *queue, const struct hot_pending *last)
{
    struct hot_pending *done = queue->first, *at = done;
    for (;; at = at->next) {
        queue->count--;
        queue->rows -= at->change.removed_count + at->change.added_rows;
        if (at == last)
            break;
    }
    queue->first = at->next;
    if (!queue->first)
        queue->last = NULL;
    at->next = NULL;
    return done;
}

/* A pinned one is filled anew by later use, if there is room. */
static void let_go_grown(struct dataset_hot *hot, struct hot_copy *copy, const struct hot_table *table)
{
    struct hot_dropped dropped = {0};
    pthread_mutex_lock(&hot->mutex);
    bool ours = copy->table == table;
    if (ours) {
        dropped = hot_take_out(copy);
        hot->state.evictions++;
    }
    pthread_mutex_unlock(&hot->mutex);
    if (ours)
        hot_let_go(&dropped);
}

static void finish(struct lake *lake, const char *name, struct catching *catching, enum tn_code code)
{
    struct dataset_hot *hot = lake->hot;
    struct hot_copy *copy = catching->copy;
    struct hot_dropped dropped = {0};
    struct hot_queue done = {0};
    bool refill = false;
    pthread_mutex_lock(&hot->mutex);
    bool ours = copy->table == catching->table;
    if (ours && code == TN_OK) {
        done.first = take_off(&copy->queued, catching->last);
        for (size_t i = 0; i < catching->count; i++)
            hot_publish(copy, catching->versions[i]);
        refill = hot_is_worn(copy->table);
    } else if (ours) {
        dropped = hot_take_out(copy);
        refill = copy->pinned || copy->uses > 0;
        copy->retry_ns = 0;
    }
    pthread_mutex_unlock(&hot->mutex);
    for (size_t i = 0; !(ours && code == TN_OK) && i < catching->count; i++)
        engine_hold_unref(&catching->versions[i]->hold);
    engine_hold_unref(&catching->from->hold);
    pthread_mutex_unlock(&catching->table->growing);
    hot_queue_clear(&done);
    hot_let_go(&dropped);
    /* It grew. The budget is hard: where nobody else's copy can go for it, it goes itself, pinned or not. */
    if (ours && code == TN_OK && !hot_make_room(hot, copy, 0))
        let_go_grown(hot, copy, catching->table);
    if (refill)
        hot_start_filling(lake, name);
}

void hot_catch_up(struct lake *lake, const char *name, const struct iceberg_metadata *metadata, int64_t snapshot_id)
{
    struct dataset_hot *hot = lake->hot;
    struct catching catching = {0};
    struct tn_error err = {0};
    pthread_mutex_lock(&hot->mutex);
    catching.copy = hot_find(hot, name);
    if (catching.copy && catching.copy->table) {
        catching.table = catching.copy->table;
        atomic_fetch_add(&catching.table->references, 1);
    }
    pthread_mutex_unlock(&hot->mutex);
    if (!catching.table)
        return;
    pthread_mutex_lock(&catching.table->growing);
    if (start(hot, &catching, snapshot_id)) {
        enum tn_code code = hot_apply(lake, name, metadata, catching.from, catching.first, catching.last,
                                      catching.versions, &catching.count, &err);
        if (code != TN_OK)
            TN_LOG(TN_LOG_DEBUG, "cache.follow", TN_FS("dataset", name), TN_FS("error", err.detail));
        finish(lake, name, &catching, code);
    } else {
        pthread_mutex_unlock(&catching.table->growing);
    }
    hot_table_unref(catching.table);
}

/* ---- after a commit ---------------------------------------------------------------------------------- */

static bool follows(const struct hot_copy *copy, const struct iceberg_metadata *before,
                    const struct iceberg_metadata *after, const struct dataset_change *change)
{
    const struct hot_version *newest = hot_newest(copy);
    const struct hot_pending *last = copy->queued.last;
    return change && newest && before->current &&
           (last ? last->after_id : newest->snapshot_id) == before->current->id &&
           tn_streq(copy->uuid, after->uuid) && copy->table->schema_id == after->schema->id;
}

/* The keys go with the version, whatever becomes of the tables. */
static void move_keys(struct hot_table *table, const struct iceberg_metadata *before,
                      const struct iceberg_metadata *after, const struct dataset_change *change)
{
    if (!table->keys)
        return;
    if (table->keys_snapshot == before->current->id && hot_keys_apply(table->keys, change)) {
        table->keys_snapshot = after->current->id;
    } else {
        hot_keys_free(table->keys);
        table->keys = NULL;
    }
    hot_count_keys(table);
}

/* Queues what tables follow. Rows by key move on at once (move_keys). */
static void queue_change(struct hot_queue *queue, const struct iceberg_metadata *before,
                         const struct iceberg_metadata *after, const struct dataset_change *change)
{
    struct dataset_change moved = {.moved = true};
    if (change->moved && hot_follows_move(change)) {
        moved.removed = change->removed;
        moved.removed_count = change->removed_count;
        moved.added_path = change->added_path;
    }
    hot_queue_add(queue, before, after, change->moved ? &moved : change);
}

/* Queues the change; NULL when the copy cannot follow and was dropped. */
static struct hot_table *enqueue(struct lake *lake, struct hot_copy *copy, const struct iceberg_metadata *before,
                                 const struct iceberg_metadata *after, const struct dataset_change *change,
                                 struct hot_dropped *dropped)
{
    bool follow = follows(copy, before, after, change);
    if (follow) {
        queue_change(&copy->queued, before, after, change);
        follow = copy->queued.last->followable;
    }
    if (!follow) {
        *dropped = hot_take_out(copy);
        copy->retry_ns = 0;
        return NULL;
    }
    if (copy->queued.count >= QUEUE_MANY || copy->queued.rows >= QUEUE_MANY_ROWS)
        hot_start_catching_up(lake, copy);
    atomic_fetch_add(&copy->table->references, 1);
    return copy->table;
}

void dataset_hot_follow(struct lake *lake, const char *name, const struct iceberg_metadata *before,
                        const struct iceberg_metadata *after, const struct dataset_change *change)
{
    struct dataset_hot *hot = lake->hot;
    struct hot_dropped dropped = {0};
    struct hot_table *table = NULL;
    if (!hot || (before->current && after->current && before->current->id == after->current->id &&
                 before->schema->id == after->schema->id))
        return;
    pthread_mutex_lock(&hot->mutex);
    struct hot_copy *copy = hot_find(hot, name);
    if (copy && copy->filling)
        hot_queue_add(&copy->pending, before, after, change);
    if (copy && copy->table)
        table = enqueue(lake, copy, before, after, change, &dropped);
    bool lost = table && change->moved && !hot_follows_move(change);
    if (lost)
        copy->retry_ns = 0;
    bool refill = (lost || dropped.table) && (copy->pinned || copy->uses > 0);
    pthread_mutex_unlock(&hot->mutex);
    if (table)
        move_keys(table, before, after, change);
    hot_table_unref(table);
    hot_let_go(&dropped);
    if (refill)
        hot_start_filling(lake, name);
}
