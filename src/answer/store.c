/* Answers saved, loaded, listed, judged. */
#include "answer/answer_internal.h"

enum { LIST_MOST = 1000, SNIPPET = 200 };

enum tn_code answer_save(struct answer_service *service, struct answer_record *record, struct tn_error *err)
{
    TN_AUTO_BUF payload = {0};
    if (!record->id[0])
        (void)tn_uuid7(record->id);
    if (record->time_us == 0)
        record->time_us = tn_now_us();
    struct tn_json json = tn_json_writer(&payload);
    answer_record_write(record, &json);
    tn_buf_putc(&payload, '\n');
    enum tn_code code = answer_log_append(service->log, 'a', record->id, payload.data, payload.len, err);
    if (code != TN_OK)
        tn_error_context(err, "cannot record the answer");
    return code;
}

static enum tn_code load(struct answer_service *service, const char *id, struct tn_arena *arena,
                         struct answer_record *ret, struct tn_error *err)
{
    TN_AUTO_BUF payload = {0};
    TN_AUTO_JSON *object = NULL;
    int feedback = 0;
    TN_TRY(answer_log_get(service->log, id, &payload, &feedback, err));
    if (tn_json_parse(payload.data, payload.len, ANSWER_PAYLOAD_MAX, "the answer's record", &object, err) != TN_OK)
        return TN_ECORRUPT;
    TN_TRY(answer_record_read(object, arena, ret, err));
    ret->feedback = feedback;
    return TN_OK;
}

enum tn_code answer_load(struct answer_service *service, const char *id, struct tn_arena *arena,
                         struct answer_record *ret, struct tn_error *err)
{
    return load(service, id, arena, ret, err);
}

/* ---- lists -------------------------------------------------------------------------- */

static void put_item(const struct answer_record *record, struct tn_json *out)
{
    char time[TN_TIME_TEXT];
    const char *text = record->text ? record->text : "";
    size_t length = tn_utf8_floor(text, strlen(text), SNIPPET);
    tn_json_open(out, '{');
    tn_json_kstr(out, "answer_id", record->id);
    tn_json_kstr(out, "kind", record->kind);
    tn_json_kstr(out, "time", tn_time_format(record->time_us, time));
    tn_json_kstr(out, "actor", record->actor);
    tn_json_kstr(out, "question", record->question);
    tn_json_kstr(out, "index", record->index);
    tn_json_kstr(out, "model", record->model);
    tn_json_kbool(out, "refused", record->refused);
    tn_json_kstr(out, "error", record->error);
    tn_json_kstr(out, "feedback", record->feedback > 0 ? "good" : record->feedback < 0 ? "bad" : NULL);
    tn_json_kstr(out, "replay_of", record->replay_of);
    tn_json_key(out, "answer");
    tn_json_strn(out, text, length);
    tn_json_kf64(out, "elapsed_ms", (double)record->total_us / 1000);
    tn_json_close(out, '}');
}

/* A damaged record costs its own line, not the list. */
static void put_damaged(const char *id, const struct tn_error *why, struct tn_json *out)
{
    tn_json_open(out, '{');
    tn_json_kstr(out, "answer_id", id);
    tn_json_kstr(out, "kind", "damaged");
    tn_json_kstr(out, "error", why->detail);
    tn_json_close(out, '}');
}

enum tn_code answer_list(struct answer_service *service, uint32_t limit, const char *cursor, struct tn_json *out,
                         struct tn_error *err)
{
    size_t count = 0, most = TN_MIN(limit ? limit : 50, (uint32_t)LIST_MOST);
    bool more = false;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_FREE char(*ids)[TN_UUID_TEXT] = tn_malloc(most * sizeof *ids);
    TN_TRY(answer_log_ids(service->log, cursor, most, ids, &count, &more, err));
    tn_json_open(out, '{');
    tn_json_key(out, "items");
    tn_json_open(out, '[');
    for (size_t i = 0; i < count; i++) {
        struct answer_record record;
        struct tn_error why = {0};
        tn_arena_reset(arena);
        enum tn_code code = load(service, ids[i], arena, &record, &why);
        if (code == TN_OK)
            put_item(&record, out);
        else if (code != TN_ENOTFOUND) /* its segment may have gone meanwhile */
            put_damaged(ids[i], &why, out);
    }
    tn_json_close(out, ']');
    tn_json_kstr(out, "next_cursor", more ? ids[count - 1] : NULL);
    tn_json_close(out, '}');
    return TN_OK;
}

/* ---- a person's word ------------------------------------------------------------------ */

static void tell_outcome(struct answer_service *service, const struct answer_record *record, bool good)
{
    struct outcome_recorded recorded;
    struct tn_error err = {0};
    char key[64];
    if (!service->options.outcomes || !record->model)
        return;
    snprintf(key, sizeof key, "answer/%s/feedback", record->id);
    const struct outcome_event event = {
        .task_type = record->kind, .model_id = record->model, .success = good, .key = key, .source = "feedback"};
    if (outcome_record(service->options.outcomes, &event, 1, &recorded, &err) != TN_OK)
        TN_LOG(TN_LOG_WARN, "answer.outcome_lost", TN_FS("answer", record->id), TN_FS("problem", err.detail));
}

enum tn_code answer_feedback(struct answer_service *service, const char *id, bool good, const char *actor,
                             struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_BUF payload = {0};
    struct answer_record record;
    char time[TN_TIME_TEXT];
    TN_TRY(load(service, id, arena, &record, err));
    if (record.feedback == (good ? 1 : -1))
        return TN_OK;
    if (record.feedback != 0)
        return tn_fail(err, TN_ECONFLICT, "answer %s was called %s already", id, good ? "bad" : "good");
    struct tn_json json = tn_json_writer(&payload);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "answer_id", id);
    tn_json_kbool(&json, "good", good);
    tn_json_kstr(&json, "actor", actor);
    tn_json_kstr(&json, "time", tn_time_format(tn_now_us(), time));
    tn_json_close(&json, '}');
    tn_buf_putc(&payload, '\n');
    TN_TRY(answer_log_append(service->log, good ? 'g' : 'b', id, payload.data, payload.len, err));
    tell_outcome(service, &record, good);
    return TN_OK;
}
