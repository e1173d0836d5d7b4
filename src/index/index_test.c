/* Indexes from the dataset's rows to hits: built, found, filtered, kept fresh,
 * remade. The model is a stand-in: a text's vector counts its words. */
#include "index/index.h"

#include "base/test_folder.h"
#include "base/test_support.h"

#include <math.h>
#include <unistd.h>

#define DIMENSION 64

struct fixture {
    char folder[64];
    struct lake lake;
    struct index_service *service;
    uint64_t embedded;   /* texts */
    uint64_t questions;  /* that were embedded */
    enum tn_code broken; /* what the model answers, when not TN_OK */
    uint64_t stop_at;    /* texts embedded at which the service is told to stop; 0: never */
};

static enum tn_code fake_find(void *context, const char *model, struct model_info *ret, struct tn_error *err)
{
    (void)context;
    (void)model;
    (void)err;
    *ret = (struct model_info){.name = "test/words",
                               .provider = "test",
                               .version = "v1",
                               .dimension = DIMENSION,
                               .max_tokens = 32,
                               .query_prefix = "",
                               .document_prefix = ""};
    return TN_OK;
}

static void embed_text(const char *text, size_t length, float *out)
{
    memset(out, 0, DIMENSION * sizeof *out);
    for (size_t at = 0; at < length;) {
        size_t end = at;
        while (end < length && text[end] != ' ')
            end++;
        if (end > at)
            out[tn_hash64(text + at, end - at, 3) % DIMENSION] += 1;
        at = end + 1;
    }
}

static enum tn_code fake_embed(void *context, const char *model, const struct model_call *call,
                               const struct model_text *texts, size_t count, float *out, struct tn_error *err)
{
    struct fixture *f = context;
    (void)model;
    assert_string_equal(call->version, "v1");
    if (f->broken != TN_OK)
        return tn_fail(err, f->broken, "the model is away");
    if (call->use == MODEL_DOCUMENT)
        f->embedded += count;
    else
        f->questions += count;
    if (f->stop_at > 0 && f->embedded >= f->stop_at)
        index_service_stop(f->service);
    for (size_t i = 0; i < count; i++)
        embed_text(texts[i].data, texts[i].length, out + i * DIMENSION);
    return TN_OK;
}

static size_t fake_count(void *context, const char *model, struct model_text text)
{
    size_t words = 0;
    (void)context;
    (void)model;
    for (size_t i = 0; i < text.length; i++)
        words += text.data[i] == ' ';
    return words + 1;
}

static void open_service(struct fixture *f)
{
    TN_AUTO_FREE char *folder = tn_asprintf("%s/state/indexes", f->folder);
    const struct index_options options = {
        .lake = &f->lake,
        .folder = folder,
        .embedder = {.context = f, .find = fake_find, .embed = fake_embed, .count_tokens = fake_count}};
    assert_ok(index_service_open(&options, &f->service, &test_err));
}

static int set_up(void **state)
{
    struct fixture *f = tn_calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "%s/tarn-index-XXXXXX", test_fast_root());
    assert_non_null(mkdtemp(f->folder));
    TN_AUTO_FREE char *bucket = tn_asprintf("%s/bucket", f->folder);
    const char *folders[] = {bucket};
    const struct engine_options options = {
        .threads = 2, .temp_folder = "", .readable_folders = folders, .readable_count = 1};
    assert_ok(tn_random_init(&test_err));
    assert_ok(store_open_local(bucket, &f->lake.store, &test_err));
    assert_ok(catalog_open(f->lake.store, &f->lake.catalog, &test_err));
    assert_ok(engine_open(&options, &f->lake.engine, &test_err));
    assert_ok(tn_pool_new(2, &f->lake.pool, &test_err));
    f->lake.relations = dataset_relations_new();
    f->lake.recent = dataset_recent_new((size_t)1 << 20);
    open_service(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    index_service_close(f->service);
    dataset_relations_free(f->lake.relations);
    dataset_recent_free(f->lake.recent);
    tn_pool_free(f->lake.pool);
    engine_close(f->lake.engine);
    catalog_close(f->lake.catalog);
    store_close(f->lake.store);
    assert_int_equal(tn_remove_tree(f->folder, NULL), TN_OK);
    free(f);
    return 0;
}

/* ---- rows ------------------------------------------------------------------------ */

