/* The lake's journal: opened, asked, closed. */
#include "journal/journal_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRACE_MS INT64_C(600000)

enum tn_code journal_open(struct store *store, struct catalog *catalog, struct engine *engine, struct journal **ret,
                          struct tn_error *err)
{
    (void)err;
    struct journal *journal = tn_calloc(1, sizeof *journal);
    journal->store = store;
    journal->catalog = catalog;
    journal->engine = engine;
    journal->table = (struct iceberg_table){.store = store, .prefix = JOURNAL_TABLE};
    journal->grace_ms = GRACE_MS;
    pthread_mutex_init(&journal->moving, NULL);
    pthread_mutex_init(&journal->telling, NULL);
    pthread_rwlock_init(&journal->noting, NULL);
    pthread_mutex_init(&journal->working, NULL);
    pthread_mutex_init(&journal->mutex, NULL);
    *ret = journal;
    return TN_OK;
}

void journal_shorten_grace(struct journal *journal, int64_t grace_ms)
{
    journal->grace_ms = TN_MIN(journal->grace_ms, grace_ms);
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    for (size_t i = 0; i < journal->tail_count; i++) {
        free(journal->tail[i].key);
        journal_kept_free(journal->tail[i].kept);
    }
    free(journal->tail);
    free(journal->marks);
    free(journal->looked);
    for (size_t i = 0; i < journal->doubt_count; i++)
        free(journal->doubts[i]);
    free(journal->doubts);
    iceberg_metadata_unref(journal->events);
    pthread_mutex_destroy(&journal->mutex);
    pthread_mutex_destroy(&journal->working);
    pthread_mutex_destroy(&journal->telling);
    pthread_rwlock_destroy(&journal->noting);
    pthread_mutex_destroy(&journal->moving);
    free(journal);
}

/* ---- reading ----------------------------------------------------------------- */

static enum tn_code put_rolled(struct journal *journal, struct tn_buf *out, struct tn_error *err)
{
    ICEBERG_AUTO_PLAN *plan = NULL;
    if (journal->events)
        TN_TRY(journal_plan(journal, &plan, err));
    if (!plan || plan->file_count == 0)
        return TN_OK;
    tn_buf_puts(out, "SELECT ");
    journal_put_answer(out);
    tn_buf_puts(out, " FROM read_parquet(");
    TN_TRY(journal_put_files(journal, plan, out, err));
    tn_buf_puts(out, ") UNION ALL ");
    return TN_OK;
}

/* Rolled events and those of the tail table, whatever is loaded by now. */
static enum tn_code put_relation(struct journal *journal, struct tn_buf *out, struct tn_error *err)
{
    TN_TRY(put_rolled(journal, out, err));
    tn_buf_puts(out, "SELECT ");
    journal_put_answer(out);
    tn_buf_printf(out, " FROM " TAIL_TABLE " WHERE batch > %" PRId64 " AND batch <= %" PRId64, journal->rolled_number,
                  journal->last_number);
    return TN_OK;
}

/* ---- for other engines ------------------------------------------------------- */

/* A file that is there as long as somebody reads it. */
struct scratch {
    struct engine_hold hold;
    char *path;
};

static void free_scratch(struct engine_hold *hold)
{
    struct scratch *scratch = (struct scratch *)hold;
    (void)unlink(scratch->path);
    free(scratch->path);
    free(scratch);
}

/* The tail is a table of the journal's engine; another one reads a copy of it. */
static enum tn_code copy_tail(struct journal *journal, struct engine_hold **ret_hold, struct tn_buf *out,
                              struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_BUF sql = {0};
    char *path;
    TN_TRY(store_stage_path(journal->store, arena, ".parquet", &path, err));
    tn_buf_puts(&sql, "SELECT ");
    journal_put_columns(&sql, "");
    tn_buf_printf(&sql, " FROM " TAIL_TABLE " WHERE batch > %" PRId64 " AND batch <= %" PRId64,
                  journal->rolled_number, journal->last_number);
    const struct engine_copy copy = {.select = sql.data, .local_path = path};
    struct engine_file_stats written = {0};
    TN_TRY(engine_copy_parquet(journal->engine, &copy, arena, &written, err));
    struct scratch *scratch = tn_calloc(1, sizeof *scratch);
    *scratch = (struct scratch){.hold = {1, free_scratch}, .path = tn_strdup(path)};
    *ret_hold = &scratch->hold;
    tn_buf_puts(out, "SELECT ");
    journal_put_answer(out);
    tn_buf_puts(out, " FROM read_parquet(");
    tn_buf_put_sql_string(out, path);
    tn_buf_putc(out, ')');
    return TN_OK;
}

