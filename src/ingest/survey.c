/* Cutting text into blocks and profiling them on the pool. */
#include "ingest/survey.h"

#include "ingest/encoding.h"
#include "ingest/ingest.h"

#include <string.h>

struct task {
    struct survey *survey;
    size_t block;
    char *text;    /* owned, padded */
    size_t skip;   /* the head, which only the first block has */
    size_t length; /* behind it */
};

void survey_init(struct survey *survey, struct tn_pool *pool, const struct csv_wish *wish, int format)
{
    *survey = (struct survey){.pool = pool, .wish = *wish, .format = format, .format_fixed = format != INGEST_AUTO};
    survey->paths = json_paths_new();
    survey->group = tn_group_new(pool, TN_BACKGROUND);
    pthread_mutex_init(&survey->mutex, NULL);
}

void survey_release(struct survey *survey)
{
    if (!survey->pool)
        return;
    tn_group_free(survey->group);
    json_paths_free(survey->paths);
    profile_release(&survey->profile);
    pthread_mutex_destroy(&survey->mutex);
    free(survey->pending);
    free(survey->blocks);
    free(survey->head);
    free(survey->sample);
    *survey = (struct survey){0};
}

size_t survey_columns(const struct survey *survey)
{
    return survey->format == INGEST_JSON ? json_paths_count(survey->paths) : survey->dialect.width;
}

static char line_end_of(const struct survey *survey)
{
    return survey->format == INGEST_CSV ? survey->dialect.line_end : '\n';
}

/* ---- one block, on any thread -------------------------------------------- */

struct findings {
    struct profile profile;
    struct survey_block block;
};

static void profile_csv(const struct task *task, struct findings *found)
{
    const struct survey *survey = task->survey;
    size_t width = survey->dialect.width;
    struct cell *cells = tn_calloc(width, sizeof *cells);
    struct csv_reader reader;
    csv_reader_init(&reader, &survey->dialect, width, cells, width, task->text + task->skip, task->length);
    while (csv_reader_next(&reader))
        profile_record(&found->profile, &reader.record, width);
    found->profile.blank = reader.blank;
    found->profile.literal = reader.literal;
    free(cells);
}

static void profile_json(const struct task *task, struct findings *found, struct json_paths *paths)
{
    struct json_reader reader;
    json_reader_init(&reader, task->survey->layout, paths, NULL);
    json_reader_block(&reader, task->text + task->skip, task->length, task->block == 0);
    while (json_reader_next(&reader))
        profile_record(&found->profile, &reader.record, reader.record.count);
    found->block.closed = reader.closed;
    json_reader_release(&reader);
}

/* Paths of the block as columns of the file. A block can bring more than fit:
 * their values are then left to the load, which rejects the records. */
static size_t *map_paths(struct survey *survey, const struct json_paths *paths, size_t *ret_count)
{
    size_t count = json_paths_count(paths), *map = tn_calloc(count + 1, sizeof *map);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_paths_text(paths, i);
        map[i] = json_paths_add(survey->paths, text, strlen(text));
        if (map[i] == SIZE_MAX) {
            count = i;
            break;
        }
    }
    *ret_count = count;
    return map;
}

static void note_invalid(struct survey *survey, size_t block, uint64_t line)
{
    if (!survey->invalid || block < survey->invalid_block) {
        survey->invalid = true;
        survey->invalid_block = block;
        survey->invalid_line = line;
    }
}

