/* Batches of the local store: every write goes through here.
 *
 * Objects are written under staging names when they are added, and get their
 * keys in local_batch_finish; the order there is the order that store.h
 * promises, and the fault points stand between its steps.
 */
#include "base/fault.h"
#include "base/fs.h"
#include "base/str.h"
#include "store/local_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* More files than this are opened again for their fsync. */
enum { MOST_OPEN = 64, MOST_TRIES = 16, COPY_BYTES = 1 << 20 };

struct item {
    char *key;
    char *path;   /* what will be renamed to the key; NULL once it was */
    char *source; /* a file on another file system, removed in the end */
    int fd;       /* of path, or -1 */
    bool soft;    /* no fsync: `bytes` are written while the others wait for theirs */
    const void *bytes;
    size_t byte_count;
    bool durable; /* its bytes; not yet its name */
};

struct local_batch {
    struct store_batch base;
    struct item *items;
    size_t count, capacity;
    size_t open_count;
    bool keep_files; /* on failure files that came by path stay */
};

static struct local_batch *batch_of(struct store_batch *batch)
{
    return (struct local_batch *)(void *)batch;
}

struct store_batch *local_batch_new(struct store *store)
{
    struct local_batch *batch = tn_calloc(1, sizeof *batch);
    batch->base.store = store;
    return &batch->base;
}

static void release_item(struct item *item)
{
    if (item->fd >= 0)
        (void)close(item->fd);
    free(item->key);
    free(item->path);
    free(item->source);
}

static void clear(struct local_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        release_item(&batch->items[i]);
    batch->count = 0;
    batch->open_count = 0;
}

/* Staging files, and new objects that have their names already. */
static void remove_files(struct local_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct item *item = &batch->items[i];
        if (item->path)
            (void)unlink(item->path);
        free(item->path);
        item->path = NULL;
    }
}

void local_batch_free(struct store_batch *base)
{
    struct local_batch *batch = batch_of(base);
    remove_files(batch);
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i].source && !batch->keep_files)
            (void)unlink(batch->items[i].source);
    clear(batch);
    free(batch->items);
    free(batch);
}

/* Takes path, source and fd. */
static void add_item(struct local_batch *batch, const char *key, char *path, char *source, int fd)
{
    /* Start the write-out now, so that the disk works while more is added.
     * Errors of it come back from fsync. */
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    if (batch->open_count >= MOST_OPEN) {
        (void)close(fd);
        fd = -1;
    } else {
        batch->open_count++;
    }
    TN_GROW(batch->items, batch->count, batch->capacity);
    batch->items[batch->count++] = (struct item){.key = tn_strdup(key), .path = path, .source = source, .fd = fd};
}

/* The bytes are borrowed. */
static void add_soft(struct local_batch *batch, const char *key, const void *bytes, size_t count)
{
    size_t at = 0;
    while (at < batch->count && !(batch->items[at].soft && tn_streq(batch->items[at].key, key)))
        at++;
    if (at == batch->count) {
        TN_GROW(batch->items, batch->count, batch->capacity);
        batch->items[batch->count++] = (struct item){.key = tn_strdup(key), .fd = -1, .soft = true};
    }
    batch->items[at].bytes = bytes;
    batch->items[at].byte_count = count;
}

static int open_new(struct local_store *local, const char *path, struct tn_error *err)
{
    for (int tries = 0;; tries++) {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0)
            return fd;
        if (errno != ENOENT || tries > 0) {
            (void)tn_fail_errno(err, errno, "cannot create %s", path);
            return -1;
        }
        if (local_need_staging(local, err) != TN_OK)
            return -1;
    }
}

/* Writes through the fault hook: a full disk takes a part of the bytes. */
static enum tn_code write_bytes(struct local_store *local, int fd, const char *key, const void *bytes, size_t count,
                                const char *path, struct tn_error *err)
{
    int injected = local_injected(local, LOCAL_WRITE, key);
    TN_TRY(tn_write_all(fd, bytes, injected ? count / 2 : count, path, err));
    return injected ? tn_fail_errno(err, injected, "cannot write %s", path) : TN_OK;
}

