/* Private: a table's metadata taken apart, so that updates in the words of the
 * REST catalog can be made to it one by one, and put together again.
 *
 * Pieces that no update touches are copied as the bytes they were. The result
 * is parsed like any foreign file: whatever the updates said, what is committed
 * is metadata that a strict reader takes. */
#ifndef TARN_ICEBERG_CHANGE_INTERNAL_H
#define TARN_ICEBERG_CHANGE_INTERNAL_H

#include "base/json.h"
#include "iceberg/doc.h"
#include "iceberg/iceberg.h"

/* A schema, spec, order, snapshot or statistics file, with its id. */
struct change_piece {
    int64_t id;
    const char *json;
    size_t length;
};
struct change_pieces {
    struct change_piece *items;
    size_t count, capacity;
};

struct change_ref {
    const char *name;
    int64_t snapshot_id;
    const char *json;
    size_t length;
};

struct change_state {
    struct tn_arena *arena; /* of everything below but the arrays themselves */
    const struct iceberg_metadata *base;
    bool fresh;   /* there was no table */
    bool changed; /* an update did something */
    int64_t now_ms;
    int32_t format_version, last_column_id, last_partition_id;
    int32_t schema_id, spec_id, order_id;
    const char *uuid, *location;
    int64_t last_sequence_number, last_updated_ms, snapshot_id;
    int64_t next_row_id;                                    /* format 3 */
    int32_t added_schema_id, added_spec_id, added_order_id; /* what -1 means; ICEBERG_NONE = nothing added */
    struct change_pieces schemas, specs, orders, snapshots, statistics, partition_statistics;
    struct change_pieces others; /* top-level members not known here; id is an index into other_keys */
    const char **other_keys;
    size_t other_count, other_capacity;
    struct change_ref *refs;
    size_t ref_count, ref_capacity;
    struct iceberg_pair *properties;
    size_t property_count, property_capacity;
    struct iceberg_log_entry *log, *files; /* snapshot-log, metadata-log */
    size_t log_count, log_capacity, file_count, file_capacity;
    int64_t *added, *mains; /* snapshots added, and made main's, by this change */
    size_t added_count, added_capacity, main_count, main_capacity;
    bool removed_snapshots;
    bool removed_layouts; /* schemas or partition specs */
};

/* --- change_state.c --- */

/* From a version, or (NULL) from nothing. */
enum tn_code change_state_init(struct change_state *state, const struct iceberg_metadata *base,
                               struct tn_error *err) TN_CHECKED;
void change_state_release(struct change_state *state);
/* The piece with that id, or NULL. */
struct change_piece *change_find(const struct change_pieces *pieces, int64_t id);
void change_add(struct change_pieces *pieces, int64_t id, const char *json, size_t length);
/* Whether there was one to remove. */
bool change_remove(struct change_pieces *pieces, int64_t id);
int64_t change_next_id(const struct change_pieces *pieces); /* highest + 1; 0 for none */
struct change_ref *change_ref_named(const struct change_state *state, const char *name);
void change_set_property(struct change_state *state, const char *key, const char *value); /* NULL removes */
/* The object with another value for an id's key, everything else as it stood; the arena's. */
const char *change_with_id(struct change_state *state, const struct doc_node *object, const char *key, int64_t id,
                           size_t *ret_length);
/* The current schema, parsed; NULL when there is none. */
enum tn_code change_schema(const struct change_state *state, int64_t id, struct tn_arena *arena,
                           const struct iceberg_schema **ret, struct tn_error *err) TN_CHECKED;

/* --- change_write.c --- */

/* The next version's document; logs are brought up to date first. */
enum tn_code change_finish(struct change_state *state, struct tn_buf *out, struct tn_error *err) TN_CHECKED;

/* --- change_check.c: TN_EREQUEST for what other engines could not load --- */

enum tn_code change_check_schema(const struct iceberg_schema *schema, int32_t format_version,
                                 struct tn_error *err) TN_CHECKED;
/* `what` says of what the transform is: "sort field". */
enum tn_code change_check_transform(const struct iceberg_schema *schema, int32_t source, const char *transform,
                                    const char *what, struct tn_error *err) TN_CHECKED;
/* `schema` may be NULL: then the column is not looked at. */
enum tn_code change_check_order_field(const struct iceberg_schema *schema, const struct doc_node *field,
                                      struct tn_error *err) TN_CHECKED;
enum tn_code change_check_statistics(const struct doc_node *file, bool of_partitions,
                                     struct tn_error *err) TN_CHECKED;

/* --- change_require.c, change_update.c, change_spec.c, change_history.c --- */

enum tn_code change_require(const struct change_state *state, const struct doc_node *requirement,
                            struct tn_error *err) TN_CHECKED;
enum tn_code change_update(struct change_state *state, const struct doc_node *update,
                           struct tn_error *err) TN_CHECKED;
enum tn_code change_add_schema(struct change_state *state, const struct doc_node *schema,
                               struct tn_error *err) TN_CHECKED;
enum tn_code change_add_spec(struct change_state *state, const struct doc_node *spec,
                             struct tn_error *err) TN_CHECKED;
enum tn_code change_add_order(struct change_state *state, const struct doc_node *order,
                              struct tn_error *err) TN_CHECKED;
enum tn_code change_add_snapshot(struct change_state *state, const struct doc_node *snapshot,
                                 struct tn_error *err) TN_CHECKED;
enum tn_code change_set_ref(struct change_state *state, const struct doc_node *update,
                            struct tn_error *err) TN_CHECKED;
void change_remove_ref(struct change_state *state, const char *name);
enum tn_code change_remove_snapshots(struct change_state *state, const struct doc_node *update,
                                     struct tn_error *err) TN_CHECKED;

#endif
