/* The second wall: what DuckDB itself is told to refuse.
 *
 * The guard is the first wall, and it judges only text from outside. These
 * settings hold for every statement, Tarn's own included: no file outside the
 * readable folders, no extension, no network, and, once lock_configuration is
 * set, no way back.
 */
#include "engine/engine_internal.h"

static enum tn_code set(duckdb_connection connection, struct tn_error *err, const char *sql)
{
    duckdb_result result;
    enum tn_code code = TN_OK;
    if (duckdb_query(connection, sql, &result) != DuckDBSuccess) {
        code = tn_fail(err, TN_EINTERNAL, "the SQL engine refuses \"%s\": %s", sql, duckdb_result_error(&result));
    }
    duckdb_destroy_result(&result);
    return code;
}

static void put_folders(struct tn_buf *sql, const struct engine_options *options)
{
    tn_buf_puts(sql, "SET allowed_directories = [");
    for (size_t i = 0; i < options->readable_count; i++) {
        if (i)
            tn_buf_puts(sql, ", ");
        tn_buf_put_sql_string(sql, options->readable_folders[i]);
    }
    tn_buf_puts(sql, "]");
}

static enum tn_code set_spilling(duckdb_connection connection, const struct engine_options *options,
                                 uint64_t memory_bytes, struct tn_error *err)
{
    const char *folder = options->temp_folder ? options->temp_folder : "";
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SET temp_directory = ");
    tn_buf_put_sql_string(&sql, folder);
    TN_TRY(set(connection, err, sql.data));
    if (!*folder)
        return TN_OK;
    uint64_t bytes = options->temp_bytes;
    if (!bytes)
        bytes = memory_bytes < UINT64_MAX / 16 ? memory_bytes * 10 : memory_bytes;
    tn_buf_clear(&sql);
    tn_buf_printf(&sql, "SET max_temp_directory_size = '%lluB'", (unsigned long long)bytes);
    return set(connection, err, sql.data);
}

enum tn_code engine_lockdown(duckdb_connection connection, const struct engine_options *options,
                             uint64_t memory_bytes, struct tn_error *err)
{
    static const char *const fixed[] = {
        "SET GLOBAL TimeZone = 'UTC'",
        "SET GLOBAL Calendar = 'gregorian'",
        /* Errors arrive as JSON: kind, byte position and candidates. */
        "SET GLOBAL errors_as_json = true",
        "SET GLOBAL enable_object_cache = true",
        /* It would keep the footer of every small file that was ever read, long after compaction removed the file:
         * a lake that is written to all day grew without end. What is read often is a hot copy anyway. */
        "SET GLOBAL parquet_metadata_cache = false",
        /* Nor what stood in them; the system's own cache has that, and lets go of it with the file. */
        "SET GLOBAL enable_external_file_cache = false",
        "SET GLOBAL preserve_insertion_order = true",
        /* It makes the rows of groups, sorts and joins narrower by a call for each value of each row, and what it
         * gains by that is less: a group by a short text behind a join took a third longer. */
        "SET GLOBAL disabled_optimizers = 'compressed_materialization'",
        "SET GLOBAL enable_logging = false",
        /* Not needed, and each a way to a file or to the host's settings. */
        "SET GLOBAL allow_persistent_secrets = false",
        "SET GLOBAL enable_external_access = false",
        "SET GLOBAL lock_configuration = true",
    };
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "SET memory_limit = '%lluB'", (unsigned long long)memory_bytes);
    TN_TRY(set(connection, err, sql.data));
    TN_TRY(set_spilling(connection, options, memory_bytes, err));
    tn_buf_clear(&sql);
    put_folders(&sql, options);
    TN_TRY(set(connection, err, sql.data));
    for (size_t i = 0; i < TN_COUNT(fixed); i++)
        TN_TRY(set(connection, err, fixed[i]));
    return TN_OK;
}
