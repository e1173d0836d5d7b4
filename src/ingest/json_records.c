/* JSON records: where they begin and end, and their values as cells. */
#include "ingest/json_records.h"

#include "ingest/classify.h"
#include "ingest/json_parse.h"

#include "base/hash.h"
#include "base/str.h"

#include <string.h>

bool json_sniff(const char *text, size_t length)
{
    const char *end = text + length, *p = json_skip_space(text, end);
    if (p == end)
        return false;
    const char *next = json_skip_space(p + 1, end);
    if (*p == '{')
        return next == end || *next == '"' || *next == '}';
    return *p == '[' && (next == end || *next == '{' || *next == ']');
}

enum json_layout json_detect(const char *text, size_t length, size_t *ret_body)
{
    const char *end = text + length, *p = json_skip_space(text, end);
    if (p < end && *p == '[') {
        *ret_body = (size_t)(p + 1 - text);
        return LAYOUT_ARRAY;
    }
    *ret_body = (size_t)(p - text);
    const char *stop = p < end ? json_skip_value(p, end) : NULL;
    const char *line = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
    /* An object that goes on over its first line is no line of its own, unless
     * that line is broken and the next one begins an object again. */
    if (!line || (stop && stop <= line))
        return LAYOUT_LINES;
    const char *next = json_skip_space(line, end);
    return next < end && *next == '{' && line > p && line[-1] == '}' ? LAYOUT_LINES : LAYOUT_STREAM;
}

size_t json_scan_end(enum json_layout layout, const char *text, size_t length)
{
    const char *end = text + length, *p = text, *last = text;
    if (layout == LAYOUT_LINES) {
        const char *newline = memrchr(text, '\n', length);
        return newline ? (size_t)(newline + 1 - text) : 0;
    }
    for (;;) {
        p = json_skip_space(p, end);
        if (p < end && *p == ',')
            p = json_skip_space(p + 1, end);
        if (p >= end)
            return (size_t)(last - text);
        if (layout == LAYOUT_ARRAY && *p == ']')
            return length;
        const char *stop = json_skip_value(p, end);
        /* A scalar, or anything at the very end, might go on. */
        if (!stop || stop == end) {
            bool complete = stop && (stop[-1] == '}' || stop[-1] == ']' || stop[-1] == '"');
            return complete && stop > p ? length : (size_t)(last - text);
        }
        if (stop == p)
            stop++;
        p = last = stop;
    }
}

/* ---- paths --------------------------------------------------------------- */

struct json_paths {
    char **texts;
    size_t count, capacity;
    uint32_t *table; /* number + 1 */
    size_t table_size;
};

struct json_paths *json_paths_new(void)
{
    struct json_paths *paths = tn_calloc(1, sizeof *paths);
    paths->table_size = 64;
    paths->table = tn_calloc(paths->table_size, sizeof *paths->table);
    return paths;
}

void json_paths_free(struct json_paths *paths)
{
    if (!paths)
        return;
    for (size_t i = 0; i < paths->count; i++)
        free(paths->texts[i]);
    free(paths->texts);
    free(paths->table);
    free(paths);
}

static size_t find_slot(const struct json_paths *paths, const char *path, size_t length)
{
    size_t mask = paths->table_size - 1;
    size_t at = tn_hash64(path, length, 0) & mask;
    for (; paths->table[at]; at = (at + 1) & mask) {
        const char *text = paths->texts[paths->table[at] - 1];
        if (strncmp(text, path, length) == 0 && text[length] == '\0')
            break;
    }
    return at;
}

size_t json_paths_find(const struct json_paths *paths, const char *path, size_t length)
{
    size_t slot = find_slot(paths, path, length);
    return paths->table[slot] ? paths->table[slot] - 1 : SIZE_MAX;
}

static void grow_table(struct json_paths *paths)
{
    free(paths->table);
    paths->table_size *= 2;
    paths->table = tn_calloc(paths->table_size, sizeof *paths->table);
    for (size_t i = 0; i < paths->count; i++) {
        size_t slot = find_slot(paths, paths->texts[i], strlen(paths->texts[i]));
        paths->table[slot] = (uint32_t)i + 1;
    }
}