static const struct dataset_column people[] = {
    {"id", "id", "BIGINT"}, {"city", "city", "VARCHAR"}, {"about", "about", "VARCHAR"}};

/* The rows of a SELECT with the columns above. */
static void write_rows(struct fixture *f, enum dataset_mode mode, const char *key, const char *sql)
{
    const struct dataset_lineage lineage = {.ingest_id = "i", .source = "test", .actor = "tester"};
    TN_CLEANUP(dataset_write_free_p) struct dataset_write *write = NULL;
    struct dataset_commit commit;
    assert_ok(dataset_write_begin(&f->lake, "people", mode, people, TN_COUNT(people), &write, &test_err));
    if (key)
        assert_ok(dataset_write_set_key(write, key, &test_err));
    assert_ok(dataset_write_file(write, 0, NULL, sql, NULL, NULL, &test_err));
    assert_ok(dataset_write_commit(write, &lineage, &commit, &test_err));
}

static void delete_where(struct fixture *f, const char *predicate)
{
    const struct dataset_rows rows = {
        .op = DATASET_ROWS_WHERE, .predicate = predicate, .actor = "tester", .source = "test"};
    struct dataset_commit commit;
    assert_ok(dataset_rows_write(&f->lake, "people", &rows, &commit, &test_err));
}

/* Ids 0 to count - 1; each about a subject of its own, one of ten, and words. */
static void write_people(struct fixture *f, const char *key, unsigned from, unsigned count)
{
    TN_AUTO_FREE char *sql =
        tn_asprintf("SELECT i AS id, CASE WHEN i %% 100 = 7 THEN 'Chicago' ELSE 'Boston' END AS city, "
                    "'somebody who knows subject' || (i %% 10) || ' and thing' || i AS about "
                    "FROM range(%u, %u) r(i)",
                    from, from + count);
    write_rows(f, DATASET_APPEND, key, sql);
}

static void build(struct fixture *f, struct index_report *ret)
{
    static const char *const columns[] = {"about"};
    const struct index_definition definition = {.dataset = "people", .text_columns = columns, .text_column_count = 1};
    char job[JOB_ID_TEXT];
    assert_ok(index_create(f->service, &definition, "tester", job, &test_err));
    assert_ok(index_bring_up(f->service, "people", NULL, ret, &test_err));
}

static struct index_answer *ask(struct fixture *f, const struct index_query *query)
{
    struct index_answer *answer = NULL;
    assert_ok(index_search(f->service, query, &answer, &test_err));
    for (size_t i = 1; i < answer->hit_count; i++)
        assert_true(answer->hits[i - 1].score > answer->hits[i].score ||
                    (answer->hits[i - 1].score == answer->hits[i].score &&
                     answer->hits[i - 1].chunk_id < answer->hits[i].chunk_id));
    return answer;
}

static void expect_first(struct fixture *f, enum index_mode mode, const char *text, const char *filter,
                         const char *doc_id, size_t count)
{
    TN_CLEANUP(index_answer_free_p)
    struct index_answer *answer =
        ask(f, &(struct index_query){.index = "people", .text = text, .mode = mode, .filter = filter, .weight = -1});
    assert_int_equal(answer->hit_count, count);
    if (count > 0)
        assert_string_equal(answer->hits[0].doc_id, doc_id);
}

/* ---- tests ------------------------------------------------------------------------ */

static void test_found_in_every_mode(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    write_people(f, "id", 0, 1500);
    build(f, &report);
    assert_int_equal(report.documents, 1500);
    assert_int_equal(report.chunks, 1500);
    assert_int_equal(report.embedded, 1500);
    expect_first(f, INDEX_KEYWORD, "thing123", NULL, "123", 1);
    expect_first(f, INDEX_HYBRID, "somebody who knows thing123", NULL, "123", 10);
    expect_first(f, INDEX_VECTOR, "somebody who knows subject3 and thing123", NULL, "123", 10);
    expect_first(f, INDEX_KEYWORD, "nobody-says-this", NULL, NULL, 0);
    expect_first(f, INDEX_KEYWORD, "\"((", NULL, NULL, 0);
}

