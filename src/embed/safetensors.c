/* Reading safetensors. The file is read, not mapped: it may be cut short by
 * somebody else while it is imported, and a read notices that. */
#include "embed/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name;
    enum safetensors_type type;
    unsigned bytes;
} types[] = {
    {"F32", SAFETENSORS_F32, 4},    {"F16", SAFETENSORS_F16, 2},   {"BF16", SAFETENSORS_BF16, 2},
    {"F64", SAFETENSORS_OTHER, 8},  {"I64", SAFETENSORS_OTHER, 8}, {"U64", SAFETENSORS_OTHER, 8},
    {"I32", SAFETENSORS_OTHER, 4},  {"U32", SAFETENSORS_OTHER, 4}, {"I16", SAFETENSORS_OTHER, 2},
    {"U16", SAFETENSORS_OTHER, 2},  {"I8", SAFETENSORS_OTHER, 1},  {"U8", SAFETENSORS_OTHER, 1},
    {"BOOL", SAFETENSORS_OTHER, 1},
};

enum tn_code safetensors_header_length(const unsigned char first[8], uint64_t file_bytes, uint64_t *ret,
                                       struct tn_error *err)
{
    uint64_t length = 0;
    for (size_t i = 8; i-- > 0;)
        length = length << 8 | first[i];
    if (length < 2 || length > SAFETENSORS_HEADER_MAX || length > file_bytes - 8)
        return tn_fail(err, TN_ECORRUPT, "not a safetensors file: its header would have %llu bytes",
                       (unsigned long long)length);
    *ret = length;
    return TN_OK;
}

static bool read_number(const json_t *json, uint64_t *ret)
{
    if (!json_is_integer(json) || json_integer_value(json) < 0)
        return false;
    *ret = (uint64_t)json_integer_value(json);
    return true;
}

/* Bytes of the type and shape; false when they overflow. */
static bool entry_bytes(const struct safetensors_entry *entry, unsigned element, uint64_t *ret)
{
    uint64_t bytes = element;
    for (uint32_t i = 0; i < entry->dims; i++)
        if (__builtin_mul_overflow(bytes, entry->shape[i], &bytes))
            return false;
    *ret = bytes;
    return true;
}

static bool read_shape(const json_t *json, struct safetensors_entry *entry)
{
    if (!json_is_array(json) || json_array_size(json) > SAFETENSORS_DIMS_MAX)
        return false;
    entry->dims = (uint32_t)json_array_size(json);
    for (uint32_t i = 0; i < entry->dims; i++)
        if (!read_number(json_array_get(json, i), &entry->shape[i]))
            return false;
    return true;
}

static enum tn_code read_entry(const json_t *json, uint64_t data_begin, uint64_t file_bytes,
                               struct safetensors_entry *entry, struct tn_error *err)
{
    const json_t *offsets = json_object_get(json, "data_offsets");
    const char *dtype = json_string_value(json_object_get(json, "dtype"));
    uint64_t begin, end, bytes = 0;
    if (!dtype || json_array_size(offsets) != 2 || !read_number(json_array_get(offsets, 0), &begin) ||
        !read_number(json_array_get(offsets, 1), &end) || !read_shape(json_object_get(json, "shape"), entry))
        return tn_fail(err, TN_ECORRUPT, "tensor \"%s\" has no usable dtype, shape or data_offsets", entry->name);
    if (begin > end || end > file_bytes - data_begin)
        return tn_fail(err, TN_ECORRUPT, "tensor \"%s\" lies outside the file: it is cut short or damaged",
                       entry->name);
    unsigned element = 0;
    for (size_t i = 0; i < TN_COUNT(types); i++)
        if (tn_streq(types[i].name, dtype)) {
            entry->type = types[i].type;
            element = types[i].bytes;
        }
    /* A type unknown here belongs to a tensor that nobody will ask for. */
    if (element && (!entry_bytes(entry, element, &bytes) || bytes != end - begin))
        return tn_fail(err, TN_ECORRUPT, "tensor \"%s\" has %llu bytes, its shape needs others", entry->name,
                       (unsigned long long)(end - begin));
    if (!element)
        entry->type = SAFETENSORS_OTHER;
    entry->dtype = dtype;
    entry->begin = data_begin + begin;
    entry->end = data_begin + end;
    return TN_OK;
}

