/* reembed: all vectors of a pgvector table made anew by another model.
 *
 * RECOVERY. The rule is one: run it again, with the same arguments, until it
 * says that it is done.
 *   staged     Until the switch nothing of the table has changed: searches go
 *              on in the old vectors. The switch is one transaction: a crash
 *              before its COMMIT leaves the old vectors, type, index and
 *              registry whole, one after it the new ones; no reader ever sees
 *              both. Vectors that are staged already are kept, and the next run
 *              begins behind them. With `concurrent_index` vectors and registry
 *              switch together and the index follows: until it is built,
 *              searches are right but slow.
 *   in place   From the first batch to the last the table holds vectors of two
 *              models, the registry names the old one, and the index is gone.
 *              DO NOT SERVE SEARCHES in that time: rankings mean nothing. After
 *              a crash that stays so until a run has come to its end; it goes on
 *              behind the last batch that was written.
 *   either     Rows may be written meanwhile when staged (they are found by the
 *              hash of their text and embedded before the switch); in place
 *              they should not be. An INVALID index, which an interrupted
 *              CREATE INDEX CONCURRENTLY leaves, is reported with the statement
 *              that removes it and never dropped here. A staging table whose
 *              run is not wanted any more: DROP TABLE tarn_reembed_...;
 *
 * The steps are those of the plan: 1 the registry is compared with the model's
 * signature, and when they are equal there is nothing to do; 2 the index is
 * dropped; 3 rows are read by key, no snapshot stays open; 4 encoded and
 * written in batches; 5 the column gets its new type; 6 the index is built with
 * the parameters it had; 7 the registry is written; 8 a report. Staged, steps 3
 * and 4 fill a table of their own, and 2, 5, 6 and 7 are the switch.
 *
 *   reembed_plan_defaults()  as the requirement has them
 *   reembed_preview()        what a run would do; writes and embeds nothing
 *   reembed_run()            does it
 *
 * Ownership: plans borrow their texts; previews and reports hold an arena.
 * Threads: a run belongs to one thread; it opens two connections.
 * Errors: TN_EUSAGE for a plan that cannot work; TN_ENOTFOUND for tables,
 * columns and models; TN_EFORBIDDEN for rights, TN_ECONFLICT for views on the
 * column and INVALID indexes, TN_EUNSUPPORTED for dimensions that the server's
 * pgvector cannot index: all of them before anything is written. TN_EBUSY when
 * another run is at work on the table, or a lock was not to be had (who holds
 * it is named). TN_ECORRUPT when a model answers what makes no sense. Errors
 * after the first write say what state the table is in.
 */
#ifndef TARN_REEMBED_REEMBED_H
#define TARN_REEMBED_REEMBED_H

#include "base/base.h"
#include "model/model.h"

enum reembed_mode { REEMBED_STAGED, REEMBED_IN_PLACE };

struct reembed_plan {
    /* As in the requirement's ReembedPlan. */
    size_t batch_size;     /* rows of one call of the model, and of one write */
    bool drop_hnsw_first;  /* false only where the dimension stays */
    bool concurrent_index; /* CREATE INDEX CONCURRENTLY, outside the transaction */
    /* Where. */
    const char *url, *password_file; /* the latter may be NULL */
    const char *table;               /* "name" or "schema.name" */
    const char *id_column, *text_column, *vector_column;
    const char *index_name, *registry_table;
    /* How. */
    enum reembed_mode mode;
    uint64_t lock_timeout_ms;         /* of one try for the table's lock */
    unsigned lock_tries;              /* with pauses between, so that others get through */
    const char *maintenance_work_mem; /* for the session that builds the index; NULL: the server's */
};
#define REEMBED_BATCH_MAX 4096
void reembed_plan_defaults(struct reembed_plan *ret);
bool reembed_mode_parse(const char *word, enum reembed_mode *ret);
const char *reembed_mode_word(enum reembed_mode mode);

/* What vectors were made by. */
struct reembed_signature {
    const char *name; /* "builtin/all-MiniLM-L6-v2" */
    uint32_t dimension;
    const char *hash; /* of name, version, dimension, prefix, normalisation; 64 hex digits */
};
/* The arena's. */
void reembed_signature_of(const struct model_info *model, struct tn_arena *arena, struct reembed_signature *ret);
bool reembed_signature_equal(const struct reembed_signature *a, const struct reembed_signature *b);

