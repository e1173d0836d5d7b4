/* Thrift's compact protocol (see thrift_writer.h). */
#include "iceberg/thrift_writer.h"

#include <assert.h>
#include <string.h>

#define THRIFT_SHORT_LIST 15 /* longer ones have their length behind the header */

char *thrift_varint_at(char *at, uint64_t bits)
{
    for (; bits > 0x7F; bits >>= 7)
        *at++ = (char)((bits & 0x7F) | 0x80);
    *at++ = (char)bits;
    return at;
}

static uint64_t thrift_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

/* The header of a field: its distance from the one before and its type. */
static char *thrift_header_at(struct thrift_writer *writer, char *at, int field, enum thrift_type type)
{
    int *last = &writer->last[writer->depth];
    int step = field - *last;
    assert(step > 0);
    *last = field;
    if (step <= 15) {
        *at++ = (char)(step << 4 | (int)type);
        return at;
    }
    *at++ = (char)type;
    return thrift_varint_at(at, thrift_zigzag(field));
}

/* Whatever is at most a header and a number long is put together here first. */
static void thrift_append(struct thrift_writer *writer, const char *bytes, const char *end)
{
    tn_buf_append(writer->out, bytes, (size_t)(end - bytes));
}

static void thrift_put_number(struct thrift_writer *writer, int field, enum thrift_type type, uint64_t bits)
{
    char bytes[24];
    thrift_append(writer, bytes, thrift_varint_at(thrift_header_at(writer, bytes, field, type), bits));
}

static void thrift_put_header(struct thrift_writer *writer, int field, enum thrift_type type)
{
    char bytes[8];
    thrift_append(writer, bytes, thrift_header_at(writer, bytes, field, type));
}

static void thrift_enter(struct thrift_writer *writer)
{
    writer->depth++;
    assert(writer->depth < THRIFT_DEPTH);
    writer->last[writer->depth] = 0;
}

struct thrift_writer thrift_writer_to(struct tn_buf *out)
{
    return (struct thrift_writer){.out = out};
}

void thrift_put_bool(struct thrift_writer *writer, int field, bool value)
{
    thrift_put_header(writer, field, value ? THRIFT_TRUE : THRIFT_FALSE);
}

void thrift_put_i16(struct thrift_writer *writer, int field, int16_t value)
{
    thrift_put_number(writer, field, THRIFT_I16, thrift_zigzag(value));
}

void thrift_put_i32(struct thrift_writer *writer, int field, int32_t value)
{
    thrift_put_number(writer, field, THRIFT_I32, thrift_zigzag(value));
}

void thrift_put_i64(struct thrift_writer *writer, int field, int64_t value)
{
    thrift_put_number(writer, field, THRIFT_I64, thrift_zigzag(value));
}

void thrift_put_bytes(struct thrift_writer *writer, int field, const void *bytes, size_t count)
{
    thrift_put_number(writer, field, THRIFT_BINARY, count);
    tn_buf_append(writer->out, bytes, count);
}

void thrift_put_text(struct thrift_writer *writer, int field, const char *text)
{
    thrift_put_bytes(writer, field, text, strlen(text));
}

void thrift_put_empty(struct thrift_writer *writer, int field)
{
    thrift_open_struct(writer, field);
    thrift_close(writer);
}

void thrift_open_struct(struct thrift_writer *writer, int field)
{
    thrift_put_header(writer, field, THRIFT_STRUCT);
    thrift_enter(writer);
}

void thrift_open_list(struct thrift_writer *writer, int field, enum thrift_type item, size_t count)
{
    char bytes[24];
    char *at = thrift_header_at(writer, bytes, field, THRIFT_LIST);
    if (count < THRIFT_SHORT_LIST) {
        *at++ = (char)(count << 4 | (size_t)item);
    } else {
        *at++ = (char)(THRIFT_SHORT_LIST << 4 | (int)item);
        at = thrift_varint_at(at, count);
    }
    thrift_append(writer, bytes, at);
}

void thrift_open_item(struct thrift_writer *writer)
{
    thrift_enter(writer);
}

void thrift_item_i32(struct thrift_writer *writer, int32_t value)
{
    char bytes[10];
    thrift_append(writer, bytes, thrift_varint_at(bytes, thrift_zigzag(value)));
}

void thrift_item_text(struct thrift_writer *writer, const char *text)
{
    char bytes[10];
    size_t length = strlen(text);
    thrift_append(writer, bytes, thrift_varint_at(bytes, length));
    tn_buf_append(writer->out, text, length);
}

void thrift_close(struct thrift_writer *writer)
{
    tn_buf_putc(writer->out, 0);
    writer->depth--; /* -1 once the outermost is closed: nothing may follow */
}
