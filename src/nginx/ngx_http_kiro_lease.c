
/*
 * Who works for an account: one worker at a time takes the lease in the zone.
 * It ends with the work, with its worker, or at its deadline.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_lease.h"


/* somebody works, or died at it: its time is not over */

ngx_uint_t
ngx_http_kiro_lease_runs(ngx_http_kiro_lease_t *lease)
{
    return lease->taken
           && (ngx_msec_int_t) (lease->deadline - ngx_current_msec) > 0;
}


/* who died at it, or 0 */

ngx_pid_t
ngx_http_kiro_lease_orphan(ngx_http_kiro_lease_t *lease)
{
    return ngx_http_kiro_lease_runs(lease)
           && ngx_http_kiro_worker_gone(lease->pid)
           ? lease->pid : 0;
}


/* may be taken, by the one that has it as well; generation 0: by another one */

ngx_uint_t
ngx_http_kiro_lease_free(ngx_http_kiro_lease_t *lease, ngx_uint_t generation)
{
    return !ngx_http_kiro_lease_runs(lease)
           || (generation && lease->generation == generation)
           || ngx_http_kiro_worker_gone(lease->pid);
}


/* the result tells this work from all others */

ngx_uint_t
ngx_http_kiro_lease_take(ngx_http_kiro_lease_t *lease, ngx_msec_t time)
{
    lease->taken = 1;
    lease->pid = ngx_pid;
    lease->deadline = ngx_current_msec + time;

    if (++lease->generation == 0) {
        lease->generation = 1;
    }

    return lease->generation;
}


/* nobody else has taken it meanwhile */

ngx_uint_t
ngx_http_kiro_lease_ours(ngx_http_kiro_lease_t *lease, ngx_uint_t generation)
{
    return lease->generation == generation;
}


/* never makes it shorter */

void
ngx_http_kiro_lease_extend(ngx_http_kiro_lease_t *lease, ngx_uint_t generation,
    ngx_msec_t time)
{
    ngx_msec_t  deadline;

    deadline = ngx_current_msec + time;

    if (ngx_http_kiro_lease_ours(lease, generation)
        && (ngx_msec_int_t) (deadline - lease->deadline) > 0)
    {
        lease->deadline = deadline;
    }
}


void
ngx_http_kiro_lease_end(ngx_http_kiro_lease_t *lease, ngx_uint_t generation)
{
    if (ngx_http_kiro_lease_ours(lease, generation)) {
        lease->taken = 0;
    }
}


/* EPERM, of a worker with another user, means that it lives */

ngx_uint_t
ngx_http_kiro_worker_gone(ngx_pid_t pid)
{
    return pid != ngx_pid && kill(pid, 0) == -1 && ngx_errno == NGX_ESRCH;
}


/*
 * Zeroed, with a pool of its own, and a log that knows no request.  NULL: out of
 * memory.
 */

void *
ngx_http_kiro_job(size_t size, size_t pool_size, ngx_pool_t **pool,
    ngx_log_t **log)
{
    void  *job;

    *pool = ngx_create_pool(pool_size, ngx_cycle->log);
    if (*pool == NULL) {
        return NULL;
    }

    job = ngx_pcalloc(*pool, size);
    *log = ngx_palloc(*pool, sizeof(ngx_log_t));

    if (job == NULL || *log == NULL) {
        ngx_destroy_pool(*pool);
        return NULL;
    }

    **log = *ngx_cycle->log;
    (*log)->handler = NULL;
    (*log)->data = NULL;
    (*log)->action = NULL;

    return job;
}


/* a pause after so many failures before: doubled by each, and not the same for all */

ngx_msec_t
ngx_http_kiro_backoff(ngx_msec_t first, ngx_uint_t fails, ngx_msec_t max)
{
    ngx_msec_t  delay;

    delay = first << ngx_min(fails, 8);
    delay = ngx_min(delay, max);

    return delay / 2 + ngx_random() % (delay / 2 + 1);
}
