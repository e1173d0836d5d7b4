/* What a provider says of a model: its digest, limits and dimension; and
 * whether that is still so. */
#include "model/model_internal.h"

#include <math.h>
#include <stdio.h>

enum { LIST_MAX = 4 << 20, TOKENS_UNKNOWN = 512 };

/* Its vector tells versions apart where no digest does. */
#define PROBE "The quick brown fox jumps over the lazy dog 0123456789."
/* Two runs of one model differ by rounding; two models by far more. */
#define PROBE_COSINE 0.995

/* ---- answers of Ollama ------------------------------------------------------------------- */

struct listing {
    const char *remote;
    char digest[160]; /* "" when none is given */
    bool found;
};

static bool same_name(const char *listed, const char *remote)
{
    size_t length = strlen(remote);
    return strncmp(listed, remote, length) == 0 && (!listed[length] || tn_streq(listed + length, ":latest"));
}

static enum tn_code read_tags(void *context, const char *body, size_t length, struct tn_error *err)
{
    struct listing *listing = context;
    TN_AUTO_JSON *document = NULL;
    if (tn_json_parse(body, length, LIST_MAX, "the list of models", &document, err) != TN_OK)
        return err->code = TN_EUNAVAILABLE;
    const json_t *models = json_object_get(document, "models");
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *item = json_array_get(models, i);
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *digest = json_string_value(json_object_get(item, "digest"));
        if (!name || !same_name(name, listing->remote))
            continue;
        listing->found = true;
        if (digest && strlen(digest) < sizeof listing->digest && tn_utf8_width(digest, strlen(digest)))
            (void)snprintf(listing->digest, sizeof listing->digest, "%s", digest);
    }
    return TN_OK;
}

static enum tn_code ask_tags(struct model *model, const volatile bool *cancel, struct listing *ret,
                             struct tn_error *err)
{
    *ret = (struct listing){.remote = model->remote};
    const struct model_exchange exchange = {.method = "GET",
                                            .path = "/api/tags",
                                            .max_answer = LIST_MAX,
                                            .cancel = cancel,
                                            .read = read_tags,
                                            .context = ret};
    TN_TRY(model_exchange(model->provider, &exchange, err));
    if (ret->found)
        return TN_OK;
    (void)tn_fail(err, TN_ENOTFOUND, "ollama at %s has no model %s", model->provider->url, model->remote);
    tn_error_hint(err, "`ollama pull %s` fetches it; `tarn model list` shows what is there", model->remote);
    return TN_ENOTFOUND;
}

/* "model_info": {"nomic-bert.context_length": 2048, ...} */
static enum tn_code read_show(void *context, const char *body, size_t length, struct tn_error *err)
{
    uint32_t *max_tokens = context;
    TN_AUTO_JSON *document = NULL;
    if (tn_json_parse(body, length, MODEL_ANSWER_BYTES_MAX, "what is known of a model", &document, err) != TN_OK)
        return err->code = TN_EUNAVAILABLE;
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(document, "model_info"), key, value)
    {
        if (tn_str_ends_with(key, ".context_length") && json_integer_value(value) > 0 &&
            json_integer_value(value) <= INT32_MAX)
            *max_tokens = (uint32_t)json_integer_value(value);
    }
    return TN_OK;
}

/* 0 when it does not say: an older server, or one that only resembles Ollama. */
static uint32_t ask_context_length(struct model *model, const volatile bool *cancel)
{
    uint32_t max_tokens = 0;
    TN_AUTO_BUF body = {0};
    struct tn_json json = tn_json_writer(&body);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "model", model->remote);
    tn_json_close(&json, '}');
    const struct model_exchange exchange = {.method = "POST",
                                            .path = "/api/show",
                                            .body = body.data,
                                            .body_length = body.len,
                                            .max_answer = MODEL_ANSWER_BYTES_MAX,
                                            .cancel = cancel,
                                            .read = read_show,
                                            .context = &max_tokens};
    return model_exchange(model->provider, &exchange, NULL) == TN_OK ? max_tokens : 0;
}

/* ---- the probe ---------------------------------------------------------------------------------- */

struct probe {
    enum model_kind kind;
    struct model_vectors vectors;
};

static enum tn_code read_probe(void *context, const char *body, size_t length, struct tn_error *err)
{
    struct probe *probe = context;
    return model_read_vectors(probe->kind, body, length, &probe->vectors, err);
}

/* *ret_vector is the caller's. */
static enum tn_code ask_probe(struct model *model, const volatile bool *cancel, float **ret_vector,
                              uint32_t *ret_dimension, struct tn_error *err)
{
    TN_AUTO_BUF body = {0};
    const struct model_text text = {PROBE, strlen(PROBE)};
    struct probe probe = {.kind = model->provider->kind, .vectors = {.count = 1}};
    model_write_embed(model->provider, model->remote, "", &text, 1, &body);
    const struct model_exchange exchange = {.method = "POST",
                                            .path = model_embed_path(model->provider),
                                            .body = body.data,
                                            .body_length = body.len,
                                            .max_answer = MODEL_ANSWER_BYTES_MAX,
                                            .cancel = cancel,
                                            .read = read_probe,
                                            .context = &probe};
    enum tn_code code = model_exchange(model->provider, &exchange, err);
    if (code != TN_OK) {
        free(probe.vectors.found);
        return code;
    }
    *ret_vector = probe.vectors.found;
    *ret_dimension = probe.vectors.dimension;
    return TN_OK;
}

static double length_of(const float *vector, size_t n)
{
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (double)vector[i] * (double)vector[i];
    return sqrt(squares);
}

