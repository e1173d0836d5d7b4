/* Which indexes there are: found at the start, made, brought up to date. */
#include "index/trial.h"

#include <inttypes.h>

/* ---- the model service as an embedder ------------------------------------------ */

static enum tn_code model_find_for(void *context, const char *model, struct model_info *ret, struct tn_error *err)
{
    return model_find(context, model, ret, err);
}

static enum tn_code model_embed_for(void *context, const char *model, const struct model_call *call,
                                    const struct model_text *texts, size_t count, float *out, struct tn_error *err)
{
    return model_embed(context, model, call, texts, count, out, NULL, err);
}

static size_t model_count_for(void *context, const char *model, struct model_text text)
{
    return model_count_tokens(context, model, text);
}

struct index_embedder index_embedder_of(struct model_service *models)
{
    return (struct index_embedder){
        .context = models, .find = model_find_for, .embed = model_embed_for, .count_tokens = model_count_for};
}

/* ---- one index --------------------------------------------------------------------- */

struct logical *logical_new(struct index_service *service, const struct definition *definition)
{
    struct logical *logical = tn_calloc(1, sizeof *logical);
    pthread_rwlockattr_t attributes;
    atomic_init(&logical->references, 1);
    logical->service = service;
    logical->definition = *definition;
    logical->folder = tn_asprintf("%s/%s", service->folder, definition->name);
    logical->tuning = tuning_new(definition);
    logical->changed = changed_new();
    (void)pthread_mutex_init(&logical->work, NULL);
    (void)pthread_mutex_init(&logical->docs_lock, NULL);
    (void)pthread_mutex_init(&logical->problem_lock, NULL);
    (void)pthread_mutex_init(&logical->readers_lock, NULL);
    (void)pthread_mutex_init(&logical->allowed_lock, NULL);
    (void)pthread_mutex_init(&logical->opened_lock, NULL);
    tn_cond_init(&logical->opened);
    /* Whoever replaces the files must not wait for a lull in the searches. */
    (void)pthread_rwlockattr_init(&attributes);
    (void)pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    (void)pthread_rwlock_init(&logical->gate, &attributes);
    (void)pthread_rwlockattr_destroy(&attributes);
    return logical;
}

struct logical *logical_ref(struct logical *logical)
{
    atomic_fetch_add(&logical->references, 1);
    return logical;
}

void logical_unref(struct logical *logical)
{
    if (!logical || atomic_fetch_sub(&logical->references, 1) != 1)
        return;
    files_close(logical);
    (void)pthread_mutex_destroy(&logical->work);
    (void)pthread_mutex_destroy(&logical->docs_lock);
    (void)pthread_mutex_destroy(&logical->problem_lock);
    (void)pthread_mutex_destroy(&logical->readers_lock);
    (void)pthread_mutex_destroy(&logical->allowed_lock);
    (void)pthread_mutex_destroy(&logical->opened_lock);
    (void)pthread_cond_destroy(&logical->opened);
    (void)pthread_rwlock_destroy(&logical->gate);
    tuning_free(logical->tuning);
    changed_free(logical->changed);
    tn_arena_free(logical->definition.arena);
    free(logical->folder);
    free(logical);
}

void logical_note_problem(struct logical *logical, enum tn_code code, const struct tn_error *err)
{
    pthread_mutex_lock(&logical->problem_lock);
    size_t length = code == TN_OK ? 0 : strlen(err->detail);
    length = tn_utf8_floor(err->detail, length, TN_MIN(length, sizeof logical->problem - 1));
    memcpy(logical->problem, err->detail, length);
    logical->problem[length] = '\0';
    pthread_mutex_unlock(&logical->problem_lock);
}

bool logical_stopping(const struct logical *logical, const struct job_run *run)
{
    return atomic_load(&logical->service->ending) || atomic_load(&logical->dropped) || (run && job_run_stopping(run));
}

void logical_halt(struct logical *logical)
{
    __atomic_store_n(&logical->halted, true, __ATOMIC_RELEASE);
}

enum tn_code logical_stopped(const struct logical *logical, struct tn_error *err)
{
    if (atomic_load(&logical->dropped))
        return tn_fail(err, TN_ENOTFOUND, "index \"%s\" was dropped", logical->definition.name);
    return tn_fail(err, TN_ECANCELLED, "work on index \"%s\" was stopped", logical->definition.name);
}

