/* Versions of an index: the same texts by another model, beside the one that
 * serves, and the pointer that says which one that is.
 *
 * A version is an index like any, kept fresh like any; its name is
 * <index>__v2, __v3, ...; __v1 is the index itself. vectors/<index>/versions.json
 * in the lake's store names them and the one that serves: it is written before
 * a version is made, so that none is ever taken for an index of its own. */
#include "index/index_internal.h"

#include <stdio.h>

#define RECORD_MAX ((size_t)1 << 20)
#define NAMES_MOST 64

struct versions {
    char *base, *serving, *previous; /* previous: "" when there was none */
    char *names[NAMES_MOST];         /* beside the base */
    size_t count;
};

static void versions_free(struct versions *versions)
{
    for (size_t i = 0; i < versions->count; i++)
        free(versions->names[i]);
    free(versions->base);
    free(versions->serving);
    free(versions->previous);
    free(versions);
}

void versions_free_all(struct index_service *service)
{
    for (size_t i = 0; i < service->versions_count; i++)
        versions_free(service->versions[i]);
    free(service->versions);
}

/* The three below: under service->lock. */
static struct versions *versions_of(struct index_service *service, const char *base)
{
    for (size_t i = 0; i < service->versions_count; i++)
        if (tn_str_equal_nocase(service->versions[i]->base, base))
            return service->versions[i];
    return NULL;
}

static bool has_name(const struct versions *versions, const char *name)
{
    for (size_t i = 0; i < versions->count; i++)
        if (tn_str_equal_nocase(versions->names[i], name))
            return true;
    return false;
}

bool version_hidden(struct index_service *service, const char *name)
{
    for (size_t i = 0; i < service->versions_count; i++)
        if (has_name(service->versions[i], name))
            return true;
    return false;
}

char *version_exact_name(struct index_service *service, const char *name)
{
    return versions_of(service, name) ? tn_asprintf("%s__v1", name) : tn_strdup(name);
}

/* ---- versions.json ------------------------------------------------------------------ */

static char *record_key(const char *base)
{
    return tn_asprintf("vectors/%s/versions.json", base);
}

static enum tn_code save(struct index_service *service, const struct versions *versions, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    TN_AUTO_FREE char *key = record_key(versions->base);
    struct tn_json json = tn_json_writer(&text);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "serving", versions->serving);
    tn_json_kstr(&json, "previous", versions->previous);
    tn_json_kstrs(&json, "versions", (const char *const *)versions->names, versions->count);
    tn_json_close(&json, '}');
    return store_put(service->lake->store, key, text.data, text.len, err);
}

static char *text_at(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));
    return tn_strdup(text ? text : "");
}

static void take_record(struct index_service *service, const char *base, const json_t *record)
{
    struct versions *versions = tn_calloc(1, sizeof *versions);
    const json_t *names = json_object_get(record, "versions");
    versions->base = tn_strdup(base);
    versions->serving = text_at(record, "serving");
    versions->previous = text_at(record, "previous");
    for (size_t i = 0; i < json_array_size(names) && versions->count < NAMES_MOST; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name)
            versions->names[versions->count++] = tn_strdup(name);
    }
    TN_GROW(service->versions, service->versions_count, service->versions_capacity);
    service->versions[service->versions_count++] = versions;
}

enum tn_code versions_load(struct index_service *service, const char *base, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    TN_AUTO_JSON *record = NULL;
    TN_AUTO_FREE char *key = record_key(base);
    bool there = false;
    TN_TRY(store_exists(service->lake->store, key, &there, err));
    if (!there)
        return TN_OK;
    TN_TRY(store_get(service->lake->store, key, RECORD_MAX, &text, err));
    TN_TRY(tn_json_parse(text.data, text.len, RECORD_MAX, key, &record, err));
    take_record(service, base, record);
    return TN_OK;
}

/* ---- who serves ------------------------------------------------------------------------ */

static char *target_of(struct index_service *service, const char *name)
{
    size_t length = strlen(name);
    pthread_mutex_lock(&service->lock);
    const struct versions *versions = versions_of(service, name);
    char *target = tn_strdup(versions && versions->serving[0] ? versions->serving : name);
    if (length > 4 && tn_streq(name + length - 4, "__v1")) {
        TN_AUTO_FREE char *base = tn_strndup(name, length - 4);
        if (versions_of(service, base)) {
            free(target);
            target = TN_TAKE(base);
        }
    }
    pthread_mutex_unlock(&service->lock);
    return target;
}

enum tn_code logical_serving(struct index_service *service, const char *name, struct logical **ret,
                             struct tn_error *err)
{
    TN_AUTO_FREE char *target = target_of(service, name);
    if (logical_find(service, target, ret, NULL) == TN_OK)
        return TN_OK;
    return logical_find(service, name, ret, err); /* a version whose making was cut short */
}

/* ---- one more ------------------------------------------------------------------------------ */

