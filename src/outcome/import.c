/* Aggregates that others made: read leniently, entry by entry, and taken
 * together. */
#include "outcome/outcome_internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define OLD_FILE     "model-performance.json"
#define FILE_MAX     ((size_t)64 << 20)
#define PROBLEMS_MAX 1000 /* more are counted and not told */
#define LOGGED_MAX   20

struct reading {
    const char *source;
    struct tn_arena *arena;
    struct outcome_entry *entries;
    size_t count, capacity;
    struct outcome_imported *report;
};

static void note(struct reading *reading, const char *task_type, const char *model_id, const char *field,
                 bool refused, const char *problem)
{
    if (json_array_size(reading->report->problems) >= PROBLEMS_MAX)
        return;
    json_t *item = json_object();
    (void)json_object_set_new(item, "task_type", json_string(task_type));
    (void)json_object_set_new(item, "model_id", model_id ? json_string(model_id) : json_null());
    (void)json_object_set_new(item, "field", field ? json_string(field) : json_null());
    (void)json_object_set_new(item, "problem", json_string(problem));
    (void)json_object_set_new(item, "refused", json_boolean(refused));
    (void)json_array_append_new(reading->report->problems, item);
}

/* ---- one entry ------------------------------------------------------------------- */

enum field_kind { COUNT, REQUIRED_COUNT, MONEY, MOMENT, DERIVED };

static const struct field {
    const char *name, *other; /* the old file's spelling, and the export's */
    enum field_kind kind;
} known_fields[] = {
    {"successes", "successes", REQUIRED_COUNT},
    {"failures", "failures", REQUIRED_COUNT},
    {"timeouts", "timeouts", COUNT},
    {"totalTokens", "total_tokens", COUNT},
    {"totalCost", "total_cost", MONEY},
    {"lastUsed", "last_used", MOMENT},
    {"successRate", "success_rate", DERIVED},
    {"trials", "task_type", DERIVED},
    {"lower_bound", "upper_bound", DERIVED},
    {"average_tokens", "average_cost", DERIVED},
    {"cost_per_success", "model_id", DERIVED},
};

static void *place_of(struct outcome_entry *entry, const char *name)
{
    switch (name[0]) {
    case 's':
        return &entry->successes;
    case 'f':
        return &entry->failures;
    case 'l':
        return &entry->time_us;
    default:
        return tn_streq(name, "timeouts")      ? (void *)&entry->timeouts
               : tn_streq(name, "totalTokens") ? (void *)&entry->tokens
                                               : (void *)&entry->cost;
    }
}

/* What is wrong with the value, or NULL; then it is stored. */
static const char *take_value(const json_t *value, enum field_kind kind, void *ret)
{
    int64_t us;
    double real = json_number_value(value);
    switch (kind) {
    case COUNT:
    case REQUIRED_COUNT:
        if (!json_is_number(value))
            return "must be a number";
        if (!(real >= 0 && real <= (double)TN_JSON_MAX_SAFE && real <= floor(real)))
            return "must be a whole number from 0 to 2^53";
        *(int64_t *)ret = json_is_integer(value) ? json_integer_value(value) : (int64_t)real;
        return NULL;
    case MONEY:
        if (!json_is_number(value) || !(real >= 0 && real <= 1e15))
            return "must be a number from 0 to 1e15";
        *(double *)ret = real;
        return NULL;
    case MOMENT:
        if (!json_is_string(value) || !tn_time_parse(json_string_value(value), &us))
            return "must be a time such as 2026-01-31T12:00:00Z";
        *(int64_t *)ret = us;
        return NULL;
    case DERIVED:
        break;
    }
    return NULL;
}

static const struct field *field_named(const char *name)
{
    for (size_t i = 0; i < TN_COUNT(known_fields); i++)
        if (tn_streq(known_fields[i].name, name) || tn_streq(known_fields[i].other, name))
            return &known_fields[i];
    return NULL;
}

