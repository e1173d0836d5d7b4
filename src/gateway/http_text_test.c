#include "gateway/http_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_target(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct http_target target;
    struct tn_error err = {0};
    assert_int_equal(http_target_parse(arena, "/a/b%2Fc/%1F?x=1+2&y=%26&z", &target, &err), TN_OK);
    assert_int_equal(target.segment_count, 3);
    assert_string_equal(target.segments[1], "b/c");
    assert_string_equal(target.segments[2], "\x1f");
    assert_string_equal(http_param(&target, "x"), "1 2");
    assert_string_equal(http_param(&target, "y"), "&");
    assert_string_equal(http_param(&target, "z"), "");
    assert_null(http_param(&target, "w"));
    assert_int_equal(http_target_parse(arena, "/", &target, &err), TN_OK);
    assert_int_equal(target.segment_count, 0);
    assert_int_equal(http_target_parse(arena, "/a/", &target, &err), TN_OK);
    assert_int_equal(target.segment_count, 2);
    assert_string_equal(target.segments[1], "");
}

static void test_target_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "x",
        "*",
        "http://h/x",
        "/%",
        "/%0",
        "/%zz",
        "/%00",
        "/%ff",
        "/%c0%80",
        "/?a=%ed%a0%80",
        "/?a=1&a=2",
        "/?%=1",
        "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
    };
    for (size_t i = 0; i < TN_COUNT(bad); i++) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        struct http_target target = {.segment_count = 77};
        struct tn_error err = {0};
        assert_int_equal(http_target_parse(arena, bad[i], &target, &err), TN_EREQUEST);
        assert_int_equal(target.segment_count, 77);
        assert_true(err.detail[0]);
    }
}

static void test_accept(void **state)
{
    (void)state;
    static const char *const offers[] = {"application/json", "text/csv", "application/x-ndjson"};
    static const struct {
        const char *accept;
        int want;
    } cases[] = {
        {NULL, 0},
        {"", 0},
        {"*/*", 0},
        {"text/csv", 1},
        {"TEXT/CSV; charset=utf-8", 1},
        {"text/*", 1},
        {"text/html", -1},
        {"text/html, */*;q=0.1", 0},
        {"application/json;q=0.5, text/csv;q=0.6", 1},
        {"application/*;q=0.2,application/x-ndjson", 2},
        {"application/json;q=0, */*", 1},
        {"application/json;q=0", -1},
        {"text/csv;q=banana", -1},
        {"text/csv;q=", -1},
        {",,, ,text/csv", 1},
        {";;;,,;q=1", -1},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++)
        assert_int_equal(http_accept_best(cases[i].accept, offers, TN_COUNT(offers)), cases[i].want);
}

static void test_hosts(void **state)
{
    (void)state;
    const struct http_site local = {.bind = "127.0.0.1", .allowed_hosts = "", .allowed_origins = ""};
    const struct http_site wide = {.bind = "0.0.0.0",
                                   .allowed_hosts = "lake.example, other.example",
                                   .allowed_origins = "https://app.example",
                                   .tls = true};
    assert_true(http_host_allowed(&local, "localhost:7341"));
    assert_true(http_host_allowed(&local, "127.0.0.1"));
    assert_true(http_host_allowed(&local, "127.9.9.9:1"));
    assert_true(http_host_allowed(&local, "[::1]:7341"));
    assert_true(http_host_allowed(&local, "LOCALHOST"));
    assert_false(http_host_allowed(&local, NULL));
    assert_false(http_host_allowed(&local, ""));
    assert_false(http_host_allowed(&local, "evil.example"));
    assert_false(http_host_allowed(&local, "localhost.evil.example"));
    assert_false(http_host_allowed(&local, "127.0.0.1.evil.example"));
    assert_false(http_host_allowed(&local, "192.168.1.5"));
    assert_false(http_host_allowed(&local, "localhost:0"));
    assert_false(http_host_allowed(&local, "localhost:99999"));
    assert_false(http_host_allowed(&local, "localhost:7341:1"));
    assert_false(http_host_allowed(&local, "user@localhost"));
    assert_false(http_host_allowed(&local, "[::1"));
    assert_true(http_host_allowed(&wide, "lake.example:443"));
    assert_true(http_host_allowed(&wide, "Other.Example"));
    assert_true(http_host_allowed(&wide, "192.168.1.5"));
    assert_false(http_host_allowed(&wide, "lake.example.evil"));
    assert_false(http_host_allowed(&wide, "example"));
}

static void test_origins(void **state)
{
    (void)state;
    const struct http_site site = {
        .bind = "127.0.0.1", .allowed_hosts = "", .allowed_origins = "https://app.example"};
    assert_true(http_origin_allowed(&site, "localhost:7341", NULL));
    assert_true(http_origin_allowed(&site, "localhost:7341", "http://localhost:7341"));
    assert_true(http_origin_allowed(&site, "localhost:7341", "https://app.example"));
    assert_false(http_origin_allowed(&site, "localhost:7341", "http://localhost:7342"));
    assert_false(http_origin_allowed(&site, "localhost:7341", "https://localhost:7341"));
    assert_false(http_origin_allowed(&site, "localhost:7341", "http://localhost"));
    assert_false(http_origin_allowed(&site, "localhost:7341", "null"));
    assert_false(http_origin_allowed(&site, "localhost:7341", ""));
    assert_false(http_origin_allowed(&site, "localhost:7341", "http://evil.example"));
}

static void test_authorization(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *user = NULL, *secret = NULL;
    assert_string_equal(http_bearer("bearer  x"), "x");
    assert_null(http_bearer("Bearer "));
    assert_null(http_bearer("Basic x"));
    assert_null(http_bearer(NULL));
    assert_true(http_basic(arena, "Basic dXNlcjpwYTpzcw==", &user, &secret));
    assert_string_equal(user, "user");
    assert_string_equal(secret, "pa:ss");
    assert_false(http_basic(arena, "Basic !!!", &user, &secret));
    assert_false(http_basic(arena, "Basic dXNlcg==", &user, &secret));
    assert_string_equal(http_cookie(arena, "a=1; tarn=xyz; b", "tarn"), "xyz");
    assert_null(http_cookie(arena, "xtarn=1; tarnx=2; tarn", "tarn"));
    assert_null(http_cookie(arena, NULL, "tarn"));
}

static void test_small_checks(void **state)
{
    (void)state;
    assert_true(http_request_id_valid("a-B_9.z"));
    assert_false(http_request_id_valid(""));
    assert_false(http_request_id_valid("a b"));
    assert_false(http_request_id_valid("a\nb"));
    assert_false(http_request_id_valid("0123456789012345678901234567890123456789012345678901234567890123"));
    assert_true(http_idempotency_key_valid("k:1/2"));
    assert_false(http_idempotency_key_valid("k 1"));
    assert_true(http_etag_matches("\"a\", W/\"b\"", "\"b\""));
    assert_true(http_etag_matches("*", "\"b\""));
    assert_false(http_etag_matches("\"a\"", "\"b\""));
    assert_false(http_etag_matches(NULL, "\"b\""));
    assert_true(http_media_is("Application/JSON; charset=utf-8", "application/json"));
    assert_false(http_media_is("application/jsonx", "application/json"));
    assert_false(http_media_is(NULL, "application/json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_target),       cmocka_unit_test(test_target_refused),
        cmocka_unit_test(test_accept),       cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_origins),      cmocka_unit_test(test_authorization),
        cmocka_unit_test(test_small_checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
