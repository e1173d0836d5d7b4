/* The columns of a table or query there, and what they become here. */
#include "ingest/names.h"
#include "ingest/postgres_load.h"

#include <inttypes.h>

#define DECIMAL_MOST 38
/* A typmod of numeric: ((precision << 16) | scale) + 4, the scale in 11 bits with a sign. */
#define NUMERIC_OFFSET 4

/* Types that need no look at the server: what they become, and how they are read. */
static const struct {
    uint32_t oid;
    enum pg_form form;
    enum engine_kind kind;
    const char *sql_type;
    const char *list_type; /* of an element */
} known[] = {
    {POSTGRES_BOOL, PG_BOOL, ENGINE_BOOLEAN, "BOOLEAN", "BOOLEAN"},
    {POSTGRES_INT2, PG_INT2, ENGINE_INTEGER, "INTEGER", "INTEGER"},
    {POSTGRES_INT4, PG_INT4, ENGINE_INTEGER, "INTEGER", "INTEGER"},
    {POSTGRES_INT8, PG_INT8, ENGINE_BIGINT, "BIGINT", "BIGINT"},
    {POSTGRES_OID, PG_OID, ENGINE_BIGINT, "BIGINT", "BIGINT"},
    {POSTGRES_FLOAT4, PG_FLOAT4, ENGINE_DOUBLE, "FLOAT", "FLOAT"},
    {POSTGRES_FLOAT8, PG_FLOAT8, ENGINE_DOUBLE, "DOUBLE", "DOUBLE"},
    {POSTGRES_NUMERIC, PG_NUMERIC, ENGINE_DECIMAL, NULL, NULL},
    {POSTGRES_TEXT_TYPE, PG_TEXT, ENGINE_VARCHAR, "VARCHAR", "VARCHAR"},
    {POSTGRES_VARCHAR, PG_TEXT, ENGINE_VARCHAR, "VARCHAR", "VARCHAR"},
    {POSTGRES_BPCHAR, PG_TEXT, ENGINE_VARCHAR, "VARCHAR", "VARCHAR"},
    {POSTGRES_NAME, PG_TEXT, ENGINE_VARCHAR, "VARCHAR", "VARCHAR"},
    {POSTGRES_JSON, PG_TEXT, ENGINE_VARCHAR, "VARCHAR", "VARCHAR"},
    {POSTGRES_XML, PG_TEXT, ENGINE_VARCHAR, "VARCHAR", "VARCHAR"},
    {POSTGRES_JSONB, PG_JSONB, ENGINE_VARCHAR, "VARCHAR", "VARCHAR"},
    {POSTGRES_BYTEA, PG_BYTEA, ENGINE_BLOB, "BLOB", "VARCHAR"},
    {POSTGRES_DATE, PG_DATE, ENGINE_DATE, "DATE", "DATE"},
    {POSTGRES_TIME, PG_TIME, ENGINE_TIME, "TIME", "TIME"},
    {POSTGRES_TIMETZ, PG_TIMETZ, ENGINE_VARCHAR, "VARCHAR", "VARCHAR"},
    {POSTGRES_TIMESTAMP, PG_TIMESTAMP, ENGINE_TIMESTAMP, "TIMESTAMP", "TIMESTAMP"},
    {POSTGRES_TIMESTAMPTZ, PG_TIMESTAMPTZ, ENGINE_TIMESTAMPTZ, "TIMESTAMP WITH TIME ZONE",
     "TIMESTAMP WITH TIME ZONE"},
    {POSTGRES_INTERVAL, PG_INTERVAL, ENGINE_VARCHAR, "VARCHAR", "VARCHAR"},
    {POSTGRES_UUID, PG_UUID, ENGINE_UUID, "UUID", "UUID"},
};

/* What pg_type says of one column. */
struct server_type {
    const char *name;
    char kind; /* b base, d domain, e enum, c composite, r range, m multirange */
    uint32_t element;
    const char *element_name;
    char element_kind;
    bool is_array, is_element_domain;
};

static bool numeric_size(int typmod, unsigned *ret_width, unsigned *ret_scale)
{
    if (typmod < NUMERIC_OFFSET)
        return false;
    int precision = ((typmod - NUMERIC_OFFSET) >> 16) & 0xffff;
    int scale = (((typmod - NUMERIC_OFFSET) & 0x7ff) ^ 1024) - 1024;
    int width = scale < 0 ? precision - scale : TN_MAX(precision, scale);
    if (width < 1 || width > DECIMAL_MOST)
        return false;
    *ret_width = (unsigned)width;
    *ret_scale = (unsigned)TN_MAX(scale, 0);
    return true;
}

