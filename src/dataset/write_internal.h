/* write_internal.h: one write and what its commit is made of. Private to
 * dataset.
 *
 *   write.c        plan and files
 *   write_commit.c the commit
 *   write_upsert.c which rows of the files are new, changed or there already
 *   unique.c       keys that are there twice
 */
#ifndef TARN_DATASET_WRITE_INTERNAL_H
#define TARN_DATASET_WRITE_INTERNAL_H

#include "dataset/dataset_internal.h"
#include "dataset/rows_internal.h"

#include <pthread.h>

struct staged_file {
    size_t order;
    char *path;               /* staging; NULL once the commit's batch owns it */
    struct iceberg_file file; /* in the write's arena, without its path */
};

struct dataset_write {
    struct lake *lake;
    char name[CATALOG_NAME_MAX + 1];
    enum dataset_mode mode;
    struct tn_arena *arena;         /* guarded by mutex once files are being written */
    struct iceberg_metadata *base;  /* NULL: the dataset is new */
    struct dataset_column *columns; /* as given; copied */
    size_t column_count;
    struct schema_plan plan;
    const char *key;         /* NULL: none was given */
    struct tn_error keyless; /* why what is replaced cannot keep its key, until one is given */
    bool keys_differ;        /* known of the files already */
    pthread_mutex_t mutex;
    struct staged_file *files;
    size_t file_count, file_capacity;
    uint64_t rows;
};

/* write.c: the schema that this write means on top of a version, key included. */
enum tn_code write_make_plan(struct dataset_write *write, const struct iceberg_metadata *base,
                             struct schema_plan *ret, struct tn_error *err) TN_CHECKED;
/* A staging file of the plan's columns from a trusted SELECT of them (a source
 * is its FROM tarn_source()); without rows there is none and ret->path stays. */
enum tn_code write_stage(struct dataset_write *write, const struct engine_source *source, const char *select,
                         bool (*cancelled)(void *), void *cancel_context, struct staged_file *ret, uint64_t *ret_rows,
                         struct tn_error *err) TN_CHECKED;
/* Into a partitioned table: one staged file for each partition instead of those
 * that there are. */
enum tn_code write_part(struct dataset_write *write, const struct iceberg_spec *spec,
                        struct tn_error *err) TN_CHECKED;
/* "read_parquet([...])" of the staged files in their order. */
void write_put_staged(const struct dataset_write *write, struct tn_buf *out);

/* unique.c. `rows` is a trusted SELECT or table function with the key's columns
 * by the names that `schema` has for them. TN_EREFUSED names the first key that
 * is there twice, and how many are. */
enum tn_code dataset_check_unique(struct lake *lake, const struct iceberg_schema *schema, const char *rows,
                                  struct tn_error *err) TN_CHECKED;
/* key.c: the same, and no NULL in the key. */
enum tn_code dataset_check_keyed_rows(struct lake *lake, const struct iceberg_schema *schema, const char *rows,
                                      struct tn_error *err) TN_CHECKED;
/* The same for keys of the write's files that the version has already. Reads
 * the files of it alone that may hold one of them. */
enum tn_code write_check_new(struct dataset_write *write, const struct iceberg_metadata *newest,
                             const struct iceberg_schema *target, struct tn_error *err) TN_CHECKED;

/* write_upsert.c: what the staged rows are to the version's. */
struct write_matches {
    char *path; /* a local file of (s_file, s_row, tarn_path, tarn_pos, same); NULL: no key is there yet */
    struct dataset_counts counts;
};
void write_matches_release(struct write_matches *matches);
enum tn_code write_match(struct dataset_write *write, const struct iceberg_metadata *newest,
                         const struct iceberg_schema *target, struct write_matches *ret,
                         struct tn_error *err) TN_CHECKED;
/* Replaces the staged files by one without the rows that are there already. */
enum tn_code write_drop_unchanged(struct dataset_write *write, const struct write_matches *matches,
                                  struct tn_error *err) TN_CHECKED;

#endif
