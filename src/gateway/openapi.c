/* The OpenAPI document, written from the route table in one pass. Templates
 * that differ in their method alone share one path item, so the table keeps
 * them together. */
#include "gateway/problem.h"
#include "gateway/route.h"

static const char problem_schema[] =
    "{\"type\":\"object\",\"required\":[\"type\",\"title\",\"status\",\"code\",\"detail\",\"request_id\"],"
    "\"properties\":{\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"}"
    ","
    "\"code\":{\"type\":\"string\",\"description\":\"A stable word, such as dataset_not_found.\"},"
    "\"detail\":{\"type\":\"string\",\"description\":\"What went wrong and where.\"},"
    "\"hint\":{\"type\":\"string\",\"description\":\"What to do about it.\"},"
    "\"line\":{\"type\":\"integer\"},\"column\":{\"type\":\"integer\"},\"request_id\":{\"type\":\"string\"}}}";

static const char oauth_error_schema[] =
    "{\"type\":\"object\",\"required\":[\"error\",\"error_description\"],\"properties\":{\"error\":{\"enum\":["
    "\"invalid_client\",\"invalid_request\"]},\"error_description\":{\"type\":\"string\"}}}";
static const char iceberg_error_schema[] =
    "{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{\"type\":\"object\","
    "\"required\":[\"message\",\"type\",\"code\"],\"properties\":{\"message\":{\"type\":\"string\"},"
    "\"type\":{\"type\":\"string\"},\"code\":{\"type\":\"integer\"}}}}}";

static const char openai_error_schema[] =
    "{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{\"type\":\"object\","
    "\"required\":[\"message\",\"type\",\"code\"],\"properties\":{\"message\":{\"type\":\"string\"},"
    "\"type\":{\"type\":\"string\"},\"param\":{\"type\":\"null\"},\"code\":{\"type\":\"string\"}}}}}";

static void raw(struct tn_json *json, const char *text)
{
    tn_json_raw(json, text, strlen(text));
}

static void kraw(struct tn_json *json, const char *key, const char *text)
{
    tn_json_key(json, key);
    raw(json, text);
}

static void write_param(struct tn_json *json, const char *in, const struct route_param *param)
{
    tn_json_open(json, '{');
    tn_json_kstr(json, "name", param->name);
    tn_json_kstr(json, "in", in);
    if (param->required || tn_streq(in, "path"))
        tn_json_kbool(json, "required", true);
    tn_json_kstr(json, "description", param->help);
    kraw(json, "schema", param->schema);
    tn_json_close(json, '}');
}

/* Names in the template that the table does not describe get a plain entry. */
static void write_path_params(struct tn_json *json, const struct route *route)
{
    for (const char *at = strchr(route->path, '{'); at; at = strchr(at + 1, '{')) {
        TN_AUTO_BUF name = {0};
        tn_buf_append(&name, at + 1, strcspn(at + 1, "}"));
        struct route_param param = {
            .name = name.data, .schema = "{\"type\":\"string\",\"minLength\":1}", .help = "Name or id."};
        for (size_t i = 0; i < route->param_count; i++)
            if (route->params[i].in && tn_streq(route->params[i].in, "path") &&
                tn_streq(route->params[i].name, name.data))
                param = route->params[i];
        write_param(json, "path", &param);
    }
}

static void write_params(struct tn_json *json, const struct route *route)
{
    static const struct route_param idempotency = {
        .name = "Idempotency-Key",
        .schema = "{\"type\":\"string\",\"minLength\":1,\"maxLength\":200}",
        .help = "The same key with the same request gives the first answer again instead of doing it twice."};
    tn_json_key(json, "parameters");
    tn_json_open(json, '[');
    write_path_params(json, route);
    for (size_t i = 0; i < route->param_count; i++)
        if (!route->params[i].in || tn_streq(route->params[i].in, "header"))
            write_param(json, route->params[i].in ? route->params[i].in : "query", &route->params[i]);
    if (route->flags & ROUTE_WRITE)
        write_param(json, "header", &idempotency);
    tn_json_close(json, ']');
}

static void write_content(struct tn_json *json, const char *media, const char *schema)
{
    tn_json_key(json, "content");
    tn_json_open(json, '{');
    for (const char *at = media; *at;) {
        TN_AUTO_BUF one = {0};
        size_t length = strcspn(at, ",");
        tn_buf_append(&one, at, length);
        tn_json_key(json, one.data);
        tn_json_open(json, '{');
        bool is_json = tn_streq(one.data, "application/json") || tn_str_ends_with(one.data, "+json");
        kraw(json, "schema", is_json && schema ? schema : is_json ? "{}" : "{\"type\":\"string\"}");
        tn_json_close(json, '}');
        at += length;
        at += strspn(at, ", ");
    }
    tn_json_close(json, '}');
}

static void write_request(struct tn_json *json, const struct route *route)
{
    if (!(route->flags & (ROUTE_JSON | ROUTE_FORM | ROUTE_UPLOAD)))
        return;
    tn_json_key(json, "requestBody");
    tn_json_open(json, '{');
    tn_json_kbool(json, "required", true);
    if ((route->flags & ROUTE_UPLOAD) && route->request) {
        tn_json_key(json, "content");
        tn_json_open(json, '{');
        tn_json_key(json, "application/json");
        tn_json_open(json, '{');
        kraw(json, "schema", route->request);
        tn_json_close(json, '}');
        tn_json_close(json, '}');
    } else if (route->flags & ROUTE_UPLOAD) {
        tn_json_key(json, "content");
        tn_json_open(json, '{');
        kraw(json, "application/octet-stream",
             "{\"schema\":{\"type\":\"string\",\"contentMediaType\":\"application/octet-stream\"}}");
        kraw(json, "multipart/form-data",
             "{\"schema\":{\"type\":\"object\",\"required\":[\"file\"],\"properties\":{\"file\":{\"type\":\"string\","
             "\"contentMediaType\":\"application/octet-stream\"}}}}");
        tn_json_close(json, '}');
    } else {
        write_content(json, route->flags & ROUTE_FORM ? "application/x-www-form-urlencoded" : "application/json",
                      route->request);
    }
    tn_json_close(json, '}');
}

