/* Any bytes as a safetensors file: what its header promises must lie within. */
#include "fuzz.h"

#include "base/base.h"
#include "embed/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct safetensors st = {.fd = -1, .path = "input", .arena = arena};
    struct tn_error err = {0};
    uint64_t length = 0;
    if (size < 8 || safetensors_header_length(data, size, &length, &err) != TN_OK)
        return 0;
    FUZZ_CHECK(length <= size - 8);
    if (safetensors_parse(&st, (const char *)data + 8, length, 8 + length, size, &err) != TN_OK) {
        FUZZ_CHECK(err.detail[0]);
        return 0;
    }
    for (size_t i = 0; i < st.count; i++) {
        const struct safetensors_entry *entry = &st.entries[i];
        FUZZ_CHECK(entry->begin >= 8 + length && entry->begin <= entry->end && entry->end <= size);
        FUZZ_CHECK(entry->dims <= SAFETENSORS_DIMS_MAX);
        FUZZ_CHECK(safetensors_find(&st, entry->name));
    }
    return 0;
}
