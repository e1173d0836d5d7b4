/* Searches held back: while vectors of a table are made anew, what was taken
 * from that table is not searched. Kept in memory, and for so long only as
 * whoever asked for it says so again: nobody is locked out by a client that died. */
#include "index/index_internal.h"

struct hold {
    char *dataset, *reason;
    uint64_t until_ns;
};

static void hold_release(struct hold *hold)
{
    free(hold->dataset);
    free(hold->reason);
}

void holds_free(struct index_service *service)
{
    for (size_t i = 0; i < service->hold_count; i++)
        hold_release(&service->holds[i]);
    free(service->holds);
}

/* Under service->lock; those whose time is over go. */
static struct hold *find(struct index_service *service, const char *dataset)
{
    uint64_t now = tn_mono_ns();
    for (size_t i = 0; i < service->hold_count; i++) {
        if (service->holds[i].until_ns <= now) {
            hold_release(&service->holds[i]);
            service->holds[i--] = service->holds[--service->hold_count];
        } else if (tn_str_equal_nocase(service->holds[i].dataset, dataset)) {
            return &service->holds[i];
        }
    }
    return NULL;
}

void index_hold(struct index_service *service, const char *dataset, const char *reason, uint64_t ms)
{
    pthread_mutex_lock(&service->lock);
    struct hold *hold = find(service, dataset);
    if (!hold && ms > 0) {
        TN_GROW(service->holds, service->hold_count, service->hold_capacity);
        hold = &service->holds[service->hold_count++];
        *hold = (struct hold){.dataset = tn_strdup(dataset), .reason = tn_strdup(reason)};
    }
    if (hold) {
        free(hold->reason);
        hold->reason = tn_strdup(reason);
        hold->until_ns = ms > 0 ? tn_mono_ns() + ms * 1000000 : 0;
    }
    pthread_mutex_unlock(&service->lock);
}

enum tn_code hold_check(struct index_service *service, const char *dataset, struct tn_error *err)
{
    enum tn_code code = TN_OK;
    pthread_mutex_lock(&service->lock);
    const struct hold *hold = service->hold_count > 0 ? find(service, dataset) : NULL;
    if (hold) {
        code = tn_fail(err, TN_EUNAVAILABLE, "dataset \"%s\" is not searched now: %s", dataset, hold->reason);
        tn_error_hint(err, "it is searched again when that has ended");
    }
    pthread_mutex_unlock(&service->lock);
    return code;
}
