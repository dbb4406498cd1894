
/*
 * kiro_budget_zone, kiro_budget, and the zone's entries: one a key, found by its
 * hash, each with what was used of the present minute, hour and day.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_budget.h"
#include "ngx_http_kiro_zone.h"


/* millionths of a credit that a request may cost while nothing is known */

#define NGX_HTTP_KIRO_BUDGET_PRICE  100000


static char *ngx_http_kiro_budget_limit(ngx_conf_t *cf,
    ngx_http_kiro_loc_conf_t *klcf, ngx_shm_zone_t *zone, ngx_str_t *value);
static ngx_int_t ngx_http_kiro_budget_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_http_kiro_budget_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static void ngx_http_kiro_budget_expire(ngx_http_kiro_budget_zone_t *zone,
    time_t now);


/* another tag than that of kiro_zone, which is another thing */

static ngx_uint_t  ngx_http_kiro_budget_tag;


ngx_http_kiro_budget_period_t  ngx_http_kiro_budget_periods[] = {
    { ngx_string("minute"), 60, "minute" },
    { ngx_string("hour"), 3600, "hour" },
    { ngx_string("day"), 86400, "day" }
};


/* kiro_budget_zone key zone=name:size */

char *
ngx_http_kiro_budget_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                            *p;
    ssize_t                            size;
    ngx_str_t                         *value, name, s;
    ngx_shm_zone_t                    *shm_zone;
    ngx_http_kiro_budget_zone_t       *zone;
    ngx_http_compile_complex_value_t   ccv;

    value = cf->args->elts;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_kiro_budget_zone_t));
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = &zone->key;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_strncmp(value[2].data, "zone=", 5) != 0) {
        return "needs \"zone=name:size\"";
    }

    name.data = value[2].data + 5;

    p = (u_char *) ngx_strchr(name.data, ':');

    if (p == NULL || p == name.data) {
        return "needs \"zone=name:size\"";
    }

    name.len = p - name.data;

    s.data = p + 1;
    s.len = value[2].data + value[2].len - s.data;

    size = ngx_parse_size(&s);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid zone size \"%V\"",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    if (size < (ssize_t) (8 * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "zone \"%V\" is too small",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    shm_zone = ngx_shared_memory_add(cf, &name, size,
                                     &ngx_http_kiro_budget_tag);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the zone \"%V\" is already in use", &name);
        return NGX_CONF_ERROR;
    }

    shm_zone->init = ngx_http_kiro_budget_init_zone;
    shm_zone->data = zone;

    return NGX_CONF_OK;
}


/* kiro_budget zone=name tokens=number/period credits=number/period ... */

