/* Private: what stands behind struct iceberg_metadata, and how a new version
 * is made of an old one.
 *
 * A version is made at every commit, and a busy table has a thousand
 * snapshots. So snapshots and schemas are counted objects that versions share,
 * each with its own JSON text, and a new version is the old one's texts copied
 * in a row with one more: no parsing, no formatting of what did not change.
 */
#ifndef TARN_ICEBERG_METADATA_INTERNAL_H
#define TARN_ICEBERG_METADATA_INTERNAL_H

#include "base/json.h"
#include "iceberg/doc.h"
#include "iceberg/iceberg.h"

#include <stdatomic.h>

#define METADATA_DEFAULT_LOG     100
#define METADATA_LOG_PROPERTY    "write.metadata.previous-versions-max"
#define METADATA_DELETE_PROPERTY "write.metadata.delete-after-commit.enabled"

/* One allocation each: the struct, its arrays, its texts. */
struct metadata_snapshot {
    struct iceberg_snapshot shown; /* first: pointers to it are shown outside */
    atomic_size_t refs;
};

/* Snapshots that versions in a row have in common, counted once for all of them: a
 * thousand counters, each in memory of its own, are not touched at every commit. */
struct metadata_crowd {
    atomic_size_t refs;
    size_t count;
    struct metadata_snapshot *snapshots[];
};
#define METADATA_CROWD_BEHIND 64 /* snapshots that a version counts itself, before a new crowd is made */

struct metadata_schema {
    const struct iceberg_schema *shown;
    atomic_size_t refs;
    struct tn_arena *arena;
    const char *json;
    size_t json_length;
};

/* A piece of JSON that is copied as it stands. */
struct metadata_raw {
    const char *key; /* of top-level members */
    const char *json;
    size_t length;
};

/* A version's JSON as that of the version before it: ranges copied, texts put
 * in. */
struct metadata_part {
    const char *text; /* NULL: `length` bytes of the base from `offset` on */
    size_t offset, length;
};
#define METADATA_PATCH_PARTS     12
#define METADATA_PATCH_MAX_BYTES ((size_t)8 << 10) /* of texts, in a pointer */

struct metadata {
    struct iceberg_metadata shown; /* first */
    atomic_size_t refs;
    struct tn_arena *arena;
    struct iceberg_metadata *origin; /* whose arena holds what is shared; or NULL */
    struct tn_buf json;
    /* Of a version that metadata_next made: the checksum of `json`, and of the
     * texts of its snapshots in a row, which the next version's begin with. */
    uint32_t crc32c, snapshots_crc32c;
    size_t snapshots_length; /* 0: neither is known */
    /* How the base became this one, when metadata_next made it. */
    struct metadata_part *patch;
    size_t patch_count, patch_bytes;
    /* The version whose file is durable and from which patches in pointers lead
     * to this one; `version` itself when its own file is; 0 when not known. */
    int64_t checkpoint;
    struct metadata *held_next, **held_link; /* held.c, under its lock */
    const struct store *held_store;          /* NULL: not in its list; set before others see it */
    int32_t last_partition_id;
    struct metadata_snapshot **snapshots; /* counted; shown.snapshots are the same pointers */
    struct metadata_crowd *crowd;         /* counts the first of them; or NULL */
    struct metadata_schema **schemas;
    struct metadata_raw *specs;  /* parallel to shown.specs */
    struct metadata_raw orders;  /* the whole array "sort-orders" */
    struct metadata_raw *others; /* members that we do not interpret */
    size_t other_count;
};

static inline struct metadata *metadata_of(const struct iceberg_metadata *shown)
{
    return (struct metadata *)(uintptr_t)shown;
}

struct metadata_snapshot *metadata_snapshot_new(const struct doc_node *node, const char *what, enum tn_code *ret_code,
                                                struct tn_error *err);
