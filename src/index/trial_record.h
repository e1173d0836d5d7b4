/* trial_record.h: one line of the log of trials (docs/formats/trial-log.md).
 * Private to index. No lake is needed for it. */
#ifndef TARN_INDEX_TRIAL_RECORD_H
#define TARN_INDEX_TRIAL_RECORD_H

#include "base/base.h"

#define TRIAL_LINE_MAX ((size_t)64 << 10)

/* Texts are the arena's that they were read into; "" where there is none. */
struct trial_record {
    uint64_t record;  /* its number in the index's log, from 1 */
    const char *kind; /* "trial", "promotion", "rollback" */
    const char *index;
    uint64_t trial; /* the record that this is about: of a trial its own; 0: none */
    int64_t time_us;
    const char *actor, *reason, *job;
    bool forced;

    uint64_t generation, before; /* that was built or serves now; that served before */
    uint64_t seed;               /* of the generation: with its number it is that very file */
    /* how it was built and is searched */
    uint64_t degree, ef_construction, ef, code_bits;
    double recall_target;
    const char *raw; /* "f32", "f16" */
    /* what it was built from */
    const char *model, *model_version;
    int64_t snapshot_id;
    uint64_t rows, dimension, last_change;
    /* what it cost */
    double build_seconds, cpu_seconds;
    uint64_t peak_memory, bytes_on_disk, bytes_resident;
    /* how it answers, and the active one beside it, on the same queries */
    uint64_t made_queries, recorded_queries, window;
    double recall_at_1, recall_at_10, p50_us, p95_us, p99_us, mean_distances;
    uint64_t active_generation;
    double active_recall_at_1, active_recall_at_10, active_p50_us, active_p95_us, active_p99_us;
    /* where */
    uint64_t cpus, memory;
    const char *processor, *instruction_set;
};

void trial_record_write(const struct trial_record *record, struct tn_buf *out); /* without the newline */
/* TN_ECORRUPT for a line that is none. Members that it does not know are passed over. */
enum tn_code trial_record_read(const char *line, size_t length, struct tn_arena *arena, struct trial_record *ret,
                               struct tn_error *err) TN_CHECKED;

/* Calls for each line; `damaged` counts those that are no records, such as a
 * torn last one. The record's texts are the arena's. */
typedef enum tn_code trial_record_fn(void *context, const struct trial_record *record, struct tn_error *err);
enum tn_code trial_records_read(const char *text, size_t length, struct tn_arena *arena, trial_record_fn *each,
                                void *context, size_t *damaged, struct tn_error *err) TN_CHECKED;

/* The columns of the SQL table: a structure for from_json, '{"name":"TYPE",...}'. */
void trial_record_columns(struct tn_buf *out);

#endif
