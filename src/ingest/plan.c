/* The decision: names and types of the columns, from what the whole file says,
 * what the user said, and what an existing dataset has.
 */
#include "ingest/ingest_internal.h"

#include "ingest/names.h"

#include <stdio.h>
#include <string.h>

void ingest_warn(struct ingest *ingest, const char *format, ...)
{
    va_list args;
    TN_AUTO_BUF text = {0};
    va_start(args, format);
    tn_buf_vprintf(&text, format, args);
    va_end(args);
    if (ingest->plan.warnings.len > (64U << 10))
        return;
    if (ingest->plan.warnings.len)
        tn_buf_putc(&ingest->plan.warnings, ',');
    struct tn_json json = tn_json_writer(&ingest->plan.warnings);
    tn_json_strn(&json, text.data, text.len);
}

/* ---- names ----------------------------------------------------------------- */

static const char *header_name(struct ingest *ingest, const struct cell *cell)
{
    const struct csv_dialect *dialect = &ingest->survey.dialect;
    if (cell->length == 0)
        return "";
    char *name = tn_arena_alloc(ingest->arena, (size_t)cell->length + 1);
    size_t length = cell->length;
    if (cell->escaped)
        length = csv_unescape(cell, dialect->quote, dialect->escape, name);
    else
        memcpy(name, cell->text, length);
    length = strnlen(name, length);
    while (length && (unsigned char)name[length - 1] <= ' ')
        length--;
    name[length] = '\0';
    while (*name && (unsigned char)*name <= ' ')
        name++;
    return name;
}

static const char **csv_originals(struct ingest *ingest, size_t count)
{
    const struct survey *survey = &ingest->survey;
    const char **originals = TN_ARENA_ARRAY(ingest->arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++)
        originals[i] = "";
    if (!survey->dialect.has_header)
        return originals;
    struct cell *cells = tn_calloc(count, sizeof *cells);
    struct csv_reader reader;
    size_t at = (size_t)survey->dialect.header;
    csv_reader_init(&reader, &survey->dialect, count, cells, count, survey->head + at, survey->head_length - at);
    if (csv_reader_next(&reader))
        for (size_t i = 0; i < count; i++)
            originals[i] = header_name(ingest, &cells[i]);
    free(cells);
    return originals;
}

static const char **find_originals(struct ingest *ingest, size_t count)
{
    if (ingest->survey.format == INGEST_CSV)
        return csv_originals(ingest, count);
    const char **originals = TN_ARENA_ARRAY(ingest->arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++)
        originals[i] = json_paths_text(ingest->survey.paths, i);
    return originals;
}

static bool column_is_empty(const struct profile *profile, size_t number)
{
    if (number >= profile->column_count)
        return true;
    for (unsigned class = 0; class < CLASS_COUNT; class ++)
        if (class != CLASS_EMPTY && profile->columns[number].count[class])
            return false;
    return true;
}

/* Trailing delimiters make columns without name and value: they are none. */
static size_t without_trailing(const struct ingest *ingest, const char *const *originals, size_t count)
{
    if (ingest->survey.format != INGEST_CSV)
        return count;
    while (count > 1 && originals[count - 1][0] == '\0' && column_is_empty(&ingest->survey.profile, count - 1))
        count--;
    return count;
}

/* ---- types ----------------------------------------------------------------- */

static void warn_about(struct ingest *ingest, const struct load_column *column, const struct infer_result *found)
{
    const char *name = column->original[0] ? column->original : column->name;
    switch (found->doubt) {
    case INFER_SURE:
        break;
    case INFER_MIXED:
        ingest_warn(ingest, "column \"%s\" is text: %llu of %llu values are %s, but line %llu has \"%s\"", name,
                    (unsigned long long)found->family_count, (unsigned long long)found->value_count, found->family,
                    (unsigned long long)(found->place ? survey_line(&ingest->survey, found->place) : 0),
                    found->place ? found->place->value : "");
        break;
    case INFER_DATE_ORDER:
        ingest_warn(ingest,
                    "column \"%s\" is text: each of its dates could begin with the day or with the month; "
                    "types=%s:date:%%d/%%m/%%Y or %s:date:%%m/%%d/%%Y says which",
                    name, column->name, column->name);
        break;
    case INFER_DATE_BOTH:
        ingest_warn(ingest, "column \"%s\" is text: its dates are not all written in one order", name);
        break;
    case INFER_SHORT_YEAR:
        ingest_warn(ingest,
                    "column \"%s\" is text: its years have two digits; a type with a format, such as "
                    "types=%s:date:%%d/%%m/%%y, says what they mean",
                    name, column->name);
        break;
    case INFER_BY_NAME:
        ingest_warn(ingest, "column \"%s\" is text because of its name; types= makes it a number", name);
        break;
    case INFER_DIGITS:
        ingest_warn(ingest, "column \"%s\" is text: as a double, line %llu (\"%s\") would lose digits", name,
                    (unsigned long long)(found->place ? survey_line(&ingest->survey, found->place) : 0),
                    found->place ? found->place->value : "");
        break;
    }
}

