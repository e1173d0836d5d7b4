/* Models: what is there, texts to vectors, prompts to answers. */
#include "gateway/ai.h"
#include "gateway/push.h"

enum { TEXTS_MAX = 2048, ANSWER_TOKENS_MAX = 1 << 20 };

/* ---- what is there -------------------------------------------------------------- */

static enum tn_code answer_list(struct request *request,
                                enum tn_code (*write)(struct model_service *, struct tn_json *, struct tn_error *),
                                struct tn_error *err)
{
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "items");
    TN_TRY(write(request->gateway->models, &json, err));
    tn_json_key(&json, "next_cursor");
    tn_json_null(&json);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_ai_providers(struct request *request, struct tn_error *err)
{
    return answer_list(request, model_write_providers, err);
}

enum tn_code h_ai_models(struct request *request, struct tn_error *err)
{
    return answer_list(request, model_write_models, err);
}

static void answer_model(struct request *request, const struct model_info *info, const char *status)
{
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "name", info->name);
    tn_json_kstr(&json, "status", status);
    tn_json_kstr(&json, "provider", info->provider);
    tn_json_kstr(&json, "version", info->version);
    if (info->dimension) {
        tn_json_ki64(&json, "dimension", info->dimension);
        tn_json_ki64(&json, "max_tokens", info->max_tokens);
        tn_json_kstr(&json, "query_prefix", info->query_prefix);
        tn_json_kstr(&json, "document_prefix", info->document_prefix);
    }
    tn_json_close(&json, '}');
}

enum tn_code h_ai_accept(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    const char *name = NULL;
    struct model_info info;
    TN_TRY(request_json(request, &body, err));
    const struct tn_json_field fields[] = {{.name = "model", .kind = TN_JSON_STRING, .ret = &name, .required = true}};
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    TN_TRY(model_accept(request->gateway->models, name, &info, err));
    answer_model(request, &info, "accepted");
    return TN_OK;
}

enum tn_code h_ai_default(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    const char *name = NULL;
    bool chat = false;
    struct model_info info;
    TN_TRY(request_json(request, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "model", .kind = TN_JSON_STRING, .ret = &name, .required = true},
        {.name = "chat", .kind = TN_JSON_BOOL, .ret = &chat},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    TN_TRY(model_set_default(request->gateway->models, name, chat, &info, err));
    answer_model(request, &info, chat ? "default for chat" : "default");
    return TN_OK;
}

enum tn_code h_ai_import(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    const char *folder = NULL, *name = NULL;
    struct model_info info;
    TN_TRY(request_json(request, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "folder", .kind = TN_JSON_STRING, .ret = &folder, .required = true},
        {.name = "name", .kind = TN_JSON_STRING, .ret = &name},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    if (folder[0] != '/')
        return tn_fail(err, TN_EREQUEST, "folder must be an absolute path on the server's machine");
    TN_TRY(model_import(request->gateway->models, folder, name, &info, err));
    answer_model(request, &info, "imported");
    return TN_OK;
}

/* ---- texts to vectors -------------------------------------------------------------- */

static enum tn_code parse_use(const char *word, enum model_use *ret, struct tn_error *err)
{
    static const char *const words[] = {"plain", "query", "document"};
    for (size_t i = 0; word && i < TN_COUNT(words); i++)
        if (tn_streq(word, words[i])) {
            *ret = (enum model_use)i;
            return TN_OK;
        }
    return word ? tn_fail(err, TN_EREQUEST, "use must be plain, query or document, not \"%.40s\"", word) : TN_OK;
}

enum tn_code ai_texts(struct request *request, const json_t *list, const char *what, struct model_text **ret,
                      size_t *ret_count, struct tn_error *err)
{
    size_t count = json_array_size(list);
    if (count == 0 || count > TEXTS_MAX)
        return tn_fail(err, TN_EREQUEST, "%s must be 1 to %d texts, not %zu", what, TEXTS_MAX, count);
    struct model_text *texts = TN_ARENA_ARRAY(request->arena, struct model_text, count);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_string(item))
            return tn_fail(err, TN_EREQUEST, "%s must be texts; number %zu is none", what, i + 1);
        texts[i] = (struct model_text){json_string_value(item), json_string_length(item)};
    }
    *ret = texts;
    *ret_count = count;
    return TN_OK;
}

