/* Planning: which files, which deletes, what is pruned, what is refused. */
#include "iceberg/plan_internal.h"
#include "iceberg/test_support.h"

static struct iceberg_plan *plan(struct fixture *f, const struct iceberg_metadata *metadata,
                                 const struct iceberg_predicate *predicates, size_t count)
{
    struct iceberg_plan *ret = NULL;
    assert_ok(iceberg_plan_new(&f->table, metadata, NULL, predicates, count, &ret, &test_err));
    return ret;
}

static struct iceberg_metadata *commit_files(struct fixture *f, struct iceberg_metadata *base,
                                             struct iceberg_file *const *files, size_t count)
{
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, base);
    struct iceberg_metadata *next = NULL;
    for (size_t i = 0; i < count; i++)
        assert_ok(iceberg_tx_add_file(tx, files[i], &test_err));
    assert_ok(iceberg_tx_commit(tx, &next, &test_err));
    iceberg_metadata_unref(base);
    return next;
}

static void empty_tables(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_create(f);
    ICEBERG_AUTO_PLAN *p = plan(f, metadata, NULL, 0);
    assert_int_equal(p->file_count, 0);
    assert_null(p->snapshot);
    assert_int_equal(p->schema->field_count, 4);
}

/* --- Pruning, by a table: one column's statistics against one predicate --- */

static const struct {
    const char *type, *lower, *upper;
    int64_t values, nulls, nans;
    enum iceberg_op op;
    const char *operand; /* several for IN, with | between */
    bool pruned;
} prunes[] = {
    {"int", "10", "20", 5, 0, -1, ICEBERG_LT, "10", true},
    {"int", "10", "20", 5, 0, -1, ICEBERG_LT, "11", false},
    {"int", "10", "20", 5, 0, -1, ICEBERG_LE, "9", true},
    {"int", "10", "20", 5, 0, -1, ICEBERG_LE, "10", false},
    {"int", "10", "20", 5, 0, -1, ICEBERG_GT, "20", true},
    {"int", "10", "20", 5, 0, -1, ICEBERG_GT, "19", false},
    {"int", "10", "20", 5, 0, -1, ICEBERG_GE, "21", true},
    {"int", "10", "20", 5, 0, -1, ICEBERG_GE, "20", false},
    {"int", "10", "20", 5, 0, -1, ICEBERG_EQ, "9", true},
    {"int", "10", "20", 5, 0, -1, ICEBERG_EQ, "10", false},
    {"int", "10", "20", 5, 0, -1, ICEBERG_EQ, "21", true},
    {"int", "10", "20", 5, 0, -1, ICEBERG_NE, "10", false},
    {"int", "10", "10", 5, 0, -1, ICEBERG_NE, "10", true},
    {"int", "10", "10", 5, 2, -1, ICEBERG_NE, "10", true}, /* NULL is not unequal */
    {"int", "10", "20", 5, 0, -1, ICEBERG_IN, "1|9|21", true},
    {"int", "10", "20", 5, 0, -1, ICEBERG_IN, "1|15|21", false},
    {"int", "10", "20", 5, 0, -1, ICEBERG_IN, NULL, true},  /* in nothing */
    {"int", "20", "10", 5, 0, -1, ICEBERG_EQ, "99", false}, /* swapped bounds prove nothing */
    {"int", NULL, NULL, 5, 0, -1, ICEBERG_EQ, "99", false},
    {"int", "10", NULL, 5, 0, -1, ICEBERG_LT, "10", true},
    {"int", NULL, "20", 5, 0, -1, ICEBERG_LT, "10", false},
    {"int", "10", "20", 5, 0, -1, ICEBERG_IS_NULL, NULL, true},
    {"int", "10", "20", 5, 1, -1, ICEBERG_IS_NULL, NULL, false},
    {"int", "10", "20", 5, -1, -1, ICEBERG_IS_NULL, NULL, false},
    {"int", NULL, NULL, 5, 5, -1, ICEBERG_NOT_NULL, NULL, true},
    {"int", NULL, NULL, 5, 5, -1, ICEBERG_EQ, "1", true},
    {"int", NULL, NULL, 5, 4, -1, ICEBERG_NOT_NULL, NULL, false},
    {"int", NULL, NULL, -1, 5, -1, ICEBERG_NOT_NULL, NULL, false},
    {"string", "ab", "ad", 5, 0, -1, ICEBERG_EQ, "ac", false},
    {"string", "ab", "ad", 5, 0, -1, ICEBERG_EQ, "ae", true},
    {"string", "ab", "ad", 5, 0, -1, ICEBERG_LT, "ab", true},
    {"string", "ab", "ad", 5, 0, -1, ICEBERG_LT, "abc", false},
    {"decimal(9, 2)", "-5.00", "5.00", 5, 0, -1, ICEBERG_LT, "-5.00", true},
    {"decimal(9, 2)", "-5.00", "500.00", 5, 0, -1, ICEBERG_EQ, "300", false},
    {"date", "2024-01-01", "2024-01-31", 5, 0, -1, ICEBERG_GE, "2024-02-01", true},
    {"date", "1969-12-30", "1970-01-02", 5, 0, -1, ICEBERG_EQ, "1970-01-01", false},
    {"timestamp", "2024-01-01", "2024-01-31", 5, 0, -1, ICEBERG_LT, "2024-01-01", true},
    /* NaN sorts above all numbers and is not in the bounds. */
    {"double", "1", "2", 5, 0, 0, ICEBERG_GT, "2", true},
    {"double", "1", "2", 5, 0, 1, ICEBERG_GT, "2", false},
    {"double", "1", "2", 5, 0, -1, ICEBERG_GT, "2", false},
    {"double", "1", "2", 5, 0, 1, ICEBERG_EQ, "3", true},
    {"double", "1", "2", 5, 0, 1, ICEBERG_LT, "1", true},
    {"double", "1", "1", 5, 0, 1, ICEBERG_NE, "1", false},
    {"double", "1", "2", 5, 0, 0, ICEBERG_EQ, "nan", false},
    {"double", "-0.0", "0", 5, 0, 0, ICEBERG_LT, "0", true},
    {"double", "-0.0", "0", 5, 0, 0, ICEBERG_EQ, "-0.0", false},
};

