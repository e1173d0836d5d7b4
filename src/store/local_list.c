/* Listing of the local store, in byte order of the whole keys.
 *
 * A folder sorts as its name with '/' behind it, so "a-b" comes before "a/x"
 * as it does in S3. One folder's names per level are held in memory, and no
 * folder stays open while the callback runs.
 */
#include "base/str.h"
#include "store/local_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct listing {
    struct local_store *local;
    store_list_fn *callback;
    void *context;
    struct tn_buf key; /* the folder so far: "" or "a/b/" */
};

struct names {
    struct tn_arena *arena;
    char **items; /* folders end in '/' */
    size_t count, capacity;
};

static void release_names(struct names *names)
{
    tn_arena_free(names->arena);
    free(names->items);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum kind { KIND_OTHER, KIND_FILE, KIND_FOLDER };

/* Regular files and folders; a symbolic link counts when it leads to a file.
 * A name that cannot be looked at is an error: left out, it would be taken for
 * one that is not there. */
static enum tn_code entry_kind(int folder_fd, const struct dirent *entry, const char *folder, enum kind *ret,
                               struct tn_error *err)
{
    *ret = KIND_OTHER;
    if (entry->d_type == DT_DIR || entry->d_type == DT_REG) {
        *ret = entry->d_type == DT_DIR ? KIND_FOLDER : KIND_FILE;
        return TN_OK;
    }
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
        return TN_OK;
    struct stat info;
    int failure = fstatat(folder_fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
    bool link = !failure && S_ISLNK(info.st_mode);
    if (link && fstatat(folder_fd, entry->d_name, &info, 0) != 0)
        return TN_OK; /* it leads nowhere */
    if (failure == ENOENT)
        return TN_OK;
    if (failure)
        return tn_fail_errno(err, failure, "cannot look at %s/%s", folder, entry->d_name);
    if (S_ISREG(info.st_mode))
        *ret = KIND_FILE;
    else if (S_ISDIR(info.st_mode) && !link)
        *ret = KIND_FOLDER;
    return TN_OK;
}

/* What could not have been put through a store is not shown either. */
static bool is_ours(const struct listing *listing, const char *name)
{
    if (listing->key.len + strlen(name) > STORE_MAX_KEY)
        return false;
    TN_AUTO_FREE char *key = tn_asprintf("%s%s", listing->key.data ? listing->key.data : "", name);
    return store_check_key(key, NULL) == TN_OK;
}

static enum tn_code read_names(struct listing *listing, const char *path, const char *begin, struct names *names,
                               struct tn_error *err)
{
    DIR *dir = opendir(path);
    if (!dir) {
        if (errno == ENOENT || errno == ENOTDIR)
            return TN_OK;
        return tn_fail_errno(err, errno, "cannot read folder %s", path);
    }
    enum tn_code code = TN_OK;
    size_t begin_length = strlen(begin);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            if (errno)
                code = tn_fail_errno(err, errno, "cannot read folder %s", path);
            break;
        }
        enum kind kind = KIND_OTHER;
        if (strncmp(entry->d_name, begin, begin_length) != 0 || !is_ours(listing, entry->d_name))
            continue;
        code = entry_kind(dirfd(dir), entry, path, &kind, err);
        if (code != TN_OK)
            break;
        if (kind == KIND_OTHER)
            continue;
        TN_GROW(names->items, names->count, names->capacity);
        names->items[names->count++] =
            tn_arena_printf(names->arena, "%s%s", entry->d_name, kind == KIND_FOLDER ? "/" : "");
    }
    (void)closedir(dir);
    if (names->count)
        qsort(names->items, names->count, sizeof *names->items, by_bytes);
    return code;
}

static enum tn_code show(struct listing *listing, struct tn_error *err)
{
    TN_AUTO_FREE char *path = local_path_of(listing->local, listing->key.data);
    struct stat info;
    if (stat(path, &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return TN_OK; /* gone since the folder was read */
        return tn_fail_errno(err, errno, "cannot look at %s", path);
    }
    struct store_object object = {
        .key = listing->key.data,
        .size = (uint64_t)info.st_size,
        .modified_ms = (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000,
    };
    return listing->callback(listing->context, &object, err);
}

/* Lists the folder in listing->key, names beginning with `begin` only. */
static enum tn_code list_folder(struct listing *listing, const char *begin, struct tn_error *err)
{
    TN_CLEANUP(release_names) struct names names = {.arena = tn_arena_new()};
    TN_AUTO_FREE char *path = local_path_of(listing->local, listing->key.data ? listing->key.data : "");
    TN_TRY(read_names(listing, path, begin, &names, err));
    size_t outer = listing->key.len;
    for (size_t i = 0; i < names.count; i++) {
        tn_buf_puts(&listing->key, names.items[i]);
        if (tn_str_ends_with(names.items[i], "/"))
            TN_TRY(list_folder(listing, "", err));
        else
            TN_TRY(show(listing, err));
        listing->key.len = outer;
        listing->key.data[outer] = '\0';
    }
    return TN_OK;
}

static void release_listing(struct listing *listing)
{
    tn_buf_release(&listing->key);
}

enum tn_code local_list(struct store *store, const char *prefix, store_list_fn *callback, void *context,
                        struct tn_error *err)
{
    TN_CLEANUP(release_listing)
    struct listing listing = {.local = local_of(store), .callback = callback, .context = context};
    const char *slash = strrchr(prefix, '/');
    const char *begin = slash ? slash + 1 : prefix;
    tn_buf_append(&listing.key, prefix, (size_t)(begin - prefix));
    return list_folder(&listing, begin, err);
}

enum tn_code local_list_folders(struct store *store, const char *key, store_folder_fn *callback, void *context,
                                struct tn_error *err)
{
    TN_CLEANUP(release_listing) struct listing listing = {.local = local_of(store)};
    TN_CLEANUP(release_names) struct names names = {.arena = tn_arena_new()};
    TN_AUTO_FREE char *path = local_path_of(listing.local, key);
    if (*key)
        tn_buf_printf(&listing.key, "%s/", key);
    TN_TRY(read_names(&listing, path, "", &names, err));
    for (size_t i = 0; i < names.count; i++) {
        size_t length = strlen(names.items[i]);
        if (names.items[i][length - 1] != '/')
            continue;
        names.items[i][length - 1] = '\0';
        if (!callback(context, names.items[i]))
            break;
    }
    return TN_OK;
}
