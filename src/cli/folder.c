/* The documents in a folder (see folder.h). */
#include "cli/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 64
#define LINK_OUT  "it is a link that leads out of the folder"

/* One folder that was named, while it is walked. */
struct walk {
    struct folder_list *list;
    const char *root; /* its path without links */
    bool tables;      /* data files lie directly in it */
};

/* ---- what a name says -------------------------------------------------------------------- */

bool folder_is_document(const char *name)
{
    static const char *const endings[] = {".pdf", ".docx", ".html", ".htm", ".xhtml", ".md",  ".markdown",
                                          ".txt", ".text", ".eml",  ".zip", ".png",   ".jpg", ".jpeg",
                                          ".tif", ".tiff", ".gif",  ".bmp", ".webp",  NULL};
    return tn_name_has_ending(name, endings);
}

static bool is_table(const char *name)
{
    static const char *const endings[] = {".csv",      ".tsv",     ".json",     ".ndjson",  ".jsonl",
                                          ".parquet",  ".csv.gz",  ".tsv.gz",   ".json.gz", ".ndjson.gz",
                                          ".jsonl.gz", ".csv.zst", ".json.zst", NULL};
    return tn_name_has_ending(name, endings);
}

static struct folder_left left_for_its_kind(struct tn_arena *arena, const char *path, const char *name)
{
    static const char *const sheets[] = {".xlsx", ".xls", ".xlsm", ".ods", NULL};
    static const char *const office[] = {".doc", ".odt", ".rtf", ".pptx", ".ppt", ".odp", ".epub", ".pages", NULL};
    if (is_table(name))
        return (struct folder_left){path, "a file of a table, not a document",
                                    tn_arena_printf(arena, "`tarn ingest %s` brings it in", path)};
    if (tn_name_has_ending(name, sheets))
        return (struct folder_left){path, "a spreadsheet",
                                    "save its sheets as CSV and bring each in with `tarn ingest FILE.csv`"};
    if (tn_name_has_ending(name, office))
        return (struct folder_left){path, "a kind of document that is not read", "save it as PDF or DOCX"};
    return (struct folder_left){path, "its ending is that of no document",
                                tn_arena_printf(arena,
                                                "a table: `tarn ingest %s`; a text: give it the ending .txt or .md; "
                                                "else save it as PDF",
                                                path)};
}

/* ---- the lists ----------------------------------------------------------------------------- */

void folder_list_release(struct folder_list *list)
{
    free(list->files);
    free(list->skipped.items);
    free(list->refused.items);
}

void folder_add(struct folder_list *list, const struct folder_file *file)
{
    TN_GROW(list->files, list->count, list->capacity);
    list->files[list->count++] = *file;
}

/* Names of files may be any bytes; what is told of them is text. */
static const char *as_text(struct tn_arena *arena, const char *bytes)
{
    size_t length = strlen(bytes);
    char *text = tn_arena_strdup(arena, bytes);
    for (size_t at = 0; (at += tn_utf8_valid_prefix(text + at, length - at)) < length; at++)
        text[at] = '?';
    return text;
}

static void leave(struct folder_list *list, struct folder_lefts *lefts, struct folder_left left)
{
    lefts->count++;
    if (lefts->listed == FOLDER_LISTED)
        return;
    left.path = as_text(list->arena, left.path);
    left.hint = as_text(list->arena, left.hint);
    TN_GROW(lefts->items, lefts->listed, lefts->capacity);
    lefts->items[lefts->listed++] = left;
}

static void skip(struct folder_list *list, const char *path, const char *detail, const char *hint)
{
    leave(list, &list->skipped, (struct folder_left){path, detail, hint});
}

/* ---- the walk -------------------------------------------------------------------------------- */

