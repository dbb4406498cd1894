
/*
 * The kiro_account block: its directives, and what must be true of them.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_queue.h"


static void ngx_http_kiro_account_twins(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
static char *ngx_http_kiro_account_directive(ngx_conf_t *cf,
    ngx_command_t *dummy, void *conf);
static char *ngx_http_kiro_account_source(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kiro_account_resolver(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_kiro_account_proxy(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static void ngx_http_kiro_account_cleanup(void *data);


static ngx_conf_enum_t  ngx_http_kiro_wires[] = {
    { ngx_string("v3"), KIRO_WIRE_V3 },
    { ngx_string("v2"), KIRO_WIRE_V2 },
    { ngx_string("rest"), KIRO_WIRE_REST },
    { ngx_null_string, 0 }
};


/*
 * Directives of the block, with the number of their arguments as type; 0: any
 * above one.
 */

static ngx_command_t  ngx_http_kiro_account_commands[] = {

    { ngx_string("api_key_file"), 2,
      ngx_http_kiro_account_source, 0, KIRO_SOURCE_API_KEY_FILE, NULL },

    { ngx_string("credentials_file"), 2,
      ngx_http_kiro_account_source, 0, KIRO_SOURCE_CREDENTIALS_FILE, NULL },

    { ngx_string("refresh_token_file"), 2,
      ngx_http_kiro_account_source, 0, KIRO_SOURCE_REFRESH_TOKEN_FILE, NULL },

    { ngx_string("credentials_db"), 2,
      ngx_http_kiro_account_source, 0, KIRO_SOURCE_CREDENTIALS_DB, NULL },

    { ngx_string("credentials_db_key"), 2, ngx_conf_set_str_slot, 0,
      offsetof(ngx_http_kiro_account_t, credentials_db_key), NULL },

    { ngx_string("write_back"), 2, ngx_conf_set_flag_slot, 0,
      offsetof(ngx_http_kiro_account_t, write_back), NULL },

    { ngx_string("allow_exposed_files"), 2, ngx_conf_set_flag_slot, 0,
      offsetof(ngx_http_kiro_account_t, allow_exposed_files), NULL },

    { ngx_string("state_path"), 2, ngx_conf_set_path_slot, 0,
      offsetof(ngx_http_kiro_account_t, state_path), NULL },

    { ngx_string("region"), 2, ngx_conf_set_str_slot, 0,
      offsetof(ngx_http_kiro_account_t, region), NULL },

    { ngx_string("auth_region"), 2, ngx_conf_set_str_slot, 0,
      offsetof(ngx_http_kiro_account_t, auth_region), NULL },

    { ngx_string("profile_arn"), 2, ngx_conf_set_str_slot, 0,
      offsetof(ngx_http_kiro_account_t, profile_arn), NULL },

    { ngx_string("endpoint"), 2, ngx_conf_set_str_slot, 0,
      offsetof(ngx_http_kiro_account_t, endpoint), NULL },

    { ngx_string("auth_endpoint"), 2, ngx_conf_set_str_slot, 0,
      offsetof(ngx_http_kiro_account_t, auth_endpoint), NULL },

    { ngx_string("management_endpoint"), 2, ngx_conf_set_str_slot, 0,
      offsetof(ngx_http_kiro_account_t, management_endpoint), NULL },

    { ngx_string("wire"), 2, ngx_http_kiro_one_of, 0,
      offsetof(ngx_http_kiro_account_t, wire), &ngx_http_kiro_wires },

    { ngx_string("refresh"), 2, ngx_conf_set_flag_slot, 0,
      offsetof(ngx_http_kiro_account_t, refresh), NULL },

    { ngx_string("refresh_before"), 2, ngx_conf_set_msec_slot, 0,
      offsetof(ngx_http_kiro_account_t, refresh_before), NULL },

    { ngx_string("refresh_timeout"), 2, ngx_conf_set_msec_slot, 0,
      offsetof(ngx_http_kiro_account_t, refresh_timeout), NULL },

    { ngx_string("token_timeout"), 2, ngx_conf_set_msec_slot, 0,
      offsetof(ngx_http_kiro_account_t, token_timeout), NULL },

    { ngx_string("models_interval"), 2, ngx_http_kiro_time_or_off, 0,
      offsetof(ngx_http_kiro_account_t, models_interval), NULL },

    { ngx_string("usage_interval"), 2, ngx_http_kiro_time_or_off, 0,
      offsetof(ngx_http_kiro_account_t, usage_interval), NULL },

    { ngx_string("cool_down"), 2, ngx_http_kiro_time_or_off, 0,
      offsetof(ngx_http_kiro_account_t, cool_down), NULL },

    { ngx_string("quota_retry"), 2, ngx_http_kiro_time_or_off, 0,
      offsetof(ngx_http_kiro_account_t, quota_retry), NULL },

    { ngx_string("suspended_retry"), 2, ngx_http_kiro_time_or_off, 0,
      offsetof(ngx_http_kiro_account_t, suspended_retry), NULL },

    { ngx_string("kiro_concurrency"), 0,
      ngx_http_kiro_concurrency, 0, 0, NULL },

    { ngx_string("ssl_verify"), 2, ngx_conf_set_flag_slot, 0,
      offsetof(ngx_http_kiro_account_t, ssl_verify), NULL },

    { ngx_string("ssl_trusted_certificate"), 2, ngx_conf_set_str_slot, 0,
      offsetof(ngx_http_kiro_account_t, ssl_trusted_certificate), NULL },

    { ngx_string("ssl_name"), 2, ngx_conf_set_str_slot, 0,
      offsetof(ngx_http_kiro_account_t, ssl_name), NULL },

    { ngx_string("resolver"), 0, ngx_http_kiro_account_resolver, 0, 0, NULL },

    { ngx_string("resolver_timeout"), 2, ngx_conf_set_msec_slot, 0,
      offsetof(ngx_http_kiro_account_t, resolver_timeout), NULL },

    { ngx_string("proxy"), 2, ngx_http_kiro_account_proxy, 0, 0, NULL },

    { ngx_string("keepalive"), 2, ngx_conf_set_num_slot, 0,
      offsetof(ngx_http_kiro_account_t, keepalive), NULL },

    { ngx_string("keepalive_timeout"), 2, ngx_conf_set_msec_slot, 0,
      offsetof(ngx_http_kiro_account_t, keepalive_timeout), NULL },

      ngx_null_command
};


