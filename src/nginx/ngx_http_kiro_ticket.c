
/*
 * Places for the calls of an account, over all workers.  Each call, and each
 * request that waits for one, has a ticket in the zone; whoever gives a place
 * back chooses the next ticket, and its worker finds it by looking.
 *
 * Nothing is counted or linked, so a worker that is killed at any instruction
 * leaves nothing that is half: a ticket is valid when its state was written.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_lease.h"
#include "ngx_http_kiro_queue.h"
#include "ngx_http_kiro_zone.h"


#define NGX_HTTP_KIRO_TICKET_SPARE   64      /* see ngx_http_kiro_ticket_next() */
#define NGX_HTTP_KIRO_TICKET_MEMORY  256     /* grants */
#define NGX_HTTP_KIRO_TICKET_PIDS    64


static ngx_http_kiro_ticket_t *ngx_http_kiro_ticket_next(
    ngx_http_kiro_calls_t *calls);


/*
 * Room for the tickets.  It only grows: workers of an older configuration have
 * tickets in it, and a newer one may still be rejected.
 */

ngx_int_t
ngx_http_kiro_ticket_init(ngx_http_kiro_account_t *account)
{
    ngx_uint_t               n;
    ngx_slab_pool_t         *shpool;
    ngx_http_kiro_calls_t   *calls;
    ngx_http_kiro_ticket_t  *tickets, *old;

    if (account->concurrency == 0) {
        return NGX_OK;
    }

    shpool = account->zone->shpool;
    calls = &account->slot->calls;

    n = account->concurrency + account->queue_size + NGX_HTTP_KIRO_TICKET_SPARE;

    if (n <= calls->ntickets) {
        return NGX_OK;
    }

    tickets = ngx_slab_calloc(shpool, n * sizeof(ngx_http_kiro_ticket_t));
    if (tickets == NULL) {
        return NGX_ERROR;
    }

    ngx_shmtx_lock(&shpool->mutex);

    old = calls->tickets;

    if (old) {
        ngx_memcpy(tickets, old,
                   calls->ntickets * sizeof(ngx_http_kiro_ticket_t));
    }

    calls->tickets = tickets;
    ngx_memory_barrier();
    calls->ntickets = n;

    ngx_shmtx_unlock(&shpool->mutex);

    if (old) {
        ngx_slab_free(shpool, old);
    }

    return NGX_OK;
}


/* the free ticket whose memory is the oldest; NULL: there is none */

ngx_http_kiro_ticket_t *
ngx_http_kiro_ticket_find(ngx_http_kiro_calls_t *calls, ngx_uint_t *running,
    ngx_uint_t *waiting)
{
    ngx_http_kiro_ticket_t  *t, *last, *found;

    *running = 0;
    *waiting = 0;

    found = NULL;
    last = calls->tickets + calls->ntickets;

    for (t = calls->tickets; t < last; t++) {

        switch (t->state) {

        case NGX_HTTP_KIRO_TICKET_RUNNING:
            (*running)++;
            break;

        case NGX_HTTP_KIRO_TICKET_WAITING:
            (*waiting)++;
            break;

        default: /* NGX_HTTP_KIRO_TICKET_FREE */
            if (found == NULL || t->granted < found->granted) {
                found = t;
            }
        }
    }

    return found;
}


void
ngx_http_kiro_ticket_grant(ngx_http_kiro_calls_t *calls, ngx_uint_t most)
{
    ngx_uint_t               running, waiting;
    ngx_http_kiro_ticket_t  *t;

    (void) ngx_http_kiro_ticket_find(calls, &running, &waiting);

    for ( /* void */ ; waiting && running < most; waiting--, running++) {

        t = ngx_http_kiro_ticket_next(calls);

        t->granted = ++calls->granted;
        t->since = ngx_current_msec;

        ngx_memory_barrier();

        t->state = NGX_HTTP_KIRO_TICKET_RUNNING;
    }
}


/*
 * The client whose last grant is the longest ago, and of its tickets the oldest.
 * Grants are remembered by the tickets of running calls and by free ones, of
 * which the spare ones make sure that there are always some.  What is forgotten
 * counts as never: nobody can be passed over for longer than that.
 */

