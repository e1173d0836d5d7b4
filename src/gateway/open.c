/* A lake becomes a gateway, and stops being one. */
#include "answer/answer.h"
#include "gateway/gateway_internal.h"
#include "journal/journal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MS      UINT64_C(1000000)
#define PEM_MAX ((size_t)1 << 20)
/* Threads beside those that queries and ingests may hold at once, so that
 * short requests are answered however long the others run. */
#define SPARE_THREADS 4
/* A commit of a row has eleven things to do in its round: ten fsyncs, and the metadata file to write (store.h). */
#define SYNC_THREADS 12
/* What small writes changed, for those who follow them. */
#define RECENT_BYTES ((size_t)16 << 20)

/* ---- settings ------------------------------------------------------------------ */

static void read_limits(struct gateway *gateway, const struct tn_config *config)
{
    gateway->limits = (struct gateway_limits){
        .max_body = tn_config_size(config, "server.max_body"),
        .max_header = tn_config_size(config, "server.max_header"),
        .max_upload = tn_config_size(config, "ingest.max_size"),
        .header_timeout_ns = tn_config_ms(config, "server.header_timeout") * MS,
        .idle_timeout_ns = tn_config_ms(config, "server.idle_timeout") * MS,
        .drain_ns = tn_config_ms(config, "server.drain") * MS,
        .min_rate = tn_config_size(config, "server.min_rate"),
        .heartbeat_ns = tn_config_ms(config, "server.heartbeat") * MS,
        .sql_timeout_ms = tn_config_ms(config, "sql.timeout"),
        .sql_max_rows = (uint64_t)tn_config_int(config, "sql.max_rows"),
        .max_rejects = tn_config_int(config, "ingest.max_rejects"),
        .max_ingests = (int)tn_config_int(config, "ingest.max_running"),
    };
    gateway->site = (struct http_site){
        .bind = gateway->embedded ? "127.0.0.1" : tn_config_string(config, "server.bind"),
        .allowed_hosts = tn_config_string(config, "server.allowed_hosts"),
        .allowed_origins = tn_config_string(config, "server.allowed_origins"),
        .tls = !gateway->embedded && tn_config_string(config, "server.tls_cert")[0],
    };
    gateway->port = gateway->embedded ? 0 : (uint16_t)tn_config_int(config, "server.port");
}

static enum tn_code read_pem(const char *path, const char *key, char **ret, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    enum tn_code code = tn_file_read(path, PEM_MAX, &text, err);
    if (code != TN_OK) {
        tn_error_context(err, "%s", key);
        return TN_ECONFIG;
    }
    *ret = tn_buf_take(&text);
    return TN_OK;
}

static enum tn_code check_exposure(struct gateway *gateway, const struct tn_config *config, struct tn_error *err)
{
    const char *cert = tn_config_string(config, "server.tls_cert"), *key = tn_config_string(config, "server.tls_key");
    if (gateway->embedded)
        return TN_OK;
    if (!cert[0] != !key[0])
        return tn_fail(err, TN_ECONFIG, "server.tls_cert and server.tls_key need each other");
    if (cert[0]) {
        TN_TRY(read_pem(cert, "server.tls_cert", &gateway->tls_cert, err));
        return read_pem(key, "server.tls_key", &gateway->tls_key, err);
    }
    if (http_host_is_loopback(gateway->site.bind) || tn_config_bool(config, "server.insecure_remote"))
        return TN_OK;
    (void)tn_fail(err, TN_ECONFIG, "server.bind %s would send tokens and data over the network in the clear",
                  gateway->site.bind);
    tn_error_hint(err, "set server.tls_cert and server.tls_key, or, if you mean it, server.insecure_remote: true");
    return TN_ECONFIG;
}

/* ---- parts --------------------------------------------------------------------- */

