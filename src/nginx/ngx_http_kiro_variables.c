
/*
 * $kiro_* variables.  They are read when the log is written: the objects of the
 * core live as long as the request's pool.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_budget.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_state.h"


typedef enum {
    NGX_HTTP_KIRO_VAR_API = 0,
    NGX_HTTP_KIRO_VAR_MODEL,
    NGX_HTTP_KIRO_VAR_CLIENT,
    NGX_HTTP_KIRO_VAR_ACCOUNT,
    NGX_HTTP_KIRO_VAR_ACCOUNT_STATE,
    NGX_HTTP_KIRO_VAR_STREAM,
    NGX_HTTP_KIRO_VAR_INPUT_TOKENS,
    NGX_HTTP_KIRO_VAR_OUTPUT_TOKENS,
    NGX_HTTP_KIRO_VAR_REASONING_TOKENS,
    NGX_HTTP_KIRO_VAR_CACHE_READ_TOKENS,
    NGX_HTTP_KIRO_VAR_CACHE_WRITE_TOKENS,
    NGX_HTTP_KIRO_VAR_USAGE_SOURCE,
    NGX_HTTP_KIRO_VAR_CREDITS,
    NGX_HTTP_KIRO_VAR_CONTEXT_PERCENT,
    NGX_HTTP_KIRO_VAR_ATTEMPTS,
    NGX_HTTP_KIRO_VAR_RETRIES,
    NGX_HTTP_KIRO_VAR_RETRY_REASON,
    NGX_HTTP_KIRO_VAR_FIRST_TOKEN_TIME,
    NGX_HTTP_KIRO_VAR_STOP_REASON,
    NGX_HTTP_KIRO_VAR_ERROR,
    NGX_HTTP_KIRO_VAR_REQUEST_ID,
    NGX_HTTP_KIRO_VAR_CONVERSATION,
    NGX_HTTP_KIRO_VAR_NOTICE,
    NGX_HTTP_KIRO_VAR_LOST_CALLS,
    NGX_HTTP_KIRO_VAR_NORMALIZED,
    NGX_HTTP_KIRO_VAR_QUEUE_TIME,
    NGX_HTTP_KIRO_VAR_TOKEN_WAIT_TIME,
    NGX_HTTP_KIRO_VAR_FALLBACK,
    NGX_HTTP_KIRO_VAR_FALLBACK_ACCOUNT,
    NGX_HTTP_KIRO_VAR_BUDGET_LEFT
} ngx_http_kiro_variable_e;


static ngx_int_t ngx_http_kiro_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_kiro_variable_value(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, uintptr_t data, ngx_str_t *value);
static ngx_int_t ngx_http_kiro_variable_seconds(ngx_http_request_t *r,
    ngx_str_t *value, ngx_msec_t ms);
static ngx_int_t ngx_http_kiro_variable_number(ngx_http_request_t *r,
    ngx_str_t *value, const char *fmt, double number);


static ngx_http_variable_t  ngx_http_kiro_vars[] = {

#define ngx_http_kiro_var(name, n)                                            \
    { ngx_string(name), NULL, ngx_http_kiro_variable, n,                      \
      NGX_HTTP_VAR_NOCACHEABLE, 0 }

    ngx_http_kiro_var("kiro_api", NGX_HTTP_KIRO_VAR_API),
    ngx_http_kiro_var("kiro_model", NGX_HTTP_KIRO_VAR_MODEL),
    ngx_http_kiro_var("kiro_client", NGX_HTTP_KIRO_VAR_CLIENT),
    ngx_http_kiro_var("kiro_account", NGX_HTTP_KIRO_VAR_ACCOUNT),
    ngx_http_kiro_var("kiro_account_state", NGX_HTTP_KIRO_VAR_ACCOUNT_STATE),
    ngx_http_kiro_var("kiro_stream", NGX_HTTP_KIRO_VAR_STREAM),
    ngx_http_kiro_var("kiro_input_tokens", NGX_HTTP_KIRO_VAR_INPUT_TOKENS),
    ngx_http_kiro_var("kiro_output_tokens", NGX_HTTP_KIRO_VAR_OUTPUT_TOKENS),
    ngx_http_kiro_var("kiro_reasoning_tokens",
                      NGX_HTTP_KIRO_VAR_REASONING_TOKENS),
    ngx_http_kiro_var("kiro_cache_read_tokens",
                      NGX_HTTP_KIRO_VAR_CACHE_READ_TOKENS),
    ngx_http_kiro_var("kiro_cache_write_tokens",
                      NGX_HTTP_KIRO_VAR_CACHE_WRITE_TOKENS),
    ngx_http_kiro_var("kiro_usage_source", NGX_HTTP_KIRO_VAR_USAGE_SOURCE),
    ngx_http_kiro_var("kiro_credits", NGX_HTTP_KIRO_VAR_CREDITS),
    ngx_http_kiro_var("kiro_context_percent",
                      NGX_HTTP_KIRO_VAR_CONTEXT_PERCENT),
    ngx_http_kiro_var("kiro_attempts", NGX_HTTP_KIRO_VAR_ATTEMPTS),
    ngx_http_kiro_var("kiro_retries", NGX_HTTP_KIRO_VAR_RETRIES),
    ngx_http_kiro_var("kiro_retry_reason", NGX_HTTP_KIRO_VAR_RETRY_REASON),
    ngx_http_kiro_var("kiro_first_token_time",
                      NGX_HTTP_KIRO_VAR_FIRST_TOKEN_TIME),
    ngx_http_kiro_var("kiro_stop_reason", NGX_HTTP_KIRO_VAR_STOP_REASON),
    ngx_http_kiro_var("kiro_error", NGX_HTTP_KIRO_VAR_ERROR),
    ngx_http_kiro_var("kiro_request_id", NGX_HTTP_KIRO_VAR_REQUEST_ID),
    ngx_http_kiro_var("kiro_conversation", NGX_HTTP_KIRO_VAR_CONVERSATION),
    ngx_http_kiro_var("kiro_notice", NGX_HTTP_KIRO_VAR_NOTICE),
    ngx_http_kiro_var("kiro_lost_calls", NGX_HTTP_KIRO_VAR_LOST_CALLS),
    ngx_http_kiro_var("kiro_normalized", NGX_HTTP_KIRO_VAR_NORMALIZED),
    ngx_http_kiro_var("kiro_queue_time", NGX_HTTP_KIRO_VAR_QUEUE_TIME),
    ngx_http_kiro_var("kiro_token_wait_time",
                      NGX_HTTP_KIRO_VAR_TOKEN_WAIT_TIME),
    ngx_http_kiro_var("kiro_fallback", NGX_HTTP_KIRO_VAR_FALLBACK),
    ngx_http_kiro_var("kiro_fallback_account",
                      NGX_HTTP_KIRO_VAR_FALLBACK_ACCOUNT),
    ngx_http_kiro_var("kiro_budget_left", NGX_HTTP_KIRO_VAR_BUDGET_LEFT),

      ngx_http_null_variable
};


/* indexed by kiro_api */

