/* From a question to an answer that is recorded. */
#include "answer/rag.h"

#include <math.h>

void rag_warn(struct rag_run *run, const char *format, ...)
{
    va_list args;
    TN_AUTO_BUF text = {0};
    if (run->warning_count == RAG_WARNINGS_MAX)
        return;
    va_start(args, format);
    tn_buf_vprintf(&text, format, args);
    va_end(args);
    run->warnings[run->warning_count++] = tn_arena_strdup(run->arena, text.data ? text.data : "");
}

void rag_refuse(struct rag_run *run, const char *format, ...)
{
    va_list args;
    TN_AUTO_BUF text = {0};
    va_start(args, format);
    tn_buf_vprintf(&text, format, args);
    va_end(args);
    run->record->refused = true;
    run->record->reason = tn_arena_strdup(run->arena, text.data ? text.data : "");
    run->record->text = "";
    run->record->citation_count = 0;
}

/* ---- the request ----------------------------------------------------------------------- */

static enum tn_code check(const struct answer_rag *rag, struct tn_error *err)
{
    const char *at = rag->question;
    while (at && *at && strchr(" \n\t\r", *at))
        at++;
    if (!at || !*at)
        return tn_fail(err, TN_EREQUEST, "there is no question");
    if (strlen(rag->question) > ANSWER_QUESTION_MAX)
        return tn_fail(err, TN_EREQUEST, "a question has at most %d bytes", ANSWER_QUESTION_MAX);
    if (rag->k > ANSWER_K_MAX)
        return tn_fail(err, TN_EREQUEST, "k is at most %d", ANSWER_K_MAX);
    if (rag->index && rag->dataset)
        return tn_fail(err, TN_EREQUEST, "name an index or a dataset, not both");
    return TN_OK;
}

static const char *request_json(const struct answer_rag *rag, struct tn_arena *arena)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    const struct {
        const char *key, *value;
    } texts[] = {{"index", rag->index}, {"dataset", rag->dataset}, {"model", rag->model}, {"filter", rag->filter}};
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "question", rag->question);
    for (size_t i = 0; i < TN_COUNT(texts); i++)
        if (texts[i].value)
            tn_json_kstr(&json, texts[i].key, texts[i].value);
    tn_json_ki64(&json, "k", rag->k ? rag->k : ANSWER_K);
    if (rag->rerank)
        tn_json_kbool(&json, "rerank", true);
    tn_json_close(&json, '}');
    return tn_arena_strdup(arena, text.data);
}

/* A default model whose provider is away does not keep anybody from the passages. */
static enum tn_code choose_model(struct rag_run *run, struct tn_error *err)
{
    struct tn_error why = {0};
    bool named = run->rag->model && !tn_streq(run->rag->model, "auto");
    enum tn_code code = answer_model_choose(run->service, "rag", run->rag->model, run->arena, &run->model, &why);
    if (code != TN_OK && !named && code != TN_ECANCELLED) {
        rag_warn(run, "no language model answers (%s: %.200s); these are the passages' own sentences",
                 tn_code_word(code), why.detail);
        run->model =
            (struct answer_model){.choice = {.how = "none", .success_rate = NAN, .why = "no language model answers"}};
        code = TN_OK;
    }
    if (code != TN_OK && err)
        *err = why;
    run->record->model = run->model.name;
    run->record->model_version = run->model.version;
    run->record->choice = run->model.choice;
    return code;
}

/* ---- is it worth asking ------------------------------------------------------------------- */

/* The limits hold for the model that they were measured on. */
static bool judged_by(const struct rag_run *run, double *ret_limit)
{
    *ret_limit = run->service->options.settings.similarity;
    return *ret_limit >= 0 ||
           (run->record->embedding_model && tn_streq(run->record->embedding_model, "builtin/" MODEL_DEFAULT_NAME));
}

static void ask_nobody(struct rag_run *run)
{
    if (!run->model.name)
        return;
    run->model.name = run->record->model = run->record->model_version = NULL;
    run->record->choice = (struct answer_choice){
        .how = "none", .success_rate = NAN, .why = "what was found is too weak to ask a model about"};
}

static bool refuse_weak(struct rag_run *run)
{
    double limit;
    if (run->passage_count == 0) {
        ask_nobody(run);
        rag_refuse(run, "nothing_found: no passage%s", run->rag->filter ? " passes the filter" : " is in the index");
        return true;
    }
    struct evidence evidence = evidence_of(run->rag->question, run->passages, run->passage_count, run->arena);
    run->record->similarity = evidence.similarity;
    run->record->words = evidence.words;
    if (!judged_by(run, &limit) || !evidence_weak(&evidence, limit))
        return false;
    ask_nobody(run);
    rag_refuse(run,
               "weak_retrieval: nothing found comes near the question (similarity %.2f, %.0f %% of its words in one "
               "passage)",
               isfinite(evidence.similarity) ? evidence.similarity : 0, 100 * evidence.words);
    return true;
}

