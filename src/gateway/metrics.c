#include "gateway/metrics.h"

#include <stdio.h>
#include <unistd.h>

/* Upper bounds of the latency buckets in microseconds. */
static const uint64_t bounds_us[] = {500,   1000,   2500,   5000,    10000,   25000,
                                     50000, 100000, 250000, 1000000, 5000000, 30000000};
#define BUCKETS TN_COUNT(bounds_us)

/* The statuses that this service answers; what is not here counts as 0. */
static const unsigned statuses[] = {0,   200, 204, 303, 304, 400, 401, 403, 404, 405, 406, 408, 409,
                                    412, 413, 415, 422, 429, 431, 499, 500, 501, 502, 503, 504, 507};
#define STATUSES TN_COUNT(statuses)

struct route_figures {
    atomic_ullong by_status[STATUSES];
    atomic_ullong buckets[BUCKETS + 1];
    atomic_ullong total_ns;
};

struct metrics {
    struct route_table table;
    atomic_ullong requests, bytes_out, ingest_bytes, ingest_rows, ingests, auth_failures;
    struct route_figures figures[]; /* one for each route, and one for none */
};

struct metrics *metrics_new(struct route_table table)
{
    struct metrics *metrics = tn_calloc(1, sizeof *metrics + (table.count + 1) * sizeof(struct route_figures));
    metrics->table = table;
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    free(metrics);
}

static size_t status_index(unsigned status)
{
    for (size_t i = 0; i < STATUSES; i++)
        if (statuses[i] == status)
            return i;
    return 0;
}

static void count(atomic_ullong *figure, uint64_t amount)
{
    (void)atomic_fetch_add_explicit(figure, amount, memory_order_relaxed);
}

void metrics_request(struct metrics *metrics, size_t route, unsigned status, uint64_t took_ns, uint64_t bytes_out)
{
    struct route_figures *figures = &metrics->figures[TN_MIN(route, metrics->table.count)];
    size_t bucket = 0;
    while (bucket < BUCKETS && took_ns > bounds_us[bucket] * 1000)
        bucket++;
    count(&figures->by_status[status_index(status)], 1);
    count(&figures->buckets[bucket], 1);
    count(&figures->total_ns, took_ns);
    count(&metrics->requests, 1);
    count(&metrics->bytes_out, bytes_out);
}

void metrics_ingest(struct metrics *metrics, uint64_t bytes, uint64_t rows)
{
    count(&metrics->ingests, 1);
    count(&metrics->ingest_bytes, bytes);
    count(&metrics->ingest_rows, rows);
}

void metrics_auth_failure(struct metrics *metrics)
{
    count(&metrics->auth_failures, 1);
}

uint64_t metrics_request_count(const struct metrics *metrics)
{
    return atomic_load_explicit(&metrics->requests, memory_order_relaxed);
}

static void head(struct tn_buf *out, const char *name, const char *type, const char *help)
{
    tn_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_sample(struct tn_buf *out, const char *name, const char *type, const char *help, double value)
{
    head(out, name, type, help);
    tn_buf_printf(out, "%s ", name);
    tn_format_f64(out, value);
    tn_buf_putc(out, '\n');
}

static const char *route_name(const struct metrics *metrics, size_t route)
{
    return route < metrics->table.count ? metrics->table.routes[route].id : "none";
}

static void write_counts(const struct metrics *metrics, struct tn_buf *out)
{
    head(out, "tarn_http_requests_total", "counter", "Requests answered, by route and status.");
    for (size_t r = 0; r <= metrics->table.count; r++)
        for (size_t s = 0; s < STATUSES; s++) {
            unsigned long long n = atomic_load_explicit(&metrics->figures[r].by_status[s], memory_order_relaxed);
            if (n > 0)
                tn_buf_printf(out, "tarn_http_requests_total{route=\"%s\",status=\"%u\"} %llu\n",
                              route_name(metrics, r), statuses[s], n);
        }
}

static void write_latencies(const struct metrics *metrics, struct tn_buf *out)
{
    static const char name[] = "tarn_http_request_duration_seconds";
    head(out, name, "histogram", "From the request line to the last byte of the answer.");
    for (size_t r = 0; r <= metrics->table.count; r++) {
        const struct route_figures *figures = &metrics->figures[r];
        const char *route = route_name(metrics, r);
        unsigned long long total = 0;
        for (size_t b = 0; b <= BUCKETS; b++)
            total += atomic_load_explicit(&figures->buckets[b], memory_order_relaxed);
        if (total == 0)
            continue;
        unsigned long long below = 0;
        for (size_t b = 0; b < BUCKETS; b++) {
            below += atomic_load_explicit(&figures->buckets[b], memory_order_relaxed);
            tn_buf_printf(out, "%s_bucket{route=\"%s\",le=\"", name, route);
            tn_format_f64(out, (double)bounds_us[b] / 1e6);
            tn_buf_printf(out, "\"} %llu\n", below);
        }
        tn_buf_printf(out, "%s_bucket{route=\"%s\",le=\"+Inf\"} %llu\n", name, route, total);
        tn_buf_printf(out, "%s_sum{route=\"%s\"} ", name, route);
        tn_format_f64(out, (double)atomic_load_explicit(&figures->total_ns, memory_order_relaxed) / 1e9);
        tn_buf_printf(out, "\n%s_count{route=\"%s\"} %llu\n", name, route, total);
    }
}

void metrics_write(const struct metrics *metrics, struct tn_buf *out)
{
    write_counts(metrics, out);
    write_latencies(metrics, out);
    metrics_sample(out, "tarn_http_response_bytes_total", "counter", "Bytes of response bodies.",
                   (double)atomic_load_explicit(&metrics->bytes_out, memory_order_relaxed));
    metrics_sample(out, "tarn_auth_failures_total", "counter", "Requests with a wrong token.",
                   (double)atomic_load_explicit(&metrics->auth_failures, memory_order_relaxed));
    metrics_sample(out, "tarn_ingests_total", "counter", "Ingests that ended well.",
                   (double)atomic_load_explicit(&metrics->ingests, memory_order_relaxed));
    metrics_sample(out, "tarn_ingest_bytes_total", "counter", "Bytes of sources ingested.",
                   (double)atomic_load_explicit(&metrics->ingest_bytes, memory_order_relaxed));
    metrics_sample(out, "tarn_ingest_rows_total", "counter", "Rows ingested.",
                   (double)atomic_load_explicit(&metrics->ingest_rows, memory_order_relaxed));
}

uint64_t metrics_resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    char line[128];
    unsigned long long pages = 0;
    if (fgets(line, sizeof line, file)) {
        char *second = strchr(line, ' ');
        pages = second ? strtoull(second + 1, NULL, 10) : 0;
    }
    (void)fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
