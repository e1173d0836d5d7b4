/* What Tab offers in the SQL shell. */
#include "cli/shell.h"

#include <string.h>

struct words {
    struct tn_arena *arena;
    const char **items;
    size_t count, capacity;
    bool sorted;
};

static const char *const keywords[] = {
    "all",
    "and",
    "any",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "cast",
    "coalesce",
    "count",
    "cross",
    "current_date",
    "date_trunc",
    "desc",
    "distinct",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "filter",
    "first",
    "following",
    "from",
    "full",
    "group",
    "having",
    "ilike",
    "in",
    "inner",
    "intersect",
    "interval",
    "is",
    "join",
    "last",
    "lateral",
    "left",
    "like",
    "limit",
    "lower",
    "max",
    "median",
    "min",
    "not",
    "null",
    "nulls",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "pivot",
    "preceding",
    "qualify",
    "quantile_cont",
    "range",
    "recursive",
    "regexp_matches",
    "replace",
    "right",
    "round",
    "row_number",
    "rows",
    "sample",
    "select",
    "semi",
    "string_agg",
    "substr",
    "sum",
    "then",
    "true",
    "unbounded",
    "union",
    "unnest",
    "upper",
    "using",
    "values",
    "when",
    "where",
    "window",
    "with",
};

struct words *words_new(void)
{
    struct words *words = tn_calloc(1, sizeof *words);
    words->arena = tn_arena_new();
    return words;
}

void words_free(struct words *words)
{
    if (!words)
        return;
    tn_arena_free(words->arena);
    free(words->items);
    free(words);
}

void words_add(struct words *words, const char *word)
{
    TN_GROW(words->items, words->count, words->capacity);
    words->items[words->count++] = tn_arena_strdup(words->arena, word);
    words->sorted = false;
}

static void add_columns(struct words *words, struct client *client, const char *dataset)
{
    TN_AUTO_JSON *about = NULL;
    const char *path = client_path(words->arena, "/catalog/datasets/", dataset, NULL);
    if (client_json(client, "GET", path, NULL, &about, NULL) != TN_OK)
        return;
    const json_t *schema = json_object_get(about, "schema");
    for (size_t i = 0; i < json_array_size(schema); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(schema, i), "name"));
        if (name)
            words_add(words, name);
    }
}

void words_load(struct words *words, struct client *client)
{
    enum { MOST_DATASETS = 200 }; /* a keystroke must not read thousands of schemas */
    for (size_t i = 0; i < TN_COUNT(keywords); i++)
        words_add(words, keywords[i]);
    for (const char *const *dot = shell_dot_names(); *dot; dot++)
        words_add(words, *dot);
    TN_AUTO_JSON *items = NULL;
    if (cli_fetch_items(client, words->arena, "/catalog/datasets", &items, NULL) != TN_OK)
        return;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(items, i), "name"));
        if (!name)
            continue;
        words_add(words, name);
        if (i < MOST_DATASETS)
            add_columns(words, client, name);
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool starts_with_nocase(const char *word, const char *prefix)
{
    for (; *prefix; word++, prefix++)
        if (tn_ascii_lower(*word) != tn_ascii_lower(*prefix))
            return false;
    return true;
}

const char *const *words_match(struct words *words, struct tn_arena *arena, const char *prefix, size_t *ret_count)
{
    if (!words->sorted && words->count > 0)
        qsort(words->items, words->count, sizeof *words->items, by_text);
    words->sorted = true;
    const char **found = TN_ARENA_ARRAY(arena, const char *, words->count + 1);
    size_t count = 0;
    for (size_t i = 0; i < words->count; i++)
        if (starts_with_nocase(words->items[i], prefix) &&
            (count == 0 || !tn_streq(found[count - 1], words->items[i])))
            found[count++] = words->items[i];
    *ret_count = count;
    return found;
}

size_t words_common(const char *const *candidates, size_t count)
{
    if (count == 0)
        return 0;
    size_t common = strlen(candidates[0]);
    for (size_t i = 1; i < count; i++) {
        size_t same = 0;
        while (same < common && tn_ascii_lower(candidates[i][same]) == tn_ascii_lower(candidates[0][same]))
            same++;
        common = same;
    }
    return tn_utf8_floor(candidates[0], strlen(candidates[0]), common);
}

size_t words_start(const char *text, size_t length)
{
    size_t start = length;
    while (start > 0) {
        unsigned char c = (unsigned char)text[start - 1];
        bool word =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80;
        if (!word)
            break;
        start--;
    }
    if (start == 1 && text[0] == '.') /* a dot command */
        start = 0;
    return start;
}
