/* Rows read by key, encoded, checked, written.
 *
 * Two batches are in memory at a time, besides those on their way to the server:
 * the next one is asked for when the one before has come, and it is read and
 * encoded while the server writes.
 *
 * Rows that are new go by COPY, a transaction for each batch: half the server's
 * work of INSERT ... unnest. It cannot overwrite, so that rows which may be there
 * take the longer way, as do updates of the table itself. */
#include "reembed/reembed_internal.h"

#include <inttypes.h>
#include <math.h>

enum { ON_THE_WAY = 3 };

struct pump {
    struct run *run;
    struct postgres *with;
    const struct batch_sql *sql;
    bool apart;  /* one connection reads and another writes */
    bool copies; /* by COPY, else in a pipeline or, where both are one, plainly */
    bool asked;  /* the next rows are on their way */
    size_t dimension;
    struct tn_buf last; /* id that was read last */
    bool begun;
    struct model_text *texts; /* those that are there */
    size_t *rows;             /* and whose they are */
    size_t text_count;
    float *vectors;
    struct postgres_array ids, made, hashes;
    struct tn_buf copy;
    uint64_t sizes[ON_THE_WAY + 1]; /* rows of the batches on their way */
    size_t way_first, way_count;
    uint64_t number, done, total, written;
};

static void pump_release(struct pump *pump)
{
    if (pump->apart)
        postgres_pipeline_close(pump->with);
    if (pump->apart && !pump->copies)
        postgres_pipeline_close(pump->run->pg);
    tn_buf_release(&pump->last);
    free(pump->texts);
    free(pump->rows);
    free(pump->vectors);
    postgres_array_release(&pump->ids);
    postgres_array_release(&pump->made);
    postgres_array_release(&pump->hashes);
    tn_buf_release(&pump->copy);
}

/* ---- reading ------------------------------------------------------------------------- */

static struct postgres_param last_id(const struct pump *pump)
{
    return (struct postgres_param){
        .type = pump->run->target.id_oid, .data = pump->last.data, .length = pump->last.len, .binary = true};
}

static enum tn_code ask_rows(struct pump *pump, struct tn_error *err)
{
    const struct postgres_param after = last_id(pump);
    const char *sql = pump->begun ? pump->sql->next : pump->sql->first;
    TN_TRY(postgres_pipeline_send_sql(pump->with, sql, &after, pump->begun ? 1 : 0, err));
    pump->asked = true;
    return postgres_pipeline_sync(pump->with, err);
}

static enum tn_code read_rows(struct pump *pump, struct postgres_result **ret, struct tn_error *err)
{
    const struct postgres_param after = last_id(pump);
    if (!pump->apart)
        return postgres_query(pump->with, pump->begun ? pump->sql->next : pump->sql->first, &after,
                              pump->begun ? 1 : 0, POSTGRES_BINARY, ret, err);
    if (!pump->asked)
        TN_TRY(ask_rows(pump, err));
    pump->asked = false;
    return postgres_pipeline_take(pump->with, ret, NULL, err);
}

static void take_texts(struct pump *pump, const struct postgres_result *rows)
{
    pump->text_count = 0;
    for (size_t i = 0; i < postgres_rows(rows); i++) {
        if (postgres_is_null(rows, i, 1))
            continue;
        pump->texts[pump->text_count] =
            (struct model_text){.data = postgres_value(rows, i, 1), .length = postgres_value_length(rows, i, 1)};
        pump->rows[pump->text_count++] = i;
    }
}

/* ---- encoding ---------------------------------------------------------------------------- */

/* What a model gives is not believed: one NaN would be refused by the server
 * with the whole batch, and its message names no row. */
static enum tn_code check_vectors(const struct pump *pump, struct tn_error *err)
{
    for (size_t i = 0; i < pump->text_count * pump->dimension; i++)
        if (!isfinite(pump->vectors[i])) {
            (void)tn_fail(err, TN_ECORRUPT, "model %s gave a number that is not finite, for the text \"%.60s\"",
                          pump->run->embedder->model.name, pump->texts[i / pump->dimension].data);
            tn_error_hint(err, "the model or its server is at fault");
            return TN_ECORRUPT;
        }
    return TN_OK;
}

static enum tn_code encode(struct pump *pump, struct tn_error *err)
{
    struct run *run = pump->run;
    size_t cut = 0;
    uint64_t began = tn_mono_ns();
    if (pump->text_count == 0)
        return TN_OK;
    enum tn_code code =
        run->embedder->embed(run->embedder->context, pump->texts, pump->text_count, pump->vectors, &cut, err);
    run->report->embed_secs += (double)(tn_mono_ns() - began) / 1e9;
    run->report->texts_cut += cut;
    return code == TN_OK ? check_vectors(pump, err) : code;
}

