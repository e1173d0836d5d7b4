/* Header values: media types, authorization, cookies, tags. */
#include "gateway/http_text.h"

#include <ctype.h>
#include <sodium.h>
#include <strings.h>

static const char *skip_space(const char *at)
{
    while (*at == ' ' || *at == '\t')
        at++;
    return at;
}

/* One element of an Accept header, "text/csv;q=0.5": its range as a slice, its
 * weight in thousandths. Returns where the next element starts. */
static const char *accept_element(const char *at, const char **ret_range, size_t *ret_length, int *ret_weight)
{
    at = skip_space(at);
    *ret_range = at;
    size_t length = strcspn(at, ";,");
    const char *stop = at + length;
    while (length > 0 && (at[length - 1] == ' ' || at[length - 1] == '\t'))
        length--;
    *ret_length = length;
    *ret_weight = 1000;
    while (*stop == ';') {
        const char *parameter = skip_space(stop + 1);
        size_t span = strcspn(parameter, ";,");
        if ((parameter[0] == 'q' || parameter[0] == 'Q') && parameter[1] == '=') {
            char *number = (char[8]){0};
            memcpy(number, parameter + 2, TN_MIN(span < 2 ? 0 : span - 2, (size_t)7));
            number[strcspn(number, " \t")] = '\0';
            double q = 0;
            *ret_weight = tn_parse_double(number, &q) && q >= 0 && q <= 1 ? (int)(q * 1000 + 0.5) : 0;
        }
        stop = parameter + span;
    }
    return *stop == ',' ? stop + 1 : stop;
}

/* How exactly a range names a media type: 0 not at all, 1 by star-slash-star,
 * 2 by its type, 3 in full. */
static int range_precision(const char *range, size_t length, const char *media)
{
    const char *slash = strchr(media, '/');
    size_t type_length = (size_t)(slash - media);
    if (length == 3 && memcmp(range, "*/*", 3) == 0)
        return 1;
    if (length == type_length + 2 && strncasecmp(range, media, type_length + 1) == 0 && range[length - 1] == '*')
        return 2;
    if (length == strlen(media) && strncasecmp(range, media, length) == 0)
        return 3;
    return 0;
}

int http_accept_best(const char *accept, const char *const *offers, size_t count)
{
    if (!accept || !*skip_space(accept))
        return 0;
    int best = -1, best_weight = 0;
    for (size_t i = 0; i < count; i++) {
        int weight = 0, precision = 0;
        for (const char *at = accept; *at;) {
            const char *range;
            size_t length;
            int element_weight;
            at = accept_element(at, &range, &length, &element_weight);
            int element_precision = range_precision(range, length, offers[i]);
            if (element_precision > precision) {
                precision = element_precision;
                weight = element_weight;
            }
        }
        if (weight > best_weight) {
            best_weight = weight;
            best = (int)i;
        }
    }
    return best;
}

bool http_media_is(const char *content_type, const char *media)
{
    if (!content_type)
        return false;
    const char *at = skip_space(content_type);
    size_t length = strcspn(at, "; \t");
    return length == strlen(media) && strncasecmp(at, media, length) == 0;
}

const char *http_bearer(const char *authorization)
{
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return NULL;
    const char *token = skip_space(authorization + 7);
    return *token ? token : NULL;
}

bool http_basic(struct tn_arena *arena, const char *authorization, const char **ret_user, const char **ret_secret)
{
    if (!authorization || strncasecmp(authorization, "Basic ", 6) != 0)
        return false;
    const char *encoded = skip_space(authorization + 6);
    size_t length = strlen(encoded), decoded_length = 0;
    if (length > 4096)
        return false;
    char *text = tn_arena_alloc(arena, length + 1);
    if (sodium_base642bin((unsigned char *)text, length, encoded, length, "= \t", &decoded_length, NULL,
                          sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0)
        return false;
    text[decoded_length] = '\0';
    char *colon = strchr(text, ':');
    if (strlen(text) != decoded_length || !colon)
        return false;
    *colon = '\0';
    *ret_user = text;
    *ret_secret = colon + 1;
    return true;
}

const char *http_cookie(struct tn_arena *arena, const char *header, const char *name)
{
    size_t name_length = strlen(name);
    for (const char *at = header ? header : ""; *at;) {
        at = skip_space(at);
        size_t length = strcspn(at, ";");
        if (length > name_length && memcmp(at, name, name_length) == 0 && at[name_length] == '=')
            return tn_arena_strndup(arena, at + name_length + 1, length - name_length - 1);
        at += length;
        if (*at)
            at++;
    }
    return NULL;
}

static bool made_of(const char *text, size_t max, bool visible)
{
    size_t length = strnlen(text, max + 1);
    if (length == 0 || length > max)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (visible ? c <= ' ' || c >= 127 : !(isalnum(c) && c < 128) && c != '.' && c != '-' && c != '_')
            return false;
    }
    return true;
}

bool http_request_id_valid(const char *text)
{
    return made_of(text, 63, false);
}

bool http_idempotency_key_valid(const char *text)
{
    return made_of(text, 200, true);
}

bool http_etag_matches(const char *if_none_match, const char *etag)
{
    size_t length = strlen(etag);
    for (const char *at = if_none_match ? if_none_match : ""; *at;) {
        at = skip_space(at);
        if (*at == '*')
            return true;
        if (strncmp(at, "W/", 2) == 0)
            at += 2;
        if (strncmp(at, etag, length) == 0)
            return true;
        at += strcspn(at, ",");
        if (*at)
            at++;
    }
    return false;
}
