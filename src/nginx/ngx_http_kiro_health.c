
/*
 * kiro_health: does this instance run, and can it serve, account by account.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_queue.h"
#include "ngx_http_kiro_state.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


/* the longest sentence that says why an account cannot serve */
#define NGX_HTTP_KIRO_HEALTH_WHY  128


struct ngx_http_kiro_health_s {
    ngx_array_t                     *names;       /* NULL: all accounts */
    ngx_array_t                     *accounts;    /* these, once known */
    u_char                          *file;
    ngx_uint_t                       line;
    unsigned                         live:1;
};


static ngx_int_t ngx_http_kiro_health_handler(ngx_http_request_t *r);
static u_char *ngx_http_kiro_health_account(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view);
static ngx_int_t ngx_http_kiro_health_send(ngx_http_request_t *r,
    ngx_uint_t status, u_char *start, u_char *end);


char *
ngx_http_kiro_health(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_loc_conf_t *klcf = conf;

    ngx_str_t                  *value, *name;
    ngx_uint_t                  i;
    ngx_http_kiro_health_t     *health, **slot;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_kiro_main_conf_t  *kmcf;

    if (klcf->health) {
        return "is duplicate";
    }

    health = ngx_pcalloc(cf->pool, sizeof(ngx_http_kiro_health_t));
    if (health == NULL) {
        return NGX_CONF_ERROR;
    }

    klcf->health = health;

    value = cf->args->elts;
    i = 1;

    if (cf->args->nelts > 1) {

        if (ngx_strcmp(value[1].data, "live") == 0) {
            health->live = 1;

        } else if (ngx_strcmp(value[1].data, "ready") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\", it must be \"live\" or "
                               "\"ready\"", &value[1]);
            return NGX_CONF_ERROR;
        }

        i = 2;
    }

    if (health->live && cf->args->nelts > 2) {
        return "takes no account beside \"live\"";
    }

    if (i < cf->args->nelts) {

        health->names = ngx_array_create(cf->pool, cf->args->nelts - i,
                                         sizeof(ngx_str_t));
        if (health->names == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for ( /* void */ ; i < cf->args->nelts; i++) {
        name = ngx_array_push(health->names);
        if (name == NULL) {
            return NGX_CONF_ERROR;
        }

        *name = value[i];
    }

    health->file = cf->conf_file->file.name.data;
    health->line = cf->conf_file->line;

    /* the accounts may be defined further below */

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kiro_module);

    if (kmcf->healths == NULL) {
        kmcf->healths = ngx_array_create(cf->pool, 2,
                                         sizeof(ngx_http_kiro_health_t *));
        if (kmcf->healths == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    slot = ngx_array_push(kmcf->healths);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = health;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    clcf->handler = ngx_http_kiro_health_handler;

    return NGX_CONF_OK;
}


/* finds the accounts that are named */

ngx_int_t
ngx_http_kiro_health_settle(ngx_conf_t *cf, ngx_http_kiro_main_conf_t *kmcf)
{
    ngx_str_t                *name;
    ngx_uint_t                i, n;
    ngx_http_kiro_health_t  **health;
    ngx_http_kiro_account_t  *account, **slot;

    if (kmcf->healths == NULL) {
        return NGX_OK;
    }

    health = kmcf->healths->elts;

    for (i = 0; i < kmcf->healths->nelts; i++) {

        if (health[i]->names == NULL) {
            health[i]->accounts = &kmcf->accounts;
            continue;
        }

        name = health[i]->names->elts;

        health[i]->accounts = ngx_array_create(cf->pool,
                                               health[i]->names->nelts,
                                               sizeof(ngx_http_kiro_account_t *));
        if (health[i]->accounts == NULL) {
            return NGX_ERROR;
        }

        for (n = 0; n < health[i]->names->nelts; n++) {

            account = ngx_http_kiro_account_find(kmcf, &name[n]);

            if (account == NULL) {
                ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                              "\"kiro_health\" names the account \"%V\", which is "
                              "not defined, in %s:%ui", &name[n],
                              health[i]->file, health[i]->line);
                return NGX_ERROR;
            }

            slot = ngx_array_push(health[i]->accounts);
            if (slot == NULL) {
                return NGX_ERROR;
            }

            *slot = account;
        }
    }

    return NGX_OK;
}


/*
 * 503 while no account can serve.  The reasons are for operators: last_error is
 * made by the module and holds no secret.
 */

static ngx_int_t
ngx_http_kiro_health_handler(ngx_http_request_t *r)
{
    u_char                      *p, *q, *last, *start, *reasons;
    size_t                       len;
    ngx_int_t                    rc;
    ngx_uint_t                   i, ready, lame;
    ngx_array_t                 *accounts;
    ngx_http_kiro_account_t    **account;
    ngx_http_kiro_loc_conf_t    *klcf;
    ngx_http_kiro_state_view_t   view;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kiro_module);

    accounts = klcf->health->accounts;
    account = accounts->elts;

    len = 512 + accounts->nelts
                * (768 + NGX_HTTP_KIRO_NAME_MAX
                   + 6 * sizeof(account[0]->slot->last_error));

    start = ngx_pnalloc(r->pool, len);
    reasons = ngx_pnalloc(r->pool, accounts->nelts
                                   * (NGX_HTTP_KIRO_NAME_MAX
                                      + NGX_HTTP_KIRO_HEALTH_WHY) + 1);

    if (start == NULL || reasons == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    last = start + len;

    if (klcf->health->live) {
        p = ngx_slprintf(start, last, "{\"status\":\"ok\",\"version\":\""
                         NGX_HTTP_KIRO_VERSION "\",\"build\":\"%V\"}",
                         &ngx_http_kiro_build);

        return ngx_http_kiro_health_send(r, NGX_HTTP_OK, start, p);
    }

    ready = accounts->nelts ? 0 : 1;
    lame = 0;

    /* the head depends on the accounts: they are moved behind it */

    p = start;
    q = reasons;

    for (i = 0; i < accounts->nelts; i++) {

        ngx_http_kiro_state_view(account[i], &view);

        ready |= view.usable;

        if (!view.usable) {
            q = ngx_slprintf(q, q + NGX_HTTP_KIRO_NAME_MAX
                                + NGX_HTTP_KIRO_HEALTH_WHY,
                             "%s\"%V: %s\"", lame ? "," : "", &account[i]->name,
                             view.why);
            lame = 1;
        }

        if (i) {
            *p++ = ',';
        }

        p = ngx_http_kiro_health_account(p, last, account[i], &view);
    }

    len = p - start;

    p = ngx_pnalloc(r->pool, len + (q - reasons) + 512);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    q = ngx_sprintf(p, "{\"status\":\"%s\",\"version\":\""
                    NGX_HTTP_KIRO_VERSION "\",\"build\":\"%V\",\"reasons\":[%*s],"
                    "\"accounts\":[",
                    !ready ? "unavailable" : lame ? "degraded" : "ok",
                    &ngx_http_kiro_build, (size_t) (q - reasons), reasons);

    q = ngx_cpymem(q, start, len);
    q = ngx_cpymem(q, "]}", 2);

    return ngx_http_kiro_health_send(r, ready ? NGX_HTTP_OK
                                              : NGX_HTTP_SERVICE_UNAVAILABLE,
                                     p, q);
}


static u_char *
ngx_http_kiro_health_account(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view)
{
    int64_t                      expires;
    ngx_str_t                    error;
    ngx_uint_t                   running, waiting;
    kiro_login                   login;
    ngx_http_kiro_slot_t        *slot;
    ngx_http_kiro_token_data_t  *data;
    char                         buf[sizeof(slot->last_error)];

    slot = account->slot;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    data = &slot->data[slot->active];

    login = data->login;
    expires = data->expires;
    ngx_memcpy(buf, slot->last_error, sizeof(buf));

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    buf[sizeof(buf) - 1] = '\0';

    error.data = (u_char *) buf;
    error.len = ngx_strlen(buf);

    p = ngx_slprintf(p, last, "{\"name\":\"%V\",\"login\":\"%s\","
                     "\"state\":\"%s\",\"usable\":%s,",
                     &account->name,
                     account->credential ? kiro_login_name(login) : "callers",
                     view->name, view->usable ? "true" : "false");

    if (!view->usable) {
        p = ngx_slprintf(p, last, "\"reason\":\"%s\",", view->reason);
    }

    p = ngx_slprintf(p, last, "\"refreshes\":%uA,\"refresh_failures\":%uA",
                     slot->refreshes, slot->refresh_failures);

    if (view->left) {
        p = ngx_slprintf(p, last, ",\"state_ends_in\":%M",
                         (view->left + 999) / 1000);
    }

    if (view->resets_at) {
        p = ngx_slprintf(p, last, ",\"quota_resets_at\":%L",
                         view->resets_at / 1000);
    }

    if (view->probe) {
        p = ngx_slprintf(p, last, ",\"probe\":true");
    }

    if (account->concurrency) {

        ngx_http_kiro_ticket_count(account, &running, &waiting);

        p = ngx_slprintf(p, last, ",\"concurrency\":%ui,\"running\":%ui,"
                         "\"waiting\":%ui",
                         account->concurrency, running, waiting);
    }

    if (expires) {
        p = ngx_slprintf(p, last, ",\"expires_in\":%L",
                         (expires - ngx_http_kiro_now()) / 1000);
    }

    if (view->error != KIRO_FAIL_NONE) {
        p = ngx_slprintf(p, last, ",\"last_error_kind\":\"%s\"",
                         kiro_failure_name(view->error));
    }

    if (error.len) {
        p = ngx_slprintf(p, last, ",\"last_error\":\"");
        p = (u_char *) ngx_escape_json(p, error.data, error.len);
        *p++ = '"';
    }

    *p++ = '}';

    return p;
}


static ngx_int_t
ngx_http_kiro_health_send(ngx_http_request_t *r, ngx_uint_t status,
    u_char *start, u_char *end)
{
    ngx_str_t  value = ngx_string("no-store");

    if (ngx_http_kiro_add_header(r, "Cache-Control", &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_kiro_send_json(r, status, start, end - start);
}
