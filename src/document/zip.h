/* zip.h: zip archives, read by their central directory. Sizes that an archive
 * claims are believed only as far as the bytes bear them out. */
#ifndef TARN_DOCUMENT_ZIP_H
#define TARN_DOCUMENT_ZIP_H

#include "base/base.h"

struct zip_entry {
    char *name; /* as stored: not clean */
    uint64_t offset, packed, size;
    uint16_t method, flags;
    uint32_t crc;
};
struct zip {
    const char *bytes; /* the archive in memory; or NULL and */
    int fd;            /* a regular file */
    uint64_t size;
    struct zip_entry *entries;
    size_t count;
};

/* TN_EUNREADABLE for damage, TN_ETOOLARGE for more than max_files, TN_EUNSUPPORTED for zip64. */
enum tn_code zip_open_bytes(const char *bytes, size_t count, uint32_t max_files, struct zip *ret,
                            struct tn_error *err) TN_CHECKED;
enum tn_code zip_open_fd(int fd, uint64_t size, uint32_t max_files, struct zip *ret, struct tn_error *err) TN_CHECKED;
void zip_release(struct zip *zip);
const struct zip_entry *zip_find(const struct zip *zip, const char *name); /* NULL */

typedef enum tn_code zip_sink(void *context, const void *bytes, size_t count, struct tn_error *err);
/* The member's bytes, at most max_bytes (TN_ETOOLARGE); TN_EUNREADABLE for a
 * password, a method that is not known, damage, and for what grows beyond all
 * reason (ZIP_MAX_RATIO). */
#define ZIP_MAX_RATIO   250
#define ZIP_RATIO_FLOOR ((uint64_t)4 << 20)
enum tn_code zip_unpack(const struct zip *zip, const struct zip_entry *entry, uint64_t max_bytes, zip_sink *sink,
                        void *context, struct tn_error *err) TN_CHECKED;
/* The same, appended to a buffer. */
enum tn_code zip_unpack_all(const struct zip *zip, const struct zip_entry *entry, uint64_t max_bytes,
                            struct tn_buf *ret, struct tn_error *err) TN_CHECKED;

#endif