static enum tn_code open_engine(struct gateway *gateway, const struct tn_config *config, struct tn_error *err)
{
    const char *readable[] = {tn_path_join(gateway->arena, gateway->folder, "buckets")};
    const char *temp = tn_path_join(gateway->arena, gateway->folder, "state/tmp");
    TN_TRY(tn_remove_tree(temp, err)); /* what a crashed process spilled */
    TN_TRY(tn_mkdirs(temp, 0700, err));
    const struct engine_options options = {
        .memory_bytes = tn_config_size(config, "sql.memory"),
        .temp_folder = temp,
        .temp_bytes = tn_config_size(config, "sql.temp"),
        .threads = (size_t)tn_config_int(config, "sql.threads"),
        .max_queries = (size_t)tn_config_int(config, "sql.max_queries"),
        .readable_folders = readable,
        .readable_count = TN_COUNT(readable),
    };
    TN_TRY(engine_open(&options, &gateway->lake.engine, err));
    engine_bound_process(gateway->lake.engine);
    return TN_OK;
}

static enum tn_code open_lake(struct gateway *gateway, const struct tn_config *config, struct tn_error *err)
{
    uint64_t removed = 0;
    gateway->lake.config = config;
    TN_TRY(store_open_local(tn_path_join(gateway->arena, gateway->folder, "buckets/primary"), &gateway->lake.store,
                            err));
    store_sync_threads(gateway->lake.store, SYNC_THREADS);
    TN_TRY(store_clean_staging(gateway->lake.store, 0, &removed, err));
    if (removed > 0)
        TN_LOG(TN_LOG_INFO, "lake.cleaned", TN_FI("staging_files", removed));
    TN_TRY(catalog_open(gateway->lake.store, &gateway->lake.catalog, err));
    TN_TRY(catalog_recover(gateway->lake.catalog, err));
    TN_TRY(open_engine(gateway, config, err));
    TN_TRY(
        journal_open(gateway->lake.store, gateway->lake.catalog, gateway->lake.engine, &gateway->lake.journal, err));
    TN_TRY(journal_resume(gateway->lake.journal, err));
    journal_shorten_grace(gateway->lake.journal, (int64_t)tn_config_ms(config, "upkeep.orphan_grace"));
    gateway->lake.relations = dataset_relations_new();
    gateway->lake.replays = dataset_replays_new();
    gateway->lake.queues = dataset_rows_queues_new();
    gateway->lake.recent = dataset_recent_new(RECENT_BYTES);
    gateway->lake.hot = dataset_hot_new(tn_config_size(config, "cache.memory"));
    gateway->results = results_new(tn_config_size(config, "sql.results"));
    TN_TRY(tn_pool_new((size_t)tn_config_int(config, "ingest.threads"), &gateway->lake.pool, err));
    size_t waiting =
        (size_t)tn_config_int(config, "sql.max_queries") + (size_t)gateway->limits.max_ingests + GATEWAY_PUSHES_MAX;
    const struct outcome_options outcomes = {
        .folder = tn_path_join(gateway->arena, gateway->folder, "buckets/primary/outcomes"), .lake = &gateway->lake};
    TN_TRY(outcome_open(&outcomes, &gateway->outcomes, err));
    gateway->lake.extra = outcome_tables(gateway->outcomes);
    return tn_pool_new(waiting + SPARE_THREADS, &gateway->requests, err);
}

static enum tn_code open_models(struct gateway *gateway, const struct tn_config *config, struct tn_error *err)
{
    size_t cpus = tn_cpu_count(), wanted = (size_t)tn_config_int(config, "jobs.cpus");
    cpus = wanted ? TN_MIN(wanted, cpus) : cpus;
    if (cpus > 1) /* the job's own thread is the first */
        TN_TRY(tn_pool_new_behind(cpus - 1, (unsigned)cpus, &gateway->behind, err));
    const struct model_options options = {
        .config = config,
        .folder = tn_path_join(gateway->arena, gateway->folder, "models"),
        .shared_asset = model_shared_asset(gateway->arena),
        .pool = gateway->lake.pool,
        .behind = gateway->behind,
    };
    return model_service_open(&options, &gateway->models, err);
}

