/* Events that commit with their rows, and stay. */
#include "journal/journal_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char folder[64];
    struct store *store;
    struct catalog *catalog;
    struct engine *engine;
    struct journal *journal;
    struct tn_arena *arena;
};

static struct tn_error err;

static void must(enum tn_code code)
{
    if (code != TN_OK)
        fail_msg("%s: %s (%s)", tn_code_word(code), err.detail, err.hint);
}

static void open_lake(struct fixture *f)
{
    must(tn_random_init(&err));
    must(store_open_local(f->folder, &f->store, &err));
    must(catalog_open(f->store, &f->catalog, &err));
    const char *folders[] = {f->folder};
    const struct engine_options options = {
        .threads = 2, .temp_folder = "", .readable_folders = folders, .readable_count = 1};
    must(engine_open(&options, &f->engine, &err));
    must(journal_open(f->store, f->catalog, f->engine, &f->journal, &err));
}

static void close_lake(struct fixture *f)
{
    journal_close(f->journal);
    engine_close(f->engine);
    catalog_close(f->catalog);
    store_close(f->store);
}

static void reopen(struct fixture *f)
{
    close_lake(f);
    open_lake(f);
}

static int set_up(void **state)
{
    struct fixture *f = tn_calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/tarn-journal-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->arena = tn_arena_new();
    open_lake(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close_lake(f);
    tn_arena_free(f->arena);
    assert_int_equal(tn_remove_tree(f->folder, NULL), TN_OK);
    free(f);
    return 0;
}

/* ---- a table with a row more in each commit ---------------------------------- */

static const struct iceberg_type long_type = {.kind = ICEBERG_LONG};
static const struct iceberg_field id_field = {.id = 1, .name = "id", .type = &long_type};
static const struct iceberg_schema id_schema = {.fields = &id_field, .field_count = 1};

static void put_row(struct fixture *f, struct iceberg_tx *tx, uint8_t id)
{
    const uint8_t bytes[8] = {id};
    const struct iceberg_bytes cell = {bytes, sizeof bytes};
    struct iceberg_file file;
    const char *key;
    TN_AUTO_BUF out = {0};
    must(iceberg_small_write(f->arena, &id_schema, &cell, 1, &out, &file, &err));
    file.path = iceberg_tx_new_file(tx, f->arena, "-t.parquet", &key);
    must(store_batch_put(iceberg_tx_batch(tx), key, out.data, out.len, &err));
    must(iceberg_tx_add_file(tx, &file, &err));
}

static void add_insert(struct journal_batch *batch, const char *entity)
{
    const struct journal_event event = {
        .entity = entity,
        .entity_length = strlen(entity),
        .operation = "insert",
        .new_value = "{\"id\":1}",
        .new_length = 8,
        .actor = "tester",
        .source = "api",
        .reason = "why not",
    };
    journal_batch_add(batch, &event);
}

/* One commit with `events` events; with batch NULL a foreign one, without. */
static struct iceberg_metadata *commit(struct fixture *f, const char *name, struct journal_batch *batch, uint8_t id)
{
    struct iceberg_table table = catalog_table(f->catalog, f->arena, name);
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(f->catalog, name);
    ICEBERG_AUTO_METADATA *base = NULL;
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = NULL;
    must(catalog_load_locked(f->catalog, name, &base, &err));
    if (base)
        tx = iceberg_tx_new(&table, base);
    else
        must(iceberg_tx_new_table(&table, &id_schema, &tx, &err));
    put_row(f, tx, id);
    if (batch)
        must(journal_batch_attach(batch, tx, true, &err));
    struct iceberg_metadata *done = NULL;
    must(iceberg_tx_commit(tx, &done, &err));
    catalog_publish(f->catalog, name, done);
    if (batch)
        journal_batch_committed(f->journal, batch, done);
    return done;
}

/* As after an fsync that failed behind the pointer: nobody told the journal more
 * than that it may be there, or not even that. */
static void commit_untold(struct fixture *f, const char *name, const char *entity, bool doubted)
{
    struct journal *journal = f->journal;
    TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = journal_batch_new(name);
    add_insert(batch, entity);
    f->journal = NULL;
    ICEBERG_AUTO_METADATA *done = commit(f, name, batch, 1);
    f->journal = journal;
    if (doubted)
        journal_batch_committed(journal, batch, NULL);
}

static int64_t commit_insert(struct fixture *f, const char *name, const char *entity)
{
    TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = journal_batch_new(name);
    add_insert(batch, entity);
    ICEBERG_AUTO_METADATA *done = commit(f, name, batch, 1);
    return done->current->sequence_number;
}

/* ---- asking -------------------------------------------------------------------- */

static enum tn_code resolve(void *context, const struct engine_table_ref *ref, struct tn_arena *arena,
                            struct engine_relation *ret, struct tn_error *error)
{
    struct fixture *f = context;
    return journal_relation(f->journal, f->engine, ref, arena, ret, error);
}

static const char *ask(struct fixture *f, const char *sql)
{
    const struct engine_query_options options = {
        .sql = sql, .sql_length = strlen(sql), .resolver = {.context = f, .resolve = resolve}};
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    must(engine_query_start(f->engine, &options, &query, &err));
    TN_CLEANUP(engine_writer_free_p) struct engine_writer *writer = engine_writer_new(query, ENGINE_JSON_ROWS);
    TN_AUTO_BUF out = {0};
    bool done = false;
    while (!done)
        must(engine_writer_fill(writer, 1 << 16, &out, &done, &err));
    return tn_arena_strndup(f->arena, out.data ? out.data : "", out.len);
}

#define COUNT "SELECT count(*), count(DISTINCT event_id), count(DISTINCT sequence) FROM journal"

/* What was committed a moment ago comes from memory, after a restart from the
 * batches' files; a batch of very many events always from its file. */
static void test_kept_events_say_what_their_files_say(void **state)
{
    struct fixture *f = *state;
    static const char all[] = "SELECT * FROM journal ORDER BY dataset, sequence, ordinal";
    for (size_t i = 0; i < 12; i++) {
        TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = journal_batch_new(i % 2 ? "people" : "calls");
        for (size_t event = 0; event < (i == 5 ? 1500 : 1 + i % 3); event++)
            add_insert(batch, tn_arena_printf(f->arena, "k%zu-%zu", i, event));
        ICEBERG_AUTO_METADATA *done = commit(f, i % 2 ? "people" : "calls", batch, 1);
    }
    const char *kept = ask(f, all);
    reopen(f);
    const char *read = ask(f, all);
    assert_string_equal(kept, read);
    assert_string_equal(ask(f, COUNT), "[1521,1521,6]");
}

static void test_visible_at_once_and_after_restart(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(ask(f, COUNT), "[0,0,0]");
    commit_insert(f, "people", "a");
    commit_insert(f, "people", "b");
    commit_insert(f, "calls", "c");
    assert_string_equal(ask(f, COUNT), "[3,3,2]");
    assert_string_equal(ask(f,
                            "SELECT dataset, entity, operation, field, new_value, actor, reason, sequence, ordinal "
                            "FROM journal WHERE entity = 'b'"),
                        "[\"people\",\"b\",\"insert\",null,\"{\\\"id\\\":1}\",\"tester\",\"why not\",2,0]");
    reopen(f);
    assert_string_equal(ask(f, COUNT), "[3,3,2]");
    commit_insert(f, "people", "d");
    assert_string_equal(ask(f, COUNT), "[4,4,3]");
}

/* A batch whose commit never came is no evidence of anything. */
static void test_without_commit_nothing(void **state)
{
    struct fixture *f = *state;
    commit_insert(f, "people", "a");
    {
        struct iceberg_table table = catalog_table(f->catalog, f->arena, "people");
        ICEBERG_AUTO_METADATA *base = NULL;
        must(catalog_load(f->catalog, "people", &base, &err));
        TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&table, base);
        TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = journal_batch_new("people");
        add_insert(batch, "never");
        put_row(f, tx, 9);
        must(journal_batch_attach(batch, tx, true, &err));
        must(iceberg_tx_prepare(tx, &err)); /* durable, and not published */
        assert_string_equal(ask(f, COUNT), "[1,1,1]");
    }
    must(store_put(f->store, "journal/batches/people/1-left-by-a-crash.parquet", "half", 4, &err));
    reopen(f);
    assert_string_equal(ask(f, "SELECT count(*) FROM journal WHERE entity = 'never'"), "[0]");
    must(journal_roll(f->journal, true, &err));
    assert_string_equal(ask(f, COUNT), "[1,1,1]");
}

