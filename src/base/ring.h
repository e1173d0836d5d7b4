/* An order of use, from the oldest to the newest: a ring of links that lie in
 * what is ordered. The owner has one link more, which belongs to nothing and
 * closes the ring. A link that is the first member of its struct is that struct. */
#ifndef TARN_BASE_RING_H
#define TARN_BASE_RING_H

#include <stddef.h>

struct tn_ring {
    struct tn_ring *newer, *older;
};

/* The owner's link: an empty ring. */
static inline void tn_ring_init(struct tn_ring *ring)
{
    ring->newer = ring->older = ring;
}

static inline void tn_ring_leave(struct tn_ring *link)
{
    link->newer->older = link->older;
    link->older->newer = link->newer;
}

/* As the newest. */
static inline void tn_ring_enter(struct tn_ring *ring, struct tn_ring *link)
{
    link->newer = ring;
    link->older = ring->older;
    link->older->newer = link;
    ring->older = link;
}

/* It was used: it is the newest now. */
static inline void tn_ring_renew(struct tn_ring *ring, struct tn_ring *link)
{
    tn_ring_leave(link);
    tn_ring_enter(ring, link);
}

/* NULL when it is empty. */
static inline void *tn_ring_oldest(struct tn_ring *ring)
{
    return ring->newer == ring ? NULL : ring->newer;
}

#endif
