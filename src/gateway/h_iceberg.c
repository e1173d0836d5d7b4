/* The Iceberg REST catalog, its read half: /iceberg/v1.
 *
 * One namespace, `default`, holds every dataset. Locations and paths are given
 * byte for byte as the metadata has them; config is empty, because clients
 * read the files themselves. */
#include "gateway/gateway_internal.h"

#define NAMESPACE "default"

/* Clients compare these texts exactly; what is not listed they do not call. */
static const char *const endpoints[] = {
    "GET /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
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
    tn_json_key(&json, "endpoints");
    tn_json_open(&json, '[');
    for (size_t i = 0; i < TN_COUNT(endpoints); i++)
        tn_json_str(&json, endpoints[i]);
    tn_json_close(&json, ']');
    tn_json_close(&json, '}');
    return TN_OK;
}

/* ---- tokens, for the clients that insist on OAuth -------------------------------- */

static enum tn_code oauth_secret(struct request *request, const char **ret, struct tn_error *err)
{
    struct http_pair params[HTTP_PARAMS_MAX];
    size_t count = 0;
    const char *grant = NULL, *secret = NULL, *user = NULL;
    if (!http_media_is(request->content_type, "application/x-www-form-urlencoded"))
        return tn_fail(err, TN_EMEDIA, "the body must be application/x-www-form-urlencoded");
    TN_TRY(http_params_parse(request->arena, request->body.data ? request->body.data : "", request->body.len, params,
                             &count, err));
    for (size_t i = 0; i < count; i++) {
        if (tn_streq(params[i].name, "grant_type"))
            grant = params[i].value;
        if (tn_streq(params[i].name, "client_secret"))
            secret = params[i].value;
    }
    if (!grant || !tn_streq(grant, "client_credentials"))
        return tn_fail(err, TN_EREQUEST, "grant_type must be client_credentials");
    if (!secret)
        (void)http_basic(request->arena, request->authorization, &user, &secret);
    if (!secret)
        return tn_fail(err, TN_EUNAUTHORIZED, "client_secret is missing; it is a token of this lake");
    *ret = secret;
    return TN_OK;
}

enum tn_code h_iceberg_oauth(struct request *request, struct tn_error *err)
{
    const char *secret = NULL;
    TN_TRY(oauth_secret(request, &secret, err));
    enum tn_code code = tokens_check(request->gateway->tokens, secret, &request->actor, err);
    if (code != TN_OK) {
        metrics_auth_failure(request->gateway->metrics);
        return code;
    }
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "access_token", secret);
    tn_json_kstr(&json, "token_type", "bearer");
    tn_json_ki64(&json, "expires_in", 86400);
    tn_json_kstr(&json, "issued_token_type", "urn:ietf:params:oauth:token-type:access_token");
    tn_json_close(&json, '}');
    return TN_OK;
}

/* ---- namespaces ------------------------------------------------------------------- */

/* A namespace in a path or a parameter: its parts joined by 0x1F. */
static enum tn_code check_namespace(const char *name, struct tn_error *err)
{
    if (tn_streq(name, NAMESPACE))
        return TN_OK;
    TN_AUTO_BUF shown = {0};
    for (; *name; name++)
        tn_buf_putc(&shown, *name == '\x1f' ? '.' : *name);
    return tn_fail(err, TN_ENOTFOUND, "Namespace does not exist: %.200s", shown.data ? shown.data : "");
}

static void write_namespace(struct tn_json *json)
{
    tn_json_open(json, '[');
    tn_json_str(json, NAMESPACE);
    tn_json_close(json, ']');
}

