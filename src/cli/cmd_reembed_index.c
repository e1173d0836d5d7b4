/* tarn reembed --index: an index of the lake by another model. The new version
 * is built beside the old one, compared with it, switched to, and back. */
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/reembed_queries.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { WAIT_SECONDS = 3600, K_MOST = 100, SHOWN = 3 };

struct comparison {
    struct cli *cli;
    struct client *client;
    const char *base;      /* the index's name, of all its versions */
    const char *old, *new; /* names that searches take exactly */
    size_t k;
    json_t *queries; /* [{"query", "relevant": [...]}] */
    json_t *sides;   /* of the first ones: hits side by side */
    double overlap, correlation, ndcg_old, ndcg_new;
    size_t compared, correlated, judged, same_first;
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static enum tn_code send(struct cli *cli, const char *method, const char *index, const char *after,
                         const json_t *body, json_t **ret, struct tn_error *err)
{
    struct client *client;
    TN_TRY(cli_connect(cli, false, &client, err));
    const char *path =
        tn_arena_printf(cli->arena, "%s%s", client_path(cli->arena, "/vectors/indexes/", index, NULL), after);
    return client_json(client, method, path, body, ret, err);
}

/* ---- one more, and the pointer -------------------------------------------------------- */

static const json_t *newest(const json_t *answer)
{
    const json_t *versions = json_object_get(answer, "versions");
    return json_array_get(versions, json_array_size(versions) - 1);
}

static enum tn_code add(struct cli *cli, const char *index, const char *model, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_pack("{s:s}", "model", model), *done = NULL, *now = NULL;
    char after[64];
    (void)snprintf(after, sizeof after, "/versions?wait=%d", WAIT_SECONDS);
    TN_TRY(send(cli, "POST", index, after, body, &done, err));
    TN_TRY(send(cli, "GET", index, "/versions", NULL, &now, err));
    if (cli->json)
        return cli_print_json(cli, now, err);
    if (json_object_get(done, "job_id")) {
        cli_note(cli, "job %s goes on building %s; `tarn jobs` shows how far it is", text_of(done, "job_id"),
                 text_of(newest(now), "name"));
        return TN_OK;
    }
    const char *name = text_of(newest(now), "name");
    cli_note(cli, "%s: %" JSON_INTEGER_FORMAT " chunks, %" JSON_INTEGER_FORMAT " embedded by %s", name,
             json_integer_value(json_object_get(done, "chunks")),
             json_integer_value(json_object_get(done, "embedded")), text_of(newest(now), "model"));
    cli_note(cli,
             "Searches of %s still go to %s. Next:\n  tarn reembed --index %s --compare\n  tarn reembed --index %s "
             "--switch",
             index, text_of(now, "serving"), index, index);
    return TN_OK;
}

static enum tn_code serve(struct cli *cli, const char *index, const char *version, struct tn_error *err)
{
    TN_AUTO_JSON *body = json_object(), *now = NULL;
    if (version)
        (void)json_object_set_new(body, "version", json_string(version));
    TN_TRY(send(cli, "POST", index, "/serve", body, &now, err));
    if (cli->json)
        return cli_print_json(cli, now, err);
    cli_note(cli, "searches of %s go to %s; --rollback goes back to %s", index, text_of(now, "serving"),
             text_of(now, "previous"));
    return TN_OK;
}

/* The newest, unless it is named. */
static enum tn_code switch_to(struct cli *cli, const char *index, const char *version, struct tn_error *err)
{
    TN_AUTO_JSON *now = NULL;
    TN_TRY(send(cli, "GET", index, "/versions", NULL, &now, err));
    if (!version && json_array_size(json_object_get(now, "versions")) < 2) {
        (void)tn_fail(err, TN_ENOTFOUND, "index \"%s\" has one version", index);
        tn_error_hint(err, "`tarn reembed --index %s --model MODEL` makes another", index);
        return TN_ENOTFOUND;
    }
    return serve(cli, index, version ? version : text_of(newest(now), "name"), err);
}

/* ---- two answers -------------------------------------------------------------------------- */

static enum tn_code ask(struct comparison *comparison, const char *index, const char *query, json_t **ret,
                        struct tn_error *err)
{
    TN_AUTO_JSON *answer = NULL, *body = json_pack("{s:s,s:s,s:I,s:s,s:b}", "index", index, "query", query, "k",
                                                   (json_int_t)comparison->k, "mode", "vector", "per_doc", 1);
    TN_TRY(client_json(comparison->client, "POST", "/search", body, &answer, err));
    *ret = json_incref(json_object_get(answer, "hits"));
    return TN_OK;
}

/* Where a document stands in an answer; SIZE_MAX: nowhere. */
static size_t rank_of(const json_t *hits, const char *document)
{
    for (size_t i = 0; i < json_array_size(hits); i++)
        if (tn_streq(text_of(json_array_get(hits, i), "doc_id"), document))
            return i;
    return SIZE_MAX;
}

/* Kendall's: of all pairs that both have, those in the same order less those in the other. */
static void correlate(struct comparison *comparison, const json_t *old, const json_t *new)
{
    size_t common = 0, pairs = 0, count = json_array_size(old);
    double agree = 0;
    for (size_t i = 0; i < count; i++) {
        size_t here = rank_of(new, text_of(json_array_get(old, i), "doc_id"));
        if (here == SIZE_MAX)
            continue;
        common++;
        for (size_t j = i + 1; j < count; j++) {
            size_t there = rank_of(new, text_of(json_array_get(old, j), "doc_id"));
            if (there == SIZE_MAX)
                continue;
            pairs++;
            agree += here < there ? 1 : -1;
        }
    }
    size_t most = TN_MAX(count, json_array_size(new));
    comparison->overlap += most > 0 ? (double)common / (double)most : 1;
    if (pairs > 0) {
        comparison->correlation += agree / (double)pairs;
        comparison->correlated++;
    }
}

static double ndcg(const json_t *hits, const json_t *relevant, size_t k)
{
    double found = 0, best = 0;
    size_t wanted = json_array_size(relevant), i;
    const json_t *item;
    json_array_foreach(relevant, i, item)
    {
        size_t rank = json_is_string(item) ? rank_of(hits, json_string_value(item)) : SIZE_MAX;
        found += rank < k ? 1 / log2((double)rank + 2) : 0;
    }
    for (i = 0; i < TN_MIN(wanted, k); i++)
        best += 1 / log2((double)i + 2);
    return best > 0 ? found / best : 0;
}

static json_t *documents_of(const json_t *hits)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(hits); i++)
        (void)json_array_append(list, json_object_get(json_array_get(hits, i), "doc_id"));
    return list;
}

