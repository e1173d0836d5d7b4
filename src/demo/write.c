/* Tables in chunks: rendered here or by the threads of a pool, handed on in
 * order. A chunk is a range of rows, so that its bytes do not depend on who
 * renders it.
 */
#include "demo/demo_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const struct {
    const char *name;
    const char *key;
    const char *file;
    enum demo_format format;
} tables[DEMO_TABLES] = {
    [DEMO_CANDIDATES] = {"candidates", "candidate_id", "candidates.csv", DEMO_CSV},
    [DEMO_CLIENTS] = {"clients", "client_id", "clients.csv", DEMO_CSV},
    [DEMO_JOB_ORDERS] = {"job_orders", "job_id", "job_orders.csv", DEMO_CSV},
    [DEMO_PLACEMENTS] = {"placements", "placement_id", "placements.csv", DEMO_CSV},
    [DEMO_TIMESHEETS] = {"timesheets", "timesheet_id", "timesheets.csv", DEMO_CSV},
    [DEMO_CALL_LOG] = {"call_log", "call_id", "call_log.csv", DEMO_CSV},
    [DEMO_EMAIL_LOG] = {"email_log", "email_id", "email_log.ndjson", DEMO_NDJSON},
};

const char *demo_table_name(enum demo_table table)
{
    return tables[table].name;
}

const char *demo_table_key(enum demo_table table)
{
    return tables[table].key;
}

enum demo_format demo_table_format(enum demo_table table)
{
    return tables[table].format;
}

const char *demo_table_file(enum demo_table table)
{
    return tables[table].file;
}

void demo_staffing_render(const struct demo_staffing *staffing, enum demo_table table, enum demo_format format,
                          uint64_t first, uint64_t count, struct tn_buf *buf)
{
    struct demo_emit emit = {.buf = buf, .format = format, .columns = demo_columns[table]};
    if (first == 0)
        demo_emit_header(&emit);
    demo_rows_render(staffing, table, first, count, &emit);
}

#define CHUNK_ROWS 8192

struct chunk {
    const struct demo_staffing *staffing;
    enum demo_table table;
    enum demo_format format;
    uint64_t first;
    uint64_t count;
    struct tn_buf buf;
};

static void render_chunk(void *argument)
{
    struct chunk *chunk = argument;
    tn_buf_clear(&chunk->buf);
    demo_staffing_render(chunk->staffing, chunk->table, chunk->format, chunk->first, chunk->count, &chunk->buf);
}

/* Renders and hands on up to `width` chunks from *row. */
static enum tn_code write_wave(struct chunk *chunks, size_t width, uint64_t rows, uint64_t *row, struct tn_pool *pool,
                               demo_sink_fn *sink, void *context, struct tn_error *err)
{
    struct tn_group *group TN_CLEANUP(tn_group_free_p) = pool ? tn_group_new(pool, TN_FOREGROUND) : NULL;
    size_t used = 0;
    for (; used < width && *row < rows; used++) {
        chunks[used].first = *row;
        chunks[used].count = TN_MIN(rows - *row, CHUNK_ROWS);
        *row += chunks[used].count;
        if (group)
            tn_group_add(group, render_chunk, &chunks[used]);
        else
            render_chunk(&chunks[used]);
    }
    if (group)
        tn_group_wait(group);
    for (size_t i = 0; i < used; i++)
        TN_TRY(sink(context, chunks[i].buf.data, chunks[i].buf.len, chunks[i].count, err));
    return TN_OK;
}

enum tn_code demo_staffing_write(const struct demo_staffing *staffing, enum demo_table table, enum demo_format format,
                                 struct tn_pool *pool, demo_sink_fn *sink, void *context, struct tn_error *err)
{
    size_t width = pool ? 2 * tn_pool_threads(pool) : 1;
    struct chunk *chunks = tn_calloc(width, sizeof *chunks);
    for (size_t i = 0; i < width; i++)
        chunks[i] = (struct chunk){.staffing = staffing, .table = table, .format = format};
    enum tn_code code = TN_OK;
    for (uint64_t row = 0; code == TN_OK && row < staffing->rows[table];)
        code = write_wave(chunks, width, staffing->rows[table], &row, pool, sink, context, err);
    for (size_t i = 0; i < width; i++)
        tn_buf_release(&chunks[i].buf);
    free(chunks);
    return code;
}

struct file_sink {
    int fd;
    const char *path;
};

static enum tn_code write_to_file(void *context, const void *bytes, size_t count, uint64_t rows TN_UNUSED,
                                  struct tn_error *err)
{
    const struct file_sink *file = context;
    return tn_write_all(file->fd, bytes, count, file->path, err);
}

enum tn_code demo_staffing_write_file(const struct demo_staffing *staffing, enum demo_table table,
                                      enum demo_format format, struct tn_pool *pool, const char *path,
                                      struct tn_error *err)
{
    int fd TN_AUTO_CLOSE = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return tn_fail_errno(err, errno, "cannot write %s", path);
    struct file_sink file = {.fd = fd, .path = path};
    return demo_staffing_write(staffing, table, format, pool, write_to_file, &file, err);
}
