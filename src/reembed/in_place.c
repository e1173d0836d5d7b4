/* In place: relax, write, tighten, as the requirement has it.
 *
 * From the first batch on the table holds vectors of two models; a table of one
 * row beside it says, in the transaction of each batch, how far that went. A
 * run that finds this row goes on behind it.
 *
 * Approach B untypes the column, for which the server needs no rewrite, and
 * atttypmod is then -1. Where a server refuses that, C writes to a column of its
 * own, which takes the old one's place in the end. */
#include "reembed/reembed_internal.h"

#include <inttypes.h>

#define NEW_COLUMN "tarn_new_vector"

/* The column that is written. */
static const char *written_column(const struct run *run)
{
    return run->leftover.added_column ? NEW_COLUMN : run->target.vector;
}

static enum tn_code begin_progress(struct run *run, struct tn_error *err)
{
    struct postgres *pg = run->pg;
    if (run->leftover.state != LEFTOVER_NONE)
        return TN_OK;
    TN_TRY(postgres_begin(pg, POSTGRES_READ_COMMITTED, err));
    TN_TRY(
        postgres_runf(pg, err,
                      "CREATE TABLE %s (one boolean PRIMARY KEY DEFAULT true CHECK (one), last_id %s, rows bigint NOT"
                      " NULL DEFAULT 0); INSERT INTO %s DEFAULT VALUES",
                      run->leftover.relation, run->target.id_type, run->leftover.relation));
    TN_TRY(leftover_note(pg, run->plan, &run->signature, &run->target, &run->leftover, err));
    TN_TRY(leftover_drop_in_place(pg, &run->leftover, err));
    TN_TRY(postgres_run(pg, "SET LOCAL synchronous_commit = on", err));
    TN_TRY(postgres_commit(pg, err));
    TN_FAULT("reembed.progress_made");
    return TN_OK;
}

/* ---- relax ----------------------------------------------------------------------------- */

static enum tn_code drop_indexes(struct run *run, struct tn_error *err)
{
    bool any = false;
    for (size_t i = 0; i < run->target.index_count; i++)
        any |= run->target.indexes[i].there;
    if (!run->plan->drop_hnsw_first || !any)
        return TN_OK;
    TN_TRY(run_lock_table(run, "ACCESS EXCLUSIVE", err));
    TN_TRY(build_drop_indexes(run, err));
    return postgres_commit(run->pg, err);
}

static enum tn_code probe_untyped(struct run *run, bool *ret, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    const char *sql =
        tn_arena_printf(run->arena, "SELECT atttypmod FROM pg_attribute WHERE attrelid = %" PRIu32 " AND attnum = %d",
                        run->target.oid, run->target.vector_number);
    TN_TRY(postgres_query(run->pg, sql, NULL, 0, POSTGRES_TEXT, &found, err));
    *ret = postgres_rows(found) > 0 && postgres_value_i64(found, 0, 0) == -1;
    return TN_OK;
}

static enum tn_code add_column(struct run *run, struct tn_error *err)
{
    TN_TRY(run_locking(run,
                       tn_arena_printf(run->arena, "ALTER TABLE %s ADD COLUMN IF NOT EXISTS %s %s",
                                       run->target.relation, NEW_COLUMN, run->target.new_type),
                       err));
    run->leftover.added_column = true;
    TN_TRY(leftover_note(run->pg, run->plan, &run->signature, &run->target, &run->leftover, err));
    run->report->approach = "a column of its own";
    return TN_OK;
}

