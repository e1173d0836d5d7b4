/* Lists of words, by key, the least used ones given up first. */
#include "index/keyword_lists.h"

#include <pthread.h>

#define BUCKETS      1024
#define REMOVED_KEPT KEYWORD_REMOVED_KEPT
#define PAGE         1024 /* lengths that are kept together */

struct entry {
    struct entry *next;
    uint64_t hash, used;
    struct keyword_state state;
    struct keyword_list *list;
    size_t bytes;
    char key[];
};

struct keyword_lists {
    pthread_mutex_t lock;
    size_t bytes, most_bytes;
    uint64_t clock;
    struct entry *buckets[BUCKETS];
    int64_t removed; /* how many are known to be */
    size_t known;    /* of them, the last ones that are in the ring */
    int64_t ring[REMOVED_KEPT];
    struct keyword_state counted;
    int64_t rows;     /* -1: not counted */
    uint32_t **pages; /* lengths by id, 0: not known; NULL where none is */
    size_t page_count, page_bytes;
    uint64_t restarts; /* how often all was dropped */
};

/* ---- one list ---------------------------------------------------------------- */

struct keyword_list *keyword_list_new(size_t capacity)
{
    struct keyword_list *list = tn_calloc(1, sizeof *list);
    atomic_init(&list->references, 1);
    list->capacity = capacity;
    list->postings = tn_malloc((capacity ? capacity : 1) * sizeof *list->postings);
    return list;
}

void keyword_list_unref(struct keyword_list *list)
{
    if (list && atomic_fetch_sub(&list->references, 1) == 1) {
        free(list->postings);
        free(list);
    }
}

void keyword_list_append(struct keyword_list *list, int64_t id, int64_t times, uint32_t length)
{
    list->unfit =
        list->unfit || id < 0 || id > UINT32_MAX || times > KEYWORD_TIMES_MAX || length > KEYWORD_LENGTH_MAX;
    if (list->unfit) {
        list->count = 0;
        return;
    }
    TN_GROW(list->postings, list->count, list->capacity);
    list->postings[list->count++] = (struct keyword_posting){
        .id = (uint32_t)id, .times = (uint32_t)times & KEYWORD_TIMES_MAX, .length = length & KEYWORD_LENGTH_MAX};
}

void keyword_list_fit(struct keyword_list *list)
{
    list->capacity = list->count ? list->count : 1;
    list->postings = tn_realloc_array(list->postings, list->capacity, sizeof *list->postings);
}

/* ---- all ------------------------------------------------------------------------ */

struct keyword_lists *keyword_lists_new(size_t most_bytes)
{
    struct keyword_lists *lists = tn_calloc(1, sizeof *lists);
    pthread_mutex_init(&lists->lock, NULL);
    lists->most_bytes = most_bytes;
    lists->rows = -1;
    return lists;
}

static void entry_free(struct entry *entry)
{
    keyword_list_unref(entry->list);
    free(entry);
}

static void drop_lengths(struct keyword_lists *lists)
{
    for (size_t i = 0; i < lists->page_count; i++)
        free(lists->pages[i]);
    free(TN_TAKE(lists->pages));
    lists->page_count = lists->page_bytes = 0;
    lists->restarts++;
}

static void drop_all(struct keyword_lists *lists)
{
    for (size_t i = 0; i < BUCKETS; i++)
        while (lists->buckets[i]) {
            struct entry *entry = lists->buckets[i];
            lists->buckets[i] = entry->next;
            entry_free(entry);
        }
    lists->bytes = 0;
    drop_lengths(lists);
}

void keyword_lists_free(struct keyword_lists *lists)
{
    if (!lists)
        return;
    drop_all(lists);
    pthread_mutex_destroy(&lists->lock);
    free(lists);
}

size_t keyword_lists_bytes(struct keyword_lists *lists)
{
    pthread_mutex_lock(&lists->lock);
    size_t bytes = lists->bytes + lists->page_bytes;
    pthread_mutex_unlock(&lists->lock);
    return bytes;
}

double keyword_lists_filled(struct keyword_lists *lists)
{
    return lists->most_bytes ? (double)keyword_lists_bytes(lists) / (double)lists->most_bytes : 1;
}

static struct entry **place_of(struct keyword_lists *lists, const char *key, uint64_t hash)
{
    struct entry **place = &lists->buckets[hash % BUCKETS];
    while (*place && ((*place)->hash != hash || !tn_streq((*place)->key, key)))
        place = &(*place)->next;
    return place;
}

static void drop(struct keyword_lists *lists, struct entry **place)
{
    struct entry *entry = *place;
    *place = entry->next;
    lists->bytes -= entry->bytes;
    entry_free(entry);
}

