/* Avro container files, written in memory block by block. */
#include "base/id.h"
#include "iceberg/avro.h"

#include <string.h>

#define AVRO_WRITE_BLOCK_BYTES ((size_t)256 << 10)

void avro_put_varint(struct tn_buf *out, int64_t value)
{
    uint64_t bits = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    char bytes[10];
    size_t n = 0;
    for (; bits > 0x7F; bits >>= 7)
        bytes[n++] = (char)((bits & 0x7F) | 0x80);
    bytes[n++] = (char)bits;
    tn_buf_append(out, bytes, n);
}

void avro_put_bytes(struct tn_buf *out, const void *bytes, size_t length)
{
    avro_put_varint(out, (int64_t)length);
    tn_buf_append(out, bytes, length);
}

void avro_put_text(struct tn_buf *out, const char *text)
{
    avro_put_bytes(out, text, strlen(text));
}

void avro_put_bool(struct tn_buf *out, bool value)
{
    tn_buf_putc(out, value ? 1 : 0);
}

void avro_put_null(struct tn_buf *out)
{
    avro_put_varint(out, 0);
}

void avro_put_some(struct tn_buf *out)
{
    avro_put_varint(out, 1);
}

void avro_writer_open(struct avro_writer *writer, const char *schema, const struct iceberg_pair *pairs, size_t count,
                      bool deflate, const uint8_t *sync)
{
    *writer = (struct avro_writer){.deflate = deflate};
    if (sync)
        memcpy(writer->sync, sync, sizeof writer->sync);
    else
        tn_random_bytes(writer->sync, sizeof writer->sync);
    tn_buf_append(&writer->out, "Obj\1", 4);
    avro_put_varint(&writer->out, (int64_t)count + 2);
    avro_put_text(&writer->out, "avro.schema");
    avro_put_text(&writer->out, schema);
    avro_put_text(&writer->out, "avro.codec");
    avro_put_text(&writer->out, deflate ? "deflate" : "null");
    for (size_t i = 0; i < count; i++) {
        avro_put_text(&writer->out, pairs[i].key);
        avro_put_text(&writer->out, pairs[i].value);
    }
    avro_put_varint(&writer->out, 0);
    tn_buf_append(&writer->out, writer->sync, sizeof writer->sync);
}

static enum tn_code avro_writer_flush(struct avro_writer *writer, struct tn_error *err)
{
    if (writer->count == 0)
        return TN_OK;
    avro_put_varint(&writer->out, writer->count);
    if (writer->deflate) {
        TN_AUTO_BUF packed = {0};
        TN_TRY(avro_deflate(writer->block.data, writer->block.len, &packed, err));
        avro_put_bytes(&writer->out, packed.data, packed.len);
    } else {
        avro_put_bytes(&writer->out, writer->block.data, writer->block.len);
    }
    tn_buf_append(&writer->out, writer->sync, sizeof writer->sync);
    tn_buf_clear(&writer->block);
    writer->count = 0;
    return TN_OK;
}

enum tn_code avro_writer_end_record(struct avro_writer *writer, struct tn_error *err)
{
    writer->count++;
    return writer->block.len >= AVRO_WRITE_BLOCK_BYTES ? avro_writer_flush(writer, err) : TN_OK;
}

enum tn_code avro_writer_finish(struct avro_writer *writer, struct tn_error *err)
{
    return avro_writer_flush(writer, err);
}

void avro_writer_release(struct avro_writer *writer)
{
    tn_buf_release(&writer->out);
    tn_buf_release(&writer->block);
}
