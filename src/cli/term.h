/* cli: what is known about the terminal, and progress on it. */
#ifndef TARN_CLI_TERM_H
#define TARN_CLI_TERM_H

#include "base/base.h"

struct term {
    bool out_tty, err_tty; /* standard output, standard error */
    bool colour_out, colour_err;
    bool utf8; /* the locale can show line-drawing characters */
};

/* Honours NO_COLOR and TERM=dumb. Sets the process's locale for characters. */
struct term term_detect(void);
/* Columns of the terminal on standard output (COLUMNS, the terminal itself, else 80). */
size_t term_width(void);

/* Text for a person: control characters become visible escapes, bad UTF-8
 * becomes U+FFFD, so that data cannot drive the terminal. */
void term_put_safe(struct tn_buf *out, const char *text, size_t length);

/* A bar on standard error; silent unless `shown`. One line, redrawn at most
 * ten times a second. */
struct progress {
    bool shown;
    bool utf8;
    const char *label;
    const char *unit; /* "rows"; NULL: bytes */
    uint64_t total;   /* 0 when not known */
    uint64_t started_ns, drawn_ns;
    bool drawn;
    /* Known by whoever does the work, and then better than what is seen here; 0: not. */
    double rate, seconds_left;
};
void progress_begin(struct progress *progress, const struct term *term, bool quiet, const char *label,
                    uint64_t total);
void progress_update(struct progress *progress, uint64_t done, const char *phase);
/* Removes the line. */
void progress_end(struct progress *progress);
/* The text of the bar, for progress_update and its test. */
void progress_render(const struct progress *progress, uint64_t done, const char *phase, uint64_t elapsed_ms,
                     size_t width, struct tn_buf *out);

#endif
