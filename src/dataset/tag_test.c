/* Moments as texts, tags, and states that are named by their commit. */
#include "dataset/moment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dataset/test_support.h"

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int kind; /* -1: none */
        int64_t number;
    } cases[] = {
        {"0", MOMENT_START, 0},
        {"17", MOMENT_VERSION, 17},
        {"-17", MOMENT_VERSION, -17},
        {"1970-01-01T00:00:01Z", MOMENT_TIME, 1000000},
        {"1970-01-02", MOMENT_TIME, INT64_C(86400000000)},
        {"replay-12", MOMENT_COMMIT, 12},
        {"replay-0", MOMENT_COMMIT, 0},
        {"replay-", MOMENT_NAME, 0},
        {"replay-x", MOMENT_NAME, 0},
        {"replay-1 ", MOMENT_NAME, 0},
        {"replay-9223372036854775808", MOMENT_COMMIT, INT64_MAX}, /* no state is called that, nor a tag */
        {"replay--1", MOMENT_NAME, 0},
        {"Replay-1", MOMENT_NAME, 0},
        {"main", MOMENT_NAME, 0},
        {"1.0", MOMENT_NAME, 0},
        {"1970-13-01", MOMENT_NAME, 0},
        {"99999999999999999999", -1, 0},
        {"", -1, 0},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        struct moment moment = {.kind = MOMENT_NOW};
        struct tn_error err = {0};
        enum tn_code code = moment_parse(cases[i].text, &moment, &err);
        int64_t number = moment.kind == MOMENT_TIME     ? moment.time_us
                         : moment.kind == MOMENT_COMMIT ? moment.sequence
                                                        : moment.snapshot_id;
        if (code != (cases[i].kind < 0 ? TN_EREQUEST : TN_OK) || (code == TN_OK) != !*err.detail ||
            (code == TN_OK && ((int)moment.kind != cases[i].kind || number != cases[i].number)) ||
            (code != TN_OK && moment.kind != MOMENT_NOW) ||
            moment_is_reserved(cases[i].text) != (cases[i].kind != MOMENT_NAME))
            fail_msg("%s", cases[i].text);
    }
}

static const struct dataset_column columns[] = {{.name = "id", .sql_type = "BIGINT"},
                                                {.name = "name", .sql_type = "VARCHAR"}};
static const struct dataset_who ann = {.actor = "ann", .source = "api"};

static enum tn_code set(struct fixture *f, const char *name, const char *as_of, bool move, struct dataset_tagged *ret)
{
    const struct dataset_tag tag = {.name = name, .as_of = as_of, .move = move};
    struct tn_error err = {0};
    enum tn_code code = dataset_tag_set(&f->lake, "t", &tag, &ann, ret, &err);
    assert_true((code == TN_OK) == !*err.detail);
    return code;
}

static void expect_at(struct fixture *f, const char *at, const char *want)
{
    TN_AUTO_BUF got = {0};
    struct tn_error err = {0};
    must(ask(&f->lake, "SELECT id, name FROM t ORDER BY id", at, &got, &err), &err);
    assert_string_equal(got.data ? got.data : "", want);
}

static enum tn_code fails_at(struct fixture *f, const char *at, const char *hint)
{
    TN_AUTO_BUF got = {0};
    struct tn_error err = {0};
    enum tn_code code = ask(&f->lake, "SELECT id, name FROM t ORDER BY id", at, &got, &err);
    if (!strstr(err.hint, hint))
        fail_msg("%s: %s", err.detail, err.hint);
    return code;
}

