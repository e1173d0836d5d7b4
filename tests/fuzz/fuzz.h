/* For the fuzz targets: a check that also holds in release builds. */
#ifndef TARN_TESTS_FUZZ_FUZZ_H
#define TARN_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                                        \
    do {                                                                                                             \
        if (!(condition)) {                                                                                          \
            (void)fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                            \
            abort();                                                                                                 \
        }                                                                                                            \
    } while (0)

#endif
