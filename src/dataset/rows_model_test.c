/* Random writes of rows against a model in memory: after each step the table
 * says what the model says. The seed is printed when they differ. */
#include "dataset/cells.h"
#include "journal/journal.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataset/test_support.h"

#define KEYS      24
#define STEPS     120
#define HISTORIES 3

struct model {
    bool there[KEYS];
    bool null[KEYS];
    int64_t n[KEYS];
};

static uint64_t dice_state;

static size_t dice(size_t below)
{
    return throw_dice(&dice_state, below);
}

static struct engine_cell key_cell(size_t key, struct tn_arena *arena)
{
    struct engine_cell cell = {0};
    cell.text.data = tn_arena_printf(arena, "k%zu'%s", key, key % 3 ? "" : "\xC3\xA9");
    cell.text.length = strlen(cell.text.data);
    return cell;
}

/* Some rows with different keys, as cells of (a, b, n): the key is (a, b). */
static size_t make_rows(struct tn_arena *arena, enum dataset_rows_op op, struct engine_cell *cells, size_t *keys)
{
    static const size_t most = 5;
    size_t count = 1 + dice(most), width = op == DATASET_ROWS_DELETE ? 2 : 3, start = dice(KEYS);
    for (size_t i = 0; i < count; i++) {
        struct engine_cell *row = cells + i * width;
        keys[i] = (start + i * 5) % KEYS;
        row[0] = key_cell(keys[i], arena);
        row[1] = (struct engine_cell){.integer = (int64_t)keys[i] - 7};
        if (width == 3)
            row[2] = dice(4) ? (struct engine_cell){.integer = (int64_t)dice(6)} : (struct engine_cell){.null = true};
    }
    return count;
}

/* What the model says of it: the code, the counts, and the new state. */
static enum tn_code apply(struct model *model, enum dataset_rows_op op, const struct engine_cell *cells,
                          const size_t *keys, size_t count, bool ignore_missing, struct dataset_counts *counts)
{
    struct model next = *model;
    *counts = (struct dataset_counts){0};
    for (size_t i = 0; i < count; i++) {
        size_t key = keys[i];
        bool there = next.there[key];
        if (op == DATASET_ROWS_APPEND && there)
            return TN_EREFUSED;
        if (!there && (op == DATASET_ROWS_PATCH || (op == DATASET_ROWS_DELETE && !ignore_missing)))
            return TN_ENOTFOUND;
        if (op == DATASET_ROWS_DELETE) {
            counts->deleted += there;
            next.there[key] = false;
            continue;
        }
        const struct engine_cell *n = &cells[i * 3 + 2];
        bool same = there && next.null[key] == n->null && (n->null || next.n[key] == n->integer);
        *(same ? &counts->unchanged : there ? &counts->updated : &counts->inserted) += 1;
        next.there[key] = true;
        next.null[key] = n->null;
        next.n[key] = n->null ? 0 : n->integer;
    }
    *model = next;
    return TN_OK;
}

static void delete_where(struct model *model, int64_t below, struct dataset_counts *counts)
{
    *counts = (struct dataset_counts){0};
    for (size_t key = 0; key < KEYS; key++)
        if (model->there[key] && !model->null[key] && model->n[key] < below) {
            model->there[key] = false;
            counts->deleted++;
        }
}

static void step(struct fixture *f, struct model *model)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    static const int32_t ids[] = {1, 2, 3};
    struct engine_cell cells[5 * 3];
    size_t keys[5];
    struct dataset_counts want;
    struct dataset_commit got = {0};
    struct tn_error err = {0};
    struct dataset_rows rows = {
        .op = (enum dataset_rows_op)dice(5), .field_ids = ids, .cells = cells, .actor = "dice"};
    enum tn_code code = TN_OK;
    if (rows.op == DATASET_ROWS_WHERE) {
        rows.predicate = "n < 2";
        delete_where(model, 2, &want);
    } else {
        rows.column_count = rows.op == DATASET_ROWS_DELETE ? 2 : 3;
        rows.row_count = make_rows(arena, rows.op, cells, keys);
        rows.ignore_missing = dice(2);
        code = apply(model, rows.op, cells, keys, rows.row_count, rows.ignore_missing, &want);
    }
    enum tn_code is = dataset_rows_write(&f->lake, "t", &rows, &got, &err);
    if (is != code)
        fail_msg("%s instead of %s: %s", tn_code_word(is), tn_code_word(code), err.detail);
    if (code == TN_OK)
        assert_memory_equal(&got.counts, &want, sizeof want);
}

static void compare(struct fixture *f, const struct model *model)
{
    TN_AUTO_BUF want = {0};
    for (size_t key = 0; key < KEYS; key++) {
        if (!model->there[key])
            continue;
        tn_buf_printf(&want, "%s[\"k%zu'%s\",%d,", want.len ? "," : "", key, key % 3 ? "" : "\xC3\xA9", (int)key - 7);
        if (model->null[key])
            tn_buf_puts(&want, "null]");
        else
            tn_buf_printf(&want, "%" PRId64 "]", model->n[key]);
    }
    expect(f, "SELECT a, b, n FROM t ORDER BY b", want.data ? want.data : "");
}

static void note_finding(void *context, const struct iceberg_finding *finding)
{
    (void)context;
    if (finding->fatal)
        fail_msg("%s at %s: %s", finding->rule, finding->where, finding->text);
}

static void live(struct fixture *f, uint64_t seed, bool hot)
{
    struct tn_error err = {0};
    struct model model = {0};
    struct dataset_commit commit;
    static const struct dataset_column columns[] = {{.name = "a", .sql_type = "VARCHAR"},
                                                    {.name = "b", .sql_type = "BIGINT"},
                                                    {.name = "n", .sql_type = "BIGINT"}};
    TN_CLEANUP(dataset_write_free_p) struct dataset_write *write = NULL;
    must(dataset_write_begin(&f->lake, "t", DATASET_REPLACE, columns, 3, &write, &err), &err);
    must(dataset_write_set_key(write, "a,b", &err), &err);
    must(dataset_write_commit(write, &nothing_special, &commit, &err), &err);
    if (hot)
        must(dataset_hot_pin(&f->lake, "t", &err), &err);
    dice_state = seed;
    print_message("seed %" PRIu64 "\n", seed);
    for (int i = 0; i < STEPS; i++) {
        step(f, &model);
        if (i % 10 == 9)
            compare(f, &model);
    }
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *metadata = NULL;
    must(catalog_load(f->lake.catalog, "t", &metadata, &err), &err);
    const struct iceberg_table table = catalog_table(f->lake.catalog, arena, "t");
    must(iceberg_check(&table, metadata, note_finding, NULL, &err), &err);
}

static void test_random_histories(void **state)
{
    struct fixture *f = *state;
    struct tn_error err = {0};
    must(journal_open(f->lake.store, f->lake.catalog, f->lake.engine, &f->lake.journal, &err), &err);
    for (uint64_t seed = 1; seed <= HISTORIES; seed++)
        live(f, seed, false);
    journal_close(f->lake.journal);
}

/* The same with the rows held in memory: the copy follows every commit. */
static void test_random_histories_of_a_hot_dataset(void **state)
{
    struct fixture *f = *state;
    f->lake.hot = dataset_hot_new(UINT64_C(64) << 20);
    live(f, 11, true);
    live(f, 12, true);
    dataset_hot_free(f->lake.hot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random_histories, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_random_histories_of_a_hot_dataset, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