static enum tn_code compare_one(struct comparison *comparison, const json_t *item, struct tn_error *err)
{
    TN_AUTO_JSON *old = NULL, *new = NULL;
    const char *query = text_of(item, "query");
    const json_t *relevant = json_object_get(item, "relevant");
    TN_TRY(ask(comparison, comparison->old, query, &old, err));
    TN_TRY(ask(comparison, comparison->new, query, &new, err));
    comparison->compared++;
    correlate(comparison, old, new);
    comparison->same_first +=
        json_array_size(old) > 0 && rank_of(new, text_of(json_array_get(old, 0), "doc_id")) == 0;
    if (json_array_size(relevant) > 0) {
        comparison->judged++;
        comparison->ndcg_old += ndcg(old, relevant, comparison->k);
        comparison->ndcg_new += ndcg(new, relevant, comparison->k);
    }
    (void)json_array_append_new(comparison->sides, json_pack("{s:s,s:o,s:o}", "query", query, "old",
                                                             documents_of(old), "new", documents_of(new)));
    return TN_OK;
}

/* ---- the comparison ------------------------------------------------------------------------- */

static json_t *result_of(const struct comparison *comparison, const char *from)
{
    double count = (double)TN_MAX(comparison->compared, (size_t)1), judged = (double)comparison->judged;
    json_t *result =
        json_pack("{s:s,s:s,s:I,s:I,s:s,s:f,s:f}", "old", comparison->old, "new", comparison->new, "k",
                  (json_int_t)comparison->k, "queries", (json_int_t)comparison->compared, "queries_from", from,
                  "overlap", comparison->overlap / count, "same_first", (double)comparison->same_first / count);
    if (comparison->correlated > 0)
        (void)json_object_set_new(result, "rank_correlation",
                                  json_real(comparison->correlation / (double)comparison->correlated));
    if (comparison->judged > 0) {
        (void)json_object_set_new(result, "judged", json_integer((json_int_t)comparison->judged));
        (void)json_object_set_new(result, "ndcg_old", json_real(comparison->ndcg_old / judged));
        (void)json_object_set_new(result, "ndcg_new", json_real(comparison->ndcg_new / judged));
    }
    (void)json_object_set(result, "hits", comparison->sides);
    return result;
}

static void put_side(const char *label, const json_t *documents, struct tn_buf *out)
{
    tn_buf_printf(out, "    %s ", label);
    for (size_t i = 0; i < json_array_size(documents) && i < 5; i++)
        tn_buf_printf(out, " %s", json_string_value(json_array_get(documents, i)));
    tn_buf_putc(out, '\n');
}

