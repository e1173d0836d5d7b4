/* The chunker: pieces (sentences, or less where a sentence is too long) are
 * read one after another and gathered until the next one does not fit. */
#include "document/chunk.h"

#include "document/text.h"

#include <assert.h>
#include <string.h>

#define SIZE_CHARACTERS 1000
#define SIZE_TOKENS     256
/* Nobody writes longer ones; what does not end within is cut like a word that is too long. */
#define SENTENCE_BYTES_MAX ((size_t)8 << 10)
#define WORD_BYTES_MAX     ((size_t)1 << 10)
#define HEADING_SHOWN_MAX  ((size_t)200)

struct document_chunk_piece {
    size_t start, end; /* without the white space behind it */
    uint32_t units;
    bool heading;
    bool fenced; /* where it begins */
};

void document_chunker_init(struct document_chunker *chunker, const char *text, size_t length,
                           const struct document_chunk_options *options)
{
    assert(options->unit == DOCUMENT_CHUNK_CHARACTERS || options->count);
    *chunker = (struct document_chunker){.options = *options, .text = text, .length = length};
    uint32_t *size = &chunker->options.size, *overlap = &chunker->options.overlap;
    if (*size == 0)
        *size = options->unit == DOCUMENT_CHUNK_TOKENS ? SIZE_TOKENS : SIZE_CHARACTERS;
    *overlap = TN_MIN(*overlap, *size / 2);
    for (size_t i = 0; i < DOCUMENT_HEADING_LEVELS; i++)
        chunker->headings[i] = SIZE_MAX;
}

void document_chunker_release(struct document_chunker *chunker)
{
    free(chunker->pieces);
    tn_buf_release(&chunker->heading);
    chunker->pieces = NULL;
}

/* ---- characters ------------------------------------------------------------------------ */

static uint32_t units_of(const struct document_chunker *chunker, size_t start, size_t end)
{
    size_t count = chunker->options.unit == DOCUMENT_CHUNK_CHARACTERS
                       ? text_characters(chunker->text + start, end - start)
                       : chunker->options.count(chunker->options.count_context, chunker->text + start, end - start);
    return count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
}

/* Bytes of the white space at `at`, 0 when there is none. A space that carries
 * an accent is a character. */
static size_t space_at(const struct document_chunker *chunker, size_t at)
{
    uint32_t c;
    if (at >= chunker->length)
        return 0;
    size_t size = text_decode(chunker->text + at, chunker->length - at, &c);
    if (!text_is_space(c))
        return 0;
    size_t cluster = text_cluster(chunker->text + at, chunker->length - at);
    return cluster == size || c == '\r' ? cluster : 0;
}

static size_t skip_space(const struct document_chunker *chunker, size_t at)
{
    for (size_t size; (size = space_at(chunker, at)) > 0;)
        at += size;
    return at;
}

static size_t next_cluster(const struct document_chunker *chunker, size_t at)
{
    return at + text_cluster(chunker->text + at, chunker->length - at);
}

/* ---- lines ------------------------------------------------------------------------------- */

static size_t line_end(const struct document_chunker *chunker, size_t at)
{
    const char *end = memchr(chunker->text + at, '\n', chunker->length - at);
    return end ? (size_t)(end - chunker->text) : chunker->length;
}

static bool line_has(const struct document_chunker *chunker, size_t at, const char *prefix)
{
    size_t length = strlen(prefix);
    return chunker->length - at >= length && memcmp(chunker->text + at, prefix, length) == 0;
}

/* 1 to 6 for "## Title" at `at`, the beginning of a line; 0 for other lines. */
static unsigned heading_level(const struct document_chunker *chunker, size_t at)
{
    unsigned level = 0;
    while (at + level < chunker->length && chunker->text[at + level] == '#' && level <= DOCUMENT_HEADING_LEVELS)
        level++;
    if (level == 0 || level > DOCUMENT_HEADING_LEVELS || at + level >= chunker->length)
        return 0;
    char next = chunker->text[at + level];
    return (next == ' ' || next == '\t') && skip_space(chunker, at + level) < line_end(chunker, at) ? level : 0;
}

