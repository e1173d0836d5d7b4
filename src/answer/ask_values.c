/* What the columns of a table hold: frequent texts, least and greatest numbers
 * and dates.
 *
 * Two statements look at a version of a dataset once: one at its first rows for
 * the texts, one at the numbers and dates of all. The result is kept by
 * dataset and version of its metadata; a description or a mark of sensitivity
 * makes a version too, so nothing kept tells of a column that was marked since.
 */
#include "answer/ask.h"

#include "dataset/dataset.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#define KEPT_MAX   512
#define LOOK_ROWS  20000 /* whose texts are counted */
#define PROSE_FROM 80    /* characters; a column of longer texts shows no values */

struct kept {
    char *dataset, *uuid;
    int64_t version;
    uint64_t used;
    struct tn_arena *arena;
    int64_t rows;
    struct ask_values *values;
    size_t count;
};

struct ask_cache {
    pthread_mutex_t mutex;
    struct kept items[KEPT_MAX];
    size_t count;
    uint64_t clock;
};

struct ask_cache *ask_cache_new(void)
{
    struct ask_cache *cache = tn_calloc(1, sizeof *cache);
    (void)pthread_mutex_init(&cache->mutex, NULL);
    return cache;
}

static void drop(struct ask_cache *cache, size_t at)
{
    struct kept *item = &cache->items[at];
    free(item->dataset);
    free(item->uuid);
    tn_arena_free(item->arena);
    *item = cache->items[--cache->count];
}

void ask_cache_free(struct ask_cache *cache)
{
    if (!cache)
        return;
    while (cache->count > 0)
        drop(cache, cache->count - 1);
    (void)pthread_mutex_destroy(&cache->mutex);
    free(cache);
}

/* ---- looking ------------------------------------------------------------------------ */

enum look { LOOK_NOT, LOOK_TEXT, LOOK_RANGE };

static enum look look_of(const struct iceberg_type *type)
{
    switch (type->kind) {
    case ICEBERG_STRING:
        return LOOK_TEXT;
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
    case ICEBERG_DECIMAL:
    case ICEBERG_DATE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        return LOOK_RANGE;
    default:
        return LOOK_NOT;
    }
}

struct looking {
    struct kept *made;
    const struct iceberg_schema *schema;
    const struct ask_table *table;
    const char **texts[ASK_COLUMNS_MAX]; /* by column */
    size_t counts[ASK_COLUMNS_MAX];
};

static enum look wanted(const struct looking *looking, size_t i)
{
    const struct ask_column *column = &looking->table->columns[i];
    const struct iceberg_field *field = iceberg_schema_field(looking->schema, column->field_id);
    return column->withheld || !field ? LOOK_NOT : look_of(field->type);
}

/* A value as it will be shown: one line, cut. */
static const char *shown(struct tn_arena *arena, const char *text)
{
    size_t length = strlen(text), kept = tn_utf8_floor(text, length, ASK_VALUE_LENGTH);
    char *copy = tn_arena_strndup(arena, text, kept + (kept < length ? 3 : 0));
    if (kept < length)
        memcpy(copy + kept, "...", 3);
    return copy;
}

static bool on_text(void *context, size_t count, const char *const *values)
{
    struct looking *looking = context;
    int64_t column = -1;
    (void)count;
    if (!values[0] || !values[1] || !tn_parse_i64(values[0], &column) || column < 0 ||
        column >= (int64_t)looking->table->column_count || looking->counts[column] > ASK_VALUES)
        return true;
    if (!looking->texts[column])
        looking->texts[column] = TN_ARENA_ARRAY(looking->made->arena, const char *, ASK_VALUES + 1);
    bool prose = strlen(values[1]) > PROSE_FROM;
    looking->texts[column][looking->counts[column]++] = prose ? NULL : shown(looking->made->arena, values[1]);
    return true;
}

