/* The common commit's short way against the general one, byte by byte; and
 * metadata files that a power failure took. */
#include "base/hash.h"
#include "iceberg/table_internal.h"
#include "iceberg/test_support.h"

/* --- Both ways --- */

static void assert_text(const char *a, const char *b)
{
    if (!a || !b)
        assert_true(a == b);
    else
        assert_string_equal(a, b);
}

static void assert_snapshot_same(const struct iceberg_snapshot *a, const struct iceberg_snapshot *b)
{
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->parent_id, b->parent_id);
    assert_int_equal(a->sequence_number, b->sequence_number);
    assert_int_equal(a->timestamp_ms, b->timestamp_ms);
    assert_text(a->manifest_list, b->manifest_list);
    assert_text(a->operation, b->operation);
    assert_int_equal(a->schema_id, b->schema_id);
    assert_int_equal(a->json_length, b->json_length);
    assert_memory_equal(a->json, b->json, a->json_length);
    assert_int_equal(a->summary_count, b->summary_count);
    for (size_t i = 0; i < a->summary_count; i++) {
        assert_text(a->summary[i].key, b->summary[i].key);
        assert_text(a->summary[i].value, b->summary[i].value);
    }
}

static void assert_lists_same(const struct iceberg_metadata *a, const struct iceberg_metadata *b)
{
    assert_int_equal(a->snapshot_count, b->snapshot_count);
    for (size_t i = 0; i < a->snapshot_count; i++)
        assert_snapshot_same(a->snapshots[i], b->snapshots[i]);
    assert_int_equal(a->ref_count, b->ref_count);
    for (size_t i = 0; i < a->ref_count; i++) {
        assert_text(a->refs[i].name, b->refs[i].name);
        assert_int_equal(a->refs[i].snapshot_id, b->refs[i].snapshot_id);
        assert_int_equal(a->refs[i].is_tag, b->refs[i].is_tag);
        assert_int_equal(a->refs[i].json_length, b->refs[i].json_length);
        assert_memory_equal(a->refs[i].json, b->refs[i].json, a->refs[i].json_length);
    }
    assert_int_equal(a->snapshot_log_count, b->snapshot_log_count);
    for (size_t i = 0; i < a->snapshot_log_count; i++) {
        assert_int_equal(a->snapshot_log[i].timestamp_ms, b->snapshot_log[i].timestamp_ms);
        assert_int_equal(a->snapshot_log[i].snapshot_id, b->snapshot_log[i].snapshot_id);
    }
    assert_int_equal(a->metadata_log_count, b->metadata_log_count);
    for (size_t i = 0; i < a->metadata_log_count; i++) {
        assert_int_equal(a->metadata_log[i].timestamp_ms, b->metadata_log[i].timestamp_ms);
        assert_text(a->metadata_log[i].file, b->metadata_log[i].file);
    }
    assert_int_equal(a->property_count, b->property_count);
    for (size_t i = 0; i < a->property_count; i++) {
        assert_text(a->properties[i].key, b->properties[i].key);
        assert_text(a->properties[i].value, b->properties[i].value);
    }
}

static void assert_same(const struct iceberg_metadata *a, const struct iceberg_metadata *b)
{
    size_t a_length = 0, b_length = 0;
    const char *a_json = iceberg_metadata_json(a, &a_length), *b_json = iceberg_metadata_json(b, &b_length);
    assert_string_equal(a_json, b_json);
    assert_int_equal(a_length, b_length);
    assert_int_equal(a->format_version, b->format_version);
    assert_text(a->uuid, b->uuid);
    assert_text(a->location, b->location);
    assert_int_equal(a->last_sequence_number, b->last_sequence_number);
    assert_int_equal(a->last_updated_ms, b->last_updated_ms);
    assert_int_equal(a->last_column_id, b->last_column_id);
    assert_int_equal(a->schema->id, b->schema->id);
    assert_int_equal(a->schema_count, b->schema_count);
    for (size_t i = 0; i < a->schema_count; i++)
        assert_int_equal(a->schemas[i]->field_count, b->schemas[i]->field_count);
    assert_int_equal(a->spec_count, b->spec_count);
    assert_int_equal(a->specs[0]->field_count, b->specs[0]->field_count);
    assert_int_equal(a->default_spec_id, b->default_spec_id);
    assert_int_equal(a->default_sort_order_id, b->default_sort_order_id);
    assert_int_equal(a->current->id, b->current->id);
    assert_int_equal(metadata_of(a)->last_partition_id, metadata_of(b)->last_partition_id);
    assert_int_equal(metadata_of(a)->other_count, metadata_of(b)->other_count);
    assert_lists_same(a, b);
}

