#include "iceberg/doc.h"

#include "base/json.h"
#include "base/str.h"

#include <string.h>

/* A node is about a hundred bytes: this bounds a hostile "[[],[],..." to some
 * hundreds of megabytes, and leaves room for 100,000 snapshots. */
#define DOC_MAX_NODES ((size_t)4 << 20)

struct doc_reader {
    struct tn_arena *arena;
    const char *start, *at, *end;
    const char *what;
    size_t nodes;
    unsigned depth;
    struct tn_error *err;
};

static enum tn_code doc_fail(struct doc_reader *in, const char *at, const char *message)
{
    int line = 1, column = 1;
    for (const char *p = in->start; p < at; p++) {
        column++;
        if (*p == '\n') {
            line++;
            column = 1;
        }
    }
    (void)tn_fail(in->err, TN_ECORRUPT, "%s: line %d, column %d: %s", in->what, line, column, message);
    if (in->err) {
        in->err->line = line;
        in->err->column = column;
    }
    return TN_ECORRUPT;
}

static void doc_skip_space(struct doc_reader *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\n' || *in->at == '\r' || *in->at == '\t'))
        in->at++;
}

static bool doc_hex4(const char *at, const char *end, uint32_t *ret)
{
    if (end - at < 4)
        return false;
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint32_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (uint32_t)(c - 'A') + 10;
        else
            return false;
        value = value << 4 | digit;
    }
    *ret = value;
    return true;
}

/* One \uXXXX or surrogate pair behind the 'u' at *at. */
static bool doc_unicode_escape(const char **at, const char *end, uint32_t *ret)
{
    uint32_t high = 0, low = 0;
    if (!doc_hex4(*at, end, &high))
        return false;
    *at += 4;
    if (high >= 0xDC00 && high <= 0xDFFF)
        return false;
    if (high >= 0xD800 && high <= 0xDBFF) {
        if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u' || !doc_hex4(*at + 2, end, &low))
            return false;
        if (low < 0xDC00 || low > 0xDFFF)
            return false;
        *at += 6;
        high = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    }
    *ret = high;
    return high != 0; /* NUL cannot be kept in C strings */
}

static bool doc_unescape(const char *from, const char *end, char *out, size_t *ret_length)
{
    static const char letters[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    char *to = out;
    while (from < end) {
        if (*from != '\\') {
            *to++ = *from++;
            continue;
        }
        if (++from >= end)
            return false;
        if (*from == 'u') {
            uint32_t point = 0;
            from++;
            if (!doc_unicode_escape(&from, end, &point))
                return false;
            to += tn_utf8_put(point, to);
            continue;
        }
        const char *letter = strchr(letters, *from);
        if (!letter || *from == '\0')
            return false;
        *to++ = meaning[letter - letters];
        from++;
    }
    *to = '\0';
    *ret_length = (size_t)(to - out);
    return true;
}

/* A string literal at in->at; the decoded text is the arena's. */
static enum tn_code doc_string(struct doc_reader *in, const char **ret, uint32_t *ret_length)
{
    const char *open = in->at, *p = open + 1;
    bool escaped = false, high = false;
    for (; p < in->end && *p != '"'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20)
            return doc_fail(in, p, "a control character in a string");
        if (c >= 0x80)
            high = true;
        if (c == '\\') {
            escaped = true;
            if (++p >= in->end)
                break;
        }
    }
    if (p >= in->end)
        return doc_fail(in, open, "the string does not end");
    size_t raw = (size_t)(p - open - 1), length = raw;
    if (raw > INT32_MAX)
        return doc_fail(in, open, "the string is too long");
    if (high && tn_utf8_valid_prefix(open + 1, raw) != raw)
        return doc_fail(in, open, "the string is not valid UTF-8");
    char *text = tn_arena_alloc(in->arena, raw + 1);
    if (!escaped)
        memcpy(text, open + 1, raw);
    else if (!doc_unescape(open + 1, p, text, &length))
        return doc_fail(in, open, "a bad escape in a string");
    in->at = p + 1;
    *ret = text;
    *ret_length = (uint32_t)length;
    return TN_OK;
}

