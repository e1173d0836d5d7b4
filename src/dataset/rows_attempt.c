/* One group of requests on the newest version of a dataset.
 *
 * All keys of the group are looked up at once, then the requests are applied
 * in their order to what was found, then everything is committed at once. When
 * somebody else's commit came first, all of it is done anew on theirs. Each
 * request has its own verdict; only a commit that fails is everybody's.
 */
#include "dataset/dataset_internal.h"
#include "dataset/rows_internal.h"

#include <inttypes.h>
#include <string.h>

#define COMMIT_ATTEMPTS 8

static void fail_call(struct rows_call *call, enum tn_code code, const struct tn_error *error)
{
    call->code = code;
    call->error = *error;
    call->commit = (struct dataset_commit){0};
}

static void fail_all(struct rows_call *const *calls, size_t count, enum tn_code code, const struct tn_error *error)
{
    for (size_t i = 0; i < count; i++)
        fail_call(calls[i], code, error);
}

/* ---- applying ---------------------------------------------------------------------- */

static enum tn_code check_snapshot(const struct iceberg_metadata *newest, const struct rows_overlay *overlay,
                                   const struct dataset_rows *rows, struct tn_error *err)
{
    int64_t now = newest->current ? newest->current->id : 0;
    if (rows->if_snapshot == 0 || (rows->if_snapshot == now && overlay->change_count == 0))
        return TN_OK;
    if (rows->if_snapshot == now)
        tn_fail(err, TN_EPRECONDITION, "somebody else's change to the dataset came first");
    else
        tn_fail(err, TN_EPRECONDITION, "the newest snapshot is %" PRId64 ", not %" PRId64, now, rows->if_snapshot);
    tn_error_hint(err, "read the rows again and decide anew");
    return TN_EPRECONDITION;
}

static void apply_call(const struct iceberg_metadata *newest, struct rows_overlay *overlay, struct rows_call *call)
{
    struct tn_error error = {0};
    struct dataset_counts counts = {0};
    enum tn_code code = check_snapshot(newest, overlay, call->request.rows, &error);
    if (code == TN_OK)
        code = rows_overlay_apply(overlay, &call->request, &counts, &error);
    if (code != TN_OK) {
        fail_call(call, code, &error);
        return;
    }
    call->commit = (struct dataset_commit){
        .rows = counts.inserted + counts.updated,
        .unchanged = counts.inserted + counts.updated + counts.deleted == 0,
        .counts = counts,
    };
}

static enum tn_code commit_group(struct lake *lake, const char *name, struct iceberg_metadata *newest,
                                 const struct rows_overlay *overlay, struct rows_call *const *calls, size_t count,
                                 struct tn_error *err)
{
    int64_t snapshot = newest->current ? newest->current->id : 0;
    if (overlay->change_count > 0)
        TN_TRY(rows_commit(lake, name, newest, overlay, calls, count, &snapshot, err));
    for (size_t i = 0; i < count; i++)
        if (calls[i]->code == TN_OK)
            calls[i]->commit.snapshot_id = snapshot;
    return TN_OK;
}

static enum tn_code attempt_keyed(struct lake *lake, const char *name, struct iceberg_metadata *newest,
                                  struct rows_call *const *calls, size_t count, struct rows_overlay *overlay,
                                  struct tn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        calls[i]->request.number = i;
        calls[i]->commit = (struct dataset_commit){0};
        calls[i]->error = (struct tn_error){0};
        calls[i]->code = rows_overlay_prepare(overlay, &calls[i]->request, &calls[i]->error);
    }
    TN_TRY(rows_look_up(lake, name, newest, overlay, err));
    TN_FAULT("rows.looked_up");
    for (size_t i = 0; i < count; i++)
        if (calls[i]->code == TN_OK)
            apply_call(newest, overlay, calls[i]);
    return commit_group(lake, name, newest, overlay, calls, count, err);
}

/* ---- deletes by predicate ------------------------------------------------------------ */

struct gathering {
    struct rows_overlay *overlay;
    size_t count;
    bool many;
};

static enum tn_code gather(void *context, const struct dataset_place *place, const struct engine_cell *cells,
                           struct tn_error *err)
{
    struct gathering *gathering = context;
    if (++gathering->count > DATASET_ROWS_MAX) {
        gathering->many = true;
        return tn_fail(err, TN_ETOOLARGE, "more than %d rows", DATASET_ROWS_MAX);
    }
    rows_overlay_found(gathering->overlay, place, cells);
    return TN_OK;
}

/* A place in a statement of ours would be taken for one in the condition. */
static enum tn_code unplaced(enum tn_code code, struct tn_error *err)
{
    if (code != TN_OK && err)
        err->line = err->column = 0;
    return code;
}

