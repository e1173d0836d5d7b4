/* Opening a generation: everything that decides an address is checked first.
 *
 * After generation_open every section lies inside the mapping with the size
 * that the counts demand. Links and row numbers are checked by
 * generation_check_structure; until that has passed, searches check each link
 * as they follow it (search_node.h is where).
 */
#include "vector/generation.h"

#include "base/fs.h"
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CORRUPT(...) tn_fail(err, TN_ECORRUPT, __VA_ARGS__)

/* Starts reading what is needed soon, without waiting for it. */
static void want_pages(const void *start, size_t bytes)
{
    uintptr_t page = (uintptr_t)start / 4096 * 4096;
    (void)madvise((void *)page, (uintptr_t)start + bytes - page, MADV_WILLNEED);
}

static enum tn_code check_numbers(const struct generation_header *h, struct tn_error *err)
{
    uint32_t lifted = h->flags & GENERATION_LIFTED;
    if (memcmp(h->magic, GENERATION_MAGIC, 8) != 0)
        return CORRUPT("not a generation file");
    if (h->version != GENERATION_VERSION)
        return tn_fail(err, TN_EUNSUPPORTED, "generation format %u; this program reads %u", h->version,
                       GENERATION_VERSION);
    if (h->header_bytes != GENERATION_HEADER || h->section_count != SECTION_COUNT ||
        h->flags > (GENERATION_LIFTED | GENERATION_SAMPLES_GIVEN) || h->metric > VECTOR_L2 ||
        h->raw_type > VECTOR_F16)
        return CORRUPT("the header's kinds are out of range");
    if (h->dims < VECTOR_DIMENSIONS_MIN || h->dims > VECTOR_DIMENSIONS_MAX ||
        h->padded != (h->dims + lifted + 63) / 64 * 64 || (h->code_bits != 4 && h->code_bits != 8))
        return CORRUPT("the header's dimensions do not fit together");
    if (h->degree < 2 || h->degree > DEGREE_MAX || h->levels > LEVELS_MAX || h->rows == 0 ||
        h->rows > VECTOR_ROWS_MAX || h->zeros > h->rows || h->nodes > h->rows - h->zeros ||
        (h->nodes == 0) != (h->zeros == h->rows) || h->samples > VECTOR_SAMPLES_MAX)
        return CORRUPT("the header's counts do not fit together");
    uint64_t width = h->raw_type == VECTOR_F16 ? 2 : 4;
    if (h->raw_stride != (h->dims * width + 31) / 32 * 32)
        return CORRUPT("the header's row length does not fit the dimensions");
    uint64_t below = h->nodes;
    for (uint32_t l = 0; l < h->levels; l++) {
        if (h->level_nodes[l] == 0 || h->level_nodes[l] > below)
            return CORRUPT("layer %u has %u nodes, the one below %llu", l + 1, h->level_nodes[l],
                           (unsigned long long)below);
        below = h->level_nodes[l];
    }
    if (!isfinite(h->lift) || !isfinite(h->noise) || !isfinite(h->radius))
        return CORRUPT("the header's measures are not finite");
    return TN_OK;
}

static uint64_t expected_bytes(const struct generation_header *h, int section)
{
    uint64_t upper = 0;
    for (uint32_t l = 0; l < h->levels; l++)
        upper += h->level_nodes[l];
    switch (section) {
    case SECTION_LINKS:
        return h->nodes * 2 * h->degree * 4;
    case SECTION_UPPER:
        return upper * h->degree * 4;
    case SECTION_CODES:
        return h->nodes * h->padded * h->code_bits / 8;
    case SECTION_FACTORS:
        return h->nodes * sizeof(struct code_factor);
    case SECTION_IDS:
        return h->rows * 8;
    case SECTION_FIRST:
        return h->nodes == h->rows - h->zeros ? 0 : (h->nodes + 1) * 4;
    case SECTION_BY_ID:
        return h->rows * 4;
    case SECTION_RAW:
        return h->nodes * h->raw_stride;
    case SECTION_CENTER:
        return (uint64_t)h->padded * 4;
    case SECTION_SAMPLES:
        return (uint64_t)h->samples * h->dims * 4;
    case SECTION_CALIBRATION:
        return sizeof(struct calibration);
    default:
        return 0;
    }
}

