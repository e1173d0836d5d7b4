/* The common commit: one snapshot more on main, and nothing else.
 *
 * The new version's JSON is the base's with six short texts put in, so it is
 * made by copying ranges. What is copied needs no parsing and no formatting,
 * and the list of ranges and texts is the patch that the pointer keeps, which
 * is how a version is made durable without an fsync of the whole file
 * (docs/decisions/0041-metadata-growth.md).
 *
 * The ranges are found by looking for the exact text that metadata_draft.c
 * would have written. A base of another form (a foreign writer's) is not found
 * and takes the general way; so does every other sort of change. Both ways
 * give the same bytes, which a test compares over random histories.
 */
#include "base/hash.h"
#include "base/str.h"
#include "iceberg/metadata_internal.h"

#include <string.h>

/* Where things stand in the base's JSON. */
struct next_places {
    size_t counters, counters_end; /* "last-sequence-number" and "last-updated-ms", with their commas */
    size_t refs, snapshots;        /* from "current-snapshot-id" to the first snapshot */
    size_t snapshots_end, log_end; /* behind the last element of each */
    size_t files, files_end;       /* the first metadata-log entry; behind the last one */
};

struct next_build {
    const struct metadata *base;
    struct metadata *next;
    struct next_places at;
    struct tn_buf refs; /* the new version's, from "current-snapshot-id" on */
};

static void next_build_release(struct next_build *build)
{
    tn_buf_release(&build->refs);
    if (build->next)
        iceberg_metadata_unref(&build->next->shown);
}

/* --- The texts that move --- */

static void next_key_int(struct tn_json *json, const char *key, int64_t value)
{
    tn_json_key(json, key);
    tn_json_int(json, value);
}

static void next_write_counters(const struct iceberg_metadata *shown, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    next_key_int(&json, "last-sequence-number", shown->last_sequence_number);
    next_key_int(&json, "last-updated-ms", shown->last_updated_ms);
    tn_buf_putc(out, ',');
}

static void next_write_refs(const struct iceberg_metadata *shown, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    next_key_int(&json, "current-snapshot-id", shown->current->id);
    tn_json_key(&json, "refs");
    tn_json_open(&json, '{');
    for (size_t i = 0; i < shown->ref_count; i++) {
        tn_json_key(&json, shown->refs[i].name);
        tn_json_raw(&json, shown->refs[i].json, shown->refs[i].json_length);
    }
    tn_json_close(&json, '}');
    tn_buf_puts(out, ",\"snapshots\":[");
}

static void next_write_file(const struct iceberg_log_entry *entry, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    next_key_int(&json, "timestamp-ms", entry->timestamp_ms);
    tn_json_kstr(&json, "metadata-file", entry->file);
    tn_json_close(&json, '}');
}

static void next_write_tail(const struct metadata *base, struct tn_buf *out)
{
    tn_buf_putc(out, ']');
    for (size_t i = 0; i < base->other_count; i++) {
        tn_buf_putc(out, ',');
        tn_json_quote(out, base->others[i].key, strlen(base->others[i].key));
        tn_buf_putc(out, ':');
        tn_buf_append(out, base->others[i].json, base->others[i].length);
    }
    tn_buf_putc(out, '}');
}

/* --- Finding them in the base --- */

static bool next_find(const struct tn_buf *json, size_t from, const char *text, size_t length, size_t *ret)
{
    const char *found = memmem(json->data + from, json->len - from, text, length);
    if (found)
        *ret = (size_t)(found - json->data);
    return found != NULL;
}

static bool next_is_at(const struct tn_buf *json, size_t at, const char *text)
{
    size_t length = strlen(text);
    return at + length <= json->len && memcmp(json->data + at, text, length) == 0;
}

/* The names searched for have quotation marks, so they cannot stand inside of
 * a text; each range found is checked against what must follow it. */
