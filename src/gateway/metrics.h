/* What the service counts about itself, for /metrics and /system.
 * Threads: any; every figure is one atomic. */
#ifndef TARN_GATEWAY_METRICS_H
#define TARN_GATEWAY_METRICS_H

#include "gateway/route.h"

#include <stdatomic.h>

struct metrics;
struct metrics *metrics_new(struct route_table table) __attribute__((returns_nonnull));
void metrics_free(struct metrics *metrics);

/* A request that has ended. `route` is its place in the table; any larger
 * number stands for requests that matched none. */
void metrics_request(struct metrics *metrics, size_t route, unsigned status, uint64_t took_ns, uint64_t bytes_out);
void metrics_ingest(struct metrics *metrics, uint64_t bytes, uint64_t rows);
void metrics_auth_failure(struct metrics *metrics);
uint64_t metrics_request_count(const struct metrics *metrics);
/* Appends them in Prometheus' text format. */
void metrics_write(const struct metrics *metrics, struct tn_buf *out);

/* One sample with its HELP and TYPE lines. */
void metrics_sample(struct tn_buf *out, const char *name, const char *type, const char *help, double value);

/* This process: resident bytes now; 0 where the system does not say. */
uint64_t metrics_resident_bytes(void);

#endif
