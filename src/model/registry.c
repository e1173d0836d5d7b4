/* registry.json: what is remembered of every embedding model that was used.
 * docs/formats/model-registry.md describes the file. */
#include "model/model_internal.h"

#include <errno.h>
#include <unistd.h>

enum { REGISTRY_MAX = 32 << 20, REGISTRY_VERSION = 1 };

void model_entry_free(struct model_entry *entry)
{
    while (entry) {
        struct model_entry *older = entry->older;
        free(entry->name);
        free(entry->version);
        free(entry->query_prefix);
        free(entry->document_prefix);
        free(entry->probe);
        free(entry);
        entry = older;
    }
}

/* ---- reading ------------------------------------------------------------------------- */

static enum tn_code read_entry(const json_t *item, struct model_entry **ret, struct tn_error *err)
{
    const char *name = NULL, *version = NULL, *query = "", *document = "", *registered = NULL, *probe = NULL;
    int64_t dimension = 0, max_tokens = 0;
    bool normalised = false;
    const struct tn_json_field fields[] = {
        {.name = "name", .kind = TN_JSON_STRING, .ret = &name, .required = true},
        {.name = "version", .kind = TN_JSON_STRING, .ret = &version, .required = true},
        {.name = "dimension",
         .kind = TN_JSON_INT,
         .ret = &dimension,
         .required = true,
         .min = 1,
         .max = MODEL_DIMENSION_MAX},
        {.name = "max_tokens", .kind = TN_JSON_INT, .ret = &max_tokens, .required = true, .min = 1, .max = INT32_MAX},
        {.name = "normalised", .kind = TN_JSON_BOOL, .ret = &normalised},
        {.name = "query_prefix", .kind = TN_JSON_STRING, .ret = &query},
        {.name = "document_prefix", .kind = TN_JSON_STRING, .ret = &document},
        {.name = "registered", .kind = TN_JSON_STRING, .ret = &registered},
        {.name = "probe", .kind = TN_JSON_STRING, .ret = &probe},
    };
    TN_TRY(tn_json_read(item, "a model", fields, TN_COUNT(fields), err));
    int8_t *codes = NULL;
    if (probe) {
        codes = tn_calloc((size_t)dimension, 1);
        if (strlen(probe) != 2 * (size_t)dimension || !tn_hex_decode(probe, codes, (size_t)dimension)) {
            free(codes);
            return tn_fail(err, TN_ECORRUPT, "%s: its probe is damaged", name);
        }
    }
    struct model_entry *entry = tn_calloc(1, sizeof *entry);
    *entry = (struct model_entry){
        .name = tn_strdup(name),
        .version = tn_strdup(version),
        .dimension = (uint32_t)dimension,
        .max_tokens = (uint32_t)max_tokens,
        .normalised = normalised,
        .query_prefix = tn_strdup(query),
        .document_prefix = tn_strdup(document),
        .probe = codes,
    };
    if (registered)
        (void)tn_time_parse(registered, &entry->registered_us);
    *ret = entry;
    return TN_OK;
}

/* An entry of a provider that is no more is kept as it is. */
static enum tn_code adopt_entry(struct model_service *service, const json_t *item, struct tn_error *err)
{
    struct model_entry *entry = NULL;
    TN_TRY(read_entry(item, &entry, err));
    for (size_t kind = 0; kind < TN_COUNT(service->providers); kind++) {
        const char *provider = service->providers[kind].name;
        size_t length = strlen(provider);
        if (!tn_str_starts_with(entry->name, provider) || entry->name[length] != '/' || !entry->name[length + 1])
            continue;
        struct model *model = model_add(service, (enum model_kind)kind, entry->name + length + 1, NULL);
        entry->older = model->entry;
        model->entry = entry;
        return TN_OK;
    }
    (void)tn_fail(err, TN_ECORRUPT, "%s is a model of no provider that is known here", entry->name);
    model_entry_free(entry);
    return TN_ECORRUPT;
}

