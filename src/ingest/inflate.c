/* Decompression on the way in. */
#include "ingest/inflate.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define PIECE (256U << 10)
/* 128 MB: what zstd --ultra and --long=27 may ask for, and its default limit. */
#define ZSTD_WINDOW_LOG 27

struct inflate {
    enum inflate_kind kind;
    inflate_sink *sink;
    void *context;
    uint64_t in, out;
    bool between; /* at the end of a member or frame */
    z_stream gzip;
    ZSTD_DCtx *zstd;
    char piece[PIECE];
};

enum inflate_kind inflate_detect(const unsigned char *bytes, size_t length)
{
    if (length >= 3 && memcmp(bytes, "\x1F\x8B\x08", 3) == 0)
        return INFLATE_GZIP;
    if (length >= 4 && memcmp(bytes, "\x28\xB5\x2F\xFD", 4) == 0)
        return INFLATE_ZSTD;
    return INFLATE_NONE;
}

const char *inflate_name(enum inflate_kind kind)
{
    return kind == INFLATE_GZIP ? "gzip" : kind == INFLATE_ZSTD ? "zstd" : NULL;
}

struct inflate *inflate_new(enum inflate_kind kind, inflate_sink *sink, void *context)
{
    struct inflate *inflate = tn_calloc(1, sizeof *inflate);
    inflate->kind = kind;
    inflate->sink = sink;
    inflate->context = context;
    inflate->between = false;
    if (kind == INFLATE_GZIP && inflateInit2(&inflate->gzip, 16 + MAX_WBITS) != Z_OK)
        abort();
    if (kind == INFLATE_ZSTD) {
        inflate->zstd = ZSTD_createDCtx();
        if (!inflate->zstd)
            abort();
        (void)ZSTD_DCtx_setParameter(inflate->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    }
    return inflate;
}

void inflate_free(struct inflate *inflate)
{
    if (!inflate)
        return;
    if (inflate->kind == INFLATE_GZIP)
        (void)inflateEnd(&inflate->gzip);
    ZSTD_freeDCtx(inflate->zstd);
    free(inflate);
}

static enum tn_code hand_on(struct inflate *inflate, size_t count, struct tn_error *err)
{
    inflate->out += count;
    if (inflate->out > INFLATE_RATIO_FLOOR && inflate->out / INFLATE_MAX_RATIO > inflate->in) {
        char size[32];
        tn_fail(err, TN_ETOOLARGE, "the compressed file grows more than %d-fold (%s so far)", INFLATE_MAX_RATIO,
                tn_format_size(inflate->out, size));
        tn_error_hint(err, "decompress it first if it is really what you meant");
        return TN_ETOOLARGE;
    }
    return count ? inflate->sink(inflate->context, inflate->piece, count, err) : TN_OK;
}

static enum tn_code damaged(const struct inflate *inflate, const char *why, struct tn_error *err)
{
    tn_fail(err, TN_EUNREADABLE, "the %s data is damaged behind %llu decompressed bytes: %s",
            inflate_name(inflate->kind), (unsigned long long)inflate->out, why);
    tn_error_hint(err, "download or compress the file again");
    return TN_EUNREADABLE;
}

/* Zero bytes and other padding behind the last member end the file, as gzip
 * itself does it; another member continues it. */
static enum tn_code push_gzip(struct inflate *self, const void *bytes, size_t count, struct tn_error *err)
{
    z_stream *stream = &self->gzip;
    stream->next_in = (Bytef *)(uintptr_t)bytes;
    stream->avail_in = (uInt)count;
    while (stream->avail_in > 0) {
        if (self->between) {
            if (*stream->next_in == 0) {
                stream->next_in++;
                stream->avail_in--;
                continue;
            }
            (void)inflateReset(stream);
            self->between = false;
        }
        int code;
        do {
            stream->next_out = (Bytef *)self->piece;
            stream->avail_out = PIECE;
            code = inflate(stream, Z_NO_FLUSH);
            if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
                return damaged(self, stream->msg ? stream->msg : "not gzip", err);
            TN_TRY(hand_on(self, PIECE - stream->avail_out, err));
        } while (code == Z_OK && stream->avail_out == 0);
        if (code == Z_STREAM_END)
            self->between = true;
        else if (code == Z_BUF_ERROR && stream->avail_in > 0)
            return damaged(self, "it makes no progress", err);
    }
    return TN_OK;
}

static enum tn_code push_zstd(struct inflate *inflate, const void *bytes, size_t count, struct tn_error *err)
{
    ZSTD_inBuffer in = {bytes, count, 0};
    bool full = false;
    while (in.pos < in.size || full) {
        ZSTD_outBuffer out = {inflate->piece, PIECE, 0};
        size_t code = ZSTD_decompressStream(inflate->zstd, &out, &in);
        if (ZSTD_isError(code))
            return damaged(inflate, ZSTD_getErrorName(code), err);
        TN_TRY(hand_on(inflate, out.pos, err));
        inflate->between = code == 0;
        full = out.pos == out.size;
    }
    return TN_OK;
}

enum tn_code inflate_push(struct inflate *inflate, const void *bytes, size_t count, struct tn_error *err)
{
    const char *p = bytes;
    while (count) {
        size_t piece = TN_MIN(count, (size_t)1 << 30);
        inflate->in += piece;
        TN_TRY(inflate->kind == INFLATE_GZIP ? push_gzip(inflate, p, piece, err) : push_zstd(inflate, p, piece, err));
        p += piece;
        count -= piece;
    }
    return TN_OK;
}

enum tn_code inflate_finish(struct inflate *inflate, struct tn_error *err)
{
    return inflate->between ? TN_OK : damaged(inflate, "it ends too early", err);
}
