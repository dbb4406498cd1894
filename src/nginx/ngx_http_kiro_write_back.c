
/*
 * write_back: a refreshed login goes back to its source, for the program that
 * shares it.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_refresh.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


#define NGX_HTTP_KIRO_WRITE_BACK_TIME  7000   /* ms, a locked database */


static ngx_uint_t ngx_http_kiro_write_back_shared(
    ngx_http_kiro_account_t *account);
static void ngx_http_kiro_write_back_owner(ngx_http_kiro_account_t *account,
    ngx_log_t *log);


ngx_int_t
ngx_http_kiro_write_back_check(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    kiro_credential_view  view;

    ngx_http_kiro_source_view(account, &view);

    if (account->write_back
        && (view.login == KIRO_LOGIN_API_KEY || !account->refresh))
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "kiro_account \"%V\": nothing can be written with "
                      "\"write_back on\": %s, in %s:%ui", &account->name,
                      account->refresh ? "an API key is never refreshed"
                                       : "\"refresh\" is off",
                      account->file, account->line);
        return NGX_ERROR;
    }

    if (account->refresh && !account->write_back
        && view.refresh_token.len
        && (view.login != KIRO_LOGIN_OIDC || view.has_registration)
        && ngx_http_kiro_write_back_shared(account))
    {
        ngx_log_error(NGX_LOG_NOTICE, cf->log, 0,
                      "kiro_account \"%V\": %s looks like the login of kiro-cli "
                      "or the Kiro IDE; if they still use it, each refresh here "
                      "spends their refresh token, and kiro-cli then deletes "
                      "its login; safe are an API key, a login of its own for "
                      "nginx, or \"write_back on\": see docs/operations.md, "
                      "\"Sharing a login with kiro-cli\"", &account->name,
                      account->source.path);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_kiro_write_back_shared(ngx_http_kiro_account_t *account)
{
    switch (account->source.kind) {

    case KIRO_SOURCE_CREDENTIALS_DB:
        return 1;

    case KIRO_SOURCE_CREDENTIALS_FILE:
        return strstr(account->source.path, "/.aws/sso/cache/") != NULL
               || strstr(account->source.path, "kiro-auth-token") != NULL;

    default:
        return 0;
    }
}


/* only in a worker its user is known for sure */

void
ngx_http_kiro_write_back_init_worker(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    ngx_http_kiro_account_t   **account;
    ngx_http_kiro_main_conf_t  *kmcf;

    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_kiro_module);

    if (kmcf == NULL || ngx_worker != 0 || geteuid() == 0) {
        return;
    }

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {
        if (account[i]->write_back) {
            ngx_http_kiro_write_back_owner(account[i], cycle->log);
        }
    }
}


static void
ngx_http_kiro_write_back_owner(ngx_http_kiro_account_t *account, ngx_log_t *log)
{
    ngx_err_t        err;
    ngx_file_info_t  fi;

    err = 0;

    if (ngx_file_info(account->source.path, &fi) == NGX_FILE_ERROR) {
        err = ngx_errno;

    } else if (fi.st_uid == geteuid()) {
        return;
    }

    ngx_log_error(NGX_LOG_CRIT, log, err,
                  "kiro_account \"%V\": \"write_back\" cannot work: %s does "
                  "not belong to the user of the worker processes, set \"user\" "
                  "to its owner", &account->name, account->source.path);
}


/* in the thread, after the state file was written */

void
ngx_http_kiro_write_back_run(ngx_http_kiro_refresh_t *job)
{
    kiro_status               rc;
    kiro_credential_view      view;
    ngx_http_kiro_account_t  *account;

    account = job->account;

    if (!account->write_back) {
        return;
    }

    job->back_status = kiro_store_write_back(&account->source,
                                         job->used ? job->used : job->cred,
                                         job->cred, &job->found,
                                         &job->back_failure);

    if (job->back_status != KIRO_AGAIN) {
        return;
    }

    /* it is newer than ours, but worth more only if its token is still good */

    rc = kiro_credential_override(job->found,
                                  ngx_http_kiro_str(&account->profile_arn),
                                  ngx_http_kiro_str(&account->auth_region));

    kiro_credential_get(job->found, &view);

    if (rc != KIRO_OK || view.access_token.len == 0
        || (view.expires_at
            && view.expires_at - ngx_http_kiro_now() < NGX_HTTP_KIRO_USABLE))
    {
        kiro_credential_free(job->found);
        job->found = NULL;
        return;
    }

    if (account->state_path) {
        job->save_status = kiro_store_write_state(
                                     (char *) account->state_path->name.data,
                                     (char *) account->name.data, job->found,
                                     &job->failure);
    }
}


/*
 * Back in the event loop: job->cred is what is to be used.  1: that is another
 * login than the one that was saved.
 */

ngx_uint_t
ngx_http_kiro_write_back_done(ngx_http_kiro_refresh_t *job)
{
    ngx_http_kiro_account_t  *account;

    account = job->account;

    if (!account->write_back) {
        return 0;
    }

    switch (job->back_status) {

    case KIRO_OK:
        ngx_log_error(NGX_LOG_INFO, job->log, 0,
                      "kiro_account \"%V\": %s has the refreshed token",
                      &account->name, account->source.path);
        return 0;

    case KIRO_AGAIN:
        ngx_log_error(NGX_LOG_NOTICE, job->log, 0,
                      "kiro_account \"%V\": %s, that one is used %s",
                      &account->name, job->back_failure.message,
                      job->found ? "now" : "as soon as this token expires");

        if (job->found == NULL) {
            return 0;
        }

        kiro_credential_free(job->cred);
        job->cred = job->found;
        job->found = NULL;

        return 1;

    default:

        if (job->duty == NGX_HTTP_KIRO_DUTY_SAVE) {
            return 0;
        }

        ngx_log_error(NGX_LOG_CRIT, job->log, 0,
                      "kiro_account \"%V\": \"write_back\" failed: %s; %s, but "
                      "the program that shares this login has a refresh token "
                      "that is spent, and may lose its login; it is tried "
                      "again every %d s", &account->name,
                      job->back_failure.message,
                      account->state_path
                      ? "requests are served"
                      : "the refreshed token is in memory only, do not restart "
                        "nginx",
                      NGX_HTTP_KIRO_SAVE_RETRY / 1000);
        return 0;
    }
}


/* a refresh that still waits for a database is not one that died */

void
ngx_http_kiro_write_back_lease(ngx_http_kiro_refresh_t *job)
{
    ngx_http_kiro_account_t  *account;

    account = job->account;

    if (!account->write_back) {
        return;
    }

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    ngx_http_kiro_lease_extend(&account->slot->lease, job->generation,
                               NGX_HTTP_KIRO_WRITE_BACK_TIME);

    ngx_shmtx_unlock(&account->zone->shpool->mutex);
}
