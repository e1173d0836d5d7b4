/* index: texts of a dataset, found by meaning, by words, or by both.
 *
 * A logical index is a dataset, some of its text columns (or one column of
 * vectors), a way to cut texts into chunks, and an embedding model at one
 * version. Three things keep it:
 *
 *   the definition     vectors/<index>/index.json in the lake's store: what the
 *                      index is. Durable with the lake.
 *   the vectors        the dataset <index>__vectors, one row per chunk: chunk
 *                      id, document id, text, place, content hash, model,
 *                      version, embedding. An ordinary Iceberg table.
 *   the working files  state/indexes/<index>/: chunk texts by number
 *                      (docs/formats/chunk-file.md), words (SQLite FTS5) and
 *                      nearest neighbours (src/vector). A cache: made again from
 *                      the vectors table alone when it is missing or damaged.
 *
 * Documents. A document is a row of the dataset; its id is the row's key as
 * text (several key columns: joined by ',' with '\' before a ',' of their own).
 * A dataset without a key is indexed all the same: a document is then a
 * distinct text, its id the MD5 of the text columns. A chunk is (document,
 * chunk number) and has a number of its own, the chunk id, never used twice.
 *
 * Freshness. Building and catching up are one walk, index_bring_up: it looks at
 * the rows that changed since the snapshot that the index shows (all, the first
 * time), cuts them, keeps every chunk whose text is there already, embeds the
 * others in batches, and commits batch by batch. What is committed is the
 * checkpoint: after a crash the walk finds it and goes on, and at most the
 * batch under way is embedded again. A text that any index with the same model
 * version holds already is not embedded again.
 * A search never returns a document that was deleted or changed by a commit
 * that was acknowledged before the search began: what differs between the
 * index's snapshot and the dataset's is left out until the index has caught up.
 * Each commit is looked at once for that, by the first search behind it, and a
 * predicate is evaluated once for each catch-up: how often rows are written
 * does not decide what a search costs.
 *
 * Searching. Exactly k hits when k chunks (with per_doc: documents) qualify: in
 * vector and hybrid mode those that pass the filter, in keyword mode those that
 * match as well. Ties go to the lower chunk id. Scores: vector, 1 - distance;
 * keyword, BM25 (larger is better); hybrid, 0 to 1 ("blend") or a sum of
 * reciprocal ranks ("rrf").
 *
 *   index_service_open()   finds the definitions; opens nothing else yet
 *   index_create()         writes a definition, orders its building
 *   index_bring_up()       builds or catches up, in the calling thread
 *   index_search()         hits
 *   index_drop()           definition, vectors and working files go
 *
 * Ownership: the service owns the indexes; answers are the caller's.
 * Threads: every function from any thread, except open and close. Searches run
 * side by side and beside a catch-up; of catch-ups and folds of one index one
 * runs at a time.
 * Errors: TN_ENOTFOUND (no such index; names the others), TN_EEXISTS,
 * TN_EREQUEST (a definition or query that makes no sense), TN_EUNAVAILABLE
 * (nothing is embedded yet; the model is away), TN_ECONFLICT (the model behind
 * the name is another one than the index was built with), and what the
 * dataset, the model and the engine say.
 */
#ifndef TARN_INDEX_INDEX_H
#define TARN_INDEX_INDEX_H

#include "base/base.h"
#include "dataset/dataset.h"
#include "job/job.h"
#include "model/model.h"

#define INDEX_VECTORS_SUFFIX "__vectors" /* of the dataset that holds an index's vectors */

struct index_service;

#define INDEX_NAME_MAX    96 /* so that <index>__vectors is a dataset's name */
#define INDEX_COLUMNS_MAX 16
#define INDEX_K_MAX       1000
#define INDEX_QUERY_MAX   8192 /* bytes of a query's text */
#define INDEX_WEIGHT      0.6  /* of the vector leg in a blend, unless a query says otherwise */

/* ---- the service ---------------------------------------------------------- */

/* Who embeds; the model service, or a stand-in for tests. As in model.h. */
struct index_embedder {
    void *context;
    enum tn_code (*find)(void *context, const char *model, struct model_info *ret, struct tn_error *err);
    enum tn_code (*embed)(void *context, const char *model, const struct model_call *call,
                          const struct model_text *texts, size_t count, float *out, struct tn_error *err);
    size_t (*count_tokens)(void *context, const char *model, struct model_text text);
};
struct index_embedder index_embedder_of(struct model_service *models);

