/* The names document: names/<N>, created once each, the highest one counts.
 * It says which namespaces there are, and of every table whose identifier or
 * folder does not follow from its dataset's name, what they are. */
#include "catalog/catalog_internal.h"

#include <string.h>

#define DOCUMENT_MAX_BYTES ((size_t)64 << 20)
#define DOCUMENTS_KEPT     8

/* --- Namespaces in memory --- */

static size_t names_position(struct catalog *catalog, const char *space, bool *ret_found)
{
    size_t at = 0;
    while (at < catalog->names.count && strcmp(catalog->names.items[at].name, space) < 0)
        at++;
    *ret_found = at < catalog->names.count && tn_streq(catalog->names.items[at].name, space);
    return at;
}

struct space *names_find(struct catalog *catalog, const char *space)
{
    bool found;
    size_t at = names_position(catalog, space, &found);
    return found ? &catalog->names.items[at] : NULL;
}

static void names_put(struct catalog *catalog, const char *space, json_t *properties)
{
    bool found;
    size_t at = names_position(catalog, space, &found);
    if (found) {
        json_decref(catalog->names.items[at].properties);
        catalog->names.items[at].properties = properties;
        return;
    }
    TN_GROW(catalog->names.items, catalog->names.count, catalog->names.capacity);
    memmove(catalog->names.items + at + 1, catalog->names.items + at,
            (catalog->names.count - at) * sizeof *catalog->names.items);
    catalog->names.items[at] = (struct space){tn_strdup(space), properties};
    catalog->names.count++;
}

static void names_forget(struct catalog *catalog, const char *space)
{
    bool found;
    size_t at = names_position(catalog, space, &found);
    if (!found)
        return;
    free(catalog->names.items[at].name);
    json_decref(catalog->names.items[at].properties);
    catalog->names.count--;
    memmove(catalog->names.items + at, catalog->names.items + at + 1,
            (catalog->names.count - at) * sizeof *catalog->names.items);
}

void names_release(struct catalog *catalog)
{
    for (size_t i = 0; i < catalog->names.count; i++) {
        free(catalog->names.items[i].name);
        json_decref(catalog->names.items[i].properties);
    }
    free(catalog->names.items);
    pthread_mutex_destroy(&catalog->names.mutex);
}

/* --- Places --- */

static struct entry_place place_copy(const struct entry_place *place)
{
    return (struct entry_place){tn_strdup(place->space), tn_strdup(place->table), tn_strdup(place->prefix),
                                place->mapped};
}

static void entry_move(struct catalog *catalog, struct entry *entry, const struct entry_place *place)
{
    struct entry_place next = place_copy(place);
    pthread_mutex_lock(&catalog->mutex);
    struct entry_place old = entry->place;
    entry->place = next;
    pthread_mutex_unlock(&catalog->mutex);
    free(old.space);
    free(old.table);
    free(old.prefix);
}

/* --- Writing --- */

void catalog_put_namespace(struct tn_json *json, const char *space)
{
    tn_json_open(json, '[');
    for (const char *at = space;;) {
        const char *end = strchrnul(at, CATALOG_SEPARATOR);
        tn_json_strn(json, at, (size_t)(end - at));
        if (!*end)
            break;
        at = end + 1;
    }
    tn_json_close(json, ']');
}

static void put_space(struct tn_json *json, const char *name, const json_t *properties)
{
    TN_AUTO_BUF text = {0};
    tn_json_dump(properties, &text);
    tn_json_open(json, '{');
    tn_json_key(json, "name");
    catalog_put_namespace(json, name);
    tn_json_key(json, "properties");
    tn_json_raw(json, text.data, text.len);
    tn_json_close(json, '}');
}

static void put_table(struct tn_json *json, const char *dataset, const struct entry_place *place)
{
    if (!place->mapped)
        return;
    tn_json_open(json, '{');
    tn_json_kstr(json, "dataset", dataset);
    tn_json_key(json, "namespace");
    catalog_put_namespace(json, place->space);
    tn_json_kstr(json, "name", place->table);
    tn_json_kstr(json, "folder", place->prefix);
    tn_json_close(json, '}');
}

static void put_tables(struct catalog *catalog, const struct names_change *changes, size_t count,
                       struct tn_json *json)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct entry **entries = NULL;
    size_t known = entry_all(catalog, arena, &entries);
    for (size_t i = 0; i < known; i++) {
        const struct entry_place *place = &entries[i]->place; /* changes only under names.mutex */
        for (size_t k = 0; k < count; k++)
            if (changes[k].entry == entries[i])
                place = &changes[k].place;
        put_table(json, entries[i]->name, place);
    }
}

