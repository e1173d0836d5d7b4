/* Plain text and Markdown. Markdown stays as it is written, but for its front
 * matter, which is metadata, and underlined headings, which become # lines. */
#include "document/readers.h"
#include "document/text.h"

#include <string.h>

enum tn_code reader_text(const struct document_input *input, struct outline *outline, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    (void)err;
    text_to_utf8(input->bytes, input->count, NULL, &text);
    outline_text(outline, text.data, text.len);
    return TN_OK;
}

struct lines {
    const char *at, *end;
    const char *line; /* without its line feed */
    size_t length;
};

static bool next_line(struct lines *lines)
{
    if (lines->at >= lines->end)
        return false;
    const char *stop = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
    lines->line = lines->at;
    lines->length = (size_t)((stop ? stop : lines->end) - lines->at);
    lines->at = stop ? stop + 1 : lines->end;
    if (lines->length && lines->line[lines->length - 1] == '\r')
        lines->length--;
    return true;
}

static bool is_line(const struct lines *lines, const char *text)
{
    return lines->length == strlen(text) && memcmp(lines->line, text, lines->length) == 0;
}

/* "key: value" lines between two of ---; other YAML there is dropped. */
static void take_front_matter(struct outline *outline, struct lines *lines)
{
    struct lines ahead = *lines;
    if (!next_line(&ahead) || !is_line(&ahead, "---"))
        return;
    const struct lines first = ahead;
    do {
        if (!next_line(&ahead))
            return; /* only a rule at the top */
    } while (!is_line(&ahead, "---") && !is_line(&ahead, "..."));
    *lines = ahead;
    ahead = first;
    while (next_line(&ahead) && ahead.at < lines->at) {
        const char *colon = memchr(ahead.line, ':', ahead.length);
        if (!colon || ahead.line[0] == ' ' || ahead.line[0] == '-' || ahead.line[0] == '#')
            continue;
        size_t left = ahead.length - (size_t)(colon + 1 - ahead.line);
        const char *value = colon + 1;
        while (left && (*value == ' ' || *value == '\t'))
            value++, left--;
        if (left >= 2 && (*value == '"' || *value == '\'') && value[left - 1] == *value)
            value++, left -= 2;
        TN_AUTO_FREE char *name = tn_strndup(ahead.line, (size_t)(colon - ahead.line));
        if (tn_str_equal_nocase(name, "title"))
            outline_title(outline, value, left);
        else if (tn_str_equal_nocase(name, "author") && left)
            outline->document->author = tn_arena_strndup(outline->document->arena, value, TN_MIN(left, (size_t)300));
        else if (tn_str_equal_nocase(name, "date"))
            outline->document->created = reader_time(outline->document->arena, value, left);
        else
            outline_field(outline, name, value, left);
    }
}

/* Bytes of "## " before a heading's text; 0 when the line is none. */
static size_t heading_mark(const struct lines *lines, unsigned *ret_level)
{
    size_t at = strspn(lines->line, " ") < 4 ? strspn(lines->line, " ") : 0, level = 0;
    while (at + level < lines->length && lines->line[at + level] == '#')
        level++;
    if (level == 0 || level > 6 || at + level >= lines->length || !strchr(" \t", lines->line[at + level]))
        return 0;
    *ret_level = (unsigned)level;
    return at + level + 1;
}

/* The line below makes a heading of this one. */
static unsigned underline_level(struct lines ahead)
{
    if (!next_line(&ahead) || ahead.length < 3)
        return 0;
    char mark = ahead.line[0];
    for (size_t i = 0; i < ahead.length; i++)
        if (ahead.line[i] != mark)
            return 0;
    return mark == '=' ? 1 : mark == '-' ? 2 : 0;
}

static bool is_fence(const struct lines *lines)
{
    return lines->length >= 3 && (memcmp(lines->line, "```", 3) == 0 || memcmp(lines->line, "~~~", 3) == 0);
}

static bool is_paragraph(const struct lines *lines)
{
    return lines->length && !strchr(" \t-*+>|`~#", lines->line[0]) && lines->length < 200;
}

static void put_heading(struct outline *outline, unsigned level, const char *text, size_t length)
{
    while (length && (text[length - 1] == '#' || text[length - 1] == ' '))
        length--;
    outline_heading(outline, level, text, length);
}

enum tn_code reader_markdown(const struct document_input *input, struct outline *outline, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    (void)err;
    text_to_utf8(input->bytes, input->count, NULL, &text);
    struct lines lines = {.at = text.data ? text.data : "", .end = (text.data ? text.data : "") + text.len};
    bool fenced = false, blank = true;
    take_front_matter(outline, &lines);
    while (next_line(&lines)) {
        unsigned level = 0;
        size_t mark = fenced ? 0 : heading_mark(&lines, &level);
        if (is_fence(&lines))
            fenced = !fenced;
        if (mark) {
            put_heading(outline, level, lines.line + mark, lines.length - mark);
        } else if (!fenced && blank && is_paragraph(&lines) && (level = underline_level(lines)) > 0) {
            put_heading(outline, level, lines.line, lines.length);
            (void)next_line(&lines);
        } else {
            outline_text(outline, lines.line, lines.length);
            outline_text(outline, "\n", 1);
        }
        blank = lines.length == 0 || level;
    }
    return TN_OK;
}
