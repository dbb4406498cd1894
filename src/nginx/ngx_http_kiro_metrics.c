
/*
 * kiro_metrics: the counters of the zone in Prometheus' text format.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_lease.h"
#include "ngx_http_kiro_queue.h"
#include "ngx_http_kiro_state.h"
#include "ngx_http_kiro_stats.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


/* no line is longer: three names of 64 characters, each perhaps escaped */

#define NGX_HTTP_KIRO_METRICS_LINE    1024
#define NGX_HTTP_KIRO_METRICS_BUFFER  16384


typedef struct {
    ngx_pool_t                      *pool;
    ngx_chain_t                     *out;
    ngx_chain_t                    **last;
    ngx_buf_t                       *buf;
    off_t                            length;
    ngx_uint_t                       failed;
} ngx_http_kiro_metrics_t;


typedef struct {
    char                            *name;
    char                            *help;
    size_t                           offset;      /* in the series */
    const ngx_msec_t                *bounds;      /* of a histogram */
    ngx_uint_t                       micro;       /* counted in millionths */
} ngx_http_kiro_metrics_row_t;


typedef u_char *(*ngx_http_kiro_metrics_pt)(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view);


typedef struct {
    char                            *name;
    char                            *type;
    char                            *help;
    ngx_http_kiro_metrics_pt         value;
} ngx_http_kiro_metrics_gauge_t;


static ngx_int_t ngx_http_kiro_metrics_handler(ngx_http_request_t *r);
static u_char *ngx_http_kiro_metrics_room(ngx_http_kiro_metrics_t *m,
    u_char **last);
static void ngx_http_kiro_metrics_added(ngx_http_kiro_metrics_t *m, u_char *p);
static void ngx_http_kiro_metrics_line(ngx_http_kiro_metrics_t *m,
    const char *fmt, ...);
static void ngx_http_kiro_metrics_head(ngx_http_kiro_metrics_t *m, char *name,
    char *type, char *help);
static void ngx_http_kiro_metrics_requests(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats);
static void ngx_http_kiro_metrics_row(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats, ngx_http_kiro_metrics_row_t *row);
static void ngx_http_kiro_metrics_histogram(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_metrics_row_t *row, u_char *labels,
    ngx_http_kiro_histogram_t *histogram);
static void ngx_http_kiro_metrics_retries(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats);
static void ngx_http_kiro_metrics_open(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats);
static void ngx_http_kiro_metrics_accounts(ngx_http_kiro_metrics_t *m,
    ngx_array_t *accounts);
static u_char *ngx_http_kiro_metrics_usable(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view);
static u_char *ngx_http_kiro_metrics_left(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view);
static u_char *ngx_http_kiro_metrics_expires(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view);
static u_char *ngx_http_kiro_metrics_refreshes(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view);
static u_char *ngx_http_kiro_metrics_failures(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view);
static u_char *ngx_http_kiro_metrics_running(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view);
static u_char *ngx_http_kiro_metrics_waiting(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view);
static void ngx_http_kiro_metrics_labels(ngx_http_kiro_series_t *s,
    u_char *labels, ngx_uint_t otel);
static u_char *ngx_http_kiro_metrics_escape(u_char *p, u_char *src);


#define ngx_http_kiro_metrics_of(field)                                       \
    offsetof(ngx_http_kiro_series_t, field)


