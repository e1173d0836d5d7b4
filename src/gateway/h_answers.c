/* Answers: made, told while they are made, looked up, judged, asked again. */
#include "gateway/ai.h"
#include "gateway/answers.h"
#include "gateway/push.h"

enum { LIST_MOST = 1000 };

/* ---- events ------------------------------------------------------------------------- */

void answers_event_begin(struct tn_buf *out, const char *name)
{
    tn_buf_printf(out, "event: %s\ndata: ", name);
}

void answers_event_end(struct tn_buf *out)
{
    tn_buf_puts(out, "\n\n");
}

/* ---- rag ------------------------------------------------------------------------------ */

struct asking {
    struct request *request;
    struct answer_rag rag;
    json_t *body;
    struct push *push;
    struct tn_arena *arena; /* of the answer: the request's belongs to its task */
};

static void asking_free(void *context)
{
    struct asking *asking = context;
    json_decref(asking->body);
    tn_arena_free(asking->arena);
}

static enum tn_code on_sources(void *context, const char *json, size_t length)
{
    const struct asking *asking = context;
    TN_AUTO_BUF event = {0};
    answers_event_begin(&event, "sources");
    tn_buf_append(&event, json, length);
    answers_event_end(&event);
    return push_write(asking->push, event.data, event.len);
}

static enum tn_code on_token(void *context, const char *text, size_t length)
{
    const struct asking *asking = context;
    TN_AUTO_BUF event = {0};
    answers_event_begin(&event, "token");
    struct tn_json json = tn_json_writer(&event);
    tn_json_open(&json, '{');
    tn_json_key(&json, "text");
    tn_json_strn(&json, text, length);
    tn_json_close(&json, '}');
    answers_event_end(&event);
    return push_write(asking->push, event.data, event.len);
}

static enum tn_code run_streamed(void *context, struct push *push, struct tn_error *err)
{
    struct asking *asking = context;
    struct answer_record record;
    TN_AUTO_BUF event = {0};
    asking->push = push;
    const struct answer_listener listener = {
        .sources = on_sources, .token = on_token, .context = asking, .cancel = ai_cancel(asking->request)};
    TN_TRY(answer_rag(asking->request->gateway->answers, &asking->rag, &listener, asking->arena, &record, err));
    answers_event_begin(&event, "done");
    struct tn_json json = tn_json_writer(&event);
    answer_rag_write(&record, &json);
    answers_event_end(&event);
    return push_write(push, event.data, event.len);
}

static void fail_streamed(void *context, const struct tn_error *error, const char *request_id, struct tn_buf *out)
{
    (void)context;
    answers_event_begin(out, "error");
    problem_write(error, request_id, out);
    answers_event_end(out);
}

static enum tn_code run_whole(struct asking *asking, struct tn_error *err)
{
    struct answer_record record;
    const struct answer_listener listener = {.cancel = ai_cancel(asking->request)};
    TN_TRY(answer_rag(asking->request->gateway->answers, &asking->rag, &listener, asking->arena, &record, err));
    struct tn_json json = reply_json(asking->request);
    answer_rag_write(&record, &json);
    return TN_OK;
}

static enum tn_code read_rag(struct asking *asking, bool *ret_stream, struct tn_error *err)
{
    struct answer_rag *rag = &asking->rag;
    int64_t k = ANSWER_K;
    const struct tn_json_field fields[] = {
        {.name = "question", .kind = TN_JSON_STRING, .ret = &rag->question, .required = true},
        {.name = "index", .kind = TN_JSON_STRING, .ret = &rag->index},
        {.name = "dataset", .kind = TN_JSON_STRING, .ret = &rag->dataset},
        {.name = "k", .kind = TN_JSON_INT, .ret = &k, .min = 1, .max = ANSWER_K_MAX},
        {.name = "model", .kind = TN_JSON_STRING, .ret = &rag->model},
        {.name = "filter", .kind = TN_JSON_STRING, .ret = &rag->filter},
        {.name = "rerank", .kind = TN_JSON_BOOL, .ret = &rag->rerank},
        {.name = "stream", .kind = TN_JSON_BOOL, .ret = ret_stream},
    };
    TN_TRY(tn_json_read(asking->body, "request", fields, TN_COUNT(fields), err));
    rag->k = (uint32_t)k;
    rag->actor = asking->request->actor.name;
    return TN_OK;
}

enum tn_code h_rag(struct request *request, struct tn_error *err)
{
    struct asking *asking = tn_arena_alloc(request->arena, sizeof *asking);
    bool stream = false;
    asking->request = request;
    asking->arena = tn_arena_new();
    enum tn_code code = request_json(request, &asking->body, err);
    if (code == TN_OK)
        code = read_rag(asking, &stream, err);
    if (code == TN_OK && !stream)
        code = run_whole(asking, err);
    if (code == TN_OK && stream) {
        const struct push_job job = {
            .context = asking, .run = run_streamed, .fail = fail_streamed, .free = asking_free};
        code = push_begin(request, "text/event-stream", &job, err);
        if (code == TN_OK)
            return TN_OK;
    }
    asking_free(asking);
    return code;
}

/* ---- what was answered ------------------------------------------------------------------ */

enum tn_code h_answer_list(struct request *request, struct tn_error *err)
{
    uint64_t limit = 50;
    TN_TRY(request_param_u64(request, "limit", LIST_MOST, &limit, err));
    if (limit == 0)
        return tn_fail(err, TN_EREQUEST, "limit must be from 1 to %d", LIST_MOST);
    struct tn_json json = reply_json(request);
    return answer_list(request->gateway->answers, (uint32_t)limit, http_param(&request->target, "cursor"), &json,
                       err);
}

enum tn_code h_answer_get(struct request *request, struct tn_error *err)
{
    struct answer_record record;
    TN_TRY(answer_load(request->gateway->answers, request->match.captures[0], request->arena, &record, err));
    struct tn_json json = reply_json(request);
    answer_record_write(&record, &json);
    return TN_OK;
}

enum tn_code h_answer_replay(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    struct answer_again again = {
        .id = request->match.captures[0], .actor = request->actor.name, .cancel = ai_cancel(request)};
    const char *data = "now";
    const struct tn_json_field fields[] = {
        {.name = "data", .kind = TN_JSON_STRING, .ret = &data},
        {.name = "model", .kind = TN_JSON_STRING, .ret = &again.model},
    };
    TN_TRY(request_optional_json(request, &body, err));
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    again.as_then = tn_streq(data, "then");
    if (!again.as_then && !tn_streq(data, "now"))
        return tn_fail(err, TN_EREQUEST, "data must be now or then, not \"%.40s\"", data);
    struct tn_json json = reply_json(request);
    return answer_replay(request->gateway->answers, &again, &json, err);
}

enum tn_code h_answer_feedback(struct request *request, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    bool good = false;
    const char *id = request->match.captures[0];
    const struct tn_json_field fields[] = {{.name = "good", .kind = TN_JSON_BOOL, .ret = &good, .required = true}};
    TN_TRY(request_json(request, &body, err));
    TN_TRY(tn_json_read(body, "request", fields, TN_COUNT(fields), err));
    TN_TRY(answer_feedback(request->gateway->answers, id, good, request->actor.name, err));
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "answer_id", id);
    tn_json_kstr(&json, "feedback", good ? "good" : "bad");
    tn_json_close(&json, '}');
    return TN_OK;
}
