#include "gateway/tokens.h"
#include "gateway/tokens_internal.h"

#include <errno.h>
#include <sys/stat.h>

/* ---- the file ------------------------------------------------------------ */

static enum tn_code record_read(const json_t *object, struct token_record *record, struct tn_error *err)
{
    const char *id = NULL, *name = NULL, *hash = NULL, *created = NULL, *used = NULL;
    const struct tn_json_field fields[] = {
        {.name = "id", .kind = TN_JSON_STRING, .ret = &id, .required = true},
        {.name = "name", .kind = TN_JSON_STRING, .ret = &name, .required = true},
        {.name = "hash", .kind = TN_JSON_STRING, .ret = &hash, .required = true},
        {.name = "created", .kind = TN_JSON_STRING, .ret = &created, .required = true},
        {.name = "last_used", .kind = TN_JSON_STRING, .ret = &used},
    };
    TN_TRY(tn_json_read(object, "token", fields, TN_COUNT(fields), err));
    if (strlen(id) >= TOKEN_ID_TEXT || strlen(name) > TOKEN_NAME_MAX || strlen(hash) >= sizeof record->hash ||
        !tn_time_parse(created, &record->created_us) || (used && !tn_time_parse(used, &record->used_us)))
        return tn_fail(err, TN_ECONFIG, "the entry of token \"%.20s\" is not well-formed", id);
    (void)snprintf(record->who.id, sizeof record->who.id, "%s", id);
    (void)snprintf(record->who.name, sizeof record->who.name, "%s", name);
    (void)snprintf(record->hash, sizeof record->hash, "%s", hash);
    return TN_OK;
}

static enum tn_code file_parse(struct tokens *tokens, const struct tn_buf *text, struct tn_error *err)
{
    TN_AUTO_JSON *document = NULL;
    TN_TRY(tn_json_parse(text->data ? text->data : "", text->len, TOKENS_FILE_MAX, "tokens.json", &document, err));
    int64_t version = 0;
    json_t *list = NULL;
    const struct tn_json_field fields[] = {
        {.name = "version", .kind = TN_JSON_INT, .ret = &version, .required = true, .min = 1, .max = 2},
        {.name = "tokens", .kind = TN_JSON_ARRAY, .ret = &list, .required = true},
    };
    TN_TRY(tn_json_read(document, "tokens.json", fields, TN_COUNT(fields), err));
    if (version != 1)
        return tn_fail(err, TN_ECONFIG, "version %lld is newer than this program", (long long)version);
    size_t i;
    json_t *object;
    json_array_foreach(list, i, object)
    {
        struct token_record record = {0};
        TN_TRY(record_read(object, &record, err));
        TN_GROW(tokens->records, tokens->count, tokens->capacity);
        tokens->records[tokens->count++] = record;
    }
    return TN_OK;
}

static enum tn_code file_read(struct tokens *tokens, struct tn_error *err)
{
    struct stat st;
    if (stat(tokens->path, &st) != 0)
        return errno == ENOENT ? TN_OK : tn_fail_errno(err, errno, "%s", tokens->path);
    if (st.st_mode & 077) {
        (void)tn_fail(err, TN_ECONFIG, "%s may be read by others (mode %03o)", tokens->path,
                      (unsigned)st.st_mode & 0777);
        tn_error_hint(err, "run: chmod 600 %s", tokens->path);
        return TN_ECONFIG;
    }
    TN_AUTO_BUF text = {0};
    TN_TRY(tn_file_read(tokens->path, TOKENS_FILE_MAX, &text, err));
    enum tn_code code = file_parse(tokens, &text, err);
    if (code != TN_OK)
        tn_error_context(err, "%s", tokens->path);
    return code;
}

