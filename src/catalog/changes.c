/* Who waits for a commit is told, instead of looking again and again. */
#include "catalog/catalog_internal.h"

#include <errno.h>
#include <time.h>

void changes_init(struct catalog *catalog)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&catalog->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
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
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + timeout_ms % 1000 * 1000000;
    until.tv_sec += (time_t)(timeout_ms / 1000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_mutex_lock(&catalog->mutex);
    while (catalog->changes <= seen)
        if (pthread_cond_timedwait(&catalog->changed, &catalog->mutex, &until) == ETIMEDOUT)
            break;
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
