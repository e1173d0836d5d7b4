/* Opening and closing connections. */
#include "postgres/postgres_internal.h"

#include <errno.h>
#include <poll.h>

#define CONNECT_TIMEOUT_MS 10000
#define SLICE_MS           100
#define SETTINGS_MOST      64

struct setting_list {
    const char *names[SETTINGS_MOST], *values[SETTINGS_MOST];
    size_t count;
};

static void set(struct setting_list *list, const char *name, const char *value)
{
    for (size_t i = 0; i < list->count; i++) {
        if (tn_streq(list->names[i], name)) {
            list->values[i] = value;
            return;
        }
    }
    if (list->count + 1 < SETTINGS_MOST) {
        list->names[list->count] = name;
        list->values[list->count++] = value;
    }
}

static void collect(struct setting_list *list, const struct postgres_place *place, const char *password)
{
    for (const PQconninfoOption *option = place->options; option->keyword; option++)
        if (option->val)
            set(list, option->keyword, option->val);
    if (password)
        set(list, "password", password);
    set(list, "application_name", "tarn");
    set(list, "client_encoding", "UTF8");
    set(list, "keepalives_idle", "20");
    set(list, "keepalives_interval", "10");
    set(list, "keepalives_count", "3");
    set(list, "tcp_user_timeout", "60000");
    if (!place->host || !*place->host)
        set(list, "host", "localhost");
}

static void keep_notice(void *context, const PGresult *result)
{
    struct postgres *pg = context;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!text)
        return;
    if (pg->notice_count == POSTGRES_NOTICES_KEPT)
        (void)postgres_next_notice(pg);
    size_t place = (pg->notice_first + pg->notice_count++) % POSTGRES_NOTICES_KEPT;
    pg->notices[place] = tn_asprintf("%s: %s", severity ? severity : "NOTICE", text);
    postgres_scrub(pg->notices[place], pg->password);
}

const char *postgres_next_notice(struct postgres *pg)
{
    free(TN_TAKE(pg->notice_taken));
    if (pg->notice_count == 0)
        return NULL;
    pg->notice_taken = TN_TAKE(pg->notices[pg->notice_first]);
    pg->notice_first = (pg->notice_first + 1) % POSTGRES_NOTICES_KEPT;
    pg->notice_count--;
    return pg->notice_taken;
}

/* Poll-driven, so that the limit holds for all of TLS and login too, and the
 * caller can stop it. */
static enum tn_code poll_connection(struct postgres *pg, uint64_t timeout_ms, struct tn_error *err)
{
    uint64_t end = tn_mono_ns() + timeout_ms * 1000000;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next != PGRES_POLLING_OK) {
        if (next == PGRES_POLLING_FAILED)
            return postgres_fail_connect(pg, PQerrorMessage(pg->conn), err);
        struct pollfd wanted = {.fd = PQsocket(pg->conn),
                                .events = (short)(next == PGRES_POLLING_READING ? POLLIN : POLLOUT)};
        int ready = poll(&wanted, 1, SLICE_MS);
        if (ready < 0 && errno != EINTR)
            return tn_fail_errno(err, errno, "%s: connecting", pg->label);
        if (pg->stopping && pg->stopping(pg->context))
            return tn_fail(err, TN_ECANCELLED, "cancelled while connecting to %s", pg->label);
        if (ready > 0) {
            next = PQconnectPoll(pg->conn);
        } else if (tn_mono_ns() > end) {
            tn_fail(err, TN_EUNREACHABLE, "%s: no answer within %llu ms", pg->label, (unsigned long long)timeout_ms);
            tn_error_hint(err, "a firewall that drops packets looks like this; check host and port");
            return TN_EUNREACHABLE;
        }
    }
    return TN_OK;
}

