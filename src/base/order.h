/* Comparing numbers, for qsort and bsearch. */
#ifndef TARN_BASE_ORDER_H
#define TARN_BASE_ORDER_H

#include <stdint.h>

/* Of two int64_t or two uint64_t, ascending: negative, 0 or positive. A difference would overflow. */
static inline int tn_order_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static inline int tn_order_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

#endif
