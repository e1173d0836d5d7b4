/* Turns, the breaker and retries, with a clock that the test moves. */
#include "model/model_internal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* ---- a clock and a provider of the test's own ------------------------------------------ */

struct script {
    uint64_t now_ms, slept_ms;
    size_t sends;
    long status[32]; /* of one send after the other; 0: nobody answers */
    uint64_t retry_after_ms;
    const char *body;
    bool *cancel_after_sleep;
};

static uint64_t script_now(void *context)
{
    return ((struct script *)context)->now_ms;
}

static void script_sleep(void *context, uint64_t ms)
{
    struct script *script = context;
    script->now_ms += ms;
    script->slept_ms += ms;
    if (script->cancel_after_sleep)
        *script->cancel_after_sleep = true;
}

static uint64_t script_random(void *context)
{
    (void)context;
    return 0;
}

static enum tn_code script_send(void *transport, const struct model_http_request *request,
                                struct model_http_reply *ret, struct tn_error *err)
{
    struct script *script = transport;
    long status = script->status[script->sends++];
    (void)request;
    script->now_ms += 10;
    if (status == 0)
        return tn_fail(err, TN_EUNAVAILABLE, "connection refused");
    *ret = (struct model_http_reply){.status = status, .retry_after_ms = script->retry_after_ms};
    if (script->body)
        tn_buf_puts(&ret->body, script->body);
    return TN_OK;
}

static void provider_init(struct model_provider *provider, struct script *script)
{
    static char empty[1] = "";
    *provider = (struct model_provider){
        .kind = MODEL_OLLAMA,
        .name = "ollama",
        .url = empty,
        .key_file = empty,
        .timeout_ms = 60000,
        .retries = 3,
        .clock = {.now_ms = script_now, .sleep_ms = script_sleep, .random = script_random, .context = script},
        .send = script_send,
        .transport = script,
    };
    model_guard_init(&provider->guard, 2);
    script->now_ms = 1000;
}

static enum tn_code read_anything(void *context, const char *body, size_t length, struct tn_error *err)
{
    (void)context;
    (void)body;
    (void)length;
    (void)err;
    return TN_OK;
}

static enum tn_code call(struct model_provider *provider, struct tn_error *err)
{
    const struct model_exchange exchange = {.method = "GET", .path = "/", .read = read_anything};
    return model_exchange(provider, &exchange, err);
}

/* ---- pauses ------------------------------------------------------------------------------- */

static void test_delays_double_and_are_jittered(void **state)
{
    (void)state;
    assert_int_equal(model_retry_delay(1, 0, 0), 125);
    assert_int_equal(model_retry_delay(2, 0, 0), 250);
    assert_int_equal(model_retry_delay(3, 0, 0), 500);
    for (uint64_t random = 0; random < 1000; random++) {
        uint64_t delay = model_retry_delay(2, 0, random * 7919);
        assert_true(delay >= 250 && delay <= 500);
    }
    assert_int_equal(model_retry_delay(40, 0, 0), 5000); /* bounded, also far out */
    assert_int_equal(model_retry_delay(1, 3000, 0), 3000);
    assert_int_equal(model_retry_delay(1, UINT64_MAX, 0), 60000);
}

/* ---- retries --------------------------------------------------------------------------------- */

static void test_what_may_pass_is_tried_again(void **state)
{
    (void)state;
    struct script script = {.status = {0, 503, 429, 200}};
    struct model_provider provider;
    struct tn_error err = {0};
    provider_init(&provider, &script);
    assert_int_equal(call(&provider, &err), TN_OK);
    assert_int_equal(script.sends, 4);
    assert_int_equal(script.slept_ms, 125 + 250 + 500);
    assert_int_equal(provider.guard.calls, 4);
    assert_int_equal(provider.guard.failures, 2); /* 429 is no failure of the provider */
    assert_int_equal(provider.guard.failures_in_row, 0);
    model_guard_release(&provider.guard);
}

