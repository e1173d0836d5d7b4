/* An index in memory: its state, who reads it, and its log.
 *
 * The state (a generation and its delta) is one pointer. A searcher announces
 * the state that it reads in its own slot before using it and checks that the
 * pointer has not moved meanwhile; whoever swaps the pointer waits until no
 * slot holds the old state before freeing it. Readers therefore wait for
 * nobody, and a swap waits for the searches that are under way.
 *
 * Whoever builds from a state pins it: a pinned state that was replaced is freed
 * by the last that lets go of it.
 *
 * Locks, in order: fold_lock, swap_lock, write_lock, the log's, look_lock,
 * searchers_lock; health_lock alone. fold_lock is held while a generation is
 * built; swap_lock while another takes the active one's place or files are
 * removed; look_lock never across a disk.
 */
#ifndef TARN_VECTOR_INDEX_H
#define TARN_VECTOR_INDEX_H

#include "vector/delta_log.h"
#include "vector/filter.h"

struct index_state {
    struct generation *generation;
    struct delta *delta;   /* NULL for a lone file */
    struct delta_log *log; /* NULL when read-only */
    uint64_t number;
    uint64_t last_change; /* under write_lock */
    uint32_t pins;        /* under write_lock */
    bool replaced;        /* under write_lock */
};

struct vector_index {
    char *path; /* the folder; NULL for a lone file */
    bool read_only;
    int lock_fd;
    struct vector_open_options options;
    struct index_state *_Atomic state;

    /* Folds that the index begins by itself. Under write_lock: */
    pthread_t folder;
    bool folder_runs; /* to be joined */
    bool folding;
    uint64_t folds;
    enum tn_code folded;
    uint64_t fold_at; /* rows changed at which the next one begins */
    struct vector_control fold_control;

    pthread_mutex_t fold_lock;
    pthread_mutex_t swap_lock;
    pthread_mutex_t write_lock;
    pthread_mutex_t look_lock; /* the delta's table, and which state is active, stand still */
    uint64_t building;         /* under swap_lock: the number of a file that is not finished; 0 */
    enum tn_code broken;       /* a log write failed: changes are refused */

    pthread_mutex_t searchers_lock;
    struct vector_searcher *searchers;

    /* The background's check and warming of the active generation. */
    pthread_t background;
    bool background_runs;
    atomic_bool background_stop;
    atomic_bool answered; /* a search has ended since the index was opened */
    atomic_bool warm;
    pthread_mutex_t health_lock;
    pthread_cond_t health_changed;
    bool health_known;
    enum tn_code health;
    struct tn_error health_error;
};

struct vector_searcher {
    struct scratch scratch; /* first: it is aligned */
    struct vector_index *index;
    struct index_state *_Atomic reading;
    struct vector_searcher *next;
    struct vector_hit *hits;
    size_t hits_capacity;
    size_t hit_count;
};

struct index_state *state_enter(struct vector_searcher *searcher);
void state_leave(struct vector_searcher *searcher);
void state_free(struct index_state *state);

/* The file names of a folder. */
char *index_generation_path(const char *folder, uint64_t number);
char *index_log_path(const char *folder, uint64_t number);

/* index_state.c: the active pointer and opening what it names. */
enum tn_code index_active_read(const char *folder, uint64_t *ret_number, uint64_t *ret_previous,
                               struct tn_error *err) TN_CHECKED;
enum tn_code index_active_write(const char *folder, uint64_t number, uint64_t previous,
                                struct tn_error *err) TN_CHECKED;
enum tn_code state_open(struct vector_index *index, uint64_t number, struct index_state **ret,
                        struct tn_error *err) TN_CHECKED;
/* One record into the delta; records that it has already are passed over. */
enum tn_code state_apply(struct index_state *state, const struct delta_record *record,
                         struct tn_error *err) TN_CHECKED;
/* Swaps the pointer, waits for readers, frees the old state. Under write_lock. */
void index_swap(struct vector_index *index, struct index_state *state);
/* swap.c: `to` catches up with the active state and takes its place. Under swap_lock. */
enum tn_code index_promote_state(struct vector_index *index, struct index_state **to,
                                 struct tn_error *err) TN_CHECKED;
/* The number of a file of an index's folder; *ret_log: of a log. */
bool index_file_number(const char *name, uint64_t *ret, bool *ret_log);
/* One that no file has. Under swap_lock. */
enum tn_code index_next_number(struct vector_index *index, uint64_t *ret, struct tn_error *err) TN_CHECKED;
TN_DEFINE_CLEANUP(struct index_state, state_free)
/* fold.c: begins a fold when one is due. Under write_lock. */
void index_fold_if_due(struct vector_index *index);
void index_folder_stop(struct vector_index *index);
/* Starts or restarts the background on the active generation. */
void index_background_start(struct vector_index *index);
void index_background_stop(struct vector_index *index);

#endif
