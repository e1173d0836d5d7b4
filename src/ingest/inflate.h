/* inflate.h: gzip (several members too) and Zstandard (several frames too),
 * recognised by their first bytes, undone as they arrive.
 *
 * Memory: a window (at most 128 MB for Zstandard's largest, typically 8 MB) and
 * one output piece. A file that grows beyond all reason is refused: see
 * INFLATE_MAX_RATIO.
 */
#ifndef TARN_INGEST_INFLATE_H
#define TARN_INGEST_INFLATE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Text rarely compresses better than 1:100; a file beyond this ratio and
 * larger than the floor is a bomb. */
#define INFLATE_MAX_RATIO   2000
#define INFLATE_RATIO_FLOOR (UINT64_C(1) << 30)

enum inflate_kind { INFLATE_NONE, INFLATE_GZIP, INFLATE_ZSTD };

typedef enum tn_code inflate_sink(void *context, const char *bytes, size_t count, struct tn_error *err);

struct inflate;
/* How many first bytes decide. */
#define INFLATE_MAGIC 4
enum inflate_kind inflate_detect(const unsigned char *bytes, size_t length);
const char *inflate_name(enum inflate_kind kind); /* "gzip", "zstd", or NULL */

struct inflate *inflate_new(enum inflate_kind kind, inflate_sink *sink, void *context)
    __attribute__((returns_nonnull));
void inflate_free(struct inflate *inflate);
/* TN_EUNREADABLE for damaged input, TN_ETOOLARGE for a bomb, or the sink's. */
enum tn_code inflate_push(struct inflate *inflate, const void *bytes, size_t count, struct tn_error *err) TN_CHECKED;
/* TN_EUNREADABLE when the input ended in the middle. */
enum tn_code inflate_finish(struct inflate *inflate, struct tn_error *err) TN_CHECKED;

#endif
