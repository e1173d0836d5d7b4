/* The service inside: what its parts share.
 *
 *   open.c     a lake becomes a gateway, and stops being one
 *   lakedir.c  the folder: skeleton, lock, run file
 *   server.c   libmicrohttpd: connections and its callbacks
 *   begin.c    a request's headers judged: Host, Origin, route, size, token
 *   request.c  a request's life: body, task, answer, end
 *   upload.c   bodies that are streamed to a handler
 *   stream.c   answers that are computed while they are sent
 *   push.c     answers that a call writes piece by piece
 *   reply.c    answers handed to libmicrohttpd
 *   warm.c     datasets bound before they are asked for
 *   watch.c    deadlines, clients that went away, slow ones
 *   event.c    requests that wait for a job, and streams of its events
 *   h_*.c      the handlers
 *
 * Threads. libmicrohttpd's event threads call server.c and never wait. Each
 * request belongs to its connection's event thread, except while a task of the
 * gateway's pool runs for it: then the connection is suspended (or, in an
 * upload or a streamed answer, only the buffers that request.lock guards are
 * shared). The lock order is gateway.watch_lock, gateway.event_lock,
 * request.lock, then whatever libmicrohttpd takes inside suspend and resume.
 *
 * A request is counted: one reference for its connection, one for a task under
 * way, one for an answer that libmicrohttpd still reads from.
 */
#ifndef TARN_GATEWAY_GATEWAY_INTERNAL_H
#define TARN_GATEWAY_GATEWAY_INTERNAL_H

#include "gateway/gateway.h"
#include "gateway/http_text.h"
#include "gateway/idempotency.h"
#include "gateway/metrics.h"
#include "gateway/problem.h"
#include "gateway/results.h"
#include "gateway/route.h"
#include "gateway/tokens.h"
#include "index/index.h"
#include "ingest/ingest.h"
#include "job/job.h"
#include "model/model.h"
#include "outcome/outcome.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

struct MHD_Connection;
struct answer_service;
struct MHD_Daemon;
struct connection;

/* Answers that language models write at once. */
#define GATEWAY_PUSHES_MAX 8

struct gateway_limits {
    size_t max_body, max_header;
    uint64_t max_upload; /* 0: none */
    uint64_t header_timeout_ns, idle_timeout_ns, drain_ns, min_rate, heartbeat_ns;
    uint64_t sql_timeout_ms, sql_max_rows;
    int64_t max_rejects;
    int max_ingests;
};

struct gateway {
    struct lake lake;
    struct tn_pool *requests; /* handlers and fill tasks; they may wait for the engine, so it has many threads */
    struct tn_pool *behind;   /* embeds for jobs, beside their own threads; NULL: those are enough */
    struct tn_arena *arena;   /* the gateway's own texts */
    const char *folder;       /* absolute */
    int lock_fd;
    bool embedded;
    struct gateway_limits limits;
    struct http_site site;
    const char *url, *cookie;
    uint16_t port;
    char token[TOKEN_TEXT]; /* the one to show; "" when there is none */
    char local_token[TOKEN_TEXT];
    struct tokens *tokens;
    struct idempotency *kept;
    struct results *results; /* of queries; NULL: none are kept */
    struct metrics *metrics;
    struct route_table routes;
    struct tn_buf openapi;
    struct dataset_upkeep *upkeep; /* NULL: none is wanted */
    struct outcome_store *outcomes;
    struct job_service *jobs;
    struct postgres_passwords *postgres_passwords; /* of job_postgres.c */
    pthread_mutex_t event_lock;                    /* the list of who waits for jobs */
    struct event *events;
    struct model_service *models;
    struct index_service *indexes;
    struct answer_service *answers;
    struct dataset_extra searches; /* of SQL */
    struct dataset_extra trials;   /* of SQL too, and behind it those of outcome */
    struct MHD_Daemon *daemon;
    char *tls_cert, *tls_key;
    int stop_fd; /* eventfd: written by gateway_request_stop */
    int64_t started_us;
    atomic_bool draining;
    atomic_int ingests, small_engines, pushes;

    pthread_t watch_thread;
    bool watching;
    pthread_mutex_t watch_lock; /* connections, and their requests' places in them */
    pthread_cond_t watch_wake;
    bool watch_ending;
    struct connection *connections;
    size_t connection_count, request_count;
};