static enum tn_code check_base(struct index_service *service, const struct definition *base, const char *model,
                               struct tn_error *err)
{
    struct model_info info = {0};
    pthread_mutex_lock(&service->lock);
    bool hidden = version_hidden(service, base->name);
    pthread_mutex_unlock(&service->lock);
    if (hidden)
        return tn_fail(err, TN_EREQUEST, "\"%s\" is a version of an index; name the index itself", base->name);
    if (base->vector_column)
        return tn_fail(err, TN_EREQUEST, "index \"%s\" is of vectors that came with the rows, not of a model's",
                       base->name);
    TN_TRY(service->embedder.find(service->embedder.context, model, &info, err));
    TN_CLEANUP(logical_unref_p) struct logical *serving = NULL;
    TN_TRY(logical_serving(service, base->name, &serving, err));
    if (!tn_streq(serving->definition.model, info.name) || !tn_streq(serving->definition.version, info.version))
        return TN_OK;
    tn_fail(err, TN_EEXISTS, "index \"%s\" is of model %s at this version already", base->name, info.name);
    tn_error_hint(err, "name another model; `tarn model list` shows them");
    return TN_EEXISTS;
}

/* Noted before it is made. */
static enum tn_code note_version(struct index_service *service, const char *base, char ret_name[INDEX_NAME_MAX + 1],
                                 struct tn_error *err)
{
    pthread_mutex_lock(&service->lock);
    struct versions *versions = versions_of(service, base);
    if (!versions) {
        TN_AUTO_JSON *fresh = json_pack("{s:s}", "serving", base);
        take_record(service, base, fresh);
        versions = service->versions[service->versions_count - 1];
    }
    enum tn_code code = TN_OK;
    int length = 0;
    for (unsigned number = 2; number < 10000; number++) {
        length = snprintf(ret_name, INDEX_NAME_MAX + 1, "%s__v%u", base, number);
        if (!has_name(versions, ret_name))
            break;
    }
    if (length > INDEX_NAME_MAX)
        code = tn_fail(err, TN_EREQUEST, "the name \"%s\" is too long for versions", base);
    else if (versions->count == NAMES_MOST)
        code = tn_fail(err, TN_EREQUEST, "index \"%s\" has %d versions; drop some", base, NAMES_MOST);
    if (code == TN_OK) {
        versions->names[versions->count++] = tn_strdup(ret_name);
        code = save(service, versions, err);
        if (code != TN_OK)
            free(versions->names[--versions->count]);
    }
    pthread_mutex_unlock(&service->lock);
    return code;
}

static enum tn_code forget_version(struct index_service *service, const char *name, struct tn_error *err)
{
    enum tn_code code = TN_OK;
    pthread_mutex_lock(&service->lock);
    for (size_t i = 0; i < service->versions_count; i++) {
        struct versions *versions = service->versions[i];
        for (size_t k = 0; k < versions->count; k++) {
            if (!tn_str_equal_nocase(versions->names[k], name))
                continue;
            free(versions->names[k]);
            versions->names[k] = versions->names[--versions->count];
            if (tn_str_equal_nocase(versions->previous, name))
                versions->previous[0] = '\0';
            code = save(service, versions, err);
            break;
        }
    }
    pthread_mutex_unlock(&service->lock);
    return code;
}

enum tn_code index_version_add(struct index_service *service, const char *name, const char *model, const char *actor,
                               char ret_name[INDEX_NAME_MAX + 1], char ret_job[JOB_ID_TEXT], struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *base = NULL;
    TN_TRY(logical_find(service, name, &base, err));
    const struct definition *like = &base->definition;
    TN_TRY(check_base(service, like, model, err));
    TN_TRY(note_version(service, like->name, ret_name, err));
    const struct index_definition wanted = {.name = ret_name,
                                            .dataset = like->dataset,
                                            .text_columns = like->columns,
                                            .text_column_count = like->column_count,
                                            .model = model,
                                            .chunk_size = like->chunk_size,
                                            .chunk_overlap = like->chunk_overlap,
                                            .backend = like->backend,
                                            .recall_target = like->recall_target};
    enum tn_code code = index_create(service, &wanted, actor, ret_job, err);
    if (code != TN_OK)
        (void)!forget_version(service, ret_name, NULL);
    return code;
}

/* ---- the pointer ------------------------------------------------------------------------------ */

static enum tn_code check_ready(struct index_service *service, const char *version, struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    TN_TRY(logical_find(service, version, &logical, err));
    TN_TRY(files_look(logical, false, FILES_PATIENCE_MS, err));
    if (atomic_load(&logical->applied) != 0)
        return TN_OK;
    tn_fail(err, TN_EUNAVAILABLE, "\"%s\" is still being built", version);
    tn_error_hint(err, "`tarn jobs` shows how far it is");
    return TN_EUNAVAILABLE;
}

