/* Timed waits: they end at their moment, and before it when they are told. */
#include "base/cond.h"

#include "base/clock.h"
#include "base/test_support.h"

struct stage {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool told;
};

static void *tell(void *argument)
{
    struct stage *stage = argument;
    pthread_mutex_lock(&stage->mutex);
    stage->told = true;
    pthread_cond_broadcast(&stage->cond);
    pthread_mutex_unlock(&stage->mutex);
    return NULL;
}

/* Waits until told or until then; whether it was told. */
static bool wait(struct stage *stage, uint64_t mono_ns)
{
    bool in_time = true;
    pthread_mutex_lock(&stage->mutex);
    while (!stage->told && in_time)
        in_time = tn_cond_wait_until(&stage->cond, &stage->mutex, mono_ns);
    bool told = stage->told;
    pthread_mutex_unlock(&stage->mutex);
    return told;
}

static void the_moment_comes(void **state)
{
    (void)state;
    struct stage stage = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    tn_cond_init(&stage.cond);
    uint64_t until = tn_mono_ns() + 20000000;
    assert_false(wait(&stage, until));
    assert_true(tn_mono_ns() >= until);
    assert_false(wait(&stage, 0));
    pthread_cond_destroy(&stage.cond);
}

static void who_is_told_does_not_wait_for_it(void **state)
{
    (void)state;
    static const uint64_t ends[] = {UINT64_MAX, UINT64_MAX / 2};
    for (size_t i = 0; i < TN_COUNT(ends); i++) {
        struct stage stage = {.mutex = PTHREAD_MUTEX_INITIALIZER};
        pthread_t thread;
        tn_cond_init(&stage.cond);
        assert_int_equal(pthread_create(&thread, NULL, tell, &stage), 0);
        assert_true(wait(&stage, ends[i]));
        assert_int_equal(pthread_join(thread, NULL), 0);
        pthread_cond_destroy(&stage.cond);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_moment_comes),
        cmocka_unit_test(who_is_told_does_not_wait_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
