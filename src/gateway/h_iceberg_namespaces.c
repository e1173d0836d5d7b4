/* Namespaces of the Iceberg REST catalog, and the views that there are not. */
#include "gateway/evidence.h"
#include "gateway/iceberg_rest.h"

static struct catalog *catalog_of(const struct request *request)
{
    return request->gateway->lake.catalog;
}

enum tn_code h_iceberg_namespaces(struct request *request, struct tn_error *err)
{
    const char *parent = http_param(&request->target, "parent");
    const char *const *names = NULL;
    struct rest_page page;
    size_t count = 0;
    bool full = false;
    TN_TRY(rest_page_begin(request, &page, err));
    TN_TRY(catalog_namespace_list(catalog_of(request), parent ? parent : "", request->arena, &names, &count, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "namespaces");
    tn_json_open(&json, '[');
    for (size_t i = 0; i < count && !full; i++)
        if (rest_page_takes(&page, names[i], &full))
            catalog_put_namespace(&json, names[i]);
    tn_json_close(&json, ']');
    if (full && page.last)
        tn_json_kstr(&json, "next-page-token", page.last);
    tn_json_close(&json, '}');
    return TN_OK;
}

static void write_namespace(struct request *request, const char *space, const json_t *properties)
{
    struct tn_json json = reply_json(request);
    TN_AUTO_BUF text = {0};
    tn_json_dump(properties, &text);
    tn_json_open(&json, '{');
    tn_json_key(&json, "namespace");
    catalog_put_namespace(&json, space);
    tn_json_key(&json, "properties");
    tn_json_raw(&json, text.data, text.len);
    tn_json_close(&json, '}');
}

enum tn_code h_iceberg_namespace(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *properties = NULL;
    const char *space = request->match.captures[0];
    TN_TRY(catalog_namespace_properties(catalog_of(request), space, &properties, err));
    evidence_note(request, catalog_namespace_text(request->arena, space), NULL, "namespace.create", NULL, properties,
                  NULL);
    write_namespace(request, space, properties);
    return TN_OK;
}

enum tn_code h_iceberg_namespace_head(struct request *request, struct tn_error *err)
{
    TN_TRY(catalog_namespace_check(catalog_of(request), request->match.captures[0], err));
    reply_status(request, 204, NULL);
    return TN_OK;
}

enum tn_code h_iceberg_namespace_create(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL, *properties = NULL;
    const char *space = NULL;
    TN_TRY(request_json(request, &body, err));
    TN_TRY(rest_read_namespace(request, json_object_get(body, "namespace"), &space, err));
    const json_t *wanted = json_object_get(body, "properties");
    if (json_is_null(wanted))
        wanted = NULL;
    TN_TRY(catalog_namespace_create(catalog_of(request), space, wanted, err));
    TN_TRY(catalog_namespace_properties(catalog_of(request), space, &properties, err));
    evidence_note(request, catalog_namespace_text(request->arena, space), NULL, "namespace.create", NULL, properties,
                  NULL);
    write_namespace(request, space, properties);
    return TN_OK;
}

enum tn_code h_iceberg_namespace_drop(struct request *request, struct tn_error *err)
{
    enum tn_code code = catalog_namespace_drop(catalog_of(request), request->match.captures[0], err);
    if (code == TN_ECONFLICT && strstr(err->detail, "is not empty"))
        return rest_refuse(request, 409, "NamespaceNotEmptyException", err->detail);
    TN_TRY(code);
    evidence_note(request, catalog_namespace_text(request->arena, request->match.captures[0]), NULL, "namespace.drop",
                  NULL, NULL, NULL);
    reply_status(request, 204, NULL);
    return TN_OK;
}

static void write_names(struct tn_json *json, const char *key, const json_t *names)
{
    TN_AUTO_BUF text = {0};
    tn_json_dump(names, &text);
    tn_json_key(json, key);
    tn_json_raw(json, text.data, text.len);
}

enum tn_code h_iceberg_namespace_update(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL, *updated = NULL, *removed = NULL, *missing = NULL;
    TN_TRY(request_json(request, &body, err));
    const json_t *removals = json_object_get(body, "removals"), *updates = json_object_get(body, "updates");
    if (json_is_null(removals))
        removals = NULL;
    if (json_is_null(updates))
        updates = NULL;
    if (removals && !json_is_array(removals))
        return tn_fail(err, TN_EREQUEST, "\"removals\" must be an array of names");
    enum tn_code code = catalog_namespace_update(catalog_of(request), request->match.captures[0], removals, updates,
                                                 &updated, &removed, &missing, err);
    if (code == TN_EREFUSED)
        return rest_refuse(request, 422, "UnprocessableEntityException", err->detail);
    TN_TRY(code);
    evidence_note(request, catalog_namespace_text(request->arena, request->match.captures[0]), NULL,
                  "namespace.update", removals, updates, NULL);
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    write_names(&json, "updated", updated);
    write_names(&json, "removed", removed);
    write_names(&json, "missing", missing);
    tn_json_close(&json, '}');
    return TN_OK;
}

/* ---- views: none, said in the way that clients go on from --------------------------- */

enum tn_code h_iceberg_views(struct request *request, struct tn_error *err)
{
    TN_TRY(catalog_namespace_check(catalog_of(request), request->match.captures[0], err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "identifiers");
    tn_json_open(&json, '[');
    tn_json_close(&json, ']');
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_iceberg_view(struct request *request, struct tn_error *err)
{
    (void)err;
    const char *text = tn_arena_printf(request->arena, "View does not exist: %s.%s",
                                       catalog_namespace_text(request->arena, request->match.captures[0]),
                                       request->match.captures[1]);
    return rest_refuse(request, 404, "NoSuchViewException", text);
}

enum tn_code h_iceberg_view_create(struct request *request, struct tn_error *err)
{
    (void)err;
    return rest_refuse(request, 406, "UnsupportedOperationException", "views are not supported by this catalog");
}
