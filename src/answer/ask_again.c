/* The question of a record asked again; its statement run again. */
#include "answer/ask.h"

#include <string.h>

#define REQUEST_MAX ((size_t)1 << 20)

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* *ret_body owns what the question borrows. */
static enum tn_code read_request(const struct answer_record *then, struct tn_arena *arena, json_t **ret_body,
                                 struct answer_ask *ret, struct tn_error *err)
{
    const char *text = then->request ? then->request : "{}";
    TN_TRY(tn_json_parse(text, strlen(text), REQUEST_MAX, "the recorded request", ret_body, err));
    const json_t *datasets = json_object_get(*ret_body, "datasets");
    size_t count = json_array_size(datasets);
    const char **names = TN_ARENA_ARRAY(arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(datasets, i));
        if (name)
            names[ret->dataset_count++] = name;
    }
    ret->datasets = names;
    ret->question = then->question;
    ret->model = text_of(*ret_body, "model");
    int64_t limit = json_integer_value(json_object_get(*ret_body, "limit"));
    ret->limit = limit > 0 ? (uint64_t)limit : 0;
    return TN_OK;
}

static enum tn_code again(struct answer_service *service, const struct answer_record *then,
                          const struct answer_again *how, struct tn_arena *arena, struct answer_record *ret_now,
                          struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    struct answer_asked asked;
    struct answer_ask ask = {.timeout_ms = service->options.settings.timeout_ms,
                             .actor = how->actor,
                             .replay_of = then->id,
                             .as_of = how->as_then ? then : NULL};
    TN_TRY(read_request(then, arena, &body, &ask, err));
    if (how->model)
        ask.model = how->model;
    TN_TRY(answer_ask(service, &ask, how->cancel, arena, &asked, err));
    *ret_now = asked.record;
    return TN_OK;
}

static enum tn_code run(struct answer_service *service, const struct answer_record *then, bool as_then,
                        struct tn_arena *arena, struct ask_result *ret, struct tn_error *err)
{
    TN_AUTO_JSON *body = NULL;
    struct answer_ask ask = {0};
    struct lake *lake = service->options.lake;
    TN_TRY(read_request(then, arena, &body, &ask, err));
    struct ask_table *tables = NULL;
    size_t count = 0;
    if (ask.dataset_count > 0)
        TN_TRY(
            ask_tables(lake, service->options.indexes, ask.datasets, ask.dataset_count, arena, &tables, &count, err));
    const struct ask_sight sight = {.inner = dataset_resolver(lake),
                                    .tables = tables,
                                    .table_count = count,
                                    .only = ask.dataset_count > 0,
                                    .snapshots = then->snapshots,
                                    .snapshot_count = as_then ? then->snapshot_count : 0};
    const struct ask_limits limits = {.rows = ask.limit ? ask.limit : ANSWER_ASK_ROWS,
                                      .timeout_ms = service->options.settings.timeout_ms};
    return ask_run(lake->engine, &sight, &limits, then->sql, arena, ret, err);
}

/* The recorded statement over the newest rows and over those of then, without
 * asking a model. */
static void statement(struct answer_service *service, const struct answer_record *then, struct tn_arena *arena,
                      struct tn_json *out)
{
    struct ask_result before, now;
    struct tn_error why = {0};
    if (!then->sql || then->row_count < 0) {
        tn_json_null(out);
        return;
    }
    tn_json_open(out, '{');
    tn_json_kstr(out, "sql", then->sql);
    if (run(service, then, false, arena, &now, &why) == TN_OK) {
        tn_json_kbool(out, "same", then->result_hash && tn_streq(then->result_hash, now.hash));
        tn_json_ki64(out, "then", then->row_count);
        tn_json_ki64(out, "now", (int64_t)now.row_count);
        if (run(service, then, true, arena, &before, &why) == TN_OK) {
            tn_json_key(out, "rows");
            ask_compare(&before, &now, out);
        }
    }
    if (why.code != TN_OK)
        tn_json_kstr(out, "problem", why.detail);
    tn_json_close(out, '}');
}

const struct answer_kind answer_kind_ask = {.name = "ask", .again = again, .statement = statement};