/* A batch that is as old as can be while its commit is under way, since the clock was put forward. */
static void test_what_is_under_way_is_not_swept(void **state)
{
    struct fixture *f = *state;
    struct iceberg_table table = catalog_table(f->catalog, f->arena, "people");
    commit_insert(f, "people", "a");
    journal_shorten_grace(f->journal, 0);
    for (int published = 1; published >= 0; published--) {
        TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = journal_batch_new("people");
        bool there = false;
        {
            ICEBERG_AUTO_METADATA *base = NULL, *done = NULL;
            must(catalog_load(f->catalog, "people", &base, &err));
            TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&table, base);
            add_insert(batch, "b");
            put_row(f, tx, 9);
            must(journal_batch_attach(batch, tx, true, &err));
            must(iceberg_tx_prepare(tx, &err));
            commit_insert(f, "calls", "c");
            usleep(20000); /* the files' clock is a tick behind */
            must(journal_roll(f->journal, true, &err));
            must(store_exists(f->store, journal_batch_key(batch), &there, &err));
            assert_true(there);
            if (published) {
                must(iceberg_tx_publish(tx, &done, &err));
                catalog_publish(f->catalog, "people", done);
                journal_batch_committed(f->journal, batch, done);
            }
        }
        assert_string_equal(ask(f, "SELECT count(*) FROM journal WHERE entity = 'b'"), "[1]");
        commit_insert(f, "calls", "d");
        must(journal_roll(f->journal, true, &err));
        must(store_exists(f->store, journal_batch_key(batch), &there, &err));
        assert_false(there); /* rolled, or nobody's */
        assert_string_equal(ask(f, "SELECT count(*) FROM journal WHERE entity = 'b'"), "[1]");
    }
}