/* One TCP connection; everything under watch_lock, fd while it is listed. */
struct connection {
    struct connection *prev, *next;
    struct gateway *gateway;
    struct request *request; /* whose answer is not complete, or NULL */
    int fd;
    uint64_t since_ns; /* of the connection, or of its last answer's end */
};

/* ---- answers ------------------------------------------------------------- */

/* Bytes that a handler computes while they are sent. All three run on a pool
 * thread, one at a time. A fill that adds nothing and is not done is not called
 * again before stream_wake. */
struct stream {
    void *context;
    enum tn_code (*fill)(void *context, size_t target, struct tn_buf *out, bool *ret_done, struct tn_error *err);
    /* Says in the body's own format that it broke off; then the transfer is
     * cut, so that nobody takes it for complete. */
    void (*fail)(void *context, const struct tn_error *error, const char *request_id, struct tn_buf *out);
    void (*free)(void *context);
};

#define REPLY_HEADERS_MAX 8
struct reply {
    unsigned status;   /* 0: none yet */
    const char *media; /* static */
    const char *csp;   /* NULL: the strictest */
    struct tn_buf body;
    struct http_pair headers[REPLY_HEADERS_MAX];
    size_t header_count;
    struct stream stream;
    int fd; /* a file instead of body; -1 for none */
    uint64_t fd_size;
};

enum cancel_reason { CANCEL_NONE, CANCEL_CLIENT, CANCEL_GONE, CANCEL_DEADLINE, CANCEL_SHUTDOWN };

enum body_kind {
    BODY_DISCARD, /* none is wanted */
    BODY_BUFFER,  /* kept in `body`, at most limits.max_body */
    BODY_UPLOAD,  /* streamed */
};

struct request {
    struct gateway *gateway;
    struct MHD_Connection *mhd;
    struct connection *connection;
    struct tn_arena *arena; /* the event thread's until the task begins, then the task's */
    char id[64];
    const char *raw_target, *method;
    struct http_target target;
    struct route_match match;
    const char *content_type, *idempotency_header, *accept, *if_none_match, *if_match, *authorization;
    const char *last_event_id, *cache_control;
    const char *user_agent;
    bool expects_continue;
    uint64_t promised_bytes; /* by Content-Length */
    struct token_identity actor;
    const char *pending_token; /* to be verified before anything else */
    uint64_t started_ns;
    bool verifying;  /* suspended before the body, until its token is known */
    bool must_close; /* where this request ends on the connection is not certain */
    bool answered, failed, keep_answer;
    atomic_bool begun;     /* the headers were judged: id and match stand */
    struct tn_error error; /* when failed */
    struct idempotency_key kept_key;

    enum body_kind body_kind;
    struct tn_buf body;
    atomic_ullong body_bytes;
    uint64_t discarded;
    atomic_bool body_ended;

    /* Uploads: set by route->start on a pool thread. */
    void *upload;
    enum tn_code (*upload_feed)(struct request *request, const void *bytes, size_t count, struct tn_error *err);
    void (*upload_free)(void *upload);
    bool upload_started;
    struct tn_buf upload_work;
    struct tn_hash *upload_hash; /* of what was fed, for kept_key; the arena's. NULL: not wanted */

    route_handler *parked; /* what makes the answer once the job of `event` has ended; NULL: not parked */
    struct event *event;

    struct reply reply;
    size_t sent_at; /* of reply.body, when it is a stream's front buffer */
    atomic_bool cancel;
    atomic_ullong deadline_ns; /* 0: none */
    atomic_ullong bytes_out;

    pthread_mutex_t lock; /* all below */
    unsigned refs;
    bool suspended, task_running, done, gone;
    enum cancel_reason cancelled;
    void (*cancel_fn)(void *);
    void *cancel_context;
    struct tn_buf upload_in;
    struct tn_buf stream_back;
    bool stream_ready, stream_filling, stream_ended, stream_resting, stream_woken;
    atomic_bool stream_failed; /* of uploads too: set under the lock, read without */
};

/* ---- request.c ------------------------------------------------------------- */

struct request *request_new(struct gateway *gateway, struct MHD_Connection *mhd, const char *raw_target);
void request_ref(struct request *request);
void request_unref(struct request *request);
/* Event thread: each says whether the connection may go on. */
bool request_take_body(struct request *request, const char *bytes, size_t *count);
bool request_continue(struct request *request);
/* Event thread, connection completed. */
void request_completed(struct request *request, bool well);
/* Any thread. Later reasons do not replace an earlier one. */
void request_cancel(struct request *request, enum cancel_reason reason);
/* What request_cancel calls, until it is set again (NULL: nothing). Called at
 * once when the request is cancelled already. */
