/* "Did you mean": edit distance and the nearest candidate. */
#include "base/mem.h"
#include "base/str.h"

#include <string.h>

enum { LONGEST_WORD = 127 };

size_t tn_edit_distance(const char *a, const char *b, size_t limit)
{
    size_t rows = strlen(a), columns = strlen(b);
    size_t gap = rows > columns ? rows - columns : columns - rows;
    if (gap > limit || rows > LONGEST_WORD || columns > LONGEST_WORD)
        return tn_str_equal_nocase(a, b) ? 0 : limit + 1;
    /* Three rows suffice: a swap looks two back. */
    size_t storage[3][LONGEST_WORD + 1];
    size_t *before = storage[0], *last = storage[1], *now = storage[2];
    for (size_t j = 0; j <= columns; j++) {
        last[j] = j;
        before[j] = 0;
    }
    for (size_t i = 1; i <= rows; i++) {
        char ca = tn_ascii_lower(a[i - 1]);
        now[0] = i;
        size_t nearest = i;
        for (size_t j = 1; j <= columns; j++) {
            char cb = tn_ascii_lower(b[j - 1]);
            size_t best = TN_MIN(last[j], now[j - 1]) + 1;
            best = TN_MIN(best, last[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == tn_ascii_lower(b[j - 2]) && cb == tn_ascii_lower(a[i - 2]))
                best = TN_MIN(best, before[j - 2] + 1);
            now[j] = best;
            nearest = TN_MIN(nearest, best);
        }
        if (nearest > limit)
            return limit + 1;
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return TN_MIN(last[columns], limit + 1);
}

/* "port" for "server.port", and "embed" for "embedding". */
static bool is_part_of(const char *word, size_t length, const char *candidate)
{
    if (length < 3)
        return false;
    const char *dot = strrchr(candidate, '.');
    if (dot && tn_str_equal_nocase(dot + 1, word))
        return true;
    for (size_t i = 0; i < length; i++) {
        if (tn_ascii_lower(word[i]) != tn_ascii_lower(candidate[i]))
            return false; /* also at the end of a shorter candidate */
    }
    return true;
}

const char *tn_suggest(const char *word, const char *const *candidates, size_t count)
{
    size_t length = strlen(word);
    /* About one slip in three characters; beyond that it is another word. */
    size_t limit = TN_MIN((length + 1) / 3, (size_t)3);
    const char *best = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t distance = tn_edit_distance(word, candidates[i], limit);
        if (distance > limit)
            continue;
        best = candidates[i];
        if (distance == 0)
            return best;
        limit = distance - 1; /* only a nearer one replaces it */
    }
    for (size_t i = 0; !best && i < count; i++) {
        if (is_part_of(word, length, candidates[i]))
            best = candidates[i];
    }
    return best;
}