/* The vector in 8 bits a dimension, the largest being 127. */
static int8_t *probe_codes(const float *vector, size_t n)
{
    int8_t *codes = tn_calloc(n, 1);
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(vector[i]));
    for (size_t i = 0; i < n; i++)
        codes[i] = (int8_t)lrintf(vector[i] / most * 127);
    return codes;
}

static double probe_cosine(const int8_t *codes, const float *vector, size_t n)
{
    double dot = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)codes[i] * (double)vector[i];
        squares += (double)codes[i] * codes[i];
    }
    return dot / (sqrt(squares) * length_of(vector, n));
}

/* ---- registering ------------------------------------------------------------------------------------ */

static enum tn_code save_entry(struct model *model, struct model_entry *entry, struct tn_error *err)
{
    __atomic_store_n(&model->entry, entry, __ATOMIC_RELEASE);
    return model_registry_save(model->service, err);
}

static char *version_of(const struct listing *listing, const int8_t *codes, size_t n)
{
    if (listing->digest[0])
        return tn_strdup(listing->digest);
    struct tn_hash hash;
    char hex[TN_HASH_HEX];
    tn_hash_init(&hash);
    tn_hash_update(&hash, codes, n);
    tn_hash_final_hex(&hash, hex);
    return tn_asprintf("probe-%.32s", hex);
}

static enum tn_code register_remote(struct model *model, const struct listing *listing, const volatile bool *cancel,
                                    struct tn_error *err)
{
    TN_AUTO_FREE float *vector = NULL;
    uint32_t dimension = 0;
    TN_TRY(ask_probe(model, cancel, &vector, &dimension, err));
    const struct model_family *family = model_family_of(model->remote);
    uint32_t max_tokens = model->provider->kind == MODEL_OLLAMA ? ask_context_length(model, cancel) : 0;
    if (max_tokens == 0)
        max_tokens = family->max_tokens ? family->max_tokens : TOKENS_UNKNOWN;
    struct model_entry *entry = tn_calloc(1, sizeof *entry);
    TN_AUTO_FREE int8_t *codes = probe_codes(vector, dimension);
    double length = length_of(vector, dimension);
    *entry = (struct model_entry){
        .name = tn_strdup(model->name),
        .version = version_of(listing, codes, dimension),
        .dimension = dimension,
        .max_tokens = max_tokens,
        .normalised = length > 0.999 && length < 1.001,
        .query_prefix = tn_strdup(family->query_prefix),
        .document_prefix = tn_strdup(family->document_prefix),
        .registered_us = tn_now_us(),
    };
    if (!listing->digest[0])
        entry->probe = TN_TAKE(codes);
    return save_entry(model, entry, err);
}

/* ---- verifying ---------------------------------------------------------------------------------------- */

static enum tn_code verify_probe(struct model *model, const volatile bool *cancel, struct tn_error *err)
{
    TN_AUTO_FREE float *vector = NULL;
    uint32_t dimension = 0;
    char what[160];
    const struct model_entry *entry = model->entry;
    TN_TRY(ask_probe(model, cancel, &vector, &dimension, err));
    if (dimension != entry->dimension) {
        (void)snprintf(what, sizeof what, "its vectors had %u dimensions and have %u", entry->dimension, dimension);
        return model_refuse_change(model, what, err);
    }
    if (!entry->probe || probe_cosine(entry->probe, vector, dimension) >= PROBE_COSINE)
        return TN_OK;
    (void)snprintf(what, sizeof what, "it makes another vector of the same text (cosine %.3f)",
                   probe_cosine(entry->probe, vector, dimension));
    return model_refuse_change(model, what, err);
}

static enum tn_code verify_entry(struct model *model, const struct listing *listing, const volatile bool *cancel,
                                 struct tn_error *err)
{
    const struct model_entry *entry = model->entry;
    if (entry->probe || !listing->digest[0])
        return verify_probe(model, cancel, err);
    if (tn_streq(entry->version, listing->digest))
        return TN_OK;
    char what[160];
    (void)snprintf(what, sizeof what, "its digest was %.24s and is %.24s", entry->version, listing->digest);
    return model_refuse_change(model, what, err);
}

static bool is_fresh(const struct model *model, uint64_t verified_ms, uint64_t now)
{
    return verified_ms > 0 && now - verified_ms < model->provider->verify_ms;
}

enum tn_code model_remote_verify(struct model *model, const volatile bool *cancel, struct tn_error *err)
{
    const struct model_clock *clock = &model->provider->clock;
    uint64_t now = clock->now_ms(clock->context);
    struct listing listing = {.remote = model->remote};
    if (model->entry && is_fresh(model, model->verified_ms, now))
        return TN_OK;
    model->verified_ms = 0;
    if (model->provider->kind == MODEL_OLLAMA)
        TN_TRY(ask_tags(model, cancel, &listing, err));
    TN_TRY(model->entry ? verify_entry(model, &listing, cancel, err) : register_remote(model, &listing, cancel, err));
    model->verified_ms = now;
    return TN_OK;
}

enum tn_code model_remote_verify_chat(struct model *model, const volatile bool *cancel, struct tn_error *err)
{
    const struct model_clock *clock = &model->provider->clock;
    uint64_t now = clock->now_ms(clock->context);
    struct listing listing;
    /* The other protocol has no list that every server keeps: the call will tell. */
    if (model->provider->kind == MODEL_OPENAI || is_fresh(model, model->chat_verified_ms, now))
        return TN_OK;
    TN_TRY(ask_tags(model, cancel, &listing, err));
    if (!model->chat_version)
        model->chat_version = tn_strdup(listing.digest);
    model->chat_verified_ms = now;
    return TN_OK;
}
