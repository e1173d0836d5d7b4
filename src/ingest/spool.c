/* Text waiting to be loaded. */
#include "ingest/spool.h"

#include "base/fs.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Room that a spool leaves on the disk for the commit that follows. */
#define SPOOL_LEAVE_FREE  (UINT64_C(64) << 20)
#define SPOOL_CHECK_EVERY (UINT64_C(64) << 20)

void spool_init(struct spool *spool, struct store *store)
{
    *spool = (struct spool){.store = store, .fd = -1};
}

void spool_borrow(struct spool *spool, int fd, const char *path, uint64_t base, uint64_t size)
{
    spool->fd = fd;
    spool->path = tn_strdup(path);
    spool->borrowed = true;
    spool->base = base;
    spool->size = size;
}

void spool_release(struct spool *spool)
{
    tn_buf_release(&spool->memory);
    if (spool->fd >= 0)
        (void)close(spool->fd);
    if (spool->path && !spool->borrowed)
        (void)unlink(spool->path);
    free(spool->path);
    *spool = (struct spool){.store = spool->store, .fd = -1};
}

/* The disk must not be filled by a file that unpacks to more than it holds:
 * others write there too. */
static enum tn_code check_room(const struct spool *spool, struct tn_error *err)
{
    struct statvfs stat;
    if (fstatvfs(spool->fd, &stat) != 0)
        return TN_OK;
    uint64_t free_bytes = (uint64_t)stat.f_bavail * stat.f_frsize;
    if (free_bytes >= SPOOL_LEAVE_FREE + SPOOL_CHECK_EVERY)
        return TN_OK;
    char size[32];
    tn_fail(err, TN_EDISKFULL, "the file does not fit on the disk of the lake: %s are free",
            tn_format_size(free_bytes, size));
    tn_error_hint(err, "free some space, or send the file in parts");
    return TN_EDISKFULL;
}

enum tn_code spool_to_file(struct spool *spool, const char *suffix, struct tn_error *err)
{
    if (spool->fd >= 0)
        return TN_OK;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    char *path;
    TN_TRY(store_stage_path(spool->store, arena, suffix, &path, err));
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return tn_fail_errno(err, errno, "%s", path);
    spool->fd = fd;
    spool->path = tn_strdup(path);
    TN_TRY(check_room(spool, err));
    TN_TRY(tn_write_all(fd, spool->memory.data, spool->memory.len, path, err));
    tn_buf_release(&spool->memory);
    return TN_OK;
}

enum tn_code spool_append(struct spool *spool, const void *bytes, size_t count, struct tn_error *err)
{
    if (spool->fd < 0 && spool->memory.len + count <= SPOOL_MEMORY_BYTES) {
        tn_buf_append(&spool->memory, bytes, count);
    } else {
        TN_TRY(spool_to_file(spool, ".spool", err));
        if (spool->size / SPOOL_CHECK_EVERY != (spool->size + count) / SPOOL_CHECK_EVERY)
            TN_TRY(check_room(spool, err));
        TN_TRY(tn_write_all(spool->fd, bytes, count, spool->path, err));
    }
    spool->size += count;
    return TN_OK;
}

enum tn_code spool_read(const struct spool *spool, uint64_t offset, size_t count, char *out, struct tn_error *err)
{
    if (spool->fd >= 0)
        return tn_pread_all(spool->fd, out, count, spool->base + offset, spool->path, err);
    if (offset > spool->memory.len || count > spool->memory.len - offset)
        return tn_fail(err, TN_EINTERNAL, "reading behind the end of a spooled file");
    memcpy(out, spool->memory.data + offset, count);
    return TN_OK;
}
