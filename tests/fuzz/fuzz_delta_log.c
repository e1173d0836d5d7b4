/* A log of changes from a stranger, or torn anywhere. The first byte chooses
 * the dimensions. */
#include "fuzz.h"

#include "vector/delta_log.h"

#include <stdlib.h>
#include <string.h>

struct sum {
    uint32_t dims;
    uint64_t total;
};

/* Touches every byte that a record claims to have. */
static enum tn_code take(void *context, const struct delta_record *record, struct tn_error *err)
{
    struct sum *s = context;
    (void)err;
    for (uint32_t i = 0; i < record->count; i++) {
        s->total += (uint64_t)record->ids[i];
        if (record->op == DELTA_INSERT)
            for (uint32_t d = 0; d < s->dims; d++) {
                uint32_t bits;
                memcpy(&bits, record->rows + (size_t)i * s->dims + d, sizeof bits);
                s->total += bits;
            }
    }
    return TN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct sum s = {.dims = 2 + data[0] % 8U};
    size_t whole;
    struct tn_error error = {0};
    if (delta_log_replay(data + 1, size - 1, "log", s.dims, take, &s, &whole, &error) == TN_OK && whole > size - 1)
        abort();
    return 0;
}