static bool next_find_head(const struct metadata *base, struct next_places *ret)
{
    static const char log[] = "],\"snapshot-log\":[";
    TN_AUTO_BUF counters = {0};
    TN_AUTO_BUF refs = {0};
    next_write_counters(&base->shown, &counters);
    next_write_refs(&base->shown, &refs);
    if (!next_find(&base->json, 0, counters.data, counters.len, &ret->counters))
        return false;
    ret->counters_end = ret->counters + counters.len;
    if (!next_find(&base->json, ret->counters_end, refs.data, refs.len, &ret->refs))
        return false;
    ret->snapshots = ret->refs + refs.len;
    size_t length = base->snapshots_length;
    if (length == 0) {
        length = base->shown.snapshot_count - 1; /* commas */
        for (size_t i = 0; i < base->shown.snapshot_count; i++)
            length += base->shown.snapshots[i]->json_length;
    }
    ret->snapshots_end = ret->snapshots + length;
    return next_is_at(&base->json, ret->snapshots_end, log);
}

static bool next_find_logs(const struct metadata *base, struct next_places *ret)
{
    static const char files[] = "],\"metadata-log\":[";
    TN_AUTO_BUF tail = {0};
    /* Entries of the snapshot log are numbers: the first bracket ends it. */
    if (!next_find(&base->json, ret->snapshots_end + 1, files, sizeof files - 1, &ret->log_end))
        return false;
    ret->files = ret->log_end + sizeof files - 1;
    next_write_tail(base, &tail);
    if (tail.len > base->json.len || base->json.len - tail.len < ret->files)
        return false;
    ret->files_end = base->json.len - tail.len;
    return memcmp(base->json.data + ret->files_end, tail.data, tail.len) == 0;
}

/* The first `count` entries of the metadata log go: their text's length. */
static bool next_measure_dropped(const struct next_build *build, size_t count, size_t *ret)
{
    const struct iceberg_metadata *shown = &build->base->shown;
    TN_AUTO_BUF text = {0};
    for (size_t i = 0; i < count; i++) {
        next_write_file(&shown->metadata_log[i], &text);
        if (i + 1 < shown->metadata_log_count)
            tn_buf_putc(&text, ',');
    }
    *ret = text.len;
    return count == 0 || (build->at.files + text.len <= build->at.files_end &&
                          memcmp(build->base->json.data + build->at.files, text.data, text.len) == 0);
}

/* --- The parts of the new version --- */

static void next_copy(struct next_build *build, size_t from, size_t to)
{
    struct metadata *next = build->next;
    if (to == from)
        return;
    tn_buf_append(&next->json, build->base->json.data + from, to - from);
    next->patch[next->patch_count++] = (struct metadata_part){.offset = from, .length = to - from};
}

/* What was appended to the JSON since `start` is a text of the patch. */
static void next_note_text(struct next_build *build, size_t start)
{
    struct metadata *next = build->next;
    size_t length = next->json.len - start;
    next->patch_bytes += length;
    next->patch[next->patch_count++] = (struct metadata_part){
        .text = tn_arena_strndup(next->arena, next->json.data + start, length), .length = length};
}

/* The list of snapshots begins at `list`, `old` bytes of it are the base's. They
 * are nearly all of the document, and their checksum is known from the base. */
static void next_sum(struct next_build *build, size_t list, size_t old)
{
    struct metadata *next = build->next;
    const struct metadata *base = build->base;
    const char *json = next->json.data;
    bool known = base->snapshots_length == old;
    uint32_t sum = known ? base->snapshots_crc32c : tn_crc32c(0, json + list, old);
    size_t length = old + 1 + next->shown.current->json_length;
    next->snapshots_crc32c = tn_crc32c(sum, json + list + old, length - old);
    next->snapshots_length = length;
    sum = tn_crc32c_join(tn_crc32c(0, json, list), next->snapshots_crc32c, length);
    next->crc32c = tn_crc32c(sum, json + list + length, next->json.len - list - length);
}