static ngx_http_kiro_ticket_t *
ngx_http_kiro_ticket_next(ngx_http_kiro_calls_t *calls)
{
    uint64_t                 granted[NGX_HTTP_KIRO_QUEUE_CLIENTS];
    ngx_http_kiro_ticket_t  *t, *last, *found;

    ngx_memzero(granted, sizeof(granted));

    last = calls->tickets + calls->ntickets;

    for (t = calls->tickets; t < last; t++) {
        if (t->granted + NGX_HTTP_KIRO_TICKET_MEMORY > calls->granted
            && t->granted > granted[t->client])
        {
            granted[t->client] = t->granted;
        }
    }

    found = NULL;

    for (t = calls->tickets; t < last; t++) {

        if (t->state != NGX_HTTP_KIRO_TICKET_WAITING) {
            continue;
        }

        if (found == NULL
            || granted[t->client] < granted[found->client]
            || (granted[t->client] == granted[found->client]
                && t->serial < found->serial))
        {
            found = t;
        }
    }

    return found;
}


void
ngx_http_kiro_ticket_return(ngx_http_kiro_calls_t *calls,
    ngx_http_kiro_ticket_t *t)
{
    ngx_msec_t  held;

    if (t->state == NGX_HTTP_KIRO_TICKET_RUNNING) {
        held = ngx_current_msec - t->since;
        calls->held = calls->held ? (calls->held * 7 + held) / 8 : held;
    }

    t->state = NGX_HTTP_KIRO_TICKET_FREE;
}


/*
 * Tickets of workers that died.  The master's new worker knows those of the one
 * that it replaces; this is for the others, and for those that were replaced by
 * none.
 */

ngx_uint_t
ngx_http_kiro_ticket_sweep(ngx_http_kiro_account_t *account)
{
    ngx_pid_t                pid[NGX_HTTP_KIRO_TICKET_PIDS];
    ngx_uint_t               i, n, dead;
    ngx_http_kiro_calls_t   *calls;
    ngx_http_kiro_ticket_t  *t, *last;

    account->swept = ngx_current_msec;

    calls = &account->slot->calls;
    n = 0;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    last = calls->tickets + calls->ntickets;

    for (t = calls->tickets; t < last; t++) {

        if (t->state == NGX_HTTP_KIRO_TICKET_FREE || t->pid == ngx_pid) {
            continue;
        }

        for (i = 0; i < n && pid[i] != t->pid; i++) { /* void */ }

        if (i == n && n < NGX_HTTP_KIRO_TICKET_PIDS) {
            pid[n++] = t->pid;
        }
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    for (i = 0, dead = 0; i < n; i++) {
        if (ngx_http_kiro_worker_gone(pid[i])) {
            pid[dead++] = pid[i];
        }
    }

    n = 0;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    last = calls->tickets + calls->ntickets;

    for (t = calls->tickets; dead && t < last; t++) {

        if (t->state == NGX_HTTP_KIRO_TICKET_FREE) {
            continue;
        }

        for (i = 0; i < dead && pid[i] != t->pid; i++) { /* void */ }

        if (i < dead) {
            t->state = NGX_HTTP_KIRO_TICKET_FREE;
            n++;
        }
    }

    ngx_http_kiro_ticket_grant(calls, account->concurrency);

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    if (n) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "kiro_account \"%V\": %ui places of workers that died are "
                      "free again", &account->name, n);
    }

    return n;
}


/* those of this process, or of one that it replaces */

ngx_uint_t
ngx_http_kiro_ticket_own(ngx_http_kiro_account_t *account)
{
    ngx_uint_t               n;
    ngx_http_kiro_calls_t   *calls;
    ngx_http_kiro_ticket_t  *t, *last;

    calls = &account->slot->calls;
    n = 0;

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    last = calls->tickets + calls->ntickets;

    for (t = calls->tickets; t < last; t++) {

        if (t->state != NGX_HTTP_KIRO_TICKET_FREE
            && (t->process == ngx_process_slot || t->pid == ngx_pid))
        {
            t->state = NGX_HTTP_KIRO_TICKET_FREE;
            n++;
        }
    }

    if (n) {
        ngx_http_kiro_ticket_grant(calls, account->concurrency);
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    return n;
}


/* for kiro_health and kiro_metrics */

void
ngx_http_kiro_ticket_count(ngx_http_kiro_account_t *account,
    ngx_uint_t *running, ngx_uint_t *waiting)
{
    ngx_shmtx_lock(&account->zone->shpool->mutex);

    (void) ngx_http_kiro_ticket_find(&account->slot->calls, running, waiting);

    ngx_shmtx_unlock(&account->zone->shpool->mutex);
}
