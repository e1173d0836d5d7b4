/* A generation file, written and opened. docs/formats/generation.md describes
 * the bytes; the structures below are those bytes. */
#ifndef TARN_VECTOR_GENERATION_H
#define TARN_VECTOR_GENERATION_H

#include "vector/build.h"

#define GENERATION_MAGIC     "TARNVEC\1"
#define GENERATION_END_MAGIC "TARNVEND"
#define GENERATION_VERSION   1U
#define GENERATION_HEADER    4096U
#define GENERATION_BLOCK     (UINT64_C(1) << 20) /* bytes that one checksum covers */
#define GENERATION_LARGE     (UINT64_C(2) << 20)

enum section {
    SECTION_LINKS, /* u32[nodes][2 M]: layer 0, NODE_NONE ends a list */
    SECTION_UPPER, /* u32[..][M]: layer 1, then 2, ... */
    SECTION_CODES,
    SECTION_FACTORS,     /* struct code_factor[nodes] */
    SECTION_IDS,         /* i64[rows]: by node, zero rows last */
    SECTION_FIRST,       /* u32[nodes + 1]: first row of each node; absent when rows and nodes are one to one */
    SECTION_BY_ID,       /* u32[rows]: row numbers in ascending order of id */
    SECTION_RAW,         /* raw vectors by node, raw_stride apart */
    SECTION_CENTER,      /* f32[padded] */
    SECTION_SAMPLES,     /* f32[samples][dims]: queries, prepared */
    SECTION_CALIBRATION, /* struct calibration */
    SECTION_CHECKSUMS,   /* u32 per block of each section above, in order */
    SECTION_COUNT
};
const char *section_name(enum section section);

struct section_entry {
    uint64_t offset;
    uint64_t bytes;
    uint64_t first_checksum; /* index in SECTION_CHECKSUMS */
    uint64_t reserved;
};

#define GENERATION_LIFTED        1U
#define GENERATION_SAMPLES_GIVEN 2U /* the builder's caller gave them; else they were made up from the rows */

struct generation_header {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes;
    uint64_t file_bytes;
    uint32_t metric;
    uint32_t raw_type;
    uint32_t dims;
    uint32_t padded;
    uint32_t code_bits;
    uint32_t degree;
    uint32_t ef_construction;
    uint32_t flags; /* GENERATION_LIFTED, GENERATION_SAMPLES_GIVEN */
    uint64_t seed;
    uint64_t nodes;
    uint64_t rows;
    uint64_t zeros;
    uint64_t last_change;
    float lift;
    float noise;
    float radius;
    uint32_t samples;
    uint32_t raw_stride;
    uint32_t levels;
    uint32_t level_nodes[LEVELS_MAX];
    uint32_t section_count;
    uint32_t reserved;
    struct section_entry sections[SECTION_COUNT];
};
_Static_assert(sizeof(struct generation_header) == 8 + 8 + 8 + 32 + 40 + 24 + 48 + 8 + 32 * SECTION_COUNT,
               "no padding in what is written");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian");

struct generation_footer {
    char magic[8];
    uint64_t file_bytes;
    uint32_t header_crc;    /* of the 4,096 header bytes */
    uint32_t checksums_crc; /* of SECTION_CHECKSUMS */
    uint32_t reserved[9];
    uint32_t crc; /* of the 60 bytes before */
};
_Static_assert(sizeof(struct generation_footer) == 64, "the footer is 64 bytes");

/* Recall that was measured, by k and window. */
#define CALIBRATION_WINDOWS 16
#define CALIBRATION_KS      3
struct calibration {
    uint32_t queries;
    uint32_t expand; /* best round width and prefetch distance when it was built */
    uint32_t ahead;
    uint32_t windows[CALIBRATION_WINDOWS];
    uint32_t ks[CALIBRATION_KS]; /* 0: not measured */
    float recall[CALIBRATION_KS][CALIBRATION_WINDOWS];
    float error[CALIBRATION_KS][CALIBRATION_WINDOWS]; /* standard error of the mean */
};

/* What a walk touches, on the mapping or copied to large pages. */
struct hot {
    const uint32_t *links;
    const uint32_t *upper[LEVELS_MAX];
    const uint8_t *codes;
    const struct code_factor *factors;
    uint32_t expand;
    uint32_t ahead;
};

