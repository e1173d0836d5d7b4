/* Recording: requests wait for each other and share one append, one fsync and
 * one transaction.
 *
 * Whoever comes while nobody leads becomes the leader: takes what waits, judges keys,
 * appends, applies, and wakes the others. The append is the moment of truth; the
 * transaction after it only makes SQLite say the same.
 */
#include "outcome/outcome_internal.h"

#include <inttypes.h>
#include <string.h>

#define GROUP_BYTES  ((size_t)8 << 20)
#define ROLL_ENTRIES 50000

struct outcome_request {
    const struct outcome_entry *entries;
    size_t count;
    struct tn_buf payload;
    struct outcome_entry *kept; /* those that are new, with their ids later */
    size_t kept_count;
    struct outcome_recorded recorded;
    enum tn_code code;
    struct tn_error error;
    bool done;
    struct outcome_request *next;
};

/* ---- keys ------------------------------------------------------------------------ */

/* The keys of the group under way, by hash. */
struct keys {
    const struct outcome_entry **slots;
    size_t mask;
    uint64_t seed;
};

static const struct outcome_entry **find_slot(const struct keys *keys, const char *key)
{
    size_t at = tn_hash64(key, strlen(key), keys->seed) & keys->mask;
    while (keys->slots[at] && !tn_streq(keys->slots[at]->key, key))
        at = (at + 1) & keys->mask;
    return &keys->slots[at];
}

static void make_keys(struct keys *ret, const struct outcome_request *first, struct tn_arena *arena)
{
    size_t count = 0, size = 16;
    for (const struct outcome_request *request = first; request; request = request->next)
        for (size_t i = 0; i < request->count; i++)
            count += request->entries[i].key != NULL;
    while (size < 2 * count)
        size *= 2;
    *ret = (struct keys){.slots = TN_ARENA_ARRAY(arena, const struct outcome_entry *, size),
                         .mask = size - 1,
                         .seed = tn_random_u64()};
}

static bool same_outcome(const struct outcome_entry *known, const struct outcome_entry *new)
{
    return tn_streq(known->task_type, new->task_type) && tn_streq(known->model_id, new->model_id) &&
           known->successes == new->successes && known->timeouts == new->timeouts && known->tokens == new->tokens &&
           !(known->cost < new->cost || known->cost > new->cost) && (!new->timed || known->time_us == new->time_us);
}

static bool same_import(const struct outcome_entry *known, const struct outcome_entry *new)
{
    return known->successes == new->successes && known->failures == new->failures &&
           known->timeouts == new->timeouts && known->tokens == new->tokens && known->time_us == new->time_us &&
           !(known->cost < new->cost || known->cost > new->cost);
}

/* Whether the entry is there already. TN_ECONFLICT goes to the request alone;
 * other failures are the database's. */
static enum tn_code is_known(struct outcome_store *store, const struct keys *keys, const struct outcome_entry *entry,
                             struct tn_arena *arena, bool *ret, struct tn_error *err)
{
    struct outcome_entry known;
    *ret = false;
    if (entry->import) {
        TN_TRY(db_find_import(store->db, entry, &known, ret, err));
        *ret = *ret && same_import(&known, entry);
        return TN_OK;
    }
    if (!entry->key)
        return TN_OK;
    const struct outcome_entry **slot = find_slot(keys, entry->key);
    if (*slot) {
        known = **slot;
        *ret = true;
    } else {
        TN_TRY(db_find_key(store->db, entry->key, arena, &known, ret, err));
    }
    if (*ret && !same_outcome(&known, entry)) {
        (void)tn_fail(err, TN_ECONFLICT, "the key \"%s\" stands for another outcome (%s of %s)", entry->key,
                      known.task_type, known.model_id);
        tn_error_hint(err, "a key names one outcome for ever; send the same content again, or another key");
        return TN_ECONFLICT;
    }
    return TN_OK;
}

/* Leaves what is new in request->kept. A request that is refused sets its code;
 * what is returned is the database's failure. */
