
/*
 * Metrics of the accounts' limits, as far as they are known.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_limits.h"
#include "ngx_http_kiro_metrics.h"

#include <math.h>


typedef struct {
    char                            *name;
    char                            *help;
    size_t                           offset;      /* in the resource */
    ngx_uint_t                       time;        /* unsigned  time:1; */
} ngx_http_kiro_metrics_limit_t;


static ngx_http_kiro_metrics_limit_t  ngx_http_kiro_metrics_limit_rows[] = {

    { "kiro_usage_used",
      "How much of a limit of the account is used up.",
      offsetof(kiro_usage_resource, used), 0 },

    { "kiro_usage_limit",
      "The limit, without overage.",
      offsetof(kiro_usage_resource, limit), 0 },

    { "kiro_usage_overage_used",
      "What was used beyond the limit.",
      offsetof(kiro_usage_resource, overage_used), 0 },

    { "kiro_usage_reset_timestamp_seconds",
      "When the limit begins anew.",
      offsetof(kiro_usage_resource, resets_at), 1 }
};


static void ngx_http_kiro_metrics_limit(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_metrics_limit_t *row, u_char *account,
    kiro_usage_limits *limits);


void
ngx_http_kiro_metrics_limits(ngx_http_kiro_metrics_t *m, ngx_array_t *accounts)
{
    u_char                        (*name)[2 * NGX_HTTP_KIRO_NAME_MAX + 1];
    ngx_uint_t                      i, n;
    ngx_http_kiro_account_t       **account;
    ngx_http_kiro_known_limits_t   *known;

    account = accounts->elts;

    name = ngx_palloc(m->pool, (accounts->nelts + 1) * sizeof(*name));
    known = ngx_palloc(m->pool, (accounts->nelts + 1)
                                * sizeof(ngx_http_kiro_known_limits_t));

    if (name == NULL || known == NULL) {
        m->failed = 1;
        return;
    }

    for (n = 0; n < accounts->nelts; n++) {

        /* for the next look: nobody may ask for them but this */

        (void) ngx_http_kiro_limits_refresh(account[n]);

        (void) ngx_http_kiro_limits_get(account[n], &known[n]);
        ngx_http_kiro_metrics_escape(name[n], account[n]->name.data);
    }

    for (i = 0; i < sizeof(ngx_http_kiro_metrics_limit_rows)
                    / sizeof(ngx_http_kiro_metrics_limit_t); i++)
    {
        ngx_http_kiro_metrics_head(m, ngx_http_kiro_metrics_limit_rows[i].name,
                                   "gauge",
                                   ngx_http_kiro_metrics_limit_rows[i].help);

        for (n = 0; n < accounts->nelts; n++) {
            if (known[n].valid) {
                ngx_http_kiro_metrics_limit(m,
                                            &ngx_http_kiro_metrics_limit_rows[i],
                                            name[n], &known[n].limits);
            }
        }
    }

    ngx_http_kiro_metrics_head(m, "kiro_usage_fetched_timestamp_seconds",
                               "gauge", "When the service told the limits.");

    for (n = 0; n < accounts->nelts; n++) {
        if (known[n].valid) {
            ngx_http_kiro_metrics_line(m, "kiro_usage_fetched_timestamp_seconds"
                                       "{account=\"%s\"} %L\n", name[n],
                                       known[n].fetched_at / 1000);
        }
    }
}


static void
ngx_http_kiro_metrics_limit(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_metrics_limit_t *row, u_char *account,
    kiro_usage_limits *limits)
{
    u_char                type[2 * sizeof(limits->resources[0].type)];
    double                value;
    int64_t               time;
    ngx_uint_t            i;
    kiro_usage_resource  *resource;

    for (i = 0; i < limits->nresources; i++) {

        resource = &limits->resources[i];

        ngx_http_kiro_metrics_escape(type, (u_char *) resource->type);

        if (row->time) {
            time = *(int64_t *) ((u_char *) resource + row->offset);

            if (time == 0) {
                time = limits->resets_at;
            }

            if (time) {
                ngx_http_kiro_metrics_line(m, "%s{account=\"%s\","
                                           "resource=\"%s\"} %L\n", row->name,
                                           account, type, time / 1000);
            }

            continue;
        }

        value = *(double *) ((u_char *) resource + row->offset);

        if (!isnan(value)) {
            ngx_http_kiro_metrics_line(m, "%s{account=\"%s\",resource=\"%s\"} "
                                       "%s%.6f\n", row->name, account, type,
                                       value < 0 ? "-" : "", fabs(value));
        }
    }
}