enum tn_code ai_embed(struct request *request, const char *model, const struct model_call *call,
                      const struct model_text *texts, size_t count, struct model_info *ret_info, float **ret_vectors,
                      size_t *ret_cut, struct tn_error *err)
{
    TN_TRY(model_find(request->gateway->models, model, ret_info, err));
    float *vectors = tn_try_malloc(count * ret_info->dimension * sizeof *vectors);
    if (!vectors)
        return tn_fail(err, TN_ENOMEM, "no memory for %zu vectors", count);
    struct model_call mine = *call;
    mine.cancel = ai_cancel(request);
    enum tn_code code =
        model_embed(request->gateway->models, ret_info->name, &mine, texts, count, vectors, ret_cut, err);
    if (code != TN_OK) {
        free(vectors);
        return code;
    }
    *ret_vectors = vectors;
    return TN_OK;
}

void ai_write_vector(struct tn_json *json, const float *vector, size_t dimension)
{
    TN_AUTO_BUF text = {0};
    tn_buf_putc(&text, '[');
    for (size_t i = 0; i < dimension; i++) {
        if (i > 0)
            tn_buf_putc(&text, ',');
        tn_format_f32(&text, vector[i]);
    }
    tn_buf_putc(&text, ']');
    tn_json_raw(json, text.data, text.len);
}

