/* Reading delimited text: the scanner that finds record ends, and the reader
 * that cuts records into cells.
 *
 * The scanner is what stays sequential while blocks are profiled in parallel,
 * so it touches each byte only with memchr. The reader looks for the next
 * delimiter sixteen bytes at a time; most fields are shorter than that.
 */
#include "ingest/csv.h"

#include <assert.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* The first delimiter or line end at or behind p; `end` when there is none. */
static inline const char *find_field_end(const char *p, const char *end, char delimiter, char line_end)
{
#if defined(__SSE2__)
    const __m128i wide_delimiter = _mm_set1_epi8(delimiter);
    const __m128i wide_line_end = _mm_set1_epi8(line_end);
    while (p < end) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(bytes, wide_delimiter), _mm_cmpeq_epi8(bytes, wide_line_end));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask) {
            p += __builtin_ctz(mask);
            return p < end ? p : end;
        }
        p += 16;
    }
    return end;
#else
    while (p < end && *p != delimiter && *p != line_end)
        p++;
    return p;
#endif
}

/* The closing quote of a field whose text begins at p, or `end`. */
static inline const char *find_closing(const char *p, const char *end, char quote, char escape, bool *ret_escaped)
{
    for (;;) {
        const char *found = memchr(p, quote, (size_t)(end - p));
        if (!found)
            return end;
        if (escape == quote) {
            if (found + 1 < end && found[1] == quote) {
                *ret_escaped = true;
                p = found + 2;
                continue;
            }
            return found;
        }
        const char *back = found;
        while (back > p && back[-1] == escape)
            back--;
        if ((found - back) % 2 == 0) {
            if (!*ret_escaped && memchr(p, escape, (size_t)(found - p)))
                *ret_escaped = true;
            return found;
        }
        *ret_escaped = true;
        p = found + 1;
    }
}

size_t csv_scan_end(const struct csv_dialect *dialect, const char *text, size_t length, size_t *ret_open)
{
    const char *end = text + length, *p = text, *plain = text, *last = NULL;
    char quote = dialect->quote, line_end = dialect->line_end;
    *ret_open = SIZE_MAX;
    while (quote && p < end) {
        const char *open = memchr(p, quote, (size_t)(end - p));
        if (!open)
            break;
        bool at_start = open == text || open[-1] == dialect->delimiter || open[-1] == line_end;
        if (!at_start) {
            p = open + 1;
            continue;
        }
        const char *newline = memrchr(plain, line_end, (size_t)(open - plain));
        if (newline)
            last = newline;
        bool escaped = false;
        const char *close = find_closing(open + 1, end, quote, dialect->escape, &escaped);
        if (close == end) {
            *ret_open = (size_t)(open - text);
            return last ? (size_t)(last - text) + 1 : 0;
        }
        p = plain = close + 1;
    }
    const char *newline = plain < end ? memrchr(plain, line_end, (size_t)(end - plain)) : NULL;
    if (newline)
        last = newline;
    return last ? (size_t)(last - text) + 1 : 0;
}

void csv_reader_init(struct csv_reader *reader, const struct csv_dialect *dialect, size_t width, struct cell *cells,
                     size_t capacity, const char *text, size_t length)
{
    assert(capacity >= width);
    *reader = (struct csv_reader){
        .delimiter = dialect->delimiter,
        .quote = dialect->quote,
        .escape = dialect->escape,
        .line_end = dialect->line_end,
        .at = text,
        .end = text + length,
        .width = width,
        .capacity = capacity,
        .record = {.cells = cells},
    };
}

/* A field that begins with a quote. Returns the field's end. */
static const char *read_quoted(struct csv_reader *reader, const char *p, struct cell *cell)
{
    bool escaped = false;
    const char *close = find_closing(p + 1, reader->end, reader->quote, reader->escape, &escaped);
    const char *behind = close < reader->end ? close + 1 : close;
    const char *stop = find_field_end(behind, reader->end, reader->delimiter, reader->line_end);
    const char *trimmed = stop;
    if (stop > behind && stop[-1] == '\r' && (stop == reader->end || *stop == '\n'))
        trimmed = stop - 1;
    if (trimmed == behind && close < reader->end) {
        *cell = (struct cell){p + 1, (uint32_t)(close - p - 1), CELL_QUOTED, escaped};
        return stop;
    }
    reader->literal++;
    *cell = (struct cell){p, (uint32_t)(trimmed - p), CELL_PLAIN, 0};
    return stop;
}

static inline const char *read_cell(struct csv_reader *reader, const char *p, struct cell *cell)
{
    if (__builtin_expect(*p == reader->quote, 0) && reader->quote && p < reader->end)
        return read_quoted(reader, p, cell);
    const char *stop = find_field_end(p, reader->end, reader->delimiter, reader->line_end);
    const char *trimmed = stop;
    if (stop > p && stop[-1] == '\r' && (stop == reader->end || *stop == '\n'))
        trimmed = stop - 1;
    *cell = (struct cell){p, (uint32_t)(trimmed - p), CELL_PLAIN, 0};
    return stop;
}

static bool is_blank_line(const struct csv_reader *reader, const char *p)
{
    if (*p == reader->line_end)
        return true;
    return *p == '\r' && (p + 1 == reader->end || p[1] == '\n');
}

/* Blank lines are no records, except in a file of one column, where an empty
 * value looks exactly like that. */
static void skip_blank_lines(struct csv_reader *reader)
{
    while (reader->at < reader->end && is_blank_line(reader, reader->at)) {
        const char *newline = memchr(reader->at, reader->line_end, (size_t)(reader->end - reader->at));
        reader->at = newline ? newline + 1 : reader->end;
        reader->blank++;
    }
}

bool csv_reader_next(struct csv_reader *reader)
{
    if (reader->width > 1)
        skip_blank_lines(reader);
    if (reader->at >= reader->end)
        return false;
    struct record *record = &reader->record;
    record->start = reader->at;
    record->flaw = RECORD_FINE;
    const char *p = reader->at;
    size_t count = 0;
    for (;;) {
        struct cell spare;
        struct cell *cell = count < reader->capacity ? &record->cells[count] : &spare;
        const char *stop = read_cell(reader, p, cell);
        if (count >= reader->width && cell->length > 0 && record->flaw == RECORD_FINE) {
            record->flaw = RECORD_TOO_WIDE;
            record->flaw_at = cell->text;
            record->flaw_text = NULL;
        }
        count++;
        if (stop >= reader->end || *stop == reader->line_end) {
            record->length = (size_t)((stop > p && stop[-1] == '\r' ? stop - 1 : stop) - record->start);
            reader->at = stop < reader->end ? stop + 1 : reader->end;
            break;
        }
        p = stop + 1;
    }
    record->count = count;
    for (size_t i = count; i < reader->width; i++)
        record->cells[i] = (struct cell){NULL, 0, CELL_ABSENT, 0};
    return true;
}

size_t csv_unescape(const struct cell *cell, char quote, char escape, char *out)
{
    size_t length = 0;
    for (uint32_t i = 0; i < cell->length; i++) {
        char c = cell->text[i];
        if (c == escape && i + 1 < cell->length && (escape == '\\' || cell->text[i + 1] == quote))
            c = cell->text[++i];
        out[length++] = c;
    }
    return length;
}