static void fill_arrays(struct pump *pump, const struct postgres_result *rows)
{
    const struct target *target = &pump->run->target;
    size_t next = 0;
    postgres_array_begin(&pump->ids, target->id_oid);
    postgres_array_begin(&pump->made, target->new_oid);
    postgres_array_begin(&pump->hashes, POSTGRES_UUID);
    for (size_t i = 0; i < postgres_rows(rows); i++) {
        postgres_array_add_bytes(&pump->ids, postgres_value(rows, i, 0), postgres_value_length(rows, i, 0));
        bool has_text = next < pump->text_count && pump->rows[next] == i;
        const float *vector = pump->vectors + next * pump->dimension;
        if (has_text && target->new_half)
            postgres_array_add_halfvec(&pump->made, vector, pump->dimension);
        else if (has_text)
            postgres_array_add_vector(&pump->made, vector, pump->dimension);
        else
            postgres_array_add_null(&pump->made);
        if (pump->sql->hashes && has_text)
            postgres_array_add_bytes(&pump->hashes, postgres_value(rows, i, 2), postgres_value_length(rows, i, 2));
        else if (pump->sql->hashes)
            postgres_array_add_null(&pump->hashes);
        next += has_text;
    }
}

/* ---- writing ------------------------------------------------------------------------------- */

static void say_written(struct pump *pump, uint64_t rows)
{
    struct run *run = pump->run;
    pump->done += rows;
    pump->written += rows;
    run->report->batches++;
    const struct reembed_event event = {.kind = REEMBED_BATCH,
                                        .number = ++pump->number,
                                        .rows = rows,
                                        .done = pump->done,
                                        .total = TN_MAX(pump->total, pump->done)};
    if (run->observer && run->observer->event)
        run->observer->event(run->observer->context, &event);
    TN_FAULT("reembed.batch_written");
}

/* The oldest batch on its way. In place, fewer rows than were sent are rows
 * that were deleted meanwhile. */
static enum tn_code take_written(struct pump *pump, struct tn_error *err)
{
    struct postgres *pg = pump->run->pg;
    uint64_t rows = pump->sizes[pump->way_first];
    pump->way_first = (pump->way_first + 1) % TN_COUNT(pump->sizes);
    pump->way_count--;
    if (pump->copies)
        TN_TRY(postgres_copy_in_take(pg, NULL, err));
    else
        TN_TRY(postgres_pipeline_take(pg, NULL, NULL, err));
    if (pump->sql->mark)
        TN_TRY(postgres_pipeline_take(pg, NULL, NULL, err));
    say_written(pump, rows);
    return TN_OK;
}

static enum tn_code on_its_way(struct pump *pump, uint64_t rows, size_t most, struct tn_error *err)
{
    TN_FAULT("reembed.batch_sent");
    pump->sizes[(pump->way_first + pump->way_count++) % TN_COUNT(pump->sizes)] = rows;
    while (pump->way_count > most)
        TN_TRY(take_written(pump, err));
    return TN_OK;
}

static enum tn_code write_piped(struct pump *pump, const struct postgres_param *params, size_t count,
                                const struct postgres_param *mark, uint64_t rows, struct tn_error *err)
{
    struct postgres *pg = pump->run->pg;
    TN_TRY(postgres_pipeline_send(pg, "write", params, count, err));
    if (pump->sql->mark)
        TN_TRY(postgres_pipeline_send(pg, "mark", mark, 2, err));
    TN_TRY(postgres_pipeline_sync(pg, err));
    return on_its_way(pump, rows, ON_THE_WAY, err);
}

static enum tn_code write_plain(struct pump *pump, const struct postgres_param *params, size_t count,
                                const struct postgres_param *mark, uint64_t rows, struct tn_error *err)
{
    struct postgres *pg = pump->run->pg;
    TN_TRY(postgres_query(pg, pump->sql->write, params, count, POSTGRES_TEXT, NULL, err));
    if (pump->sql->mark)
        TN_TRY(postgres_query(pg, pump->sql->mark, mark, 2, POSTGRES_TEXT, NULL, err));
    say_written(pump, rows);
    return TN_OK;
}

static enum tn_code write_updates(struct pump *pump, const struct postgres_result *rows, struct tn_error *err)
{
    unsigned char count_bytes[8];
    uint64_t count = postgres_rows(rows);
    fill_arrays(pump, rows);
    const struct postgres_param params[] = {postgres_array_param(&pump->ids), postgres_array_param(&pump->made),
                                            postgres_array_param(&pump->hashes)};
    const struct postgres_param mark[] = {last_id(pump), postgres_i64((int64_t)count, count_bytes)};
    size_t used = pump->sql->hashes ? 3 : 2;
    return pump->apart ? write_piped(pump, params, used, mark, count, err)
                       : write_plain(pump, params, used, mark, count, err);
}

