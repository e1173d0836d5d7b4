/* answer: questions answered from the lake, with evidence, and remembered.
 *
 * Two ways to an answer, one record of both:
 *
 *   rag   from texts: search of an index, the best passages packed into a
 *         prompt, a language model's answer, its citations checked against the
 *         passages. Without a language model the sentences of the passages
 *         that match the question are the answer.
 *   ask   from tables: the question becomes SQL, the guard judges it, the rows
 *         are the answer.
 *
 * A refusal is an answer: it says why (retrieval too weak, the model finds
 * nothing in the passages, nothing that it says stands there) and is recorded.
 *
 * Text of documents is data. It goes into a prompt between delimiters that hold
 * a random number of this request, with whatever resembles them taken apart;
 * models are given no tools; what they return is text and is never run (ask's
 * SQL passes the same guard as anybody's).
 *
 * Records. Each answer is durable in an append log (docs/formats/answers.md)
 * under the bucket before the caller has it: question, request, model and its
 * version, prompt version, snapshots, index generation, passages with the hashes
 * of their texts, SQL, the text, citations, use of tokens, times. The log is
 * bounded: beyond `keep_bytes` its oldest segment goes.
 *
 * Outcomes. What a model did with a question is recorded in src/outcome under
 * the task type "rag" or "ask": success when it answered and what it cited
 * stands there; failure when it refused though the passages were good enough to
 * ask it, when it broke off, when it took too long (a time-out). What a person
 * says of the answer later (answer_feedback) counts as one trial more.
 *
 * Threads: every function from any thread, except open and close.
 * Errors: TN_ENOTFOUND (no such answer, index or model), TN_EREQUEST,
 * TN_EUNAVAILABLE and TN_ETIMEOUT (a model that was named), TN_ECONFLICT
 * (feedback that says otherwise than before), TN_ECORRUPT, and what search,
 * engine and files say.
 */
#ifndef TARN_ANSWER_ANSWER_H
#define TARN_ANSWER_ANSWER_H

#include "base/base.h"
#include "dataset/dataset.h"
#include "index/index.h"
#include "model/model.h"
#include "outcome/outcome.h"

#include <stdatomic.h>

struct answer_service;

#define ANSWER_QUESTION_MAX 4096 /* bytes; what a search reads */
#define ANSWER_K_MAX        50
#define ANSWER_K            8

/* ---- the service ---------------------------------------------------------- */

struct answer_settings {
    const char *model;       /* for requests that name none: a name, "auto", or "" (ai.chat.model) */
    const char *models;      /* candidates of "auto", separated by commas; "": all that are offered */
    const char *prices;      /* "MODEL=IN/OUT,...": dollars for a million tokens */
    double exploration;      /* of "auto": share of questions that go to another than the best */
    uint32_t context_tokens; /* for passages; 0: 2400, so that all fits into 4096 */
    uint32_t answer_tokens;  /* 0: 800 */
    uint64_t timeout_ms;     /* of one call of a model; 0: 2 minutes */
    double similarity;       /* passages below it are weak; negative: calibrated for the built-in model */
    uint64_t keep_bytes;     /* of the log; 0: 256 MB */
};

/* All borrowed and outliving the service. indexes, models and outcomes may be
 * NULL in tests: then there is nothing to search, nobody to ask, no outcome. */
struct answer_options {
    struct lake *lake;
    struct index_service *indexes;
    struct model_service *models;
    struct outcome_store *outcomes;
    const char *folder; /* <bucket>/answers; made with the first answer */
    struct answer_settings settings;
};
enum tn_code answer_service_open(const struct answer_options *options, struct answer_service **ret,
                                 struct tn_error *err) TN_CHECKED;
/* Before the services that it uses. No call may be under way. */
void answer_service_close(struct answer_service *service);
TN_DEFINE_CLEANUP(struct answer_service, answer_service_close)

/* ---- records --------------------------------------------------------------- */