static enum tn_code judge(struct outcome_store *store, struct keys *keys, struct outcome_request *request,
                          struct tn_arena *arena, struct tn_error *err)
{
    request->kept = TN_ARENA_ARRAY(arena, struct outcome_entry, request->count + 1);
    request->kept_count = 0;
    for (size_t i = 0; i < request->count; i++) {
        const struct outcome_entry *entry = &request->entries[i];
        bool known = false;
        enum tn_code code = is_known(store, keys, entry, arena, &known, &request->error);
        if (code != TN_OK) {
            request->kept_count = 0;
            if (code == TN_ECONFLICT)
                request->code = code;
            else if (err)
                *err = request->error;
            return code == TN_ECONFLICT ? TN_OK : code;
        }
        if (known)
            continue;
        request->kept[request->kept_count++] = *entry;
        if (entry->key)
            *find_slot(keys, entry->key) = entry;
    }
    return TN_OK;
}

/* A refused request's keys must not count for the others: then all are judged again. */
static enum tn_code judge_all(struct outcome_store *store, struct outcome_request *first, struct tn_arena *arena,
                              struct tn_error *err)
{
    for (;;) {
        struct keys keys;
        bool again = false;
        make_keys(&keys, first, arena);
        for (struct outcome_request *request = first; request; request = request->next) {
            if (request->code != TN_OK)
                continue;
            TN_TRY(judge(store, &keys, request, arena, err));
            again = again || request->code != TN_OK;
        }
        if (!again)
            return TN_OK;
    }
}

/* ---- a group --------------------------------------------------------------------- */

/* All new entries of the group as one payload, with their ids. */
static size_t gather_group(struct outcome_store *store, struct outcome_request *first, struct tn_arena *arena,
                           struct outcome_entry **ret, struct tn_buf *payload)
{
    size_t count = 0, used = 0;
    for (const struct outcome_request *request = first; request; request = request->next)
        count += request->kept_count;
    struct outcome_entry *entries = TN_ARENA_ARRAY(arena, struct outcome_entry, count + 1);
    for (struct outcome_request *request = first; request; request = request->next) {
        if (request->code != TN_OK)
            continue;
        if (request->kept_count == request->count)
            tn_buf_append(payload, request->payload.data, request->payload.len);
        for (size_t i = 0; i < request->kept_count; i++) {
            if (request->kept_count < request->count)
                outcome_entry_put(&request->kept[i], payload);
            entries[used] = request->kept[i];
            entries[used].id = store->log.last_id + 1 + (int64_t)used;
            used++;
        }
        request->recorded = (struct outcome_recorded){
            .recorded = request->kept_count,
            .duplicates = request->count - request->kept_count,
            .last_id = request->kept_count > 0 ? store->log.last_id + (int64_t)used : 0,
        };
    }
    *ret = entries;
    return used;
}

/* The log is written: whatever happens to the database now, nothing is lost. */
static void apply_group(struct outcome_store *store, const struct outcome_entry *entries, size_t count)
{
    struct tn_error why = {0}, error = {0};
    enum tn_code code = db_apply(store->db, entries, count, &why);
    if (code == TN_EPRECONDITION)
        code = outcome_catch_up(store, store->db, &why);
    if (code == TN_OK)
        return;
    if (outcome_degrade(store, &why, &error) != TN_OK)
        TN_LOG(TN_LOG_ERROR, "outcome.no_database", TN_FS("error", error.detail));
}

/* The log's lock is held. */
static enum tn_code commit_locked(struct outcome_store *store, struct outcome_request *first, struct tn_arena *arena,
                                  struct tn_error *err)
{
    struct tn_error why = {0};
    struct outcome_entry *entries;
    TN_AUTO_BUF payload = {0};
    TN_TRY(log_follow(&store->log, err));
    enum tn_code code = outcome_catch_up(store, store->db, &why);
    if (code == TN_OK)
        code = judge_all(store, first, arena, &why);
    if (code != TN_OK) {
        TN_TRY(outcome_degrade(store, &why, err));
        TN_TRY(judge_all(store, first, arena, err));
    }
    size_t count = gather_group(store, first, arena, &entries, &payload);
    if (count == 0)
        return TN_OK;
    TN_TRY(log_append(&store->log, (uint32_t)count, payload.data, payload.len, err));
    TN_FAULT("outcome.logged");
    apply_group(store, entries, count);
    TN_FAULT("outcome.applied");
    return TN_OK;
}

