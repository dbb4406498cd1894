
/*
 * Blocking work outside of the event loop: a task of a thread.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_task.h"


typedef struct {
    ngx_http_kiro_task_pt   run;
    ngx_http_kiro_task_pt   done;
    void                   *data;
} ngx_http_kiro_task_ctx_t;


static void ngx_http_kiro_task_run(void *data, ngx_log_t *log);
static void ngx_http_kiro_task_done(ngx_event_t *ev);


/*
 * Calls run() in a thread, then done() in the event loop.  The caller keeps a
 * timer that is not cancelable next to a task: a task alone does not keep an
 * exiting worker alive.
 */

ngx_int_t
ngx_http_kiro_task(ngx_pool_t *pool, ngx_http_kiro_task_pt run,
    ngx_http_kiro_task_pt done, void *data, ngx_log_t *log)
{
    ngx_cycle_t                *cycle;
    ngx_thread_task_t          *task;
    ngx_http_kiro_task_ctx_t   *ctx;
    ngx_http_kiro_main_conf_t  *kmcf;

    cycle = (ngx_cycle_t *) ngx_cycle;
    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_kiro_module);

    task = ngx_thread_task_alloc(pool, sizeof(ngx_http_kiro_task_ctx_t));
    if (task == NULL) {
        return NGX_ERROR;
    }

    ctx = task->ctx;
    ctx->run = run;
    ctx->done = done;
    ctx->data = data;

    task->handler = ngx_http_kiro_task_run;
    task->event.data = ctx;
    task->event.handler = ngx_http_kiro_task_done;
    task->event.log = log;

    return ngx_thread_task_post(kmcf->thread_pool, task);
}


static void
ngx_http_kiro_task_run(void *data, ngx_log_t *log)
{
    ngx_http_kiro_task_ctx_t *ctx = data;

    ctx->run(ctx->data);
}


static void
ngx_http_kiro_task_done(ngx_event_t *ev)
{
    ngx_http_kiro_task_ctx_t *ctx = ev->data;

    ctx->done(ctx->data);
}
