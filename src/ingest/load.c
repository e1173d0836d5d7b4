/* Loading: the blocks are read again and their cells go, typed, into the
 * engine's vectors. Ranges of blocks become data files side by side; their
 * order in the dataset is the order of the file.
 */
#include "ingest/ingest_internal.h"

#include <string.h>

/* Below this much text a second file costs more than a second thread gains. */
#define LOAD_SPLIT_BYTES (UINT64_C(8) << 20)
/* Text that one data file holds at most, roughly four times its Parquet size. */
#define LOAD_FILE_BYTES (UINT64_C(768) << 20)
#define LOAD_MAX_FILES  4096

/* A range of blocks being read for one data file. */
struct load_range {
    struct ingest *ingest;
    struct dataset_write *write;
    size_t number;
    size_t next_block, end_block, block;
    char *text;
    size_t text_capacity;
    bool open; /* a block is being read */
    struct csv_reader csv;
    struct json_reader json;
    struct cell *cells;
    const struct record *record;
    size_t cell_count; /* cells that the current record has */
    struct tn_buf scratch;
    struct rejects rejects;
    enum tn_code code;
    struct tn_error error;
};

static const struct cell absent = {NULL, 0, CELL_ABSENT, 0};

static enum tn_code open_block(struct load_range *range, struct tn_error *err)
{
    struct survey *survey = &range->ingest->survey;
    const struct survey_block *block = &survey->blocks[range->next_block];
    size_t length = (size_t)block->length;
    if (length + RECORD_PADDING > range->text_capacity) {
        free(range->text);
        range->text_capacity = length + RECORD_PADDING;
        range->text = tn_malloc(range->text_capacity);
    }
    TN_TRY(spool_read(&range->ingest->spool, block->offset, length, range->text, err));
    memset(range->text + length, 0, RECORD_PADDING);
    range->block = range->next_block++;
    range->open = true;
    if (survey->format == INGEST_JSON) {
        json_reader_block(&range->json, range->text, length, range->block == 0);
    } else {
        size_t width = survey->dialect.width;
        csv_reader_init(&range->csv, &survey->dialect, width, range->cells, width, range->text, length);
    }
    return TN_OK;
}

/* The next record of the range; NULL record at its end. */
static enum tn_code next_record(struct load_range *range, struct tn_error *err)
{
    for (;;) {
        if (!range->open) {
            range->record = NULL;
            if (range->next_block == range->end_block)
                return TN_OK;
            TN_TRY(open_block(range, err));
        }
        if (range->ingest->survey.format == INGEST_JSON) {
            range->open = json_reader_next(&range->json);
            range->record = &range->json.record;
            range->cell_count = range->json.record.count;
        } else {
            range->open = csv_reader_next(&range->csv);
            range->record = &range->csv.record;
            range->cell_count = range->csv.width;
        }
        if (range->open)
            return TN_OK;
    }
}

static uint64_t line_of(const struct load_range *range, const char *at)
{
    const struct survey *survey = &range->ingest->survey;
    char line_end = survey->format == INGEST_CSV ? survey->dialect.line_end : '\n';
    return survey->blocks[range->block].first_line +
           profile_count_lines(range->text, (size_t)(at - range->text), line_end);
}

static void reject_record(struct load_range *range)
{
    const struct record *record = range->record;
    const char *reason = record->flaw_text ? record->flaw_text : profile_flaw_reason(record->flaw);
    const char *at = record->flaw_at ? record->flaw_at : record->start;
    size_t left = at >= record->start && at <= record->start + record->length
                      ? (size_t)(record->start + record->length - at)
                      : 0;
    rejects_add(&range->rejects, line_of(range, record->start), NULL, at, left, reason, record->start,
                record->length);
}

/* ---- cells ----------------------------------------------------------------- */

/* The cell's text with its escapes undone. */
static const char *plain_text(struct load_range *range, const struct cell *cell, size_t *ret_length)
{
    *ret_length = cell->length;
    if (!cell->escaped || (cell->kind != CELL_QUOTED && cell->kind != CELL_JSON_STRING))
        return cell->text;
    tn_buf_clear(&range->scratch);
    char *out = tn_buf_reserve(&range->scratch, (size_t)cell->length + 1);
    *ret_length = cell->kind == CELL_QUOTED ? csv_unescape(cell, range->csv.quote, range->csv.escape, out)
                                            : json_unescape(cell->text, cell->length, out);
    return out;
}

