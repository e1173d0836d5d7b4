/* BLAKE2b-256, CRC-32C and the table hash. */
#include "base/test_support.h"

#include "base/crc32c_internal.h"

#include <string.h>

static void blake2b(void **state)
{
    (void)state;
    /* Printed by `b2sum -l 256`. */
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"},
        {"abc", "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        struct tn_hash hash;
        char hex[TN_HASH_HEX];
        tn_hash_init(&hash);
        tn_hash_update(&hash, cases[i].text, strlen(cases[i].text));
        tn_hash_final_hex(&hash, hex);
        assert_string_equal(hex, cases[i].want);
    }
}

static void blake2b_in_pieces(void **state)
{
    (void)state;
    unsigned char bytes[1000], whole[TN_HASH_BYTES], pieces[TN_HASH_BYTES];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7);
    struct tn_hash hash;
    tn_hash_init(&hash);
    tn_hash_update(&hash, bytes, sizeof bytes);
    tn_hash_final(&hash, whole);
    for (size_t step = 1; step < 300; step += 13) {
        tn_hash_init(&hash);
        tn_hash_update(&hash, NULL, 0);
        for (size_t at = 0; at < sizeof bytes; at += step)
            tn_hash_update(&hash, bytes + at, TN_MIN(step, sizeof bytes - at));
        tn_hash_final(&hash, pieces);
        assert_memory_equal(whole, pieces, TN_HASH_BYTES);
    }
}

static void crc32c(void **state)
{
    (void)state;
    /* The check value of the polynomial, and three of RFC 3720's. */
    unsigned char block[32];
    assert_int_equal(tn_crc32c(0, "123456789", 9), 0xE3069283);
    assert_int_equal(tn_crc32c(0, "", 0), 0);
    memset(block, 0, sizeof block);
    assert_int_equal(tn_crc32c(0, block, 32), 0x8A9136AA);
    memset(block, 0xFF, sizeof block);
    assert_int_equal(tn_crc32c(0, block, 32), 0x62A8AB43);
    for (unsigned i = 0; i < 32; i++)
        block[i] = (unsigned char)i;
    assert_int_equal(tn_crc32c(0, block, 32), 0x46DD794E);
}

static void crc32c_of_joined_texts(void **state)
{
    unsigned char bytes[3000];
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 131 ^ i >> 3);
    for (size_t split = 0; split <= sizeof bytes; split += 7) {
        size_t rest = sizeof bytes - split;
        uint32_t joined = tn_crc32c_join(tn_crc32c(0, bytes, split), tn_crc32c(0, bytes + split, rest), rest);
        assert_int_equal(joined, tn_crc32c(0, bytes, sizeof bytes));
    }
}

static void crc32c_versions_agree(void **state)
{
    (void)state;
    unsigned char bytes[300];
    tn_random_bytes(bytes, sizeof bytes);
    for (size_t start = 0; start < 9; start++) {
        for (size_t count = 0; start + count <= sizeof bytes; count++) {
            uint32_t fast = tn_crc32c(0x1234, bytes + start, count);
            assert_int_equal(fast, tn_crc32c_portable(0x1234, bytes + start, count));
            size_t half = count / 3;
            uint32_t first = tn_crc32c(0x1234, bytes + start, half);
            assert_int_equal(fast, tn_crc32c(first, bytes + start + half, count - half));
        }
    }
}

/* Not a proof, but it fails when bytes, length or seed are left out. */
static void table_hash(void **state)
{
    (void)state;
    enum { SLOTS = 1 << 16 };
    unsigned char text[100] = {0};
    for (size_t length = 0; length < sizeof text; length++) {
        uint64_t plain = tn_hash64(text, length, 1);
        assert_true(plain != tn_hash64(text, length, 2));
        assert_true(plain != tn_hash64(text, length + 1, 1));
        assert_true(plain == tn_hash64(text, length, 1));
        for (size_t i = 0; i < length; i++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                text[i] ^= (unsigned char)(1U << bit);
                uint64_t flipped = tn_hash64(text, length, 1) ^ plain;
                text[i] ^= (unsigned char)(1U << bit);
                int changed = __builtin_popcountll(flipped);
                if (changed < 10 || changed > 54)
                    fail_msg("byte %zu bit %u of %zu changes %d bits", i, bit, length, changed);
            }
        }
    }
    TN_AUTO_FREE unsigned char *used = tn_calloc(SLOTS, 1);
    size_t filled = 0;
    for (uint64_t i = 0; i < SLOTS; i++) {
        size_t slot = tn_hash64(&i, sizeof i, 0) % SLOTS;
        filled += !used[slot];
        used[slot] = 1;
    }
    /* Random throws fill 1 - 1/e of the slots: 41427, give or take 100. */
    assert_in_range(filled, 41000, 41850);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blake2b),
        cmocka_unit_test(blake2b_in_pieces),
        cmocka_unit_test(crc32c),
        cmocka_unit_test(crc32c_of_joined_texts),
        cmocka_unit_test(crc32c_versions_agree),
        cmocka_unit_test(table_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
