/* An index that goes.
 *
 * It is gone for everybody when its definition is: that is done at once. Its
 * files, trials and vectors go when the work on it has ended, which a walk or a
 * fold does at its next look; nobody waits for that. Until then the record
 * vectors/<index>/dropped.json keeps what it was: a process that died in
 * between finishes at its next start. */
#include "index/trial.h"

#include <unistd.h>

#define WAIT_TRIES   100 /* of somebody who wants the name again */
#define WAIT_STEP_US 20000

static const char *record_key(struct tn_arena *arena, const char *name)
{
    return tn_arena_printf(arena, "vectors/%s/dropped.json", name);
}

/* ---- what it leaves ------------------------------------------------------------ */

/* Under users and work. */
static enum tn_code remove_files(struct logical *logical, struct tn_error *err)
{
    pthread_rwlock_wrlock(&logical->gate);
    files_close(logical);
    enum tn_code code = tn_remove_tree(logical->folder, err);
    pthread_rwlock_unlock(&logical->gate);
    return code;
}

enum tn_code files_forget(struct logical *logical, struct tn_error *err)
{
    users_out(logical);
    pthread_mutex_lock(&logical->work);
    enum tn_code code = remove_files(logical, err);
    pthread_mutex_unlock(&logical->work);
    users_back(logical);
    return code;
}

/* The same, unless somebody works on it. */
static enum tn_code forget_if_idle(struct logical *logical, bool *ret_busy, struct tn_error *err)
{
    enum tn_code code = TN_OK;
    *ret_busy = true;
    if (!users_out_if_idle(logical))
        return TN_OK;
    if (pthread_mutex_trylock(&logical->work) == 0) {
        *ret_busy = false;
        code = remove_files(logical, err);
        pthread_mutex_unlock(&logical->work);
    }
    users_back(logical);
    return code;
}

static enum tn_code forget_rest(struct logical *logical, struct tn_error *err)
{
    struct index_service *service = logical->service;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    pthread_mutex_lock(&logical->tuning->lock);
    enum tn_code code = trial_log_drop(logical, err);
    pthread_mutex_unlock(&logical->tuning->lock);
    TN_TRY(code);
    code = catalog_drop(service->lake->catalog, logical->definition.table, err);
    if (code != TN_EDATASET)
        TN_TRY(code);
    return store_delete(service->lake->store, record_key(arena, logical->definition.name), err);
}

static enum tn_code clean(struct logical *logical, bool wait, bool *ret_busy, struct tn_error *err)
{
    *ret_busy = false;
    TN_TRY(wait ? files_forget(logical, err) : forget_if_idle(logical, ret_busy, err));
    return *ret_busy ? TN_OK : forget_rest(logical, err);
}

/* ---- those that are still worked on --------------------------------------------- */

static void leave(struct index_service *service, struct logical *logical)
{
    pthread_mutex_lock(&service->lock);
    TN_GROW(service->leaving, service->leaving_count, service->leaving_capacity);
    service->leaving[service->leaving_count++] = logical_ref(logical);
    pthread_mutex_unlock(&service->lock);
    catalog_wake(service->lake->catalog);
}

/* Under dropping: it stays in the list until nothing of it is left. */
static struct logical *leaving_at(struct index_service *service, size_t at)
{
    pthread_mutex_lock(&service->lock);
    struct logical *logical = at < service->leaving_count ? logical_ref(service->leaving[at]) : NULL;
    pthread_mutex_unlock(&service->lock);
    return logical;
}

static void take_out(struct index_service *service, size_t at)
{
    pthread_mutex_lock(&service->lock);
    logical_unref(service->leaving[at]);
    service->leaving[at] = service->leaving[--service->leaving_count];
    pthread_mutex_unlock(&service->lock);
}

static bool finish(struct logical *logical, bool wait)
{
    struct tn_error err = {0};
    bool busy;
    enum tn_code code = clean(logical, wait, &busy, &err);
    if (code != TN_OK)
        TN_LOG(TN_LOG_WARN, "index.left_over", TN_FS("index", logical->definition.name), TN_FS("why", err.detail));
    return !busy; /* what could not be removed is found by the next start */
}

