/* vector_search('index', 'text' [, k [, 'filter']]) and its kin in a query, with
 * k, filter, weight, recall, fusion, per_doc and vector by name too (k := 10): the
 * hits stand in the text as rows of values. A list of numbers may stand for the
 * text of vector_search, and beside that of hybrid_search as vector := [...]. */
#include "index/index_internal.h"

#include <inttypes.h>
#include <math.h>

static const char *const names[] = {"hybrid_search", "vector_search", "keyword_search"};

static enum tn_code wrong(const struct engine_table_ref *ref, struct tn_error *err)
{
    tn_fail(err, TN_ESQL, "%s() wants an index and a text, and may have a number and a predicate", ref->name);
    tn_error_hint(err,
                  "Write %s('index', 'text', k := 10, filter := 'city = ''Chicago'''); there are also weight, "
                  "recall, fusion, per_doc and vector := [0.1, ...].",
                  ref->name);
    return TN_ESQL;
}

/* Which parameter an argument is: by its name, or by its place. */
enum parameter { INDEX, TEXT, K, FILTER, WEIGHT, RECALL, FUSION, PER_DOC, VECTOR, PARAMETERS };
static const char *const parameters[PARAMETERS] = {"index",  "text",   "k",       "filter", "weight",
                                                   "recall", "fusion", "per_doc", "vector"};

static enum parameter parameter_of(const struct engine_value *argument, size_t place)
{
    if (!argument->name)
        return place <= FILTER ? (enum parameter)place : PARAMETERS;
    for (size_t i = 0; i < PARAMETERS; i++)
        if (tn_str_equal_nocase(argument->name, parameters[i]))
            return (enum parameter)i;
    return PARAMETERS;
}

static enum tn_code read_share(const struct engine_table_ref *ref, enum parameter parameter, const char *text,
                               double *ret, struct tn_error *err)
{
    double value;
    if (!tn_parse_double(text, &value) || value < 0 || value > 1)
        return tn_fail(err, TN_ESQL, "%s(): %s is a number from 0 to 1", ref->name, parameters[parameter]);
    *ret = value;
    return TN_OK;
}

static enum tn_code take_vector(const struct engine_table_ref *ref, const struct engine_value *argument,
                                enum parameter parameter, struct tn_arena *arena, struct index_query *ret,
                                struct tn_error *err)
{
    bool by_words = !tn_str_equal_nocase(ref->name, names[INDEX_VECTOR]);
    if ((parameter != TEXT && parameter != VECTOR) || tn_str_equal_nocase(ref->name, names[INDEX_KEYWORD]))
        return wrong(ref, err);
    if (parameter == TEXT && by_words) {
        tn_fail(err, TN_ESQL, "%s() looks for words too and needs a text", ref->name);
        tn_error_hint(err, "Write %s('index', 'text', vector := [0.1, ...]), or vector_search('index', [0.1, ...]).",
                      ref->name);
        return TN_ESQL;
    }
    if (ret->vector || argument->kind != ENGINE_LITERAL_NUMBERS)
        return tn_fail(err, TN_ESQL, "%s(): the vector is one list of numbers, [0.1, ...]", ref->name);
    float *vector = TN_ARENA_ARRAY(arena, float, argument->number_count + 1);
    for (size_t i = 0; i < argument->number_count; i++) {
        vector[i] = (float)argument->numbers[i];
        if (!isfinite(vector[i]))
            return tn_fail(err, TN_ESQL, "%s(): number %zu of the vector does not fit a FLOAT", ref->name, i + 1);
    }
    ret->vector = vector;
    ret->dimension = argument->number_count;
    return TN_OK;
}

