/* cli: what two versions of an index are compared by. Private to cmd_reembed*.c. */
#ifndef TARN_CLI_REEMBED_QUERIES_H
#define TARN_CLI_REEMBED_QUERIES_H

#include "cli/client.h"

struct reembed_queries {
    struct client *client;
    const char *index;   /* of all its versions */
    const char *version; /* one of them, whose texts may be read */
    const char *file;    /* NULL: what was asked, else what documents begin with */
};
/* Appends {"query", "relevant": [doc_id, ...]} to `ret`, the latter where it is
 * known; *ret_from says where they come from. TN_EUSAGE when there are none. */
enum tn_code reembed_queries_find(const struct reembed_queries *from, json_t *ret, const char **ret_from,
                                  struct tn_error *err) TN_CHECKED;

#endif
