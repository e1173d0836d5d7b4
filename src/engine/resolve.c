/* From names to versions: asks the resolver, makes the views, splices AT.
 *
 * A table without AT keeps its name in the text, since the view has that name.
 * A reference with AT is rewritten at its place: the name becomes the name of
 * a view of that version, the clause disappears, and the old name stays as the
 * alias. The list of edits maps DuckDB's positions back.
 */
#include "engine/engine_internal.h"

#include <stdio.h>

/* A resolved table; several references may share it. */
struct target {
    struct engine_table_ref ref;
    const char *key, *view;
    bool spliced;
};

struct resolving {
    struct engine_session *session;
    const struct guard_analysis *analysis;
    const struct engine_query_options *options;
    struct tn_arena *arena;
    struct target *targets;
    size_t target_count;
    size_t spliced_count;
    struct engine_used_table *used;
    size_t used_count;
    struct engine_hold **holds;
    size_t hold_count;
    struct tn_buf identity;
    bool unnamed; /* rows of a table are not named by an identity */
};

/* ---- moments ------------------------------------------------------------ */

static bool is_digits(const char *text)
{
    return *text && !text[strspn(text, "0123456789")];
}

/* A number of any length is meant as an id, never as a name. */
static enum tn_code read_version(const char *text, struct engine_table_ref *ret, struct tn_error *err)
{
    if (tn_parse_i64(text, &ret->at_version))
        ret->at = ENGINE_AT_VERSION;
    else if (is_digits(text))
        return tn_fail(err, TN_EREQUEST, "%.60s is too large for a snapshot id", text);
    else if (!*text)
        return tn_fail(err, TN_EREQUEST, "a moment is named by an empty text");
    else
        ret->at = ENGINE_AT_NAME;
    ret->at_name = ret->at == ENGINE_AT_NAME ? text : NULL;
    return TN_OK;
}

enum tn_code engine_at_read(const char *text, struct engine_table_ref *ret, struct tn_error *err)
{
    if (!tn_time_parse(text, &ret->at_timestamp_us))
        return read_version(text, ret, err);
    ret->at = ENGINE_AT_TIMESTAMP;
    return TN_OK;
}

/* What AT (VERSION => 'text') says. It has no time, so a text that looks like one is a name too. */
static enum tn_code take_version_text(duckdb_vector vector, struct tn_arena *arena, struct engine_table_ref *ret,
                                      struct tn_error *err)
{
    duckdb_string_t *string = duckdb_vector_get_data(vector);
    size_t length = duckdb_string_t_length(*string);
    const char *text = tn_arena_strndup(arena, duckdb_string_t_data(string), length);
    return strlen(text) == length
               ? read_version(text, ret, err)
               : tn_fail(err, TN_ESQL, "AT (VERSION => ...) of \"%s\" has a zero character", ret->name);
}

/* The value; whether it is a number that is whole; of a text, the text. */
static enum tn_code take_moment(duckdb_data_chunk chunk, struct tn_arena *arena, struct engine_table_ref *ret,
                                struct tn_error *err)
{
    duckdb_vector vectors[3] = {NULL, NULL, NULL};
    bool valid[3] = {false, false, false};
    for (size_t i = 0; i < TN_COUNT(vectors) && chunk && duckdb_data_chunk_get_size(chunk) == 1; i++) {
        vectors[i] = duckdb_data_chunk_get_vector(chunk, i);
        valid[i] = duckdb_validity_row_is_valid(duckdb_vector_get_validity(vectors[i]), 0);
    }
    if (valid[2])
        return take_version_text(vectors[2], arena, ret, err);
    if (!valid[1])
        return tn_fail(err, TN_ESQL, "AT (...) of \"%s\" is NULL", ret->name);
    if (!*(const bool *)duckdb_vector_get_data(vectors[1]) || !valid[0]) {
        tn_fail(err, TN_ESQL, "AT (VERSION => ...) of \"%s\" is no whole number", ret->name);
        tn_error_hint(err, "Write a snapshot id, or the name of a tag in quotes.");
        return TN_ESQL;
    }
    int64_t value = *(const int64_t *)duckdb_vector_get_data(vectors[0]);
    *(ret->at == ENGINE_AT_VERSION ? &ret->at_version : &ret->at_timestamp_us) = value;
    return TN_OK;
}

