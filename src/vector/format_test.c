/* Damaged files: every truncation and many flipped bits are errors or are
 * harmless, never crashes; a torn log loses only what was not acknowledged. */
#include "vector/delta_log.h"
#include "vector/generation.h"
#include "vector/test_support.h"
#include "vector/tool/input.h"

static void write_file(const char *path, const void *bytes, size_t count)
{
    must(tn_file_replace(path, bytes, count, 0644, &test_error));
}

static void small_generation(const char *folder, const char *path)
{
    (void)folder;
    float *rows = random_rows(60, 6, 0.7F);
    memcpy(rows + 6, rows, 6 * sizeof *rows);
    memset(rows + 12, 0, 6 * sizeof *rows);
    struct vector_rows source = {.count = 60, .dims = 6, .data = rows};
    struct vector_build_options options = {.threads = 1, .degree = 4};
    must(vector_build(&source, &options, path, NULL, &test_error));
    free(rows);
}

static void test_truncations_are_errors(void **state)
{
    (void)state;
    char *folder = temporary_folder();
    char *path = tn_asprintf("%s/x.tvg", folder);
    small_generation(folder, path);
    TN_AUTO_BUF bytes = {0};
    must(tn_file_read(path, 1 << 20, &bytes, &test_error));
    for (size_t size = 0; size < bytes.len; size += size < 4300 ? 61 : 907) {
        write_file(path, bytes.data, size);
        struct vector_index *index = NULL;
        assert_int_not_equal(vector_index_open(path, NULL, &index, &test_error), TN_OK);
        assert_int_equal(vector_verify_file(path, NULL, &test_error), TN_ECORRUPT);
    }
    free(path);
    temporary_remove(folder);
}

static void test_flipped_bits_are_found(void **state)
{
    (void)state;
    char *folder = temporary_folder();
    char *path = tn_asprintf("%s/x.tvg", folder);
    small_generation(folder, path);
    TN_AUTO_BUF bytes = {0};
    must(tn_file_read(path, 1 << 20, &bytes, &test_error));
    struct generation_header h;
    memcpy(&h, bytes.data, sizeof h);
    float query[6] = {1, 2, 3, 1, 2, 3};
    for (int s = 0; s < SECTION_COUNT; s++) {
        uint64_t count = h.sections[s].bytes;
        for (uint64_t i = 0; i < count; i += 1 + count / 40) {
            char *at = bytes.data + h.sections[s].offset + i;
            *at = (char)(*at ^ (1 << (i % 8)));
            write_file(path, bytes.data, bytes.len);
            assert_int_equal(vector_verify_file(path, NULL, &test_error), TN_ECORRUPT);
            struct vector_open_options options = {.no_warm = true};
            struct vector_index *index = NULL;
            if (vector_index_open(path, &options, &index, &test_error) == TN_OK) {
                struct vector_searcher *searcher = NULL;
                struct vector_hit hits[10];
                size_t found;
                struct vector_params p = {.k = 10, .mode = VECTOR_MODE_GRAPH};
                must(vector_searcher_new(index, &searcher, &test_error));
                (void)(vector_search(searcher, query, &p, hits, &found, NULL, &test_error) == TN_OK);
                assert_int_equal(vector_index_health(index, &test_error), TN_ECORRUPT);
                vector_searcher_free(searcher);
                vector_index_close(index);
            }
            *at = (char)(*at ^ (1 << (i % 8)));
        }
    }
    free(path);
    temporary_remove(folder);
}

struct seen {
    int records;
    int64_t last_id;
};

static enum tn_code note(void *context, const struct delta_record *record, struct tn_error *err)
{
    struct seen *s = context;
    (void)err;
    s->records++;
    s->last_id = record->ids[0];
    return TN_OK;
}

