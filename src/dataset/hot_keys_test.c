/* Rows by key in memory, against a plain list of rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataset/cells.h"
#include "dataset/hot_keys.h"

#define KEYS   300
#define ROUNDS 4000

static const struct iceberg_type type_long = {.kind = ICEBERG_LONG, .text = "long"};
static const struct iceberg_type type_text = {.kind = ICEBERG_STRING, .text = "string"};
static const struct iceberg_field fields[] = {
    {.id = 1, .name = "note", .type = &type_text},
    {.id = 2, .name = "a", .type = &type_long, .required = true},
    {.id = 3, .name = "b", .type = &type_text, .required = true},
};
static const int32_t key_ids[] = {2, 3};
static const struct iceberg_schema schema = {
    .fields = fields, .field_count = 3, .identifier_ids = key_ids, .identifier_count = 2};

/* Row n has the key (n / 10, "k<n % 10>"); `version` tells in which file it lies. */
struct row {
    bool there;
    int version;
    int64_t pos;
};

struct cells {
    struct engine_cell row[3], key[2];
    char note[32], b[16], path[32];
};

static void fill(struct cells *cells, size_t n, const struct row *row)
{
    memset(cells, 0, sizeof *cells);
    snprintf(cells->note, sizeof cells->note, "note %d", row->version);
    snprintf(cells->b, sizeof cells->b, "k%zu", n % 10);
    snprintf(cells->path, sizeof cells->path, "file %d", row->version);
    cells->row[0].null = row->version % 3 == 0;
    cells->row[0].text.data = cells->note;
    cells->row[0].text.length = strlen(cells->note);
    cells->row[1].integer = (int64_t)n / 10;
    cells->row[2].text.data = cells->b;
    cells->row[2].text.length = strlen(cells->b);
    cells->key[0] = cells->row[1];
    cells->key[1] = cells->row[2];
}

struct found {
    size_t count;
    int64_t pos;
    char path[32], note[32];
    bool null_note;
};

static enum tn_code take(void *context, const struct dataset_place *place, const struct engine_cell *cells,
                         struct tn_error *err)
{
    struct found *found = context;
    (void)err;
    found->count++;
    found->pos = place->pos;
    snprintf(found->path, sizeof found->path, "%s", place->path);
    found->null_note = cells[0].null;
    if (!cells[0].null)
        snprintf(found->note, sizeof found->note, "%.*s", (int)cells[0].text.length, cells[0].text.data);
    return TN_OK;
}

static void expect(struct hot_keys *keys, size_t n, const struct row *row)
{
    struct cells cells;
    struct found found = {0};
    struct tn_error err = {0};
    fill(&cells, n, row);
    assert_int_equal(hot_keys_find(keys, cells.key, 1, take, &found, &err), TN_OK);
    assert_int_equal(found.count, row->there);
    if (!row->there)
        return;
    assert_int_equal(found.pos, row->pos);
    assert_string_equal(found.path, cells.path);
    assert_int_equal(found.null_note, cells.row[0].null);
    if (!found.null_note)
        assert_string_equal(found.note, cells.note);
}

static struct hot_keys *open_keys(void)
{
    struct hot_keys *keys = NULL;
    struct tn_error err = {0};
    assert_int_equal(tn_random_init(&err), TN_OK);
    assert_int_equal(hot_keys_new(&schema, &keys, &err), TN_OK);
    return keys;
}

static void test_random_changes(void **state)
{
    (void)state;
    TN_CLEANUP(hot_keys_free_p) struct hot_keys *keys = open_keys();
    struct row rows[KEYS] = {0};
    uint64_t seed = 11;
    size_t live = 0;
    for (int round = 1; round <= ROUNDS; round++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size_t n = (size_t)(seed >> 33) % KEYS;
        bool delete = (seed >> 20) % 3 == 0;
        struct row *row = &rows[n], next = {!delete, round, 0};
        struct cells before, after;
        fill(&before, n, row);
        fill(&after, n, &next);
        const struct dataset_place gone = {before.path, row->pos};
        const struct dataset_change change = {.removed = &gone,
                                              .removed_keys = before.key,
                                              .removed_count = row->there,
                                              .added_path = after.path,
                                              .added = after.row,
                                              .added_rows = !delete};
        live += (size_t)next.there - (size_t)row->there;
        assert_true(hot_keys_apply(keys, &change));
        *row = next;
        expect(keys, n, row);
        assert_int_equal(hot_keys_count(keys), live);
        for (size_t i = 0; round % 100 == 0 && i < KEYS; i++)
            expect(keys, i, &rows[i]);
    }
}

static void test_many_rows_and_bytes(void **state)
{
    (void)state;
    TN_CLEANUP(hot_keys_free_p) struct hot_keys *keys = open_keys();
    uint64_t empty = hot_keys_bytes(keys);
    struct cells cells;
    for (size_t n = 0; n < 20000; n++) {
        const struct row row = {true, 7, (int64_t)n};
        fill(&cells, n, &row);
        hot_keys_add(keys, &(struct dataset_place){cells.path, row.pos}, cells.row);
    }
    assert_true(hot_keys_bytes(keys) > empty + 20000 * 40);
    for (size_t n = 0; n < 20000; n++)
        expect(keys, n, &(struct row){true, 7, (int64_t)n});
    expect(keys, 20000, &(struct row){false, 7, 0});
}

