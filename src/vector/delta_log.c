/* The append log of changes.
 *
 * A record says how much of the file was on disk when it was written. That is
 * what tells a torn end from damage: a bad record is torn when no whole record
 * behind it claims that it was durable, and was then never acknowledged.
 */
#include "vector/delta_log.h"

#include "base/fault.h"
#include "base/fs.h"
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_MAGIC    "TARNDLOG"
#define RECORD_MAGIC UINT32_C(0x43455244) /* "DREC" */

struct log_header {
    char magic[8];
    uint32_t version;
    uint32_t dims;
    uint64_t generation;
    uint32_t reserved[9];
    uint32_t crc; /* of the 60 bytes before */
};
_Static_assert(sizeof(struct log_header) == 64, "the log header is 64 bytes");

struct record_header {
    uint32_t magic;
    uint32_t header_crc; /* of the 32 bytes behind it */
    uint64_t change;
    uint64_t durable; /* bytes of the file that were on disk when this was written */
    uint32_t op;
    uint32_t count;
    uint32_t payload_bytes; /* a multiple of 8 */
    uint32_t payload_crc;
};
_Static_assert(sizeof(struct record_header) == 40, "a record header is 40 bytes");

struct delta_log {
    atomic_int owners;
    int fd;
    char *path;
    uint32_t dims;
    uint64_t end; /* of what was written; the writer's */
    bool unusable;
    pthread_mutex_t lock; /* durable, syncing */
    pthread_cond_t synced;
    uint64_t durable;
    bool syncing;
    enum tn_code failure;
};

static uint32_t header_crc(const struct record_header *h)
{
    return tn_crc32c(0, &h->change, sizeof *h - offsetof(struct record_header, change));
}

static uint64_t payload_size(uint32_t dims, uint32_t op, uint64_t count)
{
    uint64_t size = count * 8 + (op == DELTA_INSERT ? count * dims * 4 : 0);
    return (size + 7) / 8 * 8;
}

/* The header at `at` when it is whole and makes sense. */
static bool header_at(const uint8_t *bytes, size_t size, size_t at, uint32_t dims, struct record_header *ret)
{
    if (size - at < sizeof *ret)
        return false;
    memcpy(ret, bytes + at, sizeof *ret);
    return ret->magic == RECORD_MAGIC && ret->header_crc == header_crc(ret) &&
           (ret->op == DELTA_INSERT || ret->op == DELTA_DELETE) &&
           ret->payload_bytes == payload_size(dims, ret->op, ret->count);
}

/* Whether a whole header behind `at` says that `at` had been on disk. */
static bool was_durable(const uint8_t *bytes, size_t size, size_t at, uint32_t dims)
{
    struct record_header h;
    for (size_t next = at + 8; next + sizeof h <= size; next += 8)
        if (header_at(bytes, size, next, dims, &h) && h.durable > at)
            return true;
    return false;
}

enum tn_code delta_log_replay(const void *data, size_t size, const char *name, uint32_t dims, delta_apply *apply,
                              void *context, size_t *ret_whole, struct tn_error *err)
{
    const uint8_t *bytes = data;
    struct log_header head;
    if (size < sizeof head) { /* the making of the file was torn */
        *ret_whole = 0;
        return TN_OK;
    }
    memcpy(&head, bytes, sizeof head);
    if (memcmp(head.magic, LOG_MAGIC, 8) != 0 || head.version != 1 ||
        head.crc != tn_crc32c(0, &head, offsetof(struct log_header, crc)))
        return tn_fail(err, TN_ECORRUPT, "%s: the log's header is damaged", name);
    if (head.dims != dims)
        return tn_fail(err, TN_ECORRUPT, "%s: the log is of %u dimensions, the index of %u", name, head.dims, dims);
    size_t at = sizeof head;
    uint64_t change = 0;
    TN_AUTO_BUF copy = {0}; /* aligned, whatever the file's mapping is */
    while (at < size) {
        struct record_header h;
        bool whole = header_at(bytes, size, at, dims, &h) && h.payload_bytes <= size - at - sizeof h &&
                     h.payload_crc == tn_crc32c(0, bytes + at + sizeof h, h.payload_bytes);
        if (!whole) {
            if (was_durable(bytes, size, at, dims))
                return tn_fail(err, TN_ECORRUPT, "%s: the record at byte %zu is damaged", name, at);
            break;
        }
        if (h.change <= change)
            return tn_fail(err, TN_ECORRUPT, "%s: change %llu at byte %zu comes after change %llu", name,
                           (unsigned long long)h.change, at, (unsigned long long)change);
        change = h.change;
        tn_buf_clear(&copy);
        tn_buf_append(&copy, bytes + at + sizeof h, h.payload_bytes);
        struct delta_record record = {
            .op = (enum delta_op)h.op,
            .change = h.change,
            .count = h.count,
            .ids = (const void *)copy.data,
            .rows = h.op == DELTA_INSERT && h.count ? (const void *)(copy.data + (size_t)h.count * 8) : NULL};
        TN_TRY(apply(context, &record, err));
        at += sizeof h + h.payload_bytes;
    }
    *ret_whole = at;
    return TN_OK;
}

