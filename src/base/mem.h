/* Memory: cleanup attributes, allocation, arenas.
 *
 * Three rules of ownership, in this order of preference:
 *   1. What lives as long as a request, a query or a batch sits in a
 *      struct tn_arena that is passed down; nobody frees it piece by piece.
 *   2. What lives longer has a _new/_free (heap) or _init/_release (caller's
 *      storage) pair; _free and _release accept NULL or an empty object.
 *   3. Locals carry a cleanup attribute, and TN_TAKE moves them out on success.
 *
 * Small allocations never fail: when the machine has no memory left for a few
 * bytes, tn_malloc and the arena print a line and abort, and the lake is as
 * safe as after any crash. Whoever allocates an amount that outside input
 * decides calls tn_try_malloc and returns TN_ENOMEM.
 */
#ifndef TARN_BASE_MEM_H
#define TARN_BASE_MEM_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define TN_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TN_MIN(a, b)    ((a) < (b) ? (a) : (b))
#define TN_MAX(a, b)    ((a) > (b) ? (a) : (b))
#define TN_UNUSED       __attribute__((unused))
/* A variable that is only there to be cleaned up is used. */
#define TN_CLEANUP(function) __attribute__((cleanup(function), unused))

/* The pointer's value; the pointer itself becomes NULL. */
#define TN_TAKE(pointer)                                                                                             \
    __extension__({                                                                                                  \
        __typeof__(pointer) *tn_take_ = &(pointer);                                                                  \
        __typeof__(pointer) tn_value_ = *tn_take_;                                                                   \
        *tn_take_ = NULL;                                                                                            \
        tn_value_;                                                                                                   \
    })

/* Defines fn_p(type **), the cleanup function for a pointer freed by fn. */
#define TN_DEFINE_CLEANUP(type, fn)                                                                                  \
    static inline void fn##_p(type **pointer)                                                                        \
    {                                                                                                                \
        fn(*pointer);                                                                                                \
    }

static inline void tn_free_p(void *pointer)
{
    free(*(void **)pointer);
}
void tn_close_p(int *fd); /* closes fd unless it is negative */

#define TN_AUTO_FREE  TN_CLEANUP(tn_free_p)
#define TN_AUTO_CLOSE TN_CLEANUP(tn_close_p)

/* Zeroed by tn_calloc, unset by the others. Freed by free(). Never NULL. */
void *tn_malloc(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));
void *tn_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1, 2)));
void *tn_realloc(void *pointer, size_t size) __attribute__((returns_nonnull, alloc_size(2)));
/* As realloc(pointer, count * size) with the product checked. */
void *tn_realloc_array(void *pointer, size_t count, size_t size) __attribute__((returns_nonnull));
char *tn_strdup(const char *text) __attribute__((malloc, returns_nonnull, nonnull));
char *tn_strndup(const char *text, size_t length) __attribute__((malloc, returns_nonnull, nonnull));
char *tn_asprintf(const char *format, ...) TN_PRINTF(1, 2) __attribute__((malloc, returns_nonnull));
/* NULL when there is not enough memory. */
void *tn_try_malloc(size_t size) __attribute__((malloc, alloc_size(1)));

/* A zeroed block of its own, for megabytes that are read through: on large pages
 * where the system has them (MADV_HUGEPAGE), which spares most of the walks
 * through page tables. */
struct tn_pages {
    void *data;   /* 64-byte aligned at least; NULL when there is none */
    void *mapped; /* what munmap wants */
    size_t mapped_size;
};
/* False, and *ret untouched, when there is not enough memory. */
bool tn_pages_map(size_t size, struct tn_pages *ret) TN_CHECKED;
void tn_pages_unmap(struct tn_pages *pages);

/* Grows *items (count used, *capacity allocated) to hold one more. */
#define TN_GROW(items, count, capacity)                                                                              \
    do {                                                                                                             \
        if ((count) == (capacity)) {                                                                                 \
            (capacity) = (capacity) ? (capacity)*2 : 8;                                                              \
            (items) = tn_realloc_array((items), (capacity), sizeof *(items));                                        \
        }                                                                                                            \
    } while (0)

/* A bump allocator. Not thread-safe: one arena, one thread at a time. */
struct tn_arena;
struct tn_arena *tn_arena_new(void) __attribute__((returns_nonnull));
/* With a first block of 512 bytes in place of 8 KB: for what is small, many, and lives long. */
struct tn_arena *tn_arena_new_small(void) __attribute__((returns_nonnull));
void tn_arena_free(struct tn_arena *arena);
/* Forgets all allocations, keeps the first block. */
void tn_arena_reset(struct tn_arena *arena);
/* 16-byte aligned and zeroed; valid until the arena is reset or freed. */
void *tn_arena_alloc(struct tn_arena *arena, size_t size) __attribute__((returns_nonnull, alloc_size(2)));
char *tn_arena_strdup(struct tn_arena *arena, const char *text) __attribute__((returns_nonnull));
/* At most `length` bytes, and none behind a zero byte. */
char *tn_arena_strndup(struct tn_arena *arena, const char *text, size_t length) __attribute__((returns_nonnull));
/* All of `length` bytes, zero bytes among them, and a zero byte behind. */
char *tn_arena_memdup(struct tn_arena *arena, const void *bytes, size_t length) __attribute__((returns_nonnull));
char *tn_arena_printf(struct tn_arena *arena, const char *format, ...) TN_PRINTF(2, 3)
    __attribute__((returns_nonnull));
/* Bytes handed out since the last reset. */
size_t tn_arena_used(const struct tn_arena *arena);
/* Bytes that it takes, with what was not handed out yet: what a bounded cache counts. */
size_t tn_arena_reserved(const struct tn_arena *arena);
TN_DEFINE_CLEANUP(struct tn_arena, tn_arena_free)

#define TN_ARENA_ARRAY(arena, type, count) ((type *)tn_arena_alloc((arena), tn_size_mul((count), sizeof(type))))
/* a * b; aborts on overflow. */
size_t tn_size_mul(size_t a, size_t b);

#endif
