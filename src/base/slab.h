/* slab.h: room for a great many small things that come and go one by one and
 * end together.
 *
 * A million of them, each from malloc, take as long to free as to make, and the
 * allocator then joins all those pieces while others wait for it. A slab asks
 * for blocks, cuts them up, gives what comes back to the next that is as
 * large, and ends with a few frees. What was used once is given back to the
 * system only at the end.
 *
 * Threads: one at a time. Under ASan each thing is from malloc, so that a use
 * after its end is found.
 */
#ifndef TARN_BASE_SLAB_H
#define TARN_BASE_SLAB_H

#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>

struct tn_slab;

struct tn_slab *tn_slab_new(void) __attribute__((returns_nonnull));
/* Also all that lies in it. NULL is nothing. */
void tn_slab_free(struct tn_slab *slab);
TN_DEFINE_CLEANUP(struct tn_slab, tn_slab_free)

/* Unset, aligned to 16 bytes; never NULL. */
void *tn_slab_take(struct tn_slab *slab, size_t size) __attribute__((returns_nonnull, alloc_size(2)));
/* Back; `size` as it was taken. */
void tn_slab_give(struct tn_slab *slab, void *thing, size_t size);

/* What it takes in memory, also what nothing lies in. */
uint64_t tn_slab_bytes(const struct tn_slab *slab);

#endif
