/* A trial: a generation with other parameters, built beside the one that serves,
 * measured against it on the same queries, and recorded. */
#include "index/trial.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- ordering one ----------------------------------------------------------------- */

static enum tn_code check_wish(const struct index_trial *wish, struct tn_error *err)
{
    if (wish->degree && (wish->degree < 4 || wish->degree > 64))
        return tn_fail(err, TN_EREQUEST, "M lies between 4 and 64");
    if (wish->ef_construction && (wish->ef_construction < 8 || wish->ef_construction > 2000))
        return tn_fail(err, TN_EREQUEST, "ef_construction lies between 8 and 2000");
    if (wish->ef > 4096)
        return tn_fail(err, TN_EREQUEST, "ef lies between 1 and 4096");
    if (wish->code_bits && wish->code_bits != 4 && wish->code_bits != 8)
        return tn_fail(err, TN_EREQUEST, "code_bits is 4 or 8");
    if (wish->raw && !tn_streq(wish->raw, "f32") && !tn_streq(wish->raw, "f16"))
        return tn_fail(err, TN_EREQUEST, "raw is \"f32\" or \"f16\"");
    if (wish->recall_target != 0 && !(wish->recall_target >= 0.5 && wish->recall_target < 1))
        return tn_fail(err, TN_EREQUEST, "recall_target lies between 0.5 and 1");
    if (wish->ef && wish->recall_target != 0) {
        tn_fail(err, TN_EREQUEST, "ef and recall_target say the same thing in two ways");
        tn_error_hint(err, "give one of them");
        return TN_EREQUEST;
    }
    if (wish->samples > TRIAL_SAMPLES_MAX)
        return tn_fail(err, TN_EREQUEST, "samples are at most %d", TRIAL_SAMPLES_MAX);
    return TN_OK;
}

enum tn_code index_trial_order(struct index_service *service, const char *name, const struct index_trial *wish,
                               const char *actor, char ret_job[JOB_ID_TEXT], struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    TN_TRY(check_wish(wish, err));
    TN_TRY(logical_find(service, name, &logical, err));
    if (!service->jobs)
        return tn_fail(err, TN_EUNAVAILABLE, "nothing runs jobs here");
    TN_AUTO_JSON *arguments =
        json_pack("{s:s,s:i,s:i,s:i,s:i,s:f,s:s,s:i,s:s}", "index", logical->definition.name, "m", (int)wish->degree,
                  "ef_construction", (int)wish->ef_construction, "ef", (int)wish->ef, "code_bits",
                  (int)wish->code_bits, "recall_target", wish->recall_target, "raw", wish->raw ? wish->raw : "",
                  "samples", (int)(wish->samples ? wish->samples : TRIAL_SAMPLES), "actor", actor ? actor : "");
    TN_AUTO_FREE char *subject = tn_asprintf("trial of index %s", logical->definition.name);
    const struct job_request request = {.kind = "trial", .subject = subject, .arguments = arguments, .actor = actor};
    return job_submit(service->jobs, &request, ret_job, err);
}

/* ---- the machine ---------------------------------------------------------------------- */

static void name_processor(char *out, size_t size)
{
    snprintf(out, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file)
        return;
    char line[256];
    while (fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (!colon || (strncmp(line, "model name", 10) != 0 && strncmp(line, "Hardware", 8) != 0))
            continue;
        snprintf(out, size, "%.*s", (int)strcspn(colon + 1, "\n") - 1, colon + 2);
        break;
    }
    (void)fclose(file);
}

/* ---- one trial ---------------------------------------------------------------------------- */

struct trying {
    struct logical *logical;
    struct job_run *run;
    struct vector_index *vectors;
    const json_t *arguments;
    struct queries queries;
    struct trial_record record;
    struct vector_build_report report;
    char processor[128];
};

static uint32_t number_of(const struct trying *t, const char *key)
{
    return (uint32_t)json_integer_value(json_object_get(t->arguments, key));
}