static void test_what_will_not_pass_is_not(void **state)
{
    (void)state;
    static const struct {
        long status;
        enum tn_code code;
    } cases[] = {{400, TN_EREFUSED}, {401, TN_EUPSTREAM}, {404, TN_ENOTFOUND}, {302, TN_EUPSTREAM}};
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        struct script script = {.status = {cases[i].status},
                                .body = "{\"error\":\"model \\\"x\\\" not found\\u0007\"}"};
        struct model_provider provider;
        struct tn_error err = {0};
        provider_init(&provider, &script);
        assert_int_equal(call(&provider, &err), cases[i].code);
        assert_int_equal(script.sends, 1);
        if (cases[i].status < 500 && cases[i].status >= 400)
            assert_non_null(strstr(err.detail, "model \"x\" not found "));
        model_guard_release(&provider.guard);
    }
}

static void test_the_server_may_name_the_pause(void **state)
{
    (void)state;
    struct script script = {.status = {429, 200}, .retry_after_ms = 7000};
    struct model_provider provider;
    provider_init(&provider, &script);
    assert_int_equal(call(&provider, NULL), TN_OK);
    assert_int_equal(script.slept_ms, 7000);
    model_guard_release(&provider.guard);
}

static void test_retries_end_with_the_time(void **state)
{
    (void)state;
    struct script script = {.status = {429, 200}, .retry_after_ms = 7000};
    struct model_provider provider;
    struct tn_error err = {0};
    provider_init(&provider, &script);
    provider.timeout_ms = 5000;
    assert_int_equal(call(&provider, &err), TN_EUNAVAILABLE);
    assert_int_equal(script.sends, 1);
    assert_int_equal(script.slept_ms, 0);
    model_guard_release(&provider.guard);
}

static void test_a_pause_can_be_cancelled(void **state)
{
    (void)state;
    bool cancel = false;
    struct script script = {.status = {503, 200}, .cancel_after_sleep = &cancel};
    struct model_provider provider;
    struct tn_error err = {0};
    provider_init(&provider, &script);
    const struct model_exchange exchange = {.method = "GET", .path = "/", .read = read_anything, .cancel = &cancel};
    assert_int_equal(model_exchange(&provider, &exchange, &err), TN_ECANCELLED);
    assert_int_equal(script.sends, 1);
    model_guard_release(&provider.guard);
}

/* ---- the breaker ------------------------------------------------------------------------------ */

static void test_the_breaker_opens_probes_and_closes(void **state)
{
    (void)state;
    struct script script = {.status = {0, 0, 0, 0, 0, /* opens */ 0, /* a probe that fails */ 200, 200}};
    struct model_provider provider;
    struct tn_error err = {0};
    provider_init(&provider, &script);
    provider.retries = 0;
    for (int i = 0; i < MODEL_FAILURES_TO_OPEN; i++)
        assert_int_equal(call(&provider, &err), TN_EUNAVAILABLE);
    assert_int_equal(model_guard_state(&provider.guard, script.now_ms), MODEL_OPEN);
    assert_int_equal(call(&provider, &err), TN_EUNAVAILABLE);
    assert_int_equal(script.sends, MODEL_FAILURES_TO_OPEN); /* nobody was asked */
    assert_non_null(strstr(err.detail, "connection refused"));

    script.now_ms += MODEL_FIRST_PAUSE_MS;
    assert_int_equal(model_guard_state(&provider.guard, script.now_ms), MODEL_PROBING);
    assert_int_equal(call(&provider, &err), TN_EUNAVAILABLE);
    assert_int_equal(script.sends, MODEL_FAILURES_TO_OPEN + 1);
    script.now_ms += MODEL_FIRST_PAUSE_MS; /* the pause is twice that now */
    assert_int_equal(call(&provider, &err), TN_EUNAVAILABLE);
    assert_int_equal(script.sends, MODEL_FAILURES_TO_OPEN + 1);

    script.now_ms += MODEL_FIRST_PAUSE_MS;
    assert_int_equal(call(&provider, &err), TN_OK);
    assert_int_equal(model_guard_state(&provider.guard, script.now_ms), MODEL_CLOSED);
    assert_int_equal(call(&provider, &err), TN_OK);
    model_guard_release(&provider.guard);
}