static ngx_http_kiro_metrics_row_t  ngx_http_kiro_metrics_rows[] = {

    { "kiro_input_tokens_total",
      "Prompt tokens, with what came from a cache.",
      ngx_http_kiro_metrics_of(input_tokens), NULL, 0 },

    { "kiro_output_tokens_total",
      "Tokens of answers, with reasoning.",
      ngx_http_kiro_metrics_of(output_tokens), NULL, 0 },

    { "kiro_reasoning_tokens_total",
      "Part of the output tokens: reasoning.",
      ngx_http_kiro_metrics_of(reasoning_tokens), NULL, 0 },

    { "kiro_cache_read_tokens_total",
      "Part of the input tokens: read from a cache.",
      ngx_http_kiro_metrics_of(cache_read_tokens), NULL, 0 },

    { "kiro_cache_write_tokens_total",
      "Part of the input tokens: written to a cache.",
      ngx_http_kiro_metrics_of(cache_write_tokens), NULL, 0 },

    { "kiro_credits_total",
      "Credits that the service charged.",
      ngx_http_kiro_metrics_of(credits), NULL, 1 },

    { "gen_ai_server_time_to_first_token_seconds",
      "From a client's request to the first content of its answer.",
      ngx_http_kiro_metrics_of(first_token), ngx_http_kiro_stats_first_token,
      0 },

    { "gen_ai_server_request_duration_seconds",
      "From a client's request to the end of its answer.",
      ngx_http_kiro_metrics_of(duration), ngx_http_kiro_stats_duration, 0 }
};


/* of accounts; a value is left out where the function writes nothing */

static ngx_http_kiro_metrics_gauge_t  ngx_http_kiro_metrics_gauges[] = {

    { "kiro_account_usable", "gauge",
      "Whether requests of the account can be served.",
      ngx_http_kiro_metrics_usable },

    { "kiro_account_state_seconds", "gauge",
      "How long the account will stay in its state.",
      ngx_http_kiro_metrics_left },

    { "kiro_token_expires_seconds", "gauge",
      "To the end of the account's access token.",
      ngx_http_kiro_metrics_expires },

    { "kiro_refreshes_total", "counter",
      "Refreshes of the account's login that succeeded.",
      ngx_http_kiro_metrics_refreshes },

    { "kiro_refresh_failures_total", "counter",
      "Refreshes of the account's login that failed.",
      ngx_http_kiro_metrics_failures },

    { "kiro_concurrency_running", "gauge",
      "Calls of the account that hold a place of kiro_concurrency.",
      ngx_http_kiro_metrics_running },

    { "kiro_concurrency_waiting", "gauge",
      "Requests that wait for such a place.",
      ngx_http_kiro_metrics_waiting }
};


char *
ngx_http_kiro_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_kiro_main_conf_t  *kmcf;

    /* there may be nothing but kiro_filter */

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kiro_module);

    kmcf->metrics = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    clcf->handler = ngx_http_kiro_metrics_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_kiro_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i;
    ngx_http_kiro_stats_t      *stats;
    ngx_http_kiro_metrics_t     m;
    ngx_http_kiro_main_conf_t  *kmcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kiro_module);

    stats = &kmcf->zone->sh->stats;

    ngx_memzero(&m, sizeof(ngx_http_kiro_metrics_t));

    m.pool = r->pool;
    m.last = &m.out;

    ngx_http_kiro_metrics_head(&m, "kiro_build_info", "gauge",
                               "The module that is loaded.");
    ngx_http_kiro_metrics_line(&m, "kiro_build_info{version=\""
                               NGX_HTTP_KIRO_VERSION "\",build=\"%V\",nginx=\""
                               NGINX_VERSION "\"} 1\n", &ngx_http_kiro_build);

    ngx_http_kiro_metrics_requests(&m, stats);

    for (i = 0; i < sizeof(ngx_http_kiro_metrics_rows)
                    / sizeof(ngx_http_kiro_metrics_row_t); i++)
    {
        ngx_http_kiro_metrics_row(&m, stats, &ngx_http_kiro_metrics_rows[i]);
    }

    ngx_http_kiro_metrics_retries(&m, stats);
    ngx_http_kiro_metrics_open(&m, stats);
    ngx_http_kiro_metrics_accounts(&m, &kmcf->accounts);

    if (m.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    m.buf->last_buf = (r == r->main) ? 1 : 0;
    m.buf->last_in_chain = 1;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = m.length;

    ngx_str_set(&r->headers_out.content_type,
                "text/plain; version=0.0.4; charset=utf-8");
    r->headers_out.content_type_len = sizeof("text/plain") - 1;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, m.out);
}


