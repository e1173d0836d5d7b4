/* The table version of CRC-32C, so that a test can compare the two. */
#ifndef TARN_BASE_CRC32C_INTERNAL_H
#define TARN_BASE_CRC32C_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

uint32_t tn_crc32c_portable(uint32_t crc, const void *bytes, size_t count);

#endif
