/* cli: requests to a Tarn server.
 *
 * One client keeps one connection alive. Bodies stream both ways: an upload is
 * pulled from a callback or a descriptor, an answer is pushed into a sink.
 * What the server says went wrong (problem+json) arrives as a struct tn_error
 * with its code, hint and position, as if the server's function had been
 * called here.
 *
 * Threads: one at a time, except client_interrupt, which is safe in a signal
 * handler.
 */
#ifndef TARN_CLI_CLIENT_H
#define TARN_CLI_CLIENT_H

#include "base/base.h"

struct client;

/* `token` may be NULL. Nothing is opened yet. */
enum tn_code client_new(const char *url, const char *token, struct client **ret, struct tn_error *err) TN_CHECKED;
void client_free(struct client *client);
TN_DEFINE_CLEANUP(struct client, client_free)
const char *client_url(const struct client *client);

/* Takes a piece of the answer. */
typedef enum tn_code client_sink_fn(void *context, const char *bytes, size_t count, struct tn_error *err);
/* Fills `out` with up to `room` bytes; *ret_count 0 ends the body. */
typedef enum tn_code client_source_fn(void *context, char *out, size_t room, size_t *ret_count, struct tn_error *err);

struct client_request {
    const char *method; /* "GET" */
    const char *path;   /* "/query/sql?..." (see client_path) */
    const char *accept; /* NULL: application/json */
    const char *content_type;
    /* The body: either bytes, or a source. */
    const char *body;
    size_t body_length;
    client_source_fn *source;
    void *source_context;
    int64_t source_size; /* -1 when not known */
    /* The answer: to a sink, else kept (at most 64 MB). Errors never go there. */
    client_sink_fn *sink;
    void *sink_context;
    /* Called about ten times a second with the bytes sent so far. */
    void (*progress)(void *context, uint64_t sent, bool all_sent);
    void *progress_context;
    /* Sent when client_interrupt was called meanwhile: a path to DELETE, so
     * that the server ends the work and answers. NULL: just hang up. */
    const char *cancel_path;
    const char *request_id; /* NULL: the server makes one */
};

struct client_reply {
    long status;
    struct tn_buf body; /* empty when there was a sink */
};
void client_reply_release(struct client_reply *reply);
#define CLIENT_AUTO_REPLY TN_CLEANUP(client_reply_release) struct client_reply

/* TN_EUNREACHABLE when nobody answers; TN_ECANCELLED after an interrupt; the
 * server's own code when it refuses. */
enum tn_code client_send(struct client *client, const struct client_request *request, struct client_reply *ret,
                         struct tn_error *err) TN_CHECKED;
/* GET (or `method` with a JSON body that may be NULL), answer parsed; the
 * caller's (json_decref). */
enum tn_code client_json(struct client *client, const char *method, const char *path, const json_t *body,
                         json_t **ret, struct tn_error *err) TN_CHECKED;

/* Ends the request that runs now, if any. */
void client_interrupt(void);
/* Forgets an interrupt that met no request. */
void client_interrupt_clear(void);
bool client_interrupted(void);

/* Path and query from pieces: client_path(arena, "/catalog/datasets/", name,
 * "?limit=", "5", NULL): every second piece is escaped. */
char *client_path(struct tn_arena *arena, const char *piece, ...) __attribute__((sentinel, returns_nonnull));

/* Reads a problem+json body into err; for other bodies, the status decides. */
enum tn_code client_problem(long status, const char *body, size_t length, struct tn_error *err);

#endif
