/* A fixed pool of threads with two queues.
 *
 * Foreground tasks (queries) always start before background ones (jobs,
 * profiling). A task runs to its end on one thread and must not wait for
 * another task of the same pool, except through tn_group_wait, which helps:
 * the waiting thread runs tasks of its own group meanwhile.
 */
#ifndef TARN_BASE_POOL_H
#define TARN_BASE_POOL_H

#include "base/error.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>

struct tn_pool;
struct tn_group;
typedef void tn_task_fn(void *argument);

enum tn_priority { TN_FOREGROUND, TN_BACKGROUND };

/* threads 0 = one per CPU that this process may use. */
enum tn_code tn_pool_new(size_t threads, struct tn_pool **ret, struct tn_error *err) TN_CHECKED;
/* The same for work that can wait: its threads stand behind all others, as
 * below. `threads` at least 1. */
enum tn_code tn_pool_new_behind(size_t threads, unsigned cpus, struct tn_pool **ret, struct tn_error *err) TN_CHECKED;
/* From here on this thread, and those that it starts, stand behind all others
 * that want to run, as far as the system can be told that, on the last `cpus`
 * CPUs of the process (0: all). They still get on, and may hold locks. Where the
 * system refuses, all runs as before. */
void tn_thread_stand_behind(unsigned cpus);
/* Runs what is queued, then joins the threads. */
void tn_pool_free(struct tn_pool *pool);
size_t tn_pool_threads(const struct tn_pool *pool);
/* Any thread may submit, tasks too. */
void tn_pool_submit(struct tn_pool *pool, enum tn_priority priority, tn_task_fn *run, void *argument);
/* Tasks that wait for a thread. */
size_t tn_pool_queued(const struct tn_pool *pool);

/* Tasks to be awaited together. */
struct tn_group *tn_group_new(struct tn_pool *pool, enum tn_priority priority) __attribute__((returns_nonnull));
void tn_group_add(struct tn_group *group, tn_task_fn *run, void *argument);
/* Returns when all tasks added so far have ended. */
void tn_group_wait(struct tn_group *group);
/* Waits first. */
void tn_group_free(struct tn_group *group);
TN_DEFINE_CLEANUP(struct tn_pool, tn_pool_free)
TN_DEFINE_CLEANUP(struct tn_group, tn_group_free)

size_t tn_cpu_count(void); /* CPUs that this process may use, at least 1 */

#endif
