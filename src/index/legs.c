/* The two legs of a search, and how they become one ranking. */
#include "index/search.h"
#include "index/trial.h"

#include <math.h>

#define RRF_RANK 60.0

static uint64_t doc_of(struct logical *logical, int64_t id)
{
    struct chunk_record record;
    if (chunk_file_get(logical->chunks, id, &record, NULL) != TN_OK)
        return (uint64_t)id; /* gone meanwhile: a document of its own, and noticed later */
    return tn_hash64(record.doc_id, record.doc_id_length, 0);
}

static uint64_t group_of(void *context, int64_t id)
{
    return doc_of(context, id);
}

/* ---- by meaning ---------------------------------------------------------------- */

static void note_plan(struct search *search, const struct vector_stats *stats, double recall)
{
    struct index_answer *answer = search->answer;
    bool all = stats->strategy == VECTOR_STRATEGY_EXACT;
    answer->generation = stats->generation;
    answer->strategy = vector_strategy_word(stats->strategy);
    answer->distances = stats->distances;
    answer->hops = stats->hops;
    answer->window = stats->window;
    answer->reranked = stats->reranked;
    answer->selectivity = (double)stats->selectivity;
    answer->estimated_recall = all ? 1 : recall;
}

enum tn_code search_vectors(struct search *search, struct tn_error *err)
{
    if (!search->vectors || !search->reader->searcher)
        return TN_OK;
    struct tuning *tuning = search->logical->tuning;
    const bool wished = search->query->recall > 0;
    const uint32_t window = wished ? 0 : atomic_load(&tuning->ef);
    const double recall = wished   ? search->query->recall
                          : window ? atomic_load(&tuning->recall) /* as it was measured */
                                   : atomic_load(&tuning->recall_target);
    const struct vector_filter filter = {.kind = VECTOR_FILTER_BITMAP,
                                         .bits = search->allowed ? search->allowed->bits : NULL,
                                         .bit_count = search->allowed ? search->allowed->bit_count : 0,
                                         .matches = search->allowed ? search->allowed->matches : 0};
    const struct vector_params params = {.k = search->width,
                                         .recall = window ? 0 : (float)recall,
                                         .window = window,
                                         .filter = search->allowed ? &filter : NULL,
                                         .max_per_group = search->query->per_doc ? 1 : 0,
                                         .group_of = search->query->per_doc ? group_of : NULL,
                                         .group_context = search->logical};
    TN_AUTO_FREE struct vector_hit *hits = tn_calloc(search->width, sizeof *hits);
    struct vector_stats stats = {0};
    size_t count = 0;
    if (search->allowed && search->allowed->matches == 0)
        return TN_OK;
    TN_TRY(vector_search(search->reader->searcher, search->vector, &params, hits, &count, &stats, err));
    note_plan(search, &stats, recall);
    asked_note(tuning->asked, search->vector);
    for (size_t i = 0; i < count; i++)
        search->candidates[search->count++] = (struct candidate){
            .id = hits[i].id, .vector = 1 - (double)hits[i].distance, .keyword = NAN, .vector_rank = (uint32_t)i + 1};
    search->answer->vector_candidates = count;
    return TN_OK;
}

/* ---- by words --------------------------------------------------------------------- */

struct word_leg {
    struct search *search;
    size_t first;    /* candidates before it are the other leg's */
    int64_t *judged; /* their ids, rising */
    struct candidate **of_judged;
    uint32_t rank;
    size_t taken;
    uint64_t *docs;
};

static bool passes(void *context, int64_t id)
{
    const struct word_leg *leg = context;
    return allowed_has(leg->search->allowed, id);
}

static uint32_t length_of(void *context, int64_t id)
{
    const struct word_leg *leg = context;
    return chunk_file_length(leg->search->logical->chunks, id);
}

/* Half a chunk of words of four letters. */
static uint32_t usual_length(const struct search *search)
{
    uint32_t size = search->logical->definition.chunk_size;
    return (size ? size : 256) * 2;
}

static bool is_new_doc(struct word_leg *leg, int64_t id)
{
    uint64_t doc = doc_of(leg->search->logical, id);
    for (size_t i = 0; i < leg->taken; i++)
        if (leg->docs[i] == doc)
            return false;
    leg->docs[leg->taken] = doc;
    return true;
}

