/* What a model's folder says about itself, in half a dozen JSON files that
 * differ between publishers. Whatever would change the vectors and is not
 * supported is refused by name; the rest is ignored. */
#include "embed/import.h"

#include <errno.h>
#include <math.h>
#include <unistd.h>

enum { CONFIG_FILE_MAX = 4 << 20 };

struct reader {
    struct tn_arena *arena;
    const char *dir;
    struct tn_error *err;
};

/* *ret is an object or array, or NULL for an absent file. */
static enum tn_code read_json(const struct reader *r, const char *name, json_t **ret)
{
    const char *path = tn_path_join(r->arena, r->dir, name);
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        *ret = NULL;
        return TN_OK;
    }
    TN_AUTO_BUF text = {0};
    TN_TRY(tn_file_read(path, CONFIG_FILE_MAX, &text, r->err));
    enum tn_code code = tn_json_parse(text.data ? text.data : "", text.len, CONFIG_FILE_MAX, name, ret, r->err);
    if (code != TN_OK)
        tn_error_context(r->err, "%s", path);
    return code;
}

static enum tn_code unsupported(const struct reader *r, const char *file, const char *key, const char *value,
                                const char *supported)
{
    (void)tn_fail(r->err, TN_EUNSUPPORTED, "%s: %s \"%s\" is not supported", file, key, value);
    tn_error_hint(r->err, "supported: %s", supported);
    return TN_EUNSUPPORTED;
}

static const char *text_of(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : otherwise;
}

static enum tn_code read_count(const struct reader *r, const json_t *config, const char *key, uint32_t *ret)
{
    const json_t *value = json_object_get(config, key);
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 1 || number > INT32_MAX)
        return tn_fail(r->err, TN_ECORRUPT, "config.json: %s is missing or not a count", key);
    *ret = (uint32_t)number;
    return TN_OK;
}

/* Limits of the kernels, told by the name that the file uses. */
static enum tn_code check_shape(const struct reader *r, const struct import_config *c)
{
    if (c->hidden % 64 || c->hidden > ASSET_HIDDEN_MAX)
        return tn_fail(r->err, TN_EUNSUPPORTED,
                       "config.json: hidden_size %u is not supported (a multiple of 64 up to %d)", c->hidden,
                       ASSET_HIDDEN_MAX);
    if (c->inner % 64 || c->inner > ASSET_INNER_MAX)
        return tn_fail(r->err, TN_EUNSUPPORTED,
                       "config.json: intermediate_size %u is not supported (a multiple of 64 up to %d)", c->inner,
                       ASSET_INNER_MAX);
    if (c->hidden % c->heads || c->hidden / c->heads % 32)
        return tn_fail(
            r->err, TN_EUNSUPPORTED,
            "config.json: %u attention heads over %u dimensions are not supported (heads of a multiple of 32)",
            c->heads, c->hidden);
    if (c->layers > ASSET_LAYERS_MAX)
        return tn_fail(r->err, TN_EUNSUPPORTED, "config.json: %u layers are not supported (at most %d)", c->layers,
                       ASSET_LAYERS_MAX);
    if (c->positions < 2 || c->positions > ASSET_POSITIONS_MAX)
        return tn_fail(r->err, TN_EUNSUPPORTED, "config.json: %u positions are not supported (2 to %d)", c->positions,
                       ASSET_POSITIONS_MAX);
    return TN_OK;
}

static enum tn_code read_architecture(const struct reader *r, const json_t *config, struct import_config *c)
{
    const char *type = text_of(config, "model_type", "bert");
    if (!tn_streq(type, "bert"))
        return unsupported(r, "config.json", "model_type", type,
                           "models of type \"bert\" (MiniLM, bge, e5 except multilingual, gte before v1.5)");
    const char *architecture = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
    if (architecture && !tn_str_starts_with(architecture, "Bert"))
        return unsupported(r, "config.json", "architecture", architecture, "BertModel");
    const char *act = text_of(config, "hidden_act", "gelu");
    if (!tn_streq(act, "gelu"))
        return unsupported(r, "config.json", "hidden_act", act, "gelu");
    const char *position = text_of(config, "position_embedding_type", "absolute");
    if (!tn_streq(position, "absolute"))
        return unsupported(r, "config.json", "position_embedding_type", position, "absolute");
    TN_TRY(read_count(r, config, "hidden_size", &c->hidden));
    TN_TRY(read_count(r, config, "num_hidden_layers", &c->layers));
    TN_TRY(read_count(r, config, "num_attention_heads", &c->heads));
    TN_TRY(read_count(r, config, "intermediate_size", &c->inner));
    TN_TRY(read_count(r, config, "vocab_size", &c->vocab));
    TN_TRY(read_count(r, config, "max_position_embeddings", &c->positions));
    const json_t *epsilon = json_object_get(config, "layer_norm_eps");
    c->epsilon = json_is_number(epsilon) ? (float)json_number_value(epsilon) : 1e-12F;
    if (!isfinite(c->epsilon) || c->epsilon <= 0)
        return tn_fail(r->err, TN_ECORRUPT, "config.json: layer_norm_eps is not a small positive number");
    return check_shape(r, c);
}

