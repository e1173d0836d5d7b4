/* The answers: of an ingest, and of a preview. */
#include "ingest/ingest_internal.h"

#include <string.h>

#define PREVIEW_ROWS 20

void ingest_answer_schema(const struct ingest *ingest, struct tn_json *out)
{
    tn_json_key(out, "schema");
    tn_json_open(out, '[');
    for (size_t i = 0; i < ingest->plan.count; i++) {
        const struct load_column *column = &ingest->plan.columns[i];
        tn_json_open(out, '{');
        tn_json_kstr(out, "name", column->name);
        tn_json_kstr(out, "type", column->target.sql_type);
        tn_json_kbool(out, "nullable", true);
        tn_json_kstr(out, "original_name", column->original);
        tn_json_close(out, '}');
    }
    tn_json_close(out, ']');
}

void ingest_answer_warnings(const struct ingest *ingest, struct tn_json *out)
{
    const struct tn_buf *warnings = &ingest->plan.warnings;
    tn_json_key(out, "warnings");
    tn_json_open(out, '[');
    if (warnings->len)
        tn_json_raw(out, warnings->data, warnings->len);
    tn_json_close(out, ']');
}

static void put_dialect(const struct csv_dialect *dialect, struct tn_json *out)
{
    char text[2] = {dialect->delimiter, '\0'}, quote[2] = {dialect->quote, '\0'};
    tn_json_kstr(out, "delimiter", dialect->delimiter == '\t' ? "tab" : text);
    tn_json_kstr(out, "quote", quote);
    tn_json_kstr(out, "escape", dialect->escape == '\\' ? "backslash" : "doubled");
    tn_json_kbool(out, "header", dialect->has_header);
    tn_json_ki64(out, "title_lines", dialect->title_lines);
}

void ingest_answer_format(const struct ingest *ingest, struct tn_json *out)
{
    static const char *const layouts[] = {
        [LAYOUT_LINES] = "lines", [LAYOUT_ARRAY] = "array", [LAYOUT_STREAM] = "objects"};
    const struct survey *survey = &ingest->survey;
    tn_json_key(out, "format");
    tn_json_open(out, '{');
    bool parquet = ingest->format == INGEST_PARQUET;
    tn_json_kstr(out, "type", parquet ? "parquet" : survey->format == INGEST_JSON ? "json" : "csv");
    if (inflate_name(ingest->compression))
        tn_json_kstr(out, "compression", inflate_name(ingest->compression));
    if (!parquet)
        tn_json_kstr(out, "encoding", encoding_name(ingest->found_encoding));
    if (!parquet && survey->format == INGEST_JSON)
        tn_json_kstr(out, "layout", layouts[survey->layout]);
    else if (!parquet)
        put_dialect(&survey->dialect, out);
    tn_json_close(out, '}');
}

/* ---- the first rows ----------------------------------------------------------- */

static void put_value(const struct ingest *ingest, const struct load_column *column, const struct cell *cell,
                      struct tn_json *out)
{
    const struct csv_dialect *dialect = &ingest->survey.dialect;
    bool text = column->target.type.kind == ENGINE_VARCHAR;
    bool empty = cell->length == 0 && (cell->kind == CELL_PLAIN || (cell->kind == CELL_QUOTED && !text));
    bool word = !text && cell->kind <= CELL_QUOTED && cell->length && classify_is_null_word(cell->text, cell->length);
    if (cell->kind == CELL_ABSENT || cell->kind == CELL_JSON_NULL || empty || word) {
        tn_json_null(out);
        return;
    }
    if (!cell->escaped || (cell->kind != CELL_QUOTED && cell->kind != CELL_JSON_STRING)) {
        tn_json_strn(out, cell->text, cell->length);
        return;
    }
    TN_AUTO_FREE char *plain = tn_malloc((size_t)cell->length + 1);
    size_t length = cell->kind == CELL_QUOTED ? csv_unescape(cell, dialect->quote, dialect->escape, plain)
                                              : json_unescape(cell->text, cell->length, plain);
    tn_json_strn(out, plain, length);
}

static void put_row(const struct ingest *ingest, const struct record *record, size_t cells, struct tn_json *out)
{
    static const struct cell absent = {NULL, 0, CELL_ABSENT, 0};
    tn_json_open(out, '[');
    for (size_t i = 0; i < ingest->plan.count; i++) {
        const struct load_column *column = &ingest->plan.columns[i];
        put_value(ingest, column, column->cell < cells ? &record->cells[column->cell] : &absent, out);
    }
    tn_json_close(out, ']');
}

/* The kept sample may end inside a record: that one is left out. */
static size_t whole_records(const struct survey *survey)
{
    if (survey->block_count == 0 || survey->sample_length == survey->blocks[0].length)
        return survey->sample_length;
    size_t open;
    return survey->format == INGEST_JSON
               ? json_scan_end(survey->layout, survey->sample, survey->sample_length)
               : csv_scan_end(&survey->dialect, survey->sample, survey->sample_length, &open);
}

static void put_text_rows(const struct ingest *ingest, struct tn_json *out)
{
    const struct survey *survey = &ingest->survey;
    size_t length = whole_records(survey), rows = 0;
    if (!survey->sample)
        return;
    if (survey->format == INGEST_JSON) {
        struct json_reader reader;
        json_reader_init(&reader, survey->layout, NULL, survey->paths);
        json_reader_block(&reader, survey->sample, length, true);
        while (rows < PREVIEW_ROWS && json_reader_next(&reader))
            if (reader.record.flaw == RECORD_FINE && ++rows)
                put_row(ingest, &reader.record, reader.record.count, out);
        json_reader_release(&reader);
        return;
    }
    size_t width = survey->dialect.width;
    TN_AUTO_FREE struct cell *cells = tn_calloc(width, sizeof *cells);
    struct csv_reader reader;
    csv_reader_init(&reader, &survey->dialect, width, cells, width, survey->sample, length);
    while (rows < PREVIEW_ROWS && csv_reader_next(&reader))
        if (reader.record.flaw == RECORD_FINE && ++rows)
            put_row(ingest, &reader.record, width, out);
}

static bool put_engine_row(void *context, size_t count, const char *const *values)
{
    struct tn_json *out = context;
    tn_json_open(out, '[');
    for (size_t i = 0; i < count; i++)
        tn_json_str(out, values[i]);
    tn_json_close(out, ']');
    return true;
}

enum tn_code ingest_answer_rows(const struct ingest *ingest, struct tn_json *out, struct tn_error *err)
{
    tn_json_key(out, "rows");
    tn_json_open(out, '[');
    if (ingest->plan.parquet_select) {
        TN_AUTO_BUF sql = {0};
        tn_buf_printf(&sql, "%s LIMIT %d", ingest->plan.parquet_select, PREVIEW_ROWS);
        TN_TRY(engine_run(ingest->lake->engine, sql.data, put_engine_row, out, err));
    } else {
        put_text_rows(ingest, out);
    }
    tn_json_close(out, ']');
    return TN_OK;
}
