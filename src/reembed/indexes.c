/* What depends on the column of vectors: indexes, which are made again, and
 * views and the like, which stand in the way of another type. */
#include "reembed/reembed_internal.h"

#include <ctype.h>
#include <inttypes.h>

/* vector_cosine_ops to halfvec_cosine_ops, or back: behind the word nothing
 * else of a definition has this form. */
const char *index_definition_for(struct tn_arena *arena, const char *definition, bool half)
{
    static const char *const kinds[] = {"_l2_ops", "_ip_ops", "_cosine_ops", "_l1_ops"};
    const char *from = half ? "vector" : "halfvec", *to = half ? "halfvec" : "vector";
    TN_AUTO_BUF out = {0};
    for (const char *p = definition; *p;) {
        bool replaced = false;
        bool begins = p == definition || !(isalnum((unsigned char)p[-1]) || p[-1] == '_');
        for (size_t i = 0; i < TN_COUNT(kinds) && begins && !replaced; i++)
            if (tn_str_starts_with(p, from) && tn_str_starts_with(p + strlen(from), kinds[i])) {
                tn_buf_puts(&out, to);
                p += strlen(from);
                replaced = true;
            }
        if (!replaced)
            tn_buf_putc(&out, *p++);
    }
    return tn_arena_strdup(arena, out.data ? out.data : "");
}

static bool mentions(const char *text, const char *word)
{
    return text[0] && strstr(text, word) != NULL;
}

static void take_index(const struct postgres_result *found, size_t row, const struct reembed_plan *plan,
                       struct tn_arena *arena, struct target *target)
{
    struct vector_index *index = &target->indexes[target->index_count++];
    const char *method = postgres_value(found, row, 3), *definition = postgres_value(found, row, 4);
    index->name = tn_arena_strdup(arena, postgres_value(found, row, 0));
    index->relation = tn_arena_strdup(arena, postgres_value(found, row, 8));
    index->valid = postgres_value_bool(found, row, 2);
    index->ann = tn_streq(method, "hnsw") || tn_streq(method, "ivfflat");
    index->definition = target->half == target->new_half ? tn_arena_strdup(arena, definition)
                                                         : index_definition_for(arena, definition, target->new_half);
    index->expression =
        postgres_value_bool(found, row, 5) || mentions(postgres_value(found, row, 6), plan->vector_column);
    index->tablespace = tn_arena_strdup(arena, postgres_value(found, row, 7));
    index->there = true;
}

/* The requirement's index, where the column has none. */
static void add_usual(const struct reembed_plan *plan, struct tn_arena *arena, struct target *target)
{
    struct vector_index *index = &target->indexes[target->index_count++];
    const char *name = plan->index_name;
    *index = (struct vector_index){
        .name = name,
        .relation = postgres_quote_table(arena, target->schema, name),
        .definition = tn_arena_printf(
            arena, "CREATE INDEX %s ON %s USING hnsw (%s %s_cosine_ops) WITH (m = 16, ef_construction = 64)",
            postgres_quote_name(arena, name), target->relation, target->vector,
            target->new_half ? "halfvec" : "vector"),
        .tablespace = "",
        .valid = true,
        .ann = true,
    };
}

enum tn_code target_indexes(struct postgres *pg, const struct reembed_plan *plan, struct tn_arena *arena,
                            struct target *target, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    const char *sql = tn_arena_printf(
        arena,
        "WITH w AS (SELECT %u::oid AS oid, %d::int2 AS number) SELECT c.relname, n.nspname, i.indisvalid, m.amname,"
        " pg_get_indexdef(i.indexrelid), i.indexprs IS NOT NULL AND NOT w.number = ANY (i.indkey::int2[]),"
        " coalesce(pg_get_expr(i.indpred, i.indrelid), ''), coalesce(s.spcname, ''), quote_ident(n.nspname) || '.' "
        "|| quote_ident(c.relname) FROM w, pg_index i JOIN pg_class "
        "c"
        " ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am m ON m.oid = c.relam LEFT"
        " JOIN pg_tablespace s ON s.oid = c.reltablespace WHERE i.indrelid = w.oid AND (w.number = ANY"
        " (i.indkey::int2[]) OR EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid "
        "="
        " i.indexrelid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = w.oid AND d.refobjsubid = w.number))"
        " ORDER BY c.relname = %s DESC, c.relname",
        target->oid, target->vector_number, postgres_quote_text(arena, plan->index_name));
    TN_TRY(postgres_query(pg, sql, NULL, 0, POSTGRES_TEXT, &found, err));
    target->indexes = TN_ARENA_ARRAY(arena, struct vector_index, postgres_rows(found) + 1);
    for (size_t i = 0; i < postgres_rows(found); i++)
        take_index(found, i, plan, arena, target);
    if (target->index_count == 0 && plan->index_name[0])
        add_usual(plan, arena, target);
    return TN_OK;
}

/* Views and rules, functions with an SQL body, triggers and policies that name
 * the column, generated columns, publications and CHECKs: with one of them the
 * server refuses another type, or checks it against the old one. */
enum tn_code target_dependents(struct postgres *pg, struct tn_arena *arena, struct target *target,
                               struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    const char *sql = tn_arena_printf(
        arena,
        "SELECT string_agg(DISTINCT CASE WHEN d.classid = 'pg_rewrite'::regclass THEN (SELECT CASE v.relkind WHEN 'm'"
        " THEN 'materialized view ' WHEN 'v' THEN 'view ' ELSE 'rule on ' END || v.oid::regclass FROM pg_rewrite r "
        "JOIN"
        " pg_class v ON v.oid = r.ev_class WHERE r.oid = d.objid) ELSE pg_describe_object(d.classid, d.objid,"
        " d.objsubid) END, ', ') FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %u AND"
        " d.refobjsubid = %d AND (d.classid IN ('pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_trigger'::regclass,"
        " 'pg_policy'::regclass, 'pg_publication_rel'::regclass) OR d.classid = 'pg_constraint'::regclass AND EXISTS"
        " (SELECT 1 FROM pg_constraint k WHERE k.oid = d.objid AND k.contype = 'c') OR d.classid ="
        " 'pg_attrdef'::regclass AND d.deptype = 'n')",
        target->oid, target->vector_number);
    TN_TRY(postgres_query(pg, sql, NULL, 0, POSTGRES_TEXT, &found, err));
    target->dependents = postgres_rows(found) && !postgres_is_null(found, 0, 0)
                             ? tn_arena_strdup(arena, postgres_value(found, 0, 0))
                             : NULL;
    return TN_OK;
}