static void pruning_table(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < TN_COUNT(prunes); i++) {
        const struct iceberg_type *type = iceberg_type_parse(f->arena, prunes[i].type);
        const struct iceberg_field field = {.id = 7, .name = "c", .type = type};
        const struct iceberg_schema schema = {.fields = &field, .field_count = 1};
        struct iceberg_stats stats = {.field_id = 7,
                                      .value_count = prunes[i].values,
                                      .null_count = prunes[i].nulls,
                                      .nan_count = prunes[i].nans};
        struct iceberg_bytes operands[4];
        struct iceberg_predicate predicate = {7, prunes[i].op, operands, 0};
        if (prunes[i].lower)
            stats.lower = test_value(f->arena, type, prunes[i].lower);
        if (prunes[i].upper)
            stats.upper = test_value(f->arena, type, prunes[i].upper);
        char *rest = prunes[i].operand ? tn_arena_strdup(f->arena, prunes[i].operand) : NULL;
        for (char *word; rest && (word = strsep(&rest, "|"));)
            operands[predicate.value_count++] = test_value(f->arena, type, word);
        const struct iceberg_file file = {.stats = &stats, .stats_count = 1};
        if (prune_file(&schema, &predicate, 1, &file) != prunes[i].pruned)
            fail_msg("row %zu: %s %s..%s, op %d, %s", i, prunes[i].type, prunes[i].lower, prunes[i].upper,
                     (int)prunes[i].op, prunes[i].operand);
        /* Without statistics, or for a column of which nothing is known, all stay. */
        const struct iceberg_file bare = {0};
        assert_false(prune_file(&schema, &predicate, 1, &bare));
        predicate.field_id = 8;
        assert_false(prune_file(&schema, &predicate, 1, &file));
    }
}