struct answer_snapshot {
    const char *dataset;
    int64_t snapshot_id;
};
/* A passage that was found. */
struct answer_chunk {
    const char *doc_id, *column;
    uint32_t chunk_no;
    int64_t chunk_id;
    uint64_t begin, end;    /* bytes of the column's text */
    char hash[TN_HASH_HEX]; /* of the passage's text */
    double score;           /* of the search */
    double similarity;      /* to the question; NaN: unknown */
    uint32_t source;        /* its number in the prompt, from 1; 0: it was left out */
    const char *title;      /* NULL: none */
    int64_t page;           /* 0: none */
};
struct answer_citation {
    uint32_t source; /* number in the text: [1] */
    const char *doc_id;
    uint32_t chunk_no;
    const char *quote; /* verbatim from the passage */
    const char *title; /* NULL: none */
    int64_t page;      /* 0: none */
};
/* What a model said and the passages do not. */
struct answer_dropped {
    uint32_t source;   /* the number that was given; 0: none */
    const char *quote; /* NULL: the number itself was wrong */
    const char *reason;
};
struct answer_choice {
    const char *how; /* "named", "default", "auto", "none" (no model was asked) */
    bool explored;
    int64_t trials;      /* of the chosen model at this task so far */
    double success_rate; /* NaN without trials */
    const char *why;     /* a sentence */
};

/* Everything about one answer. Texts are borrowed when saving and the arena's
 * after loading; NULL and 0 are "there is none", unless said otherwise. */
struct answer_record {
    char id[TN_UUID_TEXT]; /* "": answer_save makes one */
    const char *kind;      /* "rag", "ask" */
    int64_t time_us;       /* 0: answer_save takes now */
    const char *actor;
    const char *question;
    const char *request;               /* the request as JSON: what a replay reads */
    const char *replay_of;             /* id of the answer that this one repeats */
    const char *model, *model_version; /* of words; NULL: no language model */
    const char *prompt_version;
    const char *index, *embedding_model, *embedding_version;
    uint64_t generation;
    const struct answer_snapshot *snapshots;
    size_t snapshot_count;
    const struct answer_chunk *chunks;
    size_t chunk_count;
    const char *sql;
    int64_t row_count;       /* of the result; -1: there was none */
    const char *result_hash; /* of the rows' bytes */
    const char *text;        /* the answer; "" when refused */
    const struct answer_citation *citations;
    size_t citation_count;
    const struct answer_dropped *dropped;
    size_t dropped_count;
    const char *const *warnings;
    size_t warning_count;
    double similarity; /* of the nearest passage to the question; NaN: unknown or none */
    double words;      /* largest share of the question's words in one passage */
    bool refused;
    const char *reason; /* of the refusal: a word and a sentence, "weak_retrieval: ..." */
    const char *error;  /* what broke it off: the code's public word */
    struct answer_choice choice;
    struct model_usage usage; /* microseconds: the models' time */
    double cost;              /* dollars */
    uint64_t search_us, total_us;
    int feedback; /* 1 good, -1 bad, 0 none; set by loading */
};

/* Durable on return; fills in id and time where they are missing. */
enum tn_code answer_save(struct answer_service *service, struct answer_record *record,
                         struct tn_error *err) TN_CHECKED;
/* TN_ENOTFOUND; says when it is older than what is kept. */
enum tn_code answer_load(struct answer_service *service, const char *id, struct tn_arena *arena,
                         struct answer_record *ret, struct tn_error *err) TN_CHECKED;
/* {"items": [...], "next_cursor": ...}, newest first: answer_id, kind, time,
 * actor, question, model, refused, feedback and the beginning of the text.
 * `cursor`: what a list before ended in; NULL: from the newest. */
enum tn_code answer_list(struct answer_service *service, uint32_t limit, const char *cursor, struct tn_json *out,
                         struct tn_error *err) TN_CHECKED;
/* The whole record as one object: what lies in the log and what GET shows. */
void answer_record_write(const struct answer_record *record, struct tn_json *out);
/* Reads such an object back. TN_ECORRUPT. */
enum tn_code answer_record_read(const json_t *object, struct tn_arena *arena, struct answer_record *ret,
                                struct tn_error *err) TN_CHECKED;
/* A person's word. The same again changes nothing; another is TN_ECONFLICT. */
enum tn_code answer_feedback(struct answer_service *service, const char *id, bool good, const char *actor,
                             struct tn_error *err) TN_CHECKED;

/* ---- who listens and who stops --------------------------------------------- */