enum tn_code h_iceberg_namespaces(struct request *request, struct tn_error *err)
{
    const char *parent = http_param(&request->target, "parent");
    bool below = parent && *parent;
    if (below)
        TN_TRY(check_namespace(parent, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "namespaces");
    tn_json_open(&json, '[');
    if (!below)
        write_namespace(&json);
    tn_json_close(&json, ']');
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_iceberg_namespace(struct request *request, struct tn_error *err)
{
    TN_TRY(check_namespace(request->match.captures[0], err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "namespace");
    write_namespace(&json);
    tn_json_key(&json, "properties");
    tn_json_open(&json, '{');
    tn_json_close(&json, '}');
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_iceberg_namespace_head(struct request *request, struct tn_error *err)
{
    TN_TRY(check_namespace(request->match.captures[0], err));
    reply_status(request, 204, NULL);
    return TN_OK;
}

/* ---- tables ------------------------------------------------------------------------ */

/* All tables, or a page of pageSize behind pageToken (a name; empty: the
 * first page). */
enum tn_code h_iceberg_tables(struct request *request, struct tn_error *err)
{
    const char *const *names;
    const char *token = http_param(&request->target, "pageToken"), *last = NULL;
    size_t count = 0, shown = 0, i = 0;
    uint64_t page = UINT64_MAX;
    TN_TRY(check_namespace(request->match.captures[0], err));
    TN_TRY(request_param_u64(request, "pageSize", INT64_MAX, &page, err));
    TN_TRY(catalog_list(request->gateway->lake.catalog, request->arena, &names, &count, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "identifiers");
    tn_json_open(&json, '[');
    for (; i < count && shown < page; i++) {
        if (token && *token && strcmp(names[i], token) <= 0)
            continue;
        tn_json_open(&json, '{');
        tn_json_key(&json, "namespace");
        write_namespace(&json);
        tn_json_kstr(&json, "name", names[i]);
        tn_json_close(&json, '}');
        last = names[i];
        shown++;
    }
    tn_json_close(&json, ']');
    if (i < count && last)
        tn_json_kstr(&json, "next-page-token", last);
    tn_json_close(&json, '}');
    return TN_OK;
}

/* Iceberg's names are exact, unlike SQL's: "Calls" is not "calls". */
static enum tn_code load_table(struct request *request, struct iceberg_metadata **ret, struct tn_error *err)
{
    const char *name = request->match.captures[1];
    bool lower = true;
    for (const char *at = name; *at; at++)
        lower &= tn_ascii_lower(*at) == *at;
    TN_TRY(check_namespace(request->match.captures[0], err));
    enum tn_code code = lower ? catalog_load(request->gateway->lake.catalog, name, ret, err) : TN_EDATASET;
    if (code == TN_EDATASET || code == TN_EREQUEST)
        return tn_fail(err, TN_EDATASET, "Table does not exist: %s.%.200s", NAMESPACE, name);
    return code;
}

/* A metadata file never changes, so its name is its tag. */
static const char *etag_of(struct request *request, const struct iceberg_metadata *metadata)
{
    char hex[17];
    uint64_t hash = tn_hash64(metadata->uri, strlen(metadata->uri), 0);
    tn_hex_encode(&hash, sizeof hash, hex);
    return tn_arena_printf(request->arena, "\"%s\"", hex);
}

enum tn_code h_iceberg_table(struct request *request, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(load_table(request, &metadata, err));
    const char *etag = etag_of(request, metadata);
    reply_header(request, "ETag", etag);
    if (request->if_none_match && http_etag_matches(request->if_none_match, etag)) {
        reply_status(request, 304, NULL);
        return TN_OK;
    }
    size_t length;
    const char *text = iceberg_metadata_json(metadata, &length);
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "metadata-location", metadata->uri);
    tn_json_key(&json, "metadata");
    tn_json_raw(&json, text, length);
    tn_json_key(&json, "config");
    tn_json_open(&json, '{');
    tn_json_close(&json, '}');
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_iceberg_table_head(struct request *request, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    TN_TRY(load_table(request, &metadata, err));
    reply_header(request, "ETag", etag_of(request, metadata));
    reply_status(request, 204, NULL);
    return TN_OK;
}