static void test_exactly_k_pass_the_filter(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    write_people(f, "id", 0, 2000);
    build(f, &report);
    for (int mode = INDEX_HYBRID; mode <= INDEX_KEYWORD; mode++)
        for (unsigned k = 5; k <= 25; k += 10) {
            TN_CLEANUP(index_answer_free_p)
            struct index_answer *answer = ask(f, &(struct index_query){.index = "people",
                                                                       .text = "knows subject7",
                                                                       .mode = (enum index_mode)mode,
                                                                       .k = k,
                                                                       .filter = "city = 'Chicago'",
                                                                       .weight = -1});
            assert_int_equal(answer->hit_count, TN_MIN(k, 20U)); /* of 2000 people, 20 */
            assert_int_equal(answer->passing, 20);
            for (size_t i = 0; i < answer->hit_count; i++)
                assert_string_equal(answer->hits[i].doc_id + strlen(answer->hits[i].doc_id) - 1, "7");
        }
    struct index_answer *answer = NULL;
    assert_int_equal(index_search(f->service,
                                  &(struct index_query){.index = "people", .text = "x", .filter = "1); DROP TABLE x"},
                                  &answer, NULL),
                     TN_ESQL);
}

static void test_rows_come_along(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    write_people(f, "id", 0, 100);
    build(f, &report);
    TN_CLEANUP(index_answer_free_p)
    struct index_answer *answer =
        ask(f, &(struct index_query){.index = "people", .text = "thing42", .mode = INDEX_KEYWORD, .rows = true});
    assert_int_equal(answer->hit_count, 1);
    assert_string_equal(answer->hits[0].row,
                        "{\"id\":42,\"city\":\"Boston\",\"about\":\"somebody who knows subject2 and thing42\"}");
    assert_string_equal(answer->hits[0].column, "about");
    assert_int_equal(answer->hits[0].end - answer->hits[0].begin, answer->hits[0].text_length);
}

/* Long texts have several chunks; per_doc gives each document once. */
static void test_one_hit_per_document(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    write_rows(f, DATASET_APPEND, "id",
               "SELECT i AS id, 'x' AS city, repeat('A sentence about gardens and soil. ', 40) || i AS about "
               "FROM range(20) r(i)");
    build(f, &report);
    assert_true(report.chunks > 60);
    for (int mode = INDEX_HYBRID; mode <= INDEX_KEYWORD; mode++) {
        TN_CLEANUP(index_answer_free_p)
        struct index_answer *answer = ask(f, &(struct index_query){.index = "people",
                                                                   .text = "gardens and soil",
                                                                   .mode = (enum index_mode)mode,
                                                                   .k = 15,
                                                                   .weight = -1,
                                                                   .per_doc = true});
        assert_int_equal(answer->hit_count, 15);
        for (size_t i = 0; i < answer->hit_count; i++)
            for (size_t n = 0; n < i; n++)
                assert_string_not_equal(answer->hits[i].doc_id, answer->hits[n].doc_id);
    }
}

static void test_deleted_rows_are_gone_at_once(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    write_people(f, "id", 0, 1000);
    build(f, &report);
    delete_where(f, "id = 123 OR id >= 900");
    expect_first(f, INDEX_KEYWORD, "thing123", NULL, NULL, 0);
    expect_first(f, INDEX_KEYWORD, "thing124", NULL, "124", 1);
    {
        TN_CLEANUP(index_answer_free_p)
        struct index_answer *answer =
            ask(f, &(struct index_query){.index = "people", .text = "somebody", .mode = INDEX_VECTOR, .k = 1000});
        assert_int_equal(answer->hit_count, 899);
        assert_true(answer->behind);
    }
    assert_ok(index_bring_up(f->service, "people", NULL, &report, &test_err));
    assert_int_equal(report.deleted, 101);
    assert_int_equal(report.embedded, 0);
    TN_CLEANUP(index_answer_free_p)
    struct index_answer *answer =
        ask(f, &(struct index_query){.index = "people", .text = "somebody", .mode = INDEX_VECTOR, .k = 1000});
    assert_int_equal(answer->hit_count, 899);
    assert_false(answer->behind);
}

