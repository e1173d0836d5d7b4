/* The SQL table `trials`: every record of every index. */
#include "index/trial.h"

#include <inttypes.h>

/* Under lock: where the generation of a trial is now; NULL when nobody has looked yet. */
static const char *state_of(const struct trial_record *record, const struct vector_generation *all, size_t count)
{
    if (!all || !tn_streq(record->kind, "trial"))
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (all[i].number == record->generation && all[i].seed == record->seed)
            return all[i].active ? "active" : all[i].previous ? "previous" : "kept";
    return "removed";
}

static void put_records(struct logical *logical, const struct vector_generation *all, size_t count,
                        struct tn_buf *out)
{
    const struct trial_log *log = &logical->tuning->log;
    for (size_t i = 0; i < log->count; i++) {
        const char *state = state_of(&log->items[i], all, count);
        if (out->len > 1)
            tn_buf_putc(out, ',');
        trial_record_write(&log->items[i], out);
        if (state) {
            out->len--;
            tn_buf_printf(out, ",\"state\":\"%s\"}", state);
        }
    }
}

static enum tn_code put_index(struct logical *logical, struct vector_generation *room, struct tn_buf *out,
                              struct tn_error *err)
{
    struct vector_index *vectors = NULL;
    size_t count = 0;
    /* Files that nobody has opened yet stay closed: the records do not need them. */
    bool looked = atomic_load(&logical->synced) && users_enter(logical, &vectors, NULL) == TN_OK;
    enum tn_code code = TN_OK;
    if (looked)
        code = vector_index_generations(vectors, room, VECTOR_GENERATIONS_MAX, &count, err);
    pthread_mutex_lock(&logical->tuning->lock);
    if (code == TN_OK)
        code = trial_log_load(logical, err);
    if (code == TN_OK)
        put_records(logical, looked ? room : NULL, count, out);
    pthread_mutex_unlock(&logical->tuning->lock);
    if (looked)
        users_leave(logical);
    return code;
}

static enum tn_code put_all(struct index_service *service, struct tn_buf *out, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_FREE struct vector_generation *room = tn_calloc(VECTOR_GENERATIONS_MAX, sizeof *room);
    struct logical **all;
    size_t count = logical_all(service, arena, &all);
    enum tn_code code = TN_OK;
    tn_buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (code == TN_OK)
            code = put_index(all[i], room, out, err);
        logical_unref(all[i]);
    }
    tn_buf_putc(out, ']');
    return code;
}

static enum tn_code resolve(void *context, const struct engine_table_ref *ref, struct tn_arena *arena,
                            struct engine_relation *ret, struct tn_error *err)
{
    TN_AUTO_BUF rows = {0};
    TN_AUTO_BUF columns = {0};
    TN_AUTO_BUF sql = {0};
    if (ref->at == ENGINE_AT_VERSION || ref->at == ENGINE_AT_NAME) {
        tn_fail(err, TN_ESNAPSHOT, "trials has no snapshots and no tags of its own");
        tn_error_hint(err, "filter by its time");
        return TN_ESNAPSHOT;
    }
    TN_TRY(put_all(context, &rows, err));
    trial_record_columns(&columns);
    columns.len--;
    tn_buf_puts(&columns, ",\"state\":\"VARCHAR\"}");
    tn_buf_puts(&sql, "SELECT r.* FROM (SELECT unnest(from_json(");
    tn_buf_put_sql_string(&sql, rows.data);
    tn_buf_puts(&sql, ", ");
    TN_AUTO_FREE char *shape = tn_asprintf("[%s]", columns.data);
    tn_buf_put_sql_string(&sql, shape);
    tn_buf_puts(&sql, ")) AS r)");
    if (ref->at == ENGINE_AT_TIMESTAMP)
        tn_buf_printf(&sql, " WHERE \"time\" <= make_timestamptz(%" PRId64 ")", ref->at_timestamp_us);
    *ret = (struct engine_relation){.version = tn_arena_printf(arena, "%016" PRIx64, tn_hash64(sql.data, sql.len, 0)),
                                    .definition = tn_arena_strndup(arena, sql.data, sql.len)};
    return TN_OK;
}

struct dataset_extra index_tables(struct index_service *service)
{
    static const char *const names[] = {"trials"};
    return (struct dataset_extra){
        .names = names, .name_count = TN_COUNT(names), .context = service, .resolve = resolve};
}

enum tn_code index_trials_compact(struct index_service *service, const char *name, struct tn_json *out,
                                  struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    size_t objects = 0;
    TN_TRY(logical_find(service, name, &logical, err));
    pthread_mutex_lock(&logical->tuning->lock);
    enum tn_code code = trial_log_compact(logical, &objects, err);
    size_t records = logical->tuning->log.count;
    pthread_mutex_unlock(&logical->tuning->lock);
    TN_TRY(code);
    tn_json_open(out, '{');
    tn_json_kstr(out, "index", logical->definition.name);
    tn_json_ki64(out, "records", (int64_t)records);
    tn_json_ki64(out, "objects_before", (int64_t)objects);
    tn_json_ki64(out, "objects_after", records > 0);
    tn_json_close(out, '}');
    return TN_OK;
}

enum tn_code index_exact_name(struct index_service *service, const char *name, char ret[INDEX_NAME_MAX + 1],
                              struct tn_error *err)
{
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    TN_TRY(logical_find(service, name, &logical, err));
    snprintf(ret, INDEX_NAME_MAX + 1, "%s", logical->definition.name);
    return TN_OK;
}
