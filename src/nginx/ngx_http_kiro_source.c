
/*
 * The credential of an account as the master reads it at configuration time.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


#define NGX_HTTP_KIRO_REGISTRATION_WARN  604800000    /* ms, seven days */


static ngx_int_t ngx_http_kiro_source_dir(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
static void ngx_http_kiro_source_log(ngx_http_kiro_account_t *account,
    ngx_http_kiro_remark_t *remark, ngx_log_t *log);
static void ngx_http_kiro_source_registration(ngx_http_kiro_account_t *account,
    kiro_credential *source, ngx_log_t *log);


/* without a credential of its own an account serves callers with API keys */

void
ngx_http_kiro_source_view(ngx_http_kiro_account_t *account,
    kiro_credential_view *view)
{
    if (account->credential) {
        kiro_credential_get(account->credential, view);
        return;
    }

    ngx_memzero(view, sizeof(kiro_credential_view));

    view->login = KIRO_LOGIN_API_KEY;
}


ngx_int_t
ngx_http_kiro_source_init(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    kiro_failure             f;
    kiro_credential         *source, *state;
    kiro_credential_view     view;
    ngx_http_kiro_remark_t   remark;

    static char  *keys[] = {
        "api_key_file", "credentials_file", "refresh_token_file",
        "credentials_db"
    };

    state = NULL;

    account->source.allow_exposed = (int) account->allow_exposed_files;

    if (account->state_path) {

        if (ngx_http_kiro_source_dir(cf, account) != NGX_OK) {
            return NGX_ERROR;
        }

        state = kiro_store_read_state((char *) account->state_path->name.data,
                                      (char *) account->name.data, &f);

        if (state == NULL && f.kind != KIRO_FAIL_NONE) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "kiro_account \"%V\": %s; the source is used",
                          &account->name, f.message);
        }

        if (state) {
            kiro_credential_get(state, &view);

            if (view.warning.len) {
                ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                              "kiro_account \"%V\": %*s", &account->name,
                              view.warning.len, view.warning.data);
            }
        }
    }

    source = kiro_store_read_source(&account->source, &f);

    ngx_http_kiro_source_remark(&remark, source, &f);
    account->remark = remark.crc;

    if (source && state) {
        kiro_credential_keep_registration(source, state);
    }

    if (source == NULL) {

        if (state == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "kiro_account \"%V\": %s in \"%s\" of %s:%ui",
                          &account->name, f.message,
                          keys[account->source.kind], account->file,
                          account->line);
            return NGX_ERROR;
        }

        kiro_credential_get(state, &view);

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "kiro_account \"%V\": %s; the saved state is used, a %s",
                      &account->name, f.message, kiro_login_name(view.login));

        account->credential = state;

    } else {
        ngx_http_kiro_source_log(account, &remark, cf->log);

        if (state && kiro_credential_prefer_state(source, state)) {
            ngx_log_error(NGX_LOG_NOTICE, cf->log, 0,
                          "kiro_account \"%V\": the saved state of this login "
                          "is newer and is used", &account->name);

            account->credential = state;
            ngx_http_kiro_source_registration(account, source, cf->log);
            kiro_credential_free(source);

        } else {
            account->credential = source;
            ngx_http_kiro_source_registration(account, source, cf->log);
            kiro_credential_free(state);
        }
    }

    if (kiro_credential_override(account->credential,
                                 ngx_http_kiro_str(&account->profile_arn),
                                 ngx_http_kiro_str(&account->auth_region))
        != KIRO_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "kiro_account \"%V\": \"profile_arn\" is no profile ARN, "
                      "or \"auth_region\" no region, in %s:%ui",
                      &account->name, account->file, account->line);
        return NGX_ERROR;
    }

    kiro_credential_get(account->credential, &view);

    if (view.access_token.len > NGX_HTTP_KIRO_TOKEN_MAX
        || view.profile_arn.len > NGX_HTTP_KIRO_ARN_MAX
        || kiro_credential_serialize(account->credential, NULL, 0)
           > NGX_HTTP_KIRO_RECORD_MAX)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "kiro_account \"%V\": the credential is too large in %s:%ui",
                      &account->name, account->file, account->line);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* one that is not there will be made by nginx, for the workers' user alone */

