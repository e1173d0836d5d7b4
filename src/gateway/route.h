/* The route table's rows, and finding one.
 *
 * A template is literal segments and {names}: "/catalog/datasets/{dataset}".
 * A name stands for exactly one whole, non-empty segment. Of two templates
 * that fit, the one with the earlier literal wins.
 */
#ifndef TARN_GATEWAY_ROUTE_H
#define TARN_GATEWAY_ROUTE_H

#include "gateway/http_text.h"

struct request;
/* Runs on a pool thread (ROUTE_INLINE: on an event thread). On success the
 * reply stands in the request; an error becomes the problem document. */
typedef enum tn_code route_handler(struct request *request, struct tn_error *err);

enum route_flag {
    ROUTE_OPEN = 1,      /* needs no token */
    ROUTE_INLINE = 2,    /* so short that it runs on the event thread; never waits */
    ROUTE_WRITE = 4,     /* honours Idempotency-Key */
    ROUTE_JSON = 8,      /* takes a JSON body */
    ROUTE_FORM = 16,     /* takes a form body (or JSON) */
    ROUTE_UPLOAD = 32,   /* takes a file, streamed to `upload` */
    ROUTE_LENIENT = 64,  /* ignores unknown parameters, as the Iceberg clients need */
    ROUTE_ICEBERG = 128, /* errors in the REST catalog's shape */
    ROUTE_QUERY = 256,   /* its errors and ends may come after the headers */
    ROUTE_JOB = 1024,    /* may answer 202 with a job */
    ROUTE_OPENAI = 512,  /* errors in OpenAI's shape */
    ROUTE_OAUTH = 2048,  /* errors in OAuth's shape */
};

struct route_param {
    const char *name;
    const char *schema; /* JSON schema */
    const char *help;
    const char *in; /* NULL: query; "path", "header" */
    bool required;
};

struct route {
    const char *method, *path;
    const char *id; /* operationId, and the route's name in the metrics */
    const char *tag;
    const char *summary; /* one line; for the command line's help too */
    const char *description;
    const struct route_param *params;
    size_t param_count;
    const char *request;  /* JSON schema or NULL */
    const char *response; /* JSON schema of the 200; NULL: `media` says all */
    const char *media;    /* media types of the 200, comma separated; NULL: application/json */
    unsigned flags;
    route_handler *handler;
    route_handler *start; /* ROUTE_UPLOAD: before the first byte */
};

#define PARAMS(list) .params = (list), .param_count = TN_COUNT(list)
extern const struct route_param route_wait_params[1];   /* of what answers with a job */
extern const struct route_param route_reason_params[1]; /* of what is journaled */
#define ROUTE_REASON_REQUEST                                                                                         \
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"reason\":{\"type\":\"string\"}}}"

struct route_table {
    const struct route *routes;
    size_t count;
};

#define ROUTE_CAPTURES_MAX 4
struct route_match {
    const struct route *route;
    size_t index;                             /* of the route in the table */
    const char *captures[ROUTE_CAPTURES_MAX]; /* borrowed from the target, in the template's order */
    size_t capture_count;
};

/* HEAD finds GET's. TN_ENOTFOUND (with the nearest path as a hint) or
 * TN_EMETHOD; then *ret_allow is the Allow header's value, the arena's. */
enum tn_code route_find(struct route_table table, struct tn_arena *arena, const char *method,
                        const struct http_target *target, struct route_match *ret, const char **ret_allow,
                        struct tn_error *err) TN_CHECKED;
/* Refuses query parameters that the route does not have, by name. */
enum tn_code route_check_params(const struct route *route, const struct http_target *target,
                                struct tn_error *err) TN_CHECKED;

/* The OpenAPI 3.1 document of a table. */
void openapi_write(struct route_table table, const char *version, struct tn_buf *out);

/* The gateway's own table (routes.c). */
struct route_table gateway_routes(void);

#endif
