/* Headers judged, before a byte of the body is read.
 *
 * The order matters: is this meant for us (framing, Host, Origin), what is it
 * (route, parameters), who asks (token), how much is coming (size). What fails
 * is answered without running anything. */
#include "gateway/gateway_internal.h"

#include <microhttpd.h>
#include <strings.h>

struct headers {
    const char *host, *origin, *authorization, *cookie, *content_length, *transfer_encoding, *request_id, *expect;
    const char *content_encoding, *bucket, *profile;
    struct request *request;
    bool repeated; /* one that decides something stands there twice */
};

static void take(struct headers *headers, const char **slot, const char *value)
{
    headers->repeated |= *slot != NULL;
    *slot = tn_arena_strdup(headers->request->arena, value);
}

static enum MHD_Result on_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct headers *headers = context;
    struct request *request = headers->request;
    (void)kind;
    const struct {
        const char *name;
        const char **slot;
    } wanted[] = {
        {"Host", &headers->host},
        {"Origin", &headers->origin},
        {"Authorization", &headers->authorization},
        {"Cookie", &headers->cookie},
        {"Content-Length", &headers->content_length},
        {"Transfer-Encoding", &headers->transfer_encoding},
        {"X-Request-Id", &headers->request_id},
        {"Expect", &headers->expect},
        {"Content-Encoding", &headers->content_encoding},
        {"X-Lakehouse-Bucket", &headers->bucket},
        {"X-Lakehouse-Profile", &headers->profile},
        {"Content-Type", &request->content_type},
        {"Idempotency-Key", &request->idempotency_header},
        {"Accept", &request->accept},
        {"User-Agent", &request->user_agent},
        {"If-None-Match", &request->if_none_match},
        {"If-Match", &request->if_match},
        {"Last-Event-ID", &request->last_event_id},
        {"Cache-Control", &request->cache_control},
    };
    for (size_t i = 0; i < TN_COUNT(wanted); i++)
        if (strcasecmp(name, wanted[i].name) == 0)
            take(headers, wanted[i].slot, value ? value : "");
    return MHD_YES;
}

/* ---- is this meant for us --------------------------------------------------- */

static enum tn_code check_framing(struct request *request, const struct headers *headers, const char *version,
                                  struct tn_error *err)
{
    if (!tn_streq(version, "HTTP/1.1") && !tn_streq(version, "HTTP/1.0"))
        return tn_fail(err, TN_EREQUEST, "%.20s is not spoken here", version);
    if (headers->repeated)
        return tn_fail(err, TN_EREQUEST, "a header that may stand once stands twice");
    /* Two lengths are how one request is made to look like two. */
    if (headers->content_length && headers->transfer_encoding)
        return tn_fail(err, TN_EREQUEST, "Content-Length and Transfer-Encoding exclude each other");
    if (headers->transfer_encoding && strcasecmp(headers->transfer_encoding, "chunked") != 0)
        return tn_fail(err, TN_EREQUEST, "the only Transfer-Encoding understood is chunked");
    if (headers->content_length && !tn_parse_u64(headers->content_length, &request->promised_bytes))
        return tn_fail(err, TN_EREQUEST, "Content-Length is not a number");
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (size && size->header_size > request->gateway->limits.max_header) {
        (void)tn_fail(err, TN_EHEADERS, "the request line and headers are larger than %zu bytes",
                      request->gateway->limits.max_header);
        tn_error_hint(err, "the setting server.max_header");
        return TN_EHEADERS;
    }
    return TN_OK;
}

static enum tn_code check_site(struct request *request, const struct headers *headers, struct tn_error *err)
{
    const struct http_site *site = &request->gateway->site;
    if (!http_host_allowed(site, headers->host)) {
        (void)tn_fail(err, TN_EFORBIDDEN, "this server does not answer to the host \"%.200s\"",
                      headers->host ? headers->host : "");
        tn_error_hint(err, "name it in the setting server.allowed_hosts if it should");
        return TN_EFORBIDDEN;
    }
    if (!http_origin_allowed(site, headers->host, headers->origin)) {
        (void)tn_fail(err, TN_EFORBIDDEN, "pages of \"%.200s\" may not call this server", headers->origin);
        tn_error_hint(err, "name the origin in the setting server.allowed_origins if they should");
        return TN_EFORBIDDEN;
    }
    if (atomic_load(&request->gateway->draining))
        return tn_fail(err, TN_EUNAVAILABLE, "the server is stopping");
    return TN_OK;
}

/* ---- what is it ------------------------------------------------------------- */

/* A condition that would not be looked at is refused: who sent it relies on it. */
static enum tn_code check_conditions(const struct request *request, struct tn_error *err)
{
    const struct route *route = request->match.route;
    bool honoured = false;
    if (!(route->flags & ROUTE_WRITE) || (route->flags & ROUTE_ICEBERG))
        return TN_OK;
    for (size_t i = 0; i < route->param_count; i++)
        honoured = honoured || tn_streq(route->params[i].name, "If-Match");
    if ((honoured || !request->if_match) && !request->if_none_match)
        return TN_OK;
    tn_fail(err, TN_EREQUEST, "%s %s does not know %s", route->method, route->path,
            request->if_none_match ? "If-None-Match" : "If-Match");
    tn_error_hint(err, "If-Match is for the writes of rows and for restore");
    return TN_EREQUEST;
}

