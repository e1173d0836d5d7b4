/* The simulated disk's system calls, each with its faults. */
#include "base/base.h"
#include "tests/sim/disk_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int fail(int number)
{
    errno = number;
    return -1;
}

/* Before a call that only looks; 0, or the error to return. */
static int before_look(void)
{
    disk.counts.calls++;
    if (disk.dead)
        return EIO;
    if (!dice_one_in(&disk.dice, disk.faults.read_error))
        return 0;
    disk.counts.faults++;
    return EIO;
}

/* Before a call that changes something. *ret_last is set when the disk dies
 * with this call: after it, or before it (then the error comes at once). */
static int before_change(bool *ret_last)
{
    disk.counts.calls++;
    *ret_last = false;
    if (disk.dead)
        return EIO;
    disk.counts.changes++;
    if (disk.changes_left && --disk.changes_left == 0) {
        disk_say("--- the machine stops here");
        if (dice_one_in(&disk.dice, 2)) {
            disk.dead = true;
            return EIO;
        }
        *ret_last = true;
        return 0;
    }
    int number = dice_one_in(&disk.dice, disk.faults.write_error) ? EIO
                 : dice_one_in(&disk.dice, disk.faults.full)      ? ENOSPC
                                                                  : 0;
    disk.counts.faults += number != 0;
    return number;
}

/* After the change: the result, unless the disk died or lies about it. */
static int after_change(bool last, bool may_lie)
{
    if (last) {
        disk.dead = true;
        return fail(EIO);
    }
    if (may_lie && dice_one_in(&disk.dice, disk.faults.late_error)) {
        disk.counts.faults++;
        disk_say("  and reports EIO");
        return fail(EIO);
    }
    return 0;
}

static struct disk_file *file_of(int fd)
{
    size_t at = (size_t)(fd - DISK_FIRST_FD);
    return fd >= DISK_FIRST_FD && at < disk.file_count && disk.files[at].node ? &disk.files[at] : NULL;
}

static int add_file(struct disk_node *node, const char *path, bool writes)
{
    size_t at = 0;
    while (at < disk.file_count && disk.files[at].node)
        at++;
    if (at == disk.file_count) {
        TN_GROW(disk.files, disk.file_count, disk.file_capacity);
        disk.files[disk.file_count++] = (struct disk_file){0};
    }
    free(disk.files[at].path);
    disk.files[at] = (struct disk_file){.node = node, .path = tn_strdup(path), .writes = writes};
    return DISK_FIRST_FD + (int)at;
}

int disk_open(const char *path, int flags)
{
    struct disk_node *folder = NULL;
    const char *name = NULL;
    bool creates = flags & O_CREAT, last = false;
    int number = creates ? before_change(&last) : before_look();
    if (number)
        return fail(number);
    struct disk_node *node = disk_find(path, &folder, &name);
    if (node && creates && (flags & O_EXCL))
        return fail(EEXIST);
    if (!node && (!creates || !folder))
        return fail(errno);
    if (node && (flags & O_DIRECTORY) && !node->folder)
        return fail(ENOTDIR);
    if (!node) {
        node = disk_node_new(false, NULL);
        disk_name(folder, name, node);
        disk_say("create %s", path);
    }
    if (after_change(last, false) != 0)
        return -1;
    return add_file(node, path, (flags & O_ACCMODE) != O_RDONLY);
}

int disk_close(int fd)
{
    struct disk_file *file = file_of(fd);
    if (!file)
        return fail(EBADF);
    file->node = NULL;
    return 0;
}

ssize_t disk_write(int fd, const void *bytes, size_t count)
{
    struct disk_file *file = file_of(fd);
    bool last = false;
    if (!file || !file->writes || file->node->folder)
        return fail(EBADF);
    if (dice_one_in(&disk.dice, disk.faults.interrupted))
        return fail(EINTR);
    int number = before_change(&last);
    struct disk_node *node = file->node;
    size_t taken = count;
    if (number == ENOSPC && count > 1) /* a full disk takes what it has room for */
        taken = 1 + dice_below(&disk.dice, count - 1);
    else if (number)
        return fail(number);
    if (count > 1 && (last || dice_one_in(&disk.dice, disk.faults.short_write)))
        taken = 1 + dice_below(&disk.dice, count - 1);
    if (node->size + taken > node->capacity) {
        node->capacity = TN_MAX(node->capacity * 2, node->size + taken);
        node->bytes = tn_realloc(node->bytes, node->capacity);
    }
    /* Every file here is written from its beginning to its end, once. */
    memcpy(node->bytes + node->size, bytes, taken);
    node->size += taken;
    node->changed_ns = disk_clock_ns();
    disk_say("write %zu of %zu bytes to %s", taken, count, file->path);
    return after_change(last, false) == 0 ? (ssize_t)taken : -1;
}

