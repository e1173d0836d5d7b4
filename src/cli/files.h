/* cli: the files that a command line names. */
#ifndef TARN_CLI_FILES_H
#define TARN_CLI_FILES_H

#include "base/base.h"

struct file_source {
    int fd;           /* standard input's is never closed */
    const char *path; /* as given */
    const char *name; /* without folders; "stdin" */
    int64_t size;     /* -1 when not known */
};
#define FILE_SOURCE_NONE                                                                                             \
    {                                                                                                                \
        .fd = -1                                                                                                     \
    }

/* "-" is standard input. Texts are borrowed from `path`. */
enum tn_code file_open(const char *path, struct file_source *ret, struct tn_error *err) TN_CHECKED;
void file_close(struct file_source *file);

struct file_list {
    const char **paths;
    size_t count;
};
/* Files as they are; a folder becomes the data files in it, by name. Memory is
 * the arena's. TN_EUSAGE when a folder holds none. */
enum tn_code files_expand(struct tn_arena *arena, const char *const *words, size_t count, struct file_list *ret,
                          struct tn_error *err) TN_CHECKED;
/* Whether a word behind the files names a dataset: it is no path, no file, and
 * has the form of a name. */
bool files_is_dataset(const char *word);

#endif
