/* WordPiece. The text is cleaned and split into words in one pass; each word
 * is cut into the longest pieces that the vocabulary has, pieces inside a word
 * being written "##piece" there. A word with a part that is not in the
 * vocabulary is one unknown token. */
#include "embed/embed_internal.h"
#include "embed/unicode.h"

#include "base/str.h"

enum {
    WORD_CHARS = 100, /* longer words are unknown as a whole */
    WORD_BYTES = 4 * WORD_CHARS,
    MARK_BYTES = 2, /* "##" */
};

struct tokenizer {
    const struct embed_vocab *vocab;
    uint32_t *ids; /* NULL: they are only counted */
    struct embed_span *spans;
    size_t count, capacity; /* the last place is kept for the closing token */
    bool full;              /* a token found no place */

    char word[MARK_BYTES + WORD_BYTES]; /* the current word starts behind the mark */
    size_t bytes, chars;
    uint32_t start; /* where the current word starts in the source */
};

static void put_token(struct tokenizer *t, uint32_t id, uint32_t end)
{
    if (t->count + 1 >= t->capacity) {
        t->full = true;
        return;
    }
    if (t->ids)
        t->ids[t->count] = id;
    if (t->spans)
        t->spans[t->count] = (struct embed_span){t->start, end};
    t->count++;
}

/* The longest piece of the word at `at`; 0 when there is none. The mark is
 * written over the two bytes before it, which belong to pieces already found. */
static size_t longest_piece(struct tokenizer *t, size_t at, uint32_t *ret_id)
{
    char *piece = t->word + MARK_BYTES + at;
    size_t mark = at ? MARK_BYTES : 0;
    if (at)
        memcpy(piece - MARK_BYTES, "##", MARK_BYTES);
    size_t longest = t->vocab->longest > mark ? t->vocab->longest - mark : 0;
    for (size_t length = TN_MIN(t->bytes - at, longest); length > 0; length--) {
        if (at + length < t->bytes && ((unsigned char)piece[length] & 0xC0) == 0x80)
            continue;
        *ret_id = embed_vocab_find(t->vocab, piece - mark, length + mark);
        if (*ret_id != ASSET_NO_WORD)
            return length;
    }
    return 0;
}

/* Cuts the current word and starts the next one. All pieces are found before
 * the first is given out: an unknown end makes the whole word unknown. */
static void end_word(struct tokenizer *t, uint32_t end)
{
    uint32_t pieces[WORD_CHARS];
    size_t count = 0;
    if (t->chars == 0)
        return;
    size_t at = t->chars > WORD_CHARS ? t->bytes : 0;
    while (at < t->bytes) {
        size_t length = longest_piece(t, at, &pieces[count]);
        if (length == 0)
            break;
        count++;
        at += length;
    }
    if (at < t->bytes || count == 0) {
        put_token(t, t->vocab->unk, end);
    } else {
        for (size_t i = 0; i < count; i++)
            put_token(t, pieces[i], end);
    }
    t->bytes = t->chars = 0;
}

static void put_char(struct tokenizer *t, uint32_t c, uint32_t start)
{
    if (t->chars == 0)
        t->start = start;
    if (t->chars < WORD_CHARS)
        t->bytes += tn_utf8_put(c, t->word + MARK_BYTES + t->bytes);
    t->chars++;
}

/* Adds a cleaned character; punctuation is a word of its own. */
static void take_char(struct tokenizer *t, uint32_t c, uint32_t start, uint32_t end)
{
    bool alone = unicode_is_punctuation(c);
    if (alone)
        end_word(t, start);
    put_char(t, c, start);
    if (alone)
        end_word(t, end);
}

static void take_code_point(struct tokenizer *t, uint32_t c, uint32_t start, uint32_t end)
{
    if (unicode_is_ignored(c))
        return;
    if (unicode_is_space(c)) {
        end_word(t, start);
        return;
    }
    bool alone = t->vocab->cjk && unicode_is_ideograph(c);
    if (alone)
        end_word(t, start);
    uint32_t folded[UNICODE_FOLD_MAX] = {c};
    size_t count = t->vocab->lowercase ? unicode_fold(c, folded) : 1;
    for (size_t i = 0; i < count; i++)
        take_char(t, folded[i], start, end);
    if (alone)
        end_word(t, end);
}

/* Reads `text`; `sized` says whether its places are the caller's (a prefix has
 * none: its tokens stand at the start). */
static void take_text(struct tokenizer *t, struct embed_text text, bool placed)
{
    const unsigned char *bytes = (const unsigned char *)text.data;
    size_t length = TN_MIN(text.length, (size_t)UINT32_MAX);
    for (size_t at = 0; at < length && !t->full;) {
        size_t step;
        uint32_t c = unicode_decode(bytes + at, length - at, &step);
        uint32_t start = placed ? (uint32_t)at : 0;
        take_code_point(t, c, start, placed ? (uint32_t)(at + step) : 0);
        at += step;
    }
    if (!t->full && placed)
        end_word(t, (uint32_t)length);
}

size_t embed_vocab_tokenize(const struct embed_vocab *vocab, const char *prefix, struct embed_text text,
                            uint32_t *ids, struct embed_span *spans, size_t capacity, bool *ret_truncated)
{
    struct tokenizer t = {.vocab = vocab, .ids = ids, .spans = spans, .capacity = capacity};
    put_token(&t, vocab->cls, 0);
    take_text(&t, (struct embed_text){prefix, strlen(prefix)}, false);
    take_text(&t, text, true);
    if (ids)
        t.ids[t.count] = vocab->sep;
    if (spans) {
        uint32_t end = (uint32_t)TN_MIN(text.length, (size_t)UINT32_MAX);
        spans[t.count] = (struct embed_span){end, end};
    }
    if (ret_truncated)
        *ret_truncated = t.full;
    return t.count + 1;
}
