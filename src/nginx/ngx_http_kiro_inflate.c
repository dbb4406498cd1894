
/*
 * Error bodies that a proxy compressed although nobody asked for it: without
 * them a refusal for good looks like one for a moment.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_exchange.h"

#include <zlib.h>


/*
 * gzip or zlib; what is cut gives its beginning.  The result is never larger than
 * an error body may be.
 */

ngx_int_t
ngx_http_kiro_inflate(ngx_pool_t *pool, ngx_str_t *text)
{
    int        rc;
    u_char    *p;
    z_stream   zs;

    if (text->len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, NGX_HTTP_KIRO_ERROR_BODY);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&zs, sizeof(z_stream));

    zs.next_in = text->data;
    zs.avail_in = (uInt) text->len;
    zs.next_out = p;
    zs.avail_out = NGX_HTTP_KIRO_ERROR_BODY;

    /* 32: either header */

    if (inflateInit2(&zs, MAX_WBITS + 32) != Z_OK) {
        return NGX_ERROR;
    }

    rc = inflate(&zs, Z_SYNC_FLUSH);

    (void) inflateEnd(&zs);

    if ((rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
        || zs.next_out == p)
    {
        return NGX_DECLINED;
    }

    text->data = p;
    text->len = zs.next_out - p;

    return NGX_OK;
}
