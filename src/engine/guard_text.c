/* The little that the guard reads from the text itself: its bounds, where the
 * AT clause of a reference lies (the tree does not say), semicolons at the
 * end, and the first word for a hint.
 *
 * The scanner knows what may hide a character: strings, quoted names, comments
 * and dollar quotes. Nothing is allowed because of what it finds; when it
 * misreads a text, the parser has the last word.
 */
#include "engine/engine_internal.h"

#include <ctype.h>

/* The parser is recursive, slows down with the square of the nesting, and
 * cannot be interrupted. These bounds keep the worst text at about a second
 * and far from the end of a stack of 8 MB; the brackets are also counted
 * without regard to strings, in case the scanner is led astray. */
#define MAX_SQL_BYTES ((size_t)256 << 10)
#define MAX_NESTING   250
#define MAX_BRACKETS  20000

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED_NAME, TOKEN_STRING, TOKEN_OTHER };

struct token {
    enum token_kind kind;
    size_t at, length;
};

static bool word_start(char c)
{
    return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool word_part(char c)
{
    return word_start(c) || isdigit((unsigned char)c) || c == '$';
}

static size_t skip_comment(const char *sql, size_t at, size_t end)
{
    if (at + 1 < end && sql[at] == '-' && sql[at + 1] == '-') {
        while (at < end && sql[at] != '\n')
            at++;
        return at;
    }
    if (at + 1 < end && sql[at] == '/' && sql[at + 1] == '*') {
        at += 2;
        while (at + 1 < end && !(sql[at] == '*' && sql[at + 1] == '/'))
            at++;
        return TN_MIN(at + 2, end);
    }
    return at;
}

static size_t skip_space(const char *sql, size_t at, size_t end)
{
    for (;;) {
        while (at < end && isspace((unsigned char)sql[at]))
            at++;
        size_t after = skip_comment(sql, at, end);
        if (after == at)
            return at;
        at = after;
    }
}

/* Behind the closing quote; a doubled quote stays inside. */
static size_t skip_quoted(const char *sql, size_t at, size_t end, bool backslash)
{
    char quote = sql[at++];
    while (at < end) {
        if (backslash && sql[at] == '\\' && at + 1 < end) {
            at += 2;
        } else if (sql[at] != quote) {
            at++;
        } else if (at + 1 < end && sql[at + 1] == quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    return end;
}

/* $tag$ ... $tag$; `at` itself when there is none. */
static size_t skip_dollar(const char *sql, size_t at, size_t end)
{
    size_t close = at + 1;
    while (close < end && sql[close] != '$' && word_part(sql[close]))
        close++;
    if (close >= end || sql[close] != '$' || (close > at + 1 && isdigit((unsigned char)sql[at + 1])))
        return at;
    size_t tag = close + 1 - at;
    for (size_t i = close + 1; i + tag <= end; i++) {
        if (memcmp(sql + i, sql + at, tag) == 0)
            return i + tag;
    }
    return end;
}

static struct token next_token(const char *sql, size_t at, size_t end)
{
    at = skip_space(sql, at, end);
    struct token token = {.kind = TOKEN_OTHER, .at = at, .length = 1};
    if (at >= end)
        return (struct token){.kind = TOKEN_END, .at = end};
    char c = sql[at];
    size_t after = at + 1;
    if ((c == 'e' || c == 'E') && after < end && sql[after] == '\'') {
        token.kind = TOKEN_STRING;
        after = skip_quoted(sql, after, end, true);
    } else if (c == '\'') {
        token.kind = TOKEN_STRING;
        after = skip_quoted(sql, at, end, false);
    } else if (c == '"') {
        token.kind = TOKEN_QUOTED_NAME;
        after = skip_quoted(sql, at, end, false);
    } else if (word_start(c)) {
        token.kind = TOKEN_WORD;
        while (after < end && word_part(sql[after]))
            after++;
    } else if (c == '$' && skip_dollar(sql, at, end) > at) {
        token.kind = TOKEN_STRING;
        after = skip_dollar(sql, at, end);
    }
    token.length = after - at;
    return token;
}

static bool is_word(const char *sql, struct token token, const char *word)
{
    return token.kind == TOKEN_WORD && token.length == strlen(word) &&
           strncasecmp(sql + token.at, word, token.length) == 0;
}

static enum tn_code refuse_nesting(const char *sql, size_t length, size_t at, struct tn_error *err)
{
    tn_fail(err, TN_ESQLREFUSED, "the statement is nested more than %d deep", MAX_NESTING);
    engine_error_place(err, sql, length, at);
    return TN_ESQLREFUSED;
}

static enum tn_code check_nesting(const char *sql, size_t length, struct tn_error *err)
{
    size_t depth = 0, brackets = 0;
    for (size_t i = 0; i < length; i++)
        brackets += sql[i] == '(' || sql[i] == '[' || sql[i] == '{';
    if (brackets <= MAX_NESTING)
        return TN_OK;
    if (brackets > MAX_BRACKETS)
        return tn_fail(err, TN_ESQLREFUSED, "the statement has more than %d brackets", MAX_BRACKETS);
    for (struct token token = next_token(sql, 0, length); token.kind != TOKEN_END;
         token = next_token(sql, token.at + token.length, length)) {
        char c = token.kind == TOKEN_OTHER ? sql[token.at] : 'a';
        if (c == '(' || c == '[' || c == '{')
            depth++;
        else if (depth && (c == ')' || c == ']' || c == '}'))
            depth--;
        if (depth > MAX_NESTING)
            return refuse_nesting(sql, length, token.at, err);
    }
    return TN_OK;
}

enum tn_code guard_text_bounds(const char *sql, size_t length, struct tn_error *err)
{
    if (length > MAX_SQL_BYTES) {
        tn_fail(err, TN_ESQLREFUSED, "the statement has %zu bytes; at most %zu are read", length, MAX_SQL_BYTES);
        tn_error_hint(err, "Long lists of values belong into a parameter: WHERE id IN (SELECT unnest($1)).");
        return TN_ESQLREFUSED;
    }
    size_t valid = tn_utf8_valid_prefix(sql, length);
    const char *nul = memchr(sql, '\0', length);
    if (valid != length || nul) {
        tn_fail(err, TN_ESQL, nul ? "the statement contains a NUL character" : "the statement is not valid UTF-8");
        engine_error_place(err, sql, length, nul ? (size_t)(nul - sql) : valid);
        return TN_ESQL;
    }
    return check_nesting(sql, length, err);
}

/* From behind the opening parenthesis to its closing one. */
static bool find_closing(const char *sql, size_t at, size_t end, size_t *ret_close)
{
    size_t depth = 1;
    for (struct token token = next_token(sql, at, end); token.kind != TOKEN_END;
         token = next_token(sql, token.at + token.length, end)) {
        if (token.kind != TOKEN_OTHER)
            continue;
        char c = sql[token.at];
        if (c == '(')
            depth++;
        else if (c == ')' && --depth == 0) {
            *ret_close = token.at;
            return true;
        }
    }
    return false;
}

/* AT ( unit => expression ): `open` is the parenthesis. */
static bool read_at(const char *sql, struct token at, size_t open, size_t end, struct guard_table *table,
                    struct tn_arena *arena)
{
    size_t close = 0;
    if (!find_closing(sql, open + 1, end, &close))
        return false;
    struct token unit = next_token(sql, open + 1, close);
    struct token arrow = next_token(sql, unit.at + unit.length, close);
    if (unit.kind != TOKEN_WORD || sql[arrow.at] != '=' || arrow.at + 1 >= close || sql[arrow.at + 1] != '>')
        return false;
    size_t start = arrow.at + 2;
    table->at_location = at.at;
    table->at_span = close + 1 - at.at;
    table->at_expression = tn_arena_strndup(arena, sql + start, close - start);
    return true;
}

bool guard_text_reference(const char *sql, size_t location, size_t span, struct guard_table *table,
                          struct tn_arena *arena)
{
    size_t end = location + span;
    struct token name = next_token(sql, location, end);
    if (name.at != location || name.kind == TOKEN_END || name.kind == TOKEN_OTHER)
        return false;
    table->name_span = name.length;
    struct token token = next_token(sql, name.at + name.length, end);
    while (token.kind != TOKEN_END) {
        struct token after = next_token(sql, token.at + token.length, end);
        /* AT is reserved, so outside parentheses the word is the clause. */
        if (is_word(sql, token, "at") && after.kind == TOKEN_OTHER && sql[after.at] == '(')
            return read_at(sql, token, after.at, end, table, arena);
        if (token.kind == TOKEN_OTHER && sql[token.at] == '(') {
            size_t close = 0;
            if (!find_closing(sql, token.at + 1, end, &close))
                return false;
            after = next_token(sql, close + 1, end);
        }
        token = after;
    }
    return false;
}

size_t guard_text_call(const char *sql, size_t length, size_t location, const char *word)
{
    struct token name = next_token(sql, location, length);
    if (name.at != location || !is_word(sql, name, word))
        return 0;
    struct token open = next_token(sql, name.at + name.length, length);
    size_t close = 0;
    if (open.kind != TOKEN_OTHER || sql[open.at] != '(' || !find_closing(sql, open.at + 1, length, &close))
        return 0;
    return close + 1 - location;
}

const char *guard_text_hint(const char *sql, size_t length)
{
    static const struct {
        const char *word, *hint;
    } hints[] = {
        {"pivot", "PIVOT needs its values written out: PIVOT t ON year IN (2024, 2025) USING sum(amount)."},
        {"explain", "Ask for the plan of a query with POST /query/explain, or .explain in the shell."},
        {"show",
         "SHOW TABLES is .tables in the shell and GET /catalog/datasets elsewhere; DESCRIBE name works here."},
        {"insert", "Rows are added with `tarn ingest FILE` or POST /ingest/file."},
        {"copy",
         "Results are saved with `tarn sql -c '...' --format csv > FILE`; files come in with `tarn ingest FILE`."},
        {"create",
         "Datasets are made by ingesting a file: `tarn ingest FILE`. Inside a query, use WITH name AS (...)."},
        {"set", "Settings are those of tarn.yaml; a query cannot change them."},
        {"pragma", "Settings are those of tarn.yaml; DESCRIBE name and SUMMARIZE name look at a dataset."},
        {"execute", "Send the values as params with the query instead."},
        {"prepare", "Send the values as params with the query instead."},
    };
    struct token first = next_token(sql, 0, length);
    for (size_t i = 0; i < TN_COUNT(hints); i++) {
        if (is_word(sql, first, hints[i].word))
            return hints[i].hint;
    }
    return "Begin the statement with SELECT, WITH, FROM, VALUES, DESCRIBE or SUMMARIZE.";
}

void guard_text_strip(const char *sql, size_t length, struct tn_buf *out)
{
    tn_buf_append(out, sql, length);
    for (struct token token = next_token(sql, 0, length); token.kind != TOKEN_END;
         token = next_token(sql, token.at + token.length, length)) {
        if (token.kind == TOKEN_OTHER && sql[token.at] == ';')
            out->data[out->len - length + token.at] = ' ';
    }
}