static void write_responses(struct tn_json *json, const struct route *route)
{
    tn_json_key(json, "responses");
    tn_json_open(json, '{');
    if (tn_streq(route->method, "HEAD")) {
        kraw(json, "204", "{\"description\":\"It exists.\"}");
    } else if ((route->flags & ROUTE_ICEBERG) && !route->response) { /* the REST catalog answers so */
        kraw(json, "204", "{\"description\":\"Done.\"}");
    } else {
        tn_json_key(json, "200");
        tn_json_open(json, '{');
        tn_json_kstr(json, "description", "Done.");
        write_content(json, route->media ? route->media : "application/json", route->response);
        tn_json_close(json, '}');
    }
    if (route->flags & ROUTE_JOB) {
        tn_json_key(json, "202");
        tn_json_open(json, '{');
        tn_json_kstr(json, "description", "A job was made of it, or was there already.");
        write_content(json, "application/json",
                      "{\"type\":\"object\",\"required\":[\"job_id\",\"href\"],\"properties\":{\"job_id\":{\"type\":"
                      "\"string\"},\"href\":{\"type\":\"string\"},\"state\":{\"type\":\"string\"}}}");
        tn_json_close(json, '}');
    }
    tn_json_key(json, "default");
    tn_json_open(json, '{');
    bool iceberg = route->flags & ROUTE_ICEBERG, openai = route->flags & ROUTE_OPENAI;
    bool oauth = route->flags & ROUTE_OAUTH;
    tn_json_kstr(json, "description",
                 oauth     ? "An error, in OAuth's shape."
                 : iceberg ? "An error, in the REST catalog's shape."
                 : openai  ? "An error, in OpenAI's shape."
                           : "A problem document.");
    write_content(json, iceberg || openai ? "application/json" : PROBLEM_MEDIA,
                  oauth     ? "{\"$ref\":\"#/components/schemas/OAuthError\"}"
                  : iceberg ? "{\"$ref\":\"#/components/schemas/IcebergError\"}"
                  : openai  ? "{\"$ref\":\"#/components/schemas/OpenAIError\"}"
                            : "{\"$ref\":\"#/components/schemas/Problem\"}");
    tn_json_close(json, '}');
    tn_json_close(json, '}');
}

static void write_operation(struct tn_json *json, const struct route *route)
{
    TN_AUTO_BUF method = {0};
    for (const char *at = route->method; *at; at++)
        tn_buf_putc(&method, tn_ascii_lower(*at));
    tn_json_key(json, method.data);
    tn_json_open(json, '{');
    tn_json_kstr(json, "operationId", route->id);
    tn_json_key(json, "tags");
    tn_json_open(json, '[');
    tn_json_str(json, route->tag);
    tn_json_close(json, ']');
    tn_json_kstr(json, "summary", route->summary);
    if (route->description)
        tn_json_kstr(json, "description", route->description);
    if (route->flags & ROUTE_OPEN)
        kraw(json, "security", "[]");
    write_params(json, route);
    write_request(json, route);
    write_responses(json, route);
    tn_json_close(json, '}');
}

static void write_paths(struct tn_json *json, struct route_table table)
{
    tn_json_key(json, "paths");
    tn_json_open(json, '{');
    for (size_t i = 0; i < table.count; i++) {
        bool seen = false;
        for (size_t before = 0; before < i && !seen; before++)
            seen = tn_streq(table.routes[before].path, table.routes[i].path);
        if (seen)
            continue;
        tn_json_key(json, table.routes[i].path);
        tn_json_open(json, '{');
        for (size_t k = i; k < table.count; k++)
            if (tn_streq(table.routes[k].path, table.routes[i].path))
                write_operation(json, &table.routes[k]);
        tn_json_close(json, '}');
    }
    tn_json_close(json, '}');
}

void openapi_write(struct route_table table, const char *version, struct tn_buf *out)
{
    struct tn_json writer = tn_json_writer(out);
    struct tn_json *json = &writer;
    tn_json_open(json, '{');
    tn_json_kstr(json, "openapi", "3.1.0");
    tn_json_key(json, "info");
    tn_json_open(json, '{');
    tn_json_kstr(json, "title", "Tarn");
    tn_json_kstr(json, "version", version);
    tn_json_kstr(json, "description", "A lakehouse in one binary: files in, open Iceberg tables out, SQL over them.");
    kraw(json, "license", "{\"name\":\"Apache-2.0\",\"identifier\":\"Apache-2.0\"}");
    tn_json_close(json, '}');
    kraw(json, "servers", "[{\"url\":\"/\"}]");
    kraw(json, "security", "[{\"token\":[]},{\"cookie\":[]}]");
    write_paths(json, table);
    tn_json_key(json, "components");
    tn_json_open(json, '{');
    kraw(json, "securitySchemes",
         "{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
         "\"cookie\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"tarn_7341\"}}");
    tn_json_key(json, "schemas");
    tn_json_open(json, '{');
    kraw(json, "Problem", problem_schema);
    kraw(json, "IcebergError", iceberg_error_schema);
    kraw(json, "OpenAIError", openai_error_schema);
    kraw(json, "OAuthError", oauth_error_schema);
    tn_json_close(json, '}');
    tn_json_close(json, '}');
    tn_json_close(json, '}');
}
