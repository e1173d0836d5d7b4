/* Inside outcome: the append log, alone. Knows files and frames, no SQL.
 *
 * A log is a folder of segments, <first id, 16 hex digits>.log. A segment is a
 * sequence of frames; a frame is a line
 *
 *     TNO1 <payload bytes> <crc32c> <first id> <entries>\n    (hex, fixed width)
 *
 * and its payload, one JSON object a line. Ids count up without gaps over all
 * segments: entry i of a frame has the id first + i. A frame is written by one write
 * and made durable by one fsync before the next, so a frame that is not whole can only be
 * the last one of the last segment, and was never acknowledged: it is cut off.
 * One that is not whole before a whole one is damage: TN_ECORRUPT.
 */
#ifndef TARN_OUTCOME_LOG_H
#define TARN_OUTCOME_LOG_H

#include "base/base.h"

#define LOG_HEADER      49
#define LOG_PAYLOAD_MAX ((size_t)64 << 20)

/* One line of the log. Texts are borrowed. */
struct outcome_entry {
    int64_t id;
    bool import; /* an aggregate of `source`, else one outcome with successes + failures = 1 */
    const char *task_type, *model_id, *key, *source; /* the last two may be NULL */
    int64_t successes, failures, timeouts, tokens;
    double cost;
    int64_t time_us; /* LOG_NO_TIME: none (imports only) */
    bool timed;      /* somebody gave the time; not written */
};
#define LOG_NO_TIME INT64_MIN

/* TN_EREQUEST for what must not go into the log. */
enum tn_code outcome_entry_check(const struct outcome_entry *entry, struct tn_error *err) TN_CHECKED;
/* Appends the entry's line. */
void outcome_entry_put(const struct outcome_entry *entry, struct tn_buf *out);
/* Reads a line without its newline; texts become the arena's. TN_ECORRUPT. */
enum tn_code outcome_entry_read(struct tn_arena *arena, const char *line, size_t length, struct outcome_entry *ret,
                                struct tn_error *err) TN_CHECKED;

struct log_frame {
    size_t payload_length;
    uint32_t crc, count;
    int64_t first_id;
};
/* The header of exactly LOG_HEADER bytes; false when it is none. */
bool log_header_read(const char *bytes, struct log_frame *ret);
/* Appends header and payload. */
void log_frame_put(int64_t first_id, uint32_t count, const char *payload, size_t length, struct tn_buf *out);
/* Whether the payload is the one that the header was written for. */
bool log_frame_holds(const struct log_frame *frame, const char *payload);

typedef enum tn_code log_entry_fn(void *context, const struct outcome_entry *entry, struct tn_error *err);
/* The entries of a frame's payload, in order, from `from` on. */
enum tn_code log_frame_each(const struct log_frame *frame, const char *payload, int64_t from, log_entry_fn *each,
                            void *context, struct tn_error *err) TN_CHECKED;

/* An open log. One thread at a time. */
struct outcome_log {
    char *folder;
    int lock_fd, fd;  /* fd: the newest segment, -1 when there is none yet */
    int64_t segment;  /* its first id */
    uint64_t size;    /* of the whole frames in it */
    int64_t last_id;  /* the newest entry; 0: none ever */
    int64_t floor_id; /* ids up to it were given before the oldest segment */
};
/* The folder must exist. Reads the newest segment to its end. `floor_id`: an id
 * that is known to have been used (by the table), so that none is given twice. */
enum tn_code log_open(const char *folder, int64_t floor_id, struct outcome_log *ret, struct tn_error *err) TN_CHECKED;
void log_close(struct outcome_log *log);

/* Only between these: append, and following what other processes appended. */
enum tn_code log_lock(struct outcome_log *log, struct tn_error *err) TN_CHECKED;
void log_unlock(struct outcome_log *log);
/* Takes notice of new frames; cuts a broken end off. */
enum tn_code log_follow(struct outcome_log *log, struct tn_error *err) TN_CHECKED;
/* Durable on return; on failure the log is as it was. */
enum tn_code log_append(struct outcome_log *log, uint32_t count, const char *payload, size_t length,
                        struct tn_error *err) TN_CHECKED;

/* The entries with from <= id <= to. TN_ENOTFOUND when `from` lies before the
 * oldest segment. May run beside appends of ids above `to`. */
enum tn_code log_read(const char *folder, int64_t from, int64_t to, log_entry_fn *each, void *context,
                      struct tn_error *err) TN_CHECKED;
/* The first id of the oldest segment; 0 when there is none. */
enum tn_code log_oldest(const char *folder, int64_t *ret, struct tn_error *err) TN_CHECKED;
/* Deletes segments whose entries all have ids up to `id`; never the newest. */
enum tn_code log_drop(const char *folder, int64_t id, uint64_t *ret_removed, struct tn_error *err) TN_CHECKED;

#endif
