/* What is chosen for the generation that serves, and which generations stay. */
#include "index/trial.h"

#include <inttypes.h>

/* ---- made, freed --------------------------------------------------------------- */

struct tuning *tuning_new(const struct definition *definition)
{
    struct tuning *tuning = tn_calloc(1, sizeof *tuning);
    (void)pthread_rwlock_init(&tuning->users, NULL);
    (void)pthread_mutex_init(&tuning->lock, NULL);
    (void)pthread_mutex_init(&tuning->truth_lock, NULL);
    tuning->tuned[0] = definition->tuned[0];
    tuning->tuned[1] = definition->tuned[1];
    tuning->asked = asked_new(definition->dimension);
    atomic_init(&tuning->recall_target, definition->recall_target);
    return tuning;
}

void tuning_free(struct tuning *tuning)
{
    if (!tuning)
        return;
    (void)pthread_rwlock_destroy(&tuning->users);
    (void)pthread_mutex_destroy(&tuning->lock);
    (void)pthread_mutex_destroy(&tuning->truth_lock);
    trial_log_release(&tuning->log);
    truth_release(&tuning->truth);
    asked_free(tuning->asked);
    free(tuning);
}

/* ---- users of the vectors ---------------------------------------------------------- */

enum tn_code users_enter(struct logical *logical, struct vector_index **ret, struct tn_error *err)
{
    TN_TRY(files_look(logical, true, FILES_PATIENCE_MS, err));
    pthread_rwlock_rdlock(&logical->tuning->users);
    struct vector_index *vectors = atomic_load(&logical->open) ? atomic_load(&logical->vectors) : NULL;
    if (!vectors || atomic_load(&logical->tuning->stopping) > 0) {
        pthread_rwlock_unlock(&logical->tuning->users);
        return tn_fail(err, TN_EUNAVAILABLE, "index \"%s\" has no chunks yet", logical->definition.name);
    }
    *ret = vectors;
    return TN_OK;
}

void users_leave(struct logical *logical)
{
    pthread_rwlock_unlock(&logical->tuning->users);
}

void users_out(struct logical *logical)
{
    atomic_fetch_add(&logical->tuning->stopping, 1);
    pthread_rwlock_wrlock(&logical->tuning->users);
}

bool users_out_if_idle(struct logical *logical)
{
    atomic_fetch_add(&logical->tuning->stopping, 1);
    if (pthread_rwlock_trywrlock(&logical->tuning->users) == 0)
        return true;
    atomic_fetch_sub(&logical->tuning->stopping, 1);
    return false;
}

void users_back(struct logical *logical)
{
    pthread_rwlock_unlock(&logical->tuning->users);
    atomic_fetch_sub(&logical->tuning->stopping, 1);
}

/* ---- what is chosen ------------------------------------------------------------------- */

struct tuned tuning_of(const struct logical *logical, uint64_t generation)
{
    const struct tuned *tuned = logical->tuning->tuned;
    /* One that was folded from another is searched like that. */
    struct tuned found = tuned[1].generation && tuned[1].generation == generation ? tuned[1] : tuned[0];
    found.generation = generation;
    if (!(found.recall_target > 0))
        found.recall_target = logical->definition.recall_target;
    return found;
}

void tuning_apply(struct logical *logical)
{
    struct tuning *tuning = logical->tuning;
    struct vector_index *vectors = atomic_load(&logical->vectors);
    struct vector_index_info info = {0};
    if (!vectors)
        return;
    vector_index_info(vectors, &info);
    pthread_mutex_lock(&tuning->lock);
    struct tuned now = tuning_of(logical, info.generation);
    atomic_store(&tuning->ef, now.ef);
    atomic_store(&tuning->recall_target, now.recall_target);
    atomic_store(&tuning->recall, now.recall);
    pthread_mutex_unlock(&tuning->lock);
}