static void test_changes_are_followed(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    write_people(f, "id", 0, 1000);
    build(f, &report);
    write_rows(f, DATASET_UPSERT, "id", "SELECT 5 AS id, 'Rome' AS city, 'a plumber of old pipes' AS about");
    expect_first(f, INDEX_KEYWORD, "thing5", NULL, NULL, 0);
    write_people(f, "id", 1000, 10);
    f->embedded = 0;
    assert_ok(index_bring_up(f->service, "people", NULL, &report, &test_err));
    assert_int_equal(f->embedded, 11);
    assert_int_equal(report.deleted, 1);
    expect_first(f, INDEX_KEYWORD, "plumber", NULL, "5", 1);
    expect_first(f, INDEX_KEYWORD, "plumber", "city = 'Boston'", NULL, 0);
    expect_first(f, INDEX_KEYWORD, "thing1009", NULL, "1009", 1);
    /* A row that changes elsewhere keeps its chunk. */
    write_rows(f, DATASET_UPSERT, "id", "SELECT 5 AS id, 'Boston' AS city, 'a plumber of old pipes' AS about");
    assert_ok(index_bring_up(f->service, "people", NULL, &report, &test_err));
    assert_int_equal(report.chunks, 0);
    assert_int_equal(report.deleted, 0);
    expect_first(f, INDEX_KEYWORD, "plumber", "city = 'Boston'", "5", 1);
}

static void test_without_a_key(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    write_people(f, NULL, 0, 100);
    write_people(f, NULL, 0, 10); /* ten texts twice */
    build(f, &report);
    assert_int_equal(report.chunks, 100);
    delete_where(f, "id = 50");
    TN_CLEANUP(index_answer_free_p)
    struct index_answer *answer =
        ask(f, &(struct index_query){.index = "people", .text = "somebody", .mode = INDEX_VECTOR, .k = 1000});
    assert_int_equal(answer->hit_count, 99);
    assert_ok(index_bring_up(f->service, "people", NULL, &report, &test_err));
    assert_int_equal(report.deleted, 1);
    expect_first(f, INDEX_KEYWORD, "thing50", NULL, NULL, 0);
}

/* Closed, opened; without working files, opened: the same answers, nothing embedded. */
static void test_remade_from_the_table(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    write_people(f, "id", 0, 1500);
    build(f, &report);
    delete_where(f, "id = 3");
    assert_ok(index_bring_up(f->service, "people", NULL, &report, &test_err));
    f->embedded = 0;
    for (int lost = 0; lost < 2; lost++) {
        index_service_close(TN_TAKE(f->service));
        TN_AUTO_FREE char *state_folder = tn_asprintf("%s/state", f->folder);
        if (lost)
            assert_ok(tn_remove_tree(state_folder, &test_err));
        open_service(f);
        expect_first(f, INDEX_KEYWORD, "thing77", NULL, "77", 1);
        expect_first(f, INDEX_KEYWORD, "thing3", NULL, NULL, 0);
        expect_first(f, INDEX_VECTOR, "somebody who knows subject3 and thing123", NULL, "123", 10);
        assert_ok(index_bring_up(f->service, "people", NULL, &report, &test_err));
        assert_int_equal(report.chunks, 0);
    }
    assert_int_equal(f->embedded, 0);
}

/* Told to stop in the middle of building: what is committed stays, the next start goes on there. */
static void test_a_stop_ends_what_runs(void **state)
{
    struct fixture *f = *state;
    static const char *const columns[] = {"about"};
    const struct index_definition definition = {.dataset = "people", .text_columns = columns, .text_column_count = 1};
    struct index_report report;
    char job[JOB_ID_TEXT];
    write_people(f, "id", 0, 3000);
    assert_ok(index_create(f->service, &definition, "tester", job, &test_err));
    f->stop_at = 1100;
    assert_int_equal(index_bring_up(f->service, "people", NULL, &report, NULL), TN_ECANCELLED);
    assert_true(f->embedded < 1400);
    expect_first(f, INDEX_KEYWORD, "thing77", NULL, "77", 1); /* searches go on */
    assert_int_equal(index_fold(f->service, "people", NULL), TN_ECANCELLED);
    f->stop_at = 0;
    index_service_close(TN_TAKE(f->service));
    open_service(f);
    assert_ok(index_bring_up(f->service, "people", NULL, &report, &test_err));
    assert_true(f->embedded >= 3000 && f->embedded <= 3000 + 512);
    expect_first(f, INDEX_KEYWORD, "thing77", NULL, "77", 1);
    expect_first(f, INDEX_KEYWORD, "thing2999", NULL, "2999", 1);
    expect_first(f, INDEX_VECTOR, "somebody who knows subject3 and thing123", NULL, "123", 10);
    assert_ok(index_fold(f->service, "people", &test_err));
}

