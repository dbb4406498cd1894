
/*
 * kiro_fallback: a request that the account cannot serve goes to a named location,
 * as long as its client has got nothing.  nginx forgets the context of a request
 * that changes its location: the pool still knows it, for the variables.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_budget.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_stats.h"


#define NGX_HTTP_KIRO_FALL_QUOTA   0x01
#define NGX_HTTP_KIRO_FALL_AUTH    0x02
#define NGX_HTTP_KIRO_FALL_OUTAGE  0x04
#define NGX_HTTP_KIRO_FALL_BUSY    0x08


typedef struct {
    ngx_str_t                  name;
    ngx_http_core_srv_conf_t  *cscf;
    u_char                    *file;
    ngx_uint_t                 line;
} ngx_http_kiro_fallback_t;


typedef struct {
    kiro_failure_kind          kind;
    ngx_uint_t                 cause;
} ngx_http_kiro_fallback_kind_t;


static ngx_uint_t ngx_http_kiro_fallback_fits(ngx_http_kiro_ctx_t *ctx);
static void ngx_http_kiro_fallback_part(ngx_http_kiro_ctx_t *ctx,
    ngx_str_t *part, ngx_uint_t accounts);
static ngx_uint_t ngx_http_kiro_fallback_same(ngx_str_t *one, ngx_str_t *two);


static ngx_conf_bitmask_t  ngx_http_kiro_fallback_causes[] = {
    { ngx_string("quota"), NGX_HTTP_KIRO_FALL_QUOTA },
    { ngx_string("auth"), NGX_HTTP_KIRO_FALL_AUTH },
    { ngx_string("outage"), NGX_HTTP_KIRO_FALL_OUTAGE },
    { ngx_string("busy"), NGX_HTTP_KIRO_FALL_BUSY },
    { ngx_null_string, 0 }
};


/* what is the client's own fault is none: another provider would say the same */

static ngx_http_kiro_fallback_kind_t  ngx_http_kiro_fallback_kinds[] = {
    { KIRO_FAIL_QUOTA, NGX_HTTP_KIRO_FALL_QUOTA },

    { KIRO_FAIL_AUTH_EXPIRED, NGX_HTTP_KIRO_FALL_AUTH },
    { KIRO_FAIL_LOGIN_REQUIRED, NGX_HTTP_KIRO_FALL_AUTH },
    { KIRO_FAIL_TOKEN_TIMEOUT, NGX_HTTP_KIRO_FALL_AUTH },
    { KIRO_FAIL_ACCESS_DENIED, NGX_HTTP_KIRO_FALL_AUTH },
    { KIRO_FAIL_SUSPENDED, NGX_HTTP_KIRO_FALL_AUTH },

    { KIRO_FAIL_OVERLOADED, NGX_HTTP_KIRO_FALL_OUTAGE },
    { KIRO_FAIL_UPSTREAM_ERROR, NGX_HTTP_KIRO_FALL_OUTAGE },
    { KIRO_FAIL_UPSTREAM_CONNECT, NGX_HTTP_KIRO_FALL_OUTAGE },
    { KIRO_FAIL_UPSTREAM_TLS, NGX_HTTP_KIRO_FALL_OUTAGE },
    { KIRO_FAIL_UPSTREAM_TIMEOUT, NGX_HTTP_KIRO_FALL_OUTAGE },
    { KIRO_FAIL_UPSTREAM_CUT, NGX_HTTP_KIRO_FALL_OUTAGE },
    { KIRO_FAIL_UPSTREAM_PROTOCOL, NGX_HTTP_KIRO_FALL_OUTAGE },
    { KIRO_FAIL_UPSTREAM_EMPTY, NGX_HTTP_KIRO_FALL_OUTAGE },
    { KIRO_FAIL_UNAVAILABLE, NGX_HTTP_KIRO_FALL_OUTAGE },

    { KIRO_FAIL_BUSY, NGX_HTTP_KIRO_FALL_BUSY },
    { KIRO_FAIL_RATE_LIMITED, NGX_HTTP_KIRO_FALL_BUSY },

    { KIRO_FAIL_NONE, 0 }
};


