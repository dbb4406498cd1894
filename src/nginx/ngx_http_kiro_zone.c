
/*
 * The shared-memory zone: fixed layout, reused over reloads.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_exchange.h"
#include "ngx_http_kiro_profile.h"
#include "ngx_http_kiro_queue.h"
#include "ngx_http_kiro_stats.h"
#include "ngx_http_kiro_token.h"
#include "ngx_http_kiro_zone.h"

#include <sys/mman.h>


#define NGX_HTTP_KIRO_ZONE_MAGIC   0x6b69726fU    /* "kiro" */
#define NGX_HTTP_KIRO_ZONE_LAYOUT  14


static ngx_int_t ngx_http_kiro_zone_init(ngx_shm_zone_t *shm_zone, void *data);
static ngx_int_t ngx_http_kiro_zone_slots(ngx_shm_zone_t *shm_zone,
    ngx_http_kiro_zone_t *zone);
static ngx_http_kiro_slot_t *ngx_http_kiro_zone_slot(
    ngx_http_kiro_zone_t *zone, ngx_http_kiro_account_t *account);


char *
ngx_http_kiro_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_main_conf_t *kmcf = conf;

    u_char     *p;
    ssize_t     size;
    ngx_str_t  *value, name, s;

    if (kmcf->zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    name = value[1];

    p = (u_char *) ngx_strchr(name.data, ':');

    if (p == NULL || p == name.data) {
        return "must have the form \"name:size\"";
    }

    s.data = p + 1;
    s.len = name.data + name.len - s.data;
    name.len = p - name.data;

    size = ngx_parse_size(&s);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid zone size \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (size < 256 * 1024) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is too small, it needs at least 256k",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_kiro_zone_add(cf, kmcf, &name, size) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_kiro_zone_add(ngx_conf_t *cf, ngx_http_kiro_main_conf_t *kmcf,
    ngx_str_t *name, size_t size)
{
    ngx_shm_zone_t        *shm_zone;
    ngx_http_kiro_zone_t  *zone;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_kiro_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    shm_zone = ngx_shared_memory_add(cf, name, size, &ngx_http_kiro_module);
    if (shm_zone == NULL) {
        return NGX_ERROR;
    }

    zone->accounts = &kmcf->accounts;

    shm_zone->init = ngx_http_kiro_zone_init;
    shm_zone->data = zone;

    kmcf->zone = zone;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kiro_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_kiro_zone_t  *ozone = data;

    size_t                 len;
    ngx_http_kiro_shm_t   *sh;
    ngx_http_kiro_zone_t  *zone;

    zone = shm_zone->data;

    if (ozone) {
        zone->sh = ozone->sh;
        zone->shpool = ozone->shpool;

        return ngx_http_kiro_zone_slots(shm_zone, zone);
    }

    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

#ifdef MADV_DONTDUMP

    /* there are tokens in it: no core dump has them, the workers' neither */

    (void) madvise(shm_zone->shm.addr, shm_zone->shm.size, MADV_DONTDUMP);

#endif

    /* whoever finds no room says so, and what it was for */

    zone->shpool->log_nomem = 0;

    if (shm_zone->shm.exists) {
        sh = zone->shpool->data;

        if (sh->magic != NGX_HTTP_KIRO_ZONE_MAGIC
            || sh->layout != NGX_HTTP_KIRO_ZONE_LAYOUT
            || sh->size != sizeof(ngx_http_kiro_slot_t))
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "kiro_zone \"%V\" was left by another version of "
                          "the module, restart nginx", &shm_zone->shm.name);
            return NGX_ERROR;
        }

        zone->sh = sh;

        return ngx_http_kiro_zone_slots(shm_zone, zone);
    }

    sh = ngx_slab_calloc(zone->shpool, sizeof(ngx_http_kiro_shm_t));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    sh->magic = NGX_HTTP_KIRO_ZONE_MAGIC;
    sh->layout = NGX_HTTP_KIRO_ZONE_LAYOUT;
    sh->size = sizeof(ngx_http_kiro_slot_t);

    ngx_queue_init(&sh->slots);

    zone->sh = sh;
    zone->shpool->data = sh;

    if (ngx_http_kiro_notice_init(zone, shm_zone->shm.size) != NGX_OK
        || ngx_http_kiro_stats_init(zone, shm_zone->shm.size) != NGX_OK)
    {
        return NGX_ERROR;
    }

    len = sizeof(" in kiro_zone \"\"") + shm_zone->shm.name.len;

    zone->shpool->log_ctx = ngx_slab_alloc(zone->shpool, len);
    if (zone->shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(zone->shpool->log_ctx, " in kiro_zone \"%V\"%Z",
                &shm_zone->shm.name);

    return ngx_http_kiro_zone_slots(shm_zone, zone);
}


/*
 * Finds or makes the slot of each account.  An account that is known keeps what
 * it has, unless its source holds another login than the one imported: this also
 * runs for a configuration that is rejected later, and must then do no harm.
 */

static ngx_int_t
ngx_http_kiro_zone_slots(ngx_shm_zone_t *shm_zone, ngx_http_kiro_zone_t *zone)
{
    ngx_uint_t                 i;
    ngx_http_kiro_slot_t      *slot;
    kiro_credential_view       view;
    ngx_http_kiro_account_t  **account;

    account = zone->accounts->elts;

    for (i = 0; i < zone->accounts->nelts; i++) {

        slot = ngx_http_kiro_zone_slot(zone, account[i]);
        account[i]->slot = slot;

        if (slot == NULL || ngx_http_kiro_ticket_init(account[i]) != NGX_OK) {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "kiro_zone \"%V\" has no room for the account \"%V\","
                          " make it larger (about 100k an account)",
                          &shm_zone->shm.name, &account[i]->name);
            return NGX_ERROR;
        }

        ngx_shmtx_lock(&zone->shpool->mutex);
        slot->remark = account[i]->remark;
        ngx_shmtx_unlock(&zone->shpool->mutex);

        if (account[i]->credential == NULL) {
            continue;
        }

        kiro_credential_get(account[i]->credential, &view);

        if (slot->version
            && view.fingerprint.len == ngx_strlen(slot->fingerprint)
            && ngx_strncmp(view.fingerprint.data, slot->fingerprint,
                           view.fingerprint.len)
               == 0)
        {
            continue;
        }

        if (ngx_http_kiro_token_publish(account[i], account[i]->credential,
                                        shm_zone->shm.log)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_http_kiro_profile_load(account[i], shm_zone->shm.log);
    }

    return NGX_OK;
}


static ngx_http_kiro_slot_t *
ngx_http_kiro_zone_slot(ngx_http_kiro_zone_t *zone,
    ngx_http_kiro_account_t *account)
{
    ngx_queue_t           *q;
    ngx_http_kiro_slot_t  *slot;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (q = ngx_queue_head(&zone->sh->slots);
         q != ngx_queue_sentinel(&zone->sh->slots);
         q = ngx_queue_next(q))
    {
        slot = ngx_queue_data(q, ngx_http_kiro_slot_t, queue);

        if (ngx_strcmp(slot->name, account->name.data) == 0) {
            goto done;
        }
    }

    slot = ngx_slab_calloc_locked(zone->shpool, sizeof(ngx_http_kiro_slot_t));

    if (slot) {
        ngx_cpystrn(slot->name, account->name.data, NGX_HTTP_KIRO_NAME_MAX + 1);
        ngx_queue_insert_tail(&zone->sh->slots, &slot->queue);
    }

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return slot;
}
