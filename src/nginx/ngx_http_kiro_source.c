
/*
 * The credential of an account as the master reads it at configuration time.
 */


#include "ngx_http_kiro.h"


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
    kiro_failure           f;
    kiro_credential       *source, *state;
    kiro_credential_view   view;

    static char  *keys[] = {
        "api_key_file", "credentials_file", "refresh_token_file",
        "credentials_db"
    };

    state = NULL;

    if (account->state_path) {
        state = kiro_store_read_state((char *) account->state_path->name.data,
                                      (char *) account->name.data, &f);

        if (state == NULL && f.kind != KIRO_FAIL_NONE) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "kiro_account \"%V\": %s; the source is used",
                          &account->name, f.message);
        }
    }

    source = kiro_store_read_source(&account->source, &f);

    if (source == NULL) {

        if (state == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "kiro_account \"%V\": %s in \"%s\" of %s:%ui",
                          &account->name, f.message,
                          keys[account->source.kind], account->file,
                          account->line);
            return NGX_ERROR;
        }

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "kiro_account \"%V\": %s; the saved state is used",
                      &account->name, f.message);

        account->credential = state;

    } else if (state && kiro_credential_prefer_state(source, state)) {
        account->credential = state;
        kiro_credential_free(source);

    } else {
        account->credential = source;
        kiro_credential_free(state);
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

    ngx_log_error(NGX_LOG_NOTICE, cf->log, 0, "kiro_account \"%V\": %s",
                  &account->name, kiro_login_name(view.login));

    return NGX_OK;
}
