/* Transactions, savepoints, time limits. */
#include "postgres/postgres_internal.h"

#include <inttypes.h>

enum tn_code postgres_begin(struct postgres *pg, enum postgres_isolation isolation, struct tn_error *err)
{
    static const char *const levels[] = {"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"};
    return postgres_runf(pg, err, "BEGIN ISOLATION LEVEL %s", levels[isolation]);
}

enum tn_code postgres_commit(struct postgres *pg, struct tn_error *err)
{
    TN_TRY(postgres_ready(pg, err));
    if (!PQsendQuery(pg->conn, "COMMIT"))
        return postgres_fail_connection(pg, err);
    AUTO_RESULT *result = NULL;
    TN_TRY(postgres_finish(pg, &result, err));
    if (!tn_streq(PQcmdStatus(result), "COMMIT"))
        return tn_fail(err, TN_ECONFLICT, "%s: the transaction had failed and was rolled back", pg->label);
    return TN_OK;
}

void postgres_rollback(struct postgres *pg)
{
    bool (*stopping)(void *) = pg->stopping;
    pg->stopping = NULL;
    if (pg->pipelined)
        postgres_pipeline_close(pg);
    if (pg->copying_out)
        postgres_copy_out_stop(pg);
    if (postgres_alive(pg) && postgres_in_transaction(pg)) {
        enum tn_code ignored TN_UNUSED = postgres_run(pg, "ROLLBACK", NULL);
    }
    pg->stopping = stopping;
}

bool postgres_in_transaction(const struct postgres *pg)
{
    PGTransactionStatusType status = PQtransactionStatus(pg->conn);
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR || status == PQTRANS_ACTIVE;
}

static enum tn_code run_named(struct postgres *pg, const char *verb, const char *name, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, verb);
    tn_buf_put_sql_name(&sql, name);
    return postgres_run(pg, sql.data, err);
}

enum tn_code postgres_savepoint(struct postgres *pg, const char *name, struct tn_error *err)
{
    return run_named(pg, "SAVEPOINT ", name, err);
}

enum tn_code postgres_release(struct postgres *pg, const char *name, struct tn_error *err)
{
    return run_named(pg, "RELEASE SAVEPOINT ", name, err);
}

enum tn_code postgres_rollback_to(struct postgres *pg, const char *name, struct tn_error *err)
{
    return run_named(pg, "ROLLBACK TO SAVEPOINT ", name, err);
}

enum tn_code postgres_set_timeouts(struct postgres *pg, uint64_t statement_ms, uint64_t lock_ms, struct tn_error *err)
{
    const char *scope = postgres_in_transaction(pg) ? "LOCAL " : "";
    return postgres_runf(pg, err, "SET %sstatement_timeout = %" PRIu64 "; SET %slock_timeout = %" PRIu64, scope,
                         statement_ms, scope, lock_ms);
}
