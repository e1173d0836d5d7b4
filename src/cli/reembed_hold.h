/* cli: searches of the lake's server held back while `tarn reembed` works on
 * the table that their rows came from. Private to cmd_reembed*.c. */
#ifndef TARN_CLI_REEMBED_HOLD_H
#define TARN_CLI_REEMBED_HOLD_H

#include "cli/cli.h"

struct reembed_hold {
    struct cli *cli;
    struct client *client;
    json_t *datasets; /* NULL: nothing was begun */
    const char *reason;
    uint64_t said_ns;
};
/* `label` as postgres_label() has it, `table` with its schema. A lake whose
 * server does not run, or without such an index, has nothing to hold back. */
enum tn_code reembed_hold_begin(struct reembed_hold *hold, struct cli *cli, const char *label, const char *table,
                                struct tn_error *err) TN_CHECKED;
/* Call it often: it speaks when it is time. */
void reembed_hold_renew(struct reembed_hold *hold);
void reembed_hold_end(struct reembed_hold *hold);

#endif