static enum tn_code print_result(struct cli *cli, const json_t *result, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    const json_t *correlation = json_object_get(result, "rank_correlation"), *sides = json_object_get(result, "hits");
    tn_buf_printf(&text, "%s against %s: %" JSON_INTEGER_FORMAT " queries (%s), the first %" JSON_INTEGER_FORMAT "\n",
                  text_of(result, "new"), text_of(result, "old"),
                  json_integer_value(json_object_get(result, "queries")), text_of(result, "queries_from"),
                  json_integer_value(json_object_get(result, "k")));
    tn_buf_printf(&text, "  overlap           %.3f\n  same first hit    %.3f\n",
                  json_real_value(json_object_get(result, "overlap")),
                  json_real_value(json_object_get(result, "same_first")));
    if (correlation)
        tn_buf_printf(&text, "  rank correlation  %.3f\n", json_real_value(correlation));
    if (json_object_get(result, "judged"))
        tn_buf_printf(&text, "  nDCG              %.3f, was %.3f\n",
                      json_real_value(json_object_get(result, "ndcg_new")),
                      json_real_value(json_object_get(result, "ndcg_old")));
    for (size_t i = 0; i < json_array_size(sides) && i < SHOWN; i++) {
        const json_t *side = json_array_get(sides, i);
        tn_buf_printf(&text, "  %s\n", text_of(side, "query"));
        put_side("old", json_object_get(side, "old"), &text);
        put_side("new", json_object_get(side, "new"), &text);
    }
    return cli_print(cli, &text, err);
}

/* Exact names of the version that serves and the newest other one. */
static enum tn_code choose_sides(struct comparison *comparison, const char *index, struct tn_error *err)
{
    TN_AUTO_JSON *now = NULL;
    TN_TRY(send(comparison->cli, "GET", index, "/versions", NULL, &now, err));
    const char *base = text_of(now, "index"), *serving = text_of(now, "serving"), *other = NULL;
    const json_t *versions = json_object_get(now, "versions");
    for (size_t i = json_array_size(versions); i > 0 && !other; i--) {
        const char *name = text_of(json_array_get(versions, i - 1), "name");
        other = tn_streq(name, serving) ? NULL : name;
    }
    if (!other) {
        (void)tn_fail(err, TN_ENOTFOUND, "index \"%s\" has one version, and nothing to compare it with", index);
        tn_error_hint(err, "`tarn reembed --index %s --model MODEL` makes another", index);
        return TN_ENOTFOUND;
    }
    const char *first = tn_arena_printf(comparison->cli->arena, "%s__v1", base);
    comparison->base = tn_arena_strdup(comparison->cli->arena, base);
    comparison->old = tn_streq(serving, base) ? first : tn_arena_strdup(comparison->cli->arena, serving);
    comparison->new = tn_streq(other, base) ? first : tn_arena_strdup(comparison->cli->arena, other);
    return TN_OK;
}

static enum tn_code run_comparison(struct comparison *comparison, const char *index, const char *file,
                                   struct tn_error *err)
{
    size_t i;
    const json_t *item;
    const char *from = NULL;
    TN_TRY(choose_sides(comparison, index, err));
    TN_TRY(cli_connect(comparison->cli, false, &comparison->client, err));
    const struct reembed_queries queries = {
        .client = comparison->client, .index = comparison->base, .version = comparison->new, .file = file};
    TN_TRY(reembed_queries_find(&queries, comparison->queries, &from, err));
    json_array_foreach(comparison->queries, i, item) TN_TRY(compare_one(comparison, item, err));
    TN_AUTO_JSON *result = result_of(comparison, from);
    return comparison->cli->json ? cli_print_json(comparison->cli, result, err)
                                 : print_result(comparison->cli, result, err);
}

static enum tn_code compare(struct cli *cli, const char *index, const struct cli_args *args, struct tn_error *err)
{
    struct comparison comparison = {.cli = cli};
    int64_t k;
    TN_TRY(cli_args_i64(args, "k", 1, K_MOST, 10, &k, err));
    comparison.k = (size_t)k;
    comparison.queries = json_array();
    comparison.sides = json_array();
    enum tn_code code = run_comparison(&comparison, index, cli_args_text(args, "queries", NULL), err);
    json_decref(comparison.queries);
    json_decref(comparison.sides);
    return code;
}

enum tn_code cli_reembed_index(struct cli *cli, const struct cli_args *args, struct tn_error *err)
{
    const char *index = cli_args_text(args, "index", NULL), *model = cli_args_text(args, "model", NULL);
    int wanted = (model != NULL) + cli_args_has(args, "compare") + cli_args_has(args, "switch") +
                 cli_args_has(args, "rollback");
    if (wanted != 1)
        return tn_fail(err, TN_EUSAGE, "--index goes with one of --model, --compare, --switch, --rollback");
    if (model)
        return add(cli, index, model, err);
    if (cli_args_has(args, "compare"))
        return compare(cli, index, args, err);
    if (cli_args_has(args, "switch"))
        return switch_to(cli, index, cli_args_text(args, "switch", NULL), err);
    return serve(cli, index, NULL, err);
}
