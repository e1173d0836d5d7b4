/* The validator against tables that were damaged on purpose: manifests forged
 * entry by entry, lists row by row. */
#include "iceberg/manifest.h"
#include "iceberg/table_internal.h"
#include "iceberg/test_support.h"

#include <inttypes.h>

struct findings {
    int fatal;
    char rules[2000];
};

/* Forging leaves the true manifests behind; that is no finding here. */
static void collect(void *context, const struct iceberg_finding *finding)
{
    struct findings *findings = context;
    size_t used = strlen(findings->rules);
    findings->fatal += finding->fatal;
    if (strcmp(finding->rule, "orphan") == 0 || strstr(findings->rules, finding->rule))
        return;
    (void)snprintf(findings->rules + used, sizeof findings->rules - used, "%s ", finding->rule);
}

struct forge {
    struct fixture *f;
    const struct iceberg_metadata *metadata;
    void (*entry)(struct forge *forge, const struct manifest_row *row, struct manifest_entry *entry);
    void (*row)(struct forge *forge, struct manifest_row *row);
    struct tn_buf schema_json;
};

static const char *put_forged(struct forge *forge, const char *name, const struct tn_buf *bytes)
{
    struct tn_arena *arena = forge->f->arena;
    const char *key = tn_arena_printf(arena, "%s/metadata/%s", forge->f->table.prefix, name);
    assert_ok(store_put(forge->f->store, key, bytes->data, bytes->len, &test_err));
    return tn_arena_printf(arena, "%s/metadata/%s", forge->metadata->location, name);
}

static void forge_manifest(struct forge *forge, const struct manifest_row *from, size_t number,
                           struct manifest_row *ret)
{
    struct tn_arena *arena = forge->f->arena;
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *manifest = NULL;
    TN_CLEANUP(manifest_build_release) struct manifest_build build = {0};
    const struct iceberg_spec *spec = iceberg_metadata_spec(forge->metadata, 0);
    struct iceberg_table uncached = {forge->f->store, forge->f->table.prefix, NULL};
    assert_ok(table_open_manifest(&uncached, forge->metadata, from, &manifest, &test_err));
    assert_ok(manifest_build_open(&build, arena, (enum manifest_content)from->content, forge->metadata->schema,
                                  forge->schema_json.data, spec, NULL, &test_err));
    for (size_t i = 0; i < manifest->count; i++) {
        struct manifest_entry entry = manifest->entries[i];
        manifest_copy_file(arena, &manifest->entries[i].file, &entry.file);
        if (forge->entry)
            forge->entry(forge, from, &entry);
        assert_ok(manifest_build_add(&build, entry.status, &entry.file, &test_err));
    }
    assert_ok(manifest_build_finish(&build, &test_err));
    *ret = build.row;
    ret->path = put_forged(forge, tn_arena_printf(arena, "forged-%zu.avro", number), &build.writer.out);
    ret->length = (int64_t)build.writer.out.len;
    ret->sequence_number = from->sequence_number;
    ret->min_sequence_number = TN_MIN(build.row.min_sequence_number, from->min_sequence_number);
    ret->added_snapshot_id = from->added_snapshot_id;
    if (forge->row)
        forge->row(forge, ret);
}

static struct iceberg_metadata *edited(const struct iceberg_metadata *metadata, const char *from, const char *to)
{
    size_t length = 0;
    const char *json = iceberg_metadata_json(metadata, &length), *at = strstr(json, from);
    TN_AUTO_BUF text = {0};
    struct iceberg_metadata *parsed = NULL;
    if (!at)
        fail_msg("the metadata does not hold %s", from);
    tn_buf_append(&text, json, (size_t)(at - json));
    tn_buf_puts(&text, to);
    tn_buf_puts(&text, at + strlen(from));
    assert_ok(iceberg_metadata_parse(text.data, text.len, metadata->uri, &parsed, &test_err));
    return parsed;
}

static struct findings check(struct fixture *f, const struct iceberg_metadata *metadata)
{
    struct findings findings = {0};
    assert_ok(iceberg_check(&f->table, metadata, collect, &findings, &test_err));
    return findings;
}

/* What is found when the current snapshot's manifests are written anew with
 * some lies in them. */
static struct findings check_forged(struct fixture *f, const struct iceberg_metadata *metadata,
                                    void (*entry)(struct forge *, const struct manifest_row *,
                                                  struct manifest_entry *),
                                    void (*row)(struct forge *, struct manifest_row *))
{
    struct forge forge = {.f = f, .metadata = metadata, .entry = entry, .row = row};
    struct iceberg_table uncached = {f->store, f->table.prefix, NULL};
    TN_CLEANUP(manifest_object_unref_p) struct manifest_object *list = NULL;
    TN_AUTO_BUF bytes = {0};
    iceberg_schema_json(metadata->schema, &forge.schema_json);
    assert_ok(table_open_list(&uncached, metadata, metadata->current, &list, &test_err));
    struct manifest_row *rows = TN_ARENA_ARRAY(f->arena, struct manifest_row, list->count);
    for (size_t i = 0; i < list->count; i++)
        forge_manifest(&forge, &list->rows[i], i, &rows[i]);
    tn_buf_release(&forge.schema_json);
    assert_ok(manifest_list_encode(rows, list->count, metadata->current->id, metadata->current->parent_id,
                                   metadata->current->sequence_number, NULL, &bytes, &test_err));
    ICEBERG_AUTO_METADATA *forged =
        edited(metadata, metadata->current->manifest_list, put_forged(&forge, "forged-list.avro", &bytes));
    return check(f, forged);
}

