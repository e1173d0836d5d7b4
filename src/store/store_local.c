/* The local store: a folder on this machine. Opening, reading, deleting, and
 * the staging folder; writing is in local_batch.c, folders in local_folders.c,
 * listing in local_list.c. */
#include "base/clock.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/str.h"
#include "store/local_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *local_path_of(const struct local_store *local, const char *key)
{
    return tn_asprintf("%s/%s", local->root, key);
}

char *local_staging_name(const struct local_store *local, const char *suffix)
{
    /* The process id is for the person who looks into the folder. */
    char id[TN_UUID_TEXT];
    return tn_asprintf("%s/%s-%ld%s", local->staging, tn_uuid7(id), (long)getpid(), suffix);
}

enum tn_code local_need_staging(struct local_store *local, struct tn_error *err)
{
    if (mkdir(local->staging, 0777) != 0 && errno != EEXIST)
        return tn_fail_errno(err, errno, "cannot create folder %s", local->staging);
    return TN_OK;
}

int local_injected(const struct local_store *local, enum local_step step, const char *key)
{
    const struct local_fault *fault = &local->fault;
    return fault->error_number && fault->step == step && strstr(key, fault->key_part) ? fault->error_number : 0;
}

/* ERROR[@STEP]:KEYPART; anything else injects nothing and is said so. */
static enum tn_code read_fault(struct local_fault *fault, struct tn_error *err)
{
    static const struct {
        const char *word;
        int number;
    } errors[] = {{"enospc", ENOSPC}, {"eio", EIO}, {"erofs", EROFS}, {"eacces", EACCES}};
    static const char *const steps[] = {"write", "fsync", "rename", "link", "folder", "remove", "look"};
    const char *spec = getenv("TARN_STORE_FAULT");
    if (!spec || !*spec)
        return TN_OK;
    const char *colon = strchr(spec, ':');
    if (!colon || strlen(colon + 1) >= sizeof fault->key_part)
        return tn_fail(err, TN_ECONFIG, "TARN_STORE_FAULT=%.200s is not ERROR[@STEP]:KEYPART", spec);
    TN_AUTO_FREE char *word = tn_strndup(spec, (size_t)(colon - spec));
    char *step = strchr(word, '@');
    if (step)
        *step++ = '\0';
    int number = 0;
    for (size_t i = 0; i < TN_COUNT(errors); i++)
        number = tn_streq(word, errors[i].word) ? errors[i].number : number;
    size_t at = step ? TN_COUNT(steps) : LOCAL_WRITE;
    for (size_t i = 0; step && i < TN_COUNT(steps); i++)
        at = tn_streq(step, steps[i]) ? i : at;
    if (number == 0 || at == TN_COUNT(steps))
        return tn_fail(err, TN_ECONFIG, "TARN_STORE_FAULT=%.200s names an unknown error or step", spec);
    fault->error_number = number;
    fault->step = (enum local_step)at;
    memcpy(fault->key_part, colon + 1, strlen(colon + 1) + 1);
    return TN_OK;
}

enum tn_code local_fsync_folder(struct local_store *local, const char *path, const char *key, struct tn_error *err)
{
    STORE_COUNT(&local->base, fsyncs, 1);
    int injected = local_injected(local, LOCAL_FOLDER, key);
    if (injected)
        return tn_fail_errno(err, injected, "cannot make %s durable", path);
    return tn_fsync_dir(path, err);
}

enum tn_code local_fail_absent(const struct local_store *local, const char *key, struct tn_error *err)
{
    return tn_fail(err, TN_ENOTFOUND, "there is no object \"%s\" in %s/", key, local->root);
}

static enum tn_code fail_open(const struct local_store *local, const char *key, const char *path, int failure,
                              struct tn_error *err)
{
    if (failure == ENOENT || failure == ENOTDIR || failure == EISDIR)
        return local_fail_absent(local, key, err);
    return tn_fail_errno(err, failure, "cannot open %s", path);
}

static void local_close(struct store *store)
{
    struct local_store *local = local_of(store);
    local_trim_free(local);
    local_syncers_free(local);
    local_forget_folders(local);
    free(local->durable);
    (void)pthread_mutex_destroy(&local->folders);
    (void)pthread_mutex_destroy(&local->lock);
    free(local->root);
    free(local->staging);
    free(local);
}

static char *local_uri(struct store *store, struct tn_arena *arena, const char *key)
{
    return tn_arena_printf(arena, "file://%s%s%s", local_of(store)->root, *key ? "/" : "", key);
}

static const char *local_below_root(struct store *store, const char *uri)
{
    static const char *const schemes[] = {"file://localhost/", "file:///", "file:/", "/"};
    const struct local_store *local = local_of(store);
    const char *path = NULL;
    for (size_t i = 0; i < TN_COUNT(schemes) && !path; i++) {
        if (tn_str_starts_with(uri, schemes[i]))
            path = uri + strlen(schemes[i]) - 1; /* with its '/' */
    }
    size_t length = strlen(local->root);
    if (!path || strncmp(path, local->root, length) != 0 || path[length] != '/')
        return NULL;
    return path + length + 1;
}

