/* What the tests of small files read Parquet with: its Thrift as a tree of
 * numbered fields, and the cells of a column back in their single-value form.
 * It knows Parquet's own numbers alone, and none of the writer's code. */
#ifndef TARN_ICEBERG_PARQUET_TEST_H
#define TARN_ICEBERG_PARQUET_TEST_H

#include "iceberg/test_support.h"

#include <zstd.h>

struct parquet_in {
    struct tn_arena *arena;
    const uint8_t *at, *end;
};

/* A field of a struct or an item of a list. */
struct parquet_node {
    int field;                   /* its number; 0 for an item */
    unsigned type;               /* of the compact protocol */
    int64_t number;              /* integers and booleans */
    struct iceberg_bytes bytes;  /* text and binary */
    struct parquet_node **parts; /* fields or items */
    size_t count;
};

struct parquet_file {
    struct tn_arena *arena;
    const uint8_t *bytes;
    size_t length;
    const struct parquet_node *footer, *group;
};

static inline uint8_t parquet_byte(struct parquet_in *in)
{
    assert_true(in->at < in->end);
    return *in->at++;
}

static inline uint64_t parquet_varint(struct parquet_in *in)
{
    uint64_t bits = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = parquet_byte(in);
        assert_true(shift < 64);
        bits |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80))
            return bits;
    }
}

