/* One request of rows, from its first byte to its commit. */
#include "ingest/rows.h"

#include "ingest/ingest.h"
#include "ingest/json_parse.h"
#include "ingest/json_records.h"
#include "ingest/rows_json.h"
#include "ingest/rows_value.h"

#include <string.h>

#define SCHEMA_ATTEMPTS 4

struct ingest_rows {
    struct lake *lake;
    struct tn_arena *arena;
    struct ingest_rows_options options; /* texts are the arena's */
    struct tn_buf body;
};

static const char *copy_text(struct tn_arena *arena, const char *text)
{
    return text && *text ? tn_arena_strdup(arena, text) : NULL;
}

enum tn_code ingest_rows_new(struct lake *lake, const struct ingest_rows_options *options, struct ingest_rows **ret,
                             struct tn_error *err)
{
    TN_CLEANUP(ingest_rows_free_p) struct ingest_rows *rows = tn_calloc(1, sizeof *rows);
    rows->lake = lake;
    rows->arena = tn_arena_new();
    TN_TRY(catalog_check_name(options->dataset, err));
    bool by_path = options->op == DATASET_ROWS_PATCH || options->op == DATASET_ROWS_DELETE;
    if (options->op == DATASET_ROWS_DELETE && !options->key_value)
        return tn_fail(err, TN_EREQUEST, "which row? Its key is missing");
    if (options->key_value && !by_path)
        return tn_fail(err, TN_EREQUEST, "a row's key goes with a change or a delete of one row only");
    rows->options = *options;
    const char **texts[] = {&rows->options.dataset,   &rows->options.key,    &rows->options.actor,
                            &rows->options.source,    &rows->options.reason, &rows->options.workspace,
                            &rows->options.request_id};
    for (size_t i = 0; i < TN_COUNT(texts); i++)
        *texts[i] = copy_text(rows->arena, *texts[i]);
    if (options->key_value) /* the empty text may be a key */
        rows->options.key_value = tn_arena_strdup(rows->arena, options->key_value);
    *ret = TN_TAKE(rows);
    return TN_OK;
}

void ingest_rows_free(struct ingest_rows *rows)
{
    if (!rows)
        return;
    tn_buf_release(&rows->body);
    tn_arena_free(rows->arena);
    free(rows);
}

enum tn_code ingest_rows_feed(struct ingest_rows *rows, const void *bytes, size_t count, struct tn_error *err)
{
    if (count > INGEST_ROWS_MAX_BYTES - rows->body.len) {
        char text[32];
        tn_fail(err, TN_ETOOLARGE, "a request of rows has at most %s", tn_format_size(INGEST_ROWS_MAX_BYTES, text));
        tn_error_hint(err, "send them as a file: POST /ingest/file with mode=upsert or mode=append");
        return TN_ETOOLARGE;
    }
    tn_buf_append(&rows->body, bytes, count);
    return TN_OK;
}

/* ---- keys in paths ---------------------------------------------------------------- */

static enum tn_code refuse_key(const char *text, const char *column, const char *why, struct tn_error *err)
{
    return tn_fail(err, TN_EREQUEST, "the key \"%.80s\" does not fit: column \"%.60s\": %s", text, column, why);
}

static const struct iceberg_field *key_field(const struct iceberg_schema *schema, size_t at)
{
    return iceberg_schema_field(schema, schema->identifier_ids[at]);
}

