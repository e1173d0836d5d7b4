/* What the two forms of the model routes share: Tarn's own (h_ai.c) and
 * OpenAI's (h_openai.c). */
#ifndef TARN_GATEWAY_AI_H
#define TARN_GATEWAY_AI_H

#include "gateway/gateway_internal.h"

/* The request's cancellation as models look at it. */
static inline const volatile bool *ai_cancel(struct request *request)
{
    _Static_assert(sizeof(atomic_bool) == sizeof(bool), "one may be read as the other");
    return (const volatile bool *)(uintptr_t)&request->cancel;
}

/* The strings of an array, borrowed from it; the list is the request's arena's. */
enum tn_code ai_texts(struct request *request, const json_t *list, const char *what, struct model_text **ret,
                      size_t *ret_count, struct tn_error *err) TN_CHECKED;
/* *ret_vectors is the caller's (free). The request's cancellation ends it. */
enum tn_code ai_embed(struct request *request, const char *model, const struct model_call *call,
                      const struct model_text *texts, size_t count, struct model_info *ret_info, float **ret_vectors,
                      size_t *ret_cut, struct tn_error *err) TN_CHECKED;
void ai_write_vector(struct tn_json *json, const float *vector, size_t dimension);
void ai_write_usage(struct tn_json *json, const struct model_usage *usage);

#endif
