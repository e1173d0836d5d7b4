/* One thread that brings indexes up to date, woken by commits.
 *
 * Small changes are caught up here at once; an index that was never built, or
 * a change of many documents, becomes a job. Without a commit it looks up now
 * and then: a failure is tried again, a dataset may want an index.
 */
#include "index/index_internal.h"

#define IDLE_MS        500
#define DOCUMENTS_MOST 256
#define REST_NS        UINT64_C(5000000000) /* after a failure */

/* Once for a snapshot: a job that a person cancelled is not ordered again before the next commit. */
static void order(struct logical *logical, int64_t current)
{
    char id[JOB_ID_TEXT];
    struct tn_error err = {0};
    logical->ordered_for = current;
    if (index_order(logical->service, logical->definition.name, "tarn", id, &err) != TN_OK) {
        TN_LOG(TN_LOG_WARN, "index.not_ordered", TN_FS("index", logical->definition.name), TN_FS("why", err.detail));
        logical->ordered_for = 0;
        logical->rest_until_ns = tn_mono_ns() + REST_NS;
    }
}

static void catch_up(struct logical *logical, int64_t current)
{
    struct index_report report;
    struct tn_error err = {0};
    bool more = false, busy = false, jobs = logical->service->jobs != NULL;
    enum tn_code code = walk_locked(logical, NULL, jobs ? DOCUMENTS_MOST : 0, false, &report, &more, &busy, &err);
    if (code == TN_OK && !busy) {
        atomic_fetch_add_explicit(&logical->service->counts.catch_ups, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&logical->service->counts.woken, logical->service->woken, memory_order_relaxed);
    }
    if (!busy)
        logical_note_problem(logical, code, &err);
    if (code != TN_OK && !atomic_load(&logical->service->ending)) {
        TN_LOG(TN_LOG_WARN, "index.behind", TN_FS("index", logical->definition.name), TN_FS("why", err.detail));
        logical->rest_until_ns = tn_mono_ns() + REST_NS;
    }
    if (more && jobs)
        order(logical, current);
}

static bool open_files(struct logical *logical)
{
    if (atomic_load(&logical->synced))
        return true;
    enum tn_code code = files_look(logical, true, 0, NULL);
    if (code != TN_OK && code != TN_EUNAVAILABLE)
        logical->rest_until_ns = tn_mono_ns() + REST_NS;
    return code == TN_OK;
}

static void look_at(struct logical *logical)
{
    int64_t current = 0;
    if (tn_mono_ns() < logical->rest_until_ns || dataset_snapshot(logical, &current, NULL) != TN_OK || current == 0 ||
        current == logical->ordered_for)
        return;
    if (!open_files(logical))
        return;
    if (!atomic_load(&logical->synced)) { /* many vectors may have to be read: a job's work */
        order(logical, current);
        return;
    }
    int64_t applied = atomic_load(&logical->applied);
    if (applied == current) {
        if (!logical->fold_looked && logical->service->jobs && walk_fold_is_due(logical))
            order(logical, current); /* a process that was stopped has left it over */
        logical->fold_looked = true;
        return;
    }
    if (applied == 0 && logical->service->jobs)
        order(logical, current);
    else
        catch_up(logical, current);
}

static void look_at_all(struct index_service *service)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct logical **all;
    size_t count = logical_all(service, arena, &all);
    for (size_t i = 0; i < count; i++) {
        if (!atomic_load(&service->ending))
            look_at(all[i]);
        logical_unref(all[i]);
    }
}

static void *follow(void *argument)
{
    struct index_service *service = argument;
    struct catalog *catalog = service->lake->catalog;
    uint64_t auto_due = 0;
    while (!atomic_load(&service->ending)) {
        uint64_t seen = catalog_changes(catalog); /* before the look: what comes behind it ends the wait */
        drop_finish(service, false);
        look_at_all(service);
        ahead_look(service);
        if (tn_mono_ns() >= auto_due) {
            auto_look(service);
            auto_due = tn_mono_ns() + IDLE_MS * UINT64_C(1000000);
        }
        if (atomic_load(&service->ending))
            break;
        service->woken = catalog_wait(catalog, seen, IDLE_MS) > seen;
    }
    return NULL;
}

enum tn_code follow_start(struct index_service *service, struct tn_error *err)
{
    int code = pthread_create(&service->follower, NULL, follow, service);
    if (code != 0)
        return tn_fail_errno(err, code, "cannot start a thread");
    service->following = true;
    return TN_OK;
}

void follow_stop(struct index_service *service)
{
    index_service_stop(service);
    if (service->following)
        (void)pthread_join(service->follower, NULL);
    service->following = false;
    ahead_stop(service);
}
