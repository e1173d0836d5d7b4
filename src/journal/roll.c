/* Rolling: from many small batches to few sorted files.
 *
 * What is loaded into the tail table and not rolled yet is written as one file
 * a month, sorted by dataset, entity and place, and committed to the events
 * table together with how far each dataset is rolled: a crash before that
 * leaves the batches as they were, one after it leaves batches that nothing
 * reads any more. When a month has many files they are merged into one.
 */
#include "journal/journal_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROLL_BATCHES 1024
#define ROLL_EVENTS  50000
#define MERGE_FILES  8
#define MERGE_ROWS   4000000 /* a file of so many events stays as it is */
#define GROUP_ROWS   20480

struct roll {
    struct journal *journal;
    struct tn_arena *arena;
    struct iceberg_plan *plan; /* NULL: no events table yet */
    struct iceberg_tx *tx;
    int64_t from, to; /* batch numbers: from < n <= to */
    const char **months;
    size_t month_count, month_capacity;
    struct rolled_mark *marks;
    size_t mark_count, mark_capacity;
};

static bool take_month(void *context, size_t count, const char *const *values)
{
    struct roll *roll = context;
    (void)count;
    TN_GROW(roll->months, roll->month_count, roll->month_capacity);
    roll->months[roll->month_count++] = tn_arena_strdup(roll->arena, values[0]);
    return true;
}

/* "2026-11", of the microseconds in a bound. */
static const char *month_of(struct tn_arena *arena, struct iceberg_bytes bound)
{
    TN_AUTO_BUF text = {0};
    iceberg_value_format(journal_schema()->fields[COLUMN_TS].type, bound, &text);
    return tn_arena_strndup(arena, text.data, TN_MIN(text.len, (size_t)7));
}

/* The month's files that are worth merging; none unless there are enough. */
static size_t files_to_merge(const struct roll *roll, const char *month, const struct iceberg_plan_file **ret)
{
    size_t count = 0;
    for (size_t i = 0; roll->plan && i < roll->plan->file_count; i++) {
        const struct iceberg_plan_file *file = &roll->plan->files[i];
        const struct iceberg_stats *stats = iceberg_file_stats(file->file, journal_schema()->fields[COLUMN_TS].id);
        if (stats && stats->lower.data && file->file->record_count < MERGE_ROWS &&
            tn_streq(month_of(roll->arena, stats->lower), month))
            ret[count++] = file;
    }
    return count >= MERGE_FILES ? count : 0;
}

static enum tn_code month_select(const struct roll *roll, const char *month, const struct iceberg_plan_file **merged,
                                 size_t merged_count, struct tn_buf *sql, struct tn_error *err)
{
    tn_buf_puts(sql, "SELECT * FROM (SELECT ");
    journal_put_columns(sql, "");
    tn_buf_printf(sql,
                  " FROM " TAIL_TABLE " WHERE batch > %" PRId64 " AND batch <= %" PRId64
                  " AND strftime(ts AT TIME ZONE 'UTC', '%%Y-%%m') = ",
                  roll->from, roll->to);
    tn_buf_put_sql_string(sql, month);
    if (merged_count > 0) {
        tn_buf_puts(sql, " UNION ALL SELECT ");
        journal_put_columns(sql, "");
        tn_buf_puts(sql, " FROM read_parquet([");
        for (size_t i = 0; i < merged_count; i++) {
            char *path;
            TN_TRY(store_needed_path(roll->journal->store, roll->arena, merged[i]->key, &path, err));
            tn_buf_puts(sql, i ? ", " : "");
            tn_buf_put_sql_string(sql, path);
        }
        tn_buf_puts(sql, "])");
    }
    tn_buf_puts(sql, ") ORDER BY dataset, entity, sequence, ordinal");
    return TN_OK;
}

static const char *field_ids(struct tn_arena *arena)
{
    TN_AUTO_BUF out = {0};
    for (size_t i = 0; i < JOURNAL_COLUMNS; i++)
        tn_buf_printf(&out, "%s'%s': %d", i ? ", " : "{", journal_schema()->fields[i].name,
                      journal_schema()->fields[i].id);
    tn_buf_putc(&out, '}');
    return tn_arena_strndup(arena, out.data, out.len);
}

static enum tn_code add_file(struct roll *roll, const char *staged, const struct engine_file_stats *written,
                             struct tn_error *err)
{
    struct iceberg_file file;
    const char *key;
    catalog_file_stats(roll->arena, journal_schema(), written, &file);
    file.path = iceberg_tx_new_file(roll->tx, roll->arena, "-events.parquet", &key);
    TN_TRY(store_batch_put_file(iceberg_tx_batch(roll->tx), key, staged, err));
    return iceberg_tx_add_file(roll->tx, &file, err);
}