/* Other engines do not mind keys: all rows of one are found. */
static void test_several_rows_of_a_key(void **state)
{
    (void)state;
    TN_CLEANUP(hot_keys_free_p) struct hot_keys *keys = open_keys();
    struct cells cells;
    struct found found = {0};
    struct tn_error err = {0};
    for (int version = 1; version <= 3; version++) {
        fill(&cells, 5, &(struct row){true, version, 9});
        hot_keys_add(keys, &(struct dataset_place){cells.path, 9}, cells.row);
    }
    assert_int_equal(hot_keys_find(keys, cells.key, 1, take, &found, &err), TN_OK);
    assert_int_equal(found.count, 3);
    fill(&cells, 5, &(struct row){true, 2, 9});
    const struct dataset_place gone = {cells.path, 9}, other = {cells.path, 8};
    struct dataset_change change = {.removed = &gone, .removed_keys = cells.key, .removed_count = 1};
    assert_true(hot_keys_apply(keys, &change));
    found.count = 0;
    assert_int_equal(hot_keys_find(keys, cells.key, 1, take, &found, &err), TN_OK);
    assert_int_equal(found.count, 2);
    assert_false(hot_keys_apply(keys, &change));
    change.removed = &other;
    assert_false(hot_keys_apply(keys, &change));
}

/* A compaction: the rows that are still where they were get their new places. */
static void test_moved_rows(void **state)
{
    (void)state;
    TN_CLEANUP(hot_keys_free_p) struct hot_keys *keys = open_keys();
    struct cells cells[20];
    struct dataset_place places[20];
    struct engine_cell moved_keys[20][2];
    for (size_t n = 0; n < 20; n++) {
        fill(&cells[n], n, &(struct row){true, 1, (int64_t)n});
        places[n] = (struct dataset_place){cells[n].path, (int64_t)n};
        memcpy(moved_keys[n], cells[n].key, sizeof moved_keys[n]);
        /* Every fifth was changed since it was read. */
        const struct dataset_place other = {"newer", 3};
        hot_keys_add(keys, n % 5 == 0 ? &other : &places[n], cells[n].row);
    }
    struct dataset_change change = {
        .removed = places, .removed_keys = moved_keys[0], .removed_count = 20, .added_path = "merged", .moved = true};
    assert_true(hot_keys_apply(keys, &change));
    for (size_t n = 0; n < 20; n++) {
        struct found found = {0};
        struct tn_error err = {0};
        assert_int_equal(hot_keys_find(keys, cells[n].key, 1, take, &found, &err), TN_OK);
        assert_int_equal(found.count, 1);
        assert_string_equal(found.path, n % 5 == 0 ? "newer" : "merged");
        assert_int_equal(found.pos, n % 5 == 0 ? 3 : (int64_t)n);
        assert_string_equal(found.note, "note 1");
    }
    change.removed_count = 0;
    assert_false(hot_keys_apply(keys, &change));
}

/* ---- files that lead to another --------------------------------------------------------- */

#define LED 500

/* Of each row its file's number and position; the file's path is told by its number. */
struct led {
    struct hot_keys *keys;
    int file[LED];
    int64_t pos[LED];
    int newest;
    uint64_t seed;
};

static uint64_t pick(struct led *led, uint64_t below)
{
    led->seed = led->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (led->seed >> 33) % below;
}

/* A row changes: it lies in a file of its own from then on. */
static void change_one(struct led *led, size_t n)
{
    struct cells before, after;
    fill(&before, n, &(struct row){true, led->file[n], 0});
    fill(&after, n, &(struct row){true, ++led->newest, 0});
    const struct dataset_place gone = {before.path, led->pos[n]};
    const struct dataset_change change = {.removed = &gone,
                                          .removed_keys = before.key,
                                          .removed_count = led->file[n] != 0,
                                          .added_path = after.path,
                                          .added = after.row,
                                          .added_rows = 1};
    assert_true(hot_keys_apply(led->keys, &change));
    led->file[n] = led->newest;
    led->pos[n] = 0;
}

