/* Texts to vectors: in this process, or in batches to a provider. */
#include "model/model_internal.h"

enum { BUILTIN_BATCH = 64, FEW = 2 };

/* ---- in this process ---------------------------------------------------------------------- */

static enum tn_code embed_batch(struct model *model, const struct model_call *call, const struct embed_text *texts,
                                size_t count, float *out, struct embed_count *counts, struct tn_error *err)
{
    const enum embed_kind kind = (enum embed_kind)call->use;
    struct tn_pool *pool = call->priority == TN_BACKGROUND ? model->service->behind : model->service->pool;
    if (count < FEW || !pool)
        return embed_encode(model->asset, NULL, kind, texts, count, out, counts, err);
    return embed_encode_batch(model->asset, pool, call->priority, kind, texts, count, out, counts, err);
}

static enum tn_code embed_builtin(struct model *model, const struct model_call *call, const struct model_text *texts,
                                  size_t count, float *out, size_t *cut, struct tn_error *err)
{
    _Static_assert((int)MODEL_QUERY == (int)EMBED_QUERY && (int)MODEL_DOCUMENT == (int)EMBED_DOCUMENT,
                   "one order of uses");
    struct embed_text batch[BUILTIN_BATCH];
    struct embed_count counts[BUILTIN_BATCH];
    size_t dimension = embed_model_info(model->asset)->dimension;
    for (size_t at = 0; at < count;) {
        size_t n = TN_MIN(count - at, (size_t)BUILTIN_BATCH);
        if (model_cancelled(call->cancel))
            return tn_fail(err, TN_ECANCELLED, "cancelled after %zu of %zu texts", at, count);
        for (size_t i = 0; i < n; i++)
            batch[i] = (struct embed_text){texts[at + i].data, texts[at + i].length};
        TN_TRY(embed_batch(model, call, batch, n, out + at * dimension, counts, err));
        for (size_t i = 0; i < n; i++)
            *cut += counts[i].truncated;
        at += n;
    }
    return TN_OK;
}

/* ---- at a provider ----------------------------------------------------------------------------- */

struct batch {
    enum model_kind kind;
    struct model_vectors vectors;
};

static enum tn_code read_batch(void *context, const char *body, size_t length, struct tn_error *err)
{
    struct batch *batch = context;
    return model_read_vectors(batch->kind, body, length, &batch->vectors, err);
}

static const char *prefix_of(const struct model_entry *entry, enum model_use use)
{
    return use == MODEL_QUERY ? entry->query_prefix : use == MODEL_DOCUMENT ? entry->document_prefix : "";
}

/* Ollama cuts by itself, exactly; others refuse what is too long. */
static struct model_text cut_text(const struct model *model, const struct model_entry *entry, struct model_text text,
                                  size_t *cut)
{
    size_t end = text.length;
    size_t tokens = model_estimate_tokens(text.data, text.length, entry->max_tokens, &end);
    if (tokens <= entry->max_tokens)
        return text;
    ++*cut;
    if (model->provider->kind == MODEL_OLLAMA)
        end = tn_utf8_floor(text.data, text.length, TN_MIN(text.length, (size_t)entry->max_tokens * 16));
    return (struct model_text){text.data, end};
}

static enum tn_code send_batch(struct model *model, const struct model_entry *entry, const struct model_call *call,
                               const struct model_text *texts, size_t count, float *out, struct tn_error *err)
{
    TN_AUTO_BUF body = {0};
    struct batch batch = {.kind = model->provider->kind,
                          .vectors = {.count = count, .dimension = entry->dimension, .out = out}};
    model_write_embed(model->provider, model->remote, prefix_of(entry, call->use), texts, count, &body);
    const struct model_exchange exchange = {.method = "POST",
                                            .path = model_embed_path(model->provider),
                                            .body = body.data,
                                            .body_length = body.len,
                                            .max_answer = MODEL_ANSWER_BYTES_MAX,
                                            .priority = call->priority,
                                            .timeout_ms = call->timeout_ms,
                                            .cancel = call->cancel,
                                            .read = read_batch,
                                            .context = &batch};
    struct tn_error mine = {0};
    enum tn_code code = model_exchange(model->provider, &exchange, &mine);
    if (code == TN_ECONFLICT)
        return model_refuse_change(model, mine.detail, err);
    if (code != TN_OK && err)
        *err = mine;
    return code;
}

static enum tn_code verify(struct model *model, const struct model_entry *entry, const struct model_call *call,
                           struct tn_error *err)
{
    (void)pthread_mutex_lock(&model->lock);
    enum tn_code code = model_remote_verify(model, call->cancel, err);
    bool other = model->entry != entry;
    (void)pthread_mutex_unlock(&model->lock);
    if (code == TN_OK && other)
        return model_refuse_change(model, "another version was accepted meanwhile", err);
    return code;
}

static enum tn_code embed_remote(struct model *model, const struct model_entry *entry, const struct model_call *call,
                                 const struct model_text *texts, size_t count, float *out, size_t *cut,
                                 struct tn_error *err)
{
    size_t most = model->provider->batch;
    TN_AUTO_FREE struct model_text *batch = tn_calloc(most, sizeof *batch);
    for (size_t at = 0; at < count;) {
        size_t n = 0, bytes = 0;
        while (at + n < count && n < most && bytes < MODEL_BATCH_BYTES) {
            batch[n] = cut_text(model, entry, texts[at + n], cut);
            bytes += batch[n++].length;
        }
        if (at > 0)
            TN_TRY(verify(model, entry, call, err));
        TN_TRY(send_batch(model, entry, call, batch, n, out + at * entry->dimension, err));
        at += n;
    }
    return TN_OK;
}

/* ---- both ------------------------------------------------------------------------------------------ */

enum tn_code model_embed(struct model_service *service, const char *name, const struct model_call *call,
                         const struct model_text *texts, size_t count, float *out, size_t *ret_cut,
                         struct tn_error *err)
{
    struct model *model = NULL;
    const struct model_entry *entry = NULL;
    size_t cut = 0;
    TN_TRY(model_ready(service, name, call->cancel, &model, &entry, err));
    if (call->version && !tn_streq(call->version, entry->version)) {
        (void)tn_fail(err, TN_ECONFLICT, "version %.32s of model %s is wanted, and it is %.32s", call->version,
                      entry->name, entry->version);
        tn_error_hint(err, "vectors of two versions cannot be compared: embed the index again");
        return TN_ECONFLICT;
    }
    TN_TRY(model->provider->kind == MODEL_BUILTIN ? embed_builtin(model, call, texts, count, out, &cut, err)
                                                  : embed_remote(model, entry, call, texts, count, out, &cut, err));
    if (ret_cut)
        *ret_cut = cut;
    return TN_OK;
}

size_t model_count_tokens(struct model_service *service, const char *name, struct model_text text)
{
    struct model *model = NULL;
    const struct model_entry *entry = NULL;
    if (model_ready(service, name, NULL, &model, &entry, NULL) == TN_OK && model->provider->kind == MODEL_BUILTIN)
        return embed_count_tokens(model->asset, EMBED_PLAIN, (struct embed_text){text.data, text.length});
    return model_estimate_tokens(text.data, text.length, SIZE_MAX, NULL);
}
