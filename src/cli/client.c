/* Requests over libcurl (see client.h).
 *
 * The multi interface drives one transfer at a time: unlike
 * curl_easy_perform it returns to us ten times a second, so that Ctrl-C and
 * the progress bar do not depend on bytes arriving.
 */
#include "cli/client.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <string.h>

enum { MAX_KEPT = 64 << 20, MAX_PROBLEM = 1 << 20, MAX_TAIL = 8 << 10, GRACE_MS = 3000 };

struct client {
    char *url; /* without a slash at its end */
    char *token;
    CURLM *multi;
    CURL *easy;
};

struct transfer {
    struct client *client;
    const struct client_request *request;
    CURL *easy;
    struct client_reply *reply;
    struct tn_error *err; /* set by a sink or a source that failed */
    enum tn_code failed;
    struct tn_buf problem;
    struct tn_buf tail; /* the answer's last bytes: a stream that fails says why there, and is cut */
    bool headers_ended; /* libcurl takes an answer that breaks off in its headers for an empty one */
};

/* Set by a signal handler or by another thread: a lock-free atomic suits both. */
static atomic_int interrupted;

void client_interrupt(void)
{
    atomic_store(&interrupted, 1);
}

void client_interrupt_clear(void)
{
    atomic_store(&interrupted, 0);
}

bool client_interrupted(void)
{
    return atomic_load(&interrupted) != 0;
}

enum tn_code client_new(const char *url, const char *token, struct client **ret, struct tn_error *err)
{
    if (!tn_str_starts_with(url, "http://") && !tn_str_starts_with(url, "https://")) {
        enum tn_code code = tn_fail(err, TN_EUSAGE, "%s is no address of a server", url);
        tn_error_hint(err, "it begins with http:// or https://, as in http://127.0.0.1:7341");
        return code;
    }
    if (token && strpbrk(token, "\r\n"))
        return tn_fail(err, TN_EUSAGE, "the token holds a line break");
    struct client *client = tn_calloc(1, sizeof *client);
    client->url = tn_strdup(url);
    for (size_t n = strlen(client->url); n > 0 && client->url[n - 1] == '/'; n--)
        client->url[n - 1] = '\0';
    client->token = token ? tn_strdup(token) : NULL;
    *ret = client;
    return TN_OK;
}

void client_free(struct client *client)
{
    if (!client)
        return;
    if (client->easy)
        curl_easy_cleanup(client->easy);
    if (client->multi)
        curl_multi_cleanup(client->multi);
    free(client->url);
    free(client->token);
    free(client);
}

const char *client_url(const struct client *client)
{
    return client->url;
}

void client_reply_release(struct client_reply *reply)
{
    tn_buf_release(&reply->body);
}

/* ---- callbacks of libcurl -------------------------------------------------------- */

static void keep_tail(struct tn_buf *tail, const char *bytes, size_t length)
{
    size_t kept = TN_MIN(length, (size_t)MAX_TAIL);
    if (tail->len + kept > MAX_TAIL)
        tn_buf_consume(tail, tail->len + kept - MAX_TAIL);
    tn_buf_append(tail, bytes + length - kept, kept);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t length = size * count;
    long status = 0;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 400) {
        tn_buf_append(&transfer->problem, bytes,
                      TN_MIN(length, MAX_PROBLEM - TN_MIN(transfer->problem.len, MAX_PROBLEM)));
        return length;
    }
    keep_tail(&transfer->tail, bytes, length);
    if (transfer->request->sink) {
        transfer->failed = transfer->request->sink(transfer->request->sink_context, bytes, length, transfer->err);
        return transfer->failed == TN_OK ? length : 0;
    }
    if (transfer->reply->body.len + length > MAX_KEPT) {
        transfer->failed = tn_fail(transfer->err, TN_ETOOLARGE, "the answer is larger than %d MB", MAX_KEPT >> 20);
        tn_error_hint(transfer->err, "pipe the output, or ask for fewer rows");
        return 0;
    }
    tn_buf_append(&transfer->reply->body, bytes, length);
    return length;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    transfer->headers_ended = size * count <= 2 && line[0] != 'H'; /* the empty line; "HTTP/" begins anew */
    return size * count;
}

static size_t on_upload(char *out, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t got = 0;
    const struct client_request *request = transfer->request;
    transfer->failed = request->source(request->source_context, out, size * count, &got, transfer->err);
    return transfer->failed == TN_OK ? got : CURL_READFUNC_ABORT;
}

/* ---- one transfer ---------------------------------------------------------------- */

