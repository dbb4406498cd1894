/*
 * Logins: what a credential source holds, how it is refreshed. Bytes in, bytes
 * out: files and databases are in kiro/store.h, sockets in nginx.
 */

#ifndef KIRO_CREDENTIAL_H
#define KIRO_CREDENTIAL_H

#include "kiro/kiro.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    KIRO_LOGIN_API_KEY = 0,     /* ksk_ key: never refreshed, no profile ARN */
    KIRO_LOGIN_SOCIAL,          /* Kiro Desktop refresh */
    KIRO_LOGIN_OIDC,            /* AWS SSO OIDC: Builder ID, Identity Center */
    KIRO_LOGIN_EXTERNAL         /* OAuth token endpoint of a company's IdP */
} kiro_login;

typedef struct kiro_credential kiro_credential;

typedef struct {
    kiro_login login;
    kiro_str   access_token;    /* the bearer; empty before the first refresh */
    kiro_str   refresh_token;
    int64_t    expires_at;      /* Unix ms, 0: unknown (or never: API key) */
    kiro_str   profile_arn;
    kiro_str   record_arn;      /* profile_arn without the operator's setting */
    kiro_str   sso_region;
    kiro_str   client_id_hash;  /* names the registration file, charset checked */
    int        has_registration;/* client id and secret are known */
    kiro_str   fingerprint;     /* hex of a hash over the source's refresh token (or
                                   key) when it was imported; survives refreshes */

    /* what a source said; empty and 0 in a state. For logs: no secret in them */
    kiro_str   found;           /* what told the kind of login, and where it was */
    kiro_str   warning;         /* what is wrong with it although it is used */
    int64_t    registration_expires_at; /* Unix ms, 0: unknown */
} kiro_credential_view;

/* "Kiro Desktop login" and so on, for logs. */
const char *kiro_login_name(kiro_login login);

/*
 * A Kiro IDE or AWS SSO cache file, or a state file of our own. Detection by
 * content. NULL: f->message says what is wrong, never with a secret in it.
 */
kiro_credential *kiro_credential_parse(const char *data, size_t len,
    kiro_failure *f);

/* The {clientIdHash}.json registration: adds client id and secret. */
kiro_status kiro_credential_add_registration(kiro_credential *cred,
    const char *data, size_t len, kiro_failure *f);

/*
 * Adds the registration of known if cred lacks one and both name the same. It may be in
 * a file that not every process can read.
 */
void kiro_credential_keep_registration(kiro_credential *cred,
    const kiro_credential *known);

/* White space around the secret is dropped. */
kiro_credential *kiro_credential_from_api_key(kiro_str key, kiro_failure *f);
kiro_credential *kiro_credential_from_refresh_token(kiro_str token,
    kiro_failure *f);

kiro_credential *kiro_credential_copy(const kiro_credential *cred);
void kiro_credential_free(kiro_credential *cred);    /* wipes the secrets */

void kiro_credential_get(const kiro_credential *cred,
    kiro_credential_view *view);

/*
 * Operator settings win over the source, in the view, the auth endpoint and after
 * refreshes. A serialized record keeps them, kiro_store_read_state() drops them: set
 * them after every read. Empty views change nothing. KIRO_ERROR: not an ARN or not
 * a region; nothing has changed.
 */
kiro_status kiro_credential_override(kiro_credential *cred,
    kiro_str profile_arn, kiro_str sso_region);

/*
 * The state file's JSON, everything needed to refresh and use the login without
 * its source. Returns the length it needs; written only if cap is enough.
 */
size_t kiro_credential_serialize(const kiro_credential *cred, char *buf,
    size_t cap);

/*
 * Which to use, a source record or our own state (or two states). 1: state.
 *   - Both hold the same refresh token: the later expires_at, the state if they are
 *     equal.
 *   - One holds a refresh token that the other's login had before (as imported, or
 *     since; the last 32 are remembered): the other. That token was replaced.
 *   - Any other refresh token, key or kind of login: the source. It is a new login, or
 *     its owner refreshed it.
 */
int kiro_credential_prefer_state(const kiro_credential *source,
    const kiro_credential *state);

/* The API region for an ARN ("us-east-1" for an empty one); KIRO_ERROR if the
   ARN is malformed. The view lives in arn or is a literal. */
kiro_status kiro_arn_region(kiro_str arn, kiro_str *region);

/* Fit for the name of a host: [a-z0-9-]. */
int kiro_is_region(kiro_str name);

/*
 * The default auth endpoint: "https://oidc.{region}.amazonaws.com" and such.
 * Returns the length, 0 if the login needs none. cap of 256 is enough.
 */
size_t kiro_auth_endpoint(const kiro_credential *cred, char *buf, size_t cap);

/*
 * Whether the default auth endpoint of cred, whose settings count, is that of other too:
 * the secrets of a login go to no host of another one.
 */
int kiro_auth_same_endpoint(const kiro_credential *cred,
    const kiro_credential *other);

/*
 * The whole HTTP/1.1 request (Connection: close) that refreshes this login.
 * host goes into the Host header; prefix is the endpoint's path ("" or "/x").
 * Returns the length it needs; written only if cap is enough; 0: cannot be
 * refreshed, f says why.
 */
size_t kiro_refresh_request(const kiro_credential *cred, kiro_str host,
    kiro_str prefix, kiro_str user_agent, char *buf, size_t cap,
    kiro_failure *f);

/* What an auth host's refusal means. */
typedef enum {
    KIRO_REFRESH_OK = 0,
    KIRO_REFRESH_TRANSIENT,     /* again later */
    KIRO_REFRESH_STALE,         /* invalid_grant: re-read the source, else terminal */
    KIRO_REFRESH_TERMINAL       /* a person must log in */
} kiro_refresh_verdict;

/*
 * Takes the auth host's answer into the credential. It changes only on
 * KIRO_REFRESH_OK; f says why otherwise (log text without secrets).
 */
kiro_refresh_verdict kiro_refresh_reply(kiro_credential *cred, int64_t now,
    int status, const char *body, size_t len, kiro_failure *f);

/*
 * Memory for secrets, in whole pages: it is in no core dump, and wiped when it is
 * freed with the size that it was allocated with. NULL: out of memory.
 */
void *kiro_secret_alloc(size_t size);
void kiro_secret_free(void *data, size_t size);

#ifdef __cplusplus
}
#endif

#endif