static enum tn_code look_at_texts(struct engine *engine, struct looking *looking, const char *definition,
                                  struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    TN_AUTO_BUF each = {0};
    for (size_t i = 0; i < looking->table->column_count; i++) {
        if (wanted(looking, i) != LOOK_TEXT)
            continue;
        tn_buf_puts(&sql, sql.len ? ", left(" : "WITH looked AS MATERIALIZED (SELECT left(");
        tn_buf_put_sql_name(&sql, looking->table->columns[i].name);
        tn_buf_printf(&sql, ", %d) AS c%zu", PROSE_FROM + 1, i);
        tn_buf_printf(&each,
                      "%s(SELECT %zu AS f, c%zu AS v, count(*) AS n FROM looked WHERE c%zu IS NOT NULL GROUP BY v "
                      "ORDER BY n DESC, v LIMIT %d)",
                      each.len ? " UNION ALL " : "", i, i, i, ASK_VALUES + 1);
    }
    if (sql.len == 0)
        return TN_OK;
    tn_buf_printf(&sql, " FROM (%s) LIMIT %d) SELECT f, v FROM (%s) ORDER BY f, n DESC, v", definition, LOOK_ROWS,
                  each.data);
    return engine_run(engine, sql.data, on_text, looking, err);
}

/* Addresses of mail, telephone and card numbers are nobody's example, marked or not. */
static bool is_personal(const char *text)
{
    const char *at = strchr(text, '@');
    size_t digits = 0, others = 0;
    for (const char *c = text; *c; c++) {
        digits += *c >= '0' && *c <= '9';
        others += !(*c >= '0' && *c <= '9') && !strchr(" +-()./x", *c);
    }
    return (at && strchr(at, '.')) || (digits >= 9 && others == 0);
}

/* Of a column of texts: those that are short, unless most are not. */
static void take_texts(struct looking *looking, size_t i, struct ask_values *ret)
{
    size_t count = looking->counts[i], shorts = 0;
    const char **texts = looking->texts[i];
    bool few = count <= ASK_VALUES;
    for (size_t k = 0; k < count; k++) {
        if (texts[k] && is_personal(texts[k]))
            return;
        if (texts[k])
            texts[shorts++] = texts[k];
    }
    bool all = few && shorts == count;
    ret->values = texts;
    ret->count = shorts * 2 < count ? 0 : TN_MIN(shorts, (size_t)(all ? ASK_VALUES : ASK_EXAMPLES));
    ret->all = all && looking->made->rows >= 0 && looking->made->rows <= LOOK_ROWS;
}

static bool on_ranges(void *context, size_t count, const char *const *values)
{
    struct looking *looking = context;
    struct kept *made = looking->made;
    size_t at = 1;
    if (count == 0 || !values[0] || !tn_parse_i64(values[0], &made->rows))
        made->rows = -1;
    for (size_t i = 0; i < looking->table->column_count; i++) {
        enum look look = wanted(looking, i);
        struct ask_values *ret = &made->values[made->count];
        *ret = (struct ask_values){.field_id = looking->table->columns[i].field_id};
        if (look == LOOK_RANGE && at + 1 < count) {
            ret->min = values[at] ? shown(made->arena, values[at]) : NULL;
            ret->max = values[at + 1] ? shown(made->arena, values[at + 1]) : NULL;
            at += 2;
        } else if (look == LOOK_TEXT) {
            take_texts(looking, i, ret);
        }
        made->count++;
    }
    return true;
}

static enum tn_code look_at_ranges(struct engine *engine, struct looking *looking, const char *definition,
                                   struct tn_error *err)
{
    TN_AUTO_BUF sql = {0};
    tn_buf_puts(&sql, "SELECT count(*)");
    for (size_t i = 0; i < looking->table->column_count; i++) {
        if (wanted(looking, i) != LOOK_RANGE)
            continue;
        const char *name = looking->table->columns[i].name;
        tn_buf_puts(&sql, ", min(");
        tn_buf_put_sql_name(&sql, name);
        tn_buf_puts(&sql, "), max(");
        tn_buf_put_sql_name(&sql, name);
        tn_buf_putc(&sql, ')');
    }
    tn_buf_printf(&sql, " FROM (%s)", definition);
    return engine_run(engine, sql.data, on_ranges, looking, err);
}