static enum tn_code read_array_key(struct tn_arena *arena, const struct iceberg_schema *schema, const char *text,
                                   struct engine_cell *cells, struct tn_error *err)
{
    const char *end = text + strlen(text), *why = "";
    const char *stop = json_take_value(text, end, JSON_RECORDS_DEPTH);
    if (!stop || json_skip_space(stop, end) != end)
        return tn_fail(err, TN_EREQUEST, "the key \"%.80s\" is not a JSON array", text);
    const char *p = json_skip_space(text + 1, end);
    size_t at = 0;
    for (; *p != ']'; at++) {
        stop = json_take_value(p, end, JSON_RECORDS_DEPTH);
        if (at < schema->identifier_count) {
            const struct iceberg_field *field = key_field(schema, at);
            if (!rows_value_json(arena, field->type, p, (size_t)(stop - p), &cells[at], &why))
                return refuse_key(text, field->name, why, err);
        }
        p = json_skip_space(stop, end);
        if (*p == ',')
            p = json_skip_space(p + 1, end);
    }
    if (at != schema->identifier_count)
        return tn_fail(err, TN_EREQUEST, "the key \"%.80s\" has %zu parts, and the dataset's has %zu", text, at,
                       schema->identifier_count);
    return TN_OK;
}

static enum tn_code read_parts_key(struct tn_arena *arena, const struct iceberg_schema *schema, const char *text,
                                   struct engine_cell *cells, struct tn_error *err)
{
    const char *why = "";
    const char *rest = text;
    for (size_t i = 0; i < schema->identifier_count; i++) {
        const struct iceberg_field *field = key_field(schema, i);
        bool last = i + 1 == schema->identifier_count;
        size_t length = last ? strlen(rest) : strcspn(rest, ",");
        if (!last && rest[length] != ',')
            return tn_fail(err, TN_EREQUEST, "the key \"%.80s\" has %zu parts, and the dataset's has %zu", text,
                           i + 1, schema->identifier_count);
        if (last && i > 0 && memchr(rest, ',', length))
            return tn_fail(err, TN_EREQUEST, "the key \"%.80s\" has more than %zu parts: write it as a JSON array",
                           text, schema->identifier_count);
        if (!rows_value_text(arena, field->type, rest, length, &cells[i], &why))
            return refuse_key(text, field->name, why, err);
        rest += length + !last;
    }
    return TN_OK;
}

enum tn_code ingest_rows_key(struct tn_arena *arena, const struct iceberg_schema *schema, const char *text,
                             struct engine_cell **ret, struct tn_error *err)
{
    if (schema->identifier_count == 0) {
        tn_fail(err, TN_EREFUSED, "the dataset has no key, so its rows cannot be told apart");
        tn_error_hint(err, "give it one: PATCH /catalog/datasets/{d} {\"key\": \"COLUMN\"}");
        return TN_EREFUSED;
    }
    if (tn_utf8_valid_prefix(text, strlen(text)) != strlen(text))
        return tn_fail(err, TN_EREQUEST, "the key is not valid UTF-8");
    struct engine_cell *cells = TN_ARENA_ARRAY(arena, struct engine_cell, schema->identifier_count);
    if (schema->identifier_count > 1 && *text == '[')
        TN_TRY(read_array_key(arena, schema, text, cells, err));
    else
        TN_TRY(read_parts_key(arena, schema, text, cells, err));
    *ret = cells;
    return TN_OK;
}

/* ---- the rows ---------------------------------------------------------------------- */

static const char *const *original_names(struct tn_arena *arena, const struct iceberg_metadata *metadata)
{
    const struct iceberg_schema *schema = metadata->schema;
    TN_AUTO_JSON *notes = catalog_column_notes(metadata);
    const char **names = TN_ARENA_ARRAY(arena, const char *, schema->field_count + 1);
    for (size_t i = 0; i < schema->field_count; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", schema->fields[i].id);
        const char *name = json_string_value(json_object_get(json_object_get(notes, id), "original_name"));
        names[i] = name ? tn_arena_strdup(arena, name) : NULL;
    }
    return names;
}

