/* Small Parquet files: magic, one row group of one data page per column, footer.
 *
 * Compression is decided per file and then per column: a file of little is not
 * compressed at all, since setting the compressor up costs more than all the
 * rest, and file systems give it a block anyway; of a larger one, each column
 * that gets smaller is.
 */
#include "iceberg/small_internal.h"
#include "iceberg/thrift_writer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define SMALL_COMPRESS_FILE  ((size_t)64 << 10) /* cells of a file that is compressed */
#define SMALL_COMPRESS_PAGE  ((size_t)256)
#define SMALL_COMPRESS_LEVEL 1

enum small_page { SMALL_DATA_PAGE = 0, SMALL_DICTIONARY_PAGE = 2 };

struct small_file {
    struct tn_buf *out;
    size_t start; /* of the file in `out` */
    struct small_column *columns;
    size_t count, rows;
    struct tn_buf body, packed;
    ZSTD_CCtx *zstd; /* NULL: not compressed */
};

static void small_file_release(struct small_file *file)
{
    tn_buf_release(&file->body);
    tn_buf_release(&file->packed);
    (void)ZSTD_freeCCtx(file->zstd);
}

static int64_t small_offset(const struct small_file *file)
{
    return (int64_t)(file->out->len - file->start);
}

/* --- Pages --- */

static void small_put_page(struct small_file *file, struct small_column *column, enum small_page page,
                           const struct tn_buf *stored)
{
    bool data = page == SMALL_DATA_PAGE;
    bool indexed = data && small_has_dictionary(column, file->rows);
    int64_t start = small_offset(file);
    struct thrift_writer thrift = thrift_writer_to(file->out);
    thrift_put_i32(&thrift, 1, (int32_t)page);
    thrift_put_i32(&thrift, 2, (int32_t)file->body.len);
    thrift_put_i32(&thrift, 3, (int32_t)stored->len);
    thrift_open_struct(&thrift, data ? 5 : 7);
    thrift_put_i32(&thrift, 1, data ? (int32_t)file->rows : 1); /* a dictionary has one entry */
    thrift_put_i32(&thrift, 2, indexed ? SMALL_RLE_DICTIONARY : SMALL_PLAIN);
    if (data) {
        thrift_put_i32(&thrift, 3, SMALL_RLE);
        thrift_put_i32(&thrift, 4, SMALL_RLE);
    }
    thrift_close(&thrift);
    thrift_close(&thrift);
    column->plain_size += small_offset(file) - start + (int64_t)file->body.len;
    tn_buf_append(file->out, stored->data, stored->len);
    column->stored_size += small_offset(file) - start;
}

/* The page's body as it is stored: compressed when that makes it smaller. */
static enum tn_code small_compress(struct small_file *file, struct small_column *column,
                                   const struct tn_buf **ret_stored, struct tn_error *err)
{
    *ret_stored = &file->body;
    if (!file->zstd || file->body.len < SMALL_COMPRESS_PAGE)
        return TN_OK;
    size_t room = ZSTD_compressBound(file->body.len);
    tn_buf_clear(&file->packed);
    char *at = tn_buf_reserve(&file->packed, room);
    size_t length = ZSTD_compressCCtx(file->zstd, at, room, file->body.data, file->body.len, SMALL_COMPRESS_LEVEL);
    if (ZSTD_isError(length))
        return tn_fail(err, TN_EINTERNAL, "zstd cannot compress %zu bytes: %s", file->body.len,
                       ZSTD_getErrorName(length));
    if (length >= file->body.len)
        return TN_OK;
    file->packed.len = length;
    at[length] = '\0';
    column->codec = SMALL_ZSTD;
    *ret_stored = &file->packed;
    return TN_OK;
}

