/* Documents that changed or went since the snapshot that an index shows.
 *
 * Every search leaves them out, and while rows are written all the time every
 * search finds a newer snapshot. So what is known is kept and carried on: a
 * search reads what was committed since the last one looked, out of memory
 * (recent.c) or else with one SELECT, however far behind the index is.
 *
 * Each document stands here once, with the time of its last change, counted in
 * steps. `points` says which snapshot was reached at which step: when the index
 * has caught up to one, what changed until then is passed over, and when that
 * is most of it, let go. A snapshot that is no point costs a new beginning.
 */
#include "index/index_internal.h"

#define POINTS_MOST 4096
#define SLOTS_LEAST 256

struct changed_doc {
    const char *id; /* the arena's */
    uint32_t length, hash;
    uint64_t step; /* of its last change */
};

struct point {
    int64_t snapshot;
    uint64_t step; /* what has changed until this snapshot has no later one */
};

struct changed {
    pthread_mutex_t lock;
    struct tn_arena *arena;
    struct changed_doc *docs;
    size_t count, capacity;
    uint32_t *slots; /* number of a document, plus 1 */
    size_t slot_count;
    struct point *points; /* rising */
    size_t point_count, point_capacity;
    uint64_t step, seed;
};

struct changed *changed_new(void)
{
    struct changed *changed = tn_calloc(1, sizeof *changed);
    (void)pthread_mutex_init(&changed->lock, NULL);
    changed->arena = tn_arena_new_small();
    changed->slot_count = SLOTS_LEAST;
    changed->slots = tn_calloc(SLOTS_LEAST, sizeof *changed->slots);
    changed->seed = tn_random_u64();
    return changed;
}

void changed_free(struct changed *changed)
{
    if (!changed)
        return;
    tn_arena_free(changed->arena);
    free(changed->docs);
    free(changed->slots);
    free(changed->points);
    (void)pthread_mutex_destroy(&changed->lock);
    free(changed);
}

/* ---- the documents ------------------------------------------------------------------ */

static size_t slot_of(const struct changed *changed, uint32_t hash, const char *id, size_t length)
{
    size_t mask = changed->slot_count - 1, at = hash & mask;
    for (; changed->slots[at] != 0; at = (at + 1) & mask) {
        const struct changed_doc *doc = &changed->docs[changed->slots[at] - 1];
        if (doc->hash == hash && doc->length == length && memcmp(doc->id, id, length) == 0)
            break;
    }
    return at;
}

static void fill_slots(struct changed *changed)
{
    free(changed->slots);
    changed->slot_count = SLOTS_LEAST;
    while (changed->slot_count < changed->count * 4)
        changed->slot_count *= 2;
    changed->slots = tn_calloc(changed->slot_count, sizeof *changed->slots);
    for (size_t i = 0; i < changed->count; i++) { /* all ids differ */
        size_t at = changed->docs[i].hash & (changed->slot_count - 1);
        while (changed->slots[at] != 0)
            at = (at + 1) & (changed->slot_count - 1);
        changed->slots[at] = (uint32_t)i + 1;
    }
}

static void add(struct changed *changed, const char *id, size_t length)
{
    uint32_t hash = (uint32_t)tn_hash64(id, length, changed->seed);
    size_t at = slot_of(changed, hash, id, length);
    if (changed->slots[at] != 0) {
        changed->docs[changed->slots[at] - 1].step = changed->step;
        return;
    }
    TN_GROW(changed->docs, changed->count, changed->capacity);
    changed->docs[changed->count++] = (struct changed_doc){.id = tn_arena_strndup(changed->arena, id, length),
                                                           .length = (uint32_t)length,
                                                           .hash = hash,
                                                           .step = changed->step};
    changed->slots[at] = (uint32_t)changed->count;
    if (changed->count * 2 > changed->slot_count)
        fill_slots(changed);
}

/* Only those that changed later than this stay. */
static void let_go(struct changed *changed, uint64_t step)
{
    struct tn_arena *arena = tn_arena_new_small();
    size_t kept = 0;
    for (size_t i = 0; i < changed->count; i++)
        if (changed->docs[i].step > step) {
            changed->docs[kept] = changed->docs[i];
            changed->docs[kept].id = tn_arena_strndup(arena, changed->docs[i].id, changed->docs[i].length);
            kept++;
        }
    tn_arena_free(changed->arena);
    changed->arena = arena;
    changed->count = kept;
    if (changed->capacity > kept * 4 + SLOTS_LEAST) {
        changed->capacity = kept * 2 + 1;
        changed->docs = tn_realloc_array(changed->docs, changed->capacity, sizeof *changed->docs);
    }
    fill_slots(changed);
}

/* ---- the points ------------------------------------------------------------------------ */

static const struct point *point_of(const struct changed *changed, int64_t snapshot)
{
    for (size_t i = changed->point_count; i-- > 0;)
        if (changed->points[i].snapshot == snapshot)
            return &changed->points[i];
    return NULL;
}

static void add_point(struct changed *changed, int64_t snapshot)
{
    if (changed->point_count == POINTS_MOST) { /* every other one, and the last */
        changed->point_count /= 2;
        for (size_t i = 0; i < changed->point_count; i++)
            changed->points[i] = changed->points[2 * i + 1];
    }
    TN_GROW(changed->points, changed->point_count, changed->point_capacity);
    changed->points[changed->point_count++] = (struct point){.snapshot = snapshot, .step = changed->step};
}

