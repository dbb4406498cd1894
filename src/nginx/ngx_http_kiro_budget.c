
/*
 * Budgets: tokens and credits that whoever a variable names may use up in a
 * minute, an hour, a day.  Counted in zones of their own, for all workers; what
 * a request will use is taken by estimate before its first attempt and put
 * right at its end.
 */


#include "ngx_http_kiro.h"


#define NGX_HTTP_KIRO_BUDGET_PERIODS  3
#define NGX_HTTP_KIRO_BUDGET_UNITS    2

#define NGX_HTTP_KIRO_BUDGET_TOKENS   0
#define NGX_HTTP_KIRO_BUDGET_CREDITS  1       /* millionths */

/* estimates */

#define NGX_HTTP_KIRO_BUDGET_BYTES    4       /* of a token of the prompt */
#define NGX_HTTP_KIRO_BUDGET_ANSWER   1024    /* tokens */
#define NGX_HTTP_KIRO_BUDGET_PRICE    100000  /* while nothing is known */

/* s, clients may wait for it themselves */

#define NGX_HTTP_KIRO_BUDGET_SOON     60


typedef struct {
    ngx_str_t                        name;
    time_t                           length;
    char                            *text;
} ngx_http_kiro_budget_period_t;


/* periods are those of the clock, in UTC */

typedef struct {
    time_t                           number;
    uint64_t                         used;
} ngx_http_kiro_budget_window_t;


typedef struct {
    u_char                           color;       /* of the rbtree node */
    u_char                           dummy;
    u_short                          len;
    ngx_queue_t                      queue;
    time_t                           last;
    uint64_t                         price;       /* of a request, on average */
    ngx_http_kiro_budget_window_t    windows[NGX_HTTP_KIRO_BUDGET_UNITS]
                                            [NGX_HTTP_KIRO_BUDGET_PERIODS];
    u_char                           data[1];
} ngx_http_kiro_budget_node_t;


typedef struct {
    ngx_rbtree_t                     rbtree;
    ngx_rbtree_node_t                sentinel;
    ngx_queue_t                      queue;       /* the one used last first */
} ngx_http_kiro_budget_shm_t;


typedef struct {
    ngx_http_kiro_budget_shm_t      *sh;
    ngx_slab_pool_t                 *shpool;
    ngx_http_complex_value_t         key;
} ngx_http_kiro_budget_zone_t;


typedef struct {
    ngx_shm_zone_t                  *zone;
    ngx_uint_t                       unit;
    ngx_uint_t                       period;
    uint64_t                         most;
} ngx_http_kiro_budget_limit_t;


/* what a request has taken of a zone */

typedef struct {
    ngx_http_kiro_budget_zone_t     *zone;
    ngx_str_t                        key;
    uint32_t                         hash;
    uint64_t                         taken[NGX_HTTP_KIRO_BUDGET_UNITS];
    time_t                           numbers[NGX_HTTP_KIRO_BUDGET_PERIODS];
} ngx_http_kiro_budget_charge_t;


struct ngx_http_kiro_budget_s {
    ngx_array_t                      charges;

    /* the limit of tokens that is nearest */
    uint64_t                         most;        /* 0: there is none */
    uint64_t                         left;
    time_t                           reset;       /* s from the start */
};


static char *ngx_http_kiro_budget_limit(ngx_conf_t *cf,
    ngx_http_kiro_loc_conf_t *klcf, ngx_shm_zone_t *zone, ngx_str_t *value);
static ngx_int_t ngx_http_kiro_budget_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_http_kiro_budget_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_http_kiro_budget_node_t *ngx_http_kiro_budget_find(
    ngx_http_kiro_budget_shm_t *sh, uint32_t hash, ngx_str_t *key);
static ngx_http_kiro_budget_node_t *ngx_http_kiro_budget_node(
    ngx_http_kiro_budget_zone_t *zone, uint32_t hash, ngx_str_t *key,
    time_t now);
static void ngx_http_kiro_budget_expire(ngx_http_kiro_budget_zone_t *zone,
    time_t now);
static ngx_int_t ngx_http_kiro_budget_take(ngx_http_kiro_ctx_t *ctx,
    ngx_shm_zone_t *shm_zone);