struct history {
    struct tn_arena *arena;
    struct iceberg_metadata *now;
    uint64_t seed;
    int64_t time;
    size_t fast;
};

static size_t pick(struct history *history, size_t count)
{
    history->seed = history->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(history->seed >> 33) % count;
}

static const char *new_snapshot(struct history *history)
{
    static const char *const odd[] = {"", ",\"note\":\"caf\\u00e9 \xc3\xa9 \\\"],\\\"snapshot-log\\\":[\"",
                                      ",\"tarn.reason\":\"],\\\"metadata-log\\\":[\"", ",\"k\":\"\""};
    const struct iceberg_metadata *now = history->now;
    int64_t id = (int64_t)(pick(history, 1u << 30) + 1) * 1000 + (int64_t)now->snapshot_count;
    history->time += (int64_t)pick(history, 3) * 700;
    return tn_arena_printf(
        history->arena,
        "{\"snapshot-id\":%lld,%s\"sequence-number\":%lld,\"timestamp-ms\":%lld,\"manifest-list\":\"file:///l/%lld."
        "avro\",\"summary\":{\"operation\":\"append\"%s},\"schema-id\":%d}",
        (long long)id,
        now->current ? tn_arena_printf(history->arena, "\"parent-snapshot-id\":%lld,", (long long)now->current->id)
                     : "",
        (long long)now->last_sequence_number + 1, (long long)history->time, (long long)id, odd[pick(history, 4)],
        now->schema->id);
}

/* A draft with random changes of every sort. */
static struct metadata_draft *changed_draft(struct history *history)
{
    struct metadata_draft *draft = metadata_draft_new(history->now);
    const struct iceberg_metadata *now = history->now;
    static const char *const limits[] = {"1", "3", "x", "100", NULL};
    char name[32];
    (void)snprintf(name, sizeof name, "tag %zu\"]", pick(history, 5));
    const struct iceberg_snapshot *some =
        now->snapshot_count ? now->snapshots[pick(history, now->snapshot_count)] : NULL;
    switch (pick(history, 4)) {
    case 0:
        metadata_draft_set_property(draft, METADATA_LOG_PROPERTY, limits[pick(history, 5)]);
        break;
    case 1:
        metadata_draft_set_property(draft, name, "\"snapshots\":[ \"metadata-log\":[");
        break;
    case 2:
        if (some)
            assert_ok(metadata_draft_set_tag(draft, name, some->id, &test_err));
        break;
    default:
        if (some && some != now->current)
            assert_true(metadata_draft_forget_snapshot(draft, some->id, NULL) !=
                        TN_ESNAPSHOT); /* a tag may hold it */
        break;
    }
    return draft;
}

static void take(struct history *history, struct iceberg_metadata *next)
{
    iceberg_metadata_unref(history->now);
    history->now = next;
}

