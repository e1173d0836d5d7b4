/* The steps in order; when one fails, what state the table is in. */
#include "reembed/reembed_internal.h"

#include <inttypes.h>

/* ---- what is there ------------------------------------------------------------------- */

static enum tn_code look(struct run *run, struct tn_error *err)
{
    TN_TRY(target_look(run->pg, run->plan, run->signature.dimension, run->arena, &run->target, err));
    TN_TRY(registry_look(run->pg, run->plan, &run->target, run->arena, &run->registry, err));
    return leftover_look(run->pg, run->plan, &run->signature, &run->target, run->arena, &run->leftover, err);
}

static bool nothing_to_do(struct run *run)
{
    if (!check_same_model(&run->target, &run->registry, &run->leftover, &run->signature))
        return false;
    run_note(run, REEMBED_NOTE, "the registry matches %s; nothing to re-embed", run->signature.name);
    run->report->no_op = true;
    run->report->approach = "none";
    return true;
}

static enum tn_code count_rows(struct run *run, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    const char *sql = tn_arena_printf(run->arena, "SELECT count(*), count(*) FILTER (WHERE %s IS NULL) FROM %s",
                                      run->target.text, run->target.relation);
    TN_TRY(postgres_query(run->eye, sql, NULL, 0, POSTGRES_TEXT, &found, err));
    run->rows = (uint64_t)postgres_value_i64(found, 0, 0);
    run->report->rows_without_text = (uint64_t)postgres_value_i64(found, 0, 1);
    if (run->target.vector_not_null && run->report->rows_without_text > 0) {
        (void)tn_fail(err, TN_ECONFLICT, "%" PRIu64 " rows of %s have no text, and %s is NOT NULL",
                      run->report->rows_without_text, run->target.relation, run->target.vector);
        tn_error_hint(err, "give them a text, or ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL", run->target.relation,
                      run->target.vector);
        return TN_ECONFLICT;
    }
    return TN_OK;
}

static void tell_leftovers(struct run *run)
{
    for (size_t i = 0; i < run->leftover.other_count; i++)
        if (!run->leftover.other_in_place[i])
            run_note(run, REEMBED_NOTE,
                     "%s holds vectors of another run that did not end; DROP TABLE %s gives their space back",
                     run->leftover.others[i], run->leftover.others[i]);
}

/* ---- what is said when it fails --------------------------------------------------------- */

static const char *state_of(const struct run *run)
{
    switch (run->phase) {
    case PHASE_LOOKING:
        return NULL;
    case PHASE_STAGING:
        return "nothing of the table has changed, and what was encoded is kept";
    case PHASE_SWITCHING:
        return "the switch was one transaction: the table is as it was, or, if the connection was lost at the very "
               "end, "
               "new; what was encoded is kept";
    case PHASE_RELAXING:
        return "the vectors are the old ones, all of them; their index may be dropped already";
    case PHASE_MIXED:
        return "THE TABLE HOLDS VECTORS OF TWO MODELS: do not serve searches from it until a run has come to its end";
    case PHASE_INDEXING:
        return run->plan->mode == REEMBED_STAGED ? "vectors and registry are new; the index is not there yet"
                                                 : "vectors are new; index and registry are not yet";
    case PHASE_ENDING:
        return "vectors and index are new; the run's last notes are not taken away yet";
    }
    return NULL;
}

static void explain(const struct run *run, struct tn_error *err)
{
    const char *state = state_of(run);
    if (!err || !state)
        return;
    TN_AUTO_FREE char *before = tn_strdup(err->hint);
    tn_error_hint(err, "%s. Run again with the same arguments: it goes on from there%s%s", state,
                  before[0] ? ". " : "", before);
}

/* ---- the run ----------------------------------------------------------------------------- */

static enum tn_code run_steps(struct run *run, struct tn_error *err)
{
    TN_TRY(run_connect(run, err));
    TN_TRY(look(run, err));
    if (nothing_to_do(run))
        return TN_OK;
    TN_TRY(check_target(run->plan, &run->target, &run->registry, run->signature.dimension, err));
    TN_TRY(run_claim(run, err));
    /* Another run may have ended just now. */
    TN_TRY(look(run, err));
    if (nothing_to_do(run))
        return TN_OK;
    TN_TRY(check_target(run->plan, &run->target, &run->registry, run->signature.dimension, err));
    TN_TRY(count_rows(run, err));
    tell_leftovers(run);
    TN_FAULT("reembed.checked");
    return run->plan->mode == REEMBED_STAGED ? staged_run(run, err) : in_place_run(run, err);
}

enum tn_code reembed_run(const struct reembed_plan *plan, struct reembed_embedder *embedder,
                         const struct reembed_observer *observer, struct reembed_report *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new(), *kept = tn_arena_new();
    struct reembed_report report = {.mode = plan->mode, .approach = ""};
    struct run run = {.plan = plan, .embedder = embedder, .observer = observer, .report = &report, .arena = arena};
    uint64_t began = tn_mono_ns();
    TN_TRY(check_plan(plan, err));
    reembed_signature_of(&embedder->model, kept, &run.signature);
    enum tn_code code = run_steps(&run, err);
    postgres_close(run.eye);
    postgres_close(run.pg);
    if (code != TN_OK) {
        explain(&run, err);
        return code;
    }
    report.target = run.signature;
    report.arena = TN_TAKE(kept);
    report.duration_secs = report.no_op ? 0 : (double)(tn_mono_ns() - began) / 1e9 - report.index_rebuild_secs;
    *ret = report;
    return TN_OK;
}

void reembed_report_release(struct reembed_report *report)
{
    tn_arena_free(report->arena);
    *report = (struct reembed_report){0};
}
