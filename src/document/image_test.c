/* Headers of images by example: sizes, pages, what is cut off, what claims too much. */
#include "base/test_support.h"
#include "document/image.h"

#include <string.h>

static void put16(struct tn_buf *out, unsigned value, bool big)
{
    tn_buf_putc(out, (char)(big ? value >> 8 : value));
    tn_buf_putc(out, (char)(big ? value : value >> 8));
}

static void put32(struct tn_buf *out, unsigned value, bool big)
{
    put16(out, big ? value >> 16 : value & 0xFFFF, big);
    put16(out, big ? value & 0xFFFF : value >> 16, big);
}

static enum tn_code look(const struct tn_buf *file, size_t count, struct image *ret, struct tn_error *err)
{
    struct document_limits limits = document_limits_default();
    limits.pages = 20;
    /* Of the very size, so that a read behind the end is seen. */
    TN_AUTO_FREE char *copy = tn_malloc(count + (count == 0));
    memcpy(copy, file->data, count);
    return image_look(copy, count, &limits, ret, err);
}

static void gives(const struct tn_buf *file, enum image_format format, unsigned width, unsigned height,
                  unsigned pages)
{
    struct image image;
    struct tn_error error = {0};
    if (look(file, file->len, &image, &error) != TN_OK)
        fail_msg("%s", error.detail);
    assert_int_equal(image.format, format);
    assert_int_equal(image.width, width);
    assert_int_equal(image.height, height);
    assert_int_equal(image.pages, pages);
}

static void refuses(const struct tn_buf *file, enum tn_code code, const char *words)
{
    struct image image;
    struct tn_error error = {0};
    assert_int_equal(look(file, file->len, &image, &error), code);
    if (!strstr(error.detail, words))
        fail_msg("%s has no %s", error.detail, words);
}

/* No beginning of it is taken for the whole. */
static void needs_its_end(const struct tn_buf *file)
{
    for (size_t count = 0; count < file->len; count++) {
        struct image image;
        struct tn_error error = {0};
        assert_int_equal(look(file, count, &image, &error), TN_EUNREADABLE);
    }
}

static void put_chunk(struct tn_buf *out, const char *name, const char *data, size_t length)
{
    put32(out, (unsigned)length, true);
    tn_buf_append(out, name, 4);
    tn_buf_append(out, data, length);
    put32(out, 0, true);
}

static void put_png(struct tn_buf *out, unsigned width, unsigned height)
{
    TN_AUTO_BUF header = {0};
    tn_buf_append(out, "\x89PNG\r\n\x1A\n", 8);
    put32(&header, width, true);
    put32(&header, height, true);
    tn_buf_append(&header, "\10\0\0\0\0", 5);
    put_chunk(out, "IHDR", header.data, header.len);
    put_chunk(out, "IDAT", "pixels", 6);
    put_chunk(out, "IEND", "", 0);
}

static void test_png(void **state)
{
    TN_AUTO_BUF file = {0}, bomb = {0}, wide = {0}, empty = {0};
    (void)state;
    put_png(&file, 300, 20);
    gives(&file, IMAGE_PNG, 300, 20, 1);
    needs_its_end(&file);
    put_png(&bomb, 30000, 30000);
    refuses(&bomb, TN_ETOOLARGE, "30000 x 30000 pixels");
    put_png(&wide, 4000000000U, 1);
    refuses(&wide, TN_ETOOLARGE, "4000000000 x 1 pixels");
    put_png(&empty, 0, 7);
    refuses(&empty, TN_EUNREADABLE, "0 x 7");
}

static void test_jpeg(void **state)
{
    static const char start[] = "\xFF\xD8\xFF\xE0\0\4JF\xFF\xFF\xC2\0\10\10\0\x14\1\x2C\1\xFF\xDA\0\2pix\xFF\0els";
    TN_AUTO_BUF file = {0}, odd = {0};
    (void)state;
    tn_buf_append(&file, start, sizeof start - 1);
    tn_buf_append(&file, "\xFF\xD9", 2);
    gives(&file, IMAGE_JPEG, 300, 20, 1);
    needs_its_end(&file);
    tn_buf_append(&odd, "\xFF\xD8\xFF\xDA\0\2\xFF\xD9", 8);
    refuses(&odd, TN_EUNREADABLE, "JPEG");
}

/* Pages of 2 x 3 grey pixels; the last one's next is `after`. */
static void put_tiff(struct tn_buf *out, bool big, unsigned pages, unsigned after)
{
    tn_buf_append(out, big ? "MM" : "II", 2);
    put16(out, 42, big);
    put32(out, 16, big);
    tn_buf_append(out, "pixels\0\0", 8);
    for (unsigned page = 0; page < pages; page++) {
        put16(out, 4, big);
        for (unsigned i = 0; i < 2; i++) { /* 256 and 257 */
            put16(out, 256 + i, big);
            put16(out, 3, big);
            put32(out, 1, big);
            put16(out, 2 + i, big);
            put16(out, 0, big);
        }
        for (unsigned i = 0; i < 2; i++) { /* where, and how many */
            put16(out, i ? 279 : 273, big);
            put16(out, 4, big);
            put32(out, 1, big);
            put32(out, i ? 6 : 8, big);
        }
        put32(out, page + 1 < pages ? (unsigned)out->len + 4 : after, big);
    }
}

