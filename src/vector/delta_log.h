/* The log of changes: docs/formats/delta-log.md. */
#ifndef TARN_VECTOR_DELTA_LOG_H
#define TARN_VECTOR_DELTA_LOG_H

#include "base/buf.h"
#include "base/error.h"
#include "vector/vector.h"

enum delta_op { DELTA_INSERT = 1, DELTA_DELETE = 2 };

/* One record is one call's change: all of its rows or none. */
struct delta_record {
    enum delta_op op;
    uint64_t change; /* its number, one more than the record's before */
    uint32_t count;
    const int64_t *ids;
    const float *rows; /* DELTA_INSERT: as the caller gave them */
};

struct delta_log;
/* Opens or makes the file and hands every whole record to `apply`, whose
 * failure ends it. A torn last record is cut off (when writable). */
typedef enum tn_code delta_apply(void *context, const struct delta_record *record, struct tn_error *err);
enum tn_code delta_log_open(const char *path, uint32_t dims, uint64_t generation, bool read_only, delta_apply *apply,
                            void *context, struct delta_log **ret, struct tn_error *err) TN_CHECKED;
/* The same over bytes in memory; nothing is written. For tests and the fuzzer. */
enum tn_code delta_log_replay(const void *bytes, size_t size, const char *name, uint32_t dims, delta_apply *apply,
                              void *context, size_t *ret_whole, struct tn_error *err) TN_CHECKED;
/* One more owner; each of them closes. */
struct delta_log *delta_log_ref(struct delta_log *log);
void delta_log_close(struct delta_log *log);
TN_DEFINE_CLEANUP(struct delta_log, delta_log_close)

/* One writer at a time. Written to the file, not yet durable; *ret_end is what
 * to wait for. A failed write leaves the file as it was before or, when even
 * that fails, the log unusable. */
enum tn_code delta_log_append(struct delta_log *log, const struct delta_record *record, uint64_t *ret_end,
                              struct tn_error *err) TN_CHECKED;
/* Any number of threads: returns when everything before `end` is on disk. One
 * fsync serves all who wait. */
enum tn_code delta_log_sync(struct delta_log *log, uint64_t end, struct tn_error *err) TN_CHECKED;
uint64_t delta_log_size(struct delta_log *log);

#endif
