/* Readers of vector files. All are mapped, never slurped; whatever a header
 * claims is checked against the file's size before it becomes an address. */
#include "vector/tool/input.h"

#include "base/fs.h"
#include "base/str.h"
#include "vector/kernels.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t element_bytes(enum input_element element)
{
    static const size_t bytes[] = {4, 2, 4, 8, 1};
    return bytes[element];
}

/* The text behind 'key': in a .npy header; NULL when it is not there. */
static const char *npy_value(const char *header, const char *key)
{
    TN_AUTO_FREE char *quoted = tn_asprintf("'%s':", key);
    const char *at = strstr(header, quoted);
    if (!at)
        return NULL;
    at += strlen(quoted);
    while (*at == ' ')
        at++;
    return at;
}

static bool npy_element(const char *descr, enum input_element *ret)
{
    static const struct {
        const char *word;
        enum input_element element;
    } known[] = {{"'<f4'", INPUT_F32}, {"'<f2'", INPUT_F16}, {"'<i4'", INPUT_I32},
                 {"'<i8'", INPUT_I64}, {"'|u1'", INPUT_U8},  {"'|b1'", INPUT_U8}};
    for (size_t i = 0; i < TN_COUNT(known); i++)
        if (tn_str_starts_with(descr, known[i].word)) {
            *ret = known[i].element;
            return true;
        }
    return false;
}

/* "(12, 34)" or "(12,)": at most 2^48 each. */
static bool npy_shape(const char *p, uint64_t ret[2], int *ret_count)
{
    int count = 0;
    if (*p++ != '(')
        return false;
    for (;;) {
        while (*p == ' ' || *p == ',')
            p++;
        if (*p == ')')
            break;
        if (*p < '0' || *p > '9' || count == 2)
            return false;
        uint64_t value = 0;
        for (; *p >= '0' && *p <= '9'; p++) {
            value = value * 10 + (uint64_t)(*p - '0');
            if (value > UINT64_C(1) << 48)
                return false;
        }
        ret[count++] = value;
    }
    *ret_count = count;
    return count >= 1;
}