/* The row that the path names: its key goes before what the body gives. */
static enum tn_code add_key(const struct ingest_rows *rows, struct tn_arena *arena,
                            const struct iceberg_schema *schema, struct rows_json *json, struct tn_error *err)
{
    struct engine_cell *key;
    size_t width = schema->identifier_count;
    TN_TRY(ingest_rows_key(arena, schema, rows->options.key_value, &key, err));
    if (json->row_count > 1)
        return tn_fail(err, TN_EREQUEST, "%zu rows for the one row that the path names", json->row_count);
    int32_t *ids = TN_ARENA_ARRAY(arena, int32_t, width + json->column_count);
    struct engine_cell *cells = TN_ARENA_ARRAY(arena, struct engine_cell, width + json->column_count);
    memcpy(ids, schema->identifier_ids, width * sizeof *ids);
    memcpy(cells, key, width * sizeof *cells);
    for (size_t i = 0; i < json->column_count; i++) {
        for (size_t k = 0; k < schema->identifier_count; k++)
            if (json->field_ids[i] == schema->identifier_ids[k]) {
                tn_fail(err, TN_EREQUEST, "column \"%s\" is part of the key, which the path names",
                        key_field(schema, k)->name);
                tn_error_hint(err, "leave it out; to change a key, delete the row and add it anew");
                return TN_EREQUEST;
            }
        ids[width] = json->field_ids[i];
        cells[width++] = json->cells[i];
    }
    *json = (struct rows_json){ids, width, cells, 1};
    return TN_OK;
}

static enum tn_code read_rows(const struct ingest_rows *rows, struct tn_arena *arena,
                              const struct iceberg_metadata *metadata, struct rows_json *ret, struct tn_error *err)
{
    const struct rows_json_shape shape = {
        .schema = metadata->schema,
        .originals = original_names(arena, metadata),
        .max_rows = DATASET_ROWS_MAX,
        .same_columns = rows->options.op == DATASET_ROWS_PATCH,
    };
    *ret = (struct rows_json){0};
    if (rows->options.op != DATASET_ROWS_DELETE)
        TN_TRY(rows_json_read(arena, &shape, rows->body.data ? rows->body.data : "", rows->body.len, ret, err));
    else if (rows->body.len)
        return tn_fail(err, TN_EREQUEST, "a delete of one row has no body");
    if (ret->row_count == 0 && rows->options.op != DATASET_ROWS_DELETE) {
        tn_fail(err, TN_EREQUEST, "the request has no rows");
        tn_error_hint(err, "send a JSON array of objects, or one object a line");
        return TN_EREQUEST;
    }
    return rows->options.key_value ? add_key(rows, arena, metadata->schema, ret, err) : TN_OK;
}

static enum tn_code write_rows(struct ingest_rows *rows, const struct iceberg_metadata *metadata,
                               struct dataset_commit *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const struct ingest_rows_options *options = &rows->options;
    struct rows_json json;
    TN_TRY(read_rows(rows, arena, metadata, &json, err));
    struct dataset_rows request = {
        .op = options->op,
        .field_ids = json.field_ids,
        .column_count = json.column_count,
        .cells = json.cells,
        .row_count = json.row_count,
        .if_snapshot = options->if_snapshot,
        .ignore_missing = options->ignore_missing,
        .actor = options->actor,
        .source = options->source,
        .reason = options->reason,
        .workspace = options->workspace,
        .request_id = options->request_id,
    };
    if (options->key && metadata->schema->identifier_count == 0) {
        int64_t snapshot;
        TN_TRY(dataset_set_key_for(rows->lake, options->dataset, options->key, &request, &snapshot, err));
        if (options->if_snapshot) /* the key's own commit came in between */
            request.if_snapshot = rows->options.if_snapshot = snapshot;
    }
    return dataset_rows_write(rows->lake, options->dataset, &request, ret, err);
}

/* ---- the first upsert ------------------------------------------------------------------ */

