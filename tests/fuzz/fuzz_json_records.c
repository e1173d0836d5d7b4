/* JSON records: anything at all, whole and cut in two. */
#include "ingest/json_records.h"

#include "ingest/profile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t read_all(enum json_layout layout, struct json_paths *paths, const char *text, size_t length,
                         bool first)
{
    struct json_reader reader;
    struct profile profile;
    profile_init(&profile, 0);
    profile.text = text;
    json_reader_init(&reader, layout, paths, NULL);
    json_reader_block(&reader, text, length, first);
    const char *last = text;
    while (json_reader_next(&reader)) {
        if (reader.record.start < last || reader.at < reader.record.start || reader.at > text + length)
            abort();
        last = reader.at;
        for (size_t i = 0; i < reader.record.count; i++) {
            const struct cell *cell = &reader.record.cells[i];
            if (cell->kind != CELL_JSON_STRING || !cell->escaped || reader.record.flaw != RECORD_FINE)
                continue;
            char *out = malloc(cell->length + 1U);
            if (json_unescape(cell->text, cell->length, out) > cell->length)
                abort();
            free(out);
        }
        profile_record(&profile, &reader.record, reader.record.count);
    }
    uint64_t rows = profile.rows;
    profile_release(&profile);
    json_reader_release(&reader);
    return rows;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > (64U << 10))
        return 0;
    size_t cut = data[0], length = size - 1, body;
    char *text = tn_calloc(1, length + RECORD_PADDING);
    memcpy(text, data + 1, length);
    (void)json_sniff(text, length);
    enum json_layout layout = json_detect(text, length, &body);
    if (body > length)
        abort();
    size_t rest = length - body;
    struct json_paths *paths = json_paths_new();
    uint64_t rows = read_all(layout, paths, text + body, rest, true);
    size_t end = json_scan_end(layout, text + body, cut < rest ? cut : rest);
    if (end > rest)
        abort();
    uint64_t pieces = read_all(layout, paths, text + body, end, true);
    pieces += read_all(layout, paths, text + body + end, rest - end, end == 0);
    /* Lines are independent of one another; elsewhere a broken record may take
     * its neighbours along. */
    if (layout == LAYOUT_LINES && pieces != rows)
        abort();
    json_paths_free(paths);
    free(text);
    return 0;
}
