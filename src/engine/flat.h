/* Flatbuffers, written forwards: a table before what it points to.
 *
 * The format wants little more than alignment and relative offsets; parents
 * come first here and their offsets are patched when the child's place is
 * known. Little endian only, as Arrow is. Private to the engine.
 */
#ifndef TARN_ENGINE_FLAT_H
#define TARN_ENGINE_FLAT_H

#include "base/base.h"

struct flat {
    struct tn_buf *out;
    size_t base; /* where the flatbuffer begins in `out` */
};

#define FLAT_FIELDS 8

/* A table in the making: where each field lies, 0 for one that is absent. */
struct flat_table {
    size_t at;
    size_t fields[FLAT_FIELDS];
};

/* Begins a flatbuffer; the root offset is patched by flat_link(flat, base). */
struct flat flat_begin(struct tn_buf *out);
/* sizes[i] is 0 (absent), 1, 2, 4 or 8 bytes. The fields are zero. */
struct flat_table flat_table(struct flat *flat, const unsigned char *sizes, size_t count);
void flat_set(struct flat *flat, size_t field, int64_t value, size_t size);
/* Makes the offset at `field` point to `target`. */
void flat_link(struct flat *flat, size_t field, size_t target);
size_t flat_string(struct flat *flat, const char *text);
/* A vector of `count` elements, zeroed and aligned; returns where it is. The
 * elements begin 4 bytes behind. */
size_t flat_vector(struct flat *flat, size_t count, size_t element_size, size_t alignment);

#endif
