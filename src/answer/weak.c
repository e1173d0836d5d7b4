/* Whether what was found is worth an answer. */
#include "answer/sources.h"
#include "answer/words.h"

#include <math.h>

/* Cosines of the built-in model. Below NEAR nothing speaks of the matter; above
 * SURE something does; between them the question's own words decide. */
#define NEAR  0.20
#define SURE  0.28
#define WORDS 0.5

struct evidence evidence_of(const char *question, const struct passage *passages, size_t count,
                            struct tn_arena *arena)
{
    struct evidence evidence = {.similarity = NAN};
    struct answer_words asked = answer_words_of(question, strlen(question), arena);
    for (size_t i = 0; i < count; i++) {
        struct answer_words said = answer_words_of(passages[i].text, passages[i].length, arena);
        double similarity = passages[i].chunk.similarity;
        evidence.words = fmax(evidence.words, answer_words_share(&asked, &said));
        if (isfinite(similarity) && !(similarity <= evidence.similarity))
            evidence.similarity = similarity;
    }
    return evidence;
}

bool evidence_weak(const struct evidence *evidence, double limit)
{
    double similarity = isfinite(evidence->similarity) ? evidence->similarity : -1;
    if (limit >= 0)
        return similarity < limit;
    return similarity < NEAR || (similarity < SURE && evidence->words < WORDS);
}
