/* The registry: one row that says which model the vectors are of. */
#include "reembed/reembed_internal.h"

#include <inttypes.h>
#include <stdio.h>

static enum tn_code look_columns(struct postgres *pg, uint32_t oid, struct tn_arena *arena, struct registry *ret,
                                 struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *columns = NULL;
    static const char *const needed[] = {"id", "model_name", "dimension", "model_hash"};
    bool seen[TN_COUNT(needed)] = {false};
    const char *sql = tn_arena_printf(
        arena, "SELECT attname FROM pg_attribute WHERE attrelid = %" PRIu32 " AND attnum > 0 AND NOT attisdropped",
        oid);
    TN_TRY(postgres_query(pg, sql, NULL, 0, POSTGRES_TEXT, &columns, err));
    for (size_t i = 0; i < postgres_rows(columns); i++) {
        const char *name = postgres_value(columns, i, 0);
        for (size_t k = 0; k < TN_COUNT(needed); k++)
            seen[k] |= tn_streq(name, needed[k]);
        ret->has_updated_at |= tn_streq(name, "updated_at");
    }
    for (size_t k = 0; k < TN_COUNT(needed); k++)
        if (!seen[k])
            ret->problem = tn_arena_printf(arena,
                                           "%s has no column %s: a registry has id, model_name, dimension and "
                                           "model_hash",
                                           ret->relation, needed[k]);
    return TN_OK;
}

static enum tn_code look_row(struct postgres *pg, struct tn_arena *arena, struct registry *ret, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *row = NULL;
    const char *sql = tn_arena_printf(
        arena, "SELECT model_name::text, dimension::bigint, model_hash::text FROM %s WHERE id = 1", ret->relation);
    TN_TRY(postgres_query(pg, sql, NULL, 0, POSTGRES_TEXT, &row, err));
    ret->has_row = postgres_rows(row) > 0;
    if (!ret->has_row)
        return TN_OK;
    int64_t dimension = postgres_value_i64(row, 0, 1);
    ret->current = (struct reembed_signature){
        .name = tn_arena_strdup(arena, postgres_value(row, 0, 0)),
        .dimension = dimension > 0 && dimension <= UINT32_MAX ? (uint32_t)dimension : 0,
        .hash = tn_arena_strdup(arena, postgres_value(row, 0, 2)),
    };
    return TN_OK;
}

enum tn_code registry_look(struct postgres *pg, const struct reembed_plan *plan, const struct target *target,
                           struct tn_arena *arena, struct registry *ret, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    struct registry registry = {.current = {.name = "", .hash = ""}, .may_write = true};
    const char *schema, *name;
    split_name(arena, plan->registry_table, &schema, &name);
    const struct postgres_param params[] = {postgres_text(name), postgres_text(schema)};
    TN_TRY(
        postgres_query(pg,
                       "SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), "
                       "has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid,"
                       " 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') FROM pg_class c JOIN pg_namespace n ON"
                       " n.oid = c.relnamespace WHERE c.relkind = 'r' AND c.relname = $1::text AND CASE WHEN $2::text"
                       " IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = $2::text END",
                       params, TN_COUNT(params), POSTGRES_TEXT, &found, err));
    registry.there = postgres_rows(found) > 0;
    registry.relation = registry.there ? tn_arena_strdup(arena, postgres_value(found, 0, 1))
                                       : postgres_quote_table(arena, schema ? schema : target->schema, name);
    if (registry.there) {
        TN_TRY(look_columns(pg, (uint32_t)postgres_value_i64(found, 0, 0), arena, &registry, err));
        if (!registry.problem && !postgres_value_bool(found, 0, 2))
            registry.problem = tn_arena_printf(arena, "%s may not be read by %s", registry.relation, target->user);
        if (!registry.problem)
            TN_TRY(look_row(pg, arena, &registry, err));
        registry.may_write = postgres_value_bool(found, 0, 3);
    }
    *ret = registry;
    return TN_OK;
}

enum tn_code registry_write(struct postgres *pg, const struct registry *registry,
                            const struct reembed_signature *signature, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *done = NULL;
    char dimension[16];
    (void)snprintf(dimension, sizeof dimension, "%" PRIu32, signature->dimension);
    const struct postgres_param params[] = {postgres_text(signature->name), postgres_text(dimension),
                                            postgres_text(signature->hash)};
    bool stamped = !registry->there || registry->has_updated_at;
    if (!registry->there)
        TN_TRY(postgres_runf(
            pg, err,
            "CREATE TABLE IF NOT EXISTS %s (id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1), model_name"
            " text NOT NULL, dimension integer NOT NULL, model_hash text NOT NULL, updated_at"
            " timestamptz NOT NULL DEFAULT now())",
            registry->relation));
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql, "UPDATE %s SET model_name = $1, dimension = $2::integer, model_hash = $3%s WHERE id = 1",
                  registry->relation, stamped ? ", updated_at = now()" : "");
    TN_TRY(postgres_query(pg, sql.data, params, TN_COUNT(params), POSTGRES_TEXT, &done, err));
    if (postgres_affected(done) > 0)
        return TN_OK;
    tn_buf_clear(&sql);
    tn_buf_printf(&sql, "INSERT INTO %s (id, model_name, dimension, model_hash%s) VALUES (1, $1, $2::integer, $3%s)",
                  registry->relation, stamped ? ", updated_at" : "", stamped ? ", now()" : "");
    return postgres_query(pg, sql.data, params, TN_COUNT(params), POSTGRES_TEXT, NULL, err);
}
