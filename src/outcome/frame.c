/* Frames: a header line, a checksum, and lines of JSON. */
#include "outcome/log.h"

#include <inttypes.h>
#include <string.h>

#define HEADER_FORMAT "TNO1 %08zx %08" PRIx32 " %016" PRIx64 " %08" PRIx32 "\n"

static uint32_t frame_crc(size_t length, int64_t first_id, uint32_t count, const char *payload)
{
    char numbers[64];
    int used =
        snprintf(numbers, sizeof numbers, "%08zx %016" PRIx64 " %08" PRIx32, length, (uint64_t)first_id, count);
    return tn_crc32c(tn_crc32c(0, numbers, (size_t)used), payload, length);
}

void log_frame_put(int64_t first_id, uint32_t count, const char *payload, size_t length, struct tn_buf *out)
{
    tn_buf_printf(out, HEADER_FORMAT, length, frame_crc(length, first_id, count, payload), (uint64_t)first_id, count);
    tn_buf_append(out, payload, length);
}

/* Exactly `digits` lower-case hex digits. */
static bool read_hex(const char *text, size_t digits, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = text[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret = value;
    return true;
}

bool log_header_read(const char *bytes, struct log_frame *ret)
{
    uint64_t length, crc, first, count;
    if (memcmp(bytes, "TNO1 ", 5) != 0 || bytes[13] != ' ' || bytes[22] != ' ' || bytes[39] != ' ' ||
        bytes[48] != '\n')
        return false;
    if (!read_hex(bytes + 5, 8, &length) || !read_hex(bytes + 14, 8, &crc) || !read_hex(bytes + 23, 16, &first) ||
        !read_hex(bytes + 40, 8, &count))
        return false;
    if (length > LOG_PAYLOAD_MAX || count == 0 || first == 0 || first > (uint64_t)INT64_MAX - UINT32_MAX)
        return false;
    *ret = (struct log_frame){
        .payload_length = (size_t)length, .crc = (uint32_t)crc, .count = (uint32_t)count, .first_id = (int64_t)first};
    return true;
}

bool log_frame_holds(const struct log_frame *frame, const char *payload)
{
    return frame_crc(frame->payload_length, frame->first_id, frame->count, payload) == frame->crc;
}

enum tn_code log_frame_each(const struct log_frame *frame, const char *payload, int64_t from, log_entry_fn *each,
                            void *context, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *at = payload, *end = payload + frame->payload_length;
    for (uint32_t i = 0; i < frame->count; i++) {
        const char *newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        if (!newline)
            return tn_fail(err, TN_ECORRUPT, "a frame of the log has %" PRIu32 " of its %" PRIu32 " lines", i,
                           frame->count);
        int64_t id = frame->first_id + i;
        if (id >= from) {
            struct outcome_entry entry;
            tn_arena_reset(arena);
            TN_TRY(outcome_entry_read(arena, at, (size_t)(newline - at), &entry, err));
            entry.id = id;
            TN_TRY(each(context, &entry, err));
        }
        at = newline + 1;
    }
    if (at != end)
        return tn_fail(err, TN_ECORRUPT, "a frame of the log has more than its %" PRIu32 " lines", frame->count);
    return TN_OK;
}
