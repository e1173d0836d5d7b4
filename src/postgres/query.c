/* Statements and their results. */
#include "postgres/postgres_internal.h"

enum tn_code postgres_arrange(const struct postgres_param *params, size_t count, struct postgres_sent **ret,
                              struct tn_error *err)
{
    if (count > POSTGRES_PARAMS_MOST)
        return tn_fail(err, TN_EINTERNAL, "%zu parameters: at most %d", count, POSTGRES_PARAMS_MOST);
    struct postgres_sent *sent = tn_calloc(1, sizeof *sent);
    for (size_t i = 0; i < count; i++) {
        if (params[i].length > INT32_MAX) {
            free(sent);
            return tn_fail(err, TN_ETOOLARGE, "parameter %zu has %zu bytes", i + 1, params[i].length);
        }
        sent->types[i] = params[i].type;
        sent->values[i] = params[i].data;
        sent->lengths[i] = (int)params[i].length;
        sent->formats[i] = params[i].binary;
    }
    *ret = sent;
    return TN_OK;
}

void postgres_give(PGresult *result, struct postgres_result **ret)
{
    if (!ret) {
        PQclear(result);
        return;
    }
    struct postgres_result *given = tn_calloc(1, sizeof *given);
    given->result = result;
    *ret = given;
}

enum tn_code postgres_run(struct postgres *pg, const char *sql, struct tn_error *err)
{
    TN_TRY(postgres_ready(pg, err));
    if (!PQsendQuery(pg->conn, sql))
        return postgres_fail_connection(pg, err);
    AUTO_RESULT *result = NULL;
    return postgres_finish(pg, &result, err);
}

enum tn_code postgres_runf(struct postgres *pg, struct tn_error *err, const char *format, ...)
{
    TN_AUTO_BUF sql = {0};
    va_list args;
    va_start(args, format);
    tn_buf_vprintf(&sql, format, args);
    va_end(args);
    return postgres_run(pg, sql.data, err);
}

/* The one answer to what was sent. */
static enum tn_code answer_of(struct postgres *pg, struct postgres_result **ret, struct tn_error *err)
{
    PGresult *result = NULL;
    TN_TRY(postgres_finish(pg, &result, err));
    postgres_give(result, ret);
    return TN_OK;
}

enum tn_code postgres_query(struct postgres *pg, const char *sql, const struct postgres_param *params, size_t count,
                            enum postgres_format format, struct postgres_result **ret, struct tn_error *err)
{
    TN_AUTO_FREE struct postgres_sent *sent = NULL;
    TN_TRY(postgres_ready(pg, err));
    TN_TRY(postgres_arrange(params, count, &sent, err));
    if (!PQsendQueryParams(pg->conn, sql, (int)count, sent->types, sent->values, sent->lengths, sent->formats,
                           format == POSTGRES_BINARY))
        return postgres_fail_connection(pg, err);
    return answer_of(pg, ret, err);
}

enum tn_code postgres_prepare(struct postgres *pg, const char *name, const char *sql, const uint32_t *types,
                              size_t count, struct tn_error *err)
{
    TN_TRY(postgres_ready(pg, err));
    if (!PQsendPrepare(pg->conn, name, sql, (int)count, types))
        return postgres_fail_connection(pg, err);
    AUTO_RESULT *result = NULL;
    return postgres_finish(pg, &result, err);
}

enum tn_code postgres_execute(struct postgres *pg, const char *name, const struct postgres_param *params,
                              size_t count, enum postgres_format format, struct postgres_result **ret,
                              struct tn_error *err)
{
    TN_AUTO_FREE struct postgres_sent *sent = NULL;
    TN_TRY(postgres_ready(pg, err));
    TN_TRY(postgres_arrange(params, count, &sent, err));
    if (!PQsendQueryPrepared(pg->conn, name, (int)count, sent->values, sent->lengths, sent->formats,
                             format == POSTGRES_BINARY))
        return postgres_fail_connection(pg, err);
    return answer_of(pg, ret, err);
}

