/* Zip archives (see zip.h). */
#include "document/zip.h"

#include "document/text.h"

#include <string.h>
#include <zlib.h>

#define END_BYTES       22
#define END_SEARCH      (END_BYTES + 65535)
#define CENTRAL_BYTES   46
#define LOCAL_BYTES     30
#define DIRECTORY_MAX   ((uint64_t)64 << 20)
#define PIECE           ((size_t)64 << 10)
#define FLAG_ENCRYPTED  1
#define FLAG_UTF8       0x800
#define METHOD_STORED   0
#define METHOD_DEFLATED 8

static uint32_t u16(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8;
}

static uint32_t u32(const char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static enum tn_code damaged(struct tn_error *err, const char *what)
{
    return tn_fail(err, TN_EUNREADABLE, "the zip archive is damaged: %s", what);
}

static enum tn_code read_at(const struct zip *zip, uint64_t offset, size_t count, char *out, struct tn_error *err)
{
    if (offset > zip->size || count > zip->size - offset)
        return damaged(err, "it ends too early");
    if (!zip->bytes)
        return tn_pread_all(zip->fd, out, count, offset, "zip archive", err);
    memcpy(out, zip->bytes + offset, count);
    return TN_OK;
}

/* Names are UTF-8 by a flag, else of some old code page: what is not UTF-8 is
 * read as Windows-1252, which is right for most letters. */
static char *take_name(const char *bytes, size_t length, uint16_t flags)
{
    TN_AUTO_BUF utf8 = {0}, clean = {0};
    if (flags & FLAG_UTF8 || tn_utf8_valid_prefix(bytes, length) == length)
        tn_buf_append(&utf8, bytes, length);
    else
        text_to_utf8(bytes, length, "windows-1252", &utf8);
    text_put_clean(&clean, utf8.data ? utf8.data : "", utf8.len);
    return tn_buf_take(&clean);
}

static enum tn_code read_directory(struct zip *zip, const char *directory, size_t size, size_t count,
                                   struct tn_error *err)
{
    size_t at = 0;
    zip->entries = tn_calloc(count + 1, sizeof *zip->entries);
    for (; zip->count < count; zip->count++) {
        const char *p = directory + at;
        if (size - at < CENTRAL_BYTES || memcmp(p, "PK\1\2", 4) != 0)
            return damaged(err, "its directory ends too early");
        size_t name = u16(p + 28), rest = (size_t)u16(p + 30) + u16(p + 32);
        if (size - at - CENTRAL_BYTES < name + rest)
            return damaged(err, "its directory ends too early");
        if (u32(p + 20) == UINT32_MAX || u32(p + 24) == UINT32_MAX || u32(p + 42) == UINT32_MAX)
            return tn_fail(err, TN_EUNSUPPORTED, "zip archives with members beyond 4 GB cannot be read");
        zip->entries[zip->count] =
            (struct zip_entry){.name = take_name(p + CENTRAL_BYTES, name, (uint16_t)u16(p + 8)),
                               .flags = (uint16_t)u16(p + 8),
                               .method = (uint16_t)u16(p + 10),
                               .crc = u32(p + 16),
                               .packed = u32(p + 20),
                               .size = u32(p + 24),
                               .offset = u32(p + 42)};
        at += CENTRAL_BYTES + name + rest;
    }
    return TN_OK;
}

static enum tn_code open_zip(struct zip *zip, uint32_t max_files, struct tn_error *err)
{
    size_t look = (size_t)TN_MIN(zip->size, (uint64_t)END_SEARCH), at;
    TN_AUTO_FREE char *end = tn_malloc(look + 1);
    TN_TRY(read_at(zip, zip->size - look, look, end, err));
    if (look < END_BYTES)
        return damaged(err, "it has no directory");
    for (at = look - END_BYTES; memcmp(end + at, "PK\5\6", 4) != 0; at--)
        if (at == 0)
            return damaged(err, "it has no directory (is it complete?)");
    size_t count = u16(end + at + 10);
    uint64_t size = u32(end + at + 12), offset = u32(end + at + 16);
    if (count == 0xFFFF || size == UINT32_MAX || offset == UINT32_MAX) {
        (void)tn_fail(err, TN_EUNSUPPORTED, "zip64 archives (beyond 4 GB or 65,534 files) cannot be read");
        tn_error_hint(err, "send it as several archives, or unpacked");
        return TN_EUNSUPPORTED;
    }
    if (count > max_files) {
        (void)tn_fail(err, TN_ETOOLARGE, "the archive holds %zu files; at most %u are read", count, max_files);
        tn_error_hint(err, "send it as several archives, or raise the setting documents.max_archive_files");
        return TN_ETOOLARGE;
    }
    if (size > DIRECTORY_MAX || offset > zip->size || size > zip->size - offset)
        return damaged(err, "its directory lies outside");
    TN_AUTO_FREE char *directory = tn_malloc((size_t)size + 1);
    TN_TRY(read_at(zip, offset, (size_t)size, directory, err));
    return read_directory(zip, directory, (size_t)size, count, err);
}

void zip_release(struct zip *zip)
{
    for (size_t i = 0; i < zip->count; i++)
        free(zip->entries[i].name);
    free(zip->entries);
    *zip = (struct zip){.fd = -1};
}

static enum tn_code opened(struct zip *zip, uint32_t max_files, struct zip *ret, struct tn_error *err)
{
    enum tn_code code = open_zip(zip, max_files, err);
    if (code == TN_OK)
        *ret = *zip;
    else
        zip_release(zip);
    return code;
}

enum tn_code zip_open_bytes(const char *bytes, size_t count, uint32_t max_files, struct zip *ret,
                            struct tn_error *err)
{
    struct zip zip = {.bytes = bytes, .fd = -1, .size = count};
    return opened(&zip, max_files, ret, err);
}

enum tn_code zip_open_fd(int fd, uint64_t size, uint32_t max_files, struct zip *ret, struct tn_error *err)
{
    struct zip zip = {.fd = fd, .size = size};
    return opened(&zip, max_files, ret, err);
}

const struct zip_entry *zip_find(const struct zip *zip, const char *name)
{
    for (size_t i = 0; i < zip->count; i++)
        if (tn_streq(zip->entries[i].name, name))
            return &zip->entries[i];
    return NULL;
}

/* ---- unpacking -------------------------------------------------------------------------- */

struct unpack {
    const struct zip *zip;
    const struct zip_entry *entry;
    uint64_t at, left; /* packed bytes */
    uint64_t out, max;
    uint32_t crc;
    zip_sink *sink;
    void *context;
};

static enum tn_code give(struct unpack *unpack, const char *bytes, size_t count, struct tn_error *err)
{
    char size[32];
    unpack->out += count;
    if (unpack->out > unpack->max)
        return tn_fail(err, TN_ETOOLARGE, "it unpacks to more than %s", tn_format_size(unpack->max, size));
    if (unpack->out > ZIP_RATIO_FLOOR && unpack->out / ZIP_MAX_RATIO > unpack->entry->packed)
        return tn_fail(err, TN_EUNREADABLE, "it unpacks to more than %d times its size: a zip bomb", ZIP_MAX_RATIO);
    unpack->crc = (uint32_t)crc32(unpack->crc, (const Bytef *)bytes, (uInt)count);
    return unpack->sink(unpack->context, bytes, count, err);
}

static enum tn_code next_piece(struct unpack *unpack, char *piece, size_t *ret_count, struct tn_error *err)
{
    size_t count = (size_t)TN_MIN(unpack->left, (uint64_t)PIECE);
    TN_TRY(read_at(unpack->zip, unpack->at, count, piece, err));
    unpack->at += count;
    unpack->left -= count;
    *ret_count = count;
    return TN_OK;
}

static enum tn_code copy_stored(struct unpack *unpack, char *piece, struct tn_error *err)
{
    while (unpack->left) {
        size_t count;
        TN_TRY(next_piece(unpack, piece, &count, err));
        TN_TRY(give(unpack, piece, count, err));
    }
    return TN_OK;
}

static void end_inflate(z_stream *stream)
{
    (void)inflateEnd(stream);
}

static enum tn_code inflate_member(struct unpack *unpack, char *piece, struct tn_error *err)
{
    TN_CLEANUP(end_inflate) z_stream stream = {0};
    TN_AUTO_FREE char *out = tn_malloc(PIECE);
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return tn_fail(err, TN_ENOMEM, "out of memory");
    for (int status = Z_OK; status != Z_STREAM_END;) {
        if (stream.avail_in == 0 && unpack->left) {
            size_t count;
            TN_TRY(next_piece(unpack, piece, &count, err));
            stream.next_in = (Bytef *)piece;
            stream.avail_in = (uInt)count;
        }
        stream.next_out = (Bytef *)out;
        stream.avail_out = PIECE;
        status = inflate(&stream, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END)
            return damaged(err, "a member cannot be unpacked");
        TN_TRY(give(unpack, out, PIECE - stream.avail_out, err));
    }
    return TN_OK;
}

enum tn_code zip_unpack(const struct zip *zip, const struct zip_entry *entry, uint64_t max_bytes, zip_sink *sink,
                        void *context, struct tn_error *err)
{
    char local[LOCAL_BYTES];
    if (entry->flags & FLAG_ENCRYPTED)
        return tn_fail(err, TN_EUNREADABLE, "it is protected by a password");
    if (entry->method != METHOD_STORED && entry->method != METHOD_DEFLATED)
        return tn_fail(err, TN_EUNREADABLE, "it is packed by method %u, which is not known", entry->method);
    TN_TRY(read_at(zip, entry->offset, LOCAL_BYTES, local, err));
    if (memcmp(local, "PK\3\4", 4) != 0)
        return damaged(err, "a member is not where the directory says");
    struct unpack unpack = {.zip = zip,
                            .entry = entry,
                            .at = entry->offset + LOCAL_BYTES + u16(local + 26) + u16(local + 28),
                            .left = entry->packed,
                            .max = max_bytes,
                            .sink = sink,
                            .context = context};
    TN_AUTO_FREE char *piece = tn_malloc(PIECE);
    if (entry->method == METHOD_STORED)
        TN_TRY(copy_stored(&unpack, piece, err));
    else
        TN_TRY(inflate_member(&unpack, piece, err));
    if (unpack.out != entry->size || unpack.crc != entry->crc)
        return damaged(err, "a member's checksum is wrong");
    return TN_OK;
}

static enum tn_code append(void *context, const void *bytes, size_t count, struct tn_error *err)
{
    (void)err;
    tn_buf_append(context, bytes, count);
    return TN_OK;
}

enum tn_code zip_unpack_all(const struct zip *zip, const struct zip_entry *entry, uint64_t max_bytes,
                            struct tn_buf *ret, struct tn_error *err)
{
    return zip_unpack(zip, entry, max_bytes, append, ret, err);
}