static void run_task(void *argument)
{
    struct task *task = argument;
    struct survey *survey = task->survey;
    size_t all = task->skip + task->length;
    struct findings found = {0};
    profile_init(&found.profile, survey->format == INGEST_CSV ? survey->dialect.width : 0);
    found.profile.block = task->block;
    found.profile.text = task->text + task->skip;
    found.profile.line_end = line_end_of(survey);
    size_t valid = encoding_utf8_prefix(task->text, all);
    uint64_t invalid_line = profile_count_lines(task->text, valid, found.profile.line_end);
    found.block.lines = profile_count_lines(task->text + task->skip, task->length, found.profile.line_end);
    struct json_paths *paths = NULL;
    /* Invalid text will be profiled again once it is known what it is. */
    if (valid == all && survey->format == INGEST_CSV) {
        profile_csv(task, &found);
    } else if (valid == all) {
        paths = json_paths_new();
        profile_json(task, &found, paths);
    }
    pthread_mutex_lock(&survey->mutex);
    if (valid < all)
        note_invalid(survey, task->block, invalid_line);
    size_t *map = NULL, columns = found.profile.column_count;
    if (paths) {
        size_t mapped;
        map = map_paths(survey, paths, &mapped);
        found.profile.column_count = TN_MIN(columns, mapped);
    }
    struct survey_block *block = &survey->blocks[task->block];
    block->records = found.profile.rows + found.profile.flawed;
    block->lines = found.block.lines;
    block->closed = found.block.closed;
    profile_merge(&survey->profile, &found.profile, map);
    pthread_mutex_unlock(&survey->mutex);
    found.profile.column_count = columns;
    free(map);
    json_paths_free(paths);
    profile_release(&found.profile);
    free(task->text);
    free(task);
}

/* ---- cutting --------------------------------------------------------------- */

static void detect(struct survey *survey, bool whole)
{
    const char *text = survey->pending;
    size_t length = survey->pending_length, body = 0;
    survey->detected = true;
    memset(survey->pending + length, 0, RECORD_PADDING);
    if (survey->format == INGEST_AUTO)
        survey->format = json_sniff(text, length) ? INGEST_JSON : INGEST_CSV;
    if (survey->format == INGEST_JSON) {
        survey->layout = json_detect(text, length, &body);
    } else {
        csv_detect(text, length, whole, &survey->wish, &survey->dialect);
        body = (size_t)survey->dialect.body;
    }
    profile_init(&survey->profile, survey->format == INGEST_CSV ? survey->dialect.width : 0);
    survey->head = tn_calloc(1, body + RECORD_PADDING);
    memcpy(survey->head, text, body);
    survey->head_length = body;
}

static size_t find_cut(const struct survey *survey, size_t skip, size_t *ret_open)
{
    const char *text = survey->pending + skip;
    size_t length = survey->pending_length - skip;
    *ret_open = SIZE_MAX;
    if (survey->format == INGEST_JSON)
        return json_scan_end(survey->layout, text, length);
    return csv_scan_end(&survey->dialect, text, length, ret_open);
}

static enum tn_code no_end(const struct survey *survey, size_t at, struct tn_error *err)
{
    uint64_t line = 1 + profile_count_lines(survey->pending, at, line_end_of(survey));
    for (size_t i = 0; i < survey->block_count; i++)
        line += survey->blocks[i].lines;
    if (survey->block_count)
        line += profile_count_lines(survey->head, survey->head_length, line_end_of(survey));
    if (survey->format == INGEST_JSON)
        tn_fail(err, TN_EUNREADABLE, "a JSON record that begins in line %llu does not end", (unsigned long long)line);
    else
        tn_fail(err, TN_EUNREADABLE, "the quote that opens a field in line %llu is never closed",
                (unsigned long long)line);
    tn_error_hint(err, survey->format == INGEST_JSON ? "the file may be cut off: export or download it again"
                                                     : "close the quote, or double it if it is part of the text");
    if (err)
        err->line = line > INT32_MAX ? 0 : (int)line;
    return TN_EUNREADABLE;
}