/* Who embeds: the model service, or a stand-in for tests and measurements. */
struct reembed_embedder {
    void *context;
    struct model_info model; /* as model_find() says */
    enum tn_code (*embed)(void *context, const struct model_text *texts, size_t count, float *out, size_t *ret_cut,
                          struct tn_error *err);
};

/* What is seen of a run while it goes on; called on the run's thread. */
enum reembed_kind {
    REEMBED_NOTE,    /* text */
    REEMBED_WARNING, /* text: the operator should read it */
    REEMBED_BATCH,   /* number, rows, done, total: "wrote batch N (M rows)" */
    REEMBED_INDEX,   /* text: the phase; done, total: blocks */
};
struct reembed_event {
    enum reembed_kind kind;
    const char *text;
    uint64_t number, rows, done, total;
};
struct reembed_observer {
    void *context;                                                   /* of both */
    void (*event)(void *context, const struct reembed_event *event); /* may be NULL */
    bool (*stopping)(void *context);                                 /* may be NULL */
};

/* ---- looking ahead ----------------------------------------------------------- */

/* The requirement's DryRunSummary, and what an operator wants to know. */
struct reembed_preview {
    struct tn_arena *arena;
    uint64_t rows_to_update, embedder_batches;
    double estimated_walltime_secs;
    bool has_current; /* the registry has a row */
    struct reembed_signature current, target;
    bool would_alter_typmod;
    bool no_op;
    /* beyond */
    const char *server;                    /* "host:port/database", version */
    const char *table;                     /* schema.table */
    const char *column_type, *target_type; /* "vector(768)", "vector(1024)", "halfvec(3072)" */
    enum reembed_mode mode;
    const char *approach; /* "rewrite", "update", "relax and tighten" */
    double rows_per_second;
    const char *rate_source; /* "measured by three texts", "measured by an earlier run", "assumed" */
    uint64_t rows_without_vector, rows_without_text;
    uint64_t rows_staged; /* by an earlier run that did not end */
    uint64_t stage_bytes; /* that the staging table will take, about */
    uint64_t graph_bytes, maintenance_work_mem;
    const char **indexes; /* their definitions */
    size_t index_count;
    const char **notes;
    size_t note_count;
    struct tn_error refused; /* what a run would say; code TN_OK: it would be done */
};
struct reembed_rate {
    double rows_per_second; /* 0: not known */
    const char *source;
};
/* `embedder` may be asked only with `probe`: three texts of the table. */
enum tn_code reembed_preview(const struct reembed_plan *plan, struct reembed_embedder *embedder, bool probe,
                             const struct reembed_rate *known, struct reembed_preview *ret,
                             struct tn_error *err) TN_CHECKED;
void reembed_preview_release(struct reembed_preview *preview);
void reembed_preview_text(const struct reembed_preview *preview, struct tn_buf *out);
void reembed_preview_json(const struct reembed_preview *preview, struct tn_json *out);

/* ---- doing it ------------------------------------------------------------------ */

struct reembed_report {
    struct tn_arena *arena;
    /* As in the requirement's ReembedReport. */
    uint64_t rows_updated; /* rows whose vector is the new model's now, those that had none among them */
    double duration_secs;  /* without the index */
    double index_rebuild_secs;
    /* beyond */
    bool no_op;
    uint64_t rows_embedded, rows_resumed; /* by this run; by earlier ones */
    uint64_t rows_caught_up;              /* written by others meanwhile, and embedded for that */
    uint64_t rows_without_text;           /* their vector is NULL */
    uint64_t texts_cut;                   /* longer than the model reads */
    uint64_t batches;
    double embed_secs;  /* of duration_secs: waiting for the model */
    double locked_secs; /* readers had to wait so long */
    enum reembed_mode mode;
    const char *approach;
    struct reembed_signature target;
};
enum tn_code reembed_run(const struct reembed_plan *plan, struct reembed_embedder *embedder,
                         const struct reembed_observer *observer, struct reembed_report *ret,
                         struct tn_error *err) TN_CHECKED;
void reembed_report_release(struct reembed_report *report);
void reembed_report_text(const struct reembed_report *report, struct tn_buf *out);
void reembed_report_json(const struct reembed_report *report, struct tn_json *out);

#endif
