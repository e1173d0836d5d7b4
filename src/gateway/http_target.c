/* Request targets and parameters. Cutting comes before decoding: a server that
 * decodes first lets %2F or %26 change the meaning of a path or a parameter. */
#include "gateway/http_text.h"

static bool decoded(struct tn_arena *arena, const char *raw, size_t length, bool plus_is_space, const char **ret)
{
    char *text = tn_arena_strndup(arena, raw, length);
    if (!tn_url_decode(text, plus_is_space))
        return false;
    size_t decoded_length = strlen(text);
    if (tn_utf8_valid_prefix(text, decoded_length) != decoded_length)
        return false;
    *ret = text;
    return true;
}

static enum tn_code path_parse(struct tn_arena *arena, const char *path, size_t length, struct http_target *ret,
                               struct tn_error *err)
{
    ret->segment_count = 0;
    if (length == 1)
        return TN_OK;
    const char *end = path + length;
    for (const char *at = path + 1; at <= end;) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *stop = slash ? slash : end;
        if (ret->segment_count == HTTP_SEGMENTS_MAX)
            return tn_fail(err, TN_EREQUEST, "the path has more than %d parts", HTTP_SEGMENTS_MAX);
        if (!decoded(arena, at, (size_t)(stop - at), false, &ret->segments[ret->segment_count]))
            return tn_fail(err, TN_EREQUEST, "part %zu of the path is not valid percent-encoded UTF-8",
                           ret->segment_count + 1);
        ret->segment_count++;
        at = stop + 1;
    }
    return TN_OK;
}

static enum tn_code param_add(struct tn_arena *arena, const char *raw, size_t length, struct http_pair *params,
                              size_t *count, struct tn_error *err)
{
    const char *equals = memchr(raw, '=', length);
    size_t name_length = equals ? (size_t)(equals - raw) : length;
    struct http_pair pair = {.value = ""};
    if (!decoded(arena, raw, name_length, true, &pair.name))
        return tn_fail(err, TN_EREQUEST, "the name of parameter %zu is not valid percent-encoded UTF-8", *count + 1);
    if (equals && !decoded(arena, equals + 1, length - name_length - 1, true, &pair.value))
        return tn_fail(err, TN_EREQUEST, "the value of parameter \"%s\" is not valid percent-encoded UTF-8",
                       pair.name);
    for (size_t i = 0; i < *count; i++)
        if (tn_streq(params[i].name, pair.name))
            return tn_fail(err, TN_EREQUEST, "parameter \"%s\" is given twice", pair.name);
    if (*count == HTTP_PARAMS_MAX)
        return tn_fail(err, TN_EREQUEST, "more than %d parameters", HTTP_PARAMS_MAX);
    params[(*count)++] = pair;
    return TN_OK;
}

enum tn_code http_params_parse(struct tn_arena *arena, const char *raw, size_t length, struct http_pair *params,
                               size_t *ret_count, struct tn_error *err)
{
    size_t count = 0;
    const char *end = raw + length;
    for (const char *at = raw; at < end;) {
        const char *amp = memchr(at, '&', (size_t)(end - at));
        const char *stop = amp ? amp : end;
        if (stop > at)
            TN_TRY(param_add(arena, at, (size_t)(stop - at), params, &count, err));
        at = stop + 1;
    }
    *ret_count = count;
    return TN_OK;
}

enum tn_code http_target_parse(struct tn_arena *arena, const char *raw, struct http_target *ret, struct tn_error *err)
{
    if (raw[0] != '/')
        return tn_fail(err, TN_EREQUEST, "the request target must begin with a slash");
    size_t length = strlen(raw);
    const char *question = memchr(raw, '?', length);
    size_t path_length = question ? (size_t)(question - raw) : length;
    struct http_target target = {0};
    TN_TRY(path_parse(arena, raw, path_length, &target, err));
    if (question)
        TN_TRY(http_params_parse(arena, question + 1, length - path_length - 1, target.params, &target.param_count,
                                 err));
    *ret = target;
    return TN_OK;
}

const char *http_param(const struct http_target *target, const char *name)
{
    for (size_t i = 0; i < target->param_count; i++)
        if (tn_streq(target->params[i].name, name))
            return target->params[i].value;
    return NULL;
}
