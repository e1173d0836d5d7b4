/* Allocation and arenas. */
#include "base/machine.h"
#include "base/pool.h"
#include "base/test_support.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void take_moves(void **state)
{
    (void)state;
    TN_AUTO_FREE char *a = tn_strdup("text");
    TN_AUTO_FREE char *b = TN_TAKE(a);
    assert_null(a);
    assert_string_equal(b, "text");
}

static void small_helpers(void **state)
{
    (void)state;
    TN_AUTO_FREE char *a = tn_strndup("abcdef", 3);
    TN_AUTO_FREE char *b = tn_strndup("ab", 100);
    TN_AUTO_FREE char *c = tn_asprintf("%s-%d", "x", 5);
    TN_AUTO_FREE char *zero = tn_malloc(0);
    TN_AUTO_FREE char *cleared = tn_calloc(3, 4);
    assert_string_equal(a, "abc");
    assert_string_equal(b, "ab");
    assert_string_equal(c, "x-5");
    assert_non_null(zero);
    for (int i = 0; i < 12; i++)
        assert_int_equal(cleared[i], 0);
    assert_int_equal(tn_size_mul(6, 7), 42);

    TN_AUTO_FREE int *items = NULL;
    size_t count = 0, capacity = 0;
    for (int i = 0; i < 1000; i++) {
        TN_GROW(items, count, capacity);
        items[count++] = i;
    }
    assert_true(capacity >= 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
}

static void overflow(void *unused)
{
    (void)unused;
    (void)!tn_size_mul(SIZE_MAX / 2, 3);
}

static void overflow_array(void *unused)
{
    (void)unused;
    free(tn_realloc_array(NULL, SIZE_MAX / 4, 8));
}

/* Runs it in a child that must abort. */
static void assert_aborts(void (*run)(void *))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)close(STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        run(NULL);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void overflow_aborts(void **state)
{
    (void)state;
    assert_aborts(overflow);
    assert_aborts(overflow_array);
}

static void arena_alignment_and_zero(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    size_t begun = tn_arena_reserved(arena);
    /* Across blocks, past the doubling, with large ones in between. */
    for (int round = 0; round < 3; round++) {
        size_t total = 0;
        for (size_t i = 0; i < 3000; i++) {
            size_t size = i % 100 == 99 ? 50000 + i : i % 77;
            unsigned char *bytes = tn_arena_alloc(arena, size);
            assert_int_equal((uintptr_t)bytes % 16, 0);
            for (size_t b = 0; b < size; b++)
                assert_int_equal(bytes[b], 0);
            memset(bytes, 0xAB, size);
            total += size;
        }
        assert_int_equal(tn_arena_used(arena), total);
        assert_true(tn_arena_reserved(arena) > total);
        tn_arena_reset(arena);
        assert_int_equal(tn_arena_used(arena), 0);
        assert_int_equal(tn_arena_reserved(arena), begun);
    }
}

static void small_arenas_take_little(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *usual = tn_arena_new();
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *small = tn_arena_new_small();
    memset(tn_arena_alloc(small, 400), 1, 400);
    assert_true(tn_arena_reserved(small) < 1024);
    assert_true(tn_arena_reserved(usual) > 8192);
    for (int i = 0; i < 1000; i++)
        memset(tn_arena_alloc(small, 100), 1, 100);
    size_t used = tn_arena_used(small);
    assert_int_equal(used, 400 + 1000 * 100);
    assert_true(tn_arena_reserved(small) >= used && tn_arena_reserved(small) < 3 * used);
}

static void arena_texts(void **state)
{
    (void)state;
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    assert_string_equal(tn_arena_strdup(arena, ""), "");
    assert_string_equal(tn_arena_strndup(arena, "abcdef", 2), "ab");
    assert_string_equal(tn_arena_strndup(arena, "ab", 200), "ab");
    assert_memory_equal(tn_arena_memdup(arena, "a\0bc", 3), "a\0b", 4);
    assert_string_equal(tn_arena_memdup(arena, NULL, 0), "");
    assert_string_equal(tn_arena_printf(arena, "%05d", 42), "00042");
    char longer[3000];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    char *text = tn_arena_printf(arena, "<%s>", longer);
    assert_int_equal(strlen(text), sizeof longer + 1);
    assert_true(text[0] == '<' && tn_str_ends_with(text, "x>"));
    int64_t *numbers = TN_ARENA_ARRAY(arena, int64_t, 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(numbers[i], 0);
    tn_arena_free(NULL);
}

static void pages_are_zeroed_and_apart(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4096, ((size_t)2 << 20) - 1, (size_t)2 << 20, ((size_t)5 << 20) + 3};
    for (size_t i = 0; i < TN_COUNT(sizes); i++) {
        struct tn_pages pages = {0};
        assert_true(tn_pages_map(sizes[i], &pages));
        unsigned char *bytes = pages.data;
        assert_int_equal((uintptr_t)bytes % (sizes[i] >= (size_t)2 << 20 ? (size_t)2 << 20 : 64), 0);
        assert_true((char *)bytes + sizes[i] <= (char *)pages.mapped + pages.mapped_size);
        for (size_t at = 0; at < sizes[i]; at += 4096)
            assert_int_equal(bytes[at], 0);
        memset(bytes, 7, sizes[i]);
        tn_pages_unmap(&pages);
        assert_true(!pages.data && !pages.mapped);
        tn_pages_unmap(&pages);
    }
    struct tn_pages untouched = {.mapped_size = 77};
    assert_false(tn_pages_map(SIZE_MAX - 5, &untouched));
    assert_int_equal(untouched.mapped_size, 77);
}

static void *allocate_some(void *barrier)
{
    TN_AUTO_FREE char *some = tn_malloc(1000);
    memset(some, 1, 1000);
    (void)pthread_barrier_wait(barrier); /* all at once: none inherits the heap of one that ended */
    return NULL;
}

static void many_threads_share_few_heaps(void **state)
{
    (void)state;
    enum { THREADS = 200 };
    pthread_t threads[THREADS];
    pthread_barrier_t barrier;
    tn_machine_few_heaps();
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_some, &barrier), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(pthread_barrier_destroy(&barrier), 0);
    char *told = NULL;
    size_t length = 0, heaps = 0;
    FILE *stream = open_memstream(&told, &length);
    assert_non_null(stream);
    assert_int_equal(malloc_info(0, stream), 0);
    assert_int_equal(fclose(stream), 0);
    for (const char *at = told; (at = strstr(at, "<heap nr=")); at++)
        heaps++;
    free(told);
    assert_in_range(heaps, 0, TN_MAX(tn_cpu_count(), (size_t)2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take_moves),
        cmocka_unit_test(small_helpers),
        cmocka_unit_test(overflow_aborts),
        cmocka_unit_test(arena_alignment_and_zero),
        cmocka_unit_test(small_arenas_take_little),
        cmocka_unit_test(arena_texts),
        cmocka_unit_test(many_threads_share_few_heaps),
        cmocka_unit_test(pages_are_zeroed_and_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