static enum tn_code relax(struct run *run, struct tn_error *err)
{
    const struct target *target = &run->target;
    bool untyped = target->typmod == -1;
    run->report->approach = "in place";
    if (run->leftover.added_column)
        return add_column(run, err);
    if (!target->changes_type)
        return TN_OK;
    run->report->approach = "relax and tighten";
    if (untyped)
        return TN_OK;
    struct tn_error refused = {0};
    enum tn_code code = run_locking(
        run,
        tn_arena_printf(run->arena, "ALTER TABLE %s ALTER COLUMN %s TYPE %s", target->relation, target->vector,
                        postgres_quote_table(run->arena, target->type_schema, target->type)),
        &refused);
    if (code == TN_EBUSY || code == TN_ECANCELLED || code == TN_EUNREACHABLE) {
        if (err)
            *err = refused;
        return code;
    }
    TN_TRY(probe_untyped(run, &untyped, err));
    if (!untyped) {
        run_note(run, REEMBED_NOTE, "the column cannot be untyped (%s); new vectors go to a column of their own",
                 refused.detail[0] ? refused.detail : "atttypmod stays");
        return add_column(run, err);
    }
    TN_FAULT("reembed.relaxed");
    return TN_OK;
}

/* ---- write ------------------------------------------------------------------------------ */

static enum tn_code look_how_far(struct run *run, struct tn_buf *ret_last, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    const char *sql = tn_arena_printf(run->arena, "SELECT last_id, rows FROM %s", run->leftover.relation);
    TN_TRY(postgres_query(run->pg, sql, NULL, 0, POSTGRES_BINARY, &found, err));
    if (postgres_rows(found) == 0 || postgres_is_null(found, 0, 0))
        return TN_OK;
    tn_buf_append(ret_last, postgres_value(found, 0, 0), postgres_value_length(found, 0, 0));
    run->report->rows_resumed = (uint64_t)postgres_value_i64(found, 0, 1);
    run_note(run, REEMBED_NOTE, "%" PRIu64 " rows were written by a run that did not end; going on behind them",
             run->report->rows_resumed);
    return TN_OK;
}

static void put_select(const struct run *run, const char *condition, struct tn_buf *out)
{
    const struct target *target = &run->target;
    tn_buf_printf(out, "SELECT t.%s, left(t.%s::text, %zu) FROM %s AS t%s ORDER BY t.%s LIMIT %zu", target->id,
                  target->text, read_most_characters(run), target->relation, condition, target->id,
                  run->plan->batch_size);
}

static enum tn_code write_some(struct run *run, const char *also, const struct tn_buf *after, bool mark,
                               uint64_t done, uint64_t *ret_rows, struct tn_error *err)
{
    const struct target *target = &run->target;
    TN_AUTO_BUF first = {0}, next = {0};
    put_select(run, also[0] ? tn_arena_printf(run->arena, " WHERE %s", also) : "", &first);
    put_select(run, tn_arena_printf(run->arena, " WHERE t.%s > $1%s%s", target->id, also[0] ? " AND " : "", also),
               &next);
    const struct batch_sql sql = {
        .first = first.data,
        .next = next.data,
        .write =
            tn_arena_printf(run->arena,
                            "UPDATE %s AS t SET %s = v.embedding FROM unnest($1::%s[], $2::%s[]) AS v (id,"
                            " embedding) WHERE t.%s = v.id",
                            target->relation, written_column(run), target->id_type, target->new_base, target->id),
        .mark = mark ? tn_arena_printf(run->arena, "UPDATE %s SET last_id = $1::%s, rows = rows + $2::bigint",
                                       run->leftover.relation, target->id_type)
                     : NULL,
    };
    return batch_run(run, mark ? run->eye : run->pg, &sql, after, done, ret_rows, err);
}

/* Rows that came meanwhile behind the place where they would have been read. */
static enum tn_code write_late(struct run *run, uint64_t *ret_rows, struct tn_error *err)
{
    const char *column = written_column(run);
    const char *late = tn_arena_printf(run->arena, "t.%s IS NULL AND t.%s IS NOT NULL", column, run->target.text);
    if (run->target.changes_type && !run->leftover.added_column)
        late = tn_arena_printf(run->arena, "(%s OR vector_dims(t.%s) <> %" PRIu32 ")", late, column,
                               run->signature.dimension);
    return write_some(run, late, NULL, false, run->rows, ret_rows, err);
}

