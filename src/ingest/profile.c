/* Counting classes per column, and where each class came first. */
#include "ingest/profile.h"

#include "ingest/json_records.h"

#include <string.h>

void profile_init(struct profile *profile, size_t columns)
{
    *profile = (struct profile){.line_end = '\n'};
    profile->column_capacity = columns ? columns : 8;
    profile->columns = tn_calloc(profile->column_capacity, sizeof *profile->columns);
    profile->column_count = columns;
}

void profile_release(struct profile *profile)
{
    for (size_t i = 0; i < profile->column_count; i++)
        for (size_t class = 0; class < CLASS_COUNT; class ++)
            free(profile->columns[i].first[class]);
    free(profile->columns);
    free(profile->first_short);
    free(profile->first_flaw);
    *profile = (struct profile){0};
}

static void grow_columns(struct profile *profile, size_t count)
{
    if (count > profile->column_capacity) {
        size_t capacity = TN_MAX(count, profile->column_capacity * 2);
        profile->columns = tn_realloc_array(profile->columns, capacity, sizeof *profile->columns);
        memset(profile->columns + profile->column_capacity, 0,
               (capacity - profile->column_capacity) * sizeof *profile->columns);
        profile->column_capacity = capacity;
    }
    profile->column_count = count;
}

uint64_t profile_count_lines(const char *text, size_t length, char line_end)
{
    uint64_t lines = 0;
    while (length) {
        /* Byte-sized counters let the compiler count sixteen at a time. */
        size_t piece = length < 255 ? length : 255;
        unsigned char count = 0;
        for (size_t i = 0; i < piece; i++)
            count = (unsigned char)(count + (text[i] == line_end));
        lines += count;
        text += piece;
        length -= piece;
    }
    return lines;
}

const char *profile_flaw_reason(enum record_flaw flaw)
{
    switch (flaw) {
    case RECORD_TOO_WIDE:
        return "more cells than there are columns";
    case RECORD_NOT_JSON:
        return "not valid JSON";
    case RECORD_NOT_OBJECT:
        return "a JSON value that is not an object";
    case RECORD_FINE:
        break;
    }
    return "";
}

static __attribute__((noinline)) struct profile_place *note_place(const struct profile *profile, const char *at,
                                                                  const char *value, size_t length)
{
    struct profile_place *place = tn_calloc(1, sizeof *place);
    place->block = profile->block;
    place->line = profile_count_lines(profile->text, (size_t)(at - profile->text), profile->line_end);
    if (!value)
        return place;
    size_t keep = length > PROFILE_VALUE_BYTES ? tn_utf8_floor(value, length, PROFILE_VALUE_BYTES) : length;
    memcpy(place->value, value, keep);
    if (keep < length)
        memcpy(place->value + keep, "...", 4);
    return place;
}

static void profile_flawed(struct profile *profile, const struct record *record)
{
    profile->flawed++;
    if (profile->first_flaw)
        return;
    profile->first_flaw = note_place(profile, record->start, record->start, record->length);
    profile->flaw_text = record->flaw_text ? record->flaw_text : profile_flaw_reason(record->flaw);
}

void profile_record(struct profile *profile, const struct record *record, size_t width)
{
    if (__builtin_expect(record->flaw != RECORD_FINE, 0)) {
        profile_flawed(profile, record);
        return;
    }
    profile->rows++;
    if (width > profile->column_count)
        grow_columns(profile, width);
    for (size_t i = 0; i < width; i++) {
        const struct cell *cell = &record->cells[i];
        struct profile_column *column = &profile->columns[i];
        enum cell_class class = cell->kind == CELL_PLAIN ? classify_text(cell->text, cell->length, &column->marks)
                                                         : classify_cell(cell, &column->marks);
        if (__builtin_expect(column->count[class]++ == 0, 0) && class != CLASS_EMPTY)
            column->first[class] = note_place(profile, cell->text, cell->text, cell->length);
    }
    if (__builtin_expect(width && record->cells[width - 1].kind == CELL_ABSENT && record->count < width, 0)) {
        if (!profile->short_rows++)
            profile->first_short = note_place(profile, record->start, NULL, 0);
    }
}

/* Keeps the earlier of two places in *into. */
static void merge_place(struct profile_place **into, struct profile_place **from)
{
    if (!*from)
        return;
    if (!*into || (*from)->block < (*into)->block ||
        ((*from)->block == (*into)->block && (*from)->line < (*into)->line)) {
        struct profile_place *kept = *from;
        *from = *into;
        *into = kept;
    }
}

void profile_merge(struct profile *into, struct profile *from, const size_t *column_map)
{
    for (size_t i = 0; i < from->column_count; i++) {
        size_t target = column_map ? column_map[i] : i;
        if (target >= into->column_count)
            grow_columns(into, target + 1);
        struct profile_column *a = &into->columns[target], *b = &from->columns[i];
        a->marks |= b->marks;
        for (size_t class = 0; class < CLASS_COUNT; class ++) {
            a->count[class] += b->count[class];
            merge_place(&a->first[class], &b->first[class]);
        }
    }
    into->rows += from->rows;
    into->short_rows += from->short_rows;
    into->flawed += from->flawed;
    into->blank += from->blank;
    into->literal += from->literal;
    merge_place(&into->first_short, &from->first_short);
    const struct profile_place *flaw = from->first_flaw;
    merge_place(&into->first_flaw, &from->first_flaw);
    if (flaw && into->first_flaw == flaw)
        into->flaw_text = from->flaw_text;
}