static enum tn_code make_dataset(struct ingest_rows *rows, struct dataset_commit *ret, struct tn_error *err)
{
    const struct ingest_rows_options *options = &rows->options;
    const struct ingest_options made = {
        .dataset = options->dataset,
        .source = "rows",
        .format = "json",
        .key = options->key,
        .mode = DATASET_UPSERT,
        .max_rejects = 0, /* all rows or none, as in every write of rows */
        .actor = options->actor,
        .reason = options->reason,
        .workspace = options->workspace,
        .request_id = options->request_id,
        .door = options->source,
    };
    TN_CLEANUP(ingest_free_p) struct ingest *ingest = NULL;
    TN_AUTO_BUF answer = {0};
    struct tn_json out = tn_json_writer(&answer);
    TN_TRY(ingest_new(rows->lake, &made, &ingest, err));
    TN_TRY(ingest_feed(ingest, rows->body.data ? rows->body.data : "", rows->body.len, err));
    enum tn_code code = ingest_finish(ingest, &out, err);
    if (code == TN_EREJECTS)
        tn_error_hint(err, "correct the rows and send them all again");
    TN_TRY(code);
    TN_AUTO_JSON *json = NULL;
    TN_TRY(tn_json_parse(answer.data, answer.len, answer.len, "answer of the ingest", &json, err));
    const json_t *id = json_object_get(json, "snapshot_id");
    const char *text = json_string_value(id); /* beyond 2^53 */
    int64_t snapshot = json_integer_value(id), parsed;
    uint64_t count = (uint64_t)json_integer_value(json_object_get(json, "rows"));
    if (text && tn_parse_i64(text, &parsed))
        snapshot = parsed;
    *ret = (struct dataset_commit){.snapshot_id = snapshot, .rows = count, .counts.inserted = count};
    return TN_OK;
}

static enum tn_code attempt(struct ingest_rows *rows, struct dataset_commit *ret, struct tn_error *err)
{
    const struct ingest_rows_options *options = &rows->options;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    enum tn_code code = catalog_load(rows->lake->catalog, options->dataset, &metadata, err);
    if (code == TN_EDATASET && options->op == DATASET_ROWS_UPSERT && options->key && !options->must_exist) {
        if (err)
            *err = (struct tn_error){0};
        return make_dataset(rows, ret, err);
    }
    if (code == TN_EDATASET && options->op == DATASET_ROWS_UPSERT && !options->key)
        tn_error_hint(err, "if it is to be made, name its key: key= (tarn rows upsert --key)");
    TN_TRY(code);
    return write_rows(rows, metadata, ret, err);
}

/* The key that an upsert says is the dataset's, if that has one. */
static enum tn_code check_key(const struct ingest_rows *rows, struct tn_error *err)
{
    const struct ingest_rows_options *options = &rows->options;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    if (!options->key || catalog_load(rows->lake->catalog, options->dataset, &metadata, NULL) != TN_OK)
        return TN_OK;
    const struct iceberg_schema *schema = metadata->schema;
    if (schema->identifier_count == 0)
        return TN_OK;
    TN_AUTO_BUF names = {0};
    for (size_t i = 0; i < schema->identifier_count; i++)
        tn_buf_printf(&names, "%s%s", i ? "," : "", key_field(schema, i)->name);
    if (tn_str_equal_nocase(names.data, options->key))
        return TN_OK;
    tn_fail(err, TN_ESCHEMA, "the dataset's key is (%s) already", names.data);
    tn_error_hint(err, "leave key= out, or change it with PATCH /catalog/datasets/{d}");
    return TN_ESCHEMA;
}

enum tn_code ingest_rows_commit(struct ingest_rows *rows, struct dataset_commit *ret, struct tn_error *err)
{
    TN_TRY(check_key(rows, err));
    for (int n = 1;; n++) {
        enum tn_code code = attempt(rows, ret, err);
        /* The schema may have changed between reading the rows and writing them. */
        if (code != TN_ESCHEMA || n == SCHEMA_ATTEMPTS)
            return code;
        if (err)
            *err = (struct tn_error){0};
    }
}
