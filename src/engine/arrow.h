/* Arrow IPC streams, written by hand. Private to the engine. */
#ifndef TARN_ENGINE_ARROW_H
#define TARN_ENGINE_ARROW_H

#include "engine/vec.h"

struct arrow_stream;

/* Columns and shapes are borrowed for the stream's life. */
struct arrow_stream *arrow_stream_new(const struct engine_column *columns, struct vec *const *shapes, size_t count)
    __attribute__((returns_nonnull));
void arrow_stream_free(struct arrow_stream *stream);
/* The schema message, and the dictionaries; first of all. */
enum tn_code arrow_stream_schema(struct arrow_stream *stream, struct tn_buf *out, struct tn_error *err) TN_CHECKED;
/* Takes the rows that the shapes point at; writes a batch when enough have
 * come together. */
enum tn_code arrow_stream_rows(struct arrow_stream *stream, size_t rows, struct tn_buf *out,
                               struct tn_error *err) TN_CHECKED;
/* What is left, and the end of the stream. */
void arrow_stream_end(struct arrow_stream *stream, struct tn_buf *out);

#endif
