/* What a model wrote, to a statement.
 *
 * Nothing here judges SQL: what looks like a statement of any kind is handed
 * on, so that the guard can say what is wrong with it. Only what is certainly
 * no statement is told apart from it.
 */
#include "answer/ask.h"

#include <string.h>

#define PROSE_MAX 400
#define TEXT_MAX  ((size_t)64 << 10) /* of what a model wrote; no statement is longer */
#define PROOF_MAX 500                /* bytes in which a statement shows that it is one */

struct span {
    const char *at, *end;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static struct span trim(struct span span)
{
    while (span.at < span.end && is_space(*span.at))
        span.at++;
    while (span.at < span.end && is_space(span.end[-1]))
        span.end--;
    return span;
}

static bool begins_with(struct span span, const char *word)
{
    for (; *word; word++, span.at++)
        if (span.at == span.end || tn_ascii_lower(*span.at) != *word)
            return false;
    return true;
}

static const char *find(struct span span, const char *word)
{
    for (; span.at < span.end; span.at++)
        if (begins_with(span, word))
            return span.at;
    return NULL;
}

/* Behind the comments before the first word. */
static struct span skip_comments(struct span span)
{
    for (;;) {
        span = trim(span);
        if (begins_with(span, "--")) {
            while (span.at < span.end && *span.at != '\n')
                span.at++;
        } else if (begins_with(span, "/*")) {
            const char *end = find((struct span){span.at + 2, span.end}, "*/");
            span.at = end ? end + 2 : span.end;
        } else {
            return span;
        }
    }
}

/* Does it begin as a statement does? Statements that are never run count too. */
static bool begins_statement(struct span span)
{
    static const char *const words[] = {
        "select",     "with",     "from",    "values", "table",  "describe", "explain", "summarize",
        "show",       "pivot",    "unpivot", "insert", "update", "delete",   "drop",    "create",
        "alter",      "truncate", "copy",    "attach", "detach", "install",  "load",    "set",
        "reset",      "pragma",   "call",    "export", "import", "execute",  "prepare", "vacuum",
        "checkpoint", "merge",    "use",     "begin",  "commit", "rollback",
    };
    span = skip_comments(span);
    while (span.at < span.end && (*span.at == '(' || is_space(*span.at)))
        span.at++;
    for (size_t i = 0; i < TN_COUNT(words); i++) {
        size_t length = strlen(words[i]);
        if (begins_with(span, words[i]) && (span.at + length == span.end || !is_word(span.at[length])))
            return true;
    }
    return false;
}

/* Prose begins with "With", "From", "Show", "Set" and "Use" as well: in a text
 * without a fence a statement has to go on like one. */
static bool begins_bare(struct span span)
{
    static const char *const doubtful[] = {"with", "from", "values", "table", "describe", "explain", "show",
                                           "set",  "use",  "call",   "load",  "begin",    "import",  "update"};
    static const char *const proof[] = {"select", " as ", "(", ";", "=", "from "};
    struct span head = skip_comments(span);
    if (!begins_statement(head))
        return false;
    bool doubt = false;
    for (size_t i = 0; i < TN_COUNT(doubtful); i++)
        doubt = doubt || begins_with(head, doubtful[i]);
    bool proven = false;
    size_t length = (size_t)(head.end - head.at);
    struct span body = {head.at + TN_MIN(length, 4), head.at + TN_MIN(length, PROOF_MAX)};
    for (size_t i = 0; i < TN_COUNT(proof) && doubt && !proven; i++)
        proven = find(body, proof[i]) != NULL;
    return !doubt || proven;
}

/* Where the quoted text or comment at its beginning ends; its beginning when there
 * is none. */
static const char *skip_quoted(struct span span)
{
    const char *at = span.at;
    if (*at == '\'' || *at == '"') {
        char quote = *at++;
        while (at < span.end && *at != quote)
            at++;
        return at < span.end ? at + 1 : at;
    }
    if (begins_with(span, "--")) {
        while (at < span.end && *at != '\n')
            at++;
        return at;
    }
    if (begins_with(span, "/*")) {
        const char *end = find((struct span){at + 2, span.end}, "*/");
        return end ? end + 2 : span.end;
    }
    return at;
}

/* The first semicolon outside of quotes, or the end. */
static const char *statement_end(struct span span)
{
    while (span.at < span.end) {
        const char *behind = skip_quoted(span);
        if (behind != span.at)
            span.at = behind;
        else if (*span.at == ';')
            return span.at;
        else
            span.at++;
    }
    return span.end;
}

/* Without the last semicolon and what is prose behind one; a second statement
 * stays, for the guard to see. */
static struct span cut_end(struct span span, bool bare)
{
    for (struct span rest = span;;) {
        const char *end = statement_end(rest);
        if (end == rest.end)
            break;
        struct span behind = skip_comments((struct span){end + 1, rest.end});
        if (behind.at == behind.end || (bare && !begins_statement(behind)))
            return trim((struct span){span.at, end});
        rest.at = end + 1;
    }
    return trim(span);
}

/* Thoughts come first; an open one that never ends leaves nothing. */
static struct span skip_thoughts(struct span span)
{
    struct span rest = trim(span);
    while (begins_with(rest, "<think>")) {
        const char *end = find(rest, "</think>");
        if (!end)
            return (struct span){rest.end, rest.end};
        rest = trim((struct span){end + strlen("</think>"), rest.end});
    }
    return rest;
}

/* The next block between fences; `span` goes on behind it. A block that is
 * never closed ends with the text. */
static bool next_block(struct span *span, struct span *ret)
{
    const char *open = find(*span, "```");
    if (!open)
        return false;
    const char *line = open + 3;
    while (line < span->end && *line != '\n' && *line != '`')
        line++;
    const char *word = open + 3;
    bool tag = line < span->end && *line == '\n'; /* else the statement stands in the fence's own line */
    struct span body = {tag ? line + 1 : word, span->end};
    const char *close = find(body, "```");
    if (close)
        body.end = close;
    if (!tag) /* ```sql SELECT 1``` */
        for (const char *const *known = (const char *const[]){"sql", "duckdb", "postgresql", NULL}; *known; known++)
            if (begins_with(body, *known) && body.at + strlen(*known) < body.end && is_space(body.at[strlen(*known)]))
                body.at += strlen(*known);
    span->at = close ? close + 3 : span->end;
    *ret = trim(body);
    return true;
}

static const char *keep(struct tn_arena *arena, struct span span, size_t most)
{
    size_t length = (size_t)(span.end - span.at);
    if (length > most)
        length = tn_utf8_floor(span.at, length, most);
    return tn_arena_strndup(arena, span.at, length);
}

static bool says_cannot(struct span span, struct span *ret)
{
    while (span.at < span.end && (*span.at == '*' || *span.at == '#' || *span.at == '`' || *span.at == '"'))
        span.at++;
    if (!begins_with(span, "cannot") || span.at + 6 == span.end || (span.at[6] != ':' && span.at[6] != '*'))
        return false;
    span.at += 6;
    while (span.at < span.end && (*span.at == ':' || *span.at == '*' || is_space(*span.at)))
        span.at++;
    const char *end = find(span, "\n\n");
    *ret = trim((struct span){span.at, end ? end : span.end});
    return true;
}

/* A line of prose, then a statement at the beginning of a line. */
static bool find_bare(struct span span, struct span *ret)
{
    for (struct span rest = span; rest.at < rest.end;) {
        struct span line = trim(rest);
        if (begins_with(line, "select") || begins_with(line, "with")) {
            if (begins_bare(line)) {
                *ret = line;
                return true;
            }
        }
        const char *newline = memchr(rest.at, '\n', (size_t)(rest.end - rest.at));
        rest.at = newline ? newline + 1 : rest.end;
    }
    return false;
}

enum ask_said ask_extract(const char *text, size_t length, struct tn_arena *arena, const char **ret)
{
    const char *nul = memchr(text, '\0', length = TN_MIN(length, TEXT_MAX));
    struct span span = skip_thoughts((struct span){text, nul ? nul : text + length});
    struct span found = {0}, block, rest = span;
    if (says_cannot(span, &found)) {
        *ret = keep(arena, found, PROSE_MAX);
        return ASK_SAID_CANNOT;
    }
    while (next_block(&rest, &block)) {
        struct span reason;
        if (says_cannot(block, &reason)) {
            *ret = keep(arena, reason, PROSE_MAX);
            return ASK_SAID_CANNOT;
        }
        if (begins_statement(block))
            found = cut_end(block, false);
    }
    if (!found.at && begins_bare(span))
        found = cut_end(span, true);
    if (!found.at && find_bare(span, &block))
        found = cut_end(block, true);
    *ret = found.at ? keep(arena, found, SIZE_MAX) : keep(arena, span, PROSE_MAX);
    return found.at ? ASK_SAID_SQL : ASK_SAID_OTHER;
}
