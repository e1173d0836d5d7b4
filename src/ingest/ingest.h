/* ingest: messy files in, typed rows out.
 *
 * One struct ingest is one file on its way into one dataset. Bytes are fed as
 * they arrive and never held: they are hashed, decompressed, transcoded to
 * UTF-8, cut into records and profiled on the way, and spooled to the lake's
 * staging folder. When the last byte is in, the whole file has been considered,
 * so the types are facts and not guesses. Then the same record reader that
 * profiled the bytes feeds them, typed, to the engine: what the profile saw is
 * what is loaded.
 *
 * Memory: bounded (a few blocks per thread), whatever the file's size.
 * Threads: one ingest belongs to one thread at a time, except ingest_cancel
 * and ingest_progress; work inside is spread over the lake's pool.
 * Errors: TN_EUNREADABLE (what and at which line), TN_EREJECTS (how many rows,
 * the first few, where the rest can be read), TN_ESCHEMA (each difference),
 * TN_EUNSUPPORTED, TN_EREQUEST (options).
 */
#ifndef TARN_INGEST_INGEST_H
#define TARN_INGEST_INGEST_H

#include "base/base.h"
#include "dataset/dataset.h"
#include "ingest/documents.h" /* PDF, DOCX, mails, ... */
#include "ingest/ocr.h"       /* pages that are images */
#include "ingest/postgres.h"  /* tables of PostgreSQL */
#include "ingest/rows.h"      /* rows of one request */

struct ingest;

enum ingest_format { INGEST_AUTO, INGEST_CSV, INGEST_JSON, INGEST_PARQUET };

/* All text is copied. NULL where not given. */
struct ingest_options {
    const char *dataset;   /* NULL: from the source's name */
    const char *source;    /* name to show: "calls.csv", "upload", "stdin" */
    const char *format;    /* auto csv tsv json ndjson parquet */
    const char *types;     /* "zip:text,hired:date:%d/%m/%Y" */
    const char *delimiter; /* one character or "tab" */
    const char *header;    /* auto yes no */
    const char *encoding;  /* auto utf-8 utf-16 latin-1 windows-1252 */
    const char *key;       /* "id" or "a,b": no two rows may have the same */
    enum dataset_mode mode;
    int64_t max_rejects; /* -1: default (0) */
    const char *actor, *reason, *workspace, *request_id;
    const char *door; /* of struct dataset_lineage; NULL: a file */
};

/* Refuses options that do not parse, before a byte is read. */
enum tn_code ingest_new(struct lake *lake, const struct ingest_options *options, struct ingest **ret,
                        struct tn_error *err) TN_CHECKED;
/* Removes the spool. */
void ingest_free(struct ingest *ingest);
TN_DEFINE_CLEANUP(struct ingest, ingest_free)

/* The next bytes. An error is final. */
enum tn_code ingest_feed(struct ingest *ingest, const void *bytes, size_t count, struct tn_error *err) TN_CHECKED;
/* Instead of feeding: read this local file (the server's own files only:
 * demo and command line inside the process). A plain UTF-8 file is read in
 * place; it must not change meanwhile (noticed, refused). */
enum tn_code ingest_feed_file(struct ingest *ingest, const char *path, struct tn_error *err) TN_CHECKED;

/* After the last byte: detect, load, commit. `out` receives the answer object
 * of POST /ingest/file (see API.md). */
enum tn_code ingest_finish(struct ingest *ingest, struct tn_json *out, struct tn_error *err) TN_CHECKED;
/* After the last byte: the answer of POST /ingest/preview (format, schema, 20
 * rows, warnings, what an existing dataset would say); writes nothing. */
enum tn_code ingest_preview(struct ingest *ingest, struct tn_json *out, struct tn_error *err) TN_CHECKED;

void ingest_cancel(struct ingest *ingest);
struct ingest_progress {
    uint64_t bytes_in; /* received */
    uint64_t rows_loaded;
    uint64_t rows_total; /* 0 until known */
    const char *phase;   /* "reading" "loading" "committing" "done" */
};
void ingest_progress(const struct ingest *ingest, struct ingest_progress *ret);
const char *ingest_id(const struct ingest *ingest); /* UUIDv7 text */

/* The rejected rows of an ingest (kept with the lake) as NDJSON objects
 * {"line","column","value","reason","record"}, streamed. TN_ENOTFOUND. */
enum tn_code ingest_rejects(struct lake *lake, const char *ingest_id,
                            enum tn_code (*write)(void *, const char *, size_t), void *context,
                            struct tn_error *err) TN_CHECKED;

#endif