static void make_room(struct keyword_lists *lists, size_t bytes)
{
    while (lists->bytes > 0 && lists->bytes + lists->page_bytes + bytes > lists->most_bytes) {
        struct entry **oldest = NULL;
        for (size_t i = 0; i < BUCKETS; i++)
            for (struct entry **place = &lists->buckets[i]; *place; place = &(*place)->next)
                if (!oldest || (*place)->used < (*oldest)->used)
                    oldest = place;
        drop(lists, oldest);
    }
}

struct keyword_list *keyword_lists_find(struct keyword_lists *lists, const char *key, struct keyword_state *ret_state)
{
    uint64_t hash = tn_hash64(key, strlen(key), 0);
    struct keyword_list *found = NULL;
    pthread_mutex_lock(&lists->lock);
    struct entry *entry = *place_of(lists, key, hash);
    if (entry) {
        entry->used = ++lists->clock;
        *ret_state = entry->state;
        found = entry->list;
        atomic_fetch_add(&found->references, 1);
    }
    pthread_mutex_unlock(&lists->lock);
    return found;
}

static bool is_later(struct keyword_state a, struct keyword_state b)
{
    return a.last > b.last || a.removed > b.removed;
}

void keyword_lists_keep(struct keyword_lists *lists, const char *key, struct keyword_state state,
                        struct keyword_list *list)
{
    size_t length = strlen(key), bytes = sizeof(struct entry) + length + 1 + sizeof *list;
    uint64_t hash = tn_hash64(key, length, 0);
    bytes += list->capacity * sizeof *list->postings;
    if (bytes > lists->most_bytes / 4)
        return;
    pthread_mutex_lock(&lists->lock);
    struct entry **place = place_of(lists, key, hash);
    bool later = *place && is_later((*place)->state, state);
    if (*place && !later && (*place)->list == list) {
        (*place)->state = state;
    } else if (!later) {
        if (*place)
            drop(lists, place);
        make_room(lists, bytes);
        struct entry *entry = tn_calloc(1, sizeof *entry + length + 1);
        *entry = (struct entry){.hash = hash, .used = ++lists->clock, .state = state, .list = list, .bytes = bytes};
        memcpy(entry->key, key, length);
        atomic_fetch_add(&list->references, 1);
        entry->next = lists->buckets[hash % BUCKETS];
        lists->buckets[hash % BUCKETS] = entry;
        lists->bytes += bytes;
    }
    pthread_mutex_unlock(&lists->lock);
}

/* ---- what was removed -------------------------------------------------------------- */

int64_t keyword_lists_removed(struct keyword_lists *lists)
{
    pthread_mutex_lock(&lists->lock);
    int64_t removed = lists->removed;
    pthread_mutex_unlock(&lists->lock);
    return removed;
}

void keyword_lists_remove(struct keyword_lists *lists, int64_t number, int64_t id)
{
    pthread_mutex_lock(&lists->lock);
    if (number > lists->removed) {
        if (number != lists->removed + 1 || id < 0) { /* some were not told, or nothing holds */
            drop_all(lists);
            lists->known = 0;
        } else {
            lists->ring[(uint64_t)number % REMOVED_KEPT] = id;
            lists->known = TN_MIN(lists->known + 1, (size_t)REMOVED_KEPT);
        }
        lists->removed = number;
    }
    pthread_mutex_unlock(&lists->lock);
}

static bool has(const struct keyword_list *list, int64_t id)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->postings[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < list->count && list->postings[low].id == id;
}

/* Those that are in the list, each once and by number; how many. */
static size_t keep_those_of(const struct keyword_list *list, int64_t *ids, size_t count)
{
    size_t kept = 0;
    qsort(ids, count, sizeof *ids, tn_order_i64);
    for (size_t i = 0; i < count; i++)
        if ((kept == 0 || ids[kept - 1] != ids[i]) && has(list, ids[i]))
            ids[kept++] = ids[i];
    return kept;
}

static int64_t *removed_between(struct keyword_lists *lists, int64_t since, int64_t until)
{
    int64_t *ids = NULL;
    pthread_mutex_lock(&lists->lock);
    if (until <= lists->removed && lists->removed - since <= (int64_t)lists->known) {
        ids = tn_calloc((size_t)(until - since) + 1, sizeof *ids);
        for (int64_t number = since + 1; number <= until; number++)
            ids[number - since - 1] = lists->ring[(uint64_t)number % REMOVED_KEPT];
    }
    pthread_mutex_unlock(&lists->lock);
    return ids;
}

