
/*
 * Looking after the accounts from time to time: other workers change the zone,
 * and nothing tells of it.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_poll.h"


static void ngx_http_kiro_poll_handler(ngx_event_t *ev);


void
ngx_http_kiro_poll_init(ngx_http_kiro_poll_t *poll, ngx_cycle_t *cycle,
    ngx_msec_t interval, ngx_http_kiro_poll_pt look)
{
    ngx_memzero(poll, sizeof(ngx_http_kiro_poll_t));

    poll->connection.fd = (ngx_socket_t) -1;

    poll->event.handler = ngx_http_kiro_poll_handler;
    poll->event.data = &poll->connection;
    poll->event.log = cycle->log;

    poll->interval = interval;
    poll->look = look;
}


/* there is somebody to look after */

void
ngx_http_kiro_poll_soon(ngx_http_kiro_poll_t *poll)
{
    if (!poll->event.timer_set) {
        ngx_add_timer(&poll->event, poll->interval);
    }
}


static void
ngx_http_kiro_poll_handler(ngx_event_t *ev)
{
    ngx_uint_t                   i, again;
    ngx_cycle_t                 *cycle;
    ngx_http_kiro_poll_t        *poll;
    ngx_http_kiro_account_t    **account;
    ngx_http_kiro_main_conf_t   *kmcf;

    poll = (ngx_http_kiro_poll_t *) ev;

    /* what waits for nobody does not keep a worker */

    if (ev->cancelable && (ngx_exiting || ngx_terminate || ngx_quit)) {
        return;
    }

    cycle = (ngx_cycle_t *) ngx_cycle;
    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_kiro_module);

    account = kmcf->accounts.elts;
    again = 0;

    for (i = 0; i < kmcf->accounts.nelts; i++) {
        again |= poll->look(account[i]);
    }

    if (again) {
        ngx_http_kiro_poll_soon(poll);
    }
}