static void begin_at(struct changed *changed, int64_t snapshot)
{
    let_go(changed, UINT64_MAX);
    changed->point_count = 0;
    if (snapshot)
        add_point(changed, snapshot);
}

/* What the index shows by now is passed over; where that is the most, it goes. */
static uint64_t pass_over(struct changed *changed, int64_t shown)
{
    const struct point *from = point_of(changed, shown);
    if (!from) {
        begin_at(changed, shown);
        return changed->step;
    }
    uint64_t step = from->step;
    size_t first = (size_t)(from - changed->points), live = 0;
    for (size_t i = 0; i < changed->count; i++)
        live += changed->docs[i].step > step;
    if (changed->count > 2 * live + 64)
        let_go(changed, step);
    if (first > 64) {
        changed->point_count -= first;
        memmove(changed->points, changed->points + first, changed->point_count * sizeof *changed->points);
    }
    return step;
}

/* ---- carried on ---------------------------------------------------------------------------- */

static bool carry_on_from_memory(struct logical *logical, const struct iceberg_metadata *metadata, int64_t from,
                                 int64_t to)
{
    struct changed *changed = logical->changed;
    TN_AUTO_BUF id = {0};
    AUTO_RECENT recent = {0};
    if (!recent_open(logical, metadata, from, to, &recent))
        return false;
    changed->step++;
    for (size_t i = 0; i < recent.count; i++)
        if (recent.rows[i].removed) { /* of a changed row the one before; a new one has nothing to be left out */
            recent_doc_id(&recent, recent.rows[i].cells, &id);
            add(changed, id.data ? id.data : "", id.len);
        }
    add_point(changed, to);
    return true;
}

static enum tn_code add_row(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    (void)err;
    if (!cells[0].null)
        add(context, cells[0].text.data, cells[0].text.length);
    return TN_OK;
}

/* *ret_known false: the snapshot can be told no more. */
static enum tn_code carry_on_by_engine(struct logical *logical, int64_t from, int64_t to, bool *ret_known,
                                       struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    AUTO_RELATION relation = {0};
    struct engine_relation changes = {0};
    TN_AUTO_BUF sql = {0};
    TN_TRY(relation_open(logical, to, arena, &relation, err));
    TN_TRY(relation_changes(logical, from, to, arena, &changes, err));
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *hold = changes.hold;
    *ret_known = changes.definition != NULL;
    if (!changes.definition)
        return TN_OK;
    tn_buf_printf(&sql, "SELECT %s FROM (%s) WHERE change <> 'insert'", relation.doc_id, changes.definition);
    if (!relation.keyed) /* a twin may still be there */
        tn_buf_printf(&sql, " AND %s NOT IN (SELECT %s FROM (%s))", relation.doc_id, relation.doc_id,
                      relation.made.definition);
    const struct engine_select select = {.sql = sql.data};
    atomic_fetch_add_explicit(&logical->service->counts.changes_read, 1, memory_order_relaxed);
    logical->changed->step++;
    TN_TRY(engine_select(logical->service->lake->engine, &select, NULL, NULL, NULL, add_row, logical->changed, err));
    add_point(logical->changed, to);
    return TN_OK;
}

/* Under lock. */
static enum tn_code carry_on(struct logical *logical, const struct iceberg_metadata *metadata, int64_t shown,
                             int64_t current, uint64_t *ret_step, bool *ret_known, struct tn_error *err)
{
    struct changed *changed = logical->changed;
    *ret_known = shown != 0;
    if (shown == 0)
        return TN_OK;
    *ret_step = pass_over(changed, shown);
    if (point_of(changed, current))
        return TN_OK;
    int64_t last = changed->points[changed->point_count - 1].snapshot;
    if (carry_on_from_memory(logical, metadata, last, current))
        return TN_OK;
    return carry_on_by_engine(logical, last, current, ret_known, err);
}

enum tn_code changed_each(struct logical *logical, const struct iceberg_metadata *metadata, int64_t shown,
                          int64_t current, changed_fn *each, void *context, bool *ret_known, struct tn_error *err)
{
    struct changed *changed = logical->changed;
    uint64_t step = 0;
    pthread_mutex_lock(&changed->lock);
    enum tn_code code = carry_on(logical, metadata, shown, current, &step, ret_known, err);
    if (code == TN_OK && *ret_known)
        for (size_t i = 0; i < changed->count; i++)
            if (changed->docs[i].step > step)
                each(context, changed->docs[i].id);
    if (code != TN_OK || !*ret_known)
        begin_at(changed, 0);
    pthread_mutex_unlock(&changed->lock);
    return code;
}

void changed_point(struct logical *logical, const struct iceberg_metadata *metadata, int64_t shown, int64_t current)
{
    struct changed *changed = logical->changed;
    pthread_mutex_lock(&changed->lock);
    if (changed->point_count > 0 && point_of(changed, shown) && !point_of(changed, current))
        (void)carry_on_from_memory(logical, metadata, changed->points[changed->point_count - 1].snapshot, current);
    pthread_mutex_unlock(&changed->lock);
}

void changed_forget(struct logical *logical)
{
    pthread_mutex_lock(&logical->changed->lock);
    begin_at(logical->changed, 0);
    pthread_mutex_unlock(&logical->changed->lock);
}
