/* Rows for the tests of small files: as text, so that readers written in other
 * languages can make the same values of them on their own. */
#ifndef TARN_ICEBERG_SMALL_SAMPLES_H
#define TARN_ICEBERG_SMALL_SAMPLES_H

#include "iceberg/test_support.h"

#define SAMPLE_COLUMNS 24

struct sample_column {
    const char *name, *type;
    bool required;
    const char *cells[8]; /* of the first rows; NULL is NULL */
};

struct sample {
    const char *name;
    size_t rows; /* more than 8: made by sample_many_cell */
    struct sample_column columns[SAMPLE_COLUMNS];
};

#define SAMPLE_LONG_TEXT                                                                                             \
    "Jules said: \"Fahrvergn\xc3\xbcgen, na\xc3\xafvet\xc3\xa9 and \xe2\x82\xac 5 in one line of more than 64 "      \
    "bytes\""
#define SAMPLE_NINES_18 "999999999999999999"
#define SAMPLE_NINES_38 "99999999999999999999" SAMPLE_NINES_18

static const struct sample samples[] = {
    {"one",
     1,
     {{"id", "long", true, {"42"}},
      {"name", "string", false, {"Jules"}},
      {"flag", "boolean", false, {"true"}},
      {"nothing", "string", false, {NULL}}}},
    {"types",
     4,
     {{"id", "long", true, {"1", "-9223372036854775808", "9223372036854775807", "4"}},
      {"flag", "boolean", false, {"true", "false", NULL, "true"}},
      {"sure", "boolean", true, {"false", "true", "false", "false"}},
      {"small", "int", false, {"-2147483648", NULL, "2147483647", "0"}},
      {"real", "float", false, {"0.5", "-1.25", NULL, "3.4e38"}},
      {"wide", "double", false, {"0.1", "-1e300", NULL, "5e-324"}},
      {"money", "decimal(9, 2)", false, {"12.34", "-0.01", NULL, "9999999.99"}},
      {"day", "date", false, {"2024-02-29", "1969-12-31", NULL, "0001-01-01"}},
      {"clock", "time", false, {"23:59:59.999999", "00:00:00", NULL, "12:00:00.5"}},
      {"moment",
       "timestamp",
       false,
       {"2024-02-29 01:02:03.000004", "1900-01-01 00:00:00", NULL, "2024-01-01 00:00:00"}},
      {"instant",
       "timestamptz",
       false,
       {"2024-02-29 01:02:03.000004+00:00", "1970-01-01 00:00:00+00:00", NULL, "1969-12-31 23:59:59.999999+00:00"}},
      {"words",
       "string",
       false,
       {"gr\xc3\xbc\xc3\x9f dich", "", NULL, "\xf0\x9f\x90\x9f"}},
      {"key",
       "uuid",
       false,
       {"f79c3e09-677c-4bbd-a479-3f349cb785e7", "00000000-0000-0000-0000-000000000000", NULL,
        "ffffffff-ffff-ffff-ffff-ffffffffffff"}},
      {"code", "fixed[3]", false, {"0102ff", "000000", NULL, "ffffff"}},
      {"blob", "binary", false, {"00ff", "", NULL, "7f"}},
      {"due", "date", true, {"2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"}}}},
    {"decimals",
     5,
     {{"d1", "decimal(1, 0)", false, {"9", "-9", "0", "-1", NULL}},
      {"d2", "decimal(2, 2)", false, {"0.99", "-0.99", "0.00", "-0.01", NULL}},
      {"d9", "decimal(9, 4)", false, {"99999.9999", "-99999.9999", "0", "-0.0001", NULL}},
      {"d10", "decimal(10, 4)", false, {"999999.9999", "-999999.9999", "0", "-0.0001", NULL}},
      {"d18", "decimal(18, 0)", false, {SAMPLE_NINES_18, "-" SAMPLE_NINES_18, "0", "-1", NULL}},
      {"d19", "decimal(19, 0)", false, {"9" SAMPLE_NINES_18, "-9" SAMPLE_NINES_18, "0", "-1", NULL}},
      {"d20", "decimal(20, 3)", false, {"12345678901234567.891", "-128.000", "0", "-0.001", NULL}},
      {"d28", "decimal(28, 10)", false, {SAMPLE_NINES_18 ".9999999999", "-1.28", "0", "-0.0000000001", NULL}},
      {"d29", "decimal(29, 10)", false, {"1.27", "-3.5", "0", "-0.0000000001", NULL}},
      {"d38", "decimal(38, 0)", true, {SAMPLE_NINES_38, "-" SAMPLE_NINES_38, "0", "-1", "128"}}}},
    {"floats",
     4,
     {{"plain", "double", false, {"-inf", "inf", "0.0", NULL}},
      {"zeros", "double", false, {"0.0", "-0.0", "0.0", NULL}},
      {"below", "double", false, {"-0.0", "-1.5", "-0.0", NULL}},
      {"some_nan", "double", false, {"1.5", "nan", "-2.5", NULL}},
      {"only_nan", "double", false, {"nan", "nan", "nan", NULL}},
      {"f_zeros", "float", true, {"-0.0", "0.0", "-0.0", "-0.0"}},
      {"f_nan", "float", true, {"nan", "1.5", "0.25", "0.0"}}}},
    {"nulls",
     3,
     {{"a", "boolean", false, {NULL}},
      {"b", "int", false, {NULL}},
      {"c", "long", false, {NULL}},
      {"d", "float", false, {NULL}},
      {"e", "double", false, {NULL}},
      {"f", "decimal(30, 2)", false, {NULL}},
      {"g", "string", false, {NULL}},
      {"h", "uuid", false, {NULL}},
      {"i", "binary", false, {NULL}},
      {"j", "timestamptz", false, {NULL}}}},
    {"texts",
     4,
     {{"line", "string", true, {SAMPLE_LONG_TEXT, "zz" SAMPLE_LONG_TEXT, "\xc3\xa9\xc3\xa9\xc3\xa9", ""}},
      {"top",
       "string",
       false,
       {"\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf"
        "\xbf"
        "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf"
        "\xbf"
        "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf",
        NULL, "a", "b"}},
      {"bytes",
       "binary",
       false,
       {"ffffffffffffffffffffffffffffffffff", "00", NULL,
        "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f"
        "7f7f7f7f7f"
        "7f7f7f7f7f7f7f7f"}}}},
    {"many",
     10000,
     {{"id", "long", true, {NULL}},
      {"name", "string", false, {NULL}},
      {"even", "boolean", false, {NULL}},
      {"half", "double", false, {NULL}},
      {"cents", "decimal(12, 2)", false, {NULL}},
      {"noise", "string", true, {NULL}}}},
};

