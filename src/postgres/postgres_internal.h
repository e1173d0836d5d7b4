/* Inside postgres: the connection, and waiting for the server. */
#ifndef TARN_POSTGRES_INTERNAL_H
#define TARN_POSTGRES_INTERNAL_H

#include "postgres/postgres.h"

#include <libpq-fe.h>
#include <stdatomic.h>

#define POSTGRES_NOTICES_KEPT 100

struct postgres {
    PGconn *conn;
    PGcancel *cancel;
    char *label, *host, *database, *user;
    char *password; /* for the search of texts only; NULL: none that we know */
    bool (*stopping)(void *context);
    void *context;
    atomic_bool cancelled; /* a cancel was sent for the statement under way */
    char sqlstate[6];
    char **notices;
    size_t notice_first, notice_count;
    char *notice_taken;
    bool copying_out, pipelined;
    char *copied;           /* the last message of a COPY TO STDOUT */
    size_t pending, synced; /* of a pipeline: outcomes and syncs to come */
};

struct postgres_result {
    PGresult *result;
};

static inline void postgres_clear_p(PGresult **result)
{
    PQclear(*result);
}
#define AUTO_RESULT TN_CLEANUP(postgres_clear_p) PGresult

/* url.c: a URL or a list of keywords, taken apart. */
struct postgres_place {
    PQconninfoOption *options;
    const char *host, *port, *database, *user, *password; /* borrowed; host and database never NULL */
};
enum tn_code postgres_place_parse(const char *url, struct postgres_place *ret, struct tn_error *err) TN_CHECKED;
void postgres_place_release(struct postgres_place *place);
char *postgres_place_label(const struct postgres_place *place);
/* secret.c: overwrites and frees. */
void postgres_forget(char **secret);
/* Every occurrence of `secret` (NULL or "": none) becomes "***". */
void postgres_scrub(char *text, const char *secret);

/* errors.c */
enum tn_code postgres_code_of(const char *sqlstate, bool cancelled);
/* Fails with what a result says. */
enum tn_code postgres_fail_result(struct postgres *pg, const PGresult *result, struct tn_error *err);
/* Fails with what the connection says: lost, mostly. */
enum tn_code postgres_fail_connection(struct postgres *pg, struct tn_error *err);
/* Fails with libpq's text of an attempt to connect, verbose form. */
enum tn_code postgres_fail_connect(const struct postgres *pg, const char *text, struct tn_error *err);

/* wait.c: the socket readable (or writable too), in slices. Sends the cancel
 * when `stopping` says so. TN_EUNREACHABLE when a cancelled statement does not
 * end within ten seconds. */
enum tn_code postgres_wait_socket(struct postgres *pg, bool write, struct tn_error *err) TN_CHECKED;
/* What was sent is on its way. */
enum tn_code postgres_flush(struct postgres *pg, struct tn_error *err) TN_CHECKED;
/* The next result, NULL after the last one of a statement. */
enum tn_code postgres_next_result(struct postgres *pg, PGresult **ret, struct tn_error *err) TN_CHECKED;
/* The only result of a statement that was sent; several: the last one, or the
 * first that failed. Ends with the connection free. */
enum tn_code postgres_finish(struct postgres *pg, PGresult **ret, struct tn_error *err) TN_CHECKED;
/* Before a statement is sent: forgets what was said about the last one. */
enum tn_code postgres_ready(struct postgres *pg, struct tn_error *err) TN_CHECKED;

/* query.c: */
#define POSTGRES_PARAMS_MOST 1000
/* Parameters as libpq takes them. */
struct postgres_sent {
    Oid types[POSTGRES_PARAMS_MOST];
    const char *values[POSTGRES_PARAMS_MOST];
    int lengths[POSTGRES_PARAMS_MOST], formats[POSTGRES_PARAMS_MOST];
};
enum tn_code postgres_arrange(const struct postgres_param *params, size_t count, struct postgres_sent **ret,
                              struct tn_error *err) TN_CHECKED;
/* Takes the result; throws it away when `ret` is NULL. */
void postgres_give(PGresult *result, struct postgres_result **ret);

#endif