static ngx_int_t
ngx_http_kiro_source_dir(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    int64_t           owner;
    kiro_status       status;
    kiro_failure      f;
    ngx_core_conf_t  *ccf;

    owner = -1;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);

    if (geteuid() != 0) {
        owner = geteuid();

    } else if (ccf->user != (ngx_uid_t) NGX_CONF_UNSET_UINT) {
        owner = ccf->user;
    }

    status = kiro_store_check_dir((char *) account->state_path->name.data,
                                  owner, &f);

    if (status == KIRO_AGAIN) {
        return NGX_OK;
    }

    if (status != KIRO_OK) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "kiro_account \"%V\": %s, in \"state_path\" of %s:%ui",
                      &account->name, f.message, account->file,
                      account->line);
        return NGX_ERROR;
    }

    if (f.kind != KIRO_FAIL_NONE) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0, "kiro_account \"%V\": %s",
                      &account->name, f.message);
    }

    return NGX_OK;
}


/* whether the workers' user gets at what the master has prepared */

void
ngx_http_kiro_source_init_worker(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    kiro_failure                f;
    ngx_http_kiro_account_t   **account;
    ngx_http_kiro_main_conf_t  *kmcf;

    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_kiro_module);

    if (kmcf == NULL || ngx_worker != 0) {
        return;
    }

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        if (account[i]->state_path == NULL
            || kiro_store_check_usable((char *)
                                       account[i]->state_path->name.data, &f)
               == KIRO_OK)
        {
            continue;
        }

        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "kiro_account \"%V\": %s; refreshed tokens will not "
                      "survive a restart: the user of the workers must be able "
                      "to use \"state_path\" and to enter the directories "
                      "above it", &account[i]->name, f.message);
    }
}


/* source is NULL if it could not be read, and f says why; also in a thread */

void
ngx_http_kiro_source_remark(ngx_http_kiro_remark_t *remark,
    kiro_credential *source, kiro_failure *f)
{
    u_char                *end;
    kiro_credential_view   view;

    ngx_memzero(remark, sizeof(ngx_http_kiro_remark_t));

    if (source) {
        kiro_credential_get(source, &view);

        end = remark->login + sizeof(remark->login) - 1;

        (void) ngx_slprintf(remark->login, end,
                            view.found.len ? "%s (%*s)" : "%s",
                            kiro_login_name(view.login), view.found.len,
                            view.found.data);

        ngx_cpystrn(remark->warning, (u_char *) view.warning.data,
                    ngx_min(view.warning.len + 1, sizeof(remark->warning)));

    } else {
        ngx_cpystrn(remark->warning, (u_char *) f->message,
                    sizeof(remark->warning));
    }

    remark->crc = ngx_crc32_long((u_char *) remark,
                                 sizeof(ngx_http_kiro_remark_t));
}


/* the same is said once, by one worker, until something else was seen */

void
ngx_http_kiro_source_tell(ngx_http_kiro_account_t *account,
    ngx_http_kiro_remark_t *remark, ngx_log_t *log)
{
    ngx_uint_t             told;
    ngx_http_kiro_slot_t  *slot;

    slot = account->slot;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    told = slot->remark == remark->crc;
    slot->remark = remark->crc;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (!told) {
        ngx_http_kiro_source_log(account, remark, log);
    }
}


static void
ngx_http_kiro_source_log(ngx_http_kiro_account_t *account,
    ngx_http_kiro_remark_t *remark, ngx_log_t *log)
{
    if (remark->login[0] == '\0') {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "kiro_account \"%V\": %s; the login that is known is "
                      "kept, a reload looks for a new one as well",
                      &account->name, remark->warning);
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, log, 0, "kiro_account \"%V\": %s in \"%s\"",
                  &account->name, remark->login, account->source.path);

    if (remark->warning[0]) {
        ngx_log_error(NGX_LOG_WARN, log, 0, "kiro_account \"%V\": \"%s\": %s",
                      &account->name, account->source.path, remark->warning);
    }
}


static void
ngx_http_kiro_source_registration(ngx_http_kiro_account_t *account,
    kiro_credential *source, ngx_log_t *log)
{
    int64_t                left;
    kiro_credential_view   view;

    kiro_credential_get(source, &view);

    if (view.registration_expires_at == 0) {
        return;
    }

    left = view.registration_expires_at - ngx_http_kiro_now();

    if (left <= 0) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "kiro_account \"%V\": its client registration has "
                      "expired: somebody has to log in again", &account->name);

    } else if (left < NGX_HTTP_KIRO_REGISTRATION_WARN) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "kiro_account \"%V\": its client registration expires in "
                      "%L hours: then somebody has to log in again",
                      &account->name, left / 3600000);
    }
}
