/* Words of a sample of texts, counted. */
#include "index/keyword_sample.h"

#include "index/keyword.h"
#include "index/keyword_tokens.h"

struct seen {
    uint64_t token; /* its hash: forms of a word are one */
    uint32_t text;
    const char *word; /* terminated */
};

struct frequent {
    size_t texts;
    const char *word;
};

struct keyword_sample {
    sqlite3 *db; /* what the tokenizer hangs on; empty */
    struct keyword_tokens *tokens;
    struct tn_arena *arena;
    struct seen *seen;
    size_t count, capacity;
    uint32_t texts;
    const char *text; /* under way */
};

enum tn_code keyword_sample_new(struct keyword_sample **ret, struct tn_error *err)
{
    TN_CLEANUP(keyword_sample_free_p) struct keyword_sample *sample = tn_calloc(1, sizeof *sample);
    sample->arena = tn_arena_new();
    if (sqlite3_open_v2(":memory:", &sample->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
        keyword_fold_register(sample->db) != SQLITE_OK ||
        keyword_tokens_open(sample->db, &sample->tokens) != SQLITE_OK)
        return tn_fail(err, TN_EIO, "SQLite cannot cut a text into words");
    *ret = TN_TAKE(sample);
    return TN_OK;
}

void keyword_sample_free(struct keyword_sample *sample)
{
    if (!sample)
        return;
    keyword_tokens_close(sample->tokens);
    (void)sqlite3_close(sample->db);
    tn_arena_free(sample->arena);
    free(sample->seen);
    free(sample);
}

static int note(void *context, const char *token, size_t length, size_t begin, size_t end)
{
    struct keyword_sample *sample = context;
    if (keyword_query_skips(sample->text + begin, end - begin))
        return SQLITE_OK;
    TN_GROW(sample->seen, sample->count, sample->capacity);
    sample->seen[sample->count++] =
        (struct seen){.token = tn_hash64(token, length, 0),
                      .text = sample->texts,
                      .word = tn_arena_strndup(sample->arena, sample->text + begin, end - begin)};
    return SQLITE_OK;
}

void keyword_sample_add(struct keyword_sample *sample, const char *text, size_t length)
{
    sample->text = text;
    (void)keyword_tokens_each(sample->tokens, text, tn_utf8_floor(text, length, KEYWORD_SAMPLE_TEXT), note, sample);
    sample->texts++;
}

static int by_token(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    if (x->token != y->token)
        return x->token < y->token ? -1 : 1;
    return x->text < y->text ? -1 : x->text > y->text;
}

static int by_texts(const void *a, const void *b)
{
    const struct frequent *x = a, *y = b;
    if (x->texts != y->texts)
        return x->texts > y->texts ? -1 : 1;
    return strcmp(x->word, y->word);
}

/* Those of one token, in the order of their texts. */
static size_t count_texts(const struct seen *seen, size_t count)
{
    size_t texts = 1;
    for (size_t i = 1; i < count; i++)
        texts += seen[i].text != seen[i - 1].text;
    return texts;
}

size_t keyword_sample_words(struct keyword_sample *sample, double share, size_t most, const char **ret)
{
    TN_AUTO_FREE struct frequent *all = tn_calloc(sample->count + 1, sizeof *all);
    size_t found = 0;
    if (sample->count > 0)
        qsort(sample->seen, sample->count, sizeof *sample->seen, by_token);
    for (size_t at = 0, end; at < sample->count; at = end) {
        for (end = at + 1; end < sample->count && sample->seen[end].token == sample->seen[at].token;)
            end++;
        size_t texts = count_texts(sample->seen + at, end - at);
        if ((double)texts >= share * (double)sample->texts)
            all[found++] = (struct frequent){texts, sample->seen[at].word};
    }
    if (found > 0)
        qsort(all, found, sizeof *all, by_texts);
    found = TN_MIN(found, most);
    for (size_t i = 0; i < found; i++)
        ret[i] = tn_arena_printf(sample->arena, "(\"%s\")", all[i].word);
    return found;
}