/* for one line */

static u_char *
ngx_http_kiro_metrics_room(ngx_http_kiro_metrics_t *m, u_char **last)
{
    ngx_chain_t  *cl;

    if (m->failed) {
        return NULL;
    }

    if (m->buf == NULL
        || m->buf->end - m->buf->last < NGX_HTTP_KIRO_METRICS_LINE)
    {
        cl = ngx_alloc_chain_link(m->pool);

        m->buf = ngx_create_temp_buf(m->pool, NGX_HTTP_KIRO_METRICS_BUFFER);

        if (cl == NULL || m->buf == NULL) {
            m->failed = 1;
            return NULL;
        }

        cl->buf = m->buf;
        cl->next = NULL;

        *m->last = cl;
        m->last = &cl->next;
    }

    *last = m->buf->last + NGX_HTTP_KIRO_METRICS_LINE;

    return m->buf->last;
}


static void
ngx_http_kiro_metrics_added(ngx_http_kiro_metrics_t *m, u_char *p)
{
    m->length += p - m->buf->last;
    m->buf->last = p;
}


static void
ngx_http_kiro_metrics_line(ngx_http_kiro_metrics_t *m, const char *fmt, ...)
{
    u_char   *p, *last;
    va_list   args;

    p = ngx_http_kiro_metrics_room(m, &last);
    if (p == NULL) {
        return;
    }

    va_start(args, fmt);
    p = ngx_vslprintf(p, last, fmt, args);
    va_end(args);

    ngx_http_kiro_metrics_added(m, p);
}


static void
ngx_http_kiro_metrics_head(ngx_http_kiro_metrics_t *m, char *name, char *type,
    char *help)
{
    ngx_http_kiro_metrics_line(m, "# HELP %s %s\n# TYPE %s %s\n", name, help,
                               name, type);
}


static void
ngx_http_kiro_metrics_requests(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats)
{
    u_char                   labels[NGX_HTTP_KIRO_METRICS_LINE];
    ngx_uint_t               i, n;
    ngx_atomic_uint_t        count;
    ngx_http_kiro_series_t  *s;

    ngx_http_kiro_metrics_head(m, "kiro_requests_total", "counter",
                               "Requests of clients, by the status they got.");

    for (n = 0; n < stats->nseries; n++) {

        s = &stats->series[n];

        ngx_http_kiro_metrics_labels(s, labels, 0);

        for (i = 0; i < NGX_HTTP_KIRO_STATUSES; i++) {

            count = s->requests[i];

            if (count == 0) {
                continue;
            }

            if (i == 0) {
                ngx_http_kiro_metrics_line(m, "kiro_requests_total{%s,status="
                                           "\"other\"} %uA\n", labels, count);
                continue;
            }

            ngx_http_kiro_metrics_line(m, "kiro_requests_total{%s,status="
                                       "\"%ui\"} %uA\n", labels,
                                       ngx_http_kiro_stats_statuses[i], count);
        }
    }
}


static void
ngx_http_kiro_metrics_row(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats, ngx_http_kiro_metrics_row_t *row)
{
    u_char                      labels[NGX_HTTP_KIRO_METRICS_LINE], *p;
    ngx_uint_t                  n;
    ngx_atomic_uint_t           value;
    ngx_http_kiro_series_t     *s;

    ngx_http_kiro_metrics_head(m, row->name,
                               row->bounds ? "histogram" : "counter",
                               row->help);

    for (n = 0; n < stats->nseries; n++) {

        s = &stats->series[n];
        p = (u_char *) s + row->offset;

        ngx_http_kiro_metrics_labels(s, labels, row->bounds != NULL);

        if (row->bounds) {
            ngx_http_kiro_metrics_histogram(m, row, labels,
                                            (ngx_http_kiro_histogram_t *) p);
            continue;
        }

        value = *(ngx_atomic_t *) p;

        if (value == 0) {
            continue;
        }

        if (row->micro) {
            ngx_http_kiro_metrics_line(m, "%s{%s} %uA.%06uA\n", row->name,
                                       labels, value / 1000000,
                                       value % 1000000);
            continue;
        }

        ngx_http_kiro_metrics_line(m, "%s{%s} %uA\n", row->name, labels, value);
    }
}