static enum tn_code open_tokens(struct gateway *gateway, struct tn_error *err)
{
    struct token_identity first;
    const char *path = tn_path_join(gateway->arena, gateway->folder, "tokens.json");
    TN_TRY(tokens_open(path, &gateway->tokens, err));
    TN_TRY(tokens_add_local(gateway->tokens, "local", gateway->local_token, err));
    if (gateway->embedded) {
        memcpy(gateway->token, gateway->local_token, sizeof gateway->token);
        return TN_OK;
    }
    return tokens_count(gateway->tokens) > 0 ? TN_OK
                                             : tokens_add(gateway->tokens, "first", &first, gateway->token, err);
}

static enum tn_code announce(struct gateway *gateway, const struct gateway_options *options, struct tn_error *err)
{
    if (!gateway->embedded)
        TN_TRY(lakedir_write_run_file(gateway, tn_path_join(gateway->arena, gateway->folder, "state/server.json"),
                                      gateway->local_token, err));
    if (options->ready_file)
        TN_TRY(lakedir_write_run_file(gateway, options->ready_file,
                                      gateway->token[0] ? gateway->token : gateway->local_token, err));
    if (!gateway->embedded)
        TN_LOG(TN_LOG_INFO, "server.ready", TN_FS("url", gateway->url), TN_FS("lake", gateway->folder),
               TN_FS("version", TARN_VERSION), TN_FI("took_ms", (tn_now_us() - gateway->started_us) / 1000));
    return TN_OK;
}

/* Jobs that were left are a server's to finish, not a short command's. */
static enum tn_code open_jobs(struct gateway *gateway, const struct tn_config *config, struct tn_error *err)
{
    const struct job_options options = {
        .folder = tn_path_join(gateway->arena, gateway->folder, "state"),
        .running_most = (unsigned)tn_config_int(config, "jobs.running"),
        .idle = tn_config_int(config, "jobs.running") == 0,
        .keep_ended_ms = tn_config_ms(config, "jobs.keep"),
        .memory_bytes = tn_config_size(config, "jobs.memory"),
        .cpus = (unsigned)tn_config_int(config, "jobs.cpus"),
        .only_new = gateway->embedded,
    };
    TN_TRY(job_service_open(&options, &gateway->jobs, err));
    job_kinds_add(gateway);
    return TN_OK;
}

/* Catching up is a server's work too; a short command only searches. */
static enum tn_code open_indexes(struct gateway *gateway, const struct tn_config *config, struct tn_error *err)
{
    const struct index_options options = {
        .lake = &gateway->lake,
        .folder = tn_path_join(gateway->arena, gateway->folder, "state/indexes"),
        .embedder = index_embedder_of(gateway->models),
        .jobs = gateway->jobs,
        .follow = !gateway->embedded,
        .auto_embed = tn_config_bool(config, "index.auto_embed"),
        .keep_generations = (size_t)tn_config_int(config, "index.keep_generations"),
        .keep_trials = (size_t)tn_config_int(config, "index.keep_trials"),
        .trial_age_ms = tn_config_ms(config, "index.trial_age"),
    };
    TN_TRY(index_service_open(&options, &gateway->indexes, err));
    gateway->searches = index_calls(gateway->indexes);
    gateway->lake.calls = &gateway->searches;
    gateway->trials = index_tables(gateway->indexes);
    gateway->trials.next = gateway->lake.extra;
    gateway->lake.extra = &gateway->trials;
    return TN_OK;
}