void tuning_build_options(const struct logical *logical, struct vector_build_options *options)
{
    const struct tuned *tuned = &logical->tuning->tuned[0];
    options->degree = tuned->degree;
    options->ef_construction = tuned->ef_construction;
    options->code_bits = tuned->code_bits;
    options->raw = tuned->half ? VECTOR_F16 : VECTOR_F32;
}

enum tn_code tuning_keep(struct logical *logical, struct tn_error *err)
{
    const struct tuned now = logical->tuning->tuned[0], before = logical->tuning->tuned[1];
    return tuning_store(logical, &now, &before, err);
}

enum tn_code tuning_store(struct logical *logical, const struct tuned *now, const struct tuned *before,
                          struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct definition definition = logical->definition;
    TN_AUTO_BUF text = {0};
    const char *key = tn_arena_printf(arena, "vectors/%s/index.json", definition.name);
    definition.tuned[0] = *now;
    definition.tuned[1] = *before;
    definition_write(&definition, &text);
    TN_TRY(store_put(logical->service->lake->store, key, text.data, text.len, err));
    logical->tuning->tuned[0] = *now;
    logical->tuning->tuned[1] = *before;
    return TN_OK;
}

void tuning_put(struct logical *logical, bool open, struct tn_json *out)
{
    struct vector_index *vectors = open ? atomic_load(&logical->vectors) : NULL;
    struct vector_index_info info = {0};
    if (vectors)
        vector_index_info(vectors, &info);
    tn_json_kf64(out, "recall_target", atomic_load(&logical->tuning->recall_target));
    tn_json_key(out, "tuning");
    if (!vectors) {
        tn_json_null(out);
        return;
    }
    pthread_mutex_lock(&logical->tuning->lock);
    struct tuned now = tuning_of(logical, info.generation);
    pthread_mutex_unlock(&logical->tuning->lock);
    tn_json_open(out, '{');
    tn_json_ki64(out, "m", info.degree);
    tn_json_ki64(out, "ef_construction", info.ef_construction);
    tn_json_ki64(out, "code_bits", info.code_bits);
    tn_json_kstr(out, "raw", info.raw == VECTOR_F16 ? "f16" : "f32");
    tn_json_ki64(out, "ef", now.ef);
    tn_json_ki64(out, "trial", (int64_t)now.trial);
    tn_json_close(out, '}');
}

/* ---- which generations stay --------------------------------------------------------------- */

static const struct trial_record *trial_of(const struct trial_log *log, const struct vector_generation *generation)
{
    for (size_t i = log->count; i-- > 0;)
        if (log->items[i].generation == generation->number && log->items[i].seed == generation->seed &&
            tn_streq(log->items[i].kind, "trial"))
            return &log->items[i];
    return NULL;
}

static bool has_served(const struct trial_log *log, const struct vector_generation *generation)
{
    for (size_t i = log->count; i-- > 0;)
        if (log->items[i].generation == generation->number && log->items[i].seed == generation->seed &&
            !tn_streq(log->items[i].kind, "trial"))
            return true;
    return false;
}

/* Of a trial that ended before it was recorded: its seed is like no other's. */
static bool is_left_over(const struct trial_log *log, const struct vector_generation *generation)
{
    for (size_t i = 0; i < log->count; i++)
        if (log->items[i].seed == generation->seed)
            return false;
    return generation->seed != 0;
}

/* The newest come first: so many that served, so many that never did. */
static size_t choose(const struct logical *logical, const struct vector_generation *all, size_t count, uint64_t *keep)
{
    const struct index_service *service = logical->service;
    const struct trial_log *log = &logical->tuning->log;
    int64_t now = tn_now_us();
    size_t kept = 0, served = 1, trials = 0; /* the previous one stays and is one of those that served */
    for (size_t i = count; i-- > 0;) {
        const struct vector_generation *generation = &all[i];
        const struct trial_record *trial = trial_of(log, generation);
        if (generation->active || generation->previous)
            continue;
        if (trial && !has_served(log, generation)) {
            if (trials < service->keep_trials && now - trial->time_us < service->trial_age_us) {
                keep[kept++] = generation->number;
                trials++;
            }
        } else if (!is_left_over(log, generation) && served < service->keep_generations) {
            keep[kept++] = generation->number;
            served++;
        }
    }
    return kept;
}

