/* postgres: a client of PostgreSQL servers (10 and newer).
 *
 * The one place that knows libpq: connections that never show their password,
 * statements with binary parameters, transactions, pipelines, COPY in both
 * directions, and the binary forms of values (decode.h reads what COPY sends).
 *
 *     struct postgres_options options = {.url = url, .stopping = job_run_stopping_fn, .context = run};
 *     TN_CLEANUP(postgres_close_p) struct postgres *pg = NULL;
 *     TN_TRY(postgres_open(&options, &pg, err));
 *     TN_TRY(postgres_begin(pg, POSTGRES_READ_COMMITTED, err));
 *     TN_TRY(postgres_run(pg, "UPDATE ...", err));
 *     TN_TRY(postgres_commit(pg, err));
 *
 * Secrets. The password comes, in this order, from `password`, from
 * `password_file` (its first line; only its owner may read or write it, else
 * it is refused), from the URL, from PGPASSWORD, from PGPASSFILE or ~/.pgpass.
 * It is kept in memory for the connection alone and is in no error, label,
 * notice or log line: whatever the server says is searched for it. What may be
 * shown of a server is its label, "host:port/database".
 *
 * TLS as libpq does it, by sslmode in the URL: disable, allow, prefer (the
 * default), require, verify-ca, verify-full, with sslrootcert.
 *
 * Waiting: every call that waits for the server looks at `stopping` ten times a
 * second. When it says true the statement is cancelled on the server and the
 * call fails with TN_ECANCELLED; the connection is usable then (roll back).
 * Keepalives notice within a minute that a server's machine is gone.
 *
 * Threads: a connection belongs to one thread at a time, except
 * postgres_cancel, which any thread may call while it is open.
 *
 * Errors: the detail is "host:port/database: " and what the server said, the
 * hint what it or Tarn advises; postgres_sqlstate() has the five characters.
 *   TN_EUNREACHABLE  no such host, refused, TLS impossible, or the connection
 *                    was lost: by then a transaction has been rolled back by the
 *                    server, except that a lost COMMIT may have happened
 *   TN_EUNAVAILABLE  starting up, shutting down, too many connections (57P03, 53*)
 *   TN_EFORBIDDEN    wrong password, no such user, missing right (28*, 42501)
 *   TN_ENOTFOUND     no such database, schema, table, column, type (3D000, 42P01, ...)
 *   TN_EBUSY         a lock was not to be had within lock_timeout (55P03)
 *   TN_ETIMEOUT      statement_timeout, connect timeout
 *   TN_ECANCELLED    by `stopping` or postgres_cancel
 *   TN_ECONFLICT     serialization, deadlock, unique and other constraints (40*, 23*)
 *   TN_EDISKFULL, TN_ENOMEM   of the server (53100, 53200)
 *   TN_ESQL          other mistakes in the statement (42*)
 *   TN_EREFUSED      anything else that the server refuses, data errors (22*) among them
 */
#ifndef TARN_POSTGRES_POSTGRES_H
#define TARN_POSTGRES_POSTGRES_H

#include "base/base.h"
#include "postgres/decode.h"

/* ---- connections ---------------------------------------------------------- */

struct postgres;

/* All text is copied. */
struct postgres_options {
    const char *url;             /* "postgresql://user@host:5432/db?sslmode=require" or "host=... dbname=..." */
    const char *password;        /* NULL: the URL's, or libpq's own places */
    const char *password_file;   /* NULL: none */
    uint64_t connect_timeout_ms; /* 0: ten seconds */
    uint64_t statement_timeout_ms, lock_timeout_ms; /* 0: as the server has it */
    bool (*stopping)(void *context);                /* may be NULL; called on the thread that waits */
    void *context;
};

enum tn_code postgres_open(const struct postgres_options *options, struct postgres **ret,
                           struct tn_error *err) TN_CHECKED;
/* NULL is fine. A transaction that is open is rolled back. */
void postgres_close(struct postgres *pg);
TN_DEFINE_CLEANUP(struct postgres, postgres_close)

