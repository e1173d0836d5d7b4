/* The service: providers from tarn.yaml, models by name, the defaults. */
#include "model/model_internal.h"

#include <dirent.h>
#include <time.h>

enum { NAME_MAX_BYTES = 200, MODELS_MAX = 4096 };

/* ---- time ---------------------------------------------------------------------------- */

static uint64_t real_now_ms(void *context)
{
    (void)context;
    return tn_mono_ns() / 1000000;
}

static void real_sleep_ms(void *context, uint64_t ms)
{
    (void)context;
    const struct timespec time = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

static uint64_t real_random(void *context)
{
    (void)context;
    return tn_random_u64();
}

const struct model_clock model_clock_real = {.now_ms = real_now_ms, .sleep_ms = real_sleep_ms, .random = real_random};

/* ---- open and close -------------------------------------------------------------------- */

static enum tn_code send_over_http(void *transport, const struct model_http_request *request,
                                   struct model_http_reply *ret, struct tn_error *err)
{
    return model_http_send(transport, request, ret, err);
}

bool model_provider_configured(const struct model_provider *provider)
{
    return provider->kind == MODEL_BUILTIN || provider->url[0] != '\0';
}

static enum tn_code open_provider(struct model_service *service, enum model_kind kind, struct tn_error *err)
{
    static const char *const names[] = {"builtin", "ollama", "openai"};
    static const char *const urls[] = {NULL, "ai.ollama.url", "ai.openai.url"};
    const struct tn_config *config = service->config;
    struct model_provider *provider = &service->providers[kind];
    *provider = (struct model_provider){
        .kind = kind,
        .name = names[kind],
        .url = tn_strdup(urls[kind] ? tn_config_string(config, urls[kind]) : ""),
        .key_file = tn_strdup(kind == MODEL_OPENAI ? tn_config_string(config, "ai.openai.key_file") : ""),
        .timeout_ms = tn_config_ms(config, "ai.timeout"),
        .retries = (unsigned)tn_config_int(config, "ai.retries"),
        .batch = (size_t)tn_config_int(config, "ai.batch"),
        /* To ask whether an OpenAI model is still the same costs an embedding. */
        .verify_ms = tn_config_ms(config, "ai.verify") * (kind == MODEL_OPENAI ? 60 : 1),
        .keep_alive_s = tn_config_ms(config, "ai.ollama.keep_alive") / 1000,
        .clock = model_clock_real,
        .send = send_over_http,
    };
    model_guard_init(&provider->guard, (unsigned)tn_config_int(config, "ai.concurrency"));
    if (!provider->url[0])
        return TN_OK;
    TN_TRY(model_http_new(provider->url, &provider->http, err));
    provider->transport = provider->http;
    return TN_OK;
}

static char *asset_name(const char *path)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    size_t length = strlen(base);
    if (tn_str_ends_with(base, MODEL_SUFFIX))
        length -= strlen(MODEL_SUFFIX);
    return tn_strndup(base, length);
}

static struct model *find_named(struct model_service *service, const char *name);

/* What was imported, then what came with the build. */
static void list_assets(struct model_service *service, const char *shared)
{
    DIR *folder = opendir(service->folder);
    const struct dirent *item;
    while (folder && (item = readdir(folder))) {
        if (!tn_str_ends_with(item->d_name, MODEL_SUFFIX) || item->d_name[0] == '.')
            continue;
        TN_AUTO_FREE char *path = tn_asprintf("%s/%s", service->folder, item->d_name);
        TN_AUTO_FREE char *name = asset_name(path);
        (void)model_add(service, MODEL_BUILTIN, name, path);
    }
    if (folder)
        (void)closedir(folder);
    if (!shared || !shared[0])
        return;
    TN_AUTO_FREE char *name = asset_name(shared);
    TN_AUTO_FREE char *whole = tn_asprintf("builtin/%s", name);
    if (!find_named(service, whole))
        (void)model_add(service, MODEL_BUILTIN, name, shared);
}