static void common_commit(struct history *history, int64_t version, const char *key, const char *uri)
{
    const char *json = new_snapshot(history);
    struct iceberg_metadata *fast = NULL, *general = NULL;
    assert_ok(metadata_next(history->now, json, strlen(json), version, key, uri, history->time, &fast, &test_err));
    TN_CLEANUP(metadata_draft_free_p) struct metadata_draft *draft = metadata_draft_new(history->now);
    assert_ok(metadata_draft_add_snapshot(draft, json, strlen(json), &test_err));
    assert_ok(metadata_draft_finish(draft, version, key, uri, history->time, &general, &test_err));
    if (!history->now->current) {
        assert_null(fast); /* the first snapshot makes main */
        take(history, general);
        return;
    }
    assert_non_null(fast);
    history->fast++;
    assert_same(fast, general);
    const struct metadata *inner = metadata_of(fast);
    assert_int_equal(inner->crc32c, tn_crc32c(0, inner->json.data, inner->json.len));
    TN_AUTO_BUF patched = {0};
    assert_true(inner->patch_count <= METADATA_PATCH_PARTS);
    assert_ok(table_patch(&metadata_of(history->now)->json, inner->patch, inner->patch_count, &patched, &test_err));
    assert_string_equal(patched.data, inner->json.data);
    /* What comes next may stand on either, or on the file read back. */
    size_t choice = pick(history, 4);
    if (choice == 0) {
        take(history, general);
        iceberg_metadata_unref(fast);
        return;
    }
    iceberg_metadata_unref(general);
    take(history, fast);
    if (choice == 1) {
        struct iceberg_metadata *parsed = NULL;
        assert_ok(iceberg_metadata_parse(patched.data, patched.len, uri, &parsed, &test_err));
        assert_same(parsed, history->now);
        take(history, parsed);
    }
}

static void both_ways_give_the_same(void **state)
{
    struct fixture *f = *state;
    const struct iceberg_schema *schema = test_schema(f->arena);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct history history = {.arena = f->arena, .seed = seed, .time = 1700000000000};
        TN_CLEANUP(metadata_draft_free_p) struct metadata_draft *first = NULL;
        assert_ok(metadata_draft_create(schema, 4,
                                        "file:///x/ta\xc3\xa9"
                                        "ble",
                                        1, &first, &test_err));
        assert_ok(metadata_draft_finish(first, 1, "x/1", "file:///x/1", 1, &history.now, &test_err));
        for (int64_t version = 2; version < 160; version++) {
            const char *uri = tn_arena_printf(f->arena, "file:///x/m %lld\"].json", (long long)version);
            if (pick(&history, 4)) {
                common_commit(&history, version, uri + 8, uri);
                continue;
            }
            struct iceberg_metadata *next = NULL;
            TN_CLEANUP(metadata_draft_free_p) struct metadata_draft *draft = changed_draft(&history);
            assert_ok(metadata_draft_finish(draft, version, uri + 8, uri, history.time, &next, &test_err));
            take(&history, next);
        }
        assert_true(history.fast > 60);
        iceberg_metadata_unref(history.now);
    }
}

/* Versions of a long row that are kept for a while, and let go in any order: what
 * they have in common stays as long as one of them needs it, and no longer. */
static void versions_outlive_each_other(void **state)
{
    enum { KEPT = 40, VERSIONS = 500 };
    struct fixture *f = *state;
    struct history history = {.arena = f->arena, .seed = 7, .time = 1700000000000};
    struct iceberg_metadata *kept[KEPT] = {0};
    TN_CLEANUP(metadata_draft_free_p) struct metadata_draft *first = NULL;
    assert_ok(metadata_draft_create(test_schema(f->arena), 4, "file:///x/t", 1, &first, &test_err));
    assert_ok(metadata_draft_finish(first, 1, "x/1", "file:///x/1", 1, &history.now, &test_err));
    for (int64_t version = 2; version < VERSIONS; version++) {
        const char *uri = tn_arena_printf(f->arena, "file:///x/%lld", (long long)version);
        struct iceberg_metadata *next = NULL;
        const char *json = new_snapshot(&history);
        assert_ok(
            metadata_next(history.now, json, strlen(json), version, uri + 8, uri, history.time, &next, &test_err));
        if (!next || pick(&history, 200) == 0) { /* the first, and now and then one that shares nothing */
            TN_CLEANUP(metadata_draft_free_p) struct metadata_draft *draft = metadata_draft_new(history.now);
            iceberg_metadata_unref(next);
            assert_ok(metadata_draft_add_snapshot(draft, json, strlen(json), &test_err));
            assert_ok(metadata_draft_finish(draft, version, uri + 8, uri, history.time, &next, &test_err));
        }
        take(&history, next);
        size_t place = pick(&history, KEPT);
        if (kept[place]) {
            struct iceberg_metadata *parsed = NULL;
            const struct metadata *inner = metadata_of(kept[place]);
            assert_ok(
                iceberg_metadata_parse(inner->json.data, inner->json.len, kept[place]->uri, &parsed, &test_err));
            assert_same(kept[place], parsed);
            iceberg_metadata_unref(parsed);
            iceberg_metadata_unref(kept[place]);
        }
        kept[place] = iceberg_metadata_ref(history.now);
    }
    assert_true(metadata_of(history.now)->crowd && history.now->snapshot_count == VERSIONS - 2);
    iceberg_metadata_unref(history.now);
    for (size_t i = 0; i < KEPT; i++)
        iceberg_metadata_unref(kept[i]);
}

