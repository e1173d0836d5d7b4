/* Files of vectors: .npy, .fvecs, .ivecs. */
#ifndef TARN_VECTOR_TOOL_INPUT_H
#define TARN_VECTOR_TOOL_INPUT_H

#include "base/error.h"
#include "base/mem.h"
#include "vector/vector.h"

enum input_element { INPUT_F32, INPUT_F16, INPUT_I32, INPUT_I64, INPUT_U8 };

/* A matrix over a mapped file; rows lie `stride` bytes apart. */
struct input {
    enum input_element element;
    uint64_t rows;
    uint64_t columns; /* 1 for a one-dimensional .npy */
    const unsigned char *data;
    size_t stride;
    void *map; /* NULL: the bytes are the caller's */
    size_t map_size;
};

/* The kind is told by the name's end. */
enum tn_code input_open(const char *path, struct input *ret, struct tn_error *err) TN_CHECKED;
/* The same over bytes in memory, borrowed. For tests and the fuzzer. */
enum tn_code input_parse(const char *name, const void *bytes, size_t size, struct input *ret,
                         struct tn_error *err) TN_CHECKED;
void input_release(struct input *input);

/* Vectors as the library takes them; the element must be f32 or f16. */
enum tn_code input_rows(const struct input *input, const char *name, struct vector_rows *ret,
                        struct tn_error *err) TN_CHECKED;
/* A packed float32 copy of up to `most` rows (0: all). */
enum tn_code input_floats(const struct input *input, const char *name, uint64_t most, float **ret,
                          struct tn_error *err) TN_CHECKED;
int64_t input_integer(const struct input *input, uint64_t row, uint64_t column);
/* A column of ids, copied. */
enum tn_code input_ids(const char *path, int64_t **ret, uint64_t *ret_count, struct tn_error *err) TN_CHECKED;

/* A matrix of float32 or int64 as .npy, or (by the name's end) .fvecs or .ivecs. */
enum tn_code output_write(const char *path, const void *data, enum input_element element, uint64_t rows,
                          uint64_t columns, struct tn_error *err) TN_CHECKED;

#endif
