
/*
 * kiro_auth: requests that bring a key of their own.  It is used for that request
 * only: nothing of it, and nothing that the service says to it, is kept for others.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_access.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_secret.h"

#include <openssl/sha.h>


#define NGX_HTTP_KIRO_FINGERPRINT  8      /* bytes of the hash */
#define NGX_HTTP_KIRO_KEY_MAX      1024


static ngx_uint_t ngx_http_kiro_is_key(ngx_str_t *key);
static ngx_int_t ngx_http_kiro_caller_presented(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, ngx_str_t *key);
static ngx_int_t ngx_http_kiro_caller_variable(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, ngx_str_t *key);


char *
ngx_http_kiro_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_loc_conf_t *klcf = conf;

    ngx_str_t                         *value;
    ngx_http_compile_complex_value_t   ccv;

    if (klcf->auth != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "account") == 0) {
        klcf->auth = NGX_HTTP_KIRO_AUTH_ACCOUNT;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "passthrough") == 0) {
        klcf->auth = NGX_HTTP_KIRO_AUTH_PASSTHROUGH;
        return NGX_CONF_OK;
    }

    /* a literal would be a key that all clients share: that is an account */

    if (ngx_http_script_variables_count(&value[1]) == 0) {
        return "must be \"account\", \"passthrough\" or a variable";
    }

    klcf->auth = NGX_HTTP_KIRO_AUTH_VARIABLE;
    klcf->auth_key = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (klcf->auth_key == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = klcf->auth_key;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* a location with kiro_pass, when all of http{} is known */

ngx_int_t
ngx_http_kiro_auth_check(ngx_conf_t *cf, ngx_http_kiro_loc_conf_t *conf)
{
    ngx_uint_t             i;
    ngx_http_kiro_peer_t  *peer;

    if (conf->auth == NGX_HTTP_KIRO_AUTH_PASSTHROUGH && conf->keys) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"kiro_auth passthrough\" in location \"%V\" cannot "
                           "be used with client keys: both are sent in the "
                           "same headers; set them in other locations, or use "
                           "\"kiro_auth\" with a variable", &conf->location);
        return NGX_ERROR;
    }

    peer = conf->peers->elts;

    for (i = 0; i < conf->peers->nelts; i++) {

        if (conf->auth != NGX_HTTP_KIRO_AUTH_ACCOUNT) {
            peer[i].account->callers = 1;
            continue;
        }

        /* one of several is told when a request names it */

        if (peer[i].account->source.path == NULL
            && conf->pass->lengths == NULL)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "kiro_account \"%V\" of %s:%ui has no "
                               "credential, but \"kiro_pass %V\" in location "
                               "\"%V\" needs one; add \"api_key_file\" or "
                               "another credential to the account, or "
                               "\"kiro_auth passthrough\" to the location",
                               &peer[i].account->name, peer[i].account->file,
                               peer[i].account->line, &peer[i].account->name,
                               &conf->location);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* the end of http{} */