static enum tn_code open_answers(struct gateway *gateway, const struct tn_config *config, struct tn_error *err)
{
    int64_t similarity = tn_config_int(config, "answer.similarity");
    const struct answer_options options = {
        .lake = &gateway->lake,
        .indexes = gateway->indexes,
        .models = gateway->models,
        .outcomes = gateway->outcomes,
        .folder = tn_path_join(gateway->arena, gateway->folder, "buckets/primary/answers"),
        .settings = {.model = tn_config_string(config, "answer.model"),
                     .models = tn_config_string(config, "answer.models"),
                     .prices = tn_config_string(config, "answer.prices"),
                     .exploration = (double)tn_config_int(config, "answer.exploration") / 100,
                     .context_tokens = (uint32_t)tn_config_int(config, "answer.context"),
                     .answer_tokens = (uint32_t)tn_config_int(config, "answer.tokens"),
                     .timeout_ms = tn_config_ms(config, "answer.timeout"),
                     .similarity = similarity < 0 ? -1 : (double)similarity / 100,
                     .keep_bytes = tn_config_size(config, "answer.keep")},
    };
    return answer_service_open(&options, &gateway->answers, err);
}

static enum tn_code start_upkeep(struct gateway *gateway, const struct tn_config *config, struct tn_error *err)
{
    const struct dataset_upkeep_options options = {
        .interval_ms = tn_config_ms(config, "upkeep.interval"),
        .compact_files = (size_t)tn_config_int(config, "upkeep.compact_files"),
        .compact_deleted = (double)tn_config_int(config, "upkeep.compact_deleted") / 100,
        .keep_snapshots = (size_t)tn_config_int(config, "retention.snapshots"),
        .keep_hourly_ms = (int64_t)tn_config_ms(config, "retention.hourly"),
        .keep_daily_ms = (int64_t)tn_config_ms(config, "retention.daily"),
        .orphan_grace_ms = tn_config_ms(config, "upkeep.orphan_grace"),
    };
    if (gateway->embedded || !tn_config_bool(config, "upkeep.enabled"))
        return TN_OK;
    return dataset_upkeep_start(&gateway->lake, &options, &gateway->upkeep, err);
}

static enum tn_code open_parts(struct gateway *gateway, const struct gateway_options *options, struct tn_error *err)
{
    TN_TRY(tn_random_init(err));
    read_limits(gateway, options->config);
    TN_TRY(check_exposure(gateway, options->config, err));
    TN_TRY(
        lakedir_prepare(options->lake, options->create, !options->embedded, gateway->arena, &gateway->folder, err));
    TN_TRY(lakedir_lock(gateway, err));
    TN_TRY(open_tokens(gateway, err));
    TN_TRY(open_lake(gateway, options->config, err));
    TN_TRY(open_models(gateway, options->config, err));
    TN_TRY(open_jobs(gateway, options->config, err));
    TN_TRY(open_indexes(gateway, options->config, err));
    TN_TRY(open_answers(gateway, options->config, err));
    openapi_write(gateway->routes, TARN_VERSION, &gateway->openapi);
    TN_TRY(start_upkeep(gateway, options->config, err));
    TN_TRY(watch_start(gateway, err));
    TN_TRY(server_start(gateway, err));
    TN_TRY(announce(gateway, options, err));
    warm_start(gateway);
    return job_service_start(gateway->jobs, err);
}

enum tn_code gateway_open(const struct gateway_options *options, struct gateway **ret, struct tn_error *err)
{
    TN_CLEANUP(gateway_close_p) struct gateway *gateway = tn_calloc(1, sizeof *gateway);
    gateway->arena = tn_arena_new();
    gateway->lock_fd = -1;
    gateway->embedded = options->embedded;
    gateway->started_us = tn_now_us();
    gateway->routes = gateway_routes();
    gateway->metrics = metrics_new(gateway->routes);
    gateway->kept = idempotency_new();
    tn_cond_init(&gateway->watch_wake);
    (void)pthread_mutex_init(&gateway->watch_lock, NULL);
    (void)pthread_mutex_init(&gateway->event_lock, NULL);
    gateway->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (gateway->stop_fd < 0)
        return tn_fail_errno(err, errno, "cannot make an event descriptor");
    /* Signals are for the thread that called us: all that are started meanwhile,
     * the engine's and libmicrohttpd's too, inherit that they are blocked. */
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    enum tn_code code = open_parts(gateway, options, err);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    TN_TRY(code);
    *ret = TN_TAKE(gateway);
    return TN_OK;
}

