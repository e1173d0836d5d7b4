/* cage.h: what a process gives up before it reads a stranger's bytes.
 *
 * Layers, each of use alone where the kernel lacks another:
 *   limits       memory, processor time, no core, no files written, few descriptors
 *   identity     of root: nobody's, which also drops the capabilities
 *   Landlock     PARSE: no path at all; TOOLS: programs and libraries, to read
 *   seccomp      PARSE: memory, clock and the descriptors that are open, nothing
 *                else; TOOLS: no sockets, no tracing, no mounts, no kernel's doors
 *   namespaces   a network of its own without a device (for the helper, once)
 * docs/decisions/0063 says why, and what works where.
 */
#ifndef TARN_DOCUMENT_CAGE_H
#define TARN_DOCUMENT_CAGE_H

#include "document/document.h"

enum cage_profile {
    CAGE_PARSE, /* our own readers: compute, read and write what is open */
    CAGE_TOOLS, /* a process that starts a program of the distribution */
};

/* For the helper that makes the children. What the system does not allow is
 * left out: seccomp holds the network shut anyway. */
void cage_leave_network(void);
/* For good. TN_EUNAVAILABLE when even the limits and the filter of system calls cannot be set. */
enum tn_code cage_enter(enum cage_profile profile, const struct document_limits *limits,
                        struct tn_error *err) TN_CHECKED;

#endif
