/* hot_keys.h: the rows of one version by key, in memory, for whoever writes by
 * key. Private to dataset.
 *
 * A part of a hot copy (hot_internal.h): built when the copy is filled, moved
 * on by every commit of rows, so that a look-up is a hash and a comparison and
 * no statement. Rows are packed; each knows its place. A key may have several
 * rows: other engines do not mind keys.
 *
 * Threads: the caller has the dataset's lock, or nobody else knows the keys yet.
 */
#ifndef TARN_DATASET_HOT_KEYS_H
#define TARN_DATASET_HOT_KEYS_H

#include "dataset/hot.h"

struct hot_keys;

/* Of a schema with a key; copies what it needs of it. */
enum tn_code hot_keys_new(const struct iceberg_schema *schema, struct hot_keys **ret,
                          struct tn_error *err) TN_CHECKED;
void hot_keys_free(struct hot_keys *keys);
TN_DEFINE_CLEANUP(struct hot_keys, hot_keys_free)

/* The cells are those of the schema's columns; copied. */
void hot_keys_add(struct hot_keys *keys, const struct dataset_place *place, const struct engine_cell *row);
/* What a commit changed. False when a removed row was not there: then the keys
 * are of another version, and good for nothing. */
bool hot_keys_apply(struct hot_keys *keys, const struct dataset_change *change) TN_CHECKED;

/* As dataset_find_keys. */
enum tn_code hot_keys_find(struct hot_keys *keys, const struct engine_cell *wanted, size_t count,
                           dataset_found_fn *each, void *context, struct tn_error *err) TN_CHECKED;

size_t hot_keys_count(const struct hot_keys *keys);
/* What it takes, about. */
uint64_t hot_keys_bytes(const struct hot_keys *keys);

#endif
