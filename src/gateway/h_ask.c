/* POST /ask: a question to tables. */
#include "gateway/ai.h"
#include "gateway/answers.h"
#include "gateway/push.h"

struct asking {
    struct request *request;
    json_t *body; /* the texts are borrowed from it */
    struct answer_ask ask;
    struct tn_arena *arena; /* of the answer */
    struct push *push;
};

static void asking_free(void *context)
{
    struct asking *asking = context;
    json_decref(asking->body);
    tn_arena_free(asking->arena);
}

static enum tn_code read_datasets(struct asking *asking, const json_t *list, struct tn_error *err)
{
    size_t count = json_array_size(list);
    const char **names = TN_ARENA_ARRAY(asking->arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        names[i] = json_string_value(json_array_get(list, i));
        if (!names[i])
            return tn_fail(err, TN_EREQUEST, "datasets must be names; number %zu is none", i + 1);
    }
    if (list && count == 0)
        return tn_fail(err, TN_EREQUEST, "datasets is empty: leave it out to ask all of them");
    asking->ask.datasets = names;
    asking->ask.dataset_count = count;
    return TN_OK;
}

static enum tn_code read_asking(struct asking *asking, bool *ret_stream, struct tn_error *err)
{
    const struct gateway_limits *limits = &asking->request->gateway->limits;
    json_t *datasets = NULL;
    int64_t limit = 0;
    const struct tn_json_field fields[] = {
        {.name = "question", .kind = TN_JSON_STRING, .ret = &asking->ask.question, .required = true},
        {.name = "model", .kind = TN_JSON_STRING, .ret = &asking->ask.model},
        {.name = "datasets", .kind = TN_JSON_ARRAY, .ret = &datasets},
        {.name = "limit", .kind = TN_JSON_INT, .ret = &limit, .min = 1, .max = INT64_MAX},
        {.name = "stream", .kind = TN_JSON_BOOL, .ret = ret_stream},
    };
    TN_TRY(request_json(asking->request, &asking->body, err));
    TN_TRY(tn_json_read(asking->body, "request", fields, TN_COUNT(fields), err));
    TN_TRY(read_datasets(asking, datasets, err));
    uint64_t most = limits->sql_max_rows ? limits->sql_max_rows : UINT64_MAX;
    asking->ask.limit = TN_MIN(limit > 0 ? (uint64_t)limit : ANSWER_ASK_ROWS, most);
    asking->ask.timeout_ms = limits->sql_timeout_ms;
    asking->ask.cancel = &asking->request->cancel;
    asking->ask.actor = asking->request->actor.name;
    return TN_OK;
}

/* An answer, or the problem with what was tried in it. */
static void write_asked(struct asking *asking, const struct answer_asked *asked, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    if (asked->problem.code == TN_OK) {
        tn_json_open(&json, '{');
    } else {
        problem_write(&asked->problem, asking->request->id, out);
        out->len--; /* its bracket: the members of the answer follow */
        json.depth = 1;
        json.comma = true;
    }
    answer_ask_write(asked, &json);
    tn_json_close(&json, '}');
}

/* ---- in events ------------------------------------------------------------------ */

static enum tn_code push_event(struct push *push, const char *event, const char *data, size_t length)
{
    TN_AUTO_BUF text = {0};
    answers_event_begin(&text, event);
    tn_buf_append(&text, data, length);
    answers_event_end(&text);
    return push_write(push, text.data, text.len);
}

static enum tn_code on_step(void *context, const char *event, const char *json, size_t length)
{
    return push_event(((struct asking *)context)->push, event, json, length);
}

static enum tn_code run_asking(void *context, struct push *push, struct tn_error *err)
{
    struct asking *asking = context;
    struct answer_asked asked;
    TN_AUTO_BUF text = {0};
    asking->push = push;
    TN_TRY(answer_ask(asking->request->gateway->answers, &asking->ask, ai_cancel(asking->request), asking->arena,
                      &asked, err));
    write_asked(asking, &asked, &text);
    return push_event(push, asked.problem.code == TN_OK ? "done" : "error", text.data, text.len);
}

static void fail_asking(void *context, const struct tn_error *error, const char *request_id, struct tn_buf *out)
{
    (void)context;
    answers_event_begin(out, "error");
    problem_write(error, request_id, out);
    answers_event_end(out);
}

/* ---- at once ----------------------------------------------------------------------- */

static enum tn_code answer_whole(struct asking *asking, struct tn_error *err)
{
    struct answer_asked asked;
    struct request *request = asking->request;
    TN_TRY(answer_ask(request->gateway->answers, &asking->ask, ai_cancel(request), asking->arena, &asked, err));
    (void)reply_json(request);
    write_asked(asking, &asked, &request->reply.body);
    if (asked.problem.code != TN_OK)
        reply_status(request, (unsigned)tn_code_http_status(asked.problem.code), PROBLEM_MEDIA);
    return TN_OK;
}

enum tn_code h_ask(struct request *request, struct tn_error *err)
{
    struct asking *asking = tn_arena_alloc(request->arena, sizeof *asking);
    bool stream = false;
    asking->request = request;
    asking->arena = tn_arena_new();
    enum tn_code code = read_asking(asking, &stream, err);
    if (code == TN_OK && stream) {
        asking->ask.step = on_step;
        asking->ask.context = asking;
        const struct push_job job = {.context = asking, .run = run_asking, .fail = fail_asking, .free = asking_free};
        code = push_begin(request, "text/event-stream", &job, err);
        if (code == TN_OK)
            return TN_OK;
    } else if (code == TN_OK) {
        code = answer_whole(asking, err);
    }
    asking_free(asking);
    return code;
}