enum tn_code postgres_describe(struct postgres *pg, const char *sql, struct postgres_result **ret,
                               struct tn_error *err)
{
    TN_TRY(postgres_prepare(pg, "", sql, NULL, 0, err));
    TN_TRY(postgres_ready(pg, err));
    if (!PQsendDescribePrepared(pg->conn, ""))
        return postgres_fail_connection(pg, err);
    return answer_of(pg, ret, err);
}

enum tn_code postgres_get(struct postgres *pg, const char *sql, const struct postgres_param *params, size_t count,
                          struct tn_arena *arena, const char **ret, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *result = NULL;
    TN_TRY(postgres_query(pg, sql, params, count, POSTGRES_TEXT, &result, err));
    if (postgres_rows(result) == 0 || postgres_columns(result) == 0)
        return tn_fail(err, TN_ENOTFOUND, "%s: no row", pg->label);
    *ret = postgres_is_null(result, 0, 0) ? NULL : tn_arena_strdup(arena, postgres_value(result, 0, 0));
    return TN_OK;
}

enum tn_code postgres_type_oid(struct postgres *pg, const char *name, uint32_t *ret, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *result = NULL;
    struct postgres_param param = postgres_text(name);
    TN_TRY(postgres_query(pg, "SELECT to_regtype($1::text)::oid::int8", &param, 1, POSTGRES_TEXT, &result, err));
    *ret = (uint32_t)postgres_value_i64(result, 0, 0);
    return TN_OK;
}

/* ---- results ----------------------------------------------------------------- */

void postgres_result_free(struct postgres_result *result)
{
    if (!result)
        return;
    PQclear(result->result);
    free(result);
}

size_t postgres_rows(const struct postgres_result *result)
{
    return (size_t)PQntuples(result->result);
}

size_t postgres_columns(const struct postgres_result *result)
{
    return (size_t)PQnfields(result->result);
}

const char *postgres_column_name(const struct postgres_result *result, size_t column)
{
    return PQfname(result->result, (int)column);
}

uint32_t postgres_column_type(const struct postgres_result *result, size_t column)
{
    return PQftype(result->result, (int)column);
}

int postgres_column_typmod(const struct postgres_result *result, size_t column)
{
    return PQfmod(result->result, (int)column);
}

bool postgres_is_null(const struct postgres_result *result, size_t row, size_t column)
{
    return PQgetisnull(result->result, (int)row, (int)column) != 0;
}

const char *postgres_value(const struct postgres_result *result, size_t row, size_t column)
{
    return PQgetvalue(result->result, (int)row, (int)column);
}

size_t postgres_value_length(const struct postgres_result *result, size_t row, size_t column)
{
    return (size_t)PQgetlength(result->result, (int)row, (int)column);
}

int64_t postgres_value_i64(const struct postgres_result *result, size_t row, size_t column)
{
    const char *value = postgres_value(result, row, column);
    const unsigned char *bytes = (const unsigned char *)value;
    int64_t number = 0;
    if (PQfformat(result->result, (int)column) == 0)
        (void)tn_parse_i64(value, &number);
    else if (postgres_value_length(result, row, column) == 8)
        number = (int64_t)postgres_u64(bytes);
    else if (postgres_value_length(result, row, column) == 4)
        number = (int32_t)postgres_u32(bytes);
    else if (postgres_value_length(result, row, column) == 2)
        number = (int16_t)postgres_u16(bytes);
    return number;
}

bool postgres_value_bool(const struct postgres_result *result, size_t row, size_t column)
{
    const char *value = postgres_value(result, row, column);
    return value[0] == 't' || value[0] == 1;
}

uint64_t postgres_affected(const struct postgres_result *result)
{
    uint64_t count = 0;
    (void)tn_parse_u64(PQcmdTuples(result->result), &count);
    return count;
}

struct postgres_param postgres_i64(int64_t value, unsigned char storage[8])
{
    uint64_t swapped = __builtin_bswap64((uint64_t)value);
    memcpy(storage, &swapped, 8);
    return (struct postgres_param){.type = POSTGRES_INT8, .data = storage, .length = 8, .binary = true};
}
