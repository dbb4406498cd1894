
/*
 * Memory for tokens: it is in no core dump, and wiped when its pool goes.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_secret.h"


#define NGX_HTTP_KIRO_SECRET_BLOCK  4096
#define NGX_HTTP_KIRO_SECRET_KEPT   256


typedef struct ngx_http_kiro_secret_s  ngx_http_kiro_secret_t;

struct ngx_http_kiro_secret_s {
    ngx_http_kiro_secret_t  *next;
};


typedef struct {
    void                    *data;
    size_t                   size;
} ngx_http_kiro_secret_ctx_t;


static void ngx_http_kiro_secret_cleanup(void *data);
#if (NGX_SSL)
static void ngx_http_kiro_secret_info(const SSL *ssl, int where, int ret);
#endif


#if (NGX_SSL)

/* nginx's own, the same for each context */

typedef void (*ngx_http_kiro_secret_pt)(const SSL *ssl, int where, int ret);

static ngx_http_kiro_secret_pt  ngx_http_kiro_secret_next;

#endif


/* blocks of this worker, wiped: each request takes two */

static ngx_http_kiro_secret_t  *ngx_http_kiro_secret_free;
static ngx_uint_t               ngx_http_kiro_secret_nfree;


void *
ngx_http_kiro_secret(ngx_pool_t *pool, size_t size)
{
    ngx_pool_cleanup_t          *cln;
    ngx_http_kiro_secret_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_http_kiro_secret_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ctx->size = size;

    if (size <= NGX_HTTP_KIRO_SECRET_BLOCK && ngx_http_kiro_secret_free) {
        ctx->data = ngx_http_kiro_secret_free;
        ngx_http_kiro_secret_free = ngx_http_kiro_secret_free->next;
        ngx_http_kiro_secret_nfree--;

    } else {
        ctx->data = kiro_secret_alloc(ngx_max(size,
                                              NGX_HTTP_KIRO_SECRET_BLOCK));
        if (ctx->data == NULL) {
            return NULL;
        }
    }

    cln->handler = ngx_http_kiro_secret_cleanup;

    return ctx->data;
}


static void
ngx_http_kiro_secret_cleanup(void *data)
{
    ngx_http_kiro_secret_ctx_t *ctx = data;

    ngx_http_kiro_secret_t  *block;

    if (ctx->size > NGX_HTTP_KIRO_SECRET_BLOCK
        || ngx_http_kiro_secret_nfree == NGX_HTTP_KIRO_SECRET_KEPT)
    {
        kiro_secret_free(ctx->data, ngx_max(ctx->size,
                                            NGX_HTTP_KIRO_SECRET_BLOCK));
        return;
    }

    ngx_explicit_memzero(ctx->data, ctx->size);

    block = ctx->data;
    block->next = ngx_http_kiro_secret_free;
    ngx_http_kiro_secret_free = block;
    ngx_http_kiro_secret_nfree++;
}


/* pools that are destroyed later keep nothing */

void
ngx_http_kiro_secret_exit_worker(void)
{
    ngx_http_kiro_secret_t  *block;

    while (ngx_http_kiro_secret_free) {
        block = ngx_http_kiro_secret_free;
        ngx_http_kiro_secret_free = block->next;
        kiro_secret_free(block, NGX_HTTP_KIRO_SECRET_BLOCK);
    }

    ngx_http_kiro_secret_nfree = NGX_HTTP_KIRO_SECRET_KEPT;
}


#if (NGX_SSL)

/* nginx collects in a buffer what TLS is to send, and with it tokens */

void
ngx_http_kiro_secret_ssl(ngx_ssl_t *ssl)
{
    ngx_http_kiro_secret_pt  next;

    next = SSL_CTX_get_info_callback(ssl->ctx);

    if (next != ngx_http_kiro_secret_info) {
        ngx_http_kiro_secret_next = next;
        SSL_CTX_set_info_callback(ssl->ctx, ngx_http_kiro_secret_info);
    }
}


static void
ngx_http_kiro_secret_info(const SSL *ssl, int where, int ret)
{
    ngx_buf_t         *b;
    ngx_connection_t  *c;

    if (ngx_http_kiro_secret_next) {
        ngx_http_kiro_secret_next(ssl, where, ret);
    }

    if (!(where & SSL_CB_HANDSHAKE_DONE)) {
        return;
    }

    c = ngx_ssl_get_connection((SSL *) ssl);

    if (c == NULL || c->pool == NULL || c->ssl == NULL || c->ssl->buf
        || !c->ssl->buffer)
    {
        return;
    }

    b = ngx_calloc_buf(c->pool);
    if (b == NULL) {
        return;
    }

    b->start = ngx_http_kiro_secret(c->pool, NGX_SSL_BUFSIZE);
    if (b->start == NULL) {
        return;
    }

    b->pos = b->start;
    b->last = b->start;
    b->end = b->start + NGX_SSL_BUFSIZE;
    b->temporary = 1;

    c->ssl->buf = b;
}

#endif