size_t json_paths_add(struct json_paths *paths, const char *path, size_t length)
{
    size_t slot = find_slot(paths, path, length);
    if (paths->table[slot])
        return paths->table[slot] - 1;
    if (paths->count == RECORD_MAX_COLUMNS)
        return SIZE_MAX;
    TN_GROW(paths->texts, paths->count, paths->capacity);
    paths->texts[paths->count++] = tn_strndup(path, length);
    paths->table[slot] = (uint32_t)paths->count;
    if (paths->count * 2 > paths->table_size)
        grow_table(paths);
    return paths->count - 1;
}

size_t json_paths_count(const struct json_paths *paths)
{
    return paths->count;
}
const char *json_paths_text(const struct json_paths *paths, size_t number)
{
    return paths->texts[number];
}

/* ---- reading ------------------------------------------------------------- */

/* A key below a parent. `follow` is the key that came next the last time:
 * records of one file nearly always have their keys in one order. */
struct json_node {
    uint32_t parent, follow;
    uint32_t key_length;
    char *key;
    size_t column; /* SIZE_MAX until a leaf value came */
};

#define ROOT 0

void json_reader_init(struct json_reader *reader, enum json_layout layout, struct json_paths *grow,
                      const struct json_paths *fixed)
{
    *reader = (struct json_reader){.layout = layout, .grow = grow, .fixed = fixed};
    reader->table_size = 256;
    reader->table = tn_calloc(reader->table_size, sizeof *reader->table);
    reader->node_capacity = 64;
    reader->nodes = tn_calloc(reader->node_capacity, sizeof *reader->nodes);
    reader->nodes[ROOT].column = SIZE_MAX;
    reader->node_count = 1;
}

void json_reader_release(struct json_reader *reader)
{
    for (size_t i = 0; i < reader->node_count; i++)
        free(reader->nodes[i].key);
    free(reader->nodes);
    free(reader->table);
    free(reader->cells);
    tn_buf_release(&reader->scratch);
    *reader = (struct json_reader){0};
}

void json_reader_block(struct json_reader *reader, const char *text, size_t length, bool first)
{
    reader->begin = reader->at = text;
    reader->end = text + length;
    reader->first = first;
}

static size_t node_slot(const struct json_reader *reader, uint32_t parent, const char *key, size_t length)
{
    size_t mask = reader->table_size - 1;
    size_t at = tn_hash64(key, length, parent) & mask;
    for (; reader->table[at]; at = (at + 1) & mask) {
        const struct json_node *node = &reader->nodes[reader->table[at]];
        if (node->parent == parent && node->key_length == length && memcmp(node->key, key, length) == 0)
            break;
    }
    return at;
}

/* The node of a key below its parent; UINT32_MAX when there are too many. */
static uint32_t find_node(struct json_reader *reader, uint32_t parent, const char *key, size_t length)
{
    size_t slot = node_slot(reader, parent, key, length);
    if (reader->table[slot])
        return reader->table[slot];
    if (reader->node_count > 4 * RECORD_MAX_COLUMNS)
        return UINT32_MAX;
    TN_GROW(reader->nodes, reader->node_count, reader->node_capacity);
    uint32_t number = (uint32_t)reader->node_count++;
    reader->nodes[number] = (struct json_node){parent, ROOT, (uint32_t)length, tn_strndup(key, length), SIZE_MAX};
    reader->table[slot] = number;
    if (reader->node_count * 2 > reader->table_size) {
        free(reader->table);
        reader->table_size *= 2;
        reader->table = tn_calloc(reader->table_size, sizeof *reader->table);
        for (uint32_t i = 1; i < reader->node_count; i++) {
            const struct json_node *node = &reader->nodes[i];
            reader->table[node_slot(reader, node->parent, node->key, node->key_length)] = i;
        }
    }
    return number;
}

static void append_path(const struct json_reader *reader, uint32_t number, struct tn_buf *out)
{
    const struct json_node *node = &reader->nodes[number];
    if (node->parent != ROOT) {
        append_path(reader, node->parent, out);
        tn_buf_putc(out, '.');
    }
    tn_buf_append(out, node->key, node->key_length);
}