static enum tn_code take_argument(const struct engine_table_ref *ref, const struct engine_value *argument,
                                  enum parameter parameter, struct index_query *ret, struct tn_error *err)
{
    bool is_text = argument->kind == ENGINE_LITERAL_TEXT;
    int64_t k = 0;
    switch (parameter) {
    case K:
        if (!tn_parse_i64(argument->text, &k) || k < 1 || k > INDEX_K_MAX)
            return tn_fail(err, TN_ESQL, "%s(): the number of hits is 1 to %d", ref->name, INDEX_K_MAX);
        ret->k = (uint32_t)k;
        return TN_OK;
    case WEIGHT:
        return read_share(ref, parameter, argument->text, &ret->weight, err);
    case RECALL:
        return read_share(ref, parameter, argument->text, &ret->recall, err);
    case FUSION:
        if (!is_text || !index_fusion_parse(argument->text, &ret->fusion))
            return tn_fail(err, TN_ESQL, "%s(): fusion is 'blend' or 'rrf'", ref->name);
        return TN_OK;
    case PER_DOC:
        if (!tn_parse_bool(argument->text, &ret->per_doc))
            return tn_fail(err, TN_ESQL, "%s(): per_doc is 1 (one hit of a document at most) or 0", ref->name);
        return TN_OK;
    default:
        if (!is_text || parameter == PARAMETERS)
            return wrong(ref, err);
        *(parameter == INDEX ? &ret->index : parameter == TEXT ? &ret->text : &ret->filter) = argument->text;
        return TN_OK;
    }
}

static enum tn_code read_call(const struct engine_table_ref *ref, struct tn_arena *arena, struct index_query *ret,
                              struct tn_error *err)
{
    struct index_query query = {.k = 10, .weight = -1};
    bool given[PARAMETERS + 1] = {false};
    for (size_t i = 0; i < ref->argument_count; i++) {
        enum parameter parameter = parameter_of(&ref->arguments[i], i);
        if (given[parameter])
            return wrong(ref, err);
        given[parameter] = true;
        if (parameter == VECTOR || ref->arguments[i].kind == ENGINE_LITERAL_NUMBERS)
            TN_TRY(take_vector(ref, &ref->arguments[i], parameter, arena, &query, err));
        else
            TN_TRY(take_argument(ref, &ref->arguments[i], parameter, &query, err));
    }
    if (!query.index || (!query.text && !query.vector))
        return wrong(ref, err);
    if (given[RECALL] && !(query.recall > 0))
        return tn_fail(err, TN_ESQL, "%s(): recall lies between 0 and 1", ref->name);
    for (size_t i = 0; i < TN_COUNT(names); i++)
        if (tn_str_equal_nocase(ref->name, names[i]))
            query.mode = (enum index_mode)i;
    if (given[WEIGHT] && (query.mode != INDEX_HYBRID || query.fusion != INDEX_BLEND)) {
        tn_fail(err, TN_ESQL, "%s(): weight has no meaning here", ref->name);
        tn_error_hint(err, "It shares out hybrid_search between words and vectors, fused by 'blend'.");
        return TN_ESQL;
    }
    *ret = query;
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

/* A place counted in the filter is none in the statement: it becomes words, and
 * the statement's is that of the call. */
static void place_in_filter(const struct index_query *query, struct tn_error *err)
{
    if (!err || err->line <= 0)
        return;
    if (query->filter && strchr(query->filter, '\n'))
        tn_error_context(err, "in the filter, line %d, column %d", err->line, err->column);
    else
        tn_error_context(err, "in the filter, column %d", err->column);
    err->line = err->column = 0;
}

static enum tn_code resolve(void *context, const struct engine_table_ref *ref, struct tn_arena *arena,
                            struct engine_relation *ret, struct tn_error *err)
{
    struct index_service *service = context;
    TN_CLEANUP(logical_unref_p) struct logical *logical = NULL;
    TN_CLEANUP(index_answer_free_p) struct index_answer *answer = NULL;
    struct index_query query;
    TN_AUTO_BUF sql = {0};
    if (ref->at != ENGINE_AT_NOW) {
        tn_fail(err, TN_ESQLREFUSED, "%s() finds what is there now, and the request asks as of another moment",
                ref->name);
        tn_error_hint(err, "Leave as_of out, and give the tables beside it a moment of their own: people AT "
                           "(TIMESTAMP => '2026-01-31 12:00').");
        return TN_ESQLREFUSED;
    }
    TN_TRY(read_call(ref, arena, &query, err));
    TN_TRY(logical_serving(service, query.index, &logical, err));
    enum tn_code code = index_search(service, &query, &answer, err);
    if (code != TN_OK) {
        place_in_filter(&query, err);
        return code;
    }
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
