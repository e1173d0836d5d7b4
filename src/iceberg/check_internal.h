/* Private: the validator's parts. */
#ifndef TARN_ICEBERG_CHECK_INTERNAL_H
#define TARN_ICEBERG_CHECK_INTERNAL_H

#include "iceberg/tx_internal.h"

struct check {
    const struct iceberg_table *table;
    const struct iceberg_metadata *metadata;
    struct tn_arena *arena;
    iceberg_finding_fn *each;
    void *context;
    struct tx_paths manifests; /* what lists say of manifests that were looked at */
    struct tx_paths files;     /* whose size was checked */
};

void check_report(struct check *check, bool fatal, const char *rule, const char *where, const char *format, ...)
    TN_PRINTF(5, 6);

/* An object of the wrong form, or one that cannot be read at all, is a finding;
 * that the store fails is an error. */
bool check_is_finding(enum tn_code code);

/* check_files.c: one entry, and what a snapshot's entries say together. */
struct check_delete {
    const struct iceberg_file *file;
    const char *target;
    bool found;
};
struct check_totals {
    struct tx_paths live;         /* paths of live entries: each once */
    struct check_delete *deletes; /* those for one data file */
    size_t delete_count, delete_capacity;
    int64_t records, data_files, delete_files, position_deletes, equality_deletes, bytes;
};
void check_totals_release(struct check_totals *totals);
enum tn_code check_entry(struct check *check, const struct manifest_row *row, const struct manifest_entry *entry,
                         struct tn_error *err) TN_CHECKED;
void check_count_entry(struct check *check, struct check_totals *totals, const struct iceberg_snapshot *snapshot,
                       const struct iceberg_file *file);
void check_compare_totals(struct check *check, const struct check_totals *totals,
                          const struct iceberg_snapshot *snapshot);

/* check_deletes.c: partition values and their summaries; delete files beside
 * the data files that they name. */
void check_partitions(struct check *check, const struct manifest_row *row, const struct manifest_object *manifest);
enum tn_code check_deletes(struct check *check, const struct iceberg_snapshot *snapshot,
                           const struct manifest_object *list, struct check_totals *totals,
                           struct tn_error *err) TN_CHECKED;

#endif
