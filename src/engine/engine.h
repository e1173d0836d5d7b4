/* engine: SQL over relations that the caller defines. The only folder that
 * knows DuckDB.
 *
 * One struct engine is one in-memory database, locked down at open: no
 * extension is ever loaded, no configuration changes, no file outside
 * `readable_folders` can be opened. It knows nothing of datasets: a query
 * names tables, and the caller's resolver says for each name which trusted
 * SELECT stands for it and which version that is.
 *
 * Two doors:
 *   - engine_query_*  runs text that somebody else wrote. It is parsed, judged
 *     by the guard (one SELECT, only tables the resolver knows, only functions
 *     and node types allowed by name), bound to one version of every table for
 *     its whole life, and streamed.
 *   - engine_run, engine_copy_*  run text that Tarn wrote. Never pass them
 *     anything a user typed, except through parameters or tn_buf_put_sql_*.
 *
 * Threads: any thread may call any function with the same engine. A
 * struct engine_query belongs to one thread at a time, except
 * engine_query_cancel, which any thread may call at any moment. Several
 * queries run side by side; each holds one pooled connection.
 *
 * Errors: TN_ESQL (with line, column and a suggestion for a misspelt name),
 * TN_ESQLREFUSED (the guard; names what was refused), TN_EDATASET (from the
 * resolver), TN_EBUSY (all slots taken), TN_ETIMEOUT, TN_ECANCELLED,
 * TN_ENOMEM (the engine's memory limit, with the setting to raise),
 * TN_EDISKFULL (more was spilled than may be), TN_EUNSUPPORTED (a type that no
 * writer knows). Rows are computed while they are fetched: what goes wrong
 * then comes from the writer's first fill, not from the start.
 */
#ifndef TARN_ENGINE_ENGINE_H
#define TARN_ENGINE_ENGINE_H

#include "base/base.h"

#include <stdatomic.h>
#include <string.h>

struct engine;
struct engine_query;
struct engine_writer;

struct engine_options {
    uint64_t memory_bytes;               /* hard limit of the engine; 0: half of the machine */
    const char *temp_folder;             /* where big sorts and joins spill; "" forbids spilling */
    uint64_t temp_bytes;                 /* how much may be spilled; 0: 10 x memory */
    size_t threads;                      /* 0: one per CPU */
    size_t max_queries;                  /* at once, then TN_EBUSY; 0: 4 x threads, at least 16 */
    const char *const *readable_folders; /* absolute */
    size_t readable_count;
};

enum tn_code engine_open(const struct engine_options *options, struct engine **ret, struct tn_error *err) TN_CHECKED;
/* All queries must have been freed. */
void engine_close(struct engine *engine);
TN_DEFINE_CLEANUP(struct engine, engine_close)
/* Bounds the memory of the whole process (RLIMIT_DATA) at what it has, twice
 * the engine's limit and a gigabyte. DuckDB does not count the value that one
 * call of a function makes: with this bound such a query fails (TN_ENOMEM)
 * where the kernel would have ended the process. Call it once, after
 * engine_open, from main. */
void engine_bound_process(const struct engine *engine);
/* "2.0.0" */
const char *engine_version(void);

/* ---- types ------------------------------------------------------------- */

/* The kinds that cross this border as vectors. What DuckDB has beyond them
 * (STRUCT, MAP, LIST...) stays inside and is rendered by the writers. */
enum engine_kind {
    ENGINE_BOOLEAN,     /* uint8_t 0 or 1 */
    ENGINE_INTEGER,     /* int32_t */
    ENGINE_BIGINT,      /* int64_t */
    ENGINE_DOUBLE,      /* double */
    ENGINE_DECIMAL,     /* int16_t, int32_t, int64_t or __int128 for width <= 4, 9, 18, 38 */
    ENGINE_DATE,        /* int32_t days since 1970 */
    ENGINE_TIME,        /* int64_t microseconds */
    ENGINE_TIMESTAMP,   /* int64_t microseconds since 1970, no zone */
    ENGINE_TIMESTAMPTZ, /* int64_t microseconds since 1970 UTC */
    ENGINE_VARCHAR,     /* engine_vector_put_string */
    ENGINE_BLOB,        /* engine_vector_put_string */
    ENGINE_UUID,        /* engine_vector_put_uuid */
    ENGINE_OTHER,       /* results only */
};

struct engine_type {
    enum engine_kind kind;
    uint8_t width, scale; /* ENGINE_DECIMAL */
};