static void names_text(struct catalog *catalog, const struct space *add, const char *remove,
                       const struct names_change *changes, size_t count, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "tarn-names", 1);
    tn_json_ki64(&json, "version", catalog->names.version + 1);
    tn_json_key(&json, "namespaces");
    tn_json_open(&json, '[');
    for (size_t i = 0; i < catalog->names.count; i++) {
        const struct space *space = &catalog->names.items[i];
        if ((remove && tn_streq(remove, space->name)) || (add && tn_streq(add->name, space->name)))
            continue;
        put_space(&json, space->name, space->properties);
    }
    if (add)
        put_space(&json, add->name, add->properties);
    tn_json_close(&json, ']');
    tn_json_key(&json, "tables");
    tn_json_open(&json, '[');
    put_tables(catalog, changes, count, &json);
    tn_json_close(&json, ']');
    tn_json_close(&json, '}');
    tn_buf_putc(out, '\n');
}

enum tn_code names_write(struct catalog *catalog, const struct space *add, const char *remove,
                         const struct names_change *changes, size_t count, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    char key[48];
    names_text(catalog, add, remove, changes, count, &text);
    if (text.len > DOCUMENT_MAX_BYTES)
        return tn_fail(err, TN_ETOOLARGE, "the names of tables take %zu MB", text.len >> 20);
    (void)snprintf(key, sizeof key, "names/%lld", (long long)catalog->names.version + 1);
    TN_FAULT("names.before_document");
    enum tn_code code = store_create(catalog->store, key, text.data, text.len, err);
    if (code == TN_EEXISTS)
        return tn_fail(err, TN_ECONFLICT, "another process has changed the names of this lake's tables");
    TN_TRY(code);
    TN_FAULT("names.after_document");
    catalog->names.version++;
    if (add)
        names_put(catalog, add->name, json_incref(add->properties));
    if (remove)
        names_forget(catalog, remove);
    for (size_t i = 0; i < count; i++)
        entry_move(catalog, changes[i].entry, &changes[i].place);
    if (catalog->names.version > DOCUMENTS_KEPT) { /* in ascending order: a hole never hides a newer one */
        (void)snprintf(key, sizeof key, "names/%lld", (long long)catalog->names.version - DOCUMENTS_KEPT);
        enum tn_code ignored = store_delete(catalog->store, key, NULL);
        (void)ignored;
    }
    return TN_OK;
}

/* --- Reading --- */

static enum tn_code bad(const char *what, struct tn_error *err)
{
    (void)tn_fail(err, TN_ECORRUPT, "the names document is damaged: %s", what);
    tn_error_hint(err, "restore the folder names/ of the bucket from a backup");
    return TN_ECORRUPT;
}

static bool read_parts(const json_t *parts, struct tn_buf *out)
{
    size_t i;
    const json_t *part;
    json_array_foreach(parts, i, part)
    {
        if (!json_is_string(part))
            return false;
        if (i > 0)
            tn_buf_putc(out, CATALOG_SEPARATOR);
        tn_buf_puts(out, json_string_value(part));
    }
    return out->len > 0;
}

static enum tn_code read_spaces(struct catalog *catalog, const json_t *list, struct tn_error *err)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        TN_AUTO_BUF name = {0};
        json_t *properties = json_object_get(item, "properties");
        if (!read_parts(json_object_get(item, "name"), &name) || !json_is_object(properties))
            return bad("a namespace", err);
        names_put(catalog, name.data, json_incref(properties));
    }
    return TN_OK;
}

static enum tn_code read_tables(struct catalog *catalog, const json_t *list, struct tn_error *err)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        TN_AUTO_BUF space = {0};
        const char *dataset = json_string_value(json_object_get(item, "dataset"));
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *folder = json_string_value(json_object_get(item, "folder"));
        if (!read_parts(json_object_get(item, "namespace"), &space) || !dataset || !name || !folder ||
            strlen(dataset) > CATALOG_NAME_MAX || store_check_key(folder, NULL) != TN_OK)
            return bad("a table", err);
        const struct entry_place place = {space.data, (char *)(uintptr_t)name, (char *)(uintptr_t)folder, true};
        entry_move(catalog, entry_get(catalog, dataset, true), &place);
    }
    return TN_OK;
}

static enum tn_code note_version(void *context, const struct store_object *object, struct tn_error *err)
{
    int64_t *highest = context, version = 0;
    (void)err;
    if (tn_parse_i64(object->key + strlen("names/"), &version))
        *highest = TN_MAX(*highest, version);
    return TN_OK;
}

enum tn_code names_load(struct catalog *catalog, struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    TN_AUTO_JSON *root = NULL;
    char key[48];
    names_put(catalog, CATALOG_DEFAULT, json_object());
    TN_TRY(store_list(catalog->store, "names/", note_version, &catalog->names.version, err));
    if (catalog->names.version == 0)
        return TN_OK;
    (void)snprintf(key, sizeof key, "names/%lld", (long long)catalog->names.version);
    TN_TRY(store_get(catalog->store, key, DOCUMENT_MAX_BYTES, &text, err));
    TN_TRY(tn_json_parse(text.data, text.len, DOCUMENT_MAX_BYTES, key, &root, err));
    if (json_integer_value(json_object_get(root, "tarn-names")) != 1)
        return tn_fail(err, TN_EUNSUPPORTED, "%s is of a later version", key);
    TN_TRY(read_spaces(catalog, json_object_get(root, "namespaces"), err));
    return read_tables(catalog, json_object_get(root, "tables"), err);
}
