/* Private: manifests and manifest lists, decoded and encoded. */
#ifndef TARN_ICEBERG_MANIFEST_H
#define TARN_ICEBERG_MANIFEST_H

#include "iceberg/avro.h"
#include "iceberg/iceberg.h"

#include <stdatomic.h>

enum manifest_status { MANIFEST_EXISTING = 0, MANIFEST_ADDED = 1, MANIFEST_DELETED = 2 };
enum manifest_content { MANIFEST_DATA = 0, MANIFEST_DELETES = 1 };

struct manifest_entry {
    enum manifest_status status;
    bool explicit_sequence; /* the file has the numbers; else they are inherited */
    struct iceberg_file file;
};

/* Of one partition field over all files of a manifest. */
struct manifest_field_summary {
    bool contains_null;
    int8_t contains_nan; /* -1 unknown */
    struct iceberg_bytes lower, upper;
};

/* A row of a manifest list. */
struct manifest_row {
    const char *path;
    int64_t length;
    int32_t spec_id;
    int32_t content;
    int64_t sequence_number, min_sequence_number;
    int64_t added_snapshot_id;
    int32_t added_files, existing_files, deleted_files; /* ICEBERG_NONE = unknown (v1) */
    int64_t added_rows, existing_rows, deleted_rows;
    const struct manifest_field_summary *partitions;
    size_t partition_count;
    struct iceberg_bytes key_metadata;
};

/* What the bytes looked like, for the validator. */
struct manifest_form {
    const char *codec; /* NULL: the file does not say */
    bool ids_by_name;  /* some field had no field-id */
    bool null_not_first;
    const char *header_format_version, *header_content, *header_schema, *header_spec_id;
};

/* A decoded file: immutable, counted, shared by the cache and its users. */
struct manifest_object {
    atomic_size_t refs;
    bool is_list;
    const char *uri;
    size_t bytes; /* memory it takes */
    struct tn_arena *arena;
    struct manifest_form form;
    struct manifest_entry *entries; /* a manifest */
    struct manifest_row *rows;      /* a list */
    size_t count;
};
struct manifest_object *manifest_object_new(const char *uri, bool is_list);
void manifest_object_ref(struct manifest_object *object);
void manifest_object_unref(struct manifest_object *object);
TN_DEFINE_CLEANUP(struct manifest_object, manifest_object_unref)

/* Decodes a manifest. `row` gives what its entries inherit; `spec` may be NULL
 * for fuzzing (partition values are then skipped). */
enum tn_code manifest_decode(const void *bytes, size_t length, const char *uri, const struct manifest_row *row,
                             const struct iceberg_spec *spec, struct manifest_object **ret,
                             struct tn_error *err) TN_CHECKED;
enum tn_code manifest_list_decode(const void *bytes, size_t length, const char *uri, struct manifest_object **ret,
                                  struct tn_error *err) TN_CHECKED;

/* What the validator wants to know, taken from a file's schema and header. */
void manifest_note_form(struct manifest_form *form, const struct avro_type *record);
void manifest_note_header(struct manifest_object *object, const struct avro_reader *avro);

/* Deep copies into an arena. */
void manifest_copy_file(struct tn_arena *arena, const struct iceberg_file *from, struct iceberg_file *to);
void manifest_copy_row(struct tn_arena *arena, const struct manifest_row *from, struct manifest_row *to);
int manifest_stats_order(const void *a, const void *b); /* by field id */

/* --- Writing --- */

/* The types of a spec's fields over a schema. NULL entries where the source
 * column or the transform is unknown. */
const struct iceberg_type **manifest_partition_types(struct tn_arena *arena, const struct iceberg_spec *spec,
                                                     const struct iceberg_schema *schema);

struct manifest_build {
    struct tn_arena *arena; /* the caller's; rows point into it */
    struct avro_writer writer;
    const struct iceberg_spec *spec;
    const struct iceberg_type **types;
    struct manifest_field_summary *summaries;
    struct manifest_row row;
};
/* `schema_json` and `sync` (NULL: random) as they go into the header. */
enum tn_code manifest_build_open(struct manifest_build *build, struct tn_arena *arena, enum manifest_content content,
                                 const struct iceberg_schema *schema, const char *schema_json,
                                 const struct iceberg_spec *spec, const uint8_t *sync,
                                 struct tn_error *err) TN_CHECKED;
/* `file` carries its snapshot and, unless it is added without one, its
 * sequence numbers. */
enum tn_code manifest_build_add(struct manifest_build *build, enum manifest_status status,
                                const struct iceberg_file *file, struct tn_error *err) TN_CHECKED;
/* build->writer.out is then the file, build->row its row without path, sequence
 * numbers of the commit and snapshot. row.min_sequence_number is INT64_MAX
 * when every live entry inherits. */
enum tn_code manifest_build_finish(struct manifest_build *build, struct tn_error *err) TN_CHECKED;
void manifest_build_release(struct manifest_build *build);

enum tn_code manifest_list_encode(const struct manifest_row *rows, size_t count, int64_t snapshot_id,
                                  int64_t parent_id, int64_t sequence_number, const uint8_t *sync, struct tn_buf *out,
                                  struct tn_error *err) TN_CHECKED;

#endif
