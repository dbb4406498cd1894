
/*
 * Captures on their way to the disk: one at a time of a worker, in a thread.
 * How many may wait is limited: what comes faster is lost, and the log says so.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_capture.h"
#include "ngx_http_kiro_task.h"


#define NGX_HTTP_KIRO_CAPTURE_JOBS     64
#define NGX_HTTP_KIRO_CAPTURE_BYTES    (64 * 1024 * 1024)

/* masking takes some dozen times the memory of a file */
#define NGX_HTTP_KIRO_CAPTURE_FILE     (16 * 1024 * 1024)

/* an exiting worker waits for its captures, */
#define NGX_HTTP_KIRO_CAPTURE_TIMEOUT  60000

/* and one that is to stop at once */
#define NGX_HTTP_KIRO_CAPTURE_EXIT     2000


typedef struct {
    ngx_queue_t                    queue;
    ngx_pool_t                    *pool;
    kiro_capture                  *data;
    ngx_http_kiro_capture_path_t  *path;
    size_t                         size;
    kiro_status                    status;
    kiro_failure                   failure;
    u_char                         name[NGX_HTTP_KIRO_CAPTURE_NAME];
} ngx_http_kiro_capture_job_t;


static void ngx_http_kiro_capture_next(void);
static void ngx_http_kiro_capture_run(void *data);
static void ngx_http_kiro_capture_done(void *data);
static void ngx_http_kiro_capture_told(ngx_http_kiro_capture_job_t *job);
static void ngx_http_kiro_capture_tell(ngx_http_kiro_capture_path_t *path,
    const char *text);
static void ngx_http_kiro_capture_timeout(ngx_event_t *ev);


/* of this worker */

static ngx_queue_t                   ngx_http_kiro_capture_jobs;
static ngx_uint_t                    ngx_http_kiro_capture_njobs;
static size_t                        ngx_http_kiro_capture_bytes;
static ngx_http_kiro_capture_job_t  *ngx_http_kiro_capture_running;
static ngx_event_t                   ngx_http_kiro_capture_timer;


/* what a main conf must know is known before locations are merged */

char *
ngx_http_kiro_capture_mode(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_main_conf_t  *kmcf;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kiro_module);

    kmcf->capture = 1;

    return ngx_http_kiro_one_of(cf, cmd, conf);
}


/* kiro_capture_path path [max_requests=N] [max_size=S] [max_file_size=S] */

char *
ngx_http_kiro_capture_path(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kiro_loc_conf_t *klcf = conf;

    char                          *rc;
    ngx_str_t                     *value, s;
    ngx_uint_t                     i;
    ngx_command_t                  slot;
    ngx_http_kiro_capture_path_t  *path;

    if (klcf->capture_path != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    path = ngx_pcalloc(cf->pool, sizeof(ngx_http_kiro_capture_path_t));
    if (path == NULL) {
        return NGX_CONF_ERROR;
    }

    path->max_requests = 100;
    path->max_size = 256 * 1024 * 1024;
    path->max_file_size = 2 * 1024 * 1024;

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "max_requests=", 13) == 0) {

            path->max_requests = ngx_atoi(value[i].data + 13,
                                          value[i].len - 13);

            if (path->max_requests > 0 && path->max_requests <= 10000) {
                continue;
            }

        } else if (ngx_strncmp(value[i].data, "max_size=", 9) == 0) {

            s.data = value[i].data + 9;
            s.len = value[i].len - 9;

            path->max_size = ngx_parse_offset(&s);

            if (path->max_size > 0) {
                continue;
            }

        } else if (ngx_strncmp(value[i].data, "max_file_size=", 14) == 0) {

            s.data = value[i].data + 14;
            s.len = value[i].len - 14;

            path->max_file_size = ngx_parse_size(&s);

            if (path->max_file_size >= 1024
                && path->max_file_size <= NGX_HTTP_KIRO_CAPTURE_FILE)
            {
                continue;
            }
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                           &value[i]);
        return NGX_CONF_ERROR;
    }

    /* a request has a dozen files at most */

    if (path->max_size / 12 < path->max_file_size) {
        return "needs a \"max_size\" of at least 12 times \"max_file_size\"";
    }

    /* made by the master, for the workers' user */

    ngx_memzero(&slot, sizeof(ngx_command_t));

    slot.name = cmd->name;
    slot.offset = offsetof(ngx_http_kiro_capture_path_t, path);

    cf->args->nelts = 2;

    rc = ngx_conf_set_path_slot(cf, &slot, path);

    if (rc != NGX_CONF_OK) {
        return rc;
    }

    klcf->capture_path = path;

    return NGX_CONF_OK;
}


/* takes the capture's data */