static enum tn_code put_foreign_relation(struct journal *journal, struct engine_hold **ret_hold, struct tn_buf *out,
                                         struct tn_error *err)
{
    TN_TRY(put_rolled(journal, out, err));
    return copy_tail(journal, ret_hold, out, err);
}

static enum tn_code relation_text(struct journal *journal, struct engine *reader, struct tn_arena *arena,
                                  struct engine_relation *ret, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    pthread_mutex_lock(&journal->working);
    enum tn_code code = journal_tail_load(journal, err);
    if (code == TN_OK)
        code = reader == journal->engine ? put_relation(journal, &text, err)
                                         : put_foreign_relation(journal, &ret->hold, &text, err);
    ret->version = tn_arena_printf(arena, "%" PRId64 "-%" PRId64, journal->rolled_number, journal->last_number);
    pthread_mutex_unlock(&journal->working);
    if (code == TN_OK)
        ret->definition = tn_arena_strndup(arena, text.data, text.len);
    return code;
}

struct engine *journal_engine(const struct journal *journal)
{
    return journal->engine;
}

enum tn_code journal_relation(struct journal *journal, struct engine *reader, const struct engine_table_ref *ref,
                              struct tn_arena *arena, struct engine_relation *ret, struct tn_error *err)
{
    *ret = (struct engine_relation){0};
    if (ref->at == ENGINE_AT_VERSION || ref->at == ENGINE_AT_NAME) {
        tn_fail(err, TN_ESNAPSHOT, "the journal has no snapshots and no tags of its own");
        tn_error_hint(err, "filter by snapshot_id, or name a time: journal AT (TIMESTAMP => ...)");
        return TN_ESNAPSHOT;
    }
    enum tn_code code = relation_text(journal, reader, arena, ret, err);
    if (code != TN_OK) {
        tn_error_context(err, "the journal");
        return code;
    }
    if (ref->at == ENGINE_AT_TIMESTAMP) {
        ret->definition = tn_arena_printf(arena, "SELECT * FROM (%s) WHERE ts <= make_timestamptz(%" PRId64 ")",
                                          ret->definition, ref->at_timestamp_us);
        ret->version = tn_arena_printf(arena, "%s@%" PRId64, ret->version, ref->at_timestamp_us);
    }
    return TN_OK;
}

struct reader {
    journal_row_fn *each;
    void *context;
    struct tn_arena *arena; /* of the row that is given */
    int64_t away; /* behind the commit of this sequence number another state became the current one; 0: none */
};

static enum tn_code went_back(struct tn_error *err)
{
    (void)tn_fail(err, TN_ESNAPSHOT,
                  "that moment is not kept, and somebody went back to an older state just before it");
    tn_error_hint(err, "ask for a moment whose snapshot is kept");
    return TN_ESNAPSHOT;
}

/* Of several moves behind one commit the last one counts: who comes back to that
 * commit goes on from it, as if nothing had been. */
static void take_move(struct reader *reader, int64_t sequence, const char *target)
{
    reader->away = target && strtoll(target, NULL, 10) == sequence ? 0 : sequence;
}

/* Sequence and five texts, as SELECTed below. Of a rollback the last one is the
 * sequence number of the state that it made current. */
static enum tn_code give_row(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct reader *reader = context;
    const char *texts[5];
    tn_arena_reset(reader->arena);
    for (size_t i = 0; i < TN_COUNT(texts); i++)
        texts[i] = cells[i + 1].null
                       ? NULL
                       : tn_arena_memdup(reader->arena, cells[i + 1].text.data, cells[i + 1].text.length);
    if (tn_streq(texts[1], "rollback")) {
        take_move(reader, cells[0].integer, texts[4]);
        return TN_OK;
    }
    if (reader->away)
        return went_back(err);
    const struct journal_row row = {.sequence = cells[0].integer,
                                    .entity = texts[0],
                                    .operation = texts[1],
                                    .field = texts[2],
                                    .old_value = texts[3],
                                    .new_value = texts[4],
                                    .entity_length = texts[0] ? cells[1].text.length : 0};
    return reader->each(reader->context, &row, err);
}

