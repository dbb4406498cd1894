
/*
 * Metrics of accounts.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_metrics.h"
#include "ngx_http_kiro_queue.h"
#include "ngx_http_kiro_state.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


typedef u_char *(*ngx_http_kiro_metrics_pt)(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view);


typedef struct {
    char                            *name;
    char                            *help;
    ngx_http_kiro_metrics_pt         value;
} ngx_http_kiro_metrics_gauge_t;


typedef struct {
    char                            *name;
    char                            *help;
    size_t                           offset;      /* in the slot */
} ngx_http_kiro_metrics_wait_t;


static void ngx_http_kiro_metrics_states(ngx_http_kiro_metrics_t *m,
    ngx_array_t *accounts);
static void ngx_http_kiro_metrics_gauge(ngx_http_kiro_metrics_t *m,
    ngx_array_t *accounts, ngx_http_kiro_metrics_gauge_t *gauge);
static void ngx_http_kiro_metrics_refreshes(ngx_http_kiro_metrics_t *m,
    ngx_array_t *accounts);
static void ngx_http_kiro_metrics_attempts(ngx_http_kiro_metrics_t *m,
    ngx_array_t *accounts);
static void ngx_http_kiro_metrics_causes(ngx_http_kiro_metrics_t *m,
    ngx_array_t *accounts, ngx_uint_t retries);
static void ngx_http_kiro_metrics_wait(ngx_http_kiro_metrics_t *m,
    ngx_array_t *accounts, ngx_http_kiro_metrics_wait_t *wait);
static u_char *ngx_http_kiro_metrics_usable(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view);
static u_char *ngx_http_kiro_metrics_left(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view);
static u_char *ngx_http_kiro_metrics_expires(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view);
static u_char *ngx_http_kiro_metrics_running(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view);
static u_char *ngx_http_kiro_metrics_waiting(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view);


/* a value is left out where the function writes nothing */

static ngx_http_kiro_metrics_gauge_t  ngx_http_kiro_metrics_gauges[] = {

    { "kiro_account_usable",
      "Whether requests of the account can be served.",
      ngx_http_kiro_metrics_usable },

    { "kiro_account_state_seconds",
      "How long the account will stay in its state.",
      ngx_http_kiro_metrics_left },

    { "kiro_token_expires_seconds",
      "To the end of the account's access token.",
      ngx_http_kiro_metrics_expires },

    { "kiro_concurrency_running",
      "Calls of the account that hold a place of kiro_concurrency.",
      ngx_http_kiro_metrics_running },

    { "kiro_concurrency_waiting",
      "Requests that wait for such a place.",
      ngx_http_kiro_metrics_waiting }
};


static ngx_http_kiro_metrics_wait_t  ngx_http_kiro_metrics_waits[] = {

    { "kiro_queue_wait_seconds",
      "Waits of requests for a place of kiro_concurrency.",
      offsetof(ngx_http_kiro_account_stats_t, queue_time) },

    { "kiro_token_wait_seconds",
      "Waits of requests for a token of the account.",
      offsetof(ngx_http_kiro_account_stats_t, token_time) }
};


void
ngx_http_kiro_metrics_accounts(ngx_http_kiro_metrics_t *m,
    ngx_array_t *accounts)
{
    ngx_uint_t  i;

    ngx_http_kiro_metrics_attempts(m, accounts);
    ngx_http_kiro_metrics_causes(m, accounts, 1);
    ngx_http_kiro_metrics_causes(m, accounts, 0);

    for (i = 0; i < sizeof(ngx_http_kiro_metrics_waits)
                    / sizeof(ngx_http_kiro_metrics_wait_t); i++)
    {
        ngx_http_kiro_metrics_wait(m, accounts, &ngx_http_kiro_metrics_waits[i]);
    }

    ngx_http_kiro_metrics_refreshes(m, accounts);
    ngx_http_kiro_metrics_states(m, accounts);

    for (i = 0; i < sizeof(ngx_http_kiro_metrics_gauges)
                    / sizeof(ngx_http_kiro_metrics_gauge_t); i++)
    {
        ngx_http_kiro_metrics_gauge(m, accounts,
                                    &ngx_http_kiro_metrics_gauges[i]);
    }
}


