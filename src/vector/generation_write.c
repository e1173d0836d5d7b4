/* Writing a generation.
 *
 * All sizes are known before the first byte, so the table of sections comes
 * first and sections are streamed in order, each checksummed as it passes. The
 * calibration is measured on the sections as they lie in the file, mapped,
 * before it is appended. The footer comes last, then fsync and rename: a file
 * under its final name is whole.
 */
#include "vector/generation.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct writer {
    struct builder *b;
    char *path; /* temporary */
    int fd;
    struct generation_header header;
    uint64_t at;     /* file offset of the next byte */
    uint8_t *buffer; /* GENERATION_BLOCK bytes */
    size_t filled;
    uint32_t *checksums;
    size_t checksum_count;
    uint32_t *new_of_old, *old_of_new;
};

const char *section_name(enum section section)
{
    static const char *const names[SECTION_COUNT] = {"links",  "upper links", "codes",       "factors",
                                                     "ids",    "first rows",  "rows by id",  "raw vectors",
                                                     "center", "samples",     "calibration", "checksums"};
    return section < SECTION_COUNT ? names[section] : "?";
}

static uint64_t blocks_of(uint64_t bytes)
{
    return (bytes + GENERATION_BLOCK - 1) / GENERATION_BLOCK;
}

/* Large sections begin on large pages; small ones on pages. */
static void lay_out(struct generation_header *h, const uint64_t bytes[SECTION_COUNT])
{
    uint64_t at = GENERATION_HEADER;
    uint64_t checksum = 0;
    for (int s = 0; s < SECTION_COUNT; s++) {
        uint64_t size = s == SECTION_CHECKSUMS ? checksum * 4 : bytes[s];
        uint64_t align = size >= GENERATION_LARGE ? GENERATION_LARGE : 4096;
        at = (at + align - 1) / align * align;
        h->sections[s] = (struct section_entry){at, size, s == SECTION_CHECKSUMS ? 0 : checksum, 0};
        checksum += blocks_of(size);
        at += size;
    }
    h->file_bytes = (at + 63) / 64 * 64 + sizeof(struct generation_footer);
}

static void fill_header(struct writer *w, uint32_t samples)
{
    const struct builder *b = w->b;
    const struct space *s = &b->space;
    struct generation_header *h = &w->header;
    size_t width = b->options->raw == VECTOR_F16 ? 2 : 4;
    memcpy(h->magic, GENERATION_MAGIC, 8);
    h->version = GENERATION_VERSION;
    h->header_bytes = GENERATION_HEADER;
    h->metric = s->metric;
    h->raw_type = b->options->raw;
    h->dims = s->dims;
    h->padded = s->padded;
    h->code_bits = s->code_bits;
    h->degree = b->degree;
    h->ef_construction = b->ef;
    h->flags = (s->lifted ? GENERATION_LIFTED : 0) | (b->options->samples ? GENERATION_SAMPLES_GIVEN : 0);
    h->seed = s->seed;
    h->nodes = b->nodes;
    h->rows = b->rows->count;
    h->zeros = b->zero_count;
    h->last_change = b->options->last_change;
    h->lift = s->lift;
    h->noise = s->noise;
    h->radius = s->radius;
    h->samples = samples;
    h->raw_stride = (uint32_t)((s->dims * width + 31) / 32 * 32);
    h->levels = b->levels;
    memcpy(h->level_nodes, b->level_nodes, sizeof h->level_nodes);
    h->section_count = SECTION_COUNT;
    uint64_t upper = 0;
    for (uint32_t l = 0; l < b->levels; l++)
        upper += b->level_nodes[l];
    uint64_t n = b->nodes;
    bool folded = b->duplicate_count > 0;
    const uint64_t bytes[SECTION_COUNT] = {
        [SECTION_LINKS] = n * 2 * b->degree * 4,
        [SECTION_UPPER] = upper * b->degree * 4,
        [SECTION_CODES] = n * space_code_bytes(s),
        [SECTION_FACTORS] = n * sizeof(struct code_factor),
        [SECTION_IDS] = h->rows * 8,
        [SECTION_FIRST] = folded ? (n + 1) * 4 : 0,
        [SECTION_BY_ID] = h->rows * 4,
        [SECTION_RAW] = n * h->raw_stride,
        [SECTION_CENTER] = (uint64_t)s->padded * 4,
        [SECTION_SAMPLES] = (uint64_t)samples * s->dims * 4,
        [SECTION_CALIBRATION] = sizeof(struct calibration),
    };
    lay_out(h, bytes);
}

