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
 * counts, NULLs, bounds, field ids, positions of deletes (doctor_deep.c). */
enum tn_code doctor_read_files(struct engine *engine, const struct iceberg_table *table,
                               const struct iceberg_metadata *metadata, iceberg_finding_fn *each, void *context,
                               struct tn_error *err) TN_CHECKED;
/* Each table read through the engine: it answers and its rows add up. */
void doctor_check_reading(struct doctor *doctor);

#endif
