/* Statements sent without waiting for the ones before. */
#include "postgres/postgres_internal.h"

enum tn_code postgres_pipeline_open(struct postgres *pg, struct tn_error *err)
{
    TN_TRY(postgres_ready(pg, err));
    if (!PQenterPipelineMode(pg->conn))
        return postgres_fail_connection(pg, err);
    pg->pipelined = true;
    pg->pending = pg->synced = 0;
    return TN_OK;
}

static enum tn_code after_send(struct postgres *pg, int sent, struct tn_error *err)
{
    if (!sent)
        return postgres_fail_connection(pg, err);
    pg->pending++;
    return postgres_flush(pg, err);
}

enum tn_code postgres_pipeline_send(struct postgres *pg, const char *statement, const struct postgres_param *params,
                                    size_t count, struct tn_error *err)
{
    TN_AUTO_FREE struct postgres_sent *sent = NULL;
    TN_TRY(postgres_arrange(params, count, &sent, err));
    return after_send(
        pg, PQsendQueryPrepared(pg->conn, statement, (int)count, sent->values, sent->lengths, sent->formats, 1), err);
}

enum tn_code postgres_pipeline_send_sql(struct postgres *pg, const char *sql, const struct postgres_param *params,
                                        size_t count, struct tn_error *err)
{
    TN_AUTO_FREE struct postgres_sent *sent = NULL;
    TN_TRY(postgres_arrange(params, count, &sent, err));
    return after_send(
        pg, PQsendQueryParams(pg->conn, sql, (int)count, sent->types, sent->values, sent->lengths, sent->formats, 1),
        err);
}

enum tn_code postgres_pipeline_sync(struct postgres *pg, struct tn_error *err)
{
    if (!PQpipelineSync(pg->conn))
        return postgres_fail_connection(pg, err);
    pg->synced++;
    return postgres_flush(pg, err);
}

size_t postgres_pipeline_pending(const struct postgres *pg)
{
    return pg->pending;
}

/* The outcome itself: between outcomes lie NULLs and the marks of syncs. */
static enum tn_code next_outcome(struct postgres *pg, PGresult **ret, struct tn_error *err)
{
    for (;;) {
        AUTO_RESULT *result = NULL;
        TN_TRY(postgres_next_result(pg, &result, err));
        if (!result) {
            if (PQstatus(pg->conn) != CONNECTION_OK)
                return postgres_fail_connection(pg, err);
            continue;
        }
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            pg->synced--;
            atomic_store(&pg->cancelled, false);
            continue;
        }
        *ret = TN_TAKE(result);
        return TN_OK;
    }
}

enum tn_code postgres_pipeline_take(struct postgres *pg, struct postgres_result **ret, uint64_t *ret_affected,
                                    struct tn_error *err)
{
    if (pg->pending == 0)
        return tn_fail(err, TN_EINTERNAL, "%s: nothing is pending in the pipeline", pg->label);
    if (pg->synced == 0) { /* a server keeps its answers until a sync or until it is asked */
        if (!PQsendFlushRequest(pg->conn))
            return postgres_fail_connection(pg, err);
        TN_TRY(postgres_flush(pg, err));
    }
    AUTO_RESULT *result = NULL;
    TN_TRY(next_outcome(pg, &result, err));
    pg->pending--;
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_PIPELINE_ABORTED)
        return tn_fail(err, TN_ECANCELLED, "%s: not run, because a statement before it failed", pg->label);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY)
        return postgres_fail_result(pg, result, err);
    struct postgres_result taken = {.result = result};
    if (ret_affected)
        *ret_affected = postgres_affected(&taken);
    if (ret)
        postgres_give(TN_TAKE(result), ret);
    return TN_OK;
}

void postgres_pipeline_close(struct postgres *pg)
{
    bool (*stopping)(void *) = pg->stopping;
    pg->stopping = NULL;
    if (pg->pipelined && postgres_alive(pg) && pg->pending && pg->synced == 0) {
        enum tn_code ignored TN_UNUSED = postgres_pipeline_sync(pg, NULL);
    }
    while (pg->pipelined && (pg->pending || pg->synced) && postgres_alive(pg)) {
        AUTO_RESULT *result = NULL;
        if (postgres_next_result(pg, &result, NULL) != TN_OK)
            break;
        if (result && PQresultStatus(result) == PGRES_PIPELINE_SYNC)
            pg->synced--;
        else if (result && pg->pending)
            pg->pending--;
    }
    if (pg->pipelined && postgres_alive(pg)) {
        AUTO_RESULT *last = PQgetResult(pg->conn);
        (void)PQexitPipelineMode(pg->conn);
    }
    pg->pipelined = false;
    pg->pending = pg->synced = 0;
    pg->stopping = stopping;
}
