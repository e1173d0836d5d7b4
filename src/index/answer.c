/* Hits with their texts and rows, and the answer as JSON. */
#include "index/search.h"

#include <math.h>

void index_answer_free(struct index_answer *answer)
{
    if (!answer)
        return;
    tn_arena_free(answer->arena);
    free(answer);
}

enum tn_code answer_fill(struct search *search, bool *ret_lost, struct tn_error *err)
{
    struct index_answer *answer = search->answer;
    struct index_hit *hits = TN_ARENA_ARRAY(answer->arena, struct index_hit, search->count + 1);
    size_t count = 0;
    *ret_lost = false;
    for (size_t i = 0; i < search->count; i++) {
        const struct candidate *candidate = &search->candidates[i];
        struct chunk_record record;
        enum tn_code code = chunk_file_get(search->logical->chunks, candidate->id, &record, err);
        if (code == TN_ENOTFOUND && search->last)
            continue;
        if (code == TN_ENOTFOUND) {
            *ret_lost = true;
            return TN_OK;
        }
        TN_TRY(code);
        hits[count++] =
            (struct index_hit){.chunk_id = candidate->id,
                               .doc_id = tn_arena_strndup(answer->arena, record.doc_id, record.doc_id_length),
                               .column = tn_arena_strndup(answer->arena, record.column, record.column_length),
                               .chunk_no = record.number,
                               .begin = record.begin,
                               .end = record.end,
                               .score = candidate->score,
                               .text = tn_arena_strndup(answer->arena, record.text, record.text_length),
                               .text_length = record.text_length,
                               .vector_score = candidate->vector,
                               .keyword_score = candidate->keyword,
                               .vector_rank = candidate->vector_rank,
                               .keyword_rank = candidate->keyword_rank};
    }
    answer->hits = hits;
    answer->hit_count = count;
    return TN_OK;
}

/* ---- rows ------------------------------------------------------------------------ */

struct row_reading {
    struct index_answer *answer;
    const struct engine_column *columns;
    size_t count;
};

static enum tn_code take_row(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct row_reading *reading = context;
    const char *row = NULL;
    (void)err;
    for (size_t i = 0; i < reading->answer->hit_count; i++) {
        struct index_hit *hit = &reading->answer->hits[i];
        if (hit->row || strlen(hit->doc_id) != cells[0].text.length ||
            memcmp(hit->doc_id, cells[0].text.data, cells[0].text.length) != 0)
            continue;
        if (!row) {
            TN_AUTO_BUF out = {0};
            for (size_t c = 1; c < reading->count; c++) {
                tn_buf_putc(&out, c > 1 ? ',' : '{');
                tn_json_quote(&out, reading->columns[c].name, strlen(reading->columns[c].name));
                tn_buf_putc(&out, ':');
                engine_cell_json(&reading->columns[c], &cells[c], &out);
            }
            tn_buf_putc(&out, '}');
            row = tn_arena_strdup(reading->answer->arena, out.data);
        }
        hit->row = row;
    }
    return TN_OK;
}

enum tn_code answer_rows(struct search *search, struct tn_error *err)
{
    struct index_answer *answer = search->answer;
    AUTO_RELATION relation = {0};
    TN_AUTO_BUF sql = {0};
    if (answer->hit_count == 0)
        return TN_OK;
    TN_TRY(relation_open(search->logical, answer->snapshot_id, answer->arena, &relation, err));
    tn_buf_printf(&sql, "SELECT %s AS tarn_doc, * FROM (%s) WHERE tarn_doc IN (", relation.doc_id,
                  relation.made.definition);
    for (size_t i = 0; i < answer->hit_count; i++) {
        tn_buf_puts(&sql, i ? ", " : "");
        tn_buf_put_sql_string(&sql, answer->hits[i].doc_id);
    }
    tn_buf_putc(&sql, ')');
    struct row_reading reading = {.answer = answer};
    const struct engine_select select = {.sql = sql.data};
    return engine_select(search->logical->service->lake->engine, &select, answer->arena, &reading.columns,
                         &reading.count, take_row, &reading, err);
}

/* ---- JSON -------------------------------------------------------------------------- */

