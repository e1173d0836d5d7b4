/* The files that a command line names (see files.h). */
#include "cli/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

enum tn_code file_open(const char *path, struct file_source *ret, struct tn_error *err)
{
    bool standard = tn_streq(path, "-");
    TN_AUTO_CLOSE int opened = standard ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (!standard && opened < 0)
        return tn_fail_errno(err, errno, "%s", path);
    int fd = standard ? STDIN_FILENO : opened;
    struct stat info;
    if (fstat(fd, &info) != 0)
        return tn_fail_errno(err, errno, "%s", path);
    if (S_ISDIR(info.st_mode))
        return tn_fail(err, TN_EUSAGE, "%s is a folder", path);
    off_t at = S_ISREG(info.st_mode) ? lseek(fd, 0, SEEK_CUR) : 0; /* standard input may have been read from */
    *ret = (struct file_source){
        .fd = fd,
        .path = path,
        .name = standard ? "stdin" : base_name(path),
        .size = S_ISREG(info.st_mode) && at >= 0 && at <= info.st_size ? (int64_t)(info.st_size - at) : -1,
    };
    opened = -1;
    return TN_OK;
}

void file_close(struct file_source *file)
{
    if (file->fd > STDERR_FILENO)
        (void)close(file->fd);
    file->fd = -1;
}

static bool is_data_file(const char *name)
{
    static const char *const endings[] = {".csv", ".tsv", ".json", ".ndjson", ".jsonl", ".parquet"};
    size_t length = strlen(name);
    if (name[0] == '.')
        return false;
    length -= tn_str_ends_with(name, ".gz") ? 3 : tn_str_ends_with(name, ".zst") ? 4 : 0;
    TN_AUTO_FREE char *plain = tn_strndup(name, length);
    for (char *p = plain; *p; p++)
        *p = tn_ascii_lower(*p);
    for (size_t i = 0; i < TN_COUNT(endings); i++)
        if (tn_str_ends_with(plain, endings[i]))
            return true;
    return false;
}

static void close_folder(DIR **folder)
{
    if (*folder)
        (void)closedir(*folder);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct gathered {
    const char **paths;
    size_t count, capacity;
};

static enum tn_code expand_folder(struct tn_arena *arena, const char *path, struct gathered *all,
                                  struct tn_error *err)
{
    TN_CLEANUP(close_folder) DIR *folder = opendir(path);
    if (!folder)
        return tn_fail_errno(err, errno, "%s", path);
    size_t before = all->count;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        if (!is_data_file(entry->d_name))
            continue;
        TN_GROW(all->paths, all->count, all->capacity);
        all->paths[all->count++] = tn_path_join(arena, path, entry->d_name);
    }
    if (all->count == before) {
        enum tn_code code = tn_fail(err, TN_EUSAGE, "the folder %s holds no data files", path);
        tn_error_hint(err, "data files end in .csv .tsv .json .ndjson .jsonl .parquet, also with .gz or .zst");
        return code;
    }
    qsort(all->paths + before, all->count - before, sizeof *all->paths, by_text);
    return TN_OK;
}

static enum tn_code expand(struct tn_arena *arena, const char *const *words, size_t count, struct gathered *all,
                           struct tn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct stat info;
        if (!tn_streq(words[i], "-") && stat(words[i], &info) == 0 && S_ISDIR(info.st_mode)) {
            TN_TRY(expand_folder(arena, words[i], all, err));
            continue;
        }
        TN_GROW(all->paths, all->count, all->capacity);
        all->paths[all->count++] = words[i];
    }
    return TN_OK;
}

enum tn_code files_expand(struct tn_arena *arena, const char *const *words, size_t count, struct file_list *ret,
                          struct tn_error *err)
{
    struct gathered all = {0};
    enum tn_code code = expand(arena, words, count, &all, err);
    if (code == TN_OK) {
        ret->paths = TN_ARENA_ARRAY(arena, const char *, all.count + 1);
        ret->count = all.count;
        for (size_t i = 0; i < all.count; i++)
            ret->paths[i] = all.paths[i];
    }
    free(all.paths);
    return code;
}

bool files_is_dataset(const char *word)
{
    struct stat info;
    if (word[0] == '\0' || strpbrk(word, "/.") || tn_streq(word, "-"))
        return false;
    return stat(word, &info) != 0;
}
