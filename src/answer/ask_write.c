/* Questions and answers of ask as JSON. */
#include "answer/ask.h"

#include <string.h>

const char *ask_request_json(const struct answer_ask *ask, struct tn_arena *arena)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "question", ask->question);
    if (ask->model)
        tn_json_kstr(&json, "model", ask->model);
    if (ask->dataset_count > 0)
        tn_json_kstrs(&json, "datasets", ask->datasets, ask->dataset_count);
    if (ask->limit > 0)
        tn_json_ki64(&json, "limit", (int64_t)ask->limit);
    tn_json_close(&json, '}');
    return tn_arena_strndup(arena, text.data, text.len);
}

static void write_attempts(const struct answer_asked *asked, struct tn_json *out)
{
    tn_json_key(out, "attempts");
    tn_json_open(out, '[');
    for (size_t i = 0; i < asked->attempt_count; i++) {
        tn_json_open(out, '{');
        tn_json_kstr(out, "sql", asked->attempts[i].sql);
        tn_json_kstr(out, "error", asked->attempts[i].error);
        tn_json_close(out, '}');
    }
    tn_json_close(out, ']');
}

void answer_ask_write(const struct answer_asked *asked, struct tn_json *out)
{
    const struct answer_record *record = &asked->record;
    tn_json_kstr(out, "answer_id", record->id);
    tn_json_kstr(out, "question", record->question);
    tn_json_kstr(out, "sql", record->sql);
    tn_json_key(out, "columns");
    tn_json_raw(out, asked->columns, strlen(asked->columns));
    tn_json_key(out, "rows");
    tn_json_raw(out, asked->rows, strlen(asked->rows));
    tn_json_ki64(out, "row_count", TN_MAX(record->row_count, 0));
    tn_json_kbool(out, "truncated", asked->truncated);
    tn_json_kstr(out, "sentence", record->text && *record->text ? record->text : NULL);
    tn_json_kstr(out, "model", record->model);
    write_attempts(asked, out);
    tn_json_kbool(out, "refused", record->refused);
    tn_json_kstr(out, "reason", record->reason);
    tn_json_kstrs(out, "warnings", record->warnings, record->warning_count);
    answer_put_snapshots(record, out);
    answer_put_choice(record, out);
    tn_json_kf64(out, "elapsed_ms", (double)record->total_us / 1000);
}
