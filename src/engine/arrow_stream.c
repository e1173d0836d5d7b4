#include "engine/arrow.h"
struct arrow_stream *arrow_stream_new(const struct engine_column *columns, struct vec *const *shapes, size_t count)
{
    (void)columns;
    (void)shapes;
    (void)count;
    return tn_calloc(1, 8);
}
void arrow_stream_free(struct arrow_stream *stream)
{
    free(stream);
}
enum tn_code arrow_stream_schema(struct arrow_stream *stream, struct tn_buf *out, struct tn_error *err)
{
    (void)stream;
    (void)out;
    return tn_fail(err, TN_EUNSUPPORTED, "Arrow is not written yet");
}
enum tn_code arrow_stream_rows(struct arrow_stream *stream, size_t rows, struct tn_buf *out, struct tn_error *err)
{
    (void)stream;
    (void)out;
    (void)rows;
    return tn_fail(err, TN_EUNSUPPORTED, "Arrow is not written yet");
}
void arrow_stream_end(struct arrow_stream *stream, struct tn_buf *out)
{
    (void)stream;
    (void)out;
}
