/* Avro data and container files, read with every length checked. */
#include "base/str.h"
#include "iceberg/avro.h"

#include <string.h>

#define AVRO_HEADER_PAIRS 64

enum tn_code avro_fail(struct avro_in *in, const char *message)
{
    return tn_fail(in->err, TN_ECORRUPT, "%s: %s", in->what, message);
}

enum tn_code avro_read_varint(struct avro_in *in, int64_t *ret)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (in->at >= in->end)
            return avro_fail(in, "the data ends inside a number");
        uint8_t byte = *in->at++;
        if (shift == 63 && byte > 1)
            break;
        bits |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) {
            *ret = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return TN_OK;
        }
    }
    return avro_fail(in, "a number is longer than 64 bits");
}

/* A length prefix and the bytes behind it. */
static enum tn_code avro_read_counted(struct avro_in *in, struct iceberg_bytes *ret)
{
    int64_t length = 0;
    TN_TRY(avro_read_varint(in, &length));
    if (length < 0 || length > in->end - in->at)
        return avro_fail(in, "a text or byte value is longer than the data");
    *ret = (struct iceberg_bytes){in->at, (size_t)length};
    in->at += length;
    return TN_OK;
}

static enum tn_code avro_advance(struct avro_in *in, int64_t count)
{
    if (count > in->end - in->at)
        return avro_fail(in, "the data ends inside a value");
    in->at += count;
    return TN_OK;
}

enum tn_code avro_enter(struct avro_in *in, const struct avro_type *type, const struct avro_type **ret)
{
    if (type->kind == AVRO_UNION) {
        int64_t branch = 0;
        TN_TRY(avro_read_varint(in, &branch));
        if (branch < 0 || (uint64_t)branch >= type->count)
            return avro_fail(in, "a union has no such branch");
        type = type->parts[branch];
        if (type->kind == AVRO_UNION)
            return avro_fail(in, "a union inside a union");
    }
    *ret = type;
    return TN_OK;
}

enum tn_code avro_items_next(struct avro_in *in, struct avro_items *items, bool *ret_more)
{
    if (items->left == 0) {
        int64_t size = 0;
        TN_TRY(avro_read_varint(in, &items->left));
        if (items->left < 0) {
            if (items->left == INT64_MIN)
                return avro_fail(in, "an array has an impossible count");
            items->left = -items->left;
            TN_TRY(avro_read_varint(in, &size));
        }
        /* Every item that Iceberg stores takes a byte at least. */
        if (items->left > in->end - in->at)
            return avro_fail(in, "an array has more items than bytes");
        if (items->left == 0) {
            *ret_more = false;
            return TN_OK;
        }
    }
    items->left--;
    *ret_more = true;
    return TN_OK;
}

static enum tn_code avro_skip_items(struct avro_in *in, const struct avro_type *type)
{
    struct avro_items items = {0};
    struct iceberg_bytes key;
    bool more = true;
    for (;;) {
        TN_TRY(avro_items_next(in, &items, &more));
        if (!more)
            return TN_OK;
        if (type->kind == AVRO_MAP)
            TN_TRY(avro_read_counted(in, &key));
        TN_TRY(avro_skip(in, type->parts[0]));
    }
}

enum tn_code avro_skip(struct avro_in *in, const struct avro_type *type)
{
    int64_t number;
    struct iceberg_bytes bytes;
    TN_TRY(avro_enter(in, type, &type));
    switch (type->kind) {
    case AVRO_NULL:
    case AVRO_UNION:
        return TN_OK;
    case AVRO_BOOLEAN:
        return avro_advance(in, 1);
    case AVRO_INT:
    case AVRO_LONG:
    case AVRO_ENUM:
        return avro_read_varint(in, &number);
    case AVRO_FLOAT:
        return avro_advance(in, 4);
    case AVRO_DOUBLE:
        return avro_advance(in, 8);
    case AVRO_BYTES:
    case AVRO_STRING:
        return avro_read_counted(in, &bytes);
    case AVRO_FIXED:
        return avro_advance(in, type->size);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return avro_skip_items(in, type);
    case AVRO_RECORD:
        for (size_t i = 0; i < type->count; i++)
            TN_TRY(avro_skip(in, type->fields[i].type));
        return TN_OK;
    }
    return avro_fail(in, "an unknown kind of type");
}

