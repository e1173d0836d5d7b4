/* search.h: what the parts of a search share. Private to index. */
#ifndef TARN_INDEX_SEARCH_H
#define TARN_INDEX_SEARCH_H

#include "index/index_internal.h"

struct candidate {
    int64_t id;
    uint64_t doc; /* hash of the document's id; only with per_doc */
    double vector, keyword, score;
    uint32_t vector_rank, keyword_rank;
};

struct search {
    struct logical *logical;
    const struct index_query *query;
    struct index_answer *answer;
    struct reader *reader;
    struct vector_index *vectors;  /* or NULL */
    const struct allowed *allowed; /* or NULL */
    const float *vector;           /* of the query; NULL in keyword mode */
    const char *expression;        /* of the words; NULL: none to look for */
    bool lost, last;               /* a try before this one has found what is gone; no try comes behind it */
    uint32_t k, width;             /* hits wanted; candidates of a leg */
    double full_words;             /* score of a chunk that has all words asked for */
    struct candidate *candidates;  /* room for 2 * width */
    size_t count;
};

/* legs.c */
enum tn_code search_vectors(struct search *search, struct tn_error *err) TN_CHECKED;
enum tn_code search_words(struct search *search, struct tn_error *err) TN_CHECKED;
/* Sets scores, sorts, leaves the best k. */
void search_fuse(struct search *search);

/* query_vector.c: embedded, or remembered from the last time. The arena's. */
enum tn_code query_vector(struct logical *logical, const char *text, struct tn_arena *arena, const float **ret,
                          struct tn_error *err) TN_CHECKED;

/* answer.c: texts of the candidates; *ret_lost: one of them is gone meanwhile, and this is not the last try. */
enum tn_code answer_fill(struct search *search, bool *ret_lost, struct tn_error *err) TN_CHECKED;
enum tn_code answer_rows(struct search *search, struct tn_error *err) TN_CHECKED;
/* Parts of the JSON; `of`: the answer whose dataset and index the hit names, NULL: none. */
void answer_put_hit(const struct index_hit *hit, const struct index_answer *of, bool explain, struct tn_json *out);
void answer_put_state(const struct index_answer *answer, bool explain, struct tn_json *out);

#endif
