/* From identifiers (a namespace, a name) to datasets and folders. */
#include "catalog/catalog_internal.h"

#include <string.h>

static bool is_natural(const char *space, const char *table)
{
    return tn_streq(space, CATALOG_DEFAULT) && catalog_check_name(table, NULL) == TN_OK;
}

const char *catalog_namespace_text(struct tn_arena *arena, const char *space)
{
    char *text = tn_arena_strdup(arena, space);
    for (char *at = text; *at; at++)
        if (*at == CATALOG_SEPARATOR)
            *at = '.';
    return text;
}

/* --- Look-up --- */

struct entry *identifier_entry(struct catalog *catalog, const char *space, const char *table)
{
    struct entry *found = NULL;
    pthread_mutex_lock(&catalog->mutex);
    for (size_t i = 0; i < catalog->count && !found; i++) {
        const struct entry_place *place = &catalog->entries[i]->place;
        if (tn_streq(place->table, table) && tn_streq(place->space, space))
            found = catalog->entries[i];
    }
    pthread_mutex_unlock(&catalog->mutex);
    return found;
}

enum tn_code catalog_dataset_named(struct catalog *catalog, const char *space, const char *table,
                                   struct tn_arena *arena, const char **ret, struct tn_error *err)
{
    struct entry *entry = identifier_entry(catalog, space, table);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    if (entry)
        TN_TRY(entry_read(catalog, entry, &metadata, err));
    if (!metadata)
        return tn_fail(err, TN_EDATASET, "Table does not exist: %s.%s", catalog_namespace_text(arena, space), table);
    *ret = tn_arena_strdup(arena, entry->name);
    return TN_OK;
}

void catalog_identifier_of(struct catalog *catalog, const char *dataset, struct tn_arena *arena,
                           const char **ret_space, const char **ret_table)
{
    struct entry *entry = entry_get(catalog, dataset, false);
    *ret_space = CATALOG_DEFAULT;
    *ret_table = dataset;
    if (!entry)
        return;
    struct entry_place place = entry_place_of(catalog, arena, entry);
    *ret_space = place.space;
    *ret_table = place.table;
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

enum tn_code catalog_tables_in(struct catalog *catalog, const char *space, struct tn_arena *arena,
                               const char *const **ret, size_t *ret_count, struct tn_error *err)
{
    struct entry **entries = NULL;
    size_t known = entry_all(catalog, arena, &entries), count = 0;
    const char **names = TN_ARENA_ARRAY(arena, const char *, known + 1);
    for (size_t i = 0; i < known; i++) {
        struct entry_place place = entry_place_of(catalog, arena, entries[i]);
        ICEBERG_AUTO_METADATA *metadata = NULL;
        if (!tn_streq(place.space, space))
            continue;
        TN_TRY(entry_read(catalog, entries[i], &metadata, err));
        if (metadata)
            names[count++] = place.table;
    }
    qsort(names, count, sizeof *names, by_text);
    *ret = names;
    *ret_count = count;
    return TN_OK;
}

/* --- Names and folders for new ones --- */

/* "ns__table": what SQL takes for a name without quotation marks, since a name
 * with a dot in it is to SQL a schema's table, or a file. */
static char *dataset_name(struct tn_arena *arena, const char *space, const char *table)
{
    TN_AUTO_BUF text = {0};
    if (!tn_streq(space, CATALOG_DEFAULT))
        tn_buf_printf(&text, "%s%c", space, CATALOG_SEPARATOR);
    tn_buf_puts(&text, table);
    TN_AUTO_BUF name = {0};
    for (const char *at = text.data; *at && name.len < CATALOG_NAME_MAX - 16; at++) {
        char c = tn_ascii_lower(*at);
        bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        tn_buf_puts(&name, c == CATALOG_SEPARATOR ? "__" : fine ? (char[2]){c} : "_");
    }
    bool valid = catalog_check_name(name.data, NULL) == TN_OK;
    return tn_arena_printf(arena, "%s%s", valid ? "" : "t_", name.data);
}

static bool folder_is_claimed(struct catalog *catalog, const char *folder)
{
    bool claimed = false;
    pthread_mutex_lock(&catalog->mutex);
    for (size_t i = 0; i < catalog->count && !claimed; i++)
        claimed = tn_streq(catalog->entries[i]->place.prefix, folder);
    pthread_mutex_unlock(&catalog->mutex);
    return claimed;
}

char *identifier_folder(struct catalog *catalog, const char *dataset, bool fresh)
{
    TN_AUTO_BUF text = {0};
    tn_buf_printf(&text, "datasets/%s", dataset);
    while (fresh || folder_is_claimed(catalog, text.data)) {
        fresh = false;
        tn_buf_clear(&text);
        tn_buf_printf(&text, "datasets/%s~%08x", dataset, (unsigned)(tn_random_u64() & 0xffffffff));
    }
    return tn_buf_take(&text);
}

/* names.mutex is held, so nobody else names entries. */
struct entry *identifier_propose(struct catalog *catalog, const char *space, const char *table)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct entry *entry = identifier_entry(catalog, space, table);
    if (entry)
        return entry;
    const char *base = dataset_name(arena, space, table), *name = base;
    for (int i = 2; entry_get(catalog, name, false); i++)
        name = tn_arena_printf(arena, "%s_%d", base, i);
    if (is_natural(space, table) && tn_streq(name, table))
        return entry_get(catalog, name, true);
    TN_AUTO_FREE char *folder = identifier_folder(catalog, name, false);
    entry = entry_get(catalog, name, true);
    pthread_mutex_lock(&catalog->mutex);
    struct entry_place old = entry->place;
    entry->place = (struct entry_place){tn_strdup(space), tn_strdup(table), tn_strdup(folder), false};
    pthread_mutex_unlock(&catalog->mutex);
    free(old.space);
    free(old.table);
    free(old.prefix);
    return entry;
}

