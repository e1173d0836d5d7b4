/* The watch: one thread that looks at all connections ten times a second.
 *
 * libmicrohttpd does not look at a suspended connection's socket, and its own
 * timeout restarts with every byte. So here: a client that went away while its
 * query runs is noticed and the query cancelled; a deadline that has passed
 * cancels the query and, should the client not even read the error, ends its
 * connection; headers that drip in, bodies that drip in and connections that
 * only sit there are ended. Ending is shutdown(2): the event thread then sees
 * the end itself, and the descriptor stays its own.
 *
 * Half-closing counts as going away: a client that still wants the answer
 * keeps its side open. */
#include "gateway/gateway_internal.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define TICK_NS    (UINT64_C(100) * 1000000)
#define GRACE_NS   (UINT64_C(3) * 1000000000)
#define WARM_UP_NS (UINT64_C(30) * 1000000000)
#define POLL_MAX   512

static void end_connection(struct connection *connection)
{
    (void)shutdown(connection->fd, SHUT_RDWR);
}

/* Whether it waits for its task, so that nobody else looks at its socket. */
static bool is_suspended(struct request *request)
{
    (void)pthread_mutex_lock(&request->lock);
    bool suspended = request->suspended;
    (void)pthread_mutex_unlock(&request->lock);
    return suspended;
}

static void look_at_body(struct connection *connection, const struct request *request, uint64_t age)
{
    uint64_t rate = connection->gateway->limits.min_rate;
    if (rate > 0 && age > WARM_UP_NS && request->body_bytes < rate * (age / 1000000000))
        end_connection(connection);
}

/* Returns whether its socket should be polled. */
static bool look_at_request(struct connection *connection, uint64_t now)
{
    struct request *request = connection->request;
    uint64_t age = now > request->started_ns ? now - request->started_ns : 0;
    if (!request->begun) {
        if (age > connection->gateway->limits.header_timeout_ns)
            end_connection(connection);
        return false;
    }
    bool suspended = is_suspended(request);
    uint64_t deadline = atomic_load(&request->deadline_ns);
    if (deadline != 0 && now > deadline) {
        request_cancel(request, CANCEL_DEADLINE);
        if (now > deadline + GRACE_NS && !suspended)
            end_connection(connection);
    }
    if (!suspended && !request->body_ended)
        look_at_body(connection, request, age);
    return suspended;
}

static void look(struct gateway *gateway)
{
    static _Thread_local struct pollfd fds[POLL_MAX];
    static _Thread_local struct connection *owners[POLL_MAX];
    nfds_t count = 0;
    uint64_t now = tn_mono_ns();
    for (struct connection *connection = gateway->connections; connection; connection = connection->next) {
        if (!connection->request) {
            if (now > connection->since_ns + gateway->limits.idle_timeout_ns)
                end_connection(connection);
        } else if (look_at_request(connection, now) && count < POLL_MAX) {
            fds[count] = (struct pollfd){.fd = connection->fd, .events = POLLRDHUP};
            owners[count++] = connection;
        }
    }
    if (count == 0 || poll(fds, count, 0) <= 0)
        return;
    for (nfds_t i = 0; i < count; i++)
        if (fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR))
            request_cancel(owners[i]->request, CANCEL_GONE);
}

static void *watch_run(void *argument)
{
    struct gateway *gateway = argument;
    (void)pthread_mutex_lock(&gateway->watch_lock);
    while (!gateway->watch_ending) {
        look(gateway);
        event_tick(gateway);
        uint64_t wait = gateway->connections ? TICK_NS : 5 * TICK_NS;
        (void)tn_cond_wait_until(&gateway->watch_wake, &gateway->watch_lock, tn_mono_ns() + wait);
    }
    (void)pthread_mutex_unlock(&gateway->watch_lock);
    return NULL;
}

enum tn_code watch_start(struct gateway *gateway, struct tn_error *err)
{
    int failure = pthread_create(&gateway->watch_thread, NULL, watch_run, gateway);
    if (failure != 0)
        return tn_fail_errno(err, failure, "cannot start a thread");
    gateway->watching = true;
    return TN_OK;
}

