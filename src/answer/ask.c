/* A question's way to SQL, rows and a sentence. */
#include "answer/ask.h"

#include <math.h>
#include <string.h>

#define LOOKED_AT     40 /* tables whose values are looked at; of more, the best by name */
#define ROUNDS        2  /* the statement, and one repair */
#define SENTENCE_MAX  500
#define SQL_TOLD      300 /* bytes, in the text of a problem */
#define SENTENCE_SIZE 200 /* tokens */
#define BYTES_A_TOKEN 3   /* of a card: names and numbers are cut small */
#define WARNINGS_MAX  4

struct asking {
    struct answer_service *service;
    const struct answer_ask *ask;
    const volatile bool *cancel;
    struct tn_arena *arena;
    struct answer_asked made;
    struct answer_model model;
    struct ask_table *tables;
    size_t table_count, shown;
    struct ask_prompt prompt;
    char nonce[ANSWER_NONCE];
    struct ask_result result;
    struct answer_attempt attempts[ROUNDS];
    const char *warnings[WARNINGS_MAX];
    bool withheld; /* a table of the card has something that no prompt may show */
};

/* ---- before the model --------------------------------------------------------------- */

static enum tn_code check(const struct answer_ask *ask, struct tn_error *err)
{
    size_t length = strlen(ask->question);
    if (strspn(ask->question, " \t\r\n") == length)
        return tn_fail(err, TN_EREQUEST, "the question is empty");
    if (length > ANSWER_QUESTION_MAX)
        return tn_fail(err, TN_EREQUEST, "the question has %zu bytes, more than %d", length, ANSWER_QUESTION_MAX);
    return TN_OK;
}

static enum tn_code choose(struct asking *asking, struct tn_error *err)
{
    TN_TRY(answer_model_choose(asking->service, "ask", asking->ask->model, asking->arena, &asking->model, err));
    if (asking->model.name)
        return TN_OK;
    (void)tn_fail(err, TN_EREFUSED, "questions to tables need a language model that writes SQL: %s",
                  asking->model.choice.why);
    tn_error_hint(err, "set ai.chat.model in tarn.yaml, as in ollama/qwen2.5-coder:7b with "
                       "ai.ollama.url: http://127.0.0.1:11434, or name one in the request; without a model there "
                       "are SQL (tarn sql) and search (tarn search)");
    return TN_EREFUSED;
}

static void look_at(struct asking *asking, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        ask_values_fill(asking->service->asks, asking->service->options.lake, asking->arena, &asking->tables[i]);
}

static enum tn_code write_card(struct asking *asking, struct tn_error *err)
{
    const struct answer_ask *ask = asking->ask;
    const struct answer_options *options = &asking->service->options;
    TN_AUTO_BUF card = {0};
    TN_TRY(ask_tables(options->lake, options->indexes, ask->datasets, ask->dataset_count, asking->arena,
                      &asking->tables, &asking->table_count, err));
    if (asking->table_count == 0) {
        (void)tn_fail(err, TN_EREFUSED, "there are no datasets to ask about");
        tn_error_hint(err, "tarn ingest FILE brings one");
        return TN_EREFUSED;
    }
    if (asking->table_count > LOOKED_AT)
        ask_rank(ask->question, asking->tables, asking->table_count);
    look_at(asking, 0, TN_MIN(asking->table_count, LOOKED_AT));
    ask_rank(ask->question, asking->tables, asking->table_count);
    uint32_t tokens = options->settings.context_tokens;
    if (asking->model.max_tokens > 0)
        tokens = TN_MIN(tokens, asking->model.max_tokens / 2);
    ask_card_write(asking->tables, asking->table_count, (size_t)tokens * BYTES_A_TOKEN, &card, &asking->shown);
    for (size_t i = 0; i < asking->table_count; i++)
        asking->withheld = asking->withheld || asking->tables[i].any_withheld;
    answer_nonce(asking->nonce);
    asking->prompt = (struct ask_prompt){.card = tn_arena_strndup(asking->arena, card.data, card.len),
                                         .question = ask->question,
                                         .nonce = asking->nonce,
                                         .limit = ask->limit ? ask->limit : ANSWER_ASK_ROWS,
                                         .now_us = tn_now_us()};
    return TN_OK;
}

/* ---- steps that somebody may follow ------------------------------------------------------- */

static enum tn_code step(struct asking *asking, const char *event, const char *sql, const char *error,
                         struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    if (!asking->ask->step)
        return TN_OK;
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "sql", sql);
    if (error)
        tn_json_kstr(&json, "error", error);
    tn_json_close(&json, '}');
    enum tn_code code = asking->ask->step(asking->ask->context, event, text.data, text.len);
    return code == TN_OK ? TN_OK : tn_fail(err, code, "nobody listens any more");
}