/* Hands the first `length` bytes of the pending text to a task. */
static void start_task(struct survey *survey, size_t skip, size_t length)
{
    struct task *task = tn_calloc(1, sizeof *task);
    size_t rest = survey->pending_length - skip - length;
    size_t capacity = TN_MAX((size_t)SURVEY_BLOCK_BYTES, 2 * rest) + RECORD_PADDING;
    char *fresh = tn_malloc(capacity);
    memcpy(fresh, survey->pending + skip + length, rest);
    memset(survey->pending + skip + length, 0, RECORD_PADDING);
    pthread_mutex_lock(&survey->mutex);
    TN_GROW(survey->blocks, survey->block_count, survey->block_capacity);
    *task = (struct task){survey, survey->block_count, survey->pending, skip, length};
    survey->blocks[survey->block_count++] =
        (struct survey_block){.offset = survey->pending_offset + skip, .length = length};
    pthread_mutex_unlock(&survey->mutex);
    if (task->block == 0) {
        survey->sample_length = TN_MIN(length, (size_t)64 << 10);
        survey->sample = tn_calloc(1, survey->sample_length + RECORD_PADDING);
        memcpy(survey->sample, survey->pending + skip, survey->sample_length);
    }
    survey->pending = fresh;
    survey->pending_capacity = capacity - RECORD_PADDING;
    survey->pending_length = rest;
    survey->pending_offset += skip + length;
    tn_group_add(survey->group, run_task, task);
    if (++survey->in_flight >= 2 * tn_pool_threads(survey->pool) + 2) {
        tn_group_wait(survey->group);
        survey->in_flight = 0;
    }
}

static enum tn_code cut(struct survey *survey, struct tn_error *err)
{
    if (!survey->detected)
        detect(survey, false);
    size_t skip = survey->block_count == 0 ? survey->head_length : 0, open;
    size_t end = find_cut(survey, skip, &open);
    if (end) {
        start_task(survey, skip, end);
        return TN_OK;
    }
    if (survey->pending_length >= RECORD_MAX_BYTES) {
        tn_group_wait(survey->group);
        return no_end(survey, open == SIZE_MAX ? skip : skip + open, err);
    }
    survey->pending_capacity *= 2;
    survey->pending = tn_realloc(survey->pending, survey->pending_capacity + RECORD_PADDING);
    return TN_OK;
}

enum tn_code survey_push(struct survey *survey, const char *text, size_t length, struct tn_error *err)
{
    if (!survey->pending) {
        survey->pending_capacity = SURVEY_BLOCK_BYTES;
        survey->pending = tn_malloc(survey->pending_capacity + RECORD_PADDING);
    }
    while (length) {
        size_t piece = TN_MIN(length, survey->pending_capacity - survey->pending_length);
        memcpy(survey->pending + survey->pending_length, text, piece);
        survey->pending_length += piece;
        text += piece;
        length -= piece;
        if (survey->pending_length == survey->pending_capacity)
            TN_TRY(cut(survey, err));
    }
    return TN_OK;
}

static enum tn_code finish_pending(struct survey *survey, struct tn_error *err)
{
    if (!survey->pending)
        return TN_OK;
    memset(survey->pending + survey->pending_length, 0, RECORD_PADDING);
    if (!survey->detected)
        detect(survey, true);
    size_t skip = survey->block_count == 0 ? survey->head_length : 0, open;
    (void)find_cut(survey, skip, &open);
    if (open != SIZE_MAX) {
        tn_group_wait(survey->group);
        return no_end(survey, skip + open, err);
    }
    if (survey->pending_length > skip || survey->block_count == 0)
        start_task(survey, skip, survey->pending_length - skip);
    return TN_OK;
}

enum tn_code survey_finish(struct survey *survey, struct tn_error *err)
{
    TN_TRY(finish_pending(survey, err));
    tn_group_wait(survey->group);
    uint64_t line =
        1 + profile_count_lines(survey->head ? survey->head : "", survey->head_length, line_end_of(survey));
    bool closed = false;
    for (size_t i = 0; i < survey->block_count; i++) {
        survey->blocks[i].first_line = line;
        line += survey->blocks[i].lines;
        closed |= survey->blocks[i].closed;
    }
    if (survey->detected && !survey->invalid && survey->format == INGEST_JSON && survey->layout == LAYOUT_ARRAY &&
        !closed) {
        tn_fail(err, TN_EUNREADABLE, "the JSON array is not closed: the file ends in line %llu",
                (unsigned long long)line);
        tn_error_hint(err, "the file may be cut off: export or download it again");
        return TN_EUNREADABLE;
    }
    return TN_OK;
}

uint64_t survey_line(const struct survey *survey, const struct profile_place *place)
{
    return place->block < survey->block_count ? survey->blocks[place->block].first_line + place->line : 0;
}
