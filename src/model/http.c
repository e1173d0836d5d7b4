/* One transfer at a time on each of a few kept connections (see http.h). The
 * multi interface returns to us ten times a second, so that a cancelled call
 * does not depend on bytes arriving. */
#include "model/http.h"

#include "model/guard.h"

#include <curl/curl.h>
#include <pthread.h>

enum { IDLE_MAX = 8, LOOK_MS = 100, CONNECT_MS = 5000, PROBLEM_MAX = 64 << 10 };

struct channel {
    struct channel *next; /* while idle */
    CURLM *multi;
    CURL *easy;
};

struct model_http {
    char *url; /* without a slash at its end */
    bool loopback;
    pthread_mutex_t lock;
    struct channel *idle;
    size_t idle_count;
};

struct transfer {
    const struct model_http_request *request;
    struct model_http_reply *reply;
    CURL *easy;
    struct tn_error *err;
    enum tn_code failed; /* of the sink, or too much came */
    char text[CURL_ERROR_SIZE];
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void global_init(void)
{
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool is_loopback(const char *url)
{
    const char *host = strstr(url, "://") + 3;
    return tn_str_starts_with(host, "127.") || tn_str_starts_with(host, "localhost") ||
           tn_str_starts_with(host, "[::1]");
}

enum tn_code model_http_new(const char *url, struct model_http **ret, struct tn_error *err)
{
    bool bad = !tn_str_starts_with(url, "http://") && !tn_str_starts_with(url, "https://");
    for (const char *at = url; *at && !bad; at++)
        bad = (unsigned char)*at <= ' ' || *at == 0x7f;
    if (bad) {
        enum tn_code code = tn_fail(err, TN_ECONFIG, "\"%.200s\" is no address of a server", url);
        tn_error_hint(err, "it begins with http:// or https://, as in http://127.0.0.1:11434");
        return code;
    }
    (void)pthread_once(&global_once, global_init);
    if (global_result != CURLE_OK)
        return tn_fail(err, TN_EINTERNAL, "the HTTP library does not start");
    struct model_http *http = tn_calloc(1, sizeof *http);
    http->url = tn_strdup(url);
    for (size_t n = strlen(http->url); n > 0 && http->url[n - 1] == '/'; n--)
        http->url[n - 1] = '\0';
    http->loopback = is_loopback(url);
    (void)pthread_mutex_init(&http->lock, NULL);
    *ret = http;
    return TN_OK;
}

static void channel_free(struct channel *channel)
{
    if (channel->easy)
        curl_easy_cleanup(channel->easy);
    if (channel->multi)
        (void)curl_multi_cleanup(channel->multi);
    free(channel);
}

void model_http_free(struct model_http *http)
{
    if (!http)
        return;
    while (http->idle) {
        struct channel *channel = http->idle;
        http->idle = channel->next;
        channel_free(channel);
    }
    (void)pthread_mutex_destroy(&http->lock);
    free(http->url);
    free(http);
}

void model_http_reply_release(struct model_http_reply *reply)
{
    tn_buf_release(&reply->body);
}

/* ---- connections ---------------------------------------------------------------------- */

static struct channel *channel_borrow(struct model_http *http)
{
    (void)pthread_mutex_lock(&http->lock);
    struct channel *channel = http->idle;
    if (channel) {
        http->idle = channel->next;
        http->idle_count--;
    }
    (void)pthread_mutex_unlock(&http->lock);
    if (channel)
        return channel;
    channel = tn_calloc(1, sizeof *channel);
    channel->multi = curl_multi_init();
    channel->easy = curl_easy_init();
    if (channel->multi && channel->easy)
        return channel;
    channel_free(channel);
    return NULL;
}

static void channel_return(struct model_http *http, struct channel *channel)
{
    (void)pthread_mutex_lock(&http->lock);
    bool keep = http->idle_count < IDLE_MAX;
    if (keep) {
        channel->next = http->idle;
        http->idle = channel;
        http->idle_count++;
    }
    (void)pthread_mutex_unlock(&http->lock);
    if (!keep)
        channel_free(channel);
}

/* ---- callbacks of libcurl ------------------------------------------------------------------ */

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    const struct model_http_request *request = transfer->request;
    size_t length = size * count;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &transfer->reply->status);
    if (transfer->reply->status != 200) {
        size_t room = PROBLEM_MAX - TN_MIN(transfer->reply->body.len, (size_t)PROBLEM_MAX);
        tn_buf_append(&transfer->reply->body, bytes, TN_MIN(length, room));
        return length;
    }
    if (request->sink) {
        transfer->failed = request->sink(request->context, bytes, length, transfer->err);
        return transfer->failed == TN_OK ? length : 0;
    }
    if (transfer->reply->body.len + length > request->max_answer) {
        transfer->failed = tn_fail(transfer->err, TN_EUPSTREAM, "the provider's answer is larger than %zu MB",
                                   request->max_answer >> 20);
        return 0;
    }
    tn_buf_append(&transfer->reply->body, bytes, length);
    return length;
}

