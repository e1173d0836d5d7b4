/* Inside dataset. */
#ifndef TARN_DATASET_DATASET_INTERNAL_H
#define TARN_DATASET_DATASET_INTERNAL_H

#include "dataset/dataset.h"

/* Files that Tarn wrote end in this, with the id of the schema that they hold
 * completely and in order: they need no mapping when that schema is read. */
#define DATASET_FILE_SUFFIX "-tarn-s%d.parquet"
#define DATASET_FILE_MARK   "-tarn-s" /* in the names of files that Tarn wrote, and of no other engine's */

/* resolve.c: what delete files say, remembered with the relations. NULL for NULL. */
struct dataset_deletes *dataset_relations_deletes(struct dataset_relations *relations);
/* The rows of small files, likewise. */
struct dataset_smalls *dataset_relations_smalls(struct dataset_relations *relations);
/* What was just written, likewise. */
struct dataset_fresh *dataset_relations_fresh(struct dataset_relations *relations);
/* What files without field ids call their columns, likewise. */
struct dataset_named *dataset_relations_named(struct dataset_relations *relations);

/* read_sql.c: a SELECT over the plan's files with deletes applied, giving the
 * columns of `schema` in its order. */
enum tn_code dataset_read_sql(struct lake *lake, const struct iceberg_plan *plan, const struct iceberg_schema *schema,
                              struct tn_buf *out, struct tn_error *err) TN_CHECKED;

/* changes_call.c: changes('dataset', from, to) in a query. */
enum tn_code dataset_resolve_changes(struct lake *lake, const struct engine_table_ref *ref, struct tn_arena *arena,
                                     struct engine_relation *ret, struct tn_error *err) TN_CHECKED;

/* The same with two more columns in front: tarn_path, or tarn_file (INTEGER),
 * which counts the plan's files from 0, and tarn_pos. With ret_hold, deletes
 * may be bitmaps, which are there until *ret_hold (NULL: none) is let go. */
enum dataset_placing { DATASET_UNPLACED, DATASET_WITH_PATHS, DATASET_WITH_NUMBERS };
enum tn_code dataset_files_sql(struct lake *lake, const struct iceberg_plan *plan,
                               const struct iceberg_schema *schema, enum dataset_placing placing, struct tn_buf *out,
                               struct engine_hold **ret_hold, struct tn_error *err) TN_CHECKED;

/* prune.c: what a query's conditions mean for the table's columns; those that
 * cannot be said exactly are left out. The arena's. */
size_t dataset_predicates(struct tn_arena *arena, const struct iceberg_schema *schema,
                          const struct engine_table_ref *ref, const struct iceberg_predicate **ret);

/* schema_plan.c: what a write of `columns` means for the table. */
struct schema_plan {
    const struct iceberg_schema *target;   /* all columns of the table after the write */
    const struct iceberg_schema *incoming; /* the columns of the write, without ids */
};
enum tn_code dataset_plan_schema(struct tn_arena *arena, const struct iceberg_metadata *base, enum dataset_mode mode,
                                 const struct dataset_column *columns, size_t count, struct schema_plan *ret,
                                 struct tn_error *err) TN_CHECKED;
/* known.c */
bool dataset_find_in(const struct iceberg_metadata *metadata, enum dataset_mode mode, const char *content_hash,
                     const char *options_hash, struct dataset_known *ret);
/* key.c: makes the columns that `key` names ("a,b") the target's identifier
 * fields. keeps_rows: the dataset has rows that stay, so its key stays too. */
enum tn_code dataset_plan_key(struct tn_arena *arena, bool keeps_rows, const char *key, struct schema_plan *plan,
                              struct tn_error *err) TN_CHECKED;
/* Refuses a file with NULL in a key column. */
enum tn_code dataset_check_key(const struct iceberg_schema *schema, const struct iceberg_file *file,
                               struct tn_error *err) TN_CHECKED;
/* FIELD_IDS text for a COPY of the schema's columns; the arena's. */
const char *dataset_field_ids(struct tn_arena *arena, const struct iceberg_schema *schema);
/* TN_EUNSUPPORTED when the engine's COPY would write a column of the schema in
 * a form that others cannot read: it knows no bytes of a fixed length. The
 * writer of small files does. */
enum tn_code dataset_check_engine_writes(const struct iceberg_schema *schema, struct tn_error *err) TN_CHECKED;

#endif