static enum tn_code replay_file(struct delta_log *log, delta_apply *apply, void *context, size_t *ret_size,
                                size_t *ret_whole, struct tn_error *err)
{
    struct stat st;
    if (fstat(log->fd, &st) != 0)
        return tn_fail_errno(err, errno, "cannot read %s", log->path);
    *ret_size = (size_t)st.st_size;
    *ret_whole = 0;
    if (st.st_size == 0)
        return TN_OK;
    void *map = mmap(NULL, *ret_size, PROT_READ, MAP_PRIVATE, log->fd, 0);
    if (map == MAP_FAILED)
        return tn_fail_errno(err, errno, "cannot map %s", log->path);
    enum tn_code code = delta_log_replay(map, *ret_size, log->path, log->dims, apply, context, ret_whole, err);
    (void)munmap(map, *ret_size);
    return code;
}

static enum tn_code write_header(struct delta_log *log, uint64_t generation, struct tn_error *err)
{
    struct log_header head = {.version = 1, .dims = log->dims, .generation = generation};
    memcpy(head.magic, LOG_MAGIC, 8);
    head.crc = tn_crc32c(0, &head, offsetof(struct log_header, crc));
    TN_TRY(tn_write_all(log->fd, &head, sizeof head, log->path, err));
    TN_TRY(tn_fsync_fd(log->fd, log->path, err));
    TN_AUTO_FREE char *folder = tn_strdup(log->path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder ? 1 : 0] = '\0';
    return tn_fsync_dir(slash ? folder : ".", err);
}

