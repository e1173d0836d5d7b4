/* The staffing workload: repeatable, whole, and joined up. */
#include "demo/demo_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Gathers what a write produces: hash, rows, bytes. */
struct tally {
    struct tn_hash hash;
    uint64_t rows;
    uint64_t bytes;
};

static enum tn_code tally_take(void *context, const void *bytes, size_t count, uint64_t rows, struct tn_error *err)
{
    struct tally *tally = context;
    tn_hash_update(&tally->hash, bytes, count);
    tally->rows += rows;
    tally->bytes += count;
    return ((const char *)bytes)[count - 1] == '\n' ? TN_OK : tn_fail(err, TN_EINTERNAL, "a chunk ends within a row");
}

static void table_hash(double scale, uint64_t seed, enum demo_table table, enum demo_format format, size_t threads,
                       char ret_hex[TN_HASH_HEX])
{
    struct demo_staffing *staffing TN_CLEANUP(demo_staffing_free_p) = NULL;
    struct tn_pool *pool TN_CLEANUP(tn_pool_free_p) = NULL;
    assert_int_equal(demo_staffing_new(scale, seed, &staffing, NULL), TN_OK);
    if (threads > 0)
        assert_int_equal(tn_pool_new(threads, &pool, NULL), TN_OK);
    struct tally tally = {0};
    tn_hash_init(&tally.hash);
    assert_int_equal(demo_staffing_write(staffing, table, format, pool, tally_take, &tally, NULL), TN_OK);
    assert_int_equal(tally.rows, demo_staffing_rows(staffing, table));
    tn_hash_final_hex(&tally.hash, ret_hex);
}

static void test_same_seed_same_bytes(void **state TN_UNUSED)
{
    for (enum demo_table table = 0; table < DEMO_TABLES; table++) {
        for (enum demo_format format = DEMO_CSV; format <= DEMO_NDJSON; format++) {
            char alone[TN_HASH_HEX], again[TN_HASH_HEX], three[TN_HASH_HEX], other[TN_HASH_HEX];
            table_hash(0.05, 7, table, format, 0, alone);
            table_hash(0.05, 7, table, format, 0, again);
            table_hash(0.05, 7, table, format, 3, three);
            table_hash(0.05, 8, table, format, 0, other);
            assert_string_equal(alone, again);
            assert_string_equal(alone, three);
            assert_string_not_equal(alone, other);
        }
    }
}

/* The bytes themselves, so that a change of the generator is noticed on every
 * machine: the figures of two releases are comparable only while this holds. */
static void test_bytes_are_pinned(void **state TN_UNUSED)
{
    static const char *const pinned[DEMO_TABLES] = {
        "98597d7afc98ff471da32ff0085172e45becf4fe661c1265b5404d75d69fd32d",
        "494c9eb8c029184d373accafea602b8b268d018b153fd1154d2457cd21fe2e56",
        "bc0afe8db581f70ef2a367929876f5a16e129156bb20b74aa935ee3cf4d1c863",
        "fab64f6a16e604c6323d0b9878614c0654ce465aa7923f54e68f761eb3206349",
        "18206db0777389483784dc0d179b87b9eee1266e4ef68e2c32870948fa3a27d7",
        "ac3f7864597226165dc616b139c109d13e79058ac67974454bd2c9b407b5d9c1",
        "de90ce375947d6aa25a161bc5013c6bf4b15cb3cf1b20cd9f0a388d0c3649bd1",
    };
    for (enum demo_table table = 0; table < DEMO_TABLES; table++) {
        char hex[TN_HASH_HEX];
        table_hash(0.01, DEMO_DEFAULT_SEED, table, demo_table_format(table), 0, hex);
        assert_string_equal(hex, pinned[table]);
    }
}

static void test_row_counts(void **state TN_UNUSED)
{
    static const uint64_t expected[DEMO_TABLES] = {100000, 2000, 15000, 50000, 1000000, 800000, 500000};
    struct demo_staffing *staffing TN_CLEANUP(demo_staffing_free_p) = NULL;
    assert_int_equal(demo_staffing_new(1, 1, &staffing, NULL), TN_OK);
    uint64_t total = 0;
    for (enum demo_table table = 0; table < DEMO_TABLES; table++) {
        assert_int_equal(demo_staffing_rows(staffing, table), expected[table]);
        total += demo_staffing_rows(staffing, table);
    }
    assert_int_equal(total, 2467000);
    struct tn_error err = {0};
    assert_int_equal(demo_staffing_new(0, 1, &staffing, &err), TN_EUSAGE);
    assert_non_null(strstr(err.hint, "2,467,000"));
    assert_int_equal(demo_staffing_new(DEMO_MAX_SCALE * 2, 1, &staffing, NULL), TN_EUSAGE);
    assert_int_equal(demo_staffing_new((double)NAN, 1, &staffing, NULL), TN_EUSAGE);
}