void request_on_cancel(struct request *request, void (*fn)(void *), void *context);
/* Task or event thread: the connection waits for request_resume; request.lock
 * is held. */
void request_suspend_locked(struct request *request);
void request_resume_locked(struct request *request);
/* Pool thread: handler, answer, resume. */
void request_run(struct request *request);
/* The same for a request that was parked; a task that takes its reference. */
void request_run_parked(void *request);
/* What really happened when the engine says "cancelled". */
void request_explain_cancel(struct request *request, struct tn_error *err);

/* ---- begin.c --------------------------------------------------------------- */

/* Judges the headers; on failure the error stands in the request. */
void request_begin(struct request *request, const char *method, const char *version);
/* Verifies pending_token; pool thread. */
void request_verify_token(struct request *request);

/* ---- upload.c, stream.c ---------------------------------------------------- */

bool upload_take(struct request *request, const char *bytes, size_t *count);
void upload_end(struct request *request);
/* One more ingest runs, within ingest.max_running; *counted says, also on failure,
 * that it is to be counted out. */
enum tn_code ingests_count_in(struct gateway *gateway, bool *counted, struct tn_error *err) TN_CHECKED;
/* What auto_embed= says: "true" or "false". */
enum tn_code embed_word(const char *value, const char **ret, struct tn_error *err) TN_CHECKED;
/* The dataset says so from now on. TN_EDATASET. */
enum tn_code embed_remember(struct request *request, const char *dataset, const char *word,
                            struct tn_error *err) TN_CHECKED;
/* The same for the dataset that the answer, complete in `json`, names in `member`, and adds to the answer
 * which indexes that dataset has. */
enum tn_code embed_as_said(struct request *request, const char *member, const char *word, struct tn_json *json,
                           struct tn_error *err) TN_CHECKED;
void ingests_count_out(struct gateway *gateway);

/* Computes the beginning of a streamed answer; short ones become plain. */
void stream_begin(struct request *request);
/* libmicrohttpd's reader: bytes copied, or STREAM_*. */
#define STREAM_WAIT  0
#define STREAM_END   (-1)
#define STREAM_BREAK (-2)
ssize_t stream_read(struct request *request, char *out, size_t max);

/* A stream that has nothing yet may have something now. Any thread; the caller
 * keeps the request from being freed by what the stream's `free` waits for. */
void stream_wake(struct request *request);

/* ---- event.c: waiting for jobs without a thread --------------------------------- */

/* Handlers end in this: 202 with the job's id, or, with ?wait=SECONDS, what the
 * job came to when it ends in that time: its result, or its error. The route
 * has the flag ROUTE_JOB and the parameter `wait`. */
enum tn_code job_reply(struct request *request, const char *id, struct tn_error *err) TN_CHECKED;
/* The request is answered by `then`, on a pool thread, when the job has ended,
 * at the latest after so many seconds, or when the client or the server goes. */
void event_wait(struct request *request, const char *id, uint64_t seconds, route_handler *then);
/* request_run: the handler has returned. */
void event_park(struct request *request);
/* Makes the answer a stream of the job's events. */
enum tn_code event_stream(struct request *request, const char *id, struct tn_error *err) TN_CHECKED;
/* Ten times a second, by the watch. */
void event_tick(struct gateway *gateway);

/* ---- job_compact.c: jobs that the gateway itself brings ---------------------------- */

void job_kinds_add(struct gateway *gateway);
enum tn_code compact_later(struct request *request, const char *dataset, const struct dataset_compaction *options,
                           struct tn_error *err) TN_CHECKED;
/* job_postgres.c */
void postgres_job_add(struct gateway *gateway);
void postgres_passwords_free(struct gateway *gateway);
/* job_ocr.c */
void ocr_job_add(struct gateway *gateway);
/* After an ingest that kept scans: queues a job where the settings and the machine say so; else the id is "". */
enum tn_code ocr_after_ingest(struct request *request, const char *dataset, char ret_id[JOB_ID_TEXT],
                              struct tn_error *err) TN_CHECKED;
