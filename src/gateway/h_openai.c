/* The model routes in OpenAI's form, for tools that speak it. Fields that change
 * nothing here are passed over, as servers of this protocol do; those that would
 * change the answer and are not supported are refused by name. */
#include "gateway/ai.h"
#include "gateway/push.h"

#include <sodium.h>

enum { MESSAGES_MAX = 1000, ANSWER_TOKENS_MAX = 1 << 20 };

static enum tn_code read_model(const json_t *body, const char **ret, struct tn_error *err)
{
    const json_t *model = json_object_get(body, "model");
    if (model && !json_is_string(model) && !json_is_null(model))
        return tn_fail(err, TN_EREQUEST, "model must be a name");
    *ret = json_string_value(model);
    return TN_OK;
}

/* ---- models ----------------------------------------------------------------------- */

enum tn_code h_openai_models(struct request *request, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    TN_AUTO_JSON *items = NULL;
    struct tn_json list = tn_json_writer(&text);
    TN_TRY(model_write_models(request->gateway->models, &list, err));
    TN_TRY(tn_json_parse(text.data, text.len, text.len, "the models", &items, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "object", "list");
    tn_json_key(&json, "data");
    tn_json_open(&json, '[');
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        const char *name = json_string_value(json_object_get(item, "name"));
        if (!name)
            continue;
        tn_json_open(&json, '{');
        tn_json_kstr(&json, "id", name);
        tn_json_kstr(&json, "object", "model");
        tn_json_kstr(&json, "owned_by", json_string_value(json_object_get(item, "provider")));
        tn_json_close(&json, '}');
    }
    tn_json_close(&json, ']');
    tn_json_close(&json, '}');
    return TN_OK;
}

/* ---- embeddings ---------------------------------------------------------------------- */

static enum tn_code read_input(struct request *request, const json_t *body, struct model_text **ret,
                               size_t *ret_count, struct tn_error *err)
{
    const json_t *input = json_object_get(body, "input");
    if (json_is_array(input) && json_array_size(input) > 0 && !json_is_string(json_array_get(input, 0))) {
        (void)tn_fail(err, TN_EUNSUPPORTED, "input must be a text or an array of texts");
        tn_error_hint(err, "token ids are another model's: send the text");
        return TN_EUNSUPPORTED;
    }
    if (json_is_string(input)) {
        struct model_text *text = TN_ARENA_ARRAY(request->arena, struct model_text, 1);
        *text = (struct model_text){json_string_value(input), json_string_length(input)};
        *ret = text;
        *ret_count = 1;
        return TN_OK;
    }
    if (!json_is_array(input))
        return tn_fail(err, TN_EREQUEST, "input must be a text or an array of texts");
    return ai_texts(request, input, "input", ret, ret_count, err);
}

static enum tn_code read_encoding(const json_t *body, bool *ret_base64, struct tn_error *err)
{
    const json_t *encoding = json_object_get(body, "encoding_format");
    const char *word = json_string_value(encoding);
    if (!encoding || json_is_null(encoding) || (word && tn_streq(word, "float")))
        return TN_OK;
    if (!word || !tn_streq(word, "base64"))
        return tn_fail(err, TN_EREQUEST, "encoding_format must be float or base64");
    *ret_base64 = true;
    return TN_OK;
}

static enum tn_code check_dimensions(const json_t *body, const struct model_info *info, struct tn_error *err)
{
    const json_t *wanted = json_object_get(body, "dimensions");
    if (!wanted || json_is_null(wanted) || json_integer_value(wanted) == info->dimension)
        return TN_OK;
    (void)tn_fail(err, TN_EUNSUPPORTED, "%s makes vectors of %u dimensions and no others", info->name,
                  info->dimension);
    tn_error_hint(err, "leave dimensions out");
    return TN_EUNSUPPORTED;
}

static void write_base64(struct tn_json *json, const float *vector, size_t dimension)
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats go out little endian");
    size_t bytes = dimension * sizeof *vector;
    size_t room = sodium_base64_encoded_len(bytes, sodium_base64_VARIANT_ORIGINAL);
    TN_AUTO_FREE char *text = tn_malloc(room);
    (void)sodium_bin2base64(text, room, (const unsigned char *)vector, bytes, sodium_base64_VARIANT_ORIGINAL);
    tn_json_str(json, text);
}