/* ---- sources ---------------------------------------------------------------------------------- */

static size_t count_by_model(void *context, const char *text, size_t length)
{
    const struct rag_run *run = context;
    return model_count_tokens(run->service->options.models, NULL, (struct model_text){text, length});
}

static size_t count_by_length(void *context, const char *text, size_t length)
{
    (void)context;
    (void)text;
    return length / 4 + 1;
}

/* Room for passages: the settings' and what the model reads beside rules,
 * question and answer. */
static size_t room(const struct rag_run *run)
{
    const struct answer_settings *settings = &run->service->options.settings;
    size_t beside = 400 + strlen(run->rag->question) / 3 + settings->answer_tokens;
    size_t tokens = settings->context_tokens;
    if (run->model.max_tokens > beside)
        tokens = TN_MIN(tokens, run->model.max_tokens - beside);
    return tokens;
}

static void pack(struct rag_run *run)
{
    bool asked = run->model.name != NULL;
    const struct packing packing = {.most = run->rag->k ? run->rag->k : ANSWER_K,
                                    .tokens = asked ? room(run) : SIZE_MAX / 2,
                                    .count_tokens = asked ? count_by_model : count_by_length,
                                    .context = run};
    sources_pack(run->passages, run->passage_count, &packing, run->arena, &run->sources);
    if (run->sources.unfit > 0)
        rag_warn(run, "%zu passages were left out: there was no room for them in %zu tokens", run->sources.unfit,
                 packing.tokens);
}

static void take_chunks(struct rag_run *run)
{
    size_t most = TN_MIN(run->passage_count, (size_t)(run->rag->k ? run->rag->k : ANSWER_K)), count = 0;
    struct answer_chunk *chunks = TN_ARENA_ARRAY(run->arena, struct answer_chunk, run->passage_count + 1);
    for (size_t i = 0; i < run->passage_count; i++)
        if (i < most || run->passages[i].chunk.source > 0)
            chunks[count++] = run->passages[i].chunk;
    run->record->chunks = chunks;
    run->record->chunk_count = count;
}

static enum tn_code tell_sources(struct rag_run *run)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    if (!run->listener->sources)
        return TN_OK;
    tn_json_open(&json, '[');
    for (size_t i = 0; i < run->sources.count; i++) {
        const struct source *source = &run->sources.items[i];
        const struct answer_chunk *chunk = source_chunk(source, 0);
        tn_json_open(&json, '{');
        tn_json_ki64(&json, "source", source->number);
        tn_json_kstr(&json, "doc_id", chunk->doc_id);
        tn_json_ki64(&json, "chunk_no", chunk->chunk_no);
        tn_json_kstr(&json, "title", chunk->title);
        tn_json_key(&json, "page");
        if (chunk->page > 0)
            tn_json_i64(&json, chunk->page);
        else
            tn_json_null(&json);
        tn_json_key(&json, "text");
        tn_json_strn(&json, source->text, source->length);
        tn_json_close(&json, '}');
    }
    tn_json_close(&json, ']');
    return run->listener->sources(run->listener->context, text.data, text.len);
}

/* ---- all of it ------------------------------------------------------------------------------------ */

static enum tn_code work(struct rag_run *run, struct tn_error *err)
{
    const struct answer_rag *rag = run->rag;
    TN_TRY(choose_model(run, err));
    TN_TRY(rag->passages_of ? rag_find_again(run, rag->passages_of, err) : rag_find(run, err));
    bool weak = refuse_weak(run);
    if (!weak && rag->rerank)
        rag_rerank(run);
    if (!weak) {
        pack(run);
        titles_fill(run->service->options.lake, run->dataset,
                    run->record->snapshot_count ? run->record->snapshots[0].snapshot_id : 0, run->passages,
                    run->passage_count, run->arena);
    }
    TN_TRY(tell_sources(run));
    enum tn_code code = weak ? TN_OK : rag_write(run, err);
    take_chunks(run);
    return code;
}

/* A trial of the model succeeded when there is an answer and all that it cites
 * stands there. */
static bool succeeded(const struct answer_record *record)
{
    return !record->refused && record->citation_count > 0 && record->dropped_count == 0;
}

