/* The client against a server of canned answers. */
#include "cli/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Answers each connection in turn with one text and keeps what it was sent. */
struct canned {
    const char *const *answers; /* NULL-terminated; "" hangs until somebody DELETEs */
    int listener;
    uint16_t port;
    pthread_t thread;
    struct tn_buf got;
    char url[64];
    atomic_bool hangs;
};

static bool is_complete(const struct tn_buf *got, size_t from)
{
    const char *text = got->data ? got->data + from : "", *end = strstr(text, "\r\n\r\n");
    if (!end)
        return false;
    const char *length = strcasestr(text, "content-length: ");
    if (strcasestr(text, "transfer-encoding: chunked"))
        return strstr(end, "\r\n0\r\n\r\n") != NULL;
    return !length || strlen(end + 4) >= (size_t)strtoul(length + 16, NULL, 10);
}

static void take_request(struct canned *canned, int fd)
{
    size_t from = canned->got.len;
    while (!is_complete(&canned->got, from)) {
        char bytes[4096];
        ssize_t count = read(fd, bytes, sizeof bytes);
        if (count <= 0)
            return;
        tn_buf_append(&canned->got, bytes, (size_t)count);
    }
}

static void say(int fd, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t count = send(fd, text, left, MSG_NOSIGNAL);
        if (count <= 0)
            return;
        text += count;
        left -= (size_t)count;
    }
}

static void *serve(void *context)
{
    struct canned *canned = context;
    int waiting = -1;
    for (const char *const *answer = canned->answers; *answer; answer++) {
        int fd = accept(canned->listener, NULL, NULL);
        if (fd < 0)
            break;
        take_request(canned, fd);
        if (**answer == '\0') { /* answered when the cancel has come */
            waiting = fd;
            atomic_store(&canned->hangs, true);
            continue;
        }
        say(fd, *answer);
        (void)close(fd);
        if (waiting >= 0) {
            say(waiting, "HTTP/1.1 499 C\r\nContent-Type: application/problem+json\r\nConnection: close\r\n\r\n"
                         "{\"code\":\"cancelled\",\"detail\":\"cancelled by the client\"}");
            (void)close(waiting);
            waiting = -1;
        }
    }
    return NULL;
}

static void canned_start(struct canned *canned, const char *const *answers)
{
    *canned = (struct canned){.answers = answers, .listener = socket(AF_INET, SOCK_STREAM, 0)};
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof name;
    assert_int_equal(bind(canned->listener, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(canned->listener, 8), 0);
    assert_int_equal(getsockname(canned->listener, (struct sockaddr *)&name, &length), 0);
    (void)snprintf(canned->url, sizeof canned->url, "http://127.0.0.1:%u", ntohs(name.sin_port));
    assert_int_equal(pthread_create(&canned->thread, NULL, serve, canned), 0);
}

static void canned_stop(struct canned *canned)
{
    (void)pthread_join(canned->thread, NULL);
    (void)close(canned->listener);
    tn_buf_release(&canned->got);
}

#define HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n"

static enum tn_code keep(void *context, const char *bytes, size_t count, struct tn_error *err)
{
    (void)err;
    tn_buf_append(context, bytes, count);
    return TN_OK;
}

static enum tn_code refuse(void *context, const char *bytes, size_t count, struct tn_error *err)
{
    (void)context, (void)bytes, (void)count;
    return tn_fail(err, TN_EDISKFULL, "no room for it");
}

static void answers_arrive(void **state)
{
    (void)state;
    static const char *const answers[] = {HEAD "Content-Length: 7\r\n\r\n{\"a\":1}",
                                          HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n",
                                          NULL};
    struct canned canned;
    canned_start(&canned, answers);
    TN_CLEANUP(client_free_p) struct client *client = NULL;
    TN_AUTO_JSON *answer = NULL;
    TN_AUTO_BUF text = {0};
    assert_int_equal(client_new(canned.url, "secret", &client, NULL), TN_OK);
    assert_int_equal(client_json(client, "GET", "/catalog", NULL, &answer, NULL), TN_OK);
    assert_int_equal(json_integer_value(json_object_get(answer, "a")), 1);
    struct client_request request = {
        .method = "GET", .path = "/rows", .sink = keep, .sink_context = &text, .request_id = "id-1"};
    CLIENT_AUTO_REPLY reply = {0};
    assert_int_equal(client_send(client, &request, &reply, NULL), TN_OK);
    assert_int_equal(reply.status, 200);
    assert_string_equal(text.data, "onetwo");
    canned_stop(&(struct canned){.thread = canned.thread, .listener = canned.listener});
    assert_non_null(strstr(canned.got.data, "GET /catalog HTTP/1.1\r\n"));
    assert_non_null(strstr(canned.got.data, "Authorization: Bearer secret\r\n"));
    assert_non_null(strstr(canned.got.data, "X-Request-Id: id-1\r\n"));
    tn_buf_release(&canned.got);
}

static void refusals_never_reach_the_sink(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 422 X\r\nConnection: close\r\nContent-Type: application/problem+json\r\n\r\n"
        "{\"code\":\"sql_refused\",\"detail\":\"only SELECT\",\"hint\":\"say SELECT\",\"line\":1,\"column\":4}",
        NULL};
    struct canned canned;
    canned_start(&canned, answers);
    TN_CLEANUP(client_free_p) struct client *client = NULL;
    TN_AUTO_BUF text = {0};
    struct tn_error error = {0};
    struct client_request request = {
        .method = "POST", .path = "/", .body = "{}", .body_length = 2, .sink = keep, .sink_context = &text};
    struct client_reply reply = {.status = 77};
    assert_int_equal(client_new(canned.url, NULL, &client, NULL), TN_OK);
    assert_int_equal(client_send(client, &request, &reply, &error), TN_ESQLREFUSED);
    assert_string_equal(error.detail, "only SELECT");
    assert_int_equal(error.column, 4);
    assert_int_equal(text.len, 0);
    assert_int_equal(reply.status, 77);
    canned_stop(&canned);
}

