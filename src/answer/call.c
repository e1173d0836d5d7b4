/* Language models: which one, a call of it, what it cost, what became of it. */
#include "answer/answer_internal.h"

#include <math.h>

#define OFFERED_FOR_NS UINT64_C(60000000000) /* asking providers what they offer takes a call each */
#define CANDIDATES_MAX 64

/* ---- candidates of "auto" --------------------------------------------------------- */

static void add_candidate(const char **names, size_t *count, const char *name)
{
    for (size_t i = 0; i < *count; i++)
        if (tn_streq(names[i], name))
            return;
    if (*count < CANDIDATES_MAX)
        names[(*count)++] = name;
}

static size_t listed(const char *list, struct tn_arena *arena, const char **names)
{
    size_t count = 0;
    while (*list) {
        list += strspn(list, ", ");
        size_t length = strcspn(list, ",");
        size_t used = length;
        while (used > 0 && list[used - 1] == ' ')
            used--;
        if (used > 0)
            add_candidate(names, &count, tn_arena_strndup(arena, list, used));
        list += length;
    }
    return count;
}

/* Providers do not say what a model is for; models of vectors are called so. */
static bool may_talk(const json_t *item)
{
    const char *name = json_string_value(json_object_get(item, "name"));
    const char *state = json_string_value(json_object_get(item, "state"));
    const char *provider = json_string_value(json_object_get(item, "provider"));
    return name && state && provider && tn_streq(state, "offered") && !tn_streq(provider, "builtin") &&
           !strstr(name, "embed");
}

static void ask_offered(struct answer_service *service)
{
    TN_AUTO_BUF text = {0};
    TN_AUTO_JSON *items = NULL;
    struct tn_json json = tn_json_writer(&text);
    for (size_t i = 0; i < service->offered_count; i++)
        free(service->offered[i]);
    service->offered_count = 0;
    if (model_write_models(service->options.models, &json, NULL) != TN_OK ||
        tn_json_parse(text.data, text.len, text.len, "the models", &items, NULL) != TN_OK)
        return;
    service->offered = tn_realloc_array(service->offered, CANDIDATES_MAX, sizeof *service->offered);
    for (size_t i = 0; i < json_array_size(items) && service->offered_count < CANDIDATES_MAX; i++)
        if (may_talk(json_array_get(items, i)))
            service->offered[service->offered_count++] =
                tn_strdup(json_string_value(json_object_get(json_array_get(items, i), "name")));
    service->offered_ns = tn_mono_ns();
}

static size_t candidates(struct answer_service *service, struct tn_arena *arena, const char **names)
{
    size_t count = listed(service->options.settings.models, arena, names);
    struct model_info info;
    if (count > 0)
        return count;
    if (model_find_chat(service->options.models, NULL, &info, NULL) == TN_OK)
        add_candidate(names, &count, info.name);
    (void)pthread_mutex_lock(&service->models_lock);
    if (service->offered_ns == 0 || tn_mono_ns() - service->offered_ns > OFFERED_FOR_NS)
        ask_offered(service);
    for (size_t i = 0; i < service->offered_count; i++)
        add_candidate(names, &count, tn_arena_strdup(arena, service->offered[i]));
    (void)pthread_mutex_unlock(&service->models_lock);
    return count;
}

/* ---- choosing ------------------------------------------------------------------------- */

static void choose_none(const char *why, struct answer_model *ret)
{
    *ret = (struct answer_model){.choice = {.how = "none", .success_rate = NAN, .why = why}};
}

static enum tn_code take_model(struct answer_service *service, const char *name, struct tn_arena *arena,
                               struct answer_model *ret, struct tn_error *err)
{
    struct model_info info;
    TN_TRY(model_find_chat(service->options.models, name, &info, err));
    ret->name = tn_arena_strdup(arena, info.name);
    ret->version = tn_arena_strdup(arena, info.version);
    ret->max_tokens = info.max_tokens;
    return TN_OK;
}

/* By what is remembered of the candidates; one that is away is passed over. */
static enum tn_code choose_auto(struct answer_service *service, const char *task, struct tn_arena *arena,
                                struct answer_model *ret, struct tn_error *err)
{
    const char *names[CANDIDATES_MAX];
    size_t count = candidates(service, arena, names);
    enum tn_code code = TN_OK;
    if (count == 0)
        choose_none("no language model is configured", ret);
    while (count > 0) {
        struct outcome_choice choice;
        struct answer_model model = {.choice = {.how = "auto"}};
        TN_TRY(outcome_choose(service->options.outcomes, task, names, count, service->options.settings.exploration,
                              tn_random_u64(), &choice, err));
        code = take_model(service, choice.model, arena, &model, err);
        if (code == TN_OK) {
            model.choice.explored = choice.explored;
            model.choice.trials = choice.trials;
            model.choice.success_rate = choice.trials > 0 ? choice.success_rate : NAN;
            model.choice.why = tn_arena_strdup(arena, choice.why);
            *ret = model;
            return TN_OK;
        }
        names[choice.index] = names[--count];
    }
    return code;
}