/* Given to a call that may stream; all may be NULL. What is not TN_OK ends the
 * call. `sources` comes once, before the first token: the passages as a JSON
 * array. Tokens are the model's words before they were checked; what counts is
 * the record. */
struct answer_listener {
    enum tn_code (*sources)(void *context, const char *json, size_t length);
    enum tn_code (*token)(void *context, const char *text, size_t length);
    void *context;
    const volatile bool *cancel;
};

/* ---- rag --------------------------------------------------------------------- */

struct answer_rag {
    const char *question;
    const char *index, *dataset; /* one of them, or neither where there is one index */
    uint32_t k;                  /* passages; 0: ANSWER_K */
    const char *model;           /* NULL: the settings'; "auto"; "none": extractive */
    const char *filter;
    bool rerank; /* the language model orders the passages first */
    const char *actor;
    const char *replay_of;
    /* The passages of an answer that was given, instead of a search; NULL: search. */
    const struct answer_record *passages_of;
};
/* Answers, records, tells the outcome. All of *ret is the arena's. */
enum tn_code answer_rag(struct answer_service *service, const struct answer_rag *rag,
                        const struct answer_listener *listener, struct tn_arena *arena, struct answer_record *ret,
                        struct tn_error *err) TN_CHECKED;
/* The answer as POST /rag gives it. */
void answer_rag_write(const struct answer_record *record, struct tn_json *out);

/* ---- ask --------------------------------------------------------------------- */

#define ANSWER_ASK_ROWS 100 /* rows of a result, unless the question says how many */

struct answer_ask {
    const char *question;
    const char *model;           /* as for rag; but without a model nothing can be asked (TN_EREFUSED) */
    const char *const *datasets; /* the only ones that may be read; none: all */
    size_t dataset_count;
    uint64_t limit;            /* rows; 0: ANSWER_ASK_ROWS */
    uint64_t timeout_ms;       /* of the SQL; 0: none */
    const atomic_bool *cancel; /* of the SQL; may be NULL */
    const char *actor, *replay_of;
    const struct answer_record *as_of; /* read what this answer read; NULL: the newest */
    /* What is done, as it is done: "sql" {"sql"}, "retry" {"sql","error"}, "rows"
     * {"columns","rows","row_count","truncated"}. May be NULL; not TN_OK ends the call. */
    enum tn_code (*step)(void *context, const char *event, const char *json, size_t length);
    void *context;
};
struct answer_attempt {
    const char *sql;   /* NULL: the model wrote none */
    const char *error; /* NULL: it ran */
};
struct answer_asked {
    struct answer_record record;
    const char *columns, *rows; /* JSON arrays; "[]" without rows */
    bool truncated;
    const struct answer_attempt *attempts;
    size_t attempt_count;
    /* TN_OK: there are rows, or the model said why there can be none (record.refused).
     * Else there is no answer: TN_ESQLREFUSED, the guard refused the model's SQL, which
     * was not run; TN_EREFUSED, no SQL, or none that runs. */
    struct tn_error problem;
};
/* Question to SQL to rows to a sentence; records, tells the outcome. All of *ret
 * is the arena's. A model that cannot be reached, time-outs and the like are
 * errors of the call. */
enum tn_code answer_ask(struct answer_service *service, const struct answer_ask *ask, const volatile bool *cancel,
                        struct tn_arena *arena, struct answer_asked *ret, struct tn_error *err) TN_CHECKED;
/* The members of the answer as POST /ask gives it, into an object that is open. */
void answer_ask_write(const struct answer_asked *asked, struct tn_json *out);

/* ---- again --------------------------------------------------------------------- */

/* Asks the same again and says what is different: an object with "then", "now"
 * (records), "changed" (a list of what) and its parts: snapshots, generation,
 * model, prompt, chunks {came, left, changed, moved}, rows, text. `as_then`: over
 * the data as they were, where they can still be had (TN_ESNAPSHOT where not),
 * so that what differs is the model's doing. `model` NULL: as the request said. */
struct answer_again {
    const char *id;
    bool as_then;
    const char *model;
    const char *actor;
    const volatile bool *cancel;
};
enum tn_code answer_replay(struct answer_service *service, const struct answer_again *again, struct tn_json *out,
                           struct tn_error *err) TN_CHECKED;

#endif
