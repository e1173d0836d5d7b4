/* scans.h: the files of documents that have pages to read from their image.
 *
 * The lake keeps rows, not files; a scan is kept until its pages were read, as
 * the object scans/<dataset>/<doc_id> (docs/formats/scans.md).
 */
#ifndef TARN_INGEST_SCANS_H
#define TARN_INGEST_SCANS_H

#include "dataset/dataset.h"

/* A copy of the file `fd`, in the place of one that was kept of that document. */
enum tn_code scans_keep(struct lake *lake, const char *dataset, const char *doc_id, int fd, uint64_t size,
                        struct tn_error *err) TN_CHECKED;
enum tn_code scans_has(struct lake *lake, const char *dataset, const char *doc_id, bool *ret,
                       struct tn_error *err) TN_CHECKED;
enum tn_code scans_drop(struct lake *lake, const char *dataset, const char *doc_id, struct tn_error *err) TN_CHECKED;
/* The kept file to read, whose bytes have this hash. TN_ENOTFOUND, with what to
 * do, when it is not kept, or another one is. */
enum tn_code scans_open(struct lake *lake, const char *dataset, const char *doc_id, const char *hash, int *ret_fd,
                        struct tn_error *err) TN_CHECKED;
/* Whether what is kept is still the file behind `fd`. */
bool scans_is_same(struct lake *lake, const char *dataset, const char *doc_id, int fd);

#endif