/* ---- one transfer ----------------------------------------------------------------------------- */

static struct curl_slist *add_header(struct curl_slist *list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(list, line);
    return longer ? longer : list;
}

static struct curl_slist *make_headers(const struct model_http_request *request)
{
    struct curl_slist *list = add_header(NULL, "Accept: application/json, text/event-stream");
    if (request->body) {
        list = add_header(list, "Content-Type: application/json");
        list = add_header(list, "Expect:");
    }
    if (request->key) {
        TN_AUTO_FREE char *line = tn_asprintf("Authorization: Bearer %s", request->key);
        list = add_header(list, line);
    }
    return list;
}

static void set_up(struct model_http *http, struct transfer *transfer, const char *url, struct curl_slist *headers)
{
    const struct model_http_request *request = transfer->request;
    CURL *easy = transfer->easy;
    curl_easy_reset(easy); /* keeps the connection */
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)TN_MIN(request->timeout_ms, (uint64_t)INT32_MAX));
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "tarn/" TARN_VERSION);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->text);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    if (http->loopback)
        (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (request->body) {
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
    } else {
        (void)curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    const char *certificates = getenv("TARN_CA_FILE");
    if (certificates && *certificates)
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, certificates);
}

static enum tn_code drive(const struct channel *channel, const struct transfer *transfer, CURLcode *ret_result,
                          struct tn_error *err)
{
    const volatile bool *cancel = transfer->request->cancel;
    for (int running = 1; running > 0;) {
        if (curl_multi_perform(channel->multi, &running) != CURLM_OK)
            return tn_fail(err, TN_EINTERNAL, "the HTTP library failed");
        if (model_cancelled(cancel))
            return tn_fail(err, TN_ECANCELLED, "cancelled while the provider was at work");
        if (running > 0)
            (void)curl_multi_poll(channel->multi, NULL, 0, LOOK_MS, NULL);
    }
    int left = 0;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(channel->multi, &left)))
        if (message->msg == CURLMSG_DONE)
            *ret_result = message->data.result;
    return TN_OK;
}

static enum tn_code judge(const struct model_http *http, const struct transfer *transfer, CURLcode result,
                          struct tn_error *err)
{
    const char *why = transfer->text[0] ? transfer->text : curl_easy_strerror(result);
    if (transfer->failed != TN_OK)
        return transfer->failed;
    if (result == CURLE_OK)
        return TN_OK;
    if (result == CURLE_OPERATION_TIMEDOUT)
        return tn_fail(err, TN_ETIMEOUT, "%s did not answer in time: %s", http->url, why);
    if (result == CURLE_PEER_FAILED_VERIFICATION) {
        (void)tn_fail(err, TN_EUNAVAILABLE, "%s: %s", http->url, why);
        tn_error_hint(err, "set TARN_CA_FILE to the certificate that vouches for this server");
        return TN_EUNAVAILABLE;
    }
    return tn_fail(err, TN_EUNAVAILABLE, "%s: %s", http->url, why);
}

static void read_retry_after(CURL *easy, struct model_http_reply *reply)
{
    curl_off_t seconds = 0;
    if (curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0)
        reply->retry_after_ms = (uint64_t)TN_MIN(seconds, (curl_off_t)3600) * 1000;
}

enum tn_code model_http_send(struct model_http *http, const struct model_http_request *request,
                             struct model_http_reply *ret, struct tn_error *err)
{
    struct channel *channel = channel_borrow(http);
    if (!channel)
        return tn_fail(err, TN_ENOMEM, "no memory for a connection");
    struct model_http_reply reply = {0};
    struct transfer transfer = {.request = request, .reply = &reply, .easy = channel->easy, .err = err};
    TN_AUTO_FREE char *url = tn_asprintf("%s%s", http->url, request->path);
    struct curl_slist *headers = make_headers(request);
    CURLcode result = CURLE_OK;
    set_up(http, &transfer, url, headers);
    (void)curl_multi_add_handle(channel->multi, channel->easy);
    enum tn_code code = drive(channel, &transfer, &result, err);
    (void)curl_multi_remove_handle(channel->multi, channel->easy);
    if (code == TN_OK)
        code = judge(http, &transfer, result, err);
    if (code == TN_OK) {
        (void)curl_easy_getinfo(channel->easy, CURLINFO_RESPONSE_CODE, &reply.status);
        read_retry_after(channel->easy, &reply);
    }
    curl_easy_reset(channel->easy); /* it points to headers and buffers of this call */
    curl_slist_free_all(headers);
    channel_return(http, channel);
    if (code != TN_OK) {
        model_http_reply_release(&reply);
        return code;
    }
    *ret = reply;
    return TN_OK;
}
