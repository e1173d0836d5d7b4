/* gateway: answers that are told while they are made, shared by /rag and /ask. */
#ifndef TARN_GATEWAY_ANSWERS_H
#define TARN_GATEWAY_ANSWERS_H

#include "answer/answer.h"
#include "gateway/gateway_internal.h"

route_handler h_rag, h_ask, h_answer_list, h_answer_get, h_answer_replay, h_answer_feedback;

/* Appends "event: NAME\ndata: " and ends with an empty line. */
void answers_event_begin(struct tn_buf *out, const char *name);
void answers_event_end(struct tn_buf *out);

#endif