static enum tn_code small_put_column(struct small_file *file, struct small_column *column, struct tn_error *err)
{
    const struct tn_buf *stored = &file->body;
    tn_buf_clear(&file->body);
    if (small_has_dictionary(column, file->rows)) {
        column->dictionary_offset = small_offset(file);
        small_put_value(column, *column->cells, &file->body);
        small_put_page(file, column, SMALL_DICTIONARY_PAGE, &file->body);
        tn_buf_clear(&file->body);
    }
    column->data_offset = small_offset(file);
    small_column_body(column, file->rows, &file->body);
    /* The codec is the whole column's, and its dictionary is not worth one. */
    if (!column->dictionary_offset)
        TN_TRY(small_compress(file, column, &stored, err));
    small_put_page(file, column, SMALL_DATA_PAGE, stored);
    return TN_OK;
}

/* --- Files --- */

static int small_by_id(const void *a, const void *b)
{
    int32_t x = ((const struct iceberg_stats *)a)->field_id, y = ((const struct iceberg_stats *)b)->field_id;
    return (x > y) - (x < y);
}

static void small_describe(const struct small_file *file, struct tn_arena *arena, struct iceberg_stats *stats,
                           struct iceberg_file *ret)
{
    int64_t *split = TN_ARENA_ARRAY(arena, int64_t, 1);
    *split = 4;
    qsort(stats, file->count, sizeof *stats, small_by_id);
    *ret = (struct iceberg_file){
        .format = "PARQUET",
        .record_count = (int64_t)file->rows,
        .size_bytes = small_offset(file),
        .stats = stats,
        .stats_count = file->count,
        .split_offsets = split,
        .split_count = 1,
        .sort_order_id = ICEBERG_NONE,
    };
}

static enum tn_code small_put_file(struct small_file *file, struct tn_arena *arena, struct iceberg_file *ret,
                                   struct tn_error *err)
{
    struct iceberg_stats *stats = TN_ARENA_ARRAY(arena, struct iceberg_stats, file->count);
    size_t bytes = 0;
    for (size_t i = 0; i < file->count; i++) {
        TN_TRY(small_column_scan(&file->columns[i], file->rows, err));
        bytes += file->columns[i].value_bytes;
    }
    if (bytes >= SMALL_COMPRESS_FILE && !(file->zstd = ZSTD_createCCtx()))
        return tn_fail(err, TN_ENOMEM, "no memory to compress a data file");
    tn_buf_append(file->out, "PAR1", 4);
    for (size_t i = 0; i < file->count; i++) {
        TN_TRY(small_put_column(file, &file->columns[i], err));
        stats[i] = small_column_stats(&file->columns[i], arena, file->rows);
    }
    small_footer_put(file->columns, file->count, file->rows, file->out);
    small_describe(file, arena, stats, ret);
    return TN_OK;
}

/* Writes the columns, or leaves `out` as long as it was. */
static enum tn_code small_write_columns(struct tn_arena *arena, struct small_column *columns, size_t count,
                                        size_t rows, struct tn_buf *out, struct iceberg_file *ret,
                                        struct tn_error *err)
{
    TN_CLEANUP(small_file_release)
    struct small_file file = {.out = out, .start = out->len, .columns = columns, .count = count, .rows = rows};
    enum tn_code code = small_put_file(&file, arena, ret, err);
    if (code != TN_OK && out->data) {
        out->len = file.start;
        out->data[out->len] = '\0';
    }
    return code;
}

static enum tn_code small_check_rows(size_t rows, struct tn_error *err)
{
    if (rows == 0)
        return tn_fail(err, TN_EREFUSED, "a file of no rows is not written: clients refuse such files");
    if (rows > ICEBERG_SMALL_MAX_ROWS)
        return tn_fail(err, TN_ETOOLARGE, "%zu rows are more than the %zu of a small file", rows,
                       ICEBERG_SMALL_MAX_ROWS);
    return TN_OK;
}

