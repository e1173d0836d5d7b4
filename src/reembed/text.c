/* Previews and reports, for people and for programs. */
#include "reembed/reembed_internal.h"

#include <inttypes.h>

#define HASH_SHOWN 16

static const char *seconds_text(double seconds, char out[32])
{
    return tn_format_duration((uint64_t)(seconds * 1000 + 0.5), out);
}

static void put_signature(const struct reembed_signature *signature, struct tn_buf *out)
{
    tn_buf_printf(out, "%s, %" PRIu32 " dimensions, hash %.*s\n", signature->name, signature->dimension, HASH_SHOWN,
                  signature->hash);
}

static void write_signature(const struct reembed_signature *signature, struct tn_json *out)
{
    tn_json_open(out, '{');
    tn_json_kstr(out, "name", signature->name);
    tn_json_ki64(out, "dimension", signature->dimension);
    tn_json_kstr(out, "hash", signature->hash);
    tn_json_close(out, '}');
}

/* ---- previews ---------------------------------------------------------------------------- */

static void put_rows(const struct reembed_preview *preview, struct tn_buf *out)
{
    char a[32], b[32], c[32];
    tn_buf_printf(out, "  rows        %s to update in %s batches",
                  tn_format_count((int64_t)preview->rows_to_update, a),
                  tn_format_count((int64_t)preview->embedder_batches, b));
    if (preview->rows_without_vector)
        tn_buf_printf(out, ", %s without a vector", tn_format_count((int64_t)preview->rows_without_vector, c));
    if (preview->rows_without_text)
        tn_buf_printf(out, ", %s without a text", tn_format_count((int64_t)preview->rows_without_text, c));
    tn_buf_putc(out, '\n');
}

void reembed_preview_text(const struct reembed_preview *preview, struct tn_buf *out)
{
    char text[32];
    tn_buf_printf(out, "%s\n  server      %s\n  table       %s\n  registry    ",
                  preview->no_op ? "Nothing to do: the registry matches the model." : "This would be done:",
                  preview->server, preview->table);
    if (preview->has_current)
        put_signature(&preview->current, out);
    else
        tn_buf_puts(out, "no model yet\n");
    tn_buf_puts(out, "  model       ");
    put_signature(&preview->target, out);
    put_rows(preview, out);
    if (preview->would_alter_typmod)
        tn_buf_printf(out, "  column      %s becomes %s\n", preview->column_type, preview->target_type);
    else
        tn_buf_printf(out, "  column      %s stays\n", preview->column_type);
    tn_buf_printf(out, "  mode        %s (%s)\n", reembed_mode_word(preview->mode), preview->approach);
    for (size_t i = 0; i < preview->index_count; i++)
        tn_buf_printf(out, "  index       %s\n", preview->indexes[i]);
    if (preview->stage_bytes)
        tn_buf_printf(out, "  space       about %s for staged vectors, until the end\n",
                      tn_format_size(preview->stage_bytes, text));
    tn_buf_printf(out, "  time        about %s, at %.1f rows a second (%s)\n",
                  seconds_text(preview->estimated_walltime_secs, text), preview->rows_per_second,
                  preview->rate_source);
    for (size_t i = 0; i < preview->note_count; i++)
        tn_buf_printf(out, "  note        %s\n", preview->notes[i]);
    tn_buf_puts(out, "Nothing was written.\n");
}

static void write_ku64(struct tn_json *out, const char *key, uint64_t value)
{
    tn_json_key(out, key);
    tn_json_u64(out, value);
}

