/* What the table tests share: a store in a fresh folder, a small schema, files
 * that exist. */
#ifndef TARN_ICEBERG_TEST_SUPPORT_H
#define TARN_ICEBERG_TEST_SUPPORT_H

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/test_folder.h"
#include "iceberg/iceberg.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct tn_error test_err;

#define assert_ok(expression)                                                                                        \
    do {                                                                                                             \
        enum tn_code got_ = (expression);                                                                            \
        if (got_ != TN_OK)                                                                                           \
            fail_msg("%s: %s: %s", #expression, tn_code_word(got_), test_err.detail);                                \
    } while (0)
#define assert_code(expression, code)                                                                                \
    do {                                                                                                             \
        enum tn_code got_ = (expression);                                                                            \
        if (got_ != (code))                                                                                          \
            fail_msg("%s: %s, not %s (%s)", #expression, tn_code_word(got_), tn_code_word(code), test_err.detail);   \
    } while (0)

struct fixture {
    char folder[64];
    struct store *store;
    struct tn_arena *arena;
    struct iceberg_cache *cache;
    struct iceberg_table table;
};

static inline int fixture_open(void **state)
{
    struct fixture *f = tn_calloc(1, sizeof *f);
    (void)snprintf(f->folder, sizeof f->folder, "%s/tarn-iceberg-test-XXXXXX", test_fast_root());
    assert_non_null(mkdtemp(f->folder));
    assert_ok(tn_random_init(&test_err));
    assert_ok(store_open_local(f->folder, &f->store, &test_err));
    f->arena = tn_arena_new();
    f->cache = iceberg_cache_new((size_t)16 << 20);
    f->table = (struct iceberg_table){f->store, "datasets/t", f->cache};
    *state = f;
    return 0;
}

static inline int fixture_close(void **state)
{
    struct fixture *f = *state;
    iceberg_cache_free(f->cache);
    store_close(f->store);
    tn_arena_free(f->arena);
    assert_ok(tn_remove_tree(f->folder, &test_err));
    free(f);
    return 0;
}

#define TABLE_TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)

/* id long (1), name string (2), amount decimal(9, 2) (3), score double (4). */
static inline const struct iceberg_schema *test_schema(struct tn_arena *arena)
{
    struct iceberg_field *fields = TN_ARENA_ARRAY(arena, struct iceberg_field, 4);
    fields[0] = (struct iceberg_field){.id = 1, .name = "id", .type = iceberg_type_of(ICEBERG_LONG)};
    fields[1] = (struct iceberg_field){.id = 2, .name = "name", .type = iceberg_type_of(ICEBERG_STRING)};
    fields[2] = (struct iceberg_field){.id = 3, .name = "amount", .type = iceberg_type_decimal(arena, 9, 2)};
    fields[3] = (struct iceberg_field){.id = 4, .name = "score", .type = iceberg_type_of(ICEBERG_DOUBLE)};
    struct iceberg_schema *schema = tn_arena_alloc(arena, sizeof *schema);
    *schema = (struct iceberg_schema){.fields = fields, .field_count = 4};
    return schema;
}

static inline struct iceberg_bytes test_value(struct tn_arena *arena, const struct iceberg_type *type,
                                              const char *text)
{
    struct iceberg_bytes value = {NULL, 0};
    assert_ok(iceberg_value_parse(arena, type, text, strlen(text), &value, &test_err));
    return value;
}

/* A data file that exists: `rows` rows with ids from `first` on. The bytes are
 * not Parquet; nothing here looks into them. */
static inline struct iceberg_file *test_data_file(struct fixture *f, const struct iceberg_metadata *metadata,
                                                  int64_t first, int64_t rows)
{
    const char *key = NULL;
    struct iceberg_file *file = tn_arena_alloc(f->arena, sizeof *file);
    *file = (struct iceberg_file){.record_count = rows, .size_bytes = 100, .sort_order_id = 0};
    char bytes[100] = "data";
    file->path = iceberg_new_file_uri(f->arena, &f->table, metadata, ".parquet", &key);
    assert_ok(store_put(f->store, key, bytes, sizeof bytes, &test_err));
    struct iceberg_stats *stats = TN_ARENA_ARRAY(f->arena, struct iceberg_stats, 1);
    char low[32], high[32];
    (void)snprintf(low, sizeof low, "%lld", (long long)first);
    (void)snprintf(high, sizeof high, "%lld", (long long)(first + rows - 1));
    const struct iceberg_type *type = iceberg_type_of(ICEBERG_LONG);
    stats[0] = (struct iceberg_stats){.field_id = 1,
                                      .column_size = 50,
                                      .value_count = rows,
                                      .null_count = 0,
                                      .nan_count = ICEBERG_NONE,
                                      .lower = test_value(f->arena, type, low),
                                      .upper = test_value(f->arena, type, high)};
    file->stats = stats;
    file->stats_count = 1;
    return file;
}

static inline struct iceberg_file *test_delete_file(struct fixture *f, const struct iceberg_metadata *metadata,
                                                    const char *target, int64_t rows)
{
    struct iceberg_file *file = test_data_file(f, metadata, 0, rows);
    file->content = ICEBERG_POSITION_DELETES;
    file->referenced_data_file = target;
    file->stats = NULL;
    file->stats_count = 0;
    return file;
}

static inline struct iceberg_metadata *test_create(struct fixture *f)
{
    struct iceberg_metadata *metadata = NULL;
    assert_ok(iceberg_table_create(&f->table, test_schema(f->arena), NULL, 0, &metadata, &test_err));
    return metadata;
}

/* Appends one file; the old version's reference is given up. */
static inline struct iceberg_metadata *test_append(struct fixture *f, struct iceberg_metadata *base, int64_t first,
                                                   int64_t rows)
{
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, base);
    struct iceberg_metadata *next = NULL;
    assert_ok(iceberg_tx_add_file(tx, test_data_file(f, base, first, rows), &test_err));
    assert_ok(iceberg_tx_commit(tx, &next, &test_err));
    iceberg_metadata_unref(base);
    return next;
}

static inline int64_t test_total(const struct iceberg_metadata *metadata, const char *key)
{
    return iceberg_snapshot_count(metadata->current, key, -1);
}

#endif
