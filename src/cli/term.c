/* The terminal and progress on it (see term.h). */
#include "cli/term.h"

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct term term_detect(void)
{
    (void)setlocale(LC_CTYPE, "");
    const char *no_colour = getenv("NO_COLOR"), *kind = getenv("TERM");
    bool colour = !(no_colour && *no_colour) && kind && *kind && !tn_streq(kind, "dumb");
    struct term term = {.out_tty = isatty(STDOUT_FILENO), .err_tty = isatty(STDERR_FILENO)};
    term.colour_out = colour && term.out_tty;
    term.colour_err = colour && term.err_tty;
    term.utf8 = tn_streq(nl_langinfo(CODESET), "UTF-8");
    return term;
}

static size_t columns_of(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

size_t term_width(void)
{
    uint64_t columns = 0;
    const char *wanted = getenv("COLUMNS");
    if (wanted && tn_parse_u64(wanted, &columns) && columns >= 20 && columns <= 10000)
        return (size_t)columns;
    columns = columns_of(STDOUT_FILENO);
    if (columns == 0)
        columns = columns_of(STDERR_FILENO);
    return columns >= 20 ? (size_t)columns : 80;
}

void term_put_safe(struct tn_buf *out, const char *text, size_t length)
{
    while (length > 0) {
        size_t good = tn_utf8_valid_prefix(text, length), plain = 0;
        while (plain < good && (unsigned char)text[plain] >= 0x20 && text[plain] != 0x7F &&
               !((unsigned char)text[plain] == 0xC2 && (unsigned char)text[plain + 1] < 0xA0))
            plain++;
        tn_buf_append(out, text, plain);
        text += plain;
        length -= plain;
        if (length == 0)
            return;
        unsigned char c = (unsigned char)*text;
        size_t used = 1;
        if (plain == good) {
            tn_buf_puts(out, "\xEF\xBF\xBD");
        } else if (c == '\n' || c == '\t' || c == '\r') {
            tn_buf_puts(out, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
        } else if (c == 0xC2) { /* a C1 control character, two bytes of UTF-8 */
            tn_buf_printf(out, "\\u%04x", (unsigned)(unsigned char)text[1]);
            used = 2;
        } else {
            tn_buf_printf(out, "\\x%02x", c);
        }
        text += used;
        length -= used;
    }
}

void progress_begin(struct progress *progress, const struct term *term, bool quiet, const char *label, uint64_t total)
{
    *progress = (struct progress){
        .shown = term->err_tty && !quiet,
        .utf8 = term->utf8,
        .label = label,
        .total = total,
        .started_ns = tn_mono_ns(),
    };
}

static void put_bar(struct tn_buf *out, bool utf8, unsigned percent, size_t cells)
{
    size_t full = cells * percent / 100;
    for (size_t i = 0; i < cells; i++)
        tn_buf_puts(out, i < full ? (utf8 ? "\u2588" : "#") : (utf8 ? "\u2591" : "."));
}

static void put_amount(struct tn_buf *out, const struct progress *progress, uint64_t amount)
{
    char text[32];
    if (!progress->unit)
        tn_buf_puts(out, tn_format_size(amount, text));
    else if (amount < 100000)
        tn_buf_printf(out, "%" PRIu64 " %s", amount, progress->unit);
    else
        tn_buf_printf(out, "%" PRIu64 "k %s", amount / 1000, progress->unit);
}

void progress_render(const struct progress *progress, uint64_t done, const char *phase, uint64_t elapsed_ms,
                     size_t width, struct tn_buf *out)
{
    char left[32];
    uint64_t per_second = elapsed_ms > 0 ? done * 1000 / elapsed_ms : 0;
    tn_buf_puts(out, progress->label);
    if (progress->total > 0) {
        uint64_t shown = TN_MIN(done, progress->total);
        unsigned percent = (unsigned)(shown * 100 / progress->total);
        tn_buf_puts(out, "  ");
        put_bar(out, progress->utf8, percent, width >= 100 ? 24 : 10);
        tn_buf_printf(out, " %3u%%  ", percent);
        put_amount(out, progress, shown);
        tn_buf_puts(out, " of ");
        put_amount(out, progress, progress->total);
    } else {
        tn_buf_puts(out, "  ");
        put_amount(out, progress, done);
    }
    if (phase) {
        tn_buf_printf(out, "  %s, %s", phase, tn_format_duration(elapsed_ms, left));
        return;
    }
    if (progress->rate > 0)
        per_second = (uint64_t)(progress->rate + 0.5);
    else if (elapsed_ms < 300)
        return; /* a rate would be a guess */
    tn_buf_puts(out, "  ");
    put_amount(out, progress, per_second);
    tn_buf_puts(out, "/s");
    if (progress->seconds_left > 0)
        tn_buf_printf(out, "  %s left", tn_format_duration((uint64_t)(progress->seconds_left * 1000), left));
    else if (progress->total > done && per_second > 0)
        tn_buf_printf(out, "  %s left",
                      tn_format_duration((progress->total - done) / per_second * 1000 + 1000, left));
}

void progress_update(struct progress *progress, uint64_t done, const char *phase)
{
    uint64_t now = tn_mono_ns();
    if (!progress->shown || now - progress->drawn_ns < 100 * 1000000u)
        return;
    progress->drawn_ns = now;
    progress->drawn = true;
    size_t width = term_width();
    TN_AUTO_BUF line = {0};
    progress_render(progress, done, phase, (now - progress->started_ns) / 1000000u, width, &line);
    if (tn_utf8_width(line.data, line.len) >= width)
        line.len = tn_utf8_floor(line.data, line.len, width - 1);
    (void)fprintf(stderr, "\r%.*s\033[K", (int)line.len, line.data);
    (void)fflush(stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->drawn)
        (void)fputs("\r\033[K", stderr);
    progress->drawn = false;
}