/* "host:port/database"; never NULL; nothing secret. */
const char *postgres_label(const struct postgres *pg);
const char *postgres_host(const struct postgres *pg);
const char *postgres_database(const struct postgres *pg);
const char *postgres_user(const struct postgres *pg);
int postgres_server_version(const struct postgres *pg); /* 160014 */
bool postgres_uses_tls(const struct postgres *pg);
/* Of the last statement that failed, else "". */
const char *postgres_sqlstate(const struct postgres *pg);
/* False once the connection is lost: close it and open another. */
bool postgres_alive(const struct postgres *pg);
/* Any thread: what the server does for this connection now ends with
 * TN_ECANCELLED. Nothing happens when it does nothing. */
void postgres_cancel(struct postgres *pg);

/* Without connecting. The label of a URL, and the URL without its password
 * (what may be stored and shown); both the caller's to free. A password that
 * the URL holds goes to *ret_password when that is not NULL (NULL if it holds
 * none); the caller's. TN_EREQUEST for a text that is no URL and no list of
 * keywords, or with a keyword that Tarn does not allow (service, and what names
 * programs); the error does not repeat the text. */
enum tn_code postgres_url_split(const char *url, char **ret_label, char **ret_clean_url, char **ret_password,
                                struct tn_error *err) TN_CHECKED;

/* The password that this process would connect with: the URL's, PGPASSWORD, the
 * line of PGPASSFILE (~/.pgpass) that fits, none; for whoever hands the work to
 * another process. *ret is NULL when there is none; the caller's, to wipe and free. */
enum tn_code postgres_password_local(const char *url, char **ret, struct tn_error *err) TN_CHECKED;
/* The first line of a file that nobody but its owner may read (TN_EREFUSED). */
enum tn_code postgres_password_read(const char *path, char **ret, struct tn_error *err) TN_CHECKED;

/* What the server said beside results ("hnsw graph no longer fits into
 * maintenance_work_mem ..."), oldest first: "NOTICE: ...". NULL when there is
 * no more; valid until the next call on the connection. At most 100 are kept. */
const char *postgres_next_notice(struct postgres *pg);

/* ---- statements ------------------------------------------------------------ */

/* One or several statements without parameters, results thrown away. */
enum tn_code postgres_run(struct postgres *pg, const char *sql, struct tn_error *err) TN_CHECKED;
enum tn_code postgres_runf(struct postgres *pg, struct tn_error *err, const char *format, ...) TN_CHECKED
    TN_PRINTF(3, 4);

struct postgres_param {
    uint32_t type;    /* OID; 0: as the server infers it */
    const void *data; /* NULL: SQL NULL. Text ends in NUL. Borrowed for the call */
    size_t length;    /* of binary data */
    bool binary;
};
static inline struct postgres_param postgres_text(const char *text)
{
    return (struct postgres_param){.data = text};
}
/* Binary, in network byte order, at `storage`. */
struct postgres_param postgres_i64(int64_t value, unsigned char storage[8]);

enum postgres_format { POSTGRES_TEXT, POSTGRES_BINARY };
struct postgres_result;

/* One statement ($1, $2, ...), its rows whole in memory: LIMIT them, or COPY.
 * `ret` may be NULL. */
enum tn_code postgres_query(struct postgres *pg, const char *sql, const struct postgres_param *params, size_t count,
                            enum postgres_format format, struct postgres_result **ret,
                            struct tn_error *err) TN_CHECKED;
void postgres_result_free(struct postgres_result *result);
TN_DEFINE_CLEANUP(struct postgres_result, postgres_result_free)
size_t postgres_rows(const struct postgres_result *result);
size_t postgres_columns(const struct postgres_result *result);
const char *postgres_column_name(const struct postgres_result *result, size_t column);
uint32_t postgres_column_type(const struct postgres_result *result, size_t column);
int postgres_column_typmod(const struct postgres_result *result, size_t column);
bool postgres_is_null(const struct postgres_result *result, size_t row, size_t column);
/* Ends in NUL in any case; "" for NULL; the result's. */
const char *postgres_value(const struct postgres_result *result, size_t row, size_t column);
size_t postgres_value_length(const struct postgres_result *result, size_t row, size_t column);
/* A whole number, text or binary of any width; 0 for NULL and for what is none. */
int64_t postgres_value_i64(const struct postgres_result *result, size_t row, size_t column);
/* true of text "t" and of binary 1. */
bool postgres_value_bool(const struct postgres_result *result, size_t row, size_t column);
/* Rows that INSERT, UPDATE, DELETE or COPY touched. */
uint64_t postgres_affected(const struct postgres_result *result);

