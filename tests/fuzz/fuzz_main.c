/* Runs a fuzz target over its corpus where there is no libFuzzer: each file
 * as it is, and for small ones every beginning of it, since readers most often
 * fail where the input ends early. Arguments are files and folders. */
#include "base/base.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CUT_AT_MOST = 2048 };

/* An exact copy on the heap, so that the address sanitizer sees its end. */
static void run_bytes(const char *bytes, size_t size)
{
    uint8_t *copy = tn_malloc(size);
    if (size)
        memcpy(copy, bytes, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static bool run_file(const char *path)
{
    TN_AUTO_BUF bytes = {0};
    struct tn_error err = {0};
    if (tn_file_read(path, (size_t)16 << 20, &bytes, &err) != TN_OK) {
        (void)fprintf(stderr, "%s\n", err.detail);
        return false;
    }
    run_bytes(bytes.data, bytes.len);
    for (size_t cut = 0; cut < TN_MIN(bytes.len, (size_t)CUT_AT_MOST); cut++)
        run_bytes(bytes.data, cut);
    return true;
}

static bool run_folder(const char *path, size_t *count)
{
    DIR *dir = opendir(path);
    if (!dir) {
        (void)fprintf(stderr, "cannot open %s\n", path);
        return false;
    }
    bool good = true;
    const struct dirent *entry;
    while (good && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        TN_AUTO_FREE char *file = tn_asprintf("%s/%s", path, entry->d_name);
        good = run_file(file);
        (*count)++;
    }
    (void)closedir(dir);
    return good;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        struct stat info;
        bool folder = stat(argv[i], &info) == 0 && S_ISDIR(info.st_mode);
        if (!(folder ? run_folder(argv[i], &count) : run_file(argv[i])))
            return 1;
        count += !folder;
    }
    if (count == 0) {
        (void)fprintf(stderr, "no corpus: a target without one tests nothing\n");
        return 1;
    }
    (void)printf("%zu files\n", count);
    return 0;
}
