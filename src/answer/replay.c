/* The same question again, and what is different. */
#include "answer/answer_internal.h"
#include "answer/words.h"

struct comparison {
    const struct answer_record *then, *now;
    struct tn_arena *arena;
    const char *changed[16];
    size_t changed_count;
};

static void differs(struct comparison *comparison, const char *what)
{
    comparison->changed[comparison->changed_count++] = what;
}

static bool same_text(const char *a, const char *b)
{
    return tn_streq(a ? a : "", b ? b : "");
}

/* ---- chunks ------------------------------------------------------------------------ */

static const struct answer_chunk *find_chunk(const struct answer_record *record, const struct answer_chunk *like)
{
    for (size_t i = 0; i < record->chunk_count; i++) {
        const struct answer_chunk *chunk = &record->chunks[i];
        if (chunk->chunk_no == like->chunk_no && same_text(chunk->doc_id, like->doc_id) &&
            same_text(chunk->column, like->column))
            return chunk;
    }
    return NULL;
}

/* The chunks of `a` that `b` has not, or has with another text. */
static size_t put_chunks(const struct answer_record *a, const struct answer_record *b, bool missing,
                         struct tn_json *out)
{
    size_t count = 0;
    tn_json_open(out, '[');
    for (size_t i = 0; i < a->chunk_count; i++) {
        const struct answer_chunk *other = find_chunk(b, &a->chunks[i]);
        if (missing ? other != NULL : !other || tn_streq(other->hash, a->chunks[i].hash))
            continue;
        tn_json_open(out, '{');
        tn_json_kstr(out, "doc_id", a->chunks[i].doc_id);
        tn_json_ki64(out, "chunk_no", a->chunks[i].chunk_no);
        tn_json_ki64(out, "source", a->chunks[i].source);
        tn_json_close(out, '}');
        count++;
    }
    tn_json_close(out, ']');
    return count;
}

static void compare_chunks(struct comparison *comparison, struct tn_json *out)
{
    const struct answer_record *then = comparison->then, *now = comparison->now;
    size_t moved = 0;
    tn_json_key(out, "chunks");
    tn_json_open(out, '{');
    tn_json_key(out, "came");
    size_t different = put_chunks(now, then, true, out);
    tn_json_key(out, "left");
    different += put_chunks(then, now, true, out);
    tn_json_key(out, "changed");
    different += put_chunks(now, then, false, out);
    for (size_t i = 0; i < now->chunk_count; i++) {
        const struct answer_chunk *other = find_chunk(then, &now->chunks[i]);
        moved += other && other->source != now->chunks[i].source;
    }
    tn_json_ki64(out, "moved", (int64_t)moved);
    tn_json_close(out, '}');
    if (different + moved > 0)
        differs(comparison, "chunks");
}

/* ---- what it was made of ----------------------------------------------------------------- */

static void put_pair(const char *key, const char *then, const char *now, struct tn_json *out)
{
    tn_json_key(out, key);
    tn_json_open(out, '{');
    tn_json_kstr(out, "then", then);
    tn_json_kstr(out, "now", now);
    tn_json_close(out, '}');
}

static void compare_texts(struct comparison *comparison, struct tn_json *out)
{
    const struct answer_record *then = comparison->then, *now = comparison->now;
    const struct {
        const char *key, *then, *now;
    } texts[] = {
        {"model", then->model, now->model},
        {"model_version", then->model_version, now->model_version},
        {"prompt", then->prompt_version, now->prompt_version},
        {"index", then->index, now->index},
        {"embedding_version", then->embedding_version, now->embedding_version},
        {"sql", then->sql, now->sql},
    };
    for (size_t i = 0; i < TN_COUNT(texts); i++) {
        put_pair(texts[i].key, texts[i].then, texts[i].now, out);
        if (!same_text(texts[i].then, texts[i].now))
            differs(comparison, texts[i].key);
    }
}

static int64_t snapshot_of(const struct answer_record *record, const char *dataset)
{
    for (size_t i = 0; i < record->snapshot_count; i++)
        if (tn_streq(record->snapshots[i].dataset, dataset))
            return record->snapshots[i].snapshot_id;
    return 0;
}

static bool put_snapshot(const struct comparison *comparison, const char *dataset, struct tn_json *out)
{
    int64_t then = snapshot_of(comparison->then, dataset), now = snapshot_of(comparison->now, dataset);
    tn_json_key(out, dataset);
    tn_json_open(out, '{');
    tn_json_ki64(out, "then", then);
    tn_json_ki64(out, "now", now);
    tn_json_close(out, '}');
    return then != now;
}

