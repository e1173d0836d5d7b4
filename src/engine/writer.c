/* Rows into text formats, a buffer at a time. Arrow is in arrow_stream.c. */
#include "engine/arrow.h"
#include "engine/vec.h"

struct engine_writer {
    struct engine_query *query;
    enum engine_format format;
    duckdb_data_chunk chunk;
    size_t chunk_rows, next_row;
    bool header_done, any_row, done;
    char **names; /* unique, for NDJSON and Arrow */
    char **keys;  /* NDJSON: quoted, with the brace or comma before and the colon behind */
    size_t *key_lengths;
    struct arrow_stream *arrow;
    struct tn_buf scratch;
};

/* ---- names -------------------------------------------------------- */

static bool name_taken(const struct engine_query *query, char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (tn_streq(names[i], name))
            return true;
    }
    for (size_t i = count + 1; i < query->column_count; i++) {
        if (tn_streq(query->columns[i].name, name))
            return true;
    }
    return false;
}

/* An object has each key once, and so does a data frame: of two columns "id"
 * the second becomes "id_1", or whatever number is free. */
static void make_names(struct engine_writer *writer)
{
    const struct engine_query *query = writer->query;
    writer->names = tn_calloc(query->column_count + 1, sizeof *writer->names);
    for (size_t i = 0; i < query->column_count; i++) {
        const char *name = query->columns[i].name;
        bool repeated = false;
        for (size_t j = 0; j < i; j++)
            repeated = repeated || tn_streq(writer->names[j], name);
        writer->names[i] = tn_strdup(name);
        for (unsigned number = 1; repeated; number++) {
            free(writer->names[i]);
            writer->names[i] = tn_asprintf("%s_%u", name, number);
            repeated = name_taken(query, writer->names, i, writer->names[i]);
        }
    }
}

static void make_keys(struct engine_writer *writer)
{
    size_t count = writer->query->column_count;
    writer->keys = tn_calloc(count + 1, sizeof *writer->keys);
    writer->key_lengths = tn_calloc(count + 1, sizeof *writer->key_lengths);
    for (size_t i = 0; i < count; i++) {
        TN_AUTO_BUF key = {0};
        tn_buf_putc(&key, i ? ',' : '{');
        tn_json_quote(&key, writer->names[i], strlen(writer->names[i]));
        tn_buf_putc(&key, ':');
        writer->key_lengths[i] = key.len;
        writer->keys[i] = tn_buf_take(&key);
    }
}

/* ---- life --------------------------------------------------------------- */

struct engine_writer *engine_writer_new(struct engine_query *query, enum engine_format format)
{
    struct engine_writer *writer = tn_calloc(1, sizeof *writer);
    writer->query = query;
    writer->format = format;
    if (format == ENGINE_NDJSON || format == ENGINE_ARROW)
        make_names(writer);
    if (format == ENGINE_NDJSON)
        make_keys(writer);
    if (format == ENGINE_ARROW)
        writer->arrow = arrow_stream_new(writer->names, query->shapes, query->column_count);
    return writer;
}

void engine_writer_free(struct engine_writer *writer)
{
    if (!writer)
        return;
    if (writer->chunk)
        duckdb_destroy_data_chunk(&writer->chunk);
    for (size_t i = 0; i < writer->query->column_count; i++) {
        if (writer->names)
            free(writer->names[i]);
        if (writer->keys)
            free(writer->keys[i]);
    }
    free(writer->names);
    free(writer->keys);
    free(writer->key_lengths);
    arrow_stream_free(writer->arrow);
    tn_buf_release(&writer->scratch);
    free(writer);
}

/* ---- rows --------------------------------------------------------------- */

static void put_json_row(struct engine_writer *writer, size_t row, struct tn_buf *out)
{
    const struct engine_query *query = writer->query;
    tn_buf_append(out, writer->any_row ? ",[" : "[", writer->any_row ? 2 : 1);
    for (size_t i = 0; i < query->column_count; i++) {
        if (i)
            tn_buf_putc(out, ',');
        cell_put_json(query->shapes[i], row, out);
    }
    tn_buf_putc(out, ']');
}

