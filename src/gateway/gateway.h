/* gateway: the one service of a lake, over HTTP.
 *
 * gateway_open opens a lake (creating it when asked), takes its lock, and
 * answers on a port. `tarn serve` keeps one until a signal; every other
 * command either finds a running one or opens one inside itself on a free
 * loopback port and talks to that: one path to every feature.
 *
 * The routes are one table (routes.c): it yields the router, /openapi.json and
 * the links in the command line's help, so they cannot disagree.
 *
 * Safe by default: loopback only, a token from the first start (argon2id at
 * rest, compared in constant time), Host and Origin checked, sizes and times
 * limited. A slow client holds a connection, never a worker.
 *
 * Threads: open, wait, stop and close from one thread; gateway_request_stop is
 * safe in a signal handler.
 */
#ifndef TARN_GATEWAY_GATEWAY_H
#define TARN_GATEWAY_GATEWAY_H

#include "base/base.h"
#include "dataset/dataset.h"

struct gateway;

/* Every configuration key of Tarn, for tn_config_load. */
struct tn_config_table gateway_config_table(void);

struct gateway_options {
    const char *lake;               /* folder */
    const struct tn_config *config; /* outlives the gateway */
    bool create;                    /* make the folder's skeleton when it is not a lake yet */
    bool embedded;                  /* inside another command: free loopback port, one-off token, no run file */
    const char *ready_file;         /* {"url","token","pid"} goes here, 0600, once it answers; may be NULL */
};

/* Errors: TN_ELOCKED names the process that serves the lake already;
 * TN_ENOTFOUND when `lake` is none and create is off; TN_ECONFIG. */
enum tn_code gateway_open(const struct gateway_options *options, struct gateway **ret,
                          struct tn_error *err) TN_CHECKED;
const char *gateway_url(const struct gateway *gateway); /* "http://127.0.0.1:7341" */
/* A token that works: the first one ever made (else NULL: the owner has it),
 * or the one-off token of an embedded gateway. */
const char *gateway_token(const struct gateway *gateway);
/* The services behind it, for the same process (demo). */
struct lake *gateway_lake(struct gateway *gateway);
/* Returns when gateway_request_stop was called. */
void gateway_wait(struct gateway *gateway);
void gateway_request_stop(struct gateway *gateway);
/* Stops accepting, lets running requests end within server.drain, cancels the
 * rest, releases the lake. */
void gateway_close(struct gateway *gateway);
TN_DEFINE_CLEANUP(struct gateway, gateway_close)

/* The server that a lake's run file names, when it is alive: url and its local
 * token, the arena's. TN_ENOTFOUND otherwise. */
enum tn_code gateway_find(const char *lake, struct tn_arena *arena, char **ret_url, char **ret_token,
                          struct tn_error *err) TN_CHECKED;

/* For --help: what a path is for. */
struct gateway_route_help {
    const char *method, *path, *summary;
};
const struct gateway_route_help *gateway_routes_help(struct tn_arena *arena, size_t *ret_count);

#endif
