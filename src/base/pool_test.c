/* The thread pool: everything runs once, foreground first, waiting helps. */
#include "base/test_support.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic int done;

static void count_one(void *argument)
{
    (void)argument;
    atomic_fetch_add(&done, 1);
}

static void free_runs_what_is_queued(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= 5; threads += 2) {
        struct tn_pool *pool = NULL;
        atomic_store(&done, 0);
        assert_ok(tn_pool_new(threads, &pool, &test_err));
        assert_int_equal(tn_pool_threads(pool), threads);
        for (int i = 0; i < 1000; i++)
            tn_pool_submit(pool, i % 2 ? TN_FOREGROUND : TN_BACKGROUND, count_one, NULL);
        tn_pool_free(pool);
        assert_int_equal(atomic_load(&done), 1000);
    }
    tn_pool_free(NULL);
}

struct gate {
    sem_t entered, open;
};

static void wait_at_gate(void *argument)
{
    struct gate *gate = argument;
    (void)sem_post(&gate->entered);
    (void)sem_wait(&gate->open);
}

struct step {
    int number;
};
static int order[40];
static size_t order_count;

static void note_order(void *argument)
{
    const struct step *step = argument;
    order[order_count++] = step->number; /* one thread only */
}

static void foreground_starts_first(void **state)
{
    (void)state;
    struct tn_pool *pool = NULL;
    struct gate gate;
    struct step steps[20];
    (void)sem_init(&gate.entered, 0, 0);
    (void)sem_init(&gate.open, 0, 0);
    order_count = 0;
    assert_ok(tn_pool_new(1, &pool, &test_err));
    tn_pool_submit(pool, TN_FOREGROUND, wait_at_gate, &gate);
    (void)sem_wait(&gate.entered);
    for (int i = 0; i < 20; i++) {
        steps[i].number = i;
        tn_pool_submit(pool, i < 10 ? TN_BACKGROUND : TN_FOREGROUND, note_order, &steps[i]);
    }
    assert_int_equal(tn_pool_queued(pool), 20);
    (void)sem_post(&gate.open);
    tn_pool_free(pool);
    assert_int_equal(order_count, 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(order[i], (i + 10) % 20);
    (void)sem_destroy(&gate.entered);
    (void)sem_destroy(&gate.open);
}

/* The only thread is stuck, so the waiting one must do the work, and must not
 * touch what is not its group's. */
static void waiting_helps_its_own_group(void **state)
{
    (void)state;
    struct tn_pool *pool = NULL;
    struct gate gate;
    struct step other = {99};
    (void)sem_init(&gate.entered, 0, 0);
    (void)sem_init(&gate.open, 0, 0);
    order_count = 0;
    atomic_store(&done, 0);
    assert_ok(tn_pool_new(1, &pool, &test_err));
    tn_pool_submit(pool, TN_FOREGROUND, wait_at_gate, &gate);
    (void)sem_wait(&gate.entered);
    tn_pool_submit(pool, TN_FOREGROUND, note_order, &other);
    struct tn_group *group = tn_group_new(pool, TN_BACKGROUND);
    for (int i = 0; i < 100; i++)
        tn_group_add(group, count_one, NULL);
    tn_group_wait(group);
    assert_int_equal(atomic_load(&done), 100);
    assert_int_equal(order_count, 0);
    assert_int_equal(tn_pool_queued(pool), 1);
    tn_group_wait(group); /* nothing left: returns at once */
    tn_group_free(group);
    (void)sem_post(&gate.open);
    tn_pool_free(pool);
    assert_int_equal(order_count, 1);
    (void)sem_destroy(&gate.entered);
    (void)sem_destroy(&gate.open);
}

struct tree {
    struct tn_pool *pool;
    int depth;
};

/* Each task splits in three and waits: with fewer threads than waiters this
 * only ends because waiting helps. */
static void split(void *argument)
{
    const struct tree *tree = argument;
    if (tree->depth == 0) {
        atomic_fetch_add(&done, 1);
        return;
    }
    struct tree child = {tree->pool, tree->depth - 1};
    TN_CLEANUP(tn_group_free_p) struct tn_group *group = tn_group_new(tree->pool, TN_FOREGROUND);
    for (int i = 0; i < 3; i++)
        tn_group_add(group, split, &child);
    tn_group_wait(group);
}

static void groups_nest(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= 3; threads++) {
        struct tn_pool *pool = NULL;
        atomic_store(&done, 0);
        assert_ok(tn_pool_new(threads, &pool, &test_err));
        struct tree root = {pool, 6};
        tn_pool_submit(pool, TN_FOREGROUND, split, &root);
        tn_pool_free(pool);
        assert_int_equal(atomic_load(&done), 729);
    }
}

struct chain {
    struct tn_group *group;
    _Atomic int left;
};

static void add_next(void *argument)
{
    struct chain *chain = argument;
    if (atomic_fetch_sub(&chain->left, 1) > 1)
        tn_group_add(chain->group, add_next, chain);
}

static void tasks_may_add_tasks(void **state)
{
    (void)state;
    struct tn_pool *pool = NULL;
    assert_ok(tn_pool_new(2, &pool, &test_err));
    struct chain chain = {.group = tn_group_new(pool, TN_FOREGROUND)};
    atomic_store(&chain.left, 500);
    tn_group_add(chain.group, add_next, &chain);
    tn_group_wait(chain.group);
    assert_int_equal(atomic_load(&chain.left), 0);
    tn_group_free(chain.group);
    tn_group_free(NULL);
    tn_pool_free(pool);
}

struct place {
    pthread_t waiting;
    int policy, nice;
    bool helped;
};

static void look_around(void *argument)
{
    struct place *place = argument;
    place->policy = sched_getscheduler(0);
    place->nice = getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
    place->helped = pthread_equal(pthread_self(), place->waiting);
}

/* The pool's own threads have stepped back; who waits and helps is what it was. */
static void some_pools_stand_behind(void **state)
{
    (void)state;
    struct tn_pool *pool = NULL;
    struct place places[20] = {0};
    int nice = getpriority(PRIO_PROCESS, 0);
    assert_ok(tn_pool_new_behind(1, 1, &pool, &test_err));
    assert_int_equal(tn_pool_threads(pool), 1);
    struct tn_group *group = tn_group_new(pool, TN_BACKGROUND);
    for (size_t i = 0; i < TN_COUNT(places); i++) {
        places[i].waiting = pthread_self();
        tn_group_add(group, look_around, &places[i]);
    }
    tn_group_wait(group);
    for (size_t i = 0; i < TN_COUNT(places); i++) {
        assert_int_equal(places[i].policy, places[i].helped ? SCHED_OTHER : SCHED_BATCH);
        assert_int_equal(places[i].nice, places[i].helped ? nice : 15);
    }
    tn_group_free(group);
    tn_pool_free(pool);
}

static void machine(void **state)
{
    (void)state;
    assert_in_range(tn_cpu_count(), 1, 100000);
    assert_true(tn_machine_memory() >= UINT64_C(16) << 20);
    struct tn_pool *pool = NULL;
    assert_ok(tn_pool_new(0, &pool, &test_err));
    assert_int_equal(tn_pool_threads(pool), tn_cpu_count());
    tn_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(free_runs_what_is_queued),
        cmocka_unit_test(foreground_starts_first),
        cmocka_unit_test(waiting_helps_its_own_group),
        cmocka_unit_test(groups_nest),
        cmocka_unit_test(tasks_may_add_tasks),
        cmocka_unit_test(some_pools_stand_behind),
        cmocka_unit_test(machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