static void
ngx_http_kiro_metrics_histogram(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_metrics_row_t *row, u_char *labels,
    ngx_http_kiro_histogram_t *histogram)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  counts[NGX_HTTP_KIRO_BOUNDS + 1], sum, total;

    total = 0;

    /* copied: a count must not be less than the one before */

    for (i = 0; i <= NGX_HTTP_KIRO_BOUNDS; i++) {
        total += histogram->counts[i];
        counts[i] = total;
    }

    sum = histogram->sum;

    if (total == 0) {
        return;
    }

    for (i = 0; i < NGX_HTTP_KIRO_BOUNDS && row->bounds[i]; i++) {
        ngx_http_kiro_metrics_line(m, "%s_bucket{%s,le=\"%M.%03M\"} %uA\n",
                                   row->name, labels, row->bounds[i] / 1000,
                                   row->bounds[i] % 1000, counts[i]);
    }

    ngx_http_kiro_metrics_line(m, "%s_bucket{%s,le=\"+Inf\"} %uA\n", row->name,
                               labels, total);
    ngx_http_kiro_metrics_line(m, "%s_sum{%s} %uA.%03uA\n", row->name, labels,
                               sum / 1000, sum % 1000);
    ngx_http_kiro_metrics_line(m, "%s_count{%s} %uA\n", row->name, labels,
                               total);
}


static void
ngx_http_kiro_metrics_retries(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  count;

    ngx_http_kiro_metrics_head(m, "kiro_retries_total", "counter",
                               "Attempts that were made again, by the reason.");

    for (i = 0; i < NGX_HTTP_KIRO_CAUSES; i++) {

        count = stats->retries[i];

        if (count) {
            ngx_http_kiro_metrics_line(m, "kiro_retries_total{reason=\"%s\"} "
                                       "%uA\n", i < KIRO_FAIL_MAX
                                       ? kiro_failure_name(i)
                                       : kiro_change_name(i - KIRO_FAIL_MAX),
                                       count);
        }
    }
}


static void
ngx_http_kiro_metrics_open(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats)
{
    ngx_uint_t             i;
    ngx_pid_t              pid;
    ngx_atomic_uint_t      requests, streams;

    requests = 0;
    streams = 0;

    for (i = 0; i < NGX_HTTP_KIRO_OPEN; i++) {

        pid = stats->open[i].pid;

        if (pid && !ngx_http_kiro_worker_gone(pid)) {
            requests += stats->open[i].requests;
            streams += stats->open[i].streams;
        }
    }

    ngx_http_kiro_metrics_head(m, "kiro_open_requests", "gauge",
                               "Requests of clients that have not ended.");
    ngx_http_kiro_metrics_line(m, "kiro_open_requests %uA\n", requests);

    ngx_http_kiro_metrics_head(m, "kiro_open_streams", "gauge",
                               "Those of them whose stream has begun.");
    ngx_http_kiro_metrics_line(m, "kiro_open_streams %uA\n", streams);
}