static void test_tiff(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        TN_AUTO_BUF file = {0}, loop = {0}, many = {0}, beyond = {0};
        put_tiff(&file, big, 3, 0);
        gives(&file, IMAGE_TIFF, 2, 3, 3);
        needs_its_end(&file);
        put_tiff(&loop, big, 3, 16);
        refuses(&loop, TN_EUNREADABLE, "circle");
        put_tiff(&many, big, 21, 0);
        refuses(&many, TN_ETOOLARGE, "more than 20 pages");
        put_tiff(&beyond, big, 1, 0xFFFFFFF0U);
        refuses(&beyond, TN_EUNREADABLE, "TIFF");
    }
}

static void put_bmp(struct tn_buf *out, unsigned width, unsigned height)
{
    tn_buf_append(out, "BM", 2);
    put32(out, 0, false);
    put32(out, 0, false);
    put32(out, 54, false);
    put32(out, 40, false);
    put32(out, width, false);
    put32(out, height, false);
    put16(out, 1, false);
    put16(out, 8, false);
    for (int i = 0; i < 6; i++)
        put32(out, 0, false);
    for (int i = 0; i < 12; i++)
        tn_buf_putc(out, 'p');
}

static void test_bmp(void **state)
{
    TN_AUTO_BUF file = {0}, upside = {0}, bomb = {0};
    (void)state;
    put_bmp(&file, 2, 3);
    gives(&file, IMAGE_BMP, 2, 3, 1);
    needs_its_end(&file);
    put_bmp(&upside, 2, (unsigned)-3);
    gives(&upside, IMAGE_BMP, 2, 3, 1);
    put_bmp(&bomb, 32000, 32000);
    refuses(&bomb, TN_ETOOLARGE, "pixels");
    assert_int_equal(image_sniff("BMW is the name of a maker of cars", 34), IMAGE_NONE);
}

static void put_frame(struct tn_buf *out, unsigned width, unsigned height)
{
    tn_buf_append(out, ",\0\0\0\0", 5);
    put16(out, width, false);
    put16(out, height, false);
    tn_buf_append(out, "\0\2\3abc\0", 7);
}

static void test_gif(void **state)
{
    TN_AUTO_BUF file = {0}, bomb = {0};
    static const char head[] = "GIF89a\x2C\1\x14\0\x80\0\0colour!\xFE\4note\0";
    (void)state;
    tn_buf_append(&file, head, sizeof head - 1);
    tn_buf_append(&bomb, file.data, file.len);
    put_frame(&file, 300, 20);
    tn_buf_putc(&file, ';');
    gives(&file, IMAGE_GIF, 300, 20, 1);
    needs_its_end(&file);
    for (int i = 0; i < 50; i++) /* each would do; all of them are unpacked */
        put_frame(&bomb, 8000, 8000);
    refuses(&bomb, TN_ETOOLARGE, "pixels");
}

static void put_webp(struct tn_buf *out, const char *kind, const char *body, size_t length)
{
    tn_buf_append(out, "RIFF", 4);
    put32(out, (unsigned)length + 12, false);
    tn_buf_append(out, "WEBP", 4);
    tn_buf_append(out, kind, 4);
    put32(out, (unsigned)length, false);
    tn_buf_append(out, body, length);
}

static void test_webp(void **state)
{
    TN_AUTO_BUF lossy = {0}, exact = {0}, large = {0}, film = {0};
    (void)state;
    put_webp(&lossy, "VP8 ", "\0\0\0\x9D\1\x2A\x2C\1\x14\0pixels", 16);
    gives(&lossy, IMAGE_WEBP, 300, 20, 1);
    needs_its_end(&lossy);
    put_webp(&exact, "VP8L", "/\x2B\xC1\4\0pixels", 11);
    gives(&exact, IMAGE_WEBP, 300, 20, 1);
    put_webp(&large, "VP8X", "\0\0\0\0\xFF\xFF\0\xFF\xFF\0", 10);
    refuses(&large, TN_ETOOLARGE, "65536 x 65536 pixels");
    put_webp(&film, "VP8X", "\2\0\0\0\1\0\0\1\0\0", 10);
    refuses(&film, TN_EUNSUPPORTED, "animated");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_png),  cmocka_unit_test(test_jpeg),
                                       cmocka_unit_test(test_tiff), cmocka_unit_test(test_bmp),
                                       cmocka_unit_test(test_gif),  cmocka_unit_test(test_webp)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
