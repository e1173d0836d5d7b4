/* The Iceberg REST catalog: /iceberg/v1. Here: what it can do, and what the
 * other parts share.
 *
 * Locations and paths are given byte for byte as the metadata has them; config
 * is empty, because clients read the files themselves. */
#include "gateway/iceberg_rest.h"

/* Clients compare these texts exactly; what is not listed they do not call. */
static const char *const endpoints[] = {
    "GET /v1/{prefix}/namespaces",
    "POST /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "DELETE /v1/{prefix}/namespaces/{namespace}",
    "POST /v1/{prefix}/namespaces/{namespace}/properties",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "POST /v1/{prefix}/namespaces/{namespace}/tables",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/register",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
    "POST /v1/{prefix}/tables/rename",
    "POST /v1/{prefix}/transactions/commit",
};

enum tn_code h_iceberg_config(struct request *request, struct tn_error *err)
{
    (void)err;
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "defaults");
    tn_json_open(&json, '{');
    tn_json_close(&json, '}');
    tn_json_key(&json, "overrides");
    tn_json_open(&json, '{');
    tn_json_close(&json, '}');
    tn_json_kstrs(&json, "endpoints", endpoints, TN_COUNT(endpoints));
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code rest_refuse(struct request *request, unsigned status, const char *type, const char *message)
{
    struct tn_json json = reply_json(request);
    reply_status(request, status, "application/json");
    tn_json_open(&json, '{');
    tn_json_key(&json, "error");
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "message", message);
    tn_json_kstr(&json, "type", type);
    tn_json_ki64(&json, "code", status);
    tn_json_close(&json, '}');
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code rest_read_namespace(struct request *request, const json_t *parts, const char **ret, struct tn_error *err)
{
    TN_AUTO_BUF space = {0};
    const json_t *part;
    size_t i;
    if (!json_is_array(parts) || json_array_size(parts) == 0)
        return tn_fail(err, TN_EREQUEST, "\"namespace\" must be an array of names");
    json_array_foreach(parts, i, part)
    {
        const char *text = json_string_value(part);
        if (!text || strchr(text, CATALOG_SEPARATOR))
            return tn_fail(err, TN_EREQUEST, "a part of the namespace is not a name");
        if (i > 0)
            tn_buf_putc(&space, CATALOG_SEPARATOR);
        tn_buf_puts(&space, text);
    }
    *ret = tn_arena_strndup(request->arena, space.data ? space.data : "", space.len);
    return TN_OK;
}

enum tn_code rest_dataset(struct request *request, const char **ret, struct tn_error *err)
{
    return catalog_dataset_named(request->gateway->lake.catalog, request->match.captures[0],
                                 request->match.captures[1], request->arena, ret, err);
}

struct iceberg_origin rest_origin(const struct request *request)
{
    return (struct iceberg_origin){
        .actor = request->actor.name, .agent = request->user_agent, .request_id = request->id, .at_ms = tn_now_ms()};
}

enum tn_code rest_page_begin(struct request *request, struct rest_page *ret, struct tn_error *err)
{
    *ret = (struct rest_page){.token = http_param(&request->target, "pageToken"), .size = UINT64_MAX};
    TN_TRY(request_param_u64(request, "pageSize", INT64_MAX, &ret->size, err));
    /* A page of nothing has no last name to go on behind. */
    return ret->size ? TN_OK : tn_fail(err, TN_EREQUEST, "pageSize must be 1 or more");
}

bool rest_page_takes(struct rest_page *page, const char *name, bool *ret_full)
{
    *ret_full = page->shown >= page->size;
    if (*ret_full || (page->token && *page->token && strcmp(name, page->token) <= 0))
        return false;
    page->last = name;
    page->shown++;
    return true;
}