char *
ngx_http_kiro_account_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_main_conf_t *kmcf = conf;

    u_char                    ch;
    char                     *rv;
    size_t                    n;
    ngx_str_t                *value;
    ngx_conf_t                save;
    ngx_pool_cleanup_t       *cln;
    ngx_http_kiro_account_t  *account, **slot;

    value = cf->args->elts;

    if (value[1].len == 0 || value[1].len > NGX_HTTP_KIRO_NAME_MAX) {
        return "needs a name of 1 to 64 characters";
    }

    /* the name becomes a file name below state_path */

    for (n = 0; n < value[1].len; n++) {
        ch = value[1].data[n];

        if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
            || (ch >= '0' && ch <= '9') || ch == '_'
            || (n && (ch == '-' || ch == '.')))
        {
            continue;
        }

        return "needs a name of letters, digits, \"_\", \"-\" and \".\"";
    }

    if (ngx_http_kiro_account_find(kmcf, &value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate kiro_account \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    account = ngx_pcalloc(cf->pool, sizeof(ngx_http_kiro_account_t));
    if (account == NULL) {
        return NGX_CONF_ERROR;
    }

    slot = ngx_array_push(&kmcf->accounts);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = account;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_kiro_account_cleanup;
    cln->data = account;

    account->name = value[1];
    account->wire = NGX_CONF_UNSET_UINT;
    account->allow_exposed_files = NGX_CONF_UNSET;
    account->refresh = NGX_CONF_UNSET;
    account->write_back = NGX_CONF_UNSET;
    account->refresh_before = NGX_CONF_UNSET_MSEC;
    account->refresh_timeout = NGX_CONF_UNSET_MSEC;
    account->token_timeout = NGX_CONF_UNSET_MSEC;
    account->models_interval = NGX_CONF_UNSET_MSEC;
    account->usage_interval = NGX_CONF_UNSET_MSEC;
    account->cool_down = NGX_CONF_UNSET_MSEC;
    account->quota_retry = NGX_CONF_UNSET_MSEC;
    account->suspended_retry = NGX_CONF_UNSET_MSEC;
    account->ssl_verify = NGX_CONF_UNSET;
    account->resolver_timeout = NGX_CONF_UNSET_MSEC;
    account->keepalive = NGX_CONF_UNSET;
    account->keepalive_timeout = NGX_CONF_UNSET_MSEC;
    account->file = cf->conf_file->file.name.data;
    account->line = cf->conf_file->line;

    ngx_queue_init(&account->waiters);
    ngx_queue_init(&account->queued);

    save = *cf;
    cf->handler = ngx_http_kiro_account_directive;
    cf->handler_conf = (void *) account;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    ngx_conf_init_uint_value(account->wire, KIRO_WIRE_V3);
    ngx_conf_init_value(account->allow_exposed_files, 0);
    ngx_conf_init_value(account->refresh, 1);
    ngx_conf_init_value(account->write_back, 0);
    ngx_conf_init_msec_value(account->refresh_before, 600000);
    ngx_conf_init_msec_value(account->refresh_timeout, 10000);
    ngx_conf_init_msec_value(account->token_timeout, 30000);
    ngx_conf_init_msec_value(account->models_interval, 1800000);

    /* who keeps away from the management host does so altogether */

    if (account->models_interval == 0
        && account->usage_interval == NGX_CONF_UNSET_MSEC)
    {
        account->usage_interval = 0;
    }

    ngx_conf_init_msec_value(account->usage_interval, 300000);
    ngx_conf_init_msec_value(account->cool_down, 600000);
    ngx_conf_init_msec_value(account->quota_retry, 300000);
    ngx_conf_init_msec_value(account->suspended_retry, 3600000);
    ngx_conf_init_value(account->ssl_verify, 1);
    ngx_conf_init_msec_value(account->resolver_timeout, 5000);
    ngx_conf_init_value(account->keepalive, 16);
    ngx_conf_init_msec_value(account->keepalive_timeout, 55000);

    if (account->source.path) {
        account->source.kind = kiro_store_detect(&account->source);
    }

    if (account->credentials_db_key.len) {

        if (account->source.path == NULL
            || account->source.kind != KIRO_SOURCE_CREDENTIALS_DB)
        {
            return "has \"credentials_db_key\" without a database";
        }

        account->source.key = (char *) account->credentials_db_key.data;
    }

    if (account->refresh_timeout == 0 || account->token_timeout == 0) {
        return "needs timeouts above zero";
    }

    /* whether it needs a credential is known when all locations are */

    if ((account->source.path
         && ngx_http_kiro_source_init(cf, account) != NGX_OK)
        || ngx_http_kiro_write_back_check(cf, account) != NGX_OK
        || ngx_http_kiro_endpoint_init(cf, account) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_http_kiro_account_twins(cf, account);

    return NGX_CONF_OK;
}


/* each refresh of one spends the refresh token of the other */

static void
ngx_http_kiro_account_twins(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    ngx_uint_t                  i;
    ngx_http_kiro_account_t   **other;
    ngx_http_kiro_main_conf_t  *kmcf;

    if (account->source.path == NULL || !account->refresh
        || account->source.kind == KIRO_SOURCE_API_KEY_FILE)
    {
        return;
    }

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kiro_module);

    other = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        if (other[i] == account || other[i]->source.path == NULL
            || !other[i]->refresh
            || ngx_strcmp(other[i]->source.path, account->source.path) != 0
            || other[i]->credentials_db_key.len
               != account->credentials_db_key.len
            || ngx_strncmp(other[i]->credentials_db_key.data,
                           account->credentials_db_key.data,
                           account->credentials_db_key.len)
               != 0)
        {
            continue;
        }

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "kiro_account \"%V\": %s is the login of \"%V\" as well; "
                      "they will log each other out: use one account, or "
                      "\"refresh off\" in one of them", &account->name,
                      account->source.path, &other[i]->name);
        return;
    }
}