static enum tn_code record_it(struct rag_run *run, enum tn_code code, uint64_t started, struct tn_error *err)
{
    struct answer_record *record = run->record;
    if (record->model)
        record->cost = answer_cost(run->service, record->model, &record->usage);
    record->warnings = run->warnings;
    record->warning_count = run->warning_count;
    record->error = code == TN_OK ? NULL : tn_code_word(code);
    record->total_us = (tn_mono_ns() - started) / 1000;
    enum tn_code saved = answer_save(run->service, record, err);
    answer_outcome(run->service, record, succeeded(record), code);
    return saved;
}

enum tn_code answer_rag(struct answer_service *service, const struct answer_rag *rag,
                        const struct answer_listener *listener, struct tn_arena *arena, struct answer_record *ret,
                        struct tn_error *err)
{
    static const struct answer_listener nobody = {0};
    uint64_t started = tn_mono_ns();
    TN_TRY(check(rag, err));
    struct answer_record record = {.kind = "rag",
                                   .time_us = tn_now_us(),
                                   .actor = rag->actor,
                                   .question = tn_arena_strdup(arena, rag->question),
                                   .request = request_json(rag, arena),
                                   .replay_of = rag->replay_of,
                                   .row_count = -1,
                                   .similarity = NAN,
                                   .text = ""};
    struct rag_run run = {.service = service,
                          .rag = rag,
                          .listener = listener ? listener : &nobody,
                          .arena = arena,
                          .record = &record,
                          .warnings = TN_ARENA_ARRAY(arena, const char *, RAG_WARNINGS_MAX)};
    (void)tn_uuid7(record.id);
    enum tn_code code = work(&run, err);
    if (code == TN_OK || (record.model && code != TN_ECANCELLED)) { /* a model's failure is worth remembering */
        struct tn_error lost = {0};
        enum tn_code saved = record_it(&run, code, started, &lost);
        if (code == TN_OK && saved != TN_OK && err)
            *err = lost;
        code = code == TN_OK ? saved : code;
    }
    TN_TRY(code);
    *ret = record;
    return TN_OK;
}

void answer_rag_write(const struct answer_record *record, struct tn_json *out)
{
    tn_json_open(out, '{');
    tn_json_kstr(out, "answer_id", record->id);
    tn_json_kstr(out, "answer", record->text);
    answer_put_citations(record, out);
    answer_put_evidence(record, out);
    tn_json_kbool(out, "refused", record->refused);
    tn_json_kstr(out, "reason", record->reason);
    tn_json_kstr(out, "model", record->model);
    tn_json_kstr(out, "model_version", record->model_version);
    tn_json_kstr(out, "index", record->index);
    answer_put_snapshots(record, out);
    tn_json_ki64(out, "generation", (int64_t)record->generation);
    answer_put_choice(record, out);
    tn_json_kf64(out, "search_ms", (double)record->search_us / 1000);
    tn_json_kf64(out, "elapsed_ms", (double)record->total_us / 1000);
    tn_json_close(out, '}');
}

/* ---- again ------------------------------------------------------------------------------------------- */

static enum tn_code again(struct answer_service *service, const struct answer_record *then,
                          const struct answer_again *how, struct tn_arena *arena, struct answer_record *ret_now,
                          struct tn_error *err)
{
    TN_AUTO_JSON *request = NULL;
    struct answer_rag rag = {.actor = how->actor, .replay_of = then->id, .passages_of = how->as_then ? then : NULL};
    int64_t k = ANSWER_K;
    const char *text = then->request ? then->request : "{}";
    TN_TRY(tn_json_parse(text, strlen(text), ANSWER_PAYLOAD_MAX, "the answer's request", &request, err));
    const struct tn_json_field fields[] = {
        {.name = "question", .kind = TN_JSON_STRING, .ret = &rag.question, .required = true},
        {.name = "index", .kind = TN_JSON_STRING, .ret = &rag.index},
        {.name = "dataset", .kind = TN_JSON_STRING, .ret = &rag.dataset},
        {.name = "model", .kind = TN_JSON_STRING, .ret = &rag.model},
        {.name = "filter", .kind = TN_JSON_STRING, .ret = &rag.filter},
        {.name = "k", .kind = TN_JSON_INT, .ret = &k, .min = 1, .max = ANSWER_K_MAX},
        {.name = "rerank", .kind = TN_JSON_BOOL, .ret = &rag.rerank},
    };
    TN_TRY(tn_json_read(request, "the answer's request", fields, TN_COUNT(fields), err));
    rag.k = (uint32_t)k;
    if (how->model)
        rag.model = how->model;
    const struct answer_listener listener = {.cancel = how->cancel};
    return answer_rag(service, &rag, &listener, arena, ret_now, err);
}

const struct answer_kind answer_kind_rag = {.name = "rag", .again = again};
