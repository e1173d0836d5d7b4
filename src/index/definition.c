/* What an index is: made from a wish, written as index.json, read again. */
#include "index/index_internal.h"

#include <inttypes.h>

#define CHUNK_SIZE_USUAL 256
#define CHUNK_SIZE_MAX   8192
#define PROSE_LENGTH     40 /* characters on average that make a column one to search */
#define SAMPLE_ROWS      1000

static const struct dataset_column *column_named(const struct dataset_column *columns, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (tn_str_equal_nocase(columns[i].name, name))
            return &columns[i];
    return NULL;
}

static bool is_text(const struct dataset_column *column)
{
    return tn_streq(column->sql_type, "VARCHAR");
}

static enum tn_code no_column(const struct definition *definition, const struct dataset_column *columns, size_t count,
                              const char *name, struct tn_error *err)
{
    const char **names = tn_calloc(count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = columns[i].name;
    const char *near = tn_suggest(name, names, count);
    tn_fail(err, TN_EREQUEST, "dataset \"%s\" has no column \"%.100s\"", definition->dataset, name);
    if (near)
        tn_error_hint(err, "did you mean \"%s\"?", near);
    free(names);
    return TN_EREQUEST;
}

/* ---- columns chosen by what stands in them ------------------------------------- */

struct lengths {
    double *average;
};

static bool take_lengths(void *context, size_t count, const char *const *values)
{
    struct lengths *lengths = context;
    for (size_t i = 0; i < count; i++)
        if (values[i])
            (void)tn_parse_double(values[i], &lengths->average[i]);
    return false;
}

static enum tn_code measure(struct index_service *service, const char *dataset, const struct dataset_column *columns,
                            size_t count, struct tn_arena *arena, double *average, struct tn_error *err)
{
    const struct engine_resolver resolver = dataset_resolver(service->lake);
    const struct engine_table_ref ref = {.name = dataset, .at = ENGINE_AT_NOW};
    struct engine_relation relation;
    TN_AUTO_BUF sql = {0};
    TN_TRY(resolver.resolve(resolver.context, &ref, arena, &relation, err));
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *hold = relation.hold;
    tn_buf_puts(&sql, "SELECT ");
    for (size_t i = 0; i < count; i++) {
        tn_buf_puts(&sql, i ? ", " : "");
        if (is_text(&columns[i])) {
            tn_buf_puts(&sql, "avg(length(");
            tn_buf_put_sql_name(&sql, columns[i].name);
            tn_buf_puts(&sql, "))");
        } else {
            tn_buf_puts(&sql, "0");
        }
    }
    tn_buf_printf(&sql, " FROM (SELECT * FROM (%s) LIMIT %d)", relation.definition, SAMPLE_ROWS);
    struct lengths lengths = {.average = average};
    return engine_run(service->lake->engine, sql.data, take_lengths, &lengths, err);
}

/* Prose if there is any, else the longest text. */
static enum tn_code choose_columns(struct index_service *service, const struct dataset_column *columns, size_t count,
                                   bool only_prose, struct tn_arena *arena, struct definition *ret,
                                   struct tn_error *err)
{
    double *average = TN_ARENA_ARRAY(arena, double, count + 1);
    const char **chosen = TN_ARENA_ARRAY(arena, const char *, INDEX_COLUMNS_MAX);
    const struct dataset_column *longest = NULL;
    double most = 0;
    TN_TRY(measure(service, ret->dataset, columns, count, arena, average, err));
    for (size_t i = 0; i < count; i++) {
        if (average[i] > most) {
            most = average[i];
            longest = &columns[i];
        }
        if (average[i] >= PROSE_LENGTH && ret->column_count < INDEX_COLUMNS_MAX)
            chosen[ret->column_count++] = tn_arena_strdup(arena, columns[i].name);
    }
    if (ret->column_count == 0 && longest && !only_prose)
        chosen[ret->column_count++] = tn_arena_strdup(arena, longest->name);
    ret->columns = chosen;
    if (ret->column_count > 0)
        return TN_OK;
    tn_fail(err, TN_EREQUEST, "dataset \"%s\" has no column with text", ret->dataset);
    tn_error_hint(err, "name the columns by text_columns, or one of vectors by vector_column");
    return TN_EREQUEST;
}

static enum tn_code take_columns(const struct index_definition *wanted, const struct dataset_column *columns,
                                 size_t count, struct tn_arena *arena, struct definition *ret, struct tn_error *err)
{
    if (wanted->text_column_count > INDEX_COLUMNS_MAX)
        return tn_fail(err, TN_EREQUEST, "an index has at most %d text columns", INDEX_COLUMNS_MAX);
    const char **chosen = TN_ARENA_ARRAY(arena, const char *, wanted->text_column_count + 1);
    for (size_t i = 0; i < wanted->text_column_count; i++) {
        const struct dataset_column *column = column_named(columns, count, wanted->text_columns[i]);
        if (!column)
            return no_column(ret, columns, count, wanted->text_columns[i], err);
        if (!is_text(column))
            return tn_fail(err, TN_EREQUEST, "column \"%s\" holds %s, not text", column->name, column->sql_type);
        chosen[i] = tn_arena_strdup(arena, column->name);
    }
    ret->columns = chosen;
    ret->column_count = wanted->text_column_count;
    return TN_OK;
}

/* "FLOAT[]", "BIGINT[384]", "DECIMAL(9,2)[]": a list or an array of numbers; not one of lists. */
static bool is_vector(const char *type)
{
    static const char *const numbers[] = {"FLOAT",   "DOUBLE",   "TINYINT",   "SMALLINT", "INTEGER", "BIGINT",
                                          "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"};
    size_t length = strcspn(type, "[");
    if (type[length] != '[' || type[length + strcspn(type + length, "]") + 1] != '\0')
        return false;
    for (size_t i = 0; i < TN_COUNT(numbers); i++)
        if (strlen(numbers[i]) == length && memcmp(numbers[i], type, length) == 0)
            return true;
    return strncmp(type, "DECIMAL(", 8) == 0;
}

static enum tn_code no_vector(const struct dataset_column *column, struct tn_error *err)
{
    tn_fail(err, TN_EREQUEST, "column \"%s\" holds %s, and vectors are lists of numbers", column->name,
            column->sql_type);
    if (is_text(column))
        tn_error_hint(err,
                      "to search by what it says, name it in text_columns; vectors that stand in a text are loaded "
                      "as lists first: SELECT CAST(... AS FLOAT[])");
    else
        tn_error_hint(err, "name a column of FLOAT[], DOUBLE[], BIGINT[] or another list of numbers");
    return TN_EREQUEST;
}

/* The dimension of given vectors is that of the first row. */
static enum tn_code take_vector_column(struct index_service *service, const struct index_definition *wanted,
                                       const struct dataset_column *columns, size_t count, struct tn_arena *arena,
                                       struct definition *ret, struct tn_error *err)
{
    const struct dataset_column *column = column_named(columns, count, wanted->vector_column);
    if (!column)
        return no_column(ret, columns, count, wanted->vector_column, err);
    if (!is_vector(column->sql_type))
        return no_vector(column, err);
    const struct engine_resolver resolver = dataset_resolver(service->lake);
    const struct engine_table_ref ref = {.name = ret->dataset, .at = ENGINE_AT_NOW};
    struct engine_relation relation;
    TN_AUTO_BUF sql = {0};
    double dimension = 0;
    struct lengths lengths = {.average = &dimension};
    TN_TRY(resolver.resolve(resolver.context, &ref, arena, &relation, err));
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *hold = relation.hold;
    tn_buf_puts(&sql, "SELECT len(");
    tn_buf_put_sql_name(&sql, column->name);
    tn_buf_printf(&sql, ") FROM (%s) WHERE ", relation.definition);
    tn_buf_put_sql_name(&sql, column->name);
    tn_buf_puts(&sql, " IS NOT NULL LIMIT 1");
    TN_TRY(engine_run(service->lake->engine, sql.data, take_lengths, &lengths, err));
    if (dimension < VECTOR_DIMENSIONS_MIN || dimension > VECTOR_DIMENSIONS_MAX)
        return tn_fail(err, TN_EREQUEST, "the vectors of column \"%s\" have %.0f numbers; %d to %d can be indexed",
                       column->name, dimension, VECTOR_DIMENSIONS_MIN, VECTOR_DIMENSIONS_MAX);
    ret->vector_column = tn_arena_strdup(arena, column->name);
    ret->dimension = (uint32_t)dimension;
    ret->model = ret->version = ret->document_prefix = "";
    return TN_OK;
}

static enum tn_code take_model(struct index_service *service, const struct index_definition *wanted,
                               struct tn_arena *arena, struct definition *ret, struct tn_error *err)
{
    struct model_info info = {0};
    TN_TRY(service->embedder.find(service->embedder.context, wanted->model, &info, err));
    if (info.dimension < VECTOR_DIMENSIONS_MIN || info.dimension > VECTOR_DIMENSIONS_MAX)
        return tn_fail(err, TN_EREQUEST, "model \"%s\" makes no vectors that can be indexed (%u numbers)", info.name,
                       info.dimension);
    uint32_t reads = info.max_tokens > 0 ? info.max_tokens : CHUNK_SIZE_USUAL;
    ret->model = tn_arena_strdup(arena, info.name);
    ret->version = tn_arena_strdup(arena, info.version);
    ret->document_prefix = tn_arena_strdup(arena, info.document_prefix ? info.document_prefix : "");
    ret->dimension = info.dimension;
    ret->chunk_size = wanted->chunk_size ? wanted->chunk_size : TN_MIN(reads, CHUNK_SIZE_USUAL);
    ret->chunk_overlap = wanted->chunk_overlap == UINT32_MAX ? ret->chunk_size / 8 : wanted->chunk_overlap;
    if (ret->chunk_size < 8 || ret->chunk_size > CHUNK_SIZE_MAX || ret->chunk_overlap > ret->chunk_size / 2)
        return tn_fail(err, TN_EREQUEST, "chunks have 8 to %d tokens, and at most half of them overlap",
                       CHUNK_SIZE_MAX);
    return TN_OK;
}

/* Nothing says how much memory indexes may take, so nothing to choose by: "auto" is the faster one. */
static enum tn_code take_backend(const struct index_definition *wanted, struct definition *ret, struct tn_error *err)
{
    const char *backend = wanted->backend ? wanted->backend : "auto";
    bool disk = tn_streq(backend, BACKEND_DISK);
    if (!disk && !tn_streq(backend, BACKEND_HNSW) && !tn_streq(backend, "auto")) {
        tn_fail(err, TN_EREQUEST, "backend \"%.40s\" is not known", backend);
        tn_error_hint(err, "there are \"hnsw\" (in memory), \"disk\" (read from its files: little memory) and "
                           "\"auto\", which is hnsw");
        return TN_EREQUEST;
    }
    ret->backend = disk ? BACKEND_DISK : BACKEND_HNSW;
    return TN_OK;
}

static enum tn_code take_name(const struct index_definition *wanted, struct tn_arena *arena, struct definition *ret,
                              struct tn_error *err)
{
    char exact[CATALOG_NAME_MAX + 1];
    TN_TRY(catalog_check_name(wanted->dataset, err));
    catalog_exact_name(wanted->dataset, exact);
    ret->dataset = tn_arena_strdup(arena, exact);
    if (tn_str_ends_with(exact, INDEX_VECTORS_SUFFIX)) {
        tn_fail(err, TN_EREQUEST, "\"%.100s\" holds the vectors of an index, and is searched through it", exact);
        tn_error_hint(err, "Name the dataset whose texts are to be found: \"%.*s\"?",
                      (int)(strlen(exact) - strlen(INDEX_VECTORS_SUFFIX)), exact);
        return TN_EREQUEST;
    }
    const char *name = wanted->name ? wanted->name : ret->dataset;
    TN_TRY(catalog_check_name(name, err));
    catalog_exact_name(name, exact);
    if (strlen(exact) > INDEX_NAME_MAX)
        return tn_fail(err, TN_EREQUEST, "the name of an index has at most %d characters", INDEX_NAME_MAX);
    ret->name = tn_arena_strdup(arena, exact);
    ret->table = tn_arena_printf(arena, "%s" INDEX_VECTORS_SUFFIX, exact);
    return TN_OK;
}

enum tn_code definition_make(struct index_service *service, const struct index_definition *wanted, const char *actor,
                             struct tn_arena *arena, struct definition *ret, struct tn_error *err)
{
    struct dataset_column *columns;
    size_t count;
    struct definition made = {.arena = arena};
    ICEBERG_AUTO_METADATA *metadata = NULL;
    made.recall_target = wanted->recall_target > 0 ? wanted->recall_target : 0.95;
    made.created_us = tn_now_us();
    made.actor = tn_arena_strdup(arena, actor ? actor : "");
    TN_TRY(take_backend(wanted, &made, err));
    if (made.recall_target >= 1)
        return tn_fail(err, TN_EREQUEST, "recall_target lies between 0 and 1");
    TN_TRY(take_name(wanted, arena, &made, err));
    TN_TRY(catalog_load(service->lake->catalog, made.dataset, &metadata, err));
    made.uuid = tn_arena_strdup(arena, metadata->uuid);
    TN_TRY(dataset_columns(service->lake, made.dataset, arena, &columns, &count, err));
    TN_TRY(take_columns(wanted, columns, count, arena, &made, err));
    if (wanted->vector_column)
        TN_TRY(take_vector_column(service, wanted, columns, count, arena, &made, err));
    else if (made.column_count == 0)
        TN_TRY(choose_columns(service, columns, count, wanted->only_prose, arena, &made, err));
    if (!wanted->vector_column)
        TN_TRY(take_model(service, wanted, arena, &made, err));
    *ret = made;
    return TN_OK;
}

/* ---- index.json -------------------------------------------------------------------- */

static void write_tuned(const struct definition *definition, struct tn_json *json)
{
    if (definition->tuned[0].generation == 0)
        return;
    tn_json_key(json, "tuning");
    tn_json_open(json, '[');
    for (size_t i = 0; i < TN_COUNT(definition->tuned) && definition->tuned[i].generation; i++) {
        const struct tuned *tuned = &definition->tuned[i];
        tn_json_open(json, '{');
        tn_json_ki64(json, "generation", (int64_t)tuned->generation);
        tn_json_ki64(json, "trial", (int64_t)tuned->trial);
        tn_json_ki64(json, "m", tuned->degree);
        tn_json_ki64(json, "ef_construction", tuned->ef_construction);
        tn_json_ki64(json, "ef", tuned->ef);
        tn_json_ki64(json, "code_bits", tuned->code_bits);
        tn_json_kstr(json, "raw", tuned->half ? "f16" : "f32");
        tn_json_kf64(json, "recall_target", tuned->recall_target);
        tn_json_kf64(json, "recall", tuned->recall);
        tn_json_close(json, '}');
    }
    tn_json_close(json, ']');
}

void definition_write(const struct definition *definition, struct tn_buf *out)
{
    char time[TN_TIME_TEXT];
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "format", 1);
    tn_json_kstr(&json, "name", definition->name);
    tn_json_kstr(&json, "dataset", definition->dataset);
    if (definition->uuid)
        tn_json_kstr(&json, "dataset_uuid", definition->uuid);
    tn_json_kstrs(&json, "text_columns", definition->columns, definition->column_count);
    tn_json_kstr(&json, "vector_column", definition->vector_column);
    tn_json_kstr(&json, "model", definition->model);
    tn_json_kstr(&json, "version", definition->version);
    tn_json_kstr(&json, "document_prefix", definition->document_prefix);
    tn_json_ki64(&json, "dimension", definition->dimension);
    tn_json_key(&json, "chunk");
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "size", definition->chunk_size);
    tn_json_ki64(&json, "overlap", definition->chunk_overlap);
    tn_json_close(&json, '}');
    tn_json_kstr(&json, "backend", definition->backend);
    tn_json_kf64(&json, "recall_target", definition->recall_target);
    tn_json_kstr(&json, "created", tn_time_format(definition->created_us, time));
    tn_json_kstr(&json, "created_by", definition->actor);
    write_tuned(definition, &json);
    tn_json_close(&json, '}');
}

