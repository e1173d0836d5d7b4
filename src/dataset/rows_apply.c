/* What requests do to rows, in memory. */
#include "dataset/rows_apply.h"

#include <string.h>

#define TABLE_FIRST 64

void rows_overlay_init(struct rows_overlay *overlay, struct tn_arena *arena, const struct cells_shape *shape)
{
    *overlay =
        (struct rows_overlay){.shape = shape, .arena = arena, .table_size = TABLE_FIRST, .seed = tn_random_u64()};
    overlay->table = tn_calloc(overlay->table_size, sizeof *overlay->table);
}

void rows_overlay_release(struct rows_overlay *overlay)
{
    free(overlay->entries);
    free(overlay->changes);
    free(overlay->table);
    *overlay = (struct rows_overlay){0};
}

/* ---- entries by key --------------------------------------------------------- */

static size_t find_slot(const struct rows_overlay *overlay, const struct engine_cell *key, uint64_t hash)
{
    size_t mask = overlay->table_size - 1, at = hash & mask;
    for (; overlay->table[at]; at = (at + 1) & mask) {
        const struct rows_entry *entry = &overlay->entries[overlay->table[at] - 1];
        if (entry->hash == hash && cells_key_equal(overlay->shape, entry->key, key))
            break;
    }
    return at;
}

static void grow_table(struct rows_overlay *overlay)
{
    uint32_t *old = overlay->table;
    size_t old_size = overlay->table_size;
    overlay->table_size *= 2;
    overlay->table = tn_calloc(overlay->table_size, sizeof *overlay->table);
    size_t mask = overlay->table_size - 1;
    for (size_t i = 0; i < old_size; i++) {
        if (!old[i])
            continue;
        size_t at = overlay->entries[old[i] - 1].hash & mask;
        while (overlay->table[at])
            at = (at + 1) & mask;
        overlay->table[at] = old[i];
    }
    free(old);
}

static struct rows_entry *new_entry(struct rows_overlay *overlay)
{
    TN_GROW(overlay->entries, overlay->entry_count, overlay->entry_capacity);
    struct rows_entry *entry = &overlay->entries[overlay->entry_count++];
    *entry = (struct rows_entry){.twin = ROWS_NONE, .request = ROWS_NONE};
    return entry;
}

/* The entry of a key, made when nobody named it before. The key's texts are
 * borrowed until the group is done. */
static size_t entry_of(struct rows_overlay *overlay, const struct engine_cell *key)
{
    uint64_t hash = cells_key_hash(overlay->shape, key, overlay->seed);
    size_t slot = find_slot(overlay, key, hash);
    if (overlay->table[slot])
        return overlay->table[slot] - 1;
    if (overlay->entry_count * 2 >= overlay->table_size) {
        grow_table(overlay);
        slot = find_slot(overlay, key, hash);
    }
    struct rows_entry *entry = new_entry(overlay);
    size_t bytes = overlay->shape->key_count * sizeof *key;
    struct engine_cell *copy = tn_arena_alloc(overlay->arena, bytes);
    memcpy(copy, key, bytes);
    entry->key = copy;
    entry->hash = hash;
    overlay->table[slot] = (uint32_t)overlay->entry_count;
    return overlay->entry_count - 1;
}

const struct engine_cell *rows_overlay_keys(const struct rows_overlay *overlay, size_t *ret_count)
{
    size_t width = overlay->shape->key_count, count = 0;
    struct engine_cell *keys = TN_ARENA_ARRAY(overlay->arena, struct engine_cell, overlay->entry_count * width + 1);
    for (size_t i = 0; i < overlay->entry_count; i++)
        if (overlay->entries[i].key)
            memcpy(keys + width * count++, overlay->entries[i].key, width * sizeof *keys);
    *ret_count = count;
    return keys;
}

void rows_overlay_found(struct rows_overlay *overlay, const struct dataset_place *place,
                        const struct engine_cell *row)
{
    struct engine_cell *copy = cells_copy(overlay->shape, overlay->arena, row);
    size_t at = ROWS_NONE;
    if (overlay->shape->key_count > 0) {
        struct engine_cell key[CELLS_KEY_MAX];
        cells_key_of(overlay->shape, copy, key);
        at = entry_of(overlay, key);
    }
    if (at == ROWS_NONE || overlay->entries[at].before) {
        struct rows_entry *twin = new_entry(overlay);
        twin->key = at == ROWS_NONE ? NULL : overlay->entries[at].key;
        if (at != ROWS_NONE) {
            twin->twin = overlay->entries[at].twin;
            overlay->entries[at].twin = overlay->entry_count - 1;
        }
        at = overlay->entry_count - 1;
    }
    struct rows_entry *entry = &overlay->entries[at];
    entry->place = (struct dataset_place){tn_arena_strdup(overlay->arena, place->path), place->pos};
    entry->before = entry->now = copy;
}

