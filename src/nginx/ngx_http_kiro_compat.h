
/*
 * Differences between nginx versions that touch the module.
 */


#ifndef _NGX_HTTP_KIRO_COMPAT_H_INCLUDED_
#define _NGX_HTTP_KIRO_COMPAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* NGINX_NAME is of freenginx, which has gone its own way since 1.25.4 */

#if (nginx_version >= 1027002 && !defined NGINX_NAME)
#define ngx_http_kiro_parse_chunked(r, b, ctx)                                \
    ngx_http_parse_chunked(r, b, ctx, 0)
#else
#define ngx_http_kiro_parse_chunked(r, b, ctx)                                \
    ngx_http_parse_chunked(r, b, ctx)
#endif


/* header tables became linked lists in 1.23.0 */

#if (nginx_version >= 1023000)
#define ngx_http_kiro_header_init(h)  (h)->next = NULL
#else
#define ngx_http_kiro_header_init(h)
#endif


/* one location of Angie has several names */

#if (angie_version >= 1003000)
typedef ngx_http_core_loc_t       ngx_http_kiro_named_location_t;
#else
typedef ngx_http_core_loc_conf_t  ngx_http_kiro_named_location_t;
#endif


/* what limit_req and limit_conn note on a request that they refuse */

#if (nginx_version >= 1017006)
#define ngx_http_kiro_limited(r)                                              \
    ((r)->main->limit_req_status == 3 || (r)->main->limit_conn_status == 2)
#else
#define ngx_http_kiro_limited(r)  0
#endif


#endif /* _NGX_HTTP_KIRO_COMPAT_H_INCLUDED_ */
