/* Neighbours and cuts among many snapshots, against the plain way of counting them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "dataset/moment.h"

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>

static uint64_t chance;

static uint64_t pick(uint64_t below)
{
    chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (chance >> 33) % below;
}

/* Snapshots with these sequence numbers; the id of one is 1,000 and its number. */
static struct iceberg_metadata *make(const int64_t *sequences, size_t count, const char *cuts)
{
    TN_AUTO_BUF json = {0};
    struct tn_error err = {0};
    struct iceberg_metadata *metadata = NULL;
    tn_buf_puts(&json,
                "{\"format-version\":2,\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\",\"location\":"
                "\"file:///x\",\"last-sequence-number\":1000000,\"last-updated-ms\":9,\"last-column-id\":1,"
                "\"current-schema-id\":0,\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":[{\"id\":"
                "1,\"name\":\"a\",\"required\":false,\"type\":\"int\"}]}],\"default-spec-id\":0,"
                "\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}],\"last-partition-id\":999,"
                "\"default-sort-order-id\":0,\"sort-orders\":[{\"order-id\":0,\"fields\":[]}],");
    if (cuts)
        tn_buf_printf(&json, "\"properties\":{\"" DATASET_P_CUTS "\":\"%s\"},", cuts);
    tn_buf_puts(&json, "\"snapshots\":[");
    for (size_t i = 0; i < count; i++)
        tn_buf_printf(&json,
                      "%s{\"snapshot-id\":%" PRId64 ",\"sequence-number\":%" PRId64
                      ",\"timestamp-ms\":%zu,\"manifest-list\":\"m\",\"schema-id\":0}",
                      i ? "," : "", 1000 + sequences[i], sequences[i], i + 1);
    tn_buf_printf(&json, "],\"current-snapshot-id\":%" PRId64 "}", 1000 + sequences[count - 1]);
    if (iceberg_metadata_parse(json.data, json.len, "v1", &metadata, &err) != TN_OK)
        fail_msg("%s", err.detail);
    return metadata;
}

/* ---- neighbours ------------------------------------------------------------------------ */

static void test_neighbours(void **state)
{
    (void)state;
    static const int64_t sequences[] = {9, 2, 4, 7, 5}; /* whoever wrote them need not have sorted them */
    ICEBERG_AUTO_METADATA *metadata = make(sequences, TN_COUNT(sequences), "8,3,nonsense,4");
    TN_CLEANUP(moment_order_release) struct moment_order order;
    moment_order_init(&order, metadata);
    for (int64_t at = 0; at <= 10; at++) {
        const struct iceberg_snapshot *before = moment_before(&order, at), *after = moment_after(&order, at);
        int64_t below = 0, above = 0;
        for (size_t i = 0; i < TN_COUNT(sequences); i++) {
            if (sequences[i] < at)
                below = TN_MAX(below, sequences[i]);
            if (sequences[i] > at)
                above = above ? TN_MIN(above, sequences[i]) : sequences[i];
        }
        assert_int_equal(before ? before->sequence_number : 0, below);
        assert_int_equal(after ? after->sequence_number : 0, above);
        for (int64_t to = at; to <= 10; to++)
            assert_int_equal(moment_is_cut(&order, at, to), (at < 3 && to >= 3) || (at < 8 && to >= 8));
    }
    assert_null(moment_after(&order, INT64_MAX));
}

/* ---- cuts --------------------------------------------------------------------------------- */

/* As the words say it: of the cuts between two that stay, the first. */
static void plain_cuts(const int64_t *sequences, size_t count, const bool *goes, const int64_t *old, size_t old_count,
                       struct tn_buf *out)
{
    int64_t stayed = 0, told = -1;
    size_t at = 0;
    for (int64_t n = 1; n <= sequences[count - 1]; n++) {
        while (at < count && sequences[at] < n)
            at++;
        bool here = at < count && sequences[at] == n, cut = here && goes[at];
        for (size_t i = 0; i < old_count; i++)
            cut = cut || old[i] == n;
        if (cut && stayed > 0 && told != stayed) {
            tn_buf_printf(out, "%s%" PRId64, out->len > 0 ? "," : "", n);
            told = stayed;
        }
        if (here && !goes[at])
            stayed = n;
    }
}

static void test_cuts_are_the_first_behind_what_stays(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        chance = seed;
        TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
        int64_t sequences[40], ids[40], old[3], n = 0;
        size_t count = 2 + pick(38), gone = 0, old_count = pick(4);
        bool goes[40];
        TN_AUTO_BUF want = {0};
        TN_AUTO_BUF property = {0};
        for (size_t i = 0; i < count; i++) {
            sequences[i] = n += 1 + (int64_t)pick(3);
            goes[i] = i + 1 < count && pick(2);
            if (goes[i])
                ids[gone++] = 1000 + sequences[i];
        }
        for (size_t i = 0; i < old_count; i++) {
            old[i] = 1 + (int64_t)pick((uint64_t)n);
            tn_buf_printf(&property, "%s%" PRId64, i ? "," : "", old[i]);
        }
        const char *before = old_count > 0 ? property.data : NULL;
        ICEBERG_AUTO_METADATA *metadata = make(sequences, count, before);
        struct lake lake = {0}; /* without a journal nothing can be told again */
        const char *got = dataset_cuts(&lake, metadata, ids, gone, arena);
        if (gone + old_count > 0)
            plain_cuts(sequences, count, goes, old, old_count, &want);
        const char *whole = want.data ? want.data : "";
        const char *expected = tn_streq(whole, before ? before : "") ? NULL : whole;
        if ((!got != !expected) || (got && !tn_streq(got, expected)))
            fail_msg("seed %" PRIu64 ": %s, not %s", seed, got ? got : "NULL", expected ? expected : "NULL");
    }
}

/* Slow enough to be seen by who runs it, were each looked for among all. */
static void test_a_long_history(void **state)
{
    (void)state;
    enum { COUNT = 30000 };
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    int64_t *sequences = TN_ARENA_ARRAY(arena, int64_t, COUNT), *ids = TN_ARENA_ARRAY(arena, int64_t, COUNT);
    size_t gone = 0;
    for (size_t i = 0; i < COUNT; i++) {
        sequences[i] = (int64_t)i + 1;
        if (i % 2 == 1 && i + 1 < COUNT)
            ids[gone++] = 1000 + sequences[i];
    }
    ICEBERG_AUTO_METADATA *metadata = make(sequences, COUNT, NULL);
    struct lake lake = {0};
    const char *got = dataset_cuts(&lake, metadata, ids, gone, arena);
    size_t commas = 0;
    for (const char *c = got; *c; c++)
        commas += *c == ',';
    assert_int_equal(commas + 1, gone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_cuts_are_the_first_behind_what_stays),
        cmocka_unit_test(test_a_long_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
