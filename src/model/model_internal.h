/* What the parts of model share.
 *
 *   service.c   open, close, names to models, accept, defaults
 *   builtin.c   assets in this process
 *   registry.c  what is remembered of embedding models (registry.json)
 *   remote.c    what a provider says of a model, and whether that is still so
 *   embed.c     texts to vectors        chat.c   messages to an answer
 *   call.c      one request to a provider: turns, retries, what its errors mean
 *   wire.c      the two protocols' documents, written and read
 *   stream.c    answers in pieces       http.c   transfers
 *   guard.c     turns, the breaker, pauses
 *   family.c    prefixes and limits of models known by name
 *   list.c      what GET /ai/providers and GET /ai/models show
 *
 * Locks: service.lock guards the list of models and the defaults and is never
 * held while a provider is asked; model.lock is held while one model is found
 * or verified, so that its provider is asked once. Order: model.lock, then
 * service.lock, then a provider's guard.
 */
#ifndef TARN_MODEL_MODEL_INTERNAL_H
#define TARN_MODEL_MODEL_INTERNAL_H

#include "embed/embed.h"
#include "model/guard.h"
#include "model/http.h"
#include "model/model.h"
#include "model/stream.h"

#define MODEL_SUFFIX ".tarn-model"

enum {
    MODEL_ANSWER_BYTES_MAX = 64 << 20, /* of one answer with vectors */
    MODEL_BATCH_BYTES = 1 << 20,       /* of one request's texts */
    MODEL_DIMENSION_MAX = 16384,
    MODEL_KEY_MAX = 4096,
};

/* ---- providers ------------------------------------------------------------ */

enum model_kind { MODEL_BUILTIN, MODEL_OLLAMA, MODEL_OPENAI };

struct model_clock {
    uint64_t (*now_ms)(void *context);
    void (*sleep_ms)(void *context, uint64_t ms);
    uint64_t (*random)(void *context);
    void *context;
};
extern const struct model_clock model_clock_real;

struct model_provider {
    enum model_kind kind;
    const char *name;
    char *url;      /* "" when it is not configured, and for the built-in one */
    char *key_file; /* "" for none */
    uint64_t timeout_ms;
    unsigned retries;
    size_t batch;
    uint64_t verify_ms;    /* how long what a provider said of a model is believed */
    uint64_t keep_alive_s; /* Ollama */
    struct model_guard guard;
    struct model_clock clock;
    struct model_http *http;
    /* http.c's, or a test's. */
    enum tn_code (*send)(void *transport, const struct model_http_request *request, struct model_http_reply *ret,
                         struct tn_error *err);
    void *transport;
};

/* One request, retried. */
struct model_exchange {
    const char *method, *path;
    const char *body;
    size_t body_length;
    size_t max_answer;
    enum tn_priority priority;
    uint64_t timeout_ms; /* 0: the provider's; for all attempts together */
    const volatile bool *cancel;
    /* Judges the body of a 200; TN_EUNAVAILABLE is tried again. */
    enum tn_code (*read)(void *context, const char *body, size_t length, struct tn_error *err);
    /* Instead of `read`: takes the body as it comes. `again` says whether the
     * call may be made anew, and forgets what came. */
    enum tn_code (*sink)(void *context, const char *bytes, size_t count, struct tn_error *err);
    enum tn_code (*end)(void *context, struct tn_error *err);
    bool (*again)(void *context);
    void *context;
};
enum tn_code model_exchange(struct model_provider *provider, const struct model_exchange *exchange,
                            struct tn_error *err) TN_CHECKED;

/* ---- models ---------------------------------------------------------------- */

/* One known state of a model; never changed and never freed before the service
 * is closed, for model_info borrows from it. */
struct model_entry {
    struct model_entry *older;
    char *name, *version;
    uint32_t dimension, max_tokens;
    bool normalised;
    char *query_prefix, *document_prefix;
    int8_t *probe; /* `dimension` codes of a fixed text's vector; NULL where a digest tells versions apart */
    int64_t registered_us;
};