const char *gateway_url(const struct gateway *gateway)
{
    return gateway->url;
}

const char *gateway_token(const struct gateway *gateway)
{
    return gateway->token[0] ? gateway->token : NULL;
}

struct lake *gateway_lake(struct gateway *gateway)
{
    return &gateway->lake;
}

void gateway_wait(struct gateway *gateway)
{
    /* poll and not read: a handler with SA_RESTART must not put us back to sleep
     * before it has run (sanitizers postpone handlers until a call returns). */
    struct pollfd stop = {.fd = gateway->stop_fd, .events = POLLIN};
    while (poll(&stop, 1, -1) < 1)
        ;
}

void gateway_request_stop(struct gateway *gateway)
{
    const uint64_t one = 1;
    (void)!write(gateway->stop_fd, &one, sizeof one);
}

/* libmicrohttpd must not be stopped while a connection is suspended: requests
 * end by themselves first, then by being cancelled, then by losing their
 * client. A task that cannot be cancelled is waited for. */
static void drain(struct gateway *gateway)
{
    atomic_store(&gateway->draining, true);
    server_stop_listening(gateway);
    job_service_stop(gateway->jobs); /* requests in flight need none of that */
    index_service_stop(gateway->indexes);
    watch_shut_connections(gateway, false);
    if (!watch_wait_idle(gateway, tn_mono_ns() + gateway->limits.drain_ns)) {
        TN_LOG(TN_LOG_WARN, "server.cancelling", TN_FI("drain_ms", gateway->limits.drain_ns / MS));
        watch_cancel_all(gateway);
        if (!watch_wait_idle(gateway, tn_mono_ns() + 1000 * MS)) {
            watch_shut_connections(gateway, true);
            (void)watch_wait_idle(gateway, UINT64_MAX);
        }
    }
    server_stop(gateway);
}

void gateway_close(struct gateway *gateway)
{
    if (!gateway)
        return;
    if (gateway->daemon)
        drain(gateway);
    watch_stop(gateway);
    tn_pool_free(gateway->requests);
    answer_service_close(gateway->answers);
    job_service_close(gateway->jobs);
    postgres_passwords_free(gateway);
    index_service_close(gateway->indexes);
    dataset_upkeep_stop(gateway->upkeep);
    model_service_close(gateway->models);
    tn_pool_free(gateway->behind);
    tn_pool_free(gateway->lake.pool);
    outcome_close(gateway->outcomes);
    dataset_hot_free(gateway->lake.hot);
    dataset_rows_queues_free(gateway->lake.queues);
    dataset_recent_free(gateway->lake.recent);
    dataset_replays_free(gateway->lake.replays);
    dataset_relations_free(gateway->lake.relations);
    journal_close(gateway->lake.journal);
    engine_close(gateway->lake.engine);
    catalog_close(gateway->lake.catalog);
    store_close(gateway->lake.store);
    tokens_close(gateway->tokens);
    if (gateway->lock_fd >= 0 && gateway->url && !gateway->embedded)
        lakedir_remove_run_file(gateway);
    tn_close_p(&gateway->lock_fd);
    if (gateway->stop_fd >= 0)
        (void)close(gateway->stop_fd);
    idempotency_free(gateway->kept);
    results_free(gateway->results);
    metrics_free(gateway->metrics);
    tn_buf_release(&gateway->openapi);
    free(gateway->tls_cert);
    free(gateway->tls_key);
    (void)pthread_cond_destroy(&gateway->watch_wake);
    (void)pthread_mutex_destroy(&gateway->watch_lock);
    (void)pthread_mutex_destroy(&gateway->event_lock);
    tn_arena_free(gateway->arena);
    free(gateway);
}
