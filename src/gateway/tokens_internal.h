/* What tokens.c (the set and its file) and token_check.c (proofs) share. */
#ifndef TARN_GATEWAY_TOKENS_INTERNAL_H
#define TARN_GATEWAY_TOKENS_INTERNAL_H

#include "gateway/tokens.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>

#define TOKENS_MAX      1000
#define TOKENS_FILE_MAX ((size_t)1 << 20)
/* Argon2id: three passes over 8 MB, about 15 ms. */
#define TOKENS_OPS                3
#define TOKENS_MEMORY             ((size_t)8 << 20)
#define TOKENS_FAILURES_MAX       10
#define TOKENS_FAILURES_WINDOW_US INT64_C(60000000)

struct token_record {
    struct token_identity who;
    char hash[crypto_pwhash_STRBYTES];
    int64_t created_us, used_us;
    bool local;
    bool verified;            /* `recall` is set */
    unsigned char recall[32]; /* keyed hash of the token, once it was verified */
    unsigned failures;        /* since window_us */
    int64_t window_us;
};

struct tokens {
    char *path;
    pthread_mutex_t lock;    /* all below */
    pthread_mutex_t hashing; /* one argon2id at a time; taken before `lock`, never inside it */
    struct token_record *records;
    size_t count, capacity;
    bool dirty; /* times of last use are newer than the file */
    unsigned char recall_key[32];
};

enum tn_code tokens_save_locked(struct tokens *tokens, struct tn_error *err) TN_CHECKED;
void tokens_keyed_hash(const struct tokens *tokens, const char *token, unsigned char out[32]);

#endif