static enum tn_code write_staged(struct local_store *local, const char *key, const void *bytes, size_t count,
                                 char **ret_path, int *ret_fd, struct tn_error *err)
{
    TN_AUTO_FREE char *path = local_staging_name(local, "");
    struct tn_error problem = {0};
    TN_AUTO_CLOSE int fd = open_new(local, path, &problem);
    enum tn_code code = fd < 0 ? problem.code : write_bytes(local, fd, key, bytes, count, path, &problem);
    if (code != TN_OK) {
        if (fd >= 0)
            (void)unlink(path);
        tn_error_context(&problem, "cannot store \"%s\"", key);
        if (err)
            *err = problem;
        return code;
    }
    *ret_path = TN_TAKE(path);
    *ret_fd = fd;
    fd = -1;
    return TN_OK;
}

enum tn_code local_batch_put(struct store_batch *base, const char *key, const void *bytes, size_t count,
                             struct tn_error *err)
{
    char *path = NULL;
    int fd = -1;
    if (base->soft) {
        add_soft(batch_of(base), key, bytes, count);
        return TN_OK;
    }
    TN_TRY(write_staged(local_of(base->store), key, bytes, count, &path, &fd, err));
    add_item(batch_of(base), key, path, NULL, fd);
    return TN_OK;
}

