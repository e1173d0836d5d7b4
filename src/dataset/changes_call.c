/* changes('dataset', from [, to]) in a query: which snapshots are meant. */
#include "dataset/dataset_internal.h"

#include <inttypes.h>
#include <string.h>

/* A snapshot id, or a time in quotes: what was newest then, NULL before all. */
static enum tn_code moment(const struct iceberg_metadata *metadata, const char *name,
                           const struct engine_value *value, const struct iceberg_snapshot **ret,
                           struct tn_error *err)
{
    int64_t number;
    if (tn_parse_i64(value->text, &number)) {
        *ret = iceberg_metadata_snapshot(metadata, number);
        if (*ret || number == 0) /* 0: before the first one */
            return TN_OK;
        tn_fail(err, TN_ESNAPSHOT, "dataset \"%s\" has no snapshot %" PRId64, name, number);
        tn_error_hint(err, "`tarn snapshots %s` lists its versions", name);
        return TN_ESNAPSHOT;
    }
    if (!tn_time_parse(value->text, &number)) {
        tn_fail(err, TN_ESQL, "\"%.60s\" is neither a snapshot id nor a time", value->text);
        tn_error_hint(err, "Write a snapshot id, or a time such as '2026-01-31T12:00:00Z'.");
        return TN_ESQL;
    }
    *ret = iceberg_metadata_as_of(metadata, number / 1000);
    return TN_OK;
}

static enum tn_code check_arguments(const struct engine_table_ref *ref, struct tn_error *err)
{
    if (ref->argument_count >= 2 && ref->argument_count <= 3 && ref->arguments[0].kind == ENGINE_LITERAL_TEXT)
        return TN_OK;
    tn_fail(err, TN_ESQL, "changes() wants a dataset in quotes and one or two moments");
    tn_error_hint(err,
                  "Write changes('dataset', from, to), each a snapshot id or a time in quotes; without `to`: now.");
    return TN_ESQL;
}

enum tn_code dataset_resolve_changes(struct lake *lake, const struct engine_table_ref *ref, struct tn_arena *arena,
                                     struct engine_relation *ret, struct tn_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    const struct iceberg_snapshot *from = NULL, *to = NULL;
    char name[CATALOG_NAME_MAX + 1];
    TN_TRY(check_arguments(ref, err));
    TN_TRY(catalog_load(lake->catalog, ref->arguments[0].text, &metadata, err));
    catalog_exact_name(ref->arguments[0].text, name);
    TN_TRY(moment(metadata, name, &ref->arguments[1], &from, err));
    to = metadata->current;
    if (ref->argument_count == 3)
        TN_TRY(moment(metadata, name, &ref->arguments[2], &to, err));
    if (!to)
        return tn_fail(err, TN_ESNAPSHOT, "dataset \"%s\" had no rows yet at the later moment", name);
    *ret = (struct engine_relation){.version = tn_arena_printf(arena, "%" PRId64 "-%" PRId64 "+%d",
                                                               from ? from->id : 0, to->id, metadata->schema->id)};
    return dataset_changes_sql(lake, name, metadata, from, to, arena, &ret->definition, err);
}
