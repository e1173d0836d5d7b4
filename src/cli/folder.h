/* folder.h: the documents in a folder of this machine.
 *
 * Everything below the folder is looked at. Files whose ending is that of a
 * document are found; every other one is told of as skipped, with what to do
 * about it, but for hidden ones, which are counted alone. Links are resolved:
 * one to a file within the folder is that file under another name, one to a
 * folder is skipped (so nothing is walked twice, or forever), and one that
 * leads out of the folder is an error of that file: what a folder holds is
 * sent, and nothing that a link in it points at.
 *
 * Texts are the arena's. Memory: the found, and FOLDER_LISTED names at most
 * of each kind of the others. Threads: one at a time.
 */
#ifndef TARN_CLI_FOLDER_H
#define TARN_CLI_FOLDER_H

#include "base/base.h"

#define FOLDER_LISTED 100

struct folder_file {
    const char *path, *name; /* on this machine; as it is to be kept */
    const char *folder;      /* its path without links; NULL: a file named by itself */
    uint64_t size;
};
/* A file that is not taken. */
struct folder_left {
    const char *path, *detail, *hint;
};
struct folder_lefts {
    struct folder_left *items; /* the first FOLDER_LISTED */
    size_t listed, capacity;
    uint64_t count;
};

struct folder_list {
    struct tn_arena *arena;
    struct folder_file *files;
    size_t count, capacity;
    struct folder_lefts skipped, refused; /* refused: links that lead out */
    uint64_t hidden;                      /* hidden files and folders, uncounted below */
};
void folder_list_release(struct folder_list *list);

bool folder_is_document(const char *name);
void folder_add(struct folder_list *list, const struct folder_file *file);
/* The files of a folder, by name, called from the folder's name on:
 * "reports/2024/a.pdf". A folder that has data files directly in it is one of
 * tables, whatever else lies there: nothing is found and nothing skipped. */
enum tn_code folder_gather(struct folder_list *list, const char *path, struct tn_error *err) TN_CHECKED;
/* Opens it for reading. What was opened is looked at, not its name, so a link
 * that was put there meanwhile is TN_EREFUSED as well. */
enum tn_code folder_open(const struct folder_file *file, int *ret_fd, struct tn_error *err) TN_CHECKED;

#endif
