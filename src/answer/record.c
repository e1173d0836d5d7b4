/* A record as JSON, and back. */
#include "answer/answer_internal.h"

#include <math.h>

/* ---- writing ------------------------------------------------------------------- */

static void put_page(struct tn_json *out, const char *title, int64_t page)
{
    tn_json_kstr(out, "title", title);
    tn_json_key(out, "page");
    if (page > 0)
        tn_json_i64(out, page);
    else
        tn_json_null(out);
}

void answer_put_snapshots(const struct answer_record *record, struct tn_json *out)
{
    tn_json_key(out, "snapshots");
    tn_json_open(out, '{');
    for (size_t i = 0; i < record->snapshot_count; i++)
        tn_json_ki64(out, record->snapshots[i].dataset, record->snapshots[i].snapshot_id);
    tn_json_close(out, '}');
}

static void put_chunks(const struct answer_record *record, struct tn_json *out)
{
    tn_json_key(out, "chunks");
    tn_json_open(out, '[');
    for (size_t i = 0; i < record->chunk_count; i++) {
        const struct answer_chunk *chunk = &record->chunks[i];
        tn_json_open(out, '{');
        tn_json_ki64(out, "source", chunk->source);
        tn_json_kstr(out, "doc_id", chunk->doc_id);
        tn_json_ki64(out, "chunk_no", chunk->chunk_no);
        tn_json_ki64(out, "chunk_id", chunk->chunk_id);
        tn_json_kstr(out, "column", chunk->column);
        tn_json_ki64(out, "begin", (int64_t)chunk->begin);
        tn_json_ki64(out, "end", (int64_t)chunk->end);
        tn_json_kstr(out, "hash", chunk->hash);
        tn_json_kreal(out, "score", chunk->score);
        tn_json_kreal(out, "similarity", chunk->similarity);
        put_page(out, chunk->title, chunk->page);
        tn_json_close(out, '}');
    }
    tn_json_close(out, ']');
}

void answer_put_citations(const struct answer_record *record, struct tn_json *out)
{
    tn_json_key(out, "citations");
    tn_json_open(out, '[');
    for (size_t i = 0; i < record->citation_count; i++) {
        const struct answer_citation *citation = &record->citations[i];
        tn_json_open(out, '{');
        tn_json_ki64(out, "source", citation->source);
        tn_json_kstr(out, "doc_id", citation->doc_id);
        tn_json_ki64(out, "chunk_no", citation->chunk_no);
        tn_json_kstr(out, "quote", citation->quote);
        put_page(out, citation->title, citation->page);
        tn_json_close(out, '}');
    }
    tn_json_close(out, ']');
    tn_json_key(out, "dropped");
    tn_json_open(out, '[');
    for (size_t i = 0; i < record->dropped_count; i++) {
        tn_json_open(out, '{');
        tn_json_ki64(out, "source", record->dropped[i].source);
        tn_json_kstr(out, "quote", record->dropped[i].quote);
        tn_json_kstr(out, "reason", record->dropped[i].reason);
        tn_json_close(out, '}');
    }
    tn_json_close(out, ']');
    tn_json_kstrs(out, "warnings", record->warnings, record->warning_count);
}

void answer_put_evidence(const struct answer_record *record, struct tn_json *out)
{
    tn_json_key(out, "evidence");
    tn_json_open(out, '{');
    tn_json_kreal(out, "similarity", record->similarity);
    tn_json_kreal(out, "words", record->words);
    tn_json_close(out, '}');
}

void answer_put_choice(const struct answer_record *record, struct tn_json *out)
{
    const struct answer_choice *choice = &record->choice;
    tn_json_key(out, "choice");
    tn_json_open(out, '{');
    tn_json_kstr(out, "how", choice->how);
    tn_json_kbool(out, "explored", choice->explored);
    tn_json_ki64(out, "trials", choice->trials);
    tn_json_kreal(out, "success_rate", choice->trials > 0 ? choice->success_rate : NAN);
    tn_json_kstr(out, "why", choice->why);
    tn_json_close(out, '}');
    tn_json_key(out, "usage");
    tn_json_open(out, '{');
    tn_json_ki64(out, "prompt_tokens", (int64_t)record->usage.prompt_tokens);
    tn_json_ki64(out, "answer_tokens", (int64_t)record->usage.answer_tokens);
    tn_json_kbool(out, "estimated", record->usage.estimated);
    tn_json_kf64(out, "model_ms", (double)record->usage.microseconds / 1000);
    tn_json_kf64(out, "cost_usd", record->cost);
    tn_json_close(out, '}');
}