/* Row `row` of the sample of many rows. */
static inline const char *sample_many_cell(struct tn_arena *arena, size_t row, size_t column)
{
    uint64_t mixed = (row + 1) * UINT64_C(0x9E3779B97F4A7C15); /* no pattern that a compressor finds */
    mixed = (mixed ^ mixed >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
    switch (column) {
    case 0:
        return tn_arena_printf(arena, "%zu", row * 7);
    case 1:
        return row % 3 ? tn_arena_printf(arena, "row number %zu", row) : NULL;
    case 2:
        return row % 11 == 5 ? NULL : row % 2 ? "false" : "true";
    case 3:
        return row % 5 ? tn_arena_printf(arena, "%zu.5", row) : NULL;
    case 4:
        return tn_arena_printf(arena, "-%zu.%02zu", row, row % 100);
    default:
        return tn_arena_printf(arena, "%016llx", (unsigned long long)(mixed ^ mixed >> 32));
    }
}

static inline const char *sample_text(struct tn_arena *arena, const struct sample *sample, size_t row, size_t column)
{
    return sample->rows > TN_COUNT(sample->columns[0].cells) ? sample_many_cell(arena, row, column)
                                                             : sample->columns[column].cells[row];
}

/* Ids fall: the columns are not in the order of their ids. */
static inline const struct iceberg_schema *sample_schema(struct tn_arena *arena, const struct sample *sample)
{
    struct iceberg_field *fields = TN_ARENA_ARRAY(arena, struct iceberg_field, SAMPLE_COLUMNS);
    struct iceberg_schema *schema = tn_arena_alloc(arena, sizeof *schema);
    size_t count = 0;
    while (count < SAMPLE_COLUMNS && sample->columns[count].name)
        count++;
    for (size_t i = 0; i < count; i++) {
        const struct sample_column *column = &sample->columns[i];
        fields[i] = (struct iceberg_field){.id = (int32_t)(count - i) + 100,
                                           .name = column->name,
                                           .required = column->required,
                                           .type = iceberg_type_parse(arena, column->type)};
    }
    *schema = (struct iceberg_schema){.fields = fields, .field_count = count};
    return schema;
}

static inline struct iceberg_bytes *sample_cells(struct tn_arena *arena, const struct sample *sample,
                                                 const struct iceberg_schema *schema)
{
    size_t count = schema->field_count;
    struct iceberg_bytes *cells = TN_ARENA_ARRAY(arena, struct iceberg_bytes, sample->rows * count);
    for (size_t i = 0; i < sample->rows * count; i++) {
        const char *text = sample_text(arena, sample, i / count, i % count);
        if (text)
            cells[i] = test_value(arena, schema->fields[i % count].type, text);
    }
    return cells;
}

#endif
