/* Headers of images (see image.h). */
#include "document/image.h"

#include "document/readers.h"

#include <inttypes.h>
#include <string.h>

static const char *const names[] = {
    [IMAGE_NONE] = "unknown", [IMAGE_PNG] = "PNG", [IMAGE_JPEG] = "JPEG", [IMAGE_TIFF] = "TIFF",
    [IMAGE_BMP] = "BMP",      [IMAGE_GIF] = "GIF", [IMAGE_WEBP] = "WebP",
};

const char *image_format_name(enum image_format format)
{
    return names[format];
}

static uint32_t byte_at(const char *bytes, size_t at)
{
    return (unsigned char)bytes[at];
}

static uint32_t little16(const char *bytes, size_t at)
{
    return byte_at(bytes, at) | byte_at(bytes, at + 1) << 8;
}

static uint32_t little24(const char *bytes, size_t at)
{
    return little16(bytes, at) | byte_at(bytes, at + 2) << 16;
}

static uint32_t little32(const char *bytes, size_t at)
{
    return little16(bytes, at) | little16(bytes, at + 2) << 16;
}

static uint32_t big16(const char *bytes, size_t at)
{
    return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
}

static uint32_t big32(const char *bytes, size_t at)
{
    return big16(bytes, at) << 16 | big16(bytes, at + 2);
}

static bool begins(const char *bytes, size_t count, const char *magic, size_t length)
{
    return count >= length && memcmp(bytes, magic, length) == 0;
}

/* "BM" begins words too; a bitmap has the size of a header that exists. */
static bool is_bitmap(const char *bytes, size_t count)
{
    static const uint32_t headers[] = {12, 40, 52, 56, 64, 108, 124};
    if (!begins(bytes, count, "BM", 2) || count < 18 || little32(bytes, 6) != 0)
        return false;
    for (size_t i = 0; i < TN_COUNT(headers); i++)
        if (little32(bytes, 14) == headers[i])
            return true;
    return false;
}

enum image_format image_sniff(const char *bytes, size_t count)
{
    if (begins(bytes, count, "\x89PNG\r\n\x1A\n", 8))
        return IMAGE_PNG;
    if (begins(bytes, count, "\xFF\xD8\xFF", 3))
        return IMAGE_JPEG;
    if (begins(bytes, count, "II*\0", 4) || begins(bytes, count, "MM\0*", 4))
        return IMAGE_TIFF;
    if (begins(bytes, count, "GIF87a", 6) || begins(bytes, count, "GIF89a", 6))
        return IMAGE_GIF;
    if (begins(bytes, count, "RIFF", 4) && count >= 12 && memcmp(bytes + 8, "WEBP", 4) == 0)
        return IMAGE_WEBP;
    return is_bitmap(bytes, count) ? IMAGE_BMP : IMAGE_NONE;
}

enum tn_code image_cut_off(enum image_format format, struct tn_error *err)
{
    return tn_fail(err, TN_EUNREADABLE, "the image (%s) is cut off or damaged", names[format]);
}

enum tn_code image_check_size(const struct document_limits *limits, uint64_t width, uint64_t height,
                              struct tn_error *err)
{
    uint64_t most = limits->memory_bytes / IMAGE_BYTES_PER_PIXEL;
    if (width == 0 || height == 0)
        return tn_fail(err, TN_EUNREADABLE, "the image is damaged: it is %" PRIu64 " x %" PRIu64 " pixels large",
                       width, height);
    if (width > IMAGE_SIDE_MAX || height > IMAGE_SIDE_MAX) {
        (void)tn_fail(err, TN_ETOOLARGE,
                      "the image has %" PRIu64 " x %" PRIu64 " pixels; OCR reads %d on a side at most", width, height,
                      IMAGE_SIDE_MAX);
        tn_error_hint(err, "make it smaller (300 dpi is what OCR needs), or cut it into several");
        return TN_ETOOLARGE;
    }
    if (width * height > most) {
        (void)tn_fail(err, TN_ETOOLARGE,
                      "the image has %" PRIu64 " x %" PRIu64 " pixels; the memory of OCR holds %" PRIu64 " at most",
                      width, height, most);
        tn_error_hint(err, "make it smaller (300 dpi is what OCR needs), or raise the setting documents.memory");
        return TN_ETOOLARGE;
    }
    return TN_OK;
}

/* ---- the formats ---------------------------------------------------------------------------- */

