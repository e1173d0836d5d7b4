/* Inside reembed.
 *
 *   plan.c       defaults, signatures, words
 *   preview.c    what a run would do; text.c: previews and reports for people and programs
 *   target.c     the table as the server describes it; indexes.c: what depends on the column
 *   check.c      everything that is refused before anything is written
 *   registry.c   which model the table's vectors are of; leftover.c: runs that did not end
 *   connect.c    the two connections, the advisory lock, the table's lock, who is in the way
 *   batch.c      rows read by key, encoded, checked, written
 *   staged.c     a table of new vectors, and the switch
 *   in_place.c   relax, write, tighten
 *   build.c      the index
 *   run.c        the steps in order, and what is said when one fails
 *
 * `pg` writes and holds the advisory lock; `eye` reads, and looks at what pg
 * waits for. Texts lie in the run's arena; names in SQL are quoted already.
 */
#ifndef TARN_REEMBED_INTERNAL_H
#define TARN_REEMBED_INTERNAL_H

#include "postgres/postgres.h"
#include "reembed/reembed.h"

enum {
    HNSW_VECTOR_MOST = 2000, /* dimensions that pgvector indexes */
    HNSW_HALFVEC_MOST = 4000,
    DIMENSION_MOST = 16000,
};

/* ---- target.c ---------------------------------------------------------------- */

struct vector_index {
    const char *name;       /* not quoted */
    const char *relation;   /* schema.name, quoted */
    const char *definition; /* CREATE INDEX ..., for the new type already */
    const char *tablespace; /* "" */
    bool valid, ann;        /* ann: hnsw or ivfflat */
    bool expression;        /* of an expression over the column, or with a predicate over it */
    bool there;             /* false: to be made, the column has none now */
};

struct target {
    uint32_t oid;
    const char *schema, *name; /* not quoted */
    const char *relation;      /* schema.name, quoted */
    const char *id, *text, *vector;
    const char *id_type;
    uint32_t id_oid;
    int vector_number; /* attnum */
    bool id_unique, id_not_null, vector_not_null;
    bool partitioned; /* or in a hierarchy */
    bool owner, may_create, may_temp, may_read, read_only;
    const char *owner_name, *user;
    /* the column's type, and what it shall be */
    const char *type_schema, *type, *column_type; /* "vector"; "vector(768)" */
    bool is_vector, half;                         /* half: halfvec */
    int typmod;                                   /* -1: untyped */
    bool has_halfvec;
    uint32_t new_oid;
    const char *new_base, *new_type; /* qualified: public.vector, public.vector(1024) */
    const char *new_shown;           /* vector(1024) */
    bool new_half, changes_type;
    struct vector_index *indexes;
    size_t index_count;
    const char *dependents; /* "view v, policy p"; NULL: none */
};
enum tn_code target_look(struct postgres *pg, const struct reembed_plan *plan, uint32_t dimension,
                         struct tn_arena *arena, struct target *ret, struct tn_error *err) TN_CHECKED;
/* indexes.c: called by it */
enum tn_code target_indexes(struct postgres *pg, const struct reembed_plan *plan, struct tn_arena *arena,
                            struct target *target, struct tn_error *err) TN_CHECKED;
enum tn_code target_dependents(struct postgres *pg, struct tn_arena *arena, struct target *target,
                               struct tn_error *err) TN_CHECKED;
/* The definition for a column of the other kind; the arena's. */
const char *index_definition_for(struct tn_arena *arena, const char *definition, bool half);
/* "schema.name" cut at the first dot; *ret_schema NULL without one. */
void split_name(struct tn_arena *arena, const char *name, const char **ret_schema, const char **ret_name);
uint64_t graph_bytes(uint64_t rows, uint32_t dimension, bool half);

/* ---- registry.c ---------------------------------------------------------------- */

struct registry {
    bool there, has_row, has_updated_at, may_write;
    const char *relation; /* quoted */
    struct reembed_signature current;
    const char *problem; /* why it cannot be used; NULL: fine */
};
enum tn_code registry_look(struct postgres *pg, const struct reembed_plan *plan, const struct target *target,
                           struct tn_arena *arena, struct registry *ret, struct tn_error *err) TN_CHECKED;
enum tn_code registry_write(struct postgres *pg, const struct registry *registry,
                            const struct reembed_signature *signature, struct tn_error *err) TN_CHECKED;

/* ---- leftover.c ------------------------------------------------------------------ */

/* A run keeps what it must know after a crash in a table of its own, and the
 * state in that table's comment. */