static const char *word_of(const struct trying *t, const char *key)
{
    const char *word = json_string_value(json_object_get(t->arguments, key));
    return word ? word : "";
}

static bool show_progress(void *context, enum vector_phase phase, uint64_t done, uint64_t total)
{
    struct trying *t = context;
    if (phase == VECTOR_PHASE_GRAPH)
        job_run_progress(t->run, done, total, "vectors");
    return !logical_stopping(t->logical, t->run) && atomic_load(&t->logical->tuning->stopping) == 0;
}

/* What the wish leaves open is as it is with the active one. */
static void fill_in(struct trying *t, struct vector_build_options *options)
{
    struct trial_record *record = &t->record;
    struct vector_index_info info;
    vector_index_info(t->vectors, &info);
    const char *raw = word_of(t, "raw");
    bool half = raw[0] ? tn_streq(raw, "f16") : info.raw == VECTOR_F16;
    uint64_t seed = 0;
    char id[TN_UUID_TEXT];
    (void)tn_uuid7(id);
    seed = tn_hash64(id, strlen(id), 1) | 1;
    *options = (struct vector_build_options){
        .raw = half ? VECTOR_F16 : VECTOR_F32,
        .degree = number_of(t, "m") ? number_of(t, "m") : info.degree,
        .ef_construction = number_of(t, "ef_construction") ? number_of(t, "ef_construction") : info.ef_construction,
        .code_bits = number_of(t, "code_bits") ? number_of(t, "code_bits") : info.code_bits,
        .threads = job_run_threads(t->run),
        .memory_budget = job_run_memory(t->run),
        .low_priority = true,
        .progress = show_progress,
        .progress_context = t,
        .seed = seed,
    };
    record->seed = seed;
    record->degree = options->degree;
    record->ef_construction = options->ef_construction;
    record->code_bits = options->code_bits;
    record->raw = half ? "f16" : "f32";
    record->ef = number_of(t, "ef");
    record->recall_target = json_number_value(json_object_get(t->arguments, "recall_target"));
    if (record->ef == 0 && !(record->recall_target > 0))
        record->recall_target = atomic_load(&t->logical->tuning->recall_target);
}

static enum tn_code measure_active(struct trying *t, struct tn_error *err)
{
    struct logical *logical = t->logical;
    struct measured measured;
    struct vector_index_info info;
    TN_TRY(measure(logical, t->vectors, t->vectors, &t->queries, TRIAL_K, atomic_load(&logical->tuning->ef),
                   atomic_load(&logical->tuning->recall_target), &measured, err));
    vector_index_info(t->vectors, &info);
    t->record.active_generation = info.generation;
    t->record.active_recall_at_1 = measured.recall_at_1;
    t->record.active_recall_at_10 = measured.recall_at_k;
    t->record.active_p50_us = measured.p50_us;
    t->record.active_p95_us = measured.p95_us;
    t->record.active_p99_us = measured.p99_us;
    return TN_OK;
}

static enum tn_code measure_built(struct trying *t, struct tn_error *err)
{
    TN_AUTO_FREE char *path = vector_index_generation_path(t->vectors, t->record.generation);
    TN_CLEANUP(vector_index_close_p) struct vector_index *built = NULL;
    const struct vector_open_options options = {.warm_now = true, .no_warm = logical_on_disk(t->logical)};
    struct trial_record *record = &t->record;
    struct vector_index_info info;
    struct measured measured;
    TN_TRY(vector_index_open(path, &options, &built, err));
    TN_TRY(measure(t->logical, built, t->vectors, &t->queries, TRIAL_K, (uint32_t)record->ef,
                   record->recall_target > 0 ? record->recall_target : 0.95, &measured, err));
    vector_index_info(built, &info);
    record->rows = info.rows;
    record->last_change = info.last_change;
    record->bytes_on_disk = info.bytes_on_disk;
    record->bytes_resident = logical_on_disk(t->logical) ? vector_index_mapped_bytes(built) : info.bytes_resident;
    record->window = measured.window;
    record->recall_at_1 = measured.recall_at_1;
    record->recall_at_10 = measured.recall_at_k;
    record->p50_us = measured.p50_us;
    record->p95_us = measured.p95_us;
    record->p99_us = measured.p99_us;
    record->mean_distances = measured.mean_distances;
    return TN_OK;
}

