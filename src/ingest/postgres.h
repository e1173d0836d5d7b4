/* postgres.h: tables of PostgreSQL, and the rows of SELECTs there, into datasets.
 *
 * One call reads one table, several, a schema, or one query, all in one
 * repeatable-read, read-only transaction: what comes in is one moment of the
 * database, whatever others write meanwhile. Rows are streamed as binary COPY
 * from the socket into Parquet files; memory does not grow with the table. Every
 * table is staged before the first is committed: a server that dies half-way
 * leaves nothing, and each dataset's rows appear at once.
 *
 * Types are exact (docs/guide/postgres.md has the table). What a lake cannot
 * hold as such comes as the server's text, with a warning; numeric without a
 * scale is measured in the same snapshot and becomes DECIMAL(38,S).
 *
 * Incremental: rows whose column is above the watermark that the run before
 * left in the dataset (a property, committed with the rows); with a key from
 * the watermark on, so that rows with the same value are not missed.
 *
 * Compare: after the rows are in, the keys of all rows there are read in the
 * same snapshot, and rows of the dataset whose key is not among them are deleted.
 *
 * Threads: one call, one thread; `progress` and `log` are called on it or on a
 * thread of the engine, never two at once, `stopping` on any. Errors: those of
 * postgres/postgres.h, TN_EREQUEST, TN_ENOTFOUND (a table, with similar names), TN_ESCHEMA.
 */
#ifndef TARN_INGEST_POSTGRES_H
#define TARN_INGEST_POSTGRES_H

#include "dataset/dataset.h"

enum ingest_postgres_mode {
    INGEST_POSTGRES_DEFAULT,
    INGEST_POSTGRES_APPEND,
    INGEST_POSTGRES_REPLACE,
    INGEST_POSTGRES_UPSERT
};

/* Texts are borrowed for the call. NULL where not given. */
struct ingest_postgres_options {
    const char *url, *password, *password_file;
    const char *const *tables; /* "orders", "sales.orders" */
    size_t table_count;
    const char *schema;  /* of the tables; without tables: all of it */
    const char *query;   /* instead of tables: one SELECT */
    const char *dataset; /* of one table or the query; else the table's name */
    const char *key;     /* "id", "a,b"; NULL: the primary key */
    const char *incremental;
    const char *numeric;            /* numeric without a scale: auto (NULL), text, double, "P,S" */
    enum ingest_postgres_mode mode; /* default: upsert with incremental and a key, append without one, else replace */
    bool compare;
    const char *actor, *reason, *request_id;
    bool (*stopping)(void *context);                                   /* may be NULL, as the next two */
    void (*progress)(void *context, uint64_t rows, uint64_t expected); /* expected 0: not known */
    void (*log)(void *context, const char *text);
    void *context;
};

/* Answers {"source","server_version","snapshot","tables":[{"table","dataset",
 * "status","rows","inserted","updated","unchanged","deleted","snapshot_id",
 * "mode","key","watermark","schema","warnings"}]}. */
enum tn_code ingest_postgres(struct lake *lake, const struct ingest_postgres_options *options, struct tn_json *out,
                             struct tn_error *err) TN_CHECKED;
/* What can be judged without a server: options that go together, the URL.
 * ret_label and ret_clean_url as postgres_url_split; ret_password may be NULL. */
enum tn_code ingest_postgres_check(const struct ingest_postgres_options *options, char **ret_label,
                                   char **ret_clean_url, char **ret_password, struct tn_error *err) TN_CHECKED;

#endif