static bool is_below(const char *root, const char *path)
{
    size_t length = strlen(root);
    if (tn_streq(root, "/"))
        return path[0] == '/';
    return strncmp(root, path, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* Whether a link is a file to be read; if not, it is told of. */
static bool follow(struct walk *walk, const char *path, struct stat *ret_info)
{
    struct folder_list *list = walk->list;
    char *real;
    if (tn_path_real(list->arena, path, &real, NULL) != TN_OK || stat(real, ret_info) != 0) {
        skip(list, path, "a link to nothing that can be read", "remove it, or point it at a file in the folder");
        return false;
    }
    if (!is_below(walk->root, real)) {
        leave(list, &list->refused,
              (struct folder_left){path, LINK_OUT,
                                   "copy what it points at into the folder, or name "
                                   "that file to `tarn ingest`"});
        return false;
    }
    if (S_ISDIR(ret_info->st_mode)) {
        skip(list, path, "a link to a folder", "what lies there is read where it lies");
        return false;
    }
    return true;
}

/* One that is not is told of, and keeps no other out. */
static bool may_read(struct folder_list *list, const char *path, const char *name)
{
    struct folder_left left = {path, "its name is not valid UTF-8", "give it another name, in UTF-8"};
    if (tn_utf8_valid_prefix(name, strlen(name)) == strlen(name)) {
        if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0)
            return true;
        left.detail = "the file may not be read";
        left.hint = "let the user who calls tarn read it";
    }
    leave(list, &list->refused, left);
    return false;
}

static enum tn_code walk_folder(struct walk *walk, const char *path, const char *name, unsigned depth,
                                struct tn_error *err);

static enum tn_code take_entry(struct walk *walk, const char *path, const char *name, const char *base,
                               unsigned depth, struct tn_error *err)
{
    struct folder_list *list = walk->list;
    struct stat info;
    if (lstat(path, &info) != 0)
        return TN_OK; /* removed meanwhile */
    if (S_ISDIR(info.st_mode))
        return walk_folder(walk, path, name, depth + 1, err);
    if (S_ISLNK(info.st_mode) && !follow(walk, path, &info))
        return TN_OK;
    if (!S_ISREG(info.st_mode))
        skip(list, path, "no regular file", "a pipe or a device is not read");
    else if (folder_is_document(base) && may_read(list, path, name))
        folder_add(list, &(struct folder_file){path, name, walk->root, (uint64_t)info.st_size});
    else if (!folder_is_document(base))
        leave(list, &list->skipped, left_for_its_kind(list->arena, path, base));
    walk->tables |= depth == 0 && S_ISREG(info.st_mode) && is_table(base);
    return TN_OK;
}

static void close_folder(DIR **folder)
{
    if (*folder)
        (void)closedir(*folder);
}

/* Below the first folder, none that became a link meanwhile is entered. */
static DIR *open_folder(const char *path, unsigned depth)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (depth ? O_NOFOLLOW : 0));
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder && fd >= 0)
        (void)close(fd);
    return folder;
}

static enum tn_code walk_folder(struct walk *walk, const char *path, const char *name, unsigned depth,
                                struct tn_error *err)
{
    struct folder_list *list = walk->list;
    if (depth >= DEPTH_MAX) {
        skip(list, path, "a folder too deep below the first", "name it to `tarn ingest` by itself");
        return TN_OK;
    }
    TN_CLEANUP(close_folder) DIR *folder = open_folder(path, depth);
    if (!folder && depth == 0)
        return tn_fail_errno(err, errno, "%s", path);
    if (!folder) {
        leave(list, &list->refused,
              (struct folder_left){path, "the folder cannot be opened", "let the user who calls tarn read it"});
        return TN_OK;
    }
    for (const struct dirent *entry; (entry = readdir(folder));) {
        const char *base = entry->d_name;
        if (base[0] == '.') {
            list->hidden += !tn_streq(base, ".") && !tn_streq(base, "..");
            continue;
        }
        TN_TRY(take_entry(walk, tn_path_join(list->arena, path, base), tn_path_join(list->arena, name, base), base,
                          depth, err));
    }
    return TN_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct folder_file *)a)->name, ((const struct folder_file *)b)->name);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct folder_left *)a)->path, ((const struct folder_left *)b)->path);
}

static void sort_lefts(struct folder_lefts *lefts, size_t first)
{
    if (lefts->listed > first)
        qsort(lefts->items + first, lefts->listed - first, sizeof *lefts->items, by_path);
}

enum tn_code folder_gather(struct folder_list *list, const char *path, struct tn_error *err)
{
    struct folder_list before = *list;
    char *real;
    TN_TRY(tn_path_real(list->arena, path, &real, err));
    const char *slash = strrchr(real, '/');
    struct walk walk = {.list = list, .root = real};
    TN_TRY(walk_folder(&walk, path, slash ? slash + 1 : real, 0, err));
    if (walk.tables) {
        list->count = before.count;
        list->hidden = before.hidden;
        list->skipped.listed = before.skipped.listed;
        list->skipped.count = before.skipped.count;
        list->refused.listed = before.refused.listed;
        list->refused.count = before.refused.count;
        return TN_OK;
    }
    if (list->count > before.count)
        qsort(list->files + before.count, list->count - before.count, sizeof *list->files, by_name);
    sort_lefts(&list->skipped, before.skipped.listed);
    sort_lefts(&list->refused, before.refused.listed);
    return TN_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* By the name that the system knows what is open under. */
static enum tn_code check_below(const struct folder_file *file, int fd, struct tn_error *err)
{
    char link[40], real[PATH_MAX];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, real, sizeof real - 1);
    if (length < 0)
        return tn_fail_errno(err, errno, "%s", link);
    real[length] = '\0';
    return is_below(file->folder, real) ? TN_OK : tn_fail(err, TN_EREFUSED, "%s: " LINK_OUT, file->path);
}

enum tn_code folder_open(const struct folder_file *file, int *ret_fd, struct tn_error *err)
{
    /* Not waiting: a pipe may stand there by now. */
    TN_AUTO_CLOSE int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (file->folder ? O_NONBLOCK : 0));
    if (fd < 0)
        return tn_fail_errno(err, errno, "%s", file->path);
    if (file->folder)
        TN_TRY(check_below(file, fd, err));
    *ret_fd = fd;
    fd = -1;
    return TN_OK;
}
