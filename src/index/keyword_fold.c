/* Words that look alike (see keyword_fold.h). */
#include "index/keyword_fold.h"

#include "index/keyword_tokens.h"

#include <limits.h>
#include <string.h>
#include <utf8proc.h>

#define FOLD (UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_COMPOSE | UTF8PROC_STABLE | UTF8PROC_IGNORE)

struct place {
    int begin, end; /* of the text that it comes from */
};

struct fold {
    fts5_tokenizer below;
    Fts5Tokenizer *made;
    /* What goes to it: folded text, and where each byte of it comes from. */
    struct tn_buf plain;
    struct place *places;
    size_t places_capacity;
    /* One word while it is folded. */
    utf8proc_int32_t *points;
    size_t points_capacity;
};

/* One text on its way through. */
struct cut {
    struct fold *fold;
    void *context;
    int flags;
    int (*token)(void *context, int flags, const char *token, int length, int begin, int end);
};

/* ---- characters ------------------------------------------------------------------------ */

static bool is_between(utf8proc_int32_t c, utf8proc_int32_t first, utf8proc_int32_t last)
{
    return c >= first && c <= last;
}

static enum keyword_script script_of(utf8proc_int32_t c)
{
    if (c < 0x1100)
        return KEYWORD_WORD;
    if (is_between(c, 0x3041, 0x309F))
        return KEYWORD_KANA;
    bool pairs = is_between(c, 0x1100, 0x11FF) || c == 0x3005 || c == 0x3007 || is_between(c, 0x30A1, 0x318F) ||
                 is_between(c, 0x31A0, 0x31FF) || is_between(c, 0x3400, 0x4DBF) || is_between(c, 0x4E00, 0x9FFF) ||
                 is_between(c, 0xAC00, 0xD7FF) || is_between(c, 0xF900, 0xFAFF) || is_between(c, 0xFF66, 0xFFDC) ||
                 is_between(c, 0x1B000, 0x1B16F) || is_between(c, 0x20000, 0x3FFFF);
    return pairs ? KEYWORD_PAIRS : KEYWORD_WORD;
}

/* Letters, marks on them, digits; and what may stand within a word unseen, as a soft hyphen. */
static bool is_of_word(utf8proc_int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO) || c == 0xAD || c == 0x200C ||
           c == 0x200D || c == 0x2060 || c == 0xFEFF;
}

/* Its bytes; *ret -1 for what is no character. */
static size_t read_point(const char *text, size_t length, utf8proc_int32_t *ret)
{
    if ((unsigned char)*text < 0x80) {
        *ret = *text;
        return 1;
    }
    utf8proc_ssize_t bytes = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length, ret);
    if (bytes > 0)
        return (size_t)bytes;
    *ret = -1;
    return 1;
}

enum keyword_script keyword_fold_script(const char *text, size_t length, size_t *ret_bytes)
{
    utf8proc_int32_t c;
    *ret_bytes = read_point(text, length, &c);
    return c >= 0 && is_of_word(c) ? script_of(c) : KEYWORD_NO_WORD;
}

/* ---- what has spaces ----------------------------------------------------------------------- */

static void put_plain(struct fold *fold, const char *bytes, size_t count, struct place place, bool each)
{
    for (size_t i = 0; i < count; i++) {
        TN_GROW(fold->places, fold->plain.len + i, fold->places_capacity);
        fold->places[fold->plain.len + i] =
            each ? (struct place){place.begin + (int)i, place.begin + (int)i + 1} : place;
    }
    tn_buf_append(&fold->plain, bytes, count);
}

static int give_plain(void *context, int flags, const char *token, int length, int begin, int end)
{
    const struct cut *cut = context;
    const struct place *places = cut->fold->places;
    return cut->token(cut->context, flags, token, length, places[begin].begin,
                      end > begin ? places[end - 1].end : places[begin].begin);
}

static int flush_plain(struct cut *cut)
{
    struct fold *fold = cut->fold;
    int code = SQLITE_OK;
    if (fold->plain.len > 0)
        code = fold->below.xTokenize(fold->made, cut, cut->flags, fold->plain.data, (int)fold->plain.len, give_plain);
    tn_buf_clear(&fold->plain);
    return code;
}

/* ---- what has none ---------------------------------------------------------------------------- */

static int give_points(const struct cut *cut, int flags, const utf8proc_int32_t *points, size_t count,
                       struct place place)
{
    utf8proc_uint8_t token[8];
    int length = 0;
    for (size_t i = 0; i < count; i++)
        length += (int)utf8proc_encode_char(points[i], token + length);
    return cut->token(cut->context, flags, (const char *)token, length, place.begin, place.end);
}

/* `places`: of each of them. */
static int give_pairs(const struct cut *cut, const utf8proc_int32_t *points, const struct place *places, size_t count)
{
    bool asks = cut->flags & FTS5_TOKENIZE_QUERY;
    for (size_t i = 0; i < count; i++) {
        int code = SQLITE_OK;
        bool pair = i + 1 < count;
        if (pair)
            code = give_points(cut, 0, points + i, 2, (struct place){places[i].begin, places[i + 1].end});
        if (code == SQLITE_OK && (!asks || count == 1))
            code = give_points(cut, pair ? FTS5_TOKEN_COLOCATED : 0, points + i, 1, places[i]);
        if (code != SQLITE_OK)
            return code;
    }
    return SQLITE_OK;
}

/* ---- a word -------------------------------------------------------------------------------------- */

