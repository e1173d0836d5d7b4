/* Queries for a comparison: of a file, of the record of answers, or made. */
#include "cli/reembed_queries.h"

#include "index/index.h"

#include <stdio.h>

enum { QUERIES_MOST = 10000, QUERIES_RECORDED = 200, ANSWERS_LOOKED_AT = 5000, PAGE = 500, QUERIES_MADE = 20 };
enum { WORDS_MADE = 8 };
#define FILE_MAX ((size_t)16 << 20)

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* ---- of a file -------------------------------------------------------------------------- */

static enum tn_code take_line(json_t *queries, const char *line, size_t length, struct tn_error *err)
{
    TN_AUTO_JSON *object = NULL;
    if (length == 0)
        return TN_OK;
    if (line[0] != '{') {
        (void)json_array_append_new(queries, json_pack("{s:s%}", "query", line, length));
        return TN_OK;
    }
    TN_TRY(tn_json_parse(line, length, FILE_MAX, "a line of the queries", &object, err));
    if (!json_is_string(json_object_get(object, "query")))
        return tn_fail(err, TN_EUSAGE, "a line of the queries has no \"query\"");
    (void)json_array_append(queries, object);
    return TN_OK;
}

static enum tn_code read_file(const char *path, json_t *queries, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    TN_TRY(tn_file_read(path, FILE_MAX, &text, err));
    for (size_t at = 0; at < text.len && json_array_size(queries) < QUERIES_MOST;) {
        size_t length = strcspn(text.data + at, "\n");
        TN_TRY(take_line(queries, text.data + at, length, err));
        at += length + 1;
    }
    return TN_OK;
}

/* ---- of the record of answers ------------------------------------------------------------- */

static bool is_of(const struct reembed_queries *from, const json_t *answer)
{
    const char *index = text_of(answer, "index");
    size_t length = strlen(from->index);
    return tn_streq(text_of(answer, "kind"), "rag") && strncmp(index, from->index, length) == 0 &&
           (index[length] == '\0' || strncmp(index + length, "__v", 3) == 0);
}

static bool is_among(const json_t *list, const json_t *text)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_equal(json_array_get(list, i), text))
            return true;
    return false;
}

/* What somebody called good: the documents that it cites. */
static enum tn_code take_judgement(struct client *client, const char *id, json_t *query, struct tn_error *err)
{
    TN_AUTO_JSON *answer = NULL;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    json_t *relevant = json_array();
    TN_TRY(client_json(client, "GET", client_path(arena, "/answers/", id, NULL), NULL, &answer, err));
    const json_t *citations = json_object_get(answer, "citations");
    for (size_t i = 0; i < json_array_size(citations); i++) {
        json_t *document = json_object_get(json_array_get(citations, i), "doc_id");
        if (json_is_string(document) && !is_among(relevant, document))
            (void)json_array_append(relevant, document);
    }
    (void)json_object_set_new(query, "relevant", relevant);
    return TN_OK;
}

/* `known` has each question once; an older answer to it may be the judged one. */
static enum tn_code take_answer(struct client *client, const json_t *answer, json_t *known, json_t *queries,
                                struct tn_error *err)
{
    const char *question = text_of(answer, "question");
    json_t *query = json_object_get(known, question);
    if (!*question || (!query && json_array_size(queries) >= QUERIES_RECORDED))
        return TN_OK;
    if (!query) {
        query = json_pack("{s:s}", "query", question);
        (void)json_array_append_new(queries, query);
        (void)json_object_set(known, question, query);
    }
    if (!tn_streq(text_of(answer, "feedback"), "good") || json_object_get(query, "relevant"))
        return TN_OK;
    return take_judgement(client, text_of(answer, "answer_id"), query, err);
}

static enum tn_code read_recorded(const struct reembed_queries *from, json_t *queries, struct tn_error *err)
{
    TN_AUTO_JSON *known = json_object();
    char cursor[TN_UUID_TEXT] = "", path[64 + TN_UUID_TEXT];
    for (int looked = 0; looked < ANSWERS_LOOKED_AT; looked += PAGE) {
        TN_AUTO_JSON *page = NULL;
        (void)snprintf(path, sizeof path, "/answers?limit=%d%s%s", PAGE, cursor[0] ? "&cursor=" : "", cursor);
        TN_TRY(client_json(from->client, "GET", path, NULL, &page, err));
        const json_t *items = json_object_get(page, "items");
        for (size_t i = 0; i < json_array_size(items); i++)
            if (is_of(from, json_array_get(items, i)))
                TN_TRY(take_answer(from->client, json_array_get(items, i), known, queries, err));
        const char *next = text_of(page, "next_cursor");
        if (!*next || strlen(next) >= sizeof cursor)
            break;
        (void)snprintf(cursor, sizeof cursor, "%s", next);
    }
    return TN_OK;
}

/* ---- made ---------------------------------------------------------------------------------- */

/* The first words of some chunks: better than nothing, and said to be so. */
static enum tn_code make(const struct reembed_queries *from, json_t *queries, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    TN_AUTO_JSON *body = NULL, *answer = NULL;
    TN_AUTO_FREE char *table = tn_asprintf("%s" INDEX_VECTORS_SUFFIX, from->version);
    tn_buf_printf(&sql, "SELECT array_to_string(string_split(min_by(text, chunk_id), ' ')[1:%d], ' ') AS query FROM ",
                  WORDS_MADE);
    tn_buf_put_sql_name(&sql, table);
    tn_buf_printf(&sql, " GROUP BY doc_id ORDER BY hash(doc_id) LIMIT %d", QUERIES_MADE);
    body = json_pack("{s:s}", "sql", sql.data);
    TN_TRY(client_json(from->client, "POST", "/query/sql", body, &answer, err));
    const json_t *rows = json_object_get(answer, "rows");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        json_t *text = json_is_array(row) ? json_array_get(row, 0) : json_object_get(row, "query");
        if (json_is_string(text))
            (void)json_array_append_new(queries, json_pack("{s:O}", "query", text));
    }
    return TN_OK;
}

enum tn_code reembed_queries_find(const struct reembed_queries *from, json_t *ret, const char **ret_from,
                                  struct tn_error *err)
{
    *ret_from = "the file";
    if (from->file) {
        TN_TRY(read_file(from->file, ret, err));
    } else {
        *ret_from = "recorded questions";
        TN_TRY(read_recorded(from, ret, err));
        if (json_array_size(ret) == 0) {
            *ret_from = "first words of documents";
            TN_TRY(make(from, ret, err));
        }
    }
    return json_array_size(ret) > 0 ? TN_OK : tn_fail(err, TN_EUSAGE, "there are no queries to compare with");
}
