/* Inside catalog. */
#ifndef TARN_CATALOG_CATALOG_INTERNAL_H
#define TARN_CATALOG_CATALOG_INTERNAL_H

#include "catalog/catalog.h"

#include <pthread.h>
#include <stdatomic.h>

/* What a column is called in the source and how sensitive it is, from
 * CATALOG_P_COLUMNS. Borrowed from `columns`; NULL where not noted. */
const char *catalog_column_note(const json_t *columns, int32_t field_id, const char *what);

struct catalog_lock {
    pthread_mutex_t writer;
};

/* Where a dataset stands among the namespaces and in the store. */
struct entry_place {
    char *space;  /* parts joined by CATALOG_SEPARATOR */
    char *table;  /* the exact name that other engines use */
    char *prefix; /* of its folder */
    bool mapped;  /* stands in the names document; else all follows from the name */
};

struct entry {
    struct catalog_lock lock; /* first member: catalog_unlock gets its address */
    char *name;
    struct entry_place place;        /* changes under both the names mutex and the catalog's */
    struct iceberg_metadata *newest; /* NULL: not read yet, or absent */
    bool absent;                     /* looked, and there is no such table */
};

struct space {
    char *name;
    json_t *properties; /* an object */
};

/* Order of locks: entry->writer (several: by name), names.mutex, mutex. */
struct catalog {
    struct store *store;
    struct iceberg_cache *manifests;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* a table has another version, or somebody is to look up */
    uint64_t changes;
    struct entry **entries; /* sorted by name */
    size_t count, capacity;
    struct {
        pthread_mutex_t mutex;
        struct space *items; /* sorted by name; "default" is always there */
        size_t count, capacity;
        int64_t version; /* of the newest document, 0: none */
    } names;
    atomic_bool unfinished; /* a transaction's record could not be carried out yet */
};

/* --- changes.c --- */

void changes_init(struct catalog *catalog);
/* With the mutex held. */
void changes_tell(struct catalog *catalog);

/* --- catalog.c --- */

/* NULL when there is none and `create` is not set. */
struct entry *entry_get(struct catalog *catalog, const char *name, bool create);
/* What the entry's table is now (NULL: absent). */
void entry_set(struct catalog *catalog, struct entry *entry, const struct iceberg_metadata *newest);
/* To be read again: a commit ended in a way that leaves open what is there. */
void entry_forget(struct catalog *catalog, struct entry *entry);
/* The same for several at once: no reader sees one without the other. */
void entry_set_all(struct catalog *catalog, struct entry *const *entries, struct iceberg_metadata *const *newest,
                   size_t count);
enum tn_code entry_read(struct catalog *catalog, struct entry *entry, struct iceberg_metadata **ret,
                        struct tn_error *err) TN_CHECKED;
enum tn_code entry_read_locked(struct catalog *catalog, struct entry *entry, struct iceberg_metadata **ret,
                               struct tn_error *err) TN_CHECKED;
/* All entries there are now, the arena's. */
size_t entry_all(struct catalog *catalog, struct tn_arena *arena, struct entry ***ret);
/* A copy of where it lies, the arena's. */
struct iceberg_table entry_table(struct catalog *catalog, struct tn_arena *arena, struct entry *entry);
struct entry_place entry_place_of(struct catalog *catalog, struct tn_arena *arena, struct entry *entry);

/* --- names_document.c: names.mutex is held --- */

/* A change to be written and then made: an entry's new place. */
struct names_change {
    struct entry *entry;
    struct entry_place place;
};
enum tn_code names_load(struct catalog *catalog, struct tn_error *err) TN_CHECKED;
/* Writes the next document, then moves the entries. `add` and `remove` are
 * namespaces, `changes` tables; each may be nothing. */
enum tn_code names_write(struct catalog *catalog, const struct space *add, const char *remove,
                         const struct names_change *changes, size_t count, struct tn_error *err) TN_CHECKED;
struct space *names_find(struct catalog *catalog, const char *space);
void names_release(struct catalog *catalog);

/* --- identifiers.c --- */

/* The entry of an identifier, existing or not; NULL when nothing has it. */
struct entry *identifier_entry(struct catalog *catalog, const char *space, const char *table);
/* The same, made when there is none; its place is only a proposal until
 * identifier_claim. names.mutex is held. */
struct entry *identifier_propose(struct catalog *catalog, const char *space, const char *table);
/* A folder that nothing claims, for a dataset of that name; the caller's. */
char *identifier_folder(struct catalog *catalog, const char *dataset, bool fresh);
/* Makes the entry's place durable, before the first commit. TN_EREQUEST for a
 * location inside of another table. */
enum tn_code identifier_claim(struct catalog *catalog, struct entry *entry, const char *location,
                              struct tn_error *err) TN_CHECKED;
/* Checks the names and proposes an entry. */
enum tn_code identifier_new(struct catalog *catalog, struct catalog_identifier id, struct entry **ret,
                            struct tn_error *err) TN_CHECKED;
enum tn_code identifier_check_location(struct catalog *catalog, struct entry *entry, const char *location,
                                       struct tn_error *err) TN_CHECKED;

/* --- create.c --- */

/* iceberg_version_publish; after any failure the entry is read again. */
enum tn_code entry_publish(struct catalog *catalog, struct entry *entry, const struct iceberg_table *table,
                           const struct iceberg_metadata *base, const struct iceberg_metadata *next, bool written,
                           const struct iceberg_origin *origin, struct tn_error *err) TN_CHECKED;

/* --- transaction.c --- */

struct transaction_part {
    struct entry *entry;
    const char *key, *pointer;
};
/* The record, then every pointer. The metadata files are durable. TN_ECONFLICT:
 * nothing is visible. After another error the record decides at the next chance. */
enum tn_code transaction_run(struct catalog *catalog, const struct transaction_part *parts, size_t count,
                             struct tn_error *err) TN_CHECKED;
/* Carries out what a record says and could not be done; TN_EUNAVAILABLE. */
enum tn_code transaction_finish_all(struct catalog *catalog, struct tn_error *err) TN_CHECKED;

#endif
