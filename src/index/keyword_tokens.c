/* FTS5's tokenizer, called by hand. */
#include "index/keyword_tokens.h"

#include <limits.h>

#define ARGUMENTS_MAX 8

struct keyword_tokens {
    fts5_tokenizer functions;
    Fts5Tokenizer *made;
};

fts5_api *keyword_fts5_api(sqlite3 *db)
{
    fts5_api *api = NULL;
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &statement, NULL) != SQLITE_OK)
        return NULL;
    (void)sqlite3_bind_pointer(statement, 1, &api, "fts5_api_ptr", NULL);
    (void)sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
    return api;
}

int keyword_tokens_open(sqlite3 *db, struct keyword_tokens **ret)
{
    TN_CLEANUP(keyword_tokens_close_p) struct keyword_tokens *tokens = tn_calloc(1, sizeof *tokens);
    char words[] = KEYWORD_TOKENIZE;
    const char *arguments[ARGUMENTS_MAX];
    char *rest = NULL;
    void *context = NULL;
    int count = 0;
    fts5_api *api = keyword_fts5_api(db);
    if (!api)
        return SQLITE_ERROR;
    for (char *word = strtok_r(words, " ", &rest); word && count < ARGUMENTS_MAX; word = strtok_r(NULL, " ", &rest))
        arguments[count++] = word;
    int code = api->xFindTokenizer(api, arguments[0], &context, &tokens->functions);
    if (code == SQLITE_OK)
        code = tokens->functions.xCreate(context, arguments + 1, count - 1, &tokens->made);
    if (code == SQLITE_OK)
        *ret = TN_TAKE(tokens);
    return code;
}

void keyword_tokens_close(struct keyword_tokens *tokens)
{
    if (!tokens)
        return;
    if (tokens->made)
        tokens->functions.xDelete(tokens->made);
    free(tokens);
}

struct cutting {
    keyword_token_fn *each;
    void *context;
};

static int take(void *context, int flags, const char *token, int length, int begin, int end)
{
    const struct cutting *cutting = context;
    (void)flags;
    return cutting->each(cutting->context, token, (size_t)length, (size_t)begin, (size_t)end);
}

static int cut(struct keyword_tokens *tokens, int flags, const char *text, size_t length, keyword_token_fn *each,
               void *context)
{
    struct cutting cutting = {each, context};
    if (length > INT_MAX)
        return SQLITE_TOOBIG;
    return tokens->functions.xTokenize(tokens->made, &cutting, flags, text, (int)length, take);
}

int keyword_tokens_each(struct keyword_tokens *tokens, const char *text, size_t length, keyword_token_fn *each,
                        void *context)
{
    return cut(tokens, FTS5_TOKENIZE_DOCUMENT, text, length, each, context);
}

static int put(void *context, const char *token, size_t length, size_t begin, size_t end)
{
    struct tn_buf *out = context;
    (void)begin;
    (void)end;
    tn_buf_putc(out, ' ');
    tn_buf_append(out, token, length);
    return SQLITE_OK;
}

/* A token has no blank and no star in it: it is letters and digits. */
int keyword_tokens_key(struct keyword_tokens *tokens, const char *phrase, struct tn_buf *ret)
{
    const char *text = phrase + 1, *quote = strchr(text, '"');
    bool prefix = quote && quote[1] == '*';
    tn_buf_clear(ret);
    tn_buf_puts(ret, prefix ? "*" : "");
    return cut(tokens, FTS5_TOKENIZE_QUERY | (prefix ? FTS5_TOKENIZE_PREFIX : 0), text,
               quote ? (size_t)(quote - text) : strlen(text), put, ret);
}
