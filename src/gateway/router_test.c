#include "gateway/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct route_param list_params[] = {{.name = "limit", .schema = "{}", .help = ""},
                                                 {.name = "id", .schema = "{}", .help = "", .in = "path"}};
static const struct route routes[] = {
    {.method = "GET", .path = "/", .id = "root"},
    {.method = "GET", .path = "/items", .id = "items", .params = list_params, .param_count = 2},
    {.method = "GET", .path = "/items/{id}", .id = "item"},
    {.method = "DELETE", .path = "/items/{id}", .id = "itemDelete"},
    {.method = "POST", .path = "/items/special", .id = "special"},
    {.method = "GET", .path = "/items/special", .id = "specialGet"},
    {.method = "GET", .path = "/{kind}/{id}/x", .id = "wild"},
    {.method = "GET", .path = "/items/{id}/x", .id = "itemX"},
    {.method = "GET", .path = "/rows/{key}", .id = "row"},
};
static const struct route_table table = {.routes = routes, .count = TN_COUNT(routes)};

static enum tn_code find(struct tn_arena *arena, const char *method, const char *path, const char **ret_id,
                         const char **ret_allow, const char **ret_capture)
{
    struct http_target target;
    struct route_match match = {0};
    struct tn_error err = {0};
    assert_int_equal(http_target_parse(arena, path, &target, &err), TN_OK);
    enum tn_code code = route_find(table, arena, method, &target, &match, ret_allow, &err);
    assert_int_equal(code == TN_OK, err.detail[0] == '\0');
    if (code == TN_OK) {
        *ret_id = match.route->id;
        *ret_capture = match.capture_count > 0 ? tn_arena_strdup(arena, match.captures[match.capture_count - 1]) : "";
    }
    return code;
}

static void test_find(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        enum tn_code want;
        const char *id, *capture, *allow;
    } cases[] = {
        {"GET", "/", TN_OK, "root", "", NULL},
        {"HEAD", "/", TN_OK, "root", "", NULL},
        {"GET", "/items", TN_OK, "items", "", NULL},
        {"GET", "/items/", TN_ENOTFOUND, NULL, NULL, NULL},
        {"GET", "/items/7", TN_OK, "item", "7", NULL},
        {"GET", "/items/a%2Fb", TN_OK, "item", "a/b", NULL},
        {"GET", "/items/special", TN_OK, "specialGet", "", NULL},
        {"DELETE", "/items/special", TN_OK, "itemDelete", "special", NULL},
        {"POST", "/items/special", TN_OK, "special", "", NULL},
        {"GET", "/items/7/x", TN_OK, "itemX", "7", NULL},
        {"GET", "/rows/", TN_OK, "row", "", NULL},
        {"GET", "/rows", TN_ENOTFOUND, NULL, NULL, NULL},
        {"GET", "/other/7/x", TN_OK, "wild", "7", NULL},
        {"GET", "/Items", TN_ENOTFOUND, NULL, NULL, NULL},
        {"GET", "/items//x", TN_ENOTFOUND, NULL, NULL, NULL},
        {"GET", "//items", TN_ENOTFOUND, NULL, NULL, NULL},
        {"GET", "/../items", TN_ENOTFOUND, NULL, NULL, NULL},
        {"POST", "/items", TN_EMETHOD, NULL, NULL, "GET, HEAD"},
        {"PUT", "/items/7", TN_EMETHOD, NULL, NULL, "GET, HEAD, DELETE"},
        {"get", "/items", TN_EMETHOD, NULL, NULL, "GET, HEAD"},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        const char *id = NULL, *allow = NULL, *capture = NULL;
        assert_int_equal(find(arena, cases[i].method, cases[i].path, &id, &allow, &capture), cases[i].want);
        if (cases[i].id) {
            assert_string_equal(id, cases[i].id);
            assert_string_equal(capture, cases[i].capture);
        }
        if (cases[i].allow)
            assert_string_equal(allow, cases[i].allow);
    }
}

static void test_params(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct http_target target;
    struct tn_error err = {0};
    assert_int_equal(http_target_parse(arena, "/items?limit=1", &target, &err), TN_OK);
    assert_int_equal(route_check_params(&routes[1], &target, &err), TN_OK);
    assert_int_equal(http_target_parse(arena, "/items?limits=1", &target, &err), TN_OK);
    assert_int_equal(route_check_params(&routes[1], &target, &err), TN_EFIELD);
    assert_non_null(strstr(err.detail, "limits"));
    assert_non_null(strstr(err.hint, "limit"));
    assert_int_equal(http_target_parse(arena, "/items?id=1", &target, &err), TN_OK);
    assert_int_equal(route_check_params(&routes[1], &target, &err), TN_EFIELD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_find), cmocka_unit_test(test_params)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
