/* The documents of the two protocols. */
#include "model/model_internal.h"

#include <math.h>

/* ---- embeddings ------------------------------------------------------------------------- */

const char *model_embed_path(const struct model_provider *provider)
{
    return provider->kind == MODEL_OLLAMA ? "/api/embed" : "/embeddings";
}

void model_write_embed(const struct model_provider *provider, const char *remote, const char *prefix,
                       const struct model_text *texts, size_t count, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    TN_AUTO_BUF whole = {0};
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "model", remote);
    tn_json_key(&json, "input");
    tn_json_open(&json, '[');
    for (size_t i = 0; i < count; i++) {
        tn_buf_clear(&whole);
        tn_buf_puts(&whole, prefix);
        tn_buf_append(&whole, texts[i].data, texts[i].length);
        tn_json_strn(&json, whole.data ? whole.data : "", whole.len);
    }
    tn_json_close(&json, ']');
    if (provider->kind == MODEL_OLLAMA) {
        tn_json_kbool(&json, "truncate", true);
        tn_json_ki64(&json, "keep_alive", (int64_t)provider->keep_alive_s);
    } else {
        tn_json_kstr(&json, "encoding_format", "float");
    }
    tn_json_close(&json, '}');
}

static enum tn_code read_vector(const json_t *array, struct model_vectors *vectors, size_t index,
                                struct tn_error *err)
{
    size_t size = json_array_size(array);
    if (size == 0 || size > MODEL_DIMENSION_MAX)
        return tn_fail(err, TN_EUPSTREAM, "the provider's vector %zu is none", index);
    if (vectors->dimension == 0)
        vectors->dimension = (uint32_t)size;
    if (size != vectors->dimension)
        return tn_fail(err, TN_ECONFLICT, "the provider's vector %zu has %zu dimensions, not %u", index, size,
                       vectors->dimension);
    if (!vectors->out)
        vectors->out = vectors->found = tn_calloc(vectors->count * size, sizeof(float));
    float *out = vectors->out + index * size;
    double squares = 0;
    for (size_t i = 0; i < size; i++) {
        const json_t *value = json_array_get(array, i);
        float number = json_is_number(value) ? (float)json_number_value(value) : NAN;
        if (!isfinite(number))
            return tn_fail(err, TN_EUPSTREAM, "the provider's vector %zu holds what is no finite number", index);
        out[i] = number;
        squares += (double)number * (double)number;
    }
    if (squares == 0)
        return tn_fail(err, TN_EUPSTREAM, "the provider's vector %zu is all zeros", index);
    return TN_OK;
}

static enum tn_code read_all(enum model_kind kind, const json_t *list, struct model_vectors *vectors,
                             struct tn_error *err)
{
    TN_AUTO_FREE bool *seen = tn_calloc(vectors->count, sizeof *seen);
    if (!json_is_array(list) || json_array_size(list) != vectors->count)
        return tn_fail(err, TN_EUPSTREAM, "the provider sent %zu vectors for %zu texts", json_array_size(list),
                       vectors->count);
    for (size_t i = 0; i < vectors->count; i++) {
        const json_t *item = json_array_get(list, i);
        size_t index = i;
        if (kind == MODEL_OPENAI) {
            const json_t *at = json_object_get(item, "index");
            if (json_is_integer(at) && json_integer_value(at) >= 0)
                index = (size_t)json_integer_value(at);
            item = json_object_get(item, "embedding");
        }
        if (index >= vectors->count || seen[index])
            return tn_fail(err, TN_EUPSTREAM, "the provider's vectors have indexes that are none of the texts'");
        seen[index] = true;
        TN_TRY(read_vector(item, vectors, index, err));
    }
    return TN_OK;
}

enum tn_code model_read_vectors(enum model_kind kind, const char *body, size_t length, struct model_vectors *vectors,
                                struct tn_error *err)
{
    TN_AUTO_JSON *document = NULL;
    if (tn_json_parse(body, length, MODEL_ANSWER_BYTES_MAX, "the provider's answer", &document, err) != TN_OK) {
        tn_error_context(err, "it broke off, or is no JSON");
        return err ? err->code = TN_EUNAVAILABLE : TN_EUNAVAILABLE;
    }
    return read_all(kind, json_object_get(document, kind == MODEL_OLLAMA ? "embeddings" : "data"), vectors, err);
}

/* ---- chat ----------------------------------------------------------------------------------- */

/* One prompt, perhaps behind a system message: what /api/generate is for. */
static bool is_prompt(const struct model_chat *chat)
{
    return (chat->count == 1 || (chat->count == 2 && tn_streq(chat->messages[0].role, "system"))) &&
           tn_streq(chat->messages[chat->count - 1].role, "user");
}

const char *model_chat_path(const struct model_provider *provider, const struct model_chat *chat)
{
    if (provider->kind == MODEL_OPENAI)
        return "/chat/completions";
    return is_prompt(chat) ? "/api/generate" : "/api/chat";
}

static void write_messages(const struct model_chat *chat, struct tn_json *json)
{
    tn_json_key(json, "messages");
    tn_json_open(json, '[');
    for (size_t i = 0; i < chat->count; i++) {
        tn_json_open(json, '{');
        tn_json_kstr(json, "role", chat->messages[i].role);
        tn_json_key(json, "content");
        tn_json_strn(json, chat->messages[i].text, strlen(chat->messages[i].text));
        tn_json_close(json, '}');
    }
    tn_json_close(json, ']');
}

static void write_ollama_chat(const struct model_provider *provider, const struct model_chat *chat,
                              struct tn_json *json)
{
    if (is_prompt(chat)) {
        if (chat->count == 2)
            tn_json_kstr(json, "system", chat->messages[0].text);
        tn_json_kstr(json, "prompt", chat->messages[chat->count - 1].text);
    } else {
        write_messages(chat, json);
    }
    tn_json_kbool(json, "stream", true);
    tn_json_ki64(json, "keep_alive", (int64_t)provider->keep_alive_s);
    if (chat->json)
        tn_json_kstr(json, "format", "json");
    tn_json_key(json, "options");
    tn_json_open(json, '{');
    tn_json_kf64(json, "temperature", chat->temperature);
    tn_json_ki64(json, "seed", 1);
    if (chat->max_tokens)
        tn_json_ki64(json, "num_predict", chat->max_tokens);
    if (chat->stop_count)
        tn_json_kstrs(json, "stop", chat->stop, chat->stop_count);
    tn_json_close(json, '}');
}

static void write_openai_chat(const struct model_chat *chat, struct tn_json *json)
{
    write_messages(chat, json);
    tn_json_kbool(json, "stream", true);
    tn_json_key(json, "stream_options");
    tn_json_raw(json, "{\"include_usage\":true}", 22);
    tn_json_kf64(json, "temperature", chat->temperature);
    if (chat->max_tokens)
        tn_json_ki64(json, "max_tokens", chat->max_tokens);
    if (chat->stop_count)
        tn_json_kstrs(json, "stop", chat->stop, chat->stop_count);
    if (chat->json) {
        tn_json_key(json, "response_format");
        tn_json_raw(json, "{\"type\":\"json_object\"}", 22);
    }
}

void model_write_chat(const struct model_provider *provider, const char *remote, const struct model_chat *chat,
                      struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "model", remote);
    if (provider->kind == MODEL_OLLAMA)
        write_ollama_chat(provider, chat, &json);
    else
        write_openai_chat(chat, &json);
    tn_json_close(&json, '}');
}