static void compare_data(struct comparison *comparison, struct tn_json *out)
{
    const struct answer_record *then = comparison->then, *now = comparison->now;
    bool different = false;
    tn_json_key(out, "snapshots");
    tn_json_open(out, '{');
    for (size_t i = 0; i < then->snapshot_count; i++)
        different = put_snapshot(comparison, then->snapshots[i].dataset, out) || different;
    for (size_t i = 0; i < now->snapshot_count; i++)
        if (snapshot_of(then, now->snapshots[i].dataset) == 0)
            different = put_snapshot(comparison, now->snapshots[i].dataset, out) || different;
    tn_json_close(out, '}');
    if (different)
        differs(comparison, "snapshots");
    tn_json_key(out, "generation");
    tn_json_open(out, '{');
    tn_json_ki64(out, "then", (int64_t)then->generation);
    tn_json_ki64(out, "now", (int64_t)now->generation);
    tn_json_close(out, '}');
    if (then->generation != now->generation)
        differs(comparison, "generation");
}

/* ---- what came of it ------------------------------------------------------------------------ */

static void compare_rows(struct comparison *comparison, struct tn_json *out)
{
    const struct answer_record *then = comparison->then, *now = comparison->now;
    bool same = then->row_count == now->row_count && same_text(then->result_hash, now->result_hash);
    tn_json_key(out, "rows");
    tn_json_open(out, '{');
    tn_json_ki64(out, "then", then->row_count);
    tn_json_ki64(out, "now", now->row_count);
    tn_json_kbool(out, "same", same);
    tn_json_close(out, '}');
    if (!same)
        differs(comparison, "rows");
}

static void compare_answers(struct comparison *comparison, struct tn_json *out)
{
    const char *then = comparison->then->text ? comparison->then->text : "";
    const char *now = comparison->now->text ? comparison->now->text : "";
    struct answer_words a = answer_words_of(then, strlen(then), comparison->arena);
    struct answer_words b = answer_words_of(now, strlen(now), comparison->arena);
    bool same = tn_streq(then, now);
    tn_json_key(out, "text");
    tn_json_open(out, '{');
    tn_json_kbool(out, "same", same);
    tn_json_kf64(out, "words_kept", same ? 1 : answer_words_share(&a, &b));
    tn_json_kf64(out, "words_known", same ? 1 : answer_words_share(&b, &a));
    tn_json_close(out, '}');
    if (!same)
        differs(comparison, "text");
    if (comparison->then->refused != comparison->now->refused)
        differs(comparison, "refused");
}

static void write_comparison(struct comparison *comparison, struct answer_service *service,
                             const struct answer_kind *kind, bool as_then, struct tn_json *out)
{
    tn_json_open(out, '{');
    tn_json_kstr(out, "answer_id", comparison->then->id);
    tn_json_kstr(out, "replay_id", comparison->now->id);
    tn_json_kstr(out, "data", as_then ? "then" : "now");
    compare_texts(comparison, out);
    compare_data(comparison, out);
    compare_chunks(comparison, out);
    compare_rows(comparison, out);
    compare_answers(comparison, out);
    if (kind->statement) {
        tn_json_key(out, "statement");
        kind->statement(service, comparison->then, comparison->arena, out);
    }
    tn_json_kstrs(out, "changed", comparison->changed, comparison->changed_count);
    tn_json_key(out, "then");
    answer_record_write(comparison->then, out);
    tn_json_key(out, "now");
    answer_record_write(comparison->now, out);
    tn_json_close(out, '}');
}

enum tn_code answer_replay(struct answer_service *service, const struct answer_again *again, struct tn_json *out,
                           struct tn_error *err)
{
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct answer_record then, now;
    TN_TRY(answer_load(service, again->id, arena, &then, err));
    const struct answer_kind *kind = answer_kind_find(then.kind);
    if (!kind)
        return tn_fail(err, TN_EUNSUPPORTED, "answer %s is of the kind \"%.20s\", which cannot be asked again",
                       again->id, then.kind);
    TN_TRY(kind->again(service, &then, again, arena, &now, err));
    struct comparison comparison = {.then = &then, .now = &now, .arena = arena};
    write_comparison(&comparison, service, kind, again->as_then, out);
    return TN_OK;
}
