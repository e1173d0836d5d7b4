/* PATCH of what people say about a dataset: one metadata commit. */
#include "catalog/catalog_internal.h"

#include <string.h>

#define TEXT_MAX 20000

static const char *const sensitivities[] = {"public", "internal", "financial", "pii", "phi"};

static enum tn_code check_text(const json_t *value, const char *field, struct tn_error *err)
{
    if (json_is_null(value))
        return TN_OK;
    if (!json_is_string(value))
        return tn_fail(err, TN_EREQUEST, "\"%s\" must be a string or null", field);
    if (json_string_length(value) > TEXT_MAX || strlen(json_string_value(value)) != json_string_length(value))
        return tn_fail(err, TN_EREQUEST, "\"%s\" is longer than %d bytes or holds a NUL byte", field, TEXT_MAX);
    return TN_OK;
}

static enum tn_code check_sensitivity(const json_t *value, const char *field, struct tn_error *err)
{
    TN_TRY(check_text(value, field, err));
    if (json_is_null(value))
        return TN_OK;
    for (size_t i = 0; i < TN_COUNT(sensitivities); i++)
        if (tn_streq(json_string_value(value), sensitivities[i]))
            return TN_OK;
    tn_fail(err, TN_EREQUEST, "\"%s\" cannot be \"%.60s\"", field, json_string_value(value));
    tn_error_hint(err, "one of public, internal, financial, pii, phi, or null");
    return TN_EREQUEST;
}

static enum tn_code put_tags(struct iceberg_tx *tx, const json_t *value, struct tn_error *err)
{
    if (json_is_null(value)) {
        iceberg_tx_set_property(tx, CATALOG_P_TAGS, NULL);
        return TN_OK;
    }
    if (!json_is_array(value) || json_array_size(value) > 100)
        return tn_fail(err, TN_EREQUEST, "\"tags\" must be an array of at most 100 strings, or null");
    size_t i;
    json_t *tag;
    json_array_foreach(value, i, tag)
    {
        if (!json_is_string(tag))
            return tn_fail(err, TN_EREQUEST, "\"tags\"[%zu] must be a string", i);
        TN_TRY(check_text(tag, "tags", err));
    }
    TN_AUTO_BUF text = {0};
    tn_json_dump(value, &text);
    iceberg_tx_set_property(tx, CATALOG_P_TAGS, text.data);
    return TN_OK;
}

/* One column's {description, sensitivity} laid over its notes. */
static enum tn_code merge_column(json_t *notes, const struct iceberg_field *field, const json_t *patch,
                                 struct tn_error *err)
{
    json_t *note = catalog_column_note_of(notes, field->id);
    json_t *description = NULL, *sensitivity = NULL;
    const struct tn_json_field fields[] = {
        {.name = "description", .kind = TN_JSON_ANY, .ret = &description},
        {.name = "sensitivity", .kind = TN_JSON_ANY, .ret = &sensitivity},
    };
    TN_TRY(tn_json_read(patch, field->name, fields, TN_COUNT(fields), err));
    if (description) {
        TN_TRY(check_text(description, "description", err));
        json_object_set(note, "description", description);
    }
    if (sensitivity) {
        TN_TRY(check_sensitivity(sensitivity, "sensitivity", err));
        json_object_set(note, "sensitivity", sensitivity);
    }
    return TN_OK;
}

static enum tn_code put_columns(struct iceberg_tx *tx, const struct iceberg_metadata *base, const json_t *value,
                                struct tn_error *err)
{
    if (!json_is_object(value))
        return tn_fail(err, TN_EREQUEST, "\"columns\" must be an object: {\"name\": {\"description\": ...}}");
    TN_AUTO_JSON *notes = catalog_column_notes(base);
    const char *name;
    json_t *patch;
    json_object_foreach((json_t *)(uintptr_t)value, name, patch)
    {
        const struct iceberg_field *field = iceberg_schema_find(base->schema, name, true);
        if (!field)
            return tn_fail(err, TN_EREQUEST, "the dataset has no column \"%.100s\"", name);
        TN_TRY(merge_column(notes, field, patch, err));
    }
    TN_AUTO_BUF text = {0};
    tn_json_dump(notes, &text);
    iceberg_tx_set_property(tx, CATALOG_P_COLUMNS, text.data);
    return TN_OK;
}

static enum tn_code build_patch(struct iceberg_tx *tx, const struct iceberg_metadata *base, const json_t *patch,
                                struct tn_error *err)
{
    json_t *owner = NULL, *description = NULL, *tags = NULL, *sensitivity = NULL, *columns = NULL, *reason = NULL,
           *embed = NULL;
    const struct tn_json_field fields[] = {
        {.name = "auto_embed", .kind = TN_JSON_ANY, .ret = &embed},
        {.name = "owner", .kind = TN_JSON_ANY, .ret = &owner},
        {.name = "description", .kind = TN_JSON_ANY, .ret = &description},
        {.name = "tags", .kind = TN_JSON_ANY, .ret = &tags},
        {.name = "sensitivity", .kind = TN_JSON_ANY, .ret = &sensitivity},
        {.name = "columns", .kind = TN_JSON_ANY, .ret = &columns},
        {.name = "reason", .kind = TN_JSON_ANY, .ret = &reason},
    };
    TN_TRY(tn_json_read(patch, "request body", fields, TN_COUNT(fields), err));
    if (owner) {
        TN_TRY(check_text(owner, "owner", err));
        iceberg_tx_set_property(tx, CATALOG_P_OWNER, json_string_value(owner));
    }
    if (description) {
        TN_TRY(check_text(description, "description", err));
        iceberg_tx_set_property(tx, CATALOG_P_DESCRIPTION, json_string_value(description));
    }
    if (sensitivity) {
        TN_TRY(check_sensitivity(sensitivity, "sensitivity", err));
        iceberg_tx_set_property(tx, CATALOG_P_SENSITIVITY, json_string_value(sensitivity));
    }
    if (embed && !json_is_boolean(embed) && !json_is_null(embed))
        return tn_fail(err, TN_EREQUEST, "auto_embed must be true, false, or null for what the lake says");
    if (embed)
        iceberg_tx_set_property(tx, CATALOG_P_AUTO_EMBED,
                                json_is_null(embed)   ? NULL
                                : json_is_true(embed) ? "true"
                                                      : "false");
    if (tags)
        TN_TRY(put_tags(tx, tags, err));
    if (columns)
        TN_TRY(put_columns(tx, base, columns, err));
    return TN_OK;
}

enum tn_code catalog_patch(struct catalog *catalog, const char *name, const json_t *patch, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    ICEBERG_AUTO_METADATA *probe = NULL;
    TN_TRY(catalog_load(catalog, name, &probe, err));
    char exact[CATALOG_NAME_MAX + 1];
    catalog_exact_name(name, exact);
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(catalog, exact);
    ICEBERG_AUTO_METADATA *base = NULL;
    TN_TRY(catalog_load_locked(catalog, exact, &base, err));
    if (!base)
        return tn_fail(err, TN_EDATASET, "the dataset \"%s\" was dropped meanwhile", exact);

    struct iceberg_table table = catalog_table(catalog, arena, exact);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&table, base);
    TN_TRY(build_patch(tx, base, patch, err));
    ICEBERG_AUTO_METADATA *done = NULL;
    TN_TRY(catalog_tx_commit(catalog, exact, tx, &done, err));
    catalog_publish(catalog, exact, done);
    return TN_OK;
}
