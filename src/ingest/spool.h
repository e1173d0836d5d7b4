/* spool.h: the text of a file between profiling and loading.
 *
 * Small files stay in memory; a bigger one goes to an unsynced staging file
 * that disappears with the spool. A file of the server's own may stand in for
 * it. Written by one thread; read by any number once it is complete.
 */
#ifndef TARN_INGEST_SPOOL_H
#define TARN_INGEST_SPOOL_H

#include "base/buf.h"
#include "store/store.h"

#define SPOOL_MEMORY_BYTES (4U << 20)

struct spool {
    struct store *store;
    struct tn_buf memory;
    char *path;    /* the staging file; NULL while in memory */
    int fd;        /* -1 while in memory */
    bool borrowed; /* the file is somebody else's */
    uint64_t base; /* of a borrowed file: where the text begins */
    uint64_t size;
};

void spool_init(struct spool *spool, struct store *store);
/* Takes over the descriptor of a file that must not change; text begins at
 * `base`. */
void spool_borrow(struct spool *spool, int fd, const char *path, uint64_t base, uint64_t size);
void spool_release(struct spool *spool);
enum tn_code spool_append(struct spool *spool, const void *bytes, size_t count, struct tn_error *err) TN_CHECKED;
/* Puts what is in memory into the file, so that others can open spool->path. */
enum tn_code spool_to_file(struct spool *spool, const char *suffix, struct tn_error *err) TN_CHECKED;
enum tn_code spool_read(const struct spool *spool, uint64_t offset, size_t count, char *out,
                        struct tn_error *err) TN_CHECKED;

#endif