enum tn_code delta_log_open(const char *path, uint32_t dims, uint64_t generation, bool read_only, delta_apply *apply,
                            void *context, struct delta_log **ret, struct tn_error *err)
{
    TN_CLEANUP(delta_log_close_p) struct delta_log *log = tn_calloc(1, sizeof *log);
    log->path = tn_strdup(path);
    log->dims = dims;
    atomic_init(&log->owners, 1);
    (void)pthread_mutex_init(&log->lock, NULL);
    (void)pthread_cond_init(&log->synced, NULL);
    log->fd = open(path, (read_only ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC, 0644);
    if (log->fd < 0 && read_only && errno == ENOENT) {
        log->unusable = true; /* nothing was ever changed */
        *ret = TN_TAKE(log);
        return TN_OK;
    }
    if (log->fd < 0)
        return tn_fail_errno(err, errno, "cannot open %s", path);
    size_t size = 0;
    size_t whole = 0;
    TN_TRY(replay_file(log, apply, context, &size, &whole, err));
    if (!read_only) {
        if (whole < size && ftruncate(log->fd, (off_t)whole) != 0)
            return tn_fail_errno(err, errno, "cannot cut the torn end off %s", path);
        if (lseek(log->fd, (off_t)whole, SEEK_SET) < 0)
            return tn_fail_errno(err, errno, "cannot write %s", path);
        if (whole == 0) {
            TN_TRY(write_header(log, generation, err));
            whole = sizeof(struct log_header);
        } else {
            TN_TRY(tn_fsync_fd(log->fd, path, err));
        }
    }
    log->unusable = read_only;
    log->end = log->durable = whole;
    *ret = TN_TAKE(log);
    return TN_OK;
}

struct delta_log *delta_log_ref(struct delta_log *log)
{
    atomic_fetch_add(&log->owners, 1);
    return log;
}

void delta_log_close(struct delta_log *log)
{
    if (!log || atomic_fetch_sub(&log->owners, 1) != 1)
        return;
    if (log->fd >= 0)
        (void)close(log->fd);
    (void)pthread_mutex_destroy(&log->lock);
    (void)pthread_cond_destroy(&log->synced);
    free(log->path);
    free(log);
}

#define PAYLOAD_MAX (UINT64_C(1) << 30)

enum tn_code delta_log_append(struct delta_log *log, const struct delta_record *record, uint64_t *ret_end,
                              struct tn_error *err)
{
    if (log->unusable)
        return tn_fail(err, TN_EREADONLY, "%s cannot be written", log->path);
    uint64_t payload = payload_size(log->dims, record->op, record->count);
    if (payload > PAYLOAD_MAX) {
        (void)tn_fail(err, TN_ETOOLARGE, "one change of %u rows is too large for the log", record->count);
        tn_error_hint(err, "insert fewer rows per call");
        return TN_ETOOLARGE;
    }
    struct record_header h = {.magic = RECORD_MAGIC,
                              .change = record->change,
                              .op = record->op,
                              .count = record->count,
                              .payload_bytes = (uint32_t)payload};
    (void)pthread_mutex_lock(&log->lock);
    h.durable = log->durable;
    (void)pthread_mutex_unlock(&log->lock);
    TN_AUTO_BUF out = {0};
    (void)tn_buf_reserve(&out, sizeof h + payload + 8);
    tn_buf_append(&out, &h, sizeof h);
    tn_buf_append(&out, record->ids, (size_t)record->count * 8);
    if (record->op == DELTA_INSERT)
        tn_buf_append(&out, record->rows, (size_t)record->count * log->dims * 4);
    while (out.len < sizeof h + payload)
        tn_buf_putc(&out, 0);
    h.payload_crc = tn_crc32c(0, out.data + sizeof h, payload);
    h.header_crc = header_crc(&h);
    memcpy(out.data, &h, sizeof h);
    TN_FAULT("vector.log.before_append");
    enum tn_code code = tn_write_all(log->fd, out.data, out.len, log->path, err);
    TN_FAULT("vector.log.after_append");
    if (code != TN_OK) {
        /* A half record in the way of later ones would hide them. */
        if (ftruncate(log->fd, (off_t)log->end) != 0 || lseek(log->fd, (off_t)log->end, SEEK_SET) < 0)
            log->unusable = true;
        return code;
    }
    log->end += out.len;
    *ret_end = log->end;
    return TN_OK;
}

enum tn_code delta_log_sync(struct delta_log *log, uint64_t end, struct tn_error *err)
{
    (void)pthread_mutex_lock(&log->lock);
    while (log->durable < end && log->failure == TN_OK) {
        if (log->syncing) {
            (void)pthread_cond_wait(&log->synced, &log->lock);
            continue;
        }
        log->syncing = true;
        (void)pthread_mutex_unlock(&log->lock);
        /* What is in the file now will be on disk after the fsync. */
        struct stat st;
        bool known = fstat(log->fd, &st) == 0;
        int failed = known ? fdatasync(log->fd) : -1;
        int why = errno;
        (void)pthread_mutex_lock(&log->lock);
        log->syncing = false;
        if (failed)
            log->failure = tn_fail_errno(NULL, why, "fsync");
        else
            log->durable = (uint64_t)st.st_size;
        (void)pthread_cond_broadcast(&log->synced);
    }
    enum tn_code code = log->failure;
    (void)pthread_mutex_unlock(&log->lock);
    return code == TN_OK ? TN_OK : tn_fail(err, code, "%s could not be made durable", log->path);
}

uint64_t delta_log_size(struct delta_log *log)
{
    return log->end;
}
