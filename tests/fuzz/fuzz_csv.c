/* Delimited text: detection and reading of anything; wherever the text is cut,
 * the records must be those of the whole. */
#include "ingest/csv.h"

#include "base/mem.h"
#include "ingest/profile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WIDTH_MAX 8192

static uint64_t read_all(const struct csv_dialect *dialect, const char *text, size_t length, struct profile *profile)
{
    size_t width = dialect->width;
    struct cell *cells = tn_calloc(width, sizeof *cells);
    struct csv_reader reader;
    uint64_t sum = 0;
    csv_reader_init(&reader, dialect, width, cells, width, text, length);
    profile->text = text;
    profile->line_end = dialect->line_end;
    while (csv_reader_next(&reader)) {
        sum = sum * 31 + reader.record.count;
        for (size_t i = 0; i < width; i++) {
            sum = sum * 31 + cells[i].length + cells[i].kind;
            char *out = malloc(cells[i].length + 1U);
            if (cells[i].escaped && csv_unescape(&cells[i], dialect->quote, dialect->escape, out) > cells[i].length)
                abort();
            free(out);
        }
        profile_record(profile, &reader.record, width);
    }
    free(cells);
    return sum + profile->rows;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > (64U << 10))
        return 0;
    size_t cut = data[0], length = size - 1;
    char *text = tn_calloc(1, length + RECORD_PADDING);
    memcpy(text, data + 1, length);
    struct csv_wish wish = {.header = -1};
    struct csv_dialect dialect;
    csv_detect(text, length, true, &wish, &dialect);
    if (dialect.body > length || dialect.width == 0)
        abort();
    if (dialect.width > WIDTH_MAX) {
        free(text);
        return 0;
    }
    const char *body = text + dialect.body;
    size_t rest = length - (size_t)dialect.body, open;
    struct profile whole, pieces, second;
    profile_init(&whole, dialect.width);
    profile_init(&pieces, dialect.width);
    profile_init(&second, dialect.width);
    (void)read_all(&dialect, body, rest, &whole);
    size_t end = csv_scan_end(&dialect, body, cut < rest ? cut : rest, &open);
    if (end > rest)
        abort();
    char *first = tn_calloc(1, end + RECORD_PADDING);
    memcpy(first, body, end);
    (void)read_all(&dialect, first, end, &pieces);
    (void)read_all(&dialect, body + end, rest - end, &second);
    profile_merge(&pieces, &second, NULL);
    if (pieces.rows != whole.rows || pieces.flawed != whole.flawed)
        abort();
    for (size_t i = 0; i < dialect.width; i++) {
        if (memcmp(pieces.columns[i].count, whole.columns[i].count, sizeof whole.columns[i].count) != 0)
            abort();
        struct infer_result result;
        infer_column(&whole.columns[i], "name", &result);
    }
    profile_release(&whole);
    profile_release(&pieces);
    profile_release(&second);
    free(first);
    free(text);
    return 0;
}