/* Called with the lock held. */
enum tn_code tokens_save_locked(struct tokens *tokens, struct tn_error *err)
{
    tokens->dirty = false;
    if (!tokens->path)
        return TN_OK;
    TN_AUTO_BUF text = {0};
    char time[TN_TIME_TEXT];
    struct tn_json json = tn_json_writer(&text);
    tn_json_open(&json, '{');
    tn_json_ki64(&json, "version", 1);
    tn_json_key(&json, "tokens");
    tn_json_open(&json, '[');
    for (size_t i = 0; i < tokens->count; i++) {
        const struct token_record *record = &tokens->records[i];
        if (record->local)
            continue;
        tn_json_open(&json, '{');
        tn_json_kstr(&json, "id", record->who.id);
        tn_json_kstr(&json, "name", record->who.name);
        tn_json_kstr(&json, "hash", record->hash);
        tn_json_kstr(&json, "created", tn_time_format(record->created_us, time));
        if (record->used_us)
            tn_json_kstr(&json, "last_used", tn_time_format(record->used_us, time));
        tn_json_close(&json, '}');
    }
    tn_json_close(&json, ']');
    tn_json_close(&json, '}');
    tn_buf_putc(&text, '\n');
    return tn_file_replace(tokens->path, text.data, text.len, 0600, err);
}

enum tn_code tokens_open(const char *path, struct tokens **ret, struct tn_error *err)
{
    TN_TRY(tn_random_init(err));
    TN_CLEANUP(tokens_close_p) struct tokens *tokens = tn_calloc(1, sizeof *tokens);
    (void)pthread_mutex_init(&tokens->lock, NULL);
    (void)pthread_mutex_init(&tokens->hashing, NULL);
    tn_random_bytes(tokens->recall_key, sizeof tokens->recall_key);
    if (path) {
        tokens->path = tn_strdup(path);
        TN_TRY(file_read(tokens, err));
    }
    *ret = TN_TAKE(tokens);
    return TN_OK;
}

void tokens_close(struct tokens *tokens)
{
    if (!tokens)
        return;
    if (tokens->dirty)
        (void)!tokens_save_locked(tokens, NULL); /* times of last use are a courtesy */
    (void)pthread_mutex_destroy(&tokens->lock);
    (void)pthread_mutex_destroy(&tokens->hashing);
    if (tokens->records)
        sodium_memzero(tokens->records, tokens->count * sizeof *tokens->records);
    free(tokens->records);
    free(tokens->path);
    free(tokens);
}

/* ---- the set ------------------------------------------------------------- */

size_t tokens_count(struct tokens *tokens)
{
    (void)pthread_mutex_lock(&tokens->lock);
    size_t count = 0;
    for (size_t i = 0; i < tokens->count; i++)
        count += !tokens->records[i].local;
    (void)pthread_mutex_unlock(&tokens->lock);
    return count;
}

static void record_make(struct token_record *record, const char *name, char token[TOKEN_TEXT])
{
    unsigned char id[4];
    char secret[48];
    tn_random_bytes(id, sizeof id);
    tn_hex_encode(id, sizeof id, record->who.id);
    (void)snprintf(record->who.name, sizeof record->who.name, "%s", name);
    (void)snprintf(token, TOKEN_TEXT, "tarn_%s_%s", record->who.id, tn_random_token(32, secret));
    sodium_memzero(secret, sizeof secret);
    record->created_us = tn_now_us() / 1000000 * 1000000;
}

static enum tn_code name_check(const char *name, struct tn_error *err)
{
    size_t length = strlen(name);
    if (length == 0 || length > TOKEN_NAME_MAX)
        return tn_fail(err, TN_EREQUEST, "a token's name has 1 to %d bytes", TOKEN_NAME_MAX);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 127)
            return tn_fail(err, TN_EREQUEST, "a token's name has no control characters");
    return TN_OK;
}

