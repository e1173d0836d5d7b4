/* Lines of the log of trials, and the sample of queries that were asked. */
#include "index/asked.h"
#include "index/trial_record.h"

#include "base/test_support.h"

static struct trial_record full(void)
{
    return (struct trial_record){.record = 12,
                                 .kind = "trial",
                                 .index = "people",
                                 .trial = 12,
                                 .time_us = INT64_C(1789000000000000),
                                 .actor = "ann \"the\" tester",
                                 .reason = "a\nreason",
                                 .generation = 4,
                                 .seed = UINT64_C(0xfedcba9876543210),
                                 .degree = 24,
                                 .ef_construction = 300,
                                 .recall_target = 0.97,
                                 .raw = "f16",
                                 .snapshot_id = INT64_C(8123456789012345678),
                                 .rows = 100000,
                                 .recall_at_10 = 0.98125,
                                 .p99_us = 412.5,
                                 .forced = true};
}

static void test_what_is_written_reads_back(void **state)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const struct trial_record wanted = full();
    struct trial_record got;
    TN_AUTO_BUF line = {0}, again = {0};
    (void)state;
    trial_record_write(&wanted, &line);
    assert_ok(trial_record_read(line.data, line.len, arena, &got, &test_err));
    assert_int_equal(got.record, 12);
    assert_string_equal(got.actor, wanted.actor);
    assert_string_equal(got.job, "");
    assert_true(got.seed == wanted.seed && got.snapshot_id == wanted.snapshot_id && got.time_us == wanted.time_us);
    assert_true(got.recall_at_10 == wanted.recall_at_10 && got.forced);
    trial_record_write(&got, &again);
    assert_string_equal(again.data, line.data);
}

struct counted {
    size_t count;
    uint64_t last;
};

static enum tn_code count_one(void *context, const struct trial_record *record, struct tn_error *err)
{
    struct counted *counted = context;
    (void)err;
    counted->count++;
    counted->last = record->record;
    return TN_OK;
}

/* Every cut of a log leaves the lines before the cut. */
static void test_a_torn_end_costs_one_record(void **state)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_BUF text = {0};
    struct trial_record record = full();
    size_t first = 0;
    (void)state;
    for (uint64_t i = 1; i <= 3; i++) {
        record.record = i;
        trial_record_write(&record, &text);
        tn_buf_putc(&text, '\n');
        first = first ? first : text.len;
    }
    for (size_t length = 0; length <= text.len; length++) {
        struct counted counted = {0};
        size_t damaged = 0;
        assert_ok(trial_records_read(text.data, length, arena, count_one, &counted, &damaged, &test_err));
        /* The newline itself may be what is missing. */
        assert_int_equal(counted.count, (length + 1) / first);
        assert_int_equal(damaged, length % first != 0 && (length + 1) % first != 0);
    }
}

static void test_what_is_no_record_is_counted(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"record\":1,\"kind\":\"trial\",\"index\":\"i\"}",
        "{\"record\":0,\"kind\":\"trial\",\"index\":\"i\",\"generation\":1}",
        "{\"record\":-1,\"kind\":\"trial\",\"index\":\"i\",\"generation\":1}",
        "{\"record\":1,\"kind\":\"party\",\"index\":\"i\",\"generation\":1}",
        "{\"record\":1,\"kind\":\"trial\",\"index\":7,\"generation\":1}",
        "{\"record\":1,\"kind\":\"trial\",\"index\":\"i\",\"generation\":1,\"seed\":\"12\"}",
        "{\"record\":1,\"kind\":\"trial\",\"index\":\"i\",\"generation\":1,\"time\":\"noon\"}",
        "{\"record\":1,\"kind\":\"trial\",\"index\":\"i\",\"generation\":1,\"recall_at_10\":\"much\"}",
    };
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct trial_record record;
    (void)state;
    for (size_t i = 0; i < TN_COUNT(bad); i++)
        assert_int_not_equal(trial_record_read(bad[i], strlen(bad[i]), arena, &record, NULL), TN_OK);
    /* What a later version adds is passed over. */
    const char *later = "{\"record\":1,\"kind\":\"trial\",\"index\":\"i\",\"generation\":1,\"colour\":{\"red\":[1]}}";
    assert_ok(trial_record_read(later, strlen(later), arena, &record, &test_err));
}

/* ---- queries that were asked ------------------------------------------------------- */

enum { DIMS = 8 };

static void note(struct asked *asked, int number)
{
    float vector[DIMS] = {1};
    vector[1] = (float)number;
    asked_note(asked, vector);
}

static void test_the_last_ones_stay(void **state)
{
    TN_CLEANUP(asked_free_p) struct asked *asked = asked_new(DIMS);
    TN_AUTO_FREE float *out = tn_calloc(ASKED_KEPT, DIMS * sizeof *out);
    (void)state;
    assert_int_equal(asked_take(asked, 10, out), 0);
    for (int i = 0; i < ASKED_KEPT + 100; i++) {
        note(asked, i);
        note(asked, i); /* the same again */
    }
    assert_int_equal(asked_take(asked, ASKED_KEPT, out), ASKED_KEPT);
    assert_true(out[1] == ASKED_KEPT + 99);
    assert_true(out[(ASKED_KEPT - 1) * DIMS + 1] == 100);
}

static void test_they_survive_in_a_file(void **state)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/asked", (const char *)*state);
    TN_CLEANUP(asked_free_p) struct asked *asked = asked_new(DIMS);
    TN_AUTO_FREE float *out = tn_calloc(ASKED_KEPT, DIMS * sizeof *out);
    asked_load(asked, path); /* there is none */
    for (int i = 0; i < 700; i++)
        note(asked, i);
    assert_ok(asked_save(asked, path, &test_err));
    TN_CLEANUP(asked_free_p) struct asked *again = asked_new(DIMS);
    asked_load(again, path);
    assert_int_equal(asked_take(again, ASKED_KEPT, out), ASKED_KEPT);
    assert_true(out[1] == 699);
    /* Any cut, any other dimension, any changed byte: an empty sample. */
    TN_AUTO_BUF bytes = {0};
    assert_ok(tn_file_read(path, 1 << 20, &bytes, &test_err));
    TN_CLEANUP(asked_free_p) struct asked *other = asked_new(DIMS);
    for (size_t length = 0; length < bytes.len; length += 7)
        assert_false(asked_read(other, bytes.data, length));
    bytes.data[100] ^= 1;
    assert_false(asked_read(other, bytes.data, bytes.len));
    bytes.data[100] ^= 1;
    TN_CLEANUP(asked_free_p) struct asked *wide = asked_new(DIMS * 2);
    assert_false(asked_read(wide, bytes.data, bytes.len));
    assert_true(asked_read(other, bytes.data, bytes.len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_reads_back),
        cmocka_unit_test(test_a_torn_end_costs_one_record),
        cmocka_unit_test(test_what_is_no_record_is_counted),
        cmocka_unit_test(test_the_last_ones_stay),
        FOLDER_TEST(test_they_survive_in_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