static enum tn_code keep_locked(struct logical *logical, struct vector_index *vectors, struct tn_error *err)
{
    TN_AUTO_FREE struct vector_generation *all = tn_calloc(VECTOR_GENERATIONS_MAX, sizeof *all);
    TN_AUTO_FREE uint64_t *keep = tn_calloc(VECTOR_GENERATIONS_MAX, sizeof *keep);
    size_t count;
    if (logical->tuning->trying > 0)
        return TN_OK; /* whoever tries looks again at the end */
    TN_TRY(trial_log_load(logical, err));
    TN_TRY(vector_index_generations(vectors, all, VECTOR_GENERATIONS_MAX, &count, err));
    return vector_index_keep(vectors, keep, choose(logical, all, count, keep), err);
}

enum tn_code generations_keep(struct logical *logical, struct tn_error *err)
{
    struct vector_index *vectors = atomic_load(&logical->vectors);
    pthread_mutex_lock(&logical->tuning->lock);
    enum tn_code code = vectors ? keep_locked(logical, vectors, err) : TN_OK;
    pthread_mutex_unlock(&logical->tuning->lock);
    return code;
}

/* ---- listed ------------------------------------------------------------------------------------ */

static const char *state_of(const struct trial_log *log, const struct vector_generation *generation)
{
    if (generation->active)
        return "active";
    if (generation->previous)
        return "previous";
    return trial_of(log, generation) && !has_served(log, generation) ? "trial" : "kept";
}

static void put_generation(const struct trial_log *log, const struct vector_generation *generation,
                           struct tn_json *out)
{
    const struct trial_record *trial = trial_of(log, generation);
    char time[TN_TIME_TEXT];
    tn_json_open(out, '{');
    tn_json_ki64(out, "generation", (int64_t)generation->number);
    tn_json_kstr(out, "state", state_of(log, generation));
    tn_json_key(out, "trial");
    if (trial)
        tn_json_u64(out, trial->record);
    else
        tn_json_null(out);
    tn_json_kstr(out, "built", tn_time_format(generation->built_us, time));
    tn_json_ki64(out, "rows", (int64_t)generation->rows);
    tn_json_ki64(out, "m", generation->degree);
    tn_json_ki64(out, "ef_construction", generation->ef_construction);
    tn_json_ki64(out, "code_bits", generation->code_bits);
    tn_json_kstr(out, "raw", generation->raw == VECTOR_F16 ? "f16" : "f32");
    tn_json_ki64(out, "bytes_on_disk", (int64_t)generation->bytes);
    tn_json_close(out, '}');
}

static enum tn_code put_generations(struct logical *logical, struct vector_index *vectors, struct tn_json *out,
                                    struct tn_error *err)
{
    TN_AUTO_FREE struct vector_generation *all = tn_calloc(VECTOR_GENERATIONS_MAX, sizeof *all);
    size_t count;
    TN_TRY(vector_index_generations(vectors, all, VECTOR_GENERATIONS_MAX, &count, err));
    pthread_mutex_lock(&logical->tuning->lock);
    enum tn_code code = trial_log_load(logical, err);
    if (code == TN_OK) {
        tn_json_open(out, '[');
        for (size_t i = count; i-- > 0;)
            put_generation(&logical->tuning->log, &all[i], out);
        tn_json_close(out, ']');
    }
    pthread_mutex_unlock(&logical->tuning->lock);
    return code;
}

enum tn_code index_generations(struct index_service *service, const char *name, struct tn_json *out,
                               struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    struct vector_index *vectors;
    TN_TRY(logical_find(service, name, &logical, err));
    TN_TRY(users_enter(logical, &vectors, err));
    enum tn_code code = put_generations(logical, vectors, out, err);
    users_leave(logical);
    return code;
}
