#include "vector/tool/tool.h"

#include <stdio.h>

void report_begin(struct report *r, bool as_json)
{
    *r = (struct report){.as_json = as_json};
    r->json = tn_json_writer(&r->text);
    if (as_json)
        tn_json_open(&r->json, '{');
}

void report_text(struct report *r, const char *key, const char *value)
{
    if (r->as_json)
        tn_json_kstr(&r->json, key, value);
    else
        tn_buf_printf(&r->text, "%-22s %s\n", key, value);
}

void report_int(struct report *r, const char *key, uint64_t value)
{
    if (r->as_json)
        tn_json_ki64(&r->json, key, (int64_t)value);
    else
        tn_buf_printf(&r->text, "%-22s %llu\n", key, (unsigned long long)value);
}

void report_real(struct report *r, const char *key, double value)
{
    if (r->as_json)
        tn_json_kf64(&r->json, key, value);
    else
        tn_buf_printf(&r->text, "%-22s %.6g\n", key, value);
}

void report_end(struct report *r)
{
    if (r->as_json) {
        tn_json_close(&r->json, '}');
        tn_buf_putc(&r->text, '\n');
    }
    if (r->text.data)
        (void)fputs(r->text.data, stdout);
    (void)fflush(stdout);
    tn_buf_release(&r->text);
}
