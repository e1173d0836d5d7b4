/* What a run would do. Nothing is written, and nothing embedded unless three
 * texts may be. */
#include "reembed/reembed_internal.h"

#include <inttypes.h>
#include <stdarg.h>

#define ASSUMED_RATE    50.0 /* rows a second of a small model on a CPU */
#define INDEX_SECONDS   30.0 /* up to INDEX_ROWS, and in proportion beyond */
#define INDEX_ROWS      100000.0
#define PROBE_TEXTS     3
#define NOTES_MOST      16
#define STAGE_ROW_BYTES 120 /* of a staged row beside its vector */

struct ahead {
    const struct reembed_plan *plan;
    struct postgres *pg;
    struct target target;
    struct registry registry;
    struct leftover leftover;
    struct reembed_preview *out;
};

static void note(struct ahead *ahead, const char *format, ...) TN_PRINTF(2, 3);
static void note(struct ahead *ahead, const char *format, ...)
{
    TN_AUTO_BUF text = {0};
    va_list args;
    if (ahead->out->note_count == NOTES_MOST)
        return;
    va_start(args, format);
    tn_buf_vprintf(&text, format, args);
    va_end(args);
    ahead->out->notes[ahead->out->note_count++] = tn_arena_strdup(ahead->out->arena, text.data ? text.data : "");
}

static enum tn_code count(struct ahead *ahead, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *rows = NULL, *staged = NULL;
    struct reembed_preview *out = ahead->out;
    const char *sql = tn_arena_printf(
        out->arena,
        "SELECT count(*), count(*) FILTER (WHERE %s IS NULL), count(*) FILTER (WHERE %s IS NULL),"
        " pg_size_bytes(current_setting('maintenance_work_mem')), current_setting('server_version') FROM %s",
        ahead->target.vector, ahead->target.text, ahead->target.relation);
    TN_TRY(postgres_query(ahead->pg, sql, NULL, 0, POSTGRES_TEXT, &rows, err));
    out->rows_to_update = (uint64_t)postgres_value_i64(rows, 0, 0);
    out->rows_without_vector = (uint64_t)postgres_value_i64(rows, 0, 1);
    out->rows_without_text = (uint64_t)postgres_value_i64(rows, 0, 2);
    out->maintenance_work_mem = (uint64_t)postgres_value_i64(rows, 0, 3);
    out->server =
        tn_arena_printf(out->arena, "%s (PostgreSQL %s)", postgres_label(ahead->pg), postgres_value(rows, 0, 4));
    if (ahead->leftover.state == LEFTOVER_NONE)
        return TN_OK;
    sql = tn_arena_printf(out->arena,
                          ahead->plan->mode == REEMBED_STAGED ? "SELECT count(*) FROM %s"
                                                              : "SELECT coalesce(sum(rows), 0)::bigint FROM %s",
                          ahead->leftover.relation);
    TN_TRY(postgres_query(ahead->pg, sql, NULL, 0, POSTGRES_TEXT, &staged, err));
    out->rows_staged = TN_MIN((uint64_t)postgres_value_i64(staged, 0, 0), out->rows_to_update);
    return TN_OK;
}

/* ---- how long ---------------------------------------------------------------------------- */

static enum tn_code probe(struct ahead *ahead, struct reembed_embedder *embedder, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *rows = NULL;
    struct model_text texts[PROBE_TEXTS];
    size_t cut = 0, found;
    const char *sql = tn_arena_printf(ahead->out->arena,
                                      "SELECT left(%s::text, 65536) FROM %s WHERE %s IS NOT NULL"
                                      " ORDER BY %s LIMIT %d",
                                      ahead->target.text, ahead->target.relation, ahead->target.text,
                                      ahead->target.id, PROBE_TEXTS);
    TN_TRY(postgres_query(ahead->pg, sql, NULL, 0, POSTGRES_TEXT, &rows, err));
    found = postgres_rows(rows);
    if (found == 0)
        return TN_OK;
    for (size_t i = 0; i < found; i++)
        texts[i] = (struct model_text){postgres_value(rows, i, 0), postgres_value_length(rows, i, 0)};
    TN_AUTO_FREE float *out = tn_calloc(found * embedder->model.dimension, sizeof *out);
    uint64_t began = tn_mono_ns();
    TN_TRY(embedder->embed(embedder->context, texts, found, out, &cut, err));
    ahead->out->rows_per_second = (double)found * 1e9 / (double)TN_MAX(tn_mono_ns() - began, UINT64_C(1));
    ahead->out->rate_source = "measured with three texts of the table";
    return TN_OK;
}

static void estimate(struct ahead *ahead)
{
    struct reembed_preview *out = ahead->out;
    double rows = (double)(out->rows_to_update - out->rows_staged), all = (double)out->rows_to_update;
    double index = all < INDEX_ROWS ? INDEX_SECONDS : INDEX_SECONDS * all / INDEX_ROWS;
    out->embedder_batches = (out->rows_to_update + ahead->plan->batch_size - 1) / ahead->plan->batch_size;
    out->estimated_walltime_secs = out->no_op ? 0 : rows / out->rows_per_second + index;
    if (ahead->plan->mode == REEMBED_STAGED)
        out->stage_bytes = out->rows_to_update *
                           ((uint64_t)out->target.dimension * (ahead->target.new_half ? 2 : 4) + STAGE_ROW_BYTES);
    if (ahead->target.index_count > 0)
        out->graph_bytes = graph_bytes(out->rows_to_update, out->target.dimension, ahead->target.new_half);
}