/* With questions made of the chunks' words while nobody has asked, with what was asked then. */
static void test_a_fold_is_calibrated_with_questions(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    write_people(f, "id", 0, 2500);
    build(f, &report);
    assert_true(report.folded);
    uint64_t made = f->questions;
    assert_true(made >= 64 && made <= 256);
    f->broken = TN_EUNAVAILABLE; /* no reason not to fold */
    assert_ok(index_fold(f->service, "people", &test_err));
    f->broken = TN_OK;
    for (unsigned i = 0; i < 30; i++) {
        TN_CLEANUP(index_answer_free_p) struct index_answer *answer = NULL;
        TN_AUTO_FREE char *text = tn_asprintf("who knows subject%u and thing%u", i % 10, i);
        answer = ask(f, &(struct index_query){.index = "people", .text = text, .mode = INDEX_VECTOR});
        assert_int_equal(answer->hit_count, 10);
    }
    uint64_t asked = f->questions;
    assert_ok(index_fold(f->service, "people", &test_err));
    assert_true(f->questions > asked && f->questions - asked < made);
}

static void test_a_model_that_is_away(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    struct index_answer *answer = NULL;
    write_people(f, "id", 0, 1000);
    build(f, &report);
    write_people(f, "id", 1000, 20);
    f->broken = TN_EUNAVAILABLE;
    assert_int_equal(index_bring_up(f->service, "people", NULL, &report, NULL), TN_EUNAVAILABLE);
    expect_first(f, INDEX_KEYWORD, "thing77", NULL, "77", 1);
    assert_int_equal(
        index_search(f->service, &(struct index_query){.index = "people", .text = "never asked"}, &answer, NULL),
        TN_EUNAVAILABLE);
    f->broken = TN_OK;
    assert_ok(index_bring_up(f->service, "people", NULL, &report, &test_err));
    assert_int_equal(report.chunks, 20);
    expect_first(f, INDEX_KEYWORD, "thing1019", NULL, "1019", 1);
}

static void test_a_second_index_embeds_nothing(void **state)
{
    struct fixture *f = *state;
    static const char *const columns[] = {"about"};
    struct index_report report;
    char job[JOB_ID_TEXT];
    write_people(f, "id", 0, 600);
    build(f, &report);
    const struct index_definition second = {
        .name = "again", .dataset = "people", .text_columns = columns, .text_column_count = 1};
    assert_ok(index_create(f->service, &second, "tester", job, &test_err));
    assert_int_equal(index_create(f->service, &second, "tester", job, NULL), TN_EEXISTS);
    f->embedded = 0;
    assert_ok(index_bring_up(f->service, "again", NULL, &report, &test_err));
    assert_int_equal(report.chunks, 600);
    assert_int_equal(report.reused, 600);
    assert_int_equal(f->embedded, 0);
    assert_ok(index_drop(f->service, "again", &test_err));
    assert_int_equal(index_bring_up(f->service, "again", NULL, &report, NULL), TN_ENOTFOUND);
    expect_first(f, INDEX_KEYWORD, "thing77", NULL, "77", 1);
    assert_ok(index_create(f->service, &second, "tester", job, &test_err));
    assert_ok(index_bring_up(f->service, "again", NULL, &report, &test_err));
}

/* Also by another index of the same model; one that was long ago is forgotten. */
static void test_a_question_is_embedded_once(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    write_people(f, "id", 0, 20);
    build(f, &report);
    f->questions = 0;
    for (int i = 0; i < 3; i++) {
        expect_first(f, INDEX_VECTOR, "subject7 thing7", "id = 7", "7", 1);
        expect_first(f, INDEX_HYBRID, "subject7 thing7", NULL, "7", 10);
    }
    assert_int_equal(f->questions, 1);
    for (int i = 0; i < 600; i++) {
        char text[32];
        snprintf(text, sizeof text, "thing%d", i);
        expect_first(f, INDEX_VECTOR, text, "id = 7", "7", 1);
    }
    assert_int_equal(f->questions, 601);
    expect_first(f, INDEX_VECTOR, "subject7 thing7", "id = 7", "7", 1);
    assert_int_equal(f->questions, 602);
}