static void put_what(const struct answer_record *record, struct tn_json *out)
{
    char time[TN_TIME_TEXT];
    tn_json_kstr(out, "answer_id", record->id);
    tn_json_kstr(out, "kind", record->kind);
    tn_json_kstr(out, "time", tn_time_format(record->time_us, time));
    tn_json_kstr(out, "actor", record->actor);
    tn_json_kstr(out, "question", record->question);
    tn_json_key(out, "request");
    if (record->request)
        tn_json_raw(out, record->request, strlen(record->request));
    else
        tn_json_null(out);
    tn_json_kstr(out, "replay_of", record->replay_of);
    tn_json_kstr(out, "model", record->model);
    tn_json_kstr(out, "model_version", record->model_version);
    tn_json_kstr(out, "prompt_version", record->prompt_version);
    answer_put_choice(record, out);
    tn_json_kstr(out, "index", record->index);
    tn_json_ki64(out, "generation", (int64_t)record->generation);
    tn_json_kstr(out, "embedding_model", record->embedding_model);
    tn_json_kstr(out, "embedding_version", record->embedding_version);
}

void answer_record_write(const struct answer_record *record, struct tn_json *out)
{
    tn_json_open(out, '{');
    put_what(record, out);
    answer_put_snapshots(record, out);
    put_chunks(record, out);
    tn_json_kstr(out, "sql", record->sql);
    tn_json_key(out, "row_count");
    if (record->row_count >= 0)
        tn_json_i64(out, record->row_count);
    else
        tn_json_null(out);
    tn_json_kstr(out, "result_hash", record->result_hash);
    tn_json_kstr(out, "answer", record->text);
    answer_put_citations(record, out);
    answer_put_evidence(record, out);
    tn_json_kbool(out, "refused", record->refused);
    tn_json_kstr(out, "reason", record->reason);
    tn_json_kstr(out, "error", record->error);
    tn_json_kf64(out, "search_ms", (double)record->search_us / 1000);
    tn_json_kf64(out, "elapsed_ms", (double)record->total_us / 1000);
    tn_json_kstr(out, "feedback", record->feedback > 0 ? "good" : record->feedback < 0 ? "bad" : NULL);
    tn_json_close(out, '}');
}

/* ---- reading -------------------------------------------------------------------- */

static const char *text_at(const json_t *object, const char *key, struct tn_arena *arena)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? tn_arena_strndup(arena, json_string_value(value), json_string_length(value))
                                 : NULL;
}

/* What the writer made of a number: beyond 2^53 it is a text. */
static int64_t whole(const json_t *value, int64_t otherwise)
{
    int64_t number = otherwise;
    if (json_is_integer(value))
        return json_integer_value(value);
    if (json_is_string(value))
        (void)tn_parse_i64(json_string_value(value), &number);
    return number;
}

static int64_t number_at(const json_t *object, const char *key)
{
    return whole(json_object_get(object, key), 0);
}

static uint32_t small_at(const json_t *object, const char *key)
{
    int64_t value = number_at(object, key);
    return value < 0 || value > UINT32_MAX ? 0 : (uint32_t)value;
}

static uint64_t count_at(const json_t *object, const char *key)
{
    int64_t value = number_at(object, key);
    return value < 0 ? 0 : (uint64_t)value;
}

