
/*
 * Client keys.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_access.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>


static ngx_http_kiro_key_t *ngx_http_kiro_add_key(ngx_conf_t *cf,
    ngx_http_kiro_loc_conf_t *klcf);
static ngx_http_kiro_key_t *ngx_http_kiro_find_key(ngx_array_t *keys,
    ngx_str_t *value);
static ngx_int_t ngx_http_kiro_hex(u_char *dst, ngx_str_t *src);


ngx_int_t
ngx_http_kiro_access_handler(ngx_http_request_t *r)
{
    ngx_str_t                  keys[2];
    ngx_uint_t                 i, n;
    ngx_http_kiro_key_t       *key;
    ngx_http_kiro_ctx_t       *ctx;
    ngx_http_kiro_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kiro_module);

    if ((klcf->pass == NULL && klcf->filter == 0) || r != r->main) {
        return NGX_DECLINED;
    }

    if (ngx_http_kiro_cors_preflight(r, klcf)) {
        return NGX_HTTP_NO_CONTENT;
    }

    if (klcf->pass == NULL || klcf->keys == NULL) {
        return NGX_DECLINED;
    }

    /* who asks for the methods has no key, nor has a probe */

    if (r->method == NGX_HTTP_OPTIONS || ngx_http_kiro_probe(r)) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_kiro_create_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_kiro_presented_keys(r, keys);

    for (i = 0, n = 0; i < 2; i++) {

        if (keys[i].len == 0) {
            continue;
        }

        n++;

        key = ngx_http_kiro_find_key(klcf->keys, &keys[i]);

        if (key) {
            ctx->client = key->name;
            return NGX_OK;
        }
    }

    if (n) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "kiro: unknown client key");
        kiro_failure_set(&ctx->failure, KIRO_FAIL_UNAUTHENTICATED,
                         "invalid API key");
    } else {
        kiro_failure_set(&ctx->failure, KIRO_FAIL_UNAUTHENTICATED,
                         "no API key: send it as \"Authorization: Bearer\" "
                         "or \"x-api-key\"");
    }

    return NGX_HTTP_UNAUTHORIZED;
}


/* clients disagree about the header: 0 is the bearer token, 1 is x-api-key */

void
ngx_http_kiro_presented_keys(ngx_http_request_t *r, ngx_str_t *keys)
{
    u_char           *p, *last;
    ngx_table_elt_t  *h;

    ngx_str_null(&keys[0]);
    ngx_str_null(&keys[1]);

    h = r->headers_in.authorization;

    if (h && h->value.len > 7
        && ngx_strncasecmp(h->value.data, (u_char *) "Bearer ", 7) == 0)
    {
        p = h->value.data + 7;
        last = h->value.data + h->value.len;

        while (p < last && *p == ' ') {
            p++;
        }

        keys[0].data = p;
        keys[0].len = last - p;
    }

    h = ngx_http_kiro_find_header(r, "x-api-key");

    if (h) {
        keys[1] = h->value;
    }
}


/* compares all of them, so that the time does not depend on the key */

static ngx_http_kiro_key_t *
ngx_http_kiro_find_key(ngx_array_t *keys, ngx_str_t *value)
{
    u_char                digest[SHA256_DIGEST_LENGTH];
    ngx_uint_t            i;
    ngx_http_kiro_key_t  *key, *found;

    SHA256(value->data, value->len, digest);

    key = keys->elts;
    found = NULL;

    for (i = 0; i < keys->nelts; i++) {
        if (CRYPTO_memcmp(key[i].digest, digest, sizeof(digest)) == 0) {
            found = &key[i];
        }
    }

    return found;
}


static ngx_http_kiro_key_t *
ngx_http_kiro_add_key(ngx_conf_t *cf, ngx_http_kiro_loc_conf_t *klcf)
{
    if (klcf->keys == NGX_CONF_UNSET_PTR) {
        klcf->keys = ngx_array_create(cf->pool, 4,
                                      sizeof(ngx_http_kiro_key_t));
        if (klcf->keys == NULL) {
            return NULL;
        }
    }

    return ngx_array_push(klcf->keys);
}