/* What tarn.yaml says (documents.*). */
struct document_limits document_limits_of(const struct tn_config *config);
/* The journal tells a compaction that somebody asked for as soon as it is answered. */
void compact_tell(struct gateway *gateway, const char *dataset, const struct dataset_compacted *done);
/* The answer to a compaction. */
void compact_json(const char *dataset, const struct dataset_compacted *done, struct tn_json *json);

/* routes_writes.c, routes_jobs.c: parts of the table. */
struct route_table gateway_write_routes(void);
struct route_table gateway_outcome_routes(void); /* routes_outcomes.c */
struct route_table gateway_job_routes(void);
struct route_table gateway_iceberg_routes(void);
struct route_table gateway_search_routes(void);
struct route_table gateway_trials_routes(void);
struct route_table gateway_version_routes(void);
struct route_table gateway_answer_routes(void);
struct route_table gateway_ask_routes(void);
struct route_table gateway_document_routes(void);
struct route_table gateway_postgres_routes(void);
struct route_table gateway_ai_routes(void);

/* ---- reply.c --------------------------------------------------------------- */

/* For handlers. Texts are the arena's or static. */
struct tn_json reply_json(struct request *request); /* 200, application/json; writes to the body */
void reply_header(struct request *request, const char *name, const char *value);
void reply_status(struct request *request, unsigned status, const char *media);
/* Replaces whatever the reply was by the error's document. */
void reply_error(struct request *request, const struct tn_error *error);
void reply_release(struct reply *reply);
/* Event thread: hands the reply to libmicrohttpd. */
bool reply_queue(struct request *request);

/* Parameters with a table of refusals: outputs of absent ones keep their value. */
enum tn_code request_param_u64(struct request *request, const char *name, uint64_t max, uint64_t *ret,
                               struct tn_error *err) TN_CHECKED;
/* The JSON object of the body, strictly; the caller's. */
enum tn_code request_json(struct request *request, json_t **ret, struct tn_error *err) TN_CHECKED;
/* The same where no body is as good as {}. */
enum tn_code request_optional_json(struct request *request, json_t **ret, struct tn_error *err) TN_CHECKED;
/* The member "as_of" of a body: a snapshot id (a number, or a text), a time or a name. NULL for none; borrowed. */
enum tn_code request_as_of(struct request *request, const json_t *value, const char **ret,
                           struct tn_error *err) TN_CHECKED;
/* What the parameter `reason` or the member of an optional body says, and `workspace` where it may be
 * said (else NULL); NULL for what is not given. Texts are the arena's. */
enum tn_code request_reason(struct request *request, const char **ret_reason, const char **ret_workspace,
                            struct tn_error *err) TN_CHECKED;
/* How a change came: "cli" from the command line, else "api". Static. */
const char *request_source(const struct request *request) __attribute__((returns_nonnull));
/* TN_EREQUEST for a reason or workspace (of the parameters; of `body` where it is not NULL) that is too long. */
enum tn_code request_check_words(const struct request *request, const json_t *body, struct tn_error *err) TN_CHECKED;
/* Refuses a body where a route that writes takes none; {} and space are none. */
enum tn_code request_check_spare(const struct request *request, struct tn_error *err) TN_CHECKED;
/* If-Match: "SNAPSHOT", without the quotes too; 0 for none and for *. */
enum tn_code request_if_match(const struct request *request, int64_t *ret, struct tn_error *err) TN_CHECKED;

/* ---- watch.c --------------------------------------------------------------- */

enum tn_code watch_start(struct gateway *gateway, struct tn_error *err) TN_CHECKED;
void watch_stop(struct gateway *gateway);
void watch_connection_opened(struct gateway *gateway, struct connection *connection);
void watch_connection_closed(struct connection *connection);
void watch_request_began(struct request *request);
void watch_request_ended(struct request *request);
/* Cancels the running requests with this id; how many. Not the asker's own. */
size_t watch_cancel_id(struct gateway *gateway, const char *id, const struct request *asker);
/* Waits until nothing runs, or until then; whether nothing runs. */
bool watch_wait_idle(struct gateway *gateway, uint64_t until_ns);
void watch_cancel_all(struct gateway *gateway);
/* Ends the sockets that wait without a request (or all of them). */
void watch_shut_connections(struct gateway *gateway, bool busy_too);

/* ---- server.c, lakedir.c --------------------------------------------------- */

