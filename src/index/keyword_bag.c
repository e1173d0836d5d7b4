/* A search of words joined by OR: their lists, then blocks of ids added up. */
#include "index/keyword_bag.h"

#include "index/keyword_rank.h"
#include "index/keyword_tokens.h"

#define TERMS_MAX 128
#define BLOCK     4096 /* ids that are added up together */
#define FIRST     512  /* hits of a search that does not say how many it wants, at first */
#define FEW_SHARE 4    /* less than so much of all ids is asked for as rows of SQL, which can begin anywhere */

struct term {
    char *phrase; /* as it stands in the expression */
    char *key;    /* of its list */
    struct keyword_list *list;
    double weight;
    size_t at;
};

struct hit {
    int64_t id;
    double score;
};

struct bag_run {
    const struct keyword_search *search;
    struct term terms[TERMS_MAX];
    size_t count;
    struct hit *hits; /* the worst one first */
    size_t found, most, capacity;
    size_t judged; /* of search->judged, those that were passed */
    double scores[BLOCK];
};

struct keyword_bag {
    sqlite3 *db;
    sqlite3_stmt *begin, *end, *state, *removed, *all, *postings, *rows;
    struct keyword_tokens *tokens;
    bool (*stopping)(void *context); /* of keyword_bag_learn; or NULL */
    struct bag_run run;
};

int keyword_bag_open(sqlite3 *db, struct keyword_bag **ret)
{
    TN_CLEANUP(keyword_bag_close_p) struct keyword_bag *bag = tn_calloc(1, sizeof *bag);
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } all[] = {
        {&bag->begin, "BEGIN"},
        {&bag->end, "COMMIT"},
        {&bag->state, "SELECT (SELECT value FROM numbers WHERE name = 'last'), (SELECT max(number) FROM removed)"},
        {&bag->removed, "SELECT number, id FROM removed WHERE number > ?1 ORDER BY number"},
        {&bag->all, "SELECT tarn_gather(words, ?2) FROM words WHERE words MATCH ?1 LIMIT 1"},
        {&bag->postings,
         "SELECT rowid, tarn_times(words) FROM words WHERE words MATCH ?1 AND rowid > ?2 AND rowid <= "
         "?3 ORDER BY rowid"},
        {&bag->rows, "SELECT tarn_rows(words) FROM words WHERE words MATCH ?1 LIMIT 1"},
    };
    bag->db = db;
    for (size_t i = 0; i < TN_COUNT(all); i++) {
        int code = sqlite3_prepare_v3(db, all[i].sql, -1, SQLITE_PREPARE_PERSISTENT, all[i].statement, NULL);
        if (code != SQLITE_OK)
            return code;
    }
    int code = keyword_tokens_open(db, &bag->tokens);
    if (code == SQLITE_OK)
        *ret = TN_TAKE(bag);
    return code;
}

void keyword_bag_close(struct keyword_bag *bag)
{
    if (!bag)
        return;
    (void)sqlite3_finalize(bag->begin);
    (void)sqlite3_finalize(bag->end);
    (void)sqlite3_finalize(bag->state);
    (void)sqlite3_finalize(bag->removed);
    (void)sqlite3_finalize(bag->all);
    (void)sqlite3_finalize(bag->postings);
    (void)sqlite3_finalize(bag->rows);
    keyword_tokens_close(bag->tokens);
    free(bag->run.hits);
    free(bag);
}

/* ---- the words of an expression ------------------------------------------------- */

/* ("word") OR ("pre"*) OR ...: as keyword_query writes them. */
static bool split(struct keyword_bag *bag, const char *expression)
{
    struct bag_run *run = &bag->run;
    const char *at = expression;
    TN_AUTO_BUF key = {0};
    for (run->count = 0; run->count < TERMS_MAX;) {
        if (at[0] != '(' || at[1] != '"')
            return false;
        const char *quote = strchr(at + 2, '"');
        if (!quote)
            return false;
        const char *end = quote[1] == '*' ? quote + 2 : quote + 1;
        if (*end != ')')
            return false;
        struct term *term = &run->terms[run->count++];
        *term = (struct term){.phrase = tn_strndup(at + 1, (size_t)(end - at - 1))};
        if (keyword_tokens_key(bag->tokens, term->phrase, &key) != SQLITE_OK)
            return false;
        term->key = tn_strdup(key.data ? key.data : "");
        if (end[1] == '\0')
            return true;
        if (strncmp(end + 1, " OR ", 4) != 0)
            return false;
        at = end + 5;
    }
    return false;
}