struct index_options {
    struct lake *lake;  /* outlives the service */
    const char *folder; /* state/indexes of the lake; made when missing */
    struct index_embedder embedder;
    struct job_service *jobs; /* between its open and its start: the kind "index" is added. NULL: no jobs */
    bool follow;              /* a thread looks for commits and catches up */
    bool auto_embed;          /* with follow: datasets with prose get an index by themselves */
    size_t keep_generations;  /* beside the active one, to go back to; 0: 2 */
    size_t keep_trials;       /* generations of trials that were not promoted; 0: 5 */
    uint64_t trial_age_ms;    /* after which those go; 0: a week */
};
enum tn_code index_service_open(const struct index_options *options, struct index_service **ret,
                                struct tn_error *err) TN_CHECKED;
/* What runs behind the searches (catching up, folds, measuring, working files
 * made again) gives up within about a second and keeps what is committed; the
 * next start takes it up. Searches are answered until the close, which does
 * this by itself. A job that is ended by this fails unless job_service_stop
 * was called before. */
void index_service_stop(struct index_service *service);
/* After job_service_close: no job may be in the service any more. */
void index_service_close(struct index_service *service);
TN_DEFINE_CLEANUP(struct index_service, index_service_close)

/* ---- definitions ------------------------------------------------------------ */

struct index_definition {
    const char *name;                /* as a dataset's; NULL: the dataset's */
    const char *dataset;             /* must exist */
    const char *const *text_columns; /* none and no vector_column: chosen by length and kind */
    size_t text_column_count;
    const char *vector_column; /* a list of numbers; then no text is embedded */
    const char *model;         /* NULL: the default model */
    uint32_t chunk_size;       /* tokens; 0: what the model reads, at most 256 */
    uint32_t chunk_overlap;    /* tokens; UINT32_MAX: an eighth of the size */
    const char *backend;       /* "hnsw"; "disk": searched in its files; "auto" (which is hnsw); NULL: "auto" */
    double recall_target;      /* 0: 0.95 */
    bool only_prose;           /* of columns that are chosen: TN_EREQUEST where none holds sentences */
};
/* Durable when it returns; the building is a job, whose id is written to
 * ret_job ("" without a job service). */
enum tn_code index_create(struct index_service *service, const struct index_definition *definition, const char *actor,
                          char ret_job[JOB_ID_TEXT], struct tn_error *err) TN_CHECKED;
enum tn_code index_drop(struct index_service *service, const char *name, struct tn_error *err) TN_CHECKED;
/* Whether a dataset is to be searchable without a call. CATALOG_P_AUTO_EMBED in
 * its metadata says so, else index_options.auto_embed. This is for whoever has
 * just said so of one: where it has prose and no index, one is made now, and
 * that an earlier one was dropped is forgotten. *ret: its name, the caller's to
 * free(); NULL where there is nothing to index. */
enum tn_code index_embed_now(struct index_service *service, const char *dataset, const char *actor, char **ret,
                             struct tn_error *err) TN_CHECKED;
/* An array: name, text_columns and model of each index of a dataset. Opens nothing. */
void index_list_of(struct index_service *service, const char *dataset, struct tn_json *out);
/* TN_EREFUSED for a dataset that holds the vectors of an index: what it has is the index's to change. */
enum tn_code index_check_free(struct index_service *service, const char *dataset, struct tn_error *err) TN_CHECKED;
/* Objects: name, dataset, text_columns, model, version, dimension, chunk,
 * state ("ready", "building", "behind", "empty"; "failed": the first build, see
 * problem; "opening", "damaged"), documents, chunks, snapshot_id, generation,
 * delta, bytes. They wait for no work on an index: what cannot be told without
 * is null. */
enum tn_code index_list(struct index_service *service, struct tn_json *out, struct tn_error *err) TN_CHECKED;
enum tn_code index_show(struct index_service *service, const char *name, struct tn_json *out,
                        struct tn_error *err) TN_CHECKED;
/* The index that a search of a dataset uses: the one created last; without a
 * dataset (NULL) the only one there is. The caller's to free(). TN_ENOTFOUND,
 * TN_EREQUEST. */
enum tn_code index_of_dataset(struct index_service *service, const char *dataset, char **ret,
                              struct tn_error *err) TN_CHECKED;
/* The newest one that was built with a model ("builtin/all-MiniLM-L6-v2", or
 * without the provider), of a dataset or (NULL) of any. The caller's to free().
 * TN_ENOTFOUND. */
enum tn_code index_with_model(struct index_service *service, const char *dataset, const char *model, char **ret,
                              struct tn_error *err) TN_CHECKED;

/* ---- building ----------------------------------------------------------------- */

struct index_report {
    uint64_t documents;        /* looked at */
    uint64_t chunks;           /* added */
    uint64_t embedded, reused; /* of those */
    uint64_t deleted;          /* chunks that are gone */
    int64_t snapshot_id;       /* of the dataset, that the index now shows */
    bool folded;
};
/* `run` may be NULL: then nothing is reported and nothing ends it early. */
enum tn_code index_bring_up(struct index_service *service, const char *name, struct job_run *run,
                            struct index_report *ret, struct tn_error *err) TN_CHECKED;