/* Members that nobody here knows, in the compact form: carried along. In any
 * other form the general way does it. */
static void carries_foreign_members(void **state)
{
    struct fixture *f = *state;
    static const char snapshot[] = "{\"snapshot-id\":9,\"sequence-number\":35,\"timestamp-ms\":1602638573591,"
                                   "\"summary\":{\"operation\":\"append\"},\"manifest-list\":\"m\",\"schema-id\":0}";
    static const char *const edits[][2] = {
        {"", ""},
        {"\"type\":\"long\"", "\"type\": \"long\""},                                /* inside of a schema: copied */
        {",\"snapshot-log\":[", ", \"snapshot-log\":["},                            /* not ours */
        {"\"type\":\"branch\"", "\"type\":\"branch\",\"min-snapshots-to-keep\":3"}, /* main says more */
        {"\"last-updated-ms\":", "\"last-updated-ms\": "},
    };
    ICEBERG_AUTO_METADATA *base = test_append(f, test_create(f), 0, 1);
    size_t length = 0;
    const char *json = iceberg_metadata_json(base, &length);
    for (size_t i = 0; i < TN_COUNT(edits); i++) {
        ICEBERG_AUTO_METADATA *edited = NULL;
        ICEBERG_AUTO_METADATA *fast = NULL;
        ICEBERG_AUTO_METADATA *general = NULL;
        const char *at = strstr(json, edits[i][0]);
        assert_non_null(at);
        const char *text = tn_arena_printf(
            f->arena, "%.*s%s%.*s,\"statistics\":[ {\"x\":1} ],\"x-top\":null}", (int)(at - json), json, edits[i][1],
            (int)(length - 1 - (size_t)(at - json) - strlen(edits[i][0])), at + strlen(edits[i][0]));
        assert_ok(iceberg_metadata_parse(text, strlen(text), base->uri, &edited, &test_err));
        assert_ok(metadata_next(edited, snapshot, sizeof snapshot - 1, 8, "k", "file:///k", 1, &fast, &test_err));
        TN_CLEANUP(metadata_draft_free_p) struct metadata_draft *draft = metadata_draft_new(edited);
        assert_ok(metadata_draft_add_snapshot(draft, snapshot, sizeof snapshot - 1, &test_err));
        assert_ok(metadata_draft_finish(draft, 8, "k", "file:///k", 1, &general, &test_err));
        assert_int_equal(fast != NULL, i < 2);
        if (fast)
            assert_same(fast, general);
    }
}

/* --- Power failures --- */

enum harm { LOST, EMPTY, TORN, ZEROED, HARMS };

static void harm(struct fixture *f, const struct iceberg_metadata *metadata, enum harm how)
{
    size_t length = 0;
    const char *json = iceberg_metadata_json(metadata, &length);
    char *bytes = tn_arena_strndup(f->arena, json, length);
    if (how == LOST) {
        assert_ok(store_delete(f->store, metadata->key, &test_err));
        return;
    }
    if (how == ZEROED)
        memset(bytes + length / 3, 0, length / 3);
    assert_ok(store_put(f->store, metadata->key, bytes,
                        how == EMPTY  ? 0
                        : how == TORN ? length / 2
                                      : length,
                        &test_err));
}

static struct table_pointer pointer_of(struct fixture *f, const struct iceberg_metadata *metadata)
{
    struct table_pointer pointer;
    assert_ok(table_pointer_read(&f->table, metadata->version, f->arena, &pointer, &test_err));
    return pointer;
}

