/* The answer from the sources: by a language model, or without one. */
#include "answer/rag.h"

/* ---- reranking -------------------------------------------------------------------- */

enum { RERANK_MOST = 20 };

void rag_rerank(struct rag_run *run)
{
    struct model_message messages[2];
    struct tn_error why = {0};
    TN_AUTO_BUF text = {0};
    size_t count = TN_MIN(run->passage_count, (size_t)RERANK_MOST);
    if (!run->model.name || count < 2)
        return;
    rag_rerank_prompt(run->rag->question, run->passages, count, run->arena, messages);
    const struct answer_call call = {.model = run->model.name,
                                     .messages = messages,
                                     .count = TN_COUNT(messages),
                                     .json = true,
                                     .cancel = run->listener->cancel};
    if (answer_model_call(run->service, &call, &text, &run->record->usage, &why) != TN_OK)
        rag_warn(run, "%s did not order the passages: %.200s", run->model.name, why.detail);
    else if (!rag_rerank_read(text.data, text.len, run->passages, count, run->arena))
        rag_warn(run, "%s gave no order of the passages", run->model.name);
}

/* ---- what a model says ---------------------------------------------------------------- */

/* Words go on as they come, once they cannot be the sentinel any more. */
struct telling {
    struct rag_run *run;
    struct tn_buf held;
    bool open;
};

static enum tn_code tell(struct rag_run *run, const char *text, size_t length)
{
    if (length == 0)
        return TN_OK;
    run->told = true;
    return run->listener->token(run->listener->context, text, length);
}

static bool may_be_sentinel(const char *text, size_t length)
{
    size_t blank = 0, wanted = strlen(RAG_SENTINEL);
    while (blank < length && strchr(" \n\t\r\"'`*.[", text[blank]))
        blank++;
    size_t rest = TN_MIN(length - blank, wanted);
    return memcmp(text + blank, RAG_SENTINEL, rest) == 0;
}

static enum tn_code on_piece(void *context, const char *text, size_t length)
{
    struct telling *telling = context;
    if (telling->open)
        return tell(telling->run, text, length);
    tn_buf_append(&telling->held, text, length);
    if (telling->held.len == 0 || may_be_sentinel(telling->held.data, telling->held.len))
        return TN_OK;
    telling->open = true;
    return tell(telling->run, telling->held.data, telling->held.len);
}

static void take_checked(struct rag_run *run, const struct checked *checked)
{
    struct answer_record *record = run->record;
    record->text = checked->text;
    record->citations = checked->citations;
    record->citation_count = checked->citation_count;
    record->dropped = checked->dropped;
    record->dropped_count = checked->dropped_count;
    if (checked->dropped_count > 0)
        rag_warn(run, "%zu of the model's references were dropped: they do not stand in the sources",
                 checked->dropped_count);
    if (checked->unproven > 0)
        rag_warn(run, "%zu quotations stand in no source", checked->unproven);
}

/* Half of an answer's words at least stand in the sources, cited or not. */
#define SUPPORT_LEAST 0.5

static void judge(struct rag_run *run, const struct tn_buf *text)
{
    struct checked checked;
    if (text->len == 0 || rag_is_sentinel(text->data, text->len)) {
        rag_refuse(run, "not_in_sources: %s finds no answer in the %zu sources", run->model.name, run->sources.count);
        return;
    }
    cite_check(text->data, text->len, &run->sources, run->arena, &checked);
    take_checked(run, &checked);
    if (checked.citation_count > 0)
        return;
    if (checked.support < SUPPORT_LEAST)
        rag_refuse(run, "unsupported: what %s says cites no source, and %.0f %% of its words stand in them",
                   run->model.name, 100 * checked.support);
    else
        rag_warn(run, "the answer cites no source");
}

static enum tn_code by_model(struct rag_run *run, struct tn_error *err)
{
    struct model_message messages[2];
    TN_AUTO_BUF text = {0};
    struct telling telling = {.run = run};
    rag_prompt(run->rag->question, &run->sources, run->arena, messages);
    const struct answer_call call = {.model = run->model.name,
                                     .messages = messages,
                                     .count = TN_COUNT(messages),
                                     .cancel = run->listener->cancel,
                                     .piece = run->listener->token ? on_piece : NULL,
                                     .context = &telling};
    enum tn_code code = answer_model_call(run->service, &call, &text, &run->record->usage, err);
    if (code == TN_OK && run->listener->token && !telling.open &&
        !rag_is_sentinel(text.data ? text.data : "", text.len))
        code = tell(run, text.data ? text.data : "", text.len);
    tn_buf_release(&telling.held);
    TN_TRY(code);
    run->record->prompt_version = RAG_PROMPT_VERSION;
    judge(run, &text);
    return TN_OK;
}

/* ---- without a model --------------------------------------------------------------------- */

/* How near sentences are to the question, by the index's own model. */
static enum tn_code extract(struct rag_run *run, struct tn_error *err)
{
    struct checked checked;
    const struct nearness nearness = {.of = rag_nearness, .context = run};
    bool known = run->service->options.models && run->record->embedding_model && run->record->embedding_model[0];
    struct tn_error why = {0};
    enum tn_code code =
        extract_answer(run->rag->question, &run->sources, known ? &nearness : NULL, run->arena, &checked, &why);
    if (code != TN_OK && code != TN_ECANCELLED) { /* the search had the vector still: the model went away between */
        rag_warn(run, "sentences were chosen by words alone: %.200s", why.detail);
        code = extract_answer(run->rag->question, &run->sources, NULL, run->arena, &checked, err);
    }
    TN_TRY(code);
    take_checked(run, &checked);
    return run->listener->token ? tell(run, checked.text, strlen(checked.text)) : TN_OK;
}

/* A model that nobody named and that does not answer is done without. */
static bool may_do_without(const struct rag_run *run, enum tn_code code)
{
    return !run->model.named && !run->told &&
           (code == TN_EUNAVAILABLE || code == TN_ETIMEOUT || code == TN_EUPSTREAM || code == TN_ECORRUPT);
}

enum tn_code rag_write(struct rag_run *run, struct tn_error *err)
{
    struct tn_error why = {0};
    if (!run->model.name)
        return extract(run, err);
    enum tn_code code = by_model(run, &why);
    if (may_do_without(run, code)) {
        struct answer_record failed = *run->record;
        answer_outcome(run->service, &failed, false, code);
        rag_warn(run, "%s did not answer (%s: %.200s); these are the passages' own sentences", run->model.name,
                 tn_code_word(code), why.detail);
        run->model.name = run->record->model = run->record->model_version = NULL;
        run->record->choice.how = "none";
        run->record->choice.why = "the model that was chosen did not answer";
        return extract(run, err);
    }
    if (code != TN_OK && err)
        *err = why;
    return code;
}
