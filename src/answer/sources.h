/* Inside answer: passages that were found, made into numbered sources. */
#ifndef TARN_ANSWER_SOURCES_H
#define TARN_ANSWER_SOURCES_H

#include "answer/answer.h"

/* A chunk with its text. */
struct passage {
    struct answer_chunk chunk;
    const char *text;
    size_t length;
};

/* Passages that stand one behind the other in a document are one source. */
struct source_part {
    const struct passage *passage;
    size_t at; /* where its text begins in the source's */
};
struct source {
    uint32_t number; /* from 1 */
    const char *text;
    size_t length;
    const struct source_part *parts; /* by their place in the text */
    size_t part_count;
};
struct sources {
    struct source *items;
    size_t count;
    size_t copies; /* passages left out because another says the same */
    size_t unfit;  /* passages for which there was no room */
};

struct packing {
    size_t most;   /* passages */
    size_t tokens; /* for all their texts */
    size_t (*count_tokens)(void *context, const char *text, size_t length);
    void *context;
};
/* The first of `passages` (best first) that differ and fit; sets their
 * chunk.source. A first passage that alone is too long is cut at a sentence. All
 * in the arena, texts borrowed where they can be. */
void sources_pack(struct passage *passages, size_t count, const struct packing *packing, struct tn_arena *arena,
                  struct sources *ret);
/* The chunk that holds a byte of a source's text. */
const struct answer_chunk *source_chunk(const struct source *source, size_t at);

/* ---- weak.c ------------------------------------------------------------------------ */

/* Whether passages are worth asking a model about: the nearest of them is near
 * enough in meaning, or near and shares the question's words. The limits were
 * measured on the built-in model (docs/decisions/0073-when-to-refuse.md). */
struct evidence {
    double similarity; /* the best; NaN: unknown */
    double words;      /* the largest share of the question's words in one passage, 0 to 1 */
};
struct evidence evidence_of(const char *question, const struct passage *passages, size_t count,
                            struct tn_arena *arena);
/* `limit`: the settings' similarity; negative: the measured ones. */
bool evidence_weak(const struct evidence *evidence, double limit);

/* ---- cite.c ------------------------------------------------------------------------- */

struct checked {
    const char *text; /* what is left of the model's answer */
    struct answer_citation *citations;
    size_t citation_count;
    struct answer_dropped *dropped;
    size_t dropped_count;
    size_t unproven; /* quotes without a number that stand in no source; they stay */
    double support;  /* share of the answer's words that stand in the sources */
};
/* Numbers that name no source are taken out. A quote whose source does not hold it
 * is taken out with its number. What stays is cited with words of its source. */
void cite_check(const char *answer, size_t length, const struct sources *sources, struct tn_arena *arena,
                struct checked *ret);
/* Where `quote` stands in a text, blanks, quotation marks and case aside and "..."
 * for a gap; false when it does not. */
bool cite_find(const char *quote, size_t length, const char *text, size_t text_length, struct tn_arena *arena,
               size_t *ret_begin, size_t *ret_end);

/* ---- extract.c ------------------------------------------------------------------------ */

/* How near texts are to the question, by the index's model; NULL: by words alone. */
struct nearness {
    enum tn_code (*of)(void *context, const struct model_text *texts, size_t count, double *ret,
                       struct tn_error *err);
    void *context;
};
/* The sentences that match, each with its number, in the sources' order. */
enum tn_code extract_answer(const char *question, const struct sources *sources, const struct nearness *nearness,
                            struct tn_arena *arena, struct checked *ret, struct tn_error *err) TN_CHECKED;

/* ---- prompt_rag.c ------------------------------------------------------------------------ */

#define RAG_PROMPT_VERSION "rag-1"
#define RAG_SENTINEL       "NO_ANSWER_IN_SOURCES"

/* The two messages of a question; texts are the arena's. */
void rag_prompt(const char *question, const struct sources *sources, struct tn_arena *arena,
                struct model_message ret[2]);
void rag_rerank_prompt(const char *question, const struct passage *passages, size_t count, struct tn_arena *arena,
                       struct model_message ret[2]);
/* The order that a model gave ({"order": [3, 1]}): numbers from 1, each once; those
 * that it left out follow in theirs. False when there is none in the text. */
bool rag_rerank_read(const char *text, size_t length, struct passage *passages, size_t count, struct tn_arena *arena);
/* Whether the model said that the sources do not hold the answer. */
bool rag_is_sentinel(const char *text, size_t length);

/* ---- titles.c -------------------------------------------------------------------------- */

/* Fills title and page of the passages where the dataset has such columns. What
 * goes wrong costs the titles alone. */
void titles_fill(struct lake *lake, const char *dataset, int64_t snapshot_id, struct passage *passages, size_t count,
                 struct tn_arena *arena);

#endif