static void put_number(struct tn_json *out, const char *key, double value)
{
    tn_json_key(out, key);
    if (isnan(value))
        tn_json_null(out);
    else
        tn_json_f64(out, value);
}

void answer_put_hit(const struct index_hit *hit, const struct index_answer *of, bool explain, struct tn_json *out)
{
    tn_json_open(out, '{');
    if (of) {
        tn_json_kstr(out, "dataset", of->dataset);
        tn_json_kstr(out, "index", of->index);
    }
    tn_json_kstr(out, "doc_id", hit->doc_id);
    tn_json_ki64(out, "chunk_no", hit->chunk_no);
    put_number(out, "score", hit->score);
    tn_json_key(out, "text");
    tn_json_strn(out, hit->text, hit->text_length);
    tn_json_key(out, "row");
    if (hit->row)
        tn_json_raw(out, hit->row, strlen(hit->row));
    else
        tn_json_null(out);
    if (explain) {
        tn_json_ki64(out, "chunk_id", hit->chunk_id);
        tn_json_kstr(out, "column", hit->column);
        tn_json_ki64(out, "begin", (int64_t)hit->begin);
        tn_json_ki64(out, "end", (int64_t)hit->end);
        put_number(out, "vector_score", hit->vector_score);
        put_number(out, "keyword_score", hit->keyword_score);
        tn_json_ki64(out, "vector_rank", hit->vector_rank);
        tn_json_ki64(out, "keyword_rank", hit->keyword_rank);
    }
    tn_json_close(out, '}');
}

static void put_plan(const struct index_answer *answer, bool explain, struct tn_json *out)
{
    tn_json_open(out, '{');
    tn_json_kstr(out, "strategy", answer->strategy);
    tn_json_ki64(out, "distances", answer->distances);
    tn_json_ki64(out, "hops", answer->hops);
    put_number(out, "estimated_recall", answer->estimated_recall);
    if (explain) {
        tn_json_ki64(out, "window", answer->window);
        tn_json_ki64(out, "reranked", answer->reranked);
        put_number(out, "selectivity", answer->selectivity);
        tn_json_key(out, "passing");
        if (answer->passing == UINT64_MAX)
            tn_json_null(out);
        else
            tn_json_u64(out, answer->passing);
        tn_json_ki64(out, "vector_candidates", (int64_t)answer->vector_candidates);
        tn_json_ki64(out, "keyword_candidates", (int64_t)answer->keyword_candidates);
        tn_json_kstr(out, "keyword_query", answer->keyword_query);
        tn_json_key(out, "microseconds");
        tn_json_open(out, '{');
        tn_json_ki64(out, "embed", (int64_t)answer->embed_us);
        tn_json_ki64(out, "filter", (int64_t)answer->filter_us);
        tn_json_ki64(out, "vector", (int64_t)answer->vector_us);
        tn_json_ki64(out, "keyword", (int64_t)answer->keyword_us);
        tn_json_ki64(out, "fetch", (int64_t)answer->fetch_us);
        tn_json_close(out, '}');
    }
    tn_json_close(out, '}');
}

/* What was asked, and what it cost. */
void answer_put_state(const struct index_answer *answer, bool explain, struct tn_json *out)
{
    tn_json_ki64(out, "generation", (int64_t)answer->generation);
    tn_json_kstr(out, "model", answer->model);
    tn_json_kstr(out, "model_version", answer->model_version);
    tn_json_ki64(out, "snapshot_id", answer->snapshot_id);
    tn_json_kbool(out, "behind", answer->behind);
    tn_json_key(out, "plan");
    put_plan(answer, explain, out);
    tn_json_kf64(out, "elapsed_ms", (double)answer->total_us / 1000);
}

void index_answer_write(const struct index_answer *answer, bool explain, struct tn_json *out)
{
    tn_json_open(out, '{');
    tn_json_kstr(out, "query_id", answer->query_id);
    tn_json_kstr(out, "index", answer->index);
    tn_json_kstr(out, "dataset", answer->dataset);
    tn_json_key(out, "hits");
    tn_json_open(out, '[');
    for (size_t i = 0; i < answer->hit_count; i++)
        answer_put_hit(&answer->hits[i], NULL, explain, out);
    tn_json_close(out, ']');
    answer_put_state(answer, explain, out);
    tn_json_close(out, '}');
}
