/* Folders of the local store.
 *
 * A name is durable when the folder it stands in was fsynced after it was
 * made. For an object that is done on every put. For folders it is done on
 * their first use by this process (also when they exist already: a crash may
 * have come between their making and the fsync), and remembered; for the names
 * in them as well. After an fsync of a folder that failed nothing is remembered.
 *
 * Two mutexes: `folders` is held by whoever makes, removes or forgets, for as long
 * as the disk takes; `lock`, only inside of it, for each look at what is remembered or
 * change of it. So a commit, whose folders are known, does not wait for a deletion
 * that tries whether a folder is empty.
 */
#include "base/fs.h"
#include "base/hash.h"
#include "base/str.h"
#include "store/local_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DURABLE_SLOTS = 4096, DURABLE_MOST = 3072 };

/* The slot of `folder`, or the empty one where it would go. */
static char **find_slot(struct local_store *local, const char *folder)
{
    size_t mask = local->durable_size - 1;
    size_t slot = (size_t)tn_hash64(folder, strlen(folder), 0) & mask;
    while (local->durable[slot] && !tn_streq(local->durable[slot], folder))
        slot = (slot + 1) & mask;
    return &local->durable[slot];
}

/* `lock` is held. */
static void clear_all(struct local_store *local)
{
    for (size_t i = 0; i < local->durable_size; i++) {
        free(local->durable[i]);
        local->durable[i] = NULL;
    }
    local->durable_count = 0;
    memset(local->rows, 0, sizeof local->rows);
}

static void forget_all(struct local_store *local)
{
    (void)pthread_mutex_lock(&local->lock);
    clear_all(local);
    (void)pthread_mutex_unlock(&local->lock);
}

/* Behind whoever makes a folder now, since that one may have seen an older state of it. */
void local_forget_folders(struct local_store *local)
{
    (void)pthread_mutex_lock(&local->folders);
    forget_all(local);
    (void)pthread_mutex_unlock(&local->folders);
}

static bool is_durable(struct local_store *local, const char *folder)
{
    (void)pthread_mutex_lock(&local->lock);
    bool durable = local->durable_size > 0 && *find_slot(local, folder) != NULL;
    (void)pthread_mutex_unlock(&local->lock);
    return durable;
}

bool local_knows_folder(struct local_store *local, const char *key)
{
    const char *slash = strrchr(key, '/');
    TN_AUTO_FREE char *folder = tn_strndup(key, slash ? (size_t)(slash - key) : 0);
    return is_durable(local, folder);
}

/* .last is 0 for a key that has no number at its end. */
static struct local_row row_of(const char *key)
{
    const char *slash = strrchr(key, '/'), *digits = slash ? slash + 1 : key;
    size_t length = strlen(digits);
    struct local_row row = {.folder = tn_hash64(key, (size_t)(digits - key), 0)};
    if (length > 0 && length < 19 && strspn(digits, "0123456789") == length)
        row.last = strtoll(digits, NULL, 10);
    return row;
}

bool local_row_follows(struct local_store *local, const char *key)
{
    struct local_row row = row_of(key);
    if (row.last <= 1)
        return true;
    (void)pthread_mutex_lock(&local->lock);
    const struct local_row *known = &local->rows[row.folder % LOCAL_ROWS];
    bool follows = known->folder == row.folder && known->last == row.last - 1;
    (void)pthread_mutex_unlock(&local->lock);
    return follows;
}

void local_row_add(struct local_store *local, const char *key)
{
    struct local_row row = row_of(key);
    (void)pthread_mutex_lock(&local->lock);
    if (row.last > 0)
        local->rows[row.folder % LOCAL_ROWS] = row;
    (void)pthread_mutex_unlock(&local->lock);
}

static void remember(struct local_store *local, const char *folder)
{
    (void)pthread_mutex_lock(&local->lock);
    if (local->durable_size == 0) {
        local->durable = tn_calloc(DURABLE_SLOTS, sizeof *local->durable);
        local->durable_size = DURABLE_SLOTS;
    }
    if (local->durable_count >= DURABLE_MOST)
        clear_all(local); /* costs an fsync each on their next use, no more */
    char **slot = find_slot(local, folder);
    if (!*slot) {
        *slot = tn_strdup(folder);
        local->durable_count++;
    }
    (void)pthread_mutex_unlock(&local->lock);
}

static enum tn_code fail_object_in_the_way(const char *folder, struct tn_error *err)
{
    (void)tn_fail(err, TN_ECONFLICT, "\"%s\" is an object, so nothing can be stored below it", folder);
    tn_error_hint(err, "delete or rename that object, or choose another key");
    return TN_ECONFLICT;
}

/* `folder` is a key; those above it are there. `folders` is held. */
static enum tn_code make_folder(struct local_store *local, const char *folder, bool *ret_new, struct tn_error *err)
{
    TN_AUTO_FREE char *path = local_path_of(local, folder);
    bool made = mkdir(path, 0777) == 0;
    if (!made) {
        int failure = errno;
        struct stat info;
        if (failure == ENOTDIR)
            return fail_object_in_the_way(folder, err);
        if (failure != EEXIST)
            return tn_fail_errno(err, failure, "cannot create folder %s", path);
        if (stat(path, &info) != 0)
            return tn_fail_errno(err, errno, "cannot look at folder %s", path);
        if (!S_ISDIR(info.st_mode))
            return fail_object_in_the_way(folder, err);
    }
    *ret_new = made;
    char *slash = strrchr(path, '/');
    *slash = '\0';
    return local_fsync_folder(local, *path ? path : "/", folder, err);
}

/* Names in `folder` that a process left behind when it died are made durable
 * too, before anything is built on them: else a power failure could take the
 * older of two commits and leave the newer. */
static enum tn_code make_folders(struct local_store *local, char *folder, struct tn_error *err)
{
    bool is_new = false;
    for (char *p = folder;; p++) {
        if (*p && *p != '/')
            continue;
        char stop = *p;
        *p = '\0';
        if (!is_durable(local, folder)) {
            TN_TRY(make_folder(local, folder, &is_new, err));
            if (!stop && !is_new) {
                TN_AUTO_FREE char *path = local_path_of(local, folder);
                TN_TRY(local_fsync_folder(local, path, folder, err));
            }
            remember(local, folder);
        }
        *p = stop;
        if (!stop)
            return TN_OK;
    }
}

enum tn_code local_need_folder(struct local_store *local, const char *key, struct tn_error *err)
{
    const char *slash = strrchr(key, '/');
    if (!slash)
        return TN_OK;
    TN_AUTO_FREE char *folder = tn_strndup(key, (size_t)(slash - key));
    if (is_durable(local, folder))
        return TN_OK;
    (void)pthread_mutex_lock(&local->folders);
    enum tn_code code = make_folders(local, folder, err);
    (void)pthread_mutex_unlock(&local->folders);
    return code;
}

void local_prune_folders(struct local_store *local, const char *key)
{
    TN_AUTO_FREE char *folder = tn_strdup(key);
    bool removed = false;
    (void)pthread_mutex_lock(&local->folders);
    for (char *slash = strrchr(folder, '/'); slash; slash = strrchr(folder, '/')) {
        *slash = '\0';
        TN_AUTO_FREE char *path = local_path_of(local, folder);
        if (rmdir(path) != 0)
            break; /* not empty, or not ours to remove: both are fine */
        removed = true;
    }
    /* Open addressing does not like holes; removals of folders are rare. */
    if (removed)
        forget_all(local);
    (void)pthread_mutex_unlock(&local->folders);
}
