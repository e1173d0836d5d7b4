/* tarn.yaml through libyaml's events.
 *
 * What YAML can do and a configuration must not is refused by name: anchors
 * and aliases (a few lines can expand to gigabytes), tags, sequences, several
 * documents, duplicate keys. Nested mappings become dotted keys, and
 * "server.port: 1" is the same as port under server.
 */
#include "base/config_internal.h"
#include "base/str.h"

#include <string.h>
#include <yaml.h>

enum { YAML_MAX_DEPTH = 8 };

struct reader {
    yaml_parser_t parser;
    struct tn_config *config;
    struct config_place place; /* line and column of the latest event */
    struct tn_buf prefix;      /* "server." while inside of server */
    struct tn_arena *arena;
    const char **seen; /* keys and sections so far, full names */
    size_t seen_count, seen_capacity;
};

static void release_reader(struct reader *reader)
{
    yaml_parser_delete(&reader->parser);
    tn_buf_release(&reader->prefix);
    tn_arena_free(reader->arena);
    free(reader->seen);
}

static void release_event(yaml_event_t *event)
{
    yaml_event_delete(event);
}
#define AUTO_EVENT TN_CLEANUP(release_event) yaml_event_t

static enum tn_code fail_syntax(struct reader *reader, struct tn_error *err)
{
    const yaml_parser_t *parser = &reader->parser;
    struct config_place place = reader->place;
    place.line = (int)TN_MIN(parser->problem_mark.line, (size_t)1000000) + 1;
    place.column = (int)TN_MIN(parser->problem_mark.column, (size_t)1000000) + 1;
    return config_fail(err, place, "not valid YAML: %s", parser->problem ? parser->problem : "unknown problem");
}

/* Reads the next event and refuses what no configuration needs. */
static enum tn_code next_event(struct reader *reader, yaml_event_t *event, struct tn_error *err)
{
    if (!yaml_parser_parse(&reader->parser, event)) {
        memset(event, 0, sizeof *event);
        return fail_syntax(reader, err);
    }
    reader->place.line = (int)TN_MIN(event->start_mark.line, (size_t)1000000) + 1;
    reader->place.column = (int)TN_MIN(event->start_mark.column, (size_t)1000000) + 1;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return config_fail(err, reader->place, "aliases (*name) are not supported; write the value out");
    case YAML_SEQUENCE_START_EVENT:
        return config_fail(err, reader->place, "a list is not expected here; every key has one value");
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor)
        return config_fail(err, reader->place, "anchors (&name) are not supported; write the value out");
    if (tag)
        return config_fail(err, reader->place, "tags (!name) are not supported");
    return TN_OK;
}

/* A scalar's text; NUL bytes would hide the rest of it. */
static enum tn_code scalar_text(struct reader *reader, const yaml_event_t *event, const char **ret,
                                struct tn_error *err)
{
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length)
        return config_fail(err, reader->place, "a value contains a NUL byte");
    *ret = text;
    return TN_OK;
}

static bool is_null(const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (*text == '\0' || tn_streq(text, "~") || tn_streq(text, "null"));
}

/* Only known keys and sections get here, so the list stays short. */
static enum tn_code remember(struct reader *reader, const char *name, struct tn_error *err)
{
    for (size_t i = 0; i < reader->seen_count; i++) {
        if (tn_streq(reader->seen[i], name))
            return config_fail(err, reader->place, "\"%s\" stands here a second time", name);
    }
    TN_GROW(reader->seen, reader->seen_count, reader->seen_capacity);
    reader->seen[reader->seen_count++] = tn_arena_strdup(reader->arena, name);
    return TN_OK;
}

static enum tn_code read_mapping(struct reader *reader, unsigned depth, struct tn_error *err);

/* `reader->prefix` holds the full name of the key whose value comes. */
static enum tn_code read_value(struct reader *reader, unsigned depth, struct tn_error *err)
{
    const struct config_place key_place = reader->place;
    const char *name = reader->prefix.data;
    bool known_key = config_has_key(reader->config, name);
    if (!known_key && !config_has_section(reader->config, name))
        return config_fail_unknown(reader->config, name, key_place, err);
    TN_TRY(remember(reader, name, err));
    AUTO_EVENT event = {0};
    TN_TRY(next_event(reader, &event, err));
    if (event.type == YAML_MAPPING_START_EVENT) {
        if (known_key)
            return config_fail(err, key_place, "\"%s\" has one value, nothing can stand below it", name);
        tn_buf_putc(&reader->prefix, '.');
        return read_mapping(reader, depth + 1, err);
    }
    if (event.type != YAML_SCALAR_EVENT)
        return config_fail(err, reader->place, "a value is expected here");
    if (is_null(&event))
        return TN_OK; /* "server:" with nothing behind it leaves the defaults */
    if (!known_key)
        return config_fail(err, key_place, "\"%s\" is a section; its keys stand below it", name);
    const char *text = NULL;
    TN_TRY(scalar_text(reader, &event, &text, err));
    return config_set(reader->config, name, text, reader->place, err);
}

static enum tn_code read_mapping(struct reader *reader, unsigned depth, struct tn_error *err)
{
    if (depth > YAML_MAX_DEPTH)
        return config_fail(err, reader->place, "nested too deeply");
    size_t outer = reader->prefix.len;
    for (;;) {
        AUTO_EVENT event = {0};
        TN_TRY(next_event(reader, &event, err));
        if (event.type == YAML_MAPPING_END_EVENT)
            return TN_OK;
        if (event.type != YAML_SCALAR_EVENT)
            return config_fail(err, reader->place, "a key must be a plain word");
        const char *key = NULL;
        TN_TRY(scalar_text(reader, &event, &key, err));
        tn_buf_puts(&reader->prefix, key);
        TN_TRY(read_value(reader, depth, err));
        reader->prefix.len = outer;
        if (reader->prefix.data)
            reader->prefix.data[outer] = '\0';
    }
}

static enum tn_code expect_end(struct reader *reader, struct tn_error *err)
{
    for (;;) {
        AUTO_EVENT event = {0};
        TN_TRY(next_event(reader, &event, err));
        if (event.type == YAML_STREAM_END_EVENT)
            return TN_OK;
        if (event.type != YAML_DOCUMENT_END_EVENT)
            return config_fail(err, reader->place, "only one YAML document is expected");
    }
}

static enum tn_code read_stream(struct reader *reader, struct tn_error *err)
{
    for (;;) {
        AUTO_EVENT event = {0};
        TN_TRY(next_event(reader, &event, err));
        switch (event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_START_EVENT:
            continue;
        case YAML_STREAM_END_EVENT: /* an empty file */
            return TN_OK;
        case YAML_MAPPING_START_EVENT:
            TN_TRY(read_mapping(reader, 1, err));
            return expect_end(reader, err);
        default:
            if (event.type == YAML_SCALAR_EVENT && is_null(&event))
                return expect_end(reader, err);
            return config_fail(err, reader->place, "expected keys and values (\"key: value\")");
        }
    }
}

enum tn_code config_read_yaml(struct tn_config *config, const char *yaml, size_t length, struct config_place place,
                              struct tn_error *err)
{
    TN_CLEANUP(release_reader) struct reader reader = {.config = config, .place = place};
    if (!yaml_parser_initialize(&reader.parser))
        return tn_fail(err, TN_ENOMEM, "not enough memory to read %s", place.source);
    reader.arena = tn_arena_new();
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)yaml, length);
    return read_stream(&reader, err);
}