static enum tn_code step_rows(struct asking *asking, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    if (!asking->ask->step)
        return TN_OK;
    tn_json_open(&json, '{');
    tn_json_key(&json, "columns");
    tn_json_raw(&json, asking->result.columns, strlen(asking->result.columns));
    tn_json_key(&json, "rows");
    tn_json_raw(&json, asking->result.rows, asking->result.rows_length);
    tn_json_ki64(&json, "row_count", (int64_t)asking->result.row_count);
    tn_json_kbool(&json, "truncated", asking->result.truncated);
    tn_json_close(&json, '}');
    enum tn_code code = asking->ask->step(asking->ask->context, "rows", text.data, text.len);
    return code == TN_OK ? TN_OK : tn_fail(err, code, "nobody listens any more");
}

static void warn(struct asking *asking, const char *text)
{
    struct answer_record *record = &asking->made.record;
    if (record->warning_count < WARNINGS_MAX)
        asking->warnings[record->warning_count++] = text;
    record->warnings = asking->warnings;
}

/* ---- to a statement that runs ------------------------------------------------------------- */

/* An error of the engine may quote values of columns that no prompt may show. */
static const char *tellable(struct asking *asking, const char *text)
{
    TN_AUTO_BUF out = {0};
    bool quoted = false;
    if (!asking->withheld)
        return text;
    for (const char *c = text; *c; c++) {
        if (*c == '\'')
            quoted = !quoted;
        if (!quoted || *c == '\'')
            tn_buf_putc(&out, *c);
        else if (c[-1] == '\'')
            tn_buf_puts(&out, "...");
    }
    return tn_arena_strndup(asking->arena, out.data ? out.data : "", out.len);
}

static const char *error_text(struct asking *asking, const struct tn_error *why)
{
    return why->hint[0] ? tn_arena_printf(asking->arena, "%s (%s)", why->detail, why->hint)
                        : tn_arena_strdup(asking->arena, why->detail);
}

/* What the model can mend. */
static bool is_repairable(enum tn_code code)
{
    return code == TN_ESQL || code == TN_EDATASET || code == TN_ENOTFOUND || code == TN_EREQUEST ||
           code == TN_ESNAPSHOT || code == TN_EUNSUPPORTED;
}

static enum tn_code run(struct asking *asking, const char *sql, struct tn_error *err)
{
    const struct answer_ask *ask = asking->ask;
    struct lake *lake = asking->service->options.lake;
    const struct ask_sight sight = {.inner = dataset_resolver(lake),
                                    .tables = asking->tables,
                                    .table_count = asking->table_count,
                                    .only = ask->dataset_count > 0,
                                    .snapshots = ask->as_of ? ask->as_of->snapshots : NULL,
                                    .snapshot_count = ask->as_of ? ask->as_of->snapshot_count : 0};
    const struct ask_limits limits = {
        .rows = asking->prompt.limit, .timeout_ms = ask->timeout_ms, .cancel = ask->cancel};
    return ask_run(lake->engine, &sight, &limits, sql, asking->arena, &asking->result, err);
}

/* One round: asks, extracts, runs. *ret_why tells the model what to mend; NULL:
 * the matter is settled, one way or the other. */
static enum tn_code round_once(struct asking *asking, const char *before_sql, const char *before_why,
                               const char **ret_sql, const char **ret_why, struct tn_error *err)
{
    struct model_message messages[ASK_MESSAGES];
    struct answer_asked *made = &asking->made;
    struct answer_attempt *attempt = &asking->attempts[made->attempt_count];
    TN_AUTO_BUF text = {0};
    const char *said;
    struct tn_error why = {0};
    size_t count = ask_prompt_sql(&asking->prompt, before_sql, before_why, asking->arena, messages);
    const struct answer_call call = {
        .model = asking->model.name, .messages = messages, .count = count, .cancel = asking->cancel};
    TN_TRY(answer_model_call(asking->service, &call, &text, &made->record.usage, err));
    enum ask_said kind = ask_extract(text.data ? text.data : "", text.len, asking->arena, &said);
    *ret_sql = *ret_why = NULL;
    if (kind == ASK_SAID_CANNOT) {
        made->record.refused = true;
        made->record.reason = tn_arena_printf(asking->arena, "cannot_answer: %s", *said ? said : "no reason given");
        return TN_OK;
    }
    made->attempt_count++;
    if (kind == ASK_SAID_OTHER) {
        attempt->error = tn_arena_printf(asking->arena, "the model wrote no SQL: %s", said);
        (void)tn_fail(&made->problem, TN_EREFUSED, "%s wrote no SQL", asking->model.name);
        tn_error_hint(&made->problem, "ask in other words, or with another model");
        *ret_why = "There was no SQL statement in the answer.";
        return TN_OK;
    }
    *ret_sql = attempt->sql = made->record.sql = said;
    TN_TRY(step(asking, "sql", said, NULL, err));
    enum tn_code code = run(asking, said, &why);
    made->problem = why;
    if (code == TN_OK)
        return TN_OK;
    attempt->error = error_text(asking, &why);
    bool forgotten = code == TN_ESNAPSHOT && asking->ask->as_of; /* not the model's doing */
    if (forgotten || (code != TN_ESQLREFUSED && !is_repairable(code))) {
        if (err)
            *err = why;
        return code;
    }
    if (code != TN_ESQLREFUSED)
        *ret_why = tellable(asking, attempt->error);
    return TN_OK;
}