/* ---- what a request may ask ---------------------------------------------------- */

static enum tn_code refuse_keyless(struct tn_error *err)
{
    tn_fail(err, TN_EREFUSED, "the dataset has no key, so its rows cannot be told apart");
    tn_error_hint(err,
                  "give it one: key=COLUMN with an upsert, or PATCH /catalog/datasets/{d} {\"key\": \"COLUMN\"}");
    return TN_EREFUSED;
}

static bool needs_key(const struct rows_overlay *overlay, enum dataset_rows_op op)
{
    return op == DATASET_ROWS_UPSERT || op == DATASET_ROWS_PATCH || op == DATASET_ROWS_DELETE ||
           (op == DATASET_ROWS_APPEND && overlay->shape->key_count > 0);
}

static enum tn_code find_places(struct rows_overlay *overlay, struct rows_request *request, struct tn_error *err)
{
    const struct dataset_rows *rows = request->rows;
    const struct iceberg_schema *schema = overlay->shape->schema;
    size_t *places = TN_ARENA_ARRAY(overlay->arena, size_t, rows->column_count + 1);
    for (size_t i = 0; i < rows->column_count; i++) {
        size_t at = 0;
        while (at < schema->field_count && schema->fields[at].id != rows->field_ids[i])
            at++;
        if (at == schema->field_count)
            return tn_fail(err, TN_ESCHEMA, "a column of the rows (field %d) is not in the dataset any more",
                           rows->field_ids[i]);
        for (size_t k = 0; k < i; k++)
            if (places[k] == at)
                return tn_fail(err, TN_EREQUEST, "column \"%s\" is given twice", schema->fields[at].name);
        places[i] = at;
    }
    request->places = places;
    return TN_OK;
}

static enum tn_code find_key_cells(struct rows_overlay *overlay, struct rows_request *request, struct tn_error *err)
{
    const struct cells_shape *shape = overlay->shape;
    const struct dataset_rows *rows = request->rows;
    size_t *key_cells = TN_ARENA_ARRAY(overlay->arena, size_t, shape->key_count);
    for (size_t i = 0; i < shape->key_count; i++) {
        size_t at = 0;
        while (at < rows->column_count && request->places[at] != shape->key[i])
            at++;
        if (at == rows->column_count)
            return tn_fail(err, TN_EREFUSED, "column \"%s\" is part of the key and is not given",
                           shape->columns[shape->key[i]].name);
        key_cells[i] = at;
    }
    request->key_cells = key_cells;
    return TN_OK;
}

static void key_of_row(const struct rows_overlay *overlay, const struct rows_request *request, size_t row,
                       struct engine_cell *key)
{
    const struct engine_cell *cells = request->rows->cells + row * request->rows->column_count;
    for (size_t i = 0; i < overlay->shape->key_count; i++)
        key[i] = cells[request->key_cells[i]];
}

/* What must not be NULL is not: given as NULL, or not given where the whole
 * row is. */
static enum tn_code check_required(const struct rows_overlay *overlay, const struct rows_request *request,
                                   struct tn_error *err)
{
    const struct dataset_rows *rows = request->rows;
    const struct iceberg_schema *schema = overlay->shape->schema;
    bool whole = rows->op == DATASET_ROWS_APPEND || rows->op == DATASET_ROWS_UPSERT;
    for (size_t at = 0; at < schema->field_count; at++) {
        if (!schema->fields[at].required)
            continue;
        size_t column = 0;
        while (column < rows->column_count && request->places[column] != at)
            column++;
        if (column == rows->column_count) {
            if (whole && rows->row_count > 0)
                return tn_fail(err, TN_EREFUSED, "column \"%s\" must have a value and is not given",
                               schema->fields[at].name);
            continue;
        }
        for (size_t row = 0; row < rows->row_count; row++)
            if (rows->cells[row * rows->column_count + column].null)
                return tn_fail(err, TN_EREFUSED, "row %zu: column \"%s\" must have a value", row + 1,
                               schema->fields[at].name);
    }
    return TN_OK;
}

