/* Private: single values in the form of the specification's Appendix D. */
#ifndef TARN_ICEBERG_VALUE_H
#define TARN_ICEBERG_VALUE_H

#include "iceberg/iceberg.h"

__extension__ typedef __int128 value_i128;
__extension__ typedef unsigned __int128 value_u128;

/* Little-endian integers of 4 or 8 bytes, sign-extended; decimals of up to 16
 * bytes, big-endian. The caller has checked the length. */
int64_t value_get_i64(struct iceberg_bytes value);
double value_get_f64(struct iceberg_bytes value); /* float or double by length */
value_i128 value_get_decimal(struct iceberg_bytes value);
struct iceberg_bytes value_put(struct tn_arena *arena, const void *bytes, size_t length);
struct iceberg_bytes value_put_le(struct tn_arena *arena, uint64_t bits, size_t length);
struct iceberg_bytes value_put_decimal(struct tn_arena *arena, value_i128 number);
/* Bytewise, as both strings and binary sort. */
int value_compare_raw(struct iceberg_bytes a, struct iceberg_bytes b);
/* Both absent or both the same bytes. */
bool value_same(struct iceberg_bytes a, struct iceberg_bytes b);

#endif
