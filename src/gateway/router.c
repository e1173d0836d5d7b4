#include "gateway/route.h"

/* Compares one template with a target, segment by segment. *ret_rank has a bit
 * for each literal, the first segment in the highest place. */
static bool template_fits(const char *path, const struct http_target *target, struct route_match *match,
                          uint32_t *ret_rank)
{
    uint32_t rank = 0;
    size_t at = 0;
    match->capture_count = 0;
    const char *cursor = path[1] ? path + 1 : NULL;
    while (cursor) {
        const char *slash = strchr(cursor, '/');
        size_t length = slash ? (size_t)(slash - cursor) : strlen(cursor);
        if (at == target->segment_count)
            return false;
        const char *segment = target->segments[at];
        if (cursor[0] == '{') {
            bool may_be_empty = !slash && strcmp(cursor, "{key}") == 0; /* a text without a character is one */
            if ((!*segment && !may_be_empty) || match->capture_count == ROUTE_CAPTURES_MAX)
                return false;
            match->captures[match->capture_count++] = segment;
        } else {
            if (strlen(segment) != length || memcmp(segment, cursor, length) != 0)
                return false;
            rank |= UINT32_C(1) << (31 - at);
        }
        at++;
        cursor = slash ? slash + 1 : NULL;
    }
    *ret_rank = rank;
    return at == target->segment_count;
}

static bool method_fits(const char *have, const char *asked)
{
    return tn_streq(have, asked) || (tn_streq(asked, "HEAD") && tn_streq(have, "GET"));
}

static void allow_add(struct tn_buf *allow, const char *method)
{
    if (tn_streq(method, "HEAD")) /* said with GET */
        return;
    if (allow->len > 0)
        tn_buf_puts(allow, ", ");
    tn_buf_puts(allow, method);
    if (tn_streq(method, "GET"))
        tn_buf_puts(allow, ", HEAD");
}

static enum tn_code not_found(struct route_table table, const struct http_target *target, struct tn_error *err)
{
    TN_AUTO_BUF path = {0};
    for (size_t i = 0; i < target->segment_count; i++) {
        tn_buf_putc(&path, '/');
        tn_buf_puts(&path, target->segments[i]);
    }
    const char *candidates[256];
    size_t count = 0;
    for (size_t i = 0; i < table.count && count < TN_COUNT(candidates); i++)
        candidates[count++] = table.routes[i].path;
    (void)tn_fail(err, TN_ENOTFOUND, "nothing is served at %s", path.len > 0 ? path.data : "/");
    const char *near = path.len > 0 && path.len < 200 ? tn_suggest(path.data, candidates, count) : NULL;
    if (near)
        tn_error_hint(err, "did you mean %s? GET /openapi.json lists every path", near);
    else
        tn_error_hint(err, "GET /openapi.json lists every path");
    return TN_ENOTFOUND;
}

enum tn_code route_find(struct route_table table, struct tn_arena *arena, const char *method,
                        const struct http_target *target, struct route_match *ret, const char **ret_allow,
                        struct tn_error *err)
{
    struct route_match best = {0};
    uint32_t best_rank = 0;
    bool path_known = false;
    TN_AUTO_BUF allow = {0};
    for (size_t i = 0; i < table.count; i++) {
        struct route_match match = {.route = &table.routes[i], .index = i};
        uint32_t rank = 0;
        if (!template_fits(match.route->path, target, &match, &rank))
            continue;
        path_known = true;
        allow_add(&allow, match.route->method);
        if (method_fits(match.route->method, method) &&
            (!best.route || rank > best_rank || (rank == best_rank && tn_streq(match.route->method, method)))) {
            best = match;
            best_rank = rank;
        }
    }
    if (!path_known)
        return not_found(table, target, err);
    if (!best.route) {
        *ret_allow = tn_arena_strdup(arena, allow.data);
        (void)tn_fail(err, TN_EMETHOD, "%s is not possible here", method);
        tn_error_hint(err, "this path takes %s", allow.data);
        return TN_EMETHOD;
    }
    *ret = best;
    return TN_OK;
}

enum tn_code route_check_params(const struct route *route, const struct http_target *target, struct tn_error *err)
{
    if (route->flags & ROUTE_LENIENT)
        return TN_OK;
    const char *known[HTTP_PARAMS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < route->param_count; i++)
        if (!route->params[i].in)
            known[count++] = route->params[i].name;
    for (size_t i = 0; i < target->param_count; i++) {
        const char *name = target->params[i].name;
        bool found = false;
        for (size_t k = 0; k < count && !found; k++)
            found = tn_streq(known[k], name);
        if (found)
            continue;
        (void)tn_fail(err, TN_EFIELD, "unknown parameter \"%s\"", name);
        const char *near = tn_suggest(name, known, count);
        if (near)
            tn_error_hint(err, "did you mean \"%s\"?", near);
        else if (count == 0)
            tn_error_hint(err, "%s %s takes no parameters", route->method, route->path);
        return TN_EFIELD;
    }
    return TN_OK;
}