enum tn_code h_ai_embed(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    json_t *list = NULL;
    const char *model = NULL, *use = NULL;
    struct model_call call = {.use = MODEL_PLAIN};
    struct model_text *texts = NULL;
    struct model_info info;
    TN_AUTO_FREE float *vectors = NULL;
    size_t count = 0, cut = 0;
    TN_TRY(request_json(request, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "model", .kind = TN_JSON_STRING, .ret = &model},
        {.name = "texts", .kind = TN_JSON_ARRAY, .ret = &list, .required = true},
        {.name = "use", .kind = TN_JSON_STRING, .ret = &use},
        {.name = "version", .kind = TN_JSON_STRING, .ret = &call.version},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    TN_TRY(parse_use(use, &call.use, err));
    TN_TRY(ai_texts(request, list, "texts", &texts, &count, err));
    TN_TRY(ai_embed(request, model, &call, texts, count, &info, &vectors, &cut, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "model", info.name);
    tn_json_kstr(&json, "version", info.version);
    tn_json_ki64(&json, "dimension", info.dimension);
    tn_json_kbool(&json, "normalised", info.normalised);
    tn_json_ki64(&json, "truncated", (int64_t)cut);
    tn_json_key(&json, "vectors");
    tn_json_open(&json, '[');
    for (size_t i = 0; i < count; i++)
        ai_write_vector(&json, vectors + i * info.dimension, info.dimension);
    tn_json_close(&json, ']');
    tn_json_close(&json, '}');
    return TN_OK;
}

/* ---- prompts to answers ----------------------------------------------------------------- */

struct generation {
    struct request *request;
    json_t *body; /* the texts are borrowed from it */
    const char *model;
    struct model_message messages[2];
    struct model_chat chat;
    struct push *push;
};

static void generation_free(void *context)
{
    struct generation *generation = context;
    json_decref(generation->body); /* the rest is the request's arena's */
}

void ai_write_usage(struct tn_json *json, const struct model_usage *usage)
{
    tn_json_key(json, "usage");
    tn_json_open(json, '{');
    tn_json_ki64(json, "prompt_tokens", (int64_t)usage->prompt_tokens);
    tn_json_ki64(json, "answer_tokens", (int64_t)usage->answer_tokens);
    tn_json_kf64(json, "elapsed_ms", (double)usage->microseconds / 1000);
    tn_json_kbool(json, "estimated", usage->estimated);
    tn_json_close(json, '}');
}

static enum tn_code on_piece(void *context, const char *text, size_t length)
{
    struct generation *generation = context;
    TN_AUTO_BUF event = {0};
    tn_buf_puts(&event, "data: {\"text\":");
    tn_json_quote(&event, text, length);
    tn_buf_puts(&event, "}\n\n");
    return push_write(generation->push, event.data, event.len);
}

static enum tn_code run_generation(void *context, struct push *push, struct tn_error *err)
{
    struct generation *generation = context;
    struct model_usage usage = {0};
    struct model_info info;
    TN_AUTO_BUF answer = {0};
    TN_AUTO_BUF event = {0};
    generation->push = push;
    TN_TRY(model_find_chat(generation->request->gateway->models, generation->model, &info, err));
    TN_TRY(model_chat(generation->request->gateway->models, info.name, &generation->chat, &answer, &usage, err));
    tn_buf_puts(&event, "data: ");
    struct tn_json json = tn_json_writer(&event);
    tn_json_open(&json, '{');
    tn_json_kbool(&json, "done", true);
    tn_json_kstr(&json, "model", info.name);
    tn_json_kstr(&json, "version", info.version);
    ai_write_usage(&json, &usage);
    tn_json_close(&json, '}');
    tn_buf_puts(&event, "\n\n");
    return push_write(push, event.data, event.len);
}

static void fail_generation(void *context, const struct tn_error *error, const char *request_id, struct tn_buf *out)
{
    (void)context;
    tn_buf_puts(out, "data: {\"error\":");
    problem_write(error, request_id, out);
    tn_buf_puts(out, "}\n\n");
}

static enum tn_code answer_whole(struct generation *generation, struct tn_error *err)
{
    struct model_usage usage = {0};
    struct model_info info;
    TN_AUTO_BUF answer = {0};
    struct model_service *models = generation->request->gateway->models;
    TN_TRY(model_find_chat(models, generation->model, &info, err));
    TN_TRY(model_chat(models, info.name, &generation->chat, &answer, &usage, err));
    struct tn_json json = reply_json(generation->request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "model", info.name);
    tn_json_kstr(&json, "version", info.version);
    tn_json_key(&json, "text");
    tn_json_strn(&json, answer.data ? answer.data : "", answer.len);
    ai_write_usage(&json, &usage);
    tn_json_close(&json, '}');
    return TN_OK;
}

static enum tn_code read_generation(struct generation *generation, bool *ret_stream, struct tn_error *err)
{
    const char *prompt = NULL, *system = NULL;
    int64_t max_tokens = 0, timeout_ms = 0;
    const struct tn_json_field fields[] = {
        {.name = "prompt", .kind = TN_JSON_STRING, .ret = &prompt, .required = true},
        {.name = "system", .kind = TN_JSON_STRING, .ret = &system},
        {.name = "model", .kind = TN_JSON_STRING, .ret = &generation->model},
        {.name = "temperature", .kind = TN_JSON_DOUBLE, .ret = &generation->chat.temperature},
        {.name = "max_tokens", .kind = TN_JSON_INT, .ret = &max_tokens, .min = 1, .max = ANSWER_TOKENS_MAX},
        {.name = "timeout_ms", .kind = TN_JSON_INT, .ret = &timeout_ms, .min = 1, .max = INT32_MAX},
        {.name = "json", .kind = TN_JSON_BOOL, .ret = &generation->chat.json},
        {.name = "stream", .kind = TN_JSON_BOOL, .ret = ret_stream},
    };
    TN_TRY(tn_json_read(generation->body, "request", fields, TN_COUNT(fields), err));
    if (system)
        generation->messages[generation->chat.count++] = (struct model_message){"system", system};
    generation->messages[generation->chat.count++] = (struct model_message){"user", prompt};
    generation->chat.messages = generation->messages;
    generation->chat.max_tokens = (uint32_t)max_tokens;
    generation->chat.timeout_ms = (uint64_t)timeout_ms;
    generation->chat.cancel = ai_cancel(generation->request);
    return TN_OK;
}

enum tn_code h_ai_generate(struct request *request, struct tn_error *err)
{
    struct generation *generation = tn_arena_alloc(request->arena, sizeof *generation);
    bool stream = false;
    generation->request = request;
    TN_TRY(request_json(request, &generation->body, err));
    enum tn_code code = read_generation(generation, &stream, err);
    if (code == TN_OK && !stream)
        code = answer_whole(generation, err);
    if (code == TN_OK && stream) {
        generation->chat.piece = on_piece;
        generation->chat.context = generation;
        const struct push_job job = {
            .context = generation, .run = run_generation, .fail = fail_generation, .free = generation_free};
        code = push_begin(request, "text/event-stream", &job, err);
        if (code == TN_OK)
            return TN_OK;
    }
    generation_free(generation);
    return code;
}