static enum tn_code unknown(struct index_service *service, const char *name, struct tn_error *err)
{
    const char **names = tn_calloc(service->count + 1, sizeof *names);
    TN_AUTO_BUF all = {0};
    for (size_t i = 0; i < service->count; i++) {
        names[i] = service->items[i]->definition.name;
        if (i < 20)
            tn_buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = tn_suggest(name, names, service->count);
    tn_fail(err, TN_ENOTFOUND, "there is no index \"%.100s\"", name);
    if (near)
        tn_error_hint(err, "did you mean \"%s\"?", near);
    else if (service->count > 0)
        tn_error_hint(err, "there are: %s", all.data);
    else
        tn_error_hint(err, "make one: `tarn index create DATASET`");
    free(names);
    return TN_ENOTFOUND;
}

enum tn_code logical_find(struct index_service *service, const char *name, struct logical **ret, struct tn_error *err)
{
    enum tn_code code = TN_OK;
    struct logical *found = NULL;
    pthread_mutex_lock(&service->lock);
    for (size_t i = 0; i < service->count && !found; i++)
        if (tn_str_equal_nocase(service->items[i]->definition.name, name))
            found = logical_ref(service->items[i]);
    if (!found)
        code = unknown(service, name, err);
    pthread_mutex_unlock(&service->lock);
    if (found)
        *ret = found;
    return code;
}

size_t logical_all(struct index_service *service, struct tn_arena *arena, struct logical ***ret)
{
    pthread_mutex_lock(&service->lock);
    size_t count = service->count;
    struct logical **all = TN_ARENA_ARRAY(arena, struct logical *, count + 1);
    for (size_t i = 0; i < count; i++)
        all[i] = logical_ref(service->items[i]);
    pthread_mutex_unlock(&service->lock);
    *ret = all;
    return count;
}

static enum tn_code none_of(struct index_service *service, const char *dataset, struct tn_error *err)
{
    TN_AUTO_BUF names = {0};
    for (size_t i = 0; i < service->count && i < 20; i++)
        tn_buf_printf(&names, "%s%s", i ? ", " : "", service->items[i]->definition.name);
    if (dataset) {
        tn_fail(err, TN_ENOTFOUND, "dataset \"%.100s\" has no index", dataset);
        tn_error_hint(err, "make one: `tarn index create %.100s`", dataset);
    } else if (service->count == 0) {
        tn_fail(err, TN_ENOTFOUND, "there is no index yet");
        tn_error_hint(err, "make one: `tarn index create DATASET`");
    } else {
        tn_fail(err, TN_EREQUEST, "there are several indexes");
        tn_error_hint(err, "say which to search: %s", names.data);
        return TN_EREQUEST;
    }
    return TN_ENOTFOUND;
}

/* Under lock. */
static const struct definition *newest_of(struct index_service *service, const char *dataset)
{
    const struct definition *newest = NULL;
    size_t shown = 0;
    for (size_t i = 0; i < service->count; i++)
        shown += !version_hidden(service, service->items[i]->definition.name);
    for (size_t i = 0; i < service->count; i++) {
        const struct definition *definition = &service->items[i]->definition;
        if (version_hidden(service, definition->name))
            continue;
        if (dataset ? tn_str_equal_nocase(definition->dataset, dataset) : shown == 1)
            if (!newest || definition->created_us > newest->created_us)
                newest = definition;
    }
    return newest;
}

static char *find_newest(struct index_service *service, const char *dataset, bool last, struct tn_error *err)
{
    pthread_mutex_lock(&service->lock);
    const struct definition *newest = newest_of(service, dataset);
    char *name = newest ? tn_strdup(newest->name) : NULL;
    if (!newest && last)
        (void)!none_of(service, dataset, err);
    pthread_mutex_unlock(&service->lock);
    return name;
}

enum tn_code index_of_dataset(struct index_service *service, const char *dataset, char **ret, struct tn_error *err)
{
    struct tn_error why = {0};
    char *name = find_newest(service, dataset, false, NULL);
    if (!name) { /* it may have this name since a moment ago */
        dataset_look_for_renames(service);
        name = find_newest(service, dataset, true, &why);
    }
    if (!name) {
        if (err)
            *err = why;
        return why.code;
    }
    *ret = name;
    return TN_OK;
}

/* ---- the service ---------------------------------------------------------------------- */

static void add(struct index_service *service, struct logical *logical)
{
    TN_GROW(service->items, service->count, service->capacity);
    service->items[service->count++] = logical;
}

const char *definition_key(struct tn_arena *arena, const char *name)
{
    return tn_arena_printf(arena, "vectors/%s/index.json", name);
}

static bool note_name(void *context, const char *name)
{
    struct tn_buf *names = context;
    tn_buf_append(names, name, strlen(name) + 1);
    return true;
}

static enum tn_code load(struct index_service *service, const char *name, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *key = definition_key(arena, name);
    TN_AUTO_BUF text = {0};
    struct definition definition;
    bool there = false;
    TN_TRY(drop_go_on(service, name, err));
    TN_TRY(store_exists(service->lake->store, key, &there, err));
    if (!there)
        return TN_OK;
    TN_TRY(store_get(service->lake->store, key, DEFINITION_MAX, &text, err));
    TN_TRY(definition_read(text.data, text.len, key, arena, &definition, err));
    definition.arena = TN_TAKE(arena);
    add(service, logical_new(service, &definition));
    return versions_load(service, name, err);
}

/* An index that cannot be read must not keep the lake from opening. */
static enum tn_code load_all(struct index_service *service, struct tn_error *err)
{
    TN_AUTO_BUF names = {0};
    TN_TRY(store_list_folders(service->lake->store, "vectors", note_name, &names, err));
    for (size_t at = 0; at < names.len; at += strlen(names.data + at) + 1) {
        struct tn_error why = {0};
        if (load(service, names.data + at, &why) != TN_OK)
            TN_LOG(TN_LOG_ERROR, "index.unreadable", TN_FS("index", names.data + at), TN_FS("why", why.detail));
    }
    return TN_OK;
}

static void put_report(const struct index_report *report, json_t **ret)
{
    *ret = json_pack("{s:I,s:I,s:I,s:I,s:I,s:b}", "documents", (json_int_t)report->documents, "chunks",
                     (json_int_t)report->chunks, "embedded", (json_int_t)report->embedded, "reused",
                     (json_int_t)report->reused, "deleted", (json_int_t)report->deleted, "folded", report->folded);
}

static enum tn_code run_job(struct job_run *run, void *context, struct tn_error *err)
{
    const char *name = json_string_value(json_object_get(job_run_arguments(run), "index"));
    struct index_report report;
    if (!name)
        return tn_fail(err, TN_EREQUEST, "the job does not say which index");
    TN_TRY(index_bring_up(context, name, run, &report, err));
    TN_AUTO_JSON *result = NULL;
    put_report(&report, &result);
    job_run_result(run, result);
    return TN_OK;
}

enum tn_code index_service_open(const struct index_options *options, struct index_service **ret, struct tn_error *err)
{
    TN_CLEANUP(index_service_close_p) struct index_service *service = tn_calloc(1, sizeof *service);
    service->lake = options->lake;
    service->quiet = *options->lake;
    service->quiet.journal = NULL;
    service->quiet.queues = NULL;
    service->embedder = options->embedder;
    service->jobs = options->jobs;
    service->auto_embed = options->auto_embed;
    service->keep_generations = options->keep_generations ? options->keep_generations : 2;
    service->keep_trials = options->keep_trials ? options->keep_trials : 5;
    service->trial_age_us =
        (int64_t)(options->trial_age_ms ? options->trial_age_ms : UINT64_C(7) * 24 * 3600 * 1000) * 1000;
    service->folder = tn_strdup(options->folder);
    (void)pthread_mutex_init(&service->lock, NULL);
    (void)pthread_mutex_init(&service->making, NULL);
    (void)pthread_mutex_init(&service->dropping, NULL);
    (void)pthread_mutex_init(&service->queries_lock, NULL);
    TN_TRY(tn_mkdirs(options->folder, 0700, err));
    TN_TRY(load_all(service, err));
    if (service->jobs) {
        job_kind_add(service->jobs, "index", run_job, service);
        job_kind_add(service->jobs, "trial", trial_run_job, service);
    }
    if (options->follow)
        TN_TRY(follow_start(service, err));
    *ret = TN_TAKE(service);
    return TN_OK;
}

void index_service_stop(struct index_service *service)
{
    atomic_store(&service->ending, true);
    pthread_mutex_lock(&service->lock);
    for (size_t i = 0; i < service->count; i++)
        logical_halt(service->items[i]);
    pthread_mutex_unlock(&service->lock);
    catalog_wake(service->lake->catalog);
}

void index_service_close(struct index_service *service)
{
    if (!service)
        return;
    follow_stop(service);
    drop_finish(service, true);
    free(service->leaving);
    for (size_t i = 0; i < service->count; i++)
        logical_unref(service->items[i]);
    free(service->items);
    versions_free_all(service);
    holds_free(service);
    free(service->tried);
    for (size_t i = 0; i < QUERIES_KEPT; i++) {
        free(service->queries[i].text);
        free(service->queries[i].vector);
    }
    (void)pthread_mutex_destroy(&service->lock);
    (void)pthread_mutex_destroy(&service->making);
    (void)pthread_mutex_destroy(&service->dropping);
    (void)pthread_mutex_destroy(&service->queries_lock);
    free(service->folder);
    free(service);
}

/* ---- create ------------------------------------------------------------------------ */

static enum tn_code refuse_taken(struct index_service *service, const struct definition *definition,
                                 struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct logical *there = NULL;
    if (logical_find(service, definition->name, &there, NULL) == TN_OK) {
        logical_unref(there);
        return tn_fail(err, TN_EEXISTS, "there is an index \"%s\" already", definition->name);
    }
    if (catalog_load(service->lake->catalog, definition->table, &metadata, NULL) == TN_OK) {
        tn_fail(err, TN_EEXISTS, "there is a dataset \"%s\" already, where the vectors would go", definition->table);
        tn_error_hint(err, "choose another name for the index");
        return TN_EEXISTS;
    }
    return TN_OK;
}

/* Under making: of two that make an index of one name one wins, and the other has touched nothing. */
static enum tn_code make(struct index_service *service, struct definition *definition, struct tn_arena **arena,
                         struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    TN_TRY(drop_wait(service, definition->name, err));
    TN_TRY(refuse_taken(service, definition, err));
    TN_AUTO_FREE char *folder = tn_asprintf("%s/%s", service->folder, definition->name);
    TN_TRY(tn_remove_tree(folder, err)); /* of an index of that name, dropped while nobody looked */
    definition_write(definition, &text);
    TN_TRY(store_create(service->lake->store, definition_key(*arena, definition->name), text.data, text.len, err));
    definition->arena = TN_TAKE(*arena);
    struct logical *logical = logical_new(service, definition);
    pthread_mutex_lock(&service->lock);
    if (atomic_load(&service->ending))
        logical_halt(logical);
    add(service, logical);
    pthread_mutex_unlock(&service->lock);
    return TN_OK;
}

enum tn_code index_create(struct index_service *service, const struct index_definition *wanted, const char *actor,
                          char ret_job[JOB_ID_TEXT], struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct definition definition;
    TN_TRY(definition_make(service, wanted, actor, arena, &definition, err));
    TN_AUTO_FREE char *name = tn_strdup(definition.name);
    pthread_mutex_lock(&service->making);
    enum tn_code code = make(service, &definition, &arena, err);
    pthread_mutex_unlock(&service->making);
    TN_TRY(code);
    ret_job[0] = '\0';
    return service->jobs ? index_order(service, name, actor, ret_job, err) : TN_OK;
}

/* ---- building ------------------------------------------------------------------------------ */

enum tn_code index_bring_up(struct index_service *service, const char *name, struct job_run *run,
                            struct index_report *ret, struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    bool more, busy;
    TN_TRY(logical_find(service, name, &logical, err));
    struct tn_error why = {0};
    enum tn_code code = walk_locked(logical, run, 0, true, ret, &more, &busy, &why);
    if (code == TN_OK || !logical_stopping(logical, run))
        logical_note_problem(logical, code, &why);
    catalog_wake(service->lake->catalog); /* the follower may have found it busy */
    if (code != TN_OK && err)
        *err = why;
    return code;
}

enum tn_code index_order(struct index_service *service, const char *name, const char *actor,
                         char ret_job[JOB_ID_TEXT], struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    TN_TRY(logical_find(service, name, &logical, err));
    if (!service->jobs)
        return tn_fail(err, TN_EUNAVAILABLE, "nothing runs jobs here");
    TN_AUTO_JSON *arguments = json_pack("{s:s}", "index", logical->definition.name);
    TN_AUTO_FREE char *subject = tn_asprintf("index %s", logical->definition.name);
    /* A job that runs has looked at the dataset already; one that is still to look needs no second run. */
    int64_t current = 0, walked_to = atomic_load(&logical->walked_to);
    TN_TRY(dataset_snapshot(logical, &current, err));
    const struct job_request request = {.kind = "index",
                                        .subject = subject,
                                        .arguments = arguments,
                                        .once = true,
                                        .again = walked_to != 0 && walked_to != current,
                                        .actor = actor};
    return job_submit(service->jobs, &request, ret_job, err);
}

enum tn_code index_rebuild(struct index_service *service, const char *name, struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    TN_TRY(logical_find(service, name, &logical, err));
    TN_TRY(files_forget(logical, err));
    return files_open(logical, err);
}

void index_totals(struct index_service *service, struct index_totals *ret)
{
    *ret = (struct index_totals){.catch_ups = atomic_load(&service->counts.catch_ups),
                                 .woken = atomic_load(&service->counts.woken),
                                 .from_memory = atomic_load(&service->counts.from_memory),
                                 .filters = atomic_load(&service->counts.filters),
                                 .changes_read = atomic_load(&service->counts.changes_read),
                                 .embedded = atomic_load(&service->counts.embedded),
                                 .reused = atomic_load(&service->counts.reused)};
}