static void prunes_files(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_create(f);
    for (int i = 0; i < 10; i++)
        metadata = test_append(f, metadata, i * 100, 100);
    const struct iceberg_type *type = iceberg_type_of(ICEBERG_LONG);
    const struct iceberg_bytes low = test_value(f->arena, type, "250"), high = test_value(f->arena, type, "310");
    const struct iceberg_predicate between[] = {{1, ICEBERG_GE, &low, 1}, {1, ICEBERG_LE, &high, 1}};
    ICEBERG_AUTO_PLAN *p = plan(f, metadata, between, 2);
    assert_int_equal(p->file_count, 2);
    assert_int_equal(p->pruned_count, 8);
    assert_int_equal(p->record_count, 200);
    assert_int_equal(p->size_bytes, 200);
}

/* --- Deletes --- */

static void deletes_find_their_files(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_create(f);
    struct iceberg_file *a = test_data_file(f, metadata, 0, 10), *b = test_data_file(f, metadata, 10, 10);
    struct iceberg_file *c = test_data_file(f, metadata, 20, 10);
    metadata = commit_files(f, metadata, (struct iceberg_file *[]){a, b}, 2); /* sequence 1 */
    /* One for a alone, one for a by bounds only, one over both, one that says nothing. */
    struct iceberg_file *by_name = test_delete_file(f, metadata, a->path, 1);
    struct iceberg_file *by_bounds = test_delete_file(f, metadata, NULL, 2);
    struct iceberg_file *wide = test_delete_file(f, metadata, NULL, 3);
    struct iceberg_file *silent = test_delete_file(f, metadata, NULL, 4);
    const struct iceberg_bytes pa = {(const uint8_t *)a->path, strlen(a->path)};
    const struct iceberg_bytes pb = {(const uint8_t *)b->path, strlen(b->path)};
    const struct iceberg_stats equal = {.field_id = ICEBERG_DELETE_PATH_ID,
                                        .column_size = -1,
                                        .value_count = -1,
                                        .null_count = -1,
                                        .nan_count = -1,
                                        .lower = pa,
                                        .upper = pa};
    struct iceberg_stats spread = equal;
    spread.upper = pb; /* names ascend with time */
    by_bounds->stats = &equal;
    wide->stats = &spread;
    by_bounds->stats_count = wide->stats_count = 1;
    metadata = commit_files(f, metadata, (struct iceberg_file *[]){by_name, by_bounds, wide, silent, c}, 5);
    struct iceberg_file *d = test_data_file(f, metadata, 30, 10);
    metadata = commit_files(f, metadata, (struct iceberg_file *[]){d}, 1); /* after the deletes */
    ICEBERG_AUTO_PLAN *p = plan(f, metadata, NULL, 0);
    assert_int_equal(p->file_count, 4);
    static const size_t want[] = {4, 2, 1, 0};
    const struct iceberg_file *files[] = {a, b, c, d};
    for (size_t i = 0; i < 4; i++) {
        size_t at = 0;
        while (strcmp(p->files[at].file->path, files[i]->path) != 0)
            at++;
        assert_int_equal(p->files[at].delete_count, want[i]);
    }
    assert_int_equal(p->deleted_file_count, 3);
    assert_true(tn_str_starts_with(p->files[0].delete_keys[0], "datasets/t/data/"));
}

/* --- What we do not read --- */

/* Takes the newest manifest of a kind, changes an entry, and puts it back: the
 * way to get what our writer would never write. */