/* ---- tighten ------------------------------------------------------------------------------ */

static enum tn_code take_the_place(struct run *run, struct tn_error *err)
{
    const struct target *target = &run->target;
    TN_TRY(run_lock_table(run, "ACCESS EXCLUSIVE", err));
    TN_TRY(postgres_runf(run->pg, err, "ALTER TABLE %s DROP COLUMN %s", target->relation, target->vector));
    TN_TRY(postgres_runf(run->pg, err, "ALTER TABLE %s RENAME COLUMN %s TO %s", target->relation, NEW_COLUMN,
                         target->vector));
    if (target->vector_not_null)
        TN_TRY(postgres_runf(run->pg, err, "ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", target->relation,
                             target->vector));
    run->leftover.added_column = false;
    TN_TRY(leftover_note(run->pg, run->plan, &run->signature, target, &run->leftover, err));
    return postgres_commit(run->pg, err);
}

static enum tn_code tighten(struct run *run, struct tn_error *err)
{
    const struct target *target = &run->target;
    uint64_t began = tn_mono_ns();
    if (run->leftover.added_column)
        TN_TRY(take_the_place(run, err));
    else if (target->changes_type)
        TN_TRY(run_locking(run,
                           tn_arena_printf(run->arena, "ALTER TABLE %s ALTER COLUMN %s TYPE %s", target->relation,
                                           target->vector, target->new_type),
                           err));
    run->report->locked_secs += (double)(tn_mono_ns() - began) / 1e9;
    TN_FAULT("reembed.tightened");
    return TN_OK;
}

static enum tn_code index_in_place(struct run *run, struct tn_error *err)
{
    if (run->plan->concurrent_index)
        return build_indexes(run, true, err);
    TN_TRY(run_lock_table(run, "SHARE", err));
    TN_TRY(build_indexes(run, false, err));
    return postgres_commit(run->pg, err);
}

static enum tn_code end_progress(struct run *run, struct tn_error *err)
{
    TN_TRY(postgres_begin(run->pg, POSTGRES_READ_COMMITTED, err));
    TN_TRY(postgres_run(run->pg, "SET LOCAL synchronous_commit = on", err));
    TN_TRY(registry_write(run->pg, &run->registry, &run->signature, err));
    TN_TRY(postgres_runf(run->pg, err, "DROP TABLE %s", run->leftover.relation));
    TN_FAULT("reembed.registry_written");
    TN_TRY(postgres_commit(run->pg, err));
    TN_FAULT("reembed.ended");
    return TN_OK;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static enum tn_code write_all(struct run *run, struct tn_error *err)
{
    TN_AUTO_BUF last = {0};
    uint64_t rows = 0, late = 0;
    TN_TRY(look_how_far(run, &last, err));
    run->phase = PHASE_MIXED;
    TN_TRY(write_some(run, "", &last, true, run->report->rows_resumed, &rows, err));
    TN_TRY(write_late(run, &late, err));
    run->report->rows_caught_up = late;
    run->report->rows_updated = run->report->rows_resumed + rows + late;
    TN_FAULT("reembed.all_written");
    return TN_OK;
}

static enum tn_code steps(struct run *run, struct tn_error *err)
{
    bool resumed = run->leftover.state != LEFTOVER_NONE;
    TN_TRY(begin_progress(run, err));
    run->phase = resumed ? PHASE_MIXED : PHASE_RELAXING;
    TN_TRY(drop_indexes(run, err));
    TN_TRY(relax(run, err));
    TN_TRY(write_all(run, err));
    build_advise(run);
    TN_TRY(tighten(run, err));
    run->phase = PHASE_INDEXING;
    TN_TRY(index_in_place(run, err));
    run->phase = PHASE_ENDING;
    return end_progress(run, err);
}

enum tn_code in_place_run(struct run *run, struct tn_error *err)
{
    enum tn_code code = steps(run, err);
    if (code != TN_OK)
        postgres_rollback(run->pg);
    return code;
}
