/* tarn doctor --deep against files that are not what their manifest says. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/doctor.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tn_error test_err;

#define assert_ok(expression)                                                                                        \
    do {                                                                                                             \
        enum tn_code got_ = (expression);                                                                            \
        if (got_ != TN_OK)                                                                                           \
            fail_msg("%s: %s: %s", #expression, tn_code_word(got_), test_err.detail);                                \
    } while (0)

struct lies {
    char folder[64];
    struct store *store;
    struct tn_arena *arena;
    struct iceberg_table table;
    struct engine *engine;
    struct iceberg_metadata *metadata;
    const struct iceberg_schema *schema;
};

static int lies_open(void **state)
{
    struct lies *lies = tn_calloc(1, sizeof *lies);
    (void)snprintf(lies->folder, sizeof lies->folder, "/tmp/tarn-doctor-test-XXXXXX");
    assert_non_null(mkdtemp(lies->folder));
    assert_ok(tn_random_init(&test_err));
    assert_ok(store_open_local(lies->folder, &lies->store, &test_err));
    lies->arena = tn_arena_new();
    lies->table = (struct iceberg_table){.store = lies->store, .prefix = "datasets/t"};
    const char *const folders[] = {lies->folder};
    const struct engine_options options = {.memory_bytes = UINT64_C(128) << 20,
                                           .temp_folder = "",
                                           .threads = 1,
                                           .readable_folders = folders,
                                           .readable_count = 1};
    assert_ok(engine_open(&options, &lies->engine, &test_err));
    struct iceberg_field *fields = TN_ARENA_ARRAY(lies->arena, struct iceberg_field, 3);
    fields[0] =
        (struct iceberg_field){.id = 1, .required = true, .name = "id", .type = iceberg_type_of(ICEBERG_LONG)};
    fields[1] = (struct iceberg_field){.id = 2, .name = "name", .type = iceberg_type_of(ICEBERG_STRING)};
    fields[2] = (struct iceberg_field){.id = 3, .name = "score", .type = iceberg_type_of(ICEBERG_DOUBLE)};
    struct iceberg_schema *schema = tn_arena_alloc(lies->arena, sizeof *schema);
    *schema = (struct iceberg_schema){.fields = fields, .field_count = 3};
    assert_ok(iceberg_table_create(&lies->table, schema, NULL, 0, &lies->metadata, &test_err));
    *state = lies;
    return 0;
}

static int lies_close(void **state)
{
    struct lies *lies = *state;
    iceberg_metadata_unref(lies->metadata);
    engine_close(lies->engine);
    store_close(lies->store);
    tn_arena_free(lies->arena);
    assert_ok(tn_remove_tree(lies->folder, &test_err));
    free(lies);
    return 0;
}

#define LIES_TEST(function) cmocka_unit_test_setup_teardown(function, lies_open, lies_close)

static struct iceberg_bytes test_value(struct tn_arena *arena, const struct iceberg_type *type, const char *text)
{
    struct iceberg_bytes value = {NULL, 0};
    assert_ok(iceberg_value_parse(arena, type, text, strlen(text), &value, &test_err));
    return value;
}

/* A Parquet file with the rows of a SELECT, put where a data file lies. */
static struct iceberg_file *put_rows(struct lies *lies, const char *select, const char *field_ids)
{
    struct tn_arena *arena = lies->arena;
    struct iceberg_file *file = tn_arena_alloc(arena, sizeof *file);
    struct engine_file_stats written = {0};
    const char *key = NULL;
    const char *path = tn_arena_printf(arena, "%s/fresh.parquet", lies->folder);
    const struct engine_copy copy = {.select = select, .field_ids = field_ids, .local_path = path};
    *file = (struct iceberg_file){.sort_order_id = 0};
    assert_ok(engine_copy_parquet(lies->engine, &copy, arena, &written, &test_err));
    file->path = iceberg_new_file_uri(arena, &lies->table, lies->metadata, ".parquet", &key);
    file->record_count = (int64_t)written.rows;
    file->size_bytes = (int64_t)written.size_bytes;
    assert_ok(store_put_file(lies->store, key, path, &test_err));
    return file;
}

