/* Documents and their chunks, against a table that is looked through. */
#include "index/index_internal.h"

#include "base/test_support.h"

#define DOCS   700
#define CHUNKS 6000

struct seen {
    int8_t of[CHUNKS]; /* how often it was called */
    size_t count;
};

static void see(void *context, int64_t chunk)
{
    struct seen *seen = context;
    seen->of[chunk]++;
    seen->count++;
}

static const char *name_of(uint32_t doc, char ret[32])
{
    snprintf(ret, 32, doc % 5 ? "%u" : "a long name of document %u", doc);
    return ret;
}

static void compare(struct docs *docs, const uint32_t *owner)
{
    size_t documents = 0, chunks = 0;
    for (uint32_t doc = 1; doc <= DOCS; doc++) {
        struct seen seen = {.count = 0};
        char name[32];
        size_t wanted = 0;
        docs_each(docs, name_of(doc, name), see, &seen);
        for (size_t chunk = 0; chunk < CHUNKS; chunk++) {
            assert_int_equal(seen.of[chunk], owner[chunk] == doc);
            wanted += owner[chunk] == doc;
        }
        assert_int_equal(seen.count, wanted);
        documents += wanted > 0;
        chunks += wanted;
    }
    assert_int_equal(docs_count(docs), documents);
    assert_int_equal(docs_chunks(docs), chunks);
}

static void test_against_a_table(void **state)
{
    static uint32_t owner[CHUNKS]; /* 0: nobody */
    TN_CLEANUP(docs_free_p) struct docs *docs = docs_new();
    uint32_t dice = 11;
    (void)state;
    memset(owner, 0, sizeof owner);
    for (int step = 0; step < 20000; step++) {
        char name[32];
        dice = dice * 1664525 + 1013904223;
        uint32_t chunk = (dice >> 8) % CHUNKS, doc = 1 + chunk * 7919 % DOCS;
        if (chunk % 3 == 0)
            doc = 1 + chunk % 9; /* some have many */
        (void)name_of(doc, name);
        if (dice >> 30 && owner[chunk] == 0) {
            docs_add(docs, name, strlen(name), chunk);
            owner[chunk] = doc;
        } else if (dice >> 30) {
            docs_add(docs, name, strlen(name), chunk); /* once more is once */
        } else {
            docs_remove(docs, name, strlen(name), chunk);
            owner[chunk] = 0;
        }
        if (step % 5000 == 4999)
            compare(docs, owner);
    }
}

static void test_nothing(void **state)
{
    TN_CLEANUP(docs_free_p) struct docs *docs = docs_new();
    struct seen seen = {.count = 0};
    (void)state;
    docs_remove(docs, "x", 1, 3);
    docs_each(docs, "x", see, &seen);
    docs_add(docs, "", 0, 5);
    docs_each(docs, "", see, &seen);
    assert_int_equal(seen.of[5], 1);
    assert_int_equal(seen.count, 1);
    assert_int_equal(docs_count(docs), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_table),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
