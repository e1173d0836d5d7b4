/* Tags: names of states, made here. Those of other engines are the same thing
 * (refs of the table) and come through the REST catalog.
 *
 * A tag is no commit of rows, and its evidence is a note: it is announced before and
 * noted after, so that a crash between loses none.
 */
#include "dataset/hot.h"
#include "dataset/moment.h"
#include "journal/journal.h"

#include <string.h>

struct tagging {
    struct lake *lake;
    const char *name, *tag, *as_of;
    const struct dataset_who *who;
    bool move;
    const struct iceberg_metadata *newest;
    const struct iceberg_snapshot *target; /* NULL: the tag goes */
};

/* ---- names ------------------------------------------------------------------------ */

static bool is_printable(const char *text)
{
    size_t length = strlen(text);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7F)
            return false;
    return tn_utf8_valid_prefix(text, length) == length;
}

/* A name that means something else could never be asked for. */
static enum tn_code check_name(const char *tag, struct tn_error *err)
{
    if (!*tag || strlen(tag) > DATASET_TAG_MAX)
        return tn_fail(err, TN_EREQUEST, "a tag's name has 1 to %d bytes, not %zu", DATASET_TAG_MAX, strlen(tag));
    if (!is_printable(tag))
        return tn_fail(err, TN_EREQUEST, "a tag's name has no control characters");
    if (!moment_is_reserved(tag))
        return TN_OK;
    tn_fail(err, TN_EREQUEST, "\"%s\" cannot be a tag's name: as a moment it means something else", tag);
    tn_error_hint(err,
                  "numbers are snapshot ids, dates and times are themselves, replay-N is a state that an answer "
                  "named; put a word before it, as in v%s",
                  tag);
    return TN_EREQUEST;
}

static enum tn_code refuse_branch(const struct tagging *tagging, const struct iceberg_ref *ref, struct tn_error *err)
{
    if ((!ref || ref->is_tag) && !tn_streq(tagging->tag, "main"))
        return TN_OK;
    tn_fail(err, TN_EREFUSED, "\"%s\" is a branch of \"%s\", not a tag", tagging->tag, tagging->name);
    tn_error_hint(err, "branches are made and removed by other engines, through the Iceberg REST catalog");
    return TN_EREFUSED;
}

/* ---- the commit -------------------------------------------------------------------- */

static void put_event(const struct tagging *tagging, struct tn_buf *old_value, struct tn_buf *new_value,
                      struct journal_event *ret)
{
    struct tn_json json = tn_json_writer(new_value);
    journal_put_tag(old_value, tagging->newest, tagging->tag);
    if (tagging->target)
        tn_json_i64(&json, tagging->target->id);
    else
        tn_json_null(&json);
    *ret = (struct journal_event){
        .operation = tagging->target ? "tag.set" : "tag.drop",
        .field = tagging->tag,
        .old_value = old_value->data,
        .old_length = old_value->len,
        .new_value = new_value->data,
        .new_length = new_value->len,
        .actor = tagging->who->actor,
        .source = tagging->who->source,
        .reason = tagging->who->reason,
        .workspace = tagging->who->workspace,
        .request_id = tagging->who->request_id,
    };
}

/* `count` 0: it was not made. What is lost here is logged, for the change stands by then. */
static void settle(const struct tagging *tagging, const struct journal_intent *intent,
                   const struct journal_event *event, size_t count)
{
    struct tn_error error = {0};
    if (journal_note_intended(tagging->lake->journal, tagging->name, intent, event, count, &error) != TN_OK)
        TN_LOG(TN_LOG_ERROR, count ? "journal.note_lost" : "journal.intent_stays", TN_FS("dataset", tagging->name),
               TN_FS("operation", event->operation), TN_FS("error", error.detail));
}

static enum tn_code commit(const struct tagging *tagging, struct tn_error *err)
{
    struct lake *lake = tagging->lake;
    ICEBERG_AUTO_METADATA *done = NULL;
    TN_AUTO_BUF old_value = {0};
    TN_AUTO_BUF new_value = {0};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct journal_event event;
    struct journal_intent intent;
    struct iceberg_table table = catalog_table(lake->catalog, arena, tagging->name);
    TN_CLEANUP(iceberg_tx_free_p) struct iceberg_tx *tx = iceberg_tx_new(&table, tagging->newest);
    put_event(tagging, &old_value, &new_value, &event);
    TN_TRY(journal_intend(lake->journal, tagging->name, tagging->newest->uuid, tagging->newest->last_sequence_number,
                          &event, 1, &intent, err));
    iceberg_tx_set_tag(tx, tagging->tag, tagging->target ? tagging->target->id : ICEBERG_NONE);
    enum tn_code code = catalog_tx_commit(lake->catalog, tagging->name, tx, &done, err);
    if (code != TN_OK && code != TN_EIO) /* then it may have come to be: who opens the lake next sees */
        settle(tagging, &intent, &event, 0);
    TN_TRY(code);
    catalog_publish(lake->catalog, tagging->name, done);
    dataset_hot_follow(lake, tagging->name, tagging->newest, done, NULL);
    settle(tagging, &intent, &event, 1);
    return TN_OK;
}

/* ---- which state ------------------------------------------------------------------- */

