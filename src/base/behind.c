/* Threads that stand behind all others: what they do can wait. */
#include "base/pool.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not the very last (SCHED_IDLE, 19): such a thread may hold a lock for some
 * moments that somebody waits for, and must get on. */
#define NICE          15
#define IO_BEST_LEAST ((2 << 13) | 7) /* ioprio_set(2): best effort, the last of its levels */
/* The longest time slice that Linux knows. It sounds like a favour and is the
 * opposite: since 6.12 a thread that wakes up with a shorter one, as all others
 * have, gets the CPU at once, and not at the end of a slice of some milliseconds,
 * which a request that goes through several threads would wait several times.
 * Older kernels do not look at it. */
#define SLICE_NS UINT64_C(100000000)

/* sched_setattr(2), which the C library has no name for. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/* The last ones of those that the process may use. */
static void keep_to_cpus(unsigned wanted)
{
    cpu_set_t all, some;
    if (wanted == 0 || sched_getaffinity(0, sizeof all, &all) != 0 || wanted >= (unsigned)CPU_COUNT(&all))
        return;
    CPU_ZERO(&some);
    for (size_t cpu = CPU_SETSIZE; cpu-- > 0 && (unsigned)CPU_COUNT(&some) < wanted;)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &some);
    (void)sched_setaffinity(0, sizeof some, &some);
}

void tn_thread_stand_behind(unsigned cpus)
{
    const struct attributes attributes = {
        .size = sizeof attributes, .policy = SCHED_BATCH, .nice = NICE, .runtime = SLICE_NS};
    if (syscall(SYS_sched_setattr, 0, &attributes, 0) != 0) {
        const struct sched_param none = {0};
        (void)sched_setscheduler(0, SCHED_BATCH, &none);
        (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    }
    (void)syscall(SYS_ioprio_set, 1, 0, IO_BEST_LEAST);
    keep_to_cpus(cpus);
}
