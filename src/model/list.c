/* What people are shown of providers and models. */
#include "model/model_internal.h"

enum { LIST_MAX = 4 << 20, LIST_MS = 3000, OFFERED_MAX = 500 };

/* ---- providers ----------------------------------------------------------------------- */

static void write_provider(struct model_provider *provider, struct tn_json *out)
{
    static const char *const breakers[] = {"closed", "open", "half-open"};
    const struct model_clock *clock = &provider->clock;
    enum model_breaker breaker = model_guard_state(&provider->guard, clock->now_ms(clock->context));
    bool configured = model_provider_configured(provider);
    (void)pthread_mutex_lock(&provider->guard.lock);
    uint64_t calls = provider->guard.calls, failures = provider->guard.failures;
    unsigned running = provider->guard.running;
    char problem[sizeof provider->guard.problem];
    memcpy(problem, provider->guard.problem, sizeof problem);
    bool in_trouble = provider->guard.failures_in_row > 0;
    (void)pthread_mutex_unlock(&provider->guard.lock);
    tn_json_open(out, '{');
    tn_json_kstr(out, "name", provider->name);
    tn_json_kstr(out, "kind", provider->name);
    tn_json_kstr(out, "address", provider->url[0] ? provider->url : NULL);
    tn_json_kstr(out, "state",
                 !configured               ? "not configured"
                 : breaker != MODEL_CLOSED ? "away"
                 : in_trouble              ? "failing"
                                           : "ready");
    tn_json_kstr(out, "breaker", breakers[breaker]);
    tn_json_kbool(out, "key", provider->key_file[0] != '\0');
    tn_json_ki64(out, "running", running);
    tn_json_ki64(out, "calls", (int64_t)calls);
    tn_json_ki64(out, "failures", (int64_t)failures);
    tn_json_kstr(out, "problem", in_trouble ? problem : NULL);
    tn_json_close(out, '}');
}

enum tn_code model_write_providers(struct model_service *service, struct tn_json *out, struct tn_error *err)
{
    (void)err;
    tn_json_open(out, '[');
    for (size_t i = 0; i < TN_COUNT(service->providers); i++)
        write_provider(&service->providers[i], out);
    tn_json_close(out, ']');
    return TN_OK;
}

/* ---- models ------------------------------------------------------------------------------ */

struct offered {
    struct model_service *service;
    const struct model_provider *provider;
    struct tn_json *out;
};

static bool is_registered(struct model_service *service, const char *name)
{
    bool found = false;
    (void)pthread_mutex_lock(&service->lock);
    for (const struct model *model = service->models; model && !found; model = model->next)
        found = tn_streq(model->name, name) && __atomic_load_n(&model->entry, __ATOMIC_ACQUIRE);
    (void)pthread_mutex_unlock(&service->lock);
    return found;
}

static enum tn_code read_offered(void *context, const char *body, size_t length, struct tn_error *err)
{
    const struct offered *offered = context;
    bool ollama = offered->provider->kind == MODEL_OLLAMA;
    TN_AUTO_JSON *document = NULL;
    TN_TRY(tn_json_parse(body, length, LIST_MAX, "the list of models", &document, err));
    const json_t *list = json_object_get(document, ollama ? "models" : "data");
    for (size_t i = 0; i < TN_MIN(json_array_size(list), (size_t)OFFERED_MAX); i++) {
        const json_t *item = json_array_get(list, i);
        const char *remote = json_string_value(json_object_get(item, ollama ? "name" : "id"));
        if (!remote)
            continue;
        int length_shown = (int)(strlen(remote) - (tn_str_ends_with(remote, ":latest") ? strlen(":latest") : 0));
        TN_AUTO_FREE char *name = tn_asprintf("%s/%.*s", offered->provider->name, length_shown, remote);
        if (is_registered(offered->service, name))
            continue;
        tn_json_open(offered->out, '{');
        tn_json_kstr(offered->out, "name", name);
        tn_json_kstr(offered->out, "provider", offered->provider->name);
        tn_json_kstr(offered->out, "version", json_string_value(json_object_get(item, "digest")));
        tn_json_kstr(offered->out, "state", "offered");
        tn_json_close(offered->out, '}');
    }
    return TN_OK;
}

/* Asked once and quickly: a list must not wait for a server that is away. */
static void write_offered(struct model_service *service, struct model_provider *provider, struct tn_json *out)
{
    struct offered offered = {service, provider, out};
    struct tn_error err = {0};
    const struct model_exchange exchange = {.method = "GET",
                                            .path = provider->kind == MODEL_OLLAMA ? "/api/tags" : "/models",
                                            .max_answer = LIST_MAX,
                                            .timeout_ms = LIST_MS,
                                            .read = read_offered,
                                            .context = &offered};
    if (model_exchange(provider, &exchange, &err) == TN_OK)
        return;
    tn_json_open(out, '{');
    tn_json_kstr(out, "name", NULL);
    tn_json_kstr(out, "provider", provider->name);
    tn_json_kstr(out, "state", "away");
    tn_json_kstr(out, "problem", err.detail);
    tn_json_close(out, '}');
}

static void write_known(const struct model *model, const struct model_entry *entry, struct tn_json *out)
{
    tn_json_open(out, '{');
    tn_json_kstr(out, "name", model->name);
    tn_json_kstr(out, "provider", model->provider->name);
    tn_json_kstr(out, "version", entry ? entry->version : NULL);
    tn_json_kstr(out, "state", entry ? "registered" : "offered");
    if (entry) {
        char time[TN_TIME_TEXT];
        tn_json_ki64(out, "dimension", entry->dimension);
        tn_json_ki64(out, "max_tokens", entry->max_tokens);
        tn_json_kbool(out, "normalised", entry->normalised);
        tn_json_kstr(out, "query_prefix", entry->query_prefix);
        tn_json_kstr(out, "document_prefix", entry->document_prefix);
        tn_json_kstr(out, "registered", tn_time_format(entry->registered_us, time));
    }
    tn_json_close(out, '}');
}

enum tn_code model_write_models(struct model_service *service, struct tn_json *out, struct tn_error *err)
{
    (void)err;
    tn_json_open(out, '[');
    (void)pthread_mutex_lock(&service->lock);
    for (const struct model *model = service->models; model; model = model->next) {
        const struct model_entry *entry = __atomic_load_n(&model->entry, __ATOMIC_ACQUIRE);
        if (entry || model->asset_path)
            write_known(model, entry, out);
    }
    (void)pthread_mutex_unlock(&service->lock);
    for (size_t i = 0; i < TN_COUNT(service->providers); i++)
        if (service->providers[i].kind != MODEL_BUILTIN && model_provider_configured(&service->providers[i]))
            write_offered(service, &service->providers[i], out);
    tn_json_close(out, ']');
    return TN_OK;
}