/* The cell of a leaf; NULL when there are too many columns. */
static struct cell *cell_of(struct json_reader *reader, uint32_t number)
{
    struct json_node *node = &reader->nodes[number];
    if (node->column == SIZE_MAX) {
        TN_AUTO_BUF path = {0};
        append_path(reader, number, &path);
        node->column = reader->grow ? json_paths_add(reader->grow, path.data ? path.data : "", path.len)
                                    : json_paths_find(reader->fixed, path.data ? path.data : "", path.len);
        if (node->column == SIZE_MAX)
            return NULL;
    }
    size_t column = node->column;
    if (column >= reader->record.count) {
        size_t count = column + 1;
        if (count > reader->cell_capacity) {
            reader->cell_capacity = TN_MAX(count, reader->cell_capacity * 2);
            reader->cells = tn_realloc_array(reader->cells, reader->cell_capacity, sizeof *reader->cells);
        }
        for (size_t i = reader->record.count; i < count; i++)
            reader->cells[i] = (struct cell){NULL, 0, CELL_ABSENT, 0};
        reader->record.count = count;
        reader->record.cells = reader->cells;
    }
    return &reader->cells[column];
}

static const char *broken(struct json_reader *reader, const char *at, const char *why)
{
    if (reader->record.flaw == RECORD_FINE) {
        reader->record.flaw = RECORD_NOT_JSON;
        reader->record.flaw_at = at;
        reader->record.flaw_text = why;
    }
    return NULL;
}

static const char *read_object(struct json_reader *reader, const char *p, uint32_t parent, unsigned depth);

static const char *read_member(struct json_reader *reader, const char *p, uint32_t number, unsigned depth)
{
    const char *end = reader->end;
    if (p < end && *p == '{') {
        const char *inside = json_skip_space(p + 1, end);
        if (inside >= end || *inside != '}')
            return depth ? read_object(reader, p, number, depth - 1) : broken(reader, p, "nested too deeply");
        struct cell *empty = cell_of(reader, number);
        if (!empty)
            return broken(reader, p, "more than 10000 different keys");
        *empty = (struct cell){p, (uint32_t)(inside + 1 - p), CELL_JSON_OBJECT, 0};
        return inside + 1;
    }
    struct cell *cell = cell_of(reader, number);
    if (!cell)
        return broken(reader, p, "more than 10000 different keys");
    if (p < end && *p == '[') {
        uint8_t class = CLASS_JSON;
        const char *stop = depth ? json_take_array(p, end, depth - 1, &class) : NULL;
        if (!stop)
            return broken(reader, p, "an array that is not valid JSON");
        *cell = (struct cell){p, (uint32_t)(stop - p), CELL_JSON_ARRAY, class};
        return stop;
    }
    const char *stop = json_take_scalar(p, end, cell);
    return stop ? stop : broken(reader, p, "not a JSON value");
}

/* The node for the key whose text is [key, key + length): the guess first. */
static uint32_t match_key(struct json_reader *reader, uint32_t parent, uint32_t previous, const char *key,
                          size_t length, bool escaped)
{
    uint32_t guess = reader->nodes[previous].follow;
    const struct json_node *node = &reader->nodes[guess];
    if (guess != ROOT && !escaped && node->parent == parent && node->key_length == length &&
        memcmp(node->key, key, length) == 0)
        return guess;
    if (escaped) {
        tn_buf_clear(&reader->scratch);
        length = json_unescape(key, length, tn_buf_reserve(&reader->scratch, length + 1));
        key = reader->scratch.data;
    }
    /* Paths are C strings; a key with a zero byte in it ends there. */
    length = strnlen(key, length);
    uint32_t number = find_node(reader, parent, key, length);
    if (number != UINT32_MAX)
        reader->nodes[previous].follow = number;
    return number;
}

