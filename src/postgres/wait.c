/* Waiting for the server in slices, so that whoever waits can be stopped. */
#include "postgres/postgres_internal.h"

#include <errno.h>
#include <poll.h>

#define SLICE_MS      100
#define AFTER_STOP_NS (UINT64_C(10) * 1000000000)

/* True while the statement may go on; sends the cancel once. */
static void look_at_stopping(struct postgres *pg)
{
    if (pg->stopping && !atomic_load(&pg->cancelled) && pg->stopping(pg->context))
        postgres_cancel(pg);
}

enum tn_code postgres_wait_socket(struct postgres *pg, bool write, struct tn_error *err)
{
    uint64_t stopped_at = 0;
    for (;;) {
        struct pollfd wanted = {.fd = PQsocket(pg->conn), .events = (short)(write ? POLLIN | POLLOUT : POLLIN)};
        if (wanted.fd < 0)
            return postgres_fail_connection(pg, err);
        int ready = poll(&wanted, 1, SLICE_MS);
        if (ready > 0)
            return TN_OK;
        if (ready < 0 && errno != EINTR)
            return tn_fail_errno(err, errno, "%s: waiting for the server", pg->label);
        look_at_stopping(pg);
        if (!atomic_load(&pg->cancelled))
            continue;
        if (stopped_at == 0)
            stopped_at = tn_mono_ns();
        if (tn_mono_ns() - stopped_at > AFTER_STOP_NS)
            return tn_fail(err, TN_ECANCELLED, "%s: cancelled, and the server did not answer", pg->label);
    }
}

enum tn_code postgres_flush(struct postgres *pg, struct tn_error *err)
{
    for (;;) {
        int left = PQflush(pg->conn);
        if (left == 0)
            return TN_OK;
        if (left < 0)
            return postgres_fail_connection(pg, err);
        TN_TRY(postgres_wait_socket(pg, true, err));
        /* The server may wait for us to read before it reads on. */
        if (!PQconsumeInput(pg->conn))
            return postgres_fail_connection(pg, err);
    }
}

enum tn_code postgres_next_result(struct postgres *pg, PGresult **ret, struct tn_error *err)
{
    while (PQisBusy(pg->conn)) {
        TN_TRY(postgres_wait_socket(pg, false, err));
        if (!PQconsumeInput(pg->conn))
            return postgres_fail_connection(pg, err);
    }
    *ret = PQgetResult(pg->conn);
    return TN_OK;
}

static bool is_fine(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status != PGRES_FATAL_ERROR && status != PGRES_BAD_RESPONSE && status != PGRES_NONFATAL_ERROR;
}

static bool begins_copy(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

enum tn_code postgres_finish(struct postgres *pg, PGresult **ret, struct tn_error *err)
{
    AUTO_RESULT *kept = NULL;
    TN_TRY(postgres_flush(pg, err));
    for (;;) {
        AUTO_RESULT *result = NULL;
        TN_TRY(postgres_next_result(pg, &result, err));
        if (!result)
            break;
        bool copy = begins_copy(result);
        if (!kept || is_fine(kept)) {
            PQclear(kept);
            kept = TN_TAKE(result);
        }
        if (copy)
            break; /* until the copy is over there is nothing more to read */
    }
    if (!kept)
        return postgres_fail_connection(pg, err);
    if (!is_fine(kept))
        return postgres_fail_result(pg, kept, err);
    *ret = TN_TAKE(kept);
    return TN_OK;
}

enum tn_code postgres_ready(struct postgres *pg, struct tn_error *err)
{
    pg->sqlstate[0] = '\0';
    if (PQstatus(pg->conn) != CONNECTION_OK)
        return postgres_fail_connection(pg, err);
    if (pg->copying_out || pg->pipelined)
        return tn_fail(err, TN_EINTERNAL, "%s: a statement while a copy or a pipeline is open", pg->label);
    atomic_store(&pg->cancelled, false);
    if (pg->stopping && pg->stopping(pg->context))
        return tn_fail(err, TN_ECANCELLED, "cancelled");
    return TN_OK;
}
