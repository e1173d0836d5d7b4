/* Private: objects of a table, read through the cache; pointers. */
#ifndef TARN_ICEBERG_TABLE_INTERNAL_H
#define TARN_ICEBERG_TABLE_INTERNAL_H

#include "iceberg/manifest.h"
#include "iceberg/metadata_internal.h"
#include "store/store.h"

#define TABLE_MANIFEST_MAX_BYTES ((size_t)256 << 20)
/* Versions in a row whose metadata file is written without an fsync. */
#define TABLE_MOST_PATCHES 96

/* --- cache.c --- */

/* A reference, or NULL. `cache` may be NULL. */
struct manifest_object *cache_get(struct iceberg_cache *cache, const char *uri);
/* Takes a reference of its own. */
void cache_put(struct iceberg_cache *cache, struct manifest_object *object);

/* --- io.c --- */

enum tn_code table_read_uri(const struct iceberg_table *table, const struct iceberg_metadata *metadata,
                            const char *uri, size_t max_bytes, struct tn_buf *ret, struct tn_error *err) TN_CHECKED;
/* *ret is a reference. The list of a snapshot; a manifest of its rows. */
enum tn_code table_open_list(const struct iceberg_table *table, const struct iceberg_metadata *metadata,
                             const struct iceberg_snapshot *snapshot, struct manifest_object **ret,
                             struct tn_error *err) TN_CHECKED;
enum tn_code table_open_manifest(const struct iceberg_table *table, const struct iceberg_metadata *metadata,
                                 const struct manifest_row *row, struct manifest_object **ret,
                                 struct tn_error *err) TN_CHECKED;
/* "<location>" as new files of this table start with. */
const char *table_base_uri(struct tn_arena *arena, const struct iceberg_table *table,
                           const struct iceberg_metadata *metadata);

/* --- pointer.c --- */

struct table_pointer {
    int64_t version;
    bool dropped;
    const char *metadata; /* relative to the prefix, or a URI */
    const char *attempt;  /* a UUID: whose pointer this is */
    int64_t length;
    uint32_t crc32c;
    /* The metadata file was not fsynced: it can be made of that version's,
     * by the patches of the pointers behind it, this one's last. Or 0. */
    int64_t checkpoint;
    const struct metadata_part *patch;
    size_t patch_count;
    /* Another engine's commit: who asked for it, and the snapshots it brought. */
    struct iceberg_origin origin;
    const int64_t *origin_snapshots;
    size_t origin_snapshot_count;
};
#define ORIGIN_MAX_SNAPSHOTS 256
const char *table_pointer_key(struct tn_arena *arena, const struct iceberg_table *table, int64_t version);
void table_pointer_write(const struct table_pointer *pointer, struct tn_buf *out);
enum tn_code table_pointer_parse(struct tn_arena *arena, const char *text, size_t length, const char *what,
                                 struct table_pointer *ret, struct tn_error *err) TN_CHECKED;
enum tn_code table_pointer_read(const struct iceberg_table *table, int64_t version, struct tn_arena *arena,
                                struct table_pointer *ret, struct tn_error *err) TN_CHECKED;
/* The highest version there is, or 0. `known` > 0 is a version seen before. */
enum tn_code table_newest_version(const struct iceberg_table *table, int64_t known, int64_t *ret,
                                  struct tn_error *err) TN_CHECKED;
/* Do the bytes agree with the pointer? */
bool table_pointer_fits(const struct table_pointer *pointer, const struct tn_buf *json);
/* The pointer of a new metadata file (its key below the prefix). */
struct table_pointer table_pointer_for(struct tn_arena *arena, const struct iceberg_table *table,
                                       const struct iceberg_metadata *metadata);
/* The courtesy for clients that read folders; failures do not matter. */
void table_write_hint(const struct iceberg_table *table, const struct iceberg_metadata *metadata);
/* "<prefix>/metadata/00007-<uuid>.metadata.json" */
const char *table_metadata_key(struct tn_arena *arena, const struct iceberg_table *table, int64_t version);

/* --- table.c --- */

/* Where a version's metadata file lies; ret_uri may be NULL. */
enum tn_code table_metadata_place(const struct iceberg_table *table, const struct table_pointer *pointer,
                                  struct tn_arena *arena, const char **ret_key, const char **ret_uri,
                                  struct tn_error *err) TN_CHECKED;

/* --- rebuild.c --- */

/* The JSON of a version whose metadata file was lost or torn by a power
 * failure, from its checkpoint and the patches since; appended to `ret`. */
enum tn_code table_rebuild(const struct iceberg_table *table, const struct table_pointer *pointer, struct tn_buf *ret,
                           struct tn_error *err) TN_CHECKED;
/* The next version's JSON of a version's; TN_ECORRUPT when the parts do not fit. */
enum tn_code table_patch(const struct tn_buf *base, const struct metadata_part *parts, size_t count,
                         struct tn_buf *ret, struct tn_error *err) TN_CHECKED;

#endif