static void test_one_probe_at_a_time(void **state)
{
    (void)state;
    struct script script = {.now_ms = 1000};
    struct model_guard guard;
    struct tn_error err = {0};
    model_guard_init(&guard, 4);
    for (int i = 0; i < MODEL_FAILURES_TO_OPEN; i++) {
        assert_int_equal(model_guard_enter(&guard, "x", TN_FOREGROUND, script_now, &script, NULL, &err), TN_OK);
        model_guard_leave(&guard, MODEL_FAILED, script.now_ms, "down");
    }
    script.now_ms += MODEL_FIRST_PAUSE_MS;
    assert_int_equal(model_guard_enter(&guard, "x", TN_FOREGROUND, script_now, &script, NULL, &err), TN_OK);
    assert_int_equal(model_guard_enter(&guard, "x", TN_FOREGROUND, script_now, &script, NULL, &err), TN_EUNAVAILABLE);
    model_guard_leave(&guard, MODEL_WORKED, script.now_ms, "");
    assert_int_equal(model_guard_enter(&guard, "x", TN_FOREGROUND, script_now, &script, NULL, &err), TN_OK);
    model_guard_leave(&guard, MODEL_WORKED, script.now_ms, "");
    model_guard_release(&guard);
}

static void test_a_waiting_call_can_be_cancelled(void **state)
{
    (void)state;
    struct script script = {.now_ms = 1000};
    struct model_guard guard;
    struct tn_error err = {0};
    const volatile bool cancel = true;
    model_guard_init(&guard, 1);
    assert_int_equal(model_guard_enter(&guard, "x", TN_FOREGROUND, script_now, &script, NULL, &err), TN_OK);
    assert_int_equal(model_guard_enter(&guard, "x", TN_FOREGROUND, script_now, &script, &cancel, &err),
                     TN_ECANCELLED);
    model_guard_leave(&guard, MODEL_WORKED, script.now_ms, "");
    assert_int_equal(guard.running, 0);
    model_guard_release(&guard);
}

struct racer {
    struct model_guard *guard;
    enum tn_priority priority;
    int *order, place;
};

static void *race(void *argument)
{
    struct racer *racer = argument;
    struct script script = {.now_ms = 1000};
    if (model_guard_enter(racer->guard, "x", racer->priority, script_now, &script, NULL, NULL) == TN_OK) {
        racer->place = __atomic_add_fetch(racer->order, 1, __ATOMIC_SEQ_CST);
        model_guard_leave(racer->guard, MODEL_WORKED, 1000, "");
    }
    return NULL;
}

static void wait_for_foreground(struct model_guard *guard)
{
    for (bool waiting = false; !waiting;) {
        (void)pthread_mutex_lock(&guard->lock);
        waiting = guard->waiting > 0;
        (void)pthread_mutex_unlock(&guard->lock);
    }
}

/* A background call that comes to the turn while one in the foreground waits
 * lets it go first. */
static void test_the_foreground_goes_first(void **state)
{
    (void)state;
    struct script script = {.now_ms = 1000};
    struct model_guard guard;
    pthread_t first, second;
    int order = 0;
    model_guard_init(&guard, 1);
    struct racer query = {.guard = &guard, .priority = TN_FOREGROUND, .order = &order};
    struct racer job = {.guard = &guard, .priority = TN_BACKGROUND, .order = &order};
    assert_int_equal(model_guard_enter(&guard, "x", TN_FOREGROUND, script_now, &script, NULL, NULL), TN_OK);
    assert_int_equal(pthread_create(&first, NULL, race, &query), 0);
    wait_for_foreground(&guard);
    assert_int_equal(pthread_create(&second, NULL, race, &job), 0);
    model_guard_leave(&guard, MODEL_WORKED, 1000, "");
    (void)pthread_join(first, NULL);
    (void)pthread_join(second, NULL);
    assert_int_equal(order, 2);
    assert_int_equal(query.place, 1);
    assert_int_equal(job.place, 2);
    model_guard_release(&guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delays_double_and_are_jittered),
        cmocka_unit_test(test_what_may_pass_is_tried_again),
        cmocka_unit_test(test_what_will_not_pass_is_not),
        cmocka_unit_test(test_the_server_may_name_the_pause),
        cmocka_unit_test(test_retries_end_with_the_time),
        cmocka_unit_test(test_a_pause_can_be_cancelled),
        cmocka_unit_test(test_the_breaker_opens_probes_and_closes),
        cmocka_unit_test(test_one_probe_at_a_time),
        cmocka_unit_test(test_a_waiting_call_can_be_cancelled),
        cmocka_unit_test(test_the_foreground_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