static inline int64_t parquet_signed(struct parquet_in *in)
{
    uint64_t bits = parquet_varint(in);
    return (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
}

static inline struct parquet_node *parquet_node_read(struct parquet_in *in, unsigned type);

static inline void parquet_node_add(struct parquet_in *in, struct parquet_node *node, struct parquet_node *part)
{
    struct parquet_node **parts = TN_ARENA_ARRAY(in->arena, struct parquet_node *, node->count + 1);
    if (node->count)
        memcpy(parts, node->parts, node->count * sizeof(struct parquet_node *));
    parts[node->count++] = part;
    node->parts = parts;
}

static inline void parquet_fields(struct parquet_in *in, struct parquet_node *node)
{
    int last = 0;
    for (;;) {
        uint8_t header = parquet_byte(in);
        if (header == 0)
            return;
        int field = header >> 4 ? last + (header >> 4) : (int)parquet_signed(in);
        assert_true(field > last);
        struct parquet_node *part = parquet_node_read(in, header & 0x0F);
        part->field = last = field;
        parquet_node_add(in, node, part);
    }
}

static inline void parquet_items(struct parquet_in *in, struct parquet_node *node)
{
    uint8_t header = parquet_byte(in);
    uint64_t count = header >> 4;
    if (count == 15) {
        count = parquet_varint(in);
        assert_true(count >= 15);
    }
    for (uint64_t i = 0; i < count; i++)
        parquet_node_add(in, node, parquet_node_read(in, header & 0x0F));
}

static inline struct parquet_node *parquet_node_read(struct parquet_in *in, unsigned type)
{
    struct parquet_node *node = tn_arena_alloc(in->arena, sizeof *node);
    node->type = type;
    switch (type) {
    case 1: /* true, false: the type is the value */
    case 2:
        node->number = type == 1;
        break;
    case 4: /* integers of 16, 32 and 64 bits */
    case 5:
    case 6:
        node->number = parquet_signed(in);
        break;
    case 8:
        node->bytes.length = parquet_varint(in);
        assert_true(node->bytes.length <= (size_t)(in->end - in->at));
        node->bytes.data = in->at;
        in->at += node->bytes.length;
        break;
    case 9:
        parquet_items(in, node);
        break;
    case 12:
        parquet_fields(in, node);
        break;
    default:
        fail_msg("a value of the unknown type %u", type);
    }
    return node;
}

/* The field of that number, or NULL. */
static inline const struct parquet_node *parquet_find(const struct parquet_node *node, int field)
{
    for (size_t i = 0; i < node->count; i++)
        if (node->parts[i]->field == field)
            return node->parts[i];
    return NULL;
}

static inline const struct parquet_node *parquet_get(const struct parquet_node *node, int field)
{
    const struct parquet_node *found = parquet_find(node, field);
    if (!found)
        fail_msg("the field %d is missing", field);
    return found;
}

static inline int64_t parquet_number(const struct parquet_node *node, int field)
{
    return parquet_get(node, field)->number;
}

/* -1 when it is not there. */
static inline int64_t parquet_option(const struct parquet_node *node, int field)
{
    const struct parquet_node *found = parquet_find(node, field);
    return found ? found->number : -1;
}

static inline uint32_t parquet_le32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline struct parquet_file parquet_open(struct tn_arena *arena, const void *bytes, size_t length)
{
    struct parquet_file file = {.arena = arena, .bytes = bytes, .length = length};
    assert_true(length > 12);
    assert_memory_equal(file.bytes, "PAR1", 4);
    assert_memory_equal(file.bytes + length - 4, "PAR1", 4);
    uint32_t footer = parquet_le32(file.bytes + length - 8);
    assert_true(footer <= length - 12);
    struct parquet_in in = {arena, file.bytes + length - 8 - footer, file.bytes + length - 8};
    file.footer = parquet_node_read(&in, 12);
    assert_ptr_equal(in.at, in.end);
    assert_int_equal(parquet_get(file.footer, 4)->count, 1);
    file.group = parquet_get(file.footer, 4)->parts[0];
    return file;
}

static inline const struct parquet_node *parquet_element(const struct parquet_file *file, size_t column)
{
    return parquet_get(file->footer, 2)->parts[column + 1];
}

/* ColumnMetaData. */
static inline const struct parquet_node *parquet_chunk(const struct parquet_file *file, size_t column)
{
    return parquet_get(parquet_get(file->group, 1)->parts[column], 3);
}

static inline const struct parquet_node *parquet_statistics(const struct parquet_file *file, size_t column)
{
    return parquet_get(parquet_chunk(file, column), 12);
}

/* The page at in->at: its header, and a reader of its plain body. */
static inline const struct parquet_node *parquet_page(struct parquet_in *in, int64_t codec,
                                                      struct parquet_in *ret_body)
{
    const struct parquet_node *header = parquet_node_read(in, 12);
    size_t plain = (size_t)parquet_number(header, 2), stored = (size_t)parquet_number(header, 3);
    assert_true(stored <= (size_t)(in->end - in->at));
    *ret_body = (struct parquet_in){in->arena, in->at, in->at + stored};
    in->at += stored;
    if (codec != 0) {
        assert_int_equal(codec, 6);
        uint8_t *room = tn_arena_alloc(in->arena, plain + 1);
        assert_int_equal(ZSTD_decompress(room, plain, ret_body->at, stored), plain);
        *ret_body = (struct parquet_in){in->arena, room, room + plain};
    } else {
        assert_int_equal(plain, stored);
    }
    return header;
}

/* `count` bits in runs and packs; numbers of one bit. */
static inline bool *parquet_hybrid(struct parquet_in *in, size_t count)
{
    bool *bits = TN_ARENA_ARRAY(in->arena, bool, count + 8);
    for (size_t done = 0; done < count;) {
        uint64_t header = parquet_varint(in);
        if (header & 1) {
            size_t packed = (size_t)(header >> 1) * 8;
            assert_true(packed >= 8 && packed <= count - done + 7);
            for (size_t i = 0; i < packed; i += 8) {
                uint8_t byte = parquet_byte(in);
                for (size_t bit = 0; bit < 8 && done < count + 8; bit++)
                    bits[done++] = byte >> bit & 1;
            }
        } else {
            size_t run = (size_t)(header >> 1);
            uint8_t value = parquet_byte(in);
            assert_true(run >= 1 && run <= count - done && value <= 1);
            while (run--)
                bits[done++] = value;
        }
    }
    return bits;
}

static inline struct iceberg_bytes parquet_take(struct parquet_in *in, size_t length)
{
    assert_true(length <= (size_t)(in->end - in->at));
    struct iceberg_bytes taken = {in->at, length};
    in->at += length;
    return taken;
}

/* One value in PLAIN; booleans are read elsewhere. */
static inline struct iceberg_bytes parquet_plain(struct parquet_in *in, const struct parquet_node *element)
{
    static const size_t widths[] = {0, 4, 8, 12, 4, 8};
    int64_t type = parquet_number(element, 1);
    if (type == 7)
        return parquet_take(in, (size_t)parquet_number(element, 2));
    if (type == 6)
        return parquet_take(in, parquet_le32(parquet_take(in, 4).data));
    assert_in_range(type, 1, 5);
    return parquet_take(in, widths[type]);
}

/* The one entry of a column's dictionary; {NULL} when it has none. */
static inline struct iceberg_bytes parquet_dictionary(const struct parquet_file *file, size_t column)
{
    const struct parquet_node *chunk = parquet_chunk(file, column), *offset = parquet_find(chunk, 11);
    struct parquet_in in = {file->arena, file->bytes, file->bytes + file->length}, body;
    if (!offset)
        return (struct iceberg_bytes){NULL, 0};
    in.at += offset->number;
    const struct parquet_node *header = parquet_page(&in, parquet_number(chunk, 4), &body);
    assert_int_equal(parquet_number(header, 1), 2);
    assert_int_equal(parquet_number(parquet_get(header, 7), 1), 1);
    assert_int_equal(parquet_number(parquet_get(header, 7), 2), 0);
    assert_int_equal(in.at - file->bytes, parquet_number(chunk, 9));
    return parquet_plain(&body, parquet_element(file, column));
}

/* The body of the column's data page; its header and the sizes are checked. */
static inline struct parquet_in parquet_data_page(const struct parquet_file *file, size_t column, bool dictionary)
{
    const struct parquet_node *chunk = parquet_chunk(file, column);
    struct parquet_in in = {file->arena, file->bytes, file->bytes + file->length}, body;
    const uint8_t *start = file->bytes + parquet_number(chunk, dictionary ? 11 : 9);
    in.at += parquet_number(chunk, 9);
    const struct parquet_node *header = parquet_page(&in, parquet_number(chunk, 4), &body);
    const struct parquet_node *data = parquet_get(header, 5);
    assert_int_equal(parquet_number(header, 1), 0);
    assert_int_equal(in.at - start, parquet_number(chunk, 7));
    assert_int_equal(parquet_number(data, 1), parquet_number(file->footer, 3));
    assert_int_equal(parquet_number(data, 2), dictionary ? 8 : 0);
    assert_int_equal(parquet_number(data, 3), 3);
    assert_int_equal(parquet_number(data, 4), 3);
    return body;
}

/* Which rows have a value; NULL: all. */
static inline bool *parquet_levels(struct parquet_in *body, const struct parquet_node *element, size_t rows)
{
    if (parquet_number(element, 3) == 0)
        return NULL;
    struct iceberg_bytes taken = parquet_take(body, parquet_le32(parquet_take(body, 4).data));
    struct parquet_in levels = {body->arena, taken.data, taken.data + taken.length};
    bool *there = parquet_hybrid(&levels, rows);
    assert_ptr_equal(levels.at, levels.end);
    return there;
}

/* All cells of a column as they lie in PLAIN, {NULL} for NULL. */
static inline struct iceberg_bytes *parquet_cells(const struct parquet_file *file, size_t column)
{
    static const uint8_t truth[] = {0, 1};
    const struct parquet_node *element = parquet_element(file, column);
    size_t rows = (size_t)parquet_number(file->footer, 3), bit = 0;
    struct iceberg_bytes *cells = TN_ARENA_ARRAY(file->arena, struct iceberg_bytes, rows);
    struct iceberg_bytes entry = parquet_dictionary(file, column);
    struct parquet_in body = parquet_data_page(file, column, entry.data != NULL);
    bool *there = parquet_levels(&body, element, rows);
    if (entry.data) {
        assert_int_equal(parquet_byte(&body), 1);
        bool *indexes = parquet_hybrid(&body, rows);
        for (size_t row = 0; row < rows; row++)
            assert_false(indexes[row]);
    }
    for (size_t row = 0; row < rows; row++) {
        if (there && !there[row])
            continue;
        if (entry.data) {
            cells[row] = entry;
        } else if (parquet_number(element, 1) != 0) {
            cells[row] = parquet_plain(&body, element);
        } else {
            assert_true(body.at + bit / 8 < body.end);
            cells[row] = (struct iceberg_bytes){&truth[body.at[bit / 8] >> bit % 8 & 1], 1};
            bit++;
        }
    }
    body.at += (bit + 7) / 8;
    assert_ptr_equal(body.at, body.end);
    return cells;
}

#endif