void watch_stop(struct gateway *gateway)
{
    if (!gateway->watching)
        return;
    (void)pthread_mutex_lock(&gateway->watch_lock);
    gateway->watch_ending = true;
    (void)pthread_cond_broadcast(&gateway->watch_wake);
    (void)pthread_mutex_unlock(&gateway->watch_lock);
    (void)pthread_join(gateway->watch_thread, NULL);
    gateway->watching = false;
}

void watch_connection_opened(struct gateway *gateway, struct connection *connection)
{
    connection->since_ns = tn_mono_ns();
    (void)pthread_mutex_lock(&gateway->watch_lock);
    connection->next = gateway->connections;
    if (connection->next)
        connection->next->prev = connection;
    gateway->connections = connection;
    gateway->connection_count++;
    (void)pthread_mutex_unlock(&gateway->watch_lock);
}

void watch_connection_closed(struct connection *connection)
{
    struct gateway *gateway = connection->gateway;
    (void)pthread_mutex_lock(&gateway->watch_lock);
    *(connection->prev ? &connection->prev->next : &gateway->connections) = connection->next;
    if (connection->next)
        connection->next->prev = connection->prev;
    gateway->connection_count--;
    (void)pthread_mutex_unlock(&gateway->watch_lock);
}

void watch_request_began(struct request *request)
{
    struct gateway *gateway = request->gateway;
    (void)pthread_mutex_lock(&gateway->watch_lock);
    if (request->connection)
        request->connection->request = request;
    gateway->request_count++;
    (void)pthread_mutex_unlock(&gateway->watch_lock);
}

void watch_request_ended(struct request *request)
{
    struct gateway *gateway = request->gateway;
    (void)pthread_mutex_lock(&gateway->watch_lock);
    if (request->connection) {
        request->connection->request = NULL;
        request->connection->since_ns = tn_mono_ns();
    }
    gateway->request_count--;
    (void)pthread_mutex_unlock(&gateway->watch_lock);
}

/* Its answer may be on the way still; who has read it may ask before the request is ended here. */
static bool is_answered(struct request *request)
{
    (void)pthread_mutex_lock(&request->lock);
    bool answered = request->done && !request->reply.stream.fill;
    (void)pthread_mutex_unlock(&request->lock);
    return answered;
}

size_t watch_cancel_id(struct gateway *gateway, const char *id, const struct request *asker)
{
    size_t count = 0;
    (void)pthread_mutex_lock(&gateway->watch_lock);
    for (struct connection *connection = gateway->connections; connection; connection = connection->next) {
        struct request *request = connection->request;
        if (!request || request == asker || !request->begun || !request->match.route ||
            !(request->match.route->flags & ROUTE_QUERY) || !tn_streq(request->id, id) || is_answered(request))
            continue;
        request_cancel(request, CANCEL_CLIENT);
        count++;
    }
    (void)pthread_mutex_unlock(&gateway->watch_lock);
    return count;
}

bool watch_wait_idle(struct gateway *gateway, uint64_t until_ns)
{
    for (;;) {
        (void)pthread_mutex_lock(&gateway->watch_lock);
        bool idle = gateway->request_count == 0;
        (void)pthread_mutex_unlock(&gateway->watch_lock);
        if (idle || tn_mono_ns() >= until_ns)
            return idle;
        const struct timespec nap = {.tv_nsec = 5000000};
        (void)nanosleep(&nap, NULL);
    }
}

void watch_cancel_all(struct gateway *gateway)
{
    (void)pthread_mutex_lock(&gateway->watch_lock);
    for (struct connection *connection = gateway->connections; connection; connection = connection->next)
        if (connection->request)
            request_cancel(connection->request, CANCEL_SHUTDOWN);
    (void)pthread_mutex_unlock(&gateway->watch_lock);
}

void watch_shut_connections(struct gateway *gateway, bool busy_too)
{
    (void)pthread_mutex_lock(&gateway->watch_lock);
    for (struct connection *connection = gateway->connections; connection; connection = connection->next)
        if (busy_too || !connection->request)
            end_connection(connection);
    (void)pthread_mutex_unlock(&gateway->watch_lock);
}