static enum tn_code flush_block(struct writer *w, struct tn_error *err)
{
    if (w->filled == 0)
        return TN_OK;
    w->checksums[w->checksum_count++] = tn_crc32c(0, w->buffer, w->filled);
    TN_TRY(tn_write_all(w->fd, w->buffer, w->filled, w->path, err));
    w->at += w->filled;
    w->filled = 0;
    return TN_OK;
}

static enum tn_code put(struct writer *w, const void *bytes, size_t count, struct tn_error *err)
{
    const uint8_t *p = bytes;
    while (count) {
        size_t n = TN_MIN(count, (size_t)GENERATION_BLOCK - w->filled);
        memcpy(w->buffer + w->filled, p, n);
        w->filled += n;
        p += n;
        count -= n;
        if (w->filled == GENERATION_BLOCK)
            TN_TRY(flush_block(w, err));
    }
    return TN_OK;
}

static enum tn_code begin(struct writer *w, enum section section, struct tn_error *err)
{
    TN_TRY(flush_block(w, err));
    w->at = w->header.sections[section].offset;
    if (lseek(w->fd, (off_t)w->at, SEEK_SET) < 0)
        return tn_fail_errno(err, errno, "cannot write %s", w->path);
    return TN_OK;
}

static enum tn_code put_list(struct writer *w, const uint32_t *list, uint32_t degree, struct tn_error *err)
{
    uint32_t out[2 * DEGREE_MAX];
    for (uint32_t i = 0; i < degree; i++)
        out[i] = i < list[0] ? w->new_of_old[list[1 + i]] : NODE_NONE;
    return put(w, out, degree * sizeof *out, err);
}

static enum tn_code put_graph(struct writer *w, struct tn_error *err)
{
    struct builder *b = w->b;
    TN_TRY(begin(w, SECTION_LINKS, err));
    for (uint32_t i = 0; i < b->nodes; i++)
        TN_TRY(put_list(w, graph_list(b, 0, w->old_of_new[i]), 2 * b->degree, err));
    TN_TRY(begin(w, SECTION_UPPER, err));
    for (uint32_t l = 1; l <= b->levels; l++)
        for (uint32_t i = 0; i < b->level_nodes[l - 1]; i++)
            TN_TRY(put_list(w, graph_list(b, l, w->old_of_new[i]), b->degree, err));
    size_t bytes = space_code_bytes(&b->space);
    TN_TRY(begin(w, SECTION_CODES, err));
    for (uint32_t i = 0; i < b->nodes; i++)
        TN_TRY(put(w, (const uint8_t *)b->search_codes.data + w->old_of_new[i] * bytes, bytes, err));
    TN_TRY(begin(w, SECTION_FACTORS, err));
    for (uint32_t i = 0; i < b->nodes; i++)
        TN_TRY(put(w, (const struct code_factor *)b->search_factors.data + w->old_of_new[i],
                   sizeof(struct code_factor), err));
    return TN_OK;
}

struct id_row {
    int64_t id;
    uint32_t row;
};