/* Pieces rendered anywhere are the pieces of the whole. */
static void test_render_is_by_range(void **state TN_UNUSED)
{
    struct demo_staffing *staffing TN_CLEANUP(demo_staffing_free_p) = NULL;
    assert_int_equal(demo_staffing_new(0.01, 3, &staffing, NULL), TN_OK);
    for (enum demo_table table = 0; table < DEMO_TABLES; table++) {
        TN_AUTO_BUF whole = {0};
        TN_AUTO_BUF parts = {0};
        uint64_t rows = demo_staffing_rows(staffing, table);
        demo_staffing_render(staffing, table, DEMO_CSV, 0, rows, &whole);
        for (uint64_t row = 0; row < rows; row += 7)
            demo_staffing_render(staffing, table, DEMO_CSV, row, TN_MIN(rows - row, 7), &parts);
        assert_int_equal(whole.len, parts.len);
        assert_memory_equal(whole.data, parts.data, whole.len);
        assert_int_equal(tn_utf8_valid_prefix(whole.data, whole.len), whole.len);
    }
}

static void test_keys_join(void **state TN_UNUSED)
{
    static const double scales[] = {0.0001, 0.001, 0.02, 1};
    for (size_t i = 0; i < TN_COUNT(scales); i++) {
        struct demo_staffing *s TN_CLEANUP(demo_staffing_free_p) = NULL;
        assert_int_equal(demo_staffing_new(scales[i], 1, &s, NULL), TN_OK);
        for (uint64_t j = 0; j < s->rows[DEMO_JOB_ORDERS]; j++)
            assert_true(s->jobs[j].client < s->rows[DEMO_CLIENTS]);
        for (uint64_t p = 0; p < s->rows[DEMO_PLACEMENTS]; p++) {
            const struct demo_placement *placement = &s->placements[p];
            assert_true(placement->job < s->rows[DEMO_JOB_ORDERS]);
            assert_true(placement->candidate < s->rows[DEMO_CANDIDATES]);
            assert_true(placement->start_week + placement->weeks <= DEMO_WEEKS);
            assert_true(placement->bill_cents > placement->pay_cents);
            assert_true(s->sheet_start[p] <= s->sheet_start[p + 1]);
            if (scales[i] >= 1)
                assert_int_equal(s->candidates[placement->candidate].profession, s->jobs[placement->job].profession);
        }
        assert_int_equal(s->sheet_start[0], 0);
    }
}

static void test_cold_leads_and_skew(void **state TN_UNUSED)
{
    struct demo_staffing *s TN_CLEANUP(demo_staffing_free_p) = NULL;
    assert_int_equal(demo_staffing_new(0.1, 1, &s, NULL), TN_OK);
    uint64_t people = s->rows[DEMO_CANDIDATES], never = 0, busiest = 0;
    for (uint64_t i = 0; i < people; i++)
        never += s->candidates[i].placed == 0;
    assert_true(never > people * 4 / 10 && never < people * 9 / 10);

    uint64_t *jobs TN_AUTO_FREE = tn_calloc(s->rows[DEMO_CLIENTS], sizeof *jobs);
    for (uint64_t j = 0; j < s->rows[DEMO_JOB_ORDERS]; j++) {
        uint64_t now = ++jobs[s->jobs[j].client];
        busiest = TN_MAX(busiest, now);
    }
    assert_true(busiest > 10 * s->rows[DEMO_JOB_ORDERS] / s->rows[DEMO_CLIENTS]);

    /* Some Java developer in Chicago was called five times and never placed. */
    uint64_t cold = 0;
    uint64_t *calls TN_AUTO_FREE = tn_calloc(people, sizeof *calls);
    TN_AUTO_BUF rows = {0};
    demo_staffing_render(s, DEMO_CALL_LOG, DEMO_CSV, 0, s->rows[DEMO_CALL_LOG], &rows);
    for (const char *at = rows.data; (at = strstr(at, ",CAND-")); at++)
        calls[strtoul(at + 6, NULL, 10) - 1]++;
    for (uint64_t i = 0; i < people; i++) {
        const struct demo_candidate *who = &s->candidates[i];
        cold += calls[i] >= 5 && !who->placed && who->city == 0 &&
                tn_streq(demo_professions[who->profession].title, "Java Developer");
    }
    assert_true(cold >= 5);
}