ssize_t disk_read(int fd, void *out, size_t count, int64_t offset)
{
    struct disk_file *file = file_of(fd);
    if (!file || file->node->folder)
        return fail(file ? EISDIR : EBADF);
    if (dice_one_in(&disk.dice, disk.faults.interrupted))
        return fail(EINTR);
    int number = before_look();
    if (number)
        return fail(number);
    size_t at = offset >= 0 ? (size_t)offset : file->at;
    size_t left = at < file->node->size ? file->node->size - at : 0;
    size_t taken = TN_MIN(left, count);
    if (taken > 1 && dice_one_in(&disk.dice, disk.faults.short_write))
        taken = 1 + dice_below(&disk.dice, taken - 1);
    if (taken)
        memcpy(out, file->node->bytes + at, taken);
    if (offset < 0)
        file->at += taken;
    return (ssize_t)taken;
}

/* The pages are clean afterwards; which of them reached the disk, nobody knows. */
static void lose_pages(struct disk_node *node)
{
    size_t pages = (node->size + DISK_PAGE - 1) / DISK_PAGE;
    if (pages == 0)
        return;
    node->lost = tn_realloc_array(node->lost, pages, sizeof *node->lost);
    for (size_t i = node->lost_count; i < pages; i++)
        node->lost[i] = false;
    node->lost_count = TN_MAX(node->lost_count, pages);
    for (size_t i = node->synced / DISK_PAGE; i < pages; i++)
        node->lost[i] = node->lost[i] || dice_one_in(&disk.dice, 2);
    node->synced = node->size;
}

static bool is_pointer(const struct disk_node *node)
{
    static const char begin[] = "{\"tarn-pointer\"";
    return node->size >= sizeof begin - 1 && memcmp(node->bytes, begin, sizeof begin - 1) == 0;
}

static bool omits(const struct disk_node *node)
{
    switch (disk.omission) {
    case DISK_OMITS_FOLDER_FSYNC:
        return node->folder;
    case DISK_OMITS_FILE_FSYNC:
        return !node->folder;
    case DISK_OMITS_POINTER_FSYNC:
        return !node->folder && is_pointer(node);
    default:
        return false;
    }
}

int disk_fsync(int fd)
{
    struct disk_file *file = file_of(fd);
    bool last = false;
    if (!file)
        return fail(EBADF);
    disk.counts.fsyncs++;
    if (dice_one_in(&disk.dice, disk.faults.interrupted))
        return fail(EINTR);
    int number = before_change(&last);
    if (!number && dice_one_in(&disk.dice, disk.faults.fsync_error)) {
        disk.counts.faults++;
        number = EIO;
    }
    if (number) {
        disk_say("fsync %s fails", file->path);
        if (!file->node->folder && !disk.dead)
            lose_pages(file->node);
        return fail(number);
    }
    disk_say("fsync %s", file->path);
    if (!omits(file->node)) {
        if (file->node->folder)
            disk_folder_synced(file->node);
        else
            file->node->synced = file->node->size;
    }
    return after_change(last, false);
}

static void fill_stat(const struct disk_node *node, struct stat *ret)
{
    *ret = (struct stat){
        .st_dev = DISK_DEVICE,
        .st_ino = node->number,
        .st_mode = node->folder ? S_IFDIR | 0777 : S_IFREG | 0666,
        .st_size = (off_t)node->size,
        .st_nlink = 1,
    };
    ret->st_mtim.tv_sec = node->changed_ns / 1000000000;
    ret->st_mtim.tv_nsec = node->changed_ns % 1000000000;
}

int disk_stat(const char *path, struct stat *ret)
{
    int number = before_look();
    if (number)
        return fail(number);
    const struct disk_node *node = disk_find(path, NULL, NULL);
    if (!node)
        return -1;
    fill_stat(node, ret);
    return 0;
}

