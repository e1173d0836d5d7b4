/* A quote looked for in a text as a reader would: blanks, letters' case and the
 * form of quotation marks do not matter. */
#include "answer/sources.h"

struct folded {
    char *bytes;
    size_t *from; /* of each byte, in the text that it comes from */
    size_t length;
};

/* Signs of two and three bytes that stand for an ASCII one. */
static const struct {
    const char *sign, *plain;
} signs[] = {
    {"\u201c", "\""}, {"\u201d", "\""}, {"\u201e", "\""}, {"\u00ab", "\""},  {"\u00bb", "\""}, {"\u2018", "'"},
    {"\u2019", "'"},  {"\u2013", "-"},  {"\u2014", "-"},  {"\u2026", "..."}, {"\u00a0", " "},  {"\u202f", " "},
};

static const char *plain_of(const char *text, size_t length, size_t *ret_taken)
{
    for (size_t i = 0; i < TN_COUNT(signs); i++) {
        size_t count = strlen(signs[i].sign);
        if (count <= length && memcmp(text, signs[i].sign, count) == 0) {
            *ret_taken = count;
            return signs[i].plain;
        }
    }
    return NULL;
}

static void put(struct folded *folded, char c, size_t from)
{
    if (c == '\n' || c == '\t' || c == '\r')
        c = ' ';
    if (c == ' ' && folded->length > 0 && folded->bytes[folded->length - 1] == ' ')
        return;
    folded->bytes[folded->length] = tn_ascii_lower(c);
    folded->from[folded->length++] = from;
}

static struct folded fold(const char *text, size_t length, struct tn_arena *arena)
{
    struct folded folded = {.bytes = tn_arena_alloc(arena, length + 4),
                            .from = TN_ARENA_ARRAY(arena, size_t, length + 4)};
    for (size_t i = 0; i < length;) {
        size_t taken = 1;
        const char *plain = (unsigned char)text[i] < 0x80 ? NULL : plain_of(text + i, length - i, &taken);
        if (!plain)
            put(&folded, text[i], i);
        for (const char *c = plain; c && *c; c++)
            put(&folded, *c, i);
        i += taken;
    }
    return folded;
}

static bool is_trim(char c)
{
    return strchr(" .,;:!?\"'", c) != NULL && c;
}

/* The next part between gaps; false when there is none. */
static bool next_part(const struct folded *quote, size_t *at, size_t *ret_begin, size_t *ret_end)
{
    while (*at < quote->length) {
        const char *gap = memmem(quote->bytes + *at, quote->length - *at, "...", 3);
        size_t begin = *at, end = gap ? (size_t)(gap - quote->bytes) : quote->length;
        *at = gap ? end + 3 : quote->length;
        while (begin < end && is_trim(quote->bytes[begin]))
            begin++;
        while (end > begin && is_trim(quote->bytes[end - 1]))
            end--;
        if (end > begin) {
            *ret_begin = begin;
            *ret_end = end;
            return true;
        }
    }
    return false;
}

bool cite_find(const char *quote, size_t length, const char *text, size_t text_length, struct tn_arena *arena,
               size_t *ret_begin, size_t *ret_end)
{
    struct folded wanted = fold(quote, length, arena), given = fold(text, text_length, arena);
    size_t at = 0, behind = 0, begin, end, first = 0, last = 0;
    bool found = false;
    while (next_part(&wanted, &at, &begin, &end)) {
        const char *place = memmem(given.bytes + behind, given.length - behind, wanted.bytes + begin, end - begin);
        if (!place)
            return false;
        size_t offset = (size_t)(place - given.bytes);
        behind = offset + (end - begin);
        if (!found)
            first = given.from[offset];
        last = behind < given.length ? given.from[behind] : text_length;
        found = true;
    }
    if (found) {
        *ret_begin = first;
        *ret_end = last;
    }
    return found;
}
