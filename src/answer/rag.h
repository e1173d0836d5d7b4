/* Inside answer: one question's way through rag. */
#ifndef TARN_ANSWER_RAG_H
#define TARN_ANSWER_RAG_H

#include "answer/answer_internal.h"
#include "answer/sources.h"

struct rag_run {
    struct answer_service *service;
    const struct answer_rag *rag;
    const struct answer_listener *listener; /* never NULL */
    struct tn_arena *arena;
    struct answer_record *record;
    struct answer_model model; /* name NULL: none is asked */
    const char *dataset;
    struct passage *passages; /* best first */
    size_t passage_count;
    struct sources sources;
    const char **warnings;
    size_t warning_count;
    const float *question; /* its vector, `question_size` numbers; NULL: the search made none */
    size_t question_size;
    bool told; /* words went to the listener: nothing can be begun again */
};

#define RAG_WARNINGS_MAX 16
void rag_warn(struct rag_run *run, const char *format, ...) TN_PRINTF(2, 3);
/* "word: sentence", and no text. */
void rag_refuse(struct rag_run *run, const char *format, ...) TN_PRINTF(2, 3);

/* rag_find.c: the passages, by a search or out of a record. */
enum tn_code rag_find(struct rag_run *run, struct tn_error *err) TN_CHECKED;
enum tn_code rag_find_again(struct rag_run *run, const struct answer_record *then, struct tn_error *err) TN_CHECKED;

/* near.c: how near sentences are to the question, for struct nearness; the context is the run. */
enum tn_code rag_nearness(void *context, const struct model_text *texts, size_t count, double *ret,
                          struct tn_error *err) TN_CHECKED;

/* rag_write.c: the answer from the sources, by the model or without one. */
enum tn_code rag_write(struct rag_run *run, struct tn_error *err) TN_CHECKED;
void rag_rerank(struct rag_run *run);

#endif
