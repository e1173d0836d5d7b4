/* Inside answer.
 *
 *   service.c   open, close, settings
 *   log.c       segments of frames on disk: appended, indexed, read, dropped
 *   record.c    a record as JSON, and back; store.c: save, load, list, feedback
 *   call.c      which model, one call of it, what it cost, its outcome
 *   words.c     words and sentences of a text
 *   sources.c   hits to numbered passages: near copies out, neighbours joined, packed
 *   weak.c      whether what was found is worth asking a model about
 *   prompt.c    the prompt
 *   cite.c      what a model said, held against the passages
 *   extract.c   the answer without a model
 *   near.c      how near its sentences are to the question
 *   rag.c       from question to record; replay.c: again, and what changed
 *   ask*.c      questions to SQL
 */
#ifndef TARN_ANSWER_ANSWER_INTERNAL_H
#define TARN_ANSWER_ANSWER_INTERNAL_H

#include "answer/answer.h"
#include "answer/log.h"

#include <pthread.h>
#include <stdatomic.h>

struct answer_service {
    struct answer_options options; /* texts: the arena's */
    struct tn_arena *arena;
    struct ask_cache *asks; /* what columns hold */
    struct answer_log *log;
    struct near_cache *near;     /* vectors of sentences */
    pthread_mutex_t models_lock; /* the candidates that are offered, asked for again after a while */
    char **offered;
    size_t offered_count;
    uint64_t offered_ns; /* when; 0: never */
};

/* ---- near.c ---------------------------------------------------------------------- */

/* Vectors of the sentences that were looked at last, a few thousand of them, by
 * the model's version and the text. Any thread. */
struct near_cache;
struct near_cache *near_cache_new(void) __attribute__((returns_nonnull));
void near_cache_free(struct near_cache *cache);
TN_DEFINE_CLEANUP(struct near_cache, near_cache_free)
struct near_key {
    uint64_t hash[2];
};
struct near_key near_key_of(const char *version, const char *text, size_t length);
bool near_cache_get(struct near_cache *cache, const struct near_key *key, size_t dimension, float *out);
void near_cache_put(struct near_cache *cache, const struct near_key *key, size_t dimension, const float *vector);

/* ---- call.c: models ----------------------------------------------------------- */

/* The model that answers a request. `wanted`: a name, "auto", "none", or NULL
 * for the settings'. Without any language model *ret_name is NULL and the choice
 * says why: rag is extractive then, ask refuses (TN_EREFUSED, 422). A model that
 * is named and not there is TN_ENOTFOUND. `task`: "rag", "ask". */
struct answer_model {
    const char *name, *version; /* the arena's; NULL: none */
    uint32_t max_tokens;        /* that it reads; 0: unknown */
    bool named;                 /* the caller wants this one and no other */
    struct answer_choice choice;
};
enum tn_code answer_model_choose(struct answer_service *service, const char *task, const char *wanted,
                                 struct tn_arena *arena, struct answer_model *ret, struct tn_error *err) TN_CHECKED;

/* One call of a model within the settings' time. Its use is added to `usage`.
 * `piece` may be NULL. The outcome is not recorded here: a question may need
 * several calls, and is one trial. */
struct answer_call {
    const char *model;
    const struct model_message *messages;
    size_t count;
    uint32_t max_tokens; /* 0: the settings' */
    bool json;
    const volatile bool *cancel;
    enum tn_code (*piece)(void *context, const char *text, size_t length);
    void *context;
};
enum tn_code answer_model_call(struct answer_service *service, const struct answer_call *call,
                               struct tn_buf *ret_text, struct model_usage *usage, struct tn_error *err) TN_CHECKED;

/* What became of the question, once the record has its id: one trial of
 * record->model, none when there is no model or the caller went away. A failure
 * of the outcome store is logged, not told. `failed`: TN_OK, or what broke it off. */
void answer_outcome(struct answer_service *service, const struct answer_record *record, bool success,
                    enum tn_code failed);
/* Dollars by the settings' prices; 0 for a model without one. */
double answer_cost(const struct answer_service *service, const char *model, const struct model_usage *usage);

/* ---- kinds.c: what can be asked again --------------------------------------------- */

/* `again` makes a new record of what a record asked, and saves it. */
struct answer_kind {
    const char *name; /* record.kind */
    enum tn_code (*again)(struct answer_service *service, const struct answer_record *then,
                          const struct answer_again *how, struct tn_arena *arena, struct answer_record *ret_now,
                          struct tn_error *err);
    /* Writes what the statement of the record gives now, against then; NULL: the
     * kind has none. What keeps it from running is part of what it writes. */
    void (*statement)(struct answer_service *service, const struct answer_record *then, struct tn_arena *arena,
                      struct tn_json *out);
};
extern const struct answer_kind answer_kind_rag, answer_kind_ask;
/* NULL: no such kind. */
const struct answer_kind *answer_kind_find(const char *name);

/* ---- record.c: parts of a record that answers to requests show too ------------------ */

void answer_put_snapshots(const struct answer_record *record, struct tn_json *out);
void answer_put_citations(const struct answer_record *record, struct tn_json *out); /* dropped and warnings too */
void answer_put_evidence(const struct answer_record *record, struct tn_json *out);
void answer_put_choice(const struct answer_record *record, struct tn_json *out); /* usage too */

/* ---- prompt.c: data inside a prompt ------------------------------------------------ */

/* A number of this request, that no document can know. */
#define ANSWER_NONCE 17
void answer_nonce(char out[ANSWER_NONCE]);
/* "<<<WHAT NUMBER nonce>>>", the text with what resembles a delimiter taken apart
 * and control characters left out, "<<<END nonce>>>". */
void answer_put_data(struct tn_buf *out, const char *what, uint32_t number, const char *nonce, const char *text,
                     size_t length);

#endif
