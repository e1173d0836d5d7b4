/* tarn_number(id, a, b, ...): a number that C code gives to a row.
 *
 * What the engine itself has no function for, such as the partition of a row,
 * is computed where it is known and sorted and filtered by the engine. The text
 * of a statement names the code by its number; numbers are never used again, so
 * that a text which outlives it fails.
 */
#include "engine/cell.h"
#include "engine/engine_internal.h"
#include "engine/vec.h"

struct number_entry {
    uint64_t id;
    engine_number_fn *number;
    void *context;
    struct number_entry *next;
};

struct numbers {
    pthread_mutex_t mutex;
    uint64_t next_id;
    struct number_entry *entries; /* a few: one for each statement that runs */
};

struct numbers *numbers_new(void)
{
    struct numbers *numbers = tn_calloc(1, sizeof *numbers);
    pthread_mutex_init(&numbers->mutex, NULL);
    numbers->next_id = 1;
    return numbers;
}

void numbers_free(struct numbers *numbers)
{
    while (numbers && numbers->entries) {
        struct number_entry *entry = numbers->entries;
        numbers->entries = entry->next;
        free(entry);
    }
    if (numbers)
        pthread_mutex_destroy(&numbers->mutex);
    free(numbers);
}

uint64_t engine_number_add(struct engine *engine, engine_number_fn *number, void *context)
{
    struct numbers *numbers = engine->numbers;
    struct number_entry *entry = tn_malloc(sizeof *entry);
    pthread_mutex_lock(&numbers->mutex);
    *entry = (struct number_entry){numbers->next_id++, number, context, numbers->entries};
    numbers->entries = entry;
    uint64_t id = entry->id;
    pthread_mutex_unlock(&numbers->mutex);
    return id;
}

void engine_number_remove(struct engine *engine, uint64_t id)
{
    struct numbers *numbers = engine->numbers;
    pthread_mutex_lock(&numbers->mutex);
    struct number_entry **link = &numbers->entries;
    while (*link && (*link)->id != id)
        link = &(*link)->next;
    struct number_entry *entry = *link;
    if (entry)
        *link = entry->next;
    pthread_mutex_unlock(&numbers->mutex);
    free(entry);
}

/* ---- the function ------------------------------------------------------------ */

static bool look_up(struct numbers *numbers, uint64_t id, struct number_entry *ret)
{
    pthread_mutex_lock(&numbers->mutex);
    const struct number_entry *entry = numbers->entries;
    while (entry && entry->id != id)
        entry = entry->next;
    if (entry)
        *ret = *entry;
    pthread_mutex_unlock(&numbers->mutex);
    return entry != NULL;
}

static enum tn_code open_columns(duckdb_data_chunk input, size_t count, struct tn_arena *arena, struct vec **ret,
                                 struct tn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        duckdb_vector vector = duckdb_data_chunk_get_vector(input, i + 1);
        duckdb_logical_type type = duckdb_vector_get_column_type(vector);
        enum tn_code code = vec_new(type, arena, &ret[i], err);
        duckdb_destroy_logical_type(&type);
        TN_TRY(code);
        vec_point(ret[i], vector);
    }
    return TN_OK;
}

static enum tn_code number_rows(struct numbers *numbers, duckdb_data_chunk input, int64_t *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    size_t rows = (size_t)duckdb_data_chunk_get_size(input);
    size_t count = (size_t)duckdb_data_chunk_get_column_count(input) - 1;
    const int64_t *ids = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 0));
    struct vec **columns = TN_ARENA_ARRAY(arena, struct vec *, count + 1);
    struct engine_cell *cells = TN_ARENA_ARRAY(arena, struct engine_cell, count + 1);
    struct number_entry entry = {0};
    TN_TRY(open_columns(input, count, arena, columns, err));
    for (size_t row = 0; row < rows; row++) {
        uint64_t id = (uint64_t)ids[row];
        if (entry.id != id && !look_up(numbers, id, &entry))
            return tn_fail(err, TN_EINTERNAL, "there is no code of number %llu any more", (unsigned long long)id);
        for (size_t i = 0; i < count; i++)
            if (!cell_read(columns[i], row, &cells[i]))
                return tn_fail(err, TN_EUNSUPPORTED, "argument %zu of tarn_number has a type without cells", i + 1);
        TN_TRY(entry.number(entry.context, cells, count, &ret[row], err));
    }
    return TN_OK;
}

/* Who removes the code takes the same lock, and so sees all that it did. */
static void hand_over(struct numbers *numbers)
{
    pthread_mutex_lock(&numbers->mutex);
    pthread_mutex_unlock(&numbers->mutex);
}

static void number_of(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
    struct numbers *numbers = duckdb_scalar_function_get_extra_info(info);
    struct tn_error err = {0};
    if (number_rows(numbers, input, duckdb_vector_get_data(output), &err) != TN_OK)
        duckdb_scalar_function_set_error(info, err.detail);
    hand_over(numbers);
}

enum tn_code numbers_register(duckdb_connection connection, struct numbers *numbers, struct tn_error *err)
{
    duckdb_scalar_function function = duckdb_create_scalar_function();
    duckdb_logical_type bigint = duckdb_create_logical_type(DUCKDB_TYPE_BIGINT);
    duckdb_logical_type any = duckdb_create_logical_type(DUCKDB_TYPE_ANY);
    duckdb_scalar_function_set_name(function, "tarn_number");
    duckdb_scalar_function_add_parameter(function, bigint);
    duckdb_scalar_function_set_varargs(function, any);
    duckdb_scalar_function_set_return_type(function, bigint);
    duckdb_scalar_function_set_special_handling(function); /* a NULL has a number too */
    duckdb_scalar_function_set_extra_info(function, numbers, NULL);
    duckdb_scalar_function_set_function(function, number_of);
    duckdb_state state = duckdb_register_scalar_function(connection, function);
    duckdb_destroy_logical_type(&any);
    duckdb_destroy_logical_type(&bigint);
    duckdb_destroy_scalar_function(&function);
    if (state != DuckDBSuccess)
        return tn_fail(err, TN_EINTERNAL, "the SQL engine refuses the function tarn_number");
    return TN_OK;
}
