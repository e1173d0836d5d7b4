#include "gateway/problem.h"

void problem_write(const struct tn_error *error, const char *request_id, struct tn_buf *out)
{
    TN_AUTO_BUF type = {0};
    tn_buf_printf(&type, "urn:tarn:error:%s", tn_code_word(error->code));
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "type", type.data);
    tn_json_kstr(&json, "title", tn_code_title(error->code));
    tn_json_ki64(&json, "status", tn_code_http_status(error->code));
    tn_json_kstr(&json, "code", tn_code_word(error->code));
    tn_json_kstr(&json, "detail", error->detail);
    if (error->hint[0])
        tn_json_kstr(&json, "hint", error->hint);
    if (error->line > 0)
        tn_json_ki64(&json, "line", error->line);
    if (error->column > 0)
        tn_json_ki64(&json, "column", error->column);
    tn_json_kstr(&json, "request_id", request_id);
    tn_json_close(&json, '}');
}

/* The exception names that Iceberg's clients know. */
static const char *iceberg_type(enum tn_code code)
{
    switch (code) {
    case TN_EDATASET:
        return "NoSuchTableException";
    case TN_ENOTFOUND:
        return "NoSuchNamespaceException";
    case TN_EUNAUTHORIZED:
        return "NotAuthorizedException";
    case TN_EFORBIDDEN:
        return "ForbiddenException";
    case TN_EEXISTS:
        return "AlreadyExistsException";
    case TN_ECONFLICT:
        return "CommitFailedException";
    case TN_EMETHOD:
    case TN_EUNSUPPORTED:
        return "UnsupportedOperationException";
    case TN_EBUSY:
    case TN_EUNAVAILABLE:
        return "ServiceUnavailableException";
    default:
        return tn_code_http_status(code) < 500 ? "BadRequestException" : "InternalServerError";
    }
}

void problem_write_iceberg(const struct tn_error *error, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    tn_json_key(&json, "error");
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "message", error->detail);
    tn_json_kstr(&json, "type", iceberg_type(error->code));
    tn_json_ki64(&json, "code", tn_code_http_status(error->code));
    tn_json_close(&json, '}');
    tn_json_close(&json, '}');
}

void problem_write_oauth(const struct tn_error *error, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "error", error->code == TN_EUNAUTHORIZED ? "invalid_client" : "invalid_request");
    tn_json_kstr(&json, "error_description", error->detail);
    tn_json_close(&json, '}');
}

static const char *openai_type(int status)
{
    if (status == 401)
        return "authentication_error";
    if (status == 403)
        return "permission_error";
    if (status == 429)
        return "rate_limit_error";
    return status < 500 ? "invalid_request_error" : "server_error";
}

void problem_write_openai(const struct tn_error *error, struct tn_buf *out)
{
    TN_AUTO_BUF message = {0};
    tn_buf_puts(&message, error->detail);
    if (error->hint[0])
        tn_buf_printf(&message, " (%s)", error->hint);
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    tn_json_key(&json, "error");
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "message", message.data);
    tn_json_kstr(&json, "type", openai_type(tn_code_http_status(error->code)));
    tn_json_kstr(&json, "param", NULL);
    tn_json_kstr(&json, "code", tn_code_word(error->code));
    tn_json_close(&json, '}');
    tn_json_close(&json, '}');
}

int problem_retry_after(enum tn_code code)
{
    switch (code) {
    case TN_EBUSY:
        return 1;
    case TN_EUNAVAILABLE:
    case TN_ENOMEM:
        return 5;
    case TN_EREADONLY:
        return 60;
    default:
        return 0;
    }
}
