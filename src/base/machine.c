/* CPUs and memory, with the limits of a control group (containers). */
#include "base/machine.h"

#include "base/fs.h"
#include "base/pool.h"
#include "base/str.h"

#include <malloc.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

/* The first line of a small system file; false when there is none. */
static bool read_line(const char *path, struct tn_buf *ret)
{
    if (tn_file_read(path, 4096, ret, NULL) != TN_OK || ret->len == 0)
        return false;
    ret->data[strcspn(ret->data, "\n")] = '\0';
    return true;
}

/* "200000 100000": that much CPU time in each period of microseconds. */
static uint64_t quota_cpus(void)
{
    TN_AUTO_BUF text = {0};
    if (!read_line("/sys/fs/cgroup/cpu.max", &text))
        return UINT64_MAX;
    char *space = strchr(text.data, ' ');
    if (!space)
        return UINT64_MAX;
    *space = '\0';
    uint64_t quota, period;
    if (!tn_parse_u64(text.data, &quota) || !tn_parse_u64(space + 1, &period) || period == 0)
        return UINT64_MAX; /* also "max" */
    return TN_MAX(quota / period + (quota % period != 0), (uint64_t)1);
}

size_t tn_cpu_count(void)
{
    cpu_set_t set;
    uint64_t count = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        count = (uint64_t)CPU_COUNT(&set);
    } else {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        if (online > 0)
            count = (uint64_t)online;
    }
    count = TN_MIN(count, quota_cpus());
    return (size_t)TN_MAX(count, (uint64_t)1);
}

uint64_t tn_machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_C(1) << 30;
    TN_AUTO_BUF text = {0};
    uint64_t limit;
    if (read_line("/sys/fs/cgroup/memory.max", &text) && tn_parse_u64(text.data, &limit))
        bytes = TN_MIN(bytes, limit);
    return bytes;
}

void tn_machine_few_heaps(void)
{
#ifdef M_ARENA_MAX
    if (!getenv("MALLOC_ARENA_MAX"))
        (void)mallopt(M_ARENA_MAX, (int)TN_MIN(TN_MAX(tn_cpu_count(), (size_t)2), (size_t)1024));
#endif
}
