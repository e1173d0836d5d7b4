/* Frames of the answers' log: a header line, a checksum, a line of JSON. */
#include "answer/log.h"

#include <inttypes.h>
#include <stdio.h>

static uint32_t frame_crc(char kind, const char *id, const char *payload, size_t length)
{
    char head[64];
    int used = snprintf(head, sizeof head, "%c %08zx %s", kind, length, id);
    return tn_crc32c(tn_crc32c(0, head, (size_t)used), payload, length);
}

void answer_frame_put(char kind, const char *id, const char *payload, size_t length, struct tn_buf *out)
{
    tn_buf_printf(out, "TNA1 %c %08zx %08" PRIx32 " %s\n", kind, length, frame_crc(kind, id, payload, length), id);
    tn_buf_append(out, payload, length);
}

/* Exactly eight lower-case hex digits. */
static bool read_hex(const char *text, uint32_t *ret)
{
    uint32_t value = 0;
    for (size_t i = 0; i < 8; i++) {
        char c = text[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret = value;
    return true;
}

static bool is_id(const char *text)
{
    for (size_t i = 0; i < TN_UUID_TEXT - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = text[i];
        if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

/* The frame that begins at `at`; false when none does. */
static bool read_frame(const char *bytes, size_t size, size_t at, bool whole, struct answer_frame *ret)
{
    const char *head = bytes + at;
    uint32_t length, crc;
    struct answer_frame frame = {0};
    if (size - at < ANSWER_FRAME_HEADER || memcmp(head, "TNA1 ", 5) != 0 || head[6] != ' ' || head[15] != ' ' ||
        head[24] != ' ' || head[ANSWER_FRAME_HEADER - 1] != '\n' || !strchr("agb", head[5]) || !head[5])
        return false;
    if (!read_hex(head + 7, &length) || !read_hex(head + 16, &crc) || !is_id(head + 25) ||
        length > ANSWER_PAYLOAD_MAX || length > size - at - ANSWER_FRAME_HEADER)
        return false;
    frame.kind = head[5];
    frame.offset = at + ANSWER_FRAME_HEADER;
    frame.length = length;
    memcpy(frame.id, head + 25, TN_UUID_TEXT - 1);
    if (whole && frame_crc(frame.kind, frame.id, bytes + frame.offset, length) != crc)
        return false;
    *ret = frame;
    return true;
}

bool answer_frame_next(const char *bytes, size_t size, bool whole, size_t *offset, struct answer_frame *ret,
                       size_t *ret_skipped)
{
    for (size_t at = *offset; at < size;) {
        if (read_frame(bytes, size, at, whole, ret)) {
            *ret_skipped += at - *offset;
            *offset = ret->offset + ret->length;
            return true;
        }
        const char *next = memchr(bytes + at + 1, 'T', size - at - 1);
        if (!next)
            break;
        at = (size_t)(next - bytes);
    }
    return false;
}