static void a_sink_that_fails_decides_the_error(void **state)
{
    (void)state;
    static const char *const answers[] = {HEAD "Content-Length: 4\r\n\r\nrows", NULL};
    struct canned canned;
    canned_start(&canned, answers);
    TN_CLEANUP(client_free_p) struct client *client = NULL;
    struct tn_error error = {0};
    struct client_request request = {.method = "GET", .path = "/", .sink = refuse};
    struct client_reply reply;
    assert_int_equal(client_new(canned.url, NULL, &client, NULL), TN_OK);
    assert_int_equal(client_send(client, &request, &reply, &error), TN_EDISKFULL);
    assert_string_equal(error.detail, "no room for it");
    canned_stop(&canned);
}

static void broken_answers_are_not_complete(void **state)
{
    (void)state;
    static const char *const cut[] = {HEAD "Content-Length: 100\r\n\r\nonly this",
                                      HEAD "Transfer-Encoding: chunked\r\n\r\n9\r\nhalf a ch",
                                      "HTTP/1.1 200 OK\r\nConte", NULL};
    struct canned canned;
    canned_start(&canned, cut);
    TN_CLEANUP(client_free_p) struct client *client = NULL;
    assert_int_equal(client_new(canned.url, NULL, &client, NULL), TN_OK);
    for (size_t i = 0; cut[i]; i++) {
        TN_AUTO_BUF text = {0};
        struct tn_error error = {0};
        struct client_request request = {.method = "GET", .path = "/", .sink = keep, .sink_context = &text};
        struct client_reply reply;
        assert_int_equal(client_send(client, &request, &reply, &error), TN_EUNREACHABLE);
        assert_non_null(strstr(error.detail, "hung up"));
    }
    canned_stop(&canned);
}

static void a_stream_that_fails_says_why(void **state)
{
    (void)state;
    static const char *const answers[] = {
        HEAD "Transfer-Encoding: chunked\r\n\r\n57\r\n{\"columns\":[],\"rows\":[],\"error\":{\"code\":\"timed_out\","
             "\"detail\":\"5 s are over {}\",\"x\":1}}\n\r\n",
        HEAD "Transfer-Encoding: chunked\r\n\r\n36\r\n{\"n\":1}\n{\"error\":{\"code\":\"busy\",\"detail\":\"too "
             "much\"}}\n\r\n",
        NULL};
    static const enum tn_code codes[] = {TN_ETIMEOUT, TN_EBUSY};
    struct canned canned;
    canned_start(&canned, answers);
    TN_CLEANUP(client_free_p) struct client *client = NULL;
    assert_int_equal(client_new(canned.url, NULL, &client, NULL), TN_OK);
    for (size_t i = 0; answers[i]; i++) {
        TN_AUTO_BUF text = {0};
        struct tn_error error = {0};
        struct client_request request = {.method = "GET", .path = "/", .sink = keep, .sink_context = &text};
        struct client_reply reply;
        assert_int_equal(client_send(client, &request, &reply, &error), codes[i]);
        assert_string_equal(error.detail, i == 0 ? "5 s are over {}" : "too much");
    }
    canned_stop(&canned);
}