static void test_commits_that_nobody_told_of(void **state)
{
    struct fixture *f = *state;
    commit_insert(f, "people", "a");
    assert_string_equal(ask(f, COUNT), "[1,1,1]");
    commit_untold(f, "people", "b", true);
    assert_string_equal(ask(f, COUNT), "[2,2,2]");
    commit_untold(f, "people", "c", false);
    commit_insert(f, "people", "d"); /* found with what follows it */
    must(journal_roll(f->journal, true, &err));
    assert_string_equal(ask(f, COUNT), "[4,4,4]");
    commit_untold(f, "people", "e", false);
    commit_insert(f, "people", "f");
    assert_string_equal(ask(f, COUNT), "[6,6,6]");
    must(journal_roll(f->journal, true, &err));
    reopen(f);
    assert_string_equal(ask(f, COUNT), "[6,6,6]"); /* the mark stands at the newest, not at what came last */
    commit_untold(f, "calls", "g", true);
    must(journal_roll(f->journal, true, &err));
    reopen(f);
    assert_string_equal(ask(f, COUNT), "[7,7,6]");
}

static void test_rolling_drops_and_doubles_nothing(void **state)
{
    struct fixture *f = *state;
    char entity[16];
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 5; i++) {
            snprintf(entity, sizeof entity, "e%u", round * 5 + i);
            commit_insert(f, i % 2 ? "people" : "calls", entity);
        }
        must(journal_roll(f->journal, true, &err));
        if (round % 7 == 3)
            reopen(f);
        char want[32];
        snprintf(want, sizeof want, "[%u]", (round + 1) * 5);
        assert_string_equal(ask(f, "SELECT count(DISTINCT entity) FROM journal"), want);
        assert_string_equal(ask(f, "SELECT count(*) FROM journal"), want);
    }
    const struct journal_state state_now = journal_state(f->journal);
    assert_int_equal(state_now.batches, 0);
    assert_int_equal(state_now.rolled_events, 100);
    assert_true(state_now.rolled_files < 10); /* merged on the way */
    ICEBERG_AUTO_METADATA *people = NULL;
    must(catalog_load(f->catalog, "people", &people, &err));
    assert_int_equal(journal_rolled_to(f->journal, people->uuid), people->last_sequence_number);
    assert_string_equal(ask(f, "SELECT min(sequence), max(sequence), count(*) FROM journal WHERE dataset = 'people'"),
                        "[1,40,40]");
}