static enum tn_code find_route(struct request *request, struct tn_error *err)
{
    const char *allow = NULL;
    TN_TRY(http_target_parse(request->arena, request->raw_target, &request->target, err));
    enum tn_code code = route_find(request->gateway->routes, request->arena, request->method, &request->target,
                                   &request->match, &allow, err);
    if (allow)
        reply_header(request, "Allow", allow);
    TN_TRY(code);
    TN_TRY(route_check_params(request->match.route, &request->target, err));
    TN_TRY(request_check_words(request, NULL, err));
    TN_TRY(check_conditions(request, err));
    if (request->idempotency_header && !(request->match.route->flags & ROUTE_WRITE))
        request->idempotency_header = NULL;
    if (request->idempotency_header && !http_idempotency_key_valid(request->idempotency_header))
        return tn_fail(err, TN_EREQUEST, "Idempotency-Key has 1 to 200 visible ASCII characters");
    return TN_OK;
}

/* ---- who asks --------------------------------------------------------------- */

static enum tn_code authenticate(struct request *request, const struct headers *headers, struct tn_error *err)
{
    struct tokens *tokens = request->gateway->tokens;
    if (request->match.route->flags & ROUTE_OPEN)
        return TN_OK;
    const char *token = http_bearer(headers->authorization);
    if (token) {
        if (!tokens_recall(tokens, token, &request->actor))
            request->pending_token = token;
        return TN_OK;
    }
    const char *session =
        headers->authorization ? NULL : http_cookie(request->arena, headers->cookie, request->gateway->cookie);
    if (session && tokens_session_recall(tokens, session, &request->actor))
        return TN_OK;
    (void)tn_fail(err, TN_EUNAUTHORIZED,
                  session ? "this browser's session has ended" : "this needs a token, and none was sent");
    tn_error_hint(err, session ? "open the link with the token again"
                               : "send Authorization: Bearer TOKEN; `tarn token new NAME` makes a token");
    return TN_EUNAUTHORIZED;
}

void request_verify_token(struct request *request)
{
    struct tn_error err = {0};
    if (tokens_check(request->gateway->tokens, request->pending_token, &request->actor, &err) != TN_OK) {
        metrics_auth_failure(request->gateway->metrics);
        request->failed = true;
        request->error = err;
    }
    request->pending_token = NULL;
}

/* ---- how much is coming ------------------------------------------------------ */

static enum tn_code check_size(struct request *request, struct tn_error *err)
{
    const struct gateway_limits *limits = &request->gateway->limits;
    bool upload = request->match.route->flags & ROUTE_UPLOAD;
    bool buffered = request->match.route->flags & (ROUTE_JSON | ROUTE_FORM | ROUTE_WRITE);
    request->body_kind = upload ? BODY_UPLOAD : buffered ? BODY_BUFFER : BODY_DISCARD;
    uint64_t max = upload ? limits->max_upload : limits->max_body;
    if (max > 0 && request->promised_bytes > max) {
        (void)tn_fail(err, TN_ETOOLARGE, "the body has %llu bytes and may have %llu",
                      (unsigned long long)request->promised_bytes, (unsigned long long)max);
        tn_error_hint(err, "the setting %s", upload ? "ingest.max_size" : "server.max_body");
        return TN_ETOOLARGE;
    }
    return TN_OK;
}

/* A request for another place must not be answered from this one. */
static enum tn_code check_place(const struct headers *headers, struct tn_error *err)
{
    if (headers->bucket && !tn_streq(headers->bucket, "primary")) {
        (void)tn_fail(err, TN_ENOTFOUND, "there is no bucket \"%.100s\"", headers->bucket);
        tn_error_hint(err, "this lake has one, \"primary\": leave X-Lakehouse-Bucket out");
        return TN_ENOTFOUND;
    }
    if (headers->profile) {
        (void)tn_fail(err, TN_ENOTFOUND, "there is no profile \"%.100s\"", headers->profile);
        tn_error_hint(err, "leave X-Lakehouse-Profile out: this lake has no profiles");
        return TN_ENOTFOUND;
    }
    return TN_OK;
}

/* Files are looked into, so that a compressed one is known by itself; other bodies are taken as they are. */
static enum tn_code check_encoding(const struct request *request, const char *encoding, struct tn_error *err)
{
    const struct route *route = request->match.route;
    bool file = (route->flags & ROUTE_UPLOAD) && !tn_str_starts_with(route->id, "rows");
    if (!encoding || file || strcasecmp(encoding, "identity") == 0 || request->body_kind == BODY_DISCARD)
        return TN_OK;
    (void)tn_fail(err, TN_EMEDIA, "a body with Content-Encoding %.60s is not taken here", encoding);
    tn_error_hint(err, "send it as it is; compressed files go to POST /ingest/file");
    return TN_EMEDIA;
}

static enum tn_code judge(struct request *request, const char *version, struct tn_error *err)
{
    struct headers headers = {.request = request};
    (void)MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, on_header, &headers);
    if (headers.request_id && http_request_id_valid(headers.request_id))
        (void)snprintf(request->id, sizeof request->id, "%s", headers.request_id);
    request->authorization = headers.authorization;
    request->expects_continue = headers.expect != NULL;
    request->must_close = true;
    TN_TRY(check_framing(request, &headers, version, err));
    request->must_close = false;
    TN_TRY(check_site(request, &headers, err));
    TN_TRY(find_route(request, err));
    TN_TRY(authenticate(request, &headers, err));
    TN_TRY(check_place(&headers, err));
    TN_TRY(check_size(request, err));
    return check_encoding(request, headers.content_encoding, err);
}

void request_begin(struct request *request, const char *method, const char *version)
{
    char id[TN_UUID_TEXT];
    request->method = tn_arena_strdup(request->arena, method);
    struct tn_error err = {0};
    enum tn_code code = judge(request, version, &err);
    if (!request->id[0])
        (void)snprintf(request->id, sizeof request->id, "%s", tn_uuid7(id));
    if (code != TN_OK) {
        request->failed = true;
        request->error = err;
        request->body_kind = BODY_DISCARD;
    }
    atomic_store(&request->begun, true);
}