static enum tn_code adopt_all(struct model_service *service, const json_t *document, struct tn_error *err)
{
    int64_t version = 0;
    const char *embed = NULL, *chat = NULL;
    json_t *models = NULL;
    const struct tn_json_field fields[] = {
        {.name = "format", .kind = TN_JSON_INT, .ret = &version, .required = true},
        {.name = "default_embed", .kind = TN_JSON_STRING, .ret = &embed},
        {.name = "default_chat", .kind = TN_JSON_STRING, .ret = &chat},
        {.name = "models", .kind = TN_JSON_ARRAY, .ret = &models, .required = true},
    };
    TN_TRY(tn_json_read(document, "the registry", fields, TN_COUNT(fields), err));
    if (version != REGISTRY_VERSION)
        return tn_fail(err, TN_ECORRUPT, "format %lld is not one that this version of Tarn reads",
                       (long long)version);
    for (size_t i = 0; i < json_array_size(models); i++)
        TN_TRY(adopt_entry(service, json_array_get(models, i), err));
    service->default_embed = embed ? tn_strdup(embed) : NULL;
    service->default_chat = chat ? tn_strdup(chat) : NULL;
    return TN_OK;
}

enum tn_code model_registry_load(struct model_service *service, struct tn_error *err)
{
    if (access(service->registry_path, F_OK) != 0 && errno == ENOENT)
        return TN_OK;
    TN_AUTO_BUF text = {0};
    TN_AUTO_JSON *document = NULL;
    TN_TRY(tn_file_read(service->registry_path, REGISTRY_MAX, &text, err));
    enum tn_code code =
        tn_json_parse(text.data ? text.data : "", text.len, REGISTRY_MAX, "the registry of models", &document, err);
    if (code == TN_OK)
        code = adopt_all(service, document, err);
    if (code == TN_OK)
        return TN_OK;
    tn_error_context(err, "%s", service->registry_path);
    tn_error_hint(err, "it says which model made which vectors: restore it from a backup, or move it away and have "
                       "every index embedded again");
    return TN_ECORRUPT;
}

/* ---- writing --------------------------------------------------------------------------- */

static void write_entry(const struct model_entry *entry, struct tn_json *json)
{
    char time[TN_TIME_TEXT];
    tn_json_open(json, '{');
    tn_json_kstr(json, "name", entry->name);
    tn_json_kstr(json, "version", entry->version);
    tn_json_ki64(json, "dimension", entry->dimension);
    tn_json_ki64(json, "max_tokens", entry->max_tokens);
    tn_json_kbool(json, "normalised", entry->normalised);
    tn_json_kstr(json, "query_prefix", entry->query_prefix);
    tn_json_kstr(json, "document_prefix", entry->document_prefix);
    tn_json_kstr(json, "registered", tn_time_format(entry->registered_us, time));
    if (entry->probe) {
        TN_AUTO_FREE char *hex = tn_malloc(2 * (size_t)entry->dimension + 1);
        tn_hex_encode(entry->probe, entry->dimension, hex);
        tn_json_kstr(json, "probe", hex);
    }
    tn_json_close(json, '}');
}

static void write_all(struct model_service *service, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    (void)pthread_mutex_lock(&service->lock);
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "format", REGISTRY_VERSION);
    if (service->default_embed)
        tn_json_kstr(&json, "default_embed", service->default_embed);
    if (service->default_chat)
        tn_json_kstr(&json, "default_chat", service->default_chat);
    tn_json_key(&json, "models");
    tn_json_open(&json, '[');
    for (const struct model *model = service->models; model; model = model->next) {
        const struct model_entry *entry = __atomic_load_n(&model->entry, __ATOMIC_ACQUIRE);
        if (entry)
            write_entry(entry, &json);
    }
    tn_json_close(&json, ']');
    tn_json_close(&json, '}');
    tn_buf_putc(out, '\n');
    (void)pthread_mutex_unlock(&service->lock);
}

enum tn_code model_registry_save(struct model_service *service, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    (void)pthread_mutex_lock(&service->save_lock);
    write_all(service, &text);
    enum tn_code code = tn_mkdirs(service->folder, 0700, err);
    if (code == TN_OK)
        code = tn_file_replace(service->registry_path, text.data, text.len, 0600, err);
    (void)pthread_mutex_unlock(&service->save_lock);
    return code;
}
