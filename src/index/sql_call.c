/* vector_search('index', 'text' [, k [, 'filter']]) and its kin in a query: the
 * hits stand in the text as rows of values. */
#include "index/index_internal.h"

#include <inttypes.h>

static const char *const names[] = {"hybrid_search", "vector_search", "keyword_search"};

static enum tn_code wrong(const struct engine_table_ref *ref, struct tn_error *err)
{
    tn_fail(err, TN_ESQL, "%s() wants an index and a text, and may have a number and a predicate", ref->name);
    tn_error_hint(err, "Write %s('index', 'text', 10, 'city = ''Chicago''').", ref->name);
    return TN_ESQL;
}

static enum tn_code read_call(const struct engine_table_ref *ref, struct index_query *ret, struct tn_error *err)
{
    const struct engine_value *arguments = ref->arguments;
    int64_t k = 10;
    if (ref->argument_count < 2 || ref->argument_count > 4 || arguments[0].kind != ENGINE_LITERAL_TEXT ||
        arguments[1].kind != ENGINE_LITERAL_TEXT)
        return wrong(ref, err);
    if (ref->argument_count > 2 && (!tn_parse_i64(arguments[2].text, &k) || k < 1 || k > INDEX_K_MAX))
        return tn_fail(err, TN_ESQL, "%s(): the number of hits is 1 to %d", ref->name, INDEX_K_MAX);
    if (ref->argument_count > 3 && arguments[3].kind != ENGINE_LITERAL_TEXT)
        return wrong(ref, err);
    *ret = (struct index_query){.index = arguments[0].text,
                                .text = arguments[1].text,
                                .k = (uint32_t)k,
                                .filter = ref->argument_count > 3 ? arguments[3].text : NULL,
                                .weight = -1};
    for (size_t i = 0; i < TN_COUNT(names); i++)
        if (tn_str_equal_nocase(ref->name, names[i]))
            ret->mode = (enum index_mode)i;
    return TN_OK;
}

/* The key as the dataset has it, so that hits join by USING. */
static void put_key(struct logical *logical, struct tn_arena *arena, struct tn_buf *sql)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    if (catalog_load(logical->service->lake->catalog, logical->definition.dataset, &metadata, NULL) != TN_OK ||
        metadata->schema->identifier_count != 1)
        return;
    const struct iceberg_field *field = iceberg_schema_field(metadata->schema, metadata->schema->identifier_ids[0]);
    static const char *const taken[] = {"doc_id", "chunk_no", "field", "score", "rank", "text"};
    for (size_t i = 0; i < TN_COUNT(taken); i++)
        if (tn_str_equal_nocase(field->name, taken[i]))
            return;
    tn_buf_printf(sql, ", CAST(doc_id AS %s) AS ", catalog_sql_type(arena, field->type));
    tn_buf_put_sql_name(sql, field->name);
}

static void put_hits(const struct index_answer *answer, struct tn_buf *sql)
{
    tn_buf_puts(sql, " FROM (VALUES ");
    for (size_t i = 0; i < answer->hit_count; i++) {
        const struct index_hit *hit = &answer->hits[i];
        tn_buf_puts(sql, i ? ", (" : "(");
        tn_buf_put_sql_string(sql, hit->doc_id);
        tn_buf_printf(sql, ", %u::INTEGER, ", hit->chunk_no);
        tn_buf_put_sql_string(sql, hit->column);
        tn_buf_puts(sql, ", ");
        tn_format_f64(sql, hit->score);
        tn_buf_printf(sql, "::DOUBLE, %zu::INTEGER, ", i + 1);
        tn_buf_put_sql_string(sql, hit->text);
        tn_buf_putc(sql, ')');
    }
    if (answer->hit_count == 0)
        tn_buf_puts(sql, "('', 0::INTEGER, '', 0::DOUBLE, 0::INTEGER, '')");
    tn_buf_puts(sql, ") t(doc_id, chunk_no, field, score, rank, text)");
    if (answer->hit_count == 0)
        tn_buf_puts(sql, " WHERE false");
}

static enum tn_code resolve(void *context, const struct engine_table_ref *ref, struct tn_arena *arena,
                            struct engine_relation *ret, struct tn_error *err)
{
    struct index_service *service = context;
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    TN_CLEANUP(index_answer_free_p) struct index_answer *answer = NULL;
    struct index_query query;
    TN_AUTO_BUF sql = {0};
    TN_TRY(read_call(ref, &query, err));
    TN_TRY(logical_find(service, query.index, &logical, err));
    TN_TRY(index_search(service, &query, &answer, err));
    tn_buf_puts(&sql, "SELECT doc_id, chunk_no, field, score, rank, text");
    put_key(logical, arena, &sql);
    put_hits(answer, &sql);
    *ret = (struct engine_relation){.version = tn_arena_printf(arena, "%" PRId64 "-%016" PRIx64, answer->snapshot_id,
                                                               tn_hash64(sql.data, sql.len, 0)),
                                    .definition = tn_arena_strndup(arena, sql.data, sql.len)};
    return TN_OK;
}

struct dataset_extra index_calls(struct index_service *service)
{
    return (struct dataset_extra){
        .names = names, .name_count = TN_COUNT(names), .context = service, .resolve = resolve};
}