enum tn_code answer_model_choose(struct answer_service *service, const char *task, const char *wanted,
                                 struct tn_arena *arena, struct answer_model *ret, struct tn_error *err)
{
    bool named = wanted && wanted[0];
    const char *name = named ? wanted : service->options.settings.model;
    struct answer_model model = {.named = named};
    struct tn_error why = {0};
    if (tn_streq(name, "none")) {
        choose_none("the request wants no language model", ret);
        return TN_OK;
    }
    if (!service->options.models) {
        choose_none("no language model is configured", ret);
        return TN_OK;
    }
    if (tn_streq(name, "auto") && service->options.outcomes)
        return choose_auto(service, task, arena, ret, err);
    enum tn_code code = take_model(service, name[0] ? name : NULL, arena, &model, &why);
    if (code == TN_ENOTFOUND && !name[0]) {
        choose_none("no language model is configured", ret);
        return TN_OK;
    }
    if (code != TN_OK) {
        if (err)
            *err = why;
        return code;
    }
    model.choice = (struct answer_choice){.how = named ? "named" : "default",
                                          .success_rate = NAN,
                                          .why = named ? "the request names it" : "it is the default"};
    *ret = model;
    return TN_OK;
}

/* ---- a call -------------------------------------------------------------------------------- */

enum tn_code answer_model_call(struct answer_service *service, const struct answer_call *call,
                               struct tn_buf *ret_text, struct model_usage *usage, struct tn_error *err)
{
    struct model_usage used = {0};
    uint64_t started = tn_mono_ns();
    const struct model_chat chat = {
        .messages = call->messages,
        .count = call->count,
        .max_tokens = call->max_tokens ? call->max_tokens : service->options.settings.answer_tokens,
        .json = call->json,
        .cancel = call->cancel,
        .timeout_ms = service->options.settings.timeout_ms,
        .piece = call->piece,
        .context = call->context,
    };
    enum tn_code code = model_chat(service->options.models, call->model, &chat, ret_text, &used, err);
    usage->prompt_tokens += used.prompt_tokens;
    usage->answer_tokens += used.answer_tokens;
    usage->microseconds += code == TN_OK ? used.microseconds : (tn_mono_ns() - started) / 1000;
    usage->estimated = usage->estimated || used.estimated;
    return code;
}

/* ---- cost and outcome --------------------------------------------------------------------- */

/* "IN/OUT" dollars for a million tokens. */
static bool read_price(const char *text, size_t length, double ret[2])
{
    char copy[64];
    if (length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *slash = strchr(copy, '/');
    if (slash)
        *slash = '\0';
    return slash && tn_parse_double(copy, &ret[0]) && tn_parse_double(slash + 1, &ret[1]) && ret[0] >= 0 &&
           ret[1] >= 0;
}

double answer_cost(const struct answer_service *service, const char *model, const struct model_usage *usage)
{
    const char *at = service->options.settings.prices;
    size_t length = strlen(model);
    while (*at) {
        at += strspn(at, ", ");
        size_t item = strcspn(at, ",");
        double price[2];
        if (item > length && strncmp(at, model, length) == 0 && at[length] == '=' &&
            read_price(at + length + 1, item - length - 1, price))
            return ((double)usage->prompt_tokens * price[0] + (double)usage->answer_tokens * price[1]) / 1e6;
        at += item;
    }
    return 0;
}

void answer_outcome(struct answer_service *service, const struct answer_record *record, bool success,
                    enum tn_code failed)
{
    struct outcome_recorded recorded;
    struct tn_error err = {0};
    char key[64];
    if (!service->options.outcomes || !record->model || failed == TN_ECANCELLED)
        return;
    snprintf(key, sizeof key, "answer/%s", record->id);
    const struct outcome_event event = {
        .task_type = record->kind,
        .model_id = record->model,
        .success = success && failed == TN_OK,
        .timeout = failed == TN_ETIMEOUT,
        .tokens_used = (int64_t)(record->usage.prompt_tokens + record->usage.answer_tokens),
        .cost_usd = record->cost,
        .key = key,
        .source = record->kind,
    };
    if (outcome_record(service->options.outcomes, &event, 1, &recorded, &err) != TN_OK)
        TN_LOG(TN_LOG_WARN, "answer.outcome_lost", TN_FS("answer", record->id), TN_FS("problem", err.detail));
}
