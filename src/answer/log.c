/* Segments of answers on disk: appended, indexed in memory, read, dropped. */
#include "answer/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_MOST  ((uint64_t)8 << 20)
#define SEGMENT_LEAST ((uint64_t)64 << 10)

struct entry {
    char id[TN_UUID_TEXT];
    signed char feedback;
    uint32_t length;
    uint64_t segment, offset; /* of the frame's payload */
};

struct segment {
    uint64_t number, size;
};

struct answer_log {
    char *folder;
    uint64_t keep_bytes, segment_bytes;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t synced_more;
    bool ready;
    struct entry *entries; /* in the order of their coming */
    size_t count, capacity;
    struct segment *segments; /* oldest first */
    size_t segment_count, segment_capacity;
    int fd;                   /* of the last segment; -1: the next append begins one */
    uint64_t written, synced; /* appended bytes since the log was opened */
    bool syncing;
};

struct answer_log *answer_log_new(const char *folder, uint64_t keep_bytes)
{
    struct answer_log *log = tn_calloc(1, sizeof *log);
    log->folder = tn_strdup(folder);
    log->keep_bytes = keep_bytes;
    log->segment_bytes = TN_MAX(SEGMENT_LEAST, TN_MIN(SEGMENT_MOST, keep_bytes / 8));
    log->fd = -1;
    (void)pthread_mutex_init(&log->lock, NULL);
    (void)pthread_cond_init(&log->synced_more, NULL);
    return log;
}

void answer_log_free(struct answer_log *log)
{
    if (!log)
        return;
    tn_close_p(&log->fd);
    (void)pthread_cond_destroy(&log->synced_more);
    (void)pthread_mutex_destroy(&log->lock);
    free(log->segments);
    free(log->entries);
    free(log->folder);
    free(log);
}

static char *segment_path(const struct answer_log *log, uint64_t number)
{
    return tn_asprintf("%s/%016" PRIx64 ".log", log->folder, number);
}

/* ---- what is there ---------------------------------------------------------------- */

static struct entry *find(struct answer_log *log, const char *id)
{
    for (size_t i = log->count; i-- > 0;) /* what is asked for is mostly new */
        if (tn_streq(log->entries[i].id, id))
            return &log->entries[i];
    return NULL;
}

static void take(struct answer_log *log, uint64_t segment, const struct answer_frame *frame)
{
    if (frame->kind != 'a') {
        struct entry *about = find(log, frame->id);
        if (about)
            about->feedback = frame->kind == 'g' ? 1 : -1;
        return;
    }
    TN_GROW(log->entries, log->count, log->capacity);
    struct entry *entry = &log->entries[log->count++];
    *entry = (struct entry){.length = (uint32_t)frame->length, .segment = segment, .offset = frame->offset};
    memcpy(entry->id, frame->id, sizeof entry->id);
}

/* Every frame of a segment; *ret_end is where the last one ends. */
static void index_bytes(struct answer_log *log, const struct segment *segment, const char *bytes, bool newest,
                        uint64_t *ret_end)
{
    struct answer_frame frame;
    size_t offset = 0, skipped = 0;
    while (answer_frame_next(bytes, (size_t)segment->size, newest, &offset, &frame, &skipped))
        take(log, segment->number, &frame);
    *ret_end = offset;
    if (!newest)
        skipped += (size_t)segment->size - offset;
    if (skipped > 0)
        TN_LOG(TN_LOG_WARN, "answers.damaged", TN_FS("folder", log->folder), TN_FI("segment", segment->number),
               TN_FI("bytes", skipped));
}

static enum tn_code index_segment(struct answer_log *log, struct segment *segment, bool newest, struct tn_error *err)
{
    TN_AUTO_FREE char *path = segment_path(log, segment->number);
    TN_AUTO_CLOSE int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
    struct stat info;
    uint64_t end = 0;
    if (fd < 0 || fstat(fd, &info) != 0)
        return tn_fail_errno(err, errno, "cannot open %s", path);
    segment->size = (uint64_t)info.st_size;
    if (segment->size > 0) {
        void *bytes = mmap(NULL, (size_t)segment->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED)
            return tn_fail_errno(err, errno, "cannot map %s", path);
        index_bytes(log, segment, bytes, newest, &end);
        (void)munmap(bytes, (size_t)segment->size);
    }
    if (!newest)
        return TN_OK;
    if (end < segment->size && ftruncate(fd, (off_t)end) != 0)
        return tn_fail_errno(err, errno, "cannot cut the unfinished end off %s", path);
    segment->size = end;
    log->fd = fd;
    fd = -1;
    return TN_OK;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = ((const struct segment *)a)->number, y = ((const struct segment *)b)->number;
    return (x > y) - (x < y);
}