static int by_id(const void *a, const void *b)
{
    struct candidate *const *x = a, *const *y = b;
    return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

static struct candidate *of_other_leg(const struct word_leg *leg, int64_t id)
{
    const int64_t *found = bsearch(&id, leg->judged, leg->first, sizeof id, tn_order_i64);
    return found ? leg->of_judged[found - leg->judged] : NULL;
}

static bool take_match(void *context, int64_t id, double score)
{
    struct word_leg *leg = context;
    struct search *search = leg->search;
    if (search->query->per_doc && !is_new_doc(leg, id))
        return true;
    leg->taken++;
    leg->rank++;
    struct candidate *candidate = of_other_leg(leg, id);
    if (candidate)
        candidate->keyword_rank = leg->rank;
    else
        search->candidates[search->count++] =
            (struct candidate){.id = id, .vector = NAN, .keyword = score, .keyword_rank = leg->rank};
    return leg->taken < search->width;
}

static void list_judged(struct word_leg *leg)
{
    for (size_t i = 0; i < leg->first; i++)
        leg->of_judged[i] = &leg->search->candidates[i];
    qsort(leg->of_judged, leg->first, sizeof(struct candidate *), by_id);
    for (size_t i = 0; i < leg->first; i++)
        leg->judged[i] = leg->of_judged[i]->id;
}

/* What the other leg found is judged by its words too, however many have more of them. */
enum tn_code search_words(struct search *search, struct tn_error *err)
{
    if (!search->expression)
        return TN_OK;
    const size_t first = search->count;
    TN_AUTO_FREE uint64_t *docs = tn_calloc(search->width, sizeof *docs);
    TN_AUTO_FREE int64_t *judged = tn_calloc(first + 1, sizeof *judged);
    TN_AUTO_FREE double *scores = tn_calloc(first + 1, sizeof *scores);
    TN_AUTO_FREE struct candidate **of_judged = tn_calloc(first + 1, sizeof(struct candidate *));
    struct word_leg leg = {.search = search, .first = first, .judged = judged, .of_judged = of_judged, .docs = docs};
    list_judged(&leg);
    const struct keyword_search wanted = {.expression = search->expression,
                                          .lists = search->logical->lists,
                                          .passes = search->allowed ? passes : NULL,
                                          .each = take_match,
                                          .length_of = length_of,
                                          .usual_length = usual_length(search),
                                          .judged = judged,
                                          .ret_judged = scores,
                                          .judged_count = first,
                                          .ret_full = &search->full_words,
                                          .context = &leg,
                                          .most = search->query->per_doc ? 0 : search->width};
    struct keyword_reader *words;
    TN_TRY(files_words(search->logical, search->reader, &words, err));
    TN_TRY(keyword_search(words, &wanted, err));
    for (size_t i = 0; i < first; i++)
        of_judged[i]->keyword = scores[i];
    search->answer->keyword_candidates = leg.taken;
    return TN_OK;
}

/* ---- fused --------------------------------------------------------------------------- */

/* What only the words found has a nearness too. */
static void complete(struct search *search)
{
    const uint32_t dimension = search->logical->definition.dimension;
    TN_AUTO_FREE float *vector = tn_calloc(dimension, sizeof *vector);
    double length = 0;
    for (uint32_t i = 0; i < dimension; i++)
        length += (double)search->vector[i] * (double)search->vector[i];
    length = sqrt(length);
    for (size_t i = 0; i < search->count; i++) {
        struct candidate *candidate = &search->candidates[i];
        if (!isnan(candidate->vector) || vector_index_get(search->vectors, candidate->id, vector, NULL) != TN_OK)
            continue;
        double product = 0;
        for (uint32_t d = 0; d < dimension; d++)
            product += (double)vector[d] * (double)search->vector[d];
        candidate->vector = product / length;
    }
}

/* Similarities stand against the query's best; words against all that were
 * asked for, so that the best of poor matches weighs no more than it is worth. */
static void blend(struct search *search, double weight)
{
    double most_vector = 0, most_keyword = search->full_words;
    for (size_t i = 0; i < search->count; i++) {
        most_vector = fmax(most_vector, search->candidates[i].vector); /* of a number and NaN, the number */
        most_keyword = fmax(most_keyword, search->candidates[i].keyword);
    }
    for (size_t i = 0; i < search->count; i++) {
        struct candidate *candidate = &search->candidates[i];
        double vector = isnan(candidate->vector) ? 0 : fmax(candidate->vector, 0);
        double keyword = isnan(candidate->keyword) ? 0 : candidate->keyword;
        candidate->score = (most_vector > 0 ? weight * vector / most_vector : 0) +
                           (most_keyword > 0 ? (1 - weight) * keyword / most_keyword : 0);
    }
}

static void reciprocal(struct search *search)
{
    for (size_t i = 0; i < search->count; i++) {
        struct candidate *candidate = &search->candidates[i];
        candidate->score = (candidate->vector_rank ? 1 / (RRF_RANK + candidate->vector_rank) : 0) +
                           (candidate->keyword_rank ? 1 / (RRF_RANK + candidate->keyword_rank) : 0);
    }
}

static int best_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void keep_one_per_doc(struct search *search)
{
    size_t kept = 0;
    for (size_t i = 0; i < search->count && kept < search->k; i++) {
        uint64_t doc = doc_of(search->logical, search->candidates[i].id);
        bool there = false;
        for (size_t n = 0; n < kept && !there; n++)
            there = search->candidates[n].doc == doc;
        if (!there) {
            search->candidates[kept] = search->candidates[i];
            search->candidates[kept++].doc = doc;
        }
    }
    search->count = kept;
}

void search_fuse(struct search *search)
{
    const struct index_query *query = search->query;
    if (query->mode == INDEX_HYBRID && query->fusion == INDEX_RRF) {
        reciprocal(search);
    } else if (query->mode == INDEX_HYBRID) {
        if (search->vectors)
            complete(search);
        blend(search, query->weight < 0 ? INDEX_WEIGHT : fmin(query->weight, 1));
    } else {
        for (size_t i = 0; i < search->count; i++)
            search->candidates[i].score =
                query->mode == INDEX_VECTOR ? search->candidates[i].vector : search->candidates[i].keyword;
    }
    qsort(search->candidates, search->count, sizeof *search->candidates, best_first);
    if (query->per_doc)
        keep_one_per_doc(search);
    search->count = TN_MIN(search->count, (size_t)search->k);
}
