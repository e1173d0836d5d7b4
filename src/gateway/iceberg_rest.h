/* Between the handlers of the Iceberg REST catalog. */
#ifndef TARN_GATEWAY_ICEBERG_REST_H
#define TARN_GATEWAY_ICEBERG_REST_H

#include "gateway/gateway_internal.h"

/* An error that has no code of its own here: Java's clients go by `status` and
 * `type`. Returns TN_OK: the reply stands. */
enum tn_code rest_refuse(struct request *request, unsigned status, const char *type, const char *message);
/* The namespace of a document, ["a", "b"], as one text; the arena's. */
enum tn_code rest_read_namespace(struct request *request, const json_t *parts, const char **ret,
                                 struct tn_error *err) TN_CHECKED;
/* The dataset that the path names, by {namespace} and {table}. */
enum tn_code rest_dataset(struct request *request, const char **ret, struct tn_error *err) TN_CHECKED;
/* Who asks, for the pointer file. */
struct iceberg_origin rest_origin(const struct request *request);
/* LoadTableResult; `metadata` is a version that may be staged only. */
enum tn_code rest_reply_table(struct request *request, const struct iceberg_metadata *metadata, bool staged,
                              bool refs_only, struct tn_error *err) TN_CHECKED;
/* A page of names: skips up to pageToken, stops behind pageSize. */
struct rest_page {
    const char *token, *last;
    uint64_t size, shown;
};
enum tn_code rest_page_begin(struct request *request, struct rest_page *ret, struct tn_error *err) TN_CHECKED;
/* Is this one on the page? Names come in byte order. */
bool rest_page_takes(struct rest_page *page, const char *name, bool *ret_full);

#endif
