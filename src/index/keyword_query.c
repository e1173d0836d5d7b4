/* What a person types, as an expression that FTS5 accepts.
 *
 * A level (the whole text, or what stands in parentheses) is groups joined by
 * OR, a group terms joined by AND, and what must not be there. FTS5 knows NOT
 * only between two expressions, so it is gathered and put behind the level.
 * Every word goes out in quotes, where FTS5 has no syntax left but the quote.
 * Chinese, Japanese and Korean come without spaces: what stands loose goes out
 * as its pairs (keyword_fold.h), what is quoted or joined by AND as a phrase.
 */
#include "index/keyword.h"

#include "index/keyword_fold.h"

#define TERMS_MAX 128
#define DEPTH_MAX 16

enum kind { END, WORD, PHRASE, AND, OR, NOT, OPEN, CLOSE };

struct token {
    enum kind kind;
    const char *text;
    size_t length;
    bool prefix;
};

struct parser {
    const char *at, *end;
    struct token token;
    size_t terms;
    unsigned depth;
    bool keep_common; /* nothing else is there */
};

static const char *const common_words[] = {
    "a",        "an",      "and",  "are",  "as",    "at",    "be",   "by",   "can",    "could", "do",
    "does",     "for",     "from", "had",  "has",   "have",  "how",  "i",    "in",     "is",    "it",
    "its",      "me",      "my",   "of",   "on",    "or",    "our",  "she",  "should", "so",    "some",
    "somebody", "someone", "than", "that", "the",   "their", "them", "then", "there",  "these", "they",
    "this",     "to",      "us",   "was",  "we",    "were",  "what", "when", "where",  "which", "who",
    "whom",     "why",     "will", "with", "would", "you",   "your",
};

bool keyword_query_skips(const char *text, size_t length)
{
    char word[16];
    if (length >= sizeof word)
        return false;
    for (size_t i = 0; i < length; i++)
        word[i] = tn_ascii_lower(text[i]);
    word[length] = '\0';
    for (size_t i = 0; i < TN_COUNT(common_words); i++)
        if (tn_streq(word, common_words[i]))
            return true;
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Something that FTS5 may take for a word; other bytes are judged by it. */
static bool has_word(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x80 || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
            return true;
    }
    return false;
}

static bool word_is(const struct token *token, const char *word)
{
    return token->length == strlen(word) && memcmp(token->text, word, token->length) == 0;
}

static void read_phrase(struct parser *parser)
{
    const char *start = ++parser->at;
    while (parser->at < parser->end && *parser->at != '"')
        parser->at++;
    parser->token = (struct token){.kind = PHRASE, .text = start, .length = (size_t)(parser->at - start)};
    if (parser->at < parser->end)
        parser->at++;
}

static void read_word(struct parser *parser)
{
    const char *start = parser->at;
    while (parser->at < parser->end && !is_space(*parser->at) && *parser->at != '"' && *parser->at != '(' &&
           *parser->at != ')')
        parser->at++;
    struct token token = {.kind = WORD, .text = start, .length = (size_t)(parser->at - start)};
    if (token.length > 1 && start[token.length - 1] == '*') {
        token.prefix = true;
        token.length--;
    }
    if (word_is(&token, "AND"))
        token.kind = AND;
    else if (word_is(&token, "OR"))
        token.kind = OR;
    else if (word_is(&token, "NOT"))
        token.kind = NOT;
    parser->token = token;
}

static void next(struct parser *parser)
{
    do {
        while (parser->at < parser->end && (is_space(*parser->at) || *parser->at == '\0'))
            parser->at++;
        if (parser->at == parser->end) {
            parser->token = (struct token){.kind = END};
            return;
        }
        if (*parser->at == '(' || *parser->at == ')')
            parser->token = (struct token){.kind = *parser->at++ == '(' ? OPEN : CLOSE};
        else if (*parser->at == '"')
            read_phrase(parser);
        else
            read_word(parser);
    } while ((parser->token.kind == WORD || parser->token.kind == PHRASE) &&
             !has_word(parser->token.text, parser->token.length));
}

