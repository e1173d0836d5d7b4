/* store: objects under keys, durable and create-only where it matters.
 *
 * A store is one bucket: a folder on this machine today, anything that can
 * "put", "put if absent", "get a range", "list by prefix" and "delete" later.
 * Callers see keys and URIs, never how an object is kept, so an S3 store fits
 * behind the same functions (docs/decisions/0004-store-seam.md).
 *
 * Keys are relative paths: parts joined by '/', valid UTF-8 without NUL or
 * control characters, 1 to 1024 bytes (a part at most 255), no empty part, no
 * "." or "..", no '/' in front or behind. A key is an object or a folder of
 * keys, never both: putting below an object is TN_ECONFLICT. The first part
 * ".staging" belongs to the store. A bad key is TN_EREQUEST, everywhere.
 *
 * Errors: TN_ENOTFOUND for an object that is not there, TN_EDISKFULL,
 * TN_EREADONLY, TN_EIO (also permissions) with the path and a hint. After any
 * failure the object is what it was before, or, when only the last fsync of a
 * folder failed, already the new one; it is never a part of either.
 *
 * Threads: a store may be used by any number of threads. A batch belongs to
 * one thread at a time.
 *
 * Durability, and what it costs. Four kinds of fsync exist here: of an
 * object's bytes, of a folder that gained a name, of the parent of a new
 * folder, and of the pointer's folder. One store_put pays two. A commit of
 * many objects should be a batch:
 *
 *     struct store_batch *batch = store_batch_new(store);
 *     store_batch_put_file(batch, "datasets/d/data/1.parquet", staged, err);
 *     store_batch_put(batch, "datasets/d/metadata/m.avro", ...);
 *     ...
 *     store_batch_commit(batch, "datasets/d/commits/7", pointer, n, err);
 *
 * N objects in D folders then cost N + D + 2 calls, in this order:
 *     1. every object and the pointer are written under staging names, and
 *        write-out is started for all when they are added;
 *     2. the objects get their names (rename). They are new, and nothing refers to
 *        them; one that replaces another is fsynced before;
 *     3. every object, each folder once, and the pointer are fsynced: everything
 *        that the pointer refers to is durable, and the pointer itself. With
 *        store_sync_threads all of it at once, which a journaling file system does
 *        in one transaction of its journal;
 *     4. the pointer appears by link(2), which has exactly one winner;
 *     5. the pointer's folder is fsynced. Now the commit may be acknowledged.
 * Without a pointer (store_put, store_batch_flush) the fsync of the objects comes
 * before the rename. After a power failure before 4 a new object of a commit may
 * be torn: nobody reads it.
 * Writing the pointer in step 1 saves the fsync that would otherwise stand
 * between 3 and 4. A folder's first use by a process adds one fsync of it and
 * of each folder above it, because a crash may have left it, or names in it, new.
 * A reader may see a pointer between 4 and 5; it is in the journal's order
 * behind all it refers to, so what is lost with it was never acknowledged.
 */
#ifndef TARN_STORE_STORE_H
#define TARN_STORE_STORE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define STORE_MAX_KEY  1024
#define STORE_MAX_PART 255

struct store;

/* Opens the folder `root` (created when missing) as a store. */
enum tn_code store_open_local(const char *root, struct store **ret, struct tn_error *err) TN_CHECKED;
/* No call may be under way and no batch open. NULL is fine. */
void store_close(struct store *store);
/* How many fsyncs of a batch may be under way at once, in threads of the store's
 * own. 1, the default: one after another and no threads. Before the store is shared. */
void store_sync_threads(struct store *store, size_t threads);
TN_DEFINE_CLEANUP(struct store, store_close)

/* TN_OK when `key` may name an object; TN_EREQUEST with the reason. */
enum tn_code store_check_key(const char *key, struct tn_error *err) TN_CHECKED;

/* "file:///abs/lake/key", exactly three slashes, as Iceberg metadata records
 * it: the path's bytes as they are, not percent-encoded. The empty key gives
 * the root. Purely textual: the object need not exist. The arena's. */
char *store_uri(struct store *store, struct tn_arena *arena, const char *key) __attribute__((returns_nonnull));
/* The key behind a URI of this store: file:///x, file:/x, file://localhost/x or
 * the bare absolute path. TN_ENOTFOUND when it lies outside of the store. */
enum tn_code store_key_of_uri(struct store *store, struct tn_arena *arena, const char *uri, char **ret_key,
                              struct tn_error *err) TN_CHECKED;