static enum tn_code check_table(const struct generation_header *h, uint64_t file_bytes, struct tn_error *err)
{
    if (h->file_bytes != file_bytes)
        return CORRUPT("the file has %llu bytes, its header says %llu", (unsigned long long)file_bytes,
                       (unsigned long long)h->file_bytes);
    uint64_t end = GENERATION_HEADER;
    uint64_t checksums = 0;
    for (int s = 0; s < SECTION_COUNT; s++) {
        const struct section_entry *e = &h->sections[s];
        uint64_t want = s == SECTION_CHECKSUMS ? checksums * 4 : expected_bytes(h, s);
        if (e->bytes != want || e->offset < end || e->offset % 64 || e->offset > file_bytes ||
            e->bytes > file_bytes - e->offset)
            return CORRUPT("section \"%s\" does not lie where it should", section_name((enum section)s));
        if (s != SECTION_CHECKSUMS && e->first_checksum != checksums)
            return CORRUPT("section \"%s\" has the wrong checksums", section_name((enum section)s));
        checksums += (e->bytes + GENERATION_BLOCK - 1) / GENERATION_BLOCK;
        end = e->offset + e->bytes;
    }
    if (end + sizeof(struct generation_footer) > file_bytes)
        return CORRUPT("the last section reaches into the footer");
    return TN_OK;
}

/* What opening and the first search read besides the walk's own pages: asked
 * for together, where faults would come one after the other. */
static void want_small(const struct generation *g)
{
    const enum section small[] = {SECTION_CHECKSUMS, SECTION_CENTER, SECTION_CALIBRATION};
    for (size_t i = 0; i < TN_COUNT(small); i++)
        want_pages(g->map + g->header.sections[small[i]].offset, g->header.sections[small[i]].bytes);
    const struct section_entry *by_id = &g->header.sections[SECTION_BY_ID];
    want_pages(g->map + by_id->offset, 4);
    want_pages(g->map + by_id->offset + by_id->bytes - 4, 4);
}

static enum tn_code check_footer(const struct generation *g, struct tn_error *err)
{
    struct generation_footer footer;
    memcpy(&footer, g->map + g->map_size - sizeof footer, sizeof footer);
    if (memcmp(footer.magic, GENERATION_END_MAGIC, 8) != 0 || footer.file_bytes != g->map_size ||
        footer.crc != tn_crc32c(0, &footer, offsetof(struct generation_footer, crc)))
        return CORRUPT("the footer is missing or damaged: the file was not written to its end");
    if (footer.header_crc != tn_crc32c(0, g->map, GENERATION_HEADER))
        return CORRUPT("the header does not match its checksum");
    const struct section_entry *e = &g->header.sections[SECTION_CHECKSUMS];
    if (footer.checksums_crc != tn_crc32c(0, g->map + e->offset, e->bytes))
        return CORRUPT("the table of checksums does not match its checksum");
    /* Small and read by every search: check them now. */
    const enum section small[] = {SECTION_CENTER, SECTION_CALIBRATION};
    for (size_t i = 0; i < TN_COUNT(small); i++) {
        const struct section_entry *s = &g->header.sections[small[i]];
        for (uint64_t at = 0, c = s->first_checksum; at < s->bytes; at += GENERATION_BLOCK, c++) {
            uint32_t want;
            memcpy(&want, g->map + e->offset + c * 4, 4);
            if (want != tn_crc32c(0, g->map + s->offset + at, TN_MIN(GENERATION_BLOCK, s->bytes - at)))
                return CORRUPT("section \"%s\" does not match its checksum", section_name(small[i]));
        }
    }
    return TN_OK;
}

/* A calibration whose footer is sound may still have been written by a
 * stranger: only sane numbers are taken. */