struct engine_column {
    const char *name;
    struct engine_type type;
    const char *type_text; /* as DuckDB names it: "DECIMAL(12,2)", "VARCHAR[]" */
};

/* ---- queries written by others ----------------------------------------- */

/* A condition that every row the text wants of a table must meet, read off its
 * WHERE: a hint for leaving out files; the text still filters by itself. */
enum engine_compare { ENGINE_EQUAL, ENGINE_LESS, ENGINE_LESS_EQUAL, ENGINE_GREATER, ENGINE_GREATER_EQUAL, ENGINE_IN };
enum engine_literal {
    ENGINE_LITERAL_INTEGER,   /* 5 */
    ENGINE_LITERAL_NUMBER,    /* 2.5, 1e3 */
    ENGINE_LITERAL_TEXT,      /* 'x': means what the column's type makes of it */
    ENGINE_LITERAL_DATE,      /* DATE '2024-01-31' */
    ENGINE_LITERAL_TIMESTAMP, /* TIMESTAMP '2024-01-31 12:00:00' */
    ENGINE_LITERAL_NUMBERS,   /* [0.1, -2]: a call's argument only */
};
struct engine_value {
    enum engine_literal kind;
    const char *text;      /* of a list: NULL */
    const char *name;      /* of a call's argument: k in `k := 10`; NULL: it has none */
    const double *numbers; /* of a list, finite */
    size_t number_count;
};
struct engine_predicate {
    const char *column;
    enum engine_compare compare;
    const struct engine_value *values; /* one; any number for ENGINE_IN */
    size_t value_count;
};

/* A table as the text names it. */
struct engine_table_ref {
    const char *name;
    enum { ENGINE_AT_NOW, ENGINE_AT_VERSION, ENGINE_AT_TIMESTAMP, ENGINE_AT_NAME } at;
    int64_t at_version;                        /* snapshot id */
    int64_t at_timestamp_us;                   /* UTC */
    const char *at_name;                       /* what the table itself calls a state: a tag, a branch */
    int line, column;                          /* 1-based, in the user's text */
    const struct engine_predicate *predicates; /* all of them hold */
    size_t predicate_count;
    /* Of a call, changes('people', 12, 17): `name` is the function's, these are
     * its constants, those with names behind those without. NULL for a table. */
    const struct engine_value *arguments;
    size_t argument_count;
};

/* Reads a moment: digits are a snapshot id, else a time (RFC 3339, or a date), else
 * a name, which is borrowed. Sets at and what belongs to it; TN_EREQUEST for what cannot
 * be any of them. */
enum tn_code engine_at_read(const char *text, struct engine_table_ref *ret, struct tn_error *err) TN_CHECKED;

/* Counts who needs something that a definition names: bitmaps, tables. Lies at
 * the beginning of what it counts. */
struct engine_hold {
    atomic_size_t references;
    void (*free)(struct engine_hold *hold); /* of the last one */
};
static inline struct engine_hold *engine_hold_ref(struct engine_hold *hold)
{
    if (hold)
        atomic_fetch_add(&hold->references, 1);
    return hold;
}
static inline void engine_hold_unref(struct engine_hold *hold)
{
    if (hold && atomic_fetch_sub(&hold->references, 1) == 1)
        hold->free(hold);
}
TN_DEFINE_CLEANUP(struct engine_hold, engine_hold_unref)

/* What stands behind it. `definition` is a trusted SELECT; two relations with
 * the same name and version have the same definition, so it is compiled once
 * per connection and version. */
struct engine_relation {
    const char *version;
    const char *definition;
    const char *identity;     /* names these rows for ever: the same again, the same rows, wherever they are read from
                               * and after a restart; NULL: nothing does */
    const char *variant;      /* tells apart definitions of one version that hold the rows for different
                               * predicates or from elsewhere; NULL: the definition has all rows */
    struct engine_hold *hold; /* may be NULL; the engine's from then on, until the query is freed */
    bool cached;              /* out of memory, not out of files; for engine_query_tables */
};

struct engine_resolver {
    void *context;
    /* TN_EDATASET for an unknown name: the engine adds position and
     * suggestion. The name is as the text has it: compare without case. Asked
     * once per query for each name and moment. The relation's texts live in `arena`. */
    enum tn_code (*resolve)(void *context, const struct engine_table_ref *ref, struct tn_arena *arena,
                            struct engine_relation *ret, struct tn_error *err);
    /* Names for suggestions and completion, the arena's; may be NULL. */
    size_t (*names)(void *context, struct tn_arena *arena, const char *const **ret);
};

