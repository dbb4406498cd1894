
/*
 * The core's reply of a request: a new one for each attempt.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_exchange.h"



/* a new reply in place of the one of an earlier attempt */

ngx_int_t
ngx_http_kiro_create_reply(ngx_http_kiro_ctx_t *ctx, kiro_str model)
{
    ngx_str_t           request_id;
    ngx_uint_t          i;
    kiro_reply_options  opts;
    u_char              id[NGX_HTTP_KIRO_ID_LEN];

    static u_char  digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "abcdefghijklmnopqrstuvwxyz";

    ngx_http_kiro_drop_reply(ctx);

    if (ngx_http_kiro_request_id(ctx, &request_id) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_KIRO_ID_LEN; i++) {
        id[i] = digits[((ngx_uint_t) ngx_random() >> 5) % 62];
    }

    ngx_memzero(&opts, sizeof(kiro_reply_options));

    opts.api = ctx->api;
    opts.stream = ctx->stream;
    opts.request = ctx->kreq;
    opts.model = model;
    opts.id.data = (char *) id;
    opts.id.len = NGX_HTTP_KIRO_ID_LEN;
    opts.created = ngx_time();
    opts.request_id = ngx_http_kiro_str(&request_id);
    opts.tool_stream = ctx->conf->tool_stream;
    opts.max_collect = ctx->conf->max_response_size;

    ctx->reply = kiro_reply_create(&opts);

    return ctx->reply ? NGX_OK : NGX_ERROR;
}


/* what an attempt brought is gone, what it cost is not */

void
ngx_http_kiro_drop_reply(ngx_http_kiro_ctx_t *ctx)
{
    kiro_reply_info  info;

    if (ctx->reply == NULL) {
        return;
    }

    kiro_reply_get_info(ctx->reply, &info);
    ctx->credits += info.credits;

    kiro_reply_free(ctx->reply);
    ctx->reply = NULL;
}


/* of all attempts */

double
ngx_http_kiro_credits(ngx_http_kiro_ctx_t *ctx)
{
    double           credits;
    kiro_reply_info  info;

    credits = ctx->credits;

    if (ctx->reply) {
        kiro_reply_get_info(ctx->reply, &info);
        credits += info.credits;
    }

    if (ctx->first_reply) {
        kiro_reply_get_info(ctx->first_reply, &info);
        credits += info.credits;
    }

    return credits;
}


/* also of the accounts before a fallback */

double
ngx_http_kiro_total_credits(ngx_http_kiro_ctx_t *ctx)
{
    double  credits;

    for (credits = 0; ctx; ctx = ctx->before) {
        credits += ngx_http_kiro_credits(ctx);
    }

    return credits;
}