enum tn_code tokens_add(struct tokens *tokens, const char *name, struct token_identity *ret_identity,
                        char ret_token[TOKEN_TEXT], struct tn_error *err)
{
    TN_TRY(name_check(name, err));
    struct token_record record = {0};
    char token[TOKEN_TEXT];
    record_make(&record, name, token);
    if (crypto_pwhash_str_alg(record.hash, token, strlen(token), TOKENS_OPS, TOKENS_MEMORY,
                              crypto_pwhash_ALG_ARGON2ID13) != 0)
        return tn_fail(err, TN_ENOMEM, "no memory to hash a token");
    (void)pthread_mutex_lock(&tokens->lock);
    enum tn_code code = TN_OK;
    if (tokens->count >= TOKENS_MAX) {
        code = tn_fail(err, TN_EREFUSED, "a lake has at most %d tokens", TOKENS_MAX);
        tn_error_hint(err, "revoke one that is not used any more");
    } else {
        TN_GROW(tokens->records, tokens->count, tokens->capacity);
        tokens->records[tokens->count++] = record;
        code = tokens_save_locked(tokens, err);
        if (code != TN_OK)
            tokens->count--;
    }
    (void)pthread_mutex_unlock(&tokens->lock);
    if (code == TN_OK) {
        *ret_identity = record.who;
        memcpy(ret_token, token, sizeof token);
    }
    sodium_memzero(token, sizeof token);
    return code;
}

enum tn_code tokens_add_local(struct tokens *tokens, const char *name, char ret_token[TOKEN_TEXT],
                              struct tn_error *err)
{
    TN_TRY(name_check(name, err));
    struct token_record record = {.local = true};
    record_make(&record, name, ret_token);
    /* No file will hold it, so there is nothing for argon2id to protect: the
     * keyed hash alone is kept, and a random text keys its sessions. */
    (void)tn_random_token(32, record.hash);
    record.verified = true;
    tokens_keyed_hash(tokens, ret_token, record.recall);
    (void)pthread_mutex_lock(&tokens->lock);
    TN_GROW(tokens->records, tokens->count, tokens->capacity);
    tokens->records[tokens->count++] = record;
    (void)pthread_mutex_unlock(&tokens->lock);
    return TN_OK;
}

static size_t find_locked(const struct tokens *tokens, const char *id)
{
    size_t i = 0;
    while (i < tokens->count && !tn_streq(tokens->records[i].who.id, id))
        i++;
    return i;
}

enum tn_code tokens_revoke(struct tokens *tokens, const char *id, struct tn_error *err)
{
    (void)pthread_mutex_lock(&tokens->lock);
    enum tn_code code = TN_OK;
    size_t i = find_locked(tokens, id);
    if (i == tokens->count || tokens->records[i].local) {
        code = tn_fail(err, TN_ENOTFOUND, "there is no token with the id \"%.40s\"", id);
        tn_error_hint(err, "`tarn token list` shows the ids");
    } else {
        struct token_record removed = tokens->records[i];
        memmove(&tokens->records[i], &tokens->records[i + 1], (tokens->count - i - 1) * sizeof removed);
        tokens->count--;
        code = tokens_save_locked(tokens, err);
        if (code != TN_OK) /* still on disk, so still valid after the next start: say so and keep it */
            tokens->records[tokens->count++] = removed;
        sodium_memzero(&removed, sizeof removed);
    }
    (void)pthread_mutex_unlock(&tokens->lock);
    return code;
}

void tokens_list(struct tokens *tokens, struct tn_json *out)
{
    char time[TN_TIME_TEXT];
    tn_json_open(out, '[');
    (void)pthread_mutex_lock(&tokens->lock);
    for (size_t i = 0; i < tokens->count; i++) {
        const struct token_record *record = &tokens->records[i];
        if (record->local)
            continue;
        tn_json_open(out, '{');
        tn_json_kstr(out, "id", record->who.id);
        tn_json_kstr(out, "name", record->who.name);
        tn_json_kstr(out, "created", tn_time_format(record->created_us, time));
        tn_json_kstr(out, "last_used", record->used_us ? tn_time_format(record->used_us, time) : NULL);
        tn_json_close(out, '}');
    }
    (void)pthread_mutex_unlock(&tokens->lock);
    tn_json_close(out, ']');
}