/* "- ", "* ", "+ ", bullets, "12. ", "a) ". */
static bool begins_item(const struct document_chunker *chunker, size_t at)
{
    const char *p = chunker->text + at, *end = chunker->text + chunker->length;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    uint32_t c = 0;
    if (p == end)
        return false;
    size_t size = text_decode(p, (size_t)(end - p), &c);
    if (strchr("-*+", (int)(c < 0x80 ? c : 'x')) || c == 0x2022 || c == 0x25CF || c == 0x25AA || c == 0x2023)
        return p + size < end && (p[size] == ' ' || p[size] == '\t');
    const char *digits = p;
    while (p < end && p - digits < 3 && *p >= '0' && *p <= '9')
        p++;
    if (p == digits && p < end && ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')) && end - p > 1 &&
        p[1] == ')')
        p++;
    return p > digits && end - p >= 2 && (*p == '.' || *p == ')') && p[1] == ' ';
}

static bool is_table_line(const struct document_chunker *chunker, size_t start, size_t end)
{
    return memchr(chunker->text + start, '\t', end - start) || (start < end && chunker->text[start] == '|');
}

/* Whether the line feed at `at` ends a sentence. */
static bool line_feed_ends(const struct document_chunker *chunker, size_t start, size_t at)
{
    size_t next = at + 1;
    while (next < chunker->length && strchr(" \t\r", chunker->text[next]))
        next++;
    if (next >= chunker->length || chunker->text[next] == '\n' || chunker->text[next] == '\f')
        return true;
    if (begins_item(chunker, at + 1) || line_has(chunker, at + 1, "```") || line_has(chunker, at + 1, "~~~"))
        return true;
    if (!chunker->options.no_headings && heading_level(chunker, at + 1))
        return true;
    return is_table_line(chunker, start, at) || is_table_line(chunker, at + 1, line_end(chunker, at + 1));
}

/* ---- sentences ---------------------------------------------------------------------------- */

static bool is_wide_stop(uint32_t c)
{
    return c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == 0xFF0E || c == 0xFF61;
}

static bool is_stop(uint32_t c)
{
    return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x61F || c == 0x6D4 || c == 0x964 || c == 0x965 ||
           c == 0x203C || c == 0x203D || (c >= 0x2047 && c <= 0x2049) || c == 0x1362 || c == 0x104A || c == 0x104B ||
           is_wide_stop(c);
}

static bool is_closer(uint32_t c)
{
    return c == '"' || c == '\'' || c == ')' || c == ']' || c == '}' || c == '*' || c == '_' || c == 0xBB ||
           c == 0x2019 || c == 0x201D || c == 0x203A || c == 0x300D || c == 0x300F || c == 0x3011 || c == 0xFF09;
}

static bool is_abbreviation(const char *word, size_t length)
{
    static const char *const known[] = {
        "mr",  "mrs", "ms",  "dr",  "prof", "st",  "vs",  "e.g",  "i.e",  "cf",     "fig", "figs", "eq",   "no",
        "nos", "al",  "inc", "ltd", "co",   "jr",  "sr",  "dept", "est",  "approx", "vol", "pp",   "ed",   "eds",
        "jan", "feb", "mar", "apr", "jun",  "jul", "aug", "sep",  "sept", "oct",    "nov", "dec",  "gen",  "col",
        "z.b", "bzw", "ca",  "nr",  "abs",  "hr",  "fr",  "usw",  "u.a",  "d.h",    "vgl", "mme",  "mlle", "rev",
    };
    char lower[8];
    if (length == 0 || length >= sizeof lower)
        return false;
    for (size_t i = 0; i < length; i++)
        lower[i] = tn_ascii_lower(word[i]);
    lower[length] = '\0';
    if (length == 1 && lower[0] >= 'a' && lower[0] <= 'z') /* an initial, but "I." ends a sentence */
        return word[0] != 'I';
    for (size_t i = 0; i < TN_COUNT(known); i++)
        if (tn_streq(lower, known[i]))
            return true;
    return false;
}

/* The period at `at`: does it only shorten the word before it? */
static bool only_shortens(const struct document_chunker *chunker, size_t start, size_t at, size_t next)
{
    size_t word = at;
    uint32_t c;
    while (word > start && at - word < 8) {
        char b = chunker->text[word - 1];
        if (b == ' ' || b == '\n' || b == '\t' || b == '(' || b == '"' || b == '[')
            break;
        word--;
    }
    if (is_abbreviation(chunker->text + word, at - word))
        return true;
    if (next >= chunker->length)
        return false;
    (void)text_decode(chunker->text + next, chunker->length - next, &c);
    return text_is_lower(c);
}