static void take_calibration(struct generation *g)
{
    struct calibration c;
    memcpy(&c, g->map + g->header.sections[SECTION_CALIBRATION].offset, sizeof c);
    bool sane = c.expand >= 1 && c.expand <= EXPAND_MAX && c.ahead <= 64;
    for (int i = 0; i < CALIBRATION_WINDOWS; i++)
        sane = sane && c.windows[i] <= VECTOR_WINDOW_MAX;
    for (int k = 0; k < CALIBRATION_KS; k++)
        for (int i = 0; i < CALIBRATION_WINDOWS; i++)
            sane = sane && c.recall[k][i] >= 0 && c.recall[k][i] <= 1 && c.error[k][i] >= 0 && c.error[k][i] <= 1;
    if (sane)
        g->calibration = c;
    g->cold.expand = sane ? c.expand : 4;
    g->cold.ahead = sane ? c.ahead : 8;
}

static void point_sections(struct generation *g)
{
    const struct generation_header *h = &g->header;
    const uint8_t *at[SECTION_COUNT];
    for (int s = 0; s < SECTION_COUNT; s++)
        at[s] = g->map + h->sections[s].offset;
    g->nodes = (uint32_t)h->nodes;
    g->rows = (uint32_t)h->rows;
    g->zeros = (uint32_t)h->zeros;
    g->ids = (const void *)at[SECTION_IDS];
    g->first = h->sections[SECTION_FIRST].bytes ? (const void *)at[SECTION_FIRST] : NULL;
    g->by_id = (const void *)at[SECTION_BY_ID];
    g->raw = at[SECTION_RAW];
    g->samples = (const void *)at[SECTION_SAMPLES];
    g->cold = (struct hot){.links = (const void *)at[SECTION_LINKS],
                           .codes = at[SECTION_CODES],
                           .factors = (const void *)at[SECTION_FACTORS],
                           .expand = 4,
                           .ahead = 8};
    const uint32_t *upper = (const void *)at[SECTION_UPPER];
    for (uint32_t l = 0; l < h->levels; l++) {
        g->cold.upper[l] = upper;
        upper += (size_t)h->level_nodes[l] * h->degree;
    }
    atomic_store(&g->hot, &g->cold);
    space_init(&g->space, (enum vector_metric)h->metric, h->dims, h->code_bits, h->flags & GENERATION_LIFTED,
               h->seed);
    g->space.lift = h->lift;
    g->space.noise = h->noise;
    g->space.radius = h->radius;
    memcpy(g->space.center, at[SECTION_CENTER], h->padded * sizeof(float));
}

static enum tn_code map_file(struct generation *g, struct tn_error *err)
{
    g->fd = open(g->path, O_RDONLY | O_CLOEXEC);
    if (g->fd < 0)
        return tn_fail_errno(err, errno, "cannot open %s", g->path);
    struct stat st;
    if (fstat(g->fd, &st) != 0)
        return tn_fail_errno(err, errno, "cannot read %s", g->path);
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)(GENERATION_HEADER + sizeof(struct generation_footer)))
        return CORRUPT("%s is too short to be a generation", g->path);
    g->map_size = (size_t)st.st_size;
    void *map = mmap(NULL, g->map_size, PROT_READ, MAP_SHARED, g->fd, 0);
    if (map == MAP_FAILED)
        return tn_fail_errno(err, errno, "cannot map %s", g->path);
    g->map = map;
    /* Walks jump: reading ahead of them would read the whole file. */
    (void)madvise(map, g->map_size, MADV_RANDOM);
    want_pages(g->map + g->map_size - sizeof(struct generation_footer), sizeof(struct generation_footer));
    memcpy(&g->header, g->map, sizeof g->header);
    return TN_OK;
}

