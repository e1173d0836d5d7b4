/* Names of datasets: one spelling for SQL, folders and URLs. */
#include "catalog/catalog.h"

#include <string.h>

/* Words that a query could not use as a bare table name, and names that Tarn
 * keeps for its own tables. */
static const char *const reserved[] = {
    "all",         "analyse",      "analyze",     "and",
    "any",         "array",        "as",          "asc",
    "asymmetric",  "both",         "case",        "cast",
    "check",       "collate",      "column",      "constraint",
    "create",      "default",      "deferrable",  "desc",
    "describe",    "distinct",     "do",          "else",
    "end",         "except",       "false",       "fetch",
    "for",         "foreign",      "from",        "group",
    "having",      "history",      "in",          "initially",
    "intersect",   "into",         "journal",     "lambda",
    "lateral",     "leading",      "limit",       "model_outcomes",
    "model_stats", "not",          "null",        "offset",
    "on",          "only",         "or",          "order",
    "pivot",       "pivot_longer", "pivot_wider", "placing",
    "primary",     "qualify",      "references",  "returning",
    "select",      "show",         "some",        "summarize",
    "symmetric",   "table",        "then",        "to",
    "trailing",    "trials",       "true",        "union",
    "unique",      "unpivot",      "using",       "variadic",
    "when",        "where",        "window",      "with",
};

static bool name_is_reserved(const char *name)
{
    for (size_t i = 0; i < TN_COUNT(reserved); i++)
        if (tn_streq(name, reserved[i]))
            return true;
    return false;
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

enum tn_code catalog_check_name(const char *name, struct tn_error *err)
{
    size_t length = strlen(name);
    enum tn_code code = TN_OK;
    if (length == 0)
        code = tn_fail(err, TN_EREQUEST, "the dataset's name is empty");
    else if (length > CATALOG_NAME_MAX)
        code = tn_fail(err, TN_EREQUEST, "the dataset's name has %zu bytes, more than %d", length, CATALOG_NAME_MAX);
    else if (name[0] >= '0' && name[0] <= '9')
        code = tn_fail(err, TN_EREQUEST, "the dataset's name \"%s\" begins with a digit", name);
    else if (name_is_reserved(name))
        code = tn_fail(err, TN_EREQUEST, "\"%s\" is a word of SQL or of Tarn and cannot name a dataset", name);
    for (size_t i = 0; code == TN_OK && i < length; i++)
        if (!name_char(name[i]))
            code =
                tn_fail(err, TN_EREQUEST,
                        "the dataset's name \"%.140s\" has a character that is not allowed (byte %zu)", name, i + 1);
    if (code != TN_OK) {
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        tn_error_hint(err, "use lower-case letters, digits and underscores, for example \"%s\"",
                      catalog_name_from(arena, name));
    }
    return code;
}

/* Without folders and without the endings that say how the file is packed. */
static size_t name_strip_endings(const char *text, size_t length)
{
    static const char *const endings[] = {".gz",  ".zst",  ".csv",    ".tsv",   ".txt",    ".psv",
                                          ".tab", ".json", ".ndjson", ".jsonl", ".parquet"};
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < TN_COUNT(endings); i++) {
            size_t n = strlen(endings[i]);
            if (length > n && strncasecmp(text + length - n, endings[i], n) == 0) {
                length -= n;
                again = true;
            }
        }
    }
    return length;
}

char *catalog_name_from(struct tn_arena *arena, const char *text)
{
    const char *slash = strrchr(text, '/');
    if (slash && slash[1])
        text = slash + 1;
    size_t length = name_strip_endings(text, strlen(text));
    TN_AUTO_BUF out = {0};
    bool gap = false;
    for (size_t i = 0; i < length && out.len < CATALOG_NAME_MAX - 1; i++) {
        char c = tn_ascii_lower(text[i]);
        if (name_char(c) && c != '_') {
            if (gap && out.len > 0)
                tn_buf_putc(&out, '_');
            if (out.len == 0 && c >= '0' && c <= '9')
                tn_buf_putc(&out, '_');
            tn_buf_putc(&out, c);
            gap = false;
        } else {
            gap = true;
        }
    }
    if (out.len == 0)
        tn_buf_puts(&out, "dataset");
    if (name_is_reserved(out.data))
        tn_buf_puts(&out, "_data");
    return tn_arena_strndup(arena, out.data, out.len);
}
