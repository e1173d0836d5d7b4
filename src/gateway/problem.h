/* Errors as documents. */
#ifndef TARN_GATEWAY_PROBLEM_H
#define TARN_GATEWAY_PROBLEM_H

#include "base/base.h"

#define PROBLEM_MEDIA "application/problem+json"

/* {"type","title","status","code","detail","hint","request_id"}, and "line"
 * and "column" where the error has them. One object, no newline. */
void problem_write(const struct tn_error *error, const char *request_id, struct tn_buf *out);
/* {"error":{"message","type","code"}} as the Iceberg REST catalog wants it. */
void problem_write_iceberg(const struct tn_error *error, struct tn_buf *out);
/* As RFC 6749 has it, which clients of the token's path know alone. */
void problem_write_oauth(const struct tn_error *error, struct tn_buf *out);
/* {"error":{"message","type","param","code"}} as OpenAI's clients want it. */
void problem_write_openai(const struct tn_error *error, struct tn_buf *out);
/* Seconds for Retry-After; 0 when the error is not one that passes by itself. */
int problem_retry_after(enum tn_code code);

#endif
