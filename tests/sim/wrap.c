/* In the place of the C library's calls (the linker's --wrap, see
 * CMakeLists.txt): paths below DISK_ROOT go to the simulated disk, everything
 * else to the real one. Time and randomness come from the seed while a history
 * runs. A call that is missing here meets a path that does not exist, and fails
 * loudly. */
#include "tests/sim/wrap.h"
#include "base/base.h"
#include "tests/sim/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool wrap_running;

static bool is_simulated(const char *path)
{
    size_t length = sizeof DISK_ROOT - 1;
    return strncmp(path, DISK_ROOT, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    return is_simulated(path) ? disk_open(path, flags) : __real_open(path, flags, mode);
}

int __wrap___open_2(const char *path, int flags)
{
    return is_simulated(path) ? disk_open(path, flags) : __real_open(path, flags, 0);
}

int __wrap_openat(int folder, const char *name, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    TN_AUTO_FREE char *path = folder >= DISK_FIRST_FD ? disk_path_at(folder, name) : NULL;
    return path ? disk_open(path, flags) : __real_openat(folder, name, flags, mode);
}

int __wrap_close(int fd)
{
    return fd >= DISK_FIRST_FD ? disk_close(fd) : __real_close(fd);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t count)
{
    return fd >= DISK_FIRST_FD ? disk_write(fd, bytes, count) : __real_write(fd, bytes, count);
}

ssize_t __wrap_read(int fd, void *out, size_t count)
{
    return fd >= DISK_FIRST_FD ? disk_read(fd, out, count, -1) : __real_read(fd, out, count);
}

ssize_t __wrap___read_chk(int fd, void *out, size_t count, size_t room)
{
    (void)room;
    return __wrap_read(fd, out, count);
}

ssize_t __wrap_pread(int fd, void *out, size_t count, off_t offset)
{
    return fd >= DISK_FIRST_FD ? disk_read(fd, out, count, offset) : __real_pread(fd, out, count, offset);
}

ssize_t __wrap___pread_chk(int fd, void *out, size_t count, off_t offset, size_t room)
{
    (void)room;
    return __wrap_pread(fd, out, count, offset);
}

int __wrap_fsync(int fd)
{
    return fd >= DISK_FIRST_FD ? disk_fsync(fd) : __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
    return fd >= DISK_FIRST_FD ? disk_fsync(fd) : __real_fdatasync(fd);
}

/* Starts the write-out and promises nothing: so it does nothing here. */
int __wrap_sync_file_range(int fd, off_t offset, off_t count, unsigned flags)
{
    return fd >= DISK_FIRST_FD ? 0 : __real_sync_file_range(fd, offset, count, flags);
}

int __wrap_fchmod(int fd, mode_t mode)
{
    return fd >= DISK_FIRST_FD ? 0 : __real_fchmod(fd, mode);
}

int __wrap_futimens(int fd, const struct timespec times[2])
{
    return fd >= DISK_FIRST_FD ? disk_touch(fd) : __real_futimens(fd, times);
}

int __wrap_stat(const char *path, struct stat *ret)
{
    return is_simulated(path) ? disk_stat(path, ret) : __real_stat(path, ret);
}

int __wrap_lstat(const char *path, struct stat *ret)
{
    return is_simulated(path) ? disk_stat(path, ret) : __real_lstat(path, ret);
}

int __wrap_fstat(int fd, struct stat *ret)
{
    return fd >= DISK_FIRST_FD ? disk_fstat(fd, ret) : __real_fstat(fd, ret);
}

int __wrap_fstatat(int folder, const char *name, struct stat *ret, int flags)
{
    TN_AUTO_FREE char *path = folder >= DISK_FIRST_FD ? disk_path_at(folder, name) : NULL;
    return path ? disk_stat(path, ret) : __real_fstatat(folder, name, ret, flags);
}

int __wrap_access(const char *path, int mode)
{
    struct stat info;
    return is_simulated(path) ? disk_stat(path, &info) : __real_access(path, mode);
}

int __wrap_link(const char *from, const char *to)
{
    return is_simulated(to) ? disk_link(from, to) : __real_link(from, to);
}

int __wrap_rename(const char *from, const char *to)
{
    return is_simulated(to) ? disk_rename(from, to, true) : __real_rename(from, to);
}

int __wrap_renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    if (is_simulated(to))
        return disk_rename(from, to, !(flags & RENAME_NOREPLACE));
    return __real_renameat2(from_folder, from, to_folder, to, flags);
}

