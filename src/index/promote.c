/* A trial's generation takes the active one's place, and the one before comes
 * back. Both are a matter of milliseconds, and searches go on meanwhile. */
#include "index/trial.h"

#include <inttypes.h>

/* ---- which generation -------------------------------------------------------------- */

/* Under lock. */
static enum tn_code find_trial(struct logical *logical, uint64_t trial, struct trial_record *ret,
                               struct tn_error *err)
{
    TN_TRY(trial_log_load(logical, err));
    const struct trial_log *log = &logical->tuning->log;
    for (size_t i = 0; i < log->count; i++)
        if (log->items[i].record == trial && tn_streq(log->items[i].kind, "trial")) {
            *ret = log->items[i];
            return TN_OK;
        }
    tn_fail(err, TN_ENOTFOUND, "index \"%s\" has no trial %" PRIu64, logical->definition.name, trial);
    tn_error_hint(err, "`tarn index trials %s` lists them", logical->definition.name);
    return TN_ENOTFOUND;
}

static enum tn_code check_file(struct logical *logical, struct vector_index *vectors,
                               const struct trial_record *trial, struct tn_error *err)
{
    TN_AUTO_FREE struct vector_generation *all = tn_calloc(VECTOR_GENERATIONS_MAX, sizeof *all);
    size_t count;
    TN_TRY(vector_index_generations(vectors, all, VECTOR_GENERATIONS_MAX, &count, err));
    for (size_t i = 0; i < count; i++)
        if (all[i].number == trial->generation && all[i].seed == trial->seed)
            return TN_OK;
    tn_fail(err, TN_ENOTFOUND, "the generation of trial %" PRIu64 " is not there any more", trial->record);
    tn_error_hint(err, "build it again: tarn index trial %s --m %" PRIu64 " --ef-construction %" PRIu64,
                  logical->definition.name, trial->degree, trial->ef_construction);
    return TN_ENOTFOUND;
}

/* ---- whether it may ------------------------------------------------------------------- */

/* Another generation serves than the one that it was measured beside. */
static enum tn_code measure_again(struct logical *logical, struct vector_index *vectors, struct trial_record *trial,
                                  struct tn_error *err)
{
    TN_AUTO_FREE char *path = vector_index_generation_path(vectors, trial->generation);
    TN_CLEANUP(vector_index_close_p) struct vector_index *built = NULL;
    const struct vector_open_options options = {.warm_now = true, .no_warm = logical_on_disk(logical)};
    struct queries queries;
    struct measured active, other;
    TN_TRY(vector_index_open(path, &options, &built, err));
    TN_TRY(queries_choose(logical, vectors, TRIAL_SAMPLES, &queries, err));
    TN_AUTO_FREE float *rows = queries.rows;
    TN_TRY(measure(logical, vectors, vectors, &queries, TRIAL_K, atomic_load(&logical->tuning->ef),
                   atomic_load(&logical->tuning->recall_target), &active, err));
    TN_TRY(measure(logical, built, vectors, &queries, TRIAL_K, (uint32_t)trial->ef,
                   trial->recall_target > 0 ? trial->recall_target : 0.95, &other, err));
    trial->active_recall_at_10 = active.recall_at_k;
    trial->recall_at_10 = other.recall_at_k;
    return TN_OK;
}

static enum tn_code check_recall(const struct trial_record *trial, struct tn_error *err)
{
    if (trial->recall_at_10 < TRIAL_RECALL_LEAST)
        tn_fail(err, TN_EREFUSED, "trial %" PRIu64 " finds %.4f of the true nearest ten; %.2f are asked for",
                trial->record, trial->recall_at_10, TRIAL_RECALL_LEAST);
    else if (trial->recall_at_10 < trial->active_recall_at_10 - TRIAL_TOLERANCE)
        tn_fail(err, TN_EREFUSED,
                "trial %" PRIu64 " finds %.4f of the true nearest ten, the active generation %.4f on the same "
                "queries, which is more by over %.3f",
                trial->record, trial->recall_at_10, trial->active_recall_at_10, TRIAL_TOLERANCE);
    else
        return TN_OK;
    tn_error_hint(err, "promote it all the same with \"force\": true and a \"reason\"");
    return TN_EREFUSED;
}

