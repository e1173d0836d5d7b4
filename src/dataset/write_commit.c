/* The commit of a write: keys are held to, files get their places, and the
 * journal gets one event for all of it.
 *
 * What the files hold is judged here, under the dataset's lock, against the
 * version that the commit goes on top of: whoever wrote first has written.
 */
#include "dataset/write_internal.h"

#include <inttypes.h>
#include <string.h>

/* Others may have changed the schema while the files were written. Planned
 * anew, every column of the files must still have the id and type it has
 * there, or reading them by id would give the wrong column. */
static enum tn_code replan(struct dataset_write *write, const struct iceberg_metadata *newest,
                           struct schema_plan *ret, struct tn_error *err)
{
    TN_TRY(write_make_plan(write, newest, ret, err));
    for (size_t i = 0; i < write->column_count; i++) {
        const struct iceberg_field *then = iceberg_schema_find(write->plan.target, write->columns[i].name, true);
        const struct iceberg_field *now = iceberg_schema_find(ret->target, write->columns[i].name, true);
        if (!then || !now || then->id != now->id || !iceberg_type_equal(then->type, now->type)) {
            tn_fail(err, TN_ECONFLICT,
                    "column \"%s\" of dataset \"%s\" was given another shape by somebody else meanwhile",
                    write->columns[i].name, write->name);
            tn_error_hint(err, "send it again");
            return TN_ECONFLICT;
        }
    }
    return TN_OK;
}