static enum tn_code doc_number(struct doc_reader *in, struct doc_node *node)
{
    const char *p = in->at;
    bool negative = p < in->end && *p == '-', overflow = false, integer = true;
    p += negative;
    const char *digits = p;
    int64_t value = 0;
    for (; p < in->end && *p >= '0' && *p <= '9'; p++) {
        overflow |= __builtin_mul_overflow(value, (int64_t)10, &value);
        overflow |= negative ? __builtin_sub_overflow(value, (int64_t)(*p - '0'), &value)
                             : __builtin_add_overflow(value, (int64_t)(*p - '0'), &value);
    }
    if (p == digits || (*digits == '0' && p - digits > 1))
        return doc_fail(in, in->at, "not a JSON value");
    if (p < in->end && *p == '.') {
        integer = false;
        const char *fraction = ++p;
        while (p < in->end && *p >= '0' && *p <= '9')
            p++;
        if (p == fraction)
            return doc_fail(in, in->at, "a bad number");
    }
    if (p < in->end && (*p == 'e' || *p == 'E')) {
        integer = false;
        p++;
        if (p < in->end && (*p == '+' || *p == '-'))
            p++;
        const char *exponent = p;
        while (p < in->end && *p >= '0' && *p <= '9')
            p++;
        if (p == exponent)
            return doc_fail(in, in->at, "a bad number");
    }
    node->kind = integer && !overflow ? DOC_INT : DOC_NUMBER;
    if (node->kind == DOC_INT)
        node->integer = value;
    in->at = p;
    return TN_OK;
}

static int doc_key_order(const void *a, const void *b)
{
    const struct doc_node *const *x = a, *const *y = b;
    return strcmp((*x)->key, (*y)->key);
}

/* Small objects are compared pairwise; big ones are sorted, so that a hostile
 * one costs n log n. */
static bool doc_has_duplicates(struct doc_reader *in, const struct doc_node *object)
{
    if (object->count <= 32) {
        for (const struct doc_node *a = object->first; a; a = a->next)
            for (const struct doc_node *b = a->next; b; b = b->next)
                if (a->key_length == b->key_length && memcmp(a->key, b->key, a->key_length) == 0)
                    return true;
        return false;
    }
    const struct doc_node **sorted = TN_ARENA_ARRAY(in->arena, const struct doc_node *, object->count);
    size_t n = 0;
    for (const struct doc_node *a = object->first; a; a = a->next)
        sorted[n++] = a;
    qsort(sorted, n, sizeof *sorted, doc_key_order);
    for (size_t i = 1; i < n; i++)
        if (tn_streq(sorted[i - 1]->key, sorted[i]->key))
            return true;
    return false;
}

static enum tn_code doc_value(struct doc_reader *in, struct doc_node **ret);

/* One `"key": value` of an object, or one value of an array. */
static enum tn_code doc_member(struct doc_reader *in, bool object, struct doc_node **ret)
{
    const char *key = NULL;
    uint32_t key_length = 0;
    if (object) {
        if (in->at >= in->end || *in->at != '"')
            return doc_fail(in, in->at, "expected a key");
        TN_TRY(doc_string(in, &key, &key_length));
        doc_skip_space(in);
        if (in->at >= in->end || *in->at != ':')
            return doc_fail(in, in->at, "expected ':'");
        in->at++;
        doc_skip_space(in);
    }
    struct doc_node *child = NULL;
    TN_TRY(doc_value(in, &child));
    child->key = key;
    child->key_length = key_length;
    *ret = child;
    return TN_OK;
}

static enum tn_code doc_container(struct doc_reader *in, struct doc_node *node)
{
    bool object = *in->at == '{';
    char close = object ? '}' : ']';
    node->kind = object ? DOC_OBJECT : DOC_ARRAY;
    if (++in->depth > TN_JSON_MAX_DEPTH)
        return doc_fail(in, in->at, "nested too deeply");
    in->at++;
    doc_skip_space(in);
    struct doc_node **tail = &node->first;
    if (in->at < in->end && *in->at == close) {
        in->at++;
        in->depth--;
        return TN_OK;
    }
    for (;;) {
        TN_TRY(doc_member(in, object, tail));
        tail = &(*tail)->next;
        node->count++;
        doc_skip_space(in);
        if (in->at >= in->end || (*in->at != ',' && *in->at != close))
            return doc_fail(in, in->at, object ? "expected ',' or '}'" : "expected ',' or ']'");
        if (*in->at++ == close)
            break;
        doc_skip_space(in);
    }
    if (object && doc_has_duplicates(in, node))
        return doc_fail(in, in->at, "an object has the same key twice");
    in->depth--;
    return TN_OK;
}

static enum tn_code doc_word(struct doc_reader *in, struct doc_node *node)
{
    static const struct {
        const char *word;
        enum doc_kind kind;
    } words[] = {{"null", DOC_NULL}, {"true", DOC_TRUE}, {"false", DOC_FALSE}};
    for (size_t i = 0; i < TN_COUNT(words); i++) {
        size_t length = strlen(words[i].word);
        if ((size_t)(in->end - in->at) >= length && memcmp(in->at, words[i].word, length) == 0) {
            node->kind = words[i].kind;
            in->at += length;
            return TN_OK;
        }
    }
    return doc_number(in, node);
}