/* --- Locations --- */

static bool is_within(const char *key, const char *folder)
{
    size_t length = strlen(folder);
    return strncmp(key, folder, length) == 0 && (key[length] == '/' || !key[length]);
}

/* The key of a location in the lake, or NULL. The root's own is "". */
static const char *location_key(struct catalog *catalog, struct tn_arena *arena, const char *location)
{
    char *key = NULL;
    size_t length = strlen(location);
    while (length > 1 && location[length - 1] == '/')
        length--;
    const char *plain = tn_arena_strndup(arena, location, length);
    if (store_key_of_uri(catalog->store, arena, plain, &key, NULL) == TN_OK)
        return key;
    const char *below = tn_arena_printf(arena, "%s/x", plain);
    return store_key_of_uri(catalog->store, arena, below, &key, NULL) == TN_OK ? "" : NULL;
}

static enum tn_code refuse_location(const char *location, const char *why, struct tn_error *err)
{
    (void)tn_fail(err, TN_EREQUEST, "the location %.300s %s", location, why);
    tn_error_hint(err, "leave the location out, or choose one outside of the lake's own folders");
    return TN_EREQUEST;
}

/* A part "." or "..", or, in a path, an empty one: it would mean another location than it says. */
static bool has_step(const char *location)
{
    const char *scheme = strstr(location, "://"), *path = scheme ? scheme + 3 : location;
    if ((!scheme || tn_str_starts_with(location, "file:")) && strstr(path, "//"))
        return true;
    for (const char *at = strchr(location, '/'); at; at = strchr(at + 1, '/')) {
        size_t dots = strspn(at + 1, ".");
        if ((dots == 1 || dots == 2) && (at[1 + dots] == '/' || !at[1 + dots]))
            return true;
    }
    return false;
}

/* Two tables in one folder: the upkeep of one would remove files of the other. */
enum tn_code identifier_check_location(struct catalog *catalog, struct entry *entry, const char *location,
                                       struct tn_error *err)
{
    static const char *const own[] = {"journal", "names", "transactions", ".staging"};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    if (has_step(location))
        return refuse_location(location, "has an empty part, or a part \".\" or \"..\"", err);
    const char *key = location_key(catalog, arena, location);
    if (!key)
        return TN_OK;
    if (is_within(key, entry_place_of(catalog, arena, entry).prefix))
        return TN_OK;
    if (!*key || is_within(key, "datasets"))
        return refuse_location(location, "is inside of the lake's own folders", err);
    for (size_t i = 0; i < TN_COUNT(own); i++)
        if (is_within(key, own[i]))
            return refuse_location(location, "is inside of the lake's own folders", err);
    return TN_OK;
}

enum tn_code identifier_claim(struct catalog *catalog, struct entry *entry, const char *location,
                              struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_TRY(identifier_check_location(catalog, entry, location, err));
    pthread_mutex_lock(&catalog->names.mutex);
    struct entry_place place = entry_place_of(catalog, arena, entry);
    bool natural = is_natural(place.space, place.table) && tn_streq(place.table, entry->name);
    enum tn_code code = TN_OK;
    if (!names_find(catalog, place.space)) /* dropped meanwhile */
        code = tn_fail(err, TN_ENOTFOUND, "Namespace does not exist: %s", catalog_namespace_text(arena, place.space));
    if (code == TN_OK && !place.mapped && !natural) {
        place.mapped = true;
        const struct names_change change = {entry, place};
        code = names_write(catalog, NULL, NULL, &change, 1, err);
    }
    pthread_mutex_unlock(&catalog->names.mutex);
    return code;
}