static enum tn_code check_key_values(const struct rows_overlay *overlay, const struct rows_request *request,
                                     struct tn_error *err)
{
    for (size_t row = 0; row < request->rows->row_count; row++)
        for (size_t i = 0; i < overlay->shape->key_count; i++)
            if (request->rows->cells[row * request->rows->column_count + request->key_cells[i]].null)
                return tn_fail(err, TN_EREFUSED, "row %zu: column \"%s\" is part of the key and must have a value",
                               row + 1, overlay->shape->columns[overlay->shape->key[i]].name);
    return TN_OK;
}

enum tn_code rows_overlay_prepare(struct rows_overlay *overlay, struct rows_request *request, struct tn_error *err)
{
    const struct dataset_rows *rows = request->rows;
    if (rows->op == DATASET_ROWS_WHERE)
        return TN_OK;
    bool keyed = needs_key(overlay, rows->op);
    if (keyed && overlay->shape->key_count == 0)
        return refuse_keyless(err);
    TN_TRY(find_places(overlay, request, err));
    if (keyed)
        TN_TRY(find_key_cells(overlay, request, err));
    TN_TRY(check_required(overlay, request, err));
    if (!keyed)
        return TN_OK;
    TN_TRY(check_key_values(overlay, request, err));
    for (size_t row = 0; row < rows->row_count; row++) {
        struct engine_cell key[CELLS_KEY_MAX];
        key_of_row(overlay, request, row, key);
        (void)entry_of(overlay, key);
    }
    return TN_OK;
}

/* ---- changes --------------------------------------------------------------------- */

static void log_change(struct rows_overlay *overlay, size_t at, size_t request, const struct engine_cell *to)
{
    struct rows_entry *entry = &overlay->entries[at];
    TN_GROW(overlay->changes, overlay->change_count, overlay->change_capacity);
    overlay->changes[overlay->change_count++] = (struct rows_change){
        .entry = at, .request = request, .from = entry->now, .to = to, .was_touched = entry->touched};
    entry->now = to;
    entry->touched = true;
}

static void undo_to(struct rows_overlay *overlay, size_t mark)
{
    while (overlay->change_count > mark) {
        const struct rows_change *change = &overlay->changes[--overlay->change_count];
        overlay->entries[change->entry].now = change->from;
        overlay->entries[change->entry].touched = change->was_touched;
    }
}

/* Rows that share the key of `at`: somebody else's doing; the first write of
 * the key makes an end of it. */
static bool drop_twins(struct rows_overlay *overlay, size_t at, size_t request)
{
    bool any = false;
    for (size_t twin = overlay->entries[at].twin; twin != ROWS_NONE; twin = overlay->entries[twin].twin)
        if (overlay->entries[twin].now) {
            log_change(overlay, twin, request, NULL);
            any = true;
        }
    return any;
}

/* The row as it will be: what the request gives over `under` (NULL: NULLs). */
static struct engine_cell *make_row(struct rows_overlay *overlay, const struct rows_request *request, size_t row,
                                    const struct engine_cell *under)
{
    size_t width = overlay->shape->width;
    struct engine_cell *made = TN_ARENA_ARRAY(overlay->arena, struct engine_cell, width);
    if (under)
        memcpy(made, under, width * sizeof *made);
    for (size_t i = 0; !under && i < width; i++)
        made[i].null = true;
    const struct engine_cell *cells = request->rows->cells + row * request->rows->column_count;
    for (size_t i = 0; i < request->rows->column_count; i++)
        made[request->places[i]] = cells[i];
    return made;
}

static const char *say_key(const struct rows_overlay *overlay, const struct engine_cell *key, struct tn_buf *out)
{
    cells_put_entity(overlay->shape, key, out);
    out->len = tn_utf8_floor(out->data ? out->data : "", out->len, 120);
    tn_buf_putc(out, '\0');
    return out->data;
}

static enum tn_code refuse_twice(const struct rows_overlay *overlay, const struct rows_entry *entry, size_t row,
                                 struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    tn_fail(err, TN_EREFUSED, "the key %s is there twice: in rows %zu and %zu", say_key(overlay, entry->key, &text),
            entry->row + 1, row + 1);
    tn_error_hint(err, "send each key once");
    return TN_EREFUSED;
}

