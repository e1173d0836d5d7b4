/* libmicrohttpd, and nothing else that knows it but reply.c and begin.c. */
#include "gateway/gateway_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENT_THREADS 2
/* Bodies that were refused are read up to here before the answer, so that the
 * connection lives on and the client is not cut off while it sends. */
#define PATIENCE ((uint64_t)1 << 20)
/* Room for a connection's buffers beside the headers. All of it is zeroed for
 * each request; what uploads need has its own buffer (upload.c). */
#define CONNECTION_MEMORY ((size_t)32 << 10)

/* ---- callbacks --------------------------------------------------------------- */

static void on_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct gateway *gateway = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct connection *connection = tn_calloc(1, sizeof *connection);
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        connection->gateway = gateway;
        connection->fd = info ? info->connect_fd : -1;
        *socket_context = connection;
        watch_connection_opened(gateway, connection);
    } else if (*socket_context) {
        watch_connection_closed(*socket_context);
        free(*socket_context);
        *socket_context = NULL;
    }
}

static void *on_request_line(void *context, const char *target, struct MHD_Connection *mhd)
{
    struct request *request = request_new(context, mhd, target);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    request->connection = info ? info->socket_context : NULL;
    watch_request_began(request);
    return request;
}

static void verify_task(void *argument)
{
    struct request *request = argument;
    tn_log_set_request(request->id);
    request_verify_token(request);
    tn_log_set_request(NULL);
    (void)pthread_mutex_lock(&request->lock);
    request_resume_locked(request);
    (void)pthread_mutex_unlock(&request->lock);
    request_unref(request);
}

/* Refuses what was judged to be wrong, where that is better done before the
 * body than behind it. */
static enum MHD_Result go_on(struct request *request)
{
    if (!request->failed || !(request->must_close || request->expects_continue || request->promised_bytes > PATIENCE))
        return MHD_YES;
    request->answered = true;
    reply_error(request, &request->error);
    return reply_queue(request) ? MHD_YES : MHD_NO;
}

/* All headers are there. A connection that is suspended here comes here again
 * when it is resumed, before its body. */
static enum MHD_Result begin(struct request *request, const char *method, const char *version)
{
    request_begin(request, method, version);
    if (request->failed || !request->pending_token)
        return go_on(request);
    request->verifying = true;
    request_ref(request);
    (void)pthread_mutex_lock(&request->lock);
    request_suspend_locked(request);
    (void)pthread_mutex_unlock(&request->lock);
    tn_pool_submit(request->gateway->requests, TN_FOREGROUND, verify_task, request);
    return MHD_YES;
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *mhd, const char *url, const char *method,
                                 const char *version, const char *bytes, size_t *count, void **request_context)
{
    struct request *request = *request_context;
    (void)context;
    (void)mhd;
    (void)url;
    if (!request->begun)
        return begin(request, method, version);
    if (request->verifying) {
        request->verifying = false;
        return go_on(request);
    }
    bool well = *count > 0 ? request_take_body(request, bytes, count) : request_continue(request);
    return well ? MHD_YES : MHD_NO;
}

static void on_completed(void *context, struct MHD_Connection *mhd, void **request_context,
                         enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)mhd;
    if (*request_context)
        request_completed(*request_context, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    *request_context = NULL;
}

/* Escapes stay: http_target_parse cuts before it decodes. */
static size_t on_unescape(void *context, struct MHD_Connection *mhd, char *text)
{
    (void)context;
    (void)mhd;
    return strlen(text);
}

static void on_library_log(void *context, const char *format, va_list args)
{
    char text[300];
    (void)context;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)vsnprintf(text, sizeof text, format, args);
#pragma GCC diagnostic pop
    text[strcspn(text, "\n")] = '\0';
    TN_LOG(TN_LOG_DEBUG, "http.library", TN_FS("text", text));
}

/* ---- listening --------------------------------------------------------------- */