static bool has_letter_at(const struct token *token, size_t at)
{
    unsigned char c = (unsigned char)tn_ascii_lower(token->text[at]);
    return c >= 0x80 || (c >= 'a' && c <= 'z');
}

static void put_quoted(const struct token *token, struct tn_buf *out)
{
    tn_buf_putc(out, '"');
    for (size_t i = 0; i < token->length; i++)
        tn_buf_putc(out, token->text[i] == '"' || token->text[i] == '\0' ? ' ' : token->text[i]);
    tn_buf_puts(out, token->prefix ? "\"*" : "\"");
}

/* Bytes before the colon of name:word, as columns are asked elsewhere; 0: it is
 * no such thing. There are no columns here, so both are words, which need not
 * stand side by side as those of 10:30 or https://host must. */
static size_t name_before_colon(const struct token *token)
{
    size_t at = 0;
    if (token->kind != WORD || !has_letter_at(token, 0))
        return 0;
    while (at < token->length &&
           (has_letter_at(token, at) || token->text[at] == '_' || (token->text[at] >= '0' && token->text[at] <= '9')))
        at++;
    if (at == token->length || token->text[at] != ':' || at + 1 == token->length || token->text[at + 1] == '/')
        return 0;
    return has_word(token->text + at + 1, token->length - at - 1) ? at : 0;
}

static void put_term(const struct token *token, struct tn_buf *out)
{
    size_t name = name_before_colon(token);
    if (name > 0) {
        const struct token first = {.kind = PHRASE, .text = token->text, .length = name};
        const struct token second = {.kind = PHRASE,
                                     .text = token->text + name + 1,
                                     .length = token->length - name - 1,
                                     .prefix = token->prefix};
        tn_buf_puts(out, "((");
        put_quoted(&first, out);
        tn_buf_puts(out, ") OR (");
        put_quoted(&second, out);
        tn_buf_puts(out, "))");
        return;
    }
    put_quoted(token, out);
}

static bool parse_level(struct parser *parser, struct tn_buf *out);

/* One term or parenthesis appended; false when it came to nothing. `loose`: it
 * stands alone, so that a common word may be passed over. */
static bool parse_term(struct parser *parser, bool loose, struct tn_buf *out)
{
    struct token token = parser->token;
    next(parser);
    if (token.kind == OPEN) {
        if (parser->depth == DEPTH_MAX)
            return false;
        parser->depth++;
        TN_AUTO_BUF inner = {0};
        bool any = parse_level(parser, &inner);
        parser->depth--;
        if (parser->token.kind == CLOSE)
            next(parser);
        if (any)
            tn_buf_printf(out, "(%s)", inner.data);
        return any;
    }
    loose = loose && token.kind == WORD && parser->token.kind != AND && !token.prefix;
    if (parser->terms == TERMS_MAX ||
        (loose && !parser->keep_common && keyword_query_skips(token.text, token.length)))
        return false;
    parser->terms++;
    put_term(&token, out);
    return true;
}

static bool begins_term(enum kind kind)
{
    return kind == WORD || kind == PHRASE || kind == OPEN;
}

/* ---- words without spaces between them ------------------------------------------- */

static bool has_pairs(const struct token *token)
{
    for (size_t at = 0, bytes; at < token->length; at += bytes)
        if (keyword_fold_script(token->text + at, token->length - at, &bytes) > KEYWORD_WORD)
            return true;
    return false;
}

static void put_piece(struct parser *parser, const char *text, size_t length, bool common, struct tn_buf *some)
{
    const struct token piece = {.kind = PHRASE, .text = text, .length = length};
    if (parser->terms == TERMS_MAX || (common && !parser->keep_common))
        return;
    parser->terms++;
    tn_buf_puts(some, some->len ? " OR (" : "(");
    put_quoted(&piece, some);
    tn_buf_putc(some, ')');
}