static enum tn_code doc_value(struct doc_reader *in, struct doc_node **ret)
{
    if (in->at >= in->end)
        return doc_fail(in, in->at, "the text ends too early");
    if (++in->nodes > DOC_MAX_NODES)
        return doc_fail(in, in->at, "too many values");
    struct doc_node *node = tn_arena_alloc(in->arena, sizeof *node);
    node->raw = in->at;
    if (*in->at == '{' || *in->at == '[') {
        TN_TRY(doc_container(in, node));
    } else if (*in->at == '"') {
        node->kind = DOC_STRING;
        TN_TRY(doc_string(in, &node->text, &node->text_length));
    } else {
        TN_TRY(doc_word(in, node));
    }
    node->raw_length = (size_t)(in->at - node->raw);
    *ret = node;
    return TN_OK;
}

enum tn_code doc_parse(struct tn_arena *arena, const char *text, size_t length, const char *what,
                       const struct doc_node **ret, struct tn_error *err)
{
    struct doc_reader in = {
        .arena = arena, .start = text, .at = text, .end = text + length, .what = what, .err = err};
    struct doc_node *root = NULL;
    doc_skip_space(&in);
    TN_TRY(doc_value(&in, &root));
    doc_skip_space(&in);
    if (in.at != in.end)
        return doc_fail(&in, in.at, "text behind the document");
    *ret = root;
    return TN_OK;
}

const struct doc_node *doc_get(const struct doc_node *object, const char *key)
{
    if (!object || object->kind != DOC_OBJECT)
        return NULL;
    for (const struct doc_node *child = object->first; child; child = child->next)
        if (tn_streq(child->key, key))
            return child;
    return NULL;
}

bool doc_is_null(const struct doc_node *node)
{
    return !node || node->kind == DOC_NULL;
}

static const char *const doc_kind_names[] = {
    [DOC_NULL] = "null",       [DOC_FALSE] = "a boolean", [DOC_TRUE] = "a boolean", [DOC_INT] = "an integer",
    [DOC_NUMBER] = "a number", [DOC_STRING] = "a string", [DOC_ARRAY] = "an array", [DOC_OBJECT] = "an object",
};

enum tn_code doc_need(const struct doc_node *object, const char *key, enum doc_kind kind, const char *what,
                      const struct doc_node **ret, struct tn_error *err)
{
    const struct doc_node *node = doc_get(object, key);
    if (!node)
        return tn_fail(err, TN_ECORRUPT, "%s: \"%s\" is missing", what, key);
    if (node->kind != kind)
        return tn_fail(err, TN_ECORRUPT, "%s: \"%s\" must be %s and is %s", what, key, doc_kind_names[kind],
                       doc_kind_names[node->kind]);
    *ret = node;
    return TN_OK;
}

enum tn_code doc_need_i64(const struct doc_node *object, const char *key, const char *what, int64_t *ret,
                          struct tn_error *err)
{
    const struct doc_node *node = NULL;
    TN_TRY(doc_need(object, key, DOC_INT, what, &node, err));
    *ret = node->integer;
    return TN_OK;
}

enum tn_code doc_need_i32(const struct doc_node *object, const char *key, const char *what, int32_t *ret,
                          struct tn_error *err)
{
    int64_t value = 0;
    TN_TRY(doc_need_i64(object, key, what, &value, err));
    if (value < INT32_MIN || value > INT32_MAX)
        return tn_fail(err, TN_ECORRUPT, "%s: \"%s\" does not fit 32 bits: %lld", what, key, (long long)value);
    *ret = (int32_t)value;
    return TN_OK;
}

enum tn_code doc_need_text(const struct doc_node *object, const char *key, const char *what, const char **ret,
                           struct tn_error *err)
{
    const struct doc_node *node = NULL;
    TN_TRY(doc_need(object, key, DOC_STRING, what, &node, err));
    *ret = node->text;
    return TN_OK;
}

enum tn_code doc_take_i64(const struct doc_node *object, const char *key, const char *what, int64_t *ret,
                          struct tn_error *err)
{
    return doc_is_null(doc_get(object, key)) ? TN_OK : doc_need_i64(object, key, what, ret, err);
}

enum tn_code doc_take_i32(const struct doc_node *object, const char *key, const char *what, int32_t *ret,
                          struct tn_error *err)
{
    return doc_is_null(doc_get(object, key)) ? TN_OK : doc_need_i32(object, key, what, ret, err);
}

enum tn_code doc_take_text(const struct doc_node *object, const char *key, const char *what, const char **ret,
                           struct tn_error *err)
{
    return doc_is_null(doc_get(object, key)) ? TN_OK : doc_need_text(object, key, what, ret, err);
}
