/* Inside answer: words and sentences of a text, and how much of one stands in
 * another. Bytes beyond ASCII count as letters, so that every language has words;
 * the endings that are cut off are English ones. */
#ifndef TARN_ANSWER_WORDS_H
#define TARN_ANSWER_WORDS_H

#include "base/base.h"

/* A set of content words (no "the", "is"), each a hash of its stem. */
struct answer_words {
    uint64_t *hashes; /* ascending, each once */
    size_t count;
};
struct answer_words answer_words_of(const char *text, size_t length, struct tn_arena *arena);
/* How much of `part` stands in `whole`, 0 to 1; 0 for no words. */
double answer_words_share(const struct answer_words *part, const struct answer_words *whole);

struct answer_span {
    size_t begin, end;
};
/* Sentences, lines of lists and headings; without the blanks around them. */
size_t answer_sentences(const char *text, size_t length, struct tn_arena *arena, struct answer_span **ret);

/* Whether two texts say the same in the same words: most runs of four words are
 * in both, and no name and no number is in one alone. */
bool answer_near_copy(const char *a, size_t a_length, const char *b, size_t b_length, struct tn_arena *arena);

#endif
