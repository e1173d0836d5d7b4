/* Staged: a table of new vectors is filled while searches go on in the old
 * ones; then one transaction makes them the table's own.
 *
 * The staging table is an ordinary one: an UNLOGGED one would be empty after a
 * crash of the server. With each vector it keeps the hash of the text it was
 * made from, so that rows which others insert or change meanwhile are found by
 * one comparison: in rounds outside the lock while there are many, and for the
 * last few under it.
 *
 * The switch. ALTER COLUMN ... TYPE vector(N) USING f(id), where f looks up the
 * staging table, checks, moves and retypes in one pass over the table and
 * leaves no dead rows: half the time of untype, UPDATE and retype (0095). Where
 * that cannot be (no right to a temporary function, something that uses the
 * column, the index stays) it is those three. */
#include "reembed/reembed_internal.h"

#include <inttypes.h>

enum { ROUNDS_MOST = 8, UNDER_LOCK_BATCHES = 4, CHARACTERS_LEAST = 65536, CHARACTERS_PER_TOKEN = 16 };

/* No model reads further; the hash is of the whole text. */
size_t read_most_characters(const struct run *run)
{
    return TN_MAX((size_t)run->embedder->model.max_tokens * CHARACTERS_PER_TOKEN, (size_t)CHARACTERS_LEAST);
}

bool staged_rewrites(const struct reembed_plan *plan, const struct target *target)
{
    return target->may_temp && !target->dependents && plan->drop_hnsw_first;
}

/* ---- the staging table --------------------------------------------------------------------- */

static enum tn_code make_stage(struct run *run, struct tn_error *err)
{
    const struct target *target = &run->target;
    TN_TRY(postgres_begin(run->pg, POSTGRES_READ_COMMITTED, err));
    TN_TRY(postgres_runf(run->pg, err, "CREATE TABLE %s (id %s PRIMARY KEY, text_hash uuid, embedding %s)",
                         run->leftover.relation, target->id_type, target->new_type));
    TN_TRY(leftover_note(run->pg, run->plan, &run->signature, target, &run->leftover, err));
    TN_TRY(postgres_commit(run->pg, err));
    run->leftover.state = LEFTOVER_FILLING;
    TN_FAULT("reembed.stage_made");
    return TN_OK;
}

static void put_select(const struct run *run, const char *condition, const char *join, struct tn_buf *out)
{
    const struct target *target = &run->target;
    tn_buf_printf(
        out, "SELECT t.%s, left(t.%s::text, %zu), md5(t.%s::text)::uuid FROM %s AS t%s%s ORDER BY t.%s LIMIT %zu",
        target->id, target->text, read_most_characters(run), target->text, target->relation, join, condition,
        target->id, run->plan->batch_size);
}

static const char *insert_sql(struct run *run)
{
    const struct target *target = &run->target;
    return tn_arena_printf(run->arena,
                           "INSERT INTO %s (id, embedding, text_hash) SELECT * FROM unnest($1::%s[], $2::%s[],"
                           " $3::uuid[]) ON CONFLICT (id) DO UPDATE SET embedding = excluded.embedding, text_hash ="
                           " excluded.text_hash",
                           run->leftover.relation, target->id_type, target->new_base);
}

static const char *copy_sql(struct run *run)
{
    return tn_arena_printf(run->arena, "COPY %s (id, embedding, text_hash) FROM STDIN (FORMAT binary)",
                           run->leftover.relation);
}

/* Behind what earlier runs staged: ids ascend. */
static enum tn_code look_how_far(struct run *run, struct tn_buf *ret_last, uint64_t *ret_rows, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *last = NULL, *count = NULL;
    const char *sql =
        tn_arena_printf(run->arena, "SELECT id FROM %s ORDER BY id DESC LIMIT 1", run->leftover.relation);
    TN_TRY(postgres_query(run->pg, sql, NULL, 0, POSTGRES_BINARY, &last, err));
    sql = tn_arena_printf(run->arena, "SELECT count(*) FROM %s", run->leftover.relation);
    TN_TRY(postgres_query(run->pg, sql, NULL, 0, POSTGRES_TEXT, &count, err));
    *ret_rows = (uint64_t)postgres_value_i64(count, 0, 0);
    if (postgres_rows(last))
        tn_buf_append(ret_last, postgres_value(last, 0, 0), postgres_value_length(last, 0, 0));
    return TN_OK;
}

static enum tn_code fill(struct run *run, struct tn_error *err)
{
    TN_AUTO_BUF last = {0}, first = {0}, next = {0};
    const char *behind = tn_arena_printf(run->arena, " WHERE t.%s > $1", run->target.id);
    put_select(run, "", "", &first);
    put_select(run, behind, "", &next);
    /* Ids ascend, and none behind the last one that was staged is there: no row is in the way. */
    const struct batch_sql sql = {.first = first.data, .next = next.data, .copy = copy_sql(run), .hashes = true};
    uint64_t rows = 0;
    TN_TRY(look_how_far(run, &last, &run->report->rows_resumed, err));
    if (run->report->rows_resumed)
        run_note(run, REEMBED_NOTE,
                 "%" PRIu64 " rows are staged already by a run that did not end; going on behind them",
                 run->report->rows_resumed);
    TN_TRY(batch_run(run, run->eye, &sql, &last, run->report->rows_resumed, &rows, err));
    TN_TRY(postgres_runf(run->pg, err, "ANALYZE %s", run->leftover.relation));
    TN_FAULT("reembed.stage_full");
    return TN_OK;
}