static void test_wishes_that_make_no_sense(void **state)
{
    struct fixture *f = *state;
    static const char *const number[] = {"id"}, *const nothing[] = {"abuot"};
    char job[JOB_ID_TEXT];
    struct index_answer *answer = NULL;
    struct tn_error err = {0};
    write_people(f, "id", 0, 10);
    const struct index_definition on_number = {.dataset = "people", .text_columns = number, .text_column_count = 1};
    const struct index_definition on_nothing = {.dataset = "people", .text_columns = nothing, .text_column_count = 1};
    const struct index_definition nowhere = {.dataset = "peple"};
    assert_int_equal(index_create(f->service, &on_number, NULL, job, NULL), TN_EREQUEST);
    assert_int_equal(index_create(f->service, &on_nothing, NULL, job, &err), TN_EREQUEST);
    assert_string_equal(err.hint, "did you mean \"about\"?");
    assert_int_equal(index_create(f->service, &nowhere, NULL, job, NULL), TN_EDATASET);
    assert_int_equal(index_search(f->service, &(struct index_query){.index = "people", .text = "x"}, &answer, NULL),
                     TN_ENOTFOUND);
    const struct index_definition by_itself = {.dataset = "people"};
    assert_ok(index_create(f->service, &by_itself, NULL, job, &test_err));
    const float vector[3] = {1, 0, 0};
    assert_int_equal(
        index_search(f->service,
                     &(struct index_query){.index = "people", .vector = vector, .dimension = 3, .mode = INDEX_VECTOR},
                     &answer, NULL),
        TN_EREQUEST);
    TN_AUTO_BUF text = {0};
    struct tn_json json = tn_json_writer(&text);
    assert_ok(index_show(f->service, "people", &json, &test_err));
    assert_non_null(strstr(text.data, "\"text_columns\":[\"about\"]"));
    assert_non_null(strstr(text.data, "\"state\":\"empty\""));
}

/* ---- changes out of memory -------------------------------------------------------------- */

/* Rows of (id, city, about) put or, without a text, deleted. */
static void put_row(struct fixture *f, int64_t id, const char *about)
{
    static const int32_t field_ids[] = {1, 2, 3};
    const struct engine_cell cells[3] = {
        {.integer = id}, {.text = {"Oslo", 4}}, {.text = {about, about ? strlen(about) : 0}}};
    const struct dataset_rows rows = {.op = about ? DATASET_ROWS_UPSERT : DATASET_ROWS_DELETE,
                                      .field_ids = field_ids,
                                      .column_count = about ? 3 : 1,
                                      .cells = cells,
                                      .row_count = 1,
                                      .ignore_missing = true,
                                      .actor = "tester",
                                      .source = "test"};
    struct dataset_commit commit;
    assert_ok(dataset_rows_write(&f->lake, "people", &rows, &commit, &test_err));
}

static uint64_t from_memory(struct fixture *f)
{
    struct index_totals totals;
    index_totals(f->service, &totals);
    return totals.from_memory;
}

/* Before the index has caught up, and after: what is gone is not found, what is new is found once. */
static void test_small_changes_are_told_by_their_writers(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    write_people(f, "id", 0, 300);
    build(f, &report);
    put_row(f, 7, "now a diver");
    put_row(f, 7, "now a diver of wrecks");
    put_row(f, 9, NULL);
    put_row(f, 900, "a newcomer");
    put_row(f, 901, "somebody who left again");
    put_row(f, 901, NULL);
    expect_first(f, INDEX_KEYWORD, "thing7", NULL, NULL, 0);
    expect_first(f, INDEX_KEYWORD, "thing9", NULL, NULL, 0);
    expect_first(f, INDEX_KEYWORD, "thing9", "city = 'Boston'", NULL, 0);
    expect_first(f, INDEX_KEYWORD, "thing8", NULL, "8", 1);
    assert_ok(index_bring_up(f->service, "people", NULL, &report, &test_err));
    assert_int_equal(from_memory(f), 1);
    assert_int_equal(report.chunks, 2);
    assert_int_equal(report.deleted, 2);
    expect_first(f, INDEX_KEYWORD, "wrecks", NULL, "7", 1);
    expect_first(f, INDEX_KEYWORD, "newcomer", NULL, "900", 1);
    expect_first(f, INDEX_KEYWORD, "left", NULL, NULL, 0);
    expect_first(f, INDEX_KEYWORD, "thing8", NULL, "8", 1);
}