static void
ngx_http_kiro_metrics_attempts(ngx_http_kiro_metrics_t *m,
    ngx_array_t *accounts)
{
    u_char                     name[2 * NGX_HTTP_KIRO_NAME_MAX + 1];
    ngx_uint_t                 n;
    ngx_http_kiro_account_t  **account;

    account = accounts->elts;

    ngx_http_kiro_metrics_head(m, "kiro_attempts_total", "counter",
                               "Requests that the service got for clients.");

    for (n = 0; n < accounts->nelts; n++) {
        ngx_http_kiro_metrics_escape(name, account[n]->name.data);
        ngx_http_kiro_metrics_line(m, "kiro_attempts_total{account=\"%s\"} "
                                   "%uA\n", name,
                                   account[n]->slot->stats.attempts);
    }
}


static void
ngx_http_kiro_metrics_causes(ngx_http_kiro_metrics_t *m, ngx_array_t *accounts,
    ngx_uint_t retries)
{
    u_char                           name[2 * NGX_HTTP_KIRO_NAME_MAX + 1];
    ngx_uint_t                       i, n;
    const char                      *reason;
    ngx_atomic_uint_t                count;
    ngx_http_kiro_account_t        **account;
    ngx_http_kiro_account_stats_t   *stats;

    account = accounts->elts;

    if (retries) {
        ngx_http_kiro_metrics_head(m, "kiro_retries_total", "counter",
                              "Attempts that were made again, by the reason.");

    } else {
        ngx_http_kiro_metrics_head(m, "kiro_fallbacks_total", "counter",
                             "Requests that left the account by kiro_fallback, "
                             "by the reason.");
    }

    for (n = 0; n < accounts->nelts; n++) {

        stats = &account[n]->slot->stats;

        ngx_http_kiro_metrics_escape(name, account[n]->name.data);

        for (i = 0; i < (retries ? NGX_HTTP_KIRO_CAUSES : KIRO_FAIL_MAX); i++) {

            count = retries ? stats->retries[i] : stats->fallbacks[i];

            if (count == 0) {
                continue;
            }

            reason = i < KIRO_FAIL_MAX ? kiro_failure_name(i)
                                       : kiro_change_name(i - KIRO_FAIL_MAX);

            ngx_http_kiro_metrics_line(m, "%s{account=\"%s\",reason=\"%s\"} "
                                       "%uA\n", retries ? "kiro_retries_total"
                                                      : "kiro_fallbacks_total",
                                       name, reason, count);
        }
    }
}


static void
ngx_http_kiro_metrics_wait(ngx_http_kiro_metrics_t *m, ngx_array_t *accounts,
    ngx_http_kiro_metrics_wait_t *wait)
{
    u_char                     name[2 * NGX_HTTP_KIRO_NAME_MAX + 1];
    u_char                     labels[sizeof("account=\"\"") + sizeof(name)];
    ngx_uint_t                 n;
    ngx_http_kiro_account_t  **account;

    account = accounts->elts;

    ngx_http_kiro_metrics_head(m, wait->name, "histogram", wait->help);

    for (n = 0; n < accounts->nelts; n++) {

        ngx_http_kiro_metrics_escape(name, account[n]->name.data);
        ngx_sprintf(labels, "account=\"%s\"%Z", name);

        ngx_http_kiro_metrics_histogram(m, wait->name, labels,
                               (ngx_http_kiro_histogram_t *)
                               ((u_char *) &account[n]->slot->stats
                                + wait->offset),
                               ngx_http_kiro_stats_wait, 3);
    }
}


