/* The log of chunk texts and its map. The format: docs/formats/chunk-file.md. */
#include "index/chunk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_BYTES 64
#define LOG_MAGIC  "TARNCHK1"
#define MAP_MAGIC  "TARNCHM1"
#define KIND_PUT   1U
#define KIND_GONE  2U
#define ROOM_LEAST ((size_t)16 << 20)

/* Little endian, as all machines that Tarn runs on. */
struct file_head {
    char magic[8];
    uint64_t log_length; /* of the map: how much of the log it knows */
    uint64_t live;       /* of the map: bytes of the records that it points to; 0: not counted */
    uint32_t reserved[9];
    uint32_t crc; /* of the bytes before */
};
_Static_assert(sizeof(struct file_head) == HEAD_BYTES, "the head is a format");

struct record_head {
    uint32_t crc; /* of all that follows, padding left out */
    uint32_t kind;
    int64_t id;
    uint64_t begin, end;
    uint32_t number;
    uint32_t text_length;
    uint16_t doc_id_length, column_length;
    uint32_t reserved;
};
_Static_assert(sizeof(struct record_head) == 48, "a record is a format");

/* A mapping is replaced by a larger one as the file grows; readers may hold
 * texts of the old one, so all of them stay until the end. */
struct mapping {
    struct mapping *before;
    const char *bytes;
    size_t size;
};

struct mapped_file {
    int fd;
    char *path;
    struct mapping *_Atomic mapping;
    _Atomic uint64_t length; /* that readers may look at */
};

struct change {
    int64_t id;
    uint64_t offset; /* 0: gone */
};

struct chunk_file {
    struct mapped_file log, map;
    uint64_t live;         /* bytes of the records that the map points to */
    struct tn_buf pending; /* records of changes */
    struct change *changes;
    size_t change_count, change_capacity;
};

/* ---- mapped files ------------------------------------------------------------ */

static enum tn_code map_up_to(struct mapped_file *file, uint64_t length, struct tn_error *err)
{
    struct mapping *old = atomic_load(&file->mapping);
    if (old && old->size >= length)
        return TN_OK;
    size_t size = ROOM_LEAST;
    while (size < length)
        size *= 2;
    /* Beyond the file's end nobody looks; the room is for what will be appended. */
    void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, file->fd, 0);
    if (bytes == MAP_FAILED)
        return tn_fail_errno(err, errno, "cannot map %s", file->path);
    struct mapping *mapping = tn_malloc(sizeof *mapping);
    *mapping = (struct mapping){.before = old, .bytes = bytes, .size = size};
    atomic_store(&file->mapping, mapping);
    return TN_OK;
}

static const char *bytes_at(struct mapped_file *file, uint64_t offset)
{
    return atomic_load(&file->mapping)->bytes + offset;
}

static void mapped_close(struct mapped_file *file)
{
    for (struct mapping *mapping = atomic_load(&file->mapping); mapping;) {
        struct mapping *before = mapping->before;
        (void)munmap((void *)(uintptr_t)mapping->bytes, mapping->size);
        free(mapping);
        mapping = before;
    }
    if (file->fd >= 0)
        (void)close(file->fd);
    free(file->path);
}

static enum tn_code pwrite_all(struct mapped_file *file, const void *bytes, size_t count, uint64_t offset,
                               struct tn_error *err)
{
    const char *at = bytes;
    while (count > 0) {
        ssize_t done = pwrite(file->fd, at, count, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return tn_fail_errno(err, errno, "cannot write %s", file->path);
        at += done;
        offset += (uint64_t)done;
        count -= (size_t)done;
    }
    return TN_OK;
}

static enum tn_code write_head(struct mapped_file *file, const char *magic, uint64_t log_length, uint64_t live,
                               struct tn_error *err)
{
    struct file_head head = {.log_length = log_length, .live = live};
    memcpy(head.magic, magic, sizeof head.magic);
    head.crc = tn_crc32c(0, &head, offsetof(struct file_head, crc));
    return pwrite_all(file, &head, sizeof head, 0, err);
}

static bool head_is_good(const struct file_head *head, const char *magic)
{
    return memcmp(head->magic, magic, sizeof head->magic) == 0 &&
           head->crc == tn_crc32c(0, head, offsetof(struct file_head, crc));
}

static enum tn_code mapped_open(struct mapped_file *file, const char *folder, uint64_t number, const char *kind,
                                uint64_t *ret_size, struct tn_error *err)
{
    struct stat status;
    file->path = number == 0 ? tn_asprintf("%s/chunks.%s", folder, kind)
                             : tn_asprintf("%s/chunks-%" PRIu64 ".%s", folder, number, kind);
    file->fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file->fd < 0)
        return tn_fail_errno(err, errno, "cannot open %s", file->path);
    if (fstat(file->fd, &status) != 0)
        return tn_fail_errno(err, errno, "cannot look at %s", file->path);
    *ret_size = (uint64_t)status.st_size;
    return map_up_to(file, *ret_size, err);
}