/* *ret_to is the caller's. */
static enum tn_code choose(struct index_service *service, const char *name, const char *to, char **ret_to,
                           struct tn_error *err)
{
    enum tn_code code = TN_OK;
    pthread_mutex_lock(&service->lock);
    const struct versions *versions = versions_of(service, name);
    if (!versions)
        code = tn_fail(err, TN_ENOTFOUND, "index \"%.100s\" has no versions", name);
    else if (to && !has_name(versions, to) && !tn_str_equal_nocase(versions->base, to))
        code = tn_fail(err, TN_ENOTFOUND, "\"%.100s\" is no version of index \"%s\"", to, versions->base);
    else if (!to && !versions->previous[0])
        code = tn_fail(err, TN_ENOTFOUND, "index \"%s\" was never switched", versions->base);
    if (code == TN_ENOTFOUND)
        tn_error_hint(err, "`tarn reembed --index NAME --model MODEL` makes one");
    if (code == TN_OK)
        *ret_to = tn_strdup(to ? to : versions->previous);
    pthread_mutex_unlock(&service->lock);
    return code;
}

enum tn_code index_version_serve(struct index_service *service, const char *name, const char *to,
                                 struct tn_error *err)
{
    TN_AUTO_FREE char *target = NULL;
    TN_TRY(choose(service, name, to, &target, err));
    TN_TRY(check_ready(service, target, err));
    pthread_mutex_lock(&service->lock);
    struct versions *versions = versions_of(service, name);
    enum tn_code code = TN_OK;
    if (versions && !tn_str_equal_nocase(versions->serving, target)) {
        struct versions next = *versions;
        next.previous = versions->serving;
        next.serving = target;
        code = save(service, &next, err);
        if (code == TN_OK) {
            free(versions->previous);
            versions->previous = versions->serving;
            versions->serving = TN_TAKE(target);
        }
    }
    pthread_mutex_unlock(&service->lock);
    return code;
}

/* ---- shown, dropped ------------------------------------------------------------------------------ */

enum tn_code index_versions(struct index_service *service, const char *name, struct tn_json *out,
                            struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *base = NULL;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_TRY(logical_find(service, name, &base, err));
    pthread_mutex_lock(&service->lock);
    const struct versions *versions = versions_of(service, base->definition.name);
    size_t count = versions ? versions->count : 0;
    const char **names = TN_ARENA_ARRAY(arena, const char *, count + 1);
    names[0] = base->definition.name;
    for (size_t i = 0; i < count; i++)
        names[i + 1] = tn_arena_strdup(arena, versions->names[i]);
    const char *serving = tn_arena_strdup(arena, versions ? versions->serving : base->definition.name);
    const char *previous = tn_arena_strdup(arena, versions ? versions->previous : "");
    pthread_mutex_unlock(&service->lock);
    tn_json_open(out, '{');
    tn_json_kstr(out, "index", base->definition.name);
    tn_json_kstr(out, "serving", serving);
    tn_json_kstr(out, "previous", previous[0] ? previous : NULL);
    tn_json_key(out, "versions");
    tn_json_open(out, '[');
    for (size_t i = 0; i <= count; i++) {
        TN_CLEANUP(logical_unref_p) struct logical *one = NULL;
        if (logical_find(service, names[i], &one, NULL) == TN_OK)
            TN_TRY(index_show(service, names[i], out, err));
    }
    tn_json_close(out, ']');
    tn_json_close(out, '}');
    return TN_OK;
}

/* Before an index goes: its versions go first; one that serves stays. */
enum tn_code versions_drop(struct index_service *service, const char *name, struct tn_error *err)
{
    for (;;) {
        TN_AUTO_FREE char *version = NULL;
        const char *serves = NULL;
        pthread_mutex_lock(&service->lock);
        struct versions *versions = versions_of(service, name);
        for (size_t i = 0; i < service->versions_count && !versions; i++)
            if (has_name(service->versions[i], name) && tn_str_equal_nocase(service->versions[i]->serving, name))
                serves = service->versions[i]->base;
        if (serves) {
            tn_fail(err, TN_ECONFLICT, "\"%.100s\" serves the searches of index \"%s\"", name, serves);
            tn_error_hint(err, "`tarn reembed --index %s --rollback` first", serves);
        } else if (versions && versions->count > 0) {
            version = tn_strdup(versions->names[versions->count - 1]);
            versions->serving[0] = '\0'; /* the base again, until it goes too */
        }
        pthread_mutex_unlock(&service->lock);
        if (serves)
            return TN_ECONFLICT;
        if (!version)
            break;
        enum tn_code code = index_drop(service, version, err);
        if (code == TN_ENOTFOUND)
            code = forget_version(service, version, err);
        TN_TRY(code);
    }
    TN_TRY(forget_version(service, name, err));
    TN_AUTO_FREE char *key = record_key(name);
    bool there = false;
    TN_TRY(store_exists(service->lake->store, key, &there, err));
    pthread_mutex_lock(&service->lock);
    for (size_t i = 0; i < service->versions_count; i++)
        if (tn_str_equal_nocase(service->versions[i]->base, name)) {
            versions_free(service->versions[i]);
            service->versions[i--] = service->versions[--service->versions_count];
        }
    pthread_mutex_unlock(&service->lock);
    return there ? store_delete(service->lake->store, key, err) : TN_OK;
}
