
/*
 * Clients that wait for work which belongs to no request: they look at it again
 * and again, for a limited time.
 */


#include "ngx_http_kiro.h"


#define NGX_HTTP_KIRO_WAIT_POLL  25      /* ms */


typedef struct {
    ngx_http_request_t        *request;
    ngx_http_kiro_wait_pt      check;
    ngx_http_kiro_wait_pt      answer;
    ngx_msec_t                 deadline;
    ngx_event_t                event;
} ngx_http_kiro_wait_t;


static void ngx_http_kiro_wait_handler(ngx_event_t *ev);
static void ngx_http_kiro_wait_cleanup(void *data);


/*
 * Answers when check() says something else than NGX_AGAIN, or when the time is
 * over.  The result is for the phase engine.
 */

ngx_int_t
ngx_http_kiro_wait(ngx_http_request_t *r, ngx_msec_t time,
    ngx_http_kiro_wait_pt check, ngx_http_kiro_wait_pt answer)
{
    ngx_connection_t      *c;
    ngx_http_cleanup_t    *cln;
    ngx_http_kiro_ctx_t   *ctx;
    ngx_http_kiro_wait_t  *wait;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    if (check(r, ctx) != NGX_AGAIN) {
        return answer(r, ctx);
    }

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_kiro_wait_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    wait = cln->data;

    ngx_memzero(wait, sizeof(ngx_http_kiro_wait_t));

    wait->request = r;
    wait->check = check;
    wait->answer = answer;
    wait->deadline = ngx_current_msec + time;
    wait->event.handler = ngx_http_kiro_wait_handler;
    wait->event.data = wait;
    wait->event.log = r->connection->log;

    cln->handler = ngx_http_kiro_wait_cleanup;

    c = r->connection;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    /* edge triggered: what came before is not told again */

    if (c->read->ready || c->read->pending_eof) {
        ngx_post_event(c->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_add_timer(&wait->event, NGX_HTTP_KIRO_WAIT_POLL);

    r->main->count++;

    return NGX_DONE;
}


static void
ngx_http_kiro_wait_handler(ngx_event_t *ev)
{
    ngx_connection_t      *c;
    ngx_http_request_t    *r;
    ngx_http_kiro_ctx_t   *ctx;
    ngx_http_kiro_wait_t  *wait;

    wait = ev->data;
    r = wait->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ctx = ngx_http_get_module_ctx(r, ngx_http_kiro_module);

    if ((ngx_msec_int_t) (wait->deadline - ngx_current_msec) > 0
        && wait->check(r, ctx) == NGX_AGAIN)
    {
        ngx_add_timer(ev, NGX_HTTP_KIRO_WAIT_POLL);
        return;
    }

    ngx_http_finalize_request(r, wait->answer(r, ctx));

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_kiro_wait_cleanup(void *data)
{
    ngx_http_kiro_wait_t *wait = data;

    if (wait->event.timer_set) {
        ngx_del_timer(&wait->event);
    }
}