static void rewrite_entry(struct fixture *f, const struct iceberg_metadata *metadata, int32_t content,
                          enum iceberg_content as, const char *format)
{
    struct manifest_object *list = NULL, *manifest = NULL;
    assert_ok(table_open_list(&f->table, metadata, metadata->current, &list, &test_err));
    size_t at = 0;
    while (list->rows[at].content != content)
        at++;
    assert_ok(table_open_manifest(&f->table, metadata, &list->rows[at], &manifest, &test_err));
    TN_CLEANUP(manifest_build_release) struct manifest_build b;
    struct iceberg_file file = manifest->entries[0].file;
    const char *key = NULL;
    file.content = as;
    file.format = format;
    assert_ok(manifest_build_open(&b, f->arena, (enum manifest_content)content, metadata->schema, "{}",
                                  metadata->specs[0], NULL, &test_err));
    assert_ok(manifest_build_add(&b, MANIFEST_ADDED, &file, &test_err));
    assert_ok(manifest_build_finish(&b, &test_err));
    assert_ok(iceberg_resolve(f->arena, &f->table, metadata, list->rows[at].path, &key, &test_err));
    assert_ok(store_put(f->store, key, b.writer.out.data, b.writer.out.len, &test_err));
    manifest_object_unref(list);
    manifest_object_unref(manifest);
}

static void refuses_what_it_does_not_read(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int32_t content;
        enum iceberg_content as;
        const char *format, *word;
    } cases[] = {
        {MANIFEST_DELETES, ICEBERG_EQUALITY_DELETES, "PARQUET", "equality deletes"},
        {MANIFEST_DELETES, ICEBERG_POSITION_DELETES, "PUFFIN", "deletion vectors"},
        {MANIFEST_DATA, ICEBERG_DATA, "ORC", "ORC"},
        {MANIFEST_DATA, ICEBERG_DATA, "parquet", NULL},
    };
    f->table.cache = NULL;
    ICEBERG_AUTO_METADATA *metadata = test_create(f);
    struct iceberg_file *a = test_data_file(f, metadata, 0, 10);
    metadata = commit_files(f, metadata, (struct iceberg_file *[]){a}, 1);
    metadata = commit_files(f, metadata, (struct iceberg_file *[]){test_delete_file(f, metadata, a->path, 1)}, 1);
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        struct iceberg_plan *p = NULL;
        rewrite_entry(f, metadata, cases[i].content, cases[i].as, cases[i].format);
        enum tn_code code = iceberg_plan_new(&f->table, metadata, NULL, NULL, 0, &p, &test_err);
        assert_int_equal(code, cases[i].word ? TN_EUNSUPPORTED : TN_OK);
        if (cases[i].word)
            assert_non_null(strstr(test_err.detail, cases[i].word));
        iceberg_plan_free(p);
        rewrite_entry(f, metadata, cases[i].content, (enum iceberg_content)cases[i].content, "PARQUET");
    }
    /* Format 3, types of format 3, files outside of the lake. */
    static const struct {
        const char *from, *to, *word;
    } edits[] = {
        {"\"format-version\":2", "\"format-version\":3", "format version 3"},
        {"\"type\":\"double\"", "\"type\":\"variant\"", "variant"},
    };
    for (size_t i = 0; i < TN_COUNT(edits); i++) {
        size_t length = 0;
        TN_AUTO_BUF text = {0};
        ICEBERG_AUTO_METADATA *edited = NULL;
        struct iceberg_plan *p = NULL;
        const char *json = iceberg_metadata_json(metadata, &length), *at = strstr(json, edits[i].from);
        tn_buf_append(&text, json, (size_t)(at - json));
        tn_buf_puts(&text, edits[i].to);
        tn_buf_puts(&text, at + strlen(edits[i].from));
        assert_ok(iceberg_metadata_parse(text.data, text.len, "edited", &edited, &test_err));
        assert_code(iceberg_plan_new(&f->table, edited, NULL, NULL, 0, &p, &test_err), TN_EUNSUPPORTED);
        assert_non_null(strstr(test_err.detail, edits[i].word));
    }
    const char *key = NULL;
    assert_code(iceberg_resolve(f->arena, &f->table, metadata, "file:///etc/passwd", &key, &test_err),
                TN_EUNSUPPORTED);
    assert_code(iceberg_resolve(f->arena, &f->table, metadata, "s3://other/x", &key, &test_err), TN_EUNSUPPORTED);
    const char *sneaky = tn_arena_printf(f->arena, "%s/../../../../etc/passwd", metadata->location);
    assert_code(iceberg_resolve(f->arena, &f->table, metadata, sneaky, &key, &test_err), TN_EUNSUPPORTED);
}

