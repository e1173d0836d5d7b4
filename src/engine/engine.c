/* Opening and closing, and the figures. */
#include "engine/engine_internal.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define CACHED_ANALYSES       1024
#define CACHED_ANALYSES_BYTES ((size_t)16 << 20)

static uint64_t machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long size = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || size <= 0)
        return UINT64_C(1) << 30;
    return (uint64_t)pages * (uint64_t)size;
}

static enum tn_code open_database(struct engine *engine, const struct engine_options *options, struct tn_error *err)
{
    duckdb_config config = NULL;
    char *message = NULL;
    if (duckdb_create_config(&config) != DuckDBSuccess)
        return tn_fail(err, TN_ENOMEM, "the SQL engine could not make a configuration");
    char text[32];
    (void)snprintf(text, sizeof text, "%zu", options->threads ? options->threads : tn_cpu_count());
    bool set = duckdb_set_config(config, "threads", text) == DuckDBSuccess &&
               duckdb_set_config(config, "autoinstall_known_extensions", "false") == DuckDBSuccess &&
               duckdb_set_config(config, "autoload_known_extensions", "false") == DuckDBSuccess &&
               duckdb_set_config(config, "allow_community_extensions", "false") == DuckDBSuccess &&
               duckdb_set_config(config, "allow_unsigned_extensions", "false") == DuckDBSuccess;
    duckdb_state state = set ? duckdb_open_ext(NULL, &engine->database, config, &message) : DuckDBError;
    duckdb_destroy_config(&config);
    if (state == DuckDBSuccess)
        return TN_OK;
    enum tn_code code =
        tn_fail(err, TN_EINTERNAL, "the SQL engine does not start: %s", message ? message : "a setting was refused");
    duckdb_free(message);
    return code;
}

/* Settings, functions and the watchdog, in the order that the lock needs. */
static enum tn_code prepare_database(struct engine *engine, const struct engine_options *options,
                                     struct tn_error *err)
{
    duckdb_connection connection = NULL;
    if (duckdb_connect(engine->database, &connection) != DuckDBSuccess)
        return tn_fail(err, TN_EINTERNAL, "the SQL engine refuses a connection");
    enum tn_code code = engine_source_register(connection, err);
    if (code == TN_OK)
        code = live_register(connection, engine->live, err);
    if (code == TN_OK)
        code = numbers_register(connection, engine->numbers, err);
    if (code == TN_OK)
        code = engine_lockdown(connection, options, engine->memory_bytes, err);
    duckdb_disconnect(&connection);
    TN_TRY(code);
    return watchdog_new(&engine->watchdog, err);
}

enum tn_code engine_open(const struct engine_options *options, struct engine **ret, struct tn_error *err)
{
    TN_CLEANUP(engine_close_p) struct engine *engine = tn_calloc(1, sizeof *engine);
    size_t threads = options->threads ? options->threads : tn_cpu_count();
    pthread_mutex_init(&engine->lock, NULL);
    engine->max_queries = options->max_queries ? options->max_queries : TN_MAX((size_t)16, 4 * threads);
    engine->memory_bytes = options->memory_bytes ? options->memory_bytes : machine_memory() / 2;
    engine->live = live_new();
    engine->numbers = numbers_new();
    engine->cache = guard_cache_new(CACHED_ANALYSES, CACHED_ANALYSES_BYTES);
    TN_TRY(open_database(engine, options, err));
    TN_TRY(prepare_database(engine, options, err));
    *ret = TN_TAKE(engine);
    return TN_OK;
}

void engine_close(struct engine *engine)
{
    if (!engine)
        return;
    watchdog_free(engine->watchdog);
    while (engine->idle) {
        struct engine_session *session = engine->idle;
        engine->idle = session->next;
        engine_session_close(session);
    }
    guard_cache_free(engine->cache);
    if (engine->database)
        duckdb_close(&engine->database);
    live_free(engine->live);
    numbers_free(engine->numbers);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

/* The "VmData" line of /proc/self/status, in bytes. */
static uint64_t data_bytes(void)
{
    uint64_t kilobytes = 0;
    char line[256];
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "VmData:", 7) == 0)
            kilobytes = strtoull(line + 7, NULL, 10);
    }
    if (file)
        (void)fclose(file);
    return kilobytes * 1024;
}

void engine_bound_process(const struct engine *engine)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)engine;
    (void)data_bytes;
    return; /* their allocators end the process where ours returns NULL */
#else
    struct rlimit limit;
    uint64_t bytes = data_bytes();
    if (!bytes || engine->memory_bytes > UINT64_MAX / 4 || getrlimit(RLIMIT_DATA, &limit) != 0)
        return;
    bytes += 2 * engine->memory_bytes + (UINT64_C(1) << 30);
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > bytes) {
        limit.rlim_cur = bytes;
        (void)setrlimit(RLIMIT_DATA, &limit);
    }
#endif
}

const char *engine_version(void)
{
    const char *version = duckdb_library_version();
    return *version == 'v' ? version + 1 : version;
}

static bool take_usage(void *context, size_t column_count, const char *const *values)
{
    struct engine_usage *usage = context;
    if (column_count == 2) {
        (void)(values[0] && tn_parse_u64(values[0], &usage->memory_bytes));
        (void)(values[1] && tn_parse_u64(values[1], &usage->temp_bytes));
    }
    return false;
}

void engine_usage(struct engine *engine, struct engine_usage *ret)
{
    struct engine_usage usage = {.memory_limit_bytes = engine->memory_bytes};
    /* Figures are best effort: without them the counters still serve. */
    enum tn_code code = engine_run(engine,
                                   "SELECT sum(memory_usage_bytes)::UBIGINT, sum(temporary_storage_bytes)::UBIGINT "
                                   "FROM duckdb_memory()",
                                   take_usage, &usage, NULL);
    (void)code;
    pthread_mutex_lock(&engine->lock);
    usage.running = engine->running;
    usage.connections = engine->session_count;
    pthread_mutex_unlock(&engine->lock);
    usage.statement_bytes = guard_cache_bytes(engine->cache);
    *ret = usage;
}
