/* What the service says about itself: health, metrics, the API, the system. */
#include "gateway/gateway_internal.h"
#include "journal/journal.h"

#include <sys/statvfs.h>

enum tn_code h_health(struct request *request, struct tn_error *err)
{
    (void)err;
    struct tn_json json = reply_json(request);
    const char *slash = strrchr(request->gateway->folder, '/');
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "status", "ok");
    tn_json_kstr(&json, "version", TARN_VERSION);
    /* Its name and not its path: who asks has no token. */
    tn_json_kstr(&json, "lake", slash && slash[1] ? slash + 1 : request->gateway->folder);
    tn_json_close(&json, '}');
    return TN_OK;
}

enum tn_code h_openapi(struct request *request, struct tn_error *err)
{
    (void)err;
    reply_status(request, 200, "application/json");
    tn_buf_append(&request->reply.body, request->gateway->openapi.data, request->gateway->openapi.len);
    return TN_OK;
}

static void watch_counts(struct gateway *gateway, size_t *ret_connections, size_t *ret_requests)
{
    (void)pthread_mutex_lock(&gateway->watch_lock);
    *ret_connections = gateway->connection_count;
    *ret_requests = gateway->request_count;
    (void)pthread_mutex_unlock(&gateway->watch_lock);
}

static void sample_jobs(struct gateway *gateway, struct tn_buf *out)
{
    struct job_totals jobs;
    job_totals(gateway->jobs, &jobs);
    metrics_sample(out, "tarn_jobs_queued", "gauge", "Jobs that could run.", (double)jobs.queued);
    metrics_sample(out, "tarn_jobs_running", "gauge", "Jobs that run.", (double)jobs.running);
    metrics_sample(out, "tarn_jobs_waiting", "gauge", "Jobs that wait for something that is away.",
                   (double)jobs.waiting);
    metrics_sample(out, "tarn_jobs_paused", "gauge", "Jobs that were paused.", (double)jobs.paused);
    metrics_sample(out, "tarn_jobs_done_total", "counter", "Jobs that ended well.", (double)jobs.done);
    metrics_sample(out, "tarn_jobs_failed_total", "counter", "Jobs that failed.", (double)jobs.failed);
    metrics_sample(out, "tarn_jobs_memory_bytes", "gauge", "Memory that running jobs have reserved.",
                   (double)jobs.reserved_bytes);
    metrics_sample(out, "tarn_jobs_cancelled_total", "counter", "Jobs that were cancelled.", (double)jobs.cancelled);
}

static void sample_indexes(struct gateway *gateway, struct tn_buf *out)
{
    struct index_totals totals;
    index_totals(gateway->indexes, &totals);
    metrics_sample(out, "tarn_index_catch_ups_total", "counter", "Changes brought into indexes without a job.",
                   (double)totals.catch_ups);
    metrics_sample(out, "tarn_index_woken_total", "counter", "Of those: begun because a commit woke the follower.",
                   (double)totals.woken);
    metrics_sample(out, "tarn_index_from_memory_total", "counter", "Of those: told by the writer, no file read.",
                   (double)totals.from_memory);
    metrics_sample(out, "tarn_index_embedded_total", "counter", "Chunks that a model was asked for.",
                   (double)totals.embedded);
    metrics_sample(out, "tarn_index_reused_total", "counter", "Chunks whose vectors were known.",
                   (double)totals.reused);
    metrics_sample(out, "tarn_index_filters_total", "counter", "Evaluations of a search's filter.",
                   (double)totals.filters);
    metrics_sample(out, "tarn_index_changes_read_total", "counter",
                   "Times that searches read from files what had changed behind their index.",
                   (double)totals.changes_read);
}

/* What small writes have left behind, over all datasets; one that cannot be
 * read is left to whoever asks for it. */
