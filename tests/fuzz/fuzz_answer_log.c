/* A segment of the answers' log: any bytes at all. Frames lie within the bytes and
 * do not overlap, and what is a record can be written and read again. */
#include "fuzz.h"

#include "answer/answer.h"
#include "answer/log.h"

#include <stdlib.h>
#include <string.h>

static void read_record(const char *text, size_t length)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_JSON *object = NULL, *again = NULL;
    struct answer_record record, back;
    TN_AUTO_BUF out = {0};
    if (tn_json_parse(text, length, ANSWER_PAYLOAD_MAX, "record", &object, NULL) != TN_OK ||
        answer_record_read(object, arena, &record, NULL) != TN_OK)
        return;
    struct tn_json json = tn_json_writer(&out);
    answer_record_write(&record, &json);
    FUZZ_CHECK(tn_json_parse(out.data, out.len, SIZE_MAX, "record", &again, NULL) == TN_OK);
    FUZZ_CHECK(answer_record_read(again, arena, &back, NULL) == TN_OK);
    FUZZ_CHECK(strcmp(record.id, back.id) == 0 && record.chunk_count == back.chunk_count);
}

static size_t read_frames(const char *bytes, size_t size, bool whole)
{
    struct answer_frame frame;
    size_t offset = 0, skipped = 0, frames = 0, used = 0;
    while (answer_frame_next(bytes, size, whole, &offset, &frame, &skipped)) {
        FUZZ_CHECK(frame.offset >= used + ANSWER_FRAME_HEADER && frame.offset + frame.length == offset &&
                   offset <= size);
        used = offset;
        frames++;
        if (frame.kind == 'a')
            read_record(bytes + frame.offset, frame.length);
    }
    FUZZ_CHECK(skipped + frames * ANSWER_FRAME_HEADER <= size);
    return frames;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 << 20)
        return 0;
    char *bytes = malloc(size ? size : 1);
    memcpy(bytes, data, size);
    size_t whole = read_frames(bytes, size, true);
    FUZZ_CHECK(whole <= size / ANSWER_FRAME_HEADER);
    (void)read_frames(bytes, size, false);
    read_record(bytes, size);
    free(bytes);
    return 0;
}
