/* model_outcomes and model_stats as SQL tables: the rolled files, and the rest
 * of the log as one more file, which lives as long as somebody reads it. Any
 * engine that may read the bucket can run them. */
#include "outcome/outcome_internal.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* What is not rolled yet, up to an id. */
struct outcome_tail {
    struct engine_hold hold;
    char *path;
    int64_t from, to;
};

static void free_tail(struct engine_hold *hold)
{
    struct outcome_tail *tail = (struct outcome_tail *)hold;
    (void)unlink(tail->path);
    free(tail->path);
    free(tail);
}

void outcome_tail_release(struct outcome_store *store)
{
    if (store->tail)
        engine_hold_unref(&store->tail->hold);
    store->tail = NULL;
}

static enum tn_code make_tail(struct outcome_store *store, int64_t from, int64_t to, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct engine_file_stats written = {0};
    char *path;
    if (store->tail && store->tail->from == from && store->tail->to == to)
        return TN_OK;
    TN_TRY(store_stage_path(store->lake->store, arena, ".parquet", &path, err));
    TN_TRY(outcome_write_parquet(store, from, to, path, false, arena, &written, err));
    outcome_tail_release(store);
    store->tail = tn_calloc(1, sizeof *store->tail);
    *store->tail = (struct outcome_tail){.hold = {1, free_tail}, .path = tn_strdup(path), .from = from, .to = to};
    return TN_OK;
}

#define NOTHING                                                                                                      \
    "SELECT NULL::BIGINT AS id, NULL::BOOLEAN AS imported, NULL::VARCHAR AS task_type, NULL::VARCHAR AS model_id, "  \
    "NULL::BIGINT AS successes, NULL::BIGINT AS failures, NULL::BIGINT AS timeouts, NULL::BIGINT AS tokens, "        \
    "NULL::DOUBLE AS cost, NULL::TIMESTAMPTZ AS \"time\", NULL::VARCHAR AS \"key\", NULL::VARCHAR AS source "        \
    "WHERE false"

enum tn_code outcome_entries_sql(struct outcome_store *store, struct tn_buf *out, struct engine_hold **ret_hold,
                                 int64_t *ret_last_id, struct tn_error *err)
{
    bool any = false;
    TN_TRY(outcome_table_load(store, err));
    int64_t rolled = atomic_load(&store->rolled_id), last = TN_MAX(rolled, atomic_load(&store->last_id));
    tn_buf_puts(out, NOTHING);
    TN_AUTO_BUF files = {0};
    TN_TRY(outcome_put_files(store, &files, &any, err));
    if (any)
        tn_buf_printf(out, " UNION ALL BY NAME SELECT * FROM read_parquet(%s)", files.data);
    if (last > rolled) {
        TN_TRY(make_tail(store, rolled, last, err));
        tn_buf_puts(out, " UNION ALL BY NAME SELECT * FROM read_parquet(");
        tn_buf_put_sql_string(out, store->tail->path);
        tn_buf_putc(out, ')');
        *ret_hold = engine_hold_ref(&store->tail->hold);
    }
    *ret_last_id = last;
    return TN_OK;
}

/* Of the imports of one source and pair, the newest counts. */
#define OUTCOMES                                                                                                     \
    "SELECT id, task_type, model_id, successes::INTEGER AS success, timeouts::INTEGER AS timeout, "                  \
    "tokens AS tokens_used, cost AS cost_usd, \"time\" AS \"timestamp\", \"key\" AS outcome_key, source "            \
    "FROM (%s) WHERE NOT imported"
#define STATS                                                                                                        \
    "WITH entries AS (%s), counted AS (SELECT * FROM entries WHERE NOT imported UNION ALL "                          \
    "SELECT * FROM entries WHERE imported QUALIFY row_number() OVER (PARTITION BY source, task_type, model_id "      \
    "ORDER BY id DESC) = 1) SELECT min(id) AS id, task_type, model_id, sum(successes)::BIGINT AS successes, "        \
    "sum(failures)::BIGINT AS failures, sum(timeouts)::BIGINT AS timeouts, sum(tokens)::BIGINT AS total_tokens, "    \
    "sum(cost)::DOUBLE AS total_cost, max(\"time\") AS last_used FROM counted GROUP BY task_type, model_id"

static enum tn_code table_resolve(void *context, const struct engine_table_ref *ref, struct tn_arena *arena,
                                  struct engine_relation *ret, struct tn_error *err)
{
    struct outcome_store *store = context;
    TN_AUTO_BUF entries = {0};
    int64_t last = 0;
    if (ref->at == ENGINE_AT_VERSION || ref->at == ENGINE_AT_NAME) {
        tn_fail(err, TN_ESNAPSHOT, "%s has no snapshots and no tags of its own", ref->name);
        tn_error_hint(err, "filter by its timestamp, or name a time: %s AT (TIMESTAMP => ...)", ref->name);
        return TN_ESNAPSHOT;
    }
    *ret = (struct engine_relation){0};
    pthread_mutex_lock(&store->rolling);
    enum tn_code code = outcome_entries_sql(store, &entries, &ret->hold, &last, err);
    int64_t rolled = atomic_load(&store->rolled_id);
    pthread_mutex_unlock(&store->rolling);
    if (code != TN_OK) {
        tn_error_context(err, "%s", ref->name);
        return code;
    }
    ret->version = tn_arena_printf(arena, "%" PRId64 "-%" PRId64, rolled, last);
    const char *inner = tn_arena_strndup(arena, entries.data, entries.len);
    if (ref->at == ENGINE_AT_TIMESTAMP) {
        inner = tn_arena_printf(arena, "SELECT * FROM (%s) WHERE \"time\" <= make_timestamptz(%" PRId64 ")", inner,
                                ref->at_timestamp_us);
        ret->version = tn_arena_printf(arena, "%s@%" PRId64, ret->version, ref->at_timestamp_us);
    }
    ret->definition = tn_str_equal_nocase(ref->name, "model_stats") ? tn_arena_printf(arena, STATS, inner)
                                                                    : tn_arena_printf(arena, OUTCOMES, inner);
    return TN_OK;
}

void outcome_tables_init(struct outcome_store *store)
{
    static const char *const names[] = {"model_outcomes", "model_stats"};
    store->tables = (struct dataset_extra){
        .names = names, .name_count = TN_COUNT(names), .context = store, .resolve = table_resolve};
}

const struct dataset_extra *outcome_tables(struct outcome_store *store)
{
    return &store->tables;
}