static enum tn_code local_stage_path(struct store *store, struct tn_arena *arena, const char *suffix, char **ret_path,
                                     struct tn_error *err)
{
    struct local_store *local = local_of(store);
    TN_TRY(local_need_staging(local, err));
    TN_AUTO_FREE char *path = local_staging_name(local, suffix);
    *ret_path = tn_arena_strdup(arena, path);
    return TN_OK;
}

/* Opens an object for reading; a folder is not one. */
static enum tn_code open_object(struct local_store *local, const char *key, int *ret_fd, struct stat *ret_info,
                                struct tn_error *err)
{
    TN_AUTO_FREE char *path = local_path_of(local, key);
    TN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_open(local, key, path, errno, err);
    struct stat info;
    if (fstat(fd, &info) != 0)
        return tn_fail_errno(err, errno, "cannot look at %s", path);
    if (!S_ISREG(info.st_mode))
        return local_fail_absent(local, key, err);
    *ret_fd = fd;
    *ret_info = info;
    fd = -1;
    return TN_OK;
}

static enum tn_code local_get(struct store *store, const char *key, size_t max_bytes, struct tn_buf *ret,
                              struct tn_error *err)
{
    struct local_store *local = local_of(store);
    TN_AUTO_CLOSE int fd = -1;
    struct stat info;
    TN_TRY(open_object(local, key, &fd, &info, err));
    if ((uint64_t)info.st_size > max_bytes)
        return tn_fail(err, TN_ETOOLARGE, "object \"%s\" has %lld bytes; at most %zu are expected here", key,
                       (long long)info.st_size, max_bytes);
    /* Objects do not change once they are there, so the size holds. */
    size_t size = (size_t)info.st_size;
    char *at = tn_buf_reserve(ret, size);
    enum tn_code code = tn_pread_all(fd, at, size, 0, key, err);
    if (code == TN_OK)
        ret->len += size;
    ret->data[ret->len] = '\0';
    return code;
}

static enum tn_code local_read(struct store *store, const char *key, uint64_t offset, size_t count, void *out,
                               struct tn_error *err)
{
    TN_AUTO_CLOSE int fd = -1;
    struct stat info;
    TN_TRY(open_object(local_of(store), key, &fd, &info, err));
    return tn_pread_all(fd, out, count, offset, key, err);
}

static enum tn_code local_head(struct store *store, const char *key, uint64_t *ret_size, struct tn_error *err)
{
    struct local_store *local = local_of(store);
    TN_AUTO_FREE char *path = local_path_of(local, key);
    struct stat info;
    int failure = local_injected(local, LOCAL_LOOK, key);
    if (failure == 0 && stat(path, &info) != 0)
        failure = errno;
    if (failure != 0)
        return fail_open(local, key, path, failure, err);
    if (!S_ISREG(info.st_mode))
        return local_fail_absent(local, key, err);
    *ret_size = (uint64_t)info.st_size;
    return TN_OK;
}

static enum tn_code local_local_path(struct store *store, struct tn_arena *arena, const char *key, char **ret_path,
                                     struct tn_error *err)
{
    uint64_t size;
    TN_TRY(local_head(store, key, &size, err));
    TN_AUTO_FREE char *path = local_path_of(local_of(store), key);
    *ret_path = tn_arena_strdup(arena, path);
    return TN_OK;
}