static double real_at(const json_t *object, const char *key, double otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

/* "12.345" milliseconds; never beyond what a uint64_t holds. */
static uint64_t microseconds_at(const json_t *object, const char *key)
{
    double value = real_at(object, key, 0) * 1000;
    return value > 0 && value < 1e15 ? (uint64_t)(value + 0.5) : 0;
}

static void read_snapshots(const json_t *object, struct tn_arena *arena, struct answer_record *ret)
{
    json_t *list = json_object_get(object, "snapshots");
    struct answer_snapshot *snapshots = TN_ARENA_ARRAY(arena, struct answer_snapshot, json_object_size(list) + 1);
    const char *key;
    json_t *value;
    json_object_foreach(list, key, value) snapshots[ret->snapshot_count++] =
        (struct answer_snapshot){tn_arena_strdup(arena, key), whole(value, 0)};
    ret->snapshots = snapshots;
}

static void read_chunks(const json_t *object, struct tn_arena *arena, struct answer_record *ret)
{
    const json_t *list = json_object_get(object, "chunks"), *item;
    struct answer_chunk *chunks = TN_ARENA_ARRAY(arena, struct answer_chunk, json_array_size(list) + 1);
    size_t i;
    json_array_foreach(list, i, item)
    {
        const char *hash = json_string_value(json_object_get(item, "hash"));
        chunks[i] = (struct answer_chunk){.doc_id = text_at(item, "doc_id", arena),
                                          .column = text_at(item, "column", arena),
                                          .chunk_no = small_at(item, "chunk_no"),
                                          .chunk_id = number_at(item, "chunk_id"),
                                          .begin = count_at(item, "begin"),
                                          .end = count_at(item, "end"),
                                          .score = real_at(item, "score", 0),
                                          .similarity = real_at(item, "similarity", NAN),
                                          .source = small_at(item, "source"),
                                          .title = text_at(item, "title", arena),
                                          .page = number_at(item, "page")};
        snprintf(chunks[i].hash, sizeof chunks[i].hash, "%s", hash ? hash : "");
    }
    ret->chunks = chunks;
    ret->chunk_count = json_array_size(list);
}

static void read_citations(const json_t *object, struct tn_arena *arena, struct answer_record *ret)
{
    const json_t *list = json_object_get(object, "citations"), *item;
    struct answer_citation *citations = TN_ARENA_ARRAY(arena, struct answer_citation, json_array_size(list) + 1);
    size_t i;
    json_array_foreach(list, i, item) citations[i] =
        (struct answer_citation){.source = small_at(item, "source"),
                                 .doc_id = text_at(item, "doc_id", arena),
                                 .chunk_no = small_at(item, "chunk_no"),
                                 .quote = text_at(item, "quote", arena),
                                 .title = text_at(item, "title", arena),
                                 .page = number_at(item, "page")};
    ret->citations = citations;
    ret->citation_count = json_array_size(list);
}

static void read_remarks(const json_t *object, struct tn_arena *arena, struct answer_record *ret)
{
    const json_t *list = json_object_get(object, "dropped"), *item;
    struct answer_dropped *dropped = TN_ARENA_ARRAY(arena, struct answer_dropped, json_array_size(list) + 1);
    size_t i;
    json_array_foreach(list, i, item) dropped[i] = (struct answer_dropped){
        small_at(item, "source"), text_at(item, "quote", arena), text_at(item, "reason", arena)};
    ret->dropped = dropped;
    ret->dropped_count = json_array_size(list);
    list = json_object_get(object, "warnings");
    const char **warnings = TN_ARENA_ARRAY(arena, const char *, json_array_size(list) + 1);
    json_array_foreach(list, i, item) warnings[i] =
        tn_arena_strdup(arena, json_is_string(item) ? json_string_value(item) : "");
    ret->warnings = warnings;
    ret->warning_count = json_array_size(list);
}

static void read_use(const json_t *object, struct tn_arena *arena, struct answer_record *ret)
{
    const json_t *choice = json_object_get(object, "choice"), *usage = json_object_get(object, "usage");
    ret->choice = (struct answer_choice){.how = text_at(choice, "how", arena),
                                         .explored = json_is_true(json_object_get(choice, "explored")),
                                         .trials = number_at(choice, "trials"),
                                         .success_rate = real_at(choice, "success_rate", NAN),
                                         .why = text_at(choice, "why", arena)};
    ret->usage = (struct model_usage){.prompt_tokens = count_at(usage, "prompt_tokens"),
                                      .answer_tokens = count_at(usage, "answer_tokens"),
                                      .estimated = json_is_true(json_object_get(usage, "estimated")),
                                      .microseconds = microseconds_at(usage, "model_ms")};
    ret->cost = real_at(usage, "cost_usd", 0);
}

static void read_texts(const json_t *object, struct tn_arena *arena, struct answer_record *ret)
{
    const struct {
        const char *key;
        const char **into;
    } texts[] = {
        {"kind", &ret->kind},
        {"actor", &ret->actor},
        {"question", &ret->question},
        {"replay_of", &ret->replay_of},
        {"model", &ret->model},
        {"model_version", &ret->model_version},
        {"prompt_version", &ret->prompt_version},
        {"index", &ret->index},
        {"embedding_model", &ret->embedding_model},
        {"embedding_version", &ret->embedding_version},
        {"sql", &ret->sql},
        {"result_hash", &ret->result_hash},
        {"answer", &ret->text},
        {"reason", &ret->reason},
        {"error", &ret->error},
    };
    for (size_t i = 0; i < TN_COUNT(texts); i++)
        *texts[i].into = text_at(object, texts[i].key, arena);
    const json_t *request = json_object_get(object, "request");
    if (json_is_object(request)) {
        TN_AUTO_BUF text = {0};
        tn_json_dump(request, &text);
        ret->request = tn_arena_strdup(arena, text.data);
    }
}

enum tn_code answer_record_read(const json_t *object, struct tn_arena *arena, struct answer_record *ret,
                                struct tn_error *err)
{
    struct answer_record record = {.row_count = whole(json_object_get(object, "row_count"), -1)};
    const char *id = json_string_value(json_object_get(object, "answer_id"));
    const char *time = json_string_value(json_object_get(object, "time"));
    read_texts(object, arena, &record);
    if (!id || strlen(id) != TN_UUID_TEXT - 1 || !record.kind || !record.question || !time ||
        !tn_time_parse(time, &record.time_us))
        return tn_fail(err, TN_ECORRUPT, "an answer's record has no id, kind, question or time");
    memcpy(record.id, id, TN_UUID_TEXT);
    read_snapshots(object, arena, &record);
    read_chunks(object, arena, &record);
    read_citations(object, arena, &record);
    read_remarks(object, arena, &record);
    read_use(object, arena, &record);
    record.similarity = real_at(json_object_get(object, "evidence"), "similarity", NAN);
    record.words = real_at(json_object_get(object, "evidence"), "words", 0);
    record.generation = count_at(object, "generation");
    record.refused = json_is_true(json_object_get(object, "refused"));
    record.search_us = microseconds_at(object, "search_ms");
    record.total_us = microseconds_at(object, "elapsed_ms");
    *ret = record;
    return TN_OK;
}