static ngx_http_kiro_budget_limit_t *ngx_http_kiro_budget_check(
    ngx_http_kiro_ctx_t *ctx, ngx_shm_zone_t *shm_zone,
    ngx_http_kiro_budget_node_t *node, time_t now);
static void ngx_http_kiro_budget_put(ngx_http_kiro_ctx_t *ctx,
    uint64_t *used);
static void ngx_http_kiro_budget_spent(ngx_http_kiro_ctx_t *ctx,
    ngx_http_kiro_budget_limit_t *limit, time_t now);


/* another tag than that of kiro_zone, which is another thing */

static ngx_uint_t  ngx_http_kiro_budget_tag;


static ngx_http_kiro_budget_period_t  ngx_http_kiro_budget_periods[] = {
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


static ngx_http_kiro_budget_node_t *
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

static ngx_http_kiro_budget_node_t *
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


/* NGX_DECLINED: ctx->failure says which budget is spent */

ngx_int_t
ngx_http_kiro_budget_enter(ngx_http_kiro_ctx_t *ctx)
{
    uint64_t                       none[NGX_HTTP_KIRO_BUDGET_UNITS];
    ngx_int_t                      rc;
    ngx_uint_t                     i, n;
    ngx_http_kiro_budget_limit_t  *limit;

    if (ctx->conf->budgets == NULL) {
        return NGX_OK;
    }

    ctx->budget = ngx_pcalloc(ctx->request->pool,
                              sizeof(ngx_http_kiro_budget_t));
    if (ctx->budget == NULL) {
        return NGX_ERROR;
    }

    if (ngx_array_init(&ctx->budget->charges, ctx->request->pool, 2,
                       sizeof(ngx_http_kiro_budget_charge_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    limit = ctx->conf->budgets->elts;

    for (i = 0; i < ctx->conf->budgets->nelts; i++) {

        /* once for all limits of a zone */

        for (n = 0; n < i && limit[n].zone != limit[i].zone; n++) {
            /* void */
        }

        if (n < i) {
            continue;
        }

        rc = ngx_http_kiro_budget_take(ctx, limit[i].zone);

        if (rc != NGX_OK) {
            ngx_memzero(none, sizeof(none));
            ngx_http_kiro_budget_put(ctx, none);
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_budget_take(ngx_http_kiro_ctx_t *ctx, ngx_shm_zone_t *shm_zone)
{
    time_t                          now;
    uint32_t                        hash;
    uint64_t                        tokens;
    ngx_str_t                       key;
    ngx_uint_t                      i, unit;
    kiro_request_info               info;
    ngx_http_kiro_budget_node_t    *node;
    ngx_http_kiro_budget_zone_t    *zone;
    ngx_http_kiro_budget_limit_t   *limit;
    ngx_http_kiro_budget_charge_t  *charge;

    zone = shm_zone->data;

    if (ngx_http_complex_value(ctx->request, &zone->key, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    if (key.len == 0) {
        return NGX_OK;
    }

    key.len = ngx_min(key.len, 65535);

    charge = ngx_array_push(&ctx->budget->charges);
    if (charge == NULL) {
        return NGX_ERROR;
    }

    kiro_request_get_info(ctx->kreq, &info);

    tokens = kiro_request_text(ctx->kreq) / NGX_HTTP_KIRO_BUDGET_BYTES
             + (info.max_tokens ? ngx_min(info.max_tokens,
                                          NGX_HTTP_KIRO_BUDGET_ANSWER)
                                : NGX_HTTP_KIRO_BUDGET_ANSWER);

    hash = ngx_crc32_short(key.data, key.len);
    now = ngx_time();

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_http_kiro_budget_node(zone, hash, &key, now);

    if (node == NULL) {
        ngx_shmtx_unlock(&zone->shpool->mutex);

        ctx->budget->charges.nelts--;

        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "kiro_budget_zone \"%V\" has no room for another key, "
                      "make it larger", &shm_zone->shm.name);

        kiro_failure_set(&ctx->failure, KIRO_FAIL_UNAVAILABLE,
                         "the gateway cannot keep account of this request");
        return NGX_DECLINED;
    }

    limit = ngx_http_kiro_budget_check(ctx, shm_zone, node, now);

    if (limit) {
        ngx_shmtx_unlock(&zone->shpool->mutex);

        ctx->budget->charges.nelts--;

        ngx_http_kiro_budget_spent(ctx, limit, now);
        return NGX_DECLINED;
    }

    charge->zone = zone;
    charge->key = key;
    charge->hash = hash;
    charge->taken[NGX_HTTP_KIRO_BUDGET_TOKENS] = tokens;
    charge->taken[NGX_HTTP_KIRO_BUDGET_CREDITS] = node->price;

    for (i = 0; i < NGX_HTTP_KIRO_BUDGET_PERIODS; i++) {

        charge->numbers[i] = node->windows[0][i].number;

        for (unit = 0; unit < NGX_HTTP_KIRO_BUDGET_UNITS; unit++) {
            node->windows[unit][i].used += charge->taken[unit];
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return NGX_OK;
}


/* the spent limit of the zone that lasts longest, if one is spent */

static ngx_http_kiro_budget_limit_t *
ngx_http_kiro_budget_check(ngx_http_kiro_ctx_t *ctx, ngx_shm_zone_t *shm_zone,
    ngx_http_kiro_budget_node_t *node, time_t now)
{
    time_t                         length;
    uint64_t                       left, used;
    ngx_uint_t                     i;
    ngx_http_kiro_budget_t        *budget;
    ngx_http_kiro_budget_limit_t  *limit, *spent;

    spent = NULL;
    budget = ctx->budget;
    limit = ctx->conf->budgets->elts;

    for (i = 0; i < ctx->conf->budgets->nelts; i++) {

        if (limit[i].zone != shm_zone) {
            continue;
        }

        used = node->windows[limit[i].unit][limit[i].period].used;
        left = used < limit[i].most ? limit[i].most - used : 0;

        if (left == 0 && (spent == NULL || limit[i].period > spent->period)) {
            spent = &limit[i];
        }

        if (limit[i].unit == NGX_HTTP_KIRO_BUDGET_TOKENS
            && (budget->most == 0 || left < budget->left
                || (left == 0 && spent == &limit[i])))
        {
            length = ngx_http_kiro_budget_periods[limit[i].period].length;

            budget->most = limit[i].most;
            budget->left = left;
            budget->reset = length - now % length;
        }
    }

    return spent;
}


static void
ngx_http_kiro_budget_spent(ngx_http_kiro_ctx_t *ctx,
    ngx_http_kiro_budget_limit_t *limit, time_t now)
{
    char                           amount[NGX_INT64_LEN + 8];
    time_t                         left;
    kiro_failure                  *f;
    ngx_http_kiro_budget_period_t *period;

    f = &ctx->failure;
    period = &ngx_http_kiro_budget_periods[limit->period];
    left = period->length - now % period->length;

    /* the key is not for the log: it may be the one that the client sent */

    if (limit->unit == NGX_HTTP_KIRO_BUDGET_TOKENS) {
        ngx_sprintf((u_char *) amount, "%uL tokens%Z", limit->most);

    } else {
        ngx_sprintf((u_char *) amount, "%uL.%02uL credits%Z",
                    limit->most / 1000000, limit->most % 1000000 / 10000);
    }

    ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                  "kiro: the budget of %s a %s is spent, zone \"%V\", client "
                  "\"%V\"", amount, period->text, &limit->zone->shm.name,
                  &ctx->client);

    kiro_failure_set(f, KIRO_FAIL_BUDGET,
                     "the budget of %s a %s is spent; the next %s begins in "
                     "%ld s", amount, period->text, period->text, (long) left);

    f->retry_after_ms = (uint32_t) left * 1000;
    f->retry = left <= NGX_HTTP_KIRO_BUDGET_SOON ? KIRO_RETRY_BACKOFF
                                                 : KIRO_RETRY_NEVER;
}


/* at the end of the request, however it ended */

void
ngx_http_kiro_budget_leave(ngx_http_kiro_ctx_t *ctx)
{
    uint64_t         used[NGX_HTTP_KIRO_BUDGET_UNITS];
    kiro_reply_info  info;

    if (ctx->budget == NULL || ctx->budget->charges.nelts == 0) {
        return;
    }

    ngx_memzero(used, sizeof(used));

    if (ngx_http_kiro_usage(ctx, &info) == NGX_OK) {
        used[NGX_HTTP_KIRO_BUDGET_TOKENS] = info.input_tokens
                                            + info.output_tokens;
    }

    used[NGX_HTTP_KIRO_BUDGET_CREDITS] =
                         (uint64_t) (ngx_http_kiro_credits(ctx) * 1e6 + 0.5);

    ngx_http_kiro_budget_put(ctx, used);
}


/* what was used stands in for what was taken */

static void
ngx_http_kiro_budget_put(ngx_http_kiro_ctx_t *ctx, uint64_t *used)
{
    uint64_t                        due;
    ngx_uint_t                      i, n, unit, left;
    ngx_http_kiro_budget_node_t    *node;
    ngx_http_kiro_budget_zone_t    *zone;
    ngx_http_kiro_budget_charge_t  *charge;
    ngx_http_kiro_budget_window_t  *w;

    charge = ctx->budget->charges.elts;

    /*
     * The service names the price behind the answer: who leaves before pays what
     * requests cost on average, or nobody would stay to the end
     */

    left = ctx->left && ctx->answered
           && used[NGX_HTTP_KIRO_BUDGET_CREDITS] == 0;

    for (n = 0; n < ctx->budget->charges.nelts; n++) {

        zone = charge[n].zone;

        ngx_shmtx_lock(&zone->shpool->mutex);

        node = ngx_http_kiro_budget_find(zone->sh, charge[n].hash,
                                         &charge[n].key);

        if (node == NULL) {
            ngx_shmtx_unlock(&zone->shpool->mutex);
            continue;
        }

        for (i = 0; i < NGX_HTTP_KIRO_BUDGET_PERIODS; i++) {

            for (unit = 0; unit < NGX_HTTP_KIRO_BUDGET_UNITS; unit++) {

                w = &node->windows[unit][i];

                /* a request belongs to the period that it began in */

                if (w->number == charge[n].numbers[i]) {
                    due = (left && unit == NGX_HTTP_KIRO_BUDGET_CREDITS)
                          ? charge[n].taken[unit] : used[unit];

                    w->used -= ngx_min(w->used, charge[n].taken[unit]);
                    w->used += due;
                }
            }
        }

        if (used[NGX_HTTP_KIRO_BUDGET_CREDITS]) {
            node->price = (node->price * 7 + used[NGX_HTTP_KIRO_BUDGET_CREDITS])
                          / 8;
        }

        ngx_shmtx_unlock(&zone->shpool->mutex);
    }

    ctx->budget->charges.nelts = 0;
}


/* header filter: as the service of the dialect tells what is left */

ngx_int_t
ngx_http_kiro_budget_headers(ngx_http_request_t *r, ngx_http_kiro_ctx_t *ctx)
{
    u_char                  *p;
    ngx_tm_t                 tm;
    ngx_str_t                most, left, reset;
    ngx_uint_t               anthropic;
    ngx_http_kiro_budget_t  *budget;

    budget = ctx->budget;

    if (budget == NULL || budget->most == 0) {
        return NGX_OK;
    }

    anthropic = ctx->api == KIRO_API_ANTHROPIC;

    p = ngx_pnalloc(r->pool, 2 * NGX_INT64_LEN
                             + sizeof("2026-01-01T00:00:00Z"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    most.data = p;
    p = ngx_sprintf(p, "%uL", budget->most);
    most.len = p - most.data;

    left.data = p;
    p = ngx_sprintf(p, "%uL", budget->left);
    left.len = p - left.data;

    reset.data = p;

    if (anthropic) {
        ngx_gmtime(ngx_time() + budget->reset, &tm);

        p = ngx_sprintf(p, "%4d-%02d-%02dT%02d:%02d:%02dZ",
                        tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                        tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec);
    } else {
        p = ngx_sprintf(p, "%Ts", budget->reset);
    }

    reset.len = p - reset.data;

    if (ngx_http_kiro_add_header(r, anthropic
                                    ? "anthropic-ratelimit-tokens-limit"
                                    : "x-ratelimit-limit-tokens", &most)
        != NGX_OK
        || ngx_http_kiro_add_header(r, anthropic
                                    ? "anthropic-ratelimit-tokens-remaining"
                                    : "x-ratelimit-remaining-tokens", &left)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_kiro_add_header(r, anthropic
                                    ? "anthropic-ratelimit-tokens-reset"
                                    : "x-ratelimit-reset-tokens", &reset);
}