enum tn_code model_service_open(const struct model_options *options, struct model_service **ret, struct tn_error *err)
{
    TN_CLEANUP(model_service_close_p) struct model_service *service = tn_calloc(1, sizeof *service);
    service->config = options->config;
    service->folder = tn_strdup(options->folder);
    service->registry_path = tn_asprintf("%s/registry.json", options->folder);
    service->pool = options->pool;
    service->behind = options->behind;
    (void)pthread_mutex_init(&service->lock, NULL);
    (void)pthread_mutex_init(&service->save_lock, NULL);
    enum tn_code code = TN_OK; /* the others are made even when one fails, to be released alike */
    for (size_t kind = 0; kind < TN_COUNT(service->providers); kind++) {
        enum tn_code one = open_provider(service, (enum model_kind)kind, code == TN_OK ? err : NULL);
        code = code == TN_OK ? one : code;
    }
    TN_TRY(code);
    list_assets(service, options->shared_asset);
    TN_TRY(model_registry_load(service, err));
    *ret = TN_TAKE(service);
    return TN_OK;
}

static void model_free(struct model *model)
{
    model_entry_free(model->entry);
    embed_model_close(model->asset);
    (void)pthread_mutex_destroy(&model->lock);
    free(model->name);
    free(model->asset_path);
    free(model->chat_version);
    free(model);
}

void model_service_close(struct model_service *service)
{
    if (!service)
        return;
    while (service->models) {
        struct model *model = service->models;
        service->models = model->next;
        model_free(model);
    }
    for (size_t i = 0; i < TN_COUNT(service->providers); i++) {
        struct model_provider *provider = &service->providers[i];
        model_http_free(provider->http);
        model_guard_release(&provider->guard);
        free(provider->url);
        free(provider->key_file);
    }
    (void)pthread_mutex_destroy(&service->lock);
    (void)pthread_mutex_destroy(&service->save_lock);
    free(service->default_embed);
    free(service->default_chat);
    free(service->registry_path);
    free(service->folder);
    free(service);
}

/* ---- names ---------------------------------------------------------------------------------- */

static struct model *find_locked(struct model_service *service, const char *name)
{
    for (struct model *model = service->models; model; model = model->next)
        if (tn_streq(model->name, name))
            return model;
    return NULL;
}

static struct model *find_named(struct model_service *service, const char *name)
{
    (void)pthread_mutex_lock(&service->lock);
    struct model *model = find_locked(service, name);
    (void)pthread_mutex_unlock(&service->lock);
    return model;
}

/* The one model that a provider calls so; a built-in one before others. */
static struct model *find_bare(struct model_service *service, const char *name)
{
    struct model *found = NULL;
    size_t count = 0;
    (void)pthread_mutex_lock(&service->lock);
    for (struct model *model = service->models; model; model = model->next) {
        if (!tn_streq(model->remote, name))
            continue;
        count++;
        if (!found || model->provider->kind == MODEL_BUILTIN)
            found = model;
    }
    (void)pthread_mutex_unlock(&service->lock);
    return count == 1 || (found && found->provider->kind == MODEL_BUILTIN) ? found : NULL;
}

struct model *model_add(struct model_service *service, enum model_kind kind, const char *remote,
                        const char *asset_path)
{
    struct model_provider *provider = &service->providers[kind];
    size_t length = strlen(remote);
    if (kind == MODEL_OLLAMA && tn_str_ends_with(remote, ":latest"))
        length -= strlen(":latest");
    char *name = tn_asprintf("%s/%.*s", provider->name, (int)length, remote);
    (void)pthread_mutex_lock(&service->lock);
    struct model *model = find_locked(service, name);
    if (model) {
        free(name);
    } else {
        model = tn_calloc(1, sizeof *model);
        model->service = service;
        model->provider = provider;
        model->name = name;
        model->remote = name + strlen(provider->name) + 1;
        (void)pthread_mutex_init(&model->lock, NULL);
        struct model **end = &service->models;
        while (*end)
            end = &(*end)->next;
        *end = model;
    }
    if (asset_path && !model->asset_path)
        model->asset_path = tn_strdup(asset_path);
    (void)pthread_mutex_unlock(&service->lock);
    return model;
}

void model_hint_known(struct model_service *service, struct tn_error *err)
{
    TN_AUTO_BUF names = {0};
    size_t count = 0;
    (void)pthread_mutex_lock(&service->lock);
    for (const struct model *model = service->models; model && count < 12; model = model->next)
        if (model->asset_path || model->entry)
            tn_buf_printf(&names, "%s%s", count++ ? ", " : "", model->name);
    (void)pthread_mutex_unlock(&service->lock);
    if (count > 0)
        tn_error_hint(err,
                      "known: %s; another provider's model is named PROVIDER/NAME, as in ollama/nomic-embed-text",
                      names.data);
    else
        tn_error_hint(err, "import one with `tarn model import DIR`, or name a provider's: ollama/nomic-embed-text");
}