/* A constant expression that the guard has judged. */
static enum tn_code evaluate(struct engine_session *session, const char *expression, struct tn_arena *arena,
                             struct engine_table_ref *ret, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    /* What is no whole number would be rounded. */
    tn_buf_printf(&sql,
                  ret->at == ENGINE_AT_VERSION
                      ? "SELECT TRY_CAST(v AS BIGINT), CASE WHEN v IS NOT NULL THEN typeof(v) LIKE '%%INT' OR "
                        "typeof(v) LIKE '%%INTEGER' END, CASE WHEN typeof(v) = 'VARCHAR' THEN CAST(v AS VARCHAR) END "
                        "FROM (SELECT (%s\n) AS v)"
                      : "SELECT epoch_us(v), CASE WHEN v IS NOT NULL THEN true END, CAST(NULL AS VARCHAR) "
                        "FROM (SELECT CAST((%s\n) AS TIMESTAMPTZ) AS v)",
                  expression);
    duckdb_result result;
    const struct engine_text text = {.sql = expression, .length = strlen(expression)};
    enum tn_code code = TN_OK;
    duckdb_data_chunk chunk = NULL;
    if (duckdb_query(session->connection, sql.data, &result) != DuckDBSuccess) {
        code = engine_fail(err, duckdb_result_error(&result), &text);
    } else {
        chunk = duckdb_fetch_chunk(result);
        code = take_moment(chunk, arena, ret, err);
    }
    if (chunk)
        duckdb_destroy_data_chunk(&chunk);
    duckdb_destroy_result(&result);
    if (code != TN_OK && err) {
        err->line = ret->line;
        err->column = ret->column;
    }
    return code;
}

static bool is_shared(const struct guard_analysis *analysis, const struct guard_table *table)
{
    size_t same = 0;
    for (size_t i = 0; i < analysis->table_count; i++)
        same += tn_streq(analysis->tables[i].key, table->key);
    return same > 1;
}

static enum tn_code moment_of(const struct resolving *resolving, const struct guard_table *table,
                              struct engine_table_ref *ret, struct tn_error *err)
{
    *ret = table->ref;
    if (is_shared(resolving->analysis, table)) /* one view for several places, each with its own WHERE */
        ret->predicate_count = 0;
    if (table->call || !table->at_expression) /* a call says itself what another moment means to it */
        return resolving->options->default_at ? engine_at_read(resolving->options->default_at, ret, err) : TN_OK;
    return evaluate(resolving->session, table->at_expression, resolving->arena, ret, err);
}

static bool same_moment(const struct engine_table_ref *a, const struct engine_table_ref *b)
{
    return a->at == b->at && (a->at != ENGINE_AT_VERSION || a->at_version == b->at_version) &&
           (a->at != ENGINE_AT_NAME || tn_streq(a->at_name, b->at_name)) &&
           (a->at != ENGINE_AT_TIMESTAMP || a->at_timestamp_us == b->at_timestamp_us);
}

static void suggest_name(const struct resolving *resolving, const char *name, struct tn_error *err)
{
    const struct engine_resolver *resolver = &resolving->options->resolver;
    const char *const *names = NULL;
    size_t count = resolver->names ? resolver->names(resolver->context, resolving->arena, &names) : 0;
    const char *best = count ? tn_suggest(name, names, count) : NULL;
    if (best)
        tn_error_hint(err, "Did you mean \"%s\"?", best);
    else if (err && !*err->hint)
        tn_error_hint(err, "List the datasets with `tarn datasets` or GET /catalog/datasets.");
}

