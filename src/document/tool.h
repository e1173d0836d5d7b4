/* tool.h: a program of the distribution that reads a file and prints. The
 * process that starts it is caged (CAGE_TOOLS), and so is the program.
 *
 *     tool_start -> tool_read until 0 -> tool_end
 *
 * Of two in a row, the second is started with the first one's `out`, which
 * tool_pass_on then gives up.
 */
#ifndef TARN_DOCUMENT_TOOL_H
#define TARN_DOCUMENT_TOOL_H

#include "document/document.h"

struct tool {
    pid_t pid;
    int out, err;
    struct tn_buf complaint;
    int status;
};
/* `in`: a file, read from its beginning, or a pipe. */
enum tn_code tool_start(char *const *argv, int in, struct tool *ret, struct tn_error *err) TN_CHECKED;
/* Ends one that still runs, without a word. */
void tool_release(struct tool *tool);
/* The next bytes of its output; 0 at the end. */
size_t tool_read(struct tool *tool, char *out, size_t room);
/* Its output is another one's input now. */
void tool_pass_on(struct tool *tool);

enum tool_outcome { TOOL_FINE, TOOL_MISSING, TOOL_FAILED };
enum tool_outcome tool_wait(struct tool *tool);
/* The same of a program of poppler, with the error in words. */
enum tn_code tool_end(struct tool *tool, const char *name, struct tn_error *err) TN_CHECKED;

#endif
