
/*
 * Directives and configuration life cycle.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_access.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_budget.h"
#include "ngx_http_kiro_capture.h"
#include "ngx_http_kiro_error.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_secret.h"
#include "ngx_http_kiro_stats.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"


static void *ngx_http_kiro_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_kiro_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_kiro_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_kiro_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_kiro_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_kiro_init_process(ngx_cycle_t *cycle);
static void ngx_http_kiro_exit_process(ngx_cycle_t *cycle);

static char *ngx_http_kiro_pass(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_kiro_init_peers(ngx_conf_t *cf,
    ngx_http_kiro_main_conf_t *kmcf, ngx_http_kiro_loc_conf_t *conf);


static ngx_conf_enum_t  ngx_http_kiro_filters[] = {
    { ngx_string("off"), 0 },
    { ngx_string("openai"), KIRO_API_OPENAI_CHAT + 1 },
    { ngx_string("anthropic"), KIRO_API_ANTHROPIC + 1 },
    { ngx_string("responses"), KIRO_API_OPENAI_RESPONSES + 1 },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_kiro_thinkings[] = {
    { ngx_string("auto"), KIRO_THINKING_AUTO },
    { ngx_string("native"), KIRO_THINKING_NATIVE },
    { ngx_string("tags"), KIRO_THINKING_TAGS },
    { ngx_string("off"), KIRO_THINKING_OFF },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_kiro_tool_streams[] = {
    { ngx_string("complete"), KIRO_TOOLS_COMPLETE },
    { ngx_string("incremental"), KIRO_TOOLS_INCREMENTAL },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_kiro_captures[] = {
    { ngx_string("off"), NGX_HTTP_KIRO_CAPTURE_OFF },
    { ngx_string("errors"), NGX_HTTP_KIRO_CAPTURE_ERRORS },
    { ngx_string("all"), NGX_HTTP_KIRO_CAPTURE_ALL },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_kiro_unknown_models[] = {
    { ngx_string("pass"), 0 },
    { ngx_string("refuse"), 1 },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_kiro_commands[] = {

    { ngx_string("kiro_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_kiro_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kiro_account"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_kiro_account_block,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kiro_pass"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_CONF_TAKE1,
      ngx_http_kiro_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kiro_auth"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kiro_auth,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kiro_client_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_kiro_client_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kiro_client_keys"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kiro_client_keys,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kiro_budget_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_kiro_budget_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kiro_budget"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_2MORE,
      ngx_http_kiro_budget,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kiro_cors_origin"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_kiro_cors,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kiro_fallback"),
      NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_kiro_fallback,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kiro_retries"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, retries),
      NULL },

    { ngx_string("kiro_retry_delay"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_kiro_retry_delay,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kiro_connect_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, connect_timeout),
      NULL },

    { ngx_string("kiro_send_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, send_timeout),
      NULL },

    { ngx_string("kiro_read_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, read_timeout),
      NULL },

    { ngx_string("kiro_first_token_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kiro_time_or_off,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, first_token_timeout),
      NULL },

    { ngx_string("kiro_early_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kiro_time_or_off,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, early_headers),
      NULL },

    { ngx_string("kiro_ping_interval"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kiro_time_or_off,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, ping_interval),
      NULL },

    { ngx_string("kiro_buffer_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, buffer_size),
      NULL },

    { ngx_string("kiro_max_response_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, max_response_size),
      NULL },

    { ngx_string("kiro_default_model"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, default_model),
      NULL },

    { ngx_string("kiro_model_alias"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_kiro_model_alias,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kiro_truncation_notice"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, truncation_notice),
      NULL },

    { ngx_string("kiro_thinking"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kiro_one_of,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, thinking),
      &ngx_http_kiro_thinkings },

    { ngx_string("kiro_rescue_tool_calls"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, rescue_tool_calls),
      NULL },

    { ngx_string("kiro_explain"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, explain),
      NULL },

    { ngx_string("kiro_tool_stream"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kiro_one_of,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, tool_stream),
      &ngx_http_kiro_tool_streams },

    { ngx_string("kiro_unknown_model"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kiro_one_of,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, unknown_model),
      &ngx_http_kiro_unknown_models },

    { ngx_string("kiro_set_header"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_kiro_set_header,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kiro_filter"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kiro_one_of,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, filter),
      &ngx_http_kiro_filters },

    { ngx_string("kiro_capture"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_kiro_capture_mode,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kiro_loc_conf_t, capture),
      &ngx_http_kiro_captures },

    { ngx_string("kiro_capture_path"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1234,
      ngx_http_kiro_capture_path,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kiro_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_kiro_metrics,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kiro_health"),
      NGX_HTTP_LOC_CONF|NGX_CONF_ANY,
      ngx_http_kiro_health,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_kiro_module_ctx = {
    ngx_http_kiro_add_variables,           /* preconfiguration */
    ngx_http_kiro_postconfiguration,       /* postconfiguration */

    ngx_http_kiro_create_main_conf,        /* create main configuration */
    ngx_http_kiro_init_main_conf,          /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_kiro_create_loc_conf,         /* create location configuration */
    ngx_http_kiro_merge_loc_conf           /* merge location configuration */
};