/* Text and everything that travels as text. */
static void put_text(struct load_range *range, const struct load_column *column, const struct cell *cell,
                     struct engine_vector *vector, size_t row)
{
    if (column->target.json && cell->kind == CELL_JSON_STRING) {
        engine_vector_put_string(vector, row, cell->text - 1, (size_t)cell->length + 2);
        return;
    }
    size_t length;
    const char *text = plain_text(range, cell, &length);
    engine_vector_put_string(vector, row, text, length);
}

static void store_value(const struct typed_target *target, const union typed_value *value,
                        struct engine_vector *vector, size_t row)
{
    switch (target->type.kind) {
    case ENGINE_BOOLEAN:
        ((uint8_t *)vector->data)[row] = value->boolean;
        break;
    case ENGINE_INTEGER:
        ((int32_t *)vector->data)[row] = (int32_t)value->integer;
        break;
    case ENGINE_DATE:
        ((int32_t *)vector->data)[row] = value->days;
        break;
    case ENGINE_DOUBLE:
        ((double *)vector->data)[row] = value->real;
        break;
    case ENGINE_DECIMAL:
        if (target->type.width <= 4)
            ((int16_t *)vector->data)[row] = (int16_t)value->decimal;
        else if (target->type.width <= 9)
            ((int32_t *)vector->data)[row] = (int32_t)value->decimal;
        else if (target->type.width <= 18)
            ((int64_t *)vector->data)[row] = (int64_t)value->decimal;
        else
            ((typed_wide *)vector->data)[row] = value->decimal;
        break;
    case ENGINE_UUID:
        engine_vector_put_uuid(vector, row, value->uuid);
        break;
    default:
        ((int64_t *)vector->data)[row] = value->integer;
        break;
    }
}

static bool is_null(const struct typed_target *target, const struct cell *cell)
{
    switch ((enum cell_kind)cell->kind) {
    case CELL_ABSENT:
    case CELL_JSON_NULL:
        return true;
    case CELL_PLAIN:
        return cell->length == 0;
    case CELL_QUOTED:
        return cell->length == 0 && target->type.kind != ENGINE_VARCHAR;
    default:
        return false;
    }
}

/* False when the value does not fit: *ret_why then says it. */
static bool put_cell(struct load_range *range, const struct load_column *column, const struct cell *cell,
                     struct engine_vector *vector, size_t row, const char **ret_why)
{
    const struct typed_target *target = &column->target;
    if (is_null(target, cell)) {
        engine_vector_put_null(vector, row);
        return true;
    }
    if (target->list && cell->kind != CELL_JSON_ARRAY) {
        *ret_why = "not a JSON array";
        return false;
    }
    if (target->type.kind == ENGINE_VARCHAR) {
        put_text(range, column, cell, vector, row);
        return true;
    }
    size_t length;
    const char *text = plain_text(range, cell, &length);
    union typed_value value;
    if (typed_parse(target, text, length, &value, ret_why)) {
        store_value(target, &value, vector, row);
        return true;
    }
    bool spelled = (cell->kind == CELL_PLAIN || cell->kind == CELL_QUOTED) && target->null_words;
    if (!spelled || !classify_is_null_word(text, length))
        return false;
    engine_vector_put_null(vector, row);
    return true;
}

/* False when the record was rejected: the row's place is free again. */
static bool put_record(struct load_range *range, struct engine_batch *batch, size_t row)
{
    const struct load_plan *plan = &range->ingest->plan;
    for (size_t i = 0; i < plan->count; i++) {
        const struct load_column *column = &plan->columns[i];
        const struct cell *cell = column->cell < range->cell_count ? &range->record->cells[column->cell] : &absent;
        const char *why = "";
        if (__builtin_expect(put_cell(range, column, cell, &batch->columns[i], row, &why), 1))
            continue;
        for (size_t done = 0; done < i; done++)
            batch->columns[done].validity[row / 64] |= UINT64_C(1) << (row % 64);
        rejects_add(&range->rejects, line_of(range, cell->text), column->original, cell->text, cell->length, why,
                    range->record->start, range->record->length);
        return false;
    }
    return true;
}

