/* documents_table.h: rows on their way into one of the two datasets, and what
 * the datasets hold already. */
#ifndef TARN_INGEST_DOCUMENTS_TABLE_H
#define TARN_INGEST_DOCUMENTS_TABLE_H

#include "dataset/dataset.h"
#include "ingest/spool.h"

struct table_column {
    const char *name, *sql_type;
    enum engine_kind kind; /* VARCHAR, BIGINT, BOOLEAN or TIMESTAMPTZ */
};

/* Rows in a spool. */
struct table {
    const struct table_column *columns;
    size_t column_count;
    const char *key;
    struct spool spool;
    struct tn_buf row; /* being written */
    uint64_t rows;
};
void table_init(struct table *table, const struct table_column *columns, size_t count, const char *key,
                struct store *store);
void table_release(struct table *table);
/* The cells of a row in their order; NULL text is NULL. */
void table_put_text(struct table *table, const char *text, size_t length);
void table_put_number(struct table *table, int64_t value);
void table_put_null(struct table *table);
enum tn_code table_end_row(struct table *table, struct tn_error *err) TN_CHECKED;
/* Upserts all rows by key in one commit and empties the spool. */
enum tn_code table_commit(struct table *table, struct lake *lake, const char *dataset,
                          const struct dataset_lineage *lineage, struct dataset_commit *ret,
                          struct tn_error *err) TN_CHECKED;

/* What is known of each document, by the first half of its id. */
struct known_document {
    uint64_t id;      /* 0: empty place */
    uint64_t content; /* beginning of its hash; 0: it could not be read */
    uint32_t sections;
    uint32_t batch; /* 0: from the dataset; else written by this batch */
    bool needs_ocr;
};
struct known_documents {
    struct known_document *items;
    size_t count, capacity; /* a power of two */
};
/* Reads the dataset; one that is not there has none. TN_ESCHEMA when it is no dataset of documents. */
enum tn_code known_load(struct known_documents *known, struct lake *lake, const char *dataset,
                        struct tn_error *err) TN_CHECKED;
void known_release(struct known_documents *known);
struct known_document *known_find(const struct known_documents *known, uint64_t id); /* NULL */
struct known_document *known_add(struct known_documents *known, uint64_t id);        /* found or new */

#endif