/* ---- rows that others wrote meanwhile ------------------------------------------------------- */

static const char *stage_join(const struct run *run)
{
    return tn_arena_printf(run->arena, " LEFT JOIN %s AS s ON s.id = t.%s", run->leftover.relation, run->target.id);
}

static const char *stage_differs(const struct run *run)
{
    return tn_arena_printf(run->arena, "(s.id IS NULL OR s.text_hash IS DISTINCT FROM md5(t.%s::text)::uuid)",
                           run->target.text);
}

static enum tn_code count_rows(struct run *run, struct postgres *with, uint64_t *ret_rows, uint64_t *ret_pending,
                               struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    const char *sql = tn_arena_printf(
        run->arena,
        "SELECT count(*), count(*) FILTER (WHERE %s), count(*) FILTER (WHERE t.%s IS NULL) FROM %s AS t%s",
        stage_differs(run), run->target.text, run->target.relation, stage_join(run));
    TN_TRY(postgres_query(with, sql, NULL, 0, POSTGRES_TEXT, &found, err));
    *ret_rows = (uint64_t)postgres_value_i64(found, 0, 0);
    *ret_pending = (uint64_t)postgres_value_i64(found, 0, 1);
    run->report->rows_without_text = (uint64_t)postgres_value_i64(found, 0, 2);
    return TN_OK;
}

static enum tn_code catch_up(struct run *run, struct postgres *with, struct tn_error *err)
{
    TN_AUTO_BUF first = {0}, next = {0};
    const char *differs = stage_differs(run);
    uint64_t rows = 0;
    put_select(run, tn_arena_printf(run->arena, " WHERE %s", differs), stage_join(run), &first);
    put_select(run, tn_arena_printf(run->arena, " WHERE t.%s > $1 AND %s", run->target.id, differs), stage_join(run),
               &next);
    const struct batch_sql sql = {.first = first.data, .next = next.data, .write = insert_sql(run), .hashes = true};
    TN_TRY(batch_run(run, with, &sql, NULL, run->rows, &rows, err));
    run->report->rows_caught_up += rows;
    return TN_OK;
}

/* Until so few are left that encoding them under the lock takes no time. */
static enum tn_code catch_up_outside(struct run *run, struct tn_error *err)
{
    uint64_t rows = 0, pending = 0;
    for (int round = 0; round < ROUNDS_MOST; round++) {
        TN_TRY(count_rows(run, run->eye, &rows, &pending, err));
        if (pending == 0)
            return TN_OK;
        run_note(run, REEMBED_NOTE, "%" PRIu64 " rows were written by others meanwhile; encoding them", pending);
        TN_TRY(catch_up(run, run->eye, err));
        if (pending <= UNDER_LOCK_BATCHES * run->plan->batch_size)
            return TN_OK;
    }
    return TN_OK;
}

/* ---- the switch -------------------------------------------------------------------------------- */

static enum tn_code move_by_rewrite(struct run *run, struct tn_error *err)
{
    const struct target *target = &run->target;
    TN_TRY(postgres_runf(run->pg, err,
                         "CREATE FUNCTION pg_temp.tarn_new_vector(%s) RETURNS %s LANGUAGE sql STABLE AS 'SELECT"
                         " s.embedding FROM %s AS s WHERE s.id = $1'",
                         target->id_type, target->new_base, run->leftover.relation));
    TN_TRY(postgres_runf(run->pg, err, "ALTER TABLE %s ALTER COLUMN %s TYPE %s USING pg_temp.tarn_new_vector(%s)",
                         target->relation, target->vector, target->new_type, target->id));
    return postgres_runf(run->pg, err, "DROP FUNCTION pg_temp.tarn_new_vector(%s)", target->id_type);
}

static enum tn_code move_by_update(struct run *run, struct tn_error *err)
{
    const struct target *target = &run->target;
    if (target->changes_type)
        TN_TRY(postgres_runf(run->pg, err, "ALTER TABLE %s ALTER COLUMN %s TYPE %s", target->relation, target->vector,
                             target->new_base));
    TN_TRY(postgres_runf(run->pg, err, "UPDATE %s AS t SET %s = s.embedding FROM %s AS s WHERE s.id = t.%s",
                         target->relation, target->vector, run->leftover.relation, target->id));
    if (target->changes_type)
        TN_TRY(postgres_runf(run->pg, err, "ALTER TABLE %s ALTER COLUMN %s TYPE %s", target->relation, target->vector,
                             target->new_type));
    return TN_OK;
}

