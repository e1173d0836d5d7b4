/* What this process may use of the machine (tn_cpu_count is in pool.h). */
#ifndef TARN_BASE_MACHINE_H
#define TARN_BASE_MACHINE_H

#include <stdint.h>

/* Bytes of memory: the machine's, or the container's limit when it is lower. */
uint64_t tn_machine_memory(void);

#endif
