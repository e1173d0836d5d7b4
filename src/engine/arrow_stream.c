/* Arrow's streaming format: a schema message, record batches, an end mark.
 *
 * DuckDB's chunks have 2,048 rows; readers want fewer, larger batches, so rows
 * are gathered until a batch has 64 K of them or a megabyte.
 * Message.fbs and Schema.fbs of the Arrow project define the tables; field
 * numbers below are theirs.
 */
#include "engine/arrow.h"

#define BATCH_ROWS  ((size_t)65536)
#define BATCH_BYTES ((size_t)1 << 20)
#define VERSION_5   4

enum header { HEADER_SCHEMA = 1, HEADER_RECORD_BATCH = 3 };
enum unit { UNIT_SECOND, UNIT_MILLI, UNIT_MICRO, UNIT_NANO };

struct arrow_stream {
    struct arrow_column *columns;
    size_t count, rows;
    struct tn_buf metadata;
};

struct arrow_stream *arrow_stream_new(char *const *names, struct vec *const *shapes, size_t count)
{
    struct arrow_stream *stream = tn_calloc(1, sizeof *stream);
    stream->columns = tn_calloc(count + 1, sizeof *stream->columns);
    stream->count = count;
    for (size_t i = 0; i < count; i++)
        arrow_column_init(&stream->columns[i], shapes[i], names[i]);
    return stream;
}

void arrow_stream_free(struct arrow_stream *stream)
{
    if (!stream)
        return;
    for (size_t i = 0; i < stream->count; i++)
        arrow_column_release(&stream->columns[i]);
    free(stream->columns);
    tn_buf_release(&stream->metadata);
    free(stream);
}

/* ---- messages ----------------------------------------------------------- */

/* Message { version, header_type, header, bodyLength }; returns the header's
 * field, to be linked. */
static size_t begin_message(struct flat *flat, enum header type, size_t body_length)
{
    static const unsigned char sizes[] = {2, 1, 4, 8};
    struct flat_table message = flat_table(flat, sizes, TN_COUNT(sizes));
    flat_link(flat, 0, message.at);
    flat_set(flat, message.fields[0], VERSION_5, 2);
    flat_set(flat, message.fields[1], type, 1);
    flat_set(flat, message.fields[3], (int64_t)body_length, 8);
    return message.fields[2];
}

/* The continuation mark, the metadata's size, and the metadata padded to 8. */
static void put_message(struct tn_buf *metadata, struct tn_buf *out)
{
    static const char zeros[8];
    tn_buf_append(metadata, zeros, (8 - metadata->len % 8) % 8);
    uint32_t head[2] = {UINT32_MAX, (uint32_t)metadata->len};
    tn_buf_append(out, head, sizeof head);
    tn_buf_append(out, metadata->data, metadata->len);
}

/* ---- schema ------------------------------------------------------------- */

static enum unit unit_of(duckdb_type type)
{
    switch (type) {
    case DUCKDB_TYPE_TIMESTAMP_S:
        return UNIT_SECOND;
    case DUCKDB_TYPE_TIMESTAMP_MS:
        return UNIT_MILLI;
    case DUCKDB_TYPE_TIMESTAMP_NS:
    case DUCKDB_TYPE_TIME_NS:
        return UNIT_NANO;
    default:
        return UNIT_MICRO;
    }
}

static bool is_signed(duckdb_type type)
{
    return type == DUCKDB_TYPE_TINYINT || type == DUCKDB_TYPE_SMALLINT || type == DUCKDB_TYPE_INTEGER ||
           type == DUCKDB_TYPE_BIGINT;
}

/* A table of up to three numbers, each with its size. */
static size_t put_numbers(struct flat *flat, const unsigned char *sizes, const int64_t *values, size_t count)
{
    struct flat_table table = flat_table(flat, sizes, count);
    for (size_t i = 0; i < count; i++)
        flat_set(flat, table.fields[i], values[i], sizes[i]);
    return table.at;
}

static size_t put_timestamp_type(struct flat *flat, const struct vec *vec)
{
    bool zoned = vec->type == DUCKDB_TYPE_TIMESTAMP_TZ;
    const unsigned char sizes[] = {2, zoned ? 4 : 0};
    struct flat_table table = flat_table(flat, sizes, TN_COUNT(sizes));
    flat_set(flat, table.fields[0], unit_of(vec->type), 2);
    if (zoned)
        flat_link(flat, table.fields[1], flat_string(flat, "UTC"));
    return table.at;
}