void reembed_preview_json(const struct reembed_preview *preview, struct tn_json *out)
{
    tn_json_open(out, '{');
    write_ku64(out, "rows_to_update", preview->rows_to_update);
    write_ku64(out, "embedder_batches", preview->embedder_batches);
    tn_json_kf64(out, "estimated_walltime_secs", preview->estimated_walltime_secs);
    tn_json_key(out, "current_signature");
    if (preview->has_current)
        write_signature(&preview->current, out);
    else
        tn_json_null(out);
    tn_json_key(out, "target_signature");
    write_signature(&preview->target, out);
    tn_json_kbool(out, "would_alter_typmod", preview->would_alter_typmod);
    tn_json_kbool(out, "no_op", preview->no_op);
    tn_json_kstr(out, "server", preview->server);
    tn_json_kstr(out, "table", preview->table);
    tn_json_kstr(out, "column_type", preview->column_type);
    tn_json_kstr(out, "target_type", preview->target_type);
    tn_json_kstr(out, "mode", reembed_mode_word(preview->mode));
    tn_json_kstr(out, "approach", preview->approach);
    tn_json_kf64(out, "rows_per_second", preview->rows_per_second);
    tn_json_kstr(out, "rate_source", preview->rate_source);
    write_ku64(out, "rows_without_vector", preview->rows_without_vector);
    write_ku64(out, "rows_without_text", preview->rows_without_text);
    write_ku64(out, "rows_staged", preview->rows_staged);
    write_ku64(out, "stage_bytes", preview->stage_bytes);
    write_ku64(out, "graph_bytes", preview->graph_bytes);
    write_ku64(out, "maintenance_work_mem", preview->maintenance_work_mem);
    tn_json_kstrs(out, "indexes", preview->indexes, preview->index_count);
    tn_json_kstrs(out, "notes", preview->notes, preview->note_count);
    tn_json_close(out, '}');
}

/* ---- reports ------------------------------------------------------------------------------- */

void reembed_report_text(const struct reembed_report *report, struct tn_buf *out)
{
    char a[32], b[32], c[32];
    if (report->no_op) {
        tn_buf_printf(out, "0 rows updated: the registry matches %s\n", report->target.name);
        return;
    }
    tn_buf_printf(out, "%s rows updated in %s, index rebuilt in %s\n",
                  tn_format_count((int64_t)report->rows_updated, a), seconds_text(report->duration_secs, b),
                  seconds_text(report->index_rebuild_secs, c));
    tn_buf_printf(out, "  %s rows embedded by %s in %s", tn_format_count((int64_t)report->rows_embedded, a),
                  report->target.name, seconds_text(report->embed_secs, b));
    if (report->rows_resumed)
        tn_buf_printf(out, ", %s by an earlier run", tn_format_count((int64_t)report->rows_resumed, a));
    tn_buf_putc(out, '\n');
    if (report->rows_caught_up)
        tn_buf_printf(out, "  %s rows were written by others meanwhile\n",
                      tn_format_count((int64_t)report->rows_caught_up, a));
    if (report->rows_without_text)
        tn_buf_printf(out, "  %s rows have no text, and no vector\n",
                      tn_format_count((int64_t)report->rows_without_text, a));
    if (report->texts_cut)
        tn_buf_printf(out, "  %s texts are longer than the model reads\n",
                      tn_format_count((int64_t)report->texts_cut, a));
    tn_buf_printf(out, "  readers waited %s (%s, %s)\n", seconds_text(report->locked_secs, a),
                  reembed_mode_word(report->mode), report->approach);
}

void reembed_report_json(const struct reembed_report *report, struct tn_json *out)
{
    tn_json_open(out, '{');
    write_ku64(out, "rows_updated", report->rows_updated);
    tn_json_kf64(out, "duration_secs", report->duration_secs);
    tn_json_kf64(out, "index_rebuild_secs", report->index_rebuild_secs);
    tn_json_kbool(out, "no_op", report->no_op);
    write_ku64(out, "rows_embedded", report->rows_embedded);
    write_ku64(out, "rows_resumed", report->rows_resumed);
    write_ku64(out, "rows_caught_up", report->rows_caught_up);
    write_ku64(out, "rows_without_text", report->rows_without_text);
    write_ku64(out, "texts_cut", report->texts_cut);
    write_ku64(out, "batches", report->batches);
    tn_json_kf64(out, "embed_secs", report->embed_secs);
    tn_json_kf64(out, "locked_secs", report->locked_secs);
    tn_json_kstr(out, "mode", reembed_mode_word(report->mode));
    tn_json_kstr(out, "approach", report->approach);
    tn_json_key(out, "target_signature");
    write_signature(&report->target, out);
    tn_json_close(out, '}');
}
