/* COPY out of the server, into data files, in bounded memory: what is held is a
 * batch of rows and the engine's row group. */
#include "ingest/postgres_load.h"

#include <inttypes.h>

/* A batch ends early when its rows are wide. */
#define BATCH_BYTES ((uint64_t)8 << 20)
/* Of the stream, for one data file: about half of it as Parquet. */
#define FILE_BYTES ((uint64_t)512 << 20)

static void put_copy(const struct pg_table *table, const struct pg_column *const *columns, size_t count,
                     struct tn_buf *out)
{
    tn_buf_puts(out, "COPY (SELECT ");
    for (size_t i = 0; i < count; i++) {
        size_t number = (size_t)(columns[i] - table->columns) + 1;
        const char *comma = i ? "," : "";
        if (columns[i]->cast_inet)
            tn_buf_printf(out, "%spg_catalog.textin(pg_catalog.inet_out(c%zu))", comma, number);
        else
            tn_buf_printf(out, "%sc%zu%s", comma, number, columns[i]->cast ? "::text" : "");
    }
    pg_put_from(table, out);
    tn_buf_puts(out, ") TO STDOUT (FORMAT binary)");
}

enum tn_code pg_stream_open(struct pg_stream *stream, struct pg_load *load, const struct pg_table *table,
                            const struct pg_column *const *columns, size_t count, struct tn_error *err)
{
    *stream = (struct pg_stream){
        .load = load, .table = table, .columns = columns, .column_count = count, .rising_column = count};
    stream->engine_columns = tn_calloc(count, sizeof *stream->engine_columns);
    stream->fields = tn_calloc(count, sizeof *stream->fields);
    for (size_t i = 0; i < count; i++)
        stream->engine_columns[i] = (struct engine_column){.name = columns[i]->name, .type = columns[i]->type};
    tn_hash_init(&stream->hash);
    TN_AUTO_BUF sql = {0};
    put_copy(table, columns, count, &sql);
    return postgres_copy_out(load->pg, sql.data, err);
}

void pg_stream_release(struct pg_stream *stream)
{
    postgres_copy_out_stop(stream->load->pg);
    postgres_copy_release(&stream->reader);
    tn_buf_release(&stream->scratch);
    free(stream->engine_columns);
    free(stream->fields);
}

static enum tn_code fail_value(const struct pg_stream *stream, size_t column, const char *why, struct tn_error *err)
{
    return tn_fail(err, TN_EREFUSED, "%s: column \"%s\" of row %" PRIu64 " of the stream: %s", stream->table->shown,
                   stream->columns[column]->original, stream->rows + 1, why);
}

/* The next row's fields; *ret_row false at the end of the stream. */
static enum tn_code next_row(struct pg_stream *stream, bool *ret_row, struct tn_error *err)
{
    for (;;) {
        TN_TRY(postgres_copy_row(&stream->reader, stream->fields, stream->column_count, ret_row, err));
        if (*ret_row)
            return TN_OK;
        const char *bytes;
        size_t length;
        TN_TRY(postgres_copy_out_next(stream->load->pg, &bytes, &length, err));
        if (!bytes) {
            stream->ended = true;
            if (!stream->reader.ended)
                return tn_fail(err, TN_ECORRUPT, "%s: the copy ended in the middle", stream->table->shown);
            return TN_OK;
        }
        tn_hash_update(&stream->hash, bytes, length);
        stream->bytes += length;
        stream->file_bytes += length;
        postgres_copy_feed(&stream->reader, bytes, length);
    }
}

/* Most keys rise in the order of the table: then nobody has to look for twins. */
static inline void note_key(struct pg_stream *stream)
{
    if (stream->rising_column == stream->column_count)
        return;
    const struct postgres_field *field = &stream->fields[stream->rising_column];
    int64_t key = field->length == 8   ? (int64_t)postgres_u64(field->data)
                  : field->length == 4 ? (int32_t)postgres_u32(field->data)
                                       : INT64_MIN;
    if (key == INT64_MIN || (stream->rows > 0 && key <= stream->last_key))
        stream->rising_column = stream->column_count;
    stream->last_key = key;
}

static enum tn_code fill(void *context, struct engine_batch *batch, struct tn_error *err)
{
    struct pg_stream *stream = context;
    uint64_t start = stream->bytes;
    size_t row = 0;
    while (!stream->ended && row < batch->capacity && stream->bytes - start < BATCH_BYTES &&
           (stream->unbounded || stream->file_bytes < FILE_BYTES)) {
        bool there;
        TN_TRY(next_row(stream, &there, err));
        if (!there)
            break;
        for (size_t i = 0; i < stream->column_count; i++) {
            const char *why = "";
            if (__builtin_expect(!pg_put_value(stream->columns[i], &stream->fields[i], &batch->columns[i], row,
                                               &stream->scratch, &why),
                                 0))
                return fail_value(stream, i, why, err);
        }
        note_key(stream);
        row++;
        stream->rows++;
    }
    batch->rows = row;
    if (!stream->quiet)
        pg_progress(stream->load, row);
    return TN_OK;
}

struct engine_source pg_stream_source(struct pg_stream *stream)
{
    return (struct engine_source){
        .columns = stream->engine_columns, .column_count = stream->column_count, .context = stream, .fill = fill};
}

static enum tn_code stage_files(struct pg_stream *stream, struct dataset_write *write, struct tn_error *err)
{
    struct engine_source source = pg_stream_source(stream);
    for (size_t order = 0; !stream->ended; order++) {
        stream->file_bytes = 0;
        TN_TRY(dataset_write_file(write, order, &source, NULL, stream->load->options->stopping,
                                  stream->load->options->context, err));
    }
    return TN_OK;
}

enum tn_code pg_stage(struct pg_load *load, struct pg_table *table, struct tn_error *err)
{
    const struct pg_column **columns = TN_ARENA_ARRAY(load->arena, const struct pg_column *, table->column_count);
    for (size_t i = 0; i < table->column_count; i++)
        columns[i] = &table->columns[i];
    TN_CLEANUP(pg_stream_release) struct pg_stream stream = {.load = load};
    TN_TRY(pg_stream_open(&stream, load, table, columns, table->column_count, err));
    for (size_t i = 0; table->key && i < table->column_count; i++)
        if (tn_streq(columns[i]->name, table->key) && (columns[i]->form == PG_INT4 || columns[i]->form == PG_INT8))
            stream.rising_column = i;
    TN_TRY(stage_files(&stream, table->write, err));
    if (stream.rising_column < stream.column_count)
        dataset_write_keys_differ(table->write);
    table->rows = stream.rows;
    table->bytes = stream.bytes;
    tn_hash_final_hex(&stream.hash, table->content_hash);
    return TN_OK;
}
