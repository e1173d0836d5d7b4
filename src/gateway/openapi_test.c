#include "gateway/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct route_param params[] = {
    {.name = "limit", .schema = "{\"type\":\"integer\"}", .help = "How many."},
    {.name = "id", .schema = "{\"type\":\"string\"}", .help = "Which.", .in = "path"},
};
static const struct route routes[] = {
    {.method = "GET",
     .path = "/a/{id}",
     .id = "getA",
     .tag = "a",
     .summary = "Get.",
     .params = params,
     .param_count = 2,
     .response = "{\"type\":\"object\"}"},
    {.method = "POST",
     .path = "/b",
     .id = "postB",
     .tag = "b",
     .summary = "Post.",
     .flags = ROUTE_JSON | ROUTE_WRITE,
     .request = "{\"type\":\"object\"}",
     .response = "{}"},
    {.method = "DELETE", .path = "/a/{id}", .id = "deleteA", .tag = "a", .summary = "Delete.", .response = "{}"},
    {.method = "GET",
     .path = "/open",
     .id = "open",
     .tag = "b",
     .summary = "Open.",
     .flags = ROUTE_OPEN,
     .media = "text/plain"},
    {.method = "POST",
     .path = "/up",
     .id = "up",
     .tag = "b",
     .summary = "Up.",
     .flags = ROUTE_UPLOAD,
     .response = "{}"},
};

static void test_document(void **state)
{
    (void)state;
    TN_AUTO_BUF text = {0};
    struct tn_error err = {0};
    openapi_write((struct route_table){routes, TN_COUNT(routes)}, "9.9.9", &text);
    TN_AUTO_JSON *document = NULL;
    if (tn_json_parse(text.data, text.len, (size_t)1 << 20, "openapi", &document, &err) != TN_OK)
        fail_msg("%s", err.detail);
    json_t *paths = json_object_get(document, "paths");
    assert_int_equal(json_object_size(paths), 4);
    json_t *a = json_object_get(paths, "/a/{id}");
    assert_int_equal(json_object_size(a), 2);
    json_t *parameters = json_object_get(json_object_get(a, "get"), "parameters");
    assert_int_equal(json_array_size(parameters), 2);
    json_t *first = json_array_get(parameters, 0);
    assert_string_equal(json_string_value(json_object_get(first, "in")), "path");
    assert_true(json_is_true(json_object_get(first, "required")));
    assert_string_equal(json_string_value(json_object_get(first, "description")), "Which.");
    json_t *open = json_object_get(json_object_get(paths, "/open"), "get");
    assert_int_equal(json_array_size(json_object_get(open, "security")), 0);
    assert_non_null(json_object_get(json_object_get(json_object_get(paths, "/up"), "post"), "requestBody"));
    assert_string_equal(json_string_value(json_object_get(document, "openapi")), "3.1.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_document)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
