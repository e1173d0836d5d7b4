/* COPY: rows out of and into a server, streamed. */
#include "postgres/postgres_internal.h"

static enum tn_code start(struct postgres *pg, const char *sql, ExecStatusType wanted, struct tn_error *err)
{
    TN_TRY(postgres_ready(pg, err));
    if (!PQsendQuery(pg->conn, sql))
        return postgres_fail_connection(pg, err);
    AUTO_RESULT *result = NULL;
    TN_TRY(postgres_finish(pg, &result, err));
    if (PQresultStatus(result) != wanted)
        return tn_fail(err, TN_EINTERNAL, "%s: the statement is no COPY in that direction", pg->label);
    return TN_OK;
}

/* The outcome behind the last message; the connection is free then. */
static enum tn_code end_out(struct postgres *pg, struct tn_error *err)
{
    pg->copying_out = false;
    AUTO_RESULT *result = NULL;
    return postgres_finish(pg, &result, err);
}

enum tn_code postgres_copy_out(struct postgres *pg, const char *sql, struct tn_error *err)
{
    TN_TRY(start(pg, sql, PGRES_COPY_OUT, err));
    pg->copying_out = true;
    return TN_OK;
}

enum tn_code postgres_copy_out_next(struct postgres *pg, const char **ret, size_t *ret_length, struct tn_error *err)
{
    if (pg->copied)
        PQfreemem(TN_TAKE(pg->copied));
    for (;;) {
        int length = PQgetCopyData(pg->conn, &pg->copied, 1);
        if (length > 0) {
            *ret = pg->copied;
            *ret_length = (size_t)length;
            return TN_OK;
        }
        if (length == -1) {
            TN_TRY(end_out(pg, err));
            *ret = NULL;
            *ret_length = 0;
            return TN_OK;
        }
        if (length == -2) {
            pg->copying_out = false;
            return postgres_fail_connection(pg, err);
        }
        enum tn_code code = postgres_wait_socket(pg, false, err);
        if (code != TN_OK)
            return code;
        if (!PQconsumeInput(pg->conn)) {
            pg->copying_out = false;
            return postgres_fail_connection(pg, err);
        }
    }
}

void postgres_copy_out_stop(struct postgres *pg)
{
    if (!pg->copying_out)
        return;
    bool (*stopping)(void *) = pg->stopping;
    pg->stopping = NULL;
    postgres_cancel(pg);
    const char *bytes = "";
    size_t length;
    while (bytes && postgres_copy_out_next(pg, &bytes, &length, NULL) == TN_OK)
        continue;
    pg->copying_out = false;
    pg->stopping = stopping;
}

enum tn_code postgres_copy_in(struct postgres *pg, const char *sql, struct tn_error *err)
{
    return start(pg, sql, PGRES_COPY_IN, err);
}

/* A server that refuses a row ends the COPY at once, and says why before we
 * have sent all: that is the error, not that there is no COPY any more. */
static enum tn_code fail_put(struct postgres *pg, struct tn_error *err)
{
    AUTO_RESULT *result = NULL;
    if (PQstatus(pg->conn) != CONNECTION_OK)
        return postgres_fail_connection(pg, err);
    TN_TRY(postgres_finish(pg, &result, err));
    return tn_fail(err, TN_EINTERNAL, "%s: a COPY ended before its rows did", pg->label);
}

enum tn_code postgres_copy_in_put(struct postgres *pg, const void *bytes, size_t length, struct tn_error *err)
{
    const char *at = bytes;
    while (length > 0) {
        size_t piece = TN_MIN(length, (size_t)1 << 20);
        int sent = PQputCopyData(pg->conn, at, (int)piece);
        if (sent < 0)
            return fail_put(pg, err);
        TN_TRY(postgres_flush(pg, err));
        if (sent == 0)
            continue;
        at += piece;
        length -= piece;
    }
    return TN_OK;
}

enum tn_code postgres_copy_in_close(struct postgres *pg, struct tn_error *err)
{
    int sent;
    while ((sent = PQputCopyEnd(pg->conn, NULL)) == 0)
        TN_TRY(postgres_flush(pg, err));
    return sent < 0 ? fail_put(pg, err) : postgres_flush(pg, err);
}

enum tn_code postgres_copy_in_take(struct postgres *pg, uint64_t *ret_rows, struct tn_error *err)
{
    AUTO_RESULT *result = NULL;
    TN_TRY(postgres_finish(pg, &result, err));
    struct postgres_result ended = {.result = result};
    if (ret_rows)
        *ret_rows = postgres_affected(&ended);
    return TN_OK;
}

enum tn_code postgres_copy_in_end(struct postgres *pg, uint64_t *ret_rows, struct tn_error *err)
{
    TN_TRY(postgres_copy_in_close(pg, err));
    return postgres_copy_in_take(pg, ret_rows, err);
}

void postgres_copy_header(struct tn_buf *out)
{
    tn_buf_append(out, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
}

void postgres_copy_trailer(struct tn_buf *out)
{
    tn_buf_append(out, "\377\377", 2);
}