/* Replaces or creates the object. Durable on return. */
enum tn_code store_put(struct store *store, const char *key, const void *bytes, size_t count,
                       struct tn_error *err) TN_CHECKED;
/* Replaces or creates the object whole, but pays no fsync: after a power
 * failure it may be the old one, or empty. For what is only a courtesy or can
 * be made again. */
enum tn_code store_put_hint(struct store *store, const char *key, const void *bytes, size_t count,
                            struct tn_error *err) TN_CHECKED;
/* The same, soon: at once when nothing was put there in the last tenth of a
 * second, else a tenth of a second behind that, and then only the newest bytes.
 * Failures are not told. What waits is written when the store is closed, not
 * when its process is killed, and not when the object is deleted first. A store
 * without threads writes each at once. */
void store_put_hint_soon(struct store *store, const char *key, const void *bytes, size_t count);
/* Creates the object; TN_EEXISTS when the key is taken. However many processes
 * try, exactly one gets TN_OK. Durable on return. */
enum tn_code store_create(struct store *store, const char *key, const void *bytes, size_t count,
                          struct tn_error *err) TN_CHECKED;
/* Moves a finished local file into the store, replacing the object: a rename
 * when it lies on the store's file system (see store_stage_path), else a copy.
 * On success local_path is gone and the object durable; on failure the file
 * stays the caller's. */
enum tn_code store_put_file(struct store *store, const char *key, const char *local_path,
                            struct tn_error *err) TN_CHECKED;
/* A fresh path for a file that somebody else writes (the SQL engine's COPY)
 * and that is put afterwards; `suffix` (".parquet") has no '/'. The folder is
 * there, the file is not. What a crash leaves behind, store_clean_staging
 * removes. */
enum tn_code store_stage_path(struct store *store, struct tn_arena *arena, const char *suffix, char **ret_path,
                              struct tn_error *err) TN_CHECKED;

/* The whole object appended to `ret`; TN_ETOOLARGE beyond max_bytes. */
enum tn_code store_get(struct store *store, const char *key, size_t max_bytes, struct tn_buf *ret,
                       struct tn_error *err) TN_CHECKED;
/* Exactly `count` bytes from `offset`; TN_ECORRUPT when the object is shorter. */
enum tn_code store_read(struct store *store, const char *key, uint64_t offset, size_t count, void *out,
                        struct tn_error *err) TN_CHECKED;
enum tn_code store_head(struct store *store, const char *key, uint64_t *ret_size, struct tn_error *err) TN_CHECKED;
/* An absent object is TN_OK and false. */
enum tn_code store_exists(struct store *store, const char *key, bool *ret, struct tn_error *err) TN_CHECKED;
/* A path on this machine where the object can be read now. It stays valid
 * until the object is deleted or replaced. The arena's. */
enum tn_code store_local_path(struct store *store, struct tn_arena *arena, const char *key, char **ret_path,
                              struct tn_error *err) TN_CHECKED;
/* The same for an object that something durable names. When it is not there, that is
 * damage (TN_ECORRUPT) and never TN_ENOTFOUND, which callers take for an answer. */
enum tn_code store_needed_path(struct store *store, struct tn_arena *arena, const char *key, char **ret_path,
                               struct tn_error *err) TN_CHECKED;

struct store_object {
    const char *key; /* valid during the call */
    uint64_t size;
    int64_t modified_ms; /* when it was put, also of a file that was written long before */
};
/* Anything but TN_OK ends the listing and becomes its result. The callback may
 * use the store, also to delete what it is shown. */
typedef enum tn_code store_list_fn(void *context, const struct store_object *object, struct tn_error *err);
/* Every object whose key begins with the text `prefix` (also in the middle of
 * a name, as in S3; "" for all), in byte order of the whole keys. Holds the
 * names of one folder per level in memory. Objects that come or go meanwhile
 * may or may not be shown. */
enum tn_code store_list(struct store *store, const char *prefix, store_list_fn *callback, void *context,
                        struct tn_error *err) TN_CHECKED;

/* The names of the folders directly below the folder `key` (S3: common prefixes
 * with the delimiter '/'), in no order; a missing folder has none. Returning
 * false ends the listing. */
typedef bool store_folder_fn(void *context, const char *name);
enum tn_code store_list_folders(struct store *store, const char *key, store_folder_fn *callback, void *context,
                                struct tn_error *err) TN_CHECKED;

