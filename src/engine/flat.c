/* See flat.h. */
#include "engine/flat.h"

static size_t here(const struct flat *flat)
{
    return flat->out->len - flat->base;
}

static void put_zeros(struct flat *flat, size_t count)
{
    memset(tn_buf_reserve(flat->out, count), 0, count);
    flat->out->len += count;
}

/* So that the byte `ahead` bytes from here is aligned. */
static void align(struct flat *flat, size_t alignment, size_t ahead)
{
    put_zeros(flat, (alignment - (here(flat) + ahead) % alignment) % alignment);
}

struct flat flat_begin(struct tn_buf *out)
{
    struct flat flat = {.out = out, .base = out->len};
    put_zeros(&flat, 4); /* the root's offset */
    return flat;
}

void flat_set(struct flat *flat, size_t field, int64_t value, size_t size)
{
    memcpy(flat->out->data + flat->base + field, &value, size);
}

void flat_link(struct flat *flat, size_t field, size_t target)
{
    flat_set(flat, field, (int64_t)(target - field), 4);
}

struct flat_table flat_table(struct flat *flat, const unsigned char *sizes, size_t count)
{
    struct flat_table table = {0};
    size_t vtable_size = 4 + 2 * count;
    size_t table_size = 4;
    uint16_t offsets[FLAT_FIELDS] = {0};
    for (size_t i = 0; i < count; i++) {
        if (!sizes[i])
            continue;
        table_size = (table_size + sizes[i] - 1) / sizes[i] * sizes[i];
        offsets[i] = (uint16_t)table_size;
        table_size += sizes[i];
    }
    align(flat, 8, vtable_size); /* the table itself begins at a multiple of 8 */
    size_t vtable = here(flat);
    put_zeros(flat, vtable_size + table_size);
    table.at = vtable + vtable_size;
    flat_set(flat, vtable, (int64_t)vtable_size, 2);
    flat_set(flat, vtable + 2, (int64_t)table_size, 2);
    for (size_t i = 0; i < count; i++) {
        flat_set(flat, vtable + 4 + 2 * i, offsets[i], 2);
        table.fields[i] = offsets[i] ? table.at + offsets[i] : 0;
    }
    flat_set(flat, table.at, (int64_t)(table.at - vtable), 4);
    return table;
}

size_t flat_string(struct flat *flat, const char *text)
{
    size_t length = strlen(text);
    align(flat, 4, 0);
    size_t at = here(flat);
    put_zeros(flat, 4);
    flat_set(flat, at, (int64_t)length, 4);
    tn_buf_append(flat->out, text, length);
    put_zeros(flat, 1);
    return at;
}

size_t flat_vector(struct flat *flat, size_t count, size_t element_size, size_t alignment)
{
    align(flat, TN_MAX(alignment, (size_t)4), 4);
    size_t at = here(flat);
    put_zeros(flat, 4 + tn_size_mul(count, element_size));
    flat_set(flat, at, (int64_t)count, 4);
    return at;
}
