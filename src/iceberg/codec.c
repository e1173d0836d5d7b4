/* Block codecs of Avro files: deflate both ways; zstandard and snappy to read. */
#include "base/str.h"
#include "iceberg/avro.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

static enum tn_code codec_too_large(const char *what, struct tn_error *err)
{
    return tn_fail(err, TN_EUNSUPPORTED, "%s: a block is larger than %zu MB when decompressed", what,
                   AVRO_BLOCK_MAX_BYTES >> 20);
}

static void codec_end_inflate(z_stream *stream)
{
    (void)inflateEnd(stream);
}
static void codec_end_deflate(z_stream *stream)
{
    (void)deflateEnd(stream);
}
static void codec_end_zstd(ZSTD_DStream **stream)
{
    (void)ZSTD_freeDStream(*stream);
}

static enum tn_code codec_inflate(const uint8_t *bytes, size_t length, const char *what, struct tn_buf *out,
                                  struct tn_error *err)
{
    TN_CLEANUP(codec_end_inflate) z_stream stream = {0};
    if (length > UINT32_MAX)
        return codec_too_large(what, err);
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return tn_fail(err, TN_ENOMEM, "%s: no memory to decompress", what);
    TN_AUTO_FREE uint8_t *input = tn_try_malloc(length + 1); /* zlib's pointer is not const */
    if (!input)
        return tn_fail(err, TN_ENOMEM, "%s: no memory to decompress", what);
    memcpy(input, bytes, length);
    stream.next_in = input;
    stream.avail_in = (uInt)length;
    int state = Z_OK;
    while (state == Z_OK) {
        if (out->len > AVRO_BLOCK_MAX_BYTES)
            return codec_too_large(what, err);
        size_t room = TN_MAX((size_t)16 << 10, TN_MIN(out->len + length, (size_t)4 << 20));
        stream.next_out = (Bytef *)tn_buf_reserve(out, room);
        stream.avail_out = (uInt)room;
        state = inflate(&stream, Z_NO_FLUSH);
        out->len += room - stream.avail_out;
    }
    /* Some writers leave bytes of a zlib checksum behind the deflate stream. */
    if (state != Z_STREAM_END || stream.avail_in > 4)
        return tn_fail(err, TN_ECORRUPT, "%s: a deflate block does not decompress", what);
    return TN_OK;
}