bool keyword_lists_without(struct keyword_lists *lists, const struct keyword_list *list, int64_t since, int64_t until,
                           size_t room, struct keyword_list **ret)
{
    TN_AUTO_FREE int64_t *ids = removed_between(lists, since, until);
    if (!ids)
        return false;
    size_t count = keep_those_of(list, ids, (size_t)(until - since)), next = 0;
    *ret = NULL;
    if (count == 0 && room == 0)
        return true;
    struct keyword_list *copy = keyword_list_new(list->count - count + room);
    for (size_t i = 0; i < list->count; i++) {
        if (next < count && ids[next] == list->postings[i].id)
            next++;
        else
            copy->postings[copy->count++] = list->postings[i];
    }
    *ret = copy;
    return true;
}

/* ---- lengths --------------------------------------------------------------------------- */

/* NULL when there is no more room for lengths. */
static uint32_t *page_of(struct keyword_lists *lists, size_t number)
{
    const size_t most = lists->most_bytes / 8, bytes = PAGE * sizeof(uint32_t);
    if (number >= lists->page_count) {
        size_t count = TN_MAX(number + 1, lists->page_count * 2), more = (count - lists->page_count) * sizeof(void *);
        if (lists->page_bytes + more + bytes > most)
            return NULL;
        make_room(lists, more);
        lists->pages = tn_realloc_array(lists->pages, count, sizeof *lists->pages);
        memset(lists->pages + lists->page_count, 0, more);
        lists->page_count = count;
        lists->page_bytes += more;
    }
    if (!lists->pages[number] && lists->page_bytes + bytes <= most) {
        make_room(lists, bytes);
        lists->pages[number] = tn_calloc(PAGE, sizeof(uint32_t));
        lists->page_bytes += bytes;
    }
    return lists->pages[number];
}

/* Those of [at, end), which are of one page; how many are not known. */
static size_t copy_known(struct keyword_lists *lists, struct keyword_list *list, size_t at, size_t end,
                         uint64_t *ret_restarts)
{
    size_t number = list->postings[at].id / PAGE, missing = 0;
    pthread_mutex_lock(&lists->lock);
    const uint32_t *page = number < lists->page_count ? lists->pages[number] : NULL;
    for (size_t i = at; i < end; i++) {
        uint32_t length = page ? page[list->postings[i].id % PAGE] : 0;
        list->postings[i].length = length & KEYWORD_LENGTH_MAX;
        missing += length == 0;
    }
    *ret_restarts = lists->restarts;
    pthread_mutex_unlock(&lists->lock);
    return missing;
}

static void keep_known(struct keyword_lists *lists, const struct keyword_list *list, size_t at, size_t end,
                       uint64_t restarts)
{
    pthread_mutex_lock(&lists->lock);
    uint32_t *page = restarts == lists->restarts ? page_of(lists, list->postings[at].id / PAGE) : NULL;
    for (size_t i = at; page && i < end; i++)
        page[list->postings[i].id % PAGE] = list->postings[i].length;
    pthread_mutex_unlock(&lists->lock);
}

void keyword_lists_lengths(struct keyword_lists *lists, struct keyword_list *list,
                           uint32_t (*length_of)(void *context, int64_t id), void *context)
{
    uint64_t restarts;
    for (size_t at = 0, end; at < list->count; at = end) {
        for (end = at + 1; end < list->count && list->postings[end].id / PAGE == list->postings[at].id / PAGE;)
            end++;
        if (copy_known(lists, list, at, end, &restarts) == 0)
            continue;
        for (size_t i = at; i < end; i++) {
            if (list->postings[i].length > 0)
                continue;
            uint32_t length = length_of(context, list->postings[i].id);
            if (length > KEYWORD_LENGTH_MAX) {
                list->unfit = true;
                list->count = 0;
                return;
            }
            list->postings[i].length = length & KEYWORD_LENGTH_MAX;
        }
        keep_known(lists, list, at, end, restarts);
    }
}

/* ---- rows ------------------------------------------------------------------------------ */

bool keyword_lists_rows(struct keyword_lists *lists, struct keyword_state state, int64_t *ret)
{
    pthread_mutex_lock(&lists->lock);
    bool known = lists->rows >= 0 && lists->counted.last == state.last && lists->counted.removed == state.removed;
    if (known)
        *ret = lists->rows;
    pthread_mutex_unlock(&lists->lock);
    return known;
}

void keyword_lists_count(struct keyword_lists *lists, struct keyword_state state, int64_t rows)
{
    pthread_mutex_lock(&lists->lock);
    lists->counted = state;
    lists->rows = rows;
    pthread_mutex_unlock(&lists->lock);
}