int disk_fstat(int fd, struct stat *ret)
{
    const struct disk_file *file = file_of(fd);
    int number = before_look();
    if (!file || number)
        return fail(file ? number : EBADF);
    fill_stat(file->node, ret);
    return 0;
}

int disk_touch(int fd)
{
    struct disk_file *file = file_of(fd);
    int number = before_look();
    if (!file || number)
        return fail(file ? number : EBADF);
    file->node->changed_ns = disk_clock_ns();
    return 0;
}

int disk_link(const char *from, const char *to)
{
    struct disk_node *folder = NULL;
    const char *name = NULL;
    bool last = false;
    int number = before_change(&last);
    if (number || disk.faults.no_links)
        return fail(number ? number : EPERM);
    struct disk_node *node = disk_find(from, NULL, NULL);
    if (!node)
        return -1;
    struct disk_node *there = disk_find(to, &folder, &name);
    if (there && disk.omission != DISK_OMITS_EXCLUSIVE_LINK)
        return fail(EEXIST);
    if (!folder)
        return fail(errno);
    disk_say("link %s as %s", from, to);
    disk_name(folder, name, node);
    return after_change(last, true);
}

int disk_rename(const char *from, const char *to, bool replace)
{
    struct disk_node *old_folder = NULL, *folder = NULL;
    const char *old_name = NULL, *name = NULL;
    bool last = false;
    int number = before_change(&last);
    if (number)
        return fail(number);
    struct disk_node *node = disk_find(from, &old_folder, &old_name);
    if (!node)
        return -1;
    const struct disk_node *there = disk_find(to, &folder, &name);
    if (there && !replace)
        return fail(EEXIST);
    if (there && there->folder)
        return fail(EISDIR);
    if (!folder)
        return fail(errno);
    disk_say("rename %s to %s", from, to);
    disk_name(folder, name, node);
    disk_name(old_folder, old_name, NULL);
    return after_change(last, true);
}

int disk_unlink(const char *path, bool folder)
{
    struct disk_node *parent = NULL;
    const char *name = NULL;
    bool last = false;
    int number = before_change(&last);
    if (number)
        return fail(number == ENOSPC ? EIO : number);
    const struct disk_node *node = disk_find(path, &parent, &name);
    if (!node)
        return -1;
    if (node->folder != folder)
        return fail(folder ? ENOTDIR : EISDIR);
    for (size_t i = 0; folder && i < node->entry_count; i++)
        if (node->entries[i].now)
            return fail(ENOTEMPTY);
    disk_say("%s %s", folder ? "rmdir" : "unlink", path);
    disk_name(parent, name, NULL);
    return after_change(last, false);
}

int disk_mkdir(const char *path)
{
    struct disk_node *parent = NULL;
    const char *name = NULL;
    bool last = false;
    int number = before_change(&last);
    if (number)
        return fail(number);
    if (disk_find(path, &parent, &name))
        return fail(EEXIST);
    if (!parent)
        return fail(errno);
    disk_say("mkdir %s", path);
    disk_name(parent, name, disk_node_new(true, parent));
    return after_change(last, false);
}

char *disk_realpath(const char *path)
{
    int number = before_look();
    if (number || !disk_find(path, NULL, NULL)) {
        errno = number ? number : errno;
        return NULL;
    }
    return tn_strdup(path); /* no links here, and callers pass plain paths */
}

int disk_list(int fd, char ***ret_names, size_t *ret_count)
{
    const struct disk_file *file = file_of(fd);
    int number = before_look();
    if (!file || number)
        return fail(file ? number : EBADF);
    if (!file->node->folder)
        return fail(ENOTDIR);
    const struct disk_node *folder = file->node;
    char **names = tn_calloc(folder->entry_count + 1, sizeof *names);
    size_t count = 0, first = folder->entry_count ? dice_below(&disk.dice, folder->entry_count) : 0;
    for (size_t i = 0; i < folder->entry_count; i++) {
        const struct disk_entry *entry = &folder->entries[(first + i) % folder->entry_count];
        if (entry->now)
            names[count++] = tn_strdup(entry->name);
    }
    *ret_names = names;
    *ret_count = count;
    return 0;
}

char *disk_path_at(int fd, const char *name)
{
    const struct disk_file *file = file_of(fd);
    return tn_asprintf("%s/%s", file ? file->path : DISK_ROOT "/closed", name);
}