/* Two megabytes of events, rolled; what the engine holds afterwards. */
static uint64_t roll_large(struct fixture *f)
{
    TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = journal_batch_new("people");
    char value[10001], entity[16];
    for (unsigned i = 0; i < 200; i++) {
        snprintf(entity, sizeof entity, "e%u", i);
        value[0] = '"';
        memset(value + 1, (int)('a' + i % 26), sizeof value - 3);
        memcpy(value + sizeof value - 2, "\"", 2);
        const struct journal_event event = {.entity = entity,
                                            .entity_length = strlen(entity),
                                            .operation = "insert",
                                            .new_value = value,
                                            .new_length = strlen(value),
                                            .actor = "tester",
                                            .source = "api"};
        journal_batch_add(batch, &event);
    }
    ICEBERG_AUTO_METADATA *done = commit(f, "people", batch, 1);
    assert_non_null(done);
    must(journal_roll(f->journal, true, &err));
    struct engine_usage usage = {0};
    engine_usage(f->engine, &usage);
    return usage.memory_bytes;
}

static void test_rolled_events_take_no_memory(void **state)
{
    struct fixture *f = *state;
    uint64_t first = 0, last = 0;
    for (unsigned round = 0; round < 4; round++) /* two of them are kept for readers */
        first = roll_large(f);
    for (unsigned round = 0; round < 10; round++)
        last = roll_large(f);
    assert_true(last < first + ((uint64_t)6 << 20)); /* and not 20 MB */
    assert_string_equal(ask(f, "SELECT count(*) FROM journal"), "[2800]");
}

static void test_a_reader_keeps_what_it_began_with(void **state)
{
    struct fixture *f = *state;
    commit_insert(f, "people", "a");
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    const struct engine_table_ref ref = {.name = "journal"};
    struct engine_relation relation;
    must(journal_relation(f->journal, f->engine, &ref, arena, &relation, &err));
    commit_insert(f, "people", "b");
    must(journal_roll(f->journal, true, &err));
    const char *sql = tn_arena_printf(arena, "SELECT 1 / (count(*) = 1)::INTEGER FROM (%s)", relation.definition);
    must(engine_run(f->engine, sql, NULL, NULL, &err));
}

static enum tn_code collect(void *context, const struct journal_row *row, struct tn_error *error)
{
    (void)error;
    tn_buf_printf(context, "%d%s ", (int)row->sequence, row->entity ? row->entity : "-");
    return TN_OK;
}

static void test_events_in_order(void **state)
{
    struct fixture *f = *state;
    commit_insert(f, "people", "z");
    commit_insert(f, "people", "a");
    must(journal_roll(f->journal, true, &err));
    commit_insert(f, "people", "m");
    commit_insert(f, "people", "b");
    ICEBERG_AUTO_METADATA *people = NULL;
    must(catalog_load(f->catalog, "people", &people, &err));
    TN_AUTO_BUF out = {0};
    must(journal_events(f->journal, people->uuid, 1, 3, collect, &out, &err));
    assert_string_equal(out.data, "2a 3m ");
    tn_buf_clear(&out);
    must(journal_events(f->journal, people->uuid, 0, 99, collect, &out, &err));
    assert_string_equal(out.data, "1z 2a 3m 4b ");
}

