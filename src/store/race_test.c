/* Many writers: store_create has one winner per key, and deletes that empty
 * folders do not make puts fail. */
#include "store/test_support.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>

enum { PROCESSES = 8, ROUNDS = 40 };

/* Waits for the start signal, then claims every round's key; the exit status
 * says whether anything but a win or a loss happened. Wins go to the pipe. */
static int contend(const char *root, int number, int start, int wins)
{
    struct store *store = NULL;
    char go;
    if (store_open_local(root, &store, NULL) != TN_OK || read(start, &go, 1) != 0)
        return 1;
    for (int round = 0; round < ROUNDS; round++) {
        char key[64], text[32];
        (void)snprintf(key, sizeof key, "commits/%d", round);
        int length = snprintf(text, sizeof text, "%d", number);
        enum tn_code code = store_create(store, key, text, (size_t)length, NULL);
        unsigned char win[2] = {(unsigned char)round, (unsigned char)number};
        if (code == TN_OK ? write(wins, win, 2) != 2 : code != TN_EEXISTS)
            return 2;
    }
    store_close(store);
    return 0;
}

static void one_winner_per_round(void **state)
{
    struct fixture *f = *state;
    int start[2], wins[2];
    pid_t children[PROCESSES];
    assert_int_equal(pipe(start) | pipe(wins), 0);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            (void)close(start[1]);
            _exit(contend(f->root, i, start[0], wins[1]));
        }
    }
    (void)close(start[1]); /* all begin at once */
    (void)close(wins[1]);
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    int winner[ROUNDS];
    unsigned char win[2];
    memset(winner, -1, sizeof winner);
    while (read(wins[0], win, 2) == 2) {
        assert_int_equal(winner[win[0]], -1);
        winner[win[0]] = win[1];
    }
    for (int round = 0; round < ROUNDS; round++) {
        char key[64], text[32];
        (void)snprintf(key, sizeof key, "commits/%d", round);
        (void)snprintf(text, sizeof text, "%d", winner[round]);
        assert_content(f, key, text);
    }
    (void)close(start[0]);
    (void)close(wins[0]);
    assert_int_equal(staged_count(f), 0);
}

struct job {
    struct store *store;
    int number;
    enum tn_code code;
};

static void put_and_delete(void *argument)
{
    struct job *job = argument;
    for (int i = 0; i < 40 && job->code == TN_OK; i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "deep/er/%d", job->number);
        job->code = store_put(job->store, key, "x", 1, NULL);
        if (job->code == TN_OK)
            job->code = store_delete(job->store, key, NULL);
    }
}

static void deletes_do_not_break_puts(void **state)
{
    struct fixture *f = *state;
    struct job jobs[4];
    struct tn_pool *pool = NULL;
    assert_ok(tn_pool_new(4, &pool, &test_err));
    for (int i = 0; i < 4; i++) {
        jobs[i] = (struct job){.store = f->store, .number = i};
        tn_pool_submit(pool, TN_FOREGROUND, put_and_delete, &jobs[i]);
    }
    tn_pool_free(pool);
    for (int i = 0; i < 4; i++)
        assert_int_equal(jobs[i].code, TN_OK);
}

/* ---- fsyncs at once ----------------------------------------------------------- */

#define WRITERS 4
#define COMMITS 25
#define OBJECTS 7

struct committer {
    pthread_t thread;
    struct store *store;
    int number;
    size_t failures;
};

static void *commit_often(void *argument)
{
    struct committer *committer = argument;
    char key[64];
    for (int commit = 0; commit < COMMITS; commit++) {
        struct store_batch *batch = store_batch_new(committer->store);
        enum tn_code code = TN_OK;
        for (int i = 0; i < OBJECTS && code == TN_OK; i++) {
            (void)snprintf(key, sizeof key, "t%d/f%d/%d", committer->number, i % 3, commit * OBJECTS + i);
            code = store_batch_put(batch, key, key, strlen(key), NULL);
        }
        (void)snprintf(key, sizeof key, "t%d/commits/%d", committer->number, commit);
        if (code == TN_OK)
            code = store_batch_commit(batch, key, key, strlen(key), NULL);
        committer->failures += code != TN_OK;
        store_batch_free(batch);
    }
    return NULL;
}

static void many_batches_sync_at_once(void **state)
{
    struct fixture *f = *state;
    struct committer committers[WRITERS] = {0};
    store_sync_threads(f->store, 5);
    struct store_counters before = store_counters(f->store);
    for (int i = 0; i < WRITERS; i++) {
        committers[i] = (struct committer){.store = f->store, .number = i};
        assert_int_equal(pthread_create(&committers[i].thread, NULL, commit_often, &committers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(committers[i].thread, NULL), 0);
        assert_int_equal(committers[i].failures, 0);
    }
    for (int i = 0; i < WRITERS; i++)
        for (int n = 0; n < COMMITS * OBJECTS; n++) {
            const char *key = tn_arena_printf(f->arena, "t%d/f%d/%d", i, n % OBJECTS % 3, n);
            assert_content(f, key, key);
        }
    /* Objects, three folders, pointer and its folder; and the folders' own names once: four and t<n>. */
    assert_int_equal(store_counters(f->store).fsyncs - before.fsyncs, WRITERS * (COMMITS * (OBJECTS + 3 + 2) + 5));
    assert_int_equal(staged_count(f), 0);
}

static void failed_sync_among_others(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f, "eio@fsync:bad");
    store_sync_threads(f->store, 4);
    TN_CLEANUP(store_batch_free_p) struct store_batch *batch = store_batch_new(f->store);
    for (int i = 0; i < 20; i++)
        assert_ok(store_batch_put(batch, tn_arena_printf(f->arena, "d/%s%d", i == 13 ? "bad" : "good", i), "x", 1,
                                  &test_err));
    struct tn_error err = {0};
    assert_int_equal(store_batch_commit(batch, "d/pointer", "p", 1, &err), TN_EIO);
    assert_non_null(strstr(err.detail, "bad13"));
    assert_absent(f, "d/pointer");
    assert_absent(f, "d/good1");
    assert_absent(f, "d/bad13");
    store_sync_threads(f->store, 1);
    assert_ok(store_put(f->store, "d/after", "x", 1, &test_err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(one_winner_per_round),
        STORE_TEST(deletes_do_not_break_puts),
        STORE_TEST(many_batches_sync_at_once),
        STORE_TEST(failed_sync_among_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