static enum tn_code parse_npy(const char *name, const unsigned char *bytes, size_t size, struct input *ret,
                              struct tn_error *err)
{
    if (size < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return tn_fail(err, TN_EUNREADABLE, "%s: not a .npy file", name);
    size_t length, start;
    if (bytes[6] == 1) {
        length = bytes[8] | (size_t)bytes[9] << 8;
        start = 10;
    } else {
        length = bytes[8] | (size_t)bytes[9] << 8 | (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
        start = 12;
    }
    if (length > size - start || length > 65536)
        return tn_fail(err, TN_EUNREADABLE, "%s: the header does not fit the file", name);
    TN_AUTO_FREE char *header = tn_strndup((const char *)bytes + start, length);
    const char *descr = npy_value(header, "descr");
    const char *order = npy_value(header, "fortran_order");
    const char *shape = npy_value(header, "shape");
    struct input input = {.data = bytes + start + length};
    uint64_t dims[2] = {0, 1};
    int count = 0;
    if (!descr || !npy_element(descr, &input.element))
        return tn_fail(err, TN_EUNREADABLE, "%s: elements must be float32, float16, int32, int64 or uint8", name);
    if (!shape || !npy_shape(shape, dims, &count))
        return tn_fail(err, TN_EUNREADABLE, "%s: the shape must have one or two dimensions", name);
    if (!order || (count == 2 && !tn_str_starts_with(order, "False")))
        return tn_fail(err, TN_EUNREADABLE, "%s: rows must lie one behind the other (C order)", name);
    input.rows = dims[0];
    input.columns = dims[1];
    size_t width = element_bytes(input.element);
    size_t have = size - start - length;
    if (input.columns > have / width + 1 || (input.columns && input.rows > have / (input.columns * width)))
        return tn_fail(err, TN_EUNREADABLE, "%s: the file ends before its last row", name);
    input.stride = input.columns * width;
    *ret = input;
    return TN_OK;
}

/* Each row is a 32-bit count and that many 32-bit elements; all counts equal. */
static enum tn_code parse_vecs(const char *name, const unsigned char *bytes, size_t size, enum input_element element,
                               struct input *ret, struct tn_error *err)
{
    uint32_t columns = 0;
    if (size >= 4)
        memcpy(&columns, bytes, 4);
    if (columns == 0 || columns > 1000000)
        return tn_fail(err, TN_EUNREADABLE, "%s: the first row says it has %u elements", name, columns);
    size_t stride = 4 + (size_t)columns * 4;
    if (size % stride)
        return tn_fail(err, TN_EUNREADABLE, "%s: the file does not end with a row", name);
    for (size_t at = 0; at < size; at += stride) {
        uint32_t here;
        memcpy(&here, bytes + at, 4);
        if (here != columns)
            return tn_fail(err, TN_EUNREADABLE, "%s: row %zu has %u elements, the first has %u", name, at / stride,
                           here, columns);
    }
    *ret = (struct input){
        .element = element, .rows = size / stride, .columns = columns, .data = bytes + 4, .stride = stride};
    return TN_OK;
}

enum tn_code input_parse(const char *name, const void *bytes, size_t size, struct input *ret, struct tn_error *err)
{
    if (tn_str_ends_with(name, ".npy"))
        return parse_npy(name, bytes, size, ret, err);
    if (tn_str_ends_with(name, ".fvecs"))
        return parse_vecs(name, bytes, size, INPUT_F32, ret, err);
    if (tn_str_ends_with(name, ".ivecs"))
        return parse_vecs(name, bytes, size, INPUT_I32, ret, err);
    (void)tn_fail(err, TN_EUNREADABLE, "%s: not a known kind of file", name);
    tn_error_hint(err, "names must end in .npy, .fvecs or .ivecs");
    return TN_EUNREADABLE;
}

enum tn_code input_open(const char *path, struct input *ret, struct tn_error *err)
{
    TN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return tn_fail_errno(err, errno, "cannot open %s", path);
    if (st.st_size == 0)
        return tn_fail(err, TN_EUNREADABLE, "%s is empty", path);
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return tn_fail_errno(err, errno, "cannot map %s", path);
    enum tn_code code = input_parse(path, map, (size_t)st.st_size, ret, err);
    if (code != TN_OK) {
        (void)munmap(map, (size_t)st.st_size);
        return code;
    }
    ret->map = map;
    ret->map_size = (size_t)st.st_size;
    return TN_OK;
}

void input_release(struct input *input)
{
    if (input->map)
        (void)munmap(input->map, input->map_size);
    memset(input, 0, sizeof *input);
}

enum tn_code input_rows(const struct input *input, const char *name, struct vector_rows *ret, struct tn_error *err)
{
    if (input->element != INPUT_F32 && input->element != INPUT_F16)
        return tn_fail(err, TN_EUNREADABLE, "%s: vectors must be float32 or float16", name);
    if (input->rows == 0 || input->columns > VECTOR_DIMENSIONS_MAX)
        return tn_fail(err, TN_EUNREADABLE, "%s: %llu rows of %llu dimensions", name, (unsigned long long)input->rows,
                       (unsigned long long)input->columns);
    *ret = (struct vector_rows){.count = input->rows,
                                .dims = (uint32_t)input->columns,
                                .type = input->element == INPUT_F16 ? VECTOR_F16 : VECTOR_F32,
                                .data = input->data,
                                .stride = input->stride};
    return TN_OK;
}

enum tn_code input_floats(const struct input *input, const char *name, uint64_t most, float **ret,
                          struct tn_error *err)
{
    struct vector_rows rows = {0};
    TN_TRY(input_rows(input, name, &rows, err));
    uint64_t count = most ? TN_MIN(most, rows.count) : rows.count;
    float *out = tn_try_malloc(count * rows.dims * sizeof *out);
    if (!out)
        return tn_fail(err, TN_ENOMEM, "not enough memory for %llu queries", (unsigned long long)count);
    for (uint64_t i = 0; i < count; i++) {
        const unsigned char *from = input->data + i * input->stride;
        if (rows.type == VECTOR_F32) {
            memcpy(out + i * rows.dims, from, rows.dims * sizeof *out);
            continue;
        }
        for (uint32_t d = 0; d < rows.dims; d++) {
            uint16_t half;
            memcpy(&half, from + 2 * (size_t)d, 2);
            out[i * rows.dims + d] = vector_half_to_float(half);
        }
    }
    *ret = out;
    return TN_OK;
}

int64_t input_integer(const struct input *input, uint64_t row, uint64_t column)
{
    const unsigned char *p = input->data + row * input->stride + column * element_bytes(input->element);
    if (input->element == INPUT_I64) {
        int64_t value;
        memcpy(&value, p, 8);
        return value;
    }
    if (input->element == INPUT_I32) {
        int32_t value;
        memcpy(&value, p, 4);
        return value;
    }
    return input->element == INPUT_U8 ? *p : 0;
}

enum tn_code input_ids(const char *path, int64_t **ret, uint64_t *ret_count, struct tn_error *err)
{
    TN_CLEANUP(input_release) struct input input = {0};
    TN_TRY(input_open(path, &input, err));
    if (input.element != INPUT_I64 && input.element != INPUT_I32)
        return tn_fail(err, TN_EUNREADABLE, "%s: ids must be int64 or int32", path);
    uint64_t count = input.rows * input.columns;
    int64_t *ids = tn_try_malloc(count * sizeof *ids + 1);
    if (!ids)
        return tn_fail(err, TN_ENOMEM, "not enough memory for %llu ids", (unsigned long long)count);
    for (uint64_t i = 0; i < count; i++)
        ids[i] = input_integer(&input, i / input.columns, i % input.columns);
    *ret = ids;
    *ret_count = count;
    return TN_OK;
}

/* ---- output ---- */

static enum tn_code write_vecs(int fd, const char *path, const void *data, enum input_element element, uint64_t rows,
                               uint64_t columns, struct tn_error *err)
{
    TN_AUTO_FREE int32_t *row = tn_realloc_array(NULL, columns + 1, sizeof *row);
    for (uint64_t i = 0; i < rows; i++) {
        row[0] = (int32_t)columns;
        if (element == INPUT_F32)
            memcpy(row + 1, (const float *)data + i * columns, columns * 4);
        else
            for (uint64_t j = 0; j < columns; j++)
                row[1 + j] = (int32_t)((const int64_t *)data)[i * columns + j];
        TN_TRY(tn_write_all(fd, row, (columns + 1) * 4, path, err));
    }
    return TN_OK;
}

enum tn_code output_write(const char *path, const void *data, enum input_element element, uint64_t rows,
                          uint64_t columns, struct tn_error *err)
{
    TN_AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return tn_fail_errno(err, errno, "cannot create %s", path);
    if (tn_str_ends_with(path, ".fvecs") || tn_str_ends_with(path, ".ivecs"))
        return write_vecs(fd, path, data, element, rows, columns, err);
    char header[128];
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\1\0", 8);
    header[8] = (char)(sizeof header - 10);
    header[9] = 0;
    int length =
        snprintf(header + 10, sizeof header - 10, "{'descr': '%s', 'fortran_order': False, 'shape': (%llu, %llu), }",
                 element == INPUT_F32 ? "<f4" : "<i8", (unsigned long long)rows, (unsigned long long)columns);
    header[10 + length] = ' ';
    header[sizeof header - 1] = '\n';
    TN_TRY(tn_write_all(fd, header, sizeof header, path, err));
    return tn_write_all(fd, data, rows * columns * element_bytes(element), path, err);
}