/* Harms the newest file; the table loads as it was, and the file is back. */
static void assert_survives(struct fixture *f, const struct iceberg_metadata *metadata, enum harm how)
{
    ICEBERG_AUTO_METADATA *loaded = NULL;
    harm(f, metadata, how);
    assert_ok(iceberg_table_load(&f->table, NULL, &loaded, &test_err));
    assert_same(loaded, metadata);
    TN_AUTO_BUF file = {0};
    assert_ok(store_get(f->store, metadata->key, (size_t)1 << 30, &file, &test_err));
    assert_string_equal(file.data, metadata_of(metadata)->json.data);
}

static void lost_metadata_is_made_again(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_create(f), 0, 1); /* version 2, in full */
    assert_int_equal(pointer_of(f, metadata).checkpoint, 0);
    for (int i = 0; i < 2 * TABLE_MOST_PATCHES + 10; i++) {
        metadata = test_append(f, metadata, i, 1);
        const struct table_pointer pointer = pointer_of(f, metadata);
        bool full = (metadata->version - 2) % (TABLE_MOST_PATCHES + 1) == 0;
        assert_int_equal(pointer.checkpoint == 0, full);
        if (!full && i % 7 == 0)
            assert_survives(f, metadata, (enum harm)(i / 7 % HARMS));
    }
    /* A commit on a table that was loaded from a file made again. */
    assert_survives(f, metadata, TORN);
    ICEBERG_AUTO_METADATA *loaded = NULL;
    assert_ok(iceberg_table_load(&f->table, NULL, &loaded, &test_err));
    loaded = test_append(f, loaded, 1000, 1);
    assert_int_equal(pointer_of(f, loaded).checkpoint, 0); /* what was only read may not be on disk */
    loaded = test_append(f, loaded, 1001, 1);
    assert_int_equal(pointer_of(f, loaded).checkpoint, loaded->version - 1);
    assert_survives(f, loaded, LOST);
}

static void nothing_is_made_of_damage(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *first = test_append(f, test_create(f), 0, 1);
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_append(f, iceberg_metadata_ref(first), 1, 1), 2, 1);
    ICEBERG_AUTO_METADATA *loaded = NULL;
    harm(f, metadata, TORN);
    harm(f, first, ZEROED); /* the checkpoint */
    assert_code(iceberg_table_load(&f->table, NULL, &loaded, &test_err), TN_ECORRUPT);
    assert_non_null(strstr(test_err.detail, "version 2"));
    harm(f, first, LOST);
    assert_code(iceberg_table_load(&f->table, NULL, &loaded, &test_err), TN_ECORRUPT);
}

/* The checkpoint must not fall off a short log; other changes are written in
 * full. */
static void checkpoints_outlive_the_log(void **state)
{
    struct fixture *f = *state;
    static const struct iceberg_pair log[] = {{METADATA_LOG_PROPERTY, "3"}};
    struct iceberg_metadata *created = NULL;
    assert_ok(iceberg_table_create(&f->table, test_schema(f->arena), log, 1, &created, &test_err));
    ICEBERG_AUTO_METADATA *metadata = test_append(f, created, 0, 1);
    for (int i = 0; i < 40; i++) {
        metadata = test_append(f, metadata, i, 1);
        const struct table_pointer pointer = pointer_of(f, metadata);
        assert_true(pointer.checkpoint == 0 || metadata->version - pointer.checkpoint <= 3);
        if (pointer.checkpoint)
            assert_survives(f, metadata, (enum harm)(i % HARMS));
    }
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    ICEBERG_AUTO_METADATA *tagged = NULL;
    iceberg_tx_set_tag(tx, "kept", metadata->current->id);
    assert_ok(iceberg_tx_commit(tx, &tagged, &test_err));
    assert_int_equal(pointer_of(f, tagged).checkpoint, 0);
}