static struct dataset_debt debt_of_all(struct gateway *gateway, const char *const *names, size_t count)
{
    struct dataset_debt sum = {0};
    for (size_t i = 0; i < count; i++) {
        struct dataset_debt one = {0};
        if (dataset_debt(&gateway->lake, names[i], &one, NULL) != TN_OK)
            continue;
        sum.data_files += one.data_files;
        sum.small_files += one.small_files;
        sum.delete_files += one.delete_files;
        sum.deleted_rows += one.deleted_rows;
        sum.rows += one.rows;
        sum.bytes += one.bytes;
        sum.compacted_us = TN_MAX(sum.compacted_us, one.compacted_us);
    }
    return sum;
}

static double deleted_share(const struct dataset_debt *debt)
{
    uint64_t all = debt->rows + debt->deleted_rows;
    return all ? (double)debt->deleted_rows / (double)all : 0;
}

static void sample_debt(struct gateway *gateway, struct tn_arena *arena, struct tn_buf *out)
{
    const char *const *names;
    size_t count;
    if (catalog_list(gateway->lake.catalog, arena, &names, &count, NULL) != TN_OK)
        return;
    const struct dataset_debt debt = debt_of_all(gateway, names, count);
    const struct {
        const char *name, *help;
        double value;
    } gauges[] = {
        {"tarn_debt_data_files", "Data files of all datasets.", (double)debt.data_files},
        {"tarn_debt_small_files", "Those of them that a compaction would merge.", (double)debt.small_files},
        {"tarn_debt_delete_files", "Files that say which rows are deleted.", (double)debt.delete_files},
        {"tarn_debt_deleted_rows", "Rows in data files that are deleted.", (double)debt.deleted_rows},
        {"tarn_debt_deleted_share", "Their share of all rows in data files.", deleted_share(&debt)},
        {"tarn_debt_bytes", "Bytes of those data files.", (double)debt.bytes},
        {"tarn_last_compaction_timestamp_seconds", "When a compaction was last committed; 0: never.",
         (double)debt.compacted_us / 1e6},
    };
    for (size_t i = 0; i < TN_COUNT(gauges); i++)
        metrics_sample(out, gauges[i].name, "gauge", gauges[i].help, gauges[i].value);
}

static void sample_writes(struct gateway *gateway, struct tn_buf *out)
{
    const struct dataset_hot_state hot = dataset_hot_state(gateway->lake.hot);
    const struct journal_state journal = journal_state(gateway->lake.journal);
    metrics_sample(out, "tarn_cache_bytes", "gauge", "Datasets held in memory.", (double)hot.bytes);
    metrics_sample(out, "tarn_cache_budget_bytes", "gauge", "What they may take.", (double)hot.budget);
    metrics_sample(out, "tarn_cache_hits_total", "counter", "Reads of datasets from memory.", (double)hot.hits);
    metrics_sample(out, "tarn_cache_misses_total", "counter", "Reads of datasets from files.", (double)hot.misses);
    metrics_sample(out, "tarn_cache_evictions_total", "counter", "Datasets that lost their memory.",
                   (double)hot.evictions);
    const struct results_state results = results_state(gateway->results);
    metrics_sample(out, "tarn_results_bytes", "gauge", "Answers of queries that are kept.", (double)results.bytes);
    metrics_sample(out, "tarn_results_hits_total", "counter", "Queries answered with one.", (double)results.hits);
    metrics_sample(out, "tarn_results_misses_total", "counter", "Queries that could have been.",
                   (double)results.misses);
    metrics_sample(out, "tarn_journal_unrolled_events", "gauge", "Events in batches of commits.",
                   (double)journal.events);
    sample_jobs(gateway, out);
    if (!gateway->upkeep)
        return;
    const struct dataset_upkeep_state upkeep = dataset_upkeep_state(gateway->upkeep);
    metrics_sample(out, "tarn_compactions_total", "counter", "Compactions that upkeep has committed.",
                   (double)upkeep.compactions);
    metrics_sample(out, "tarn_compactions_lost_total", "counter", "Groups of files given up for other writers.",
                   (double)upkeep.lost_groups);
    metrics_sample(out, "tarn_snapshots_thinned_total", "counter", "Snapshots forgotten by thinning.",
                   (double)upkeep.thinned_snapshots);
    metrics_sample(out, "tarn_orphans_removed_total", "counter", "Files removed that nothing referred to.",
                   (double)upkeep.orphans);
    metrics_sample(out, "tarn_upkeep_failures_total", "counter", "Upkeep that failed.", (double)upkeep.failures);
}

