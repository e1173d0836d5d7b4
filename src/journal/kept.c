/* Events of batches that this process has just committed, until they are in
 * the tail table.
 *
 * To open a Parquet file of one event costs the engine as much as reading ten
 * thousand events of a large one. So what was committed a moment ago is kept as
 * cells, and many batches go into the table as one file that is written,
 * read and removed again. A cache: beyond its budget, and after a start, the
 * batches' own files are read.
 */
#include "journal/journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define EVENTS_MAX 1000 /* of one batch */

struct journal_kept {
    size_t count, bytes;
    struct iceberg_bytes *cells; /* count x JOURNAL_COLUMNS, and the bytes behind them; one block */
};

void journal_kept_free(struct journal_kept *kept)
{
    free(kept);
}

size_t journal_kept_bytes(const struct journal_kept *kept)
{
    return kept ? kept->bytes : 0;
}

static void put_number(uint8_t *out, int64_t value)
{
    for (size_t i = 0; i < sizeof value; i++)
        out[i] = (uint8_t)((uint64_t)value >> (8 * i));
}

/* What every event of the batch says alike, as the tail table has it. */
struct common {
    uint8_t ts[8], snapshot[8], sequence[8];
    char uuid[TN_UUID_TEXT];
};

struct journal_kept *journal_kept_new(const struct iceberg_bytes *cells, size_t count, const struct tail_batch *entry)
{
    size_t total = count * JOURNAL_COLUMNS, bytes = sizeof(struct journal_kept) + sizeof(struct common);
    if (count == 0 || count > EVENTS_MAX)
        return NULL;
    bytes += total * sizeof *cells;
    for (size_t i = 0; i < total; i++)
        bytes += cells[i].data ? cells[i].length : 0;
    struct journal_kept *kept = tn_calloc(1, bytes);
    kept->count = count;
    kept->bytes = bytes;
    kept->cells = (struct iceberg_bytes *)(void *)(kept + 1);
    struct common *common = (struct common *)(void *)(kept->cells + total);
    uint8_t *at = (uint8_t *)(common + 1);
    put_number(common->ts, entry->timestamp_ms * 1000);
    put_number(common->snapshot, entry->snapshot_id);
    put_number(common->sequence, entry->sequence);
    memcpy(common->uuid, entry->uuid, sizeof common->uuid);
    for (size_t i = 0; i < total; i++) {
        switch (i % JOURNAL_COLUMNS) {
        case COLUMN_TS:
            kept->cells[i] = (struct iceberg_bytes){common->ts, 8};
            continue;
        case COLUMN_SNAPSHOT_ID:
            kept->cells[i] = (struct iceberg_bytes){common->snapshot, 8};
            continue;
        case COLUMN_SEQUENCE:
            kept->cells[i] = (struct iceberg_bytes){common->sequence, 8};
            continue;
        case COLUMN_TABLE_UUID:
            kept->cells[i] = (struct iceberg_bytes){(const uint8_t *)common->uuid, strlen(common->uuid)};
            continue;
        default:
            break;
        }
        if (!cells[i].data)
            continue;
        if (cells[i].length)
            memcpy(at, cells[i].data, cells[i].length);
        kept->cells[i] = (struct iceberg_bytes){at, cells[i].length};
        at += cells[i].length;
    }
    return kept;
}

/* ---- into the tail table ---------------------------------------------------------- */

/* The events' columns and the batch's number. */
static const struct iceberg_schema *staged_schema(struct tn_arena *arena)
{
    static const struct iceberg_type number = {.kind = ICEBERG_LONG};
    struct iceberg_schema *schema = TN_ARENA_ARRAY(arena, struct iceberg_schema, 1);
    struct iceberg_field *fields = TN_ARENA_ARRAY(arena, struct iceberg_field, JOURNAL_COLUMNS + 1);
    memcpy(fields, journal_schema()->fields, JOURNAL_COLUMNS * sizeof *fields);
    fields[JOURNAL_COLUMNS] =
        (struct iceberg_field){.id = JOURNAL_COLUMNS + 1, .required = true, .name = "batch", .type = &number};
    *schema = (struct iceberg_schema){.fields = fields, .field_count = JOURNAL_COLUMNS + 1};
    return schema;
}

static enum tn_code encode(const struct tail_batch *batches, size_t count, struct tn_arena *arena, struct tn_buf *out,
                           struct tn_error *err)
{
    size_t rows = 0, width = JOURNAL_COLUMNS + 1;
    struct iceberg_file file;
    for (size_t i = 0; i < count; i++)
        rows += batches[i].kept->count;
    struct iceberg_bytes *cells = TN_ARENA_ARRAY(arena, struct iceberg_bytes, rows * width), *at = cells;
    for (size_t i = 0; i < count; i++) {
        uint8_t *number = tn_arena_alloc(arena, 8);
        put_number(number, batches[i].number);
        for (size_t e = 0; e < batches[i].kept->count; e++, at += width) {
            memcpy(at, batches[i].kept->cells + e * JOURNAL_COLUMNS, JOURNAL_COLUMNS * sizeof *at);
            at[JOURNAL_COLUMNS] = (struct iceberg_bytes){number, 8};
        }
    }
    return iceberg_small_write(arena, staged_schema(arena), cells, rows, out, &file, err);
}

static enum tn_code write_staged(const char *path, const struct tn_buf *object, struct tn_error *err)
{
    TN_AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return tn_fail_errno(err, errno, "cannot create %s", path);
    return tn_write_all(fd, object->data, object->len, path, err);
}

enum tn_code journal_kept_insert(struct journal *journal, const struct tail_batch *batches, size_t count,
                                 struct tn_arena *arena, struct tn_error *err)
{
    TN_AUTO_BUF object = {0};
    TN_AUTO_BUF sql = {0};
    char *path;
    TN_TRY(encode(batches, count, arena, &object, err));
    TN_TRY(store_stage_path(journal->store, arena, ".parquet", &path, err));
    enum tn_code code = write_staged(path, &object, err);
    tn_buf_puts(&sql, "INSERT INTO " TAIL_TABLE " BY NAME SELECT * FROM read_parquet(");
    tn_buf_put_sql_string(&sql, path);
    tn_buf_putc(&sql, ')');
    if (code == TN_OK)
        code = engine_run(journal->engine, sql.data, NULL, NULL, err);
    (void)unlink(path);
    return code;
}
