/* The wrapped calls and the real ones behind them. */
#ifndef TARN_TESTS_SIM_WRAP_H
#define TARN_TESTS_SIM_WRAP_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/* Set while a history runs: the clock and randomness are the disk's. */
extern bool wrap_running;

/* clang-format off */
/* Reserved names on purpose: the linker's --wrap makes them. */
int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);
int __wrap___open_2(const char *path, int flags);
int __wrap_openat(int folder, const char *name, int flags, ...);
int __real_openat(int folder, const char *name, int flags, ...);
int __wrap_close(int fd);
int __real_close(int fd);
ssize_t __wrap_write(int fd, const void *bytes, size_t count);
ssize_t __real_write(int fd, const void *bytes, size_t count);
ssize_t __wrap_read(int fd, void *out, size_t count);
ssize_t __real_read(int fd, void *out, size_t count);
ssize_t __wrap___read_chk(int fd, void *out, size_t count, size_t room);
ssize_t __wrap_pread(int fd, void *out, size_t count, off_t offset);
ssize_t __real_pread(int fd, void *out, size_t count, off_t offset);
ssize_t __wrap___pread_chk(int fd, void *out, size_t count, off_t offset, size_t room);
int __wrap_fsync(int fd);
int __real_fsync(int fd);
int __wrap_fdatasync(int fd);
int __real_fdatasync(int fd);
int __wrap_sync_file_range(int fd, off_t offset, off_t count, unsigned flags);
int __real_sync_file_range(int fd, off_t offset, off_t count, unsigned flags);
int __wrap_fchmod(int fd, mode_t mode);
int __real_fchmod(int fd, mode_t mode);
int __wrap_futimens(int fd, const struct timespec times[2]);
int __real_futimens(int fd, const struct timespec times[2]);
int __wrap_stat(const char *path, struct stat *ret);
int __real_stat(const char *path, struct stat *ret);
int __wrap_lstat(const char *path, struct stat *ret);
int __real_lstat(const char *path, struct stat *ret);
int __wrap_fstat(int fd, struct stat *ret);
int __real_fstat(int fd, struct stat *ret);
int __wrap_fstatat(int folder, const char *name, struct stat *ret, int flags);
int __real_fstatat(int folder, const char *name, struct stat *ret, int flags);
int __wrap_access(const char *path, int mode);
int __real_access(const char *path, int mode);
int __wrap_link(const char *from, const char *to);
int __real_link(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_rename(const char *from, const char *to);
int __wrap_renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags);
int __real_renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags);
int __wrap_unlink(const char *path);
int __real_unlink(const char *path);
int __wrap_rmdir(const char *path);
int __real_rmdir(const char *path);
int __wrap_unlinkat(int folder, const char *name, int flags);
int __real_unlinkat(int folder, const char *name, int flags);
int __wrap_mkdir(const char *path, mode_t mode);
int __real_mkdir(const char *path, mode_t mode);
char *__wrap_realpath(const char *path, char *resolved);
char *__real_realpath(const char *path, char *resolved);
DIR *__wrap_fdopendir(int fd);
DIR *__real_fdopendir(int fd);
DIR *__wrap_opendir(const char *path);
DIR *__real_opendir(const char *path);
struct dirent *__wrap_readdir(DIR *real);
struct dirent *__real_readdir(DIR *real);
int __wrap_dirfd(DIR *real);
int __real_dirfd(DIR *real);
int __wrap_closedir(DIR *real);
int __real_closedir(DIR *real);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_nanosleep(const struct timespec *time, struct timespec *ret_left);
int __real_nanosleep(const struct timespec *time, struct timespec *ret_left);
void __wrap_randombytes_buf(void *out, size_t count);
void __real_randombytes_buf(void *out, size_t count);
/* clang-format on */

#endif
