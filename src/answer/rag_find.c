/* The passages of a question: searched, or those of an answer that was given. */
#include "answer/rag.h"
#include "engine/engine.h"

#include <inttypes.h>
#include <math.h>

/* Beyond what is wanted: copies are left out, and there is something to reorder. */
#define MORE_THAN_WANTED 8

static void hash_text(const char *text, size_t length, char ret[TN_HASH_HEX])
{
    struct tn_hash hash;
    tn_hash_init(&hash);
    tn_hash_update(&hash, text, length);
    tn_hash_final_hex(&hash, ret);
}

static void take_hits(struct rag_run *run, const struct index_answer *answer)
{
    struct tn_arena *arena = run->arena;
    run->passages = TN_ARENA_ARRAY(arena, struct passage, answer->hit_count + 1);
    run->passage_count = answer->hit_count;
    for (size_t i = 0; i < answer->hit_count; i++) {
        const struct index_hit *hit = &answer->hits[i];
        struct passage *passage = &run->passages[i];
        *passage = (struct passage){.chunk = {.doc_id = tn_arena_strdup(arena, hit->doc_id),
                                              .column = tn_arena_strdup(arena, hit->column),
                                              .chunk_no = hit->chunk_no,
                                              .chunk_id = hit->chunk_id,
                                              .begin = hit->begin,
                                              .end = hit->end,
                                              .score = hit->score,
                                              .similarity = hit->vector_score},
                                    .text = tn_arena_strndup(arena, hit->text, hit->text_length),
                                    .length = hit->text_length};
        hash_text(passage->text, passage->length, passage->chunk.hash);
    }
}

static void take_origin(struct rag_run *run, const struct index_answer *answer)
{
    struct answer_record *record = run->record;
    struct answer_snapshot *snapshot = TN_ARENA_ARRAY(run->arena, struct answer_snapshot, 1);
    run->dataset = tn_arena_strdup(run->arena, answer->dataset);
    *snapshot = (struct answer_snapshot){run->dataset, answer->snapshot_id};
    record->snapshots = snapshot;
    record->snapshot_count = 1;
    record->generation = answer->generation;
    record->embedding_model = tn_arena_strdup(run->arena, answer->model);
    record->embedding_version = tn_arena_strdup(run->arena, answer->model_version);
    record->search_us = answer->total_us;
    if (answer->vector) {
        float *vector = TN_ARENA_ARRAY(run->arena, float, answer->dimension);
        memcpy(vector, answer->vector, answer->dimension * sizeof *vector);
        run->question = vector;
        run->question_size = answer->dimension;
    }
    if (answer->behind)
        rag_warn(run, "rows of the last commits are not searchable yet");
}

enum tn_code rag_find(struct rag_run *run, struct tn_error *err)
{
    const struct answer_rag *rag = run->rag;
    struct index_service *indexes = run->service->options.indexes;
    TN_CLEANUP(index_answer_free_p) struct index_answer *answer = NULL;
    TN_AUTO_FREE char *chosen = NULL;
    if (!rag->index)
        TN_TRY(index_of_dataset(indexes, rag->dataset, &chosen, err));
    run->record->index = tn_arena_strdup(run->arena, rag->index ? rag->index : chosen);
    uint32_t k = rag->k ? rag->k : ANSWER_K;
    const struct index_query query = {.index = run->record->index,
                                      .text = rag->question,
                                      .k = TN_MIN(2 * k + MORE_THAN_WANTED, (uint32_t)INDEX_K_MAX),
                                      .mode = INDEX_HYBRID,
                                      .weight = -1,
                                      .filter = rag->filter};
    TN_TRY(index_search(indexes, &query, &answer, err));
    take_origin(run, answer);
    take_hits(run, answer);
    return TN_OK;
}

/* ---- those of an answer that was given ------------------------------------------------- */

static enum tn_code take_text(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct rag_run *run = context;
    (void)err;
    for (size_t i = 0; i < run->passage_count && !cells[1].null; i++) {
        struct passage *passage = &run->passages[i];
        char hash[TN_HASH_HEX];
        if (passage->chunk.chunk_id != cells[0].integer)
            continue;
        hash_text(cells[1].text.data, cells[1].text.length, hash);
        if (tn_streq(hash, passage->chunk.hash)) {
            passage->text = tn_arena_strndup(run->arena, cells[1].text.data, cells[1].text.length);
            passage->length = cells[1].text.length;
        }
    }
    return TN_OK;
}

/* The texts as the table of vectors had them when the answer was given. */
static enum tn_code read_texts(struct rag_run *run, const struct answer_record *then, struct tn_error *err)
{
    struct lake *lake = run->service->options.lake;
    const struct engine_resolver resolver = dataset_resolver(lake);
    const struct engine_table_ref ref = {.name = tn_arena_printf(run->arena, "%s" INDEX_VECTORS_SUFFIX, then->index),
                                         .at = ENGINE_AT_TIMESTAMP,
                                         .at_timestamp_us = then->time_us};
    struct engine_relation relation = {0};
    TN_AUTO_BUF sql = {0};
    TN_TRY(resolver.resolve(resolver.context, &ref, run->arena, &relation, err));
    tn_buf_printf(&sql, "SELECT chunk_id, text FROM (%s) WHERE chunk_id IN (-1", relation.definition);
    for (size_t i = 0; i < run->passage_count; i++)
        tn_buf_printf(&sql, ", %" PRId64, run->passages[i].chunk.chunk_id);
    tn_buf_putc(&sql, ')');
    const struct engine_select select = {.sql = sql.data};
    enum tn_code code = engine_select(lake->engine, &select, NULL, NULL, NULL, take_text, run, err);
    engine_hold_unref(relation.hold);
    return code;
}

enum tn_code rag_find_again(struct rag_run *run, const struct answer_record *then, struct tn_error *err)
{
    struct answer_record *record = run->record;
    size_t missing = 0;
    if (!then->index)
        return tn_fail(err, TN_EREQUEST, "answer %s was found in no index", then->id);
    run->passages = TN_ARENA_ARRAY(run->arena, struct passage, then->chunk_count + 1);
    run->passage_count = then->chunk_count;
    for (size_t i = 0; i < then->chunk_count; i++) {
        run->passages[i].chunk = then->chunks[i];
        run->passages[i].chunk.source = 0;
    }
    record->index = then->index;
    record->generation = then->generation;
    record->embedding_model = then->embedding_model;
    record->embedding_version = then->embedding_version;
    record->snapshots = then->snapshots;
    record->snapshot_count = then->snapshot_count;
    run->dataset = then->snapshot_count ? then->snapshots[0].dataset : NULL;
    if (run->passage_count > 0)
        TN_TRY(read_texts(run, then, err));
    for (size_t i = 0; i < run->passage_count; i++)
        missing += run->passages[i].text == NULL;
    if (missing == 0)
        return TN_OK;
    tn_fail(err, TN_ESNAPSHOT, "%zu of the %zu passages of answer %s cannot be had any more as they were", missing,
            run->passage_count, then->id);
    tn_error_hint(err, "replay it over the data as they are now");
    return TN_ESNAPSHOT;
}
