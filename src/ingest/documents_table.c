/* Rows of documents in a spool, from there into a commit (see documents_table.h).
 *
 * A row in the spool: four bytes length, then for each cell a byte (0: NULL)
 * and, for text, four bytes length and the bytes; for numbers eight bytes. */
#include "ingest/documents_table.h"

#include <string.h>

#define BATCH_BYTES     ((uint64_t)8 << 20)
#define COMMIT_ATTEMPTS 4

void table_init(struct table *table, const struct table_column *columns, size_t count, const char *key,
                struct store *store)
{
    *table = (struct table){.columns = columns, .column_count = count, .key = key};
    spool_init(&table->spool, store);
}

void table_release(struct table *table)
{
    spool_release(&table->spool);
    tn_buf_release(&table->row);
}

void table_put_null(struct table *table)
{
    tn_buf_putc(&table->row, 0);
}

void table_put_text(struct table *table, const char *text, size_t length)
{
    uint32_t size = (uint32_t)length;
    tn_buf_putc(&table->row, text != NULL);
    if (!text)
        return;
    tn_buf_append(&table->row, &size, sizeof size);
    tn_buf_append(&table->row, text, length);
}

void table_put_number(struct table *table, int64_t value)
{
    tn_buf_putc(&table->row, 1);
    tn_buf_append(&table->row, &value, sizeof value);
}

enum tn_code table_end_row(struct table *table, struct tn_error *err)
{
    uint32_t length = (uint32_t)table->row.len;
    TN_TRY(spool_append(&table->spool, &length, sizeof length, err));
    TN_TRY(spool_append(&table->spool, table->row.data, table->row.len, err));
    tn_buf_clear(&table->row);
    table->rows++;
    return TN_OK;
}

/* ---- out of the spool --------------------------------------------------------------- */

struct feed {
    const struct table *table;
    uint64_t at;
    struct tn_buf row;
};

static void put_cell(const struct table_column *column, const char **p, struct engine_vector *vector, size_t row)
{
    uint32_t length;
    int64_t number;
    if (!*(*p)++) {
        engine_vector_put_null(vector, row);
        return;
    }
    if (column->kind == ENGINE_VARCHAR) {
        memcpy(&length, *p, sizeof length);
        engine_vector_put_string(vector, row, *p + sizeof length, length);
        *p += sizeof length + length;
        return;
    }
    memcpy(&number, *p, sizeof number);
    *p += sizeof number;
    if (column->kind == ENGINE_BOOLEAN)
        ((uint8_t *)vector->data)[row] = number != 0;
    else
        ((int64_t *)vector->data)[row] = number;
}

static enum tn_code fill(void *context, struct engine_batch *batch, struct tn_error *err)
{
    struct feed *feed = context;
    const struct spool *spool = &feed->table->spool;
    uint64_t start = feed->at;
    batch->rows = 0;
    while (batch->rows < batch->capacity && feed->at < spool->size && feed->at - start < BATCH_BYTES) {
        uint32_t length;
        TN_TRY(spool_read(spool, feed->at, sizeof length, (char *)&length, err));
        tn_buf_clear(&feed->row);
        char *row = tn_buf_reserve(&feed->row, length);
        TN_TRY(spool_read(spool, feed->at + sizeof length, length, row, err));
        const char *p = row;
        for (size_t i = 0; i < feed->table->column_count; i++)
            put_cell(&feed->table->columns[i], &p, &batch->columns[i], batch->rows);
        feed->at += sizeof length + length;
        batch->rows++;
    }
    return TN_OK;
}

static enum tn_code attempt(struct table *table, struct lake *lake, const char *dataset,
                            const struct dataset_lineage *lineage, struct dataset_commit *ret, struct tn_error *err)
{
    TN_CLEANUP(dataset_write_free_p) struct dataset_write *write = NULL;
    TN_AUTO_FREE struct dataset_column *columns = tn_calloc(table->column_count, sizeof *columns);
    TN_AUTO_FREE struct engine_column *sources = tn_calloc(table->column_count, sizeof *sources);
    for (size_t i = 0; i < table->column_count; i++) {
        const struct table_column *column = &table->columns[i];
        columns[i] = (struct dataset_column){column->name, column->name, column->sql_type};
        sources[i] = (struct engine_column){.name = column->name, .type.kind = column->kind};
    }
    TN_TRY(dataset_write_begin(lake, dataset, DATASET_UPSERT, columns, table->column_count, &write, err));
    TN_TRY(dataset_write_set_key(write, table->key, err));
    struct feed feed = {.table = table};
    const struct engine_source source = {
        .columns = sources, .column_count = table->column_count, .context = &feed, .fill = fill};
    enum tn_code code = dataset_write_file(write, 0, &source, NULL, NULL, NULL, err);
    tn_buf_release(&feed.row);
    return code == TN_OK ? dataset_write_commit(write, lineage, ret, err) : code;
}