ngx_module_t  ngx_http_kiro_module = {
    NGX_MODULE_V1,
    &ngx_http_kiro_module_ctx,             /* module context */
    ngx_http_kiro_commands,                /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_kiro_build_init,              /* init module */
    ngx_http_kiro_init_process,            /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_kiro_exit_process,            /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_kiro_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_kiro_main_conf_t  *kmcf;

    kmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_kiro_main_conf_t));
    if (kmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&kmcf->accounts, cf->pool, 4,
                       sizeof(ngx_http_kiro_account_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return kmcf;
}


static char *
ngx_http_kiro_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_kiro_main_conf_t *kmcf = conf;

    ngx_str_t                  name = ngx_string("kiro");
    ngx_uint_t                 i;
    ngx_http_kiro_account_t  **account;

    if (kmcf->accounts.nelts || kmcf->metrics || kmcf->capture) {
        kmcf->thread_pool = ngx_thread_pool_add(cf, NULL);
        if (kmcf->thread_pool == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (kmcf->accounts.nelts == 0 && !kmcf->metrics) {
        return NGX_CONF_OK;
    }

    if (kmcf->zone == NULL
        && ngx_http_kiro_zone_add(cf, kmcf, &name, 2 * 1024 * 1024) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        account[i]->zone = kmcf->zone;

        if (ngx_http_kiro_endpoint_settle(cf, account[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_kiro_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_kiro_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_kiro_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->pass = NULL;
     *     conf->peers = NULL;
     *     conf->health = NULL;
     *     conf->location = { 0, NULL };
     *     conf->fallback = { 0, NULL };
     *     conf->fallback_causes = 0;
     *     conf->default_model = { 0, NULL };
     */

    conf->keys = NGX_CONF_UNSET_PTR;
    conf->auth = NGX_CONF_UNSET_UINT;
    conf->origins = NGX_CONF_UNSET_PTR;
    conf->budgets = NGX_CONF_UNSET_PTR;
    conf->aliases = NGX_CONF_UNSET_PTR;
    conf->headers = NGX_CONF_UNSET_PTR;
    conf->retries = NGX_CONF_UNSET_UINT;
    conf->retry_delay = NGX_CONF_UNSET_MSEC;
    conf->retry_delay_max = NGX_CONF_UNSET_MSEC;
    conf->connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->send_timeout = NGX_CONF_UNSET_MSEC;
    conf->read_timeout = NGX_CONF_UNSET_MSEC;
    conf->first_token_timeout = NGX_CONF_UNSET_MSEC;
    conf->ping_interval = NGX_CONF_UNSET_MSEC;
    conf->early_headers = NGX_CONF_UNSET_MSEC;
    conf->buffer_size = NGX_CONF_UNSET_SIZE;
    conf->max_response_size = NGX_CONF_UNSET_SIZE;
    conf->capture = NGX_CONF_UNSET_UINT;
    conf->capture_path = NGX_CONF_UNSET_PTR;
    conf->truncation_notice = NGX_CONF_UNSET;
    conf->thinking = NGX_CONF_UNSET_UINT;
    conf->tool_stream = NGX_CONF_UNSET_UINT;
    conf->rescue_tool_calls = NGX_CONF_UNSET;
    conf->explain = NGX_CONF_UNSET;
    conf->unknown_model = NGX_CONF_UNSET_UINT;
    conf->filter = NGX_CONF_UNSET_UINT;

    return conf;
}


static char *
ngx_http_kiro_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_kiro_loc_conf_t  *prev = parent;
    ngx_http_kiro_loc_conf_t  *conf = child;

    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_kiro_main_conf_t  *kmcf;

    ngx_conf_merge_ptr_value(conf->keys, prev->keys, NULL);

    if (conf->auth == NGX_CONF_UNSET_UINT) {
        conf->auth_key = prev->auth_key;
    }

    ngx_conf_merge_uint_value(conf->auth, prev->auth,
                              NGX_HTTP_KIRO_AUTH_ACCOUNT);
    ngx_conf_merge_ptr_value(conf->origins, prev->origins, NULL);
    ngx_conf_merge_ptr_value(conf->budgets, prev->budgets, NULL);
    ngx_conf_merge_ptr_value(conf->aliases, prev->aliases, NULL);
    ngx_conf_merge_ptr_value(conf->headers, prev->headers, NULL);
    ngx_conf_merge_str_value(conf->default_model, prev->default_model, "");
    ngx_conf_merge_uint_value(conf->retries, prev->retries, 3);
    ngx_conf_merge_msec_value(conf->retry_delay, prev->retry_delay, 1000);
    ngx_conf_merge_msec_value(conf->retry_delay_max, prev->retry_delay_max,
                              10000);
    ngx_conf_merge_msec_value(conf->connect_timeout, prev->connect_timeout,
                              10000);
    ngx_conf_merge_msec_value(conf->send_timeout, prev->send_timeout, 60000);
    ngx_conf_merge_msec_value(conf->read_timeout, prev->read_timeout, 300000);
    ngx_conf_merge_msec_value(conf->first_token_timeout,
                              prev->first_token_timeout, 90000);
    ngx_conf_merge_msec_value(conf->ping_interval, prev->ping_interval, 15000);
    ngx_conf_merge_msec_value(conf->early_headers, prev->early_headers, 30000);
    ngx_conf_merge_size_value(conf->buffer_size, prev->buffer_size, 16384);
    ngx_conf_merge_size_value(conf->max_response_size,
                              prev->max_response_size, 32 * 1024 * 1024);
    ngx_conf_merge_uint_value(conf->capture, prev->capture,
                              NGX_HTTP_KIRO_CAPTURE_OFF);
    ngx_conf_merge_ptr_value(conf->capture_path, prev->capture_path, NULL);
    ngx_conf_merge_value(conf->truncation_notice, prev->truncation_notice, 1);
    ngx_conf_merge_uint_value(conf->thinking, prev->thinking,
                              KIRO_THINKING_AUTO);
    ngx_conf_merge_value(conf->rescue_tool_calls,
                         prev->rescue_tool_calls, 1);
    ngx_conf_merge_value(conf->explain, prev->explain, 0);
    ngx_conf_merge_uint_value(conf->tool_stream, prev->tool_stream,
                              KIRO_TOOLS_COMPLETE);
    ngx_conf_merge_uint_value(conf->unknown_model, prev->unknown_model, 0);
    ngx_conf_merge_uint_value(conf->filter, prev->filter, 0);

    if (conf->fallback.data == NULL) {
        conf->fallback = prev->fallback;
        conf->fallback_causes = prev->fallback_causes;
    }

    if (conf->buffer_size < 1024) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"kiro_buffer_size\" must be at least 1k");
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* "if" and limit_except blocks inside of a location */

    if (clcf->noname) {
        conf->location = prev->location;

        if (conf->pass == NULL) {
            conf->pass = prev->pass;
            conf->peers = prev->peers;
        }

    } else if (!clcf->named
#if (NGX_PCRE)
               && clcf->regex == NULL
#endif
              )
    {
        conf->location = clcf->name;
    }

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kiro_module);

    if (conf->pass || conf->filter) {
        kmcf->enabled = 1;

        if (conf->capture != NGX_HTTP_KIRO_CAPTURE_OFF
            && conf->capture_path == NULL)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"kiro_capture\" needs a \"kiro_capture_path\" "
                               "in location \"%V\"", &clcf->name);
            return NGX_CONF_ERROR;
        }
    }

    if (conf->pass == NULL || conf->peers) {
        return NGX_CONF_OK;
    }

    if (conf->filter) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"kiro_filter\" is for responses of other handlers,"
                           " it cannot be used with \"kiro_pass\"");
        return NGX_CONF_ERROR;
    }

    if (ngx_http_kiro_special_add(cf, &conf->location) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_kiro_init_peers(cf, kmcf, conf) != NGX_OK
        || ngx_http_kiro_auth_check(cf, conf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_kiro_init_peers(ngx_conf_t *cf, ngx_http_kiro_main_conf_t *kmcf,
    ngx_http_kiro_loc_conf_t *conf)
{
    ngx_uint_t                 i;
    ngx_http_kiro_peer_t      *peer;
    ngx_http_kiro_account_t   *one, **account;

    one = NULL;

    if (conf->pass->lengths == NULL) {

        one = ngx_http_kiro_account_find(kmcf, &conf->pass->value);

        if (one == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"kiro_pass\" names the account \"%V\", but "
                               "there is no \"kiro_account %V { ... }\"",
                               &conf->pass->value, &conf->pass->value);
            return NGX_ERROR;
        }

    } else if (kmcf->accounts.nelts == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"kiro_pass\" needs a \"kiro_account\" block");
        return NGX_ERROR;
    }

    conf->peers = ngx_array_create(cf->pool, one ? 1 : kmcf->accounts.nelts,
                                   sizeof(ngx_http_kiro_peer_t));
    if (conf->peers == NULL) {
        return NGX_ERROR;
    }

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        if (one && one != account[i]) {
            continue;
        }

        peer = ngx_array_push(conf->peers);
        if (peer == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(peer, sizeof(ngx_http_kiro_peer_t));

        peer->account = account[i];

        if (ngx_http_kiro_upstream_conf(cf, conf, peer) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;
    ngx_http_kiro_main_conf_t  *kmcf;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kiro_module);

    if (ngx_http_kiro_auth_settle(cf, kmcf) != NGX_OK
        || ngx_http_kiro_health_settle(cf, kmcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (kmcf->enabled) {

        cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

        h = ngx_array_push(&cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        *h = ngx_http_kiro_access_handler;

        h = ngx_array_push(&cmcf->phases[NGX_HTTP_REWRITE_PHASE].handlers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        *h = ngx_http_kiro_stats_mark;

        h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        *h = ngx_http_kiro_stats_handler;

        if (kmcf->capture) {

            h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
            if (h == NULL) {
                return NGX_ERROR;
            }

            *h = ngx_http_kiro_capture_handler;
        }
    }

    if (ngx_http_kiro_fallback_check(cf, kmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_kiro_filter_init(cf);
}


static ngx_int_t
ngx_http_kiro_init_process(ngx_cycle_t *cycle)
{
    if (ngx_http_kiro_egress_init_worker(cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_kiro_source_init_worker(cycle);
    ngx_http_kiro_write_back_init_worker(cycle);
    ngx_http_kiro_stats_init_worker(cycle);

    return ngx_http_kiro_token_init_worker(cycle);
}


static void
ngx_http_kiro_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_kiro_token_exit_worker(cycle);
    ngx_http_kiro_egress_exit_worker(cycle);
    ngx_http_kiro_stats_exit_worker(cycle);
    ngx_http_kiro_capture_exit_worker(cycle);
    ngx_http_kiro_secret_exit_worker();
}


static char *
ngx_http_kiro_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_loc_conf_t *klcf = conf;

    ngx_str_t                         *value;
    ngx_http_core_loc_conf_t          *clcf;
    ngx_http_compile_complex_value_t   ccv;

    if (klcf->pass) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "needs the name of an account";
    }

    klcf->pass = ngx_pcalloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (klcf->pass == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = klcf->pass;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    clcf->handler = ngx_http_kiro_handler;

    return NGX_CONF_OK;
}