/* Where the stop at `at` ends its sentence (behind closing quotes), or 0. */
static size_t stop_ends(const struct document_chunker *chunker, size_t start, size_t at)
{
    uint32_t c, first;
    size_t end = at + text_decode(chunker->text + at, chunker->length - at, &first);
    size_t behind = end;
    bool many = false;
    while (end < chunker->length) {
        size_t size = text_decode(chunker->text + end, chunker->length - end, &c);
        if (!is_stop(c) && !is_closer(c))
            break;
        many |= is_stop(c);
        end += size;
    }
    if (end < chunker->length && text_cluster(chunker->text + at, chunker->length - at) > behind - at)
        return 0; /* an accent on a stop: not a stop */
    if (is_wide_stop(first))
        return end;
    if (end < chunker->length && !space_at(chunker, end))
        return 0;
    if (first == '.' && !many && only_shortens(chunker, start, at, skip_space(chunker, end)))
        return 0;
    return end;
}

/* The end of the sentence that begins at `start` (white space behind it not
 * counted), or where we stop looking. */
static size_t sentence_end(const struct document_chunker *chunker, size_t start)
{
    size_t limit = chunker->length - start > SENTENCE_BYTES_MAX ? start + SENTENCE_BYTES_MAX : chunker->length;
    size_t line = start, solid = start,
           gap = start; /* `solid`: behind the last word; `gap`: behind the last whole one */
    for (size_t at = start; at < limit;) {
        unsigned char b = (unsigned char)chunker->text[at];
        size_t space = space_at(chunker, at);
        if (b == '\f' || (b == '\n' && line_feed_ends(chunker, line, at)))
            return solid;
        if (b == '\n')
            line = at + 1;
        if (space) {
            gap = solid;
            at += space;
            continue;
        }
        uint32_t c;
        (void)text_decode(chunker->text + at, chunker->length - at, &c);
        size_t end = is_stop(c) ? stop_ends(chunker, start, at) : 0;
        if (end)
            return end;
        at = solid = next_cluster(chunker, at);
    }
    return limit == chunker->length ? solid : gap > start ? gap : solid;
}

