
/*
 * The state of an account for variables, kiro_health and kiro_metrics: what
 * the service said of it, and how its login is.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_profile.h"
#include "ngx_http_kiro_state.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


static void ngx_http_kiro_hold_reason(ngx_http_kiro_account_t *account,
    ngx_uint_t token, ngx_int_t profile, ngx_http_kiro_hold_row_t *row,
    ngx_http_kiro_state_view_t *view);


/* of all views; terminated */

char  *ngx_http_kiro_state_names[] = {
    "ok", "refreshing", "retrying", "cooling_down", "exhausted", "suspended",
    "needs_login", NULL
};


/* for people: what the account is in, the gravest first */

void
ngx_http_kiro_state_view(ngx_http_kiro_account_t *account,
    ngx_http_kiro_state_view_t *view)
{
    int64_t                    now;
    ngx_int_t                  rc, profile;
    ngx_str_t                  arn;
    ngx_uint_t                 token, state;
    ngx_msec_t                 left;
    ngx_http_kiro_hold_t      *hold;
    ngx_http_kiro_slot_t      *slot;
    ngx_http_kiro_hold_row_t  *row;

    ngx_memzero(view, sizeof(ngx_http_kiro_state_view_t));

    if (account->source.path == NULL) {

        /* it is as good as the keys of its callers */

        view->name = "ok";
        view->usable = 1;
        return;
    }

    slot = account->slot;
    hold = &slot->hold;
    now = ngx_http_kiro_now();

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    token = ngx_http_kiro_token_usable(slot, now);
    rc = ngx_http_kiro_hold_look(account, 0, &left);

    state = hold->state;

    if (state && ngx_http_kiro_hold_time(account, state) == 0) {
        state = KIRO_ACCOUNT_OK;
    }

    row = &ngx_http_kiro_hold_rows[state];

    view->left = left;
    view->resets_at = state == KIRO_ACCOUNT_EXHAUSTED ? hold->resets_at : 0;
    view->probe = (row->probe && left == 0);
    view->error = hold->failure.kind;

    /* a balancer must send the request that is the probe, and need not know
       of moments in which requests wait */

    view->usable = token && (rc != NGX_DECLINED || view->probe);

    /* nor of the first look for a profile */

    profile = ngx_http_kiro_profile_arn(account, &arn);

    if (profile == NGX_ERROR
        || (profile == NGX_AGAIN && slot->profile.fails))
    {
        view->usable = 0;
    }

    if (slot->state == NGX_HTTP_KIRO_SLOT_DEAD) {
        view->name = "needs_login";
        view->error = KIRO_FAIL_LOGIN_REQUIRED;

    } else if (row->probe || left) {
        view->name = row->name;

    } else if (ngx_http_kiro_lease_runs(&slot->lease)) {
        view->name = "refreshing";

    } else if (slot->state == NGX_HTTP_KIRO_SLOT_RETRYING) {
        view->name = "retrying";

        if (!token) {
            view->error = KIRO_FAIL_TOKEN_TIMEOUT;
        }

    } else {
        view->name = "ok";
    }

    if (!view->usable) {
        ngx_http_kiro_hold_reason(account, token, profile, row, view);
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);
}


/* why requests are not served, for who can do something about it */

static void
ngx_http_kiro_hold_reason(ngx_http_kiro_account_t *account, ngx_uint_t token,
    ngx_int_t profile, ngx_http_kiro_hold_row_t *row,
    ngx_http_kiro_state_view_t *view)
{
    if (token && row->probe && !view->probe) {
        view->reason = row->reason;
        view->why = row->why;

    } else if (token && profile == NGX_ERROR) {
        view->reason = "no_profile";
        view->why = "its login has no profile, or several to choose from: set "
                    "profile_arn";

    } else if (token) {
        view->reason = "profile_unknown";
        view->why = "the profile of its login cannot be looked up";

    } else if (account->slot->state == NGX_HTTP_KIRO_SLOT_DEAD) {
        view->reason = "needs_login";
        view->why = "somebody has to log in again, or to put a new key there";

    } else if (account->slot->state == NGX_HTTP_KIRO_SLOT_RETRYING) {
        view->reason = "refresh_fails";
        view->why = "it has no valid token and the refresh fails";

    } else {
        view->reason = "no_token";
        view->why = "it has no valid token yet";
    }
}
