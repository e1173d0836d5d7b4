/* Searches over several indexes: which ones, and their hits as one list.
 *
 * A hit's score compares it with the others of its index. To stand beside those
 * of another one it is scaled: by how near the best of its index is to the
 * question (hybrid, and vectors of different models), or to the best of all
 * (words). Ranks (rrf) and similarities of one model compare as they are.
 */
#include "index/search.h"

#include <math.h>

/* "all-MiniLM-L6-v2" names "builtin/all-MiniLM-L6-v2" too. */
static bool is_model(const char *model, const char *wanted)
{
    const char *slash = strchr(model, '/');
    return tn_str_equal_nocase(model, wanted) || (slash && tn_str_equal_nocase(slash + 1, wanted));
}

enum tn_code index_with_model(struct index_service *service, const char *dataset, const char *model, char **ret,
                              struct tn_error *err)
{
    const struct definition *newest = NULL;
    TN_AUTO_BUF models = {0};
    TN_AUTO_FREE char *name = NULL;
    pthread_mutex_lock(&service->lock);
    for (size_t i = 0; i < service->count; i++) {
        const struct definition *definition = &service->items[i]->definition;
        if (dataset && !tn_str_equal_nocase(definition->dataset, dataset))
            continue;
        if (!is_model(definition->model, model)) {
            if (models.len < 200 && (!models.data || !strstr(models.data, definition->model)))
                tn_buf_printf(&models, "%s%s", models.len ? ", " : "", definition->model);
        } else if (!newest || definition->created_us > newest->created_us) {
            newest = definition;
        }
    }
    if (newest)
        name = version_exact_name(service, newest->name);
    pthread_mutex_unlock(&service->lock);
    if (!name) {
        (void)tn_fail(err, TN_ENOTFOUND, "no index%s%.100s is built with the model \"%.100s\"", dataset ? " of " : "",
                      dataset ? dataset : "", model);
        if (models.len > 0)
            tn_error_hint(err, "there are: %s", models.data);
        return TN_ENOTFOUND;
    }
    *ret = TN_TAKE(name);
    return TN_OK;
}

/* ---- one list ------------------------------------------------------------------------ */

struct placed {
    const struct index_answer *answer;
    const struct index_hit *hit;
    size_t place; /* of the answer */
    double score;
};

/* The best of an answer's hits by similarity, or by words. */
static double best_of(const struct index_answer *answer, bool words)
{
    double best = 0;
    for (size_t i = 0; i < answer->hit_count; i++)
        best = fmax(best, words ? answer->hits[i].keyword_score : answer->hits[i].vector_score);
    return best; /* fmax of a number and NaN is the number */
}

static bool one_model(struct index_answer *const *answers, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (!tn_streq(answers[i]->model_version, answers[0]->model_version))
            return false;
    return true;
}

static double scale_of(struct index_answer *const *answers, size_t count, size_t i, const struct index_query *query)
{
    bool words = query->mode == INDEX_KEYWORD;
    double most = 0, mine = best_of(answers[i], words);
    for (size_t k = 0; k < count; k++)
        most = fmax(most, best_of(answers[k], words));
    if (words)
        return most > 0 ? 1 / most : 1;
    bool comparable = one_model(answers, count);
    if (query->mode == INDEX_VECTOR)
        return comparable || mine <= 0 ? 1 : 1 / mine;
    return query->fusion == INDEX_RRF || !comparable || most <= 0 ? 1 : mine / most;
}

static int best_first(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return x->hit < y->hit ? -1 : x->hit > y->hit;
}

static struct placed *place(struct index_answer *const *answers, size_t count, const struct index_query *query,
                            size_t *ret_count)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        total += answers[i]->hit_count;
    struct placed *placed = tn_calloc(total + 1, sizeof *placed);
    for (size_t i = 0; i < count; i++) {
        double scale = scale_of(answers, count, i, query);
        for (size_t k = 0; k < answers[i]->hit_count; k++)
            placed[at++] = (struct placed){.answer = answers[i],
                                           .hit = &answers[i]->hits[k],
                                           .place = i,
                                           .score = answers[i]->hits[k].score * scale};
    }
    qsort(placed, total, sizeof *placed, best_first);
    *ret_count = TN_MIN(total, (size_t)(query->k ? query->k : 10));
    return placed;
}

static void write_searched(const struct index_answer *answer, bool explain, struct tn_json *out)
{
    tn_json_open(out, '{');
    tn_json_kstr(out, "index", answer->index);
    tn_json_kstr(out, "dataset", answer->dataset);
    answer_put_state(answer, explain, out);
    tn_json_close(out, '}');
}

void index_answers_write(struct index_answer *const *answers, size_t count, const struct index_query *query,
                         bool explain, struct tn_json *out)
{
    size_t shown = 0;
    uint64_t total_us = 0;
    bool behind = false;
    TN_AUTO_FREE struct placed *placed = place(answers, count, query, &shown);
    tn_json_open(out, '{');
    tn_json_kstr(out, "query_id", answers[0]->query_id);
    tn_json_key(out, "hits");
    tn_json_open(out, '[');
    for (size_t i = 0; i < shown; i++) {
        struct index_hit hit = *placed[i].hit;
        hit.score = placed[i].score;
        answer_put_hit(&hit, placed[i].answer, explain, out);
    }
    tn_json_close(out, ']');
    tn_json_key(out, "searched");
    tn_json_open(out, '[');
    for (size_t i = 0; i < count; i++) {
        write_searched(answers[i], explain, out);
        behind = behind || answers[i]->behind;
        total_us += answers[i]->total_us;
    }
    tn_json_close(out, ']');
    tn_json_kstr(out, "model", one_model(answers, count) ? answers[0]->model : NULL);
    tn_json_kbool(out, "behind", behind);
    tn_json_kf64(out, "elapsed_ms", (double)total_us / 1000);
    tn_json_close(out, '}');
}
