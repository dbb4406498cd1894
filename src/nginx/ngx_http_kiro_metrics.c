
/*
 * kiro_metrics: the counters of the zone in Prometheus' text format.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_lease.h"
#include "ngx_http_kiro_metrics.h"
#include "ngx_http_kiro_stats.h"
#include "ngx_http_kiro_zone.h"


#define NGX_HTTP_KIRO_METRICS_BUFFER  16384


static ngx_int_t ngx_http_kiro_metrics_handler(ngx_http_request_t *r);
static u_char *ngx_http_kiro_metrics_room(ngx_http_kiro_metrics_t *m,
    u_char **last);
static void ngx_http_kiro_metrics_added(ngx_http_kiro_metrics_t *m, u_char *p);
static void ngx_http_kiro_metrics_open(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats);


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

    ngx_http_kiro_metrics_series(&m, stats);
    ngx_http_kiro_metrics_open(&m, stats);
    ngx_http_kiro_metrics_accounts(&m, &kmcf->accounts);
    ngx_http_kiro_metrics_limits(&m, &kmcf->accounts);

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


void
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


void
ngx_http_kiro_metrics_head(ngx_http_kiro_metrics_t *m, char *name, char *type,
    char *help)
{
    ngx_http_kiro_metrics_line(m, "# HELP %s %s\n# TYPE %s %s\n", name, help,
                               name, type);
}


/* digits: behind the point, which bounds and sum are without */

void
ngx_http_kiro_metrics_histogram(ngx_http_kiro_metrics_t *m, char *name,
    u_char *labels, ngx_http_kiro_histogram_t *histogram,
    const ngx_msec_t *bounds, ngx_uint_t digits)
{
    u_char             value[NGX_ATOMIC_T_LEN + 2];
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

    for (i = 0; i < NGX_HTTP_KIRO_BOUNDS && bounds[i]; i++) {
        ngx_http_kiro_metrics_number(value, bounds[i], digits);

        ngx_http_kiro_metrics_line(m, "%s_bucket{%s,le=\"%s\"} %uA\n", name,
                                   labels, value, counts[i]);
    }

    ngx_http_kiro_metrics_line(m, "%s_bucket{%s,le=\"+Inf\"} %uA\n", name,
                               labels, total);

    ngx_http_kiro_metrics_number(value, sum, digits);

    ngx_http_kiro_metrics_line(m, "%s_sum{%s} %s\n", name, labels, value);
    ngx_http_kiro_metrics_line(m, "%s_count{%s} %uA\n", name, labels, total);
}


/* terminated */

void
ngx_http_kiro_metrics_number(u_char *p, ngx_atomic_uint_t value,
    ngx_uint_t digits)
{
    switch (digits) {

    case 6:
        ngx_sprintf(p, "%uA.%06uA%Z", value / 1000000, value % 1000000);
        return;

    case 3:
        ngx_sprintf(p, "%uA.%03uA%Z", value / 1000, value % 1000);
        return;

    default:
        ngx_sprintf(p, "%uA%Z", value);
    }
}


/* a name of at most 64 characters; terminated */

u_char *
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