ngx_int_t
ngx_http_kiro_auth_settle(ngx_conf_t *cf, ngx_http_kiro_main_conf_t *kmcf)
{
    ngx_uint_t                 i;
    ngx_http_kiro_account_t  **account;

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        if (account[i]->source.path == NULL && !account[i]->callers) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "kiro_account \"%V\" has no credential, add one of "
                          "\"api_key_file\", \"credentials_file\", "
                          "\"credentials_db\" or \"refresh_token_file\"; it "
                          "needs none only for \"kiro_auth passthrough\", "
                          "in %s:%ui", &account[i]->name, account[i]->file,
                          account[i]->line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * Finds the key of a request that has to bring one.  Not NGX_OK: ctx->failure
 * says what is wrong.
 */

ngx_int_t
ngx_http_kiro_caller(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    u_char     digest[SHA256_DIGEST_LENGTH];
    ngx_int_t  rc;
    ngx_str_t  key;

    if (ctx->conf->auth == NGX_HTTP_KIRO_AUTH_ACCOUNT) {

        if (ctx->peer->account->source.path) {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "kiro_pass names the account \"%V\", which has no "
                      "credential", &ctx->account);

        kiro_failure_set(&ctx->failure, KIRO_FAIL_FORBIDDEN,
                         "no account is set up for this client");
        return NGX_DECLINED;
    }

    rc = ctx->conf->auth == NGX_HTTP_KIRO_AUTH_PASSTHROUGH
         ? ngx_http_kiro_caller_presented(r, ctx, &key)
         : ngx_http_kiro_caller_variable(r, ctx, &key);

    if (rc != NGX_OK) {
        return rc;
    }

    ctx->token.token = key;
    ctx->token.login = KIRO_LOGIN_API_KEY;
    ctx->caller = 1;

    SHA256(key.data, key.len, digest);

    ctx->fingerprint.len = sizeof("key:") - 1 + 2 * NGX_HTTP_KIRO_FINGERPRINT;
    ctx->fingerprint.data = ngx_pnalloc(r->pool, ctx->fingerprint.len);
    if (ctx->fingerprint.data == NULL) {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_INTERNAL, "out of memory");
        return NGX_ERROR;
    }

    ngx_hex_dump(ngx_cpymem(ctx->fingerprint.data, "key:", sizeof("key:") - 1),
                 digest, NGX_HTTP_KIRO_FINGERPRINT);

    if (ctx->client.len == 0) {
        ctx->client = ctx->fingerprint;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_caller_presented(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx,
    ngx_str_t *key)
{
    ngx_str_t   keys[2];
    ngx_uint_t  i;

    ngx_http_kiro_presented_keys(r, keys);

    /* of two the one that can be a Kiro key: some clients send a dummy beside it */

    for (i = 0; i < 2; i++) {
        if (ngx_http_kiro_is_key(&keys[i])) {
            *key = keys[i];
            return NGX_OK;
        }
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "kiro: the client sent no Kiro API key");

    kiro_failure_set(&ctx->failure, KIRO_FAIL_UNAUTHENTICATED,
                     keys[0].len || keys[1].len
                     ? "this is no Kiro API key: those begin with \"ksk_\""
                     : "no API key: send your Kiro API key (\"ksk_...\") as "
                       "\"Authorization: Bearer\" or \"x-api-key\"");

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_kiro_caller_variable(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx,
    ngx_str_t *key)
{
    ngx_str_t  value;

    if (ngx_http_complex_value(r, ctx->conf->auth_key, &value) != NGX_OK) {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_INTERNAL, "out of memory");
        return NGX_ERROR;
    }

    /* a value with variables is always a copy */

    key->len = value.len;
    key->data = ngx_http_kiro_secret(r->pool, value.len + 1);

    if (key->data == NULL) {
        ngx_explicit_memzero(value.data, value.len);
        kiro_failure_set(&ctx->failure, KIRO_FAIL_INTERNAL, "out of memory");
        return NGX_ERROR;
    }

    ngx_memcpy(key->data, value.data, value.len);
    ngx_explicit_memzero(value.data, value.len);

    if (ngx_http_kiro_is_key(key)) {
        return NGX_OK;
    }

    if (key->len == 0) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "kiro: the value of \"kiro_auth\" is empty for this "
                      "request (client \"%V\")", &ctx->client);

        kiro_failure_set(&ctx->failure, KIRO_FAIL_UNAUTHENTICATED,
                         "no Kiro API key is set up for this client");
        return NGX_DECLINED;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "kiro: the value of \"kiro_auth\" is no API key for this "
                  "request (client \"%V\"): those begin with \"ksk_\"",
                  &ctx->client);

    kiro_failure_set(&ctx->failure, KIRO_FAIL_UNAUTHENTICATED,
                     "what is set up as this client's Kiro API key is none: "
                     "those begin with \"ksk_\"");
    return NGX_DECLINED;
}


/* becomes a part of a header: nothing may hide in it */

static ngx_uint_t
ngx_http_kiro_is_key(ngx_str_t *key)
{
    size_t  i;

    if (key->len <= sizeof("ksk_") - 1 || key->len > NGX_HTTP_KIRO_KEY_MAX
        || ngx_strncmp(key->data, "ksk_", sizeof("ksk_") - 1) != 0)
    {
        return 0;
    }

    for (i = 0; i < key->len; i++) {
        if (key->data[i] <= ' ' || key->data[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}


/* there is nothing to refresh, and nobody but the key's owner to tell */

void
ngx_http_kiro_caller_refused(ngx_http_kiro_ctx_t *ctx)
{
    int  status;

    status = ctx->failure.upstream_status;

    kiro_failure_set(&ctx->failure, KIRO_FAIL_UNAUTHENTICATED,
                     ctx->conf->auth == NGX_HTTP_KIRO_AUTH_PASSTHROUGH
                     ? "Kiro refuses this API key"
                     : "Kiro refuses the API key that the gateway has for this "
                       "client");

    ctx->failure.upstream_status = status;
}
