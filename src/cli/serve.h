/* cli: serving, shared by `tarn serve` and `tarn demo`. */
#ifndef TARN_CLI_SERVE_H
#define TARN_CLI_SERVE_H

#include "cli/cli.h"

/* The lake's own gateway, made when it is not there. The caller closes it. */
enum tn_code serve_open(struct cli *cli, const char *ready_file, struct gateway **ret,
                        struct tn_error *err) TN_CHECKED;
/* Returns after SIGINT or SIGTERM. */
void serve_until_signal(struct cli *cli, struct gateway *gateway);
/* The line that opens in a browser; token may be NULL. */
void serve_put_link(struct tn_buf *out, const char *url, const char *token);

#endif