enum tn_code h_openai_embeddings(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    const char *model = NULL;
    bool base64 = false;
    struct model_text *texts = NULL;
    struct model_info info;
    const struct model_call call = {.use = MODEL_PLAIN};
    TN_AUTO_FREE float *vectors = NULL;
    size_t count = 0, cut = 0, tokens = 0;
    TN_TRY(request_json(request, &body, err));
    TN_TRY(read_model(body, &model, err));
    TN_TRY(read_encoding(body, &base64, err));
    TN_TRY(read_input(request, body, &texts, &count, err));
    TN_TRY(model_find(request->gateway->models, model, &info, err));
    TN_TRY(check_dimensions(body, &info, err));
    TN_TRY(ai_embed(request, info.name, &call, texts, count, &info, &vectors, &cut, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "object", "list");
    tn_json_key(&json, "data");
    tn_json_open(&json, '[');
    for (size_t i = 0; i < count; i++) {
        size_t own = model_count_tokens(request->gateway->models, info.name, texts[i]);
        tokens += TN_MIN(own, (size_t)info.max_tokens);
        tn_json_open(&json, '{');
        tn_json_kstr(&json, "object", "embedding");
        tn_json_ki64(&json, "index", (int64_t)i);
        tn_json_key(&json, "embedding");
        if (base64)
            write_base64(&json, vectors + i * info.dimension, info.dimension);
        else
            ai_write_vector(&json, vectors + i * info.dimension, info.dimension);
        tn_json_close(&json, '}');
    }
    tn_json_close(&json, ']');
    tn_json_kstr(&json, "model", info.name);
    tn_json_key(&json, "usage");
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "prompt_tokens", (int64_t)tokens);
    tn_json_ki64(&json, "total_tokens", (int64_t)tokens);
    tn_json_close(&json, '}');
    tn_json_close(&json, '}');
    return TN_OK;
}

/* ---- chat ------------------------------------------------------------------------------ */

struct completion {
    struct request *request;
    json_t *body;
    const char *model;
    struct model_message *messages;
    const char *stops[MODEL_STOPS_MAX]; /* the body's */
    struct model_chat chat;
    struct push *push;
    struct model_info info;
    char id[64];
    int64_t created;
    bool stream, with_usage;
};

static void completion_free(void *context)
{
    struct completion *completion = context;
    json_decref(completion->body); /* the rest is the request's arena's */
}

/* A string, or an array of {"type":"text","text"}; the arena's or the body's. */
static enum tn_code read_content(struct request *request, const json_t *content, const char **ret,
                                 struct tn_error *err)
{
    TN_AUTO_BUF whole = {0};
    if (json_is_string(content)) {
        *ret = json_string_value(content);
        return TN_OK;
    }
    if (!json_is_array(content))
        return tn_fail(err, TN_EREQUEST, "a message's content must be a text or an array of texts");
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *text = json_object_get(json_array_get(content, i), "text");
        if (!json_is_string(text))
            return tn_fail(err, TN_EUNSUPPORTED, "messages may hold texts only, no images or sounds");
        tn_buf_append(&whole, json_string_value(text), json_string_length(text));
    }
    *ret = tn_arena_strdup(request->arena, whole.data ? whole.data : "");
    return TN_OK;
}

static enum tn_code read_messages(struct completion *completion, struct tn_error *err)
{
    const json_t *list = json_object_get(completion->body, "messages");
    size_t count = json_array_size(list);
    if (count == 0 || count > MESSAGES_MAX)
        return tn_fail(err, TN_EREQUEST, "messages must be 1 to %d messages", MESSAGES_MAX);
    completion->messages = TN_ARENA_ARRAY(completion->request->arena, struct model_message, count);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        const char *role = json_string_value(json_object_get(item, "role"));
        if (!role)
            return tn_fail(err, TN_EREQUEST, "message %zu has no role", i);
        completion->messages[i].role = tn_streq(role, "developer") ? "system" : role;
        TN_TRY(
            read_content(completion->request, json_object_get(item, "content"), &completion->messages[i].text, err));
    }
    completion->chat.messages = completion->messages;
    completion->chat.count = count;
    return TN_OK;
}

static enum tn_code refuse_unsupported(const json_t *body, struct tn_error *err)
{
    static const char *const fields[] = {"tools", "functions", "audio", "logprobs"};
    for (size_t i = 0; i < TN_COUNT(fields); i++) {
        const json_t *value = json_object_get(body, fields[i]);
        if (json_array_size(value) > 0 || json_object_size(value) > 0 || json_is_true(value))
            return tn_fail(err, TN_EUNSUPPORTED, "%s is not supported", fields[i]);
    }
    const json_t *n = json_object_get(body, "n");
    if (json_is_integer(n) && json_integer_value(n) != 1)
        return tn_fail(err, TN_EUNSUPPORTED, "n must be 1");
    return TN_OK;
}