enum tn_code h_metrics(struct request *request, struct tn_error *err)
{
    (void)err;
    struct gateway *gateway = request->gateway;
    struct tn_buf *out = &request->reply.body;
    struct engine_usage usage = {0};
    size_t connections, requests;
    engine_usage(gateway->lake.engine, &usage);
    watch_counts(gateway, &connections, &requests);
    struct store_counters store = store_counters(gateway->lake.store);
    reply_status(request, 200, "text/plain; version=0.0.4; charset=utf-8");
    metrics_write(gateway->metrics, out);
    metrics_sample(out, "tarn_connections", "gauge", "Open connections.", (double)connections);
    metrics_sample(out, "tarn_requests_running", "gauge", "Requests that are being answered.", (double)requests);
    metrics_sample(out, "tarn_queries_running", "gauge", "Queries in the SQL engine.", (double)usage.running);
    metrics_sample(out, "tarn_ingests_running", "gauge", "Ingests under way.",
                   (double)atomic_load(&gateway->ingests));
    metrics_sample(out, "tarn_tasks_queued", "gauge", "Tasks that wait for a thread.",
                   (double)(tn_pool_queued(gateway->requests) + tn_pool_queued(gateway->lake.pool)));
    metrics_sample(out, "tarn_engine_memory_bytes", "gauge", "Memory of the SQL engine.", (double)usage.memory_bytes);
    metrics_sample(out, "tarn_engine_memory_limit_bytes", "gauge", "Its limit.", (double)usage.memory_limit_bytes);
    metrics_sample(out, "tarn_engine_temp_bytes", "gauge", "Disk space of sorts and joins.",
                   (double)usage.temp_bytes);
    metrics_sample(out, "tarn_store_bytes_written_total", "counter", "Bytes written to the store.",
                   (double)store.bytes_written);
    metrics_sample(out, "tarn_store_fsyncs_total", "counter", "Calls of fsync for the store.", (double)store.fsyncs);
    metrics_sample(out, "tarn_store_trim_failures_total", "counter", "Old pointers that could not be removed.",
                   (double)store.trim_failures);
    sample_writes(gateway, out);
    sample_debt(gateway, request->arena, out);
    sample_indexes(gateway, out);
    metrics_sample(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
                   (double)metrics_resident_bytes());
    metrics_sample(out, "tarn_uptime_seconds", "gauge", "Since the start.",
                   (double)(tn_now_us() - gateway->started_us) / 1e6);
    return TN_OK;
}

static void write_memory(struct gateway *gateway, struct tn_json *json)
{
    struct engine_usage usage = {0};
    engine_usage(gateway->lake.engine, &usage);
    tn_json_key(json, "memory");
    tn_json_open(json, '{');
    tn_json_ki64(json, "resident_bytes", (int64_t)metrics_resident_bytes());
    tn_json_ki64(json, "engine_bytes", (int64_t)usage.memory_bytes);
    tn_json_ki64(json, "engine_limit_bytes", (int64_t)usage.memory_limit_bytes);
    tn_json_ki64(json, "engine_temp_bytes", (int64_t)usage.temp_bytes);
    tn_json_ki64(json, "index_bytes", (int64_t)index_resident_bytes(gateway->indexes));
    tn_json_ki64(json, "metadata_bytes", (int64_t)catalog_metadata_bytes(gateway->lake.catalog));
    tn_json_ki64(json, "deletes_bytes", (int64_t)dataset_relations_bytes(gateway->lake.relations));
    tn_json_ki64(json, "small_files_bytes", (int64_t)dataset_relations_small_bytes(gateway->lake.relations));
    tn_json_ki64(json, "changes_bytes", (int64_t)dataset_recent_bytes(gateway->lake.recent));
    tn_json_ki64(json, "statements_bytes", (int64_t)usage.statement_bytes);
    tn_json_close(json, '}');
    tn_json_key(json, "queries");
    tn_json_open(json, '{');
    tn_json_ki64(json, "running", (int64_t)usage.running);
    tn_json_ki64(json, "limit", tn_config_int(gateway->lake.config, "sql.max_queries"));
    tn_json_close(json, '}');
}

