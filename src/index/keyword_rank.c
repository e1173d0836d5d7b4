/* BM25 over FTS5's own lists. */
#include "index/keyword_rank.h"

#include "index/keyword_lists.h"
#include "index/keyword_tokens.h"

#define GATHER_LOOKS 512 /* rows between two looks whether to go on */

struct weights {
    double *idf; /* of each phrase */
    double full; /* their sum */
    int count;
};

static void weights_free(void *pointer)
{
    struct weights *weights = pointer;
    free(weights->idf);
    free(weights);
}

static int count_row(const Fts5ExtensionApi *api, Fts5Context *context, void *count)
{
    (void)api;
    (void)context;
    ++*(sqlite3_int64 *)count;
    return SQLITE_OK;
}

static int weights_make(const Fts5ExtensionApi *api, Fts5Context *context, struct weights **ret)
{
    sqlite3_int64 total = 0;
    int code = api->xRowCount(context, &total);
    struct weights *weights = tn_calloc(1, sizeof *weights);
    weights->count = api->xPhraseCount(context);
    weights->idf = tn_calloc((size_t)weights->count + 1, sizeof *weights->idf);
    for (int i = 0; i < weights->count && code == SQLITE_OK; i++) {
        sqlite3_int64 rows = 0;
        code = api->xQueryPhrase(context, i, &rows, count_row);
        weights->idf[i] = keyword_weight(total, rows);
        weights->full += weights->idf[i];
    }
    if (code != SQLITE_OK) {
        weights_free(weights);
        return code;
    }
    code = api->xSetAuxdata(context, weights, weights_free); /* frees them where it fails */
    if (code == SQLITE_OK)
        *ret = weights;
    return code;
}

static double occurrences(const Fts5ExtensionApi *api, Fts5Context *context, int phrase, int *ret_code)
{
    Fts5PhraseIter iter;
    int column, offset, count = 0;
    *ret_code = api->xPhraseFirst(context, phrase, &iter, &column, &offset);
    for (; *ret_code == SQLITE_OK && column >= 0; api->xPhraseNext(context, &iter, &column, &offset))
        count++;
    return count;
}

/* ---- ids that are asked for ---- */

static uint64_t mark_of(int64_t id)
{
    return UINT64_C(1) << ((uint64_t)id % 64);
}

void keyword_rank_mark(struct keyword_ranking *ranking)
{
    memset(ranking->marks, 0, sizeof ranking->marks);
    for (size_t i = 0; i < ranking->judged_count; i++)
        ranking->marks[(uint64_t)ranking->judged[i] / 64 % 64] |= mark_of(ranking->judged[i]);
}

static void judge(struct keyword_ranking *ranking, int64_t id, double score)
{
    if (!(ranking->marks[(uint64_t)id / 64 % 64] & mark_of(id)))
        return;
    const int64_t *found = bsearch(&id, ranking->judged, ranking->judged_count, sizeof id, tn_order_i64);
    if (found)
        ranking->ret_judged[found - ranking->judged] = score;
}

/* ---- functions of SQL ---- */

static void rank_row(const Fts5ExtensionApi *api, Fts5Context *context, sqlite3_context *result, int count,
                     sqlite3_value **values)
{
    struct keyword_ranking *ranking = api->xUserData(context);
    struct weights *weights = api->xGetAuxdata(context, 0);
    int code = weights ? SQLITE_OK : weights_make(api, context, &weights);
    double length = 1, score = 0;
    (void)count;
    (void)values;
    if (ranking->length_of)
        length = (double)ranking->length_of(ranking->context, api->xRowid(context)) / (double)ranking->usual;
    for (int i = 0; code == SQLITE_OK && i < weights->count; i++) {
        double times = occurrences(api, context, i, &code);
        score += keyword_score(weights->idf[i], times, length);
    }
    if (code != SQLITE_OK) {
        sqlite3_result_error_code(result, code);
        return;
    }
    ranking->full = weights->full;
    if (ranking->judged_count > 0)
        judge(ranking, api->xRowid(context), score);
    sqlite3_result_double(result, -score);
}

static void times_in_row(const Fts5ExtensionApi *api, Fts5Context *context, sqlite3_context *result, int count,
                         sqlite3_value **values)
{
    int code;
    double times = occurrences(api, context, 0, &code);
    (void)count;
    (void)values;
    if (code == SQLITE_OK)
        sqlite3_result_int64(result, (sqlite3_int64)times);
    else
        sqlite3_result_error_code(result, code);
}

static void rows_in_all(const Fts5ExtensionApi *api, Fts5Context *context, sqlite3_context *result, int count,
                        sqlite3_value **values)
{
    sqlite3_int64 rows = 0;
    int code = api->xRowCount(context, &rows);
    (void)count;
    (void)values;
    if (code == SQLITE_OK)
        sqlite3_result_int64(result, rows);
    else
        sqlite3_result_error_code(result, code);
}

/* A phrase's rows are gone through inside of FTS5: a row costs a fifth of what it does as a row of SQL. */
static int gather_row(const Fts5ExtensionApi *api, Fts5Context *context, void *pointer)
{
    struct keyword_gather *gather = pointer;
    int64_t id = api->xRowid(context);
    int code = SQLITE_OK;
    if (++gather->rows % GATHER_LOOKS == 0 && gather->stopping && gather->stopping(gather->context))
        return SQLITE_INTERRUPT;
    if (id > gather->after)
        keyword_list_append(gather->into, id, (int64_t)occurrences(api, context, 0, &code), 0);
    return code;
}

static void gather(const Fts5ExtensionApi *api, Fts5Context *context, sqlite3_context *result, int count,
                   sqlite3_value **values)
{
    void *pointer = count == 1 ? sqlite3_value_pointer(values[0], KEYWORD_GATHER) : NULL;
    int code = pointer ? api->xQueryPhrase(context, 0, pointer, gather_row) : SQLITE_MISUSE;
    if (code != SQLITE_OK)
        sqlite3_result_error_code(result, code);
}

int keyword_rank_register(sqlite3 *db, struct keyword_ranking *ranking)
{
    fts5_api *api = keyword_fts5_api(db);
    if (!api)
        return SQLITE_ERROR;
    int code = api->xCreateFunction(api, "tarn_rank", ranking, rank_row, NULL);
    if (code == SQLITE_OK)
        code = api->xCreateFunction(api, "tarn_times", NULL, times_in_row, NULL);
    if (code == SQLITE_OK)
        code = api->xCreateFunction(api, "tarn_gather", NULL, gather, NULL);
    return code == SQLITE_OK ? api->xCreateFunction(api, "tarn_rows", NULL, rows_in_all, NULL) : code;
}