/* A missing object is fine. Folders that become empty go too. Not durable by
 * itself: after a power failure the object may be back. */
enum tn_code store_delete(struct store *store, const char *key, struct tn_error *err) TN_CHECKED;

/* Deletes the object soon: whoever calls does not wait. What was not done when
 * the process dies stays; for what clean-up would find as well. Done at once by
 * a store without threads. */
void store_delete_soon(struct store *store, const char *key);

/* For objects that are numbered one after another, `folder`/1, `folder`/2 ...: those up to `last` go soon, and
 * whoever calls does not wait. The lowest number goes first and none before the one below it is gone, so that at
 * any time, and after a kill, what is there has no gap. Nothing goes unless `last` + 1 is there. Asked for again
 * while it waits, a folder waits once. A removal that fails is counted and logged and ends it; the next call
 * begins with that object again, as it does with what a process that died left over.
 * Done at once by a store without threads, which takes at most 64 for a call. */
void store_trim_soon(struct store *store, const char *folder, int64_t last);
/* Forgets what waits of it and returns when none is under way: for whoever is about to use those names again. */
void store_trim_stop(struct store *store, const char *folder);

/* Makes the names in the folder `key` durable, also those that a process which
 * died left behind: what was read there survives a power failure from now on.
 * A missing folder is fine. For whoever is about to delete what only an older
 * state needs. */
enum tn_code store_sync_folder(struct store *store, const char *key, struct tn_error *err) TN_CHECKED;

/* Several objects, few fsyncs (see the top). Nothing of a batch is visible
 * before store_batch_flush or _commit; a batch that is freed before leaves
 * nothing behind. Two puts of one key: the last one counts. */
struct store_batch;
struct store_batch *store_batch_new(struct store *store) __attribute__((returns_nonnull));
/* The bytes may be freed on return. */
enum tn_code store_batch_put(struct store_batch *batch, const char *key, const void *bytes, size_t count,
                             struct tn_error *err) TN_CHECKED;
/* As store_batch_put, and visible with the batch to every reader, but without
 * an fsync: after a power failure the object may be missing, empty or torn,
 * however much of the batch is there. For bytes that can be checked and made
 * again from what is durable. A store may make it durable all the same. The
 * bytes must stay until the batch was flushed, committed or freed: they are
 * written while the rest of it waits for the disk. */
enum tn_code store_batch_put_soft(struct store_batch *batch, const char *key, const void *bytes, size_t count,
                                  struct tn_error *err) TN_CHECKED;
/* Takes ownership of the file: a batch that is freed unflushed removes it. On
 * failure it stays the caller's. */
enum tn_code store_batch_put_file(struct store_batch *batch, const char *key, const char *local_path,
                                  struct tn_error *err) TN_CHECKED;
/* Makes all that was put durable and visible; the batch is empty again. After
 * a failure some objects may be visible, and the batch can only be freed: an
 * fsync that failed once must not be tried again. */
enum tn_code store_batch_flush(struct store_batch *batch, struct tn_error *err) TN_CHECKED;
/* The same and then creates `key` as store_create does. TN_EEXISTS means that
 * somebody else won; the objects put are then durable but unreferenced, and
 * the batch is empty and usable. */
enum tn_code store_batch_commit(struct store_batch *batch, const char *key, const void *bytes, size_t count,
                                struct tn_error *err) TN_CHECKED;
void store_batch_free(struct store_batch *batch);
TN_DEFINE_CLEANUP(struct store_batch, store_batch_free)

/* Removes staging files last written more than older_than_ms ago: the rest of
 * processes that died. With 0 all of them, which is right only while nobody
 * else writes (a server that has just locked its lake). */
enum tn_code store_clean_staging(struct store *store, uint64_t older_than_ms, uint64_t *ret_removed,
                                 struct tn_error *err) TN_CHECKED;

/* What this store has done since it was opened; for metrics and tests. */
struct store_counters {
    uint64_t puts, creates, gets, reads, lists, deletes;
    uint64_t bytes_written, bytes_read;
    uint64_t fsyncs;
    uint64_t trim_failures; /* removals of store_trim_soon */
};
struct store_counters store_counters(const struct store *store);

/* Fault injection for tests. TARN_STORE_FAULT=ERROR[@STEP]:KEYPART, read when
 * the store is opened, makes STEP fail for keys that contain KEYPART. ERROR is
 * enospc, eio, erofs, eacces; STEP is write (default), fsync, rename, link,
 * folder (the fsync of the folder), remove or look. */

#endif