static void describe(struct trying *t)
{
    const struct definition *definition = &t->logical->definition;
    struct trial_record *record = &t->record;
    name_processor(t->processor, sizeof t->processor);
    record->kind = "trial";
    record->index = definition->name;
    record->time_us = tn_now_us();
    record->actor = word_of(t, "actor");
    record->job = job_run_id(t->run);
    record->model = definition->model;
    record->model_version = definition->version;
    record->dimension = definition->dimension;
    record->snapshot_id = atomic_load(&t->logical->applied);
    record->build_seconds = t->report.seconds;
    record->cpu_seconds = t->report.cpu_seconds;
    record->peak_memory = t->report.peak_memory;
    record->made_queries = t->queries.made;
    record->recorded_queries = t->queries.recorded;
    record->cpus = tn_cpu_count();
    record->memory = tn_machine_memory();
    record->processor = t->processor;
    record->instruction_set = vector_instruction_set();
}

static enum tn_code build_and_measure(struct trying *t, struct tn_error *err)
{
    struct vector_build_options options;
    uint32_t samples = number_of(t, "samples");
    fill_in(t, &options);
    job_run_log(t->run, "building with M %" PRIu64 ", ef_construction %" PRIu64 ", %" PRIu64 " bits, %s",
                t->record.degree, t->record.ef_construction, t->record.code_bits, t->record.raw);
    TN_TRY(vector_index_build(t->vectors, &options, &t->record.generation, &t->report, err));
    job_run_log(t->run, "built in %.1f s, measuring", t->report.seconds);
    TN_TRY(queries_choose(t->logical, t->vectors, samples ? samples : TRIAL_SAMPLES, &t->queries, err));
    TN_TRY(measure_active(t, err));
    TN_TRY(measure_built(t, err));
    describe(t);
    return TN_OK;
}

static void set_trying(struct logical *logical, bool trying)
{
    pthread_mutex_lock(&logical->tuning->lock);
    logical->tuning->trying += trying ? 1U : -1U;
    pthread_mutex_unlock(&logical->tuning->lock);
}

/* Inside users_enter. */
static enum tn_code try_once(struct trying *t, struct tn_error *err)
{
    struct logical *logical = t->logical;
    TN_AUTO_BUF text = {0};
    set_trying(logical, true); /* what is not recorded yet is not taken for left over */
    enum tn_code code = build_and_measure(t, err);
    free(t->queries.rows);
    if (code == TN_OK) {
        pthread_mutex_lock(&logical->tuning->lock);
        code = trial_log_add(logical, &t->record, err);
        pthread_mutex_unlock(&logical->tuning->lock);
    }
    set_trying(logical, false);
    struct tn_error why = {0};
    if (generations_keep(logical, &why) != TN_OK)
        TN_LOG(TN_LOG_WARN, "index.not_cleaned", TN_FS("index", logical->definition.name), TN_FS("why", why.detail));
    TN_TRY(code);
    trial_record_write(&t->record, &text);
    TN_AUTO_JSON *result = json_loadb(text.data, text.len, 0, NULL);
    job_run_result(t->run, result);
    return TN_OK;
}

enum tn_code trial_run_job(struct job_run *run, void *context, struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    struct trying trying = {.run = run, .arguments = job_run_arguments(run)};
    const char *name = word_of(&trying, "index");
    TN_TRY(logical_find(context, name, &logical, err));
    trying.logical = logical;
    TN_TRY(job_run_reserve(run, job_run_memory(run), err)); /* what fill_in gives to the build */
    TN_TRY(users_enter(logical, &trying.vectors, err));
    enum tn_code code = try_once(&trying, err);
    users_leave(logical);
    return code;
}