static void test_text_traps(void **state TN_UNUSED)
{
    struct demo_staffing *s TN_CLEANUP(demo_staffing_free_p) = NULL;
    assert_int_equal(demo_staffing_new(0.01, 1, &s, NULL), TN_OK);
    TN_AUTO_BUF csv = {0};
    TN_AUTO_BUF json = {0};
    TN_AUTO_BUF clients = {0};
    demo_staffing_render(s, DEMO_CANDIDATES, DEMO_CSV, 0, s->rows[DEMO_CANDIDATES], &csv);
    demo_staffing_render(s, DEMO_EMAIL_LOG, DEMO_NDJSON, 0, s->rows[DEMO_EMAIL_LOG], &json);
    demo_staffing_render(s, DEMO_CLIENTS, DEMO_CSV, 0, s->rows[DEMO_CLIENTS], &clients);
    assert_true(tn_str_starts_with(csv.data, "candidate_id,first_name,"));
    assert_non_null(strstr(csv.data, "\nCAND-000002,"));
    assert_non_null(strstr(csv.data, ",Boston,MA,021"));
    assert_non_null(strstr(csv.data, "Kubernetes; "));
    assert_non_null(strstr(csv.data, "é"));
    assert_non_null(strstr(clients.data, ",\""));
    assert_true(tn_str_starts_with(json.data, "{\"email_id\":1,\"sent_at\":\"2023-01-"));
    assert_non_null(strstr(json.data, "\\\"Urgent\\\""));
    assert_non_null(strstr(json.data, "\"opened_at\":null}"));
}

/* A résumé speaks of its own trade: each names its title and its first skill. */
static void test_resume_fits_skills(void **state TN_UNUSED)
{
    for (size_t p = 0; p < demo_profession_count; p++) {
        for (uint64_t i = 0; i < 50; i++) {
            TN_AUTO_BUF text = {0};
            struct demo_dice dice = demo_dice_for(1, p, i);
            unsigned skills = demo_skills_pick(&dice);
            assert_true(__builtin_popcount(skills) >= 3);
            demo_resume_put(&text, &demo_professions[p], skills, (unsigned)(i % 30), "Boston", &dice);
            assert_true(text.len > 150);
            assert_non_null(strstr(text.data, demo_professions[p].skills[0]));
            assert_null(strchr(text.data, '%'));
        }
        for (size_t skill = 0; skill < DEMO_SKILLS; skill++)
            assert_non_null(demo_professions[p].skills[skill]);
        for (size_t deed = 0; deed < DEMO_DEEDS; deed++)
            assert_non_null(demo_professions[p].deeds[deed]);
    }
}

static enum tn_code refuse(void *context, const void *bytes TN_UNUSED, size_t count TN_UNUSED,
                           uint64_t rows TN_UNUSED, struct tn_error *err)
{
    int *calls = context;
    return ++*calls == 2 ? tn_fail(err, TN_EDISKFULL, "no room") : TN_OK;
}

static void test_sink_failure_stops(void **state TN_UNUSED)
{
    struct demo_staffing *s TN_CLEANUP(demo_staffing_free_p) = NULL;
    assert_int_equal(demo_staffing_new(0.1, 1, &s, NULL), TN_OK);
    struct tn_error err = {0};
    int calls = 0;
    assert_int_equal(demo_staffing_write(s, DEMO_CALL_LOG, DEMO_CSV, NULL, refuse, &calls, &err), TN_EDISKFULL);
    assert_int_equal(calls, 2);
    assert_string_equal(err.detail, "no room");
    assert_int_equal(demo_staffing_write_file(s, DEMO_CLIENTS, DEMO_CSV, NULL, "/nonexistent/x.csv", &err),
                     TN_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_bytes),
        cmocka_unit_test(test_bytes_are_pinned),
        cmocka_unit_test(test_row_counts),
        cmocka_unit_test(test_render_is_by_range),
        cmocka_unit_test(test_keys_join),
        cmocka_unit_test(test_cold_leads_and_skew),
        cmocka_unit_test(test_text_traps),
        cmocka_unit_test(test_resume_fits_skills),
        cmocka_unit_test(test_sink_failure_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
