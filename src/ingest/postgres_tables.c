/* Which tables are meant, and what the server's catalog says of them. */
#include "ingest/postgres_load.h"

#include <strings.h>

#define SUGGEST_MOST 2000
#define TABLES_MOST  10000

/* Views and foreign tables can be named; a whole schema is its tables. */
#define READABLE "c.relkind IN ('r','p','v','m','f')"
#define OWN      "c.relkind IN ('r','p','m') AND NOT c.relispartition"

static enum tn_code fail_missing(struct pg_load *load, const char *name, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *all = NULL;
    struct tn_error ignored = {0};
    const char *const *like = NULL;
    const char *nearest = NULL;
    const char *sql =
        tn_arena_printf(load->arena,
                        "SELECT CASE WHEN pg_catalog.pg_table_is_visible(c.oid) THEN c.relname::text ELSE n.nspname "
                        "|| '.' || c.relname END "
                        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                        "WHERE " READABLE
                        " AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1 LIMIT %d",
                        SUGGEST_MOST);
    tn_fail(err, TN_ENOTFOUND, "%s: there is no table \"%s\"%s%s%s that this user could see",
            postgres_label(load->pg), name, load->options->schema ? " in the schema \"" : "",
            load->options->schema ? load->options->schema : "", load->options->schema ? "\"" : "");
    if (postgres_query(load->pg, sql, NULL, 0, POSTGRES_TEXT, &all, &ignored) != TN_OK)
        return TN_ENOTFOUND;
    size_t count = postgres_rows(all);
    const char **names = TN_ARENA_ARRAY(load->arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++)
        names[i] = postgres_value(all, i, 0);
    like = names;
    nearest = tn_suggest(name, like, count);
    if (nearest)
        tn_error_hint(err, "did you mean \"%s\"?", nearest);
    else if (count > 0)
        tn_error_hint(err, "there are: %s%s%s%s%s%s", names[0], count > 1 ? ", " : "", count > 1 ? names[1] : "",
                      count > 2 ? ", " : "", count > 2 ? names[2] : "", count > 3 ? ", ..." : "");
    else
        tn_error_hint(err, "the database holds no tables that this user could see");
    return TN_ENOTFOUND;
}

static void take_table(struct pg_load *load, const struct postgres_result *found, size_t row, struct pg_table *table)
{
    struct tn_arena *arena = load->arena;
    table->schema = tn_arena_strdup(arena, postgres_value(found, row, 0));
    table->table = tn_arena_strdup(arena, postgres_value(found, row, 1));
    int64_t estimate = postgres_value_i64(found, row, 2);
    table->estimate = estimate > 0 ? (uint64_t)estimate : 0;
    table->shown = tn_arena_printf(arena, "%s.%s", table->schema, table->table);
    table->from = postgres_quote_table(arena, table->schema, table->table);
}

#define COLUMNS                                                                                                      \
    "SELECT n.nspname, c.relname, c.reltuples::int8 FROM pg_catalog.pg_class c "                                     \
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE "

static enum tn_code find_one(struct pg_load *load, const char *name, struct pg_table *table, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    const struct postgres_param params[] = {postgres_text(name), postgres_text(load->options->schema)};
    /* A name with dots may be a name with dots: the table of the search path goes first. */
    TN_TRY(postgres_query(load->pg,
                          COLUMNS READABLE
                          " AND CASE WHEN $2::text IS NOT NULL THEN n.nspname = $2 AND c.relname = $1::text "
                          "ELSE (c.relname = $1 AND pg_catalog.pg_table_is_visible(c.oid)) "
                          "OR n.nspname || '.' || c.relname = $1 END "
                          "ORDER BY c.relname = $1 DESC LIMIT 1",
                          params, 2, POSTGRES_TEXT, &found, err));
    if (postgres_rows(found) == 0)
        return fail_missing(load, name, err);
    take_table(load, found, 0, table);
    return TN_OK;
}