struct engine_query_options {
    const char *sql;
    size_t sql_length;
    const json_t *params;      /* JSON array bound to $1, $2, ... or ?; or object to $name; may be NULL */
    uint64_t timeout_ms;       /* 0: none */
    uint64_t row_limit;        /* rows after which the result ends, marked truncated; 0: none */
    const char *default_at;    /* "as_of" of the request for tables without AT: NULL, or as engine_at_read wants it */
    const atomic_bool *cancel; /* set by anybody to interrupt the start too; may be NULL; outlives the query */
    struct engine_resolver resolver;
};

/* Guards, resolves, binds and starts. On success the first rows may be being
 * computed already. Options are borrowed for the call only. */
enum tn_code engine_query_start(struct engine *engine, const struct engine_query_options *options,
                                struct engine_query **ret, struct tn_error *err) TN_CHECKED;
/* The same in two steps, for who may know the answer already: guarded and
 * resolved, then compiled and run with the same parameters. Of a query that does
 * not run, only its tables and its identity may be asked. */
enum tn_code engine_query_open(struct engine *engine, const struct engine_query_options *options,
                               struct engine_query **ret, struct tn_error *err) TN_CHECKED;
enum tn_code engine_query_run(struct engine_query *query, const json_t *params, struct tn_error *err) TN_CHECKED;
/* Of what it reads. Two queries of the same text, parameters and identity may
 * have the same answer. NULL: they may not, since the text asks for the time or
 * for chance, or reads what has no versions. The query's. */
const char *engine_query_identity(const struct engine_query *query);
/* Ends it wherever it is; returns its connection to the pool. */
void engine_query_free(struct engine_query *query);
TN_DEFINE_CLEANUP(struct engine_query, engine_query_free)
/* Any thread, any time between start and free. */
void engine_query_cancel(struct engine_query *query);

const struct engine_column *engine_query_columns(const struct engine_query *query, size_t *ret_count);
/* [{"name", "type"}, ...], as every answer with rows shows them. */
void engine_query_columns_json(const struct engine_query *query, struct tn_json *out);
/* The tables it reads, with the version each is bound to. */
struct engine_used_table {
    const char *name;
    const char *version;
    bool cached; /* as its relation said */
};
const struct engine_used_table *engine_query_tables(const struct engine_query *query, size_t *ret_count);
/* Rows handed out so far; whether row_limit cut the result. */
uint64_t engine_query_rows(const struct engine_query *query);
bool engine_query_truncated(const struct engine_query *query);

enum engine_format { ENGINE_JSON_ROWS, ENGINE_NDJSON, ENGINE_CSV, ENGINE_ARROW };

/* Renders a query's rows. ENGINE_JSON_ROWS writes [..],[..] without the outer
 * brackets; NDJSON one object a line; CSV begins with the header line; Arrow is
 * a whole IPC stream (schema, batches, end). Borrows the query. */
struct engine_writer *engine_writer_new(struct engine_query *query, enum engine_format format)
    __attribute__((returns_nonnull));
void engine_writer_free(struct engine_writer *writer);
TN_DEFINE_CLEANUP(struct engine_writer, engine_writer_free)
/* Appends until `out` has grown by about target_bytes or the rows have ended.
 * Computes on the calling thread; never waits for a reader of `out`. */
enum tn_code engine_writer_fill(struct engine_writer *writer, size_t target_bytes, struct tn_buf *out, bool *ret_done,
                                struct tn_error *err) TN_CHECKED;

/* The guarded text's whole result as a Parquet file at local_path. */
enum tn_code engine_query_to_parquet(struct engine *engine, const struct engine_query_options *options,
                                     const char *local_path, uint64_t *ret_rows, struct tn_error *err) TN_CHECKED;
/* The guarded text's plan, as DuckDB draws it. */
enum tn_code engine_explain(struct engine *engine, const struct engine_query_options *options, struct tn_buf *ret,
                            struct tn_error *err) TN_CHECKED;

/* ---- statements written by Tarn ---------------------------------------- */

/* One row of a trusted SELECT as text (NULL for SQL NULL), written as CSV
 * would be: times in RFC 3339, nested values as JSON. Return false to stop.
 * The text may hold several statements; each SELECT gives its rows. */
