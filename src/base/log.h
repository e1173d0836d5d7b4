/* Structured log lines on standard error.
 *
 * Library code returns errors and does not log; edges do (gateway, command
 * line, background loops). A line is an event and fields:
 *
 *     TN_LOG(TN_LOG_INFO, "ingest.done", TN_FS("dataset", name), TN_FI("rows", n));
 *
 *     2026-11-21T01:02:03.456Z info ingest.done request=0193... dataset=calls rows=80000
 *
 * or one JSON object a line, by tn_log_configure. Values are escaped: a line
 * is always one line. There is no field constructor for a secret; TN_FSECRET
 * prints *** and is the way to say that one was there. Thread-safe; a line is
 * one write(2).
 */
#ifndef TARN_BASE_LOG_H
#define TARN_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tn_log_level { TN_LOG_DEBUG, TN_LOG_INFO, TN_LOG_WARN, TN_LOG_ERROR, TN_LOG_OFF };

struct tn_field {
    const char *key;
    enum { TN_FIELD_STRING, TN_FIELD_INT, TN_FIELD_DOUBLE, TN_FIELD_BOOL, TN_FIELD_SECRET } kind;
    union {
        const char *s; /* NULL prints as "-" */
        int64_t i;
        double d;
    };
};
#define TN_FS(k, v)   ((struct tn_field){.key = (k), .kind = TN_FIELD_STRING, .s = (v)})
#define TN_FI(k, v)   ((struct tn_field){.key = (k), .kind = TN_FIELD_INT, .i = (int64_t)(v)})
#define TN_FD(k, v)   ((struct tn_field){.key = (k), .kind = TN_FIELD_DOUBLE, .d = (v)})
#define TN_FB(k, v)   ((struct tn_field){.key = (k), .kind = TN_FIELD_BOOL, .i = (v)})
#define TN_FSECRET(k) ((struct tn_field){.key = (k), .kind = TN_FIELD_SECRET, .s = NULL})

void tn_log_configure(enum tn_log_level lowest, bool json);
bool tn_log_level_parse(const char *word, enum tn_log_level *ret);
bool tn_log_enabled(enum tn_log_level level);
/* The id that this thread's lines carry until it is set again; copied
 * (at most 63 bytes); NULL for none. */
void tn_log_set_request(const char *request_id);
const char *tn_log_request(void);

void tn_log_fields(enum tn_log_level level, const char *event, const struct tn_field *fields, size_t count);
#define TN_LOG(level, event, ...)                                                                                    \
    do {                                                                                                             \
        if (tn_log_enabled(level)) {                                                                                 \
            const struct tn_field tn_fields_[] = {__VA_ARGS__};                                                      \
            tn_log_fields((level), (event), tn_fields_, sizeof tn_fields_ / sizeof tn_fields_[0]);                   \
        }                                                                                                            \
    } while (0)

#endif
