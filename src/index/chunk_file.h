/* chunk_file: the texts of chunks by number, read where they lie.
 *
 * Two files of one folder (docs/formats/chunk-file.md): chunks.log holds one
 * checksummed record per change, chunks.map the place of each chunk's record.
 * Both are mapped: fetching a chunk is two reads of memory and a checksum. How
 * much of the log counts is remembered by the owner, with the other files
 * that must agree; what lies behind is cut off when the file is opened.
 *
 * The log is only appended to, so that what was replaced or removed stays in
 * it. When that is more than what is there, chunk_file_fold() writes the rest
 * into the pair of the next number, and the owner, once it remembers that one,
 * removes the other. Number 0 is chunks.log, number 1 chunks-1.log.
 *
 * Threads: any number read beside one writer. What a read gives stays where
 * it is until the file is closed.
 * Errors: TN_ENOTFOUND for a number that is not there, TN_ECORRUPT for damage.
 */
#ifndef TARN_INDEX_CHUNK_FILE_H
#define TARN_INDEX_CHUNK_FILE_H

#include "base/base.h"

struct chunk_file;

#define CHUNK_DOC_ID_MAX 60000
#define CHUNK_COLUMN_MAX 1000
#define CHUNK_TEXT_MAX   (64U << 20)
#define CHUNK_ID_MAX     INT64_C(2000000000)

struct chunk_record {
    int64_t id;
    uint32_t number;                    /* among the document's chunks */
    uint64_t begin, end;                /* bytes of the column's text */
    const char *doc_id, *column, *text; /* with the lengths below; not terminated in what is read */
    size_t doc_id_length, column_length, text_length;
};

/* number: which pair. length: the log's bytes that count (0: a new file is
 * begun); CHUNK_FILE_WHOLE: as many as make whole records. */
#define CHUNK_FILE_WHOLE UINT64_MAX
enum tn_code chunk_file_open(const char *folder, uint64_t number, uint64_t length, struct chunk_file **ret,
                             struct tn_error *err) TN_CHECKED;
void chunk_file_close(struct chunk_file *file);
TN_DEFINE_CLEANUP(struct chunk_file, chunk_file_close)

/* Gathered, and there for readers with the next flush. */
enum tn_code chunk_file_put(struct chunk_file *file, const struct chunk_record *record,
                            struct tn_error *err) TN_CHECKED;
void chunk_file_remove(struct chunk_file *file, int64_t id);
/* *ret_length: what the owner is to remember once its other files agree. */
enum tn_code chunk_file_flush(struct chunk_file *file, uint64_t *ret_length, struct tn_error *err) TN_CHECKED;

enum tn_code chunk_file_get(struct chunk_file *file, int64_t id, struct chunk_record *ret,
                            struct tn_error *err) TN_CHECKED;
bool chunk_file_has(struct chunk_file *file, int64_t id);
/* Bytes of its text, without a look at its checksum; 0 when it is not there. */
uint32_t chunk_file_length(struct chunk_file *file, int64_t id);
/* Ids are below this. */
int64_t chunk_file_limit(struct chunk_file *file);
uint64_t chunk_file_bytes(struct chunk_file *file);

/* ---- the next pair: for the one who writes -------------------------------------------- */

/* What is gone may take this much, or as much as what is there. */
#define CHUNK_FILE_SPARE ((uint64_t)1 << 20)
bool chunk_file_fold_is_due(struct chunk_file *file);
enum tn_code chunk_file_sync(struct chunk_file *file,
                             struct tn_error *err) TN_CHECKED; /* what was flushed is durable */
/* The pair of that number, new, with all that is there, durable. Everything is
 * flushed. `stop` (may be NULL) is asked now and then: TN_ECANCELLED. What an
 * error leaves goes with chunk_file_sweep(). */
typedef bool chunk_file_stop_fn(void *context);
enum tn_code chunk_file_fold(struct chunk_file *file, const char *folder, uint64_t number, chunk_file_stop_fn *stop,
                             void *context, struct chunk_file **ret, uint64_t *ret_length,
                             struct tn_error *err) TN_CHECKED;
/* All pairs of the folder go but the one of that number. */
enum tn_code chunk_file_sweep(const char *folder, uint64_t number, struct tn_error *err) TN_CHECKED;

#endif
