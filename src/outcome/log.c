/* Segments on disk: appended under a file lock, followed, read, dropped. */
#include "outcome/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_BYTES ((uint64_t)8 << 20) /* a new one begins beyond */

static char *segment_path(const char *folder, int64_t first_id)
{
    return tn_asprintf("%s/%016" PRIx64 ".log", folder, (uint64_t)first_id);
}

/* ---- the segments that are there ---------------------------------------------- */

struct segments {
    int64_t *first;
    size_t count, capacity;
};

static void segments_release(struct segments *segments)
{
    free(segments->first);
}

static enum tn_code list_segments(const char *folder, struct segments *ret, struct tn_error *err)
{
    DIR *stream = opendir(folder);
    if (!stream)
        return tn_fail_errno(err, errno, "cannot list %s", folder);
    for (const struct dirent *entry; (entry = readdir(stream));) {
        uint64_t id;
        int used = 0;
        if (strlen(entry->d_name) != 20 || sscanf(entry->d_name, "%16" SCNx64 ".log%n", &id, &used) != 1 ||
            used != 20 || id == 0 || id > INT64_MAX)
            continue;
        TN_GROW(ret->first, ret->count, ret->capacity);
        ret->first[ret->count++] = (int64_t)id;
    }
    (void)closedir(stream);
    if (ret->count > 0)
        qsort(ret->first, ret->count, sizeof *ret->first, tn_order_i64);
    return TN_OK;
}

/* ---- reading frames ----------------------------------------------------------- */

/* The frame at an offset, its payload in `work`. *ret_whole is false for what
 * is no whole frame; then nothing else is set. */
static enum tn_code read_frame(int fd, const char *path, uint64_t offset, uint64_t size, struct tn_buf *work,
                               struct log_frame *ret, bool *ret_whole, struct tn_error *err)
{
    char header[LOG_HEADER];
    *ret_whole = false;
    if (size - offset < LOG_HEADER)
        return TN_OK;
    TN_TRY(tn_pread_all(fd, header, LOG_HEADER, offset, path, err));
    struct log_frame frame;
    if (!log_header_read(header, &frame) || frame.payload_length > size - offset - LOG_HEADER)
        return TN_OK;
    tn_buf_clear(work);
    char *payload = tn_buf_reserve(work, frame.payload_length);
    TN_TRY(tn_pread_all(fd, payload, frame.payload_length, offset + LOG_HEADER, path, err));
    payload[frame.payload_length] = '\0';
    work->len = frame.payload_length;
    if (!log_frame_holds(&frame, payload))
        return TN_OK;
    *ret = frame;
    *ret_whole = true;
    return TN_OK;
}

static enum tn_code file_size(int fd, const char *path, uint64_t *ret, struct tn_error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return tn_fail_errno(err, errno, "%s", path);
    *ret = (uint64_t)info.st_size;
    return TN_OK;
}

/* Whether a whole frame begins anywhere behind an offset: then what is broken
 * there was not the end. */
static enum tn_code whole_behind(int fd, const char *path, uint64_t offset, uint64_t size, bool *ret,
                                 struct tn_error *err)
{
    TN_AUTO_BUF work = {0};
    TN_AUTO_BUF window = {0};
    *ret = false;
    for (uint64_t at = offset + 1; at + LOG_HEADER <= size && !*ret;) {
        size_t count = (size_t)TN_MIN(size - at, (uint64_t)1 << 20);
        char *bytes = tn_buf_reserve(&window, count);
        TN_TRY(tn_pread_all(fd, bytes, count, at, path, err));
        for (size_t i = 0; i + 5 <= count && !*ret; i++) {
            struct log_frame frame;
            if (memcmp(bytes + i, "TNO1 ", 5) == 0)
                TN_TRY(read_frame(fd, path, at + i, size, &work, &frame, ret, err));
        }
        if (count < 5)
            break;
        at += count - 4;
    }
    return TN_OK;
}

/* Every frame from `*offset` on. Ends at the end or at a broken one. */
static enum tn_code walk(int fd, const char *path, uint64_t size, uint64_t *offset, int64_t *last_id, int64_t from,
                         int64_t to, log_entry_fn *each, void *context, struct tn_error *err)
{
    TN_AUTO_BUF work = {0};
    while (*offset < size && *last_id < to) {
        struct log_frame frame;
        bool whole = false;
        TN_TRY(read_frame(fd, path, *offset, size, &work, &frame, &whole, err));
        if (!whole)
            return TN_OK;
        if (frame.first_id != *last_id + 1)
            return tn_fail(err, TN_ECORRUPT,
                           "%s: the frame at byte %" PRIu64 " begins with id %" PRId64 " and not %" PRId64, path,
                           *offset, frame.first_id, *last_id + 1);
        if (each)
            TN_TRY(log_frame_each(&frame, work.data, from, each, context, err));
        *offset += LOG_HEADER + frame.payload_length;
        *last_id = frame.first_id + frame.count - 1;
    }
    return TN_OK;
}

