/* tarn_source(): rows that Tarn reads itself, as a table function.
 *
 * The function is registered once for the whole database and takes no
 * argument. Which source it means is a variable of the thread that compiles
 * the statement: DuckDB binds on the calling thread, and from there on the
 * bind data carries the source to whichever thread runs it. Two copies on two
 * threads therefore never meet. Text from outside cannot reach it: the guard
 * refuses the name, and without a source binding fails.
 */
#include "engine/engine_internal.h"

static __thread struct engine_source_run *current;

/* The scan moves between DuckDB's threads, one at a time, through a queue that
 * a race detector cannot see into: this is the order of the moves for it. */
static atomic_uint moves;

static void hand_over(void)
{
    atomic_fetch_add(&moves, 1);
}

static void bind(duckdb_bind_info info)
{
    struct engine_source_run *run = current;
    if (!run) {
        duckdb_bind_set_error(info, "tarn_source() has no source here");
        return;
    }
    for (size_t i = 0; i < run->source->column_count; i++) {
        duckdb_logical_type type = engine_type_make(run->source->columns[i].type);
        if (!type) {
            duckdb_bind_set_error(info, "a source's column has a type that is for results only");
            return;
        }
        duckdb_bind_add_result_column(info, run->source->columns[i].name, type);
        duckdb_destroy_logical_type(&type);
    }
    if (run->rows)
        duckdb_bind_set_cardinality(info, run->rows, true);
    duckdb_bind_set_bind_data(info, run, NULL);
}

static void init(duckdb_init_info info)
{
    duckdb_init_set_max_threads(info, 1);
}

/* Points the batch at the chunk that DuckDB wants filled. */
static void open_batch(struct engine_source_run *run, duckdb_data_chunk chunk)
{
    run->batch.rows = 0;
    for (size_t i = 0; i < run->source->column_count; i++) {
        duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, i);
        duckdb_vector_ensure_validity_writable(vector);
        run->batch.columns[i] = (struct engine_vector){
            .data = duckdb_vector_get_data(vector),
            .validity = duckdb_vector_get_validity(vector),
            .handle = vector,
        };
    }
}

static void fill_batch(struct engine_source_run *run, duckdb_function_info info, duckdb_data_chunk chunk)
{
    if (run->ended) {
        duckdb_data_chunk_set_size(chunk, 0);
        return;
    }
    open_batch(run, chunk);
    run->code = run->source->fill(run->source->context, &run->batch, &run->error);
    if (run->code != TN_OK) {
        run->ended = true;
        duckdb_function_set_error(info, "the source failed"); /* replaced by the source's own error */
        return;
    }
    run->ended = run->batch.rows == 0;
    duckdb_data_chunk_set_size(chunk, run->batch.rows);
}

static void fill(duckdb_function_info info, duckdb_data_chunk chunk)
{
    hand_over();
    fill_batch(duckdb_function_get_bind_data(info), info, chunk);
    hand_over();
}

enum tn_code engine_source_register(duckdb_connection connection, struct tn_error *err)
{
    duckdb_table_function function = duckdb_create_table_function();
    duckdb_table_function_set_name(function, "tarn_source");
    duckdb_table_function_set_bind(function, bind);
    duckdb_table_function_set_init(function, init);
    duckdb_table_function_set_function(function, fill);
    duckdb_state state = duckdb_register_table_function(connection, function);
    duckdb_destroy_table_function(&function);
    if (state != DuckDBSuccess)
        return tn_fail(err, TN_EINTERNAL, "the SQL engine refuses the function tarn_source");
    return TN_OK;
}

void engine_source_begin(struct engine_source_run *run, const struct engine_source *source, uint64_t rows)
{
    *run = (struct engine_source_run){.source = source, .rows = rows};
    if (!source)
        return;
    run->batch.capacity = (size_t)duckdb_vector_size();
    run->batch.column_count = source->column_count;
    run->batch.columns = tn_calloc(source->column_count + 1, sizeof *run->batch.columns);
    current = run;
    hand_over();
}

void engine_source_end(struct engine_source_run *run)
{
    hand_over();
    if (current == run)
        current = NULL;
    free(run->batch.columns);
    run->batch.columns = NULL;
}

void engine_vector_put_string(struct engine_vector *vector, size_t row, const char *text, size_t length)
{
    if (length > 12) {
        duckdb_vector_assign_string_element_len(vector->handle, row, text, length);
        return;
    }
    /* Short strings lie inside their slot, the rest of it zero. */
    duckdb_string_t slot = {0};
    slot.value.inlined.length = (uint32_t)length;
    memcpy(slot.value.inlined.inlined, text, length);
    ((duckdb_string_t *)vector->data)[row] = slot;
}

void engine_vector_put_uuid(struct engine_vector *vector, size_t row, const unsigned char bytes[16])
{
    uint64_t upper = 0, lower = 0;
    for (size_t i = 0; i < 8; i++) {
        upper = upper << 8 | bytes[i];
        lower = lower << 8 | bytes[8 + i];
    }
    ((duckdb_hugeint *)vector->data)[row] =
        (duckdb_hugeint){.lower = lower, .upper = (int64_t)(upper ^ (UINT64_C(1) << 63))};
}