static enum tn_code commit_group(struct outcome_store *store, struct outcome_request *first, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    pthread_mutex_lock(&store->writing);
    enum tn_code code = outcome_ready(store, true, err);
    if (code == TN_OK)
        code = log_lock(&store->log, err);
    if (code == TN_OK) {
        code = commit_locked(store, first, arena, err);
        atomic_store(&store->last_id, store->log.last_id);
        log_unlock(&store->log);
    }
    pthread_mutex_unlock(&store->writing);
    return code;
}

/* ---- rolling, from time to time --------------------------------------------------- */

static void roll_task(void *argument)
{
    struct outcome_store *store = argument;
    struct tn_error error = {0};
    if (outcome_roll(store, false, &error) != TN_OK)
        TN_LOG(TN_LOG_WARN, "outcome.roll_failed", TN_FS("error", error.detail));
    atomic_store(&store->roll_queued, false);
}

static void maybe_roll(struct outcome_store *store)
{
    bool no = false;
    if (!store->lake || !store->lake->pool ||
        atomic_load(&store->last_id) - atomic_load(&store->rolled_id) < ROLL_ENTRIES)
        return;
    if (atomic_compare_exchange_strong(&store->roll_queued, &no, true))
        tn_pool_submit(store->lake->pool, TN_BACKGROUND, roll_task, store);
}

/* ---- the queue -------------------------------------------------------------------- */

/* The next group: what waits, as much as one frame should hold. */
static struct outcome_request *take_group(struct outcome_store *store)
{
    struct outcome_request *first = store->first, *last = first;
    for (size_t bytes = last->payload.len; last->next && bytes + last->next->payload.len <= GROUP_BYTES;) {
        last = last->next;
        bytes += last->payload.len;
    }
    store->first = last->next;
    if (!store->first)
        store->end = &store->first;
    last->next = NULL;
    return first;
}

/* With the queue's lock, which is let go meanwhile. */
static void lead(struct outcome_store *store)
{
    struct outcome_request *first = take_group(store);
    struct tn_error error = {0};
    store->leading = true;
    pthread_mutex_unlock(&store->queue_lock);
    enum tn_code code = commit_group(store, first, &error);
    pthread_mutex_lock(&store->queue_lock);
    for (struct outcome_request *request = first, *next; request; request = next) {
        next = request->next; /* once it is done it may go away */
        if (code != TN_OK && request->code == TN_OK) {
            request->code = code;
            request->error = error;
        }
        request->done = true;
    }
    store->leading = false;
    (void)pthread_cond_broadcast(&store->queue_done);
}

enum tn_code outcome_submit(struct outcome_store *store, const struct outcome_entry *entries, size_t count,
                            struct outcome_recorded *ret, struct tn_error *err)
{
    struct outcome_request request = {.entries = entries, .count = count};
    TN_CLEANUP(tn_buf_release) struct tn_buf payload = {0};
    for (size_t i = 0; i < count; i++)
        outcome_entry_put(&entries[i], &payload);
    if (payload.len > LOG_PAYLOAD_MAX - GROUP_BYTES)
        return tn_fail(err, TN_ETOOLARGE, "the batch has %zu bytes; send it in several", payload.len);
    request.payload = payload;
    pthread_mutex_lock(&store->queue_lock);
    *store->end = &request;
    store->end = &request.next;
    while (!request.done) {
        if (store->leading)
            (void)pthread_cond_wait(&store->queue_done, &store->queue_lock);
        else
            lead(store);
    }
    pthread_mutex_unlock(&store->queue_lock);
    if (request.code != TN_OK) {
        if (err)
            *err = request.error;
        return request.code;
    }
    *ret = request.recorded;
    ret->degraded = atomic_load(&store->degraded);
    maybe_roll(store);
    return TN_OK;
}

/* ---- what callers give -------------------------------------------------------------- */

