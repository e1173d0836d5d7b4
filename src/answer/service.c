/* The service: what it is given, and its log. */
#include "answer/ask.h"

#define KEEP_BYTES  ((uint64_t)256 << 20)
#define TIMEOUT_MS  UINT64_C(120000)
#define CONTEXT     2400
#define ANSWER_SIZE 800

static const char *kept(struct tn_arena *arena, const char *text)
{
    return tn_arena_strdup(arena, text ? text : "");
}

enum tn_code answer_service_open(const struct answer_options *options, struct answer_service **ret,
                                 struct tn_error *err)
{
    (void)err;
    struct answer_service *service = tn_calloc(1, sizeof *service);
    struct answer_settings *settings = &service->options.settings;
    service->arena = tn_arena_new();
    service->options = *options;
    service->options.folder = kept(service->arena, options->folder);
    settings->model = kept(service->arena, settings->model);
    settings->models = kept(service->arena, settings->models);
    settings->prices = kept(service->arena, settings->prices);
    settings->context_tokens = settings->context_tokens ? settings->context_tokens : CONTEXT;
    settings->answer_tokens = settings->answer_tokens ? settings->answer_tokens : ANSWER_SIZE;
    settings->timeout_ms = settings->timeout_ms ? settings->timeout_ms : TIMEOUT_MS;
    settings->keep_bytes = settings->keep_bytes ? settings->keep_bytes : KEEP_BYTES;
    (void)pthread_mutex_init(&service->models_lock, NULL);
    service->asks = ask_cache_new();
    service->near = near_cache_new();
    service->log = answer_log_new(service->options.folder, settings->keep_bytes);
    *ret = service;
    return TN_OK;
}

void answer_service_close(struct answer_service *service)
{
    if (!service)
        return;
    answer_log_free(service->log);
    ask_cache_free(service->asks);
    near_cache_free(service->near);
    for (size_t i = 0; i < service->offered_count; i++)
        free(service->offered[i]);
    free(service->offered);
    (void)pthread_mutex_destroy(&service->models_lock);
    tn_arena_free(service->arena);
    free(service);
}