static enum tn_code read_texts(const json_t *array, const char *what, struct tn_arena *arena, struct definition *ret,
                               struct tn_error *err)
{
    const char **columns = TN_ARENA_ARRAY(arena, const char *, json_array_size(array) + 1);
    size_t i;
    const json_t *item;
    json_array_foreach(array, i, item)
    {
        if (!json_is_string(item) || i >= INDEX_COLUMNS_MAX)
            return tn_fail(err, TN_ECORRUPT, "%s: text_columns must be a short list of names", what);
        columns[i] = tn_arena_strdup(arena, json_string_value(item));
    }
    ret->columns = columns;
    ret->column_count = json_array_size(array);
    return TN_OK;
}

static enum tn_code read_tuned(const json_t *object, const char *what, struct tuned *ret, struct tn_error *err)
{
    int64_t generation = 0, trial = 0, m = 0, build = 0, ef = 0, bits = 0;
    const char *raw = "f32";
    struct tuned made = {0};
    const struct tn_json_field fields[] = {
        {.name = "generation", .kind = TN_JSON_INT, .ret = &generation, .required = true, .min = 1, .max = INT64_MAX},
        {.name = "trial", .kind = TN_JSON_INT, .ret = &trial, .min = 0, .max = INT64_MAX},
        {.name = "m", .kind = TN_JSON_INT, .ret = &m, .min = 0, .max = 64},
        {.name = "ef_construction", .kind = TN_JSON_INT, .ret = &build, .min = 0, .max = 65536},
        {.name = "ef", .kind = TN_JSON_INT, .ret = &ef, .min = 0, .max = VECTOR_WINDOW_MAX},
        {.name = "code_bits", .kind = TN_JSON_INT, .ret = &bits, .min = 0, .max = 8},
        {.name = "raw", .kind = TN_JSON_STRING, .ret = &raw},
        {.name = "recall_target", .kind = TN_JSON_DOUBLE, .ret = &made.recall_target},
        {.name = "recall", .kind = TN_JSON_DOUBLE, .ret = &made.recall},
    };
    TN_TRY(tn_json_read(object, what, fields, TN_COUNT(fields), err));
    if ((bits != 0 && bits != 4 && bits != 8) || !(made.recall_target >= 0 && made.recall_target < 1))
        return tn_fail(err, TN_ECORRUPT, "%s: what is chosen for generation %" PRId64 " makes no sense", what,
                       generation);
    made.generation = (uint64_t)generation;
    made.trial = (uint64_t)trial;
    made.degree = (uint32_t)m;
    made.ef_construction = (uint32_t)build;
    made.ef = (uint32_t)ef;
    made.code_bits = (uint32_t)bits;
    made.half = tn_streq(raw, "f16");
    *ret = made;
    return TN_OK;
}