static enum tn_code check_name(const char *name, struct tn_error *err)
{
    size_t length = strlen(name);
    bool bad = length > NAME_MAX_BYTES;
    for (size_t i = 0; i < length && !bad; i++)
        bad = (unsigned char)name[i] <= ' ' || name[i] == 0x7f || name[i] == '"' || name[i] == '\\';
    return bad ? tn_fail(err, TN_EREQUEST, "\"%.60s\" is no name of a model", name) : TN_OK;
}

static enum tn_code add_remote(struct model_service *service, enum model_kind kind, const char *remote,
                               struct model **ret, struct tn_error *err)
{
    const struct model_provider *provider = &service->providers[kind];
    if (!model_provider_configured(provider)) {
        enum tn_code code = tn_fail(err, TN_ENOTFOUND, "no %s server is configured", provider->name);
        tn_error_hint(err, "set ai.%s.url in tarn.yaml", provider->name);
        return code;
    }
    size_t count = 0;
    (void)pthread_mutex_lock(&service->lock);
    for (const struct model *model = service->models; model; model = model->next)
        count++;
    (void)pthread_mutex_unlock(&service->lock);
    if (count >= MODELS_MAX)
        return tn_fail(err, TN_EBUSY, "%d names of models were asked for; restart the server", MODELS_MAX);
    *ret = model_add(service, kind, remote, NULL);
    return TN_OK;
}

enum tn_code model_lookup(struct model_service *service, const char *name, struct model **ret, struct tn_error *err)
{
    TN_TRY(check_name(name, err));
    for (size_t kind = 0; kind < TN_COUNT(service->providers); kind++) {
        size_t length = strlen(service->providers[kind].name);
        if (!tn_str_starts_with(name, service->providers[kind].name) || name[length] != '/' || !name[length + 1])
            continue;
        if (kind != MODEL_BUILTIN)
            return add_remote(service, (enum model_kind)kind, name + length + 1, ret, err);
    }
    struct model *model = find_named(service, name);
    if (!model)
        model = find_bare(service, name);
    if (!model || (model->provider->kind == MODEL_BUILTIN && !model->asset_path)) {
        (void)tn_fail(err, TN_ENOTFOUND, model ? "the asset of model %s is gone" : "no model is called %s", name);
        model_hint_known(service, err);
        return TN_ENOTFOUND;
    }
    *ret = model;
    return TN_OK;
}

/* ---- defaults ----------------------------------------------------------------------------------- */

/* The caller's. NULL: there is none. */
static char *default_name(struct model_service *service, bool chat)
{
    const char *set = tn_config_string(service->config, chat ? "ai.chat.model" : "ai.embed.model");
    char *name = set[0] ? tn_strdup(set) : NULL;
    (void)pthread_mutex_lock(&service->lock);
    const char *chosen = chat ? service->default_chat : service->default_embed;
    if (!name && chosen)
        name = tn_strdup(chosen);
    for (const struct model *model = service->models; model && !name && !chat; model = model->next)
        if (model->asset_path)
            name = tn_strdup(model->name);
    (void)pthread_mutex_unlock(&service->lock);
    return name;
}

static enum tn_code no_default(bool chat, struct tn_error *err)
{
    if (chat) {
        (void)tn_fail(err, TN_ENOTFOUND, "no language model is configured");
        tn_error_hint(err, "set ai.chat.model in tarn.yaml, as in ollama/qwen2.5:7b (ai.ollama.url says where), or "
                           "openai/NAME with ai.openai.url");
    } else {
        (void)tn_fail(err, TN_ENOTFOUND, "there is no embedding model");
        tn_error_hint(
            err, "`make build` brings the built-in one where it can be fetched; `tarn model import DIR` takes any "
                 "BERT-family model; or set ai.embed.model, as in ollama/nomic-embed-text");
    }
    return TN_ENOTFOUND;
}

