/* Writing an asset: under a temporary name, then renamed over the old one,
 * which processes that have it mapped keep. */
#include "embed/import.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum tn_code asset_writer_open(struct asset_writer *ret, const char *path, const struct asset_header *header,
                               struct tn_error *err)
{
    struct asset_writer w = {.path = path, .header = *header, .at = ASSET_HEADER_BYTES};
    memcpy(w.header.magic, asset_magic, sizeof w.header.magic);
    w.header.version = ASSET_VERSION;
    w.header.header_bytes = ASSET_HEADER_BYTES;
    w.header.file_bytes = asset_file_bytes(&w.header);
    w.header.header_crc = asset_header_crc(&w.header);
    TN_TRY(asset_header_check(&w.header, err));
    w.header.header_crc = 0;
    w.temporary = tn_asprintf("%s.new-XXXXXX", path);
    w.fd = mkostemp(w.temporary, O_CLOEXEC);
    if (w.fd < 0) {
        enum tn_code code = tn_fail_errno(err, errno, "cannot write %s", w.temporary);
        free(w.temporary);
        return code;
    }
    tn_hash_init(&w.hash);
    /* Checksums and the digest are still zero. */
    tn_hash_update(&w.hash, &w.header, sizeof w.header);
    *ret = w;
    return TN_OK;
}

static enum tn_code write_at(struct asset_writer *w, const void *bytes, size_t count, uint64_t at,
                             struct tn_error *err)
{
    if (lseek(w->fd, (off_t)at, SEEK_SET) < 0)
        return tn_fail_errno(err, errno, "cannot write %s", w->temporary);
    return tn_write_all(w->fd, bytes, count, w->temporary, err);
}

enum tn_code asset_writer_put(struct asset_writer *w, const void *bytes, size_t count, struct tn_error *err)
{
    TN_TRY(write_at(w, bytes, count, w->at, err));
    uint32_t *crc = &w->header.block_crc[w->block];
    *crc = tn_crc32c(*crc, bytes, count);
    tn_hash_update(&w->hash, bytes, count);
    w->at += count;
    return TN_OK;
}

enum tn_code asset_writer_align(struct asset_writer *w, struct tn_error *err)
{
    static const char zeros[64];
    return asset_writer_put(w, zeros, asset_align(w->at) - w->at, err);
}

enum tn_code asset_writer_end_block(struct asset_writer *w, struct tn_error *err)
{
    uint64_t offset, bytes;
    asset_block_place(&w->header, w->block, &offset, &bytes);
    if (w->at != offset + bytes)
        return tn_fail(err, TN_EINTERNAL, "block %u of the asset has other bytes than its place", w->block);
    w->at = asset_align(w->at);
    w->block++;
    return TN_OK;
}

enum tn_code asset_writer_finish(struct asset_writer *w, struct tn_error *err)
{
    tn_hash_final(&w->hash, w->header.digest);
    w->header.header_crc = asset_header_crc(&w->header);
    TN_TRY(write_at(w, &w->header, sizeof w->header, 0, err));
    if (fchmod(w->fd, 0644) < 0)
        return tn_fail_errno(err, errno, "cannot set the mode of %s", w->temporary);
    TN_TRY(tn_fsync_fd(w->fd, w->temporary, err));
    if (rename(w->temporary, w->path) < 0)
        return tn_fail_errno(err, errno, "cannot rename %s to %s", w->temporary, w->path);
    w->temporary[0] = '\0';
    const char *slash = strrchr(w->path, '/');
    TN_AUTO_FREE char *folder = slash == w->path ? tn_strdup("/")
                                : slash          ? tn_strndup(w->path, (size_t)(slash - w->path))
                                                 : tn_strdup(".");
    return tn_fsync_dir(folder, err);
}

void asset_writer_release(struct asset_writer *w)
{
    if (w->temporary) {
        (void)close(w->fd);
        if (w->temporary[0])
            (void)unlink(w->temporary);
        free(w->temporary);
    }
    w->temporary = NULL;
}