enum tn_code avro_deflate(const void *bytes, size_t length, struct tn_buf *out, struct tn_error *err)
{
    TN_CLEANUP(codec_end_deflate) z_stream stream = {0};
    /* Level 1: manifests are written at every commit and read from the cache. */
    if (length > UINT32_MAX || deflateInit2(&stream, 1, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return tn_fail(err, TN_ENOMEM, "no memory to compress %zu bytes", length);
    uLong bound = deflateBound(&stream, (uLong)length);
    TN_AUTO_FREE uint8_t *input = tn_malloc(length + 1);
    if (length)
        memcpy(input, bytes, length);
    stream.next_in = input;
    stream.avail_in = (uInt)length;
    stream.next_out = (Bytef *)tn_buf_reserve(out, bound);
    stream.avail_out = (uInt)bound;
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
        return tn_fail(err, TN_EINTERNAL, "deflate did not finish");
    out->len += bound - stream.avail_out;
    tn_buf_append(out, "", 0); /* terminates */
    return TN_OK;
}

static enum tn_code codec_unzstd(const uint8_t *bytes, size_t length, const char *what, struct tn_buf *out,
                                 struct tn_error *err)
{
    TN_CLEANUP(codec_end_zstd) ZSTD_DStream *stream = ZSTD_createDStream();
    if (!stream)
        return tn_fail(err, TN_ENOMEM, "%s: no memory to decompress", what);
    /* A frame may ask for a large window; ours is bounded like the block. */
    (void)ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, 27);
    ZSTD_inBuffer input = {bytes, length, 0};
    size_t left = 1;
    while (input.pos < input.size || left != 0) {
        if (out->len > AVRO_BLOCK_MAX_BYTES)
            return codec_too_large(what, err);
        size_t room = ZSTD_DStreamOutSize();
        ZSTD_outBuffer output = {tn_buf_reserve(out, room), room, 0};
        left = ZSTD_decompressStream(stream, &output, &input);
        if (ZSTD_isError(left))
            return tn_fail(err, TN_ECORRUPT, "%s: a zstandard block does not decompress: %s", what,
                           ZSTD_getErrorName(left));
        out->len += output.pos;
        if (input.pos == input.size && left != 0 && output.pos == 0)
            return tn_fail(err, TN_ECORRUPT, "%s: a zstandard block ends too early", what);
    }
    return TN_OK;
}

/* --- Snappy: literals and back-references behind a varint length --- */

struct codec_snappy {
    const uint8_t *at, *end;
    char *out;
    size_t length, size;
};

static bool codec_snappy_literal(struct codec_snappy *in, unsigned tag)
{
    size_t count = tag >> 2;
    if (count >= 60) {
        size_t extra = count - 59;
        if ((size_t)(in->end - in->at) < extra)
            return false;
        count = 0;
        for (size_t i = 0; i < extra; i++)
            count |= (size_t)in->at[i] << (8 * i);
        in->at += extra;
    }
    count++;
    if (count > (size_t)(in->end - in->at) || count > in->size - in->length)
        return false;
    memcpy(in->out + in->length, in->at, count);
    in->at += count;
    in->length += count;
    return true;
}

static bool codec_snappy_copy(struct codec_snappy *in, unsigned tag)
{
    static const size_t widths[] = {0, 1, 2, 4};
    size_t width = widths[tag & 3], offset = 0;
    size_t count = (tag & 3) == 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    if ((size_t)(in->end - in->at) < width)
        return false;
    for (size_t i = 0; i < width; i++)
        offset |= (size_t)in->at[i] << (8 * i);
    if ((tag & 3) == 1)
        offset |= (size_t)(tag >> 5) << 8;
    in->at += width;
    if (offset == 0 || offset > in->length || count > in->size - in->length)
        return false;
    for (size_t i = 0; i < count; i++, in->length++) /* may overlap: byte by byte */
        in->out[in->length] = in->out[in->length - offset];
    return true;
}

static enum tn_code codec_unsnappy(const uint8_t *bytes, size_t length, const char *what, struct tn_buf *out,
                                   struct tn_error *err)
{
    struct codec_snappy in = {.at = bytes, .end = bytes + length};
    bool ok = length >= 4;
    uint64_t size = 0;
    if (ok)
        in.end -= 4; /* Avro adds the CRC-32 of the plain bytes */
    for (unsigned shift = 0; ok; shift += 7) {
        ok = in.at < in.end && shift < 35;
        if (!ok)
            break;
        size |= (uint64_t)(*in.at & 0x7F) << shift;
        if (!(*in.at++ & 0x80))
            break;
    }
    if (size > AVRO_BLOCK_MAX_BYTES)
        return codec_too_large(what, err);
    in.size = (size_t)size;
    in.out = tn_buf_reserve(out, in.size + 1);
    while (ok && in.at < in.end) {
        unsigned tag = *in.at++;
        ok = (tag & 3) == 0 ? codec_snappy_literal(&in, tag) : codec_snappy_copy(&in, tag);
    }
    out->len += in.length;
    if (ok && in.length == in.size) {
        uLong sum = crc32(0, (const Bytef *)out->data, (uInt)out->len);
        uint32_t want = (uint32_t)in.end[0] << 24 | (uint32_t)in.end[1] << 16 | (uint32_t)in.end[2] << 8 | in.end[3];
        ok = (uint32_t)sum == want;
    } else {
        ok = false;
    }
    return ok ? TN_OK : tn_fail(err, TN_ECORRUPT, "%s: a snappy block does not decompress", what);
}

static enum tn_code codec_decompress(const char *codec, const uint8_t *bytes, size_t length, const char *what,
                                     struct tn_buf *out, struct tn_error *err)
{
    if (tn_streq(codec, "deflate"))
        return codec_inflate(bytes, length, what, out, err);
    if (tn_streq(codec, "zstandard"))
        return codec_unzstd(bytes, length, what, out, err);
    if (tn_streq(codec, "snappy"))
        return codec_unsnappy(bytes, length, what, out, err);
    return tn_fail(err, TN_EUNSUPPORTED, "%s: Avro codec \"%.40s\" (null, deflate, zstandard and snappy are read)",
                   what, codec);
}

enum tn_code avro_decompress(const char *codec, const uint8_t *bytes, size_t length, const char *what,
                             struct tn_buf *out, struct tn_error *err)
{
    tn_buf_clear(out);
    enum tn_code code = codec_decompress(codec, bytes, length, what, out, err);
    tn_buf_append(out, "", 0); /* the codecs wrote behind its back: terminate */
    return code;
}