struct model {
    struct model *next;
    struct model_service *service;
    struct model_provider *provider;
    char *name;       /* whole */
    char *remote;     /* as its provider calls it; points into name */
    char *asset_path; /* built-in: the asset, else NULL */
    pthread_mutex_t lock;
    struct model_entry *entry; /* NULL: never registered */
    struct embed_model *asset; /* opened when first wanted */
    uint64_t verified_ms;      /* 0: not yet in this process */
    uint64_t chat_verified_ms;
    char *chat_version;
};

struct model_service {
    const struct tn_config *config;
    char *folder;
    char *registry_path;
    struct tn_pool *pool, *behind;
    struct model_provider providers[3]; /* by enum model_kind */
    pthread_mutex_t lock;
    struct model *models;
    char *default_embed, *default_chat; /* as set by model_set_default; NULL: none */
    pthread_mutex_t save_lock;          /* one writer of the registry's file */
};

/* The model of that name, made when it is new. TN_ENOTFOUND for a built-in one
 * that is not there; a provider that is not configured is TN_ECONFIG. */
enum tn_code model_lookup(struct model_service *service, const char *name, struct model **ret,
                          struct tn_error *err) TN_CHECKED;
/* Finds, registers and verifies: the model and its entry of now. */
enum tn_code model_ready(struct model_service *service, const char *name, const volatile bool *cancel,
                         struct model **ret, const struct model_entry **ret_entry, struct tn_error *err) TN_CHECKED;
/* Adds a built-in model; replaces the asset of one with this name. service.lock is free. */
struct model *model_add(struct model_service *service, enum model_kind kind, const char *remote,
                        const char *asset_path);
/* "the known models are a, b" as a hint. */
void model_hint_known(struct model_service *service, struct tn_error *err);
bool model_provider_configured(const struct model_provider *provider);

/* builtin.c; model.lock is held */
enum tn_code model_builtin_open(struct model *model, struct tn_error *err) TN_CHECKED;

/* registry.c */
enum tn_code model_registry_load(struct model_service *service, struct tn_error *err) TN_CHECKED;
/* Writes all entries and defaults; service.lock is free. */
enum tn_code model_registry_save(struct model_service *service, struct tn_error *err) TN_CHECKED;
void model_entry_free(struct model_entry *entry);

/* remote.c; model.lock is held. Registers a model that is new, or holds it
 * against its entry when that was not done for provider.verify_ms. */
enum tn_code model_remote_verify(struct model *model, const volatile bool *cancel, struct tn_error *err) TN_CHECKED;
/* A model for chat: that its provider has it. */
enum tn_code model_remote_verify_chat(struct model *model, const volatile bool *cancel,
                                      struct tn_error *err) TN_CHECKED;
enum tn_code model_refuse_change(const struct model *model, const char *what, struct tn_error *err);

/* ---- protocols (wire.c) ------------------------------------------------------ */

struct model_vectors {
    size_t count;       /* wanted */
    uint32_t dimension; /* wanted; 0: any, then set */
    float *out;         /* count * dimension; NULL: `found` is made */
    float *found;
};
void model_write_embed(const struct model_provider *provider, const char *remote, const char *prefix,
                       const struct model_text *texts, size_t count, struct tn_buf *out);
const char *model_embed_path(const struct model_provider *provider);
/* Count, dimension and every value are checked. TN_EUNAVAILABLE for what is no
 * JSON, TN_ECONFLICT for another dimension, TN_EUPSTREAM for the rest. */
enum tn_code model_read_vectors(enum model_kind kind, const char *body, size_t length, struct model_vectors *vectors,
                                struct tn_error *err) TN_CHECKED;
void model_write_chat(const struct model_provider *provider, const char *remote, const struct model_chat *chat,
                      struct tn_buf *out);
const char *model_chat_path(const struct model_provider *provider, const struct model_chat *chat);

/* family.c */
struct model_family {
    const char *part; /* of a model's name */
    const char *query_prefix, *document_prefix;
    uint32_t max_tokens; /* 0: not known */
};
/* Never NULL. */
const struct model_family *model_family_of(const char *name);
/* Tokens of a text, from above; *ret_cut is where the first `most` of them end. */
size_t model_estimate_tokens(const char *text, size_t length, size_t most, size_t *ret_cut);

#endif
