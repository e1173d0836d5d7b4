/* Which model to ask next. */
#include "outcome/outcome_internal.h"

#include <inttypes.h>

/* A well mixed number for each (seed, purpose). */
static double share_of(uint64_t seed, uint64_t purpose)
{
    const uint64_t numbers[] = {seed, purpose};
    return (double)(tn_hash64(numbers, sizeof numbers, 0) >> 11) * 0x1p-53;
}

static const struct outcome_model *model_of(const struct outcome_model *models, size_t count, const char *candidate)
{
    for (size_t i = 0; i < count; i++)
        if (tn_streq(models[i].model_id, candidate))
            return &models[i];
    return NULL;
}

/* models: best lower bound first, so that the first that is a candidate wins. */
static size_t best_of(const struct outcome_model *models, size_t count, const char *const *candidates,
                      size_t candidate_count)
{
    for (size_t m = 0; m < count; m++)
        for (size_t i = 0; i < candidate_count; i++)
            if (models[m].lower_bound > 0 && tn_streq(models[m].model_id, candidates[i]))
                return i;
    for (size_t i = 0; i < candidate_count; i++) /* nobody ever succeeded: somebody who was not tried */
        if (!model_of(models, count, candidates[i]))
            return i;
    return 0;
}

static void say_why(struct outcome_choice *choice, size_t candidate_count, double exploration)
{
    if (choice->explored)
        snprintf(choice->why, sizeof choice->why,
                 "explored: a share of %.3g goes to models that are not the best (%" PRId64 " trials so far)",
                 exploration, choice->trials);
    else if (choice->trials == 0)
        snprintf(choice->why, sizeof choice->why, "no outcomes yet for %s",
                 candidate_count > 1 ? "a better candidate: the first one untried" : "the only candidate");
    else
        snprintf(choice->why, sizeof choice->why,
                 "best of %zu: succeeded in %.1f %% of %" PRId64 " trials (at least %.1f %% with 95 %% confidence)",
                 candidate_count, 100 * choice->success_rate, choice->trials, 100 * choice->lower_bound);
}

enum tn_code outcome_choose(struct outcome_store *store, const char *task_type, const char *const *candidates,
                            size_t count, double exploration, uint64_t seed, struct outcome_choice *ret,
                            struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct outcome_model *models;
    size_t model_count;
    if (count == 0)
        return tn_fail(err, TN_EREQUEST, "there is no model to choose from");
    if (!(exploration >= 0 && exploration <= 1))
        return tn_fail(err, TN_EREQUEST, "the share of exploration must be from 0 to 1");
    TN_TRY(outcome_rank(store, task_type, 0, OUTCOME_BY_BOUND, arena, &models, &model_count, err));
    struct outcome_choice choice = {.index = best_of(models, model_count, candidates, count)};
    if (count > 1 && share_of(seed, 1) < exploration) {
        size_t other = (size_t)(share_of(seed, 2) * (double)(count - 1));
        choice.index = other + (other >= choice.index);
        choice.explored = true;
    }
    choice.model = candidates[choice.index];
    const struct outcome_model *known = model_of(models, model_count, choice.model);
    if (known && known->trials > 0) {
        choice.trials = known->trials;
        choice.success_rate = known->success_rate;
        choice.lower_bound = known->lower_bound;
    }
    say_why(&choice, count, exploration);
    *ret = choice;
    return TN_OK;
}
