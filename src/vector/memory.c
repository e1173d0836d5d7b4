#include "vector/memory.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum tn_code block_alloc(struct block *ret, uint64_t size, struct budget *budget, const char *what,
                         struct tn_error *err)
{
    if (size > SIZE_MAX / 2)
        return tn_fail(err, TN_ENOMEM, "not enough memory for %s: %llu bytes", what, (unsigned long long)size);
    if (budget && budget->limit && size > budget->limit - TN_MIN(budget->used, budget->limit)) {
        (void)tn_fail(err, TN_ENOMEM, "%s needs %llu bytes, %llu of the budget's %llu are in use", what,
                      (unsigned long long)size, (unsigned long long)budget->used, (unsigned long long)budget->limit);
        tn_error_hint(err, "raise the memory budget or work on fewer rows");
        return TN_ENOMEM;
    }
    struct tn_pages pages;
    if (!tn_pages_map((size_t)size, &pages))
        return tn_fail(err, TN_ENOMEM, "not enough memory for %s: %llu bytes", what, (unsigned long long)size);
    *ret = (struct block){.data = pages.data, .mapped = pages.mapped, .mapped_size = pages.mapped_size};
    if (budget) {
        budget->used += pages.mapped_size;
        budget->peak = TN_MAX(budget->peak, budget->used);
    }
    return TN_OK;
}

void block_free(struct block *block, struct budget *budget)
{
    if (!block->mapped)
        return;
    struct tn_pages pages = {.data = block->data, .mapped = block->mapped, .mapped_size = block->mapped_size};
    tn_pages_unmap(&pages);
    if (budget)
        budget->used -= block->mapped_size;
    memset(block, 0, sizeof *block);
}

struct worker {
    void (*work)(void *, uint32_t);
    void *context;
    uint32_t number;
    bool low_priority;
    uint64_t cpu_ns; /* that it took, with the threads that it started */
};

/* Of the threads that this thread has waited for. */
static _Thread_local uint64_t others_cpu_ns;

uint64_t thread_cpu_ns(void)
{
    struct timespec time = {0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec + others_cpu_ns;
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    if (worker->low_priority) {
        struct sched_param none = {0};
        (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
        (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
    }
    worker->work(worker->context, worker->number);
    worker->cpu_ns = thread_cpu_ns();
    return NULL;
}

#define WORKERS_MAX 256

void parallel_run(uint32_t threads, bool low_priority, void (*work)(void *context, uint32_t worker), void *context)
{
    pthread_t ids[WORKERS_MAX];
    struct worker workers[WORKERS_MAX];
    uint32_t started = 0;
    threads = TN_MIN(threads, (uint32_t)WORKERS_MAX);
    /* With low priority the caller only waits: its own priority is not ours to change. */
    uint32_t first = low_priority ? 0 : 1;
    for (uint32_t i = first; i < threads; i++) {
        workers[started] = (struct worker){work, context, i, low_priority, 0};
        if (pthread_create(&ids[started], NULL, worker_main, &workers[started]) != 0)
            break;
        started++;
    }
    if (!low_priority || started == 0)
        work(context, 0);
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(ids[i], NULL);
        others_cpu_ns += workers[i].cpu_ns;
    }
}