static void test_a_torn_log_keeps_whole_records(void **state)
{
    (void)state;
    enum { RECORDS = 6, LENGTH = 40 + 8 + 12 + 4 };
    char *folder = temporary_folder();
    char *path = tn_asprintf("%s/log", folder);
    struct delta_log *log = NULL;
    struct seen seen = {0};
    uint64_t end = 0;
    must(delta_log_open(path, 3, 1, false, note, &seen, &log, &test_error));
    for (int64_t i = 1; i <= RECORDS; i++) {
        float row[3] = {(float)i, 0, 1};
        struct delta_record r = {.op = DELTA_INSERT, .change = (uint64_t)i, .count = 1, .ids = &i, .rows = row};
        must(delta_log_append(log, &r, &end, &test_error));
        if (i == 3) /* the first three are durable, and the fourth says so */
            must(delta_log_sync(log, end, &test_error));
    }
    delta_log_close(log);
    TN_AUTO_BUF bytes = {0};
    must(tn_file_read(path, 1 << 20, &bytes, &test_error));
    assert_int_equal(bytes.len, 64 + RECORDS * LENGTH);
    for (size_t size = 64; size <= bytes.len; size++) {
        seen = (struct seen){0};
        size_t whole;
        must(delta_log_replay(bytes.data, size, "log", 3, note, &seen, &whole, &test_error));
        assert_int_equal(seen.records, (int)((size - 64) / LENGTH));
        assert_int_equal(whole, 64 + (size - 64) / LENGTH * LENGTH);
    }
    /* Damage in what was durable is not mistaken for a torn end. */
    for (size_t i = 64; i < 64 + 3 * LENGTH - 4; i += 7) {
        bytes.data[i] = (char)(bytes.data[i] ^ 16);
        size_t whole;
        assert_int_equal(delta_log_replay(bytes.data, bytes.len, "log", 3, note, &seen, &whole, &test_error),
                         TN_ECORRUPT);
        bytes.data[i] = (char)(bytes.data[i] ^ 16);
    }
    /* A torn end is cut off and written over. */
    write_file(path, bytes.data, bytes.len - 5);
    seen = (struct seen){0};
    must(delta_log_open(path, 3, 1, false, note, &seen, &log, &test_error));
    assert_int_equal(seen.records, RECORDS - 1);
    int64_t id = 77;
    struct delta_record r = {.op = DELTA_DELETE, .change = 99, .count = 1, .ids = &id};
    must(delta_log_append(log, &r, &end, &test_error));
    delta_log_close(log);
    must(delta_log_open(path, 3, 1, true, note, &seen, &log, &test_error));
    assert_int_equal(seen.last_id, 77);
    delta_log_close(log);
    struct delta_log *other = NULL;
    assert_int_equal(delta_log_open(path, 4, 1, true, note, &seen, &other, &test_error), TN_ECORRUPT);
    free(path);
    temporary_remove(folder);
}

static void test_inputs(void **state)
{
    (void)state;
    char *folder = temporary_folder();
    char *npy = tn_asprintf("%s/a.npy", folder);
    char *vecs = tn_asprintf("%s/a.fvecs", folder);
    char *ids = tn_asprintf("%s/a.ivecs", folder);
    const float rows[6] = {1, 2, 3, 4, 5, 6};
    const int64_t numbers[4] = {7, 8, 9, 10};
    must(output_write(npy, rows, INPUT_F32, 2, 3, &test_error));
    must(output_write(vecs, rows, INPUT_F32, 2, 3, &test_error));
    must(output_write(ids, numbers, INPUT_I64, 2, 2, &test_error));
    const char *both[2] = {npy, vecs};
    for (int i = 0; i < 2; i++) {
        struct input input;
        float *floats = NULL;
        must(input_open(both[i], &input, &test_error));
        assert_int_equal(input.rows, 2);
        assert_int_equal(input.columns, 3);
        must(input_floats(&input, both[i], 0, &floats, &test_error));
        assert_memory_equal(floats, rows, sizeof rows);
        free(floats);
        input_release(&input);
    }
    int64_t *got = NULL;
    uint64_t count;
    must(input_ids(ids, &got, &count, &test_error));
    assert_int_equal(count, 4);
    assert_memory_equal(got, numbers, sizeof numbers);
    free(got);
    struct input input;
    static const struct {
        const char *name, *bytes;
    } bad[] = {
        {"x.npy", "\x93NUMPY\1"}, {"x.npy", "not numpy at all, really"}, {"x.fvecs", "\3\0\0\0abc"}, {"x.doc", "x"}};
    for (size_t i = 0; i < TN_COUNT(bad); i++)
        assert_int_equal(input_parse(bad[i].name, bad[i].bytes, strlen(bad[i].bytes), &input, &test_error),
                         TN_EUNREADABLE);
    free(npy);
    free(vecs);
    free(ids);
    temporary_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncations_are_errors),
        cmocka_unit_test(test_flipped_bits_are_found),
        cmocka_unit_test(test_a_torn_log_keeps_whole_records),
        cmocka_unit_test(test_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