/* ---- records -------------------------------------------------------------------- */

static size_t payload_size(const struct record_head *head)
{
    return (size_t)head->doc_id_length + head->column_length + head->text_length;
}

static size_t padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

static size_t record_size(const struct record_head *head)
{
    return padded(sizeof *head + payload_size(head));
}

static uint32_t record_crc(const struct record_head *head, const char *payload)
{
    uint32_t crc = tn_crc32c(0, &head->kind, sizeof *head - offsetof(struct record_head, kind));
    return tn_crc32c(crc, payload, payload_size(head));
}

/* The whole record at `offset`, checked; false when there is none. */
static bool read_record(struct chunk_file *file, uint64_t offset, uint64_t limit, struct record_head *ret,
                        const char **ret_payload)
{
    if (offset < HEAD_BYTES || offset % 8 != 0 || limit < sizeof *ret || offset > limit - sizeof *ret)
        return false;
    memcpy(ret, bytes_at(&file->log, offset), sizeof *ret);
    if (ret->text_length > CHUNK_TEXT_MAX || ret->id < 0 || ret->id >= CHUNK_ID_MAX ||
        record_size(ret) > limit - offset)
        return false;
    *ret_payload = bytes_at(&file->log, offset + sizeof *ret);
    return ret->crc == record_crc(ret, *ret_payload);
}

static void note_change(struct chunk_file *file, int64_t id, uint64_t offset)
{
    TN_GROW(file->changes, file->change_count, file->change_capacity);
    file->changes[file->change_count++] = (struct change){.id = id, .offset = offset};
}

static void append(struct chunk_file *file, struct record_head *head, const struct chunk_record *record)
{
    size_t start = file->pending.len;
    tn_buf_append(&file->pending, head, sizeof *head);
    if (record) {
        tn_buf_append(&file->pending, record->doc_id, record->doc_id_length);
        tn_buf_append(&file->pending, record->column, record->column_length);
        tn_buf_append(&file->pending, record->text, record->text_length);
    }
    head->crc = record_crc(head, file->pending.data + start + sizeof *head);
    memcpy(file->pending.data + start, &head->crc, sizeof head->crc);
    while (file->pending.len % 8 != 0)
        tn_buf_putc(&file->pending, '\0');
}

enum tn_code chunk_file_put(struct chunk_file *file, const struct chunk_record *record, struct tn_error *err)
{
    if (record->doc_id_length > CHUNK_DOC_ID_MAX || record->column_length > CHUNK_COLUMN_MAX ||
        record->text_length > CHUNK_TEXT_MAX || record->id < 0 || record->id >= CHUNK_ID_MAX)
        return tn_fail(err, TN_ETOOLARGE, "a chunk of document \"%.60s\" is too large to be indexed", record->doc_id);
    struct record_head head = {.kind = KIND_PUT,
                               .id = record->id,
                               .begin = record->begin,
                               .end = record->end,
                               .number = record->number,
                               .text_length = (uint32_t)record->text_length,
                               .doc_id_length = (uint16_t)record->doc_id_length,
                               .column_length = (uint16_t)record->column_length};
    note_change(file, record->id, atomic_load(&file->log.length) + file->pending.len);
    append(file, &head, record);
    return TN_OK;
}

void chunk_file_remove(struct chunk_file *file, int64_t id)
{
    struct record_head head = {.kind = KIND_GONE, .id = id};
    note_change(file, id, 0);
    append(file, &head, NULL);
}

/* ---- the map ----------------------------------------------------------------------- */

static uint64_t place_of(int64_t id)
{
    return HEAD_BYTES + (uint64_t)id * 8;
}

/* What the record there takes; 0 where none begins. */
static uint64_t bytes_of(struct chunk_file *file, uint64_t offset)
{
    struct record_head head;
    uint64_t limit = atomic_load(&file->log.length);
    if (offset < HEAD_BYTES || limit < sizeof head || offset > limit - sizeof head)
        return 0;
    memcpy(&head, bytes_at(&file->log, offset), sizeof head);
    return record_size(&head);
}