/* Orders a job that does it; `once`. TN_EUNAVAILABLE without a job service. */
enum tn_code index_order(struct index_service *service, const char *name, const char *actor,
                         char ret_job[JOB_ID_TEXT], struct tn_error *err) TN_CHECKED;
/* Deletes the working files and makes them again from the vectors table. */
enum tn_code index_rebuild(struct index_service *service, const char *name, struct tn_error *err) TN_CHECKED;

/* ---- generations ---------------------------------------------------------------- */

/* Folds all changes into a new generation. TN_EBUSY while one is built;
 * TN_ECANCELLED when the service stops. */
enum tn_code index_fold(struct index_service *service, const char *name, struct tn_error *err) TN_CHECKED;
/* An array, the newest first: generation, state ("active", "previous", "trial",
 * "kept"), trial, parameters, rows, bytes. */
enum tn_code index_generations(struct index_service *service, const char *name, struct tn_json *out,
                               struct tn_error *err) TN_CHECKED;
/* An object: samples, k, recall, recall_at_1, latency p50, p95, p99 in
 * microseconds: approximate against exact search, by queries that are made near
 * chunks of its own and, half of them where there are so many, ones that were
 * asked. */
enum tn_code index_evaluate(struct index_service *service, const char *name, uint32_t samples, uint32_t k,
                            struct tn_json *out, struct tn_error *err) TN_CHECKED;

/* Of the vectors of all open indexes: what is held in memory for searches, and of
 * those on disk what of their files is there now. */
uint64_t index_resident_bytes(struct index_service *service);

/* Since the service was opened. */
struct index_totals {
    uint64_t catch_ups;          /* changes that the follower brought in, without a job */
    uint64_t woken, from_memory; /* of those: begun because a commit woke it; without asking the engine */
    uint64_t embedded, reused;   /* chunks that the model was asked for; whose vectors were known */
    uint64_t filters;            /* evaluations of a search's predicate */
    uint64_t changes_read;       /* times that searches asked the engine what had changed behind their index */
};
void index_totals(struct index_service *service, struct index_totals *ret);

/* ---- trials ------------------------------------------------------------------------- */

/* How a generation is to be built and searched; 0 or NULL: as the active one. */
struct index_trial {
    uint32_t degree;          /* M */
    uint32_t ef_construction; /* candidates considered per row of the build */
    uint32_t ef;              /* candidates of a search; or */
    double recall_target;     /* as wide as this asks for */
    uint32_t code_bits;       /* 4 or 8 */
    const char *raw;          /* "f32" or "f16" */
    uint32_t samples;         /* queries to measure with; 0: 200 */
};
/* Orders a job that builds it beside the active one, measures both and records
 * it. The job's result is the record; its "trial" is what promotes it. */
enum tn_code index_trial_order(struct index_service *service, const char *name, const struct index_trial *wish,
                               const char *actor, char ret_job[JOB_ID_TEXT], struct tn_error *err) TN_CHECKED;

struct index_change {
    const char *actor, *reason; /* may be NULL */
    bool force;                 /* whatever its recall is; with a reason */
};
/* The trial's generation serves, and later folds keep its parameters. Refused
 * (TN_EREFUSED) when it finds less than 0.9 of the true nearest ten or less
 * than the active one on the same queries. TN_ENOTFOUND: no such trial, or its
 * file is gone. Searches go on meanwhile. */
enum tn_code index_promote(struct index_service *service, const char *name, uint64_t trial,
                           const struct index_change *change, struct tn_json *out, struct tn_error *err) TN_CHECKED;
/* The generation before the active one serves again, searched as it was. */
enum tn_code index_rollback(struct index_service *service, const char *name, const struct index_change *change,
                            struct tn_json *out, struct tn_error *err) TN_CHECKED;
/* Its name as it is written. TN_ENOTFOUND. */
enum tn_code index_exact_name(struct index_service *service, const char *name, char ret[INDEX_NAME_MAX + 1],
                              struct tn_error *err) TN_CHECKED;
/* The records of an index in one object of the store instead of one each. */
enum tn_code index_trials_compact(struct index_service *service, const char *name, struct tn_json *out,
                                  struct tn_error *err) TN_CHECKED;
/* The SQL table `trials`. For struct lake's extra. */
struct dataset_extra index_tables(struct index_service *service);

/* ---- versions ----------------------------------------------------------------------- */

/* The same texts by another model, beside the index that serves: an index of
 * its own, <index>__v2 (__v3, ...), kept fresh like any. Searches of the index
 * go to the version that serves; <index>__v1 is the index itself. Texts whose
 * vectors by that model are known are not embedded again. TN_EEXISTS: the index
 * is of that model at that version already. */
