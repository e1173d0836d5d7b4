/* Runs that did not end.
 *
 * Each run has a table of its own beside the one it works on, named by what it
 * is doing (the column, the model's signature, the mode), so that the same
 * arguments find the same table again. Its comment is a JSON object with what
 * the catalog no longer tells once the index is dropped. */
#include "reembed/reembed_internal.h"

#define PREFIX   "tarn_reembed_"
#define NOTE_MAX ((size_t)1 << 20)

static const char *own_name(const struct reembed_plan *plan, const struct reembed_signature *signature,
                            const struct target *target, struct tn_arena *arena)
{
    struct tn_hash hash;
    char hex[TN_HASH_HEX];
    const char *const parts[] = {target->relation, target->id,      target->text,
                                 target->vector,   signature->hash, reembed_mode_word(plan->mode)};
    tn_hash_init(&hash);
    for (size_t i = 0; i < TN_COUNT(parts); i++)
        tn_hash_update(&hash, parts[i], strlen(parts[i]) + 1);
    tn_hash_final_hex(&hash, hex);
    return tn_arena_printf(arena, PREFIX "%.16s", hex);
}

static const char *text_at(const json_t *note, const char *key)
{
    const char *text = json_string_value(json_object_get(note, key));
    return text ? text : "";
}

/* Indexes that the interrupted run had dropped: the column has only the usual
 * one, which is not there, or none. */
static void take_indexes(const json_t *note, struct target *target, struct tn_arena *arena)
{
    const json_t *list = json_object_get(note, "indexes");
    for (size_t i = 0; i < target->index_count; i++)
        if (target->indexes[i].there)
            return;
    if (json_array_size(list) == 0)
        return;
    target->indexes = TN_ARENA_ARRAY(arena, struct vector_index, json_array_size(list));
    target->index_count = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        target->indexes[target->index_count++] = (struct vector_index){
            .name = tn_arena_strdup(arena, text_at(item, "name")),
            .relation = postgres_quote_table(arena, target->schema, text_at(item, "name")),
            .definition = index_definition_for(arena, text_at(item, "definition"), target->new_half),
            .tablespace = tn_arena_strdup(arena, text_at(item, "tablespace")),
            .valid = true,
            .ann = true,
        };
    }
}

static void take_note(const char *name, const json_t *note, const char *own, struct target *target,
                      struct leftover *ret, struct tn_arena *arena)
{
    if (!tn_streq(text_at(note, "table"), target->relation) || !tn_streq(text_at(note, "column"), target->vector))
        return;
    bool in_place = tn_streq(text_at(note, "mode"), reembed_mode_word(REEMBED_IN_PLACE));
    take_indexes(note, target, arena);
    if (tn_streq(name, own)) {
        ret->state = tn_streq(text_at(note, "state"), "switched") ? LEFTOVER_SWITCHED : LEFTOVER_FILLING;
        ret->added_column = json_is_true(json_object_get(note, "added_column"));
        return;
    }
    ret->unfinished_in_place |= in_place;
    ret->other_in_place[ret->other_count] = in_place;
    ret->others[ret->other_count++] = postgres_quote_table(arena, target->schema, name);
}

enum tn_code leftover_look(struct postgres *pg, const struct reembed_plan *plan,
                           const struct reembed_signature *signature, struct target *target, struct tn_arena *arena,
                           struct leftover *ret, struct tn_error *err)
{
    TN_CLEANUP(postgres_result_free_p) struct postgres_result *found = NULL;
    const char *own = own_name(plan, signature, target, arena);
    const struct postgres_param params[] = {postgres_text(target->schema)};
    TN_TRY(
        postgres_query(pg,
                       "SELECT c.relname, obj_description(c.oid, 'pg_class') FROM pg_class c JOIN pg_namespace n ON"
                       " n.oid = c.relnamespace WHERE n.nspname = $1::text AND c.relkind = 'r' AND c.relname LIKE"
                       " 'tarn\\_reembed\\_%' ORDER BY c.relname",
                       params, TN_COUNT(params), POSTGRES_TEXT, &found, err));
    size_t count = postgres_rows(found);
    *ret = (struct leftover){.relation = postgres_quote_table(arena, target->schema, own),
                             .others = TN_ARENA_ARRAY(arena, const char *, count + 1),
                             .other_in_place = TN_ARENA_ARRAY(arena, bool, count + 1)};
    for (size_t i = 0; i < count; i++) {
        TN_AUTO_JSON *note = NULL;
        if (tn_json_parse(postgres_value(found, i, 1), postgres_value_length(found, i, 1), NOTE_MAX, "note", &note,
                          NULL) == TN_OK)
            take_note(postgres_value(found, i, 0), note, own, target, ret, arena);
    }
    return TN_OK;
}

static void write_note(const struct reembed_plan *plan, const struct reembed_signature *signature,
                       const struct target *target, const struct leftover *leftover, struct tn_buf *out)
{
    struct tn_json json = tn_json_writer(out);
    tn_json_open(&json, '{');
    tn_json_kstr(&json, "table", target->relation);
    tn_json_kstr(&json, "column", target->vector);
    tn_json_kstr(&json, "mode", reembed_mode_word(plan->mode));
    tn_json_kstr(&json, "state", leftover->state == LEFTOVER_SWITCHED ? "switched" : "filling");
    tn_json_kbool(&json, "added_column", leftover->added_column);
    tn_json_kstr(&json, "model", signature->name);
    tn_json_ki64(&json, "dimension", signature->dimension);
    tn_json_kstr(&json, "hash", signature->hash);
    tn_json_key(&json, "indexes");
    tn_json_open(&json, '[');
    for (size_t i = 0; i < target->index_count; i++) {
        tn_json_open(&json, '{');
        tn_json_kstr(&json, "name", target->indexes[i].name);
        tn_json_kstr(&json, "definition", target->indexes[i].definition);
        tn_json_kstr(&json, "tablespace", target->indexes[i].tablespace);
        tn_json_close(&json, '}');
    }
    tn_json_close(&json, ']');
    tn_json_close(&json, '}');
}

enum tn_code leftover_note(struct postgres *pg, const struct reembed_plan *plan,
                           const struct reembed_signature *signature, const struct target *target,
                           const struct leftover *leftover, struct tn_error *err)
{
    TN_AUTO_BUF note = {0};
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    write_note(plan, signature, target, leftover, &note);
    return postgres_runf(pg, err, "COMMENT ON TABLE %s IS %s", leftover->relation,
                         postgres_quote_text(arena, note.data));
}

enum tn_code leftover_drop_in_place(struct postgres *pg, const struct leftover *leftover, struct tn_error *err)
{
    for (size_t i = 0; i < leftover->other_count; i++)
        if (leftover->other_in_place[i])
            TN_TRY(postgres_runf(pg, err, "DROP TABLE IF EXISTS %s", leftover->others[i]));
    return TN_OK;
}