static void
ngx_http_kiro_metrics_refreshes(ngx_http_kiro_metrics_t *m,
    ngx_array_t *accounts)
{
    u_char                     name[2 * NGX_HTTP_KIRO_NAME_MAX + 1];
    ngx_uint_t                 i, n;
    ngx_atomic_uint_t          counts[3];
    ngx_http_kiro_slot_t      *slot;
    ngx_http_kiro_account_t  **account;

    static char  *results[] = { "ok", "failed", "refused" };

    account = accounts->elts;

    ngx_http_kiro_metrics_head(m, "kiro_refreshes_total", "counter",
                               "Refreshes of the account's login.");

    for (n = 0; n < accounts->nelts; n++) {

        slot = account[n]->slot;

        /* a failure is counted before it is one of the refusals */

        counts[0] = slot->refreshes;
        counts[2] = slot->refresh_refusals;
        counts[1] = slot->refresh_failures - counts[2];

        ngx_http_kiro_metrics_escape(name, account[n]->name.data);

        for (i = 0; i < 3; i++) {
            ngx_http_kiro_metrics_line(m, "kiro_refreshes_total{account=\"%s\","
                                       "result=\"%s\"} %uA\n", name,
                                       results[i], counts[i]);
        }
    }
}


/* all states, so that none is missing from a query */

static void
ngx_http_kiro_metrics_states(ngx_http_kiro_metrics_t *m, ngx_array_t *accounts)
{
    u_char                        name[2 * NGX_HTTP_KIRO_NAME_MAX + 1];
    char                        **state;
    ngx_uint_t                    n;
    ngx_http_kiro_account_t     **account;
    ngx_http_kiro_state_view_t    view;

    account = accounts->elts;

    ngx_http_kiro_metrics_head(m, "kiro_account_state", "gauge",
                               "1 for the state that the account is in.");

    for (n = 0; n < accounts->nelts; n++) {

        ngx_http_kiro_state_view(account[n], &view);
        ngx_http_kiro_metrics_escape(name, account[n]->name.data);

        for (state = ngx_http_kiro_state_names; *state; state++) {
            ngx_http_kiro_metrics_line(m, "kiro_account_state{account=\"%s\","
                                       "state=\"%s\"} %d\n", name, *state,
                                       ngx_strcmp(*state, view.name) == 0);
        }
    }
}


static void
ngx_http_kiro_metrics_gauge(ngx_http_kiro_metrics_t *m, ngx_array_t *accounts,
    ngx_http_kiro_metrics_gauge_t *gauge)
{
    u_char                        name[2 * NGX_HTTP_KIRO_NAME_MAX + 1];
    u_char                        value[NGX_ATOMIC_T_LEN + 8], *p;
    ngx_uint_t                    n;
    ngx_http_kiro_account_t     **account;
    ngx_http_kiro_state_view_t    view;

    account = accounts->elts;

    ngx_http_kiro_metrics_head(m, gauge->name, "gauge", gauge->help);

    for (n = 0; n < accounts->nelts; n++) {

        ngx_http_kiro_state_view(account[n], &view);

        p = gauge->value(value, value + sizeof(value) - 1, account[n], &view);

        if (p == value) {
            continue;
        }

        *p = '\0';

        ngx_http_kiro_metrics_escape(name, account[n]->name.data);

        ngx_http_kiro_metrics_line(m, "%s{account=\"%s\"} %s\n", gauge->name,
                                   name, value);
    }
}


static u_char *
ngx_http_kiro_metrics_usable(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view)
{
    return ngx_slprintf(p, last, "%ui", view->usable);
}


static u_char *
ngx_http_kiro_metrics_left(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view)
{
    if (view->left == 0) {
        return p;
    }

    return ngx_slprintf(p, last, "%M.%03M", view->left / 1000,
                        view->left % 1000);
}


static u_char *
ngx_http_kiro_metrics_expires(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view)
{
    int64_t                expires;
    ngx_http_kiro_slot_t  *slot;

    slot = account->slot;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    expires = slot->data[slot->active].expires;

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (expires == 0) {
        return p;
    }

    return ngx_slprintf(p, last, "%L",
                        (expires - ngx_http_kiro_now()) / 1000);
}


static u_char *
ngx_http_kiro_metrics_running(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view)
{
    ngx_uint_t  running, waiting;

    if (account->concurrency == 0) {
        return p;
    }

    ngx_http_kiro_ticket_count(account, &running, &waiting);

    return ngx_slprintf(p, last, "%ui", running);
}


static u_char *
ngx_http_kiro_metrics_waiting(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view)
{
    ngx_uint_t  running, waiting;

    if (account->concurrency == 0) {
        return p;
    }

    ngx_http_kiro_ticket_count(account, &running, &waiting);

    return ngx_slprintf(p, last, "%ui", waiting);
}
