#include "base/slab.h"

#include "base/ring.h"

#define GRAIN       16
#define BLOCK_FIRST ((size_t)4 << 10) /* and each next one twice as large, up to */
#define BLOCK_LAST  ((size_t)128 << 10)
#if defined(__SANITIZE_ADDRESS__)
#define CUT_MOST ((size_t)0)
#else
#define CUT_MOST ((size_t)1024) /* larger things have blocks of their own */
#endif
#define CLASSES (1024 / GRAIN + 1)

/* In front of a block, and of a thing that has its own; a multiple of GRAIN. */
struct block {
    struct tn_ring ring;
};
_Static_assert(sizeof(struct block) % GRAIN == 0, "things in blocks are aligned");

struct loose {
    struct loose *next;
};

struct tn_slab {
    struct tn_ring blocks;
    unsigned char *at;            /* the next piece of the newest cut block */
    size_t left, next_block;      /* bytes behind `at`; of the next block */
    struct loose *given[CLASSES]; /* by size in grains */
    uint64_t bytes;
};

struct tn_slab *tn_slab_new(void)
{
    struct tn_slab *slab = tn_calloc(1, sizeof *slab);
    tn_ring_init(&slab->blocks);
    slab->next_block = BLOCK_FIRST;
    slab->bytes = sizeof *slab;
    return slab;
}

void tn_slab_free(struct tn_slab *slab)
{
    if (!slab)
        return;
    while (slab->blocks.newer != &slab->blocks) {
        struct tn_ring *ring = slab->blocks.newer;
        tn_ring_leave(ring);
        free(ring);
    }
    free(slab);
}

static unsigned char *add_block(struct tn_slab *slab, size_t size)
{
    struct block *block = tn_malloc(sizeof *block + size);
    tn_ring_enter(&slab->blocks, &block->ring);
    slab->bytes += sizeof *block + size;
    return (unsigned char *)(block + 1);
}

static size_t grains_of(size_t size)
{
    return size ? (size + GRAIN - 1) / GRAIN : 1;
}

static void keep(struct tn_slab *slab, void *piece, size_t grains)
{
    struct loose *loose = piece;
    loose->next = slab->given[grains];
    slab->given[grains] = loose;
}

static void *cut(struct tn_slab *slab, size_t size)
{
    if (slab->left < size) {
        if (slab->left >= GRAIN)
            keep(slab, slab->at, slab->left / GRAIN);
        slab->left = slab->next_block - sizeof(struct block);
        slab->at = add_block(slab, slab->left);
        slab->next_block = TN_MIN(2 * slab->next_block, BLOCK_LAST);
    }
    void *thing = slab->at;
    slab->at += size;
    slab->left -= size;
    return thing;
}

void *tn_slab_take(struct tn_slab *slab, size_t size)
{
    if (size > CUT_MOST)
        return add_block(slab, size);
    size_t grains = grains_of(size);
    struct loose *given = slab->given[grains];
    if (!given)
        return cut(slab, grains * GRAIN);
    slab->given[grains] = given->next;
    return given;
}

void tn_slab_give(struct tn_slab *slab, void *thing, size_t size)
{
    if (size <= CUT_MOST) {
        keep(slab, thing, grains_of(size));
        return;
    }
    struct block *block = (struct block *)thing - 1;
    tn_ring_leave(&block->ring);
    slab->bytes -= sizeof *block + size;
    free(block);
}

uint64_t tn_slab_bytes(const struct tn_slab *slab)
{
    return slab->bytes;
}
