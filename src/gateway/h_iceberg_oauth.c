/* Tokens, for the clients that insist on OAuth: a token of the lake is the
 * client's secret, and the access token that is given out is the same. */
#include "gateway/iceberg_rest.h"

#define EXCHANGE "urn:ietf:params:oauth:grant-type:token-exchange"

/* RFC 6749, section 5.2: a grant that is well-formed and not offered has a word
 * of its own; clients go on to another one. */
static enum tn_code refuse_grant(struct request *request, const char *grant)
{
    struct tn_json json = reply_json(request);
    reply_status(request, 400, "application/json");
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "error", "unsupported_grant_type");
    tn_json_kstr(&json, "error_description",
                 tn_arena_printf(request->arena, "grant_type must be client_credentials, not \"%.100s\"", grant));
    tn_json_close(&json, '}');
    return TN_OK;
}

/* *ret stays NULL when the answer is given. */
static enum tn_code oauth_secret(struct request *request, const char **ret, struct tn_error *err)
{
    struct http_pair params[HTTP_PARAMS_MAX];
    size_t count = 0;
    const char *grant = NULL, *secret = NULL, *user = NULL, *subject = NULL;
    if (!http_media_is(request->content_type, "application/x-www-form-urlencoded"))
        return tn_fail(err, TN_EMEDIA, "the body must be application/x-www-form-urlencoded");
    TN_TRY(http_params_parse(request->arena, request->body.data ? request->body.data : "", request->body.len, params,
                             &count, err));
    for (size_t i = 0; i < count; i++) {
        if (tn_streq(params[i].name, "grant_type"))
            grant = params[i].value;
        if (tn_streq(params[i].name, "client_secret"))
            secret = params[i].value;
        if (tn_streq(params[i].name, "subject_token"))
            subject = params[i].value;
    }
    bool exchange = grant && tn_streq(grant, EXCHANGE); /* Java renews its token in this way */
    if (!grant || !*grant)
        return tn_fail(err, TN_EREQUEST, "grant_type is missing; it must be client_credentials");
    if (!exchange && !tn_streq(grant, "client_credentials"))
        return refuse_grant(request, grant);
    if (exchange)
        secret = subject;
    if (!secret && !exchange)
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
    if (!secret)
        return TN_OK;
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
