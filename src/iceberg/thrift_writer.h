/* Private: Thrift's compact protocol, to write. Parquet keeps its metadata in it.
 *
 *     struct thrift_writer thrift = thrift_writer_to(out);
 *     thrift_put_i32(&thrift, 1, 7);
 *     thrift_open_list(&thrift, 2, THRIFT_STRUCT, 1);
 *     thrift_open_item(&thrift);
 *     ...
 *     thrift_close(&thrift);
 *     thrift_close(&thrift);              the outermost one
 *
 * Fields of a struct come in ascending order of their numbers, as Parquet
 * declares them. A list has as many items as it was opened with.
 */
#ifndef TARN_ICEBERG_THRIFT_WRITER_H
#define TARN_ICEBERG_THRIFT_WRITER_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum thrift_type {
    THRIFT_TRUE = 1,
    THRIFT_FALSE = 2,
    THRIFT_I16 = 4,
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_BINARY = 8,
    THRIFT_LIST = 9,
    THRIFT_STRUCT = 12,
};

#define THRIFT_DEPTH 8

struct thrift_writer {
    struct tn_buf *out;
    int depth;
    int last[THRIFT_DEPTH]; /* the number of the last field, per open struct */
};

/* A number in groups of seven bits, lowest first, at most 10 bytes; returns
 * where it ends. */
char *thrift_varint_at(char *at, uint64_t bits) __attribute__((returns_nonnull));

/* Opens the outermost struct. */
struct thrift_writer thrift_writer_to(struct tn_buf *out);
void thrift_put_bool(struct thrift_writer *writer, int field, bool value);
void thrift_put_i16(struct thrift_writer *writer, int field, int16_t value);
void thrift_put_i32(struct thrift_writer *writer, int field, int32_t value); /* enums too */
void thrift_put_i64(struct thrift_writer *writer, int field, int64_t value);
void thrift_put_bytes(struct thrift_writer *writer, int field, const void *bytes, size_t count);
void thrift_put_text(struct thrift_writer *writer, int field, const char *text);
void thrift_put_empty(struct thrift_writer *writer, int field); /* a struct without fields */
void thrift_open_struct(struct thrift_writer *writer, int field);
void thrift_open_list(struct thrift_writer *writer, int field, enum thrift_type item, size_t count);
void thrift_open_item(struct thrift_writer *writer); /* an item that is a struct */
void thrift_item_i32(struct thrift_writer *writer, int32_t value);
void thrift_item_text(struct thrift_writer *writer, const char *text);
/* Closes what was opened last by thrift_open_struct, thrift_open_item or
 * thrift_writer_to. */
void thrift_close(struct thrift_writer *writer);

#endif