/* held.c: versions of tables, for the sweep. An unref takes them out. */
void held_add_version(const struct store *store, struct iceberg_metadata *version);
void held_drop_version(struct metadata *inner);
/* References to all versions of the table; free() the list. */
struct iceberg_metadata **held_list_versions(const struct store *store, const char *uuid, size_t *ret_count);

/* Room for a version's JSON. A megabyte that was just let go is taken again:
 * fresh memory costs more than the copy that goes into it. */
void metadata_take_room(struct tn_buf *json, size_t bytes);
void metadata_leave_room(struct tn_buf *json);

void metadata_snapshot_unref(struct metadata_snapshot *snapshot);
/* The base's snapshots for the version after it: copied, and counted. */
void metadata_share_snapshots(const struct metadata *base, struct metadata *next);
struct metadata_schema *metadata_schema_new(const struct doc_node *node, const char *what, enum tn_code *ret_code,
                                            struct tn_error *err);
void metadata_schema_unref(struct metadata_schema *schema);

/* The current schema and its JSON, both borrowed. */
const struct iceberg_schema *metadata_current_schema(const struct iceberg_metadata *metadata, const char **ret_json);

/* A version to be: a copy of `base` to change by hand, then to write. */
struct metadata_draft;
struct metadata_draft *metadata_draft_new(const struct iceberg_metadata *base);
void metadata_draft_free(struct metadata_draft *draft);
TN_DEFINE_CLEANUP(struct metadata_draft, metadata_draft_free)

/* The table's first version. `schema` has its final ids. */
enum tn_code metadata_draft_create(const struct iceberg_schema *schema, int32_t last_column_id, const char *location,
                                   int64_t timestamp_ms, struct metadata_draft **ret,
                                   struct tn_error *err) TN_CHECKED;
void metadata_draft_set_property(struct metadata_draft *draft, const char *key, const char *value);
/* The id of an equal schema, or of this one added; becomes the current one. */
enum tn_code metadata_draft_set_schema(struct metadata_draft *draft, const struct iceberg_schema *schema,
                                       struct tn_error *err) TN_CHECKED;
/* The current schema, with the id that it will have, and its JSON (borrowed). */
const struct iceberg_schema *metadata_draft_schema(const struct metadata_draft *draft, const char **ret_json);
/* Adds the snapshot (its JSON object) and makes it main's. */
enum tn_code metadata_draft_add_snapshot(struct metadata_draft *draft, const char *json, size_t length,
                                         struct tn_error *err) TN_CHECKED;
enum tn_code metadata_draft_forget_snapshot(struct metadata_draft *draft, int64_t id,
                                            struct tn_error *err) TN_CHECKED;
/* NONE removes it. */
enum tn_code metadata_draft_set_tag(struct metadata_draft *draft, const char *name, int64_t snapshot_id,
                                    struct tn_error *err) TN_CHECKED;
/* The version's JSON and the object that shows it. `version`, `key` and `uri`
 * say where it will lie. The draft is used up. */
enum tn_code metadata_draft_finish(struct metadata_draft *draft, int64_t version, const char *key, const char *uri,
                                   int64_t timestamp_ms, struct iceberg_metadata **ret,
                                   struct tn_error *err) TN_CHECKED;

/* --- metadata_next.c --- */

/* The base with one snapshot more (its JSON object) on main. *ret is NULL when
 * the base is not of the form for it: a draft does it then. Otherwise the same
 * bytes as a draft's, and ->patch. */
enum tn_code metadata_next(const struct iceberg_metadata *base, const char *json, size_t length, int64_t version,
                           const char *key, const char *uri, int64_t timestamp_ms, struct iceberg_metadata **ret,
                           struct tn_error *err) TN_CHECKED;
/* The length of the metadata log that the property (or NULL) asks for. */
size_t metadata_log_limit(const char *property);
/* The members "snapshot-log" and "metadata-log" of a document. */
void metadata_put_logs(struct tn_json *json, const struct iceberg_log_entry *snapshots, size_t snapshot_count,
                       const struct iceberg_log_entry *files, size_t file_count);

#endif