static enum tn_code look(struct lake *lake, const struct iceberg_metadata *metadata, const struct ask_table *table,
                         struct kept *made, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *scratch = tn_arena_new();
    TN_AUTO_FREE struct looking *looking = tn_calloc(1, sizeof *looking);
    const struct engine_resolver resolver = dataset_resolver(lake);
    const struct engine_table_ref ref = {.name = table->name,
                                         .at = metadata->current ? ENGINE_AT_VERSION : ENGINE_AT_NOW,
                                         .at_version = metadata->current ? metadata->current->id : 0};
    struct engine_relation relation = {0};
    TN_TRY(resolver.resolve(resolver.context, &ref, scratch, &relation, err));
    TN_CLEANUP(engine_hold_unref_p) struct engine_hold *hold = relation.hold;
    looking->made = made;
    looking->table = table;
    looking->schema = metadata->schema;
    made->values = TN_ARENA_ARRAY(made->arena, struct ask_values, table->column_count + 1);
    TN_TRY(look_at_texts(lake->engine, looking, relation.definition, err));
    return look_at_ranges(lake->engine, looking, relation.definition, err);
}

/* ---- keeping -------------------------------------------------------------------------- */

static struct kept *recall(struct ask_cache *cache, const struct iceberg_metadata *metadata, const char *dataset)
{
    for (size_t i = 0; i < cache->count; i++) {
        struct kept *item = &cache->items[i];
        if (item->version == metadata->version && tn_streq(item->dataset, dataset) &&
            tn_streq(item->uuid, metadata->uuid ? metadata->uuid : "")) {
            item->used = ++cache->clock;
            return item;
        }
    }
    return NULL;
}

/* An older version of the same dataset makes room first. */
static void remember(struct ask_cache *cache, const struct kept *made)
{
    size_t oldest = 0;
    for (size_t i = cache->count; i-- > 0;)
        if (tn_streq(cache->items[i].dataset, made->dataset))
            drop(cache, i);
    for (size_t i = 1; i < cache->count; i++)
        if (cache->items[i].used < cache->items[oldest].used)
            oldest = i;
    if (cache->count == KEPT_MAX)
        drop(cache, oldest);
    cache->items[cache->count] = *made;
    cache->items[cache->count++].used = ++cache->clock;
}

static void copy_values(const struct kept *kept, struct tn_arena *arena, struct ask_table *table)
{
    table->rows = kept->rows;
    for (size_t i = 0; i < table->column_count; i++) {
        const struct ask_values *from = NULL;
        for (size_t k = 0; k < kept->count && !from; k++)
            if (kept->values[k].field_id == table->columns[i].field_id)
                from = &kept->values[k];
        if (!from || table->columns[i].withheld)
            continue;
        struct ask_values *to = tn_arena_alloc(arena, sizeof *to);
        const char **texts = TN_ARENA_ARRAY(arena, const char *, from->count + 1);
        for (size_t k = 0; k < from->count; k++)
            texts[k] = tn_arena_strdup(arena, from->values[k]);
        *to = *from;
        to->values = texts;
        to->min = from->min ? tn_arena_strdup(arena, from->min) : NULL;
        to->max = from->max ? tn_arena_strdup(arena, from->max) : NULL;
        table->columns[i].values = to;
    }
}

void ask_values_fill(struct ask_cache *cache, struct lake *lake, struct tn_arena *arena, struct ask_table *table)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct tn_error why = {0};
    if (catalog_load(lake->catalog, table->name, &metadata, NULL) != TN_OK)
        return;
    pthread_mutex_lock(&cache->mutex);
    struct kept *known = recall(cache, metadata, table->name);
    if (known)
        copy_values(known, arena, table);
    pthread_mutex_unlock(&cache->mutex);
    if (known)
        return;
    struct kept made = {.version = metadata->version, .arena = tn_arena_new()};
    if (look(lake, metadata, table, &made, &why) != TN_OK) { /* a card without values is a card */
        tn_arena_free(made.arena);
        return;
    }
    made.dataset = tn_strdup(table->name);
    made.uuid = tn_strdup(metadata->uuid ? metadata->uuid : "");
    pthread_mutex_lock(&cache->mutex);
    remember(cache, &made);
    copy_values(&made, arena, table);
    pthread_mutex_unlock(&cache->mutex);
}