static enum tn_code prepare(struct client *client, struct tn_error *err)
{
    static bool global;
    if (!global && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return tn_fail(err, TN_EINTERNAL, "the HTTP library does not start");
    global = true;
    if (!client->multi)
        client->multi = curl_multi_init();
    if (!client->easy)
        client->easy = curl_easy_init();
    return client->multi && client->easy ? TN_OK : tn_fail(err, TN_ENOMEM, "no memory for a connection");
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    if (!value)
        return list;
    TN_AUTO_FREE char *line = tn_asprintf("%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(list, line);
    return longer ? longer : list;
}

static struct curl_slist *make_headers(const struct client *client, const struct client_request *request)
{
    struct curl_slist *list = NULL;
    TN_AUTO_FREE char *bearer = client->token ? tn_asprintf("Bearer %s", client->token) : NULL;
    list = add_header(list, "Authorization", bearer);
    list = add_header(list, "Accept", request->accept ? request->accept : "application/json");
    list = add_header(list, "X-Request-Id", request->request_id);
    if (request->body || request->source) {
        list = add_header(list, "Content-Type", request->content_type ? request->content_type : "application/json");
        /* Asking first pays only when there is much to send in vain. */
        if (request->body || (request->source_size >= 0 && request->source_size < 1 << 20))
            list = add_header(list, "Expect", "");
    }
    return list;
}

static bool is_loopback(const char *url)
{
    const char *host = strstr(url, "://") + 3;
    return tn_str_starts_with(host, "127.") || tn_str_starts_with(host, "localhost") ||
           tn_str_starts_with(host, "[::1]");
}

static void set_body(CURL *easy, struct transfer *transfer)
{
    const struct client_request *request = transfer->request;
    bool post = tn_streq(request->method, "POST");
    if (request->source) {
        (void)curl_easy_setopt(easy, post ? CURLOPT_POST : CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_upload);
        (void)curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
        (void)curl_easy_setopt(easy, post ? CURLOPT_POSTFIELDSIZE_LARGE : CURLOPT_INFILESIZE_LARGE,
                               (curl_off_t)request->source_size);
        (void)curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20);
    } else if (request->body || post) {
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
    } else {
        (void)curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static void set_up(struct transfer *transfer, const char *url, struct curl_slist *headers)
{
    CURL *easy = transfer->easy;
    curl_easy_reset(easy); /* keeps the connection */
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L << 10);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "tarn/" TARN_VERSION);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    if (is_loopback(url))
        (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    const char *certificates = getenv("TARN_CA_FILE");
    if (certificates && *certificates)
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, certificates);
    set_body(easy, transfer);
}

/* A DELETE of its own, over another connection, while the first one runs. */
static void send_cancel(struct client *client, const char *path)
{
    CURL *easy = curl_easy_init();
    if (!easy)
        return;
    TN_AUTO_FREE char *url = tn_asprintf("%s%s", client->url, path);
    struct client_request request = {.method = "DELETE", .path = path};
    struct client_reply reply = {0};
    struct transfer transfer = {.client = client, .request = &request, .easy = easy, .reply = &reply};
    struct curl_slist *headers = make_headers(client, &request);
    set_up(&transfer, url, headers);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)GRACE_MS);
    (void)curl_easy_perform(easy);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    tn_buf_release(&transfer.problem);
    tn_buf_release(&transfer.tail);
    client_reply_release(&reply);
}

static void report_progress(const struct transfer *transfer)
{
    const struct client_request *request = transfer->request;
    curl_off_t sent = 0;
    if (!request->progress || curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &sent) != CURLE_OK)
        return;
    request->progress(request->progress_context, (uint64_t)sent,
                      request->source_size >= 0 && sent >= (curl_off_t)request->source_size);
}

/* Drives the transfer to its end; *ret_result is libcurl's verdict. */
static enum tn_code drive(struct client *client, struct transfer *transfer, CURLcode *ret_result,
                          struct tn_error *err)
{
    uint64_t cancelled_ns = 0;
    for (int running = 1; running > 0;) {
        if (curl_multi_perform(client->multi, &running) != CURLM_OK)
            return tn_fail(err, TN_EINTERNAL, "the HTTP library failed");
        if (running > 0)
            (void)curl_multi_poll(client->multi, NULL, 0, 100, NULL);
        report_progress(transfer);
        if (!client_interrupted())
            continue;
        if (!transfer->request->cancel_path)
            return tn_fail(err, TN_ECANCELLED, "interrupted");
        if (cancelled_ns == 0) {
            cancelled_ns = tn_mono_ns();
            send_cancel(client, transfer->request->cancel_path);
        } else if (tn_mono_ns() - cancelled_ns > (uint64_t)GRACE_MS * 1000000u) {
            return tn_fail(err, TN_ECANCELLED, "interrupted");
        }
    }
    int left = 0;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(client->multi, &left)))
        if (message->msg == CURLMSG_DONE && message->easy_handle == transfer->easy)
            *ret_result = message->data.result;
    return TN_OK;
}