/* A text or a few. */
static enum tn_code read_stops(struct completion *completion, const json_t *stop, struct tn_error *err)
{
    size_t count = json_is_string(stop) ? 1 : json_array_size(stop);
    if (stop && !json_is_null(stop) && !json_is_string(stop) && !json_is_array(stop))
        return tn_fail(err, TN_EREQUEST, "stop must be a text or an array of texts");
    if (count > MODEL_STOPS_MAX)
        return tn_fail(err, TN_EREQUEST, "stop has at most %d texts, not %zu", MODEL_STOPS_MAX, count);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_is_string(stop) ? stop : json_array_get(stop, i));
        if (!text || !*text)
            return tn_fail(err, TN_EREQUEST, "stop must be a text or an array of texts");
        completion->stops[i] = text;
    }
    completion->chat.stop = completion->stops;
    completion->chat.stop_count = count;
    return TN_OK;
}

/* What is given and is no number would be passed over without a word. */
static enum tn_code check_numbers(const json_t *body, struct tn_error *err)
{
    static const char *const whole[] = {"max_tokens", "max_completion_tokens"};
    const json_t *temperature = json_object_get(body, "temperature");
    for (size_t i = 0; i < TN_COUNT(whole); i++) {
        const json_t *value = json_object_get(body, whole[i]);
        if (value && !json_is_null(value) && !json_is_integer(value))
            return tn_fail(err, TN_EREQUEST, "%s must be a whole number", whole[i]);
    }
    if (temperature && !json_is_null(temperature) && !json_is_number(temperature))
        return tn_fail(err, TN_EREQUEST, "temperature must be a number");
    return TN_OK;
}

static enum tn_code read_limits(struct completion *completion, struct tn_error *err)
{
    const json_t *body = completion->body;
    TN_TRY(check_numbers(body, err));
    TN_TRY(read_stops(completion, json_object_get(body, "stop"), err));
    const json_t *most = json_object_get(body, "max_completion_tokens");
    const json_t *temperature = json_object_get(body, "temperature");
    if (!json_is_integer(most))
        most = json_object_get(body, "max_tokens");
    if (json_is_integer(most)) {
        json_int_t value = json_integer_value(most);
        if (value < 1 || value > ANSWER_TOKENS_MAX)
            return tn_fail(err, TN_EREQUEST, "max_tokens must be 1 to %d", ANSWER_TOKENS_MAX);
        completion->chat.max_tokens = (uint32_t)value;
    }
    if (json_is_number(temperature))
        completion->chat.temperature = json_number_value(temperature);
    const json_t *format = json_object_get(json_object_get(body, "response_format"), "type");
    const char *word = json_string_value(format);
    if (word && !tn_streq(word, "text") && !tn_streq(word, "json_object"))
        return tn_fail(err, TN_EUNSUPPORTED, "response_format must be text or json_object");
    completion->chat.json = word && tn_streq(word, "json_object");
    completion->stream = json_is_true(json_object_get(body, "stream"));
    completion->with_usage = json_is_true(json_object_get(json_object_get(body, "stream_options"), "include_usage"));
    return TN_OK;
}

static void write_head(const struct completion *completion, const char *object, struct tn_json *json)
{
    tn_json_open(json, '{');
    tn_json_kstr(json, "id", completion->id);
    tn_json_kstr(json, "object", object);
    tn_json_ki64(json, "created", completion->created);
    tn_json_kstr(json, "model", completion->info.name);
}

static void write_tokens(const struct model_usage *usage, struct tn_json *json)
{
    tn_json_key(json, "usage");
    tn_json_open(json, '{');
    tn_json_ki64(json, "prompt_tokens", (int64_t)usage->prompt_tokens);
    tn_json_ki64(json, "completion_tokens", (int64_t)usage->answer_tokens);
    tn_json_ki64(json, "total_tokens", (int64_t)(usage->prompt_tokens + usage->answer_tokens));
    tn_json_close(json, '}');
}

/* One event; `text` NULL is the end of the answer. */
static enum tn_code push_chunk(struct completion *completion, const char *text, size_t length)
{
    TN_AUTO_BUF event = {0};
    tn_buf_puts(&event, "data: ");
    struct tn_json json = tn_json_writer(&event);
    write_head(completion, "chat.completion.chunk", &json);
    tn_json_key(&json, "choices");
    tn_json_open(&json, '[');
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "index", 0);
    tn_json_key(&json, "delta");
    tn_json_open(&json, '{');
    if (text) {
        tn_json_kstr(&json, "role", "assistant");
        tn_json_key(&json, "content");
        tn_json_strn(&json, text, length);
    }
    tn_json_close(&json, '}');
    tn_json_kstr(&json, "finish_reason", text ? NULL : "stop");
    tn_json_close(&json, '}');
    tn_json_close(&json, ']');
    tn_json_close(&json, '}');
    tn_buf_puts(&event, "\n\n");
    return push_write(completion->push, event.data, event.len);
}