static enum tn_code list_segments(struct answer_log *log, struct tn_error *err)
{
    DIR *stream = opendir(log->folder);
    if (!stream && errno == ENOENT)
        return TN_OK;
    if (!stream)
        return tn_fail_errno(err, errno, "cannot list %s", log->folder);
    for (const struct dirent *entry; (entry = readdir(stream));) {
        uint64_t number;
        int used = 0;
        if (strlen(entry->d_name) != 20 || sscanf(entry->d_name, "%16" SCNx64 ".log%n", &number, &used) != 1 ||
            used != 20)
            continue;
        TN_GROW(log->segments, log->segment_count, log->segment_capacity);
        log->segments[log->segment_count++] = (struct segment){.number = number};
    }
    (void)closedir(stream);
    if (log->segment_count > 0)
        qsort(log->segments, log->segment_count, sizeof *log->segments, by_number);
    return TN_OK;
}

/* Under the lock. */
static enum tn_code make_ready(struct answer_log *log, struct tn_error *err)
{
    if (log->ready)
        return TN_OK;
    log->count = log->segment_count = 0;
    tn_close_p(&log->fd);
    log->fd = -1;
    TN_TRY(list_segments(log, err));
    for (size_t i = 0; i < log->segment_count; i++)
        TN_TRY(index_segment(log, &log->segments[i], i + 1 == log->segment_count, err));
    log->ready = true;
    return TN_OK;
}

/* ---- appending ---------------------------------------------------------------------- */

static void drop_oldest(struct answer_log *log)
{
    uint64_t total = 0;
    size_t gone = 0, entry = 0;
    for (size_t i = 0; i < log->segment_count; i++)
        total += log->segments[i].size;
    while (total > log->keep_bytes && gone + 1 < log->segment_count) {
        TN_AUTO_FREE char *path = segment_path(log, log->segments[gone].number);
        if (unlink(path) != 0 && errno != ENOENT)
            break;
        total -= log->segments[gone++].size;
    }
    if (gone == 0)
        return;
    uint64_t oldest = log->segments[gone].number;
    while (entry < log->count && log->entries[entry].segment < oldest)
        entry++;
    memmove(log->entries, log->entries + entry, (log->count - entry) * sizeof *log->entries);
    log->count -= entry;
    memmove(log->segments, log->segments + gone, (log->segment_count - gone) * sizeof *log->segments);
    log->segment_count -= gone;
}

static enum tn_code begin_segment(struct answer_log *log, struct tn_error *err)
{
    uint64_t number = log->segment_count ? log->segments[log->segment_count - 1].number + 1 : 1;
    TN_TRY(tn_mkdirs(log->folder, 0700, err));
    TN_AUTO_FREE char *path = segment_path(log, number);
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return tn_fail_errno(err, errno, "cannot create %s", path);
    enum tn_code code = tn_fsync_dir(log->folder, err);
    if (code != TN_OK) {
        (void)close(fd);
        return code;
    }
    tn_close_p(&log->fd);
    log->fd = fd;
    TN_GROW(log->segments, log->segment_count, log->segment_capacity);
    log->segments[log->segment_count++] = (struct segment){.number = number};
    drop_oldest(log);
    return TN_OK;
}

/* Under the lock, with nobody else's fsync under way where the descriptor changes. */
static enum tn_code write_frame(struct answer_log *log, const struct tn_buf *bytes, struct tn_error *err)
{
    TN_TRY(make_ready(log, err));
    if (log->fd < 0 || log->segments[log->segment_count - 1].size >= log->segment_bytes) {
        while (log->syncing)
            (void)pthread_cond_wait(&log->synced_more, &log->lock);
        if (log->fd >= 0 && log->synced < log->written) {
            TN_TRY(tn_fsync_fd(log->fd, log->folder, err));
            log->synced = log->written;
        }
        if (log->fd < 0 || log->segments[log->segment_count - 1].size >= log->segment_bytes)
            TN_TRY(begin_segment(log, err));
    }
    struct segment *segment = &log->segments[log->segment_count - 1];
    enum tn_code code = tn_write_all(log->fd, bytes->data, bytes->len, log->folder, err);
    if (code != TN_OK) { /* a part of it may stand there; what cannot be cut is stepped over when it is read */
        (void)!ftruncate(log->fd, (off_t)segment->size);
        return code;
    }
    segment->size += bytes->len;
    log->written += bytes->len;
    return TN_OK;
}

/* Under the lock: until everything written up to `until` is durable. One caller
 * calls fsync for all that have written meanwhile. */
