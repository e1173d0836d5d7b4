/* Answers that come in pieces: lines of JSON (Ollama), or server-sent events
 * whose data are JSON (OpenAI). What arrives is cut into documents, and each
 * document is read for its text, its end and what it cost. All of it is bytes
 * from outside: lines are bounded, and nothing is believed. */
#ifndef TARN_MODEL_STREAM_H
#define TARN_MODEL_STREAM_H

#include "model/model.h"

enum model_wire { MODEL_WIRE_OLLAMA, MODEL_WIRE_OPENAI };

enum {
    MODEL_EVENT_MAX = 1 << 20, /* bytes of one document */
    MODEL_ANSWER_MAX = 4 << 20,
};

struct model_stream {
    enum model_wire wire;
    struct tn_buf line;                                                    /* the one that is not complete */
    struct tn_buf *answer;                                                 /* borrowed: the whole text */
    enum tn_code (*piece)(void *context, const char *text, size_t length); /* may be NULL */
    void *context;
    struct model_usage usage;
    bool begun; /* a piece was delivered */
    bool done;  /* the provider said that this is all */
    char model[128];
};

void model_stream_init(struct model_stream *stream, enum model_wire wire, struct tn_buf *answer);
void model_stream_release(struct model_stream *stream);
/* TN_EUPSTREAM for what is no such stream or too long, TN_EUNAVAILABLE for an error that the
 * provider puts into it, or what `piece` said. */
enum tn_code model_stream_feed(struct model_stream *stream, const char *bytes, size_t count,
                               struct tn_error *err) TN_CHECKED;
/* No more bytes come: TN_EUNAVAILABLE when the answer is not complete. */
enum tn_code model_stream_end(struct model_stream *stream, struct tn_error *err) TN_CHECKED;

/* What a provider says in an answer that is an error, shortened and without
 * control characters; "" when it is nothing that we know. */
void model_error_text(const char *body, size_t length, char *out, size_t size);

#endif