static enum tn_code fail_listen(struct gateway *gateway, int error, uint64_t port, struct tn_error *err)
{
    (void)tn_fail_errno(err, error, "cannot listen on %s port %llu", gateway->site.bind, (unsigned long long)port);
    if (error == EADDRINUSE)
        tn_error_hint(err, "another program has this port; take another with --port, or 0 for a free one");
    if (error == EACCES)
        tn_error_hint(err, "ports below 1024 are the system's");
    return err ? err->code : TN_EIO;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

static enum tn_code listen_on(struct gateway *gateway, uint16_t port, int *ret_fd, struct tn_error *err)
{
    char service[8];
    const struct addrinfo wanted = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    (void)snprintf(service, sizeof service, "%u", port);
    int failure = getaddrinfo(gateway->site.bind, service, &wanted, &found);
    if (failure != 0)
        return tn_fail(err, TN_ECONFIG, "server.bind \"%s\": %s", gateway->site.bind, gai_strerror(failure));
    int on = 1, error = 0;
    TN_AUTO_CLOSE int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, found->ai_protocol);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 511) != 0)
        error = errno;
    freeaddrinfo(found);
    if (error != 0)
        return fail_listen(gateway, error, port, err);
    *ret_fd = fd;
    fd = -1;
    return TN_OK;
}

static enum tn_code make_url(struct gateway *gateway, struct tn_error *err)
{
    const char *bind = gateway->site.bind;
    bool everywhere = tn_streq(bind, "0.0.0.0") || tn_streq(bind, "::");
    const char *host = everywhere ? "127.0.0.1" : bind;
    const char *open = strchr(host, ':') ? "[" : "", *close = *open ? "]" : "";
    gateway->url = tn_arena_printf(gateway->arena, "http%s://%s%s%s:%u", gateway->site.tls ? "s" : "", open, host,
                                   close, gateway->port);
    gateway->cookie = tn_arena_printf(gateway->arena, "tarn_%u", gateway->port);
    return gateway->port != 0 ? TN_OK : tn_fail(err, TN_EIO, "the system did not say which port it gave");
}

enum tn_code server_start(struct gateway *gateway, struct tn_error *err)
{
    TN_AUTO_CLOSE int fd = -1;
    TN_TRY(listen_on(gateway, gateway->port, &fd, err));
    gateway->port = port_of(fd);
    TN_TRY(make_url(gateway, err));
    const struct tn_config *config = gateway->lake.config;
    uint64_t idle_s = TN_MAX(gateway->limits.idle_timeout_ns / 1000000000, UINT64_C(1));
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, gateway->tls_cert},
                                   {MHD_OPTION_HTTPS_MEM_KEY, 0, gateway->tls_key},
                                   {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                     (gateway->site.tls ? MHD_USE_TLS : 0);
    gateway->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_access, gateway, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)EVENT_THREADS,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)tn_config_int(config, "server.connections"),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        CONNECTION_MEMORY + 2 * gateway->limits.max_header, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, on_request_line, gateway, MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, gateway, MHD_OPTION_NOTIFY_CONNECTION, on_connection, gateway,
        MHD_OPTION_ARRAY, gateway->site.tls ? tls : plain, MHD_OPTION_END);
    if (!gateway->daemon) {
        (void)tn_fail(err, TN_EIO, "the HTTP server did not start");
        tn_error_hint(err, gateway->site.tls
                               ? "are server.tls_cert and server.tls_key PEM files that belong together?"
                               : "is the limit of open files very low? (ulimit -n)");
        return TN_EIO;
    }
    fd = -1; /* libmicrohttpd's now */
    return TN_OK;
}

void server_stop_listening(struct gateway *gateway)
{
    if (!gateway->daemon)
        return;
    MHD_socket fd = MHD_quiesce_daemon(gateway->daemon);
    if (fd != MHD_INVALID_SOCKET)
        (void)close(fd);
}

void server_stop(struct gateway *gateway)
{
    if (gateway->daemon)
        MHD_stop_daemon(gateway->daemon);
    gateway->daemon = NULL;
}
