/* The seam: what an implementation of a store provides.
 *
 * store.c checks keys and counts, then calls through this table; an
 * implementation embeds struct store (and struct store_batch) as its first
 * member. Contracts are those of store.h; keys arrive checked.
 */
#ifndef TARN_STORE_STORE_INTERNAL_H
#define TARN_STORE_STORE_INTERNAL_H

#include "store/store.h"

#define STORE_STAGING ".staging"

struct store_ops {
    void (*close)(struct store *store);
    void (*sync_threads)(struct store *store, size_t threads);
    char *(*uri)(struct store *store, struct tn_arena *arena, const char *key);
    /* The text behind the root, not yet checked as a key; NULL when outside. */
    const char *(*below_root)(struct store *store, const char *uri);
    enum tn_code (*put_file)(struct store *store, const char *key, const char *local_path, struct tn_error *err);
    enum tn_code (*stage_path)(struct store *store, struct tn_arena *arena, const char *suffix, char **ret_path,
                               struct tn_error *err);
    enum tn_code (*get)(struct store *store, const char *key, size_t max_bytes, struct tn_buf *ret,
                        struct tn_error *err);
    enum tn_code (*read)(struct store *store, const char *key, uint64_t offset, size_t count, void *out,
                         struct tn_error *err);
    enum tn_code (*head)(struct store *store, const char *key, uint64_t *ret_size, struct tn_error *err);
    enum tn_code (*local_path)(struct store *store, struct tn_arena *arena, const char *key, char **ret_path,
                               struct tn_error *err);
    enum tn_code (*list)(struct store *store, const char *prefix, store_list_fn *callback, void *context,
                         struct tn_error *err);
    enum tn_code (*list_folders)(struct store *store, const char *key, store_folder_fn *callback, void *context,
                                 struct tn_error *err);
    enum tn_code (*remove)(struct store *store, const char *key, struct tn_error *err);
    void (*remove_soon)(struct store *store, const char *key);
    void (*trim_soon)(struct store *store, const char *folder, int64_t last);
    void (*trim_stop)(struct store *store, const char *folder);
    void (*hint_soon)(struct store *store, const char *key, const void *bytes, size_t count);
    enum tn_code (*sync_folder)(struct store *store, const char *key, struct tn_error *err);
    enum tn_code (*clean_staging)(struct store *store, uint64_t older_than_ms, uint64_t *ret_removed,
                                  struct tn_error *err);
    struct store_batch *(*batch_new)(struct store *store);
    enum tn_code (*batch_put)(struct store_batch *batch, const char *key, const void *bytes, size_t count,
                              struct tn_error *err);
    enum tn_code (*batch_put_file)(struct store_batch *batch, const char *key, const char *local_path,
                                   struct tn_error *err);
    /* pointer_key is NULL for a flush. */
    enum tn_code (*batch_finish)(struct store_batch *batch, const char *pointer_key, const void *bytes, size_t count,
                                 struct tn_error *err);
    void (*batch_free)(struct store_batch *batch);
};

struct store {
    const struct store_ops *ops;
    struct store_counters counters; /* each changed atomically */
};

struct store_batch {
    struct store *store;
    bool failed; /* by a flush: only store_batch_free is left */
    bool hint;   /* need not be durable (store_put_hint) */
    bool soft;   /* during batch_put: this object need not be (store_batch_put_soft) */
};

#define STORE_COUNT(store, what, amount)                                                                             \
    ((void)__atomic_fetch_add(&(store)->counters.what, (uint64_t)(amount), __ATOMIC_RELAXED))

#endif
