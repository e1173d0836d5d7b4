/* Small files: what is written is read back by another reader, cell by cell, and
 * the statistics are checked by hand too. */
#include "iceberg/parquet_test.h"
#include "iceberg/small_samples.h"
#include "iceberg/thrift_writer.h"

static int open_arena(void **state)
{
    *state = tn_arena_new();
    return 0;
}

static int close_arena(void **state)
{
    tn_arena_free(*state);
    return 0;
}

#define ARENA_TEST(function) cmocka_unit_test_setup_teardown(function, open_arena, close_arena)

static void assert_hex(struct tn_arena *arena, struct iceberg_bytes bytes, const char *hex)
{
    if (!hex) {
        assert_null(bytes.data);
        return;
    }
    assert_non_null(bytes.data);
    char *text = tn_arena_alloc(arena, 2 * bytes.length + 1);
    tn_hex_encode(bytes.data, bytes.length, text);
    assert_string_equal(text, hex);
}

/* --- Thrift --- */

static void thrift_bytes(void **state)
{
    TN_AUTO_BUF out = {0};
    struct thrift_writer thrift = thrift_writer_to(&out);
    thrift_put_i32(&thrift, 1, -1);                   /* 15 01 */
    thrift_put_i64(&thrift, 3, 300);                  /* 26 d804 */
    thrift_put_bool(&thrift, 4, true);                /* 11 */
    thrift_put_bool(&thrift, 5, false);               /* 12 */
    thrift_put_text(&thrift, 25, "ab");               /* 08 32 02 6162: too far for a step */
    thrift_open_struct(&thrift, 26);                  /* 1c */
    thrift_put_i16(&thrift, 7, 1);                    /* 74 02 */
    thrift_put_empty(&thrift, 8);                     /* 1c 00 */
    thrift_close(&thrift);                            /* 00 */
    thrift_open_list(&thrift, 27, THRIFT_I32, 2);     /* 19 25 */
    thrift_item_i32(&thrift, 0);                      /* 00 */
    thrift_item_i32(&thrift, 64);                     /* 8001 */
    thrift_open_list(&thrift, 28, THRIFT_STRUCT, 15); /* 19 fc 0f */
    for (int i = 0; i < 15; i++) {
        thrift_open_item(&thrift);
        thrift_close(&thrift);
    }
    thrift_put_i64(&thrift, 29, INT64_MIN);
    thrift_close(&thrift);
    assert_hex(*state, (struct iceberg_bytes){(const uint8_t *)out.data, out.len},
               "150126d80411120832026162"
               "1c74021c0000"
               "1925008001"
               "19fc0f000000000000000000000000000000"
               "16ffffffffffffffffff0100");
}

/* --- Reading back --- */

/* A value in PLAIN as the single-value form: decimals big-endian, and short. */
static struct iceberg_bytes canonical(struct tn_arena *arena, const struct parquet_node *element,
                                      struct iceberg_bytes plain)
{
    if (!plain.data || parquet_option(element, 6) != 5)
        return plain;
    uint8_t *bytes = tn_arena_alloc(arena, plain.length);
    for (size_t i = 0; i < plain.length; i++)
        bytes[i] = plain.data[parquet_number(element, 1) == 7 ? i : plain.length - 1 - i];
    size_t skip = 0;
    while (skip + 1 < plain.length &&
           ((bytes[skip] == 0 && bytes[skip + 1] < 0x80) || (bytes[skip] == 0xFF && bytes[skip + 1] >= 0x80)))
        skip++;
    return (struct iceberg_bytes){bytes + skip, plain.length - skip};
}

static bool same(struct iceberg_bytes a, struct iceberg_bytes b)
{
    return a.data && b.data ? a.length == b.length && memcmp(a.data, b.data, a.length) == 0 : !a.data && !b.data;
}

/* Physical type, length, ConvertedType, LogicalType (0 = none), by the
 * specifications of Parquet and Iceberg. */
static const struct {
    const char *type;
    int physical, length, converted, logical;
} annotations[] = {
    {"boolean", 0, -1, -1, 0},
    {"int", 1, -1, -1, 0},
    {"long", 2, -1, -1, 0},
    {"float", 4, -1, -1, 0},
    {"double", 5, -1, -1, 0},
    {"date", 1, -1, 6, 6},
    {"time", 2, -1, 8, 7},
    {"timestamp", 2, -1, 10, 8},
    {"timestamptz", 2, -1, 10, 8},
    {"string", 6, -1, 0, 1},
    {"uuid", 7, 16, -1, 14},
    {"fixed[3]", 7, 3, -1, 0},
    {"binary", 6, -1, -1, 0},
    {"decimal(1, 0)", 1, -1, 5, 5},
    {"decimal(2, 2)", 1, -1, 5, 5},
    {"decimal(9, 2)", 1, -1, 5, 5},
    {"decimal(9, 4)", 1, -1, 5, 5},
    {"decimal(10, 4)", 2, -1, 5, 5},
    {"decimal(12, 2)", 2, -1, 5, 5},
    {"decimal(18, 0)", 2, -1, 5, 5},
    {"decimal(19, 0)", 7, 9, 5, 5},
    {"decimal(20, 3)", 7, 9, 5, 5},
    {"decimal(28, 10)", 7, 12, 5, 5},
    {"decimal(29, 10)", 7, 13, 5, 5},
    {"decimal(30, 2)", 7, 13, 5, 5},
    {"decimal(38, 0)", 7, 16, 5, 5},
};

