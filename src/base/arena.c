/* A bump allocator over a list of blocks.
 *
 * Blocks double from 8 KB (512 bytes for a small one) to 1 MB. What would not fit half of a fresh block
 * gets a block of its own behind the current one, so that a large value does
 * not waste the rest of it. Under the address sanitizer everything that was
 * not handed out is poisoned, so an overrun inside a block is found too.
 */
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define ARENA_POISON(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define ARENA_UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
/* A gap behind each allocation catches reads one past the end. */
#define ARENA_GAP 16
#else
#define ARENA_POISON(p, n)   ((void)(p), (void)(n))
#define ARENA_UNPOISON(p, n) ((void)(p), (void)(n))
#define ARENA_GAP            0
#endif

enum { ARENA_ALIGN = 16, ARENA_FIRST = 8 * 1024, ARENA_SMALL = 512, ARENA_LARGEST = 1024 * 1024 };

struct block {
    struct block *next;
    size_t size;
    _Alignas(ARENA_ALIGN) unsigned char bytes[];
};

struct tn_arena {
    struct block *first;   /* survives a reset */
    struct block *current; /* where small allocations come from */
    size_t offset;         /* first free byte of current */
    size_t handed_out;
    size_t reserved; /* of all blocks, their heads too */
    size_t next_size;
};

static struct block *block_new(size_t size)
{
    size_t whole;
    if (__builtin_add_overflow(sizeof(struct block), size, &whole))
        whole = SIZE_MAX; /* cannot be had: tn_malloc says so */
    struct block *block = tn_malloc(whole);
    block->next = NULL;
    block->size = size;
    ARENA_POISON(block->bytes, size);
    return block;
}

static void block_free(struct block *block)
{
    ARENA_UNPOISON(block->bytes, block->size);
    free(block);
}

static void begin(struct tn_arena *arena)
{
    arena->current = arena->first;
    arena->offset = 0;
    arena->handed_out = 0;
    arena->reserved = sizeof *arena + sizeof *arena->first + arena->first->size;
    arena->next_size = arena->first->size * 2;
}

static struct tn_arena *new_of(size_t first)
{
    struct tn_arena *arena = tn_calloc(1, sizeof *arena);
    arena->first = block_new(first);
    begin(arena);
    return arena;
}

struct tn_arena *tn_arena_new(void)
{
    return new_of(ARENA_FIRST);
}

struct tn_arena *tn_arena_new_small(void)
{
    return new_of(ARENA_SMALL);
}

static void free_from(struct block *block)
{
    while (block) {
        struct block *next = block->next;
        block_free(block);
        block = next;
    }
}

void tn_arena_free(struct tn_arena *arena)
{
    if (!arena)
        return;
    free_from(arena->first);
    free(arena);
}

void tn_arena_reset(struct tn_arena *arena)
{
    free_from(arena->first->next);
    arena->first->next = NULL;
    ARENA_POISON(arena->first->bytes, arena->first->size);
    begin(arena);
}

void *tn_arena_alloc(struct tn_arena *arena, size_t size)
{
    size_t room;
    if (__builtin_add_overflow(size, (size_t)ARENA_ALIGN - 1 + ARENA_GAP, &room))
        room = SIZE_MAX;
    room &= ~((size_t)ARENA_ALIGN - 1);
    arena->handed_out += size;
    struct block *block = arena->current;
    unsigned char *bytes;
    if (room <= block->size - arena->offset) {
        bytes = block->bytes + arena->offset;
        arena->offset += room;
    } else if (room > arena->next_size / 2) {
        struct block *own = block_new(room);
        arena->reserved += sizeof *own + room;
        own->next = block->next;
        block->next = own;
        bytes = own->bytes;
    } else {
        struct block *fresh = block_new(arena->next_size);
        arena->reserved += sizeof *fresh + fresh->size;
        fresh->next = block->next;
        block->next = fresh;
        arena->current = fresh;
        arena->offset = room;
        arena->next_size = TN_MIN(arena->next_size * 2, (size_t)ARENA_LARGEST);
        bytes = fresh->bytes;
    }
    ARENA_UNPOISON(bytes, size);
    return memset(bytes, 0, size);
}

char *tn_arena_strndup(struct tn_arena *arena, const char *text, size_t length)
{
    length = strnlen(text, length);
    char *copy = tn_arena_alloc(arena, length + 1);
    return memcpy(copy, text, length);
}

char *tn_arena_memdup(struct tn_arena *arena, const void *bytes, size_t length)
{
    char *copy = tn_arena_alloc(arena, length + 1);
    if (length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

char *tn_arena_strdup(struct tn_arena *arena, const char *text)
{
    return tn_arena_strndup(arena, text, strlen(text));
}

char *tn_arena_printf(struct tn_arena *arena, const char *format, ...)
{
    char small[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (length < 0)
        return tn_arena_strdup(arena, "");
    if ((size_t)length < sizeof small)
        return tn_arena_strndup(arena, small, (size_t)length);
    char *text = tn_arena_alloc(arena, (size_t)length + 1);
    va_start(args, format);
    (void)vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

size_t tn_arena_used(const struct tn_arena *arena)
{
    return arena->handed_out;
}

size_t tn_arena_reserved(const struct tn_arena *arena)
{
    return arena->reserved;
}
