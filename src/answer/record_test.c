#include "answer/answer.h"
#include "base/test_support.h"

#include <math.h>
#include <string.h>

static struct answer_service *open_service(const char *folder, struct outcome_store *outcomes)
{
    struct answer_service *service = NULL;
    const struct answer_options options = {.folder = folder, .outcomes = outcomes};
    assert_ok(answer_service_open(&options, &service, &test_err));
    return service;
}

static const struct answer_snapshot snapshots[] = {{"people", 42}, {"calls", INT64_MAX}};
static const struct answer_chunk chunks[] = {{.doc_id = "a,1",
                                              .column = "text",
                                              .chunk_no = 3,
                                              .chunk_id = 7,
                                              .begin = 10,
                                              .end = 20,
                                              .hash = "ab",
                                              .score = 0.5,
                                              .similarity = NAN,
                                              .source = 1,
                                              .title = "T",
                                              .page = 4}};
static const struct answer_citation citations[] = {
    {.source = 1, .doc_id = "a,1", .chunk_no = 3, .quote = "q\n\"q\""}};
static const struct answer_dropped dropped[] = {{.source = 9, .reason = "there is none"}};
static const char *const warnings[] = {"one", "two"};

static struct answer_record record_of(const char *question)
{
    return (struct answer_record){.kind = "rag",
                                  .actor = "ada",
                                  .question = question,
                                  .request = "{\"question\":\"x\",\"k\":8}",
                                  .model = "ollama/m",
                                  .model_version = "v1",
                                  .prompt_version = "rag-1",
                                  .index = "people",
                                  .embedding_model = "e",
                                  .embedding_version = "ev",
                                  .generation = 12,
                                  .snapshots = snapshots,
                                  .snapshot_count = 2,
                                  .chunks = chunks,
                                  .chunk_count = 1,
                                  .row_count = -1,
                                  .text = "Sechs Wochen \u2013 so ist es. [1]",
                                  .citations = citations,
                                  .citation_count = 1,
                                  .dropped = dropped,
                                  .dropped_count = 1,
                                  .warnings = warnings,
                                  .warning_count = 2,
                                  .similarity = 0.4,
                                  .words = 1,
                                  .choice = {.how = "auto", .trials = 3, .success_rate = 0.5, .why = "best"},
                                  .usage = {.prompt_tokens = 11, .answer_tokens = 5, .microseconds = 1500},
                                  .cost = 0.25,
                                  .search_us = 900,
                                  .total_us = 2500};
}

static void test_a_record_comes_back_as_it_was(void **state)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(answer_service_close_p) struct answer_service *service = open_service(*state, NULL);
    struct answer_record saved = record_of("How long?"), loaded;
    assert_ok(answer_save(service, &saved, &test_err));
    assert_int_equal(strlen(saved.id), TN_UUID_TEXT - 1);
    assert_ok(answer_load(service, saved.id, arena, &loaded, &test_err));
    TN_AUTO_BUF a = {0};
    TN_AUTO_BUF b = {0};
    struct tn_json before = tn_json_writer(&a), after = tn_json_writer(&b);
    answer_record_write(&saved, &before);
    answer_record_write(&loaded, &after);
    assert_string_equal(a.data, b.data);
    assert_true(loaded.snapshots[1].snapshot_id == INT64_MAX);
    assert_true(isnan(loaded.chunks[0].similarity));
    assert_int_equal(loaded.row_count, -1);
    assert_int_equal(loaded.usage.microseconds, 1500);
    assert_string_equal(loaded.request, saved.request);
}

static size_t list(struct answer_service *service, uint32_t limit, const char *cursor, json_t **ret)
{
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    assert_ok(answer_list(service, limit, cursor, &json, &test_err));
    assert_ok(tn_json_parse(text.data, text.len, text.len, "list", ret, &test_err));
    return json_array_size(json_object_get(*ret, "items"));
}

static void test_lists_are_read_page_by_page(void **state)
{
    TN_CLEANUP(answer_service_close_p) struct answer_service *service = open_service(*state, NULL);
    size_t seen = 0;
    char cursor[TN_UUID_TEXT] = "";
    TN_AUTO_JSON *empty = NULL;
    assert_int_equal(list(service, 10, NULL, &empty), 0);
    for (int i = 0; i < 25; i++) {
        struct answer_record record = record_of("Again?");
        assert_ok(answer_save(service, &record, &test_err));
    }
    for (bool more = true; more;) {
        TN_AUTO_JSON *page = NULL;
        seen += list(service, 10, cursor[0] ? cursor : NULL, &page);
        const char *next = json_string_value(json_object_get(page, "next_cursor"));
        more = next != NULL;
        snprintf(cursor, sizeof cursor, "%s", next ? next : "");
    }
    assert_int_equal(seen, 25);
}

static void test_feedback_is_said_once_and_counts(void **state)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(outcome_close_p) struct outcome_store *outcomes = NULL;
    const struct outcome_options options = {.folder = tn_path_join(arena, *state, "outcomes")};
    struct answer_record saved = record_of("Good?"), loaded;
    struct outcome_model *models;
    size_t count;
    assert_ok(outcome_open(&options, &outcomes, &test_err));
    const char *folder = tn_path_join(arena, *state, "answers");
    struct answer_service *service = open_service(folder, outcomes);
    assert_ok(answer_save(service, &saved, &test_err));
    assert_int_equal(answer_feedback(service, "01a1fdcb-4acb-730e-bd03-a93649bd275c", true, "ada", NULL),
                     TN_ENOTFOUND);
    assert_ok(answer_feedback(service, saved.id, false, "ada", &test_err));
    assert_ok(answer_feedback(service, saved.id, false, "ada", &test_err));
    assert_int_equal(answer_feedback(service, saved.id, true, "ada", NULL), TN_ECONFLICT);
    answer_service_close(service);
    service = open_service(folder, outcomes);
    assert_ok(answer_load(service, saved.id, arena, &loaded, &test_err));
    assert_int_equal(loaded.feedback, -1);
    answer_service_close(service);
    assert_ok(outcome_rank(outcomes, "rag", 0, OUTCOME_BY_RATE, arena, &models, &count, &test_err));
    assert_int_equal(count, 1);
    assert_string_equal(models[0].model_id, "ollama/m");
    assert_int_equal(models[0].failures, 1);
    assert_int_equal(models[0].successes, 0);
}

static void test_what_is_no_record_is_refused(void **state)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    static const char timeless[] = "{\"answer_id\":\"01a1fdcb-4acb-730e-bd03-a93649bd275c\",\"kind\":\"rag\","
                                   "\"question\":\"q\",\"time\":\"yesterday\"}";
    static const char *const texts[] = {"{}", "[]", "1", "{\"answer_id\":\"x\"}", timeless};
    (void)state;
    for (size_t i = 0; i < TN_COUNT(texts); i++) {
        TN_AUTO_JSON *object = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        struct answer_record record = {.kind = "untouched"};
        assert_int_equal(answer_record_read(object, arena, &record, NULL), TN_ECORRUPT);
        assert_string_equal(record.kind, "untouched");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_a_record_comes_back_as_it_was),
        FOLDER_TEST(test_lists_are_read_page_by_page),
        FOLDER_TEST(test_feedback_is_said_once_and_counts),
        FOLDER_TEST(test_what_is_no_record_is_refused),
    };
    if (tn_random_init(NULL) != TN_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