/* Chunks of a length, a name, data and a sum, from IHDR to IEND. */
static enum tn_code look_png(const char *bytes, size_t count, const struct document_limits *limits, struct image *ret,
                             struct tn_error *err)
{
    bool data = false;
    if (count < 33 || big32(bytes, 8) != 13 || memcmp(bytes + 12, "IHDR", 4) != 0)
        return image_cut_off(IMAGE_PNG, err);
    ret->width = big32(bytes, 16);
    ret->height = big32(bytes, 20);
    TN_TRY(image_check_size(limits, ret->width, ret->height, err));
    for (size_t at = 8; count - at >= 12;) {
        uint64_t length = big32(bytes, at);
        const char *name = bytes + at + 4;
        if (memcmp(name, "IEND", 4) == 0 && data)
            return TN_OK;
        data |= memcmp(name, "IDAT", 4) == 0;
        if (length > count - at - 12)
            break;
        at += (size_t)length + 12;
    }
    return image_cut_off(IMAGE_PNG, err);
}

/* Where the next marker stands, or `count`. */
static size_t find_marker(const char *bytes, size_t count, size_t at)
{
    while (at + 1 < count && !(byte_at(bytes, at) == 0xFF && byte_at(bytes, at + 1) != 0xFF))
        at++;
    return at + 1 < count ? at : count;
}

static bool is_frame(uint32_t marker)
{
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

static enum tn_code look_jpeg(const char *bytes, size_t count, const struct document_limits *limits,
                              struct image *ret, struct tn_error *err)
{
    for (size_t at = find_marker(bytes, count, 2); count - at >= 4; at = find_marker(bytes, count, at)) {
        uint32_t marker = byte_at(bytes, at + 1), length = big16(bytes, at + 2);
        if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD7)) { /* these have no length */
            at += 2;
            continue;
        }
        if (length < 2 || length > count - at - 2 || marker == 0xD9)
            break;
        if (is_frame(marker) && length >= 7) {
            ret->height = big16(bytes, at + 5);
            ret->width = big16(bytes, at + 7);
            TN_TRY(image_check_size(limits, ret->width, ret->height, err));
        }
        at += 2 + length;
        if (marker != 0xDA)
            continue;
        /* Pixels: a marker among them has its FF doubled by a 00, but for the end's. */
        bool whole = ret->width && memmem(bytes + at, count - at, "\xFF\xD9", 2);
        return whole ? TN_OK : image_cut_off(IMAGE_JPEG, err);
    }
    return image_cut_off(IMAGE_JPEG, err);
}

static enum tn_code look_bmp(const char *bytes, size_t count, const struct document_limits *limits, struct image *ret,
                             struct tn_error *err)
{
    uint32_t header = little32(bytes, 14), bits, packed = 0;
    if (count < (size_t)14 + header)
        return image_cut_off(IMAGE_BMP, err);
    if (header == 12) {
        ret->width = little16(bytes, 18);
        ret->height = little16(bytes, 20);
        bits = little16(bytes, 24);
    } else {
        ret->width = little32(bytes, 18);
        ret->height = little32(bytes, 22);
        if (ret->height > INT32_MAX) /* negative: the first line stands first */
            ret->height = -ret->height;
        bits = little16(bytes, 28);
        packed = little32(bytes, 30);
    }
    TN_TRY(image_check_size(limits, ret->width, ret->height, err));
    uint64_t line = ((uint64_t)ret->width * bits + 31) / 32 * 4;
    bool plain = packed == 0 || packed == 3;
    if (bits == 0 || bits > 32 || (plain && little32(bytes, 10) + line * ret->height > count))
        return image_cut_off(IMAGE_BMP, err);
    return TN_OK;
}

/* Past blocks of a length byte and so many bytes, to the one of none; 0: cut off. */
static size_t skip_gif_blocks(const char *bytes, size_t count, size_t at)
{
    while (at < count) {
        size_t length = byte_at(bytes, at);
        at += 1 + length;
        if (length == 0)
            return at;
    }
    return 0;
}

static size_t gif_colours(uint32_t flags)
{
    return flags & 0x80 ? (size_t)3 << ((flags & 7) + 1) : 0;
}

