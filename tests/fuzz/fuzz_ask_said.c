/* What a language model wrote: a statement, a reason or prose comes out of it,
 * and a sentence is held against rows; nothing is longer than what went in. */
#include "answer/ask.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const char *said;
    char wrong[64];
    const char *text = (const char *)data;
    enum ask_said kind = ask_extract(text, size, arena, &said);
    if (strlen(said) > size || (kind == ASK_SAID_SQL && !*said))
        abort();
    const struct ask_result result = {
        .columns = "[]", .rows = said, .rows_length = strlen(said), .row_count = size % 7};
    (void)ask_numbers_hold(tn_arena_strndup(arena, text, size), &result, said, said, wrong);
    const char *at = text, *row;
    size_t length;
    while (ask_next_row(&at, text + size, &row, &length))
        if (row < text || row + length > text + size)
            abort();
    return 0;
}