static bool is_moment(enum engine_kind kind)
{
    return kind == ENGINE_DATE || kind == ENGINE_TIMESTAMP || kind == ENGINE_TIMESTAMPTZ;
}

static enum typed_order order_of(const struct profile_column *column)
{
    if (column->marks & (MARK_ISO | MARK_YMD))
        return TYPED_YMD;
    return column->marks & MARK_DMY ? TYPED_DMY : column->marks & MARK_MDY ? TYPED_MDY : TYPED_YMD;
}

/* The type an existing column and the file agree on. When nothing in the file
 * could be that type, the file's own is taken, and the dataset says no. */
static struct typed_target agree(const struct ingest *ingest, const struct profile_column *column,
                                 const struct infer_result *found, struct typed_target has)
{
    uint64_t values, fitting = infer_fitting(column, &has, &values);
    bool all = fitting == values;
    if (values && (ingest->mode == DATASET_REPLACE ? !all : fitting == 0))
        return found->target;
    if (has.type.kind == ENGINE_VARCHAR && !has.list) {
        has.json = found->target.json || found->target.list;
        return has;
    }
    if (is_moment(has.type.kind)) {
        if (found->doubt == INFER_DATE_ORDER || found->doubt == INFER_DATE_BOTH || found->doubt == INFER_SHORT_YEAR)
            return found->target;
        has.order = order_of(column);
    }
    if (has.type.kind == ENGINE_INTEGER && found->target.type.kind == ENGINE_BIGINT && (column->marks & MARK_WIDE))
        return found->target;
    if (has.type.kind == ENGINE_DOUBLE && column->count[CLASS_DOUBLE])
        has.sql_type = "DOUBLE";
    return has;
}

static const struct dataset_column *find_existing(const struct dataset_column *columns, size_t count,
                                                  const char *name, const char *original)
{
    for (size_t i = 0; i < count; i++)
        if (*original && columns[i].original_name && tn_streq(columns[i].original_name, original))
            return &columns[i];
    for (size_t i = 0; i < count; i++)
        if (tn_str_equal_nocase(columns[i].name, name))
            return &columns[i];
    return NULL;
}

static const struct override *find_override(const struct ingest *ingest, const struct load_column *column)
{
    for (size_t i = 0; i < ingest->override_count; i++)
        if (tn_streq(ingest->overrides[i].name, column->original) ||
            tn_str_equal_nocase(ingest->overrides[i].name, column->name))
            return &ingest->overrides[i];
    return NULL;
}

static void decide_type(struct ingest *ingest, struct load_column *column, const struct dataset_column *has)
{
    static const struct profile_column nothing;
    const struct profile *profile = &ingest->survey.profile;
    const struct profile_column *seen =
        column->cell < profile->column_count ? &profile->columns[column->cell] : &nothing;
    const struct override *override = find_override(ingest, column);
    if (override) {
        column->target = override->target;
        column->overridden = true;
        return;
    }
    struct infer_result found;
    struct typed_target target;
    infer_column(seen, ingest->survey.format == INGEST_CSV ? column->original : NULL, &found);
    column->target = found.target;
    if (has && overrides_target(ingest->arena, has->sql_type, &target)) {
        column->target = agree(ingest, seen, &found, target);
        if (target.type.kind == ENGINE_VARCHAR)
            return;
    }
    if (column->target.type.kind == ENGINE_VARCHAR)
        warn_about(ingest, column, &found);
}

/* ---- the whole ------------------------------------------------------------- */

static enum tn_code check_overrides(const struct ingest *ingest, struct tn_error *err)
{
    const struct load_plan *plan = &ingest->plan;
    for (size_t i = 0; i < ingest->override_count; i++) {
        const char *wanted = ingest->overrides[i].name;
        bool found = false;
        for (size_t c = 0; c < plan->count; c++)
            found |=
                tn_streq(wanted, plan->columns[c].original) || tn_str_equal_nocase(wanted, plan->columns[c].name);
        if (found)
            continue;
        TN_AUTO_FREE const char **names = tn_calloc(plan->count + 1, sizeof *names);
        for (size_t c = 0; c < plan->count; c++)
            names[c] = plan->columns[c].name;
        tn_fail(err, TN_EREQUEST, "types: the file has no column \"%s\"", wanted);
        const char *near = tn_suggest(wanted, names, plan->count);
        if (near)
            tn_error_hint(err, "did you mean \"%s\"?", near);
        return TN_EREQUEST;
    }
    return TN_OK;
}