void drop_finish(struct index_service *service, bool wait)
{
    pthread_mutex_lock(&service->dropping);
    for (size_t at = 0;;) {
        TN_CLEANUP(logical_unref_p) struct logical *logical = leaving_at(service, at);
        if (!logical)
            break;
        if (finish(logical, wait))
            take_out(service, at);
        else
            at++;
    }
    pthread_mutex_unlock(&service->dropping);
}

static bool is_leaving(struct index_service *service, const char *name)
{
    bool found = false;
    pthread_mutex_lock(&service->lock);
    for (size_t i = 0; i < service->leaving_count && !found; i++)
        found = tn_str_equal_nocase(service->leaving[i]->definition.name, name);
    pthread_mutex_unlock(&service->lock);
    return found;
}

enum tn_code drop_wait(struct index_service *service, const char *name, struct tn_error *err)
{
    for (int tries = 0; is_leaving(service, name); tries++) {
        drop_finish(service, false);
        if (tries == WAIT_TRIES) {
            tn_fail(err, TN_ECONFLICT, "index \"%s\" was dropped a moment ago, and work on it is still ending", name);
            tn_error_hint(err, "ask again in a moment; `tarn jobs` shows what runs");
            return TN_ECONFLICT;
        }
        if (is_leaving(service, name))
            (void)usleep(WAIT_STEP_US);
    }
    return TN_OK;
}

/* ---- dropped --------------------------------------------------------------------- */

/* From here on it is gone, also after a crash. */
static enum tn_code note_drop(struct logical *logical, struct tn_error *err)
{
    struct index_service *service = logical->service;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_BUF text = {0};
    const char *name = logical->definition.name;
    TN_TRY(auto_decline(service, logical->definition.dataset, err));
    definition_write(&logical->definition, &text);
    TN_TRY(store_put(service->lake->store, record_key(arena, name), text.data, text.len, err));
    return store_delete(service->lake->store, definition_key(arena, name), err);
}

static void take_off(struct index_service *service, struct logical *logical)
{
    pthread_mutex_lock(&service->lock);
    for (size_t i = 0; i < service->count; i++)
        if (service->items[i] == logical) {
            service->items[i] = service->items[--service->count];
            logical_unref(logical);
            break;
        }
    pthread_mutex_unlock(&service->lock);
}

enum tn_code index_drop(struct index_service *service, const char *name, struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    bool busy;
    TN_TRY(logical_find(service, name, &logical, err));
    TN_TRY(versions_drop(service, logical->definition.name, err));
    if (atomic_exchange(&logical->dropped, true)) /* a walk under way ends at its next look */
        return logical_stopped(logical, err);
    enum tn_code code = note_drop(logical, err);
    if (code != TN_OK) {
        atomic_store(&logical->dropped, false);
        return code;
    }
    logical_halt(logical);
    take_off(service, logical);
    TN_TRY(clean(logical, !service->following, &busy, err));
    if (busy)
        leave(service, logical);
    return TN_OK;
}

/* A definition of the same moment was brought back by a power failure; one of
 * another is of an index that was made since. */
static bool is_made_anew(struct index_service *service, const struct definition *dropped, struct tn_arena *arena)
{
    TN_AUTO_BUF text = {0};
    struct definition there;
    const char *key = definition_key(arena, dropped->name);
    return store_get(service->lake->store, key, DEFINITION_MAX, &text, NULL) == TN_OK &&
           definition_read(text.data, text.len, key, arena, &there, NULL) == TN_OK &&
           there.created_us != dropped->created_us;
}

enum tn_code drop_go_on(struct index_service *service, const char *name, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *key = record_key(arena, name);
    TN_AUTO_BUF text = {0};
    struct definition dropped;
    bool there = false, busy;
    TN_TRY(store_exists(service->lake->store, key, &there, err));
    if (!there)
        return TN_OK;
    TN_TRY(store_get(service->lake->store, key, DEFINITION_MAX, &text, err));
    TN_TRY(definition_read(text.data, text.len, key, arena, &dropped, err));
    if (is_made_anew(service, &dropped, arena))
        return store_delete(service->lake->store, key, err);
    TN_TRY(store_delete(service->lake->store, definition_key(arena, name), err));
    dropped.arena = TN_TAKE(arena);
    TN_CLEANUP(logical_unref_p) struct logical *logical = logical_new(service, &dropped);
    atomic_store(&logical->dropped, true);
    return clean(logical, true, &busy, err);
}
