/* The container that weights are published in: 8 bytes of header length, a
 * JSON object {"tensor": {dtype, shape, data_offsets}}, then the data. */
#ifndef TARN_EMBED_SAFETENSORS_H
#define TARN_EMBED_SAFETENSORS_H

#include "base/base.h"

enum safetensors_type { SAFETENSORS_F32, SAFETENSORS_F16, SAFETENSORS_BF16, SAFETENSORS_OTHER };

enum { SAFETENSORS_DIMS_MAX = 8, SAFETENSORS_HEADER_MAX = 16 << 20 };

struct safetensors_entry {
    const char *name;
    const char *dtype; /* as written */
    enum safetensors_type type;
    uint32_t dims;
    uint64_t shape[SAFETENSORS_DIMS_MAX];
    uint64_t begin, end; /* in the file */
};

struct safetensors {
    int fd;           /* -1 for a header alone */
    const char *path; /* the arena's, for errors */
    struct tn_arena *arena;
    struct safetensors_entry *entries;
    size_t count;
};

/* Length of the JSON that follows the file's first 8 bytes. */
enum tn_code safetensors_header_length(const unsigned char first[8], uint64_t file_bytes, uint64_t *ret,
                                       struct tn_error *err) TN_CHECKED;
/* Fills st->entries (st->arena's) from the JSON; data starts at data_begin of
 * a file of file_bytes. Every entry's bytes lie in the file and are as many as
 * its shape needs. */
enum tn_code safetensors_parse(struct safetensors *st, const char *json, size_t length, uint64_t data_begin,
                               uint64_t file_bytes, struct tn_error *err) TN_CHECKED;

enum tn_code safetensors_open(const char *path, struct safetensors *ret, struct tn_error *err) TN_CHECKED;
void safetensors_release(struct safetensors *st);

/* NULL when there is none. */
const struct safetensors_entry *safetensors_find(const struct safetensors *st, const char *name);
/* `count` elements from number `first`, as floats. Only for types of floats. */
enum tn_code safetensors_read(const struct safetensors *st, const struct safetensors_entry *entry, uint64_t first,
                              size_t count, float *out, struct tn_error *err) TN_CHECKED;

#endif