/* Some files become one, while rows of theirs change. */
static void compact_some(struct led *led)
{
    static struct iceberg_file files[LED];
    static struct iceberg_plan_file planned[LED];
    static char paths[LED][32];
    static struct dataset_place places[LED];
    bool chosen[LED] = {false}, moved[LED] = {false};
    int into = ++led->newest, was[LED];
    int64_t to[LED];
    size_t count = 0, rows = 0;
    char path[32];
    for (size_t n = 0; n < LED; n++) { /* files are chosen, not rows */
        size_t i = 0;
        while (led->file[i] != led->file[n])
            i++;
        chosen[n] = i < n ? chosen[i] : pick(led, 3) > 0;
    }
    for (size_t n = 0; n < LED; n++) {
        bool known = !chosen[n];
        snprintf(paths[count], sizeof paths[count], "file %d", led->file[n]);
        for (size_t i = 0; i < count && !known; i++)
            known = strcmp(paths[i], paths[count]) == 0;
        if (known)
            continue;
        files[count] = (struct iceberg_file){.path = paths[count], .record_count = LED};
        planned[count] = (struct iceberg_plan_file){.file = &files[count]};
        count++;
    }
    if (count == 0)
        return;
    struct dataset_moves *moves = dataset_moves_new(planned, count);
    for (size_t n = LED; n-- > 0;) {
        was[n] = led->file[n];
        if (!chosen[n])
            continue;
        snprintf(path, sizeof path, "file %d", led->file[n]);
        struct dataset_moved_file *file = dataset_moves_file(moves, path);
        assert_non_null(file);
        assert_true(dataset_moved_put(file, led->pos[n], (uint32_t)rows));
        to[n] = (int64_t)rows;
        places[rows++] = (struct dataset_place){file->path, led->pos[n]};
        moved[n] = true;
    }
    for (size_t i = pick(led, 20); i > 0; i--) {
        size_t n = (size_t)pick(led, LED);
        change_one(led, n);
        moved[n] = false;
    }
    snprintf(path, sizeof path, "file %d", into);
    const struct dataset_change change = {
        .removed = places, .removed_count = rows, .added_path = path, .moved = true, .moves = moves};
    assert_true(hot_keys_apply(led->keys, &change));
    dataset_moves_unref(moves);
    for (size_t n = 0; n < LED; n++)
        if (moved[n] && led->file[n] == was[n]) {
            led->file[n] = into;
            led->pos[n] = to[n];
        }
}

static void expect_led(struct led *led, size_t n)
{
    struct cells cells;
    struct found found = {0};
    struct tn_error err = {0};
    fill(&cells, n, &(struct row){true, led->file[n], 0});
    assert_int_equal(hot_keys_find(led->keys, cells.key, 1, take, &found, &err), TN_OK);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.path, cells.path);
    assert_int_equal(found.pos, led->pos[n]);
}

static void test_files_lead_rows_to_others(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        TN_CLEANUP(hot_keys_free_p) struct hot_keys *keys = open_keys();
        struct led led = {.keys = keys, .seed = seed};
        for (size_t n = 0; n < LED; n++)
            change_one(&led, n);
        for (int round = 0; round < 60; round++) {
            compact_some(&led);
            for (size_t i = pick(&led, 30); i > 0; i--)
                change_one(&led, (size_t)pick(&led, LED));
            for (size_t i = 0; i < 3; i++)
                expect_led(&led, (size_t)pick(&led, LED));
        }
        for (size_t n = 0; n < LED; n++)
            expect_led(&led, n);
        assert_int_equal(hot_keys_count(keys), LED);
    }
}

/* When all rows were taken along, nothing of the old files is left, and nothing is looked for any more. */
static void test_what_led_goes(void **state)
{
    (void)state;
    TN_CLEANUP(hot_keys_free_p) struct hot_keys *keys = open_keys();
    struct cells cells;
    const struct iceberg_file file = {.path = "file 1", .record_count = 2000};
    const struct iceberg_plan_file planned = {.file = &file};
    for (size_t n = 0; n < 2000; n++) {
        fill(&cells, n, &(struct row){true, 1, (int64_t)n});
        hot_keys_add(keys, &(struct dataset_place){cells.path, (int64_t)n}, cells.row);
    }
    uint64_t before = hot_keys_bytes(keys);
    struct dataset_moves *moves = dataset_moves_new(&planned, 1);
    for (int64_t n = 0; n < 2000; n++)
        assert_true(dataset_moved_put(dataset_moves_file(moves, "file 1"), n, (uint32_t)(1999 - n)));
    const struct dataset_place place = {"file 1", 0};
    const struct dataset_change change = {
        .removed = &place, .removed_count = 1, .added_path = "file 2", .moved = true, .moves = moves};
    assert_true(hot_keys_apply(keys, &change));
    dataset_moves_unref(moves);
    assert_true(hot_keys_bytes(keys) >= before + 2000 * sizeof(uint32_t));
    struct found found = {0};
    for (int i = 0; i < 100; i++) /* calls for something else take rows along */
        assert_int_equal(hot_keys_find(keys, cells.key, 0, take, &found, NULL), TN_OK);
    assert_int_equal(hot_keys_bytes(keys), before);
    for (size_t n = 0; n < 2000; n++) {
        found = (struct found){0};
        fill(&cells, n, &(struct row){true, 1, 0});
        assert_int_equal(hot_keys_find(keys, cells.key, 1, take, &found, NULL), TN_OK);
        assert_int_equal(found.pos, 1999 - (int64_t)n);
        assert_string_equal(found.path, "file 2");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_many_rows_and_bytes),
        cmocka_unit_test(test_several_rows_of_a_key),
        cmocka_unit_test(test_moved_rows),
        cmocka_unit_test(test_files_lead_rows_to_others),
        cmocka_unit_test(test_what_led_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
