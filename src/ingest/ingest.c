/* One ingest from its options to its commit. */
#include "ingest/ingest_internal.h"

#include <string.h>

/* Others may change the dataset's schema while we load: then the plan is made
 * again, this often. */
#define COMMIT_ATTEMPTS 4

/* ---- options ------------------------------------------------------------------ */

static enum tn_code bad_choice(const char *what, const char *value, const char *choices, struct tn_error *err)
{
    return tn_fail(err, TN_EREQUEST, "%s must be %s, not \"%.40s\"", what, choices, value);
}

static enum tn_code set_format(struct ingest *ingest, const char *word, struct tn_error *err)
{
    static const struct {
        const char *word;
        enum ingest_format format;
    } words[] = {{"auto", INGEST_AUTO},   {"csv", INGEST_CSV},    {"tsv", INGEST_CSV},        {"json", INGEST_JSON},
                 {"ndjson", INGEST_JSON}, {"jsonl", INGEST_JSON}, {"parquet", INGEST_PARQUET}};
    for (size_t i = 0; word && i < TN_COUNT(words); i++)
        if (tn_str_equal_nocase(words[i].word, word)) {
            ingest->format = words[i].format;
            if (tn_streq(words[i].word, "tsv"))
                ingest->wish.delimiter = '\t';
            return TN_OK;
        }
    return word ? bad_choice("format", word, "auto, csv, tsv, json, ndjson or parquet", err) : TN_OK;
}

static enum tn_code set_csv_wish(struct ingest *ingest, const struct ingest_options *options, struct tn_error *err)
{
    const char *delimiter = options->delimiter, *header = options->header;
    if (delimiter && !tn_streq(delimiter, "auto")) {
        if (tn_str_equal_nocase(delimiter, "tab") || tn_streq(delimiter, "\\t"))
            ingest->wish.delimiter = '\t';
        else if (strlen(delimiter) == 1 && !strchr("\"\r\n", delimiter[0]) && (unsigned char)delimiter[0] < 0x80)
            ingest->wish.delimiter = delimiter[0];
        else
            return bad_choice("delimiter", delimiter, "one ASCII character or \"tab\"", err);
    }
    ingest->wish.header = -1;
    if (!header || tn_str_equal_nocase(header, "auto"))
        return TN_OK;
    bool yes;
    if (!tn_parse_bool(header, &yes))
        return bad_choice("header", header, "auto, yes or no", err);
    ingest->wish.header = yes;
    return TN_OK;
}

static void hash_text(struct tn_hash *hash, const char *text)
{
    text = text && !tn_streq(text, "auto") ? text : "";
    tn_hash_update(hash, text, strlen(text) + 1);
}

/* What changes the rows that come out of the same bytes. */
static void hash_options(struct ingest *ingest, const struct ingest_options *options)
{
    struct tn_hash hash;
    tn_hash_init(&hash);
    hash_text(&hash, options->format);
    hash_text(&hash, options->types);
    hash_text(&hash, options->delimiter);
    hash_text(&hash, options->header);
    hash_text(&hash, options->encoding);
    tn_hash_final_hex(&hash, ingest->options_hash);
}

static const char *copy_text(struct ingest *ingest, const char *text)
{
    return text && *text ? tn_arena_strdup(ingest->arena, text) : NULL;
}

static enum tn_code take_options(struct ingest *ingest, const struct ingest_options *options, struct tn_error *err)
{
    TN_TRY(set_format(ingest, options->format, err));
    TN_TRY(set_csv_wish(ingest, options, err));
    if (options->encoding && !encoding_parse(options->encoding, &ingest->encoding))
        return bad_choice("encoding", options->encoding, "auto, utf-8, utf-16, latin-1 or windows-1252", err);
    if (options->types)
        TN_TRY(overrides_parse(ingest->arena, options->types, &ingest->overrides, &ingest->override_count, err));
    ingest->source = copy_text(ingest, options->source);
    ingest->dataset = copy_text(ingest, options->dataset);
    if (!ingest->dataset) {
        if (!ingest->source) {
            tn_fail(err, TN_EREQUEST, "the dataset has no name");
            tn_error_hint(err, "say dataset=NAME, or source=FILE to name it after the file");
            return TN_EREQUEST;
        }
        ingest->dataset = catalog_name_from(ingest->arena, ingest->source);
    }
    TN_TRY(catalog_check_name(ingest->dataset, err));
    if (!ingest->source)
        ingest->source = "upload";
    ingest->actor = copy_text(ingest, options->actor);
    ingest->reason = copy_text(ingest, options->reason);
    ingest->door = copy_text(ingest, options->door);
    ingest->workspace = copy_text(ingest, options->workspace);
    ingest->request_id = copy_text(ingest, options->request_id);
    ingest->key = copy_text(ingest, options->key);
    ingest->mode = options->mode;
    ingest->max_rejects = options->max_rejects;
    hash_options(ingest, options);
    return TN_OK;
}

