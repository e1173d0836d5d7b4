/* What a browser gets: one plain page, and a cookie for the printed link. */
#include "gateway/gateway_internal.h"

#define SESSION_SECONDS (INT64_C(30) * 86400)

static const char page_csp[] = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
                               "frame-ancestors 'none'";

static const char page_text[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Tarn</title>\n"
    "<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;"
    "padding:0 1rem}code,pre{font:14px/1.5 ui-monospace,monospace}pre{overflow:auto;padding:1rem;"
    "border:1px solid color-mix(in srgb,currentColor 25%,transparent);border-radius:6px}</style></head>\n"
    "<body><h1>Tarn</h1>\n<p>A lakehouse in one binary: files in, open Apache Iceberg tables out, SQL over them. "
    "This server answers programs, the <code>tarn</code> command and other engines.</p>\n"
    "<ul><li><a href=\"/openapi.json\">/openapi.json</a>: every path</li>"
    "<li><a href=\"/catalog/datasets\">/catalog/datasets</a>: what is in the lake</li>"
    "<li><a href=\"/system\">/system</a>: memory, disk, what runs</li>"
    "<li><a href=\"/metrics\">/metrics</a>: figures for Prometheus</li>"
    "<li><a href=\"/health\">/health</a></li></ul>\n"
    "<pre>tarn sql -c 'select 42'\n\ncurl -H \"Authorization: Bearer $TARN_TOKEN\" \\\n"
    "  -H 'Content-Type: application/json' \\\n  -d '{\"sql\":\"select 42\"}' http://127.0.0.1:7341/query/sql</pre>\n"
    "<p>Other engines attach at <code>/iceberg</code> (Iceberg REST catalog).</p></body></html>\n";

/* The token of the printed link becomes a cookie, and the address without the
 * token replaces the link, so that it stays in no history. */
static enum tn_code login(struct request *request, const char *token, struct tn_error *err)
{
    struct token_identity identity;
    char session[TOKEN_SESSION_TEXT];
    enum tn_code code = tokens_check(request->gateway->tokens, token, &identity, err);
    if (code != TN_OK) {
        metrics_auth_failure(request->gateway->metrics);
        return code;
    }
    request->actor = identity;
    TN_TRY(tokens_session_make(request->gateway->tokens, &identity, SESSION_SECONDS, session, err));
    reply_status(request, 303, NULL);
    reply_header(request, "Location", "/");
    reply_header(request, "Set-Cookie",
                 tn_arena_printf(request->arena, "%s=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%lld%s",
                                 request->gateway->cookie, session, (long long)SESSION_SECONDS,
                                 request->gateway->site.tls ? "; Secure" : ""));
    return TN_OK;
}

enum tn_code h_login(struct request *request, struct tn_error *err)
{
    const char *token = http_param(&request->target, "token");
    return token ? login(request, token, err) : tn_fail(err, TN_EREQUEST, "the parameter token is missing");
}

enum tn_code h_page(struct request *request, struct tn_error *err)
{
    const char *token = http_param(&request->target, "token");
    if (token)
        return login(request, token, err);
    reply_status(request, 200, "text/html; charset=utf-8");
    request->reply.csp = page_csp;
    tn_buf_puts(&request->reply.body, page_text);
    return TN_OK;
}
