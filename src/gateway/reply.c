/* From a handler's reply to libmicrohttpd's response. */
#include "gateway/gateway_internal.h"

#include <microhttpd.h>
#include <unistd.h>

#define STREAM_BLOCK ((size_t)64 << 10)

void reply_header(struct request *request, const char *name, const char *value)
{
    struct reply *reply = &request->reply;
    if (reply->header_count < REPLY_HEADERS_MAX)
        reply->headers[reply->header_count++] = (struct http_pair){.name = name, .value = value};
}

void reply_status(struct request *request, unsigned status, const char *media)
{
    request->reply.status = status;
    request->reply.media = media;
}

struct tn_json reply_json(struct request *request)
{
    reply_status(request, 200, "application/json");
    return tn_json_writer(&request->reply.body);
}

void reply_release(struct reply *reply)
{
    if (reply->stream.free)
        reply->stream.free(reply->stream.context);
    reply->stream = (struct stream){0};
    tn_buf_release(&reply->body);
    tn_close_p(&reply->fd);
    reply->fd = -1;
}

void reply_error(struct request *request, const struct tn_error *error)
{
    struct reply *reply = &request->reply;
    const struct http_pair *allow = NULL;
    struct http_pair kept;
    for (size_t i = 0; i < reply->header_count && !allow; i++)
        if (tn_streq(reply->headers[i].name, "Allow")) {
            kept = reply->headers[i];
            allow = &kept;
        }
    reply_release(reply);
    *reply = (struct reply){.fd = -1, .status = (unsigned)tn_code_http_status(error->code)};
    if (allow)
        reply_header(request, kept.name, kept.value);
    bool iceberg = request->match.route ? (request->match.route->flags & ROUTE_ICEBERG) != 0
                                        : tn_str_starts_with(request->raw_target, "/iceberg/");
    bool openai = request->match.route ? (request->match.route->flags & ROUTE_OPENAI) != 0
                                       : tn_str_starts_with(request->raw_target, "/v1/");
    reply->media = iceberg || openai ? "application/json" : PROBLEM_MEDIA;
    if (request->match.route && (request->match.route->flags & ROUTE_OAUTH))
        problem_write_oauth(error, &reply->body);
    else if (iceberg)
        problem_write_iceberg(error, &reply->body);
    else if (openai)
        problem_write_openai(error, &reply->body);
    else
        problem_write(error, request->id, &reply->body);
    int retry = problem_retry_after(error->code);
    if (retry > 0)
        reply_header(request, "Retry-After", tn_arena_printf(request->arena, "%d", retry));
    if (error->code == TN_EUNAUTHORIZED)
        reply_header(request, "WWW-Authenticate", "Bearer realm=\"tarn\"");
}

static ssize_t on_read(void *context, uint64_t position, char *out, size_t max)
{
    (void)position;
    ssize_t count = stream_read(context, out, max);
    if (count >= 0)
        return count;
    return count == STREAM_END ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void on_response_free(void *context)
{
    request_unref(context);
}

static struct MHD_Response *response_make(struct request *request)
{
    struct reply *reply = &request->reply;
    if (reply->stream.fill || request->stream_ready || request->stream_filling) {
        request_ref(request);
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, on_read, request, on_response_free);
    }
    if (reply->fd >= 0) {
        int fd = reply->fd;
        reply->fd = -1; /* closed with the response */
        atomic_store(&request->bytes_out, reply->fd_size);
        return MHD_create_response_from_fd64(reply->fd_size, fd);
    }
    size_t length = reply->body.len;
    atomic_store(&request->bytes_out, length);
    return MHD_create_response_from_buffer_with_free_callback(length, tn_buf_take(&reply->body), free);
}

static void add(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value);
}

/* What every answer says to browsers: this is what it is, keep none of it,
 * run none of it, show it in no frame, send nobody its address. */
static void add_headers(struct request *request, struct MHD_Response *response)
{
    const struct reply *reply = &request->reply;
    bool cacheable = false;
    if (reply->media)
        add(response, "Content-Type", reply->media);
    add(response, "X-Request-Id", request->id);
    add(response, "X-Content-Type-Options", "nosniff");
    add(response, "Content-Security-Policy", reply->csp ? reply->csp : "default-src 'none'; frame-ancestors 'none'");
    add(response, "Referrer-Policy", "no-referrer");
    add(response, "Cross-Origin-Resource-Policy", "same-origin");
    for (size_t i = 0; i < reply->header_count; i++) {
        add(response, reply->headers[i].name, reply->headers[i].value);
        cacheable |= tn_streq(reply->headers[i].name, "Cache-Control");
    }
    if (!cacheable)
        add(response, "Cache-Control", "no-store");
    if (request->must_close || atomic_load(&request->gateway->draining))
        add(response, "Connection", "close");
}

bool reply_queue(struct request *request)
{
    struct MHD_Response *response = response_make(request);
    if (!response)
        return false;
    add_headers(request, response);
    enum MHD_Result result = MHD_queue_response(request->mhd, request->reply.status, response);
    MHD_destroy_response(response);
    return result == MHD_YES;
}

enum tn_code request_param_u64(struct request *request, const char *name, uint64_t max, uint64_t *ret,
                               struct tn_error *err)
{
    const char *text = http_param(&request->target, name);
    uint64_t value = 0;
    if (!text)
        return TN_OK;
    if (!tn_parse_u64(text, &value) || value > max)
        return tn_fail(err, TN_EREQUEST, "%s must be a whole number from 0 to %llu, not \"%.60s\"", name,
                       (unsigned long long)max, text);
    *ret = value;
    return TN_OK;
}

enum tn_code request_json(struct request *request, json_t **ret, struct tn_error *err)
{
    if (request->content_type && !http_media_is(request->content_type, "application/json")) {
        (void)tn_fail(err, TN_EMEDIA, "the body must be application/json, not %.100s", request->content_type);
        return TN_EMEDIA;
    }
    json_t *document = NULL;
    TN_TRY(tn_json_parse(request->body.data ? request->body.data : "", request->body.len,
                         request->gateway->limits.max_body, "request body", &document, err));
    if (!json_is_object(document)) {
        json_decref(document);
        return tn_fail(err, TN_EREQUEST, "the body must be a JSON object");
    }
    enum tn_code code = request_check_words(request, document, err);
    if (code != TN_OK) {
        json_decref(document);
        return code;
    }
    *ret = document;
    return TN_OK;
}