static enum tn_code copy_bytes(struct local_store *local, int from, int to, const char *key, const char *from_path,
                               const char *to_path, struct tn_error *err)
{
    TN_AUTO_FREE char *block = tn_malloc(COPY_BYTES);
    for (;;) {
        ssize_t got = read(from, block, COPY_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return tn_fail_errno(err, errno, "cannot read %s", from_path);
        if (got == 0)
            return TN_OK;
        TN_TRY(write_bytes(local, to, key, block, (size_t)got, to_path, err));
        STORE_COUNT(&local->base, bytes_written, got);
    }
}

static enum tn_code add_copy(struct local_batch *batch, const char *key, int from, const char *local_path,
                             struct tn_error *err)
{
    struct local_store *local = local_of(batch->base.store);
    TN_AUTO_FREE char *path = local_staging_name(local, "");
    TN_AUTO_CLOSE int to = -1;
    struct tn_error problem = {0};
    to = open_new(local, path, &problem);
    enum tn_code code = to < 0 ? problem.code : copy_bytes(local, from, to, key, local_path, path, &problem);
    if (code != TN_OK) {
        if (to >= 0)
            (void)unlink(path);
        if (err)
            *err = problem;
        return code;
    }
    add_item(batch, key, TN_TAKE(path), tn_strdup(local_path), to);
    to = -1;
    return TN_OK;
}

enum tn_code local_batch_put_file(struct store_batch *base, const char *key, const char *local_path,
                                  struct tn_error *err)
{
    struct local_store *local = local_of(base->store);
    TN_AUTO_CLOSE int fd = open(local_path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0)
        return tn_fail_errno(err, errno, "cannot open %s", local_path);
    if (!S_ISREG(info.st_mode))
        return tn_fail(err, TN_EREQUEST, "%s is not a regular file", local_path);
    if ((uint64_t)info.st_dev != local->device)
        return add_copy(batch_of(base), key, fd, local_path, err);
    int injected = local_injected(local, LOCAL_WRITE, key);
    if (injected)
        return tn_fail_errno(err, injected, "cannot write %s", local_path);
    /* It may have taken hours to write: its age counts from now (store.h). */
    if (futimens(fd, NULL) != 0)
        return tn_fail_errno(err, errno, "cannot set the time of %s", local_path);
    STORE_COUNT(base->store, bytes_written, info.st_size);
    add_item(batch_of(base), key, tn_strdup(local_path), NULL, fd);
    fd = -1;
    return TN_OK;
}

enum tn_code local_put_file(struct store *store, const char *key, const char *local_path, struct tn_error *err)
{
    TN_CLEANUP(store_batch_free_p) struct store_batch *base = local_batch_new(store);
    struct local_batch *batch = batch_of(base);
    batch->keep_files = true;
    TN_TRY(local_batch_put_file(base, key, local_path, err));
    enum tn_code code = local_batch_finish(base, NULL, NULL, 0, err);
    /* Not renamed and not a copy: it is the caller's own file still. */
    if (code != TN_OK && batch->items[0].path && !batch->items[0].source) {
        free(batch->items[0].path);
        batch->items[0].path = NULL;
    }
    return code;
}

static enum tn_code fail_rename(const struct item *item, int failure, const char *target, struct tn_error *err)
{
    switch (failure) {
    case EISDIR:
    case ENOTEMPTY:
    case EEXIST:
        (void)tn_fail(err, TN_ECONFLICT, "\"%s\" is a folder of objects, so it cannot be an object", item->key);
        tn_error_hint(err, "choose another key, or delete what is below it");
        return TN_ECONFLICT;
    case ENOENT:
        (void)tn_fail(err, TN_EIO, "%s vanished before it could become %s", item->path, target);
        tn_error_hint(err, "something else removes files from the lake; only Tarn may write there");
        return TN_EIO;
    case EXDEV:
        (void)tn_fail(err, TN_EIO, "%s lies on another file system than the store", target);
        tn_error_hint(err, "keep the whole bucket on one file system (no links to other disks inside)");
        return TN_EIO;
    default:
        return tn_fail_errno(err, failure, "cannot create %s", target);
    }
}

/* How an object gets its key. */
enum naming { NAME_REPLACE, NAME_NEW, NAME_POINTER };

static int try_name(struct local_store *local, const struct item *item, enum naming how, const char *target)
{
    int result, failure = local_injected(local, how == NAME_POINTER ? LOCAL_LINK : LOCAL_RENAME, item->key);
    if (failure)
        return failure;
    if (how == NAME_POINTER)
        result = link(item->path, target);
    else if (how == NAME_NEW)
        result = renameat2(AT_FDCWD, item->path, AT_FDCWD, target, RENAME_NOREPLACE);
    else
        result = rename(item->path, target);
    return result == 0 ? 0 : errno;
}

/* *ret_errno 0 on success. A folder that a concurrent delete has just removed
 * is made again. */
static enum tn_code name_item(struct local_store *local, const struct item *item, enum naming how, const char *target,
                              int *ret_errno, struct tn_error *err)
{
    for (int tries = 0; tries < MOST_TRIES; tries++) {
        int failure = try_name(local, item, how, target);
        /* Some file systems have no links; this is as atomic there. */
        if (how == NAME_POINTER && (failure == EPERM || failure == EOPNOTSUPP || failure == ENOSYS))
            failure = try_name(local, item, NAME_NEW, target);
        *ret_errno = failure;
        if (failure != ENOENT || access(item->path, F_OK) != 0)
            return TN_OK;
        local_forget_folders(local);
        TN_TRY(local_need_folder(local, item->key, err));
    }
    return TN_OK;
}

static enum tn_code rename_item(struct local_store *local, struct item *item, struct tn_error *err)
{
    TN_AUTO_FREE char *target = local_path_of(local, item->key);
    int failure = 0;
    TN_FAULT("store.put.before_rename");
    TN_TRY(name_item(local, item, NAME_REPLACE, target, &failure, err));
    TN_FAULT("store.put.after_rename");
    if (failure)
        return fail_rename(item, failure, target, err);
    free(item->path);
    item->path = NULL;
    return TN_OK;
}

/* Its write-out is not started: what is replaced or deleted soon need never
 * reach the disk. It gets its name whole, as every object does, and goes again
 * when the batch fails. */
static enum tn_code write_soft(struct local_store *local, void *context, struct tn_error *err)
{
    struct item *item = context;
    struct item staged = {.key = item->key, .fd = -1};
    TN_AUTO_FREE char *target = local_path_of(local, item->key);
    int failure = 0;
    TN_TRY(write_staged(local, item->key, item->bytes, item->byte_count, &staged.path, &staged.fd, err));
    (void)close(staged.fd);
    enum tn_code code = name_item(local, &staged, NAME_REPLACE, target, &failure, err);
    if (code == TN_OK && failure)
        code = fail_rename(&staged, failure, target, err);
    if (code == TN_OK)
        item->path = TN_TAKE(target);
    else
        (void)unlink(staged.path);
    free(staged.path);
    return code;
}

/* ---- making durable ---------------------------------------------------------- */

/* What is to be fsynced. Paths and keys are the arena's, or outlive it. */
struct syncing {
    struct tn_arena *arena;
    struct local_sync *syncs;
    size_t count;
};

static void sync_object(struct local_store *local, struct syncing *syncing, const struct item *item)
{
    const char *path = item->path;
    if (!path)
        path = tn_arena_printf(syncing->arena, "%s/%s", local->root, item->key);
    syncing->syncs[syncing->count++] = (struct local_sync){.path = path, .key = item->key, .fd = item->fd};
}

/* Whoever brings the round begins at its front, with what is no wait. */
static void sync_objects(struct local_store *local, struct syncing *syncing, struct local_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i].soft)
            syncing->syncs[syncing->count++] =
                (struct local_sync){.key = batch->items[i].key, .instead = write_soft, .context = &batch->items[i]};
    for (size_t i = 0; i < batch->count; i++)
        if (!batch->items[i].soft && !batch->items[i].durable)
            sync_object(local, syncing, &batch->items[i]);
}

