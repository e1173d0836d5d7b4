/* What publishers ask for in words that no protocol carries: the prefixes that
 * their models were trained with, and how much they read. */
#include "model/model_internal.h"

#define BGE_QUERY "Represent this sentence for searching relevant passages: "

/* The first that fits. */
static const struct model_family families[] = {
    {"nomic-embed", "search_query: ", "search_document: ", 2048},
    {"multilingual-e5", "query: ", "passage: ", 512},
    {"e5-mistral", "", "", 4096},
    {"e5-", "query: ", "passage: ", 512},
    {"bge-m3", "", "", 8192},
    {"bge-", BGE_QUERY, "", 512},
    {"mxbai-embed-large", BGE_QUERY, "", 512},
    {"snowflake-arctic-embed2", "query: ", "", 8192},
    {"snowflake-arctic-embed", BGE_QUERY, "", 512},
    {"embeddinggemma", "task: search result | query: ", "title: none | text: ", 2048},
    {"all-minilm", "", "", 256},
    {"text-embedding-3", "", "", 8191},
    {"text-embedding-ada", "", "", 8191},
};
static const struct model_family unknown = {"", "", "", 0};

static bool contains_nocase(const char *text, const char *part)
{
    size_t length = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < length && tn_ascii_lower(text[i]) == part[i])
            i++;
        if (i == length)
            return true;
    }
    return false;
}

const struct model_family *model_family_of(const char *name)
{
    for (size_t i = 0; i < TN_COUNT(families); i++)
        if (contains_nocase(name, families[i].part))
            return &families[i];
    return &unknown;
}

static bool is_letter(char c)
{
    c = tn_ascii_lower(c);
    return c >= 'a' && c <= 'z';
}

/* Three letters to a token, everything else a token each (and two for what is
 * not ASCII): English has four and more letters, so this is from above. */
size_t model_estimate_tokens(const char *text, size_t length, size_t most, size_t *ret_cut)
{
    size_t tokens = 2; /* that frame every text */
    size_t cut = length;
    for (size_t i = 0; i < length;) {
        size_t start = i, cost = 0;
        unsigned char c = (unsigned char)text[i++];
        if (is_letter((char)c)) {
            while (i < length && i - start < 3 && is_letter(text[i]))
                i++;
            cost = 1;
        } else if (c >= 0x80) {
            while (i < length && ((unsigned char)text[i] & 0xC0) == 0x80)
                i++;
            cost = 2;
        } else {
            cost = c > ' ';
        }
        tokens += cost;
        if (tokens > most && cut == length)
            cut = start;
    }
    if (ret_cut)
        *ret_cut = cut;
    return tokens;
}