static enum tn_code on_piece(void *context, const char *text, size_t length)
{
    return push_chunk(context, text, length);
}

static enum tn_code push_end(struct completion *completion, const struct model_usage *usage)
{
    TN_AUTO_BUF event = {0};
    TN_TRY(push_chunk(completion, NULL, 0));
    if (completion->with_usage) {
        tn_buf_puts(&event, "data: ");
        struct tn_json json = tn_json_writer(&event);
        write_head(completion, "chat.completion.chunk", &json);
        tn_json_key(&json, "choices");
        tn_json_raw(&json, "[]", 2);
        write_tokens(usage, &json);
        tn_json_close(&json, '}');
        tn_buf_puts(&event, "\n\n");
    }
    tn_buf_puts(&event, "data: [DONE]\n\n");
    return push_write(completion->push, event.data, event.len);
}

static enum tn_code run_completion(void *context, struct push *push, struct tn_error *err)
{
    struct completion *completion = context;
    struct model_service *models = completion->request->gateway->models;
    struct model_usage usage = {0};
    TN_AUTO_BUF answer = {0};
    completion->push = push;
    TN_TRY(model_find_chat(models, completion->model, &completion->info, err));
    TN_TRY(model_chat(models, completion->info.name, &completion->chat, &answer, &usage, err));
    return push_end(completion, &usage);
}

static void fail_completion(void *context, const struct tn_error *error, const char *request_id, struct tn_buf *out)
{
    (void)context;
    (void)request_id;
    tn_buf_puts(out, "data: ");
    problem_write_openai(error, out);
    tn_buf_puts(out, "\n\n");
}

static enum tn_code answer_whole(struct completion *completion, struct tn_error *err)
{
    struct model_service *models = completion->request->gateway->models;
    struct model_usage usage = {0};
    TN_AUTO_BUF answer = {0};
    TN_TRY(model_find_chat(models, completion->model, &completion->info, err));
    TN_TRY(model_chat(models, completion->info.name, &completion->chat, &answer, &usage, err));
    struct tn_json json = reply_json(completion->request);
    write_head(completion, "chat.completion", &json);
    tn_json_key(&json, "choices");
    tn_json_open(&json, '[');
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "index", 0);
    tn_json_key(&json, "message");
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "role", "assistant");
    tn_json_key(&json, "content");
    tn_json_strn(&json, answer.data ? answer.data : "", answer.len);
    tn_json_close(&json, '}');
    tn_json_kstr(&json, "finish_reason", "stop");
    tn_json_close(&json, '}');
    tn_json_close(&json, ']');
    write_tokens(&usage, &json);
    tn_json_close(&json, '}');
    return TN_OK;
}

static enum tn_code read_completion(struct completion *completion, struct tn_error *err)
{
    char id[TN_UUID_TEXT];
    TN_TRY(read_model(completion->body, &completion->model, err));
    TN_TRY(refuse_unsupported(completion->body, err));
    TN_TRY(read_messages(completion, err));
    TN_TRY(read_limits(completion, err));
    (void)snprintf(completion->id, sizeof completion->id, "chatcmpl-%s", tn_uuid7(id));
    completion->created = tn_now_ms() / 1000;
    completion->chat.cancel = ai_cancel(completion->request);
    return TN_OK;
}

enum tn_code h_openai_chat(struct request *request, struct tn_error *err)
{
    struct completion *completion = tn_arena_alloc(request->arena, sizeof *completion);
    completion->request = request;
    TN_TRY(request_json(request, &completion->body, err));
    enum tn_code code = read_completion(completion, err);
    if (code == TN_OK && !completion->stream)
        code = answer_whole(completion, err);
    if (code == TN_OK && completion->stream) {
        completion->chat.piece = on_piece;
        completion->chat.context = completion;
        const struct push_job job = {
            .context = completion, .run = run_completion, .fail = fail_completion, .free = completion_free};
        code = push_begin(request, "text/event-stream", &job, err);
        if (code == TN_OK)
            return TN_OK;
    }
    completion_free(completion);
    return code;
}