static size_t put_type(struct flat *flat, const struct arrow_column *column)
{
    const struct vec *vec = column->vec;
    switch (column->type) {
    case ARROW_INT: /* bitWidth, is_signed */
        return put_numbers(flat, (const unsigned char[]){4, 1},
                           (const int64_t[]){(int64_t)column->width * 8, is_signed(vec->type)}, 2);
    case ARROW_FLOAT: /* precision: 1 single, 2 double */
        return put_numbers(flat, (const unsigned char[]){2}, (const int64_t[]){column->width == 4 ? 1 : 2}, 1);
    case ARROW_DECIMAL: { /* precision, scale, bitWidth */
        int64_t width = vec->type == DUCKDB_TYPE_DECIMAL ? vec->width : 38;
        return put_numbers(flat, (const unsigned char[]){4, 4, 4}, (const int64_t[]){width, vec->scale, 128}, 3);
    }
    case ARROW_DATE: /* unit: 0 days */
        return put_numbers(flat, (const unsigned char[]){2}, (const int64_t[]){0}, 1);
    case ARROW_TIME: /* unit, bitWidth */
        return put_numbers(flat, (const unsigned char[]){2, 4}, (const int64_t[]){unit_of(vec->type), 64}, 2);
    case ARROW_TIMESTAMP:
        return put_timestamp_type(flat, vec);
    case ARROW_FIXED_LIST: /* listSize */
        return put_numbers(flat, (const unsigned char[]){4}, (const int64_t[]){(int64_t)vec->array_size}, 1);
    case ARROW_MAP: /* keysSorted */
        return put_numbers(flat, (const unsigned char[]){1}, (const int64_t[]){0}, 1);
    default:
        return flat_table(flat, NULL, 0).at;
    }
}

/* Field { name, nullable, type_type, type, dictionary, children } */
static size_t put_field(struct flat *flat, const struct arrow_column *column)
{
    static const unsigned char sizes[] = {4, 1, 1, 4, 0, 4};
    struct flat_table field = flat_table(flat, sizes, TN_COUNT(sizes));
    flat_set(flat, field.fields[1], column->nullable, 1);
    flat_set(flat, field.fields[2], column->type, 1);
    flat_link(flat, field.fields[0], flat_string(flat, column->name));
    flat_link(flat, field.fields[3], put_type(flat, column));
    size_t children = flat_vector(flat, column->child_count, 4, 4);
    flat_link(flat, field.fields[5], children);
    for (size_t i = 0; i < column->child_count; i++)
        flat_link(flat, children + 4 + 4 * i, put_field(flat, &column->children[i]));
    return field.at;
}

/* Schema { endianness, fields } */
void arrow_stream_schema(struct arrow_stream *stream, struct tn_buf *out)
{
    static const unsigned char sizes[] = {2, 4};
    tn_buf_clear(&stream->metadata);
    struct flat flat = flat_begin(&stream->metadata);
    size_t header = begin_message(&flat, HEADER_SCHEMA, 0);
    struct flat_table schema = flat_table(&flat, sizes, TN_COUNT(sizes));
    flat_link(&flat, header, schema.at);
    size_t fields = flat_vector(&flat, stream->count, 4, 4);
    flat_link(&flat, schema.fields[1], fields);
    for (size_t i = 0; i < stream->count; i++)
        flat_link(&flat, fields + 4 + 4 * i, put_field(&flat, &stream->columns[i]));
    put_message(&stream->metadata, out);
}

/* ---- record batches ----------------------------------------------------- */

/* The buffers of a batch in the order that the format wants. */
struct parts {
    const struct arrow_column **nodes;
    size_t node_count, node_capacity;
    const struct tn_buf **buffers; /* NULL: empty */
    size_t buffer_count, buffer_capacity;
};

static void add_buffer(struct parts *parts, const struct tn_buf *buffer)
{
    TN_GROW(parts->buffers, parts->buffer_count, parts->buffer_capacity);
    parts->buffers[parts->buffer_count++] = buffer;
}