static bool flag_of(const json_t *object, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_boolean_value(value) : otherwise;
}

static enum tn_code read_tokenizer(const struct reader *r, struct import_config *c)
{
    TN_AUTO_JSON *json = NULL;
    TN_TRY(read_json(r, "tokenizer_config.json", &json));
    const char *tokenizer = text_of(json, "tokenizer_class", "BertTokenizer");
    if (!tn_streq(tokenizer, "BertTokenizer") && !tn_streq(tokenizer, "BertTokenizerFast"))
        return unsupported(r, "tokenizer_config.json", "tokenizer_class", tokenizer, "BertTokenizer (WordPiece)");
    c->lowercase = flag_of(json, "do_lower_case", true);
    c->cjk = flag_of(json, "tokenize_chinese_chars", true);
    if (flag_of(json, "strip_accents", c->lowercase) != c->lowercase)
        return unsupported(r, "tokenizer_config.json", "strip_accents", c->lowercase ? "false" : "true",
                           "accents removed exactly when do_lower_case is true");
    return TN_OK;
}

static enum tn_code read_pooling(const struct reader *r, const char *folder, bool required, struct import_config *c)
{
    TN_AUTO_JSON *json = NULL;
    const char *name = tn_arena_printf(r->arena, "%s/config.json", folder);
    TN_TRY(read_json(r, name, &json));
    if (!json && !required)
        return TN_OK;
    const char *modes = "pooling_mode_cls_token or pooling_mode_mean_tokens, one of them";
    const char *key;
    json_t *value;
    json_object_foreach(json, key, value)
    {
        if (tn_str_starts_with(key, "pooling_mode_") && json_is_true(value) &&
            !tn_streq(key, "pooling_mode_cls_token") && !tn_streq(key, "pooling_mode_mean_tokens"))
            return unsupported(r, name, "pooling", key, modes);
    }
    bool cls = flag_of(json, "pooling_mode_cls_token", false);
    bool mean = flag_of(json, "pooling_mode_mean_tokens", false);
    if (cls == mean) {
        (void)tn_fail(r->err, TN_EUNSUPPORTED, "%s does not say how tokens become one vector", name);
        tn_error_hint(r->err, "supported: %s; the file belongs to the published model: fetch it too", modes);
        return TN_EUNSUPPORTED;
    }
    c->pooling = cls ? EMBED_POOL_CLS : EMBED_POOL_MEAN;
    return TN_OK;
}

/* The steps of a sentence model: transformer, pooling, maybe normalisation. */
static enum tn_code read_modules(const struct reader *r, struct import_config *c)
{
    TN_AUTO_JSON *json = NULL;
    TN_TRY(read_json(r, "modules.json", &json));
    if (!json) {
        c->normalise = true;
        return read_pooling(r, "1_Pooling", true, c);
    }
    const char *pooling = NULL;
    for (size_t i = 0; i < json_array_size(json); i++) {
        const json_t *module = json_array_get(json, i);
        const char *type = text_of(module, "type", "");
        const char *path = text_of(module, "path", "");
        if (tn_str_ends_with(type, ".Pooling"))
            pooling = tn_arena_strdup(r->arena, path);
        else if (tn_str_ends_with(type, ".Normalize"))
            c->normalise = true;
        else if (!tn_str_ends_with(type, ".Transformer"))
            return unsupported(r, "modules.json", "module", type, "Transformer, Pooling, Normalize");
        else if (path[0])
            return unsupported(r, "modules.json", "path of the Transformer", path, "weights in the folder itself");
    }
    if (!pooling || pooling[0] == '/' || strstr(pooling, ".."))
        return unsupported(r, "modules.json", "path of Pooling", pooling ? pooling : "", "a folder beside it");
    return read_pooling(r, pooling, true, c);
}