char *
ngx_http_kiro_client_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_loc_conf_t *klcf = conf;

    ngx_str_t            *value;
    ngx_http_kiro_key_t  *key;

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "must not be empty";
    }

    key = ngx_http_kiro_add_key(cf, klcf);
    if (key == NULL) {
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 3) {
        key->name = value[2];

    } else {
        ngx_str_set(&key->name, "default");
    }

    SHA256(value[1].data, value[1].len, key->digest);

    return NGX_CONF_OK;
}


/* lines of "name:sha256hex"; empty lines and "#" are skipped */

char *
ngx_http_kiro_client_keys(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_loc_conf_t *klcf = conf;

    u_char               *p, *last, *eol, *colon;
    ssize_t               n;
    ngx_fd_t              fd;
    ngx_str_t            *value, name, hex;
    ngx_uint_t            line;
    ngx_file_info_t       fi;
    ngx_http_kiro_key_t  *key;

    value = cf->args->elts;

    if (ngx_conf_full_name(cf->cycle, &value[1], 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(value[1].data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%s\" failed", value[1].data);
        return NGX_CONF_ERROR;
    }

    p = NULL;
    n = NGX_ERROR;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR
        || ngx_file_size(&fi) > 1024 * 1024)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%s\" is no key file or larger than 1m",
                           value[1].data);

    } else {
        p = ngx_palloc(cf->temp_pool, (size_t) ngx_file_size(&fi) + 1);

        if (p) {
            n = ngx_read_fd(fd, p, (size_t) ngx_file_size(&fi));
        }
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%s\" failed", value[1].data);
    }

    if (n == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    last = p + n;
    line = 0;

    for ( /* void */ ; p < last; p = eol + 1) {

        line++;

        eol = ngx_strlchr(p, last, '\n');
        if (eol == NULL) {
            eol = last;
        }

        name.data = p;
        name.len = eol - p;

        while (name.len && (name.data[name.len - 1] == ' '
                            || name.data[name.len - 1] == '\r'
                            || name.data[name.len - 1] == '\t'))
        {
            name.len--;
        }

        if (name.len == 0 || name.data[0] == '#') {
            continue;
        }

        colon = ngx_strlchr(name.data, name.data + name.len, ':');

        if (colon) {
            hex.data = colon + 1;
            hex.len = name.data + name.len - hex.data;
            name.len = colon - name.data;
        }

        key = ngx_http_kiro_add_key(cf, klcf);
        if (key == NULL) {
            return NGX_CONF_ERROR;
        }

        if (colon == NULL || name.len == 0
            || ngx_http_kiro_hex(key->digest, &hex) != NGX_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%s\" line %ui must be \"name:sha256hex\"",
                               value[1].data, line);
            return NGX_CONF_ERROR;
        }

        key->name.len = name.len;
        key->name.data = ngx_pstrdup(cf->pool, &name);
        if (key->name.data == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (klcf->keys == NGX_CONF_UNSET_PTR) {

        /* an empty file lets nobody in, rather than everybody */

        klcf->keys = ngx_array_create(cf->pool, 1,
                                      sizeof(ngx_http_kiro_key_t));
        if (klcf->keys == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_kiro_hex(u_char *dst, ngx_str_t *src)
{
    ngx_int_t   n;
    ngx_uint_t  i;

    if (src->len != 2 * SHA256_DIGEST_LENGTH) {
        return NGX_ERROR;
    }

    for (i = 0; i < SHA256_DIGEST_LENGTH; i++) {

        n = ngx_hextoi(&src->data[2 * i], 2);

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        dst[i] = (u_char) n;
    }

    return NGX_OK;
}