struct generation {
    char *path;
    int fd;
    const uint8_t *map;
    size_t map_size;
    struct generation_header header;
    struct space space;
    uint32_t nodes;
    uint32_t rows; /* zeros included */
    uint32_t zeros;
    const int64_t *ids;
    const uint32_t *first; /* NULL: row = node */
    const uint32_t *by_id;
    const uint8_t *raw;
    const float *samples;
    struct calibration calibration;
    bool dense; /* ids sorted are by_id[0]'s, +1, +2, ... */
    int64_t least_id;

    atomic_uint cold_searches; /* made on the mapping since it was opened */
    const struct hot *_Atomic hot;
    struct hot cold, warm, tuned;
    struct block warm_block;
};

/* Writes, calibrates, makes durable, renames. */
enum tn_code generation_write(struct builder *b, const char *path, struct vector_build_report *report,
                              struct tn_error *err) TN_CHECKED;

/* Maps a file and checks header, table and footer. `unfinished`: a file that
 * is still being written (no footer, no checksums). */
enum tn_code generation_open(const char *path, bool unfinished, struct generation **ret,
                             struct tn_error *err) TN_CHECKED;
/* Bytes of the mapping that are in memory. */
uint64_t generation_mapped_bytes(const struct generation *g);
/* Pages that nobody needs just now are given back: after reading all of it once. */
void generation_let_go(const struct generation *g);
void generation_close(struct generation *g);
TN_DEFINE_CLEANUP(struct generation, generation_close)

/* Copies links, codes and factors to large pages, if the budget (0: any)
 * allows, and points `hot` there. Once, by one thread. */
void generation_warm(struct generation *g, uint64_t memory_budget);
/* Times the sample queries at several round widths and prefetch distances and
 * points `hot` at the fastest (tune.c). After warming, by the same thread. */
void generation_tune(struct generation *g, const atomic_bool *stop);
/* All checksums (verify.c). `stop` (may be NULL) ends it early with TN_ECANCELLED. */
enum tn_code generation_check_blocks(const struct generation *g, const atomic_bool *stop, uint64_t *ret_blocks,
                                     struct tn_error *err) TN_CHECKED;
/* Bounds of links and of the row tables: what makes searching memory-safe. */
enum tn_code generation_check_structure(const struct generation *g, const atomic_bool *stop,
                                        struct tn_error *err) TN_CHECKED;

/* The row of an id; UINT32_MAX when there is none. */
uint32_t generation_find(const struct generation *g, int64_t id);
static inline uint32_t generation_first_row(const struct generation *g, uint32_t node)
{
    return g->first ? g->first[node] : node;
}
/* Before the first search on a mapping: factors, unless they are many. */
void generation_fetch_first(const struct generation *g);
/* For walk.fetch while pages may still be on disk: codes and factors of the
 * nodes that are about to be scored. Then the links of the next `count` that
 * wait to be expanded, and raw vectors, for ranking. */
void generation_fetch_nodes(const struct walk *walk, size_t nodes);
void generation_fetch_links(const struct generation *g, const struct walk *walk, size_t count);
void generation_fetch_raw(const struct generation *g, const struct pool_entry *pool, size_t count);
uint32_t generation_row_node(const struct generation *g, uint32_t row); /* NODE_NONE: a zero row */

static inline const void *generation_raw(const struct generation *g, uint32_t node)
{
    return g->raw + (size_t)node * g->header.raw_stride;
}
/* The raw vector of a node (or zeros), as float32. */
void generation_row_floats(const struct generation *g, uint32_t row, float *out);
/* Internal distance (see space.h) of a node from a prepared query. */
static inline float generation_distance(const struct generation *g, uint32_t node, const float *prepared)
{
    const struct vector_kernels *k = g->space.kernels;
    const void *raw = generation_raw(g, node);
    bool half = g->header.raw_type == VECTOR_F16;
    if (g->space.metric == VECTOR_L2)
        return half ? k->l2_f16(raw, prepared, g->space.dims) : k->l2_f32(raw, prepared, g->space.dims);
    float product = half ? k->dot_f16(raw, prepared, g->space.dims) : k->dot_f32(raw, prepared, g->space.dims);
    return g->space.metric == VECTOR_COSINE ? 1 - product : -product;
}

/* Fills the calibration from queries; g is mapped but perhaps unfinished. The
 * build is asked between two queries whether it goes on; NULL: nobody is asked. */
struct builder;
enum tn_code calibrate(struct generation *g, const float *samples, uint32_t count, uint32_t threads,
                       struct builder *asked, struct calibration *ret, struct tn_error *err) TN_CHECKED;
/* The window for a k and a recall. */
uint32_t calibration_window(const struct calibration *c, uint32_t k, float recall);

#endif
