/* Many writers: store_create has one winner per key, and deletes that empty
 * folders do not make puts fail. */
#include "store/test_support.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(one_winner_per_round),
        STORE_TEST(deletes_do_not_break_puts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
