/* Lines, events, and the documents in them. */
#include "model/stream.h"

#include <stdio.h>

enum { USAGE_MAX = 1 << 30 };

void model_stream_init(struct model_stream *stream, enum model_wire wire, struct tn_buf *answer)
{
    *stream = (struct model_stream){.wire = wire, .answer = answer};
    stream->usage.estimated = true;
}

void model_stream_release(struct model_stream *stream)
{
    tn_buf_release(&stream->line);
}

/* ---- errors that providers put into their answers ---------------------------------- */

static void copy_clean(const char *text, char *out, size_t size)
{
    size_t length = tn_utf8_floor(text, strlen(text), size - 1);
    for (size_t i = 0; i < length; i++)
        out[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i];
    out[length] = '\0';
}

static const char *error_of(const json_t *document)
{
    const json_t *error = json_object_get(document, "error");
    if (json_is_object(error))
        error = json_object_get(error, "message");
    if (!error && json_is_string(json_object_get(document, "detail")))
        error = json_object_get(document, "detail");
    return json_string_value(error);
}

void model_error_text(const char *body, size_t length, char *out, size_t size)
{
    TN_AUTO_JSON *document = NULL;
    out[0] = '\0';
    if (tn_json_parse(body, length, MODEL_EVENT_MAX, "answer", &document, NULL) != TN_OK)
        return;
    const char *text = error_of(document);
    if (text)
        copy_clean(text, out, size);
}

/* ---- documents ----------------------------------------------------------------------- */

static uint64_t count_of(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 && value < USAGE_MAX ? (uint64_t)value : 0;
}

static enum tn_code deliver(struct model_stream *stream, const json_t *text, struct tn_error *err)
{
    size_t length = json_is_string(text) ? json_string_length(text) : 0;
    if (length == 0)
        return TN_OK;
    if (stream->answer->len + length > MODEL_ANSWER_MAX)
        return tn_fail(err, TN_EUPSTREAM, "the model's answer is longer than %d MB", MODEL_ANSWER_MAX >> 20);
    tn_buf_append(stream->answer, json_string_value(text), length);
    stream->begun = true;
    if (!stream->piece)
        return TN_OK;
    enum tn_code code = stream->piece(stream->context, json_string_value(text), length);
    return code == TN_OK ? TN_OK : tn_fail(err, code, "the model's answer is not wanted any more");
}

static void take_usage(struct model_stream *stream, const json_t *from, const char *prompt, const char *answer)
{
    if (!json_is_integer(json_object_get(from, answer)))
        return;
    stream->usage.prompt_tokens = count_of(from, prompt);
    stream->usage.answer_tokens = count_of(from, answer);
    stream->usage.estimated = false;
}

static enum tn_code read_ollama(struct model_stream *stream, const json_t *document, struct tn_error *err)
{
    const json_t *message = json_object_get(document, "message");
    TN_TRY(
        deliver(stream, message ? json_object_get(message, "content") : json_object_get(document, "response"), err));
    if (!json_is_true(json_object_get(document, "done")))
        return TN_OK;
    stream->done = true;
    take_usage(stream, document, "prompt_eval_count", "eval_count");
    return TN_OK;
}

static enum tn_code read_openai(struct model_stream *stream, const json_t *document, struct tn_error *err)
{
    const json_t *choice = json_array_get(json_object_get(document, "choices"), 0);
    TN_TRY(deliver(stream, json_object_get(json_object_get(choice, "delta"), "content"), err));
    if (json_is_string(json_object_get(choice, "finish_reason")))
        stream->done = true;
    take_usage(stream, json_object_get(document, "usage"), "prompt_tokens", "completion_tokens");
    return TN_OK;
}

static enum tn_code read_document(struct model_stream *stream, const char *text, size_t length, struct tn_error *err)
{
    TN_AUTO_JSON *document = NULL;
    if (tn_json_parse(text, length, MODEL_EVENT_MAX, "a piece of the answer", &document, err) != TN_OK) {
        tn_error_context(err, "the provider's stream makes no sense");
        return err ? err->code = TN_EUPSTREAM : TN_EUPSTREAM;
    }
    if (!json_is_object(document))
        return tn_fail(err, TN_EUPSTREAM, "the provider's stream makes no sense: a piece is no object");
    char problem[240];
    const char *said = error_of(document);
    if (said) {
        copy_clean(said, problem, sizeof problem);
        return tn_fail(err, TN_EUNAVAILABLE, "the provider broke off its answer: %s", problem);
    }
    const char *model = json_string_value(json_object_get(document, "model"));
    if (model && !stream->model[0])
        copy_clean(model, stream->model, sizeof stream->model);
    return stream->wire == MODEL_WIRE_OLLAMA ? read_ollama(stream, document, err)
                                             : read_openai(stream, document, err);
}

/* ---- lines ----------------------------------------------------------------------------- */

/* One line without its end. Of an event only its data count, and every server
 * that speaks this protocol writes them in one line. */
static enum tn_code read_line(struct model_stream *stream, const char *line, size_t length, struct tn_error *err)
{
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (stream->wire == MODEL_WIRE_OPENAI) {
        if (length < 5 || memcmp(line, "data:", 5) != 0)
            return TN_OK;
        size_t skip = length > 5 && line[5] == ' ' ? 6 : 5;
        line += skip;
        length -= skip;
        if (length == 6 && memcmp(line, "[DONE]", 6) == 0) {
            stream->done = true;
            return TN_OK;
        }
    }
    return length > 0 ? read_document(stream, line, length, err) : TN_OK;
}

enum tn_code model_stream_feed(struct model_stream *stream, const char *bytes, size_t count, struct tn_error *err)
{
    while (count > 0) {
        const char *end = memchr(bytes, '\n', count);
        size_t length = end ? (size_t)(end - bytes) : count;
        if (stream->line.len + length > MODEL_EVENT_MAX)
            return tn_fail(err, TN_EUPSTREAM, "the provider's stream makes no sense: a line is longer than %d KB",
                           MODEL_EVENT_MAX >> 10);
        tn_buf_append(&stream->line, bytes, length);
        if (!end)
            return TN_OK;
        enum tn_code code = read_line(stream, stream->line.data ? stream->line.data : "", stream->line.len, err);
        tn_buf_clear(&stream->line);
        TN_TRY(code);
        bytes = end + 1;
        count -= length + 1;
    }
    return TN_OK;
}

enum tn_code model_stream_end(struct model_stream *stream, struct tn_error *err)
{
    if (stream->line.len > 0) {
        enum tn_code code = read_line(stream, stream->line.data, stream->line.len, err);
        tn_buf_clear(&stream->line);
        TN_TRY(code);
    }
    if (!stream->done)
        return tn_fail(err, TN_EUNAVAILABLE, "the provider's answer broke off before its end");
    return TN_OK;
}
