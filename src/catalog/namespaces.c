/* Namespaces: names over tables, with properties. */
#include "catalog/catalog_internal.h"

#include <string.h>

static void unlock_names(pthread_mutex_t **mutex)
{
    pthread_mutex_unlock(*mutex);
}
#define HOLD_NAMES(catalog)                                                                                          \
    TN_CLEANUP(unlock_names) pthread_mutex_t *held_ = &(catalog)->names.mutex;                                       \
    pthread_mutex_lock(held_)

static enum tn_code fail_absent(const char *space, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    return tn_fail(err, TN_ENOTFOUND, "Namespace does not exist: %s", catalog_namespace_text(arena, space));
}

static enum tn_code need(struct catalog *catalog, const char *space, struct space **ret, struct tn_error *err)
{
    *ret = names_find(catalog, space);
    return *ret ? TN_OK : fail_absent(space, err);
}

enum tn_code catalog_namespace_check(struct catalog *catalog, const char *space, struct tn_error *err)
{
    struct space *found;
    HOLD_NAMES(catalog);
    return need(catalog, space, &found, err);
}

/* Is `space` directly below `parent`? */
static bool is_child(const char *space, const char *parent)
{
    size_t length = strlen(parent);
    if (length > 0) {
        if (strncmp(space, parent, length) != 0 || space[length] != CATALOG_SEPARATOR)
            return false;
        space += length + 1;
    }
    return !strchr(space, CATALOG_SEPARATOR);
}

enum tn_code catalog_namespace_list(struct catalog *catalog, const char *parent, struct tn_arena *arena,
                                    const char *const **ret, size_t *ret_count, struct tn_error *err)
{
    struct space *found;
    HOLD_NAMES(catalog);
    if (*parent)
        TN_TRY(need(catalog, parent, &found, err));
    const char **names = TN_ARENA_ARRAY(arena, const char *, catalog->names.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < catalog->names.count; i++)
        if (is_child(catalog->names.items[i].name, parent))
            names[count++] = tn_arena_strdup(arena, catalog->names.items[i].name);
    *ret = names;
    *ret_count = count;
    return TN_OK;
}

/* Parts that are not empty, without control characters; not too many or long. */
static enum tn_code check_name(const char *space, struct tn_error *err)
{
    size_t parts = 1, length = 0, total = strlen(space);
    if (total > CATALOG_NAMESPACE_MAX)
        return tn_fail(err, TN_EREQUEST, "the namespace's name is longer than %d bytes", CATALOG_NAMESPACE_MAX);
    for (const char *at = space;; at++) {
        bool ends = !*at || *at == CATALOG_SEPARATOR;
        if (ends && (length == 0 || length > CATALOG_IDENTIFIER_MAX))
            return tn_fail(err, TN_EREQUEST, "a part of a namespace has 1 to %d bytes", CATALOG_IDENTIFIER_MAX);
        if (!*at)
            break;
        if (!ends && ((unsigned char)*at < 0x20 || *at == 0x7f))
            return tn_fail(err, TN_EREQUEST, "a namespace has a control character in its name");
        parts += ends;
        length = ends ? 0 : length + 1;
    }
    if (tn_streq(space, ".") || tn_streq(space, ".."))
        return tn_fail(err, TN_EREQUEST, "a namespace cannot be called \"%s\": no path leads to it", space);
    if (parts > CATALOG_NAMESPACE_PARTS)
        return tn_fail(err, TN_EREQUEST, "a namespace has at most %d parts", CATALOG_NAMESPACE_PARTS);
    return TN_OK;
}

static enum tn_code check_properties(const json_t *properties, struct tn_error *err)
{
    const char *key;
    json_t *value;
    if (properties && !json_is_object(properties))
        return tn_fail(err, TN_EREQUEST, "\"properties\" must be an object");
    json_object_foreach((json_t *)(uintptr_t)properties, key, value)
    {
        if (!json_is_string(value))
            return tn_fail(err, TN_EREQUEST, "property \"%.100s\" must be text", key);
    }
    return TN_OK;
}

