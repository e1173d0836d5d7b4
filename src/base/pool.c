/* The thread pool.
 *
 * One mutex guards everything in it: the two queues, the groups and their
 * counts. Tasks are milliseconds long, so the lock is not where time goes.
 *
 * A task sits in its pool's queue and, when it has one, in its group's list of
 * pending tasks, both doubly linked: the thread that waits for a group takes
 * tasks out of the middle of the queue.
 */
#include "base/pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

struct task {
    struct task *prev, *next;             /* in the pool's queue */
    struct task *group_prev, *group_next; /* in the group's pending list */
    struct tn_group *group;
    enum tn_priority priority;
    tn_task_fn *run;
    void *argument;
};

struct queue {
    struct task *first, *last;
};

struct tn_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake; /* a task was queued, or the end has come */
    struct queue queues[2];
    size_t queued; /* read without the lock, atomically */
    bool ending;
    bool behind;
    unsigned cpus; /* when behind */
    size_t thread_count;
    pthread_t *threads;
};

struct tn_group {
    struct tn_pool *pool;
    enum tn_priority priority;
    struct task *first, *last; /* pending: queued and not begun */
    size_t unfinished;
    pthread_cond_t changed; /* unfinished reached zero, or a task came */
};

static void enqueue(struct tn_pool *pool, struct task *task)
{
    struct queue *queue = &pool->queues[task->priority];
    task->prev = queue->last;
    *(queue->last ? &queue->last->next : &queue->first) = task;
    queue->last = task;
    struct tn_group *group = task->group;
    if (group) {
        task->group_prev = group->last;
        *(group->last ? &group->last->group_next : &group->first) = task;
        group->last = task;
        group->unfinished++;
    }
    __atomic_store_n(&pool->queued, pool->queued + 1, __ATOMIC_RELAXED);
}

static void unlink_task(struct tn_pool *pool, struct task *task)
{
    struct queue *queue = &pool->queues[task->priority];
    *(task->prev ? &task->prev->next : &queue->first) = task->next;
    *(task->next ? &task->next->prev : &queue->last) = task->prev;
    struct tn_group *group = task->group;
    if (group) {
        *(task->group_prev ? &task->group_prev->group_next : &group->first) = task->group_next;
        *(task->group_next ? &task->group_next->group_prev : &group->last) = task->group_prev;
    }
    __atomic_store_n(&pool->queued, pool->queued - 1, __ATOMIC_RELAXED);
}

/* Called and returns with the lock held; not held while the task runs. */
static void run_task(struct tn_pool *pool, struct task *task)
{
    unlink_task(pool, task);
    (void)pthread_mutex_unlock(&pool->lock);
    task->run(task->argument);
    struct tn_group *group = task->group;
    free(task);
    (void)pthread_mutex_lock(&pool->lock);
    if (group && --group->unfinished == 0)
        (void)pthread_cond_broadcast(&group->changed);
}

static void *work(void *argument)
{
    struct tn_pool *pool = argument;
    if (pool->behind)
        tn_thread_stand_behind(pool->cpus);
    (void)pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct task *task = pool->queues[TN_FOREGROUND].first;
        if (!task)
            task = pool->queues[TN_BACKGROUND].first;
        if (task)
            run_task(pool, task);
        else if (pool->ending)
            break;
        else
            (void)pthread_cond_wait(&pool->wake, &pool->lock);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Signals are for the main thread: workers are born with all of them blocked. */
static int start_threads(struct tn_pool *pool, size_t wanted)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = 0;
    while (pool->thread_count < wanted && failure == 0) {
        failure = pthread_create(&pool->threads[pool->thread_count], NULL, work, pool);
        if (failure == 0)
            pool->thread_count++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

static enum tn_code make(struct tn_pool wanted, size_t threads, struct tn_pool **ret, struct tn_error *err)
{
    struct tn_pool *pool = tn_calloc(1, sizeof *pool);
    *pool = wanted;
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->wake, NULL);
    pool->threads = tn_calloc(threads, sizeof *pool->threads);
    int failure = start_threads(pool, threads);
    if (failure) {
        tn_pool_free(pool);
        (void)tn_fail(err, TN_EUNAVAILABLE, "cannot start %zu threads: %s", threads, strerror(failure));
        tn_error_hint(err, "raise the limit on processes (ulimit -u, or the container's pids limit)");
        return TN_EUNAVAILABLE;
    }
    *ret = pool;
    return TN_OK;
}

enum tn_code tn_pool_new(size_t threads, struct tn_pool **ret, struct tn_error *err)
{
    return make((struct tn_pool){0}, threads ? threads : tn_cpu_count(), ret, err);
}

enum tn_code tn_pool_new_behind(size_t threads, unsigned cpus, struct tn_pool **ret, struct tn_error *err)
{
    return make((struct tn_pool){.behind = true, .cpus = cpus}, threads, ret, err);
}

void tn_pool_free(struct tn_pool *pool)
{
    if (!pool)
        return;
    (void)pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    (void)pthread_cond_broadcast(&pool->wake);
    (void)pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->thread_count; i++)
        (void)pthread_join(pool->threads[i], NULL);
    (void)pthread_cond_destroy(&pool->wake);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool);
}

size_t tn_pool_threads(const struct tn_pool *pool)
{
    return pool->thread_count;
}
size_t tn_pool_queued(const struct tn_pool *pool)
{
    return __atomic_load_n(&pool->queued, __ATOMIC_RELAXED);
}

static void submit(struct tn_pool *pool, struct tn_group *group, enum tn_priority priority, tn_task_fn *run,
                   void *argument)
{
    struct task *task = tn_calloc(1, sizeof *task);
    task->group = group;
    task->priority = priority;
    task->run = run;
    task->argument = argument;
    (void)pthread_mutex_lock(&pool->lock);
    enqueue(pool, task);
    (void)pthread_cond_signal(&pool->wake);
    if (group)
        (void)pthread_cond_broadcast(&group->changed);
    (void)pthread_mutex_unlock(&pool->lock);
}

void tn_pool_submit(struct tn_pool *pool, enum tn_priority priority, tn_task_fn *run, void *argument)
{
    submit(pool, NULL, priority, run, argument);
}

struct tn_group *tn_group_new(struct tn_pool *pool, enum tn_priority priority)
{
    struct tn_group *group = tn_calloc(1, sizeof *group);
    group->pool = pool;
    group->priority = priority;
    (void)pthread_cond_init(&group->changed, NULL);
    return group;
}

void tn_group_add(struct tn_group *group, tn_task_fn *run, void *argument)
{
    submit(group->pool, group, group->priority, run, argument);
}

void tn_group_wait(struct tn_group *group)
{
    struct tn_pool *pool = group->pool;
    (void)pthread_mutex_lock(&pool->lock);
    while (group->unfinished > 0) {
        if (group->first)
            run_task(pool, group->first);
        else
            (void)pthread_cond_wait(&group->changed, &pool->lock);
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

void tn_group_free(struct tn_group *group)
{
    if (!group)
        return;
    tn_group_wait(group);
    (void)pthread_cond_destroy(&group->changed);
    free(group);
}