/* ---- open and close ----------------------------------------------------------- */

static enum tn_code use_segment(struct outcome_log *log, int64_t first_id, struct tn_error *err)
{
    TN_AUTO_FREE char *path = segment_path(log->folder, first_id);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return tn_fail_errno(err, errno, "cannot open %s", path);
    tn_close_p(&log->fd);
    log->fd = fd;
    log->segment = first_id;
    log->size = 0;
    log->last_id = first_id - 1;
    return TN_OK;
}

enum tn_code log_open(const char *folder, int64_t floor_id, struct outcome_log *ret, struct tn_error *err)
{
    struct outcome_log log = {.folder = tn_strdup(folder), .fd = -1, .floor_id = floor_id, .last_id = floor_id};
    TN_AUTO_FREE char *lock = tn_asprintf("%s/lock", folder);
    log.lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    enum tn_code code = log.lock_fd < 0 ? tn_fail_errno(err, errno, "cannot open %s", lock) : TN_OK;
    if (code == TN_OK)
        code = log_lock(&log, err);
    if (code == TN_OK) {
        code = log_follow(&log, err);
        log_unlock(&log);
    }
    if (code != TN_OK) {
        log_close(&log);
        return code;
    }
    *ret = log;
    return TN_OK;
}

void log_close(struct outcome_log *log)
{
    tn_close_p(&log->fd);
    tn_close_p(&log->lock_fd);
    free(log->folder);
    *log = (struct outcome_log){.fd = -1, .lock_fd = -1};
}

enum tn_code log_lock(struct outcome_log *log, struct tn_error *err)
{
    while (flock(log->lock_fd, LOCK_EX) != 0)
        if (errno != EINTR)
            return tn_fail_errno(err, errno, "cannot lock %s", log->folder);
    return TN_OK;
}

void log_unlock(struct outcome_log *log)
{
    (void)flock(log->lock_fd, LOCK_UN);
}

/* ---- following ---------------------------------------------------------------- */

/* A broken end was never acknowledged; a broken middle is damage. */
static enum tn_code mend_end(struct outcome_log *log, const char *path, uint64_t size, struct tn_error *err)
{
    bool damaged;
    TN_CLEANUP(segments_release) struct segments segments = {0};
    TN_TRY(list_segments(log->folder, &segments, err));
    TN_TRY(whole_behind(log->fd, path, log->size, size, &damaged, err));
    if (damaged || segments.first[segments.count - 1] > log->segment) {
        (void)tn_fail(err, TN_ECORRUPT, "%s is damaged at byte %" PRIu64 ", before its end", path, log->size);
        tn_error_hint(err, "restore the file from a backup, or move it away: what was rolled is in the table");
        return TN_ECORRUPT;
    }
    TN_LOG(TN_LOG_WARN, "outcome.log_cut", TN_FS("file", path), TN_FI("bytes", size - log->size));
    if (ftruncate(log->fd, (off_t)log->size) != 0)
        return tn_fail_errno(err, errno, "cannot cut the broken end of %s", path);
    return tn_fsync_fd(log->fd, path, err);
}

static enum tn_code follow_segment(struct outcome_log *log, struct tn_error *err)
{
    TN_AUTO_FREE char *path = segment_path(log->folder, log->segment);
    uint64_t size = 0;
    TN_TRY(file_size(log->fd, path, &size, err));
    if (size < log->size) /* an append that failed was taken back, or somebody cut it */
        return tn_fail(err, TN_ECORRUPT, "%s became shorter", path);
    TN_TRY(walk(log->fd, path, size, &log->size, &log->last_id, 0, INT64_MAX, NULL, NULL, err));
    return log->size == size ? TN_OK : mend_end(log, path, size, err);
}

/* The first look, or one after rolling removed segments: the newest segment
 * alone tells the last id. */
static enum tn_code find_newest(struct outcome_log *log, struct tn_error *err)
{
    TN_CLEANUP(segments_release) struct segments segments = {0};
    TN_TRY(list_segments(log->folder, &segments, err));
    if (segments.count == 0)
        return TN_OK;
    TN_TRY(use_segment(log, segments.first[segments.count - 1], err));
    return follow_segment(log, err);
}

enum tn_code log_follow(struct outcome_log *log, struct tn_error *err)
{
    if (log->fd < 0) {
        TN_TRY(find_newest(log, err));
    } else {
        for (;;) {
            TN_AUTO_FREE char *here = segment_path(log->folder, log->segment);
            TN_TRY(follow_segment(log, err));
            TN_AUTO_FREE char *next = segment_path(log->folder, log->last_id + 1);
            if (tn_streq(here, next) || access(next, F_OK) != 0)
                break;
            TN_TRY(use_segment(log, log->last_id + 1, err));
        }
    }
    if (log->last_id < log->floor_id) { /* the newest segments are gone: their ids stay used */
        tn_close_p(&log->fd);
        log->fd = -1;
        log->last_id = log->floor_id;
    }
    return TN_OK;
}

