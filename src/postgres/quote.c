/* Names and texts as they stand in statements. */
#include "postgres/postgres_internal.h"

const char *postgres_quote_name(struct tn_arena *arena, const char *name)
{
    TN_AUTO_BUF out = {0};
    tn_buf_put_sql_name(&out, name);
    return tn_arena_strdup(arena, out.data);
}

const char *postgres_quote_table(struct tn_arena *arena, const char *schema, const char *table)
{
    TN_AUTO_BUF out = {0};
    if (schema) {
        tn_buf_put_sql_name(&out, schema);
        tn_buf_putc(&out, '.');
    }
    tn_buf_put_sql_name(&out, table);
    return tn_arena_strdup(arena, out.data);
}

const char *postgres_quote_text(struct tn_arena *arena, const char *text)
{
    TN_AUTO_BUF out = {0};
    if (strchr(text, '\\'))
        tn_buf_putc(&out, 'E');
    tn_buf_putc(&out, '\'');
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            tn_buf_putc(&out, *text);
        tn_buf_putc(&out, *text);
    }
    tn_buf_putc(&out, '\'');
    return tn_arena_strdup(arena, out.data);
}
