/* Proofs: tokens and the cookies that stand for them. */
#include "gateway/tokens_internal.h"

void tokens_keyed_hash(const struct tokens *tokens, const char *token, unsigned char out[32])
{
    (void)crypto_generichash(out, 32, (const unsigned char *)token, strlen(token), tokens->recall_key,
                             sizeof tokens->recall_key);
}

/* The id inside "tarn_<id>_<secret>"; false when the text is no token. */
static bool token_id(const char *token, char id[TOKEN_ID_TEXT])
{
    size_t length = strnlen(token, TOKEN_TEXT);
    if (length >= TOKEN_TEXT || !tn_str_starts_with(token, "tarn_"))
        return false;
    const char *stop = strchr(token + 5, '_');
    if (!stop || stop - (token + 5) != 8)
        return false;
    memcpy(id, token + 5, 8);
    id[8] = '\0';
    return true;
}

static struct token_record *find_locked(struct tokens *tokens, const char *id)
{
    for (size_t i = 0; i < tokens->count; i++)
        if (tn_streq(tokens->records[i].who.id, id))
            return &tokens->records[i];
    return NULL;
}

static void note_use_locked(struct tokens *tokens, struct token_record *record)
{
    int64_t now = tn_now_us() / 1000000 * 1000000;
    if (record->used_us == now)
        return;
    record->used_us = now;
    tokens->dirty |= !record->local;
}

bool tokens_recall(struct tokens *tokens, const char *token, struct token_identity *ret)
{
    char id[TOKEN_ID_TEXT];
    if (!token_id(token, id))
        return false;
    unsigned char proof[32];
    tokens_keyed_hash(tokens, token, proof);
    (void)pthread_mutex_lock(&tokens->lock);
    struct token_record *record = find_locked(tokens, id);
    bool known = record && record->verified && sodium_memcmp(record->recall, proof, sizeof proof) == 0;
    if (known) {
        note_use_locked(tokens, record);
        *ret = record->who;
    }
    (void)pthread_mutex_unlock(&tokens->lock);
    return known;
}

static enum tn_code wrong_token(struct tn_error *err)
{
    (void)tn_fail(err, TN_EUNAUTHORIZED, "the token is not one of this lake's");
    tn_error_hint(err, "`tarn token new NAME` makes one; send it as Authorization: Bearer TOKEN");
    return TN_EUNAUTHORIZED;
}

/* Whether another try is allowed. Right tokens are recalled before they get
 * here, so that somebody who guesses does not lock their owner out for long. */
static bool throttled_locked(struct token_record *record)
{
    int64_t now = tn_now_us();
    if (now - record->window_us > TOKENS_FAILURES_WINDOW_US || now < record->window_us) {
        record->window_us = now;
        record->failures = 0;
    }
    return record->failures >= TOKENS_FAILURES_MAX;
}

static enum tn_code check_hashing(struct tokens *tokens, const char *token, const char *id,
                                  struct token_identity *ret, struct tn_error *err)
{
    char hash[crypto_pwhash_STRBYTES] = {0};
    (void)pthread_mutex_lock(&tokens->lock);
    struct token_record *record = find_locked(tokens, id);
    bool known = record && !record->local;
    bool throttled = known && throttled_locked(record);
    if (known)
        memcpy(hash, record->hash, sizeof hash);
    (void)pthread_mutex_unlock(&tokens->lock);
    if (!known)
        return wrong_token(err);
    if (throttled) {
        (void)tn_fail(err, TN_EBUSY, "too many wrong tokens with the id %s", id);
        tn_error_hint(err, "wait a minute");
        return TN_EBUSY;
    }
    bool right = crypto_pwhash_str_verify(hash, token, strlen(token)) == 0;
    (void)pthread_mutex_lock(&tokens->lock);
    record = find_locked(tokens, id);
    /* Revoked, or replaced, while we were computing? */
    right = right && record && sodium_memcmp(record->hash, hash, sizeof hash) == 0;
    if (right) {
        record->verified = true;
        tokens_keyed_hash(tokens, token, record->recall);
        note_use_locked(tokens, record);
        *ret = record->who;
    } else if (record) {
        record->failures++;
    }
    (void)pthread_mutex_unlock(&tokens->lock);
    return right ? TN_OK : wrong_token(err);
}

enum tn_code tokens_check(struct tokens *tokens, const char *token, struct token_identity *ret, struct tn_error *err)
{
    char id[TOKEN_ID_TEXT];
    if (tokens_recall(tokens, token, ret))
        return TN_OK;
    if (!token_id(token, id))
        return wrong_token(err);
    (void)pthread_mutex_lock(&tokens->hashing);
    enum tn_code code = tokens_recall(tokens, token, ret) ? TN_OK : check_hashing(tokens, token, id, ret, err);
    (void)pthread_mutex_unlock(&tokens->hashing);
    return code;
}

/* ---- sessions ------------------------------------------------------------ */

/* The mac's key is the record's hash: who can read that can read the file. */
static void session_mac(const struct token_record *record, const char *claim, char out[65])
{
    unsigned char key[32], mac[32];
    (void)crypto_generichash(key, sizeof key, (const unsigned char *)record->hash, strlen(record->hash),
                             (const unsigned char *)"tarn-session-key", 16);
    (void)crypto_generichash(mac, sizeof mac, (const unsigned char *)claim, strlen(claim), key, sizeof key);
    tn_hex_encode(mac, sizeof mac, out);
    sodium_memzero(key, sizeof key);
}

enum tn_code tokens_session_make(struct tokens *tokens, const struct token_identity *identity, int64_t seconds,
                                 char ret[TOKEN_SESSION_TEXT], struct tn_error *err)
{
    char claim[48], mac[65];
    (void)snprintf(claim, sizeof claim, "%s.%lld", identity->id, (long long)(tn_now_us() / 1000000 + seconds));
    (void)pthread_mutex_lock(&tokens->lock);
    const struct token_record *record = find_locked(tokens, identity->id);
    if (record)
        session_mac(record, claim, mac);
    (void)pthread_mutex_unlock(&tokens->lock);
    if (!record)
        return wrong_token(err);
    (void)snprintf(ret, TOKEN_SESSION_TEXT, "%s.%s", claim, mac);
    return TN_OK;
}

bool tokens_session_recall(struct tokens *tokens, const char *session, struct token_identity *ret)
{
    char claim[48], id[TOKEN_ID_TEXT], mac[65];
    const char *last = strrchr(session, '.');
    const char *first = strchr(session, '.');
    int64_t expiry = 0;
    if (!last || last == first || strlen(last + 1) != 64 || (size_t)(last - session) >= sizeof claim ||
        (size_t)(first - session) >= sizeof id)
        return false;
    (void)snprintf(claim, sizeof claim, "%.*s", (int)(last - session), session);
    (void)snprintf(id, sizeof id, "%.*s", (int)(first - session), session);
    if (!tn_parse_i64(claim + (first - session) + 1, &expiry) || expiry < tn_now_us() / 1000000)
        return false;
    (void)pthread_mutex_lock(&tokens->lock);
    struct token_record *record = find_locked(tokens, id);
    bool valid = false;
    if (record) {
        session_mac(record, claim, mac);
        valid = sodium_memcmp(mac, last + 1, 64) == 0;
    }
    if (valid) {
        note_use_locked(tokens, record);
        *ret = record->who;
    }
    (void)pthread_mutex_unlock(&tokens->lock);
    return valid;
}