static enum tn_code read_limits(const struct reader *r, struct import_config *c)
{
    TN_AUTO_JSON *json = NULL;
    TN_TRY(read_json(r, "sentence_bert_config.json", &json));
    json_int_t most = json_integer_value(json_object_get(json, "max_seq_length"));
    c->max_tokens = most >= 2 && most < c->positions ? (uint32_t)most : c->positions;
    return TN_OK;
}

/* Prefixes that families were trained with and their folders do not tell. */
static const struct {
    const char *part, *and_part, *query, *document;
} families[] = {
    {"e5-", "e5-", "query: ", "passage: "},
    {"bge-", "-en", "Represent this sentence for searching relevant passages: ", ""},
    {"bge-", "-zh",
     "\xE4\xB8\xBA\xE8\xBF\x99\xE4\xB8\xAA\xE5\x8F\xA5\xE5\xAD\x90\xE7\x94\x9F\xE6\x88\x90"
     "\xE8\xA1\xA8\xE7\xA4\xBA\xE4\xBB\xA5\xE7\x94\xA8\xE4\xBA\x8E\xE6\xA3\x80\xE7\xB4\xA2"
     "\xE7\x9B\xB8\xE5\x85\xB3\xE6\x96\x87\xE7\xAB\xA0\xEF\xBC\x9A",
     ""},
};

static enum tn_code read_prefixes(const struct reader *r, const char *origin,
                                  const struct embed_import_options *options, struct import_config *c)
{
    TN_AUTO_JSON *json = NULL;
    TN_TRY(read_json(r, "config_sentence_transformers.json", &json));
    const json_t *prompts = json_object_get(json, "prompts");
    const char *query = text_of(prompts, "query", NULL);
    const char *document = text_of(prompts, "document", text_of(prompts, "passage", NULL));
    for (size_t i = 0; i < TN_COUNT(families) && !query && !document; i++) {
        if ((!strstr(c->name, families[i].part) || !strstr(c->name, families[i].and_part)) &&
            (!strstr(origin, families[i].part) || !strstr(origin, families[i].and_part)))
            continue;
        query = families[i].query;
        document = families[i].document;
    }
    if (options && options->query_prefix)
        query = options->query_prefix;
    if (options && options->document_prefix)
        document = options->document_prefix;
    c->query_prefix = tn_arena_strdup(r->arena, query ? query : "");
    c->document_prefix = tn_arena_strdup(r->arena, document ? document : "");
    return TN_OK;
}

/* The folder's own name, also for "." and "x/". */
static enum tn_code read_name(const struct reader *r, const struct embed_import_options *options, const char **ret)
{
    if (options && options->name) {
        *ret = tn_arena_strdup(r->arena, options->name);
        return TN_OK;
    }
    char *path = NULL;
    TN_TRY(tn_path_real(r->arena, r->dir, &path, r->err));
    const char *slash = strrchr(path, '/');
    *ret = slash && slash[1] ? slash + 1 : "model";
    return TN_OK;
}

enum tn_code import_config_read(struct tn_arena *arena, const char *dir, const struct embed_import_options *options,
                                struct import_config *ret, struct tn_error *err)
{
    struct reader r = {arena, dir, err};
    struct import_config c = {0};
    TN_TRY(read_name(&r, options, &c.name));
    TN_AUTO_JSON *config = NULL;
    TN_TRY(read_json(&r, "config.json", &config));
    if (!config) {
        (void)tn_fail(err, TN_ENOTFOUND, "%s has no config.json", dir);
        tn_error_hint(err, "name the folder of a published model: config.json, model.safetensors, vocab.txt");
        return TN_ENOTFOUND;
    }
    if (!json_is_object(config))
        return tn_fail(err, TN_ECORRUPT, "%s/config.json is not an object", dir);
    TN_TRY(read_architecture(&r, config, &c));
    TN_TRY(read_tokenizer(&r, &c));
    TN_TRY(read_modules(&r, &c));
    TN_TRY(read_limits(&r, &c));
    TN_TRY(read_prefixes(&r, text_of(config, "_name_or_path", ""), options, &c));
    *ret = c;
    return TN_OK;
}