char *
ngx_http_kiro_budget(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_loc_conf_t *klcf = conf;

    char            *rv;
    ngx_str_t       *value, name;
    ngx_uint_t       i;
    ngx_shm_zone_t  *zone;

    value = cf->args->elts;

    if (value[1].len <= 5 || ngx_strncmp(value[1].data, "zone=", 5) != 0) {
        return "needs \"zone=name\" first";
    }

    name.data = value[1].data + 5;
    name.len = value[1].len - 5;

    zone = ngx_shared_memory_add(cf, &name, 0, &ngx_http_kiro_budget_tag);
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (klcf->budgets == NGX_CONF_UNSET_PTR) {
        klcf->budgets = ngx_array_create(cf->pool, 2,
                                         sizeof(ngx_http_kiro_budget_limit_t));
        if (klcf->budgets == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 2; i < cf->args->nelts; i++) {

        rv = ngx_http_kiro_budget_limit(cf, klcf, zone, &value[i]);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_kiro_budget_limit(ngx_conf_t *cf, ngx_http_kiro_loc_conf_t *klcf,
    ngx_shm_zone_t *zone, ngx_str_t *value)
{
    u_char                        *slash, *last;
    off_t                          most;
    ngx_str_t                      s, period;
    ngx_uint_t                     i, unit;
    ngx_http_kiro_budget_limit_t  *limit;

    last = value->data + value->len;
    slash = ngx_strlchr(value->data, last, '/');

    if (slash == NULL) {
        goto invalid;
    }

    if (ngx_strncmp(value->data, "tokens=", 7) == 0) {
        unit = NGX_HTTP_KIRO_BUDGET_TOKENS;
        s.data = value->data + 7;
        s.len = slash - s.data;

        /* 1k is 1000 here: tokens are no bytes */

        most = 1;

        if (s.len && (s.data[s.len - 1] | 0x20) == 'k') {
            most = 1000;
            s.len--;

        } else if (s.len && (s.data[s.len - 1] | 0x20) == 'm') {
            most = 1000000;
            s.len--;
        }

        i = ngx_atoi(s.data, s.len);

        if (i == (ngx_uint_t) NGX_ERROR || i > NGX_MAX_INT32_VALUE) {
            goto invalid;
        }

        most *= i;

    } else if (ngx_strncmp(value->data, "credits=", 8) == 0) {
        unit = NGX_HTTP_KIRO_BUDGET_CREDITS;
        s.data = value->data + 8;
        s.len = slash - s.data;

        most = ngx_atofp(s.data, s.len, 6);

        if (most == NGX_ERROR) {
            goto invalid;
        }

    } else {
        goto invalid;
    }

    if (most == 0) {
        goto invalid;
    }

    period.data = slash + 1;
    period.len = last - period.data;

    for (i = 0; i < NGX_HTTP_KIRO_BUDGET_PERIODS; i++) {

        if (ngx_http_kiro_budget_periods[i].name.len == period.len
            && ngx_strncmp(ngx_http_kiro_budget_periods[i].name.data,
                           period.data, period.len)
               == 0)
        {
            limit = ngx_array_push(klcf->budgets);
            if (limit == NULL) {
                return NGX_CONF_ERROR;
            }

            limit->zone = zone;
            limit->unit = unit;
            limit->period = i;
            limit->most = most;

            return NGX_CONF_OK;
        }
    }

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" is no limit, it must have the form "
                       "\"tokens=100k/hour\" or \"credits=2.5/day\", with "
                       "\"minute\", \"hour\" or \"day\"", value);

    return NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_kiro_budget_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_kiro_budget_zone_t  *ozone = data;

    size_t                        len;
    ngx_http_kiro_budget_zone_t  *zone;

    zone = shm_zone->data;

    if (ozone) {

        if (zone->key.value.len != ozone->key.value.len
            || ngx_strncmp(zone->key.value.data, ozone->key.value.data,
                           zone->key.value.len)
               != 0)
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "kiro_budget_zone \"%V\" uses the key \"%V\" while "
                          "it used \"%V\" before", &shm_zone->shm.name,
                          &zone->key.value, &ozone->key.value);
            return NGX_ERROR;
        }

        zone->sh = ozone->sh;
        zone->shpool = ozone->shpool;

        return NGX_OK;
    }

    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        zone->sh = zone->shpool->data;

        return NGX_OK;
    }

    zone->sh = ngx_slab_alloc(zone->shpool, sizeof(ngx_http_kiro_budget_shm_t));
    if (zone->sh == NULL) {
        return NGX_ERROR;
    }

    zone->shpool->data = zone->sh;

    ngx_rbtree_init(&zone->sh->rbtree, &zone->sh->sentinel,
                    ngx_http_kiro_budget_insert);

    ngx_queue_init(&zone->sh->queue);

    len = sizeof(" in kiro_budget_zone \"\"") + shm_zone->shm.name.len;

    zone->shpool->log_ctx = ngx_slab_alloc(zone->shpool, len);
    if (zone->shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(zone->shpool->log_ctx, " in kiro_budget_zone \"%V\"%Z",
                &shm_zone->shm.name);

    zone->shpool->log_nomem = 0;

    return NGX_OK;
}


