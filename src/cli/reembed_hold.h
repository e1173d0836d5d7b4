/* cli: searches of the lake's server held back while `tarn reembed` works on
 * the table that their rows came from. Private to cmd_reembed*.c. */
#ifndef TARN_CLI_REEMBED_HOLD_H
#define TARN_CLI_REEMBED_HOLD_H

#include "cli/cli.h"

#include <pthread.h>

struct reembed_hold {
    struct cli *cli;
    struct client *client; /* the thread's, while there is one */
    json_t *datasets;      /* NULL: nothing was begun */
    const char *reason;
    bool keeping; /* there is a thread */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ending;
};
/* `label` as postgres_label() has it, `table` with its schema. A lake whose
 * server does not run, or without such an index, has nothing to hold back. Until
 * the end a thread says it again and again, however long a model or a statement takes. */
enum tn_code reembed_hold_begin(struct reembed_hold *hold, struct cli *cli, const char *label, const char *table,
                                struct tn_error *err) TN_CHECKED;
void reembed_hold_end(struct reembed_hold *hold);

#endif
