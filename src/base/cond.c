#include "base/cond.h"

#include <errno.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)

void tn_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

bool tn_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t mono_ns)
{
    if (mono_ns == UINT64_MAX) {
        (void)pthread_cond_wait(cond, mutex);
        return true;
    }
    const struct timespec until = {.tv_sec = (time_t)(mono_ns / SECOND_NS), .tv_nsec = (long)(mono_ns % SECOND_NS)};
    return pthread_cond_timedwait(cond, mutex, &until) != ETIMEDOUT;
}
