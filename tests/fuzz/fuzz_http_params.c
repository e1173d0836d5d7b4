/* Any bytes as a request's target, as each of its headers, as a form. What is
 * accepted must keep its promises; and however a form is cut into pieces, the
 * same parts come out. */
#include "fuzz.h"

#include "gateway/http_text.h"
#include "gateway/multipart.h"
#include "gateway/route.h"

#include <string.h>

static const struct route routes[] = {
    {.method = "GET", .path = "/", .id = "root"},
    {.method = "GET", .path = "/a/{b}", .id = "one"},
    {.method = "POST", .path = "/a/{b}/c", .id = "two"},
};

static void targets(const char *text)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct http_target target;
    struct tn_error err = {0};
    if (http_target_parse(arena, text, &target, &err) != TN_OK) {
        FUZZ_CHECK(err.detail[0]);
        return;
    }
    FUZZ_CHECK(target.segment_count <= HTTP_SEGMENTS_MAX && target.param_count <= HTTP_PARAMS_MAX);
    for (size_t i = 0; i < target.segment_count; i++)
        FUZZ_CHECK(tn_utf8_valid_prefix(target.segments[i], strlen(target.segments[i])) ==
                   strlen(target.segments[i]));
    for (size_t i = 0; i < target.param_count; i++)
        FUZZ_CHECK(http_param(&target, target.params[i].name) == target.params[i].value);
    struct route_match match;
    const char *allow = NULL;
    enum tn_code code =
        route_find((struct route_table){routes, TN_COUNT(routes)}, arena, "GET", &target, &match, &allow, &err);
    FUZZ_CHECK(code == TN_OK || code == TN_ENOTFOUND || (code == TN_EMETHOD && allow));
}

static void headers(const char *text)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    static const char *const offers[] = {"application/json", "text/csv"};
    const struct http_site site = {.bind = "127.0.0.1", .allowed_hosts = "lake.example", .allowed_origins = ""};
    const char *user, *secret;
    char name[HTTP_HOST_MAX];
    uint16_t port;
    int best = http_accept_best(text, offers, TN_COUNT(offers));
    FUZZ_CHECK(best >= -1 && best < 2);
    (void)http_media_is(text, "application/json");
    if (http_host_parse(text, name, &port))
        FUZZ_CHECK(name[0] && strlen(name) < HTTP_HOST_MAX);
    if (http_host_allowed(&site, text))
        FUZZ_CHECK(http_host_parse(text, name, &port) &&
                   (http_host_is_loopback(name) || tn_streq(name, "lake.example")));
    (void)http_origin_allowed(&site, "localhost", text);
    (void)http_bearer(text);
    (void)http_basic(arena, text, &user, &secret);
    (void)http_cookie(arena, text, "tarn");
    (void)http_etag_matches(text, "\"x\"");
    FUZZ_CHECK(!http_request_id_valid(text) || strlen(text) <= 63);
    FUZZ_CHECK(!http_idempotency_key_valid(text) || strlen(text) <= 200);
}

static enum tn_code on_begin(void *context, const struct multipart_part *part, struct tn_error *err)
{
    (void)err;
    tn_buf_printf(context, "[%s|%s]", part->name, part->filename ? part->filename : "-");
    return TN_OK;
}

static enum tn_code on_data(void *context, const void *bytes, size_t count, struct tn_error *err)
{
    (void)err;
    tn_buf_append(context, bytes, count);
    return TN_OK;
}

static enum tn_code on_end(void *context, struct tn_error *err)
{
    (void)err;
    tn_buf_putc(context, '.');
    return TN_OK;
}

static enum tn_code cut(const char *bytes, size_t size, size_t step, struct tn_buf *heard)
{
    TN_CLEANUP(multipart_free_p) struct multipart *multipart = NULL;
    const struct multipart_sink sink = {.context = heard, .begin = on_begin, .data = on_data, .end = on_end};
    TN_TRY(multipart_new("multipart/form-data; boundary=XX", &sink, &multipart, NULL));
    for (size_t at = 0; at < size; at += step)
        TN_TRY(multipart_feed(multipart, bytes + at, TN_MIN(step, size - at), NULL));
    return multipart_finish(multipart, NULL);
}

static void forms(const char *bytes, size_t size)
{
    TN_AUTO_BUF whole = {0}, pieces = {0};
    enum tn_code one = cut(bytes, size, TN_MAX(size, (size_t)1), &whole);
    enum tn_code other = cut(bytes, size, 3, &pieces);
    if (one != TN_OK)
        return;
    FUZZ_CHECK(other == TN_OK && whole.len == pieces.len &&
               (whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    struct multipart *none = NULL;
    const struct multipart_sink sink = {.begin = on_begin, .data = on_data, .end = on_end};
    TN_AUTO_FREE char *text = tn_strndup(bytes, size);
    targets(text);
    headers(text);
    forms(bytes, size);
    if (multipart_new(text, &sink, &none, NULL) == TN_OK)
        multipart_free(none);
    return 0;
}
