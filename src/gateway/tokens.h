/* The tokens of a lake: made, checked, listed, revoked.
 *
 * A token reads "tarn_<id>_<secret>": the id (8 hex digits) finds the record,
 * the secret (256 random bits) proves the holder. The file keeps an argon2id
 * hash of the whole token and never the token. A token that was verified once
 * is remembered in memory by a keyed hash, so that the expensive check happens
 * once per token and process. See docs/decisions/0019-tokens.md.
 *
 * Threads: any thread may call anything. tokens_check may take tens of
 * milliseconds and 8 MB; one runs at a time.
 */
#ifndef TARN_GATEWAY_TOKENS_H
#define TARN_GATEWAY_TOKENS_H

#include "base/base.h"

struct tokens;

#define TOKEN_ID_TEXT      17
#define TOKEN_NAME_MAX     64
#define TOKEN_TEXT         80
#define TOKEN_SESSION_TEXT 128

/* Who a request comes from. */
struct token_identity {
    char id[TOKEN_ID_TEXT];
    char name[TOKEN_NAME_MAX + 1];
};

/* `path` NULL keeps everything in memory. A file that others may read, or that
 * does not parse, is TN_ECONFIG. A missing one is an empty set. */
enum tn_code tokens_open(const char *path, struct tokens **ret, struct tn_error *err) TN_CHECKED;
/* Notes the times of last use, as far as they have changed. */
void tokens_close(struct tokens *tokens);
TN_DEFINE_CLEANUP(struct tokens, tokens_close)
size_t tokens_count(struct tokens *tokens); /* those in the file */

/* Makes one and saves the file. `ret_token` is the only copy there will be. */
enum tn_code tokens_add(struct tokens *tokens, const char *name, struct token_identity *ret_identity,
                        char ret_token[TOKEN_TEXT], struct tn_error *err) TN_CHECKED;
/* One that lives as long as the process and is in no file or list. */
enum tn_code tokens_add_local(struct tokens *tokens, const char *name, char ret_token[TOKEN_TEXT],
                              struct tn_error *err) TN_CHECKED;
/* TN_ENOTFOUND. */
enum tn_code tokens_revoke(struct tokens *tokens, const char *id, struct tn_error *err) TN_CHECKED;
/* Writes a JSON array of {"id","name","created","last_used"}. */
void tokens_list(struct tokens *tokens, struct tn_json *out);

/* Whether this token was verified before: quick, never waits. */
bool tokens_recall(struct tokens *tokens, const char *token, struct token_identity *ret);
/* TN_EUNAUTHORIZED; TN_EBUSY after too many wrong ones with this id. */
enum tn_code tokens_check(struct tokens *tokens, const char *token, struct token_identity *ret,
                          struct tn_error *err) TN_CHECKED;

/* A cookie's value that stands for a token until it expires or the token is
 * revoked: "<id>.<expiry>.<mac>", the mac keyed by the token's record. */
enum tn_code tokens_session_make(struct tokens *tokens, const struct token_identity *identity, int64_t seconds,
                                 char ret[TOKEN_SESSION_TEXT], struct tn_error *err) TN_CHECKED;
bool tokens_session_recall(struct tokens *tokens, const char *session, struct token_identity *ret);

#endif
