/* Words, sentences, near copies (see words.h). */
#include "answer/words.h"

#include <string.h>

#define RUN          4    /* words of a run that two copies share */
#define COPY_SHARE   0.85 /* of the runs of both */
#define WORD_MAX     64
#define SENTENCE_MAX 600 /* bytes; what has no full stop ends at a blank */

static bool is_letter(char c)
{
    unsigned char u = (unsigned char)c;
    return (u >= '0' && u <= '9') || (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || u >= 0x80;
}

/* ---- words -------------------------------------------------------------------------- */

static bool is_filler(const char *word, size_t length)
{
    static const char *const fillers =
        " a about all am an and any are as at be been being but by can could did do does for from had has have he "
        "her "
        "his how i if in into is it its just me my no not of on or our out she should so some such tell than that "
        "the "
        "their them then there these they this those to too up us was we were what when where which while who whom "
        "whose why will with would you your der die das und ist ein eine im zu den mit von wie was wer wo ";
    char wanted[WORD_MAX + 3];
    wanted[0] = ' ';
    memcpy(wanted + 1, word, length);
    memcpy(wanted + 1 + length, " ", 2);
    return strstr(fillers, wanted) != NULL;
}

static bool ends(const char *word, size_t length, const char *ending)
{
    size_t count = strlen(ending);
    return length > count + 2 && memcmp(word + length - count, ending, count) == 0;
}

/* Plurals and forms of verbs come together; nothing more is wanted. */
static size_t stem(char *word, size_t length)
{
    if (ends(word, length, "ies")) {
        word[length - 3] = 'y';
        return length - 2;
    }
    if (ends(word, length, "ing") || ends(word, length, "ers"))
        length -= 3;
    else if (ends(word, length, "ed") || ends(word, length, "es") || ends(word, length, "er"))
        length -= 2;
    else if (ends(word, length, "s") && !ends(word, length, "ss"))
        length -= 1;
    if (length > 3 && word[length - 1] == 'e')
        length--;
    return length;
}

/* The next run of letters at or behind *at. */
static bool next_word(const char *text, size_t length, size_t *at, struct answer_span *ret)
{
    size_t begin = *at;
    while (begin < length && !is_letter(text[begin]))
        begin++;
    size_t end = begin;
    while (end < length && is_letter(text[end]))
        end++;
    *at = end;
    *ret = (struct answer_span){begin, end};
    return end > begin;
}

static size_t lower(const char *text, struct answer_span span, char out[WORD_MAX])
{
    size_t length = TN_MIN(span.end - span.begin, (size_t)WORD_MAX - 1);
    for (size_t i = 0; i < length; i++)
        out[i] = tn_ascii_lower(text[span.begin + i]);
    return length;
}

static size_t sort_once(uint64_t *values, size_t count)
{
    size_t kept = 0;
    if (count > 0)
        qsort(values, count, sizeof *values, tn_order_u64);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || values[kept - 1] != values[i])
            values[kept++] = values[i];
    return kept;
}

static size_t shared(const uint64_t *a, size_t a_count, const uint64_t *b, size_t b_count)
{
    size_t count = 0;
    for (size_t i = 0, j = 0; i < a_count && j < b_count;) {
        count += a[i] == b[j];
        if (a[i] == b[j])
            i++, j++;
        else if (a[i] < b[j])
            i++;
        else
            j++;
    }
    return count;
}

struct answer_words answer_words_of(const char *text, size_t length, struct tn_arena *arena)
{
    uint64_t *hashes = TN_ARENA_ARRAY(arena, uint64_t, length / 2 + 1);
    size_t count = 0, at = 0;
    struct answer_span span;
    char word[WORD_MAX];
    while (next_word(text, length, &at, &span)) {
        size_t used = lower(text, span, word);
        if ((used == 1 && !(word[0] >= '0' && word[0] <= '9')) || is_filler(word, used))
            continue;
        hashes[count++] = tn_hash64(word, stem(word, used), 0);
    }
    return (struct answer_words){hashes, sort_once(hashes, count)};
}

double answer_words_share(const struct answer_words *part, const struct answer_words *whole)
{
    if (part->count == 0)
        return 0;
    return (double)shared(part->hashes, part->count, whole->hashes, whole->count) / (double)part->count;
}

/* ---- near copies ---------------------------------------------------------------------- */

struct shape {
    uint64_t *runs, *names;
    size_t run_count, name_count;
};