enum leftover_state { LEFTOVER_NONE, LEFTOVER_FILLING, LEFTOVER_SWITCHED };
struct leftover {
    const char *relation; /* quoted; of the run's own table, whether it is there or not */
    enum leftover_state state;
    bool added_column;        /* in place: the new vectors go to a column of their own */
    bool unfinished_in_place; /* another run, in place, did not end: the vectors are mixed */
    const char **others;      /* tables of other runs over this column: quoted names */
    bool *other_in_place;
    size_t other_count;
};
/* Also gives the target the indexes that an interrupted run had dropped. */
enum tn_code leftover_look(struct postgres *pg, const struct reembed_plan *plan,
                           const struct reembed_signature *signature, struct target *target, struct tn_arena *arena,
                           struct leftover *ret, struct tn_error *err) TN_CHECKED;
enum tn_code leftover_note(struct postgres *pg, const struct reembed_plan *plan,
                           const struct reembed_signature *signature, const struct target *target,
                           const struct leftover *leftover, struct tn_error *err) TN_CHECKED;
/* Progress of other runs in place means nothing once this one has written. */
enum tn_code leftover_drop_in_place(struct postgres *pg, const struct leftover *leftover,
                                    struct tn_error *err) TN_CHECKED;

/* ---- a run ------------------------------------------------------------------------- */

enum watch { WATCH_NOTHING, WATCH_LOCK, WATCH_INDEX };
enum phase {
    PHASE_LOOKING,
    PHASE_STAGING,
    PHASE_SWITCHING,
    PHASE_RELAXING,
    PHASE_MIXED,
    PHASE_INDEXING,
    PHASE_ENDING
};

struct run {
    const struct reembed_plan *plan;
    struct reembed_embedder *embedder;
    const struct reembed_observer *observer;
    struct reembed_report *report;
    struct tn_arena *arena;
    struct postgres *pg, *eye;
    struct reembed_signature signature;
    struct target target;
    struct registry registry;
    struct leftover leftover;
    uint64_t rows; /* of the table, when it began */
    enum phase phase;
    enum watch watch;
    uint64_t watched_ns;
    char blocker[600];
};

void run_note(struct run *run, enum reembed_kind kind, const char *format, ...) TN_PRINTF(3, 4);

/* ---- check.c ---- */
enum tn_code check_plan(const struct reembed_plan *plan, struct tn_error *err) TN_CHECKED;
enum tn_code check_target(const struct reembed_plan *plan, const struct target *target,
                          const struct registry *registry, uint32_t dimension, struct tn_error *err) TN_CHECKED;
bool check_same_model(const struct target *target, const struct registry *registry, const struct leftover *leftover,
                      const struct reembed_signature *signature);

/* ---- connect.c ---- */
enum tn_code connect_for_looking(const struct reembed_plan *plan, struct postgres **ret,
                                 struct tn_error *err) TN_CHECKED;
enum tn_code run_connect(struct run *run, struct tn_error *err) TN_CHECKED;
/* One run at a time on a table. */
enum tn_code run_claim(struct run *run, struct tn_error *err) TN_CHECKED;
/* BEGIN and the table's lock ("SHARE": against writers, "ACCESS EXCLUSIVE":
 * against everybody), tried several times. */
enum tn_code run_lock_table(struct run *run, const char *mode, struct tn_error *err) TN_CHECKED;
/* One statement outside a transaction that needs such a lock for a moment. */
enum tn_code run_locking(struct run *run, const char *sql, struct tn_error *err) TN_CHECKED;
bool run_stopping(struct run *run);

/* ---- batch.c ---- */
struct batch_sql {
    const char *first, *next; /* id, text, hash; next: behind $1 */
    const char *write;        /* $1 ids, $2 vectors, and with hashes $3 hashes */
    const char *copy;         /* instead, where rows are new: COPY of id, vector, hash; NULL: none */
    const char *mark;         /* $1 last id, $2 rows: sent with each write; NULL: none */
    bool hashes;
};
/* Reads, encodes and writes until no row is left; begins behind `after` (the
 * binary form of an id; NULL: with the first). `with` reads, one batch ahead; pg
 * writes, without being waited for. When both are one connection, each waits
 * for the other, and nothing is copied. *ret_rows: how many. */
enum tn_code batch_run(struct run *run, struct postgres *with, const struct batch_sql *sql,
                       const struct tn_buf *after, uint64_t done, uint64_t *ret_rows,
                       struct tn_error *err) TN_CHECKED;

/* ---- staged.c, in_place.c ---- */
enum tn_code staged_run(struct run *run, struct tn_error *err) TN_CHECKED;
enum tn_code in_place_run(struct run *run, struct tn_error *err) TN_CHECKED;
size_t read_most_characters(const struct run *run);
/* Whether a switch can rewrite the column in one pass. */
bool staged_rewrites(const struct reembed_plan *plan, const struct target *target);

/* ---- build.c ---- */
enum tn_code build_drop_indexes(struct run *run, struct tn_error *err) TN_CHECKED;
/* Those that are not there. */
enum tn_code build_indexes(struct run *run, bool concurrently, struct tn_error *err) TN_CHECKED;
void build_advise(struct run *run);

#endif