/* All images of it are unpacked by whoever reads the first. */
static enum tn_code look_gif(const char *bytes, size_t count, const struct document_limits *limits, struct image *ret,
                             struct tn_error *err)
{
    uint64_t pixels = 0, lines = 0;
    if (count < 13)
        return image_cut_off(IMAGE_GIF, err);
    ret->width = little16(bytes, 6);
    ret->height = little16(bytes, 8);
    TN_TRY(image_check_size(limits, ret->width, ret->height, err));
    for (size_t at = 13 + gif_colours(byte_at(bytes, 10)); at > 0 && at < count;) {
        uint32_t kind = byte_at(bytes, at);
        if (kind == 0x3B)
            return pixels ? TN_OK : image_cut_off(IMAGE_GIF, err);
        if (kind == 0x21 && count - at > 2) {
            at = skip_gif_blocks(bytes, count, at + 2);
        } else if (kind == 0x2C && count - at > 11) {
            uint32_t width = little16(bytes, at + 5), height = little16(bytes, at + 7);
            TN_TRY(image_check_size(limits, width, height, err));
            pixels += (uint64_t)width * height;
            lines += height;
            if (pixels > limits->memory_bytes / IMAGE_BYTES_PER_PIXEL)
                return image_check_size(limits, (pixels + lines - 1) / lines, lines, err);
            at = skip_gif_blocks(bytes, count, at + 11 + gif_colours(byte_at(bytes, at + 9)));
        } else {
            break;
        }
    }
    return image_cut_off(IMAGE_GIF, err);
}

static enum tn_code look_webp(const char *bytes, size_t count, const struct document_limits *limits,
                              struct image *ret, struct tn_error *err)
{
    if (count < 30 || (uint64_t)little32(bytes, 4) + 8 > count)
        return image_cut_off(IMAGE_WEBP, err);
    const char *kind = bytes + 12;
    if (memcmp(kind, "VP8 ", 4) == 0 && memcmp(bytes + 23, "\x9D\x01\x2A", 3) == 0) {
        ret->width = little16(bytes, 26) & 0x3FFF;
        ret->height = little16(bytes, 28) & 0x3FFF;
    } else if (memcmp(kind, "VP8L", 4) == 0 && byte_at(bytes, 20) == 0x2F) {
        uint32_t both = little32(bytes, 21);
        ret->width = (both & 0x3FFF) + 1;
        ret->height = (both >> 14 & 0x3FFF) + 1;
    } else if (memcmp(kind, "VP8X", 4) == 0) {
        ret->width = little24(bytes, 24) + 1;
        ret->height = little24(bytes, 27) + 1;
        if (byte_at(bytes, 20) & 0x02)
            return tn_fail(err, TN_EUNSUPPORTED, "this is an animated WebP, not an image of a page");
    } else {
        return image_cut_off(IMAGE_WEBP, err);
    }
    return image_check_size(limits, ret->width, ret->height, err);
}

enum tn_code image_look(const char *bytes, size_t count, const struct document_limits *limits, struct image *ret,
                        struct tn_error *err)
{
    static enum tn_code (*const looks[])(const char *, size_t, const struct document_limits *, struct image *,
                                         struct tn_error *) = {
        [IMAGE_PNG] = look_png, [IMAGE_JPEG] = look_jpeg, [IMAGE_TIFF] = image_tiff_look,
        [IMAGE_BMP] = look_bmp, [IMAGE_GIF] = look_gif,   [IMAGE_WEBP] = look_webp,
    };
    struct image image = {.format = image_sniff(bytes, count), .pages = 1};
    if (image.format == IMAGE_NONE)
        return tn_fail(err, TN_EUNREADABLE, "this is no image that can be read");
    TN_TRY(looks[image.format](bytes, count, limits, &image, err));
    *ret = image;
    return TN_OK;
}

/* ---- as a document ---------------------------------------------------------------------------- */

enum tn_code reader_image(const struct document_input *input, struct outline *outline, struct tn_error *err)
{
    struct image image = {0}; /* gcc 12 does not see that it is set */
    char size[40];
    TN_TRY(image_look(input->bytes, input->count, input->limits, &image, err));
    struct document *document = outline->document;
    outline_field(outline, "format", names[image.format], strlen(names[image.format]));
    (void)snprintf(size, sizeof size, "%u x %u", image.width, image.height);
    outline_field(outline, "pixels", size, strlen(size));
    for (uint32_t page = 1; page <= image.pages; page++) {
        outline_page(outline, page, "", 0);
        document->sections[page - 1].needs_ocr = true;
    }
    document->pages = image.pages;
    document->needs_ocr = true;
    return TN_OK;
}
