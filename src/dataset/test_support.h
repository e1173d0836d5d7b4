/* Shared by the tests of dataset: a lake in a temporary folder. Header only;
 * each test program uses what it needs. Include it behind cmocka.h. */
#ifndef TARN_DATASET_TEST_SUPPORT_H
#define TARN_DATASET_TEST_SUPPORT_H

#include "base/test_folder.h"
#include "dataset/cells.h"
#include "dataset/dataset.h"
#include "journal/journal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    char folder[64];
    struct lake lake;
};

static inline void must(enum tn_code code, const struct tn_error *err)
{
    if (code != TN_OK)
        fail_msg("%s: %s (%s)", tn_code_word(code), err->detail, err->hint);
}

static inline void open_lake(struct fixture *f)
{
    struct tn_error err = {0};
    must(tn_random_init(&err), &err);
    must(store_open_local(f->folder, &f->lake.store, &err), &err);
    must(catalog_open(f->lake.store, &f->lake.catalog, &err), &err);
    const char *folders[] = {f->folder};
    const struct engine_options options = {
        .threads = 2, .temp_folder = "", .readable_folders = folders, .readable_count = 1};
    must(engine_open(&options, &f->lake.engine, &err), &err);
    must(tn_pool_new(2, &f->lake.pool, &err), &err);
    f->lake.relations = dataset_relations_new();
}

static inline void close_lake(struct fixture *f)
{
    dataset_relations_free(f->lake.relations);
    tn_pool_free(f->lake.pool);
    engine_close(f->lake.engine);
    catalog_close(f->lake.catalog);
    store_close(f->lake.store);
    f->lake = (struct lake){0};
}

static inline int set_up(void **state)
{
    struct fixture *f = tn_calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "%s/tarn-dataset-XXXXXX", test_fast_root());
    assert_non_null(mkdtemp(f->folder));
    open_lake(f);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    close_lake(f);
    assert_int_equal(tn_remove_tree(f->folder, NULL), TN_OK);
    free(f);
    return 0;
}

/* The same with what row writes need: a journal and queues. */
static inline int set_up_for_rows(void **state)
{
    struct tn_error err = {0};
    assert_int_equal(set_up(state), 0);
    struct fixture *f = *state;
    must(journal_open(f->lake.store, f->lake.catalog, f->lake.engine, &f->lake.journal, &err), &err);
    f->lake.queues = dataset_rows_queues_new();
    return 0;
}

static inline int tear_down_for_rows(void **state)
{
    struct fixture *f = *state;
    journal_close(f->lake.journal);
    dataset_rows_queues_free(f->lake.queues);
    return tear_down(state);
}

static const struct dataset_lineage nothing_special TN_UNUSED = {
    .ingest_id = "i1", .source = "test", .actor = "tester"};

/* Appends what `sql` gives to the dataset; `key` may be NULL. */
static inline void append_rows(struct fixture *f, const char *name, const struct dataset_column *columns,
                               size_t column_count, const char *key, const char *sql)
{
    TN_CLEANUP(dataset_write_free_p) struct dataset_write *write = NULL;
    struct tn_error err = {0};
    struct dataset_commit commit;
    must(dataset_write_begin(&f->lake, name, DATASET_APPEND, columns, column_count, &write, &err), &err);
    if (key)
        must(dataset_write_set_key(write, key, &err), &err);
    must(dataset_write_file(write, 0, NULL, sql, NULL, NULL, &err), &err);
    must(dataset_write_commit(write, &nothing_special, &commit, &err), &err);
}

/* One row of "t", whose first columns are (id BIGINT key, name VARCHAR); its snapshot. */
static inline int64_t upsert_name(struct fixture *f, int64_t id, const char *name)
{
    static const int32_t ids[] = {1, 2};
    struct tn_error err = {0};
    struct dataset_commit commit;
    struct engine_cell cells[2] = {{.integer = id}, {0}};
    cells[1].text.data = name;
    cells[1].text.length = strlen(name);
    const struct dataset_rows rows = {.op = DATASET_ROWS_UPSERT,
                                      .field_ids = ids,
                                      .column_count = 2,
                                      .cells = cells,
                                      .row_count = 1,
                                      .actor = "ann",
                                      .source = "api"};
    must(dataset_rows_write(&f->lake, "t", &rows, &commit, &err), &err);
    return commit.snapshot_id;
}

/* The same dice in each run; `state` is where they stand. */
static inline size_t throw_dice(uint64_t *state, size_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)((*state >> 33) % below);
}

/* The answer as JSON rows. */
static inline enum tn_code ask(struct lake *lake, const char *sql, const char *at, struct tn_buf *out,
                               struct tn_error *err)
{
    const struct engine_query_options options = {
        .sql = sql, .sql_length = strlen(sql), .default_at = at, .resolver = dataset_resolver(lake)};
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    TN_TRY(engine_query_start(lake->engine, &options, &query, err));
    TN_CLEANUP(engine_writer_free_p) struct engine_writer *writer = engine_writer_new(query, ENGINE_JSON_ROWS);
    for (bool done = false; !done;)
        TN_TRY(engine_writer_fill(writer, 65536, out, &done, err));
    return TN_OK;
}

static inline void expect(struct fixture *f, const char *sql, const char *want)
{
    TN_AUTO_BUF got = {0};
    struct tn_error err = {0};
    must(ask(&f->lake, sql, NULL, &got, &err), &err);
    assert_string_equal(got.data ? got.data : "", want);
}

#endif