static void next_write_json(struct next_build *build, const struct iceberg_snapshot *snapshot, size_t dropped)
{
    const struct next_places *at = &build->at;
    const struct iceberg_metadata *shown = &build->next->shown;
    struct tn_buf *out = &build->next->json;
    metadata_take_room(out, build->base->json.len + snapshot->json_length + 4096);
    next_copy(build, 0, at->counters);
    size_t start = out->len;
    next_write_counters(shown, out);
    next_note_text(build, start);
    next_copy(build, at->counters_end, at->refs);
    start = out->len;
    tn_buf_append(out, build->refs.data, build->refs.len);
    next_note_text(build, start);
    size_t list = out->len;
    next_copy(build, at->snapshots, at->snapshots_end);
    start = out->len;
    tn_buf_putc(out, ',');
    tn_buf_append(out, snapshot->json, snapshot->json_length);
    next_note_text(build, start);
    next_copy(build, at->snapshots_end, at->log_end);
    start = out->len;
    if (shown->snapshot_log_count > 1)
        tn_buf_putc(out, ',');
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    next_key_int(&json, "timestamp-ms", snapshot->timestamp_ms);
    next_key_int(&json, "snapshot-id", snapshot->id);
    tn_json_close(&json, '}');
    next_note_text(build, start);
    next_copy(build, at->log_end, at->files);
    next_copy(build, at->files + dropped, at->files_end);
    start = out->len;
    if (shown->metadata_log_count > 1)
        tn_buf_putc(out, ',');
    next_write_file(&shown->metadata_log[shown->metadata_log_count - 1], out);
    next_note_text(build, start);
    next_copy(build, at->files_end, build->base->json.len);
    next_sum(build, list, at->snapshots_end - at->snapshots);
}

/* A version that shows all that the base shows. What lives in the base's arena
 * is kept alive by a reference to the version that first had it, never to a
 * chain of versions. */
static struct metadata *next_share(const struct metadata *base)
{
    struct metadata *next = tn_calloc(1, sizeof *next);
    size_t schemas = base->shown.schema_count, snapshots = base->shown.snapshot_count;
    next->shown = base->shown;
    atomic_init(&next->refs, 1);
    next->arena = tn_arena_new();
    next->origin = iceberg_metadata_ref(base->origin ? base->origin : &base->shown);
    next->last_partition_id = base->last_partition_id;
    next->specs = base->specs;
    next->orders = base->orders;
    next->others = base->others;
    next->other_count = base->other_count;
    next->schemas = tn_calloc(schemas + 1, sizeof(*next->schemas));
    for (size_t i = 0; i < schemas; i++) {
        next->schemas[i] = base->schemas[i];
        (void)atomic_fetch_add_explicit(&base->schemas[i]->refs, 1, memory_order_relaxed);
    }
    next->snapshots = tn_calloc(snapshots + 1, sizeof(*next->snapshots));
    metadata_share_snapshots(base, next);
    next->patch = TN_ARENA_ARRAY(next->arena, struct metadata_part, METADATA_PATCH_PARTS);
    return next;
}

static void next_push_snapshot(struct metadata *next, const struct metadata *base, struct metadata_snapshot *snapshot)
{
    struct iceberg_metadata *shown = &next->shown;
    size_t count = base->shown.snapshot_count, logged = base->shown.snapshot_log_count;
    const struct iceberg_snapshot **list = TN_ARENA_ARRAY(next->arena, const struct iceberg_snapshot *, count + 1);
    struct iceberg_log_entry *log = TN_ARENA_ARRAY(next->arena, struct iceberg_log_entry, logged + 1);
    memcpy(list, base->shown.snapshots, count * sizeof(*list));
    if (logged)
        memcpy(log, base->shown.snapshot_log, logged * sizeof *log);
    next->snapshots[count] = snapshot;
    list[count] = &snapshot->shown;
    log[logged] =
        (struct iceberg_log_entry){.timestamp_ms = snapshot->shown.timestamp_ms, .snapshot_id = snapshot->shown.id};
    shown->snapshots = list;
    shown->snapshot_count = count + 1;
    shown->current = &snapshot->shown;
    shown->snapshot_log = log;
    shown->snapshot_log_count = logged + 1;
    shown->last_sequence_number = TN_MAX(shown->last_sequence_number, snapshot->shown.sequence_number);
}

/* main's object, as short as Tarn writes it, pointed to another snapshot. One
 * that says more than that takes the general way. */
