/* image.h: what the headers of an image say, before anything decodes it.
 *
 * Whoever decodes believes the width and height that it finds, and takes memory
 * for them; a file of some bytes can claim any. So they are read here first, of
 * every page, and held against the limits. No pixel is decoded. Runs in the cage.
 */
#ifndef TARN_DOCUMENT_IMAGE_H
#define TARN_DOCUMENT_IMAGE_H

#include "document/document.h"

enum image_format { IMAGE_NONE, IMAGE_PNG, IMAGE_JPEG, IMAGE_TIFF, IMAGE_BMP, IMAGE_GIF, IMAGE_WEBP };
const char *image_format_name(enum image_format format); /* "PNG" */
/* By the first bytes; NONE: no image that can be read. */
enum image_format image_sniff(const char *bytes, size_t count);

#define IMAGE_SIDE_MAX        32767 /* what tesseract takes */
#define IMAGE_BYTES_PER_PIXEL 8     /* that reading one costs: colours, grey, and what is made of them */

struct image {
    enum image_format format;
    uint32_t pages;         /* of a TIFF; else 1 */
    uint32_t width, height; /* of the first page */
};
/* The whole file. TN_EUNREADABLE for damage, TN_ETOOLARGE for more pixels than
 * limits->memory_bytes holds or more pages than limits->pages. */
enum tn_code image_look(const char *bytes, size_t count, const struct document_limits *limits, struct image *ret,
                        struct tn_error *err) TN_CHECKED;

/* Shared by image.c and image_tiff.c. */
enum tn_code image_check_size(const struct document_limits *limits, uint64_t width, uint64_t height,
                              struct tn_error *err) TN_CHECKED;
enum tn_code image_cut_off(enum image_format format, struct tn_error *err);
enum tn_code image_tiff_look(const char *bytes, size_t count, const struct document_limits *limits, struct image *ret,
                             struct tn_error *err) TN_CHECKED;

#endif