static void note_used(struct resolving *resolving, const char *name, const struct engine_relation *relation)
{
    const char *version = relation->version;
    for (size_t i = 0; i < resolving->used_count; i++) {
        if (tn_str_equal_nocase(resolving->used[i].name, name) && tn_streq(resolving->used[i].version, version))
            return;
    }
    resolving->used[resolving->used_count++] = (struct engine_used_table){
        tn_arena_strdup(resolving->arena, name), tn_arena_strdup(resolving->arena, version), relation->cached};
}

/* In the order of the text: with it they say which rows each of its places reads. */
static void note_identity(struct resolving *resolving, const struct engine_relation *relation)
{
    resolving->unnamed = resolving->unnamed || !relation->identity;
    if (relation->identity)
        tn_buf_printf(&resolving->identity, "%zu:%s", strlen(relation->identity), relation->identity);
}

static enum tn_code resolve_target(struct resolving *resolving, const struct guard_table *table,
                                   const struct engine_table_ref *ref, struct target *ret, struct tn_error *err)
{
    const struct engine_resolver *resolver = &resolving->options->resolver;
    struct engine_relation relation = {0};
    enum tn_code code = resolver->resolve
                            ? resolver->resolve(resolver->context, ref, resolving->arena, &relation, err)
                            : tn_fail(err, TN_EDATASET, "there is no dataset \"%s\"", ref->name);
    if (code != TN_OK) {
        if (code == TN_EDATASET)
            suggest_name(resolving, ref->name, err);
        if (err && !err->line) {
            err->line = ref->line;
            err->column = ref->column;
        }
        return code;
    }
    if (relation.hold)
        resolving->holds[resolving->hold_count++] = relation.hold;
    bool spliced = table->at_span > 0 || table->call;
    const char *view =
        spliced ? tn_arena_printf(resolving->arena, "%s@%s", table->key, relation.version) : table->key;
    if (spliced && ++resolving->spliced_count > SESSION_AT_VIEWS / 2)
        return tn_fail(err, TN_ESQLREFUSED, "the statement looks at more than %d moments", SESSION_AT_VIEWS / 2);
    TN_TRY(engine_session_view(resolving->session, view, spliced, &relation, err));
    note_used(resolving, ref->name, &relation);
    note_identity(resolving, &relation);
    *ret = (struct target){.ref = *ref, .key = table->key, .view = view, .spliced = spliced};
    return TN_OK;
}

static enum tn_code find_target(struct resolving *resolving, const struct guard_table *table,
                                const struct target **ret, struct tn_error *err)
{
    struct engine_table_ref ref;
    TN_TRY(moment_of(resolving, table, &ref, err));
    for (size_t i = 0; i < resolving->target_count; i++) {
        const struct target *target = &resolving->targets[i];
        if (target->spliced == (table->at_span > 0 || table->call) && tn_streq(target->key, table->key) &&
            same_moment(&target->ref, &ref)) {
            *ret = target;
            return TN_OK;
        }
    }
    struct target *target = &resolving->targets[resolving->target_count];
    TN_TRY(resolve_target(resolving, table, &ref, target, err));
    resolving->target_count++;
    *ret = target;
    return TN_OK;
}

/* ---- splicing ----------------------------------------------------------- */

struct splice {
    struct engine_edit edit;
    const char *text;
};

static int by_place(const void *a, const void *b)
{
    const struct splice *left = a, *right = b;
    return (left->edit.at > right->edit.at) - (left->edit.at < right->edit.at);
}

static const char *name_text(const struct guard_table *table, const struct target *target, struct tn_arena *arena)
{
    TN_AUTO_BUF text = {0};
    tn_buf_put_sql_name(&text, target->view);
    if (!table->aliased) {
        tn_buf_puts(&text, " AS ");
        tn_buf_put_sql_name(&text, table->ref.name);
    }
    return tn_arena_strdup(arena, text.data);
}

