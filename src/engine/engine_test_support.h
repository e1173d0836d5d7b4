/* Shared by the engine's tests: an engine over a temporary folder and a
 * resolver over a small table of relations. Header only; each test program
 * uses what it needs. */
#ifndef TARN_ENGINE_TEST_SUPPORT_H
#define TARN_ENGINE_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/engine.h"

/* One relation that the tests call a dataset. */
struct fixture_relation {
    const char *name, *version, *definition;
};

/* What the tests call datasets; a version other than the first is reached by
 * AT. Snapshot ids are the versions, and the old ones have the tag 1.0 'old'. */
static const struct fixture_relation fixture_relations[] = {
    {"candidates", "2",
     "SELECT * FROM (VALUES (1, 'Ann', 'active', 80.5, DATE '2024-01-05', ['sql', 'c']), "
     "(2, 'Bob', 'placed', 95.0, DATE '2024-02-01', ['java']), "
     "(3, 'Cem', 'active', NULL, DATE '2024-03-09', []::VARCHAR[])) t(id, name, status, rate, hired, skills)"},
    {"candidates", "1",
     "SELECT * FROM (VALUES (1, 'Ann', 'new', 70.0, DATE '2024-01-05', ['sql'])) t(id, name, status, rate, hired, "
     "skills)"},
    {"clients", "7", "SELECT * FROM (VALUES (10, 'Acme', 1), (11, 'Blue', 3)) t(id, company, candidate_id)"},
    {"numbers", "5", "SELECT i AS n, i % 7 AS g, 'row ' || i AS label FROM range(100000) t(i)"},
    {"my table", "9", "SELECT 1 AS \"weird name\""},
};

struct fixture {
    char folder[64];
    struct engine *engine;
    atomic_uint resolved; /* how often the resolver was asked */
};

static inline enum tn_code fixture_resolve(void *context, const struct engine_table_ref *ref, struct tn_arena *arena,
                                           struct engine_relation *ret, struct tn_error *err)
{
    struct fixture *fixture = context;
    (void)arena;
    atomic_fetch_add(&fixture->resolved, 1);
    for (size_t i = 0; i < TN_COUNT(fixture_relations); i++) {
        const struct fixture_relation *relation = &fixture_relations[i];
        int64_t version = 0;
        (void)tn_parse_i64(relation->version, &version);
        if (!tn_str_equal_nocase(relation->name, ref->name) ||
            (ref->at == ENGINE_AT_VERSION && ref->at_version != version))
            continue;
        if (ref->at == ENGINE_AT_NAME && (version != 1 || !tn_streq(ref->at_name, "1.0 'old'")))
            continue;
        /* Times before 2024 mean the old version. */
        if (ref->at == ENGINE_AT_TIMESTAMP && ref->at_timestamp_us < INT64_C(1704067200000000) && version != 1)
            continue;
        *ret = (struct engine_relation){.version = relation->version, .definition = relation->definition};
        return TN_OK;
    }
    return tn_fail(err, ref->at == ENGINE_AT_VERSION || ref->at == ENGINE_AT_NAME ? TN_ESNAPSHOT : TN_EDATASET,
                   "there is no dataset \"%s\"", ref->name);
}

static inline size_t fixture_names(void *context, struct tn_arena *arena, const char *const **ret)
{
    (void)context;
    const char **names = TN_ARENA_ARRAY(arena, const char *, TN_COUNT(fixture_relations));
    for (size_t i = 0; i < TN_COUNT(fixture_relations); i++)
        names[i] = fixture_relations[i].name;
    *ret = names;
    return TN_COUNT(fixture_relations);
}

static inline struct engine_resolver fixture_resolver(struct fixture *fixture)
{
    return (struct engine_resolver){.context = fixture, .resolve = fixture_resolve, .names = fixture_names};
}

static inline int fixture_open(struct fixture *fixture, uint64_t memory_bytes, size_t max_queries)
{
    *fixture = (struct fixture){0};
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/tarn-engine-XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    const char *folders[] = {fixture->folder};
    char temp[80];
    (void)snprintf(temp, sizeof temp, "%s/spill", fixture->folder);
    const struct engine_options options = {.memory_bytes = memory_bytes,
                                           .temp_folder = temp,
                                           .threads = 2,
                                           .max_queries = max_queries,
                                           .readable_folders = folders,
                                           .readable_count = 1};
    struct tn_error err = {0};
    enum tn_code code = engine_open(&options, &fixture->engine, &err);
    if (code != TN_OK)
        print_error("%s\n", err.detail);
    return code == TN_OK ? 0 : -1;
}

static inline void fixture_close(struct fixture *fixture)
{
    engine_close(fixture->engine);
    if (tn_remove_tree(fixture->folder, NULL) != TN_OK)
        print_message("%s is left behind\n", fixture->folder);
}

static inline struct engine_query_options fixture_query(struct fixture *fixture, const char *sql)
{
    return (struct engine_query_options){
        .sql = sql, .sql_length = strlen(sql), .resolver = fixture_resolver(fixture)};
}

/* The whole result in one format; out is cleared first. */
static inline enum tn_code fixture_fill(struct fixture *fixture, const struct engine_query_options *options,
                                        enum engine_format format, struct tn_buf *out, struct tn_error *err)
{
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    (void)fixture;
    tn_buf_clear(out);
    TN_TRY(engine_query_start(fixture->engine, options, &query, err));
    TN_CLEANUP(engine_writer_free_p) struct engine_writer *writer = engine_writer_new(query, format);
    bool done = false;
    while (!done)
        TN_TRY(engine_writer_fill(writer, 4096, out, &done, err));
    return TN_OK;
}

static inline enum tn_code fixture_rows(struct fixture *fixture, const char *sql, struct tn_buf *out,
                                        struct tn_error *err)
{
    struct engine_query_options options = fixture_query(fixture, sql);
    return fixture_fill(fixture, &options, ENGINE_JSON_ROWS, out, err);
}

/* Runs and compares the JSON rows. */
static inline void fixture_expect(struct fixture *fixture, const char *sql, const char *rows)
{
    TN_AUTO_BUF out = {0};
    struct tn_error err = {0};
    enum tn_code code = fixture_rows(fixture, sql, &out, &err);
    if (code != TN_OK)
        fail_msg("%s\n  -> %s: %s (%s)", sql, tn_code_word(code), err.detail, err.hint);
    if (!tn_streq(out.data ? out.data : "", rows))
        fail_msg("%s\n  -> %s\n  != %s", sql, out.data ? out.data : "", rows);
}

#endif