enum tn_code model_ready(struct model_service *service, const char *name, const volatile bool *cancel,
                         struct model **ret, const struct model_entry **ret_entry, struct tn_error *err)
{
    TN_AUTO_FREE char *fallback = name && name[0] ? NULL : default_name(service, false);
    struct model *model = NULL;
    if (!fallback && !(name && name[0]))
        return no_default(false, err);
    TN_TRY(model_lookup(service, fallback ? fallback : name, &model, err));
    (void)pthread_mutex_lock(&model->lock);
    enum tn_code code = model->provider->kind == MODEL_BUILTIN ? model_builtin_open(model, err)
                                                               : model_remote_verify(model, cancel, err);
    const struct model_entry *entry = model->entry;
    (void)pthread_mutex_unlock(&model->lock);
    if (code == TN_OK) {
        *ret = model;
        *ret_entry = entry;
    }
    return code;
}

static void fill_info(const struct model *model, const struct model_entry *entry, struct model_info *ret)
{
    *ret = (struct model_info){
        .name = entry->name,
        .provider = model->provider->name,
        .version = entry->version,
        .dimension = entry->dimension,
        .max_tokens = entry->max_tokens,
        .normalised = entry->normalised,
        .query_prefix = entry->query_prefix,
        .document_prefix = entry->document_prefix,
    };
}

enum tn_code model_find(struct model_service *service, const char *name, struct model_info *ret, struct tn_error *err)
{
    struct model *model = NULL;
    const struct model_entry *entry = NULL;
    TN_TRY(model_ready(service, name, NULL, &model, &entry, err));
    fill_info(model, entry, ret);
    return TN_OK;
}

enum tn_code model_find_chat(struct model_service *service, const char *name, struct model_info *ret,
                             struct tn_error *err)
{
    TN_AUTO_FREE char *fallback = name && name[0] ? NULL : default_name(service, true);
    struct model *model = NULL;
    if (!fallback && !(name && name[0]))
        return no_default(true, err);
    TN_TRY(model_lookup(service, fallback ? fallback : name, &model, err));
    if (model->provider->kind == MODEL_BUILTIN) {
        (void)tn_fail(err, TN_EREFUSED, "%s makes vectors of texts, and writes none", model->name);
        tn_error_hint(err, "name a language model of a provider, as in ollama/qwen2.5:7b");
        return TN_EREFUSED;
    }
    (void)pthread_mutex_lock(&model->lock);
    enum tn_code code = model_remote_verify_chat(model, NULL, err);
    const char *version = model->chat_version;
    (void)pthread_mutex_unlock(&model->lock);
    TN_TRY(code);
    *ret = (struct model_info){.name = model->name,
                               .provider = model->provider->name,
                               .version = version ? version : "",
                               .query_prefix = "",
                               .document_prefix = ""};
    return TN_OK;
}

enum tn_code model_set_default(struct model_service *service, const char *name, bool chat, struct model_info *ret,
                               struct tn_error *err)
{
    const char *key = chat ? "ai.chat.model" : "ai.embed.model";
    const char *set = tn_config_string(service->config, key);
    struct model_info info;
    if (set[0]) {
        (void)tn_fail(err, TN_ECONFLICT, "%s is %s (%s), which goes before", key, set,
                      tn_config_origin(service->config, key));
        tn_error_hint(err, "change it there");
        return TN_ECONFLICT;
    }
    TN_TRY(chat ? model_find_chat(service, name, &info, err) : model_find(service, name, &info, err));
    (void)pthread_mutex_lock(&service->lock);
    char **place = chat ? &service->default_chat : &service->default_embed;
    free(*place);
    *place = tn_strdup(info.name);
    (void)pthread_mutex_unlock(&service->lock);
    *ret = info;
    return model_registry_save(service, err);
}

enum tn_code model_accept(struct model_service *service, const char *name, struct model_info *ret,
                          struct tn_error *err)
{
    struct model *model = NULL;
    TN_TRY(model_lookup(service, name, &model, err));
    (void)pthread_mutex_lock(&model->lock);
    struct model_entry *before = model->entry;
    __atomic_store_n(&model->entry, NULL, __ATOMIC_RELEASE);
    model->verified_ms = 0;
    enum tn_code code = model->provider->kind == MODEL_BUILTIN ? model_builtin_open(model, err)
                                                               : model_remote_verify(model, NULL, err);
    if (code == TN_OK) {
        model->entry->older = before; /* borrowed by whoever found the model earlier */
        fill_info(model, model->entry, ret);
    } else {
        model_entry_free(model->entry); /* registered, but not saved */
        __atomic_store_n(&model->entry, before, __ATOMIC_RELEASE);
    }
    (void)pthread_mutex_unlock(&model->lock);
    return code;
}