static void test_foreign_once(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *done = commit(f, "people", NULL, 1);
    assert_false(journal_has(f->journal, done, done->current));
    for (unsigned i = 0; i < 3; i++) {
        TN_CLEANUP(journal_batch_free_p) struct journal_batch *batch = journal_batch_new("people");
        add_insert(batch, "theirs");
        must(journal_add_foreign(f->journal, batch, done, done->current, &err));
        assert_true(journal_has(f->journal, done, done->current));
        assert_string_equal(ask(f, COUNT), "[1,1,1]");
        if (i == 0)
            must(journal_roll(f->journal, true, &err));
        reopen(f);
    }
    assert_string_equal(ask(f, "SELECT entity, sequence FROM journal"), "[\"theirs\",1]");
}

static void test_moments(void **state)
{
    struct fixture *f = *state;
    char before[TN_TIME_TEXT], sql[200];
    commit_insert(f, "people", "a");
    usleep(2000);
    tn_time_format(tn_now_us(), before);
    usleep(2000);
    commit_insert(f, "people", "b");
    snprintf(sql, sizeof sql, "SELECT entity FROM journal AT (TIMESTAMP => '%s')", before);
    assert_string_equal(ask(f, sql), "[\"a\"]");
}

/* A version of a table whose log goes on with these moves of main. */
static struct iceberg_metadata moved(const struct iceberg_metadata *base, struct iceberg_log_entry log[8],
                                     const size_t *targets, size_t count)
{
    struct iceberg_metadata next = *base;
    int64_t last_ms = base->snapshot_log[base->snapshot_log_count - 1].timestamp_ms;
    memcpy(log, base->snapshot_log, base->snapshot_log_count * sizeof *log);
    for (size_t i = 0; i < count; i++)
        log[next.snapshot_log_count++] = (struct iceberg_log_entry){.timestamp_ms = last_ms + 1 + (int64_t)i,
                                                                    .snapshot_id = base->snapshots[targets[i]]->id};
    next.snapshot_log = log;
    return next;
}

/* Replay crosses moves that end where they began, and no others; each is noted once. */
static void test_moves_of_main(void **state)
{
    struct fixture *f = *state;
    struct iceberg_log_entry log[8];
    struct journal_place place;
    TN_AUTO_BUF out = {0};
    ICEBERG_AUTO_METADATA *people = NULL;
    for (int i = 0; i < 4; i++)
        commit_insert(f, "people", i % 2 ? "a" : "b");
    must(catalog_load(f->catalog, "people", &people, &err));
    must(journal_note_moves(f->journal, "people", people, NULL, &err));
    assert_string_equal(ask(f, "SELECT count(*) FROM journal WHERE operation = 'rollback'"), "[0]");
    const struct iceberg_metadata there = moved(people, log, (const size_t[]){1}, 1);
    for (int i = 0; i < 3; i++) {
        must(journal_note_moves(f->journal, "people", &there, NULL, &err));
        if (i == 0)
            must(journal_roll(f->journal, true, &err));
        reopen(f);
    }
    assert_string_equal(ask(f, "SELECT count(*) FROM journal WHERE operation = 'rollback'"), "[1]");
    assert_int_equal(journal_events(f->journal, people->uuid, 2, 5, collect, &out, &err), TN_ESNAPSHOT);
    must(journal_moment(f->journal, people->uuid, log[4].timestamp_ms * 1000, 0, &place, &err));
    assert_true(place.back && place.sequence == 2);
    const struct iceberg_metadata back = moved(people, log, (const size_t[]){1, 3}, 2);
    struct journal_mover ann = {
        .dataset = "people", .snapshot_id = people->snapshots[3]->id, .by = {.actor = "ann", .request_id = "r1"}};
    struct journal_mover bob = {
        .dataset = "people", .snapshot_id = people->snapshots[1]->id, .by = {.actor = "bob", .request_id = "r2"}};
    journal_moving(f->journal, &ann);
    journal_moving(f->journal, &bob);
    must(journal_note_moves(f->journal, "people", &back, NULL, &err)); /* by upkeep, which was first */
    must(journal_note_moves(f->journal, "people", &back, &ann.by, &err));
    journal_moved(f->journal, &ann);
    journal_moved(f->journal, &bob);
    assert_string_equal(ask(f, "SELECT actor, request_id FROM journal WHERE operation = 'rollback' ORDER BY ts"),
                        "[\"iceberg client\",null],[\"ann\",\"r1\"]");
    assert_string_equal(ask(f, "SELECT count(*) FROM journal WHERE operation = 'rollback'"), "[2]");
    tn_buf_clear(&out);
    must(journal_events(f->journal, people->uuid, 2, 5, collect, &out, &err));
    assert_string_equal(out.data, "3b 4a ");
    must(journal_moment(f->journal, people->uuid, log[5].timestamp_ms * 1000, 0, &place, &err));
    assert_true(place.back && place.sequence == 4);
}