static int by_order(const void *a, const void *b)
{
    const struct staged_file *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

/* ---- keys ------------------------------------------------------------------------ */

static enum tn_code check_keys(struct dataset_write *write, const struct iceberg_metadata *newest,
                               const struct iceberg_schema *target, struct tn_error *err)
{
    if (target->identifier_count == 0) {
        if (write->mode != DATASET_UPSERT)
            return TN_OK;
        tn_fail(err, TN_EREFUSED, "dataset \"%s\" has no key, so its rows cannot be replaced one by one",
                write->name);
        tn_error_hint(err, "say key=COLUMN");
        return TN_EREFUSED;
    }
    for (size_t i = 0; i < write->file_count; i++)
        TN_TRY(dataset_check_key(target, &write->files[i].file, err));
    if (write->file_count == 0)
        return TN_OK;
    TN_AUTO_BUF staged = {0};
    write_put_staged(write, &staged);
    if (!write->keys_differ)
        TN_TRY(dataset_check_unique(write->lake, target, staged.data, err));
    return newest && write->mode == DATASET_APPEND ? write_check_new(write, newest, target, err) : TN_OK;
}

/* ---- what goes into the transaction -------------------------------------------------- */

static enum tn_code add_files(struct dataset_write *write, struct iceberg_tx *tx, int32_t schema_id,
                              struct tn_error *err)
{
    char suffix[48];
    snprintf(suffix, sizeof suffix, DATASET_FILE_SUFFIX, schema_id);
    for (size_t i = 0; i < write->file_count; i++) {
        struct staged_file *staged = &write->files[i];
        const char *key;
        struct iceberg_file file = staged->file;
        file.path = iceberg_tx_new_file(tx, write->arena, suffix, &key);
        file.spec_id = iceberg_tx_spec(tx)->id;
        TN_TRY(store_batch_put_file(iceberg_tx_batch(tx), key, staged->path, err));
        free(TN_TAKE(staged->path));
        TN_TRY(iceberg_tx_add_file(tx, &file, err));
    }
    return TN_OK;
}

static void set_number(struct iceberg_tx *tx, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    iceberg_tx_set_summary(tx, key, text);
}

static void set_lineage(const struct dataset_write *write, const struct dataset_lineage *lineage,
                        struct iceberg_tx *tx)
{
    const struct {
        const char *key, *value;
    } texts[] = {
        {CATALOG_S_INGEST, lineage->ingest_id},   {CATALOG_S_SOURCE, lineage->source},
        {CATALOG_S_HASH, lineage->content_hash},  {CATALOG_S_OPTIONS, lineage->options_hash},
        {CATALOG_S_ACTOR, lineage->actor},        {CATALOG_S_REASON, lineage->reason},
        {CATALOG_S_REQUEST, lineage->request_id},
    };
    for (size_t i = 0; i < TN_COUNT(texts); i++)
        if (texts[i].value)
            iceberg_tx_set_summary(tx, texts[i].key, texts[i].value);
    set_number(tx, CATALOG_S_BYTES, lineage->source_bytes);
    set_number(tx, CATALOG_S_ROWS, write->rows);
    set_number(tx, CATALOG_S_REJECTED, lineage->rejected_rows);
    char time[TN_TIME_TEXT];
    iceberg_tx_set_summary(tx, CATALOG_S_STARTED, tn_time_format(lineage->started_us, time));
    int64_t took_us = tn_now_us() - lineage->started_us;
    set_number(tx, CATALOG_S_TOOK_MS, took_us > 0 ? (uint64_t)took_us / 1000 : 0);
    if (lineage->property)
        iceberg_tx_set_property(tx, lineage->property, lineage->property_value);
    if (write->mode == DATASET_REPLACE)
        iceberg_tx_set_summary(tx, CATALOG_S_MODE, "replace");
    else if (write->mode == DATASET_UPSERT)
        iceberg_tx_set_summary(tx, CATALOG_S_MODE, "upsert");
}

/* Original names of the columns that are new with this write. */
static void set_original_names(const struct dataset_write *write, const struct iceberg_metadata *newest,
                               const struct iceberg_schema *target, struct iceberg_tx *tx)
{
    TN_AUTO_JSON *notes = newest ? catalog_column_notes(newest) : json_object();
    bool changed = false;
    for (size_t i = 0; i < write->column_count; i++) {
        const struct iceberg_field *field = iceberg_schema_find(target, write->columns[i].name, true);
        if (!field || tn_streq(write->columns[i].original_name, field->name))
            continue;
        json_t *note = catalog_column_note_of(notes, field->id);
        if (json_object_get(note, "original_name"))
            continue;
        json_object_set_new(note, "original_name", json_string(write->columns[i].original_name));
        changed = true;
    }
    if (!changed)
        return;
    TN_AUTO_BUF out = {0};
    tn_json_dump(notes, &out);
    iceberg_tx_set_property(tx, CATALOG_P_COLUMNS, out.data);
}

/* One event for the whole commit: counts, and which bytes they came from. */
static void put_event(const struct dataset_write *write, const struct dataset_lineage *lineage,
                      const struct dataset_counts *counts, struct journal_batch *batch)
{
    static const char *const modes[] = {"append", "replace", "upsert"};
    TN_AUTO_BUF value = {0};
    struct tn_json json = tn_json_writer(&value);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "mode", modes[write->mode]);
    tn_json_ki64(&json, "rows", (int64_t)write->rows);
    tn_json_ki64(&json, "inserted", (int64_t)counts->inserted);
    tn_json_ki64(&json, "updated", (int64_t)counts->updated);
    tn_json_ki64(&json, "unchanged", (int64_t)counts->unchanged);
    tn_json_ki64(&json, "deleted", (int64_t)counts->deleted);
    tn_json_ki64(&json, "rejected", (int64_t)lineage->rejected_rows);
    tn_json_kstr(&json, "content_hash", lineage->content_hash);
    tn_json_kstr(&json, "source", lineage->source);
    tn_json_kstr(&json, "ingest_id", lineage->ingest_id);
    tn_json_close(&json, '}');
    const struct journal_event event = {
        .operation = write->mode == DATASET_REPLACE ? "replace" : "ingest",
        .new_value = value.data,
        .new_length = value.len,
        .rows = write->rows,
        .actor = lineage->actor,
        .source = lineage->door ? lineage->door : "ingest",
        .reason = lineage->reason,
        .workspace = lineage->workspace,
        .request_id = lineage->request_id,
    };
    journal_batch_add(batch, &event);
}

/* ---- the first rows of a request -------------------------------------------------------- */

