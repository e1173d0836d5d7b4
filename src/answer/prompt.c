/* Prompts: rules first, data between delimiters that no document can know. */
#include "answer/answer_internal.h"

void answer_nonce(char out[ANSWER_NONCE])
{
    unsigned char bytes[(ANSWER_NONCE - 1) / 2];
    tn_random_bytes(bytes, sizeof bytes);
    tn_hex_encode(bytes, sizeof bytes, out);
}

/* "<<<" and ">>>" fall apart, so that nothing in a text looks like a delimiter,
 * with whatever number. Control characters (terminals, chat templates of some
 * models) have no place in prose. */
static void put_tame(struct tn_buf *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
        tn_buf_putc(out, control ? ' ' : (char)c);
        if ((c == '<' || c == '>') && i + 1 < length && text[i + 1] == (char)c)
            tn_buf_putc(out, ' ');
    }
}

void answer_put_data(struct tn_buf *out, const char *what, uint32_t number, const char *nonce, const char *text,
                     size_t length)
{
    tn_buf_printf(out, "<<<%s %u %s>>>\n", what, number, nonce);
    put_tame(out, text, length);
    tn_buf_printf(out, "\n<<<END %u %s>>>\n", number, nonce);
}
