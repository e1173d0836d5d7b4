/* The texts of HTTP: targets, parameters, media types, hosts, cookies.
 *
 * Everything here reads bytes that a stranger sent, needs no server, and is
 * what tests/fuzz/fuzz_http_params.c exercises. Results live in the arena.
 */
#ifndef TARN_GATEWAY_HTTP_TEXT_H
#define TARN_GATEWAY_HTTP_TEXT_H

#include "base/base.h"

#define HTTP_SEGMENTS_MAX 16
#define HTTP_PARAMS_MAX   64

struct http_pair {
    const char *name, *value;
};

/* A request target, "/catalog/datasets/a%2Fb?limit=5", cut first and decoded
 * after, so that an escaped slash stays inside its segment. */
struct http_target {
    const char *segments[HTTP_SEGMENTS_MAX]; /* "/" has none; "/a/" has "a" and "" */
    size_t segment_count;
    struct http_pair params[HTTP_PARAMS_MAX];
    size_t param_count;
};

/* TN_EREQUEST for what is not origin form, bad escapes, NUL, text that is not
 * UTF-8, a parameter given twice, and too many of anything. */
enum tn_code http_target_parse(struct tn_arena *arena, const char *raw, struct http_target *ret,
                               struct tn_error *err) TN_CHECKED;
/* "a=1&b=x+y"; also the body of a form. */
enum tn_code http_params_parse(struct tn_arena *arena, const char *raw, size_t length, struct http_pair *params,
                               size_t *ret_count, struct tn_error *err) TN_CHECKED;
/* NULL when it is not there. */
const char *http_param(const struct http_target *target, const char *name);

/* Which of the offered media types an Accept header likes best; the first one
 * for NULL, "" or a tie. -1 when it accepts none. */
int http_accept_best(const char *accept, const char *const *offers, size_t count);
/* Whether a Content-Type names this media type, parameters aside. */
bool http_media_is(const char *content_type, const char *media);

/* "name:7341", "[::1]:80", "127.0.0.1": the name in lower case without
 * brackets, and the port (0 when there is none). False when it is no host. */
#define HTTP_HOST_MAX 256
bool http_host_parse(const char *host, char name[HTTP_HOST_MAX], uint16_t *ret_port);
bool http_host_is_loopback(const char *name);
bool http_host_is_address(const char *name); /* an IP address and not a name */

/* Who may call and from which pages. Lists are comma separated texts of the
 * configuration, borrowed. */
struct http_site {
    const char *bind;            /* the address that is listened on */
    const char *allowed_hosts;   /* names beside the loopback ones; "*" is every name */
    const char *allowed_origins; /* "https://app.example:8443" */
    bool tls;
};
/* A Host header that this server answers to: a loopback name, the address that
 * it is bound to (any address when bound to all), or a configured name. Names
 * that merely resolve to this machine are refused: that is DNS rebinding. */
bool http_host_allowed(const struct http_site *site, const char *host);
/* An Origin header (NULL is fine) that is this site's own or a configured one. */
bool http_origin_allowed(const struct http_site *site, const char *host, const char *origin);

/* The token of "Bearer TOKEN", else NULL; not copied. */
const char *http_bearer(const char *authorization);
/* The two halves of "Basic BASE64", the arena's. */
bool http_basic(struct tn_arena *arena, const char *authorization, const char **ret_user, const char **ret_secret);
/* The value of a cookie, the arena's; NULL when it is not there. */
const char *http_cookie(struct tn_arena *arena, const char *header, const char *name);

/* 1 to 63 letters, digits, dots, dashes, underscores. */
bool http_request_id_valid(const char *text);
/* 1 to 200 visible ASCII characters. */
bool http_idempotency_key_valid(const char *text);
/* Whether an If-None-Match header names this (quoted) tag. */
bool http_etag_matches(const char *if_none_match, const char *etag);

#endif