/* ---- the swap ---------------------------------------------------------------------------- */

static void record_change(struct logical *logical, const char *kind, const struct index_change *change,
                          struct trial_record *record)
{
    record->kind = kind;
    record->index = logical->definition.name;
    record->time_us = tn_now_us();
    record->actor = change->actor ? change->actor : "";
    record->reason = change->reason ? change->reason : "";
    record->forced = change->force;
}

static uint64_t active_of(struct vector_index *vectors)
{
    struct vector_index_info info;
    vector_index_info(vectors, &info);
    return info.generation;
}

/* What is chosen is durable before the generation serves: whichever serves after
 * a crash, what was chosen for it is there. Under lock. */
static enum tn_code swap(struct logical *logical, struct vector_index *vectors, const struct tuned *to,
                         struct trial_record *record, struct tn_error *err)
{
    record->before = active_of(vectors);
    struct tuned before = tuning_of(logical, record->before);
    TN_TRY(tuning_store(logical, to, &before, err));
    TN_FAULT("index.promote.between");
    TN_TRY(vector_index_promote(vectors, to->generation, err));
    /* It serves, and that is what was asked for: a record that cannot be kept is told and no more. */
    struct tn_error why = {0};
    if (trial_log_add(logical, record, &why) != TN_OK)
        TN_LOG(TN_LOG_ERROR, "index.not_recorded", TN_FS("index", logical->definition.name),
               TN_FS("why", why.detail));
    return TN_OK;
}

static void put_change(const struct trial_record *record, uint64_t microseconds, struct tn_json *out)
{
    tn_json_open(out, '{');
    tn_json_kstr(out, "index", record->index);
    tn_json_kstr(out, "status", tn_streq(record->kind, "promotion") ? "promoted" : "rolled_back");
    tn_json_key(out, "trial");
    if (record->trial)
        tn_json_u64(out, record->trial);
    else
        tn_json_null(out);
    tn_json_ki64(out, "generation", (int64_t)record->generation);
    tn_json_ki64(out, "before", (int64_t)record->before);
    if (tn_streq(record->kind, "promotion")) {
        tn_json_kf64(out, "recall_at_10", record->recall_at_10);
        tn_json_kf64(out, "active_recall_at_10", record->active_recall_at_10);
        tn_json_kf64(out, "tolerance", TRIAL_TOLERANCE);
        tn_json_kbool(out, "forced", record->forced);
    }
    tn_json_kf64(out, "swap_ms", (double)microseconds / 1000);
    tn_json_close(out, '}');
}

/* ---- promotion ------------------------------------------------------------------------------ */

static enum tn_code promote_locked(struct logical *logical, struct vector_index *vectors,
                                   const struct trial_record *trial, const struct index_change *change,
                                   struct tn_json *out, struct tn_error *err)
{
    const struct tuned to = {.generation = trial->generation,
                             .trial = trial->record,
                             .degree = (uint32_t)trial->degree,
                             .ef_construction = (uint32_t)trial->ef_construction,
                             .code_bits = (uint32_t)trial->code_bits,
                             .ef = (uint32_t)trial->ef,
                             .half = tn_streq(trial->raw, "f16"),
                             .recall_target = trial->recall_target,
                             .recall = trial->recall_at_10};
    struct trial_record record = {.trial = trial->record,
                                  .generation = trial->generation,
                                  .seed = trial->seed,
                                  .recall_at_10 = trial->recall_at_10,
                                  .active_recall_at_10 = trial->active_recall_at_10};
    TN_TRY(check_file(logical, vectors, trial, err));
    record_change(logical, "promotion", change, &record);
    if (active_of(vectors) == trial->generation)
        return tn_fail(err, TN_ECONFLICT, "trial %" PRIu64 " is active already", trial->record);
    uint64_t start = tn_mono_ns();
    TN_TRY(swap(logical, vectors, &to, &record, err));
    put_change(&record, (tn_mono_ns() - start) / 1000, out);
    return TN_OK;
}

