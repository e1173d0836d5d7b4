/* keyword_lists: where a word stands, remembered.
 *
 * FTS5 goes through every row that has a word, which for a word that many have
 * is nearly all that a search costs. What was gone through once is kept here: a
 * list for each word (phrase, prefix) that was asked for, the ids in order, how
 * often it stands there and how long the text is. Lists that were not used for
 * longest go when there are too many bytes of them.
 *
 * A list is true for one state of the file: the highest id that was ever added,
 * and how many were removed. Ids only grow and none is used twice, so a list is
 * brought to a later state by leaving out what was removed and appending what
 * was added; whoever asks does that, beside the lock. Lists never change: a
 * later one takes the place of the earlier, which lives while somebody reads it.
 *
 * Threads: every function from any thread. Private to keyword.
 */
#ifndef TARN_INDEX_KEYWORD_LISTS_H
#define TARN_INDEX_KEYWORD_LISTS_H

#include "index/keyword.h"

#include <stdatomic.h>

#define KEYWORD_TIMES_MAX  4095
#define KEYWORD_LENGTH_MAX 0xFFFFF

#define KEYWORD_REMOVED_KEPT 8192 /* the last ids that were removed, in the file and in memory */

struct keyword_posting {
    uint32_t id;
    uint32_t times : 12, length : 20;
};

struct keyword_list {
    atomic_size_t references;
    bool unfit; /* a number in it is larger than a posting holds; it is empty then */
    size_t count, capacity;
    struct keyword_posting *postings; /* by id */
};
struct keyword_list *keyword_list_new(size_t capacity) __attribute__((returns_nonnull));
void keyword_list_unref(struct keyword_list *list);
TN_DEFINE_CLEANUP(struct keyword_list, keyword_list_unref)
/* Ids rise. To a list that nobody else has. */
void keyword_list_append(struct keyword_list *list, int64_t id, int64_t times, uint32_t length);

void keyword_list_fit(struct keyword_list *list); /* gives back what was reserved and not used */

/* What a reader's view of the file holds. */
struct keyword_state {
    int64_t last;    /* highest id that was ever added */
    int64_t removed; /* how many were removed, all told */
};

/* The list of a key as it was for *ret_state, or NULL. A reference. */
struct keyword_list *keyword_lists_find(struct keyword_lists *lists, const char *key,
                                        struct keyword_state *ret_state);
/* Kept, unless there is one of a later state. `list` stays the caller's. */
void keyword_lists_keep(struct keyword_lists *lists, const char *key, struct keyword_state state,
                        struct keyword_list *list);

/* Which ids were removed: the reader tells what it knows more. An id of -1:
 * nothing that was known before holds any more. */
int64_t keyword_lists_removed(struct keyword_lists *lists);
void keyword_lists_remove(struct keyword_lists *lists, int64_t number, int64_t id);
/* A copy of the list without what was removed between the two, or NULL when
 * nothing of it was; false when that is not known any more. */
bool keyword_lists_without(struct keyword_lists *lists, const struct keyword_list *list, int64_t since, int64_t until,
                           size_t room, struct keyword_list **ret);

/* Sets the lengths of a list that nobody else has. A text's length never changes:
 * what was asked for once is kept for the lists of other words. */
void keyword_lists_lengths(struct keyword_lists *lists, struct keyword_list *list,
                           uint32_t (*length_of)(void *context, int64_t id), void *context);

/* Rows of the file in that state; false when nobody has counted them. */
bool keyword_lists_rows(struct keyword_lists *lists, struct keyword_state state, int64_t *ret);
void keyword_lists_count(struct keyword_lists *lists, struct keyword_state state, int64_t rows);

#endif