/* A drop taken back stands behind another pointer: its file must be whole. */
static void undrop_needs_no_patch(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_append(f, test_create(f), 0, 1), 1, 1);
    ICEBERG_AUTO_METADATA *back = NULL;
    assert_true(pointer_of(f, metadata).checkpoint > 0);
    assert_ok(iceberg_table_drop(&f->table, metadata, &test_err));
    harm(f, metadata, TORN);
    assert_ok(iceberg_table_undrop(&f->table, &back, &test_err));
    assert_int_equal(pointer_of(f, back).checkpoint, 0);
    back = test_append(f, back, 2, 1);
    assert_int_equal(pointer_of(f, back).checkpoint, back->version - 1);
    assert_survives(f, back, EMPTY);
}

/* The same of a version that was in full. */
static void undrop_starts_a_chain(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_create(f), 0, 1);
    ICEBERG_AUTO_METADATA *back = NULL;
    assert_int_equal(pointer_of(f, metadata).checkpoint, 0);
    assert_ok(iceberg_table_drop(&f->table, metadata, &test_err));
    assert_ok(iceberg_table_undrop(&f->table, &back, &test_err));
    back = test_append(f, back, 2, 1);
    assert_survives(f, back, EMPTY);
}

/* Two tables commit together: prepared, then published. */
static void prepared_versions_survive(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_append(f, test_create(f), 0, 1);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    ICEBERG_AUTO_METADATA *next = NULL;
    assert_ok(iceberg_tx_add_file(tx, test_data_file(f, metadata, 5, 5), &test_err));
    assert_ok(iceberg_tx_prepare(tx, &test_err));
    assert_ok(iceberg_tx_publish(tx, &next, &test_err));
    assert_true(pointer_of(f, next).checkpoint > 0);
    assert_survives(f, next, LOST);
}

static void strange_patches_are_refused(void **state)
{
    (void)state;
    static const char head[] = "{\"tarn-pointer\":1,\"version\":9,\"attempt\":\"a\",\"metadata\":\"m\",\"length\":1,"
                               "\"crc32c\":\"00000000\",";
    static const char *const bad[] = {"\"checkpoint\":9,\"patch\":[]}",
                                      "\"checkpoint\":-1,\"patch\":[]}",
                                      "\"checkpoint\":8}",
                                      "\"checkpoint\":8,\"patch\":[1]}",
                                      "\"checkpoint\":8,\"patch\":[[1]]}",
                                      "\"checkpoint\":8,\"patch\":[[1,-1]]}",
                                      "\"checkpoint\":8,\"patch\":[[-1,1]]}",
                                      "\"checkpoint\":8,\"patch\":[[1,\"1\"]]}",
                                      "\"checkpoint\":8,\"patch\":{}}"};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct table_pointer pointer;
    for (size_t i = 0; i < TN_COUNT(bad); i++) {
        const char *text = tn_arena_printf(arena, "%s%s", head, bad[i]);
        assert_code(table_pointer_parse(arena, text, strlen(text), "p", &pointer, &test_err), TN_ECORRUPT);
    }
    TN_AUTO_BUF base = {0};
    TN_AUTO_BUF out = {0};
    tn_buf_puts(&base, "0123456789");
    const struct metadata_part parts[] = {{.offset = 2, .length = 3}, {.text = "x", .length = 1}};
    assert_ok(table_patch(&base, parts, 2, &out, &test_err));
    assert_string_equal(out.data, "234x");
    const struct metadata_part beyond[] = {
        {.offset = 9, .length = 2}, {.offset = 11}, {.offset = 1, .length = SIZE_MAX}};
    for (size_t i = 0; i < TN_COUNT(beyond); i++)
        assert_code(table_patch(&base, &beyond[i], 1, &out, &test_err), TN_ECORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(both_ways_give_the_same),   TABLE_TEST(versions_outlive_each_other),
        TABLE_TEST(carries_foreign_members),   TABLE_TEST(lost_metadata_is_made_again),
        TABLE_TEST(nothing_is_made_of_damage), TABLE_TEST(checkpoints_outlive_the_log),
        TABLE_TEST(undrop_needs_no_patch),     TABLE_TEST(undrop_starts_a_chain),
        TABLE_TEST(prepared_versions_survive), cmocka_unit_test(strange_patches_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