/* ---- what to know ----------------------------------------------------------------------------- */

static void take_target(struct ahead *ahead)
{
    struct reembed_preview *out = ahead->out;
    const struct target *target = &ahead->target;
    out->table = target->relation;
    out->column_type = target->column_type;
    out->target_type = target->new_shown;
    out->mode = ahead->plan->mode;
    out->would_alter_typmod = target->changes_type;
    out->has_current = ahead->registry.has_row;
    out->current = ahead->registry.current;
    out->no_op = check_same_model(target, &ahead->registry, &ahead->leftover, &out->target);
    out->approach = out->no_op                              ? "none"
                    : ahead->plan->mode == REEMBED_IN_PLACE ? target->changes_type ? "relax and tighten" : "in place"
                    : staged_rewrites(ahead->plan, target)  ? "rewrite"
                                                            : "update";
    out->indexes = TN_ARENA_ARRAY(out->arena, const char *, target->index_count + 1);
    for (size_t i = 0; i < target->index_count; i++)
        out->indexes[out->index_count++] = target->indexes[i].definition;
}

static void take_notes(struct ahead *ahead)
{
    struct reembed_preview *out = ahead->out;
    char needed[32], has[32];
    out->notes = TN_ARENA_ARRAY(out->arena, const char *, NOTES_MOST);
    if (check_target(ahead->plan, &ahead->target, &ahead->registry, out->target.dimension, &out->refused) != TN_OK)
        note(ahead, "a run would be refused: %s; %s", out->refused.detail, out->refused.hint);
    if (!ahead->registry.there)
        note(ahead, "the registry %s is not there and would be made", ahead->registry.relation);
    if (out->rows_staged > 0)
        note(ahead, "%" PRIu64 " rows are done by a run that did not end", out->rows_staged);
    if (ahead->leftover.unfinished_in_place)
        note(ahead, "a run in place with another model did not end: the table holds vectors of two models");
    for (size_t i = 0; i < ahead->leftover.other_count; i++)
        note(ahead, "%s belongs to another run that did not end", ahead->leftover.others[i]);
    if (out->graph_bytes > out->maintenance_work_mem)
        note(ahead,
             "the index's graph takes about %s and maintenance_work_mem is %s: --maintenance-work-mem makes it "
             "several times faster",
             tn_format_size(out->graph_bytes, needed), tn_format_size(out->maintenance_work_mem, has));
    if (!ahead->plan->drop_hnsw_first && !out->would_alter_typmod)
        note(ahead, "each row is put into the index that stays: slower than building it anew");
}

static enum tn_code look_ahead(struct ahead *ahead, struct reembed_embedder *embedder, bool may_probe,
                               const struct reembed_rate *known, struct tn_error *err)
{
    struct reembed_preview *out = ahead->out;
    TN_TRY(target_look(ahead->pg, ahead->plan, out->target.dimension, out->arena, &ahead->target, err));
    TN_TRY(postgres_run(ahead->pg, "SET default_transaction_read_only = on", err));
    TN_TRY(registry_look(ahead->pg, ahead->plan, &ahead->target, out->arena, &ahead->registry, err));
    TN_TRY(leftover_look(ahead->pg, ahead->plan, &out->target, &ahead->target, out->arena, &ahead->leftover, err));
    take_target(ahead);
    TN_TRY(count(ahead, err));
    bool has = known && known->rows_per_second > 0;
    out->rows_per_second = has ? known->rows_per_second : ASSUMED_RATE;
    out->rate_source = tn_arena_strdup(out->arena, has ? known->source : "assumed; --probe measures it");
    if (may_probe)
        TN_TRY(probe(ahead, embedder, err));
    estimate(ahead);
    take_notes(ahead);
    return TN_OK;
}

enum tn_code reembed_preview(const struct reembed_plan *plan, struct reembed_embedder *embedder, bool probe_too,
                             const struct reembed_rate *known, struct reembed_preview *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(postgres_close_p) struct postgres *pg = NULL;
    struct reembed_preview preview = {.arena = arena};
    TN_TRY(check_plan(plan, err));
    TN_TRY(connect_for_looking(plan, &pg, err));
    struct ahead ahead = {.plan = plan, .pg = pg, .out = &preview};
    reembed_signature_of(&embedder->model, arena, &preview.target);
    TN_TRY(look_ahead(&ahead, embedder, probe_too, known, err));
    *ret = preview;
    (void)TN_TAKE(arena);
    return TN_OK;
}

void reembed_preview_release(struct reembed_preview *preview)
{
    tn_arena_free(preview->arena);
    *preview = (struct reembed_preview){0};
}