static void assert_found(struct findings findings, const char *rule, bool fatal)
{
    if (!strstr(findings.rules, rule))
        fail_msg("no finding \"%s\", only: %s", rule, findings.rules);
    if ((findings.fatal > 0) != fatal)
        fail_msg("%d fatal findings for \"%s\": %s", findings.fatal, rule, findings.rules);
}

/* Two data files of ten rows, two rows of the first deleted. */
static struct iceberg_metadata *small_table(struct fixture *f)
{
    struct iceberg_metadata *metadata = test_append(f, test_append(f, test_create(f), 0, 10), 10, 10), *next = NULL;
    ICEBERG_AUTO_PLAN *plan = NULL;
    assert_ok(iceberg_plan_new(&f->table, metadata, NULL, NULL, 0, &plan, &test_err));
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&f->table, metadata);
    assert_ok(iceberg_tx_add_file(tx, test_delete_file(f, metadata, plan->files[0].file->path, 2), &test_err));
    assert_ok(iceberg_tx_commit(tx, &next, &test_err));
    iceberg_metadata_unref(metadata);
    return next;
}

static void a_faithful_copy_is_sound(void **state)
{
    ICEBERG_AUTO_METADATA *metadata = small_table(*state);
    assert_string_equal(check_forged(*state, metadata, NULL, NULL).rules, "");
}

/* --- Rows of the list --- */

static void longer(struct forge *forge, struct manifest_row *row)
{
    (void)forge;
    row->length++;
}

static void one_row_more(struct forge *forge, struct manifest_row *row)
{
    (void)forge;
    row->added_rows++;
}

static void younger(struct forge *forge, struct manifest_row *row)
{
    row->sequence_number = forge->metadata->current->sequence_number + 1;
}

static void too_high_a_minimum(struct forge *forge, struct manifest_row *row)
{
    (void)forge;
    row->min_sequence_number = row->sequence_number + 1;
}

static void of_no_spec(struct forge *forge, struct manifest_row *row)
{
    (void)forge;
    row->spec_id = 7;
}

static void lists_that_lie(void **state)
{
    ICEBERG_AUTO_METADATA *metadata = small_table(*state);
    assert_found(check_forged(*state, metadata, NULL, longer), "length", true);
    assert_found(check_forged(*state, metadata, NULL, one_row_more), "manifest-counts", true);
    assert_found(check_forged(*state, metadata, NULL, younger), "sequence-number", true);
    assert_found(check_forged(*state, metadata, NULL, too_high_a_minimum), "min-sequence-number", true);
    assert_found(check_forged(*state, metadata, NULL, of_no_spec), "manifest", true);
}

/* --- Entries --- */

static bool is_delete(const struct manifest_row *row)
{
    return row->content == MANIFEST_DELETES;
}

static void deletes_data(struct forge *forge, const struct manifest_row *row, struct manifest_entry *entry)
{
    (void)forge;
    if (is_delete(row))
        entry->file.content = ICEBERG_DATA;
}

static void deletes_too_much(struct forge *forge, const struct manifest_row *row, struct manifest_entry *entry)
{
    (void)forge;
    if (is_delete(row))
        entry->file.record_count = 11;
}

static void deletes_a_younger_file(struct forge *forge, const struct manifest_row *row, struct manifest_entry *entry)
{
    if (!is_delete(row))
        entry->file.sequence_number = forge->metadata->current->sequence_number;
    else
        entry->file.sequence_number = entry->file.file_sequence_number = 1;
    if (is_delete(row))
        entry->status = MANIFEST_EXISTING;
}

static void all_data_is_younger(struct forge *forge, struct manifest_row *row)
{
    (void)forge;
    row->sequence_number = forge->metadata->current->sequence_number;
}

static const char nobody[] = "file:///elsewhere.parquet";

/* Its rows still name the file that they named. */
static void deletes_another(struct forge *forge, const struct manifest_row *row, struct manifest_entry *entry)
{
    (void)forge;
    if (is_delete(row))
        entry->file.referenced_data_file = nobody;
}

static void deletes_nobody(struct forge *forge, const struct manifest_row *row, struct manifest_entry *entry)
{
    const struct iceberg_bytes path = {(const uint8_t *)nobody, strlen(nobody)};
    deletes_another(forge, row, entry);
    if (!is_delete(row))
        return;
    struct iceberg_stats *stats = TN_ARENA_ARRAY(forge->f->arena, struct iceberg_stats, entry->file.stats_count);
    for (size_t i = 0; i < entry->file.stats_count; i++) {
        stats[i] = entry->file.stats[i];
        if (stats[i].field_id == ICEBERG_DELETE_PATH_ID)
            stats[i].lower = stats[i].upper = path;
    }
    entry->file.stats = stats;
}

