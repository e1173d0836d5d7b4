/* width.h: what rows take in tables of the engine, counted and not asked: the
 * engine tells how much memory it holds, but not for which table. Private to dataset. */
#ifndef TARN_DATASET_WIDTH_H
#define TARN_DATASET_WIDTH_H

#include "base/buf.h"
#include "iceberg/iceberg.h"

/* Of a row beside its values: tarn_file and tarn_pos. */
#define DATASET_PLACE_WIDTH 12

/* Bytes of a value; of a text, a list or a struct those that it takes at its place. */
uint64_t dataset_width(const struct iceberg_type *type);

/* Whether the text below counts values of this type whole; structs, maps and lists of anything but
 * numbers have more behind their place. */
bool dataset_width_is_whole(const struct iceberg_type *type);

/* An expression over the column: the bytes that one value takes, with what lies
 * behind its place; not NULL. */
void dataset_width_put(const struct iceberg_field *field, struct tn_buf *sql);

#endif
