/* Where the rows of the data files lie in a hot copy's table.
 *
 * Rows of one file lie in the table as they lie in the file, one behind the
 * other. A file that had lost rows before it was read lies there as runs: row
 * numbers and positions grow together, and at each gap their difference
 * changes. The engine tells the runs once, when the table is filled; whoever
 * follows a commit then finds the place of a row without asking.
 *
 * A compaction moves rows to another file and no row of the table: its file
 * lies there as runs too, wherever the rows came from.
 */
#include "dataset/hot_internal.h"

#include <inttypes.h>

struct hot_run {
    int64_t first, last; /* positions in the file */
    int64_t offset;      /* row in the table less position */
    bool delta;          /* the table is the delta */
};

/* (file, rows, least and greatest difference of row and position) */
static enum tn_code take_file(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct hot_table *table = context;
    int64_t file = cells[0].integer;
    if (cells[0].null || file < 0 || (size_t)file >= table->file_count)
        return tn_fail(err, TN_EINTERNAL, "a hot copy has rows of file %" PRId64, file);
    table->files[file].offset = cells[2].integer;
    table->files[file].dense = cells[2].integer == cells[3].integer;
    table->rows += (uint64_t)cells[1].integer;
    return TN_OK;
}

/* (file, difference, least and greatest position, rows), by file and position */
static enum tn_code take_run(void *context, const struct engine_cell *cells, struct tn_error *err)
{
    struct hot_table *table = context;
    struct hot_file *file = &table->files[cells[0].integer]; /* take_file has seen it */
    const struct hot_run run = {cells[2].integer, cells[3].integer, cells[1].integer, false};
    const struct hot_run *before = file->run_count ? &table->runs[table->run_count - 1] : NULL;
    if (run.last - run.first + 1 != cells[4].integer || (before && before->last >= run.first))
        return tn_fail(err, TN_EINTERNAL, "the rows of %s do not lie in their order in a hot copy", file->path);
    if (!before)
        file->first_run = table->run_count;
    file->run_count++;
    TN_GROW(table->runs, table->run_count, table->run_capacity);
    table->runs[table->run_count++] = run;
    return TN_OK;
}

static enum tn_code read_runs(struct hot_table *table, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    size_t count = 0;
    tn_buf_printf(&sql,
                  "SELECT tarn_file, rowid - tarn_pos, min(tarn_pos), max(tarn_pos), count(*) FROM " HOT_BASE
                  " WHERE tarn_file IN (",
                  (unsigned long long)table->serial);
    for (size_t i = 0; i < table->file_count; i++)
        if (!table->files[i].dense)
            tn_buf_printf(&sql, count++ ? ", %zu" : "%zu", i);
    /* By place: a name of ours could be one of the dataset's columns. */
    tn_buf_puts(&sql, ") GROUP BY 1, 2 ORDER BY 1, 3");
    const struct engine_select select = {.sql = sql.data};
    return count ? engine_select(table->engine, &select, NULL, NULL, NULL, take_run, table, err) : TN_OK;
}

enum tn_code hot_places_read(struct hot_table *table, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_printf(&sql,
                  "SELECT tarn_file, count(*), min(rowid - tarn_pos), max(rowid - tarn_pos) FROM " HOT_BASE
                  " GROUP BY tarn_file",
                  (unsigned long long)table->serial);
    const struct engine_select select = {.sql = sql.data};
    TN_TRY(engine_select(table->engine, &select, NULL, NULL, NULL, take_file, table, err));
    return read_runs(table, err);
}

uint64_t hot_places_bytes(const struct hot_table *table)
{
    return table->run_capacity * sizeof *table->runs;
}

bool hot_places_find(const struct hot_table *table, const struct hot_file *file, int64_t pos, struct hot_row *ret)
{
    const struct hot_run *runs = table->runs + file->first_run;
    size_t low = 0, high = file->run_count;
    if (file->dense) {
        *ret = (struct hot_row){pos + file->offset, file->delta};
        return true;
    }
    while (low < high) { /* the first run that does not end before it */
        size_t middle = low + (high - low) / 2;
        if (runs[middle].last < pos)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == file->run_count || runs[low].first > pos)
        return false;
    *ret = (struct hot_row){pos + runs[low].offset, runs[low].delta};
    return true;
}

void hot_places_move(struct hot_table *table, const struct dataset_place *from, size_t count, const char *to)
{
    pthread_mutex_lock(&table->hot->mutex);
    size_t added = hot_table_add_file(table, to, 0, false, false);
    pthread_mutex_unlock(&table->hot->mutex);
    struct hot_file *file = &table->files[added];
    file->first_run = table->run_count;
    for (size_t i = 0; i < count; i++) {
        struct hot_row row;
        size_t at = hot_table_find_file(table, from[i].path);
        if (at == SIZE_MAX || !hot_places_find(table, &table->files[at], from[i].pos, &row))
            continue; /* gone before the table was filled, or moved by somebody who did not say where to */
        int64_t position = (int64_t)i, offset = row.number - position;
        struct hot_run *last = file->run_count ? &table->runs[table->run_count - 1] : NULL;
        if (last && last->last == position - 1 && last->offset == offset && last->delta == row.delta) {
            last->last = position;
            continue;
        }
        TN_GROW(table->runs, table->run_count, table->run_capacity);
        table->runs[table->run_count++] = (struct hot_run){position, position, offset, row.delta};
        file->run_count++;
        table->moved_runs++;
    }
}
