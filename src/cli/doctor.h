/* cli: what `tarn doctor` finds. */
#ifndef TARN_CLI_DOCTOR_H
#define TARN_CLI_DOCTOR_H

#include "cli/cli.h"
#include "engine/engine.h"
#include "iceberg/iceberg.h"

enum doctor_level { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_WARNING, DOCTOR_ERROR };

struct doctor {
    struct cli *cli;
    json_t *findings;
    size_t errors, warnings;
    struct engine *engine; /* for --deep: reads the files' rows; NULL otherwise */
    struct doctor_live *live;
};

/* How many rows of a dataset are live, counted in its files; --deep alone. */
struct doctor_live {
    struct doctor_live *next;
    const char *dataset;
    int64_t rows;
};

/* `what` is the check's short name; `advice` says what to do (NULL: nothing). */
void doctor_find(struct doctor *doctor, enum doctor_level level, const char *what, const char *advice,
                 const char *format, ...) TN_PRINTF(5, 6);
/* An error that a check met, with its own hint. */
void doctor_find_error(struct doctor *doctor, const char *what, const struct tn_error *error);

/* The tables as they lie: metadata strictly checked, files that nobody refers
 * to, staging files, times in the future (doctor_tables.c). */
void doctor_check_tables(struct doctor *doctor, const char *bucket, bool served);
/* The rows of each live file held against what the manifests say of them:
 * counts, NULLs, bounds, field ids, positions of deletes (doctor_deep.c).
 * *ret_live: the rows that no delete file names, each counted once however often
 * it is deleted; ICEBERG_NONE when they cannot be counted. */
enum tn_code doctor_read_files(struct engine *engine, const struct iceberg_table *table,
                               const struct iceberg_metadata *metadata, iceberg_finding_fn *each, void *context,
                               int64_t *ret_live, struct tn_error *err) TN_CHECKED;
/* Each table read through the engine: it answers and its rows add up. */
void doctor_check_reading(struct doctor *doctor);
/* Outcomes counted again; what is wrong is put right (doctor_outcomes.c). */
void doctor_check_outcomes(struct doctor *doctor);

#endif
