/* What a server says, as an error that says what to do. */
#include "postgres/postgres_internal.h"

static const struct {
    const char *prefix; /* of the SQLSTATE */
    enum tn_code code;
} codes[] = {
    {"28", TN_EFORBIDDEN},      {"42501", TN_EFORBIDDEN},  {"3D000", TN_ENOTFOUND}, {"3F000", TN_ENOTFOUND},
    {"42P01", TN_ENOTFOUND},    {"42703", TN_ENOTFOUND},   {"42704", TN_ENOTFOUND}, {"42883", TN_ENOTFOUND},
    {"55P03", TN_EBUSY},        {"53100", TN_EDISKFULL},   {"53200", TN_ENOMEM},    {"53", TN_EUNAVAILABLE},
    {"57P03", TN_EUNAVAILABLE}, {"57P0", TN_EUNREACHABLE}, {"57", TN_ETIMEOUT},     {"08", TN_EUNREACHABLE},
    {"40", TN_ECONFLICT},       {"23", TN_ECONFLICT},      {"42", TN_ESQL},
};

enum tn_code postgres_code_of(const char *sqlstate, bool cancelled)
{
    if (tn_streq(sqlstate, "57014"))
        return cancelled ? TN_ECANCELLED : TN_ETIMEOUT;
    for (size_t i = 0; i < TN_COUNT(codes); i++)
        if (tn_str_starts_with(sqlstate, codes[i].prefix))
            return codes[i].code;
    return TN_EREFUSED;
}

static const char *advice(enum tn_code code, const char *sqlstate)
{
    switch (code) {
    case TN_EFORBIDDEN:
        return tn_streq(sqlstate, "42501") ? "GRANT the right to this user, or connect as one that has it"
                                           : "check user and password (URL, --password-file, PGPASSFILE) and the "
                                             "server's pg_hba.conf";
    case TN_EUNAVAILABLE:
        return "try again in a moment";
    case TN_EUNREACHABLE:
        return "check that the server runs and is reachable, then run the same again";
    case TN_EBUSY:
        return "another session holds a lock: SELECT pid, query FROM pg_stat_activity WHERE state <> 'idle'";
    case TN_ETIMEOUT:
        return "raise statement_timeout, or ask for less at once";
    default:
        return NULL;
    }
}

static char *one_line(const char *text, const char *secret)
{
    char *line = tn_strdup(text ? text : "");
    postgres_scrub(line, secret);
    size_t length = strlen(line);
    while (length && (line[length - 1] == '\n' || line[length - 1] == ' '))
        line[--length] = '\0';
    char *out = line;
    for (const char *c = line; *c; c++) {
        bool space = *c == '\n' || *c == '\t' || *c == ' ';
        if (!space || (out > line && out[-1] != ' '))
            *out++ = space ? ' ' : *c;
    }
    *out = '\0';
    return line;
}

enum tn_code postgres_fail_result(struct postgres *pg, const PGresult *result, struct tn_error *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (!state)
        return postgres_fail_connection(pg, err);
    snprintf(pg->sqlstate, sizeof pg->sqlstate, "%.5s", state);
    enum tn_code code = postgres_code_of(pg->sqlstate, atomic_load(&pg->cancelled));
    TN_AUTO_FREE char *message = one_line(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), pg->password);
    TN_AUTO_FREE char *detail = one_line(PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL), pg->password);
    TN_AUTO_FREE char *hint = one_line(PQresultErrorField(result, PG_DIAG_MESSAGE_HINT), pg->password);
    tn_fail(err, code, "%s: %s%s%s%s (SQLSTATE %s)", pg->label, message, *detail ? " (" : "", detail,
            *detail ? ")" : "", pg->sqlstate);
    const char *ours = advice(code, pg->sqlstate);
    if (*hint)
        tn_error_hint(err, "%s", hint);
    else if (ours)
        tn_error_hint(err, "%s", ours);
    return code;
}

enum tn_code postgres_fail_connection(struct postgres *pg, struct tn_error *err)
{
    TN_AUTO_FREE char *message = one_line(PQerrorMessage(pg->conn), pg->password);
    if (PQstatus(pg->conn) == CONNECTION_OK)
        return tn_fail(err, TN_EINTERNAL, "%s: %s", pg->label, message);
    snprintf(pg->sqlstate, sizeof pg->sqlstate, "%s", "08006");
    tn_fail(err, TN_EUNREACHABLE, "%s: the connection was lost: %s", pg->label, message);
    tn_error_hint(err, "%s", advice(TN_EUNREACHABLE, ""));
    return TN_EUNREACHABLE;
}

/* The SQLSTATE in "FATAL:  28P01: password ...", which verbose texts have. */
static bool find_state(const char *text, char ret[6], const char **ret_rest)
{
    for (const char *at = text; (at = strstr(at, ":  ")) != NULL; at++) {
        const char *state = at + 3;
        if (strspn(state, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 5 || state[5] != ':')
            continue;
        snprintf(ret, 6, "%.5s", state);
        *ret_rest = state + 6 + (state[6] == ' ');
        return true;
    }
    return false;
}

enum tn_code postgres_fail_connect(const struct postgres *pg, const char *text, struct tn_error *err)
{
    TN_AUTO_FREE char *copy = tn_strdup(text);
    char state[6] = "";
    const char *rest = copy;
    if (find_state(copy, state, &rest)) {
        /* Verbose texts go on with the place in the server's source. */
        char *place = strstr(copy, "\nLOCATION:");
        if (place)
            *place = '\0';
        TN_AUTO_FREE char *said = one_line(rest, pg->password);
        enum tn_code code = postgres_code_of(state, false);
        tn_fail(err, code, "%s: %s (SQLSTATE %s)", pg->label, said, state);
        if (advice(code, state))
            tn_error_hint(err, "%s", advice(code, state));
        return code;
    }
    TN_AUTO_FREE char *said = one_line(copy, pg->password);
    if (strstr(said, "no password supplied")) {
        tn_fail(err, TN_EFORBIDDEN, "%s: the server asks for a password, and none was given", pg->label);
        tn_error_hint(err, "%s", advice(TN_EFORBIDDEN, ""));
        return TN_EFORBIDDEN;
    }
    tn_fail(err, TN_EUNREACHABLE, "%s: %s", pg->label, said);
    if (strstr(said, "does not support SSL"))
        tn_error_hint(err, "the server has TLS switched off: switch it on there, or say sslmode=disable if the "
                           "way to it is safe");
    else if (strstr(said, "certificate"))
        tn_error_hint(err, "name the authority's certificate with sslrootcert=FILE, and connect by the name that "
                           "the server's certificate bears");
    else
        tn_error_hint(err, "is the server running there, does it listen on that address, and may this machine reach "
                           "it? Check host, port and firewall");
    return TN_EUNREACHABLE;
}