static void set_decimal(struct tn_arena *arena, struct pg_column *column, unsigned width, unsigned scale)
{
    column->form = PG_NUMERIC;
    column->type = (struct engine_type){ENGINE_DECIMAL, (uint8_t)width, (uint8_t)scale};
    column->sql_type = tn_arena_printf(arena, "DECIMAL(%u,%u)", width, scale);
}

static void set_text(struct pg_column *column, enum pg_form form)
{
    column->form = form;
    column->type = (struct engine_type){.kind = ENGINE_VARCHAR};
    column->sql_type = "VARCHAR";
}

/* As the server's own cast writes it. */
static void set_cast(struct pg_column *column)
{
    set_text(column, PG_TEXT);
    column->cast = true;
}

static bool set_known(struct tn_arena *arena, struct pg_column *column)
{
    unsigned width, scale;
    for (size_t i = 0; i < TN_COUNT(known); i++) {
        if (known[i].oid != column->oid)
            continue;
        column->form = known[i].form;
        column->type.kind = known[i].kind;
        column->sql_type = known[i].sql_type;
        if (known[i].form != PG_NUMERIC)
            return true;
        column->measured = !numeric_size(column->typmod, &width, &scale);
        if (column->measured)
            set_text(column, PG_NUMERIC_TEXT);
        else
            set_decimal(arena, column, width, scale);
        return true;
    }
    return false;
}

/* Lists of what is known; the depth is measured. */
static bool set_array(struct tn_arena *arena, struct pg_column *column, const struct server_type *type,
                      const char **ret_list_type)
{
    unsigned width, scale;
    if (!type->is_array)
        return false;
    column->measured = true;
    if (type->element_kind == 'e') {
        column->element = PG_TEXT;
        *ret_list_type = "VARCHAR";
        return true;
    }
    for (size_t i = 0; i < TN_COUNT(known); i++) {
        if (known[i].oid != type->element || type->is_element_domain)
            continue;
        column->element = known[i].form;
        *ret_list_type = known[i].list_type;
        if (known[i].form == PG_NUMERIC) {
            bool sized = numeric_size(column->typmod, &width, &scale);
            *ret_list_type = sized ? tn_arena_printf(arena, "DECIMAL(%u,%u)", width, scale) : "VARCHAR";
        }
        return true;
    }
    column->measured = false;
    return false;
}

static void set_dimensions(struct tn_arena *arena, struct pg_column *column, const char *list_type,
                           unsigned dimensions)
{
    TN_AUTO_BUF type = {0};
    tn_buf_puts(&type, list_type);
    for (unsigned i = 0; i < dimensions; i++)
        tn_buf_puts(&type, "[]");
    column->dimensions = dimensions;
    column->form = PG_ARRAY;
    column->type = (struct engine_type){.kind = ENGINE_VARCHAR};
    column->sql_type = tn_arena_strdup(arena, type.data);
}

static void set_type(struct pg_load *load, struct pg_table *table, struct pg_column *column,
                     const struct server_type *type)
{
    static const char *const quiet[] = {"inet", "cidr", "macaddr", "macaddr8", "char"};
    const char *list_type = NULL;
    if (set_array(load->arena, column, type, &list_type)) {
        set_dimensions(load->arena, column, list_type, 1);
        return;
    }
    if (type->kind == 'e') {
        set_text(column, PG_TEXT);
        return;
    }
    if (tn_streq(type->name, "vector") || tn_streq(type->name, "halfvec")) {
        column->form = tn_streq(type->name, "vector") ? PG_VECTOR : PG_HALFVEC;
        column->type = (struct engine_type){.kind = ENGINE_VARCHAR};
        column->sql_type = "FLOAT[]";
        return;
    }
    set_cast(column);
    column->cast_inet = tn_streq(type->name, "inet");
    for (size_t i = 0; i < TN_COUNT(quiet); i++)
        if (tn_streq(type->name, quiet[i]))
            return;
    pg_warn(table, "%s: type %s comes as text", column->original, type->name);
}