/* --- Time travel and the cache --- */

static void plans_the_past(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_create(f);
    for (int i = 0; i < 70; i++) /* past a merge of manifests */
        metadata = test_append(f, metadata, i, 1);
    for (size_t i = 0; i < 70; i += 23) {
        ICEBERG_AUTO_PLAN *p = NULL;
        assert_ok(iceberg_plan_new(&f->table, metadata, metadata->snapshots[i], NULL, 0, &p, &test_err));
        assert_int_equal(p->file_count, i + 1);
        assert_int_equal(p->record_count, i + 1);
    }
}

static void the_cache_is_bounded_and_used(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_create(f);
    for (int i = 0; i < 20; i++)
        metadata = test_append(f, metadata, i, 1);
    struct store_counters before = store_counters(f->store);
    ICEBERG_AUTO_PLAN *p = plan(f, metadata, NULL, 0); /* all in memory since the commits */
    assert_int_equal(store_counters(f->store).gets, before.gets);
    assert_int_equal(p->file_count, 20);
    TN_CLEANUP(iceberg_cache_free_p) struct iceberg_cache *tiny = iceberg_cache_new((size_t)24 << 10);
    f->table.cache = tiny;
    for (int i = 0; i < 3; i++) {
        ICEBERG_AUTO_PLAN *q = plan(f, metadata, NULL, 0);
        assert_int_equal(q->file_count, 20);
        struct iceberg_cache_state cache = iceberg_cache_state(tiny);
        assert_true(cache.bytes <= cache.max_bytes);
        assert_true(cache.entries > 0 && cache.entries < 21);
    }
    f->table.cache = f->cache;
}

/* A thousand files in a thousand snapshots: few reads, all there. */
static void a_thousand_files(void **state)
{
    struct fixture *f = *state;
    ICEBERG_AUTO_METADATA *metadata = test_create(f);
    for (int i = 0; i < 1000; i++) {
        const struct iceberg_file file = {
            .path = tn_arena_printf(f->arena, "%s/data/%04d.parquet", metadata->location, i),
            .record_count = 1,
            .size_bytes = 1};
        metadata = commit_files(f, metadata, (struct iceberg_file *[]){(struct iceberg_file *)(uintptr_t)&file}, 1);
    }
    ICEBERG_AUTO_METADATA *loaded = NULL;
    f->table.cache = NULL;
    assert_ok(iceberg_table_load(&f->table, NULL, &loaded, &test_err));
    assert_int_equal(loaded->snapshot_count, 1000);
    struct store_counters before = store_counters(f->store);
    ICEBERG_AUTO_PLAN *p = plan(f, loaded, NULL, 0);
    assert_int_equal(p->file_count, 1000);
    assert_true(store_counters(f->store).gets - before.gets <= 64);
    for (size_t i = 1; i < 1000; i++)
        assert_true(strcmp(p->files[i - 1].file->path, p->files[i].file->path) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(empty_tables),
        TABLE_TEST(pruning_table),
        TABLE_TEST(prunes_files),
        TABLE_TEST(deletes_find_their_files),
        TABLE_TEST(refuses_what_it_does_not_read),
        TABLE_TEST(plans_the_past),
        TABLE_TEST(the_cache_is_bounded_and_used),
        TABLE_TEST(a_thousand_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
