/* Pooled connections and what is compiled on each: views and plans.
 *
 * A table that a user's text names is a temporary view of that name on the
 * connection that runs the text, so the text runs as it was written and
 * positions in errors stay exact. Temporary views belong to one connection:
 * two queries that see different versions of a table do not meet.
 */
#include "engine/engine_internal.h"

static void drop_plans(struct engine_session *session)
{
    for (size_t i = 0; i < SESSION_PLANS; i++) {
        struct session_plan *plan = &session->plans[i];
        if (plan->sql)
            duckdb_destroy_prepare(&plan->prepared);
        free(plan->sql);
        *plan = (struct session_plan){0};
    }
}

void engine_session_close(struct engine_session *session)
{
    drop_plans(session);
    engine_session_drop_selects(session);
    if (session->serialize)
        duckdb_destroy_prepare(&session->serialize);
    for (size_t i = 0; i < session->view_count; i++) {
        free(session->views[i].name);
        free(session->views[i].stamp);
    }
    free(session->views);
    if (session->connection)
        duckdb_disconnect(&session->connection);
    free(session);
}

static struct engine_session *take_idle(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    struct engine_session *session = engine->idle;
    if (session) {
        engine->idle = session->next;
        engine->session_idle--;
    } else {
        engine->session_count++;
    }
    pthread_mutex_unlock(&engine->lock);
    return session;
}

enum tn_code engine_session_take(struct engine *engine, struct engine_session **ret, struct tn_error *err)
{
    struct engine_session *session = take_idle(engine);
    if (!session) {
        session = tn_calloc(1, sizeof *session);
        session->engine = engine;
        if (duckdb_connect(engine->database, &session->connection) != DuckDBSuccess) {
            free(session);
            pthread_mutex_lock(&engine->lock);
            engine->session_count--;
            pthread_mutex_unlock(&engine->lock);
            return tn_fail(err, TN_EUNAVAILABLE, "the SQL engine refuses another connection");
        }
    }
    session->next = NULL;
    *ret = session;
    return TN_OK;
}

void engine_session_give(struct engine_session *session)
{
    if (!session)
        return;
    struct engine *engine = session->engine;
    pthread_mutex_lock(&engine->lock);
    bool keep = engine->session_idle < engine->max_queries + 4;
    if (keep) {
        session->next = engine->idle;
        engine->idle = session;
        engine->session_idle++;
    } else {
        engine->session_count--;
    }
    pthread_mutex_unlock(&engine->lock);
    if (!keep)
        engine_session_close(session);
}

enum tn_code engine_session_exec(struct engine_session *session, const char *sql, struct tn_error *err)
{
    duckdb_result result;
    enum tn_code code = TN_OK;
    if (duckdb_query(session->connection, sql, &result) != DuckDBSuccess)
        code = engine_fail(err, duckdb_result_error(&result), NULL);
    duckdb_destroy_result(&result);
    return code;
}

/* ---- views -------------------------------------------------------------- */

static struct session_view *find_view(struct engine_session *session, const char *name)
{
    for (size_t i = 0; i < session->view_count; i++) {
        if (tn_streq(session->views[i].name, name))
            return &session->views[i];
    }
    return NULL;
}

static enum tn_code drop_view(struct engine_session *session, struct session_view *view, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "DROP VIEW IF EXISTS temp.main.");
    tn_buf_put_sql_name(&sql, view->name);
    TN_TRY(engine_session_exec(session, sql.data, err));
    free(view->name);
    free(view->stamp);
    *view = session->views[--session->view_count];
    return TN_OK;
}

/* Views for AT clauses come and go with the moments that people ask for. */
static enum tn_code make_room(struct engine_session *session, struct tn_error *err)
{
    size_t count = 0;
    struct session_view *oldest = NULL;
    for (size_t i = 0; i < session->view_count; i++) {
        struct session_view *view = &session->views[i];
        if (!view->at)
            continue;
        count++;
        if (!oldest || view->used < oldest->used)
            oldest = view;
    }
    return count < SESSION_AT_VIEWS ? TN_OK : drop_view(session, oldest, err);
}

enum tn_code engine_session_view(struct engine_session *session, const char *name, bool at,
                                 const struct engine_relation *relation, struct tn_error *err)
{
    struct session_view *view = find_view(session, name);
    TN_AUTO_FREE char *stamp = tn_asprintf("%s %s", relation->version, relation->variant ? relation->variant : "");
    if (view && tn_streq(view->stamp, stamp)) {
        view->used = ++session->tick;
        return TN_OK;
    }
    drop_plans(session);
    if (at && !view)
        TN_TRY(make_room(session, err));
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "CREATE OR REPLACE TEMP VIEW ");
    tn_buf_put_sql_name(&sql, name);
    tn_buf_puts(&sql, " AS ");
    tn_buf_puts(&sql, relation->definition);
    enum tn_code code = engine_session_exec(session, sql.data, err);
    if (code != TN_OK) {
        tn_error_context(err, "table \"%s\"", name);
        return code;
    }
    if (!view) {
        TN_GROW(session->views, session->view_count, session->view_capacity);
        view = &session->views[session->view_count++];
        *view = (struct session_view){.name = tn_strdup(name), .at = at};
    }
    free(view->stamp);
    view->stamp = TN_TAKE(stamp);
    view->used = ++session->tick;
    return TN_OK;
}

/* ---- plans -------------------------------------------------------------- */

enum tn_code engine_session_plan(struct engine_session *session, const char *sql, size_t length,
                                 const struct engine_text *text, duckdb_prepared_statement *ret, struct tn_error *err)
{
    struct session_plan *victim = &session->plans[0];
    for (size_t i = 0; i < SESSION_PLANS; i++) {
        struct session_plan *plan = &session->plans[i];
        if (plan->sql && plan->length == length && memcmp(plan->sql, sql, length) == 0) {
            plan->used = ++session->tick;
            duckdb_clear_bindings(plan->prepared);
            *ret = plan->prepared;
            return TN_OK;
        }
        if (plan->used < victim->used)
            victim = plan;
    }
    duckdb_prepared_statement prepared = NULL;
    if (duckdb_prepare(session->connection, sql, &prepared) != DuckDBSuccess) {
        enum tn_code code = engine_fail(err, duckdb_prepare_error(prepared), text);
        duckdb_destroy_prepare(&prepared);
        return code;
    }
    if (victim->sql)
        duckdb_destroy_prepare(&victim->prepared);
    free(victim->sql);
    *victim = (struct session_plan){
        .sql = tn_strndup(sql, length), .length = length, .prepared = prepared, .used = ++session->tick};
    *ret = prepared;
    return TN_OK;
}