/* Each folder of the items once. The distinct ones are few. */
static void sync_folders(struct local_store *local, struct syncing *syncing, const struct local_batch *batch)
{
    size_t first = syncing->count;
    for (size_t i = 0; i < batch->count; i++) {
        const char *key = batch->items[i].key;
        if (batch->items[i].soft)
            continue;
        const char *slash = strrchr(key, '/');
        const char *path =
            tn_arena_printf(syncing->arena, "%s/%.*s", local->root, slash ? (int)(slash - key) : 0, key);
        bool known = false;
        for (size_t at = syncing->count; at > first && !known; at--)
            known = tn_streq(syncing->syncs[at - 1].path, path);
        if (!known)
            syncing->syncs[syncing->count++] =
                (struct local_sync){.path = path, .key = key, .fd = -1, .folder = true};
    }
}

static enum tn_code sync_now(struct local_store *local, struct syncing *syncing, struct tn_error *err)
{
    size_t count = syncing->count;
    syncing->count = 0;
    return local_sync_all(local, syncing->syncs, count, err);
}

static enum tn_code fail_taken(const char *key, const char *target, struct tn_error *err)
{
    struct stat info;
    if (stat(target, &info) == 0 && S_ISDIR(info.st_mode))
        return tn_fail(err, TN_ECONFLICT, "\"%s\" is a folder of objects, so it cannot be an object", key);
    (void)tn_fail(err, TN_EEXISTS, "\"%s\" exists already", key);
    tn_error_hint(err, "somebody else was first: read what is there now, then try again");
    return TN_EEXISTS;
}

static enum tn_code link_pointer(struct local_store *local, const struct item *pointer, struct tn_error *err)
{
    TN_AUTO_FREE char *target = local_path_of(local, pointer->key);
    int failure = 0;
    TN_FAULT("store.create.before_link");
    TN_TRY(name_item(local, pointer, NAME_POINTER, target, &failure, err));
    TN_FAULT("store.create.after_link");
    if (failure == EEXIST)
        return fail_taken(pointer->key, target, err);
    TN_AUTO_FREE char *folder = tn_strndup(target, (size_t)(strrchr(target, '/') - target));
    enum tn_code code = failure ? fail_rename(pointer, failure, target, err)
                                : local_fsync_folder(local, *folder ? folder : "/", pointer->key, err);
    if (code != TN_OK) {
        /* The name may be there and not be durable; the next commit may see it,
         * and must not be built on it before it is. */
        local_forget_folders(local);
        return code;
    }
    local_row_add(local, pointer->key);
    TN_FAULT("store.create.after_folder_sync");
    return TN_OK;
}

static enum tn_code rename_items(struct local_store *local, struct local_batch *batch, struct tn_error *err)
{
    for (size_t i = 0; i < batch->count; i++)
        if (!batch->items[i].soft)
            TN_TRY(rename_item(local, &batch->items[i], err));
    return TN_OK;
}

