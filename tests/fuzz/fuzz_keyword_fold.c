/* Words of any bytes: valid UTF-8 stays valid, and each stands within the text. */
#include "index/keyword_tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t length;
    bool valid;
};

static int see(void *context, const char *token, size_t length, size_t begin, size_t end)
{
    const struct seen *seen = context;
    if (begin > end || end > seen->length || (seen->valid && tn_utf8_valid_prefix(token, length) != length))
        abort();
    return SQLITE_OK;
}

static struct keyword_tokens *open_tokens(void)
{
    static sqlite3 *db; /* as long as the tokens, which are of it */
    struct keyword_tokens *tokens = NULL;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK || keyword_fold_register(db) != SQLITE_OK ||
        keyword_tokens_open(db, &tokens) != SQLITE_OK)
        abort();
    return tokens;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct keyword_tokens *tokens;
    TN_AUTO_BUF phrase = {0}, key = {0};
    struct seen seen = {.length = size, .valid = tn_utf8_valid_prefix((const char *)data, size) == size};
    if (!tokens)
        tokens = open_tokens();
    tn_buf_append(&phrase, data, size);
    if (keyword_tokens_each(tokens, phrase.len ? phrase.data : "", size, see, &seen) != SQLITE_OK)
        abort();
    tn_buf_clear(&phrase);
    tn_buf_printf(&phrase, "\"%.*s\"", (int)size, (const char *)data);
    if (keyword_tokens_key(tokens, phrase.data, &key) != SQLITE_OK)
        abort();
    return 0;
}