typedef bool engine_row_fn(void *context, size_t column_count, const char *const *values);
enum tn_code engine_run(struct engine *engine, const char *sql, engine_row_fn *row, void *context,
                        struct tn_error *err) TN_CHECKED;
/* The columns that a trusted SELECT would have; nothing is executed. */
enum tn_code engine_describe(struct engine *engine, const char *sql, struct tn_arena *arena,
                             struct engine_column **ret, size_t *ret_count, struct tn_error *err) TN_CHECKED;

/* One value of a row, by the kind of its column. */
__extension__ typedef __int128 engine_wide;
struct engine_cell {
    bool null;
    union {
        int64_t
            integer; /* BOOLEAN 0 or 1, INTEGER, BIGINT, DATE (days), TIME, TIMESTAMP, TIMESTAMPTZ (microseconds) */
        double real; /* DOUBLE; FLOAT, whose column says DOUBLE and type_text "FLOAT" */
        engine_wide decimal; /* unscaled */
        unsigned char uuid[16];
        struct {
            const char *data; /* VARCHAR, BLOB; of ENGINE_OTHER: the value as JSON */
            size_t length;
        } text;
    };
};
/* The cell as JSON, as the writers of queries would have it. */
void engine_cell_json(const struct engine_column *column, const struct engine_cell *cell, struct tn_buf *out);
/* Equal as values: DOUBLEs bit for bit except that all NaN are one. */
bool engine_cell_equal(const struct engine_type *type, const struct engine_cell *a, const struct engine_cell *b);

/* The rows of a trusted SELECT, typed, in order, streamed. With a source, the
 * text reads FROM tarn_source(). The cells live until the function returns;
 * an error of its own ends the SELECT and comes back as it is. The statement
 * is prepared once per connection when `keep` is set: for texts that come again
 * and again, each time with the same types of parameters and columns of the
 * source, and with short results, for they are then computed whole. May be any
 * statement; without `each` it runs for its effect. */
struct engine_select {
    const char *sql;
    const struct engine_cell *params; /* $1, $2, ... */
    const struct engine_type *param_types;
    size_t param_count;
    const struct engine_source *source; /* may be NULL */
    uint64_t source_rows;               /* about how many it has, so that joins build on it; 0: not known */
    bool keep;
};
typedef enum tn_code engine_cells_fn(void *context, const struct engine_cell *cells, struct tn_error *err);
/* `ret_columns`, in the arena, may be NULL, and then the arena too; it is set before the first row. */
enum tn_code engine_select(struct engine *engine, const struct engine_select *select, struct tn_arena *arena,
                           const struct engine_column **ret_columns, size_t *ret_count, engine_cells_fn *each,
                           void *context, struct tn_error *err) TN_CHECKED;

/* Rows that are gone, for tarn_live(set, row) and tarn_live(first, file, row) in
 * Tarn's own texts: BOOLEAN, whether the row of a table, or row `row` of file
 * number `file` of a list, is still there. Immutable once it is added. */
struct engine_bitmap {
    atomic_size_t references;
    uint64_t limit; /* rows from here on are not live; UINT64_MAX: none */
    size_t word_count;
    uint64_t words[]; /* bit set: gone; rows beyond the words are live */
};
struct engine_bitmap *engine_bitmap_new(size_t bits, uint64_t limit) __attribute__((returns_nonnull));
struct engine_bitmap *engine_bitmap_ref(struct engine_bitmap *bitmap);
void engine_bitmap_unref(struct engine_bitmap *bitmap);
static inline void engine_bitmap_set(struct engine_bitmap *bitmap, uint64_t row)
{
    bitmap->words[row / 64] |= UINT64_C(1) << (row % 64);
}
/* Numbers the bitmaps: the first one's number is returned, the others follow. No
 * number is ever used twice; a text with one that was removed fails when it
 * runs. Whoever gives the text away holds (engine_hold) what it names. */
uint64_t engine_live_add(struct engine *engine, struct engine_bitmap *const *bitmaps, size_t count);
void engine_live_remove(struct engine *engine, uint64_t first, size_t count);

/* Numbers that C code gives to rows, for tarn_number(id, a, b, ...) BIGINT in
 * Tarn's own texts. The code is called on several threads at once; the cells
 * live during the call, NULLs come too. Whoever adds it removes it when no
 * statement that names it runs any more. An error ends the statement, whose own
 * error has its text and not its code. */
typedef enum tn_code engine_number_fn(void *context, const struct engine_cell *cells, size_t count, int64_t *ret,
                                      struct tn_error *err);
