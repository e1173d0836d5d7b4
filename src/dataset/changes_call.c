/* changes('dataset', from [, to]) in a query: which states are meant. */
#include "dataset/changes.h"

#include <inttypes.h>
#include <string.h>

static enum tn_code state_of(struct lake *lake, const char *name, const struct iceberg_metadata *metadata,
                             const struct engine_value *value, struct moment_state *ret, struct tn_error *err)
{
    struct moment moment;
    struct tn_error why = {0};
    bool named = value->text && moment_parse(value->text, &moment, &why) == TN_OK;
    if (named && (moment.kind == MOMENT_TIME || moment.kind == MOMENT_VERSION || moment.kind == MOMENT_START ||
                  value->kind == ENGINE_LITERAL_TEXT))
        return moment_find(lake, name, metadata, &moment, ret, err);
    tn_fail(err, TN_ESQL, "changes(): \"%.60s\" is neither a snapshot id nor a time",
            value->text ? value->text : "[]");
    tn_error_hint(err, "Write a snapshot id, or in quotes a time such as '2026-01-31T12:00:00Z' or a tag's name.");
    return TN_ESQL;
}

/* Of a told state also which telling: the text names its file. */
static const char *state_text(struct tn_arena *arena, const struct moment_state *state)
{
    if (state->replay_to)
        return moment_replay_name(arena, state->replay_to);
    return tn_arena_printf(arena, "%" PRId64, state->snapshot ? state->snapshot->id : 0);
}

static enum tn_code check_arguments(const struct engine_table_ref *ref, struct tn_error *err)
{
    if (ref->argument_count >= 2 && ref->argument_count <= 3 && ref->arguments[0].kind == ENGINE_LITERAL_TEXT &&
        !ref->arguments[ref->argument_count - 1].name)
        return TN_OK;
    tn_fail(err, TN_ESQL, "changes() wants a dataset in quotes and one or two moments");
    tn_error_hint(
        err,
        "Write changes('dataset', from, to), each a snapshot id, or a time or a tag in quotes; without `to`: now.");
    return TN_ESQL;
}

enum tn_code dataset_resolve_changes(struct lake *lake, const struct engine_table_ref *ref, struct tn_arena *arena,
                                     struct engine_relation *ret, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct moment_state from, to;
    char name[CATALOG_NAME_MAX + 1];
    TN_TRY(check_arguments(ref, err));
    TN_TRY(catalog_load(lake->catalog, ref->arguments[0].text, &metadata, err));
    catalog_exact_name(ref->arguments[0].text, name);
    TN_TRY(state_of(lake, name, metadata, &ref->arguments[1], &from, err));
    const struct moment now = moment_of(ref); /* the request's, where it has one */
    TN_TRY(moment_find(lake, name, metadata, &now, &to, err));
    if (ref->argument_count == 3)
        TN_TRY(state_of(lake, name, metadata, &ref->arguments[2], &to, err));
    if (!to.snapshot)
        return tn_fail(err, TN_ESNAPSHOT, "dataset \"%s\" had no rows yet at the later moment", name);
    *ret = (struct engine_relation){.version = tn_arena_printf(arena, "%s-%s+%d", state_text(arena, &from),
                                                               state_text(arena, &to), metadata->schema->id)};
    TN_TRY(changes_sql(lake, name, metadata, &from, &to, arena, &ret->definition, &ret->hold, err));
    if (ret->hold)
        ret->variant = tn_arena_printf(arena, "%016" PRIx64, tn_hash64(ret->definition, strlen(ret->definition), 0));
    return TN_OK;
}