static void test_after_a_file_the_engine_is_asked(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    write_people(f, "id", 0, 100);
    build(f, &report);
    put_row(f, 7, "now a diver");
    write_people(f, NULL, 100, 50);
    put_row(f, 8, "now a pilot");
    expect_first(f, INDEX_KEYWORD, "thing8", NULL, NULL, 0);
    assert_ok(index_bring_up(f->service, "people", NULL, &report, &test_err));
    assert_int_equal(from_memory(f), 0);
    expect_first(f, INDEX_KEYWORD, "diver", NULL, "7", 1);
    expect_first(f, INDEX_KEYWORD, "pilot", NULL, "8", 1);
    expect_first(f, INDEX_KEYWORD, "thing149", NULL, "149", 1);
}

/* A model that goes away in between: the next try brings it all. */
static void test_what_is_not_embedded_is_not_shown(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    write_people(f, "id", 0, 50);
    build(f, &report);
    put_row(f, 7, "now a diver");
    f->broken = TN_EUNAVAILABLE;
    assert_int_equal(index_bring_up(f->service, "people", NULL, &report, NULL), TN_EUNAVAILABLE);
    f->broken = TN_OK;
    expect_first(f, INDEX_KEYWORD, "thing7", NULL, NULL, 0);
    expect_first(f, INDEX_KEYWORD, "diver", NULL, NULL, 0);
    assert_ok(index_bring_up(f->service, "people", NULL, &report, &test_err));
    expect_first(f, INDEX_KEYWORD, "diver", NULL, "7", 1);
}

static struct index_totals totals_of(struct fixture *f)
{
    struct index_totals totals;
    index_totals(f->service, &totals);
    return totals;
}

/* However many commits the index is behind, a search reads what the last one has not read. */
static void test_each_commit_is_looked_at_once(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    char word[32], id[32];
    write_people(f, "id", 0, 300);
    build(f, &report);
    for (int i = 0; i < 60; i++) {
        put_row(f, i, i % 3 ? "now a diver" : NULL);
        snprintf(word, sizeof word, "thing%d", i);
        expect_first(f, INDEX_KEYWORD, word, NULL, NULL, 0);
        expect_first(f, INDEX_KEYWORD, word, "city = 'Boston'", NULL, 0);
        snprintf(word, sizeof word, "thing%d", i + 1);
        snprintf(id, sizeof id, "%d", i + 1);
        expect_first(f, INDEX_KEYWORD, word, NULL, id, 1);
        expect_first(f, INDEX_KEYWORD, word, "id >= 0", id, 1);
    }
    assert_int_equal(totals_of(f).filters, 2);
    assert_int_equal(totals_of(f).changes_read, 0);
    assert_ok(index_bring_up(f->service, "people", NULL, &report, &test_err));
    expect_first(f, INDEX_KEYWORD, "diver", "id = 58", "58", 1);
    expect_first(f, INDEX_KEYWORD, "diver", "id = 57", NULL, 0);
    expect_first(f, INDEX_KEYWORD, "thing59", "id >= 0", NULL, 0);
    expect_first(f, INDEX_KEYWORD, "thing60", "id >= 0", "60", 1);
    assert_int_equal(totals_of(f).filters, 5);
}

/* Files are not told by memory: one SELECT for each commit that is behind, not for each search. */
static void test_files_are_read_once(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    write_people(f, "id", 0, 100);
    build(f, &report);
    for (int i = 0; i < 4; i++) {
        TN_AUTO_FREE char *sql = tn_asprintf("SELECT %d AS id, 'Rome' AS city, 'a plumber' AS about", i);
        TN_AUTO_FREE char *gone = tn_asprintf("thing%d", i), *there = tn_asprintf("thing%d", i + 1);
        TN_AUTO_FREE char *id = tn_asprintf("%d", i + 1);
        write_rows(f, DATASET_UPSERT, "id", sql);
        for (int n = 0; n < 3; n++) {
            expect_first(f, INDEX_KEYWORD, gone, NULL, NULL, 0);
            expect_first(f, INDEX_KEYWORD, there, n ? "id < 50" : NULL, id, 1);
        }
        put_row(f, 90 + i, "now a diver");
        expect_first(f, INDEX_KEYWORD, "thing0", NULL, NULL, 0);
    }
    assert_int_equal(totals_of(f).changes_read, 4);
    assert_int_equal(totals_of(f).filters, 1);
    expect_first(f, INDEX_KEYWORD, "thing92", NULL, NULL, 0);
    expect_first(f, INDEX_KEYWORD, "thing94", NULL, "94", 1);
}

#define MODEL_ROWS 12