static int by_id(const void *a, const void *b)
{
    const struct id_row *x = a;
    const struct id_row *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Rows of the file: those of node 0, of node 1, ..., then the zero rows. */
static enum tn_code put_rows(struct writer *w, struct tn_error *err)
{
    struct builder *b = w->b;
    uint64_t n = b->rows->count;
    TN_AUTO_FREE uint32_t *first = tn_try_malloc(((size_t)b->nodes + 2) * sizeof *first);
    TN_AUTO_FREE struct id_row *rows = tn_try_malloc(n * sizeof *rows);
    if (!first || !rows)
        return tn_fail(err, TN_ENOMEM, "not enough memory to order %llu ids", (unsigned long long)n);
    memset(first, 0, ((size_t)b->nodes + 2) * sizeof *first);
    for (uint64_t i = 0; i < n; i++)
        if (b->row_node[i] != NODE_NONE)
            first[w->new_of_old[b->row_node[i]] + 2]++;
    for (uint32_t i = 2; i < b->nodes + 2; i++)
        first[i] += first[i - 1];
    uint32_t zero = (uint32_t)(n - b->zero_count);
    for (uint64_t i = 0; i < n; i++) {
        uint32_t at = b->row_node[i] == NODE_NONE ? zero++ : first[w->new_of_old[b->row_node[i]] + 1]++;
        rows[at] = (struct id_row){b->rows->ids ? b->rows->ids[i] : (int64_t)i, at};
    }
    TN_TRY(begin(w, SECTION_IDS, err));
    for (uint64_t i = 0; i < n; i++)
        TN_TRY(put(w, &rows[i].id, 8, err));
    TN_TRY(begin(w, SECTION_FIRST, err));
    if (w->header.sections[SECTION_FIRST].bytes)
        TN_TRY(put(w, first, ((size_t)b->nodes + 1) * sizeof *first, err));
    qsort(rows, n, sizeof *rows, by_id);
    TN_TRY(begin(w, SECTION_BY_ID, err));
    for (uint64_t i = 0; i < n; i++)
        TN_TRY(put(w, &rows[i].row, 4, err));
    return TN_OK;
}

static enum tn_code put_raw(struct writer *w, struct tn_error *err)
{
    struct builder *b = w->b;
    uint32_t stride = w->header.raw_stride;
    TN_AUTO_FREE float *row = tn_calloc(b->space.dims, sizeof *row);
    TN_AUTO_FREE uint8_t *out = tn_calloc(stride, 1);
    TN_TRY(begin(w, SECTION_RAW, err));
    for (uint32_t i = 0; i < b->nodes; i++) {
        if (i % 1024 == 0 && !build_goes_on(b, 0))
            return build_outcome(b, err);
        (void)build_row(b, b->node_row[w->old_of_new[i]], row);
        if (b->options->raw == VECTOR_F16)
            for (uint32_t d = 0; d < b->space.dims; d++) {
                uint16_t half = vector_float_to_half(row[d]);
                memcpy(out + 2 * (size_t)d, &half, 2);
            }
        else
            memcpy(out, row, b->space.dims * sizeof *row);
        TN_TRY(put(w, out, stride, err));
    }
    TN_TRY(begin(w, SECTION_CENTER, err));
    return put(w, b->space.center, b->space.padded * sizeof(float), err);
}

static enum tn_code put_header(struct writer *w, uint32_t *ret_crc, struct tn_error *err)
{
    uint8_t page[GENERATION_HEADER] = {0};
    memcpy(page, &w->header, sizeof w->header);
    *ret_crc = tn_crc32c(0, page, sizeof page);
    if (lseek(w->fd, 0, SEEK_SET) < 0)
        return tn_fail_errno(err, errno, "cannot write %s", w->path);
    return tn_write_all(w->fd, page, sizeof page, w->path, err);
}

/* Queries that were never rows: a row moved by the difference of two others
 * that are neighbours, which is as far from its nearest as a fresh draw would
 * be. Rows themselves are far easier to find than what people ask. */
static void make_samples(const struct builder *b, float *out, uint32_t count)
{
    uint32_t dims = b->space.dims;
    TN_AUTO_FREE float *from = tn_calloc(dims, sizeof *from);
    TN_AUTO_FREE float *to = tn_calloc(dims, sizeof *to);
    for (uint32_t i = 0; i < count; i++) {
        float *q = out + (size_t)i * dims;
        uint32_t node = (uint32_t)(space_mix64(b->options->seed + i) % b->nodes);
        uint32_t other = (uint32_t)(space_mix64(b->options->seed + i + count) % b->nodes);
        const uint32_t *list = graph_list(b, 0, other);
        uint32_t near = list[0] ? list[1 + space_mix64(i) % list[0]] : other;
        (void)build_row(b, b->node_row[node], q);
        (void)build_row(b, b->node_row[other], from);
        (void)build_row(b, b->node_row[near], to);
        for (uint32_t d = 0; d < dims; d++)
            q[d] += to[d] - from[d];
        if (space_prepare(&b->space, q, q) != SPACE_FINE)
            memcpy(q, to, dims * sizeof *q);
    }
}

static enum tn_code put_calibration(struct writer *w, struct vector_build_report *report, struct tn_error *err)
{
    struct builder *b = w->b;
    uint64_t start = tn_mono_ns();
    uint32_t crc;
    TN_TRY(flush_block(w, err));
    TN_TRY(put_header(w, &crc, err));
    if (ftruncate(w->fd, (off_t)w->header.file_bytes) != 0)
        return tn_fail_errno(err, errno, "cannot write %s", w->path);
    uint32_t count = w->header.samples;
    TN_AUTO_FREE float *samples = tn_calloc((size_t)count * b->space.dims + 1, sizeof *samples);
    if (b->options->samples)
        for (uint32_t i = 0; i < count; i++) {
            const float *from = b->options->samples + (size_t)i * b->space.dims;
            if (space_prepare(&b->space, from, samples + (size_t)i * b->space.dims) != SPACE_FINE)
                return tn_fail(err, TN_EREFUSED, "sample query %u is zero or not finite", i);
        }
    else if (count)
        make_samples(b, samples, count);
    struct calibration calibration = {0};
    if (b->nodes) {
        build_phase(b, VECTOR_PHASE_CALIBRATE, count);
        TN_CLEANUP(generation_close_p) struct generation *g = NULL;
        TN_TRY(generation_open(w->path, true, &g, err));
        TN_TRY(calibrate(g, samples, count, b->threads, b, &calibration, err));
    }
    TN_TRY(begin(w, SECTION_SAMPLES, err));
    TN_TRY(put(w, samples, (size_t)count * b->space.dims * sizeof *samples, err));
    TN_TRY(begin(w, SECTION_CALIBRATION, err));
    TN_TRY(put(w, &calibration, sizeof calibration, err));
    report->calibrate_seconds = (double)(tn_mono_ns() - start) * 1e-9;
    return TN_OK;
}

static enum tn_code put_end(struct writer *w, struct tn_error *err)
{
    TN_TRY(flush_block(w, err));
    size_t bytes = w->checksum_count * sizeof *w->checksums;
    struct generation_footer footer = {.file_bytes = w->header.file_bytes,
                                       .checksums_crc = tn_crc32c(0, w->checksums, bytes)};
    memcpy(footer.magic, GENERATION_END_MAGIC, 8);
    TN_TRY(begin(w, SECTION_CHECKSUMS, err));
    TN_TRY(tn_write_all(w->fd, w->checksums, bytes, w->path, err));
    TN_TRY(put_header(w, &footer.header_crc, err));
    TN_TRY(tn_fsync_fd(w->fd, w->path, err));
    TN_FAULT("vector.generation.before_footer");
    footer.crc = tn_crc32c(0, &footer, offsetof(struct generation_footer, crc));
    if (lseek(w->fd, (off_t)(w->header.file_bytes - sizeof footer), SEEK_SET) < 0)
        return tn_fail_errno(err, errno, "cannot write %s", w->path);
    TN_TRY(tn_write_all(w->fd, &footer, sizeof footer, w->path, err));
    return tn_fsync_fd(w->fd, w->path, err);
}

static enum tn_code write_all(struct writer *w, struct vector_build_report *report, struct tn_error *err)
{
    struct builder *b = w->b;
    uint32_t samples = b->options->samples ? b->options->sample_count : b->nodes ? 200 : 0;
    fill_header(w, samples);
    uint64_t blocks = 0;
    for (int s = 0; s < SECTION_CHECKSUMS; s++)
        blocks += blocks_of(w->header.sections[s].bytes);
    w->checksums = tn_realloc_array(NULL, blocks + 1, sizeof *w->checksums);
    w->buffer = tn_malloc(GENERATION_BLOCK);
    w->new_of_old = tn_realloc_array(NULL, (size_t)b->nodes + 1, sizeof *w->new_of_old);
    w->old_of_new = tn_realloc_array(NULL, (size_t)b->nodes + 1, sizeof *w->old_of_new);
    if (b->nodes)
        graph_order(b, w->new_of_old);
    for (uint32_t i = 0; i < b->nodes; i++)
        w->old_of_new[w->new_of_old[i]] = i;
    build_phase(b, VECTOR_PHASE_WRITE, b->nodes);
    TN_TRY(put_graph(w, err));
    TN_TRY(put_rows(w, err));
    TN_TRY(put_raw(w, err));
    TN_TRY(put_calibration(w, report, err));
    TN_TRY(put_end(w, err));
    report->bytes_on_disk = w->header.file_bytes;
    report->bytes_of_raw = w->header.sections[SECTION_RAW].bytes;
    return TN_OK;
}

enum tn_code generation_write(struct builder *b, const char *path, struct vector_build_report *report,
                              struct tn_error *err)
{
    TN_AUTO_FREE char *temporary = tn_asprintf("%s.tmp", path);
    struct writer w = {.b = b, .path = temporary};
    w.fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (w.fd < 0)
        return tn_fail_errno(err, errno, "cannot create %s", temporary);
    enum tn_code code = write_all(&w, report, err);
    (void)close(w.fd);
    free(w.checksums);
    free(w.buffer);
    free(w.new_of_old);
    free(w.old_of_new);
    TN_FAULT("vector.generation.before_rename");
    if (code == TN_OK && rename(temporary, path) != 0)
        code = tn_fail_errno(err, errno, "cannot rename %s to %s", temporary, path);
    if (code != TN_OK) {
        (void)unlink(temporary);
        return code;
    }
    TN_AUTO_FREE char *folder = tn_strdup(path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder ? 1 : 0] = '\0';
    return tn_fsync_dir(slash ? folder : ".", err);
}