#define ROWS                                                                                                         \
    "SELECT * FROM (VALUES (1::BIGINT, 'ada', 0.5::DOUBLE), (2, NULL, 'nan'), (5, 'eve', -0.0)) t(id, name, score)"
#define IDS "{'id': 1, 'name': 2, 'score': 3}"

/* True statistics of ROWS, for the test to bend. */
static struct iceberg_file *put_data(struct lies *lies, struct iceberg_stats **ret)
{
    struct tn_arena *arena = lies->arena;
    struct iceberg_file *file = put_rows(lies, ROWS, IDS);
    struct iceberg_stats *stats = TN_ARENA_ARRAY(arena, struct iceberg_stats, 3);
    static const char *const bounds[3][2] = {{"1", "5"}, {"ada", "eve"}, {"-0.0", "0.5"}};
    for (int i = 0; i < 3; i++) {
        const struct iceberg_type *type =
            iceberg_type_of((enum iceberg_kind[]){ICEBERG_LONG, ICEBERG_STRING, ICEBERG_DOUBLE}[i]);
        stats[i] = (struct iceberg_stats){.field_id = i + 1,
                                          .column_size = ICEBERG_NONE,
                                          .value_count = 3,
                                          .null_count = i == 1,
                                          .nan_count = i == 2 ? 1 : ICEBERG_NONE,
                                          .lower = test_value(arena, type, bounds[i][0]),
                                          .upper = test_value(arena, type, bounds[i][1])};
    }
    file->stats = stats;
    file->stats_count = 3;
    *ret = stats;
    return file;
}

static void commit(struct lies *lies, const struct iceberg_file *file)
{
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&lies->table, lies->metadata);
    struct iceberg_metadata *next = NULL;
    assert_ok(iceberg_tx_add_file(tx, file, &test_err));
    assert_ok(iceberg_tx_commit(tx, &next, &test_err));
    iceberg_metadata_unref(lies->metadata);
    lies->metadata = next;
}

static void collect(void *context, const struct iceberg_finding *finding)
{
    struct tn_buf *rules = context;
    tn_buf_printf(rules, "%s%s ", finding->rule, finding->fatal ? "!" : "");
}

static int64_t live;

static void assert_rules(struct lies *lies, const char *want)
{
    TN_AUTO_BUF rules = {0};
    tn_buf_puts(&rules, "");
    assert_ok(doctor_read_files(lies->engine, &lies->table, lies->metadata, collect, &rules, &live, &test_err));
    assert_string_equal(rules.len ? rules.data : "", want);
}

static void the_truth_is_accepted(void **state)
{
    struct lies *lies = *state;
    struct iceberg_stats *stats;
    const struct iceberg_file *data = put_data(lies, &stats);
    commit(lies, data);
    assert_rules(lies, "");
    struct iceberg_file *deletes = put_rows(
        lies, tn_arena_printf(lies->arena, "SELECT '%s' AS file_path, unnest([0, 2])::BIGINT AS pos", data->path),
        "{'file_path': 2147483546, 'pos': 2147483545}");
    deletes->content = ICEBERG_POSITION_DELETES;
    deletes->referenced_data_file = data->path;
    commit(lies, deletes);
    assert_rules(lies, "");
}

static void counts_that_lie(void **state)
{
    struct lies *lies = *state;
    struct iceberg_stats *stats;
    struct iceberg_file *data = put_data(lies, &stats);
    stats[0].null_count = 1;
    stats[1].value_count = 4;
    stats[2].nan_count = 0;
    commit(lies, data);
    assert_rules(lies, "null-count! value-count! nan-count! ");
}

static void bounds_that_do_not_bound(void **state)
{
    struct lies *lies = *state;
    struct iceberg_stats *stats;
    struct iceberg_file *data = put_data(lies, &stats);
    stats[0].upper = test_value(lies->arena, iceberg_type_of(ICEBERG_LONG), "4");
    stats[1].lower = test_value(lies->arena, iceberg_type_of(ICEBERG_STRING), "adb");
    stats[2].upper = test_value(lies->arena, iceberg_type_of(ICEBERG_DOUBLE), "0.25");
    commit(lies, data);
    assert_rules(lies, "bounds! bounds! bounds! ");
}