static void apply(const struct guard_analysis *analysis, struct splice *splices, size_t count, struct tn_arena *arena,
                  struct engine_bound *ret)
{
    qsort(splices, count, sizeof *splices, by_place);
    struct engine_edit *edits = TN_ARENA_ARRAY(arena, struct engine_edit, count + 1);
    TN_AUTO_BUF sql = {0};
    size_t done = 0;
    for (size_t i = 0; i < count; i++) {
        tn_buf_append(&sql, analysis->sql + done, splices[i].edit.at - done);
        tn_buf_puts(&sql, splices[i].text);
        done = splices[i].edit.at + splices[i].edit.old_length;
        edits[i] = splices[i].edit;
    }
    tn_buf_append(&sql, analysis->sql + done, analysis->length - done);
    ret->sql = tn_arena_strndup(arena, sql.data ? sql.data : "", sql.len);
    ret->length = sql.len;
    ret->text.edits = edits;
    ret->text.edit_count = count;
}

/* Every reference finds its target; those with AT are to be rewritten. */
static enum tn_code resolve_all(struct resolving *resolving, struct splice *splices, size_t *ret_count,
                                struct tn_error *err)
{
    size_t splice_count = 0;
    for (size_t i = 0; i < resolving->analysis->table_count; i++) {
        const struct guard_table *table = &resolving->analysis->tables[i];
        const struct target *target = NULL;
        TN_TRY(find_target(resolving, table, &target, err));
        if (!table->at_span && !table->call)
            continue;
        const char *name = name_text(table, target, resolving->arena);
        splices[splice_count++] = (struct splice){{table->location, table->name_span, strlen(name)}, name};
        if (table->at_span)
            splices[splice_count++] = (struct splice){{table->at_location, table->at_span, 0}, ""};
    }
    *ret_count = splice_count;
    return TN_OK;
}

enum tn_code engine_resolve(struct engine_session *session, const struct guard_analysis *analysis,
                            const struct engine_query_options *options, struct tn_arena *arena,
                            struct engine_bound *ret, struct tn_error *err)
{
    size_t count = analysis->table_count, splice_count = 0;
    struct resolving resolving = {.session = session, .analysis = analysis, .options = options, .arena = arena};
    resolving.targets = TN_ARENA_ARRAY(arena, struct target, count + 1);
    resolving.used = TN_ARENA_ARRAY(arena, struct engine_used_table, count + 1);
    resolving.holds = TN_ARENA_ARRAY(arena, struct engine_hold *, count + 1);
    struct splice *splices = TN_ARENA_ARRAY(arena, struct splice, 2 * count + 1);
    enum tn_code code = resolve_all(&resolving, splices, &splice_count, err);
    ret->holds = resolving.holds;
    ret->hold_count = resolving.hold_count;
    const char *identity =
        resolving.unnamed
            ? NULL
            : tn_arena_strndup(arena, resolving.identity.data ? resolving.identity.data : "", resolving.identity.len);
    tn_buf_release(&resolving.identity);
    TN_TRY(code);
    struct engine_bound bound = {.sql = analysis->sql, .length = analysis->length};
    if (splice_count)
        apply(analysis, splices, splice_count, arena, &bound);
    bound.text.sql = analysis->sql;
    bound.text.length = analysis->length;
    bound.used = resolving.used;
    bound.used_count = resolving.used_count;
    bound.identity = identity;
    bound.holds = resolving.holds;
    bound.hold_count = resolving.hold_count;
    *ret = bound;
    return TN_OK;
}

void engine_bound_wrap(struct engine_bound *bound, const char *prefix, const char *suffix, struct tn_arena *arena)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, prefix);
    guard_text_strip(bound->sql, bound->length, &sql);
    tn_buf_puts(&sql, "\n"); /* ends a comment that the text may end in */
    tn_buf_puts(&sql, suffix);
    size_t count = bound->text.edit_count;
    struct engine_edit *edits = TN_ARENA_ARRAY(arena, struct engine_edit, count + 1);
    edits[0] = (struct engine_edit){0, 0, strlen(prefix)};
    if (count)
        memcpy(edits + 1, bound->text.edits, count * sizeof *edits);
    bound->text.edits = edits;
    bound->text.edit_count = count + 1;
    bound->sql = tn_arena_strndup(arena, sql.data, sql.len);
    bound->length = sql.len;
}
