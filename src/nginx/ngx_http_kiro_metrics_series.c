
/*
 * Metrics of requests: by account, dialect and model.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_metrics.h"
#include "ngx_http_kiro_stats.h"


typedef struct {
    char                            *name;        /* twice: of one family */
    char                            *help;
    size_t                           offset;      /* in the series */
    ngx_uint_t                       digits;      /* behind the point */
    const ngx_msec_t                *bounds;      /* of a histogram */
    char                            *more;        /* labels */
} ngx_http_kiro_metrics_row_t;


static void ngx_http_kiro_metrics_requests(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats);
static void ngx_http_kiro_metrics_errors(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats);
static void ngx_http_kiro_metrics_row(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats, ngx_http_kiro_metrics_row_t *row);
static void ngx_http_kiro_metrics_labels(ngx_http_kiro_series_t *s,
    u_char *labels, char *more);


#define ngx_http_kiro_metrics_of(field)                                       \
    offsetof(ngx_http_kiro_series_t, field)

/* as OpenTelemetry's conventions name what Prometheus shall get */

#define NGX_HTTP_KIRO_METRICS_OTEL                                            \
    ",gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"kiro\""


static ngx_http_kiro_metrics_row_t  ngx_http_kiro_metrics_rows[] = {

    { "kiro_input_tokens_total",
      "Prompt tokens, with what came from a cache.",
      ngx_http_kiro_metrics_of(input_tokens.sum),
      0, NULL, NULL },

    { "kiro_output_tokens_total",
      "Tokens of answers, with reasoning.",
      ngx_http_kiro_metrics_of(output_tokens.sum),
      0, NULL, NULL },

    { "kiro_reasoning_tokens_total",
      "Part of the output tokens: reasoning.",
      ngx_http_kiro_metrics_of(reasoning_tokens),
      0, NULL, NULL },

    { "kiro_cache_read_tokens_total",
      "Part of the input tokens: read from a cache.",
      ngx_http_kiro_metrics_of(cache_read_tokens),
      0, NULL, NULL },

    { "kiro_cache_write_tokens_total",
      "Part of the input tokens: written to a cache.",
      ngx_http_kiro_metrics_of(cache_write_tokens),
      0, NULL, NULL },

    { "kiro_credits_total",
      "Credits that the service charged.",
      ngx_http_kiro_metrics_of(credits),
      6, NULL, NULL },

    { "gen_ai_client_token_usage",
      "Tokens of a request that the service answered.",
      ngx_http_kiro_metrics_of(input_tokens),
      0, ngx_http_kiro_stats_tokens,
      NGX_HTTP_KIRO_METRICS_OTEL ",gen_ai_token_type=\"input\"" },

    { "gen_ai_client_token_usage", NULL,
      ngx_http_kiro_metrics_of(output_tokens),
      0, ngx_http_kiro_stats_tokens,
      NGX_HTTP_KIRO_METRICS_OTEL ",gen_ai_token_type=\"output\"" },

    { "gen_ai_server_time_to_first_token_seconds",
      "From a client's request to the first content of its answer.",
      ngx_http_kiro_metrics_of(first_token),
      3, ngx_http_kiro_stats_first_token,
      NGX_HTTP_KIRO_METRICS_OTEL },

    { "gen_ai_server_time_per_output_token_seconds",
      "Behind the first token, of whole answers.",
      ngx_http_kiro_metrics_of(token_pace),
      6, ngx_http_kiro_stats_token_pace,
      NGX_HTTP_KIRO_METRICS_OTEL },

    { "gen_ai_server_request_duration_seconds",
      "From a client's request to the end of its answer.",
      ngx_http_kiro_metrics_of(duration),
      3, ngx_http_kiro_stats_duration,
      NGX_HTTP_KIRO_METRICS_OTEL }
};


void
ngx_http_kiro_metrics_series(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats)
{
    ngx_uint_t  i;

    ngx_http_kiro_metrics_requests(m, stats);
    ngx_http_kiro_metrics_errors(m, stats);

    for (i = 0; i < sizeof(ngx_http_kiro_metrics_rows)
                    / sizeof(ngx_http_kiro_metrics_row_t); i++)
    {
        ngx_http_kiro_metrics_row(m, stats, &ngx_http_kiro_metrics_rows[i]);
    }
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

        ngx_http_kiro_metrics_labels(s, labels, NULL);

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
ngx_http_kiro_metrics_errors(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats)
{
    u_char                   labels[NGX_HTTP_KIRO_METRICS_LINE];
    ngx_uint_t               i, n;
    ngx_atomic_uint_t        count;
    ngx_http_kiro_series_t  *s;

    ngx_http_kiro_metrics_head(m, "kiro_errors_total", "counter",
                               "Requests of clients that failed, by the kind.");

    for (n = 0; n < stats->nseries; n++) {

        s = &stats->series[n];

        ngx_http_kiro_metrics_labels(s, labels, NULL);

        for (i = 0; i < NGX_HTTP_KIRO_ERRORS; i++) {

            count = s->errors[i];

            if (count) {
                ngx_http_kiro_metrics_line(m, "kiro_errors_total{%s,error="
                                           "\"%s\"} %uA\n", labels,
                                           ngx_http_kiro_error_name(i), count);
            }
        }
    }
}


static void
ngx_http_kiro_metrics_row(ngx_http_kiro_metrics_t *m,
    ngx_http_kiro_stats_t *stats, ngx_http_kiro_metrics_row_t *row)
{
    u_char                   labels[NGX_HTTP_KIRO_METRICS_LINE], *p;
    u_char                   number[NGX_ATOMIC_T_LEN + 2];
    ngx_uint_t               n;
    ngx_atomic_uint_t        value;
    ngx_http_kiro_series_t  *s;

    if (row->help) {
        ngx_http_kiro_metrics_head(m, row->name,
                                   row->bounds ? "histogram" : "counter",
                                   row->help);
    }

    for (n = 0; n < stats->nseries; n++) {

        s = &stats->series[n];
        p = (u_char *) s + row->offset;

        ngx_http_kiro_metrics_labels(s, labels, row->more);

        if (row->bounds) {
            ngx_http_kiro_metrics_histogram(m, row->name, labels,
                                            (ngx_http_kiro_histogram_t *) p,
                                            row->bounds, row->digits);
            continue;
        }

        value = *(ngx_atomic_t *) p;

        if (value == 0) {
            continue;
        }

        ngx_http_kiro_metrics_number(number, value, row->digits);

        ngx_http_kiro_metrics_line(m, "%s{%s} %s\n", row->name, labels, number);
    }
}


/* of a series, terminated: with "more" in OpenTelemetry's words */

static void
ngx_http_kiro_metrics_labels(ngx_http_kiro_series_t *s, u_char *labels,
    char *more)
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
                     "account=\"%s\",api=\"%V\",%s=\"%s\"%s", account, &api,
                     more ? "gen_ai_request_model" : "model", model,
                     more ? more : "");
    *p = '\0';
}