static void rows_that_are_not_there(void **state)
{
    struct lies *lies = *state;
    struct iceberg_file *data = put_rows(lies, ROWS, IDS);
    data->record_count = 4;
    commit(lies, data);
    assert_rules(lies, "record-count! ");
}

static void a_required_column_with_nulls(void **state)
{
    struct lies *lies = *state;
    struct iceberg_file *data = put_rows(lies, "SELECT NULL::BIGINT AS id, 'x' AS name, 1.0::DOUBLE AS score", IDS);
    static const struct iceberg_stats stats[] = {
        {.field_id = 1, .column_size = -1, .value_count = 1, .null_count = 1, .nan_count = -1}};
    data->stats = stats;
    data->stats_count = 1;
    commit(lies, data);
    assert_rules(lies, "required! ");
}

static void files_without_field_ids(void **state)
{
    struct lies *lies = *state;
    commit(lies, put_rows(lies, ROWS, NULL));
    assert_rules(lies, "parquet-field-id! ");
}

static void a_file_that_is_no_parquet(void **state)
{
    struct lies *lies = *state;
    const char *key = NULL;
    struct iceberg_file file = {.record_count = 1, .size_bytes = 4, .sort_order_id = 0};
    file.path = iceberg_new_file_uri(lies->arena, &lies->table, lies->metadata, ".parquet", &key);
    assert_ok(store_put(lies->store, key, "text", 4, &test_err));
    commit(lies, &file);
    assert_rules(lies, "unreadable! ");
}

static void deletes_that_miss(void **state)
{
    struct lies *lies = *state;
    struct iceberg_stats *stats;
    const struct iceberg_file *data = put_data(lies, &stats);
    commit(lies, data);
    struct iceberg_file *deletes =
        put_rows(lies,
                 tn_arena_printf(
                     lies->arena,
                     "SELECT * FROM (VALUES ('%s', 2::BIGINT), ('%s', 3), ('%s', 2), ('other', 1)) t(file_path, pos)",
                     data->path, data->path, data->path),
                 "{'file_path': 2147483546, 'pos': 2147483545}");
    deletes->content = ICEBERG_POSITION_DELETES;
    deletes->referenced_data_file = data->path;
    commit(lies, deletes);
    assert_rules(lies, "delete-position! delete-twice delete-order delete-target! ");
}

/* Each deleted row counts once, whoever deletes it. */
static void deletes_that_overlap(void **state)
{
    struct lies *lies = *state;
    struct iceberg_stats *stats;
    const struct iceberg_file *data = put_data(lies, &stats);
    commit(lies, data);
    assert_rules(lies, "");
    int64_t all = live;
    const char *const positions[] = {"[0, 2]", "[2]", "[1, 2]"};
    const int64_t left[] = {2, 2, 3};
    for (size_t i = 0; i < TN_COUNT(positions); i++) {
        struct iceberg_file *deletes =
            put_rows(lies,
                     tn_arena_printf(lies->arena, "SELECT '%s' AS file_path, unnest(%s)::BIGINT AS pos", data->path,
                                     positions[i]),
                     "{'file_path': 2147483546, 'pos': 2147483545}");
        deletes->content = ICEBERG_POSITION_DELETES;
        deletes->referenced_data_file = data->path;
        commit(lies, deletes);
        assert_rules(lies, "");
        assert_int_equal(live, all - left[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIES_TEST(the_truth_is_accepted),        LIES_TEST(counts_that_lie),
        LIES_TEST(bounds_that_do_not_bound),     LIES_TEST(rows_that_are_not_there),
        LIES_TEST(a_required_column_with_nulls), LIES_TEST(files_without_field_ids),
        LIES_TEST(a_file_that_is_no_parquet),    LIES_TEST(deletes_that_miss),
        LIES_TEST(deletes_that_overlap),
    };
    return cmocka_run_group_tests_name("cli/doctor", tests, NULL, NULL);
}