static enum tn_code make_durable(struct answer_log *log, uint64_t until, struct tn_error *err)
{
    while (log->synced < until) {
        if (log->syncing) {
            (void)pthread_cond_wait(&log->synced_more, &log->lock);
            continue;
        }
        uint64_t upto = log->written;
        int fd = log->fd;
        log->syncing = true;
        (void)pthread_mutex_unlock(&log->lock);
        enum tn_code code = tn_fsync_fd(fd, log->folder, err);
        (void)pthread_mutex_lock(&log->lock);
        log->syncing = false;
        if (code == TN_OK)
            log->synced = TN_MAX(log->synced, upto);
        (void)pthread_cond_broadcast(&log->synced_more);
        TN_TRY(code);
    }
    return TN_OK;
}

enum tn_code answer_log_append(struct answer_log *log, char kind, const char *id, const char *payload, size_t length,
                               struct tn_error *err)
{
    TN_AUTO_BUF bytes = {0};
    struct answer_frame frame = {.kind = kind, .length = length};
    if (length > ANSWER_PAYLOAD_MAX)
        return tn_fail(err, TN_ETOOLARGE, "an answer of %zu bytes does not go into the log", length);
    answer_frame_put(kind, id, payload, length, &bytes);
    memcpy(frame.id, id, sizeof frame.id);
    (void)pthread_mutex_lock(&log->lock);
    enum tn_code code = write_frame(log, &bytes, err);
    if (code == TN_OK) {
        const struct segment *segment = &log->segments[log->segment_count - 1];
        frame.offset = (size_t)(segment->size - length);
        take(log, segment->number, &frame);
        code = make_durable(log, log->written, err);
    }
    (void)pthread_mutex_unlock(&log->lock);
    return code;
}

/* ---- reading --------------------------------------------------------------------------- */

static enum tn_code not_there(const char *id, struct tn_error *err)
{
    tn_fail(err, TN_ENOTFOUND, "no answer has the id \"%.60s\"", id);
    tn_error_hint(err, "tarn answers lists those that are kept; the oldest go when answer.keep is reached");
    return TN_ENOTFOUND;
}

enum tn_code answer_log_get(struct answer_log *log, const char *id, struct tn_buf *ret, int *ret_feedback,
                            struct tn_error *err)
{
    (void)pthread_mutex_lock(&log->lock);
    enum tn_code code = make_ready(log, err);
    const struct entry *found = code == TN_OK ? find(log, id) : NULL;
    struct entry entry = {0};
    if (found)
        entry = *found;
    (void)pthread_mutex_unlock(&log->lock);
    TN_TRY(code);
    if (!entry.id[0])
        return not_there(id, err);
    TN_AUTO_FREE char *path = segment_path(log, entry.segment);
    TN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? not_there(id, err) : tn_fail_errno(err, errno, "cannot open %s", path);
    TN_AUTO_BUF bytes = {0};
    struct answer_frame frame;
    size_t offset = 0, skipped = 0, size = ANSWER_FRAME_HEADER + (size_t)entry.length;
    char *into = tn_buf_reserve(&bytes, size);
    TN_TRY(tn_pread_all(fd, into, size, entry.offset - ANSWER_FRAME_HEADER, path, err));
    if (!answer_frame_next(into, size, true, &offset, &frame, &skipped) || skipped > 0 ||
        frame.length != entry.length)
        return tn_fail(err, TN_ECORRUPT, "answer %s is damaged in %s", id, path);
    tn_buf_append(ret, into + frame.offset, frame.length);
    *ret_feedback = entry.feedback;
    return TN_OK;
}

enum tn_code answer_log_ids(struct answer_log *log, const char *before, size_t count, char (*ret_ids)[TN_UUID_TEXT],
                            size_t *ret_count, bool *ret_more, struct tn_error *err)
{
    (void)pthread_mutex_lock(&log->lock);
    enum tn_code code = make_ready(log, err);
    size_t end = code == TN_OK ? log->count : 0;
    if (code == TN_OK && before) {
        const struct entry *entry = find(log, before);
        end = entry ? (size_t)(entry - log->entries) : 0;
        if (!entry)
            code = tn_fail(err, TN_EREQUEST, "the cursor \"%.60s\" names no answer that is kept", before);
    }
    if (code == TN_OK) {
        size_t taken = TN_MIN(count, end);
        for (size_t i = 0; i < taken; i++)
            memcpy(ret_ids[i], log->entries[end - 1 - i].id, TN_UUID_TEXT);
        *ret_count = taken;
        *ret_more = taken < end;
    }
    (void)pthread_mutex_unlock(&log->lock);
    return code;
}