static enum tn_code fill(void *context, struct engine_batch *batch, struct tn_error *err)
{
    struct load_range *range = context;
    size_t row = 0;
    TN_TRY(ingest_check_cancelled(range->ingest, err));
    while (row < batch->capacity) {
        TN_TRY(next_record(range, err));
        if (!range->record)
            break;
        if (range->record->flaw != RECORD_FINE)
            reject_record(range);
        else if (put_record(range, batch, row))
            row++;
    }
    batch->rows = row;
    atomic_fetch_add_explicit(&range->ingest->rows_loaded, row, memory_order_relaxed);
    return TN_OK;
}

/* ---- ranges ---------------------------------------------------------------- */

static bool is_cancelled(void *context)
{
    struct ingest *ingest = context;
    return atomic_load_explicit(&ingest->cancelled, memory_order_relaxed);
}

static enum tn_code write_range(struct load_range *range, struct tn_error *err)
{
    const struct ingest *ingest = range->ingest;
    const struct load_plan *plan = &ingest->plan;
    TN_AUTO_FREE struct engine_column *columns = tn_calloc(plan->count, sizeof *columns);
    for (size_t i = 0; i < plan->count; i++)
        columns[i] = (struct engine_column){.name = plan->columns[i].name, .type = plan->columns[i].target.type};
    const struct engine_source source = {
        .columns = columns, .column_count = plan->count, .context = range, .fill = fill};
    return dataset_write_file(range->write, range->number, &source, NULL, is_cancelled, range->ingest, err);
}

static void run_range(void *argument)
{
    struct load_range *range = argument;
    struct survey *survey = &range->ingest->survey;
    rejects_init(&range->rejects, range->ingest->lake->store);
    if (survey->format == INGEST_JSON)
        json_reader_init(&range->json, survey->layout, NULL, survey->paths);
    else
        range->cells = tn_calloc(survey->dialect.width, sizeof *range->cells);
    range->code = write_range(range, &range->error);
    if (survey->format == INGEST_JSON)
        json_reader_release(&range->json);
    free(TN_TAKE(range->cells));
    free(TN_TAKE(range->text));
    tn_buf_release(&range->scratch);
}

static size_t count_files(const struct ingest *ingest)
{
    const struct survey *survey = &ingest->survey;
    uint64_t bytes = 0;
    for (size_t i = 0; i < survey->block_count; i++)
        bytes += survey->blocks[i].length;
    if (bytes < LOAD_SPLIT_BYTES)
        return 1;
    size_t threads = TN_MIN(tn_pool_threads(ingest->lake->pool), (size_t)(bytes / (LOAD_SPLIT_BYTES / 2)));
    size_t files = (size_t)(bytes / LOAD_FILE_BYTES) + 1;
    files = TN_MIN(TN_MAX(files, threads), (size_t)LOAD_MAX_FILES);
    return TN_MAX(TN_MIN(files, survey->block_count), (size_t)1);
}

static enum tn_code collect(struct load_range *ranges, size_t count, struct rejects *rejects, struct tn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].code != TN_OK) {
            if (err)
                *err = ranges[i].error;
            return ranges[i].code;
        }
    }
    for (size_t i = 0; i < count; i++)
        TN_TRY(rejects_append(rejects, &ranges[i].rejects, err));
    return TN_OK;
}

enum tn_code ingest_load(struct ingest *ingest, struct dataset_write *write, struct rejects *ret_rejects,
                         struct tn_error *err)
{
    if (ingest->plan.parquet_select)
        return dataset_write_file(write, 0, NULL, ingest->plan.parquet_select, is_cancelled, ingest, err);
    size_t blocks = ingest->survey.block_count, count = count_files(ingest);
    TN_AUTO_FREE struct load_range *ranges = tn_calloc(count, sizeof *ranges);
    TN_CLEANUP(tn_group_free_p) struct tn_group *group = tn_group_new(ingest->lake->pool, TN_BACKGROUND);
    for (size_t i = 0; i < count; i++) {
        ranges[i] = (struct load_range){
            .ingest = ingest,
            .write = write,
            .number = i,
            .next_block = blocks * i / count,
            .end_block = blocks * (i + 1) / count,
        };
        if (count > 1)
            tn_group_add(group, run_range, &ranges[i]);
        else
            run_range(&ranges[i]);
    }
    tn_group_wait(group);
    enum tn_code code = collect(ranges, count, ret_rejects, err);
    for (size_t i = 0; i < count; i++)
        rejects_release(&ranges[i].rejects);
    return code;
}
