/* Files: whole reads and writes, durable replacement, locks. */
#include "base/fs.h"

#include "base/id.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum tn_code tn_write_all(int fd, const void *bytes, size_t count, const char *path, struct tn_error *err)
{
    const char *p = bytes;
    while (count > 0) {
        ssize_t done = write(fd, p, TN_MIN(count, (size_t)1 << 30));
        if (done < 0) {
            if (errno == EINTR)
                continue;
            return tn_fail_errno(err, errno, "cannot write %s", path);
        }
        p += done;
        count -= (size_t)done;
    }
    return TN_OK;
}

enum tn_code tn_pread_all(int fd, void *out, size_t count, uint64_t offset, const char *path, struct tn_error *err)
{
    char *p = out;
    uint64_t at = offset;
    size_t left = count;
    if (offset > INT64_MAX || count > (uint64_t)INT64_MAX - offset)
        return tn_fail(err, TN_ECORRUPT, "%s cannot have %zu bytes at offset %llu", path, count,
                       (unsigned long long)offset);
    while (left > 0) {
        ssize_t got = pread(fd, p, TN_MIN(left, (size_t)1 << 30), (off_t)at);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            return tn_fail_errno(err, errno, "cannot read %s", path);
        }
        if (got == 0)
            return tn_fail(err, TN_ECORRUPT, "%s ends at byte %llu, wanted %zu bytes from %llu", path,
                           (unsigned long long)at, count, (unsigned long long)offset);
        p += got;
        at += (uint64_t)got;
        left -= (size_t)got;
    }
    return TN_OK;
}

static enum tn_code read_rest(int fd, const char *path, size_t max_bytes, struct tn_buf *ret, struct tn_error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return tn_fail_errno(err, errno, "cannot look at %s", path);
    size_t start = ret->len;
    /* The size is a hint only: files in /proc say 0, and logs grow. */
    size_t room = 4096;
    if (S_ISREG(info.st_mode) && info.st_size > 0)
        room = TN_MIN((size_t)info.st_size, max_bytes) + 1;
    for (;;) {
        char *at = tn_buf_reserve(ret, room);
        ssize_t got = read(fd, at, room);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            return tn_fail_errno(err, errno, "cannot read %s", path);
        }
        if (got == 0)
            return TN_OK;
        ret->len += (size_t)got;
        if (ret->len - start > max_bytes)
            return tn_fail(err, TN_ETOOLARGE, "%s is larger than the %zu bytes allowed here", path, max_bytes);
        room = TN_MAX((size_t)4096, TN_MIN(ret->len - start, (size_t)1 << 20));
    }
}

enum tn_code tn_file_read(const char *path, size_t max_bytes, struct tn_buf *ret, struct tn_error *err)
{
    TN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return tn_fail_errno(err, errno, "cannot open %s", path);
    size_t start = ret->len;
    enum tn_code code = read_rest(fd, path, max_bytes, ret, err);
    if (code != TN_OK)
        ret->len = start;
    if (ret->data)
        ret->data[ret->len] = '\0';
    return code;
}

enum tn_code tn_fsync_fd(int fd, const char *path, struct tn_error *err)
{
    while (fsync(fd) != 0) {
        if (errno != EINTR)
            return tn_fail_errno(err, errno, "cannot make %s durable", path);
    }
    return TN_OK;
}

enum tn_code tn_fsync_dir(const char *path, struct tn_error *err)
{
    TN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return tn_fail_errno(err, errno, "cannot open folder %s", path);
    return tn_fsync_fd(fd, path, err);
}

/* The folder part of a path, for syncing it; "." and "/" included. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return tn_strdup(".");
    return slash == path ? tn_strdup("/") : tn_strndup(path, (size_t)(slash - path));
}

static enum tn_code write_new(const char *path, const void *bytes, size_t count, mode_t mode, struct tn_error *err)
{
    TN_AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return tn_fail_errno(err, errno, "cannot create %s", path);
    /* The mode is meant exactly, whatever the umask says. */
    if (fchmod(fd, mode) != 0)
        return tn_fail_errno(err, errno, "cannot set the mode of %s", path);
    TN_TRY(tn_write_all(fd, bytes, count, path, err));
    return tn_fsync_fd(fd, path, err);
}

enum tn_code tn_file_replace(const char *path, const void *bytes, size_t count, mode_t mode, struct tn_error *err)
{
    TN_AUTO_FREE char *temporary = tn_asprintf("%s.tmp-%016llx", path, (unsigned long long)tn_random_u64());
    enum tn_code code = write_new(temporary, bytes, count, mode, err);
    if (code == TN_OK && rename(temporary, path) != 0)
        code = tn_fail_errno(err, errno, "cannot rename %s to %s", temporary, path);
    if (code != TN_OK) {
        (void)unlink(temporary);
        return code;
    }
    TN_AUTO_FREE char *folder = folder_of(path);
    return tn_fsync_dir(folder, err);
}