enum tn_code avro_get_i64(struct avro_in *in, const struct avro_type *type, int64_t *ret)
{
    TN_TRY(avro_enter(in, type, &type));
    if (type->kind == AVRO_NULL)
        return TN_OK;
    if (type->kind != AVRO_INT && type->kind != AVRO_LONG)
        return avro_fail(in, "a number is stored as another type");
    return avro_read_varint(in, ret);
}

enum tn_code avro_get_i32(struct avro_in *in, const struct avro_type *type, int32_t *ret)
{
    int64_t value = *ret;
    TN_TRY(avro_get_i64(in, type, &value));
    if (value < INT32_MIN || value > INT32_MAX)
        return avro_fail(in, "a number does not fit 32 bits");
    *ret = (int32_t)value;
    return TN_OK;
}

enum tn_code avro_get_bool(struct avro_in *in, const struct avro_type *type, bool *ret)
{
    TN_TRY(avro_enter(in, type, &type));
    if (type->kind == AVRO_NULL)
        return TN_OK;
    if (type->kind != AVRO_BOOLEAN || in->at >= in->end || *in->at > 1)
        return avro_fail(in, "a bad boolean");
    *ret = *in->at++ == 1;
    return TN_OK;
}

enum tn_code avro_get_bytes(struct avro_in *in, const struct avro_type *type, struct iceberg_bytes *ret)
{
    TN_TRY(avro_enter(in, type, &type));
    if (type->kind == AVRO_NULL)
        return TN_OK;
    if (type->kind == AVRO_FIXED) {
        const uint8_t *start = in->at;
        TN_TRY(avro_advance(in, type->size));
        *ret = (struct iceberg_bytes){start, (size_t)type->size};
        return TN_OK;
    }
    if (type->kind != AVRO_BYTES && type->kind != AVRO_STRING)
        return avro_fail(in, "a text or byte value is stored as another type");
    return avro_read_counted(in, ret);
}

enum tn_code avro_get_text(struct avro_in *in, const struct avro_type *type, struct tn_arena *arena, const char **ret)
{
    struct iceberg_bytes bytes = {NULL, 0};
    TN_TRY(avro_get_bytes(in, type, &bytes));
    if (!bytes.data)
        return TN_OK;
    if (bytes.length && memchr(bytes.data, 0, bytes.length))
        return avro_fail(in, "a text has a NUL character inside");
    if (tn_utf8_valid_prefix((const char *)bytes.data, bytes.length) != bytes.length)
        return avro_fail(in, "a text is not valid UTF-8");
    *ret = tn_arena_strndup(arena, (const char *)bytes.data, bytes.length);
    return TN_OK;
}

/* --- Container files --- */

/* The header's map of text to bytes. */
static enum tn_code avro_read_pairs(struct avro_reader *reader, struct avro_in *in)
{
    struct iceberg_pair *pairs = TN_ARENA_ARRAY(reader->arena, struct iceberg_pair, AVRO_HEADER_PAIRS);
    struct avro_items items = {0};
    bool more = true;
    for (;;) {
        struct iceberg_bytes key = {0}, value = {0};
        TN_TRY(avro_items_next(in, &items, &more));
        if (!more)
            break;
        TN_TRY(avro_read_counted(in, &key));
        TN_TRY(avro_read_counted(in, &value));
        if (reader->pair_count == AVRO_HEADER_PAIRS)
            return avro_fail(in, "the header has too many entries");
        pairs[reader->pair_count++] = (struct iceberg_pair){
            tn_arena_strndup(reader->arena, (const char *)key.data, key.length),
            tn_arena_strndup(reader->arena, (const char *)value.data, value.length),
        };
    }
    reader->pairs = pairs;
    return TN_OK;
}