/* A sentence in one piece asks for any two neighbours of it, as the index has
 * them; two of Hiragana are endings, and passed over as common words are. */
static void put_pieces(struct parser *parser, const struct token *token, struct tn_buf *some)
{
    size_t start = 0, before = 0, run = 0; /* of the piece; its last character; how many */
    enum keyword_script kind = KEYWORD_NO_WORD;
    for (size_t at = 0, bytes = 0; at <= token->length; at += bytes) {
        enum keyword_script script = KEYWORD_NO_WORD;
        bytes = 1;
        if (at < token->length)
            script = keyword_fold_script(token->text + at, token->length - at, &bytes);
        bool goes_on = (script > KEYWORD_WORD && kind > KEYWORD_WORD) || (script == KEYWORD_WORD && script == kind);
        if (script > KEYWORD_WORD && goes_on)
            put_piece(parser, token->text + before, at + bytes - before,
                      script == KEYWORD_KANA && kind == KEYWORD_KANA, some);
        if (!goes_on && kind == KEYWORD_WORD)
            put_piece(parser, token->text + start, at - start, keyword_query_skips(token->text + start, at - start),
                      some);
        if (!goes_on && kind > KEYWORD_WORD && run == 1)
            put_piece(parser, token->text + start, at - start, kind == KEYWORD_KANA, some);
        run = goes_on ? run + 1 : 1;
        start = goes_on ? start : at;
        before = at;
        kind = script;
    }
}

/* term (AND term)* */
static void parse_group(struct parser *parser, struct tn_buf *some)
{
    if (parser->token.kind == WORD && !parser->token.prefix && has_pairs(&parser->token)) {
        struct parser before = *parser;
        next(parser);
        if (parser->token.kind != AND) {
            put_pieces(parser, &before.token, some);
            return;
        }
        *parser = before;
    }
    TN_AUTO_BUF group = {0};
    bool loose = true;
    while (begins_term(parser->token.kind)) {
        TN_AUTO_BUF term = {0};
        if (parse_term(parser, loose, &term))
            tn_buf_printf(&group, "%s%s", group.len ? " AND " : "", term.data);
        loose = false;
        if (parser->token.kind != AND)
            break;
        while (parser->token.kind == AND)
            next(parser);
    }
    if (group.len > 0)
        tn_buf_printf(some, "%s(%s)", some->len ? " OR " : "", group.data);
}

static bool parse_level(struct parser *parser, struct tn_buf *out)
{
    TN_AUTO_BUF some = {0};
    TN_AUTO_BUF none = {0};
    while (parser->token.kind != END && !(parser->token.kind == CLOSE && parser->depth > 0)) {
        if (begins_term(parser->token.kind)) {
            parse_group(parser, &some);
        } else if (parser->token.kind == NOT) {
            next(parser);
            TN_AUTO_BUF term = {0};
            if (begins_term(parser->token.kind) && parse_term(parser, false, &term))
                tn_buf_printf(&none, "%s%s", none.len ? " OR " : "", term.data);
        } else {
            next(parser); /* OR joins anyway; a stray AND or ) means nothing */
        }
    }
    if (some.len > 0 && none.len > 0)
        tn_buf_printf(out, "(%s) NOT (%s)", some.data, none.data);
    else if (some.len > 0)
        tn_buf_puts(out, some.data);
    return some.len > 0;
}

bool keyword_query(const char *text, size_t length, struct tn_buf *ret)
{
    for (int keep_common = 0; keep_common < 2; keep_common++) {
        struct parser parser = {.at = text, .end = text + length, .keep_common = keep_common != 0};
        TN_AUTO_BUF out = {0};
        next(&parser);
        if (parse_level(&parser, &out)) {
            tn_buf_append(ret, out.data, out.len);
            return true;
        }
    }
    return false;
}