static enum tn_code check_nulls(struct run *run, struct tn_error *err)
{
    if (!run->target.vector_not_null || run->report->rows_without_text == 0)
        return TN_OK;
    (void)tn_fail(err, TN_ECONFLICT, "%" PRIu64 " rows of %s have no text, and %s is NOT NULL",
                  run->report->rows_without_text, run->target.relation, run->target.vector);
    tn_error_hint(err, "give them a text, or ALTER COLUMN %s DROP NOT NULL", run->target.vector);
    return TN_ECONFLICT;
}

/* Inside the transaction, the table locked. */
static enum tn_code switch_locked(struct run *run, struct tn_error *err)
{
    if (run->plan->drop_hnsw_first)
        TN_TRY(build_drop_indexes(run, err));
    TN_TRY(staged_rewrites(run->plan, &run->target) ? move_by_rewrite(run, err) : move_by_update(run, err));
    TN_FAULT("reembed.moved");
    if (!run->plan->concurrent_index)
        TN_TRY(build_indexes(run, false, err));
    TN_TRY(registry_write(run->pg, &run->registry, &run->signature, err));
    TN_FAULT("reembed.registry_written");
    TN_TRY(leftover_drop_in_place(run->pg, &run->leftover, err));
    if (!run->plan->concurrent_index)
        return postgres_runf(run->pg, err, "DROP TABLE %s", run->leftover.relation);
    run->leftover.state = LEFTOVER_SWITCHED;
    return leftover_note(run->pg, run->plan, &run->signature, &run->target, &run->leftover, err);
}

/* Locks; *ret_many: so many rows were written since that they are encoded outside. */
static enum tn_code lock_and_look(struct run *run, bool *ret_many, struct tn_error *err)
{
    uint64_t pending = 0;
    TN_TRY(run_lock_table(run, "ACCESS EXCLUSIVE", err));
    TN_FAULT("reembed.locked");
    TN_TRY(count_rows(run, run->pg, &run->report->rows_updated, &pending, err));
    TN_TRY(check_nulls(run, err));
    *ret_many = pending > UNDER_LOCK_BATCHES * run->plan->batch_size;
    if (pending && !*ret_many)
        return catch_up(run, run->pg, err);
    return TN_OK;
}

static enum tn_code do_switch(struct run *run, struct tn_error *err)
{
    bool many = true;
    run->report->approach = staged_rewrites(run->plan, &run->target) ? "rewrite" : "update";
    uint64_t began = 0;
    for (int round = 0; many; round++) {
        run->phase = PHASE_STAGING;
        TN_TRY(catch_up_outside(run, err));
        run_note(run, REEMBED_NOTE, "switching: readers of %s wait from here on", run->target.relation);
        run->phase = PHASE_SWITCHING;
        began = tn_mono_ns();
        TN_TRY(lock_and_look(run, &many, err));
        if (many && round >= ROUNDS_MOST)
            return tn_fail(err, TN_EBUSY, "rows of %s are written faster than they are encoded",
                           run->target.relation);
        if (many)
            postgres_rollback(run->pg);
    }
    TN_TRY(switch_locked(run, err));
    TN_FAULT("reembed.before_commit");
    TN_TRY(postgres_commit(run->pg, err));
    run->report->locked_secs = (double)(tn_mono_ns() - began) / 1e9;
    TN_FAULT("reembed.committed");
    return TN_OK;
}

/* A run with concurrent_index that died between the switch and the index: the
 * registry says so, unless rows were written since. */
static enum tn_code switched_before(struct run *run, bool *ret, struct tn_error *err)
{
    uint64_t pending = 1;
    *ret = false;
    if (run->leftover.state != LEFTOVER_SWITCHED || run->target.changes_type || !run->registry.has_row ||
        !reembed_signature_equal(&run->registry.current, &run->signature))
        return TN_OK;
    TN_TRY(count_rows(run, run->eye, &run->report->rows_updated, &pending, err));
    *ret = pending == 0;
    run->report->rows_resumed = run->report->rows_updated;
    run->report->approach = "switched by an earlier run";
    return TN_OK;
}

enum tn_code staged_run(struct run *run, struct tn_error *err)
{
    bool switched = false;
    run->phase = PHASE_STAGING;
    if (run->leftover.state == LEFTOVER_NONE)
        TN_TRY(make_stage(run, err));
    TN_TRY(switched_before(run, &switched, err));
    if (!switched) {
        TN_TRY(fill(run, err));
        build_advise(run);
        enum tn_code code = do_switch(run, err);
        if (code != TN_OK)
            postgres_rollback(run->pg);
        TN_TRY(code);
    }
    if (!run->plan->concurrent_index && !switched)
        return TN_OK;
    run->phase = PHASE_INDEXING;
    TN_TRY(build_indexes(run, run->plan->concurrent_index, err));
    run->phase = PHASE_ENDING;
    TN_TRY(postgres_runf(run->pg, err, "DROP TABLE %s", run->leftover.relation));
    TN_FAULT("reembed.ended");
    return TN_OK;
}