/* Rows and walks in any order: found is what the last walk has seen and nobody changed since. */
static void test_random_writes_walks_and_searches(void **state)
{
    struct fixture *f = *state;
    struct index_report report;
    int now[MODEL_ROWS], shown[MODEL_ROWS];
    uint64_t dice = 7;
    write_people(f, "id", 0, MODEL_ROWS);
    build(f, &report);
    memset(now, -1, sizeof now); /* no version of ours yet */
    memset(shown, -1, sizeof shown);
    for (int step = 0; step < 400; step++) {
        dice = tn_hash64(&step, sizeof step, dice);
        size_t id = dice % MODEL_ROWS;
        TN_AUTO_FREE char *text = tn_asprintf("version%d", step), *name = tn_asprintf("%zu", id);
        TN_AUTO_FREE char *before = tn_asprintf("version%d", now[id]);
        switch (dice >> 32 & 7) {
        case 0: /* it is caught up to */
            assert_ok(index_bring_up(f->service, "people", NULL, &report, &test_err));
            memcpy(shown, now, sizeof shown);
            break;
        case 1: /* it goes; a later version may bring it back */
            put_row(f, (int64_t)id, NULL);
            now[id] = -1;
            break;
        case 2:
            put_row(f, (int64_t)id, text);
            now[id] = step;
            break;
        default:
            if (now[id] >= 0) {
                bool there = now[id] == shown[id];
                expect_first(f, INDEX_KEYWORD, before, dice >> 40 & 1 ? "id < 100" : NULL, name, there);
                expect_first(f, INDEX_KEYWORD, before, "city = 'Rome'", NULL, 0);
            }
        }
    }
}

/* By what the definition says at the next start too, and where nobody looked in between. */
static void test_a_rename_is_followed(void **state)
{
    struct fixture *f = *state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *space, *table;
    struct index_report report;
    write_people(f, "id", 0, 100);
    build(f, &report);
    catalog_identifier_of(f->lake.catalog, "people", arena, &space, &table);
    assert_ok(catalog_rename(f->lake.catalog, space, table, space, "staff", &test_err));
    {
        TN_AUTO_FREE char *name = NULL;
        assert_ok(index_of_dataset(f->service, "staff", &name, &test_err));
        assert_string_equal(name, "people");
    }
    expect_first(f, INDEX_KEYWORD, "thing7", "id < 10", "7", 1);
    index_service_close(f->service);
    assert_ok(catalog_rename(f->lake.catalog, space, "staff", space, "crew", &test_err));
    open_service(f);
    f->embedded = 0;
    expect_first(f, INDEX_KEYWORD, "thing7", NULL, "7", 1);
    assert_ok(index_bring_up(f->service, "people", NULL, &report, &test_err));
    assert_int_equal(f->embedded, 0);
    assert_ok(catalog_drop(f->lake.catalog, "crew", &test_err));
    assert_int_equal(index_bring_up(f->service, "people", NULL, &report, &test_err), TN_EDATASET);
    assert_non_null(strstr(test_err.detail, "crew"));
}

#define LAKE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAKE_TEST(test_found_in_every_mode),
        LAKE_TEST(test_exactly_k_pass_the_filter),
        LAKE_TEST(test_rows_come_along),
        LAKE_TEST(test_one_hit_per_document),
        LAKE_TEST(test_deleted_rows_are_gone_at_once),
        LAKE_TEST(test_changes_are_followed),
        LAKE_TEST(test_without_a_key),
        LAKE_TEST(test_remade_from_the_table),
        LAKE_TEST(test_a_stop_ends_what_runs),
        LAKE_TEST(test_a_fold_is_calibrated_with_questions),
        LAKE_TEST(test_a_model_that_is_away),
        LAKE_TEST(test_a_second_index_embeds_nothing),
        LAKE_TEST(test_a_question_is_embedded_once),
        LAKE_TEST(test_wishes_that_make_no_sense),
        LAKE_TEST(test_small_changes_are_told_by_their_writers),
        LAKE_TEST(test_after_a_file_the_engine_is_asked),
        LAKE_TEST(test_what_is_not_embedded_is_not_shown),
        LAKE_TEST(test_each_commit_is_looked_at_once),
        LAKE_TEST(test_files_are_read_once),
        LAKE_TEST(test_a_rename_is_followed),
        LAKE_TEST(test_random_writes_walks_and_searches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
