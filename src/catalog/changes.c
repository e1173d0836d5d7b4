/* Who waits for a commit is told, instead of looking again and again. */
#include "catalog/catalog_internal.h"

#define LONGEST_MS (UINT64_C(24) * 3600 * 1000)

void changes_init(struct catalog *catalog)
{
    tn_cond_init(&catalog->changed);
}

void changes_tell(struct catalog *catalog)
{
    catalog->changes++;
    (void)pthread_cond_broadcast(&catalog->changed);
}

uint64_t catalog_changes(struct catalog *catalog)
{
    pthread_mutex_lock(&catalog->mutex);
    uint64_t now = catalog->changes;
    pthread_mutex_unlock(&catalog->mutex);
    return now;
}

uint64_t catalog_wait(struct catalog *catalog, uint64_t seen, uint64_t timeout_ms)
{
    uint64_t until = tn_mono_ns() + TN_MIN(timeout_ms, LONGEST_MS) * 1000000;
    pthread_mutex_lock(&catalog->mutex);
    while (catalog->changes <= seen && tn_cond_wait_until(&catalog->changed, &catalog->mutex, until)) {
    }
    uint64_t now = catalog->changes;
    pthread_mutex_unlock(&catalog->mutex);
    return now;
}

void catalog_wake(struct catalog *catalog)
{
    pthread_mutex_lock(&catalog->mutex);
    changes_tell(catalog);
    pthread_mutex_unlock(&catalog->mutex);
}