/* Its port is bound all the while, so nobody else comes to answer there. */
static void nobody_there(void **state)
{
    (void)state;
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof name;
    TN_AUTO_CLOSE int deaf = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(deaf, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(getsockname(deaf, (struct sockaddr *)&name, &length), 0);
    TN_AUTO_FREE char *url = tn_asprintf("http://127.0.0.1:%u", ntohs(name.sin_port));
    TN_CLEANUP(client_free_p) struct client *client = NULL;
    TN_AUTO_JSON *answer = NULL;
    struct tn_error error = {0};
    assert_int_equal(client_new(url, NULL, &client, NULL), TN_OK);
    assert_int_equal(client_json(client, "GET", "/", NULL, &answer, &error), TN_EUNREACHABLE);
    assert_non_null(strstr(error.detail, url));
    assert_non_null(strstr(error.hint, "tarn serve"));
    assert_int_equal(tn_code_exit_status(error.code), 3);
}

struct pieces {
    int left;
    bool fails;
};

static enum tn_code next_piece(void *context, char *out, size_t room, size_t *ret_count, struct tn_error *err)
{
    struct pieces *pieces = context;
    if (pieces->fails)
        return tn_fail(err, TN_EUNREADABLE, "the file ends in the middle");
    size_t count = pieces->left > 0 ? (size_t)snprintf(out, room, "piece %d;", pieces->left--) : 0;
    *ret_count = count;
    return TN_OK;
}

static void uploads_stream(void **state)
{
    (void)state;
    static const char *const answers[] = {HEAD "Content-Length: 2\r\n\r\n{}", HEAD "Content-Length: 2\r\n\r\n{}",
                                          NULL};
    struct canned canned;
    canned_start(&canned, answers);
    TN_CLEANUP(client_free_p) struct client *client = NULL;
    assert_int_equal(client_new(canned.url, NULL, &client, NULL), TN_OK);
    struct pieces pieces = {.left = 3};
    struct client_request request = {.method = "POST",
                                     .path = "/ingest/file",
                                     .content_type = "application/octet-stream",
                                     .source = next_piece,
                                     .source_context = &pieces,
                                     .source_size = 24};
    CLIENT_AUTO_REPLY first = {0}, second = {0};
    assert_int_equal(client_send(client, &request, &first, NULL), TN_OK);
    pieces = (struct pieces){.left = 3};
    request.source_size = -1; /* chunked */
    assert_int_equal(client_send(client, &request, &second, NULL), TN_OK);
    canned_stop(&(struct canned){.thread = canned.thread, .listener = canned.listener});
    const char *one = strstr(canned.got.data, "piece 3;piece 2;piece 1;");
    assert_non_null(one);
    assert_non_null(strstr(canned.got.data, "Content-Length: 24\r\n"));
    assert_non_null(strstr(one, "Transfer-Encoding: chunked"));
    assert_non_null(strstr(one + 8, "piece 3;"));
    tn_buf_release(&canned.got);
}

static void a_source_that_fails_decides_the_error(void **state)
{
    (void)state;
    static const char *const answers[] = {HEAD "Content-Length: 2\r\n\r\n{}", NULL};
    struct canned canned;
    canned_start(&canned, answers);
    TN_CLEANUP(client_free_p) struct client *client = NULL;
    struct pieces pieces = {.fails = true};
    struct tn_error error = {0};
    struct client_request request = {
        .method = "POST", .path = "/", .source = next_piece, .source_context = &pieces, .source_size = 24};
    struct client_reply reply;
    assert_int_equal(client_new(canned.url, NULL, &client, NULL), TN_OK);
    assert_int_equal(client_send(client, &request, &reply, &error), TN_EUNREADABLE);
    client_free(TN_TAKE(client)); /* closes the connection */
    canned_stop(&canned);
}

static void *press_while_it_hangs(void *context)
{
    struct canned *canned = context;
    while (!atomic_load(&canned->hangs))
        (void)usleep(1000);
    client_interrupt();
    return NULL;
}

static void an_interrupt_deletes_the_query(void **state)
{
    (void)state;
    static const char *const answers[] = {"", "HTTP/1.1 204 N\r\nConnection: close\r\n\r\n", NULL};
    struct canned canned;
    pthread_t finger;
    canned_start(&canned, answers);
    TN_CLEANUP(client_free_p) struct client *client = NULL;
    struct tn_error error = {0};
    struct client_request request = {
        .method = "POST", .path = "/query/sql", .body = "{}", .body_length = 2, .cancel_path = "/query/id-7"};
    struct client_reply reply;
    assert_int_equal(client_new(canned.url, NULL, &client, NULL), TN_OK);
    client_interrupt_clear();
    assert_int_equal(pthread_create(&finger, NULL, press_while_it_hangs, &canned), 0);
    assert_int_equal(client_send(client, &request, &reply, &error), TN_ECANCELLED);
    assert_string_equal(error.detail, "cancelled by the client");
    (void)pthread_join(finger, NULL);
    client_interrupt_clear();
    canned_stop(&(struct canned){.thread = canned.thread, .listener = canned.listener});
    assert_non_null(strstr(canned.got.data, "DELETE /query/id-7 HTTP/1.1\r\n"));
    tn_buf_release(&canned.got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_arrive),
        cmocka_unit_test(refusals_never_reach_the_sink),
        cmocka_unit_test(a_sink_that_fails_decides_the_error),
        cmocka_unit_test(broken_answers_are_not_complete),
        cmocka_unit_test(a_stream_that_fails_says_why),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(uploads_stream),
        cmocka_unit_test(a_source_that_fails_decides_the_error),
        cmocka_unit_test(an_interrupt_deletes_the_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
