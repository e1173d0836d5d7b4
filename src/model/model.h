/* model: who turns texts into vectors, and questions into words.
 *
 * A provider answers: "builtin" (src/embed, in this process), "ollama" or
 * "openai" (any server that speaks that protocol), each with a name, an
 * address and limits from tarn.yaml. A model is what a provider offers: its
 * name is "PROVIDER/NAME" or, where that is clear, "NAME". The registry
 * remembers for each embedding model that was ever used its version (digest),
 * dimension, prefixes, normalisation and token limit; a model that answers
 * otherwise than its entry (another digest, another dimension) is refused with
 * what to do, for vectors of two versions must never be compared.
 *
 *   model_service_open()  providers and registry; nobody is contacted yet
 *   model_find()          what is known of a model, asking its provider once
 *   model_embed()         texts to vectors, batched, retried, in order
 *   model_chat()          messages to an answer, streamed
 *   model_import()        a downloaded folder becomes a built-in model
 *   model_accept()        a model that changed is wanted as it is now
 *
 * Calls to a provider are bounded: so many at once, a time-out each, retries
 * with growing pauses and jitter for what may pass (connection, 429, 5xx), and
 * a breaker that answers TN_EUNAVAILABLE at once after several failures in a
 * row until a probe succeeds. Texts beyond a model's token limit are cut there
 * and counted, never refused. What a provider sends is checked: number and
 * dimension of vectors, finite values.
 *
 * Ownership: the service owns all; a model_info is filled with borrowed text
 * that lives as long as the service. Keys come from a file with mode 0600 and
 * are never logged or shown.
 * Threads: every function from any thread, except open and close.
 * Errors: TN_ENOTFOUND (names the known models), TN_EUNAVAILABLE (provider
 * away; when it is tried again), TN_ETIMEOUT, TN_ECONFLICT (a model changed
 * behind its name), TN_EUPSTREAM (it does not let us in, or its answer makes
 * no sense), TN_ECONFIG, TN_ECANCELLED.
 */
#ifndef TARN_MODEL_MODEL_H
#define TARN_MODEL_MODEL_H

#include "base/base.h"

struct model_service;

enum model_use { MODEL_PLAIN, MODEL_QUERY, MODEL_DOCUMENT };

struct model_options {
    const struct tn_config *config; /* ai.* keys; outlives the service */
    const char *folder;             /* the lake's models/ folder: imported assets, registry.json */
    const char *shared_asset;       /* the asset that came with the build; NULL: none */
    struct tn_pool *pool;           /* for the built-in encoder; outlives the service */
    struct tn_pool *behind;         /* the same for background calls; NULL: they stay on the caller's thread */
};

enum tn_code model_service_open(const struct model_options *options, struct model_service **ret,
                                struct tn_error *err) TN_CHECKED;
void model_service_close(struct model_service *service);
TN_DEFINE_CLEANUP(struct model_service, model_service_close)

struct model_info {
    const char *name;     /* whole: "builtin/all-MiniLM-L6-v2" */
    const char *provider; /* "builtin" */
    const char *version;  /* digest; never "" for an embedding model */
    uint32_t dimension;   /* 0: a model for chat */
    uint32_t max_tokens;
    bool normalised;
    const char *query_prefix, *document_prefix;
};

/* NULL or "" names the default embedding model (ai.embed.model, else the
 * built-in one). */
enum tn_code model_find(struct model_service *service, const char *name, struct model_info *ret,
                        struct tn_error *err) TN_CHECKED;
/* NULL names the default model for chat. TN_ENOTFOUND with how to configure
 * one when there is none. */
enum tn_code model_find_chat(struct model_service *service, const char *name, struct model_info *ret,
                             struct tn_error *err) TN_CHECKED;

struct model_text {
    const char *data;
    size_t length;
};
struct model_call {
    enum model_use use;
    enum tn_priority priority;   /* of the built-in encoder's work: jobs say TN_BACKGROUND */
    const char *version;         /* refuse another; NULL: take what is registered */
    const volatile bool *cancel; /* looked at (atomically) between batches and while waiting; NULL: none */
    uint64_t timeout_ms;         /* 0: the provider's */
};
/* `out`: count * dimension floats, in the texts' order. *ret_cut (may be NULL):
 * how many texts were longer than the model reads. */
enum tn_code model_embed(struct model_service *service, const char *name, const struct model_call *call,
                         const struct model_text *texts, size_t count, float *out, size_t *ret_cut,
                         struct tn_error *err) TN_CHECKED;
/* How many tokens a text has: exact for the built-in model, else a careful
 * estimate from above. */
size_t model_count_tokens(struct model_service *service, const char *name, struct model_text text);

struct model_message {
    const char *role; /* "system" "user" "assistant" */
    const char *text;
};
#define MODEL_STOPS_MAX 4
struct model_chat {
    const struct model_message *messages;
    size_t count;
    double temperature;      /* 0 by default: the same question, the same answer */
    const char *const *stop; /* texts at which the answer ends, at most MODEL_STOPS_MAX */
    size_t stop_count;
    uint32_t max_tokens; /* 0: the provider's */
    bool json;           /* ask for one JSON object */
    const volatile bool *cancel;
    uint64_t timeout_ms;
    /* Called with each piece as it comes; not TN_OK ends the call. May be NULL. */
    enum tn_code (*piece)(void *context, const char *text, size_t length);
    void *context;
};
struct model_usage {
    uint64_t prompt_tokens, answer_tokens;
    uint64_t microseconds;
    bool estimated; /* the provider did not say */
};
/* `ret_answer` gets the whole text. */
enum tn_code model_chat(struct model_service *service, const char *name, const struct model_chat *chat,
                        struct tn_buf *ret_answer, struct model_usage *ret_usage, struct tn_error *err) TN_CHECKED;

/* The default from now on, for vectors or for chat; kept in the registry.
 * TN_ECONFLICT while tarn.yaml names one. */
enum tn_code model_set_default(struct model_service *service, const char *name, bool chat, struct model_info *ret,
                               struct tn_error *err) TN_CHECKED;
/* What a model is now becomes what it is held to: after TN_ECONFLICT, when the
 * change is wanted. Vectors of the former version remain what they are. */
enum tn_code model_accept(struct model_service *service, const char *name, struct model_info *ret,
                          struct tn_error *err) TN_CHECKED;

/* The asset that came with the build: TARN_MODEL, else beside the program, else
 * where an installation puts it. NULL: there is none. The arena's. */
#define MODEL_DEFAULT_NAME "all-MiniLM-L6-v2"
char *model_shared_asset(struct tn_arena *arena);

/* A folder as published (safetensors, vocab, config) becomes models/NAME.tarn-model
 * (NULL: the folder's name). TN_EEXISTS when another model has that name. */
enum tn_code model_import(struct model_service *service, const char *folder, const char *name, struct model_info *ret,
                          struct tn_error *err) TN_CHECKED;

/* Arrays for GET /ai/providers (name, kind, address, state, breaker, calls,
 * failures) and GET /ai/models (models that are known or offered; a provider
 * that is away is a line with its problem, not an error). */
enum tn_code model_write_providers(struct model_service *service, struct tn_json *out,
                                   struct tn_error *err) TN_CHECKED;
enum tn_code model_write_models(struct model_service *service, struct tn_json *out, struct tn_error *err) TN_CHECKED;

#endif
