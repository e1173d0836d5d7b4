/* What this process may use of the machine (tn_cpu_count is in pool.h). */
#ifndef TARN_BASE_MACHINE_H
#define TARN_BASE_MACHINE_H

#include <stdint.h>

/* Bytes of memory: the machine's, or the container's limit when it is lower. */
uint64_t tn_machine_memory(void);

/* From now on the allocator has as many heaps as there are CPUs, at least two, in place of eight times as many: what
 * one of many threads frees is used by the others, and does not lie in a heap of its own. Before threads are started.
 * Whoever sets MALLOC_ARENA_MAX keeps it. */
void tn_machine_few_heaps(void);

#endif