/* A statement's columns without running it. */
enum tn_code postgres_describe(struct postgres *pg, const char *sql, struct postgres_result **ret,
                               struct tn_error *err) TN_CHECKED;
/* One row, one column, as text in the arena; NULL for SQL NULL. TN_ENOTFOUND when there is no row. */
enum tn_code postgres_get(struct postgres *pg, const char *sql, const struct postgres_param *params, size_t count,
                          struct tn_arena *arena, const char **ret, struct tn_error *err) TN_CHECKED;

/* Prepared under a name until the connection closes. types may be NULL. */
enum tn_code postgres_prepare(struct postgres *pg, const char *name, const char *sql, const uint32_t *types,
                              size_t count, struct tn_error *err) TN_CHECKED;
enum tn_code postgres_execute(struct postgres *pg, const char *name, const struct postgres_param *params,
                              size_t count, enum postgres_format format, struct postgres_result **ret,
                              struct tn_error *err) TN_CHECKED;

/* The OID of a type by name, looked up in the search path ("vector"), or 0. */
enum tn_code postgres_type_oid(struct postgres *pg, const char *name, uint32_t *ret, struct tn_error *err) TN_CHECKED;

/* ---- transactions ----------------------------------------------------------- */

enum postgres_isolation { POSTGRES_READ_COMMITTED, POSTGRES_REPEATABLE_READ, POSTGRES_SERIALIZABLE };
enum tn_code postgres_begin(struct postgres *pg, enum postgres_isolation isolation, struct tn_error *err) TN_CHECKED;
/* For a COMMIT that the server turned into a ROLLBACK (an earlier statement
 * failed): TN_ECONFLICT. */
enum tn_code postgres_commit(struct postgres *pg, struct tn_error *err) TN_CHECKED;
/* For paths on which there is an error already: fails silently, never asks `stopping`. */
void postgres_rollback(struct postgres *pg);
bool postgres_in_transaction(const struct postgres *pg);
enum tn_code postgres_savepoint(struct postgres *pg, const char *name, struct tn_error *err) TN_CHECKED;
enum tn_code postgres_release(struct postgres *pg, const char *name, struct tn_error *err) TN_CHECKED;
enum tn_code postgres_rollback_to(struct postgres *pg, const char *name, struct tn_error *err) TN_CHECKED;
/* From here on; 0: none. Inside a transaction only until its end (SET LOCAL). */
enum tn_code postgres_set_timeouts(struct postgres *pg, uint64_t statement_ms, uint64_t lock_ms,
                                   struct tn_error *err) TN_CHECKED;

/* ---- pipelines -------------------------------------------------------------- */

/* Statements sent without waiting for the ones before. Between two syncs (and
 * outside BEGIN) they are one transaction: the first that fails undoes them,
 * and those behind it up to the sync are not run. While a pipeline is open only
 * the functions of this section may be used.
 *
 *     pipeline_open; loop { send...; sync; while (pending > 8) take } ; while (pending) take; pipeline_close
 */
enum tn_code postgres_pipeline_open(struct postgres *pg, struct tn_error *err) TN_CHECKED;
/* Parameters are copied to the socket's buffer: free to reuse on return. */
enum tn_code postgres_pipeline_send(struct postgres *pg, const char *statement, const struct postgres_param *params,
                                    size_t count, struct tn_error *err) TN_CHECKED;
/* The same for a text that is not prepared: "BEGIN", "COMMIT". */
enum tn_code postgres_pipeline_send_sql(struct postgres *pg, const char *sql, const struct postgres_param *params,
                                        size_t count, struct tn_error *err) TN_CHECKED;
/* Ends the group; those sent are on their way when it returns. */
enum tn_code postgres_pipeline_sync(struct postgres *pg, struct tn_error *err) TN_CHECKED;
/* Statements sent whose outcome was not taken. */
size_t postgres_pipeline_pending(const struct postgres *pg);
/* Waits for the oldest one's outcome. Its error is the one that failed its
 * group; those behind it report TN_ECANCELLED "not run". `ret` (rows) and
 * `ret_affected` may be NULL. */
enum tn_code postgres_pipeline_take(struct postgres *pg, struct postgres_result **ret, uint64_t *ret_affected,
                                    struct tn_error *err) TN_CHECKED;
/* Takes and forgets what is pending. Also after errors. */
void postgres_pipeline_close(struct postgres *pg);