static void settle_problem(struct asking *asking)
{
    struct tn_error *problem = &asking->made.problem;
    const char *sql = asking->made.record.sql ? asking->made.record.sql : "";
    int shown = (int)tn_utf8_floor(sql, strlen(sql), SQL_TOLD);
    if (problem->code == TN_ESQLREFUSED) {
        tn_error_context(problem, "the SQL that %s wrote is refused and was not run (%.*s)", asking->model.name,
                         shown, sql);
        if (!problem->hint[0])
            tn_error_hint(problem, "ask for something that one SELECT over the lake's datasets can answer");
    } else if (problem->code != TN_OK && problem->code != TN_EREFUSED) {
        problem->code = TN_EREFUSED;
        problem->line = problem->column = 0;
        tn_error_context(problem, "the SQL that %s wrote does not run (%.*s)", asking->model.name, shown, sql);
        tn_error_hint(problem, "ask in other words, name the datasets, or ask another model");
    }
}

static enum tn_code find_statement(struct asking *asking, struct tn_error *err)
{
    const char *sql = NULL, *why = NULL;
    asking->made.attempts = asking->attempts;
    for (int round = 0; round < ROUNDS; round++) {
        const char *before_sql = sql, *before_why = why;
        TN_TRY(round_once(asking, before_sql, before_why, &sql, &why, err));
        if (!why)
            break;
        if (round + 1 < ROUNDS)
            TN_TRY(step(asking, "retry", sql, asking->attempts[round].error, err));
    }
    if (asking->made.record.refused) /* the model gave up in the second round */
        asking->made.problem = (struct tn_error){0};
    settle_problem(asking);
    return TN_OK;
}

/* ---- to a sentence -------------------------------------------------------------------------- */

/* What was read may be told to the model: no table with something withheld, and
 * none that is not known to be without. */
static bool is_tellable(const struct asking *asking)
{
    for (size_t i = 0; asking->withheld && i < asking->result.table_count; i++) {
        bool fine = false;
        for (size_t k = 0; k < asking->table_count; k++)
            if (tn_str_equal_nocase(asking->result.tables[i].name, asking->tables[k].name))
                fine = !asking->tables[k].any_withheld;
        if (!fine)
            return false;
    }
    return true;
}