static void check_logical(const struct parquet_node *element, const struct iceberg_type *type, int number)
{
    const struct parquet_node *logical = parquet_find(element, 10);
    if (number == 0) {
        assert_null(logical);
        return;
    }
    assert_non_null(logical);
    assert_int_equal(logical->count, 1);
    const struct parquet_node *chosen = parquet_get(logical, number);
    if (type->kind == ICEBERG_DECIMAL) {
        assert_int_equal(parquet_number(chosen, 1), type->scale);
        assert_int_equal(parquet_number(chosen, 2), type->precision);
        assert_int_equal(parquet_number(element, 7), type->scale);
        assert_int_equal(parquet_number(element, 8), type->precision);
    } else if (number == 7 || number == 8) {
        assert_int_equal(parquet_number(chosen, 1), type->kind == ICEBERG_TIMESTAMPTZ);
        assert_int_equal(parquet_get(parquet_get(chosen, 2), 2)->count, 0); /* MICROS */
    } else {
        assert_int_equal(chosen->count, 0);
    }
}

static void check_element(const struct parquet_node *element, const struct iceberg_field *field)
{
    TN_AUTO_BUF type = {0};
    iceberg_type_format(field->type, &type);
    struct iceberg_bytes name = parquet_get(element, 4)->bytes;
    assert_int_equal(name.length, strlen(field->name));
    assert_memory_equal(name.data, field->name, name.length);
    assert_int_equal(parquet_number(element, 9), field->id);
    assert_int_equal(parquet_number(element, 3), !field->required);
    for (size_t i = 0; i < TN_COUNT(annotations); i++) {
        if (strcmp(annotations[i].type, type.data) != 0)
            continue;
        assert_int_equal(parquet_number(element, 1), annotations[i].physical);
        assert_int_equal(parquet_option(element, 2), annotations[i].length);
        assert_int_equal(parquet_option(element, 6), annotations[i].converted);
        check_logical(element, field->type, annotations[i].logical);
        return;
    }
    fail_msg("no annotation is known for %s", type.data);
}

static bool is_nan(const struct iceberg_type *type, struct iceberg_bytes cell)
{
    TN_AUTO_BUF text = {0};
    iceberg_value_format(type, cell, &text);
    return (type->kind == ICEBERG_DOUBLE || type->kind == ICEBERG_FLOAT) && strcmp(text.data, "nan") == 0;
}

/* The statistics of both kinds against the cells themselves. */
static void check_stats(struct tn_arena *arena, const struct parquet_file *parquet, size_t column,
                        const struct iceberg_field *field, const struct iceberg_bytes *cells, size_t stride,
                        size_t rows, const struct iceberg_file *file)
{
    const struct iceberg_type *type = field->type;
    const struct parquet_node *statistics = parquet_statistics(parquet, column);
    const struct parquet_node *element = parquet_element(parquet, column);
    const struct iceberg_stats *stats = iceberg_file_stats(file, field->id);
    struct iceberg_bytes low = {NULL, 0}, high = {NULL, 0};
    int64_t nulls = 0, nans = 0;
    bool floats = type->kind == ICEBERG_DOUBLE || type->kind == ICEBERG_FLOAT;
    for (size_t row = 0; row < rows; row++) {
        struct iceberg_bytes cell = cells[row * stride];
        nulls += !cell.data;
        if (!cell.data || is_nan(type, cell)) {
            nans += cell.data != NULL;
            continue;
        }
        low = !low.data || iceberg_value_compare(type, cell, low) < 0 ? cell : low;
        high = !high.data || iceberg_value_compare(type, cell, high) > 0 ? cell : high;
    }
    assert_non_null(stats);
    assert_int_equal(stats->value_count, rows);
    assert_int_equal(stats->null_count, nulls);
    assert_int_equal(stats->nan_count, floats ? nans : ICEBERG_NONE);
    assert_int_equal(stats->column_size, parquet_number(parquet_chunk(parquet, column), 7));
    struct iceberg_bytes lower = iceberg_bound_lower(arena, type, low);
    struct iceberg_bytes upper = iceberg_bound_upper(arena, type, high);
    assert_true(same(stats->lower, lower));
    assert_true(same(stats->upper, upper));
    assert_int_equal(parquet_number(statistics, 3), nulls);
    assert_int_equal(parquet_option(statistics, 9), floats ? nans : -1);
    assert_null(parquet_find(statistics, 1));
    assert_null(parquet_find(statistics, 2));
    if (!low.data || nans || (high.length > 64 && !upper.data)) {
        assert_null(parquet_find(statistics, 5));
        assert_null(parquet_find(statistics, 6));
        return;
    }
    bool cut = type->kind == ICEBERG_STRING || type->kind == ICEBERG_BINARY;
    assert_int_equal(parquet_number(statistics, 7), !cut || high.length <= 64);
    assert_int_equal(parquet_number(statistics, 8), !cut || low.length <= 64);
    high = floats || !parquet_number(statistics, 7) ? upper : high;
    low = floats || !parquet_number(statistics, 8) ? lower : low;
    assert_true(same(canonical(arena, element, parquet_get(statistics, 5)->bytes), high));
    assert_true(same(canonical(arena, element, parquet_get(statistics, 6)->bytes), low));
}

