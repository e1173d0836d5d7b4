/* Any bytes as an Avro container file: every record is walked by the file's own
 * schema. The block codecs also get the bytes as they are. */
#include "fuzz.h"

#include "iceberg/avro.h"

static void walk(const uint8_t *data, size_t size)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(avro_reader_release) struct avro_reader reader = {0};
    struct tn_error err = {0};
    bool more = true;
    if (avro_reader_open(&reader, arena, data, size, "input", &err) != TN_OK) {
        FUZZ_CHECK(err.detail[0]);
        return;
    }
    (void)avro_unwrap(reader.type);
    while (avro_reader_next(&reader, &more) == TN_OK && more)
        if (avro_skip(&reader.in, reader.type) != TN_OK)
            return;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const codecs[] = {"deflate", "zstandard", "snappy"};
    struct tn_error err = {0};
    walk(data, size);
    for (size_t i = 0; i < TN_COUNT(codecs) && size <= 4096; i++) {
        TN_AUTO_BUF out = {0};
        if (avro_decompress(codecs[i], data, size, "input", &out, &err) == TN_OK)
            FUZZ_CHECK(out.len <= AVRO_BLOCK_MAX_BYTES + ((size_t)8 << 20));
    }
    return 0;
}
