/* The next pair of a chunk file: what is there, without what is gone. */
#include "index/chunk_file.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#define FLUSH_BYTES ((size_t)1 << 20)

/* The numbers stay, so that the map of a long life has holes where chunks are gone. */
static enum tn_code copy_all(struct chunk_file *from, struct chunk_file *to, chunk_file_stop_fn *stop, void *context,
                             uint64_t *ret_length, struct tn_error *err)
{
    struct chunk_record record;
    size_t bytes = 0;
    for (int64_t id = 0; id < chunk_file_limit(from); id++) {
        enum tn_code code = chunk_file_get(from, id, &record, err);
        if (code == TN_ENOTFOUND)
            continue;
        TN_TRY(code);
        TN_TRY(chunk_file_put(to, &record, err));
        bytes += record.text_length + record.doc_id_length;
        if (bytes < FLUSH_BYTES)
            continue;
        bytes = 0;
        TN_TRY(chunk_file_flush(to, ret_length, err));
        TN_FAULT("index.log_half");
        if (stop && stop(context))
            return tn_fail(err, TN_ECANCELLED, "the log of texts is not written anew: the work on it ends");
    }
    return chunk_file_flush(to, ret_length, err);
}

enum tn_code chunk_file_fold(struct chunk_file *file, const char *folder, uint64_t number, chunk_file_stop_fn *stop,
                             void *context, struct chunk_file **ret, uint64_t *ret_length, struct tn_error *err)
{
    TN_CLEANUP(chunk_file_close_p) struct chunk_file *next = NULL;
    uint64_t length;
    TN_TRY(chunk_file_open(folder, number, 0, &next, err));
    TN_TRY(copy_all(file, next, stop, context, &length, err));
    TN_TRY(chunk_file_sync(next, err));
    TN_TRY(tn_fsync_dir(folder, err));
    *ret_length = length;
    *ret = TN_TAKE(next);
    return TN_OK;
}

static bool is_of_a_pair(const char *name)
{
    const char *dot = strrchr(name, '.');
    return strncmp(name, "chunks", 6) == 0 && dot && (tn_streq(dot, ".log") || tn_streq(dot, ".map"));
}

enum tn_code chunk_file_sweep(const char *folder, uint64_t number, struct tn_error *err)
{
    TN_AUTO_FREE char *stem = number == 0 ? tn_strdup("chunks.") : tn_asprintf("chunks-%" PRIu64 ".", number);
    DIR *listing = opendir(folder);
    if (!listing)
        return tn_fail_errno(err, errno, "cannot list %s", folder);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
        if (is_of_a_pair(entry->d_name) && strncmp(entry->d_name, stem, strlen(stem)) != 0 &&
            unlinkat(dirfd(listing), entry->d_name, 0) != 0)
            TN_LOG(TN_LOG_WARN, "index.left_over", TN_FS("file", entry->d_name), TN_FS("why", strerror(errno)));
    (void)closedir(listing);
    return TN_OK;
}