/* kiro_fallback @name [quota] [auth] [outage] [busy] */

char *
ngx_http_kiro_fallback(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_loc_conf_t *klcf = conf;

    ngx_str_t                  *value;
    ngx_uint_t                  i, m;
    ngx_conf_bitmask_t         *mask;
    ngx_http_kiro_fallback_t   *fallback;
    ngx_http_kiro_main_conf_t  *kmcf;

    if (klcf->fallback.data) {
        return "is duplicate";
    }

    value = cf->args->elts;
    mask = ngx_http_kiro_fallback_causes;

    if (value[1].len < 2 || value[1].data[0] != '@') {
        return "needs a named location, \"@name\"";
    }

    klcf->fallback = value[1];

    for (i = 2; i < cf->args->nelts; i++) {

        for (m = 0; mask[m].name.len; m++) {
            if (ngx_http_kiro_fallback_same(&mask[m].name, &value[i])) {
                klcf->fallback_causes |= mask[m].mask;
                break;
            }
        }

        if (mask[m].name.len == 0) {
            return "takes \"quota\", \"auth\", \"outage\" and \"busy\"";
        }
    }

    if (klcf->fallback_causes == 0) {
        klcf->fallback_causes = NGX_HTTP_KIRO_FALL_QUOTA
                                |NGX_HTTP_KIRO_FALL_AUTH
                                |NGX_HTTP_KIRO_FALL_OUTAGE;
    }

    /* the location may come later */

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kiro_module);

    if (kmcf->fallbacks == NULL) {
        kmcf->fallbacks = ngx_array_create(cf->pool, 4,
                                           sizeof(ngx_http_kiro_fallback_t));
        if (kmcf->fallbacks == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    fallback = ngx_array_push(kmcf->fallbacks);
    if (fallback == NULL) {
        return NGX_CONF_ERROR;
    }

    fallback->name = klcf->fallback;
    fallback->cscf = ngx_http_conf_get_module_srv_conf(cf,
                                                       ngx_http_core_module);
    fallback->file = cf->conf_file->file.name.data;
    fallback->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


/* nginx itself would find out when the first request falls */

ngx_int_t
ngx_http_kiro_fallback_check(ngx_conf_t *cf, ngx_http_kiro_main_conf_t *kmcf)
{
    ngx_uint_t                        i;
    ngx_http_kiro_fallback_t         *fallback;
    ngx_http_kiro_named_location_t  **location;

    if (kmcf->fallbacks == NULL) {
        return NGX_OK;
    }

    fallback = kmcf->fallbacks->elts;

    for (i = 0; i < kmcf->fallbacks->nelts; i++) {

        location = fallback[i].cscf->named_locations;

        while (location && *location
               && !ngx_http_kiro_fallback_same(&(*location)->name,
                                               &fallback[i].name))
        {
            location++;
        }

        if (location == NULL || *location == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"kiro_fallback\" names the location \"%V\", which "
                          "this server does not have, in %s:%ui",
                          &fallback[i].name, fallback[i].file,
                          fallback[i].line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * True: the request is another location's, and may be gone already.  The caller's
 * reference on it is used up.
 */

ngx_uint_t
ngx_http_kiro_fall_back(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    ngx_uint_t  level;

    if (!ngx_http_kiro_fallback_fits(ctx)) {
        return 0;
    }

    level = ctx->held ? NGX_LOG_INFO : NGX_LOG_NOTICE;

    ngx_log_error(level, r->connection->log, 0,
                  "kiro: the request falls back to \"%V\": %s",
                  &ctx->conf->fallback, kiro_failure_name(ctx->failure.kind));

    ctx->fell = 1;

    ngx_http_kiro_exchange_leave(ctx);
    ngx_http_kiro_stats_end(ctx);
    ngx_http_kiro_budget_leave(ctx);

    /* the attempts' upstream is not the one of the answer */

    r->upstream = NULL;
    r->read_event_handler = ngx_http_block_reading;

    (void) ngx_http_named_location(r, &ctx->conf->fallback);

    ngx_http_finalize_request(r, NGX_DONE);

    return 1;
}


static ngx_uint_t
ngx_http_kiro_fallback_fits(ngx_http_kiro_ctx_t *ctx)
{
    ngx_http_kiro_ctx_t            *c;
    ngx_http_kiro_fallback_kind_t  *row;

    if (ctx->conf->fallback.len == 0 || ctx->early
        || ctx->request->header_sent)
    {
        return 0;
    }

    /* not in a circle */

    for (c = ctx->before; c; c = c->before) {
        if (ngx_http_kiro_fallback_same(&c->conf->fallback,
                                        &ctx->conf->fallback))
        {
            return 0;
        }
    }

    for (row = ngx_http_kiro_fallback_kinds; row->cause; row++) {
        if (row->kind == ctx->failure.kind) {
            return (row->cause & ctx->conf->fallback_causes) != 0;
        }
    }

    return 0;
}


/* the context that the request had before it fell back for the last time */

ngx_http_kiro_ctx_t *
ngx_http_kiro_fallen(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_kiro_ctx_t  *ctx;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_kiro_ctx_cleanup) {
            continue;
        }

        ctx = cln->data;

        if (ctx->fell) {
            return ctx;
        }
    }

    return NULL;
}


/* the context of a request also where it was sent away from what made one */

ngx_http_kiro_ctx_t *
ngx_http_kiro_last(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    if (ctx) {
        return ctx;
    }

    /* the newest is the first */

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_kiro_ctx_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


/* the context of the last account that was to answer, if there was any */

ngx_http_kiro_ctx_t *
ngx_http_kiro_asked(ngx_http_kiro_ctx_t *ctx)
{
    while (ctx->peer == NULL && ctx->before) {
        ctx = ctx->before;
    }

    return ctx;
}


/* is the request in the location that it fell back to, and from where? */

ngx_http_kiro_ctx_t *
ngx_http_kiro_fallback_place(ngx_http_request_t *r)
{
    ngx_http_kiro_ctx_t       *ctx;
    ngx_http_core_loc_conf_t  *clcf;

    ctx = ngx_http_kiro_fallen(r);

    if (ctx == NULL) {
        return NULL;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    return ngx_http_kiro_fallback_same(&clcf->name, &ctx->conf->fallback)
           ? ctx : NULL;
}


/* "quota", and of more than one "quota, upstream_error"; or their accounts */

ngx_int_t
ngx_http_kiro_fallback_list(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx,
    ngx_str_t *value, ngx_uint_t accounts)
{
    u_char               *p;
    size_t                len;
    ngx_str_t             part;
    ngx_http_kiro_ctx_t  *c;

    len = 0;

    for (c = ctx; c; c = c->before) {
        if (c->fell) {
            ngx_http_kiro_fallback_part(c, &part, accounts);
            len += part.len + sizeof(", ") - 1;
        }
    }

    if (len == 0) {
        return NGX_DECLINED;
    }

    value->data = ngx_pnalloc(r->pool, len);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = len - (sizeof(", ") - 1);

    /* the newest is the first of the chain and the last of the list */

    p = value->data + len;

    for (c = ctx; c; c = c->before) {

        if (!c->fell) {
            continue;
        }

        ngx_http_kiro_fallback_part(c, &part, accounts);

        p -= part.len + sizeof(", ") - 1;

        ngx_memcpy(p, part.data, part.len);
        ngx_memcpy(p + part.len, ", ", sizeof(", ") - 1);
    }

    return NGX_OK;
}


static void
ngx_http_kiro_fallback_part(ngx_http_kiro_ctx_t *ctx, ngx_str_t *part,
    ngx_uint_t accounts)
{
    if (accounts) {
        *part = ctx->account;
        return;
    }

    part->data = (u_char *) kiro_failure_name(ctx->failure.kind);
    part->len = ngx_strlen(part->data);
}


static ngx_uint_t
ngx_http_kiro_fallback_same(ngx_str_t *one, ngx_str_t *two)
{
    return one->len == two->len
           && ngx_strncmp(one->data, two->data, one->len) == 0;
}
