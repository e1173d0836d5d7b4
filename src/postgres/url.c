/* URLs of databases: libpq takes them apart, and what could do harm stays out. */
#include "postgres/postgres_internal.h"

#include <strings.h>

/* Keywords that a caller may set; the others name services, programs or
 * things that Tarn decides. */
static const char *const allowed[] = {
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "sslcert",
    "sslkey",
    "sslcrl",
    "sslrootcert",
    "ssl_min_protocol_version",
    "sslsni",
    "gssencmode",
    "channel_binding",
    "options",
    "target_session_attrs",
    "connect_timeout",
    "application_name",
    "krbsrvname",
    "sslpassword",
};

static bool is_allowed(const char *keyword)
{
    for (size_t i = 0; i < TN_COUNT(allowed); i++)
        if (tn_streq(allowed[i], keyword))
            return true;
    return false;
}

static const char *text_or(const char *text, const char *fallback)
{
    return text && *text ? text : fallback;
}

static void take_option(struct postgres_place *place, const PQconninfoOption *option)
{
    if (tn_streq(option->keyword, "host"))
        place->host = option->val;
    else if (tn_streq(option->keyword, "hostaddr") && !place->host)
        place->host = option->val;
    else if (tn_streq(option->keyword, "port"))
        place->port = option->val;
    else if (tn_streq(option->keyword, "dbname"))
        place->database = option->val;
    else if (tn_streq(option->keyword, "user"))
        place->user = option->val;
    else if (tn_streq(option->keyword, "password"))
        place->password = option->val;
}

enum tn_code postgres_place_parse(const char *url, struct postgres_place *ret, struct tn_error *err)
{
    /* libpq's own text may quote a part of the URL, and a part may be the password. */
    char *why = NULL;
    PQconninfoOption *options = url && *url ? PQconninfoParse(url, &why) : NULL;
    if (why)
        PQfreemem(why);
    if (!options) {
        tn_fail(err, TN_EREQUEST, "the address of the database is neither a URL nor a list of keywords");
        tn_error_hint(err, "write postgresql://USER@HOST:PORT/DATABASE?sslmode=require, or "
                           "\"host=HOST port=5432 dbname=DATABASE user=USER\"; characters like @ : / %% "
                           "in a URL's parts are written %%40 %%3A %%2F %%25");
        return TN_EREQUEST;
    }
    struct postgres_place place = {.options = options};
    for (const PQconninfoOption *option = options; option->keyword; option++) {
        if (!option->val)
            continue;
        if (!is_allowed(option->keyword)) {
            tn_fail(err, TN_EREQUEST, "the address of the database sets \"%s\", which is not allowed here",
                    option->keyword);
            PQconninfoFree(options);
            return TN_EREQUEST;
        }
        take_option(&place, option);
    }
    place.host = text_or(place.host, text_or(getenv("PGHOST"), "localhost"));
    place.port = text_or(place.port, text_or(getenv("PGPORT"), "5432"));
    place.user = text_or(place.user, getenv("PGUSER"));
    place.database = text_or(place.database, text_or(getenv("PGDATABASE"), text_or(place.user, "")));
    *ret = place;
    return TN_OK;
}

void postgres_place_release(struct postgres_place *place)
{
    if (place->options) {
        for (PQconninfoOption *option = place->options; option->keyword; option++)
            if (option->val && option->dispchar[0] == '*')
                explicit_bzero(option->val, strlen(option->val));
        PQconninfoFree(place->options);
    }
    *place = (struct postgres_place){0};
}

char *postgres_place_label(const struct postgres_place *place)
{
    return tn_asprintf("%s:%s/%s", place->host, place->port, place->database);
}

static void put_escaped(struct tn_buf *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || strchr("-._~,", c);
        if (plain)
            tn_buf_putc(out, (char)c);
        else
            tn_buf_printf(out, "%%%02X", c);
    }
}

/* Everything as a query parameter: valid for sockets and several hosts too. */
static char *clean_url(const struct postgres_place *place)
{
    struct tn_buf out = {0};
    tn_buf_puts(&out, "postgresql://");
    char separator = '?';
    for (const PQconninfoOption *option = place->options; option->keyword; option++) {
        if (!option->val || option->dispchar[0] == '*')
            continue;
        tn_buf_printf(&out, "%c%s=", separator, option->keyword);
        put_escaped(&out, option->val);
        separator = '&';
    }
    return tn_buf_take(&out);
}

enum tn_code postgres_url_split(const char *url, char **ret_label, char **ret_clean_url, char **ret_password,
                                struct tn_error *err)
{
    TN_CLEANUP(postgres_place_release) struct postgres_place place = {0};
    TN_TRY(postgres_place_parse(url, &place, err));
    *ret_label = postgres_place_label(&place);
    *ret_clean_url = clean_url(&place);
    if (ret_password)
        *ret_password = place.password && *place.password ? tn_strdup(place.password) : NULL;
    return TN_OK;
}