static void check_file(struct tn_arena *arena, const struct iceberg_schema *schema, const struct iceberg_bytes *cells,
                       size_t rows, const void *bytes, size_t length, const struct iceberg_file *file)
{
    size_t count = schema->field_count;
    struct parquet_file parquet = parquet_open(arena, bytes, length);
    assert_int_equal(parquet_number(parquet.footer, 1), 1);
    assert_int_equal(parquet_number(parquet.footer, 3), rows);
    assert_int_equal(parquet_get(parquet.footer, 2)->count, count + 1);
    assert_int_equal(parquet_number(parquet_get(parquet.footer, 2)->parts[0], 5), count);
    assert_int_equal(parquet_get(parquet.footer, 7)->count, count);
    assert_int_equal(parquet_get(parquet.group, 1)->count, count);
    assert_int_equal(parquet_number(parquet.group, 3), rows);
    assert_int_equal(file->content, ICEBERG_DATA);
    assert_int_equal(file->record_count, rows);
    assert_int_equal(file->size_bytes, length);
    assert_int_equal(file->stats_count, count);
    assert_int_equal(file->split_count, 1);
    assert_int_equal(file->split_offsets[0], 4);
    assert_int_equal(file->sort_order_id, ICEBERG_NONE);
    assert_null(file->path);
    int64_t stored = 0;
    for (size_t i = 0; i < count; i++) {
        if (i)
            assert_true(file->stats[i].field_id > file->stats[i - 1].field_id);
        assert_int_equal(parquet_get(parquet_get(parquet.footer, 7)->parts[i], 1)->count, 0);
        check_element(parquet_element(&parquet, i), &schema->fields[i]);
        struct iceberg_bytes *read = parquet_cells(&parquet, i);
        for (size_t row = 0; row < rows; row++)
            assert_true(same(canonical(arena, parquet_element(&parquet, i), read[row]), cells[row * count + i]));
        check_stats(arena, &parquet, i, &schema->fields[i], cells + i, count, rows, file);
        stored += parquet_number(parquet_chunk(&parquet, i), 7);
    }
    assert_int_equal(parquet_number(parquet.group, 6), stored);
}

static const struct sample *sample_named(const char *name)
{
    for (size_t i = 0; i < TN_COUNT(samples); i++)
        if (strcmp(samples[i].name, name) == 0)
            return &samples[i];
    fail_msg("no sample %s", name);
    return NULL;
}

static void samples_read_back(void **state)
{
    for (size_t i = 0; i < TN_COUNT(samples); i++) {
        TN_AUTO_BUF out = {0};
        struct iceberg_file file;
        const struct iceberg_schema *schema = sample_schema(*state, &samples[i]);
        struct iceberg_bytes *cells = sample_cells(*state, &samples[i], schema);
        assert_true(iceberg_small_can(schema));
        assert_ok(iceberg_small_write(*state, schema, cells, samples[i].rows, &out, &file, &test_err));
        check_file(*state, schema, cells, samples[i].rows, out.data, out.len, &file);
    }
}

/* Offsets count from the file's own start. */
static void behind_other_bytes(void **state)
{
    TN_AUTO_BUF alone = {0}, behind = {0};
    struct iceberg_file file;
    const struct sample *sample = sample_named("types");
    const struct iceberg_schema *schema = sample_schema(*state, sample);
    struct iceberg_bytes *cells = sample_cells(*state, sample, schema);
    tn_buf_puts(&behind, "before");
    assert_ok(iceberg_small_write(*state, schema, cells, sample->rows, &alone, &file, &test_err));
    assert_ok(iceberg_small_write(*state, schema, cells, sample->rows, &behind, &file, &test_err));
    assert_int_equal(behind.len, alone.len + 6);
    assert_memory_equal(behind.data, "before", 6);
    assert_memory_equal(behind.data + 6, alone.data, alone.len);
    assert_int_equal(file.size_bytes, alone.len);
}