static enum tn_code refuse_existing(const struct rows_overlay *overlay, const struct rows_request *request,
                                    const struct rows_entry *first, struct tn_error *err)
{
    size_t count = 0;
    for (size_t row = 0; row < request->rows->row_count; row++) {
        struct engine_cell key[CELLS_KEY_MAX];
        key_of_row(overlay, request, row, key);
        size_t slot = find_slot(overlay, key, cells_key_hash(overlay->shape, key, overlay->seed));
        count += overlay->entries[overlay->table[slot] - 1].before != NULL;
    }
    TN_AUTO_BUF text = {0}, more = {0};
    if (count == 2)
        tn_buf_puts(&more, ", and so is that of another row of this request");
    else if (count > 2)
        tn_buf_printf(&more, ", and so are those of %zu other rows of this request", count - 1);
    tn_fail(err, TN_EREFUSED, "the key %s is there already%s", say_key(overlay, first->key, &text),
            more.len ? more.data : "");
    tn_error_hint(err, "PUT replaces rows by key");
    return TN_EREFUSED;
}

static enum tn_code refuse_missing(const struct rows_overlay *overlay, const struct rows_entry *entry,
                                   struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    return tn_fail(err, TN_ENOTFOUND, "no row has the key %s", say_key(overlay, entry->key, &text));
}

static void put_row(struct rows_overlay *overlay, const struct rows_request *request, size_t at, size_t row,
                    struct dataset_counts *counts)
{
    const struct engine_cell *now = overlay->entries[at].now;
    struct engine_cell *to = make_row(overlay, request, row, request->rows->op == DATASET_ROWS_PATCH ? now : NULL);
    bool alone = !drop_twins(overlay, at, request->number);
    if (now && alone && cells_equal(overlay->shape, now, to)) {
        counts->unchanged++;
        return;
    }
    *(now ? &counts->updated : &counts->inserted) += 1;
    log_change(overlay, at, request->number, to);
}

static enum tn_code apply_row(struct rows_overlay *overlay, const struct rows_request *request, size_t row,
                              struct dataset_counts *counts, struct tn_error *err)
{
    struct engine_cell key[CELLS_KEY_MAX];
    key_of_row(overlay, request, row, key);
    size_t at = entry_of(overlay, key);
    struct rows_entry *entry = &overlay->entries[at];
    if (entry->request == request->number)
        return refuse_twice(overlay, entry, row, err);
    entry->request = request->number;
    entry->row = row;
    enum dataset_rows_op op = request->rows->op;
    if (op == DATASET_ROWS_APPEND && entry->now)
        return refuse_existing(overlay, request, entry, err);
    if (op == DATASET_ROWS_PATCH && !entry->now)
        return refuse_missing(overlay, entry, err);
    if (op != DATASET_ROWS_DELETE) {
        put_row(overlay, request, at, row, counts);
        return TN_OK;
    }
    if (!entry->now)
        return request->rows->ignore_missing ? TN_OK : refuse_missing(overlay, entry, err);
    (void)drop_twins(overlay, at, request->number);
    log_change(overlay, at, request->number, NULL);
    counts->deleted++;
    return TN_OK;
}

static void append_keyless(struct rows_overlay *overlay, const struct rows_request *request, size_t row,
                           struct dataset_counts *counts)
{
    struct engine_cell *to = make_row(overlay, request, row, NULL);
    (void)new_entry(overlay);
    log_change(overlay, overlay->entry_count - 1, request->number, to);
    counts->inserted++;
}

enum tn_code rows_overlay_apply(struct rows_overlay *overlay, const struct rows_request *request,
                                struct dataset_counts *ret, struct tn_error *err)
{
    struct dataset_counts counts = {0};
    size_t mark = overlay->change_count;
    for (size_t row = 0; row < request->rows->row_count; row++) {
        enum tn_code code = TN_OK;
        if (needs_key(overlay, request->rows->op))
            code = apply_row(overlay, request, row, &counts, err);
        else
            append_keyless(overlay, request, row, &counts);
        if (code != TN_OK) {
            undo_to(overlay, mark);
            return code;
        }
    }
    *ret = counts;
    return TN_OK;
}

void rows_overlay_delete_all(struct rows_overlay *overlay, size_t request, struct dataset_counts *ret)
{
    for (size_t i = 0; i < overlay->entry_count; i++)
        if (overlay->entries[i].now) {
            log_change(overlay, i, request, NULL);
            ret->deleted++;
        }
}