static enum tn_code look_up_type(struct pg_load *load, uint32_t oid, struct server_type *ret, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *result = NULL;
    unsigned char storage[8];
    struct postgres_param param = postgres_i64(oid, storage);
    TN_TRY(postgres_query(load->pg,
                          "SELECT t.typname, t.typtype, t.typcategory = 'A' AND t.typelem <> 0, t.typelem::int8, "
                          "e.typname, e.typtype FROM pg_catalog.pg_type t "
                          "LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem WHERE t.oid = $1::oid",
                          &param, 1, POSTGRES_TEXT, &result, err));
    if (postgres_rows(result) == 0)
        return tn_fail(err, TN_EUNSUPPORTED, "%s: there is no type %" PRIu32, postgres_label(load->pg), oid);
    *ret = (struct server_type){
        .name = tn_arena_strdup(load->arena, postgres_value(result, 0, 0)),
        .kind = postgres_value(result, 0, 1)[0],
        .is_array = postgres_value_bool(result, 0, 2),
        .element = (uint32_t)postgres_value_i64(result, 0, 3),
        .element_name = tn_arena_strdup(load->arena, postgres_value(result, 0, 4)),
        .element_kind = postgres_value(result, 0, 5)[0],
    };
    ret->is_element_domain = ret->element_kind == 'd';
    return TN_OK;
}

static void clean_names(struct pg_load *load, struct pg_table *table)
{
    const char **originals = TN_ARENA_ARRAY(load->arena, const char *, table->column_count + 1);
    for (size_t i = 0; i < table->column_count; i++)
        originals[i] = table->columns[i].original;
    const char **names = names_clean(load->arena, originals, table->column_count, false);
    for (size_t i = 0; i < table->column_count; i++)
        table->columns[i].name = names[i];
}

enum tn_code pg_find_columns(struct pg_load *load, struct pg_table *table, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *shape = NULL;
    /* The query alone, as it was written: what is no single statement fails here. */
    const char *sql =
        table->table ? tn_arena_printf(load->arena, "SELECT * FROM %s", table->from) : load->options->query;
    TN_TRY(postgres_describe(load->pg, sql, &shape, err));
    table->column_count = postgres_columns(shape);
    if (table->column_count == 0 && !table->table) {
        tn_fail(err, TN_EREQUEST, "the query is not a SELECT: it gives no columns");
        tn_error_hint(err, "only rows that are read can come in: SELECT ... or WITH ... SELECT ...");
        return TN_EREQUEST;
    }
    if (table->column_count == 0)
        return tn_fail(err, TN_EREFUSED, "%s: the table has no columns that this user sees", table->shown);
    table->columns = TN_ARENA_ARRAY(load->arena, struct pg_column, table->column_count);
    for (size_t i = 0; i < table->column_count; i++) {
        const char *name = postgres_column_name(shape, i);
        if (tn_utf8_valid_prefix(name, strlen(name)) != strlen(name))
            return tn_fail(err, TN_EREFUSED, "%s: the name of column %zu is not valid UTF-8", table->shown, i + 1);
        table->columns[i].original = tn_arena_strdup(load->arena, name);
        table->columns[i].oid = postgres_column_type(shape, i);
        table->columns[i].typmod = postgres_column_typmod(shape, i);
    }
    clean_names(load, table);
    struct server_type type = {0};
    uint32_t looked_up = 0; /* columns of one type often stand together */
    for (size_t i = 0; i < table->column_count; i++) {
        struct pg_column *column = &table->columns[i];
        if (set_known(load->arena, column))
            continue;
        if (column->oid != looked_up)
            TN_TRY(look_up_type(load, column->oid, &type, err));
        looked_up = column->oid;
        set_type(load, table, column, &type);
    }
    return TN_OK;
}

size_t pg_column_find(const struct pg_table *table, const char *name)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (tn_streq(table->columns[i].original, name))
            return i;
    for (size_t i = 0; i < table->column_count; i++)
        if (tn_str_equal_nocase(table->columns[i].name, name))
            return i;
    return table->column_count;
}

void pg_put_from(const struct pg_table *table, struct tn_buf *out)
{
    /* Names of our own: those of a query may be missing or there twice. */
    tn_buf_printf(out, " FROM %s AS tarn_q(", table->from);
    for (size_t i = 0; i < table->column_count; i++)
        tn_buf_printf(out, "%sc%zu", i ? "," : "", i + 1);
    tn_buf_putc(out, ')');
    if (table->where)
        tn_buf_printf(out, " WHERE %s", table->where);
}

/* ---- types that depend on the data --------------------------------------------------- */

