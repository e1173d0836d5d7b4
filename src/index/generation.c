/* Generations of an index: folded. Which serves is in promote.c, which stay in
 * tuning.c. */
#include "index/trial.h"

static bool goes_on(void *context, enum vector_phase phase, uint64_t done, uint64_t total)
{
    const struct logical *logical = context;
    (void)phase;
    (void)done;
    (void)total;
    return !logical_stopping(logical, NULL) && atomic_load(&logical->tuning->stopping) == 0;
}

static enum tn_code fold(struct logical *logical, struct vector_index *vectors, struct tn_error *err)
{
    TN_CLEANUP(samples_release) struct samples samples;
    samples_choose(logical, NULL, &samples);
    const struct vector_build_options options = {.low_priority = true,
                                                 .threads = 1,
                                                 .progress = goes_on,
                                                 .progress_context = logical,
                                                 .samples = samples.rows,
                                                 .sample_count = samples.count};
    struct vector_build_report report;
    TN_TRY(vector_index_fold(vectors, &options, &report, err));
    return generations_keep(logical, err);
}

enum tn_code index_fold(struct index_service *service, const char *name, struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    struct vector_index *vectors;
    TN_TRY(logical_find(service, name, &logical, err));
    TN_TRY(users_enter(logical, &vectors, err));
    enum tn_code code = fold(logical, vectors, err);
    users_leave(logical);
    if (code == TN_OK)
        tuning_apply(logical);
    return code;
}
