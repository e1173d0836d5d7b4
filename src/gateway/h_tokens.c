/* Tokens: listed, made, revoked. */
#include "gateway/gateway_internal.h"

enum tn_code h_token_list(struct request *request, struct tn_error *err)
{
    (void)err;
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_key(&json, "items");
    tokens_list(request->gateway->tokens, &json);
    tn_json_key(&json, "next_cursor");
    tn_json_null(&json);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_token_add(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    const char *name = "unnamed", *reason = NULL;
    struct token_identity identity;
    char token[TOKEN_TEXT];
    const struct tn_json_field fields[] = {
        {.name = "name", .kind = TN_JSON_STRING, .ret = &name},
        {.name = "reason", .kind = TN_JSON_STRING, .ret = &reason},
    };
    TN_TRY(request_json(request, &body, err));
    TN_TRY(tn_json_read(body, "request body", fields, TN_COUNT(fields), err));
    TN_TRY(tokens_add(request->gateway->tokens, name, &identity, token, err));
    TN_LOG(TN_LOG_INFO, "token.made", TN_FS("id", identity.id), TN_FS("name", identity.name),
           TN_FS("reason", reason));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "id", identity.id);
    tn_json_kstr(&json, "name", identity.name);
    tn_json_kstr(&json, "token", token);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_token_revoke(struct request *request, struct tn_error *err)
{
    const char *id = request->match.captures[0];
    TN_TRY(tokens_revoke(request->gateway->tokens, id, err));
    TN_LOG(TN_LOG_INFO, "token.revoked", TN_FS("id", id));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "id", id);
    tn_json_kstr(&json, "status", "revoked");
    tn_json_close(&json, '}');
    return TN_OK;
}
