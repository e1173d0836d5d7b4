/* What COPY ... RETURN_STATS says about a file.
 *
 * One row: filename, count, file_size_bytes, footer_size_bytes,
 * column_statistics MAP(path -> MAP(name -> text)), and two columns that are
 * not needed here.
 */
#include "engine/vec.h"

enum { COLUMN_COUNT = 1, COLUMN_SIZE = 2, COLUMN_STATISTICS = 4 };

static char *string_at(const struct vec *vec, size_t row, struct tn_arena *arena)
{
    size_t length;
    const char *text = vec_string(vec, row, &length);
    return tn_arena_strndup(arena, text, length);
}

static void set_number(int64_t *ret, const char *text)
{
    int64_t value = 0;
    if (tn_parse_i64(text, &value))
        *ret = value;
}

static void set_stat(struct engine_column_stats *stats, const char *name, const char *value)
{
    if (tn_streq(name, "min"))
        stats->min = value;
    else if (tn_streq(name, "max"))
        stats->max = value;
    else if (tn_streq(name, "min_is_exact"))
        stats->min_exact = tn_streq(value, "true");
    else if (tn_streq(name, "max_is_exact"))
        stats->max_exact = tn_streq(value, "true");
    else if (tn_streq(name, "null_count"))
        set_number(&stats->null_count, value);
    else if (tn_streq(name, "num_values"))
        set_number(&stats->value_count, value);
    else if (tn_streq(name, "column_size_bytes"))
        set_number(&stats->size_bytes, value);
    else if (tn_streq(name, "nan_count"))
        set_number(&stats->nan_count, value);
}

static void read_column(const struct vec *inner, size_t row, struct tn_arena *arena, struct engine_column_stats *ret)
{
    const duckdb_list_entry *entry = (const duckdb_list_entry *)inner->data + row;
    for (uint64_t i = 0; i < entry->length; i++) {
        size_t at = (size_t)(entry->offset + i);
        if (vec_valid(inner->children[1], at))
            set_stat(ret, string_at(inner->children[0], at, arena), string_at(inner->children[1], at, arena));
    }
}

static enum tn_code shape_of(duckdb_data_chunk chunk, size_t column, struct tn_arena *arena, struct vec **ret,
                             struct tn_error *err)
{
    duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, column);
    duckdb_logical_type type = duckdb_vector_get_column_type(vector);
    enum tn_code code = vec_new(type, arena, ret, err);
    duckdb_destroy_logical_type(&type);
    if (code == TN_OK)
        vec_point(*ret, vector);
    return code;
}

enum tn_code engine_stats_read(duckdb_data_chunk chunk, struct tn_arena *arena, struct engine_file_stats *ret,
                               struct tn_error *err)
{
    struct vec *count, *size, *statistics;
    if (duckdb_data_chunk_get_column_count(chunk) <= COLUMN_STATISTICS || duckdb_data_chunk_get_size(chunk) == 0)
        return tn_fail(err, TN_EINTERNAL, "the SQL engine's statistics of a written file have another shape");
    TN_TRY(shape_of(chunk, COLUMN_COUNT, arena, &count, err));
    TN_TRY(shape_of(chunk, COLUMN_SIZE, arena, &size, err));
    TN_TRY(shape_of(chunk, COLUMN_STATISTICS, arena, &statistics, err));
    if (statistics->type != DUCKDB_TYPE_MAP || statistics->children[1]->type != DUCKDB_TYPE_MAP)
        return tn_fail(err, TN_EINTERNAL, "the SQL engine's column statistics have another shape");
    struct engine_file_stats stats = {
        .rows = (uint64_t)vec_integer(count, 0),
        .size_bytes = (uint64_t)vec_integer(size, 0),
    };
    const duckdb_list_entry *entry = statistics->data;
    bool known = vec_valid(statistics, 0);
    stats.column_count = known ? (size_t)entry->length : 0;
    stats.columns = TN_ARENA_ARRAY(arena, struct engine_column_stats, stats.column_count + 1);
    for (size_t i = 0; i < stats.column_count; i++) {
        struct engine_column_stats *column = &stats.columns[i];
        *column =
            (struct engine_column_stats){.null_count = -1, .value_count = -1, .size_bytes = -1, .nan_count = -1};
        column->path = string_at(statistics->children[0], (size_t)entry->offset + i, arena);
        read_column(statistics->children[1], (size_t)entry->offset + i, arena, column);
    }
    *ret = stats;
    return TN_OK;
}