/* The end of the word at `start`. */
static size_t word_end(const struct document_chunker *chunker, size_t start)
{
    uint32_t c;
    size_t at = start;
    while (at < chunker->length && at - start < WORD_BYTES_MAX && !space_at(chunker, at)) {
        (void)text_decode(chunker->text + at, chunker->length - at, &c);
        if (text_is_ideograph(c) && at > start)
            break;
        at = next_cluster(chunker, at);
        if (text_is_ideograph(c))
            break;
    }
    return at;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

/* The longest beginning of a word that fits, at least one character. */
static void cut_word(const struct document_chunker *chunker, struct document_chunk_piece *piece)
{
    size_t whole = piece->end;
    piece->end = next_cluster(chunker, piece->start);
    piece->units = units_of(chunker, piece->start, piece->end);
    /* Doubling, then halving the step: counting is the dear part. */
    for (size_t step = 1; step;) {
        size_t end = piece->end;
        for (size_t i = 0; i < step && end < whole; i++)
            end = next_cluster(chunker, end);
        uint32_t units = end > piece->end ? units_of(chunker, piece->start, end) : UINT32_MAX;
        if (units <= chunker->options.size) {
            piece->end = end;
            piece->units = units;
            step *= 2;
        } else {
            step /= 2;
        }
    }
}

static void toggle_fence(struct document_chunker *chunker, size_t line)
{
    if (line_has(chunker, line, "```") || line_has(chunker, line, "~~~"))
        chunker->fenced = !chunker->fenced;
}

/* Where the last word that begins before `end` ends. */
static size_t solid_end(const struct document_chunker *chunker, size_t start, size_t end)
{
    size_t solid = start;
    for (size_t at = start; at < end;) {
        size_t space = space_at(chunker, at);
        at = space ? at + space : next_cluster(chunker, at);
        solid = space ? solid : at;
    }
    return solid;
}

/* A sentence, or a line of code or a heading as it stands. */
static size_t unit_end(const struct document_chunker *chunker, size_t start, bool line_alone)
{
    if (!line_alone)
        return sentence_end(chunker, start);
    size_t line = line_end(chunker, start);
    return line - start > SENTENCE_BYTES_MAX ? sentence_end(chunker, start) : solid_end(chunker, start, line);
}

/* The next piece behind `at`; false at the end. */
static bool take_piece(struct document_chunker *chunker, struct document_chunk_piece *ret)
{
    size_t start = skip_space(chunker, chunker->at);
    if (start >= chunker->length) {
        chunker->at = chunker->length;
        return false;
    }
    *ret = (struct document_chunk_piece){.start = start, .fenced = chunker->fenced};
    bool first = start == 0 || chunker->text[start - 1] == '\n';
    if (first)
        toggle_fence(chunker, start);
    bool code = chunker->fenced || ret->fenced, in_words = start >= chunker->words_from && start < chunker->words_to;
    ret->heading = first && !code && !chunker->options.no_headings && heading_level(chunker, start);
    ret->end = in_words ? word_end(chunker, start) : unit_end(chunker, start, code || ret->heading);
    ret->units = units_of(chunker, ret->start, ret->end);
    if (ret->units > chunker->options.size && !in_words) {
        chunker->words_from = start;
        chunker->words_to = ret->end;
        ret->end = word_end(chunker, start);
        ret->units = units_of(chunker, ret->start, ret->end);
    }
    if (ret->units > chunker->options.size)
        cut_word(chunker, ret);
    chunker->at = ret->end;
    return true;
}

static void put_back(struct document_chunker *chunker, const struct document_chunk_piece *piece)
{
    chunker->at = piece->start;
    chunker->fenced = piece->fenced;
}

/* ---- what a chunk repeats of the one before ---------------------------------------------------- */

static void drop_first(struct document_chunker *chunker, size_t count)
{
    chunker->count -= count;
    if (chunker->count)
        memmove(chunker->pieces, chunker->pieces + count, chunker->count * sizeof *chunker->pieces);
}

static void add_piece(struct document_chunker *chunker, const struct document_chunk_piece *piece)
{
    TN_GROW(chunker->pieces, chunker->count, chunker->capacity);
    chunker->pieces[chunker->count++] = *piece;
}

/* Units from the beginning of piece `first` to the end of the last one. */
static uint32_t units_from(const struct document_chunker *chunker, size_t first)
{
    uint64_t units = 0;
    for (size_t i = first; i < chunker->count; i++) {
        units += chunker->pieces[i].units;
        if (i > first && chunker->options.unit == DOCUMENT_CHUNK_CHARACTERS)
            units += units_of(chunker, chunker->pieces[i - 1].end, chunker->pieces[i].start);
    }
    return units > UINT32_MAX ? UINT32_MAX : (uint32_t)units;
}

/* The words of the last piece, as pieces. */
static void split_last(struct document_chunker *chunker)
{
    const struct document_chunk_piece last = chunker->pieces[--chunker->count];
    for (size_t at = last.start; at < last.end;) {
        struct document_chunk_piece word = {.start = at, .end = word_end(chunker, at), .fenced = last.fenced};
        word.end = TN_MIN(word.end, last.end);
        word.units = units_of(chunker, word.start, word.end);
        add_piece(chunker, &word);
        at = skip_space(chunker, word.end);
    }
}

/* Leaves of the last chunk's pieces those that the next one repeats. */
static void carry(struct document_chunker *chunker)
{
    uint32_t most = chunker->options.overlap;
    if (most == 0 || chunker->count == 0 || chunker->pieces[chunker->count - 1].heading) {
        chunker->count = 0;
        return;
    }
    for (int pass = 0; pass < 2; pass++) {
        size_t first = chunker->count;
        uint64_t units = 0;
        while (first > 1 && !chunker->pieces[first - 1].heading && units <= most) {
            units += chunker->pieces[--first].units;
            if (first + 1 < chunker->count && chunker->options.unit == DOCUMENT_CHUNK_CHARACTERS)
                units += units_of(chunker, chunker->pieces[first].end, chunker->pieces[first + 1].start);
        }
        if (units > most)
            first++;
        if (first < chunker->count || pass == 1) {
            drop_first(chunker, first);
            return;
        }
        split_last(chunker);
    }
}

/* ---- chunks ------------------------------------------------------------------------------------- */

/* Whether `piece` still fits, and how large the chunk is then. */
static bool fits(const struct document_chunker *chunker, uint32_t units, const struct document_chunk_piece *piece,
                 uint32_t *ret_units)
{
    uint64_t more = (uint64_t)units + piece->units;
    if (chunker->count && chunker->options.unit == DOCUMENT_CHUNK_CHARACTERS)
        more += units_of(chunker, chunker->pieces[chunker->count - 1].end, piece->start);
    *ret_units = (uint32_t)TN_MIN(more, (uint64_t)UINT32_MAX);
    return chunker->count == 0 || more <= chunker->options.size;
}

/* A section of its own begins a chunk of its own, unless that before is tiny. */
static bool breaks(const struct document_chunker *chunker, uint32_t units, const struct document_chunk_piece *piece)
{
    return piece->heading && chunker->count && !chunker->pieces[chunker->count - 1].heading &&
           (uint64_t)units * 4 >= chunker->options.size;
}

/* Gathers new pieces behind the carried ones; how many are carried in the end. */
static size_t gather(struct document_chunker *chunker, bool *ret_any)
{
    struct document_chunk_piece piece;
    uint32_t units = units_from(chunker, 0), more;
    size_t carried = chunker->count;
    *ret_any = false;
    while (take_piece(chunker, &piece)) {
        if (!*ret_any && piece.heading)
            carried = chunker->count = 0;
        bool fit = fits(chunker, units, &piece, &more);
        while (!fit && !*ret_any && carried) {
            drop_first(chunker, 1);
            carried--;
            fit = fits(chunker, units = units_from(chunker, 0), &piece, &more);
        }
        if (!fit || (*ret_any && breaks(chunker, units, &piece))) {
            put_back(chunker, &piece);
            break;
        }
        add_piece(chunker, &piece);
        units = chunker->count == 1 ? piece.units : more;
        *ret_any = true;
    }
    return carried;
}

static void drop_last(struct document_chunker *chunker)
{
    put_back(chunker, &chunker->pieces[--chunker->count]);
}

/* A heading stays with what it heads; and a tokenizer may count the whole
 * higher than its parts. Returns the units of the whole. */
static uint32_t settle(struct document_chunker *chunker, size_t carried)
{
    size_t plain = chunker->count;
    while (plain > carried && chunker->pieces[plain - 1].heading)
        plain--;
    if (plain > carried && skip_space(chunker, chunker->at) < chunker->length)
        while (chunker->count > plain)
            drop_last(chunker);
    for (;;) {
        size_t start = chunker->pieces[0].start, end = chunker->pieces[chunker->count - 1].end;
        uint32_t units = units_of(chunker, start, end);
        if (units <= chunker->options.size || chunker->count == 1)
            return units;
        if (chunker->count - carried > 1) {
            drop_last(chunker);
        } else {
            drop_first(chunker, 1);
            carried--;
        }
    }
}

static void enter_heading(struct document_chunker *chunker, size_t at)
{
    unsigned level = heading_level(chunker, at);
    for (size_t i = level; i < DOCUMENT_HEADING_LEVELS; i++)
        chunker->headings[i] = SIZE_MAX;
    if (level)
        chunker->headings[level - 1] = at;
}

/* "Guide > Setup" of the headings in force. */
static void write_heading(struct document_chunker *chunker)
{
    tn_buf_clear(&chunker->heading);
    for (size_t i = 0; i < DOCUMENT_HEADING_LEVELS; i++) {
        size_t start = chunker->headings[i];
        if (start == SIZE_MAX)
            continue;
        size_t line = line_end(chunker, start);
        start = skip_space(chunker, start + i + 1);
        size_t end = solid_end(chunker, start, TN_MAX(line, start));
        while (end > start + 1 && chunker->text[end - 1] == '#' && strchr("# ", chunker->text[end - 2]))
            end--;
        size_t shown = tn_utf8_floor(chunker->text + start, end - start, TN_MIN(end - start, HEADING_SHOWN_MAX));
        if (chunker->heading.len)
            tn_buf_puts(&chunker->heading, " > ");
        text_put_clean(&chunker->heading, chunker->text + start, shown);
        text_trim_end(&chunker->heading);
    }
}

bool document_chunker_next(struct document_chunker *chunker, struct document_chunk *ret)
{
    bool any;
    carry(chunker);
    size_t carried = gather(chunker, &any);
    if (!any) {
        chunker->count = 0;
        return false;
    }
    uint32_t units = settle(chunker, carried);
    size_t i = 0;
    for (; i < chunker->count && chunker->pieces[i].heading; i++)
        enter_heading(chunker, chunker->pieces[i].start);
    write_heading(chunker);
    for (; i < chunker->count; i++)
        if (chunker->pieces[i].heading)
            enter_heading(chunker, chunker->pieces[i].start);
    size_t start = chunker->pieces[0].start;
    *ret = (struct document_chunk){.start = start,
                                   .length = chunker->pieces[chunker->count - 1].end - start,
                                   .tokens = units,
                                   .heading = chunker->heading.data ? chunker->heading.data : ""};
    return true;
}
