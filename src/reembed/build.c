/* The index: dropped, built with the parameters it had, watched. */
#include "reembed/reembed_internal.h"

#include <inttypes.h>

enum tn_code build_drop_indexes(struct run *run, struct tn_error *err)
{
    for (size_t i = 0; i < run->target.index_count; i++) {
        struct vector_index *index = &run->target.indexes[i];
        if (!index->there)
            continue;
        TN_TRY(postgres_runf(run->pg, err, "DROP INDEX %s", index->relation));
        index->there = false;
    }
    TN_FAULT("reembed.index_dropped");
    return TN_OK;
}

void build_advise(struct run *run)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    char needed[32], has[32];
    uint64_t bytes = graph_bytes(run->rows, run->signature.dimension, run->target.new_half);
    if (run->target.index_count == 0 ||
        postgres_query(run->eye, "SELECT pg_size_bytes(current_setting('maintenance_work_mem'))", NULL, 0,
                       POSTGRES_TEXT, &found, NULL) != TN_OK)
        return;
    uint64_t memory = (uint64_t)postgres_value_i64(found, 0, 0);
    if (memory < bytes)
        run_note(
            run, REEMBED_WARNING,
            "the index's graph takes about %s and maintenance_work_mem is %s: building will be several times slower"
            " than with as much (--maintenance-work-mem), if the server has the memory",
            tn_format_size(bytes, needed), tn_format_size(memory, has));
}

static void tell_notices(struct run *run)
{
    for (const char *notice; (notice = postgres_next_notice(run->pg));)
        run_note(run, REEMBED_NOTE, "the server says: %s", notice);
}

static const char *statement_of(struct run *run, const struct vector_index *index, bool concurrently)
{
    static const char plain[] = "CREATE INDEX ";
    if (!concurrently || !tn_str_starts_with(index->definition, plain))
        return index->definition;
    return tn_arena_printf(run->arena, "CREATE INDEX CONCURRENTLY %s", index->definition + strlen(plain));
}

static enum tn_code explain_concurrent(const struct vector_index *index, enum tn_code code, struct tn_error *err)
{
    tn_error_context(err, "building %s", index->relation);
    tn_error_hint(err,
                  "vectors and registry are new; the index may have been left INVALID: DROP INDEX CONCURRENTLY %s;  "
                  " then run again with the same arguments, which goes on with the index",
                  index->relation);
    return code;
}

static enum tn_code build_one(struct run *run, struct vector_index *index, bool concurrently, struct tn_error *err)
{
    uint64_t began = tn_mono_ns();
    run_note(run, REEMBED_NOTE, "building index %s%s", index->relation, concurrently ? " concurrently" : "");
    TN_FAULT("reembed.index_begun");
    run->watch = WATCH_INDEX;
    run->watched_ns = began;
    enum tn_code code = postgres_run(run->pg, statement_of(run, index, concurrently), err);
    run->watch = WATCH_NOTHING;
    run->report->index_rebuild_secs += (double)(tn_mono_ns() - began) / 1e9;
    tell_notices(run);
    if (code != TN_OK)
        return concurrently ? explain_concurrent(index, code, err) : code;
    index->there = true;
    TN_FAULT("reembed.index_built");
    return TN_OK;
}

enum tn_code build_indexes(struct run *run, bool concurrently, struct tn_error *err)
{
    for (size_t i = 0; i < run->target.index_count; i++) {
        struct vector_index *index = &run->target.indexes[i];
        if (index->there)
            continue;
        TN_TRY(postgres_runf(run->pg, err, "SET default_tablespace = %s",
                             postgres_quote_text(run->arena, index->tablespace)));
        TN_TRY(build_one(run, index, concurrently, err));
    }
    return postgres_run(run->pg, "SET default_tablespace = ''", err);
}
