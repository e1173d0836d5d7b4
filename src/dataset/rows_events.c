/* What a group did, as the journal tells it. */
#include "dataset/rows_internal.h"

#include <string.h>

struct teller {
    const struct cells_shape *shape;
    struct journal_batch *batch;
    struct journal_event event; /* what all events of a change have in common */
    struct tn_buf entity, old_value, new_value;
};

static void tell_row(struct teller *teller, const struct rows_change *change)
{
    struct journal_event event = teller->event;
    const struct engine_cell *row = change->to ? change->to : change->from;
    tn_buf_clear(&teller->new_value);
    cells_put_object(teller->shape, row, &teller->new_value);
    event.operation = change->to ? "insert" : "delete";
    if (change->to) {
        event.new_value = teller->new_value.data;
        event.new_length = teller->new_value.len;
    } else {
        event.old_value = teller->new_value.data;
        event.old_length = teller->new_value.len;
    }
    journal_batch_add(teller->batch, &event);
}

static void tell_field(struct teller *teller, const struct rows_change *change, size_t at)
{
    struct journal_event event = teller->event;
    const struct engine_column *column = &teller->shape->columns[at];
    tn_buf_clear(&teller->old_value);
    tn_buf_clear(&teller->new_value);
    engine_cell_json(column, &change->from[at], &teller->old_value);
    engine_cell_json(column, &change->to[at], &teller->new_value);
    event.operation = "update";
    event.field = column->name;
    event.old_value = teller->old_value.data;
    event.old_length = teller->old_value.len;
    event.new_value = teller->new_value.data;
    event.new_length = teller->new_value.len;
    journal_batch_add(teller->batch, &event);
}

static void tell(struct teller *teller, const struct rows_change *change)
{
    if (!change->from || !change->to) {
        tell_row(teller, change);
        return;
    }
    for (size_t i = 0; i < teller->shape->width; i++)
        if (!engine_cell_equal(&teller->shape->columns[i].type, &change->from[i], &change->to[i]))
            tell_field(teller, change, i);
}

void rows_tell(const struct cells_shape *shape, const struct engine_cell *from, const struct engine_cell *to,
               const struct journal_event *common, struct journal_batch *batch)
{
    struct teller teller = {.shape = shape, .batch = batch, .event = *common};
    const struct rows_change change = {.from = from, .to = to};
    if (shape->key_count > 0) {
        struct engine_cell key[CELLS_KEY_MAX];
        cells_key_of(shape, to ? to : from, key);
        cells_put_entity(shape, key, &teller.entity);
        teller.event.entity = teller.entity.data ? teller.entity.data : "";
        teller.event.entity_length = teller.entity.len;
    }
    tell(&teller, &change);
    tn_buf_release(&teller.entity);
    tn_buf_release(&teller.old_value);
    tn_buf_release(&teller.new_value);
}

void rows_put_events(const struct rows_overlay *overlay, struct rows_call *const *calls, struct journal_batch *batch)
{
    struct teller teller = {.shape = overlay->shape, .batch = batch};
    for (size_t i = 0; i < overlay->change_count; i++) {
        const struct rows_change *change = &overlay->changes[i];
        const struct rows_entry *entry = &overlay->entries[change->entry];
        const struct dataset_rows *rows = calls[change->request]->request.rows;
        tn_buf_clear(&teller.entity);
        if (entry->key)
            cells_put_entity(overlay->shape, entry->key, &teller.entity);
        /* The empty string is a key too. */
        const char *entity = entry->key ? (teller.entity.data ? teller.entity.data : "") : NULL;
        teller.event = (struct journal_event){
            .entity = entity,
            .entity_length = teller.entity.len,
            .actor = rows->actor,
            .source = rows->source,
            .reason = rows->reason,
            .workspace = rows->workspace,
            .request_id = rows->request_id,
        };
        tell(&teller, change);
    }
    tn_buf_release(&teller.entity);
    tn_buf_release(&teller.old_value);
    tn_buf_release(&teller.new_value);
}
