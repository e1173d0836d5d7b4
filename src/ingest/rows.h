/* rows.h: a request's rows on their way into a dataset: JSON in, one write out.
 *
 *     ingest_rows_new -> ingest_rows_feed ... -> ingest_rows_commit
 *
 * The body is a JSON array of objects, one object, or objects one a line
 * (NDJSON), at most INGEST_ROWS_MAX_BYTES and DATASET_ROWS_MAX rows: it is kept
 * whole, because one bad row refuses all. More is a file for ingest with
 * mode=upsert, and the refusal says so. docs: rows_value.h tells how each type
 * is written, rows_json.h how members find their columns.
 *
 * A key in a path ("/rows/{key}", decoded) is the value's text as the journal's
 * entity shows it: a string as it is, a date as 2024-01-31. A key of several
 * columns is a JSON array, ["EU", 17], or, when no part holds a comma, the
 * parts with commas between them: EU,17.
 *
 * The first upsert may bring the key: it makes the columns the dataset's key
 * when that has none yet, and a dataset that does not exist is made of the rows
 * as ingest would (their types from all of them).
 *
 * Threads: one request, one thread at a time. Errors: TN_EDATASET, TN_EJSON,
 * TN_EFIELD, TN_EREJECTS (row, column, value and why), TN_ETOOLARGE, and those
 * of dataset_rows_write.
 */
#ifndef TARN_INGEST_ROWS_H
#define TARN_INGEST_ROWS_H

#include "dataset/dataset.h"

#define INGEST_ROWS_MAX_BYTES ((size_t)64 << 20)

/* All text is copied. NULL where not given. */
struct ingest_rows_options {
    const char *dataset;
    enum dataset_rows_op op; /* any but DATASET_ROWS_WHERE, which needs no body */
    const char *key;         /* UPSERT: the columns of the key, "id" or "a,b" */
    const char *key_value;   /* PATCH, DELETE: which row; its body must not say otherwise */
    int64_t if_snapshot;     /* 0: whatever is newest */
    bool must_exist;         /* an upsert does not make the dataset */
    bool ignore_missing;     /* DELETE */
    const char *actor, *source, *reason, *workspace, *request_id;
};

struct ingest_rows;
enum tn_code ingest_rows_new(struct lake *lake, const struct ingest_rows_options *options, struct ingest_rows **ret,
                             struct tn_error *err) TN_CHECKED;
void ingest_rows_free(struct ingest_rows *rows);
TN_DEFINE_CLEANUP(struct ingest_rows, ingest_rows_free)
/* The next bytes of the body. An error is final. */
enum tn_code ingest_rows_feed(struct ingest_rows *rows, const void *bytes, size_t count,
                              struct tn_error *err) TN_CHECKED;
/* After the last byte, once: reads the rows and writes them; blocks until they
 * are durable. */
enum tn_code ingest_rows_commit(struct ingest_rows *rows, struct dataset_commit *ret,
                                struct tn_error *err) TN_CHECKED;

/* The cells of a key's text, in the key's order; the arena's. For looking up
 * a row by its path. TN_EREQUEST when it does not fit the key's columns. */
enum tn_code ingest_rows_key(struct tn_arena *arena, const struct iceberg_schema *schema, const char *text,
                             struct engine_cell **ret, struct tn_error *err) TN_CHECKED;

#endif
