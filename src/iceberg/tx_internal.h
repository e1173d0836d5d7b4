/* Private: a transaction's parts. */
#ifndef TARN_ICEBERG_TX_INTERNAL_H
#define TARN_ICEBERG_TX_INTERNAL_H

#include "iceberg/table_internal.h"

/* Paths, each once. */
struct tx_paths {
    const char **slots;
    size_t capacity, count;
};
/* False when it was there already. The text is borrowed. */
bool tx_paths_add(struct tx_paths *paths, const char *path);
bool tx_paths_has(const struct tx_paths *paths, const char *path);
void tx_paths_release(struct tx_paths *paths);

/* What a commit changes, by kind of file. */
struct tx_counts {
    int64_t files[3], rows[3]; /* indexed by enum iceberg_content */
    int64_t bytes;
};

struct tx_tag {
    const char *name;
    int64_t snapshot_id;
};

struct iceberg_tx {
    struct iceberg_table table;
    struct iceberg_metadata *base;
    struct store_batch *batch;
    struct tn_arena *arena; /* what was asked for */
    int64_t snapshot_id;
    int64_t timestamp_ms; /* 0: now */

    struct iceberg_file **added;
    size_t added_count, added_capacity;
    struct tx_paths removed;
    const char **removed_list; /* the same, in order */
    size_t removed_count, removed_capacity;
    bool remove_all, rewrite;
    int64_t start_id; /* ICEBERG_NONE: the base's current snapshot */
    const struct iceberg_schema *schema;
    struct iceberg_pair *properties, *summary;
    size_t property_count, property_capacity, summary_count, summary_capacity;
    struct tx_tag *tags;
    size_t tag_count, tag_capacity;
    int64_t *forgotten;
    size_t forgotten_count, forgotten_capacity;
    int64_t *thinned; /* the same, but nobody insists on it */
    size_t thinned_count, thinned_capacity;

    /* held.c */
    struct iceberg_tx *held_next, **held_link;
    int64_t born_ms;

    /* One attempt to commit; cleared by a rebase. */
    struct tn_arena *attempt;     /* NULL: not prepared */
    struct metadata_draft *draft; /* NULL: metadata_next may do */
    struct iceberg_metadata *next;
    const char **written; /* keys */
    size_t written_count, written_capacity;
    struct manifest_object **objects; /* for the cache, once published */
    size_t object_count, object_capacity;
    struct manifest_row *rows; /* of the new manifest list */
    size_t row_count, row_capacity;
    unsigned manifest_count;
    int64_t sequence_number;
    struct tx_counts plus, minus;
    struct tx_paths found; /* of removed */
    bool visible;          /* objects of the attempt may be in the store */
    bool finished;         /* published, or not known not to be: nothing is deleted */
};

/* held.c: open transactions. When the oldest one of a table was begun, or INT64_MAX. */
void held_add_tx(struct iceberg_tx *tx);
void held_drop_tx(struct iceberg_tx *tx);
int64_t held_oldest_tx(const struct iceberg_table *table);

/* tx_build.c: manifests and the list; *ret_list is the list's URI. */
enum tn_code tx_build_manifests(struct iceberg_tx *tx, const char **ret_list, struct tn_error *err) TN_CHECKED;
/* Writes a finished manifest into the batch and its row into the list to be. */
enum tn_code tx_put_manifest(struct iceberg_tx *tx, struct manifest_build *build, struct tn_error *err) TN_CHECKED;
void tx_push_row(struct iceberg_tx *tx, const struct manifest_row *row);
/* Puts an object into the batch and remembers it as written. */
enum tn_code tx_put_object(struct iceberg_tx *tx, const char *uri, const void *bytes, size_t count,
                           struct tn_error *err) TN_CHECKED;
/* The snapshot whose content the transaction starts from, or NULL. */
const struct iceberg_snapshot *tx_start(const struct iceberg_tx *tx);
/* The schema that this commit's manifests are of, and its JSON. */
const struct iceberg_schema *tx_schema(const struct iceberg_tx *tx, const char **ret_json);
/* The same for manifests of one spec, whose columns must be in it. */
const struct iceberg_schema *tx_spec_schema(const struct iceberg_tx *tx, const struct iceberg_spec *spec,
                                            const char **ret_json);
/* The data file that a delete file belongs to alone, or NULL. */
const char *tx_delete_target(const struct iceberg_file *file);

/* tx_merge.c: rows of the base that stay, merged where many are small. */
enum tn_code tx_keep_rows(struct iceberg_tx *tx, const struct manifest_row **rows, size_t count,
                          struct tn_error *err) TN_CHECKED;

/* tx_place.c: delete files get the partition of the data file that they are for,
 * one of the old list's (NULL: there is none) or of those that are added. */
enum tn_code tx_place_deletes(struct iceberg_tx *tx, const struct manifest_object *old,
                              struct tn_error *err) TN_CHECKED;

/* tx_summary.c */
enum tn_code tx_snapshot_json(struct iceberg_tx *tx, const char *list_uri, int64_t timestamp_ms, int32_t schema_id,
                              struct tn_buf *out, struct tn_error *err) TN_CHECKED;

#endif