static uint64_t offset_of(struct chunk_file *file, int64_t id)
{
    uint64_t offset = 0;
    if (id >= 0 && id < chunk_file_limit(file))
        memcpy(&offset, bytes_at(&file->map, place_of(id)), sizeof offset);
    return offset;
}

static void count_change(struct chunk_file *file, const struct change *change)
{
    file->live -= TN_MIN(file->live, bytes_of(file, offset_of(file, change->id)));
    file->live += bytes_of(file, change->offset);
}

/* Entries between the old end and a new one are holes of the file: zeros. */
static enum tn_code write_places(struct chunk_file *file, struct tn_error *err)
{
    uint64_t limit = atomic_load(&file->map.length);
    for (size_t i = 0; i < file->change_count;) {
        /* Neighbours in one write: new chunks have numbers in a row. */
        uint64_t run[512];
        size_t count = 0;
        int64_t first = file->changes[i].id;
        while (i < file->change_count && count < TN_COUNT(run) && file->changes[i].id == first + (int64_t)count) {
            count_change(file, &file->changes[i]);
            run[count++] = file->changes[i++].offset;
        }
        TN_TRY(pwrite_all(&file->map, run, count * sizeof *run, place_of(first), err));
        limit = TN_MAX(limit, place_of(first) + count * sizeof *run);
        TN_TRY(map_up_to(&file->map, limit, err));
        atomic_store(&file->map.length, limit);
    }
    file->change_count = 0;
    return TN_OK;
}

enum tn_code chunk_file_flush(struct chunk_file *file, uint64_t *ret_length, struct tn_error *err)
{
    uint64_t from = atomic_load(&file->log.length), length = from + file->pending.len;
    if (file->pending.len > 0) {
        TN_TRY(pwrite_all(&file->log, file->pending.data, file->pending.len, from, err));
        TN_TRY(map_up_to(&file->log, length, err));
        atomic_store(&file->log.length, length);
        TN_TRY(write_places(file, err));
        TN_TRY(write_head(&file->map, MAP_MAGIC, length, file->live, err));
        tn_buf_clear(&file->pending);
    }
    *ret_length = length;
    return TN_OK;
}

/* Reads the log and writes the map anew; *ret_length: the whole records. */
static enum tn_code make_map(struct chunk_file *file, uint64_t limit, uint64_t *ret_length, struct tn_error *err)
{
    struct record_head head;
    const char *payload;
    if (ftruncate(file->map.fd, 0) != 0)
        return tn_fail_errno(err, errno, "cannot empty %s", file->map.path);
    TN_TRY(write_head(&file->map, MAP_MAGIC, 0, 0, err));
    atomic_store(&file->map.length, HEAD_BYTES);
    atomic_store(&file->log.length, limit); /* what is counted lies before */
    file->live = 0;
    uint64_t offset = HEAD_BYTES;
    while (read_record(file, offset, limit, &head, &payload)) {
        note_change(file, head.id, head.kind == KIND_PUT ? offset : 0);
        if (file->change_count == 4096)
            TN_TRY(write_places(file, err));
        offset += record_size(&head);
    }
    TN_TRY(write_places(file, err));
    *ret_length = offset;
    return write_head(&file->map, MAP_MAGIC, offset, file->live, err);
}

/* ---- open, close, read ------------------------------------------------------------ */

static enum tn_code begin_log(struct chunk_file *file, struct tn_error *err)
{
    if (ftruncate(file->log.fd, 0) != 0)
        return tn_fail_errno(err, errno, "cannot empty %s", file->log.path);
    TN_TRY(write_head(&file->log, LOG_MAGIC, 0, 0, err));
    atomic_store(&file->log.length, HEAD_BYTES);
    uint64_t length;
    return make_map(file, HEAD_BYTES, &length, err);
}

/* For a map of before this was kept. */
static void count_live(struct chunk_file *file)
{
    file->live = 0;
    for (int64_t id = 0; id < chunk_file_limit(file); id++)
        file->live += bytes_of(file, offset_of(file, id));
}

