/* Versions of an index: one more by another model, and the pointer. */
#include "gateway/gateway_internal.h"

static enum tn_code reply_versions(struct request *request, struct tn_error *err)
{
    struct tn_json json = reply_json(request);
    return index_versions(request->gateway->indexes, request->match.captures[0], &json, err);
}

enum tn_code h_versions(struct request *request, struct tn_error *err)
{
    return reply_versions(request, err);
}

enum tn_code h_version_add(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    const char *model = NULL, *reason = NULL;
    char name[INDEX_NAME_MAX + 1], job[JOB_ID_TEXT];
    TN_TRY(request_json(request, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "model", .kind = TN_JSON_STRING, .ret = &model, .required = true},
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &reason},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    TN_TRY(index_version_add(request->gateway->indexes, request->match.captures[0], model, request->actor.name, name,
                             job, err));
    return job_reply(request, job, err);
}

enum tn_code h_version_serve(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    const char *version = NULL, *reason = NULL;
    TN_TRY(request_json(request, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "version", .kind = TN_JSON_STRING, .ret = &version},
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &reason},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    TN_TRY(index_version_serve(request->gateway->indexes, request->match.captures[0], version, err));
    return reply_versions(request, err);
}

/* ---- searches held back -------------------------------------------------------- */

#define HOLD_SECONDS_MAX 3600

enum tn_code h_search_hold(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    const char *reason = NULL;
    json_t *datasets = NULL;
    int64_t seconds = 0;
    TN_TRY(request_json(request, &body, err));
    const struct tn_json_field fields[] = {
        {.name = "datasets", .kind = TN_JSON_ARRAY, .ret = &datasets, .required = true},
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &reason, .required = true},
        {.name = "seconds", .kind = TN_JSON_INT, .ret = &seconds, .required = true, .max = HOLD_SECONDS_MAX},
    };
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    for (size_t i = 0; i < json_array_size(datasets); i++)
        if (!json_is_string(json_array_get(datasets, i)))
            return tn_fail(err, TN_EREQUEST, "datasets must be names; number %zu is none", i + 1);
    for (size_t i = 0; i < json_array_size(datasets); i++)
        index_hold(request->gateway->indexes, json_string_value(json_array_get(datasets, i)), reason,
                   (uint64_t)seconds * 1000);
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "held", seconds > 0 ? (int64_t)json_array_size(datasets) : 0);
    tn_json_close(&json, '}');
    return TN_OK;
}