/* One line of it; NULL when it is no sentence. */
static const char *as_sentence(struct asking *asking, const struct tn_buf *text)
{
    const char *begin = text->data ? text->data : "";
    const char *behind = strstr(begin, "</think>");
    if (behind)
        begin = behind + strlen("</think>");
    begin += strspn(begin, " \t\r\n");
    size_t length = strcspn(begin, "\r\n");
    while (length > 0 && (begin[length - 1] == ' ' || begin[length - 1] == '\t'))
        length--;
    if (length == 0 || length > SENTENCE_MAX || strncmp(begin, "```", 3) == 0 || strncmp(begin, "<think>", 7) == 0)
        return NULL;
    char *sentence = tn_arena_strndup(asking->arena, begin, length);
    for (char *c = sentence; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    return sentence;
}

static const char *ask_sentence(struct asking *asking)
{
    struct model_message messages[ASK_MESSAGES];
    TN_AUTO_BUF text = {0};
    struct tn_error why = {0};
    char wrong[64] = "";
    const char *sql = asking->made.record.sql;
    if (!is_tellable(asking)) {
        warn(asking, "the sentence is not the model's: the result may hold what is marked as sensitive");
        return NULL;
    }
    size_t count = ask_prompt_sentence(&asking->prompt, sql, &asking->result, asking->arena, messages);
    const struct answer_call call = {.model = asking->model.name,
                                     .messages = messages,
                                     .count = count,
                                     .max_tokens = SENTENCE_SIZE,
                                     .cancel = asking->cancel};
    if (answer_model_call(asking->service, &call, &text, &asking->made.record.usage, &why) != TN_OK) {
        warn(asking, tn_arena_printf(asking->arena, "the sentence is not the model's: %s", why.detail));
        return NULL;
    }
    const char *sentence = as_sentence(asking, &text);
    if (!sentence)
        warn(asking, "the sentence is not the model's: what it wrote is none");
    else if (!ask_numbers_hold(sentence, &asking->result, asking->ask->question, sql, wrong)) {
        warn(asking,
             tn_arena_printf(asking->arena, "the sentence is not the model's: it said %s, which is not in the result",
                             wrong));
        return NULL;
    }
    return sentence;
}

/* ---- the record ---------------------------------------------------------------------------- */

/* A version is a snapshot's id, perhaps with a schema's behind a plus. */
static int64_t snapshot_of(const char *version)
{
    char digits[24];
    int64_t id = 0;
    (void)snprintf(digits, sizeof digits, "%.*s", (int)strcspn(version, "+"), version);
    return tn_parse_i64(digits, &id) ? id : 0;
}

static void take_result(struct asking *asking)
{
    struct answer_asked *made = &asking->made;
    const struct ask_result *result = &asking->result;
    struct answer_snapshot *snapshots =
        TN_ARENA_ARRAY(asking->arena, struct answer_snapshot, result->table_count + 1);
    for (size_t i = 0; i < result->table_count; i++) {
        int64_t id = snapshot_of(result->tables[i].version);
        bool seen = false;
        for (size_t k = 0; k < i; k++)
            seen = seen || tn_streq(result->tables[k].name, result->tables[i].name);
        if (id != 0 && !seen)
            snapshots[made->record.snapshot_count++] = (struct answer_snapshot){result->tables[i].name, id};
    }
    made->record.snapshots = snapshots;
    made->record.row_count = (int64_t)result->row_count;
    made->record.result_hash = tn_arena_strdup(asking->arena, result->hash);
    made->columns = result->columns;
    made->rows = result->rows;
    made->truncated = result->truncated;
}

static void begin_record(struct asking *asking)
{
    const struct answer_ask *ask = asking->ask;
    asking->made = (struct answer_asked){
        .columns = "[]",
        .rows = "[]",
        .record = {.kind = "ask",
                   .actor = ask->actor,
                   .question = ask->question,
                   .replay_of = ask->replay_of,
                   .model = asking->model.name,
                   .model_version = asking->model.version,
                   .prompt_version = ASK_PROMPT_VERSION,
                   .row_count = -1,
                   .text = "",
                   .choice = asking->model.choice},
    };
    asking->made.record.request = ask_request_json(ask, asking->arena);
}

/* A full engine, a full disk and a snapshot that is gone say nothing of a model. */
static bool is_models_doing(enum tn_code failed)
{
    return failed != TN_EBUSY && failed != TN_ESNAPSHOT && failed != TN_EIO && failed != TN_EDISKFULL;
}

/* Durable before the caller has it, whatever it became. */
static enum tn_code keep(struct asking *asking, enum tn_code failed, uint64_t started, struct tn_error *err)
{
    struct answer_asked *made = &asking->made;
    if (failed != TN_OK)
        made->record.error = tn_code_word(failed);
    else if (made->problem.code != TN_OK) {
        made->record.refused = true;
        made->record.reason =
            tn_arena_printf(asking->arena, "%s: %s", tn_code_word(made->problem.code), made->problem.detail);
    }
    made->record.cost = answer_cost(asking->service, asking->model.name, &made->record.usage);
    made->record.total_us = (tn_mono_ns() - started) / 1000;
    TN_TRY(answer_save(asking->service, &made->record, err));
    if (is_models_doing(failed))
        answer_outcome(asking->service, &made->record, !made->record.refused, failed);
    return TN_OK;
}

static enum tn_code answer(struct asking *asking, struct tn_error *err)
{
    TN_TRY(find_statement(asking, err));
    if (asking->made.record.refused || asking->made.problem.code != TN_OK)
        return TN_OK;
    take_result(asking);
    TN_TRY(step_rows(asking, err));
    const char *sentence = ask_sentence(asking);
    asking->made.record.text = sentence ? sentence : ask_plain_sentence(&asking->result, asking->arena);
    return TN_OK;
}

enum tn_code answer_ask(struct answer_service *service, const struct answer_ask *ask, const volatile bool *cancel,
                        struct tn_arena *arena, struct answer_asked *ret, struct tn_error *err)
{
    uint64_t started = tn_mono_ns();
    struct tn_error ignored = {0};
    struct asking *asking = tn_arena_alloc(arena, sizeof *asking);
    *asking = (struct asking){.service = service, .ask = ask, .cancel = cancel, .arena = arena};
    TN_TRY(check(ask, err));
    TN_TRY(choose(asking, err));
    TN_TRY(write_card(asking, err));
    begin_record(asking);
    enum tn_code code = answer(asking, err);
    enum tn_code kept = keep(asking, code, started, code == TN_OK ? err : &ignored);
    if (code != TN_OK || kept != TN_OK)
        return code != TN_OK ? code : kept;
    *ret = asking->made;
    return TN_OK;
}
