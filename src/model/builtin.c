/* Models in this process: assets, opened when first wanted. */
#include "model/model_internal.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

enum tn_code model_refuse_change(const struct model *model, const char *what, struct tn_error *err)
{
    (void)tn_fail(err, TN_ECONFLICT, "model %s is not the one that made the vectors so far: %s", model->name, what);
    tn_error_hint(err,
                  "bring the former one back, or accept the new one with `tarn model accept %s`: then indexes that "
                  "use it must be embedded again",
                  model->name);
    return TN_ECONFLICT;
}

static enum tn_code register_asset(struct model *model, const struct embed_info *info, struct tn_error *err)
{
    struct model_entry *entry = tn_calloc(1, sizeof *entry);
    *entry = (struct model_entry){
        .name = tn_strdup(model->name),
        .version = tn_strdup(info->digest),
        .dimension = info->dimension,
        .max_tokens = info->max_tokens,
        .normalised = info->normalise,
        .query_prefix = tn_strdup(info->query_prefix),
        .document_prefix = tn_strdup(info->document_prefix),
        .registered_us = tn_now_us(),
    };
    __atomic_store_n(&model->entry, entry, __ATOMIC_RELEASE);
    return model_registry_save(model->service, err);
}

enum tn_code model_builtin_open(struct model *model, struct tn_error *err)
{
    if (!model->asset) {
        enum tn_code code = embed_model_open(model->asset_path, &model->asset, err);
        if (code != TN_OK) {
            tn_error_hint(err, "import the model again: `tarn model import DIR`");
            return code;
        }
    }
    const struct embed_info *info = embed_model_info(model->asset);
    if (!model->entry)
        return register_asset(model, info, err);
    if (tn_streq(model->entry->version, info->digest))
        return TN_OK;
    char what[200];
    (void)snprintf(what, sizeof what, "its digest was %.16s and is %.16s", model->entry->version, info->digest);
    return model_refuse_change(model, what, err);
}

/* ---- import ------------------------------------------------------------------------------- */

static enum tn_code check_import_name(const char *name, struct tn_error *err)
{
    size_t length = strlen(name);
    bool bad = length == 0 || length > 100 || name[0] == '.';
    for (size_t i = 0; i < length && !bad; i++)
        bad = !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", name[i]);
    if (!bad)
        return TN_OK;
    (void)tn_fail(err, TN_EREQUEST, "\"%.60s\" cannot be a model's name", name);
    tn_error_hint(err, "letters, digits, dots, dashes and underscores, beginning with none of the dots");
    return TN_EREQUEST;
}

static char *folder_name(const char *folder)
{
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    size_t start = length;
    while (start > 0 && folder[start - 1] != '/')
        start--;
    return tn_strndup(folder + start, length - start);
}

/* Another model of this name may be in use: it stays, unless it is the same. */
static enum tn_code place(struct model_service *service, const char *name, const char *made, const char *path,
                          struct model_info *ret, struct tn_error *err)
{
    TN_AUTO_FREE char *whole = tn_asprintf("builtin/%s", name);
    struct model *model = NULL;
    if (model_lookup(service, whole, &model, NULL) == TN_OK) {
        TN_CLEANUP(embed_model_close_p) struct embed_model *asset = NULL;
        TN_TRY(embed_model_open(made, &asset, err));
        TN_TRY(model_find(service, whole, ret, err));
        if (tn_streq(ret->version, embed_model_info(asset)->digest))
            return TN_OK;
        (void)tn_fail(err, TN_EEXISTS, "there is a model %s already, and it is another one", whole);
        tn_error_hint(err, "import this one under a name of its own: --name %s-2", name);
        return TN_EEXISTS;
    }
    if (rename(made, path) != 0)
        return tn_fail_errno(err, errno, "cannot name the asset %s", path);
    TN_TRY(tn_fsync_dir(service->folder, err));
    (void)model_add(service, MODEL_BUILTIN, name, path);
    return model_find(service, whole, ret, err);
}

enum tn_code model_import(struct model_service *service, const char *folder, const char *name, struct model_info *ret,
                          struct tn_error *err)
{
    TN_AUTO_FREE char *own = name && name[0] ? tn_strdup(name) : folder_name(folder);
    TN_TRY(check_import_name(own, err));
    TN_TRY(tn_mkdirs(service->folder, 0700, err));
    char id[TN_UUID_TEXT];
    TN_AUTO_FREE char *path = tn_asprintf("%s/%s" MODEL_SUFFIX, service->folder, own);
    TN_AUTO_FREE char *made = tn_asprintf("%s/.%s" MODEL_SUFFIX, service->folder, tn_uuid4(id));
    const struct embed_import_options options = {.name = own};
    enum tn_code code = embed_model_import(folder, made, &options, err);
    if (code == TN_OK)
        code = place(service, own, made, path, ret, err);
    (void)unlink(made); /* unless it was renamed */
    return code;
}

/* ---- the asset that came with the build ------------------------------------------------------ */

char *model_shared_asset(struct tn_arena *arena)
{
    static const char *const places[] = {"", "../share/tarn/", "../lib/tarn/"};
    const char *named = getenv("TARN_MODEL");
    if (named && named[0])
        return tn_arena_strdup(arena, named);
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0)
        return NULL;
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash)
        return NULL;
    slash[1] = '\0';
    for (size_t i = 0; i < TN_COUNT(places); i++) {
        char *path = tn_arena_printf(arena, "%s%s" MODEL_DEFAULT_NAME MODEL_SUFFIX, self, places[i]);
        if (access(path, R_OK) == 0)
            return path;
    }
    return NULL;
}
