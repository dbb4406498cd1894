
/*
 * The kiro_account block: parsing, checks, and the reading of the credential
 * source by the master process.
 */


#include "ngx_http_kiro.h"


static char *ngx_http_kiro_account_directive(ngx_conf_t *cf,
    ngx_command_t *dummy, void *conf);
static char *ngx_http_kiro_account_source(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kiro_account_not_built(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_kiro_account_credential(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
static ngx_int_t ngx_http_kiro_account_ssl(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
static ngx_int_t ngx_http_kiro_account_runtime(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
static ngx_int_t ngx_http_kiro_account_auth(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
static char *ngx_http_kiro_account_models_interval(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_kiro_account_management(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account);
static ngx_int_t ngx_http_kiro_account_url(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account, ngx_str_t *value, char *name,
    ngx_url_t *u, ngx_uint_t *ssl);
static void ngx_http_kiro_account_cleanup(void *data);


static ngx_conf_enum_t  ngx_http_kiro_wires[] = {
    { ngx_string("v3"), KIRO_WIRE_V3 },
    { ngx_string("v2"), KIRO_WIRE_V2 },
    { ngx_string("rest"), KIRO_WIRE_REST },
    { ngx_null_string, 0 }
};


/* directives of the block, with the number of their arguments as type */

static ngx_command_t  ngx_http_kiro_account_commands[] = {

    { ngx_string("api_key_file"), 2,
      ngx_http_kiro_account_source, 0, KIRO_SOURCE_API_KEY_FILE, NULL },

    { ngx_string("credentials_file"), 2,
      ngx_http_kiro_account_source, 0, KIRO_SOURCE_CREDENTIALS_FILE, NULL },

    { ngx_string("refresh_token_file"), 2,
      ngx_http_kiro_account_source, 0, KIRO_SOURCE_REFRESH_TOKEN_FILE, NULL },

    { ngx_string("credentials_db"), 2,
      ngx_http_kiro_account_not_built, 0, 0, NULL },

    { ngx_string("write_back"), 2,
      ngx_http_kiro_account_not_built, 0, 0, NULL },

    { ngx_string("resolver"), 2,
      ngx_http_kiro_account_not_built, 0, 0, NULL },

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

    { ngx_string("wire"), 2, ngx_conf_set_enum_slot, 0,
      offsetof(ngx_http_kiro_account_t, wire), &ngx_http_kiro_wires },

    { ngx_string("refresh"), 2, ngx_conf_set_flag_slot, 0,
      offsetof(ngx_http_kiro_account_t, refresh), NULL },

    { ngx_string("refresh_before"), 2, ngx_conf_set_msec_slot, 0,
      offsetof(ngx_http_kiro_account_t, refresh_before), NULL },

    { ngx_string("refresh_timeout"), 2, ngx_conf_set_msec_slot, 0,
      offsetof(ngx_http_kiro_account_t, refresh_timeout), NULL },

    { ngx_string("token_timeout"), 2, ngx_conf_set_msec_slot, 0,
      offsetof(ngx_http_kiro_account_t, token_timeout), NULL },

    { ngx_string("models_interval"), 2,
      ngx_http_kiro_account_models_interval, 0, 0, NULL },

    { ngx_string("ssl_verify"), 2, ngx_conf_set_flag_slot, 0,
      offsetof(ngx_http_kiro_account_t, ssl_verify), NULL },

    { ngx_string("ssl_trusted_certificate"), 2, ngx_conf_set_str_slot, 0,
      offsetof(ngx_http_kiro_account_t, ssl_trusted_certificate), NULL },

    { ngx_string("ssl_name"), 2, ngx_conf_set_str_slot, 0,
      offsetof(ngx_http_kiro_account_t, ssl_name), NULL },

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
    account->source_kind = NGX_CONF_UNSET_UINT;
    account->wire = NGX_CONF_UNSET_UINT;
    account->refresh = NGX_CONF_UNSET;
    account->refresh_before = NGX_CONF_UNSET_MSEC;
    account->refresh_timeout = NGX_CONF_UNSET_MSEC;
    account->token_timeout = NGX_CONF_UNSET_MSEC;
    account->models_interval = NGX_CONF_UNSET_MSEC;
    account->ssl_verify = NGX_CONF_UNSET;
    account->file = cf->conf_file->file.name.data;
    account->line = cf->conf_file->line;

    ngx_queue_init(&account->waiters);

    save = *cf;
    cf->handler = ngx_http_kiro_account_directive;
    cf->handler_conf = (void *) account;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    ngx_conf_init_uint_value(account->wire, KIRO_WIRE_V3);
    ngx_conf_init_value(account->refresh, 1);
    ngx_conf_init_msec_value(account->refresh_before, 600000);
    ngx_conf_init_msec_value(account->refresh_timeout, 10000);
    ngx_conf_init_msec_value(account->token_timeout, 30000);
    ngx_conf_init_msec_value(account->models_interval, 1800000);
    ngx_conf_init_value(account->ssl_verify, 1);

    if (account->source_kind == NGX_CONF_UNSET_UINT) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "kiro_account \"%V\" has no credential, add one of "
                           "\"api_key_file\", \"credentials_file\" or "
                           "\"refresh_token_file\"", &account->name);
        return NGX_CONF_ERROR;
    }

    if (account->refresh_timeout == 0 || account->token_timeout == 0) {
        return "needs timeouts above zero";
    }

    if (ngx_http_kiro_account_credential(cf, account) != NGX_OK
        || ngx_http_kiro_account_ssl(cf, account) != NGX_OK
        || ngx_http_kiro_account_runtime(cf, account) != NGX_OK
        || ngx_http_kiro_account_auth(cf, account) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
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

        if (cmd->type != cf->args->nelts) {
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

    ngx_str_t  *value;

    if (account->source_kind != NGX_CONF_UNSET_UINT) {
        return "is a second credential of this account; keep one";
    }

    value = cf->args->elts;

    account->source_kind = cmd->offset;
    account->source = value[1];

    if (ngx_conf_full_name(cf->cycle, &account->source, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_kiro_account_models_interval(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_kiro_account_t *account = conf;

    ngx_str_t  *value;

    if (account->models_interval != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        account->models_interval = 0;
        return NGX_CONF_OK;
    }

    account->models_interval = ngx_parse_time(&value[1], 0);

    if (account->models_interval == (ngx_msec_t) NGX_ERROR
        || account->models_interval == 0)
    {
        return "must be a time or \"off\"";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_kiro_account_not_built(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return "is not built yet in this version";
}


static ngx_int_t
ngx_http_kiro_account_credential(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account)
{
    kiro_str               region;
    kiro_failure           f;
    kiro_credential       *source, *state;
    kiro_credential_view   view;

    static char  *keys[] = {
        "api_key_file", "credentials_file", "refresh_token_file"
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

    source = kiro_store_read_source(account->source_kind,
                                    (char *) account->source.data, &f);

    if (source == NULL) {

        if (state == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "kiro_account \"%V\": %s in \"%s\" of %s:%ui",
                          &account->name, f.message,
                          keys[account->source_kind], account->file,
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

    if (account->region.len == 0) {

        if (kiro_arn_region(view.profile_arn, &region) != KIRO_OK) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "kiro_account \"%V\": the profile ARN is malformed, "
                          "set \"profile_arn\" or \"region\", in %s:%ui",
                          &account->name, account->file, account->line);
            return NGX_ERROR;
        }

        account->region.data = ngx_pnalloc(cf->pool, region.len);
        if (account->region.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(account->region.data, region.data, region.len);
        account->region.len = region.len;
    }

    ngx_log_error(NGX_LOG_NOTICE, cf->log, 0,
                  "kiro_account \"%V\": %s, region %V",
                  &account->name, kiro_login_name(view.login),
                  &account->region);

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_account_ssl(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    ngx_pool_cleanup_t  *cln;

    account->ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (account->ssl == NULL) {
        return NGX_ERROR;
    }

    account->ssl->log = cf->log;

    if (ngx_ssl_create(account->ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(account->ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = account->ssl;

    if (account->ssl_trusted_certificate.len) {

        if (ngx_ssl_trusted_certificate(cf, account->ssl,
                                        &account->ssl_trusted_certificate, 5)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

    } else if (account->ssl_verify
               && SSL_CTX_set_default_verify_paths(account->ssl->ctx) == 0)
    {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "SSL_CTX_set_default_verify_paths() failed");
        return NGX_ERROR;
    }

    return ngx_ssl_client_session_cache(cf, account->ssl, 1);
}


/* splits off the scheme and lets nginx parse the rest */

static ngx_int_t
ngx_http_kiro_account_url(ngx_conf_t *cf, ngx_http_kiro_account_t *account,
    ngx_str_t *value, char *name, ngx_url_t *u, ngx_uint_t *ssl)
{
    size_t  add;

    if (value->len > 8
        && ngx_strncasecmp(value->data, (u_char *) "https://", 8) == 0)
    {
        add = 8;
        u->default_port = 443;
        *ssl = 1;

    } else if (value->len > 7
               && ngx_strncasecmp(value->data, (u_char *) "http://", 7) == 0)
    {
        add = 7;
        u->default_port = 80;
        *ssl = 0;

    } else {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "kiro_account \"%V\": \"%s %V\" must begin with "
                      "\"https://\" or \"http://\" in %s:%ui",
                      &account->name, name, value, account->file,
                      account->line);
        return NGX_ERROR;
    }

    u->url.data = value->data + add;
    u->url.len = value->len - add;
    u->uri_part = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_account_runtime(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    ngx_url_t    u;
    ngx_str_t    host;
    ngx_uint_t   ssl;

    host.len = sizeof("runtime..kiro.dev") - 1 + account->region.len;

    host.data = ngx_pnalloc(cf->pool, host.len);
    if (host.data == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(host.data, "runtime.%V.kiro.dev", &account->region);

    account->service_host = host;

    if (account->endpoint.len == 0) {
        account->endpoint.len = sizeof("https://") - 1 + host.len;

        account->endpoint.data = ngx_pnalloc(cf->pool, account->endpoint.len);
        if (account->endpoint.data == NULL) {
            return NGX_ERROR;
        }

        ngx_sprintf(account->endpoint.data, "https://%V", &host);
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    if (ngx_http_kiro_account_url(cf, account, &account->endpoint, "endpoint",
                                  &u, &ssl)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    u.no_resolve = 1;

    account->upstream = ngx_http_upstream_add(cf, &u, 0);
    if (account->upstream == NULL) {
        return NGX_ERROR;
    }

    account->upstream_ssl = ssl;
    account->prefix = u.uri;

    while (account->prefix.len
           && account->prefix.data[account->prefix.len - 1] == '/')
    {
        account->prefix.len--;
    }

    account->host = u.host;

    return NGX_OK;
}


/*
 * The name of an upstream{} block is nobody's host name: without "ssl_name" the
 * service's own name is used.  Blocks may follow the account, so this is decided
 * when all of http{} was read.
 */

ngx_int_t
ngx_http_kiro_account_init(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    u_char  *p;

    if (account->ssl_name.len) {
        account->host = account->ssl_name;

    } else if (account->upstream->flags & NGX_HTTP_UPSTREAM_CREATE) {
        account->host = account->service_host;
    }

    p = ngx_pnalloc(cf->pool, account->host.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_cpystrn(p, account->host.data, account->host.len + 1);

    account->host.data = p;
    account->ssl_name_value.value = account->host;

    return ngx_http_kiro_account_management(cf, account);
}


/*
 * Without it the built-in models are used, so the default host may be unknown
 * here.  Beside an endpoint that is not the service itself there is no default: a
 * token goes to no host that the operator may not have in mind.
 */

static ngx_int_t
ngx_http_kiro_account_management(ngx_conf_t *cf,
    ngx_http_kiro_account_t *account)
{
    ngx_str_t   url;
    ngx_url_t   u;
    ngx_uint_t  ssl;

    if (account->models_interval == 0) {
        return NGX_OK;
    }

    url = account->management_endpoint;

    if (url.len == 0) {

        if (!(account->upstream->flags & NGX_HTTP_UPSTREAM_CREATE)
            && (account->upstream->host.len != account->service_host.len
                || ngx_strncasecmp(account->upstream->host.data,
                                   account->service_host.data,
                                   account->service_host.len)
                   != 0))
        {
            return NGX_OK;
        }

        url.len = sizeof("https://management..kiro.dev") - 1
                  + account->region.len;

        url.data = ngx_pnalloc(cf->pool, url.len);
        if (url.data == NULL) {
            return NGX_ERROR;
        }

        ngx_sprintf(url.data, "https://management.%V.kiro.dev",
                    &account->region);
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    if (ngx_http_kiro_account_url(cf, account, &url, "management_endpoint", &u,
                                  &ssl)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {

        if (account->management_endpoint.len == 0) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "kiro_account \"%V\": %s \"%V\", the built-in list "
                          "of models is used", &account->name,
                          u.err ? u.err : "invalid address", &url);
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "kiro_account \"%V\": %s in \"management_endpoint\" "
                      "\"%V\" in %s:%ui", &account->name,
                      u.err ? u.err : "invalid address", &url, account->file,
                      account->line);
        return NGX_ERROR;
    }

    account->management.host = account->ssl_name.len
                               && account->management_endpoint.len
                               ? account->ssl_name : u.host;
    account->management.prefix = u.uri;
    account->management.addrs = u.addrs;
    account->management.naddrs = u.naddrs;
    account->management.ssl = ssl;
    account->has_management = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_account_auth(ngx_conf_t *cf, ngx_http_kiro_account_t *account)
{
    size_t                 len;
    ngx_str_t              url;
    ngx_url_t              u;
    ngx_uint_t             ssl;
    kiro_credential_view   view;
    u_char                 buf[512];

    kiro_credential_get(account->credential, &view);

    url = account->auth_endpoint;

    if (url.len == 0) {

        if (view.login == KIRO_LOGIN_API_KEY || !account->refresh) {
            return NGX_OK;
        }

        len = kiro_auth_endpoint(account->credential, (char *) buf,
                                 sizeof(buf));

        if (len == 0 || len > sizeof(buf)) {
            return NGX_OK;
        }

        url.len = len;
        url.data = ngx_pnalloc(cf->pool, len);
        if (url.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(url.data, buf, len);
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    if (ngx_http_kiro_account_url(cf, account, &url, "auth_endpoint", &u, &ssl)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "kiro_account \"%V\": %s in \"auth_endpoint\" \"%V\" "
                      "in %s:%ui", &account->name,
                      u.err ? u.err : "invalid address", &url, account->file,
                      account->line);
        return NGX_ERROR;
    }

    account->auth.host = account->ssl_name.len && account->auth_endpoint.len
                         ? account->ssl_name : u.host;
    account->auth.prefix = u.uri;
    account->auth.addrs = u.addrs;
    account->auth.naddrs = u.naddrs;
    account->auth.ssl = ssl;
    account->has_auth = 1;

    while (account->auth.prefix.len
           && account->auth.prefix.data[account->auth.prefix.len - 1] == '/')
    {
        account->auth.prefix.len--;
    }

    return NGX_OK;
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
