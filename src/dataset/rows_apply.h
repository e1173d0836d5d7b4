/* rows_apply.h: the rows that a group of requests touches, as each request
 * leaves them for the next one. Private to dataset; pure: it reads and writes
 * nothing but memory.
 *
 * First every request names its keys (rows_overlay_prepare), then whoever owns
 * the overlay looks them up once and tells what is there (rows_overlay_found),
 * then the requests are applied in the order of their arrival. One that fails
 * leaves the overlay as it was. What the table must become stands in `entries`,
 * how it came about in `changes`.
 */
#ifndef TARN_DATASET_ROWS_APPLY_H
#define TARN_DATASET_ROWS_APPLY_H

#include "dataset/cells.h"

struct rows_entry {
    const struct engine_cell *key; /* NULL: a row of a dataset without a key */
    uint64_t hash;
    struct dataset_place place;
    const struct engine_cell *before; /* the row as the table has it; NULL: it is not there */
    const struct engine_cell *now;    /* the row as the group leaves it; NULL: it is gone or never was */
    bool touched;                     /* some change is logged for it */
    size_t twin;                      /* another row of the same key in the table, or ROWS_NONE */
    size_t request, row;              /* which of them named it last, for duplicates within a request */
};

#define ROWS_NONE SIZE_MAX

/* One row's change. Without `from` it is an insert, without `to` a delete. */
struct rows_change {
    size_t entry, request;
    const struct engine_cell *from, *to;
    bool was_touched;
};

/* One request as the overlay sees it. */
struct rows_request {
    const struct dataset_rows *rows;
    size_t number;           /* in the group, from 0 */
    const size_t *places;    /* of its columns in a row */
    const size_t *key_cells; /* which of its columns are the key's, in the key's order */
};

struct rows_overlay {
    const struct cells_shape *shape;
    struct tn_arena *arena; /* borrowed */
    struct rows_entry *entries;
    size_t entry_count, entry_capacity;
    struct rows_change *changes;
    size_t change_count, change_capacity;
    uint32_t *table; /* entry + 1 by hash */
    size_t table_size;
    uint64_t seed;
};

void rows_overlay_init(struct rows_overlay *overlay, struct tn_arena *arena, const struct cells_shape *shape);
void rows_overlay_release(struct rows_overlay *overlay);

/* Checks the request against the schema and adds its keys. A request that is
 * refused here must not be applied. */
enum tn_code rows_overlay_prepare(struct rows_overlay *overlay, struct rows_request *request,
                                  struct tn_error *err) TN_CHECKED;
/* All keys so far, one behind the other as dataset_find_keys wants them; the
 * arena's. */
const struct engine_cell *rows_overlay_keys(const struct rows_overlay *overlay, size_t *ret_count);
/* A row of the table. Copied. Rows whose key nobody named are added as well
 * (deletes by predicate). */
void rows_overlay_found(struct rows_overlay *overlay, const struct dataset_place *place,
                        const struct engine_cell *row);
/* Applies it, or fails and changes nothing. */
enum tn_code rows_overlay_apply(struct rows_overlay *overlay, const struct rows_request *request,
                                struct dataset_counts *ret, struct tn_error *err) TN_CHECKED;
/* Deletes every row that was found. */
void rows_overlay_delete_all(struct rows_overlay *overlay, size_t request, struct dataset_counts *ret);

#endif
