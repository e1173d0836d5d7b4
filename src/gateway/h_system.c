/* What the service says about itself: health, metrics, the API, the system. */
#include "gateway/gateway_internal.h"

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
    tn_json_close(&json, '}');
    return TN_OK;
}
