/* .npy, .fvecs and .ivecs from outside. The first byte chooses the kind. */
#include "fuzz.h"

#include "vector/tool/input.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"x.npy", "x.fvecs", "x.ivecs", "x.txt"};
    if (size == 0)
        return 0;
    const char *name = names[data[0] % 4];
    struct input input = {0};
    struct tn_error error = {0};
    if (input_parse(name, data + 1, size - 1, &input, &error) != TN_OK)
        return 0;
    uint64_t total = 0;
    for (uint64_t r = 0; r < input.rows && r < 100000 && input.columns; r += 1 + input.rows / 100)
        total += (uint64_t)input_integer(&input, r, 0) + (uint64_t)input_integer(&input, r, input.columns - 1);
    float *floats = NULL;
    if (input_floats(&input, name, 50, &floats, &error) == TN_OK)
        free(floats);
    return total == UINT64_MAX;
}