enum tn_code catalog_namespace_create(struct catalog *catalog, const char *space, const json_t *properties,
                                      struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_AUTO_JSON *copy = properties ? json_deep_copy(properties) : json_object();
    struct space *parent;
    TN_TRY(check_name(space, err));
    TN_TRY(check_properties(properties, err));
    HOLD_NAMES(catalog);
    if (names_find(catalog, space))
        return tn_fail(err, TN_EEXISTS, "Namespace already exists: %s", catalog_namespace_text(arena, space));
    const char *last = strrchr(space, CATALOG_SEPARATOR);
    if (last)
        TN_TRY(need(catalog, tn_arena_strndup(arena, space, (size_t)(last - space)), &parent, err));
    const struct space add = {tn_arena_strdup(arena, space), copy};
    return names_write(catalog, &add, NULL, NULL, 0, err);
}

/* Tables that were dropped do not count, and go with the namespace. */
static enum tn_code check_empty(struct catalog *catalog, const char *space, struct tn_arena *arena,
                                struct tn_error *err)
{
    const char *const *names = NULL;
    const char *text = catalog_namespace_text(arena, space);
    size_t count = 0;
    TN_TRY(catalog_namespace_list(catalog, space, arena, &names, &count, err));
    if (count > 0)
        return tn_fail(err, TN_ECONFLICT, "Namespace %s is not empty. It contains %zu namespaces.", text, count);
    TN_TRY(catalog_tables_in(catalog, space, arena, &names, &count, err));
    if (count > 0)
        return tn_fail(err, TN_ECONFLICT, "Namespace %s is not empty. It contains %zu tables.", text, count);
    return TN_OK;
}

enum tn_code catalog_namespace_drop(struct catalog *catalog, const char *space, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct space *found;
    if (tn_streq(space, CATALOG_DEFAULT))
        return tn_fail(err, TN_ECONFLICT, "Namespace default is not empty. It is the lake's own and stays.");
    TN_TRY(catalog_namespace_check(catalog, space, err));
    TN_TRY(check_empty(catalog, space, arena, err));
    HOLD_NAMES(catalog);
    TN_TRY(need(catalog, space, &found, err));
    return names_write(catalog, NULL, space, NULL, 0, err);
}

enum tn_code catalog_namespace_properties(struct catalog *catalog, const char *space, json_t **ret,
                                          struct tn_error *err)
{
    struct space *found;
    HOLD_NAMES(catalog);
    TN_TRY(need(catalog, space, &found, err));
    *ret = json_deep_copy(found->properties);
    return TN_OK;
}

static enum tn_code apply_removals(json_t *properties, const json_t *removals, const json_t *updates, json_t *removed,
                                   json_t *missing, struct tn_error *err)
{
    size_t i;
    const json_t *item;
    json_array_foreach(removals, i, item)
    {
        const char *key = json_string_value(item);
        if (!key)
            return tn_fail(err, TN_EREQUEST, "\"removals\" must be an array of names");
        if (json_object_get(updates, key))
            return tn_fail(err, TN_EREFUSED, "the key \"%.100s\" is both removed and updated", key);
        json_array_append_new(json_object_get(properties, key) ? removed : missing, json_string(key));
        json_object_del(properties, key);
    }
    return TN_OK;
}

enum tn_code catalog_namespace_update(struct catalog *catalog, const char *space, const json_t *removals,
                                      const json_t *updates, json_t **ret_updated, json_t **ret_removed,
                                      json_t **ret_missing, struct tn_error *err)
{
    TN_AUTO_JSON *updated = json_array(), *removed = json_array(), *missing = json_array(), *next = NULL;
    struct space *found;
    const char *key;
    json_t *value;
    TN_TRY(check_properties(updates, err));
    HOLD_NAMES(catalog);
    TN_TRY(need(catalog, space, &found, err));
    next = json_deep_copy(found->properties);
    TN_TRY(apply_removals(next, removals, updates, removed, missing, err));
    json_object_foreach((json_t *)(uintptr_t)updates, key, value)
    {
        json_object_set(next, key, value);
        json_array_append_new(updated, json_string(key));
    }
    const struct space add = {found->name, next};
    if (!json_equal(next, found->properties))
        TN_TRY(names_write(catalog, &add, NULL, NULL, 0, err));
    *ret_updated = TN_TAKE(updated);
    *ret_removed = TN_TAKE(removed);
    *ret_missing = TN_TAKE(missing);
    return TN_OK;
}