enum tn_code journal_events(struct journal *journal, const char *table_uuid, int64_t from, int64_t to,
                            journal_row_fn *each, void *context, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct engine_relation relation = {0};
    TN_AUTO_BUF sql = {0};
    TN_TRY(relation_text(journal, journal->engine, arena, &relation, err));
    tn_buf_printf(&sql,
                  "SELECT sequence::BIGINT, entity, operation, field, old_value, CASE operation WHEN 'rollback' THEN "
                  "json_extract_string(new_value, '/sequence') ELSE new_value END FROM (%s) WHERE "
                  "CASE WHEN operation = 'rollback' THEN sequence >= %" PRId64 " AND sequence < %" PRId64
                  " ELSE snapshot_id IS NOT NULL AND sequence > %" PRId64 " AND sequence <= %" PRId64
                  " END AND table_uuid = ",
                  relation.definition, from, to, from, to);
    tn_buf_put_sql_string(&sql, table_uuid);
    tn_buf_puts(&sql, " ORDER BY sequence, operation = 'rollback', ts, ordinal");
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *row = tn_arena_new();
    struct reader reader = {.each = each, .context = context, .arena = row};
    const struct engine_select select = {.sql = sql.data};
    TN_TRY(engine_select(journal->engine, &select, NULL, NULL, NULL, give_row, &reader, err));
    return reader.away ? went_back(err) : TN_OK;
}

static bool take_place(void *context, size_t count, const char *const *values)
{
    struct journal_place *place = context;
    (void)count;
    *place = (struct journal_place){.sequence = strtoll(values[0], NULL, 10), .back = values[1] != NULL};
    if (place->back)
        place->sequence = strtoll(values[1], NULL, 10);
    return true;
}

/* Events of commits alone have a place: a new description is none. */
enum tn_code journal_moment(struct journal *journal, const char *table_uuid, int64_t time_us, int64_t snapshot_id,
                            struct journal_place *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct engine_relation relation = {0};
    TN_AUTO_BUF sql = {0};
    struct journal_place place = {0};
    TN_TRY(relation_text(journal, journal->engine, arena, &relation, err));
    tn_buf_printf(&sql,
                  "SELECT sequence, CASE operation WHEN 'rollback' THEN json_extract_string(new_value, '/sequence') "
                  "END FROM (%s) WHERE (snapshot_id IS NOT NULL OR operation = 'rollback') AND ",
                  relation.definition);
    if (snapshot_id)
        tn_buf_printf(&sql, "snapshot_id = %" PRId64, snapshot_id);
    else
        tn_buf_printf(&sql, "ts <= make_timestamptz(%" PRId64 ") AND source IS DISTINCT FROM '" JOURNAL_BRANCH "'",
                      time_us);
    tn_buf_puts(&sql, " AND table_uuid = ");
    tn_buf_put_sql_string(&sql, table_uuid);
    /* As the table's own log is read: of what had begun by then, what came last. */
    tn_buf_puts(&sql, " ORDER BY sequence DESC, operation = 'rollback' DESC, ts DESC, ordinal DESC LIMIT 1");
    TN_TRY(engine_run(journal->engine, sql.data, take_place, &place, err));
    if (place.sequence == 0)
        return tn_fail(err, TN_ENOTFOUND, "the journal tells nothing of that moment");
    *ret = place;
    return TN_OK;
}

/* ---- foreign commits ----------------------------------------------------------- */

