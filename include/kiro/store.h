/*
 * Credential sources and the state file. Every function here blocks on a file:
 * call it while reading the configuration or in a thread, never in the event loop.
 */

#ifndef KIRO_STORE_H
#define KIRO_STORE_H

#include "kiro/credential.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    KIRO_SOURCE_API_KEY_FILE = 0,
    KIRO_SOURCE_CREDENTIALS_FILE,
    KIRO_SOURCE_REFRESH_TOKEN_FILE,
    KIRO_SOURCE_CREDENTIALS_DB  /* SQLite, of kiro-cli or Amazon Q */
} kiro_source_kind;

typedef struct {
    kiro_source_kind kind;
    const char      *path;      /* terminated */
    const char      *key;       /* of a database: the only row to use; or NULL */
    int              allow_exposed; /* files that every user may read or write are a
                                       warning, no failure */
} kiro_source;

/*
 * The kind, or KIRO_SOURCE_CREDENTIALS_DB for a credentials file that is a database.
 * Call it once, while nothing has the file open in this process.
 */
kiro_source_kind kiro_store_detect(const kiro_source *source);

/*
 * Reads a source with what belongs to it (an AWS SSO registration beside it; without
 * that the login has a warning). NULL: f says what an operator can do. A database that is locked is waited for, two
 * seconds at most.
 */
kiro_credential *kiro_store_read_source(const kiro_source *source,
    kiro_failure *f);

/*
 * Puts fresh, the result of refreshing used, into the source: tokens and expiry (and
 * the profile ARN where the record has one and the refresh brought another), all else
 * as it is. Only while the source holds a refresh token that was spent for fresh.
 *   KIRO_OK     fresh is there
 *   KIRO_AGAIN  another login is there, by somebody else; *found is that one, with ours
 *               in its lineage
 *   KIRO_ERROR  nothing has changed; f says why
 * Waits for other writers, for some seconds at most. *found is NULL otherwise.
 */
kiro_status kiro_store_write_back(const kiro_source *source,
    const kiro_credential *used, const kiro_credential *fresh,
    kiro_credential **found, kiro_failure *f);

/*
 * The directory of the state as it is found: a directory, no link that others made, of
 * root, this user or owner (-1: not known yet), where no other user may write.
 * KIRO_AGAIN: it is not there. KIRO_OK with a f->kind: f is a warning.
 */
kiro_status kiro_store_check_dir(const char *dir, int64_t owner,
    kiro_failure *f);

/* Whether this process can keep its state there. */
kiro_status kiro_store_check_usable(const char *dir, kiro_failure *f);

/*
 * dir/account.json; a file that others could read is closed to them, and the login has a
 * warning. NULL with f->kind KIRO_FAIL_NONE if there is none. */
kiro_credential *kiro_store_read_state(const char *dir, const char *account,
    kiro_failure *f);

/*
 * dir/account.json, 0600: temporary file, fsync, rename, fsync of the directory.
 */
kiro_status kiro_store_write_state(const char *dir, const char *account,
    const kiro_credential *cred, kiro_failure *f);

/*
 * dir/account.profile, 0600: what the service said about the profile of the login
 * that has this fingerprint. An empty ARN: it is a Builder ID, which has none.
 */
kiro_status kiro_store_write_profile(const char *dir, const char *account,
    kiro_str fingerprint, kiro_str arn, kiro_failure *f);

/*
 * KIRO_OK: arn[0..*len) is it, cap was enough; KIRO_AGAIN: nothing is known of this
 * login; KIRO_ERROR: f says why the file cannot be used.
 */
kiro_status kiro_store_read_profile(const char *dir, const char *account,
    kiro_str fingerprint, char *arn, size_t cap, size_t *len, kiro_failure *f);

/*
 * flock on dir/account.lock, across processes and instances; never waits.
 * KIRO_AGAIN: held by somebody else. fd is close-on-exec.
 */
kiro_status kiro_store_lock(const char *dir, const char *account, int *fd,
    kiro_failure *f);
void kiro_store_unlock(int fd);

#ifdef __cplusplus
}
#endif

#endif
