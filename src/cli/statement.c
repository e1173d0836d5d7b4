/* Where SQL statements end (see statement.h). */
#include "cli/statement.h"

#include <string.h>

struct scan {
    const char *text;
    size_t length, at;
    char open; /* what the scan was inside of when the text ended */
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static void skip_line_comment(struct scan *scan)
{
    while (scan->at < scan->length && scan->text[scan->at] != '\n')
        scan->at++;
}

/* Block comments nest. */
static void skip_block_comment(struct scan *scan)
{
    int depth = 0;
    while (scan->at < scan->length) {
        if (scan->at + 1 < scan->length && scan->text[scan->at] == '/' && scan->text[scan->at + 1] == '*') {
            depth++;
            scan->at += 2;
        } else if (scan->at + 1 < scan->length && scan->text[scan->at] == '*' && scan->text[scan->at + 1] == '/') {
            scan->at += 2;
            if (--depth == 0)
                return;
        } else {
            scan->at++;
        }
    }
    scan->open = '*';
}

/* A doubled quote closes and opens again, which comes to the same. Only E''
 * strings know backslashes. */
static void skip_quoted(struct scan *scan, char quote)
{
    bool escapes = quote == '\'' && scan->at > 0 && (scan->text[scan->at - 1] | 0x20) == 'e' &&
                   (scan->at < 2 || !is_word(scan->text[scan->at - 2]));
    for (scan->at++; scan->at < scan->length; scan->at++) {
        if (escapes && scan->text[scan->at] == '\\') {
            scan->at++;
        } else if (scan->text[scan->at] == quote) {
            scan->at++;
            return;
        }
    }
    scan->at = scan->length;
    scan->open = quote;
}

/* $$text$$ or $tag$text$tag$; $1 is a parameter. */
static void skip_dollar(struct scan *scan)
{
    size_t start = scan->at, end = start + 1;
    bool digit = end < scan->length && scan->text[end] >= '0' && scan->text[end] <= '9';
    while (end < scan->length && is_word(scan->text[end]))
        end++;
    if (digit || end >= scan->length || scan->text[end] != '$' || (start > 0 && is_word(scan->text[start - 1]))) {
        scan->at = end;
        return;
    }
    size_t tag = end + 1 - start;
    const char *close = memmem(scan->text + end + 1, scan->length - end - 1, scan->text + start, tag);
    scan->at = close ? (size_t)(close - scan->text) + tag : scan->length;
    if (!close)
        scan->open = '$';
}

/* Moves past one token; true when it was one that a statement is made of. */
static bool step(struct scan *scan)
{
    char c = scan->text[scan->at], next = scan->at + 1 < scan->length ? scan->text[scan->at + 1] : '\0';
    if (c == '-' && next == '-') {
        skip_line_comment(scan);
        return false;
    }
    if (c == '/' && next == '*') {
        skip_block_comment(scan);
        return false;
    }
    if (c == '\'' || c == '"')
        skip_quoted(scan, c);
    else if (c == '$')
        skip_dollar(scan);
    else
        scan->at++;
    return !(c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ';');
}

size_t statement_end(const char *text, size_t length)
{
    struct scan scan = {.text = text, .length = length};
    while (scan.at < length) {
        bool ends = text[scan.at] == ';';
        (void)step(&scan);
        if (ends)
            return scan.at;
    }
    return 0;
}

bool statement_is_blank(const char *text, size_t length)
{
    struct scan scan = {.text = text, .length = length};
    while (scan.at < length)
        if (step(&scan))
            return false;
    return true;
}

char statement_open_quote(const char *text, size_t length)
{
    struct scan scan = {.text = text, .length = length};
    while (scan.at < length)
        (void)step(&scan);
    return scan.open;
}