static void forget(struct bag_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        free(run->terms[i].phrase);
        free(run->terms[i].key);
        keyword_list_unref(run->terms[i].list);
    }
    run->count = 0;
}

/* ---- their lists ------------------------------------------------------------------ */

static int reset(sqlite3_stmt *statement, int code)
{
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

static int run_one(sqlite3_stmt *statement)
{
    return reset(statement, sqlite3_step(statement));
}

static int read_state(struct keyword_bag *bag, struct keyword_state *ret)
{
    struct keyword_lists *lists = bag->run.search->lists;
    int code = sqlite3_step(bag->state);
    if (code == SQLITE_ROW)
        *ret = (struct keyword_state){.last = sqlite3_column_int64(bag->state, 0),
                                      .removed = sqlite3_column_int64(bag->state, 1)};
    code = reset(bag->state, code);
    int64_t known = keyword_lists_removed(lists);
    if (code != SQLITE_OK || ret->removed <= known)
        return code;
    (void)sqlite3_bind_int64(bag->removed, 1, known);
    while ((code = sqlite3_step(bag->removed)) == SQLITE_ROW)
        keyword_lists_remove(lists, sqlite3_column_int64(bag->removed, 0), sqlite3_column_int64(bag->removed, 1));
    return reset(bag->removed, code);
}

static int gather_all(struct keyword_bag *bag, const char *phrase, int64_t last, struct keyword_list *into)
{
    struct keyword_gather gather = {
        .into = into, .after = last, .stopping = bag->stopping, .context = bag->run.search->context};
    (void)sqlite3_bind_text(bag->all, 1, phrase, -1, SQLITE_STATIC);
    (void)sqlite3_bind_pointer(bag->all, 2, &gather, KEYWORD_GATHER, NULL);
    return run_one(bag->all);
}

static int gather_few(struct keyword_bag *bag, const char *phrase, int64_t last, int64_t until,
                      struct keyword_list *into)
{
    int code;
    (void)sqlite3_bind_text(bag->postings, 1, phrase, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(bag->postings, 2, last);
    (void)sqlite3_bind_int64(bag->postings, 3, until);
    while ((code = sqlite3_step(bag->postings)) == SQLITE_ROW)
        keyword_list_append(into, sqlite3_column_int64(bag->postings, 0), sqlite3_column_int64(bag->postings, 1), 0);
    return reset(bag->postings, code);
}

/* Rows with ids above `last`, to the end of `into`; those above `until` are not in this reader's view. */
static int append(struct keyword_bag *bag, const char *phrase, int64_t last, int64_t until, struct keyword_list *into)
{
    const struct keyword_search *search = bag->run.search;
    int code = SQLITE_OK;
    if (until - last > until / FEW_SHARE)
        code = gather_all(bag, phrase, last, into);
    else if (until > last)
        code = gather_few(bag, phrase, last, until, into);
    if (code == SQLITE_OK && search->length_of)
        keyword_lists_lengths(search->lists, into, search->length_of, search->context);
    keyword_list_fit(into);
    return code;
}

/* *ret stays NULL when the lists are of a later state than the reader. */
static int bring_up(struct keyword_bag *bag, const struct term *term, struct keyword_state now,
                    struct keyword_list **ret)
{
    const char *key = term->key, *phrase = term->phrase;
    struct keyword_lists *lists = bag->run.search->lists;
    struct keyword_state then = {-1, now.removed};
    TN_CLEANUP(keyword_list_unref_p) struct keyword_list *before = keyword_lists_find(lists, key, &then);
    TN_CLEANUP(keyword_list_unref_p) struct keyword_list *added = NULL, *list = NULL;
    if (then.last > now.last || then.removed > now.removed)
        return SQLITE_OK;
    if (before && then.last == now.last && then.removed == now.removed) {
        *ret = TN_TAKE(before);
        return SQLITE_OK;
    }
    added = keyword_list_new(0);
    int code = append(bag, phrase, before && !before->unfit ? then.last : -1, now.last, added);
    if (code != SQLITE_OK)
        return code;
    if (!before || before->unfit || added->unfit) {
        list = TN_TAKE(added);
    } else if (!keyword_lists_without(lists, before, then.removed, now.removed, added->count, &list)) {
        code = append(bag, phrase, -1, now.last, list = keyword_list_new(before->count));
    } else if (!list) {
        list = TN_TAKE(before);
    } else if (added->count > 0) {
        memcpy(list->postings + list->count, added->postings, added->count * sizeof *added->postings);
        list->count += added->count;
    }
    if (code == SQLITE_OK) {
        keyword_lists_keep(lists, key, now, list);
        *ret = TN_TAKE(list);
    }
    return code;
}

static int count_rows(struct keyword_bag *bag, const char *phrase, struct keyword_state now, int64_t *ret)
{
    if (keyword_lists_rows(bag->run.search->lists, now, ret))
        return SQLITE_OK;
    (void)sqlite3_bind_text(bag->rows, 1, phrase, -1, SQLITE_STATIC);
    int code = sqlite3_step(bag->rows);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(bag->rows, 0);
    code = reset(bag->rows, code);
    if (code == SQLITE_OK)
        keyword_lists_count(bag->run.search->lists, now, *ret);
    return code;
}

/* In one view of the file. *ret_rows 0: nothing has any of the words. */
static int gather(struct keyword_bag *bag, bool *ret_all, int64_t *ret_rows)
{
    struct bag_run *run = &bag->run;
    struct keyword_state now = {0};
    const struct term *any = NULL;
    int code = read_state(bag, &now);
    *ret_all = false;
    for (size_t i = 0; i < run->count && code == SQLITE_OK; i++) {
        struct term *term = &run->terms[i];
        code = bring_up(bag, term, now, &term->list);
        if (code != SQLITE_OK || !term->list || term->list->unfit)
            return code;
        if (term->list->count > 0)
            any = term;
    }
    *ret_all = code == SQLITE_OK;
    *ret_rows = 0;
    return any && code == SQLITE_OK ? count_rows(bag, any->phrase, now, ret_rows) : code;
}

/* ---- the best --------------------------------------------------------------------------- */

static bool is_worse(const struct hit *a, const struct hit *b)
{
    return a->score != b->score ? a->score < b->score : a->id > b->id;
}

static void sink(struct hit *hits, size_t count, size_t at)
{
    for (;;) {
        size_t least = at, child = 2 * at + 1;
        for (size_t i = child; i < TN_MIN(child + 2, count); i++)
            if (is_worse(&hits[i], &hits[least]))
                least = i;
        if (least == at)
            return;
        struct hit swap = hits[at];
        hits[at] = hits[least];
        hits[least] = swap;
        at = least;
    }
}

/* Ids come in order: of equals the first one stays. */
static void offer(struct bag_run *run, int64_t id, double score)
{
    const struct keyword_search *search = run->search;
    if (run->found == run->most && score <= run->hits[0].score)
        return;
    if (search->passes && !search->passes(search->context, id))
        return;
    if (run->found < run->most) {
        TN_GROW(run->hits, run->found, run->capacity);
        run->hits[run->found++] = (struct hit){id, score};
        if (run->found == run->most)
            for (size_t i = run->most / 2; i-- > 0;)
                sink(run->hits, run->found, i);
    } else {
        run->hits[0] = (struct hit){id, score};
        sink(run->hits, run->found, 0);
    }
}

static void add_up(struct bag_run *run, struct term *term, int64_t first)
{
    const struct keyword_list *list = term->list;
    const struct keyword_search *search = run->search;
    const double usual = search->usual_length ? (double)search->usual_length : 1;
    size_t at = term->at;
    for (; at < list->count && list->postings[at].id < first + BLOCK; at++) {
        const struct keyword_posting *posting = &list->postings[at];
        double length = search->length_of ? (double)posting->length / usual : 1;
        run->scores[posting->id - first] += keyword_score(term->weight, (double)posting->times, length);
    }
    term->at = at;
}

static void judge(struct bag_run *run, int64_t first)
{
    const struct keyword_search *search = run->search;
    for (; run->judged < search->judged_count && search->judged[run->judged] < first + BLOCK; run->judged++) {
        int64_t id = search->judged[run->judged];
        if (id >= first && run->scores[id - first] > 0)
            search->ret_judged[run->judged] = run->scores[id - first];
    }
}

static int64_t next_id(const struct bag_run *run)
{
    int64_t next = -1;
    for (size_t i = 0; i < run->count; i++) {
        const struct term *term = &run->terms[i];
        if (term->at < term->list->count && (next < 0 || term->list->postings[term->at].id < next))
            next = term->list->postings[term->at].id;
    }
    return next;
}

static int best_first(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;
    return is_worse(x, y) ? 1 : is_worse(y, x) ? -1 : 0;
}

static void find_best(struct bag_run *run, size_t most)
{
    run->most = most;
    run->found = run->judged = 0;
    for (size_t i = 0; i < run->count; i++)
        run->terms[i].at = 0;
    for (int64_t first = next_id(run); first >= 0; first = next_id(run)) {
        memset(run->scores, 0, sizeof run->scores);
        for (size_t i = 0; i < run->count; i++)
            add_up(run, &run->terms[i], first);
        judge(run, first);
        for (int64_t i = 0; i < BLOCK; i++)
            if (run->scores[i] > 0)
                offer(run, first + i, run->scores[i]);
    }
    if (run->found > 1)
        qsort(run->hits, run->found, sizeof *run->hits, best_first);
}

/* A search that wants as many as it likes is given more each time it asks on. */
static void give(struct bag_run *run)
{
    const struct keyword_search *search = run->search;
    size_t given = 0;
    bool more = true;
    for (size_t most = search->most ? search->most : FIRST; more; most *= 8) {
        find_best(run, most);
        while (given < run->found && more) {
            more = search->each(search->context, run->hits[given].id, run->hits[given].score);
            given++;
        }
        more = more && !search->most && run->found == most;
    }
}

static void weigh(struct bag_run *run, int64_t rows)
{
    double full = 0;
    for (size_t i = 0; i < run->count; i++) {
        struct term *term = &run->terms[i];
        term->weight = keyword_weight(rows, (int64_t)term->list->count);
        full += term->weight;
    }
    if (run->search->ret_full)
        *run->search->ret_full = full;
}

/* In one view of the file, as gather() does. */
static int gather_in_one_view(struct keyword_bag *bag, bool *ret_all, int64_t *ret_rows)
{
    int code = run_one(bag->begin);
    if (code != SQLITE_OK)
        return code;
    code = gather(bag, ret_all, ret_rows);
    int ended = run_one(bag->end);
    return code == SQLITE_OK ? ended : code;
}

int keyword_bag_search(struct keyword_bag *bag, const struct keyword_search *search, bool *ret_done)
{
    struct bag_run *run = &bag->run;
    int64_t rows = 0;
    int code = SQLITE_OK;
    bool all = false;
    run->search = search;
    if (split(bag, search->expression)) {
        code = gather_in_one_view(bag, &all, &rows);
        if (code == SQLITE_OK && all && rows > 0) {
            weigh(run, rows);
            give(run);
        }
    }
    forget(run);
    run->search = NULL;
    *ret_done = all;
    return code;
}

int keyword_bag_learn(struct keyword_bag *bag, const struct keyword_search *search, bool (*stopping)(void *context))
{
    int64_t rows;
    int code = SQLITE_OK;
    bool all;
    bag->run.search = search;
    bag->stopping = stopping;
    if (split(bag, search->expression))
        code = gather_in_one_view(bag, &all, &rows);
    forget(&bag->run);
    bag->run.search = NULL;
    bag->stopping = NULL;
    return code;
}