static enum tn_code make_dir(const char *path, mode_t mode, struct tn_error *err)
{
    if (mkdir(path, mode) == 0)
        return TN_OK;
    int failure = errno;
    struct stat info;
    if (failure == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return TN_OK;
    if (failure == EEXIST)
        return tn_fail_errno(err, ENOTDIR, "cannot create folder %s", path);
    return tn_fail_errno(err, failure, "cannot create folder %s", path);
}

enum tn_code tn_mkdirs(const char *path, mode_t mode, struct tn_error *err)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return TN_OK;
    TN_AUTO_FREE char *part = tn_strdup(path);
    for (char *p = part + 1; *part && *p; p++) {
        if (*p != '/' || p[-1] == '/')
            continue;
        *p = '\0';
        TN_TRY(make_dir(part, mode, err));
        *p = '/';
    }
    return make_dir(path, mode, err);
}

static enum tn_code remove_below(int fd, const char *path, struct tn_error *err);

static enum tn_code remove_entry(int folder_fd, const char *name, const char *path, struct tn_error *err)
{
    if (unlinkat(folder_fd, name, 0) == 0 || errno == ENOENT)
        return TN_OK;
    /* Linux says EISDIR, POSIX says EPERM. */
    if (errno != EISDIR && errno != EPERM)
        return tn_fail_errno(err, errno, "cannot remove %s", path);
    int fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? TN_OK : tn_fail_errno(err, errno, "cannot open folder %s", path);
    TN_TRY(remove_below(fd, path, err));
    if (unlinkat(folder_fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return tn_fail_errno(err, errno, "cannot remove folder %s", path);
    return TN_OK;
}

/* Empties the folder behind fd; takes ownership of fd. */
static enum tn_code remove_below(int fd, const char *path, struct tn_error *err)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int failure = errno;
        (void)close(fd);
        return tn_fail_errno(err, failure, "cannot read folder %s", path);
    }
    enum tn_code code = TN_OK;
    while (code == TN_OK) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry) {
            if (errno)
                code = tn_fail_errno(err, errno, "cannot read folder %s", path);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        TN_AUTO_FREE char *child = tn_asprintf("%s/%s", path, entry->d_name);
        code = remove_entry(dirfd(dir), entry->d_name, child, err);
    }
    (void)closedir(dir);
    return code;
}

enum tn_code tn_remove_tree(const char *path, struct tn_error *err)
{
    return remove_entry(AT_FDCWD, path, path, err);
}

char *tn_path_join(struct tn_arena *arena, const char *folder, const char *name)
{
    size_t length = strlen(folder);
    if (length == 0)
        return tn_arena_strdup(arena, name);
    return tn_arena_printf(arena, "%s%s%s", folder, folder[length - 1] == '/' ? "" : "/", name);
}

enum tn_code tn_path_real(struct tn_arena *arena, const char *path, char **ret, struct tn_error *err)
{
    TN_AUTO_FREE char *real = realpath(path, NULL);
    if (!real)
        return tn_fail_errno(err, errno, "cannot resolve %s", path);
    *ret = tn_arena_strdup(arena, real);
    return TN_OK;
}

static enum tn_code fail_locked(int fd, const char *path, struct tn_arena *arena, char **ret_holder,
                                struct tn_error *err)
{
    char holder[512];
    ssize_t got = pread(fd, holder, sizeof holder - 1, 0);
    holder[got > 0 ? got : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    *ret_holder = tn_arena_strdup(arena, holder);
    (void)tn_fail(err, TN_ELOCKED, "%s is locked by %s", path, *holder ? holder : "another process");
    tn_error_hint(err, "stop the other process, or wait until it ends");
    return TN_ELOCKED;
}

enum tn_code tn_lock_file(const char *path, const char *who, struct tn_arena *arena, int *ret_fd, char **ret_holder,
                          struct tn_error *err)
{
    TN_AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return tn_fail_errno(err, errno, "cannot open lock file %s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return fail_locked(fd, path, arena, ret_holder, err);
        if (errno != EINTR)
            return tn_fail_errno(err, errno, "cannot lock %s", path);
    }
    if (ftruncate(fd, 0) != 0)
        return tn_fail_errno(err, errno, "cannot write lock file %s", path);
    TN_TRY(tn_write_all(fd, who, strlen(who), path, err));
    *ret_fd = fd;
    fd = -1;
    return TN_OK;
}
