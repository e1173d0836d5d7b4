/* Column names: cleaned and made unique. */
#include "ingest/names.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/str.h"

#include <stdio.h>
#include <strings.h>

struct range {
    uint32_t first, last;
};

/* Beyond ASCII: what is no letter. Coarse on purpose; SQL takes any of these
 * between quotes, the point is that emoji and dashes do not survive. */
static const struct range not_letters[] = {
    {0x0080, 0x00A9}, {0x00AB, 0x00B4}, {0x00B6, 0x00B9},   {0x00BB, 0x00BF},    {0x00D7, 0x00D7},
    {0x00F7, 0x00F7}, {0x2000, 0x2BFF}, {0x2E00, 0x2E7F},   {0x3000, 0x3004},    {0x3008, 0x3020},
    {0xE000, 0xF8FF}, {0xFE00, 0xFE6F}, {0xFEFF, 0xFF0F},   {0xFF1A, 0xFF20},    {0xFF3B, 0xFF40},
    {0xFF5B, 0xFF65}, {0xFFE0, 0xFFFF}, {0x1F000, 0x1FAFF}, {0xE0000, 0x10FFFF},
};

static bool is_name_char(uint32_t code_point)
{
    if (code_point < 0x80)
        return (code_point >= '0' && code_point <= '9') ||
               ((code_point | 0x20) >= 'a' && (code_point | 0x20) <= 'z') || code_point == '_';
    for (size_t i = 0; i < TN_COUNT(not_letters); i++)
        if (code_point >= not_letters[i].first && code_point <= not_letters[i].last)
            return false;
    return true;
}

/* One code point of valid UTF-8. */
static uint32_t next_code_point(const unsigned char **p)
{
    unsigned char lead = *(*p)++;
    if (lead < 0x80)
        return lead;
    unsigned more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    uint32_t code_point = lead & (0x3FU >> more);
    for (; more && (**p & 0xC0) == 0x80; more--)
        code_point = code_point << 6 | (*(*p)++ & 0x3F);
    return code_point;
}

static void clean_part(struct tn_buf *out, const char *text, size_t length)
{
    size_t start = out->len;
    bool gap = false;
    const unsigned char *p = (const unsigned char *)text, *end = p + length;
    while (p < end) {
        const unsigned char *from = p;
        if (!is_name_char(next_code_point(&p))) {
            gap = true;
            continue;
        }
        if (gap && out->len > start && out->data[out->len - 1] != '_')
            tn_buf_putc(out, '_');
        gap = false;
        if (out->len == start && *from >= '0' && *from <= '9')
            tn_buf_putc(out, '_');
        tn_buf_append(out, from, (size_t)(p - from));
    }
}

static void clean_name(struct tn_buf *out, const char *original, bool dotted)
{
    tn_buf_clear(out);
    while (original && *original) {
        const char *dot = dotted ? strchr(original, '.') : NULL;
        size_t length = dot ? (size_t)(dot - original) : strlen(original);
        size_t before = out->len;
        if (before)
            tn_buf_putc(out, '.');
        size_t start = out->len;
        clean_part(out, original, length);
        if (out->len == start && before) { /* not before the first letter: there is no text yet */
            out->len = before;
            out->data[before] = '\0';
        }
        original = dot ? dot + 1 : NULL;
    }
    /* So the reader of files calls the place of a row, and so do we. */
    static const char *const taken[] = {"file_index", "file_row_number", "tarn_path", "tarn_pos", "tarn_file"};
    for (size_t i = 0; i < TN_COUNT(taken); i++)
        if (out->len && tn_str_equal_nocase(out->data, taken[i])) {
            tn_buf_putc(out, '_');
            break;
        }
    /* Underscores alone say nothing. */
    if (out->len && strspn(out->data, "_") == out->len)
        tn_buf_clear(out);
}

/* Names seen so far, by hash without regard to case. */
struct seen {
    const char **slots;
    size_t mask;
};

static uint64_t hash_nocase(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name; name++)
        hash = (hash ^ (unsigned char)tn_ascii_lower(*name)) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

/* Adds the name unless it is there; says whether it was added. */
static bool seen_add(struct seen *seen, const char *name)
{
    for (size_t at = hash_nocase(name) & seen->mask;; at = (at + 1) & seen->mask) {
        if (!seen->slots[at]) {
            seen->slots[at] = name;
            return true;
        }
        if (tn_str_equal_nocase(seen->slots[at], name))
            return false;
    }
}

/* Ten thousand equal names are soon numbered by their place. */
static const char *make_unique(struct tn_arena *arena, struct seen *seen, struct tn_buf *clean, size_t place)
{
    size_t length = tn_utf8_floor(clean->data, clean->len, NAMES_MAX_BYTES);
    char *name = tn_arena_strndup(arena, clean->data, length);
    for (size_t n = 2; !seen_add(seen, name); n = n == 50 ? n + place : n + 1) {
        char suffix[32];
        int suffix_length = snprintf(suffix, sizeof suffix, "_%zu", n);
        size_t keep = tn_utf8_floor(clean->data, clean->len, NAMES_MAX_BYTES - (size_t)suffix_length);
        name = tn_arena_printf(arena, "%.*s%s", (int)keep, clean->data, suffix);
    }
    return name;
}

const char **names_clean(struct tn_arena *arena, const char *const *originals, size_t count, bool dotted)
{
    const char **names = TN_ARENA_ARRAY(arena, const char *, count ? count : 1);
    size_t slots = 16;
    while (slots < count * 2)
        slots *= 2;
    struct seen seen = {TN_ARENA_ARRAY(arena, const char *, slots), slots - 1};
    TN_AUTO_BUF clean = {0};
    for (size_t i = 0; i < count; i++) {
        clean_name(&clean, originals[i], dotted);
        if (clean.len == 0)
            tn_buf_printf(&clean, "column_%zu", i + 1);
        names[i] = make_unique(arena, &seen, &clean, i);
    }
    return names;
}
