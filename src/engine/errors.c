/* DuckDB's errors become ours.
 *
 * With errors_as_json every message is an object: exception_type,
 * exception_message, and, where they make sense, position (byte offset in the
 * text that DuckDB saw), name and candidates.
 */
#include "engine/engine_internal.h"

#include <stdio.h>

void engine_error_place(struct tn_error *err, const char *sql, size_t length, size_t offset)
{
    if (!err)
        return;
    int line = 1;
    size_t start = 0;
    offset = TN_MIN(offset, length);
    for (size_t i = 0; i < offset; i++) {
        if (sql[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    /* Columns count characters, as an editor does. */
    int column = 1;
    for (size_t i = start; i < offset; i++)
        column += ((unsigned char)sql[i] & 0xC0) != 0x80;
    err->line = line;
    err->column = column;
}

/* From an offset in the text that ran to one in the text that was written. */
static size_t map_offset(const struct engine_text *text, size_t offset)
{
    size_t shift_new = 0, shift_old = 0;
    for (size_t i = 0; i < text->edit_count; i++) {
        const struct engine_edit *edit = &text->edits[i];
        size_t at = edit->at - shift_old + shift_new; /* in the text that ran */
        if (offset < at)
            break;
        if (offset < at + edit->new_length)
            return edit->at;
        shift_old += edit->old_length;
        shift_new += edit->new_length;
    }
    return offset - shift_new + shift_old;
}

struct engine_exception {
    const char *type, *message, *name, *candidates, *kind;
    bool has_position;
    uint64_t position;
};

static const char *string_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool parse_exception(const char *message, json_t **ret_document, struct engine_exception *ret)
{
    const char *brace = strchr(message, '{');
    if (!brace)
        return false;
    json_error_t ignored;
    json_t *document = json_loads(brace, JSON_DISABLE_EOF_CHECK, &ignored);
    if (!json_is_object(document) || !json_object_get(document, "exception_message")) {
        json_decref(document);
        return false;
    }
    *ret = (struct engine_exception){
        .type = string_at(document, "exception_type"),
        .message = string_at(document, "exception_message"),
        .name = string_at(document, "name"),
        .candidates = string_at(document, "candidates"),
        .kind = string_at(document, "type"),
    };
    ret->has_position = tn_parse_u64(string_at(document, "position"), &ret->position);
    *ret_document = document;
    return true;
}

/* The part of DuckDB's message that a user of Tarn can use: advice about SET
 * statements, which are refused here, is left out. */
static size_t useful_length(const char *message)
{
    static const char *const tails[] = {
        "\nPossible solutions", "\n\nPossible solutions", "\nLINE 1",  "\n\nLINE", " Use \"SET ",
        "\nDid you mean",       "\nCandidate bindings",   "\nUse SET "};
    size_t length = strlen(message);
    for (size_t i = 0; i < TN_COUNT(tails); i++) {
        const char *tail = strstr(message, tails[i]);
        if (tail && (size_t)(tail - message) < length)
            length = (size_t)(tail - message);
    }
    while (length && (message[length - 1] == '\n' || message[length - 1] == ' '))
        length--;
    return length;
}

static void suggest(struct tn_error *err, const struct engine_exception *exception)
{
    if (!*exception->candidates || !*exception->name)
        return;
    TN_AUTO_FREE char *copy = tn_strdup(exception->candidates);
    const char *words[64];
    size_t count = 0;
    for (char *save = NULL, *word = strtok_r(copy, ",", &save); word && count < TN_COUNT(words);
         word = strtok_r(NULL, ",", &save))
        words[count++] = word;
    if (strchr(exception->candidates, '(')) /* signatures, not names */
        return;
    const char *best = tn_suggest(exception->name, words, count);
    if (best)
        tn_error_hint(err, "Did you mean \"%s\"?", best);
    else if (count)
        tn_error_hint(err, "The nearest names are: %s.", exception->candidates);
}

/* Files are named by trusted text alone: that one of them is no whole Parquet
 * file is nobody's bad SQL. */
static bool tells_of_damage(const struct engine_exception *exception)
{
    static const char *const words[] = {"too small to be a Parquet file", "No magic bytes found",
                                        "Footer length error", "don't know what type"};
    if (!tn_str_equal_nocase(exception->type, "Invalid Input"))
        return false;
    for (size_t i = 0; i < TN_COUNT(words); i++)
        if (strstr(exception->message, words[i]))
            return true;
    return false;
}

static enum tn_code code_of(const struct engine_exception *exception, bool trusted)
{
    static const struct {
        const char *type;
        enum tn_code user, trusted;
    } table[] = {
        {"Out of Memory", TN_ENOMEM, TN_ENOMEM},
        {"Interrupt", TN_ECANCELLED, TN_ECANCELLED},
        {"INTERRUPT", TN_ECANCELLED, TN_ECANCELLED},
        {"IO", TN_EIO, TN_EIO},
        {"Permission", TN_ESQLREFUSED, TN_EINTERNAL},
        {"INTERNAL", TN_EINTERNAL, TN_EINTERNAL},
        {"FATAL", TN_EINTERNAL, TN_EINTERNAL},
        {"Parser", TN_ESQL, TN_EINTERNAL},
        {"Syntax", TN_ESQL, TN_EINTERNAL},
        {"Binder", TN_ESQL, TN_EINTERNAL},
        {"Catalog", TN_ESQL, TN_EINTERNAL},
    };
    if (tells_of_damage(exception))
        return TN_ECORRUPT;
    for (size_t i = 0; i < TN_COUNT(table); i++) {
        if (tn_str_equal_nocase(exception->type, table[i].type))
            return trusted ? table[i].trusted : table[i].user;
    }
    return TN_ESQL;
}

/* What a user writes against Tarn is not answered with advice about DuckDB's
 * own settings. */
static void hint_resources(struct tn_error *err, enum tn_code code, bool spilled)
{
    if (!err) /* the texts below look at it */
        return;
    if (code == TN_ECORRUPT)
        tn_error_hint(err, "something outside of Tarn changed a file of the lake: restore it from a backup; "
                           "`tarn doctor --deep` tells which are damaged");
    else if (code == TN_ENOMEM)
        tn_error_hint(err,
                      "Ask for less at once (fewer columns, a filter, a LIMIT), or raise the setting sql.memory.");
    else if (code == TN_EDISKFULL && !spilled)
        tn_error_hint(err, "free some space on that disk, then try again");
    else if (code == TN_EDISKFULL)
        tn_error_hint(err, "The query spills more to disk than it may: free space, or raise the setting sql.temp.");
    else if (code == TN_EIO && strstr(err->detail, "Too many open files"))
        tn_error_hint(err, "too many files are open: raise the limit (ulimit -n)");
    else if (code == TN_EIO && strstr(err->detail, "File too large"))
        tn_error_hint(err, "a limit of the system forbids files of that size (ulimit -f): raise it");
    else if (code == TN_EIO)
        tn_error_hint(err, "The disk failed: check its health (dmesg, smartctl) and the permissions of the path.");
}

/* A failure inside another one comes as JSON in the middle of its text. */
static const char *plain_message(const char *message, struct tn_buf *room)
{
    const char *inner = strstr(message, "{\"exception_type\"");
    if (!inner)
        return message;
    TN_AUTO_JSON *parsed = json_loads(inner, JSON_DISABLE_EOF_CHECK, NULL);
    const char *said = json_string_value(json_object_get(parsed, "exception_message"));
    if (!said)
        return message;
    tn_buf_append(room, message, (size_t)(inner - message));
    tn_buf_puts(room, said);
    return room->data;
}

enum tn_code engine_fail(struct tn_error *err, const char *message, const struct engine_text *text)
{
    if (!message)
        return tn_fail(err, TN_EINTERNAL, "the SQL engine failed and says nothing");
    json_t *parsed = NULL;
    struct engine_exception exception = {.type = "", .message = message, .name = "", .candidates = "", .kind = ""};
    (void)parse_exception(message, &parsed, &exception);
    TN_AUTO_JSON *document = parsed;
    enum tn_code code = code_of(&exception, !text || !text->sql);
    TN_AUTO_BUF room = {0};
    exception.message = plain_message(exception.message, &room);
    bool spilled = strstr(exception.message, "max_temp_directory_size") != NULL;
    if (spilled || strstr(exception.message, "No space left on device") ||
        strstr(exception.message, "Disk quota exceeded"))
        code = TN_EDISKFULL;
    int length = (int)TN_MIN(useful_length(exception.message), (size_t)1000);
    tn_fail(err, code, "%.*s", length, exception.message);
    hint_resources(err, code, spilled);
    if (code == TN_ESQL)
        suggest(err, &exception);
    if (text && text->sql && exception.has_position)
        engine_error_place(err, text->sql, text->length, map_offset(text, (size_t)exception.position));
    return code;
}