enum tn_code server_start(struct gateway *gateway, struct tn_error *err) TN_CHECKED;
/* No more connections; then, when nothing is suspended, the end. */
void server_stop_listening(struct gateway *gateway);
void server_stop(struct gateway *gateway);

enum tn_code lakedir_prepare(const char *folder, bool create, bool commented, struct tn_arena *arena,
                             const char **ret_absolute, struct tn_error *err) TN_CHECKED;
enum tn_code lakedir_lock(struct gateway *gateway, struct tn_error *err) TN_CHECKED;
enum tn_code lakedir_write_run_file(struct gateway *gateway, const char *path, const char *token,
                                    struct tn_error *err) TN_CHECKED;
void lakedir_remove_run_file(struct gateway *gateway);

/* h_query.c: the rows of this text, in the form that the request accepts. Guarded. */
enum tn_code query_answer(struct request *request, const char *sql, const char *as_of,
                          struct tn_error *err) TN_CHECKED;

/* ---- small_engine.c -------------------------------------------------------- */

/* An engine of its own for one query that wants less memory than the lake's
 * engine has: the limit is then a hard one, whatever else runs. A few at once;
 * TN_EBUSY beyond. */
struct small_engine;
enum tn_code small_engine_open(struct gateway *gateway, uint64_t memory_bytes, struct small_engine **ret,
                               struct tn_error *err) TN_CHECKED;
void small_engine_close(struct small_engine *small);
TN_DEFINE_CLEANUP(struct small_engine, small_engine_close)
struct engine *small_engine_of(const struct small_engine *small);

/* ---- warm.c ------------------------------------------------------------------ */

/* Begins to bind the datasets in the background. */
void warm_start(struct gateway *gateway);

/* h_system.c: what small writes have left behind, as an object. */
void debt_json(const struct dataset_debt *debt, struct tn_json *json);

/* ---- handlers -------------------------------------------------------------- */

route_handler h_page, h_login, h_health, h_metrics, h_openapi, h_system;
route_handler h_documents_start, h_documents, h_ocr;
route_handler h_ingest_postgres;
route_handler h_query_sql, h_query_explain, h_query_cancel;
route_handler h_ingest_start, h_ingest_file, h_preview_start, h_ingest_preview, h_ingest_rejects;
route_handler h_dataset_list, h_dataset_get, h_dataset_patch, h_dataset_delete, h_dataset_snapshots, h_dataset_sample;
route_handler h_rows_append_start, h_rows_upsert_start, h_rows_patch_start, h_rows_write, h_rows_delete,
    h_rows_delete_where;
route_handler h_job_list, h_job_get, h_job_cancel, h_job_change, h_job_pause, h_job_resume, h_job_log, h_job_events;
route_handler h_compact, h_expire, h_restore, h_pin, h_unpin, h_journal, h_history;
route_handler h_tags, h_tag_get, h_tag_set, h_tag_drop;
route_handler h_ai_providers, h_ai_models, h_ai_accept, h_ai_default, h_ai_import, h_ai_embed, h_ai_generate,
    h_openai_models, h_openai_embeddings, h_openai_chat;
route_handler h_index_create, h_index_list, h_index_get, h_index_drop, h_index_refresh, h_index_fold,
    h_index_evaluate, h_vector_search, h_search;
/* h_journal.c: the rows of a query, under the guard, as JSON objects, one a line. */
enum tn_code ask_lines(struct request *request, const char *sql, const json_t *params, struct tn_buf *out,
                       struct tn_error *err) TN_CHECKED;
route_handler h_versions, h_version_add, h_version_serve, h_search_hold;
route_handler h_trial_start, h_trials, h_trials_compact, h_promote, h_rollback, h_generations;
route_handler h_token_list, h_token_add, h_token_revoke;
route_handler h_iceberg_config, h_iceberg_oauth, h_iceberg_namespaces, h_iceberg_namespace, h_iceberg_namespace_head,
    h_iceberg_tables, h_iceberg_table, h_iceberg_table_head;
route_handler h_iceberg_namespace_create, h_iceberg_namespace_drop, h_iceberg_namespace_update, h_iceberg_views,
    h_iceberg_view, h_iceberg_view_create, h_iceberg_table_create, h_iceberg_register, h_iceberg_table_drop,
    h_iceberg_rename, h_iceberg_metrics, h_iceberg_commit, h_iceberg_transaction;

#endif
