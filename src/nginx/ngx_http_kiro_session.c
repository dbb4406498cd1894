
/*
 * What the requests of one conversation have in common: the session that the
 * client names in headers, and the login that reasoning is bound to.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_profile.h"
#include "ngx_http_kiro_zone.h"


/* a longer name is no session id */
#define NGX_HTTP_KIRO_SESSION_MAX  256


typedef struct {
    char  *session;
    char  *part;                     /* tells conversations of one session */
} ngx_http_kiro_session_header_t;


static ngx_table_elt_t *ngx_http_kiro_session_header(ngx_http_request_t *r,
    char *name);


/* the first one that is there counts */

static ngx_http_kiro_session_header_t  ngx_http_kiro_session_headers[] = {

    /* Claude Code; its sub-agents talk in the same session */
    { "x-claude-code-session-id", "x-claude-code-agent-id" },

    /* Codex: a thread is one conversation of a session */
    { "thread-id", NULL },
    { "session-id", NULL },

    { "x-session-id", NULL },

    { NULL, NULL }
};


/* the core knows the hints that clients put into their bodies */

ngx_int_t
ngx_http_kiro_session(ngx_http_request_t *r, kiro_str *session)
{
    u_char                          *p;
    ngx_table_elt_t                 *h, *part;
    ngx_http_kiro_session_header_t  *name;

    session->data = NULL;
    session->len = 0;

    h = NULL;

    for (name = ngx_http_kiro_session_headers; name->session; name++) {
        h = ngx_http_kiro_session_header(r, name->session);

        if (h) {
            break;
        }
    }

    if (h == NULL) {
        return NGX_OK;
    }

    part = name->part ? ngx_http_kiro_session_header(r, name->part) : NULL;

    if (part == NULL) {
        *session = ngx_http_kiro_str(&h->value);
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, h->value.len + 1 + part->value.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    session->data = (char *) p;

    p = ngx_cpymem(p, h->value.data, h->value.len);
    *p++ = '/';
    p = ngx_cpymem(p, part->value.data, part->value.len);

    session->len = p - (u_char *) session->data;

    return NGX_OK;
}


static ngx_table_elt_t *
ngx_http_kiro_session_header(ngx_http_request_t *r, char *name)
{
    ngx_table_elt_t  *h;

    h = ngx_http_kiro_find_header(r, name);

    if (h && (h->value.len == 0 || h->value.len > NGX_HTTP_KIRO_SESSION_MAX)) {
        return NULL;
    }

    return h;
}


/*
 * Name and profile ARN stay the same when a token is refreshed, also by another
 * program.  A login without an ARN is known by the hash of its source, a caller's
 * own key by its hash.
 */

ngx_int_t
ngx_http_kiro_login_id(ngx_http_request_t *r,
    ngx_http_kiro_ctx_t *ctx, kiro_str *id)
{
    u_char                   *p, *last;
    ngx_str_t                 arn;
    ngx_http_kiro_slot_t     *slot;
    ngx_http_kiro_account_t  *account;

    account = ctx->peer->account;
    slot = account->slot;

    p = ngx_pnalloc(r->pool, account->name.len + 1 + NGX_HTTP_KIRO_ARN_MAX);
    if (p == NULL) {
        return NGX_ERROR;
    }

    id->data = (char *) p;

    last = ngx_cpymem(p, account->name.data, account->name.len);
    *last++ = '/';

    if (ctx->caller) {
        last = ngx_cpymem(last, ctx->fingerprint.data, ctx->fingerprint.len);
        id->len = last - p;
        return NGX_OK;
    }

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    if (ngx_http_kiro_profile_arn(account, &arn) == NGX_OK && arn.len) {
        last = ngx_cpymem(last, arn.data, ngx_min(arn.len,
                                                  NGX_HTTP_KIRO_ARN_MAX));

    } else {
        last = ngx_cpymem(last, slot->fingerprint,
                          ngx_strlen(slot->fingerprint));
    }

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    id->len = last - p;

    return NGX_OK;
}