static enum tn_code adopt_log(struct chunk_file *file, uint64_t size, uint64_t map_size, uint64_t length,
                              struct tn_error *err)
{
    struct file_head head = {0};
    uint64_t limit = length == CHUNK_FILE_WHOLE ? size : length;
    if (size >= HEAD_BYTES)
        memcpy(&head, bytes_at(&file->log, 0), sizeof head);
    if (!head_is_good(&head, LOG_MAGIC) || size < limit)
        return tn_fail(err, TN_ECORRUPT, "%s is damaged or shorter than it should be", file->log.path);
    head = (struct file_head){0};
    if (map_size >= HEAD_BYTES)
        memcpy(&head, bytes_at(&file->map, 0), sizeof head);
    atomic_store(&file->map.length, map_size);
    if (!head_is_good(&head, MAP_MAGIC) || head.log_length != limit) {
        uint64_t whole;
        TN_TRY(make_map(file, limit, &whole, err));
        if (length != CHUNK_FILE_WHOLE && whole != length)
            return tn_fail(err, TN_ECORRUPT, "%s is damaged at byte %" PRIu64, file->log.path, whole);
        limit = whole;
        head.live = file->live;
    }
    if (size > limit && ftruncate(file->log.fd, (off_t)limit) != 0)
        return tn_fail_errno(err, errno, "cannot cut %s", file->log.path);
    atomic_store(&file->log.length, limit);
    file->live = head.live;
    if (file->live == 0 || file->live > limit)
        count_live(file);
    return TN_OK;
}

enum tn_code chunk_file_open(const char *folder, uint64_t number, uint64_t length, struct chunk_file **ret,
                             struct tn_error *err)
{
    TN_CLEANUP(chunk_file_close_p) struct chunk_file *file = tn_calloc(1, sizeof *file);
    uint64_t size, map_size;
    file->log.fd = file->map.fd = -1;
    TN_TRY(mapped_open(&file->log, folder, number, "log", &size, err));
    TN_TRY(mapped_open(&file->map, folder, number, "map", &map_size, err));
    if (length == 0 || (length == CHUNK_FILE_WHOLE && size == 0))
        TN_TRY(begin_log(file, err));
    else
        TN_TRY(adopt_log(file, size, map_size, length, err));
    *ret = TN_TAKE(file);
    return TN_OK;
}

void chunk_file_close(struct chunk_file *file)
{
    if (!file)
        return;
    mapped_close(&file->log);
    mapped_close(&file->map);
    tn_buf_release(&file->pending);
    free(file->changes);
    free(file);
}

enum tn_code chunk_file_get(struct chunk_file *file, int64_t id, struct chunk_record *ret, struct tn_error *err)
{
    struct record_head head;
    const char *payload;
    uint64_t offset = offset_of(file, id);
    if (offset == 0)
        return tn_fail(err, TN_ENOTFOUND, "there is no chunk %" PRId64, id);
    if (!read_record(file, offset, atomic_load(&file->log.length), &head, &payload) || head.id != id ||
        head.kind != KIND_PUT)
        return tn_fail(err, TN_ECORRUPT, "chunk %" PRId64 " in %s is damaged", id, file->log.path);
    *ret = (struct chunk_record){.id = id,
                                 .number = head.number,
                                 .begin = head.begin,
                                 .end = head.end,
                                 .doc_id = payload,
                                 .doc_id_length = head.doc_id_length,
                                 .column = payload + head.doc_id_length,
                                 .column_length = head.column_length,
                                 .text = payload + head.doc_id_length + head.column_length,
                                 .text_length = head.text_length};
    return TN_OK;
}

bool chunk_file_has(struct chunk_file *file, int64_t id)
{
    return offset_of(file, id) != 0;
}

uint32_t chunk_file_length(struct chunk_file *file, int64_t id)
{
    struct record_head head;
    uint64_t offset = offset_of(file, id), limit = atomic_load(&file->log.length);
    if (offset < HEAD_BYTES || limit < sizeof head || offset > limit - sizeof head)
        return 0;
    memcpy(&head, bytes_at(&file->log, offset), sizeof head);
    return head.text_length;
}

int64_t chunk_file_limit(struct chunk_file *file)
{
    uint64_t length = atomic_load(&file->map.length);
    return length < HEAD_BYTES ? 0 : (int64_t)((length - HEAD_BYTES) / 8);
}

uint64_t chunk_file_bytes(struct chunk_file *file)
{
    return atomic_load(&file->log.length) + atomic_load(&file->map.length);
}

bool chunk_file_fold_is_due(struct chunk_file *file)
{
    uint64_t length = atomic_load(&file->log.length) - HEAD_BYTES;
    return length > file->live && length - file->live > TN_MAX(file->live, CHUNK_FILE_SPARE);
}

enum tn_code chunk_file_sync(struct chunk_file *file, struct tn_error *err)
{
    TN_TRY(tn_fsync_fd(file->log.fd, file->log.path, err));
    return tn_fsync_fd(file->map.fd, file->map.path, err);
}