const char *avro_reader_pair(const struct avro_reader *reader, const char *key)
{
    for (size_t i = 0; i < reader->pair_count; i++)
        if (tn_streq(reader->pairs[i].key, key))
            return reader->pairs[i].value;
    return NULL;
}

enum tn_code avro_reader_open(struct avro_reader *reader, struct tn_arena *arena, const void *bytes, size_t length,
                              const char *what, struct tn_error *err)
{
    static const uint8_t magic[] = {'O', 'b', 'j', 1};
    struct avro_in in = {bytes, (const uint8_t *)bytes + length, what, err};
    *reader = (struct avro_reader){.arena = arena, .what = what, .in = {NULL, NULL, what, err}};
    if (length < sizeof magic || memcmp(bytes, magic, sizeof magic) != 0)
        return avro_fail(&in, length ? "not an Avro file" : "the file is empty");
    in.at += sizeof magic;
    TN_TRY(avro_read_pairs(reader, &in));
    reader->sync = in.at;
    TN_TRY(avro_advance(&in, AVRO_SYNC_BYTES));
    reader->at = in.at;
    reader->end = in.end;
    reader->codec = avro_reader_pair(reader, "avro.codec");
    reader->codec_missing = !reader->codec;
    if (!reader->codec)
        reader->codec = "null";
    const char *schema = avro_reader_pair(reader, "avro.schema");
    if (!schema)
        return avro_fail(&in, "the header has no schema");
    return avro_schema_parse(arena, schema, strlen(schema), what, &reader->type, err);
}

void avro_reader_release(struct avro_reader *reader)
{
    tn_buf_release(&reader->block);
}

static enum tn_code avro_next_block(struct avro_reader *reader)
{
    struct avro_in in = {reader->at, reader->end, reader->what, reader->in.err};
    struct iceberg_bytes packed = {0};
    TN_TRY(avro_read_varint(&in, &reader->left));
    TN_TRY(avro_read_counted(&in, &packed));
    if (in.end - in.at < AVRO_SYNC_BYTES || memcmp(in.at, reader->sync, AVRO_SYNC_BYTES) != 0)
        return avro_fail(&in, "a block does not end with the file's marker");
    reader->at = in.at + AVRO_SYNC_BYTES;
    if (tn_streq(reader->codec, "null")) {
        reader->in.at = packed.data;
        reader->in.end = packed.data + packed.length;
    } else {
        TN_TRY(avro_decompress(reader->codec, packed.data, packed.length, reader->what, &reader->block, in.err));
        reader->in.at = (const uint8_t *)reader->block.data;
        reader->in.end = reader->in.at + reader->block.len;
    }
    reader->total_bytes += (uint64_t)(reader->in.end - reader->in.at);
    if (reader->total_bytes > AVRO_FILE_MAX_BYTES)
        return tn_fail(in.err, TN_EUNSUPPORTED, "%s: more than %llu MB of Avro data in one file", reader->what,
                       (unsigned long long)(AVRO_FILE_MAX_BYTES >> 20));
    if (reader->left < 0 || reader->left > reader->in.end - reader->in.at)
        return avro_fail(&in, "a block has more records than bytes");
    return TN_OK;
}

enum tn_code avro_reader_next(struct avro_reader *reader, bool *ret_more)
{
    while (reader->left == 0) {
        if (reader->in.at != reader->in.end)
            return avro_fail(&reader->in, "bytes are left behind the last record of a block");
        if (reader->at == reader->end) {
            *ret_more = false;
            return TN_OK;
        }
        TN_TRY(avro_next_block(reader));
    }
    reader->left--;
    *ret_more = true;
    return TN_OK;
}