enum tn_code table_commit(struct table *table, struct lake *lake, const char *dataset,
                          const struct dataset_lineage *lineage, struct dataset_commit *ret, struct tn_error *err)
{
    for (int n = 1;; n++) {
        enum tn_code code = attempt(table, lake, dataset, lineage, ret, err);
        if (code == TN_ECONFLICT && n < COMMIT_ATTEMPTS) {
            if (err)
                *err = (struct tn_error){0};
            continue;
        }
        if (code == TN_OK) {
            spool_release(&table->spool);
            table->rows = 0;
        }
        return code;
    }
}

/* ---- what is known --------------------------------------------------------------------- */

static struct known_document *place_of(struct known_document *items, size_t capacity, uint64_t id)
{
    size_t at = (size_t)(id & (capacity - 1)); /* an id is a hash already */
    while (items[at].id && items[at].id != id)
        at = (at + 1) & (capacity - 1);
    return &items[at];
}

void known_release(struct known_documents *known)
{
    free(known->items);
    *known = (struct known_documents){0};
}

struct known_document *known_find(const struct known_documents *known, uint64_t id)
{
    struct known_document *place = known->capacity ? place_of(known->items, known->capacity, id) : NULL;
    return place && place->id ? place : NULL;
}

struct known_document *known_add(struct known_documents *known, uint64_t id)
{
    if ((known->count + 1) * 4 > known->capacity * 3) {
        size_t capacity = known->capacity ? known->capacity * 2 : 64;
        struct known_document *items = tn_calloc(capacity, sizeof *items);
        for (size_t i = 0; i < known->capacity; i++)
            if (known->items[i].id)
                *place_of(items, capacity, known->items[i].id) = known->items[i];
        free(known->items);
        known->items = items;
        known->capacity = capacity;
    }
    struct known_document *place = place_of(known->items, known->capacity, id);
    known->count += !place->id;
    place->id = id;
    return place;
}

/* "doc_id,hash,sections,needs_ocr,readable" */
static void take_line(struct known_documents *known, const char *line)
{
    char id[17], content[17];
    unsigned sections;
    if (strlen(line) < 34 ||
        sscanf(line, "%16[0-9a-f]%*[0-9a-f],%16[0-9a-f]%*[0-9a-f],%u", id, content, &sections) != 3)
        return;
    struct known_document *document = known_add(known, strtoull(id, NULL, 16) | 1);
    bool readable = tn_str_ends_with(line, "true");
    document->content = readable ? strtoull(content, NULL, 16) | 1 : 0;
    document->sections = sections;
    document->needs_ocr = strstr(line, ",true,") != NULL;
}

static enum tn_code read_known(struct known_documents *known, struct engine_query *query, struct tn_error *err)
{
    TN_CLEANUP(engine_writer_free_p) struct engine_writer *writer = engine_writer_new(query, ENGINE_CSV);
    TN_AUTO_BUF out = {0};
    for (bool done = false; !done;) {
        TN_TRY(engine_writer_fill(writer, 1 << 16, &out, &done, err));
        size_t at = 0;
        for (char *end; at < out.len && (end = memchr(out.data + at, '\n', out.len - at)) != NULL;) {
            *end = '\0';
            if (end > out.data + at && end[-1] == '\r')
                end[-1] = '\0';
            take_line(known, out.data + at);
            at = (size_t)(end + 1 - out.data);
        }
        tn_buf_consume(&out, at);
    }
    return TN_OK;
}

enum tn_code known_load(struct known_documents *known, struct lake *lake, const char *dataset, struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    TN_CLEANUP(engine_query_free_p) struct engine_query *query = NULL;
    struct tn_error why = {0};
    tn_buf_puts(&sql, "SELECT doc_id, hash, sections, coalesce(needs_ocr, false), error IS NULL FROM ");
    tn_buf_put_sql_name(&sql, dataset);
    const struct engine_query_options options = {
        .sql = sql.data, .sql_length = sql.len, .resolver = dataset_resolver(lake)};
    enum tn_code code = engine_query_start(lake->engine, &options, &query, &why);
    if (code == TN_EDATASET)
        return TN_OK;
    if (code == TN_ESQL) {
        (void)tn_fail(err, TN_ESCHEMA, "the dataset \"%s\" is there and holds something else than documents",
                      dataset);
        tn_error_hint(err, "choose another name: documents go into a dataset of their own");
        return TN_ESCHEMA;
    }
    if (code != TN_OK) {
        if (err)
            *err = why;
        return code;
    }
    return read_known(known, query, err);
}
