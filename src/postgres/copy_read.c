/* The stream of a binary COPY, cut into rows. Its bytes are never trusted. */
#include "postgres/decode.h"

#define ROW_MOST       ((((size_t)1) << 30) + (64 << 10))
#define EXTENSION_MOST ((uint32_t)64 << 10)
#define HEADER_BYTES   19

static const char signature[] = "PGCOPY\n\377\r\n";

void postgres_copy_feed(struct postgres_copy_reader *reader, const void *bytes, size_t length)
{
    if (reader->rest.len == 0) {
        reader->at = bytes;
        reader->end = reader->at + length;
        return;
    }
    tn_buf_append(&reader->rest, bytes, length);
    reader->at = (const unsigned char *)reader->rest.data;
    reader->end = reader->at + reader->rest.len;
}

/* What is there of a row is kept until the next message brings the rest. */
static enum tn_code keep_rest(struct postgres_copy_reader *reader, struct tn_error *err)
{
    size_t left = (size_t)(reader->end - reader->at);
    size_t most = reader->max_row_bytes ? reader->max_row_bytes : ROW_MOST;
    if (left > most)
        return tn_fail(err, TN_ECORRUPT, "a row of the copy has more than %zu bytes", most);
    if (reader->rest.len) {
        tn_buf_consume(&reader->rest, reader->rest.len - left);
    } else if (left) {
        tn_buf_append(&reader->rest, reader->at, left);
    }
    reader->at = reader->end = NULL;
    return TN_OK;
}

/* *ret_whole is false when more bytes are needed. */
static enum tn_code read_header(struct postgres_copy_reader *reader, bool *ret_whole, struct tn_error *err)
{
    size_t left = (size_t)(reader->end - reader->at);
    size_t seen = TN_MIN(left, sizeof signature);
    if (seen && memcmp(reader->at, signature, seen) != 0)
        return tn_fail(err, TN_ECORRUPT, "the copy does not begin as a binary copy does");
    *ret_whole = false;
    if (left < HEADER_BYTES)
        return TN_OK;
    uint32_t flags = postgres_u32(reader->at + 11), extension = postgres_u32(reader->at + 15);
    if (flags >> 16)
        return tn_fail(err, TN_ECORRUPT, "the copy's header sets flags that are not known (%08x)", flags);
    if (extension > EXTENSION_MOST)
        return tn_fail(err, TN_ECORRUPT, "the copy's header is said to have %u more bytes", extension);
    if (left < HEADER_BYTES + extension)
        return TN_OK;
    reader->at += HEADER_BYTES + extension;
    reader->header_read = true;
    *ret_whole = true;
    return TN_OK;
}

/* The fields of one row; *ret_end is NULL when the row is not whole. */
static enum tn_code read_fields(const struct postgres_copy_reader *reader, struct postgres_field *fields,
                                size_t count, const unsigned char **ret_end, struct tn_error *err)
{
    const unsigned char *at = reader->at + 2, *end = reader->end;
    *ret_end = NULL;
    for (size_t i = 0; i < count; i++) {
        if (end - at < 4)
            return TN_OK;
        int32_t length = (int32_t)postgres_u32(at);
        at += 4;
        if (length < -1)
            return tn_fail(err, TN_ECORRUPT, "column %zu of a row of the copy has length %d", i + 1, length);
        fields[i] = (struct postgres_field){.data = at, .length = length};
        if (length > 0) {
            if (end - at < length)
                return TN_OK;
            at += length;
        }
    }
    *ret_end = at;
    return TN_OK;
}

enum tn_code postgres_copy_row(struct postgres_copy_reader *reader, struct postgres_field *fields, size_t count,
                               bool *ret_row, struct tn_error *err)
{
    *ret_row = false;
    if (!reader->header_read && !reader->ended) {
        bool whole;
        TN_TRY(read_header(reader, &whole, err));
        if (!whole)
            return keep_rest(reader, err);
    }
    if (reader->end - reader->at < 2)
        return keep_rest(reader, err);
    int16_t width = (int16_t)postgres_u16(reader->at);
    if (reader->ended)
        return tn_fail(err, TN_ECORRUPT, "there are bytes behind the end of the copy");
    if (width == -1) {
        reader->ended = true;
        reader->at += 2;
        if (reader->at != reader->end)
            return tn_fail(err, TN_ECORRUPT, "there are bytes behind the end of the copy");
        tn_buf_clear(&reader->rest);
        return TN_OK;
    }
    if (width < 0 || (size_t)width != count)
        return tn_fail(err, TN_ECORRUPT, "a row of the copy has %d columns, not %zu", width, count);
    const unsigned char *end;
    TN_TRY(read_fields(reader, fields, count, &end, err));
    if (!end)
        return keep_rest(reader, err);
    reader->at = end;
    *ret_row = true;
    return TN_OK;
}

void postgres_copy_release(struct postgres_copy_reader *reader)
{
    tn_buf_release(&reader->rest);
    *reader = (struct postgres_copy_reader){0};
}
