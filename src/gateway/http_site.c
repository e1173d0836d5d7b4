/* Host and Origin: who may call, and from which pages.
 *
 * A page on the internet can make a browser send requests to this machine. It
 * cannot choose the Host header, and it cannot hide its Origin: those two are
 * checked on every request, before anything else is done with it. */
#include "gateway/http_text.h"

#include <arpa/inet.h>
#include <ctype.h>

bool http_host_parse(const char *host, char name[HTTP_HOST_MAX], uint16_t *ret_port)
{
    const char *stop;
    if (host[0] == '[') {
        host++;
        stop = strchr(host, ']');
    } else {
        stop = host + strcspn(host, ":");
    }
    size_t length = stop ? (size_t)(stop - host) : 0;
    if (length == 0 || length >= HTTP_HOST_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)host[i];
        if (c >= 128 || (!isalnum(c) && c != '.' && c != '-' && c != '_' && c != ':'))
            return false;
    }
    const char *rest = *stop == ']' ? stop + 1 : stop;
    uint64_t port = 0;
    if (*rest && (*rest != ':' || !tn_parse_u64(rest + 1, &port) || port == 0 || port > 65535))
        return false;
    for (size_t i = 0; i < length; i++)
        name[i] = tn_ascii_lower(host[i]);
    name[length] = '\0';
    *ret_port = (uint16_t)port;
    return true;
}

bool http_host_is_address(const char *name)
{
    struct in6_addr bytes;
    return inet_pton(AF_INET, name, &bytes) == 1 || inet_pton(AF_INET6, name, &bytes) == 1;
}

bool http_host_is_loopback(const char *name)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, name, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    return tn_streq(name, "localhost") || tn_streq(name, "::1");
}

/* Whether a comma separated list has the word, ASCII case ignored. */
static bool list_has(const char *list, const char *word)
{
    size_t word_length = strlen(word);
    for (const char *at = list ? list : ""; *at;) {
        at += strspn(at, " ,");
        size_t length = strcspn(at, ",");
        const char *next = at + length;
        while (length > 0 && at[length - 1] == ' ')
            length--;
        bool same = length == word_length;
        for (size_t i = 0; same && i < length; i++)
            same = tn_ascii_lower(at[i]) == tn_ascii_lower(word[i]);
        if (same && length > 0)
            return true;
        at = next;
    }
    return false;
}

bool http_host_allowed(const struct http_site *site, const char *host)
{
    char name[HTTP_HOST_MAX];
    uint16_t port;
    if (!host || !http_host_parse(host, name, &port))
        return false;
    if (http_host_is_loopback(name) || list_has(site->allowed_hosts, "*") || list_has(site->allowed_hosts, name))
        return true;
    bool everywhere = tn_streq(site->bind, "0.0.0.0") || tn_streq(site->bind, "::");
    return http_host_is_address(name) && (everywhere || tn_streq(name, site->bind));
}

bool http_origin_allowed(const struct http_site *site, const char *host, const char *origin)
{
    if (!origin)
        return true;
    if (list_has(site->allowed_origins, origin))
        return true;
    const char *scheme = site->tls ? "https://" : "http://";
    return host && tn_str_starts_with(origin, scheme) && tn_str_equal_nocase(origin + strlen(scheme), host);
}
