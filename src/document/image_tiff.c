/* Pages of a TIFF: directories that name each other, anywhere in the file. */
#include "document/image.h"

#define STRIPS_LOOKED_AT 65536 /* of one page */

struct tiff {
    const char *bytes;
    size_t count;
    bool big_endian;
};

/* Every place is checked by whoever asks. */
static uint32_t get16(const struct tiff *tiff, size_t at)
{
    uint32_t first = (unsigned char)tiff->bytes[at], second = (unsigned char)tiff->bytes[at + 1];
    return tiff->big_endian ? first << 8 | second : second << 8 | first;
}

static uint32_t get32(const struct tiff *tiff, size_t at)
{
    uint32_t first = get16(tiff, at), second = get16(tiff, at + 2);
    return tiff->big_endian ? first << 16 | second : second << 16 | first;
}

enum tag { WIDTH = 256, HEIGHT = 257, STRIPS = 273, STRIP_BYTES = 279, TILES = 324, TILE_BYTES = 325 };

struct values {
    size_t at;
    uint32_t count, size; /* 2 or 4 bytes each; count 0: there are none */
};

struct page {
    struct values width, height, places, lengths;
    uint32_t next; /* 0: the last one */
};

/* An entry's numbers, in it when they have room, else elsewhere; none when they lie outside. */
static struct values read_entry(const struct tiff *tiff, size_t at)
{
    uint32_t type = get16(tiff, at + 2), count = get32(tiff, at + 4);
    uint32_t size = type == 3 ? 2 : type == 4 ? 4 : 0;
    uint64_t bytes = (uint64_t)size * count, place = bytes <= 4 ? at + 8 : get32(tiff, at + 8);
    if (bytes == 0 || place > tiff->count || bytes > tiff->count - place)
        return (struct values){0};
    return (struct values){.at = (size_t)place, .count = count, .size = size};
}

static uint32_t value_at(const struct tiff *tiff, const struct values *values, uint32_t index)
{
    size_t at = values->at + (size_t)index * values->size;
    return values->size == 2 ? get16(tiff, at) : get32(tiff, at);
}

static bool read_page(const struct tiff *tiff, uint32_t at, struct page *ret)
{
    if (at < 8 || at > tiff->count || tiff->count - at < 6)
        return false;
    size_t entries = get16(tiff, at), end = at + 2 + entries * 12;
    if (end > tiff->count || tiff->count - end < 4)
        return false;
    for (size_t i = 0; i < entries; i++) {
        size_t entry = at + 2 + i * 12;
        struct values values = read_entry(tiff, entry);
        switch (get16(tiff, entry)) {
        case WIDTH:
            ret->width = values;
            break;
        case HEIGHT:
            ret->height = values;
            break;
        case STRIPS:
        case TILES:
            ret->places = values;
            break;
        case STRIP_BYTES:
        case TILE_BYTES:
            ret->lengths = values;
            break;
        default:
            break;
        }
    }
    ret->next = get32(tiff, end);
    return ret->width.count > 0 && ret->height.count > 0 && ret->places.count > 0;
}

static bool has_its_pixels(const struct tiff *tiff, const struct page *page)
{
    uint32_t strips = TN_MIN(page->places.count, (uint32_t)STRIPS_LOOKED_AT);
    for (uint32_t i = 0; i < strips; i++) {
        uint64_t length = i < page->lengths.count ? value_at(tiff, &page->lengths, i) : 1;
        if (value_at(tiff, &page->places, i) + length > tiff->count)
            return false;
    }
    return true;
}

static bool was_there(const uint32_t *places, uint32_t count, uint32_t place)
{
    for (uint32_t i = 0; i < count; i++)
        if (places[i] == place)
            return true;
    return false;
}

static enum tn_code too_many(const struct document_limits *limits, struct tn_error *err)
{
    (void)tn_fail(err, TN_ETOOLARGE, "the TIFF has more than %u pages", limits->pages);
    tn_error_hint(err, "split it, or raise the setting documents.max_pages");
    return TN_ETOOLARGE;
}

enum tn_code image_tiff_look(const char *bytes, size_t count, const struct document_limits *limits, struct image *ret,
                             struct tn_error *err)
{
    const struct tiff tiff = {.bytes = bytes, .count = count, .big_endian = bytes[0] == 'M'};
    TN_AUTO_FREE uint32_t *places = NULL;
    size_t capacity = 0;
    if (count < 8)
        return image_cut_off(IMAGE_TIFF, err);
    ret->pages = 0;
    for (uint32_t at = get32(&tiff, 4); at != 0;) {
        struct page page = {0};
        if (was_there(places, ret->pages, at))
            return tn_fail(err, TN_EUNREADABLE, "the TIFF is damaged: its pages go round in a circle");
        if (ret->pages == limits->pages)
            return too_many(limits, err);
        if (!read_page(&tiff, at, &page) || !has_its_pixels(&tiff, &page))
            return image_cut_off(IMAGE_TIFF, err);
        uint32_t width = value_at(&tiff, &page.width, 0), height = value_at(&tiff, &page.height, 0);
        TN_TRY(image_check_size(limits, width, height, err));
        if (ret->pages == 0) {
            ret->width = width;
            ret->height = height;
        }
        TN_GROW(places, ret->pages, capacity);
        places[ret->pages++] = at;
        at = page.next;
    }
    return ret->pages ? TN_OK : tn_fail(err, TN_EUNREADABLE, "the TIFF has no pages");
}
