
/*
 * What the values of directives may be, where nginx has no function for it.
 */


#include "ngx_http_kiro.h"



char *
ngx_http_kiro_retry_delay(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_loc_conf_t *klcf = conf;

    ngx_str_t  *value;

    if (klcf->retry_delay != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    klcf->retry_delay = ngx_parse_time(&value[1], 0);

    if (klcf->retry_delay == (ngx_msec_t) NGX_ERROR) {
        return "has an invalid initial delay";
    }

    if (cf->args->nelts == 2) {
        klcf->retry_delay_max = ngx_max(klcf->retry_delay, 10000);
        return NGX_CONF_OK;
    }

    klcf->retry_delay_max = ngx_parse_time(&value[2], 0);

    if (klcf->retry_delay_max == (ngx_msec_t) NGX_ERROR
        || klcf->retry_delay_max < klcf->retry_delay)
    {
        return "has an invalid maximum delay";
    }

    return NGX_CONF_OK;
}


/* ngx_conf_set_enum_slot names neither the directive nor its values */

char *
ngx_http_kiro_one_of(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    u_char           *last, buf[256];
    ngx_str_t        *value;
    ngx_uint_t       *np;
    ngx_conf_enum_t  *e, *words;

    np = (ngx_uint_t *) (p + cmd->offset);

    if (*np != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    words = cmd->post;
    last = buf;

    for (e = words; e->name.len; e++) {
        if (e->name.len == value[1].len
            && ngx_strcasecmp(e->name.data, value[1].data) == 0)
        {
            *np = e->value;
            return NGX_CONF_OK;
        }

        last = ngx_slprintf(last, buf + sizeof(buf), "%s\"%V\"",
                            e == words ? "" : e[1].name.len ? ", " : " or ",
                            &e->name);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\" directive, "
                       "it must be %*s",
                       &value[1], &cmd->name, (size_t) (last - buf), buf);
    return NGX_CONF_ERROR;
}


/* off is zero */

char *
ngx_http_kiro_time_or_off(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t   *value;
    ngx_msec_t  *msp;

    msp = (ngx_msec_t *) (p + cmd->offset);

    if (*msp != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        *msp = 0;
        return NGX_CONF_OK;
    }

    *msp = ngx_parse_time(&value[1], 0);

    if (*msp == (ngx_msec_t) NGX_ERROR || *msp == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\" directive, it must "
                           "be a time above zero, as \"30s\" or \"10m\", or "
                           "\"off\"", &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_kiro_model_alias(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_loc_conf_t *klcf = conf;

    ngx_str_t         *value;
    kiro_model_alias  *alias;

    if (klcf->aliases == NGX_CONF_UNSET_PTR) {
        klcf->aliases = ngx_array_create(cf->pool, 4,
                                         sizeof(kiro_model_alias));
        if (klcf->aliases == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    alias = ngx_array_push(klcf->aliases);
    if (alias == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    alias->from = ngx_http_kiro_str(&value[1]);
    alias->to = ngx_http_kiro_str(&value[2]);

    return NGX_CONF_OK;
}


char *
ngx_http_kiro_set_header(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_loc_conf_t *klcf = conf;

    ngx_str_t                         *value;
    ngx_uint_t                         i;
    ngx_http_kiro_set_header_t        *h;
    ngx_http_compile_complex_value_t   ccv;

    /* what the module must control itself */

    static ngx_str_t  fixed[] = {
        ngx_string("Authorization"),
        ngx_string("Host"),
        ngx_string("Content-Length"),
        ngx_string("Content-Type"),
        ngx_string("Transfer-Encoding"),
        ngx_string("Connection"),
        ngx_string("Accept-Encoding"),
        ngx_string("X-Amz-Target"),
        ngx_string("TokenType"),
        ngx_null_string
    };

    value = cf->args->elts;

    for (i = 0; fixed[i].len; i++) {
        if (value[1].len == fixed[i].len
            && ngx_strcasecmp(value[1].data, fixed[i].data) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the header \"%V\" is set by the module itself",
                               &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    if (klcf->headers == NGX_CONF_UNSET_PTR) {
        klcf->headers = ngx_array_create(cf->pool, 4,
                                         sizeof(ngx_http_kiro_set_header_t));
        if (klcf->headers == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    h = ngx_array_push(klcf->headers);
    if (h == NULL) {
        return NGX_CONF_ERROR;
    }

    h->name = value[1];

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[2];
    ccv.complex_value = &h->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