enum tn_code safetensors_parse(struct safetensors *st, const char *text, size_t length, uint64_t data_begin,
                               uint64_t file_bytes, struct tn_error *err)
{
    TN_AUTO_JSON *json = NULL;
    if (data_begin > file_bytes)
        return tn_fail(err, TN_ECORRUPT, "not a safetensors file: it ends within its header");
    TN_TRY(tn_json_parse(text, length, SAFETENSORS_HEADER_MAX, "the safetensors header", &json, err));
    if (!json_is_object(json))
        return tn_fail(err, TN_ECORRUPT, "the safetensors header is not an object");
    struct safetensors_entry *entries =
        TN_ARENA_ARRAY(st->arena, struct safetensors_entry, json_object_size(json) + 1);
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach(json, name, value)
    {
        if (tn_streq(name, "__metadata__"))
            continue;
        struct safetensors_entry *entry = &entries[count++];
        entry->name = tn_arena_strdup(st->arena, name);
        TN_TRY(read_entry(value, data_begin, file_bytes, entry, err));
        entry->dtype = tn_arena_strdup(st->arena, entry->dtype);
    }
    st->entries = entries;
    st->count = count;
    return TN_OK;
}

static enum tn_code read_header(struct safetensors *st, struct tn_error *err)
{
    struct stat info;
    if (fstat(st->fd, &info) < 0)
        return tn_fail_errno(err, errno, "cannot read %s", st->path);
    uint64_t size = (uint64_t)info.st_size;
    if (!S_ISREG(info.st_mode) || size < 8)
        return tn_fail(err, TN_ECORRUPT, "not a safetensors file: it has %llu bytes", (unsigned long long)size);
    unsigned char first[8];
    uint64_t length = 0;
    TN_TRY(tn_pread_all(st->fd, first, sizeof first, 0, st->path, err));
    TN_TRY(safetensors_header_length(first, size, &length, err));
    TN_AUTO_FREE char *json = tn_try_malloc(length);
    if (!json)
        return tn_fail(err, TN_ENOMEM, "no memory for a header of %llu bytes", (unsigned long long)length);
    TN_TRY(tn_pread_all(st->fd, json, length, 8, st->path, err));
    return safetensors_parse(st, json, length, 8 + length, size, err);
}

enum tn_code safetensors_open(const char *path, struct safetensors *ret, struct tn_error *err)
{
    TN_CLEANUP(safetensors_release) struct safetensors st = {.fd = -1, .arena = tn_arena_new()};
    st.path = tn_arena_strdup(st.arena, path);
    st.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (st.fd < 0)
        return tn_fail_errno(err, errno, "cannot open %s", path);
    enum tn_code code = read_header(&st, err);
    if (code != TN_OK) {
        tn_error_context(err, "%s", path);
        return code;
    }
    *ret = st;
    st = (struct safetensors){.fd = -1};
    return TN_OK;
}

void safetensors_release(struct safetensors *st)
{
    if (st->fd >= 0)
        (void)close(st->fd);
    tn_arena_free(st->arena);
    *st = (struct safetensors){.fd = -1};
}

const struct safetensors_entry *safetensors_find(const struct safetensors *st, const char *name)
{
    for (size_t i = 0; i < st->count; i++)
        if (tn_streq(st->entries[i].name, name))
            return &st->entries[i];
    return NULL;
}

/* IEEE half to float. */
static float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000U) << 16;
    uint32_t exponent = (half >> 10) & 31U;
    uint32_t fraction = half & 0x3FFU;
    if (exponent == 0) {
        float small = (float)fraction * 0x1p-24F;
        return sign ? -small : small;
    }
    uint32_t bits = sign | (exponent == 31 ? 255U : exponent + 112) << 23 | fraction << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float bfloat_to_float(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

enum tn_code safetensors_read(const struct safetensors *st, const struct safetensors_entry *entry, uint64_t first,
                              size_t count, float *out, struct tn_error *err)
{
    if (entry->type == SAFETENSORS_F32)
        return tn_pread_all(st->fd, out, count * sizeof *out, entry->begin + first * sizeof *out, st->path, err);
    /* The halves are read into the upper part of the output and widened from
     * the front: the reading end stays ahead of the writing one. */
    uint16_t half;
    char *raw = (char *)(void *)out + count * sizeof half;
    TN_TRY(tn_pread_all(st->fd, raw, count * sizeof half, entry->begin + first * sizeof half, st->path, err));
    for (size_t i = 0; i < count; i++) {
        memcpy(&half, raw + i * sizeof half, sizeof half);
        out[i] = entry->type == SAFETENSORS_F16 ? half_to_float(half) : bfloat_to_float(half);
    }
    return TN_OK;
}
