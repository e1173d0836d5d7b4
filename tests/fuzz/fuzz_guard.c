/* Any text through the guard: it must come back with a verdict, and what it
 * lets through must name each of its tables where it says. The engine itself
 * is opened once; nothing is run. */
#include "fuzz.h"

#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

static struct engine *engine;

/* The engine keeps pointers where the leak checker does not look: closed, it
 * has none to complain of. */
static void close_at_exit(void)
{
    engine_close(engine);
}

static void open_once(void)
{
    if (engine)
        return;
    const struct engine_options options = {.memory_bytes = UINT64_C(512) << 20, .temp_folder = "", .threads = 1};
    struct tn_error err = {0};
    if (engine_open(&options, &engine, &err) != TN_OK) {
        (void)fprintf(stderr, "%s\n", err.detail);
        abort();
    }
    (void)atexit(close_at_exit);
}

static void statement(const char *text, size_t size)
{
    struct tn_arena *arena = tn_arena_new();
    struct engine_statement result = {0};
    struct tn_error err = {0};
    enum tn_code code = engine_guard(engine, text, size, arena, &result, &err);
    FUZZ_CHECK(code == TN_OK || code == TN_ESQL || code == TN_ESQLREFUSED);
    FUZZ_CHECK(code == TN_OK || *err.detail);
    for (size_t i = 0; code == TN_OK && i < result.table_count; i++) {
        FUZZ_CHECK(*result.tables[i].name);
        /* Neither a path nor a qualified name gets as far as a resolver. */
        FUZZ_CHECK(!strpbrk(result.tables[i].name, "/."));
    }
    tn_arena_free(arena);
}

static void predicate(const char *text, size_t size)
{
    struct tn_arena *arena = tn_arena_new();
    const char *safe = NULL;
    bool varies = false;
    if (engine_guard_predicate(engine, text, size, arena, &safe, &varies, NULL) == TN_OK) {
        /* What is safe alone is safe between parentheses. */
        const char *again = NULL;
        char *wrapped = tn_arena_printf(arena, "(%s)", safe);
        bool also = !varies;
        FUZZ_CHECK(engine_guard_predicate(engine, wrapped, strlen(wrapped), arena, &again, &also, NULL) == TN_OK);
        FUZZ_CHECK(also == varies);
    }
    tn_arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    open_once();
    statement((const char *)data, size);
    predicate((const char *)data, size);
    return 0;
}