static void large_columns_are_compressed(void **state)
{
    TN_AUTO_BUF out = {0};
    struct iceberg_file file;
    const struct sample *sample = sample_named("many");
    const struct iceberg_schema *schema = sample_schema(*state, sample);
    struct iceberg_bytes *cells = sample_cells(*state, sample, schema);
    assert_ok(iceberg_small_write(*state, schema, cells, 100, &out, &file, &test_err));
    struct parquet_file parquet = parquet_open(*state, out.data, out.len);
    for (size_t i = 0; i < schema->field_count; i++)
        assert_int_equal(parquet_number(parquet_chunk(&parquet, i), 4), 0);
    tn_buf_clear(&out);
    assert_ok(iceberg_small_write(*state, schema, cells, sample->rows, &out, &file, &test_err));
    parquet = parquet_open(*state, out.data, out.len);
    const struct parquet_node *chunk = parquet_chunk(&parquet, 1);
    assert_int_equal(parquet_number(chunk, 4), 6);
    assert_true(parquet_number(chunk, 7) < parquet_number(chunk, 6) / 2);
}

/* --- Statistics, by hand --- */

static const struct {
    const char *sample, *column;
    const char *min, *max;     /* Parquet's; NULL: absent */
    const char *lower, *upper; /* the manifest's */
} known_stats[] = {
    {"floats", "plain", "000000000000f0ff", "000000000000f07f", "000000000000f0ff", "000000000000f07f"},
    {"floats", "zeros", "0000000000000080", "0000000000000000", "0000000000000080", "0000000000000000"},
    {"floats", "below", "000000000000f8bf", "0000000000000000", "000000000000f8bf", "0000000000000000"},
    {"floats", "some_nan", NULL, NULL, "00000000000004c0", "000000000000f83f"},
    {"floats", "only_nan", NULL, NULL, NULL, NULL},
    {"floats", "f_zeros", "00000080", "00000000", "00000080", "00000000"},
    {"floats", "f_nan", NULL, NULL, "00000080", "0000c03f"},
    {"nulls", "f", NULL, NULL, NULL, NULL},
    {"types", "flag", "00", "01", "00", "01"},
    {"types", "money", "ffffffff", "ffc99a3b", "ff", "3b9ac9ff"},
    {"types", "clock", "0000000000000000", "ff5fd71d14000000", "0000000000000000", "ff5fd71d14000000"},
    {"types", "code", "000000", "ffffff", "000000", "ffffff"},
    {"types", "words", "", "f09f909f", "", "f09f909f"},
    {"types", "blob", "", "7f", "", "7f"},
    {"decimals", "d19", "ff7538dcfb76180001", "008ac7230489e7ffff", "ff7538dcfb76180001", "008ac7230489e7ffff"},
    {"decimals", "d29", "fffffffffffffffff7d9d66200", "000000000000000002f4fa9f00", "f7d9d66200", "02f4fa9f00"},
    {"texts", "line", "", "c3a9c3a9c3a9", "", "c3a9c3a9c3a9"},
    {"texts", "top", NULL, NULL, "61", NULL},
};

static void known_statistics(void **state)
{
    for (size_t i = 0; i < TN_COUNT(known_stats); i++) {
        TN_AUTO_BUF out = {0};
        struct iceberg_file file;
        const struct sample *sample = sample_named(known_stats[i].sample);
        const struct iceberg_schema *schema = sample_schema(*state, sample);
        size_t column = 0;
        while (strcmp(schema->fields[column].name, known_stats[i].column) != 0)
            column++;
        assert_ok(iceberg_small_write(*state, schema, sample_cells(*state, sample, schema), sample->rows, &out, &file,
                                      &test_err));
        struct parquet_file parquet = parquet_open(*state, out.data, out.len);
        const struct parquet_node *statistics = parquet_statistics(&parquet, column);
        const struct parquet_node *min = parquet_find(statistics, 6), *max = parquet_find(statistics, 5);
        const struct iceberg_stats *stats = iceberg_file_stats(&file, schema->fields[column].id);
        assert_hex(*state, min ? min->bytes : (struct iceberg_bytes){NULL, 0}, known_stats[i].min);
        assert_hex(*state, max ? max->bytes : (struct iceberg_bytes){NULL, 0}, known_stats[i].max);
        assert_hex(*state, stats->lower, known_stats[i].lower);
        assert_hex(*state, stats->upper, known_stats[i].upper);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA_TEST(thrift_bytes),       ARENA_TEST(samples_read_back),
        ARENA_TEST(behind_other_bytes), ARENA_TEST(large_columns_are_compressed),
        ARENA_TEST(known_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
