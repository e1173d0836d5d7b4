/* Conditions whose timed waits end at a moment of tn_mono_ns, which no change of the wall clock moves. */
#ifndef TARN_BASE_COND_H
#define TARN_BASE_COND_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* pthread_cond_destroy ends it. */
void tn_cond_init(pthread_cond_t *cond);
/* Of a condition of tn_cond_init. False when that moment has come; UINT64_MAX never does. As with any
 * condition, true does not say that what was waited for is there. */
bool tn_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t mono_ns);

#endif
