/* Inside ingest: one file on its way, and what the parts of that way share. */
#ifndef TARN_INGEST_INTERNAL_H
#define TARN_INGEST_INTERNAL_H

#include "ingest/encoding.h"
#include "ingest/inflate.h"
#include "ingest/ingest.h"
#include "ingest/overrides.h"
#include "ingest/spool.h"
#include "ingest/survey.h"

#include <stdatomic.h>

#define INGEST_REJECT_VALUE_BYTES 200

/* A column of the dataset that the file brings. */
struct load_column {
    size_t cell;      /* its number in a record */
    const char *name; /* the dataset's */
    const char *original;
    struct typed_target target;
    bool overridden;
};

/* What the whole file says: decided once, by plan.c, after the last byte. */
struct load_plan {
    struct load_column *columns;
    size_t count;
    bool exists;                /* the dataset does, with columns of its own */
    struct tn_buf warnings;     /* JSON strings, separated by commas */
    const char *parquet_select; /* for Parquet: the rows, cast to what tables hold */
};

/* Rejected rows of one range of blocks: kept as NDJSON, in a file when many. */
#define REJECTS_SHOWN 3
struct rejects {
    struct store *store;
    struct tn_buf text;
    char *path;
    int fd;
    uint64_t misfits;   /* a value does not fit its column's type */
    uint64_t misshapen; /* the record itself is no row of the table */
    size_t shown;
    char *first[REJECTS_SHOWN];
    enum tn_code failure; /* of writing the file */
    struct tn_error error;
};

struct ingest {
    struct lake *lake;
    struct tn_arena *arena;
    /* Options, copied. */
    const char *dataset, *source, *actor, *reason, *workspace, *request_id, *door, *key;
    enum ingest_format format;
    struct csv_wish wish;
    enum encoding encoding;
    struct override *overrides;
    size_t override_count;
    enum dataset_mode mode;
    int64_t max_rejects;
    char options_hash[TN_HASH_HEX];
    char id[TN_UUID_TEXT];
    int64_t started_us;
    /* The way in. */
    struct tn_hash hash;
    char content_hash[TN_HASH_HEX];
    struct tn_buf head;      /* raw bytes until the compression is known */
    struct tn_buf text_head; /* decompressed bytes until the encoding is known */
    bool raw_started, text_started, ended;
    enum inflate_kind compression;
    struct inflate *inflate;
    enum encoding found_encoding;
    struct encoding_state converter;
    struct tn_buf converted;
    struct spool spool;
    struct survey survey;
    enum tn_code failed; /* an earlier error is final */
    struct load_plan plan;
    atomic_bool cancelled;
    _Atomic uint64_t bytes_in, rows_loaded, rows_total;
    _Atomic(const char *) phase;
};

/* feed.c: ends the input: what was fed is spooled and surveyed completely. */
enum tn_code ingest_end_input(struct ingest *ingest, struct tn_error *err) TN_CHECKED;
enum tn_code ingest_check_cancelled(const struct ingest *ingest, struct tn_error *err) TN_CHECKED;

/* plan.c */
enum tn_code ingest_make_plan(struct ingest *ingest, struct tn_error *err) TN_CHECKED;
void ingest_warn(struct ingest *ingest, const char *format, ...) TN_PRINTF(2, 3);
/* plan_parquet.c: columns and select of a spooled Parquet file. */
enum tn_code ingest_plan_parquet(struct ingest *ingest, struct tn_error *err) TN_CHECKED;

/* load.c: all rows into the write; rejects of the whole file in order. */
enum tn_code ingest_load(struct ingest *ingest, struct dataset_write *write, struct rejects *ret_rejects,
                         struct tn_error *err) TN_CHECKED;

/* rejects.c */
void rejects_init(struct rejects *rejects, struct store *store);
void rejects_release(struct rejects *rejects);
void rejects_add(struct rejects *rejects, uint64_t line, const char *column, const char *value, size_t value_length,
                 const char *reason, const char *record, size_t record_length);
/* Moves what `from` holds behind what `into` holds. */
enum tn_code rejects_append(struct rejects *into, struct rejects *from, struct tn_error *err) TN_CHECKED;
/* Keeps them with the lake under the ingest's id. */
enum tn_code rejects_store(struct rejects *rejects, const char *ingest_id, struct tn_error *err) TN_CHECKED;

/* answer.c */
void ingest_answer_schema(const struct ingest *ingest, struct tn_json *out);
void ingest_answer_warnings(const struct ingest *ingest, struct tn_json *out);
void ingest_answer_format(const struct ingest *ingest, struct tn_json *out);
enum tn_code ingest_answer_rows(const struct ingest *ingest, struct tn_json *out, struct tn_error *err) TN_CHECKED;

#endif