static void write_disk(struct gateway *gateway, struct tn_json *json)
{
    struct statvfs disk;
    if (statvfs(gateway->folder, &disk) != 0)
        return;
    tn_json_key(json, "disk");
    tn_json_open(json, '{');
    tn_json_ki64(json, "total_bytes", (int64_t)(disk.f_blocks * disk.f_frsize));
    tn_json_ki64(json, "free_bytes", (int64_t)(disk.f_bavail * disk.f_frsize));
    tn_json_close(json, '}');
}

static void write_cache(struct gateway *gateway, struct tn_json *json)
{
    const struct dataset_hot_state state = dataset_hot_state(gateway->lake.hot);
    tn_json_key(json, "cache");
    tn_json_open(json, '{');
    tn_json_ki64(json, "datasets", (int64_t)state.datasets);
    tn_json_ki64(json, "bytes", (int64_t)state.bytes);
    tn_json_ki64(json, "budget_bytes", (int64_t)state.budget);
    tn_json_ki64(json, "hits", (int64_t)state.hits);
    tn_json_ki64(json, "misses", (int64_t)state.misses);
    tn_json_ki64(json, "fills", (int64_t)state.fills);
    tn_json_ki64(json, "evictions", (int64_t)state.evictions);
    tn_json_close(json, '}');
}

static void write_results(struct gateway *gateway, struct tn_json *json)
{
    const struct results_state state = results_state(gateway->results);
    tn_json_key(json, "results");
    tn_json_open(json, '{');
    tn_json_ki64(json, "answers", (int64_t)state.count);
    tn_json_ki64(json, "bytes", (int64_t)state.bytes);
    tn_json_ki64(json, "budget_bytes", (int64_t)state.budget);
    tn_json_ki64(json, "hits", (int64_t)state.hits);
    tn_json_ki64(json, "misses", (int64_t)state.misses);
    tn_json_close(json, '}');
}

static void write_jobs(struct gateway *gateway, struct tn_json *json)
{
    struct job_totals jobs;
    job_totals(gateway->jobs, &jobs);
    tn_json_key(json, "jobs");
    tn_json_open(json, '{');
    tn_json_ki64(json, "queued", (int64_t)jobs.queued);
    tn_json_ki64(json, "running", (int64_t)jobs.running);
    tn_json_ki64(json, "waiting", (int64_t)jobs.waiting);
    tn_json_ki64(json, "paused", (int64_t)jobs.paused);
    tn_json_ki64(json, "done", (int64_t)jobs.done);
    tn_json_ki64(json, "failed", (int64_t)jobs.failed);
    tn_json_ki64(json, "cancelled", (int64_t)jobs.cancelled);
    tn_json_ki64(json, "running_limit", tn_config_int(gateway->lake.config, "jobs.running"));
    tn_json_ki64(json, "cpus", (int64_t)jobs.cpus);
    tn_json_ki64(json, "memory_bytes", (int64_t)jobs.memory_bytes);
    tn_json_ki64(json, "memory_reserved_bytes", (int64_t)jobs.reserved_bytes);
    tn_json_key(json, "running_jobs");
    job_running(gateway->jobs, json);
    tn_json_close(json, '}');
}

static void write_journal(struct gateway *gateway, struct tn_json *json)
{
    const struct journal_state state = journal_state(gateway->lake.journal);
    tn_json_key(json, "journal");
    tn_json_open(json, '{');
    tn_json_ki64(json, "unrolled_batches", (int64_t)state.batches);
    tn_json_ki64(json, "unrolled_events", (int64_t)state.events);
    tn_json_ki64(json, "rolled_events", (int64_t)state.rolled_events);
    tn_json_ki64(json, "rolled_files", (int64_t)state.rolled_files);
    tn_json_close(json, '}');
}