static struct shape shape_of(const char *text, size_t length, struct tn_arena *arena)
{
    struct shape shape = {.runs = TN_ARENA_ARRAY(arena, uint64_t, length / 2 + 2),
                          .names = TN_ARENA_ARRAY(arena, uint64_t, length / 2 + 2)};
    uint64_t last[RUN] = {0};
    size_t at = 0, words = 0;
    struct answer_span span;
    char word[WORD_MAX];
    while (next_word(text, length, &at, &span)) {
        char first = text[span.begin];
        size_t used = lower(text, span, word);
        uint64_t hash = tn_hash64(word, used, 0);
        bool number = false;
        for (size_t i = 0; i < used; i++)
            number = number || (word[i] >= '0' && word[i] <= '9');
        if (number || (first >= 'A' && first <= 'Z'))
            shape.names[shape.name_count++] = hash;
        memmove(last, last + 1, sizeof last - sizeof *last);
        last[RUN - 1] = hash;
        if (++words >= RUN)
            shape.runs[shape.run_count++] = tn_hash64(last, sizeof last, 1);
    }
    if (shape.run_count == 0 && words > 0) /* too short for a run: all of it is one */
        shape.runs[shape.run_count++] = tn_hash64(last, sizeof last, 1);
    shape.run_count = sort_once(shape.runs, shape.run_count);
    shape.name_count = sort_once(shape.names, shape.name_count);
    return shape;
}

bool answer_near_copy(const char *a, size_t a_length, const char *b, size_t b_length, struct tn_arena *arena)
{
    struct shape x = shape_of(a, a_length, arena), y = shape_of(b, b_length, arena);
    if (x.name_count != y.name_count || shared(x.names, x.name_count, y.names, y.name_count) != x.name_count)
        return false;
    size_t both = shared(x.runs, x.run_count, y.runs, y.run_count), all = x.run_count + y.run_count - both;
    return all > 0 && (double)both >= COPY_SHARE * (double)all;
}

/* ---- sentences ---------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* "e.g.", "Dr.", "J." end no sentence. */
static bool is_short_form(const char *text, size_t begin, size_t stop)
{
    static const char *const forms[] = {"mr",  "mrs",    "ms",  "dr", "prof", "st", "vs", "etc", "inc",
                                        "ltd", "approx", "fig", "no", "g",    "e",  "i",  "z",   "b"};
    size_t from = stop;
    while (from > begin && is_letter(text[from - 1]))
        from--;
    size_t length = stop - from;
    if (length == 1 && !(text[from] >= '0' && text[from] <= '9'))
        return true;
    char word[WORD_MAX];
    if (length == 0 || length > 6)
        return false;
    (void)lower(text, (struct answer_span){from, stop}, word);
    for (size_t i = 0; i < TN_COUNT(forms); i++)
        if (strlen(forms[i]) == length && memcmp(forms[i], word, length) == 0)
            return true;
    return false;
}

/* Whether a sentence that began at `begin` ends behind the byte at `at`. */
static bool ends_here(const char *text, size_t length, size_t begin, size_t at)
{
    char c = text[at];
    if (c == '\n') {
        size_t next = at + 1;
        while (next < length && (text[next] == ' ' || text[next] == '\t' || text[next] == '\r'))
            next++;
        return next >= length || text[next] == '\n' || text[next] == '-' || text[next] == '*' || text[next] == '#' ||
               text[next] == '|';
    }
    if (c != '.' && c != '!' && c != '?')
        return at - begin >= SENTENCE_MAX && is_blank(c);
    size_t next = at + 1;
    while (next < length && (text[next] == '"' || text[next] == ')' || text[next] == '\''))
        next++;
    if (next < length && !is_blank(text[next]))
        return false;
    return c != '.' || !is_short_form(text, begin, at);
}

size_t answer_sentences(const char *text, size_t length, struct tn_arena *arena, struct answer_span **ret)
{
    struct answer_span *spans = TN_ARENA_ARRAY(arena, struct answer_span, length / 2 + 2);
    size_t count = 0, begin = 0;
    while (begin < length) {
        while (begin < length && is_blank(text[begin]))
            begin++;
        size_t at = begin;
        while (at < length && !ends_here(text, length, begin, at))
            at++;
        size_t end = TN_MIN(at + 1, length);
        while (end < length && (text[end] == '"' || text[end] == ')' || text[end] == '\''))
            end++;
        size_t next = end;
        while (end > begin && is_blank(text[end - 1]))
            end--;
        if (end > begin)
            spans[count++] = (struct answer_span){begin, end};
        begin = next;
    }
    *ret = spans;
    return count;
}