/* What a process that died had announced is noted when it was done, once, and forgotten when not. */
static void test_announced(void **state)
{
    struct fixture *f = *state;
    commit_insert(f, "people", "a");
    commit_insert(f, "places", "b");
    ICEBERG_AUTO_METADATA *people = NULL, *places = NULL;
    must(catalog_load(f->catalog, "people", &people, &err));
    must(catalog_load(f->catalog, "places", &places, &err));
    const struct journal_event drop = {.operation = "drop", .actor = "ann", .reason = "old"};
    const struct journal_event words[] = {
        {.operation = "describe", .field = "owner", .old_value = "null", .old_length = 4, .actor = "ann"},
        {.operation = "describe", .field = "description", .old_value = "null", .old_length = 4, .actor = "ann"}};
    struct journal_intent done, undone, described, noted, taken;
    must(journal_intend(f->journal, "people", people->uuid, 1, &drop, 1, &done, &err));
    must(journal_intend(f->journal, "places", places->uuid, 1, &drop, 1, &undone, &err));
    must(journal_intend(f->journal, "places", places->uuid, 1, words, 2, &described, &err));
    must(journal_intend(f->journal, "places", places->uuid, 1, &drop, 1, &noted, &err));
    must(journal_intend(f->journal, "places", places->uuid, 1, &drop, 1, &taken, &err));
    must(journal_note_intended(f->journal, "places", &noted, &drop, 1, &err));
    must(journal_note_intended(f->journal, "places", &taken, NULL, 0, &err));
    must(catalog_drop(f->catalog, "people", &err));
    TN_AUTO_JSON *patch = json_pack("{s:s}", "owner", "bob");
    must(catalog_patch(f->catalog, "places", patch, &err));
    for (int again = 0; again < 2; again++) {
        reopen(f);
        must(journal_resume(f->journal, &err));
        assert_string_equal(ask(f, "SELECT dataset, operation, field, new_value, actor, reason FROM journal "
                                   "WHERE operation IN ('drop', 'describe') ORDER BY dataset, operation"),
                            "[\"people\",\"drop\",null,null,\"ann\",\"old\"],"
                            "[\"places\",\"describe\",\"owner\",\"\\\"bob\\\"\",\"ann\",null],"
                            "[\"places\",\"drop\",null,null,\"ann\",\"old\"]");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept_events_say_what_their_files_say, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_visible_at_once_and_after_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_commit_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_under_way_is_not_swept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_commits_that_nobody_told_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rolling_drops_and_doubles_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rolled_events_take_no_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_reader_keeps_what_it_began_with, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_events_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_foreign_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_moments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_moves_of_main, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_announced, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
