/* Files of scans, kept until they were read (see scans.h). */
#include "ingest/scans.h"

#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)256 << 10)

static const char *key_of(struct tn_arena *arena, const char *dataset, const char *doc_id)
{
    return tn_arena_printf(arena, "scans/%s/%s", dataset, doc_id);
}

static enum tn_code copy_bytes(int from, uint64_t size, int to, const char *path, struct tn_error *err)
{
    TN_AUTO_FREE char *piece = tn_malloc(PIECE);
    for (uint64_t at = 0; at < size;) {
        size_t count = (size_t)TN_MIN(size - at, (uint64_t)PIECE);
        TN_TRY(tn_pread_all(from, piece, count, at, path, err));
        TN_TRY(tn_write_all(to, piece, count, path, err));
        at += count;
    }
    return TN_OK;
}

enum tn_code scans_keep(struct lake *lake, const char *dataset, const char *doc_id, int fd, uint64_t size,
                        struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    char *path;
    TN_TRY(store_stage_path(lake->store, arena, ".scan", &path, err));
    TN_AUTO_CLOSE int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        return tn_fail_errno(err, errno, "%s", path);
    enum tn_code code = copy_bytes(fd, size, out, path, err);
    if (code == TN_OK)
        code = store_put_file(lake->store, key_of(arena, dataset, doc_id), path, err);
    if (code != TN_OK)
        (void)unlink(path);
    return code;
}

enum tn_code scans_has(struct lake *lake, const char *dataset, const char *doc_id, bool *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    return store_exists(lake->store, key_of(arena, dataset, doc_id), ret, err);
}

enum tn_code scans_drop(struct lake *lake, const char *dataset, const char *doc_id, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    return store_delete(lake->store, key_of(arena, dataset, doc_id), err);
}

static enum tn_code refuse(const char *why, struct tn_error *err)
{
    (void)tn_fail(err, TN_ENOTFOUND, "%s", why);
    tn_error_hint(err, "ingest the file again, with documents.ocr: auto or manual in tarn.yaml");
    return TN_ENOTFOUND;
}

static int open_kept(struct lake *lake, const char *dataset, const char *doc_id)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    char *path;
    if (store_local_path(lake->store, arena, key_of(arena, dataset, doc_id), &path, NULL) != TN_OK)
        return -1;
    return open(path, O_RDONLY | O_CLOEXEC);
}

static enum tn_code hash_file(int fd, char out[TN_HASH_HEX], struct tn_error *err)
{
    TN_AUTO_FREE char *piece = tn_malloc(PIECE);
    struct tn_hash hash;
    tn_hash_init(&hash);
    for (off_t at = 0;;) {
        ssize_t got = pread(fd, piece, PIECE, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return tn_fail_errno(err, errno, "the kept file");
        if (got == 0)
            break;
        tn_hash_update(&hash, piece, (size_t)got);
        at += got;
    }
    tn_hash_final_hex(&hash, out);
    return TN_OK;
}

enum tn_code scans_open(struct lake *lake, const char *dataset, const char *doc_id, const char *hash, int *ret_fd,
                        struct tn_error *err)
{
    char found[TN_HASH_HEX];
    TN_AUTO_CLOSE int fd = open_kept(lake, dataset, doc_id);
    if (fd < 0)
        return refuse("the file of this scan is not kept", err);
    TN_TRY(hash_file(fd, found, err));
    if (!tn_streq(found, hash))
        return refuse("the file that is kept of this scan is another version of it", err);
    *ret_fd = fd;
    fd = -1;
    return TN_OK;
}

bool scans_is_same(struct lake *lake, const char *dataset, const char *doc_id, int fd)
{
    struct stat mine, kept;
    TN_AUTO_CLOSE int now = open_kept(lake, dataset, doc_id);
    return now >= 0 && fstat(fd, &mine) == 0 && fstat(now, &kept) == 0 && mine.st_dev == kept.st_dev &&
           mine.st_ino == kept.st_ino;
}