static enum tn_code roll_month(struct roll *roll, const char *month, struct tn_error *err)
{
    size_t files = roll->plan ? roll->plan->file_count : 0;
    const struct iceberg_plan_file **merged =
        TN_ARENA_ARRAY(roll->arena, const struct iceberg_plan_file *, files + 1);
    size_t merged_count = files_to_merge(roll, month, merged);
    TN_AUTO_BUF sql = {0};
    TN_TRY(month_select(roll, month, merged, merged_count, &sql, err));
    char *staged;
    TN_TRY(store_stage_path(roll->journal->store, roll->arena, ".parquet", &staged, err));
    const struct engine_copy copy = {
        .select = sql.data,
        .field_ids = field_ids(roll->arena),
        .row_group_rows = GROUP_ROWS,
        .compact = true,
        .local_path = staged,
    };
    struct engine_file_stats written = {0};
    TN_TRY(engine_copy_parquet(roll->journal->engine, &copy, roll->arena, &written, err));
    enum tn_code code = written.rows > 0 ? add_file(roll, staged, &written, err) : TN_OK;
    if (code != TN_OK || written.rows == 0)
        (void)unlink(staged);
    for (size_t i = 0; i < merged_count; i++)
        iceberg_tx_remove_file(roll->tx, merged[i]->file->path);
    return code;
}

/* The mark of a table among those of this roll; begins at what was rolled before. `mutex` held. */
static struct rolled_mark *mark_of(struct roll *roll, const char *uuid)
{
    const struct journal *journal = roll->journal;
    for (size_t i = roll->mark_count; i > 0; i--)
        if (tn_streq(roll->marks[i - 1].uuid, uuid))
            return &roll->marks[i - 1];
    TN_GROW(roll->marks, roll->mark_count, roll->mark_capacity);
    struct rolled_mark *mark = &roll->marks[roll->mark_count++];
    *mark = (struct rolled_mark){0};
    snprintf(mark->uuid, sizeof mark->uuid, "%s", uuid);
    for (size_t i = 0; i < journal->mark_count; i++)
        if (tn_streq(journal->marks[i].uuid, uuid))
            mark->sequence = journal->marks[i].sequence;
    return mark;
}

/* How far each table is rolled once this roll is committed. A batch that was
 * found late (journal_tail_doubt) stands behind newer ones of its table. */
static void set_marks(struct roll *roll)
{
    struct journal *journal = roll->journal;
    pthread_mutex_lock(&journal->mutex);
    for (size_t i = 0; i < journal->tail_count; i++) {
        const struct tail_batch *batch = &journal->tail[i];
        bool own = strncmp(batch->key, JOURNAL_FOREIGN, strlen(JOURNAL_FOREIGN)) != 0;
        if (!own || batch->number == 0 || batch->number > roll->to)
            continue;
        struct rolled_mark *mark = mark_of(roll, batch->uuid);
        mark->sequence = TN_MAX(mark->sequence, batch->sequence);
    }
    pthread_mutex_unlock(&journal->mutex);
    for (size_t i = 0; i < roll->mark_count; i++) {
        char key[sizeof JOURNAL_P_ROLLED + TN_UUID_TEXT], value[24];
        snprintf(key, sizeof key, JOURNAL_P_ROLLED "%s", roll->marks[i].uuid);
        snprintf(value, sizeof value, "%" PRId64, roll->marks[i].sequence);
        iceberg_tx_set_property(roll->tx, key, value);
    }
}

/* The batches up to the roll's last one are in the events table now. */
static void take_over(struct journal *journal, struct iceberg_metadata *done)
{
    journal_set_events(journal, done);
    journal->rolled_number = journal->doubted_number;
    journal_tail_forget(journal, journal->doubted_number);
    journal->doubted_snapshot = 0;
}

static enum tn_code write_and_commit(struct roll *roll, struct tn_error *err)
{
    struct journal *journal = roll->journal;
    for (size_t i = 0; i < roll->month_count; i++)
        TN_TRY(roll_month(roll, roll->months[i], err));
    set_marks(roll);
    TN_FAULT("journal.before_roll");
    struct iceberg_metadata *done = NULL;
    journal->doubted_snapshot = iceberg_tx_snapshot_id(roll->tx);
    journal->doubted_number = roll->to;
    TN_TRY(iceberg_tx_commit(roll->tx, &done, err));
    TN_FAULT("journal.after_roll");
    take_over(journal, done);
    return TN_OK;
}

/* A roll whose commit failed may have come to be all the same: the next would
 * start from what is not the newest version, and be refused for ever. */
static enum tn_code settle_doubt(struct journal *journal, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *newest = NULL;
    if (!journal->doubted_snapshot)
        return TN_OK;
    enum tn_code code = iceberg_table_load(&journal->table, NULL, &newest, err);
    if (code == TN_OK && iceberg_metadata_snapshot(newest, journal->doubted_snapshot))
        take_over(journal, TN_TAKE(newest));
    else if (code == TN_OK || code == TN_ENOTFOUND)
        journal->doubted_snapshot = 0;
    return code == TN_ENOTFOUND ? TN_OK : code;
}