static void turned_bounds(struct forge *forge, const struct manifest_row *row, struct manifest_entry *entry)
{
    if (is_delete(row))
        return;
    struct iceberg_stats *stats = TN_ARENA_ARRAY(forge->f->arena, struct iceberg_stats, 1);
    stats[0] = entry->file.stats[0];
    stats[0].lower = entry->file.stats[0].upper;
    stats[0].upper = entry->file.stats[0].lower;
    entry->file.stats = stats;
}

static void more_nulls_than_values(struct forge *forge, const struct manifest_row *row, struct manifest_entry *entry)
{
    if (is_delete(row))
        return;
    struct iceberg_stats *stats = TN_ARENA_ARRAY(forge->f->arena, struct iceberg_stats, 1);
    stats[0] = entry->file.stats[0];
    stats[0].null_count = stats[0].value_count + 1;
    entry->file.stats = stats;
}

static void one_path(struct forge *forge, const struct manifest_row *row, struct manifest_entry *entry)
{
    if (!is_delete(row))
        entry->file.path = tn_arena_printf(forge->f->arena, "%s/data/one.parquet", forge->metadata->location);
}

static void entries_that_lie(void **state)
{
    ICEBERG_AUTO_METADATA *metadata = small_table(*state);
    assert_found(check_forged(*state, metadata, deletes_data, NULL), "manifest", true);
    assert_found(check_forged(*state, metadata, deletes_too_much, NULL), "delete-count", true); /* and the totals */
    assert_found(check_forged(*state, metadata, deletes_a_younger_file, all_data_is_younger), "delete-sequence",
                 false);
    assert_found(check_forged(*state, metadata, deletes_nobody, NULL), "dangling-delete", false);
    assert_found(check_forged(*state, metadata, deletes_another, NULL), "delete-target", true);
    assert_found(check_forged(*state, metadata, turned_bounds, NULL), "bound-order", true);
    assert_found(check_forged(*state, metadata, more_nulls_than_values, NULL), "stats-counts", true);
    assert_found(check_forged(*state, metadata, one_path, NULL), "path-twice", true);
}

/* --- Partitions --- */

static const uint8_t bucket_one[4] = {1, 0, 0, 0}, bucket_two[4] = {2, 0, 0, 0};
static const struct iceberg_bytes in_one = {bucket_one, 4}, in_two = {bucket_two, 4};

static void all_in_one(struct forge *forge, const struct manifest_row *row, struct manifest_entry *entry)
{
    (void)forge;
    (void)row;
    entry->file.partition = &in_one;
    entry->file.partition_count = 1;
}

static void deletes_elsewhere(struct forge *forge, const struct manifest_row *row, struct manifest_entry *entry)
{
    all_in_one(forge, row, entry);
    if (is_delete(row))
        entry->file.partition = &in_two;
}

static void summary_of_two(struct forge *forge, struct manifest_row *row)
{
    struct manifest_field_summary *summary = TN_ARENA_ARRAY(forge->f->arena, struct manifest_field_summary, 1);
    *summary = (struct manifest_field_summary){.contains_nan = -1, .lower = in_two, .upper = in_two};
    row->partitions = summary;
}

/* The table again with bucket[4](id), its manifests forged to fit: what lies
 * there is read with the plain spec, so the field is optional and absent. */
static void partitions_that_lie(void **state)
{
    ICEBERG_AUTO_METADATA *plain = small_table(*state);
    ICEBERG_AUTO_METADATA *metadata =
        edited(plain, "\"fields\":[]",
               "\"fields\":[{\"name\":\"b\",\"transform\":\"bucket[4]\",\"source-id\":1,\"field-id\":1000}]");
    struct findings findings = check_forged(*state, metadata, all_in_one, NULL);
    assert_int_equal(findings.fatal, 0); /* the older snapshots' lists have no summaries, which is untidy */
    assert_found(check_forged(*state, metadata, deletes_elsewhere, NULL), "delete-partition", true);
    assert_found(check_forged(*state, metadata, all_in_one, summary_of_two), "partition-summaries", true);
}

/* --- Metadata --- */

static void keys_that_may_be_null(void **state)
{
    ICEBERG_AUTO_METADATA *plain = small_table(*state);
    ICEBERG_AUTO_METADATA *keyed = edited(plain, "\"schema-id\":0,", "\"schema-id\":0,\"identifier-field-ids\":[1],");
    assert_found(check(*state, keyed), "identifier-field", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(a_faithful_copy_is_sound), TABLE_TEST(lists_that_lie),        TABLE_TEST(entries_that_lie),
        TABLE_TEST(partitions_that_lie),      TABLE_TEST(keys_that_may_be_null),
    };
    return cmocka_run_group_tests_name("iceberg/check", tests, NULL, NULL);
}