enum tn_code ingest_new(struct lake *lake, const struct ingest_options *options, struct ingest **ret,
                        struct tn_error *err)
{
    TN_CLEANUP(ingest_free_p) struct ingest *ingest = tn_calloc(1, sizeof *ingest);
    ingest->lake = lake;
    ingest->arena = tn_arena_new();
    ingest->started_us = tn_now_us();
    tn_uuid7(ingest->id);
    tn_hash_init(&ingest->hash);
    spool_init(&ingest->spool, lake->store);
    atomic_store(&ingest->phase, "reading");
    TN_TRY(take_options(ingest, options, err));
    *ret = TN_TAKE(ingest);
    return TN_OK;
}

void ingest_free(struct ingest *ingest)
{
    if (!ingest)
        return;
    inflate_free(ingest->inflate);
    survey_release(&ingest->survey);
    spool_release(&ingest->spool);
    tn_buf_release(&ingest->head);
    tn_buf_release(&ingest->text_head);
    tn_buf_release(&ingest->converted);
    tn_buf_release(&ingest->plan.warnings);
    tn_arena_free(ingest->arena);
    free(ingest);
}

void ingest_cancel(struct ingest *ingest)
{
    atomic_store(&ingest->cancelled, true);
}

void ingest_progress(const struct ingest *ingest, struct ingest_progress *ret)
{
    *ret = (struct ingest_progress){
        .bytes_in = atomic_load_explicit(&ingest->bytes_in, memory_order_relaxed),
        .rows_loaded = atomic_load_explicit(&ingest->rows_loaded, memory_order_relaxed),
        .rows_total = atomic_load_explicit(&ingest->rows_total, memory_order_relaxed),
        .phase = atomic_load_explicit(&ingest->phase, memory_order_relaxed),
    };
}

const char *ingest_id(const struct ingest *ingest)
{
    return ingest->id;
}

/* ---- rejected rows ------------------------------------------------------------- */

/* A dataset's types are agreed: nothing may break them unless it was said how
 * much. A new dataset's types fit by construction; records that are no rows
 * at all (ragged lines) are set aside while they are the smaller half. */
static bool within_limit(const struct ingest *ingest, const struct rejects *rejects)
{
    uint64_t total = rejects->misfits + rejects->misshapen;
    if (ingest->max_rejects >= 0)
        return total <= (uint64_t)ingest->max_rejects;
    if (ingest->plan.exists)
        return total == 0;
    return rejects->misfits == 0 && rejects->misshapen <= ingest->survey.profile.rows;
}

static enum tn_code refuse_rejects(struct ingest *ingest, struct rejects *rejects, struct tn_error *err)
{
    uint64_t total = rejects->misfits + rejects->misshapen;
    TN_AUTO_BUF lines = {0};
    for (size_t i = 0; i < rejects->shown; i++)
        tn_buf_printf(&lines, "%s%s", i ? "; " : "", rejects->first[i]);
    TN_TRY(rejects_store(rejects, ingest->id, err));
    tn_fail(err, TN_EREJECTS, "%llu row%s %s rejected, nothing was written: %s%s", (unsigned long long)total,
            total == 1 ? "" : "s", total == 1 ? "was" : "were", lines.data ? lines.data : "",
            total > rejects->shown ? "; ..." : "");
    tn_error_hint(err,
                  "all of them: tarn rejects %s (GET /ingest/%s/rejects); max_rejects=%llu loads the rest without "
                  "them, types= changes how columns are read",
                  ingest->id, ingest->id, (unsigned long long)total);
    return TN_EREJECTS;
}

static enum tn_code settle_rejects(struct ingest *ingest, struct rejects *rejects, struct tn_error *err)
{
    if (rejects->misfits + rejects->misshapen == 0)
        return TN_OK;
    return within_limit(ingest, rejects) ? rejects_store(rejects, ingest->id, err)
                                         : refuse_rejects(ingest, rejects, err);
}

/* ---- loading and committing ------------------------------------------------------ */

struct outcome {
    struct dataset_commit commit;
    uint64_t rejected;
};

static struct dataset_column *plan_columns(const struct ingest *ingest)
{
    const struct load_plan *plan = &ingest->plan;
    struct dataset_column *columns = TN_ARENA_ARRAY(ingest->arena, struct dataset_column, plan->count + 1);
    for (size_t i = 0; i < plan->count; i++)
        columns[i] = (struct dataset_column){.name = plan->columns[i].name,
                                             .original_name = plan->columns[i].original,
                                             .sql_type = plan->columns[i].target.sql_type};
    return columns;
}