/* numeric: how many values are none (NaN), the greatest scale, the most digits before the point. */
static void ask_numeric(size_t i, struct tn_buf *sql)
{
    tn_buf_printf(sql,
                  "count(c%zu) - count(scale(c%zu)), max(scale(c%zu)), "
                  "max(length(trunc(abs(c%zu))::text)) FILTER (WHERE scale(c%zu) IS NOT NULL AND abs(c%zu) >= 1)",
                  i, i, i, i, i, i);
}

static void settle_numeric(struct pg_load *load, struct pg_table *table, struct pg_column *column,
                           const struct postgres_result *answer, size_t at)
{
    int64_t specials = postgres_value_i64(answer, 0, at), scale = postgres_value_i64(answer, 0, at + 1);
    int64_t whole = postgres_value_i64(answer, 0, at + 2);
    const char *why = NULL;
    if (specials > 0)
        why = "NaN or Infinity is among the values";
    else if (scale + whole > DECIMAL_MOST)
        why = "values have more than 38 digits";
    if (why)
        pg_warn(table, "%s: numeric without a scale comes as text, because %s", column->original, why);
    else
        set_decimal(load->arena, column, DECIMAL_MOST, (unsigned)scale);
}

/* A dataset that is there already keeps its scale, if the values fit. */
static void keep_scale(struct pg_load *load, const struct pg_table *table, struct pg_column *column)
{
    struct dataset_column *columns;
    size_t count;
    unsigned width, scale;
    if (table->mode == DATASET_REPLACE || column->form != PG_NUMERIC ||
        dataset_columns(load->lake, table->name, load->arena, &columns, &count, NULL) != TN_OK)
        return;
    for (size_t i = 0; i < count; i++)
        if (tn_str_equal_nocase(columns[i].name, column->name) &&
            sscanf(columns[i].sql_type, "DECIMAL(%u,%u)", &width, &scale) == 2 && scale >= column->type.scale &&
            width <= DECIMAL_MOST)
            set_decimal(load->arena, column, width, scale);
}

/* numeric= said how. */
static bool numeric_as_told(struct pg_load *load, struct pg_column *column)
{
    const char *told = load->options->numeric;
    unsigned width, scale;
    if (!told || tn_streq(told, "auto"))
        return false;
    if (tn_streq(told, "double")) {
        column->form = PG_NUMERIC_DOUBLE;
        column->type = (struct engine_type){.kind = ENGINE_DOUBLE};
        column->sql_type = "DOUBLE";
    } else if (sscanf(told, "%u,%u", &width, &scale) == 2) {
        set_decimal(load->arena, column, width, scale);
    } /* text is what it is already */
    return true;
}

static void settle_array(struct pg_load *load, struct pg_table *table, struct pg_column *column,
                         const struct postgres_result *answer, size_t at)
{
    int64_t least = postgres_value_i64(answer, 0, at), most = postgres_value_i64(answer, 0, at + 1);
    if (least != most) {
        pg_warn(table, "%s: its arrays have different numbers of dimensions: they come as JSON text",
                column->original);
        column->dimensions = 0;
        column->sql_type = "VARCHAR";
        return;
    }
    if (most <= 1)
        return;
    const char *list_type =
        tn_arena_strndup(load->arena, column->sql_type, strlen(column->sql_type) - 2 * column->dimensions);
    set_dimensions(load->arena, column, list_type, (unsigned)most);
}

enum tn_code pg_measure(struct pg_load *load, struct pg_table *table, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *answer = NULL;
    tn_buf_puts(&sql, "SELECT 1");
    size_t asked = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        struct pg_column *column = &table->columns[i];
        if (column->measured && column->form != PG_ARRAY && numeric_as_told(load, column))
            column->measured = false;
        if (!column->measured)
            continue;
        asked++;
        tn_buf_puts(&sql, ", ");
        if (column->form == PG_ARRAY)
            tn_buf_printf(&sql, "min(array_ndims(c%zu)), max(array_ndims(c%zu))", i + 1, i + 1);
        else
            ask_numeric(i + 1, &sql);
    }
    if (asked == 0)
        return TN_OK;
    pg_put_from(table, &sql);
    TN_TRY(postgres_query(load->pg, sql.data, NULL, 0, POSTGRES_TEXT, &answer, err));
    for (size_t i = 0, at = 1; i < table->column_count; i++) {
        struct pg_column *column = &table->columns[i];
        if (!column->measured)
            continue;
        if (column->form == PG_ARRAY) {
            settle_array(load, table, column, answer, at);
            at += 2;
        } else {
            settle_numeric(load, table, column, answer, at);
            keep_scale(load, table, column);
            at += 3;
        }
    }
    return TN_OK;
}