static enum tn_code add_foreign(struct journal *journal, struct journal_batch *batch,
                                const struct iceberg_metadata *metadata, const struct iceberg_snapshot *snapshot,
                                struct tn_error *err)
{
    if (journal_has(journal, metadata, snapshot))
        return TN_OK;
    TN_AUTO_BUF object = {0};
    TN_TRY(journal_batch_encode(batch, metadata->uuid, snapshot->id, snapshot->sequence_number,
                                snapshot->timestamp_ms * 1000, &object, err));
    TN_AUTO_FREE char *key = tn_asprintf(JOURNAL_FOREIGN "%s/%" PRId64 "-%" PRId64 ".parquet", metadata->uuid,
                                         snapshot->sequence_number, snapshot->id);
    struct tail_batch entry = {
        .key = TN_TAKE(key),
        .sequence = snapshot->sequence_number,
        .snapshot_id = snapshot->id,
        .timestamp_ms = snapshot->timestamp_ms,
        .events = journal_batch_count(batch),
    };
    snprintf(entry.uuid, sizeof entry.uuid, "%s", metadata->uuid);
    pthread_rwlock_rdlock(&journal->noting);
    enum tn_code code = store_create(journal->store, entry.key, object.data, object.len, err);
    if (code == TN_OK)
        journal_tail_add(journal, &entry);
    else
        free(entry.key);
    pthread_rwlock_unlock(&journal->noting);
    return code == TN_EEXISTS ? TN_OK : code;
}

enum tn_code journal_add_foreign(struct journal *journal, struct journal_batch *batch,
                                 const struct iceberg_metadata *metadata, const struct iceberg_snapshot *snapshot,
                                 struct tn_error *err)
{
    if (journal_batch_count(batch) == 0)
        return TN_OK;
    pthread_mutex_lock(&journal->telling);
    enum tn_code code = add_foreign(journal, batch, metadata, snapshot, err);
    pthread_mutex_unlock(&journal->telling);
    return code;
}

bool journal_has(struct journal *journal, const struct iceberg_metadata *metadata,
                 const struct iceberg_snapshot *snapshot)
{
    if (iceberg_snapshot_summary(snapshot, JOURNAL_S_BATCH))
        return true;
    bool has = false;
    pthread_mutex_lock(&journal->working);
    enum tn_code code = journal_tail_load(journal, NULL);
    if (code == TN_OK)
        has = journal_tail_has(journal, metadata->uuid, snapshot->id);
    if (code == TN_OK && !has)
        code = journal_events_tell(journal, metadata->uuid, snapshot->id, &has, NULL);
    pthread_mutex_unlock(&journal->working);
    return code == TN_OK && has;
}

struct rolled_mark *journal_looked_mark(struct journal *journal, const char *table_uuid)
{
    for (size_t i = 0; i < journal->looked_count; i++)
        if (tn_streq(journal->looked[i].uuid, table_uuid))
            return &journal->looked[i];
    TN_GROW(journal->looked, journal->looked_count, journal->looked_capacity);
    struct rolled_mark *mark = &journal->looked[journal->looked_count++];
    *mark = (struct rolled_mark){0};
    snprintf(mark->uuid, sizeof mark->uuid, "%s", table_uuid);
    return mark;
}

int64_t journal_looked_to(struct journal *journal, const char *table_uuid)
{
    pthread_mutex_lock(&journal->mutex);
    int64_t sequence = journal_looked_mark(journal, table_uuid)->sequence;
    pthread_mutex_unlock(&journal->mutex);
    return sequence;
}

void journal_set_looked(struct journal *journal, const char *table_uuid, int64_t sequence)
{
    pthread_mutex_lock(&journal->mutex);
    struct rolled_mark *mark = journal_looked_mark(journal, table_uuid);
    mark->sequence = TN_MAX(mark->sequence, sequence);
    pthread_mutex_unlock(&journal->mutex);
}

int64_t journal_rolled_to(struct journal *journal, const char *table_uuid)
{
    return journal_mark(journal, table_uuid);
}

struct journal_state journal_state(struct journal *journal)
{
    struct journal_state state = {0};
    pthread_mutex_lock(&journal->mutex);
    state.batches = journal->tail_count;
    for (size_t i = 0; i < journal->tail_count; i++)
        state.events += journal->tail[i].events;
    const struct iceberg_snapshot *current = journal->events ? journal->events->current : NULL;
    if (current) {
        state.rolled_events = (uint64_t)iceberg_snapshot_count(current, "total-records", 0);
        state.rolled_files = (uint64_t)iceberg_snapshot_count(current, "total-data-files", 0);
    }
    pthread_mutex_unlock(&journal->mutex);
    return state;
}