static enum tn_code connect_to(struct postgres *pg, const struct postgres_place *place, uint64_t timeout_ms,
                               struct tn_error *err)
{
    struct setting_list list = {.count = 0};
    collect(&list, place, pg->password);
    list.names[list.count] = NULL;
    list.values[list.count] = NULL;
    pg->conn = PQconnectStartParams(list.names, list.values, 0);
    if (!pg->conn)
        return tn_fail(err, TN_ENOMEM, "no memory for a connection to %s", pg->label);
    PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE); /* the SQLSTATE is in the text then, and nowhere else */
    PQsetNoticeReceiver(pg->conn, keep_notice, pg);
    if (PQstatus(pg->conn) == CONNECTION_BAD)
        return postgres_fail_connect(pg, PQerrorMessage(pg->conn), err);
    TN_TRY(poll_connection(pg, timeout_ms, err));
    PQsetErrorVerbosity(pg->conn, PQERRORS_DEFAULT);
    if (PQsetnonblocking(pg->conn, 1) != 0)
        return postgres_fail_connection(pg, err);
    pg->cancel = PQgetCancel(pg->conn);
    return TN_OK;
}

/* Text forms that do not depend on how the server is set up. */
static enum tn_code prepare_session(struct postgres *pg, const struct postgres_options *options, struct tn_error *err)
{
    TN_TRY(postgres_run(pg,
                        "SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET timezone = 'UTC'; "
                        "SET extra_float_digits = 3; SET bytea_output = 'hex'; SET standard_conforming_strings = on",
                        err));
    if (options->statement_timeout_ms || options->lock_timeout_ms)
        return postgres_set_timeouts(pg, options->statement_timeout_ms, options->lock_timeout_ms, err);
    return TN_OK;
}

enum tn_code postgres_open(const struct postgres_options *options, struct postgres **ret, struct tn_error *err)
{
    TN_CLEANUP(postgres_place_release) struct postgres_place place = {0};
    TN_TRY(postgres_place_parse(options->url, &place, err));
    TN_CLEANUP(postgres_close_p) struct postgres *pg = tn_calloc(1, sizeof *pg);
    pg->notices = tn_calloc(POSTGRES_NOTICES_KEPT, sizeof *pg->notices);
    pg->label = postgres_place_label(&place);
    pg->host = tn_strdup(place.host);
    pg->database = tn_strdup(place.database);
    pg->user = tn_strdup(place.user ? place.user : "");
    pg->stopping = options->stopping;
    pg->context = options->context;
    if (options->password)
        pg->password = tn_strdup(options->password);
    else if (options->password_file)
        TN_TRY(postgres_password_read(options->password_file, &pg->password, err));
    else if (place.password)
        pg->password = tn_strdup(place.password);
    uint64_t timeout_ms = options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    TN_TRY(connect_to(pg, &place, timeout_ms, err));
    if (!pg->password && PQpass(pg->conn) && *PQpass(pg->conn))
        pg->password = tn_strdup(PQpass(pg->conn));
    free(pg->user);
    pg->user = tn_strdup(PQuser(pg->conn));
    TN_TRY(prepare_session(pg, options, err));
    *ret = TN_TAKE(pg);
    return TN_OK;
}

void postgres_close(struct postgres *pg)
{
    if (!pg)
        return;
    if (pg->copied)
        PQfreemem(pg->copied);
    PQfreeCancel(pg->cancel);
    PQfinish(pg->conn);
    while (postgres_next_notice(pg))
        continue;
    free(pg->notices);
    free(pg->label);
    free(pg->host);
    free(pg->database);
    free(pg->user);
    postgres_forget(&pg->password);
    free(pg);
}

void postgres_cancel(struct postgres *pg)
{
    /* An answer that says why it could not be sent helps nobody: waiting goes
     * on, and ends by itself a little later. */
    char why[256];
    atomic_store(&pg->cancelled, true);
    if (pg->cancel)
        (void)PQcancel(pg->cancel, why, sizeof why);
}

const char *postgres_label(const struct postgres *pg)
{
    return pg->label;
}

const char *postgres_host(const struct postgres *pg)
{
    return pg->host;
}

const char *postgres_database(const struct postgres *pg)
{
    return pg->database;
}

const char *postgres_user(const struct postgres *pg)
{
    return pg->user;
}

int postgres_server_version(const struct postgres *pg)
{
    return PQserverVersion(pg->conn);
}

bool postgres_uses_tls(const struct postgres *pg)
{
    return PQsslInUse(pg->conn) != 0;
}

const char *postgres_sqlstate(const struct postgres *pg)
{
    return pg->sqlstate;
}

bool postgres_alive(const struct postgres *pg)
{
    return PQstatus(pg->conn) == CONNECTION_OK;
}