static enum tn_code find_schema(struct pg_load *load, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    const struct postgres_param param = postgres_text(load->options->schema);
    TN_TRY(postgres_query(load->pg, COLUMNS OWN " AND n.nspname = $1::text ORDER BY c.relname", &param, 1,
                          POSTGRES_TEXT, &found, err));
    size_t count = postgres_rows(found);
    if (count == 0) {
        tn_fail(err, TN_ENOTFOUND, "%s: the schema \"%s\" is not there or holds no tables", postgres_label(load->pg),
                load->options->schema);
        tn_error_hint(err, "tables without a schema of their own are in \"public\"");
        return TN_ENOTFOUND;
    }
    if (count > TABLES_MOST)
        return tn_fail(err, TN_ETOOLARGE, "the schema has %zu tables: name them", count);
    load->tables = TN_ARENA_ARRAY(load->arena, struct pg_table, count);
    load->table_count = count;
    for (size_t i = 0; i < count; i++)
        take_table(load, found, i, &load->tables[i]);
    return TN_OK;
}

/* What is behind the last word of the query would end our own statement early. */
static const char *trim_query(struct tn_arena *arena, const char *query)
{
    size_t length = strlen(query);
    while (length && strchr("; \t\r\n", query[length - 1]))
        length--;
    return tn_arena_strndup(arena, query, length);
}

/* Behind spaces, comments and brackets: what kind of statement it is. */
static const char *first_word(const char *query)
{
    for (;;) {
        if (strncmp(query, "--", 2) == 0) {
            query += strcspn(query, "\n");
        } else if (strncmp(query, "/*", 2) == 0) {
            const char *end = strstr(query + 2, "*/");
            query = end ? end + 2 : query + strlen(query);
        } else if (*query && strchr(" \t\r\n(", *query)) {
            query++;
        } else {
            return query;
        }
    }
}

/* The server judges it anyway, in a read-only transaction; this says it better. */
static enum tn_code check_query(const char *query, struct tn_error *err)
{
    static const char *const words[] = {"select", "with", "values", "table"};
    const char *word = first_word(query);
    for (size_t i = 0; i < TN_COUNT(words); i++)
        if (strncasecmp(word, words[i], strlen(words[i])) == 0)
            return TN_OK;
    tn_fail(err, TN_EREQUEST, "the query is not a SELECT");
    tn_error_hint(err, "only rows that are read can come in: SELECT ... or WITH ... SELECT ...");
    return TN_EREQUEST;
}

enum tn_code pg_find_tables(struct pg_load *load, struct tn_error *err)
{
    const struct ingest_postgres_options *options = load->options;
    if (options->query) {
        TN_TRY(check_query(options->query, err));
        load->tables = TN_ARENA_ARRAY(load->arena, struct pg_table, 1);
        load->table_count = 1;
        load->tables[0].shown = "query";
        /* The line's end closes a comment behind it. */
        load->tables[0].from = tn_arena_printf(load->arena, "(%s\n)", trim_query(load->arena, options->query));
        return TN_OK;
    }
    if (options->table_count == 0)
        return find_schema(load, err);
    load->tables = TN_ARENA_ARRAY(load->arena, struct pg_table, options->table_count);
    load->table_count = options->table_count;
    for (size_t i = 0; i < options->table_count; i++)
        TN_TRY(find_one(load, options->tables[i], &load->tables[i], err));
    return TN_OK;
}

enum tn_code pg_primary_key(struct pg_load *load, const struct pg_table *table, const char *const **ret,
                            size_t *ret_count, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    const struct postgres_param params[] = {postgres_text(table->schema), postgres_text(table->table)};
    TN_TRY(postgres_query(load->pg,
                          "SELECT a.attname FROM pg_catalog.pg_index i "
                          "JOIN pg_catalog.pg_class c ON c.oid = i.indrelid "
                          "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                          "CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, place) "
                          "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum "
                          "WHERE i.indisprimary AND n.nspname = $1::text AND c.relname = $2::text ORDER BY k.place",
                          params, 2, POSTGRES_TEXT, &found, err));
    *ret_count = postgres_rows(found);
    const char **names = TN_ARENA_ARRAY(load->arena, const char *, *ret_count + 1);
    for (size_t i = 0; i < *ret_count; i++)
        names[i] = tn_arena_strdup(load->arena, postgres_value(found, i, 0));
    *ret = names;
    return TN_OK;
}
