/* Messages to an answer. */
#include "model/model_internal.h"

#include <math.h>

enum { MESSAGES_MAX = 1000, PROMPT_MAX = 8 << 20 };

static enum tn_code on_bytes(void *context, const char *bytes, size_t count, struct tn_error *err)
{
    return model_stream_feed(context, bytes, count, err);
}

static enum tn_code on_end(void *context, struct tn_error *err)
{
    return model_stream_end(context, err);
}

/* What a caller was given cannot be taken back. */
static bool may_begin_again(void *context)
{
    struct model_stream *stream = context;
    if (stream->begun && stream->piece)
        return false;
    tn_buf_clear(&stream->line);
    tn_buf_clear(stream->answer);
    stream->begun = stream->done = false;
    return true;
}

static enum tn_code check_chat(const struct model_chat *chat, struct tn_error *err)
{
    size_t bytes = 0;
    if (chat->count == 0 || chat->count > MESSAGES_MAX)
        return tn_fail(err, TN_EREQUEST, "a chat has 1 to %d messages, not %zu", MESSAGES_MAX, chat->count);
    if (!isfinite(chat->temperature) || chat->temperature < 0 || chat->temperature > 2)
        return tn_fail(err, TN_EREQUEST, "temperature must be from 0 to 2");
    for (size_t i = 0; i < chat->count; i++) {
        const char *role = chat->messages[i].role;
        if (!tn_streq(role, "system") && !tn_streq(role, "user") && !tn_streq(role, "assistant"))
            return tn_fail(err, TN_EREQUEST,
                           "the role of message %zu must be system, user or assistant, not \"%.40s\"", i, role);
        bytes += strlen(chat->messages[i].text);
    }
    return bytes <= PROMPT_MAX
               ? TN_OK
               : tn_fail(err, TN_ETOOLARGE, "the messages have %zu bytes, more than %d MB", bytes, PROMPT_MAX >> 20);
}

static uint64_t prompt_tokens(const struct model_chat *chat)
{
    uint64_t tokens = 0;
    for (size_t i = 0; i < chat->count; i++)
        tokens += model_estimate_tokens(chat->messages[i].text, strlen(chat->messages[i].text), SIZE_MAX, NULL);
    return tokens;
}

enum tn_code model_chat(struct model_service *service, const char *name, const struct model_chat *chat,
                        struct tn_buf *ret_answer, struct model_usage *ret_usage, struct tn_error *err)
{
    struct model_info info;
    struct model *model = NULL;
    uint64_t started = tn_mono_ns();
    TN_TRY(check_chat(chat, err));
    TN_TRY(model_find_chat(service, name, &info, err));
    TN_TRY(model_lookup(service, info.name, &model, err));
    struct model_provider *provider = model->provider;
    TN_AUTO_BUF body = {0};
    TN_AUTO_BUF answer = {0};
    TN_CLEANUP(model_stream_release) struct model_stream stream;
    model_stream_init(&stream, provider->kind == MODEL_OLLAMA ? MODEL_WIRE_OLLAMA : MODEL_WIRE_OPENAI, &answer);
    stream.piece = chat->piece;
    stream.context = chat->context;
    model_write_chat(provider, model->remote, chat, &body);
    const struct model_exchange exchange = {.method = "POST",
                                            .path = model_chat_path(provider, chat),
                                            .body = body.data,
                                            .body_length = body.len,
                                            .timeout_ms = chat->timeout_ms,
                                            .cancel = chat->cancel,
                                            .sink = on_bytes,
                                            .end = on_end,
                                            .again = may_begin_again,
                                            .context = &stream};
    TN_TRY(model_exchange(provider, &exchange, err));
    if (stream.usage.estimated) {
        stream.usage.prompt_tokens = prompt_tokens(chat);
        stream.usage.answer_tokens =
            model_estimate_tokens(answer.data ? answer.data : "", answer.len, SIZE_MAX, NULL);
    }
    stream.usage.microseconds = (tn_mono_ns() - started) / 1000;
    tn_buf_append(ret_answer, answer.data ? answer.data : "", answer.len);
    if (ret_usage)
        *ret_usage = stream.usage;
    return TN_OK;
}