int __wrap_unlink(const char *path)
{
    return is_simulated(path) ? disk_unlink(path, false) : __real_unlink(path);
}

int __wrap_rmdir(const char *path)
{
    return is_simulated(path) ? disk_unlink(path, true) : __real_rmdir(path);
}

int __wrap_unlinkat(int folder, const char *name, int flags)
{
    bool is_folder = flags & AT_REMOVEDIR;
    if (folder == AT_FDCWD && is_simulated(name))
        return disk_unlink(name, is_folder);
    TN_AUTO_FREE char *path = folder >= DISK_FIRST_FD ? disk_path_at(folder, name) : NULL;
    return path ? disk_unlink(path, is_folder) : __real_unlinkat(folder, name, flags);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    return is_simulated(path) ? disk_mkdir(path) : __real_mkdir(path, mode);
}

char *__wrap_realpath(const char *path, char *resolved)
{
    return is_simulated(path) ? disk_realpath(path) : __real_realpath(path, resolved);
}

/* --- Folders --- */

struct wrap_dir {
    struct wrap_dir *next;
    int fd;
    char **names;
    size_t count, at;
    struct dirent entry;
};

static struct wrap_dir *open_dirs;

static struct wrap_dir **find_dir(DIR *dir)
{
    struct wrap_dir **at = &open_dirs;
    while (*at && (void *)*at != (void *)dir)
        at = &(*at)->next;
    return at;
}

DIR *__wrap_fdopendir(int fd)
{
    char **names = NULL;
    size_t count = 0;
    if (fd < DISK_FIRST_FD)
        return __real_fdopendir(fd);
    if (disk_list(fd, &names, &count) != 0)
        return NULL;
    struct wrap_dir *dir = tn_calloc(1, sizeof *dir);
    *dir = (struct wrap_dir){.next = open_dirs, .fd = fd, .names = names, .count = count};
    open_dirs = dir;
    return (DIR *)(void *)dir;
}

DIR *__wrap_opendir(const char *path)
{
    if (!is_simulated(path))
        return __real_opendir(path);
    int fd = disk_open(path, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : __wrap_fdopendir(fd);
    if (!dir && fd >= 0) {
        int number = errno;
        (void)disk_close(fd);
        errno = number;
    }
    return dir;
}

struct dirent *__wrap_readdir(DIR *real)
{
    struct wrap_dir *dir = *find_dir(real);
    if (!dir)
        return __real_readdir(real);
    if (dir->at == dir->count)
        return NULL;
    dir->entry = (struct dirent){.d_type = DT_UNKNOWN};
    (void)snprintf(dir->entry.d_name, sizeof dir->entry.d_name, "%s", dir->names[dir->at++]);
    return &dir->entry;
}

int __wrap_dirfd(DIR *real)
{
    const struct wrap_dir *dir = *find_dir(real);
    return dir ? dir->fd : __real_dirfd(real);
}

int __wrap_closedir(DIR *real)
{
    struct wrap_dir **at = find_dir(real), *dir = *at;
    if (!dir)
        return __real_closedir(real);
    *at = dir->next;
    for (size_t i = 0; i < dir->count; i++)
        free(dir->names[i]);
    free(dir->names);
    (void)disk_close(dir->fd);
    free(dir);
    return 0;
}

/* --- Time and chance --- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
    if (!wrap_running)
        return __real_clock_gettime(clock, ret);
    int64_t now = disk_clock_ns();
    *ret = (struct timespec){.tv_sec = now / 1000000000, .tv_nsec = now % 1000000000};
    return 0;
}

/* Nobody sleeps in a history: its clock goes on instead. */
int __wrap_nanosleep(const struct timespec *time, struct timespec *ret_left)
{
    if (!wrap_running)
        return __real_nanosleep(time, ret_left);
    disk_move_clock((int64_t)time->tv_sec * 1000 + time->tv_nsec / 1000000);
    return 0;
}

void __wrap_randombytes_buf(void *out, size_t count)
{
    if (wrap_running)
        disk_random(out, count);
    else
        __real_randombytes_buf(out, count);
}