static void put_ndjson_row(struct engine_writer *writer, size_t row, struct tn_buf *out)
{
    const struct engine_query *query = writer->query;
    for (size_t i = 0; i < query->column_count; i++) {
        tn_buf_append(out, writer->keys[i], writer->key_lengths[i]);
        cell_put_json(query->shapes[i], row, out);
    }
    tn_buf_append(out, "}\n", 2);
}

static void put_csv_row(struct engine_writer *writer, size_t row, struct tn_buf *out)
{
    const struct engine_query *query = writer->query;
    size_t start = out->len;
    for (size_t i = 0; i < query->column_count; i++) {
        if (i)
            tn_buf_putc(out, ',');
        cell_put_csv(query->shapes[i], row, &writer->scratch, out);
    }
    /* A lone NULL must not become an empty line, which readers skip. */
    if (query->column_count == 1 && out->len == start)
        tn_buf_append(out, "\"\"", 2);
    tn_buf_append(out, "\r\n", 2);
}

static void put_csv_header(const struct engine_query *query, struct tn_buf *out)
{
    for (size_t i = 0; i < query->column_count; i++) {
        if (i)
            tn_buf_putc(out, ',');
        cell_put_csv_text(query->columns[i].name, strlen(query->columns[i].name), out);
    }
    tn_buf_append(out, "\r\n", 2);
}

static void put_row(struct engine_writer *writer, size_t row, struct tn_buf *out)
{
    if (writer->format == ENGINE_JSON_ROWS)
        put_json_row(writer, row, out);
    else if (writer->format == ENGINE_NDJSON)
        put_ndjson_row(writer, row, out);
    else
        put_csv_row(writer, row, out);
    writer->any_row = true;
}

/* Makes the next chunk current; done at the end. */
static enum tn_code next_chunk(struct engine_writer *writer, struct tn_error *err)
{
    struct engine_query *query = writer->query;
    if (writer->chunk)
        duckdb_destroy_data_chunk(&writer->chunk);
    writer->chunk = NULL;
    TN_TRY(engine_query_chunk(query, &writer->chunk, &writer->chunk_rows, err));
    writer->next_row = 0;
    writer->done = !writer->chunk;
    for (size_t i = 0; writer->chunk && i < query->column_count; i++)
        vec_point(query->shapes[i], duckdb_data_chunk_get_vector(writer->chunk, i));
    return TN_OK;
}

static enum tn_code fill_text(struct engine_writer *writer, size_t limit, struct tn_buf *out, struct tn_error *err)
{
    if (!writer->header_done && writer->format == ENGINE_CSV)
        put_csv_header(writer->query, out);
    writer->header_done = true;
    while (!writer->done && out->len < limit) {
        if (!writer->chunk || writer->next_row == writer->chunk_rows) {
            TN_TRY(next_chunk(writer, err));
            continue;
        }
        while (writer->next_row < writer->chunk_rows && out->len < limit)
            put_row(writer, writer->next_row++, out);
    }
    return TN_OK;
}

static enum tn_code fill_arrow(struct engine_writer *writer, size_t limit, struct tn_buf *out, struct tn_error *err)
{
    if (!writer->header_done)
        arrow_stream_schema(writer->arrow, out);
    writer->header_done = true;
    while (!writer->done && out->len < limit) {
        TN_TRY(next_chunk(writer, err));
        if (writer->chunk)
            TN_TRY(arrow_stream_rows(writer->arrow, writer->chunk_rows, out, err));
    }
    if (writer->done && !writer->any_row) {
        arrow_stream_end(writer->arrow, out);
        writer->any_row = true; /* the end is written once */
    }
    return TN_OK;
}

enum tn_code engine_writer_fill(struct engine_writer *writer, size_t target_bytes, struct tn_buf *out, bool *ret_done,
                                struct tn_error *err)
{
    size_t limit = out->len + TN_MAX(target_bytes, (size_t)1);
    if (writer->format == ENGINE_ARROW)
        TN_TRY(fill_arrow(writer, limit, out, err));
    else
        TN_TRY(fill_text(writer, limit, out, err));
    *ret_done = writer->done;
    return TN_OK;
}
