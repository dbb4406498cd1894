/*
 * The profiles of a login: asking the service for them, and which one to send.
 */

#ifndef KIRO_PROFILES_H
#define KIRO_PROFILES_H

#include "kiro/credential.h"
#include "kiro/kiro.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    kiro_login login;
    kiro_str   token;           /* the bearer */
    kiro_str   host;            /* for the Host header */
    kiro_str   prefix;          /* the endpoint's path, "" or "/x" */
    kiro_str   user_agent;      /* may be empty */
    kiro_str   next;            /* kiro_profiles_next(), empty for the first page */
} kiro_profiles_query;

/*
 * The whole HTTP/1.1 request (Connection: close) for a page of the list. Returns
 * the length it needs; written only if cap is enough; 0: f says what is wrong.
 */
size_t kiro_profiles_request(const kiro_profiles_query *query, char *buf,
    size_t cap, kiro_failure *f);

/* The profiles found so far, on one host after the other. */
typedef struct kiro_profiles kiro_profiles;

kiro_profiles *kiro_profiles_create(void);           /* NULL: out of memory */
void kiro_profiles_free(kiro_profiles *profiles);

/*
 * Takes a page. error_type is the header x-amzn-errortype, may be empty.
 * KIRO_OK: this host has told all; KIRO_AGAIN: ask it for the page of
 * kiro_profiles_next(); KIRO_ERROR: it tells nothing, f says why (log text without
 * secrets) and, as KIRO_FAIL_AUTH_EXPIRED, that it does not take the token.
 */
kiro_status kiro_profiles_page(kiro_profiles *profiles, int status,
    kiro_str error_type, kiro_str body, kiro_failure *f);

kiro_str kiro_profiles_next(const kiro_profiles *profiles);

/* Not 0: a host said that this is a Builder ID, which has no profile of its own. */
int kiro_profiles_builder_id(const kiro_profiles *profiles);

/* Different ones, also with several hosts. The views live until the next page. */
size_t kiro_profiles_count(const kiro_profiles *profiles);
kiro_str kiro_profiles_arn(const kiro_profiles *profiles, size_t i);

/*
 * For logs: the region, the ends of account and id, the name. Never more than cap
 * bytes; 256 are enough.
 */
size_t kiro_profiles_describe(const kiro_profiles *profiles, size_t i, char *buf,
    size_t cap);

/*
 * The service's own profile, which stands for that of a Builder ID in each request
 * to the runtime and management hosts. It is not the user's: it is kept nowhere.
 */
kiro_str kiro_builder_id_profile(void);

#ifdef __cplusplus
}
#endif

#endif
