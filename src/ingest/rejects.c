/* Rows that could not be taken: written down, never dropped in silence. */
#include "ingest/ingest_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define REJECTS_MEMORY (256U << 10)

void rejects_init(struct rejects *rejects, struct store *store)
{
    *rejects = (struct rejects){.store = store, .fd = -1};
}

void rejects_release(struct rejects *rejects)
{
    if (!rejects->store)
        return;
    tn_buf_release(&rejects->text);
    if (rejects->fd >= 0)
        (void)close(rejects->fd);
    if (rejects->path)
        (void)unlink(rejects->path);
    free(rejects->path);
    for (size_t i = 0; i < rejects->shown; i++)
        free(rejects->first[i]);
    *rejects = (struct rejects){0};
}

static enum tn_code open_file(struct rejects *rejects, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    char *path;
    TN_TRY(store_stage_path(rejects->store, arena, ".rejects", &path, err));
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return tn_fail_errno(err, errno, "%s", path);
    rejects->fd = fd;
    rejects->path = tn_strdup(path);
    return TN_OK;
}

static enum tn_code flush(struct rejects *rejects, struct tn_error *err)
{
    if (rejects->fd < 0)
        TN_TRY(open_file(rejects, err));
    if (rejects->text.len)
        TN_TRY(tn_write_all(rejects->fd, rejects->text.data, rejects->text.len, rejects->path, err));
    tn_buf_clear(&rejects->text);
    return TN_OK;
}

static size_t cut_value(const char *value, size_t length)
{
    if (length <= INGEST_REJECT_VALUE_BYTES)
        return length;
    return tn_utf8_floor(value, length, INGEST_REJECT_VALUE_BYTES);
}

static void keep_first(struct rejects *rejects, uint64_t line, const char *column, const char *value,
                       size_t value_length, const char *reason)
{
    if (rejects->shown == REJECTS_SHOWN)
        return;
    size_t shown = tn_utf8_floor(value, value_length, TN_MIN(value_length, (size_t)60));
    rejects->first[rejects->shown++] = column
                                           ? tn_asprintf("line %llu, column \"%.60s\": \"%.*s\" is %s",
                                                         (unsigned long long)line, column, (int)shown, value, reason)
                                           : tn_asprintf("line %llu: %s", (unsigned long long)line, reason);
}

void rejects_add(struct rejects *rejects, uint64_t line, const char *column, const char *value, size_t value_length,
                 const char *reason, const char *record, size_t record_length)
{
    if (column)
        rejects->misfits++;
    else
        rejects->misshapen++;
    keep_first(rejects, line, column, value, value_length, reason);
    struct tn_json json = tn_json_writer(&rejects->text);
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "line", (int64_t)line);
    tn_json_kstr(&json, "column", column);
    tn_json_key(&json, "value");
    tn_json_strn(&json, value ? value : "", cut_value(value ? value : "", value_length));
    tn_json_kstr(&json, "reason", reason);
    tn_json_key(&json, "record");
    tn_json_strn(&json, record, TN_MIN(record_length, (size_t)64 << 10));
    tn_json_close(&json, '}');
    tn_buf_putc(&rejects->text, '\n');
    if (rejects->text.len > REJECTS_MEMORY && rejects->failure == TN_OK)
        rejects->failure = flush(rejects, &rejects->error);
    if (rejects->failure != TN_OK)
        tn_buf_clear(&rejects->text);
}

static enum tn_code copy_file(struct rejects *into, const struct rejects *from, struct tn_error *err)
{
    TN_AUTO_FREE char *piece = tn_malloc(REJECTS_MEMORY);
    for (off_t at = 0;;) {
        ssize_t count = pread(from->fd, piece, REJECTS_MEMORY, at);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return tn_fail_errno(err, errno, "%s", from->path);
        if (count == 0)
            return TN_OK;
        TN_TRY(tn_write_all(into->fd, piece, (size_t)count, into->path, err));
        at += count;
    }
}

enum tn_code rejects_append(struct rejects *into, struct rejects *from, struct tn_error *err)
{
    if (from->failure != TN_OK) {
        if (err)
            *err = from->error;
        return from->failure;
    }
    into->misfits += from->misfits;
    into->misshapen += from->misshapen;
    for (size_t i = 0; i < from->shown && into->shown < REJECTS_SHOWN; i++)
        into->first[into->shown++] = TN_TAKE(from->first[i]);
    if (from->fd >= 0) {
        TN_TRY(flush(into, err));
        TN_TRY(copy_file(into, from, err));
    }
    if (from->text.len)
        tn_buf_append(&into->text, from->text.data, from->text.len);
    return into->text.len > REJECTS_MEMORY ? flush(into, err) : TN_OK;
}

static void rejects_key(const char *ingest_id, char out[96])
{
    (void)snprintf(out, 96, "ingests/%.36s/rejects.ndjson", ingest_id);
}

enum tn_code rejects_store(struct rejects *rejects, const char *ingest_id, struct tn_error *err)
{
    char key[96];
    rejects_key(ingest_id, key);
    if (rejects->fd < 0)
        return store_put(rejects->store, key, rejects->text.data ? rejects->text.data : "", rejects->text.len, err);
    TN_TRY(flush(rejects, err));
    TN_TRY(store_put_file(rejects->store, key, rejects->path, err));
    free(TN_TAKE(rejects->path));
    return TN_OK;
}

static bool is_uuid(const char *text)
{
    unsigned char bytes[16];
    return strlen(text) == 36 && typed_uuid(text, 36, bytes);
}

enum tn_code ingest_rejects(struct lake *lake, const char *ingest_id,
                            enum tn_code (*write)(void *, const char *, size_t), void *context, struct tn_error *err)
{
    char key[96];
    uint64_t size = 0;
    rejects_key(ingest_id, key);
    enum tn_code code = is_uuid(ingest_id) ? store_head(lake->store, key, &size, err) : TN_ENOTFOUND;
    if (code == TN_ENOTFOUND) {
        tn_fail(err, TN_ENOTFOUND, "no rejected rows are kept for an ingest \"%.60s\"", ingest_id);
        tn_error_hint(err, "an ingest without rejected rows keeps none");
        return TN_ENOTFOUND;
    }
    TN_TRY(code);
    TN_AUTO_FREE char *piece = tn_malloc(REJECTS_MEMORY);
    for (uint64_t at = 0; at < size;) {
        size_t count = (size_t)TN_MIN(size - at, (uint64_t)REJECTS_MEMORY);
        TN_TRY(store_read(lake->store, key, at, count, piece, err));
        code = write(context, piece, count);
        if (code != TN_OK)
            return tn_fail(err, code, "the reader of the rejected rows went away");
        at += count;
    }
    return TN_OK;
}
