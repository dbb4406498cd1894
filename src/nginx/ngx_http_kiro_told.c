
/*
 * What a request comes to: the same for the variables and the counters.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_stats.h"


/* NGX_DECLINED: nobody was told anything */

ngx_int_t
ngx_http_kiro_usage(ngx_http_kiro_ctx_t *ctx, kiro_reply_info *info)
{
    if (ctx->reply == NULL) {
        return NGX_DECLINED;
    }

    kiro_reply_get_info(ctx->reply, info);

    if ((!ctx->answered && !ctx->filter) || (info->failed && !info->started)) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* what the client saw: a kiro_failure_kind, or NGX_HTTP_KIRO_CLIENT_CLOSED */

ngx_uint_t
ngx_http_kiro_error(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    if (r->connection->timedout
        && (ctx->left || ctx->fell || ctx->failure.kind == KIRO_FAIL_NONE))
    {
        return KIRO_FAIL_CLIENT_TIMEOUT;
    }

    if (ctx->left
        || r->headers_out.status == NGX_HTTP_CLIENT_CLOSED_REQUEST
        || (ctx->failure.kind == KIRO_FAIL_NONE && ctx->kreq == NULL
            && r->connection->error))
    {
        return NGX_HTTP_KIRO_CLIENT_CLOSED;
    }

    /* the answer is another location's */

    if (ctx->fell) {
        return KIRO_FAIL_NONE;
    }

    if (ctx->filter) {
        return kiro_reply_failure(ctx->reply)->kind;
    }

    /* a failure that a retry healed is not the request's */

    if (ctx->answered && ctx->reply
        && kiro_reply_failure(ctx->reply)->kind == KIRO_FAIL_NONE)
    {
        return KIRO_FAIL_NONE;
    }

    return ctx->failure.kind;
}


const char *
ngx_http_kiro_error_name(ngx_uint_t cause)
{
    return cause == NGX_HTTP_KIRO_CLIENT_CLOSED ? "client_closed"
                                                : kiro_failure_name(cause);
}


/* millionths of a credit, in which logs and counters have them */

uint64_t
ngx_http_kiro_micro(double credits)
{
    return (uint64_t) (credits * 1e6 + 0.5);
}