static enum tn_code promote(struct logical *logical, struct vector_index *vectors, uint64_t number,
                            const struct index_change *change, struct tn_json *out, struct tn_error *err)
{
    struct trial_record trial;
    pthread_mutex_lock(&logical->tuning->lock);
    enum tn_code code = find_trial(logical, number, &trial, err);
    if (code == TN_OK)
        code = check_file(logical, vectors, &trial, err);
    pthread_mutex_unlock(&logical->tuning->lock);
    TN_TRY(code);
    if (!change->force) {
        if (trial.active_generation != active_of(vectors) && trial.generation != active_of(vectors))
            TN_TRY(measure_again(logical, vectors, &trial, err));
        TN_TRY(check_recall(&trial, err));
    }
    pthread_mutex_lock(&logical->tuning->lock);
    code = promote_locked(logical, vectors, &trial, change, out, err);
    pthread_mutex_unlock(&logical->tuning->lock);
    return code;
}

enum tn_code index_promote(struct index_service *service, const char *name, uint64_t trial,
                           const struct index_change *change, struct tn_json *out, struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    struct vector_index *vectors;
    if (change->force && !(change->reason && change->reason[0]))
        return tn_fail(err, TN_EREQUEST, "a promotion is forced with a reason");
    TN_TRY(logical_find(service, name, &logical, err));
    TN_TRY(users_enter(logical, &vectors, err));
    enum tn_code code = promote(logical, vectors, trial, change, out, err);
    users_leave(logical);
    if (code == TN_OK) {
        tuning_apply(logical);
        code = generations_keep(logical, err);
    }
    return code;
}

/* ---- going back ----------------------------------------------------------------------------------- */

static enum tn_code find_previous(struct vector_index *vectors, struct vector_generation *ret, struct tn_error *err)
{
    TN_AUTO_FREE struct vector_generation *all = tn_calloc(VECTOR_GENERATIONS_MAX, sizeof *all);
    size_t count;
    TN_TRY(vector_index_generations(vectors, all, VECTOR_GENERATIONS_MAX, &count, err));
    for (size_t i = 0; i < count; i++)
        if (all[i].previous) {
            *ret = all[i];
            return TN_OK;
        }
    return tn_fail(err, TN_ENOTFOUND, "there is no previous generation to go back to");
}

static enum tn_code rollback_locked(struct logical *logical, struct vector_index *vectors,
                                    const struct index_change *change, struct tn_json *out, struct tn_error *err)
{
    struct vector_generation previous = {0};
    uint64_t start = tn_mono_ns();
    TN_TRY(trial_log_load(logical, err));
    TN_TRY(find_previous(vectors, &previous, err));
    struct tuned to = tuning_of(logical, previous.number);
    struct trial_record record = {.generation = previous.number, .seed = previous.seed, .trial = to.trial};
    record_change(logical, "rollback", change, &record);
    TN_TRY(swap(logical, vectors, &to, &record, err));
    put_change(&record, (tn_mono_ns() - start) / 1000, out);
    return TN_OK;
}

enum tn_code index_rollback(struct index_service *service, const char *name, const struct index_change *change,
                            struct tn_json *out, struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    struct vector_index *vectors;
    TN_TRY(logical_find(service, name, &logical, err));
    TN_TRY(users_enter(logical, &vectors, err));
    pthread_mutex_lock(&logical->tuning->lock);
    enum tn_code code = rollback_locked(logical, vectors, change, out, err);
    pthread_mutex_unlock(&logical->tuning->lock);
    users_leave(logical);
    if (code == TN_OK)
        tuning_apply(logical);
    return code;
}