static enum tn_code unlink_at(struct local_store *local, const char *key, bool *ret_gone, struct tn_error *err)
{
    TN_AUTO_FREE char *path = local_path_of(local, key);
    struct stat info;
    int failure = local_injected(local, LOCAL_REMOVE, key);
    if (failure == 0 && unlink(path) != 0)
        failure = errno;
    *ret_gone = failure == 0;
    if (failure == 0 || failure == ENOENT || failure == ENOTDIR || failure == EISDIR)
        return TN_OK;
    /* POSIX lets unlink of a folder fail with EPERM. */
    if (failure == EPERM && lstat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return TN_OK;
    return tn_fail_errno(err, failure, "cannot delete %s", path);
}

enum tn_code local_unlink(struct local_store *local, const char *key, struct tn_error *err)
{
    bool gone = false;
    return unlink_at(local, key, &gone, err);
}

enum tn_code local_remove(struct store *store, const char *key, struct tn_error *err)
{
    struct local_store *local = local_of(store);
    bool gone = false;
    local_hint_drop(local, key); /* else it would be back */
    TN_TRY(unlink_at(local, key, &gone, err));
    if (gone)
        local_prune_folders(local, key);
    return TN_OK;
}

static enum tn_code local_sync_folder(struct store *store, const char *key, struct tn_error *err)
{
    struct local_store *local = local_of(store);
    TN_AUTO_FREE char *path = local_path_of(local, key);
    enum tn_code code = local_fsync_folder(local, path, key, err);
    if (code == TN_ENOTFOUND)
        return TN_OK;
    if (code != TN_OK)
        local_forget_folders(local);
    return code;
}

static bool is_older(int folder_fd, const char *name, uint64_t older_than_ms)
{
    struct stat info;
    if (older_than_ms == 0)
        return true;
    if (fstatat(folder_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    int64_t written = (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
    int64_t age = tn_now_ms() - written;
    return age > 0 && (uint64_t)age > older_than_ms;
}

static enum tn_code local_clean_staging(struct store *store, uint64_t older_than_ms, uint64_t *ret_removed,
                                        struct tn_error *err)
{
    const struct local_store *local = local_of(store);
    DIR *dir = opendir(local->staging);
    if (!dir && errno != ENOENT)
        return tn_fail_errno(err, errno, "cannot read folder %s", local->staging);
    uint64_t removed = 0;
    enum tn_code code = TN_OK;
    const struct dirent *entry;
    while (dir && code == TN_OK && (entry = readdir(dir))) {
        if (tn_streq(entry->d_name, ".") || tn_streq(entry->d_name, "..") ||
            !is_older(dirfd(dir), entry->d_name, older_than_ms))
            continue;
        /* The engine may have staged a folder of files. */
        TN_AUTO_FREE char *path = tn_asprintf("%s/%s", local->staging, entry->d_name);
        code = tn_remove_tree(path, err);
        removed += code == TN_OK;
    }
    if (dir)
        (void)closedir(dir);
    if (code == TN_OK)
        *ret_removed = removed;
    return code;
}

static const struct store_ops local_ops = {
    .close = local_close,
    .sync_threads = local_sync_threads,
    .uri = local_uri,
    .below_root = local_below_root,
    .put_file = local_put_file,
    .stage_path = local_stage_path,
    .get = local_get,
    .read = local_read,
    .head = local_head,
    .local_path = local_local_path,
    .list = local_list,
    .list_folders = local_list_folders,
    .remove = local_remove,
    .remove_soon = local_remove_soon,
    .trim_soon = local_trim_soon,
    .trim_stop = local_trim_stop,
    .hint_soon = local_hint_soon,
    .sync_folder = local_sync_folder,
    .clean_staging = local_clean_staging,
    .batch_new = local_batch_new,
    .batch_put = local_batch_put,
    .batch_put_file = local_batch_put_file,
    .batch_finish = local_batch_finish,
    .batch_free = local_batch_free,
};

static enum tn_code need_root(const char *root, struct tn_error *err)
{
    struct stat info;
    if (stat(root, &info) != 0)
        return tn_mkdirs(root, 0777, err);
    if (!S_ISDIR(info.st_mode))
        return tn_fail_errno(err, ENOTDIR, "cannot open %s as a store", root);
    return TN_OK;
}

/* fsync of a folder that may be somebody else's, or cannot change. */
static enum tn_code sync_outer_folder(const char *path, struct tn_error *err)
{
    TN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && (errno == EACCES || errno == EPERM))
        return TN_OK;
    if (fd < 0)
        return tn_fail_errno(err, errno, "cannot open folder %s", path);
    while (fsync(fd) != 0) {
        if (errno == EROFS || errno == EINVAL)
            return TN_OK;
        if (errno != EINTR)
            return tn_fail_errno(err, errno, "cannot make %s durable", path);
    }
    return TN_OK;
}

/* The root's own name must be on disk before anything in it is promised, and
 * so must those of the folders above, up to the mount. That they are there
 * does not say so: whoever made them may have died before the fsync. */
static enum tn_code sync_root_name(const char *root, uint64_t device, struct tn_error *err)
{
    TN_AUTO_FREE char *folder = tn_strdup(root);
    for (char *slash = strrchr(folder, '/'); slash && *folder; slash = strrchr(folder, '/')) {
        struct stat info;
        *slash = '\0';
        const char *path = *folder ? folder : "/";
        if (stat(path, &info) != 0 || (uint64_t)info.st_dev != device)
            break;
        TN_TRY(sync_outer_folder(path, err));
    }
    return TN_OK;
}

enum tn_code store_open_local(const char *root, struct store **ret, struct tn_error *err)
{
    struct local_fault fault = {0};
    TN_TRY(read_fault(&fault, err));
    TN_TRY(need_root(root, err));
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    char *real = NULL;
    TN_TRY(tn_path_real(arena, root, &real, err));
    struct stat info;
    if (stat(real, &info) != 0)
        return tn_fail_errno(err, errno, "cannot look at %s", real);
    TN_TRY(sync_root_name(real, (uint64_t)info.st_dev, err));
    struct local_store *local = tn_calloc(1, sizeof *local);
    local->base.ops = &local_ops;
    local->root = tn_strdup(tn_streq(real, "/") ? "" : real);
    local->staging = tn_asprintf("%s/" STORE_STAGING, local->root);
    local->device = (uint64_t)info.st_dev;
    local->fault = fault;
    (void)pthread_mutex_init(&local->folders, NULL);
    (void)pthread_mutex_init(&local->lock, NULL);
    *ret = &local->base;
    return TN_OK;
}