static void write_upkeep(struct gateway *gateway, struct tn_json *json)
{
    char time[TN_TIME_TEXT];
    tn_json_key(json, "upkeep");
    if (!gateway->upkeep) {
        tn_json_null(json);
        return;
    }
    const struct dataset_upkeep_state state = dataset_upkeep_state(gateway->upkeep);
    tn_json_open(json, '{');
    tn_json_kstr(json, "running", state.running[0] ? state.running : NULL);
    tn_json_kstr(json, "last_run", state.last_run_us ? tn_time_format(state.last_run_us, time) : NULL);
    tn_json_ki64(json, "compactions", (int64_t)state.compactions);
    tn_json_ki64(json, "lost_groups", (int64_t)state.lost_groups);
    tn_json_ki64(json, "thinned_snapshots", (int64_t)state.thinned_snapshots);
    tn_json_ki64(json, "orphans_removed", (int64_t)state.orphans);
    tn_json_ki64(json, "orphan_bytes_removed", (int64_t)state.orphan_bytes);
    tn_json_ki64(json, "failures", (int64_t)state.failures);
    tn_json_close(json, '}');
}

static void write_debt(struct gateway *gateway, const char *const *names, size_t count, struct tn_json *json)
{
    const struct dataset_debt sum = debt_of_all(gateway, names, count);
    tn_json_key(json, "debt");
    debt_json(&sum, json);
}

void debt_json(const struct dataset_debt *debt, struct tn_json *json)
{
    char time[TN_TIME_TEXT];
    tn_json_open(json, '{');
    tn_json_ki64(json, "data_files", (int64_t)debt->data_files);
    tn_json_ki64(json, "small_files", (int64_t)debt->small_files);
    tn_json_ki64(json, "delete_files", (int64_t)debt->delete_files);
    tn_json_ki64(json, "deleted_rows", (int64_t)debt->deleted_rows);
    tn_json_kf64(json, "deleted_share", deleted_share(debt));
    tn_json_ki64(json, "bytes", (int64_t)debt->bytes);
    tn_json_kstr(json, "last_compaction", debt->compacted_us ? tn_time_format(debt->compacted_us, time) : NULL);
    tn_json_close(json, '}');
}

enum tn_code h_system(struct request *request, struct tn_error *err)
{
    struct gateway *gateway = request->gateway;
    const char *const *names;
    char time[TN_TIME_TEXT];
    size_t datasets = 0, connections, requests;
    TN_TRY(catalog_list(gateway->lake.catalog, request->arena, &names, &datasets, err));
    watch_counts(gateway, &connections, &requests);
    struct tn_json json = reply_json(request);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "version", TARN_VERSION);
    tn_json_kstr(&json, "engine", engine_version());
    tn_json_kstr(&json, "lake", gateway->folder);
    tn_json_kstr(&json, "started_at", tn_time_format(gateway->started_us, time));
    tn_json_kf64(&json, "uptime_seconds", (double)((tn_now_us() - gateway->started_us) / 1000) / 1e3);
    tn_json_ki64(&json, "cpus", (int64_t)tn_cpu_count());
    tn_json_ki64(&json, "datasets", (int64_t)datasets);
    tn_json_ki64(&json, "connections", (int64_t)connections);
    tn_json_ki64(&json, "requests_running", (int64_t)requests);
    tn_json_ki64(&json, "requests_total", (int64_t)metrics_request_count(gateway->metrics));
    tn_json_ki64(&json, "ingests_running", atomic_load(&gateway->ingests));
    write_memory(gateway, &json);
    write_disk(gateway, &json);
    write_cache(gateway, &json);
    write_results(gateway, &json);
    write_journal(gateway, &json);
    write_jobs(gateway, &json);
    write_upkeep(gateway, &json);
    write_debt(gateway, names, datasets, &json);
    tn_json_close(&json, '}');
    return TN_OK;
}