static enum tn_code explain(const struct client *client, CURLcode result, const char *text, struct tn_error *err)
{
    const char *why = text[0] ? text : curl_easy_strerror(result);
    if (result == CURLE_PEER_FAILED_VERIFICATION) {
        enum tn_code code = tn_fail(err, TN_EUNREACHABLE, "%s: %s", client->url, why);
        tn_error_hint(err, "set TARN_CA_FILE to the certificate that vouches for this server");
        return code;
    }
    if (result == CURLE_PARTIAL_FILE || result == CURLE_RECV_ERROR || result == CURLE_GOT_NOTHING ||
        result == CURLE_SEND_ERROR) {
        enum tn_code code = tn_fail(err, TN_EUNREACHABLE,
                                    "the server at %s hung up before its answer was complete: %s", client->url, why);
        tn_error_hint(err, "look at the server's log; what it had not acknowledged has not happened");
        return code;
    }
    enum tn_code code = tn_fail(err, TN_EUNREACHABLE, "no server answers at %s: %s", client->url, why);
    tn_error_hint(err, "start one with `tarn serve`, or check --server and TARN_SERVER");
    return code;
}

/* {"columns":...,"rows":[...],"error":{...}} or a last line {"error":{...}}. */
static bool find_late_problem(const struct tn_buf *tail, size_t *ret_start, size_t *ret_length)
{
    static const char mark[] = "\"error\":{";
    const char *found = NULL;
    for (const char *at = tail->data; at && (at = strstr(at, mark)); at++)
        found = at;
    if (!found)
        return false;
    size_t start = (size_t)(found - tail->data) + sizeof mark - 2, end = tail->len;
    while (end > start && tail->data[end - 1] != '}')
        end--;
    *ret_start = start;
    *ret_length = end > start ? end - start - 1 : 0; /* without the brace around it */
    return *ret_length > 0;
}

static enum tn_code judge_broken(const struct client *client, const struct transfer *transfer, CURLcode result,
                                 const char *text, struct tn_error *err)
{
    size_t start, length;
    struct tn_error late = {0};
    bool cut = result == CURLE_PARTIAL_FILE || result == CURLE_RECV_ERROR;
    if (cut && find_late_problem(&transfer->tail, &start, &length) &&
        client_problem(500, transfer->tail.data + start, length, &late) != TN_EINTERNAL) {
        if (err)
            *err = late;
        return late.code;
    }
    return explain(client, result, text, err);
}

static enum tn_code judge(const struct client *client, struct transfer *transfer, CURLcode result, const char *text,
                          struct tn_error *err)
{
    if (transfer->failed != TN_OK)
        return transfer->failed; /* the callback has filled err */
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &transfer->reply->status);
    if (transfer->reply->status >= 400)
        return client_problem(transfer->reply->status, transfer->problem.len ? transfer->problem.data : "",
                              transfer->problem.len, err);
    if (client_interrupted())
        return tn_fail(err, TN_ECANCELLED, "interrupted");
    if (result == CURLE_OK && !transfer->headers_ended)
        result = CURLE_PARTIAL_FILE;
    return result == CURLE_OK ? TN_OK : judge_broken(client, transfer, result, text, err);
}

enum tn_code client_send(struct client *client, const struct client_request *request, struct client_reply *ret,
                         struct tn_error *err)
{
    TN_TRY(prepare(client, err));
    struct tn_error scratch = {0};
    CLIENT_AUTO_REPLY reply = {0};
    struct transfer transfer = {
        .client = client, .request = request, .easy = client->easy, .reply = &reply, .err = err ? err : &scratch};
    char text[CURL_ERROR_SIZE] = "";
    TN_AUTO_FREE char *url = tn_asprintf("%s%s", client->url, request->path);
    struct curl_slist *headers = make_headers(client, request);
    set_up(&transfer, url, headers);
    (void)curl_easy_setopt(client->easy, CURLOPT_ERRORBUFFER, text);
    CURLcode result = CURLE_OK;
    enum tn_code code = TN_EINTERNAL;
    if (curl_multi_add_handle(client->multi, client->easy) == CURLM_OK) {
        code = drive(client, &transfer, &result, err);
        if (code == TN_OK)
            code = judge(client, &transfer, result, text, err);
        (void)curl_multi_remove_handle(client->multi, client->easy);
    } else {
        (void)tn_fail(err, TN_EINTERNAL, "the HTTP library takes no request");
    }
    (void)curl_easy_setopt(client->easy, CURLOPT_ERRORBUFFER, NULL);
    (void)curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    tn_buf_release(&transfer.problem);
    tn_buf_release(&transfer.tail);
    TN_TRY(code);
    *ret = reply;
    reply.body = (struct tn_buf){0};
    return TN_OK;
}

enum tn_code client_json(struct client *client, const char *method, const char *path, const json_t *body,
                         json_t **ret, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    if (body)
        tn_json_dump(body, &text);
    struct client_request request = {.method = method, .path = path, .body = text.data, .body_length = text.len};
    CLIENT_AUTO_REPLY reply = {0};
    TN_TRY(client_send(client, &request, &reply, err));
    if (reply.body.len == 0) {
        *ret = json_null();
        return TN_OK;
    }
    return tn_json_parse_zeros(reply.body.data, reply.body.len, MAX_KEPT, "the server's answer", ret, err);
}