static char *
ngx_http_kiro_account_directive(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf)
{
    char           *rv;
    ngx_str_t      *value;
    ngx_command_t  *cmd;

    value = cf->args->elts;

    for (cmd = ngx_http_kiro_account_commands; cmd->name.len; cmd++) {

        if (cmd->name.len != value[0].len
            || ngx_strcmp(cmd->name.data, value[0].data) != 0)
        {
            continue;
        }

        if (cmd->type ? cmd->type != cf->args->nelts : cf->args->nelts < 2) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number of arguments in \"%V\" directive",
                               &value[0]);
            return NGX_CONF_ERROR;
        }

        rv = cmd->set(cf, cmd, conf);

        if (rv == NGX_CONF_OK || rv == NGX_CONF_ERROR) {
            return rv;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" directive %s",
                           &value[0], rv);
        return NGX_CONF_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown directive \"%V\" in kiro_account", &value[0]);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_kiro_account_source(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_account_t *account = conf;

    ngx_str_t  *value, path;

    if (account->source.path) {
        return "is a second credential of this account; keep one";
    }

    value = cf->args->elts;
    path = value[1];

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    account->source.kind = cmd->offset;
    account->source.path = (char *) path.data;

    return NGX_CONF_OK;
}


static char *
ngx_http_kiro_account_resolver(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_account_t *account = conf;

    ngx_str_t  *value;

    if (account->resolver) {
        return "is duplicate";
    }

    value = cf->args->elts;

    account->resolver = ngx_resolver_create(cf, &value[1], cf->args->nelts - 1);

    return account->resolver ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_kiro_account_proxy(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_account_t *account = conf;

    return ngx_http_kiro_host_proxy(cf, account, cf->args->elts);
}


ngx_http_kiro_account_t *
ngx_http_kiro_account_find(ngx_http_kiro_main_conf_t *kmcf, ngx_str_t *name)
{
    ngx_uint_t                 i;
    ngx_http_kiro_account_t  **account;

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {
        if (account[i]->name.len == name->len
            && ngx_strncmp(account[i]->name.data, name->data, name->len) == 0)
        {
            return account[i];
        }
    }

    return NULL;
}


static void
ngx_http_kiro_account_cleanup(void *data)
{
    ngx_http_kiro_account_t *account = data;

    kiro_credential_free(account->credential);
    account->credential = NULL;

    if (account->catalogue.data) {
        ngx_free(account->catalogue.data);
        account->catalogue.data = NULL;
    }
}