/* ---- COPY --------------------------------------------------------------------- */

/* sql: "COPY ... TO STDOUT (FORMAT binary)". */
enum tn_code postgres_copy_out(struct postgres *pg, const char *sql, struct tn_error *err) TN_CHECKED;
/* The next message (a row, as servers send them): valid until the next call.
 * NULL at the end, and the connection is free again; also after an error. */
enum tn_code postgres_copy_out_next(struct postgres *pg, const char **ret, size_t *ret_length,
                                    struct tn_error *err) TN_CHECKED;
/* Gives up a COPY TO STDOUT before its end. */
void postgres_copy_out_stop(struct postgres *pg);
/* sql: "COPY t (a, b) FROM STDIN (FORMAT binary)". postgres_copy_header and
 * _trailer make the frame of the binary form. */
enum tn_code postgres_copy_in(struct postgres *pg, const char *sql, struct tn_error *err) TN_CHECKED;
enum tn_code postgres_copy_in_put(struct postgres *pg, const void *bytes, size_t length,
                                  struct tn_error *err) TN_CHECKED;
enum tn_code postgres_copy_in_end(struct postgres *pg, uint64_t *ret_rows, struct tn_error *err) TN_CHECKED;
/* The same in two steps: between them the server works and the caller need not
 * wait. Nothing else may be asked of the connection meanwhile. */
enum tn_code postgres_copy_in_close(struct postgres *pg, struct tn_error *err) TN_CHECKED;
enum tn_code postgres_copy_in_take(struct postgres *pg, uint64_t *ret_rows, struct tn_error *err) TN_CHECKED;
void postgres_copy_header(struct tn_buf *out);
void postgres_copy_trailer(struct tn_buf *out);
/* The head of a row of so many fields; each follows as a value. */
void postgres_copy_row_begin(struct tn_buf *out, size_t fields);

/* ---- binary values: fields of COPY, elements of arrays ---------------------------- */

void postgres_put_null(struct tn_buf *out);
/* What is in its binary form already: an id as it was read. */
void postgres_put_bytes(struct tn_buf *out, const void *bytes, size_t length);
/* pgvector's: at most 16,000 dimensions. halfvec rounds to nearest even; what
 * is too great for it becomes infinite, which the server refuses. */
void postgres_put_vector(struct tn_buf *out, const float *values, size_t count);
void postgres_put_halfvec(struct tn_buf *out, const float *values, size_t count);

/* ---- quoting -------------------------------------------------------------------- */

/* "odd ""name"""; tn_buf_put_sql_name does the same into a buffer. The arena's. */
const char *postgres_quote_name(struct tn_arena *arena, const char *name);
/* schema.table, both quoted; schema may be NULL. */
const char *postgres_quote_table(struct tn_arena *arena, const char *schema, const char *table);
/* 'it''s', with E'' where there are backslashes. */
const char *postgres_quote_text(struct tn_arena *arena, const char *text);

/* ---- binary arrays ---------------------------------------------------------------- */

/* One-dimensional, for unnest($1::uuid[], $2::vector[]). `= {0}`; begin, add
 * ..., then postgres_array_param; used again by another begin.
 * Element OIDs: POSTGRES_INT8 ... of decode.h; vector's and halfvec's by
 * postgres_type_oid(). The array's own OID is not needed when the text casts. */
struct postgres_array {
    struct tn_buf bytes;
    uint32_t count;
    bool nulls;
};
void postgres_array_begin(struct postgres_array *array, uint32_t element_type);
void postgres_array_add_null(struct postgres_array *array);
void postgres_array_add_i64(struct postgres_array *array, int64_t value);
void postgres_array_add_i32(struct postgres_array *array, int32_t value);
void postgres_array_add_text(struct postgres_array *array, const char *text, size_t length);
void postgres_array_add_uuid(struct postgres_array *array, const unsigned char uuid[16]);
/* As postgres_put_vector and postgres_put_halfvec. */
void postgres_array_add_vector(struct postgres_array *array, const float *values, size_t count);
void postgres_array_add_halfvec(struct postgres_array *array, const float *values, size_t count);
/* An element in its binary form already (an id as it was read). */
void postgres_array_add_bytes(struct postgres_array *array, const void *bytes, size_t length);
struct postgres_param postgres_array_param(struct postgres_array *array);
void postgres_array_release(struct postgres_array *array);

#endif