/* ---- appending ---------------------------------------------------------------- */

static enum tn_code begin_segment(struct outcome_log *log, struct tn_error *err)
{
    int64_t first_id = log->last_id + 1;
    TN_AUTO_FREE char *path = segment_path(log->folder, first_id);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return tn_fail_errno(err, errno, "cannot make %s", path);
    enum tn_code code = tn_fsync_dir(log->folder, err);
    if (code != TN_OK) {
        tn_close_p(&fd);
        return code;
    }
    tn_close_p(&log->fd);
    log->fd = fd;
    log->segment = first_id;
    log->size = 0;
    return TN_OK;
}

static enum tn_code write_at(int fd, uint64_t offset, const char *bytes, size_t count, const char *path,
                             struct tn_error *err)
{
    for (size_t done = 0; done < count;) {
        ssize_t wrote = pwrite(fd, bytes + done, count - done, (off_t)(offset + done));
        if (wrote < 0 && errno != EINTR)
            return tn_fail_errno(err, errno, "cannot append to %s", path);
        if (wrote > 0)
            done += (size_t)wrote;
    }
    return TN_OK;
}

enum tn_code log_append(struct outcome_log *log, uint32_t count, const char *payload, size_t length,
                        struct tn_error *err)
{
    if (log->fd < 0 || log->size >= SEGMENT_BYTES)
        TN_TRY(begin_segment(log, err));
    TN_AUTO_FREE char *path = segment_path(log->folder, log->segment);
    TN_AUTO_BUF frame = {0};
    log_frame_put(log->last_id + 1, count, payload, length, &frame);
    size_t half = frame.len / 2;
    enum tn_code code = write_at(log->fd, log->size, frame.data, half, path, err);
    TN_FAULT("outcome.half_written");
    if (code == TN_OK)
        code = write_at(log->fd, log->size + half, frame.data + half, frame.len - half, path, err);
    TN_FAULT("outcome.before_sync");
    if (code == TN_OK && fdatasync(log->fd) != 0)
        code = tn_fail_errno(err, errno, "cannot make %s durable", path);
    if (code != TN_OK) {
        (void)!ftruncate(log->fd, (off_t)log->size);
        return code;
    }
    log->size += frame.len;
    log->last_id += count;
    return TN_OK;
}

/* ---- reading ------------------------------------------------------------------ */

enum tn_code log_oldest(const char *folder, int64_t *ret, struct tn_error *err)
{
    TN_CLEANUP(segments_release) struct segments segments = {0};
    TN_TRY(list_segments(folder, &segments, err));
    *ret = segments.count > 0 ? segments.first[0] : 0;
    return TN_OK;
}

enum tn_code log_read(const char *folder, int64_t from, int64_t to, log_entry_fn *each, void *context,
                      struct tn_error *err)
{
    TN_CLEANUP(segments_release) struct segments segments = {0};
    if (from > to)
        return TN_OK;
    TN_TRY(list_segments(folder, &segments, err));
    size_t at = segments.count;
    while (at > 0 && segments.first[at - 1] > from)
        at--;
    if (at == 0)
        return tn_fail(err, TN_ENOTFOUND, "the log in %s does not go back to entry %" PRId64, folder, from);
    int64_t last_id = segments.first[at - 1] - 1;
    for (size_t i = at - 1; i < segments.count && last_id < to; i++) {
        TN_AUTO_FREE char *path = segment_path(folder, segments.first[i]);
        TN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
        uint64_t size = 0, offset = 0;
        if (fd < 0)
            return tn_fail_errno(err, errno, "cannot open %s", path);
        TN_TRY(file_size(fd, path, &size, err));
        TN_TRY(walk(fd, path, size, &offset, &last_id, from, to, each, context, err));
    }
    if (last_id < to)
        return tn_fail(err, TN_ECORRUPT, "the log in %s ends with entry %" PRId64 " and not %" PRId64, folder,
                       last_id, to);
    return TN_OK;
}

enum tn_code log_drop(const char *folder, int64_t id, uint64_t *ret_removed, struct tn_error *err)
{
    TN_CLEANUP(segments_release) struct segments segments = {0};
    TN_TRY(list_segments(folder, &segments, err));
    *ret_removed = 0;
    for (size_t i = 0; i + 1 < segments.count && segments.first[i + 1] - 1 <= id; i++) {
        TN_AUTO_FREE char *path = segment_path(folder, segments.first[i]);
        if (unlink(path) != 0 && errno != ENOENT)
            return tn_fail_errno(err, errno, "cannot remove %s", path);
        ++*ret_removed;
    }
    return TN_OK;
}