#define COLUMNS_SHOWN 20

static enum tn_code refuse_key(const struct ingest *ingest, const char *name, struct tn_error *err)
{
    const struct load_plan *plan = &ingest->plan;
    const char **names = TN_ARENA_ARRAY(ingest->arena, const char *, plan->count + 1);
    TN_AUTO_BUF list = {0};
    for (size_t i = 0; i < plan->count; i++) {
        names[i] = plan->columns[i].name;
        if (i < COLUMNS_SHOWN)
            tn_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    (void)tn_fail(err, TN_EREQUEST, "key: the file has no column \"%.80s\"", name);
    const char *near = tn_suggest(name, names, plan->count);
    if (near)
        tn_error_hint(err, "did you mean \"%s\"? Its columns: %s%s", near, list.data,
                      plan->count > COLUMNS_SHOWN ? ", ..." : "");
    else
        tn_error_hint(err, "its columns: %s%s", list.data ? list.data : "none",
                      plan->count > COLUMNS_SHOWN ? ", ..." : "");
    return TN_EREQUEST;
}

/* The key must name columns of the file; that it tells rows apart is held by
 * the commit. */
static enum tn_code check_key(const struct ingest *ingest, struct tn_error *err)
{
    const char *rest = ingest->key;
    while (rest && *rest) {
        size_t length = strcspn(rest, ",");
        char *name = tn_arena_strndup(ingest->arena, rest, length);
        bool found = false;
        for (size_t i = 0; i < ingest->plan.count; i++)
            found |= tn_str_equal_nocase(name, ingest->plan.columns[i].name) ||
                     tn_streq(name, ingest->plan.columns[i].original);
        if (!found)
            return refuse_key(ingest, name, err);
        rest += length + (rest[length] == ',');
    }
    return TN_OK;
}

static enum tn_code load_and_commit(struct ingest *ingest, struct rejects *rejects, struct outcome *ret,
                                    struct tn_error *err)
{
    TN_CLEANUP(dataset_write_free_p) struct dataset_write *write = NULL;
    TN_TRY(dataset_write_begin(ingest->lake, ingest->dataset, ingest->mode, plan_columns(ingest), ingest->plan.count,
                               &write, err));
    if (ingest->key)
        TN_TRY(dataset_write_set_key(write, ingest->key, err));
    atomic_store(&ingest->phase, "loading");
    atomic_store(&ingest->rows_loaded, 0);
    TN_TRY(ingest_load(ingest, write, rejects, err));
    TN_TRY(settle_rejects(ingest, rejects, err));
    TN_TRY(ingest_check_cancelled(ingest, err));
    atomic_store(&ingest->phase, "committing");
    ret->rejected = rejects->misfits + rejects->misshapen;
    const struct dataset_lineage lineage = {
        .ingest_id = ingest->id,
        .source = ingest->source,
        .content_hash = ingest->content_hash,
        .options_hash = ingest->options_hash,
        .actor = ingest->actor,
        .reason = ingest->reason,
        .workspace = ingest->workspace,
        .request_id = ingest->request_id,
        .door = ingest->door,
        .source_bytes = atomic_load(&ingest->bytes_in),
        .rejected_rows = ret->rejected,
        .started_us = ingest->started_us,
    };
    TN_FAULT("ingest.before_commit");
    return dataset_write_commit(write, &lineage, &ret->commit, err);
}

static enum tn_code attempt(struct ingest *ingest, struct outcome *ret, struct tn_error *err)
{
    TN_CLEANUP(rejects_release) struct rejects rejects;
    rejects_init(&rejects, ingest->lake->store);
    TN_TRY(ingest_make_plan(ingest, err));
    TN_TRY(check_key(ingest, err));
    return load_and_commit(ingest, &rejects, ret, err);
}

static enum tn_code commit_retrying(struct ingest *ingest, struct outcome *ret, struct tn_error *err)
{
    size_t warned = ingest->plan.warnings.len;
    for (int n = 1;; n++) {
        enum tn_code code = attempt(ingest, ret, err);
        if (code != TN_ECONFLICT || n == COMMIT_ATTEMPTS)
            return code;
        if (err)
            *err = (struct tn_error){0};
        ingest->plan.warnings.len = warned;
    }
}

static void put_outcome(const struct ingest *ingest, const char *status, uint64_t rows, uint64_t rejected,
                        int64_t snapshot_id, struct tn_json *out)
{
    tn_json_kstr(out, "dataset", ingest->dataset);
    tn_json_kstr(out, "status", status);
    tn_json_kstr(out, "ingest_id", ingest->id);
    tn_json_ki64(out, "rows", (int64_t)rows);
    tn_json_ki64(out, "rejected_rows", (int64_t)rejected);
    tn_json_ki64(out, "snapshot_id", snapshot_id);
    tn_json_kstr(out, "content_hash", ingest->content_hash);
    tn_json_ki64(out, "bytes", (int64_t)atomic_load(&ingest->bytes_in));
}

static enum tn_code answer_unchanged(struct ingest *ingest, const struct dataset_known *known, struct tn_json *out,
                                     struct tn_error *err)
{
    struct dataset_column *columns;
    size_t count;
    TN_TRY(dataset_columns(ingest->lake, ingest->dataset, ingest->arena, &columns, &count, err));
    ingest->plan.columns = TN_ARENA_ARRAY(ingest->arena, struct load_column, count + 1);
    ingest->plan.count = count;
    for (size_t i = 0; i < count; i++)
        ingest->plan.columns[i] = (struct load_column){
            .name = columns[i].name,
            .original = columns[i].original_name ? columns[i].original_name : columns[i].name,
            .target = {.sql_type = columns[i].sql_type},
        };
    if (known->ingest_id[0])
        memcpy(ingest->id, known->ingest_id, sizeof ingest->id);
    tn_json_open(out, '{');
    put_outcome(ingest, "unchanged", known->rows, known->rejected_rows, known->snapshot_id, out);
    ingest_answer_schema(ingest, out);
    ingest_answer_warnings(ingest, out);
    tn_json_close(out, '}');
    atomic_store(&ingest->phase, "done");
    return TN_OK;
}

enum tn_code ingest_finish(struct ingest *ingest, struct tn_json *out, struct tn_error *err)
{
    TN_TRY(ingest_end_input(ingest, err));
    struct dataset_known known;
    enum tn_code code = dataset_find_content(ingest->lake, ingest->dataset, ingest->mode, ingest->content_hash,
                                             ingest->options_hash, &known, err);
    if (code == TN_OK)
        return answer_unchanged(ingest, &known, out, err);
    if (code != TN_ENOTFOUND)
        return code;
    if (err)
        *err = (struct tn_error){0};
    struct outcome outcome = {0};
    TN_TRY(commit_retrying(ingest, &outcome, err));
    tn_json_open(out, '{');
    put_outcome(ingest, outcome.commit.unchanged ? "unchanged" : "ingested", outcome.commit.rows, outcome.rejected,
                outcome.commit.snapshot_id, out);
    if (ingest->mode == DATASET_UPSERT) {
        tn_json_ki64(out, "inserted", (int64_t)outcome.commit.counts.inserted);
        tn_json_ki64(out, "updated", (int64_t)outcome.commit.counts.updated);
        tn_json_ki64(out, "unchanged", (int64_t)outcome.commit.counts.unchanged);
    }
    ingest_answer_format(ingest, out);
    ingest_answer_schema(ingest, out);
    ingest_answer_warnings(ingest, out);
    tn_json_close(out, '}');
    atomic_store(&ingest->phase, "done");
    return TN_OK;
}

/* What the dataset would say of these columns, without writing. */
static enum tn_code put_differences(struct ingest *ingest, struct tn_json *out, struct tn_error *err)
{
    TN_CLEANUP(dataset_write_free_p) struct dataset_write *write = NULL;
    struct tn_error refusal = {0};
    enum tn_code code = dataset_write_begin(ingest->lake, ingest->dataset, ingest->mode, plan_columns(ingest),
                                            ingest->plan.count, &write, &refusal);
    if (code != TN_OK && code != TN_ESCHEMA) {
        if (err)
            *err = refusal;
        return code;
    }
    tn_json_key(out, "differences");
    if (code == TN_ESCHEMA)
        tn_json_str(out, refusal.detail);
    else
        tn_json_null(out);
    return TN_OK;
}

enum tn_code ingest_preview(struct ingest *ingest, struct tn_json *out, struct tn_error *err)
{
    TN_TRY(ingest_end_input(ingest, err));
    TN_TRY(ingest_make_plan(ingest, err));
    TN_TRY(check_key(ingest, err));
    tn_json_open(out, '{');
    tn_json_kstr(out, "dataset", ingest->dataset);
    tn_json_kbool(out, "exists", ingest->plan.exists);
    ingest_answer_format(ingest, out);
    ingest_answer_schema(ingest, out);
    TN_TRY(ingest_answer_rows(ingest, out, err));
    if (ingest->format != INGEST_PARQUET)
        tn_json_ki64(out, "row_count", (int64_t)ingest->survey.profile.rows);
    ingest_answer_warnings(ingest, out);
    TN_TRY(put_differences(ingest, out, err));
    tn_json_close(out, '}');
    return TN_OK;
}