static enum tn_code find_months(struct roll *roll, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql,
                  "SELECT DISTINCT strftime(ts AT TIME ZONE 'UTC', '%%Y-%%m') FROM " TAIL_TABLE
                  " WHERE batch > %" PRId64 " AND batch <= %" PRId64,
                  roll->from, roll->to);
    return engine_run(roll->journal->engine, sql.data, take_month, roll, err);
}

static enum tn_code roll_all(struct journal *journal, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_PLAN *plan = NULL;
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = NULL;
    if (journal->events) {
        TN_TRY(journal_plan(journal, &plan, err));
        tx = iceberg_tx_new(&journal->table, journal->events);
    } else {
        TN_TRY(iceberg_tx_new_table(&journal->table, journal_schema(), &tx, err));
    }
    struct roll roll = {
        .journal = journal,
        .arena = arena,
        .plan = plan,
        .tx = tx,
        .from = journal->rolled_number,
        .to = journal->last_number,
    };
    enum tn_code code = find_months(&roll, err);
    if (code == TN_OK)
        code = write_and_commit(&roll, err);
    free(roll.months);
    free(roll.marks);
    return code;
}

/* ---- what rolling leaves ------------------------------------------------------- */

/* Relations made before the roll before this one are not in use any more. The
 * table is made anew: rows that are deleted from a table in memory go on taking
 * their room for as long as it is there. */
static enum tn_code shrink_tail(struct journal *journal, int64_t number, struct tn_error *err)
{
    if (number <= journal->dropped_number)
        return TN_OK;
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql,
                  "CREATE OR REPLACE TABLE " TAIL_TABLE " AS SELECT * FROM " TAIL_TABLE " WHERE batch > %" PRId64,
                  number);
    TN_TRY(engine_run(journal->engine, sql.data, NULL, NULL, err));
    journal->dropped_number = number;
    return TN_OK;
}

static bool is_old(const struct journal *journal, const struct store_object *object)
{
    return object->modified_ms <= tn_now_ms() - journal->grace_ms;
}

/* Of a commit under way. Its age does not tell: the clock may have been put
 * forward since, or the machine have slept. Asked before the list is looked into:
 * a batch is in it before its transaction ends. */
static bool is_under_way(const char *key)
{
    const char *slash = strrchr(key, '/');
    return iceberg_tx_is_open(strtoll(slash ? slash + 1 : key, NULL, 10));
}

/* Objects of batches that are rolled, or that no snapshot ever named. Those of
 * datasets that are gone stay: nothing tells any more what they are. */
static enum tn_code sweep_batch(void *context, const struct store_object *object, struct tn_error *err)
{
    struct journal *journal = context;
    if (!is_old(journal, object) || is_under_way(object->key) || journal_tail_has_key(journal, object->key))
        return TN_OK;
    const char *name = object->key + strlen(JOURNAL_BATCHES);
    TN_AUTO_FREE char *dataset = tn_strndup(name, strcspn(name, "/"));
    ICEBERG_AUTO_METADATA *metadata = NULL;
    if (catalog_load(journal->catalog, dataset, &metadata, NULL) != TN_OK)
        return TN_OK;
    return store_delete(journal->store, object->key, err);
}

/* Notes that are rolled. */
static enum tn_code sweep_note(void *context, const struct store_object *object, struct tn_error *err)
{
    struct journal *journal = context;
    if (!is_old(journal, object))
        return TN_OK;
    pthread_rwlock_wrlock(&journal->noting);
    enum tn_code code =
        journal_tail_has_key(journal, object->key) ? TN_OK : store_delete(journal->store, object->key, err);
    pthread_rwlock_unlock(&journal->noting);
    return code;
}

static enum tn_code sweep(struct journal *journal, struct tn_error *err)
{
    TN_TRY(store_list(journal->store, JOURNAL_BATCHES, sweep_batch, journal, err));
    TN_TRY(store_list(journal->store, JOURNAL_FOREIGN, sweep_note, journal, err));
    return iceberg_table_orphans(&journal->table, journal->grace_ms, true, NULL, NULL, err);
}

static enum tn_code roll_locked(struct journal *journal, bool force, struct tn_error *err)
{
    TN_TRY(journal_tail_load(journal, err));
    TN_TRY(settle_doubt(journal, err));
    const struct journal_state state = journal_state(journal);
    if (state.batches == 0 || (!force && state.batches < ROLL_BATCHES && state.events < ROLL_EVENTS))
        return TN_OK;
    int64_t before = journal->rolled_number;
    TN_TRY(roll_all(journal, err));
    TN_TRY(shrink_tail(journal, before, err));
    return sweep(journal, err);
}

enum tn_code journal_roll(struct journal *journal, bool force, struct tn_error *err)
{
    pthread_mutex_lock(&journal->working);
    enum tn_code code = roll_locked(journal, force, err);
    pthread_mutex_unlock(&journal->working);
    if (code != TN_OK)
        tn_error_context(err, "rolling the journal");
    return code;
}