static void warn_about_shape(struct ingest *ingest)
{
    const struct survey *survey = &ingest->survey;
    const struct profile *profile = &survey->profile;
    const struct csv_dialect *dialect = &survey->dialect;
    if (survey->format == INGEST_CSV && dialect->title_lines)
        ingest_warn(ingest, "%u line%s above the header %s skipped", dialect->title_lines,
                    dialect->title_lines == 1 ? "" : "s", dialect->title_lines == 1 ? "was" : "were");
    if (survey->format == INGEST_CSV && !dialect->has_header && survey->wish.header < 0)
        ingest_warn(ingest, "no header found: columns are named column_1 and so on; header=yes takes the first "
                            "record as names");
    if (profile->short_rows)
        ingest_warn(ingest, "%llu row%s fewer cells than there are columns (first: line %llu); the missing are NULL",
                    (unsigned long long)profile->short_rows, profile->short_rows == 1 ? " has" : "s have",
                    (unsigned long long)survey_line(survey, profile->first_short));
    if (profile->literal)
        ingest_warn(ingest, "%llu field%s text behind a closing quote and %s kept as written",
                    (unsigned long long)profile->literal, profile->literal == 1 ? " has" : "s have",
                    profile->literal == 1 ? "is" : "are");
    if (profile->flawed)
        ingest_warn(ingest, "%llu record%s rejected (first: line %llu, %s)", (unsigned long long)profile->flawed,
                    profile->flawed == 1 ? " was" : "s were",
                    (unsigned long long)survey_line(survey, profile->first_flaw), profile->flaw_text);
}

static enum tn_code nothing_there(const struct ingest *ingest, struct tn_error *err)
{
    const struct profile *profile = &ingest->survey.profile;
    if (atomic_load(&ingest->bytes_in) == 0 || !ingest->survey.detected)
        tn_fail(err, TN_EUNREADABLE, "the file is empty");
    else if (profile->flawed)
        tn_fail(err, TN_EUNREADABLE, "line %llu: %s",
                (unsigned long long)survey_line(&ingest->survey, profile->first_flaw), profile->flaw_text);
    else
        tn_fail(err, TN_EUNREADABLE, "there are no records in the file");
    tn_error_hint(err, "a dataset needs at least one column: a CSV header, or a JSON object with a key");
    return TN_EUNREADABLE;
}

/* Two columns of the file must not land in one of the dataset's. */
static bool is_taken(const struct load_plan *plan, size_t before, const char *name)
{
    for (size_t i = 0; i < before; i++)
        if (tn_str_equal_nocase(plan->columns[i].name, name))
            return true;
    return false;
}

enum tn_code ingest_make_plan(struct ingest *ingest, struct tn_error *err)
{
    struct load_plan *plan = &ingest->plan;
    struct dataset_column *existing = NULL;
    size_t existing_count = 0;
    enum tn_code code =
        dataset_columns(ingest->lake, ingest->dataset, ingest->arena, &existing, &existing_count, NULL);
    plan->exists = code == TN_OK;
    if (ingest->format == INGEST_PARQUET)
        return ingest_plan_parquet(ingest, err);
    size_t count = ingest->survey.detected ? survey_columns(&ingest->survey) : 0;
    const char **originals = count ? find_originals(ingest, count) : NULL;
    if (count)
        count = without_trailing(ingest, originals, count);
    bool hollow = count == 1 && ingest->survey.format == INGEST_CSV && !originals[0][0] &&
                  column_is_empty(&ingest->survey.profile, 0);
    const struct profile *profile = &ingest->survey.profile;
    bool no_json = ingest->survey.format == INGEST_JSON && profile->rows == 0 && profile->flawed > 0;
    if (count == 0 || hollow || no_json)
        return nothing_there(ingest, err);
    const char **names = names_clean(ingest->arena, originals, count, ingest->survey.format == INGEST_JSON);
    plan->columns = TN_ARENA_ARRAY(ingest->arena, struct load_column, count);
    plan->count = count;
    warn_about_shape(ingest);
    for (size_t i = 0; i < count; i++) {
        struct load_column *column = &plan->columns[i];
        const struct dataset_column *has = find_existing(existing, existing_count, names[i], originals[i]);
        if (has && is_taken(plan, i, has->name))
            has = NULL;
        const char *name = has ? has->name : names[i];
        if (!has && plan->exists && is_taken(plan, i, name))
            name = tn_arena_printf(ingest->arena, "%s_%zu", name, i + 1);
        *column = (struct load_column){.cell = i, .name = name, .original = originals[i]};
        if (column->original[0] == '\0')
            column->original = column->name;
        decide_type(ingest, column, has);
    }
    atomic_store(&ingest->rows_total, ingest->survey.profile.rows);
    return check_overrides(ingest, err);
}