static void
ngx_http_kiro_metrics_accounts(ngx_http_kiro_metrics_t *m,
    ngx_array_t *accounts)
{
    u_char                          name[2 * NGX_HTTP_KIRO_NAME_MAX + 1];
    u_char                          value[NGX_ATOMIC_T_LEN + 8], *p;
    ngx_uint_t                      i, n;
    ngx_http_kiro_account_t       **account;
    ngx_http_kiro_state_view_t      view;
    ngx_http_kiro_metrics_gauge_t  *gauge;

    account = accounts->elts;

    ngx_http_kiro_metrics_head(m, "kiro_account_state", "gauge",
                               "1 for the state that the account is in.");

    for (n = 0; n < accounts->nelts; n++) {

        ngx_http_kiro_state_view(account[n], &view);
        ngx_http_kiro_metrics_escape(name, account[n]->name.data);

        ngx_http_kiro_metrics_line(m, "kiro_account_state{account=\"%s\","
                                   "state=\"%s\"} 1\n", name, view.name);
    }

    for (i = 0; i < sizeof(ngx_http_kiro_metrics_gauges)
                    / sizeof(ngx_http_kiro_metrics_gauge_t); i++)
    {
        gauge = &ngx_http_kiro_metrics_gauges[i];

        ngx_http_kiro_metrics_head(m, gauge->name, gauge->type, gauge->help);

        for (n = 0; n < accounts->nelts; n++) {

            ngx_http_kiro_state_view(account[n], &view);

            p = gauge->value(value, value + sizeof(value) - 1, account[n],
                             &view);

            if (p == value) {
                continue;
            }

            *p = '\0';

            ngx_http_kiro_metrics_escape(name, account[n]->name.data);

            ngx_http_kiro_metrics_line(m, "%s{account=\"%s\"} %s\n",
                                       gauge->name, name, value);
        }
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
ngx_http_kiro_metrics_refreshes(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view)
{
    return ngx_slprintf(p, last, "%uA", account->slot->refreshes);
}


static u_char *
ngx_http_kiro_metrics_failures(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view)
{
    return ngx_slprintf(p, last, "%uA", account->slot->refresh_failures);
}


static u_char *
ngx_http_kiro_metrics_running(u_char *p, u_char *last,
    ngx_http_kiro_account_t *account, ngx_http_kiro_state_view_t *view)
{
    ngx_uint_t  running, waiting;

    if (account->concurrency == 0) {
        return p;
    }

    ngx_http_kiro_queue_count(account, &running, &waiting);

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

    ngx_http_kiro_queue_count(account, &running, &waiting);

    return ngx_slprintf(p, last, "%ui", waiting);
}


/* of a series, terminated: OpenTelemetry's own, or those of the variables */

static void
ngx_http_kiro_metrics_labels(ngx_http_kiro_series_t *s, u_char *labels,
    ngx_uint_t otel)
{
    u_char     account[2 * NGX_HTTP_KIRO_NAME_MAX + 1];
    u_char     model[2 * NGX_HTTP_KIRO_NAME_MAX + 1], *p;
    ngx_str_t  api;

    ngx_http_kiro_metrics_escape(account, s->account);
    ngx_http_kiro_metrics_escape(model, s->model);

    ngx_str_null(&api);

    if (s->api) {
        api = ngx_http_kiro_api_names[s->api - 1];
    }

    p = ngx_slprintf(labels, labels + NGX_HTTP_KIRO_METRICS_LINE - 1,
                     otel ? "account=\"%s\",api=\"%V\",gen_ai_operation_name="
                            "\"chat\",gen_ai_provider_name=\"kiro\","
                            "gen_ai_request_model=\"%s\""
                          : "account=\"%s\",api=\"%V\",model=\"%s\"",
                     account, &api, model);
    *p = '\0';
}


/* a name of at most 64 characters; terminated */

static u_char *
ngx_http_kiro_metrics_escape(u_char *p, u_char *src)
{
    for ( /* void */ ; *src; src++) {

        if (*src == '\\' || *src == '"' || *src == LF) {
            *p++ = '\\';
            *p++ = *src == LF ? 'n' : *src;
            continue;
        }

        *p++ = *src;
    }

    *p = '\0';

    return p;
}