enum tn_code generation_open(const char *path, bool unfinished, struct generation **ret, struct tn_error *err)
{
    struct generation *made = aligned_alloc(64, (sizeof *made + 63) / 64 * 64);
    if (!made)
        return tn_fail(err, TN_ENOMEM, "not enough memory to open %s", path);
    memset(made, 0, sizeof *made);
    made->fd = -1;
    made->path = tn_strdup(path);
    TN_CLEANUP(generation_close_p) struct generation *g = made;
    enum tn_code code = map_file(g, err);
    if (code == TN_OK)
        code = check_numbers(&g->header, err);
    if (code == TN_OK)
        code = check_table(&g->header, g->map_size, err);
    if (code == TN_OK && !unfinished) {
        want_small(g);
        code = check_footer(g, err);
    }
    if (code != TN_OK) {
        if (code == TN_ECORRUPT || code == TN_EUNSUPPORTED)
            tn_error_context(err, "%s", path);
        return code;
    }
    point_sections(g);
    if (!unfinished)
        take_calibration(g);
    g->least_id = g->ids[g->by_id[0] < g->rows ? g->by_id[0] : 0];
    uint32_t last = g->by_id[g->rows - 1];
    g->dense = last < g->rows && (uint64_t)g->ids[last] - (uint64_t)g->least_id == (uint64_t)g->rows - 1;
    *ret = TN_TAKE(g);
    return TN_OK;
}

#define WINDOW_PAGES  ((size_t)1024)
#define WINDOWS_ASKED ((size_t)256)

uint64_t generation_mapped_bytes(const struct generation *g)
{
    unsigned char pages[WINDOW_PAGES];
    const size_t window = WINDOW_PAGES * 4096, count = (g->map_size + window - 1) / window;
    const size_t step = TN_MAX(count / WINDOWS_ASKED, (size_t)1);
    uint64_t asked = 0, there = 0;
    for (size_t i = 0; i < count; i += step) {
        size_t bytes = TN_MIN(window, g->map_size - i * window);
        if (mincore((void *)(uintptr_t)(g->map + i * window), bytes, pages) != 0)
            return 0;
        asked += bytes;
        for (size_t page = 0; page < (bytes + 4095) / 4096; page++)
            there += (pages[page] & 1) * TN_MIN((size_t)4096, bytes - page * 4096);
    }
    return step == 1 ? there : (uint64_t)((double)there / (double)asked * (double)g->map_size);
}

void generation_let_go(const struct generation *g)
{
    (void)madvise((void *)(uintptr_t)g->map, g->map_size, MADV_DONTNEED);
    (void)posix_fadvise(g->fd, 0, 0, POSIX_FADV_DONTNEED);
}

void generation_close(struct generation *g)
{
    if (!g)
        return;
    block_free(&g->warm_block, NULL);
    if (g->map)
        (void)munmap((void *)(uintptr_t)g->map, g->map_size);
    if (g->fd >= 0)
        (void)close(g->fd);
    free(g->path);
    free(g);
}