static enum tn_code find_target(const struct tagging *tagging, const struct iceberg_snapshot **ret,
                                struct tn_error *err)
{
    struct moment moment = {.kind = MOMENT_NOW};
    struct moment_state state;
    if (tagging->as_of)
        TN_TRY(moment_parse(tagging->as_of, &moment, err));
    TN_TRY(moment_find(tagging->lake, tagging->name, tagging->newest, &moment, &state, err));
    if (state.snapshot && !state.replay_to) {
        *ret = state.snapshot;
        return TN_OK;
    }
    if (!state.snapshot)
        return tn_fail(err, TN_ESNAPSHOT, "dataset \"%s\" had no rows then, and no snapshot to be tagged",
                       tagging->name);
    tn_fail(err, TN_ESNAPSHOT, "the snapshot of that moment of dataset \"%s\" was thinned: no tag can keep it",
            tagging->name);
    tn_error_hint(err,
                  "`tarn snapshots %s` lists those that are there; the moment itself can still be read, and restored",
                  tagging->name);
    return TN_ESNAPSHOT;
}

static enum tn_code refuse_move(const struct tagging *tagging, const struct iceberg_ref *ref, struct tn_error *err)
{
    tn_fail(err, TN_EEXISTS, "dataset \"%s\" has a tag \"%s\" already, at snapshot %lld", tagging->name, tagging->tag,
            (long long)ref->snapshot_id);
    tn_error_hint(err, "say move (`tarn tag %s NAME --move`, \"move\": true) to point it at snapshot %lld",
                  tagging->name, (long long)tagging->target->id);
    return TN_EEXISTS;
}

static enum tn_code set_locked(struct tagging *tagging, struct dataset_tagged *ret, struct tn_error *err)
{
    const struct iceberg_ref *ref = iceberg_metadata_ref_named(tagging->newest, tagging->tag);
    TN_TRY(refuse_branch(tagging, ref, err));
    TN_TRY(find_target(tagging, &tagging->target, err));
    bool unchanged = ref && ref->snapshot_id == tagging->target->id;
    if (ref && !unchanged && !tagging->move)
        return refuse_move(tagging, ref, err);
    if (!unchanged)
        TN_TRY(commit(tagging, err));
    *ret = (struct dataset_tagged){.status = unchanged ? "unchanged"
                                             : ref     ? "moved"
                                                       : "created",
                                   .snapshot_id = tagging->target->id,
                                   .committed_us = tagging->target->timestamp_ms * 1000};
    return TN_OK;
}

static enum tn_code drop_locked(struct tagging *tagging, struct dataset_tagged *ret, struct tn_error *err)
{
    const struct iceberg_ref *ref = iceberg_metadata_ref_named(tagging->newest, tagging->tag);
    TN_TRY(refuse_branch(tagging, ref, err));
    if (!ref)
        return dataset_tag_unknown(tagging->name, tagging->tag, err);
    const struct iceberg_snapshot *snapshot = iceberg_metadata_snapshot(tagging->newest, ref->snapshot_id);
    TN_TRY(commit(tagging, err));
    *ret = (struct dataset_tagged){.status = "dropped",
                                   .snapshot_id = ref->snapshot_id,
                                   .committed_us = snapshot ? snapshot->timestamp_ms * 1000 : 0};
    return TN_OK;
}

enum tn_code dataset_tag_unknown(const char *name, const char *tag, struct tn_error *err)
{
    tn_fail(err, TN_ENOTFOUND, "dataset \"%s\" has no tag \"%.*s\"", name,
            (int)tn_utf8_floor(tag, strlen(tag), DATASET_TAG_MAX), tag);
    tn_error_hint(err, "`tarn tag %s` lists its tags", name);
    return TN_ENOTFOUND;
}

/* Under the dataset's lock, on its newest version. */
static enum tn_code run(struct tagging *tagging,
                        enum tn_code (*work)(struct tagging *tagging, struct dataset_tagged *ret,
                                             struct tn_error *err),
                        struct dataset_tagged *ret, struct tn_error *err)
{
    struct lake *lake = tagging->lake;
    char exact[CATALOG_NAME_MAX + 1];
    ICEBERG_AUTO_METADATA *known = NULL;
    ICEBERG_AUTO_METADATA *newest = NULL;
    TN_TRY(catalog_load(lake->catalog, tagging->name, &known, err)); /* the misspelt name's suggestion */
    catalog_exact_name(tagging->name, exact);
    TN_CLEANUP(catalog_unlock_p) struct catalog_lock *lock = catalog_lock_dataset(lake->catalog, exact);
    TN_TRY(catalog_load_locked(lake->catalog, exact, &newest, err));
    if (!newest)
        return tn_fail(err, TN_EDATASET, "there is no dataset \"%s\"", exact);
    tagging->name = exact;
    tagging->newest = newest;
    return work(tagging, ret, err);
}

enum tn_code dataset_tag_set(struct lake *lake, const char *name, const struct dataset_tag *tag,
                             const struct dataset_who *who, struct dataset_tagged *ret, struct tn_error *err)
{
    struct tagging tagging = {
        .lake = lake, .name = name, .tag = tag->name, .as_of = tag->as_of, .move = tag->move, .who = who};
    TN_TRY(check_name(tag->name, err));
    return run(&tagging, set_locked, ret, err);
}

enum tn_code dataset_tag_drop(struct lake *lake, const char *name, const char *tag, const struct dataset_who *who,
                              struct dataset_tagged *ret, struct tn_error *err)
{
    struct tagging tagging = {.lake = lake, .name = name, .tag = tag, .who = who};
    return run(&tagging, drop_locked, ret, err);
}
