/* Files: whole reads and writes, durability, locks. */
#ifndef TARN_BASE_FS_H
#define TARN_BASE_FS_H

#include "base/buf.h"

#include <sys/types.h>

/* All `count` bytes, retrying short transfers and EINTR. `path` is for the
 * error text. A file that ends early is TN_ECORRUPT. */
enum tn_code tn_write_all(int fd, const void *bytes, size_t count, const char *path, struct tn_error *err) TN_CHECKED;
enum tn_code tn_pread_all(int fd, void *out, size_t count, uint64_t offset, const char *path,
                          struct tn_error *err) TN_CHECKED;

/* The whole file appended to `ret`; TN_ETOOLARGE beyond max_bytes. */
enum tn_code tn_file_read(const char *path, size_t max_bytes, struct tn_buf *ret, struct tn_error *err) TN_CHECKED;
/* Replaces the file atomically (temporary name, fsync, rename, fsync of the
 * folder) with the given mode. */
enum tn_code tn_file_replace(const char *path, const void *bytes, size_t count, mode_t mode,
                             struct tn_error *err) TN_CHECKED;

enum tn_code tn_mkdirs(const char *path, mode_t mode, struct tn_error *err) TN_CHECKED;
enum tn_code tn_fsync_fd(int fd, const char *path, struct tn_error *err) TN_CHECKED;
enum tn_code tn_fsync_dir(const char *path, struct tn_error *err) TN_CHECKED;
/* Removes a tree; a missing one is fine. Does not follow symbolic links. */
enum tn_code tn_remove_tree(const char *path, struct tn_error *err) TN_CHECKED;

/* "a/b" from "a" and "b"; the arena's. */
char *tn_path_join(struct tn_arena *arena, const char *folder, const char *name) __attribute__((returns_nonnull));
/* Absolute, without symbolic links; the path must exist. */
enum tn_code tn_path_real(struct tn_arena *arena, const char *path, char **ret, struct tn_error *err) TN_CHECKED;

/* An exclusive lock on a file that lasts as long as the descriptor (closed by
 * the system when the process dies). TN_ELOCKED when somebody holds it;
 * *ret_holder is then the file's text (who), the arena's. */
enum tn_code tn_lock_file(const char *path, const char *who, struct tn_arena *arena, int *ret_fd, char **ret_holder,
                          struct tn_error *err) TN_CHECKED;

#endif