enum tn_code outcome_record(struct outcome_store *store, const struct outcome_event *events, size_t count,
                            struct outcome_recorded *ret, struct tn_error *err)
{
    int64_t now = tn_now_us();
    if (count == 0) {
        *ret = (struct outcome_recorded){.degraded = atomic_load(&store->degraded)};
        return TN_OK;
    }
    if (count > OUTCOME_BATCH_MAX)
        return tn_fail(err, TN_ETOOLARGE, "%zu outcomes at once; at most %d", count, OUTCOME_BATCH_MAX);
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct outcome_entry *entries = TN_ARENA_ARRAY(arena, struct outcome_entry, count);
    for (size_t i = 0; i < count; i++) {
        const struct outcome_event *event = &events[i];
        entries[i] = (struct outcome_entry){
            .task_type = event->task_type,
            .model_id = event->model_id,
            .key = event->key,
            .source = event->source,
            .successes = event->success,
            .failures = !event->success,
            .timeouts = event->timeout,
            .tokens = event->tokens_used,
            .cost = event->cost_usd,
            .time_us = event->time_us ? event->time_us : now,
            .timed = event->time_us != 0,
        };
        enum tn_code code = outcome_entry_check(&entries[i], err);
        if (code != TN_OK) {
            if (count > 1)
                tn_error_context(err, "outcome %zu", i + 1);
            return code;
        }
    }
    return outcome_submit(store, entries, count, ret, err);
}

static enum tn_code read_event(const json_t *object, const char *source, struct outcome_event *ret,
                               struct tn_error *err)
{
    const char *time = NULL;
    *ret = (struct outcome_event){.source = source};
    const struct tn_json_field fields[] = {
        {.name = "task_type", .kind = TN_JSON_STRING, .ret = &ret->task_type, .required = true},
        {.name = "model_id", .kind = TN_JSON_STRING, .ret = &ret->model_id, .required = true},
        {.name = "success", .kind = TN_JSON_BOOL, .ret = &ret->success, .required = true},
        {.name = "timeout", .kind = TN_JSON_BOOL, .ret = &ret->timeout},
        {.name = "tokens_used", .kind = TN_JSON_INT, .ret = &ret->tokens_used},
        {.name = "cost_usd", .kind = TN_JSON_DOUBLE, .ret = &ret->cost_usd},
        {.name = "timestamp", .kind = TN_JSON_STRING, .ret = &time},
        {.name = "key", .kind = TN_JSON_STRING, .ret = &ret->key},
    };
    TN_TRY(tn_json_read(object, "outcome", fields, TN_COUNT(fields), err));
    if (time && (!tn_time_parse(time, &ret->time_us) || ret->time_us == 0))
        return tn_fail(err, TN_EREQUEST, "timestamp must be a time such as 2026-01-31T12:00:00Z, not \"%.60s\"",
                       time);
    return TN_OK;
}

enum tn_code outcome_record_json(struct outcome_store *store, const json_t *body, const char *source,
                                 struct outcome_recorded *ret, struct tn_error *err)
{
    const json_t *list = json_is_object(body) ? json_object_get(body, "outcomes") : body;
    if (json_is_object(body) && list && json_object_size(body) > 1)
        return tn_fail(err, TN_EFIELD, "a request with \"outcomes\" has no other field");
    if (list && !json_is_array(list))
        return tn_fail(err, TN_EREQUEST, "\"outcomes\" must be an array of objects");
    size_t count = list ? json_array_size(list) : 1;
    if (count > OUTCOME_BATCH_MAX)
        return tn_fail(err, TN_ETOOLARGE, "%zu outcomes at once; at most %d", count, OUTCOME_BATCH_MAX);
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct outcome_event *events = TN_ARENA_ARRAY(arena, struct outcome_event, count + 1);
    for (size_t i = 0; i < count; i++) {
        const json_t *object = list ? json_array_get(list, i) : body;
        enum tn_code code = json_is_object(object) ? read_event(object, source, &events[i], err)
                                                   : tn_fail(err, TN_EREQUEST, "an outcome must be a JSON object");
        if (code != TN_OK) {
            if (list)
                tn_error_context(err, "outcome %zu", i + 1);
            return code;
        }
    }
    return outcome_record(store, events, count, ret, err);
}
