/* postgres_load.h: what the parts of ingest from PostgreSQL share.
 *
 *   postgres.c            the call: connect, stage every table, commit, answer
 *   postgres_tables.c     which tables, their keys, similar names
 *   postgres_columns.c    the columns of a SELECT and what they become
 *   postgres_stage.c      COPY into data files
 *   postgres_value.c      one value into a vector
 *   postgres_text.c       values that come as text: arrays, intervals, timetz
 *   postgres_watermark.c  how far an incremental run came
 *   postgres_compare.c    rows that are gone there
 */
#ifndef TARN_INGEST_POSTGRES_LOAD_H
#define TARN_INGEST_POSTGRES_LOAD_H

#include "ingest/postgres.h"
#include "postgres/postgres.h"

/* How a value's bytes are read. */
enum pg_form {
    PG_BOOL,
    PG_INT2,
    PG_INT4,
    PG_INT8,
    PG_OID,
    PG_FLOAT4,
    PG_FLOAT8,
    PG_NUMERIC, /* into DECIMAL */
    PG_NUMERIC_TEXT,
    PG_NUMERIC_DOUBLE,
    PG_TEXT,
    PG_JSONB,
    PG_BYTEA,
    PG_DATE,
    PG_TIME,
    PG_TIMETZ,
    PG_TIMESTAMP,
    PG_TIMESTAMPTZ,
    PG_INTERVAL,
    PG_UUID,
    PG_ARRAY,
    PG_VECTOR,
    PG_HALFVEC,
};

struct pg_column {
    const char *name;     /* in the dataset */
    const char *original; /* on the server */
    const char *sql_type; /* of the dataset's column */
    struct engine_type type;
    enum pg_form form;
    enum pg_form element; /* PG_ARRAY */
    uint32_t oid;         /* on the server, domains resolved */
    int typmod;
    unsigned dimensions; /* PG_ARRAY: levels of the list */
    bool cast;           /* the SELECT casts it to text */
    bool cast_inet;      /* whose cast adds a netmask that its output does not have */
    bool measured;       /* its type depends on the data: numeric without scale, arrays */
};

/* One table or the query, on its way. */
struct pg_table {
    const char *schema, *table; /* NULL, NULL: the query */
    const char *shown;          /* "public.orders", "query" */
    const char *from;           /* what stands behind FROM, quoted, without alias */
    uint64_t estimate;          /* rows, 0: not known */
    const char *key;            /* of the dataset, "id,b"; NULL: none */
    const char *dataset;
    char name[CATALOG_NAME_MAX + 1];
    struct pg_column *columns;
    size_t column_count;
    const char *where; /* of an incremental run; NULL: all rows */
    const char *watermark, *watermark_before;
    size_t watermark_column;
    enum dataset_mode mode;
    struct tn_buf warnings; /* JSON strings, separated by commas */
    struct dataset_write *write;
    struct dataset_commit commit;
    uint64_t rows, bytes, deleted;
    bool skipped; /* nothing new there: nothing is committed */
    char content_hash[TN_HASH_HEX];
};

struct pg_load {
    struct lake *lake;
    const struct ingest_postgres_options *options;
    struct tn_arena *arena;
    struct postgres *pg;
    struct pg_table *tables;
    size_t table_count;
    uint64_t rows_done, rows_expected;
    char ingest_id[TN_UUID_TEXT];
    char options_hash[TN_HASH_HEX];
    const char *snapshot;
    int64_t started_us;
};

void pg_warn(struct pg_table *table, const char *format, ...) TN_PRINTF(2, 3);
void pg_log(const struct pg_load *load, const char *format, ...) TN_PRINTF(2, 3);
void pg_progress(struct pg_load *load, uint64_t more);

/* postgres_tables.c: fills load->tables but for columns. */
enum tn_code pg_find_tables(struct pg_load *load, struct tn_error *err) TN_CHECKED;
/* The primary key's columns by their names on the server; *ret_count 0: none. */
enum tn_code pg_primary_key(struct pg_load *load, const struct pg_table *table, const char *const **ret,
                            size_t *ret_count, struct tn_error *err) TN_CHECKED;

/* postgres_columns.c */
enum tn_code pg_find_columns(struct pg_load *load, struct pg_table *table, struct tn_error *err) TN_CHECKED;
/* Settles the types that depend on the data, for the rows of table->where. */
enum tn_code pg_measure(struct pg_load *load, struct pg_table *table, struct tn_error *err) TN_CHECKED;
/* By the dataset's or the server's name; column_count when there is none. */
size_t pg_column_find(const struct pg_table *table, const char *name);
/* " FROM t AS tarn_q(c1, c2, ...) WHERE ..." */
void pg_put_from(const struct pg_table *table, struct tn_buf *out);

/* postgres_stage.c: the table's rows into table->write. */
enum tn_code pg_stage(struct pg_load *load, struct pg_table *table, struct tn_error *err) TN_CHECKED;
/* COPY of some columns, offered as a source. */
struct pg_stream {
    struct pg_load *load;
    const struct pg_table *table;
    const struct pg_column *const *columns;
    size_t column_count;
    struct engine_column *engine_columns;
    struct postgres_field *fields;
    struct postgres_copy_reader reader;
    struct tn_hash hash;
    struct tn_buf scratch;
    uint64_t rows, bytes, file_bytes;
    bool ended;
    /* A key of one whole number: while it rises, none is there twice. */
    size_t rising_column; /* column_count: not told any more */
    int64_t last_key;
    bool quiet;     /* no progress */
    bool unbounded; /* one source for all rows, whatever a file may hold */
};
/* Starts the COPY. Release in any case. */
enum tn_code pg_stream_open(struct pg_stream *stream, struct pg_load *load, const struct pg_table *table,
                            const struct pg_column *const *columns, size_t count, struct tn_error *err) TN_CHECKED;
struct engine_source pg_stream_source(struct pg_stream *stream);
void pg_stream_release(struct pg_stream *stream);

/* postgres_value.c: false when the bytes are no such value, or one that the
 * column cannot hold: *ret_why says it. `scratch` is used and left dirty. */
bool pg_put_value(const struct pg_column *column, const struct postgres_field *field, struct engine_vector *vector,
                  size_t row, struct tn_buf *scratch, const char **ret_why);

/* postgres_text.c: as the server writes it; appended. False: not such a value. */
bool pg_interval_text(const unsigned char *data, size_t length, struct tn_buf *out);
bool pg_timetz_text(const unsigned char *data, size_t length, struct tn_buf *out);
bool pg_date_text(const unsigned char *data, size_t length, struct tn_buf *out);
bool pg_timestamp_text(const unsigned char *data, size_t length, bool zoned, struct tn_buf *out);
bool pg_time_text(const unsigned char *data, size_t length, struct tn_buf *out);
/* As JSON, nested as deep as it has dimensions; for a column of lists exactly
 * as deep as `column->dimensions`, else any. */
bool pg_array_json(const struct pg_column *column, const unsigned char *data, size_t length, struct tn_buf *out,
                   const char **ret_why);

/* postgres_watermark.c: sets table->where, ->watermark and ->skipped. */
enum tn_code pg_plan_increment(struct pg_load *load, struct pg_table *table, struct tn_error *err) TN_CHECKED;
#define PG_WATERMARK "tarn.postgres.watermark"
/* The property's text, or NULL when this run leaves none; the arena's. */
const char *pg_watermark_text(const struct pg_load *load, const struct pg_table *table);

/* postgres_compare.c: deletes what is gone there; after the commit. */
enum tn_code pg_compare(struct pg_load *load, struct pg_table *table, struct tn_error *err) TN_CHECKED;

#endif
