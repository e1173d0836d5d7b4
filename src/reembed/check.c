/* Everything that is refused before anything is written. */
#include "reembed/reembed_internal.h"

#include <inttypes.h>

enum tn_code check_plan(const struct reembed_plan *plan, struct tn_error *err)
{
    const struct {
        const char *flag, *value;
    } needed[] = {{"postgres-url", plan->url},
                  {"table", plan->table},
                  {"id-column", plan->id_column},
                  {"text-column", plan->text_column},
                  {"vector-column", plan->vector_column},
                  {"registry-table", plan->registry_table}};
    for (size_t i = 0; i < TN_COUNT(needed); i++)
        if (!needed[i].value || !needed[i].value[0])
            return tn_fail(err, TN_EUSAGE, "--%s is missing", needed[i].flag);
    if (plan->batch_size < 1 || plan->batch_size > REEMBED_BATCH_MAX)
        return tn_fail(err, TN_EUSAGE, "--batch-size must be between 1 and %d", REEMBED_BATCH_MAX);
    return TN_OK;
}

/* ---- dimensions and rights ------------------------------------------------------------ */

static enum tn_code check_dimension(const struct target *target, uint32_t dimension, struct tn_error *err)
{
    uint32_t most = target->new_half ? HNSW_HALFVEC_MOST : HNSW_VECTOR_MOST;
    if (target->index_count > 0 && dimension > most) {
        (void)tn_fail(err, TN_EUNSUPPORTED,
                      "pgvector indexes %s of at most %" PRIu32 " dimensions; the model makes %" PRIu32,
                      target->new_half ? "halfvec" : "vector", most, dimension);
        if (!target->has_halfvec && dimension <= HNSW_HALFVEC_MOST)
            tn_error_hint(err, "halfvec of pgvector 0.7 and newer is indexed up to %d: ALTER EXTENSION vector UPDATE",
                          HNSW_HALFVEC_MOST);
        else
            tn_error_hint(err, "take a model with fewer dimensions, or drop the index and say --index-name \"\"");
        return TN_EUNSUPPORTED;
    }
    if (dimension > DIMENSION_MOST)
        return tn_fail(err, TN_EUNSUPPORTED, "pgvector holds at most %d dimensions", DIMENSION_MOST);
    return TN_OK;
}

static enum tn_code check_rights(const struct target *target, const struct registry *registry, struct tn_error *err)
{
    enum tn_code code = TN_OK;
    if (target->read_only) {
        code = tn_fail(err, TN_EREADONLY,
                       "the server takes no writes from %s: a standby, or a role that is read-only", target->user);
        tn_error_hint(err, "name the primary server, and a role that may write");
    } else if (!target->may_read || !target->owner) {
        code =
            tn_fail(err, TN_EFORBIDDEN, "role %s does not own %s, and only its owner may change its column and index",
                    target->user, target->relation);
        tn_error_hint(err, "connect as %s, or GRANT %s TO %s", target->owner_name, target->owner_name, target->user);
    } else if (!target->may_create) {
        code = tn_fail(err, TN_EFORBIDDEN, "role %s may not create tables in schema %s, where new vectors are kept",
                       target->user, target->schema);
        tn_error_hint(err, "GRANT CREATE ON SCHEMA %s TO %s", target->schema, target->user);
    } else if (registry->problem) {
        code = tn_fail(err, TN_EREQUEST, "the registry %s", registry->problem);
        tn_error_hint(err, "name another one by --registry-table; it is made when it is not there");
    } else if (!registry->may_write) {
        code = tn_fail(err, TN_EFORBIDDEN, "role %s may not write the registry %s", target->user, registry->relation);
        tn_error_hint(err, "GRANT SELECT, INSERT, UPDATE ON %s TO %s", registry->relation, target->user);
    }
    return code;
}

/* ---- indexes ------------------------------------------------------------------------------ */

static enum tn_code check_indexes(const struct reembed_plan *plan, const struct target *target, struct tn_error *err)
{
    bool there = false;
    for (size_t i = 0; i < target->index_count; i++) {
        const struct vector_index *index = &target->indexes[i];
        there |= index->there;
        if (!index->valid) {
            (void)tn_fail(err, TN_ECONFLICT,
                          "index %s of %s is INVALID: its CREATE INDEX CONCURRENTLY was interrupted, or is under way",
                          index->relation, target->relation);
            tn_error_hint(err,
                          "if nobody is building it: DROP INDEX CONCURRENTLY %s;   then run again. It is never "
                          "dropped here, for it may tell of something else",
                          index->relation);
            return TN_ECONFLICT;
        }
        if (index->expression && target->changes_type) {
            (void)tn_fail(err, TN_ECONFLICT,
                          "index %s is on an expression or a part of %s, and would be of the old type",
                          index->relation, target->vector);
            tn_error_hint(err, "drop it, and make it again afterwards: %s", index->definition);
            return TN_ECONFLICT;
        }
    }
    if (!plan->drop_hnsw_first && target->changes_type && there) {
        (void)tn_fail(err, TN_EUSAGE,
                      "--drop-hnsw-first=false cannot work: the column becomes %s, and an index holds "
                      "vectors of one dimension",
                      target->new_shown);
        tn_error_hint(err, "leave --drop-hnsw-first out");
        return TN_EUSAGE;
    }
    return TN_OK;
}

enum tn_code check_target(const struct reembed_plan *plan, const struct target *target,
                          const struct registry *registry, uint32_t dimension, struct tn_error *err)
{
    if (target->partitioned) {
        (void)tn_fail(err, TN_EUNSUPPORTED, "%s is partitioned, a partition, or inherits", target->relation);
        tn_error_hint(err, "only tables that stand alone are re-embedded");
        return TN_EUNSUPPORTED;
    }
    if (!target->id_unique) {
        (void)tn_fail(err, TN_EREQUEST, "column %s of %s has no unique index: rows are read and written by it",
                      target->id, target->relation);
        tn_error_hint(err, "name the key by --id-column, or CREATE UNIQUE INDEX ON %s (%s)", target->relation,
                      target->id);
        return TN_EREQUEST;
    }
    if (!target->id_not_null) {
        (void)tn_fail(err, TN_EREQUEST, "column %s of %s may be NULL: such rows would be passed by", target->id,
                      target->relation);
        tn_error_hint(err, "ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", target->relation, target->id);
        return TN_EREQUEST;
    }
    TN_TRY(check_dimension(target, dimension, err));
    TN_TRY(check_rights(target, registry, err));
    TN_TRY(check_indexes(plan, target, err));
    if (target->dependents && target->changes_type) {
        (void)tn_fail(err, TN_ECONFLICT,
                      "%s.%s is %s and has to become %s, which the server refuses while it is used by: "
                      "%s",
                      target->relation, target->vector, target->column_type, target->new_shown, target->dependents);
        tn_error_hint(err, "drop what is named there, run again, and make it again; nothing was written");
        return TN_ECONFLICT;
    }
    return TN_OK;
}

/* Step 1. The registry is believed as far as the column bears it out. */
bool check_same_model(const struct target *target, const struct registry *registry, const struct leftover *leftover,
                      const struct reembed_signature *signature)
{
    return registry->has_row && reembed_signature_equal(&registry->current, signature) && !target->changes_type &&
           leftover->state == LEFTOVER_NONE && !leftover->unfinished_in_place;
}
