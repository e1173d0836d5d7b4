/* Arrow IPC streams, written by hand. Private to the engine.
 *
 * arrow_column.c gathers values of a column tree into Arrow's buffers,
 * arrow_stream.c writes the messages. */
#ifndef TARN_ENGINE_ARROW_H
#define TARN_ENGINE_ARROW_H

#include "engine/flat.h"
#include "engine/vec.h"

/* The type numbers of Arrow's Schema.fbs. */
enum arrow_type {
    ARROW_NULL = 1,
    ARROW_INT = 2,
    ARROW_FLOAT = 3,
    ARROW_BINARY = 4,
    ARROW_UTF8 = 5,
    ARROW_BOOL = 6,
    ARROW_DECIMAL = 7,
    ARROW_DATE = 8,
    ARROW_TIME = 9,
    ARROW_TIMESTAMP = 10,
    ARROW_LIST = 12,
    ARROW_STRUCT = 13,
    ARROW_FIXED_LIST = 16,
    ARROW_MAP = 17,
};

/* A column, or a part of a nested one, and what has been gathered of it. */
struct arrow_column {
    const struct vec *vec; /* NULL for the entries of a map */
    enum arrow_type type;
    char *name;
    bool nullable;
    size_t width; /* bytes of a value with fixed width; 0 for the rest */
    struct arrow_column *children;
    size_t child_count;

    size_t length, null_count;
    struct tn_buf validity, offsets, data;
};

void arrow_column_init(struct arrow_column *column, const struct vec *vec, const char *name);
void arrow_column_release(struct arrow_column *column);
void arrow_column_clear(struct arrow_column *column);
/* Adds the rows [start, start + count) of what the vec points at. */
enum tn_code arrow_column_append(struct arrow_column *column, size_t start, size_t count,
                                 struct tn_error *err) TN_CHECKED;
/* Bytes held. */
size_t arrow_column_bytes(const struct arrow_column *column);

struct arrow_stream;
/* Shapes are borrowed for the stream's life, names are copied. */
struct arrow_stream *arrow_stream_new(char *const *names, struct vec *const *shapes, size_t count)
    __attribute__((returns_nonnull));
void arrow_stream_free(struct arrow_stream *stream);
/* The schema message; first of all. */
void arrow_stream_schema(struct arrow_stream *stream, struct tn_buf *out);
/* Takes the rows that the shapes point at; writes a batch when enough have
 * come together. */
enum tn_code arrow_stream_rows(struct arrow_stream *stream, size_t rows, struct tn_buf *out,
                               struct tn_error *err) TN_CHECKED;
/* What is left, and the end of the stream. */
void arrow_stream_end(struct arrow_stream *stream, struct tn_buf *out);

#endif