static enum tn_code small_check_bytes(const struct iceberg_bytes *cells, size_t count, struct tn_error *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += cells[i].data ? TN_MIN(cells[i].length, ICEBERG_SMALL_MAX_BYTES + 1) : 0;
        if (bytes > ICEBERG_SMALL_MAX_BYTES)
            return tn_fail(err, TN_ETOOLARGE, "the rows are larger than the %zu MB of a small file",
                           ICEBERG_SMALL_MAX_BYTES >> 20);
    }
    return TN_OK;
}

bool iceberg_small_can(const struct iceberg_schema *schema)
{
    struct small_column column;
    for (size_t i = 0; i < schema->field_count; i++)
        if (!small_column_init(&column, &schema->fields[i]))
            return false;
    return schema->field_count > 0;
}

enum tn_code iceberg_small_write(struct tn_arena *arena, const struct iceberg_schema *schema,
                                 const struct iceberg_bytes *cells, size_t rows, struct tn_buf *out,
                                 struct iceberg_file *ret, struct tn_error *err)
{
    size_t count = schema->field_count;
    if (!iceberg_small_can(schema))
        return tn_fail(err, TN_EUNSUPPORTED,
                       "a small file has at least one column, and none that is a list, a map or "
                       "a structure");
    TN_TRY(small_check_rows(rows, err));
    TN_TRY(small_check_bytes(cells, tn_size_mul(rows, count), err));
    struct small_column *columns = TN_ARENA_ARRAY(arena, struct small_column, count);
    for (size_t i = 0; i < count; i++) {
        (void)small_column_init(&columns[i], &schema->fields[i]);
        columns[i].cells = cells + i;
        columns[i].stride = count;
    }
    return small_write_columns(arena, columns, count, rows, out, ret, err);
}

/* --- Position deletes --- */

static enum tn_code small_check_positions(const int64_t *positions, size_t count, struct tn_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (positions[i] < 0 || (i && positions[i] <= positions[i - 1]))
            return tn_fail(err, TN_EREFUSED,
                           "positions to delete ascend from 0 on, each once, but number %zu is %" PRId64 "%s", i + 1,
                           positions[i], positions[i] < 0 ? "" : " and not larger than the one before");
    return TN_OK;
}

enum tn_code iceberg_small_deletes(struct tn_arena *arena, const char *data_path, const int64_t *positions,
                                   size_t count, struct tn_buf *out, struct iceberg_file *ret, struct tn_error *err)
{
    const struct iceberg_field fields[] = {
        {.id = ICEBERG_DELETE_PATH_ID,
         .required = true,
         .name = "file_path",
         .type = iceberg_type_of(ICEBERG_STRING)},
        {.id = ICEBERG_DELETE_POS_ID, .required = true, .name = "pos", .type = iceberg_type_of(ICEBERG_LONG)},
    };
    struct iceberg_file file;
    TN_TRY(small_check_rows(count, err));
    TN_TRY(small_check_positions(positions, count, err));
    const struct iceberg_bytes path = {(const uint8_t *)data_path, strlen(data_path)};
    TN_TRY(small_check_bytes(&path, 1, err));
    TN_AUTO_FREE struct iceberg_bytes *cells = tn_malloc(tn_size_mul(count, sizeof *cells));
    TN_AUTO_FREE uint8_t *values = tn_malloc(tn_size_mul(count, 8));
    for (size_t i = 0; i < count; i++) {
        for (size_t byte = 0; byte < 8; byte++)
            values[8 * i + byte] = (uint8_t)((uint64_t)positions[i] >> (8 * byte));
        cells[i] = (struct iceberg_bytes){values + 8 * i, 8};
    }
    struct small_column columns[2];
    (void)small_column_init(&columns[0], &fields[0]);
    (void)small_column_init(&columns[1], &fields[1]);
    columns[0].cells = &path;
    columns[0].whole_bounds = true;
    columns[1].cells = cells;
    columns[1].stride = 1;
    TN_TRY(small_write_columns(arena, columns, 2, count, out, &file, err));
    file.content = ICEBERG_POSITION_DELETES;
    file.referenced_data_file = tn_arena_strdup(arena, data_path);
    *ret = file;
    return TN_OK;
}
