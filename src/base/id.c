/* Random bytes, UUIDs, tokens. */
#include "base/id.h"

#include "base/clock.h"
#include "base/str.h"

#include <assert.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

enum tn_code tn_random_init(struct tn_error *err)
{
    if (sodium_init() < 0) {
        (void)tn_fail(err, TN_EUNAVAILABLE, "the system gives no random numbers");
        tn_error_hint(err, "check that getrandom(2) or /dev/urandom may be used here");
        return TN_EUNAVAILABLE;
    }
    return TN_OK;
}

void tn_random_bytes(void *out, size_t count)
{
    randombytes_buf(out, count);
}

uint64_t tn_random_u64(void)
{
    uint64_t value;
    randombytes_buf(&value, sizeof value);
    return value;
}

int64_t tn_random_i63(void)
{
    for (;;) {
        int64_t value = (int64_t)(tn_random_u64() >> 1);
        if (value)
            return value;
    }
}

static const char *uuid_text(const unsigned char b[16], char out[TN_UUID_TEXT])
{
    char hex[33];
    tn_hex_encode(b, 16, hex);
    static const unsigned char lengths[] = {8, 4, 4, 4, 12};
    const char *from = hex;
    char *to = out;
    for (size_t i = 0; i < sizeof lengths; i++) {
        memcpy(to, from, lengths[i]);
        to += lengths[i];
        from += lengths[i];
        *to++ = i + 1 < sizeof lengths ? '-' : '\0';
    }
    return out;
}

/* Milliseconds in the upper 52 bits and a count in the lower 12. Each caller
 * takes a larger number than all before, so ids sort by creation even when the
 * clock steps back or a millisecond holds more than 4096 of them: the count
 * then runs into the time. */
static uint64_t next_tick(void)
{
    static _Atomic uint64_t last;
    uint64_t now = (uint64_t)tn_now_ms() << 12 | (tn_random_u64() & 0x3FF);
    uint64_t seen = atomic_load_explicit(&last, memory_order_relaxed);
    uint64_t mine;
    do {
        mine = now > seen ? now : seen + 1;
    } while (!atomic_compare_exchange_weak_explicit(&last, &seen, mine, memory_order_relaxed, memory_order_relaxed));
    return mine;
}

const char *tn_uuid7(char out[TN_UUID_TEXT])
{
    uint64_t tick = next_tick();
    uint64_t ms = tick >> 12;
    unsigned char b[16];
    for (size_t i = 0; i < 6; i++)
        b[i] = (unsigned char)(ms >> (40 - 8 * i));
    b[6] = (unsigned char)(0x70 | (tick >> 8 & 0x0F));
    b[7] = (unsigned char)tick;
    randombytes_buf(b + 8, 8);
    b[8] = (unsigned char)(0x80 | (b[8] & 0x3F));
    return uuid_text(b, out);
}

const char *tn_uuid4(char out[TN_UUID_TEXT])
{
    unsigned char b[16];
    randombytes_buf(b, sizeof b);
    b[6] = (unsigned char)(0x40 | (b[6] & 0x0F));
    b[8] = (unsigned char)(0x80 | (b[8] & 0x3F));
    return uuid_text(b, out);
}

const char *tn_random_token(size_t bytes, char *out)
{
    unsigned char secret[128];
    assert(bytes <= sizeof secret);
    randombytes_buf(secret, bytes);
    (void)sodium_bin2base64(out, 4 * ((bytes + 2) / 3) + 1, secret, bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(secret, sizeof secret);
    return out;
}

_Bool tn_secret_equal(const char *a, const char *b)
{
    size_t length = strlen(a);
    return length == strlen(b) && sodium_memcmp(a, b, length) == 0;
}