static const char *read_object(struct json_reader *reader, const char *p, uint32_t parent, unsigned depth)
{
    const char *end = reader->end;
    uint32_t previous = parent;
    p = json_skip_space(p + 1, end);
    if (p < end && *p == '}')
        return p + 1;
    for (;;) {
        bool escaped;
        if (p >= end || *p != '"')
            return broken(reader, p, "a key in double quotes is missing");
        const char *key = p + 1;
        p = json_take_string(key, end, &escaped);
        if (!p)
            return broken(reader, key, "a key that is not a valid JSON string");
        uint32_t number = match_key(reader, parent, previous, key, (size_t)(p - key - 1), escaped);
        if (number == UINT32_MAX)
            return broken(reader, key, "more than 10000 different keys");
        p = json_skip_space(p, end);
        if (p >= end || *p != ':')
            return broken(reader, p, "no colon behind a key");
        p = read_member(reader, json_skip_space(p + 1, end), number, depth);
        if (!p)
            return NULL;
        previous = number;
        p = json_skip_space(p, end);
        if (p < end && *p == '}')
            return p + 1;
        if (p >= end || *p != ',')
            return broken(reader, p, "neither a comma nor the object's end behind a value");
        p = json_skip_space(p + 1, end);
    }
}

/* Where the next record begins; NULL at the end of the block. */
static const char *next_start(struct json_reader *reader)
{
    const char *p = json_skip_space(reader->at, reader->end);
    if (reader->layout == LAYOUT_LINES)
        return p < reader->end ? p : NULL;
    if (reader->layout == LAYOUT_ARRAY && p < reader->end) {
        if (*p == ',' && !reader->first) {
            p = json_skip_space(p + 1, reader->end);
        } else if (*p == ']') {
            reader->closed = true;
            p = json_skip_space(p + 1, reader->end);
            if (p < reader->end)
                broken(reader, p, "text behind the array's end");
        } else if (!reader->first) {
            broken(reader, p, "no comma between records");
        }
    }
    return p < reader->end ? p : NULL;
}

/* The record as far as its end can be told without understanding it. */
static const char *resync(const struct json_reader *reader, const char *start)
{
    if (reader->layout == LAYOUT_LINES) {
        const char *newline = memchr(start, '\n', (size_t)(reader->end - start));
        return newline ? newline : reader->end;
    }
    const char *stop = json_skip_value(start, reader->end);
    return !stop ? reader->end : stop == start ? start + 1 : stop;
}

static bool next_record(struct json_reader *reader)
{
    struct record *record = &reader->record;
    for (size_t i = 0; i < record->count; i++)
        reader->cells[i].kind = CELL_ABSENT;
    record->flaw = RECORD_FINE;
    const char *start = next_start(reader), *stop = NULL;
    if (!start)
        return false;
    const char *end = reader->end;
    record->start = start;
    if (record->flaw == RECORD_FINE) {
        if (*start == '{') {
            stop = read_object(reader, start, ROOT, JSON_RECORDS_DEPTH);
        } else {
            stop = json_take_value(start, end, JSON_RECORDS_DEPTH);
            if (stop) {
                record->flaw = RECORD_NOT_OBJECT;
                record->flaw_at = start;
                record->flaw_text = NULL;
            } else {
                broken(reader, start, "not a JSON value");
            }
        }
    }
    if (stop && reader->layout == LAYOUT_LINES) {
        const char *rest = stop;
        while (rest < end && (*rest == ' ' || *rest == '\t' || *rest == '\r'))
            rest++;
        if (rest < end && *rest != '\n')
            stop = broken(reader, rest, "text behind the object on its line");
    }
    if (record->flaw != RECORD_FINE)
        stop = resync(reader, start);
    record->length = (size_t)(stop - start);
    reader->at = stop;
    reader->first = false;
    return true;
}

/* In lines, a record ends with its line whatever is in it: where a block was
 * cut must not matter. */
bool json_reader_next(struct json_reader *reader)
{
    const char *start = json_skip_space(reader->at, reader->end), *end = reader->end;
    const char *newline = NULL;
    if (reader->layout == LAYOUT_LINES && start < end)
        newline = memchr(start, '\n', (size_t)(end - start));
    if (newline)
        reader->end = newline;
    bool there = next_record(reader);
    reader->end = end;
    return there;
}