static void fill_copy(struct pump *pump, const struct postgres_result *rows)
{
    enum { FIELDS = 3 };
    struct tn_buf *out = &pump->copy;
    size_t next = 0;
    tn_buf_clear(out);
    postgres_copy_header(out);
    for (size_t i = 0; i < postgres_rows(rows); i++) {
        bool has_text = next < pump->text_count && pump->rows[next] == i;
        const float *vector = pump->vectors + next * pump->dimension;
        postgres_copy_row_begin(out, FIELDS);
        postgres_put_bytes(out, postgres_value(rows, i, 0), postgres_value_length(rows, i, 0));
        if (!has_text) {
            postgres_put_null(out);
            postgres_put_null(out);
            continue;
        }
        if (pump->run->target.new_half)
            postgres_put_halfvec(out, vector, pump->dimension);
        else
            postgres_put_vector(out, vector, pump->dimension);
        postgres_put_bytes(out, postgres_value(rows, i, 2), postgres_value_length(rows, i, 2));
        next++;
    }
    postgres_copy_trailer(out);
}

static enum tn_code write_copy(struct pump *pump, const struct postgres_result *rows, struct tn_error *err)
{
    struct postgres *pg = pump->run->pg;
    fill_copy(pump, rows);
    while (pump->way_count > 0)
        TN_TRY(take_written(pump, err));
    TN_TRY(postgres_copy_in(pg, pump->sql->copy, err));
    TN_TRY(postgres_copy_in_put(pg, pump->copy.data, pump->copy.len, err));
    TN_TRY(postgres_copy_in_close(pg, err));
    return on_its_way(pump, postgres_rows(rows), 1, err);
}

/* ---- all of them ------------------------------------------------------------------------------ */

static enum tn_code pump_open(struct pump *pump, const struct tn_buf *after, struct tn_error *err)
{
    size_t batch = pump->run->plan->batch_size;
    pump->texts = tn_calloc(batch, sizeof *pump->texts);
    pump->rows = tn_calloc(batch, sizeof *pump->rows);
    pump->vectors = tn_try_malloc(tn_size_mul(batch, pump->dimension * sizeof *pump->vectors));
    if (!pump->vectors)
        return tn_fail(err, TN_ENOMEM, "no memory for %zu vectors of %zu numbers", batch, pump->dimension);
    if (after && after->len) {
        tn_buf_append(&pump->last, after->data, after->len);
        pump->begun = true;
    }
    if (pump->with == pump->run->pg)
        return TN_OK;
    TN_TRY(postgres_pipeline_open(pump->with, err));
    pump->apart = true;
    pump->copies = pump->sql->copy != NULL;
    if (pump->copies)
        return TN_OK;
    TN_TRY(postgres_run(pump->run->pg, "DEALLOCATE ALL", err)); /* of the pump before */
    TN_TRY(postgres_prepare(pump->run->pg, "write", pump->sql->write, NULL, 0, err));
    if (pump->sql->mark)
        TN_TRY(postgres_prepare(pump->run->pg, "mark", pump->sql->mark, NULL, 0, err));
    return postgres_pipeline_open(pump->run->pg, err);
}

static enum tn_code pump_one(struct pump *pump, bool *ret_more, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *rows = NULL;
    if (run_stopping(pump->run))
        return tn_fail(err, TN_ECANCELLED, "stopped as asked");
    TN_TRY(read_rows(pump, &rows, err));
    size_t count = postgres_rows(rows);
    *ret_more = count == pump->run->plan->batch_size;
    if (count == 0)
        return TN_OK;
    tn_buf_clear(&pump->last);
    tn_buf_append(&pump->last, postgres_value(rows, count - 1, 0), postgres_value_length(rows, count - 1, 0));
    pump->begun = true;
    if (pump->apart && *ret_more)
        TN_TRY(ask_rows(pump, err));
    take_texts(pump, rows);
    TN_TRY(encode(pump, err));
    pump->run->report->rows_embedded += pump->text_count;
    return pump->copies ? write_copy(pump, rows, err) : write_updates(pump, rows, err);
}

static enum tn_code run_pump(struct pump *pump, struct tn_error *err)
{
    bool more = true;
    enum tn_code code = TN_OK;
    while (more && code == TN_OK)
        code = pump_one(pump, &more, err);
    /* What was sent before a failure counts, and is said. */
    while (pump->way_count > 0) {
        enum tn_code one = take_written(pump, code == TN_OK ? err : NULL);
        code = code == TN_OK ? one : code;
        if (one != TN_OK)
            break;
    }
    return code;
}

enum tn_code batch_run(struct run *run, struct postgres *with, const struct batch_sql *sql,
                       const struct tn_buf *after, uint64_t done, uint64_t *ret_rows, struct tn_error *err)
{
    TN_CLEANUP(pump_release)
    struct pump pump = {.run = run,
                        .with = with,
                        .sql = sql,
                        .dimension = run->signature.dimension,
                        .number = run->report->batches,
                        .done = done,
                        .total = run->rows};
    TN_TRY(pump_open(&pump, after, err));
    enum tn_code code = run_pump(&pump, err);
    *ret_rows = pump.written;
    return code;
}