void generation_warm(struct generation *g, uint64_t memory_budget)
{
    const enum section parts[] = {SECTION_LINKS, SECTION_CODES, SECTION_FACTORS, SECTION_UPPER};
    struct budget budget = {.limit = memory_budget};
    uint64_t total = 0;
    for (size_t i = 0; i < TN_COUNT(parts); i++)
        total += (g->header.sections[parts[i]].bytes + 4095) / 4096 * 4096;
    if (block_alloc(&g->warm_block, total + 4096, &budget, "a warm generation", NULL) != TN_OK)
        return;
    uint8_t *to = g->warm_block.data;
    const uint8_t *copies[TN_COUNT(parts)];
    for (size_t i = 0; i < TN_COUNT(parts); i++) {
        const struct section_entry *e = &g->header.sections[parts[i]];
        (void)madvise((void *)(uintptr_t)(g->map + e->offset / 4096 * 4096), e->bytes, MADV_WILLNEED);
        memcpy(to, g->map + e->offset, e->bytes);
        copies[i] = to;
        to += (e->bytes + 4095) / 4096 * 4096;
    }
    g->warm = g->cold;
    g->warm.links = (const void *)copies[0];
    g->warm.codes = copies[1];
    g->warm.factors = (const void *)copies[2];
    const uint32_t *upper = (const void *)copies[3];
    for (uint32_t l = 0; l < g->header.levels; l++) {
        g->warm.upper[l] = upper;
        upper += (size_t)g->header.level_nodes[l] * g->header.degree;
    }
    atomic_store(&g->hot, &g->warm);
    /* The mapping stays valid for walks that began on it; its pages may go. */
    for (size_t i = 0; i < TN_COUNT(parts); i++) {
        const struct section_entry *e = &g->header.sections[parts[i]];
        (void)madvise((void *)(uintptr_t)(g->map + e->offset / 4096 * 4096), e->bytes, MADV_DONTNEED);
    }
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

#define FACTORS_AT_ONCE (UINT64_C(32) << 20)

void generation_fetch_first(const struct generation *g)
{
    uint64_t bytes = g->header.sections[SECTION_FACTORS].bytes;
    if (bytes <= FACTORS_AT_ONCE)
        want_pages(g->cold.factors, bytes);
}

void generation_fetch_nodes(const struct walk *walk, size_t nodes)
{
    const struct generation *g = walk->fetch_context;
    size_t bytes = space_code_bytes(&g->space);
    bool each_factor = g->header.sections[SECTION_FACTORS].bytes > FACTORS_AT_ONCE;
    /* In order, so that pages that several share are asked for once. */
    uint32_t sorted[BLOCK_MAX];
    memcpy(sorted, walk->nodes, nodes * sizeof *sorted);
    qsort(sorted, nodes, sizeof *sorted, by_number);
    for (size_t i = 0; i < nodes;) {
        const uint8_t *start = g->cold.codes + sorted[i] * bytes;
        const uint8_t *end = start + bytes;
        size_t j = i + 1;
        while (j < nodes && (uintptr_t)(g->cold.codes + sorted[j] * bytes) / 4096 <= ((uintptr_t)end - 1) / 4096)
            end = g->cold.codes + sorted[j++] * bytes + bytes;
        want_pages(start, (size_t)(end - start));
        if (each_factor)
            want_pages(g->cold.factors + sorted[i], (sorted[j - 1] - sorted[i] + 1) * sizeof(struct code_factor));
        i = j;
    }
}

void generation_fetch_links(const struct generation *g, const struct walk *walk, size_t count)
{
    size_t list = (size_t)2 * g->header.degree * 4;
    for (size_t i = walk->cursor; i < TN_MIN(walk->count, walk->window) && count; i++)
        if (!(walk->pool[i].node & NODE_EXPANDED)) {
            want_pages((const uint8_t *)g->cold.links + walk->pool[i].node * list, list);
            count--;
        }
}

void generation_fetch_raw(const struct generation *g, const struct pool_entry *pool, size_t count)
{
    for (size_t i = 0; i < count; i++)
        want_pages(generation_raw(g, pool[i].node & ~NODE_EXPANDED), g->header.raw_stride);
}

uint32_t generation_find(const struct generation *g, int64_t id)
{
    if (g->dense) {
        uint64_t at = (uint64_t)id - (uint64_t)g->least_id;
        if (at >= g->rows)
            return UINT32_MAX;
        uint32_t row = g->by_id[at];
        return row < g->rows && g->ids[row] == id ? row : UINT32_MAX;
    }
    uint32_t low = 0;
    uint32_t high = g->rows;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint32_t row = g->by_id[middle];
        if (row >= g->rows)
            return UINT32_MAX;
        if (g->ids[row] < id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == g->rows || g->by_id[low] >= g->rows)
        return UINT32_MAX;
    return g->ids[g->by_id[low]] == id ? g->by_id[low] : UINT32_MAX;
}

uint32_t generation_row_node(const struct generation *g, uint32_t row)
{
    if (row >= g->rows - g->zeros)
        return NODE_NONE;
    if (!g->first)
        return row;
    uint32_t low = 0;
    uint32_t high = g->nodes; /* the last node whose first row is <= row */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (g->first[middle] <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void generation_row_floats(const struct generation *g, uint32_t row, float *out)
{
    uint32_t node = generation_row_node(g, row);
    if (node == NODE_NONE) {
        memset(out, 0, g->space.dims * sizeof *out);
        return;
    }
    const void *raw = generation_raw(g, node);
    if (g->header.raw_type == VECTOR_F16)
        for (uint32_t d = 0; d < g->space.dims; d++)
            out[d] = vector_half_to_float(((const uint16_t *)raw)[d]);
    else
        memcpy(out, raw, g->space.dims * sizeof *out);
}