/* In fold->points; SIZE_MAX when it cannot be. */
static size_t fold_word(struct fold *fold, const char *word, size_t length)
{
    size_t count = 0;
    for (size_t wanted = length + 1;; wanted = count) {
        while (fold->points_capacity < wanted)
            TN_GROW(fold->points, fold->points_capacity, fold->points_capacity);
        utf8proc_ssize_t got = utf8proc_decompose((const utf8proc_uint8_t *)word, (utf8proc_ssize_t)length,
                                                  fold->points, (utf8proc_ssize_t)fold->points_capacity, FOLD);
        if (got < 0)
            return SIZE_MAX;
        count = (size_t)got;
        if (count <= fold->points_capacity)
            break;
    }
    utf8proc_ssize_t left = utf8proc_normalize_utf32(fold->points, (utf8proc_ssize_t)count, FOLD);
    return left < 0 ? SIZE_MAX : (size_t)left;
}

/* Where each of `count` folded characters stands: one by one when folding kept their
 * number, else somewhere in the word. The caller's. */
static struct place *find_places(const char *text, struct place word, size_t count)
{
    struct place *places = tn_calloc(count + 1, sizeof *places);
    size_t at = 0;
    for (int begin = word.begin; begin < word.end; at++) {
        utf8proc_int32_t c;
        int bytes = (int)read_point(text + begin, (size_t)(word.end - begin), &c);
        if (at < count)
            places[at] = (struct place){begin, begin + bytes};
        begin += bytes;
    }
    for (size_t i = 0; i < count && at != count; i++)
        places[i] = word;
    return places;
}

static int take_word(struct cut *cut, const char *text, struct place word)
{
    struct fold *fold = cut->fold;
    size_t count = fold_word(fold, text + word.begin, (size_t)(word.end - word.begin));
    if (count == SIZE_MAX) {
        put_plain(fold, text + word.begin, (size_t)(word.end - word.begin), word, true);
        return SQLITE_OK;
    }
    TN_AUTO_FREE struct place *places = find_places(text, word, count);
    for (size_t at = 0, end; at < count; at = end) {
        bool pairs = script_of(fold->points[at]) != KEYWORD_WORD;
        for (end = at + 1; end < count && (script_of(fold->points[end]) != KEYWORD_WORD) == pairs;)
            end++;
        if (pairs) {
            int code = flush_plain(cut);
            code = code == SQLITE_OK ? give_pairs(cut, fold->points + at, places + at, end - at) : code;
            if (code != SQLITE_OK)
                return code;
        }
        for (size_t i = at; i < end && !pairs; i++) {
            utf8proc_uint8_t bytes[4];
            size_t length = (size_t)utf8proc_encode_char(fold->points[i], bytes);
            put_plain(fold, (const char *)bytes, length, places[i], false);
        }
    }
    return SQLITE_OK;
}

/* The end of the word, or of what stands between words, that begins here. */
static size_t find_end(const char *text, size_t length, size_t at, bool *ret_word, bool *ret_ascii)
{
    utf8proc_int32_t c;
    size_t bytes = read_point(text + at, length - at, &c);
    *ret_word = c >= 0 && is_of_word(c);
    *ret_ascii = c >= 0 && c < 0x80;
    for (at += bytes; at < length; at += bytes) {
        bytes = read_point(text + at, length - at, &c);
        if ((c >= 0 && is_of_word(c)) != *ret_word)
            break;
        *ret_ascii &= c >= 0 && c < 0x80;
    }
    return at;
}

static bool is_ascii(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

static int tokenize(Fts5Tokenizer *tokenizer, void *context, int flags, const char *text, int length,
                    int (*token)(void *, int, const char *, int, int, int))
{
    struct fold *fold = (struct fold *)tokenizer;
    struct cut cut = {.fold = fold, .context = context, .flags = flags, .token = token};
    if (length <= 0 || is_ascii(text, (size_t)length))
        return fold->below.xTokenize(fold->made, context, flags, text, length, token);
    tn_buf_clear(&fold->plain);
    for (size_t at = 0, end; at < (size_t)length; at = end) {
        bool word, ascii;
        int code = SQLITE_OK;
        end = find_end(text, (size_t)length, at, &word, &ascii);
        const struct place place = {(int)at, (int)end};
        if (word && !ascii)
            code = take_word(&cut, text, place);
        else
            put_plain(fold, text + at, end - at, place, true);
        if (code != SQLITE_OK)
            return code;
    }
    return flush_plain(&cut);
}

/* ---- as FTS5 has it ---------------------------------------------------------------------------- */

static void fold_free(Fts5Tokenizer *tokenizer)
{
    struct fold *fold = (struct fold *)tokenizer;
    if (!fold)
        return;
    if (fold->made)
        fold->below.xDelete(fold->made);
    tn_buf_release(&fold->plain);
    free(fold->places);
    free(fold->points);
    free(fold);
}

/* The arguments are the one behind it, and its own. */
static int create(void *api, const char **arguments, int count, Fts5Tokenizer **ret)
{
    fts5_api *fts5 = api;
    struct fold *fold = tn_calloc(1, sizeof *fold);
    void *context = NULL;
    int code = fts5->xFindTokenizer(fts5, count > 0 ? arguments[0] : "unicode61", &context, &fold->below);
    if (code == SQLITE_OK)
        code = fold->below.xCreate(context, arguments + 1, count > 0 ? count - 1 : 0, &fold->made);
    if (code == SQLITE_OK)
        *ret = (Fts5Tokenizer *)fold;
    else
        fold_free((Fts5Tokenizer *)fold);
    return code;
}

int keyword_fold_register(sqlite3 *db)
{
    fts5_api *api = keyword_fts5_api(db);
    fts5_tokenizer functions = {.xCreate = create, .xDelete = fold_free, .xTokenize = tokenize};
    return api ? api->xCreateTokenizer(api, KEYWORD_FOLD, api, &functions, NULL) : SQLITE_ERROR;
}
