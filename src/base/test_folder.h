/* Where unit tests keep their folders. */
#ifndef TARN_BASE_TEST_FOLDER_H
#define TARN_BASE_TEST_FOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* For tests with thousands of fsyncs: in memory, where there is enough of it, so
 * that a slow disk does not make minutes of them. */
static inline const char *test_fast_root(void)
{
    static const uint64_t enough = UINT64_C(1) << 30;
    struct statvfs info;
    bool fits = statvfs("/dev/shm", &info) == 0 && (uint64_t)info.f_bavail * info.f_frsize >= enough;
    return fits && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

#endif
