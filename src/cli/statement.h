/* cli: where SQL statements end. The shell and `tarn sql FILE` cut their text
 * here; what a statement means is the server's business. */
#ifndef TARN_CLI_STATEMENT_H
#define TARN_CLI_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the first statement with its semicolon; 0 when the text ends
 * before one does. Semicolons in strings, names, comments and $tag$ quotes do
 * not count. */
size_t statement_end(const char *text, size_t length);
/* Nothing but space, comments and semicolons. */
bool statement_is_blank(const char *text, size_t length);
/* Inside a string, a quoted name or a comment at the end of text: the shell's
 * second prompt shows which: ' " $ or *; 0 for none. */
char statement_open_quote(const char *text, size_t length);

#endif
