/* Bodies that may be missing, and the few words about a change that any of them may bring. */
#include "gateway/gateway_internal.h"

/* A reason stands in each event of its commit, so a long one times many rows would be
 * most of what the journal holds. */
#define WORDS_MAX 4096

static enum tn_code check_words(const char *name, const char *text, struct tn_error *err)
{
    if (!text || strlen(text) <= WORDS_MAX)
        return TN_OK;
    tn_fail(err, TN_EREQUEST, "%s has %zu bytes and may have %d", name, strlen(text), WORDS_MAX);
    tn_error_hint(err, "name the document that says more");
    return TN_EREQUEST;
}

enum tn_code request_check_words(const struct request *request, const json_t *body, struct tn_error *err)
{
    static const char *const names[] = {"reason", "workspace"};
    for (size_t i = 0; i < TN_COUNT(names); i++)
        TN_TRY(check_words(
            names[i],
            body ? json_string_value(json_object_get(body, names[i])) : http_param(&request->target, names[i]), err));
    return TN_OK;
}

enum tn_code request_optional_json(struct request *request, json_t **ret, struct tn_error *err)
{
    if (request->body.len > 0)
        return request_json(request, ret, err);
    *ret = json_object();
    return TN_OK;
}

enum tn_code request_reason(struct request *request, const char **ret_reason, const char **ret_workspace,
                            struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    const char *reason = NULL, *workspace = NULL;
    TN_TRY(request_optional_json(request, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &reason},
        {.name = "workspace", .kind = TN_JSON_STRING, .ret = &workspace},
    };
    TN_TRY(tn_json_read(body, "request", fields, ret_workspace ? 2 : 1, err));
    const char *said = http_param(&request->target, "reason");
    *ret_reason = said ? said : reason ? tn_arena_strdup(request->arena, reason) : NULL;
    if (ret_workspace) {
        said = http_param(&request->target, "workspace");
        *ret_workspace = said ? said : workspace ? tn_arena_strdup(request->arena, workspace) : NULL;
    }
    return TN_OK;
}

enum tn_code request_as_of(struct request *request, const json_t *value, const char **ret, struct tn_error *err)
{
    const char *text = json_string_value(value);
    if (json_is_integer(value))
        text = tn_arena_printf(request->arena, "%lld", (long long)json_integer_value(value));
    else if (!text && value && !json_is_null(value))
        return tn_fail(err, TN_EREQUEST, "as_of must be a snapshot id, a time or a tag");
    *ret = text;
    return TN_OK;
}

/* It says so of itself, for evidence; nothing is allowed by it. */
const char *request_source(const struct request *request)
{
    static const char command[] = "tarn/";
    return request->user_agent && strncmp(request->user_agent, command, sizeof command - 1) == 0 ? "cli" : "api";
}

enum tn_code request_check_spare(const struct request *request, struct tn_error *err)
{
    const struct route *route = request->match.route;
    static const char empty[] = "{}";
    size_t at = 0;
    if (!(route->flags & ROUTE_WRITE) || (route->flags & (ROUTE_JSON | ROUTE_FORM | ROUTE_UPLOAD | ROUTE_ICEBERG)))
        return TN_OK;
    for (size_t i = 0; i < request->body.len; i++) {
        if (strchr(" \t\r\n", request->body.data[i]))
            continue;
        if (at >= 2 || request->body.data[i] != empty[at++])
            return tn_fail(err, TN_EREQUEST, "%s %s takes no body", route->method, route->path);
    }
    return TN_OK;
}
