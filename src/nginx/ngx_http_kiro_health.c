
/*
 * kiro_health: is this instance able to serve, account by account.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_queue.h"
#include "ngx_http_kiro_state.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


static ngx_int_t ngx_http_kiro_health_handler(ngx_http_request_t *r);


char *
ngx_http_kiro_health(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    clcf->handler = ngx_http_kiro_health_handler;

    return NGX_CONF_OK;
}


/*
 * 503 while no account has a token that works.  The reasons are for operators:
 * last_error is made by the module and holds no secret.
 */

static ngx_int_t
ngx_http_kiro_health_handler(ngx_http_request_t *r)
{
    u_char                      *p, *last, *start;
    size_t                       len;
    int64_t                      now, expires;
    ngx_int_t                    rc;
    ngx_str_t                    error;
    ngx_uint_t                   i, ready, running, waiting;
    kiro_login                   login;
    ngx_http_kiro_slot_t        *slot;
    ngx_http_kiro_account_t    **account;
    ngx_http_kiro_main_conf_t   *kmcf;
    ngx_http_kiro_token_data_t  *data;
    ngx_http_kiro_state_view_t   view;
    char                         buf[sizeof(slot->last_error)];

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kiro_module);

    account = kmcf->accounts.elts;

    len = 256 + kmcf->accounts.nelts
                * (512 + NGX_HTTP_KIRO_NAME_MAX + 6 * sizeof(buf));

    start = ngx_pnalloc(r->pool, len);
    if (start == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    last = start + len;
    now = ngx_http_kiro_now();
    ready = kmcf->accounts.nelts ? 0 : 1;

    /* the head depends on the accounts: it is written into room kept for it */

    p = start + 128;

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        slot = account[i]->slot;

        ngx_shmtx_lock(&account[i]->zone->shpool->mutex);

        data = &slot->data[slot->active];

        login = data->login;
        expires = data->expires;
        ngx_memcpy(buf, slot->last_error, sizeof(buf));

        ngx_shmtx_unlock(&account[i]->zone->shpool->mutex);

        ngx_http_kiro_state_view(account[i], &view);

        buf[sizeof(buf) - 1] = '\0';

        error.data = (u_char *) buf;
        error.len = ngx_strlen(buf);

        ready |= view.usable;

        p = ngx_slprintf(p, last, "%s{\"name\":\"%V\",\"login\":\"%s\","
                         "\"state\":\"%s\",\"usable\":%s,\"refreshes\":%uA,"
                         "\"refresh_failures\":%uA",
                         i ? "," : "", &account[i]->name,
                         account[i]->credential ? kiro_login_name(login)
                                                : "callers",
                         view.name, view.usable ? "true" : "false",
                         slot->refreshes, slot->refresh_failures);

        if (view.left) {
            p = ngx_slprintf(p, last, ",\"state_ends_in\":%M",
                             (view.left + 999) / 1000);
        }

        if (view.probe) {
            p = ngx_slprintf(p, last, ",\"probe\":true");
        }

        if (account[i]->concurrency) {

            ngx_http_kiro_queue_count(account[i], &running, &waiting);

            p = ngx_slprintf(p, last, ",\"concurrency\":%ui,\"running\":%ui,"
                             "\"waiting\":%ui",
                             account[i]->concurrency, running, waiting);
        }

        if (expires) {
            p = ngx_slprintf(p, last, ",\"expires_in\":%L",
                             (expires - now) / 1000);
        }

        if (view.error != KIRO_FAIL_NONE) {
            p = ngx_slprintf(p, last, ",\"last_error_kind\":\"%s\"",
                             kiro_failure_name(view.error));
        }

        if (error.len) {
            p = ngx_slprintf(p, last, ",\"last_error\":\"");
            p = (u_char *) ngx_escape_json(p, error.data, error.len);
            *p++ = '"';
        }

        *p++ = '}';
    }

    p = ngx_slprintf(p, last, "]}");

    len = ngx_sprintf(start, "{\"status\":\"%s\",\"version\":\""
                      NGX_HTTP_KIRO_VERSION "\",\"accounts\":[",
                      ready ? "ok" : "unavailable")
          - start;

    ngx_memmove(start + 128 - len, start, len);

    start += 128 - len;

    return ngx_http_kiro_send_json(r, ready ? NGX_HTTP_OK
                                            : NGX_HTTP_SERVICE_UNAVAILABLE,
                                   start, p - start);
}