struct telling {
    struct cells_shape shape;
    struct journal_event common;
    struct journal_batch *batch;
};

static enum tn_code tell_row(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct telling *telling = context;
    (void)err;
    rows_tell(&telling->shape, NULL, cells, &telling->common, telling->batch);
    return TN_OK;
}

/* As every other row of a request: one event for each record, from the files as
 * they are staged. */
static enum tn_code put_rows(const struct dataset_write *write, const struct iceberg_schema *target,
                             const struct dataset_lineage *lineage, struct journal_batch *batch, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    struct telling telling = {.batch = batch,
                              .common = {.actor = lineage->actor,
                                         .source = lineage->door,
                                         .reason = lineage->reason,
                                         .workspace = lineage->workspace,
                                         .request_id = lineage->request_id}};
    if (write->file_count == 0)
        return TN_OK;
    TN_TRY(cells_shape_init(&telling.shape, write->arena, target, err));
    tn_buf_puts(&sql, "SELECT ");
    for (size_t i = 0; i < target->field_count; i++) {
        tn_buf_puts(&sql, i ? ", " : "");
        tn_buf_put_sql_name(&sql, target->fields[i].name);
    }
    tn_buf_puts(&sql, " FROM ");
    write_put_staged(write, &sql);
    const struct engine_select select = {.sql = sql.data};
    return engine_select(write->lake->engine, &select, write->arena, NULL, NULL, tell_row, &telling, err);
}

/* ---- one commit ------------------------------------------------------------------------ */

/* A new dataset has no version and starts with this commit, so that a crash
 * cannot leave an empty one behind. */
static enum tn_code open_tx(struct dataset_write *write, const struct iceberg_table *table,
                            const struct iceberg_metadata *newest, const struct iceberg_schema *target,
                            struct iceberg_tx **ret, struct tn_error *err)
{
    if (!newest)
        return iceberg_tx_new_table(table, target, ret, err);
    *ret = iceberg_tx_new(table, newest);
    if (target != newest->schema)
        iceberg_tx_set_schema(*ret, target);
    if (write->mode == DATASET_REPLACE)
        iceberg_tx_remove_all(*ret);
    return TN_OK;
}

static enum tn_code put_files(struct dataset_write *write, struct iceberg_tx *tx, const struct iceberg_schema *target,
                              const struct write_matches *matches, struct rows_files *files, struct tn_error *err)
{
    /* The files are complete for the schema they were planned with; they may be
     * read without a mapping only when that is the schema of this commit. */
    bool complete = write->plan.target->field_count == target->field_count;
    uint64_t replaced = 0;
    if (matches->counts.updated > 0)
        TN_TRY(rows_files_remove_listed(files, matches->path, "NOT same", &replaced, err));
    return add_files(write, tx, complete ? iceberg_tx_schema_id(tx) : -1, err);
}

static enum tn_code publish(struct dataset_write *write, struct iceberg_tx *tx, const struct iceberg_metadata *newest,
                            struct journal_batch *batch, struct rows_files *files, int64_t *ret_snapshot,
                            struct tn_error *err)
{
    struct lake *lake = write->lake;
    ICEBERG_AUTO_METADATA *done = NULL;
    TN_FAULT("dataset.before_commit");
    enum tn_code code = catalog_tx_commit(lake->catalog, write->name, tx, &done, err);
    if (code == TN_ECONFLICT) {
        rows_files_drop(files);
        TN_TRY(rows_refresh(lake, write->name, newest, err));
    } else if (code != TN_OK) {
        journal_batch_committed(lake->journal, batch, NULL);
    }
    TN_TRY(code);
    TN_FAULT("dataset.after_commit");
    catalog_publish(lake->catalog, write->name, done);
    if (lake->hot && newest)
        dataset_hot_follow(lake, write->name, newest, done, NULL);
    if (lake->journal)
        journal_batch_committed(lake->journal, batch, done);
    *ret_snapshot = done->current ? done->current->id : 0;
    return TN_OK;
}

