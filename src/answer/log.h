/* Inside answer: the append log of answers. Knows files and frames, nothing of
 * what they say.
 *
 * A log is a folder of segments, <number, 16 hex digits>.log. A segment is a
 * sequence of frames; a frame is a line of fixed width
 *
 *     TNA1 <kind> <payload bytes> <crc32c> <id>\n     (numbers: 8 hex digits)
 *
 * and its payload, a line of JSON. The kind is 'a' for an answer, 'g' or 'b' for
 * a person's word about one: good, bad. What was acknowledged was made durable by
 * fsync; a broken frame at the end of the newest segment was not, and is cut
 * off. One before a whole one is damage: it is stepped over and told in the
 * service's log, the other answers stay readable. */
#ifndef TARN_ANSWER_LOG_H
#define TARN_ANSWER_LOG_H

#include "base/base.h"

#define ANSWER_FRAME_HEADER 62
#define ANSWER_PAYLOAD_MAX  ((size_t)4 << 20)

struct answer_frame {
    char kind;
    size_t offset, length; /* of the payload */
    char id[TN_UUID_TEXT];
};
/* The next frame at or behind *offset, which moves behind it; false at the end.
 * *ret_skipped counts bytes that belong to no frame. Payloads are checked when
 * `whole` is set, else only headers and sizes. */
bool answer_frame_next(const char *bytes, size_t size, bool whole, size_t *offset, struct answer_frame *ret,
                       size_t *ret_skipped);
void answer_frame_put(char kind, const char *id, const char *payload, size_t length, struct tn_buf *out);

struct answer_log;

/* Looks at no file before the first call that needs one. */
struct answer_log *answer_log_new(const char *folder, uint64_t keep_bytes) __attribute__((returns_nonnull));
void answer_log_free(struct answer_log *log);
TN_DEFINE_CLEANUP(struct answer_log, answer_log_free)

/* Durable on return; those that come together share an fsync. On failure nothing
 * was promised: the frame may be there or not. */
enum tn_code answer_log_append(struct answer_log *log, char kind, const char *id, const char *payload, size_t length,
                               struct tn_error *err) TN_CHECKED;
/* The answer's payload and what was said of it (1, -1, 0). TN_ENOTFOUND, TN_ECORRUPT. */
enum tn_code answer_log_get(struct answer_log *log, const char *id, struct tn_buf *ret, int *ret_feedback,
                            struct tn_error *err) TN_CHECKED;
/* Up to `count` ids, newest first, that are older than `before` (NULL: from the
 * newest). *ret_more: there are older ones still. TN_EREQUEST for an unknown `before`. */
enum tn_code answer_log_ids(struct answer_log *log, const char *before, size_t count, char (*ret_ids)[TN_UUID_TEXT],
                            size_t *ret_count, bool *ret_more, struct tn_error *err) TN_CHECKED;

#endif
