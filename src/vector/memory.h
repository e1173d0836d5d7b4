/* Large blocks and short-lived worker threads. */
#ifndef TARN_VECTOR_MEMORY_H
#define TARN_VECTOR_MEMORY_H

#include "base/error.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A zeroed block on large pages where the system has them. */
struct block {
    void *data;   /* 64-byte aligned at least */
    void *mapped; /* what munmap wants */
    size_t mapped_size;
};
/* A budget shared by the blocks of one operation. */
struct budget {
    uint64_t limit; /* 0: none */
    uint64_t used;
    uint64_t peak;
};
/* `what` is for the error: "not enough memory for <what>: ...". */
enum tn_code block_alloc(struct block *ret, uint64_t size, struct budget *budget, const char *what,
                         struct tn_error *err) TN_CHECKED;
void block_free(struct block *block, struct budget *budget);

/* Runs work(context, worker) on `threads` threads, the caller's being worker
 * 0, and returns when all have ended. When threads cannot be had fewer run:
 * work must be claimed, not divided by worker number. */
void parallel_run(uint32_t threads, bool low_priority, void (*work)(void *context, uint32_t worker), void *context);
/* CPU time of this thread and of all that it has run by parallel_run so far. */
uint64_t thread_cpu_ns(void);

#endif
