/* One thread that looks for commits and brings indexes up to date.
 *
 * Small changes are caught up here at once; an index that was never built, or
 * a change of many documents, becomes a job.
 */
#include "index/index_internal.h"

#include <time.h>

#define LOOK_MS        20
#define AUTO_ROUNDS    25
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
    if (code != TN_OK) {
        TN_LOG(TN_LOG_WARN, "index.behind", TN_FS("index", logical->definition.name), TN_FS("why", err.detail));
        logical->rest_until_ns = tn_mono_ns() + REST_NS;
    }
    if (more && jobs)
        order(logical, current);
}

static void look_at(struct logical *logical)
{
    int64_t current = 0;
    if (tn_mono_ns() < logical->rest_until_ns || dataset_snapshot(logical, &current, NULL) != TN_OK || current == 0 ||
        current == logical->ordered_for)
        return;
    if (!atomic_load(&logical->synced) && files_open(logical, NULL) != TN_OK) {
        logical->rest_until_ns = tn_mono_ns() + REST_NS;
        return;
    }
    int64_t applied = atomic_load(&logical->applied);
    if (applied == current)
        return;
    if (applied == 0 && logical->service->jobs)
        order(logical, current);
    else
        catch_up(logical, current);
}

static void *follow(void *argument)
{
    struct index_service *service = argument;
    uint64_t round = 0;
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    while (!atomic_load(&service->ending)) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        struct logical **all;
        if (round++ % AUTO_ROUNDS == 0)
            auto_look(service);
        size_t count = logical_all(service, arena, &all);
        for (size_t i = 0; i < count; i++) {
            if (!atomic_load(&service->ending))
                look_at(all[i]);
            logical_unref(all[i]);
        }
        (void)nanosleep(&pause, NULL);
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
    atomic_store(&service->ending, true);
    if (service->following)
        (void)pthread_join(service->follower, NULL);
    service->following = false;
}