static bool next_point_main(struct metadata *next, int64_t from, int64_t to)
{
    static const char form[] = "{\"snapshot-id\":%lld,\"type\":\"branch\"}";
    struct iceberg_metadata *shown = &next->shown;
    char text[96];
    struct iceberg_ref *refs = TN_ARENA_ARRAY(next->arena, struct iceberg_ref, shown->ref_count);
    bool found = false;
    for (size_t i = 0; i < shown->ref_count; i++) {
        refs[i] = shown->refs[i];
        if (!tn_streq(refs[i].name, "main"))
            continue;
        int length = snprintf(text, sizeof text, form, (long long)from);
        found = refs[i].json_length == (size_t)length && memcmp(refs[i].json, text, (size_t)length) == 0;
        refs[i].snapshot_id = to;
        refs[i].json = tn_arena_printf(next->arena, form, (long long)to);
        refs[i].json_length = strlen(refs[i].json);
    }
    shown->refs = refs;
    return found;
}

/* The base joins its own log; *ret_dropped entries at the front go. */
static void next_extend_files(struct metadata *next, const struct iceberg_metadata *base, size_t *ret_dropped)
{
    struct iceberg_metadata *shown = &next->shown;
    size_t limit = metadata_log_limit(iceberg_metadata_property(base, METADATA_LOG_PROPERTY));
    size_t total = base->metadata_log_count + 1, count = TN_MIN(total, limit), skip = total - count;
    struct iceberg_log_entry *log = TN_ARENA_ARRAY(next->arena, struct iceberg_log_entry, count);
    for (size_t i = 0; i < count; i++) {
        bool last = skip + i == base->metadata_log_count;
        log[i] = last ? (struct iceberg_log_entry){.timestamp_ms = base->last_updated_ms, .file = base->uri}
                      : base->metadata_log[skip + i];
        log[i].file = tn_arena_strdup(next->arena, log[i].file);
    }
    shown->metadata_log = log;
    shown->metadata_log_count = count;
    *ret_dropped = TN_MIN(skip, base->metadata_log_count);
}

size_t metadata_log_limit(const char *property)
{
    int64_t limit = METADATA_DEFAULT_LOG;
    if (property && (!tn_parse_i64(property, &limit) || limit < 1))
        limit = METADATA_DEFAULT_LOG;
    return (size_t)limit;
}

static enum tn_code next_parse_snapshot(const char *json, size_t length, struct metadata_snapshot **ret,
                                        struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *scratch = tn_arena_new();
    const struct doc_node *node = NULL;
    enum tn_code code = TN_OK;
    TN_TRY(doc_parse(scratch, json, length, "the new snapshot", &node, err));
    *ret = metadata_snapshot_new(node, "the new snapshot", &code, err);
    return code;
}

enum tn_code metadata_next(const struct iceberg_metadata *base, const char *json, size_t length, int64_t version,
                           const char *key, const char *uri, int64_t timestamp_ms, struct iceberg_metadata **ret,
                           struct tn_error *err)
{
    TN_CLEANUP(next_build_release) struct next_build build = {.base = metadata_of(base)};
    struct metadata_snapshot *snapshot = NULL;
    size_t dropped = 0, dropped_bytes = 0;
    *ret = NULL;
    if (!base->current || !base->uri || !next_find_head(build.base, &build.at) ||
        !next_find_logs(build.base, &build.at))
        return TN_OK;
    TN_TRY(next_parse_snapshot(json, length, &snapshot, err));
    struct metadata *next = build.next = next_share(build.base);
    next_push_snapshot(next, build.base, snapshot);
    next->shown.version = version;
    next->shown.key = tn_arena_strdup(next->arena, key);
    next->shown.uri = tn_arena_strdup(next->arena, uri);
    next->shown.last_updated_ms = TN_MAX(base->last_updated_ms, timestamp_ms);
    next_extend_files(next, base, &dropped);
    if (!next_point_main(next, base->current->id, snapshot->shown.id) ||
        !next_measure_dropped(&build, dropped, &dropped_bytes))
        return TN_OK;
    next_write_refs(&next->shown, &build.refs);
    next_write_json(&build, &snapshot->shown, dropped_bytes);
    if (next->json.len > ICEBERG_METADATA_MAX_BYTES)
        return tn_fail(err, TN_ETOOLARGE, "table metadata grew to %zu MB; expire old snapshots",
                       next->json.len >> 20);
    build.next = NULL;
    *ret = &next->shown;
    return TN_OK;
}