const ngx_str_t  ngx_http_kiro_api_names[] = {
    ngx_string("openai"),
    ngx_string("anthropic"),
    ngx_string("responses")
};


ngx_int_t
ngx_http_kiro_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_kiro_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_int_t             rc;
    ngx_str_t             value;
    ngx_http_kiro_ctx_t  *ctx;

    ctx = ngx_http_kiro_last(r->main);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_str_null(&value);

    rc = ngx_http_kiro_variable_value(r, ctx, data, &value);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED || value.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = value.data;
    v->len = value.len;

    return NGX_OK;
}


/* each in turn, NGX_DONE behind the last; NGX_DECLINED: it has no value */

ngx_int_t
ngx_http_kiro_variable_at(ngx_http_request_t *r, ngx_uint_t n, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_http_variable_value_t  v;

    *name = ngx_http_kiro_vars[n].name;

    if (name->len == 0) {
        return NGX_DONE;
    }

    ngx_memzero(&v, sizeof(ngx_http_variable_value_t));

    if (ngx_http_kiro_vars[n].get_handler(r, &v, ngx_http_kiro_vars[n].data)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (v.not_found) {
        return NGX_DECLINED;
    }

    value->data = v.data;
    value->len = v.len;

    return NGX_OK;
}


/* NGX_DECLINED: there is no value (yet) */

static ngx_int_t
ngx_http_kiro_variable_value(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx,
    uintptr_t data, ngx_str_t *value)
{
    double                      credits;
    uint64_t                    micro, left;
    kiro_reply_info             info;
    ngx_msec_t                  ms;
    ngx_uint_t                  n;
    ngx_http_kiro_ctx_t        *asked, *c;
    ngx_http_kiro_state_view_t  view;

    /* after kiro_fallback: the last account that was to answer */

    asked = ngx_http_kiro_asked(ctx);

    switch (data) {

    case NGX_HTTP_KIRO_VAR_API:
        *value = ngx_http_kiro_api_names[ctx->api];
        return NGX_OK;

    case NGX_HTTP_KIRO_VAR_MODEL:
        *value = asked->model;
        return NGX_OK;

    case NGX_HTTP_KIRO_VAR_CLIENT:
        *value = ctx->client;
        return NGX_OK;

    case NGX_HTTP_KIRO_VAR_ACCOUNT:
        *value = asked->account;
        return NGX_OK;

    case NGX_HTTP_KIRO_VAR_ACCOUNT_STATE:
        if (asked->peer == NULL || asked->caller) {
            return NGX_DECLINED;
        }

        ngx_http_kiro_state_view(asked->peer->account, &view);

        value->data = (u_char *) view.name;
        value->len = ngx_strlen(view.name);
        return NGX_OK;

    case NGX_HTTP_KIRO_VAR_CONVERSATION:
        *value = asked->conversation;
        return NGX_OK;

    case NGX_HTTP_KIRO_VAR_NOTICE:
        *value = asked->notice;
        return NGX_OK;

    case NGX_HTTP_KIRO_VAR_NORMALIZED:
        return ngx_http_kiro_normalized(asked, value);

    case NGX_HTTP_KIRO_VAR_LOST_CALLS:
        *value = asked->lost;
        return NGX_OK;

    case NGX_HTTP_KIRO_VAR_STREAM:
        if (asked->kreq == NULL) {
            return NGX_DECLINED;
        }

        value->data = (u_char *) (asked->stream ? "1" : "0");
        value->len = 1;
        return NGX_OK;

    case NGX_HTTP_KIRO_VAR_ATTEMPTS:
        if (asked->kreq == NULL) {
            return NGX_DECLINED;
        }

        for (n = 0, c = ctx; c; c = c->before) {
            n += c->attempts;
        }

        return ngx_http_kiro_variable_number(r, value, "%.0f", (double) n);

    case NGX_HTTP_KIRO_VAR_RETRIES:
        if (asked->kreq == NULL) {
            return NGX_DECLINED;
        }

        for (n = 0, c = ctx; c; c = c->before) {
            n += c->repeats;
        }

        return ngx_http_kiro_variable_number(r, value, "%.0f", (double) n);

    case NGX_HTTP_KIRO_VAR_RETRY_REASON:
        if (asked->retry_reason == NULL) {
            return NGX_DECLINED;
        }

        value->data = (u_char *) asked->retry_reason;
        value->len = ngx_strlen(value->data);
        return NGX_OK;

    case NGX_HTTP_KIRO_VAR_FIRST_TOKEN_TIME:
        if (!ctx->first_seen || ctx->fell) {
            return NGX_DECLINED;
        }

        return ngx_http_kiro_variable_seconds(r, value, ctx->first_token);

    case NGX_HTTP_KIRO_VAR_QUEUE_TIME:
        for (n = 0, ms = 0, c = ctx; c; c = c->before) {

            n |= c->queued;
            ms += c->queue_time;

            if (c->in_queue) {
                ms += ngx_current_msec - c->queue_since;
            }
        }

        if (n == 0) {
            return NGX_DECLINED;
        }

        return ngx_http_kiro_variable_seconds(r, value, ms);

    case NGX_HTTP_KIRO_VAR_TOKEN_WAIT_TIME:
        for (n = 0, ms = 0, c = ctx; c; c = c->before) {

            n |= c->waited;
            ms += c->token_time;

            if (c->waiting) {
                ms += ngx_current_msec - c->token_since;
            }
        }

        if (n == 0) {
            return NGX_DECLINED;
        }

        return ngx_http_kiro_variable_seconds(r, value, ms);

    case NGX_HTTP_KIRO_VAR_FALLBACK:
    case NGX_HTTP_KIRO_VAR_FALLBACK_ACCOUNT:
        return ngx_http_kiro_fallback_list(r, ctx, value,
                                   data == NGX_HTTP_KIRO_VAR_FALLBACK_ACCOUNT);

    case NGX_HTTP_KIRO_VAR_BUDGET_LEFT:
        if (ngx_http_kiro_budget_left(asked, &left) != NGX_OK) {
            return NGX_DECLINED;
        }

        return ngx_http_kiro_variable_number(r, value, "%.0f", (double) left);

    case NGX_HTTP_KIRO_VAR_ERROR:
        n = ngx_http_kiro_error(r->main, ctx);

        if (n == KIRO_FAIL_NONE) {
            return NGX_DECLINED;
        }

        value->data = (u_char *) ngx_http_kiro_error_name(n);
        value->len = ngx_strlen(value->data);
        return NGX_OK;

    case NGX_HTTP_KIRO_VAR_REQUEST_ID:
        if (!ctx->has_id) {
            return NGX_DECLINED;
        }

        return ngx_http_kiro_request_id(ctx, value);

    default:
        break;
    }

    /* with the headers of a stream nobody knows yet what it will come to */

    if (ctx->stream && ctx->answered && ctx->state != NGX_HTTP_KIRO_DONE) {
        return NGX_DECLINED;
    }

    if (data == NGX_HTTP_KIRO_VAR_CREDITS) {

        credits = ngx_http_kiro_total_credits(ctx);

        if (credits == 0 && !ctx->answered && !ctx->filter) {
            return NGX_DECLINED;
        }

        value->data = ngx_pnalloc(r->pool, NGX_INT64_LEN + 8);
        if (value->data == NULL) {
            return NGX_ERROR;
        }

        micro = ngx_http_kiro_micro(credits);

        value->len = ngx_sprintf(value->data, "%uL.%06uL", micro / 1000000,
                                 micro % 1000000)
                     - value->data;
        return NGX_OK;
    }

    if (ngx_http_kiro_usage(ctx, &info) != NGX_OK) {
        return NGX_DECLINED;
    }

    switch (data) {

    case NGX_HTTP_KIRO_VAR_INPUT_TOKENS:
        return ngx_http_kiro_variable_number(r, value, "%.0f",
                                             (double) info.input_tokens);

    case NGX_HTTP_KIRO_VAR_OUTPUT_TOKENS:
        return ngx_http_kiro_variable_number(r, value, "%.0f",
                                             (double) info.output_tokens);

    case NGX_HTTP_KIRO_VAR_REASONING_TOKENS:
        return ngx_http_kiro_variable_number(r, value, "%.0f",
                                             (double) info.reasoning_tokens);

    case NGX_HTTP_KIRO_VAR_CACHE_READ_TOKENS:
        return ngx_http_kiro_variable_number(r, value, "%.0f",
                                             (double) info.cache_read_tokens);

    case NGX_HTTP_KIRO_VAR_CACHE_WRITE_TOKENS:
        return ngx_http_kiro_variable_number(r, value, "%.0f",
                                             (double) info.cache_write_tokens);

    case NGX_HTTP_KIRO_VAR_USAGE_SOURCE:
        value->data = (u_char *) info.usage_source.data;
        value->len = info.usage_source.len;
        return NGX_OK;

    case NGX_HTTP_KIRO_VAR_CONTEXT_PERCENT:
        if (info.context_percent < 0) {
            return NGX_DECLINED;
        }

        return ngx_http_kiro_variable_number(r, value, "%.3f",
                                             info.context_percent);

    default: /* NGX_HTTP_KIRO_VAR_STOP_REASON */
        value->data = (u_char *) info.stop_reason.data;
        value->len = info.stop_reason.len;
        return NGX_OK;
    }
}


static ngx_int_t
ngx_http_kiro_variable_seconds(ngx_http_request_t *r, ngx_str_t *value,
    ngx_msec_t ms)
{
    value->data = ngx_pnalloc(r->pool, NGX_INT64_LEN + 8);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = ngx_sprintf(value->data, "%M.%03M", ms / 1000, ms % 1000)
                 - value->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_variable_number(ngx_http_request_t *r, ngx_str_t *value,
    const char *fmt, double number)
{
    value->data = ngx_pnalloc(r->pool, NGX_INT64_LEN + 16);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = ngx_snprintf(value->data, NGX_INT64_LEN + 16, fmt, number)
                 - value->data;

    return NGX_OK;
}