static enum tn_code commit_files(struct dataset_write *write, const struct iceberg_metadata *newest,
                                 const struct iceberg_schema *target, const struct write_matches *matches,
                                 const struct dataset_lineage *lineage, struct dataset_commit *ret,
                                 struct tn_error *err)
{
    struct iceberg_table table = catalog_table(write->lake->catalog, write->arena, write->name);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = NULL;
    TN_TRY(open_tx(write, &table, newest, target, &tx, err));
    TN_CLEANUP(rows_files_release) struct rows_files files;
    rows_files_init(&files, write->lake, write->arena, tx);
    TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = journal_batch_new(write->name);
    bool by_row = lineage->door && !newest;
    if (write->lake->journal && by_row)
        TN_TRY(put_rows(write, target, lineage, batch, err));
    TN_TRY(write_part(write, iceberg_tx_spec(tx), err));
    TN_TRY(put_files(write, tx, target, matches, &files, err));
    set_lineage(write, lineage, tx);
    set_original_names(write, newest, target, tx);
    if (write->lake->journal) {
        if (!by_row)
            put_event(write, lineage, &matches->counts, batch);
        TN_TRY(journal_batch_attach(batch, tx, false, err));
    }
    int64_t snapshot = 0;
    TN_TRY(publish(write, tx, newest, batch, &files, &snapshot, err));
    *ret = (struct dataset_commit){.snapshot_id = snapshot, .rows = write->rows, .counts = matches->counts};
    return TN_OK;
}

/* Counts for what is no upsert: a replace deletes what was there. */
static struct dataset_counts plain_counts(const struct dataset_write *write, const struct iceberg_metadata *newest)
{
    struct dataset_counts counts = {.inserted = write->rows};
    if (newest && newest->current && write->mode == DATASET_REPLACE) {
        int64_t deleted = iceberg_snapshot_count(newest->current, "total-position-deletes", 0);
        int64_t rows = iceberg_snapshot_count(newest->current, "total-records", 0) - deleted;
        counts.deleted = rows > 0 ? (uint64_t)rows : 0;
    }
    return counts;
}

static enum tn_code commit_locked(struct dataset_write *write, const struct iceberg_metadata *newest,
                                  const struct dataset_lineage *lineage, struct dataset_commit *ret,
                                  struct tn_error *err)
{
    struct schema_plan plan;
    if (newest)
        TN_TRY(rows_check_writable(newest, err));
    TN_TRY(replan(write, newest, &plan, err));
    if (write->file_count > 1)
        qsort(write->files, write->file_count, sizeof *write->files, by_order);
    TN_TRY(check_keys(write, newest, plan.target, err));
    TN_CLEANUP(write_matches_release) struct write_matches matches = {.counts = plain_counts(write, newest)};
    if (write->mode == DATASET_UPSERT && newest)
        TN_TRY(write_match(write, newest, plan.target, &matches, err));
    if (matches.counts.unchanged > 0 && matches.counts.inserted + matches.counts.updated == 0 &&
        plan.target == newest->schema && !lineage->property) {
        *ret = (struct dataset_commit){
            .snapshot_id = newest->current->id, .rows = 0, .unchanged = true, .counts = matches.counts};
        return TN_OK;
    }
    if (matches.counts.unchanged > 0)
        TN_TRY(write_drop_unchanged(write, &matches, err));
    return commit_files(write, newest, plan.target, &matches, lineage, ret, err);
}

enum tn_code dataset_write_commit(struct dataset_write *write, const struct dataset_lineage *lineage,
                                  struct dataset_commit *ret, struct tn_error *err)
{
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(write->lake->catalog, write->name);
    ICEBERG_AUTO_METADATA *newest = NULL;
    TN_TRY(catalog_load_locked(write->lake->catalog, write->name, &newest, err));
    struct dataset_known known;
    if (newest && lineage->content_hash &&
        dataset_find_in(newest, write->mode, lineage->content_hash, lineage->options_hash, &known)) {
        *ret = (struct dataset_commit){.snapshot_id = known.snapshot_id, .rows = known.rows, .unchanged = true};
        return TN_OK;
    }
    return commit_locked(write, newest, lineage, ret, err);
}