static bool take_fields(struct reading *reading, const json_t *object, struct outcome_entry *entry)
{
    bool good = true;
    for (size_t i = 0; i < TN_COUNT(known_fields); i++) {
        const struct field *field = &known_fields[i];
        const json_t *value = json_object_get(object, field->name);
        value = value ? value : json_object_get(object, field->other);
        if (field->kind == DERIVED)
            continue;
        bool absent = !value || json_is_null(value);
        bool required = field->kind == REQUIRED_COUNT;
        const char *problem = !absent    ? take_value(value, field->kind, place_of(entry, field->name))
                              : required ? "is missing"
                                         : NULL;
        if (problem)
            note(reading, entry->task_type, entry->model_id, field->name, true, problem);
        else if (!value)
            note(reading, entry->task_type, entry->model_id, field->name, false,
                 field->kind == MOMENT ? "is missing: not known" : "is missing: counts as 0");
        good = good && !problem;
    }
    return good;
}

static void take_entry(struct reading *reading, const char *task_type, const char *model_id, const json_t *object)
{
    struct tn_error error = {0};
    struct outcome_entry entry = {.import = true,
                                  .task_type = task_type,
                                  .model_id = model_id,
                                  .source = reading->source,
                                  .time_us = LOG_NO_TIME,
                                  .timed = true};
    const char *key;
    json_t *value;
    if (!json_is_object(object)) {
        note(reading, task_type, model_id, NULL, true, "must be an object");
        reading->report->refused++;
        return;
    }
    bool good = take_fields(reading, object, &entry);
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (!field_named(key))
            note(reading, task_type, model_id, key, false, "is not known: left out");
    }
    if (good && outcome_entry_check(&entry, &error) != TN_OK) {
        note(reading, task_type, model_id, NULL, true, error.detail);
        good = false;
    }
    if (!good) {
        reading->report->refused++;
        return;
    }
    TN_GROW(reading->entries, reading->count, reading->capacity);
    reading->entries[reading->count++] = entry;
}

/* ---- the two documents ------------------------------------------------------------- */

static void read_nested(struct reading *reading, const json_t *document)
{
    const char *task_type, *model_id;
    json_t *models, *object;
    json_object_foreach((json_t *)(uintptr_t)document, task_type, models)
    {
        if (!json_is_object(models)) {
            note(reading, task_type, NULL, NULL, true, "must be an object of models");
            reading->report->refused++;
            continue;
        }
        json_object_foreach(models, model_id, object)
        {
            take_entry(reading, task_type, model_id, object);
        }
    }
}

/* One pair may stand there once: the sums of one source would hide each other. */
static bool is_second(const struct reading *reading, size_t at)
{
    return at > 0 && tn_streq(reading->entries[at].task_type, reading->entries[at - 1].task_type) &&
           tn_streq(reading->entries[at].model_id, reading->entries[at - 1].model_id);
}

static int by_pair(const void *a, const void *b)
{
    const struct outcome_entry *x = a, *y = b;
    int way = strcmp(x->task_type, y->task_type);
    return way ? way : strcmp(x->model_id, y->model_id);
}

static enum tn_code read_items(struct reading *reading, const json_t *items, struct tn_error *err)
{
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        const char *task_type = json_string_value(json_object_get(item, "task_type"));
        const char *model_id = json_string_value(json_object_get(item, "model_id"));
        if (!task_type || !model_id) {
            note(reading, task_type ? task_type : "", model_id, NULL, true,
                 "needs task_type and model_id, both text");
            reading->report->refused++;
        } else {
            take_entry(reading, task_type, model_id, item);
        }
    }
    if (reading->count > 1)
        qsort(reading->entries, reading->count, sizeof *reading->entries, by_pair);
    for (size_t i = 1; i < reading->count; i++)
        if (is_second(reading, i))
            return tn_fail(err, TN_EREQUEST, "%.200s of %.200s stands there twice", reading->entries[i].model_id,
                           reading->entries[i].task_type);
    return TN_OK;
}