/* Gives a new object its key before its bytes are durable. It still goes when
 * the batch fails. One that replaces another waits for its bytes. */
static enum tn_code rename_early(struct local_store *local, struct item *item, struct tn_error *err)
{
    TN_AUTO_FREE char *target = local_path_of(local, item->key);
    int failure = 0;
    TN_FAULT("store.put.before_rename");
    TN_TRY(name_item(local, item, NAME_NEW, target, &failure, err));
    if (failure == EEXIST || failure == EINVAL || failure == ENOSYS) {
        struct local_sync sync = {.path = item->path, .key = item->key, .fd = item->fd};
        TN_TRY(local_sync_all(local, &sync, 1, err));
        item->durable = true;
        TN_TRY(name_item(local, item, NAME_REPLACE, target, &failure, err));
        if (failure == 0) {
            free(item->path);
            item->path = NULL;
        }
    } else if (failure == 0) {
        free(item->path);
        item->path = TN_TAKE(target);
    }
    TN_FAULT("store.put.after_rename");
    return failure ? fail_rename(item, failure, target, err) : TN_OK;
}

/* Nothing refers to new objects of a commit before its pointer: they get their
 * names first, so that one round makes bytes, names and pointer durable. */
static enum tn_code make_durable(struct local_store *local, struct local_batch *batch, const struct item *pointer,
                                 struct syncing *syncing, struct tn_error *err)
{
    TN_FAULT("store.put.before_fsync");
    if (batch->base.hint)
        return rename_items(local, batch, err);
    for (size_t i = 0; pointer && i < batch->count; i++)
        if (!batch->items[i].soft)
            TN_TRY(rename_early(local, &batch->items[i], err));
    sync_objects(local, syncing, batch);
    if (pointer) {
        sync_object(local, syncing, pointer);
    } else {
        TN_TRY(sync_now(local, syncing, err));
        TN_TRY(rename_items(local, batch, err));
    }
    sync_folders(local, syncing, batch);
    return sync_now(local, syncing, err);
}

/* A folder that is looked at for the first time is made durable with all that is
 * in it. In one that is known there may be what another process has made since. */
static enum tn_code need_row(struct local_store *local, const char *key, struct tn_error *err)
{
    bool follows = local_row_follows(local, key) || !local_knows_folder(local, key);
    TN_TRY(local_need_folder(local, key, err));
    if (follows)
        return TN_OK;
    const char *slash = strrchr(key, '/');
    TN_AUTO_FREE char *folder = tn_strndup(key, slash ? (size_t)(slash - key) : 0);
    return store_sync_folder(&local->base, folder, err);
}

static enum tn_code finish_objects(struct local_store *local, struct local_batch *batch, const struct item *pointer,
                                   struct tn_error *err)
{
    for (size_t i = 0; i < batch->count; i++)
        TN_TRY(local_need_folder(local, batch->items[i].key, err));
    if (pointer)
        TN_TRY(need_row(local, pointer->key, err));
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct syncing syncing = {.arena = arena,
                              .syncs = TN_ARENA_ARRAY(arena, struct local_sync, 2 * batch->count + 1)};
    TN_TRY(make_durable(local, batch, pointer, &syncing, err));
    TN_FAULT("store.put.after_folder_sync");
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->items[i].source)
            (void)unlink(batch->items[i].source);
    }
    clear(batch);
    return TN_OK;
}

enum tn_code local_batch_finish(struct store_batch *base, const char *pointer_key, const void *bytes, size_t count,
                                struct tn_error *err)
{
    struct local_store *local = local_of(base->store);
    struct local_batch *batch = batch_of(base);
    if (!pointer_key)
        return finish_objects(local, batch, NULL, err);
    struct item pointer = {.key = tn_strdup(pointer_key), .fd = -1};
    enum tn_code code = write_staged(local, pointer_key, bytes, count, &pointer.path, &pointer.fd, err);
    if (code == TN_OK)
        code = finish_objects(local, batch, &pointer, err);
    if (code == TN_OK)
        code = link_pointer(local, &pointer, err);
    else
        remove_files(batch);
    if (pointer.path)
        (void)unlink(pointer.path);
    release_item(&pointer);
    return code;
}