uint64_t engine_number_add(struct engine *engine, engine_number_fn *number, void *context);
void engine_number_remove(struct engine *engine, uint64_t id);

/* Rows that Tarn reads itself (CSV, JSON), offered to the engine as a table
 * function. Called on one thread at a time, in order; a source serves one
 * statement once. */
struct engine_vector {
    void *data;         /* layout by kind, see enum engine_kind */
    uint64_t *validity; /* bit i clear: row i is NULL; all set at the start */
    void *handle;       /* engine's own */
};
struct engine_batch {
    size_t capacity; /* rows that fit (2048) */
    size_t rows;     /* to be set by fill; 0 ends the source */
    struct engine_vector *columns;
    size_t column_count;
};
struct engine_source {
    const struct engine_column *columns; /* type_text is not needed */
    size_t column_count;
    void *context;
    enum tn_code (*fill)(void *context, struct engine_batch *batch, struct tn_error *err);
};
static inline void engine_vector_put_null(struct engine_vector *vector, size_t row)
{
    vector->validity[row / 64] &= ~(UINT64_C(1) << (row % 64));
}
/* Copies; the text must be valid UTF-8 for ENGINE_VARCHAR. */
void engine_vector_put_string(struct engine_vector *vector, size_t row, const char *text, size_t length);
/* A text that ends in NUL; of NULL a null. */
static inline void engine_vector_put_text(struct engine_vector *vector, size_t row, const char *text)
{
    if (text)
        engine_vector_put_string(vector, row, text, strlen(text));
    else
        engine_vector_put_null(vector, row);
}
void engine_vector_put_uuid(struct engine_vector *vector, size_t row, const unsigned char bytes[16]);

/* Writes a Parquet file for an Iceberg table and says what is in it. */
struct engine_copy {
    const char *select;                 /* trusted; with a source it reads FROM tarn_source() */
    const struct engine_source *source; /* may be NULL */
    const char *field_ids;              /* the text behind FIELD_IDS: {'id':1,...}; NULL for none */
    uint64_t row_group_rows;            /* 0: the engine's default */
    bool compact;                       /* zstd: half the size of snappy for half as much time again */
    const char *local_path;
    bool (*cancelled)(void *context); /* polled, on another thread; may be NULL */
    void *cancel_context;
};
struct engine_column_stats {
    const char *path;      /* as RETURN_STATS names it: "a" or "l"."element" */
    const char *min, *max; /* text; NULL when unknown */
    bool min_exact, max_exact;
    int64_t null_count, value_count, size_bytes; /* -1 when unknown */
    int64_t nan_count;                           /* -1 when unknown or not a float */
};
struct engine_file_stats {
    uint64_t rows, size_bytes;
    struct engine_column_stats *columns;
    size_t column_count;
    int64_t *split_offsets;
    size_t split_count;
};
/* `ret` lives in the arena. A source's own error comes back as it is. Nothing
 * is left at local_path on failure. */
enum tn_code engine_copy_parquet(struct engine *engine, const struct engine_copy *copy, struct tn_arena *arena,
                                 struct engine_file_stats *ret, struct tn_error *err) TN_CHECKED;

/* ---- the guard alone, for tests, completion and later doors -------------- */

struct engine_statement {
    struct engine_table_ref *tables;
    size_t table_count;
};
/* Parses and judges; resolves nothing. Names are the arena's; predicates and
 * arguments are the guard's own, for as long as it remembers the statement. */
enum tn_code engine_guard(struct engine *engine, const char *sql, size_t length, struct tn_arena *arena,
                          struct engine_statement *ret, struct tn_error *err) TN_CHECKED;
/* A predicate over one table's columns ("status = 'active' AND rate < 90"),
 * judged as a WHERE clause would be; *ret is text that is safe to splice
 * between parentheses. *ret_varies (or NULL): the same rows may meet it now and
 * not later, for it asks for the time or for chance. */
enum tn_code engine_guard_predicate(struct engine *engine, const char *predicate, size_t length,
                                    struct tn_arena *arena, const char **ret, bool *ret_varies,
                                    struct tn_error *err) TN_CHECKED;

/* Figures for /metrics and /system. */
struct engine_usage {
    uint64_t memory_bytes, memory_limit_bytes, temp_bytes;
    uint64_t statement_bytes; /* of statements that the guard has judged */
    size_t running, connections;
};
void engine_usage(struct engine *engine, struct engine_usage *ret);

#endif