static void test_set_move_drop(void **state)
{
    struct fixture *f = *state;
    struct dataset_tagged done;
    struct tn_error err = {0};
    append_rows(f, "t", columns, 2, "id", "SELECT 1::BIGINT AS id, 'a' AS name");
    assert_int_equal(set(f, "one", NULL, false, &done), TN_OK);
    assert_string_equal(done.status, "created");
    int64_t first = done.snapshot_id, second = upsert_name(f, 1, "b");
    expect_at(f, "one", "[1,\"a\"]");
    expect_at(f, "main", "[1,\"b\"]");
    assert_int_equal(set(f, "one", "one", false, &done), TN_OK);
    assert_string_equal(done.status, "unchanged");
    done.snapshot_id = 77;
    assert_int_equal(set(f, "one", NULL, false, &done), TN_EEXISTS);
    assert_int_equal(done.snapshot_id, 77);
    assert_int_equal(set(f, "one", NULL, true, &done), TN_OK);
    assert_string_equal(done.status, "moved");
    assert_int_equal(done.snapshot_id, second);
    expect_at(f, "one", "[1,\"b\"]");
    assert_int_equal(set(f, "old", "replay-1", false, &done), TN_OK);
    assert_int_equal(done.snapshot_id, first);
    static const char *const refused[] = {"", "12", "2026-01-31", "replay-3", "a\nb", "\xff"};
    for (size_t i = 0; i < TN_COUNT(refused); i++)
        assert_int_equal(set(f, refused[i], NULL, true, &done), TN_EREQUEST);
    assert_int_equal(set(f, "main", NULL, true, &done), TN_EREFUSED);
    assert_int_equal(set(f, "x", "nope", false, &done), TN_ESNAPSHOT);
    assert_int_equal(set(f, "x", "2020-01-01", false, &done), TN_ESNAPSHOT);
    must(dataset_tag_drop(&f->lake, "T", "one", &ann, &done, &err), &err);
    assert_string_equal(done.status, "dropped");
    assert_int_equal(fails_at(f, "one", "\"old\""), TN_ESNAPSHOT);
    assert_int_equal(dataset_tag_drop(&f->lake, "t", "one", &ann, &done, NULL), TN_ENOTFOUND);
    assert_int_equal(dataset_tag_drop(&f->lake, "t", "main", &ann, &done, NULL), TN_EREFUSED);
    assert_int_equal(dataset_tag_drop(&f->lake, "u", "one", &ann, &done, NULL), TN_EDATASET);
    expect_at(f, "old", "[1,\"a\"]");
}

static void test_states_by_their_commit(void **state)
{
    struct fixture *f = *state;
    append_rows(f, "t", columns, 2, "id", "SELECT 1::BIGINT AS id, 'a' AS name");
    upsert_name(f, 1, "b");
    upsert_name(f, 2, "c");
    expect_at(f, "replay-1", "[1,\"a\"]");
    expect_at(f, "replay-2", "[1,\"b\"]");
    expect_at(f, "replay-3", "[1,\"b\"],[2,\"c\"]");
    assert_int_equal(fails_at(f, "replay-4", "the newest one is 3"), TN_ESNAPSHOT);
    assert_int_equal(fails_at(f, "replay-0", "the newest one is 3"), TN_ESNAPSHOT);
}

/* A hint has 500 bytes; what is shown of names ends between characters. */
static void test_a_hint_has_room_for_some(void **state)
{
    struct fixture *f = *state;
    struct dataset_tagged done;
    append_rows(f, "t", columns, 2, "id", "SELECT 1::BIGINT AS id, 'a' AS name");
    for (int i = 0; i < 20; i++) {
        char name[DATASET_TAG_MAX + 1];
        snprintf(name, sizeof name, "%02d", i);
        for (size_t at = 2; at + 3 < sizeof name; at += 3)
            memcpy(name + at, "\xE2\x82\xAC", 4);
        assert_int_equal(set(f, name, NULL, false, &done), TN_OK);
    }
    struct tn_error err = {0};
    TN_AUTO_BUF got = {0};
    assert_int_equal(ask(&f->lake, "SELECT * FROM t", "nope", &got, &err), TN_ESNAPSHOT);
    assert_non_null(strstr(err.hint, " and 15 more"));
    assert_int_equal(tn_utf8_valid_prefix(err.hint, strlen(err.hint)), strlen(err.hint));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test_setup_teardown(test_set_move_drop, set_up_for_rows, tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_states_by_their_commit, set_up_for_rows, tear_down_for_rows),
        cmocka_unit_test_setup_teardown(test_a_hint_has_room_for_some, set_up_for_rows, tear_down_for_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
