/* survey.h: the whole text of a file, seen once.
 *
 * Text is pushed as it arrives, cut into blocks that begin and end with a
 * record, and each block is profiled by a thread of the pool. Cutting is
 * sequential and cheap; profiling is where the time goes. The blocks are
 * remembered, so that loading can read any of them again, in any order.
 */
#ifndef TARN_INGEST_SURVEY_H
#define TARN_INGEST_SURVEY_H

#include "ingest/csv.h"
#include "ingest/json_records.h"
#include "ingest/profile.h"

#include "base/pool.h"

#include <pthread.h>

#define SURVEY_BLOCK_BYTES (1U << 20)

struct survey_block {
    uint64_t offset; /* in the text */
    uint64_t length;
    uint64_t records; /* flawed ones too */
    uint64_t lines;
    uint64_t first_line; /* 1-based; set by survey_finish */
    bool closed;         /* JSON: the array's end was in it */
};

struct survey {
    struct tn_pool *pool;
    struct csv_wish wish;
    int format; /* 0 unknown, else enum ingest_format's CSV or JSON */
    bool format_fixed;
    struct csv_dialect dialect;
    enum json_layout layout;
    struct json_paths *paths; /* JSON columns; grows under the mutex */
    char *head;               /* the text above the first record, padded; names stand there */
    size_t head_length;
    char *pending; /* text not yet cut */
    size_t pending_length, pending_capacity;
    uint64_t pending_offset; /* of its first byte in the text */
    bool detected;
    struct tn_group *group;
    size_t in_flight;
    pthread_mutex_t mutex; /* guards what follows while tasks run */
    struct survey_block *blocks;
    size_t block_count, block_capacity;
    struct profile profile;
    uint64_t invalid_block, invalid_line; /* the first that is no UTF-8 */
    bool invalid;
    char *sample; /* the first block's text, kept for previews */
    size_t sample_length;
};

void survey_init(struct survey *survey, struct tn_pool *pool, const struct csv_wish *wish, int format);
void survey_release(struct survey *survey);
/* TN_EUNREADABLE for a record without end. */
enum tn_code survey_push(struct survey *survey, const char *text, size_t length, struct tn_error *err) TN_CHECKED;
/* Waits for the tasks. Afterwards the survey does not change. Invalid UTF-8 is
 * no error here: see `invalid`. */
enum tn_code survey_finish(struct survey *survey, struct tn_error *err) TN_CHECKED;
/* The line, counted in the file from 1, of a place in a profile. */
uint64_t survey_line(const struct survey *survey, const struct profile_place *place);
size_t survey_columns(const struct survey *survey);

#endif