enum tn_code outcome_import_read(const json_t *document, const char *source, struct tn_arena *arena,
                                 struct outcome_entry **ret, size_t *ret_count, struct outcome_imported *report,
                                 struct tn_error *err)
{
    struct reading reading = {.source = source, .arena = arena, .report = report};
    enum tn_code code = TN_OK;
    report->problems = report->problems ? report->problems : json_array();
    const json_t *format = json_object_get(document, "format");
    if (!json_is_object(document))
        code = tn_fail(err, TN_EREQUEST, "the document must be an object of task types, or an export");
    else if (!json_is_string(format))
        read_nested(&reading, document);
    else if (!tn_streq(json_string_value(format), "tarn-outcomes-1") ||
             !json_is_array(json_object_get(document, "items")))
        code =
            tn_fail(err, TN_EUNSUPPORTED, "the document's format \"%.60s\" is not known: tarn-outcomes-1 with items",
                    json_string_value(format));
    else
        code = read_items(&reading, json_object_get(document, "items"), err);
    if (code == TN_OK && reading.count > OUTCOME_BATCH_MAX)
        code = tn_fail(err, TN_ETOOLARGE, "%zu entries at once; at most %d", reading.count, OUTCOME_BATCH_MAX);
    if (code == TN_OK) {
        *ret = TN_ARENA_ARRAY(arena, struct outcome_entry, reading.count + 1);
        if (reading.count > 0)
            memcpy(*ret, reading.entries, reading.count * sizeof *reading.entries);
        *ret_count = reading.count;
    }
    free(reading.entries);
    return code;
}

void outcome_imported_release(struct outcome_imported *imported)
{
    json_decref(imported->problems);
    imported->problems = NULL;
}

enum tn_code outcome_import_json(struct outcome_store *store, const json_t *document, const char *source,
                                 struct outcome_imported *ret, struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    TN_CLEANUP(outcome_imported_release) struct outcome_imported report = {0};
    struct outcome_entry *entries;
    size_t count;
    struct outcome_recorded recorded = {0};
    const struct outcome_entry probe = {.import = true, .task_type = "x", .model_id = "x", .source = source};
    TN_TRY(outcome_entry_check(&probe, err));
    TN_TRY(outcome_import_read(document, source, arena, &entries, &count, &report, err));
    if (count > 0)
        TN_TRY(outcome_submit(store, entries, count, &recorded, err));
    report.taken = recorded.recorded;
    report.unchanged = recorded.duplicates;
    *ret = report;
    report.problems = NULL;
    return TN_OK;
}

/* ---- the old file ------------------------------------------------------------------ */

static enum tn_code import_file(struct outcome_store *store, const char *path, struct outcome_imported *ret,
                                struct tn_error *err)
{
    TN_AUTO_BUF text = {0};
    TN_AUTO_JSON *document = NULL;
    TN_TRY(tn_file_read(path, FILE_MAX, &text, err));
    TN_TRY(tn_json_parse(text.data ? text.data : "", text.len, FILE_MAX, OLD_FILE, &document, err));
    return outcome_import_json(store, document, OLD_FILE, ret, err);
}

static void log_problems(const struct outcome_imported *imported)
{
    for (size_t i = 0; i < TN_MIN(json_array_size(imported->problems), (size_t)LOGGED_MAX); i++) {
        const json_t *item = json_array_get(imported->problems, i);
        bool refused = json_is_true(json_object_get(item, "refused"));
        TN_LOG(refused ? TN_LOG_WARN : TN_LOG_INFO, "outcome.import_entry",
               TN_FS("task_type", json_string_value(json_object_get(item, "task_type"))),
               TN_FS("model_id", json_string_value(json_object_get(item, "model_id"))),
               TN_FS("field", json_string_value(json_object_get(item, "field"))),
               TN_FS("problem", json_string_value(json_object_get(item, "problem"))), TN_FB("refused", refused));
    }
}

void outcome_import_old_file(struct outcome_store *store)
{
    TN_AUTO_FREE char *path = tn_asprintf("%s/" OLD_FILE, store->folder);
    TN_AUTO_FREE char *kept = tn_asprintf("%s.imported", path);
    TN_CLEANUP(outcome_imported_release) struct outcome_imported imported = {0};
    struct tn_error error = {0};
    if (access(path, F_OK) != 0)
        return;
    if (import_file(store, path, &imported, &error) != TN_OK) {
        TN_LOG(TN_LOG_ERROR, "outcome.import_failed", TN_FS("file", path), TN_FS("error", error.detail));
        return;
    }
    log_problems(&imported);
    TN_FAULT("outcome.imported");
    /* A crash before this brings the same numbers again, which changes nothing. */
    if (rename(path, kept) != 0)
        TN_LOG(TN_LOG_WARN, "outcome.import_not_put_aside", TN_FS("file", path));
    TN_LOG(TN_LOG_INFO, "outcome.imported", TN_FI("taken", imported.taken), TN_FI("refused", imported.refused),
           TN_FS("kept_as", kept));
}