/* WHERE would take any number but 0 for true. */
static enum tn_code check_truth(const struct engine_query *query, struct tn_error *err)
{
    size_t count;
    const struct engine_column *column = engine_query_columns(query, &count);
    if (count == 1 && (column->type.kind == ENGINE_BOOLEAN || tn_streq(column->type_text, "\"NULL\"")))
        return TN_OK;
    tn_fail(err, TN_ESQL, "the condition is of type %s, which is neither true nor false",
            count ? column->type_text : "?");
    tn_error_hint(err, "write what a row must meet, such as city = 'Chicago'");
    return TN_ESQL;
}

/* Compiled as a user's own question first: a misspelt column is then an error
 * with a suggestion, not one of a statement of ours. */
static enum tn_code check_predicate(struct lake *lake, const char *name, const char *predicate, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    tn_buf_printf(&sql, "SELECT (%s) FROM ", predicate);
    tn_buf_put_sql_name(&sql, name);
    tn_buf_printf(&sql, " WHERE (%s) LIMIT 0", predicate);
    const struct engine_query_options options = {
        .sql = sql.data, .sql_length = sql.len, .resolver = dataset_resolver(lake)};
    TN_TRY(unplaced(engine_query_start(lake->engine, &options, &query, err), err));
    return check_truth(query, err);
}

static enum tn_code attempt_where(struct lake *lake, const char *name, struct iceberg_metadata *newest,
                                  struct rows_call *call, struct rows_overlay *overlay, struct tn_error *err)
{
    const struct dataset_rows *rows = call->request.rows;
    struct gathering gathering = {.overlay = overlay};
    const char *predicate;
    call->request.number = 0;
    call->code = TN_OK;
    call->commit = (struct dataset_commit){.unchanged = true};
    TN_TRY(check_snapshot(newest, overlay, rows, err));
    TN_TRY(engine_guard_predicate(lake->engine, rows->predicate, strlen(rows->predicate), overlay->arena, &predicate,
                                  NULL, err));
    TN_TRY(check_predicate(lake, name, predicate, err));
    enum tn_code code =
        newest->current ? dataset_find_where(lake, name, newest, predicate, gather, &gathering, err) : TN_OK;
    if (gathering.many)
        return unplaced(rows_delete_many(lake, name, newest, predicate, call, err), err);
    TN_TRY(unplaced(code, err));
    rows_overlay_delete_all(overlay, 0, &call->commit.counts);
    call->commit.unchanged = call->commit.counts.deleted == 0;
    return commit_group(lake, name, newest, overlay, &call, 1, err);
}

/* ---- attempts --------------------------------------------------------------------------- */

static enum tn_code attempt(struct lake *lake, const char *name, struct iceberg_metadata *newest,
                            struct rows_call *const *calls, size_t count, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(rows_overlay_release) struct rows_overlay overlay;
    struct cells_shape shape = {0};
    rows_overlay_init(&overlay, arena, &shape);
    TN_TRY(rows_check_writable(newest, err));
    TN_TRY(cells_shape_init(&shape, arena, newest->schema, err));
    if (calls[0]->request.rows->op == DATASET_ROWS_WHERE)
        return attempt_where(lake, name, newest, calls[0], &overlay, err);
    return attempt_keyed(lake, name, newest, calls, count, &overlay, err);
}

static enum tn_code attempt_newest(struct lake *lake, const char *name, struct rows_call *const *calls, size_t count,
                                   struct tn_error *err)
{
    for (int n = 1;; n++) {
        ICEBERG_AUTO_METADATA *newest = NULL;
        TN_TRY(catalog_load_locked(lake->catalog, name, &newest, err));
        if (!newest)
            return tn_fail(err, TN_EDATASET, "there is no dataset \"%s\" any more", name);
        enum tn_code code = attempt(lake, name, newest, calls, count, err);
        if (code != TN_ECONFLICT || n == COMMIT_ATTEMPTS)
            return code;
        *err = (struct tn_error){0};
        TN_TRY(rows_refresh(lake, name, newest, err));
    }
}

/* A delete by predicate sees rows that the table has; it goes alone. */
static size_t take_group(struct rows_call *const *calls, size_t count)
{
    size_t taken = 1;
    if (calls[0]->request.rows->op == DATASET_ROWS_WHERE)
        return taken;
    while (taken < count && calls[taken]->request.rows->op != DATASET_ROWS_WHERE)
        taken++;
    return taken;
}

void rows_do(struct lake *lake, const char *name, struct rows_call *const *calls, size_t count, size_t *ret_done)
{
    struct tn_error error = {0};
    size_t taken = take_group(calls, count);
    enum tn_code code = attempt_newest(lake, name, calls, taken, &error);
    while (code == TN_ETOOLARGE && taken > 1) { /* of partitions; each request may have few */
        taken /= 2;
        error = (struct tn_error){0};
        code = attempt_newest(lake, name, calls, taken, &error);
    }
    if (code != TN_OK)
        fail_all(calls, taken, code, &error);
    *ret_done = taken;
}