static void collect(const struct arrow_column *column, struct parts *parts)
{
    TN_GROW(parts->nodes, parts->node_count, parts->node_capacity);
    parts->nodes[parts->node_count++] = column;
    if (column->type == ARROW_NULL)
        return;
    add_buffer(parts, column->null_count ? &column->validity : NULL);
    if (column->type == ARROW_UTF8 || column->type == ARROW_BINARY) {
        add_buffer(parts, &column->offsets);
        add_buffer(parts, &column->data);
    } else if (column->type == ARROW_LIST || column->type == ARROW_MAP) {
        add_buffer(parts, &column->offsets);
    } else if (column->type != ARROW_STRUCT && column->type != ARROW_FIXED_LIST) {
        add_buffer(parts, &column->data);
    }
    for (size_t i = 0; i < column->child_count; i++)
        collect(&column->children[i], parts);
}

static size_t padded(const struct tn_buf *buffer)
{
    return buffer ? (buffer->len + 7) / 8 * 8 : 0;
}

/* RecordBatch { length, nodes, buffers } */
static void put_batch_metadata(struct arrow_stream *stream, const struct parts *parts)
{
    static const unsigned char sizes[] = {8, 4, 4};
    size_t body = 0;
    for (size_t i = 0; i < parts->buffer_count; i++)
        body += padded(parts->buffers[i]);
    tn_buf_clear(&stream->metadata);
    struct flat flat = flat_begin(&stream->metadata);
    size_t header = begin_message(&flat, HEADER_RECORD_BATCH, body);
    struct flat_table batch = flat_table(&flat, sizes, TN_COUNT(sizes));
    flat_link(&flat, header, batch.at);
    flat_set(&flat, batch.fields[0], (int64_t)stream->rows, 8);
    size_t nodes = flat_vector(&flat, parts->node_count, 16, 8);
    flat_link(&flat, batch.fields[1], nodes);
    for (size_t i = 0; i < parts->node_count; i++) {
        flat_set(&flat, nodes + 4 + 16 * i, (int64_t)parts->nodes[i]->length, 8);
        flat_set(&flat, nodes + 4 + 16 * i + 8, (int64_t)parts->nodes[i]->null_count, 8);
    }
    size_t buffers = flat_vector(&flat, parts->buffer_count, 16, 8);
    flat_link(&flat, batch.fields[2], buffers);
    size_t offset = 0;
    for (size_t i = 0; i < parts->buffer_count; i++) {
        flat_set(&flat, buffers + 4 + 16 * i, (int64_t)offset, 8);
        flat_set(&flat, buffers + 4 + 16 * i + 8, parts->buffers[i] ? (int64_t)parts->buffers[i]->len : 0, 8);
        offset += padded(parts->buffers[i]);
    }
}

static void put_body(const struct parts *parts, struct tn_buf *out)
{
    static const char zeros[8];
    for (size_t i = 0; i < parts->buffer_count; i++) {
        const struct tn_buf *buffer = parts->buffers[i];
        if (!buffer || !buffer->len)
            continue;
        tn_buf_append(out, buffer->data, buffer->len);
        tn_buf_append(out, zeros, padded(buffer) - buffer->len);
    }
}

static void flush(struct arrow_stream *stream, struct tn_buf *out)
{
    struct parts parts = {0};
    for (size_t i = 0; i < stream->count; i++)
        collect(&stream->columns[i], &parts);
    put_batch_metadata(stream, &parts);
    put_message(&stream->metadata, out);
    put_body(&parts, out);
    free(parts.nodes);
    free(parts.buffers);
    for (size_t i = 0; i < stream->count; i++)
        arrow_column_clear(&stream->columns[i]);
    stream->rows = 0;
}

enum tn_code arrow_stream_rows(struct arrow_stream *stream, size_t rows, struct tn_buf *out, struct tn_error *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < stream->count; i++) {
        TN_TRY(arrow_column_append(&stream->columns[i], 0, rows, err));
        bytes += arrow_column_bytes(&stream->columns[i]);
    }
    stream->rows += rows;
    if (stream->rows >= BATCH_ROWS || bytes >= BATCH_BYTES)
        flush(stream, out);
    return TN_OK;
}

void arrow_stream_end(struct arrow_stream *stream, struct tn_buf *out)
{
    static const uint32_t end[2] = {UINT32_MAX, 0};
    if (stream->rows)
        flush(stream, out);
    tn_buf_append(out, end, sizeof end);
}
