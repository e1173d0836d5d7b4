/* Allocation that does not fail, and the one that may (see mem.h). */
#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static _Noreturn void out_of_memory(void)
{
    /* Nothing here may allocate. */
    static const char line[] = "tarn: out of memory; stopping (the lake is safe)\n";
    if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
        abort();
    abort();
}

void *tn_malloc(size_t size)
{
    void *pointer = malloc(size ? size : 1);
    if (!pointer)
        out_of_memory();
    return pointer;
}

void *tn_calloc(size_t count, size_t size)
{
    void *pointer = calloc(count ? count : 1, size ? size : 1);
    if (!pointer)
        out_of_memory();
    return pointer;
}

void *tn_realloc(void *pointer, size_t size)
{
    void *moved = realloc(pointer, size ? size : 1);
    if (!moved)
        out_of_memory();
    return moved;
}

#define LARGE_PAGE ((size_t)2 << 20)

bool tn_pages_map(size_t size, struct tn_pages *ret)
{
    if (size > SIZE_MAX / 2)
        return false;
    bool large = size >= LARGE_PAGE;
    size_t want = size + (large ? LARGE_PAGE : 64);
    void *mapped = mmap(NULL, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
        return false;
    uintptr_t start = (uintptr_t)mapped;
    if (large) {
        start = (start + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
        (void)madvise((void *)start, size, MADV_HUGEPAGE);
    }
    *ret = (struct tn_pages){.data = (void *)start, .mapped = mapped, .mapped_size = want};
    return true;
}

void tn_pages_unmap(struct tn_pages *pages)
{
    if (pages->mapped)
        (void)munmap(pages->mapped, pages->mapped_size);
    *pages = (struct tn_pages){0};
}

size_t tn_size_mul(size_t a, size_t b)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        out_of_memory();
    return product;
}

void *tn_realloc_array(void *pointer, size_t count, size_t size)
{
    return tn_realloc(pointer, tn_size_mul(count, size));
}

char *tn_strndup(const char *text, size_t length)
{
    length = strnlen(text, length);
    char *copy = tn_malloc(length + 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *tn_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(tn_malloc(size), text, size);
}

char *tn_asprintf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int length = vasprintf(&text, format, args);
    va_end(args);
    if (length < 0)
        out_of_memory();
    return text;
}

void *tn_try_malloc(size_t size)
{
    return malloc(size ? size : 1);
}

void tn_close_p(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}
