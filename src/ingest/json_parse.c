/* JSON values: strict checks, byte by byte where it matters and sixteen at a
 * time inside strings. */
#include "ingest/json_parse.h"

#include "ingest/classify.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* The first quote, backslash or control character at or behind p. */
static inline const char *find_string_stop(const char *p, const char *end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1F);
    while (end - p >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, slash)),
                                   _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask)
            return p + __builtin_ctz(mask);
        p += 16;
    }
#endif
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
        p++;
    return p;
}

static bool is_hex4(const char *p, const char *end)
{
    if (end - p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = (char)(p[i] | 0x20);
        if (!is_digit(p[i]) && !(c >= 'a' && c <= 'f'))
            return false;
    }
    return true;
}

const char *json_take_string(const char *p, const char *end, bool *ret_escaped)
{
    *ret_escaped = false;
    for (;;) {
        p = find_string_stop(p, end);
        if (p >= end)
            return NULL;
        if (*p == '"')
            return p + 1;
        if (*p != '\\' || end - p < 2)
            return NULL;
        *ret_escaped = true;
        if (p[1] == 'u') {
            if (!is_hex4(p + 2, end))
                return NULL;
            p += 6;
        } else if (memchr("\"\\/bfnrt", p[1], 8)) {
            p += 2;
        } else {
            return NULL;
        }
    }
}

const char *json_take_number(const char *p, const char *end)
{
    if (p < end && *p == '-')
        p++;
    if (p >= end || !is_digit(*p))
        return NULL;
    if (*p == '0')
        p++;
    else
        while (p < end && is_digit(*p))
            p++;
    if (p < end && *p == '.') {
        p++;
        if (p >= end || !is_digit(*p))
            return NULL;
        while (p < end && is_digit(*p))
            p++;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        if (p >= end || !is_digit(*p))
            return NULL;
        while (p < end && is_digit(*p))
            p++;
    }
    return p;
}

static const char *take_word(const char *p, const char *end, const char *word, uint8_t kind, struct cell *ret)
{
    size_t length = strlen(word);
    if ((size_t)(end - p) < length || memcmp(p, word, length) != 0)
        return NULL;
    *ret = (struct cell){p, (uint32_t)length, kind, 0};
    return p + length;
}

const char *json_take_scalar(const char *p, const char *end, struct cell *ret)
{
    if (p >= end)
        return NULL;
    switch (*p) {
    case '"': {
        bool escaped;
        const char *stop = json_take_string(p + 1, end, &escaped);
        if (stop)
            *ret = (struct cell){p + 1, (uint32_t)(stop - p - 2), CELL_JSON_STRING, escaped};
        return stop;
    }
    case 't':
        return take_word(p, end, "true", CELL_JSON_TRUE, ret);
    case 'f':
        return take_word(p, end, "false", CELL_JSON_FALSE, ret);
    case 'n':
        return take_word(p, end, "null", CELL_JSON_NULL, ret);
    default: {
        const char *stop = json_take_number(p, end);
        if (stop)
            *ret = (struct cell){p, (uint32_t)(stop - p), CELL_JSON_NUMBER, 0};
        return stop;
    }
    }
}

static const char *take_object(const char *p, const char *end, unsigned depth)
{
    p = json_skip_space(p + 1, end);
    if (p < end && *p == '}')
        return p + 1;
    for (;;) {
        bool escaped;
        if (p >= end || *p != '"' || !(p = json_take_string(p + 1, end, &escaped)))
            return NULL;
        p = json_skip_space(p, end);
        if (p >= end || *p != ':')
            return NULL;
        p = json_take_value(json_skip_space(p + 1, end), end, depth);
        if (!p)
            return NULL;
        p = json_skip_space(p, end);
        if (p >= end)
            return NULL;
        if (*p == '}')
            return p + 1;
        if (*p != ',')
            return NULL;
        p = json_skip_space(p + 1, end);
    }
}

/* The class of a list that holds `found` and, so far, values of `list`. */
static uint8_t widen_list(uint8_t list, const struct cell *found)
{
    uint32_t marks = 0;
    uint8_t class = CLASS_JSON;
    switch ((enum cell_kind)found->kind) {
    case CELL_JSON_NULL:
        return list;
    case CELL_JSON_STRING:
        class = CLASS_LIST_TEXT;
        break;
    case CELL_JSON_TRUE:
    case CELL_JSON_FALSE:
        class = CLASS_LIST_BOOL;
        break;
    case CELL_JSON_NUMBER:
        switch (classify_cell(found, &marks)) {
        case CLASS_INT:
        case CLASS_LONG_INT:
            class = CLASS_LIST_INT;
            break;
        case CLASS_DOUBLE:
            class = CLASS_LIST_DOUBLE;
            break;
        default:
            break;
        }
        break;
    default:
        break;
    }
    if (list == CLASS_LIST_EMPTY || list == class)
        return class;
    bool numbers = (list == CLASS_LIST_INT || list == CLASS_LIST_DOUBLE) &&
                   (class == CLASS_LIST_INT || class == CLASS_LIST_DOUBLE);
    return numbers ? CLASS_LIST_DOUBLE : CLASS_JSON;
}

const char *json_take_array(const char *p, const char *end, unsigned depth, uint8_t *ret_class)
{
    uint8_t class = CLASS_LIST_EMPTY;
    p = json_skip_space(p + 1, end);
    if (p < end && *p == ']') {
        *ret_class = class;
        return p + 1;
    }
    for (;;) {
        if (p >= end)
            return NULL;
        if (*p == '[' || *p == '{') {
            class = CLASS_JSON;
            p = json_take_value(p, end, depth);
        } else {
            struct cell cell;
            p = json_take_scalar(p, end, &cell);
            if (p)
                class = widen_list(class, &cell);
        }
        if (!p)
            return NULL;
        p = json_skip_space(p, end);
        if (p >= end)
            return NULL;
        if (*p == ']') {
            *ret_class = class;
            return p + 1;
        }
        if (*p != ',')
            return NULL;
        p = json_skip_space(p + 1, end);
    }
}

const char *json_take_value(const char *p, const char *end, unsigned depth)
{
    struct cell ignored;
    uint8_t class;
    if (p >= end)
        return NULL;
    if (*p != '{' && *p != '[')
        return json_take_scalar(p, end, &ignored);
    if (depth == 0)
        return NULL;
    return *p == '{' ? take_object(p, end, depth - 1) : json_take_array(p, end, depth - 1, &class);
}

const char *json_skip_value(const char *p, const char *end)
{
    size_t depth = 0;
    while (p < end) {
        switch (*p) {
        case '"':
            for (p++;;) {
                p = find_string_stop(p, end);
                if (p >= end)
                    return NULL;
                if (*p == '"')
                    break;
                p += *p == '\\' ? 2 : 1;
            }
            p++;
            break;
        case '{':
        case '[':
            depth++;
            p++;
            continue;
        case '}':
        case ']':
            if (depth == 0)
                return p;
            depth--;
            p++;
            break;
        case ',':
        case ' ':
        case '\n':
        case '\r':
        case '\t':
            if (depth == 0)
                return p;
            p++;
            continue;
        default:
            p++;
            continue;
        }
        if (depth == 0)
            return p;
    }
    return NULL;
}
