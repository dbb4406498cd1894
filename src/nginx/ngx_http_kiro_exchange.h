
/*
 * The parts of a request's way to the service and back.
 */


#ifndef _NGX_HTTP_KIRO_EXCHANGE_H_INCLUDED_
#define _NGX_HTTP_KIRO_EXCHANGE_H_INCLUDED_


#include "ngx_http_kiro.h"


/* ngx_http_kiro_exchange.c */
void ngx_http_kiro_exchange_start(ngx_http_request_t *r);
void ngx_http_kiro_exchange_wake(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_exchange_leave(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_exchange_launch(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_park(ngx_http_request_t *r);
void ngx_http_kiro_first_token(ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_commit(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);

/* ngx_http_kiro_dial.c */
void ngx_http_kiro_dial(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_dialled(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_hang_up(ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_peer_init(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);

/* ngx_http_kiro_retry.c */
void ngx_http_kiro_exchange_retry(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);

/* ngx_http_kiro_finish.c */
void ngx_http_kiro_exchange_fail(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_exchange_complete(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_exchange_finish(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);

/* ngx_http_kiro_fallback.c */
char *ngx_http_kiro_fallback(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_kiro_fallback_check(ngx_conf_t *cf,
    ngx_http_kiro_main_conf_t *kmcf);
ngx_uint_t ngx_http_kiro_fall_back(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);
ngx_http_kiro_ctx_t *ngx_http_kiro_fallen(ngx_http_request_t *r);
ngx_http_kiro_ctx_t *ngx_http_kiro_last(ngx_http_request_t *r);
ngx_http_kiro_ctx_t *ngx_http_kiro_asked(ngx_http_kiro_ctx_t *ctx);
ngx_http_kiro_ctx_t *ngx_http_kiro_fallback_place(ngx_http_request_t *r);
ngx_int_t ngx_http_kiro_fallback_list(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, ngx_str_t *value, ngx_uint_t accounts);

/* ngx_http_kiro_ping.c */
void ngx_http_kiro_ping_init(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_ping_start(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_ping_stop(ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_stream_header(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx);

/* ngx_http_kiro_upstream.c */
ngx_int_t ngx_http_kiro_attempt_start(ngx_http_request_t *sr,
    ngx_http_kiro_ctx_t *ctx);
ngx_int_t ngx_http_kiro_upstream_conf(ngx_conf_t *cf,
    ngx_http_kiro_loc_conf_t *klcf, ngx_http_kiro_peer_t *peer);

/* ngx_http_kiro_gate.c */
ngx_int_t ngx_http_kiro_gate(ngx_http_request_t *sr);
ngx_int_t ngx_http_kiro_no_stream(ngx_http_request_t *sr,
    ngx_http_kiro_attempt_t *at);
ngx_int_t ngx_http_kiro_input_filter_init(void *data);
ngx_int_t ngx_http_kiro_input_filter(void *data, ssize_t bytes);

/* ngx_http_kiro_inflate.c */
ngx_int_t ngx_http_kiro_inflate(ngx_pool_t *pool, ngx_str_t *text);

/* ngx_http_kiro_outcome.c */
void ngx_http_kiro_attempt_end(ngx_http_request_t *sr, ngx_int_t rc);
void ngx_http_kiro_attempt_classify(ngx_http_kiro_ctx_t *ctx, ngx_int_t rc);

/* ngx_http_kiro_reply.c */
ngx_int_t ngx_http_kiro_create_reply(ngx_http_kiro_ctx_t *ctx, kiro_str model);
void ngx_http_kiro_drop_reply(ngx_http_kiro_ctx_t *ctx);
double ngx_http_kiro_credits(ngx_http_kiro_ctx_t *ctx);
double ngx_http_kiro_total_credits(ngx_http_kiro_ctx_t *ctx);

/* ngx_http_kiro_count.c */
void ngx_http_kiro_count_tokens(ngx_http_request_t *r);
void ngx_http_kiro_count_prompt(ngx_http_kiro_ctx_t *ctx);

/* ngx_http_kiro_notice.c */
ngx_int_t ngx_http_kiro_notice_init(ngx_http_kiro_zone_t *zone, size_t size);
void ngx_http_kiro_notice_give(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_notice_written(ngx_http_kiro_ctx_t *ctx,
    kiro_request_info *info);
void ngx_http_kiro_notice_retry(ngx_http_kiro_ctx_t *ctx);
void ngx_http_kiro_notice_settle(ngx_http_kiro_ctx_t *ctx);


#endif /* _NGX_HTTP_KIRO_EXCHANGE_H_INCLUDED_ */