static void
ngx_http_kiro_budget_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t            **p;
    ngx_http_kiro_budget_node_t   *n, *t;

    for ( ;; ) {

        if (node->key < temp->key) {
            p = &temp->left;

        } else if (node->key > temp->key) {
            p = &temp->right;

        } else { /* node->key == temp->key */

            n = (ngx_http_kiro_budget_node_t *) &node->color;
            t = (ngx_http_kiro_budget_node_t *) &temp->color;

            p = (ngx_memn2cmp(n->data, t->data, n->len, t->len) < 0)
                ? &temp->left : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


ngx_http_kiro_budget_node_t *
ngx_http_kiro_budget_find(ngx_http_kiro_budget_shm_t *sh, uint32_t hash,
    ngx_str_t *key)
{
    ngx_int_t                     rc;
    ngx_rbtree_node_t            *node, *sentinel;
    ngx_http_kiro_budget_node_t  *n;

    node = sh->rbtree.root;
    sentinel = sh->rbtree.sentinel;

    while (node != sentinel) {

        if (hash < node->key) {
            node = node->left;
            continue;
        }

        if (hash > node->key) {
            node = node->right;
            continue;
        }

        n = (ngx_http_kiro_budget_node_t *) &node->color;

        rc = ngx_memn2cmp(key->data, n->data, key->len, (size_t) n->len);

        if (rc == 0) {
            return n;
        }

        node = (rc < 0) ? node->left : node->right;
    }

    return NULL;
}


/* finds or makes it; all its windows are those of now */

ngx_http_kiro_budget_node_t *
ngx_http_kiro_budget_node(ngx_http_kiro_budget_zone_t *zone, uint32_t hash,
    ngx_str_t *key, time_t now)
{
    size_t                          size;
    time_t                          number;
    ngx_uint_t                      i, unit;
    ngx_rbtree_node_t              *node;
    ngx_http_kiro_budget_node_t    *n;
    ngx_http_kiro_budget_window_t  *w;

    n = ngx_http_kiro_budget_find(zone->sh, hash, key);

    if (n) {
        ngx_queue_remove(&n->queue);

    } else {

        size = offsetof(ngx_rbtree_node_t, color)
               + offsetof(ngx_http_kiro_budget_node_t, data) + key->len;

        node = ngx_slab_calloc_locked(zone->shpool, size);

        if (node == NULL) {
            ngx_http_kiro_budget_expire(zone, now);

            node = ngx_slab_calloc_locked(zone->shpool, size);
            if (node == NULL) {
                return NULL;
            }
        }

        node->key = hash;

        n = (ngx_http_kiro_budget_node_t *) &node->color;

        n->len = (u_short) key->len;
        n->price = NGX_HTTP_KIRO_BUDGET_PRICE;

        ngx_memcpy(n->data, key->data, key->len);

        ngx_rbtree_insert(&zone->sh->rbtree, node);
    }

    ngx_queue_insert_head(&zone->sh->queue, &n->queue);

    n->last = now;

    for (i = 0; i < NGX_HTTP_KIRO_BUDGET_PERIODS; i++) {

        number = now / ngx_http_kiro_budget_periods[i].length;

        for (unit = 0; unit < NGX_HTTP_KIRO_BUDGET_UNITS; unit++) {

            w = &n->windows[unit][i];

            /* a clock that is put back gives nothing back */

            if (number > w->number) {
                w->number = number;
                w->used = 0;
            }
        }
    }

    return n;
}


/* whoever did nothing on this day has spent nothing of it */

static void
ngx_http_kiro_budget_expire(ngx_http_kiro_budget_zone_t *zone, time_t now)
{
    time_t                        day;
    ngx_queue_t                  *q;
    ngx_rbtree_node_t            *node;
    ngx_http_kiro_budget_node_t  *n;

    day = ngx_http_kiro_budget_periods[NGX_HTTP_KIRO_BUDGET_PERIODS - 1].length;

    while (!ngx_queue_empty(&zone->sh->queue)) {

        q = ngx_queue_last(&zone->sh->queue);
        n = ngx_queue_data(q, ngx_http_kiro_budget_node_t, queue);

        if (n->last / day >= now / day) {
            return;
        }

        ngx_queue_remove(q);

        node = (ngx_rbtree_node_t *)
                   ((u_char *) n - offsetof(ngx_rbtree_node_t, color));

        ngx_rbtree_delete(&zone->sh->rbtree, node);

        ngx_slab_free_locked(zone->shpool, node);
    }
}