void
ngx_http_kiro_capture_save(ngx_http_kiro_capture_t *capture, u_char *name)
{
    size_t                        size;
    ngx_pool_t                   *pool;
    ngx_http_kiro_capture_job_t  *job;

    if (capture->data == NULL) {
        return;
    }

    if (ngx_http_kiro_capture_jobs.next == NULL) {
        ngx_queue_init(&ngx_http_kiro_capture_jobs);
    }

    size = kiro_capture_size(capture->data);

    /* one alone may be as large as its files are allowed to be */

    if (ngx_http_kiro_capture_njobs >= NGX_HTTP_KIRO_CAPTURE_JOBS
        || (ngx_http_kiro_capture_njobs
            && ngx_http_kiro_capture_bytes + size
               > NGX_HTTP_KIRO_CAPTURE_BYTES))
    {
        ngx_http_kiro_capture_tell(capture->path,
                                   "captures come faster than they can be "
                                   "written");
        return;
    }

    pool = ngx_create_pool(2048, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    job = ngx_pcalloc(pool, sizeof(ngx_http_kiro_capture_job_t));
    if (job == NULL) {
        ngx_destroy_pool(pool);
        return;
    }

    job->pool = pool;
    job->data = capture->data;
    job->path = capture->path;
    job->size = size;

    ngx_cpystrn(job->name, name, NGX_HTTP_KIRO_CAPTURE_NAME);

    capture->data = NULL;

    ngx_queue_insert_tail(&ngx_http_kiro_capture_jobs, &job->queue);

    ngx_http_kiro_capture_njobs++;
    ngx_http_kiro_capture_bytes += size;

    if (ngx_http_kiro_capture_running == NULL) {
        ngx_http_kiro_capture_next();
    }
}


static void
ngx_http_kiro_capture_next(void)
{
    ngx_queue_t                  *q;
    ngx_http_kiro_capture_job_t  *job;

    while (!ngx_queue_empty(&ngx_http_kiro_capture_jobs)) {

        q = ngx_queue_head(&ngx_http_kiro_capture_jobs);
        ngx_queue_remove(q);

        job = ngx_queue_data(q, ngx_http_kiro_capture_job_t, queue);

        ngx_http_kiro_capture_running = job;

        /* keeps an exiting worker alive */

        ngx_http_kiro_capture_timer.handler = ngx_http_kiro_capture_timeout;
        ngx_http_kiro_capture_timer.data = job->path;
        ngx_http_kiro_capture_timer.log = ngx_cycle->log;

        ngx_add_timer(&ngx_http_kiro_capture_timer,
                      NGX_HTTP_KIRO_CAPTURE_TIMEOUT);

        if (ngx_http_kiro_task(job->pool, ngx_http_kiro_capture_run,
                               ngx_http_kiro_capture_done, job, ngx_cycle->log)
            == NGX_OK)
        {
            return;
        }

        job->status = KIRO_ERROR;
        kiro_failure_set(&job->failure, KIRO_FAIL_INTERNAL,
                         "no thread takes a capture");

        ngx_http_kiro_capture_told(job);
    }
}


static void
ngx_http_kiro_capture_run(void *data)
{
    ngx_http_kiro_capture_job_t *job = data;

    kiro_capture_place  place;

    place.dir = (char *) job->path->path->name.data;
    place.name = (char *) job->name;
    place.max_captures = job->path->max_requests;
    place.max_size = job->path->max_size;

    job->status = kiro_capture_save(job->data, &place, &job->failure);
}


static void
ngx_http_kiro_capture_done(void *data)
{
    ngx_http_kiro_capture_told(data);

    if (ngx_http_kiro_capture_running == NULL) {
        ngx_http_kiro_capture_next();
    }
}


/* the end of a job; what is wrong with a directory is logged once */

static void
ngx_http_kiro_capture_told(ngx_http_kiro_capture_job_t *job)
{
    ngx_http_kiro_capture_path_t  *path;

    path = job->path;

    if (job->status != KIRO_OK) {
        ngx_http_kiro_capture_tell(path, job->failure.message);

    } else {

        /* while others wait the next one may be lost again */

        if (path->told[0] && ngx_http_kiro_capture_njobs == 1) {
            ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                          "kiro_capture: captures are written to \"%V\" again",
                          &path->path->name);
            path->told[0] = '\0';
        }

        if (job->failure.kind != KIRO_FAIL_NONE && !path->warned) {
            ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0, "kiro_capture: %s",
                          job->failure.message);
            path->warned = 1;
        }
    }

    ngx_http_kiro_capture_running = NULL;
    ngx_http_kiro_capture_njobs--;
    ngx_http_kiro_capture_bytes -= job->size;

    if (ngx_http_kiro_capture_timer.timer_set) {
        ngx_del_timer(&ngx_http_kiro_capture_timer);
    }

    kiro_capture_free(job->data);
    ngx_destroy_pool(job->pool);
}


static void
ngx_http_kiro_capture_tell(ngx_http_kiro_capture_path_t *path,
    const char *text)
{
    if (ngx_strcmp(path->told, text) == 0) {
        return;
    }

    ngx_cpystrn(path->told, (u_char *) text, sizeof(path->told));

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "kiro_capture: %s; captures are lost until that is over",
                  text);
}


static void
ngx_http_kiro_capture_timeout(ngx_event_t *ev)
{
    ngx_http_kiro_capture_tell(ev->data,
                               "writing one takes more than a minute");
}


/* the threads have ended: what they had is written, the rest is not yet */

void
ngx_http_kiro_capture_exit_worker(ngx_cycle_t *cycle)
{
    ngx_msec_t                    end;
    ngx_queue_t                  *q;
    ngx_http_kiro_capture_job_t  *job;

    if (ngx_http_kiro_capture_jobs.next == NULL) {
        return;
    }

    if (ngx_http_kiro_capture_running) {
        ngx_http_kiro_capture_told(ngx_http_kiro_capture_running);
    }

    ngx_time_update();
    end = ngx_current_msec + NGX_HTTP_KIRO_CAPTURE_EXIT;

    while (!ngx_queue_empty(&ngx_http_kiro_capture_jobs)) {

        q = ngx_queue_head(&ngx_http_kiro_capture_jobs);
        ngx_queue_remove(q);

        job = ngx_queue_data(q, ngx_http_kiro_capture_job_t, queue);

        ngx_time_update();

        if ((ngx_msec_int_t) (end - ngx_current_msec) > 0) {
            ngx_http_kiro_capture_run(job);

        } else {
            job->status = KIRO_ERROR;
            kiro_failure_set(&job->failure, KIRO_FAIL_INTERNAL,
                             "the worker has no time left for its captures");
        }

        ngx_http_kiro_capture_told(job);
    }
}