enum tn_code index_version_add(struct index_service *service, const char *name, const char *model, const char *actor,
                               char ret_name[INDEX_NAME_MAX + 1], char ret_job[JOB_ID_TEXT],
                               struct tn_error *err) TN_CHECKED;
/* Searches of the index go to `to` from now on; NULL: to the one before. Durable
 * when it returns; all versions stay. TN_EUNAVAILABLE: it is still being built. */
enum tn_code index_version_serve(struct index_service *service, const char *name, const char *to,
                                 struct tn_error *err) TN_CHECKED;
/* An object: index, serving, previous, versions (as index_show has them). */
enum tn_code index_versions(struct index_service *service, const char *name, struct tn_json *out,
                            struct tn_error *err) TN_CHECKED;

/* Searches of the dataset's indexes answer TN_EUNAVAILABLE with the reason for so
 * long, unless it is said again; 0: no longer. For a table whose vectors are
 * made anew. Not kept over a restart. */
void index_hold(struct index_service *service, const char *dataset, const char *reason, uint64_t ms);

/* ---- searching -------------------------------------------------------------------- */

enum index_mode { INDEX_HYBRID, INDEX_VECTOR, INDEX_KEYWORD };
enum index_fusion { INDEX_BLEND, INDEX_RRF };
bool index_mode_parse(const char *word, enum index_mode *ret);
bool index_fusion_parse(const char *word, enum index_fusion *ret);

struct index_query {
    const char *index;
    const char *text;    /* NULL when a vector is given (mode vector) */
    const float *vector; /* NULL: the text is embedded */
    size_t dimension;
    uint32_t k; /* 0: 10 */
    enum index_mode mode;
    enum index_fusion fusion;
    double weight;             /* of the vector leg, 0 to 1; negative: the default */
    const char *filter;        /* a predicate over the dataset's columns, judged inside; NULL: all */
    const char *model_version; /* refuse another; NULL: the index's */
    double recall;             /* 0: the index's target */
    bool per_doc;              /* at most one chunk of a document */
    bool rows;                 /* fetch the rows too */
};

struct index_hit {
    int64_t chunk_id;
    const char *doc_id;
    const char *column;
    uint32_t chunk_no;
    uint64_t begin, end; /* bytes of the column's text */
    double score;
    const char *text;
    size_t text_length;
    const char *row;                    /* JSON object; NULL unless asked for */
    double vector_score, keyword_score; /* hybrid: also of what the other leg found; NaN: it has none */
    uint32_t vector_rank, keyword_rank; /* from 1; 0: the leg did not have it */
};

struct index_answer {
    struct tn_arena *arena; /* all below */
    char query_id[TN_UUID_TEXT];
    const char *index, *dataset;
    struct index_hit *hits;
    size_t hit_count;
    uint64_t generation;
    const char *model, *model_version; /* "" for given vectors */
    int64_t snapshot_id;               /* of the dataset, that the answer holds for */
    bool behind;                       /* rows of that snapshot are not searchable yet */
    const float *vector;               /* of the query's text, `dimension` numbers; NULL: none was embedded */
    uint32_t dimension;
    /* the plan */
    const char *strategy; /* of the vector leg; "none" */
    uint32_t distances, hops, window, reranked;
    double estimated_recall;
    double selectivity;
    uint64_t passing; /* chunks that pass the filter; UINT64_MAX: there was none */
    uint64_t vector_candidates, keyword_candidates;
    const char *keyword_query; /* as the words were understood; NULL */
    uint64_t embed_us, filter_us, vector_us, keyword_us, fetch_us, total_us;
};
enum tn_code index_search(struct index_service *service, const struct index_query *query, struct index_answer **ret,
                          struct tn_error *err) TN_CHECKED;
void index_answer_free(struct index_answer *answer);
TN_DEFINE_CLEANUP(struct index_answer, index_answer_free)
/* The answer as POST /search gives it; with `explain` the ranks and times too. */
void index_answer_write(const struct index_answer *answer, bool explain, struct tn_json *out);
/* Answers of several indexes to one query as one: the best query->k of all hits
 * by scores that were made comparable, each naming its dataset and index. */
#define INDEX_SEVERAL_MAX 16
void index_answers_write(struct index_answer *const *answers, size_t count, const struct index_query *query,
                         bool explain, struct tn_json *out);

/* ---- in SQL ------------------------------------------------------------------------ */

/* vector_search, keyword_search and hybrid_search: ('index', 'text' [, k [, 'filter']]),
 * with k, filter, weight, recall, fusion and per_doc by name (k := 10) as well, and
 * a list of numbers for vector_search's text or as vector := [...],
 * give doc_id, chunk_no, field, score, rank, text, and the dataset's key where it
 * is one column. For struct lake's calls. */
struct dataset_extra index_calls(struct index_service *service);

#endif
