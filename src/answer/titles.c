/* Titles and pages of passages, from the rows that they come from. */
#include "answer/sources.h"
#include "catalog/catalog.h"
#include "engine/engine.h"

enum { KEYS_MAX = 4 };

struct titles {
    struct passage *passages;
    size_t count, key_count;
    bool title, page;
    struct tn_arena *arena;
    const char *const *const *keys; /* of each passage */
};

/* A document's id back to its key: parts separated by ',', with '\' before a ','
 * or '\' of their own. NULL when it has another number of parts. */
static const char *const *split_key(const char *doc_id, size_t key_count, struct tn_arena *arena)
{
    const char **parts = TN_ARENA_ARRAY(arena, const char *, key_count);
    TN_AUTO_BUF part = {0};
    size_t count = 0;
    if (key_count == 1) {
        parts[0] = doc_id;
        return parts;
    }
    for (const char *at = doc_id;; at++) {
        if (*at == '\\' && at[1])
            tn_buf_putc(&part, *++at);
        else if (*at && *at != ',')
            tn_buf_putc(&part, *at);
        else {
            if (count == key_count)
                return NULL;
            parts[count++] = tn_arena_strndup(arena, part.data ? part.data : "", part.len);
            tn_buf_clear(&part);
            if (!*at)
                break;
        }
    }
    return count == key_count ? parts : NULL;
}

static bool has_column(const struct iceberg_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (tn_streq(schema->fields[i].name, name))
            return true;
    return false;
}

static bool same_key(const struct titles *titles, const char *const *key, const struct engine_cell *cells)
{
    for (size_t k = 0; k < titles->key_count; k++)
        if (cells[k].null || strlen(key[k]) != cells[k].text.length ||
            memcmp(key[k], cells[k].text.data, cells[k].text.length) != 0)
            return false;
    return true;
}

static enum tn_code take(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct titles *titles = context;
    const struct engine_cell *title = titles->title ? &cells[titles->key_count] : NULL;
    const struct engine_cell *page = titles->page ? &cells[titles->key_count + titles->title] : NULL;
    (void)err;
    for (size_t i = 0; i < titles->count; i++) {
        if (!titles->keys[i] || !same_key(titles, titles->keys[i], cells))
            continue;
        if (title && !title->null && title->text.length > 0)
            titles->passages[i].chunk.title =
                tn_arena_strndup(titles->arena, title->text.data, TN_MIN(title->text.length, (size_t)300));
        if (page && !page->null)
            titles->passages[i].chunk.page = page->integer;
    }
    return TN_OK;
}

static void put_key(const struct titles *titles, const struct iceberg_schema *schema, size_t passage,
                    struct tn_buf *sql)
{
    for (size_t k = 0; k < titles->key_count; k++) {
        tn_buf_puts(sql, k ? " AND " : "(");
        tn_buf_put_sql_name(sql, iceberg_schema_field(schema, schema->identifier_ids[k])->name);
        tn_buf_puts(sql, " = ");
        tn_buf_put_sql_string(sql, titles->keys[passage][k]);
    }
    tn_buf_putc(sql, ')');
}

/* One column: a list, which the engine looks up instead of comparing one by one. */
static bool put_keys(const struct titles *titles, const struct iceberg_schema *schema, struct tn_buf *sql)
{
    bool any = false;
    if (titles->key_count == 1) {
        tn_buf_put_sql_name(sql, iceberg_schema_field(schema, schema->identifier_ids[0])->name);
        tn_buf_puts(sql, " IN (");
    }
    for (size_t i = 0; i < titles->count; i++) {
        if (!titles->keys[i])
            continue;
        tn_buf_puts(sql, !any ? "" : titles->key_count == 1 ? ", " : " OR ");
        if (titles->key_count == 1)
            tn_buf_put_sql_string(sql, titles->keys[i][0]);
        else
            put_key(titles, schema, i, sql);
        any = true;
    }
    tn_buf_puts(sql, titles->key_count == 1 ? ")" : "");
    return any;
}

/* SELECT key..., title, page FROM dataset WHERE key is one of these. */
static bool put_select(const struct titles *titles, const struct iceberg_schema *schema, const char *definition,
                       struct tn_buf *sql)
{
    tn_buf_puts(sql, "SELECT ");
    for (size_t k = 0; k < titles->key_count; k++) {
        tn_buf_puts(sql, k ? ", CAST(" : "CAST(");
        tn_buf_put_sql_name(sql, iceberg_schema_field(schema, schema->identifier_ids[k])->name);
        tn_buf_puts(sql, " AS VARCHAR)");
    }
    tn_buf_puts(sql, titles->title ? ", CAST(title AS VARCHAR)" : "");
    tn_buf_puts(sql, titles->page ? ", TRY_CAST(page AS BIGINT)" : "");
    tn_buf_printf(sql, " FROM (%s) WHERE ", definition);
    return put_keys(titles, schema, sql);
}

static enum tn_code fill(struct lake *lake, const char *dataset, int64_t snapshot_id, struct titles *titles,
                         struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct engine_relation relation = {0};
    TN_AUTO_BUF sql = {0};
    TN_TRY(catalog_load(lake->catalog, dataset, &metadata, err));
    const struct iceberg_schema *schema = metadata->schema;
    titles->title = has_column(schema, "title");
    titles->page = has_column(schema, "page");
    titles->key_count = schema->identifier_count;
    if ((!titles->title && !titles->page) || titles->key_count == 0 || titles->key_count > KEYS_MAX)
        return TN_OK;
    const char *const **keys = TN_ARENA_ARRAY(titles->arena, const char *const *, titles->count + 1);
    for (size_t i = 0; i < titles->count; i++)
        if (titles->passages[i].chunk.source > 0) /* the others are shown to nobody */
            keys[i] = split_key(titles->passages[i].chunk.doc_id, titles->key_count, titles->arena);
    titles->keys = keys;
    const struct engine_resolver resolver = dataset_resolver(lake);
    const struct engine_table_ref ref = {
        .name = dataset, .at = snapshot_id ? ENGINE_AT_VERSION : ENGINE_AT_NOW, .at_version = snapshot_id};
    TN_TRY(resolver.resolve(resolver.context, &ref, titles->arena, &relation, err));
    enum tn_code code = TN_OK;
    if (put_select(titles, schema, relation.definition, &sql)) {
        const struct engine_select select = {.sql = sql.data};
        code = engine_select(lake->engine, &select, NULL, NULL, NULL, take, titles, err);
    }
    engine_hold_unref(relation.hold);
    return code;
}

void titles_fill(struct lake *lake, const char *dataset, int64_t snapshot_id, struct passage *passages, size_t count,
                 struct tn_arena *arena)
{
    struct titles titles = {.passages = passages, .count = count, .arena = arena};
    struct tn_error err = {0};
    if (count > 0 && fill(lake, dataset, snapshot_id, &titles, &err) != TN_OK)
        TN_LOG(TN_LOG_WARN, "answer.no_titles", TN_FS("dataset", dataset), TN_FS("problem", err.detail));
}
