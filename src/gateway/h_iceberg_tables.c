/* Tables of the Iceberg REST catalog: listing, loading, making, dropping. */
#include "gateway/evidence.h"
#include "gateway/iceberg_rest.h"

static struct catalog *catalog_of(const struct request *request)
{
    return request->gateway->lake.catalog;
}

/* All tables, or a page of pageSize behind pageToken (a name; empty: the
 * first page). */
enum tn_code h_iceberg_tables(struct request *request, struct tn_error *err)
{
    const char *space = request->match.captures[0];
    const char *const *names = NULL;
    struct rest_page page;
    size_t count = 0;
    bool full = false;
    TN_TRY(catalog_namespace_check(catalog_of(request), space, err));
    TN_TRY(rest_page_begin(request, &page, err));
    TN_TRY(catalog_tables_in(catalog_of(request), space, request->arena, &names, &count, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "identifiers");
    tn_json_open(&json, '[');
    for (size_t i = 0; i < count && !full; i++) {
        if (!rest_page_takes(&page, names[i], &full))
            continue;
        tn_json_open(&json, '{');
        tn_json_key(&json, "namespace");
        catalog_put_namespace(&json, space);
        tn_json_kstr(&json, "name", names[i]);
        tn_json_close(&json, '}');
    }
    tn_json_close(&json, ']');
    if (full && page.last)
        tn_json_kstr(&json, "next-page-token", page.last);
    tn_json_close(&json, '}');
    return TN_OK;
}

/* A metadata file never changes, so its name is its tag. */
static const char *etag_of(struct request *request, const struct iceberg_metadata *metadata, bool refs_only)
{
    char hex[17];
    uint64_t hash = tn_hash64(metadata->uri, strlen(metadata->uri), refs_only);
    tn_hex_encode(&hash, sizeof hash, hex);
    return tn_arena_printf(request->arena, "\"%s\"", hex);
}

enum tn_code rest_reply_table(struct request *request, const struct iceberg_metadata *metadata, bool staged,
                              bool refs_only, struct tn_error *err)
{
    TN_AUTO_BUF refs = {0};
    size_t length = 0;
    const char *text = iceberg_metadata_json(metadata, &length);
    if (refs_only) {
        TN_TRY(iceberg_metadata_json_refs(metadata, &refs, err));
        text = refs.data;
        length = refs.len;
    }
    if (!staged)
        reply_header(request, "ETag", etag_of(request, metadata, refs_only));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    if (!staged)
        tn_json_kstr(&json, "metadata-location", metadata->uri);
    tn_json_key(&json, "metadata");
    tn_json_raw(&json, text, length);
    tn_json_key(&json, "config");
    tn_json_open(&json, '{');
    tn_json_close(&json, '}');
    tn_json_close(&json, '}');
    return TN_OK;
}

static bool wants_refs(struct request *request)
{
    const char *snapshots = http_param(&request->target, "snapshots");
    return snapshots && tn_streq(snapshots, "refs");
}

enum tn_code h_iceberg_table(struct request *request, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    const char *dataset = NULL;
    bool there = false, refs_only = wants_refs(request);
    TN_TRY(rest_dataset(request, &dataset, err));
    TN_TRY(catalog_load(catalog_of(request), dataset, &metadata, err));
    /* It is in memory here, but some clients read the file. */
    TN_TRY(store_exists(request->gateway->lake.store, metadata->key, &there, err));
    if (!there)
        return rest_refuse(
            request, 404, "NotFoundException",
            tn_arena_printf(request->arena, "Failed to open input stream for file: %s", metadata->uri));
    const char *etag = etag_of(request, metadata, refs_only);
    if (request->if_none_match && http_etag_matches(request->if_none_match, etag)) {
        reply_header(request, "ETag", etag);
        reply_status(request, 304, NULL);
        return TN_OK;
    }
    return rest_reply_table(request, metadata, false, refs_only, err);
}

enum tn_code h_iceberg_table_head(struct request *request, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    const char *dataset = NULL;
    TN_TRY(rest_dataset(request, &dataset, err));
    TN_TRY(catalog_load(catalog_of(request), dataset, &metadata, err));
    reply_header(request, "ETag", etag_of(request, metadata, false));
    reply_status(request, 204, NULL);
    return TN_OK;
}

/* ---- making and removing ---------------------------------------------------------- */

static enum tn_code read_name(const json_t *body, const char *key, const char **ret, struct tn_error *err)
{
    *ret = json_string_value(json_object_get(body, key));
    return *ret ? TN_OK : tn_fail(err, TN_EREQUEST, "\"%s\" is missing or not a string", key);
}

enum tn_code h_iceberg_table_create(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct catalog_identifier id = {.space = request->match.captures[0]};
    const struct iceberg_origin origin = rest_origin(request);
    TN_TRY(request_json(request, &body, err));
    TN_TRY(read_name(body, "name", &id.table, err));
    bool stage = json_is_true(json_object_get(body, "stage-create"));
    TN_TRY(catalog_create(catalog_of(request), id, request->body.data, request->body.len, stage, &origin, &metadata,
                          err));
    return rest_reply_table(request, metadata, stage, false, err);
}

enum tn_code h_iceberg_register(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct catalog_identifier id = {.space = request->match.captures[0]};
    const struct iceberg_origin origin = rest_origin(request);
    const char *location = NULL;
    TN_TRY(request_json(request, &body, err));
    TN_TRY(read_name(body, "name", &id.table, err));
    TN_TRY(read_name(body, "metadata-location", &location, err));
    bool overwrite = json_is_true(json_object_get(body, "overwrite"));
    TN_TRY(catalog_register(catalog_of(request), id, location, overwrite, &origin, &metadata, err));
    return rest_reply_table(request, metadata, false, false, err);
}

enum tn_code h_iceberg_table_drop(struct request *request, struct tn_error *err)
{
    const char *purge = http_param(&request->target, "purgeRequested"), *dataset = NULL;
    ICEBERG_AUTO_METADATA *was = NULL;
    struct journal_intent intent;
    bool purges = purge && tn_str_equal_nocase(purge, "true");
    if (purge && !purges && !tn_str_equal_nocase(purge, "false"))
        return tn_fail(err, TN_EREQUEST, "purgeRequested must be true or false, not \"%.60s\"", purge);
    TN_TRY(rest_dataset(request, &dataset, err));
    TN_TRY(catalog_load(catalog_of(request), dataset, &was, err));
    TN_TRY(index_check_free(request->gateway->indexes, dataset, err));
    TN_TRY(evidence_settle(request, dataset, err));
    TN_TRY(evidence_intend_drop(request, dataset, was, NULL, &intent, err));
    enum tn_code code =
        purges ? catalog_purge(catalog_of(request), dataset, err) : catalog_drop(catalog_of(request), dataset, err);
    if (code != TN_OK)
        evidence_take_back(request, dataset, &intent, code);
    TN_TRY(code);
    TN_FAULT("catalog.dropped");
    evidence_dropped(request, dataset, &intent, NULL);
    reply_status(request, 204, NULL);
    return TN_OK;
}

static enum tn_code read_identifier(struct request *request, const json_t *body, const char *key,
                                    struct catalog_identifier *ret, struct tn_error *err)
{
    const json_t *node = json_object_get(body, key);
    if (!json_is_object(node))
        return tn_fail(err, TN_EREQUEST, "\"%s\" is missing or not an identifier", key);
    TN_TRY(rest_read_namespace(request, json_object_get(node, "namespace"), &ret->space, err));
    return read_name(node, "name", &ret->table, err);
}

static json_t *identifier_json(struct request *request, struct catalog_identifier id)
{
    return json_pack("{s:s, s:s}", "namespace", catalog_namespace_text(request->arena, id.space), "name", id.table);
}

static enum tn_code rename_noted(struct request *request, struct catalog_identifier from,
                                 struct catalog_identifier to, struct tn_error *err)
{
    TN_AUTO_JSON *old_name = identifier_json(request, from), *new_name = identifier_json(request, to);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    const char *dataset = NULL;
    struct journal_intent intent = {0};
    if (catalog_dataset_named(catalog_of(request), from.space, from.table, request->arena, &dataset, NULL) == TN_OK &&
        catalog_load(catalog_of(request), dataset, &metadata, NULL) == TN_OK) {
        TN_TRY(index_check_free(request->gateway->indexes, dataset, err));
        TN_TRY(evidence_intend_rename(request, dataset, metadata, old_name, new_name, &intent, err));
    }
    enum tn_code code = catalog_rename(catalog_of(request), from.space, from.table, to.space, to.table, err);
    if (code != TN_OK)
        evidence_take_back(request, dataset ? dataset : "", &intent, code);
    TN_TRY(code);
    TN_FAULT("catalog.renamed");
    if (catalog_dataset_named(catalog_of(request), to.space, to.table, request->arena, &dataset, NULL) == TN_OK)
        evidence_renamed(request, dataset, &intent, old_name, new_name);
    return TN_OK;
}

enum tn_code h_iceberg_rename(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    struct catalog_identifier from, to;
    TN_TRY(request_json(request, &body, err));
    TN_TRY(read_identifier(request, body, "source", &from, err));
    TN_TRY(read_identifier(request, body, "destination", &to, err));
    TN_TRY(rename_noted(request, from, to, err));
    reply_status(request, 204, NULL);
    return TN_OK;
}

/* What a client measured of its own reads and writes: taken, not kept. */
enum tn_code h_iceberg_metrics(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    TN_TRY(request_json(request, &body, err));
    reply_status(request, 204, NULL);
    return TN_OK;
}