enum tn_code definition_read(const char *text, size_t length, const char *what, struct tn_arena *arena,
                             struct definition *ret, struct tn_error *err)
{
    TN_AUTO_JSON *document = NULL;
    TN_TRY(tn_json_parse(text, length, 1 << 20, what, &document, err));
    struct definition made = {.arena = arena};
    json_t *columns = NULL, *chunk = NULL, *tuning = NULL;
    const char *created = NULL, *name = NULL, *dataset = NULL, *uuid = NULL, *vectors = NULL, *model = "",
               *version = "", *prefix = "", *backend = "hnsw", *actor = "";
    int64_t format = 0, dimension = 0, size = 0, overlap = 0;
    const struct tn_json_field fields[] = {
        {.name = "format", .kind = TN_JSON_INT, .ret = &format, .required = true, .min = 1, .max = 2},
        {.name = "name", .kind = TN_JSON_STRING, .ret = &name, .required = true},
        {.name = "dataset", .kind = TN_JSON_STRING, .ret = &dataset, .required = true},
        {.name = "dataset_uuid", .kind = TN_JSON_STRING, .ret = &uuid},
        {.name = "text_columns", .kind = TN_JSON_ARRAY, .ret = &columns, .required = true},
        {.name = "vector_column", .kind = TN_JSON_STRING, .ret = &vectors},
        {.name = "model", .kind = TN_JSON_STRING, .ret = &model},
        {.name = "version", .kind = TN_JSON_STRING, .ret = &version},
        {.name = "document_prefix", .kind = TN_JSON_STRING, .ret = &prefix},
        {.name = "dimension",
         .kind = TN_JSON_INT,
         .ret = &dimension,
         .required = true,
         .min = VECTOR_DIMENSIONS_MIN,
         .max = VECTOR_DIMENSIONS_MAX},
        {.name = "chunk", .kind = TN_JSON_OBJECT, .ret = &chunk, .required = true},
        {.name = "backend", .kind = TN_JSON_STRING, .ret = &backend},
        {.name = "recall_target", .kind = TN_JSON_DOUBLE, .ret = &made.recall_target, .required = true},
        {.name = "created", .kind = TN_JSON_STRING, .ret = &created, .required = true},
        {.name = "created_by", .kind = TN_JSON_STRING, .ret = &actor},
        {.name = "tuning", .kind = TN_JSON_ARRAY, .ret = &tuning},
    };
    TN_TRY(tn_json_read(document, what, fields, TN_COUNT(fields), err));
    const struct tn_json_field chunk_fields[] = {
        {.name = "size", .kind = TN_JSON_INT, .ret = &size, .required = true, .min = 0, .max = CHUNK_SIZE_MAX},
        {.name = "overlap", .kind = TN_JSON_INT, .ret = &overlap, .required = true, .min = 0, .max = CHUNK_SIZE_MAX},
    };
    TN_TRY(tn_json_read(chunk, what, chunk_fields, TN_COUNT(chunk_fields), err));
    TN_TRY(read_texts(columns, what, arena, &made, err));
    for (size_t i = 0; i < json_array_size(tuning) && i < TN_COUNT(made.tuned); i++)
        TN_TRY(read_tuned(json_array_get(tuning, i), what, &made.tuned[i], err));
    if (!tn_time_parse(created, &made.created_us))
        return tn_fail(err, TN_ECORRUPT, "%s: \"created\" is not a time", what);
    made.name = tn_arena_strdup(arena, name);
    made.dataset = tn_arena_strdup(arena, dataset);
    made.uuid = uuid ? tn_arena_strdup(arena, uuid) : NULL;
    made.table = tn_arena_printf(arena, "%s" INDEX_VECTORS_SUFFIX, name);
    made.vector_column = vectors ? tn_arena_strdup(arena, vectors) : NULL;
    made.model = tn_arena_strdup(arena, model);
    made.version = tn_arena_strdup(arena, version);
    made.document_prefix = tn_arena_strdup(arena, prefix);
    made.backend = tn_arena_strdup(arena, backend);
    made.actor = tn_arena_strdup(arena, actor);
    made.dimension = (uint32_t)dimension;
    made.chunk_size = (uint32_t)size;
    made.chunk_overlap = (uint32_t)overlap;
    *ret = made;
    return TN_OK;
}
