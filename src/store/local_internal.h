/* The parts of the local store: folders, faults, batches, listing. */
#ifndef TARN_STORE_LOCAL_INTERNAL_H
#define TARN_STORE_LOCAL_INTERNAL_H

#include "store/store_internal.h"

#include <pthread.h>
#include <stdatomic.h>

enum local_step { LOCAL_WRITE, LOCAL_FSYNC, LOCAL_RENAME, LOCAL_LINK, LOCAL_FOLDER, LOCAL_REMOVE, LOCAL_LOOK };

/* TARN_STORE_FAULT; error_number 0 when there is none. */
struct local_fault {
    int error_number;
    enum local_step step;
    char key_part[128];
};

/* Of objects that are numbered one after another in a folder, the last that this
 * store has made durable. */
struct local_row {
    uint64_t folder; /* its hash */
    int64_t last;
};

enum { LOCAL_ROWS = 256 };

struct local_store {
    struct store base;
    char *root;    /* absolute, no symbolic links, no '/' behind ("" is "/") */
    char *staging; /* root/.staging */
    uint64_t device;
    struct local_fault fault;
    pthread_mutex_t folders; /* for the making and removing of them, and for forgetting */
    pthread_mutex_t lock;    /* guards what follows; taken last, and not for long */
    char **durable;          /* hash set: folders whose name is known to be on disk */
    size_t durable_count, durable_size;
    struct local_row rows[LOCAL_ROWS]; /* by hash; who comes later takes the place */
    struct local_syncers *syncers;     /* NULL: one fsync after another */
    struct local_trimmer *trimmer;     /* NULL: done by whoever asks */
    _Atomic uint64_t trim_warned_ns;
};

static inline struct local_store *local_of(struct store *store)
{
    return (struct local_store *)(void *)store;
}

/* root/key; free() it. */
char *local_path_of(const struct local_store *local, const char *key);
/* Where a new staging file would lie; free() it. */
char *local_staging_name(const struct local_store *local, const char *suffix);
/* Makes the staging folder when it is missing. */
enum tn_code local_need_staging(struct local_store *local, struct tn_error *err) TN_CHECKED;
/* The errno to fail with at this step, or 0. */
int local_injected(const struct local_store *local, enum local_step step, const char *key);
enum tn_code local_fsync_folder(struct local_store *local, const char *path, const char *key,
                                struct tn_error *err) TN_CHECKED;
/* Not found, with a text about the key instead of errno's. */
enum tn_code local_fail_absent(const struct local_store *local, const char *key, struct tn_error *err);

/* The folder that `key` lies in, made with all above it, durably. */
enum tn_code local_need_folder(struct local_store *local, const char *key, struct tn_error *err) TN_CHECKED;
/* Whether the folder of `key` is known to be durable, with all that was in it then. */
bool local_knows_folder(struct local_store *local, const char *key);
/* Whether the number before that of `key` is durable because this store made it so,
 * or there is none. What another process made may not be, and nothing must be built
 * on it before it is: a power failure could take the older of two and leave the newer. */
bool local_row_follows(struct local_store *local, const char *key);
void local_row_add(struct local_store *local, const char *key); /* it is durable */
/* Somebody removed folders behind our back: look again. */
void local_forget_folders(struct local_store *local);
/* Removes the folders above `key` that are empty. */
void local_prune_folders(struct local_store *local, const char *key);

/* local_sync.c: a file or a folder that must be durable, or what is done
 * while the others wait for the disk. */
#define LOCAL_SYNCERS_MAX 16
struct local_sync {
    const char *path, *key;
    int fd; /* or -1 */
    bool folder;
    enum tn_code (*instead)(struct local_store *local, void *context,
                            struct tn_error *err); /* of an fsync; or NULL */
    void *context;
    enum tn_code code;
    struct tn_error error;
};
/* All of them; the failure of the first in the list that failed. */
enum tn_code local_sync_all(struct local_store *local, struct local_sync *syncs, size_t count,
                            struct tn_error *err) TN_CHECKED;
void local_sync_threads(struct store *store, size_t threads);
/* store_delete_soon: by one of the threads, when none of them has a round. */
void local_remove_soon(struct store *store, const char *key);
/* store_put_hint_soon; and what waits of it is not written any more. */
void local_hint_soon(struct store *store, const char *key, const void *bytes, size_t count);
void local_hint_drop(struct local_store *local, const char *key);
enum tn_code local_remove(struct store *store, const char *key, struct tn_error *err) TN_CHECKED;
void local_syncers_free(struct local_store *local);
/* The file alone, and not the folders above it. One that is not there is fine. */
enum tn_code local_unlink(struct local_store *local, const char *key, struct tn_error *err) TN_CHECKED;

/* local_trim.c: store_trim_soon. */
void local_trim_start(struct local_store *local);
/* Does what waits first. */
void local_trim_free(struct local_store *local);
void local_trim_soon(struct store *store, const char *folder, int64_t last);
void local_trim_stop(struct store *store, const char *folder);

enum tn_code local_list(struct store *store, const char *prefix, store_list_fn *callback, void *context,
                        struct tn_error *err);
enum tn_code local_list_folders(struct store *store, const char *key, store_folder_fn *callback, void *context,
                                struct tn_error *err);

struct store_batch *local_batch_new(struct store *store);
enum tn_code local_batch_put(struct store_batch *batch, const char *key, const void *bytes, size_t count,
                             struct tn_error *err);
enum tn_code local_batch_put_file(struct store_batch *batch, const char *key, const char *local_path,
                                  struct tn_error *err);
enum tn_code local_batch_finish(struct store_batch *batch, const char *pointer_key, const void *bytes, size_t count,
                                struct tn_error *err);
void local_batch_free(struct store_batch *batch);
/* A single put of a file: on failure the file stays the caller's. */
enum tn_code local_put_file(struct store *store, const char *key, const char *local_path, struct tn_error *err);

#endif
